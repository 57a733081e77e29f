//! Linux-specific properties of an SA, which WFP's structures cannot hold.
//!
//! Source: `linux/xfrm.h`. Values are the kernel's own, unscaled.

use crate::Direction;
use crate::object::Filter;
use std::net::IpAddr;
use std::sync::Arc;

/// Linux-specific part of one SA.
///
/// Rarely used properties are in [`LinuxSa::extras`], to keep a million SAs small.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LinuxSa {
    /// Request id that links SAs to policies; 0: none.
    pub reqid: u32,
    /// `XFRM_STATE_*` flags (ESN is 128).
    pub flags: u8,
    /// Whether the SA uses 64-bit extended sequence numbers (RFC 4304).
    pub esn: bool,
    /// Whether the SA's direction is a guess: neither the kernel nor a policy tells it, nor does one of its addresses alone
    /// belong to this machine.
    pub guessed_direction: bool,
    /// `XFRM_SA_XFLAG_*` flags.
    pub extra_flags: u32,
    /// Size of the anti-replay window in packets; 0: no replay protection.
    pub replay_window: u32,
    /// Time at which the SA was added, in seconds since 1970; 0: never.
    pub added: u64,
    /// Time at which the SA was first used, in seconds since 1970; 0: never.
    pub first_used: u64,
    /// Age in seconds at which the kernel requests a new SA; 0: no limit.
    pub soft_add_seconds: u64,
    /// Age in seconds at which the kernel deletes the SA; 0: no limit.
    pub hard_add_seconds: u64,
    /// Properties that few SAs have.
    pub extras: Option<Box<LinuxExtras>>,
}

/// Rarely used Linux-specific properties of an SA; `None`, 0 or empty means not set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LinuxExtras {
    /// Limits on bytes, packets and time since first use.
    pub limits: Limits,
    /// The SA's own selector, which restricts its packets.
    ///
    /// Its `local` side is the source of the packets, even for an inbound SA.
    pub selector: Option<Selector>,
    /// Mark that packets must have to match the SA.
    pub mark: Option<Mark>,
    /// Mark that the SA sets on its packets.
    pub output_mark: Option<Mark>,
    /// Interface id (`if_id`); 0: none.
    pub if_id: u32,
    /// Length in bytes to which packets are padded for traffic flow confidentiality; 0: no padding.
    pub tfc_padding: u32,
    /// Interval in seconds between the NAT keepalives that the kernel sends; 0: none.
    pub nat_keepalive_interval: u32,
    /// CPU to which the SA is bound.
    pub cpu: Option<u32>,
    /// Sequence number of the kernel's acquire that requested the SA; 0: none.
    pub acquire_sequence: u32,
    /// Hardware offload, if any.
    pub offload: Option<HardwareOffload>,
    /// Original address of UDP encapsulation (`encap_oa`); `None` if unspecified.
    pub encapsulation_original: Option<IpAddr>,
    /// Type of encapsulation if it is not `UDP_ENCAP_ESPINUDP` (2): 1 for the draft version of ESP in UDP,
    /// 7 for ESP in TCP. 0: not set.
    pub encapsulation_type: u16,
    /// Care-of address of Mobile IPv6.
    pub care_of: Option<IpAddr>,
    /// Security context, as the kernel prints it.
    pub security_context: Option<Box<str>>,
    /// Anti-replay state: sequence numbers and bitmap.
    pub replay: Option<Box<Replay>>,
    /// Kernel names of the algorithms that the transform shows as `Other`.
    pub algorithm_names: Box<[Box<str>]>,
    /// Netlink attributes that this version does not know, unchanged.
    pub unknown: Box<[UnknownAttribute]>,
}

/// Soft and hard limits of an SA; 0 means no limit. The kernel's `XFRM_INF` is stored as 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// Bytes after which the kernel requests a new SA.
    pub soft_bytes: u64,
    /// Bytes after which the kernel deletes the SA.
    pub hard_bytes: u64,
    /// Packets after which the kernel requests a new SA.
    pub soft_packets: u64,
    /// Packets after which the kernel deletes the SA.
    pub hard_packets: u64,
    /// Seconds after first use at which the kernel requests a new SA.
    pub soft_use_seconds: u64,
    /// Seconds after first use at which the kernel deletes the SA.
    pub hard_use_seconds: u64,
}

/// A mark with its mask.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Mark {
    /// The value.
    pub value: u32,
    /// Bits of the value that are significant.
    pub mask: u32,
}

