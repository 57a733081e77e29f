//! The SPD that the filters of the newest version describe, as entries for the dataplane.
//!
//! WFP asks every sublayer, and in each the heaviest filter that matches decides. The SPD has one list: the first entry
//! that matches decides. The filters of one sublayer therefore become entries in the order of their weight. If filters
//! protect in several sublayers, an entry of a heavier sublayer that lets packets pass or protects them is preceded by one
//! for each filter of a lighter sublayer that would decide otherwise about some of these packets.
//!
//! Invariants:
//! 1. A clone shares everything with the original and costs the same at any size.
//! 2. The entries are a function of the filters, except for the numbers of the priorities.
//! 3. Of the rules that claim an entry, that is the same packets, the one of the lowest rank has it.

mod priorities;
mod rule;

pub(crate) use rule::has_layer;

use crate::objects::Entry;
use crate::objects::ObjectChange;
use crate::objects::Objects;
use imbl::OrdMap;
use imbl::OrdSet;
use openwfp_api::Code;
use openwfp_api::Error;
use openwfp_api::FilterId;
use openwfp_api::Guid;
use openwfp_api::IpNet;
use openwfp_api::Mode;
use openwfp_api::PolicyDirection;
use openwfp_api::Result;
use openwfp_api::Selector;
use openwfp_api::SelectorPorts;
use openwfp_api::SpdAction;
use openwfp_api::SpdChange;
use openwfp_api::SpdEntry;
use openwfp_api::guids::sublayer;
use openwfp_api::object::ObjectKind;
use priorities::Priorities;
use rule::Does;
use rule::Rule;
use std::collections::BTreeSet;
use std::sync::Arc;

/// Maximum number of entries that the combination of filters of several sublayers may add to one direction.
const COMBINED_MAX: usize = 65_536;

const DIRECTIONS: [PolicyDirection; 3] =
    [PolicyDirection::In, PolicyDirection::Out, PolicyDirection::Forward];

/// What identifies an entry.
type Identity = (PolicyDirection, Selector);

/// Order of rules: by sublayer, then heaviest first, then oldest. `under` is the rule of a lighter sublayer for whose sake an
/// entry precedes the rule's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Rank {
    class: Class,
    place: Place,
    under: Place,
    /// The direction of the entries that combine sublayers; `None` for the rule's own entries, which may be of several.
    direction: Option<PolicyDirection>,
}

/// A sublayer, the heaviest first. WFP's own sublayers for IPsec count as one.
type Class = (u16, Guid);
/// A filter within its sublayer: the complement of its weight, and its id.
type Place = (u64, u64);
/// Before every sublayer.
const FIRST_CLASS: Class = (0, Guid::new(0, 0, 0, [0; 8]));
/// After every place.
const ITSELF: Place = (u64::MAX, u64::MAX);

/// The SPD of one version of the objects.
#[derive(Clone, Default)]
pub(crate) struct Spd {
    rules: OrdMap<u64, Arc<Rule>>,
    /// Why the SPD does not carry out a filter at one of its layers.
    unfit: OrdMap<u64, Arc<str>>,
    /// The rules of a sublayer in one direction.
    groups: OrdMap<(PolicyDirection, Guid), Group>,
    /// The rules of a policy for one IP version.
    policies: OrdMap<(Guid, bool), PolicyRules>,
    /// Where each active rule stands.
    placed: OrdMap<u64, Arc<Placed>>,
    /// What combines two sublayers in a direction.
    combined: OrdMap<PolicyDirection, Arc<[Placed]>>,
    /// Number of rules that claim entries, by direction and sublayer.
    occupied: OrdMap<(PolicyDirection, Class), usize>,
    claims: OrdMap<Identity, OrdMap<Rank, Claim>>,
    priorities: Priorities<Rank>,
}

#[derive(Clone, Default)]
struct Group {
    members: OrdSet<u64>,
    /// Number of members that protect.
    protecting: usize,
}

#[derive(Clone, Default)]
struct PolicyRules {
    members: OrdSet<u64>,
    /// Number of members whose filters see packets of each direction.
    directions: [usize; 3],
}

/// A rank with the entries that it claims.
struct Placed {
    rank: Rank,
    entries: Box<[Identity]>,
}

