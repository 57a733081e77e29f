//! Objects: the rules of adding, deleting and referring, a model, events, access, and what SA contexts show of them.
use super::common::*;
use crate::connect::connect;
use openwfp_api::guids::callout;
use openwfp_api::guids::condition;
use openwfp_api::guids::layer;
use openwfp_api::guids::sublayer;
use openwfp_api::object::net_event::*;
use openwfp_api::object::policy::*;
use openwfp_api::object::step::*;
use openwfp_api::object::template::*;
use openwfp_api::object::value::Value;
use openwfp_api::object::*;
use openwfp_api::record::Address;
use openwfp_api::*;
use openwfp_engine::Engine;
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

pub(super) fn key(number: u8) -> Guid {
    Guid::new(number.into(), 7, 7, [7; 8])
}

fn provider(number: u8) -> Object {
    Object::Provider(Provider { key: key(number), name: "p".into(), ..Provider::default() })
}

fn sub_layer(number: u8, weight: u16) -> Object {
    Object::SubLayer(SubLayer { key: key(number), name: "s".into(), weight, ..SubLayer::default() })
}

fn context(number: u8, policy: Policy) -> Object {
    Object::ProviderContext(ProviderContext {
        key: key(number),
        name: "c".into(),
        policy,
        ..ProviderContext::default()
    })
}

pub(super) fn equal(field: Guid, value: Value) -> FilterCondition {
    FilterCondition { field, match_type: MatchType::Equal, value }
}

pub(super) fn net(text: &str) -> Value {
    Value::network(text.parse().unwrap())
}

pub(super) fn filter(number: u8) -> Filter {
    Filter {
        key: key(number),
        name: "f".into(),
        layer: layer::OUTBOUND_TRANSPORT_V4,
        action: Action { kind: ActionType::Permit, callout: Guid::default() },
        ..Filter::default()
    }
}

fn changed(of: impl FnOnce(&mut Filter)) -> Object {
    let mut filter = filter(1);
    of(&mut filter);
    Object::Filter(filter)
}

fn all(session: &dyn Session, template: &ObjectTemplate) -> Vec<Arc<Object>> {
    let id = session.object_create_enum(template).unwrap();
    let mut found = Vec::new();
    loop {
        let page = session.object_enum(id, 7).unwrap().accept();
        found.extend(page.iter().cloned());
        if page.len() < 7 {
            session.destroy_enum(id).unwrap();
            return found;
        }
    }
}

fn own(session: &dyn Session, kind: ObjectKind) -> Vec<Guid> {
    let found = all(session, &ObjectTemplate::all(kind));
    found.iter().map(|object| object.key()).filter(|key| key.data2 == 7).collect()
}

#[test]
fn what_is_added_is_got_by_key_and_by_id_and_deleted_once() {
    let session = open(&Engine::new());
    assert_eq!(session.object_add(provider(1)).unwrap(), 0, "providers have no ids");
    let id = session.object_add(Object::Filter(Filter { provider: Some(key(1)), ..filter(2) })).unwrap();
    let by_id = session.object_get(ObjectKind::Filter, ObjectName::Id(id)).unwrap();
    let by_key = session.object_get(ObjectKind::Filter, ObjectName::Key(key(2))).unwrap();
    assert_eq!(by_id, by_key);
    let got = by_id.as_filter().unwrap();
    assert_eq!((got.id, got.sublayer, got.provider), (id, sublayer::UNIVERSAL, Some(key(1))));
    assert!(got.effective_weight < 1 << 60);
    assert_eq!(code(session.object_add(Object::Filter(filter(2)))), Code::FWP_E_ALREADY_EXISTS);
    let delete = |kind, name| code(session.object_delete(kind, name));
    assert_eq!(delete(ObjectKind::Provider, ObjectName::Key(key(1))), Code::FWP_E_IN_USE);
    assert_eq!(delete(ObjectKind::Filter, ObjectName::Id(id)), Code::ERROR_SUCCESS);
    assert_eq!(delete(ObjectKind::Filter, ObjectName::Id(id)), Code::FWP_E_FILTER_NOT_FOUND);
    assert_eq!(delete(ObjectKind::Provider, ObjectName::Key(key(1))), Code::ERROR_SUCCESS);
    let made = session.object_add(Object::SubLayer(SubLayer { name: "n".into(), ..SubLayer::default() }));
    assert_eq!(made.unwrap(), 0);
    assert!(
        all(&*session, &ObjectTemplate::all(ObjectKind::SubLayer)).iter().all(|s| s.key() != Guid::default())
    );
}

#[test]
fn what_is_built_in_is_there_as_windows_lists_it_and_stays() {
    let session = open(&Engine::new());
    let layers = all(&*session, &ObjectTemplate::all(ObjectKind::Layer));
    assert!(layers.len() > 70, "{}", layers.len());
    for (layer, id) in [
        (layer::INBOUND_TRANSPORT_V4, 12),
        (layer::OUTBOUND_TRANSPORT_V6, 18),
        (layer::IPFORWARD_V4, 8),
        (layer::ALE_AUTH_CONNECT_V6, 50),
        (layer::IPSEC_V4, 89),
        (layer::IKEEXT_V6, 92),
        (layer::IPSEC_KM_DEMUX_V4, 87),
    ] {
        let found = session.object_get(ObjectKind::Layer, ObjectName::Id(id)).unwrap();
        assert_eq!(found.key(), layer);
        let Object::Layer(found) = &*found else { panic!() };
        assert!(!found.fields.is_empty() && found.default_sublayer == sublayer::UNIVERSAL);
    }
    let callouts = all(&*session, &ObjectTemplate::all(ObjectKind::Callout));
    assert!(callouts.iter().any(|object| object.key() == callout::IPSEC_OUTBOUND_TUNNEL_V4));
    for (kind, key) in [
        (ObjectKind::SubLayer, sublayer::IPSEC_TUNNEL),
        (ObjectKind::Callout, callout::IPSEC_INBOUND_TRANSPORT_V6),
        (ObjectKind::Provider, guids::provider::IKEEXT),
    ] {
        assert_eq!(code(session.object_delete(kind, ObjectName::Key(key))), Code::FWP_E_BUILTIN_OBJECT);
    }
    let name = ObjectName::Key(layer::IPSEC_V4);
    assert_eq!(code(session.object_delete(ObjectKind::Layer, name)), Code::FWP_E_BUILTIN_OBJECT);
}

