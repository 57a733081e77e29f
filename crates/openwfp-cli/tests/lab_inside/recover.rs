//! What becomes of an engine's SAs when it is killed.

use super::*;
use openwfp::api::guids::callout;
use openwfp::api::guids::condition;
use openwfp::api::guids::layer;
use openwfp::api::guids::sublayer;
use openwfp::api::object::policy::Policy;
use openwfp::api::object::policy::TunnelPolicy;
use openwfp::api::object::template::ObjectTemplate;
use openwfp::api::object::value::Value;
use openwfp::api::object::*;
use std::path::Path;
use std::process::Child;

struct Daemon(Child);

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

const SOCKET: &str = "/run/engine.sock";

fn daemon(engines: &[&str]) -> Daemon {
    daemon_with(engines, &["--set", "state.directory="])
}

fn daemon_with(engines: &[&str], more: &[&str]) -> Daemon {
    let _ = std::fs::remove_file(SOCKET);
    let log = std::fs::OpenOptions::new().create(true).append(true).open("/run/daemon.log").unwrap();
    let mut command = Command::new(wfp());
    command.args(["serve", "--unix", SOCKET]).args(more);
    command.args(["--set", "limits.requests_per_second=1000000"]);
    for engine in engines {
        command.args(["--engine", engine]);
    }
    let daemon = Daemon(command.stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap());
    until("the daemon", || succeeds(&format!("{} --engine unix:{SOCKET} sa list", wfp())));
    daemon
}

fn connect(engine: &str) -> Arc<dyn Session> {
    openwfp::open(&format!("unix:{SOCKET}{engine}").parse().unwrap()).unwrap()
}

fn bundle(spi: u32) -> SaBundle {
    let key = Key::new(&[7; 20]);
    let aead = Aead { algorithm: AeadAlgorithm::AesGcm, icv_bits: 128, key };
    let transform = Transform::EspAead(aead);
    SaBundle::new(SaList::one(Sa { spi: Spi::new(spi).unwrap(), transform, linux: None }))
}

fn traffic(peer: u32) -> Traffic {
    let remote = std::net::Ipv4Addr::from(0x0A09_0100 + peer);
    Traffic::new(Endpoints::new([10, 9, 0, 1].into(), remote.into()).unwrap(), Mode::Transport)
}

fn request(peer: u32) -> InboundRequest {
    InboundRequest { traffic: traffic(peer), filter_id: FilterId(0), udp_encapsulation: None }
}

