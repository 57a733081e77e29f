//! Filters and tunnel policies in the kernel: what they protect never leaves in the clear.

use super::*;
use openwfp::api::guids::callout;
use openwfp::api::guids::condition;
use openwfp::api::guids::layer;
use openwfp::api::guids::sublayer;
use openwfp::api::object::policy::*;
use openwfp::api::object::value::Value;
use openwfp::api::object::*;
use std::process::Child;

/// Records the frames between the hosts that are in the clear although they ought to be protected.
pub(super) struct Sniffer([Child; 2]);

/// Where a host's frames leave it, and where tcpdump keeps them.
const LEAVING: [[&str; 3]; 2] = [["a", "va", "/run/clear-a.pcap"], ["b", "vb", "/run/clear-b.pcap"]];

impl Sniffer {
    /// A filter of pcap says which frames must not be seen. Only what leaves a host counts: the kernel shows the packets
    /// that it decrypted on the same device, as received.
    pub(super) fn start(forbidden: &str) -> Sniffer {
        let children = LEAVING.map(|[host, device, file]| {
            drop(std::fs::remove_file(file));
            let expression = format!("esp or ({forbidden})");
            Command::new("ip")
                .args([
                    "netns",
                    "exec",
                    host,
                    "tcpdump",
                    "--immediate-mode",
                    "-Q",
                    "out",
                    "-i",
                    device,
                    "-U",
                    "-w",
                    file,
                    &expression,
                ])
                .stderr(std::process::Stdio::null())
                .spawn()
                .unwrap()
        });
        for [_, _, file] in LEAVING {
            until("tcpdump", || std::fs::metadata(file).is_ok_and(|file| file.len() > 0));
        }
        Sniffer(children)
    }

    /// The forbidden frames seen, a line each. Protected ones must have been seen too, or nobody looked.
    pub(super) fn stop(self) -> String {
        self.frames(true)
    }

    /// The forbidden frames seen, where nothing could be protected.
    pub(super) fn stop_without_sas(self) -> String {
        self.frames(false)
    }

    fn frames(self, protected: bool) -> String {
        std::thread::sleep(Duration::from_millis(500));
        for mut child in self.0 {
            child.kill().unwrap();
            child.wait().unwrap();
        }
        let frames = LEAVING.map(|[_, _, file]| sh(&format!("tcpdump -nr {file} 2>/dev/null"))).join("\n");
        assert_eq!(frames.contains("ESP("), protected, "{frames}");
        frames
            .lines()
            .filter(|frame| !frame.is_empty() && !frame.contains("ESP("))
            .collect::<Vec<_>>()
            .join("\n")
    }
}

fn equal(field: Guid, value: Value) -> FilterCondition {
    FilterCondition { field, match_type: MatchType::Equal, value }
}

fn between(local: &str, remote: &str) -> Vec<FilterCondition> {
    let net = |text: &str| Value::network(text.parse().unwrap());
    vec![equal(condition::IP_LOCAL_ADDRESS, net(local)), equal(condition::IP_REMOTE_ADDRESS, net(remote))]
}

/// The key of the tunnel policy between the hosts.
const TUNNEL: Guid = Guid::new(1, 7, 7, [7; 8]);

/// The outer addresses of the hosts.
fn ends(host: &str) -> [std::net::IpAddr; 2] {
    let (a, b) = ([10, 9, 0, 1].into(), [10, 9, 0, 2].into());
    if host == "a" { [a, b] } else { [b, a] }
}

/// One end of a tunnel between the hosts: a policy with its filters, at first without SAs.
struct End {
    host: &'static str,
    session: Arc<dyn Session>,
    #[allow(dead_code, reason = "it lives as long as the end")]
    engine: Engine,
    policy: u64,
    filters: Vec<u64>,
}

impl End {
    fn new(host: &'static str, filters: &[Vec<FilterCondition>]) -> End {
        let engine = engine(host, None);
        let session = open(&engine);
        let [local, remote] = ends(host).map(record::Address);
        let endpoints = TunnelEndpoints { local, remote, ..TunnelEndpoints::default() };
        let policy = session
            .object_add(Object::ProviderContext(ProviderContext {
                key: TUNNEL,
                name: "tunnel".into(),
                policy: Policy::IkeQmTunnel(TunnelPolicy { endpoints, ..TunnelPolicy::default() }),
                ..ProviderContext::default()
            }))
            .unwrap();
        let mut end = End { host, session, engine, policy, filters: Vec::new() };
        for conditions in filters {
            end.protect(conditions).unwrap();
        }
        end
    }

