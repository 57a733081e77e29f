//! The client: an engine elsewhere, with sessions that behave as those of an engine in this process.

mod connect;
mod cursor;
mod events;
mod link;
mod session;

use crate::tls::ClientTls;
use link::Link;
use openwfp_api::Code;
use openwfp_api::Error;
use openwfp_api::FilterEngine;
use openwfp_api::Result;
use openwfp_api::Session;
use openwfp_api::SessionOptions;
use session::RemoteSession;
use std::fmt;
use std::future::Future;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::OnceLock;
use std::time::Duration;
use tokio::runtime::Runtime;

/// Where an engine listens.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Target {
    /// A Unix socket of this machine.
    Unix(PathBuf),
    /// A host and TCP port, over mutual TLS.
    Tls {
        /// The host's name or address, which the engine's certificate must have.
        host: String,
        /// The port.
        port: u16,
    },
    /// A host and TCP port, without encryption.
    Plain {
        /// The host's name or address.
        host: String,
        /// The port.
        port: u16,
    },
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (scheme, host, port) = match self {
            Target::Unix(path) => return write!(f, "unix:{}", path.display()),
            Target::Tls { host, port } => ("https", host, port),
            Target::Plain { host, port } => ("http", host, port),
        };
        match host.contains(':') {
            true => write!(f, "{scheme}://[{host}]:{port}"),
            false => write!(f, "{scheme}://{host}:{port}"),
        }
    }
}

/// How an engine elsewhere is reached; everything but certificates has a default.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientOptions {
    /// The client's certificate; needed for [`Target::Tls`] alone.
    pub tls: Option<ClientTls>,
    /// How long connecting and opening a session may take.
    pub connect_timeout: Duration,
    /// How long a call may take, besides its wait for other sessions' transactions. When the answer to a call is lost, the
    /// session ends, since nobody knows whether the call was carried out.
    pub call_timeout: Duration,
    /// How long the connection may be silent before the daemon is asked whether it is there.
    pub keepalive_interval: Duration,
    /// How long its answer may take; then it is gone.
    pub keepalive_timeout: Duration,
    /// Which of the daemon's engines sessions are opened with that do not say it themselves; empty: its first.
    pub engine: String,
}

impl Default for ClientOptions {
    fn default() -> ClientOptions {
        ClientOptions {
            tls: None,
            connect_timeout: Duration::from_secs(10),
            call_timeout: Duration::from_secs(60),
            keepalive_interval: Duration::from_secs(5),
            keepalive_timeout: Duration::from_secs(5),
            engine: String::new(),
        }
    }
}

/// An engine elsewhere. Each session has a connection of its own, and ends with it.
#[derive(Clone, Debug)]
pub struct RemoteEngine {
    target: Target,
    options: ClientOptions,
}

impl RemoteEngine {
    /// The engine that listens there; nothing is connected yet.
    pub fn new(target: Target, options: ClientOptions) -> RemoteEngine {
        RemoteEngine { target, options }
    }
}

impl FilterEngine for RemoteEngine {
    /// Connects and opens a session. Who the client is, the daemon knows by itself: the options' principal, process, name
    /// of the user and kernel mode do not count, and neither do their limits.
    ///
    /// # Errors
    /// Those of the engine; `RPC_E_SERVER_DIED_DNE` if nobody listens or the host is unknown, `RPC_E_ACCESS_DENIED` if
    /// either side refuses the other's certificate, `RPC_E_TIMEOUT`, `RPC_E_VERSION_MISMATCH`, and
    /// `FWP_E_INVALID_PARAMETER` for certificates that cannot be read.
    fn open_session(&self, options: SessionOptions) -> Result<Arc<dyn Session>> {
        let link = Link::open(&self.target, &self.options, options)?;
        Ok(Arc::new(RemoteSession::new(link)))
    }
}

/// The threads on which connections live, for the whole process.
fn runtime() -> Result<&'static Runtime> {
    static RUNTIME: OnceLock<std::io::Result<Runtime>> = OnceLock::new();
    let made = RUNTIME.get_or_init(|| {
        tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .on_thread_start(without_sigpipe)
            .thread_name("openwfp-client")
            .enable_all()
            .build()
    });
    made.as_ref().map_err(|error| {
        Error::new(Code::RPC_E_OUT_OF_RESOURCES, format!("no threads for connections: {error}"))
    })
}

/// Keeps SIGPIPE from a connection's thread: in a C program it would end the process when a daemon goes, and what is written
/// fails with an error anyway. Connections are made and used on these threads alone.
fn without_sigpipe() {
    use nix::sys::signal::SigSet;
    use nix::sys::signal::Signal;
    // It cannot fail for a signal that there is.
    let _ = SigSet::from(Signal::SIGPIPE).thread_block();
}

/// Waits for a future on the caller's own thread, wherever that is.
fn wait<F: Future>(future: F) -> Result<F::Output> {
    let _guard = runtime()?.enter();
    Ok(pollster::block_on(future))
}