type Wrong = (Code, fn() -> Object);

/// What is wrong with a filter, and its code.
const WRONG: &[Wrong] = &[
    (Code::FWP_E_NULL_DISPLAY_NAME, || changed(|f| f.name.clear())),
    (Code::FWP_E_INVALID_FLAGS, || changed(|f| f.flags = 0x8000)),
    (Code::FWP_E_INVALID_FLAGS, || changed(|f| f.flags = FLAG_PERSISTENT | FILTER_BOOTTIME)),
    (Code::FWP_E_INVALID_FLAGS, || changed(|f| f.flags = FILTER_HAS_PROVIDER_CONTEXT)),
    (Code::FWP_E_LAYER_NOT_FOUND, || changed(|f| f.layer = key(9))),
    (Code::FWP_E_SUBLAYER_NOT_FOUND, || changed(|f| f.sublayer = key(9))),
    (Code::FWP_E_PROVIDER_NOT_FOUND, || changed(|f| f.provider = Some(key(9)))),
    (Code::FWP_E_PROVIDER_CONTEXT_NOT_FOUND, || {
        changed(|f| {
            f.context = FilterContext::ProviderContext(key(9));
            f.flags = FILTER_HAS_PROVIDER_CONTEXT;
        })
    }),
    (Code::FWP_E_CALLOUT_NOT_FOUND, || {
        changed(|f| f.action = Action { kind: ActionType::CalloutTerminating, callout: key(9) })
    }),
    (Code::FWP_E_INVALID_ACTION_TYPE, || changed(|f| f.action.kind = ActionType::Continue)),
    (Code::FWP_E_INVALID_WEIGHT, || changed(|f| f.weight = Value::Uint8(16))),
    (Code::FWP_E_INVALID_WEIGHT, || changed(|f| f.weight = Value::Uint32(1))),
    (Code::FWP_E_INCOMPATIBLE_LAYER, || {
        changed(|f| {
            f.action =
                Action { kind: ActionType::CalloutTerminating, callout: callout::IPSEC_INBOUND_TUNNEL_V4 };
        })
    }),
    (Code::FWP_E_ACTION_INCOMPATIBLE_WITH_LAYER, || {
        changed(|f| {
            f.layer = layer::IKEEXT_V4;
            f.action =
                Action { kind: ActionType::CalloutTerminating, callout: callout::IPSEC_INBOUND_TUNNEL_V4 };
        })
    }),
    (Code::FWP_E_ACTION_INCOMPATIBLE_WITH_SUBLAYER, || changed(|f| f.sublayer = sublayer::INSPECTION)),
    (Code::FWP_E_CONDITION_NOT_FOUND, || {
        changed(|f| f.conditions = vec![equal(condition::IP_SOURCE_ADDRESS, Value::Uint32(1))])
    }),
    (Code::FWP_E_TYPE_MISMATCH, || {
        changed(|f| f.conditions = vec![equal(condition::IP_PROTOCOL, Value::Uint16(6))])
    }),
    (Code::FWP_E_TYPE_MISMATCH, || {
        changed(|f| f.conditions = vec![equal(condition::IP_REMOTE_ADDRESS, net("fe80::/16"))])
    }),
    (Code::FWP_E_TYPE_MISMATCH, || {
        let range = Value::range(Value::Uint16(1), Value::Uint32(2));
        changed(|f| {
            f.conditions = vec![FilterCondition {
                field: condition::IP_REMOTE_PORT,
                match_type: MatchType::Range,
                value: range,
            }];
        })
    }),
    (Code::FWP_E_MATCH_TYPE_MISMATCH, || {
        changed(|f| {
            f.conditions = vec![FilterCondition {
                field: condition::IP_REMOTE_PORT,
                match_type: MatchType::Prefix,
                value: Value::Uint16(2),
            }];
        })
    }),
    (Code::FWP_E_INVALID_RANGE, || {
        changed(|f| {
            f.conditions = vec![FilterCondition {
                field: condition::IP_REMOTE_PORT,
                match_type: MatchType::Range,
                value: Value::range(Value::Uint16(2), Value::Uint16(1)),
            }];
        })
    }),
    (Code::FWP_E_DUPLICATE_CONDITION, || {
        let port = equal(condition::IP_REMOTE_PORT, Value::Uint16(1));
        changed(|f| f.conditions = vec![port.clone(), port])
    }),
];

#[test]
fn what_is_wrong_with_a_filter_has_its_code_and_changes_nothing() {
    let session = open(&Engine::new());
    for (wanted, wrong) in WRONG {
        let object = wrong();
        assert_eq!(code(session.object_add(object.clone())), *wanted, "{object:?}");
    }
    assert_eq!(own(&*session, ObjectKind::Filter), []);
    session.object_add(Object::Filter(filter(1))).unwrap();
    // A callout that takes no provider context.
    session
        .object_add(Object::Callout(Callout {
            key: key(3),
            name: "k".into(),
            layer: layer::OUTBOUND_TRANSPORT_V4,
            ..Callout::default()
        }))
        .unwrap();
    session.object_add(context(4, Policy::default())).unwrap();
    let mismatch = Filter {
        action: Action { kind: ActionType::CalloutTerminating, callout: key(3) },
        context: FilterContext::ProviderContext(key(4)),
        flags: FILTER_HAS_PROVIDER_CONTEXT,
        ..filter(5)
    };
    assert_eq!(code(session.object_add(Object::Filter(mismatch))), Code::FWP_E_PROVIDER_CONTEXT_MISMATCH);
}

