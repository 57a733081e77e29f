//! Who may do what: rights per principal, and security descriptors.
use super::common::*;
use super::objects::equal;
use super::objects::filter;
use super::objects::key;
use super::objects::net;
use crate::connect::connect;
use openwfp_api::guids::condition;
use openwfp_api::object::net_event::NetEventTemplate;
use openwfp_api::object::policy::*;
use openwfp_api::object::step::*;
use openwfp_api::object::template::ObjectTemplate;
use openwfp_api::object::value::Value;
use openwfp_api::object::*;
use openwfp_api::record::Address;
use openwfp_api::*;
use openwfp_engine::Engine;
use std::sync::Arc;
use std::time::Duration;

const OWNER: u32 = 1000;
const OTHER: u32 = 1001;

fn engine() -> Engine {
    Engine::builder().owner(Sid::unix_user(OWNER)).build()
}

fn session_of(engine: &Engine, uid: u32) -> Arc<dyn Session> {
    connect(engine, SessionOptions::new().principal(Principal::unix(uid, &[uid]))).unwrap()
}

fn set(session: &dyn Session, of: Securable, sddl: &str) -> Result {
    session.set_security_info(of, SecurityInformation::DACL, &sddl.parse().unwrap())
}

#[test]
fn by_default_the_owner_and_root_may_do_everything_and_others_open_only() {
    let engine = engine();
    for uid in [OWNER, 0] {
        let session = session_of(&engine, uid);
        complete(&*session, 1);
        session.key_access().unwrap();
        session.statistics().unwrap();
    }
    let other = session_of(&engine, OTHER);
    let denied = Code::ERROR_ACCESS_DENIED;
    assert_eq!(code(other.sa_context_create_enum(&EnumOptions::default())), denied);
    assert_eq!(code(other.sa_context_by_id(SaContextId(1))), denied);
    assert_eq!(code(other.sa_context_create(&new(1))), denied);
    assert_eq!(code(other.sa_context_expire(SaContextId(1))), denied);
    assert_eq!(code(other.sa_context_delete_by_id(SaContextId(1))), denied);
    assert_eq!(code(other.events(&SubscriptionOptions::all())), denied);
    assert_eq!(code(other.subscriptions(TopicKind::SaContexts)), denied);
    assert_eq!(code(other.session_create_enum()), denied);
    assert_eq!(code(other.transaction_begin(TransactionMode::ReadOnly)), denied);
    assert_eq!(code(other.transaction_begin(TransactionMode::ReadWrite)), denied);
    assert_eq!(code(other.statistics()), denied);
    assert_eq!(code(other.key_access()), denied);
    assert_eq!(code(other.security_info(Securable::SaDb, SecurityInformation::ALL)), denied);
    assert_eq!(code(set(&*other, Securable::SaDb, "D:(A;;0xf0fff;;;WD)")), denied);
    assert_eq!(ids(&*session_of(&engine, OWNER)), [1, 2], "and nothing was changed");
    other.info().unwrap();
    other.close().unwrap();
}

#[test]
fn rights_count_as_of_now_and_without_open_there_is_no_session() {
    let engine = engine();
    let (owner, other) = (session_of(&engine, OWNER), session_of(&engine, OTHER));
    complete(&*owner, 1);
    let grant = |sddl: &str| set(&*owner, Securable::SaDb, sddl).unwrap();
    grant("D:(A;;0xa0;;;S-1-22-2-1001)");
    let list = other.sa_context_create_enum(&EnumOptions::default()).unwrap();
    assert_eq!(other.sa_context_by_id(SaContextId(1)).unwrap().id.0, 1);
    assert_eq!(code(other.key_access()), Code::ERROR_ACCESS_DENIED, "keys are a right of their own");
    grant("D:(A;;0x80;;;S-1-22-2-1001)");
    assert_eq!(code(other.sa_context_enum(list, 1)), Code::ERROR_ACCESS_DENIED, "taken back meanwhile");
    other.destroy_enum(list).unwrap();

    set(&*owner, Securable::Engine, "D:(A;CI;0xf0fff;;;S-1-22-1-1000)").unwrap();
    let options = SessionOptions::new().principal(Principal::unix(OTHER, &[OTHER]));
    let refused = connect(&engine, options).err().unwrap();
    assert_eq!(refused.code(), Code::ERROR_ACCESS_DENIED);
    assert!(refused.what().contains("OPEN") && refused.what().contains("S-1-22-1-1001"), "{refused}");
}