impl Mark {
    /// Returns whether the kernel uses an SA that wants this mark for the outbound packets of a policy: only the bits that the
    /// policy states are known to be the packets'. Source: `xfrm_state_find`.
    pub fn serves_policy(self, policy: Mark) -> bool {
        policy.value & policy.mask & self.mask == self.value
    }

    /// Returns whether an inbound policy may accept packets that came through an SA with this mark: the SA was found by the mark
    /// of the packet as it came in, and gives it `output` (0 with a mask of 0: leaves it). Source: `xfrm_smark_get`.
    pub fn is_accepted_by(self, output: Mark, policy: Mark) -> bool {
        let known = self.mask | output.mask;
        let marked = (self.value & self.mask & !output.mask) | (output.value & output.mask);
        (marked ^ policy.value) & known & policy.mask == 0
    }
}

/// Hardware offload of an SA.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HardwareOffload {
    /// Index of the network interface.
    pub interface: u32,
    /// `XFRM_OFFLOAD_*` flags: 1 IPv6, 2 inbound, 4 packet offload.
    pub flags: u8,
}

/// The anti-replay state of an SA (RFC 4303 §3.4.3, RFC 4304).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Replay {
    /// Highest sequence number received.
    pub inbound_sequence: u64,
    /// Last sequence number sent.
    pub outbound_sequence: u64,
    /// The kernel's replay bitmap, as 32-bit words.
    ///
    /// With `XFRMA_REPLAY_ESN_VAL` it is circular: bit `(inbound_sequence - 1) % window` is the newest
    /// packet. Without, it is one word, whose bit 0 is the newest.
    pub bitmap: Box<[u32]>,
}

/// A netlink attribute as the kernel sent it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownAttribute {
    /// Type of the attribute, an `XFRMA_*` number.
    pub kind: u16,
    /// Payload, without padding.
    pub bytes: Box<[u8]>,
}

/// Packets to which a policy or an SA applies, by local and remote side.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Selector {
    /// Local addresses.
    pub local: ipnet::IpNet,
    /// Remote addresses.
    pub remote: ipnet::IpNet,
    /// IP protocol number; 0: any.
    pub protocol: u8,
    /// Local ports.
    ///
    /// In both directions, this is the type for ICMP of either version and for mobility headers, and the high
    /// half of the key for GRE.
    pub local_port: SelectorPorts,
    /// Remote ports; the code for ICMP of either version, and the low half of the key for GRE.
    pub remote_port: SelectorPorts,
}

impl Selector {
    /// Returns whether a packet with these local and remote addresses and ports, or what stands in their place, is selected.
    pub fn selects(&self, local: (IpAddr, u16), remote: (IpAddr, u16), protocol: u8) -> bool {
        let port = |of: SelectorPorts, port: u16| (of.port ^ port) & of.mask == 0;
        self.local.contains(&local.0)
            && self.remote.contains(&remote.0)
            && (self.protocol == 0 || self.protocol == protocol)
            && port(self.local_port, local.1)
            && port(self.remote_port, remote.1)
    }

    /// Returns the selector with its sides exchanged: of packets in the other direction, if it is of source and destination.
    ///
    /// The two fields for ports keep their places if they are not the ports of the two ends: for ICMP of either version, GRE
    /// and mobility headers. Source: `xfrm_flowi_sport` and `xfrm_flowi_dport` in the kernel's `include/net/xfrm.h`.
    #[must_use]
    pub fn reversed(self) -> Selector {
        let (local_port, remote_port) = match Selector::ends_have_ports(self.protocol) {
            true => (self.remote_port, self.local_port),
            false => (self.local_port, self.remote_port),
        };
        Selector { local: self.remote, remote: self.local, protocol: self.protocol, local_port, remote_port }
    }

    /// Returns whether the fields for ports of a selector for an IP protocol are the ports of its two ends. For ICMP of either
    /// version they are type and code, for mobility headers the type, and for GRE the halves of the key.
    pub fn ends_have_ports(protocol: u8) -> bool {
        const ICMP: u8 = 1;
        const GRE: u8 = 47;
        const ICMPV6: u8 = 58;
        const MOBILITY: u8 = 135;
        !matches!(protocol, ICMP | GRE | ICMPV6 | MOBILITY)
    }
}

