//! Converts between the API's types and prost's messages, for messages without SA contexts.

use crate::codec;
use crate::proto;
use openwfp_api::AddressMatch;
use openwfp_api::Code;
use openwfp_api::Completeness;
use openwfp_api::ContextTemplate;
use openwfp_api::Direction;
use openwfp_api::Drops;
use openwfp_api::EnumId;
use openwfp_api::Error;
use openwfp_api::EventKinds;
use openwfp_api::OpenTransaction;
use openwfp_api::ProtocolDrops;
use openwfp_api::Result;
use openwfp_api::SaContextId;
use openwfp_api::SaStatistics;
use openwfp_api::Securable;
use openwfp_api::SecurityInformation;
use openwfp_api::SessionInfo;
use openwfp_api::SessionNumber;
use openwfp_api::Sid;
use openwfp_api::Spi;
use openwfp_api::Statistics;
use openwfp_api::StepOutcome;
use openwfp_api::SubscriptionInfo;
use openwfp_api::SubscriptionOptions;
use openwfp_api::Timestamp;
use openwfp_api::Topic;
use openwfp_api::TopicKind;
use openwfp_api::TrafficStatistics;
use openwfp_api::TransactionMode;
use openwfp_api::object::ObjectKind;
use openwfp_api::object::net_event::NetEventTemplate;
use openwfp_api::object::template::ObjectTemplate;
use openwfp_api::record::Record;
use prost::Message;
use std::net::IpAddr;
use std::time::Duration;

fn invalid(what: String) -> Error {
    Error::new(Code::FWP_E_INVALID_PARAMETER, what)
}

/// Returns a duration in nanoseconds, saturating at 64 bits (584 years).
pub(crate) fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

pub(crate) fn from_session_info(info: &SessionInfo) -> proto::SessionInfo {
    proto::SessionInfo {
        number: info.number.0,
        key: codec::guid_bytes(info.key).into(),
        name: info.name.clone(),
        description: info.description.clone(),
        dynamic: info.dynamic,
        transaction_wait_ns: nanos(info.transaction_wait),
        process_id: info.process_id,
        user: info.user.to_bytes(),
        user_name: info.user_name.clone(),
        kernel_mode: info.kernel_mode,
        opened: info.opened.0,
        origin: info.origin.clone(),
        transaction: info.transaction.map(|transaction| proto::OpenTransaction {
            read_only: transaction.mode == TransactionMode::ReadOnly,
            began: transaction.began.0,
        }),
    }
}

pub(crate) fn to_session_info(info: proto::SessionInfo) -> Result<SessionInfo> {
    Ok(SessionInfo {
        number: SessionNumber(info.number),
        key: codec::get_guid(&info.key)?,
        name: info.name,
        description: info.description,
        dynamic: info.dynamic,
        transaction_wait: Duration::from_nanos(info.transaction_wait_ns),
        process_id: info.process_id,
        user: Sid::parse(&info.user)?.0,
        user_name: info.user_name,
        kernel_mode: info.kernel_mode,
        opened: Timestamp(info.opened),
        origin: info.origin,
        transaction: info.transaction.map(|transaction| OpenTransaction {
            mode: if transaction.read_only { TransactionMode::ReadOnly } else { TransactionMode::ReadWrite },
            began: Timestamp(transaction.began),
        }),
    })
}

pub(crate) fn from_outcome(outcome: &StepOutcome) -> proto::StepOutcome {
    proto::StepOutcome { id: outcome.id.0, inbound_spi: outcome.inbound_spi.map_or(0, Spi::get) }
}

pub(crate) fn to_outcome(outcome: &proto::StepOutcome) -> StepOutcome {
    StepOutcome { id: SaContextId(outcome.id), inbound_spi: Spi::new(outcome.inbound_spi) }
}

pub(crate) fn from_template(template: &ContextTemplate) -> proto::ContextTemplate {
    proto::ContextTemplate { local: from_match(&template.local), remote: from_match(&template.remote) }
}

pub(crate) fn to_template(template: Option<&proto::ContextTemplate>) -> Result<ContextTemplate> {
    let Some(template) = template else { return Ok(ContextTemplate::default()) };
    Ok(ContextTemplate {
        local: to_match(template.local.as_ref())?,
        remote: to_match(template.remote.as_ref())?,
    })
}

fn octets(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(address) => address.octets().into(),
        IpAddr::V6(address) => address.octets().into(),
    }
}

