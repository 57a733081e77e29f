//! Random sets of SAs, with everything that tells pairs apart, in random orders and under a clock that jumps: the contexts are
//! the pairs that were made.
#![allow(clippy::unwrap_used, clippy::cast_possible_truncation, reason = "a test")]

use openwfp_api::Direction;
use openwfp_api::SaContext;
use openwfp_api::Selector;
use openwfp_xfrm::Dumps;
use openwfp_xfrm::Inventory;
use openwfp_xfrm::wire::Algorithm;
use openwfp_xfrm::wire::Encapsulation;
use openwfp_xfrm::wire::Message;
use openwfp_xfrm::wire::MessageKind;
use openwfp_xfrm::wire::Policy;
use openwfp_xfrm::wire::PolicyDirection;
use openwfp_xfrm::wire::PolicyTemplate;
use openwfp_xfrm::wire::RawSelector;
use openwfp_xfrm::wire::State;
use openwfp_xfrm::wire::Templates;
use openwfp_xfrm::wire::TruncatedAuth;
use proptest::prelude::*;
use std::collections::BTreeSet;

/// What ties the two SAs of each pair of a connection, and tells pairs apart.
#[derive(Clone, Debug)]
enum Evidence {
    /// The order of creation: generations of one tunnel.
    Order,
    /// The CPU (RFC 9611).
    Cpu,
    /// The remote port: clients behind one NAT.
    Port,
    /// One mark for both directions.
    Mark,
    /// Mirror images of selectors; each SA's reqid is its SPI (3GPP TS 33.203).
    Mirror,
}

/// The SAs between this machine and a peer that have one reqid, or reqids of their own.
#[derive(Clone, Debug)]
struct Connection {
    peer: u8,
    evidence: Evidence,
    /// Which SAs of each pair exist: inbound, outbound.
    pairs: Vec<(bool, bool)>,
    /// Each direction has an interface id of its own, as with strongSwan's `%unique-dir`.
    if_ids: (u32, u32),
    protocol: u8,
    mode: u8,
}

fn connection() -> impl Strategy<Value = Connection> {
    let evidence = prop_oneof![
        Just(Evidence::Order),
        Just(Evidence::Cpu),
        Just(Evidence::Port),
        Just(Evidence::Mark),
        Just(Evidence::Mirror)
    ];
    let pairs = prop::collection::vec((prop::bool::weighted(0.85), prop::bool::weighted(0.85)), 1..4);
    (1..4_u8, evidence, pairs, (0..3_u32, 0..3_u32), any::<bool>(), 0..2_u8).prop_map(
        |(peer, evidence, mut pairs, if_ids, is_ah, mode)| {
            // Without both SAs, nothing tells which generation or mark a half belongs to, since each direction may have a mark
            // of its own; and a port only counts where there is a choice.
            let is_unclear = match evidence {
                Evidence::Order | Evidence::Mark => true,
                Evidence::Port => {
                    pairs.iter().map(|pair| usize::from(pair.0) + usize::from(pair.1)).sum::<usize>() == 2
                }
                Evidence::Cpu | Evidence::Mirror => false,
            };
            if is_unclear {
                pairs.iter_mut().for_each(|pair| *pair = (true, true));
            }
            let protocol = if is_ah { 51 } else { 50 };
            Connection { peer, evidence, pairs, if_ids, protocol, mode }
        },
    )
}

/// An SA to create, with the time on the clock.
struct Made {
    payload: Vec<u8>,
}

type Pairs = BTreeSet<(Option<u32>, Option<u32>)>;

/// Returns the SAs of the connections in a random order of creation, and which belong together.
fn made(connections: &[Connection], order: &[u16], clock: &[u64]) -> (Vec<Made>, Pairs) {
    let (mut queues, mut truth, mut spi) = (Vec::new(), Pairs::new(), 255);
    for (number, connection) in (1..).zip(connections) {
        let mut queue = Vec::new();
        for (generation, (has_in, has_out)) in (0_u32..).zip(&connection.pairs) {
            let mut sa = |exists: bool, direction: Direction| {
                exists.then(|| {
                    spi += 1;
                    queue.push((spi, direction, number, generation, connection));
                    spi
                })
            };
            let pair = (sa(*has_in, Direction::Inbound), sa(*has_out, Direction::Outbound));
            if pair != (None, None) {
                truth.insert(pair);
            }
        }
        queues.push(queue);
    }
    let mut sas = Vec::new();
    for choice in order.iter().cycle() {
        queues.retain(|queue| !queue.is_empty());
        if queues.is_empty() {
            break;
        }
        let at = usize::from(*choice) % queues.len();
        let queue = &mut queues[at];
        // Where evidence tells, the SAs of a connection come in any order.
        let next = match queue[0].4.evidence {
            Evidence::Order => 0,
            _ => usize::from(*choice / 7) % queue.len(),
        };
        let (spi, direction, number, generation, connection) = queue.remove(next);
        let added = clock[sas.len() % clock.len()];
        sas.push(Made { payload: payload(spi, direction, number, generation, connection, added) });
    }
    (sas, truth)
}

