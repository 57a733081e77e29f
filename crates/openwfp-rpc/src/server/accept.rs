//! Accepts connections: identifies the client, enforces the limits and waits for the HTTP/2 preface.

use super::Peer;
use super::Shared;
use super::limits::Slot;
use openwfp_api::Principal;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::Context;
use std::task::Poll;
use std::time::Duration;
use tokio::io::AsyncRead;
use tokio::io::AsyncReadExt;
use tokio::io::AsyncWrite;
use tokio::io::AsyncWriteExt;
use tokio::io::ReadBuf;
use tokio::net::UnixStream;
use tokio::sync::mpsc;
use tonic::transport::server::Connected;

/// The preface that an HTTP/2 client sends first (RFC 9113 §3.4).
const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Maximum number of refused connections that are kept open until their clients have read the reason.
const REFUSALS_MAX: usize = 64;

/// Maximum time that a refused connection is kept open.
const REFUSAL_TIME: Duration = Duration::from_secs(1);

/// A byte stream to a client.
pub(crate) trait Wire: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Wire for T {}

/// A connection whose client is identified and has sent the HTTP/2 preface.
pub(crate) struct Connection {
    wire: Box<dyn Wire>,
    /// How many bytes of the preface, which was already read from the wire, have been returned to the
    /// reader.
    seen: usize,
    peer: Arc<Peer>,
    _places: (Place, Slot),
}

/// One of the permitted connections; dropping it frees its place.
pub(crate) struct Place(Arc<Shared>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.connections.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Shared {
    /// Reserves a place for a connection. Returns `None` at the limit.
    pub(crate) fn place(self: &Arc<Shared>) -> Option<Place> {
        let taken = self.connections.fetch_add(1, Ordering::AcqRel);
        let place = Place(Arc::clone(self));
        (taken < self.limits().connections).then_some(place)
    }

    /// Takes over a connection from an identified client: waits for the preface and passes the connection
    /// to the service.
    pub(crate) async fn take(
        self: Arc<Shared>,
        mut wire: Box<dyn Wire>,
        peer: Peer,
        place: Place,
        taken: mpsc::Sender<io::Result<Connection>>,
    ) {
        let limits = self.limits();
        let slot = match self.users.of(peer.principal().user).connection(&limits) {
            Ok(slot) => slot,
            Err(error) => {
                tracing::warn!(peer = %peer, "connection refused: {}", error.what());
                drop(place);
                return self.refuse(wire, error.what()).await;
            }
        };
        let mut preface = [0; PREFACE.len()];
        match tokio::time::timeout(self.options.handshake_timeout, wire.read_exact(&mut preface)).await {
            Err(_) => tracing::debug!(peer = %peer, "connection closed: the client sent nothing"),
            Ok(Err(error)) => tracing::debug!(peer = %peer, "connection lost: {error}"),
            Ok(Ok(_)) if preface != *PREFACE => {
                tracing::warn!(peer = %peer, "connection closed: its client does not speak HTTP/2");
            }
            Ok(Ok(_)) => {
                tracing::debug!(peer = %peer, "connected");
                let connection = Connection { wire, seen: 0, peer: Arc::new(peer), _places: (place, slot) };
                // Sending fails only if the server is stopping.
                drop(taken.send(Ok(connection)).await);
            }
        }
    }

    /// Refuses a connection at a limit: sends an HTTP/2 GOAWAY with the reason and closes.
    pub(crate) async fn refuse(self: Arc<Shared>, wire: Box<dyn Wire>, why: &str) {
        self.say_and_close(wire, &goaway(why)).await;
    }

    /// Sends `last_words` and closes the connection so that the client can read them and everything sent
    /// before. Meanwhile it reads and discards the client's data; otherwise the system would reset the
    /// connection and lose what was sent.
    pub(crate) async fn say_and_close(self: Arc<Shared>, mut wire: Box<dyn Wire>, last_words: &[u8]) {
        let waiting = self.refusals.fetch_add(1, Ordering::AcqRel);
        if waiting < REFUSALS_MAX {
            let polite = async {
                wire.write_all(last_words).await?;
                wire.shutdown().await?;
                tokio::io::copy(&mut wire, &mut tokio::io::sink()).await
            };
            // Nothing can be done if the client did not read it.
            drop(tokio::time::timeout(REFUSAL_TIME, polite).await);
        }
        self.refusals.fetch_sub(1, Ordering::AcqRel);
    }
}

/// Returns SETTINGS and a GOAWAY with `ENHANCE_YOUR_CALM` and the reason (RFC 9113 §6.5, §6.8).
fn goaway(why: &str) -> Vec<u8> {
    let why = &why.as_bytes()[..why.len().min(200)];
    let mut bytes = vec![0, 0, 0, 4, 0, 0, 0, 0, 0];
    #[allow(clippy::cast_possible_truncation, reason = "at most 208")]
    bytes.extend([0, 0, 8 + why.len() as u8, 7, 0, 0, 0, 0, 0]);
    bytes.extend([0, 0, 0, 0, 0, 0, 0, 0x0b]);
    bytes.extend(why);
    bytes
}

/// Identifies the peer of a Unix socket: the connecting process, its user and that user's groups.
pub(crate) async fn unix_peer(stream: &UnixStream) -> io::Result<Peer> {
    let credentials = stream.peer_cred()?;
    let (uid, gid) = (credentials.uid(), credentials.gid());
    let process_id = credentials.pid().and_then(|pid| u32::try_from(pid).ok()).unwrap_or(0);
    // The user database may be a file or a remote service, so look-ups may block.
    let found = tokio::task::spawn_blocking(move || {
        use nix::unistd::Gid;
        use nix::unistd::Uid;
        use nix::unistd::User;
        let user = User::from_uid(Uid::from_raw(uid)).ok().flatten();
        let name = user.map(|user| user.name).unwrap_or_default();
        let mut groups = vec![gid];
        if let Ok(c_name) = std::ffi::CString::new(name.as_str())
            && !name.is_empty()
            && let Ok(more) = nix::unistd::getgrouplist(&c_name, Gid::from_raw(gid))
        {
            groups.extend(more.into_iter().map(Gid::as_raw).filter(|other| *other != gid));
        }
        (name, groups)
    });
    let (name, groups) = found.await.map_err(io::Error::other)?;
    Ok(Peer::known(Principal::unix(uid, &groups), name, process_id))
}

impl Connected for Connection {
    type ConnectInfo = Arc<Peer>;

    fn connect_info(&self) -> Arc<Peer> {
        Arc::clone(&self.peer)
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.seen < PREFACE.len() {
            let rest = &PREFACE[self.seen..];
            let part = &rest[..rest.len().min(buffer.remaining())];
            buffer.put_slice(part);
            self.seen += part.len();
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.wire).poll_read(context, buffer)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.wire).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.wire).poll_write_vectored(context, parts)
    }

    fn is_write_vectored(&self) -> bool {
        self.wire.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.wire).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.wire).poll_shutdown(context)
    }
}