#[test]
#[ignore = "in the kernel lab: lab.rs starts it"]
fn a_killed_daemon_leaves_whole_contexts_and_no_halves() {
    two_hosts();
    let running = daemon(&["xfrm:netns=a"]);
    let session = connect("");
    let establish = |session: &dyn Session, peer: u32| {
        let bundles = BundlePair { inbound: bundle(0x1000 + peer), outbound: bundle(0x2000 + peer) };
        session.sa_context_step(SaContextStep::Establish(
            NewSaContext::new(traffic(peer)),
            request(peer),
            Box::new(bundles),
        ))
    };
    establish(&*session, 1).unwrap();
    // The second one has its inbound half when the daemon dies.
    let half = session.sa_context_create(&NewSaContext::new(traffic(2))).unwrap();
    session.sa_context_set_spi(half, &request(2), Spi::new(0x1002).unwrap()).unwrap();
    session.sa_context_add_inbound(half, bundle(0x1002)).unwrap();
    // And somebody else's.
    sh(
        "ip -n a xfrm state add src 10.9.0.1 dst 10.9.9.9 proto esp spi 0x9999 mode tunnel aead 'rfc4106(gcm(aes))' 0x0102030405060708090a0b0c0d0e0f1011121314 128",
    );
    assert_eq!(in_kernel("a"), (4, 3));
    drop(running);
    assert_eq!(in_kernel("a"), (4, 3), "nobody removed anything");

    let running = daemon(&["xfrm:netns=a"]);
    assert_eq!(
        in_kernel("a"),
        (3, 2),
        "the half is gone with its policy, the whole one and the other's are there"
    );
    let session = connect("");
    let found = contexts(&*session);
    let states: Vec<_> = found.iter().map(|context| context.state).collect();
    assert_eq!(states, [SaState::Complete, SaState::Outbound]);
    // What is ours can be deleted, what is not cannot.
    assert_eq!(session.sa_context_delete_by_id(found[1].id).unwrap_err().code(), Code::ERROR_ACCESS_DENIED);
    session.sa_context_delete_by_id(found[0].id).unwrap();
    assert_eq!(in_kernel("a"), (1, 0), "with its policies");
    drop(running);

    // Killed at any moment while it installs as fast as it can.
    let mut confirmed = std::collections::BTreeSet::new();
    for round in 0..5_u32 {
        let running = daemon(&["xfrm:netns=a"]);
        let session = connect("");
        let killer = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(50 + 37 * u64::from(round)));
            drop(running);
        });
        for peer in 0..20_000 {
            let peer = 16 + round * 20_000 + peer;
            if establish(&*session, peer).is_err() {
                break;
            }
            confirmed.insert(0x1000 + peer);
        }
        killer.join().unwrap();
    }
    let running = daemon(&["xfrm:netns=a"]);
    let session = connect("");
    let found = contexts(&*session);
    let whole: std::collections::BTreeSet<u32> = found
        .iter()
        .filter(|context| context.state == SaState::Complete)
        .map(|context| context.inbound.as_ref().unwrap().bundle.sas.first().spi.get())
        .collect();
    let missing: Vec<_> = confirmed.difference(&whole).collect();
    let log = || sh("grep -v listening /run/daemon.log | tail -n 30");
    assert!(
        missing.is_empty(),
        "{} of {} that were confirmed are not there\n{}",
        missing.len(),
        confirmed.len(),
        log()
    );
    assert!(whole.len() <= confirmed.len() + 5, "and at most the one that was under way each time");
    assert_eq!(found.len(), whole.len() + 1, "no halves, and the other's one");
    assert_eq!(in_kernel("a"), (2 * whole.len() + 1, 2 * whole.len()));
    let ours = found.iter().filter(|context| context.state == SaState::Complete);
    let deletions = ours.map(|context| SaContextStep::Delete(context.id)).collect();
    assert!(session.sa_context_batch(deletions, BatchMode::Each).unwrap().iter().all(Result::is_ok));
    assert_eq!(in_kernel("a"), (1, 0));
    drop(running);
    assert!(std::fs::read_dir("/run/openwfp").unwrap().count() <= 2, "old journals are gone");
    // What is not ours goes only if that is said.
    let delete = format!("{} --engine xfrm:netns=a sa delete 0x9999 --yes", wfp());
    assert!(!succeeds(&delete));
    assert_eq!(in_kernel("a"), (1, 0));
    assert!(succeeds(&format!("{delete} --adopt")));
    assert_eq!(in_kernel("a"), (0, 0));
}

#[test]
#[ignore = "in the kernel lab: lab.rs starts it"]
fn one_daemon_serves_several_namespaces_which_may_come_and_go() {
    two_hosts();
    let running = daemon(&["xfrm:netns=a", "right=xfrm:netns=b", "xfrm:"]);
    let (a, b, own) = (connect(""), connect("#right"), connect("#xfrm"));
    let bundles =
        |peer| Box::new(BundlePair { inbound: bundle(0x1000 + peer), outbound: bundle(0x2000 + peer) });
    let establish = |session: &dyn Session, peer| {
        let new = NewSaContext::new(traffic(peer));
        session.sa_context_step(SaContextStep::Establish(new, request(peer), bundles(peer))).unwrap().id
    };
    establish(&*a, 1);
    establish(&*b, 2);
    establish(&*b, 3);
    let counts = || [&a, &b, &own].map(|session| contexts(&**session).len());
    assert_eq!(counts(), [1, 2, 0]);
    assert_eq!([in_kernel("a").0, in_kernel("b").0], [2, 4]);
    let unknown = openwfp::open(&format!("unix:{SOCKET}#left").parse().unwrap()).err().unwrap();
    assert_eq!(unknown.code(), Code::FWP_E_NOT_FOUND);
    assert!(unknown.to_string().contains("right"), "it says which there are: {unknown}");
    assert!(succeeds(&format!("{} --engine 'unix:{SOCKET}#right' sa show 0x1002", wfp())));

    // A namespace goes, and all in it; then one of its name comes.
    let mut events = b.events(&SubscriptionOptions::all()).unwrap();
    sh("ip netns delete b");
    until("the namespace's end", || contexts(&*b).is_empty());
    assert!(
        matches!(b.completeness().unwrap(), Completeness::Incomplete(why) if why.contains("no longer exists"))
    );
    let mut gone = 0;
    while let Some(Notification::Event(event)) = events.next(Duration::from_millis(100)).unwrap() {
        assert_eq!(event.kind, EventKind::Delete);
        gone += 1;
    }
    assert_eq!(gone, 2);
    let create = b.sa_context_create(&NewSaContext::new(traffic(4))).unwrap();
    b.sa_context_set_spi(create, &request(4), Spi::new(0x1004).unwrap()).unwrap();
    let error = b.sa_context_add_inbound(create, bundle(0x1004)).unwrap_err();
    assert_eq!(error.code(), Code::FWP_E_NOT_FOUND, "{error}");
    sh("ip netns add b");
    sh(
        "ip -n b xfrm state add src 10.0.0.1 dst 10.0.0.2 proto esp spi 0x100 aead 'rfc4106(gcm(aes))' 0x0102030405060708090a0b0c0d0e0f1011121314 128",
    );
    until("the new namespace", || {
        contexts(&*b).iter().any(|context| context.outbound.is_some() || context.inbound.is_some())
    });
    assert_eq!(b.completeness().unwrap(), Completeness::Whole);
    assert!(Path::new("/run/netns/b").exists());
    drop(running);
}

