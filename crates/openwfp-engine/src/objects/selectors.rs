//! The selectors that an SA context shows, derived from the filter or tunnel policy it was created for.

use super::Entry;
use super::Objects;
use super::conditions::Conditions;
use super::conditions::Test;
use super::conditions::ip_version;
use super::shared_filter;
use openwfp_api::Code;
use openwfp_api::Direction;
use openwfp_api::Error;
use openwfp_api::FilterId;
use openwfp_api::Guid;
use openwfp_api::IpNet;
use openwfp_api::IpVersion;
use openwfp_api::Result;
use openwfp_api::SaContext;
use openwfp_api::Selector;
use openwfp_api::SelectorPorts;
use openwfp_api::Selectors;
use openwfp_api::guids::callout;
use openwfp_api::guids::condition;
use openwfp_api::guids::layer;
use openwfp_api::guids::sublayer;
use openwfp_api::object::ActionType;
use openwfp_api::object::Filter;
use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::net::Ipv6Addr;
use std::sync::Arc;

/// Maximum number of selectors derived from the filters of one context. Each takes up to three policies of
/// the kernel.
const SELECTORS_MAX: usize = 1024;
/// Maximum number of filters of a policy, at all layers together.
const FILTERS_MAX: usize = 4 * SELECTORS_MAX;

/// Sets the selectors of a context from the objects that it refers to, if any: those of every filter of its
/// policy.
///
/// # Errors
/// - `FWP_E_OUT_OF_BOUNDS` if the filters have too many combinations of alternatives
/// - `ERROR_NOT_SUPPORTED` for a condition on an address, protocol or port that selectors cannot express
pub(crate) fn resolve(objects: &Objects, context: &mut SaContext) -> Result {
    let outbound = find(objects, named(context, Direction::Outbound), Direction::Outbound)?;
    let inbound = find(objects, named(context, Direction::Inbound), Direction::Inbound)?;
    if outbound.is_empty() && inbound.is_empty() {
        return Ok(());
    }
    // A single filter never changes, so a context that shows it already shows its selectors.
    let is_same = |direction, found: &[Arc<Entry>]| {
        found.len() < 2
            && context.selectors.filter(direction).map(|filter| filter.id)
                == found.first().map(|entry| entry.serial)
    };
    if is_same(Direction::Outbound, &outbound) && is_same(Direction::Inbound, &inbound) {
        return Ok(());
    }
    context.selectors = derive(context, &inbound, &outbound)?;
    Ok(())
}

/// Sets the selectors of a context after the filters of its policy have changed: none, if there are no filters left.
///
/// # Errors
/// As [`resolve`].
pub(crate) fn refresh(objects: &Objects, context: &mut SaContext) -> Result {
    let outbound = find(objects, named(context, Direction::Outbound), Direction::Outbound)?;
    let inbound = find(objects, named(context, Direction::Inbound), Direction::Inbound)?;
    context.selectors = derive(context, &inbound, &outbound)?;
    Ok(())
}

fn derive(context: &SaContext, inbound: &[Arc<Entry>], outbound: &[Arc<Entry>]) -> Result<Selectors> {
    let v6 = context.traffic.endpoints.local().is_ipv6();
    let filters = if outbound.is_empty() { inbound } else { outbound };
    let mut selectors = Vec::new();
    for filter in filters.iter().filter_map(|entry| entry.object.as_filter()) {
        add_selectors(filter, v6, &mut selectors)?;
    }
    let first = |found: &[Arc<Entry>]| found.first().and_then(|entry| shared_filter(entry));
    Ok(Selectors::of_filters(without_repeats(selectors), first(inbound), first(outbound)))
}

/// Returns the filter or tunnel policy that a context refers to for a direction: that of its SA, else
/// that of its reservation.
#[inline]
pub(crate) fn named(context: &SaContext, direction: Direction) -> Option<FilterId> {
    context.filter_id(direction).or_else(|| {
        // What a provider asks for is nobody's until it is taken up.
        let reservation = context.reservation.as_ref().filter(|_| context.acquire().is_none())?;
        Some(match direction {
            Direction::Inbound => reservation.inbound_filter_id,
            Direction::Outbound => reservation.outbound_filter_id,
        })
    })
}

