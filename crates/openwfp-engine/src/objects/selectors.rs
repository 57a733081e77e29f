//! The selectors that an SA context shows, derived from the filter or tunnel policy it was created for.

use super::Entry;
use super::Objects;
use super::conditions::Conditions;
use super::conditions::Test;
use super::shared_filter;
use openwfp_api::Direction;
use openwfp_api::FilterId;
use openwfp_api::Guid;
use openwfp_api::IpNet;
use openwfp_api::SaContext;
use openwfp_api::Selector;
use openwfp_api::SelectorPorts;
use openwfp_api::Selectors;
use openwfp_api::guids::condition;
use openwfp_api::guids::layer;
use openwfp_api::object::Filter;
use std::net::Ipv4Addr;
use std::net::Ipv6Addr;
use std::sync::Arc;

/// Maximum number of selectors derived from one filter. A filter with more combinations yields none,
/// but the context still shows its conditions.
const SELECTORS_MAX: usize = 64;

/// Sets the selectors of a context from the objects that it refers to, if any.
pub(crate) fn resolve(objects: &Objects, context: &mut SaContext) {
    let outbound = find(objects, named(context, Direction::Outbound), Direction::Outbound);
    let inbound = find(objects, named(context, Direction::Inbound), Direction::Inbound);
    if outbound.is_none() && inbound.is_none() {
        return;
    }
    let is_same = |direction, found: &Option<Arc<Entry>>| {
        context.selectors.filter(direction).map(|filter| filter.id)
            == found.as_ref().map(|entry| entry.serial)
    };
    if is_same(Direction::Outbound, &outbound) && is_same(Direction::Inbound, &inbound) {
        return;
    }
    let v6 = context.traffic.endpoints.local().is_ipv6();
    let of = |entry: &Option<Arc<Entry>>| entry.as_ref().and_then(|entry| shared_filter(entry));
    let (inbound, outbound) = (of(&inbound), of(&outbound));
    let selectors =
        outbound.as_ref().or(inbound.as_ref()).map_or_else(Vec::new, |filter| selectors_of(filter, v6));
    context.selectors = Selectors::of_filters(selectors, inbound, outbound);
}

/// Returns the filter or tunnel policy that a context refers to for a direction: that of its SA, else
/// that of its reservation.
#[inline]
pub(crate) fn named(context: &SaContext, direction: Direction) -> Option<FilterId> {
    context.filter_id(direction).or_else(|| {
        let reservation = context.reservation.as_ref()?;
        Some(match direction {
            Direction::Inbound => reservation.inbound_filter_id,
            Direction::Outbound => reservation.outbound_filter_id,
        })
    })
}

/// Returns the filter for a direction: the one with this id, or the tunnel policy's filter at the layer
/// that fits best.
fn find(objects: &Objects, id: Option<FilterId>, direction: Direction) -> Option<Arc<Entry>> {
    let id = id.filter(|id| id.0 >= super::FIRST_ID)?;
    let found = objects.filters_for(id.0);
    let fit = |entry: &&Arc<Entry>| {
        let at = entry.object.as_filter().map(|filter| filter.layer);
        let transport = match direction {
            Direction::Outbound => [layer::OUTBOUND_TRANSPORT_V4, layer::OUTBOUND_TRANSPORT_V6],
            Direction::Inbound => [layer::INBOUND_TRANSPORT_V4, layer::INBOUND_TRANSPORT_V6],
        };
        let of_ipsec = [layer::IPSEC_V4, layer::IPSEC_V6];
        match at {
            Some(at) if transport.contains(&at) => 0,
            Some(at) if of_ipsec.contains(&at) => 1,
            Some(_) => 2,
            None => 3,
        }
    };
    found.iter().min_by_key(fit).cloned()
}

