//! Benchmarks of the main job: decode and pair a dump, hold the contexts, open enumerators, walk pages.
//!
//! `cargo bench -p openwfp` runs them. Where possible, a line is followed by its upper bound, measured
//! in the same run. Pass a number to change the number of contexts (default: one million), or `decode`
//! to skip the engine.
#![allow(clippy::unwrap_used, clippy::cast_possible_truncation, reason = "a benchmark")]
#![allow(clippy::cast_precision_loss, reason = "figures for people")]

use openwfp_api::Completeness;
use openwfp_api::EnumOptions;
use openwfp_api::Mirror;
use openwfp_api::SaContext;
use openwfp_api::Session;
use openwfp_engine::Engine;
use openwfp_engine::SessionOptions;
use openwfp_xfrm::Dumps;
use openwfp_xfrm::Tables;
use openwfp_xfrm::wire::Algorithm;
use openwfp_xfrm::wire::Limits;
use openwfp_xfrm::wire::Message;
use openwfp_xfrm::wire::MessageKind;
use openwfp_xfrm::wire::Messages;
use openwfp_xfrm::wire::Policy;
use openwfp_xfrm::wire::PolicyDirection;
use openwfp_xfrm::wire::PolicyTemplate;
use openwfp_xfrm::wire::RawSelector;
use openwfp_xfrm::wire::State;
use openwfp_xfrm::wire::Templates;
use openwfp_xfrm::wire::TruncatedAuth;
use std::collections::HashSet;
use std::hint::black_box;
use std::net::IpAddr;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;
use std::time::Instant;

const GATEWAY: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));

fn main() {
    let count: u32 = std::env::args().skip(1).find_map(|text| text.parse().ok()).unwrap_or(1_000_000);
    println!("main job, {count} contexts, AES-GCM-16-128 both ways\n");
    if std::env::args().all(|argument| argument != "decode") {
        let engine = hold(count);
        enumerate(&engine, count);
    }
    decode(count);
}

fn report(what: &str, figure: f64, unit: &str, beside: &str) {
    let figure = if figure >= 1e6 { format!("{:.2} M", figure / 1e6) } else { format!("{figure:.0} ") };
    println!("{what:<58} {figure:>10}{unit:<12} {beside}");
}

/// Returns the shortest of several runs, which other work on the machine disturbed least.
fn best<T>(runs: u32, mut run: impl FnMut() -> T) -> (Duration, T) {
    let mut best: Option<(Duration, T)> = None;
    for _ in 0..runs {
        let start = Instant::now();
        let value = run();
        let took = start.elapsed();
        if best.as_ref().is_none_or(|(least, _)| took < *least) {
            best = Some((took, value));
        }
    }
    best.unwrap()
}

fn decode(count: u32) {
    println!();
    let states = state_dump(count);
    let number = f64::from(2 * count);

    let (copying, _) = best(3, || black_box(states.clone()).len());
    let (walking, messages) = best(3, || Messages::new(&states).flatten().count());
    assert_eq!(messages, 2 * count as usize + 1);
    report("copy the dump of states", number / copying.as_secs_f64(), "states/s", "speed of light");
    report("walk its messages", number / walking.as_secs_f64(), "states/s", "");

    let (parsing, _) = best(3, || {
        let mut tables = Tables::default();
        tables.add_state_dump(Messages::new(&states)).unwrap();
        tables
    });
    report("decode it", number / parsing.as_secs_f64(), "states/s", &ratio(copying, parsing));

    let own = HashSet::from([GATEWAY]);
    let (bare, contexts) = best(3, || {
        let mut tables = Tables::default();
        tables.add_state_dump(Messages::new(&states)).unwrap();
        tables.pair(&own)
    });
    assert_eq!(contexts.len(), count as usize);
    drop(contexts);
    report("decode and pair it, no policies", number / bare.as_secs_f64(), "states/s", &ratio(copying, bare));

    let dumps = Dumps { states: states.into(), policies: Some(policy_dump(count)), ..Dumps::default() };
    let (whole, contexts) = best(3, || listed(&dumps));
    assert_eq!(contexts.len(), count as usize);
    assert!(contexts.iter().all(|context| context.selectors.len() == 1));
    let beside = format!("{}, with {} policies to decode", ratio(copying, whole), 3 * count);
    report(
        "decode and pair it with the gateway's policies",
        number / whole.as_secs_f64(),
        "states/s",
        &beside,
    );
}

