//! Subscriptions: what is told, in which order, and what happens to those who are slow, unsubscribe or panic.
use super::common::*;
use EventKind::{Add, Change, Delete, Expire};
use openwfp_api::*;
use openwfp_engine::Engine;
use openwfp_engine::Faults;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::OnceLock;
use std::sync::mpsc;
use std::time::Duration;

const NOW: Duration = Duration::ZERO;

fn remote(last: u8) -> ContextTemplate {
    ContextTemplate { remote: AddressMatch::Address([198, 51, 100, last].into()), ..Default::default() }
}

#[test]
fn an_add_is_told_when_the_context_is_complete_and_a_delete_when_it_is_gone() {
    let engine = Engine::new();
    let session = open(&engine);
    let mut stream = session.events(&SubscriptionOptions::default()).unwrap();
    let (id, inbound) = reserved(&*session, 1);
    session.sa_context_add_inbound(id, bundle(inbound.get())).unwrap();
    assert!(stream.next(NOW).unwrap().is_none());
    session.sa_context_add_outbound(id, bundle(0x2000)).unwrap();
    let (larval, _) = reserved(&*session, 2);
    session.sa_context_delete_by_id(larval).unwrap();
    let other = complete(&*session, 3);
    session.sa_context_delete_by_id(id).unwrap();
    assert_eq!(told(&mut *stream), [(Add, id.0), (Add, other.0), (Delete, id.0)]);
    assert_eq!((Add as u8, Delete as u8), (1, 2), "the numbers of the documentation");
}

#[test]
fn all_kinds_are_told_to_those_who_ask_with_the_context_and_its_version() {
    let engine = Engine::new();
    let session = open(&engine);
    let mut stream = session.events(&SubscriptionOptions::all()).unwrap();
    let id = complete(&*session, 1);
    let mut values = (*session.sa_context_by_id(id).unwrap()).clone();
    values.outbound.as_mut().unwrap().bundle.mm_sa_id = 9;
    session.sa_context_update(UpdateFlags::MM_SA_ID, &values).unwrap();
    engine.mirror().count(&[CounterUpdate::traffic(id, Direction::Inbound, 77, 7)]).unwrap();
    session.sa_context_expire(id).unwrap();
    session.sa_context_delete_by_id(id).unwrap();
    let mut kinds = Vec::new();
    let mut versions = Vec::new();
    while let Some(Notification::Event(event)) = stream.next(NOW).unwrap() {
        let context = event.context.unwrap();
        assert_eq!(context.id, id);
        if event.kind == Delete {
            assert_eq!(context.counters.inbound.traffic(), (77, 7), "the final counters");
        }
        kinds.push(event.kind);
        versions.push(event.version);
    }
    assert_eq!(kinds, [Add, Change, Expire, Delete]);
    assert!(versions.is_sorted_by(|a, b| a < b), "{versions:?}");
    let list = session.sa_context_create_enum(&EnumOptions::default()).unwrap();
    assert_eq!(session.enum_version(list).unwrap(), *versions.last().unwrap());
}

#[test]
fn a_template_and_kinds_limit_what_is_told() {
    let session = open(&Engine::new());
    let options = SubscriptionOptions {
        topic: Topic::SaContexts(remote(2)),
        kinds: EventKinds::of(&[Delete]),
        ..SubscriptionOptions::default()
    };
    let mut stream = session.events(&options).unwrap();
    let ids = [1, 2, 3].map(|last| complete(&*session, last));
    ids.iter().for_each(|id| session.sa_context_delete_by_id(*id).unwrap());
    assert_eq!(told(&mut *stream), [(Delete, ids[1].0)]);
}

#[test]
fn a_transaction_is_told_at_its_commit_and_an_aborted_one_never() {
    let session = open(&Engine::new());
    let mut stream = session.events(&SubscriptionOptions::all()).unwrap();
    let (one, two) = (complete(&*session, 1), complete(&*session, 2));
    told(&mut *stream);
    for commits in [false, true] {
        session.transaction_begin(TransactionMode::ReadWrite).unwrap();
        session.sa_context_expire(two).unwrap();
        session.sa_context_expire(one).unwrap();
        assert!(told(&mut *stream).is_empty());
        if commits { session.transaction_commit() } else { session.transaction_abort() }.unwrap();
    }
    assert_eq!(told(&mut *stream), [(Expire, one.0), (Expire, two.0)]);
}

