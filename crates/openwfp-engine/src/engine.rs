//! The engine: the newest version of the database, and who has a session with it.

use crate::database::Database;
use crate::lock::lock;
use crate::reconcile;
use crate::session::LocalSession;
use crate::session::SessionOptions;
use crate::transition;
use openwfp_api::Code;
use openwfp_api::Completeness;
use openwfp_api::Dataplane;
use openwfp_api::Direction;
use openwfp_api::Error;
use openwfp_api::InboundRequest;
use openwfp_api::KeyAccess;
use openwfp_api::Mirror;
use openwfp_api::NewSaContext;
use openwfp_api::NoDataplane;
use openwfp_api::Operation;
use openwfp_api::Protocol;
use openwfp_api::Result;
use openwfp_api::SaBundle;
use openwfp_api::SaContext;
use openwfp_api::SaContextId;
use openwfp_api::Session;
use openwfp_api::SessionNumber;
use openwfp_api::Spi;
use std::collections::HashSet;
use std::sync::Arc;
use std::sync::Condvar;
use std::sync::Mutex;
use std::sync::PoisonError;

/// A filter engine in this process.
///
/// Clones are the same engine. It lives as long as a clone or a session of it.
///
/// ```
/// use openwfp_engine::{Engine, SessionOptions};
/// use openwfp_api::EnumOptions;
///
/// let engine = Engine::new();
/// let session = engine.open_session(SessionOptions::default())?;
/// let enumerator = session.sa_context_create_enum(&EnumOptions::default())?;
/// let page = session.sa_context_enum(enumerator, 100)?.accept();
/// assert!(page.is_empty());
/// # Ok::<(), openwfp_api::Error>(())
/// ```
#[derive(Clone)]
pub struct Engine(Arc<Shared>);

pub(crate) struct Shared {
    /// One writer at a time. Held while a next version is made, never by a reader.
    writer: Mutex<()>,
    /// The newest version. Held for a clone, a swap or the change of one context only.
    newest: Mutex<Database>,
    /// The contexts that a call works on, so that two calls on one wait for each other and no lock is
    /// held while the dataplane works.
    busy: Mutex<HashSet<SaContextId>>,
    no_longer_busy: Condvar,
    dataplane: Arc<dyn Dataplane>,
    sessions: Mutex<Sessions>,
}

#[derive(Default)]
struct Sessions {
    newest: u32,
    open: HashSet<SessionNumber>,
}

impl Engine {
    /// An engine with no SA contexts that is a database only.
    pub fn new() -> Engine {
        Engine::with_dataplane(Arc::new(NoDataplane))
    }

    /// An engine with no SA contexts whose SAs a dataplane carries out.
    pub fn with_dataplane(dataplane: Arc<dyn Dataplane>) -> Engine {
        Engine(Arc::new(Shared {
            writer: Mutex::new(()),
            newest: Mutex::new(Database::default()),
            busy: Mutex::default(),
            no_longer_busy: Condvar::new(),
            dataplane,
            sessions: Mutex::new(Sessions::default()),
        }))
    }

    /// Opens a session. WFP: `FwpmEngineOpen0`.
    ///
    /// # Errors
    /// `ERROR_ACCESS_DENIED` without the right OPEN.
    pub fn open_session(&self, options: SessionOptions) -> Result<Arc<dyn Session>> {
        let caller = crate::admit::Caller { open: true, rights: options.rights };
        crate::admit::admit(caller, Operation::EngineOpen)?;
        let number = {
            let mut sessions = lock(&self.0.sessions);
            let next = sessions.newest.checked_add(1).ok_or_else(|| {
                Error::new(Code::RPC_E_OUT_OF_RESOURCES, "the engine has used up its session numbers")
            })?;
            sessions.newest = next;
            sessions.open.insert(SessionNumber(next));
            SessionNumber(next)
        };
        Ok(Arc::new(LocalSession::new(number, Arc::clone(&self.0), options)))
    }

    /// The privileged client that keeps the engine equal to what a provider holds.
    pub fn mirror(&self) -> impl Mirror + use<> {
        self.clone()
    }
}

impl Default for Engine {
    fn default() -> Engine {
        Engine::new()
    }
}

