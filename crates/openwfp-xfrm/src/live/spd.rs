//! The engine's own policies: entries of the SPD as XFRM policies, which live as long as their filters.
//!
//! Each IPsec policy has a reqid of its own, so that only its SAs carry its packets. What its objects leave open, or what
//! has changed since, follows its SAs: the addresses of the tunnel's ends and the protocols of the templates are those of
//! the newest SAs.

use super::install::raw;
use crate::ownership::Ownership;
use crate::wire::Policy;
use crate::wire::PolicyDirection as WireDirection;
use crate::wire::PolicyId;
use crate::wire::PolicyTemplate;
use crate::wire::Templates;
use openwfp_api::Direction;
use openwfp_api::Error;
use openwfp_api::Guid;
use openwfp_api::PolicyDirection;
use openwfp_api::Protection;
use openwfp_api::Result;
use openwfp_api::Selector;
use openwfp_api::SpdAction;
use openwfp_api::SpdChange;
use openwfp_api::SpdEntry;
use std::collections::BTreeMap;
use std::collections::HashMap;
use std::net::IpAddr;
use std::net::Ipv4Addr;
use std::net::Ipv6Addr;

/// The reqids of policies start here. Keying daemons number theirs from 1.
pub(super) const REQID_MIN: u32 = 0x4000_0000;
/// The kernel's refusal to add a policy for the same packets as another one.
pub(super) const EEXIST: i32 = 17;
const ACTION_BLOCK: u8 = 1;

/// The engine's own policies, as the kernel has them.
#[derive(Default)]
pub(super) struct OwnPolicies {
    policies: HashMap<Guid, OwnPolicy>,
    reqids: HashMap<u32, Guid>,
}

/// An IPsec policy.
#[derive(Default)]
struct OwnPolicy {
    reqid: u32,
    entries: BTreeMap<(PolicyDirection, Selector), SpdEntry>,
    /// The transformations of the newest outbound and inbound SAs, if they differ from what the objects say.
    outbound: Option<Chain>,
    inbound: Option<Chain>,
}

/// The transformations of one direction: from where to where, and with which protocols.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Chain {
    /// The ends of a tunnel; unspecified in transport mode, and for those that are not known yet.
    pub(super) source: IpAddr,
    pub(super) destination: IpAddr,
    /// Number and mode (`XFRM_MODE_*`) of each protocol, in the order in which outbound packets are transformed.
    pub(super) protocols: Vec<(u8, u8)>,
}

/// A request that adds, updates or removes a policy, and the one that undoes it.
pub(super) struct Order {
    pub(super) id: PolicyId,
    pub(super) entry: SpdEntry,
    /// The payload before and after; `None` if there is no policy.
    pub(super) old: Option<Vec<u8>>,
    pub(super) new: Option<Vec<u8>>,
}

impl OwnPolicies {
    /// Returns the reqid of a policy. It is derived from the policy's key, so that it stays the same after a restart; a
    /// number that another policy has is skipped.
    pub(super) fn reqid(&mut self, policy: Guid) -> u32 {
        if let Some(known) = self.policies.get(&policy).map(|policy| policy.reqid).filter(|reqid| *reqid != 0)
        {
            return known;
        }
        let first = hash(policy);
        let free = (0..u32::MAX - REQID_MIN)
            .map(|step| REQID_MIN | (first.wrapping_add(step) & (REQID_MIN - 1)))
            .find(|reqid| self.reqids.get(reqid).is_none_or(|other| *other == policy));
        let reqid = free.unwrap_or(REQID_MIN);
        self.reqids.insert(reqid, policy);
        self.policies.entry(policy).or_default().reqid = reqid;
        reqid
    }

    /// Returns the requests for changes, in an order in which no packet meets a state between that is more open than both
    /// the one before and the one after: entries first change their priorities, those that move back beginning with the
    /// last one, those that move forward with the first one; then come bypasses and, after them, protections and blocks.
    /// They go in the same order.
    ///
    /// # Errors
    /// Only if a template cannot be encoded, which does not happen.
    pub(super) fn orders(&mut self, changes: &[SpdChange]) -> Result<Vec<Order>> {
        let mut orders = Vec::with_capacity(changes.len());
        for change in changes {
            let Some(entry) = change.new.as_ref().or(change.old.as_ref()) else { continue };
            let payload = |entry: &Option<SpdEntry>, this: &mut OwnPolicies| match entry {
                Some(entry) => this.payload(entry).map(Some),
                None => Ok(None),
            };
            let (old, new) = (payload(&change.old, self)?, payload(&change.new, self)?);
            let moves = match (&change.old, &change.new) {
                (Some(old), Some(new)) if old.action == new.action => {
                    i64::from(new.priority) - i64::from(old.priority)
                }
                _ => 0,
            };
            let priority = i64::from(entry.priority);
            let closes = !matches!(entry.action, SpdAction::Bypass);
            let place = match (moves, &new) {
                (1.., _) => (0, -priority),
                (..=-1, _) => (1, priority),
                (0, Some(_)) => (2, closes.into()),
                (0, None) => (3, closes.into()),
            };
            orders.push((place, Order { id: id(entry), entry: entry.clone(), old, new }));
        }
        orders.sort_by_key(|(place, _)| *place);
        Ok(orders.into_iter().map(|(_, order)| order).collect())
    }