#[test]
fn what_lives_longer_cannot_name_what_lives_shorter() {
    let engine = Engine::new();
    let session = open(&engine);
    session.object_add(provider(1)).unwrap();
    let persistent = |number, provider| {
        let flags = FLAG_PERSISTENT;
        Object::SubLayer(SubLayer {
            key: key(number),
            name: "s".into(),
            flags,
            provider,
            ..SubLayer::default()
        })
    };
    assert_eq!(code(session.object_add(persistent(2, Some(key(1))))), Code::FWP_E_LIFETIME_MISMATCH);
    session.object_add(persistent(2, None)).unwrap();
    let dynamic = connect(&engine, SessionOptions::new().dynamic()).unwrap();
    assert_eq!(code(dynamic.object_add(persistent(3, None))), Code::FWP_E_DYNAMIC_SESSION_IN_PROGRESS);
    dynamic.object_add(sub_layer(3, 1)).unwrap();
    let names = |number, sublayer| Object::Filter(Filter { sublayer: key(sublayer), ..filter(number) });
    assert_eq!(code(session.object_add(names(4, 3))), Code::FWP_E_LIFETIME_MISMATCH);
    dynamic.object_add(names(4, 3)).unwrap();
    dynamic.object_add(names(5, 2)).unwrap();
    let another = connect(&engine, SessionOptions::new().dynamic()).unwrap();
    assert_eq!(code(another.object_add(names(6, 3))), Code::FWP_E_WRONG_SESSION);
    let delete =
        |session: &dyn Session, kind, number| code(session.object_delete(kind, ObjectName::Key(key(number))));
    assert_eq!(delete(&*another, ObjectKind::Filter, 4), Code::FWP_E_WRONG_SESSION);
    assert_eq!(delete(&*another, ObjectKind::Provider, 1), Code::FWP_E_DYNAMIC_SESSION_IN_PROGRESS);
    assert_eq!(own(&*session, ObjectKind::Filter), [key(4), key(5)]);
    // A dynamic session's objects go with it, even while another session writes.
    session.transaction_begin(TransactionMode::ReadWrite).unwrap();
    session.object_add(sub_layer(9, 9)).unwrap();
    dynamic.close().unwrap();
    session.transaction_commit().unwrap();
    assert_eq!(own(&*session, ObjectKind::Filter), []);
    assert_eq!(own(&*session, ObjectKind::SubLayer), [key(2), key(9)]);
}

#[test]
fn transactions_show_objects_to_their_session_alone_and_take_them_back() {
    let engine = Engine::new();
    let (session, other) = (open(&engine), open(&engine));
    session.transaction_begin(TransactionMode::ReadWrite).unwrap();
    session.object_add(sub_layer(1, 1)).unwrap();
    session.object_add(Object::Filter(Filter { sublayer: key(1), ..filter(2) })).unwrap();
    assert_eq!(code(session.object_add(Object::Filter(filter(2)))), Code::FWP_E_ALREADY_EXISTS);
    assert_eq!(own(&*session, ObjectKind::Filter), [key(2)]);
    assert_eq!(own(&*other, ObjectKind::Filter), []);
    session.transaction_abort().unwrap();
    assert_eq!(own(&*session, ObjectKind::SubLayer), []);
    session.transaction_begin(TransactionMode::ReadOnly).unwrap();
    assert_eq!(code(session.object_add(sub_layer(1, 1))), Code::FWP_E_INCOMPATIBLE_TXN);
    session.transaction_abort().unwrap();
    let impatient =
        connect(&engine, SessionOptions::new().transaction_wait(Duration::from_millis(20))).unwrap();
    session.transaction_begin(TransactionMode::ReadWrite).unwrap();
    assert_eq!(code(impatient.object_add(sub_layer(1, 1))), Code::FWP_E_TIMEOUT);
    session.object_add(sub_layer(1, 1)).unwrap();
    session.transaction_commit().unwrap();
    assert_eq!(own(&*impatient, ObjectKind::SubLayer), [key(1)]);
}

#[test]
fn subscribers_are_told_of_what_their_template_selects() {
    let engine = Engine::new();
    let session = open(&engine);
    let topic = Topic::Objects(ObjectTemplate {
        layer: Some(layer::OUTBOUND_TRANSPORT_V4),
        ..ObjectTemplate::all(ObjectKind::Filter)
    });
    let mut stream = session.events(&SubscriptionOptions::about(topic.clone())).unwrap();
    session.object_add(sub_layer(1, 1)).unwrap();
    session.object_add(Object::Filter(filter(2))).unwrap();
    session.object_add(Object::Filter(Filter { layer: layer::IKEEXT_V4, ..filter(3) })).unwrap();
    session.object_delete(ObjectKind::Filter, ObjectName::Key(key(2))).unwrap();
    let mut told = Vec::new();
    while let Some(notification) = stream.next(Duration::ZERO).unwrap() {
        let Notification::Object(event) = notification else { panic!("{notification:?}") };
        told.push((event.kind, event.object.key()));
    }
    assert_eq!(told, [(EventKind::Add, key(2)), (EventKind::Delete, key(2))]);
    let listed = session.subscriptions(TopicKind::Objects(ObjectKind::Filter)).unwrap();
    assert_eq!(listed.len(), 1);
    assert_eq!(listed[0].options.topic, topic);
    assert_eq!(session.subscriptions(TopicKind::SaContexts).unwrap(), []);
}

