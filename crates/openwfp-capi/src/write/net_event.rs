//! Writes net events, in all versions.
#![allow(clippy::field_reassign_with_default, reason = "unions are set field by field")]

use super::array;
use super::blob;
use super::filter::condition_value;
use super::guid;
use super::optional_guid;
use super::page;
use crate::abi::*;
use crate::arena::Layout;
use crate::arena::Sink;
use crate::wide;
use openwfp_api::Timestamp;
use openwfp_api::object::net_event::*;
use openwfp_api::record::Address;
use std::marker::PhantomData;
use std::net::IpAddr;
use std::sync::Arc;
use windows_sys::Win32::Foundation::FILETIME;

/// Converts seconds since 1970 to units of 100 ns since 1601; 0 stays 0.
pub(super) fn filetime(time: Timestamp) -> FILETIME {
    let units = match time.0 {
        0 => 0,
        seconds => seconds.saturating_add(11_644_473_600).saturating_mul(10_000_000),
    };
    #[allow(clippy::cast_possible_truncation, reason = "the two halves")]
    FILETIME { dwLowDateTime: units as u32, dwHighDateTime: (units >> 32) as u32 }
}

/// A C structure of a net event.
pub(crate) trait NetEventShape: Copy {
    /// Writes one net event.
    fn write(sink: &mut impl Sink, event: &NetEvent) -> Self;
}

/// Sets the part of a header that all versions have.
macro_rules! header {
    ($sink:ident, $event:ident, $c:ident) => {
        $c.timeStamp = filetime($event.time);
        // The event's own flags, plus those of the addresses and the protocol if they are present.
        $c.flags = $event.flags
            | if $event.local.is_some() {
                FWPM_NET_EVENT_FLAG_LOCAL_ADDR_SET | FWPM_NET_EVENT_FLAG_IP_VERSION_SET
            } else {
                0
            }
            | if $event.remote.is_some() {
                FWPM_NET_EVENT_FLAG_REMOTE_ADDR_SET | FWPM_NET_EVENT_FLAG_IP_VERSION_SET
            } else {
                0
            }
            | if $event.protocol != 0 { FWPM_NET_EVENT_FLAG_IP_PROTOCOL_SET } else { 0 };
        for address in [$event.local, $event.remote].into_iter().flatten() {
            $c.ipVersion = i32::from(address.0.is_ipv6());
        }
        $c.ipProtocol = $event.protocol;
        match $event.local {
            Some(Address(IpAddr::V4(v4))) => $c.Anonymous1.localAddrV4 = v4.into(),
            Some(Address(IpAddr::V6(v6))) => {
                $c.Anonymous1.localAddrV6 = FWP_BYTE_ARRAY16 { byteArray16: v6.octets() }
            }
            None => {}
        }
        match $event.remote {
            Some(Address(IpAddr::V4(v4))) => $c.Anonymous2.remoteAddrV4 = v4.into(),
            Some(Address(IpAddr::V6(v6))) => {
                $c.Anonymous2.remoteAddrV6 = FWP_BYTE_ARRAY16 { byteArray16: v6.octets() }
            }
            None => {}
        }
        $c.localPort = $event.local_port;
        $c.remotePort = $event.remote_port;
        $c.scopeId = $event.scope_id;
        $c.appId = blob($sink, &$event.app_id.0);
        $c.userId = $event.user.map_or(std::ptr::null_mut(), |user| $sink.bytes(&user.to_bytes()).cast());
    };
}

/// Sets the type and detail of an event, in version 1 and later.
macro_rules! detail {
    ($sink:ident, $event:ident, $c:ident, $main:ident, $quick:ident, $drop:ident) => {
        $c.r#type = $event.detail.event_type().cast_signed();
        match &$event.detail {
            NetEventDetail::IkeMmFailure(failure) => $c.Anonymous.ikeMmFailure = $main($sink, failure),
            NetEventDetail::IkeQmFailure(failure) => $c.Anonymous.ikeQmFailure = $quick($sink, failure),
            NetEventDetail::IkeEmFailure(failure) => $c.Anonymous.ikeEmFailure = extended1($sink, failure),
            NetEventDetail::ClassifyDrop(drop) => $c.Anonymous.classifyDrop = $drop($sink, drop),
            NetEventDetail::IpsecDrop(drop) => $c.Anonymous.ipsecDrop = ipsec_drop($sink, drop),
            NetEventDetail::DospDrop(drop) => $c.Anonymous.idpDrop = dosp_drop($sink, drop),
            _ => {}
        }
    };
}