#[derive(Clone)]
struct Claim {
    filter_id: u64,
    action: SpdAction,
}

/// What a change has touched so far.
#[derive(Default)]
struct Touched {
    rules: BTreeSet<u64>,
    directions: BTreeSet<PolicyDirection>,
    entries: BTreeSet<Identity>,
}

fn number(direction: PolicyDirection) -> usize {
    match direction {
        PolicyDirection::In => 0,
        PolicyDirection::Out => 1,
        PolicyDirection::Forward => 2,
    }
}

impl Placed {
    fn directions(&self) -> BTreeSet<PolicyDirection> {
        self.entries.iter().map(|entry| entry.0).collect()
    }
}

impl Spd {
    /// Returns the SPD after changes of objects, and the changes of its entries. `objects` is the version after them; `drops`
    /// tells whether the packet filter carries out a block, so that the SPD must let its packets come that far.
    ///
    /// # Errors
    /// `FWP_E_OUT_OF_BOUNDS` if the filters need too many entries or priorities.
    pub(crate) fn after(
        &self,
        changes: &[ObjectChange],
        objects: &Objects,
        drops: &dyn Fn(u64) -> bool,
    ) -> Result<(Spd, Vec<SpdChange>)> {
        let mut next = self.clone();
        let mut touched = Touched::default();
        // An object that is replaced under its key only has a new security descriptor.
        for change in changes.iter().filter(|change| change.old.is_none() || change.new.is_none()) {
            if let Some(old) = &change.old {
                next.take_rule(old, &mut touched);
            }
            // An object that a later change deletes is not in this version.
            if let Some(new) = change.new.as_ref().filter(|new| objects.has(new)) {
                next.add_rule(new, objects, drops, &mut touched)?;
            }
        }
        if touched.rules.is_empty() {
            return Ok((next, Vec::new()));
        }
        next.place(&mut touched)?;
        let changed = touched.entries.iter().filter_map(|identity| {
            let (old, new) = (self.entry(identity), next.entry(identity));
            (old != new).then_some(SpdChange { old, new })
        });
        let changed = changed.collect();
        Ok((next, changed))
    }

    /// Returns all entries.
    pub(crate) fn entries(&self) -> Vec<SpdEntry> {
        self.claims.keys().filter_map(|identity| self.entry(identity)).collect()
    }

    /// Returns whether entries carry out a filter.
    pub(crate) fn carries_out(&self, filter: u64) -> bool {
        self.placed.contains_key(&filter)
    }

    /// Returns why the SPD cannot carry out a filter, if that is so.
    pub(crate) fn unfit(&self, filter: u64) -> Option<&str> {
        self.unfit.get(&filter).map(|reason| &**reason)
    }

    /// Returns a filter that has all the entries that this one claims; `None` if this one has some.
    pub(crate) fn beaten_by(&self, filter: u64) -> Option<u64> {
        let placed = self.placed.get(&filter)?;
        let owner = |identity: &Identity| {
            let (_, claim) = self.claims.get(identity)?.get_min()?;
            (claim.filter_id != filter).then_some(claim.filter_id)
        };
        let owners = placed.entries.iter().map(owner).collect::<Option<Vec<u64>>>()?;
        owners.first().copied()
    }

    /// Returns the entries that carry out a filter.
    pub(crate) fn entries_of(&self, filter: u64) -> Vec<SpdEntry> {
        let identities = self.placed.get(&filter).map(|placed| &placed.entries[..]).unwrap_or_default();
        let entries = identities.iter().filter_map(|identity| self.entry(identity));
        entries.filter(|entry| entry.filter_id.0 == filter).collect()
    }

    /// Returns an entry by its direction and selector.
    pub(crate) fn entry(&self, identity: &Identity) -> Option<SpdEntry> {
        let (rank, claim) = self.claims.get(identity)?.get_min()?;
        let (direction, selector) = *identity;
        Some(SpdEntry {
            direction,
            selector,
            priority: self.priorities.get(rank)?,
            filter_id: FilterId(claim.filter_id),
            action: claim.action.clone(),
        })
    }

