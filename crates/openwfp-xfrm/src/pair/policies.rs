//! Finds the policies that use a state, and from them its direction, filter id and inner selectors.

use super::Directed;
use super::chains::Chains;
use crate::map;
use crate::matching::Place;
use crate::matching::Shape;
use crate::matching::Tie;
use crate::matching::Want;
use crate::matching::ties;
use crate::matching::wants;
use crate::table::PolicyRecord;
use crate::table::StateRecord;
use foldhash::fast::RandomState;
use openwfp_api::Direction;
use openwfp_api::FilterId;
use openwfp_api::Selector;
use std::collections::BTreeMap;
use std::collections::HashMap;
use std::net::IpAddr;
use std::ops::ControlFlow;

/// Called with a policy and what one of its templates wants.
pub(crate) type Visit<'v> = dyn FnMut(&PolicyRecord<'_>, &Want) -> ControlFlow<()> + 'v;

/// Policies that can be found by what their templates want.
pub(crate) trait Policies: Sync {
    /// Calls `each` for every shape of the policies' wants.
    fn shapes(&self, each: &mut dyn FnMut(Shape));

    /// Visits the wants at a place in the kernel's order: inbound policies before forward ones, then by priority and age.
    fn at(&self, place: &Place, visit: &mut Visit<'_>) -> ControlFlow<()>;

    /// Visits all wants, in the same order.
    fn all(&self, visit: &mut Visit<'_>) -> ControlFlow<()>;

    /// Returns the reqid that stands for the one of a state, which policies may have tied to it.
    fn first_reqid(&self, reqid: u32, source: IpAddr, destination: IpAddr) -> u32;
}

/// The ties of policies: for each reqid between two hosts, the reqids that stand for it, and how many policies say so.
#[derive(Default)]
pub(crate) struct Ties(HashMap<(u32, IpAddr, IpAddr), BTreeMap<u32, usize>, RandomState>);

impl Ties {
    pub(crate) fn add(&mut self, tie: &Tie) {
        let (one, other) = tie.hosts;
        *self.0.entry((tie.reqid, one, other)).or_default().entry(tie.first).or_default() += 1;
    }

    pub(crate) fn remove(&mut self, tie: &Tie) {
        let (one, other) = tie.hosts;
        let key = (tie.reqid, one, other);
        let Some(firsts) = self.0.get_mut(&key) else { return };
        if let Some(count) = firsts.get_mut(&tie.first) {
            *count -= 1;
            if *count == 0 {
                firsts.remove(&tie.first);
            }
        }
        if firsts.is_empty() {
            self.0.remove(&key);
        }
    }

    /// Returns the reqid that stands for another one: the smallest of those that policies name.
    pub(crate) fn first_reqid(&self, reqid: u32, source: IpAddr, destination: IpAddr) -> u32 {
        if self.0.is_empty() {
            return reqid;
        }
        let key = (reqid, source.min(destination), source.max(destination));
        self.0.get(&key).and_then(|firsts| firsts.keys().next()).copied().unwrap_or(reqid)
    }
}

/// The policies of a dump.
pub(super) struct PolicyIndex<'p, 'a> {
    policies: &'p [PolicyRecord<'a>],
    chains: Chains<Place>,
    /// For each entry of the chains, the index of its policy and the number of its template.
    nodes: Vec<(u32, u32)>,
    shapes: Vec<Shape>,
    ties: Ties,
}

impl<'p, 'a> PolicyIndex<'p, 'a> {
    /// Returns an index of policies in the order of a dump, newest first.
    pub(super) fn new(policies: &'p [PolicyRecord<'a>]) -> PolicyIndex<'p, 'a> {
        let mut order: Vec<u32> = (0..u32::try_from(policies.len()).unwrap_or(u32::MAX)).collect();
        // Last in the kernel's order first, because a chain ends with what was pushed first.
        let rank = |index: &u32| std::cmp::Reverse(policies[*index as usize].rank());
        if !order.is_sorted_by_key(rank) {
            order.sort_by_key(rank);
        }
        let mut chains = Chains::with_capacity(policies.len(), policies.len() / 3 * 2);
        let mut nodes = Vec::with_capacity(policies.len());
        let mut shapes: Vec<Shape> = Vec::new();
        let mut all_ties = Ties::default();
        for index in order {
            let record = &policies[index as usize];
            for (number, want) in (0..).zip(wants(record)) {
                let place = want.place();
                if !shapes.contains(&place.shape) {
                    shapes.push(place.shape);
                }
                chains.push(&place);
                nodes.push((index, number));
            }
            for tie in ties(record) {
                all_ties.add(&tie);
            }
        }
        shapes.sort_unstable();
        PolicyIndex { policies, chains, nodes, shapes, ties: all_ties }
    }

    fn visit(&self, entries: impl Iterator<Item = usize>, visit: &mut Visit<'_>) -> ControlFlow<()> {
        for entry in entries {
            let (index, number) = self.nodes[entry];
            let record = &self.policies[index as usize];
            if let Some(want) = wants(record).nth(number as usize) {
                visit(record, &want)?;
            }
        }
        ControlFlow::Continue(())
    }
}

