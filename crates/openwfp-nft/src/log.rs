//! Turns the packets that rules log (nflog) into net events.

use crate::compile::LOG_GROUP;
use crate::compile::LOG_PREFIX;
use crate::netlink;
use crate::netlink::HEAD;
use crate::netlink::ROOM;
use crate::netlink::Ready;
use netlink_sys::Socket;
use netlink_sys::SocketAddr;
use nix::poll::PollTimeout;
use nix::sys::eventfd::EventFd;
use openwfp_api::Code;
use openwfp_api::Error;
use openwfp_api::Mirror;
use openwfp_api::Result;
use openwfp_api::object::net_event::ClassifyEvent;
use openwfp_api::object::net_event::NetEvent;
use openwfp_api::object::net_event::NetEventDetail;
use openwfp_api::record::Address;
use openwfp_xfrm::live::Worker;
use openwfp_xfrm::wire::Attributes;
use openwfp_xfrm::wire::Message;
use openwfp_xfrm::wire::MessageKind;
use openwfp_xfrm::wire::Messages;
use std::net::IpAddr;
use std::net::Ipv4Addr;
use std::net::Ipv6Addr;

/// `NFNL_SUBSYS_ULOG << 8`, and with it `NFULNL_MSG_PACKET` and `NFULNL_MSG_CONFIG`.
const PACKET: u16 = 0x400;
const CONFIG: u16 = 0x401;
const REQUEST: u16 = 1;
const ACK: u16 = 4;
/// Attributes of a configuration: `NFULA_CFG_CMD` and `NFULA_CFG_MODE`.
const COMMAND: u16 = 1;
const MODE: u16 = 2;
/// Attributes of a packet: `NFULA_PACKET_HDR`, `NFULA_PAYLOAD` and `NFULA_PREFIX`.
const HEADER: u16 = 1;
const PAYLOAD: u16 = 9;
const PREFIX: u16 = 10;
/// Number of bytes of each packet to copy: enough for IPv6 with extension headers and the ports.
const COPIED: u32 = 128;
/// Receive buffer in the kernel.
const BUFFER: u32 = 1 << 20;

/// Starts the thread that receives the packets which rules of this thread's network namespace log.
///
/// # Errors
/// `ERROR_ACCESS_DENIED` without `CAP_NET_ADMIN`, `FWP_E_ALREADY_EXISTS` if another program receives the group,
/// `RPC_E_OUT_OF_RESOURCES` without a free descriptor or thread, `RPC_E_SYS_CALL_FAILED` if another system call fails.
pub(crate) fn start(mirror: Box<dyn Mirror>) -> Result<Worker> {
    let socket = netlink::open(BUFFER)?;
    configure(&socket, COMMAND, &[1])?;
    let mode: Vec<u8> = [&COPIED.to_be_bytes()[..], &[2, 0]].concat();
    configure(&socket, MODE, &mode)?;
    Worker::start("openwfp-nflog", move |stop| receive(&socket, stop, &*mirror))
}

/// Sends a configuration of the group and waits for its acknowledgement.
fn configure(socket: &Socket, kind: u16, value: &[u8]) -> Result {
    let failed = |error: &std::io::Error| {
        let code = match error.raw_os_error() {
            Some(1 | 13) => Code::ERROR_ACCESS_DENIED,
            Some(16) => Code::FWP_E_ALREADY_EXISTS,
            _ => Code::RPC_E_SYS_CALL_FAILED,
        };
        Error::new(code, format!("cannot receive what nftables logs in group {LOG_GROUP}: {error}"))
    };
    // `nfgenmsg` (family, version, and the group in network order), and the attribute.
    let attribute_len = u16::try_from(4 + value.len()).unwrap_or(u16::MAX).to_ne_bytes();
    let group = LOG_GROUP.to_be_bytes();
    let payload = [&[0, 0][..], &group, &attribute_len, &kind.to_ne_bytes(), value].concat();
    let request = Message {
        offset: 0,
        kind: MessageKind::from_number(CONFIG),
        flags: REQUEST | ACK,
        sequence: 0,
        port: 0,
        payload: &payload,
    };
    let mut bytes = Vec::with_capacity(ROOM);
    request.emit(&mut bytes);
    socket.send_to(&bytes, &SocketAddr::new(0, 0), 0).map_err(|e| failed(&e))?;
    bytes.clear();
    socket.recv(&mut bytes, 0).map_err(|e| failed(&e))?;
    match Messages::at(&bytes, 0).map(|answer| answer.errno()) {
        Some(0) => Ok(()),
        errno => Err(failed(&std::io::Error::from_raw_os_error(errno.unwrap_or(5)))),
    }
}

