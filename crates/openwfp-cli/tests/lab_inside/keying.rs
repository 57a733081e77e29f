//! A keying client in C, as they are written for Windows: a trap for each pair of networks, then a tunnel.

use super::policies::PINGS;
use super::policies::Sniffer;
use super::*;
use std::io::BufRead;
use std::io::BufReader;
use std::process::Child;
use std::process::ChildStdout;
use std::process::Stdio;

/// The client on a host, in a network namespace.
fn client(host: &str) -> (Child, BufReader<ChildStdout>) {
    let mut child = Command::new("ip")
        .args(["netns", "exec", host, &std::env::var("KEYING").unwrap(), host])
        .env("OPENWFP_ENGINE", "xfrm:")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let output = BufReader::new(child.stdout.take().unwrap());
    (child, output)
}

fn says(output: &mut BufReader<ChildStdout>, word: &str) {
    let mut line = String::new();
    output.read_line(&mut line).unwrap();
    assert_eq!(line.trim_end(), word);
}

/// What is trapped never leaves, the first packet starts the exchange, and then each of the four pairs is protected. At the end
/// nothing is left.
#[test]
#[ignore = "in the kernel lab: lab.rs starts it"]
fn a_keying_client_in_c_traps_traffic_and_brings_a_tunnel_up() {
    two_hosts();
    sh("for n in 'a 7 8 2' 'b 8 7 1'; do set -- $n
          ip -n $1 address add 10.$2.0.1/24 dev lo
          ip -n $1 route add 10.$3.0.0/24 via 10.9.0.$4 src 10.$2.0.1
        done");
    let pairs = [
        "ping -4 -I 10.1.0.1 10.2.0.1",
        "ping -4 -I 10.7.0.1 10.8.0.1",
        "ping -6 -I fd01::1 fd02::1",
        "ping -4 -I 10.9.0.1 10.9.0.2",
    ];
    let passes = |ping: &str| succeeds(&format!("ip netns exec a {ping} -q -c 2 -i 0.2 -W 1"));
    assert!(pairs.iter().all(|pair| passes(pair)), "in the clear without a client");
    let (mut b, mut from_b) = client("b");
    says(&mut from_b, "ready");
    let (mut a, mut from_a) = client("a");
    says(&mut from_a, "ready");
    let sniffer = Sniffer::start(PINGS);
    for ping in &pairs[..3] {
        // The first one is dropped, and starts the exchange.
        passes(ping);
        if *ping == pairs[0] {
            says(&mut from_a, "up");
            says(&mut from_b, "up");
        }
        until("the tunnel", || passes(ping));
    }
    assert!(passes(pairs[3]), "between the hosts themselves");
    let clear = sniffer.stop();
    assert_eq!(clear, "", "frames in the clear");
    assert_eq!(in_kernel("a").0, 2);
    for child in [&mut a, &mut b] {
        drop(child.stdin.take());
        assert!(child.wait().unwrap().success());
    }
    assert_eq!([in_kernel("a"), in_kernel("b")], [(0, 0); 2]);
    assert_eq!(sh("ip netns exec a nft list tables"), "");
}