    fn add_rule(
        &mut self,
        entry: &Entry,
        objects: &Objects,
        drops: &dyn Fn(u64) -> bool,
        touched: &mut Touched,
    ) -> Result {
        let rule = match Rule::new(entry, objects, drops) {
            Ok(Some(rule)) => Arc::new(rule),
            Ok(None) => return Ok(()),
            Err(error) if error.code() == Code::ERROR_NOT_SUPPORTED => {
                self.unfit.insert(entry.serial, error.what().into());
                return Ok(());
            }
            Err(error) => return Err(error),
        };
        touched.rules.insert(rule.id);
        let group = self.groups.entry((rule.direction, rule.sublayer)).or_default();
        group.members.insert(rule.id);
        group.protecting += usize::from(rule.protects());
        if rule.protects() && group.protecting == 1 {
            touched.rules.extend(group.members.iter().copied());
        }
        if let Does::Protect(protect) = &rule.does {
            let policy = self.policies.entry((protect.policy, rule.v6)).or_default();
            policy.members.insert(rule.id);
            let count = &mut policy.directions[number(rule.direction)];
            *count += 1;
            if *count == 1 {
                touched.rules.extend(policy.members.iter().copied());
            }
        }
        self.rules.insert(rule.id, rule);
        Ok(())
    }

    fn take_rule(&mut self, entry: &Entry, touched: &mut Touched) {
        self.unfit.remove(&entry.serial);
        if entry.object.kind() != ObjectKind::Filter {
            return;
        }
        let Some(rule) = self.rules.remove(&entry.serial) else { return };
        touched.rules.insert(rule.id);
        let key = (rule.direction, rule.sublayer);
        if let Some(group) = self.groups.get_mut(&key) {
            group.members.remove(&rule.id);
            group.protecting -= usize::from(rule.protects());
            if rule.protects() && group.protecting == 0 {
                touched.rules.extend(group.members.iter().copied());
            }
            if group.members.is_empty() {
                self.groups.remove(&key);
            }
        }
        if let Does::Protect(protect) = &rule.does {
            let key = (protect.policy, rule.v6);
            if let Some(policy) = self.policies.get_mut(&key) {
                policy.members.remove(&rule.id);
                let count = &mut policy.directions[number(rule.direction)];
                *count -= 1;
                if *count == 0 {
                    touched.rules.extend(policy.members.iter().copied());
                }
                if policy.members.is_empty() {
                    self.policies.remove(&key);
                }
            }
        }
    }

    /// Withdraws the touched rules and claims their entries anew.
    fn place(&mut self, touched: &mut Touched) -> Result {
        let mut ranks = BTreeSet::new();
        for id in &touched.rules {
            let Some(placed) = self.placed.remove(id) else { continue };
            self.withdraw(&placed, &mut touched.entries);
            for direction in placed.directions() {
                let key = (direction, placed.rank.class);
                if let Some(count) = self.occupied.get_mut(&key) {
                    *count -= 1;
                    if *count == 0 {
                        self.occupied.remove(&key);
                    }
                }
                touched.directions.insert(direction);
            }
        }
        for id in &touched.rules {
            let Some(rule) = self.rules.get(id).cloned().filter(|rule| self.is_active(rule)) else {
                continue;
            };
            let rank = Rank { class: class(&rule), place: place(&rule), under: ITSELF, direction: None };
            let entries = self
                .directions(&rule)
                .flat_map(|direction| rule.selectors.iter().map(move |selector| (direction, *selector)))
                .collect();
            let placed = Placed { rank, entries };
            for direction in placed.directions() {
                *self.occupied.entry((direction, rank.class)).or_default() += 1;
                touched.directions.insert(direction);
            }
            self.claim(
                &placed,
                |direction| Claim { filter_id: rule.id, action: rule.action(direction) },
                &mut touched.entries,
            );
            self.placed.insert(*id, Arc::new(placed));
            ranks.insert(rank);
        }
        for direction in std::mem::take(&mut touched.directions) {
            self.combine(direction, &mut ranks, &mut touched.entries)?;
        }
        let mut moved = Vec::new();
        for rank in ranks {
            self.priorities.insert(rank, &mut moved)?;
        }
        for rank in moved {
            self.add_entries_of(&rank, &mut touched.entries);
        }
        Ok(())
    }

