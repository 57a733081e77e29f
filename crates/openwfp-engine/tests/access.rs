//! Who may do what: rights per principal, security descriptors, and the audit of what was done and denied.
#![allow(clippy::unwrap_used, reason = "a test")]

mod common;

use common::*;
use openwfp_api::*;
use openwfp_engine::Engine;
use openwfp_engine::SessionOptions;
use std::fmt::Debug;
use std::sync::Arc;
use std::sync::Mutex;
use std::time::Duration;
use tracing::field::Field;
use tracing::field::Visit;
use tracing::span;

const OWNER: u32 = 1000;
const OTHER: u32 = 1001;

fn engine() -> Engine {
    Engine::builder().owner(Sid::unix_user(OWNER)).build()
}

fn session_of(engine: &Engine, uid: u32) -> Arc<dyn Session> {
    engine.open_session(SessionOptions::new().principal(Principal::unix(uid, &[uid]))).unwrap()
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
    assert_eq!(code(other.sa_context_events(&SubscriptionOptions::all())), denied);
    assert_eq!(code(other.sa_context_subscriptions()), denied);
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
    let refused = engine.open_session(options).err().unwrap();
    assert_eq!(refused.code(), Code::ERROR_ACCESS_DENIED);
    assert!(refused.what().contains("OPEN") && refused.what().contains("S-1-22-1-1001"), "{refused}");
}

#[test]
fn kernel_mode_callers_skip_the_checks() {
    let engine = engine();
    set(&*session_of(&engine, OWNER), Securable::Engine, "D:(A;CI;0xf0fff;;;S-1-22-1-1000)").unwrap();
    let options = SessionOptions::new().principal(Principal::unix(OTHER, &[])).kernel_mode();
    let session = engine.open_session(options).unwrap();
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
    let mut stream = other.sa_context_events(&SubscriptionOptions::default()).unwrap();
    let id = complete(&*owner, 1);
    let Some(Notification::Event(event)) = stream.next(Duration::ZERO).unwrap() else { panic!("no event") };
    assert_eq!((event.id, event.context.is_none()), (id, true));
    set(&*owner, Securable::SaDb, "D:").unwrap();
    complete(&*owner, 2);
    assert!(stream.next(Duration::ZERO).unwrap().is_none());
}

/// Collects the audit's events as text, one line each, fields in their order.
#[derive(Default)]
struct Lines(Mutex<Vec<String>>);

struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.0.push_str(&format!("{}={value:?} ", field.name()));
    }
}

impl tracing::Subscriber for &'static Lines {
    fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
        metadata.target() == "openwfp::audit"
    }
    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }
    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}
    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}
    fn event(&self, event: &tracing::Event<'_>) {
        let mut line = Line(format!("{} ", event.metadata().level()));
        event.record(&mut line);
        self.0.lock().unwrap().push(line.0.trim_end().to_owned());
    }
    fn enter(&self, _: &span::Id) {}
    fn exit(&self, _: &span::Id) {}
}

#[test]
fn every_change_and_every_refusal_is_audited_with_stable_fields_and_without_keys() {
    let lines: &'static Lines = Box::leak(Box::default());
    let engine = engine();
    let told = tracing::subscriber::with_default(lines, || {
        let options =
            SessionOptions::new().principal(Principal::unix(OWNER, &[])).user_name("ann").process(42);
        let session = engine.open_session(options).unwrap();
        let id = complete(&*session, 1);
        session.sa_context_add_outbound(id, bundle(0x2000)).unwrap_err();
        let batch = vec![SaContextStep::Expire(id), SaContextStep::Delete(id)];
        session.sa_context_batch(batch, BatchMode::AllOrNothing).unwrap();
        session_of(&engine, OTHER).sa_context_delete_by_id(id).unwrap_err();
        set(&*session, Securable::SaDb, "D:").unwrap();
        let limited =
            complete_with(&*session, 2, &limited(0x1000, Lifetime { packets: 5, ..Lifetime::UNLIMITED }));
        engine.mirror().count(&[CounterUpdate::traffic(limited, Direction::Inbound, 5, 5)]).unwrap();
        std::mem::take(&mut *lines.0.lock().unwrap())
    });
    let who = "session=1 user=S-1-22-1-1000 user_name=\"ann\" process_id=42";
    let where_ = "local=\"192.0.2.1\" remote=\"198.51.100.1\"";
    let ok = |call: &str| format!("INFO operation=\"{call}\" {who} sa_context=1 {where_} outcome=\"ok\"");
    let expected =
        ["Create", "GetSpi", "AddInbound", "AddOutbound"].map(|call| ok(&format!("IPsecSaContext{call}")));
    assert_eq!(told[..4], expected);
    let failed = format!(
        "WARN operation=\"IPsecSaContextAddOutbound\" {who} sa_context=1 {where_} outcome=\"FWP_E_INCOMPATIBLE_SA_STATE\" error="
    );
    assert!(told[4].starts_with(&failed), "{}", told[4]);
    assert!(told[5].contains("IPsecSaContextExpire") && told[6].contains("IPsecSaContextDeleteById"));
    assert!(told[7].starts_with("WARN operation=\"IPsecSaContextDeleteById\" session=2 user=S-1-22-1-1001"));
    assert!(told[7].contains("outcome=\"ERROR_ACCESS_DENIED\""), "{}", told[7]);
    assert!(told[8].starts_with("INFO operation=\"IPsecSaDbSetSecurityInfo\""), "{}", told[8]);
    let by_itself = "INFO operation=\"IPsecSaContextDeleteById\" session=0 user=\"\" user_name=\"\" process_id=0 \
                     sa_context=2 reason=\"Counted\" outcome=\"ok\"";
    assert_eq!(told[13..], [by_itself]);
    assert!(!told.iter().any(|line| line.contains("[1, 1, 1") || line.contains("01010101")));
}
