//! Whose packets an SA protects, and how: addresses, mode, direction, protocol.

use std::fmt;
use std::net::IpAddr;
use std::net::Ipv4Addr;
use std::net::Ipv6Addr;

/// The version of IP. WFP: `FWP_IP_VERSION`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum IpVersion {
    /// IPv4, `FWP_IP_VERSION_V4` 0.
    V4,
    /// IPv6, `FWP_IP_VERSION_V6` 1.
    V6,
}

/// The direction of an SA as seen from this machine. WFP: `FWP_DIRECTION`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Direction {
    /// Packets that leave, `FWP_DIRECTION_OUTBOUND` 0.
    Outbound,
    /// Packets that arrive, `FWP_DIRECTION_INBOUND` 1.
    Inbound,
}

/// The protocol of an SA, by its IP protocol number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Protocol {
    /// Encapsulating Security Payload, 50 (RFC 4303).
    Esp,
    /// Authentication Header, 51 (RFC 4302).
    Ah,
    /// IP Payload Compression, 108 (RFC 3173).
    Ipcomp,
}

impl Protocol {
    /// The IP protocol number.
    pub fn number(self) -> u8 {
        match self {
            Protocol::Esp => 50,
            Protocol::Ah => 51,
            Protocol::Ipcomp => 108,
        }
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Protocol::Esp => "esp",
            Protocol::Ah => "ah",
            Protocol::Ipcomp => "comp",
        })
    }
}

/// The two ends of protected traffic, of one IP version by construction.
///
/// In tunnel mode these are the addresses of the outer header.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub enum Endpoints {
    /// Two IPv4 addresses.
    V4 {
        /// This machine's address.
        local: Ipv4Addr,
        /// The peer's address.
        remote: Ipv4Addr,
    },
    /// Two IPv6 addresses.
    V6 {
        /// This machine's address.
        local: Ipv6Addr,
        /// The peer's address.
        remote: Ipv6Addr,
    },
}

impl Endpoints {
    /// Joins two addresses; none if they differ in IP version (`FWP_E_TRAFFIC_MISMATCH`).
    pub fn new(local: IpAddr, remote: IpAddr) -> Option<Endpoints> {
        match (local, remote) {
            (IpAddr::V4(local), IpAddr::V4(remote)) => Some(Endpoints::V4 { local, remote }),
            (IpAddr::V6(local), IpAddr::V6(remote)) => Some(Endpoints::V6 { local, remote }),
            _ => None,
        }
    }

    /// This machine's address.
    pub fn local(&self) -> IpAddr {
        match *self {
            Endpoints::V4 { local, .. } => local.into(),
            Endpoints::V6 { local, .. } => local.into(),
        }
    }

    /// The peer's address.
    pub fn remote(&self) -> IpAddr {
        match *self {
            Endpoints::V4 { remote, .. } => remote.into(),
            Endpoints::V6 { remote, .. } => remote.into(),
        }
    }

    /// The IP version of both.
    pub fn ip_version(&self) -> IpVersion {
        match self {
            Endpoints::V4 { .. } => IpVersion::V4,
            Endpoints::V6 { .. } => IpVersion::V6,
        }
    }
}

impl fmt::Debug for Endpoints {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} <=> {}", self.local(), self.remote())
    }
}

/// WFP's two kinds of traffic. WFP: `IPSEC_TRAFFIC_TYPE`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TrafficType {
    /// `IPSEC_TRAFFIC_TYPE_TRANSPORT` 0.
    Transport,
    /// `IPSEC_TRAFFIC_TYPE_TUNNEL` 1.
    Tunnel,
}

/// The mode of an SA; wider than WFP's, which knows transport and tunnel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Mode {
    /// Transport mode (RFC 4301 §4.1).
    Transport,
    /// Tunnel mode (RFC 4301 §4.1).
    Tunnel,
    /// Bound end-to-end tunnel: fixed inner addresses. WFP's view shows a tunnel.
    Beet,
    /// Aggregation and fragmentation (RFC 9347). WFP's view shows a tunnel.
    Iptfs,
}

impl Mode {
    /// What WFP's view shows of it.
    pub fn traffic_type(self) -> TrafficType {
        match self {
            Mode::Transport => TrafficType::Transport,
            Mode::Tunnel | Mode::Beet | Mode::Iptfs => TrafficType::Tunnel,
        }
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Mode::Transport => "transport",
            Mode::Tunnel => "tunnel",
            Mode::Beet => "beet",
            Mode::Iptfs => "iptfs",
        })
    }
}

/// The traffic of an SA context. WFP: `IPSEC_TRAFFIC1`.
///
/// The part of that structure that differs between the directions, the id of the filter or tunnel policy,
/// is [`SaDetails::filter_id`](crate::SaDetails::filter_id).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Traffic {
    /// The hosts' addresses in transport mode, the outer header's otherwise.
    pub endpoints: Endpoints,
    /// The mode; its WFP view is `trafficType`.
    pub mode: Mode,
    /// The IP protocol that overrides the filter's in transport mode; 0: the filter's.
    pub ip_protocol: u8,
    /// The local port that overrides the filter's in transport mode, host order; 0: the filter's.
    pub local_port: u16,
    /// The remote port that overrides the filter's in transport mode, host order; 0: the filter's.
    pub remote_port: u16,
    /// The LUID of the interface that a tunnel is bound to; 0: none.
    pub local_if_luid: u64,
    /// The profile id of the real interface; 0: none.
    pub real_if_profile_id: u32,
}

impl Traffic {
    /// Traffic between two addresses, with nothing else said.
    pub fn new(endpoints: Endpoints, mode: Mode) -> Traffic {
        Traffic {
            endpoints,
            mode,
            ip_protocol: 0,
            local_port: 0,
            remote_port: 0,
            local_if_luid: 0,
            real_if_profile_id: 0,
        }
    }

    /// Whether this is the same traffic in the sense of `FWP_E_TRAFFIC_MISMATCH`: addresses, type and
    /// IP version count, filter ids and ports do not.
    pub fn agrees_with(&self, other: &Traffic) -> bool {
        self.endpoints == other.endpoints && self.mode.traffic_type() == other.mode.traffic_type()
    }
}
