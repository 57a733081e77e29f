//! The audit of what was done and denied. A file of its own, and so a process: what collects the events is the process'
//! one subscriber.
#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "a test")]

#[path = "suite/common.rs"]
mod common;
mod connect;

use common::*;
use openwfp_api::*;
use openwfp_engine::Engine;
use openwfp_engine::SessionOptions;
use std::fmt::Debug;
use std::sync::Mutex;
use tracing::field::Field;
use tracing::field::Visit;
use tracing::span;

const OWNER: u32 = 1000;
const OTHER: u32 = 1001;

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
    tracing::subscriber::set_global_default(lines).unwrap();
    let engine = Engine::builder().owner(Sid::unix_user(OWNER)).build();
    let told = {
        let options = SessionOptions::new()
            .principal(Principal::unix(OWNER, &[]))
            .user_name("ann")
            .process(42)
            .origin("unix");
        let session = engine.open_session(options).unwrap();
        let id = complete(&*session, 1);
        session.sa_context_add_outbound(id, bundle(0x2000)).unwrap_err();
        let batch = vec![SaContextStep::Expire(id), SaContextStep::Delete(id)];
        session.sa_context_batch(batch, BatchMode::AllOrNothing).unwrap();
        let other =
            engine.open_session(SessionOptions::new().principal(Principal::unix(OTHER, &[]))).unwrap();
        other.sa_context_delete_by_id(id).unwrap_err();
        let nobody = "D:".parse().unwrap();
        session.set_security_info(Securable::SaDb, SecurityInformation::DACL, &nobody).unwrap();
        let limited =
            complete_with(&*session, 2, &limited(0x1000, Lifetime { packets: 5, ..Lifetime::UNLIMITED }));
        engine.mirror().count(&[CounterUpdate::traffic(limited, Direction::Inbound, 5, 5)]).unwrap();
        std::mem::take(&mut *lines.0.lock().unwrap())
    };
    let who = "session=1 user=S-1-22-1-1000 user_name=\"ann\" process_id=42 origin=\"unix\"";
    let where_ = "local=192.0.2.1 remote=198.51.100.1";
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
    assert!(told[6].contains(where_), "of a context that is gone afterwards: {}", told[6]);
    assert!(
        told[7].contains("outcome=\"ERROR_ACCESS_DENIED\"") && told[7].contains("sa_context=1"),
        "{}",
        told[7]
    );
    assert!(told[8].starts_with("INFO operation=\"IPsecSaDbSetSecurityInfo\""), "{}", told[8]);
    assert!(told[8].contains("object=\"the SA database\""), "{}", told[8]);
    let by_itself = "INFO operation=\"IPsecSaContextDeleteById\" session=0 \
                     sa_context=2 reason=\"volume-limit\" outcome=\"ok\"";
    assert_eq!(told[13..], [by_itself]);
    assert!(!told.iter().any(|line| line.contains("[1, 1, 1") || line.contains("01010101")));

    // Objects, by their keys.
    let session = engine.open_session(SessionOptions::new().principal(Principal::unix(OWNER, &[]))).unwrap();
    let key = Guid::new(1, 2, 3, [4; 8]);
    let provider = object::Provider { key, name: "p".into(), ..object::Provider::default() };
    session.object_add(object::Object::Provider(provider.clone())).unwrap();
    session.object_add(object::Object::Provider(provider)).unwrap_err();
    let told = std::mem::take(&mut *lines.0.lock().unwrap());
    let object = "object=\"00000001-0002-0003-0404-040404040404\"";
    assert!(
        told[0].starts_with("INFO operation=\"FwpmProviderAdd\"") && told[0].contains(object),
        "{}",
        told[0]
    );
    assert!(told[1].contains(object) && told[1].contains("FWP_E_ALREADY_EXISTS"), "{}", told[1]);

    // A key that the engine generates, and an object that is named by its id.
    let context = object::ProviderContext { name: "c".into(), ..object::ProviderContext::default() };
    let id = session.object_add(object::Object::ProviderContext(context)).unwrap();
    let key = match &*session
        .object_get(object::ObjectKind::ProviderContext, object::ObjectName::Id(id))
        .unwrap()
    {
        object::Object::ProviderContext(context) => context.key,
        other => panic!("{other:?}"),
    };
    let denied = engine.open_session(SessionOptions::new().principal(Principal::unix(OTHER, &[]))).unwrap();
    for (by, call, outcome) in [
        (&denied, "FwpmProviderContextDeleteById", "ERROR_ACCESS_DENIED"),
        (&session, "FwpmProviderContextDeleteById", "ok"),
        (&session, "FwpmProviderContextDeleteById", "FWP_E_PROVIDER_CONTEXT_NOT_FOUND"),
    ] {
        drop(by.object_delete(object::ObjectKind::ProviderContext, object::ObjectName::Id(id)));
        let told = lines.0.lock().unwrap().pop().unwrap();
        assert!(told.contains(&format!("operation=\"{call}\"")), "{told}");
        assert!(
            told.contains(&format!("object_id={id} ")) && told.contains(&format!("outcome=\"{outcome}\"")),
            "{told}"
        );
        assert_eq!(
            told.contains(&format!("object=\"{key}\"")),
            outcome != "FWP_E_PROVIDER_CONTEXT_NOT_FOUND",
            "{told}"
        );
    }
    let told = std::mem::take(&mut *lines.0.lock().unwrap());
    assert!(told[0].contains(&format!("object=\"{key}\"")) && told[0].contains("name=\"c\""), "{}", told[0]);

    // What a transaction has undone is told, reading is not.
    session.transaction_begin(TransactionMode::ReadWrite).unwrap();
    session.transaction_abort().unwrap();
    session.transaction_begin(TransactionMode::ReadOnly).unwrap();
    let template = object::template::ObjectTemplate::all(object::ObjectKind::Filter);
    let enumerator = session.object_create_enum(&template).unwrap();
    drop(session.object_enum(enumerator, 10).unwrap().accept());
    session.transaction_commit().unwrap();
    let told = std::mem::take(&mut *lines.0.lock().unwrap());
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].starts_with("INFO operation=\"FwpmTransactionAbort\""), "{}", told[0]);

    // A batch without rights is one line.
    let steps = vec![SaContextStep::Delete(SaContextId(7)); 1000];
    let outcomes = denied.sa_context_batch(steps.clone(), BatchMode::Each).unwrap();
    assert!(
        outcomes
            .iter()
            .all(|outcome| outcome.as_ref().is_err_and(|error| error.code() == Code::ERROR_ACCESS_DENIED))
    );
    assert_eq!(
        denied.sa_context_batch(steps, BatchMode::AllOrNothing).unwrap_err().code(),
        Code::ERROR_ACCESS_DENIED
    );
    let told = std::mem::take(&mut *lines.0.lock().unwrap());
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(told[0].contains("steps=1000 refused=1000 outcome=\"ERROR_ACCESS_DENIED\""), "{}", told[0]);
    let too_many = vec![SaContextStep::Delete(SaContextId(7)); 65_537];
    let error = denied.sa_context_batch(too_many, BatchMode::Each).unwrap_err();
    assert!(error.code() == Code::RPC_S_INVALID_BOUND && error.what().contains("65536"), "{error}");

    // Nobody fills the log with refusals.
    for _ in 0..1000 {
        drop(denied.sa_context_delete_by_id(SaContextId(7)));
    }
    let told = std::mem::take(&mut *lines.0.lock().unwrap());
    assert!(told.len() < 1000, "{}", told.len());
}