#[test]
fn a_provider_listing_is_told_as_what_came_changed_and_went() {
    let engine = Engine::new();
    let session = open(&engine);
    let mut stream = session.events(&SubscriptionOptions::all()).unwrap();
    let id = complete(&*session, 1);
    let known = (*session.sa_context_by_id(id).unwrap()).clone();
    told(&mut *stream);
    let mut renamed = known.clone();
    renamed.outbound.as_mut().unwrap().bundle.mm_sa_id = 9;
    let mut other = known.clone();
    other.traffic = traffic(2);
    other.inbound.as_mut().unwrap().bundle.sas = bundle(0x5000).sas;
    let replace = |contexts| engine.mirror().replace(contexts, Completeness::Whole).unwrap();
    replace(vec![renamed.clone()]);
    assert_eq!(told(&mut *stream), [(Change, id.0)]);
    replace(vec![renamed.clone()]);
    assert!(told(&mut *stream).is_empty(), "the same again is no news");
    replace(vec![other]);
    assert_eq!(told(&mut *stream), [(Delete, id.0), (Add, id.0 + 1)]);
}

#[test]
fn a_slow_subscriber_is_told_how_many_were_dropped_and_which_version_to_list_from() {
    let session = open(&Engine::new());
    let options = SubscriptionOptions { queue_length: 3, ..SubscriptionOptions::default() };
    let mut stream = session.events(&options).unwrap();
    let mut ids: Vec<_> = (0..10).map(|last| complete(&*session, last)).collect();
    let mut known = Vec::new();
    let list_from = loop {
        match stream.next(NOW).unwrap().unwrap() {
            Notification::Event(event) => known.push(event.id),
            Notification::Dropped { count, list_from } => {
                assert_eq!((known.len(), count), (3, 7));
                break list_from;
            }
            other => panic!("{other:?}"),
        }
    };
    // List, then go on with what is newer than the listing: nothing is missed and nothing is doubled.
    ids.push(complete(&*session, 11));
    let list = session.sa_context_create_enum(&EnumOptions::default()).unwrap();
    let listed = session.enum_version(list).unwrap();
    assert!(listed >= list_from);
    ids.push(complete(&*session, 12));
    let mut known: Vec<_> =
        session.sa_context_enum(list, 99).unwrap().accept().iter().map(|c| c.id).collect();
    while let Some(Notification::Event(event)) = stream.next(NOW).unwrap() {
        if event.version > listed {
            known.push(event.id);
        }
    }
    assert_eq!(known, ids);
}

#[test]
fn a_notification_that_a_fault_loses_is_told_as_dropped() {
    let engine = Engine::builder().faults(Faults::new().lose_notification(2)).build();
    let session = open(&engine);
    let mut stream = session.events(&SubscriptionOptions::default()).unwrap();
    let ids = [1, 2].map(|last| complete(&*session, last));
    assert!(matches!(stream.next(NOW).unwrap(), Some(Notification::Event(event)) if event.id == ids[0]));
    assert!(matches!(stream.next(NOW).unwrap(), Some(Notification::Dropped { count: 1, .. })));
    complete(&*session, 3);
    assert!(matches!(stream.next(NOW).unwrap(), Some(Notification::Event(_))));
}

#[test]
fn callbacks_come_in_commit_order_from_many_writers() {
    let engine = Engine::new();
    let session = open(&engine);
    let (sender, receiver) = mpsc::channel();
    let callback = move |notification: &Notification| {
        if let Notification::Event(event) = notification {
            sender.send((event.version, event.kind, event.id)).unwrap();
        }
    };
    session.subscribe(&SubscriptionOptions::all(), Arc::new(callback)).unwrap();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let session = open(&engine);
                for last in 0..50 {
                    let id = complete(&*session, last);
                    session.sa_context_delete_by_id(id).unwrap();
                }
            });
        }
    });
    let told: Vec<_> = (0..400).map(|_| receiver.recv().unwrap()).collect();
    assert!(told.is_sorted_by(|a, b| a.0 < b.0));
    let adds = told.iter().filter(|(_, kind, _)| *kind == Add).count();
    assert_eq!(adds, 200);
}

