//! A watcher: a copy of an engine's contexts that is kept up to date, whatever becomes of the connection.

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

/// The first pause before connecting again; each further one is twice as long.
const PAUSE_MIN: Duration = Duration::from_millis(100);
/// The longest.
const PAUSE_MAX: Duration = Duration::from_secs(10);

/// What a watcher tells.
#[derive(Clone, Debug)]
pub enum Update {
    /// All contexts that there are, ascending by id: what was known before is void. The first update is one, and so is
    /// that after each gap: when events were dropped, or the engine was away.
    Listed(Vec<Arc<SaContext>>),
    /// A change since.
    Changed(SaContextEvent),
    /// The engine is away, for this reason; the watcher tries again by itself. Told once for each time.
    Away(Error),
}

/// Lists an engine's contexts and then tells each change, reconnects when the daemon was restarted or the connection broke,
/// and lists again where changes may have been missed. Nothing is lost silently and no change is told that the last
/// listing held already.
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
    /// When to connect again, and how long to wait if that fails, too.
    again: Option<Instant>,
    pause: Duration,
}

struct Watching {
    session: Arc<dyn Session>,
    stream: Box<dyn EventStream>,
    /// What the last listing shows; none if it is to be made.
    listed: Option<Version>,
}

impl Watcher {
    /// A watcher of the contexts that the template selects; it connects with its first call.
    pub fn new(engine: Engine, template: ContextTemplate) -> Watcher {
        Watcher { engine, template, watching: None, again: None, pause: PAUSE_MIN }
    }

    /// The next update; none if none comes in time. A listing may take longer.
    ///
    /// # Errors
    /// What trying again will not mend: `ERROR_ACCESS_DENIED` without the rights ENUM, READ and SUBSCRIBE,
    /// `RPC_E_ACCESS_DENIED`, `RPC_E_VERSION_MISMATCH`, `FWP_E_INVALID_PARAMETER`. The next call tries again all the same.
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
                // Events first, so that none falls between them and the listing.
                let stream = session.events(&options)?;
                none.insert(Watching { session, stream, listed: None })
            }
        };
        let Some(listed) = watching.listed else {
            return watching.list(&self.template).map(|contexts| Some(Update::Listed(contexts)));
        };
        match watching.stream.next(wait)? {
            // What the listing shows already.
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
        let enumerator = self.session.sa_context_create_enum(&options)?;
        let version = self.session.enum_version(enumerator)?;
        let contexts = self.session.sa_context_enum(enumerator, u32::MAX)?.accept();
        self.session.destroy_enum(enumerator)?;
        self.listed = Some(version);
        Ok(contexts)
    }
}

/// Whether an error may be gone the next time.
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
