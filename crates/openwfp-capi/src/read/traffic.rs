//! Reads traffic, and the requests that contain it.

use super::number;
use crate::abi::IPSEC_GETSPI0;
use crate::abi::IPSEC_GETSPI1;
use crate::abi::IPSEC_TRAFFIC0;
use crate::abi::IPSEC_TRAFFIC1;
use crate::abi::IPSEC_V4_UDP_ENCAPSULATION0;
use crate::abi::IPSEC_VIRTUAL_IF_TUNNEL_INFO0;
use crate::boundary::optional;
use openwfp_api::Endpoints;
use openwfp_api::FilterId;
use openwfp_api::InboundRequest;
use openwfp_api::IpVersion;
use openwfp_api::Mode;
use openwfp_api::NewSaContext;
use openwfp_api::Result;
use openwfp_api::Traffic;
use openwfp_api::TrafficType;
use openwfp_api::UdpEncapsulation;
use openwfp_api::VirtualIfTunnel;
use std::net::Ipv4Addr;
use std::net::Ipv6Addr;

/// Converts version 0's traffic to version 1; the fields that version 0 lacks are 0.
pub(crate) fn traffic0(traffic: &IPSEC_TRAFFIC0) -> IPSEC_TRAFFIC1 {
    // SAFETY: the unions of both versions have the same members; all bytes are copied unchanged.
    let (local, remote, filter) = unsafe {
        (
            traffic.Anonymous1.localV6Address,
            traffic.Anonymous2.remoteV6Address,
            traffic.Anonymous3.ipsecFilterId,
        )
    };
    let mut wider = IPSEC_TRAFFIC1 {
        ipVersion: traffic.ipVersion,
        trafficType: traffic.trafficType,
        remotePort: traffic.remotePort,
        ..Default::default()
    };
    wider.Anonymous1.localV6Address = local;
    wider.Anonymous2.remoteV6Address = remote;
    wider.Anonymous3.ipsecFilterId = filter;
    wider
}

/// Reads an `IPSEC_TRAFFIC1`: the traffic, and the filter or tunnel policy that it names.
///
/// # Errors
/// `FWP_E_INVALID_ENUMERATOR` for an unknown IP version or traffic type.
pub(crate) fn traffic1(traffic: &IPSEC_TRAFFIC1) -> Result<(Traffic, FilterId)> {
    let version = IpVersion::from_wfp(number(traffic.ipVersion))?;
    let mode = match TrafficType::from_wfp(number(traffic.trafficType))? {
        TrafficType::Transport => Mode::Transport,
        TrafficType::Tunnel => Mode::Tunnel,
    };
    // SAFETY: every member of these unions is a number or bytes, for which all bits are valid.
    let (endpoints, filter) = unsafe {
        let endpoints = match version {
            IpVersion::V4 => Endpoints::V4 {
                local: Ipv4Addr::from(traffic.Anonymous1.localV4Address),
                remote: Ipv4Addr::from(traffic.Anonymous2.remoteV4Address),
            },
            IpVersion::V6 => Endpoints::V6 {
                local: Ipv6Addr::from(traffic.Anonymous1.localV6Address),
                remote: Ipv6Addr::from(traffic.Anonymous2.remoteV6Address),
            },
        };
        (endpoints, FilterId(traffic.Anonymous3.ipsecFilterId))
    };
    let traffic = Traffic {
        ip_protocol: traffic.ipProtocol,
        local_port: traffic.localPort,
        remote_port: traffic.remotePort,
        local_if_luid: traffic.localIfLuid,
        real_if_profile_id: traffic.realIfProfileId,
        ..Traffic::new(endpoints, mode)
    };
    Ok((traffic, filter))
}

/// Reads the arguments of `IPsecSaContextCreate1`.
///
/// # Errors
/// The errors of the traffic.
pub(crate) fn create(
    traffic: &IPSEC_TRAFFIC1,
    tunnel: Option<&IPSEC_VIRTUAL_IF_TUNNEL_INFO0>,
) -> Result<NewSaContext> {
    let (traffic, filter) = traffic1(traffic)?;
    let mut new = NewSaContext::new(traffic).filter(filter);
    new.virtual_if_tunnel = tunnel.and_then(virtual_if_tunnel);
    Ok(new)
}

/// Reads a tunnel over a virtual interface; `None` if both of its ids are 0.
pub(super) fn virtual_if_tunnel(tunnel: &IPSEC_VIRTUAL_IF_TUNNEL_INFO0) -> Option<VirtualIfTunnel> {
    let tunnel = VirtualIfTunnel {
        virtual_if_tunnel_id: tunnel.virtualIfTunnelId,
        traffic_selector_id: tunnel.trafficSelectorId,
    };
    (tunnel.virtual_if_tunnel_id != 0 || tunnel.traffic_selector_id != 0).then_some(tunnel)
}

/// Reads an `IPSEC_GETSPI0`.
///
/// # Errors
/// Same as [`get_spi1`].
///
/// # Safety
/// Same as [`get_spi1`].
pub(crate) unsafe fn get_spi0(request: &IPSEC_GETSPI0) -> Result<InboundRequest> {
    // SAFETY: the union has one member; `get_spi1` decides whether to follow it.
    let encapsulation = unsafe { request.Anonymous.inboundUdpEncapsulation };
    let mut wider = IPSEC_GETSPI1 {
        inboundIpsecTraffic: traffic0(&request.inboundIpsecTraffic),
        ipVersion: request.ipVersion,
        ..Default::default()
    };
    wider.Anonymous.inboundUdpEncapsulation = encapsulation;
    // SAFETY: the caller upholds the safety contract.
    unsafe { get_spi1(&wider) }
}

/// Reads an `IPSEC_GETSPI1`. Either of its two IP versions can select IPv6, because real callers leave
/// that of the traffic 0.
///
/// # Errors
/// `FWP_E_INVALID_ENUMERATOR` for an unknown IP version or traffic type.
///
/// # Safety
/// For IPv4, `inboundUdpEncapsulation` is null or valid; for IPv6 it is not used.
pub(crate) unsafe fn get_spi1(request: &IPSEC_GETSPI1) -> Result<InboundRequest> {
    let own = IpVersion::from_wfp(number(request.ipVersion))?;
    let mut traffic = request.inboundIpsecTraffic;
    if own == IpVersion::V6 && traffic.ipVersion == 0 {
        traffic.ipVersion = request.ipVersion;
    }
    let (traffic, filter) = traffic1(&traffic)?;
    let mut inbound = InboundRequest::new(traffic).filter(filter);
    if inbound.traffic.endpoints.ip_version() == IpVersion::V4 {
        // SAFETY: the union's only member is null or valid for IPv4, as the caller guarantees.
        inbound.udp_encapsulation = unsafe { udp_encapsulation(request.Anonymous.inboundUdpEncapsulation) }?;
    }
    Ok(inbound)
}

/// # Safety
/// The pointer is null or valid.
pub(super) unsafe fn udp_encapsulation(
    ports: *const IPSEC_V4_UDP_ENCAPSULATION0,
) -> Result<Option<UdpEncapsulation>> {
    // SAFETY: the caller upholds the safety contract.
    let ports = unsafe { optional(ports, "udpEncapsulation") }?;
    Ok(ports.map(|ports| UdpEncapsulation {
        local_port: ports.localUdpEncapPort,
        remote_port: ports.remoteUdpEncapPort,
    }))
}
