//! What attackers did to the daemon, each as a test with the number that it has in SECURITY.md: real processes, real sockets,
//! and clients that keep no rules. What can be shown without a daemon is tested where it is written.
#![allow(clippy::unwrap_used, reason = "a test")]

#[path = "attack/daemon.rs"]
mod daemon;
#[path = "attack/raw.rs"]
mod raw;

use daemon::*;
use nix::sys::signal::Signal;
use openwfp::Engine;
use openwfp::SessionOptions;
use openwfp::api::object::Filter;
use openwfp::api::object::Object;
use openwfp::api::object::ObjectKind;
use openwfp::api::object::ObjectName;
use openwfp::api::object::Provider;
use openwfp::api::object::step::ObjectAdd;
use openwfp::api::object::step::ObjectStep;
use openwfp::api::object::template::ObjectTemplate;
use openwfp::api::*;
use raw::Raw;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

fn until(what: &str, so: impl Fn() -> bool) {
    for _ in 0..3000 {
        if so() {
            return;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    panic!("{what}: not within 30 seconds");
}

fn open(engine: &Engine) -> Arc<dyn Session> {
    engine.open_session(SessionOptions::new()).unwrap()
}

fn code<T>(result: Result<T>) -> Code {
    result.map_or_else(|error| error.code(), |_| Code::ERROR_SUCCESS)
}

fn filter(name: &str) -> Filter {
    Filter {
        name: name.into(),
        layer: guids::layer::IKEEXT_V4,
        action: object::Action { kind: object::ActionType::Permit, callout: Guid::default() },
        ..Filter::default()
    }
}

fn readers() -> String {
    format!("[access]\nreaders = [\"user:{OTHER}\"]")
}

/// Settings that let the other user change things.
fn operators() -> String {
    format!("[access]\noperators = [\"user:{OTHER}\"]")
}

#[test]
fn n01_no_empty_access_list_opens_the_engine() {
    for name in ["WFP_SERVE_ACCESS_ENGINE", "OPENWFP_SERVE_ACCESS_SA_DB"] {
        for value in ["", "O:S-1-22-1-0", "G:S-1-22-1-0"] {
            let output = wfp()
                .args(["serve", "--check-config", "--engine", "memory:"])
                .env(name, value)
                .output()
                .unwrap();
            let error = String::from_utf8(output.stderr).unwrap();
            assert!(!output.status.success() && error.contains("everybody"), "{name}={value}: {error}");
        }
    }
}

#[test]
fn n02_a_reload_takes_rights_away() {
    let daemon = Daemon::start(&readers());
    let mut other = daemon.other();
    other.call("SaContextCreateEnum", &[]).unwrap();
    daemon.reload("");
    let refused = other.call("SaContextCreateEnum", &[]).unwrap_err();
    // 4: who, what in words, and the key that gives it.
    assert!(refused.contains(&format!("user S-1-22-1-{OTHER} may not list and read")), "{refused}");
    assert!(refused.contains("access.readers"), "{refused}");
    daemon.reload(&readers());
    other.call("SaContextCreateEnum", &[]).unwrap();
}

#[test]
fn n03_nobody_hides_a_filter_from_root() {
    let config = format!(
        "# keeps objects\ndirectory = \"{}\"\n[access]\noperators = [\"user:{OTHER}\"]",
        keep().display()
    );
    let daemon = Daemon::start(&config);
    let hidden = ObjectAdd {
        object: Object::Filter(Filter { flags: object::FLAG_PERSISTENT, ..filter("hidden") }),
        security: Some("D:P".parse().unwrap()),
    };
    let id = daemon.other().step(&ObjectStep::Add(Box::new(hidden))).unwrap();
    daemon.signal(Signal::SIGTERM);
    until("it stops", || daemon.log().contains("stopped"));
    drop(daemon);
    let daemon = Daemon::start(&config);
    // Root, or whoever runs the daemon and is named an administrator.
    let is_root = nix::unistd::geteuid().is_root();
    let admins = format!("{config}\nadmins = [\"user:{}\"]", nix::unistd::geteuid());
    if !is_root {
        daemon.reload(&admins);
    }
    let session = open(&daemon.own());
    let enumerator = session.object_create_enum(&ObjectTemplate::all(ObjectKind::Filter)).unwrap();
    let found = session.object_enum(enumerator, 1000).unwrap().accept();
    assert!(found.iter().any(|object| object.name() == "hidden"));
    let name = id_of_hidden(&found).to_string();
    assert_ne!(id, 0);
    assert!(daemon.printed(&["filter", "show", &name]).contains("access"));
    daemon.printed(&["filter", "delete", "--yes", &name]);
    std::fs::remove_dir_all(keep()).unwrap();
}

fn keep() -> PathBuf {
    let path = std::env::temp_dir().join(format!("openwfp-attack-keep-{}", std::process::id()));
    std::fs::create_dir_all(&path).unwrap();
    path
}

fn id_of_hidden(found: &[Arc<Object>]) -> u64 {
    found.iter().find(|object| object.name() == "hidden").unwrap().id()
}

#[test]
fn n06_long_conditions_cost_nothing_before_the_rights_and_have_a_bound_after_them() {
    let daemon = Daemon::start("");
    let conditions = |count: u32| {
        let one = |number| object::FilterCondition {
            field: Guid::new(number, 0, 0, [0; 8]),
            match_type: object::MatchType::Equal,
            value: object::value::Value::Uint32(number),
        };
        (0..count).map(one).collect::<Vec<_>>()
    };
    let template =
        |count| ObjectTemplate { conditions: conditions(count), ..ObjectTemplate::all(ObjectKind::Filter) };
    let mut other = daemon.other();
    let refused = other.create_object_enum(&template(20_000)).unwrap_err();
    assert!(refused.contains("may not"), "{refused}");
    // A request of this method is never as long as this one.
    let refused = other.create_object_enum(&template(100_000)).unwrap_err();
    assert!(refused.contains("longer than 1048576 bytes"), "{refused}");
    let error = open(&daemon.own()).object_create_enum(&template(1025)).unwrap_err();
    assert_eq!(error.code(), Code::RPC_S_INVALID_BOUND, "{error}");
}

#[test]
fn n07_names_are_short() {
    let daemon = Daemon::start("");
    let opened = |name: usize, description: usize| {
        let options = SessionOptions::new().name("é".repeat(name)).description("é".repeat(description));
        daemon.own().open_session(options)
    };
    assert!(opened(256, 1024).is_ok());
    for (name, description, field) in [(257, 0, "displayData.name"), (0, 1025, "displayData.description")] {
        let error = opened(name, description).err().unwrap();
        assert_eq!(error.code(), Code::RPC_S_INVALID_BOUND);
        assert!(error.what().contains(field), "{error}");
    }
    let error = opened(100_000, 0).err().unwrap();
    assert!(error.code() == Code::RPC_E_OUT_OF_RESOURCES && error.what().contains("65536"), "{error}");
    let mut object = Provider { name: "n".repeat(257), ..Provider::default() };
    let session = open(&daemon.own());
    assert_eq!(code(session.object_add(Object::Provider(object.clone()))), Code::RPC_S_INVALID_BOUND);
    object.name.truncate(256);
    session.object_add(Object::Provider(object)).unwrap();
}

/// Clients that send most of long requests and never finish them.
#[test]
fn n08_unfinished_requests_have_a_budget_and_their_memory_comes_back() {
    let daemon = Daemon::start("[limits]\nbytes_per_user = 20971520");
    let before = daemon.memory();
    let mut without_session: Vec<Raw> = (0..3).map(|_| Raw::connect(daemon.port)).collect();
    for client in &mut without_session {
        for stream in 0..50 {
            client.unfinished(stream, "SaContextBatch", 15 << 20, 128 << 10);
        }
    }
    let mut with_session: Vec<Raw> = (0..3).map(|_| daemon.other()).collect();
    for client in &mut with_session {
        for stream in 1..20 {
            client.unfinished(stream, "SaContextBatch", 15 << 20, 4 << 20);
        }
    }
    let refused: usize = without_session.iter_mut().chain(&mut with_session).map(Raw::refusals).sum();
    assert!(refused > 150, "{refused}");
    let most = daemon.memory();
    assert!(most < before + (100 << 20), "{before} became {most}");
    // Root and the daemon's own user are served meanwhile.
    assert!(open(&daemon.own()).info().is_ok());
    drop((without_session, with_session));
    until("the memory comes back", || daemon.memory() < before + (40 << 20));
    daemon.other().call("SessionGet", &[]).unwrap();
}

/// Clients that connect and say nothing keep nobody out.
#[test]
fn n09_silent_connections_lock_nobody_out() {
    let daemon = Daemon::start("[limits]\nhandshakes = 40\nhandshakes_per_address = 20\nconnections = 64");
    let silent: Vec<_> = (0..200).filter_map(|_| std::net::TcpStream::connect(daemon.port).ok()).collect();
    assert_eq!(silent.len(), 200);
    // The first refusal is told at once, the others by their number.
    until("they are counted", || daemon.log().contains("more connections refused"));
    let lines = daemon.log().lines().filter(|line| line.contains("refused")).count();
    assert!(lines <= 10, "{lines}: {}", daemon.log());
    assert!(open(&daemon.own()).info().is_ok());
    let local: Vec<_> =
        (0..100).map(|_| std::os::unix::net::UnixStream::connect(daemon.socket()).unwrap()).collect();
    // Whoever is not root has less than all of them; what is left is root's.
    if nix::unistd::geteuid().is_root() {
        drop(local);
        until("there is room again", || daemon.own().open_session(SessionOptions::new()).is_ok());
    }
    drop(silent);
    until("there is room again", || Raw::try_open(daemon.port).is_ok());
}

/// More subscribers than a commit itself serves: each gets each event, in order, and their number has a limit.
#[test]
fn n10_many_subscriptions_are_served_and_bounded() {
    let daemon = Daemon::start("[limits]\nsubscriptions_per_user = 100\nsubscriptions_per_session = 1000");
    let session = open(&daemon.own());
    let topic = Topic::Objects(ObjectTemplate::all(ObjectKind::Provider));
    let options = SubscriptionOptions::about(topic);
    let mut streams: Vec<_> = (0..100).map(|_| session.events(&options).unwrap()).collect();
    let error = session.events(&options).err().unwrap();
    assert_eq!(error.code(), Code::RPC_E_OUT_OF_RESOURCES, "{error}");
    assert!(error.what().contains("limits.subscriptions_per_user"), "{error}");
    let names: Vec<String> = (0..50).map(|number| format!("p{number}")).collect();
    for name in &names {
        session.object_add(Object::Provider(Provider { name: name.clone(), ..Provider::default() })).unwrap();
    }
    for stream in &mut streams {
        let told: Vec<String> = (0..50)
            .map(|_| match stream.next(30 * SECOND).unwrap() {
                Some(Notification::Object(event)) => event.object.name().to_owned(),
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(told, names);
    }
    drop(streams.pop());
    until("there is room again", || session.events(&options).is_ok());
    let endless = SubscriptionOptions { queue_length: usize::MAX, ..SubscriptionOptions::all() };
    assert_eq!(code(session.events(&endless).map(drop)), Code::RPC_S_INVALID_BOUND);
}

/// Millions of tiny steps without a right.
#[test]
fn n11_a_batch_counts_with_all_its_steps() {
    let daemon = Daemon::start("");
    let mut other = daemon.other();
    let before = daemon.memory();
    let refused = other.batch(2_000_000).unwrap_err();
    assert!(refused.contains("RPC_S_INVALID_BOUND"), "{refused}");
    let answer = other.batch(50_000).unwrap();
    assert!(answer.len() < 32 << 20, "{}", answer.len());
    let lines = daemon.log().lines().filter(|line| line.contains("ERROR_ACCESS_DENIED")).count();
    assert_eq!(lines, 1, "one line for the batch");
    assert!(daemon.log().contains("steps=50000 refused=50000"), "{}", daemon.log());
    assert!(daemon.memory() < before + (200 << 20));
    // With bursts of 100,000 calls, the third batch exceeds the rate.
    drop((other.batch(60_000), other.batch(60_000)));
    let refused = other.call("SessionGet", &[]).unwrap_err();
    assert!(refused.contains("limits.requests_per_second"), "{refused}");
}

#[test]
fn n12_nobody_keeps_others_waiting_for_long() {
    let config = format!("[timeouts]\ntransaction = \"1s\"\n[access]\noperators = [\"user:{OTHER}\"]");
    let daemon = Daemon::start(&config);
    let mut holder = daemon.other();
    holder.call("TransactionBegin", &[]).unwrap();
    let listed = daemon.printed(&["session", "list"]);
    let row = listed.lines().find(|line| line.contains(" read/write ")).unwrap_or_else(|| panic!("{listed}"));
    assert!(row.contains("127.0.0.1:"), "{row}");
    let impatient =
        daemon.own().open_session(SessionOptions::new().transaction_wait(Duration::from_millis(50)));
    let error = impatient.unwrap().transaction_begin(TransactionMode::ReadWrite).unwrap_err();
    assert_eq!(error.code(), Code::FWP_E_TIMEOUT);
    assert!(error.what().contains(&format!("of user S-1-22-1-{OTHER}, open for ")), "{error}");
    // The daemon's own user waits longer than the other one may keep it.
    let session = open(&daemon.own());
    session.transaction_begin(TransactionMode::ReadWrite).unwrap();
    session.transaction_abort().unwrap();
    until("the audit tells", || daemon.log().contains("reason=\"open too long\""));
    let refused = holder.call("TransactionCommit", &[]).unwrap_err();
    assert!(refused.contains("FWP_E_TXN_ABORTED"), "{refused}");

    // A session is ended from outside.
    let number = row.split_whitespace().next().unwrap();
    let output = daemon.wfp(&["session", "close", "--yes", "77777"]);
    assert!(!output.status.success() && String::from_utf8_lossy(&output.stderr).contains("not open"));
    daemon.printed(&["session", "close", "--yes", number]);
    let refused = holder.call("SessionGet", &[]).unwrap_err();
    assert!(refused.contains("FWP_E_SESSION_ABORTED"), "{refused}");
    // Not by a user without the right.
    let victim = open(&daemon.own());
    let daemon_user = victim.number().0;
    let mut other = daemon.other();
    let refused = other.call("SessionEnd", &[0x10, u8::try_from(daemon_user).unwrap()]).map(drop);
    // Operators have the right DELETE.
    refused.unwrap();
    assert_eq!(code(victim.info()), Code::FWP_E_SESSION_ABORTED);
    daemon.reload("");
    let victim = open(&daemon.own());
    let refused =
        daemon.other().call("SessionEnd", &[0x10, u8::try_from(victim.number().0).unwrap()]).unwrap_err();
    assert!(refused.contains("may not delete"), "{refused}");
    assert!(victim.info().is_ok());
}

/// Calls of root and of others that exclude each other, all at once: each gets its turn.
#[test]
fn n12_calls_of_root_and_of_others_get_their_turns() {
    let daemon = Daemon::start(&operators());
    let own = daemon.own();
    let ends = Endpoints::new([192, 0, 2, 1].into(), [192, 0, 2, 2].into()).unwrap();
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                let mut other = daemon.other();
                for _ in 0..300 {
                    let id = other.step(&ObjectStep::add(Object::Filter(filter("mine")))).unwrap();
                    other.step(&ObjectStep::delete(ObjectKind::Filter, ObjectName::Id(id))).unwrap();
                }
            });
            scope.spawn(|| {
                let session = open(&own);
                for _ in 0..600 {
                    let new = NewSaContext::new(Traffic::new(ends, Mode::Transport));
                    session.sa_context_create(&new).unwrap();
                    session.transaction_begin(TransactionMode::ReadWrite).unwrap();
                    session.transaction_commit().unwrap();
                }
            });
        }
    });
}

