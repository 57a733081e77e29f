//! Sessions and transactions, each rule by the words of the documentation.
use super::common::*;
use crate::connect::connect;
use TransactionMode::ReadOnly;
use TransactionMode::ReadWrite;
use openwfp_api::*;
use openwfp_engine::Engine;
use openwfp_engine::ManualClock;
use std::sync::Arc;
use std::sync::mpsc;
use std::time::Duration;

fn impatient(engine: &Engine) -> Arc<dyn Session> {
    connect(engine, SessionOptions::new().transaction_wait(Duration::from_millis(1))).unwrap()
}

#[test]
fn a_session_has_one_transaction_and_its_end_needs_one() {
    let session = open(&Engine::new());
    assert_eq!(code(session.transaction_commit()), Code::FWP_E_NO_TXN_IN_PROGRESS);
    assert_eq!(code(session.transaction_abort()), Code::FWP_E_NO_TXN_IN_PROGRESS);
    for mode in [ReadOnly, ReadWrite] {
        session.transaction_begin(mode).unwrap();
        assert_eq!(code(session.transaction_begin(ReadOnly)), Code::FWP_E_TXN_IN_PROGRESS);
        assert_eq!(code(session.transaction_begin(ReadWrite)), Code::FWP_E_TXN_IN_PROGRESS);
        assert_eq!(code(session.session_create_enum()), Code::FWP_E_TXN_IN_PROGRESS);
        session.transaction_commit().unwrap();
        assert_eq!(code(session.transaction_commit()), Code::FWP_E_NO_TXN_IN_PROGRESS);
    }
}

#[test]
fn a_reader_inside_sees_its_own_version_and_others_the_last_committed_one() {
    let engine = Engine::new();
    let (writer, other) = (open(&engine), open(&engine));
    let (id, inbound) = reserved(&*writer, 1);
    writer.transaction_begin(ReadWrite).unwrap();
    writer.sa_context_add_inbound(id, bundle(inbound.get())).unwrap();
    let state = |session: &dyn Session| session.sa_context_by_id(id).unwrap().state;
    assert_eq!(state(&*writer), SaState::Inbound);
    assert!(matches!(state(&*other), SaState::HasSpi { .. }));
    let seen = |session: &dyn Session| {
        let sas = session.sa_create_enum(&SaEnumOptions::default()).unwrap();
        session.sa_enum(sas, 9).unwrap().accept().len()
    };
    assert_eq!((seen(&*writer), seen(&*other)), (1, 0), "enumerators too");
    writer.sa_context_add_outbound(id, bundle(0x2000)).unwrap();
    writer.transaction_commit().unwrap();
    assert_eq!(state(&*other), SaState::Complete);

    other.transaction_begin(ReadOnly).unwrap();
    writer.sa_context_delete_by_id(id).unwrap();
    assert_eq!(state(&*other), SaState::Complete, "a read-only transaction stays with its version");
    other.transaction_commit().unwrap();
    assert_eq!(code(other.sa_context_by_id(id)), Code::FWP_E_NOT_FOUND);
}

#[test]
fn abort_drops_what_was_written_and_a_failed_call_leaves_the_transaction_as_it_was() {
    let engine = Engine::new();
    let session = open(&engine);
    let (id, inbound) = reserved(&*session, 1);
    session.transaction_begin(ReadWrite).unwrap();
    session.sa_context_add_inbound(id, bundle(inbound.get())).unwrap();
    assert_eq!(code(session.sa_context_add_inbound(id, bundle(1000))), Code::FWP_E_INCOMPATIBLE_SA_STATE);
    let steps = vec![SaContextStep::AddOutbound(id, bundle(0x2000)), SaContextStep::Expire(SaContextId(99))];
    assert_eq!(code(session.sa_context_batch(steps, BatchMode::AllOrNothing)), Code::FWP_E_NOT_FOUND);
    assert_eq!(session.sa_context_by_id(id).unwrap().state, SaState::Inbound);
    session.transaction_abort().unwrap();
    assert_eq!(session.sa_context_by_id(id).unwrap().state, SaState::HasSpi { inbound_spi: inbound });
    // An SPI that only the aborted transaction had is free again.
    session.transaction_begin(ReadWrite).unwrap();
    session.sa_context_set_spi(id, &request(1), spi(0x7000)).unwrap();
    session.sa_context_set_spi(id, &request(1), spi(0x7001)).unwrap();
    session.transaction_abort().unwrap();
    let other = session.sa_context_create(&new(2)).unwrap();
    for free in [0x7000, 0x7001] {
        session.sa_context_set_spi(other, &request(2), spi(free)).unwrap();
    }
    assert_eq!(code(session.sa_context_set_spi(other, &request(2), inbound)), Code::FWP_E_ALREADY_EXISTS);
}