fn payload(
    spi: u32,
    direction: Direction,
    number: u32,
    generation: u32,
    connection: &Connection,
    added: u64,
) -> Vec<u8> {
    let (own, peer) = ([10, 0, 0, 1], [10, 0, 1, connection.peer]);
    let inbound = direction == Direction::Inbound;
    let (from, to) = if inbound { (peer, own) } else { (own, peer) };
    let algorithm = Algorithm { name: "hmac(sha256)", key_bits: 256, key: &[7; 32] };
    let auth_truncated = Some(TruncatedAuth { algorithm, icv_bits: 128 });
    let mut state = State { auth_truncated, ..State::new(from.into(), to.into(), connection.protocol, spi) };
    state.reqid = number;
    state.mode = connection.mode;
    state.added = added;
    let if_id = if inbound { connection.if_ids.0 } else { connection.if_ids.1 };
    state.if_id = Some(if_id).filter(|id| *id != 0);
    match connection.evidence {
        Evidence::Order => {}
        Evidence::Cpu => state.cpu = Some(generation),
        Evidence::Port => {
            let (own, remote) = (4500, 4500 + generation as u16);
            let (source_port, destination_port) = if inbound { (remote, own) } else { (own, remote) };
            state.encapsulation =
                Some(Encapsulation { kind: 2, source_port, destination_port, original: [0; 16] });
        }
        Evidence::Mark => state.mark = Some((generation + 1, u32::MAX)),
        Evidence::Mirror => {
            state.reqid = spi;
            let (own_port, remote_port) = (6000 + number as u16, 7000 + generation as u16);
            let end = |address: [u8; 4]| {
                let mut bytes = [0; 16];
                bytes[..4].copy_from_slice(&address);
                bytes
            };
            let (source, destination) =
                if inbound { (remote_port, own_port) } else { (own_port, remote_port) };
            state.selector = RawSelector {
                family: 2,
                source: end(from),
                destination: end(to),
                source_prefix: 32,
                destination_prefix: 32,
                source_port: (source, u16::MAX),
                destination_port: (destination, u16::MAX),
                ..RawSelector::ANY
            };
        }
    }
    let mut payload = Vec::new();
    state.emit(&mut payload);
    payload
}

fn message(kind: MessageKind, payload: &[u8]) -> Message<'_> {
    Message { offset: 0, kind, flags: 0, sequence: 0, port: 0, payload }
}

fn spis(contexts: &[SaContext]) -> Pairs {
    let spi = |context: &SaContext, direction| {
        context.details(direction).map(|details| details.bundle.sas.first().spi.get())
    };
    let pair = |context: &SaContext| (spi(context, Direction::Inbound), spi(context, Direction::Outbound));
    contexts.iter().map(pair).collect()
}

/// A dump of this machine's address, 10.0.0.1.
fn addresses() -> Vec<u8> {
    let mut bytes = Vec::new();
    let payload = [&[2, 8, 0, 0, 0, 0, 0, 0][..], &[8, 0, 2, 0], &[10, 0, 0, 1]].concat();
    message(MessageKind::from_number(20), &payload).emit(&mut bytes);
    message(MessageKind::Done, &[0; 4]).emit(&mut bytes);
    bytes
}