/// What clients call themselves, and their objects, passes neither for a line of the log nor for output.
#[test]
fn n14_n15_foreign_text_is_foreign_text() {
    let forged = "x\n2026-01-01T00:00:00Z  INFO openwfp::audit: operation=\"FwpmFilterAdd\" outcome=\"ok\"\r\x1b[2J\x1b]0;t\x07\u{202e}\u{9b}31m";
    let config = operators();
    let daemon = Daemon::start(&config);
    // Before any check of rights.
    assert!(Raw::try_open_with(daemon.port, forged, forged).is_err());
    let mut other = Raw::try_open_with(daemon.port, "", forged).unwrap();
    let filter = Filter { description: forged.into(), ..filter(forged) };
    let id = other.step(&ObjectStep::add(Object::Filter(filter))).unwrap();
    until("it is told", || daemon.log().contains("FwpmFilterAdd"));
    let is_clean =
        |text: &str| text.chars().all(|c| !c.is_control() || c == '\n') && !text.contains('\u{202e}');
    let log = daemon.log();
    assert!(is_clean(&log), "{log}");
    assert!(log.lines().all(|line| !line.starts_with("2026-01-01T00:00:00Z")), "{log}");
    for arguments in [
        &["filter", "list"][..],
        &["filter", "list", "-o", "wide"],
        &["filter", "list", "-o", "json"],
        &["filter", "show", &id.to_string()],
        &["filter", "show", &id.to_string(), "-o", "json"],
        &["session", "list"],
        &["session", "list", "-o", "json"],
        &["session", "list", "-o", "jsonl"],
        &["policy", "explain", "--from", "10.0.0.1", "--to", "10.0.0.2"],
    ] {
        let output = daemon.wfp(arguments);
        let text = String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap();
        assert!(is_clean(&text), "{arguments:?}: {text:?}");
        if arguments.contains(&"json") {
            let json: serde_json::Value =
                serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
            assert!(json.to_string().contains("2026-01-01T00:00:00Z"), "the text itself stays: {json}");
        }
    }
}

