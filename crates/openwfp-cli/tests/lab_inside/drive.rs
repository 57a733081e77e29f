//! Engines that drive both ends of a tunnel, without IKE: real packets, counters, limits, refusals.

use super::*;
use openwfp::api::guids::condition;
use openwfp::api::guids::layer;
use openwfp::api::object::Action;
use openwfp::api::object::ActionType;
use openwfp::api::object::Filter;
use openwfp::api::object::FilterCondition;
use openwfp::api::object::MatchType;
use openwfp::api::object::Object;
use openwfp::api::object::value::Value;
use std::net::IpAddr;
use std::sync::atomic::Ordering;

/// What is protected, and how.
#[derive(Clone)]
struct Case {
    name: &'static str,
    mode: Mode,
    /// The outer addresses of `a` and `b`, or those of the hosts.
    ends: (&'static str, &'static str),
    /// The inner networks; none in transport mode.
    nets: Option<(&'static str, &'static str)>,
    sas: fn(u32) -> SaList,
    udp: bool,
    /// Where `a` pings, and from where.
    ping: (&'static str, &'static str),
}

fn key(length: usize) -> Key {
    Key::new(&(0..length).map(|byte| u8::try_from(byte * 7 % 251 + 1).unwrap()).collect::<Vec<_>>())
}

fn sa(spi: u32, transform: Transform, linux: Option<LinuxSa>) -> Sa {
    Sa { spi: Spi::new(spi).unwrap(), transform, linux: linux.map(Box::new) }
}

fn gcm(spi: u32) -> SaList {
    SaList::one(sa(spi, aead(20), None))
}

fn aead(length: usize) -> Transform {
    Transform::EspAead(Aead { algorithm: AeadAlgorithm::AesGcm, icv_bits: 128, key: key(length) })
}

fn auth(algorithm: AuthAlgorithm, icv_bits: u16, length: usize) -> Auth {
    Auth { algorithm, icv_bits, key: key(length) }
}

fn cbc() -> Transform {
    Transform::EspAuthAndCipher(Box::new(EspAuthAndCipher {
        auth: auth(AuthAlgorithm::HmacSha256, 128, 32),
        cipher: Cipher { algorithm: CipherAlgorithm::AesCbc, key: key(16) },
    }))
}

fn esn(window: u32) -> Option<LinuxSa> {
    Some(LinuxSa { esn: true, replay_window: window, ..LinuxSa::default() })
}

fn cases() -> Vec<Case> {
    let tunnel = Case {
        name: "tunnel, ESP, AES-GCM",
        mode: Mode::Tunnel,
        ends: ("10.9.0.1", "10.9.0.2"),
        nets: Some(("10.1.0.0/24", "10.2.0.0/24")),
        sas: gcm,
        udp: false,
        ping: ("10.1.0.1", "10.2.0.1"),
    };
    let transport = Case {
        name: "transport, ESP",
        mode: Mode::Transport,
        nets: None,
        ping: ("10.9.0.1", "10.9.0.2"),
        ..tunnel.clone()
    };
    vec![
        Case { name: "NAT-T", udp: true, ..tunnel.clone() },
        Case { name: "CBC and HMAC", sas: |spi| SaList::one(sa(spi, cbc(), None)), ..tunnel.clone() },
        Case {
            name: "ESN, window of 4096",
            sas: |spi| SaList::one(sa(spi, aead(36), esn(4096))),
            ..tunnel.clone()
        },
        Case {
            name: "no replay protection",
            sas: |spi| SaList::one(sa(spi, aead(28), Some(LinuxSa::default()))),
            ..tunnel.clone()
        },
        Case {
            name: "v6 in v6",
            ends: ("fd09::1", "fd09::2"),
            nets: Some(("fd01::/64", "fd02::/64")),
            ping: ("fd01::1", "fd02::1"),
            ..tunnel.clone()
        },
        Case {
            name: "v6 in v4",
            nets: Some(("fd01::/64", "fd02::/64")),
            ping: ("fd01::1", "fd02::1"),
            ..tunnel.clone()
        },
        Case { name: "v4 in v6", ends: ("fd09::1", "fd09::2"), ..tunnel.clone() },
        Case {
            name: "AH",
            sas: |spi| SaList::one(sa(spi, Transform::Ah(auth(AuthAlgorithm::HmacSha256, 128, 32)), None)),
            ..transport.clone()
        },
        Case {
            name: "ESP with AH, tunnel",
            sas: |spi| {
                let ah = Transform::Ah(auth(AuthAlgorithm::HmacSha1, 96, 20));
                SaList::new([sa(spi, aead(20), None), sa(spi, ah, None)]).unwrap()
            },
            ..tunnel.clone()
        },
        Case {
            name: "ESP without encryption, v6 transport",
            ends: ("fd09::1", "fd09::2"),
            sas: |spi| {
                SaList::one(sa(spi, Transform::EspAuth(auth(AuthAlgorithm::HmacSha512, 256, 64)), None))
            },
            ping: ("fd09::1", "fd09::2"),
            ..transport.clone()
        },
        Case {
            name: "marks",
            sas: |spi| {
                let mark = Some(Mark { value: 0x2a, mask: 0xff });
                let extras = LinuxExtras { mark, ..LinuxExtras::default() };
                SaList::one(sa(
                    spi,
                    aead(20),
                    Some(LinuxSa { extras: Some(Box::new(extras)), replay_window: 32, ..LinuxSa::default() }),
                ))
            },
            ..tunnel.clone()
        },
        transport,
        tunnel,
    ]
}

