//! A watcher, which lists an engine's SA contexts and follows their changes across reconnects.

use crate::Engine;
use openwfp_api::Code;
use openwfp_api::ContextTemplate;
use openwfp_api::EnumOptions;
use openwfp_api::Error;
use openwfp_api::EventStream;
use openwfp_api::Notification;
use openwfp_api::Result;
use openwfp_api::SaContext;
use openwfp_api::SaContextEvent;
use openwfp_api::Session;
use openwfp_api::SessionOptions;
use openwfp_api::SubscriptionOptions;
use openwfp_api::Topic;
use openwfp_api::Version;
use std::sync::Arc;
use std::time::Duration;
use std::time::Instant;

/// The first pause before reconnecting. Each further pause is twice as long.
const PAUSE_MIN: Duration = Duration::from_millis(100);
/// The longest pause before reconnecting.
const PAUSE_MAX: Duration = Duration::from_secs(10);

/// An update from a [`Watcher`].
#[derive(Clone, Debug)]
pub enum Update {
    /// All current contexts, in ascending order of ID. They replace everything reported before. This is the
    /// first update, and the first one after each gap: when events were dropped or the engine was
    /// unreachable.
    Listed(Vec<Arc<SaContext>>),
    /// A change since the last listing.
    Changed(SaContextEvent),
    /// The engine is unreachable, for this reason. The watcher retries by itself and reports each outage
    /// once.
    Away(Error),
}

/// A watcher of an engine's SA contexts: it lists them and then reports each change.
///
/// The watcher reconnects if the daemon restarts or the connection breaks, and lists the contexts again
/// if it may have missed changes. It loses nothing silently and never reports a change that the last
/// listing already contains.
///
/// ```
/// use openwfp::{Engine, Update, Watcher};
/// use std::time::Duration;
///
/// let engine = Engine::at(&"capture:../../samples/strongswan-16".parse()?)?;
/// let mut watcher = Watcher::new(engine, Default::default());
/// match watcher.next(Duration::from_secs(1))? {
///     Some(Update::Listed(contexts)) => assert_eq!(contexts.len(), 16),
///     other => panic!("{other:?}"),
/// }
/// # Ok::<(), openwfp::api::Error>(())
/// ```
pub struct Watcher {
    engine: Engine,
    template: ContextTemplate,
    watching: Option<Watching>,
    /// When to reconnect; `pause` is the time to wait if that fails as well.
    again: Option<Instant>,
    pause: Duration,
}

struct Watching {
    session: Arc<dyn Session>,
    stream: Box<dyn EventStream>,
    /// The version of the last listing; `None` if the contexts must be listed.
    listed: Option<Version>,
}

impl Watcher {
    /// Returns a watcher of the contexts that a template selects. It connects on the first call of
    /// [`Watcher::next`].
    pub fn new(engine: Engine, template: ContextTemplate) -> Watcher {
        Watcher { engine, template, watching: None, again: None, pause: PAUSE_MIN }
    }

    /// Returns the next update, or `None` if none arrives within `wait`. A listing may take longer than
    /// `wait`.
    ///
    /// # Errors
    /// Errors that retrying is unlikely to resolve, such as `ERROR_ACCESS_DENIED` if a right of `ENUM`,
    /// `READ` and `SUBSCRIBE` is missing, `RPC_E_ACCESS_DENIED`, `RPC_E_VERSION_MISMATCH` and
    /// `FWP_E_INVALID_PARAMETER`. The next call retries nevertheless.
    pub fn next(&mut self, wait: Duration) -> Result<Option<Update>> {
        let deadline = Instant::now() + wait;
        loop {
            if let Some(again) = self.again {
                let now = Instant::now();
                if again > deadline {
                    std::thread::sleep(deadline.saturating_duration_since(now));
                    return Ok(None);
                }
                std::thread::sleep(again.saturating_duration_since(now));
                self.again = None;
            }
            let known_away = self.pause > PAUSE_MIN;
            match self.step(deadline.saturating_duration_since(Instant::now())) {
                Ok(Some(update)) => {
                    self.pause = PAUSE_MIN;
                    return Ok(Some(update));
                }
                Ok(None) if Instant::now() >= deadline => return Ok(None),
                Ok(None) => {}
                Err(error) => {
                    self.watching = None;
                    if !passes(&error) {
                        return Err(error);
                    }
                    self.again = Some(Instant::now() + self.pause);
                    self.pause = (self.pause * 2).min(PAUSE_MAX);
                    if !known_away {
                        return Ok(Some(Update::Away(error)));
                    }
                }
            }
        }
    }

    fn step(&mut self, wait: Duration) -> Result<Option<Update>> {
        let watching = match &mut self.watching {
            Some(watching) => watching,
            none => {
                let session = self.engine.open_session(SessionOptions::new().name("watcher"))?;
                let topic = Topic::SaContexts(self.template.clone());
                let options = SubscriptionOptions { topic, ..SubscriptionOptions::all() };
                // Subscribe before listing, so that no event is lost in between.
                let stream = session.events(&options)?;
                none.insert(Watching { session, stream, listed: None })
            }
        };
        let Some(listed) = watching.listed else {
            return watching.list(&self.template).map(|contexts| Some(Update::Listed(contexts)));
        };
        match watching.stream.next(wait)? {
            // The listing already contains this change.
            Some(Notification::Event(event)) if event.version <= listed => Ok(None),
            Some(Notification::Event(event)) => Ok(Some(Update::Changed(event))),
            Some(Notification::Dropped { .. }) => {
                watching.listed = None;
                Ok(None)
            }
            Some(_) | None => Ok(None),
        }
    }
}

impl Watching {
    fn list(&mut self, template: &ContextTemplate) -> Result<Vec<Arc<SaContext>>> {
        let options = EnumOptions { template: template.clone(), ..EnumOptions::default() };
        let mut contexts = self.session.sa_contexts(&options)?;
        let version = self.session.enum_version(contexts.enumerator())?;
        let page = contexts.next_page(u32::MAX)?;
        self.listed = Some(version);
        Ok(page)
    }
}

/// Returns whether a retry may succeed after this error.
fn passes(error: &Error) -> bool {
    matches!(
        error.code(),
        Code::FWP_E_SESSION_ABORTED
            | Code::ERROR_INVALID_HANDLE
            | Code::RPC_E_SERVER_DIED_DNE
            | Code::RPC_E_DISCONNECTED
            | Code::RPC_E_TIMEOUT
            | Code::RPC_E_CALL_REJECTED
            | Code::RPC_E_SERVERCALL_RETRYLATER
            | Code::RPC_E_OUT_OF_RESOURCES
            | Code::RPC_E_INVALID_DATAPACKET
    )
}
