//! The daemon as its operators meet it: real processes, real signals, clients in three languages.
#![allow(clippy::unwrap_used, reason = "a test")]

use nix::sys::signal::Signal;
use nix::unistd::Pid;
use openwfp::Engine;
use openwfp::EngineUrl;
use openwfp::SessionOptions;
use openwfp::Update;
use openwfp::Watcher;
use openwfp::api::*;
use std::io::BufRead;
use std::io::BufReader;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::path::PathBuf;
use std::process::Child;
use std::process::Command;
use std::process::Output;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering;
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);
const PYTHON: &str = "/usr/bin/python3";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

fn sample() -> String {
    format!("capture:{}", root().join("samples/strongswan-16").display())
}

fn wfp() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_wfp"));
    for name in ["ENGINE", "CONFIG", "CERT", "KEY", "CA"] {
        command.env_remove(format!("WFP_{name}")).env_remove(format!("OPENWFP_{name}"));
    }
    for name in ["NOTIFY_SOCKET", "LISTEN_FDS", "LISTEN_PID", "WATCHDOG_USEC"] {
        command.env_remove(name);
    }
    // What tests add is not the machine's.
    command.env("WFP_SERVE_STATE_DIRECTORY", "");
    command
}

/// A directory of a test's own, gone with the value.
struct Place(PathBuf);

impl Place {
    fn new() -> Place {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("openwfp-serve-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Place(path)
    }

    fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        std::fs::write(self.file(name), text).unwrap();
        self.file(name)
    }

    fn socket(&self) -> PathBuf {
        self.file("engine.sock")
    }

    fn url(&self) -> String {
        format!("unix:{}", self.socket().display())
    }

    fn engine(&self) -> Engine {
        Engine::at(&self.url().parse().unwrap()).unwrap()
    }

    /// Starts a daemon and waits until it says that it is ready.
    fn serve(&self, command: &mut Command) -> Daemon {
        let notified = self.file("notify.sock");
        drop(std::fs::remove_file(&notified));
        let notify = UnixDatagram::bind(&notified).unwrap();
        notify.set_read_timeout(Some(30 * SECOND)).unwrap();
        let log = std::fs::File::options().create(true).append(true).open(self.file("log")).unwrap();
        let child = command.env("NOTIFY_SOCKET", &notified).stdin(Stdio::null()).stderr(log).spawn().unwrap();
        let daemon = Daemon { child, notify };
        assert_eq!(daemon.told(), "READY=1", "{}", self.log());
        daemon
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.file("log")).unwrap_or_default()
    }

    fn python(&self, target: &str, command: &str) -> Command {
        let stubs = self.file("stubs");
        std::fs::create_dir_all(&stubs).unwrap();
        let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/serve/client.py");
        let mut python = Command::new(PYTHON);
        python.arg(tests).arg(root().join("crates/openwfp-rpc/proto")).arg(stubs).args([target, command]);
        python
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).unwrap();
    }
}

struct Daemon {
    child: Child,
    notify: UnixDatagram,
}

impl Daemon {
    /// What it tells systemd next.
    fn told(&self) -> String {
        let mut buffer = [0; 256];
        let length = self.notify.recv(&mut buffer).unwrap();
        String::from_utf8_lossy(&buffer[..length]).trim().to_owned()
    }

    fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(self.child.id().try_into().unwrap());
        nix::sys::signal::kill(pid, signal).unwrap();
    }

    /// Reads its configuration again.
    fn reload(&self) {
        self.signal(Signal::SIGHUP);
        assert!(self.told().starts_with("RELOADING=1"));
        assert_eq!(self.told(), "READY=1");
    }

    fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    fn stop(mut self) {
        self.signal(Signal::SIGTERM);
        assert!(self.child.wait().unwrap().success());
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // It may be gone already.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn output(command: &mut Command) -> Output {
    command
        .stdin(Stdio::null())
        .output()
        .unwrap_or_else(|error| panic!("{command:?}: {error}; scripts/test installs what the tests need"))
}

/// What a command that must succeed prints.
fn printed(command: &mut Command) -> String {
    let output = output(command);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {errors}");
    String::from_utf8(output.stdout).unwrap()
}

fn code<T>(result: Result<T>) -> Code {
    result.map_or_else(|error| error.code(), |_| Code::ERROR_SUCCESS)
}

