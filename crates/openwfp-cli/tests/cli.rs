//! The command line as its users meet it: output, errors, exit codes.
#![allow(clippy::unwrap_used, reason = "a test")]

#[path = "../../openwfp-xfrm/tests/swanctl/mod.rs"]
mod swanctl;

use serde_json::Value;
use std::io::BufRead;
use std::io::BufReader;
use std::io::Read;
use std::path::Path;
use std::path::PathBuf;
use std::process::Command;
use std::process::Stdio;
use swanctl::Child;
use swanctl::children;

fn sample(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../samples").join(name)
}

fn wfp() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_wfp"));
    for variable in ["OPENWFP_ENGINE", "WFP_ENGINE", "NO_COLOR", "CLICOLOR_FORCE"] {
        command.env_remove(variable);
    }
    command
}

struct Run {
    code: i32,
    out: String,
    err: String,
}

fn run(command: &mut Command) -> Run {
    let output = command.stdin(Stdio::null()).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Run { code: output.status.code().unwrap(), out: text(output.stdout), err: text(output.stderr) }
}

/// Runs `wfp` on a sample and expects it to succeed in silence.
fn on(name: &str, args: &[&str]) -> String {
    let run = run(wfp().arg("--engine").arg(format!("capture:{}", sample(name).display())).args(args));
    assert_eq!((run.code, run.err.as_str()), (0, ""), "{args:?}: {}", run.out);
    run.out
}

/// A directory of a test's own, removed at its end.
struct Directory(PathBuf);

