//! The wire's promises: total on arbitrary bytes, and parse and emit are inverse.
#![allow(clippy::unwrap_used, clippy::cast_possible_truncation, reason = "a test")]

use openwfp_xfrm::Inventory;
use openwfp_xfrm::Tables;
use openwfp_xfrm::wire::*;
use proptest::prelude::*;
use std::collections::HashSet;
use std::path::Path;

fn samples() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../samples")
}

/// Every dump of states and of policies under `samples/`.
fn dumps() -> Vec<(String, Vec<u8>)> {
    let mut dumps = Vec::new();
    for directory in std::fs::read_dir(samples()).unwrap() {
        for name in ["xfrm-state.nl", "xfrm-policy.nl"] {
            let path = directory.as_ref().unwrap().path().join(name);
            if let Ok(bytes) = std::fs::read(&path) {
                dumps.push((path.display().to_string(), bytes));
            }
        }
    }
    assert!(dumps.len() >= 24, "the samples are missing");
    dumps
}

/// Parses all of a buffer in every way there is; what comes out does not matter here.
fn parse_all(bytes: &[u8]) {
    for message in Messages::new(bytes).flatten() {
        let _ = State::parse(&message);
        let _ = Policy::parse(&message);
    }
    let mut tables = Tables::default();
    let _ = tables.add_state_dump(Messages::new(bytes));
    let _ = tables.add_policy_dump(Messages::new(bytes));
    let mut inventory = Inventory::default();
    for message in Messages::new(bytes).flatten() {
        let _ = Event::parse(&message);
        let _ = inventory.apply(&message);
    }
    for context in tables.pair(&HashSet::new()).into_iter().chain(inventory.contexts()) {
        let _ = format!("{context:?}");
    }
}

#[test]
fn what_the_kernel_sent_is_emitted_byte_for_byte() {
    let mut states = 0;
    for (name, bytes) in dumps() {
        for message in Messages::new(&bytes) {
            let message = message.unwrap();
            let mut payload = Vec::new();
            match message.kind {
                MessageKind::NewSa => {
                    State::parse(&message).unwrap().emit(&mut payload);
                    states += 1;
                }
                MessageKind::NewPolicy => Policy::parse(&message).unwrap().emit(&mut payload),
                _ => payload.extend_from_slice(message.payload),
            }
            let mut expected = message.payload.to_vec();
            blank_what_names_leave_behind(&message, &mut expected);
            assert_eq!(payload, expected, "{name}: byte {}", message.offset);
            let mut whole = Vec::new();
            Message { payload: &payload, ..message }.emit(&mut whole);
            assert_eq!(whole[..16], bytes[message.offset..message.offset + 16], "{name}");
        }
    }
    assert!(states > 80, "only {states} states were there to compare");
}

/// The kernel copies algorithm names with what its memory holds behind their end.
fn blank_what_names_leave_behind(message: &Message<'_>, payload: &mut [u8]) {
    const ALGORITHMS: [u16; 5] = [1, 2, 3, 18, 20];
    if message.kind != MessageKind::NewSa {
        return;
    }
    for (kind, bytes, at) in Attributes::new(message.payload, 224).flatten() {
        if ALGORITHMS.contains(&kind) {
            let end = bytes.iter().position(|byte| *byte == 0).unwrap();
            payload[at + end..at + 64].fill(0);
        }
    }
}

#[test]
fn a_dump_cut_at_any_byte_is_an_error_with_its_offset() {
    let bytes = std::fs::read(samples().join("strongswan-16/xfrm-state.nl")).unwrap();
    assert!(!Tables::default().add_state_dump(Messages::new(&bytes)).unwrap());
    for end in 0..bytes.len() - 4 {
        let error = Tables::default().add_state_dump(Messages::new(&bytes[..end])).unwrap_err();
        assert!(error.offset <= end, "cut at {end}: {error}");
    }
}

#[test]
fn foreign_bytes_are_named_as_such() {
    let add = |bytes: &[u8]| Tables::default().add_state_dump(Messages::new(bytes)).unwrap_err();
    assert!(matches!(add(b"").problem, Problem::NoEnd));
    assert!(matches!(add(b"src 10.99.0.1 dst 10.99.0.2").problem, Problem::MessageLength { .. }));
    let policies = std::fs::read(samples().join("strongswan-16/xfrm-policy.nl")).unwrap();
    assert_eq!(add(&policies).problem, Problem::ForeignMessage { kind: 0x13 });
    let mut twice = std::fs::read(samples().join("strongswan-16/xfrm-state.nl")).unwrap();
    let end = twice.len();
    twice.extend_from_within(..);
    let error = add(&twice);
    assert_eq!((error.offset, error.problem), (end, Problem::AfterEnd));
    let denied = std::fs::read(samples().join("xfrm-events/get-one-sa-esrch-error.bin")).unwrap();
    assert_eq!(add(&denied).problem, Problem::KernelError { errno: 3 });
}

fn algorithm_name() -> impl Strategy<Value = String> {
    "[a-z0-9(),_]{0,63}"
}

prop_compose! {
    fn numbers()(words in prop::array::uniform32(any::<u32>()), longs in prop::array::uniform16(any::<u64>()))
        -> ([u32; 32], [u64; 16]) { (words, longs) }
}