/// The key of the tunnel policy of a test.
const POLICY: Guid = Guid::new(2, 7, 7, [7; 8]);

/// A filter of the policy between two networks that its number makes up.
fn protecting(number: u32, flags: u32) -> Filter {
    let [.., high, low] = number.to_be_bytes();
    let net = |first| Value::network(IpNet::new([first, high, low, 0].into(), 24).unwrap());
    let is = |field, value| FilterCondition { field, match_type: MatchType::Equal, value };
    Filter {
        name: format!("number {number}"),
        layer: layer::OUTBOUND_TRANSPORT_V4,
        sublayer: sublayer::IPSEC_TUNNEL,
        conditions: vec![is(condition::IP_LOCAL_ADDRESS, net(21)), is(condition::IP_REMOTE_ADDRESS, net(22))],
        action: Action { kind: ActionType::CalloutTerminating, callout: callout::IPSEC_OUTBOUND_TUNNEL_V4 },
        context: FilterContext::ProviderContext(POLICY),
        flags: flags | FILTER_HAS_PROVIDER_CONTEXT,
        ..Filter::default()
    }
}

fn add_policy(session: &dyn Session, flags: u32) {
    let policy = Object::ProviderContext(ProviderContext {
        key: POLICY,
        name: "tunnel".into(),
        flags,
        policy: Policy::IkeQmTunnel(TunnelPolicy::default()),
        ..ProviderContext::default()
    });
    session.object_add(policy).unwrap();
}

/// The names of the filters that clients have added.
fn filters(session: &dyn Session) -> std::collections::BTreeSet<String> {
    let template = ObjectTemplate { kind: ObjectKind::Filter.wfp(), ..ObjectTemplate::default() };
    let enumerator = session.object_create_enum(&template).unwrap();
    let filters = session.object_enum(enumerator, u32::MAX).unwrap().accept();
    filters.iter().map(|filter| filter.name().to_owned()).collect()
}

/// The pairs of networks that a host's kernel protects outbound, as names of filters.
fn protected(host: &str) -> std::collections::BTreeSet<String> {
    let lines = sh(&format!("ip -n {host} xfrm policy list dir out | grep ^src.21 || true"));
    let name = |line: &str| {
        let mut octets = line.split([' ', '.', '/']).skip(2).map(|octet| octet.parse::<u32>().unwrap());
        format!("number {}", octets.next().unwrap() * 256 + octets.next().unwrap())
    };
    lines.lines().map(name).collect()
}

