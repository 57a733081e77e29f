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
struct Sniffer([Child; 2]);

/// Where a host's frames leave it, and where tcpdump keeps them.
const LEAVING: [[&str; 3]; 2] = [["a", "va", "/run/clear-a.pcap"], ["b", "vb", "/run/clear-b.pcap"]];

impl Sniffer {
    /// A filter of pcap says which frames must not be seen. Only what leaves a host counts: the kernel shows the packets
    /// that it decrypted on the same device, as received.
    fn start(forbidden: &str) -> Sniffer {
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
    fn stop(self) -> String {
        std::thread::sleep(Duration::from_millis(500));
        for mut child in self.0 {
            child.kill().unwrap();
            child.wait().unwrap();
        }
        let frames = LEAVING.map(|[_, _, file]| sh(&format!("tcpdump -nr {file} 2>/dev/null"))).join("\n");
        assert!(frames.contains("ESP("), "{frames}");
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

/// One end of a tunnel between the hosts whose policy has these filters, and its SAs.
fn protect(host: &str, filters: &[Vec<FilterCondition>]) -> (Arc<dyn Session>, Engine, SaContextId) {
    let engine = engine(host, None);
    let session = open(&engine);
    let policy = session
        .object_add(Object::ProviderContext(ProviderContext {
            key: Guid::new(1, 7, 7, [7; 8]),
            name: "tunnel".into(),
            policy: Policy::IkeQmTunnel(TunnelPolicy::default()),
            ..ProviderContext::default()
        }))
        .unwrap();
    for conditions in filters {
        let v6 = matches!(&conditions[0].value, Value::Network(network) if network.0.addr().is_ipv6());
        let (layer, callout) = match v6 {
            true => (layer::OUTBOUND_TRANSPORT_V6, callout::IPSEC_OUTBOUND_TUNNEL_V6),
            false => (layer::OUTBOUND_TRANSPORT_V4, callout::IPSEC_OUTBOUND_TUNNEL_V4),
        };
        session
            .object_add(Object::Filter(Filter {
                name: "a pair".into(),
                layer,
                sublayer: sublayer::IPSEC_TUNNEL,
                conditions: conditions.clone(),
                action: Action { kind: ActionType::CalloutTerminating, callout },
                context: FilterContext::ProviderContext(Guid::new(1, 7, 7, [7; 8])),
                flags: FILTER_HAS_PROVIDER_CONTEXT,
                ..Filter::default()
            }))
            .unwrap();
    }
    let ends: [std::net::IpAddr; 2] = [[10, 9, 0, 1].into(), [10, 9, 0, 2].into()];
    let (local, remote, spi_in, spi_out) = match host {
        "a" => (ends[0], ends[1], 0x1000, 0x2000),
        _ => (ends[1], ends[0], 0x2000, 0x1000),
    };
    let traffic = Traffic::new(Endpoints::new(local, remote).unwrap(), Mode::Tunnel);
    let filter_id = FilterId(policy);
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
    let id = session.sa_context_step(step).unwrap().id;
    (session, engine, id)
}

fn ping(version: u8, from: &str, to: &str) -> bool {
    succeeds(&format!("ip netns exec a ping -{version} -q -c 2 -i 0.2 -W 1 -I {from} {to}"))
}

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
    let (a, _engine_a, id) = protect("a", &of_a);
    let (_b, _engine_b, _) = protect("b", &of_b);
    let context = a.sa_context_by_id(id).unwrap();
    assert_eq!(context.selectors.len(), 3, "{:?}", context.selectors);
    assert_eq!(in_kernel("a"), (2, 9), "out, in and fwd of three pairs");
    let sniffer = Sniffer::start("icmp or icmp6 and ip6[40] >= 128 and ip6[40] <= 129");
    assert!(ping(4, "10.1.0.1", "10.2.0.1"));
    assert!(ping(4, "10.1.1.1", "10.2.1.1"));
    assert!(ping(6, "fd01::1", "fd02::1"));
    assert_eq!(sniffer.stop(), "", "frames in the clear");
    a.sa_context_delete_by_id(id).unwrap();
    assert_eq!(in_kernel("a"), (0, 0));
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
    let (a, _engine_a, id) = protect("a", &echo("10.1.0.0/24", "10.2.0.0/24"));
    let (_b, _engine_b, _) = protect("b", &echo("10.2.0.0/24", "10.1.0.0/24"));
    for host in ["a", "b"] {
        let policies = sh(&format!("ip -n {host} xfrm policy list | grep ^src | grep -v 0.0.0.0/0"));
        assert_eq!(policies.matches("proto icmp type 8 code 0").count(), 3, "{policies}");
    }
    assert_eq!(a.sa_context_by_id(id).unwrap().selectors[0].local_port, SelectorPorts::one(8));
    // The requests are protected; the replies, type 0, are not the policy's.
    let sniffer = Sniffer::start("icmp[0] = 8");
    assert!(ping(4, "10.1.0.1", "10.2.0.1"), "{}", sh("ip netns exec b cat /proc/net/xfrm_stat"));
    assert_eq!(sniffer.stop(), "", "echo requests in the clear");
    // What the kernel has of another program is read the same way.
    let listed = sh(&format!("ip netns exec b {} --engine xfrm: sa list -o jsonl", wfp()));
    assert!(listed.contains("\"local\":[\"10.2.0.0/24[icmp/8]\"]"), "{listed}");
}