/// Who may add provider contexts, but no filters, adds none with a tunnel policy either.
#[test]
fn a_call_that_adds_several_objects_needs_the_right_for_each() {
    let engine = engine();
    let (owner, other) = (session_of(&engine, OWNER), session_of(&engine, OTHER));
    let count = |kind| {
        let enumerator = owner.object_create_enum(&ObjectTemplate::all(kind)).unwrap();
        owner.object_enum(enumerator, 10_000).unwrap().accept().len()
    };
    let kinds = [ObjectKind::ProviderContext, ObjectKind::Filter];
    let before = kinds.map(count);
    let grant = |kind, sddl: &str| set(&*owner, Securable::Objects(kind), sddl).unwrap();
    for kind in [ObjectKind::ProviderContext, ObjectKind::SubLayer, ObjectKind::Layer, ObjectKind::Callout] {
        grant(kind, "D:(A;;0xf0fff;;;S-1-22-1-1001)");
    }
    let tunnel = || {
        let local = ["192.0.2.1", "192.0.2.2"].map(|text| text.parse().unwrap());
        let endpoints =
            TunnelEndpoints { local: Address(local[0]), remote: Address(local[1]), ..Default::default() };
        let policy = Policy::Ikev2QmTunnel(TunnelPolicy { endpoints, ..Default::default() });
        let tunnel = ProviderContext { name: "tunnel".into(), policy, ..Default::default() };
        let conditions = vec![equal(condition::IP_REMOTE_ADDRESS, net("10.2.0.0/16"))];
        ObjectStep::TunnelAdd(Box::new(TunnelAdd { tunnel, conditions, ..Default::default() }))
    };
    let refused = other.object_step(tunnel()).unwrap_err();
    assert_eq!(refused.code(), Code::ERROR_ACCESS_DENIED, "{refused}");
    assert!(refused.what().contains("ADD") && refused.what().contains("filter"), "{refused}");
    assert_eq!(kinds.map(count), before);
    grant(ObjectKind::Filter, "D:(A;;0x3;;;S-1-22-1-1001)");
    other.object_step(tunnel()).unwrap();
    assert!(count(ObjectKind::Filter) > before[1]);
}

