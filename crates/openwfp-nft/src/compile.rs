//! Translates filters into a ruleset, in the JSON that `nft -j` reads (libnftables-json(5)).
//!
//! Each layer becomes a base chain, in which the chains of its sublayers are tried, the heaviest first. Arbitration ("Filter
//! Arbitration" in WFP's documentation) becomes verdicts: a soft permit returns from the sublayer's chain, so that the next
//! sublayer is tried; a hard permit accepts, which ends the base chain and so the layer; a block drops.

use openwfp_api::Guid;
use openwfp_api::IpNet;
use openwfp_api::PacketFilter;
use openwfp_api::SecurityDescriptor;
use openwfp_api::guids;
use openwfp_api::guids::condition;
use openwfp_api::guids::layer;
use openwfp_api::object::Filter;
use openwfp_api::object::FilterCondition;
use openwfp_api::object::MatchType;
use openwfp_api::object::value::Value;
use openwfp_api::record::Network;
use serde_json::Value as Json;
use serde_json::json;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::net::Ipv4Addr;
use std::net::Ipv6Addr;

/// The nflog group to which rules send what they drop.
pub(crate) const LOG_GROUP: u16 = 20_311;
/// Start of the prefix of logged packets; "drop" or "allow" and the id of the filter follow.
pub(crate) const LOG_PREFIX: &str = "openwfp ";
/// Maximum number of packets of a filter to log each second, and how many more at once.
const LOG_RATE: u32 = 100;
const LOG_BURST: u32 = 200;

/// The authority of SIDs for Unix users (subauthority 1) and groups (2).
const UNIX: u64 = 22;

const ICMP: u8 = 1;
const ICMPV6: u8 = 58;
/// TCP, UDP, DCCP, SCTP, UDP-Lite: the protocols with ports.
const WITH_PORTS: [u8; 5] = [6, 17, 33, 132, 136];

/// How the packets of a layer pass the machine.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Path {
    In,
    Out,
    Forward,
}

/// A layer's place in Linux.
struct Hook {
    hook: &'static str,
    priority: i32,
    path: Path,
    v6: bool,
    sees: Sees,
}

/// The packets that a layer sees, of those that pass its hook.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Sees {
    /// Packets as they are on the wire.
    Wire,
    /// Packets outside of IPsec: before it is applied, and after it is removed.
    Inner,
    /// The same, of connections in the direction in which they were opened.
    Connections,
    /// ICMP errors.
    IcmpErrors,
    /// All forwarded packets.
    All,
}

fn hook(at: Guid) -> Option<Hook> {
    let of = |hook, priority, path, sees, v6| Some(Hook { hook, priority, path, v6, sees });
    match at {
        layer::INBOUND_IPPACKET_V4 => of("prerouting", -5, Path::In, Sees::Wire, false),
        layer::INBOUND_IPPACKET_V6 => of("prerouting", -5, Path::In, Sees::Wire, true),
        layer::OUTBOUND_IPPACKET_V4 => of("postrouting", -5, Path::Out, Sees::Wire, false),
        layer::OUTBOUND_IPPACKET_V6 => of("postrouting", -5, Path::Out, Sees::Wire, true),
        layer::IPFORWARD_V4 => of("forward", -5, Path::Forward, Sees::All, false),
        layer::IPFORWARD_V6 => of("forward", -5, Path::Forward, Sees::All, true),
        layer::INBOUND_TRANSPORT_V4 => of("input", -5, Path::In, Sees::Inner, false),
        layer::INBOUND_TRANSPORT_V6 => of("input", -5, Path::In, Sees::Inner, true),
        layer::OUTBOUND_TRANSPORT_V4 => of("output", -4, Path::Out, Sees::Inner, false),
        layer::OUTBOUND_TRANSPORT_V6 => of("output", -4, Path::Out, Sees::Inner, true),
        layer::INBOUND_ICMP_ERROR_V4 => of("input", -4, Path::In, Sees::IcmpErrors, false),
        layer::INBOUND_ICMP_ERROR_V6 => of("input", -4, Path::In, Sees::IcmpErrors, true),
        layer::OUTBOUND_ICMP_ERROR_V4 => of("output", -3, Path::Out, Sees::IcmpErrors, false),
        layer::OUTBOUND_ICMP_ERROR_V6 => of("output", -3, Path::Out, Sees::IcmpErrors, true),
        layer::ALE_AUTH_RECV_ACCEPT_V4 => of("input", -3, Path::In, Sees::Connections, false),
        layer::ALE_AUTH_RECV_ACCEPT_V6 => of("input", -3, Path::In, Sees::Connections, true),
        layer::ALE_AUTH_CONNECT_V4 => of("output", -5, Path::Out, Sees::Connections, false),
        layer::ALE_AUTH_CONNECT_V6 => of("output", -5, Path::Out, Sees::Connections, true),
        _ => None,
    }
}

