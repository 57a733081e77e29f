//! The objects built into WFP: layers with their fields, sublayers, callouts and providers.
//!
//! Source: "Management Filtering Layer Identifiers", "Filtering Conditions Available at Each Filtering
//! Layer" and `FWPS_BUILTIN_LAYERS` in WFP's documentation.

use openwfp_api::Guid;
use openwfp_api::guids;
use openwfp_api::guids::condition as c;
use openwfp_api::guids::layer as l;
use openwfp_api::guids::sublayer as s;
use openwfp_api::object::CALLOUT_REGISTERED;
use openwfp_api::object::CALLOUT_USES_PROVIDER_CONTEXT;
use openwfp_api::object::Callout;
use openwfp_api::object::Layer;
use openwfp_api::object::LayerField;
use openwfp_api::object::Object;
use openwfp_api::object::Provider;
use openwfp_api::object::SubLayer;

const UINT8: u32 = 1;
const UINT16: u32 = 2;
const UINT32: u32 = 3;
const UINT64: u32 = 4;
const BYTE_ARRAY16: u32 = 11;
const BYTE_BLOB: u32 = 12;
const SECURITY_DESCRIPTOR: u32 = 14;
const UNICODE_STRING: u32 = 17;

/// `FWPM_LAYER_FLAG_KERNEL`.
pub(crate) const LAYER_KERNEL: u32 = 1;
const LAYER_BUILTIN: u32 = 2;

