//! The entries decide as the filters do: random filters and packets against WFP's rules, written down plainly.

use super::*;
use crate::objects::Lifetime;
use openwfp_api::guids::callout;
use openwfp_api::guids::condition;
use openwfp_api::guids::layer;
use openwfp_api::object::Action;
use openwfp_api::object::ActionType;
use openwfp_api::object::Filter;
use openwfp_api::object::FilterCondition;
use openwfp_api::object::MatchType;
use openwfp_api::object::Object;
use openwfp_api::object::packet::Packet;
use openwfp_api::object::packet::PacketPath;
use openwfp_api::object::value::Value;
use openwfp_api::record::Address;
use proptest::prelude::*;
use std::collections::BTreeMap;

/// A filter for outbound packets. Its sublayer is WFP's for tunnels or the universal one.
#[derive(Clone, Debug)]
struct Plan {
    universal: bool,
    weight: u64,
    /// 0 protects, 1 permits, 2 blocks.
    does: u8,
    remote: u8,
    prefix: u8,
    port: Option<(u16, u16)>,
}

fn plans() -> impl Strategy<Value = Vec<(bool, Plan)>> {
    let plan = (
        any::<bool>(),
        0..4_u64,
        0..3_u8,
        0..4_u8,
        prop_oneof![Just(24), Just(30), Just(32)],
        prop::option::of((0..8_u16, 0..5_u16)),
    )
        .prop_map(|(universal, weight, does, remote, prefix, port)| {
            let port = port.map(|(low, more)| (low, low + more));
            Plan { universal, weight, does, remote, prefix, port }
        });
    prop::collection::vec((any::<bool>(), plan), 1..24)
}

fn entry(id: u64, plan: &Plan) -> Arc<Entry> {
    let mut conditions = vec![FilterCondition {
        field: condition::IP_REMOTE_ADDRESS,
        match_type: MatchType::Equal,
        value: Value::network(IpNet::new([10, 0, 0, plan.remote].into(), plan.prefix).unwrap()),
    }];
    if let Some((low, high)) = plan.port {
        let range = openwfp_api::object::value::Range { low: Value::Uint16(low), high: Value::Uint16(high) };
        conditions.push(FilterCondition {
            field: condition::IP_REMOTE_PORT,
            match_type: MatchType::Range,
            value: Value::Range(Box::new(range)),
        });
    }
    let kind = match plan.does {
        0 => ActionType::CalloutTerminating,
        1 => ActionType::Permit,
        _ => ActionType::Block,
    };
    let callout = match (plan.does, plan.universal) {
        (0, true) => callout::IPSEC_OUTBOUND_TRANSPORT_V4,
        (0, false) => callout::IPSEC_OUTBOUND_TUNNEL_V4,
        _ => Guid::default(),
    };
    let filter = Filter {
        key: Guid::new(u32::try_from(id & 0xFFFF).unwrap(), 1, 1, [1; 8]),
        layer: layer::OUTBOUND_TRANSPORT_V4,
        sublayer: if plan.universal { sublayer::UNIVERSAL } else { sublayer::IPSEC_TUNNEL },
        effective_weight: plan.weight,
        conditions,
        action: Action { kind, callout },
        id,
        ..Filter::default()
    };
    let object = Arc::new(Object::Filter(filter));
    Arc::new(Entry { serial: id, object, lifetime: Lifetime::Static, security: None, part_of: None })
}

fn packet(remote: u8, port: u16) -> Packet {
    Packet {
        path: PacketPath::Outbound,
        source: Address([10, 1, 0, 1].into()),
        destination: Address([10, 0, 0, remote].into()),
        protocol: 6,
        destination_port: port,
        ..Packet::default()
    }
}