    /// Adds a filter of the policy.
    fn protect(&mut self, conditions: &[FilterCondition]) -> Result<()> {
        let id = self.session.object_add(Object::Filter(protecting(conditions)))?;
        self.filters.push(id);
        Ok(())
    }

    /// Adds the SAs of a context of the policy; those of both ends have the same number.
    fn establish(&self, number: u32) -> SaContextId {
        let [local, remote] = ends(self.host);
        let (to_a, to_b) = (0x1000 + number, 0x2000 + number);
        let (spi_in, spi_out) = if self.host == "a" { (to_a, to_b) } else { (to_b, to_a) };
        let traffic = Traffic::new(Endpoints::new(local, remote).unwrap(), Mode::Tunnel);
        let filter_id = FilterId(self.policy);
        let request = InboundRequest { traffic: traffic.clone(), filter_id, udp_encapsulation: None };
        let bundle = |spi| {
            let aead = Aead { algorithm: AeadAlgorithm::AesGcm, icv_bits: 128, key: Key::new(&[7; 20]) };
            let sa = Sa { spi: Spi::new(spi).unwrap(), transform: Transform::EspAead(aead), linux: None };
            SaBundle::new(SaList::one(sa))
        };
        let step = SaContextStep::Establish(
            NewSaContext::new(traffic).filter(filter_id),
            request,
            Box::new(BundlePair { inbound: bundle(spi_in), outbound: bundle(spi_out) }),
        );
        self.session.sa_context_step(step).unwrap().id
    }

    fn delete_filter(&mut self, place: usize) {
        let id = self.filters.remove(place);
        self.session.object_delete(ObjectKind::Filter, ObjectName::Id(id)).unwrap();
    }

    /// The selectors that the engine shows for a context.
    fn selectors(&self, id: SaContextId) -> Vec<String> {
        let context = self.session.sa_context_by_id(id).unwrap();
        context.selectors.iter().map(|one| format!("{} {}", one.local, one.remote)).collect()
    }
}

fn protecting(conditions: &[FilterCondition]) -> Filter {
    let v6 = matches!(&conditions[0].value, Value::Network(network) if network.0.addr().is_ipv6());
    let (layer, callout) = match v6 {
        true => (layer::OUTBOUND_TRANSPORT_V6, callout::IPSEC_OUTBOUND_TUNNEL_V6),
        false => (layer::OUTBOUND_TRANSPORT_V4, callout::IPSEC_OUTBOUND_TUNNEL_V4),
    };
    Filter {
        name: "a pair".into(),
        layer,
        sublayer: sublayer::IPSEC_TUNNEL,
        conditions: conditions.to_vec(),
        action: Action { kind: ActionType::CalloutTerminating, callout },
        context: FilterContext::ProviderContext(TUNNEL),
        flags: FILTER_HAS_PROVIDER_CONTEXT,
        ..Filter::default()
    }
}

fn ping(version: u8, from: &str, to: &str) -> bool {
    succeeds(&format!("ip netns exec a ping -{version} -q -c 2 -i 0.2 -W 1 -I {from} {to}"))
}

pub(super) const PINGS: &str = "icmp or (icmp6 and ip6[40] >= 128 and ip6[40] <= 129)";

