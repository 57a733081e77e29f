//! Policies for IKE, AuthIP and IPsec, as held by provider contexts. Each record has the fields of the
//! newest version of its WFP structure.
#![allow(clippy::doc_markdown, reason = "these comments are those of the .proto file, too")]

use super::value::Value;
use crate::Guid;
use crate::Key;
use crate::choices;
use crate::record::Address;
use crate::record::Blob;
use crate::record::Network;
use crate::records;

choices! {
    /// The content of a provider context, by `FWPM_PROVIDER_CONTEXT_TYPE`.
    Policy {
        /// Arbitrary bytes of the caller (FWPM_GENERAL_CONTEXT).
        9 general General(Blob),
        /// Keying policy (FWPM_IPSEC_KEYING_CONTEXT).
        1 keying Keying(KeyingPolicy),
        /// IKE quick-mode transport policy (FWPM_IPSEC_IKE_QM_TRANSPORT_CONTEXT).
        2 ike_qm_transport IkeQmTransport(TransportPolicy),
        /// IKE quick-mode tunnel policy (FWPM_IPSEC_IKE_QM_TUNNEL_CONTEXT).
        3 ike_qm_tunnel IkeQmTunnel(TunnelPolicy),
        /// AuthIP quick-mode transport policy (FWPM_IPSEC_AUTHIP_QM_TRANSPORT_CONTEXT).
        4 authip_qm_transport AuthipQmTransport(TransportPolicy),
        /// AuthIP quick-mode tunnel policy (FWPM_IPSEC_AUTHIP_QM_TUNNEL_CONTEXT).
        5 authip_qm_tunnel AuthipQmTunnel(TunnelPolicy),
        /// IKE main-mode policy (FWPM_IPSEC_IKE_MM_CONTEXT).
        6 ike_mm IkeMm(IkePolicy),
        /// AuthIP main-mode policy (FWPM_IPSEC_AUTHIP_MM_CONTEXT).
        7 authip_mm AuthipMm(IkePolicy),
        /// Classification options (FWPM_CLASSIFY_OPTIONS_CONTEXT).
        8 classify_options ClassifyOptions(ClassifyOptions),
        /// IKEv2 quick-mode tunnel policy (FWPM_IPSEC_IKEV2_QM_TUNNEL_CONTEXT).
        10 ikev2_qm_tunnel Ikev2QmTunnel(TunnelPolicy),
        /// IKEv2 main-mode policy (FWPM_IPSEC_IKEV2_MM_CONTEXT).
        11 ikev2_mm Ikev2Mm(IkePolicy),
        /// Denial-of-service protection (FWPM_IPSEC_DOSP_CONTEXT).
        12 dosp Dosp(DospOptions),
        /// IKEv2 quick-mode transport policy (FWPM_IPSEC_IKEV2_QM_TRANSPORT_CONTEXT).
        13 ikev2_qm_transport Ikev2QmTransport(TransportPolicy),
        /// Network connection policy (FWPM_NETWORK_CONNECTION_POLICY_CONTEXT).
        14 network_connection NetworkConnection(NetworkConnectionSettings),
    }
    /// Parameters of an authentication method.
    AuthenticationDetail {
        /// No parameters, as for anonymous authentication.
        1 none None(Anonymous),
        /// Preshared key (IKEEXT_PRESHARED_KEY_AUTHENTICATION1).
        2 preshared_key PresharedKey(PresharedKey),
        /// Certificates or SSL (IKEEXT_CERTIFICATE_AUTHENTICATION2).
        3 certificate Certificate(CertificateAuthentication),
        /// Kerberos (IKEEXT_KERBEROS_AUTHENTICATION1).
        4 kerberos Kerberos(KerberosAuthentication),
        /// NTLMv2 (IKEEXT_NTLM_V2_AUTHENTICATION0).
        5 ntlm Ntlm(FlagsAuthentication),
        /// Cryptographically generated addresses (IKEEXT_IPV6_CGA_AUTHENTICATION0).
        6 cga Cga(CgaAuthentication),
        /// EAP (IKEEXT_EAP_AUTHENTICATION0).
        7 eap Eap(FlagsAuthentication),
        /// Reserved (IKEEXT_RESERVED_AUTHENTICATION0).
        8 reserved Reserved(FlagsAuthentication),
    }
}