impl Mirror for Engine {
    fn replace(&self, contexts: Vec<SaContext>, completeness: Completeness) -> Result {
        let writer = lock(&self.0.writer);
        let mut next = self.0.snapshot();
        reconcile::replace(&mut next, contexts);
        next.completeness = completeness;
        let old = std::mem::replace(&mut *lock(&self.0.newest), next);
        drop(writer);
        // Freeing what nobody reads any more can take long; no lock is held meanwhile.
        drop(old);
        Ok(())
    }
}

/// The right to work on one context; dropping it lets the next call on.
struct Turn<'e> {
    engine: &'e Shared,
    id: SaContextId,
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        lock(&self.engine.busy).remove(&self.id);
        self.engine.no_longer_busy.notify_all();
    }
}

impl Shared {
    pub(crate) fn create(&self, new: &NewSaContext) -> SaContextId {
        let _writer = lock(&self.writer);
        let mut newest = lock(&self.newest);
        let id = newest.new_id();
        newest.put(Arc::new(transition::create(id, new)));
        id
    }

    pub(crate) fn set_spi(&self, id: SaContextId, request: &InboundRequest, spi: Spi) -> Result {
        let _turn = self.turn(id);
        let _writer = lock(&self.writer);
        let mut newest = lock(&self.newest);
        let next = transition::set_spi(newest.get(id).ok_or_else(|| not_found(id))?, request, spi)?;
        let local = next.traffic.endpoints.local();
        let taken = [Protocol::Esp, Protocol::Ah]
            .into_iter()
            .flat_map(|protocol| newest.ids_with_sa(spi, protocol, local))
            .find(|other| *other != id);
        if let Some(other) = taken {
            let what = format!("the SPI {spi} on {local} is SA context {other}'s");
            return Err(Error::new(Code::FWP_E_ALREADY_EXISTS, what).with_remedy("choose another SPI"));
        }
        newest.put(Arc::new(next));
        Ok(())
    }

    pub(crate) fn add(&self, id: SaContextId, direction: Direction, bundle: SaBundle) -> Result {
        let _turn = self.turn(id);
        let context = self.context(id).ok_or_else(|| not_found(id))?;
        let next = match direction {
            Direction::Inbound => transition::add_inbound(&context, bundle)?,
            Direction::Outbound => transition::add_outbound(&context, bundle)?,
        };
        self.dataplane.install(&next, direction, &KeyAccess::grant())?;
        let next = Arc::new(next);
        {
            let _writer = lock(&self.writer);
            let mut newest = lock(&self.newest);
            if newest.get(id).is_some() {
                newest.put(next);
                return Ok(());
            }
        }
        // A mirror found it gone while the dataplane worked.
        self.dataplane.remove(&next, direction)?;
        Err(not_found(id))
    }

    pub(crate) fn delete(&self, id: SaContextId) -> Result {
        let _turn = self.turn(id);
        let context = self.context(id).ok_or_else(|| not_found(id))?;
        for (direction, _) in context.directions() {
            self.dataplane.remove(&context, direction)?;
        }
        let _writer = lock(&self.writer);
        lock(&self.newest).remove(id);
        Ok(())
    }

    /// Waits until no other call works on the context.
    fn turn(&self, id: SaContextId) -> Turn<'_> {
        let mut busy = lock(&self.busy);
        while !busy.insert(id) {
            busy = self.no_longer_busy.wait(busy).unwrap_or_else(PoisonError::into_inner);
        }
        Turn { engine: self, id }
    }

    /// The newest version, as it is now and stays.
    pub(crate) fn snapshot(&self) -> Database {
        lock(&self.newest).clone()
    }

    pub(crate) fn context(&self, id: SaContextId) -> Option<Arc<SaContext>> {
        lock(&self.newest).get(id).cloned()
    }

    pub(crate) fn completeness(&self) -> Completeness {
        lock(&self.newest).completeness.clone()
    }

    pub(crate) fn has_session(&self, number: SessionNumber) -> bool {
        lock(&self.sessions).open.contains(&number)
    }

    pub(crate) fn forget_session(&self, number: SessionNumber) {
        lock(&self.sessions).open.remove(&number);
    }
}

/// There is no such context.
pub(crate) fn not_found(id: SaContextId) -> Error {
    Error::new(Code::FWP_E_NOT_FOUND, format!("there is no SA context with the id {id}"))
}