/// The filters of a traffic, and what the context is created with.
fn filter(session: &dyn Session, case: &Case, from_a: bool) -> FilterId {
    let Some((of_a, of_b)) = case.nets else { return FilterId(0) };
    let (local, remote) = if from_a { (of_a, of_b) } else { (of_b, of_a) };
    let (local, remote): (IpNet, IpNet) = (local.parse().unwrap(), remote.parse().unwrap());
    let at = if local.addr().is_ipv4() { layer::OUTBOUND_TRANSPORT_V4 } else { layer::OUTBOUND_TRANSPORT_V6 };
    let is = |field, network: IpNet| FilterCondition {
        field,
        match_type: MatchType::Equal,
        value: Value::network(network),
    };
    let filter = Filter {
        name: case.name.into(),
        layer: at,
        conditions: vec![is(condition::IP_LOCAL_ADDRESS, local), is(condition::IP_REMOTE_ADDRESS, remote)],
        action: Action { kind: ActionType::Permit, callout: Guid::default() },
        ..Filter::default()
    };
    FilterId(session.object_add(Object::Filter(filter)).unwrap())
}

struct Host {
    name: &'static str,
    session: Arc<dyn Session>,
    events: Box<dyn EventStream>,
    #[allow(dead_code, reason = "it lives as long as the host")]
    engine: Engine,
}

impl Host {
    fn new(name: &'static str) -> Host {
        let engine = engine(name, None);
        let session = open(&engine);
        let events = session.events(&SubscriptionOptions::all()).unwrap();
        Host { name, session, events, engine }
    }

    /// Sets up one end, step by step as a keying daemon does.
    fn establish(
        &self,
        case: &Case,
        filter: FilterId,
        spis: (u32, u32),
        lifetime: Lifetime,
    ) -> Result<SaContextId> {
        let from_a = self.name == "a";
        let (a, b): (IpAddr, IpAddr) = (case.ends.0.parse().unwrap(), case.ends.1.parse().unwrap());
        let (local, remote) = if from_a { (a, b) } else { (b, a) };
        let traffic = Traffic::new(Endpoints::new(local, remote).unwrap(), case.mode);
        let udp_encapsulation = case.udp.then_some(UdpEncapsulation { local_port: 4500, remote_port: 4500 });
        let request = InboundRequest { traffic: traffic.clone(), filter_id: filter, udp_encapsulation };
        let bundle = |spi| SaBundle { lifetime, ..SaBundle::new((case.sas)(spi)) };
        let id = self.session.sa_context_create(&NewSaContext::new(traffic).filter(filter))?;
        let result = self
            .session
            .sa_context_set_spi(id, &request, Spi::new(spis.0).unwrap())
            .and_then(|()| self.session.sa_context_add_inbound(id, bundle(spis.0)))
            .and_then(|()| self.session.sa_context_add_outbound(id, bundle(spis.1)));
        result.map(|()| id)
    }

    fn context(&self, id: SaContextId) -> Arc<SaContext> {
        self.session.sa_context_by_id(id).unwrap()
    }

