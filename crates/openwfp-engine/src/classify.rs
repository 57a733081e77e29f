//! Classification: finds the filters that match a packet by index, and arbitrates between their
//! actions.
//!
//! The filters of a sublayer are stored in tables by their shape: the number of bits of each address
//! that they fix, and whether they fix the protocol and each port. A packet is looked up once in each
//! table. Tables are searched in the order of their heaviest filter, until no remaining table can hold
//! a heavier one than the best match. Gateways have few shapes and many filters.
//!
//! Invariants:
//! 1. A filter is stored in the tables under every key that a packet matching its conditions can have.
//!    So the tables find at least all matches; the conditions are still evaluated.
//! 2. The result does not depend on the tables: it is the first match by weight, then by age.

use crate::objects::Entry;
use crate::objects::ObjectChange;
use crate::objects::Objects;
use crate::objects::conditions::Conditions;
use crate::objects::conditions::Test;
use crate::objects::conditions::number_of;
use crate::objects::selectors::blocks;
use foldhash::fast::FixedState;
use hashbrown::HashMap;
use openwfp_api::Code;
use openwfp_api::Error;
use openwfp_api::Guid;
use openwfp_api::Result;
use openwfp_api::guids::callout;
use openwfp_api::guids::condition;
use openwfp_api::object::ActionType;
use openwfp_api::object::FILTER_BOOTTIME;
use openwfp_api::object::FILTER_CLEAR_ACTION_RIGHT;
use openwfp_api::object::FILTER_DISABLED;
use openwfp_api::object::FILTER_PERMIT_IF_CALLOUT_UNREGISTERED;
use openwfp_api::object::Filter;
use openwfp_api::object::FilterContext;
use openwfp_api::object::ObjectKind;
use openwfp_api::object::packet::Packet;
use openwfp_api::object::packet::SubLayerDecision;
use openwfp_api::object::packet::Verdict;
use std::collections::BTreeSet;
use std::sync::Arc;

/// Maximum number of keys of a filter. A filter with more alternatives is indexed by fewer of its
/// fields.
const KEYS_MAX: usize = 64;

/// Order of filters in a sublayer: heaviest first, then oldest.
type Rank = (u64, u64);

/// The filters of all layers.
#[derive(Default)]
pub(crate) struct Classifier {
    layers: HashMap<Guid, Vec<SubLayer>, FixedState>,
}

struct SubLayer {
    key: Guid,
    weight: u16,
    /// Sorted by the rank of their best filter.
    tables: Vec<Table>,
}

struct Table {
    shape: Shape,
    ranks: BTreeSet<Rank>,
    rules: HashMap<Key, Vec<Arc<Rule>>, FixedState>,
}

/// The bits of a packet that a table's keys include.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Shape {
    /// Number of low bits to ignore in each address; 128 ignores the whole address.
    free: [u8; 2],
    protocol: bool,
    ports: [bool; 2],
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
struct Key {
    addresses: [u128; 2],
    protocol: u8,
    ports: [u16; 2],
}

/// A filter, compiled for matching.
struct Rule {
    rank: Rank,
    id: u64,
    key: Guid,
    conditions: Conditions,
    /// The action on a match, and whether it is hard; `None` continues with the next filter.
    says: Option<(ActionType, bool)>,
    callout: Option<Guid>,
    context: Option<Guid>,
}

impl Classifier {
    pub(crate) fn new(objects: &Objects) -> Classifier {
        let mut classifier = Classifier::default();
        for entry in objects.of_kind(ObjectKind::Filter, None) {
            classifier.add(entry, objects);
        }
        classifier
    }

    /// Applies changes that are in a version of the objects.
    pub(crate) fn follow(&mut self, changes: &[ObjectChange], objects: &Objects) {
        for change in changes {
            change.old.iter().for_each(|old| self.remove(old));
            change.new.iter().for_each(|new| self.add(new, objects));
        }
    }

    fn add(&mut self, entry: &Entry, objects: &Objects) {
        let Some(filter) = entry.object.as_filter().filter(|filter| is_asked(filter)) else { return };
        let weight = objects.sublayer_weight(filter.sublayer);
        let sublayers = self.layers.entry(filter.layer).or_default();
        let place = match sublayers.iter().position(|sublayer| sublayer.key == filter.sublayer) {
            Some(place) => place,
            None => {
                let order = |other: &SubLayer| (u16::MAX - other.weight, other.key);
                let place =
                    sublayers.partition_point(|other| order(other) < (u16::MAX - weight, filter.sublayer));
                sublayers.insert(place, SubLayer { key: filter.sublayer, weight, tables: Vec::new() });
                place
            }
        };
        sublayers[place].add(filter);
    }