#[test]
fn templates_select_by_provider_layer_action_conditions_and_weight() {
    let session = open(&Engine::new());
    session.object_add(provider(1)).unwrap();
    let with = |number, remote: &str, weight, action| {
        Object::Filter(Filter {
            conditions: vec![equal(condition::IP_REMOTE_ADDRESS, net(remote))],
            weight: Value::Uint64(weight),
            action: Action { kind: action, callout: Guid::default() },
            provider: (number % 2 == 0).then_some(key(1)),
            ..filter(number)
        })
    };
    session.object_add(with(2, "10.0.0.0/8", 5, ActionType::Permit)).unwrap();
    session.object_add(with(3, "10.1.0.0/16", 9, ActionType::Block)).unwrap();
    session.object_add(with(4, "192.0.2.0/24", 7, ActionType::Permit)).unwrap();
    let found = |template: ObjectTemplate| -> Vec<u32> {
        all(&*session, &template).iter().map(|object| object.key().data1).collect()
    };
    let any = || ObjectTemplate {
        layer: Some(layer::OUTBOUND_TRANSPORT_V4),
        ..ObjectTemplate::all(ObjectKind::Filter)
    };
    assert_eq!(found(any()), [2, 3, 4]);
    assert_eq!(found(ObjectTemplate { provider: Some(key(1)), ..any() }), [2, 4]);
    assert_eq!(found(ObjectTemplate { action_mask: Some(1), ..any() }), [3]);
    assert_eq!(found(ObjectTemplate { flags: ENUM_SORTED, ..any() }), [3, 4, 2]);
    assert_eq!(found(ObjectTemplate { flags: ENUM_BEST_TERMINATING_MATCH, ..any() }), [3]);
    assert_eq!(found(ObjectTemplate { after: Some(key(2)), ..any() }), [3, 4]);
    let gone = ObjectTemplate { after: Some(key(9)), ..any() };
    assert_eq!(code(session.object_create_enum(&gone)), Code::FWP_E_FILTER_NOT_FOUND);
    let inside = vec![equal(condition::IP_REMOTE_ADDRESS, net("10.1.2.0/24"))];
    assert_eq!(found(ObjectTemplate { conditions: inside, ..any() }), [2, 3]);
    let across = vec![equal(condition::IP_REMOTE_ADDRESS, net("10.0.0.0/7"))];
    assert_eq!(found(ObjectTemplate { conditions: across.clone(), ..any() }), [0; 0]);
    assert_eq!(found(ObjectTemplate { conditions: across, enum_type: 1, ..any() }), [2, 3]);
}

fn preshared() -> Policy {
    Policy::IkeMm(IkePolicy {
        authentication_methods: vec![AuthenticationMethod {
            method: 0,
            detail: AuthenticationDetail::PresharedKey(PresharedKey { key: Key::new(b"secret"), flags: 0 }),
        }],
        ..IkePolicy::default()
    })
}

#[test]
fn rights_are_asked_on_objects_and_keys_are_a_right_of_their_own() {
    let engine = Engine::builder().owner(Sid::unix_user(1000)).build();
    let of = |uid| connect(&engine, SessionOptions::new().principal(Principal::unix(uid, &[]))).unwrap();
    let (owner, other) = (of(1000), of(1001));
    owner.key_access().unwrap();
    owner.object_add(context(1, preshared())).unwrap();
    let denied = Code::ERROR_ACCESS_DENIED;
    let kind = ObjectKind::ProviderContext;
    let get = |session: &dyn Session| session.object_get(kind, ObjectName::Key(key(1)));
    assert_eq!(code(get(&*other)), denied);
    assert_eq!(code(other.object_add(provider(2))), denied);
    assert_eq!(code(other.object_delete(kind, ObjectName::Key(key(1)))), denied);
    assert_eq!(code(other.object_create_enum(&ObjectTemplate::all(kind))), denied);
    let parts = SecurityInformation::DACL;
    let sddl = "D:(A;;0xa0;;;S-1-22-1-1001)".parse().unwrap();
    owner.set_security_info(Securable::Objects(kind), parts, &sddl).unwrap();
    let seen = get(&*other).unwrap();
    let length = |object: &Object| {
        let Policy::IkeMm(policy) = &object.as_provider_context().unwrap().policy else { panic!() };
        let AuthenticationDetail::PresharedKey(preshared) = &policy.authentication_methods[0].detail else {
            panic!()
        };
        (preshared.key.len(), preshared.key.is_withheld())
    };
    assert_eq!(length(&seen), (6, true));
    assert_eq!(length(&get(&*owner).unwrap()), (6, false));
    assert!(!format!("{seen:?}{:?}", get(&*owner)).contains("secret"));
    // One object may have a descriptor of its own.
    let own = "O:S-1-22-1-1000D:P(A;;0xf0fff;;;S-1-22-1-1000)".parse().unwrap();
    owner.set_object_security_info(kind, key(1), parts, &own).unwrap();
    assert_eq!(code(get(&*other)), denied);
    assert_eq!(all(&*other, &ObjectTemplate::all(kind)).len(), 0, "what may not be read is left out");
    assert_eq!(owner.object_security_info(kind, key(1), parts).unwrap().dacl, own.dacl);
    assert_eq!(code(other.object_security_info(kind, key(1), parts)), denied);
}