#[test]
fn n16_the_audit_says_who_did_what_to_which() {
    let config = operators();
    let daemon = Daemon::start(&config);
    let mut other = daemon.other();
    let id = other.step(&ObjectStep::add(Object::Filter(filter("mine")))).unwrap();
    other.call("SaContextCreateEnum", &[]).unwrap();
    other.step(&ObjectStep::delete(ObjectKind::Filter, ObjectName::Id(id))).unwrap();
    let wanted = |call: &str| {
        daemon.log().lines().any(|line| {
            line.contains(&format!("operation=\"{call}\""))
                && line.contains(&format!("object_id={id} name=\"mine\""))
                && line.contains("origin=\"127.0.0.1:")
        })
    };
    until("both are told", || wanted("FwpmFilterAdd") && wanted("FwpmFilterDeleteById"));
    let is_of_other = |line: &&str| line.contains("openwfp::audit") && line.contains("user=S-1-22-1-4711");
    let audit = daemon.log().lines().filter(is_of_other).count();
    assert_eq!(audit, 2, "nothing of mere reads: {}", daemon.log());
}

/// A damaged store in the usual directory is moved aside; in one that the configuration names, the daemon does not start.
#[test]
fn n17_a_damaged_store_is_reported() {
    let directory = std::env::temp_dir().join(format!("openwfp-attack-store-{}", std::process::id()));
    std::fs::create_dir_all(&directory).unwrap();
    let store = directory.join("objects.redb");
    std::fs::write(&store, [b"redb\x1a\x0a\xa9\x0d\x0a".as_slice(), &[1; 5000]].concat()).unwrap();
    let named = format!("# keeps objects\ndirectory = \"{}\"", directory.display());
    let serve = || {
        let output = wfp()
            .args(["serve", "--engine", "memory:", "--unix", "", "--set"])
            .arg(format!("state.directory={}", directory.display()))
            .output()
            .unwrap();
        (output.status.success(), String::from_utf8(output.stderr).unwrap())
    };
    let (started, error) = serve();
    assert!(!started && error.contains("objects.redb") && error.contains("move it away"), "{error}");
    assert!(!error.contains("panicked"), "{error}");
    let daemon = Daemon::start_with("# keeps objects", |command| {
        command.env("STATE_DIRECTORY", &directory);
    });
    assert!(daemon.log().contains("is damaged and was moved aside"), "{}", daemon.log());
    assert!(directory.join("objects.redb.damaged-1").exists());
    open(&daemon.own())
        .object_add(Object::Provider(Provider {
            name: "p".into(),
            flags: object::FLAG_PERSISTENT,
            ..Provider::default()
        }))
        .unwrap();
    drop(daemon);
    let daemon = Daemon::start(&named);
    let listed = daemon.printed(&["provider", "list"]);
    assert!(listed.contains("  p\n"), "{listed}");
    drop(daemon);
    // 20: others could have written it.
    std::fs::set_permissions(&store, std::os::unix::fs::PermissionsExt::from_mode(0o666)).unwrap();
    let (started, error) = serve();
    assert!(!started && error.contains("chmod 600"), "{error}");
    std::fs::remove_dir_all(directory).unwrap();
}

