//! Random programs on threads of their own, each on contexts of its own, beside readers, a watcher and turns of the
//! clock: what each thread knows of its contexts is what the engine shows in the end, and what the watcher was told.
use super::common::*;
use openwfp_api::*;
use openwfp_engine::Engine;
use std::collections::BTreeMap;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::time::Duration;

const THREADS: u8 = 4;

struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }
}

/// Runs random steps on own contexts and returns how far each has come: what is not there was deleted.
fn program(engine: &Engine, thread: u8, seed: u64, steps: u32) -> BTreeMap<SaContextId, &'static str> {
    let session = open(engine);
    let mut random = Random(seed | 1);
    let mut own: BTreeMap<SaContextId, &'static str> = BTreeMap::new();
    for _ in 0..steps {
        if random.below(20) == 0 {
            // A transaction that is aborted leaves everything as it was.
            session.transaction_begin(TransactionMode::ReadWrite).unwrap();
            for (id, word) in &own {
                let expected =
                    if *word == "complete" { Code::ERROR_SUCCESS } else { Code::FWP_E_INCOMPATIBLE_SA_STATE };
                let expected = if *word == "inbound" { Code::ERROR_SUCCESS } else { expected };
                assert_eq!(code(session.sa_context_expire(*id)), expected, "{word}");
            }
            session.transaction_abort().unwrap();
        }
        let id = own.keys().nth(usize::try_from(random.below(own.len() as u64 + 1)).unwrap()).copied();
        let Some(id) = id else {
            own.insert(session.sa_context_create(&new(thread)).unwrap(), "created");
            continue;
        };
        let context = session.sa_context_by_id(id).unwrap();
        let spi = context
            .spis()
            .find(|(direction, _)| *direction == Direction::Inbound)
            .map_or(0x1000, |s| s.1.get());
        let (result, needs, becomes) = match random.below(6) {
            0 => (
                session.sa_context_get_spi(id, &request(thread)).map(drop),
                &["created", "larval"][..],
                "larval",
            ),
            1 => (session.sa_context_add_inbound(id, bundle(spi)), &["larval"][..], "inbound"),
            2 | 3 => (session.sa_context_add_outbound(id, bundle(0x2000)), &["inbound"][..], "complete"),
            4 => (session.sa_context_expire(id), &["inbound", "complete"][..], "expiring"),
            _ => {
                session.sa_context_delete_by_id(id).unwrap();
                own.remove(&id);
                continue;
            }
        };
        let word = own.get_mut(&id).unwrap();
        match result {
            Ok(()) => {
                assert!(needs.contains(word), "from {word} to {becomes}");
                // What expires before it was complete is nothing that a watcher knows.
                *word = if (*word, becomes) == ("inbound", "expiring") {
                    "never known, expiring"
                } else {
                    becomes
                };
            }
            Err(error) => {
                assert_eq!(error.code(), Code::FWP_E_INCOMPATIBLE_SA_STATE, "{error}");
                assert!(!needs.contains(word), "{word}: {error}");
            }
        }
    }
    own
}

#[test]
fn threads_find_their_contexts_as_they_left_them_and_a_watcher_was_told_all_of_it() {
    let rounds = if std::env::var_os("OPENWFP_MODEL_PROGRAMS").is_some() { 400 } else { 40 };
    for round in 0..rounds {
        let engine = Engine::new();
        let watching = open(&engine);
        let mut stream = watching.events(&SubscriptionOptions::all()).unwrap();
        let ends = AtomicBool::new(false);
        let (own, known) = std::thread::scope(|scope| {
            let watcher = scope.spawn(|| {
                let mut known = BTreeMap::new();
                let mut last = Version(0);
                loop {
                    let ended = ends.load(Ordering::Acquire);
                    match stream.next(Duration::from_millis(1)).unwrap() {
                        Some(Notification::Event(event)) => {
                            assert!(event.version > last, "versions only grow");
                            last = event.version;
                            match event.kind {
                                EventKind::Add => assert!(known.insert(event.id, "complete").is_none()),
                                EventKind::Delete => assert!(known.remove(&event.id).is_some()),
                                EventKind::Expire => {
                                    assert_eq!(known.insert(event.id, "expiring"), Some("complete"));
                                }
                                other => panic!("{other:?}"),
                            }
                        }
                        Some(dropped) => panic!("{dropped:?}"),
                        None if ended => return known,
                        None => {}
                    }
                }
            });
            let reader = scope.spawn(|| {
                let session = open(&engine);
                while !ends.load(Ordering::Acquire) {
                    let id = session.sa_context_create_enum(&EnumOptions::default()).unwrap();
                    let first = session.sa_context_enum(id, 3).unwrap().accept();
                    let rest = session.sa_context_enum(id, u32::MAX).unwrap().accept();
                    assert!(first.iter().chain(&rest).is_sorted_by(|a, b| a.id < b.id));
                    session.destroy_enum(id).unwrap();
                }
            });
            let programs: Vec<_> = (0..THREADS)
                .map(|thread| {
                    let engine = &engine;
                    scope.spawn(move || {
                        program(engine, thread, (round * 31 + u64::from(thread)) * 7919 + 1, 300)
                    })
                })
                .collect();
            let own: BTreeMap<_, _> =
                programs.into_iter().flat_map(|program| program.join().unwrap()).collect();
            ends.store(true, Ordering::Release);
            reader.join().unwrap();
            (own, watcher.join().unwrap())
        });
        assert_eq!(ids(&*watching), own.keys().map(|id| id.0).collect::<Vec<_>>());
        for (id, word) in &own {
            let found = watching.sa_context_by_id(*id).unwrap().state.word();
            assert_eq!(
                found,
                if *word == "created" { "larval" } else { word.trim_start_matches("never known, ") }
            );
        }
        let announced = own.into_iter().filter(|(_, word)| matches!(*word, "complete" | "expiring"));
        assert!(known.into_iter().eq(announced));
    }
}
