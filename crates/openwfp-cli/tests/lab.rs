//! Live listings in the kernel lab: `cargo test -p openwfp-cli --test lab`, as `scripts/test` does.
#![allow(clippy::unwrap_used, reason = "a test")]

#[path = "lab_inside/mod.rs"]
mod inside;
#[path = "../../openwfp-xfrm/tests/swanctl/mod.rs"]
mod swanctl;

use serde_json::Value;
use std::collections::BTreeSet;
use std::path::Path;
use std::path::PathBuf;
use std::process::Command;
use swanctl::Child;
use swanctl::children;

/// A directory of the test's own, removed at its end.
struct Directory(PathBuf);

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

impl Directory {
    fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.0.join(name)).unwrap_or_else(|e| panic!("{name}: {e}"))
    }
}

/// Runs a script of `tests/lab/` in the kernel lab; what it wrote is in the directory.
fn run(script: &str) -> Directory {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap();
    let out = Directory(std::env::temp_dir().join(format!("openwfp-lab-{script}-{}", std::process::id())));
    std::fs::create_dir_all(&out.0).unwrap();
    let output = Command::new(root.join("scripts/kernel-lab"))
        .args(["-t", "280", "-o"])
        .arg(&out.0)
        .arg(root.join("crates/openwfp-cli/tests/lab").join(script))
        .arg(env!("CARGO_BIN_EXE_wfp"))
        .output()
        .unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "{}\n{}", text(&output.stdout), text(&output.stderr));
    out
}

/// Runs a test of `tests/lab_inside/` in the kernel lab, which this program does there.
fn run_inside(test: &str) {
    run_inside_of(&["-t", "3600"], &[], test);
}

/// Runs a test on the lab's full kernel, which has nftables.
fn run_inside_full(test: &str) {
    run_inside_of(&["--full", "-t", "3600"], &[], test);
}

fn run_inside_of(options: &[&str], environment: &[String], test: &str) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap();
    let output = Command::new(root.join("scripts/kernel-lab"))
        .args(options)
        .arg("env")
        .args(environment)
        .arg(format!("WFP={}", env!("CARGO_BIN_EXE_wfp")))
        .arg(format!(
            "LIST={}",
            Path::new(env!("CARGO_BIN_EXE_wfp")).with_file_name("examples/list").display()
        ))
        // How long strongSwan is watched: `scripts/test --long` makes it a quarter of an hour.
        .arg(format!("LAB_SECONDS={}", std::env::var("OPENWFP_LAB_SECONDS").unwrap_or("40".into())))
        .arg(std::env::current_exe().unwrap())
        .args([&format!("inside::{test}"), "--exact", "--ignored", "--nocapture"])
        .output()
        .unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let out = text(&output.stdout);
    assert!(output.status.success() && out.contains("1 passed"), "{out}\n{}", text(&output.stderr));
}

#[test]
fn the_documentation_literally() {
    // The README's example in Rust, which this package does not build by itself.
    let of_this_package = |name: &str| name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_");
    let built = Command::new(env!("CARGO"))
        .args(["build", "--quiet", "--locked", "--offline", "--package", "openwfp", "--example", "list"])
        // Build scripts would run again for another package's variables.
        .env_clear()
        .envs(std::env::vars().filter(|(name, _)| !of_this_package(name)))
        .status()
        .unwrap();
    assert!(built.success());
    run_inside("docs::the_commands_of_every_page_work");
}

#[test]
fn engines_drive_both_ends_of_every_kind_of_tunnel() {
    run_inside("drive::both_ends_of_every_kind_of_tunnel_work_and_leave_nothing_behind");
}

#[test]
fn limits_wrong_keys_rekeys_moves_and_refusals() {
    run_inside("drive::limits_wrong_keys_rekeys_moves_and_refusals_are_as_promised");
}

#[test]
fn groups_of_a_process() {
    run_inside("groups::a_client_has_the_groups_of_its_process");
}

#[test]
fn tcp_through_a_tunnel() {
    run_inside("drive::tcp_goes_through_a_tunnel");
}

#[test]
fn tshark_with_the_exported_keys() {
    run_inside("drive::tshark_decrypts_a_capture_with_the_exported_keys");
}

#[test]
fn strongswan_rekeys_closes_and_reopens_sixteen_tunnels() {
    run_inside("follow::sixteen_tunnels_rekey_close_and_reopen_and_the_engine_follows");
}