/// Checks whether nftables can test everything that a filter tests.
///
/// # Errors
/// The reason, in words, if it cannot.
pub fn check(filter: &Filter) -> Result<(), String> {
    alternatives(filter).map(drop)
}

/// Returns the ruleset for these filters, which replaces the table. Filters that [`check`] rejects are left out. Without any
/// filter, the table is removed.
pub fn ruleset(table: &str, filters: &[PacketFilter]) -> Json {
    let mut layers: BTreeMap<Guid, BTreeMap<(u16, Guid), Vec<Ranked<'_>>>> = BTreeMap::new();
    for packet_filter in filters {
        let Some(filter) = packet_filter.filter.as_filter() else { continue };
        let sublayers = layers.entry(filter.layer).or_default();
        let order = (u16::MAX - packet_filter.sublayer_weight, filter.sublayer);
        sublayers.entry(order).or_default().push((packet_filter, filter));
    }
    let named = json!({"family": "inet", "name": table});
    // `add` before `delete`: there may be no table yet.
    let mut commands = vec![json!({"add": {"table": named}}), json!({"delete": {"table": named}})];
    let mut rules = Vec::new();
    if !layers.is_empty() {
        commands.push(json!({"add": {"table": named}}));
    }
    for (at, sublayers) in layers {
        let Some(hook) = hook(at) else { continue };
        let base = guids::name(at).unwrap_or("layer").trim_start_matches("FWPM_LAYER_").to_lowercase();
        let mut chain = |name: &str, at: Option<(&str, i32)>| {
            let mut chain = json!({"family": "inet", "table": table, "name": name});
            if let Some((hook, priority)) = at {
                chain["type"] = json!("filter");
                chain["hook"] = json!(hook);
                chain["prio"] = json!(priority);
                chain["policy"] = json!("accept");
            }
            commands.push(json!({"add": {"chain": chain}}));
        };
        chain(&base, Some((hook.hook, hook.priority)));
        let mut rule = |chain: &str, comment: Option<String>, expression: Vec<Json>| {
            let mut rule = json!({"family": "inet", "table": table, "chain": chain, "expr": expression});
            if let Some(comment) = comment {
                rule["comment"] = json!(comment);
            }
            rules.push(json!({"add": {"rule": rule}}));
        };
        for expression in unseen(&hook) {
            rule(&base, None, expression);
        }
        let sublayers: Vec<Vec<Ranked<'_>>> = sublayers.into_values().map(in_order).collect();
        let is_reported =
            |(packet_filter, _): &Ranked<'_>| packet_filter.is_reported && !packet_filter.blocks;
        // A permit is reported once no lighter sublayer has overridden it, by a chain of its own.
        let reports_permits = sublayers.iter().flatten().any(is_reported);
        let names = |suffix: &'static str| {
            let base = base.clone();
            move |number: usize| format!("{base}-{}{suffix}", number + 1)
        };
        let (first, later) = (names(""), names("-later"));
        for (number, filters) in sublayers.iter().enumerate() {
            chain(&first(number), None);
            rule(&base, None, vec![json!({"jump": {"target": first(number)}})]);
            for ranked in filters {
                let own = (reports_permits && is_reported(ranked)).then(|| permits(&base, ranked.1));
                each_rule(ranked, own.as_deref(), |comment, tests| rule(&first(number), comment, tests));
            }
            if !reports_permits {
                continue;
            }
            if number > 0 {
                chain(&later(number), None);
                for ranked in filters {
                    each_rule(ranked, None, |comment, tests| rule(&later(number), comment, tests));
                }
            }
            for ranked in filters.iter().filter(|ranked| is_reported(ranked) && !ranked.0.is_hard) {
                let own = permits(&base, ranked.1);
                chain(&own, None);
                for number in number + 1..sublayers.len() {
                    rule(&own, None, vec![json!({"jump": {"target": later(number)}})]);
                }
                rule(&own, None, log("allow", ranked.1.id).to_vec());
                rule(&own, None, vec![json!({"accept": null})]);
            }
        }
        // The kernel's IPsec policies do not tell forwarded packets from local ones. They let pass what these sublayers block, so
        // forwarded packets that leave unprotected are dropped here.
        let beside_ipsec: Vec<&Vec<Ranked<'_>>> =
            sublayers.iter().filter(|filters| is_beside_ipsec(&hook, filters)).collect();
        if beside_ipsec.is_empty() {
            continue;
        }
        let forwarded = format!("{base}-forwarded");
        let named = |number: usize| format!("{forwarded}-{}", number + 1);
        chain(&forwarded, Some(("forward", hook.priority)));
        let is_protected = is(&json!({"rt": {"key": "ipsec"}}), "==", &json!(true));
        for expression in unseen(&hook).into_iter().chain([vec![is_protected, json!({"accept": null})]]) {
            rule(&forwarded, None, expression);
        }
        for (number, filters) in beside_ipsec.into_iter().enumerate() {
            chain(&named(number), None);
            rule(&forwarded, None, vec![json!({"jump": {"target": named(number)}})]);
            for (packet_filter, filter) in filters {
                let is_reported = packet_filter.is_reported && packet_filter.blocks;
                let quiet = PacketFilter { is_reported, ..(*packet_filter).clone() };
                each_rule(&(&quiet, *filter), None, |comment, tests| rule(&named(number), comment, tests));
            }
        }
    }
    commands.extend(rules);
    json!({"nftables": commands})
}

