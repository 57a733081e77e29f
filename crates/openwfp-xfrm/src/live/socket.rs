//! Netlink sockets for requests, complete dumps and events.

use crate::wire::Attributes;
use crate::wire::Message;
use crate::wire::MessageKind;
use crate::wire::Messages;
use netlink_sys::Socket;
use netlink_sys::SocketAddr;
use netlink_sys::protocols::NETLINK_ROUTE;
use netlink_sys::protocols::NETLINK_XFRM;
use openwfp_api::Code;
use openwfp_api::Error;
use openwfp_api::Result;
use std::io;
use std::os::fd::AsFd;
use std::os::fd::BorrowedFd;
use zeroize::Zeroizing;

/// Buffer space for one receive, in bytes. The kernel fills the space offered, up to 32 KiB, and
/// silently cuts off what does not fit.
const RECEIVE_LEN: usize = 64 * 1024;
/// Receive buffer for replies, in bytes.
const REPLY_BUFFER_LEN: u32 = 1024 * 1024;
/// What a state and a policy take in a dump, usually: buffers of the right size are not copied while they grow.
const STATE_LEN: usize = 512;
const POLICY_LEN: usize = 320;
/// Maximum number of objects looked up at a time, so that the replies fit the buffer.
pub(super) const LOOK_UPS: usize = 64;

const RTM_GETADDR: u16 = 22;
const NLM_F_REQUEST: u16 = 1;
const NLM_F_ACK: u16 = 4;
const NLM_F_DUMP: u16 = 0x300;

const MSG_TRUNC: i32 = 0x20;
const MSG_DONTWAIT: i32 = 0x40;

/// `XFRMNLGRP_*`: acquires, expiries, states, policies and migrations.
const EVENT_GROUPS: [u32; 5] = [1, 2, 3, 4, 7];
/// `XFRMNLGRP_AEVENTS`: once it has a member, the kernel sends an event for every few packets of each
/// state.
const AEVENT_GROUP: u32 = 5;

const EPERM: i32 = 1;
const EACCES: i32 = 13;
const EINTR: i32 = 4;
const EAGAIN: i32 = 11;
const EPROTONOSUPPORT: i32 = 93;
const ENOBUFS: i32 = 105;

/// Called between the parts of a dump, so that events do not pile up.
pub(super) type Meanwhile<'m> = &'m mut dyn FnMut() -> Result;

/// A socket for requests to XFRM.
pub(super) struct Requests {
    socket: Socket,
    sequence: u32,
    /// Send and receive buffer, reused for the next request; it may have held keys.
    bytes: Zeroizing<Vec<u8>>,
}

/// The kernel's refusal of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    /// The `errno`; 0 if the request failed without one.
    pub(super) errno: i32,
    /// The kernel's message (`NLMSGERR_ATTR_MSG`) or that of the failed system call, if there is one.
    pub(super) words: Option<String>,
}

impl Refusal {
    /// Returns whether the object of the request does not exist.
    pub(super) fn is_missing(&self) -> bool {
        // ENOENT, ESRCH
        matches!(self.errno, 2 | 3)
    }
}

impl Requests {
    pub(super) fn open() -> Result<Requests> {
        let socket = open(NETLINK_XFRM)?;
        // Older kernels support neither, and report fewer details.
        let _ = socket.set_ext_ack(true);
        let _ = socket.set_cap_ack(true);
        force_buffer(&socket, REPLY_BUFFER_LEN);
        Ok(Requests { socket, sequence: 0, bytes: Zeroizing::new(Vec::new()) })
    }

    /// Takes a dump of states. The request has no payload: with one, the kernel logs warnings.
    pub(super) fn states(&mut self, meanwhile: Meanwhile<'_>) -> Result<Zeroizing<Vec<u8>>> {
        // `XFRM_MSG_GETSADINFO`: `XFRMA_SAD_CNT`.
        let room = self.count(0x23, 1).saturating_mul(STATE_LEN);
        self.sequence += 1;
        whole_dump(&self.socket, MessageKind::GetSa, self.sequence, &[], room, "the kernel's SAs", meanwhile)
    }

