//! How a session is opened, and with what.

use crate::Guid;
use crate::Principal;
use crate::Result;
use crate::Session;
use std::sync::Arc;
use std::time::Duration;

/// How a session is opened. WFP: `FWPM_SESSION0`.
///
/// ```
/// use openwfp_api::Principal;
/// use openwfp_api::SessionOptions;
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
    /// Its key; none or zero: the engine makes one.
    pub key: Option<Guid>,
    /// Its name for people.
    pub name: String,
    /// What it is for.
    pub description: String,
    /// Whether its objects go with it.
    pub dynamic: bool,
    /// How long its calls wait for another session's transaction.
    pub transaction_wait: Duration,
    /// Who the client is; none: the engine's owner.
    pub principal: Option<Principal>,
    /// The client's process; 0: not known.
    pub process_id: u32,
    /// The name of the client's user.
    pub user_name: String,
    /// Whether the client calls in kernel-mode form.
    pub kernel_mode: bool,
    /// How many enumerators it may have open: each may hold an old version of the database.
    pub enumerators_max: usize,
    /// How many subscriptions it may have: each with a callback has a thread.
    pub subscriptions_max: usize,
    /// Which of several engines behind one door; empty: the first.
    pub engine: String,
}

/// Something that sessions can be opened with: an engine in this process, or the way to one elsewhere.
pub trait FilterEngine: Send + Sync {
    /// Opens a session. WFP: `FwpmEngineOpen0`.
    ///
    /// # Errors
    /// `ERROR_ACCESS_DENIED` without the right OPEN, `FWP_E_ALREADY_EXISTS` for the key of a session that is open,
    /// `RPC_E_OUT_OF_RESOURCES` at a limit, and the other `RPC_E_*` where the engine cannot be reached.
    fn open_session(&self, options: SessionOptions) -> Result<Arc<dyn Session>>;
}

impl Default for SessionOptions {
    fn default() -> SessionOptions {
        SessionOptions::new()
    }
}

impl SessionOptions {
    /// How long calls wait for another session's transaction where nothing else is said.
    pub const TRANSACTION_WAIT: Duration = Duration::from_secs(15);
    /// How many enumerators a session may have open where nothing else is said.
    pub const ENUMERATORS_MAX: usize = 1024;
    /// How many subscriptions a session may have where nothing else is said.
    pub const SUBSCRIPTIONS_MAX: usize = 64;

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
            enumerators_max: SessionOptions::ENUMERATORS_MAX,
            subscriptions_max: SessionOptions::SUBSCRIPTIONS_MAX,
            engine: String::new(),
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

    /// Which of several engines that one daemon serves, by its name; default: the first.
    pub fn engine(mut self, name: impl Into<String>) -> SessionOptions {
        self.engine = name.into();
        self
    }

    /// How many enumerators and subscriptions the session may have open, as whoever opens it for the client grants.
    pub fn handles_max(mut self, enumerators: usize, subscriptions: usize) -> SessionOptions {
        self.enumerators_max = enumerators;
        self.subscriptions_max = subscriptions;
        self
    }
}