/// Fields of layers, in the documentation's order.
const IPPACKET: &[Guid] = &[
    c::IP_LOCAL_ADDRESS,
    c::IP_REMOTE_ADDRESS,
    c::IP_LOCAL_ADDRESS_TYPE,
    c::IP_LOCAL_INTERFACE,
    c::INTERFACE_INDEX,
    c::SUB_INTERFACE_INDEX,
    c::FLAGS,
    c::INTERFACE_TYPE,
    c::TUNNEL_TYPE,
    c::COMPARTMENT_ID,
];
const IPFORWARD: &[Guid] = &[
    c::IP_SOURCE_ADDRESS,
    c::IP_DESTINATION_ADDRESS,
    c::IP_DESTINATION_ADDRESS_TYPE,
    c::IP_LOCAL_INTERFACE,
    c::IP_FORWARD_INTERFACE,
    c::SOURCE_INTERFACE_INDEX,
    c::SOURCE_SUB_INTERFACE_INDEX,
    c::DESTINATION_INTERFACE_INDEX,
    c::DESTINATION_SUB_INTERFACE_INDEX,
    c::FLAGS,
    c::IP_PHYSICAL_ARRIVAL_INTERFACE,
    c::ARRIVAL_INTERFACE_PROFILE_ID,
    c::IP_PHYSICAL_NEXTHOP_INTERFACE,
    c::NEXTHOP_INTERFACE_PROFILE_ID,
    c::COMPARTMENT_ID,
];
const INBOUND_TRANSPORT: &[Guid] = &[
    c::IP_PROTOCOL,
    c::IP_LOCAL_ADDRESS,
    c::IP_REMOTE_ADDRESS,
    c::IP_LOCAL_ADDRESS_TYPE,
    c::IP_LOCAL_PORT,
    c::IP_REMOTE_PORT,
    c::IP_LOCAL_INTERFACE,
    c::INTERFACE_INDEX,
    c::SUB_INTERFACE_INDEX,
    c::FLAGS,
    c::INTERFACE_TYPE,
    c::TUNNEL_TYPE,
    c::CURRENT_PROFILE_ID,
    c::IPSEC_SECURITY_REALM_ID,
    c::COMPARTMENT_ID,
];
const OUTBOUND_TRANSPORT: &[Guid] = &[
    c::IP_PROTOCOL,
    c::IP_LOCAL_ADDRESS,
    c::IP_LOCAL_ADDRESS_TYPE,
    c::IP_REMOTE_ADDRESS,
    c::IP_LOCAL_PORT,
    c::IP_REMOTE_PORT,
    c::IP_LOCAL_INTERFACE,
    c::INTERFACE_INDEX,
    c::SUB_INTERFACE_INDEX,
    c::IP_DESTINATION_ADDRESS_TYPE,
    c::FLAGS,
    c::INTERFACE_TYPE,
    c::TUNNEL_TYPE,
    c::CURRENT_PROFILE_ID,
    c::IPSEC_SECURITY_REALM_ID,
    c::COMPARTMENT_ID,
];
const ALE: &[Guid] = &[
    c::ALE_APP_ID,
    c::ALE_USER_ID,
    c::IP_LOCAL_ADDRESS,
    c::IP_LOCAL_ADDRESS_TYPE,
    c::IP_LOCAL_PORT,
    c::IP_PROTOCOL,
    c::IP_LOCAL_INTERFACE,
    c::FLAGS,
    c::INTERFACE_TYPE,
    c::TUNNEL_TYPE,
    c::ALE_PACKAGE_ID,
    c::COMPARTMENT_ID,
    c::INTERFACE_INDEX,
    c::SUB_INTERFACE_INDEX,
    c::CURRENT_PROFILE_ID,
    c::ORIGINAL_PROFILE_ID,
    c::ALE_REAUTH_REASON,
    c::ALE_ORIGINAL_APP_ID,
];
const ALE_WITH_PEER: &[Guid] = &[
    c::IP_REMOTE_ADDRESS,
    c::IP_REMOTE_PORT,
    c::ALE_REMOTE_USER_ID,
    c::ALE_REMOTE_MACHINE_ID,
    c::IP_DESTINATION_ADDRESS_TYPE,
    c::IP_ARRIVAL_INTERFACE,
    c::ARRIVAL_INTERFACE_TYPE,
    c::ARRIVAL_TUNNEL_TYPE,
    c::ARRIVAL_INTERFACE_INDEX,
    c::IP_NEXTHOP_ADDRESS,
    c::IP_NEXTHOP_INTERFACE,
    c::NEXTHOP_INTERFACE_TYPE,
    c::NEXTHOP_TUNNEL_TYPE,
    c::NEXTHOP_INTERFACE_INDEX,
    c::NEXTHOP_SUB_INTERFACE_INDEX,
    c::PEER_NAME,
    c::INTERFACE_QUARANTINE_EPOCH,
    c::IPSEC_SECURITY_REALM_ID,
    c::ALE_EFFECTIVE_NAME,
];
const DATA: &[Guid] = &[
    c::IP_PROTOCOL,
    c::IP_LOCAL_ADDRESS,
    c::IP_REMOTE_ADDRESS,
    c::IP_LOCAL_ADDRESS_TYPE,
    c::IP_LOCAL_PORT,
    c::IP_REMOTE_PORT,
    c::DIRECTION,
    c::FLAGS,
    c::IP_LOCAL_INTERFACE,
    c::INTERFACE_INDEX,
    c::SUB_INTERFACE_INDEX,
    c::COMPARTMENT_ID,
];
const KM_DEMUX: &[Guid] = &[
    c::IP_LOCAL_ADDRESS,
    c::IP_REMOTE_ADDRESS,
    c::QM_MODE,
    c::IP_LOCAL_INTERFACE,
    c::CURRENT_PROFILE_ID,
    c::IPSEC_SECURITY_REALM_ID,
];
const IPSEC: &[Guid] = &[
    c::IP_PROTOCOL,
    c::IP_LOCAL_ADDRESS,
    c::IP_REMOTE_ADDRESS,
    c::IP_LOCAL_PORT,
    c::IP_REMOTE_PORT,
    c::IP_LOCAL_INTERFACE,
    c::CURRENT_PROFILE_ID,
    c::IPSEC_SECURITY_REALM_ID,
];
const IKEEXT: &[Guid] = &[
    c::IP_LOCAL_ADDRESS,
    c::IP_REMOTE_ADDRESS,
    c::IP_LOCAL_INTERFACE,
    c::CURRENT_PROFILE_ID,
    c::IPSEC_SECURITY_REALM_ID,
];
const KM_AUTHORIZATION: &[Guid] =
    &[c::REMOTE_ID, c::AUTHENTICATION_TYPE, c::KM_TYPE, c::DIRECTION, c::KM_MODE, c::IPSEC_POLICY_KEY];