#[test]
#[ignore = "in the kernel lab: lab.rs starts it"]
fn policies_outlive_a_killed_daemon_and_follow_their_objects() {
    two_hosts();
    let theirs = "src 10.5.0.0/24 dst 10.6.0.0/24 dir out priority 7 tmpl src 10.9.0.1 dst 10.9.0.9 proto esp mode tunnel reqid 5";
    sh(&format!("ip -n a xfrm policy add {theirs}"));
    sh("mkdir -p /run/state");
    let start = || daemon_with(&["xfrm:netns=a"], &["--set", "state.directory=/run/state"]);

    // A persistent filter, a static one and that of a dynamic session.
    let running = start();
    let session = connect("");
    add_policy(&*session, FLAG_PERSISTENT);
    session.object_add(Object::Filter(protecting(1, FLAG_PERSISTENT))).unwrap();
    session.object_add(Object::Filter(protecting(2, 0))).unwrap();
    let dynamic = {
        let engine = Engine::at(&format!("unix:{SOCKET}").parse().unwrap()).unwrap();
        engine.open_session(SessionOptions::new().dynamic()).unwrap()
    };
    dynamic.object_add(Object::Filter(protecting(3, 0))).unwrap();
    assert_eq!(protected("a").len(), 3);
    dynamic.close().unwrap();
    until("the end of the session", || protected("a").len() == 2);
    drop(running);
    assert_eq!(in_kernel("a"), (0, 7), "killed: its policies stay");
    let running = start();
    // The daemon was waited for, so it is ready.
    assert_eq!(protected("a"), filters(&*connect("")));
    assert_eq!(in_kernel("a"), (0, 4), "the static filter's policies are gone");
    drop(running);

    // Without its store, the next engine has no object for what is left.
    let running = daemon(&["xfrm:netns=a"]);
    assert_eq!(in_kernel("a"), (0, 1));
    drop(running);
    let running = start();
    assert_eq!(in_kernel("a"), (0, 4), "from the store");
    drop(running);

    // Killed at any moment of adding and deleting.
    for round in 0..20_u32 {
        let running = start();
        let session = connect("");
        let killer = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(20 + 13 * u64::from(round)));
            drop(running);
        });
        let mut added = std::collections::VecDeque::new();
        for number in 0..2_000 {
            let number = 16 + round * 2_000 + number;
            let step = match number % 3 {
                2 => {
                    let id = added.pop_front().unwrap_or_default();
                    session.object_delete(ObjectKind::Filter, ObjectName::Id(id)).map(|()| 0)
                }
                _ => session.object_add(Object::Filter(protecting(number, FLAG_PERSISTENT))),
            };
            match step {
                Ok(0) => {}
                Ok(id) => added.push_back(id),
                Err(_) => break,
            }
        }
        killer.join().unwrap();
    }
    let running = start();
    let session = connect("");
    let (there, wanted) = (protected("a"), filters(&*session));
    let log = || sh("grep -v listening /run/daemon.log | tail -n 30");
    assert_eq!(there, wanted, "{}", log());
    assert!(there.len() > 20, "{}", there.len());
    assert_eq!(in_kernel("a"), (0, 3 * there.len() + 1));
    let still = || {
        let still = sh("ip -n a xfrm policy list dir out src 10.5.0.0/24");
        assert!(still.contains("priority 7") && still.contains("reqid 5"), "{still}");
    };
    still();

    // Who wants nothing to stay says so: while a daemon runs it is refused, after that everything of the engine goes.
    let flush = format!("{} flush --engine xfrm:netns=a --yes", wfp());
    let refused = sh(&format!("{flush} 2>&1 || true"));
    assert!(refused.contains("still runs") && refused.contains("FWP_E_IN_USE"), "{refused}");
    drop(running);
    assert_eq!(in_kernel("a"), (0, 3 * there.len() + 1));
    let removed = sh(&flush);
    assert_eq!(removed.trim(), format!("removed 0 SAs and {} policies", 3 * there.len()));
    assert_eq!(in_kernel("a"), (0, 1));
    assert_eq!(sh(&flush).trim(), "removed 0 SAs and 0 policies");
    let mut running =
        daemon_with(&["xfrm:netns=a"], &["--set", "state.directory=/run/state", "--flush-on-exit"]);
    assert_eq!(in_kernel("a"), (0, 3 * there.len() + 1));
    establish_one(&*connect(""));
    sh(&format!("kill -TERM {}", running.0.id()));
    assert!(running.0.wait().unwrap().success(), "{}", log());
    assert_eq!(in_kernel("a"), (0, 1), "{}", log());
    still();
}

/// A context in transport mode without a filter, which brings policies of its own.
fn establish_one(session: &dyn Session) {
    let bundles = BundlePair { inbound: bundle(0x1000), outbound: bundle(0x2000) };
    let step = SaContextStep::Establish(NewSaContext::new(traffic(1)), request(1), Box::new(bundles));
    session.sa_context_step(step).unwrap();
    assert_eq!(in_kernel("a").0, 2);
}
