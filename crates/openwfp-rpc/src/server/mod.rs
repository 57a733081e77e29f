//! The server: listeners, connections, sessions, and the service that executes their calls.

mod accept;
mod authority;
mod budget;
mod limits;
mod plain;
mod service;
mod sessions;
mod streams;

use crate::proto::filter_engine_server::FilterEngineServer;
use crate::tls::ServerTls;
use accept::Connection;
pub use limits::Limits;
use limits::Users;
use openwfp_api::Code;
use openwfp_api::Error;
use openwfp_api::FilterEngine;
use openwfp_api::Principal;
use openwfp_api::Result;
use openwfp_api::Sid;
use sessions::Sessions;
use std::collections::HashMap;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::net::TcpListener;
use std::os::fd::BorrowedFd;
use std::os::unix::fs::FileTypeExt;
use std::os::unix::fs::MetadataExt;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::RwLock;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;
use std::time::Duration;
use std::time::Instant;
use tokio::runtime::Runtime;
use tokio::sync::Semaphore;
use tokio::sync::mpsc;
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;
use tokio_stream::wrappers::ReceiverStream;

/// Returns the supplementary groups of the process at the other end of a Unix socket.
pub type PeerGroups = fn(BorrowedFd<'_>) -> io::Result<Vec<u32>>;

/// Options of a server. Every field has a default.
#[derive(Clone, Debug)]
pub struct ServerOptions {
    /// Limits on what clients can use.
    pub limits: Limits,
    /// Interval between HTTP/2 keepalive pings to a client. Default: 5 seconds.
    pub keepalive_interval: Duration,
    /// Maximum time to wait for the answer to a keepalive ping. After that the connection is closed and its
    /// sessions end. Default: 5 seconds.
    pub keepalive_timeout: Duration,
    /// Maximum time for the TLS handshake, and after it for the client's HTTP/2 preface. Default: 10
    /// seconds.
    pub handshake_timeout: Duration,
    /// Returns the supplementary groups of the process at the other end of a Unix socket (`SO_PEERGROUPS`). Default: none, so a
    /// client has only its primary group. Rust's libraries have no safe form of this system call.
    pub peer_groups: Option<PeerGroups>,
}

impl Default for ServerOptions {
    fn default() -> ServerOptions {
        ServerOptions {
            limits: Limits::default(),
            keepalive_interval: Duration::from_secs(5),
            keepalive_timeout: Duration::from_secs(5),
            handshake_timeout: Duration::from_secs(10),
            peer_groups: None,
        }
    }
}

/// The client at the other end of a connection.
#[derive(Clone, Debug)]
pub struct Peer {
    /// `None` if no rule maps the client's certificate to a principal.
    principal: Option<Principal>,
    name: String,
    process_id: u32,
    /// `None` on a Unix socket.
    address: Option<SocketAddr>,
}

impl Peer {
    /// Returns the peer for a client of a Unix socket. `name` is the user's name; a `process_id` of 0 means unknown.
    fn local(principal: Principal, name: String, process_id: u32) -> Peer {
        Peer { principal: Some(principal), name, process_id, address: None }
    }

    /// Returns the peer for a network client. `name` is the certificate's; without a principal, the certificate stands for nobody.
    fn remote(principal: Option<Principal>, name: String, address: SocketAddr) -> Peer {
        Peer { principal, name, process_id: 0, address: Some(address) }
    }

    fn user(&self) -> Sid {
        self.principal.as_ref().map_or(Sid::ANONYMOUS, |principal| principal.user)
    }

    fn is_local(&self) -> bool {
        self.address.is_none()
    }

    /// Returns where the client is.
    fn origin(&self) -> String {
        self.address.map_or_else(|| "unix".to_owned(), |address| address.to_string())
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let user = self.user();
        match self.name.as_str() {
            "" => write!(f, "{user}")?,
            name => write!(f, "{name} ({user})")?,
        }
        match (self.process_id, self.address) {
            (_, Some(address)) => write!(f, " at {address}"),
            (0, None) => Ok(()),
            (pid, None) => write!(f, ", process {pid}"),
        }
    }
}

/// State that all connections share.
pub(crate) struct Shared {
    engine: Arc<dyn FilterEngine>,
    options: ServerOptions,
    limits: RwLock<Arc<Limits>>,
    users: Users,
    sessions: Sessions,
    connections: AtomicUsize,
    origins: Mutex<accept::Origins>,
    refusals: AtomicUsize,
    /// Number of refused connections of each kind since the last line about them.
    refused: Mutex<HashMap<String, u64>>,
    /// Bytes that the calls in progress hold.
    bytes: AtomicUsize,
    /// Average size of a context in the last page, in bytes.
    entry_bytes: AtomicUsize,
    /// Number of running calls.
    running: watch::Sender<usize>,
    /// Permits for calls that may wait for other sessions' transactions.
    waiting: Arc<Semaphore>,
    stopping: watch::Sender<bool>,
}

impl Shared {
    /// Returns how many entries to claim for a page: at most what the limits allow, and about as many as
    /// will fit. Entries that are claimed but do not fit must be given back, which costs time.
    fn page_entries(&self, asked: u32, bytes_max: usize) -> u32 {
        let fit = bytes_max / self.entry_bytes.load(Ordering::Relaxed).max(1);
        let likely = u32::try_from(fit + fit / 16 + 1).unwrap_or(u32::MAX);
        asked.min(self.limits().page_entries).min(likely)
    }

    /// Returns what a user uses.
    fn user(&self, user: Sid) -> Arc<limits::User> {
        self.users.of(user, self.options.limits.waiting_calls.div_ceil(2))
    }

    fn limits(&self) -> Arc<Limits> {
        Arc::clone(&self.limits.read().unwrap_or_else(PoisonError::into_inner))
    }
}

/// A gRPC server for an engine. It accepts no connections until a `listen_*` or `serve_*` method is
/// called. Dropping it closes all connections immediately; [`Server::stop`] stops it in order.
pub struct Server {
    runtime: Option<Runtime>,
    shared: Arc<Shared>,
    connections: mpsc::Sender<io::Result<Connection>>,
    /// The service's task and the sender that makes it stop.
    service: Mutex<Option<(watch::Sender<bool>, tokio::task::JoinHandle<()>)>>,
    sockets: Mutex<Vec<SocketFile>>,
    tls: Arc<RwLock<Option<Arc<TlsState>>>>,
}

struct TlsState {
    acceptor: TlsAcceptor,
    settings: ServerTls,
}

/// A Unix socket to listen on.
#[derive(Clone, Debug)]
pub struct UnixSocket {
    /// Path of the socket.
    pub path: PathBuf,
    /// Permissions of the socket file, such as `0o660`.
    pub mode: u32,
    /// Group id of the socket file. `None` leaves the process's own group.
    pub group: Option<u32>,
}

/// The file of a socket, removed on drop unless another file has replaced it.
struct SocketFile {
    path: PathBuf,
    inode: u64,
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if std::fs::metadata(&self.path).is_ok_and(|found| found.ino() == self.inode) {
            // The error cannot be reported to anyone.
            drop(std::fs::remove_file(&self.path));
        }
    }
}

