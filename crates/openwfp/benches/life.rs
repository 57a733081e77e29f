//! Benchmarks of writes: full lives, retained old versions, worst-case latency, deletes, templates, and
//! the cost of lifetime timers while none is due.
//!
//! `cargo bench -p openwfp --bench life` runs them with a million contexts, or with the number given as
//! an argument; `-- many` compares one million contexts with ten million, which takes a few minutes and
//! 8 GB of memory.
#![allow(clippy::unwrap_used, clippy::cast_possible_truncation, reason = "a benchmark")]
#![allow(clippy::cast_precision_loss, reason = "figures for people")]
#![allow(clippy::disallowed_methods, reason = "time is what a benchmark asks for")]

use openwfp_api::Aead;
use openwfp_api::AeadAlgorithm;
use openwfp_api::BatchMode;
use openwfp_api::BundlePair;
use openwfp_api::ContextTemplate;
use openwfp_api::Endpoints;
use openwfp_api::EnumId;
use openwfp_api::EnumOptions;
use openwfp_api::InboundRequest;
use openwfp_api::Key;
use openwfp_api::Lifetime;
use openwfp_api::Mode;
use openwfp_api::NewSaContext;
use openwfp_api::Sa;
use openwfp_api::SaBundle;
use openwfp_api::SaContextId;
use openwfp_api::SaContextStep;
use openwfp_api::SaList;
use openwfp_api::Session;
use openwfp_api::Spi;
use openwfp_api::SubscriptionOptions;
use openwfp_api::Traffic;
use openwfp_api::Transform;
use openwfp_engine::Engine;
use openwfp_engine::SessionOptions;
use std::hint::black_box;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::time::Duration;
use std::time::Instant;

fn main() {
    let count = std::env::args().skip(1).find_map(|text| text.parse().ok()).unwrap_or(1_000_000);
    if std::env::args().any(|argument| argument == "many") {
        many();
        return;
    }
    println!("full lives (create, get SPI, add inbound, add outbound), {count} contexts, one thread\n");
    let (engine, alone) = lives_alone(count);
    beside_enumerators(count, alone);
    beside_a_subscriber(count, alone);
    batches(count, alone);
    templates(&engine, count);
    writes_during_an_enumeration(&engine);
    idle(&engine);
    deletes(count);
}

fn report(what: &str, figure: f64, unit: &str, beside: &str) {
    let figure = if figure >= 1e6 { format!("{:.2} M", figure / 1e6) } else { format!("{figure:.1} ") };
    println!("{what:<58} {figure:>10}{unit:<12} {beside}");
}

fn open(engine: &Engine) -> Arc<dyn Session> {
    engine.open_session(SessionOptions::new()).unwrap()
}

fn traffic(number: u32) -> Traffic {
    let remote = Ipv4Addr::from(0x0B00_0000 + number);
    Traffic::new(Endpoints::new([192, 0, 2, 1].into(), remote.into()).unwrap(), Mode::Tunnel)
}

fn bundle(spi: Spi) -> SaBundle {
    let aead = Aead { algorithm: AeadAlgorithm::AesGcm, icv_bits: 128, key: Key::new(&[7; 20]) };
    SaBundle {
        lifetime: Lifetime { seconds: 3600, ..Lifetime::UNLIMITED },
        idle_timeout_seconds: 900,
        ..SaBundle::new(SaList::one(Sa { spi, transform: Transform::EspAead(aead), linux: None }))
    }
}

fn live(session: &dyn Session, number: u32) -> SaContextId {
    let new = NewSaContext::new(traffic(number));
    let id = session.sa_context_create(&new).unwrap();
    let spi = session.sa_context_get_spi(id, &InboundRequest::new(new.traffic)).unwrap();
    session.sa_context_add_inbound(id, bundle(spi)).unwrap();
    let peer = Spi::new(number.wrapping_mul(2_654_435_761) | 0x100).unwrap();
    session.sa_context_add_outbound(id, bundle(peer)).unwrap();
    id
}

fn live_many(session: &dyn Session, count: u32) -> f64 {
    let start = Instant::now();
    for number in 0..count {
        live(session, number);
    }
    f64::from(count) / start.elapsed().as_secs_f64()
}

fn resident() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    statm.split(' ').nth(1).unwrap().parse::<u64>().unwrap() * 4096
}

fn percent(part: f64, whole: f64) -> String {
    format!("{:.0}% of alone", 100.0 * part / whole)
}

fn lives_alone(count: u32) -> (Engine, f64) {
    let before = resident();
    let engine = Engine::new();
    let mut rates = vec![live_many(&*open(&engine), count)];
    let held = (resident() - before) as f64 / f64::from(count);
    for _ in 0..2 {
        rates.push(live_many(&*open(&Engine::new()), count));
    }
    let best = rates.iter().copied().fold(0.0, f64::max);
    let worst = rates.iter().copied().fold(f64::MAX, f64::min);
    report("full lives", best, "contexts/s", &format!("the best of 3; the worst {worst:.0}"));
    report("memory a context, indexes and timers included", held, "bytes", "resident");
    (engine, best)
}

