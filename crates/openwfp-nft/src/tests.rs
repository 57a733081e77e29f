//! Tests of what needs no kernel; `crates/openwfp-cli/tests/lab_inside/nftables.rs` sends packets.

use crate::check;
use crate::ruleset;
use openwfp_api::Guid;
use openwfp_api::PacketFilter;
use openwfp_api::guids::condition;
use openwfp_api::guids::layer;
use openwfp_api::object::Filter;
use openwfp_api::object::FilterCondition;
use openwfp_api::object::MatchType;
use openwfp_api::object::Object;
use openwfp_api::object::value::Value;
use serde_json::Value as Json;
use serde_json::json;
use std::sync::Arc;

fn filter(at: Guid, conditions: &[(Guid, MatchType, Value)]) -> Filter {
    let conditions = conditions.iter().cloned();
    Filter {
        layer: at,
        conditions: conditions
            .map(|(field, match_type, value)| FilterCondition { field, match_type, value })
            .collect(),
        ..Filter::default()
    }
}

/// Returns what the rules of a ruleset test and say: chain and expression.
fn rules(ruleset: &Json) -> Vec<(String, Vec<Json>)> {
    let rules = ruleset["nftables"].as_array().unwrap().iter().map(|command| &command["add"]["rule"]);
    rules
        .filter(|rule| !rule.is_null())
        .map(|rule| (rule["chain"].as_str().unwrap().to_owned(), rule["expr"].as_array().unwrap().clone()))
        .collect()
}

#[test]
fn sublayers_are_tried_in_order_of_weight_and_their_filters_too() {
    let of = |id, sublayer: u32, sublayer_weight, weight, blocks, is_hard| PacketFilter {
        filter: Arc::new(Object::Filter(Filter {
            id,
            sublayer: Guid::new(sublayer, 0, 0, [0; 8]),
            effective_weight: weight,
            ..filter(layer::OUTBOUND_TRANSPORT_V4, &[])
        })),
        sublayer_weight,
        blocks,
        is_hard,
        is_reported: blocks,
    };
    let filters = [
        of(1, 1, 10, 1, true, false),
        of(2, 2, 20, 5, false, false),
        of(3, 2, 20, 9, false, true),
        of(4, 2, 20, 9, true, true),
    ];
    let ruleset = ruleset("openwfp", &filters);
    let verdicts: Vec<(String, Json)> = rules(&ruleset)
        .into_iter()
        .map(|(chain, expression)| (chain, expression.last().unwrap().clone()))
        .filter(|(chain, _)| chain != "outbound_transport_v4")
        .collect();
    let log =
        |id: u64| json!({"log": {"prefix": format!("openwfp drop {id}"), "group": 20_311, "snaplen": 128}});
    let expected = [
        ("outbound_transport_v4-1", json!({"accept": null})),
        ("outbound_transport_v4-1", log(4)),
        ("outbound_transport_v4-1", json!({"drop": null})),
        ("outbound_transport_v4-1", json!({"return": null})),
        ("outbound_transport_v4-2", log(1)),
        ("outbound_transport_v4-2", json!({"drop": null})),
    ]
    .map(|(chain, verdict)| (chain.to_owned(), verdict));
    assert_eq!(verdicts, expected);
    // The table is replaced as a whole; without filters it goes.
    let commands = ruleset["nftables"].as_array().unwrap();
    let first: Vec<&str> =
        commands[..3].iter().map(|command| &**command.as_object().unwrap().keys().next().unwrap()).collect();
    assert_eq!(first, ["add", "delete", "add"]);
    let table = json!({"table": {"family": "inet", "name": "openwfp"}});
    assert_eq!(crate::ruleset("openwfp", &[]), json!({"nftables": [{"add": table}, {"delete": table}]}));
}