#[test]
fn a_tunnel_policy_comes_with_its_filters_and_goes_with_them() {
    let session = open(&Engine::new());
    let tunnel = || TunnelAdd {
        main_mode: Some(ProviderContext {
            key: key(1),
            name: "mm".into(),
            policy: preshared(),
            ..Default::default()
        }),
        tunnel: ProviderContext {
            key: key(2),
            name: "tunnel".into(),
            policy: Policy::Ikev2QmTunnel(TunnelPolicy {
                endpoints: TunnelEndpoints {
                    local: Address("192.0.2.1".parse().unwrap()),
                    remote: Address("192.0.2.2".parse().unwrap()),
                    ..TunnelEndpoints::default()
                },
                ..TunnelPolicy::default()
            }),
            ..ProviderContext::default()
        },
        conditions: vec![
            equal(condition::IP_LOCAL_ADDRESS, net("10.1.0.0/16")),
            equal(condition::IP_REMOTE_ADDRESS, net("10.2.0.0/16")),
        ],
        key_module: Some(guids::keying_module::IKEV2),
        ..TunnelAdd::default()
    };
    let id = session.object_step(ObjectStep::TunnelAdd(Box::new(tunnel()))).unwrap();
    let policy = session.object_get(ObjectKind::ProviderContext, ObjectName::Id(id)).unwrap();
    assert_eq!(policy.key(), key(2));
    let filters = all(&*session, &ObjectTemplate::all(ObjectKind::Filter));
    let layers: Vec<Guid> = filters.iter().map(|object| object.as_filter().unwrap().layer).collect();
    for wanted in [
        layer::IKEEXT_V4,
        layer::IPSEC_V4,
        layer::OUTBOUND_TRANSPORT_V4,
        layer::INBOUND_TRANSPORT_V4,
        layer::IPFORWARD_V4,
    ] {
        assert!(layers.contains(&wanted));
    }
    let again = session.object_step(ObjectStep::TunnelAdd(Box::new(tunnel())));
    assert_eq!(code(again), Code::FWP_E_ALREADY_EXISTS);
    assert_eq!(
        all(&*session, &ObjectTemplate::all(ObjectKind::Filter)).len(),
        filters.len(),
        "all or nothing"
    );
    let packet = packet::Packet {
        source: Address("10.1.0.1".parse().unwrap()),
        destination: Address("10.2.0.1".parse().unwrap()),
        ..packet::Packet::default()
    };
    assert_eq!(session.classify(&packet).unwrap().policy().unwrap().provider_context, Some(key(2)));
    session.object_step(ObjectStep::TunnelDelete(key(2))).unwrap();
    assert_eq!(all(&*session, &ObjectTemplate::all(ObjectKind::Filter)), []);
    assert_eq!(all(&*session, &ObjectTemplate::all(ObjectKind::ProviderContext)), []);
    let gone = session.object_step(ObjectStep::TunnelDelete(key(2)));
    assert_eq!(code(gone), Code::FWP_E_PROVIDER_CONTEXT_NOT_FOUND);
}

#[test]
fn net_events_are_kept_selected_and_told_while_they_are_collected() {
    let session = open(&Engine::new());
    let drop = |remote: &str, spi| NetEvent {
        remote: Some(Address(remote.parse().unwrap())),
        detail: NetEventDetail::IpsecDrop(IpsecDrop { spi, ..IpsecDrop::default() }),
        ..NetEvent::default()
    };
    let topic = Topic::NetEvents(NetEventTemplate {
        conditions: vec![equal(condition::IP_REMOTE_ADDRESS, net("10.0.0.0/8"))],
        ..NetEventTemplate::default()
    });
    let mut stream = session.events(&SubscriptionOptions::about(topic)).unwrap();
    session.net_event_report(drop("10.1.1.1", 1)).unwrap();
    session.net_event_report(drop("192.0.2.1", 2)).unwrap();
    let Some(Notification::Net(event)) = stream.next(Duration::from_secs(10)).unwrap() else { panic!() };
    assert!(matches!(&event.detail, NetEventDetail::IpsecDrop(drop) if drop.spi == 1));
    assert!(event.time.0 > 0);
    assert!(stream.next(Duration::ZERO).unwrap().is_none());
    let listed = |template: &NetEventTemplate| {
        let id = session.net_event_create_enum(template).unwrap();
        session.net_event_enum(id, 9).unwrap().accept().len()
    };
    assert_eq!(listed(&NetEventTemplate::default()), 2);
    assert_eq!(listed(&NetEventTemplate { end: Timestamp(1), ..NetEventTemplate::default() }), 0);
    assert_eq!(session.engine_option(EngineOption::CollectNetEvents).unwrap(), 1);
    session.set_engine_option(EngineOption::CollectNetEvents, 0).unwrap();
    session.net_event_report(drop("10.1.1.1", 3)).unwrap();
    assert_eq!(listed(&NetEventTemplate::default()), 2);
    let out_of_bounds = session.set_engine_option(EngineOption::CollectNetEvents, 2);
    assert_eq!(code(out_of_bounds), Code::FWP_E_OUT_OF_BOUNDS);
}