#[test]
fn the_dataplane_is_called_at_the_commit_for_all_or_nothing() {
    let notes = Arc::new(Notes::default());
    let engine = notes.engine();
    let session = open(&engine);
    let (first, one) = reserved(&*session, 1);
    let (second, other) = reserved(&*session, 2);
    let write = || {
        session.transaction_begin(ReadWrite).unwrap();
        session.sa_context_add_inbound(first, bundle(one.get())).unwrap();
        session.sa_context_add_inbound(second, bundle(other.get())).unwrap();
        session.sa_context_add_outbound(second, bundle(0x2000)).unwrap();
        assert!(notes.take().is_empty());
    };
    write();
    *notes.refuses.lock().unwrap() = Some("install outbound");
    assert_eq!(code(session.transaction_commit()), Code::ERROR_NOT_SUPPORTED);
    let taken_back = ["install inbound", "install inbound", "remove inbound", "remove inbound"];
    assert_eq!(notes.take(), taken_back);
    assert_eq!(code(session.transaction_abort()), Code::FWP_E_NO_TXN_IN_PROGRESS, "it has ended");
    assert!(session.sa_context_by_id(first).unwrap().inbound.is_none());
    *notes.refuses.lock().unwrap() = None;
    write();
    session.transaction_commit().unwrap();
    assert_eq!(notes.take(), ["install inbound", "install inbound", "install outbound"]);
    assert_eq!(session.sa_context_by_id(second).unwrap().state, SaState::Complete);
}

#[test]
fn a_write_in_a_read_only_transaction_is_incompatible_and_some_calls_are_not_for_transactions() {
    let engine = Engine::new();
    let session = open(&engine);
    let id = complete(&*session, 1);
    session.transaction_begin(ReadOnly).unwrap();
    assert_eq!(code(session.sa_context_expire(id)), Code::FWP_E_INCOMPATIBLE_TXN);
    assert_eq!(code(session.sa_context_create(&new(2))), Code::FWP_E_TXN_IN_PROGRESS);
    session.transaction_abort().unwrap();
    session.transaction_begin(ReadWrite).unwrap();
    assert_eq!(code(session.sa_context_create(&new(2))), Code::FWP_E_TXN_IN_PROGRESS);
    assert_eq!(code(session.sa_context_delete_by_id(id)), Code::FWP_E_TXN_IN_PROGRESS);
    let options = SubscriptionOptions::all();
    assert_eq!(code(session.events(&options)), Code::FWP_E_TXN_IN_PROGRESS);
    assert_eq!(
        code(session.security_info(Securable::SaDb, SecurityInformation::ALL)),
        Code::FWP_E_TXN_IN_PROGRESS
    );
    session.sa_context_expire(id).unwrap();
    session.transaction_commit().unwrap();
}

#[test]
fn a_dynamic_session_creates_and_deletes_no_contexts() {
    let engine = Engine::new();
    let id = complete(&*open(&engine), 1);
    let dynamic = connect(&engine, SessionOptions::new().dynamic()).unwrap();
    assert_eq!(code(dynamic.sa_context_create(&new(1))), Code::FWP_E_DYNAMIC_SESSION_IN_PROGRESS);
    assert_eq!(code(dynamic.sa_context_delete_by_id(id)), Code::FWP_E_DYNAMIC_SESSION_IN_PROGRESS);
    dynamic.sa_context_expire(id).unwrap();
    assert!(dynamic.info().unwrap().dynamic);
}