/// A user who may add objects gives one an access list that names nobody else.
#[test]
fn nothing_can_be_hidden_from_root() {
    let engine = engine();
    let (owner, other, root) =
        (session_of(&engine, OWNER), session_of(&engine, OTHER), session_of(&engine, 0));
    let kind = ObjectKind::Filter;
    set(&*owner, Securable::Engine, "D:(A;CI;0xf0fff;;;S-1-22-1-1000)(A;CI;0xf0fff;;;S-1-22-1-1001)")
        .unwrap();
    let security = "O:S-1-22-1-1001D:P(A;;0xf0fff;;;S-1-22-1-1001)".parse().ok();
    let hide = |number| {
        let object = Object::Filter(filter(number));
        other
            .object_step(ObjectStep::Add(Box::new(ObjectAdd { object, security: security.clone() })))
            .unwrap();
    };
    (1..=2).for_each(hide);
    assert_eq!(code(owner.object_get(kind, ObjectName::Key(key(1)))), Code::ERROR_ACCESS_DENIED);
    // Also where root is named nowhere, it sees and deletes the filter.
    let enumerator = root.object_create_enum(&ObjectTemplate::all(kind)).unwrap();
    let seen: Vec<Guid> =
        root.object_enum(enumerator, 10_000).unwrap().accept().iter().map(|object| object.key()).collect();
    assert!(seen.contains(&key(1)) && seen.contains(&key(2)));
    root.object_get(kind, ObjectName::Key(key(1))).unwrap();
    root.object_delete(kind, ObjectName::Key(key(1))).unwrap();
    assert_eq!(code(other.object_get(kind, ObjectName::Key(key(1)))), Code::FWP_E_FILTER_NOT_FOUND);
    // Or it takes the ownership, which lets it change the access list.
    let read = root.object_security_info(kind, key(2), SecurityInformation::ALL).unwrap();
    assert_eq!(read.owner, Some(Sid::unix_user(OTHER)));
    let list: SecurityDescriptor = "O:S-1-22-1-0D:(A;;0xf0fff;;;S-1-22-1-0)".parse().unwrap();
    let change = |parts| root.set_object_security_info(kind, key(2), parts, &list);
    assert_eq!(code(change(SecurityInformation::DACL)), Code::ERROR_ACCESS_DENIED);
    change(SecurityInformation::OWNER).unwrap();
    change(SecurityInformation::DACL).unwrap();
    assert_eq!(code(other.object_get(kind, ObjectName::Key(key(2)))), Code::ERROR_ACCESS_DENIED);
    // So it does with the engine as a whole. Keys are no part of it.
    assert_eq!(code(root.key_access()), Code::ERROR_ACCESS_DENIED);
    assert_eq!(code(set(&*root, Securable::Engine, "D:")), Code::ERROR_ACCESS_DENIED);
    root.set_security_info(Securable::Engine, SecurityInformation::OWNER, &list).unwrap();
    set(&*root, Securable::Engine, "D:(A;CI;0xf0fff;;;S-1-22-1-0)").unwrap();
    root.key_access().unwrap();
}

/// What a client may not do costs the engine nothing, however much it sends; what it may do has a limit that the error names.
#[test]
fn rights_come_before_long_arguments_and_limits_before_work() {
    let engine = engine();
    let (owner, other) = (session_of(&engine, OWNER), session_of(&engine, OTHER));
    let conditions = |count: u32| {
        let one = |number| equal(Guid::new(number, 0, 0, [0; 8]), Value::Uint32(number));
        (0..count).map(one).collect::<Vec<_>>()
    };
    let of_filters =
        |count| ObjectTemplate { conditions: conditions(count), ..ObjectTemplate::all(ObjectKind::Filter) };
    let of_events = |count| NetEventTemplate { conditions: conditions(count), ..Default::default() };
    let topics = |count| [Topic::Objects(of_filters(count)), Topic::NetEvents(of_events(count))];
    let follow = |session: &dyn Session, topic| {
        session.events(&SubscriptionOptions { topic, ..SubscriptionOptions::all() }).map(drop)
    };
    let denied = Code::ERROR_ACCESS_DENIED;
    assert_eq!(code(other.object_create_enum(&of_filters(20_000))), denied);
    assert_eq!(code(other.net_event_create_enum(&of_events(20_000))), denied);
    topics(20_000).into_iter().for_each(|topic| assert_eq!(code(follow(&*other, topic)), denied));
    let bound = |result: Result, limit: &str| {
        let error = result.unwrap_err();
        assert_eq!(error.code(), Code::RPC_S_INVALID_BOUND, "{error}");
        assert!(error.what().contains("filterCondition") && error.what().contains(limit), "{error}");
    };
    bound(owner.object_create_enum(&of_filters(1025)).map(drop), "1024");
    bound(owner.net_event_create_enum(&of_events(1025)).map(drop), "1024");
    topics(1025).into_iter().for_each(|topic| bound(follow(&*owner, topic), "1024"));
    let mut long = filter(9);
    long.conditions = conditions(16_385);
    bound(owner.object_add(Object::Filter(long)).map(drop), "16384");
    // At the limit they work.
    owner.object_create_enum(&of_filters(1024)).unwrap();
    owner.net_event_create_enum(&of_events(1024)).unwrap();
    topics(1024).into_iter().for_each(|topic| follow(&*owner, topic).unwrap());
    let endless = SubscriptionOptions { queue_length: usize::MAX, ..SubscriptionOptions::all() };
    let error = owner.events(&endless).err().unwrap();
    assert!(error.code() == Code::RPC_S_INVALID_BOUND && error.what().contains("1048576"), "{error}");
}