proptest! {
    #[test]
    fn contexts_are_the_pairs_that_were_made(
        connections in prop::collection::vec(connection(), 1..6),
        order in prop::collection::vec(any::<u16>(), 1..40),
        clock in prop::collection::vec(0..1_000_000_u64, 1..40),
    ) {
        let (sas, truth) = made(&connections, &order, &clock);
        // In a dump, the newest comes first.
        let mut dumps = Dumps { addresses: Some(addresses()), ..Dumps::default() };
        for sa in sas.iter().rev() {
            message(MessageKind::NewSa, &sa.payload).emit(&mut dumps.states);
        }
        message(MessageKind::Done, &[0; 4]).emit(&mut dumps.states);
        let listing = dumps.listing(|part| format!("{part:?}")).unwrap();
        prop_assert_eq!(&spis(&listing.contexts), &truth);
        // One event after the other leads to the same, whatever was paired in between.
        let mut nothing = Dumps { addresses: Some(addresses()), ..Dumps::default() };
        message(MessageKind::Done, &[0; 4]).emit(&mut nothing.states);
        let (mut followed, _) = Inventory::from_dumps(&nothing, |part| format!("{part:?}")).unwrap();
        for sa in &sas {
            followed.apply(&message(MessageKind::NewSa, &sa.payload)).unwrap();
        }
        prop_assert_eq!(&spis(&followed.contexts()), &truth);
    }
}

/// How a daemon writes the templates of its policies.
#[derive(Clone, Copy, Debug)]
enum Style {
    /// Both addresses, reqid and SPI: strongSwan.
    Whole,
    /// No source: Cilium, and the manual page of `ip xfrm`.
    OpenSource,
    /// Inbound without a reqid and optional.
    AnyReqidInbound,
    /// Transport mode, without addresses.
    Transport,
    /// ESP in tunnel mode, then AH in transport mode with a reqid of its own and no addresses: libreswan.
    Chain,
}

fn style() -> impl Strategy<Value = Style> {
    prop_oneof![
        Just(Style::Whole),
        Just(Style::OpenSource),
        Just(Style::AnyReqidInbound),
        Just(Style::Transport),
        Just(Style::Chain)
    ]
}

/// The SAs and policies of a connection with a peer.
fn negotiated(number: u8, style: Style, if_id: u32) -> (Vec<Vec<u8>>, Vec<Vec<u8>>) {
    let (own, peer) = ([10, 0, 0, 1], [10, 0, 1, number]);
    let reqid = u32::from(number) * 2;
    let is_transport = matches!(style, Style::Transport);
    let mode = u8::from(!is_transport);
    let (mut states, mut policies) = (Vec::new(), Vec::new());
    for (direction, from, to, base) in [(0_u8, peer, own, 0x1000), (1, own, peer, 0x2000)] {
        let spi = base + u32::from(number);
        let key = |name| Algorithm { name, key_bits: 256, key: &[7; 32] };
        let state = |protocol: u8, spi, reqid, mode| {
            let auth_truncated = Some(TruncatedAuth { algorithm: key("hmac(sha256)"), icv_bits: 128 });
            let if_id = Some(if_id).filter(|id| *id != 0);
            let state = State::new(from.into(), to.into(), protocol, spi);
            let mut payload = Vec::new();
            State { auth_truncated, reqid, mode, if_id, ..state }.emit(&mut payload);
            payload
        };
        states.push(state(50, spi, reqid, mode));
        if matches!(style, Style::Chain) {
            states.push(state(51, spi + 0x4000, reqid + 1, 0));
        }
        let unspecified: std::net::IpAddr = [0; 4].into();
        let whole = PolicyTemplate {
            source: from.into(),
            destination: to.into(),
            spi: if direction == 1 { spi } else { 0 },
            protocol: 50,
            reqid,
            mode,
            optional: false,
        };
        let first = match style {
            Style::OpenSource => PolicyTemplate { source: unspecified, ..whole },
            Style::AnyReqidInbound if direction == 0 => PolicyTemplate { reqid: 0, optional: true, ..whole },
            Style::Transport => PolicyTemplate { source: unspecified, destination: unspecified, ..whole },
            _ => whole,
        };
        let mut templates = Vec::new();
        first.emit(&mut templates);
        if matches!(style, Style::Chain) {
            let (source, destination) = (unspecified, unspecified);
            let second = PolicyTemplate {
                source,
                destination,
                spi: 0,
                protocol: 51,
                reqid: reqid + 1,
                mode: 0,
                optional: false,
            };
            second.emit(&mut templates);
        }
        let templates = Templates::parse(&templates).unwrap();
        let end = |bytes: [u8; 4]| {
            let mut address = [0; 16];
            address[..4].copy_from_slice(&bytes);
            address
        };
        let (near, far) = match is_transport {
            true => ((from, 32), (to, 32)),
            false if direction == 0 => (([10, 2, number, 0], 24), ([10, 1, number, 0], 24)),
            false => (([10, 1, number, 0], 24), ([10, 2, number, 0], 24)),
        };
        let selector = RawSelector {
            family: 2,
            source: end(near.0),
            destination: end(far.0),
            source_prefix: near.1,
            destination_prefix: far.1,
            ..RawSelector::ANY
        };
        for of in [direction, 2] {
            if direction == 1 && of == 2 {
                continue;
            }
            let (way, index) = match of {
                0 => (PolicyDirection::In, u32::from(number) * 8),
                1 => (PolicyDirection::Out, u32::from(number) * 8 + 1),
                _ => (PolicyDirection::Forward, u32::from(number) * 8 + 2),
            };
            let mut policy = Policy::new(selector, way, index, templates);
            policy.if_id = Some(if_id).filter(|id| *id != 0);
            let mut payload = Vec::new();
            policy.emit(&mut payload);
            policies.push(payload);
        }
    }
    (states, policies)
}

