//! Reads the policies of provider contexts, in all versions. Fields that an older version lacks get
//! their defaults.

use super::guid;
use super::number;
use super::value;
use super::value::blob;
use super::value::list;
use super::value::optional_guid;
use crate::abi::*;
use crate::boundary::optional;
use crate::boundary::required;
use crate::wide;
use openwfp_api::Code;
use openwfp_api::Error;
use openwfp_api::IpNet;
use openwfp_api::IpVersion;
use openwfp_api::Key;
use openwfp_api::Result;
use openwfp_api::object::policy::*;
use openwfp_api::record::Address;
use openwfp_api::record::Blob;
use openwfp_api::record::Network;
use std::net::Ipv4Addr;
use std::net::Ipv6Addr;

/// Reads the policy of a provider context. The context's type and version determine its structure.
///
/// # Errors
/// `FWP_E_NULL_POINTER`, `FWP_E_INVALID_ENUMERATOR` for a type that the version does not have, and the
/// errors of values.
///
/// # Safety
/// The pointer is null or valid for the type, and so are the pointers in the structure.
pub(super) unsafe fn policy(context_type: u32, pointer: *const c_void, version: u8) -> Result<Policy> {
    let known = match version {
        0 => context_type <= 8,
        1 => context_type <= 11,
        2 => context_type <= 12,
        _ => context_type <= 13,
    };
    if !known {
        let what = format!("invalid type {context_type} of a FWPM_PROVIDER_CONTEXT{version}");
        return Err(Error::new(Code::FWP_E_INVALID_ENUMERATOR, what));
    }
    // SAFETY: the caller upholds the safety contract.
    unsafe {
        Ok(match context_type {
            0 => Policy::Keying(keying(pointer, version)?),
            1 => Policy::IkeQmTransport(transport(pointer.cast(), version)?),
            2 => Policy::IkeQmTunnel(tunnel(pointer, version)?),
            3 => Policy::AuthipQmTransport(transport(pointer.cast(), version)?),
            4 => Policy::AuthipQmTunnel(tunnel(pointer, version)?),
            5 => Policy::IkeMm(ike(pointer, version)?),
            6 => Policy::AuthipMm(ike(pointer, version)?),
            7 => {
                let options = required(pointer.cast::<FWPM_CLASSIFY_OPTIONS0>(), "classifyOptions")?;
                let options = list(options.options, options.numOptions, "options")?;
                let one = |option: &FWPM_CLASSIFY_OPTION0| {
                    Ok(TypedValue {
                        kind: number(option.r#type),
                        value: value::value(&option.value, "an option")?,
                    })
                };
                Policy::ClassifyOptions(ClassifyOptions {
                    options: options.iter().map(one).collect::<Result<_>>()?,
                })
            }
            8 => {
                let data = required(pointer.cast::<FWP_BYTE_BLOB>(), "dataBuffer")?;
                Policy::General(Blob::from(blob(data, "dataBuffer")?))
            }
            9 => Policy::Ikev2QmTunnel(tunnel(pointer, version)?),
            10 => Policy::Ikev2Mm(ike(pointer, version)?),
            11 => Policy::Dosp(dosp(required(pointer.cast(), "idpOptions")?)?),
            12 => Policy::Ikev2QmTransport(transport(pointer.cast(), version)?),
            _ => {
                let settings = required(
                    pointer.cast::<FWPM_NETWORK_CONNECTION_POLICY_SETTINGS0>(),
                    "networkConnectionPolicy",
                )?;
                let settings = list(settings.settings, settings.numSettings, "settings")?;
                let one = |setting: &FWPM_NETWORK_CONNECTION_POLICY_SETTING0| {
                    Ok(TypedValue {
                        kind: number(setting.r#type),
                        value: value::value(&setting.value, "a setting")?,
                    })
                };
                let settings = settings.iter().map(one).collect::<Result<_>>()?;
                Policy::NetworkConnection(NetworkConnectionSettings { settings })
            }
        })
    }
}

/// # Safety
/// Same as [`policy`].
unsafe fn keying(pointer: *const c_void, version: u8) -> Result<KeyingPolicy> {
    // SAFETY: the caller upholds the safety contract; version 1's structure starts with
    // version 0's.
    unsafe {
        let common = required(pointer.cast::<IPSEC_KEYING_POLICY0>(), "keyingPolicy")?;
        let modules = list(common.keyModKeys, common.numKeyMods, "keyModKeys")?;
        let flags = match version {
            0 | 1 => 0,
            _ => required(pointer.cast::<IPSEC_KEYING_POLICY1>(), "keyingPolicy")?.flags,
        };
        Ok(KeyingPolicy { modules: modules.iter().map(guid).collect(), flags })
    }
}

/// # Safety
/// Same as [`policy`].
unsafe fn ike(pointer: *const c_void, version: u8) -> Result<IkePolicy> {
    // SAFETY: the caller upholds the safety contract; the later structures start with
    // version 0's, except for the type of the methods.
    unsafe {
        let common = required(pointer.cast::<IKEEXT_POLICY0>(), "the main-mode policy")?;
        let proposals = list(common.ikeProposals, common.numIkeProposals, "ikeProposals")?;
        let proposal = |proposal: &IKEEXT_PROPOSAL0| IkeProposal {
            cipher: number(proposal.cipherAlgorithm.algoIdentifier),
            cipher_key_length: proposal.cipherAlgorithm.keyLen,
            cipher_rounds: proposal.cipherAlgorithm.rounds,
            integrity: number(proposal.integrityAlgorithm.algoIdentifier),
            max_lifetime_seconds: proposal.maxLifetimeSeconds,
            dh_group: number(proposal.dhGroup),
            quick_mode_limit: proposal.quickModeLimit,
        };
        let retransmit_duration = match version {
            0 => 0,
            _ => required(pointer.cast::<IKEEXT_POLICY1>(), "the main-mode policy")?.retransmitDurationSecs,
        };
        Ok(IkePolicy {
            soft_expiration_time: common.softExpirationTime,
            authentication_methods: methods(
                common.authenticationMethods.cast(),
                common.numAuthenticationMethods,
                version,
            )?,
            initiator_impersonation: number(common.initiatorImpersonationType),
            proposals: proposals.iter().map(proposal).collect(),
            flags: common.flags,
            max_dynamic_filters: common.maxDynamicFilters,
            retransmit_duration,
        })
    }
}

/// # Safety
/// The pointer is null or valid for `len` methods of this version.
unsafe fn methods(pointer: *const c_void, len: u32, version: u8) -> Result<Vec<AuthenticationMethod>> {
    let name = "authenticationMethods";
    // SAFETY: the caller upholds the safety contract.
    unsafe {
        match version {
            0 => list(pointer.cast(), len, name)?.iter().map(|method| method0(method)).collect(),
            1 => list(pointer.cast(), len, name)?.iter().map(|method| method1(method)).collect(),
            _ => list(pointer.cast(), len, name)?.iter().map(|method| method2(method)).collect(),
        }
    }
}

/// Reads an authentication method by its type: the parts that all versions share.
macro_rules! method {
    ($method:ident, $preshared_flags:expr, $proxy:expr, $certificate:ident, $further:expr) => {{
        let kind = number($method.authenticationMethodType);
        let union = &$method.Anonymous;
        let detail = match kind {
            0 => {
                let preshared = &union.presharedKeyAuthentication;
                let key = Key::new(blob(&preshared.presharedKey, "presharedKey")?);
                AuthenticationDetail::PresharedKey(PresharedKey { key, flags: $preshared_flags(preshared) })
            }
            1 | 7 | 8 => AuthenticationDetail::Certificate($certificate(&union.certificateAuthentication)?),
            4 | 9 | 10 => AuthenticationDetail::Certificate($certificate(&union.sslAuthentication)?),
            2 => {
                let kerberos = &union.kerberosAuthentication;
                AuthenticationDetail::Kerberos(KerberosAuthentication {
                    flags: kerberos.flags,
                    proxy_server: $proxy(kerberos)?,
                })
            }
            3 => AuthenticationDetail::default(),
            5 => AuthenticationDetail::Ntlm(FlagsAuthentication { flags: union.ntlmV2Authentication.flags }),
            6 => {
                let cga = &union.cgaAuthentication;
                AuthenticationDetail::Cga(CgaAuthentication {
                    key_container_name: wide::read(cga.keyContainerName, "keyContainerName")?,
                    csp_name: wide::read(cga.cspName, "cspName")?,
                    csp_type: cga.cspType,
                    modifier: cga.cgaModifier.byteArray16,
                    collision_count: cga.cgaCollisionCount,
                })
            }
            other => $further(other, union)?,
        };
        Ok(AuthenticationMethod { method: kind, detail })
    }};
}

fn unknown_method(kind: u32) -> Error {
    Error::new(
        Code::FWP_E_INVALID_ENUMERATOR,
        format!("invalid IKEEXT_AUTHENTICATION_METHOD_TYPE {kind} for this version of the structure"),
    )
}

/// # Safety
/// The method's pointers are null or valid for its type.
unsafe fn method0(method: &IKEEXT_AUTHENTICATION_METHOD0) -> Result<AuthenticationMethod> {
    let further = |kind, _: &IKEEXT_AUTHENTICATION_METHOD0_0| Err(unknown_method(kind));
    // SAFETY: the caller upholds the safety contract; the type selects the union member.
    unsafe {
        method!(
            method,
            |_: &IKEEXT_PRESHARED_KEY_AUTHENTICATION0| 0,
            |_: &IKEEXT_KERBEROS_AUTHENTICATION0| Ok::<_, Error>(String::new()),
            certificate0,
            further
        )
    }
}

/// # Safety
/// Same as [`method0`].
unsafe fn method1(method: &IKEEXT_AUTHENTICATION_METHOD1) -> Result<AuthenticationMethod> {
    let further = |kind, union: &IKEEXT_AUTHENTICATION_METHOD1_0| match kind {
        11 => Ok(AuthenticationDetail::Eap(FlagsAuthentication {
            // SAFETY: the type selects the union member.
            flags: unsafe { union.eapAuthentication.flags },
        })),
        kind => Err(unknown_method(kind)),
    };
    // SAFETY: same as in `method0`.
    unsafe {
        method!(
            method,
            |preshared: &IKEEXT_PRESHARED_KEY_AUTHENTICATION1| preshared.flags,
            |_: &IKEEXT_KERBEROS_AUTHENTICATION0| Ok::<_, Error>(String::new()),
            certificate1,
            further
        )
    }
}

/// # Safety
/// Same as [`method0`].
unsafe fn method2(method: &IKEEXT_AUTHENTICATION_METHOD2) -> Result<AuthenticationMethod> {
    let further = |kind, union: &IKEEXT_AUTHENTICATION_METHOD2_0| match kind {
        11 => Ok(AuthenticationDetail::Eap(FlagsAuthentication {
            // SAFETY: the type selects the union member.
            flags: unsafe { union.eapAuthentication.flags },
        })),
        12 => {
            // SAFETY: the type selects the union member.
            let flags = unsafe { union.reservedAuthentication.flags };
            Ok(AuthenticationDetail::Reserved(FlagsAuthentication { flags }))
        }
        kind => Err(unknown_method(kind)),
    };
    // SAFETY: same as in `method0`.
    unsafe {
        method!(
            method,
            |preshared: &IKEEXT_PRESHARED_KEY_AUTHENTICATION1| preshared.flags,
            |kerberos: &IKEEXT_KERBEROS_AUTHENTICATION1| wide::read(kerberos.proxyServer, "proxyServer"),
            certificate2,
            further
        )
    }
}

/// # Safety
/// The structure's pointers are null or valid.
unsafe fn certificate0(
    certificate: &IKEEXT_CERTIFICATE_AUTHENTICATION0,
) -> Result<CertificateAuthentication> {
    // SAFETY: the caller upholds the safety contract; an explicit trust list is an array,
    // the other types have at most one root.
    unsafe {
        let (inbound, outbound) = (&certificate.Anonymous1, &certificate.Anonymous2);
        Ok(CertificateAuthentication {
            inbound: roots(
                number(certificate.inboundConfigType),
                (inbound.Anonymous.inboundRootArraySize, inbound.Anonymous.inboundRootArray),
                inbound.inboundEnterpriseStoreConfig,
            )?,
            outbound: roots(
                number(certificate.outboundConfigType),
                (outbound.Anonymous.outboundRootArraySize, outbound.Anonymous.outboundRootArray),
                outbound.outboundEnterpriseStoreConfig,
            )?,
            flags: certificate.flags,
            local_cert_location_url: Blob::default(),
        })
    }
}

/// # Safety
/// Same as [`certificate0`].
unsafe fn certificate1(
    certificate: &IKEEXT_CERTIFICATE_AUTHENTICATION1,
) -> Result<CertificateAuthentication> {
    // SAFETY: same as in `certificate0`.
    unsafe {
        let (inbound, outbound) = (&certificate.Anonymous1, &certificate.Anonymous2);
        Ok(CertificateAuthentication {
            inbound: roots(
                number(certificate.inboundConfigType),
                (inbound.Anonymous.inboundRootArraySize, inbound.Anonymous.inboundRootArray),
                inbound.inboundEnterpriseStoreConfig,
            )?,
            outbound: roots(
                number(certificate.outboundConfigType),
                (outbound.Anonymous.outboundRootArraySize, outbound.Anonymous.outboundRootArray),
                outbound.outboundEnterpriseStoreConfig,
            )?,
            flags: certificate.flags,
            local_cert_location_url: Blob::from(blob(
                &certificate.localCertLocationUrl,
                "localCertLocationUrl",
            )?),
        })
    }
}

/// # Safety
/// Same as [`certificate0`].
unsafe fn certificate2(
    certificate: &IKEEXT_CERTIFICATE_AUTHENTICATION2,
) -> Result<CertificateAuthentication> {
    // SAFETY: the caller upholds the safety contract; the members of each union have the
    // same layout.
    unsafe {
        let inbound = &certificate.Anonymous1.Anonymous1;
        let outbound = &certificate.Anonymous2.Anonymous1;
        Ok(CertificateAuthentication {
            inbound: criteria(
                number(certificate.inboundConfigType),
                inbound.inboundRootArraySize,
                inbound.inboundRootCriteria,
            )?,
            outbound: criteria(
                number(certificate.outboundConfigType),
                outbound.outboundRootArraySize,
                outbound.outboundRootCriteria,
            )?,
            flags: certificate.flags,
            local_cert_location_url: Blob::from(blob(
                &certificate.localCertLocationUrl,
                "localCertLocationUrl",
            )?),
        })
    }
}

/// # Safety
/// The pointers are null or valid for the type.
unsafe fn roots(
    config_type: u32,
    (len, array): (u32, *mut IKEEXT_CERT_ROOT_CONFIG0),
    one: *mut IKEEXT_CERT_ROOT_CONFIG0,
) -> Result<CertificateConfig> {
    // SAFETY: the caller upholds the safety contract.
    let found: Vec<&IKEEXT_CERT_ROOT_CONFIG0> = unsafe {
        match config_type {
            0 => list(array, len, "the certificate roots")?.iter().collect(),
            1 | 2 => optional(one, "the certificate root")?.into_iter().collect(),
            3 => Vec::new(),
            other => {
                let what = format!("invalid IKEEXT_CERT_CONFIG_TYPE {other}");
                return Err(Error::new(Code::FWP_E_INVALID_ENUMERATOR, what));
            }
        }
    };
    let root = |root: &IKEEXT_CERT_ROOT_CONFIG0| {
        // SAFETY: the caller upholds the safety contract.
        let data = unsafe { blob(&root.certData, "certData") }?;
        Ok(CertificateRoot { data: Blob::from(data), flags: root.flags })
    };
    let roots = found.into_iter().map(root).collect::<Result<_>>()?;
    Ok(CertificateConfig { config_type, roots, criteria: Vec::new() })
}

/// # Safety
/// The pointer is null or valid for `len` criteria, and so are the pointers in them.
unsafe fn criteria(
    config_type: u32,
    len: u32,
    pointer: *const IKEEXT_CERTIFICATE_CRITERIA0,
) -> Result<CertificateConfig> {
    // An unspecified configuration has no criteria, whatever its fields contain.
    let len = if config_type == 3 { 0 } else { len };
    // SAFETY: the caller upholds the safety contract.
    let found = unsafe { list(pointer, len, "the certificate criteria") }?;
    let one = |criteria: &IKEEXT_CERTIFICATE_CRITERIA0| -> Result<CertificateCriteria> {
        // SAFETY: the caller upholds the safety contract.
        unsafe {
            let ekus = match optional(criteria.eku, "eku")? {
                Some(ekus) => {
                    let names = list(ekus.eku, ekus.numEku, "eku")?;
                    let ekus = names.iter().map(|name| ascii(*name)).collect::<Result<_>>()?;
                    Some(CertificateEkus { ekus })
                }
                None => None,
            };
            let name = match optional(criteria.name, "name")? {
                Some(name) => Some(CertificateName {
                    name_type: number(name.nameType),
                    name: wide::read(name.certName, "certName")?,
                }),
                None => None,
            };
            Ok(CertificateCriteria {
                data: Blob::from(blob(&criteria.certData, "certData")?),
                hash: Blob::from(blob(&criteria.certHash, "certHash")?),
                ekus,
                name,
                flags: criteria.flags,
            })
        }
    };
    let criteria = found.iter().map(one).collect::<Result<_>>()?;
    Ok(CertificateConfig { config_type, roots: Vec::new(), criteria })
}

/// Reads a string of bytes; invalid UTF-8 is replaced.
///
/// # Safety
/// The pointer is null or points to a string with a terminating 0.
unsafe fn ascii(pointer: *const u8) -> Result<String> {
    // SAFETY: the caller upholds the safety contract.
    unsafe { required(pointer, "a string")? };
    // SAFETY: the caller upholds the safety contract.
    let text = unsafe { core::ffi::CStr::from_ptr(pointer.cast()) };
    Ok(text.to_string_lossy().into_owned())
}

/// # Safety
/// The pointer is null or valid for this version.
unsafe fn em(pointer: *const c_void, version: u8) -> Result<Option<EmPolicy>> {
    // SAFETY: the caller upholds the safety contract; the versions differ only in the type
    // of the methods.
    unsafe {
        let Some(policy) = optional(pointer.cast::<IKEEXT_EM_POLICY0>(), "emPolicy")? else {
            return Ok(None);
        };
        Ok(Some(EmPolicy {
            authentication_methods: methods(
                policy.authenticationMethods.cast(),
                policy.numAuthenticationMethods,
                version,
            )?,
            initiator_impersonation: number(policy.initiatorImpersonationType),
        }))
    }
}

fn idle(idle: IPSEC_SA_IDLE_TIMEOUT0) -> SaIdleTimeout {
    SaIdleTimeout { seconds: idle.idleTimeoutSeconds, fail_over_seconds: idle.idleTimeoutSecondsFailOver }
}

/// # Safety
/// Same as [`policy`].
unsafe fn transport(pointer: *const IPSEC_TRANSPORT_POLICY0, version: u8) -> Result<TransportPolicy> {
    // SAFETY: the caller upholds the safety contract; the versions differ only in the type
    // of the extended-mode policy.
    unsafe {
        let policy = required(pointer, "the transport policy")?;
        Ok(TransportPolicy {
            proposals: proposals(policy.ipsecProposals, policy.numIpsecProposals)?,
            flags: policy.flags,
            nd_allow_clear_timeout: policy.ndAllowClearTimeoutSeconds,
            idle: idle(policy.saIdleTimeout),
            em_policy: em(policy.emPolicy.cast(), version)?,
        })
    }
}

/// # Safety
/// The pointer is null or valid for `len` proposals, and so are the pointers in them.
unsafe fn proposals(pointer: *const IPSEC_PROPOSAL0, len: u32) -> Result<Vec<IpsecProposal>> {
    // SAFETY: the caller upholds the safety contract.
    let found = unsafe { list(pointer, len, "ipsecProposals") }?;
    let one = |proposal: &IPSEC_PROPOSAL0| {
        // SAFETY: the caller upholds the safety contract.
        let transforms = unsafe { list(proposal.saTransforms, proposal.numSaTransforms, "saTransforms") }?;
        Ok(IpsecProposal {
            lifetime_seconds: proposal.lifetime.lifetimeSeconds,
            lifetime_kilobytes: proposal.lifetime.lifetimeKilobytes,
            lifetime_packets: proposal.lifetime.lifetimePackets,
            // SAFETY: the caller upholds the safety contract.
            transforms: transforms.iter().map(|one| unsafe { transform(one) }).collect::<Result<_>>()?,
            pfs_group: number(proposal.pfsGroup),
        })
    };
    found.iter().map(one).collect()
}

/// # Safety
/// The structure's pointers are null or valid.
unsafe fn transform(transform: &IPSEC_SA_TRANSFORM0) -> Result<SaTransform> {
    let kind = number(transform.ipsecTransformType);
    let union = &transform.Anonymous;
    // SAFETY: the caller upholds the safety contract; the type selects the union member.
    unsafe {
        let auth = |auth: &IPSEC_AUTH_TRANSFORM0| {
            Ok::<_, Error>(Some(TransformId {
                algorithm: number(auth.authTransformId.authType),
                config: auth.authTransformId.authConfig,
                crypto_module: optional_guid(auth.cryptoModuleId, "cryptoModuleId")?,
            }))
        };
        let cipher = |cipher: &IPSEC_CIPHER_TRANSFORM0| {
            Ok::<_, Error>(Some(TransformId {
                algorithm: number(cipher.cipherTransformId.cipherType),
                config: cipher.cipherTransformId.cipherConfig,
                crypto_module: optional_guid(cipher.cryptoModuleId, "cryptoModuleId")?,
            }))
        };
        let (auth, cipher) = match kind {
            1 | 2 | 5 => (auth(required(union.ahTransform, "the authentication transform")?)?, None),
            3 => (None, cipher(required(union.espCipherTransform, "the cipher transform")?)?),
            4 => {
                let both =
                    required(union.espAuthAndCipherTransform, "the authentication and cipher transform")?;
                (auth(&both.authTransform)?, cipher(&both.cipherTransform)?)
            }
            other => {
                let what = format!("invalid IPSEC_TRANSFORM_TYPE {other}");
                return Err(Error::new(Code::FWP_E_INVALID_ENUMERATOR, what));
            }
        };
        Ok(SaTransform { transform_type: kind, auth, cipher })
    }
}

fn address(version: IpVersion, v4: u32, v6: [u8; 16]) -> Address {
    match version {
        IpVersion::V4 => Address(Ipv4Addr::from(v4).into()),
        IpVersion::V6 => Address(Ipv6Addr::from(v6).into()),
    }
}

/// Reads both endpoints of a tunnel, from any version's structure.
macro_rules! ends {
    ($endpoints:expr) => {{
        let endpoints = $endpoints;
        let version = IpVersion::from_wfp(number(endpoints.ipVersion))?;
        TunnelEndpoints {
            local: address(version, endpoints.Anonymous1.localV4Address, endpoints.Anonymous1.localV6Address),
            remote: address(
                version,
                endpoints.Anonymous2.remoteV4Address,
                endpoints.Anonymous2.remoteV6Address,
            ),
            ..TunnelEndpoints::default()
        }
    }};
}

/// # Safety
/// The structure's pointers are null or valid.
unsafe fn endpoints2(endpoints: &IPSEC_TUNNEL_ENDPOINTS2) -> Result<TunnelEndpoints> {
    // SAFETY: the caller upholds the safety contract; both members of the unions are
    // numbers.
    unsafe {
        let further = list(endpoints.remoteAddresses, endpoints.numAddresses, "remoteAddresses")?;
        let one = |endpoint: &IPSEC_TUNNEL_ENDPOINT0| {
            let version = IpVersion::from_wfp(number(endpoint.ipVersion))?;
            Ok(address(version, endpoint.Anonymous.v4Address, endpoint.Anonymous.v6Address))
        };
        Ok(TunnelEndpoints {
            local_if_luid: endpoints.localIfLuid,
            remote_fqdn: wide::read(endpoints.remoteFqdn, "remoteFqdn")?,
            remote_addresses: further.iter().map(one).collect::<Result<_>>()?,
            ..ends!(endpoints)
        })
    }
}

/// # Safety
/// Same as [`policy`].
unsafe fn tunnel(pointer: *const c_void, version: u8) -> Result<TunnelPolicy> {
    macro_rules! common {
        ($policy:ident, $endpoints:expr) => {
            TunnelPolicy {
                flags: $policy.flags,
                proposals: proposals($policy.ipsecProposals, $policy.numIpsecProposals)?,
                endpoints: $endpoints,
                idle: idle($policy.saIdleTimeout),
                em_policy: em($policy.emPolicy.cast(), version)?,
                ..TunnelPolicy::default()
            }
        };
    }
    let name = "the tunnel policy";
    // SAFETY: the caller upholds the safety contract.
    unsafe {
        Ok(match version {
            0 => {
                let policy = required(pointer.cast::<IPSEC_TUNNEL_POLICY0>(), name)?;
                common!(policy, ends!(&policy.tunnelEndpoints))
            }
            1 => {
                let policy = required(pointer.cast::<IPSEC_TUNNEL_POLICY1>(), name)?;
                let local_if_luid = policy.tunnelEndpoints.localIfLuid;
                let endpoints = TunnelEndpoints { local_if_luid, ..ends!(&policy.tunnelEndpoints) };
                common!(policy, endpoints)
            }
            2 => {
                let policy = required(pointer.cast::<IPSEC_TUNNEL_POLICY2>(), name)?;
                TunnelPolicy {
                    fwd_path_sa_lifetime: policy.fwdPathSaLifetime,
                    ..common!(policy, endpoints2(&policy.tunnelEndpoints)?)
                }
            }
            _ => {
                let policy = required(pointer.cast::<IPSEC_TUNNEL_POLICY3>(), name)?;
                let selectors = list(
                    policy.trafficSelectorPolicies,
                    policy.numTrafficSelectorPolicy,
                    "trafficSelectorPolicies",
                )?;
                let one = |policy: &IPSEC_TRAFFIC_SELECTOR_POLICY0| {
                    Ok(TrafficSelectorPolicy {
                        flags: policy.flags,
                        local: selectors_of(policy.localTrafficSelectors, policy.numLocalTrafficSelectors)?,
                        remote: selectors_of(
                            policy.remoteTrafficSelectors,
                            policy.numRemoteTrafficSelectors,
                        )?,
                    })
                };
                TunnelPolicy {
                    fwd_path_sa_lifetime: policy.fwdPathSaLifetime,
                    compartment_id: policy.compartmentId,
                    traffic_selectors: selectors.iter().map(one).collect::<Result<_>>()?,
                    ..common!(policy, endpoints2(&policy.tunnelEndpoints)?)
                }
            }
        })
    }
}

/// # Safety
/// The pointer is null or valid for `len` selectors.
unsafe fn selectors_of(pointer: *const IPSEC_TRAFFIC_SELECTOR0, len: u32) -> Result<Vec<TrafficSelector>> {
    // SAFETY: the caller upholds the safety contract.
    let found = unsafe { list(pointer, len, "the traffic selectors") }?;
    let one = |selector: &IPSEC_TRAFFIC_SELECTOR0| {
        let version = IpVersion::from_wfp(number(selector.ipVersion))?;
        // SAFETY: both members of the unions are numbers.
        let (start, end) = unsafe {
            (
                address(version, selector.Anonymous1.startV4Address, selector.Anonymous1.startV6Address),
                address(version, selector.Anonymous2.endV4Address, selector.Anonymous2.endV6Address),
            )
        };
        Ok(TrafficSelector {
            protocol: selector.protocolId,
            port_start: selector.portStart,
            port_end: selector.portEnd,
            start,
            end,
        })
    };
    found.iter().map(one).collect()
}

/// # Safety
/// The structure's pointers are null or valid.
unsafe fn dosp(options: &IPSEC_DOSP_OPTIONS0) -> Result<DospOptions> {
    let network = |mask: &FWP_V6_ADDR_AND_MASK| {
        let network = IpNet::new(Ipv6Addr::from(mask.addr).into(), mask.prefixLength).map_err(|_| {
            let what = format!("a prefix of {} bits exceeds 128", mask.prefixLength);
            Error::new(Code::FWP_E_INVALID_NET_MASK, what)
        })?;
        Ok::<_, Error>(Some(Network(network)))
    };
    // SAFETY: the caller upholds the safety contract.
    let (public, internal) = unsafe {
        (
            list(options.publicIFLuids, options.numPublicIFLuids, "publicIFLuids")?,
            list(options.internalIFLuids, options.numInternalIFLuids, "internalIFLuids")?,
        )
    };
    Ok(DospOptions {
        state_idle_timeout_seconds: options.stateIdleTimeoutSeconds,
        per_ip_rate_limit_queue_idle_timeout_seconds: options.perIPRateLimitQueueIdleTimeoutSeconds,
        ipv6_ipsec_unauth_dscp: options.ipV6IPsecUnauthDscp,
        ipv6_ipsec_unauth_rate_limit: options.ipV6IPsecUnauthRateLimitBytesPerSec,
        ipv6_ipsec_unauth_per_ip_rate_limit: options.ipV6IPsecUnauthPerIPRateLimitBytesPerSec,
        ipv6_ipsec_auth_dscp: options.ipV6IPsecAuthDscp,
        ipv6_ipsec_auth_rate_limit: options.ipV6IPsecAuthRateLimitBytesPerSec,
        icmpv6_dscp: options.icmpV6Dscp,
        icmpv6_rate_limit: options.icmpV6RateLimitBytesPerSec,
        ipv6_filter_exempt_dscp: options.ipV6FilterExemptDscp,
        ipv6_filter_exempt_rate_limit: options.ipV6FilterExemptRateLimitBytesPerSec,
        def_block_exempt_dscp: options.defBlockExemptDscp,
        def_block_exempt_rate_limit: options.defBlockExemptRateLimitBytesPerSec,
        max_state_entries: options.maxStateEntries,
        max_per_ip_rate_limit_queues: options.maxPerIPRateLimitQueues,
        flags: options.flags,
        public_if_luids: public.to_vec(),
        internal_if_luids: internal.to_vec(),
        public_v6: network(&options.publicV6AddrMask)?,
        internal_v6: network(&options.internalV6AddrMask)?,
    })
}
