//! IPsec policies of the kernel, and what they mean for a packet.
#![allow(clippy::doc_markdown, reason = "these comments are those of the .proto file, too")]

use super::Action;
use super::ActionType;
use super::Filter;
use super::packet::Packet;
use super::packet::PacketPath;
use super::packet::Verdict;
use crate::FilterId;
use crate::Guid;
use crate::IpNet;
use crate::Mode;
use crate::PolicyDirection;
use crate::Selector;
use crate::SelectorPorts;
use crate::Timestamp;
use crate::filter::conditions_of;
use crate::guids::callout;
use crate::guids::condition;
use crate::guids::layer;
use crate::guids::sublayer;
use crate::numbers;
use crate::record::Address;
use crate::record::Network;
use crate::records;

numbers! {
    /// The packets that a kernel policy applies to, by their path.
    KernelPolicyDirection "direction of a policy" {
        /// Packets to this machine.
        In = 0,
        /// Packets that leave this machine, including those that it forwards.
        Out = 1,
        /// Packets that this machine forwards, before they leave.
        Forward = 2,
    }
    /// What a kernel policy does with packets (RFC 4301: PROTECT, BYPASS, DISCARD).
    KernelPolicyAction "action of a policy" {
        /// Protects them with IPsec.
        Protect = 0,
        /// Passes them without IPsec.
        Bypass = 1,
        /// Drops them.
        Block = 2,
    }
    /// What happens to a packet.
    Outcome "outcome" {
        /// No policy applies: it passes in the clear.
        Clear = 0,
        /// It is protected.
        Protected = 1,
        /// A policy passes it in the clear.
        Bypassed = 2,
        /// It is dropped.
        Blocked = 3,
        /// It waits for an SA, or is dropped while the kernel asks for one.
        Waits = 4,
    }
}

numbers! {
    /// What carries out a filter.
    EffectKind "effect of a filter" {
        /// Nothing: the filter is stored, but changes nothing about any packet.
        None = 0,
        /// Policies of the kernel.
        Kernel = 1,
        /// Rules of nftables.
        Nftables = 2,
        /// Keying modules, which ask for the filters of its layer. It concerns no packet itself.
        Keying = 3,
    }
}

records! {
    /// What a filter changes on this machine.
    FilterEffect {
        /// What carries out the filter.
        1 kind: EffectKind,
        /// Indices of the kernel policies that carry it out.
        2 policies: Vec<u32>,
        /// Why it has no effect or less than it states, in words; empty if it has all of it.
        3 reason: String,
    }
    /// An IPsec policy of the kernel (on Linux an XFRM policy), whoever installed it.
    KernelPolicy {
        /// Index, unique in the network namespace. SA contexts of other programs show it as their filter id.
        1 index: u32,
        /// Direction of the packets.
        2 direction: KernelPolicyDirection,
        /// What it does with them.
        3 action: KernelPolicyAction,
        /// Priority. The kernel tries lower numbers first and, among equal ones, the older policy.
        4 priority: u32,
        /// Source of the packets.
        5 source: Network,
        /// Destination of the packets.
        6 destination: Network,
        /// IP protocol; 0: any.
        7 protocol: u8,
        /// Source port, or the type of ICMP; only the bits in the mask count.
        8 source_port: u16,
        /// Bits of the source port that count; 0: any port.
        9 source_port_mask: u16,
        /// Destination port, or the code of ICMP.
        10 destination_port: u16,
        /// Bits of the destination port that count; 0: any port.
        11 destination_port_mask: u16,
        /// Index of the network interface of the packets; 0: any.
        12 interface: u32,
        /// The transformations that protect the packets, in order.
        13 templates: Vec<KernelTemplate>,
        /// Mark that packets must have.
        14 mark: u32,
        /// Bits of the mark that count; 0: any mark.
        15 mark_mask: u32,
        /// Interface id that packets must have; 0: none.
        16 if_id: u32,
        /// Time of addition, in seconds since 1970.
        17 added: Timestamp,
        /// Seconds after the addition at which the kernel removes the policy; 0: never.
        18 lifetime_seconds: u64,
        /// Seconds without use after which the kernel removes the policy; 0: never.
        19 idle_seconds: u64,
        /// Whether this engine installed the policy.
        20 own: bool,
        /// Id of the filter that the policy carries out; 0 if there is none.
        21 filter_id: u64,
        /// Ids of the SA contexts that satisfy the templates, in the direction of the policy.
        22 sa_contexts: Vec<u64>,
        /// Number that orders policies of equal priority by age; it means nothing else.
        23 age: u64,
    }
    /// A transformation that a kernel policy requires.
    KernelTemplate {
        /// Source of the SA, of the outer packet in a tunnel. Absent: the packet's own.
        1 source: Option<Address>,
        /// Destination of the SA, of the outer packet in a tunnel. Absent: the packet's own.
        2 destination: Option<Address>,
        /// IP protocol number of the SA: 50 ESP, 51 AH, 108 IPCOMP.
        3 protocol: u8,
        /// Mode as the kernel numbers it: 0 transport, 1 tunnel, 4 BEET, 5 IPTFS.
        4 mode: u8,
        /// Number that ties policies to SAs; 0: any.
        5 reqid: u32,
        /// SPI; 0: any.
        6 spi: u32,
        /// Whether the transformation is left out while there is no SA.
        7 optional: bool,
    }
    /// The place of a kernel policy in the kernel's order.
    KernelPolicyPlace {
        /// Direction.
        1 direction: KernelPolicyDirection,
        /// Priority.
        2 priority: u32,
        /// Age, as in KernelPolicy.age.
        3 age: u64,
    }
    /// What this machine does with a packet, and why.
    Explanation {
        /// What happens to the packet.
        1 outcome: Outcome,
        /// The kernel's decisions, in their order: that of the packet's direction or, for a forwarded packet, those of the
        /// forward and the outbound policies. Empty if the engine has no kernel.
        2 decisions: Vec<PolicyDecision>,
        /// The decision of the engine's filters at the packet's layer.
        3 filters: Verdict,
        /// What could change the outcome and was not evaluated, in words.
        4 unknown: Vec<String>,
        /// Id of the filter for which nftables drops the packet; 0 if it passes.
        5 dropped_by: u64,
        /// Key of the layer of that filter.
        6 dropped_at: Guid,
        /// Whether the engine has a table of nftables.
        7 has_table: bool,
    }
    /// The decision of the kernel's policies of one direction.
    PolicyDecision {
        /// Direction.
        1 direction: KernelPolicyDirection,
        /// The policy that decides; absent if none applies, so that the packet passes.
        2 policy: Option<KernelPolicy>,
        /// Number of policies of the direction that the kernel tries before this one, or in all without one.
        3 tried: u64,
        /// A policy that protects packets with the same source or destination, if none applies to this one.
        4 near: Option<KernelPolicy>,
    }
}

