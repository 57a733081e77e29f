//! Net events: failed negotiations and dropped packets, as reported by providers and keying daemons.
#![allow(clippy::doc_markdown, reason = "these comments are those of the .proto file, too")]

use super::FilterCondition;
use super::value::Value;
use crate::Sid;
use crate::Timestamp;
use crate::choices;
use crate::record::Address;
use crate::record::Blob;
use crate::records;

records! {
    /// An event in the network. WFP: `FWPM_NET_EVENT5`.
    NetEvent {
        /// Time in seconds since 1970. 0 in a report: the engine fills in the current time.
        1 time: Timestamp,
        /// Flags (FWPM_NET_EVENT_FLAG_*) for the fields that are set.
        2 flags: u32,
        /// The IP protocol.
        3 protocol: u8,
        /// The local address.
        4 local: Option<Address>,
        /// The remote address.
        5 remote: Option<Address>,
        /// The local port.
        6 local_port: u16,
        /// The remote port.
        7 remote_port: u16,
        /// Scope id of IPv6 addresses.
        8 scope_id: u32,
        /// Application id.
        9 app_id: Blob,
        /// SID of the user.
        10 user: Option<Sid>,
        /// SID of the application's package.
        11 package: Option<Sid>,
        /// Details of the event, by its type.
        12 detail: NetEventDetail,
        /// Serial number, assigned by the engine. An OpenWFP extension.
        13 id: u64,
    }
    /// A failed negotiation. WFP: `FWPM_NET_EVENT_IKEEXT_MM_FAILURE2` and its counterparts for quick and
    /// extended mode.
    IkeFailure {
        /// Windows error code.
        1 error_code: u32,
        /// Failure point (IPSEC_FAILURE_POINT): 0 none, 1 local, 2 peer.
        2 failure_point: u32,
        /// Flags (`FWPM_NET_EVENT_IKEEXT_*_FAILURE_FLAG_*`).
        3 flags: u32,
        /// Keying module (IKEEXT_KEY_MODULE_TYPE).
        4 keying_module: u32,
        /// State of the negotiation in its mode.
        5 state: u32,
        /// Role (IKEEXT_SA_ROLE): 0 initiator, 1 responder.
        6 role: u32,
        /// Authentication method (IKEEXT_AUTHENTICATION_METHOD_TYPE).
        7 auth_method: u32,
        /// SHA-1 hash of the peer's certificate.
        8 certificate_hash: [u8; 20],
        /// Id of the main-mode SA.
        9 main_mode_id: u64,
        /// Id of the filter whose policy was negotiated.
        10 filter_id: u64,
        /// Name of the local principal.
        11 local_principal: String,
        /// Name of the remote principal.
        12 remote_principal: String,
        /// Traffic type (IPSEC_TRAFFIC_TYPE).
        13 traffic_type: u32,
        /// Local traffic of the quick mode.
        14 local_subnet: Value,
        /// Remote traffic of the quick mode.
        15 remote_subnet: Value,
        /// Key of the provider context with the main-mode policy.
        16 provider_context: Option<crate::Guid>,
        /// Group SIDs of the local principal.
        17 local_groups: Vec<String>,
        /// Group SIDs of the remote principal.
        18 remote_groups: Vec<String>,
    }
    /// A packet that a filter blocked or permitted. WFP: `FWPM_NET_EVENT_CLASSIFY_DROP2`,
    /// `FWPM_NET_EVENT_CLASSIFY_ALLOW0`.
    ClassifyEvent {
        /// Id of the filter.
        1 filter_id: u64,
        /// Run-time id of the layer.
        2 layer_id: u16,
        /// Reason for the reauthorization.
        3 reauth_reason: u32,
        /// Original network profile.
        4 original_profile: u32,
        /// Current network profile.
        5 current_profile: u32,
        /// Direction, with the values of msFwpDirection in WFP.
        6 direction: u32,
        /// Whether the packet is loopback traffic.
        7 is_loopback: bool,
    }
    /// A packet that IPsec dropped. WFP: `FWPM_NET_EVENT_IPSEC_KERNEL_DROP0`.
    IpsecDrop {
        /// NTSTATUS of the failure.
        1 failure_status: i32,
        /// Direction (FWP_DIRECTION): 0 outbound, 1 inbound.
        2 direction: u32,
        /// SPI; 0 if the packet has none.
        3 spi: u32,
        /// Id of the filter.
        4 filter_id: u64,
        /// Run-time id of the layer.
        5 layer_id: u16,
    }
    /// A packet that denial-of-service protection dropped. WFP: `FWPM_NET_EVENT_IPSEC_DOSP_DROP0`.
    DospDrop {
        /// Address of the public host.
        1 public_host: Address,
        /// Address of the internal host.
        2 internal_host: Address,
        /// NTSTATUS of the failure.
        3 failure_status: i32,
        /// Direction (FWP_DIRECTION): 0 outbound, 1 inbound.
        4 direction: u32,
    }
    /// A template that selects net events. WFP: `FWPM_NET_EVENT_ENUM_TEMPLATE0`.
    NetEventTemplate {
        /// Earliest time, in seconds since 1970.
        1 start: Timestamp,
        /// Latest time, in seconds since 1970; 0: no limit.
        2 end: Timestamp,
        /// Conditions on addresses, ports, protocol, application id and event type. Those on the same field are
        /// alternatives; every field that is named must match.
        3 conditions: Vec<FilterCondition>,
    }
}

choices! {
    /// The details of a net event, by `FWPM_NET_EVENT_TYPE`.
    NetEventDetail {
        /// A main-mode negotiation failed.
        1 ike_mm_failure IkeMmFailure(Box<IkeFailure>),
        /// A quick-mode negotiation failed.
        2 ike_qm_failure IkeQmFailure(Box<IkeFailure>),
        /// An extended-mode negotiation failed.
        3 ike_em_failure IkeEmFailure(Box<IkeFailure>),
        /// A filter blocked a packet.
        4 classify_drop ClassifyDrop(ClassifyEvent),
        /// IPsec dropped a packet.
        5 ipsec_drop IpsecDrop(IpsecDrop),
        /// Denial-of-service protection dropped a packet.
        6 dosp_drop DospDrop(DospDrop),
        /// A filter permitted a packet.
        7 classify_allow ClassifyAllow(ClassifyEvent),
    }
}

impl NetEventDetail {
    /// Returns the event's `FWPM_NET_EVENT_TYPE`.
    pub fn event_type(&self) -> u32 {
        match self {
            NetEventDetail::IkeMmFailure(_) => 0,
            NetEventDetail::IkeQmFailure(_) => 1,
            NetEventDetail::IkeEmFailure(_) => 2,
            NetEventDetail::ClassifyDrop(_) => 3,
            NetEventDetail::IpsecDrop(_) => 4,
            NetEventDetail::DospDrop(_) => 5,
            NetEventDetail::ClassifyAllow(_) => 6,
        }
    }
}