/// What a keying daemon does, call by call, from engine open to close: IPv4 and IPv6, transport and tunnel.
#[test]
fn a_keying_daemon_finds_every_context_with_the_right_selectors() {
    for (v6, tunnel) in [(false, false), (false, true), (true, false), (true, true)] {
        let engine = Engine::new();
        let session = connect(&engine, SessionOptions::new().name("keying daemon")).unwrap();
        session.object_add(provider(1)).unwrap();
        assert_eq!(code(session.object_add(provider(1))), Code::FWP_E_ALREADY_EXISTS);
        let _events =
            session.events(&SubscriptionOptions::about(Topic::NetEvents(NetEventTemplate::default())));
        let (ours, theirs) = if v6 { ("2001:db8::1", "2001:db8::2") } else { ("192.0.2.1", "192.0.2.2") };
        let (inner, outer) =
            if v6 { ("2001:db8:1::/48", "2001:db8:2::/48") } else { ("10.1.0.0/16", "10.2.0.0/16") };
        let of = |v4: Guid, six: Guid| if v6 { six } else { v4 };
        let policy = TunnelPolicy {
            proposals: vec![IpsecProposal::default()],
            endpoints: TunnelEndpoints {
                local: Address(ours.parse().unwrap()),
                remote: Address(theirs.parse().unwrap()),
                ..TunnelEndpoints::default()
            },
            ..TunnelPolicy::default()
        };
        session.object_add(context(2, Policy::IkeQmTunnel(policy))).unwrap();
        let (out_callout, in_callout) = match tunnel {
            true => (
                of(callout::IPSEC_OUTBOUND_TUNNEL_V4, callout::IPSEC_OUTBOUND_TUNNEL_V6),
                of(callout::IPSEC_INBOUND_TUNNEL_V4, callout::IPSEC_INBOUND_TUNNEL_V6),
            ),
            false => (
                of(callout::IPSEC_OUTBOUND_TRANSPORT_V4, callout::IPSEC_OUTBOUND_TRANSPORT_V6),
                of(callout::IPSEC_INBOUND_TRANSPORT_V4, callout::IPSEC_INBOUND_TRANSPORT_V6),
            ),
        };
        let add = |number, layer, callout| {
            session
                .object_add(Object::Filter(Filter {
                    layer,
                    provider: Some(key(1)),
                    sublayer: if tunnel { sublayer::IPSEC_TUNNEL } else { sublayer::UNIVERSAL },
                    conditions: vec![
                        equal(condition::IP_LOCAL_ADDRESS, net(inner)),
                        equal(condition::IP_REMOTE_ADDRESS, net(outer)),
                        equal(condition::IP_PROTOCOL, Value::Uint8(6)),
                    ],
                    action: Action { kind: ActionType::CalloutTerminating, callout },
                    context: FilterContext::ProviderContext(key(2)),
                    flags: FILTER_HAS_PROVIDER_CONTEXT,
                    ..filter(number)
                }))
                .unwrap()
        };
        let outbound = add(3, of(layer::OUTBOUND_TRANSPORT_V4, layer::OUTBOUND_TRANSPORT_V6), out_callout);
        let inbound = add(4, of(layer::INBOUND_TRANSPORT_V4, layer::INBOUND_TRANSPORT_V6), in_callout);
        let mut new = new(1);
        let endpoints = Endpoints::new(ours.parse().unwrap(), theirs.parse().unwrap()).unwrap();
        new.traffic = Traffic::new(endpoints, if tunnel { Mode::Tunnel } else { Mode::Transport });
        new.filter_id = FilterId(outbound);
        let id = session.sa_context_create(&new).unwrap();
        let request = InboundRequest {
            traffic: new.traffic.clone(),
            filter_id: FilterId(inbound),
            udp_encapsulation: None,
        };
        session.sa_context_set_spi(id, &request, Spi::new(0x1000).unwrap()).unwrap();
        session.sa_context_add_inbound(id, bundle(0x1000)).unwrap();
        session.sa_context_add_outbound(id, bundle(0x2000)).unwrap();
        let context = session.sa_context_by_id(id).unwrap();
        for (direction, filter_id, number) in
            [(Direction::Outbound, outbound, 3), (Direction::Inbound, inbound, 4)]
        {
            let shown = context.transport_filter(direction).unwrap();
            assert_eq!(shown.filter_id(), FilterId(filter_id));
            assert_eq!(shown.object().unwrap().key, key(number));
            assert_eq!(shown.conditions().len(), 3);
        }
        let [selector] = &context.selectors[..] else { panic!("{:?}", context.selectors) };
        assert_eq!(
            (selector.local, selector.remote, selector.protocol),
            (inner.parse().unwrap(), outer.parse().unwrap(), 6)
        );
        // What the SA context uses stays; then all go by their ids.
        let delete = |kind, id| code(session.object_delete(kind, ObjectName::Id(id)));
        assert_eq!(delete(ObjectKind::Filter, outbound), Code::FWP_E_IN_USE);
        session.sa_context_expire(id).unwrap();
        assert_eq!(delete(ObjectKind::Filter, inbound), Code::FWP_E_IN_USE);
        session.sa_context_delete_by_id(id).unwrap();
        assert_eq!(delete(ObjectKind::Filter, outbound), Code::ERROR_SUCCESS);
        assert_eq!(delete(ObjectKind::Filter, inbound), Code::ERROR_SUCCESS);
        session.object_delete(ObjectKind::ProviderContext, ObjectName::Key(key(2))).unwrap();
        session.object_delete(ObjectKind::Provider, ObjectName::Key(key(1))).unwrap();
        session.close().unwrap();
    }
}

/// A policy with its filters at the outbound transport layer, each with these conditions; a context that refers to it.
fn context_of(filters: &[(Guid, Vec<FilterCondition>)]) -> Result<Arc<SaContext>> {
    let engine = Engine::new();
    let session = connect(&engine, SessionOptions::new()).unwrap();
    let policy = session.object_add(context(2, Policy::IkeQmTunnel(TunnelPolicy::default()))).unwrap();
    for (number, (layer, conditions)) in (3..).zip(filters) {
        let callout = match *layer == layer::OUTBOUND_TRANSPORT_V6 {
            true => callout::IPSEC_OUTBOUND_TUNNEL_V6,
            false => callout::IPSEC_OUTBOUND_TUNNEL_V4,
        };
        session
            .object_add(Object::Filter(Filter {
                layer: *layer,
                sublayer: sublayer::IPSEC_TUNNEL,
                conditions: conditions.clone(),
                action: Action { kind: ActionType::CalloutTerminating, callout },
                context: FilterContext::ProviderContext(key(2)),
                flags: FILTER_HAS_PROVIDER_CONTEXT,
                ..filter(number)
            }))
            .unwrap();
    }
    let mut new = new(1);
    new.traffic.mode = Mode::Tunnel;
    let id = session.sa_context_create(&new.filter(FilterId(policy)))?;
    session.sa_context_by_id(id)
}