fn failed(what: impl fmt::Display, error: &io::Error) -> Error {
    let code = match error.kind() {
        io::ErrorKind::PermissionDenied => Code::ERROR_ACCESS_DENIED,
        io::ErrorKind::AddrInUse => Code::FWP_E_ALREADY_EXISTS,
        _ => Code::FWP_E_INVALID_PARAMETER,
    };
    Error::new(code, format!("cannot listen on {what}: {error}"))
}

impl Server {
    /// Starts a server with its own threads.
    ///
    /// # Errors
    /// `RPC_E_OUT_OF_RESOURCES` if the threads cannot be created.
    pub fn start(engine: Arc<dyn FilterEngine>, options: ServerOptions) -> Result<Server> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .thread_name("openwfp-server")
            // Each waiting call occupies a thread, and there must always be threads left for the calls of
            // transactions.
            .max_blocking_threads(options.limits.waiting_calls.saturating_add(256))
            .enable_all()
            .build()
            .map_err(|error| {
                Error::new(Code::RPC_E_OUT_OF_RESOURCES, format!("cannot start threads: {error}"))
            })?;
        let (limits, waiting) = (options.limits.clone(), options.limits.waiting_calls.max(1));
        let shared = Arc::new(Shared {
            engine,
            options,
            limits: RwLock::new(Arc::new(limits)),
            users: Users::default(),
            sessions: Sessions::default(),
            connections: AtomicUsize::new(0),
            origins: Mutex::default(),
            refusals: AtomicUsize::new(0),
            refused: Mutex::default(),
            bytes: AtomicUsize::new(0),
            entry_bytes: AtomicUsize::new(256),
            running: watch::Sender::new(0),
            waiting: Arc::new(Semaphore::new(waiting)),
            stopping: watch::Sender::new(false),
        });
        let (connections, taken) = mpsc::channel(64);
        let (go, gone) = watch::channel(false);
        let service = runtime.spawn(serve(Arc::clone(&shared), taken, gone));
        Ok(Server {
            runtime: Some(runtime),
            shared,
            connections,
            service: Mutex::new(Some((go, service))),
            sockets: Mutex::default(),
            tls: Arc::default(),
        })
    }

    /// Does some work where calls are served: in a task of the server, and then on one of the threads on which calls may wait.
    /// Returns once it is done, or `false` if that is not possible. A server that is stuck never returns.
    pub async fn work(&self, work: impl FnOnce() + Send + 'static) -> bool {
        let Ok(runtime) = self.runtime() else { return false };
        let task = runtime.spawn(async move { tokio::task::spawn_blocking(work).await.is_ok() });
        task.await.unwrap_or(false)
    }

    fn runtime(&self) -> Result<&Runtime> {
        self.runtime.as_ref().ok_or_else(|| Error::unreachable("a server without its threads"))
    }

    /// Listens on a Unix socket. A socket file left behind by a dead server is replaced.
    ///
    /// # Errors
    /// `FWP_E_ALREADY_EXISTS` if another server listens there or the path is not a socket,
    /// `ERROR_ACCESS_DENIED` without permission, `FWP_E_INVALID_PARAMETER` if the socket cannot be created
    /// for another reason.
    pub fn listen_unix(&self, socket: &UnixSocket) -> Result {
        let listener = bind_unix(socket)?;
        let inode = std::fs::metadata(&socket.path).map(|found| found.ino()).unwrap_or_default();
        let mut sockets = self.sockets.lock().unwrap_or_else(PoisonError::into_inner);
        sockets.push(SocketFile { path: socket.path.clone(), inode });
        drop(sockets);
        self.serve_unix(listener)
    }

    /// Accepts connections from a Unix socket that another program has opened, such as systemd.
    ///
    /// # Errors
    /// `FWP_E_INVALID_PARAMETER` if `listener` cannot be used as a listening socket.
    pub fn serve_unix(&self, listener: UnixListener) -> Result {
        let runtime = self.runtime()?;
        let _guard = runtime.enter();
        let what = "the Unix socket";
        listener.set_nonblocking(true).map_err(|error| failed(what, &error))?;
        let listener = tokio::net::UnixListener::from_std(listener).map_err(|error| failed(what, &error))?;
        let (shared, taken) = (Arc::clone(&self.shared), self.connections.clone());
        let mut stopping = self.shared.stopping.subscribe();
        runtime.spawn(async move {
            loop {
                let accepted = tokio::select! {
                    accepted = listener.accept() => accepted,
                    _ = stopping.wait_for(|stopping| *stopping) => return,
                };
                let Some(stream) = accepted_or_pause(accepted.map(|(stream, _)| stream)).await else {
                    continue;
                };
                let (shared, taken) = (Arc::clone(&shared), taken.clone());
                tokio::spawn(async move {
                    let unknown = |error: io::Error| shared.refused(&error, "cannot identify the client");
                    // The places come first: to look up the user's name can take long.
                    let user = match stream.peer_cred() {
                        Ok(credentials) => Sid::unix_user(credentials.uid()),
                        Err(error) => return unknown(error),
                    };
                    let places = match shared.places(user) {
                        Ok(places) => places,
                        Err(why) => {
                            shared.refused(&user, &why);
                            return shared.refuse(Box::new(stream), &why).await;
                        }
                    };
                    match accept::unix_peer(&stream, &shared.options).await {
                        Ok(peer) => shared.take(Box::new(stream), peer, places, None, taken).await,
                        Err(error) => unknown(error),
                    }
                });
            }
        });
        Ok(())
    }

    /// Listens for mutual TLS. Returns the bound address.
    ///
    /// # Errors
    /// Those of [`Server::set_tls`]; `FWP_E_ALREADY_EXISTS` if the address is in use, `ERROR_ACCESS_DENIED`
    /// without permission, `FWP_E_INVALID_PARAMETER` if it cannot be bound for another reason.
    pub fn listen_tls(&self, address: SocketAddr, tls: &ServerTls) -> Result<SocketAddr> {
        self.set_tls(tls)?;
        let listener = TcpListener::bind(address).map_err(|error| failed(address, &error))?;
        self.serve_tls(listener)
    }

    /// Accepts mutual TLS connections from a TCP socket that another program has opened. Returns its
    /// address. Call [`Server::set_tls`] first; without certificates the server drops all connections.
    ///
    /// # Errors
    /// `FWP_E_INVALID_PARAMETER` if `listener` cannot be used as a listening socket.
    pub fn serve_tls(&self, listener: TcpListener) -> Result<SocketAddr> {
        let tls = Arc::clone(&self.tls);
        self.serve_tcp(listener, move |shared, stream, address, waiting, taken| {
            let tls = tls.read().unwrap_or_else(PoisonError::into_inner).clone();
            async move {
                let Some(tls) = tls else { return };
                let at_most = shared.options.handshake_timeout;
                let shake = async {
                    if !plain::speaks_tls(&stream).await.unwrap_or(true) {
                        return Err(stream);
                    }
                    Ok(tls.acceptor.accept(stream).into_fallible().await)
                };
                let stream = match tokio::time::timeout(at_most, shake).await {
                    Ok(Ok(Ok(stream))) => stream,
                    Ok(Ok(Err((error, stream)))) => {
                        shared.refused(&format_args!("{address}, {error}"), "the TLS handshake failed");
                        // The TLS alert that was already sent contains the reason.
                        return shared.say_and_close(Box::new(stream), &[]).await;
                    }
                    Ok(Err(stream)) => {
                        shared.refused(&address, "the client does not speak TLS");
                        return plain::answer(stream, at_most).await;
                    }
                    Err(_) => return shared.refused(&address, "the TLS handshake took too long"),
                };
                let certificate = stream.get_ref().1.peer_certificates().and_then(<[_]>::first);
                let identity = certificate.and_then(|certificate| tls.settings.identify(certificate));
                let peer = match identity {
                    Some((principal, name)) => Peer::remote(Some(principal), name, address),
                    None => {
                        let names = certificate.map(crate::tls::names).unwrap_or_default();
                        let peer = Peer::remote(None, names.join(", "), address);
                        shared.refused(&peer, "no [[tls.clients]] entry names the client's certificate");
                        peer
                    }
                };
                shared.take_remote(Box::new(stream), peer, waiting, taken).await;
            }
        })
    }

    /// Uses these certificates and client rules for all new connections.
    ///
    /// # Errors
    /// `FWP_E_INVALID_PARAMETER` with the file or rule that cannot be used; the previous settings remain in
    /// effect.
    pub fn set_tls(&self, tls: &ServerTls) -> Result {
        tls.clients.iter().try_for_each(|rule| crate::tls::check_name(&rule.name))?;
        let acceptor = TlsAcceptor::from(Arc::new(tls.config()?));
        let state = Arc::new(TlsState { acceptor, settings: tls.clone() });
        *self.tls.write().unwrap_or_else(PoisonError::into_inner) = Some(state);
        Ok(())
    }

    /// Listens without encryption, on a loopback address only. Every client acts as `principal`. Returns
    /// the bound address.
    ///
    /// # Errors
    /// `FWP_E_INVALID_PARAMETER` if `address` is not a loopback address or cannot be bound,
    /// `FWP_E_ALREADY_EXISTS` if it is in use, `ERROR_ACCESS_DENIED` without permission.
    pub fn listen_plain(&self, address: SocketAddr, principal: &Principal) -> Result<SocketAddr> {
        if !address.ip().is_loopback() {
            let what =
                format!("{address} is not a loopback address; without TLS the daemon listens only on those");
            return Err(Error::new(Code::FWP_E_INVALID_PARAMETER, what)
                .with_remedy("Listen on 127.0.0.1 or ::1, or use TLS."));
        }
        let listener = TcpListener::bind(address).map_err(|error| failed(address, &error))?;
        let principal = principal.clone();
        self.serve_tcp(listener, move |shared, stream, address, waiting, taken| {
            let peer = Peer::remote(Some(principal.clone()), String::new(), address);
            async move { shared.take_remote(Box::new(stream), peer, waiting, taken).await }
        })
    }

    fn serve_tcp<F: Future<Output = ()> + Send + 'static>(
        &self,
        listener: TcpListener,
        take: impl Fn(
            Arc<Shared>,
            tokio::net::TcpStream,
            SocketAddr,
            accept::Waiting,
            mpsc::Sender<io::Result<Connection>>,
        ) -> F
        + Send
        + 'static,
    ) -> Result<SocketAddr> {
        let runtime = self.runtime()?;
        let _guard = runtime.enter();
        let what = "the TCP socket";
        let address = listener.local_addr().map_err(|error| failed(what, &error))?;
        listener.set_nonblocking(true).map_err(|error| failed(what, &error))?;
        let listener = tokio::net::TcpListener::from_std(listener).map_err(|error| failed(what, &error))?;
        let (shared, taken) = (Arc::clone(&self.shared), self.connections.clone());
        let mut stopping = self.shared.stopping.subscribe();
        runtime.spawn(async move {
            loop {
                let accepted = tokio::select! {
                    accepted = listener.accept() => accepted,
                    _ = stopping.wait_for(|stopping| *stopping) => return,
                };
                let Some((stream, from)) = accepted_or_pause(accepted).await else { continue };
                // Answers are short and written whole, so Nagle's algorithm would only delay them.
                drop(stream.set_nodelay(true));
                match shared.waiting_place(from.ip()) {
                    Ok(waiting) => {
                        tokio::spawn(take(Arc::clone(&shared), stream, from, waiting, taken.clone()));
                    }
                    // Before the TLS handshake the reason cannot be sent.
                    Err(why) => shared.refused(&from, why),
                }
            }
        });
        Ok(address)
    }

    /// Changes the limits for everything that clients request from now on. What they already have stays,
    /// and the limits that are fixed at the start ([`Limits`]) do not change.
    pub fn set_limits(&self, limits: Limits) {
        *self.shared.limits.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(limits);
    }

    /// Returns the number of open sessions.
    pub fn sessions(&self) -> usize {
        self.shared.sessions.len()
    }

    /// Returns the number of open connections.
    pub fn connections(&self) -> usize {
        self.shared.connections.load(Ordering::Acquire)
    }

    /// Stops the server: it refuses new connections and calls, notifies all sessions, and waits for running
    /// calls to finish. Returns whether everything finished within `bound`; whatever did not is aborted.
    pub fn stop(mut self, bound: Duration) -> bool {
        let Some(runtime) = self.runtime.take() else { return true };
        let service = self.service.lock().unwrap_or_else(PoisonError::into_inner).take();
        let deadline = Instant::now() + bound;
        self.shared.stopping.send_replace(true);
        let why = Error::new(Code::FWP_E_SESSION_ABORTED, "the daemon is stopping");
        self.shared.sessions.end_all(&crate::status::detail(&why));
        let shared = Arc::clone(&self.shared);
        let in_time = runtime.block_on(async move {
            let mut running = shared.running.subscribe();
            let finished = tokio::time::timeout(bound, running.wait_for(|running| *running == 0)).await;
            let Some((go, service)) = service else { return finished.is_ok() };
            go.send_replace(true);
            let left = deadline.saturating_duration_since(Instant::now());
            finished.is_ok() && tokio::time::timeout(left, service).await.is_ok()
        });
        runtime.shutdown_background();
        in_time
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.shared.stopping.send_replace(true);
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Server({} sessions)", self.sessions())
    }
}