impl NetEventShape for FWPM_NET_EVENT0 {
    fn write(sink: &mut impl Sink, event: &NetEvent) -> Self {
        let mut c = FWPM_NET_EVENT0::default();
        let header = &mut c.header;
        header!(sink, event, header);
        c.r#type = event.detail.event_type().cast_signed();
        match &event.detail {
            NetEventDetail::IkeMmFailure(failure) => {
                let failure = main0(failure);
                c.Anonymous.ikeMmFailure = sink.put(failure);
            }
            NetEventDetail::IkeQmFailure(failure) => c.Anonymous.ikeQmFailure = quick0(sink, failure),
            NetEventDetail::IkeEmFailure(failure) => {
                let failure = extended0(failure);
                c.Anonymous.ikeEmFailure = sink.put(failure);
            }
            NetEventDetail::ClassifyDrop(drop) => {
                let drop = FWPM_NET_EVENT_CLASSIFY_DROP0 { filterId: drop.filter_id, layerId: drop.layer_id };
                c.Anonymous.classifyDrop = sink.put(drop);
            }
            NetEventDetail::IpsecDrop(drop) => c.Anonymous.ipsecDrop = ipsec_drop(sink, drop),
            NetEventDetail::DospDrop(drop) => c.Anonymous.idpDrop = dosp_drop(sink, drop),
            _ => {}
        }
        c
    }
}

impl NetEventShape for FWPM_NET_EVENT1 {
    fn write(sink: &mut impl Sink, event: &NetEvent) -> Self {
        let mut c = FWPM_NET_EVENT1::default();
        let header = &mut c.header;
        header!(sink, event, header);
        detail!(sink, event, c, main1, quick0, drop1);
        c
    }
}

macro_rules! later {
    ($($shape:ident: $main:ident, $quick:ident;)*) => {$(
        impl NetEventShape for $shape {
            fn write(sink: &mut impl Sink, event: &NetEvent) -> Self {
                let mut c = $shape::default();
                let header = &mut c.header;
                header!(sink, event, header);
                header.addressFamily = match event.local.or(event.remote) {
                    Some(Address(IpAddr::V4(_))) => FWP_AF_INET,
                    Some(Address(IpAddr::V6(_))) => FWP_AF_INET6,
                    None => FWP_AF_NONE,
                };
                header.packageSid =
                    event.package.map_or(std::ptr::null_mut(), |package| sink.bytes(&package.to_bytes()).cast());
                detail!(sink, event, c, $main, $quick, drop2);
                if let NetEventDetail::ClassifyAllow(allow) = &event.detail {
                    c.Anonymous.classifyAllow = sink.put(FWPM_NET_EVENT_CLASSIFY_ALLOW0 {
                        filterId: allow.filter_id,
                        layerId: allow.layer_id,
                        reauthReason: allow.reauth_reason,
                        originalProfile: allow.original_profile,
                        currentProfile: allow.current_profile,
                        msFwpDirection: allow.direction,
                        isLoopback: allow.is_loopback.into(),
                    });
                }
                c
            }
        }
    )*};
}

later! {
    FWPM_NET_EVENT2: main1, quick0;
    FWPM_NET_EVENT3: main1, quick0;
    FWPM_NET_EVENT4: main2, quick1;
    FWPM_NET_EVENT5: main2, quick1;
}

