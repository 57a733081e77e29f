//! Objects through the command line and a real daemon: persistent ones over kills of it, and what people read.
#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "a test")]

use openwfp::api::guids::condition;
use openwfp::api::guids::layer;
use openwfp::api::object::policy::*;
use openwfp::api::object::template::ObjectTemplate;
use openwfp::api::object::value::Value;
use openwfp::api::object::*;
use openwfp::api::record::Address;
use openwfp::api::*;
use std::path::Path;
use std::path::PathBuf;
use std::process::Child;
use std::process::Command;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;
use std::time::Instant;

struct Directory(PathBuf);

impl Directory {
    fn new(name: &str) -> Directory {
        let path = std::env::temp_dir().join(format!("openwfp-{name}-{}", std::process::id()));
        drop(std::fs::remove_dir_all(&path));
        std::fs::create_dir(&path).unwrap();
        Directory(path)
    }

    fn url(&self) -> String {
        format!("unix:{}", self.0.join("s").display())
    }

    fn start(&self) -> Child {
        let socket = self.0.join("s");
        Command::new(env!("CARGO_BIN_EXE_wfp"))
            .args(["serve", "--engine", "memory:", "--unix"])
            .arg(&socket)
            .arg("--set")
            .arg(format!("state.directory={}", self.0.join("state").display()))
            .stderr(Stdio::null())
            .spawn()
            .unwrap()
    }

    /// A session with the daemon, once it is there.
    fn open(&self) -> Arc<dyn Session> {
        let begun = Instant::now();
        loop {
            match openwfp::open(&self.url().parse().unwrap()) {
                Ok(session) => return session,
                Err(error) => assert!(begun.elapsed() < Duration::from_secs(30), "{error}"),
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    fn run(&self, arguments: &[&str]) -> std::process::Output {
        let mut wfp = Command::new(env!("CARGO_BIN_EXE_wfp"));
        wfp.args(["--engine", &self.url()]).args(arguments).stdin(Stdio::null()).output().unwrap()
    }

    fn wfp(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    /// What a command says that fails.
    fn fails(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        assert!(!output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stdout));
        String::from_utf8(output.stderr).unwrap()
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.0));
    }
}

fn key(kind: u16, number: u32) -> Guid {
    Guid::new(number, kind, 7, [7; 8])
}

/// A provider and a filter that names it, persistent, in one transaction.
fn add_pair(session: &dyn Session, number: u32) -> Result<()> {
    session.transaction_begin(TransactionMode::ReadWrite)?;
    session.object_add(Object::Provider(Provider {
        key: key(1, number),
        name: "p".into(),
        flags: FLAG_PERSISTENT,
        ..Provider::default()
    }))?;
    session.object_add(Object::Filter(Filter {
        key: key(2, number),
        name: "f".into(),
        flags: FLAG_PERSISTENT,
        provider: Some(key(1, number)),
        layer: layer::IKEEXT_V4,
        action: Action { kind: ActionType::Permit, callout: Guid::default() },
        ..Filter::default()
    }))?;
    session.transaction_commit()
}

fn numbers(session: &dyn Session, kind: ObjectKind, data2: u16) -> Vec<u32> {
    let id = session.object_create_enum(&ObjectTemplate::all(kind)).unwrap();
    let page = session.object_enum(id, u32::MAX).unwrap().accept();
    let mut found: Vec<u32> = page
        .iter()
        .map(|object| object.key())
        .filter(|key| key.data2 == data2)
        .map(|key| key.data1)
        .collect();
    found.sort_unstable();
    found
}

fn kill(child: &mut Child) {
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn a_daemon_killed_at_any_moment_keeps_what_it_confirmed_and_no_half_of_anything() {
    let directory = Directory::new("kill");
    let mut confirmed = Vec::new();
    for round in 0..12_u64 {
        let mut daemon = directory.start();
        let session = directory.open();
        let found = numbers(&*session, ObjectKind::Provider, 1);
        assert_eq!(found, numbers(&*session, ObjectKind::Filter, 2), "a pair is there or not");
        assert!(confirmed.iter().all(|number| found.contains(number)), "{confirmed:?} {found:?}");
        let first = found.last().map_or(0, |last| last + 1);
        let killer = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_micros(500 + round * 1700));
            kill(&mut daemon);
        });
        for number in first.. {
            match add_pair(&*session, number) {
                Ok(()) => confirmed.push(number),
                Err(_) => break,
            }
        }
        killer.join().unwrap();
    }
    assert!(confirmed.len() > 10, "the daemon died before it did anything: {}", confirmed.len());
    let mut daemon = directory.start();
    let session = directory.open();
    for number in numbers(&*session, ObjectKind::Filter, 2) {
        session.object_delete(ObjectKind::Filter, ObjectName::Key(key(2, number))).unwrap();
    }
    kill(&mut daemon);
    let mut daemon = directory.start();
    assert!(numbers(&*directory.open(), ObjectKind::Filter, 2).is_empty());
    kill(&mut daemon);
}

fn network(field: Guid, text: &str) -> FilterCondition {
    FilterCondition { field, match_type: MatchType::Equal, value: Value::network(text.parse().unwrap()) }
}