fn listed(dumps: &Dumps) -> Vec<SaContext> {
    dumps.listing(|part| format!("{part:?}")).unwrap().contexts
}

fn ratio(light: Duration, ours: Duration) -> String {
    format!("{:.1}% of copying", 100.0 * light.as_secs_f64() / ours.as_secs_f64())
}

/// Resident memory in bytes.
fn resident() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    statm.split(' ').nth(1).unwrap().parse::<u64>().unwrap() * 4096
}

/// This must run first, on a fresh heap, so that the measured memory is the engine's.
fn hold(count: u32) -> Engine {
    let dumps =
        Dumps { states: state_dump(count).into(), policies: Some(policy_dump(count)), ..Dumps::default() };
    let before = resident();
    let engine = Engine::new();
    let start = Instant::now();
    engine.mirror().replace(listed(&dumps), Completeness::Whole).unwrap();
    let took = start.elapsed();
    let held = resident() - before;
    report(
        "list: decode, pair and put into the engine",
        f64::from(count) / took.as_secs_f64(),
        "contexts/s",
        "",
    );
    report(
        "memory a context, indexes included",
        held as f64 / f64::from(count),
        "bytes",
        "resident, all of it",
    );
    println!("{:<58} {:>10} bytes", "  of it the context itself", size_of::<SaContext>());
    engine
}

fn enumerate(engine: &Engine, count: u32) {
    let session = engine.open_session(SessionOptions::default()).unwrap();
    let small = Engine::new();
    let dumps = Dumps { states: state_dump(1000).into(), ..Dumps::default() };
    small.mirror().replace(listed(&dumps), Completeness::Whole).unwrap();
    let small_session = small.open_session(SessionOptions::default()).unwrap();
    println!();
    // Alternate between the two, so that both see the same machine load.
    let mut times = [Vec::new(), Vec::new()];
    for _ in 0..2000 {
        for (session, times) in [&small_session, &session].into_iter().zip(&mut times) {
            let start = Instant::now();
            let id = session.sa_context_create_enum(&EnumOptions::default()).unwrap();
            times.push(start.elapsed());
            session.destroy_enum(id).unwrap();
        }
    }
    for (times, size) in times.iter_mut().zip([1000, count]) {
        times.sort_unstable();
        let median = times[times.len() / 2].as_nanos();
        report(&format!("create an enumerator at {size} contexts"), median as f64, "ns", "median");
    }

    let arcs: Vec<Arc<SaContext>> = walk(&*session);
    let (cloning, _) =
        best(5, || arcs.chunks(1000).map(|chunk| black_box(chunk.to_vec()).len()).sum::<usize>());
    let light = f64::from(count) / cloning.as_secs_f64();
    report("clone a plain vector of shared contexts by 1,000", light, "contexts/s", "speed of light");
    let (walking, _) = best(5, || walk_count(&*session));
    let beside = format!("{:.0}% of that", 100.0 * cloning.as_secs_f64() / walking.as_secs_f64());
    report("walk all in pages of 1,000", f64::from(count) / walking.as_secs_f64(), "contexts/s", &beside);
    drop(arcs);

    churn(engine, &*session);
    let (walking, _) = best(5, || walk_count(&*session));
    report("the same after the heap was churned", f64::from(count) / walking.as_secs_f64(), "contexts/s", "");
}

fn walk(session: &dyn Session) -> Vec<Arc<SaContext>> {
    let id = session.sa_context_create_enum(&EnumOptions::default()).unwrap();
    session.sa_context_enum(id, u32::MAX).unwrap().accept()
}

fn walk_count(session: &dyn Session) -> usize {
    let id = session.sa_context_create_enum(&EnumOptions::default()).unwrap();
    let mut count = 0;
    loop {
        let page = black_box(session.sa_context_enum(id, 1000).unwrap().accept());
        count += page.len();
        if page.len() < 1000 {
            session.destroy_enum(id).unwrap();
            return count;
        }
    }
}

