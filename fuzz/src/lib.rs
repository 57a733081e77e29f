//! What several targets share: inputs to start from, inputs of several parts, and examples of objects.

pub mod image;

use openwfp_api::guids::callout;
use openwfp_api::guids::condition;
use openwfp_api::guids::layer;
use openwfp_api::object::packet::FieldValue;
use openwfp_api::object::packet::Packet;
use openwfp_api::object::packet::PacketPath;
use openwfp_api::object::policy::*;
use openwfp_api::object::step::*;
use openwfp_api::object::template::ObjectTemplate;
use openwfp_api::object::value::Value;
use openwfp_api::object::*;
use openwfp_api::record::Address;
use openwfp_api::*;

/// Writes inputs to start from to the corpus, whose path `scripts/fuzz` passes. They are not in the repository, so that they
/// always have the current formats.
pub fn start_from(inputs: impl IntoIterator<Item = Vec<u8>>) {
    let Some(corpus) = std::env::var_os("OPENWFP_FUZZ_CORPUS") else { return };
    for (number, input) in inputs.into_iter().enumerate() {
        let path = std::path::Path::new(&corpus).join(format!("start-{number}"));
        std::fs::write(path, input).expect("the corpus is writable");
    }
}

/// Joins parts to an input. Each has a number, which selects what to do with it, a length and its bytes.
pub fn join<'p>(parts: impl IntoIterator<Item = (u8, &'p [u8])>) -> Vec<u8> {
    let mut input = Vec::new();
    for (what, bytes) in parts {
        let length = u16::try_from(bytes.len()).expect("an example is short");
        input.push(what);
        input.extend(length.to_le_bytes());
        input.extend(bytes);
    }
    input
}

/// Splits an input into its parts. The last one may be shorter than its length.
pub fn split(mut input: &[u8]) -> impl Iterator<Item = (u8, &[u8])> {
    std::iter::from_fn(move || {
        let ([what, low, high], rest) = input.split_first_chunk()?;
        let (part, rest) = rest.split_at(rest.len().min(u16::from_le_bytes([*low, *high]).into()));
        input = rest;
        Some((*what, part))
    })
}

fn key(number: u32) -> Guid {
    Guid::new(number, 7, 7, [7; 8])
}

fn equal(field: Guid, value: Value) -> FilterCondition {
    FilterCondition { field, match_type: MatchType::Equal, value }
}

