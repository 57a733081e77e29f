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
    for id in [protect, bypass, block] {
        delete(id);
    }

    differ_beside_ipsec(&*session);
    forwarded_packets_do_not_pass_where_local_ones_are_blocked(&*session);
    other_programs_cannot_remove_the_table(&*session);
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

/// Numbers below a bound, the same ones in each run (xorshift).
fn numbers() -> impl FnMut(u64) -> u64 {
    let mut seed = 0x2545_F491_4F6C_DD1D_u64;
    move |below| {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        seed % below
    }
}

/// A condition on the local or remote ports: a random range of some of [`PORTS`].
fn random_ports(random: &mut impl FnMut(u64) -> u64) -> FilterCondition {
    let low = u16::try_from(7000 + random(8)).unwrap();
    let high = low + u16::try_from(random(4)).unwrap();
    let ports = Value::Range(Box::new(Range { low: Value::Uint16(low), high: Value::Uint16(high) }));
    let field = [condition::IP_REMOTE_PORT, condition::IP_LOCAL_PORT][random(2) as usize];
    FilterCondition { field, match_type: MatchType::Range, value: ports }
}

/// A datagram on its way out of `a`.
fn datagram(from: u16, to: &str, port: u16) -> Packet {
    Packet {
        path: PacketPath::Outbound,
        source: Address([10, 9, 0, 1].into()),
        destination: Address(to.parse().unwrap()),
        protocol: 17,
        source_port: from,
        destination_port: port,
        ..Packet::default()
    }
}