/// What WFP's rules say: each sublayer's heaviest filter that matches; a block wins, then a protection.
fn by_rules(filters: &BTreeMap<u64, Plan>, packet: &Packet) -> Option<u8> {
    let matches = |id: u64, plan: &Plan| {
        let entry = entry(id, plan);
        crate::objects::conditions::Conditions::new(&entry.object.as_filter().unwrap().conditions)
            .meet(packet)
    };
    let protects_universally = filters.values().any(|plan| plan.universal && plan.does == 0);
    let of = |universal: bool| {
        let of_sublayer = filters.iter().filter(|(_, plan)| plan.universal == universal);
        let matching = of_sublayer.filter(|(id, plan)| matches(**id, plan));
        matching.min_by_key(|(id, plan)| (u64::MAX - plan.weight, **id)).map(|(_, plan)| plan.does)
    };
    let decisions = [of(false), of(true).filter(|_| protects_universally)];
    let decisions: Vec<u8> = decisions.into_iter().flatten().collect();
    [2, 0, 1].into_iter().find(|does| decisions.contains(does))
}

/// What a kernel with these entries does.
fn by_entries<'e>(entries: impl Iterator<Item = &'e SpdEntry>, packet: &Packet) -> Option<u8> {
    let selects = |entry: &&SpdEntry| {
        let Selector { local, remote, protocol, local_port, remote_port } = entry.selector;
        let port = |ports: SelectorPorts, port: u16| port & ports.mask == ports.port & ports.mask;
        entry.direction == PolicyDirection::Out
            && local.contains(&packet.source.0)
            && remote.contains(&packet.destination.0)
            && (protocol == 0 || protocol == packet.protocol)
            && port(local_port, packet.source_port)
            && port(remote_port, packet.destination_port)
    };
    entries.filter(selects).min_by_key(|entry| entry.priority).map(|entry| match entry.action {
        SpdAction::Protect(_) => 0,
        SpdAction::Bypass => 1,
        SpdAction::Block => 2,
    })
}

proptest! {
    #[test]
    fn the_entries_decide_as_the_filters_do(plans in plans()) {
        let mut objects = Objects::built_in();
        let mut spd = Spd::default();
        let mut filters: BTreeMap<u64, Plan> = BTreeMap::new();
        let mut held: BTreeMap<Identity, SpdEntry> = BTreeMap::new();
        for (number, (removes, plan)) in plans.into_iter().enumerate() {
            // Some steps remove a filter instead.
            let change = match filters.first_key_value().filter(|_| removes && number % 3 == 0) {
                Some((id, plan)) => {
                    let id = *id;
                    let old = entry(id, plan);
                    objects.remove(&old);
                    filters.remove(&id);
                    ObjectChange { old: Some(old), new: None }
                }
                None => {
                    let id = crate::objects::FIRST_ID + number as u64;
                    let new = entry(id, &plan);
                    objects.put(&new);
                    filters.insert(id, plan);
                    ObjectChange { old: None, new: Some(new) }
                }
            };
            let (next, changes) = spd.after(&[change], &objects, &|_| false).unwrap();
            spd = next;
            for SpdChange { old, new } in changes {
                let named = new.as_ref().or(old.as_ref()).unwrap();
                let identity = (named.direction, named.selector);
                prop_assert_eq!(held.get(&identity), old.as_ref(), "a change starts with what is held");
                match new {
                    Some(new) => held.insert(identity, new),
                    None => held.remove(&identity),
                };
            }
            let all: BTreeMap<Identity, SpdEntry> =
                spd.entries().into_iter().map(|entry| ((entry.direction, entry.selector), entry)).collect();
            prop_assert_eq!(&held, &all, "the changes lead to the entries");
            for remote in 0..5 {
                for port in 0..14 {
                    let packet = packet(remote, port);
                    prop_assert_eq!(by_entries(held.values(), &packet), by_rules(&filters, &packet), "{:?} {:?}", packet, filters);
                }
            }
        }
        // From the start, as after a restart, the same filters make the same entries but for the priorities.
        let all: Vec<ObjectChange> = objects
            .of_kind(ObjectKind::Filter, None)
            .map(|entry| ObjectChange { old: None, new: Some(Arc::clone(entry)) })
            .collect();
        let (fresh, _) = Spd::default().after(&all, &objects, &|_| false).unwrap();
        let without_priority = |spd: &Spd| -> Vec<SpdEntry> {
            spd.entries().into_iter().map(|entry| SpdEntry { priority: 0, ..entry }).collect()
        };
        prop_assert_eq!(without_priority(&fresh), without_priority(&spd));
        prop_assert_eq!(fresh.priorities.len(), spd.priorities.len());
    }
}