impl KernelPolicy {
    /// Returns the policy's place in the kernel's order.
    pub fn place(&self) -> KernelPolicyPlace {
        KernelPolicyPlace { direction: self.direction, priority: self.priority, age: self.age }
    }

    /// Returns whether the policy's selector selects a packet without a mark, interface and interface id.
    pub fn selects(&self, packet: &Packet) -> bool {
        let port = |value: u16, port: u16, mask: u16| value & mask == port & mask;
        self.source.0.contains(&packet.source.0)
            && self.destination.0.contains(&packet.destination.0)
            && (self.protocol == 0 || self.protocol == packet.protocol)
            && port(packet.source_port, self.source_port, self.source_port_mask)
            && port(packet.destination_port, self.destination_port, self.destination_port_mask)
    }

    /// Returns what packets need besides the selector for the policy to apply, in words; `None` if nothing.
    pub fn condition(&self) -> Option<String> {
        let mark = (self.mark & self.mark_mask != 0)
            .then(|| format!("the mark {:#x}/{:#x}", self.mark, self.mark_mask));
        let if_id = (self.if_id != 0).then(|| format!("the interface id {:#x}", self.if_id));
        let interface = (self.interface != 0).then(|| format!("interface {}", self.interface));
        let parts: Vec<String> = [mark, if_id, interface].into_iter().flatten().collect();
        (!parts.is_empty()).then(|| parts.join(" and "))
    }

    /// Returns whether every transformation may be left out.
    pub fn is_optional(&self) -> bool {
        self.templates.iter().all(|template| template.optional)
    }
}

/// Returns the key of the filter that stands for a policy of the kernel, by the policy's index.
pub(crate) fn filter_key(index: FilterId) -> Guid {
    let number = u32::try_from(index.0).unwrap_or(0);
    Guid::new(number, 0x4F57, 0x4650, *b"xfrm-pol")
}

/// Returns the name of that filter.
pub(crate) fn filter_name(index: FilterId) -> String {
    format!("kernel policy {}", index.0)
}

/// Returns the action that protects packets at a transport layer in a mode.
pub(crate) fn protecting_action(at: Guid, mode: Mode) -> Action {
    let transport = mode == Mode::Transport;
    let callout = match at {
        layer::INBOUND_TRANSPORT_V4 if transport => callout::IPSEC_INBOUND_TRANSPORT_V4,
        layer::INBOUND_TRANSPORT_V6 if transport => callout::IPSEC_INBOUND_TRANSPORT_V6,
        layer::OUTBOUND_TRANSPORT_V4 if transport => callout::IPSEC_OUTBOUND_TRANSPORT_V4,
        layer::OUTBOUND_TRANSPORT_V6 if transport => callout::IPSEC_OUTBOUND_TRANSPORT_V6,
        layer::INBOUND_TRANSPORT_V4 => callout::IPSEC_INBOUND_TUNNEL_V4,
        layer::INBOUND_TRANSPORT_V6 => callout::IPSEC_INBOUND_TUNNEL_V6,
        layer::OUTBOUND_TRANSPORT_V4 => callout::IPSEC_OUTBOUND_TUNNEL_V4,
        layer::OUTBOUND_TRANSPORT_V6 => callout::IPSEC_OUTBOUND_TUNNEL_V6,
        layer::IPFORWARD_V4 => callout::IPSEC_FORWARD_INBOUND_TUNNEL_V4,
        _ => callout::IPSEC_FORWARD_INBOUND_TUNNEL_V6,
    };
    Action { kind: ActionType::CalloutTerminating, callout }
}