fn between(local: &str, remote: &str) -> Vec<FilterCondition> {
    vec![equal(condition::IP_LOCAL_ADDRESS, net(local)), equal(condition::IP_REMOTE_ADDRESS, net(remote))]
}

/// With one filter of several, the other networks left in the clear.
#[test]
fn a_context_has_the_selectors_of_all_filters_of_its_policy() {
    let (v4, v6) = (layer::OUTBOUND_TRANSPORT_V4, layer::OUTBOUND_TRANSPORT_V6);
    let context = context_of(&[
        (v4, between("10.1.0.0/24", "10.2.0.0/24")),
        (v4, between("10.1.1.0/24", "10.2.1.0/24")),
        (v6, between("fd01::/64", "fd02::/64")),
        // Twice the same is once.
        (v4, between("10.1.0.0/24", "10.2.0.0/24")),
        (v6, Vec::new()),
    ])
    .unwrap();
    let mut pairs: Vec<String> =
        context.selectors.iter().map(|selector| format!("{} {}", selector.local, selector.remote)).collect();
    pairs.sort();
    assert_eq!(
        pairs,
        ["10.1.0.0/24 10.2.0.0/24", "10.1.1.0/24 10.2.1.0/24", "::/0 ::/0", "fd01::/64 fd02::/64"]
    );
}

/// Whether a packet with a port meets the conditions.
type Accepts = fn(u16) -> bool;

/// Selectors accept the numbers that the conditions accept, no more and no fewer.
#[test]
fn selectors_are_exactly_as_wide_as_the_conditions() {
    let test = |match_type, value| FilterCondition { field: condition::IP_REMOTE_PORT, match_type, value };
    let ports = |low, high| Value::range(Value::Uint16(low), Value::Uint16(high));
    let cases: [(Vec<FilterCondition>, Accepts); 6] = [
        (vec![test(MatchType::Range, ports(1000, 2001))], |port| (1000..=2001).contains(&port)),
        (vec![test(MatchType::NotEqual, Value::Uint16(22))], |port| port != 22),
        (vec![test(MatchType::Less, Value::Uint16(1024))], |port| port < 1024),
        (vec![test(MatchType::Greater, Value::Uint16(65535))], |_| false),
        (vec![test(MatchType::GreaterOrEqual, Value::Uint16(65535))], |port| port == 65535),
        (
            vec![test(MatchType::Equal, Value::Uint16(80)), test(MatchType::Equal, Value::Uint16(443))],
            |port| port == 80 || port == 443,
        ),
    ];
    for (conditions, accepts) in cases {
        let context = context_of(&[(layer::OUTBOUND_TRANSPORT_V4, conditions.clone())]).unwrap();
        for port in (0..=u16::MAX).step_by(7).chain([22, 80, 443, 1000, 1023, 1024, 2001, 2002, 65534, 65535])
        {
            let selected = context.selectors.iter().any(|selector| {
                let SelectorPorts { port: wanted, mask } = selector.remote_port;
                port & mask == wanted & mask
            });
            assert_eq!(selected, accepts(port), "port {port} by {conditions:?}");
        }
    }
    let inexpressible = test(MatchType::FlagsAllSet, Value::Uint16(0x101));
    assert_eq!(
        code(context_of(&[(layer::OUTBOUND_TRANSPORT_V4, vec![inexpressible])])),
        Code::ERROR_NOT_SUPPORTED
    );
}

#[test]
fn a_policy_with_too_many_combinations_is_refused_by_name_instead_of_protecting_nothing() {
    let many: Vec<FilterCondition> =
        (0..1025).map(|number| equal(condition::IP_REMOTE_PORT, Value::Uint16(number))).collect();
    let error = context_of(&[(layer::OUTBOUND_TRANSPORT_V4, many.clone())]).unwrap_err();
    assert_eq!(error.code(), Code::FWP_E_OUT_OF_BOUNDS);
    assert!(error.what().contains("1024") && error.what().contains("1025"), "{error}");
    let context = context_of(&[(layer::OUTBOUND_TRANSPORT_V4, many[..1024].to_vec())]).unwrap();
    assert_eq!(context.selectors.len(), 1024);
}

