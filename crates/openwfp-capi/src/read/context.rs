//! Reads the values of an update: an SA context as a caller changed it.

use super::bundle1;
use super::traffic::udp_encapsulation;
use super::traffic::virtual_if_tunnel;
use super::traffic1;
use crate::abi::IPSEC_SA_CONTEXT1;
use crate::abi::IPSEC_SA_DETAILS1;
use crate::boundary::optional;
use openwfp_api::Code;
use openwfp_api::Error;
use openwfp_api::IpVersion;
use openwfp_api::Result;
use openwfp_api::SaContext;
use openwfp_api::SaContextId;
use openwfp_api::SaDetails;
use openwfp_api::Traffic;

/// Reads an `IPSEC_SA_CONTEXT1` for `IPsecSaContextUpdate0`. Transport filters are ignored.
///
/// # Errors
/// `FWP_E_NULL_POINTER` if both directions are null, `FWP_E_TRAFFIC_MISMATCH` if their traffic differs,
/// and the errors of traffic and bundles.
///
/// # Safety
/// The structure's pointers, down to those of the keys, are null or valid.
pub(crate) unsafe fn update_values(context: &IPSEC_SA_CONTEXT1) -> Result<SaContext> {
    // SAFETY: the caller upholds the safety contract.
    let (inbound, outbound) = unsafe {
        (
            optional(context.inboundSa, "inboundSa")?.map(|sa| details(sa)).transpose()?,
            optional(context.outboundSa, "outboundSa")?.map(|sa| details(sa)).transpose()?,
        )
    };
    let traffic = match (&inbound, &outbound) {
        (Some((inbound, _)), Some((outbound, _))) if inbound != outbound => {
            return Err(Error::new(
                Code::FWP_E_TRAFFIC_MISMATCH,
                "inboundSa and outboundSa differ in their traffic; only the filter ids may differ",
            ));
        }
        (_, Some((traffic, _))) | (Some((traffic, _)), None) => traffic.clone(),
        (None, None) => {
            return Err(Error::new(Code::FWP_E_NULL_POINTER, "inboundSa and outboundSa are both null"));
        }
    };
    let mut values = SaContext::new(SaContextId(context.saContextId), traffic);
    values.inbound = inbound.map(|(_, details)| details);
    values.outbound = outbound.map(|(_, details)| details);
    Ok(values)
}

/// # Safety
/// Same as [`update_values`].
unsafe fn details(details: &IPSEC_SA_DETAILS1) -> Result<(Traffic, SaDetails)> {
    let (traffic, filter_id) = traffic1(&details.traffic)?;
    let v4 = traffic.endpoints.ip_version() == IpVersion::V4;
    // SAFETY: the caller upholds the safety contract; the union's only member is used for
    // IPv4 alone.
    let (bundle, udp_encapsulation) = unsafe {
        let ports = if v4 { details.Anonymous.udpEncapsulation } else { std::ptr::null_mut() };
        (bundle1(&details.saBundle)?, udp_encapsulation(ports)?)
    };
    let virtual_if_tunnel = virtual_if_tunnel(&details.virtualIfTunnelInfo).map(Box::new);
    Ok((traffic, SaDetails { filter_id, bundle, udp_encapsulation, virtual_if_tunnel }))
}
