//! Benchmarks of the wire: a listing streamed over a Unix socket to a client that decodes it, the
//! latency of one page, and many concurrent sessions.
//!
//! Run with `cargo bench -p openwfp-rpc`. A numeric argument sets the number of contexts (default: one
//! million).
#![allow(clippy::unwrap_used, clippy::cast_possible_truncation, reason = "a benchmark")]
#![allow(clippy::cast_precision_loss, reason = "figures for people")]

use openwfp_api::*;
use openwfp_engine::Engine;
use openwfp_rpc::ClientOptions;
use openwfp_rpc::RemoteEngine;
use openwfp_rpc::Server;
use openwfp_rpc::ServerOptions;
use openwfp_rpc::Target;
use openwfp_rpc::UnixSocket;
use std::hint::black_box;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;
use std::time::Instant;

fn main() {
    let count: u32 = std::env::args().skip(1).find_map(|text| text.parse().ok()).unwrap_or(1_000_000);
    println!(
        "wire, {count} contexts, AES-GCM-16-128 both ways, as a kernel lists them; both ends in this process\n"
    );
    let engine = Engine::new();
    engine.mirror().replace((0..count).map(context).collect(), Completeness::Whole).unwrap();
    let path = std::env::temp_dir().join(format!("openwfp-bench-{}.sock", std::process::id()));
    let server = Server::start(Arc::new(engine.clone()), ServerOptions::default()).unwrap();
    server.listen_unix(&UnixSocket { path: path.clone(), mode: 0o600, group: None }).unwrap();
    let remote = RemoteEngine::new(Target::Unix(path), ClientOptions::default());

    if std::env::args().any(|argument| argument == "pages") {
        return pages(&*remote.open_session(SessionOptions::new()).unwrap(), count);
    }
    codec(&engine, count);
    let session = remote.open_session(SessionOptions::new()).unwrap();
    for keys in [false, true] {
        if keys {
            session.key_access().unwrap();
        }
        let with = if keys { "with keys" } else { "without keys" };
        listing(&*session, count, u32::MAX, &format!("listing in one call, streamed, {with}"));
        listing(&*session, count, 1000, &format!("listing in pages of 1,000, {with}"));
    }
    pages(&*session, count);
    many(&remote);
}

fn context(number: u32) -> SaContext {
    let peer = Ipv4Addr::from(0x0A00_0000 + number);
    let endpoints = Endpoints::V4 { local: Ipv4Addr::new(192, 0, 2, 1), remote: peer };
    let mut context = SaContext::new(SaContextId(0), Traffic::new(endpoints, Mode::Tunnel));
    let details = |spi: u32| SaDetails {
        filter_id: FilterId(u64::from(number) + 7),
        bundle: SaBundle {
            lifetime: Lifetime { seconds: 3960, kilobytes: 0, packets: 0 },
            ..SaBundle::new(SaList::one(Sa {
                spi: Spi::new(spi).unwrap(),
                transform: Transform::EspAead(Aead {
                    algorithm: AeadAlgorithm::AesGcm,
                    icv_bits: 128,
                    key: Key::new(&[7; 20]),
                }),
                linux: Some(Box::new(LinuxSa {
                    reqid: number + 1,
                    replay_window: 32,
                    added: 1_700_000_000,
                    first_used: 1_700_000_100,
                    soft_add_seconds: 3300,
                    hard_add_seconds: 3960,
                    ..LinuxSa::default()
                })),
            }))
        },
        udp_encapsulation: None,
        virtual_if_tunnel: None,
    };
    context.inbound = Some(details(0x1000_0000 + number));
    context.outbound = Some(details(0x2000_0000 + number));
    context.state = SaState::Complete;
    context.selectors = Selectors::from(Selector {
        local: "10.0.0.0/8".parse().unwrap(),
        remote: IpNet::new(peer.into(), 32).unwrap(),
        protocol: 0,
        local_port: SelectorPorts::default(),
        remote_port: SelectorPorts::default(),
    });
    for counters in [&context.counters.inbound, &context.counters.outbound] {
        counters.bytes.store(123_456, std::sync::atomic::Ordering::Relaxed);
        counters.packets.store(789, std::sync::atomic::Ordering::Relaxed);
        counters.last_used.store(1_700_000_200, std::sync::atomic::Ordering::Relaxed);
    }
    context
}

fn report(what: &str, figure: f64, unit: &str, beside: &str) {
    let figure = if figure >= 1e6 { format!("{:.2} M", figure / 1e6) } else { format!("{figure:.0} ") };
    println!("{what:<58} {figure:>10}{unit:<12} {beside}");
}

