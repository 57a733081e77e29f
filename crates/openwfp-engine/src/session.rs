//! A session with the engine in this process.

use crate::admit;
use crate::engine::Shared;
use crate::engine::not_found;
use crate::enumerator::Enumerator;
use crate::lock::lock;
use openwfp_api::Claim;
use openwfp_api::Code;
use openwfp_api::Completeness;
use openwfp_api::Direction;
use openwfp_api::EnumId;
use openwfp_api::EnumOptions;
use openwfp_api::Error;
use openwfp_api::InboundRequest;
use openwfp_api::KeyAccess;
use openwfp_api::NewSaContext;
use openwfp_api::Operation;
use openwfp_api::Result;
use openwfp_api::Rights;
use openwfp_api::SaBundle;
use openwfp_api::SaContext;
use openwfp_api::SaContextId;
use openwfp_api::Session;
use openwfp_api::SessionNumber;
use openwfp_api::Spi;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;

/// How many enumerators a session may have open: each may hold an old version of the database.
pub const ENUMERATORS_PER_SESSION_MAX: usize = 1024;

/// How a session is opened.
#[derive(Clone, Copy, Debug)]
pub struct SessionOptions {
    /// What the caller may do; default: everything, as fits an engine in the caller's own process.
    pub rights: Rights,
}

impl Default for SessionOptions {
    fn default() -> SessionOptions {
        SessionOptions { rights: Rights::ALL }
    }
}

/// A session with an engine in this process.
pub(crate) struct LocalSession {
    number: SessionNumber,
    engine: Arc<Shared>,
    rights: Rights,
    state: Mutex<State>,
}

/// What of a session changes.
struct State {
    open: bool,
    newest_serial: u32,
    enumerators: HashMap<u32, Arc<Enumerator>>,
}

impl LocalSession {
    pub(crate) fn new(number: SessionNumber, engine: Arc<Shared>, options: SessionOptions) -> LocalSession {
        let state = State { open: true, newest_serial: 0, enumerators: HashMap::new() };
        LocalSession { number, engine, rights: options.rights, state: Mutex::new(state) }
    }

    /// Admits a call and gives the session's state to it.
    fn admit(&self, operation: Operation) -> Result<MutexGuard<'_, State>> {
        let state = lock(&self.state);
        admit::admit(admit::Caller { open: state.open, rights: self.rights }, operation)?;
        Ok(state)
    }

    fn check_owner(&self, id: EnumId) -> Result {
        if id.session == self.number {
            return Ok(());
        }
        if self.engine.has_session(id.session) {
            let what =
                format!("the enumerator belongs to session {}, not to {}", id.session.0, self.number.0);
            return Err(Error::new(Code::FWP_E_WRONG_SESSION, what));
        }
        Err(no_enumerator(id))
    }
}

fn no_enumerator(id: EnumId) -> Error {
    let what = format!("{:#x} is no open enumerator of this session", id.to_bits());
    Error::new(Code::ERROR_INVALID_HANDLE, what)
}

impl Session for LocalSession {
    fn number(&self) -> SessionNumber {
        self.number
    }

    fn sa_context_create_enum(&self, options: &EnumOptions) -> Result<EnumId> {
        let out_of_room = || {
            let what = format!("the session has {ENUMERATORS_PER_SESSION_MAX} enumerators open, the limit");
            Error::new(Code::RPC_E_OUT_OF_RESOURCES, what)
                .with_remedy("destroy those that are read to their end")
        };
        if self.admit(Operation::SaContextCreateEnumHandle)?.enumerators.len() >= ENUMERATORS_PER_SESSION_MAX
        {
            return Err(out_of_room());
        }
        let enumerator = Arc::new(Enumerator::new(self.engine.snapshot(), options));
        let mut state = self.admit(Operation::SaContextCreateEnumHandle)?;
        if state.enumerators.len() >= ENUMERATORS_PER_SESSION_MAX {
            return Err(out_of_room());
        }
        let serial = state.newest_serial.checked_add(1).ok_or_else(out_of_room)?;
        state.newest_serial = serial;
        state.enumerators.insert(serial, enumerator);
        Ok(EnumId { session: self.number, serial })
    }

    fn sa_context_enum(&self, id: EnumId, limit: u32) -> Result<Claim> {
        let enumerator = {
            let state = self.admit(Operation::SaContextEnum)?;
            self.check_owner(id)?;
            Arc::clone(state.enumerators.get(&id.serial).ok_or_else(|| no_enumerator(id))?)
        };
        Ok(enumerator.claim(usize::try_from(limit).unwrap_or(usize::MAX)))
    }

    fn sa_context_destroy_enum(&self, id: EnumId) -> Result {
        let enumerator = {
            let mut state = self.admit(Operation::SaContextDestroyEnumHandle)?;
            self.check_owner(id)?;
            state.enumerators.remove(&id.serial).ok_or_else(|| no_enumerator(id))?
        };
        // Its snapshot is freed without the session's lock.
        drop(enumerator);
        Ok(())
    }

    fn sa_context_by_id(&self, id: SaContextId) -> Result<Arc<SaContext>> {
        drop(self.admit(Operation::SaContextGetById)?);
        self.engine.context(id).ok_or_else(|| not_found(id))
    }

    fn sa_context_create(&self, new: &NewSaContext) -> Result<SaContextId> {
        drop(self.admit(Operation::SaContextCreate)?);
        Ok(self.engine.create(new))
    }

    fn sa_context_set_spi(&self, id: SaContextId, request: &InboundRequest, spi: Spi) -> Result {
        drop(self.admit(Operation::SaContextSetSpi)?);
        self.engine.set_spi(id, request, spi)
    }

    fn sa_context_add_inbound(&self, id: SaContextId, bundle: SaBundle) -> Result {
        drop(self.admit(Operation::SaContextAddInbound)?);
        self.engine.add(id, Direction::Inbound, bundle)
    }

    fn sa_context_add_outbound(&self, id: SaContextId, bundle: SaBundle) -> Result {
        drop(self.admit(Operation::SaContextAddOutbound)?);
        self.engine.add(id, Direction::Outbound, bundle)
    }

    fn sa_context_delete_by_id(&self, id: SaContextId) -> Result {
        drop(self.admit(Operation::SaContextDeleteById)?);
        self.engine.delete(id)
    }

    fn key_access(&self) -> Result<KeyAccess> {
        drop(self.admit(Operation::KeyRead)?);
        Ok(KeyAccess::grant())
    }

    fn completeness(&self) -> Result<Completeness> {
        drop(self.admit(Operation::SaContextCreateEnumHandle)?);
        Ok(self.engine.completeness())
    }

    fn close(&self) -> Result {
        let enumerators = {
            let mut state = self.admit(Operation::EngineClose)?;
            state.open = false;
            std::mem::take(&mut state.enumerators)
        };
        self.engine.forget_session(self.number);
        drop(enumerators);
        Ok(())
    }
}

impl Drop for LocalSession {
    fn drop(&mut self) {
        self.engine.forget_session(self.number);
    }
}
