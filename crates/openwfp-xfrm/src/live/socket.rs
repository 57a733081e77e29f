//! Netlink sockets: whole dumps, and the event groups.

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
use zeroize::Zeroizing;

/// Room for one receive: the kernel fills what it is offered, up to 32 KiB, and cuts off silently what
/// does not fit.
const RECEIVE_LEN: usize = 64 * 1024;
/// The event socket's buffer; the kernel gives as much of it as `net.core.rmem_max` allows.
const EVENT_BUFFER_LEN: u32 = 16 * 1024 * 1024;

const XFRM_MSG_GETSA: u16 = 0x12;
const XFRM_MSG_GETPOLICY: u16 = 0x15;
const RTM_GETADDR: u16 = 22;
const NLM_F_REQUEST: u16 = 1;
const NLM_F_DUMP: u16 = 0x300;

const MSG_TRUNC: i32 = 0x20;
const MSG_DONTWAIT: i32 = 0x40;

/// `XFRMNLGRP_*`: hard expiry, states, policies, moves and mappings.
const EVENT_GROUPS: [u32; 5] = [2, 3, 4, 7, 8];

const EPERM: i32 = 1;
const EACCES: i32 = 13;
const EINTR: i32 = 4;
const EAGAIN: i32 = 11;
const EPROTONOSUPPORT: i32 = 93;
const ENOBUFS: i32 = 105;

/// What is done between the parts of a dump, so that events do not pile up meanwhile.
pub(super) type Meanwhile<'m> = &'m mut dyn FnMut() -> Result;

/// A socket for requests to the kernel's IPsec.
pub(super) struct Requests {
    socket: Socket,
    sequence: u32,
}

impl Requests {
    pub(super) fn open() -> Result<Requests> {
        Ok(Requests { socket: open(NETLINK_XFRM)?, sequence: 0 })
    }

    /// The dump of states. A request without a payload: one with draws warnings from the kernel.
    pub(super) fn states(&mut self, meanwhile: Meanwhile<'_>) -> Result<Zeroizing<Vec<u8>>> {
        self.sequence += 1;
        whole_dump(&self.socket, XFRM_MSG_GETSA, self.sequence, &[], "the kernel's SAs", meanwhile)
    }

    /// The dump of policies.
    pub(super) fn policies(&mut self, meanwhile: Meanwhile<'_>) -> Result<Zeroizing<Vec<u8>>> {
        self.sequence += 1;
        let of_what = "the kernel's IPsec policies";
        whole_dump(&self.socket, XFRM_MSG_GETPOLICY, self.sequence, &[], of_what, meanwhile)
    }
}

/// The dump of this machine's addresses.
pub(super) fn addresses() -> Result<Zeroizing<Vec<u8>>> {
    // ifaddrmsg with every field unspecified: all families, all interfaces.
    whole_dump(&open(NETLINK_ROUTE)?, RTM_GETADDR, 1, &[0; 8], "this machine's addresses", &mut || Ok(()))
}

/// The kernel's event groups, joined.
pub(super) struct Groups(Socket);

/// Whether all events were received.
pub(super) enum Drained {
    All,
    Lost(String),
}

impl Groups {
    pub(super) fn join() -> Result<Groups> {
        let socket = open(NETLINK_XFRM)?;
        // A smaller buffer than asked for only makes a loss more likely, and a loss is noticed.
        let _ = socket.set_rx_buf_sz(EVENT_BUFFER_LEN);
        for group in EVENT_GROUPS {
            socket.add_membership(group).map_err(|e| refused("join the kernel's IPsec events", &e))?;
        }
        Ok(Groups(socket))
    }

    /// Receives what is queued, without waiting for more.
    pub(super) fn drain(&self, events: &mut Zeroizing<Vec<u8>>) -> Result<Drained> {
        loop {
            match receive(&self.0, events, MSG_DONTWAIT) {
                Ok(Received::Whole) => {}
                Ok(Received::Cut) => return Ok(Drained::Lost("an event of the kernel was cut off".into())),
                Err(e) if e.raw_os_error() == Some(EAGAIN) => return Ok(Drained::All),
                Err(e) if e.raw_os_error() == Some(ENOBUFS) => {
                    return Ok(Drained::Lost("the kernel told of changes faster than they were read".into()));
                }
                Err(e) => return Err(refused("read the kernel's IPsec events", &e)),
            }
        }
    }
}