/// Returns steps that add an object of each kind, filters with conditions of most types, and a tunnel.
pub fn steps() -> Vec<ObjectStep> {
    let name = || "x".to_owned();
    let psk = AuthenticationMethod {
        method: 0,
        detail: AuthenticationDetail::PresharedKey(PresharedKey { key: Key::new(b"secret"), flags: 0 }),
    };
    let proposal = IkeProposal { cipher: 2, integrity: 1, dh_group: 2, ..IkeProposal::default() };
    let main_mode =
        IkePolicy { authentication_methods: vec![psk], proposals: vec![proposal], ..IkePolicy::default() };
    let transform = TransformId { algorithm: 1, config: 1, crypto_module: None };
    let transform = SaTransform { transform_type: 4, auth: Some(transform.clone()), cipher: Some(transform) };
    let proposals = vec![IpsecProposal { transforms: vec![transform], ..IpsecProposal::default() }];
    let transport = TransportPolicy { proposals: proposals.clone(), ..TransportPolicy::default() };
    let endpoints = TunnelEndpoints {
        local: Address([192, 0, 2, 1].into()),
        remote: Address([192, 0, 2, 2].into()),
        ..TunnelEndpoints::default()
    };
    let tunnel = TunnelPolicy { proposals, endpoints, ..TunnelPolicy::default() };
    let context = |number, policy| ProviderContext {
        key: key(number),
        name: name(),
        policy,
        ..ProviderContext::default()
    };
    let filter = |number, conditions| Filter {
        key: key(number),
        name: name(),
        provider: Some(key(1)),
        sublayer: key(2),
        layer: layer::OUTBOUND_TRANSPORT_V4,
        action: Action { kind: ActionType::Block, callout: Guid::default() },
        conditions,
        ..Filter::default()
    };
    let network = |text: &str| Value::network(text.parse().expect("a network"));
    let with_policy = Filter {
        flags: FILTER_HAS_PROVIDER_CONTEXT,
        context: FilterContext::ProviderContext(key(4)),
        action: Action {
            kind: ActionType::CalloutTerminating,
            callout: callout::IPSEC_OUTBOUND_TRANSPORT_V4,
        },
        ..filter(8, vec![equal(condition::IP_REMOTE_ADDRESS, network("198.51.100.0/24"))])
    };
    let mut steps = vec![
        Object::Provider(Provider { key: key(1), name: name(), ..Provider::default() }),
        Object::SubLayer(SubLayer { key: key(2), name: name(), weight: 9, ..SubLayer::default() }),
        Object::ProviderContext(context(3, Policy::IkeMm(main_mode.clone()))),
        Object::ProviderContext(context(4, Policy::IkeQmTransport(transport))),
        Object::Callout(Callout {
            key: key(5),
            name: name(),
            layer: layer::OUTBOUND_TRANSPORT_V4,
            ..Callout::default()
        }),
        Object::Filter(filter(
            6,
            vec![
                equal(condition::IP_REMOTE_ADDRESS, Value::Uint32(0xC000_0202)),
                equal(condition::IP_PROTOCOL, Value::Uint8(17)),
                FilterCondition {
                    field: condition::IP_LOCAL_PORT,
                    match_type: MatchType::Range,
                    value: Value::range(Value::Uint16(500), Value::Uint16(4500)),
                },
                FilterCondition {
                    field: condition::IP_LOCAL_ADDRESS,
                    match_type: MatchType::NotEqual,
                    value: network("10.0.0.0/8"),
                },
            ],
        )),
        Object::Filter(Filter {
            layer: layer::ALE_AUTH_CONNECT_V6,
            ..filter(
                7,
                vec![
                    equal(condition::ALE_APP_ID, Value::ByteBlob(b"/bin/true\0"[..].into())),
                    equal(condition::IP_REMOTE_ADDRESS, network("2001:db8::/32")),
                ],
            )
        }),
        Object::Filter(with_policy),
    ]
    .into_iter()
    .map(ObjectStep::add)
    .collect::<Vec<_>>();
    steps.push(ObjectStep::TunnelAdd(Box::new(TunnelAdd {
        main_mode: Some(context(9, Policy::IkeMm(main_mode))),
        tunnel: context(10, Policy::IkeQmTunnel(tunnel)),
        conditions: vec![equal(condition::IP_REMOTE_ADDRESS, network("203.0.113.0/24"))],
        ..TunnelAdd::default()
    })));
    steps
}

/// Returns templates that select objects of each kind, and filters by conditions in both ways.
pub fn templates() -> Vec<ObjectTemplate> {
    let kinds = (1..=6).map(|kind| ObjectTemplate { kind, ..ObjectTemplate::default() });
    let filters = (0..=1).map(|enum_type| ObjectTemplate {
        enum_type,
        layer: Some(layer::OUTBOUND_TRANSPORT_V4),
        conditions: vec![equal(condition::IP_REMOTE_ADDRESS, Value::Uint32(0xC633_6401))],
        context: Some(Box::new(ObjectTemplate { kind: 2, ..ObjectTemplate::default() })),
        ..ObjectTemplate::all(ObjectKind::Filter)
    });
    kinds.chain(filters).collect()
}

/// Returns packets in each direction, some of which filters of [`steps`] match.
pub fn packets() -> Vec<Packet> {
    let paths = [PacketPath::Outbound, PacketPath::Inbound, PacketPath::Forward];
    let packet = |path| Packet {
        path,
        source: Address([192, 0, 2, 1].into()),
        destination: Address([198, 51, 100, 1].into()),
        protocol: 17,
        source_port: 500,
        fields: vec![FieldValue { field: condition::FLAGS, value: Value::Uint32(1) }],
        ..Packet::default()
    };
    paths.map(packet).into()
}

/// Returns an SA context that is complete in both directions.
pub fn context() -> SaContext {
    let endpoints = Endpoints::V4 { local: [192, 0, 2, 1].into(), remote: [192, 0, 2, 2].into() };
    let mut context = SaContext::new(SaContextId(1), Traffic::new(endpoints, Mode::Transport));
    let details = |spi| {
        let gcm = |config| Some(WfpAlgorithm { algorithm: 3, config, crypto_module: None, key: &[7; 20] });
        let transform = Transform::from_wfp(4, gcm(3), gcm(6)).expect("an algorithm");
        let sa = Sa { spi: Spi::new(spi).expect("not 0"), transform, linux: None };
        SaDetails {
            filter_id: FilterId(0),
            bundle: SaBundle::new(SaList::one(sa)),
            udp_encapsulation: None,
            virtual_if_tunnel: None,
        }
    };
    (context.inbound, context.outbound) = (Some(details(0x1000)), Some(details(0x2000)));
    context
}