fn main0(failure: &IkeFailure) -> FWPM_NET_EVENT_IKEEXT_MM_FAILURE0 {
    FWPM_NET_EVENT_IKEEXT_MM_FAILURE0 {
        failureErrorCode: failure.error_code,
        failurePoint: failure.failure_point.cast_signed(),
        flags: failure.flags,
        keyingModuleType: failure.keying_module.cast_signed(),
        mmState: failure.state.cast_signed(),
        saRole: failure.role.cast_signed(),
        mmAuthMethod: failure.auth_method.cast_signed(),
        endCertHash: failure.certificate_hash,
        mmId: failure.main_mode_id,
        mmFilterId: failure.filter_id,
    }
}

fn main2(sink: &mut impl Sink, failure: &IkeFailure) -> *mut FWPM_NET_EVENT_IKEEXT_MM_FAILURE2 {
    let first = main0(failure);
    let (local, num_local) = names(sink, &failure.local_groups);
    let (remote, num_remote) = names(sink, &failure.remote_groups);
    let c = FWPM_NET_EVENT_IKEEXT_MM_FAILURE2 {
        failureErrorCode: first.failureErrorCode,
        failurePoint: first.failurePoint,
        flags: first.flags,
        keyingModuleType: first.keyingModuleType,
        mmState: first.mmState,
        saRole: first.saRole,
        mmAuthMethod: first.mmAuthMethod,
        endCertHash: first.endCertHash,
        mmId: first.mmId,
        mmFilterId: first.mmFilterId,
        localPrincipalNameForAuth: wide::put(sink, &failure.local_principal),
        remotePrincipalNameForAuth: wide::put(sink, &failure.remote_principal),
        numLocalPrincipalGroupSids: num_local,
        localPrincipalGroupSids: local,
        numRemotePrincipalGroupSids: num_remote,
        remotePrincipalGroupSids: remote,
        providerContextKey: optional_guid(sink, failure.provider_context),
    };
    sink.put(c)
}

/// Version 2's structure starts with version 1's.
fn main1(sink: &mut impl Sink, failure: &IkeFailure) -> *mut FWPM_NET_EVENT_IKEEXT_MM_FAILURE1 {
    main2(sink, failure).cast()
}

fn extended0(failure: &IkeFailure) -> FWPM_NET_EVENT_IKEEXT_EM_FAILURE0 {
    FWPM_NET_EVENT_IKEEXT_EM_FAILURE0 {
        failureErrorCode: failure.error_code,
        failurePoint: failure.failure_point.cast_signed(),
        flags: failure.flags,
        emState: failure.state.cast_signed(),
        saRole: failure.role.cast_signed(),
        emAuthMethod: failure.auth_method.cast_signed(),
        endCertHash: failure.certificate_hash,
        mmId: failure.main_mode_id,
        qmFilterId: failure.filter_id,
    }
}

fn extended1(sink: &mut impl Sink, failure: &IkeFailure) -> *mut FWPM_NET_EVENT_IKEEXT_EM_FAILURE1 {
    let first = extended0(failure);
    let (local, num_local) = names(sink, &failure.local_groups);
    let (remote, num_remote) = names(sink, &failure.remote_groups);
    let c = FWPM_NET_EVENT_IKEEXT_EM_FAILURE1 {
        failureErrorCode: first.failureErrorCode,
        failurePoint: first.failurePoint,
        flags: first.flags,
        emState: first.emState,
        saRole: first.saRole,
        emAuthMethod: first.emAuthMethod,
        endCertHash: first.endCertHash,
        mmId: first.mmId,
        qmFilterId: first.qmFilterId,
        localPrincipalNameForAuth: wide::put(sink, &failure.local_principal),
        remotePrincipalNameForAuth: wide::put(sink, &failure.remote_principal),
        numLocalPrincipalGroupSids: num_local,
        localPrincipalGroupSids: local,
        numRemotePrincipalGroupSids: num_remote,
        remotePrincipalGroupSids: remote,
        saTrafficType: failure.traffic_type.cast_signed(),
    };
    sink.put(c)
}