/// Returns the filters for a direction, heaviest first: the one with this id, or the tunnel policy's filters at
/// the layers that fit best.
///
/// # Errors
/// `FWP_E_OUT_OF_BOUNDS` if the policy has more than [`FILTERS_MAX`] filters.
fn find(objects: &Objects, id: Option<FilterId>, direction: Direction) -> Result<Vec<Arc<Entry>>> {
    let Some(id) = id.filter(|id| id.0 >= super::FIRST_ID) else { return Ok(Vec::new()) };
    let fit = |entry: &Arc<Entry>| {
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
    let mut found = objects.filters_for(id.0, FILTERS_MAX + 1);
    if found.len() > FILTERS_MAX {
        let what = format!("the tunnel policy {} has more than {FILTERS_MAX} filters, the limit", id.0);
        return Err(Error::new(Code::FWP_E_OUT_OF_BOUNDS, what).with_remedy("Split the policy."));
    }
    let Some(best) = found.iter().map(fit).min() else { return Ok(Vec::new()) };
    found.retain(|entry| fit(entry) == best);
    let weight = |entry: &Arc<Entry>| entry.object.as_filter().map_or(0, |filter| filter.effective_weight);
    found.sort_by_key(|entry| (Reverse(weight(entry)), entry.serial));
    Ok(found)
}

/// Returns the selectors that the conditions of a filter for packets of an IP version describe.
///
/// # Errors
/// As [`resolve`].
pub(crate) fn of_filter(filter: &Filter, v6: bool) -> Result<Vec<Selector>> {
    let mut selectors = Vec::new();
    add_selectors(filter, v6, &mut selectors)?;
    Ok(without_repeats(selectors))
}

fn without_repeats(mut selectors: Vec<Selector>) -> Vec<Selector> {
    let mut seen = BTreeSet::new();
    selectors.retain(|selector| seen.insert(*selector));
    selectors
}

/// Returns whether a filter at an IP forward layer is for packets on their way out, so that their source is local. For all
/// others it is the destination.
pub(crate) fn is_for_outbound_forward(filter: &Filter) -> bool {
    match filter.action.callout {
        callout::IPSEC_FORWARD_OUTBOUND_TUNNEL_V4 | callout::IPSEC_FORWARD_OUTBOUND_TUNNEL_V6 => {
            filter.action.kind.has_callout()
        }
        _ => {
            filter.sublayer == sublayer::IPSEC_FORWARD_OUTBOUND_TUNNEL
                && filter.action.kind == ActionType::Permit
        }
    }
}

/// Adds the selectors that a filter's conditions describe: every combination of alternatives.
fn add_selectors(filter: &Filter, v6: bool, selectors: &mut Vec<Selector>) -> Result {
    let conditions = Conditions::new(&filter.conditions);
    let v6 = match filter.conditions.iter().find_map(|condition| ip_version(&condition.value)) {
        Some(version) => version == IpVersion::V6,
        None => is_layer_v6(filter.layer).unwrap_or(v6),
    };
    let width = if v6 { 128 } else { 32 };
    let networks = |fields: [Guid; 2]| {
        let tests = fields.iter().flat_map(|field| conditions.of(*field));
        let blocks = alternatives(tests, width)?;
        Some(blocks.into_iter().filter_map(|block| network(block, v6)).collect::<Vec<_>>())
    };
    let ports = |field| {
        let blocks = alternatives(conditions.of(field), 16)?;
        Some(blocks.into_iter().filter_map(port_block).collect::<Vec<_>>())
    };
    let protocols = || {
        let tests = conditions.of(condition::IP_PROTOCOL);
        if tests.is_empty() {
            return Some(vec![0]);
        }
        let numbers = alternatives(tests, 8)?
            .into_iter()
            .flat_map(|(start, prefix)| start..start + (1 << (8 - prefix)));
        // A selector's protocol 0 stands for any, so that IPv6's hop-by-hop options cannot be selected.
        Some(numbers.filter(|number| *number != 0).filter_map(|number| u8::try_from(number).ok()).collect())
    };
    let forwarded = match is_for_outbound_forward(filter) {
        true => [condition::IP_SOURCE_ADDRESS, condition::IP_DESTINATION_ADDRESS],
        false => [condition::IP_DESTINATION_ADDRESS, condition::IP_SOURCE_ADDRESS],
    };
    let parts = (
        networks([condition::IP_LOCAL_ADDRESS, forwarded[0]]),
        networks([condition::IP_REMOTE_ADDRESS, forwarded[1]]),
        protocols(),
        ports(condition::IP_LOCAL_PORT),
        ports(condition::IP_REMOTE_PORT),
    );
    let (Some(local), Some(remote), Some(protocols), Some(local_ports), Some(remote_ports)) = parts else {
        let what = format!(
            "IPsec selectors cannot express a condition on an address, protocol or port of filter {} ({})",
            filter.id, filter.name
        );
        return Err(Error::new(Code::ERROR_NOT_SUPPORTED, what)
            .with_remedy("Use values, networks, ranges, or their negation."));
    };
    let count = [local.len(), remote.len(), protocols.len(), local_ports.len(), remote_ports.len()]
        .into_iter()
        .fold(1_usize, usize::saturating_mul);
    if selectors.len().saturating_add(count) > SELECTORS_MAX {
        let what = format!(
            "the filters of the policy need more than {SELECTORS_MAX} selectors, the limit of an SA context; filter {} \
             ({}) alone needs {count}",
            filter.id, filter.name
        );
        return Err(Error::new(Code::FWP_E_OUT_OF_BOUNDS, what)
            .with_remedy("Use fewer alternatives, or networks and port ranges that are powers of two."));
    }
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
    Ok(())
}

/// Returns whether a layer is for IPv6; `None` for layers that are for both versions.
fn is_layer_v6(layer: Guid) -> Option<bool> {
    let name = openwfp_api::guids::name(layer)?;
    match (name.ends_with("_V4"), name.ends_with("_V6")) {
        (true, _) => Some(false),
        (_, true) => Some(true),
        _ => None,
    }
}

/// Returns the aligned blocks of numbers that one of the tests accepts, everything if there are no tests; none if a test
/// cannot be expressed by blocks.
fn alternatives<'t>(tests: impl IntoIterator<Item = &'t Test>, width: u8) -> Option<Vec<(u128, u8)>> {
    let last = last_of(0, width.into());
    let mut tests = tests.into_iter().peekable();
    if tests.peek().is_none() {
        return Some(vec![(0, 0)]);
    }
    let mut found = Vec::new();
    for test in tests {
        match *test {
            Test::Within(low, high) => found.extend(blocks(low, high.min(last), width)),
            Test::Outside(low, high) => {
                if let Some(below) = low.checked_sub(1) {
                    found.extend(blocks(0, below.min(last), width));
                }
                if high < last {
                    found.extend(blocks(high + 1, last, width));
                }
            }
            _ => return None,
        }
    }
    Some(found)
}

fn network((start, prefix): (u128, u8), v6: bool) -> Option<IpNet> {
    let address = match v6 {
        true => Ipv6Addr::from(start).into(),
        false => Ipv4Addr::from(u32::try_from(start).ok()?).into(),
    };
    IpNet::new(address, prefix).ok()
}

fn port_block((start, prefix): (u128, u8)) -> Option<SelectorPorts> {
    let mask = u16::try_from((0xFFFF_u32 << (16 - u32::from(prefix))) & 0xFFFF).ok()?;
    Some(SelectorPorts { port: u16::try_from(start).ok()?, mask })
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
