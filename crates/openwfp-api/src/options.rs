//! Session options, and the [`FilterEngine`] trait with which sessions are opened.

use crate::Guid;
use crate::Principal;
use crate::Result;
use crate::Session;
use std::sync::Arc;
use std::time::Duration;

/// The options with which a session is opened. WFP: `FWPM_SESSION0`.
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
    /// The session's key; the engine generates one if it is `None` or zero.
    pub key: Option<Guid>,
    /// The session's display name.
    pub name: String,
    /// A description of the session's purpose.
    pub description: String,
    /// Whether the engine deletes the session's objects when the session ends.
    pub dynamic: bool,
    /// How long the session's calls wait for another session's transaction.
    pub transaction_wait: Duration,
    /// The client's identity; `None` for the engine's owner.
    pub principal: Option<Principal>,
    /// The client's process ID; 0 if unknown.
    pub process_id: u32,
    /// The name of the client's user.
    pub user_name: String,
    /// Whether the client uses the kernel-mode form of the API.
    pub kernel_mode: bool,
    /// The maximum number of open enumerators. Each may hold an old version of the database in memory.
    pub enumerators_max: usize,
    /// The maximum number of subscriptions. Each subscription with a callback uses a thread.
    pub subscriptions_max: usize,
    /// The name of the engine to open, where several are served; empty selects the first.
    pub engine: String,
    /// Where the client is: `unix`, or the address and port of a network client; empty in the engine's own process.
    pub origin: String,
    /// The maximum time for which the session may keep a read/write transaction open, if it is less than the engine's.
    pub transaction_time_max: Duration,
}

/// An engine that sessions can be opened with: one in this process, or a client of a remote one.
pub trait FilterEngine: Send + Sync {
    /// Opens a session. WFP: `FwpmEngineOpen0`.
    ///
    /// # Errors
    /// - `ERROR_ACCESS_DENIED` if the caller lacks the right `OPEN`.
    /// - `FWP_E_ALREADY_EXISTS` if a session with the same key is open.
    /// - `FWP_E_NOT_FOUND` if no engine has the name in [`SessionOptions::engine`].
    /// - `RPC_E_OUT_OF_RESOURCES` if a limit is reached.
    /// - Other `RPC_E_*` codes if the engine cannot be reached.
    fn open_session(&self, options: SessionOptions) -> Result<Arc<dyn Session>>;
}

impl Default for SessionOptions {
    fn default() -> SessionOptions {
        SessionOptions::new()
    }
}

impl SessionOptions {
    /// The default time for which calls wait for another session's transaction: 15 seconds.
    pub const TRANSACTION_WAIT: Duration = Duration::from_secs(15);
    /// The default maximum number of enumerators that a session may have open.
    pub const ENUMERATORS_MAX: usize = 1024;
    /// The default maximum number of subscriptions of a session.
    pub const SUBSCRIPTIONS_MAX: usize = 64;

    /// Returns options for a session of the engine's owner, suitable for an engine in the caller's own
    /// process.
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
            origin: String::new(),
            transaction_time_max: Duration::MAX,
        }
    }

    /// Sets the session's key, `sessionKey`. By default, and for the zero GUID, the engine generates one.
    pub fn key(mut self, key: Guid) -> SessionOptions {
        self.key = Some(key);
        self
    }

    /// Sets the session's display name, `displayData.name`.
    pub fn name(mut self, name: impl Into<String>) -> SessionOptions {
        self.name = name.into();
        self
    }

    /// Sets the description of the session's purpose, `displayData.description`.
    pub fn description(mut self, description: impl Into<String>) -> SessionOptions {
        self.description = description.into();
        self
    }

    /// Makes the session dynamic, `FWPM_SESSION_FLAG_DYNAMIC`: the engine deletes its objects when it ends,
    /// and refuses calls that would create longer-lived ones.
    pub fn dynamic(mut self) -> SessionOptions {
        self.dynamic = true;
        self
    }

    /// Sets how long calls wait for another session's transaction, `txnWaitTimeoutInMSec`; zero selects the
    /// default of 15 seconds.
    pub fn transaction_wait(mut self, wait: Duration) -> SessionOptions {
        self.transaction_wait = if wait.is_zero() { SessionOptions::TRANSACTION_WAIT } else { wait };
        self
    }

    /// Sets the client's identity; default: the engine's owner.
    pub fn principal(mut self, principal: Principal) -> SessionOptions {
        self.principal = Some(principal);
        self
    }

    /// Sets the client's process ID, on behalf of the client.
    pub fn process(mut self, id: u32) -> SessionOptions {
        self.process_id = id;
        self
    }

    /// Sets the name of the client's user.
    pub fn user_name(mut self, name: impl Into<String>) -> SessionOptions {
        self.user_name = name.into();
        self
    }

    /// Marks the client as a kernel-mode caller: the engine does not check its rights and does not abort
    /// its transactions by force. The code that opens the session must have established that this is true.
    pub fn kernel_mode(mut self) -> SessionOptions {
        self.kernel_mode = true;
        self
    }

    /// Selects an engine by name, where a daemon serves several; default: the first.
    pub fn engine(mut self, name: impl Into<String>) -> SessionOptions {
        self.engine = name.into();
        self
    }

    /// Sets where the client is: `unix`, or the address and port of a network client.
    pub fn origin(mut self, origin: impl Into<String>) -> SessionOptions {
        self.origin = origin.into();
        self
    }

    /// Sets the maximum time for which the session may keep a read/write transaction open.
    pub fn transaction_time_max(mut self, time: Duration) -> SessionOptions {
        self.transaction_time_max = time;
        self
    }

    /// Sets the maximum numbers of open enumerators and subscriptions that the session is granted.
    pub fn handles_max(mut self, enumerators: usize, subscriptions: usize) -> SessionOptions {
        self.enumerators_max = enumerators;
        self.subscriptions_max = subscriptions;
        self
    }
}