fn receive(socket: &Socket, stop: &EventFd, mirror: &dyn Mirror) {
    let mut bytes = Vec::with_capacity(ROOM);
    loop {
        match netlink::wait(socket, stop, PollTimeout::NONE) {
            Ready::Stop => return,
            Ready::Nothing => continue,
            Ready::Socket => {}
        }
        bytes.clear();
        // Lost packets (ENOBUFS) are not reported: nflog is rate-limited, too.
        if socket.recv(&mut bytes, 0).is_err() {
            continue;
        }
        for event in events(&bytes) {
            if mirror.report(event).is_err() {
                return;
            }
        }
    }
}

/// Returns the net events of the messages in a datagram.
fn events(bytes: &[u8]) -> Vec<NetEvent> {
    let messages = Messages::new(bytes).flatten();
    messages
        .filter(|message| message.kind.number() == PACKET)
        .filter_map(|message| event(message.payload))
        .collect()
}

/// Returns the net event of a logged packet, by the payload of its message.
fn event(payload: &[u8]) -> Option<NetEvent> {
    let (mut hook, mut packet, mut decision) = (None, None, None);
    for (kind, value, _) in Attributes::new(payload, HEAD).flatten() {
        match kind {
            HEADER => hook = value.get(2).copied(),
            PAYLOAD => packet = Some(value),
            PREFIX => {
                let text = std::str::from_utf8(value).ok()?.trim_end_matches('\0');
                decision = text.strip_prefix(LOG_PREFIX).and_then(|rest| rest.split_once(' '));
            }
            _ => {}
        }
    }
    let (word, filter) = decision?;
    let filter_id = filter.parse().ok()?;
    let Ends { source, destination, protocol, ports } = ends(packet?)?;
    // `NF_INET_PRE_ROUTING` 0, `LOCAL_IN` 1, `FORWARD` 2, `LOCAL_OUT` 3, `POST_ROUTING` 4.
    let inbound = matches!(hook?, 0 | 1);
    // `FWP_DIRECTION_IN`, `_OUT` and `_FORWARD` as net events have them.
    let direction = match hook? {
        0 | 1 => 0x3900,
        2 => 0x3902,
        _ => 0x3901,
    };
    let swap = |(one, other)| if inbound { (other, one) } else { (one, other) };
    let ((local, remote), has_ports) =
        (if inbound { (destination, source) } else { (source, destination) }, ports.is_some());
    // The type and code of ICMP do not swap with the direction.
    let is_icmp = matches!(protocol, 1 | 58);
    let (local_port, remote_port) = match ports.unwrap_or_default() {
        ports if is_icmp => ports,
        ports => swap(ports),
    };
    let detail = ClassifyEvent {
        filter_id,
        direction,
        is_loopback: local.is_loopback() || remote.is_loopback(),
        ..ClassifyEvent::default()
    };
    // `FWPM_NET_EVENT_FLAG_IP_PROTOCOL_SET`, `LOCAL_ADDR_SET`, `REMOTE_ADDR_SET`, `IP_VERSION_SET`, and the ports'.
    let flags = 0x1 | 0x2 | 0x4 | 0x100 | if has_ports { 0x8 | 0x10 } else { 0 };
    Some(NetEvent {
        flags,
        protocol,
        local: Some(Address(local)),
        remote: Some(Address(remote)),
        local_port,
        remote_port,
        detail: match word {
            "drop" => NetEventDetail::ClassifyDrop(detail),
            "allow" => NetEventDetail::ClassifyAllow(detail),
            _ => return None,
        },
        ..NetEvent::default()
    })
}

/// The ends of a packet; for ICMP the ports are type and code.
struct Ends {
    source: IpAddr,
    destination: IpAddr,
    protocol: u8,
    ports: Option<(u16, u16)>,
}

