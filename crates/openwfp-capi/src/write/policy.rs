//! Writes the policies of provider contexts, in all versions. Fields that an older version lacks are
//! dropped.
#![allow(clippy::field_reassign_with_default, reason = "unions are set field by field")]
#![allow(non_snake_case, reason = "names of fields of C structures")]

use super::array;
use super::blob;
use super::filter::value;
use super::guid;
use super::optional_guid;
use crate::abi::*;
use crate::arena::Sink;
use crate::wide;
use openwfp_api::IpNet;
use openwfp_api::IpVersion;
use openwfp_api::Key;
use openwfp_api::KeyAccess;
use openwfp_api::object::policy::*;
use openwfp_api::record::Address;
use openwfp_api::record::Network;
use std::net::IpAddr;

/// The way to write policies: the version of their context, and the right to keys.
#[derive(Clone, Copy)]
pub(super) struct Manner<'k> {
    pub(super) version: u8,
    pub(super) keys: Option<&'k KeyAccess>,
}

/// Writes a policy and returns its address; null if the context's version does not know its type.
pub(super) fn policy(sink: &mut impl Sink, policy: &Policy, manner: Manner<'_>) -> *mut FWP_BYTE_BLOB {
    let version = manner.version;
    let pointer: *mut c_void = match policy {
        Policy::General(data) => {
            let data = blob(sink, &data.0);
            sink.put(data).cast()
        }
        Policy::Keying(keying) => {
            let modules: Vec<_> = keying.modules.iter().map(|module| guid(*module)).collect();
            let (modules, len) = array(sink, &modules);
            sink.put(IPSEC_KEYING_POLICY1 { numKeyMods: len, keyModKeys: modules, flags: keying.flags })
                .cast()
        }
        Policy::IkeQmTransport(transport) | Policy::AuthipQmTransport(transport) => {
            self::transport(sink, transport, manner)
        }
        Policy::Ikev2QmTransport(transport) if version >= 2 => self::transport(sink, transport, manner),
        Policy::IkeQmTunnel(tunnel) | Policy::AuthipQmTunnel(tunnel) => self::tunnel(sink, tunnel, manner),
        Policy::Ikev2QmTunnel(tunnel) if version >= 1 => self::tunnel(sink, tunnel, manner),
        Policy::IkeMm(ike) | Policy::AuthipMm(ike) => self::ike(sink, ike, manner),
        Policy::Ikev2Mm(ike) if version >= 1 => self::ike(sink, ike, manner),
        Policy::ClassifyOptions(options) => {
            let places = sink.reserve::<FWPM_CLASSIFY_OPTION0>(options.options.len());
            for (index, option) in options.options.iter().enumerate() {
                let value = value(sink, &option.value);
                sink.set(&places, index, FWPM_CLASSIFY_OPTION0 { r#type: option.kind.cast_signed(), value });
            }
            let numOptions = len(&options.options);
            sink.put(FWPM_CLASSIFY_OPTIONS0 { numOptions, options: places.start() }).cast()
        }
        Policy::Dosp(options) if version >= 1 => dosp(sink, options),
        Policy::NetworkConnection(settings) if version >= 3 => {
            let places = sink.reserve::<FWPM_NETWORK_CONNECTION_POLICY_SETTING0>(settings.settings.len());
            for (index, setting) in settings.settings.iter().enumerate() {
                let value = value(sink, &setting.value);
                let r#type = setting.kind.cast_signed();
                sink.set(&places, index, FWPM_NETWORK_CONNECTION_POLICY_SETTING0 { r#type, value });
            }
            let numSettings = len(&settings.settings);
            sink.put(FWPM_NETWORK_CONNECTION_POLICY_SETTINGS0 { numSettings, settings: places.start() })
                .cast()
        }
        _ => std::ptr::null_mut(),
    };
    pointer.cast()
}

fn len<T>(list: &[T]) -> u32 {
    u32::try_from(list.len()).unwrap_or(0)
}

fn key(sink: &mut impl Sink, key: &Key, manner: Manner<'_>) -> FWP_BYTE_BLOB {
    let bytes = manner.keys.map_or(&[][..], |access| key.bytes(access));
    FWP_BYTE_BLOB { size: u32::try_from(bytes.len()).unwrap_or(0), data: sink.key(bytes) }
}

fn ike(sink: &mut impl Sink, policy: &IkePolicy, manner: Manner<'_>) -> *mut c_void {
    let proposals: Vec<IKEEXT_PROPOSAL0> = policy
        .proposals
        .iter()
        .map(|proposal| IKEEXT_PROPOSAL0 {
            cipherAlgorithm: IKEEXT_CIPHER_ALGORITHM0 {
                algoIdentifier: proposal.cipher.cast_signed(),
                keyLen: proposal.cipher_key_length,
                rounds: proposal.cipher_rounds,
            },
            integrityAlgorithm: IKEEXT_INTEGRITY_ALGORITHM0 {
                algoIdentifier: proposal.integrity.cast_signed(),
            },
            maxLifetimeSeconds: proposal.max_lifetime_seconds,
            dhGroup: proposal.dh_group.cast_signed(),
            quickModeLimit: proposal.quick_mode_limit,
        })
        .collect();
    let (proposals, num_proposals) = array(sink, &proposals);
    // The newest version is the longest, and starts with each of the older ones.
    let c = IKEEXT_POLICY2 {
        softExpirationTime: policy.soft_expiration_time,
        numAuthenticationMethods: len(&policy.authentication_methods),
        authenticationMethods: methods(sink, &policy.authentication_methods, manner).cast(),
        initiatorImpersonationType: policy.initiator_impersonation.cast_signed(),
        numIkeProposals: num_proposals,
        ikeProposals: proposals,
        flags: policy.flags,
        maxDynamicFilters: policy.max_dynamic_filters,
        retransmitDurationSecs: policy.retransmit_duration,
    };
    sink.put(c).cast()
}

/// Writes an authentication method: the parts that all versions share.
macro_rules! method {
    ($sink:ident, $method:ident, $manner:ident, $c:ident, $preshared:expr, $certificate:ident, $kerberos:expr) => {
        $c.authenticationMethodType = $method.method.cast_signed();
        match &$method.detail {
            AuthenticationDetail::PresharedKey(preshared) => {
                let presharedKey = key($sink, &preshared.key, $manner);
                $c.Anonymous.presharedKeyAuthentication = $preshared(presharedKey, preshared.flags);
            }
            AuthenticationDetail::Certificate(certificate) => {
                $c.Anonymous.certificateAuthentication = $certificate($sink, certificate);
            }
            AuthenticationDetail::Kerberos(kerberos) => {
                $c.Anonymous.kerberosAuthentication = $kerberos($sink, kerberos);
            }
            AuthenticationDetail::Ntlm(ntlm) => {
                $c.Anonymous.ntlmV2Authentication = IKEEXT_NTLM_V2_AUTHENTICATION0 { flags: ntlm.flags };
            }
            AuthenticationDetail::Cga(cga) => {
                $c.Anonymous.cgaAuthentication = IKEEXT_IPV6_CGA_AUTHENTICATION0 {
                    keyContainerName: wide::put($sink, &cga.key_container_name),
                    cspName: wide::put($sink, &cga.csp_name),
                    cspType: cga.csp_type,
                    cgaModifier: FWP_BYTE_ARRAY16 { byteArray16: cga.modifier },
                    cgaCollisionCount: cga.collision_count,
                };
            }
            _ => {}
        }
    };
}

fn methods<S: Sink>(sink: &mut S, methods: &[AuthenticationMethod], manner: Manner<'_>) -> *mut c_void {
    let kerberos0 = |_: &mut S, kerberos: &KerberosAuthentication| IKEEXT_KERBEROS_AUTHENTICATION0 {
        flags: kerberos.flags,
    };
    let preshared1 = |presharedKey, flags| IKEEXT_PRESHARED_KEY_AUTHENTICATION1 { presharedKey, flags };
    match manner.version {
        0 => {
            let places = sink.reserve::<IKEEXT_AUTHENTICATION_METHOD0>(methods.len());
            for (index, method) in methods.iter().enumerate() {
                let mut c = IKEEXT_AUTHENTICATION_METHOD0::default();
                let preshared0 = |presharedKey, _| IKEEXT_PRESHARED_KEY_AUTHENTICATION0 { presharedKey };
                method!(sink, method, manner, c, preshared0, certificate0, kerberos0);
                sink.set(&places, index, c);
            }
            places.start().cast()
        }
        1 => {
            let places = sink.reserve::<IKEEXT_AUTHENTICATION_METHOD1>(methods.len());
            for (index, method) in methods.iter().enumerate() {
                let mut c = IKEEXT_AUTHENTICATION_METHOD1::default();
                method!(sink, method, manner, c, preshared1, certificate1, kerberos0);
                if let AuthenticationDetail::Eap(eap) = &method.detail {
                    c.Anonymous.eapAuthentication = IKEEXT_EAP_AUTHENTICATION0 { flags: eap.flags };
                }
                sink.set(&places, index, c);
            }
            places.start().cast()
        }
        _ => {
            let places = sink.reserve::<IKEEXT_AUTHENTICATION_METHOD2>(methods.len());
            for (index, method) in methods.iter().enumerate() {
                let mut c = IKEEXT_AUTHENTICATION_METHOD2::default();
                let kerberos1 =
                    |sink: &mut S, kerberos: &KerberosAuthentication| IKEEXT_KERBEROS_AUTHENTICATION1 {
                        flags: kerberos.flags,
                        proxyServer: wide::put(sink, &kerberos.proxy_server),
                    };
                method!(sink, method, manner, c, preshared1, certificate2, kerberos1);
                match &method.detail {
                    AuthenticationDetail::Eap(eap) => {
                        c.Anonymous.eapAuthentication = IKEEXT_EAP_AUTHENTICATION0 { flags: eap.flags };
                    }
                    AuthenticationDetail::Reserved(reserved) => {
                        c.Anonymous.reservedAuthentication =
                            IKEEXT_RESERVED_AUTHENTICATION0 { flags: reserved.flags };
                    }
                    _ => {}
                }
                sink.set(&places, index, c);
            }
            places.start().cast()
        }
    }
}

fn roots(sink: &mut impl Sink, config: &CertificateConfig) -> (*mut IKEEXT_CERT_ROOT_CONFIG0, u32) {
    let places = sink.reserve::<IKEEXT_CERT_ROOT_CONFIG0>(config.roots.len());
    for (index, root) in config.roots.iter().enumerate() {
        let certData = blob(sink, &root.data.0);
        sink.set(&places, index, IKEEXT_CERT_ROOT_CONFIG0 { certData, flags: root.flags });
    }
    let start = if config.roots.is_empty() { std::ptr::null_mut() } else { places.start() };
    (start, len(&config.roots))
}

/// Writes both sides in versions 0 and 1: an array for an explicit list, else one root.
macro_rules! sides {
    ($sink:ident, $certificate:ident, $c:ident) => {
        $c.inboundConfigType = $certificate.inbound.config_type.cast_signed();
        let (start, len) = roots($sink, &$certificate.inbound);
        if $certificate.inbound.config_type == 0 {
            $c.Anonymous1.Anonymous.inboundRootArraySize = len;
            $c.Anonymous1.Anonymous.inboundRootArray = start;
        } else {
            $c.Anonymous1.inboundEnterpriseStoreConfig = start;
        }
        $c.outboundConfigType = $certificate.outbound.config_type.cast_signed();
        let (start, len) = roots($sink, &$certificate.outbound);
        if $certificate.outbound.config_type == 0 {
            $c.Anonymous2.Anonymous.outboundRootArraySize = len;
            $c.Anonymous2.Anonymous.outboundRootArray = start;
        } else {
            $c.Anonymous2.outboundEnterpriseStoreConfig = start;
        }
        $c.flags = $certificate.flags;
    };
}

fn certificate0(
    sink: &mut impl Sink,
    certificate: &CertificateAuthentication,
) -> IKEEXT_CERTIFICATE_AUTHENTICATION0 {
    let mut c = IKEEXT_CERTIFICATE_AUTHENTICATION0::default();
    sides!(sink, certificate, c);
    c
}

fn certificate1(
    sink: &mut impl Sink,
    certificate: &CertificateAuthentication,
) -> IKEEXT_CERTIFICATE_AUTHENTICATION1 {
    let mut c = IKEEXT_CERTIFICATE_AUTHENTICATION1::default();
    sides!(sink, certificate, c);
    c.localCertLocationUrl = blob(sink, &certificate.local_cert_location_url.0);
    c
}

fn certificate2(
    sink: &mut impl Sink,
    certificate: &CertificateAuthentication,
) -> IKEEXT_CERTIFICATE_AUTHENTICATION2 {
    let mut c = IKEEXT_CERTIFICATE_AUTHENTICATION2::default();
    c.inboundConfigType = certificate.inbound.config_type.cast_signed();
    let (start, len) = criteria(sink, &certificate.inbound.criteria);
    c.Anonymous1.Anonymous1.inboundRootArraySize = len;
    c.Anonymous1.Anonymous1.inboundRootCriteria = start;
    c.outboundConfigType = certificate.outbound.config_type.cast_signed();
    let (start, len) = criteria(sink, &certificate.outbound.criteria);
    c.Anonymous2.Anonymous1.outboundRootArraySize = len;
    c.Anonymous2.Anonymous1.outboundRootCriteria = start;
    c.flags = certificate.flags;
    c.localCertLocationUrl = blob(sink, &certificate.local_cert_location_url.0);
    c
}

fn criteria(
    sink: &mut impl Sink,
    criteria: &[CertificateCriteria],
) -> (*mut IKEEXT_CERTIFICATE_CRITERIA0, u32) {
    let places = sink.reserve::<IKEEXT_CERTIFICATE_CRITERIA0>(criteria.len());
    for (index, one) in criteria.iter().enumerate() {
        let eku = one.ekus.as_ref().map_or(std::ptr::null_mut(), |ekus| {
            let names = sink.reserve::<*mut u8>(ekus.ekus.len());
            for (index, name) in ekus.ekus.iter().enumerate() {
                let mut bytes = name.as_bytes().to_vec();
                bytes.push(0);
                let bytes = sink.bytes(&bytes);
                sink.set(&names, index, bytes);
            }
            sink.put(IKEEXT_CERT_EKUS0 { numEku: len(&ekus.ekus), eku: names.start() })
        });
        let name = one.name.as_ref().map_or(std::ptr::null_mut(), |name| {
            let certName = wide::put(sink, &name.name);
            sink.put(IKEEXT_CERT_NAME0 { nameType: name.name_type.cast_signed(), certName })
        });
        let c = IKEEXT_CERTIFICATE_CRITERIA0 {
            certData: blob(sink, &one.data.0),
            certHash: blob(sink, &one.hash.0),
            eku,
            name,
            flags: one.flags,
        };
        sink.set(&places, index, c);
    }
    (places.start(), len(criteria))
}

fn em(sink: &mut impl Sink, policy: Option<&EmPolicy>, manner: Manner<'_>) -> *mut IKEEXT_EM_POLICY2 {
    let Some(policy) = policy else { return std::ptr::null_mut() };
    let c = IKEEXT_EM_POLICY2 {
        numAuthenticationMethods: len(&policy.authentication_methods),
        authenticationMethods: methods(sink, &policy.authentication_methods, manner).cast(),
        initiatorImpersonationType: policy.initiator_impersonation.cast_signed(),
    };
    sink.put(c)
}

fn idle(idle: &SaIdleTimeout) -> IPSEC_SA_IDLE_TIMEOUT0 {
    IPSEC_SA_IDLE_TIMEOUT0 {
        idleTimeoutSeconds: idle.seconds,
        idleTimeoutSecondsFailOver: idle.fail_over_seconds,
    }
}

fn transport(sink: &mut impl Sink, policy: &TransportPolicy, manner: Manner<'_>) -> *mut c_void {
    let c = IPSEC_TRANSPORT_POLICY2 {
        numIpsecProposals: len(&policy.proposals),
        ipsecProposals: proposals(sink, &policy.proposals),
        flags: policy.flags,
        ndAllowClearTimeoutSeconds: policy.nd_allow_clear_timeout,
        saIdleTimeout: idle(&policy.idle),
        emPolicy: em(sink, policy.em_policy.as_ref(), manner),
    };
    sink.put(c).cast()
}

fn proposals(sink: &mut impl Sink, proposals: &[IpsecProposal]) -> *mut IPSEC_PROPOSAL0 {
    let places = sink.reserve::<IPSEC_PROPOSAL0>(proposals.len());
    for (index, proposal) in proposals.iter().enumerate() {
        let transforms = sink.reserve::<IPSEC_SA_TRANSFORM0>(proposal.transforms.len());
        for (index, one) in proposal.transforms.iter().enumerate() {
            let c = transform(sink, one);
            sink.set(&transforms, index, c);
        }
        let c = IPSEC_PROPOSAL0 {
            lifetime: IPSEC_SA_LIFETIME0 {
                lifetimeSeconds: proposal.lifetime_seconds,
                lifetimeKilobytes: proposal.lifetime_kilobytes,
                lifetimePackets: proposal.lifetime_packets,
            },
            numSaTransforms: len(&proposal.transforms),
            saTransforms: transforms.start(),
            pfsGroup: proposal.pfs_group.cast_signed(),
        };
        sink.set(&places, index, c);
    }
    places.start()
}

fn transform(sink: &mut impl Sink, transform: &SaTransform) -> IPSEC_SA_TRANSFORM0 {
    let mut c = IPSEC_SA_TRANSFORM0 {
        ipsecTransformType: transform.transform_type.cast_signed(),
        ..Default::default()
    };
    let none = TransformId::default();
    let id = transform.auth.as_ref().unwrap_or(&none);
    let auth = IPSEC_AUTH_TRANSFORM0 {
        authTransformId: IPSEC_AUTH_TRANSFORM_ID0 {
            authType: id.algorithm.cast_signed(),
            authConfig: id.config,
        },
        cryptoModuleId: optional_guid(sink, id.crypto_module),
    };
    let id = transform.cipher.as_ref().unwrap_or(&none);
    let cipher = IPSEC_CIPHER_TRANSFORM0 {
        cipherTransformId: IPSEC_CIPHER_TRANSFORM_ID0 {
            cipherType: id.algorithm.cast_signed(),
            cipherConfig: id.config,
        },
        cryptoModuleId: optional_guid(sink, id.crypto_module),
    };
    match (&transform.auth, &transform.cipher) {
        (Some(_), Some(_)) => {
            let both = IPSEC_AUTH_AND_CIPHER_TRANSFORM0 { authTransform: auth, cipherTransform: cipher };
            c.Anonymous.espAuthAndCipherTransform = sink.put(both);
        }
        (Some(_), None) => c.Anonymous.ahTransform = sink.put(auth),
        (None, Some(_)) => c.Anonymous.espCipherTransform = sink.put(cipher),
        (None, None) => {}
    }
    c
}

/// Sets both endpoints of a tunnel, in any version's structure.
macro_rules! ends {
    ($endpoints:ident, $c:ident) => {
        match ($endpoints.local.0, $endpoints.remote.0) {
            (IpAddr::V4(local), IpAddr::V4(remote)) => {
                $c.ipVersion = IpVersion::V4 as i32;
                $c.Anonymous1.localV4Address = local.into();
                $c.Anonymous2.remoteV4Address = remote.into();
            }
            (local, remote) => {
                $c.ipVersion = IpVersion::V6 as i32;
                $c.Anonymous1.localV6Address = octets(local);
                $c.Anonymous2.remoteV6Address = octets(remote);
            }
        }
    };
}

fn octets(address: IpAddr) -> [u8; 16] {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped().octets(),
        IpAddr::V6(address) => address.octets(),
    }
}

fn endpoints2(sink: &mut impl Sink, endpoints: &TunnelEndpoints) -> IPSEC_TUNNEL_ENDPOINTS2 {
    let mut c = IPSEC_TUNNEL_ENDPOINTS2::default();
    ends!(endpoints, c);
    c.localIfLuid = endpoints.local_if_luid;
    if !endpoints.remote_fqdn.is_empty() {
        c.remoteFqdn = wide::put(sink, &endpoints.remote_fqdn);
    }
    let further: Vec<IPSEC_TUNNEL_ENDPOINT0> = endpoints.remote_addresses.iter().map(endpoint).collect();
    (c.remoteAddresses, c.numAddresses) = array(sink, &further);
    c
}

fn endpoint(address: &Address) -> IPSEC_TUNNEL_ENDPOINT0 {
    let mut c = IPSEC_TUNNEL_ENDPOINT0::default();
    match address.0 {
        IpAddr::V4(address) => c.Anonymous.v4Address = address.into(),
        IpAddr::V6(address) => {
            c.ipVersion = IpVersion::V6 as i32;
            c.Anonymous.v6Address = address.octets();
        }
    }
    c
}

fn tunnel(sink: &mut impl Sink, policy: &TunnelPolicy, manner: Manner<'_>) -> *mut c_void {
    let (num, list) = (len(&policy.proposals), proposals(sink, &policy.proposals));
    let (idle, em) = (idle(&policy.idle), em(sink, policy.em_policy.as_ref(), manner));
    let ends = &policy.endpoints;
    match manner.version {
        0 => {
            let mut c = IPSEC_TUNNEL_POLICY0 {
                flags: policy.flags,
                numIpsecProposals: num,
                ipsecProposals: list,
                saIdleTimeout: idle,
                emPolicy: em.cast(),
                ..Default::default()
            };
            let endpoints = &mut c.tunnelEndpoints;
            ends!(ends, endpoints);
            sink.put(c).cast()
        }
        1 => {
            let mut c = IPSEC_TUNNEL_POLICY1 {
                flags: policy.flags,
                numIpsecProposals: num,
                ipsecProposals: list,
                saIdleTimeout: idle,
                emPolicy: em.cast(),
                ..Default::default()
            };
            let endpoints = &mut c.tunnelEndpoints;
            ends!(ends, endpoints);
            endpoints.localIfLuid = ends.local_if_luid;
            sink.put(c).cast()
        }
        _ => {
            let places = sink.reserve::<IPSEC_TRAFFIC_SELECTOR_POLICY0>(policy.traffic_selectors.len());
            for (index, one) in policy.traffic_selectors.iter().enumerate() {
                let (local, remote): (Vec<_>, Vec<_>) =
                    (one.local.iter().map(selector).collect(), one.remote.iter().map(selector).collect());
                let (local, num_local) = array(sink, &local);
                let (remote, num_remote) = array(sink, &remote);
                let c = IPSEC_TRAFFIC_SELECTOR_POLICY0 {
                    flags: one.flags,
                    numLocalTrafficSelectors: num_local,
                    localTrafficSelectors: local,
                    numRemoteTrafficSelectors: num_remote,
                    remoteTrafficSelectors: remote,
                };
                sink.set(&places, index, c);
            }
            // Version 3's structure starts with version 2's.
            let c = IPSEC_TUNNEL_POLICY3 {
                flags: policy.flags,
                numIpsecProposals: num,
                ipsecProposals: list,
                tunnelEndpoints: endpoints2(sink, ends),
                saIdleTimeout: idle,
                emPolicy: em,
                fwdPathSaLifetime: policy.fwd_path_sa_lifetime,
                compartmentId: policy.compartment_id,
                numTrafficSelectorPolicy: len(&policy.traffic_selectors),
                trafficSelectorPolicies: places.start(),
            };
            sink.put(c).cast()
        }
    }
}

fn selector(selector: &TrafficSelector) -> IPSEC_TRAFFIC_SELECTOR0 {
    let mut c = IPSEC_TRAFFIC_SELECTOR0 {
        protocolId: selector.protocol,
        portStart: selector.port_start,
        portEnd: selector.port_end,
        ..Default::default()
    };
    match (selector.start.0, selector.end.0) {
        (IpAddr::V4(start), IpAddr::V4(end)) => {
            c.Anonymous1.startV4Address = start.into();
            c.Anonymous2.endV4Address = end.into();
        }
        (start, end) => {
            c.ipVersion = IpVersion::V6 as i32;
            c.Anonymous1.startV6Address = octets(start);
            c.Anonymous2.endV6Address = octets(end);
        }
    }
    c
}

fn dosp(sink: &mut impl Sink, options: &DospOptions) -> *mut c_void {
    let mask = |network: &Option<Network>| match network {
        Some(Network(IpNet::V6(network))) => {
            FWP_V6_ADDR_AND_MASK { addr: network.addr().octets(), prefixLength: network.prefix_len() }
        }
        _ => FWP_V6_ADDR_AND_MASK::default(),
    };
    let (public, num_public) = array(sink, &options.public_if_luids);
    let (internal, num_internal) = array(sink, &options.internal_if_luids);
    let c = IPSEC_DOSP_OPTIONS0 {
        stateIdleTimeoutSeconds: options.state_idle_timeout_seconds,
        perIPRateLimitQueueIdleTimeoutSeconds: options.per_ip_rate_limit_queue_idle_timeout_seconds,
        ipV6IPsecUnauthDscp: options.ipv6_ipsec_unauth_dscp,
        ipV6IPsecUnauthRateLimitBytesPerSec: options.ipv6_ipsec_unauth_rate_limit,
        ipV6IPsecUnauthPerIPRateLimitBytesPerSec: options.ipv6_ipsec_unauth_per_ip_rate_limit,
        ipV6IPsecAuthDscp: options.ipv6_ipsec_auth_dscp,
        ipV6IPsecAuthRateLimitBytesPerSec: options.ipv6_ipsec_auth_rate_limit,
        icmpV6Dscp: options.icmpv6_dscp,
        icmpV6RateLimitBytesPerSec: options.icmpv6_rate_limit,
        ipV6FilterExemptDscp: options.ipv6_filter_exempt_dscp,
        ipV6FilterExemptRateLimitBytesPerSec: options.ipv6_filter_exempt_rate_limit,
        defBlockExemptDscp: options.def_block_exempt_dscp,
        defBlockExemptRateLimitBytesPerSec: options.def_block_exempt_rate_limit,
        maxStateEntries: options.max_state_entries,
        maxPerIPRateLimitQueues: options.max_per_ip_rate_limit_queues,
        flags: options.flags,
        numPublicIFLuids: num_public,
        publicIFLuids: public,
        numInternalIFLuids: num_internal,
        internalIFLuids: internal,
        publicV6AddrMask: mask(&options.public_v6),
        internalV6AddrMask: mask(&options.internal_v6),
    };
    sink.put(c).cast()
}