impl Directory {
    fn new(name: &str) -> Directory {
        let path = std::env::temp_dir().join(format!("openwfp-cli-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Directory(path)
    }

    fn engine(&self) -> String {
        format!("capture:{}", self.0.display())
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[test]
fn the_table_agrees_with_list_sas_line_by_line() {
    let list = std::fs::read_to_string(sample("strongswan-16/list-sas.txt")).unwrap();
    let mut expected = children(&list);
    let table = on("strongswan-16", &["sa", "list"]);
    let lines: Vec<&str> = table.lines().collect();
    let [heading, rows @ .., last] = &lines[..] else { panic!("{table}") };
    assert!(heading.starts_with("ID  STATE"), "{heading}");
    assert_eq!(*last, "16 SA contexts");
    for (row, id) in rows.iter().zip(1..) {
        let cells: Vec<&str> = row.split("  ").map(str::trim).filter(|cell| !cell.is_empty()).collect();
        let [
            number,
            "complete",
            "10.99.0.1",
            "10.99.0.2",
            mode,
            local,
            remote,
            spi_in,
            spi_out,
            transform,
            "1h 6m 40s",
        ] = cells[..]
        else {
            panic!("{row}")
        };
        assert_eq!(number, id.to_string());
        let found = Child {
            reqid: id,
            spi_out: spi_out.into(),
            mode: mode.into(),
            transform: transform.into(),
            local: local.into(),
            remote: remote.into(),
        };
        assert_eq!(expected.remove(spi_in), Some(found), "{row}");
    }
    assert!(expected.is_empty(), "not in the table: {expected:?}");
}

#[test]
fn keys_are_in_no_output_unless_asked_for() {
    let text = std::fs::read_to_string(sample("strongswan-16/ip-s-xfrm-state.txt")).unwrap();
    let is_key = |line: &&str| ["aead", "auth-trunc", "enc"].iter().any(|word| line.trim().starts_with(word));
    let keys: Vec<&str> = text
        .lines()
        .filter(is_key)
        .map(|line| line.split_whitespace().find(|word| word.starts_with("0x")).unwrap())
        .collect();
    assert_eq!(keys.len(), 48, "16 AEADs and 16 pairs of keys");
    for format in ["table", "wide", "json", "jsonl"] {
        let quiet = on("strongswan-16", &["sa", "list", "-o", format]);
        let asked = on("strongswan-16", &["sa", "list", "-o", format, "--show-keys"]);
        for key in &keys {
            assert!(!quiet.contains(&key[2..]), "{format} shows a key");
            assert!(asked.contains(key), "{format} --show-keys lacks {key}");
        }
        let quiet = on("strongswan-16", &["sa", "show", "1", "-o", format]);
        let asked = on("strongswan-16", &["sa", "show", "1", "-o", format, "--show-keys"]);
        assert_eq!(keys.iter().filter(|key| quiet.contains(&key[2..])).count(), 0, "show -o {format}");
        assert_eq!(keys.iter().filter(|key| asked.contains(**key)).count(), 2, "show -o {format}");
    }
}

#[test]
fn pages_of_any_size_and_continued_listings_show_the_same() {
    let whole = on("strongswan-16", &["sa", "list", "-o", "jsonl"]);
    assert_eq!(whole.lines().count(), 16);
    for size in ["1", "5", "16", "17", "4294967295"] {
        assert_eq!(on("strongswan-16", &["sa", "list", "-o", "jsonl", "--page-size", size]), whole, "{size}");
    }
    let mut pieces = String::new();
    let mut after = "0".to_owned();
    loop {
        let piece = on("strongswan-16", &["sa", "list", "-o", "json", "--limit", "5", "--after", &after]);
        let document: Value = serde_json::from_str(&piece).unwrap();
        let contexts = document["contexts"].as_array().unwrap();
        assert_eq!(document["count"], contexts.len());
        for context in contexts {
            pieces.push_str(&format!("{},", context["id"]));
        }
        match document["more_after"].as_str() {
            Some(more) => after = more.to_owned(),
            None => break,
        }
    }
    assert_eq!(pieces, (1..=16).map(|id| format!("{id},")).collect::<String>());
    // An SPI names a context too, and the table says how to go on.
    let behind = on("strongswan-16", &["sa", "list", "-o", "jsonl", "--after", "0xcdda96a9"]);
    assert_eq!(behind.lines().count(), 4);
    let table = on("strongswan-16", &["sa", "list", "--limit", "3"]);
    assert_eq!(table.lines().last(), Some("3 SA contexts, and there are more: --after 3"));
}

#[test]
fn filters_by_address_and_spi_show_what_they_say() {
    let count = |args: &[&str]| {
        let table = on("ipv6-tunnels", &[&["sa", "list", "-o", "jsonl"], args].concat());
        table.lines().count()
    };
    assert_eq!(count(&[]), 4);
    assert_eq!(count(&["--remote", "2001:db8:2::2"]), 1);
    assert_eq!(count(&["--remote", "2001:db8:2::/126"]), 3);
    assert_eq!(count(&["--remote", "2001:db8:2::2-2001:db8:2::9"]), 3);
    assert_eq!(count(&["--remote", "10.0.0.0/8"]), 0);
    assert_eq!(count(&["--local", "2001:db8:1::1"]), 4);
    assert_eq!(count(&["--spi", "0x6012"]), 1);
    assert_eq!(count(&["--spi", "0x6012", "--remote", "2001:db8:2::1"]), 0);
    assert_eq!(on("ipv6-tunnels", &["sa", "list", "--spi", "0x1"]), "0 SA contexts\n");
    let empty: Value =
        serde_json::from_str(&on("ipv6-tunnels", &["sa", "list", "--spi", "1", "-o", "json"])).unwrap();
    assert_eq!(empty["contexts"], Value::Array(Vec::new()));
}

#[test]
fn json_has_the_documented_members() {
    let document: Value = serde_json::from_str(&on("strongswan-16", &["sa", "list", "-o", "json"])).unwrap();
    assert_eq!((&document["version"], &document["complete"]), (&1.into(), &true.into()));
    let context = &document["contexts"][2];
    assert_eq!(context["mode"], "tunnel");
    assert_eq!(context["selectors"]["local"][0], "172.17.2.0/24");
    let sa = &context["inbound"]["sas"][0];
    assert_eq!((&sa["spi"], &sa["protocol"]), (&"0xc0140f5f".into(), &"esp".into()));
    assert_eq!((&sa["transform"], &sa["esn"]), (&"AES-GCM-16-256".into(), &true.into()));
    assert_eq!(context["inbound"]["lifetime"]["seconds"], 4000);
    assert_eq!(context["inbound"]["times"]["added"], "2026-11-23T05:29:43Z");
    assert_eq!(context["inbound"]["encapsulation"], Value::Null);
    let nat: Value = serde_json::from_str(&on("nat-t", &["sa", "show", "2", "-o", "json"])).unwrap();
    assert_eq!(nat["outbound"]["encapsulation"]["remote_port"], 61235);
    let alone: Value = serde_json::from_str(&on("alone", &["sa", "show", "1", "-o", "json"])).unwrap();
    assert_eq!((&alone["outbound"], &alone["state"]), (&Value::Null, &"inbound".into()));
    let larval: Value = serde_json::from_str(&on("larval", &["sa", "show", "1", "-o", "json"])).unwrap();
    assert_eq!((&larval["state"], &larval["larval_spi"]), (&"larval".into(), &"0x0000f001".into()));
    // Every member that the documentation names is there, and no other.
    let documented = include_str!("../../../docs/json.md");
    let mut names = std::collections::BTreeSet::new();
    for name in ["strongswan-16", "nat-t", "alone", "larval", "limits", "marks", "esn", "algorithms"] {
        let document: Value =
            serde_json::from_str(&on(name, &["sa", "list", "-o", "json", "--show-keys"])).unwrap();
        members(&document, &mut names);
    }
    for name in &names {
        let told = [format!("`{name}`"), format!("\"{name}\"")].iter().any(|name| documented.contains(name));
        assert!(told, "docs/json.md does not tell of {name}");
    }
}

fn members(value: &Value, names: &mut std::collections::BTreeSet<String>) {
    match value {
        Value::Object(object) => {
            for (name, value) in object {
                names.insert(name.clone());
                members(value, names);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| members(item, names)),
        _ => {}
    }
}

#[test]
fn what_is_wrong_is_named_with_the_code_and_what_to_do() {
    let fails = |args: &[&str]| {
        let run = run(wfp().args(args));
        assert_eq!((run.code, run.out.as_str()), (1, ""), "{args:?}");
        run.err
    };
    let err = fails(&["--engine", "capture:/nowhere", "sa", "list"]);
    assert!(err.contains("FWP_E_NOT_FOUND") && err.contains("/nowhere/xfrm-state.nl"), "{err}");
    let engine = format!("capture:{}", sample("strongswan-16").display());
    let err = fails(&["--engine", &engine, "sa", "show", "17"]);
    assert!(err.ends_with("no SA context has the id 17 [FWP_E_NOT_FOUND 0x80320008]\n"), "{err}");
    let err = fails(&["--engine", &engine, "sa", "show", "0xdead"]);
    assert!(err.contains("0x0000dead") && err.contains("rekeyed"), "{err}");
    let err = fails(&["explain", "FWP_E_NOTHING"]);
    assert!(err.contains("FWP_E_NOTHING"), "{err}");

    let directory = Directory::new("cut");
    let whole = std::fs::read(sample("strongswan-16/xfrm-state.nl")).unwrap();
    std::fs::write(directory.0.join("xfrm-state.nl"), &whole[..5000]).unwrap();
    let err = fails(&["--engine", &directory.engine(), "sa", "list"]);
    assert!(err.contains("RPC_E_INVALID_DATAPACKET") && err.contains("xfrm-state.nl: byte "), "{err}");
    std::fs::write(directory.0.join("xfrm-state.nl"), "src 10.0.0.1 dst 10.0.0.2\n").unwrap();
    let err = fails(&["--engine", &directory.engine(), "sa", "list"]);
    assert!(err.contains("byte 0") && err.contains("not netlink messages"), "{err}");
}

#[test]
fn a_wrong_command_line_is_exit_code_2_and_says_what_is_right() {
    for args in [
        &["sa", "list", "--remote", "example.org"][..],
        &["sa", "list", "--spi", "0"],
        &["sa", "list", "--page-size", "0"],
        &["--engine", "https:", "sa", "list"],
        &["sa", "show"],
        &["sa", "list", "-o", "xml"],
        &[],
    ] {
        let run = run(wfp().args(args));
        assert_eq!((run.code, run.out.as_str()), (2, ""), "{args:?}");
        assert!(!run.err.is_empty(), "{args:?}");
    }
}

#[test]
fn an_interrupted_dump_is_shown_and_never_taken_for_whole() {
    let directory = Directory::new("interrupted");
    let mut bytes = std::fs::read(sample("strongswan-16/xfrm-state.nl")).unwrap();
    bytes[6] |= 0x10; // NLM_F_DUMP_INTR
    std::fs::write(directory.0.join("xfrm-state.nl"), bytes).unwrap();
    for format in ["table", "json", "jsonl"] {
        let run = run(wfp().args(["--engine", &directory.engine(), "sa", "list", "-o", format]));
        assert_eq!(run.code, 3, "{format}");
        assert!(run.err.contains("incomplete") && run.err.contains("Run the command again"), "{}", run.err);
        match format {
            "table" => assert!(run.out.lines().last().unwrap().contains("16 SA contexts, INCOMPLETE")),
            "json" => assert!(run.out.contains("\"complete\":false"), "{}", run.out),
            _ => assert_eq!(run.out.lines().count(), 16),
        }
    }
}

/// A capture of many states, for what only shows at length.
fn large_capture(name: &str, count: u32) -> Directory {
    use openwfp_xfrm::wire::*;
    let directory = Directory::new(name);
    let bytes = std::fs::read(sample("strongswan-16/xfrm-state.nl")).unwrap();
    let message = Messages::new(&bytes).next().unwrap().unwrap();
    let state = State::parse(&message).unwrap();
    let mut dump = Vec::new();
    for number in 1..=count {
        let mut payload = Vec::new();
        State { spi: 0x1_0000 + number, reqid: number, ..state.clone() }.emit(&mut payload);
        Message { payload: &payload, ..message }.emit(&mut dump);
    }
    Message { kind: MessageKind::Done, payload: &[0; 4], ..message }.emit(&mut dump);
    std::fs::write(directory.0.join("xfrm-state.nl"), dump).unwrap();
    directory
}

#[test]
fn hidden_keys_and_unknown_attributes_are_told_as_such() {
    use openwfp_xfrm::wire::*;
    let bytes = std::fs::read(sample("esn/xfrm-state.nl")).unwrap();
    let message = Messages::new(&bytes).next().unwrap().unwrap();
    let mut state = State::parse(&message).unwrap();
    // A kernel under confidentiality lockdown shows zeros; a newer kernel has attributes of its own.
    let mut aead = state.aead.unwrap();
    aead.algorithm.key = &[0; 36];
    state.aead = Some(aead);
    state.unknown = vec![(41, &[1, 2, 3])];
    let mut payload = Vec::new();
    state.emit(&mut payload);
    let mut dump = Vec::new();
    Message { payload: &payload, ..message }.emit(&mut dump);
    Message { kind: MessageKind::Done, payload: &[0; 4], ..message }.emit(&mut dump);
    let directory = Directory::new("hidden");
    std::fs::write(directory.0.join("xfrm-state.nl"), dump).unwrap();
    let run =
        run(wfp().args(["--engine", &directory.engine(), "sa", "show", "1", "-o", "json", "--show-keys"]));
    let context: Value = serde_json::from_str(&run.out).unwrap();
    let direction = if context["inbound"].is_null() { "outbound" } else { "inbound" };
    let sa = &context[direction]["sas"][0];
    assert_eq!(sa["keys"], serde_json::json!({ "hidden_by_kernel": true }));
    assert_eq!(sa["unknown_attributes"], serde_json::json!([{ "type": 41, "length": 3 }]));
}

#[test]
fn a_tunnel_without_a_policy_does_not_look_as_if_all_were_protected() {
    let table = on("alone", &["sa", "list"]);
    let row: Vec<&str> = table.lines().nth(1).unwrap().split_whitespace().collect();
    assert_eq!(row[4..7], ["tunnel", "-", "-"], "{table}");
    assert!(on("alone", &["sa", "show", "1"]).contains("  selectors  - (no policy)\n"));
    let json: Value = serde_json::from_str(&on("alone", &["sa", "show", "1", "-o", "json"])).unwrap();
    // What the SA itself accepts is no policy, and JSON says so.
    assert_eq!(json["selectors"]["from"], "sa");
    for format in ["table", "wide"] {
        assert!(!on("alone", &["sa", "list", "-o", format]).contains("0.0.0.0/0"), "{format}");
    }
    // A policy for all packets is one.
    assert!(on("marks", &["sa", "list"]).contains("0.0.0.0/0"));
    let json = on("marks", &["sa", "list", "-o", "jsonl"]);
    let first: Value = serde_json::from_str(json.lines().next().unwrap()).unwrap();
    assert_eq!(first["selectors"]["from"], "policy");
}

/// Kernel captures of situations from public bug reports, each with the right answer.
#[test]
fn situations_from_bug_reports_are_shown_right() {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");
    let output = Command::new(format!("{root}/scripts/check-cases"))
        .args([&format!("{root}/samples/cases"), "--wfp", env!("CARGO_BIN_EXE_wfp")])
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    assert!(text.contains("22 of 22 right"), "{text}");
}

/// The engine finds the contexts of a policy, and the provider the policy of a context, each by its own structures.
#[test]
fn policies_name_the_contexts_that_name_them() {
    let lines = |name: &str, command: &str| -> Vec<Value> {
        let printed = on(name, &[command, "list", "-o", "jsonl"]);
        printed.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    };
    let mut checked = 0;
    for parent in ["", "cases/"] {
        for entry in std::fs::read_dir(sample(parent)).unwrap() {
            let name = format!("{parent}{}", entry.unwrap().file_name().display());
            // A member of this bundle is missing, so it does not satisfy its policy.
            let is_capture = sample(&name).join("xfrm-policy.nl").exists();
            if !is_capture || name == "cases/bundle-loses-a-member" {
                continue;
            }
            let policies = lines(&name, "policy");
            for context in lines(&name, "sa") {
                for direction in ["inbound", "outbound"] {
                    let index = context[direction]["filter_id"].as_u64();
                    let Some(index) = index.filter(|index| *index != 0) else { continue };
                    let policy = policies.iter().find(|policy| policy["index"] == index);
                    let named = policy.map(|policy| policy["sa_contexts"].as_array().unwrap());
                    assert!(
                        named.is_some_and(|named| named.contains(&context["id"])),
                        "{name}: {context} {policy:?}"
                    );
                    checked += 1;
                }
            }
        }
    }
    assert!(checked > 100, "{checked}");
    // Four tunnels between the same hosts with one reqid, which only their marks or interface ids tell apart.
    let named = |policy: &Value| policy["sa_contexts"].as_array().unwrap().clone();
    assert!(lines("marks", "policy").iter().all(|policy| named(policy).len() == 1));
}

#[test]
fn a_long_listing_is_the_same_in_any_pieces() {
    // Long enough for a thread of its own to build the contexts.
    let directory = large_capture("long", 40_000);
    let list = |args: &[&str]| {
        let engine = directory.engine();
        let run = run(wfp().args(["--engine", &engine, "sa", "list", "-o", "jsonl"]).args(args));
        assert_eq!((run.code, run.err.as_str()), (0, ""), "{args:?}");
        run.out
    };
    let whole = list(&[]);
    assert_eq!(whole.lines().count(), 40_000);
    assert!(list(&["--page-size", "777"]) == whole, "pages of another size");
    let pieces = list(&["--limit", "20001"]) + &list(&["--after", "20001"]);
    assert!(pieces == whole, "two pieces");
    let ids = whole.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()["id"].as_u64().unwrap());
    assert!(ids.eq(1..=40_000), "numbered in their order");
    let one = list(&["--spi", "0x10007"]);
    assert_eq!(one.lines().count(), 1);
    assert!(whole.lines().any(|line| line == one.trim_end()), "{one}");
}

#[test]
fn a_reader_that_goes_away_ends_the_listing_in_silence() {
    let directory = large_capture("head", 20_000);
    for format in ["table", "json", "jsonl"] {
        let mut child = wfp()
            .args(["--engine", &directory.engine(), "sa", "list", "-o", format])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut first = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut first).unwrap();
        let mut err = String::new();
        child.stderr.take().unwrap().read_to_string(&mut err).unwrap();
        assert_eq!((child.wait().unwrap().code(), err.as_str()), (Some(0), ""), "{format}");
        assert!(!first.is_empty());
    }
}

#[test]
fn piped_output_is_plain_and_colour_can_be_asked_for() {
    let plain = on("strongswan-16", &["sa", "list"]);
    assert!(!plain.contains('\u{1b}'));
    assert!(plain.lines().all(|line| line == line.trim_end()), "no spaces at the ends of lines");
    let coloured = on("strongswan-16", &["--color", "always", "sa", "list"]);
    assert!(coloured.contains("\u{1b}["));
    assert_ne!(coloured, plain);
}

#[test]
fn explain_tells_all_of_a_code() {
    for text in ["0x8032001B", "2150760475", "FWP_E_INCOMPATIBLE_SA_STATE", "-2144206821"] {
        let run = run(wfp().args(["explain", text]));
        assert_eq!((run.code, run.err.as_str()), (0, ""), "{text}");
        for part in [
            "FWP_E_INCOMPATIBLE_SA_STATE",
            "0x8032001B",
            "STATUS_FWP_INCOMPATIBLE_SA_STATE 0xC022001B",
            "meaning",
            "cause",
        ] {
            assert!(run.out.contains(part), "{text}: {}", run.out);
        }
    }
}

#[test]
fn help_has_examples_and_the_exit_codes() {
    let help = run(wfp().arg("--help")).out;
    assert!(
        help.contains("Examples:") && help.contains("Exit codes:") && help.contains("OPENWFP_ENGINE"),
        "{help}"
    );
    assert!(run(wfp().args(["sa", "list", "--help"])).out.contains("Examples:"));
}

/// The commands below a command, as its help lists them.
fn commands_below(path: &[String]) -> Vec<Vec<String>> {
    let help = run(wfp().args(path).arg("--help")).out;
    let Some((_, list)) = help.split_once("Commands:\n") else { return Vec::new() };
    let names = list.lines().take_while(|line| !line.is_empty()).filter(|line| !line.starts_with("   "));
    let names = names.filter_map(|line| line.split_whitespace().next()).filter(|name| *name != "help");
    names.map(|name| [path, &[name.to_owned()]].concat()).collect()
}

#[test]
fn every_help_fits_80_columns_starts_with_a_verb_and_has_its_own_options_first() {
    let mut paths = vec![Vec::new()];
    let mut seen = 0;
    while let Some(path) = paths.pop() {
        let run = run(wfp().args(&path).arg("--help").env("COLUMNS", "80"));
        let help = run.out;
        assert_eq!((run.code, run.err.as_str()), (0, ""), "{path:?}");
        assert!(help.lines().all(|line| line.chars().count() <= 80), "{path:?}:\n{help}");
        let first = help.split_whitespace().next().unwrap();
        assert!(
            ["List", "Show", "Print", "Expire", "Delete", "Write", "Explain", "Run", "Close"]
                .contains(&first.trim_end_matches(',')),
            "{path:?} starts with {first}"
        );
        let below = commands_below(&path);
        if below.is_empty() {
            let own = help.find("\nOptions:").unwrap();
            let global = help.find("\nGlobal options:").unwrap();
            assert!(own < global, "{path:?}:\n{help}");
            let takes_engine = path != ["explain"];
            assert_eq!(help.contains("--engine <"), takes_engine, "{path:?}");
            let changes_sas =
                [&["sa", "expire"][..], &["sa", "delete"], &["serve"]].iter().any(|of| path == *of);
            assert_eq!(help.contains("--adopt"), changes_sas, "{path:?}");
        }
        seen += 1;
        paths.extend(below);
    }
    assert!(seen > 25, "{seen} commands");
}

#[test]
fn flags_that_mean_nothing_for_a_command_are_rejected() {
    for args in [
        &["layer", "list", "--layer", "FWPM_LAYER_IPSEC_V4"][..],
        &["provider", "list", "--sorted"],
        &["callout", "list", "--sorted"],
        &["sublayer", "list", "--layer", "FWPM_LAYER_IPSEC_V4"],
        &["provider", "list", "--provider", "FWPM_PROVIDER_IKEEXT"],
        &["--engine", "memory:", "explain", "5"],
        &["explain", "5", "--engine", "memory:"],
        &["--adopt", "sa", "list"],
        &["sa", "list", "--adopt"],
        &["--cert", "me.pem", "serve", "--check-config"],
        &["--engine", "memory:", "sa", "list", "--engine", "memory:"],
    ] {
        let run = run(wfp().args(args));
        assert_eq!((run.code, run.out.as_str()), (2, ""), "{args:?}: {}", run.err);
        assert!(run.err.starts_with("error: "), "{args:?}: {}", run.err);
    }
    // Before and after the command's name, a flag with a meaning is the same.
    for args in [&["--engine", "memory:", "filter", "list"][..], &["filter", "list", "--engine", "memory:"]] {
        assert_eq!(run(wfp().args(args)).out, "ID  LAYER  SUBLAYER  WEIGHT  EFFECT  NAME  RULE\n0 filters\n");
    }
}

#[test]
fn the_engine_may_come_from_the_environment_by_its_new_name_and_its_old_one() {
    let engine = format!("capture:{}", sample("strongswan-16").display());
    let last = |command: &mut Command| run(command).out.lines().last().map(str::to_owned);
    for name in ["OPENWFP_ENGINE", "WFP_ENGINE"] {
        let found = last(wfp().env(name, &engine).args(["sa", "list"]));
        assert_eq!(found.as_deref(), Some("16 SA contexts"), "{name}");
    }
    let both = last(wfp().env("OPENWFP_ENGINE", &engine).env("WFP_ENGINE", "memory:").args(["sa", "list"]));
    assert_eq!(both.as_deref(), Some("16 SA contexts"), "the new name wins");
    let flag = last(wfp().env("OPENWFP_ENGINE", &engine).args(["sa", "list", "--engine", "memory:"]));
    assert_eq!(flag.as_deref(), Some("0 SA contexts"), "a flag wins");
    let bad = run(wfp().env("OPENWFP_ENGINE", "nowhere").args(["sa", "list"]));
    assert!(bad.code == 1 && bad.err.contains("OPENWFP_ENGINE: "), "{}", bad.err);
}

/// A daemon that serves a capture until it is dropped.
struct Served {
    child: std::process::Child,
    socket: PathBuf,
}

impl Served {
    fn new(name: &str, number: u32) -> Served {
        let socket = std::env::temp_dir().join(format!("openwfp-cli-{}-{number}.sock", std::process::id()));
        let child = wfp()
            .args(["serve", "--engine", &format!("capture:{}", sample(name).display()), "--unix"])
            .arg(&socket)
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let begun = std::time::Instant::now();
        while std::os::unix::net::UnixStream::connect(&socket).is_err() {
            assert!(begun.elapsed() < std::time::Duration::from_secs(10), "the daemon does not listen");
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        Served { child, socket }
    }

    fn engine(&self) -> String {
        format!("unix:{}", self.socket.display())
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        drop(std::fs::remove_file(&self.socket));
    }
}

#[test]
fn a_change_that_would_not_last_is_rejected_with_the_reason() {
    let capture = format!("capture:{}", sample("strongswan-16").display());
    for (engine, verb, reason) in [
        (capture.as_str(), "delete", "an engine of this command alone"),
        (capture.as_str(), "expire", "an engine of this command alone"),
        ("memory:", "delete", "an engine of this command alone"),
    ] {
        let refused = run(wfp().args(["--engine", engine, "sa", verb, "1", "--yes"]));
        assert_eq!((refused.code, refused.out.as_str()), (1, ""), "{verb} {engine}");
        assert!(
            refused.err.contains(reason) && refused.err.contains("ERROR_NOT_SUPPORTED"),
            "{}",
            refused.err
        );
    }
}

#[test]
fn who_declines_sees_cancelled_and_exit_code_1() {
    let terminal = nix::pty::openpty(None, None).unwrap();
    let served = Served::new("strongswan-16", 1);
    let mut child = wfp()
        .args(["--engine", &served.engine()])
        .args(["sa", "delete", "1"])
        .stdin(terminal.slave)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut keyboard = std::fs::File::from(terminal.master);
    std::io::Write::write_all(&mut keyboard, b"n\n").unwrap();
    let (mut out, mut err) = (String::new(), String::new());
    child.stdout.take().unwrap().read_to_string(&mut out).unwrap();
    child.stderr.take().unwrap().read_to_string(&mut err).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(1));
    assert!(out.ends_with("delete this SA context? [y/N] "), "{out}");
    assert_eq!(err, "cancelled\n");
}

#[test]
fn what_is_to_be_deleted_is_shown_and_nobody_deletes_by_accident() {
    let served = Served::new("strongswan-16", 2);
    let engine = served.engine();
    let change =
        |verb: &str, args: &[&str]| run(wfp().arg("--engine").arg(&engine).args(["sa", verb]).args(args));
    let asked = change("delete", &["1", "0xce435ff9"]);
    assert_eq!(asked.code, 1);
    assert!(asked.out.contains("SA context 1") && asked.out.contains("SA context 2"), "{}", asked.out);
    assert!(asked.err.contains("nothing was changed") && asked.err.contains("--yes"), "{}", asked.err);
    let done = change("delete", &["1", "--yes"]);
    assert_eq!((done.code, done.out.as_str()), (0, "deleted: 1 10.99.0.1 <=> 10.99.0.2\n"));
    let expired = change("expire", &["2", "--yes"]);
    assert_eq!((expired.code, expired.out.as_str()), (0, "expiring: 2 10.99.0.1 <=> 10.99.0.2\n"));
    let none = change("delete", &["99", "--yes"]);
    assert!(none.code == 1 && none.err.contains("FWP_E_NOT_FOUND"), "{}", none.err);
}

#[test]
fn an_export_has_a_line_for_each_esp_sa_and_says_what_it_left_out() {
    let export = |name: &str, args: &[&str]| {
        let engine = format!("capture:{}", sample(name).display());
        run(wfp().arg("--engine").arg(&engine).args(["sa", "export", "--format", "wireshark"]).args(args))
    };
    let all = export("strongswan-16", &[]);
    assert_eq!(all.code, 0);
    let (comments, lines): (Vec<&str>, Vec<&str>) = all.out.lines().partition(|line| line.starts_with('#'));
    assert!(comments[0].contains("keys"), "{comments:?}");
    assert!(lines.iter().all(|line| line.starts_with("\"IPv4\",\"10.99.0.")), "{lines:?}");
    assert_eq!((lines.len(), all.err.as_str()), (32, ""), "two SAs each of 16 contexts");
    let rare = export("algorithms", &[]);
    assert!(rare.err.contains("left out 6 SAs"), "there are algorithms that Wireshark lacks: {}", rare.err);
    let one = export("strongswan-16", &["0xc71b7200"]);
    let spis = |spi: &str| one.out.lines().filter(|line| line.contains(spi)).count();
    assert_eq!((one.out.lines().count(), spis("\"0xc71b7200\""), spis("\"0xca7b5bc9\"")), (3, 1, 1));
    assert!(one.out.contains("AES-GCM with 16 octet ICV [RFC4106]"), "{}", one.out);
}