impl Selector {
    /// Returns the two sides as text: networks, followed by the protocol and what it tests, if they are set, such as
    /// `10.1.0.0/16[tcp/443]`, `10.1.0.0/16[udp/1024-2047]`, `10.1.0.0/16[icmp/8(0)]` (type and code), `10.1.0.0/16[mh/5]`
    /// and `10.1.0.0/16[gre/key 65538]`. What belongs to the packet and not to one end is on both sides.
    pub fn sides(&self) -> [String; 2] {
        let (local, remote) = match Selector::ends_have_ports(self.protocol) {
            true => (ports(self.local_port), ports(self.remote_port)),
            false => (self.of_packet(), self.of_packet()),
        };
        let name = ip_protocol_name(self.protocol);
        let side = |network: ipnet::IpNet, more: Option<String>| match more {
            Some(more) => format!("{network}[{name}/{more}]"),
            None if self.protocol == 0 => network.to_string(),
            None => format!("{network}[{name}]"),
        };
        [side(self.local, local), side(self.remote, remote)]
    }

    /// Returns what a selector for a protocol without ports tests.
    fn of_packet(&self) -> Option<String> {
        const GRE: u8 = 47;
        if self.local_port.is_any() && self.remote_port.is_any() {
            return None;
        }
        if self.protocol == GRE {
            let wide = |high: u16, low: u16| u32::from(high) << 16 | u32::from(low);
            let mask = wide(self.local_port.mask, self.remote_port.mask);
            let key = wide(self.local_port.port, self.remote_port.port) & mask;
            return Some(match mask {
                u32::MAX => format!("key {key}"),
                _ => format!("key {key:#x}/{mask:#x}"),
            });
        }
        let kind = ports(self.local_port).unwrap_or_else(|| "any".to_owned());
        Some(match ports(self.remote_port) {
            Some(code) => format!("{kind}({code})"),
            None => kind,
        })
    }
}

/// Returns ports as text, `443` or `1024-2047`; none for any port.
fn ports(ports: SelectorPorts) -> Option<String> {
    match ports.range() {
        _ if ports.is_any() => None,
        (low, high) if low == high => Some(low.to_string()),
        (low, high) => Some(format!("{low}-{high}")),
    }
}

/// Returns the name of an IP protocol, or its number; 0 is `any`.
pub fn ip_protocol_name(number: u8) -> String {
    let name = match number {
        0 => "any",
        1 => "icmp",
        6 => "tcp",
        17 => "udp",
        47 => "gre",
        50 => "esp",
        51 => "ah",
        58 => "icmpv6",
        89 => "ospf",
        108 => "comp",
        132 => "sctp",
        135 => "mh",
        other => return other.to_string(),
    };
    name.to_owned()
}

/// A port with a mask, in host order; mask 0 means any port.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SelectorPorts {
    /// The port; only the bits in `mask` are significant.
    pub port: u16,
    /// Bits of the port that are significant.
    pub mask: u16,
}

impl SelectorPorts {
    /// Matches exactly one port.
    pub fn one(port: u16) -> SelectorPorts {
        SelectorPorts { port, mask: u16::MAX }
    }

    /// Returns whether any port matches.
    pub fn is_any(self) -> bool {
        self.mask == 0
    }

    /// Returns the lowest and highest matching port.
    ///
    /// All ports between them match only if the zero bits of the mask are its low bits.
    pub fn range(self) -> (u16, u16) {
        (self.port & self.mask, self.port | !self.mask)
    }
}

/// Inner selectors of an SA context.
///
/// A context nearly always has one, which is stored inline.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Selectors(SelectorsRepr);

#[derive(Clone, Debug, Default, PartialEq)]
enum SelectorsRepr {
    #[default]
    None,
    One(Selector),
    Many(Box<[Selector]>),
    /// Selectors of filter objects.
    Filters(Arc<FilterSelectors>),
}

/// Filters that an SA context was created for, with their selectors.
#[derive(Debug, PartialEq)]
struct FilterSelectors {
    selectors: Box<[Selector]>,
    inbound: Option<Arc<Filter>>,
    outbound: Option<Arc<Filter>>,
}

impl Selectors {
    /// No selectors: the addresses of the traffic itself apply.
    pub const NONE: Selectors = Selectors(SelectorsRepr::None);