const FRAMES: &[Guid] = &[
    c::INTERFACE_MAC_ADDRESS,
    c::MAC_LOCAL_ADDRESS,
    c::MAC_REMOTE_ADDRESS,
    c::MAC_LOCAL_ADDRESS_TYPE,
    c::MAC_REMOTE_ADDRESS_TYPE,
    c::ETHER_TYPE,
    c::VLAN_ID,
    c::INTERFACE_INDEX,
    c::NDIS_PORT,
    c::L2_FLAGS,
];

/// A layer: its number (`FWPS_BUILTIN_LAYERS`), its key, whether it is for IPv6, its fields, whether it
/// is a kernel layer, and its default sublayer.
type Row = (u16, Guid, bool, &'static [&'static [Guid]], bool, Guid);

macro_rules! both_versions {
    ($($first:literal $v4:ident $v6:ident $step:literal $fields:expr, $kernel:literal, $sublayer:ident;)*) => {
        &[$(
            ($first, l::$v4, false, $fields, $kernel, s::$sublayer),
            ($first + $step, l::$v6, true, $fields, $kernel, s::$sublayer),
        )*]
    };
}

const LAYERS: &[Row] = both_versions! {
    0 INBOUND_IPPACKET_V4 INBOUND_IPPACKET_V6 2 &[IPPACKET], true, UNIVERSAL;
    1 INBOUND_IPPACKET_V4_DISCARD INBOUND_IPPACKET_V6_DISCARD 2 &[IPPACKET], true, UNIVERSAL;
    4 OUTBOUND_IPPACKET_V4 OUTBOUND_IPPACKET_V6 2 &[IPPACKET], true, UNIVERSAL;
    5 OUTBOUND_IPPACKET_V4_DISCARD OUTBOUND_IPPACKET_V6_DISCARD 2 &[IPPACKET], true, UNIVERSAL;
    8 IPFORWARD_V4 IPFORWARD_V6 2 &[IPFORWARD], true, UNIVERSAL;
    9 IPFORWARD_V4_DISCARD IPFORWARD_V6_DISCARD 2 &[IPFORWARD], true, UNIVERSAL;
    12 INBOUND_TRANSPORT_V4 INBOUND_TRANSPORT_V6 2 &[INBOUND_TRANSPORT], true, UNIVERSAL;
    13 INBOUND_TRANSPORT_V4_DISCARD INBOUND_TRANSPORT_V6_DISCARD 2 &[INBOUND_TRANSPORT], true, UNIVERSAL;
    16 OUTBOUND_TRANSPORT_V4 OUTBOUND_TRANSPORT_V6 2 &[OUTBOUND_TRANSPORT], true, UNIVERSAL;
    17 OUTBOUND_TRANSPORT_V4_DISCARD OUTBOUND_TRANSPORT_V6_DISCARD 2 &[OUTBOUND_TRANSPORT], true, UNIVERSAL;
    20 STREAM_V4 STREAM_V6 2 &[DATA], true, UNIVERSAL;
    21 STREAM_V4_DISCARD STREAM_V6_DISCARD 2 &[DATA], true, UNIVERSAL;
    24 DATAGRAM_DATA_V4 DATAGRAM_DATA_V6 2 &[DATA], true, UNIVERSAL;
    25 DATAGRAM_DATA_V4_DISCARD DATAGRAM_DATA_V6_DISCARD 2 &[DATA], true, UNIVERSAL;
    28 INBOUND_ICMP_ERROR_V4 INBOUND_ICMP_ERROR_V6 2 &[INBOUND_TRANSPORT], true, UNIVERSAL;
    29 INBOUND_ICMP_ERROR_V4_DISCARD INBOUND_ICMP_ERROR_V6_DISCARD 2 &[INBOUND_TRANSPORT], true, UNIVERSAL;
    32 OUTBOUND_ICMP_ERROR_V4 OUTBOUND_ICMP_ERROR_V6 2 &[OUTBOUND_TRANSPORT], true, UNIVERSAL;
    33 OUTBOUND_ICMP_ERROR_V4_DISCARD OUTBOUND_ICMP_ERROR_V6_DISCARD 2 &[OUTBOUND_TRANSPORT], true, UNIVERSAL;
    36 ALE_RESOURCE_ASSIGNMENT_V4 ALE_RESOURCE_ASSIGNMENT_V6 2 &[ALE], true, UNIVERSAL;
    37 ALE_RESOURCE_ASSIGNMENT_V4_DISCARD ALE_RESOURCE_ASSIGNMENT_V6_DISCARD 2 &[ALE], true, UNIVERSAL;
    40 ALE_AUTH_LISTEN_V4 ALE_AUTH_LISTEN_V6 2 &[ALE], true, UNIVERSAL;
    41 ALE_AUTH_LISTEN_V4_DISCARD ALE_AUTH_LISTEN_V6_DISCARD 2 &[ALE], true, UNIVERSAL;
    44 ALE_AUTH_RECV_ACCEPT_V4 ALE_AUTH_RECV_ACCEPT_V6 2 &[ALE, ALE_WITH_PEER], true, UNIVERSAL;
    45 ALE_AUTH_RECV_ACCEPT_V4_DISCARD ALE_AUTH_RECV_ACCEPT_V6_DISCARD 2 &[ALE, ALE_WITH_PEER], true, UNIVERSAL;
    48 ALE_AUTH_CONNECT_V4 ALE_AUTH_CONNECT_V6 2 &[ALE, ALE_WITH_PEER], true, UNIVERSAL;
    49 ALE_AUTH_CONNECT_V4_DISCARD ALE_AUTH_CONNECT_V6_DISCARD 2 &[ALE, ALE_WITH_PEER], true, UNIVERSAL;
    52 ALE_FLOW_ESTABLISHED_V4 ALE_FLOW_ESTABLISHED_V6 2 &[ALE, ALE_WITH_PEER], true, UNIVERSAL;
    53 ALE_FLOW_ESTABLISHED_V4_DISCARD ALE_FLOW_ESTABLISHED_V6_DISCARD 2 &[ALE, ALE_WITH_PEER], true, UNIVERSAL;
    62 ALE_RESOURCE_RELEASE_V4 ALE_RESOURCE_RELEASE_V6 1 &[ALE], true, UNIVERSAL;
    64 ALE_ENDPOINT_CLOSURE_V4 ALE_ENDPOINT_CLOSURE_V6 1 &[ALE, ALE_WITH_PEER], true, UNIVERSAL;
    66 ALE_CONNECT_REDIRECT_V4 ALE_CONNECT_REDIRECT_V6 1 &[ALE, ALE_WITH_PEER], true, UNIVERSAL;
    68 ALE_BIND_REDIRECT_V4 ALE_BIND_REDIRECT_V6 1 &[ALE], true, UNIVERSAL;
    70 STREAM_PACKET_V4 STREAM_PACKET_V6 1 &[DATA], true, UNIVERSAL;
    87 IPSEC_KM_DEMUX_V4 IPSEC_KM_DEMUX_V6 1 &[KM_DEMUX], false, UNIVERSAL;
    89 IPSEC_V4 IPSEC_V6 1 &[IPSEC], false, UNIVERSAL;
    91 IKEEXT_V4 IKEEXT_V6 1 &[IKEEXT], false, UNIVERSAL;
};

