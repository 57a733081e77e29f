//! Accepts connections: identifies the client, enforces the limits and waits for the HTTP/2 preface.

use super::Peer;
use super::ServerOptions;
use super::Shared;
use super::authority::Filter;
use super::limits::Slot;
use openwfp_api::IpNet;
use openwfp_api::Principal;
use openwfp_api::Sid;
use openwfp_api::bounds;
use std::collections::HashMap;
use std::fmt;
use std::io;
use std::mem::MaybeUninit;
use std::net::IpAddr;
use std::os::fd::AsFd;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::MutexGuard;
use std::sync::PoisonError;
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

/// Maximum number of different reasons for refusals that are counted at the same time.
const REFUSAL_KINDS_MAX: usize = 64;

/// Bytes that are read from a Unix socket at a time.
const READ: usize = 1 << 14;

/// The reason for refusing a connection at the limit.
const NO_ROOM: &str = "the daemon has reached its limit of connections (limits.connections)";

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
    /// On a Unix socket: makes what was read valid, and holds what has yet to be returned.
    filter: Option<(Filter, Vec<u8>)>,
    peer: Arc<Peer>,
    _places: Places,
}

/// What a connection takes of the daemon's limit and of its user's.
pub(crate) type Places = (Place, Slot);

/// One of the permitted connections; dropping it frees its place.
pub(crate) struct Place(Arc<Shared>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.connections.fetch_sub(1, Ordering::AcqRel);
    }
}

/// The place of a network client that has yet to identify itself; dropping it frees the place.
pub(crate) struct Waiting {
    shared: Arc<Shared>,
    from: [IpNet; 2],
}

/// Returns the networks that are counted for an address: a host, for IPv6 the network of 64 bits that hosts have for themselves;
/// and the network around it.
fn networks(address: IpAddr) -> [IpNet; 2] {
    let address = address.to_canonical();
    let lengths = if address.is_ipv4() { [32, 24] } else { [64, 48] };
    lengths.map(|length| IpNet::new(address, length).map_or(address.into(), |network| network.trunc()))
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let mut origins = self.shared.origins();
        origins.all -= 1;
        for from in self.from {
            if let Some(count) = origins.of.get_mut(&from) {
                *count -= 1;
                if *count == 0 {
                    origins.of.remove(&from);
                }
            }
        }
    }
}

/// The network clients that have yet to identify themselves.
#[derive(Default)]
pub(crate) struct Origins {
    all: usize,
    of: HashMap<IpNet, usize>,
}

/// How many clients of one network may be identifying themselves, as a multiple of those of one address.
const NETWORK_FACTOR: usize = 4;

impl Shared {
    /// Reserves places for a connection of a user.
    ///
    /// # Errors
    /// The limit that it would exceed.
    pub(crate) fn places(self: &Arc<Shared>, user: Sid) -> Result<Places, String> {
        let slot = self.user(user).connection(&self.limits());
        let slot = slot.map_err(|error| error.what().to_owned())?;
        Ok((self.place(user)?, slot))
    }