#[test]
fn n21_a_configuration_that_cannot_work_is_refused() {
    for set in [
        "log.level=nope",
        "limits.waiting_calls=99999999999",
        "limits.page_entries=0",
        "timeouts.keepalive_interval=300000years",
        "timeouts.stop=99999999999days",
    ] {
        let output =
            wfp().args(["serve", "--check-config", "--engine", "memory:", "--set", set]).output().unwrap();
        let error = String::from_utf8(output.stderr).unwrap();
        let key = set.split('=').next().unwrap();
        assert!(!output.status.success() && error.contains(key.split('.').nth(1).unwrap()), "{set}: {error}");
        assert!(!error.contains("panicked"), "{error}");
    }
}

/// A client that speaks plain HTTP to the TLS port is told so.
#[test]
fn n26_plain_http_at_the_tls_port_is_answered() {
    use std::io::Read;
    use std::io::Write;
    let place = std::env::temp_dir().join(format!("openwfp-attack-tls-{}", std::process::id()));
    std::fs::create_dir_all(&place).unwrap();
    let openssl = |arguments: &str| {
        let output = Command::new("openssl").current_dir(&place).args(arguments.split(' ')).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    };
    openssl(
        "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=gateway -addext subjectAltName=DNS:localhost -keyout key.pem -out cert.pem",
    );
    let at = place.display();
    let config =
        format!("[tls]\ncert = \"{at}/cert.pem\"\nkey = \"{at}/key.pem\"\nclient_ca = \"{at}/cert.pem\"\n");
    let daemon = Daemon::start_with(&config, |command| {
        command.args(["--tls", "127.0.0.1:0"]);
    });
    let log = daemon.log();
    let line = log.lines().find(|line| line.contains("mutual TLS")).unwrap();
    let port: SocketAddr =
        line.split("address=").nth(1).unwrap().split_whitespace().next().unwrap().parse().unwrap();
    let mut http = std::net::TcpStream::connect(port).unwrap();
    http.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    let mut answer = String::new();
    http.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 400 ") && answer.contains("speaks TLS only"), "{answer}");
    let refused = Raw::try_open(port).err().unwrap();
    assert!(refused.contains("speaks TLS only"), "{refused}");
    std::fs::remove_dir_all(place).unwrap();
}
