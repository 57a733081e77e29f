//! The engine under a scheduler that tries interleavings at random: the swap of versions, snapshots, the gate of
//! transactions, turns on a context, subscriptions. A deadlock or a lost wake-up fails, too.
//!
//! Run by `scripts/test`: `RUSTFLAGS='--cfg shuttle' cargo test -p openwfp-engine --test shuttle`.
#![cfg(shuttle)]
#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "a test")]

#[path = "suite/common.rs"]
mod common;
mod connect;

use common::*;
use openwfp_api::*;
use openwfp_engine::Engine;
use openwfp_engine::ManualClock;
use shuttle::sync::atomic::AtomicBool;
use shuttle::sync::atomic::AtomicUsize;
use shuttle::sync::atomic::Ordering;
use shuttle::thread;
use std::sync::Arc;
use std::time::Duration;

fn check(test: fn()) {
    let runs = std::env::var("OPENWFP_SHUTTLE_RUNS").ok().and_then(|text| text.parse().ok()).unwrap_or(1000);
    shuttle::check_pct(test, runs, 3);
    shuttle::check_random(test, runs);
}

fn engine() -> Engine {
    let clock = Arc::new(ManualClock::new(Timestamp(1_000_000)));
    Engine::builder().clock(clock).without_thread().build()
}

#[test]
fn a_snapshot_is_a_version_that_was_committed_and_whole() {
    check(|| {
        let engine = engine();
        let writers: Vec<_> = (0..2)
            .map(|_| {
                let engine = engine.clone();
                thread::spawn(move || {
                    let session = open(&engine);
                    let pairs = vec![SaContextStep::Create(new(1)), SaContextStep::Create(new(2))];
                    session.sa_context_batch(pairs, BatchMode::AllOrNothing).unwrap();
                    session.sa_context_create(&new(3)).unwrap();
                })
            })
            .collect();
        let session = open(&engine);
        for _ in 0..2 {
            let id = session.sa_context_create_enum(&EnumOptions::default()).unwrap();
            let version = session.enum_version(id).unwrap();
            let shown = session.sa_context_enum(id, 9).unwrap().accept();
            let of = |last| shown.iter().filter(|c| c.traffic == traffic(last)).count();
            assert_eq!(of(1), of(2), "half a batch at version {version:?}");
            assert_eq!(usize::try_from(version.0).unwrap(), of(1) + of(3), "each commit is one version");
        }
        writers.into_iter().for_each(|writer| writer.join().unwrap());
        assert_eq!(ids(&*session).len(), 6);
    });
}

#[test]
fn transactions_exclude_each_other_and_single_calls_and_nobody_waits_for_ever() {
    check(|| {
        let engine = engine();
        let id = reserved(&*open(&engine), 1).0;
        let threads: Vec<_> = (0..3)
            .map(|place| {
                let engine = engine.clone();
                thread::spawn(move || {
                    let session = open(&engine);
                    if place == 2 {
                        session.sa_context_create(&new(7)).unwrap();
                        return;
                    }
                    session.transaction_begin(TransactionMode::ReadWrite).unwrap();
                    let before = session.sa_context_by_id(id).unwrap().reservation.clone().unwrap();
                    let next = FilterId(before.inbound_filter_id.0 + 1);
                    session.sa_context_get_spi(id, &request(1).filter(next)).unwrap();
                    if place == 0 { session.transaction_commit() } else { session.close() }.unwrap();
                })
            })
            .collect();
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        let session = open(&engine);
        let reservation = session.sa_context_by_id(id).unwrap().reservation.clone().unwrap();
        assert_eq!(reservation.inbound_filter_id, FilterId(9), "8, and one that committed");
        assert_eq!(ids(&*session).len(), 2);
    });
}

#[test]
fn of_two_threads_that_begin_a_sessions_transaction_one_does() {
    check(|| {
        let session = open(&engine());
        let begins = [(); 2].map(|()| {
            let session = Arc::clone(&session);
            thread::spawn(move || code(session.transaction_begin(TransactionMode::ReadWrite)))
        });
        let mut codes = begins.map(|begin| begin.join().unwrap());
        codes.sort_unstable();
        assert_eq!(codes, [Code::ERROR_SUCCESS, Code::FWP_E_TXN_IN_PROGRESS]);
        session.transaction_commit().unwrap();
    });
}