    /// Returns how many objects the kernel has, by the numbers of an attribute in its answer to a request; 0 if it does not tell.
    fn count(&mut self, request: u16, attribute: u16) -> usize {
        let mut count = 0_usize;
        let sum = |_: usize, payload: Option<&[u8]>| {
            // The attributes follow 32 bits of flags.
            let mut attributes = Attributes::new(payload.unwrap_or_default(), 4).flatten();
            let found = attributes.find(|(kind, ..)| *kind == attribute);
            // Those of sockets, which come after the first three, are in no dump.
            let numbers = found.map(|(_, value, _)| value.as_chunks::<4>().0).unwrap_or_default();
            count = numbers.iter().take(3).map(|number| u32::from_ne_bytes(*number) as usize).sum();
        };
        let _ = self.look_up(MessageKind::from_number(request), &[&[0; 4]], sum);
        count
    }

    /// Takes a dump of policies.
    pub(super) fn policies(&mut self, meanwhile: Meanwhile<'_>) -> Result<Zeroizing<Vec<u8>>> {
        // `XFRM_MSG_GETSPDINFO`: `XFRMA_SPD_INFO`.
        let room = self.count(0x25, 1).saturating_mul(POLICY_LEN);
        self.sequence += 1;
        let of_what = "the kernel's IPsec policies";
        whole_dump(&self.socket, MessageKind::GetPolicy, self.sequence, &[], room, of_what, meanwhile)
    }

    /// Sends one request and waits for its acknowledgement.
    pub(super) fn order(&mut self, kind: MessageKind, flags: u16, payload: &[u8]) -> Result<(), Refusal> {
        self.orders(&[(kind, flags, payload)]).pop().unwrap_or(Err(Refusal { errno: 0, words: None }))
    }

    /// Sends requests, at most [`LOOK_UPS`] of them, and waits for all acknowledgements. Returns the outcome of each.
    pub(super) fn orders(&mut self, orders: &[(MessageKind, u16, &[u8])]) -> Vec<Result<(), Refusal>> {
        let mut answers = vec![Err(Refusal { errno: 0, words: None }); orders.len()];
        let requests = orders.iter().map(|(kind, flags, payload)| (*kind, flags | NLM_F_ACK, *payload));
        let sent = self.exchange(requests, |place, reply| {
            if reply.kind == MessageKind::Error {
                answers[place] = verdict(reply);
            }
        });
        if let Err(error) = sent {
            let refusal =
                Refusal { errno: error.raw_os_error().unwrap_or(0), words: Some(error.to_string()) };
            answers
                .iter_mut()
                .filter(|answer| answer.is_err())
                .for_each(|answer| *answer = Err(refusal.clone()));
        }
        answers
    }

    /// Looks up at most [`LOOK_UPS`] objects. Calls `each` with the position of each and its payload, or
    /// none if it does not exist.
    pub(super) fn look_up(
        &mut self,
        kind: MessageKind,
        payloads: &[&[u8]],
        mut each: impl FnMut(usize, Option<&[u8]>),
    ) -> Result {
        self.exchange(payloads.iter().map(|payload| (kind, 0, *payload)), |place, reply| {
            each(place, (reply.kind != MessageKind::Error).then_some(reply.payload));
        })
        .map_err(|error| refused("look up SAs or policies in the kernel", &error))
    }