fn until(what: &str, so: impl Fn() -> bool) {
    for _ in 0..2000 {
        if so() {
            return;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    panic!("{what}: not within 20 seconds");
}

fn open(engine: &Engine) -> Arc<dyn Session> {
    engine.open_session(SessionOptions::new()).unwrap()
}

/// A configuration's file, in which a memory engine or another is served at the place's socket.
fn config(place: &Place, engine: &str, more: &str) -> PathBuf {
    let socket = place.socket();
    let text = format!("engine = \"{engine}\"\n{more}\n[listen]\nunix = \"{}\"\n", socket.display());
    place.write("wfp.toml", &text)
}

#[test]
fn the_command_line_rust_and_python_see_the_same_sixteen_contexts() {
    let place = Place::new();
    let daemon = place.serve(wfp().args(["serve", "--engine", &sample(), "--unix"]).arg(place.socket()));
    let list = ["sa", "list", "-o", "jsonl"];
    let here = printed(wfp().args(["--engine", &sample()]).args(list));
    let there = printed(wfp().args(["--engine", &place.url()]).args(list));
    assert_eq!(here.lines().count(), 16);
    assert_eq!(there, here);
    let with_keys = [&list[..], &["--show-keys"]].concat();
    let keys = printed(wfp().args(["--engine", &place.url()]).args(&with_keys));
    assert_eq!(keys, printed(wfp().args(["--engine", &sample()]).args(&with_keys)));
    assert_ne!(keys, here);
    for format in ["table", "wide", "json"] {
        let shown = |engine: &str| printed(wfp().args(["--engine", engine, "sa", "list", "-o", format]));
        assert_eq!(shown(&place.url()), shown(&sample()), "{format}");
    }
    let show = ["sa", "show", "0xc71b7200", "-o", "json"];
    assert_eq!(
        printed(wfp().args(["--engine", &place.url()]).args(show)),
        printed(wfp().args(["--engine", &sample()]).args(show))
    );

    let session = open(&place.engine());
    let enumerator = session.sa_context_create_enum(&EnumOptions::default()).unwrap();
    let contexts = session.sa_context_enum(enumerator, 100).unwrap().accept();
    let python = printed(&mut place.python(&place.url(), "list"));
    assert_eq!((contexts.len(), python.lines().count()), (16, 16));
    for (context, line) in contexts.iter().zip(python.lines()) {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        let spi = |direction| context.details(direction).unwrap().bundle.sas.first().spi.to_string();
        assert_eq!(line["id"], context.id.0);
        assert_eq!(line["remote"], context.traffic.endpoints.remote().to_string());
        assert_eq!(line["spi_in"], spi(Direction::Inbound));
        assert_eq!(line["spi_out"], spi(Direction::Outbound));
    }
    let info = session.info().unwrap();
    assert_eq!((info.process_id, info.user), (std::process::id(), Sid::unix_user(nix_uid())));
    assert!(!info.user_name.is_empty());
    assert_eq!(printed(&mut place.python(&place.url(), "filter")).trim(), "from python True True");
    assert_eq!(
        printed(&mut place.python(&place.url(), "error")).trim(),
        "NOT_FOUND FWP_E_NOT_FOUND 0x80320008"
    );
    drop(session);
    daemon.stop();
    assert!(!place.socket().exists());
    assert!(!place.log().contains("ERROR"), "{}", place.log());
}

fn nix_uid() -> u32 {
    use std::os::linux::fs::MetadataExt;
    std::fs::metadata("/proc/self").unwrap().st_uid()
}

#[test]
fn a_client_that_is_killed_loses_its_transaction() {
    let place = Place::new();
    let _daemon = place.serve(wfp().args(["serve", "--engine", "memory:", "--unix"]).arg(place.socket()));
    let mut client = place.python(&place.url(), "hold").stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(client.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
    assert_eq!(line.trim(), "holding");
    let hurried = SessionOptions::new().transaction_wait(Duration::from_millis(50));
    let session = place.engine().open_session(hurried).unwrap();
    assert_eq!(code(session.transaction_begin(TransactionMode::ReadWrite)), Code::FWP_E_TIMEOUT);
    let names = || {
        let enumerator = session.session_create_enum().unwrap();
        let sessions = session.session_enum(enumerator, 100).unwrap().accept();
        session.destroy_enum(enumerator).unwrap();
        sessions.iter().map(|info| (info.name.clone(), info.dynamic)).collect::<Vec<_>>()
    };
    assert_eq!(names(), [("python".into(), true), (String::new(), false)]);
    client.kill().unwrap();
    client.wait().unwrap();
    until("the session is gone", || names().len() == 1);
    session.transaction_begin(TransactionMode::ReadWrite).unwrap();
}

#[test]
fn a_client_of_little_code_watches_by_a_stream() {
    let place = Place::new();
    let _daemon = place.serve(wfp().args(["serve", "--engine", &sample(), "--unix"]).arg(place.socket()));
    let mut client = place.python(&place.url(), "watch").stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(client.stdout.take().unwrap()).lines();
    assert_eq!(lines.next().unwrap().unwrap(), "watching");
    open(&place.engine()).sa_context_delete_by_id(SaContextId(7)).unwrap();
    assert_eq!(lines.next().unwrap().unwrap(), "EVENT_KIND_DELETE 7 True");
    assert!(client.wait().unwrap().success());
}

#[test]
fn a_daemon_that_is_killed_ends_sessions_and_a_watcher_finds_the_next_one() {
    let place = Place::new();
    let start = || place.serve(wfp().args(["serve", "--engine", &sample(), "--unix"]).arg(place.socket()));
    let daemon = start();
    let engine = place.engine();
    let session = open(&engine);
    let enumerator = session.sa_context_create_enum(&EnumOptions::default()).unwrap();
    assert_eq!(session.sa_context_enum(enumerator, 5).unwrap().accept().len(), 5);
    let mut events = session.events(&SubscriptionOptions::all()).unwrap();
    let (told, heard) = std::sync::mpsc::channel();
    let callback: EventCallback = Arc::new(move |event| drop(told.send(format!("{event:?}"))));
    session.subscribe(&SubscriptionOptions::all(), callback).unwrap();
    let mut watcher = Watcher::new(engine.clone(), ContextTemplate::default());
    let Some(Update::Listed(contexts)) = watcher.next(SECOND).unwrap() else {
        panic!("a listing comes first")
    };
    assert_eq!(contexts.len(), 16);
    session.sa_context_delete_by_id(SaContextId(3)).unwrap();
    let Some(Update::Changed(event)) = watcher.next(10 * SECOND).unwrap() else {
        panic!("a change comes next")
    };
    assert_eq!((event.kind, event.id), (EventKind::Delete, SaContextId(3)));
    assert!(matches!(events.next(10 * SECOND).unwrap(), Some(Notification::Event(_))));
    assert!(heard.recv_timeout(10 * SECOND).unwrap().starts_with("Event(Delete 3"));

    // In a call that waits, while another pages and others wait for events.
    let waiting = std::thread::spawn(move || code(events.next(Duration::from_secs(60))));
    std::thread::sleep(Duration::from_millis(100));
    daemon.kill();
    let in_call = waiting.join().unwrap();
    assert!(matches!(in_call, Code::RPC_E_DISCONNECTED | Code::FWP_E_SESSION_ABORTED), "{in_call}");
    let page = code(session.sa_context_enum(enumerator, 5));
    assert!(matches!(page, Code::RPC_E_DISCONNECTED | Code::FWP_E_SESSION_ABORTED), "{page}");
    assert_eq!(code(session.sa_context_enum(enumerator, 5)), Code::FWP_E_SESSION_ABORTED);
    assert_eq!(code(engine.open_session(SessionOptions::new())), Code::RPC_E_SERVER_DIED_DNE);
    assert!(matches!(watcher.next(10 * SECOND).unwrap(), Some(Update::Away(_))));
    assert!(watcher.next(Duration::from_millis(300)).unwrap().is_none(), "it is told once");

    // The next one takes over the socket that the dead one left behind.
    let _daemon = start();
    assert_eq!(code(session.info()), Code::FWP_E_SESSION_ABORTED, "a session is not carried over");
    let Some(Update::Listed(contexts)) = watcher.next(30 * SECOND).unwrap() else {
        panic!("a listing comes again")
    };
    assert_eq!(contexts.len(), 16);
    assert_eq!(open(&engine).info().unwrap().number, SessionNumber(2));
}

#[test]
fn nobody_in_particular_opens_a_session_and_nothing_more_until_the_configuration_says_so() {
    let place = Place::new();
    let address = format!("127.0.0.1:{}", free_port());
    let plain = format!("plaintext = \"{address}\"\nplaintext_user = \"65534\"\n");
    let file = config(&place, &sample(), "");
    let text = std::fs::read_to_string(&file).unwrap() + &plain;
    std::fs::write(&file, &text).unwrap();
    let daemon = place.serve(wfp().args(["serve", "--config"]).arg(&file));
    let url = format!("http://{address}");
    let refused = output(wfp().args(["--engine", &url, "sa", "list"]));
    let errors = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(refused.status.code() == Some(1) && errors.contains("ERROR_ACCESS_DENIED"), "{errors}");
    let session = open(&Engine::at(&url.parse().unwrap()).unwrap());
    let denied = Code::ERROR_ACCESS_DENIED;
    assert_eq!(session.info().unwrap().user, Sid::unix_user(65534));
    assert_eq!(code(session.sa_context_create_enum(&EnumOptions::default())), denied);
    assert_eq!(code(session.statistics()), denied);
    assert_eq!(code(session.sa_context_delete_by_id(SaContextId(1))), denied);
    assert_eq!(code(session.events(&SubscriptionOptions::all())), denied);
    assert_eq!(code(session.transaction_begin(TransactionMode::ReadOnly)), denied);
    assert_eq!(code(session.session_create_enum()), denied);
    assert_eq!(code(session.key_access()), denied);
    assert_eq!(code(session.security_info(Securable::SaDb, SecurityInformation::DACL)), denied);

    // Rights are taken over while the session is open; keys are a right of their own.
    let list = "D:(A;CI;0xf0fff;;;S-1-22-1-0)(A;CI;0xa0;;;S-1-22-1-65534)(A;;0x40;;;WD)";
    let limits = "[limits]\nenumerators_per_session = 1\n";
    std::fs::write(&file, format!("{text}\n[access]\nengine = \"{list}\"\n{limits}")).unwrap();
    daemon.reload();
    let enumerator = session.sa_context_create_enum(&EnumOptions::default()).unwrap();
    let page = session.sa_context_enum(enumerator, 1).unwrap().accept();
    let sa = page[0].inbound.as_ref().unwrap().bundle.sas.first().clone();
    assert_eq!(sa.transform.to_string(), "AES-GCM-16-128", "the key's length is no secret");
    assert!(sa.transform.keys().all(Key::is_withheld));
    assert_eq!(code(session.key_access()), denied);
    let refused = output(wfp().args(["--engine", &url, "sa", "list", "--show-keys"]));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("READ_KEYS"));
    assert!(refused.stdout.is_empty());
    // So are limits, for sessions that are opened then.
    let another = open(&Engine::at(&url.parse().unwrap()).unwrap());
    another.sa_context_create_enum(&EnumOptions::default()).unwrap();
    assert_eq!(code(another.sa_context_create_enum(&EnumOptions::default())), Code::RPC_E_OUT_OF_RESOURCES);
    // Whatever clients have set, a reload ends as a start with the same file does.
    let root = open(&place.engine());
    let opened = SecurityDescriptor::default();
    root.set_security_info(Securable::Engine, SecurityInformation::DACL, &opened).unwrap();
    assert!(place.log().contains("everybody has every right now"), "{}", place.log());
    assert!(session.key_access().is_ok());
    let filters = Securable::Objects(object::ObjectKind::Filter);
    root.set_security_info(filters, SecurityInformation::DACL, &opened).unwrap();
    assert!(session.security_info(filters, SecurityInformation::DACL).unwrap().dacl.is_none());
    daemon.reload();
    assert_eq!(code(session.key_access()), denied);
    assert_eq!(code(session.security_info(filters, SecurityInformation::DACL)), denied);
    assert!(root.security_info(filters, SecurityInformation::DACL).unwrap().dacl.is_some());
    assert!(session.sa_context_by_id(SaContextId(1)).is_ok());
    // Without the key, the rights are those of a daemon without it.
    std::fs::write(&file, format!("{text}\n[log]\nformat = \"json\"\n")).unwrap();
    daemon.reload();
    assert_eq!(code(session.sa_context_by_id(SaContextId(1))), denied);
    assert!(open(&place.engine()).key_access().is_ok(), "root has its rights");
    assert!(place.log().contains("restart the daemon to apply the changes of log.format"), "{}", place.log());
    std::fs::write(&file, format!("{text}\n[access]\nengine = \"{list}\"\n{limits}")).unwrap();
    daemon.reload();
    // Who gives everybody everything is told so.
    std::fs::write(&file, format!("{text}\n[access]\nsa_db = \"everyone\"\n")).unwrap();
    let checked = output(wfp().args(["serve", "--check-config", "--config"]).arg(&file));
    assert!(String::from_utf8_lossy(&checked.stderr).starts_with("warning: access.sa_db"));
    daemon.reload();
    assert!(
        place.log().contains("access.sa_db = \\\"everyone\\\"")
            || place.log().contains("access.sa_db = \"everyone\"")
    );
    assert!(session.sa_context_by_id(SaContextId(1)).is_ok());
    std::fs::write(&file, format!("{text}\n[access]\nengine = \"{list}\"\n{limits}")).unwrap();
    daemon.reload();
    // What is wrong is refused as a whole and logged.
    std::fs::write(&file, format!("{text}\n[access]\nengine = \"D:(A;;XX;;;WD)\"\n")).unwrap();
    daemon.reload();
    assert!(place.log().contains("keeping the old one"), "{}", place.log());
    assert!(session.sa_context_by_id(SaContextId(1)).is_ok());
}

/// Whatever a client sends, the log has lines of the daemon only.
#[test]
fn no_client_writes_lines_of_the_log() {
    let place = Place::new();
    let file = config(&place, &sample(), "");
    let daemon = place.serve(wfp().args(["serve", "--config"]).arg(&file));
    let forged =
        "x\r\n2026-01-01T00:00:00.000000Z  INFO openwfp::audit: operation=FORGED outcome=ok\n\x1b[2J";
    let EngineUrl::Remote { target, .. } = place.url().parse().unwrap() else { panic!("a daemon") };
    let options = openwfp::rpc::ClientOptions { engine: forged.to_owned(), ..Default::default() };
    let refused = openwfp::rpc::RemoteEngine::new(target, options).open_session(SessionOptions::new());
    assert!(refused.is_err());
    let session = open(&place.engine());
    let name = forged.to_owned();
    let provider = object::Provider { name, description: forged.to_owned(), ..Default::default() };
    session.object_add(object::Object::Provider(provider)).unwrap();
    drop(session);
    daemon.stop();
    let log = place.log();
    assert!(log.lines().count() > 2, "{log}");
    for line in log.lines() {
        assert!(line.starts_with("20") && !line.starts_with("2026-01-01T00:00:00.0"), "{line:?}");
        assert!(line.chars().all(|c| !c.is_control()), "{line:?}");
    }
}

fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

#[test]
fn a_configuration_is_checked_with_line_and_key() {
    let place = Place::new();
    let good = config(&place, "memory:", "");
    assert_eq!(
        printed(wfp().args(["serve", "--check-config", "--config"]).arg(&good)),
        "the configuration is valid\n"
    );
    let bad = config(&place, "memory:", "[limits]\nconections = 5");
    let refused = output(wfp().args(["serve", "--check-config", "--config"]).arg(&bad));
    let errors = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert_eq!(refused.status.code(), Some(1));
    for word in ["wfp.toml", "line 3", "conections", "connections"] {
        assert!(errors.contains(word), "{word}: {errors}");
    }
    let missing =
        config(&place, "memory:", "[tls]\ncert = \"/nowhere\"\nkey = \"/nowhere\"\nclient_ca = \"/nowhere\"");
    let refused = output(wfp().args(["serve", "--check-config", "--config"]).arg(&missing));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("/nowhere"));
    let refused = output(wfp().args(["serve", "--set", "limits.nothing=1"]));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("limits.nothing"));
    let refused = output(wfp().args(["serve", "--engine", "unix:/tmp/x"]));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("a daemon cannot serve unix:/tmp/x"));
}