/// Returns the sublayer of filters that protect packets in a mode.
pub(crate) fn sublayer(mode: Mode) -> Guid {
    if mode == Mode::Transport { sublayer::UNIVERSAL } else { sublayer::IPSEC_TUNNEL }
}

impl KernelPolicy {
    /// Returns the policy as a filter of WFP, which callers that know only filters can read.
    ///
    /// Its id is the policy's index. Packets of the kernel's forward policies are at the IP forward layers, which test
    /// addresses only.
    pub fn to_filter(&self) -> Filter {
        let id = FilterId(self.index.into());
        let v6 = matches!(self.source.0, IpNet::V6(_));
        let of = |v4, of_v6| if v6 { of_v6 } else { v4 };
        let at = match self.direction {
            KernelPolicyDirection::Out => of(layer::OUTBOUND_TRANSPORT_V4, layer::OUTBOUND_TRANSPORT_V6),
            KernelPolicyDirection::Forward => of(layer::IPFORWARD_V4, layer::IPFORWARD_V6),
            _ => of(layer::INBOUND_TRANSPORT_V4, layer::INBOUND_TRANSPORT_V6),
        };
        let is_tunnel = self.templates.iter().any(|template| template.mode != 0);
        let mode = if is_tunnel { Mode::Tunnel } else { Mode::Transport };
        let action = match self.action {
            KernelPolicyAction::Bypass => Action { kind: ActionType::Permit, ..Action::default() },
            KernelPolicyAction::Block => Action { kind: ActionType::Block, ..Action::default() },
            _ => protecting_action(at, mode),
        };
        let mut conditions = conditions_of(&self.selector());
        if self.direction == KernelPolicyDirection::Forward {
            conditions.truncate(2);
            conditions[0].field = condition::IP_DESTINATION_ADDRESS;
            conditions[1].field = condition::IP_SOURCE_ADDRESS;
        }
        Filter {
            key: filter_key(id),
            name: filter_name(id),
            description: format!("XFRM policy {}, priority {}", self.direction.word(), self.priority),
            layer: at,
            sublayer: sublayer(mode),
            action,
            conditions,
            id: id.0,
            effective_weight: u64::from(u32::MAX - self.priority) << 32,
            ..Filter::default()
        }
    }

    /// Returns the policy's packets by local and remote side.
    pub fn selector(&self) -> Selector {
        let outbound = Selector {
            local: self.source.0,
            remote: self.destination.0,
            protocol: self.protocol,
            local_port: SelectorPorts { port: self.source_port, mask: self.source_port_mask },
            remote_port: SelectorPorts { port: self.destination_port, mask: self.destination_port_mask },
        };
        if self.direction == KernelPolicyDirection::Out { outbound } else { outbound.reversed() }
    }
}

impl From<PolicyDirection> for KernelPolicyDirection {
    fn from(direction: PolicyDirection) -> KernelPolicyDirection {
        match direction {
            PolicyDirection::In => KernelPolicyDirection::In,
            PolicyDirection::Out => KernelPolicyDirection::Out,
            PolicyDirection::Forward => KernelPolicyDirection::Forward,
        }
    }
}

impl KernelPolicyDirection {
    /// Returns the directions whose policies the kernel consults for packets on a path, in their order.
    pub fn of(path: PacketPath) -> &'static [KernelPolicyDirection] {
        match path {
            PacketPath::Inbound => &[KernelPolicyDirection::In],
            PacketPath::Forward => &[KernelPolicyDirection::Forward, KernelPolicyDirection::Out],
            _ => &[KernelPolicyDirection::Out],
        }
    }

    /// Returns the kernel's word for the direction.
    pub fn word(self) -> &'static str {
        match self {
            KernelPolicyDirection::Out => "out",
            KernelPolicyDirection::Forward => "fwd",
            _ => "in",
        }
    }
}

impl KernelPolicyAction {
    /// Returns the word for the action in tables and JSON.
    pub fn word(self) -> &'static str {
        match self {
            KernelPolicyAction::Bypass => "bypass",
            KernelPolicyAction::Block => "block",
            _ => "protect",
        }
    }
}