#[test]
fn kernel_mode_callers_skip_the_checks() {
    let engine = engine();
    set(&*session_of(&engine, OWNER), Securable::Engine, "D:(A;CI;0xf0fff;;;S-1-22-1-1000)").unwrap();
    let options = SessionOptions::new().principal(Principal::unix(OTHER, &[])).kernel_mode();
    let session = connect(&engine, options).unwrap();
    assert!(session.info().unwrap().kernel_mode);
    complete(&*session, 1);
    session.key_access().unwrap();
}

#[test]
fn descriptors_are_read_and_set_by_their_parts_and_inherited_from_the_engine() {
    let engine = engine();
    let owner = session_of(&engine, OWNER);
    let read = |of| owner.security_info(of, SecurityInformation::ALL).unwrap();
    let bytes = read(Securable::SaDb).to_bytes().unwrap();
    assert_eq!(SecurityDescriptor::parse(&bytes).unwrap(), read(Securable::SaDb));
    assert!(owner.security_info(Securable::SaDb, SecurityInformation::OWNER).unwrap().dacl.is_none());
    let everything = "(A;CI;0xf0fff;;;S-1-22-1-1000)";
    set(&*owner, Securable::Engine, &format!("D:{everything}(A;CI;0x1a0;;;WD)")).unwrap();
    let inherited = "(A;CIID;0xf0fff;;;S-1-22-1-1000)(A;CIID;0x1a0;;;WD)";
    assert_eq!(read(Securable::SaDb).to_sddl(), format!("O:S-1-22-1-1000D:AI{inherited}"));
    let group = SecurityDescriptor { group: Some(Sid::unix_group(5)), ..SecurityDescriptor::default() };
    owner.set_security_info(Securable::SaDb, SecurityInformation::GROUP, &group).unwrap();
    assert_eq!(read(Securable::SaDb).group, Some(Sid::unix_group(5)));
    let nobody = owner.set_security_info(Securable::SaDb, SecurityInformation::OWNER, &group);
    assert_eq!(code(nobody), Code::FWP_E_NULL_POINTER);

    // Whoever may change the access list may not take the object over.
    set(&*owner, Securable::SaDb, "D:(A;;0x60000;;;S-1-22-1-1001)").unwrap();
    let other = {
        set(&*owner, Securable::Engine, &format!("D:{everything}(A;;0x40;;;WD)")).unwrap();
        session_of(&engine, OTHER)
    };
    let mine = SecurityDescriptor { owner: Some(Sid::unix_user(OTHER)), ..SecurityDescriptor::default() };
    let takes = other.set_security_info(Securable::SaDb, SecurityInformation::OWNER, &mine);
    assert_eq!(code(takes), Code::ERROR_ACCESS_DENIED);
    set(&*other, Securable::SaDb, "D:(A;;0x600e0;;;S-1-22-1-1001)").unwrap();
    assert!(ids(&*other).is_empty());
}

#[test]
fn a_subscriber_without_read_gets_no_context_and_one_without_subscribe_nothing() {
    let engine = engine();
    let owner = session_of(&engine, OWNER);
    set(&*owner, Securable::SaDb, "D:(A;;0x200;;;S-1-22-1-1001)").unwrap();
    let other = session_of(&engine, OTHER);
    let mut stream = other.events(&SubscriptionOptions::default()).unwrap();
    let id = complete(&*owner, 1);
    let Some(Notification::Event(event)) = stream.next(Duration::ZERO).unwrap() else { panic!("no event") };
    assert_eq!((event.id, event.context.is_none()), (id, true));
    set(&*owner, Securable::SaDb, "D:").unwrap();
    complete(&*owner, 2);
    assert!(stream.next(Duration::ZERO).unwrap().is_none());
}