fn from_match(address_match: &AddressMatch) -> Option<proto::AddressMatch> {
    let (address, prefix, last) = match address_match {
        AddressMatch::Any => return None,
        AddressMatch::Address(address) => (*address, None, None),
        AddressMatch::Subnet(network) => (network.addr(), Some(network.prefix_len().into()), None),
        AddressMatch::Range(_) => {
            let (low, high) = address_match.bounds()?;
            (low, None, Some(high))
        }
    };
    Some(proto::AddressMatch { address: octets(address), prefix, last: last.map(octets).unwrap_or_default() })
}

fn to_match(address_match: Option<&proto::AddressMatch>) -> Result<AddressMatch> {
    let Some(given) = address_match else { return Ok(AddressMatch::Any) };
    let address = codec::get_address(&given.address)?;
    match (given.prefix, given.last.is_empty()) {
        (None, true) => Ok(AddressMatch::Address(address)),
        (Some(prefix), true) => {
            let prefix = u8::try_from(prefix).unwrap_or(u8::MAX);
            codec::network(address, prefix).map(AddressMatch::Subnet)
        }
        (None, false) => AddressMatch::range(address, codec::get_address(&given.last)?),
        (Some(_), false) => Err(invalid("an address condition has both a network and a range".into())),
    }
}

pub(crate) fn to_direction(direction: i32) -> Result<Option<Direction>> {
    match direction {
        0 => Ok(None),
        1 => Ok(Some(Direction::Outbound)),
        2 => Ok(Some(Direction::Inbound)),
        other => Err(Error::new(Code::FWP_E_INVALID_ENUMERATOR, format!("unknown direction {other}"))),
    }
}

pub(crate) fn from_direction(direction: Option<Direction>) -> i32 {
    match direction {
        None => 0,
        Some(Direction::Outbound) => 1,
        Some(Direction::Inbound) => 2,
    }
}

pub(crate) fn to_subscription(request: &proto::SubscribeRequest) -> Result<SubscriptionOptions> {
    let kinds = match &request.kinds[..] {
        [] => EventKinds::WFP,
        kinds => {
            let kind = |number: &i32| codec::event_kind(u32::try_from(*number).unwrap_or(0));
            EventKinds::of(&kinds.iter().map(kind).collect::<Result<Vec<_>>>()?)
        }
    };
    let queue_length = match request.queue_length {
        Some(length) => usize::try_from(length).unwrap_or(usize::MAX),
        None => SubscriptionOptions::QUEUE_LENGTH,
    };
    let topic = match (&request.objects, &request.net_events) {
        (Some(objects), _) => Topic::Objects(ObjectTemplate::decode(&objects.encode_to_vec())?),
        (_, Some(events)) => Topic::NetEvents(NetEventTemplate::decode(&events.encode_to_vec())?),
        _ => Topic::SaContexts(to_template(request.template.as_ref())?),
    };
    Ok(SubscriptionOptions { topic, kinds, queue_length })
}

pub(crate) fn from_subscription(options: &SubscriptionOptions) -> proto::SubscribeRequest {
    proto::SubscribeRequest {
        session: Vec::new(),
        template: match &options.topic {
            Topic::SaContexts(template) => Some(from_template(template)),
            _ => None,
        },
        kinds: codec::event_kinds(options.kinds),
        queue_length: Some(options.queue_length as u64),
        keys: false,
        // A record and its prost message have the same encoding.
        objects: match &options.topic {
            Topic::Objects(template) => proto::ObjectTemplate::decode(&*template.encode(None)).ok(),
            _ => None,
        },
        net_events: match &options.topic {
            Topic::NetEvents(template) => proto::NetEventTemplate::decode(&*template.encode(None)).ok(),
            _ => None,
        },
    }
}

pub(crate) fn from_subscription_info(info: &SubscriptionInfo) -> proto::SubscriptionInfo {
    let asked = from_subscription(&info.options);
    proto::SubscriptionInfo {
        handle: info.id.to_bits(),
        session_key: codec::guid_bytes(info.session_key).into(),
        template: asked.template,
        kinds: asked.kinds,
        queue_length: info.options.queue_length as u64,
        objects: asked.objects,
        net_events: asked.net_events,
    }
}

pub(crate) fn to_subscription_info(info: proto::SubscriptionInfo) -> Result<SubscriptionInfo> {
    Ok(SubscriptionInfo {
        id: EnumId::from_bits(info.handle),
        session_key: codec::get_guid(&info.session_key)?,
        options: to_subscription(&proto::SubscribeRequest {
            session: Vec::new(),
            template: info.template,
            kinds: info.kinds,
            queue_length: Some(info.queue_length),
            keys: false,
            objects: info.objects,
            net_events: info.net_events,
        })?,
    })
}