/// A soft permit is told once no lighter sublayer has blocked the packet: its chain tries them, and logs at its end.
#[test]
fn permits_are_reported_after_the_lighter_sublayers() {
    let of = |id, sublayer: u32, sublayer_weight, blocks| PacketFilter {
        filter: Arc::new(Object::Filter(Filter {
            id,
            sublayer: Guid::new(sublayer, 0, 0, [0; 8]),
            ..filter(layer::OUTBOUND_TRANSPORT_V4, &[])
        })),
        sublayer_weight,
        blocks,
        is_hard: blocks,
        is_reported: true,
    };
    let ruleset = ruleset("openwfp", &[of(1, 1, 20, false), of(2, 2, 10, true), of(3, 2, 10, false)]);
    let of_chain = |name: &str| -> Vec<Json> {
        let rules = rules(&ruleset).into_iter().filter(|(chain, _)| chain == name);
        rules.map(|(_, expression)| expression.last().unwrap().clone()).collect()
    };
    let log =
        |words: &str| json!({"log": {"prefix": format!("openwfp {words}"), "group": 20_311, "snaplen": 128}});
    let to = |verb: &str, chain: &str| json!({verb: {"target": format!("outbound_transport_v4-{chain}")}});
    assert_eq!(of_chain("outbound_transport_v4-1"), [to("goto", "permits-1")]);
    let permitted = [to("jump", "2-later"), log("allow 1"), json!({"accept": null})];
    assert_eq!(of_chain("outbound_transport_v4-permits-1"), permitted);
    let later = [log("drop 2"), json!({"drop": null}), json!({"return": null})];
    assert_eq!(of_chain("outbound_transport_v4-2-later"), later);
}

#[test]
fn ports_are_types_and_codes_for_icmp() {
    let of = |at, conditions: &[(Guid, MatchType, Value)]| {
        let filter = Arc::new(Object::Filter(filter(at, conditions)));
        let filters =
            [PacketFilter { filter, sublayer_weight: 0, blocks: false, is_hard: false, is_reported: false }];
        let mut rules = rules(&ruleset("t", &filters));
        rules.retain(|(chain, _)| chain.ends_with("-1"));
        rules.into_iter().map(|(_, expression)| expression).collect::<Vec<_>>()
    };
    let port = |number| (condition::IP_LOCAL_PORT, MatchType::Equal, Value::Uint16(number));
    let payload = |header: &str, field: &str, number: u16| json!({"match": {"op": "==", "left": {"payload": {"protocol": header, "field": field}}, "right": number}});
    // Any protocol that has ports, and ICMP.
    let both = of(layer::INBOUND_TRANSPORT_V4, &[port(8)]);
    assert_eq!(both.len(), 2, "{both:?}");
    assert_eq!(both[0][1], payload("th", "dport", 8));
    assert_eq!(both[1][1], payload("icmp", "type", 8));
    // A port that is no type: only protocols with ports.
    assert_eq!(of(layer::OUTBOUND_TRANSPORT_V6, &[port(4500)]).len(), 1);
    // One protocol that has neither: nothing matches, so there is no rule.
    let protocol = (condition::IP_PROTOCOL, MatchType::Equal, Value::Uint8(50));
    assert!(of(layer::OUTBOUND_TRANSPORT_V4, &[protocol, port(8)]).is_empty());
}

#[test]
fn filters_that_rules_cannot_express_are_refused_with_the_reason() {
    let application = (condition::ALE_APP_ID, MatchType::Equal, Value::Uint8(1));
    let refused = [
        (filter(layer::ALE_AUTH_CONNECT_V4, &[application]), "cannot test FWPM_CONDITION_ALE_APP_ID"),
        (filter(layer::ALE_RESOURCE_ASSIGNMENT_V4, &[]), "nothing on Linux corresponds to"),
        (
            // A LUID with a type says more than an index.
            filter(
                layer::INBOUND_TRANSPORT_V4,
                &[(condition::IP_LOCAL_INTERFACE, MatchType::Equal, Value::Uint64(6 << 48 | 2 << 24))],
            ),
            "cannot test FWPM_CONDITION_IP_LOCAL_INTERFACE as this filter does",
        ),
        (
            filter(
                layer::INBOUND_TRANSPORT_V4,
                &[(condition::INTERFACE_TYPE, MatchType::Equal, Value::Uint32(131))],
            ),
            "cannot test FWPM_CONDITION_INTERFACE_TYPE as this filter does",
        ),
    ];
    for (filter, reason) in refused {
        let found = check(&filter).unwrap_err();
        assert!(found.contains(reason), "{found}");
    }
    let luid = (condition::IP_LOCAL_INTERFACE, MatchType::Equal, Value::Uint64(2 << 24));
    assert_eq!(check(&filter(layer::INBOUND_TRANSPORT_V4, &[luid])), Ok(()));
}
