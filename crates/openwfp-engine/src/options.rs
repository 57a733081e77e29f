//! How a session is opened.

use openwfp_api::Guid;
use openwfp_api::Principal;
use std::time::Duration;

/// How a session is opened. WFP: `FWPM_SESSION0`.
///
/// ```
/// use openwfp_api::Principal;
/// use openwfp_engine::SessionOptions;
/// use std::time::Duration;
///
/// let options = SessionOptions::new()
///     .name("charon")
///     .principal(Principal::unix(0, &[0]))
///     .transaction_wait(Duration::from_secs(2));
/// # drop(options);
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct SessionOptions {
    pub(crate) key: Option<Guid>,
    pub(crate) name: String,
    pub(crate) description: String,
    pub(crate) dynamic: bool,
    pub(crate) transaction_wait: Duration,
    pub(crate) principal: Option<Principal>,
    pub(crate) process_id: u32,
    pub(crate) user_name: String,
    pub(crate) kernel_mode: bool,
}

impl Default for SessionOptions {
    fn default() -> SessionOptions {
        SessionOptions::new()
    }
}

impl SessionOptions {
    /// How long calls wait for another session's transaction where nothing else is said.
    pub const TRANSACTION_WAIT: Duration = Duration::from_secs(15);

    /// A session of the engine's owner, as fits an engine in the caller's own process.
    pub fn new() -> SessionOptions {
        SessionOptions {
            key: None,
            name: String::new(),
            description: String::new(),
            dynamic: false,
            transaction_wait: SessionOptions::TRANSACTION_WAIT,
            principal: None,
            process_id: 0,
            user_name: String::new(),
            kernel_mode: false,
        }
    }

    /// The session's key, `sessionKey`; default, and for the zero GUID: the engine makes one.
    pub fn key(mut self, key: Guid) -> SessionOptions {
        self.key = Some(key);
        self
    }

    /// The session's name for people, `displayData.name`.
    pub fn name(mut self, name: impl Into<String>) -> SessionOptions {
        self.name = name.into();
        self
    }

    /// What the session is for, `displayData.description`.
    pub fn description(mut self, description: impl Into<String>) -> SessionOptions {
        self.description = description.into();
        self
    }

    /// A dynamic session, `FWPM_SESSION_FLAG_DYNAMIC`: its objects go with it, and calls that make others are refused.
    pub fn dynamic(mut self) -> SessionOptions {
        self.dynamic = true;
        self
    }

    /// How long calls wait for another session's transaction, `txnWaitTimeoutInMSec`; zero: 15 seconds.
    pub fn transaction_wait(mut self, wait: Duration) -> SessionOptions {
        self.transaction_wait = if wait.is_zero() { SessionOptions::TRANSACTION_WAIT } else { wait };
        self
    }

    /// Who the client is; default: the engine's owner.
    pub fn principal(mut self, principal: Principal) -> SessionOptions {
        self.principal = Some(principal);
        self
    }

    /// The client's process, as whoever opens the session for it knows.
    pub fn process(mut self, id: u32) -> SessionOptions {
        self.process_id = id;
        self
    }

    /// The name of the client's user.
    pub fn user_name(mut self, name: impl Into<String>) -> SessionOptions {
        self.user_name = name.into();
        self
    }

    /// A client that calls in kernel-mode form, and whoever opens the session answers for that: rights are not checked
    /// and its transactions are not aborted by force.
    pub fn kernel_mode(mut self) -> SessionOptions {
        self.kernel_mode = true;
        self
    }
}