    /// Records that changes have been carried out, and tells `ownership` which policy has which reqid.
    pub(super) fn note(&mut self, changes: &[SpdChange], ownership: &Ownership) {
        for change in changes {
            if let Some(old) = &change.old
                && let Some(protection) = old.action.protection()
                && let Some(policy) = self.policies.get_mut(&protection.policy)
            {
                policy.entries.remove(&(old.direction, old.selector));
            }
        }
        for change in changes {
            if let Some(new) = &change.new
                && let Some(protection) = new.action.protection()
            {
                let reqid = self.reqid(protection.policy);
                ownership.note_reqid(reqid, Some(protection.policy_id));
                let policy = self.policies.entry(protection.policy).or_default();
                policy.entries.insert((new.direction, new.selector), new.clone());
            }
        }
        self.forget_unused(changes, ownership);
    }

    /// Forgets the policies of changes that have no entries.
    pub(super) fn forget_unused(&mut self, changes: &[SpdChange], ownership: &Ownership) {
        for entry in changes.iter().flat_map(|change| [&change.old, &change.new]).flatten() {
            if let Some(key) = entry.action.protection().map(|of| of.policy)
                && let Some(policy) = self.policies.get(&key)
                && policy.entries.is_empty()
            {
                ownership.note_reqid(policy.reqid, None);
                self.reqids.remove(&policy.reqid);
                self.policies.remove(&key);
            }
        }
    }

    /// Returns the requests that make the templates of a policy those of its new SAs; none if they are already.
    ///
    /// # Errors
    /// Only if a template cannot be encoded, which does not happen.
    pub(super) fn follow(&mut self, policy: Guid, direction: Direction, chain: &Chain) -> Result<Vec<Order>> {
        let Some(own) = self.policies.get(&policy) else { return Ok(Vec::new()) };
        let entries: Vec<SpdEntry> =
            own.entries.values().filter(|entry| entry.direction.of_sas() == direction).cloned().collect();
        let mut orders = Vec::new();
        for entry in entries {
            let old = self.payload(&entry)?;
            let new = match entry.action.protection() {
                Some(protection) => self.protecting(&entry, protection, chain)?,
                None => continue,
            };
            if old != new {
                orders.push(Order { id: id(&entry), entry, old: Some(old), new: Some(new) });
            }
        }
        Ok(orders)
    }

    /// Records the transformations of a policy's newest SAs.
    pub(super) fn note_chain(&mut self, policy: Guid, direction: Direction, chain: Chain) {
        if let Some(own) = self.policies.get_mut(&policy) {
            match direction {
                Direction::Inbound => own.inbound = Some(chain),
                Direction::Outbound => own.outbound = Some(chain),
            }
        }
    }

    /// Returns the payload that adds or updates an entry's policy.
    pub(super) fn payload(&mut self, entry: &SpdEntry) -> Result<Vec<u8>> {
        let Some(protection) = entry.action.protection() else {
            let block = matches!(entry.action, SpdAction::Block);
            return Ok(emitted(entry, Templates::default(), block));
        };
        let own = self.policies.get(&protection.policy);
        let known = own.and_then(|own| match entry.direction.of_sas() {
            Direction::Outbound => own.outbound.clone(),
            Direction::Inbound => own.inbound.clone(),
        });
        let chain = known.unwrap_or_else(|| chain_of(entry, protection));
        self.protecting(entry, protection, &chain)
    }

    fn protecting(&mut self, entry: &SpdEntry, protection: &Protection, chain: &Chain) -> Result<Vec<u8>> {
        let reqid = self.reqid(protection.policy);
        let templates = chain.templates(reqid, protection.optional);
        let templates = Templates::parse(&templates)
            .map_err(|problem| Error::unreachable(format!("cannot parse a template: {problem}")))?;
        Ok(emitted(entry, templates, false))
    }
}

