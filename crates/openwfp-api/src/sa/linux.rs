//! What Linux knows of an SA and WFP's structures cannot hold, kept beside them.
//!
//! Source: `linux/xfrm.h`. Everything here is the kernel's own value, unscaled.

use crate::Direction;
use crate::object::Filter;
use std::net::IpAddr;
use std::sync::Arc;

/// Linux' part of one SA. Rare things are in [`LinuxSa::extras`], so that a million SAs stay small.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LinuxSa {
    /// The number that ties SAs to policies; 0: none.
    pub reqid: u32,
    /// `XFRM_STATE_*` flags (ESN is 128).
    pub flags: u8,
    /// Whether sequence numbers have 64 bits (RFC 4304).
    pub esn: bool,
    /// `XFRM_SA_XFLAG_*` flags.
    pub extra_flags: u32,
    /// Size of the anti-replay window in packets; 0: no replay protection.
    pub replay_window: u32,
    /// When the SA was added, in seconds since 1970; 0: never.
    pub added: u64,
    /// When it was first used, in seconds since 1970; 0: never.
    pub first_used: u64,
    /// Seconds after its addition at which the kernel asks for a new one; 0: no limit.
    pub soft_add_seconds: u64,
    /// Seconds after its addition at which it dies; 0: no limit.
    pub hard_add_seconds: u64,
    /// All that few SAs have.
    pub extras: Option<Box<LinuxExtras>>,
}

/// Linux' rarer things. `None`, 0 or empty: not set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LinuxExtras {
    /// Limits in bytes, packets and time of use.
    pub limits: Limits,
    /// The packets that the SA itself is restricted to.
    pub selector: Option<Selector>,
    /// The mark that packets must have.
    pub mark: Option<Mark>,
    /// The mark that packets get.
    pub output_mark: Option<Mark>,
    /// The interface id (`if_id`); 0: none.
    pub if_id: u32,
    /// Length to which packets are padded for traffic-flow confidentiality; 0: none.
    pub tfc_padding: u32,
    /// Seconds between NAT keep-alives that the kernel sends; 0: none.
    pub nat_keepalive_interval: u32,
    /// The CPU that the SA is bound to.
    pub cpu: Option<u32>,
    /// The kernel's sequence number of the acquire that asked for it; 0: none.
    pub acquire_sequence: u32,
    /// Hardware offload.
    pub offload: Option<HardwareOffload>,
    /// The address that UDP encapsulation was set up with, unless unspecified.
    pub encapsulation_original: Option<IpAddr>,
    /// UDP encapsulation's type where it is not `UDP_ENCAP_ESPINUDP` (2): 1 the draft's, 7 ESP in TCP.
    pub encapsulation_type: u16,
    /// Mobile IPv6's care-of address.
    pub care_of: Option<IpAddr>,
    /// The security context as the kernel prints it.
    pub security_context: Option<Box<str>>,
    /// The anti-replay state: sequence numbers and bitmap.
    pub replay: Option<Box<Replay>>,
    /// Kernel names of algorithms that are `Other` in the transform.
    pub algorithm_names: Box<[Box<str>]>,
    /// Attributes that this version does not know, as they came.
    pub unknown: Box<[UnknownAttribute]>,
}

/// Limits; 0 is none where the kernel says infinite.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// Bytes at which the kernel asks for a new SA.
    pub soft_bytes: u64,
    /// Bytes at which the SA dies.
    pub hard_bytes: u64,
    /// Packets at which the kernel asks for a new SA.
    pub soft_packets: u64,
    /// Packets at which the SA dies.
    pub hard_packets: u64,
    /// Seconds after first use at which the kernel asks for a new SA.
    pub soft_use_seconds: u64,
    /// Seconds after first use at which the SA dies.
    pub hard_use_seconds: u64,
}

/// A mark and which of its bits count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Mark {
    /// The value.
    pub value: u32,
    /// The bits that count.
    pub mask: u32,
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
    /// The highest sequence number received.
    pub inbound_sequence: u64,
    /// The last sequence number sent.
    pub outbound_sequence: u64,
    /// The window: bit 0 of word 0 is the oldest.
    pub bitmap: Box<[u32]>,
}

/// An attribute as it came from the kernel: its type and its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownAttribute {
    /// `XFRMA_*` number.
    pub kind: u16,
    /// Payload, without padding.
    pub bytes: Box<[u8]>,
}

/// The packets that a policy or an SA is for, as local and remote see them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Selector {
    /// Addresses on this side.
    pub local: ipnet::IpNet,
    /// Addresses on the peer's side.
    pub remote: ipnet::IpNet,
    /// IP protocol; 0: any.
    pub protocol: u8,
    /// Ports on this side (for ICMP the type, as Linux has it).
    pub local_port: SelectorPorts,
    /// Ports on the peer's side (for ICMP the code).
    pub remote_port: SelectorPorts,
}

/// A port under a mask, host order; mask 0: any port.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SelectorPorts {
    /// The port.
    pub port: u16,
    /// The bits that count.
    pub mask: u16,
}

impl SelectorPorts {
    /// Exactly one port.
    pub fn one(port: u16) -> SelectorPorts {
        SelectorPorts { port, mask: u16::MAX }
    }

    /// Whether any port will do.
    pub fn is_any(self) -> bool {
        self.mask == 0
    }

    /// The lowest and highest port; with a mask whose low bits are zero, all between them match.
    pub fn range(self) -> (u16, u16) {
        (self.port & self.mask, self.port | !self.mask)
    }
}

/// The selectors of a context: nearly always one, which then needs no memory of its own.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Selectors(SelectorsRepr);

#[derive(Clone, Debug, Default, PartialEq)]
enum SelectorsRepr {
    #[default]
    None,
    One(Selector),
    Many(Box<[Selector]>),
    /// Those of filter objects.
    Filters(Arc<FilterSelectors>),
}

/// The filters that an SA context was created for, with their selectors.
#[derive(Debug, PartialEq)]
struct FilterSelectors {
    selectors: Box<[Selector]>,
    inbound: Option<Arc<Filter>>,
    outbound: Option<Arc<Filter>>,
}

impl Selectors {
    /// No selector: the traffic's own addresses count.
    pub const NONE: Selectors = Selectors(SelectorsRepr::None);

    /// The selectors of filter objects, with the filters themselves.
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

    /// The filter object of a direction, where the SA context was created for one.
    #[inline]
    pub fn filter(&self, direction: Direction) -> Option<&Filter> {
        self.shared_filter(direction).map(|filter| &**filter)
    }

    /// As [`Selectors::filter`], shared.
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
    /// The interface id; 0: none.
    pub fn if_id(&self) -> u32 {
        self.extras.as_ref().map_or(0, |extras| extras.if_id)
    }

    /// The mark, if set.
    pub fn mark(&self) -> Option<Mark> {
        self.extras.as_ref().and_then(|extras| extras.mark)
    }
}
