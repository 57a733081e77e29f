//! Classification: arbitration against an evaluator that looks at every filter, and its rules one by one.
use super::common::*;
use super::objects::equal;
use super::objects::filter;
use super::objects::key;
use super::objects::net;
use openwfp_api::guids::condition;
use openwfp_api::guids::layer;
use openwfp_api::object::packet::*;
use openwfp_api::object::value::Value;
use openwfp_api::object::*;
use openwfp_api::record::Address;
use openwfp_api::*;
use openwfp_engine::Engine;
use proptest::prelude::*;
use std::net::Ipv4Addr;

/// A filter as the generator makes it and the plain evaluator understands it.
#[derive(Clone, Debug)]
struct Rule {
    sublayer: u8,
    weight: u64,
    block: bool,
    clears: bool,
    inspects: bool,
    remotes: Vec<(u32, u8)>,
    local: Option<(u32, u8)>,
    protocol: Option<u8>,
    ports: Option<(u16, u16)>,
    not_port: Option<u16>,
}

fn mask(address: u32, prefix: u8) -> u32 {
    if prefix == 0 { 0 } else { address & (u32::MAX << (32 - u32::from(prefix))) }
}

/// Addresses of a small space, so that filters and packets meet.
fn address() -> impl Strategy<Value = u32> {
    (0..4_u32, 0..4_u32).prop_map(|(a, b)| 0x0A00_0000 | a << 16 | b)
}

fn network() -> impl Strategy<Value = (u32, u8)> {
    (address(), prop_oneof![Just(0_u8), Just(8), Just(15), Just(16), Just(31), Just(32)])
        .prop_map(|(address, prefix)| (mask(address, prefix), prefix))
}

fn rule() -> impl Strategy<Value = Rule> {
    (
        (0..3_u8, 0..4_u64, any::<bool>(), any::<bool>(), prop::bool::weighted(0.1)),
        (
            proptest::collection::vec(network(), 0..3),
            proptest::option::of(network()),
            proptest::option::of(prop_oneof![Just(6_u8), Just(17)]),
            proptest::option::of((0..4_u16, 0..4_u16)),
            proptest::option::weighted(0.2, 0..4_u16),
        ),
    )
        .prop_map(
            |(
                (sublayer, weight, block, clears, inspects),
                (mut remotes, local, protocol, ports, not_port),
            )| {
                remotes.sort_unstable();
                remotes.dedup();
                let ports = ports.map(|(a, b)| (a.min(b), a.max(b)));
                Rule { sublayer, weight, block, clears, inspects, remotes, local, protocol, ports, not_port }
            },
        )
}

impl Rule {
    fn filter(&self, number: u8, v6: bool) -> Filter {
        let value = |(address, prefix): (u32, u8)| match v6 {
            false => net(&format!("{}/{prefix}", Ipv4Addr::from(address))),
            true => net(&format!("2001:db8::{}/{}", Ipv4Addr::from(address), 96 + u32::from(prefix))),
        };
        let mut conditions: Vec<FilterCondition> =
            self.remotes.iter().map(|remote| equal(condition::IP_REMOTE_ADDRESS, value(*remote))).collect();
        conditions.extend(self.local.map(|local| equal(condition::IP_LOCAL_ADDRESS, value(local))));
        conditions
            .extend(self.protocol.map(|protocol| equal(condition::IP_PROTOCOL, Value::Uint8(protocol))));
        conditions.extend(self.ports.map(|(low, high)| FilterCondition {
            field: condition::IP_REMOTE_PORT,
            match_type: MatchType::Range,
            value: Value::range(Value::Uint16(low), Value::Uint16(high)),
        }));
        conditions.extend(self.not_port.map(|port| FilterCondition {
            field: condition::IP_LOCAL_PORT,
            match_type: MatchType::NotEqual,
            value: Value::Uint16(port),
        }));
        let kind = match (self.inspects, self.block) {
            (true, _) => ActionType::CalloutInspection,
            (false, true) => ActionType::Block,
            (false, false) => ActionType::Permit,
        };
        Filter {
            layer: if v6 { layer::OUTBOUND_TRANSPORT_V6 } else { layer::OUTBOUND_TRANSPORT_V4 },
            sublayer: key(100 + self.sublayer),
            weight: Value::Uint64(self.weight),
            flags: if self.clears { FILTER_CLEAR_ACTION_RIGHT } else { 0 },
            action: Action {
                kind,
                callout: if self.inspects { key(if v6 { 91 } else { 90 }) } else { Guid::default() },
            },
            conditions,
            ..filter(number)
        }
    }

