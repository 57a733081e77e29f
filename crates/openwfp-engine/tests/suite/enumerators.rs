//! The rules of enumerators, each by the words of the documentation.
use crate::connect::IN_PROCESS;
use crate::connect::connect;
use openwfp_api::*;
use openwfp_engine::Engine;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::Mutex;

fn context(number: u32) -> SaContext {
    let remote = std::net::Ipv4Addr::from(0x0A00_0000 + number);
    let endpoints = Endpoints::new([192, 0, 2, 1].into(), remote.into()).unwrap();
    let mut context = SaContext::new(SaContextId(0), Traffic::new(endpoints, Mode::Tunnel));
    context.state = SaState::HasSpi { inbound_spi: Spi::new(256 + number).unwrap() };
    context
}

fn engine_with(count: u32) -> Engine {
    let engine = Engine::new();
    engine.mirror().replace((0..count).map(context).collect(), Completeness::Whole).unwrap();
    engine
}

fn open(engine: &Engine) -> Arc<dyn Session> {
    connect(engine, SessionOptions::default()).unwrap()
}

fn all(session: &dyn Session) -> EnumId {
    session.sa_context_create_enum(&EnumOptions::default()).unwrap()
}

#[test]
fn fewer_entries_than_requested_mean_the_end_and_a_call_after_it_gives_none() {
    let session = open(&engine_with(10));
    let id = all(&*session);
    assert_eq!(session.sa_context_enum(id, 4).unwrap().accept().len(), 4);
    assert_eq!(session.sa_context_enum(id, 4).unwrap().accept().len(), 4);
    assert_eq!(session.sa_context_enum(id, 4).unwrap().accept().len(), 2);
    assert_eq!(session.sa_context_enum(id, 4).unwrap().accept().len(), 0);
    assert_eq!(session.sa_context_enum(id, u32::MAX).unwrap().accept().len(), 0);
}

#[test]
fn no_entries_requested_gives_none_and_moves_nothing() {
    let session = open(&engine_with(3));
    let id = all(&*session);
    assert_eq!(session.sa_context_enum(id, 0).unwrap().accept().len(), 0);
    assert_eq!(session.sa_context_enum(id, u32::MAX).unwrap().accept().len(), 3);
}

#[test]
fn a_page_is_never_short_before_the_end_whatever_the_template_leaves_out() {
    // One in 64 of 100,000 contexts: more than the index collects, so that the walk has to skip.
    let session = open(&engine_with(100_000));
    for network in ["10.0.0.0/8", "10.0.64.0/18", "10.1.0.0/16"] {
        let template = ContextTemplate {
            remote: AddressMatch::Subnet(network.parse().unwrap()),
            ..ContextTemplate::default()
        };
        let expected = (0..100_000).filter(|n| template.matches(&context(*n))).count();
        let options = EnumOptions { template, ..EnumOptions::default() };
        let id = session.sa_context_create_enum(&options).unwrap();
        let mut found = 0;
        loop {
            let page = session.sa_context_enum(id, 1000).unwrap().accept();
            found += page.len();
            if page.len() < 1000 {
                break;
            }
        }
        assert_eq!(found, expected, "{network}");
        assert!(session.sa_context_enum(id, 1).unwrap().accept().is_empty());
    }
}

#[test]
fn an_enumerator_shows_the_database_as_it_was_when_it_was_created() {
    let engine = engine_with(5);
    let session = open(&engine);
    let before = all(&*session);
    engine.mirror().replace((3..9).map(context).collect(), Completeness::Whole).unwrap();
    let after = all(&*session);
    let ids = |id| -> Vec<u64> {
        session.sa_context_enum(id, 100).unwrap().accept().iter().map(|context| context.id.0).collect()
    };
    assert_eq!(ids(before), [1, 2, 3, 4, 5]);
    assert_eq!(ids(after), [4, 5, 6, 7, 8, 9], "what stayed keeps its id, what came gets new ones");
    assert_eq!(session.sa_context_by_id(SaContextId(1)).unwrap_err().code(), Code::FWP_E_NOT_FOUND);
}

#[test]
fn what_is_listed_again_is_the_same_context_with_the_same_counters() {
    use std::sync::atomic::Ordering;
    let engine = engine_with(1);
    let session = open(&engine);
    let before = session.sa_context_by_id(SaContextId(1)).unwrap();
    let listed = context(0);
    listed.counters.inbound.bytes.store(77, Ordering::Relaxed);
    engine.mirror().replace(vec![listed], Completeness::Incomplete("a test".into())).unwrap();
    let after = session.sa_context_by_id(SaContextId(1)).unwrap();
    assert!(!IN_PROCESS || Arc::ptr_eq(&before, &after), "nothing but the counters changed");
    assert_eq!(after.counters.inbound.traffic(), (77, 0));
    assert_eq!(session.completeness().unwrap(), Completeness::Incomplete("a test".into()));
}