    fn remove(&mut self, entry: &Entry) {
        let Some(filter) = entry.object.as_filter().filter(|filter| is_asked(filter)) else { return };
        let Some(sublayers) = self.layers.get_mut(&filter.layer) else { return };
        if let Some(place) = sublayers.iter().position(|sublayer| sublayer.key == filter.sublayer) {
            sublayers[place].remove(filter);
            if sublayers[place].tables.is_empty() {
                sublayers.remove(place);
            }
        }
    }

    /// Returns the verdict of the filters in the packet's layer.
    ///
    /// # Errors
    /// `FWP_E_TRAFFIC_MISMATCH` if the source and destination have different IP versions.
    pub(crate) fn classify(&self, packet: &Packet) -> Result<Verdict> {
        self.classify_at(packet.layer(), packet)
    }

    /// Returns the verdict of the filters in another layer that sees the packet.
    ///
    /// # Errors
    /// As [`Classifier::classify`].
    pub(crate) fn classify_at(&self, layer: Guid, packet: &Packet) -> Result<Verdict> {
        if packet.source.0.is_ipv4() != packet.destination.0.is_ipv4() {
            let what = format!(
                "the packet's addresses {} and {} differ in IP version",
                packet.source.0, packet.destination.0
            );
            return Err(Error::new(Code::FWP_E_TRAFFIC_MISMATCH, what));
        }
        let mut verdict = Verdict { layer, action: ActionType::None, ..Verdict::default() };
        for sublayer in self.layers.get(&verdict.layer).into_iter().flatten() {
            if let Some(decision) = sublayer.decide(packet) {
                arbitrate(&mut verdict, decision);
            }
        }
        Ok(verdict)
    }
}

/// Merges a sublayer's decision into the layer's verdict.
///
/// Source: "Filter Arbitration" in the WFP documentation. A block overrides a soft permit. Only a
/// callout's block, a veto, overrides a hard permit. A permit overrides a soft block. Nothing overrides
/// a hard block.
fn arbitrate(verdict: &mut Verdict, decision: SubLayerDecision) {
    let by_callout = decision.callout.is_some();
    verdict.is_veto |= verdict.action == ActionType::Permit
        && verdict.is_hard
        && decision.action == ActionType::Block
        && by_callout;
    let overrides = match (verdict.action, verdict.is_hard) {
        (ActionType::None, _) => true,
        // The opposite action overrides a soft one, and so does the same action if it is hard.
        (ActionType::Permit, false) => decision.action == ActionType::Block || decision.is_hard,
        (_, false) => decision.action == ActionType::Permit || decision.is_hard,
        (ActionType::Permit, true) => decision.action == ActionType::Block && by_callout,
        _ => false,
    };
    if overrides {
        verdict.action = decision.action;
        verdict.is_hard = decision.is_hard || verdict.is_veto;
        verdict.filter_id = decision.filter_id;
    }
    verdict.decisions.push(decision);
}

/// Whether a filter is evaluated at all.
fn is_asked(filter: &Filter) -> bool {
    filter.flags & (FILTER_BOOTTIME | FILTER_DISABLED) == 0
}

/// Returns a filter's action on a match, and whether the action is hard (cannot be overridden); `None`
/// continues with the next filter.
///
/// Source: "Filter Arbitration" in the WFP documentation. A filter's own permit is soft and its own
/// block is hard; a callout's action is soft. `FWPM_FILTER_FLAG_CLEAR_ACTION_RIGHT` makes the action
/// hard. The IPsec callouts permit the traffic that they protect, the silent-drop callouts block, and
/// other built-in callouts decide nothing. An unregistered callout blocks, unless it only inspects or
/// its filter has `FWPM_FILTER_FLAG_PERMIT_IF_CALLOUT_UNREGISTERED`.
pub(crate) fn says(filter: &Filter) -> Option<(ActionType, bool)> {
    let clears = filter.flags & FILTER_CLEAR_ACTION_RIGHT != 0;
    match filter.action.kind {
        ActionType::Permit => Some((ActionType::Permit, clears)),
        ActionType::Block => Some((ActionType::Block, true)),
        ActionType::CalloutTerminating | ActionType::CalloutUnknown => {
            let key = filter.action.callout;
            let name = callout::ALL.iter().find(|(other, _)| *other == key).map(|(_, name)| *name);
            match name {
                _ if key == callout::WFP_TRANSPORT_LAYER_V4_SILENT_DROP
                    || key == callout::WFP_TRANSPORT_LAYER_V6_SILENT_DROP =>
                {
                    Some((ActionType::Block, clears))
                }
                Some(name) if name.starts_with("FWPM_CALLOUT_IPSEC_") => Some((ActionType::Permit, clears)),
                Some(_) => None,
                None if filter.flags & FILTER_PERMIT_IF_CALLOUT_UNREGISTERED != 0 => {
                    Some((ActionType::Permit, clears))
                }
                None => Some((ActionType::Block, clears)),
            }
        }
        _ => None,
    }
}

