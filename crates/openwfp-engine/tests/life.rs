//! The life of an SA context through the API, over a dataplane that notes, fails and waits.
#![allow(clippy::unwrap_used, reason = "a test")]

use openwfp_api::*;
use openwfp_engine::Engine;
use openwfp_engine::SessionOptions;
use std::sync::Arc;
use std::sync::Mutex;

/// Notes what it is asked, and refuses what it is told to.
#[derive(Default)]
struct Notes {
    calls: Mutex<Vec<String>>,
    refuses: Mutex<Option<&'static str>>,
}

impl Notes {
    fn note(&self, call: &str) -> Result {
        if *self.refuses.lock().unwrap() == Some(call) {
            return Err(Error::new(Code::ERROR_NOT_SUPPORTED, "the kernel says: unknown algorithm"));
        }
        self.calls.lock().unwrap().push(call.to_owned());
        Ok(())
    }

    fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.calls.lock().unwrap())
    }
}

impl Dataplane for Notes {
    fn install(&self, context: &SaContext, direction: Direction, keys: &KeyAccess) -> Result {
        let sa = context.details(direction).unwrap().bundle.sas.first();
        assert!(sa.transform.keys().all(|key| key.bytes(keys).len() == 20));
        self.note(match direction {
            Direction::Inbound => "install inbound",
            Direction::Outbound => "install outbound",
        })
    }

    fn update(&self, old: &SaContext, new: &SaContext, direction: Direction, _keys: &KeyAccess) -> Result {
        assert_ne!(old, new);
        self.note(match direction {
            Direction::Inbound => "update inbound",
            Direction::Outbound => "update outbound",
        })
    }

    fn remove(&self, _context: &SaContext, direction: Direction) -> Result {
        self.note(match direction {
            Direction::Inbound => "remove inbound",
            Direction::Outbound => "remove outbound",
        })
    }

    fn refresh_counters(&self, _context: &SaContext) -> Result {
        Ok(())
    }
}

fn traffic(last: u8) -> Traffic {
    Traffic::new(Endpoints::new([192, 0, 2, 1].into(), [198, 51, 100, last].into()).unwrap(), Mode::Tunnel)
}

fn new(last: u8) -> NewSaContext {
    NewSaContext::new(traffic(last)).filter(FilterId(7))
}

fn request(last: u8) -> InboundRequest {
    InboundRequest::new(traffic(last)).filter(FilterId(8))
}

fn spi(value: u32) -> Spi {
    Spi::new(value).unwrap()
}

fn bundle(value: u32) -> SaBundle {
    let aead = Aead { algorithm: AeadAlgorithm::AesGcm, icv_bits: 128, key: Key::new(&[1; 20]) };
    SaBundle::new(SaList::one(Sa { spi: spi(value), transform: Transform::EspAead(aead), linux: None }))
}

fn engine() -> (Arc<Notes>, Engine, Arc<dyn Session>) {
    let notes = Arc::new(Notes::default());
    let engine = Engine::builder().dataplane(Arc::clone(&notes) as Arc<dyn Dataplane>).build();
    let session = engine.open_session(SessionOptions::default()).unwrap();
    (notes, engine, session)
}

#[test]
fn a_context_is_created_completed_listed_and_deleted() {
    let (notes, _engine, session) = engine();
    let id = session.sa_context_create(&new(2)).unwrap();
    session.sa_context_set_spi(id, &request(2), spi(0x1000)).unwrap();
    session.sa_context_set_spi(id, &request(2), spi(0x1001)).unwrap();
    session.sa_context_add_inbound(id, bundle(0x1001)).unwrap();
    let half = session.sa_context_by_id(id).unwrap();
    session.sa_context_add_outbound(id, bundle(0x2000)).unwrap();
    let whole = session.sa_context_by_id(id).unwrap();
    assert_eq!((half.state, whole.state), (SaState::Inbound, SaState::Complete));
    assert!(Arc::ptr_eq(&half.counters, &whole.counters), "all versions count in one place");
    assert!(whole.transport_filter(Direction::Inbound).is_some());
    let options = EnumOptions { spi: Some(spi(0x2000)), ..EnumOptions::default() };
    let found = session.sa_context_create_enum(&options).unwrap();
    assert_eq!(session.sa_context_enum(found, 9).unwrap().accept()[0].id, id);
    session.sa_context_delete_by_id(id).unwrap();
    assert_eq!(session.sa_context_by_id(id).unwrap_err().code(), Code::FWP_E_NOT_FOUND);
    assert_eq!(notes.take(), ["install inbound", "install outbound", "remove outbound", "remove inbound"]);
}