records! {
    /// The keying modules to try. WFP: `IPSEC_KEYING_POLICY1`.
    KeyingPolicy {
        /// Keying modules (FWPM_KEYING_MODULE_*) in the order in which they are tried.
        1 modules: Vec<Guid>,
        /// Flags (IPSEC_KEYING_POLICY_FLAG_*).
        2 flags: u32,
    }
    /// A main-mode policy. WFP: `IKEEXT_POLICY2`.
    IkePolicy {
        /// Lifetime of the IPsec soft SA, in seconds. WFP requires 0.
        1 soft_expiration_time: u32,
        /// Authentication methods in order of preference.
        2 authentication_methods: Vec<AuthenticationMethod>,
        /// Impersonation by the initiator (IKEEXT_AUTHENTICATION_IMPERSONATION_TYPE).
        3 initiator_impersonation: u32,
        /// Proposals in order of preference.
        4 proposals: Vec<IkeProposal>,
        /// Flags (IKEEXT_POLICY_FLAG_*).
        5 flags: u32,
        /// Maximum number of dynamic filters per peer.
        6 max_dynamic_filters: u32,
        /// Time during which messages are retransmitted, in seconds.
        7 retransmit_duration: u32,
    }
    /// An authentication method. WFP: `IKEEXT_AUTHENTICATION_METHOD2`.
    AuthenticationMethod {
        /// Type of the method (IKEEXT_AUTHENTICATION_METHOD_TYPE).
        1 method: u32,
        /// Parameters of the method.
        2 detail: AuthenticationDetail,
    }
    /// The empty parameters of a method that needs none.
    Anonymous {}
    /// A preshared key. WFP: `IKEEXT_PRESHARED_KEY_AUTHENTICATION1`.
    PresharedKey {
        /// Key. Callers without the right to read keys get its length but not its bytes.
        1 key: Key,
        /// Flags (IKEEXT_PSK_FLAG_*).
        2 flags: u32,
    }
    /// Authentication with certificates. WFP: `IKEEXT_CERTIFICATE_AUTHENTICATION2`.
    CertificateAuthentication {
        /// Requirements for the peer's certificate.
        1 inbound: CertificateConfig,
        /// Requirements for the local certificate.
        2 outbound: CertificateConfig,
        /// Flags (IKEEXT_CERT_AUTH_FLAG_*).
        3 flags: u32,
        /// URL of the local certificate.
        4 local_cert_location_url: Blob,
    }
    /// Criteria for acceptable certificates. WFP: `IKEEXT_CERT_CONFIG_TYPE` and the structures for its
    /// values.
    CertificateConfig {
        /// Type of the configuration (IKEEXT_CERT_CONFIG_TYPE).
        1 config_type: u32,
        /// Trusted roots, for versions 0 and 1 of the structure.
        2 roots: Vec<CertificateRoot>,
        /// Certificate criteria, for version 2 of the structure.
        3 criteria: Vec<CertificateCriteria>,
    }
    /// A trusted root certificate. WFP: `IKEEXT_CERT_ROOT_CONFIG0`.
    CertificateRoot {
        /// Encoded subject name of the certificate.
        1 data: Blob,
        /// Flags (IKEEXT_CERT_FLAG_*).
        2 flags: u32,
    }
    /// Requirements for a certificate. WFP: `IKEEXT_CERTIFICATE_CRITERIA0`.
    CertificateCriteria {
        /// Encoded subject name of the root certificate.
        1 data: Blob,
        /// Hash of the certificate.
        2 hash: Blob,
        /// Required extended key usages; absent: not checked.
        3 ekus: Option<CertificateEkus>,
        /// Required name; absent: not checked.
        4 name: Option<CertificateName>,
        /// Flags (IKEEXT_CERT_FLAG_*).
        5 flags: u32,
    }
    /// Extended key usages. WFP: `IKEEXT_CERT_EKUS0`.
    CertificateEkus {
        /// Object identifiers of the usages.
        1 ekus: Vec<String>,
    }
    /// A name in a certificate. WFP: `IKEEXT_CERT_NAME0`.
    CertificateName {
        /// Type of the name (IKEEXT_CERT_CRITERIA_NAME_TYPE).
        1 name_type: u32,
        /// The name.
        2 name: String,
    }
    /// Authentication with Kerberos. WFP: `IKEEXT_KERBEROS_AUTHENTICATION1`.
    KerberosAuthentication {
        /// Flags (IKEEXT_KERB_AUTH_*).
        1 flags: u32,
        /// Proxy server; empty if there is none.
        2 proxy_server: String,
    }
    /// A method whose only parameters are flags. WFP: `IKEEXT_NTLM_V2_AUTHENTICATION0`,
    /// `IKEEXT_EAP_AUTHENTICATION0`.
    FlagsAuthentication {
        /// Flags of the method.
        1 flags: u32,
    }
    /// Authentication with cryptographically generated addresses. WFP: `IKEEXT_IPV6_CGA_AUTHENTICATION0`.
    CgaAuthentication {
        /// Name of the key container.
        1 key_container_name: String,
        /// Name of the cryptographic service provider.
        2 csp_name: String,
        /// Type of the cryptographic service provider.
        3 csp_type: u32,
        /// Modifier of the address.
        4 modifier: [u8; 16],
        /// Collision count of the address.
        5 collision_count: u8,
    }
    /// A main-mode proposal. WFP: `IKEEXT_PROPOSAL0`.
    IkeProposal {
        /// Cipher (IKEEXT_CIPHER_TYPE).
        1 cipher: u32,
        /// Length of the cipher key.
        2 cipher_key_length: u32,
        /// Number of cipher rounds.
        3 cipher_rounds: u32,
        /// Integrity algorithm (IKEEXT_INTEGRITY_TYPE).
        4 integrity: u32,
        /// Maximum lifetime of the main-mode SA, in seconds.
        5 max_lifetime_seconds: u32,
        /// Diffie-Hellman group (IKEEXT_DH_GROUP).
        6 dh_group: u32,
        /// Maximum number of quick modes per main mode.
        7 quick_mode_limit: u32,
    }
    /// An extended-mode policy. WFP: `IKEEXT_EM_POLICY2`.
    EmPolicy {
        /// Authentication methods.
        1 authentication_methods: Vec<AuthenticationMethod>,
        /// Impersonation by the initiator (IKEEXT_AUTHENTICATION_IMPERSONATION_TYPE).
        2 initiator_impersonation: u32,
    }
    /// A quick-mode policy for transport mode. WFP: `IPSEC_TRANSPORT_POLICY2`.
    TransportPolicy {
        /// Proposals in order of preference.
        1 proposals: Vec<IpsecProposal>,
        /// Flags (IPSEC_POLICY_FLAG_*).
        2 flags: u32,
        /// Time in seconds during which cleartext traffic is accepted, for negotiation discovery.
        3 nd_allow_clear_timeout: u32,
        /// Idle timeouts of SAs.
        4 idle: SaIdleTimeout,
        /// The extended-mode policy.
        5 em_policy: Option<EmPolicy>,
    }
    /// A quick-mode policy for tunnel mode. WFP: `IPSEC_TUNNEL_POLICY3`.
    TunnelPolicy {
        /// Flags (IPSEC_POLICY_FLAG_*).
        1 flags: u32,
        /// Proposals in order of preference.
        2 proposals: Vec<IpsecProposal>,
        /// Endpoints of the tunnel.
        3 endpoints: TunnelEndpoints,
        /// Idle timeouts of SAs.
        4 idle: SaIdleTimeout,
        /// The extended-mode policy.
        5 em_policy: Option<EmPolicy>,
        /// Lifetime of SAs for forwarded traffic, in seconds.
        6 fwd_path_sa_lifetime: u32,
        /// Network compartment.
        7 compartment_id: u32,
        /// Traffic selectors to negotiate.
        8 traffic_selectors: Vec<TrafficSelectorPolicy>,
    }
    /// The idle timeouts of SAs. WFP: `IPSEC_SA_IDLE_TIMEOUT0`.
    SaIdleTimeout {
        /// Timeout in seconds; 0: the engine's default.
        1 seconds: u32,
        /// Timeout in seconds for SAs of a cluster with failover.
        2 fail_over_seconds: u32,
    }
    /// The endpoints of a tunnel. WFP: `IPSEC_TUNNEL_ENDPOINTS2`.
    TunnelEndpoints {
        /// Local address.
        1 local: Address,
        /// Remote address, of the same IP version.
        2 remote: Address,
        /// LUID of the local interface.
        3 local_if_luid: u64,
        /// Fully qualified domain name of the peer.
        4 remote_fqdn: String,
        /// Further addresses of the peer.
        5 remote_addresses: Vec<Address>,
    }
    /// The traffic to negotiate. WFP: `IPSEC_TRAFFIC_SELECTOR_POLICY0`.
    TrafficSelectorPolicy {
        /// Flags.
        1 flags: u32,
        /// Selectors for the local side.
        2 local: Vec<TrafficSelector>,
        /// Selectors for the remote side.
        3 remote: Vec<TrafficSelector>,
    }
    /// A traffic selector: ranges of addresses and ports, and a protocol. WFP: `IPSEC_TRAFFIC_SELECTOR0`.
    TrafficSelector {
        /// The IP protocol.
        1 protocol: u8,
        /// Lowest port.
        2 port_start: u16,
        /// Highest port.
        3 port_end: u16,
        /// Lowest address.
        4 start: Address,
        /// Highest address, of the same IP version.
        5 end: Address,
    }
    /// A quick-mode proposal. WFP: `IPSEC_PROPOSAL0`.
    IpsecProposal {
        /// SA lifetime in seconds; 0: no limit.
        1 lifetime_seconds: u32,
        /// SA lifetime in kilobytes; 0: no limit.
        2 lifetime_kilobytes: u32,
        /// SA lifetime in packets; 0: no limit.
        3 lifetime_packets: u32,
        /// Transforms that are proposed together.
        4 transforms: Vec<SaTransform>,
        /// PFS group (IPSEC_PFS_GROUP).
        5 pfs_group: u32,
    }
    /// A transform without keys. WFP: `IPSEC_SA_TRANSFORM0`.
    SaTransform {
        /// Type of the transform (IPSEC_TRANSFORM_TYPE).
        1 transform_type: u32,
        /// Integrity algorithm, for AH, ESP authentication and ESP authentication with encryption.
        2 auth: Option<TransformId>,
        /// Encryption algorithm.
        3 cipher: Option<TransformId>,
    }
    /// An algorithm. WFP: `IPSEC_AUTH_TRANSFORM0`, `IPSEC_CIPHER_TRANSFORM0`.
    TransformId {
        /// Algorithm (IPSEC_AUTH_TYPE or IPSEC_CIPHER_TYPE).
        1 algorithm: u32,
        /// Configuration (IPSEC_AUTH_CONFIG or IPSEC_CIPHER_CONFIG).
        2 config: u8,
        /// Crypto module; absent: the system's.
        3 crypto_module: Option<Guid>,
    }
    /// Options of denial-of-service protection. WFP: `IPSEC_DOSP_OPTIONS0`.
    DospOptions {
        /// Time after which idle state is removed, in seconds.
        1 state_idle_timeout_seconds: u32,
        /// Time after which idle per-address rate-limit queues are removed, in seconds.
        2 per_ip_rate_limit_queue_idle_timeout_seconds: u32,
        /// DSCP of unauthenticated IPv6 IPsec traffic.
        3 ipv6_ipsec_unauth_dscp: u8,
        /// Rate limit of unauthenticated IPv6 IPsec traffic, in bytes per second.
        4 ipv6_ipsec_unauth_rate_limit: u32,
        /// Rate limit of unauthenticated IPv6 IPsec traffic per address, in bytes per second.
        5 ipv6_ipsec_unauth_per_ip_rate_limit: u32,
        /// DSCP of authenticated IPv6 IPsec traffic.
        6 ipv6_ipsec_auth_dscp: u8,
        /// Rate limit of authenticated IPv6 IPsec traffic, in bytes per second.
        7 ipv6_ipsec_auth_rate_limit: u32,
        /// DSCP of ICMPv6 traffic.
        8 icmpv6_dscp: u8,
        /// Rate limit of ICMPv6 traffic, in bytes per second.
        9 icmpv6_rate_limit: u32,
        /// DSCP of IPv6 traffic that a filter exempts.
        10 ipv6_filter_exempt_dscp: u8,
        /// Rate limit of IPv6 traffic that a filter exempts, in bytes per second.
        11 ipv6_filter_exempt_rate_limit: u32,
        /// DSCP of traffic that is exempt from the default block.
        12 def_block_exempt_dscp: u8,
        /// Rate limit of traffic that is exempt from the default block, in bytes per second.
        13 def_block_exempt_rate_limit: u32,
        /// Maximum number of state entries.
        14 max_state_entries: u32,
        /// Maximum number of per-address rate-limit queues.
        15 max_per_ip_rate_limit_queues: u32,
        /// Flags (IPSEC_DOSP_FLAG_*).
        16 flags: u32,
        /// LUIDs of public interfaces.
        17 public_if_luids: Vec<u64>,
        /// LUIDs of internal interfaces.
        18 internal_if_luids: Vec<u64>,
        /// Network of the public addresses.
        19 public_v6: Option<Network>,
        /// Network of the internal addresses.
        20 internal_v6: Option<Network>,
    }
    /// Options of a classification. WFP: `FWPM_CLASSIFY_OPTIONS0`.
    ClassifyOptions {
        /// The options.
        1 options: Vec<TypedValue>,
    }
    /// Settings of network connections. WFP: `FWPM_NETWORK_CONNECTION_POLICY_SETTINGS0`.
    NetworkConnectionSettings {
        /// The settings.
        1 settings: Vec<TypedValue>,
    }
    /// A typed value. WFP: `FWPM_CLASSIFY_OPTION0`, `FWPM_NETWORK_CONNECTION_POLICY_SETTING0`.
    TypedValue {
        /// Meaning of the value (FWP_CLASSIFY_OPTION_TYPE or FWP_NETWORK_CONNECTION_POLICY_SETTING_TYPE).
        1 kind: u32,
        /// The value.
        2 value: Value,
    }
}

