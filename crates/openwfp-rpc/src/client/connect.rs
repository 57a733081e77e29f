//! Connects to a daemon over a Unix socket, TCP or TLS, and turns connection failures into specific
//! errors.

use super::ClientOptions;
use super::Target;
use openwfp_api::Code;
use openwfp_api::Error;
use openwfp_api::Result;
use rustls::pki_types::ServerName;
use std::io;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::OnceLock;
use std::sync::PoisonError;
use std::task::Context;
use std::task::Poll;
use tokio::io::AsyncRead;
use tokio::io::AsyncWrite;
use tokio::io::ReadBuf;
use tokio::net::TcpStream;
use tokio::net::UnixStream;
use tokio_rustls::TlsConnector;
use tonic::transport::Channel;
use tonic::transport::Endpoint;

/// The reason for which the peer closed the connection. The HTTP/2 layers above discard it, so the
/// connection records it here.
pub(crate) type Refusal = Arc<OnceLock<Error>>;

/// Initial HTTP/2 flow-control window of a stream, in bytes.
const WINDOW: u32 = 4 << 20;

/// Connects and performs the HTTP/2 handshake. The channel never reconnects, because a broken
/// connection has already ended its session.
pub(crate) async fn connect(target: &Target, options: &ClientOptions, refusal: &Refusal) -> Result<Channel> {
    let wire: Box<dyn Wire> = match target {
        Target::Unix(path) => Box::new(unix(path).await?),
        Target::Plain { host, port } => Box::new(tcp(target, host, *port).await?),
        Target::Tls { host, port } => {
            let stream = tcp(target, host, *port).await?;
            let tls = options.tls.as_ref().ok_or_else(|| {
                Error::new(Code::FWP_E_INVALID_PARAMETER, format!("{target} requires a client certificate"))
                    .with_remedy(
                        "Pass --cert, --key and --ca, or set OPENWFP_CERT, OPENWFP_KEY and OPENWFP_CA.",
                    )
            })?;
            let config = Arc::new(tls.config()?);
            let name = ServerName::try_from(host.clone()).map_err(|error| {
                Error::new(Code::FWP_E_INVALID_PARAMETER, format!("\"{host}\" is not a host name: {error}"))
            })?;
            let handshake = TlsConnector::from(config).connect(name, stream).await;
            Box::new(handshake.map_err(|error| {
                crate::status::refused_by_peer(&error).unwrap_or_else(|| no_tls(target, &error))
            })?)
        }
    };
    let wire = Mutex::new(Some(Noted { wire, refusal: Arc::clone(refusal), head: Vec::new() }));
    let once = tower::service_fn(move |_: tonic::codegen::http::Uri| {
        let wire = wire.lock().unwrap_or_else(PoisonError::into_inner).take();
        let wire = wire.map(hyper_util::rt::TokioIo::new);
        std::future::ready(wire.ok_or_else(|| io::Error::from(io::ErrorKind::NotConnected)))
    });
    let endpoint = Endpoint::from_static("http://engine")
        .http2_keep_alive_interval(options.keepalive_interval)
        .keep_alive_timeout(options.keepalive_timeout)
        .keep_alive_while_idle(true)
        .initial_stream_window_size(WINDOW)
        .initial_connection_window_size(2 * WINDOW);
    let connected = endpoint.connect_with_connector(once).await;
    connected.map_err(|error| unreachable_at(target, &error))
}

async fn unix(path: &Path) -> Result<UnixStream> {
    UnixStream::connect(path).await.map_err(|error| {
        let at = path.display();
        match error.kind() {
            io::ErrorKind::PermissionDenied => {
                Error::new(Code::RPC_E_ACCESS_DENIED, format!("cannot open {at}: {error}"))
                    .with_remedy("Join the socket's group, or run as root.")
            }
            _ => Error::new(Code::RPC_E_SERVER_DIED_DNE, format!("cannot reach {at}: {error}"))
                .with_remedy("Check the path, and that a daemon runs there (`wfp serve`)."),
        }
    })
}

async fn tcp(target: &Target, host: &str, port: u16) -> Result<TcpStream> {
    let stream = TcpStream::connect((host, port)).await.map_err(|error| unreachable_at(target, &error))?;
    // Requests are short and written whole, so Nagle's algorithm would only delay them.
    drop(stream.set_nodelay(true));
    Ok(stream)
}

/// Returns the error for a GOAWAY with `ENHANCE_YOUR_CALM`, which a daemon without free connections
/// sends before anything else, with its reason.
fn no_room(mut frames: &[u8]) -> Option<Error> {
    loop {
        let ([a, b, c, kind, _, _, _, _, _], rest) = frames.split_first_chunk::<9>()?;
        let length = usize::try_from(u32::from_be_bytes([0, *a, *b, *c])).ok()?;
        let (content, rest) = rest.split_at_checked(length)?;
        if let (7, [_, _, _, _, 0, 0, 0, 0x0b, why @ ..]) = (kind, content) {
            let what = format!("the daemon refused the connection: {}", String::from_utf8_lossy(why));
            return Some(Error::new(Code::RPC_E_OUT_OF_RESOURCES, what).with_remedy("Try again later."));
        }
        frames = rest;
    }
}

fn no_tls(target: &Target, error: &io::Error) -> Error {
    Error::new(Code::RPC_E_INVALID_DATAPACKET, format!("TLS handshake with {target} failed: {error}"))
        .with_remedy("The server does not speak TLS on this port, or refuses connections at its limit. Check the port, or try again later.")
}

fn unreachable_at(target: &Target, error: &dyn std::error::Error) -> Error {
    let mut what = format!("cannot reach {target}: {error}");
    let mut cause = error.source();
    while let Some(error) = cause {
        what = format!("{what}: {error}");
        cause = error.source();
    }
    Error::new(Code::RPC_E_SERVER_DIED_DNE, what)
}

/// A byte stream to the daemon.
trait Wire: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Wire for T {}

/// A connection that records why the peer closed it.
struct Noted {
    wire: Box<dyn Wire>,
    refusal: Refusal,
    /// The first bytes that were read, up to `HEAD_MAX`: a refusal appears only there.
    head: Vec<u8>,
}

/// Number of initial bytes to search for a refusal.
const HEAD_MAX: usize = 512;

impl Noted {
    fn note<T>(&self, outcome: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if let Poll::Ready(Err(error)) = &outcome
            && let Some(why) = crate::status::refused_by_peer(error)
        {
            // Keep the first reason.
            drop(self.refusal.set(why));
        }
        outcome
    }
}

impl AsyncRead for Noted {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let outcome = Pin::new(&mut self.wire).poll_read(context, buffer);
        if self.head.len() < HEAD_MAX {
            let room = HEAD_MAX - self.head.len();
            let read = &buffer.filled()[before..];
            self.head.extend_from_slice(&read[..read.len().min(room)]);
            if let Some(why) = no_room(&self.head) {
                // Keep the first reason.
                drop(self.refusal.set(why));
            }
        }
        self.note(outcome)
    }
}

impl AsyncWrite for Noted {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.wire).poll_write(context, bytes);
        self.note(outcome)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.wire).poll_write_vectored(context, parts);
        self.note(outcome)
    }

    fn is_write_vectored(&self) -> bool {
        self.wire.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let outcome = Pin::new(&mut self.wire).poll_flush(context);
        self.note(outcome)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.wire).poll_shutdown(context)
    }
}