#[test]
fn libreswan_compresses_and_rekeys() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap();
    // Debian's libreswan cannot be installed beside strongSwan.
    let unpack = Command::new(root.join("scripts/unpack")).arg("libreswan").output().unwrap();
    assert!(unpack.status.success(), "{}", String::from_utf8_lossy(&unpack.stderr));
    let libreswan = String::from_utf8(unpack.stdout).unwrap();
    let environment = [format!("LIBRESWAN={}", libreswan.trim())];
    let test = "libreswan::chains_of_ipcomp_and_esp_are_one_context_through_rekeys_under_traffic";
    run_inside_of(&["-t", "300"], &environment, test);
}

#[test]
fn a_storm_with_a_small_buffer() {
    run_inside("follow::a_storm_overruns_a_small_buffer_and_the_engine_ends_equal_to_the_kernel");
}

#[test]
fn moves_that_nobody_tells_of_one_by_one() {
    run_inside("follow::states_that_migrate_keep_their_contexts");
}

#[test]
fn the_mirror_tells_the_truth() {
    run_inside("follow::counters_events_guesses_and_cursors_tell_the_truth");
}

#[test]
fn policies_with_several_filters() {
    run_inside("policies::every_filter_of_a_tunnel_policy_is_protected");
}

#[test]
fn policies_by_the_hundred() {
    run_inside("policies::hundreds_of_filters_are_protected_each");
}

#[test]
fn policies_with_icmp_types() {
    run_inside("policies::an_icmp_type_is_the_same_in_both_directions");
}

#[test]
fn policies_with_permits_and_blocks() {
    run_inside("policies::ike_gets_around_a_host_to_host_tunnel_and_nothing_else_does");
}

#[test]
fn policies_that_the_kernel_refuses() {
    run_inside("policies::a_refused_commit_leaves_nothing_and_names_what_is_in_its_way");
}

#[test]
fn policies_without_sas() {
    run_inside("policies::a_packet_that_needs_an_sa_is_told_and_can_be_taken_up");
}

#[test]
fn policies_of_the_kernel() {
    run_inside("policies::the_kernels_policies_are_listed_and_explain_what_happens");
}

#[test]
fn filters_by_nftables() {
    run_inside_full("nftables::filters_of_the_other_layers_take_effect_and_their_drops_are_told");
}