#[test]
fn two_threads_on_one_handle_get_every_entry_exactly_once_though_some_give_back() {
    let session = open(&engine_with(20_000));
    let id = all(&*session);
    let seen = Mutex::new(BTreeSet::new());
    std::thread::scope(|scope| {
        for thread in 0..4_u32 {
            let (session, seen) = (&session, &seen);
            scope.spawn(move || {
                let mut round = thread;
                loop {
                    round = round.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    let claim = session.sa_context_enum(id, 1 + round % 50).unwrap();
                    let all_seen = seen.lock().unwrap().len() == 20_000;
                    if claim.entries().is_empty() && all_seen {
                        break;
                    }
                    // Now and then the taker fails and the page goes back.
                    let keep = if round % 7 == 0 { round as usize % 3 } else { usize::MAX };
                    for context in claim.accept_first(keep) {
                        assert!(seen.lock().unwrap().insert(context.id), "{} twice", context.id);
                    }
                }
            });
        }
    });
    assert_eq!(seen.into_inner().unwrap().len(), 20_000);
}

#[test]
fn an_enumerator_of_another_session_is_wrong_session_and_others_are_invalid_handles() {
    let engine = engine_with(1);
    let (one, other) = (open(&engine), open(&engine));
    let id = all(&*one);
    assert_eq!(other.sa_context_enum(id, 1).unwrap_err().code(), Code::FWP_E_WRONG_SESSION);
    assert_eq!(other.destroy_enum(id).unwrap_err().code(), Code::FWP_E_WRONG_SESSION);
    let never = EnumId { serial: id.serial + 1, ..id };
    assert_eq!(one.sa_context_enum(never, 1).unwrap_err().code(), Code::ERROR_INVALID_HANDLE);
    let nowhere = EnumId { session: SessionNumber(999), serial: 1 };
    assert_eq!(one.sa_context_enum(nowhere, 1).unwrap_err().code(), Code::ERROR_INVALID_HANDLE);
    one.destroy_enum(id).unwrap();
    assert_eq!(one.sa_context_enum(id, 1).unwrap_err().code(), Code::ERROR_INVALID_HANDLE);
    assert_eq!(one.destroy_enum(id).unwrap_err().code(), Code::ERROR_INVALID_HANDLE);
    assert_ne!(all(&*one), id, "an id is never used again");
    assert_eq!(EnumId::from_bits(id.to_bits()), id);
}

#[test]
fn a_closed_session_is_an_invalid_handle_and_its_enumerators_are_gone() {
    let engine = engine_with(1);
    let (one, other) = (open(&engine), open(&engine));
    let id = all(&*one);
    one.close().unwrap();
    assert_eq!(one.close().unwrap_err().code(), Code::ERROR_INVALID_HANDLE);
    assert_eq!(one.sa_context_enum(id, 1).unwrap_err().code(), Code::ERROR_INVALID_HANDLE);
    let create = one.sa_context_create_enum(&EnumOptions::default());
    assert_eq!(create.unwrap_err().code(), Code::ERROR_INVALID_HANDLE);
    assert_eq!(one.sa_context_by_id(SaContextId(1)).unwrap_err().code(), Code::ERROR_INVALID_HANDLE);
    // The session that owned it is gone, so the handle is no other session's any more.
    assert_eq!(other.sa_context_enum(id, 1).unwrap_err().code(), Code::ERROR_INVALID_HANDLE);
}

#[test]
fn a_claim_outlives_its_enumerator_and_its_session() {
    let engine = engine_with(3);
    let session = open(&engine);
    let id = all(&*session);
    let claim = session.sa_context_enum(id, 2).unwrap();
    session.destroy_enum(id).unwrap();
    drop(session);
    drop(engine);
    assert_eq!(claim.accept().len(), 2);
}

#[test]
fn there_is_a_limit_of_open_enumerators_and_closing_one_makes_room() {
    let session = open(&engine_with(1));
    let first = all(&*session);
    for _ in 1..SessionOptions::ENUMERATORS_MAX {
        all(&*session);
    }
    let error = session.sa_context_create_enum(&EnumOptions::default()).unwrap_err();
    assert_eq!(error.code(), Code::RPC_E_OUT_OF_RESOURCES);
    session.destroy_enum(first).unwrap();
    all(&*session);
}