    /// Sends requests and receives a reply to each.
    fn exchange<'p>(
        &mut self,
        requests: impl ExactSizeIterator<Item = (MessageKind, u16, &'p [u8])>,
        mut each: impl FnMut(usize, &Message<'_>),
    ) -> io::Result<()> {
        let first = self.sequence.wrapping_add(1);
        let count = requests.len();
        self.bytes.clear();
        for (kind, flags, payload) in requests {
            self.sequence = self.sequence.wrapping_add(1);
            let flags = flags | NLM_F_REQUEST;
            let request = Message { offset: 0, kind, flags, sequence: self.sequence, port: 0, payload };
            request.emit(&mut self.bytes);
        }
        self.socket.send_to(&self.bytes, &SocketAddr::new(0, 0), 0)?;
        let mut left = count;
        while left > 0 {
            self.bytes.clear();
            if receive(&self.socket, &mut self.bytes, 0)? == Received::Cut {
                return Err(io::Error::other("the kernel's answer was truncated"));
            }
            for reply in Messages::new(&self.bytes).flatten() {
                // Skip replies to earlier requests that were abandoned.
                let place = usize::try_from(reply.sequence.wrapping_sub(first)).unwrap_or(usize::MAX);
                if place < count {
                    each(place, &reply);
                    left -= 1;
                }
            }
        }
        Ok(())
    }
}

/// Returns the outcome in an acknowledgement.
fn verdict(reply: &Message<'_>) -> Result<(), Refusal> {
    /// `NLM_F_ACK_TLVS`.
    const WORDS: u16 = 0x200;
    /// `NLMSGERR_ATTR_MSG`.
    const MESSAGE: u16 = 1;
    match reply.errno() {
        0 => Ok(()),
        errno => {
            // The attributes follow the errno and the request's header; with `NETLINK_CAP_ACK` the kernel omits
            // the request's payload.
            let start = 4 + Message::HEADER_LEN;
            let words = Attributes::new(reply.payload, start)
                .flatten()
                .find(|(kind, ..)| reply.flags & WORDS != 0 && *kind == MESSAGE)
                .map(|(_, text, _)| String::from_utf8_lossy(text).trim_end_matches('\0').to_owned());
            Err(Refusal { errno, words })
        }
    }
}

/// Has a socket receive the events of some groups.
fn join(socket: Socket, groups: impl IntoIterator<Item = u32>, doing: &str) -> Result<Socket> {
    for group in groups {
        socket.add_membership(group).map_err(|e| refused(doing, &e))?;
    }
    Ok(socket)
}

/// A socket that tells when this machine's addresses change.
pub(super) struct AddressEvents(Socket);

impl AddressEvents {
    /// Joins the groups for addresses of both families.
    pub(super) fn join() -> Result<AddressEvents> {
        /// `RTNLGRP_IPV4_IFADDR` and `RTNLGRP_IPV6_IFADDR`.
        const GROUPS: [u32; 2] = [5, 9];
        let doing = "subscribe to changes of this machine's addresses";
        join(open(NETLINK_ROUTE)?, GROUPS, doing).map(AddressEvents)
    }

    /// Takes all queued events; returns whether there were any.
    pub(super) fn drain(&self) -> bool {
        let mut bytes = Zeroizing::new(Vec::new());
        let mut any = false;
        loop {
            bytes.clear();
            match receive(&self.0, &mut bytes, MSG_DONTWAIT) {
                Ok(_) => any = true,
                // Lost events may have been of any address.
                Err(e) if e.raw_os_error() == Some(ENOBUFS) => any = true,
                Err(_) => return any,
            }
        }
    }
}

impl AsFd for AddressEvents {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// Takes a dump of this machine's addresses.
pub(super) fn addresses() -> Result<Zeroizing<Vec<u8>>> {
    // `ifaddrmsg` with every field unspecified selects all families and interfaces.
    let kind = MessageKind::from_number(RTM_GETADDR);
    whole_dump(&open(NETLINK_ROUTE)?, kind, 1, &[0; 8], 0, "this machine's addresses", &mut || Ok(()))
}

/// A socket that has joined the kernel's event groups.
pub(super) struct Groups(Socket);

/// Whether all events were received.
#[derive(Debug)]
pub(super) enum Drained {
    All,
    /// More events may be queued; none are lost so far.
    More,
    Lost(String),
}

impl Groups {
    /// Joins the event groups with a receive buffer of `buffer` bytes, or as many as the kernel allows.
    pub(super) fn join(buffer: u32, aevents: bool) -> Result<Groups> {
        let socket = open(NETLINK_XFRM)?;
        // A smaller buffer only makes lost events more likely, and losses are detected.
        force_buffer(&socket, buffer);
        let groups = EVENT_GROUPS.into_iter().chain(aevents.then_some(AEVENT_GROUP));
        join(socket, groups, "subscribe to the kernel's IPsec events").map(Groups)
    }