impl SubLayer {
    fn add(&mut self, filter: &Filter) {
        let conditions = Conditions::new(&filter.conditions);
        let keys = keys(&conditions);
        let rule = Arc::new(Rule {
            rank: (u64::MAX - filter.effective_weight, filter.id),
            id: filter.id,
            key: filter.key,
            conditions,
            says: says(filter),
            callout: filter.action.kind.has_callout().then_some(filter.action.callout),
            context: match filter.context {
                FilterContext::ProviderContext(key) => Some(key),
                _ => None,
            },
        });
        for (shape, key) in keys {
            let place = match self.tables.iter().position(|table| table.shape == shape) {
                Some(place) => place,
                None => {
                    self.tables.push(Table { shape, ranks: BTreeSet::new(), rules: HashMap::default() });
                    self.tables.len() - 1
                }
            };
            let table = &mut self.tables[place];
            table.ranks.insert(rule.rank);
            let rules = table.rules.entry(key).or_default();
            let at = rules.partition_point(|other| other.rank < rule.rank);
            if rules.get(at).is_none_or(|other| other.rank != rule.rank) {
                rules.insert(at, Arc::clone(&rule));
            }
        }
        self.order();
    }

    fn remove(&mut self, filter: &Filter) {
        let rank = (u64::MAX - filter.effective_weight, filter.id);
        for (shape, key) in keys(&Conditions::new(&filter.conditions)) {
            let Some(table) = self.tables.iter_mut().find(|table| table.shape == shape) else { continue };
            table.ranks.remove(&rank);
            if let Some(rules) = table.rules.get_mut(&key) {
                rules.retain(|rule| rule.rank != rank);
                if rules.is_empty() {
                    table.rules.remove(&key);
                }
            }
        }
        self.tables.retain(|table| !table.ranks.is_empty());
        self.order();
    }

    fn order(&mut self) {
        // The tables are nearly always sorted already.
        if !self.tables.is_sorted_by_key(Table::best) {
            self.tables.sort_by_key(Table::best);
        }
    }

    /// Returns the decision of the first filter by rank that matches and has an action.
    fn decide(&self, packet: &Packet) -> Option<SubLayerDecision> {
        let mut behind = None;
        loop {
            let rule = self.first_match(packet, behind)?;
            if let Some((action, is_hard)) = rule.says {
                return Some(SubLayerDecision {
                    sublayer: self.key,
                    filter_id: rule.id,
                    filter_key: rule.key,
                    action,
                    callout: rule.callout,
                    provider_context: rule.context,
                    is_hard,
                });
            }
            behind = Some(rule.rank);
        }
    }

    fn first_match(&self, packet: &Packet, behind: Option<Rank>) -> Option<&Rule> {
        let whole = Key::of(packet);
        let mut best: Option<&Rule> = None;
        for table in &self.tables {
            if best.is_some_and(|best| table.best() > best.rank) {
                break;
            }
            let Some(rules) = table.rules.get(&table.shape.of(&whole)) else { continue };
            let later = rules.partition_point(|rule| behind.is_some_and(|behind| rule.rank <= behind));
            for rule in &rules[later..] {
                if best.is_some_and(|best| rule.rank > best.rank) {
                    break;
                }
                if rule.conditions.meet(packet) {
                    best = Some(rule);
                    break;
                }
            }
        }
        best
    }
}

impl Table {
    fn best(&self) -> Rank {
        self.ranks.first().copied().unwrap_or((u64::MAX, u64::MAX))
    }
}

impl Key {
    fn of(packet: &Packet) -> Key {
        Key { addresses: packet.addresses().map(number_of), protocol: packet.protocol, ports: packet.ports() }
    }
}