impl Policy {
    /// Returns the policy's `FWPM_PROVIDER_CONTEXT_TYPE`.
    pub fn context_type(&self) -> u32 {
        match self {
            Policy::Keying(_) => 0,
            Policy::IkeQmTransport(_) => 1,
            Policy::IkeQmTunnel(_) => 2,
            Policy::AuthipQmTransport(_) => 3,
            Policy::AuthipQmTunnel(_) => 4,
            Policy::IkeMm(_) => 5,
            Policy::AuthipMm(_) => 6,
            Policy::ClassifyOptions(_) => 7,
            Policy::General(_) => 8,
            Policy::Ikev2QmTunnel(_) => 9,
            Policy::Ikev2Mm(_) => 10,
            Policy::Dosp(_) => 11,
            Policy::Ikev2QmTransport(_) => 12,
            Policy::NetworkConnection(_) => 13,
        }
    }

    fn methods(&self) -> impl Iterator<Item = &AuthenticationMethod> {
        let (main, extended) = match self {
            Policy::IkeMm(policy) | Policy::AuthipMm(policy) | Policy::Ikev2Mm(policy) => {
                (Some(policy), None)
            }
            Policy::IkeQmTransport(policy)
            | Policy::AuthipQmTransport(policy)
            | Policy::Ikev2QmTransport(policy) => (None, policy.em_policy.as_ref()),
            other => (None, other.tunnel().and_then(|tunnel| tunnel.em_policy.as_ref())),
        };
        let main = main.into_iter().flat_map(|policy| &policy.authentication_methods);
        main.chain(extended.into_iter().flat_map(|policy| &policy.authentication_methods))
    }