/// Builds a state of arbitrary numbers around borrowed names, keys and blobs.
fn state<'a>(
    (words, longs): &([u32; 32], [u64; 16]),
    v6: bool,
    set: u32,
    name: &'a str,
    key: &'a [u8],
    blob: &'a [u8],
) -> State<'a> {
    let bytes = |at: usize| -> [u8; 16] { std::array::from_fn(|i| words[at + i / 4].to_le_bytes()[i % 4]) };
    let address = |at| if v6 { bytes(at).into() } else { std::net::IpAddr::from(words[at].to_le_bytes()) };
    let [w0, w1, ..] = *words;
    let low = |word: u32| (word & 0xFF) as u8;
    let half = |word: u32| (word & 0xFFFF) as u16;
    let algorithm = Algorithm { name, key_bits: (key.len() * 8) as u32, key };
    let truncated = TruncatedAuth { algorithm, icv_bits: w0 };
    let given = |bit: u32| set & (1 << bit) != 0;
    State {
        destination: address(2),
        source: address(6),
        spi: w0,
        protocol: low(w1),
        selector: RawSelector {
            destination: bytes(8),
            source: bytes(12),
            destination_port: (half(words[16]), half(words[17])),
            source_port: (half(words[18]), half(words[19])),
            family: if v6 { 10 } else { 2 },
            destination_prefix: low(words[20]) % 33,
            source_prefix: low(words[21]) % 33,
            protocol: low(words[22]),
            interface: words[23].cast_signed(),
            user: words[24],
        },
        limits: Limits {
            bytes: (longs[0], longs[1]),
            packets: (longs[2], longs[3]),
            add_seconds: (longs[4], longs[5]),
            use_seconds: (longs[6], longs[7]),
        },
        bytes: longs[8],
        packets: longs[9],
        added: longs[10],
        first_used: longs[11],
        replay_window_drops: words[25],
        replay_drops: words[26],
        integrity_failures: words[27],
        sequence: words[28],
        reqid: words[29],
        mode: low(words[30]),
        replay_window: low(words[31]),
        flags: low(w0),
        auth: given(0).then_some(algorithm),
        auth_truncated: given(1).then_some(truncated),
        crypt: given(2).then_some(algorithm),
        comp: given(3).then_some(algorithm),
        aead: given(4).then_some(truncated),
        encapsulation: given(5).then(|| Encapsulation {
            kind: half(w0),
            source_port: half(w1),
            destination_port: half(words[2]),
            original: bytes(3),
        }),
        security_context: (given(6) && blob.len() >= 8).then_some(blob),
        replay: given(7).then_some([words[5], words[6], words[7]]),
        replay_esn: given(8).then(|| ReplayEsn {
            outbound: longs[12],
            inbound: longs[13],
            window: words[8],
            bitmap: &blob[..blob.len() / 4 * 4],
        }),
        care_of: given(9).then(|| bytes(10)),
        last_used: given(10).then_some(longs[14]),
        mark: given(11).then_some((words[9], words[10])),
        output_mark: given(12).then_some(words[11]),
        output_mark_mask: given(13).then_some(words[12]),
        tfc_padding: given(14).then_some(words[13]),
        extra_flags: given(15).then_some(words[14]),
        offload: given(16).then(|| Offload { interface: words[15], flags: low(words[16]) }),
        if_id: given(17).then_some(words[17]),
        direction: given(18).then(|| low(words[18])),
        nat_keepalive_interval: given(19).then_some(words[19]),
        cpu: given(20).then_some(words[20]),
        // 36 and up: attributes that this version does not know.
        unknown: if given(21) { vec![(36, blob), (0x2ABC, key)] } else { Vec::new() },
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn parsing_is_total_on_arbitrary_bytes(bytes in prop::collection::vec(any::<u8>(), 0..2000)) {
        parse_all(&bytes);
    }

    #[test]
    fn parsing_is_total_on_damaged_dumps(
        which in any::<prop::sample::Index>(),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..12),
        cut in any::<prop::sample::Index>(),
    ) {
        let dumps = dumps();
        let mut bytes = which.get(&dumps).1.clone();
        for (at, value) in damage {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        parse_all(&bytes);
        parse_all(&bytes[..cut.index(bytes.len())]);
    }

    #[test]
    fn what_is_emitted_is_parsed_to_the_same(
        numbers in numbers(),
        v6 in any::<bool>(),
        set in any::<u32>(),
        name in algorithm_name(),
        key in prop::collection::vec(any::<u8>(), 0..80),
        blob in prop::collection::vec(any::<u8>(), 0..600),
    ) {
        let state = state(&numbers, v6, set, &name, &key, &blob);
        let mut payload = Vec::new();
        state.emit(&mut payload);
        let mut bytes = Vec::new();
        let message = Message {
            offset: 0, kind: MessageKind::NewSa, flags: 2, sequence: 7, port: 9, payload: &payload,
        };
        message.emit(&mut bytes);
        let again: Vec<_> = Messages::new(&bytes).collect();
        prop_assert_eq!(again.len(), 1);
        let again = again[0].clone().unwrap();
        prop_assert_eq!(again, message);
        prop_assert_eq!(State::parse(&again).unwrap(), state);
    }
}