    /// Creates the selectors of filter objects, and keeps the filters with them.
    pub fn of_filters(
        selectors: Vec<Selector>,
        inbound: Option<Arc<Filter>>,
        outbound: Option<Arc<Filter>>,
    ) -> Selectors {
        if inbound.is_none() && outbound.is_none() {
            return selectors.into();
        }
        let filters = FilterSelectors { selectors: selectors.into(), inbound, outbound };
        Selectors(SelectorsRepr::Filters(Arc::new(filters)))
    }

    /// Returns the filter object of a direction, if the SA context was created for one.
    #[inline]
    pub fn filter(&self, direction: Direction) -> Option<&Filter> {
        self.shared_filter(direction).map(|filter| &**filter)
    }

    /// Returns the same filter as [`Selectors::filter`], in its `Arc`.
    #[inline]
    pub fn shared_filter(&self, direction: Direction) -> Option<&Arc<Filter>> {
        match &self.0 {
            SelectorsRepr::Filters(filters) => match direction {
                Direction::Inbound => filters.inbound.as_ref(),
                Direction::Outbound => filters.outbound.as_ref(),
            },
            _ => None,
        }
    }
}

impl From<Selector> for Selectors {
    fn from(selector: Selector) -> Selectors {
        Selectors(SelectorsRepr::One(selector))
    }
}

impl From<Vec<Selector>> for Selectors {
    fn from(selectors: Vec<Selector>) -> Selectors {
        Selectors(match selectors[..] {
            [] => SelectorsRepr::None,
            [selector] => SelectorsRepr::One(selector),
            _ => SelectorsRepr::Many(selectors.into()),
        })
    }
}

impl std::ops::Deref for Selectors {
    type Target = [Selector];

    fn deref(&self) -> &[Selector] {
        match &self.0 {
            SelectorsRepr::None => &[],
            SelectorsRepr::One(selector) => std::slice::from_ref(selector),
            SelectorsRepr::Many(selectors) => selectors,
            SelectorsRepr::Filters(filters) => &filters.selectors,
        }
    }
}

impl LinuxSa {
    /// Returns the interface id (`if_id`); 0: none.
    pub fn if_id(&self) -> u32 {
        self.extras.as_ref().map_or(0, |extras| extras.if_id)
    }

    /// Returns the mark that packets must have, if set.
    pub fn mark(&self) -> Option<Mark> {
        self.extras.as_ref().and_then(|extras| extras.mark)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sides(protocol: u8, local_port: SelectorPorts, remote_port: SelectorPorts) -> [String; 2] {
        let net = |text: &str| text.parse().unwrap();
        let (local, remote) = (net("10.1.0.0/16"), net("10.2.0.0/16"));
        Selector { local, remote, protocol, local_port, remote_port }.sides()
    }

    #[test]
    fn ports_are_of_one_side_and_what_is_of_the_packet_is_on_both() {
        let (any, one) = (SelectorPorts::default(), SelectorPorts::one);
        assert_eq!(sides(0, any, any), ["10.1.0.0/16", "10.2.0.0/16"]);
        assert_eq!(sides(6, any, any), ["10.1.0.0/16[tcp]", "10.2.0.0/16[tcp]"]);
        assert_eq!(sides(17, any, one(53)), ["10.1.0.0/16[udp]", "10.2.0.0/16[udp/53]"]);
        assert_eq!(sides(0, one(6100), any), ["10.1.0.0/16[any/6100]", "10.2.0.0/16"]);
        let range = SelectorPorts { port: 0x1000, mask: 0xFFF0 };
        assert_eq!(sides(6, range, any)[0], "10.1.0.0/16[tcp/4096-4111]");
        assert_eq!(sides(1, one(8), one(0)), ["10.1.0.0/16[icmp/8(0)]", "10.2.0.0/16[icmp/8(0)]"]);
        assert_eq!(sides(58, one(128), any)[1], "10.2.0.0/16[icmpv6/128]");
        assert_eq!(sides(135, one(5), any), ["10.1.0.0/16[mh/5]", "10.2.0.0/16[mh/5]"]);
        assert_eq!(sides(47, any, any)[0], "10.1.0.0/16[gre]");
        assert_eq!(sides(47, one(1), one(2))[1], "10.2.0.0/16[gre/key 65538]");
        let half = SelectorPorts { port: 1, mask: u16::MAX };
        assert_eq!(sides(47, half, any)[0], "10.1.0.0/16[gre/key 0x10000/0xffff0000]");
        assert_eq!(sides(99, any, any)[0], "10.1.0.0/16[99]");
    }
}