/// Replaces a random half of the contexts several times, so that contexts with adjacent IDs are not
/// adjacent in memory.
fn churn(engine: &Engine, session: &dyn Session) {
    let mut seed = 88_172_645_463_325_252_u64;
    let mut random = move || {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        seed
    };
    for _ in 0..4 {
        let mut contexts: Vec<SaContext> = walk(session).iter().map(|context| (**context).clone()).collect();
        for at in (1..contexts.len()).rev() {
            contexts.swap(at, (random() % (at as u64 + 1)) as usize);
        }
        for context in contexts.iter_mut().step_by(2) {
            let spi = openwfp_api::Spi::new((random() as u32) | 256).unwrap();
            context.state = openwfp_api::SaState::HasSpi { inbound_spi: spi };
            context.inbound = None;
            context.outbound = None;
        }
        engine.mirror().replace(contexts, Completeness::Whole).unwrap();
    }
}

fn peer(number: u32) -> IpAddr {
    Ipv4Addr::from(0x0B00_0000 + number).into()
}

fn state_dump(count: u32) -> Vec<u8> {
    let mut out = Vec::with_capacity(count as usize * 800);
    let mut payload = Vec::new();
    for number in (0..count).rev() {
        for outbound in [true, false] {
            let key = [number as u8; 20];
            let (source, destination) =
                if outbound { (GATEWAY, peer(number)) } else { (peer(number), GATEWAY) };
            // SPIs are random in practice; the multiplication scatters them.
            let spi = (2 * number + u32::from(outbound)).wrapping_mul(2_654_435_761) | 0x100;
            payload.clear();
            state(source, destination, spi, number + 1, &key).emit(&mut payload);
            message(MessageKind::NewSa, &payload).emit(&mut out);
        }
    }
    message(MessageKind::Done, &[0; 4]).emit(&mut out);
    out
}

fn message(kind: MessageKind, payload: &[u8]) -> Message<'_> {
    Message { offset: 0, kind, flags: 2, sequence: 1, port: 1, payload }
}

fn state(source: IpAddr, destination: IpAddr, spi: u32, reqid: u32, key: &[u8]) -> State<'_> {
    let algorithm = Algorithm { name: "rfc4106(gcm(aes))", key_bits: 160, key };
    State {
        limits: Limits { add_seconds: (3300, 3960), ..Limits::NONE },
        bytes: 1000,
        packets: 10,
        added: 1_763_875_807 + u64::from(reqid / 1000),
        reqid,
        mode: 1,
        replay_window: 32,
        flags: 32,
        aead: Some(TruncatedAuth { algorithm, icv_bits: 128 }),
        replay: Some([0; 3]),
        ..State::new(source, destination, 50, spi)
    }
}

fn selector(source: [u8; 4], destination: [u8; 4], source_prefix: u8, destination_prefix: u8) -> RawSelector {
    let wide = |bytes: [u8; 4]| {
        let mut wide = [0; 16];
        wide[..4].copy_from_slice(&bytes);
        wide
    };
    RawSelector {
        destination: wide(destination),
        source: wide(source),
        family: 2,
        destination_prefix,
        source_prefix,
        ..RawSelector::ANY
    }
}

/// Three policies per tunnel (out, in and forward), as strongSwan installs them.
fn policy_dump(count: u32) -> Vec<u8> {
    let mut out = Vec::with_capacity(count as usize * 850);
    for number in (0..count).rev() {
        let site = (0x1400_0000 + 16 * number).to_be_bytes();
        let directions = [PolicyDirection::Forward, PolicyDirection::In, PolicyDirection::Out];
        for (place, direction) in (0..).zip(directions) {
            let outbound = direction == PolicyDirection::Out;
            let (source, destination) =
                if outbound { (GATEWAY, peer(number)) } else { (peer(number), GATEWAY) };
            let template = PolicyTemplate {
                destination,
                source,
                spi: 0,
                protocol: 50,
                reqid: number + 1,
                mode: 1,
                optional: false,
            };
            let selector = if outbound {
                selector([10, 0, 0, 0], site, 8, 28)
            } else {
                selector(site, [10, 0, 0, 0], 28, 8)
            };
            let mut payload = Vec::new();
            let mut templates = Vec::new();
            template.emit(&mut templates);
            let templates = Templates::parse(&templates).unwrap();
            Policy::new(selector, direction, 8 * (3 * number + place) + 1, templates).emit(&mut payload);
            message(MessageKind::NewPolicy, &payload).emit(&mut out);
        }
    }
    message(MessageKind::Done, &[0; 4]).emit(&mut out);
    out
}
