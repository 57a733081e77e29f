//! Finds the policies that use a state, and from them its direction, filter id and inner selectors.

use super::Directed;
use super::chains::Chains;
use crate::map;
use crate::table::ANYWHERE;
use crate::table::PolicyRecord;
use crate::table::StateRecord;
use crate::wire::PolicyTemplate;
use openwfp_api::Direction;
use openwfp_api::FilterId;
use openwfp_api::Selector;
use std::net::IpAddr;

/// Policies indexed by their templates.
pub(super) struct PolicyIndex<'p, 'a> {
    policies: &'p [PolicyRecord<'a>],
    /// Templates by source, destination and reqid.
    chains: Chains<(IpAddr, IpAddr, u32)>,
    /// For each entry of the chains, the index of its policy and one of the policy's templates.
    nodes: Vec<(usize, PolicyTemplate)>,
    some_anywhere: bool,
}

/// Filter ids and inner selectors of a context, from its policies.
#[derive(Default)]
pub(super) struct Filters {
    pub(super) inbound: FilterId,
    pub(super) outbound: FilterId,
    pub(super) selectors: Vec<Selector>,
}

impl<'p, 'a> PolicyIndex<'p, 'a> {
    pub(super) fn new(policies: &'p [PolicyRecord<'a>]) -> PolicyIndex<'p, 'a> {
        let mut chains = Chains::with_capacity(policies.len(), policies.len() / 3 * 2);
        let mut nodes = Vec::with_capacity(policies.len());
        let mut some_anywhere = false;
        // Push in reverse, so that each chain is in the order of the policies.
        for (policy, record) in policies.iter().enumerate().rev() {
            for template in record.templates().iter() {
                let (source, destination) = record.filed_under(&template);
                some_anywhere |= (source, destination) == (ANYWHERE, ANYWHERE);
                chains.push(&(source, destination, template.reqid));
                nodes.push((policy, template));
            }
        }
        PolicyIndex { policies, chains, nodes, some_anywhere }
    }

    /// Returns the head of the chain for a state's addresses and reqid, to be looked up only once.
    pub(super) fn head(&self, record: &StateRecord<'_>) -> Option<usize> {
        self.chains.head(&(record.source, record.destination, record.reqid))
    }

    /// Returns the policies that use this state.
    fn of<'s>(
        &'s self,
        record: &'s StateRecord<'_>,
        head: Option<usize>,
    ) -> impl Iterator<Item = &'p PolicyRecord<'a>> + 's {
        let anywhere =
            if self.some_anywhere { self.chains.head(&(ANYWHERE, ANYWHERE, record.reqid)) } else { None };
        let links = self.chains.chain(head).chain(self.chains.chain(anywhere));
        links.filter_map(|link| {
            let (policy, template) = &self.nodes[link];
            let policy = &self.policies[*policy];
            record.is_wanted_by(template, policy).then_some(policy)
        })
    }

    /// Returns the direction in which policies use this state; none if no policy does or they disagree.
    pub(super) fn direction(&self, record: &StateRecord<'_>, head: Option<usize>) -> Option<Direction> {
        let mut directions = self.of(record, head).map(|policy| policy.direction);
        let first = directions.next()?;
        directions.all(|direction| direction == first).then_some(first)
    }

    /// Returns whether an AH or IPCOMP state may share a bundle with ESP: it has a reqid, or a policy
    /// requires both.
    pub(super) fn ties(&self, record: &StateRecord<'_>) -> bool {
        record.reqid != 0
            || self.of(record, self.head(record)).any(|policy| {
                policy.templates().iter().any(|template| template.protocol != record.protocol.number())
            })
    }

    /// Returns the filter ids and inner selectors of a context with these states. The selectors are those
    /// of the outbound policies, or else of the inbound and forward ones.
    pub(super) fn filters<'s>(&self, states: impl Iterator<Item = &'s Directed<'s>>) -> Filters {
        let mut filters = Filters::default();
        let mut inbound = Vec::new();
        for state in states {
            for policy in
                self.of(state.record, state.policies).filter(|policy| policy.direction == state.direction)
            {
                let (id, selectors) = match policy.direction {
                    Direction::Inbound => (&mut filters.inbound, &mut inbound),
                    Direction::Outbound => (&mut filters.outbound, &mut filters.selectors),
                };
                if *id == FilterId(0) {
                    *id = FilterId(policy.index.into());
                }
                selectors.extend(policy.selector().and_then(|raw| map::selector(&raw, policy.direction)));
            }
        }
        if filters.selectors.is_empty() {
            filters.selectors = inbound;
        }
        // Remove duplicates: states of a bundle share policies, and forward policies repeat inbound ones.
        filters.selectors.sort_unstable();
        filters.selectors.dedup();
        filters
    }
}
