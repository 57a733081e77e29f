//! Benchmark of IPsec policies in a kernel, compared with `ip -batch`. `scripts/bench-xfrm` runs it in the kernel lab.
#![allow(clippy::unwrap_used, missing_docs, reason = "a benchmark")]

use openwfp::Engine;
use openwfp::EngineUrl;
use openwfp::SessionOptions;
use openwfp::api::Guid;
use openwfp::api::Session;
use openwfp::api::TransactionMode;
use openwfp::api::guids::callout;
use openwfp::api::guids::condition;
use openwfp::api::guids::layer;
use openwfp::api::guids::sublayer;
use openwfp::api::object::Action;
use openwfp::api::object::ActionType;
use openwfp::api::object::FILTER_HAS_PROVIDER_CONTEXT;
use openwfp::api::object::Filter;
use openwfp::api::object::FilterCondition;
use openwfp::api::object::FilterContext;
use openwfp::api::object::MatchType;
use openwfp::api::object::Object;
use openwfp::api::object::ObjectKind;
use openwfp::api::object::ObjectName;
use openwfp::api::object::ProviderContext;
use openwfp::api::object::policy::Policy;
use openwfp::api::object::policy::TunnelEndpoints;
use openwfp::api::object::policy::TunnelPolicy;
use openwfp::api::object::value::Value;
use openwfp::api::record::Address;
use std::process::Command;
use std::time::Duration;
use std::time::Instant;

fn main() {
    let mut arguments = std::env::args().skip(1);
    let Some(policies) = arguments.by_ref().find(|it| it == "--in-the-lab").and(arguments.next()) else {
        println!("spd: not measured here; scripts/bench-xfrm measures it in the kernel lab");
        return;
    };
    let policies: u32 = policies.parse().unwrap();
    println!("{policies} tunnel policies with a filter each, the lowest and the highest of three runs:");
    let before = peak();
    let engine = Engine::at(&EngineUrl::XFRM).unwrap();
    let session = engine.open_session(SessionOptions::new()).unwrap();
    let (mut adding, mut deleting, mut ip_adding, mut ip_deleting) = (vec![], vec![], vec![], vec![]);
    for _ in 0..3 {
        let mut added = Vec::new();
        adding.push(time(|| added = add(&*session, policies)));
        // Each has a policy for what leaves, for what arrives and for what is forwarded.
        assert_eq!(count(), 3 * policies);
        deleting.push(time(|| {
            session.transaction_begin(TransactionMode::ReadWrite).unwrap();
            for (kind, id) in added.iter().rev() {
                session.object_delete(*kind, ObjectName::Id(*id)).unwrap();
            }
            session.transaction_commit().unwrap();
        }));
        assert_eq!(count(), 0);
        std::fs::write("/run/batch", (0..policies).map(|n| lines("add", n)).collect::<String>()).unwrap();
        ip_adding.push(time(|| sh("ip -batch /run/batch")));
        assert_eq!(count(), 3 * policies);
        std::fs::write("/run/batch", (0..policies).map(|n| lines("delete", n)).collect::<String>()).unwrap();
        ip_deleting.push(time(|| sh("ip -batch /run/batch")));
    }
    row("ip -batch adds the same kernel policies", &ip_adding, "");
    row("one transaction adds them", &adding, &ratio(&ip_adding, &adding));
    row("ip -batch deletes them", &ip_deleting, "");
    row("one transaction deletes them", &deleting, &ratio(&ip_deleting, &deleting));
    println!("peak of this process' memory: {} MiB, {} MiB at its start", peak() / 1024, before / 1024);
}