    fn matches(&self, packet: &Tuple) -> bool {
        let within = |(network, prefix): (u32, u8), address| mask(address, prefix) == network;
        (self.remotes.is_empty() || self.remotes.iter().any(|remote| within(*remote, packet.remote)))
            && self.local.is_none_or(|local| within(local, packet.local))
            && self.protocol.is_none_or(|protocol| protocol == packet.protocol)
            && self.ports.is_none_or(|(low, high)| (low..=high).contains(&packet.remote_port))
            && self.not_port.is_none_or(|port| port != packet.local_port)
    }
}

#[derive(Clone, Copy, Debug)]
struct Tuple {
    local: u32,
    remote: u32,
    protocol: u8,
    local_port: u16,
    remote_port: u16,
}

fn tuple() -> impl Strategy<Value = Tuple> {
    (address(), address(), prop_oneof![Just(6_u8), Just(17), Just(1)], 0..4_u16, 0..4_u16).prop_map(
        |(local, remote, protocol, local_port, remote_port)| Tuple {
            local,
            remote,
            protocol,
            local_port,
            remote_port,
        },
    )
}

impl Tuple {
    fn packet(&self, v6: bool) -> Packet {
        let address = |bits: u32| match v6 {
            false => Address(Ipv4Addr::from(bits).into()),
            true => Address(format!("2001:db8::{}", Ipv4Addr::from(bits)).parse().unwrap()),
        };
        Packet {
            source: address(self.local),
            destination: address(self.remote),
            protocol: self.protocol,
            source_port: self.local_port,
            destination_port: self.remote_port,
            ..Packet::default()
        }
    }
}

/// Looks at every filter, sublayer by sublayer: the number of the one that decides, whether it blocks, whether hard.
fn naive(rules: &[Rule], packet: &Tuple) -> Option<(usize, bool, bool)> {
    let mut said: Option<(usize, bool, bool)> = None;
    // Sublayer 2 weighs the most.
    for sublayer in (0..3).rev() {
        let mut found: Option<usize> = None;
        for (place, rule) in rules.iter().enumerate() {
            let better = found.is_none_or(|best| rule.weight > rules[best].weight);
            if rule.sublayer == sublayer && !rule.inspects && rule.matches(packet) && better {
                found = Some(place);
            }
        }
        let Some(place) = found else { continue };
        let (blocks, hard) = (rules[place].block, rules[place].block || rules[place].clears);
        said = match said {
            None => Some((place, blocks, hard)),
            // Soft permits only: what filters block is hard at once.
            Some((_, false, false)) if blocks || hard => Some((place, blocks, hard)),
            other => other,
        };
    }
    said
}