#[test]
fn one_writes_at_a_time_and_who_waits_too_long_times_out() {
    let engine = Engine::new();
    let (writer, other) = (open(&engine), impatient(&engine));
    let id = complete(&*writer, 1);
    writer.transaction_begin(ReadWrite).unwrap();
    assert_eq!(code(other.transaction_begin(ReadWrite)), Code::FWP_E_TIMEOUT);
    assert_eq!(
        code(other.sa_context_create(&new(2))),
        Code::FWP_E_TIMEOUT,
        "an implicit transaction waits too"
    );
    let error = other.sa_context_expire(id).unwrap_err();
    assert_eq!(error.code(), Code::FWP_E_TIMEOUT);
    assert!(error.what().contains(&format!("session {}", writer.number().0)), "{error}");
    other.transaction_begin(ReadOnly).unwrap();
    other.transaction_abort().unwrap();
    writer.transaction_abort().unwrap();
    other.transaction_begin(ReadWrite).unwrap();
}

#[test]
fn a_wait_of_zero_is_the_default_of_fifteen_seconds() {
    let zero = SessionOptions::new().transaction_wait(Duration::ZERO);
    let info = connect(&Engine::new(), zero).unwrap().info().unwrap();
    assert_eq!(info.transaction_wait, Duration::from_secs(15));
}

#[test]
fn who_waits_goes_on_as_soon_as_the_transaction_ends_by_commit_abort_or_close() {
    let engine = Engine::new();
    for end in [Session::transaction_commit, Session::transaction_abort, Session::close] {
        let (writer, other) = (open(&engine), open(&engine));
        writer.transaction_begin(ReadWrite).unwrap();
        let (started, start) = mpsc::channel();
        std::thread::scope(|scope| {
            let waits = scope.spawn(move || {
                started.send(()).unwrap();
                let id = other.sa_context_create(&new(1)).unwrap();
                other.transaction_begin(ReadWrite).unwrap();
                other.transaction_commit().unwrap();
                id
            });
            start.recv().unwrap();
            end(&*writer).unwrap();
            waits.join().unwrap();
        });
    }
}

#[test]
fn a_transaction_held_over_an_hour_is_aborted_by_force_and_the_next_call_says_so() {
    let clock = Arc::new(ManualClock::new(Timestamp(1_000_000)));
    let engine = Engine::builder().clock(Arc::clone(&clock) as Arc<dyn Clock>).without_thread().build();
    let (writer, reader, kernel) =
        (open(&engine), open(&engine), connect(&engine, SessionOptions::new().kernel_mode()).unwrap());
    let (id, inbound) = reserved(&*writer, 1);
    kernel.transaction_begin(ReadOnly).unwrap();
    for mode in [ReadWrite, ReadOnly] {
        writer.transaction_begin(mode).unwrap();
        reader.transaction_begin(ReadOnly).unwrap();
        if mode == ReadWrite {
            writer.sa_context_add_inbound(id, bundle(inbound.get())).unwrap();
        }
        clock.turn(Duration::from_secs(3599));
        engine.run_due();
        assert_eq!(engine.gauges().transactions, 3);
        clock.turn(Duration::from_secs(1));
        engine.run_due();
        assert_eq!(engine.gauges().transactions, 1, "a kernel-mode session's stays");
        assert_eq!(code(writer.transaction_commit()), Code::FWP_E_TXN_ABORTED);
        assert_eq!(code(writer.transaction_commit()), Code::FWP_E_NO_TXN_IN_PROGRESS, "it is told once");
        assert_eq!(code(reader.sa_context_by_id(id)), Code::FWP_E_TXN_ABORTED, "whatever the call");
        assert!(matches!(reader.sa_context_by_id(id).unwrap().state, SaState::HasSpi { .. }));
    }
}

#[test]
fn the_engines_own_thread_aborts_it_too() {
    let engine = Engine::builder().transaction_time_max(Duration::from_millis(1)).build();
    let (writer, other) = (open(&engine), open(&engine));
    writer.transaction_begin(ReadWrite).unwrap();
    // Waits until the forced abort lets it in: with a time-out of 15 s, and an error if it does not come.
    other.sa_context_create(&new(1)).unwrap();
    assert_eq!(code(writer.transaction_abort()), Code::FWP_E_TXN_ABORTED);
}