    fn place(self: &Arc<Shared>, user: Sid) -> Result<Place, &'static str> {
        let taken = self.connections.fetch_add(1, Ordering::AcqRel);
        let place = Place(Arc::clone(self));
        let limit = self.limits().connections;
        let limit = if user == Sid::ROOT {
            limit
        } else {
            limit.saturating_sub(bounds::RESERVED_CONNECTIONS.min(limit / 2))
        };
        if taken < limit { Ok(place) } else { Err(NO_ROOM) }
    }

    fn origins(&self) -> MutexGuard<'_, Origins> {
        self.origins.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reserves a place for a network client that has yet to identify itself.
    ///
    /// # Errors
    /// The limit that it would exceed.
    pub(crate) fn waiting_place(self: &Arc<Shared>, address: IpAddr) -> Result<Waiting, &'static str> {
        let limits = self.limits();
        let mut origins = self.origins();
        let from = networks(address);
        if origins.all >= limits.handshakes {
            return Err("too many clients are identifying themselves (limits.handshakes)");
        }
        let limit = limits.handshakes_per_address;
        for (origin, limit) in from.iter().zip([limit, limit.saturating_mul(NETWORK_FACTOR)]) {
            if origins.of.get(origin).is_some_and(|count| *count >= limit) {
                return Err(
                    "too many clients of this address or network are identifying themselves (limits.handshakes_per_address)",
                );
            }
        }
        origins.all += 1;
        for origin in from {
            *origins.of.entry(origin).or_default() += 1;
        }
        drop(origins);
        Ok(Waiting { shared: Arc::clone(self), from })
    }

    /// Logs a refused connection: the first of each kind at once, and then the number of those in each second.
    pub(crate) fn refused(self: &Arc<Shared>, who: &dyn fmt::Display, why: &str) {
        let mut kinds = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = kinds.get_mut(why) {
            *count += 1;
            return;
        }
        if kinds.len() >= REFUSAL_KINDS_MAX {
            return;
        }
        tracing::warn!(peer = %who, "connection refused: {why}");
        kinds.insert(why.to_owned(), 0);
        drop(kinds);
        let (shared, why) = (Arc::clone(self), why.to_owned());
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(Duration::from_secs(1)).await;
                let mut kinds = shared.refused.lock().unwrap_or_else(PoisonError::into_inner);
                match kinds.get_mut(&why).map(std::mem::take) {
                    None | Some(0) => {
                        kinds.remove(&why);
                        return;
                    }
                    Some(count) => tracing::warn!(count, "more connections refused: {why}"),
                }
            }
        });
    }

    /// Takes over the connection of an identified network client.
    pub(crate) async fn take_remote(
        self: Arc<Shared>,
        wire: Box<dyn Wire>,
        peer: Peer,
        waiting: Waiting,
        taken: mpsc::Sender<io::Result<Connection>>,
    ) {
        match self.places(peer.user()) {
            Ok(places) => self.take(wire, peer, places, Some(waiting), taken).await,
            Err(why) => {
                self.refused(&peer, &why);
                drop(waiting);
                self.refuse(wire, &why).await;
            }
        }
    }

    /// Takes over a connection from an identified client: waits for the preface and passes the connection
    /// to the service.
    pub(crate) async fn take(
        self: Arc<Shared>,
        mut wire: Box<dyn Wire>,
        peer: Peer,
        places: Places,
        waiting: Option<Waiting>,
        taken: mpsc::Sender<io::Result<Connection>>,
    ) {
        let mut preface = [0; PREFACE.len()];
        match tokio::time::timeout(self.options.handshake_timeout, wire.read_exact(&mut preface)).await {
            Err(_) => tracing::debug!(peer = %peer, "connection closed: the client sent nothing"),
            Ok(Err(error)) => tracing::debug!(peer = %peer, "connection lost: {error}"),
            Ok(Ok(_)) if preface != *PREFACE => self.refused(&peer, "the client does not speak HTTP/2"),
            Ok(Ok(_)) => {
                tracing::debug!(peer = %peer, "connected");
                drop(waiting);
                let filter = peer.is_local().then(Default::default);
                let connection = Connection { wire, seen: 0, filter, peer: Arc::new(peer), _places: places };
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

/// Identifies the peer of a Unix socket: the connecting process, its user and groups as they were when it connected.
pub(crate) async fn unix_peer(stream: &UnixStream, options: &ServerOptions) -> io::Result<Peer> {
    let credentials = stream.peer_cred()?;
    let (uid, gid) = (credentials.uid(), credentials.gid());
    let process_id = credentials.pid().and_then(|pid| u32::try_from(pid).ok()).unwrap_or(0);
    let mut groups = vec![gid];
    if let Some(peer_groups) = options.peer_groups {
        groups.extend(peer_groups(stream.as_fd())?.into_iter().filter(|other| *other != gid));
    }
    // The user database may be a file or a remote service, so look-ups may block.
    let found = tokio::task::spawn_blocking(move || {
        let user = nix::unistd::User::from_uid(nix::unistd::Uid::from_raw(uid)).ok().flatten();
        user.map(|user| user.name).unwrap_or_default()
    });
    let name = found.await.map_err(io::Error::other)?;
    Ok(Peer::local(Principal::unix(uid, &groups), name, process_id))
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
        let this = &mut *self;
        if this.seen < PREFACE.len() {
            let rest = &PREFACE[this.seen..];
            let part = &rest[..rest.len().min(buffer.remaining())];
            buffer.put_slice(part);
            this.seen += part.len();
            return Poll::Ready(Ok(()));
        }
        let Some((filter, ready)) = &mut this.filter else {
            return Pin::new(&mut this.wire).poll_read(context, buffer);
        };
        while ready.is_empty() {
            let mut bytes = [MaybeUninit::uninit(); READ];
            let mut bytes = ReadBuf::uninit(&mut bytes);
            std::task::ready!(Pin::new(&mut this.wire).poll_read(context, &mut bytes))?;
            if bytes.filled().is_empty() {
                return Poll::Ready(Ok(()));
            }
            filter.take(bytes.filled(), ready);
        }
        let count = ready.len().min(buffer.remaining());
        buffer.put_slice(&ready[..count]);
        ready.drain(..count);
        Poll::Ready(Ok(()))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_share_a_network() {
        let of = |text: &str| networks(text.parse().unwrap()).map(|network| network.to_string());
        assert_eq!(of("192.0.2.7"), ["192.0.2.7/32", "192.0.2.0/24"]);
        assert_eq!(of("::ffff:192.0.2.7"), ["192.0.2.7/32", "192.0.2.0/24"]);
        assert_eq!(of("2001:db8:1:2:3::4"), ["2001:db8:1:2::/64", "2001:db8:1::/48"]);
    }
}