    fn claim(
        &mut self,
        placed: &Placed,
        claim: impl Fn(PolicyDirection) -> Claim,
        touched: &mut BTreeSet<Identity>,
    ) {
        for identity in &placed.entries {
            self.claims.entry(*identity).or_default().insert(placed.rank, claim(identity.0));
            touched.insert(*identity);
        }
    }

    fn withdraw(&mut self, placed: &Placed, touched: &mut BTreeSet<Identity>) {
        for identity in &placed.entries {
            if let Some(claims) = self.claims.get_mut(identity) {
                claims.remove(&placed.rank);
                if claims.is_empty() {
                    self.claims.remove(identity);
                }
            }
            touched.insert(*identity);
        }
        self.priorities.remove(&placed.rank);
    }

    /// Adds the entries that a rank claims.
    fn add_entries_of(&self, rank: &Rank, touched: &mut BTreeSet<Identity>) {
        let Some(direction) = rank.direction else {
            touched.extend(self.placed.get(&rank.place.1).iter().flat_map(|placed| &placed.entries));
            return;
        };
        let combined = self.combined.get(&direction).into_iter().flat_map(|combined| combined.iter());
        touched.extend(combined.filter(|placed| placed.rank == *rank).flat_map(|placed| &placed.entries));
    }

    /// Returns whether a rule has entries: it protects, or other filters of its sublayer do.
    fn is_active(&self, rule: &Rule) -> bool {
        let in_group =
            || self.groups.get(&(rule.direction, rule.sublayer)).is_some_and(|of| of.protecting > 0);
        rule.protects() || rule.is_in_ipsec_sublayer() || in_group()
    }

    /// Returns the directions of a rule's entries: that of its filter and, in tunnel mode, those for which the policy has no
    /// filter. Without an entry the kernel would drop what comes out of the tunnel, or send the answers in the clear.
    fn directions(&self, rule: &Rule) -> impl Iterator<Item = PolicyDirection> {
        let mut wanted = [false; 3];
        wanted[number(rule.direction)] = true;
        if let Does::Protect(protect) = &rule.does
            && protect.mode == Mode::Tunnel
            && !protect.is_forward
            && let Some(policy) = self.policies.get(&(protect.policy, rule.v6))
        {
            let missing = |direction| policy.directions[number(direction)] == 0;
            let (inbound, outbound) = (PolicyDirection::In, PolicyDirection::Out);
            wanted[number(inbound)] |= missing(inbound);
            wanted[number(outbound)] |= missing(outbound);
            let is_source = rule.direction == inbound || missing(inbound);
            wanted[number(PolicyDirection::Forward)] |=
                missing(PolicyDirection::Forward) && is_source && !protect.is_part;
        }
        DIRECTIONS.into_iter().filter(move |direction| wanted[number(*direction)])
    }