    fn methods_mut(&mut self) -> Option<&mut Vec<AuthenticationMethod>> {
        match self {
            Policy::IkeMm(policy) | Policy::AuthipMm(policy) | Policy::Ikev2Mm(policy) => {
                Some(&mut policy.authentication_methods)
            }
            Policy::IkeQmTransport(TransportPolicy { em_policy, .. })
            | Policy::AuthipQmTransport(TransportPolicy { em_policy, .. })
            | Policy::Ikev2QmTransport(TransportPolicy { em_policy, .. })
            | Policy::IkeQmTunnel(TunnelPolicy { em_policy, .. })
            | Policy::AuthipQmTunnel(TunnelPolicy { em_policy, .. })
            | Policy::Ikev2QmTunnel(TunnelPolicy { em_policy, .. }) => {
                em_policy.as_mut().map(|policy| &mut policy.authentication_methods)
            }
            _ => None,
        }
    }

    /// Returns whether the policy contains preshared keys.
    pub fn has_keys(&self) -> bool {
        self.methods().any(|method| matches!(method.detail, AuthenticationDetail::PresharedKey(_)))
    }

    /// Removes the bytes of preshared keys and keeps their lengths, for callers without the right to read
    /// keys.
    pub fn withhold_keys(&mut self) {
        for method in self.methods_mut().into_iter().flatten() {
            if let AuthenticationDetail::PresharedKey(preshared) = &mut method.detail {
                preshared.key = Key::withheld(u16::try_from(preshared.key.len()).unwrap_or(u16::MAX));
            }
        }
    }