/// `FwpmIPsecTunnelAdd` with networks of both IP versions protects both, and no other combination.
#[test]
fn a_tunnel_policy_has_filters_for_each_ip_version_of_its_conditions() {
    let layers = |conditions: Vec<FilterCondition>| {
        let engine = Engine::new();
        let session = connect(&engine, SessionOptions::new()).unwrap();
        let Object::ProviderContext(tunnel) = context(2, Policy::IkeQmTunnel(TunnelPolicy::default())) else {
            panic!("a provider context")
        };
        let add = TunnelAdd { tunnel, conditions, ..TunnelAdd::default() };
        session.object_step(ObjectStep::TunnelAdd(Box::new(add)))?;
        let id = session.object_create_enum(&ObjectTemplate::all(ObjectKind::Filter))?;
        let filters = session.object_enum(id, 99)?.accept();
        let mut found: Vec<(Guid, usize)> = filters
            .iter()
            .filter_map(|object| object.as_filter())
            .filter(|filter| {
                [layer::OUTBOUND_TRANSPORT_V4, layer::OUTBOUND_TRANSPORT_V6].contains(&filter.layer)
            })
            .map(|filter| (filter.layer, filter.conditions.len()))
            .collect();
        found.sort();
        Ok::<_, Error>(found)
    };
    let tcp = || equal(condition::IP_PROTOCOL, Value::Uint8(6));
    let both =
        [between("10.1.0.0/24", "10.2.0.0/24"), between("fd01::/64", "fd02::/64"), vec![tcp()]].concat();
    let mut expected = [(layer::OUTBOUND_TRANSPORT_V4, 3), (layer::OUTBOUND_TRANSPORT_V6, 3)];
    expected.sort();
    assert_eq!(layers(both).unwrap(), expected);
    assert_eq!(layers(between("fd01::/64", "fd02::/64")).unwrap(), [(layer::OUTBOUND_TRANSPORT_V6, 2)]);
    assert_eq!(layers(vec![tcp()]).unwrap(), [(layer::OUTBOUND_TRANSPORT_V4, 1)]);
    // A local network of IPv6 without a remote one protects nothing of IPv6.
    let half = [between("10.1.0.0/24", "10.2.0.0/24"), between("fd01::/64", "10.3.0.0/24")].concat();
    assert_eq!(layers(half).unwrap(), [(layer::OUTBOUND_TRANSPORT_V4, 3)]);
    assert_eq!(code(layers(between("fd01::/64", "10.3.0.0/24"))), Code::FWP_E_TRAFFIC_MISMATCH);
}

/// A step of a random program, on eight keys.
#[derive(Clone, Debug)]
enum Step {
    Add(ObjectKind, u8, Option<u8>),
    Delete(ObjectKind, u8),
    Begin,
    Commit,
    Abort,
}

fn step() -> impl Strategy<Value = Step> {
    let kind = prop_oneof![Just(ObjectKind::Provider), Just(ObjectKind::SubLayer), Just(ObjectKind::Filter)];
    prop_oneof![
        6 => (kind.clone(), 1..4_u8, proptest::option::of(1..4_u8)).prop_map(|(kind, key, names)| Step::Add(kind, key, names)),
        4 => (kind, 1..4_u8).prop_map(|(kind, key)| Step::Delete(kind, key)),
        1 => Just(Step::Begin),
        1 => Just(Step::Commit),
        1 => Just(Step::Abort),
    ]
}

/// Plain maps: what is there and what it names.
type Model = BTreeMap<(ObjectKind, u8), Vec<(ObjectKind, u8)>>;

fn in_model(model: &mut Model, step: &Step) -> Code {
    match step {
        Step::Add(kind, number, names) => {
            let uses = match (*kind, names) {
                (ObjectKind::Filter, Some(name)) => vec![(ObjectKind::SubLayer, *name)],
                (ObjectKind::SubLayer, Some(name)) => vec![(ObjectKind::Provider, *name)],
                _ => vec![],
            };
            if model.contains_key(&(*kind, *number)) {
                return Code::FWP_E_ALREADY_EXISTS;
            }
            if let Some((used, _)) = uses.iter().find(|used| !model.contains_key(used)) {
                return used.not_found();
            }
            model.insert((*kind, *number), uses);
        }
        Step::Delete(kind, number) => {
            if !model.contains_key(&(*kind, *number)) {
                return kind.not_found();
            }
            if model.values().any(|uses| uses.contains(&(*kind, *number))) {
                return Code::FWP_E_IN_USE;
            }
            model.remove(&(*kind, *number));
        }
        _ => {}
    }
    Code::ERROR_SUCCESS
}

fn in_engine(session: &dyn Session, step: &Step) -> Code {
    match step {
        Step::Add(kind, number, names) => {
            let name = names.map(key);
            let object = match *kind {
                ObjectKind::Provider => provider(*number),
                ObjectKind::SubLayer => Object::SubLayer(SubLayer {
                    key: key(*number),
                    name: "s".into(),
                    provider: name,
                    ..SubLayer::default()
                }),
                _ => Object::Filter(Filter { sublayer: name.unwrap_or_default(), ..filter(*number) }),
            };
            code(session.object_add(object))
        }
        Step::Delete(kind, number) => code(session.object_delete(*kind, ObjectName::Key(key(*number)))),
        Step::Begin => code(session.transaction_begin(TransactionMode::ReadWrite)),
        Step::Commit => code(session.transaction_commit()),
        Step::Abort => code(session.transaction_abort()),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: programs() / 10, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn random_programs_do_what_the_model_does(steps in proptest::collection::vec(step(), 1..60)) {
        let session = open(&Engine::new());
        let (mut model, mut saved): (Model, Option<Model>) = (Model::new(), None);
        for step in &steps {
            let wanted = match step {
                Step::Begin if saved.is_some() => Code::FWP_E_TXN_IN_PROGRESS,
                Step::Begin => { saved = Some(model.clone()); Code::ERROR_SUCCESS }
                Step::Commit | Step::Abort if saved.is_none() => Code::FWP_E_NO_TXN_IN_PROGRESS,
                Step::Commit => { saved = None; Code::ERROR_SUCCESS }
                Step::Abort => { model = saved.take().unwrap_or_default(); Code::ERROR_SUCCESS }
                other => in_model(&mut model, other),
            };
            prop_assert_eq!(in_engine(&*session, step), wanted, "{:?}", step);
            for kind in [ObjectKind::Provider, ObjectKind::SubLayer, ObjectKind::Filter] {
                let mut found: Vec<u32> = own(&*session, kind).iter().map(|key| key.data1).collect();
                found.sort_unstable();
                let wanted: Vec<u32> =
                    model.keys().filter(|(other, _)| *other == kind).map(|(_, number)| (*number).into()).collect();
                prop_assert_eq!(found, wanted);
            }
        }
    }
}