proptest! {
    #![proptest_config(ProptestConfig { cases: programs() / 10, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_indexes_find_what_a_look_at_every_filter_finds(
        rules in proptest::collection::vec(rule(), 0..24),
        gone in proptest::collection::vec(any::<prop::sample::Index>(), 0..6),
        packets in proptest::collection::vec(tuple(), 1..20),
        v6 in any::<bool>(),
    ) {
        let session = open(&Engine::new());
        for number in 0..3_u8 {
            let sublayer = SubLayer { key: key(100 + number), name: "s".into(), weight: number.into(), ..SubLayer::default() };
            session.object_add(Object::SubLayer(sublayer)).unwrap();
        }
        for (number, layer) in [(90, layer::OUTBOUND_TRANSPORT_V4), (91, layer::OUTBOUND_TRANSPORT_V6)] {
            session.object_add(Object::Callout(Callout { key: key(number), name: "k".into(), layer, ..Callout::default() })).unwrap();
        }
        session.transaction_begin(TransactionMode::ReadWrite).unwrap();
        let mut there = Vec::new();
        for (number, rule) in rules.iter().enumerate() {
            let number = u8::try_from(number).unwrap();
            let id = session.object_add(Object::Filter(rule.filter(number, v6))).unwrap();
            there.push((id, rule.clone()));
        }
        session.transaction_commit().unwrap();
        for gone in gone {
            if !there.is_empty() {
                let (id, _) = there.remove(gone.index(there.len()));
                session.object_delete(ObjectKind::Filter, ObjectName::Id(id)).unwrap();
            }
        }
        let (ids, rules): (Vec<u64>, Vec<Rule>) = there.into_iter().unzip();
        for packet in &packets {
            let verdict = session.classify(&packet.packet(v6)).unwrap();
            let found = (verdict.filter_id != 0)
                .then_some((verdict.filter_id, verdict.action == ActionType::Block, verdict.is_hard));
            let wanted = naive(&rules, packet).map(|(place, blocks, hard)| (ids[place], blocks, hard));
            prop_assert_eq!(found, wanted, "{:?}", packet);
        }
    }
}

#[test]
fn callouts_permit_what_ipsec_protects_veto_hard_permits_and_may_be_missing() {
    let session = open(&Engine::new());
    let packet = Tuple { local: 1, remote: 2, protocol: 6, local_port: 1, remote_port: 2 }.packet(false);
    let verdict = || session.classify(&packet).unwrap();
    assert_eq!((verdict().action, verdict().filter_id), (ActionType::None, 0));
    for number in 0..2_u8 {
        let sublayer = SubLayer {
            key: key(100 + number),
            name: "s".into(),
            weight: number.into(),
            ..SubLayer::default()
        };
        session.object_add(Object::SubLayer(sublayer)).unwrap();
    }
    session
        .object_add(Object::Callout(Callout {
            key: key(90),
            name: "k".into(),
            layer: layer::OUTBOUND_TRANSPORT_V4,
            ..Callout::default()
        }))
        .unwrap();
    let add = |number, sublayer, flags, action| {
        let filter = Filter { sublayer: key(sublayer), flags, action, ..filter(number) };
        session.object_add(Object::Filter(filter)).unwrap()
    };
    let permit = Action { kind: ActionType::Permit, callout: Guid::default() };
    let hard = add(1, 101, FILTER_CLEAR_ACTION_RIGHT, permit);
    assert_eq!((verdict().action, verdict().is_hard, verdict().filter_id), (ActionType::Permit, true, hard));
    // A filter's block behind a hard permit counts for nothing, a callout's is a veto.
    add(2, 100, 0, Action { kind: ActionType::Block, callout: Guid::default() });
    assert_eq!(verdict().action, ActionType::Permit);
    session.object_delete(ObjectKind::Filter, ObjectName::Key(key(2))).unwrap();
    let missing = Action { kind: ActionType::CalloutTerminating, callout: key(90) };
    add(3, 100, 0, missing.clone());
    assert_eq!((verdict().action, verdict().is_veto), (ActionType::Block, true));
    session.object_delete(ObjectKind::Filter, ObjectName::Key(key(3))).unwrap();
    add(4, 100, FILTER_PERMIT_IF_CALLOUT_UNREGISTERED, missing);
    assert_eq!((verdict().action, verdict().is_veto), (ActionType::Permit, false));
    // A soft block is overridden by a permit behind it.
    for number in [1, 4] {
        session.object_delete(ObjectKind::Filter, ObjectName::Key(key(number))).unwrap();
    }
    add(5, 101, 0, Action { kind: ActionType::CalloutTerminating, callout: key(90) });
    let after = add(6, 100, 0, Action { kind: ActionType::Permit, callout: Guid::default() });
    assert_eq!((verdict().action, verdict().filter_id), (ActionType::Permit, after));
    let two_versions = Packet { destination: Address("::1".parse().unwrap()), ..packet.clone() };
    assert_eq!(code(session.classify(&two_versions)), Code::FWP_E_TRAFFIC_MISMATCH);
}