    /// Returns the tunnel policy, or `None` if it is of another type.
    pub fn tunnel(&self) -> Option<&TunnelPolicy> {
        match self {
            Policy::IkeQmTunnel(tunnel) | Policy::AuthipQmTunnel(tunnel) | Policy::Ikev2QmTunnel(tunnel) => {
                Some(tunnel)
            }
            _ => None,
        }
    }

    /// Returns whether this is a main-mode policy.
    pub fn is_main_mode(&self) -> bool {
        matches!(self, Policy::IkeMm(_) | Policy::AuthipMm(_) | Policy::Ikev2Mm(_))
    }
}

/// Returns the name of an `FWPM_PROVIDER_CONTEXT_TYPE` without `FWPM_` and `_CONTEXT`, or `an unknown
/// type`.
pub fn context_type_name(number: u32) -> &'static str {
    match number {
        0 => "IPSEC_KEYING",
        1 => "IPSEC_IKE_QM_TRANSPORT",
        2 => "IPSEC_IKE_QM_TUNNEL",
        3 => "IPSEC_AUTHIP_QM_TRANSPORT",
        4 => "IPSEC_AUTHIP_QM_TUNNEL",
        5 => "IPSEC_IKE_MM",
        6 => "IPSEC_AUTHIP_MM",
        7 => "CLASSIFY_OPTIONS",
        8 => "GENERAL",
        9 => "IPSEC_IKEV2_QM_TUNNEL",
        10 => "IPSEC_IKEV2_MM",
        11 => "IPSEC_DOSP",
        12 => "IPSEC_IKEV2_QM_TRANSPORT",
        13 => "NETWORK_CONNECTION_POLICY",
        _ => "an unknown type",
    }
}