#[test]
fn what_expires_during_a_transaction_is_gone_after_its_commit() {
    let clock = Arc::new(ManualClock::new(Timestamp(1_000_000)));
    let engine = Engine::builder().clock(Arc::clone(&clock) as Arc<dyn Clock>).without_thread().build();
    let session = open(&engine);
    let lifetime = Lifetime { seconds: 10, ..Lifetime::UNLIMITED };
    let dies = complete_with(&*session, 1, &limited(0x1000, lifetime));
    let stays = complete(&*session, 2);
    session.transaction_begin(ReadWrite).unwrap();
    for id in [dies, stays] {
        let mut values = (*session.sa_context_by_id(id).unwrap()).clone();
        values.inbound.as_mut().unwrap().bundle.mm_sa_id = 5;
        session.sa_context_update(UpdateFlags::MM_SA_ID, &values).unwrap();
    }
    clock.turn(Duration::from_secs(11));
    engine.run_due();
    assert!(session.sa_context_by_id(dies).is_ok(), "the transaction sees its own version");
    session.transaction_commit().unwrap();
    assert_eq!(ids(&*session), [stays.0]);
    assert_eq!(session.sa_context_by_id(stays).unwrap().inbound.as_ref().unwrap().bundle.mm_sa_id, 5);
}

#[test]
fn a_provider_lists_while_a_transaction_is_open_and_its_word_counts() {
    let engine = Engine::new();
    let session = open(&engine);
    let id = complete(&*session, 1);
    let known = (*session.sa_context_by_id(id).unwrap()).clone();
    session.transaction_begin(ReadWrite).unwrap();
    session.sa_context_expire(id).unwrap();
    let mut found = known.clone();
    found.traffic = traffic(9);
    found.inbound.as_mut().unwrap().bundle.sas = bundle(0x5000).sas;
    found.outbound.as_mut().unwrap().bundle.sas = bundle(0x6000).sas;
    engine.mirror().replace(vec![found], Completeness::Whole).unwrap();
    assert_eq!(ids(&*session), [id.0]);
    session.transaction_commit().unwrap();
    assert_eq!(
        ids(&*session),
        [id.0 + 1],
        "what the provider no longer lists is gone, what it found is there"
    );
}

#[test]
fn sessions_are_listed_with_who_they_are_and_since_when() {
    let clock = Arc::new(ManualClock::new(Timestamp(5_000)));
    let engine = Engine::builder().clock(Arc::clone(&clock) as Arc<dyn Clock>).without_thread().build();
    let key = Guid::new(1, 2, 3, [4; 8]);
    let options = SessionOptions::new()
        .key(key)
        .name("charon")
        .description("a keying daemon")
        .principal(Principal::unix(0, &[0]))
        .user_name("root")
        .process(4711);
    let first = connect(&engine, options.clone()).unwrap();
    assert_eq!(code(connect(&engine, options)), Code::FWP_E_ALREADY_EXISTS);
    clock.turn(Duration::from_secs(60));
    let second = open(&engine);
    let third = open(&engine);
    let list = second.session_create_enum().unwrap();
    third.close().unwrap();
    let mut infos = second.session_enum(list, 1).unwrap().accept();
    infos.extend(second.session_enum(list, 9).unwrap().accept());
    assert_eq!(infos.len(), 3, "as it was when the handle was made");
    assert_eq!(*infos[0], first.info().unwrap());
    assert_eq!((infos[0].key, &*infos[0].name, infos[0].process_id), (key, "charon", 4711));
    assert_eq!((infos[0].opened, infos[1].opened), (Timestamp(5_000), Timestamp(5_060)));
    assert_eq!(infos[0].user.to_string(), "S-1-22-1-0");
    assert_ne!(infos[1].key, infos[2].key, "the engine makes keys where none are given");
    assert!(second.session_enum(list, 9).unwrap().accept().is_empty());
    assert_eq!(code(first.session_enum(list, 1)), Code::FWP_E_WRONG_SESSION);
    second.destroy_enum(list).unwrap();
    assert_eq!(code(second.session_enum(list, 1)), Code::ERROR_INVALID_HANDLE);
    first.close().unwrap();
    assert_eq!(engine.gauges().sessions, 1);
    let again = SessionOptions::new().key(key);
    assert!(connect(&engine, again).is_ok(), "the key of a closed session is free");
}