#[test]
fn a_keying_client_in_c() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap();
    let stage = Path::new(env!("CARGO_TARGET_TMPDIR")).join("keying");
    let sources = root.join("crates/openwfp-cli/tests/lab/keying");
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
    let script = format!(
        "scripts/install-c --debug {stage} &&
         gcc -std=c11 -Wall -Wextra -Werror -pthread -I{stage}/include/openwfp {sources}/*.c -o {stage}/keying \
             -L{stage}/lib -lfwpuclnt",
        stage = stage.display(),
        sources = sources.display()
    );
    let built = Command::new("bash")
        .args(["-c", &script])
        .current_dir(&root)
        .env("CARGO_TARGET_DIR", target)
        .env("CARGO", env!("CARGO"))
        .stdout(std::process::Stdio::null())
        .status()
        .unwrap();
    assert!(built.success(), "{script}");
    let environment =
        [format!("KEYING={}/keying", stage.display()), format!("LD_LIBRARY_PATH={}/lib", stage.display())];
    run_inside_of(
        &["--full", "-t", "3600"],
        &environment,
        "keying::a_keying_client_in_c_traps_traffic_and_brings_a_tunnel_up",
    );
}

#[test]
fn policies_under_traffic() {
    run_inside("policies::sas_deleted_under_traffic_stop_it_and_new_ones_resume_it");
}

#[test]
fn a_killed_daemon() {
    run_inside("recover::a_killed_daemon_leaves_whole_contexts_and_no_halves");
}

#[test]
fn policies_of_killed_daemons() {
    run_inside("recover::policies_outlive_a_killed_daemon_and_follow_their_objects");
}

#[test]
fn one_daemon_for_several_namespaces() {
    run_inside("recover::one_daemon_serves_several_namespaces_which_may_come_and_go");
}

fn list(value: &Value) -> Vec<String> {
    value.as_array().unwrap().iter().map(|item| item.as_str().unwrap().to_owned()).collect()
}

#[test]
fn live_contexts_equal_what_swanctl_and_ip_say_of_the_same_moment() {
    let out = run("strongswan");
    for host in ["a", "b"] {
        let mut expected = children(&out.read(&format!("{host}/list-sas.txt")));
        assert_eq!(expected.len(), 8, "{host}: strongSwan has set up something else");
        let ip = out.read(&format!("{host}/ip-s-xfrm-state.txt"));
        let contexts: Vec<Value> = out
            .read(&format!("{host}/wfp.jsonl"))
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        for context in &contexts {
            assert_eq!(context["state"], "complete");
            let (inbound, outbound) = (&context["inbound"], &context["outbound"]);
            let esn = if outbound["sas"][0]["esn"] == true { "/ESN" } else { "" };
            let udp = if outbound["encapsulation"]["type"] == "udp" { "-in-udp" } else { "" };
            let mut sides = [list(&context["selectors"]["local"]), list(&context["selectors"]["remote"])];
            sides.iter_mut().for_each(|side| side.sort());
            let found = Child {
                reqid: u32::try_from(outbound["sas"][0]["reqid"].as_u64().unwrap()).unwrap(),
                spi_out: outbound["sas"][0]["spi"].as_str().unwrap().into(),
                mode: format!("{}{udp}", context["mode"].as_str().unwrap()),
                transform: format!("{}{esn}", outbound["sas"][0]["transform"].as_str().unwrap()),
                local: sides[0].join(" "),
                remote: sides[1].join(" "),
            };
            let spi_in = inbound["sas"][0]["spi"].as_str().unwrap();
            assert_eq!(expected.remove(spi_in), Some(found), "{host}: inbound {spi_in}");
            // The kernel's own words: each SPI with its key.
            for direction in [inbound, outbound] {
                let sa = &direction["sas"][0];
                let spi = sa["spi"].as_str().unwrap();
                let key = sa["keys"]["encryption"].as_str().unwrap();
                let state = ip.split("\nsrc ").find(|state| state.contains(spi)).unwrap();
                assert!(state.contains(key), "{host}: the key of {spi} differs from ip's");
                let counted = format!(
                    "{}(bytes), {}(packets)",
                    direction["counters"]["bytes"], direction["counters"]["packets"]
                );
                assert!(state.contains(&counted), "{host}: {spi} counted {counted}\n{state}");
            }
        }
        assert!(expected.is_empty(), "{host}: not listed: {expected:?}");
        let states = ip.lines().filter(|line| line.starts_with("src ")).count();
        assert_eq!(states, 2 * contexts.len(), "{host}");
        let table = out.read(&format!("{host}/wfp.txt"));
        assert_eq!(table.lines().last(), Some("8 SA contexts"), "{table}");
        assert!(!table.contains("key "), "keys are never shown unasked");
        let counted = contexts.iter().any(|context| context["inbound"]["counters"]["packets"] == 3);
        assert!(counted, "{host}: three packets came through a tunnel");
    }
}

#[test]
fn a_listing_amid_changes_is_whole_or_says_that_it_is_not() {
    let out = run("storm");
    let stable: BTreeSet<String> = (1..=200).map(|n| format!("{:#010x}", 0x2_0000 + n)).collect();
    let mut whole = 0;
    for round in 1..=12 {
        let listing: Value = serde_json::from_str(&out.read(&format!("storm-{round}.json"))).unwrap();
        let code = out.read(&format!("storm-{round}.code"));
        let complete = listing["complete"] == true;
        assert_eq!(code.trim(), if complete { "0" } else { "3" }, "round {round}");
        let errors = out.read(&format!("storm-{round}.err"));
        assert_eq!(errors.is_empty(), complete, "round {round}: {errors}");
        let contexts = listing["contexts"].as_array().unwrap();
        let pairs = contexts.iter().filter(|context| context["state"] == "complete");
        let pairs: Vec<String> =
            pairs.map(|context| context["inbound"]["sas"][0]["spi"].as_str().unwrap().to_owned()).collect();
        if complete {
            whole += 1;
            assert_eq!(pairs.len(), 200, "round {round}");
            assert_eq!(pairs.into_iter().collect::<BTreeSet<_>>(), stable, "round {round}");
            let spis: Vec<&Value> =
                contexts.iter().map(|context| &context["inbound"]["sas"][0]["spi"]).collect();
            let distinct: BTreeSet<String> = spis.iter().map(|spi| spi.to_string()).collect();
            assert_eq!(distinct.len(), spis.len(), "round {round}: a state is listed twice");
        }
    }
    assert!(whole > 0, "no listing of twelve could be made whole");

    let error = out.read("unprivileged.err");
    assert_eq!(out.read("unprivileged.code").trim(), "1");
    assert!(error.contains("ERROR_ACCESS_DENIED") && error.contains("CAP_NET_ADMIN"), "{error}");
    assert!(error.contains("Run as root"), "it says how to get it: {error}");
}