const OTHER_LAYERS: &[Row] = &[
    (56, l::INBOUND_MAC_FRAME_ETHERNET, false, &[FRAMES], true, s::UNIVERSAL),
    (57, l::OUTBOUND_MAC_FRAME_ETHERNET, false, &[FRAMES], true, s::UNIVERSAL),
    (58, l::INBOUND_MAC_FRAME_NATIVE, false, &[FRAMES], true, s::UNIVERSAL),
    (59, l::OUTBOUND_MAC_FRAME_NATIVE, false, &[FRAMES], true, s::UNIVERSAL),
    (98, l::KM_AUTHORIZATION, false, &[KM_AUTHORIZATION], false, s::UNIVERSAL),
];

/// Returns a field, with its type at layers of an IP version.
fn field(key: Guid, v6: bool) -> LayerField {
    let (kind, data_type) = match key {
        c::IP_LOCAL_ADDRESS
        | c::IP_REMOTE_ADDRESS
        | c::IP_SOURCE_ADDRESS
        | c::IP_DESTINATION_ADDRESS
        | c::IP_NEXTHOP_ADDRESS => (1, if v6 { BYTE_ARRAY16 } else { UINT32 }),
        c::FLAGS | c::L2_FLAGS => (2, UINT32),
        c::IP_PROTOCOL | c::IP_LOCAL_ADDRESS_TYPE | c::IP_DESTINATION_ADDRESS_TYPE => (0, UINT8),
        c::IP_LOCAL_PORT
        | c::IP_REMOTE_PORT
        | c::ETHER_TYPE
        | c::VLAN_ID
        | c::MAC_LOCAL_ADDRESS_TYPE
        | c::MAC_REMOTE_ADDRESS_TYPE => (0, UINT16),
        c::IP_LOCAL_INTERFACE
        | c::IP_FORWARD_INTERFACE
        | c::IP_ARRIVAL_INTERFACE
        | c::IP_NEXTHOP_INTERFACE
        | c::IP_PHYSICAL_ARRIVAL_INTERFACE
        | c::IP_PHYSICAL_NEXTHOP_INTERFACE
        | c::INTERFACE_QUARANTINE_EPOCH => (0, UINT64),
        c::ALE_APP_ID | c::ALE_ORIGINAL_APP_ID | c::REMOTE_ID | c::ALE_EFFECTIVE_NAME => (0, BYTE_BLOB),
        c::ALE_USER_ID | c::ALE_REMOTE_USER_ID | c::ALE_REMOTE_MACHINE_ID => (0, SECURITY_DESCRIPTOR),
        c::ALE_PACKAGE_ID => (0, 13),
        c::PEER_NAME => (0, UNICODE_STRING),
        c::IPSEC_POLICY_KEY => (0, BYTE_ARRAY16),
        c::INTERFACE_MAC_ADDRESS | c::MAC_LOCAL_ADDRESS | c::MAC_REMOTE_ADDRESS => (0, 18),
        _ => (0, UINT32),
    };
    LayerField { key, kind, data_type }
}