proptest! {
    /// Policies alone give directions, bundles, selectors and filters, however their templates are written.
    #[test]
    fn policies_of_every_style_find_their_states(
        styles in prop::collection::vec((style(), 0..2_u32), 1..8),
        shuffle in any::<u64>(),
    ) {
        let (mut states, mut policies) = (Vec::new(), Vec::new());
        for (number, (style, if_id)) in (1..).zip(&styles) {
            let (more_states, more_policies) = negotiated(number, *style, *if_id);
            states.extend(more_states);
            policies.extend(more_policies);
        }
        let mut seed = shuffle | 1;
        let mut random = |below: usize| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (seed >> 33) as usize % below
        };
        for list in [&mut states, &mut policies] {
            for at in (1..list.len()).rev() {
                list.swap(at, random(at + 1));
            }
        }
        let (mut dumps, mut of_policies) = (Dumps::default(), Vec::new());
        states.iter().for_each(|payload| message(MessageKind::NewSa, payload).emit(&mut dumps.states));
        policies.iter().for_each(|payload| message(MessageKind::NewPolicy, payload).emit(&mut of_policies));
        message(MessageKind::Done, &[0; 4]).emit(&mut dumps.states);
        message(MessageKind::Done, &[0; 4]).emit(&mut of_policies);
        dumps.policies = Some(of_policies);
        let listed = dumps.listing(|part| format!("{part:?}")).unwrap().contexts;
        // Events in the order in which the dump was made: states first, policies later, or the other way round.
        let mut nothing = Dumps::default();
        message(MessageKind::Done, &[0; 4]).emit(&mut nothing.states);
        let (mut followed, _) = Inventory::from_dumps(&nothing, |part| format!("{part:?}")).unwrap();
        let of_states = states.iter().rev().map(|payload| message(MessageKind::NewSa, payload));
        let of_policies = policies.iter().rev().map(|payload| message(MessageKind::NewPolicy, payload));
        let events: Vec<Message<'_>> = match shuffle & 1 {
            0 => of_states.chain(of_policies).collect(),
            _ => of_policies.chain(of_states).collect(),
        };
        events.iter().for_each(|event| followed.apply(event).unwrap());
        for contexts in [listed, followed.contexts()] {
            prop_assert_eq!(contexts.len(), styles.len());
            for (number, (style, _)) in (1_u8..).zip(&styles) {
                let spi = 0x1000 + u32::from(number);
                let of = |context: &&SaContext| {
                    context.inbound.as_ref().is_some_and(|details| details.bundle.sas.first().spi.get() == spi)
                };
                let context = contexts.iter().find(of);
                prop_assert!(context.is_some(), "{number} {style:?}: {contexts:?}");
                let context = context.unwrap();
                let outbound = context.outbound.as_ref().unwrap();
                let inbound = context.inbound.as_ref().unwrap();
                prop_assert_eq!(outbound.bundle.sas.first().spi.get(), 0x2000 + u32::from(number));
                let size = if matches!(style, Style::Chain) { 2 } else { 1 };
                prop_assert_eq!((inbound.bundle.sas.iter().count(), outbound.bundle.sas.iter().count()), (size, size));
                let wanted = match style {
                    Style::Transport => ["10.0.0.1/32".to_owned(), format!("10.0.1.{number}/32")],
                    _ => [format!("10.1.{number}.0/24"), format!("10.2.{number}.0/24")],
                };
                let sides: Vec<[String; 2]> = context.selectors.iter().map(Selector::sides).collect();
                prop_assert_eq!(&sides[..], &[wanted][..]);
                let index = u64::from(number) * 8;
                prop_assert_eq!((inbound.filter_id.0, outbound.filter_id.0), (index, index + 1));
            }
        }
    }
}
