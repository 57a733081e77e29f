//! The policies of provider contexts: what IKE, AuthIP and IPsec are to do. Each has the fields of its newest version.
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
    /// What a provider context holds, by WFP's `FWPM_PROVIDER_CONTEXT_TYPE`.
    Policy {
        /// FWPM_GENERAL_CONTEXT: bytes of the caller's.
        9 general General(Blob),
        /// FWPM_IPSEC_KEYING_CONTEXT.
        1 keying Keying(KeyingPolicy),
        /// FWPM_IPSEC_IKE_QM_TRANSPORT_CONTEXT.
        2 ike_qm_transport IkeQmTransport(TransportPolicy),
        /// FWPM_IPSEC_IKE_QM_TUNNEL_CONTEXT.
        3 ike_qm_tunnel IkeQmTunnel(TunnelPolicy),
        /// FWPM_IPSEC_AUTHIP_QM_TRANSPORT_CONTEXT.
        4 authip_qm_transport AuthipQmTransport(TransportPolicy),
        /// FWPM_IPSEC_AUTHIP_QM_TUNNEL_CONTEXT.
        5 authip_qm_tunnel AuthipQmTunnel(TunnelPolicy),
        /// FWPM_IPSEC_IKE_MM_CONTEXT.
        6 ike_mm IkeMm(IkePolicy),
        /// FWPM_IPSEC_AUTHIP_MM_CONTEXT.
        7 authip_mm AuthipMm(IkePolicy),
        /// FWPM_CLASSIFY_OPTIONS_CONTEXT.
        8 classify_options ClassifyOptions(ClassifyOptions),
        /// FWPM_IPSEC_IKEV2_QM_TUNNEL_CONTEXT.
        10 ikev2_qm_tunnel Ikev2QmTunnel(TunnelPolicy),
        /// FWPM_IPSEC_IKEV2_MM_CONTEXT.
        11 ikev2_mm Ikev2Mm(IkePolicy),
        /// FWPM_IPSEC_DOSP_CONTEXT.
        12 dosp Dosp(DospOptions),
        /// FWPM_IPSEC_IKEV2_QM_TRANSPORT_CONTEXT.
        13 ikev2_qm_transport Ikev2QmTransport(TransportPolicy),
        /// FWPM_NETWORK_CONNECTION_POLICY_CONTEXT.
        14 network_connection NetworkConnection(NetworkConnectionSettings),
    }
    /// How a peer is authenticated, beyond the method's type.
    AuthenticationDetail {
        /// Nothing more to say: anonymous.
        1 none None(Anonymous),
        /// IKEEXT_PRESHARED_KEY_AUTHENTICATION1.
        2 preshared_key PresharedKey(PresharedKey),
        /// IKEEXT_CERTIFICATE_AUTHENTICATION2, for certificates and SSL.
        3 certificate Certificate(CertificateAuthentication),
        /// IKEEXT_KERBEROS_AUTHENTICATION1.
        4 kerberos Kerberos(KerberosAuthentication),
        /// IKEEXT_NTLM_V2_AUTHENTICATION0.
        5 ntlm Ntlm(FlagsAuthentication),
        /// IKEEXT_IPV6_CGA_AUTHENTICATION0.
        6 cga Cga(CgaAuthentication),
        /// IKEEXT_EAP_AUTHENTICATION0.
        7 eap Eap(FlagsAuthentication),
        /// IKEEXT_RESERVED_AUTHENTICATION0.
        8 reserved Reserved(FlagsAuthentication),
    }
}