#[test]
fn a_write_whose_transaction_is_aborted_under_it_never_happens_outside_of_it() {
    check(|| {
        let clock = Arc::new(ManualClock::new(Timestamp(1_000_000)));
        let engine = Engine::builder().clock(Arc::clone(&clock) as Arc<dyn Clock>).without_thread().build();
        let session = open(&engine);
        let (id, inbound) = reserved(&*session, 1);
        session.transaction_begin(TransactionMode::ReadWrite).unwrap();
        let aborts = {
            let engine = engine.clone();
            thread::spawn(move || {
                clock.turn(Duration::from_secs(3600));
                engine.run_due();
            })
        };
        let writes = {
            let session = Arc::clone(&session);
            // Another thread of the session: its call belongs to the transaction, too.
            thread::spawn(move || session.sa_context_add_inbound(id, bundle(inbound.get())).err())
        };
        let refused = writes.join().unwrap();
        let committed = session.transaction_commit();
        aborts.join().unwrap();
        let happened = open(&engine).sa_context_by_id(id).unwrap().state == SaState::Inbound;
        assert_eq!(happened, refused.is_none() && committed.is_ok(), "{refused:?}, {committed:?}");
        let codes = [refused.map(|error| error.code()), committed.err().map(|error| error.code())];
        let told = codes.iter().flatten().filter(|code| **code == Code::FWP_E_TXN_ABORTED).count();
        assert_eq!(told, usize::from(codes != [None, None]), "it is told once: {codes:?}");
    });
}

/// A dataplane that lets others run while it works, and sees who works beside it.
#[derive(Default)]
struct Slow {
    inside: AtomicUsize,
    installed: AtomicUsize,
}

impl Dataplane for Slow {
    fn install(&self, _: &SaContext, _: Direction, _: &KeyAccess) -> Result {
        assert_eq!(self.inside.fetch_add(1, Ordering::SeqCst), 0, "two calls work on one context");
        thread::yield_now();
        self.installed.fetch_add(1, Ordering::SeqCst);
        self.inside.fetch_sub(1, Ordering::SeqCst);
        Ok(())
    }
    fn update(&self, _: &SaContext, _: &SaContext, _: Direction, _: &KeyAccess) -> Result {
        Ok(())
    }
    fn remove(&self, _: &SaContext, _: Direction) -> Result<Option<openwfp_api::CounterUpdate>> {
        assert_eq!(self.inside.fetch_add(1, Ordering::SeqCst), 0, "two calls work on one context");
        thread::yield_now();
        self.installed.fetch_sub(1, Ordering::SeqCst);
        self.inside.fetch_sub(1, Ordering::SeqCst);
        Ok(None)
    }
}

#[test]
fn what_the_dataplane_has_is_what_the_engine_shows_whoever_comes_between() {
    check(|| {
        let slow = Arc::new(Slow::default());
        let clock = Arc::new(ManualClock::new(Timestamp(1_000_000)));
        let builder = Engine::builder().clock(clock).without_thread();
        let engine = builder.dataplane(Arc::clone(&slow) as Arc<dyn Dataplane>).build();
        let (id, inbound) = reserved(&*open(&engine), 1);
        let adds: Vec<_> = (0..2)
            .map(|_| {
                let session = open(&engine);
                thread::spawn(move || session.sa_context_add_inbound(id, bundle(inbound.get())).is_ok())
            })
            .collect();
        let deletes = {
            let session = open(&engine);
            thread::spawn(move || session.sa_context_delete_by_id(id).unwrap())
        };
        let lists = {
            let engine = engine.clone();
            thread::spawn(move || engine.mirror().count(&[]).unwrap())
        };
        let added = adds.into_iter().filter_map(|add| add.join().unwrap().then_some(())).count();
        deletes.join().unwrap();
        lists.join().unwrap();
        assert!(added <= 1);
        assert_eq!(slow.installed.load(Ordering::SeqCst), 0, "nothing is left of what was deleted");
        assert!(ids(&*open(&engine)).is_empty());
    });
}

