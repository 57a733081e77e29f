//! The client: a remote engine whose sessions behave like those of an engine in this process.

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
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::runtime::Runtime;

/// The address of a remote engine.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Target {
    /// Path of a Unix socket on this machine.
    Unix(PathBuf),
    /// A TCP address, with mutual TLS.
    Tls {
        /// Host name or IP address. The engine's certificate must be valid for it.
        host: String,
        /// TCP port.
        port: u16,
    },
    /// A TCP address, without encryption.
    Plain {
        /// Host name or IP address.
        host: String,
        /// TCP port.
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

/// Options for connecting to a remote engine. Everything except certificates has a default.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientOptions {
    /// Certificates of the client. Required for [`Target::Tls`], unused otherwise.
    pub tls: Option<ClientTls>,
    /// Maximum time to connect and open a session. Default: 10 seconds.
    pub connect_timeout: Duration,
    /// Maximum time for a call, in addition to the time it may wait for other sessions' transactions.
    /// Default: 60 seconds. If the answer does not arrive in time, the session ends, because it is unknown
    /// whether the call was executed.
    pub call_timeout: Duration,
    /// Interval between HTTP/2 keepalive pings. Default: 5 seconds.
    pub keepalive_interval: Duration,
    /// Maximum time to wait for the answer to a keepalive ping before the connection is considered dead.
    /// Default: 5 seconds.
    pub keepalive_timeout: Duration,
    /// Name of the daemon's engine for sessions whose `SessionOptions::engine` is empty. Empty (the
    /// default): the daemon's first engine.
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

/// An engine behind a daemon. Each session has its own connection and ends with it.
#[derive(Clone, Debug)]
pub struct RemoteEngine {
    target: Target,
    options: ClientOptions,
}

impl RemoteEngine {
    /// Creates a client for the engine at `target`. It does not connect until a session is opened.
    pub fn new(target: Target, options: ClientOptions) -> RemoteEngine {
        RemoteEngine { target, options }
    }
}

impl FilterEngine for RemoteEngine {
    /// Connects and opens a session. The daemon identifies the client by its connection, so it ignores the
    /// options' principal, process, user name, kernel mode and limits.
    ///
    /// # Errors
    /// Those of the engine, and:
    ///
    /// - `RPC_E_SERVER_DIED_DNE` if nothing listens there or the host is unknown
    /// - `RPC_E_ACCESS_DENIED` if either side refuses the other's certificate, or the Unix socket may not
    ///   be used
    /// - `RPC_E_TIMEOUT` after [`ClientOptions::connect_timeout`]
    /// - `RPC_E_VERSION_MISMATCH` if the protocol versions do not overlap, or the peer does not support TLS
    ///   1.3
    /// - `RPC_E_INVALID_DATAPACKET` if the peer does not speak TLS or does not answer as a daemon
    /// - `RPC_E_OUT_OF_RESOURCES` if the daemon refuses the connection at one of its limits
    /// - `FWP_E_INVALID_PARAMETER` for certificates that are missing or unreadable, or an invalid host name
    fn open_session(&self, options: SessionOptions) -> Result<Arc<dyn Session>> {
        let link = Link::open(&self.target, &self.options, options)?;
        Ok(Arc::new(RemoteSession::new(link)))
    }
}

/// Number of generations of processes, each the child of the one before by `fork`, that have runtimes of their own.
const GENERATIONS: usize = 64;

/// Returns how many forks are between the first process that asked and this one.
fn generation() -> usize {
    /// The process that asked last, and its generation.
    static NEWEST: AtomicU64 = AtomicU64::new(0);
    let process = u64::from(std::process::id());
    let mut newest = NEWEST.load(Ordering::Acquire);
    loop {
        let generation = newest & 0xFFFF_FFFF;
        if newest >> 32 == process {
            return usize::try_from(generation).unwrap_or(usize::MAX).min(GENERATIONS - 1);
        }
        let next = process << 32 | if newest == 0 { 0 } else { generation + 1 };
        match NEWEST.compare_exchange(newest, next, Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) => newest = next,
            Err(other) => newest = other,
        }
    }
}

/// Returns the runtime that drives the connections of the whole process. The threads of a parent's runtime do not exist in the
/// child of a fork, which therefore has its own.
fn runtime() -> Result<&'static Runtime> {
    static RUNTIMES: [OnceLock<std::io::Result<Runtime>>; GENERATIONS] =
        [const { OnceLock::new() }; GENERATIONS];
    let made = RUNTIMES[generation()].get_or_init(|| {
        tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .on_thread_start(without_sigpipe)
            .thread_name("openwfp-client")
            .enable_all()
            .build()
    });
    made.as_ref().map_err(|error| {
        Error::new(Code::RPC_E_OUT_OF_RESOURCES, format!("cannot start threads for connections: {error}"))
    })
}

/// Blocks SIGPIPE on a connection thread. In a C program it would terminate the process when a daemon
/// closes its connection; the write fails with an error anyway. Only these threads create and use
/// connections.
fn without_sigpipe() {
    use nix::sys::signal::SigSet;
    use nix::sys::signal::Signal;
    // This can only fail for an invalid signal.
    let _ = SigSet::from(Signal::SIGPIPE).thread_block();
}

/// Waits for a future on the calling thread, which may belong to any runtime or none.
fn wait<F: Future>(future: F) -> Result<F::Output> {
    let _guard = runtime()?.enter();
    Ok(pollster::block_on(future))
}