impl Policies for PolicyIndex<'_, '_> {
    fn shapes(&self, each: &mut dyn FnMut(Shape)) {
        self.shapes.iter().copied().for_each(each);
    }

    fn at(&self, place: &Place, visit: &mut Visit<'_>) -> ControlFlow<()> {
        // Different places may share a chain; a want of another place takes none of this one's states.
        self.visit(self.chains.chain(self.chains.head(place)), visit)
    }

    fn all(&self, visit: &mut Visit<'_>) -> ControlFlow<()> {
        self.visit((0..self.nodes.len()).rev(), visit)
    }

    fn first_reqid(&self, reqid: u32, source: IpAddr, destination: IpAddr) -> u32 {
        self.ties.first_reqid(reqid, source, destination)
    }
}

/// Visits the policies of a direction that use a state, each with what the state serves.
fn using(policies: &impl Policies, state: &StateRecord<'_>, direction: Direction, visit: &mut Visit<'_>) {
    let mut check = |record: &PolicyRecord<'_>, want: &Want| match want.direction == direction
        && want.takes(state, record)
    {
        true => visit(record, want),
        false => ControlFlow::Continue(()),
    };
    if state.source.is_unspecified() {
        // Any source may be meant, so that its place is unknown. There are few such states.
        let _ = policies.all(&mut check);
        return;
    }
    policies.shapes(&mut |shape| {
        if shape.may_be(direction)
            && let Some(place) = shape.place_of(state)
        {
            // A break only ends the visit of this place: others may have policies that come earlier in the kernel's order.
            let _ = policies.at(&place, &mut check);
        }
    });
}

/// Returns the direction in which policies use a state; none if no policy does or they disagree.
pub(super) fn direction(policies: &impl Policies, state: &StateRecord<'_>) -> Option<Direction> {
    let (mut inbound, mut outbound) = (false, false);
    if state.source.is_unspecified() {
        for (direction, found) in [(Direction::Inbound, &mut inbound), (Direction::Outbound, &mut outbound)] {
            using(policies, state, direction, &mut |_, want| {
                *found |= want.tells_direction();
                if *found { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            });
        }
    } else {
        policies.shapes(&mut |shape| {
            let may_tell = shape.is_of_either()
                || shape.may_be(Direction::Inbound) && !inbound
                || shape.may_be(Direction::Outbound) && !outbound;
            let Some(place) = shape.place_of(state).filter(|_| may_tell) else { return };
            let _ = policies.at(&place, &mut |record, want| {
                let found = if want.direction == Direction::Inbound { &mut inbound } else { &mut outbound };
                *found = *found || want.tells_direction() && want.takes(state, record);
                let is_settled = *found && !shape.is_of_either() || inbound && outbound;
                if is_settled { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            });
        });
    }
    match (inbound, outbound) {
        (true, false) => Some(Direction::Inbound),
        (false, true) => Some(Direction::Outbound),
        _ => None,
    }
}

/// Returns whether an AH or IPCOMP state may share a bundle with ESP: it has a reqid, or a policy requires both.
pub(super) fn ties_protocols(policies: &impl Policies, state: &Directed<'_>) -> bool {
    let record = state.record;
    let mut found = record.reqid != 0;
    if !found {
        using(policies, record, state.direction, &mut |policy, _| {
            found |= policy.templates().iter().any(|template| template.protocol != record.protocol.number());
            if found { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
    }
    found
}

/// Filter ids and inner selectors of a context, from its policies.
#[derive(Default)]
pub(super) struct Filters {
    pub(super) inbound: FilterId,
    pub(super) outbound: FilterId,
    pub(super) selectors: Vec<Selector>,
}

/// Returns the filter ids and inner selectors of a context with these states. The filters are those of the policies that the
/// kernel tries first. The selectors are those of the outbound policies, or else of the inbound and forward ones.
pub(super) fn filters<'s>(
    policies: &impl Policies,
    states: &(impl Iterator<Item = &'s Directed<'s>> + Clone),
) -> Filters {
    let mut filters = Filters::default();
    for direction in [Direction::Outbound, Direction::Inbound] {
        let wants_all = filters.selectors.is_empty();
        // The place of the policy that the kernel tries first.
        let mut first = None;
        for state in states.clone().filter(|state| state.direction == direction) {
            using(policies, state.record, direction, &mut |policy, _| {
                let rank = policy.rank();
                if first.is_none_or(|(other, _)| rank < other) {
                    first = Some((rank, policy.index));
                }
                if wants_all {
                    let selector = policy.selector().and_then(|raw| map::selector(&raw, direction));
                    filters.selectors.extend(selector);
                    return ControlFlow::Continue(());
                }
                ControlFlow::Break(())
            });
        }
        let id = FilterId(first.map_or(0, |(_, index)| index.into()));
        match direction {
            Direction::Inbound => filters.inbound = id,
            Direction::Outbound => filters.outbound = id,
        }
    }
    // Remove duplicates: states of a bundle share policies, and forward policies repeat inbound ones.
    filters.selectors.sort_unstable();
    filters.selectors.dedup();
    filters
}