fn words(name: &str, prefix: &str) -> String {
    name.strip_prefix(prefix).unwrap_or(name).replace('_', " ")
}

/// Returns the built-in layers.
pub(crate) fn layers() -> impl Iterator<Item = Layer> {
    LAYERS.iter().chain(OTHER_LAYERS).map(|(id, key, v6, fields, kernel, sublayer)| {
        let name = guids::name(*key).unwrap_or_default();
        Layer {
            key: *key,
            name: words(name, "FWPM_LAYER_"),
            description: name.to_owned(),
            flags: LAYER_BUILTIN | if *kernel { LAYER_KERNEL } else { 0 },
            fields: fields.iter().flat_map(|part| part.iter()).map(|key| field(*key, *v6)).collect(),
            default_sublayer: *sublayer,
            id: *id,
        }
    })
}

/// Returns all built-in objects, each with its number within its kind.
pub(crate) fn objects() -> Vec<(u64, Object)> {
    let mut objects: Vec<(u64, Object)> = Vec::new();
    for (place, (key, name)) in guids::provider::ALL.iter().enumerate() {
        let provider = Provider {
            key: *key,
            name: words(name, "FWPM_PROVIDER_"),
            description: (*name).to_owned(),
            ..Provider::default()
        };
        objects.push((place as u64 + 1, Object::Provider(provider)));
    }
    for (place, (key, name)) in guids::sublayer::ALL.iter().enumerate() {
        let sublayer = SubLayer {
            key: *key,
            name: words(name, "FWPM_SUBLAYER_"),
            description: (*name).to_owned(),
            weight: sublayer_weight(*key),
            ..SubLayer::default()
        };
        objects.push((place as u64 + 1, Object::SubLayer(sublayer)));
    }
    objects.extend(layers().map(|layer| (layer.id.into(), Object::Layer(layer))));
    for (place, (key, name)) in guids::callout::ALL.iter().enumerate() {
        let Some(layer) = callout_layer(name) else { continue };
        let id = u32::try_from(place + 1).unwrap_or(u32::MAX);
        let ipsec = name.starts_with("FWPM_CALLOUT_IPSEC_");
        let callout = Callout {
            key: *key,
            name: words(name, "FWPM_CALLOUT_"),
            description: (*name).to_owned(),
            flags: CALLOUT_REGISTERED | if ipsec { CALLOUT_USES_PROVIDER_CONTEXT } else { 0 },
            layer,
            id,
            ..Callout::default()
        };
        objects.push((id.into(), Object::Callout(callout)));
    }
    objects
}