/// Two pairs of IPv4 networks and one of IPv6 in one policy and one SA context: each of them is protected.
#[test]
#[ignore = "in the kernel lab: lab.rs starts it"]
fn every_filter_of_a_tunnel_policy_is_protected() {
    two_hosts();
    sh("ip -n a address add 10.1.1.1/24 dev lo; ip -n b address add 10.2.1.1/24 dev lo
        ip -n a route add 10.2.1.0/24 via 10.9.0.2 src 10.1.1.1
        ip -n b route add 10.1.1.0/24 via 10.9.0.1 src 10.2.1.1");
    let pairs = [("10.1.0.0/24", "10.2.0.0/24"), ("10.1.1.0/24", "10.2.1.0/24"), ("fd01::/64", "fd02::/64")];
    let of_a: Vec<_> = pairs.iter().map(|(a, b)| between(a, b)).collect();
    let of_b: Vec<_> = pairs.iter().map(|(a, b)| between(b, a)).collect();
    let mut a = End::new("a", &of_a[..2]);
    let b = End::new("b", &of_b);
    assert_eq!(in_kernel("a"), (0, 6), "out, in and fwd of two pairs, before there are SAs");
    let id = a.establish(1);
    b.establish(1);
    // A filter that comes later is the policy's and the context's, too.
    assert_eq!(a.selectors(id).len(), 2);
    a.protect(&of_a[2]).unwrap();
    assert_eq!(a.selectors(id).len(), 3);
    assert_eq!(in_kernel("a"), (2, 9));
    let sniffer = Sniffer::start(PINGS);
    assert!(ping(4, "10.1.0.1", "10.2.0.1"));
    assert!(ping(4, "10.1.1.1", "10.2.1.1"));
    assert!(ping(6, "fd01::1", "fd02::1"));
    assert_eq!(sniffer.stop(), "", "frames in the clear");

    // Between two SAs nothing passes, and traffic goes on with the next one.
    a.session.sa_context_delete_by_id(id).unwrap();
    assert_eq!(in_kernel("a"), (0, 9), "the policies stay");
    let sniffer = Sniffer::start(PINGS);
    assert!(!ping(4, "10.1.0.1", "10.2.0.1") && !ping(6, "fd01::1", "fd02::1"));
    assert_eq!(sniffer.stop_without_sas(), "", "frames in the clear");
    let id = a.establish(2);
    b.establish(2);
    let sniffer = Sniffer::start(PINGS);
    assert!(ping(4, "10.1.0.1", "10.2.0.1"));
    assert_eq!(sniffer.stop(), "", "frames in the clear");

    // A filter that goes takes its policies and its selectors with it.
    a.delete_filter(0);
    assert_eq!(a.selectors(id), ["fd01::/64 fd02::/64", "10.1.1.0/24 10.2.1.0/24"]);
    assert_eq!(in_kernel("a").1, 6);
    assert!(ping(4, "10.1.1.1", "10.2.1.1"));
    a.delete_filter(0);
    a.delete_filter(0);
    assert_eq!(a.selectors(id), [""; 0], "the tunnel has no policy");
    assert_eq!(in_kernel("a").1, 0);
}

/// Three hundred pairs of networks in one policy and one SA context: a packet of each is protected.
#[test]
#[ignore = "in the kernel lab: lab.rs starts it"]
fn hundreds_of_filters_are_protected_each() {
    two_hosts();
    let networks: Vec<(u8, u8)> = (0..300_u16).map(|n| ((n / 100) as u8, (n % 100) as u8)).collect();
    let lines = |host: &str, first: u8| -> String {
        let line = |(high, low): &(u8, u8)| format!("address add 10.{}.{low}.1/24 dev lo\n", first + high);
        let all: String = networks.iter().map(line).collect();
        format!("ip -n {host} -batch - <<'E'\n{all}E")
    };
    sh(&lines("a", 100));
    sh(&lines("b", 200));
    sh("ip -n a route add 10.200.0.0/14 via 10.9.0.2; ip -n b route add 10.100.0.0/14 via 10.9.0.1
        ip -n b route add 10.103.0.0/16 via 10.9.0.1; ip -n a route add 10.203.0.0/16 via 10.9.0.2");
    let pairs = |own: u8, other: u8| -> Vec<Vec<FilterCondition>> {
        let pair = |(high, low): &(u8, u8)| {
            between(&format!("10.{}.{low}.0/24", own + high), &format!("10.{}.{low}.0/24", other + high))
        };
        networks.iter().map(pair).collect()
    };
    let (a, b) = (End::new("a", &pairs(100, 200)), End::new("b", &pairs(200, 100)));
    assert_eq!(in_kernel("a"), (0, 900), "out, in and fwd of each pair");
    let id = a.establish(1);
    b.establish(1);
    assert_eq!(a.selectors(id).len(), 300);
    let sniffer = Sniffer::start(PINGS);
    let pings: String = networks
        .iter()
        .map(|(high, low)| {
            format!("ping -q -c 1 -W 2 -I 10.{}.{low}.1 10.{}.{low}.1 >/dev/null\n", 100 + high, 200 + high)
        })
        .collect();
    sh(&format!("ip netns exec a bash -e <<'E'\n{pings}E"));
    assert_eq!(sniffer.stop(), "", "frames in the clear");
    let states = sh("ip -n a -s xfrm state");
    assert_eq!(states.matches(" 300(packets)").count(), 2, "each request and each reply: {states}");
}

/// ICMP selectors have a type and a code in both directions: what is protected outbound is accepted inbound.
#[test]
#[ignore = "in the kernel lab: lab.rs starts it"]
fn an_icmp_type_is_the_same_in_both_directions() {
    two_hosts();
    let echo = |local, remote| {
        let mut conditions = between(local, remote);
        conditions.push(equal(condition::IP_PROTOCOL, Value::Uint8(1)));
        // The same GUIDs as FWPM_CONDITION_ICMP_TYPE and FWPM_CONDITION_ICMP_CODE.
        conditions.push(equal(condition::IP_LOCAL_PORT, Value::Uint16(8)));
        conditions.push(equal(condition::IP_REMOTE_PORT, Value::Uint16(0)));
        vec![conditions]
    };
    let a = End::new("a", &echo("10.1.0.0/24", "10.2.0.0/24"));
    let b = End::new("b", &echo("10.2.0.0/24", "10.1.0.0/24"));
    let id = a.establish(1);
    b.establish(1);
    for host in ["a", "b"] {
        let policies = sh(&format!("ip -n {host} xfrm policy list | grep ^src | grep -v 0.0.0.0/0"));
        assert_eq!(policies.matches("proto icmp type 8 code 0").count(), 3, "{policies}");
    }
    assert_eq!(a.session.sa_context_by_id(id).unwrap().selectors[0].local_port, SelectorPorts::one(8));
    // The requests are protected; the replies, type 0, are not the policy's.
    let sniffer = Sniffer::start("icmp[0] = 8");
    assert!(ping(4, "10.1.0.1", "10.2.0.1"), "{}", sh("ip netns exec b cat /proc/net/xfrm_stat"));
    assert_eq!(sniffer.stop(), "", "echo requests in the clear");
    // What the kernel has of another program is read the same way.
    let listed = sh(&format!("ip netns exec b {} --engine xfrm: sa list -o jsonl", wfp()));
    assert!(listed.contains("\"local\":[\"10.2.0.0/24[icmp/8(0)]\"]"), "{listed}");
}

/// A filter that permits or blocks, in the sublayer of the tunnels.
fn beside(action: ActionType, weight: u8, layer: Guid, conditions: Vec<FilterCondition>) -> Filter {
    Filter {
        name: "beside".into(),
        layer,
        sublayer: sublayer::IPSEC_TUNNEL,
        weight: Value::Uint8(weight),
        conditions,
        action: Action { kind: action, callout: Guid::default() },
        ..Filter::default()
    }
}

/// UDP with one port at both ends.
fn udp(port: u16) -> Vec<FilterCondition> {
    vec![
        equal(condition::IP_PROTOCOL, Value::Uint8(17)),
        equal(condition::IP_LOCAL_PORT, Value::Uint16(port)),
        equal(condition::IP_REMOTE_PORT, Value::Uint16(port)),
    ]
}

/// Whether `b` gets a datagram from port 500 of `a` and `a` an answer.
fn exchange(port: u16) -> bool {
    let server = format!(
        "import socket\ns=socket.socket(socket.AF_INET,socket.SOCK_DGRAM)\ns.settimeout(4)\ns.bind(('10.9.0.2',{port}))\nd,p=s.recvfrom(99)\ns.sendto(d,p)"
    );
    let client = format!(
        "import socket,time\ns=socket.socket(socket.AF_INET,socket.SOCK_DGRAM)\ns.settimeout(1)\ns.bind(('10.9.0.1',{port}))\nfor n in range(3):\n  try:\n    s.sendto(b'ike',('10.9.0.2',{port}))\n    s.recv(99)\n    raise SystemExit(0)\n  except OSError:\n    time.sleep(0.2)\nraise SystemExit(1)"
    );
    let mut server =
        Command::new("ip").args(["netns", "exec", "b", "python3", "-c", &server]).spawn().unwrap();
    std::thread::sleep(Duration::from_millis(500));
    let client = Command::new("ip").args(["netns", "exec", "a", "python3", "-c", &client]).status().unwrap();
    server.kill().unwrap();
    server.wait().unwrap();
    client.success()
}

/// A tunnel between the hosts themselves, which IKE has to get around: permits above the protecting filter. A block beside it
/// drops; a permit of another sublayer does not let anything around the tunnel.
#[test]
#[ignore = "in the kernel lab: lab.rs starts it"]
fn ike_gets_around_a_host_to_host_tunnel_and_nothing_else_does() {
    two_hosts();
    let pair = |host: &str| {
        let [local, remote] = ends(host);
        vec![between(&format!("{local}/32"), &format!("{remote}/32"))]
    };
    let ends = ["a", "b"].map(|host| End::new(host, &pair(host)));
    let layers = [layer::OUTBOUND_TRANSPORT_V4, layer::INBOUND_TRANSPORT_V4];
    assert!(!exchange(500), "IKE itself waits for an SA");
    for end in &ends {
        for layer in layers {
            // The universal sublayer's permit alone changes nothing.
            let mut universal = beside(ActionType::Permit, 15, layer, udp(500));
            universal.sublayer = sublayer::UNIVERSAL;
            end.session.object_add(Object::Filter(universal)).unwrap();
        }
    }
    assert!(!exchange(500), "a permit of another sublayer is no bypass");
    for end in &ends {
        for layer in layers {
            let permit = beside(ActionType::Permit, 15, layer, udp(500));
            end.session.object_add(Object::Filter(permit)).unwrap();
        }
    }
    // Each filter tells what carries it out, and which kernel policy.
    let added: Vec<u64> = ends[0].filters.iter().copied().collect();
    let effect = |id: u64| ends[0].session.filter_effects(&[id]).unwrap().remove(0);
    until("the kernel's policies", || effect(added[0]).policies.len() == 3);
    let bypass = effect(
        ends[0]
            .session
            .object_add(Object::Filter(beside(ActionType::Permit, 15, layers[0], udp(502))))
            .unwrap(),
    );
    assert_eq!((bypass.kind, bypass.reason.as_str()), (kernel::EffectKind::Kernel, ""));
    // What has none says why: conditions that the kernel cannot test, a layer that nothing enforces.
    let mut user = udp(503);
    user.push(FilterCondition {
        field: condition::IP_LOCAL_INTERFACE,
        match_type: MatchType::Equal,
        value: Value::Uint64(7),
    });
    let none = effect(
        ends[0].session.object_add(Object::Filter(beside(ActionType::Block, 15, layers[0], user))).unwrap(),
    );
    assert_eq!(none.kind, kernel::EffectKind::None);
    assert!(none.reason.contains("cannot test FWPM_CONDITION_IP_LOCAL_INTERFACE"), "{none:?}");
    let policies = sh("ip -n a xfrm policy | grep -A1 'sport 500 dport 500'");
    assert!(policies.contains("dir out priority") && !policies.contains("tmpl"), "{policies}");
    let sniffer = Sniffer::start("icmp");
    assert!(exchange(500), "{}", sh("ip -n a xfrm policy; ip -n b xfrm policy"));
    assert!(!exchange(501));
    assert!(!ping(4, "10.9.0.1", "10.9.0.2"));
    assert_eq!(sniffer.stop_without_sas(), "", "frames in the clear");
    for end in &ends {
        end.establish(1);
    }
    let sniffer = Sniffer::start("icmp or udp port 501");
    assert!(ping(4, "10.9.0.1", "10.9.0.2"));
    assert!(exchange(501) && exchange(500));
    // A heavier block drops what the tunnel would carry.
    let mut blocked = udp(501);
    blocked.push(equal(condition::IP_REMOTE_ADDRESS, Value::network("10.9.0.2/32".parse().unwrap())));
    let block = beside(ActionType::Block, 14, layer::OUTBOUND_TRANSPORT_V4, blocked);
    let id = ends[0].session.object_add(Object::Filter(block)).unwrap();
    assert!(!exchange(501) && exchange(500));
    ends[0].session.object_delete(ObjectKind::Filter, ObjectName::Id(id)).unwrap();
    assert!(exchange(501));
    assert_eq!(sniffer.stop(), "", "frames in the clear");
}

/// What the kernel refuses half-way leaves nothing, and the error names the policy of the other program.
#[test]
#[ignore = "in the kernel lab: lab.rs starts it"]
fn a_refused_commit_leaves_nothing_and_names_what_is_in_its_way() {
    two_hosts();
    let theirs = "src 10.1.5.0/24 dst 10.2.5.0/24 dir fwd priority 7 action block";
    sh(&format!("ip -n a xfrm policy add {theirs}"));
    let mut end = End::new("a", &[between("10.1.0.0/24", "10.2.0.0/24")]);
    let before = sh("ip -n a xfrm policy");
    end.session.transaction_begin(TransactionMode::ReadWrite).unwrap();
    for third in 0..200 {
        let (local, remote) = (format!("10.2.{third}.0/24"), format!("10.1.{third}.0/24"));
        if third > 0 {
            end.protect(&between(&local, &remote)).unwrap();
        }
    }
    let error = end.session.transaction_commit().unwrap_err();
    assert_eq!(error.code(), Code::FWP_E_ALREADY_EXISTS, "{error}");
    let index = sh("ip -n a -s xfrm policy list dir fwd | grep -A3 10.1.5.0 | grep -o 'index [0-9]*'");
    let index = index.trim().trim_start_matches("index ");
    for word in ["another program", "fwd 10.1.5.0/24 => 10.2.5.0/24", &format!("index is {index}")] {
        assert!(error.what().contains(word), "{word}: {error}");
    }
    assert_eq!(sh("ip -n a xfrm policy"), before, "all or nothing");
    // The same without the one in the way.
    sh("ip -n a xfrm policy delete src 10.1.5.0/24 dst 10.2.5.0/24 dir fwd");
    end.protect(&between("10.2.5.0/24", "10.1.5.0/24")).unwrap();
    assert_eq!(in_kernel("a").1, 6);
}

/// A packet without an SA asks for one: the event has the packet and the policy, and who takes it up gets the traffic going.
#[test]
#[ignore = "in the kernel lab: lab.rs starts it"]
fn a_packet_that_needs_an_sa_is_told_and_can_be_taken_up() {
    two_hosts();
    let pair = |local, remote| vec![between(local, remote), between("10.7.0.0/24", "10.8.0.0/24")];
    let a = End::new("a", &pair("10.1.0.0/24", "10.2.0.0/24"));
    let b = End::new("b", &pair("10.2.0.0/24", "10.1.0.0/24"));
    let mut events = a.session.events(&SubscriptionOptions::all()).unwrap();
    let topic = Topic::NetEvents(net_event::NetEventTemplate::default());
    let mut drops = a.session.events(&SubscriptionOptions { topic, ..SubscriptionOptions::all() }).unwrap();
    let sniffer = Sniffer::start(PINGS);
    assert!(!ping(4, "10.1.0.1", "10.2.0.1"));
    assert_eq!(sniffer.stop_without_sas(), "", "frames in the clear");
    let Some(Notification::Event(event)) = events.next(Duration::from_secs(1)).unwrap() else {
        panic!("nobody asked")
    };
    assert_eq!(event.kind, EventKind::Acquire);
    // The kernel's counters tell which packets it did not let out.
    let Some(Notification::Net(kept)) = drops.next(Duration::from_secs(3)).unwrap() else {
        panic!("nobody told of the drop")
    };
    let net_event::NetEventDetail::IpsecDrop(drop) = &kept.detail else { panic!("{kept:?}") };
    // STATUS_IPSEC_CLEAR_TEXT_DROP, outbound.
    assert_eq!((drop.failure_status.cast_unsigned(), drop.direction), (0xC036_0007, 0));
    let asked = a.session.sa_context_by_id(event.id).unwrap();
    let packet = asked.acquire().unwrap();
    assert_eq!(
        (packet.local.to_string(), packet.remote.to_string()),
        ("10.1.0.1/32".into(), "10.2.0.1/32".into())
    );
    assert_eq!((packet.protocol, packet.local_port), (1, SelectorPorts::one(8)), "an echo request");
    let policy = FilterId(a.policy);
    assert_eq!(asked.reservation.as_ref().unwrap().outbound_filter_id, policy);
    assert_eq!(asked.selectors.len(), 2, "what the policy protects");
    let listed = sh(&format!("ip netns exec a {} --engine xfrm: sa list -o jsonl", wfp()));
    assert!(
        listed.contains(r#""packet":{"local":"10.1.0.1/32[icmp/8(0)]","remote":"10.2.0.1/32[icmp/8(0)]"}"#),
        "{listed}"
    );

    // The policy does not depend on what was asked.
    let extra =
        a.session.object_add(Object::Filter(protecting(&between("10.1.9.0/24", "10.2.9.0/24")))).unwrap();
    a.session.object_delete(ObjectKind::Filter, ObjectName::Id(extra)).unwrap();

    // Keyed through the API.
    b.establish(1);
    let request = InboundRequest::new(asked.traffic.clone()).filter(policy);
    a.session.sa_context_set_spi(event.id, &request, Spi::new(0x1001).unwrap()).unwrap();
    let bundle = |spi| {
        let aead = Aead { algorithm: AeadAlgorithm::AesGcm, icv_bits: 128, key: Key::new(&[7; 20]) };
        let sa = Sa { spi: Spi::new(spi).unwrap(), transform: Transform::EspAead(aead), linux: None };
        SaBundle::new(SaList::one(sa))
    };
    a.session.sa_context_add_inbound(event.id, bundle(0x1001)).unwrap();
    a.session.sa_context_add_outbound(event.id, bundle(0x2001)).unwrap();
    let sniffer = Sniffer::start(PINGS);
    assert!(ping(4, "10.1.0.1", "10.2.0.1"));
    assert_eq!(sniffer.stop(), "", "frames in the clear");
    let context = a.session.sa_context_by_id(event.id).unwrap();
    assert_eq!((context.state, context.acquire()), (SaState::Complete, None));
    assert_eq!((context.filter_id(Direction::Outbound), context.selectors.len()), (Some(policy), 2));
    assert_eq!(in_kernel("a"), (2, 6));
}

/// SAs are deleted and added under running traffic: it stops and goes on, and nothing is in the clear.
#[test]
#[ignore = "in the kernel lab: lab.rs starts it"]
fn sas_deleted_under_traffic_stop_it_and_new_ones_resume_it() {
    two_hosts();
    let a = End::new("a", &[between("10.1.0.0/24", "10.2.0.0/24")]);
    let b = End::new("b", &[between("10.2.0.0/24", "10.1.0.0/24")]);
    let sniffer = Sniffer::start(PINGS);
    let mut traffic = Command::new("ip")
        .args(["netns", "exec", "a", "ping", "-q", "-f", "-i", "0.002", "-I", "10.1.0.1", "10.2.0.1"])
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let mut events = a.session.events(&SubscriptionOptions::all()).unwrap();
    for number in 1..8 {
        let ids = [&a, &b].map(|end| end.establish(number));
        let packets = || a.session.sa_context_by_id(ids[0]).unwrap().counters.inbound.traffic().1;
        until("traffic", || packets() > 10);
        for (end, id) in [&a, &b].into_iter().zip(ids) {
            end.session.sa_context_delete_by_id(id).unwrap();
        }
        let mut asked = false;
        while let Some(Notification::Event(event)) = events.next(Duration::from_millis(300)).unwrap() {
            asked |= event.kind == EventKind::Acquire;
        }
        assert!(asked, "round {number}: the traffic asks for an SA");
    }
    traffic.kill().unwrap();
    traffic.wait().unwrap();
    assert_eq!(sniffer.stop(), "", "frames in the clear");
}

/// What `wfp` prints of a host's kernel, as lines of JSON.
fn told(host: &str, command: &str) -> Vec<serde_json::Value> {
    let output = Command::new("ip")
        .args(["netns", "exec", host, &wfp(), "--engine", "xfrm:"])
        .args(command.split(' '))
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The kernel's policies are listed, shown and explained, whoever installed them, and followed as they change.
#[test]
#[ignore = "in the kernel lab: lab.rs starts it"]
fn the_kernels_policies_are_listed_and_explain_what_happens() {
    two_hosts();
    sh("ip -n a xfrm policy add src 10.1.0.0/24 dst 10.2.0.0/24 dir out priority 2000 tmpl src 10.9.0.1 dst 10.9.0.2 proto esp reqid 7 mode tunnel
        ip -n a xfrm policy add src 10.1.0.0/24 dst 10.2.0.0/24 proto tcp dport 22 dir out priority 1500
        ip -n a xfrm policy add src 10.1.0.66/32 dst 10.2.0.0/16 dir out priority 100 action block
        ip -n a xfrm policy add src 10.2.0.0/24 dst 10.1.0.0/24 dir in priority 2000 tmpl src 10.9.0.2 dst 10.9.0.1 proto esp reqid 7 mode tunnel
        ip -n a xfrm policy add src 10.2.0.0/24 dst 10.1.0.0/24 dir fwd priority 2000 tmpl src 10.9.0.2 dst 10.9.0.1 proto esp reqid 7 mode tunnel level use
        ip -n a xfrm policy add src fd01::/64 dst fd02::/64 dir out priority 2000 mark 5 mask 0xff tmpl src fd09::1 dst fd09::2 proto ah mode transport");
    let listed = told("a", "policy list -o jsonl");
    let of = |policy: &serde_json::Value| {
        ["direction", "action", "source"].map(|name| policy[name].as_str().unwrap().to_owned()).join(" ")
    };
    let lines: Vec<String> = listed.iter().map(of).collect();
    assert_eq!(
        lines,
        [
            "in protect 10.2.0.0/24",
            "out block 10.1.0.66/32",
            "out bypass 10.1.0.0/24[tcp]",
            "out protect 10.1.0.0/24",
            "out protect fd01::/64",
            "fwd protect 10.2.0.0/24"
        ]
    );
    assert_eq!(listed[5]["templates"][0]["level"], "optional");
    assert_eq!(listed[4]["mark"], "0x5/0xff");
    assert!(listed.iter().all(|policy| policy["owner"].is_null()));
    let explain = |packet: &str| told("a", &format!("policy explain {packet} -o jsonl")).remove(0);
    let outcome = |packet: &str| explain(packet)["outcome"].as_str().unwrap().to_owned();
    // The same packets on the wire, while nobody has an SA: `explain` says what happens to them.
    let tcp = "--from 10.1.0.1 --to 10.2.0.1 --proto tcp --dport 22";
    assert_eq!(outcome(tcp), "bypassed");
    assert_eq!(outcome("--from 10.1.0.1 --to 10.2.0.1 --proto icmp --sport 8"), "waits");
    assert_eq!(outcome("--from 10.1.0.66 --to 10.2.0.1 --proto tcp --dport 22"), "blocked");
    let clear = explain("--from 10.1.9.1 --to 10.2.0.1 --proto tcp --dport 80");
    assert_eq!(clear["outcome"], "clear");
    assert_eq!(clear["decisions"][0]["near"]["source"], "10.1.0.0/24", "{clear}");
    assert_eq!(
        outcome("--from 10.2.0.1 --to 10.1.0.1 --proto tcp --in"),
        "blocked",
        "nothing can have protected it"
    );
    assert_eq!(
        outcome("--from 10.2.0.1 --to 10.1.0.1 --proto tcp --forward"),
        "clear",
        "the template is optional"
    );
    let marked = explain("--from fd01::1 --to fd02::1 --proto tcp");
    assert_eq!(marked["outcome"], "clear");
    assert!(marked["unknown"].to_string().contains("mark 0x5/0xff"), "{marked}");

    // With an SA the packet is protected, and the list says by which context.
    let key = "0x0102030405060708090a0b0c0d0e0f1011121314";
    for (src, dst, spi) in [("10.9.0.1", "10.9.0.2", "0x2001"), ("10.9.0.2", "10.9.0.1", "0x1001")] {
        sh(&format!(
            "ip -n a xfrm state add src {src} dst {dst} proto esp spi {spi} reqid 7 mode tunnel aead 'rfc4106(gcm(aes))' {key} 128"
        ));
    }
    let session = open(&engine("a", None));
    let policies = || session.kernel_policies(None, 1000).unwrap();
    let protected = explain("--from 10.1.0.1 --to 10.2.0.1 --proto tcp --dport 80");
    assert_eq!(protected["outcome"], "protected");
    assert_eq!(protected["decisions"][0]["policy"]["sa_contexts"], serde_json::json!([1]));
    let shown = sh(&format!("ip netns exec a {} --engine xfrm: sa show 1 -o json", wfp()));
    let shown: serde_json::Value = serde_json::from_str(&shown).unwrap();
    let index = shown["outbound"]["filter_id"].as_u64().unwrap();
    let policy = told("a", &format!("policy show {index} -o jsonl")).remove(0);
    assert_eq!(
        (&policy["priority"], &policy["sa_contexts"]),
        (&serde_json::json!(2000), &serde_json::json!([1]))
    );
    // WFP's call for the same number.
    let filter = session.object_get(ObjectKind::Filter, ObjectName::Id(index)).unwrap();
    let filter = filter.as_filter().unwrap();
    assert_eq!(
        (filter.id, filter.ipsec_mode(), filter.layer),
        (index, Some(Mode::Tunnel), layer::OUTBOUND_TRANSPORT_V4)
    );
    assert_eq!(filter.conditions.len(), 2);
    assert_eq!(session.kernel_policy(1 << 30).unwrap_err().code(), Code::FWP_E_NOT_FOUND);

    // What changes is followed: replaced, deleted, expired, flushed.
    assert_eq!(policies().len(), 6);
    sh("ip -n a xfrm policy update src 10.1.0.66/32 dst 10.2.0.0/16 dir out priority 3000 action block");
    until("the update", || policies().iter().any(|policy| policy.priority == 3000));
    assert_eq!(policies()[4].priority, 3000, "the last one of its direction now");
    sh("ip -n a xfrm policy delete src 10.1.0.66/32 dst 10.2.0.0/16 dir out");
    until("the deletion", || policies().len() == 5);
    sh("ip -n a xfrm policy add src 10.3.0.0/24 dst 10.4.0.0/24 dir out limit time-hard 1");
    until("the new one", || policies().len() == 6);
    until("its end", || policies().len() == 5);
    sh("ip -n a xfrm policy flush");
    until("the flush", || policies().is_empty());

    // The engine's own are named with their filter.
    let end = End::new("b", &[between("10.2.0.0/24", "10.1.0.0/24")]);
    until("the engine's own", || end.session.kernel_policies(None, 9).unwrap().len() == 3);
    let own = end.session.kernel_policies(None, 9).unwrap();
    assert!(own.iter().all(|policy| policy.own && policy.filter_id == end.filters[0]), "{own:?}");
    let packet = packet::Packet {
        source: record::Address([10, 2, 0, 1].into()),
        destination: record::Address([10, 1, 0, 1].into()),
        protocol: 6,
        ..packet::Packet::default()
    };
    let waits = end.session.explain(&packet).unwrap();
    assert_eq!(waits.outcome, kernel::Outcome::Waits);
    let id = end.establish(1);
    until("its SAs", || end.session.explain(&packet).unwrap().outcome == kernel::Outcome::Protected);
    let decision = end.session.explain(&packet).unwrap().decisions.remove(0);
    assert_eq!(decision.policy.unwrap().sa_contexts, [id.0]);
}
