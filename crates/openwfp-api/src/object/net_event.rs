//! Net events: negotiations that failed and packets that were dropped, as providers and keying daemons report them.
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
    /// Something that happened in the network. WFP: `FWPM_NET_EVENT5`.
    NetEvent {
        /// When, in seconds since 1970; 0 in a report: now.
        1 time: Timestamp,
        /// FWPM_NET_EVENT_FLAG_*: which of the other fields are set.
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
        /// The scope of IPv6 addresses.
        8 scope_id: u32,
        /// The application.
        9 app_id: Blob,
        /// The user.
        10 user: Option<Sid>,
        /// The application's package.
        11 package: Option<Sid>,
        /// What happened.
        12 detail: NetEventDetail,
        /// Its number, made by the engine; ours.
        13 id: u64,
    }
    /// A negotiation that failed. WFP: `FWPM_NET_EVENT_IKEEXT_MM_FAILURE2` and those of quick and extended mode.
    IkeFailure {
        /// A Windows error code.
        1 error_code: u32,
        /// IPSEC_FAILURE_POINT: 0 none, 1 here, 2 at the peer.
        2 failure_point: u32,
        /// FWPM_NET_EVENT_IKEEXT_*_FAILURE_FLAG_*.
        3 flags: u32,
        /// IKEEXT_KEY_MODULE_TYPE.
        4 keying_module: u32,
        /// The mode's state.
        5 state: u32,
        /// IKEEXT_SA_ROLE: 0 initiator, 1 responder.
        6 role: u32,
        /// IKEEXT_AUTHENTICATION_METHOD_TYPE.
        7 auth_method: u32,
        /// SHA-1 of the peer's certificate.
        8 certificate_hash: [u8; 20],
        /// The main-mode SA.
        9 main_mode_id: u64,
        /// The filter whose policy it was.
        10 filter_id: u64,
        /// Who we were.
        11 local_principal: String,
        /// Who the peer was.
        12 remote_principal: String,
        /// IPSEC_TRAFFIC_TYPE.
        13 traffic_type: u32,
        /// The local traffic of a quick mode.
        14 local_subnet: Value,
        /// The remote traffic of a quick mode.
        15 remote_subnet: Value,
        /// The main mode's policy.
        16 provider_context: Option<crate::Guid>,
        /// Our groups.
        17 local_groups: Vec<String>,
        /// The peer's groups.
        18 remote_groups: Vec<String>,
    }
    /// A packet that a filter blocked or let through. WFP: `FWPM_NET_EVENT_CLASSIFY_DROP2`, `..._ALLOW0`.
    ClassifyEvent {
        /// The filter.
        1 filter_id: u64,
        /// The layer.
        2 layer_id: u16,
        /// Why it was asked again.
        3 reauth_reason: u32,
        /// The network's profile before.
        4 original_profile: u32,
        /// The network's profile.
        5 current_profile: u32,
        /// FWP_DIRECTION as events have it.
        6 direction: u32,
        /// Whether it never left the machine.
        7 is_loopback: bool,
    }
    /// A packet that IPsec dropped. WFP: `FWPM_NET_EVENT_IPSEC_KERNEL_DROP0`.
    IpsecDrop {
        /// An NTSTATUS.
        1 failure_status: i32,
        /// FWP_DIRECTION: 0 outbound, 1 inbound.
        2 direction: u32,
        /// The SPI; 0: none.
        3 spi: u32,
        /// The filter.
        4 filter_id: u64,
        /// The layer.
        5 layer_id: u16,
    }
    /// A packet that the protection against denial of service dropped. WFP: `FWPM_NET_EVENT_IPSEC_DOSP_DROP0`.
    DospDrop {
        /// The public address.
        1 public_host: Address,
        /// The internal address.
        2 internal_host: Address,
        /// An NTSTATUS.
        3 failure_status: i32,
        /// FWP_DIRECTION.
        4 direction: u32,
    }
    /// Which net events are meant. WFP: `FWPM_NET_EVENT_ENUM_TEMPLATE0`.
    NetEventTemplate {
        /// None before this moment.
        1 start: Timestamp,
        /// None after this moment; 0: no end.
        2 end: Timestamp,
        /// All conditions must be met, on addresses, ports and protocol.
        3 conditions: Vec<FilterCondition>,
    }
}

choices! {
    /// What happened, by WFP's `FWPM_NET_EVENT_TYPE`.
    NetEventDetail {
        /// A main mode failed.
        1 ike_mm_failure IkeMmFailure(Box<IkeFailure>),
        /// A quick mode failed.
        2 ike_qm_failure IkeQmFailure(Box<IkeFailure>),
        /// An extended mode failed.
        3 ike_em_failure IkeEmFailure(Box<IkeFailure>),
        /// A filter blocked a packet.
        4 classify_drop ClassifyDrop(ClassifyEvent),
        /// IPsec dropped a packet.
        5 ipsec_drop IpsecDrop(IpsecDrop),
        /// The protection against denial of service dropped a packet.
        6 dosp_drop DospDrop(DospDrop),
        /// A filter let a packet through.
        7 classify_allow ClassifyAllow(ClassifyEvent),
    }
}

impl NetEventDetail {
    /// WFP's number for its type, `FWPM_NET_EVENT_TYPE`.
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