#[test]
fn no_callback_runs_once_unsubscribe_has_returned() {
    let engine = Engine::new();
    let session = open(&engine);
    for _ in 0..50 {
        let ended = Arc::new(Mutex::new(false));
        let late = Arc::new(Mutex::new(0));
        let (sees, counts) = (Arc::clone(&ended), Arc::clone(&late));
        let callback = move |_: &Notification| {
            std::thread::yield_now();
            if *sees.lock().unwrap() {
                *counts.lock().unwrap() += 1;
            }
        };
        let id = session.subscribe(&SubscriptionOptions::all(), Arc::new(callback)).unwrap();
        for last in 0..5 {
            complete(&*session, last);
        }
        session.unsubscribe(id).unwrap();
        *ended.lock().unwrap() = true;
        complete(&*session, 9);
        assert_eq!(*late.lock().unwrap(), 0);
        assert_eq!(code(session.unsubscribe(id)), Code::ERROR_INVALID_HANDLE);
    }
}

#[test]
fn a_callback_may_unsubscribe_itself_and_call_its_session() {
    let engine = Engine::new();
    let session = open(&engine);
    let (sender, receiver) = mpsc::channel();
    let own: Arc<OnceLock<SubscriptionId>> = Arc::default();
    let inside = Arc::downgrade(&session);
    let callback = {
        let own = Arc::clone(&own);
        move |notification: &Notification| {
            let Notification::Event(event) = notification else { return };
            let session = inside.upgrade().unwrap();
            let id = *own.wait();
            session.unsubscribe(id).unwrap();
            // A write from inside a callback, and a look at what it is told of.
            session.sa_context_delete_by_id(event.id).unwrap();
            sender.send(event.id).unwrap();
        }
    };
    let id = session.subscribe(&SubscriptionOptions::all(), Arc::new(callback)).unwrap();
    own.set(id).unwrap();
    let first = complete(&*session, 1);
    assert_eq!(receiver.recv().unwrap(), first);
    complete(&*session, 2);
    assert!(receiver.recv().is_err(), "the callback was called once and then dropped");
}

#[test]
fn a_callback_that_panics_ends_its_own_subscription_and_nothing_else() {
    let engine = Engine::new();
    let session = open(&engine);
    let (sender, receiver) = mpsc::channel();
    let panics = |_: &Notification| panic!("a subscriber's defect");
    let counts = move |_: &Notification| sender.send(()).unwrap();
    session.subscribe(&SubscriptionOptions::all(), Arc::new(panics)).unwrap();
    session.subscribe(&SubscriptionOptions::all(), Arc::new(counts)).unwrap();
    for last in 0..10 {
        complete(&*session, last);
        receiver.recv().unwrap();
    }
    // The subscription that panicked is gone as soon as something is told again.
    while session.subscriptions(TopicKind::SaContexts).unwrap().len() > 1 {
        complete(&*session, 1);
        receiver.recv().unwrap();
    }
}

#[test]
fn a_callback_that_blocks_holds_up_nobody_else() {
    let engine = Engine::new();
    let session = open(&engine);
    let (release, held) = mpsc::channel::<()>();
    let held = Mutex::new(held);
    let blocks = move |_: &Notification| assert!(held.lock().unwrap().recv().is_err());
    session.subscribe(&SubscriptionOptions::all(), Arc::new(blocks)).unwrap();
    let mut stream = session.events(&SubscriptionOptions::all()).unwrap();
    let ids: Vec<_> = (0..20).map(|last| complete(&*session, last)).collect();
    assert_eq!(told(&mut *stream).len(), ids.len());
    drop(release);
}

