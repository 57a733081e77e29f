//! Benchmark of following a kernel, compared with `ip xfrm`. `scripts/bench-xfrm` runs it in the kernel
//! lab.
#![allow(clippy::unwrap_used, missing_docs, reason = "a benchmark")]

use openwfp::Engine;
use openwfp::EngineUrl;
use openwfp::SessionOptions;
use openwfp::api::AddressMatch;
use openwfp::api::ContextTemplate;
use openwfp::api::EnumOptions;
use openwfp::api::Session;
use std::fmt::Write as _;
use std::io::Write as _;
use std::process::Command;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;
use std::time::Instant;

fn main() {
    let mut arguments = std::env::args().skip(1);
    let Some(states) = arguments.by_ref().find(|it| it == "--in-the-lab").and(arguments.next()) else {
        println!("kernel: not measured here; scripts/bench-xfrm measures it in the kernel lab");
        return;
    };
    let states: u32 = states.parse().unwrap();
    sh("ip link set lo up; ip address add 10.0.0.1/32 dev lo");
    batch(&(0..states).map(|n| state("add", n)).collect::<String>());
    println!("{states} ESP states, the lowest and the highest of five runs:");

    let ip = times(5, || sh("ip xfrm state >/dev/null"));
    let listing = times(5, || drop(Engine::at(&EngineUrl::XFRM).unwrap()));
    row("ip xfrm state >/dev/null", &ip, "");
    row("the engine lists and pairs them all", &listing, &ratio(&ip, &listing));
    let wfp = std::env::var("WFP").unwrap();
    let command = times(5, || sh(&format!("{wfp} --engine xfrm: sa list -o jsonl >/dev/null")));
    row("wfp --engine xfrm: sa list -o jsonl >/dev/null", &command, &ratio(&ip, &command));

    let engine = Engine::at(&EngineUrl::XFRM).unwrap();
    let session = engine.open_session(SessionOptions::new()).unwrap();
    let one = times(5, || sh("ip xfrm state list src 10.1.7.9 dst 10.0.0.1 >/dev/null"));
    let asked = times(5, || {
        for _ in 0..1000 {
            assert_eq!(of_peer(&session), 1);
        }
    });
    let asked: Vec<Duration> = asked.iter().map(|time| *time / 1000).collect();
    row("ip xfrm state list src PEER dst HOST", &one, "");
    row("a query for one peer, its counters fresh", &asked, &ratio(&one, &asked));

    // Add and delete states continuously, 5,000 changes per second.
    let seconds = 10;
    let mut feed = Command::new("ip")
        .args(["-force", "-batch", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let mut input = feed.stdin.take().unwrap();
    let (cpu, begun) = (cpu_time(), Instant::now());
    let mut changes = 0_u32;
    while begun.elapsed() < Duration::from_secs(seconds) {
        let wanted = u32::try_from(begun.elapsed().as_micros() / 200).unwrap();
        let mut lines = String::new();
        while changes < wanted {
            // Alternately add a state for a new peer and delete it.
            let spi = 0x80_0000 + changes / 2;
            let state =
                format!("src 10.9.{}.{} dst 10.0.0.1 proto ah spi {spi:#x}", spi / 250 % 250, spi % 250 + 1);
            lines.push_str(&match changes.is_multiple_of(2) {
                true => format!("xfrm state add {state} reqid {spi} mode tunnel auth digest_null \"\"\n"),
                false => format!("xfrm state delete {state}\n"),
            });
            changes += 1;
        }
        input.write_all(lines.as_bytes()).unwrap();
        std::thread::sleep(Duration::from_millis(5));
    }
    let (spent, took) = (cpu_time() - cpu, begun.elapsed());
    drop(input);
    feed.wait().unwrap();
    println!(
        "{:<50} {:>8.0} changes/s, {:.0}% of a processor",
        "following, this process' time",
        f64::from(changes) / took.as_secs_f64(),
        100.0 * spent.as_secs_f64() / took.as_secs_f64()
    );
    std::thread::sleep(Duration::from_secs(1));
    let followed = count(&session);
    let listed = count(&Engine::at(&EngineUrl::XFRM).unwrap().open_session(SessionOptions::new()).unwrap());
    assert_eq!(followed, listed, "what was followed is what is there");
}

/// Returns a line for `ip -batch`. Numbers 2n and 2n + 1 form an SA pair.
fn state(verb: &str, n: u32) -> String {
    let peer = n / 2;
    let peer = format!("10.{}.{}.{}", 1 + peer / 65_025, peer / 255 % 255, peer % 255);
    let (from, to) =
        if n.is_multiple_of(2) { (peer.as_str(), "10.0.0.1") } else { ("10.0.0.1", peer.as_str()) };
    let mut line = format!("xfrm state {verb} src {from} dst {to} proto esp spi {:#x}", 0x10_0000 + n);
    if verb == "add" {
        let key = "0x0102030405060708090a0b0c0d0e0f1011121314";
        write!(line, " reqid {} mode tunnel aead rfc4106(gcm(aes)) {key} 128", n / 2 + 1).unwrap();
    }
    line + "\n"
}

fn sh(command: &str) {
    assert!(Command::new("bash").args(["-c", command]).status().unwrap().success(), "{command}");
}

fn batch(lines: &str) {
    std::fs::write("/run/batch", lines).unwrap();
    sh("ip -batch /run/batch");
}

fn of_peer(session: &Arc<dyn Session>) -> usize {
    let remote = AddressMatch::Address([10, 1, 7, 9].into());
    let template = ContextTemplate { remote, ..ContextTemplate::default() };
    listed(session, &EnumOptions { template, ..EnumOptions::default() })
}

fn count(session: &Arc<dyn Session>) -> usize {
    listed(session, &EnumOptions::default())
}

fn listed(session: &Arc<dyn Session>, options: &EnumOptions) -> usize {
    let enumerator = session.sa_context_create_enum(options).unwrap();
    let found = session.sa_context_enum(enumerator, u32::MAX).unwrap().accept().len();
    session.destroy_enum(enumerator).unwrap();
    found
}

/// CPU time of this process.
fn cpu_time() -> Duration {
    let text = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = text.rsplit(')').next().unwrap().split_whitespace().collect();
    // utime and stime, in hundredths of a second.
    Duration::from_millis(10 * (fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()))
}

fn times(runs: u32, mut run: impl FnMut()) -> Vec<Duration> {
    (0..runs)
        .map(|_| {
            let begun = Instant::now();
            run();
            begun.elapsed()
        })
        .collect()
}

fn row(what: &str, times: &[Duration], note: &str) {
    let ends = |time: Option<&Duration>| format!("{:.3} ms", time.unwrap().as_secs_f64() * 1000.0);
    println!("{what:<50} {:>12} - {:>12}  {note}", ends(times.iter().min()), ends(times.iter().max()));
}

fn ratio(slow: &[Duration], fast: &[Duration]) -> String {
    let best = |times: &[Duration]| times.iter().min().unwrap().as_secs_f64();
    format!("{:.1} times as fast", best(slow) / best(fast))
}