/// Returns the accepted connection, or pauses after an error, because the system lacks a resource such
/// as file descriptors.
async fn accepted_or_pause<T>(accepted: io::Result<T>) -> Option<T> {
    match accepted {
        Ok(stream) => Some(stream),
        Err(error) => {
            tracing::error!("cannot accept connections: {error}");
            tokio::time::sleep(Duration::from_millis(50)).await;
            None
        }
    }
}

fn bind_unix(socket: &UnixSocket) -> Result<UnixListener> {
    let path = &socket.path;
    let at = path.display();
    if let Ok(found) = std::fs::symlink_metadata(path) {
        if !found.file_type().is_socket() {
            return Err(Error::new(Code::FWP_E_ALREADY_EXISTS, format!("{at} exists and is not a socket"))
                .with_remedy("Choose another path."));
        }
        if std::os::unix::net::UnixStream::connect(path).is_ok() {
            return Err(Error::new(
                Code::FWP_E_ALREADY_EXISTS,
                format!("another process already listens on {at}"),
            )
            .with_remedy("Stop the other daemon, or choose another path."));
        }
    }
    // The socket is created under a temporary name until its permissions are set.
    let mut early = path.clone().into_os_string();
    early.push(format!(".{}", std::process::id()));
    let early = Path::new(&early);
    drop(std::fs::remove_file(early));
    let listener = UnixListener::bind(early).map_err(|error| failed(at, &error))?;
    let ready = std::fs::set_permissions(early, std::fs::Permissions::from_mode(socket.mode))
        .and_then(|()| match socket.group {
            Some(group) => std::os::unix::fs::chown(early, None, Some(group)),
            None => Ok(()),
        })
        .and_then(|()| std::fs::rename(early, path));
    if let Err(error) = ready {
        drop(std::fs::remove_file(early));
        return Err(failed(path.display(), &error));
    }
    Ok(listener)
}