fn quick1(sink: &mut impl Sink, failure: &IkeFailure) -> *mut FWPM_NET_EVENT_IKEEXT_QM_FAILURE1 {
    let mut c = FWPM_NET_EVENT_IKEEXT_QM_FAILURE1::default();
    c.failureErrorCode = failure.error_code;
    c.failurePoint = failure.failure_point.cast_signed();
    c.keyingModuleType = failure.keying_module.cast_signed();
    c.qmState = failure.state.cast_signed();
    c.saRole = failure.role.cast_signed();
    c.saTrafficType = failure.traffic_type.cast_signed();
    c.Anonymous1.localSubNet = condition_value(sink, &failure.local_subnet);
    c.Anonymous2.remoteSubNet = condition_value(sink, &failure.remote_subnet);
    c.qmFilterId = failure.filter_id;
    c.mmSaLuid = failure.main_mode_id;
    c.mmProviderContextKey = guid(failure.provider_context.unwrap_or_default());
    sink.put(c)
}

/// Version 1's structure starts with version 0's.
fn quick0(sink: &mut impl Sink, failure: &IkeFailure) -> *mut FWPM_NET_EVENT_IKEEXT_QM_FAILURE0 {
    quick1(sink, failure).cast()
}

fn drop2(sink: &mut impl Sink, drop: &ClassifyEvent) -> *mut FWPM_NET_EVENT_CLASSIFY_DROP2 {
    sink.put(FWPM_NET_EVENT_CLASSIFY_DROP2 {
        filterId: drop.filter_id,
        layerId: drop.layer_id,
        reauthReason: drop.reauth_reason,
        originalProfile: drop.original_profile,
        currentProfile: drop.current_profile,
        msFwpDirection: drop.direction,
        isLoopback: drop.is_loopback.into(),
        ..Default::default()
    })
}

/// Version 2's structure starts with version 1's.
fn drop1(sink: &mut impl Sink, drop: &ClassifyEvent) -> *mut FWPM_NET_EVENT_CLASSIFY_DROP1 {
    drop2(sink, drop).cast()
}

fn ipsec_drop(sink: &mut impl Sink, drop: &IpsecDrop) -> *mut FWPM_NET_EVENT_IPSEC_KERNEL_DROP0 {
    sink.put(FWPM_NET_EVENT_IPSEC_KERNEL_DROP0 {
        failureStatus: drop.failure_status,
        direction: drop.direction.cast_signed(),
        spi: drop.spi,
        filterId: drop.filter_id,
        layerId: drop.layer_id,
    })
}

fn dosp_drop(sink: &mut impl Sink, drop: &DospDrop) -> *mut FWPM_NET_EVENT_IPSEC_DOSP_DROP0 {
    let mut c = FWPM_NET_EVENT_IPSEC_DOSP_DROP0 {
        failureStatus: drop.failure_status,
        direction: drop.direction.cast_signed(),
        ..Default::default()
    };
    match (drop.public_host.0, drop.internal_host.0) {
        (IpAddr::V4(public), IpAddr::V4(internal)) => {
            c.Anonymous1.publicHostV4Addr = public.into();
            c.Anonymous2.internalHostV4Addr = internal.into();
        }
        (IpAddr::V6(public), IpAddr::V6(internal)) => {
            c.ipVersion = 1;
            c.Anonymous1.publicHostV6Addr = public.octets();
            c.Anonymous2.internalHostV6Addr = internal.octets();
        }
        _ => {}
    }
    sink.put(c)
}

fn names(sink: &mut impl Sink, names: &[String]) -> (*mut *mut u16, u32) {
    let names: Vec<*mut u16> = names.iter().map(|name| wide::put(sink, name)).collect();
    array(sink, &names)
}

/// A page of net events.
pub(crate) struct NetEvents<'a, C>(pub(crate) &'a [Arc<NetEvent>], pub(crate) PhantomData<C>);

impl<C: NetEventShape> Layout for NetEvents<'_, C> {
    fn write(&self, sink: &mut impl Sink) {
        page(sink, self.0, |sink, event| C::write(sink, event));
    }
}
