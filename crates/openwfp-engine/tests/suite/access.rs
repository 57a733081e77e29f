//! Who may do what: rights per principal, and security descriptors.
use super::common::*;
use crate::connect::connect;
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