/// Random filters and packets: the engine's arbitration and the wire agree.
fn differ(session: &dyn Session) {
    let mut random = numbers();
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
            let mut conditions = vec![random_ports(&mut random)];
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
            let packet = datagram(*from, address, *to);
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

/// What leaves `a` for each of these datagrams, by their ports: "clear", "esp" or "none". Each has a number of its own: the kernel
/// holds packets that wait for an SA, and may send them later.
fn leaves(packets: &[(u16, u16)], round: u32) -> Vec<String> {
    let number = |at: usize| 1000 * (round + 1) + u32::try_from(at).unwrap();
    let list: Vec<String> =
        packets.iter().enumerate().map(|(at, (from, to))| format!("({from},{to},{})", number(at))).collect();
    let program = format!(
        "import socket,select,time\nr=socket.socket(socket.AF_PACKET,socket.SOCK_RAW,socket.htons(3))\nr.bind(('va',3))\nfor f,t,n in [{}]:\n  n=str(n).encode()\n  while select.select([r],[],[],0)[0]: r.recvfrom(2000)\n  s=socket.socket(socket.AF_INET,socket.SOCK_DGRAM)\n  s.setsockopt(socket.SOL_SOCKET,socket.SO_REUSEADDR,1)\n  s.bind(('10.9.0.1',f))\n  try: s.sendto(n,('10.9.0.2',t))\n  except OSError: pass\n  s.close()\n  seen='none'\n  end=time.time()+0.1\n  while seen=='none' and select.select([r],[],[],max(0,end-time.time()))[0]:\n    d,a=r.recvfrom(2000)\n    if a[2]!=4 or d[12:14]!=bytes([8,0]): continue\n    if d[23]==50: seen='esp'\n    elif d[23]==17 and d[42:42+len(n)]==n: seen='clear'\n  print(seen)",
        list.join(",")
    );
    let output = Command::new("ip").args(["netns", "exec", "a", "python3", "-c", &program]).output().unwrap();
    let seen: Vec<String> = String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect();
    assert_eq!(seen.len(), packets.len(), "{}", String::from_utf8_lossy(&output.stderr));
    seen
}

/// The key of the transport policy of [`differ_beside_ipsec`].
const TRANSPORT: Guid = Guid::new(8, 3, 3, [3; 8]);

/// Random filters that protect, permit and block, in the sublayer of IPsec's tunnels and in the universal one: the engine's
/// arbitration, the explanation and the wire agree.
fn differ_beside_ipsec(session: &dyn Session) {
    let mut random = numbers();
    let policy = session
        .object_add(Object::ProviderContext(ProviderContext {
            key: TRANSPORT,
            name: "transport".into(),
            policy: policy::Policy::IkeQmTransport(policy::TransportPolicy::default()),
            ..ProviderContext::default()
        }))
        .unwrap();
    let ends = Endpoints::new([10, 9, 0, 1].into(), [10, 9, 0, 2].into()).unwrap();
    let traffic = Traffic::new(ends, Mode::Transport);
    let mut seen = std::collections::BTreeMap::new();
    for round in 0..8 {
        session.transaction_begin(TransactionMode::ReadWrite).unwrap();
        let mut ids = Vec::new();
        for number in 0..10 {
            let ports = random_ports(&mut random);
            let mut conditions = vec![
                is(condition::IP_REMOTE_ADDRESS, Value::network("10.9.0.2/32".parse().unwrap())),
                is(condition::IP_PROTOCOL, Value::Uint8(17)),
            ];
            conditions.push(ports);
            let action = [ActionType::Permit, ActionType::Block][random(2) as usize];
            let mut filter = filter(layer::OUTBOUND_TRANSPORT_V4, action, conditions);
            filter.sublayer = [sublayer::IPSEC_TUNNEL, sublayer::UNIVERSAL][random(2) as usize];
            // The first one always protects, so that the SAs have a policy.
            if number == 0 || random(3) == 0 {
                filter.action = Action {
                    kind: ActionType::CalloutTerminating,
                    callout: callout::IPSEC_OUTBOUND_TRANSPORT_V4,
                };
                filter.context = FilterContext::ProviderContext(TRANSPORT);
                filter.flags = FILTER_HAS_PROVIDER_CONTEXT;
            }
            filter.weight = Value::Uint64(random(6));
            ids.push(session.object_add(Object::Filter(filter)).unwrap());
        }
        session.transaction_commit().unwrap();
        // Half of the rounds have SAs.
        let sas = (round % 2 == 0).then(|| {
            let filter_id = FilterId(policy);
            let bundle = |spi: u32| {
                let aead = Aead { algorithm: AeadAlgorithm::AesGcm, icv_bits: 128, key: Key::new(&[7; 20]) };
                let sa = Sa { spi: Spi::new(spi).unwrap(), transform: Transform::EspAead(aead), linux: None };
                SaBundle::new(SaList::one(sa))
            };
            let step = SaContextStep::Establish(
                NewSaContext::new(traffic.clone()).filter(filter_id),
                InboundRequest { traffic: traffic.clone(), filter_id, udp_encapsulation: None },
                Box::new(BundlePair { inbound: bundle(0x1000 + round), outbound: bundle(0x2000 + round) }),
            );
            session.sa_context_step(step).unwrap().id
        });
        let packets: Vec<(u16, u16)> =
            PORTS.flat_map(|to| [(7000 + (to + 3) % 8, to), (6000 + to % 8, to)]).collect();
        for ((from, to), left) in packets.iter().zip(leaves(&packets, round)) {
            let packet = datagram(*from, "10.9.0.2", *to);
            let verdict = session.classify(&packet).unwrap();
            let explained = session.explain(&packet).unwrap();
            let fate = match explained.outcome {
                kernel::Outcome::Protected => "esp",
                kernel::Outcome::Clear | kernel::Outcome::Bypassed => "clear",
                _ => "none",
            };
            let all = || sh("ip -n a xfrm policy; ip netns exec a nft list ruleset");
            assert_eq!(left, fate, "round {round}, {from} to {to}: {explained:?}\n{}", all());
            let is_blocked = verdict.action == ActionType::Block;
            let blocked = explained.outcome == kernel::Outcome::Blocked;
            assert_eq!(
                is_blocked,
                blocked,
                "round {round}, {from} to {to}: {verdict:?} {explained:?}\n{}",
                all()
            );
            let protects = matches!(explained.outcome, kernel::Outcome::Protected | kernel::Outcome::Waits);
            if protects {
                assert_eq!(explained.outcome == kernel::Outcome::Protected, sas.is_some());
            }
            *seen.entry(left).or_insert(0) += 1;
        }
        if let Some(id) = sas {
            session.sa_context_delete_by_id(id).unwrap();
        }
        for id in ids {
            session.object_delete(ObjectKind::Filter, ObjectName::Id(id)).unwrap();
        }
    }
    session.object_delete(ObjectKind::ProviderContext, ObjectName::Key(TRANSPORT)).unwrap();
    assert!(seen.values().all(|count| *count >= 10) && seen.len() == 3, "a poor choice: {seen:?}");
}

/// A gateway's filters of local packets: the kernel's policies are for forwarded packets, too. What they let pass so that a
/// rule can drop and report it does not leave in the clear when it is forwarded.
fn forwarded_packets_do_not_pass_where_local_ones_are_blocked(session: &dyn Session) {
    sh("ip netns add c
        ip link add vc netns c type veth peer name vac netns a
        ip -n a link set vac up; ip -n c link set vc up; ip -n c link set lo up
        ip -n a address add 10.3.0.1/24 dev vac; ip -n c address add 10.3.0.2/24 dev vc
        ip -n c route add default via 10.3.0.1; ip -n b route add 10.3.0.0/24 via 10.9.0.1
        ip netns exec a sysctl -qw net.ipv4.ip_forward=1");
    let send = |port: u16| {
        let program = format!(
            "import socket\ns=socket.socket(socket.AF_INET,socket.SOCK_DGRAM)\ns.settimeout(0.5)\nfor n in range(2):\n  try:\n    s.sendto(b'x',('10.9.0.2',{port}))\n    s.recv(9)\n    break\n  except OSError: pass\nelse: raise SystemExit(1)"
        );
        Command::new("ip").args(["netns", "exec", "c", "python3", "-c", &program]).status().unwrap().success()
    };
    assert!(send(7000), "the gateway forwards");
    let to_b = || vec![is(condition::IP_REMOTE_ADDRESS, Value::network("10.9.0.2/32".parse().unwrap()))];
    let mut protect = filter(layer::OUTBOUND_TRANSPORT_V4, ActionType::Permit, to_b());
    protect.action =
        Action { kind: ActionType::CalloutTerminating, callout: callout::IPSEC_OUTBOUND_TRANSPORT_V4 };
    let mut block = to_b();
    block.push(is(condition::IP_PROTOCOL, Value::Uint8(17)));
    block.push(is(condition::IP_REMOTE_PORT, Value::Uint16(7007)));
    let mut block = filter(layer::OUTBOUND_TRANSPORT_V4, ActionType::Block, block);
    (protect.weight, block.weight) = (Value::Uint8(1), Value::Uint8(2));
    (protect.sublayer, block.sublayer) = (sublayer::IPSEC_TUNNEL, sublayer::IPSEC_TUNNEL);
    let ids = [protect, block].map(|filter| session.object_add(Object::Filter(filter)).unwrap());
    let kinds: Vec<EffectKind> =
        session.filter_effects(&ids).unwrap().into_iter().map(|effect| effect.kind).collect();
    assert_eq!(kinds, [EffectKind::Kernel, EffectKind::Nftables]);
    let sniffer = policies::Sniffer::start("udp");
    assert!(!send(7007) && !send(7000) && !reaches(7007));
    assert_eq!(sniffer.stop_without_sas(), "", "datagrams in the clear");
    let packet = |port| Packet {
        path: PacketPath::Forward,
        source: Address([10, 3, 0, 2].into()),
        destination: Address([10, 9, 0, 2].into()),
        protocol: 17,
        source_port: 1000,
        destination_port: port,
        ..Packet::default()
    };
    let explained = session.explain(&packet(7007)).unwrap();
    assert_eq!((explained.outcome, explained.dropped_by), (kernel::Outcome::Blocked, ids[1]));
    assert_eq!(session.explain(&packet(7000)).unwrap().outcome, kernel::Outcome::Waits);
    for id in ids {
        session.object_delete(ObjectKind::Filter, ObjectName::Id(id)).unwrap();
    }
}

/// Whatever another program does to the table, it is in place again at once; the engine's own changes cause no repair.
fn other_programs_cannot_remove_the_table(session: &dyn Session) {
    let udp = vec![
        is(condition::IP_PROTOCOL, Value::Uint8(17)),
        is(condition::IP_REMOTE_PORT, Value::Uint16(7001)),
    ];
    let block = filter(layer::OUTBOUND_TRANSPORT_V4, ActionType::Block, udp.clone());
    let id = session.object_add(Object::Filter(block)).unwrap();
    let rules = || sh("ip netns exec a nft -s list ruleset inet");
    let whole = rules();
    assert!(whole.contains("udp dport 7001"), "{whole}");
    let table = sh("ip netns exec a nft list tables").trim().strip_prefix("table ").unwrap().to_owned();
    for change in [
        "flush ruleset".to_owned(),
        format!("delete table {table}"),
        format!("flush chain {table} outbound_transport_v4-1"),
        format!("insert rule {table} outbound_transport_v4-1 accept"),
    ] {
        sh(&format!("ip netns exec a nft '{change}'"));
        until(&change, || rules() == whole);
        assert!(!reaches(7001), "{change}");
    }
    // Each of the engine's own changes is one generation of nftables; a repair would be another.
    let mut monitor = Command::new("ip")
        .args(["netns", "exec", "a", "sh", "-c", "exec nft monitor > /run/monitor"])
        .spawn()
        .unwrap();
    let generations =
        || sh("grep -c '^# new generation' /run/monitor || true").trim().parse::<u32>().unwrap();
    until("nft monitor", || {
        sh("ip netns exec a nft add table inet probe; ip netns exec a nft delete table inet probe");
        generations() > 0
    });
    std::thread::sleep(Duration::from_millis(500));
    let before = generations();
    for _ in 0..4 {
        let more = filter(layer::OUTBOUND_TRANSPORT_V4, ActionType::Block, udp.clone());
        let more = session.object_add(Object::Filter(more)).unwrap();
        session.object_delete(ObjectKind::Filter, ObjectName::Id(more)).unwrap();
    }
    std::thread::sleep(Duration::from_millis(2500));
    let made = generations() - before;
    monitor.kill().unwrap();
    monitor.wait().unwrap();
    // Deleting a block sets the rules twice: with it until the kernel's policies have changed, and without it.
    assert_eq!(made, 4 * 3, "generations\n{}", sh("cat /run/monitor"));
    session.object_delete(ObjectKind::Filter, ObjectName::Id(id)).unwrap();
    assert_eq!(tables("a"), "");
}
