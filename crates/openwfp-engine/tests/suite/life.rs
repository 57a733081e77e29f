//! The life of an SA context through the API, over a dataplane that notes, fails and waits.
use super::common::*;
use crate::connect::IN_PROCESS;
use openwfp_api::*;
use openwfp_engine::Engine;
use std::sync::Arc;

fn engine() -> (Arc<Notes>, Engine, Arc<dyn Session>) {
    let notes = Arc::new(Notes::default());
    let engine = notes.engine();
    let session = open(&engine);
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
    let one = !IN_PROCESS || Arc::ptr_eq(&half.counters, &whole.counters);
    assert!(one, "all versions count in one place");
    assert!(whole.transport_filter(Inbound).is_some());
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
    for round in 0..if cfg!(miri) { 4 } else { 50 } {
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

#[test]
fn an_spi_that_the_engine_chose_is_unique_and_stays_when_it_is_asked_for_again() {
    let (_notes, _engine, session) = engine();
    let mut seen = std::collections::BTreeSet::new();
    // Under Miri a few will do.
    for last in 1..=if cfg!(miri) { 10 } else { 200 } {
        let (id, spi) = reserved(&*session, last);
        assert!(spi.get() >= 256 && seen.insert(spi));
        let udp = request(last).udp(4500, 61000);
        assert_eq!(session.sa_context_get_spi(id, &udp).unwrap(), spi, "a repeated call gets the same one");
        session.sa_context_add_inbound(id, bundle(spi.get())).unwrap();
        let inbound = session.sa_context_by_id(id).unwrap().inbound.clone().unwrap();
        assert_eq!(inbound.udp_encapsulation.unwrap().remote_port, 61000, "what the last call said counts");
    }
}

#[test]
fn when_all_spis_are_in_use_there_is_an_error_and_one_that_is_freed_is_found() {
    let engine = Engine::builder().spi_range(300..=303).build();
    let session = open(&engine);
    let ids: Vec<_> = (1..=4).map(|last| reserved(&*session, last).0).collect();
    let fifth = session.sa_context_create(&new(5)).unwrap();
    assert_eq!(code(session.sa_context_get_spi(fifth, &request(5))), Code::RPC_E_OUT_OF_RESOURCES);
    session.sa_context_delete_by_id(ids[2]).unwrap();
    assert!((300..=303).contains(&session.sa_context_get_spi(fifth, &request(5)).unwrap().get()));
}

#[test]
fn an_update_reaches_the_dataplane_and_moves_the_context_to_its_new_address() {
    let (notes, _engine, session) = engine();
    let id = complete(&*session, 2);
    notes.take();
    let mut values = (*session.sa_context_by_id(id).unwrap()).clone();
    session.sa_context_update(UpdateFlags::ALL, &values).unwrap();
    assert!(notes.take().is_empty(), "nothing was changed by it");
    let moved = Endpoints::new([192, 0, 2, 77].into(), [203, 0, 113, 9].into()).unwrap();
    values.traffic.endpoints = moved;
    session.sa_context_update(UpdateFlags::TRAFFIC, &values).unwrap();
    assert_eq!(notes.take(), ["update inbound", "update outbound"]);
    let found = |remote: [u8; 4]| {
        let template = ContextTemplate { remote: AddressMatch::Address(remote.into()), ..Default::default() };
        let id = session.sa_context_create_enum(&EnumOptions { template, ..Default::default() }).unwrap();
        session.sa_context_enum(id, 9).unwrap().accept().len()
    };
    assert_eq!((found([198, 51, 100, 2]), found([203, 0, 113, 9])), (0, 1));
    *notes.refuses.lock().unwrap() = Some("update outbound");
    values.traffic.endpoints = traffic(2).endpoints;
    assert_eq!(code(session.sa_context_update(UpdateFlags::TRAFFIC, &values)), Code::ERROR_NOT_SUPPORTED);
    assert_eq!(session.sa_context_by_id(id).unwrap().traffic.endpoints, moved);
    assert_eq!(notes.take(), ["update inbound", "update inbound"], "and the one that was done is taken back");
}

#[test]
fn an_update_to_a_local_address_where_the_spi_is_in_use_is_refused() {
    let (_notes, _engine, session) = engine();
    let elsewhere = Traffic {
        endpoints: Endpoints::new([192, 0, 2, 9].into(), [198, 51, 100, 3].into()).unwrap(),
        ..traffic(3)
    };
    let here = complete(&*session, 2);
    let inbound = session.sa_context_by_id(here).unwrap().inbound.clone().unwrap().bundle.sas.first().spi;
    let there = session.sa_context_create(&NewSaContext::new(elsewhere.clone())).unwrap();
    session.sa_context_set_spi(there, &InboundRequest::new(elsewhere.clone()), inbound).unwrap();
    let mut values = (*session.sa_context_by_id(here).unwrap()).clone();
    values.traffic.endpoints = Endpoints::new([192, 0, 2, 9].into(), [198, 51, 100, 2].into()).unwrap();
    assert_eq!(code(session.sa_context_update(UpdateFlags::TRAFFIC, &values)), Code::FWP_E_ALREADY_EXISTS);
}

#[test]
fn a_batch_of_all_or_nothing_that_fails_has_changed_nothing_and_names_the_step() {
    let (notes, engine, session) = engine();
    let first = complete(&*session, 1);
    notes.take();
    let establish = |last: u8, value: u32| {
        let pair = BundlePair { inbound: bundle(value), outbound: bundle(value) };
        SaContextStep::Establish(new(last), request(last), Box::new(pair))
    };
    let steps = vec![establish(2, 0x3000), SaContextStep::Delete(first), establish(3, 0x3000)];
    let error = session.sa_context_batch(steps.clone(), BatchMode::AllOrNothing).unwrap_err();
    assert_eq!(error.code(), Code::FWP_E_ALREADY_EXISTS);
    assert!(error.what().starts_with("step 3 of the batch"), "{error}");
    assert_eq!((ids(&*session), notes.take()), (vec![first.0], vec![]));

    let outcomes = session.sa_context_batch(steps, BatchMode::Each).unwrap();
    assert_eq!(outcomes.iter().map(Result::is_ok).collect::<Vec<_>>(), [true, true, false]);
    let second = outcomes[0].as_ref().unwrap().id;
    assert_eq!(ids(&*session), [second.0], "each for itself: the first two happened");
    notes.take();

    // The dataplane refuses the last of many: all before it are taken back.
    *notes.refuses.lock().unwrap() = Some("remove inbound");
    let steps = vec![establish(4, 0x4000), SaContextStep::Delete(second)];
    assert_eq!(code(session.sa_context_batch(steps, BatchMode::AllOrNothing)), Code::ERROR_NOT_SUPPORTED);
    assert_eq!(ids(&*session), [second.0]);
    assert_eq!(engine.gauges().sa_contexts, 1);
    *notes.refuses.lock().unwrap() = None;
    let reuse = session.sa_context_batch(vec![establish(5, 0x4000)], BatchMode::AllOrNothing);
    assert!(reuse.unwrap()[0].is_ok(), "the SPI of what did not happen is free");
}

#[test]
fn a_batch_reserves_and_completes_many() {
    let (_notes, _engine, session) = engine();
    let steps = (1..=50).map(|last| SaContextStep::Reserve(new(last), request(last))).collect();
    let reserved = session.sa_context_batch(steps, BatchMode::AllOrNothing).unwrap();
    let complete = reserved.iter().map(|outcome| {
        let outcome = outcome.as_ref().unwrap();
        let pair =
            BundlePair { inbound: bundle(outcome.inbound_spi.unwrap().get()), outbound: bundle(0x9000) };
        SaContextStep::Complete(outcome.id, Box::new(pair))
    });
    session.sa_context_batch(complete.collect(), BatchMode::AllOrNothing).unwrap();
    assert_eq!(session.statistics().unwrap().sas.active, 100);
    let gone = ids(&*session).into_iter().map(|id| SaContextStep::Delete(SaContextId(id))).collect();
    session.sa_context_batch(gone, BatchMode::AllOrNothing).unwrap();
    assert!(ids(&*session).is_empty());
}

use Direction::{Inbound, Outbound};

#[test]
fn single_sas_are_enumerated_inbound_before_outbound_and_by_direction() {
    let (_notes, _engine, session) = engine();
    let both = complete(&*session, 1);
    let (half, inbound) = reserved(&*session, 2);
    session.sa_context_add_inbound(half, bundle(inbound.get())).unwrap();
    let last = complete(&*session, 3);
    let shown = |direction, page: u32| {
        let id = session.sa_create_enum(&SaEnumOptions { direction }).unwrap();
        let mut shown = Vec::new();
        loop {
            let claim = session.sa_enum(id, page).unwrap();
            let entries = claim.accept();
            shown.extend(entries.iter().map(|entry| (entry.context().id, entry.direction())));
            assert!(entries.iter().all(|entry| entry.details().is_some()));
            if entries.len() < page as usize {
                break;
            }
        }
        session.destroy_enum(id).unwrap();
        shown
    };
    let all = [(both, Inbound), (both, Outbound), (half, Inbound), (last, Inbound), (last, Outbound)];
    for page in 1..=6 {
        assert_eq!(shown(None, page), all);
        for direction in [Inbound, Outbound] {
            let expected: Vec<_> = all.into_iter().filter(|entry| entry.1 == direction).collect();
            assert_eq!(shown(Some(direction), page), expected);
        }
    }
    // What is given back comes again, in order.
    let id = session.sa_create_enum(&SaEnumOptions::default()).unwrap();
    assert_eq!(session.sa_enum(id, 3).unwrap().accept_first(1).len(), 1);
    assert_eq!(session.sa_enum(id, 9).unwrap().accept().len(), 4);
    assert_eq!(
        code(session.sa_context_enum(id, 1)),
        Code::ERROR_INVALID_HANDLE,
        "it is no enumerator of contexts"
    );
}