fn open(protocol: isize) -> Result<Socket> {
    let mut socket = Socket::new(protocol).map_err(|e| refused("open a netlink socket", &e))?;
    socket.bind_auto().map_err(|e| refused("bind a netlink socket", &e))?;
    Ok(socket)
}

/// Asks for a dump and receives it up to its end mark.
fn whole_dump(
    socket: &Socket,
    kind: u16,
    sequence: u32,
    payload: &[u8],
    of_what: &str,
    meanwhile: Meanwhile<'_>,
) -> Result<Zeroizing<Vec<u8>>> {
    let doing = format!("list {of_what}");
    let request = Message {
        offset: 0,
        kind: MessageKind::from_number(kind),
        flags: NLM_F_REQUEST | NLM_F_DUMP,
        sequence,
        port: 0,
        payload,
    };
    let mut bytes = Vec::new();
    request.emit(&mut bytes);
    socket.send_to(&bytes, &SocketAddr::new(0, 0), 0).map_err(|e| refused(&doing, &e))?;

    let mut dump = Zeroizing::new(Vec::new());
    loop {
        let start = dump.len();
        match receive(socket, &mut dump, 0) {
            Ok(Received::Whole) => {}
            Ok(Received::Cut) => {
                return Err(Error::new(
                    Code::RPC_E_INVALID_DATAPACKET,
                    format!("the kernel's answer to \"{doing}\" has a part of over {RECEIVE_LEN} bytes"),
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

/// Receives one datagram to the end of `bytes`.
fn receive(socket: &Socket, bytes: &mut Zeroizing<Vec<u8>>, flags: i32) -> io::Result<Received> {
    if bytes.capacity() - bytes.len() < RECEIVE_LEN {
        // Doubling, so that a dump of a gigabyte is not copied over and over; by hand, so that the old
        // buffer is wiped.
        let mut larger = Zeroizing::new(Vec::with_capacity(bytes.len() + RECEIVE_LEN.max(bytes.len())));
        larger.extend_from_slice(bytes);
        *bytes = larger;
    }
    receive_within(socket, bytes, flags)
}

/// Receives one datagram into the room that `bytes` has, and tells if that was too little.
fn receive_within(socket: &Socket, bytes: &mut Vec<u8>, flags: i32) -> io::Result<Received> {
    let room = bytes.capacity() - bytes.len();
    loop {
        match socket.recv(bytes, flags | MSG_TRUNC) {
            // With MSG_TRUNC the kernel tells the datagram's own length.
            Ok(length) if length > room => return Ok(Received::Cut),
            Ok(_) => return Ok(Received::Whole),
            Err(e) if e.raw_os_error() == Some(EINTR) => {}
            Err(e) => return Err(e),
        }
    }
}

fn refused(doing: &str, error: &io::Error) -> Error {
    let what = format!("cannot {doing}: {error}");
    match error.raw_os_error() {
        Some(EPERM | EACCES) => Error::new(
            Code::ERROR_ACCESS_DENIED,
            format!("{what}; it takes the capability CAP_NET_ADMIN in this network namespace"),
        )
        .with_remedy("run it as root, or once: sudo setcap cap_net_admin+ep \"$(command -v wfp)\""),
        Some(EPROTONOSUPPORT) => Error::new(Code::ERROR_NOT_SUPPORTED, what)
            .with_remedy("this kernel has no XFRM; load its module with: modprobe xfrm_user"),
        _ => Error::new(Code::RPC_E_SYS_CALL_FAILED, what),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_datagram_that_does_not_fit_is_noticed_and_not_taken_for_the_whole() {
        // The loopback's addresses: a dump that takes no privilege.
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