#[test]
fn what_the_dataplane_refuses_has_not_happened_and_can_be_tried_again() {
    let (notes, _engine, session) = engine();
    let id = session.sa_context_create(&new(2)).unwrap();
    session.sa_context_set_spi(id, &request(2), spi(0x1000)).unwrap();
    *notes.refuses.lock().unwrap() = Some("install inbound");
    let error = session.sa_context_add_inbound(id, bundle(0x1000)).unwrap_err();
    assert_eq!(error.code(), Code::ERROR_NOT_SUPPORTED);
    assert!(error.what().contains("unknown algorithm"), "the kernel's own words");
    let context = session.sa_context_by_id(id).unwrap();
    assert_eq!(context.state, SaState::HasSpi { inbound_spi: spi(0x1000) });
    assert!(context.inbound.is_none());
    *notes.refuses.lock().unwrap() = None;
    session.sa_context_add_inbound(id, bundle(0x1000)).unwrap();
    *notes.refuses.lock().unwrap() = Some("remove inbound");
    assert!(session.sa_context_delete_by_id(id).is_err());
    assert!(session.sa_context_by_id(id).is_ok(), "what could not be removed is still there");
}

#[test]
fn an_spi_is_one_contexts_on_a_local_address_until_that_is_gone() {
    let (_notes, _engine, session) = engine();
    let one = session.sa_context_create(&new(2)).unwrap();
    let other = session.sa_context_create(&new(3)).unwrap();
    session.sa_context_set_spi(one, &request(2), spi(0x1000)).unwrap();
    let error = session.sa_context_set_spi(other, &request(3), spi(0x1000)).unwrap_err();
    assert_eq!(error.code(), Code::FWP_E_ALREADY_EXISTS);
    session.sa_context_set_spi(one, &request(2), spi(0x1001)).unwrap();
    session.sa_context_set_spi(other, &request(3), spi(0x1000)).unwrap();
    session.sa_context_delete_by_id(one).unwrap();
    let third = session.sa_context_create(&new(2)).unwrap();
    assert!(third > other, "an id is never given again");
    session.sa_context_set_spi(third, &request(2), spi(0x1001)).unwrap();
}

#[test]
fn an_unknown_id_is_not_found_in_every_call() {
    let (notes, _engine, session) = engine();
    let id = SaContextId(9);
    let outcomes = [
        session.sa_context_set_spi(id, &request(2), spi(0x1000)),
        session.sa_context_add_inbound(id, bundle(0x1000)),
        session.sa_context_add_outbound(id, bundle(0x1000)),
        session.sa_context_delete_by_id(id),
    ];
    for outcome in outcomes {
        assert_eq!(outcome.unwrap_err().code(), Code::FWP_E_NOT_FOUND);
    }
    assert!(notes.take().is_empty());
}

#[test]
fn of_many_calls_on_one_context_at_once_exactly_one_succeeds() {
    let (notes, _engine, session) = engine();
    for round in 0..50 {
        let id = session.sa_context_create(&new(2)).unwrap();
        session.sa_context_set_spi(id, &request(2), spi(0x1000 + round)).unwrap();
        let outcomes: Vec<Result> = std::thread::scope(|scope| {
            let calls: Vec<_> = (0..4)
                .map(|_| scope.spawn(|| session.sa_context_add_inbound(id, bundle(0x1000 + round))))
                .collect();
            calls.into_iter().map(|call| call.join().unwrap()).collect()
        });
        assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 1);
        let failed = outcomes.into_iter().filter_map(Result::err);
        failed.for_each(|error| assert_eq!(error.code(), Code::FWP_E_INCOMPATIBLE_SA_STATE));
        assert_eq!(notes.take(), ["install inbound"]);
    }
}