#[test]
fn a_session_that_the_engine_cancels_is_aborted_until_it_is_closed() {
    let engine = Engine::new();
    let (session, other) = (open(&engine), impatient(&engine));
    let mut stream = session.events(&SubscriptionOptions::all()).unwrap();
    let id = session.sa_context_create_enum(&EnumOptions::default()).unwrap();
    session.transaction_begin(ReadWrite).unwrap();
    engine.cancel_session(session.number()).unwrap();
    assert_eq!(code(session.sa_context_enum(id, 1)), Code::FWP_E_SESSION_ABORTED);
    assert_eq!(code(session.transaction_commit()), Code::FWP_E_SESSION_ABORTED);
    assert_eq!(code(stream.next(Duration::ZERO)), Code::ERROR_INVALID_HANDLE);
    other.sa_context_create(&new(1)).unwrap();
    session.close().unwrap();
    assert_eq!(code(session.close()), Code::ERROR_INVALID_HANDLE);
    assert_eq!(code(engine.cancel_session(session.number())), Code::FWP_E_NOT_FOUND);
}

#[test]
fn a_session_that_is_cancelled_while_it_waits_for_its_transaction_has_none() {
    let engine = Engine::new();
    let (writer, waits) = (open(&engine), open(&engine));
    writer.transaction_begin(ReadWrite).unwrap();
    std::thread::scope(|scope| {
        let begins = scope.spawn(|| code(waits.transaction_begin(ReadWrite)));
        // Whether it waits already or not yet, it is told.
        engine.cancel_session(waits.number()).unwrap();
        writer.transaction_commit().unwrap();
        assert_eq!(begins.join().unwrap(), Code::FWP_E_SESSION_ABORTED);
    });
    assert_eq!(engine.gauges().transactions, 0);
    complete(&*writer, 1);
}

#[test]
fn a_transaction_holds_an_old_version_as_an_enumerator_does() {
    let engine = Engine::new();
    let (reader, writer) = (open(&engine), open(&engine));
    let id = complete(&*writer, 1);
    reader.transaction_begin(ReadOnly).unwrap();
    writer.sa_context_delete_by_id(id).unwrap();
    assert!(engine.gauges().old_versions_bytes > 0);
    reader.transaction_commit().unwrap();
    assert_eq!(engine.gauges().old_versions_bytes, 0);
}

#[test]
fn a_session_that_is_dropped_ends_as_if_it_were_closed() {
    let engine = Engine::new();
    let (session, other) = (open(&engine), impatient(&engine));
    session.sa_context_create_enum(&EnumOptions::default()).unwrap();
    session.subscribe(&SubscriptionOptions::all(), Arc::new(|_| {})).unwrap();
    session.transaction_begin(ReadWrite).unwrap();
    drop(session);
    let gauges = engine.gauges();
    assert_eq!((gauges.sessions, gauges.transactions, gauges.subscriptions), (1, 0, 0));
    assert_eq!(gauges.old_versions_bytes, 0);
    other.sa_context_create(&new(1)).unwrap();
}

#[test]
#[cfg_attr(miri, ignore = "thousands of contexts take Miri too long")]
fn enumerators_that_hold_too_much_memory_are_closed_the_oldest_first() {
    let engine = Engine::builder().old_versions_max(1 << 20).build();
    let session = open(&engine);
    let first: Vec<_> = (0..200).map(|last| complete(&*session, last)).collect();
    let old = session.sa_context_create_enum(&EnumOptions::default()).unwrap();
    let read = session.sa_context_create_enum(&EnumOptions::default()).unwrap();
    assert_eq!(session.sa_context_enum(read, u32::MAX).unwrap().accept().len(), 200);
    assert_eq!(engine.gauges().old_versions_bytes, 0, "nothing was changed since");
    first.iter().for_each(|id| session.sa_context_delete_by_id(*id).unwrap());
    let held = engine.gauges().old_versions_bytes;
    assert!((100_000..1 << 20).contains(&held), "{held}");
    for _ in 0..20 {
        let ids: Vec<_> = (0..100).map(|last| complete(&*session, last)).collect();
        ids.iter().for_each(|id| session.sa_context_delete_by_id(*id).unwrap());
    }
    assert_eq!(code(session.sa_context_enum(old, 1)), Code::RPC_E_OUT_OF_RESOURCES);
    assert!(session.sa_context_enum(read, 1).unwrap().accept().is_empty(), "one that was read holds nothing");
    assert_eq!(engine.gauges().old_versions_bytes, 0);
    session.destroy_enum(old).unwrap();
}
