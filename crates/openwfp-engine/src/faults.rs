//! Fault injection for tests of programs that use an engine. Faults are deterministic, and off unless
//! an engine is built with them.

use crate::sync::Mutex;
use crate::sync::lock;
use openwfp_api::Code;
use openwfp_api::Error;
use openwfp_api::Operation;
use openwfp_api::Result;
use std::collections::HashMap;

/// Faults to inject into an engine: calls that fail and notifications that are lost.
///
/// Calls are counted from 1, separately for each operation, over all sessions. A fault is injected
/// after the session's checks have admitted the call, and the failed call changes nothing.
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
    /// Returns an empty set of faults.
    pub fn new() -> Faults {
        Faults::default()
    }

    /// Makes the n-th call of an operation fail with a code.
    #[must_use]
    pub fn fail(mut self, operation: Operation, nth: u64, code: Code) -> Faults {
        self.calls.insert((operation, nth), code);
        self
    }

    /// Makes the n-th call of an operation fail with `FWP_E_TIMEOUT`, without waiting first.
    #[must_use]
    pub fn time_out(self, operation: Operation, nth: u64) -> Faults {
        self.fail(operation, nth, Code::FWP_E_TIMEOUT)
    }

    /// Drops the n-th SA context notification, counted from 1 over all subscriptions. Its subscriber is
    /// notified of the loss, as if its queue had been full.
    #[must_use]
    pub fn lose_notification(mut self, nth: u64) -> Faults {
        self.lost.push(nth);
        self
    }
}

/// The faults of an engine, with the calls and notifications counted so far.
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

    /// Counts a call and returns the fault injected into it, if any.
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
                format!("injected fault: {} number {number}", operation.rules().wfp_name),
            )),
        }
    }

    /// Counts a notification; returns whether to drop it.
    pub(crate) fn loses_notification(&self) -> bool {
        let mut counted = lock(&self.counted);
        counted.notifications += 1;
        self.faults.lost.contains(&counted.notifications)
    }
}
