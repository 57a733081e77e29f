//! Details of one direction of an SA context.

use crate::FilterId;
use crate::SaBundle;

/// SAs of one direction of an SA context. WFP: `IPSEC_SA_DETAILS1`.
///
/// Other members of that structure follow from the context: `ipVersion` and `saDirection` from
/// [`SaContext::traffic`](crate::SaContext::traffic) and the field that holds this value, `traffic`
/// from the same traffic with this direction's [`SaDetails::filter_id`], and `transportFilter` from
/// [`SaContext::transport_filter`](crate::SaContext::transport_filter).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SaDetails {
    /// `ipsecFilterId` in transport mode, `tunnelPolicyId` in all other modes.
    ///
    /// For the kernel's SAs this is the index of the policy that refers to them, or 0 if there is none.
    pub filter_id: FilterId,
    /// SAs of this direction, with their lifetime and keying data.
    pub bundle: SaBundle,
    /// Ports of UDP encapsulation (RFC 3948), if it is used.
    pub udp_encapsulation: Option<UdpEncapsulation>,
    /// Virtual interface of the tunnel, if any. WFP: `virtualIfTunnelInfo`.
    pub virtual_if_tunnel: Option<Box<VirtualIfTunnel>>,
}

/// Ports of UDP encapsulation, in host order. WFP: `IPSEC_V4_UDP_ENCAPSULATION0`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct UdpEncapsulation {
    /// This machine's port.
    pub local_port: u16,
    /// The peer's port, or its NAT's port.
    pub remote_port: u16,
}

/// Ids of a tunnel over a virtual interface. WFP: `IPSEC_VIRTUAL_IF_TUNNEL_INFO0`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct VirtualIfTunnel {
    /// Id of the virtual interface tunnel.
    pub virtual_if_tunnel_id: u64,
    /// Id of the traffic selector.
    pub traffic_selector_id: u64,
}