#[test]
fn a_stream_waits_for_what_comes_and_ends_with_its_subscription() {
    let engine = Engine::new();
    let session = open(&engine);
    let mut stream = session.events(&SubscriptionOptions::all()).unwrap();
    assert!(stream.next(Duration::from_millis(1)).unwrap().is_none());
    std::thread::scope(|scope| {
        let reader = scope.spawn(move || {
            let first = stream.next(Duration::from_secs(600)).unwrap();
            let second = stream.next(Duration::from_secs(600));
            (first, code(second))
        });
        complete(&*session, 1);
        // The reader may have read it or not; closing wakes it in either case.
        while engine.gauges().events_waiting > 0 {
            std::thread::yield_now();
        }
        session.close().unwrap();
        let (first, second) = reader.join().unwrap();
        assert!(matches!(first, Some(Notification::Event(_))));
        assert_eq!(second, Code::ERROR_INVALID_HANDLE);
    });
}

#[test]
fn subscriptions_are_listed_belong_to_their_session_and_are_limited() {
    let engine = Engine::new();
    let (one, other) = (open(&engine), open(&engine));
    let options =
        SubscriptionOptions { topic: Topic::SaContexts(remote(7)), ..SubscriptionOptions::default() };
    let stream = one.events(&options).unwrap();
    let listed = other.subscriptions(TopicKind::SaContexts).unwrap();
    assert_eq!(listed.len(), 1);
    assert_eq!((&listed[0].options, listed[0].session_key), (&options, one.info().unwrap().key));
    assert_eq!(code(other.unsubscribe(stream.id())), Code::FWP_E_WRONG_SESSION);
    assert_eq!(code(one.destroy_enum(stream.id())), Code::ERROR_INVALID_HANDLE);
    drop(stream);
    assert!(other.subscriptions(TopicKind::SaContexts).unwrap().is_empty());
    let streams: Vec<_> =
        (0..SessionOptions::SUBSCRIPTIONS_MAX).map(|_| one.events(&options).unwrap()).collect();
    assert_eq!(code(one.events(&options)), Code::RPC_E_OUT_OF_RESOURCES);
    drop(streams);
    assert!(one.events(&options).is_ok());
    let no_queue = SubscriptionOptions { queue_length: 0, ..SubscriptionOptions::default() };
    assert_eq!(code(one.events(&no_queue)), Code::FWP_E_OUT_OF_BOUNDS);
}

/// Two callbacks that end each other's subscriptions at the same time return, and the session's close waits for both.
#[test]
fn callbacks_that_end_each_other_do_not_wait_for_ever() {
    use std::sync::Barrier;
    use std::sync::atomic::AtomicUsize;
    use std::sync::atomic::Ordering;
    let engine = Engine::new();
    let session = open(&engine);
    let both = Arc::new(Barrier::new(2));
    let running = Arc::new(AtomicUsize::new(0));
    let ended = Arc::new(AtomicUsize::new(0));
    let ids: Arc<Mutex<Vec<SubscriptionId>>> = Arc::default();
    for place in 0..2 {
        let (both, running, ended, known) =
            (Arc::clone(&both), Arc::clone(&running), Arc::clone(&ended), Arc::clone(&ids));
        let own = Arc::clone(&session);
        let callback = move |_: &Notification| {
            running.fetch_add(1, Ordering::SeqCst);
            both.wait();
            let other = known.lock().unwrap()[1 - place];
            drop(own.unsubscribe(other));
            // Others would notice a close that does not wait.
            std::thread::sleep(Duration::from_millis(50));
            ended.fetch_add(1, Ordering::SeqCst);
        };
        let id = session.subscribe(&SubscriptionOptions::default(), Arc::new(callback)).unwrap();
        ids.lock().unwrap().push(id);
    }
    complete(&*session, 1);
    while running.load(Ordering::SeqCst) < 2 {
        std::thread::yield_now();
    }
    session.close().unwrap();
    assert_eq!(ended.load(Ordering::SeqCst), 2, "no callback runs after the close");
}
