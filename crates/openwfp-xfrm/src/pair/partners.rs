//! Finds the partner of each state of a group, and the pairs that form a bundle.

use super::Directed;
use super::Slot;
use super::Unit;
use super::align::Moment;
use super::align::align;
use crate::map;
use foldhash::fast::RandomState;
use openwfp_api::Direction;
use openwfp_api::Selector;
use openwfp_api::UdpEncapsulation;
use std::collections::HashMap;

/// What tells the pairs of a group apart.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Evidence {
    mode: u8,
    reqid: Option<u32>,
    cpu: Option<u32>,
    /// The kind of encapsulation, and its ports from this machine's point of view.
    encapsulation: Option<(u16, Option<UdpEncapsulation>)>,
    selector: Option<Selector>,
    mark: Option<(u32, u32)>,
    if_id: Option<u32>,
}

impl Evidence {
    fn of(state: &Directed<'_>) -> Evidence {
        let record = state.record;
        let whole = record.state();
        let selector = record.selector().filter(|selector| !selector.is_any());
        Evidence {
            mode: record.mode,
            reqid: Some(record.reqid),
            cpu: record.cpu,
            encapsulation: whole.as_ref().and_then(|whole| {
                let kind = whole.encapsulation.as_ref()?.kind;
                Some((kind, map::udp_encapsulation(whole, state.direction)))
            }),
            selector: selector.and_then(|selector| map::selector(&selector, state.direction)),
            mark: Some(record.mark),
            if_id: Some(record.if_id),
        }
    }
}

/// Takes away from the evidence what does not count, step by step.
const STEPS: [fn(&mut Evidence); 5] = [
    |_| {},
    |evidence| evidence.if_id = None,
    // A tunnel may have its mark on one direction only (strongSwan's `mark_in_sa = no`), or one for each.
    |evidence| evidence.mark = None,
    |evidence| evidence.selector = None,
    // SAs of one group with reqids of their own are for the same ports.
    |evidence| evidence.reqid = None,
];

/// Pairs states of one protocol, newest first, into units with a state in this place.
pub(super) fn pairs(states: &[Directed<'_>], indices: Vec<usize>, place: usize) -> Vec<Unit> {
    let alone = |index: usize| {
        let mut unit = Unit::default();
        unit.bundle(states[index].direction).0[place] = Slot::of(index);
        unit
    };
    if indices.len() < 2 || indices.iter().any(|index| states[*index].is_half_open()) {
        return indices.into_iter().map(alone).collect();
    }
    let inbound = |index: &usize| states[*index].direction == Direction::Inbound;
    let is_sole = indices.len() == 2;
    let mut left: Vec<(usize, Evidence)> =
        indices.into_iter().map(|index| (index, Evidence::of(&states[index]))).collect();
    let mut units = Vec::new();
    let mut pair = |indices: Vec<usize>| -> Vec<usize> {
        let (ins, outs): (Vec<_>, Vec<_>) = indices.into_iter().partition(inbound);
        let moments = |of: &[usize]| of.iter().map(|index| moment(states, *index)).collect::<Vec<_>>();
        let mut alone = Vec::new();
        for pair in align(&moments(&ins), &moments(&outs)) {
            match pair {
                (Some(one), Some(other)) => {
                    let mut unit = Unit::default();
                    unit.inbound.0[place] = Slot::of(ins[one]);
                    unit.outbound.0[place] = Slot::of(outs[other]);
                    units.push(unit);
                }
                (one, other) => alone.extend(one.map(|at| ins[at]).or(other.map(|at| outs[at]))),
            }
        }
        alone
    };
    for step in STEPS {
        left.iter_mut().for_each(|(_, evidence)| step(evidence));
        let mut groups: HashMap<Evidence, Vec<usize>, RandomState> = HashMap::default();
        for (index, evidence) in left.drain(..) {
            groups.entry(evidence).or_default().push(index);
        }
        for (evidence, group) in groups {
            left.extend(pair(group).into_iter().map(|index| (index, evidence.clone())));
        }
        if left.is_empty() {
            break;
        }
        left.sort_unstable_by_key(|(index, _)| *index);
    }
    let mut left: Vec<usize> = left.into_iter().map(|(index, _)| index).collect();
    if let [one, other] = left[..]
        && is_sole
        && states[one].record.mode == states[other].record.mode
        && states[one].may_pair_with(&states[other])
    {
        left = pair(left);
    }
    units.extend(left.into_iter().map(alone));
    units.sort_unstable_by_key(oldest);
    units
}

/// Adds units of another protocol to those that exist, newest first; returns those that have no place there.
pub(super) fn bundle(states: &[Directed<'_>], hosts: &mut [Unit], mut guests: Vec<Unit>) -> Vec<Unit> {
    hosts.sort_unstable_by_key(oldest);
    guests.sort_unstable_by_key(oldest);
    let moments = |of: &[Unit]| of.iter().map(|unit| moment(states, oldest(unit))).collect::<Vec<_>>();
    let pairs = align(&moments(hosts), &moments(&guests));
    let mut guests: Vec<Option<Unit>> = guests.into_iter().map(Some).collect();
    for pair in pairs {
        if let (Some(host), Some(guest)) = pair
            && let Some(guest) = guests[guest].take()
        {
            hosts[host].add(&guest);
        }
    }
    guests.into_iter().flatten().collect()
}

/// Returns the index of a unit's oldest state; a dump has the newest first.
fn oldest(unit: &Unit) -> usize {
    unit.states().max().unwrap_or(0)
}

fn moment(states: &[Directed<'_>], index: usize) -> Moment {
    Moment { age: index, added: states[index].record.added }
}