    /// Receives queued events without waiting for more, until `events` holds at least `bytes_max` bytes.
    pub(super) fn drain(&self, events: &mut Zeroizing<Vec<u8>>, bytes_max: usize) -> Result<Drained> {
        loop {
            match receive(&self.0, events, MSG_DONTWAIT) {
                Ok(Received::Whole) if events.len() >= bytes_max => return Ok(Drained::More),
                Ok(Received::Whole) => {}
                Ok(Received::Cut) => {
                    return Ok(Drained::Lost("an event from the kernel was truncated".into()));
                }
                Err(e) if e.raw_os_error() == Some(EAGAIN) => return Ok(Drained::All),
                Err(e) if e.raw_os_error() == Some(ENOBUFS) => {
                    return Ok(Drained::Lost("the kernel sent events faster than they were read".into()));
                }
                Err(e) => return Err(refused("read the kernel's IPsec events", &e)),
            }
        }
    }

    /// Discards all queued events.
    pub(super) fn discard(&self) -> Result {
        let mut events = Zeroizing::new(Vec::new());
        loop {
            events.clear();
            match self.drain(&mut events, RECEIVE_LEN)? {
                Drained::All => return Ok(()),
                Drained::More | Drained::Lost(_) => {}
            }
        }
    }
}

impl AsFd for Groups {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// Sets a netlink socket's receive buffer size in bytes, beyond the limit for ordinary users if permitted, else as far as the
/// kernel allows (`SO_RCVBUFFORCE`, `SO_RCVBUF`).
pub fn force_buffer(socket: &Socket, bytes: u32) {
    let size = usize::try_from(bytes).unwrap_or(usize::MAX);
    if nix::sys::socket::setsockopt(socket, nix::sys::socket::sockopt::RcvBufForce, &size).is_err() {
        let _ = socket.set_rx_buf_sz(bytes);
    }
}

fn open(protocol: isize) -> Result<Socket> {
    let mut socket = Socket::new(protocol).map_err(|e| refused("open a netlink socket", &e))?;
    socket.bind_auto().map_err(|e| refused("bind a netlink socket", &e))?;
    Ok(socket)
}

/// Requests a dump and receives it up to its end mark.
fn whole_dump(
    socket: &Socket,
    kind: MessageKind,
    sequence: u32,
    payload: &[u8],
    room: usize,
    of_what: &str,
    meanwhile: Meanwhile<'_>,
) -> Result<Zeroizing<Vec<u8>>> {
    let doing = format!("list {of_what}");
    let request = Message { offset: 0, kind, flags: NLM_F_REQUEST | NLM_F_DUMP, sequence, port: 0, payload };
    let mut bytes = Vec::new();
    request.emit(&mut bytes);
    socket.send_to(&bytes, &SocketAddr::new(0, 0), 0).map_err(|e| refused(&doing, &e))?;

    let mut dump = Zeroizing::new(Vec::new());
    if room > 0 {
        // If it is not enough, the buffer grows.
        let _ = dump.try_reserve_exact(room + RECEIVE_LEN);
    }
    loop {
        let start = dump.len();
        match receive(socket, &mut dump, 0) {
            Ok(Received::Whole) => {}
            Ok(Received::Cut) => {
                return Err(Error::new(
                    Code::RPC_E_INVALID_DATAPACKET,
                    format!("cannot {doing}: the kernel sent a message of more than {RECEIVE_LEN} bytes"),
                ));
            }
            Err(e) => return Err(refused(&doing, &e)),
        }
        meanwhile()?;
        for message in Messages::new(&dump[start..]).flatten().filter(|m| m.sequence == sequence) {
            match message.kind {
                MessageKind::Error | MessageKind::Done if message.errno() != 0 => {
                    return Err(refused(&doing, &io::Error::from_raw_os_error(message.errno())));
                }
                MessageKind::Done => return Ok(dump),
                _ => {}
            }
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Received {
    Whole,
    Cut,
}

/// Receives one datagram and appends it to `bytes`.
fn receive(socket: &Socket, bytes: &mut Zeroizing<Vec<u8>>, flags: i32) -> io::Result<Received> {
    if bytes.capacity() - bytes.len() < RECEIVE_LEN {
        // Double the capacity, so that a dump of a gigabyte is not copied over and over. Allocate by hand,
        // so that the old buffer is wiped.
        let mut larger = Zeroizing::new(Vec::with_capacity(bytes.len() + RECEIVE_LEN.max(bytes.len())));
        larger.extend_from_slice(bytes);
        *bytes = larger;
    }
    receive_within(socket, bytes, flags)
}

/// Receives one datagram into the spare capacity of `bytes`; returns `Cut` if it was too small.
fn receive_within(socket: &Socket, bytes: &mut Vec<u8>, flags: i32) -> io::Result<Received> {
    let room = bytes.capacity() - bytes.len();
    loop {
        match socket.recv(bytes, flags | MSG_TRUNC) {
            // With `MSG_TRUNC` the kernel returns the full length of the datagram.
            Ok(length) if length > room => return Ok(Received::Cut),
            Ok(_) => return Ok(Received::Whole),
            Err(e) if e.raw_os_error() == Some(EINTR) => {}
            Err(e) => return Err(e),
        }
    }
}

pub(super) fn refused(doing: &str, error: &io::Error) -> Error {
    let what = format!("cannot {doing}: {error}");
    match error.raw_os_error() {
        Some(EPERM | EACCES) => Error::new(
            Code::ERROR_ACCESS_DENIED,
            format!("cannot {doing}: CAP_NET_ADMIN is missing in this network namespace"),
        )
        .with_remedy("Run as root, or use a daemon (`wfp serve`)."),
        Some(EPROTONOSUPPORT) => Error::new(Code::ERROR_NOT_SUPPORTED, what)
            .with_remedy("The kernel's XFRM module is not loaded. Load it: modprobe xfrm_user"),
        _ => Error::new(Code::RPC_E_SYS_CALL_FAILED, what),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_datagram_that_does_not_fit_is_noticed_and_not_taken_for_the_whole() {
        // A dump of addresses needs no privilege.
        let ask = || {
            let socket = open(NETLINK_ROUTE).unwrap();
            let request = Message {
                offset: 0,
                kind: MessageKind::from_number(RTM_GETADDR),
                flags: NLM_F_REQUEST | NLM_F_DUMP,
                sequence: 1,
                port: 0,
                payload: &[0; 8],
            };
            let mut bytes = Vec::new();
            request.emit(&mut bytes);
            socket.send_to(&bytes, &SocketAddr::new(0, 0), 0).unwrap();
            socket
        };
        let mut small = Vec::with_capacity(24);
        assert_eq!(receive_within(&ask(), &mut small, 0).unwrap(), Received::Cut);
        let mut large = Zeroizing::new(Vec::new());
        assert_eq!(receive(&ask(), &mut large, 0).unwrap(), Received::Whole);
        assert!(large.len() > small.len());
    }

    #[test]
    fn a_dump_is_whole_up_to_its_end_mark() {
        let dump = addresses().unwrap();
        let own = crate::addresses::parse(Messages::new(&dump)).unwrap();
        assert!(own.contains(&std::net::IpAddr::from([127, 0, 0, 1])), "{own:?}");
    }
}
