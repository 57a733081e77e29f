//! Entries of the security policy database (SPD, RFC 4301 section 4.4.1), which the engine has its dataplane install.

use crate::Direction;
use crate::Endpoints;
use crate::FilterId;
use crate::Guid;
use crate::Mode;
use crate::Protocol;
use crate::Selector;
use crate::guids::callout;
use crate::object::Filter;
use crate::object::FilterContext;
use std::fmt;
use std::ops::RangeInclusive;
use std::sync::Arc;

/// The packets that an IPsec policy applies to, by their path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum PolicyDirection {
    /// Packets to this machine.
    In,
    /// Packets that leave this machine, including those that it forwards.
    Out,
    /// Packets that this machine forwards, before they leave.
    Forward,
}

impl PolicyDirection {
    /// Returns the direction of the SAs that protect the packets.
    pub fn of_sas(self) -> Direction {
        match self {
            PolicyDirection::Out => Direction::Outbound,
            PolicyDirection::In | PolicyDirection::Forward => Direction::Inbound,
        }
    }
}

impl fmt::Display for PolicyDirection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            PolicyDirection::In => "in",
            PolicyDirection::Out => "out",
            PolicyDirection::Forward => "fwd",
        })
    }
}

/// An SPD entry: what to do with the packets of one direction that a selector selects.
///
/// Direction and selector identify an entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpdEntry {
    /// Direction of the packets.
    pub direction: PolicyDirection,
    /// The packets. The local side of a forwarded packet is its destination.
    pub selector: Selector,
    /// Priority; the entry with the lowest number that matches decides. Entries that overlap differ in it.
    pub priority: u32,
    /// Id of the filter that the entry carries out.
    pub filter_id: FilterId,
    /// What to do with the packets.
    pub action: SpdAction,
}

impl SpdEntry {
    /// The priorities that an engine gives to its entries. Those of strongSwan's ordinary policies are higher.
    pub const PRIORITIES: RangeInclusive<u32> = 1_000..=299_999;
}

/// What an SPD entry does with packets (RFC 4301: PROTECT, BYPASS, DISCARD).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SpdAction {
    /// Protect them with IPsec.
    Protect(Arc<Protection>),
    /// Pass them without IPsec.
    Bypass,
    /// Drop them.
    Block,
}

/// How a policy protects packets, as far as its objects specify it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Protection {
    /// Id that SA contexts of the policy refer to: that of the provider context, or else of the filter.
    pub policy_id: FilterId,
    /// Key of the policy: that of the filters' provider context, or else that of the filter. Only the SAs of a policy
    /// protect its packets.
    pub policy: Guid,
    /// Transport or tunnel mode.
    pub mode: Mode,
    /// Endpoints of the tunnel; `None` in transport mode, or if the policy leaves them to its SAs.
    pub endpoints: Option<Endpoints>,
    /// Protocols of the SAs, innermost first. The SAs of the policy may use others.
    pub protocols: Vec<Protocol>,
    /// Whether packets pass unprotected while there is no SA.
    pub optional: bool,
}

/// A change of one SPD entry. Direction and selector of `old` and `new` are equal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpdChange {
    /// The entry so far; `None` if it is new.
    pub old: Option<SpdEntry>,
    /// The entry from now on; `None` if it is removed.
    pub new: Option<SpdEntry>,
}

impl SpdChange {
    /// Returns the change that undoes this one.
    #[must_use]
    pub fn reversed(self) -> SpdChange {
        SpdChange { old: self.new, new: self.old }
    }
}

impl SpdAction {
    /// Returns how the packets are protected; `None` if they are not.
    pub fn protection(&self) -> Option<&Arc<Protection>> {
        match self {
            SpdAction::Protect(protection) => Some(protection),
            SpdAction::Bypass | SpdAction::Block => None,
        }
    }
}

impl Filter {
    /// Returns the mode in which the filter has packets protected: that of its callout, if it is one of the built-in IPsec
    /// callouts of the transport and IP forward layers.
    pub fn ipsec_mode(&self) -> Option<Mode> {
        if !self.action.kind.has_callout() {
            return None;
        }
        match self.action.callout {
            callout::IPSEC_INBOUND_TRANSPORT_V4
            | callout::IPSEC_INBOUND_TRANSPORT_V6
            | callout::IPSEC_OUTBOUND_TRANSPORT_V4
            | callout::IPSEC_OUTBOUND_TRANSPORT_V6 => Some(Mode::Transport),
            callout::IPSEC_INBOUND_TUNNEL_V4
            | callout::IPSEC_INBOUND_TUNNEL_V6
            | callout::IPSEC_OUTBOUND_TUNNEL_V4
            | callout::IPSEC_OUTBOUND_TUNNEL_V6
            | callout::IPSEC_FORWARD_INBOUND_TUNNEL_V4
            | callout::IPSEC_FORWARD_INBOUND_TUNNEL_V6
            | callout::IPSEC_FORWARD_OUTBOUND_TUNNEL_V4
            | callout::IPSEC_FORWARD_OUTBOUND_TUNNEL_V6 => Some(Mode::Tunnel),
            _ => None,
        }
    }

    /// Returns the key of the policy that a filter with an IPsec callout carries out: that of its provider context, or else
    /// its own.
    pub fn policy_key(&self) -> Guid {
        match self.context {
            FilterContext::ProviderContext(key) => key,
            FilterContext::Raw(_) => self.key,
        }
    }
}