#[test]
fn systemd_hands_over_a_socket_and_is_told_that_the_daemon_lives() {
    let place = Place::new();
    let mut command = Command::new(PYTHON);
    command.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/serve/activate.py"));
    command.arg(place.socket()).arg(env!("CARGO_BIN_EXE_wfp")).args(["serve", "--engine", "memory:"]);
    command.args(["--set", "listen.unix=/nowhere/that/could/be/made"]);
    command.env("WATCHDOG_USEC", "400000").env("WFP_SERVE_LOG_FORMAT", "json");
    let daemon = place.serve(&mut command);
    assert!(open(&place.engine()).info().is_ok());
    assert_eq!((daemon.told(), daemon.told()), ("WATCHDOG=1".into(), "WATCHDOG=1".into()));
    daemon.signal(Signal::SIGTERM);
    until("it stops", || place.log().contains("\"stopped\""));
    for line in place.log().lines() {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        assert!(line["level"].is_string() && line["message"].is_string(), "{line}");
    }
}

/// What `serve` says that it serves, with these flags and variables; it need not be able to.
fn served(arguments: &[&str], engine: Option<&str>) -> String {
    let place = Place::new();
    let mut command = wfp();
    command.args(["serve", "--unix"]).arg(place.socket()).args(["--set", "state.directory="]).args(arguments);
    command.envs(engine.map(|engine| ("OPENWFP_ENGINE", engine)));
    let daemon = place.serve(&mut command);
    daemon.stop();
    let log = place.log();
    let ready = log.lines().find(|line| line.contains(" ready ")).unwrap();
    ready.split('"').nth(1).unwrap().to_owned()
}