#[test]
fn people_see_objects_and_why_a_packet_is_tunnelled() {
    let directory = Directory::new("commands");
    let mut daemon = directory.start();
    let session = directory.open();
    let context = session
        .object_add(Object::ProviderContext(ProviderContext {
            name: "to the branch".into(),
            key: key(1, 1),
            policy: Policy::IkeQmTunnel(TunnelPolicy {
                endpoints: TunnelEndpoints {
                    local: Address("192.0.2.1".parse().unwrap()),
                    remote: Address("192.0.2.2".parse().unwrap()),
                    ..TunnelEndpoints::default()
                },
                em_policy: Some(EmPolicy {
                    authentication_methods: vec![AuthenticationMethod {
                        method: 0,
                        detail: AuthenticationDetail::PresharedKey(PresharedKey {
                            key: Key::new(b"7365637265742121"),
                            flags: 0,
                        }),
                    }],
                    ..EmPolicy::default()
                }),
                ..TunnelPolicy::default()
            }),
            ..ProviderContext::default()
        }))
        .unwrap();
    let filter = session
        .object_add(Object::Filter(Filter {
            name: "branch".into(),
            flags: FILTER_HAS_PROVIDER_CONTEXT,
            layer: layer::OUTBOUND_TRANSPORT_V4,
            sublayer: guids::sublayer::IPSEC_TUNNEL,
            conditions: vec![
                network(condition::IP_LOCAL_ADDRESS, "10.1.0.0/16"),
                network(condition::IP_REMOTE_ADDRESS, "10.2.0.0/16"),
            ],
            action: Action {
                kind: ActionType::CalloutTerminating,
                callout: guids::callout::IPSEC_OUTBOUND_TUNNEL_V4,
            },
            context: FilterContext::ProviderContext(key(1, 1)),
            ..Filter::default()
        }))
        .unwrap();
    let list = directory.wfp(&["filter", "list"]);
    let row = list.lines().find(|line| line.contains("branch")).unwrap();
    assert!(row.starts_with(&filter.to_string()), "{list}");
    assert!(row.contains(
        "call IPSEC_OUTBOUND_TUNNEL_V4 IP_LOCAL_ADDRESS 10.1.0.0/16, IP_REMOTE_ADDRESS 10.2.0.0/16"
    ));
    let reason = "this engine has no kernel that could enforce filters";
    let end = format!("1 filter: 1 without effect\n{filter} has no effect: {reason}\n");
    assert!(list.ends_with(&end), "{list}");
    let shown = directory.wfp(&["context", "show", &context.to_string()]);
    assert!(shown.contains("192.0.2.2") && shown.contains("(16 bytes)"), "{shown}");
    for text in [&shown, &directory.wfp(&["context", "list", "-o", "json"])] {
        assert!(!text.contains("7365637265742121"), "{text}");
    }
    let json: serde_json::Value =
        serde_json::from_str(&directory.wfp(&["filter", "list", "-o", "json"])).unwrap();
    assert_eq!(json["objects"][0]["id"], filter);
    assert_eq!((&json["count"], &json["more_after"]), (&1.into(), &serde_json::Value::Null));
    let explained = directory.wfp(&[
        "policy", "explain", "--from", "10.1.0.5", "--to", "10.2.0.9", "--proto", "tcp", "--dport", "443",
    ]);
    for words in
        ["FWPM_LAYER_OUTBOUND_TRANSPORT_V4", "\"branch\"", "\"to the branch\"", "192.0.2.1 to 192.0.2.2"]
    {
        assert!(explained.contains(words), "{words}: {explained}");
    }
    assert!(explained.ends_with(&format!("permitted by filter {filter}\n")), "{explained}");
    let other = directory.wfp(&["policy", "explain", "--from", "10.3.0.5", "--to", "10.2.0.9"]);
    assert!(other.ends_with("permitted: no filter matches\n"), "{other}");
    // Pages, as for SA contexts.
    let first = directory.wfp(&["layer", "list", "--limit", "3", "-o", "json"]);
    let first: serde_json::Value = serde_json::from_str(&first).unwrap();
    let after = first["more_after"].as_str().unwrap();
    let rest = directory.wfp(&["layer", "list", "--after", after, "-o", "jsonl"]);
    let all = directory.wfp(&["layer", "list", "--page-size", "7", "-o", "jsonl"]);
    assert_eq!(rest.lines().count() + 3, all.lines().count());
    for line in all.lines() {
        let layer: serde_json::Value = serde_json::from_str(line).unwrap();
        assert!(layer["key"].as_str().unwrap().starts_with("FWPM_LAYER_"), "{line}");
    }
    assert!(Path::new(&directory.0).join("state/objects.redb").exists());
    // What a user hides from everybody else, root sees and deletes.
    let hidden = "O:S-1-22-1-4711D:P(A;;0xf0fff;;;S-1-22-1-4711)".parse().unwrap();
    let key_of_filter = session.object_get(ObjectKind::Filter, ObjectName::Id(filter)).unwrap().key();
    session
        .set_object_security_info(ObjectKind::Filter, key_of_filter, SecurityInformation::DACL, &hidden)
        .unwrap();
    let shown = directory.wfp(&["filter", "show", &filter.to_string()]);
    assert!(shown.contains("\naccess O:") && shown.contains("S-1-22-1-4711"), "{shown}");
    let asked = directory.fails(&["filter", "delete", &filter.to_string()]);
    assert!(asked.contains("Pass --yes"), "{asked}");
    let used = directory.fails(&["context", "delete", &context.to_string(), "--yes"]);
    assert!(used.contains("is used by the filter") && used.contains("FWP_E_IN_USE"), "{used}");
    let deleted = directory.wfp(&["filter", "delete", &filter.to_string(), "--yes"]);
    assert!(deleted.starts_with("deleted: filter ") && deleted.ends_with(" branch\n"), "{deleted}");
    directory.wfp(&["context", "delete", &context.to_string(), "--yes"]);
    assert!(directory.wfp(&["filter", "list"]).ends_with("0 filters\n"));
    kill(&mut daemon);
}