/// Runs the service for all connections until `gone` is set.
async fn serve(
    shared: Arc<Shared>,
    connections: mpsc::Receiver<io::Result<Connection>>,
    mut gone: watch::Receiver<bool>,
) {
    let (options, message_bytes) = (shared.options.clone(), shared.limits().message_bytes);
    let (health, health_service) = tonic_health::server::health_reporter();
    health.set_serving::<FilterEngineServer<service::Service>>().await;
    let reflection = || {
        tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(crate::proto::DESCRIPTORS)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
    };
    let (Ok(reflection_v1), Ok(reflection_v1alpha)) = (reflection().build_v1(), reflection().build_v1alpha())
    else {
        return tracing::error!("cannot build the reflection service");
    };
    let engine = FilterEngineServer::new(service::Service(Arc::clone(&shared)))
        .max_decoding_message_size(message_bytes);
    let outcome = tonic::transport::Server::builder()
        .http2_keepalive_interval(Some(options.keepalive_interval))
        .http2_keepalive_timeout(Some(options.keepalive_timeout))
        .http2_max_header_list_size(budget::HEADERS)
        .max_concurrent_streams(u32::try_from(openwfp_api::bounds::STREAMS).ok())
        .layer(budget::Budget(Arc::clone(&shared)))
        .add_service(engine)
        .add_service(health_service)
        .add_service(reflection_v1)
        .add_service(reflection_v1alpha)
        .serve_with_incoming_shutdown(ReceiverStream::new(connections), async move {
            // A dropped sender means the same.
            drop(gone.wait_for(|gone| *gone).await);
        })
        .await;
    if let Err(error) = outcome {
        tracing::error!("the service ended: {error}");
    }
}
