//! The traffic that an SA protects: addresses, mode, direction and protocol.

use std::fmt;
use std::net::IpAddr;
use std::net::Ipv4Addr;
use std::net::Ipv6Addr;

/// IP version. WFP: `FWP_IP_VERSION`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum IpVersion {
    /// IPv4, `FWP_IP_VERSION_V4` 0.
    V4,
    /// IPv6, `FWP_IP_VERSION_V6` 1.
    V6,
}

/// Direction of an SA as seen from this machine. WFP: `FWP_DIRECTION`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Direction {
    /// Outgoing packets, `FWP_DIRECTION_OUTBOUND` 0.
    Outbound,
    /// Incoming packets, `FWP_DIRECTION_INBOUND` 1.
    Inbound,
}

impl fmt::Display for Direction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Direction::Outbound => "outbound",
            Direction::Inbound => "inbound",
        })
    }
}

/// Protocol of an SA.
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
    /// Returns the IP protocol number.
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

/// Local and remote address of protected traffic, always of the same IP version.
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
    /// Pairs two addresses; returns `None` if their IP versions differ (`FWP_E_TRAFFIC_MISMATCH`).
    pub fn new(local: IpAddr, remote: IpAddr) -> Option<Endpoints> {
        match (local, remote) {
            (IpAddr::V4(local), IpAddr::V4(remote)) => Some(Endpoints::V4 { local, remote }),
            (IpAddr::V6(local), IpAddr::V6(remote)) => Some(Endpoints::V6 { local, remote }),
            _ => None,
        }
    }

    /// Returns this machine's address.
    pub fn local(&self) -> IpAddr {
        match *self {
            Endpoints::V4 { local, .. } => local.into(),
            Endpoints::V6 { local, .. } => local.into(),
        }
    }

    /// Returns the peer's address.
    pub fn remote(&self) -> IpAddr {
        match *self {
            Endpoints::V4 { remote, .. } => remote.into(),
            Endpoints::V6 { remote, .. } => remote.into(),
        }
    }

    /// Returns the IP version of both addresses.
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

/// Traffic type, WFP's coarser form of [`Mode`]. WFP: `IPSEC_TRAFFIC_TYPE`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TrafficType {
    /// Transport mode, `IPSEC_TRAFFIC_TYPE_TRANSPORT` 0.
    Transport,
    /// Tunnel mode, `IPSEC_TRAFFIC_TYPE_TUNNEL` 1.
    Tunnel,
}

/// Mode of an SA.
///
/// WFP distinguishes only transport and tunnel; [`Mode::traffic_type`] maps to these.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Mode {
    /// Transport mode (RFC 4301 §4.1).
    Transport,
    /// Tunnel mode (RFC 4301 §4.1).
    Tunnel,
    /// Bound end-to-end tunnel (BEET), with fixed inner addresses. WFP's view shows a tunnel.
    Beet,
    /// IP-TFS, aggregation and fragmentation (RFC 9347). WFP's view shows a tunnel.
    Iptfs,
}

impl Mode {
    /// Returns the kernel's number of the mode, `XFRM_MODE_*`.
    pub fn number(self) -> u8 {
        match self {
            Mode::Transport => 0,
            Mode::Tunnel => 1,
            Mode::Beet => 4,
            Mode::Iptfs => 5,
        }
    }

    /// Returns the mode with one of the kernel's numbers. Mobile IPv6's two modes have none.
    pub fn from_number(number: u8) -> Option<Mode> {
        [Mode::Transport, Mode::Tunnel, Mode::Beet, Mode::Iptfs]
            .into_iter()
            .find(|mode| mode.number() == number)
    }

    /// Returns the traffic type that WFP's view shows for this mode.
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

/// Traffic that an SA context protects. WFP: `IPSEC_TRAFFIC1`.
///
/// The id of the filter or tunnel policy, the only part of that structure that differs between the
/// directions, is in [`SaDetails::filter_id`](crate::SaDetails::filter_id).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Traffic {
    /// Addresses of the two hosts in transport mode, of the outer header in all other modes.
    pub endpoints: Endpoints,
    /// Mode of the SAs. WFP: `trafficType`, by [`Mode::traffic_type`].
    pub mode: Mode,
    /// IP protocol number that overrides the filter's in transport mode; 0: use the filter's.
    pub ip_protocol: u8,
    /// Local port that overrides the filter's in transport mode, in host order; 0: use the filter's.
    pub local_port: u16,
    /// Remote port that overrides the filter's in transport mode, in host order; 0: use the filter's.
    pub remote_port: u16,
    /// LUID of the interface that has the local address; 0: none.
    pub local_if_luid: u64,
    /// Profile id of the interface that carries the traffic; 0: none.
    pub real_if_profile_id: u32,
}

impl Traffic {
    /// Creates traffic between two addresses, with all other fields 0.
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

    /// Returns whether both describe the same traffic; if not, a call fails with
    /// `FWP_E_TRAFFIC_MISMATCH`.
    ///
    /// Compares the addresses, and so the IP version, and the traffic type; ignores ports, protocol and
    /// interface.
    pub fn agrees_with(&self, other: &Traffic) -> bool {
        self.endpoints == other.endpoints && self.mode.traffic_type() == other.mode.traffic_type()
    }
}