/// Measures writes while sixteen enumerators, opened at different times, stay open and unread.
fn beside_enumerators(count: u32, alone: f64) {
    let engine = Engine::new();
    let session = open(&engine);
    let mut took = Duration::ZERO;
    for part in 0..16 {
        let start = Instant::now();
        for number in part * (count / 16)..(part + 1) * (count / 16) {
            live(&*session, number);
        }
        took += start.elapsed();
        session.sa_context_create_enum(&EnumOptions::default()).unwrap();
    }
    let rate = f64::from(count / 16 * 16) / took.as_secs_f64();
    report("with up to 16 enumerators on older versions", rate, "contexts/s", &percent(rate, alone));

    // Create the first half of the contexts, then time the second half with and without enumerators on the
    // version in between. Alternate between the two cases and keep the best of two rounds each.
    let mut best = [0.0_f64; 2];
    let mut held = 0;
    for round in 0..4 {
        let engine = Engine::new();
        let session = open(&engine);
        live_many(&*session, count / 2);
        let enumerators: Vec<EnumId> = (0..16 * (round % 2))
            .map(|_| session.sa_context_create_enum(&EnumOptions::default()).unwrap())
            .collect();
        let start = Instant::now();
        for number in count / 2..count {
            live(&*session, number);
        }
        let rate = f64::from(count - count / 2) / start.elapsed().as_secs_f64();
        best[round % 2] = best[round % 2].max(rate);
        held = held.max(engine.gauges().old_versions_bytes);
        drop(enumerators);
    }
    report("the second half of them", best[0], "contexts/s", "");
    let beside = format!("{:.0}% of that", 100.0 * best[1] / best[0]);
    report("  with 16 enumerators on the version before it", best[1], "contexts/s", &beside);
    report("  memory of old versions, at most", held as f64, "bytes", "the gauge");
}

fn beside_a_subscriber(count: u32, alone: f64) {
    let engine = Engine::new();
    let session = open(&engine);
    let mut stream = session.events(&SubscriptionOptions::all()).unwrap();
    let ends = AtomicBool::new(false);
    let (rate, told) = std::thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let mut told = 0_u32;
            loop {
                let ended = ends.load(Ordering::Acquire);
                match stream.next(Duration::from_millis(10)).unwrap() {
                    Some(_) => told += 1,
                    None if ended => return told,
                    None => {}
                }
            }
        });
        let rate = live_many(&*session, count);
        ends.store(true, Ordering::Release);
        (rate, reader.join().unwrap())
    });
    report(
        "with a subscriber to all events",
        rate,
        "contexts/s",
        &format!("{}, {told} told", percent(rate, alone)),
    );
}

fn batches(count: u32, alone: f64) {
    for mode in [BatchMode::Each, BatchMode::AllOrNothing] {
        let engine = Engine::new();
        let session = open(&engine);
        let steps = |from: u32| -> Vec<SaContextStep> {
            let step = |number: u32| {
                let spi = Spi::new(number + 0x1000).unwrap();
                let pair = BundlePair { inbound: bundle(spi), outbound: bundle(spi) };
                let new = NewSaContext::new(traffic(number));
                let request = InboundRequest::new(new.traffic.clone());
                SaContextStep::Establish(new, request, Box::new(pair))
            };
            (from..count.min(from + 1000)).map(step).collect()
        };
        let start = Instant::now();
        for from in (0..count).step_by(1000) {
            session.sa_context_batch(steps(from), mode).unwrap();
        }
        let rate = f64::from(count) / start.elapsed().as_secs_f64();
        report(
            &format!("established in batches of 1,000, {mode:?}"),
            rate,
            "contexts/s",
            &percent(rate, alone),
        );
    }
    println!();
}

fn templates(engine: &Engine, count: u32) {
    let session = open(engine);
    let mut times: Vec<Duration> = (0..2000_u32)
        .map(|round| {
            let remote = Ipv4Addr::from(0x0B00_0000 + round.wrapping_mul(2_654_435_761) % count);
            let network = format!("{remote}/32").parse().unwrap();
            let template = ContextTemplate {
                remote: openwfp_api::AddressMatch::Subnet(network),
                ..ContextTemplate::default()
            };
            let options = EnumOptions { template, ..EnumOptions::default() };
            let start = Instant::now();
            let id = session.sa_context_create_enum(&options).unwrap();
            let page = session.sa_context_enum(id, 100).unwrap().accept();
            let took = start.elapsed();
            assert_eq!(page.len(), 1);
            session.destroy_enum(id).unwrap();
            took
        })
        .collect();
    times.sort_unstable();
    let at = |share: f64| times[(times.len() as f64 * share) as usize].as_secs_f64() * 1e6;
    report("a /32 template: handle and first page, median", at(0.5), "us", "");
    report("  the slowest in a hundred", at(0.99), "us", "");
}

