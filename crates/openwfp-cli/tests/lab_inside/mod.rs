//! What runs inside of the kernel lab: as root, on a kernel that has ESP, with network namespaces of its own. The tests of
//! `lab.rs` start these by name.

mod docs;
mod drive;
mod follow;
mod groups;
mod keying;
mod libreswan;
mod nftables;
mod policies;
mod recover;

use openwfp::Engine;
use openwfp::EngineOptions;
use openwfp::SessionOptions;
use openwfp::api::*;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;
use std::time::Instant;

/// Runs a command of the shell and returns what it prints; it has to succeed.
pub(crate) fn sh(command: &str) -> String {
    let output = Command::new("bash").args(["-euo", "pipefail", "-c", command]).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "{command}\n{}{}", text(&output.stdout), text(&output.stderr));
    text(&output.stdout)
}

/// Whether a command of the shell succeeds.
pub(crate) fn succeeds(command: &str) -> bool {
    Command::new("bash").args(["-c", command]).output().unwrap().status.success()
}

/// The command line under test.
pub(crate) fn wfp() -> String {
    std::env::var("WFP").unwrap()
}

/// Waits until a condition is true, for ten seconds at most.
pub(crate) fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !condition() {
        assert!(begun.elapsed() < Duration::from_secs(10), "in vain: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Two hosts with a wire between them: namespaces `a` and `b`, with the addresses 10.9.0.1 and .2 and fd09::1 and ::2, and
/// the networks 10.1.0.0/24, fd01::/64 behind `a`, 10.2.0.0/24, fd02::/64 behind `b`.
pub(crate) fn two_hosts() {
    sh("ip netns add a; ip netns add b
        ip link add va netns a type veth peer name vb netns b
        for n in 'a 1 2' 'b 2 1'; do set -- $n
          ip -n $1 link set lo up; ip -n $1 link set v$1 up
          ip -n $1 address add 10.9.0.$2/24 dev v$1
          ip -n $1 address add fd09::$2/64 dev v$1 nodad
          ip -n $1 address add 10.$2.0.1/24 dev lo
          ip -n $1 address add fd0$2::1/64 dev lo nodad
          ip -n $1 route add 10.$3.0.0/24 via 10.9.0.$3 src 10.$2.0.1
          ip -n $1 route add fd0$3::/64 via fd09::$3 src fd0$2::1
        done");
    until("the wire", || {
        succeeds("ip netns exec a ping -q -c 1 -W 1 10.9.0.2 && ip netns exec a ping -q -c 1 -W 1 fd09::2")
    });
}

/// Has what the engines log written to a file, which is returned.
pub(crate) fn log() -> &'static str {
    let file = std::fs::File::create("/run/test.log").unwrap();
    tracing_subscriber::fmt().with_ansi(false).with_writer(std::sync::Mutex::new(file)).init();
    "/run/test.log"
}

/// An engine of a host, in this process, that notes what it owns in a directory.
pub(crate) fn engine(host: &str, runtime: Option<PathBuf>) -> Engine {
    let mut options = EngineOptions::default();
    options.recover = runtime.is_some();
    options.runtime = Some(runtime.unwrap_or_else(|| PathBuf::from(format!("/run/test-{host}"))));
    Engine::here(&format!("xfrm:netns={host}").parse().unwrap(), options).unwrap()
}

pub(crate) fn open(engine: &Engine) -> Arc<dyn Session> {
    engine.open_session(SessionOptions::new().name("lab")).unwrap()
}

/// The contexts of an engine.
pub(crate) fn contexts(session: &dyn Session) -> Vec<Arc<SaContext>> {
    session.sa_contexts(&EnumOptions::default()).unwrap().collect::<Result<_>>().unwrap()
}

/// How many states and policies (those of sockets aside) a host's kernel has.
pub(crate) fn in_kernel(host: &str) -> (usize, usize) {
    let count =
        |what: &str| sh(&format!("ip -n {host} xfrm {what} | grep -c ^src || true")).trim().parse().unwrap();
    (count("state"), count("policy list | sed '/^src/{N;/socket/d}'"))
}