    /// The events that came, by kind.
    fn told(&mut self) -> Vec<(EventKind, u64)> {
        let mut told = Vec::new();
        while let Some(Notification::Event(event)) = self.events.next(Duration::from_millis(50)).unwrap() {
            told.push((event.kind, event.id.0));
        }
        told
    }
}

/// Holds the sockets that take ESP out of UDP, as a keying daemon does.
fn udp_sockets() -> Vec<std::process::Child> {
    let program = "import socket,time\ns=socket.socket(socket.AF_INET,socket.SOCK_DGRAM)\ns.setsockopt(17,100,2)\ns.bind(('',4500))\ntime.sleep(3600)";
    ["a", "b"]
        .map(|host| {
            Command::new("ip").args(["netns", "exec", host, "python3", "-c", program]).spawn().unwrap()
        })
        .into()
}

fn marked(case: &Case) -> &'static str {
    if case.name == "marks" { "-m 42" } else { "" }
}

fn ping(case: &Case) -> bool {
    let (from, to) = case.ping;
    succeeds(&format!("ip netns exec a ping -q -c 2 -i 0.2 -W 1 {} -I {from} {to}", marked(case)))
}

#[test]
#[ignore = "in the kernel lab: lab.rs starts it"]
fn both_ends_of_every_kind_of_tunnel_work_and_leave_nothing_behind() {
    two_hosts();
    // What is marked comes back marked.
    sh("ip netns exec b sh -c 'echo 1 >/proc/sys/net/ipv4/fwmark_reflect'");
    let mut sockets = udp_sockets();
    let (mut a, mut b) = (Host::new("a"), Host::new("b"));
    for (number, case) in (0..).zip(cases()) {
        let (to_a, to_b) = (0x1000 + number, 0x2000 + number);
        let filters = [filter(&*a.session, &case, true), filter(&*b.session, &case, false)];
        let of_a = a.establish(&case, filters[0], (to_a, to_b), Lifetime::UNLIMITED).unwrap();
        let of_b = b.establish(&case, filters[1], (to_b, to_a), Lifetime::UNLIMITED).unwrap();
        if case.name == "marks" {
            // Inbound packets get their mark before the kernel looks for the SA.
            sh("for module in sch_ingress cls_matchall act_skbedit; do modprobe $module; done
                for host in a b; do
                  tc -n $host qdisc add dev v$host ingress
                  tc -n $host filter add dev v$host parent ffff: matchall action skbedit mark 42
                done");
        }
        assert!(
            ping(&case),
            "{}\n{}",
            case.name,
            sh(
                "ip -n a -s xfrm state; ip -n a xfrm policy; ip -n b -s xfrm state; ip -n b xfrm policy; cat /proc/net/xfrm_stat; ip netns exec b cat /proc/net/xfrm_stat"
            )
        );
        // Both ends have counted what went through, and the kernel says the same.
        std::thread::sleep(Duration::from_millis(2100));
        for (host, id) in [(&a, of_a), (&b, of_b)] {
            let context = host.context(id);
            for (direction, details) in context.directions() {
                let (bytes, packets) = context.counters.direction(direction).traffic();
                assert!(packets >= 2 && bytes > 0, "{}: {}: {direction:?} {packets}", case.name, host.name);
                let spi = details.bundle.sas.first().spi;
                let protocol = details.bundle.sas.first().transform.protocol();
                let destination = match direction {
                    Direction::Inbound => context.traffic.endpoints.local(),
                    Direction::Outbound => context.traffic.endpoints.remote(),
                };
                let mark = if case.name == "marks" { "mark 42 mask 0xff" } else { "" };
                let shown = sh(&format!(
                    "ip -n {} -s xfrm state get dst {destination} proto {protocol} spi {spi} {mark}",
                    host.name
                ));
                assert!(
                    shown.contains(&format!("{bytes}(bytes), {packets}(packets)")),
                    "{}: {shown}",
                    case.name
                );
            }
        }
        let sas = (case.sas)(1).iter().count();
        assert_eq!(in_kernel("a").0, 2 * sas, "{}", case.name);
        a.session.sa_context_delete_by_id(of_a).unwrap();
        b.session.sa_context_delete_by_id(of_b).unwrap();
        for host in ["a", "b"] {
            assert_eq!(in_kernel(host), (0, 0), "{}: something is left on {host}", case.name);
        }
        for (host, id) in [(&mut a, of_a), (&mut b, of_b)] {
            let told = host.told();
            assert_eq!(told, [(EventKind::Add, id.0), (EventKind::Delete, id.0)], "{}", case.name);
            assert!(contexts(&*host.session).is_empty());
        }
    }
    let statistics = a.session.statistics().unwrap();
    assert!(statistics.outbound.tunnel_bytes > 0 && statistics.outbound.transport_bytes > 0);
    sockets.iter_mut().for_each(|socket| drop(socket.kill()));
}

#[test]
#[ignore = "in the kernel lab: lab.rs starts it"]
fn limits_wrong_keys_rekeys_moves_and_refusals_are_as_promised() {
    two_hosts();
    let (mut a, mut b) = (Host::new("a"), Host::new("b"));
    let plain = cases().pop().unwrap();
    let filters = [filter(&*a.session, &plain, true), filter(&*b.session, &plain, false)];
    let unlimited = Lifetime::UNLIMITED;
    let establish = |host: &Host, case: &Case, spis, lifetime| {
        let filter = filters[usize::from(host.name == "b")];
        host.establish(case, filter, spis, lifetime)
    };

    // A rekey: two generations share the policies, the newer one is used, the older one goes without a gap.
    let old = establish(&a, &plain, (0x1000, 0x2000), unlimited).unwrap();
    let old_b = establish(&b, &plain, (0x2000, 0x1000), unlimited).unwrap();
    assert!(ping(&plain));
    let policies = in_kernel("a").1;
    assert_eq!(policies, 3, "out, in, fwd");
    std::thread::sleep(Duration::from_millis(1100));
    let new_b = establish(&b, &plain, (0x2001, 0x1001), unlimited).unwrap();
    let new = establish(&a, &plain, (0x1001, 0x2001), unlimited).unwrap();
    assert_eq!(in_kernel("a"), (4, policies));
    a.session.sa_context_expire(old).unwrap();
    assert_eq!(in_kernel("a"), (3, policies), "the outbound SA goes at once");
    assert!(ping(&plain));
    a.session.sa_context_delete_by_id(old).unwrap();
    b.session.sa_context_delete_by_id(old_b).unwrap();
    assert!(ping(&plain));
    assert_eq!(in_kernel("a"), (2, policies));
    std::thread::sleep(Duration::from_millis(2100));
    let context = a.context(new);
    let (bytes, total) =
        (context.counters.outbound.traffic().0, context.counters.total(Direction::Outbound).0);
    assert!(total > bytes && bytes > 0, "{total} in all generations, {bytes} in this one");
    assert_eq!(a.session.statistics().unwrap().sas.successful_rekeys, 1);

    // The peer's address changes: the same SA goes on there, with its sequence numbers.
    sh("ip -n b address add 10.9.0.22/24 dev vb");
    let moved = |host: &Host, id: SaContextId, local: &str, remote: &str| {
        let mut values = (*host.context(id)).clone();
        values.traffic.endpoints = Endpoints::new(local.parse().unwrap(), remote.parse().unwrap()).unwrap();
        host.session.sa_context_update(UpdateFlags::TRAFFIC, &values)
    };
    moved(&a, new, "10.9.0.1", "10.9.0.22").unwrap();
    moved(&b, new_b, "10.9.0.22", "10.9.0.1").unwrap();
    assert!(
        ping(&plain),
        "{}",
        sh(
            "ip -n a -s xfrm state; ip -n a xfrm policy; ip -n b -s xfrm state; ip -n b xfrm policy; ip netns exec b cat /proc/net/xfrm_stat"
        )
    );
    assert_eq!(in_kernel("a"), (2, 3));
    std::thread::sleep(Duration::from_millis(2100));
    assert!(a.context(new).counters.outbound.traffic().0 > bytes, "counters go on");
    let was = b.context(new_b);
    assert_eq!(
        was.traffic.endpoints.local().to_string(),
        "10.9.0.22",
        "what the engine had done, the kernel's word does not undo"
    );
    a.session.sa_context_delete_by_id(new).unwrap();
    b.session.sa_context_delete_by_id(new_b).unwrap();
    let left = || sh("for host in a b; do ip -n $host xfrm state | grep -v aead || true; done");
    assert_eq!((in_kernel("a"), in_kernel("b")), ((0, 0), (0, 0)), "{was:?}\n{}", left());

    // A wrong key: nothing passes, and the receiver counts it.
    let wrong = Case {
        sas: |spi| {
            SaList::one(sa(
                spi,
                Transform::EspAead(Aead {
                    algorithm: AeadAlgorithm::AesGcm,
                    icv_bits: 128,
                    key: Key::new(&[9; 20]),
                }),
                None,
            ))
        },
        ..plain.clone()
    };
    let of_a = establish(&a, &plain, (0x1002, 0x2002), unlimited).unwrap();
    let of_b = establish(&b, &wrong, (0x2002, 0x1002), unlimited).unwrap();
    assert!(!ping(&plain));
    std::thread::sleep(Duration::from_millis(2100));
    let failures = b.context(of_b).counters.inbound.integrity_failures.load(Ordering::Relaxed);
    assert!(failures >= 2, "{failures} packets failed");
    let drops = b.session.statistics().unwrap().drops;
    assert!(drops.authentication_failures.unwrap() >= 2 && drops.total.unwrap() >= 2, "{drops:?}");
    a.session.sa_context_delete_by_id(of_a).unwrap();
    b.session.sa_context_delete_by_id(of_b).unwrap();
    a.told();
    b.told();

    // A limit in packets: told before, and the context goes with all that was for it.
    let few = Lifetime { packets: 10, ..unlimited };
    let of_a = establish(&a, &plain, (0x1003, 0x2003), few).unwrap();
    let of_b = establish(&b, &plain, (0x2003, 0x1003), unlimited).unwrap();
    succeeds("ip netns exec a ping -q -c 15 -i 0.05 -W 1 -I 10.1.0.1 10.2.0.1");
    until("the end of a lifetime", || a.session.sa_context_by_id(of_a).is_err());
    let kinds: Vec<_> = a.told().into_iter().map(|told| told.0).collect();
    assert_eq!(kinds.first(), Some(&EventKind::Add));
    assert!(kinds.contains(&EventKind::SoftExpiry), "{kinds:?}");
    assert_eq!(kinds.iter().filter(|kind| **kind == EventKind::Delete).count(), 1, "{kinds:?}");
    assert_eq!(in_kernel("a"), (0, 0));
    b.session.sa_context_delete_by_id(of_b).unwrap();

    // What the kernel refuses has its own words and the code that fits, and leaves nothing.
    fn with_extras(spi: u32, extras: LinuxExtras) -> SaList {
        let linux = LinuxSa { extras: Some(Box::new(extras)), replay_window: 32, ..LinuxSa::default() };
        SaList::one(sa(spi, aead(20), Some(linux)))
    }
    // The wire has no card that could take over whole packets.
    let offloaded = Case {
        sas: |spi| {
            let offload = Some(HardwareOffload { interface: 1, flags: 4 });
            with_extras(spi, LinuxExtras { offload, ..LinuxExtras::default() })
        },
        ..plain.clone()
    };
    let error = establish(&a, &offloaded, (0x1004, 0x2004), unlimited).unwrap_err();
    assert!(error.what().starts_with("the kernel refused to install the SA 0x00001004"), "{error}");
    assert_eq!(in_kernel("a"), (0, 0));
    // An interface id is the states' and the policies'.
    let of_interface = Case {
        sas: |spi| with_extras(spi, LinuxExtras { if_id: 5, ..LinuxExtras::default() }),
        ..plain.clone()
    };
    let id = establish(&a, &of_interface, (0x100a, 0x200a), unlimited).unwrap();
    assert_eq!(sh("ip -n a xfrm state; ip -n a xfrm policy").matches("if_id 0x5").count(), 5);
    a.session.sa_context_delete_by_id(id).unwrap();
    // Without a filter, the interface's policies are for all packets, and the context shows them.
    let case = Case { nets: None, ..of_interface };
    let id = a.establish(&case, FilterId(0), (0x100b, 0x200b), unlimited).unwrap();
    until("the kernel's policies", || !a.context(id).selectors.is_empty());
    let shown: Vec<String> =
        a.context(id).selectors.iter().map(|selector| selector.local.to_string()).collect();
    assert_eq!(shown, ["0.0.0.0/0", "::/0"]);
    a.session.sa_context_delete_by_id(id).unwrap();
    let unknown = Case {
        sas: |spi| {
            let other = Aead { algorithm: AeadAlgorithm::Other, icv_bits: 128, key: key(20) };
            let extras =
                LinuxExtras { algorithm_names: Box::new(["no(such)".into()]), ..LinuxExtras::default() };
            SaList::one(sa(
                spi,
                Transform::EspAead(other),
                Some(LinuxSa { extras: Some(Box::new(extras)), ..LinuxSa::default() }),
            ))
        },
        ..plain.clone()
    };
    let error = establish(&a, &unknown, (0x1005, 0x2005), unlimited).unwrap_err();
    assert_eq!(error.code(), Code::ERROR_NOT_SUPPORTED, "{error}");
    let long = Case { sas: |spi| SaList::one(sa(spi, aead(20), esn(4097))), ..plain.clone() };
    let error = establish(&a, &long, (0x1006, 0x2006), unlimited).unwrap_err();
    assert_eq!(error.code(), Code::FWP_E_OUT_OF_BOUNDS, "{error}");
    assert_eq!(in_kernel("a"), (0, 0));
    // Somebody else has the SPI, which the engine knows from following; or the same policy.
    sh(
        "ip -n a xfrm state add src 10.9.0.2 dst 10.9.0.1 proto esp spi 0x1007 mode tunnel aead 'rfc4106(gcm(aes))' 0x0102030405060708090a0b0c0d0e0f1011121314 128",
    );
    until("the other one's SA", || contexts(&*a.session).iter().any(|context| context.inbound.is_some()));
    let error = establish(&a, &plain, (0x1007, 0x2007), unlimited).unwrap_err();
    assert_eq!(error.code(), Code::FWP_E_ALREADY_EXISTS, "{error}");
    sh(
        "ip -n a xfrm policy add src 10.1.0.0/24 dst 10.2.0.0/24 dir out tmpl src 10.9.0.1 dst 10.9.0.7 proto esp mode tunnel",
    );
    let error = establish(&a, &plain, (0x1008, 0x2008), unlimited).unwrap_err();
    assert_eq!(error.code(), Code::FWP_E_ALREADY_EXISTS, "{error}");
    assert!(error.what().contains("File exists"), "the kernel's own words: {error}");
    assert_eq!(
        in_kernel("a"),
        (2, 3),
        "theirs, and ours without what was refused: the inbound SA and its policies"
    );
    // What others installed is not touched.
    let theirs = contexts(&*a.session)
        .into_iter()
        .find(|context| context.spis().any(|(_, spi)| spi.get() == 0x1007))
        .unwrap();
    let error = a.session.sa_context_delete_by_id(theirs.id).unwrap_err();
    assert_eq!(error.code(), Code::ERROR_ACCESS_DENIED);
    assert!(error.remedy().unwrap().contains("adopt"), "{error}");

    // Acquires: traffic without an SA asks for one, and who takes it up gets it going.
    sh(
        "ip -n b xfrm policy add src 10.2.0.0/24 dst 10.1.0.0/24 dir out tmpl src 10.9.0.2 dst 10.9.0.1 proto esp reqid 77 mode tunnel",
    );
    b.told();
    succeeds("ip netns exec b ping -q -c 1 -W 1 -I 10.2.0.1 10.1.0.1");
    let told = b.told();
    let [(EventKind::Acquire, asked)] = told[..] else { panic!("{told:?}") };
    let larval = b.context(SaContextId(asked));
    assert_eq!(larval.state, SaState::Created);
    assert_eq!(larval.traffic.endpoints.remote(), "10.9.0.1".parse::<IpAddr>().unwrap());
    let request =
        InboundRequest { traffic: larval.traffic.clone(), filter_id: FilterId(0), udp_encapsulation: None };
    let spi = b.session.sa_context_get_spi(larval.id, &request).unwrap();
    b.session.sa_context_add_inbound(larval.id, SaBundle::new(gcm(spi.get()))).unwrap();
    b.session.sa_context_add_outbound(larval.id, SaBundle::new(gcm(0x1009))).unwrap();
    std::thread::sleep(Duration::from_millis(200));
    let context = b.context(larval.id);
    assert_eq!(context.state, SaState::Complete);
    let shown = sh("ip -n b xfrm state");
    assert!(
        shown.contains("reqid 77") && !shown.contains("spi 0x00000000"),
        "the kernel's own state gave way: {shown}"
    );
    succeeds("ip netns exec b ping -q -c 1 -W 1 -I 10.2.0.1 10.1.0.1");
    std::thread::sleep(Duration::from_millis(2100));
    assert!(b.context(larval.id).counters.outbound.traffic().1 >= 1, "its packets go out through it");
}

#[test]
#[ignore = "in the kernel lab: lab.rs starts it"]
fn tshark_decrypts_a_capture_with_the_exported_keys() {
    two_hosts();
    let (a, b) = (Host::new("a"), Host::new("b"));
    let all = cases();
    let mut packets = 0;
    for (number, name) in (0..).zip(["tunnel, ESP, AES-GCM", "CBC and HMAC", "v6 in v4"]) {
        let case = all.iter().find(|case| case.name == name).unwrap();
        let filters = [filter(&*a.session, case, true), filter(&*b.session, case, false)];
        let spis = (0x1100 + number, 0x1200 + number);
        let of_a = a.establish(case, filters[0], spis, Lifetime::UNLIMITED).unwrap();
        let of_b = b.establish(case, filters[1], (spis.1, spis.0), Lifetime::UNLIMITED).unwrap();
        let capture = format!("/run/capture-{number}.pcap");
        let mut tcpdump = Command::new("ip")
            .args([
                "netns",
                "exec",
                "b",
                "tcpdump",
                "-q",
                "-U",
                "--immediate-mode",
                "-i",
                "vb",
                "-w",
                &capture,
                "esp",
            ])
            .stderr(std::process::Stdio::null())
            .spawn()
            .unwrap();
        until("tcpdump", || std::fs::metadata(&capture).is_ok_and(|file| file.len() > 0));
        std::thread::sleep(Duration::from_millis(500));
        assert!(ping(case), "{name}");
        let captured = format!("(tcpdump -r {capture} 2>/dev/null || true) | wc -l");
        until("the capture", || sh(&captured).trim().parse::<u32>().is_ok_and(|packets| packets >= 4));
        tcpdump.kill().unwrap();
        tcpdump.wait().unwrap();
        let decoded = sh(&format!(
            "export HOME=/run/home{number}; mkdir -p $HOME/.config/wireshark
             {} --engine xfrm:netns=a sa export --format wireshark >$HOME/.config/wireshark/esp_sa
             tshark -r {capture} -o esp.enable_encryption_decode:TRUE -Y 'icmp || icmpv6' 2>/dev/null",
            wfp()
        ));
        let echoes = decoded.lines().filter(|line| line.contains("Echo (ping)")).count();
        assert!(
            echoes >= 4,
            "{name}: {decoded}\n{}",
            sh(&format!(
                "cat /run/home{number}/.config/wireshark/esp_sa | sed 's/0x[0-9a-f]*/0x/g'; tshark -r {capture} 2>&1 | head"
            ))
        );
        packets += echoes;
        a.session.sa_context_delete_by_id(of_a).unwrap();
        b.session.sa_context_delete_by_id(of_b).unwrap();
    }
    assert!(packets >= 12);
}

#[test]
#[ignore = "in the kernel lab: lab.rs starts it"]
fn tcp_goes_through_a_tunnel() {
    two_hosts();
    let (a, b) = (Host::new("a"), Host::new("b"));
    let case = cases().pop().unwrap();
    let filters = [filter(&*a.session, &case, true), filter(&*b.session, &case, false)];
    let of_a = a.establish(&case, filters[0], (0x1000, 0x2000), Lifetime::UNLIMITED).unwrap();
    b.establish(&case, filters[1], (0x2000, 0x1000), Lifetime::UNLIMITED).unwrap();
    let server = "import socket\ns=socket.create_server(('10.2.0.1',5001))\nc,_=s.accept()\nn=0\nwhile True:\n d=c.recv(65536)\n if not d: break\n n+=len(d)\nc.close()\nprint(n)";
    let client = "import socket\ns=socket.create_connection(('10.2.0.1',5001),10,('10.1.0.1',0))\ns.sendall(b'x'*20000000)\ns.close()";
    let server = Command::new("ip")
        .args(["netns", "exec", "b", "python3", "-c", server])
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    until("the client", || succeeds(&format!("ip netns exec a python3 -c \"{client}\"")));
    let output = server.wait_with_output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "20000000");
    std::thread::sleep(Duration::from_millis(2100));
    assert!(a.context(of_a).counters.outbound.traffic().0 > 20_000_000);
}