    /// Claims the entries that combine several sublayers in one direction.
    fn combine(
        &mut self,
        direction: PolicyDirection,
        ranks: &mut BTreeSet<Rank>,
        touched: &mut BTreeSet<Identity>,
    ) -> Result {
        for old in self.combined.remove(&direction).iter().flat_map(|combined| combined.iter()) {
            self.withdraw(old, touched);
        }
        let sublayers =
            self.occupied.range((direction, FIRST_CLASS)..).take_while(|((of, _), _)| *of == direction);
        let (heavy, light) = match sublayers.map(|((_, class), _)| *class).collect::<Vec<_>>()[..] {
            [] | [_] => return Ok(()),
            [heavy, light] => (heavy, light),
            _ => {
                let what = "filters in more than two sublayers protect or exempt packets of one direction";
                return Err(Error::new(Code::ERROR_NOT_SUPPORTED, what)
                    .with_remedy("Put the filters with IPsec callouts into one or two sublayers."));
            }
        };
        let rules_of = |wanted: Class| -> Vec<(Place, Arc<Rule>)> {
            let is_one = |placed: &&Arc<Placed>| {
                placed.rank.class == wanted && placed.entries.iter().any(|entry| entry.0 == direction)
            };
            let mut rules: Vec<_> = self
                .placed
                .values()
                .filter(is_one)
                .filter_map(|placed| {
                    Some((placed.rank.place, Arc::clone(self.rules.get(&placed.rank.place.1)?)))
                })
                .collect();
            rules.sort_unstable_by_key(|(place, _)| *place);
            rules
        };
        let (heavier, lighter) = (rules_of(heavy), rules_of(light));
        let mut combined: Vec<(Placed, u64, SpdAction)> = Vec::new();
        let mut count = 0;
        for (at, rule) in heavier.iter().filter(|(_, rule)| !matches!(rule.does, Does::Block)) {
            let (mut needed, mut needed_count) = (combined.len(), count);
            for (under, other) in &lighter {
                let entries: Box<[Identity]> = rule
                    .selectors
                    .iter()
                    .flat_map(|one| other.selectors.iter().filter_map(|two| intersection(one, two)))
                    .map(|selector| (direction, selector))
                    .collect();
                count += entries.len();
                if count > COMBINED_MAX {
                    let what = format!(
                        "the filters of two sublayers that protect packets need more than {COMBINED_MAX} kernel policies to be combined"
                    );
                    return Err(Error::new(Code::FWP_E_OUT_OF_BOUNDS, what)
                        .with_remedy("Put the filters with IPsec callouts into one sublayer."));
                }
                if entries.is_empty() {
                    continue;
                }
                let decides = overrules(&other.does, &rule.does);
                let of = if decides { other } else { rule };
                let rank = Rank { class: heavy, place: *at, under: *under, direction: Some(direction) };
                combined.push((Placed { rank, entries }, of.id, of.action(direction)));
                if decides {
                    (needed, needed_count) = (combined.len(), count);
                }
            }
            // After the last one that decides otherwise, the rule's own entry says the same.
            combined.truncate(needed);
            count = needed_count;
        }
        for (placed, filter_id, action) in &combined {
            self.claim(placed, |_| Claim { filter_id: *filter_id, action: action.clone() }, touched);
            ranks.insert(placed.rank);
        }
        if !combined.is_empty() {
            self.combined.insert(direction, combined.into_iter().map(|(placed, ..)| placed).collect());
        }
        Ok(())
    }
}

fn class(rule: &Rule) -> Class {
    match rule.is_in_ipsec_sublayer() {
        // The weights of WFP's sublayers for IPsec are close to each other and above that of the universal one.
        true => (u16::MAX - IPSEC_WEIGHT, sublayer::IPSEC_TUNNEL),
        false => (u16::MAX - rule.sublayer_weight, rule.sublayer),
    }
}

/// The weight of [`sublayer::IPSEC_TUNNEL`].
const IPSEC_WEIGHT: u16 = crate::objects::builtin::IPSEC_TUNNEL_WEIGHT;

fn place(rule: &Rule) -> Place {
    (u64::MAX - rule.weight, rule.id)
}

/// Returns whether a filter of a lighter sublayer decides about a packet, although one of a heavier sublayer has decided:
/// nothing overrides a block, and what one sublayer only lets pass another one may protect.
fn overrules(lighter: &Does, heavier: &Does) -> bool {
    matches!(
        (lighter, heavier),
        (Does::Block, Does::Protect(_) | Does::Bypass) | (Does::Protect(_), Does::Bypass)
    )
}

/// Returns the packets that both select, if any.
fn intersection(one: &Selector, other: &Selector) -> Option<Selector> {
    let narrower = |one: IpNet, other: IpNet| {
        if one.contains(&other) { Some(other) } else { other.contains(&one).then_some(one) }
    };
    let ports = |one: SelectorPorts, other: SelectorPorts| {
        let common = one.mask & other.mask;
        (one.port & common == other.port & common).then_some(SelectorPorts {
            port: (one.port & one.mask) | (other.port & other.mask),
            mask: one.mask | other.mask,
        })
    };
    let protocol = match (one.protocol, other.protocol) {
        (0, other) => other,
        (one, 0) => one,
        (one, other) => (one == other).then_some(one)?,
    };
    Some(Selector {
        local: narrower(one.local, other.local)?,
        remote: narrower(one.remote, other.remote)?,
        protocol,
        local_port: ports(one.local_port, other.local_port)?,
        remote_port: ports(one.remote_port, other.remote_port)?,
    })
}

#[cfg(test)]
mod tests;