/// Adds policies with a filter each in one transaction.
fn add(session: &dyn Session, policies: u32) -> Vec<(ObjectKind, u64)> {
    let mut added = Vec::new();
    session.transaction_begin(TransactionMode::ReadWrite).unwrap();
    for n in 0..policies {
        let key = Guid::new(n, 1, 1, [1; 8]);
        let address = |text: &str| Address(text.parse().unwrap());
        let endpoints = TunnelEndpoints {
            local: address("192.0.2.1"),
            remote: address("192.0.2.2"),
            ..TunnelEndpoints::default()
        };
        let context = Object::ProviderContext(ProviderContext {
            key,
            name: "tunnel".into(),
            policy: Policy::IkeQmTunnel(TunnelPolicy { endpoints, ..TunnelPolicy::default() }),
            ..ProviderContext::default()
        });
        let [local, remote] = networks(n);
        let network = |field, text: &str| FilterCondition {
            field,
            match_type: MatchType::Equal,
            value: Value::network(text.parse().unwrap()),
        };
        let filter = Object::Filter(Filter {
            name: "a pair".into(),
            layer: layer::OUTBOUND_TRANSPORT_V4,
            sublayer: sublayer::IPSEC_TUNNEL,
            conditions: vec![
                network(condition::IP_LOCAL_ADDRESS, &local),
                network(condition::IP_REMOTE_ADDRESS, &remote),
            ],
            action: Action {
                kind: ActionType::CalloutTerminating,
                callout: callout::IPSEC_OUTBOUND_TUNNEL_V4,
            },
            context: FilterContext::ProviderContext(key),
            flags: FILTER_HAS_PROVIDER_CONTEXT,
            ..Filter::default()
        });
        for object in [context, filter] {
            let kind = object.kind();
            added.push((kind, session.object_add(object).unwrap()));
        }
    }
    session.transaction_commit().unwrap();
    added
}

fn networks(n: u32) -> [String; 2] {
    let (a, b) = (n / 250, n % 250);
    [format!("10.{a}.{b}.0/24"), format!("172.{}.{b}.0/24", 16 + a)]
}

/// Returns lines for `ip -batch`: the kernel policies of one tunnel policy.
fn lines(verb: &str, n: u32) -> String {
    let [local, remote] = networks(n);
    ["out", "in", "fwd"]
        .map(|direction| {
            let (from, to, ends) = match direction {
                "out" => (&local, &remote, "src 192.0.2.1 dst 192.0.2.2"),
                _ => (&remote, &local, "src 192.0.2.2 dst 192.0.2.1"),
            };
            let selector = format!("xfrm policy {verb} src {from} dst {to} dir {direction}");
            match verb {
                "add" => {
                    format!("{selector} priority 1000 tmpl {ends} proto esp reqid {} mode tunnel\n", n + 1)
                }
                _ => format!("{selector}\n"),
            }
        })
        .concat()
}

fn sh(command: &str) {
    assert!(Command::new("bash").args(["-c", command]).status().unwrap().success(), "{command}");
}

/// Number of policies in the kernel, those of sockets aside.
fn count() -> u32 {
    let output = Command::new("ip").args(["xfrm", "policy", "count"]).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let words: Vec<&str> = text.split_whitespace().collect();
    let of = |name: &str| -> u32 {
        words[words.iter().position(|word| *word == name).unwrap() + 1].parse().unwrap()
    };
    of("IN") + of("OUT") + of("FWD")
}

/// Most memory that this process has had so far, in KiB.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

fn time(run: impl FnOnce()) -> Duration {
    let begun = Instant::now();
    run();
    begun.elapsed()
}

fn row(what: &str, times: &[Duration], note: &str) {
    let ends = |time: Option<&Duration>| format!("{:.0} ms", time.unwrap().as_secs_f64() * 1000.0);
    println!("{what:<50} {:>12} - {:>12}  {note}", ends(times.iter().min()), ends(times.iter().max()));
}

fn ratio(slow: &[Duration], fast: &[Duration]) -> String {
    let best = |times: &[Duration]| times.iter().min().unwrap().as_secs_f64();
    format!("{:.1} times as fast", best(slow) / best(fast))
}