impl Shape {
    /// Returns the part of a packet's key that a table of this shape uses.
    fn of(self, whole: &Key) -> Key {
        let masked = |place: usize| {
            let free = self.free[place];
            if free >= 128 { 0 } else { whole.addresses[place] >> free << free }
        };
        Key {
            addresses: [masked(0), masked(1)],
            protocol: if self.protocol { whole.protocol } else { 0 },
            ports: [
                if self.ports[0] { whole.ports[0] } else { 0 },
                if self.ports[1] { whole.ports[1] } else { 0 },
            ],
        }
    }
}

/// The alternative values of each field of a filter, as far as tables index them.
struct Alternatives {
    networks: [Vec<(u128, u8)>; 2],
    protocols: Vec<Option<u128>>,
    ports: [Vec<Option<u128>>; 2],
}

impl Alternatives {
    /// Stops indexing by fields, those with the most alternatives first, until at most [`KEYS_MAX`] keys
    /// remain.
    fn reduce(&mut self) {
        loop {
            let mut lists: Vec<usize> = self.networks.iter().map(Vec::len).collect();
            lists.push(self.protocols.len());
            lists.extend(self.ports.iter().map(Vec::len));
            let count = lists.iter().fold(1_usize, |product, len| product.saturating_mul(*len));
            if count <= KEYS_MAX {
                return;
            }
            let longest = lists.iter().max().copied().unwrap_or(0);
            if let Some(list) = self.ports.iter_mut().find(|list| list.len() == longest) {
                *list = vec![None];
            } else if self.protocols.len() == longest {
                self.protocols = vec![None];
            } else if let Some(list) = self.networks.iter_mut().find(|list| list.len() == longest) {
                *list = vec![(0, 128)];
            }
        }
    }
}

/// Returns the tables, by shape, and the keys in them that together cover all packets that meet the
/// conditions.
fn keys(conditions: &Conditions) -> Vec<(Shape, Key)> {
    let networks = [
        addresses(conditions, [condition::IP_LOCAL_ADDRESS, condition::IP_SOURCE_ADDRESS]),
        addresses(conditions, [condition::IP_REMOTE_ADDRESS, condition::IP_DESTINATION_ADDRESS]),
    ];
    let protocols = exact(conditions.of(condition::IP_PROTOCOL));
    let ports =
        [exact(conditions.of(condition::IP_LOCAL_PORT)), exact(conditions.of(condition::IP_REMOTE_PORT))];
    let mut parts = Alternatives { networks, protocols, ports };
    parts.reduce();
    let Alternatives { networks, protocols, ports } = parts;
    let mut keys = Vec::new();
    for first in &networks[0] {
        for second in &networks[1] {
            for protocol in &protocols {
                for first_port in &ports[0] {
                    for second_port in &ports[1] {
                        let port =
                            |port: &Option<u128>| port.and_then(|port| u16::try_from(port).ok()).unwrap_or(0);
                        let shape = Shape {
                            free: [first.1, second.1],
                            protocol: protocol.is_some(),
                            ports: [first_port.is_some(), second_port.is_some()],
                        };
                        let key = Key {
                            addresses: [first.0, second.0],
                            protocol: protocol.and_then(|number| u8::try_from(number).ok()).unwrap_or(0),
                            ports: [port(first_port), port(second_port)],
                        };
                        keys.push((shape, key));
                    }
                }
            }
        }
    }
    keys
}

/// Returns the networks that conditions on an address allow, each as its first address and number of
/// free bits.
fn addresses(conditions: &Conditions, fields: [Guid; 2]) -> Vec<(u128, u8)> {
    let Some((_, tests)) = conditions.fields.iter().find(|(field, _)| fields.contains(field)) else {
        return vec![(0, 128)];
    };
    let mut found = Vec::new();
    for test in tests {
        let Test::Within(low, high) = *test else { return vec![(0, 128)] };
        found.extend(blocks(low, high, 128).into_iter().map(|(start, prefix)| (start, 128 - prefix)));
    }
    found
}

/// Returns the exact values that tests allow; a single `None` stands for any value.
fn exact(tests: &[Test]) -> Vec<Option<u128>> {
    let mut found = Vec::new();
    for test in tests {
        match test {
            Test::Within(low, high) if low == high => found.push(Some(*low)),
            _ => return vec![None],
        }
    }
    if found.is_empty() { vec![None] } else { found }
}
