//! A soak: a daemon with 2,000 sessions, changes, slow readers, hostile clients and killed clients, for as long as
//! `OPENWFP_SOAK_SECONDS` says. `scripts/soak` runs it. Its figures depend on the machine, so it is not one of the tests that
//! `scripts/test` runs.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test")]

#[path = "attack/daemon.rs"]
mod daemon;
#[path = "attack/raw.rs"]
mod raw;

use daemon::*;
use openwfp::SessionOptions;
use openwfp::api::object::Filter;
use openwfp::api::object::Object;
use openwfp::api::object::ObjectKind;
use openwfp::api::object::ObjectName;
use openwfp::api::object::step::ObjectStep;
use openwfp::api::*;
use raw::Raw;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::time::Duration;
use std::time::Instant;

/// Open sessions of well-behaved clients.
const SESSIONS: usize = 1900;
/// SA contexts that stay.
const CONTEXTS: u32 = 1000;

fn traffic(number: u32) -> NewSaContext {
    let remote = std::net::Ipv4Addr::from(0x0A00_0000 + number);
    NewSaContext::new(Traffic::new(
        Endpoints::new([192, 0, 2, 1].into(), remote.into()).unwrap(),
        Mode::Transport,
    ))
}

/// Lists all SA contexts in a session of its own, as `wfp sa list` does; how long that takes.
fn list(daemon: &Daemon) -> Duration {
    let start = Instant::now();
    let session = daemon.own().open_session(SessionOptions::new()).unwrap();
    let count = session.sa_contexts(&EnumOptions::default()).unwrap().count();
    assert!(count >= CONTEXTS as usize, "{count}");
    start.elapsed()
}

/// The 99th percentile of many listings.
fn percentile(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() * 99 / 100]
}

#[test]
fn memory_stays_flat_and_listings_stay_fast() {
    let seconds = std::env::var("OPENWFP_SOAK_SECONDS").map_or(3600, |text| text.parse().unwrap());
    let config = format!("[access]\noperators = [\"user:{OTHER}\"]\n[log]\nlevel = \"warn\"");
    let daemon = Arc::new(Daemon::start(&config));
    let own = daemon.own().open_session(SessionOptions::new()).unwrap();
    for number in 0..CONTEXTS {
        own.sa_context_create(&traffic(number)).unwrap();
    }
    let idle = percentile((0..1000).map(|_| list(&daemon)).collect());
    let sessions: Vec<_> =
        (0..SESSIONS).map(|_| daemon.own().open_session(SessionOptions::new()).unwrap()).collect();
    // Subscribers that never read.
    let slow: Vec<_> = sessions
        .iter()
        .take(50)
        .map(|session| session.events(&SubscriptionOptions::all()).unwrap())
        .collect();
    let done = Arc::new(AtomicBool::new(false));
    let spawn = |work: fn(&Daemon)| {
        let (daemon, done) = (Arc::clone(&daemon), Arc::clone(&done));
        std::thread::spawn(move || {
            while !done.load(Ordering::Relaxed) {
                work(&daemon);
            }
        })
    };
    let threads = [spawn(change), spawn(changes_of_other), spawn(hostile), spawn(garbage), spawn(killed)];
    let start = Instant::now();
    let (mut times, mut samples) = (Vec::new(), Vec::new());
    let mut next = Duration::from_secs(seconds) / 20;
    while start.elapsed() < Duration::from_secs(seconds) {
        times.push(list(&daemon));
        std::thread::sleep(Duration::from_millis(20));
        if start.elapsed() >= next {
            samples.push(daemon.memory());
            println!(
                "{:>5} s  {:>6} KiB  {} listings",
                start.elapsed().as_secs(),
                daemon.memory() / 1024,
                times.len()
            );
            next += Duration::from_secs(seconds) / 20;
        }
    }
    done.store(true, Ordering::Relaxed);
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    drop((slow, sessions));
    let loaded = percentile(times);
    println!("p99 of a listing: idle {idle:?}, loaded {loaded:?}");
    // The second quarter is warm.
    let (warm, end) = (samples[samples.len() / 4], samples[samples.len() - 1]);
    println!("memory: warm {} KiB, at the end {} KiB", warm / 1024, end / 1024);
    assert!(end < warm + warm / 5 + (16 << 20), "the memory grows");
    assert!(loaded < 3 * idle, "listings become slow");
}

/// A client that adds and deletes SA contexts.
fn change(daemon: &Daemon) {
    let session = daemon.own().open_session(SessionOptions::new()).unwrap();
    for number in 0..200 {
        let id = session.sa_context_create(&traffic(1_000_000 + number)).unwrap();
        session.sa_context_delete_by_id(id).unwrap();
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// A client of another user that adds and deletes filters, and leaves some to its end.
fn changes_of_other(daemon: &Daemon) {
    let Ok(mut other) = Raw::try_open(daemon.port) else { return };
    for _ in 0..100 {
        let filter = Filter {
            name: "soak".into(),
            layer: guids::layer::IKEEXT_V4,
            action: object::Action { kind: object::ActionType::Permit, callout: Guid::default() },
            ..Filter::default()
        };
        let Ok(id) = other.step(&ObjectStep::add(Object::Filter(filter))) else { return };
        let _ = other.step(&ObjectStep::delete(ObjectKind::Filter, ObjectName::Id(id)));
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// A client that keeps no rules: requests that it never finishes, batches without sense, transactions that it keeps.
fn hostile(daemon: &Daemon) {
    let Ok(mut other) = Raw::try_open(daemon.port) else { return };
    for stream in 0..20 {
        other.unfinished(stream, "SaContextBatch", 15 << 20, 1 << 20);
    }
    let _ = other.batch(20_000);
    let _ = other.call("TransactionBegin", &[0x10, 1]);
    std::thread::sleep(Duration::from_millis(100));
}

/// A client that sends bytes that are no protocol.
fn garbage(daemon: &Daemon) {
    use std::io::Write;
    for number in 0..20_u8 {
        if let Ok(mut stream) = std::net::TcpStream::connect(daemon.port) {
            let _ = stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
            let _ = stream.write_all(&[number.wrapping_mul(37); 4096]);
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// A program that is killed while it watches.
fn killed(daemon: &Daemon) {
    let socket = format!("unix:{}", daemon.socket().display());
    let mut child = wfp()
        .args(["--engine", &socket, "sa", "watch"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    std::thread::sleep(Duration::from_millis(200));
    child.kill().unwrap();
    child.wait().unwrap();
}
