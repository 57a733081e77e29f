//! Benchmarks of filters: classification of packets among many filters of a gateway, and adding and
//! deleting filters.
//!
//! `cargo bench -p openwfp --bench policy` runs them with 100,000 filters, or with the number given as
//! an argument.
#![allow(clippy::unwrap_used, clippy::cast_possible_truncation, reason = "a benchmark")]
#![allow(clippy::disallowed_methods, reason = "time is what a benchmark asks for")]

use openwfp_api::TransactionMode;
use openwfp_api::guids::callout;
use openwfp_api::guids::condition;
use openwfp_api::guids::layer;
use openwfp_api::guids::sublayer;
use openwfp_api::object::packet::Packet;
use openwfp_api::object::template::ObjectTemplate;
use openwfp_api::object::value::Value;
use openwfp_api::object::*;
use openwfp_api::record::Address;
use openwfp_engine::Engine;
use openwfp_engine::SessionOptions;
use std::hint::black_box;
use std::net::Ipv4Addr;
use std::time::Duration;
use std::time::Instant;

/// Returns a tunnel's filter for one branch network of a gateway. Some filters also match a protocol
/// and a port, others a range of ports.
fn filter(number: u32) -> Object {
    let equal = |field, value| FilterCondition { field, match_type: MatchType::Equal, value };
    let network = |address: u32, prefix| {
        Value::network(format!("{}/{prefix}", Ipv4Addr::from(address)).parse().unwrap())
    };
    let mut conditions = vec![
        equal(condition::IP_LOCAL_ADDRESS, network(0x0A00_0000, 16)),
        equal(condition::IP_REMOTE_ADDRESS, network(0x1400_0000 | number << 4, 28)),
    ];
    if number.is_multiple_of(3) {
        conditions.push(equal(condition::IP_PROTOCOL, Value::Uint8(6)));
        conditions.push(equal(condition::IP_REMOTE_PORT, Value::Uint16(443)));
    }
    if number.is_multiple_of(7) {
        conditions.push(FilterCondition {
            field: condition::IP_LOCAL_PORT,
            match_type: MatchType::Range,
            value: Value::range(Value::Uint16(1024), Value::Uint16(65535)),
        });
    }
    Object::Filter(Filter {
        name: "branch".into(),
        layer: layer::OUTBOUND_TRANSPORT_V4,
        sublayer: sublayer::IPSEC_TUNNEL,
        conditions,
        action: Action { kind: ActionType::CalloutTerminating, callout: callout::IPSEC_OUTBOUND_TUNNEL_V4 },
        ..Filter::default()
    })
}

fn packet(number: u32) -> Packet {
    Packet {
        source: Address(Ipv4Addr::from(0x0A00_0101).into()),
        destination: Address(Ipv4Addr::from(0x1400_0003 | number << 4).into()),
        protocol: 6,
        source_port: 40_000,
        destination_port: 443,
        ..Packet::default()
    }
}

fn main() {
    let count = std::env::args().skip(1).find_map(|word| word.parse().ok()).unwrap_or(100_000_u32);
    let session = Engine::new().open_session(SessionOptions::new()).unwrap();
    let begun = Instant::now();
    session.transaction_begin(TransactionMode::ReadWrite).unwrap();
    let ids: Vec<u64> = (0..count).map(|number| session.object_add(filter(number)).unwrap()).collect();
    session.transaction_commit().unwrap();
    let each = begun.elapsed() / count;
    println!("add {count} filters in a transaction: {each:?} each");

    let mut times: Vec<Duration> = Vec::new();
    let mut missed = 0;
    for round in 0..200_000_u32 {
        // The step is coprime to the number of filters, so that consecutive packets match filters that are not
        // adjacent in memory.
        let packet = packet(round.wrapping_mul(7919) % count);
        let begun = Instant::now();
        let verdict = black_box(session.classify(black_box(&packet)).unwrap());
        times.push(begun.elapsed());
        missed += u32::from(verdict.filter_id == 0);
    }
    assert_eq!(missed, 0);
    times.sort_unstable();
    println!(
        "classify among {count}: median {:?}, p99 {:?} (goal: 2 us)",
        times[times.len() / 2],
        times[times.len() / 100 * 99]
    );
    let nothing = Packet { destination: Address(Ipv4Addr::new(99, 1, 2, 3).into()), ..packet(0) };
    let begun = Instant::now();
    for _ in 0..200_000 {
        black_box(session.classify(black_box(&nothing)).unwrap());
    }
    println!("classify what nothing matches: {:?} each", begun.elapsed() / 200_000);

    let begun = Instant::now();
    let enumerator = session.object_create_enum(&ObjectTemplate::all(ObjectKind::Filter)).unwrap();
    let mut found = 0;
    loop {
        let page = session.object_enum(enumerator, 1000).unwrap().accept();
        found += page.len();
        if page.len() < 1000 {
            break;
        }
    }
    assert_eq!(found, count as usize);
    println!("enumerate them in pages of 1,000: {:?} each", begun.elapsed() / count);

    let begun = Instant::now();
    let single = ids.iter().take(1000);
    for id in single.clone() {
        session.object_delete(ObjectKind::Filter, ObjectName::Id(*id)).unwrap();
    }
    println!("delete one, in a transaction of its own: {:?}", begun.elapsed() / single.len() as u32);
}