/// The weight of the sublayer for IPsec tunnels.
pub(crate) const IPSEC_TUNNEL_WEIGHT: u16 = 0xFFFC;

/// Returns the weight of a built-in sublayer. Those of IPsec and its tunnels precede the universal one,
/// to which others add filters. WFP documents the order of the sublayers, not their weights.
fn sublayer_weight(key: Guid) -> u16 {
    match key {
        s::IPSEC_SECURITY_REALM => 0xFFFF,
        s::INSPECTION => 0xFFFE,
        s::IPSEC_DOSP => 0xFFFD,
        s::IPSEC_TUNNEL => IPSEC_TUNNEL_WEIGHT,
        s::IPSEC_FORWARD_OUTBOUND_TUNNEL => 0xFFFB,
        s::SECURE_SOCKET => 0xFFFA,
        s::LIPS => 0xFFF9,
        s::UNIVERSAL => 0x8000,
        _ => 0x4000,
    }
}

/// Returns the layer of a built-in callout, derived from its name. Source: "Built-in Callout
/// Identifiers" in WFP's documentation.
fn callout_layer(name: &str) -> Option<Guid> {
    let v6 = name.contains("_V6");
    let of = |v4, six| Some(if v6 { six } else { v4 });
    let name = name.strip_prefix("FWPM_CALLOUT_")?;
    if name.starts_with("IPSEC_INBOUND_TRANSPORT") || name.starts_with("IPSEC_INBOUND_TUNNEL_V") {
        of(l::INBOUND_TRANSPORT_V4, l::INBOUND_TRANSPORT_V6)
    } else if name.starts_with("IPSEC_OUTBOUND_T") {
        of(l::OUTBOUND_TRANSPORT_V4, l::OUTBOUND_TRANSPORT_V6)
    } else if name.starts_with("IPSEC_FORWARD") || name.starts_with("IPSEC_DOSP") {
        of(l::IPFORWARD_V4, l::IPFORWARD_V6)
    } else if name.contains("ALE_CONNECT") || name.contains("CONNECT_LAYER") {
        of(l::ALE_AUTH_CONNECT_V4, l::ALE_AUTH_CONNECT_V6)
    } else if name.contains("INITIATE_SECURE") || name.contains("ACCEPT") {
        of(l::ALE_AUTH_RECV_ACCEPT_V4, l::ALE_AUTH_RECV_ACCEPT_V6)
    } else if name.contains("RESOURCE_ASSIGNMENT") {
        of(l::ALE_RESOURCE_ASSIGNMENT_V4, l::ALE_RESOURCE_ASSIGNMENT_V6)
    } else if name.contains("ALE_LISTEN") {
        of(l::ALE_AUTH_LISTEN_V4, l::ALE_AUTH_LISTEN_V6)
    } else if name.starts_with("WFP_TRANSPORT_LAYER") {
        of(l::INBOUND_TRANSPORT_V4, l::INBOUND_TRANSPORT_V6)
    } else {
        None
    }
}