#[test]
fn flags_name_the_engines_before_the_variable_does() {
    assert_eq!(served(&[], Some("memory:")), "memory:");
    assert_eq!(served(&["--engine", "memory:"], Some(&sample())), "memory:");
    assert_eq!(served(&["--set", "engine=memory:"], Some(&sample())), "memory:");
}

#[test]
fn adopt_takes_effect_or_is_rejected() {
    // The default engine, too, is served with --adopt; here nobody may read the kernel's SAs, but the message names it.
    let check = |arguments: &[&str]| output(wfp().args(["serve", "--check-config"]).args(arguments));
    assert!(check(&["--adopt"]).status.success());
    let refused = check(&["--adopt", "--engine", "memory:"]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("--adopt has no effect on memory:"));
    for engine in ["unix:/run/engine.sock", "https://gateway", "memory:"] {
        let refused = output(wfp().args(["sa", "delete", "--adopt", "--yes", "1", "--engine", engine]));
        assert_eq!(refused.status.code(), Some(1));
        assert!(String::from_utf8_lossy(&refused.stderr).contains("--adopt has no effect on "), "{engine}");
    }
}

#[test]
fn an_idle_daemon_does_not_wake_up() {
    let place = Place::new();
    let daemon = place.serve(wfp().args(["serve", "--engine", "memory:", "--unix"]).arg(place.socket()));
    drop(open(&place.engine()));
    let switches = || -> u64 {
        let tasks = std::fs::read_dir(format!("/proc/{}/task", daemon.child.id())).unwrap();
        tasks
            .map(|task| {
                let status = std::fs::read_to_string(task.unwrap().path().join("status")).unwrap_or_default();
                let line = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
                line.map_or(0, |count| count.trim().parse::<u64>().unwrap())
            })
            .sum()
    };
    // Threads that are not needed any more go after ten seconds.
    until("it is quiet", || {
        let before = switches();
        std::thread::sleep(3 * SECOND);
        switches() == before
    });
}

/// The newest `grpcio` of `PyPI`, which sends the socket's path as the authority, works without options.
#[test]
fn todays_grpcio_speaks_over_the_unix_socket() {
    let place = Place::new();
    let packages = place.file("packages");
    printed(
        Command::new("pip3")
            .args(["install", "--quiet", "--no-warn-script-location", "--target"])
            .arg(&packages)
            .arg("grpcio"),
    );
    let _daemon = place.serve(wfp().args(["serve", "--config"]).arg(config(&place, &sample(), "")));
    let listed = |with: Option<&Path>| {
        let mut python = place.python(&place.url(), "list");
        if let Some(packages) = with {
            python.env("PYTHONPATH", packages);
        }
        printed(&mut python)
    };
    let version = "import grpc; print(grpc.__version__)";
    let newest = printed(Command::new(PYTHON).env("PYTHONPATH", &packages).args(["-c", version]));
    let major: Vec<u32> = newest.trim().split('.').take(2).map(|part| part.parse().unwrap()).collect();
    assert!(major >= vec![1, 80], "{newest}");
    let lines = listed(Some(&packages));
    assert_eq!(lines.lines().count(), 16);
    assert_eq!(lines, listed(None), "as Debian's");
}
