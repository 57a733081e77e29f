//! The engine: the newest version of the database, and who has a session with it.

use crate::database::Database;
use crate::reconcile;
use crate::session::LocalSession;
use crate::session::SessionOptions;
use openwfp_api::Code;
use openwfp_api::Completeness;
use openwfp_api::Error;
use openwfp_api::Mirror;
use openwfp_api::Operation;
use openwfp_api::Result;
use openwfp_api::SaContext;
use openwfp_api::SaContextId;
use openwfp_api::Session;
use openwfp_api::SessionNumber;
use std::collections::HashSet;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
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
    /// The newest version. Held for a clone or a swap only.
    newest: Mutex<Database>,
    sessions: Mutex<Sessions>,
}

#[derive(Default)]
struct Sessions {
    newest: u32,
    open: HashSet<SessionNumber>,
}

impl Engine {
    /// An engine with no SA contexts.
    pub fn new() -> Engine {
        Engine(Arc::new(Shared {
            writer: Mutex::new(()),
            newest: Mutex::new(Database::default()),
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

impl Shared {
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

/// The data are whole even if a holder of the lock panicked: they are changed in single steps.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
