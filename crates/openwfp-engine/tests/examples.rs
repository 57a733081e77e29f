//! The examples run, and print what they say.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::process::Command;

fn output(example: &str) -> String {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args([
        "run",
        "--quiet",
        "--locked",
        "--offline",
        "--package",
        "openwfp-engine",
        "--example",
        example,
    ]);
    let output = cargo.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn a_keying_daemon_sets_up_rekeys_and_takes_down() {
    let lines = output("keying_daemon");
    let expected = "tunnel 1 is complete\ntunnel 2 replaces 1, which is expiring\n1 rekey so far\n\
                    SA context 1 is expiring: only a context that has an SA";
    assert!(lines.starts_with(expected), "{lines}");
}

#[test]
fn a_watcher_keeps_its_copy_though_events_are_dropped() {
    let lines = output("watcher");
    assert_eq!(
        lines,
        "2 contexts after 1 listing\n4 events were dropped: list again\n9 contexts after 2 listings\n"
    );
}

#[test]
fn pages_of_a_template_lose_nothing() {
    let lines = output("paging");
    assert!(lines.ends_with("128 contexts with peers in 203.0.113.0/25\n"), "{lines}");
    assert_eq!(lines.lines().count(), 5, "pages of 40, 40, 40 and 8, and the sum");
}