/// Returns the ends of an IP packet, of which the end may be missing.
fn ends(packet: &[u8]) -> Option<Ends> {
    let array = |at: usize| packet.get(at..at + 16).and_then(|bytes| bytes.first_chunk::<16>()).copied();
    let (source, destination, protocol, payload): (IpAddr, IpAddr, u8, Option<&[u8]>) =
        match packet.first()? >> 4 {
            4 => {
                let four =
                    |at: usize| packet.get(at..at + 4).and_then(|bytes| bytes.first_chunk::<4>()).copied();
                let length = usize::from(packet[0] & 15) * 4;
                // Only the first fragment has ports.
                let is_later = u16::from_be_bytes([*packet.get(6)?, *packet.get(7)?]) & 0x1FFF != 0;
                let payload = packet.get(length..).filter(|_| !is_later);
                (Ipv4Addr::from(four(12)?).into(), Ipv4Addr::from(four(16)?).into(), *packet.get(9)?, payload)
            }
            6 => {
                let (mut next, mut at) = (*packet.get(6)?, 40);
                // Hop-by-hop options, routing and destination options have their length in units of 8 bytes.
                while matches!(next, 0 | 43 | 60) {
                    let (after, length) = (*packet.get(at)?, *packet.get(at + 1)?);
                    next = after;
                    at += 8 + usize::from(length) * 8;
                }
                (Ipv6Addr::from(array(8)?).into(), Ipv6Addr::from(array(24)?).into(), next, packet.get(at..))
            }
            _ => return None,
        };
    let ports = payload.filter(|payload| payload.len() >= 4).and_then(|payload| match protocol {
        1 | 58 => Some((payload[0].into(), payload[1].into())),
        6 | 17 | 33 | 132 | 136 => {
            Some((u16::from_be_bytes([payload[0], payload[1]]), u16::from_be_bytes([payload[2], payload[3]])))
        }
        _ => None,
    });
    Some(Ends { source, destination, protocol, ports })
}

#[cfg(test)]
mod tests {
    use super::events;
    use openwfp_api::object::net_event::NetEventDetail;
    use proptest::prelude::*;

    fn attribute(kind: u16, value: &[u8]) -> Vec<u8> {
        let mut bytes =
            [&u16::try_from(4 + value.len()).unwrap().to_ne_bytes()[..], &kind.to_ne_bytes(), value].concat();
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        bytes
    }

    /// A message of nflog, as the kernel sends it.
    fn message(hook: u8, packet: &[u8]) -> Vec<u8> {
        let attributes = [
            attribute(super::HEADER, &[8, 0, hook, 0]),
            attribute(super::PREFIX, b"openwfp drop 4294967301\0"),
            attribute(super::PAYLOAD, packet),
        ]
        .concat();
        let length = u32::try_from(20 + attributes.len()).unwrap();
        let head = [&length.to_ne_bytes()[..], &super::PACKET.to_ne_bytes(), &[0; 10], &[2, 0, 0x4F, 0x57]];
        [head.concat(), attributes].concat()
    }

    /// 10.0.0.1 port 1000 to 10.0.0.2 port 53, UDP.
    fn udp() -> Vec<u8> {
        let mut packet = vec![0x45, 0, 0, 28, 0, 0, 0, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2];
        packet.extend([3, 232, 0, 53, 0, 8, 0, 0]);
        packet
    }

    #[test]
    fn dropped_packets_have_ends_direction_and_filter() {
        let datagram = [message(1, &udp()), message(3, &udp())].concat();
        let [inbound, outbound] = &events(&datagram)[..] else { panic!("two packets") };
        let ends = |event: &super::NetEvent| {
            let (local, remote) = (event.local.unwrap().0, event.remote.unwrap().0);
            (local.to_string(), event.local_port, remote.to_string(), event.remote_port, event.protocol)
        };
        assert_eq!(ends(inbound), ("10.0.0.2".into(), 53, "10.0.0.1".into(), 1000, 17));
        assert_eq!(ends(outbound), ("10.0.0.1".into(), 1000, "10.0.0.2".into(), 53, 17));
        let NetEventDetail::ClassifyDrop(drop) = &inbound.detail else { panic!("a drop") };
        assert_eq!((drop.filter_id, drop.direction), (4_294_967_301, 0x3900));
        // A later fragment has no ports.
        let mut fragment = udp();
        fragment[7] = 1;
        let [event] = &events(&message(1, &fragment))[..] else { panic!("a packet") };
        assert_eq!((event.local_port, event.flags & 0x18), (0, 0));
    }

    proptest! {
        #[test]
        fn no_bytes_stop_the_thread(bytes: Vec<u8>, hook: u8, packet: Vec<u8>, at in 0_usize..100, byte: u8) {
            events(&bytes);
            let mut datagram = [message(hook, &packet), message(hook, &udp())].concat();
            let at = at % datagram.len();
            datagram[at] = byte;
            events(&datagram);
        }
    }
}
