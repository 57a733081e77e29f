//! A daemon for attacks: with a memory engine, a Unix socket for its own user, and a port for somebody else.
#![allow(dead_code, reason = "each test uses some of it")]

use crate::raw::Raw;
use nix::sys::signal::Signal;
use nix::unistd::Pid;
use openwfp::Engine;
use std::net::SocketAddr;
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::process::Child;
use std::process::Command;
use std::process::Output;
use std::process::Stdio;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering;
use std::time::Duration;

pub(crate) const SECOND: Duration = Duration::from_secs(1);
/// The user of the daemon's port without TLS: somebody else than who runs the daemon.
pub(crate) const OTHER: u32 = 4711;

pub(crate) fn wfp() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_wfp"));
    for (name, _) in std::env::vars().filter(|(name, _)| name.contains("WFP_")) {
        command.env_remove(name);
    }
    for name in ["NOTIFY_SOCKET", "LISTEN_FDS", "LISTEN_PID", "WATCHDOG_USEC", "STATE_DIRECTORY"] {
        command.env_remove(name);
    }
    command.stdin(Stdio::null());
    command
}

/// A daemon with a memory engine, a Unix socket for its own user, and a port for [`OTHER`].
pub(crate) struct Daemon {
    place: PathBuf,
    child: Child,
    notify: UnixDatagram,
    pub(crate) port: SocketAddr,
}

impl Daemon {
    pub(crate) fn start(config: &str) -> Daemon {
        Daemon::start_with(config, |_| {})
    }

    pub(crate) fn start_with(config: &str, prepare: impl FnOnce(&mut Command)) -> Daemon {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let place = std::env::temp_dir().join(format!("openwfp-attack-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&place).unwrap();
        write_config(&place, config);
        let notified = place.join("notify.sock");
        let notify = UnixDatagram::bind(&notified).unwrap();
        notify.set_read_timeout(Some(30 * SECOND)).unwrap();
        let log = std::fs::File::create(place.join("log")).unwrap();
        let mut command = wfp();
        command.args(["serve", "--config"]).arg(place.join("wfp.toml"));
        command.env("NOTIFY_SOCKET", &notified).stderr(log);
        prepare(&mut command);
        let child = command.spawn().unwrap();
        let mut daemon = Daemon { place, child, notify, port: SocketAddr::from(([127, 0, 0, 1], 0)) };
        assert_eq!(daemon.told(), "READY=1", "{}", daemon.log());
        let log = daemon.log();
        let line =
            log.lines().find(|line| line.contains("without encryption")).unwrap_or_else(|| panic!("{log}"));
        let address = line.split("address=").nth(1).unwrap().split_whitespace().next().unwrap();
        daemon.port = address.parse().unwrap();
        daemon
    }

    pub(crate) fn told(&self) -> String {
        let mut buffer = [0; 256];
        let length = self.notify.recv(&mut buffer).unwrap_or_else(|error| panic!("{error}: {}", self.log()));
        String::from_utf8_lossy(&buffer[..length]).trim().to_owned()
    }

    pub(crate) fn reload(&self, config: &str) {
        write_config(&self.place, config);
        self.signal(Signal::SIGHUP);
        assert!(self.told().starts_with("RELOADING=1"));
        assert_eq!(self.told(), "READY=1");
    }

    pub(crate) fn signal(&self, signal: Signal) {
        nix::sys::signal::kill(Pid::from_raw(self.child.id().try_into().unwrap()), signal).unwrap();
    }

    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.place.join("log")).unwrap_or_default()
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.place.join("engine.sock")
    }

    /// The daemon's own user.
    pub(crate) fn own(&self) -> Engine {
        Engine::at(&format!("unix:{}", self.socket().display()).parse().unwrap()).unwrap()
    }

    /// Runs `wfp` as the daemon's own user.
    pub(crate) fn wfp(&self, arguments: &[&str]) -> Output {
        wfp()
            .arg("--engine")
            .arg(format!("unix:{}", self.socket().display()))
            .args(arguments)
            .output()
            .unwrap()
    }

    /// What a command of the daemon's own user prints, which succeeds.
    pub(crate) fn printed(&self, arguments: &[&str]) -> String {
        let output = self.wfp(arguments);
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    /// A session of somebody else.
    pub(crate) fn other(&self) -> Raw {
        Raw::open(self.port)
    }

    /// The daemon's resident memory, in bytes.
    pub(crate) fn memory(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.split_whitespace().next().unwrap().parse::<u64>().unwrap() * 1024
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
        drop(std::fs::remove_dir_all(&self.place));
    }
}

fn write_config(place: &std::path::Path, config: &str) {
    let text = format!(
        "engine = \"memory:\"\n[state]\nruntime = \"{place}/run\"\n{state}\n{config}\n[listen]\nunix = \"{place}/engine.sock\"\nplaintext = \"127.0.0.1:0\"\nplaintext_user = \"{OTHER}\"\n",
        place = place.display(),
        state = if config.contains("# keeps objects") { "" } else { "directory = \"\"" },
    );
    std::fs::write(place.join("wfp.toml"), text).unwrap();
}