records! {
    /// Which keying modules are asked. WFP: `IPSEC_KEYING_POLICY1`.
    KeyingPolicy {
        /// FWPM_KEYING_MODULE_*, in the order in which they are tried.
        1 modules: Vec<Guid>,
        /// IPSEC_KEYING_POLICY_FLAG_*.
        2 flags: u32,
    }
    /// A main-mode policy. WFP: `IKEEXT_POLICY2`.
    IkePolicy {
        /// Seconds after which an unused main-mode SA goes.
        1 soft_expiration_time: u32,
        /// How peers are authenticated, in the order of preference.
        2 authentication_methods: Vec<AuthenticationMethod>,
        /// IKEEXT_AUTHENTICATION_IMPERSONATION_TYPE.
        3 initiator_impersonation: u32,
        /// What is proposed, in the order of preference.
        4 proposals: Vec<IkeProposal>,
        /// IKEEXT_POLICY_FLAG_*.
        5 flags: u32,
        /// How many dynamic filters a peer may have.
        6 max_dynamic_filters: u32,
        /// Seconds for which messages are sent again.
        7 retransmit_duration: u32,
    }
    /// A way of authentication. WFP: `IKEEXT_AUTHENTICATION_METHOD2`.
    AuthenticationMethod {
        /// IKEEXT_AUTHENTICATION_METHOD_TYPE.
        1 method: u32,
        /// What the method needs.
        2 detail: AuthenticationDetail,
    }
    /// Nothing more to say of a method.
    Anonymous {}
    /// A key that both peers have. WFP: `IKEEXT_PRESHARED_KEY_AUTHENTICATION1`.
    PresharedKey {
        /// The key: zeros of its length for those who may not read keys.
        1 key: Key,
        /// IKEEXT_PSK_FLAG_*.
        2 flags: u32,
    }
    /// Certificates. WFP: `IKEEXT_CERTIFICATE_AUTHENTICATION2`.
    CertificateAuthentication {
        /// For the peer's certificate.
        1 inbound: CertificateConfig,
        /// For the own one.
        2 outbound: CertificateConfig,
        /// IKEEXT_CERT_AUTH_FLAG_*.
        3 flags: u32,
        /// Where the own certificate is found.
        4 local_cert_location_url: Blob,
    }
    /// Which certificates are good. WFP: `IKEEXT_CERT_CONFIG_TYPE` and what goes with it.
    CertificateConfig {
        /// IKEEXT_CERT_CONFIG_TYPE.
        1 config_type: u32,
        /// Roots, of versions 0 and 1.
        2 roots: Vec<CertificateRoot>,
        /// Criteria, of version 2.
        3 criteria: Vec<CertificateCriteria>,
    }
    /// A root of trust. WFP: `IKEEXT_CERT_ROOT_CONFIG0`.
    CertificateRoot {
        /// The certificate's encoded subject name.
        1 data: Blob,
        /// IKEEXT_CERT_FLAG_*.
        2 flags: u32,
    }
    /// What a certificate must be. WFP: `IKEEXT_CERTIFICATE_CRITERIA0`.
    CertificateCriteria {
        /// The root's encoded subject name.
        1 data: Blob,
        /// The certificate's hash.
        2 hash: Blob,
        /// Object identifiers of extended key usages; none: not looked at.
        3 ekus: Option<CertificateEkus>,
        /// A name that it must have; none: not looked at.
        4 name: Option<CertificateName>,
        /// IKEEXT_CERT_FLAG_*.
        5 flags: u32,
    }
    /// Extended key usages. WFP: `IKEEXT_CERT_EKUS0`.
    CertificateEkus {
        /// Object identifiers.
        1 ekus: Vec<String>,
    }
    /// A name in a certificate. WFP: `IKEEXT_CERT_NAME0`.
    CertificateName {
        /// IKEEXT_CERT_CRITERIA_NAME_TYPE.
        1 name_type: u32,
        /// The name.
        2 name: String,
    }
    /// Kerberos. WFP: `IKEEXT_KERBEROS_AUTHENTICATION1`.
    KerberosAuthentication {
        /// IKEEXT_KERB_AUTH_*.
        1 flags: u32,
        /// The proxy server; empty: none.
        2 proxy_server: String,
    }
    /// A method that has flags alone. WFP: `IKEEXT_NTLM_V2_AUTHENTICATION0`, `IKEEXT_EAP_AUTHENTICATION0`.
    FlagsAuthentication {
        /// Its flags.
        1 flags: u32,
    }
    /// Addresses made from keys. WFP: `IKEEXT_IPV6_CGA_AUTHENTICATION0`.
    CgaAuthentication {
        /// The key's container.
        1 key_container_name: String,
        /// The cryptographic provider.
        2 csp_name: String,
        /// Its type.
        3 csp_type: u32,
        /// The modifier.
        4 modifier: [u8; 16],
        /// Collisions counted.
        5 collision_count: u8,
    }
    /// A main-mode proposal. WFP: `IKEEXT_PROPOSAL0`.
    IkeProposal {
        /// IKEEXT_CIPHER_TYPE.
        1 cipher: u32,
        /// The length of the cipher's key.
        2 cipher_key_length: u32,
        /// Rounds.
        3 cipher_rounds: u32,
        /// IKEEXT_INTEGRITY_TYPE.
        4 integrity: u32,
        /// Seconds that the main-mode SA lives at most.
        5 max_lifetime_seconds: u32,
        /// IKEEXT_DH_GROUP.
        6 dh_group: u32,
        /// How many quick modes a main mode may have.
        7 quick_mode_limit: u32,
    }
    /// An extended-mode policy. WFP: `IKEEXT_EM_POLICY2`.
    EmPolicy {
        /// How peers are authenticated.
        1 authentication_methods: Vec<AuthenticationMethod>,
        /// IKEEXT_AUTHENTICATION_IMPERSONATION_TYPE.
        2 initiator_impersonation: u32,
    }
    /// A quick-mode policy for transport mode. WFP: `IPSEC_TRANSPORT_POLICY2`.
    TransportPolicy {
        /// What is proposed, in the order of preference.
        1 proposals: Vec<IpsecProposal>,
        /// IPSEC_POLICY_FLAG_*.
        2 flags: u32,
        /// Seconds for which plain traffic is allowed while the network is discovered.
        3 nd_allow_clear_timeout: u32,
        /// When idle SAs go.
        4 idle: SaIdleTimeout,
        /// The extended-mode policy.
        5 em_policy: Option<EmPolicy>,
    }
    /// A quick-mode policy for tunnel mode. WFP: `IPSEC_TUNNEL_POLICY3`.
    TunnelPolicy {
        /// IPSEC_POLICY_FLAG_*.
        1 flags: u32,
        /// What is proposed, in the order of preference.
        2 proposals: Vec<IpsecProposal>,
        /// The tunnel's ends.
        3 endpoints: TunnelEndpoints,
        /// When idle SAs go.
        4 idle: SaIdleTimeout,
        /// The extended-mode policy.
        5 em_policy: Option<EmPolicy>,
        /// Seconds that SAs of forwarded traffic live.
        6 fwd_path_sa_lifetime: u32,
        /// The compartment.
        7 compartment_id: u32,
        /// The traffic selectors to negotiate.
        8 traffic_selectors: Vec<TrafficSelectorPolicy>,
    }
    /// When idle SAs go. WFP: `IPSEC_SA_IDLE_TIMEOUT0`.
    SaIdleTimeout {
        /// Seconds; 0: the engine's default.
        1 seconds: u32,
        /// Seconds for SAs of a cluster that fails over.
        2 fail_over_seconds: u32,
    }
    /// A tunnel's ends. WFP: `IPSEC_TUNNEL_ENDPOINTS2`.
    TunnelEndpoints {
        /// This machine's address.
        1 local: Address,
        /// The peer's address, of the same IP version.
        2 remote: Address,
        /// The local interface's LUID.
        3 local_if_luid: u64,
        /// The peer's name.
        4 remote_fqdn: String,
        /// More addresses of the peer.
        5 remote_addresses: Vec<Address>,
    }
    /// Which traffic is negotiated for. WFP: `IPSEC_TRAFFIC_SELECTOR_POLICY0`.
    TrafficSelectorPolicy {
        /// Its flags.
        1 flags: u32,
        /// This side.
        2 local: Vec<TrafficSelector>,
        /// The peer's side.
        3 remote: Vec<TrafficSelector>,
    }
    /// Addresses, ports and a protocol. WFP: `IPSEC_TRAFFIC_SELECTOR0`.
    TrafficSelector {
        /// The IP protocol.
        1 protocol: u8,
        /// The lowest port.
        2 port_start: u16,
        /// The highest port.
        3 port_end: u16,
        /// The lowest address.
        4 start: Address,
        /// The highest address, of the same IP version.
        5 end: Address,
    }
    /// A quick-mode proposal. WFP: `IPSEC_PROPOSAL0`.
    IpsecProposal {
        /// Seconds that an SA lives; 0: no limit.
        1 lifetime_seconds: u32,
        /// Kilobytes that it may protect; 0: no limit.
        2 lifetime_kilobytes: u32,
        /// Packets that it may protect; 0: no limit.
        3 lifetime_packets: u32,
        /// The transforms that are offered together.
        4 transforms: Vec<SaTransform>,
        /// IPSEC_PFS_GROUP.
        5 pfs_group: u32,
    }
    /// A transform without keys. WFP: `IPSEC_SA_TRANSFORM0`.
    SaTransform {
        /// IPSEC_TRANSFORM_TYPE.
        1 transform_type: u32,
        /// Integrity, of AH, ESP and both in one.
        2 auth: Option<TransformId>,
        /// Encryption.
        3 cipher: Option<TransformId>,
    }
    /// An algorithm. WFP: `IPSEC_AUTH_TRANSFORM0`, `IPSEC_CIPHER_TRANSFORM0`.
    TransformId {
        /// IPSEC_AUTH_TYPE or IPSEC_CIPHER_TYPE.
        1 algorithm: u32,
        /// IPSEC_AUTH_CONFIG or IPSEC_CIPHER_CONFIG.
        2 config: u8,
        /// The crypto module; none: the system's.
        3 crypto_module: Option<Guid>,
    }
    /// Protection against denial of service. WFP: `IPSEC_DOSP_OPTIONS0`.
    DospOptions {
        /// Seconds after which idle state goes.
        1 state_idle_timeout_seconds: u32,
        /// Seconds after which idle queues go.
        2 per_ip_rate_limit_queue_idle_timeout_seconds: u32,
        /// DSCP of IPv6 IPsec without authentication.
        3 ipv6_ipsec_unauth_dscp: u8,
        /// Bytes a second.
        4 ipv6_ipsec_unauth_rate_limit: u32,
        /// Bytes a second and address.
        5 ipv6_ipsec_unauth_per_ip_rate_limit: u32,
        /// DSCP of IPv6 IPsec with authentication.
        6 ipv6_ipsec_auth_dscp: u8,
        /// Bytes a second.
        7 ipv6_ipsec_auth_rate_limit: u32,
        /// DSCP of ICMPv6.
        8 icmpv6_dscp: u8,
        /// Bytes a second.
        9 icmpv6_rate_limit: u32,
        /// DSCP of IPv6 that a filter exempts.
        10 ipv6_filter_exempt_dscp: u8,
        /// Bytes a second.
        11 ipv6_filter_exempt_rate_limit: u32,
        /// DSCP of what is exempt from the default block.
        12 def_block_exempt_dscp: u8,
        /// Bytes a second.
        13 def_block_exempt_rate_limit: u32,
        /// Entries of state at most.
        14 max_state_entries: u32,
        /// Queues at most.
        15 max_per_ip_rate_limit_queues: u32,
        /// IPSEC_DOSP_FLAG_*.
        16 flags: u32,
        /// LUIDs of public interfaces.
        17 public_if_luids: Vec<u64>,
        /// LUIDs of internal interfaces.
        18 internal_if_luids: Vec<u64>,
        /// Public addresses.
        19 public_v6: Option<Network>,
        /// Internal addresses.
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
    /// A value with its meaning. WFP: `FWPM_CLASSIFY_OPTION0`, `FWPM_NETWORK_CONNECTION_POLICY_SETTING0`.
    TypedValue {
        /// FWP_CLASSIFY_OPTION_TYPE or FWP_NETWORK_CONNECTION_POLICY_SETTING_TYPE.
        1 kind: u32,
        /// The value.
        2 value: Value,
    }
}

impl Policy {
    /// WFP's number for its type, `FWPM_PROVIDER_CONTEXT_TYPE`.
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

    /// Whether it holds keys.
    pub fn has_keys(&self) -> bool {
        self.methods().any(|method| matches!(method.detail, AuthenticationDetail::PresharedKey(_)))
    }

    /// Takes the bytes of keys away, for those who may not read them; their lengths stay.
    pub fn withhold_keys(&mut self) {
        for method in self.methods_mut().into_iter().flatten() {
            if let AuthenticationDetail::PresharedKey(preshared) = &mut method.detail {
                preshared.key = Key::withheld(u16::try_from(preshared.key.len()).unwrap_or(u16::MAX));
            }
        }
    }

    /// The tunnel policy, if it is one.
    pub fn tunnel(&self) -> Option<&TunnelPolicy> {
        match self {
            Policy::IkeQmTunnel(tunnel) | Policy::AuthipQmTunnel(tunnel) | Policy::Ikev2QmTunnel(tunnel) => {
                Some(tunnel)
            }
            _ => None,
        }
    }

    /// Whether it is a main-mode policy.
    pub fn is_main_mode(&self) -> bool {
        matches!(self, Policy::IkeMm(_) | Policy::AuthipMm(_) | Policy::Ikev2Mm(_))
    }
}

/// The name of a type of provider contexts, as in WFP's `FWPM_PROVIDER_CONTEXT_TYPE`.
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