/// Returns a ruleset that a kernel accepts if it has what the rules of any filter use.
#[cfg(target_os = "linux")]
pub(crate) fn probe(table: &str) -> Json {
    let chain = json!({
        "family": "inet", "table": table, "name": "probe", "type": "filter",
        "hook": "output", "prio": 0, "policy": "accept",
    });
    let secured = is(&json!({"rt": {"key": "ipsec"}}), "==", &json!(false));
    let state = is(&json!({"ct": {"key": "state"}}), "in", &json!("new"));
    let tests = vec![is(&meta("nfproto"), "==", &json!("ipv4")), secured, state];
    let rule = |expression: Vec<Json>| json!({"family": "inet", "table": table, "chain": "probe", "expr": expression});
    json!({"nftables": [
        {"add": {"table": {"family": "inet", "name": table}}},
        {"add": {"chain": chain}},
        {"add": {"rule": rule([tests, log("drop", 0).to_vec()].concat())}},
        {"add": {"rule": rule(vec![json!({"drop": null})])}},
    ]})
}

/// A filter of a sublayer.
type Ranked<'f> = (&'f PacketFilter, &'f Filter);

/// Returns the filters of a sublayer in the order in which they are tried.
fn in_order(mut filters: Vec<Ranked<'_>>) -> Vec<Ranked<'_>> {
    filters.sort_by_key(|(_, filter)| (u64::MAX - filter.effective_weight, filter.id));
    filters
}

/// Returns whether the kernel's IPsec policies for outbound packets let pass what filters of a sublayer block.
fn is_beside_ipsec(hook: &Hook, filters: &[Ranked<'_>]) -> bool {
    let is_outbound = hook.path == Path::Out && hook.sees == Sees::Inner;
    let is_of_ipsec = |filter: &Filter| filter.ipsec_mode().is_some() || guids::is_for_ipsec(filter.sublayer);
    is_outbound && filters.iter().any(|(_, filter)| is_of_ipsec(filter))
}

/// Returns the name of the chain that goes on after a filter's soft permit.
fn permits(base: &str, filter: &Filter) -> String {
    format!("{base}-permits-{}", filter.id)
}

/// Calls `add` with the comment and the expression of each rule of a filter. `own` is the chain that goes on after a soft
/// permit; without it, the next sublayer is tried.
fn each_rule(
    (packet_filter, filter): &Ranked<'_>,
    own: Option<&str>,
    mut add: impl FnMut(Option<String>, Vec<Json>),
) {
    let comment = || Some(format!("filter {}", filter.id));
    let verdict = match (packet_filter.blocks, packet_filter.is_hard, own) {
        (true, ..) => json!({"drop": null}),
        (false, true, _) => json!({"accept": null}),
        (false, false, Some(own)) => json!({"goto": {"target": own}}),
        (false, false, None) => json!({"return": null}),
    };
    let is_logged = packet_filter.is_reported && (packet_filter.blocks || packet_filter.is_hard);
    for tests in alternatives(filter).unwrap_or_default() {
        if is_logged {
            let word = if packet_filter.blocks { "drop" } else { "allow" };
            add(comment(), [&tests[..], &log(word, filter.id)].concat());
        }
        add(comment(), [tests, vec![verdict.clone()]].concat());
    }
}

/// Returns the expressions that log a packet on which a filter decided.
fn log(word: &str, filter: u64) -> [Json; 2] {
    [
        json!({"limit": {"rate": LOG_RATE, "burst": LOG_BURST, "per": "second"}}),
        json!({"log": {"prefix": format!("{LOG_PREFIX}{word} {filter}"), "group": LOG_GROUP, "snaplen": 128}}),
    ]
}

fn number_of(number: u128) -> Json {
    json!(u64::try_from(number).unwrap_or(u64::MAX))
}

fn is(left: &Json, operator: &str, right: &Json) -> Json {
    json!({"match": {"op": operator, "left": left, "right": right}})
}

fn meta(key: &str) -> Json {
    json!({"meta": {"key": key}})
}

/// Returns the tests of packets that pass a layer's hook, but that the layer does not see.
fn unseen(hook: &Hook) -> Vec<Vec<Json>> {
    let accept = json!({"accept": null});
    let family = if hook.v6 { "ipv6" } else { "ipv4" };
    let mut unseen = vec![vec![is(&meta("nfproto"), "!=", &json!(family)), accept.clone()]];
    let encapsulated = json!({"set": [50, 51, 108]});
    match hook.sees {
        Sees::All => {}
        Sees::Wire if hook.path == Path::In => {
            unseen.push(vec![is(&meta("secpath"), "==", &json!(true)), accept]);
        }
        Sees::Wire => {
            unseen.push(vec![is(&json!({"rt": {"key": "ipsec"}}), "==", &json!(true)), accept]);
        }
        Sees::Inner => {
            unseen.push(vec![is(&meta("l4proto"), "==", &encapsulated), accept]);
        }
        Sees::Connections => {
            unseen.push(vec![is(&meta("l4proto"), "==", &encapsulated), accept.clone()]);
            let state = json!({"ct": {"key": "state"}});
            unseen.push(vec![is(&state, "in", &json!("related")), accept.clone()]);
            let direction = json!({"ct": {"key": "direction"}});
            unseen.push(vec![is(&direction, "!=", &json!("original")), accept]);
        }
        Sees::IcmpErrors => {
            let (protocol, types) = match hook.v6 {
                false => ("icmp", json!({"set": [3, 4, 5, 11, 12]})),
                true => ("icmpv6", json!({"set": [1, 2, 3, 4]})),
            };
            let number = if hook.v6 { ICMPV6 } else { ICMP };
            unseen.push(vec![is(&meta("l4proto"), "!=", &json!(number)), accept.clone()]);
            let kind = json!({"payload": {"protocol": protocol, "field": "type"}});
            unseen.push(vec![is(&kind, "!=", &types), accept]);
        }
    }
    unseen
}

/// Ranges of numbers, sorted, without overlaps and neighbours.
type Ranges = Vec<(u128, u128)>;

/// Returns the rules that together select what a filter selects: each is a list of tests, all of which have to hold.
fn alternatives(filter: &Filter) -> Result<Vec<Vec<Json>>, String> {
    let name = |guid: Guid| guids::name(guid).map_or_else(|| guid.to_string(), str::to_owned);
    let Some(hook) = hook(filter.layer) else {
        return Err(format!("nothing on Linux corresponds to {}", name(filter.layer)));
    };
    let mut fields: BTreeMap<Guid, Vec<&FilterCondition>> = BTreeMap::new();
    for condition in &filter.conditions {
        fields.entry(condition.field).or_default().push(condition);
    }
    let mut tests: Vec<Json> = Vec::new();
    let mut protocols: Ranges = vec![(0, 255)];
    let mut ports: [Option<Ranges>; 2] = [None, None];
    // Whether a field can have no value that the filter allows.
    let mut never = false;
    for (field, conditions) in fields {
        let cannot = || format!("nftables cannot test {} as this filter does", name(field));
        let width = if hook.v6 { 128 } else { 32 };
        let ranges = |bits: u32| ranges(&conditions, bits).ok_or_else(cannot);
        match field {
            condition::IP_LOCAL_ADDRESS
            | condition::IP_REMOTE_ADDRESS
            | condition::IP_SOURCE_ADDRESS
            | condition::IP_DESTINATION_ADDRESS => {
                let is_source = match field {
                    condition::IP_SOURCE_ADDRESS => true,
                    condition::IP_DESTINATION_ADDRESS => false,
                    condition::IP_LOCAL_ADDRESS => hook.path != Path::In,
                    _ => hook.path == Path::In,
                };
                let protocol = if hook.v6 { "ip6" } else { "ip" };
                let end = if is_source { "saddr" } else { "daddr" };
                let left = json!({"payload": {"protocol": protocol, "field": end}});
                let address = |number: u128| match hook.v6 {
                    true => Ipv6Addr::from(number).to_string(),
                    false => Ipv4Addr::from(u32::try_from(number).unwrap_or(u32::MAX)).to_string(),
                };
                let ranges = ranges(width)?;
                never |= ranges.is_empty();
                tests.extend(test(&left, &ranges, width, |number| json!(address(number))));
            }
            condition::IP_PROTOCOL => protocols = ranges(8)?,
            condition::IP_LOCAL_PORT => ports[0] = Some(ranges(16)?),
            condition::IP_REMOTE_PORT => ports[1] = Some(ranges(16)?),
            condition::INTERFACE_INDEX if hook.path != Path::Forward => {
                let key = if hook.path == Path::In { "iif" } else { "oif" };
                let ranges = ranges(32)?;
                never |= ranges.is_empty();
                tests.extend(test(&meta(key), &ranges, 32, number_of));
            }
            condition::SOURCE_INTERFACE_INDEX | condition::DESTINATION_INTERFACE_INDEX
                if hook.path == Path::Forward =>
            {
                let key = if field == condition::SOURCE_INTERFACE_INDEX { "iif" } else { "oif" };
                let ranges = ranges(32)?;
                never |= ranges.is_empty();
                tests.extend(test(&meta(key), &ranges, 32, number_of));
            }
            condition::IP_LOCAL_INTERFACE if hook.path != Path::Forward => {
                let key = if hook.path == Path::In { "iif" } else { "oif" };
                let indexes = interfaces(&conditions).ok_or_else(cannot)?;
                tests.extend(test(&meta(key), &indexes, 32, number_of));
            }
            condition::INTERFACE_TYPE if hook.path != Path::Forward => {
                let key = if hook.path == Path::In { "iiftype" } else { "oiftype" };
                let types = link_types(&conditions).ok_or_else(cannot)?;
                tests.push(is(&meta(key), "==", &json!({"set": types})));
            }
            condition::FLAGS => tests.extend(flags(&conditions, &hook).ok_or_else(cannot)?),
            condition::ALE_USER_ID if hook.path == Path::Out => {
                tests.push(users(&conditions).ok_or_else(cannot)?);
            }
            _ => return Err(format!("nftables cannot test {}", name(field))),
        }
    }
    if never {
        return Ok(Vec::new());
    }
    let protocol = |ranges: &Ranges| test(&meta("l4proto"), ranges, 8, number_of);
    if ports.iter().all(Option::is_none) {
        if protocols.is_empty() {
            return Ok(Vec::new());
        }
        tests.extend(protocol(&protocols));
        return Ok(vec![tests]);
    }
    // What is a port for some protocols is type and code for ICMP: each needs a rule of its own.
    let has = |number: u8| protocols.iter().any(|(low, high)| (*low..=*high).contains(&number.into()));
    let mut rules = Vec::new();
    let with_ports: Ranges = normal(
        WITH_PORTS
            .into_iter()
            .filter(|number| has(*number))
            .map(|number| (number.into(), number.into()))
            .collect(),
    );
    let swapped = hook.path == Path::In;
    let mut add = |protocols: Ranges, header: &str, names: [&str; 2], bits: u32| {
        if protocols.is_empty() {
            return;
        }
        let mut rule = tests.clone();
        rule.extend(protocol(&protocols));
        for (ranges, name) in ports.iter().zip(names) {
            let Some(ranges) = ranges else { continue };
            let highest = (1 << bits) - 1;
            let ranges: Ranges = ranges
                .iter()
                .filter(|(low, _)| *low <= highest)
                .map(|(low, high)| (*low, (*high).min(highest)))
                .collect();
            if ranges.is_empty() {
                return;
            }
            let left = json!({"payload": {"protocol": header, "field": name}});
            rule.extend(test(&left, &ranges, bits, number_of));
        }
        rules.push(rule);
    };
    add(with_ports, "th", if swapped { ["dport", "sport"] } else { ["sport", "dport"] }, 16);
    let (number, header) = if hook.v6 { (ICMPV6, "icmpv6") } else { (ICMP, "icmp") };
    if has(number) {
        add(vec![(number.into(), number.into())], header, ["type", "code"], 8);
    }
    Ok(rules)
}

/// Returns the test that a field lies in ranges; `None` if every value does.
fn test(left: &Json, ranges: &Ranges, bits: u32, show: impl Fn(u128) -> Json) -> Option<Json> {
    let highest = if bits >= 128 { u128::MAX } else { (1 << bits) - 1 };
    if ranges == &[(0, highest)] {
        return None;
    }
    let one = |(low, high): &(u128, u128)| match low == high {
        true => show(*low),
        false => json!({"range": [show(*low), show(*high)]}),
    };
    let right = match &ranges[..] {
        [range] => one(range),
        many => json!({"set": many.iter().map(one).collect::<Vec<_>>()}),
    };
    Some(is(left, "==", &right))
}

/// Returns the values that one of the conditions allows; `None` if it cannot be told by ranges.
fn ranges(conditions: &[&FilterCondition], bits: u32) -> Option<Ranges> {
    let highest = if bits >= 128 { u128::MAX } else { (1 << bits) - 1 };
    let mut all = Vec::new();
    for condition in conditions {
        let (low, high) = bounds(&condition.value)?;
        match condition.match_type {
            MatchType::Equal | MatchType::Range => all.push((low, high)),
            MatchType::NotEqual => {
                all.extend(low.checked_sub(1).map(|below| (0, below)));
                all.extend((high < highest).then_some((high + 1, highest)));
            }
            MatchType::Greater => all.extend((high < highest).then_some((high + 1, highest))),
            MatchType::GreaterOrEqual => all.push((low, highest)),
            MatchType::Less => all.extend(low.checked_sub(1).map(|below| (0, below))),
            MatchType::LessOrEqual => all.push((0, high)),
            _ => return None,
        }
    }
    Some(normal(all))
}

fn normal(mut ranges: Ranges) -> Ranges {
    ranges.sort_unstable();
    let mut merged: Ranges = Vec::new();
    for (low, high) in ranges {
        match merged.last_mut() {
            Some(last) if low <= last.1.saturating_add(1) => last.1 = last.1.max(high),
            _ => merged.push((low, high)),
        }
    }
    merged
}

fn bounds(value: &Value) -> Option<(u128, u128)> {
    let of = |address: IpAddr| match address {
        IpAddr::V4(address) => u128::from(u32::from(address)),
        IpAddr::V6(address) => address.into(),
    };
    let one = match value {
        Value::Uint8(number) => u128::from(*number),
        Value::Uint16(number) => u128::from(*number),
        Value::Uint32(number) => u128::from(*number),
        Value::ByteArray16(bytes) => u128::from_be_bytes(*bytes),
        Value::Network(Network(network)) => {
            let (first, last) = match network {
                IpNet::V4(network) => (IpAddr::from(network.network()), IpAddr::from(network.broadcast())),
                IpNet::V6(network) => (IpAddr::from(network.network()), IpAddr::from(network.broadcast())),
            };
            return Some((of(first), of(last)));
        }
        Value::Range(range) => return Some((bounds(&range.low)?.0, bounds(&range.high)?.1)),
        _ => return None,
    };
    Some((one, one))
}

/// Returns the indexes of the interfaces with these LUIDs. The LUID of an interface on Linux is its index, shifted left by 24
/// bits as in `NET_LUID`; the type, in the 16 bits above, is 0 (unspecified).
fn interfaces(conditions: &[&FilterCondition]) -> Option<Ranges> {
    let index = |condition: &&FilterCondition| match (&condition.value, condition.match_type) {
        (Value::Uint64(luid), MatchType::Equal) if luid >> 48 == 0 && luid & 0xFF_FFFF == 0 => {
            Some((u128::from(luid >> 24), u128::from(luid >> 24)))
        }
        _ => None,
    };
    conditions.iter().map(index).collect::<Option<Vec<_>>>().map(normal)
}

/// Returns the kernel's types (`ARPHRD_*`) of the interfaces with these types (`ifType` of the IANA), if these are exactly the
/// same interfaces.
fn link_types(conditions: &[&FilterCondition]) -> Option<Vec<u16>> {
    /// `IF_TYPE_ETHERNET_CSMACD` and `ARPHRD_ETHER`, `IF_TYPE_SOFTWARE_LOOPBACK` and `ARPHRD_LOOPBACK`, `IF_TYPE_PPP` and
    /// `ARPHRD_PPP`.
    const TYPES: [(u32, u16); 3] = [(6, 1), (24, 772), (23, 512)];
    let kernel_type = |condition: &&FilterCondition| match (&condition.value, condition.match_type) {
        (Value::Uint32(number), MatchType::Equal) => {
            TYPES.iter().find(|(interface_type, _)| interface_type == number).map(|(_, link)| *link)
        }
        _ => None,
    };
    conditions.iter().map(kernel_type).collect()
}

/// Returns the tests of flags: whether the packet is loopback traffic (1) and whether IPsec protects it (2).
fn flags(conditions: &[&FilterCondition], hook: &Hook) -> Option<Vec<Json>> {
    /// `FWP_CONDITION_FLAG_IS_LOOPBACK`.
    const LOOPBACK: u32 = 1;
    /// `FWP_CONDITION_FLAG_IS_IPSEC_SECURED`.
    const SECURED: u32 = 2;
    let [condition] = conditions else { return None };
    let Value::Uint32(bits) = condition.value else { return None };
    if hook.path == Path::Forward || bits & !(LOOPBACK | SECURED) != 0 || bits == 0 {
        return None;
    }
    let wanted = match condition.match_type {
        MatchType::FlagsAllSet => true,
        MatchType::FlagsAnySet if bits.count_ones() == 1 => true,
        MatchType::FlagsNoneSet => false,
        _ => return None,
    };
    let mut tests = Vec::new();
    if bits & LOOPBACK != 0 {
        let key = if hook.path == Path::In { "iif" } else { "oif" };
        tests.push(is(&meta(key), if wanted { "==" } else { "!=" }, &json!("lo")));
    }
    if bits & SECURED != 0 {
        let left = if hook.path == Path::In { meta("secpath") } else { json!({"rt": {"key": "ipsec"}}) };
        tests.push(is(&left, "==", &json!(wanted)));
    }
    Some(tests)
}

/// Returns the test that the sender's user or group is one that a security descriptor allows; `None` if the descriptor says
/// more than that.
fn users(conditions: &[&FilterCondition]) -> Option<Json> {
    let [condition] = conditions else { return None };
    let (Value::SecurityDescriptor(blob), MatchType::Equal) = (&condition.value, condition.match_type) else {
        return None;
    };
    let descriptor = SecurityDescriptor::parse(&blob.0).ok()?;
    let (mut users, mut groups) = (Vec::new(), Vec::new());
    for ace in &descriptor.dacl.as_ref()?.aces {
        if ace.kind != openwfp_api::AceKind::Allow {
            return None;
        }
        match (ace.sid.authority(), ace.sid.subauthorities()) {
            (UNIX, [1, user]) => users.push(*user),
            (UNIX, [2, group]) => groups.push(*group),
            _ => return None,
        }
    }
    // A rule tests the user or the group, not one or the other.
    match (&users[..], &groups[..]) {
        ([_, ..], []) => Some(is(&meta("skuid"), "==", &json!({"set": users}))),
        ([], [_, ..]) => Some(is(&meta("skgid"), "==", &json!({"set": groups}))),
        _ => None,
    }
}
