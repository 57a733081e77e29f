//! Which policies ask for a state: its direction, the filter's id, the inner selectors.

use super::Directed;
use crate::map;
use crate::table::PolicyRecord;
use crate::table::StateRecord;
use crate::wire::PolicyTemplate;
use openwfp_api::Direction;
use openwfp_api::FilterId;
use openwfp_api::Selector;
use std::collections::HashMap;
use std::net::IpAddr;
use std::net::Ipv4Addr;

/// Where a template with no addresses of its own is filed, if its policy is for more than two hosts.
const ANYWHERE: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
const END: usize = usize::MAX;

/// The policies by what their templates ask for.
pub(super) struct PolicyIndex<'p, 'a> {
    policies: &'p [PolicyRecord<'a>],
    /// By source, destination and reqid: the first node of a chain.
    heads: HashMap<(IpAddr, IpAddr, u32), usize>,
    nodes: Vec<Node>,
}

struct Node {
    policy: usize,
    template: PolicyTemplate,
    next: usize,
}

/// What the policies say of a context.
#[derive(Default)]
pub(super) struct Filters {
    pub(super) inbound: FilterId,
    pub(super) outbound: FilterId,
    pub(super) selectors: Vec<Selector>,
}

impl<'p, 'a> PolicyIndex<'p, 'a> {
    pub(super) fn new(policies: &'p [PolicyRecord<'a>]) -> PolicyIndex<'p, 'a> {
        let mut heads = HashMap::with_capacity(policies.len());
        let mut nodes = Vec::with_capacity(policies.len());
        // Backwards, so that each chain runs in the order of the policies.
        for (policy, record) in policies.iter().enumerate().rev() {
            for template in record.policy.templates() {
                let (source, destination) = filed_under(record, &template);
                let head = heads.entry((source, destination, template.reqid)).or_insert(END);
                nodes.push(Node { policy, template, next: *head });
                *head = nodes.len() - 1;
            }
        }
        PolicyIndex { policies, heads, nodes }
    }

    /// The policies that ask for this state.
    fn of<'s>(&'s self, record: &'s StateRecord<'_>) -> impl Iterator<Item = &'p PolicyRecord<'a>> + 's {
        let chain = |source, destination| {
            let head = self.heads.get(&(source, destination, record.reqid)).copied().unwrap_or(END);
            std::iter::successors(self.nodes.get(head), |node| self.nodes.get(node.next))
        };
        chain(record.source, record.destination).chain(chain(ANYWHERE, ANYWHERE)).filter_map(|node| {
            let policy = &self.policies[node.policy];
            record.is_wanted_by(&node.template, policy).then_some(policy)
        })
    }

    /// The direction in which the policies use this state; none if there are none or they disagree.
    pub(super) fn direction(&self, record: &StateRecord<'_>) -> Option<Direction> {
        let mut directions = self.of(record).map(|policy| policy.direction);
        let first = directions.next()?;
        directions.all(|direction| direction == first).then_some(first)
    }

    /// Whether an AH or IPCOMP state may be of one bundle with ESP: by its reqid, or because a policy
    /// asks for both.
    pub(super) fn ties(&self, record: &StateRecord<'_>) -> bool {
        record.reqid != 0
            || self.of(record).any(|policy| {
                policy.policy.templates().any(|template| template.protocol != record.protocol.number())
            })
    }

    /// Filter ids and inner selectors of a context with these states: outbound policies say it best,
    /// then inbound, then forward ones.
    pub(super) fn filters<'s>(&self, states: impl Iterator<Item = &'s Directed<'s>>) -> Filters {
        let mut filters = Filters::default();
        let mut inbound = Vec::new();
        for state in states {
            for policy in self.of(state.record).filter(|policy| policy.direction == state.direction) {
                let (id, selectors) = match policy.direction {
                    Direction::Inbound => (&mut filters.inbound, &mut inbound),
                    Direction::Outbound => (&mut filters.outbound, &mut filters.selectors),
                };
                if *id == FilterId(0) {
                    *id = FilterId(policy.policy.index.into());
                }
                if let Some(selector) = map::selector(&policy.policy.selector, policy.direction)
                    && !selectors.contains(&selector)
                {
                    selectors.push(selector);
                }
            }
        }
        if filters.selectors.is_empty() {
            filters.selectors = inbound;
        }
        // The kernel returns the newest policy first.
        filters.selectors.sort_unstable();
        filters
    }
}

fn filed_under(record: &PolicyRecord<'_>, template: &PolicyTemplate) -> (IpAddr, IpAddr) {
    if !template.is_wildcard() {
        return (template.source, template.destination);
    }
    let networks = record.policy.selector.networks();
    match networks {
        Some((from, to))
            if from.prefix_len() == from.max_prefix_len() && to.prefix_len() == to.max_prefix_len() =>
        {
            (from.addr(), to.addr())
        }
        _ => (ANYWHERE, ANYWHERE),
    }
}
