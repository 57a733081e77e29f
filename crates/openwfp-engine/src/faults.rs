//! Faults on demand, for the tests of those who use an engine: deterministic, and off unless an engine is built with
//! them.

use crate::sync::Mutex;
use crate::sync::lock;
use openwfp_api::Code;
use openwfp_api::Error;
use openwfp_api::Operation;
use openwfp_api::Result;
use std::collections::HashMap;

/// Which calls of an engine shall fail, and which notifications shall get lost.
///
/// Calls are counted over all sessions, each kind for itself, from 1; a call that fails so has passed all rules for its
/// session and changes nothing.
///
/// ```
/// use openwfp_api::{Code, EnumOptions, Operation};
/// use openwfp_engine::{Engine, Faults, SessionOptions};
///
/// let faults = Faults::new().fail(Operation::SaContextCreateEnumHandle, 2, Code::ERROR_NOT_ENOUGH_MEMORY);
/// let engine = Engine::builder().faults(faults).build();
/// let session = engine.open_session(SessionOptions::new())?;
/// assert!(session.sa_context_create_enum(&EnumOptions::default()).is_ok());
/// let error = session.sa_context_create_enum(&EnumOptions::default()).unwrap_err();
/// assert_eq!(error.code(), Code::ERROR_NOT_ENOUGH_MEMORY);
/// assert!(session.sa_context_create_enum(&EnumOptions::default()).is_ok());
/// # Ok::<(), openwfp_api::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Faults {
    calls: HashMap<(Operation, u64), Code>,
    lost: Vec<u64>,
}

impl Faults {
    /// No faults.
    pub fn new() -> Faults {
        Faults::default()
    }

    /// The n-th call of an operation fails with a code.
    #[must_use]
    pub fn fail(mut self, operation: Operation, nth: u64, code: Code) -> Faults {
        self.calls.insert((operation, nth), code);
        self
    }

    /// The n-th call of an operation answers `FWP_E_TIMEOUT`, without the wait that would lead to it.
    #[must_use]
    pub fn time_out(self, operation: Operation, nth: u64) -> Faults {
        self.fail(operation, nth, Code::FWP_E_TIMEOUT)
    }

    /// The n-th notification, counted over all subscriptions, is dropped; its subscriber is told so, as if its queue
    /// had been full.
    #[must_use]
    pub fn lose_notification(mut self, nth: u64) -> Faults {
        self.lost.push(nth);
        self
    }
}

/// The faults of an engine and what was counted so far.
#[derive(Debug)]
pub(crate) struct Injector {
    faults: Faults,
    counted: Mutex<Counted>,
}

#[derive(Debug, Default)]
struct Counted {
    calls: HashMap<Operation, u64>,
    notifications: u64,
}

impl Injector {
    pub(crate) fn new(faults: Faults) -> Injector {
        Injector { faults, counted: Mutex::default() }
    }

    /// Counts a call, which may fail so.
    pub(crate) fn call(&self, operation: Operation) -> Result {
        let number = {
            let mut counted = lock(&self.counted);
            let calls = counted.calls.entry(operation).or_default();
            *calls += 1;
            *calls
        };
        match self.faults.calls.get(&(operation, number)) {
            None => Ok(()),
            Some(code) => Err(Error::new(
                *code,
                format!("{} number {number} fails as was asked for", operation.rules().wfp_name),
            )),
        }
    }

    /// Counts a notification; whether it gets lost.
    pub(crate) fn loses_notification(&self) -> bool {
        let mut counted = lock(&self.counted);
        counted.notifications += 1;
        self.faults.lost.contains(&counted.notifications)
    }
}
