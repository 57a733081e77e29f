//! The details of one direction of an SA context.

use crate::FilterId;
use crate::SaBundle;

/// One direction of an SA context. WFP: `IPSEC_SA_DETAILS1`.
///
/// `ipVersion` and `saDirection` follow from where it stands; `traffic` is the context's, with this
/// direction's [`SaDetails::filter_id`]; `transportFilter` is
/// [`SaContext::transport_filter`](crate::SaContext::transport_filter).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SaDetails {
    /// `ipsecFilterId` in transport mode, `tunnelPolicyId` otherwise; for the kernel's SAs the index of
    /// the policy that names them, 0 where there is none.
    pub filter_id: FilterId,
    /// The SAs.
    pub bundle: SaBundle,
    /// UDP encapsulation (RFC 3948), if any.
    pub udp_encapsulation: Option<UdpEncapsulation>,
    /// The virtual interface of the tunnel, if any. WFP: `virtualIfTunnelInfo`.
    pub virtual_if_tunnel: Option<Box<VirtualIfTunnel>>,
}

/// Ports of UDP encapsulation, host order. WFP: `IPSEC_V4_UDP_ENCAPSULATION0`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct UdpEncapsulation {
    /// This machine's port.
    pub local_port: u16,
    /// The peer's port, or its NAT's.
    pub remote_port: u16,
}

/// A tunnel over a virtual interface. WFP: `IPSEC_VIRTUAL_IF_TUNNEL_INFO0`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct VirtualIfTunnel {
    /// Id of the virtual interface's tunnel.
    pub virtual_if_tunnel_id: u64,
    /// Id of the traffic selector.
    pub traffic_selector_id: u64,
}
