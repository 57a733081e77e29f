//! Filters at the layers that nftables carries out, with real packets, on a kernel that has nftables.

use super::*;
use openwfp::api::guids::callout;
use openwfp::api::guids::condition;
use openwfp::api::guids::layer;
use openwfp::api::guids::sublayer;
use openwfp::api::object::kernel::EffectKind;
use openwfp::api::object::net_event::NetEventDetail;
use openwfp::api::object::packet::Packet;
use openwfp::api::object::packet::PacketPath;
use openwfp::api::object::value::Range;
use openwfp::api::object::value::Value;
use openwfp::api::object::*;
use openwfp::api::record::Address;
use std::process::Child;
use std::process::Stdio;

fn is(field: Guid, value: Value) -> FilterCondition {
    FilterCondition { field, match_type: MatchType::Equal, value }
}

fn filter(at: Guid, action: ActionType, conditions: Vec<FilterCondition>) -> Filter {
    Filter {
        name: "a filter".into(),
        layer: at,
        action: Action { kind: action, callout: Guid::default() },
        conditions,
        ..Filter::default()
    }
}

/// The hosts' servers, which answer datagrams and connections at some ports until they are dropped.
struct Servers(Vec<Child>);

impl Drop for Servers {
    fn drop(&mut self) {
        for child in &mut self.0 {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Ports at which the servers answer.
const PORTS: std::ops::Range<u16> = 7000..7008;

fn servers() -> Servers {
    let program = "import socket,select\nudp=[]\ntcp=[]\nfor p in range(7000,7008):\n  u=socket.socket(socket.AF_INET,socket.SOCK_DGRAM)\n  u.setsockopt(socket.SOL_SOCKET,socket.SO_REUSEADDR,1)\n  u.bind(('',p))\n  udp.append(u)\n  t=socket.create_server(('',p))\n  tcp.append(t)\nprint('ready',flush=True)\nkept=[]\nwhile True:\n  for s in select.select(udp+tcp+kept,[],[])[0]:\n    if s in udp:\n      d,a=s.recvfrom(99)\n      try: s.sendto(d,a)\n      except OSError: pass\n    elif s in tcp:\n      kept.append(s.accept()[0])\n    else:\n      d=s.recv(99)\n      if d: s.sendall(d)\n      else: kept.remove(s)";
    let start = |host: &str| {
        let mut child = Command::new("ip")
            .args(["netns", "exec", host, "python3", "-c", program])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let out = child.stdout.take().unwrap();
        std::io::BufRead::read_line(&mut std::io::BufReader::new(out), &mut line).unwrap();
        assert_eq!(line, "ready\n");
        child
    };
    Servers(["a", "b"].map(start).into())
}

/// Which of these datagrams of `a` are answered: the port at both ends, and the address to send to.
fn answered(packets: &[(u16, u16, &str)]) -> Vec<bool> {
    let list: Vec<String> =
        packets.iter().map(|(from, to, address)| format!("({from},{to},'{address}')")).collect();
    let program = format!(
        "import socket\nfor f,t,a in [{}]:\n  s=socket.socket(socket.AF_INET,socket.SOCK_DGRAM)\n  s.settimeout(0.5)\n  s.setsockopt(socket.SOL_SOCKET,socket.SO_REUSEADDR,1)\n  try:\n    s.bind(('10.9.0.1',f))\n    s.sendto(b'x',(a,t))\n    s.recv(9)\n    print(1)\n  except OSError:\n    print(0)\n  s.close()",
        list.join(",")
    );
    let output = Command::new("ip").args(["netns", "exec", "a", "python3", "-c", &program]).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let answers: Vec<bool> = text.lines().map(|line| line == "1").collect();
    assert_eq!(answers.len(), packets.len(), "{}", String::from_utf8_lossy(&output.stderr));
    answers
}

fn reaches(port: u16) -> bool {
    answered(&[(0, port, "10.9.0.2")])[0]
}

fn pings() -> bool {
    succeeds("ip netns exec a ping -q -c 1 -W 1 10.9.0.2")
}

fn tables(host: &str) -> String {
    sh(&format!("ip netns exec {host} nft list tables"))
}

#[test]
#[ignore = "in the kernel lab: lab.rs starts it"]
fn filters_of_the_other_layers_take_effect_and_their_drops_are_told() {
    two_hosts();
    let _servers = servers();
    let engine = engine("a", None);
    let session = open(&engine);
    let add = |filter: Filter| session.object_add(Object::Filter(filter)).unwrap();
    let delete = |id: u64| session.object_delete(ObjectKind::Filter, ObjectName::Id(id)).unwrap();
    let effect = |id: u64| session.filter_effects(&[id]).unwrap().remove(0);
    assert!(reaches(7000) && pings());
    assert_eq!(tables("a"), "", "there is no table before a filter needs it");

    // A trap: a block filter at a transport layer drops the packet, and the client is told of it with its ends.
    let mut events = session
        .events(&SubscriptionOptions {
            topic: Topic::NetEvents(Default::default()),
            ..SubscriptionOptions::all()
        })
        .unwrap();
    let udp = |port: u16| {
        vec![is(condition::IP_PROTOCOL, Value::Uint8(17)), is(condition::IP_REMOTE_PORT, Value::Uint16(port))]
    };
    let trap = add(filter(layer::OUTBOUND_TRANSPORT_V4, ActionType::Block, udp(7001)));
    assert_eq!(effect(trap).kind, EffectKind::Nftables);
    assert!(!reaches(7001) && reaches(7000));
    let told = loop {
        match events.next(Duration::from_secs(2)).unwrap() {
            Some(Notification::Net(event)) => break event,
            Some(_) => {}
            None => panic!("nobody told\n{}", sh("ip netns exec a nft list ruleset")),
        }
    };
    let NetEventDetail::ClassifyDrop(drop) = &told.detail else { panic!("{told:?}") };
    assert_eq!((drop.filter_id, drop.layer_id, drop.direction), (trap, 16, 0x3901));
    assert_eq!((told.protocol, told.remote_port), (17, 7001));
    assert_eq!(told.remote, Some(Address([10, 9, 0, 2].into())));
    assert_eq!(told.local, Some(Address([10, 9, 0, 1].into())));
    delete(trap);
    assert!(reaches(7001));
    assert_eq!(tables("a"), "", "the table goes with the last filter");

    // What filters permit is told on request, with the filter that decides: a block of a lighter sublayer overrides.
    let light = Guid::new(8, 8, 8, [8; 8]);
    session
        .object_add(Object::SubLayer(SubLayer {
            key: light,
            name: "light".into(),
            weight: 1,
            ..SubLayer::default()
        }))
        .unwrap();
    let mut next = || match events.next(Duration::from_secs(2)).unwrap() {
        Some(Notification::Net(event)) => event.detail.clone(),
        other => panic!("{other:?}\n{}", sh("ip netns exec a nft list ruleset")),
    };
    let permit = add(filter(layer::OUTBOUND_TRANSPORT_V4, ActionType::Permit, udp(7001)));
    session.set_engine_option(EngineOption::NetEventMatchAnyKeywords, 0x10).unwrap();
    assert!(reaches(7001));
    let NetEventDetail::ClassifyAllow(allow) = next() else { panic!("an allow") };
    assert_eq!((allow.filter_id, allow.layer_id, allow.direction), (permit, 16, 0x3901));
    let mut block = filter(layer::OUTBOUND_TRANSPORT_V4, ActionType::Block, udp(7001));
    block.sublayer = light;
    let block = add(block);
    assert!(!reaches(7001));
    let NetEventDetail::ClassifyDrop(drop) = next() else { panic!("a drop") };
    assert_eq!(drop.filter_id, block);
    delete(block);
    session.set_engine_option(EngineOption::NetEventMatchAnyKeywords, 0).unwrap();
    delete(permit);

    drops_of_stored_filters_are_told_from_the_start(&filter(
        layer::OUTBOUND_TRANSPORT_V4,
        ActionType::Block,
        udp(7008),
    ));

    // Weights and hard permits: a soft permit of a heavier sublayer is overridden, a hard one is not.
    let block = add(filter(layer::OUTBOUND_TRANSPORT_V4, ActionType::Block, udp(7002)));
    let heavy = session
        .object_add(Object::SubLayer(SubLayer {
            key: Guid::new(9, 9, 9, [9; 8]),
            name: "heavy".into(),
            weight: 0x9000,
            ..SubLayer::default()
        }))
        .map(|_| Guid::new(9, 9, 9, [9; 8]))
        .unwrap();
    let mut permit = filter(layer::OUTBOUND_TRANSPORT_V4, ActionType::Permit, udp(7002));
    permit.sublayer = heavy;
    let soft = add(permit.clone());
    assert!(!reaches(7002));
    delete(soft);
    permit.flags = FILTER_CLEAR_ACTION_RIGHT;
    let hard = add(permit);
    assert!(reaches(7002));
    delete(hard);
    delete(block);

    // Connections are authorized once, in the direction in which they are opened, and again when filters change.
    let tcp =
        |field, port: u16| vec![is(condition::IP_PROTOCOL, Value::Uint8(6)), is(field, Value::Uint16(port))];
    let connect = "import socket,sys\ns=socket.create_connection(('10.9.0.2',7003),1)\ns.settimeout(1)\ns.sendall(b'x')\ns.recv(1)\nprint('open',flush=True)\nsys.stdin.readline()\ntry:\n  s.sendall(b'y')\n  s.recv(1)\n  print('alive')\nexcept OSError:\n  print('dead')";
    let mut client = Command::new("ip")
        .args(["netns", "exec", "a", "python3", "-c", connect])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut output = std::io::BufReader::new(client.stdout.take().unwrap());
    let mut line = String::new();
    std::io::BufRead::read_line(&mut output, &mut line).unwrap();
    assert_eq!(line, "open\n");
    let connects =
        add(filter(layer::ALE_AUTH_CONNECT_V4, ActionType::Block, tcp(condition::IP_REMOTE_PORT, 7003)));
    let try_tcp = |host: &str, address: &str, port: u16| {
        succeeds(&format!(
            "ip netns exec {host} python3 -c \"import socket; socket.create_connection(('{address}',{port}),1)\""
        ))
    };
    assert!(!try_tcp("a", "10.9.0.2", 7003), "no new connection");
    std::io::Write::write_all(client.stdin.as_mut().unwrap(), b"go\n").unwrap();
    line.clear();
    std::io::BufRead::read_line(&mut output, &mut line).unwrap();
    assert_eq!(line, "dead\n", "the connection that was open is authorized again");
    client.wait().unwrap();
    assert!(try_tcp("b", "10.9.0.1", 7003), "the other direction is not concerned");
    delete(connects);
    let accepts =
        add(filter(layer::ALE_AUTH_RECV_ACCEPT_V4, ActionType::Block, tcp(condition::IP_LOCAL_PORT, 7004)));
    assert!(!try_tcp("b", "10.9.0.1", 7004) && try_tcp("a", "10.9.0.2", 7004));
    delete(accepts);

    // ICMP types, users, and what nothing can test.
    let icmp =
        vec![is(condition::IP_PROTOCOL, Value::Uint8(1)), is(condition::IP_LOCAL_PORT, Value::Uint16(8))];
    let echo = add(filter(layer::OUTBOUND_TRANSPORT_V4, ActionType::Block, icmp));
    assert!(
        !pings() && succeeds("ip netns exec b ping -q -c 1 -W 1 10.9.0.1"),
        "replies are of another type"
    );
    delete(echo);
    let nobody: SecurityDescriptor = "D:(A;;CC;;;S-1-22-1-65534)".parse().unwrap();
    let mut user = udp(7005);
    user.push(is(
        condition::ALE_USER_ID,
        Value::SecurityDescriptor(record::Blob(nobody.to_bytes().unwrap())),
    ));
    let user = add(filter(layer::ALE_AUTH_CONNECT_V4, ActionType::Block, user));
    assert_eq!(effect(user).kind, EffectKind::Nftables, "{:?}", effect(user));
    assert!(reaches(7005), "root may");
    delete(user);
    let app = vec![is(condition::ALE_APP_ID, Value::ByteBlob(record::Blob(vec![1, 2])))];
    let app = add(filter(layer::ALE_AUTH_CONNECT_V4, ActionType::Block, app));
    let none = effect(app);
    assert_eq!(none.kind, EffectKind::None);
    assert!(none.reason.contains("FWPM_CONDITION_ALE_APP_ID"), "{none:?}");
    delete(app);

    // What is on the wire and what is inside: a tunnel's packets are ESP at the IP packet layers.
    differ(&*session);
    let wire = vec![is(condition::IP_REMOTE_ADDRESS, Value::network("10.9.0.2/32".parse().unwrap()))];
    let wire = add(filter(layer::OUTBOUND_IPPACKET_V4, ActionType::Block, wire));
    assert!(!pings());
    delete(wire);
    let inbound = vec![is(condition::IP_REMOTE_ADDRESS, Value::network("10.9.0.2/32".parse().unwrap()))];
    let inbound = add(filter(layer::INBOUND_IPPACKET_V4, ActionType::Block, inbound));
    assert!(!pings(), "{}", sh("ip netns exec a nft list ruleset"));
    delete(inbound);
    assert!(pings());
    assert_eq!(tables("a"), "");

    // A filter of the sublayer in which others protect: the block drops and is told, the permit bypasses.
    let protect = Filter {
        action: Action {
            kind: ActionType::CalloutTerminating,
            callout: callout::IPSEC_OUTBOUND_TRANSPORT_V4,
        },
        sublayer: sublayer::UNIVERSAL,
        ..filter(
            layer::OUTBOUND_TRANSPORT_V4,
            ActionType::Block,
            vec![is(condition::IP_REMOTE_ADDRESS, Value::network("10.9.0.2/32".parse().unwrap()))],
        )
    };
    let weighty = |weight: u8, filter: Filter| Filter { weight: Value::Uint8(weight), ..filter };
    let protect = add(weighty(1, protect));
    let bypass = add(weighty(3, filter(layer::OUTBOUND_TRANSPORT_V4, ActionType::Permit, udp(7006))));
    let block = add(weighty(2, filter(layer::OUTBOUND_TRANSPORT_V4, ActionType::Block, udp(7007))));
    assert_eq!(
        [protect, bypass, block].map(|id| effect(id).kind),
        [EffectKind::Kernel, EffectKind::Kernel, EffectKind::Nftables]
    );
    while events.next(Duration::from_millis(50)).unwrap().is_some() {}
    assert!(
        reaches(7006) && !reaches(7007) && !reaches(7000),
        "{}",
        sh("ip -n a xfrm policy; ip netns exec a nft list ruleset")
    );
    let mut told = Vec::new();
    while let Some(notification) = events.next(Duration::from_millis(500)).unwrap() {
        if let Notification::Net(event) = notification
            && !matches!(event.detail, NetEventDetail::IpsecDrop(_))
        {
            told.push(event.remote_port);
        }
    }
    assert_eq!(told, [7007], "only what a filter blocks, besides what IPsec holds back");
}

/// An engine that finds a block in its store tells of what it drops, although no filter changes.
fn drops_of_stored_filters_are_told_from_the_start(block: &Filter) {
    let open_again = || {
        let mut options = EngineOptions::default();
        options.runtime = Some("/run/test-stored".into());
        options.store = Some(Arc::new(openwfp::RedbStore::open("/run/stored.redb".as_ref()).unwrap()));
        Engine::here(&"xfrm:netns=b".parse().unwrap(), options).unwrap()
    };
    let engine = open_again();
    let stored = Filter { flags: FLAG_PERSISTENT, ..block.clone() };
    let id = open(&engine).object_add(Object::Filter(stored)).unwrap();
    drop(engine);
    let engine = open_again();
    let session = open(&engine);
    let topic = Topic::NetEvents(Default::default());
    let mut events = session.events(&SubscriptionOptions { topic, ..SubscriptionOptions::all() }).unwrap();
    let send =
        "import socket; socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'x', ('10.9.0.1', 7008))";
    assert!(!succeeds(&format!("ip netns exec b python3 -c \"{send}\" 2>/dev/null")));
    let Some(Notification::Net(event)) = events.next(Duration::from_secs(2)).unwrap() else {
        panic!("nobody told\n{}", sh("ip netns exec b nft list ruleset"))
    };
    let NetEventDetail::ClassifyDrop(drop) = &event.detail else { panic!("{event:?}") };
    assert_eq!((drop.filter_id, event.remote_port), (id, 7008));
    session.object_delete(ObjectKind::Filter, ObjectName::Id(id)).unwrap();
}

/// Random filters and packets: the engine's arbitration and the wire agree.
fn differ(session: &dyn Session) {
    let mut seed = 0x2545_F491_4F6C_DD1D_u64;
    let mut random = |below: u64| {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        seed % below
    };
    let layers = [Guid::new(8, 1, 1, [1; 8]), Guid::new(8, 2, 2, [2; 8])];
    for (key, weight) in layers.iter().zip([0x7000, 0x6000]) {
        session
            .object_add(Object::SubLayer(SubLayer {
                key: *key,
                name: "random".into(),
                weight,
                ..SubLayer::default()
            }))
            .unwrap();
    }
    let mut compared = 0;
    for round in 0..6 {
        session.transaction_begin(TransactionMode::ReadWrite).unwrap();
        let mut ids = Vec::new();
        for _ in 0..12 {
            let low = u16::try_from(7000 + random(8)).unwrap();
            let high = low + u16::try_from(random(4)).unwrap();
            let ports = Value::Range(Box::new(Range { low: Value::Uint16(low), high: Value::Uint16(high) }));
            let field = [condition::IP_REMOTE_PORT, condition::IP_LOCAL_PORT][random(2) as usize];
            let mut conditions = vec![FilterCondition { field, match_type: MatchType::Range, value: ports }];
            if random(2) == 0 {
                let address = format!("10.9.0.{}/{}", 2 + random(2) * 20, [24, 29, 32][random(3) as usize]);
                let network: IpNet = address.parse().unwrap();
                conditions.push(is(condition::IP_REMOTE_ADDRESS, Value::network(network.trunc())));
            }
            if random(3) == 0 {
                conditions.push(is(condition::IP_PROTOCOL, Value::Uint8([6, 17][random(2) as usize])));
            }
            let action = if random(2) == 0 { ActionType::Permit } else { ActionType::Block };
            let mut filter = filter(layer::OUTBOUND_TRANSPORT_V4, action, conditions);
            filter.sublayer = layers[random(2) as usize];
            filter.weight = Value::Uint64(random(6));
            filter.flags = if random(4) == 0 { FILTER_CLEAR_ACTION_RIGHT } else { 0 };
            ids.push(session.object_add(Object::Filter(filter)).unwrap());
        }
        session.transaction_commit().unwrap();
        if round == 0 {
            sh("ip -n b address add 10.9.0.22/24 dev vb");
        }
        let packets: Vec<(u16, u16, &str)> =
            PORTS.flat_map(|to| [(7000 + to % 5, to, "10.9.0.2"), (6000 + to, to, "10.9.0.22")]).collect();
        let on_the_wire = answered(&packets);
        for ((from, to, address), passes) in packets.iter().zip(on_the_wire) {
            let packet = Packet {
                path: PacketPath::Outbound,
                source: Address([10, 9, 0, 1].into()),
                destination: Address(address.parse().unwrap()),
                protocol: 17,
                source_port: *from,
                destination_port: *to,
                ..Packet::default()
            };
            let verdict = session.classify(&packet).unwrap();
            assert_eq!(
                passes,
                verdict.action != ActionType::Block,
                "round {round}, {from} to {address}:{to}: {verdict:?}\n{}",
                sh("ip netns exec a nft list ruleset")
            );
            let explained = session.explain(&packet).unwrap();
            assert_eq!(explained.outcome == kernel::Outcome::Blocked, !passes, "{packet:?}: {explained:?}");
            compared += 1;
        }
        for id in ids {
            session.object_delete(ObjectKind::Filter, ObjectName::Id(id)).unwrap();
        }
    }
    assert_eq!(compared, 6 * 16);
}