fn writes_during_an_enumeration(engine: &Engine) {
    let session = open(engine);
    let mut times = Vec::new();
    for round in 0..10_u32 {
        let id = session.sa_context_create_enum(&EnumOptions::default()).unwrap();
        std::thread::scope(|scope| {
            let reader = scope.spawn(|| {
                let mut seen = 0;
                loop {
                    let page = black_box(session.sa_context_enum(id, 1000).unwrap().accept());
                    seen += page.len();
                    if page.len() < 1000 {
                        return seen;
                    }
                }
            });
            let mut number = 0x0080_0000 + round * 0x0001_0000;
            // Write at least once: with a small engine, the reader may finish before the first write.
            loop {
                let new = NewSaContext::new(traffic(number));
                let request = InboundRequest::new(new.traffic.clone());
                let mut timed = |write: &dyn Fn()| {
                    let start = Instant::now();
                    write();
                    times.push(start.elapsed());
                };
                let made = std::cell::Cell::new(SaContextId(0));
                timed(&|| made.set(session.sa_context_create(&new).unwrap()));
                let spi = std::cell::Cell::new(None);
                timed(&|| spi.set(Some(session.sa_context_get_spi(made.get(), &request).unwrap())));
                timed(&|| session.sa_context_add_inbound(made.get(), bundle(spi.get().unwrap())).unwrap());
                timed(&|| session.sa_context_add_outbound(made.get(), bundle(spi.get().unwrap())).unwrap());
                timed(&|| session.sa_context_delete_by_id(made.get()).unwrap());
                number += 1;
                if reader.is_finished() {
                    break;
                }
            }
            reader.join().unwrap();
        });
        session.destroy_enum(id).unwrap();
    }
    times.sort_unstable();
    let at = |share: f64| times[((times.len() - 1) as f64 * share) as usize].as_secs_f64() * 1e6;
    let many = format!("{} writes", times.len());
    report("a write while all are enumerated, median", at(0.5), "us", &many);
    report("  p99.9", at(0.999), "us", "");
    report("  the slowest", at(1.0), "us", "");
}

/// CPU time of this process.
fn cpu() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let behind_name = stat.rsplit(") ").next().unwrap();
    let ticks: u64 = behind_name.split(' ').skip(11).take(2).map(|field| field.parse::<u64>().unwrap()).sum();
    Duration::from_millis(ticks * 10)
}

fn idle(engine: &Engine) {
    let gauges = engine.gauges();
    let before = cpu();
    std::thread::sleep(Duration::from_secs(5));
    let used = (cpu() - before).as_secs_f64() / 5.0 * 100.0;
    let beside = format!("{} contexts, {} timers, over 5 s", gauges.sa_contexts, gauges.timers);
    report("CPU while nothing is due", used, "%", &beside);
}

fn deletes(count: u32) {
    println!();
    let mut first = None;
    for count in [count / 10, count] {
        let engine = Engine::new();
        let session = open(&engine);
        live_many(&*session, count);
        let start = Instant::now();
        for id in 1..=u64::from(count) {
            session.sa_context_delete_by_id(SaContextId(id)).unwrap();
        }
        let each = start.elapsed().as_secs_f64() * 1e9 / f64::from(count);
        let beside =
            first.map_or(String::new(), |first: f64| format!("{:.2} times that of a tenth", each / first));
        report(&format!("delete all of {count}, each"), each, "ns", &beside);
        first = first.or(Some(each));
    }
}

/// Compares one million contexts with ten million: memory, and the rate of pages.
fn many() {
    let mut first = None;
    for count in [1_000_000, 10_000_000] {
        let before = resident();
        let engine = Engine::new();
        let session = open(&engine);
        let rate = live_many(&*session, count);
        report(&format!("full lives of {count}"), rate, "contexts/s", "");
        let held = resident() - before;
        report("  memory", held as f64 / 1e9, "GB", &format!("{} bytes a context", held / u64::from(count)));
        let best = (0..3)
            .map(|_| {
                let id = session.sa_context_create_enum(&EnumOptions::default()).unwrap();
                let start = Instant::now();
                while black_box(session.sa_context_enum(id, 1000).unwrap().accept()).len() == 1000 {}
                let took = start.elapsed();
                session.destroy_enum(id).unwrap();
                f64::from(count) / took.as_secs_f64()
            })
            .fold(0.0, f64::max);
        let beside =
            first.map_or(String::new(), |first: f64| format!("{:.2} times the time a context", first / best));
        report("  walk all in pages of 1,000", best, "contexts/s", &beside);
        first = first.or(Some(best));
    }
}