impl Chain {
    /// Returns the templates of a policy that uses SAs of this chain.
    pub(super) fn templates(&self, reqid: u32, optional: bool) -> Vec<u8> {
        let mut bytes = Vec::new();
        for (protocol, mode) in &self.protocols {
            let any = unspecified(self.source);
            let (source, destination) = if *mode == 0 { (any, any) } else { (self.source, self.destination) };
            PolicyTemplate { destination, source, spi: 0, protocol: *protocol, reqid, mode: *mode, optional }
                .emit(&mut bytes);
        }
        bytes
    }

    /// Returns the transformations of a policy of the kernel; `None` if it has none, or if they are not all those of SAs
    /// with this reqid.
    pub(super) fn of(policy: &Policy<'_>, reqid: u32) -> Option<Chain> {
        let templates: Vec<PolicyTemplate> = policy.templates.iter().collect();
        let first = templates.first()?;
        let protocols = templates.iter().map(|template| (template.protocol, template.mode)).collect();
        let is_bound = templates.iter().all(|template| template.reqid == reqid);
        is_bound.then_some(Chain { source: first.source, destination: first.destination, protocols })
    }
}

/// Returns the transformations that a policy's objects specify.
fn chain_of(entry: &SpdEntry, protection: &Protection) -> Chain {
    let (source, destination) = match (protection.endpoints, entry.direction) {
        (Some(ends), PolicyDirection::Out) => (ends.local(), ends.remote()),
        (Some(ends), _) => (ends.remote(), ends.local()),
        (None, _) => {
            let any = unspecified(entry.selector.local.addr());
            (any, any)
        }
    };
    let mode = protection.mode.number();
    let protocols = protection.protocols.iter().enumerate();
    let protocols = protocols.map(|(place, protocol)| (protocol.number(), if place == 0 { mode } else { 0 }));
    Chain { source, destination, protocols: protocols.collect() }
}

pub(super) fn unspecified(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    }
}

fn emitted(entry: &SpdEntry, templates: Templates<'_>, block: bool) -> Vec<u8> {
    let id = id(entry);
    let policy = Policy {
        priority: entry.priority,
        action: if block { ACTION_BLOCK } else { 0 },
        ..Policy::new(id.selector, wire(entry.direction), 0, templates)
    };
    let mut payload = Vec::new();
    policy.emit(&mut payload);
    payload
}

/// Returns the id by which the kernel finds an entry's policy.
pub(super) fn id(entry: &SpdEntry) -> PolicyId {
    PolicyId {
        selector: raw(&entry.selector, entry.direction.of_sas()),
        index: 0,
        direction: wire(entry.direction).number(),
        mark: (0, 0),
        if_id: 0,
    }
}

fn wire(direction: PolicyDirection) -> WireDirection {
    match direction {
        PolicyDirection::In => WireDirection::In,
        PolicyDirection::Out => WireDirection::Out,
        PolicyDirection::Forward => WireDirection::Forward,
    }
}

/// Returns whether a policy of the kernel looks like the engine's: priority and reqids are in its ranges.
pub(super) fn is_own(policy: &Policy<'_>) -> bool {
    SpdEntry::PRIORITIES.contains(&policy.priority)
        && policy.templates.iter().all(|template| template.reqid >= REQID_MIN)
}

/// Returns the packets of an entry in words, for messages.
pub(super) fn words(entry: &SpdEntry) -> String {
    let [local, remote] = entry.selector.sides();
    match entry.direction {
        PolicyDirection::Out => format!("out {local} => {remote}"),
        other => format!("{other} {remote} => {local}"),
    }
}

/// The FNV-1a hash of a key. Unlike the standard library's hash it is the same in every build.
fn hash(key: Guid) -> u32 {
    let mut hash = super::install::Fnv::default();
    hash.add(&key.data1.to_le_bytes());
    hash.add(&key.data2.to_le_bytes());
    hash.add(&key.data3.to_le_bytes());
    hash.add(&key.data4);
    hash.folded()
}

#[cfg(test)]
mod tests {
    use super::*;
    use openwfp_api::Endpoints;
    use openwfp_api::FilterId;
    use openwfp_api::IpNet;
    use openwfp_api::Mode;
    use openwfp_api::Protocol;
    use openwfp_api::SelectorPorts;
    use std::sync::Arc;

    fn entry(priority: u32, third: u8, action: SpdAction) -> SpdEntry {
        let net = |first: u8| IpNet::new([10, first, third, 0].into(), 24).unwrap();
        let any = SelectorPorts::default();
        let selector =
            Selector { local: net(1), remote: net(2), protocol: 0, local_port: any, remote_port: any };
        SpdEntry { direction: PolicyDirection::Out, selector, priority, filter_id: FilterId(1 << 33), action }
    }