/// Measures encoding and decoding alone, one context at a time.
fn codec(engine: &Engine, count: u32) {
    let session = engine.open_session(SessionOptions::new()).unwrap();
    let enumerator = session.sa_context_create_enum(&EnumOptions::default()).unwrap();
    let contexts = session.sa_context_enum(enumerator, count.min(200_000)).unwrap().accept();
    let start = Instant::now();
    let messages: Vec<Vec<u8>> =
        contexts.iter().map(|context| openwfp_rpc::codec::encode_context(context, None)).collect();
    let encoding = start.elapsed();
    let start = Instant::now();
    for message in &messages {
        black_box(openwfp_rpc::codec::decode_context(message).unwrap());
    }
    let decoding = start.elapsed();
    let bytes: usize = messages.iter().map(Vec::len).sum();
    let each = format!("{} bytes each", bytes / messages.len());
    report("encode", contexts.len() as f64 / encoding.as_secs_f64(), "contexts/s", &each);
    report("decode", contexts.len() as f64 / decoding.as_secs_f64(), "contexts/s", "");
}

fn listing(session: &dyn Session, count: u32, page: u32, what: &str) {
    let mut best = Duration::MAX;
    for _ in 0..3 {
        let enumerator = session.sa_context_create_enum(&EnumOptions::default()).unwrap();
        let start = Instant::now();
        let mut found = 0;
        loop {
            let contexts = session.sa_context_enum(enumerator, page).unwrap().accept();
            found += contexts.len();
            if contexts.len() < page as usize {
                break;
            }
        }
        best = best.min(start.elapsed());
        assert_eq!(found, count as usize);
        session.destroy_enum(enumerator).unwrap();
    }
    report(what, f64::from(count) / best.as_secs_f64(), "contexts/s", "");
}

fn percentiles(mut times: Vec<Duration>) -> String {
    times.sort();
    let at = |share: f64| times[((times.len() - 1) as f64 * share) as usize].as_secs_f64() * 1e6;
    format!("p50 {:.0} µs, p90 {:.0} µs, p99 {:.0} µs", at(0.5), at(0.9), at(0.99))
}

fn pages(session: &dyn Session, count: u32) {
    let enumerator = session.sa_context_create_enum(&EnumOptions::default()).unwrap();
    let times = (0..(count / 100).clamp(1, 5000)).map(|_| {
        let start = Instant::now();
        let page = session.sa_context_enum(enumerator, 100).unwrap().accept();
        assert!(!page.is_empty());
        start.elapsed()
    });
    println!("{:<58} {}", "a page of 100", percentiles(times.collect()));
    session.destroy_enum(enumerator).unwrap();
    let times = (0..2000).map(|_| {
        let start = Instant::now();
        session.sa_context_by_id(SaContextId(1)).unwrap();
        start.elapsed()
    });
    println!("{:<58} {}", "get by id", percentiles(times.collect()));
}

/// Resident memory in bytes.
fn resident() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    statm.split(' ').nth(1).unwrap().parse::<u64>().unwrap() * 4096
}

/// Runs rounds in which a thousand open sessions read pages, eight at a time.
fn many(remote: &RemoteEngine) {
    let before = resident();
    let start = Instant::now();
    let sessions: Vec<_> = (0..1000).map(|_| remote.open_session(SessionOptions::new()).unwrap()).collect();
    let each = start.elapsed() / 1000;
    println!("{:<58} {each:?} each", "open 1,000 sessions");
    let mut memory = Vec::new();
    for _ in 0..4 {
        let start = Instant::now();
        let (sessions, pages) = (&sessions, 20);
        std::thread::scope(|scope| {
            for part in sessions.chunks(125) {
                scope.spawn(move || {
                    for session in part {
                        let enumerator = session.sa_context_create_enum(&EnumOptions::default()).unwrap();
                        for _ in 0..pages {
                            drop(session.sa_context_enum(enumerator, 100).unwrap().accept());
                        }
                        session.destroy_enum(enumerator).unwrap();
                    }
                });
            }
        });
        memory.push((resident() - before) >> 20);
        let rate = f64::from(1000 * pages) / start.elapsed().as_secs_f64();
        report("pages of 100 by 1,000 sessions, 8 at a time", rate, "pages/s", "");
    }
    println!("{:<58} {memory:?} MiB after each round", "memory of 1,000 sessions, both ends");
}