/// Returns the selectors that a filter's conditions describe: every combination of alternatives, or
/// none if there are more than [`SELECTORS_MAX`].
fn selectors_of(filter: &Filter, v6: bool) -> Vec<Selector> {
    let conditions = Conditions::new(&filter.conditions);
    let v6 = match filter.conditions.iter().find_map(|condition| is_v6(&condition.value)) {
        Some(inner) => inner,
        None => v6,
    };
    let networks = |fields: [Guid; 2]| {
        let tests: Vec<&Test> = fields.iter().flat_map(|field| conditions.of(*field)).collect();
        if tests.is_empty() {
            vec![everywhere(v6)]
        } else {
            tests.into_iter().flat_map(|test| nets(test, v6)).collect()
        }
    };
    // The source address of a forwarded packet counts as local: it is when the packet leaves.
    let local = networks([condition::IP_LOCAL_ADDRESS, condition::IP_SOURCE_ADDRESS]);
    let remote = networks([condition::IP_REMOTE_ADDRESS, condition::IP_DESTINATION_ADDRESS]);
    let protocols = values(conditions.of(condition::IP_PROTOCOL), |test| match test {
        Test::Within(low, high) if low == high => u8::try_from(*low).ok().map(|protocol| vec![protocol]),
        _ => None,
    });
    let ports = |field| {
        values(conditions.of(field), |test| match test {
            Test::Within(low, high) => Some(port_blocks(*low, *high)),
            _ => None,
        })
    };
    let (local_ports, remote_ports) = (ports(condition::IP_LOCAL_PORT), ports(condition::IP_REMOTE_PORT));
    let count = local.len() * remote.len() * protocols.len() * local_ports.len() * remote_ports.len();
    if count > SELECTORS_MAX {
        return Vec::new();
    }
    let mut selectors = Vec::with_capacity(count);
    for local in &local {
        for remote in &remote {
            for protocol in &protocols {
                for local_port in &local_ports {
                    for remote_port in &remote_ports {
                        selectors.push(Selector {
                            local: *local,
                            remote: *remote,
                            protocol: *protocol,
                            local_port: *local_port,
                            remote_port: *remote_port,
                        });
                    }
                }
            }
        }
    }
    selectors
}

fn is_v6(value: &openwfp_api::object::value::Value) -> Option<bool> {
    match value.data_type() {
        11 | 0x101 => Some(true),
        3 | 0x100 => Some(false),
        0x102 => match value {
            openwfp_api::object::value::Value::Range(range) => is_v6(&range.low),
            _ => None,
        },
        _ => None,
    }
}

/// Returns the values that tests stand for. The default value stands for anything: it is returned alone
/// if a test has no such values or there are no tests.
fn values<T: Default>(tests: &[Test], of: impl Fn(&Test) -> Option<Vec<T>>) -> Vec<T> {
    let mut found = Vec::new();
    for test in tests {
        match of(test) {
            Some(values) => found.extend(values),
            None => return vec![T::default()],
        }
    }
    if found.is_empty() { vec![T::default()] } else { found }
}

fn everywhere(v6: bool) -> IpNet {
    if v6 { IpNet::V6(Default::default()) } else { IpNet::V4(Default::default()) }
}

/// Returns the networks that a test on an address covers; the whole address space for tests other than
/// [`Test::Within`].
fn nets(test: &Test, v6: bool) -> Vec<IpNet> {
    let Test::Within(low, high) = *test else { return vec![everywhere(v6)] };
    if v6 {
        let subnets = ipnet_v6(Ipv6Addr::from(low), Ipv6Addr::from(high));
        subnets.collect()
    } else {
        let address = |number: u128| Ipv4Addr::from(u32::try_from(number).unwrap_or(u32::MAX));
        ipnet_v4(address(low), address(high)).collect()
    }
}

fn ipnet_v4(low: Ipv4Addr, high: Ipv4Addr) -> impl Iterator<Item = IpNet> {
    blocks(u32::from(low).into(), u32::from(high).into(), 32).into_iter().filter_map(|(start, prefix)| {
        IpNet::new(Ipv4Addr::from(u32::try_from(start).ok()?).into(), prefix).ok()
    })
}

fn ipnet_v6(low: Ipv6Addr, high: Ipv6Addr) -> impl Iterator<Item = IpNet> {
    blocks(low.into(), high.into(), 128)
        .into_iter()
        .filter_map(|(start, prefix)| IpNet::new(Ipv6Addr::from(start).into(), prefix).ok())
}

/// Splits a range into aligned blocks. Returns the start and the prefix length of each block.
pub(crate) fn blocks(low: u128, high: u128, width: u8) -> Vec<(u128, u8)> {
    let mut found = Vec::new();
    let mut start = low;
    while start <= high {
        let aligned = start.trailing_zeros().min(u32::from(width));
        // Find the largest block that starts here and ends within the range.
        let mut bits = aligned;
        while bits > 0 && last_of(start, bits) > high {
            bits -= 1;
        }
        found.push((start, width - u8::try_from(bits).unwrap_or(width)));
        match last_of(start, bits).checked_add(1) {
            Some(next) => start = next,
            None => break,
        }
    }
    found
}

fn last_of(start: u128, bits: u32) -> u128 {
    if bits >= 128 { u128::MAX } else { start | ((1 << bits) - 1) }
}

fn port_blocks(low: u128, high: u128) -> Vec<SelectorPorts> {
    blocks(low, high.min(0xFFFF), 16)
        .into_iter()
        .filter_map(|(start, prefix)| {
            let mask = u16::try_from((0xFFFF_u32 << (16 - u32::from(prefix))) & 0xFFFF).ok()?;
            Some(SelectorPorts { port: u16::try_from(start).ok()?, mask })
        })
        .collect()
}