/// Fails when it is dropped, since a panic inside a callback is the engine's to catch.
#[derive(Default)]
struct Late(AtomicBool);

impl Drop for Late {
    fn drop(&mut self) {
        assert!(!self.0.load(Ordering::SeqCst), "a callback ran after unsubscribe had returned");
    }
}

#[test]
fn no_callback_begins_once_unsubscribe_has_returned() {
    check(|| {
        let engine = engine();
        let session = open(&engine);
        let ended = Arc::new(AtomicBool::new(false));
        let told = Arc::new(AtomicUsize::new(0));
        let callback = {
            let (ended, told, late) = (Arc::clone(&ended), Arc::clone(&told), Late::default());
            move |_: &Notification| {
                let began_late = ended.load(Ordering::SeqCst);
                thread::yield_now();
                if began_late || ended.load(Ordering::SeqCst) {
                    late.0.store(true, Ordering::SeqCst);
                }
                told.fetch_add(1, Ordering::SeqCst);
            }
        };
        let id = session.subscribe(&SubscriptionOptions::all(), Arc::new(callback)).unwrap();
        let writer = {
            let engine = engine.clone();
            thread::spawn(move || {
                complete(&*open(&engine), 1);
                complete(&*open(&engine), 2);
            })
        };
        session.unsubscribe(id).unwrap();
        ended.store(true, Ordering::SeqCst);
        writer.join().unwrap();
        assert!(told.load(Ordering::SeqCst) <= 2);
        assert_eq!(engine.gauges().subscriptions, 0);
    });
}

#[test]
fn closing_while_others_subscribe_and_write_leaves_nothing_behind() {
    check(|| {
        let engine = engine();
        let session = open(&engine);
        let spawn = |call: fn(&dyn Session) -> bool| {
            let session = Arc::clone(&session);
            thread::spawn(move || call(&*session))
        };
        let threads = [
            spawn(|session| session.subscribe(&SubscriptionOptions::all(), Arc::new(|_| {})).is_ok()),
            spawn(|session| session.transaction_begin(TransactionMode::ReadWrite).is_ok()),
            spawn(|session| session.close().is_ok()),
        ];
        let [_, _, closed] = threads.map(|thread| thread.join().unwrap());
        assert!(closed);
        let gauges = engine.gauges();
        assert_eq!((gauges.sessions, gauges.transactions, gauges.subscriptions), (0, 0, 0));
        complete(&*open(&engine), 1);
    });
}

#[test]
fn list_and_watch_ends_with_what_is_there_though_events_are_dropped() {
    check(|| {
        let engine = engine();
        let session = open(&engine);
        let options = SubscriptionOptions { queue_length: 1, ..SubscriptionOptions::default() };
        let mut stream = session.events(&options).unwrap();
        let writer = {
            let engine = engine.clone();
            thread::spawn(move || {
                let session = open(&engine);
                let first = complete(&*session, 1);
                complete(&*session, 2);
                session.sa_context_delete_by_id(first).unwrap();
            })
        };
        let mut known = std::collections::BTreeSet::new();
        let mut listed = Version(0);
        let mut watch = |stream: &mut dyn EventStream| {
            while let Some(notification) = stream.next(Duration::ZERO).unwrap() {
                match notification {
                    Notification::Event(event) if event.version > listed => match event.kind {
                        EventKind::Add => assert!(known.insert(event.id.0), "{event:?} twice"),
                        _ => assert!(known.remove(&event.id.0), "{event:?} of what was not there"),
                    },
                    Notification::Event(_) => {}
                    Notification::Dropped { list_from, .. } => {
                        let id = session.sa_context_create_enum(&EnumOptions::default()).unwrap();
                        listed = session.enum_version(id).unwrap();
                        assert!(listed >= list_from);
                        let contexts = session.sa_context_enum(id, 99).unwrap().accept();
                        let whole = contexts.iter().filter(|context| context.state == SaState::Complete);
                        known = whole.map(|context| context.id.0).collect();
                    }
                    _ => {}
                }
            }
            known.clone()
        };
        watch(&mut *stream);
        writer.join().unwrap();
        assert_eq!(watch(&mut *stream).into_iter().collect::<Vec<_>>(), [2]);
    });
}