pub(crate) fn to_securable(of: i32) -> Result<Securable> {
    let place = usize::try_from(of).unwrap_or(usize::MAX);
    Securable::all().get(place).copied().ok_or_else(|| {
        let what = format!("unknown securable {of}");
        Error::new(Code::FWP_E_INVALID_ENUMERATOR, what)
    })
}

pub(crate) fn from_securable(of: Securable) -> i32 {
    i32::try_from(of.index()).unwrap_or(i32::MAX)
}

pub(crate) fn to_topic(number: u32) -> Result<TopicKind> {
    match number {
        0 => Ok(TopicKind::SaContexts),
        7 => Ok(TopicKind::NetEvents),
        kind => ObjectKind::from_wfp(kind).map(TopicKind::Objects),
    }
}

pub(crate) fn from_topic(topic: TopicKind) -> u32 {
    match topic {
        TopicKind::SaContexts => 0,
        TopicKind::Objects(kind) => kind.wfp(),
        TopicKind::NetEvents => 7,
    }
}

pub(crate) fn from_parts(parts: SecurityInformation) -> u32 {
    [SecurityInformation::OWNER, SecurityInformation::GROUP, SecurityInformation::DACL]
        .into_iter()
        .zip([1, 2, 4])
        .filter(|(part, _)| parts.any(*part))
        .map(|(_, bit)| bit)
        .sum()
}

pub(crate) fn from_completeness(completeness: Completeness) -> proto::Completeness {
    match completeness {
        Completeness::Whole => proto::Completeness { incomplete: false, reason: String::new() },
        Completeness::Incomplete(reason) => proto::Completeness { incomplete: true, reason },
    }
}

pub(crate) fn to_completeness(completeness: proto::Completeness) -> Completeness {
    if completeness.incomplete { Completeness::Incomplete(completeness.reason) } else { Completeness::Whole }
}

/// Defines conversions in both directions between a message and a struct with the same field names.
macro_rules! same_fields {
    ($type:ident { $($field:ident),* } $from:ident $to:ident) => {
        fn $from(value: &$type) -> proto::$type {
            proto::$type { $($field: value.$field),* }
        }

        fn $to(value: Option<proto::$type>) -> $type {
            value.map(|value| $type { $($field: value.$field),* }).unwrap_or_default()
        }
    };
}

same_fields!(SaStatistics {
    active, pending_negotiations, total_added, total_deleted, successful_rekeys, active_tunnels, offloaded
} from_sa_statistics to_sa_statistics);
same_fields!(ProtocolDrops {
    invalid_spis, decryption_failures, authentication_failures, replay_check_failures, sa_not_initialized
} from_protocol_drops to_protocol_drops);
same_fields!(Drops {
    invalid_spis, decryption_failures, authentication_failures, udp_esp_validation_failures, replay_check_failures,
    invalid_clear_text, sa_not_initialized, incorrect_sa, not_matching_filters, total
} from_drops to_drops);
same_fields!(TrafficStatistics {
    encrypted_bytes, authenticated_ah_bytes, authenticated_esp_bytes, transport_bytes, tunnel_bytes, offload_bytes,
    packets
} from_traffic_statistics to_traffic_statistics);

pub(crate) fn from_statistics(statistics: &Statistics) -> proto::Statistics {
    proto::Statistics {
        sas: Some(from_sa_statistics(&statistics.sas)),
        esp_drops: Some(from_protocol_drops(&statistics.esp_drops)),
        ah_drops: Some(from_protocol_drops(&statistics.ah_drops)),
        drops: Some(from_drops(&statistics.drops)),
        inbound: Some(from_traffic_statistics(&statistics.inbound)),
        outbound: Some(from_traffic_statistics(&statistics.outbound)),
    }
}

pub(crate) fn to_statistics(statistics: proto::Statistics) -> Statistics {
    Statistics {
        sas: to_sa_statistics(statistics.sas),
        esp_drops: to_protocol_drops(statistics.esp_drops),
        ah_drops: to_protocol_drops(statistics.ah_drops),
        drops: to_drops(statistics.drops),
        inbound: to_traffic_statistics(statistics.inbound),
        outbound: to_traffic_statistics(statistics.outbound),
    }
}