    fn protection(key: u32) -> SpdAction {
        SpdAction::Protect(Arc::new(Protection {
            policy: Guid::new(key, 0, 0, [0; 8]),
            policy_id: FilterId(u64::from(key) + (1 << 32)),
            mode: Mode::Tunnel,
            endpoints: Endpoints::new([192, 0, 2, 1].into(), [192, 0, 2, 2].into()),
            protocols: vec![Protocol::Esp],
            optional: false,
        }))
    }

    #[test]
    fn at_every_moment_of_a_change_the_first_match_is_the_old_or_the_new_one() {
        // Three entries move back, two forward, and both kinds come and go.
        let moved = [(10, 40), (20, 50), (30, 60), (70, 65), (80, 66)];
        let mut changes: Vec<SpdChange> = moved
            .iter()
            .zip(0..)
            .map(|((old, new), third)| SpdChange {
                old: Some(entry(*old, third, SpdAction::Block)),
                new: Some(entry(*new, third, SpdAction::Block)),
            })
            .collect();
        changes.push(SpdChange { old: None, new: Some(entry(5, 10, SpdAction::Block)) });
        changes.push(SpdChange { old: None, new: Some(entry(6, 11, SpdAction::Bypass)) });
        changes.push(SpdChange { old: Some(entry(7, 12, SpdAction::Block)), new: None });
        changes.push(SpdChange { old: Some(entry(8, 13, SpdAction::Bypass)), new: None });
        let orders = OwnPolicies::default().orders(&changes).unwrap();
        let mut now: BTreeMap<u8, u32> =
            moved.iter().zip(0..).map(|((old, _), third)| (third, *old)).collect();
        for order in orders.iter().take(moved.len()) {
            let IpNet::V4(local) = order.entry.selector.local else { panic!("IPv4") };
            now.insert(local.addr().octets()[2], order.entry.priority);
            let priorities: Vec<u32> = now.values().copied().collect();
            assert!(priorities.is_sorted(), "{priorities:?}");
        }
        let rest: Vec<_> =
            orders[moved.len()..].iter().map(|order| (order.new.is_some(), order.entry.priority)).collect();
        assert_eq!(rest, [(true, 6), (true, 5), (false, 8), (false, 7)]);
    }

    #[test]
    fn policies_have_reqids_of_their_own_that_survive_a_restart() {
        let mut own = OwnPolicies::default();
        let keys: Vec<Guid> = (0..5000).map(|key| Guid::new(key, 0, 0, [0; 8])).collect();
        let reqids: Vec<u32> = keys.iter().map(|key| own.reqid(*key)).collect();
        let distinct: std::collections::BTreeSet<u32> = reqids.iter().copied().collect();
        assert_eq!(distinct.len(), keys.len());
        assert!(reqids.iter().all(|reqid| *reqid >= REQID_MIN));
        assert_eq!(OwnPolicies::default().reqid(keys[7]), reqids[7]);
        // A number that is taken is skipped.
        let mut own = OwnPolicies::default();
        own.reqids.insert(reqids[7], keys[1]);
        assert_eq!(own.reqid(keys[7]), REQID_MIN | ((reqids[7] + 1) & (REQID_MIN - 1)));
    }

    #[test]
    fn templates_follow_the_newest_sas_and_new_entries_have_the_same_ones() {
        let mut own = OwnPolicies::default();
        let ownership = Ownership::default();
        let key = Guid::new(1, 0, 0, [0; 8]);
        let first = SpdChange { old: None, new: Some(entry(5, 1, protection(1))) };
        own.note(std::slice::from_ref(&first), &ownership);
        let moved = Chain {
            source: [192, 0, 2, 1].into(),
            destination: [198, 51, 100, 7].into(),
            protocols: vec![(50, 1), (51, 0)],
        };
        assert!(own.follow(key, Direction::Inbound, &moved).unwrap().is_empty(), "there is no inbound entry");
        let orders = own.follow(key, Direction::Outbound, &moved).unwrap();
        own.note_chain(key, Direction::Outbound, moved.clone());
        assert_eq!(orders.len(), 1);
        assert!(own.follow(key, Direction::Outbound, &moved).unwrap().is_empty(), "nothing new");
        let second = own.payload(&entry(6, 2, protection(1))).unwrap();
        let templates: Vec<_> = Policy::of(&second).unwrap().templates.iter().collect();
        assert_eq!(templates.len(), 2);
        assert_eq!(templates[0].destination, moved.destination);
        assert!(templates[1].is_wildcard() && templates[1].protocol == 51);
        // What is removed is forgotten with its last entry.
        own.note(&[first.reversed()], &ownership);
        let fresh = own.payload(&entry(6, 2, protection(1))).unwrap();
        assert_eq!(Policy::of(&fresh).unwrap().templates.iter().count(), 1);
    }
}
