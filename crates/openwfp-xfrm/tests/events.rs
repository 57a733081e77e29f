//! What changes while a dump is taken: a kernel's own events applied to its own dump.
#![allow(clippy::unwrap_used, reason = "a test")]

use openwfp_xfrm::Dumps;
use openwfp_xfrm::Inventory;
use openwfp_xfrm::wire::Message;
use openwfp_xfrm::wire::Messages;
use std::path::Path;

fn bytes(name: &str) -> Vec<u8> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../samples/xfrm-events");
    std::fs::read(directory.join(name)).unwrap()
}

fn inventory(states: Vec<u8>) -> Inventory {
    let dumps = Dumps { states: states.into(), ..Dumps::default() };
    Inventory::from_dumps(&dumps, |part| format!("{part:?}")).unwrap().0
}

/// The SPIs of the sample's dump after these events, sorted.
fn spis_after(events: &[&str]) -> Vec<String> {
    let dump = bytes("dump-getsa-5sas.bin");
    let events: Vec<Vec<u8>> = events.iter().map(|name| bytes(name)).collect();
    let mut inventory = inventory(dump);
    for message in events.iter().flat_map(|bytes| Messages::new(bytes)) {
        inventory.apply(&message.unwrap()).unwrap();
    }
    let contexts = inventory.contexts();
    let mut spis: Vec<String> =
        contexts.iter().flat_map(openwfp_api::SaContext::spis).map(|(_, spi)| spi.to_string()).collect();
    spis.sort();
    spis
}

const NEW: &str = "event-06-newsa-lifetimes-type0x10.bin";
const SOFT: &str = "event-07-expire-soft-then-hard-type0x18.bin";
const HARD: &str = "event-08-expire-soft-then-hard-type0x18.bin";
const GONE: &str = "event-09-delsa-type0x11.bin";
const FLUSHED: &str = "event-10-flushsa-type0x1c.bin";

#[test]
fn events_after_a_dump_bring_it_up_to_date() {
    let dumped = spis_after(&[]);
    assert_eq!(dumped.len(), 4, "four SAs; the fifth state is an acquire, without an SPI: {dumped:?}");
    let new = "0xc0ffee05".to_owned();
    assert!(!dumped.contains(&new));
    assert!(spis_after(&[NEW]).contains(&new));
    assert_eq!(spis_after(&[NEW, SOFT]), spis_after(&[NEW]), "a soft expiry removes nothing");
    assert_eq!(spis_after(&[NEW, SOFT, HARD]), dumped, "a hard one does");
    let left = spis_after(&[GONE]);
    assert_eq!(left.len(), dumped.len() - 1);
    assert!(!left.contains(&"0xc0ffee02".to_owned()));
    assert!(spis_after(&[NEW, FLUSHED]).is_empty());
    assert_eq!(spis_after(&[FLUSHED, NEW]), [new]);
}

#[test]
fn a_state_that_the_dump_has_and_an_event_tells_again_is_one_state() {
    assert_eq!(spis_after(&["event-02-newsa-cbc-sha256-natt-mark-type0x10.bin"]), spis_after(&[]));
}

#[test]
fn a_state_that_one_dump_returns_twice_is_one_state() {
    let dump = bytes("dump-getsa-5sas.bin");
    let messages: Vec<Message<'_>> = Messages::new(&dump).collect::<Result<_, _>>().unwrap();
    let (end, states) = messages.split_last().unwrap();
    let twice: Vec<Message<'_>> = states.iter().chain(states).chain([end]).copied().collect();
    let count = |messages: &[Message<'_>]| {
        let mut states = Vec::new();
        messages.iter().for_each(|message| message.emit(&mut states));
        inventory(states).contexts().len()
    };
    assert_eq!(count(&twice), count(&messages));
}

/// Acquires have no SPI yet. Once, when any event came while they were dumped, only the last of several to
/// one peer was left: they were told apart by destination, protocol and SPI, which they share.
#[test]
fn several_acquires_to_one_peer_stay_several_when_events_are_applied() {
    use openwfp_xfrm::wire::MessageKind;
    use openwfp_xfrm::wire::State;
    let acquire = |sequence| {
        let mut payload = Vec::new();
        let state = State::new([10, 0, 0, 1].into(), [10, 0, 0, 2].into(), 50, 0);
        State { sequence, reqid: 1, ..state }.emit(&mut payload);
        payload
    };
    let payloads = [acquire(1), acquire(2), acquire(2), acquire(3)];
    let message = |kind, payload| Message { offset: 0, kind, flags: 2, sequence: 1, port: 0, payload };
    let count = |events: &[Message<'_>]| {
        let states = payloads.iter().map(|payload| message(MessageKind::NewSa, payload));
        let mut dump = Vec::new();
        states.chain([message(MessageKind::Done, &[0; 4])]).for_each(|message| message.emit(&mut dump));
        let mut inventory = inventory(dump);
        events.iter().for_each(|event| inventory.apply(event).unwrap());
        inventory.contexts().len()
    };
    assert_eq!(count(&[]), 3, "one of the four was returned twice");
    let unrelated = bytes(NEW);
    let unrelated: Vec<Message<'_>> = Messages::new(&unrelated).collect::<Result<_, _>>().unwrap();
    assert_eq!(count(&unrelated), 3 + 1);
    // The kernel gives one up: a hard expiry with the acquire's sequence number.
    let mut expired = payloads[0].clone();
    expired.resize(224, 0);
    expired.extend_from_slice(&[1, 0, 0, 0, 0, 0, 0, 0]);
    assert_eq!(count(&[message(MessageKind::Expire, &expired)]), 2);
}

fn told(payload: &[u8]) -> Message<'_> {
    let kind = openwfp_xfrm::wire::MessageKind::NewSa;
    Message { offset: 0, kind, flags: 0, sequence: 0, port: 0, payload }
}

/// The first SA with an acquire's sequence number takes its place, and the kernel says nothing of that.
#[test]
fn a_new_sa_takes_the_place_of_the_acquire_that_it_answers() {
    use openwfp_xfrm::wire::Algorithm;
    use openwfp_xfrm::wire::MessageKind;
    use openwfp_xfrm::wire::State;
    use openwfp_xfrm::wire::TruncatedAuth;
    let state = |spi, sequence, reqid| {
        let algorithm = Algorithm { name: "rfc4106(gcm(aes))", key_bits: 160, key: &[7; 20] };
        let aead = (spi != 0).then_some(TruncatedAuth { algorithm, icv_bits: 128 });
        let mut payload = Vec::new();
        let state = State::new([10, 0, 0, 1].into(), [10, 0, 0, 2].into(), 50, spi);
        State { sequence, reqid, aead, ..state }.emit(&mut payload);
        payload
    };
    let left = |new: &[u8]| {
        let done = Message { kind: MessageKind::Done, payload: &[0; 4], ..told(&[]) };
        let mut dump = Vec::new();
        done.emit(&mut dump);
        let mut inventory = inventory(dump);
        for payload in [state(0, 8, 1), state(0, 9, 2)] {
            inventory.apply(&told(&payload)).unwrap();
        }
        inventory.apply(&told(new)).unwrap();
        inventory.len()
    };
    assert_eq!(left(&state(256, 8, 1)), 2, "by its sequence number");
    assert_eq!(left(&state(256, 0, 2)), 2, "by its traffic");
    assert_eq!(left(&state(256, 7, 1)), 3, "another acquire's");
    assert_eq!(left(&state(256, 0, 3)), 3, "another traffic's");
}
