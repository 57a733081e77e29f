//! An engine that follows a kernel in which a real libreswan makes, rekeys and removes SAs.

use super::follow::Replay;
use super::follow::agree;
use super::follow::counted_in;
use super::*;
use std::collections::BTreeMap;

/// Has libreswan on host `a` do something.
fn whack(root: &str, what: &str) {
    let libraries = format!("LD_LIBRARY_PATH={root}/usr/lib/x86_64-linux-gnu");
    let log = "tail -n 40 /run/of-a/log";
    sh(&format!(
        "ip netns exec a env {libraries} /usr/libexec/ipsec/whack --rundir /run/of-a {what} || {{ {log}; exit 1; }}"
    ));
}

/// The reqids and protocols of a direction's SAs, in their order.
fn chain(details: &SaDetails) -> Vec<(u32, Protocol)> {
    let of = |sa: &Sa| (sa.linux.as_ref().unwrap().reqid, sa.transform.protocol());
    details.bundle.sas.iter().map(of).collect()
}

#[test]
#[ignore = "in the kernel lab: lab.rs starts it"]
fn chains_of_ipcomp_and_esp_are_one_context_through_rekeys_under_traffic() {
    let root = std::env::var("LIBRESWAN").unwrap();
    sh(&format!("bash {}/tests/lab/libreswan {root}", env!("CARGO_MANIFEST_DIR")));
    let session = open(&engine("a", None));
    let mut replay = Replay::new(&*session);
    let mut monitor =
        Command::new("sh").args(["-c", "exec ip -n a -s xfrm monitor SA > /run/gone"]).spawn().unwrap();
    std::thread::sleep(Duration::from_millis(300));
    whack(&root, "--name plain --initiate");
    whack(&root, "--name comp --initiate");
    agree("a", &*session, &mut replay);

    let ping = |site: u8| {
        // Long and alike, so that compression has something to do.
        let size = 200 + 600 * u32::from(site);
        let from_to = format!("-I 172.11.{site}.1 172.12.{site}.1");
        Command::new("ip")
            .args("netns exec a ping -q -i 0.05 -p 00 -s".split(' '))
            .arg(size.to_string())
            .args(from_to.split(' '))
            .stdout(std::process::Stdio::null())
            .spawn()
            .unwrap()
    };
    let mut pinging = [ping(0), ping(1)];
    let mut seen: BTreeMap<SaContextId, [u64; 2]> = BTreeMap::new();
    for round in 0..6 {
        let found = contexts(&*session);
        assert_eq!(found.len(), 2, "{found:?}");
        for context in &found {
            assert_eq!(
                (context.state, context.traffic.mode),
                (SaState::Complete, Mode::Tunnel),
                "{context:?}"
            );
            let selectors: Vec<String> =
                context.selectors.iter().map(|selector| selector.local.to_string()).collect();
            let chains =
                [&context.inbound, &context.outbound].map(|details| chain(details.as_ref().unwrap()));
            assert_eq!(chains[0], chains[1]);
            match (&selectors[..], &chains[0][..]) {
                ([local], [(_, Protocol::Esp)]) if local == "172.11.0.0/24" => {}
                ([local], [(one, Protocol::Esp), (other, Protocol::Ipcomp)]) if local == "172.11.1.0/24" => {
                    assert_ne!(one, other, "reqids");
                }
                wrong => panic!("{wrong:?}"),
            }
            let [inbound, outbound] = [Direction::Inbound, Direction::Outbound]
                .map(|direction| context.counters.total(direction).0);
            let before = seen.insert(context.id, [inbound, outbound]).unwrap_or_default();
            assert!(inbound >= before[0] && outbound >= before[1], "{inbound} {outbound} after {before:?}");
        }
        whack(&root, &format!("--name {} --rekey-ipsec", ["plain", "comp"][round % 2]));
        // libreswan deletes the old generation at once.
        agree("a", &*session, &mut replay);
    }
    // A packet would make libreswan set up again what ends.
    for ping in &mut pinging {
        ping.kill().unwrap();
        ping.wait().unwrap();
    }
    for connection in ["comp", "plain"] {
        whack(&root, &format!("--name {connection} --terminate"));
    }
    until("the end of all SAs", || contexts(&*session).is_empty());
    agree("a", &*session, &mut replay);
    std::thread::sleep(Duration::from_millis(1500));
    monitor.kill().unwrap();
    monitor.wait().unwrap();
    // Nothing is left, so what has gone is all there was.
    let counted = counted_in(&sh("cat /run/gone"), "Deleted src ", "10.99.0.1");
    let statistics = session.statistics().unwrap();
    let of = |traffic: &TrafficStatistics| traffic.tunnel_bytes + traffic.transport_bytes;
    assert!(counted[0] > 10_000, "{counted:?}");
    assert_eq!([of(&statistics.inbound), of(&statistics.outbound)], counted);
}
