//! All states and policies of a kernel as far as it has told of them: taken from its dumps, kept up to date by its events.
//!
//! States that may belong together stand in one [`Bucket`]: those of one reqid between one pair of addresses. After an
//! event only its bucket is paired anew.

use crate::dumps::Dumps;
use crate::dumps::Part;
use crate::error;
use crate::ownership::Ownership;
use crate::ownership::id_of;
use crate::pair::Pairing;
use crate::table::ANYWHERE;
use crate::table::Facts;
use crate::table::PolicyRecord;
use crate::table::StateIdentity;
use crate::table::StateRecord;
use crate::table::Tables;
use crate::table::identity;
use crate::wire::Event;
use crate::wire::Last;
use crate::wire::Message;
use crate::wire::MessageKind;
use crate::wire::Messages;
use crate::wire::Move;
use crate::wire::Policy;
use crate::wire::PolicyId;
use crate::wire::RawSelector;
use crate::wire::State;
use crate::wire::WireError;
use foldhash::fast::RandomState;
use openwfp_api::Result;
use openwfp_api::SaContext;
use std::cmp::Reverse;
use std::collections::HashMap;
use std::collections::HashSet;
use std::net::IpAddr;
use std::sync::Arc;
use zeroize::Zeroizing;

type Map<K, V> = HashMap<K, V, RandomState>;
type Set<K> = HashSet<K, RandomState>;

/// The states and policies of a kernel.
pub struct Inventory {
    states: Map<StateIdentity, Held>,
    /// The oldest first.
    buckets: Map<Bucket, Vec<(u64, StateIdentity)>>,
    policies: Map<u32, HeldPolicy>,
    /// The indices of policies by what their templates ask for.
    asking: Map<(IpAddr, IpAddr, u32), Vec<u32>>,
    /// Larval states without an SPI.
    acquires: Set<StateIdentity>,
    /// Numbers in the order of creation, as far as it is known.
    newest: u64,
    /// This machine's addresses.
    pub(crate) own_addresses: HashSet<IpAddr>,
    ownership: Arc<Ownership>,
    pub(crate) changes: Changes,
}

/// A state and where it stands in the order of creation.
struct Held {
    payload: Zeroizing<Box<[u8]>>,
    facts: Facts,
    order: u64,
}

struct HeldPolicy {
    payload: Box<[u8]>,
    order: u64,
}

/// Where states stand that may belong together: reqid, and the two addresses in their order.
pub(crate) type Bucket = (u32, IpAddr, IpAddr);

/// What events have changed since it was last asked.
#[derive(Default)]
pub(crate) struct Changes {
    /// States that are new or changed.
    pub(crate) states: Set<StateIdentity>,
    /// States that are gone.
    pub(crate) gone: Map<StateIdentity, Gone>,
    /// Where states came, changed or went; and whether policies did, so that all contexts are to be made anew.
    pub(crate) buckets: Map<Bucket, bool>,
    /// States near a limit.
    pub(crate) soft: Vec<StateIdentity>,
    /// States that have counted.
    pub(crate) counted: Vec<(StateIdentity, Last)>,
    /// States that were updated: the kernel tells of what it was given, and keeps its own counters and times.
    pub(crate) stale: Set<StateIdentity>,
    /// Moves that are still to be looked into.
    pub(crate) moves: Vec<Move>,
    /// The new identity of a state that moved, and its old one.
    pub(crate) moved: Map<StateIdentity, StateIdentity>,
}

/// A state that is gone.
#[derive(Clone, Copy)]
pub(crate) struct Gone {
    pub(crate) facts: Facts,
    pub(crate) last: Option<Last>,
    /// A hard limit ended it.
    pub(crate) expired: bool,
}

impl Changes {
    pub(crate) fn is_empty(&self) -> bool {
        self.states.is_empty()
            && self.gone.is_empty()
            && self.buckets.is_empty()
            && self.soft.is_empty()
            && self.counted.is_empty()
            && self.moves.is_empty()
            && self.stale.is_empty()
    }
}

impl Default for Inventory {
    /// Nothing.
    fn default() -> Inventory {
        Inventory::empty(Arc::default())
    }
}

impl Inventory {
    /// What dumps hold, brought up to date by the events of the meantime. The second value: whether the kernel said that a
    /// dump was interrupted.
    ///
    /// # Errors
    /// `RPC_E_INVALID_DATAPACKET` with place and offset for bytes that are not whole netlink dumps.
    pub fn from_dumps(dumps: &Dumps, place: impl Fn(Part) -> String) -> Result<(Inventory, bool)> {
        Inventory::owned(dumps, place, Arc::default())
    }

    pub(crate) fn owned(
        dumps: &Dumps,
        place: impl Fn(Part) -> String,
        ownership: Arc<Ownership>,
    ) -> Result<(Inventory, bool)> {
        let in_part = |part| {
            let place = &place;
            move |e: WireError| error::bytes(&place(part), &e)
        };
        // Checks that the dumps are whole, and says whether they were interrupted.
        let (tables, interrupted) = dumps.tables(in_part)?;
        let (states, policies) = (tables.states.len(), tables.policies.len());
        let mut inventory = Inventory::empty(ownership);
        inventory.states.reserve(states);
        inventory.buckets.reserve(states / 2);
        inventory.policies.reserve(policies);
        inventory.asking.reserve(policies);
        inventory.own_addresses = dumps.own_addresses().map_err(in_part(Part::Addresses))?;
        // Dumps come newest first; of what is returned twice the first is the newer.
        for record in tables.states.iter().rev() {
            inventory.put_state(record.payload(), **record);
        }
        for record in tables.policies.iter().rev() {
            inventory.put_policy(record.payload(), record);
        }
        for message in Messages::new(&dumps.events) {
            inventory.apply(&message.map_err(in_part(Part::Events))?).map_err(in_part(Part::Events))?;
        }
        Ok((inventory, interrupted))
    }

    /// Takes over what an event of the kernel tells.
    ///
    /// # Errors
    /// What is wrong with the bytes; nothing is changed then.
    pub fn apply(&mut self, message: &Message<'_>) -> Result<(), WireError> {
        self.take(message, Event::parse(message)?);
        Ok(())
    }

    /// Whether an event would undo what was changed since it was last asked, so that nobody would be told of either.
    pub(crate) fn contradicts(&self, event: &Event<'_>) -> bool {
        match event {
            Event::State(state) => {
                let gone = &self.changes.gone;
                !gone.is_empty() && Facts::of(state).is_some_and(|facts| gone.contains_key(&facts.identity()))
            }
            Event::StateGone(id, _) => self.changes.states.contains(&identity(id, 0)),
            Event::StateExpired { id, sequence, hard: true, .. } => {
                self.changes.states.contains(&identity(id, *sequence))
            }
            Event::StatesFlushed(_) => !self.changes.states.is_empty(),
            // Several moves in a row are one.
            Event::Migrated(_) => {
                !self.changes.states.is_empty()
                    || !self.changes.gone.is_empty()
                    || !self.changes.buckets.is_empty()
            }
            _ => !self.changes.moves.is_empty(),
        }
    }

    /// Takes over an event that was read from this message.
    pub(crate) fn take(&mut self, message: &Message<'_>, event: Event<'_>) {
        match event {
            Event::State(state) => {
                if let Some(facts) = Facts::of(&state) {
                    if facts.spi != 0 {
                        self.drop_answered(&state);
                    }
                    let is_mature = |held: &Held| !held.facts.larval;
                    let identity = facts.identity();
                    if message.kind == MessageKind::UpdSa && self.states.get(&identity).is_some_and(is_mature)
                    {
                        self.changes.stale.insert(identity);
                    }
                    self.put_state(message.payload, facts);
                }
            }
            Event::StateGone(id, last) => self.drop_state(&identity(&id, 0), last, false),
            Event::StateExpired { id, sequence, hard, last } => {
                let identity = identity(&id, sequence);
                if hard {
                    // An acquire that was given up is no SA that reached a limit.
                    self.drop_state(&identity, Some(last), id.spi != 0);
                } else {
                    self.changes.soft.push(identity);
                    self.changes.counted.push((identity, last));
                }
            }
            Event::StatesFlushed(protocol) => {
                let flushed: Vec<_> =
                    self.states.keys().filter(|id| protocol == 0 || id.1 == protocol).copied().collect();
                flushed.iter().for_each(|id| self.drop_state(id, None, false));
            }
            Event::Policy(policy) => {
                self.drop_policy(policy.index);
                if let Some(record) = PolicyRecord::new(message.payload, &policy) {
                    self.put_policy(message.payload, &record);
                }
            }
            Event::PolicyGone(index) => self.drop_policy(index),
            Event::PoliciesFlushed => {
                let all: Vec<u32> = self.policies.keys().copied().collect();
                all.into_iter().for_each(|index| self.drop_policy(index));
            }
            Event::Acquire(acquire) => {
                let mut payload = Zeroizing::new(Vec::new());
                acquire.state.emit(&mut payload);
                if let Some(facts) = Facts::of(&acquire.state) {
                    self.put_state(&payload, facts);
                }
            }
            Event::Migrated(moves) => self.changes.moves.extend(moves),
            Event::Counted(id, last) => self.changes.counted.push((identity(&id, 0), last)),
            Event::Other => {}
        }
    }

    /// Nothing.
    pub(crate) fn empty(ownership: Arc<Ownership>) -> Inventory {
        Inventory {
            states: Map::default(),
            buckets: Map::default(),
            policies: Map::default(),
            asking: Map::default(),
            acquires: Set::default(),
            newest: 0,
            own_addresses: HashSet::new(),
            ownership,
            changes: Changes::default(),
        }
    }

    /// The contexts of all states.
    pub fn contexts(&self) -> Vec<SaContext> {
        self.tables().pairing(&self.own_addresses).contexts()
    }

    /// Takes over what the kernel says of one state now, which no event told: it is there like this, or not.
    pub(crate) fn set_state(&mut self, id: &StateIdentity, payload: Option<&[u8]>) -> Result<(), WireError> {
        let Some(payload) = payload else {
            self.drop_state(id, None, false);
            return Ok(());
        };
        let message =
            Message { offset: 0, kind: MessageKind::NewSa, flags: 0, sequence: 0, port: 0, payload };
        self.apply(&message)
    }

    /// Takes over what a state has become that moved and has another identity since.
    pub(crate) fn move_state(&mut self, old: &StateIdentity, payload: &[u8]) -> Result<(), WireError> {
        let before = self.take_out(old);
        let new = State::of(payload).and_then(|state| Facts::of(&state));
        if let Some(new) = &new {
            self.ownership.rename(old, &new.identity());
            if new.identity() != *old {
                self.ownership.note_gone(&id_of(old), &id_of(&new.identity()));
            }
        }
        self.set_state(old, Some(payload))?;
        if let (Some(before), Some(new)) = (before, new) {
            self.changes.buckets.entry(bucket(&before.facts)).or_default();
            if new.identity() != *old {
                self.changes.states.remove(old);
                self.changes.moved.insert(new.identity(), *old);
            }
        }
        Ok(())
    }

    fn put_state(&mut self, payload: &[u8], mut facts: Facts) {
        let identity = facts.identity();
        if let Some((tie, direction)) = self.ownership.tie(&identity) {
            facts.tie = tie;
            facts.direction = Some(direction);
        }
        let payload = Zeroizing::new(Box::from(payload));
        let order = match self.states.get(&identity) {
            Some(old) if bucket(&old.facts) == bucket(&facts) => old.order,
            old => {
                if old.is_some() {
                    self.take_out(&identity);
                }
                self.newest += 1;
                self.buckets.entry(bucket(&facts)).or_default().push((self.newest, identity));
                self.newest
            }
        };
        if facts.spi == 0 {
            self.acquires.insert(identity);
        }
        self.states.insert(identity, Held { payload, facts, order });
        self.changes.gone.remove(&identity);
        self.changes.states.insert(identity);
        self.changes.buckets.entry(bucket(&facts)).or_default();
    }

    fn drop_state(&mut self, identity: &StateIdentity, last: Option<Last>, expired: bool) {
        if let Some(held) = self.take_out(identity) {
            self.changes.states.remove(identity);
            self.changes.stale.remove(identity);
            self.changes.buckets.entry(bucket(&held.facts)).or_default();
            let last = last.or_else(|| State::of(&held.payload).map(|state| Last::of(&state)));
            self.changes.gone.insert(*identity, Gone { facts: held.facts, last, expired });
        }
    }

    fn take_out(&mut self, identity: &StateIdentity) -> Option<Held> {
        let held = self.states.remove(identity)?;
        self.acquires.remove(identity);
        let key = bucket(&held.facts);
        if let Some(bucket) = self.buckets.get_mut(&key) {
            if let Ok(at) = bucket.binary_search(&(held.order, *identity)) {
                bucket.remove(at);
            }
            if bucket.is_empty() {
                self.buckets.remove(&key);
            }
        }
        Some(held)
    }

    /// The kernel drops the larval state that a new SA answers without a word.
    fn drop_answered(&mut self, new: &State<'_>) {
        let is_answered =
            |id: &&StateIdentity| self.states.get(id).is_some_and(|held| held.facts.is_answered_by(new));
        if let Some(answered) = self.acquires.iter().find(is_answered).copied() {
            self.drop_state(&answered, None, false);
        }
    }

    fn put_policy(&mut self, payload: &[u8], record: &PolicyRecord<'_>) {
        for template in record.templates().iter() {
            let (source, destination) = record.filed_under(&template);
            let at = self.asking.entry((source, destination, template.reqid)).or_default();
            if !at.contains(&record.index) {
                at.push(record.index);
            }
        }
        self.note_policy(record);
        self.newest += 1;
        self.policies.insert(record.index, HeldPolicy { payload: payload.into(), order: self.newest });
    }

    fn drop_policy(&mut self, index: u32) {
        let Some(held) = self.policies.remove(&index) else { return };
        let Some(record) = record(&held.payload) else { return };
        for template in record.templates().iter() {
            let (source, destination) = record.filed_under(&template);
            let key = (source, destination, template.reqid);
            if let Some(at) = self.asking.get_mut(&key) {
                at.retain(|other| *other != index);
                if at.is_empty() {
                    self.asking.remove(&key);
                }
            }
        }
        self.note_policy(&record);
    }

    /// Notes that a policy came or went: the contexts that it may be for are to be made anew.
    fn note_policy(&mut self, record: &PolicyRecord<'_>) {
        for template in record.templates().iter() {
            let (source, destination) = record.filed_under(&template);
            if (source, destination) == (ANYWHERE, ANYWHERE) {
                let of_reqid = self.buckets.keys().filter(|bucket| bucket.0 == template.reqid);
                self.changes.buckets.extend(of_reqid.map(|bucket| (*bucket, true)));
            } else {
                let bucket = between(template.reqid, source, destination);
                if self.buckets.contains_key(&bucket) {
                    self.changes.buckets.insert(bucket, true);
                }
            }
        }
    }

    /// Everything, as pairing wants it.
    pub(crate) fn tables(&self) -> Tables<'_> {
        let mut held: Vec<&Held> = self.states.values().collect();
        held.sort_unstable_by_key(|held| Reverse(held.order));
        let states = held.iter().map(|held| StateRecord::new(&held.payload, held.facts)).collect();
        Tables { states, policies: records(self.policies.values().collect()) }
    }

    /// One bucket, as pairing wants it.
    pub(crate) fn tables_of(&self, bucket: &Bucket) -> Tables<'_> {
        let held = self.buckets.get(bucket).map(Vec::as_slice).unwrap_or_default();
        let states = held
            .iter()
            .rev()
            .filter_map(|(_, identity)| self.states.get(identity))
            .map(|held| StateRecord::new(&held.payload, held.facts))
            .collect();
        let (reqid, one, other) = *bucket;
        let mut indices: Vec<u32> = [(one, other), (other, one), (ANYWHERE, ANYWHERE)]
            .into_iter()
            .filter_map(|(source, destination)| self.asking.get(&(source, destination, reqid)))
            .flatten()
            .copied()
            .collect();
        indices.sort_unstable();
        indices.dedup();
        let policies = indices.iter().filter_map(|index| self.policies.get(index)).collect();
        Tables { states, policies: records(policies) }
    }

    pub(crate) fn pairing<'t>(&self, tables: &'t Tables<'_>) -> Pairing<'t> {
        tables.pairing(&self.own_addresses)
    }

    pub(crate) fn facts(&self, identity: &StateIdentity) -> Option<&Facts> {
        self.states.get(identity).map(|held| &held.facts)
    }

    /// The states of a bucket.
    pub(crate) fn in_bucket(&self, bucket: &Bucket) -> impl Iterator<Item = &StateIdentity> {
        self.buckets.get(bucket).into_iter().flatten().map(|(_, identity)| identity)
    }

    /// How many states there are.
    pub fn len(&self) -> usize {
        self.states.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.states.is_empty()
    }

    /// The states that a move is about.
    pub(crate) fn moving(&self, moved: &Move) -> Vec<StateIdentity> {
        let (source, destination) = moved.from;
        let is_meant = |id: &&StateIdentity| {
            self.facts(id).is_some_and(|facts| {
                (facts.source, facts.destination) == (source, destination)
                    && (facts.protocol.number(), facts.mode) == (moved.protocol, moved.mode)
            })
        };
        if moved.reqid != 0 {
            let bucket = between(moved.reqid, source, destination);
            return self.in_bucket(&bucket).filter(is_meant).copied().collect();
        }
        self.states.keys().filter(is_meant).copied().collect()
    }

    /// The policies that ask for states between two addresses.
    pub(crate) fn policies_between(&self, reqid: u32, one: IpAddr, other: IpAddr) -> Vec<PolicyId> {
        let indices = [(one, other), (other, one)]
            .into_iter()
            .filter_map(|(source, destination)| self.asking.get(&(source, destination, reqid)))
            .flatten();
        let id = |index: &u32| {
            let policy = Policy::of(&self.policies.get(index)?.payload)?;
            let (mark, if_id) = (policy.mark.unwrap_or_default(), policy.if_id.unwrap_or(0));
            // A policy's index says its direction.
            let direction = u8::try_from(index & 7).unwrap_or(0);
            Some(PolicyId { selector: RawSelector::ANY, index: *index, direction, mark, if_id })
        };
        indices.filter_map(id).collect()
    }

    /// Makes this the inventory of a newer listing: what differs are its changes.
    pub(crate) fn renew(&mut self, mut newer: Inventory) {
        newer.changes = Changes::default();
        for (identity, old) in &self.states {
            let bucket_of = bucket(&old.facts);
            match newer.states.get(identity) {
                Some(new) => {
                    let moved = bucket(&new.facts) != bucket_of;
                    if moved || substance(&old.payload) != substance(&new.payload) {
                        newer.changes.states.insert(*identity);
                        newer.changes.buckets.entry(bucket_of).or_default();
                        newer.changes.buckets.entry(bucket(&new.facts)).or_default();
                    }
                }
                None => {
                    let last = State::of(&old.payload).map(|state| Last::of(&state));
                    let gone = Gone { facts: old.facts, last, expired: false };
                    newer.changes.gone.insert(*identity, gone);
                    newer.changes.buckets.entry(bucket_of).or_default();
                }
            }
        }
        for (identity, new) in &newer.states {
            if !self.states.contains_key(identity) {
                newer.changes.states.insert(*identity);
                newer.changes.buckets.entry(bucket(&new.facts)).or_default();
            }
        }
        let differs = |one: &Inventory, other: &Inventory| -> Vec<u32> {
            let is_same = |(index, held): &(&u32, &HeldPolicy)| {
                let other = other.policies.get(index);
                other.is_some_and(|other| policy_substance(&other.payload) == policy_substance(&held.payload))
            };
            one.policies.iter().filter(|entry| !is_same(entry)).map(|(index, _)| *index).collect()
        };
        let came = differs(&newer, self);
        let went = differs(self, &newer);
        let payloads: Vec<Box<[u8]>> = came
            .iter()
            .filter_map(|index| newer.policies.get(index))
            .chain(went.iter().filter_map(|index| self.policies.get(index)))
            .map(|held| held.payload.clone())
            .collect();
        for payload in payloads {
            if let Some(record) = record(&payload) {
                newer.note_policy(&record);
            }
        }
        // What had been told and not yet been passed on goes first.
        let Changes { gone, states, buckets, soft, counted, moved, .. } = std::mem::take(&mut self.changes);
        for (identity, gone) in gone {
            if !newer.states.contains_key(&identity) {
                newer.changes.gone.entry(identity).or_insert(gone);
            }
        }
        newer.changes.states.extend(states.into_iter().filter(|id| newer.states.contains_key(id)));
        for (bucket, anew) in buckets {
            *newer.changes.buckets.entry(bucket).or_default() |= anew;
        }
        newer.changes.soft = soft;
        newer.changes.counted = counted;
        newer.changes.moved = moved;
        *self = newer;
    }
}

/// A state without what it counts.
fn substance(payload: &[u8]) -> Option<State<'_>> {
    State::of(payload).map(|state| State {
        bytes: 0,
        packets: 0,
        first_used: 0,
        replay_window_drops: 0,
        replay_drops: 0,
        integrity_failures: 0,
        replay: None,
        replay_esn: None,
        last_used: None,
        ..state
    })
}

/// A policy without what it counts.
fn policy_substance(payload: &[u8]) -> Option<Policy<'_>> {
    Policy::of(payload).map(|policy| Policy { current: [0; 4], ..policy })
}

pub(crate) fn bucket(facts: &Facts) -> Bucket {
    between(facts.reqid, facts.source, facts.destination)
}

fn between(reqid: u32, one: IpAddr, other: IpAddr) -> Bucket {
    (reqid, one.min(other), one.max(other))
}

/// Policies as pairing wants them, in the order of a dump.
fn records(mut held: Vec<&HeldPolicy>) -> Vec<PolicyRecord<'_>> {
    held.sort_unstable_by_key(|held| Reverse(held.order));
    held.into_iter().filter_map(|held| record(&held.payload)).collect()
}

fn record(payload: &[u8]) -> Option<PolicyRecord<'_>> {
    PolicyRecord::new(payload, &Policy::of(payload)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Algorithm;
    use crate::wire::PolicyDirection;
    use crate::wire::PolicyTemplate;
    use crate::wire::Templates;
    use crate::wire::TruncatedAuth;
    use proptest::prelude::*;

    fn message(kind: MessageKind, payload: &[u8]) -> Message<'_> {
        Message { offset: 0, kind, flags: 0, sequence: 0, port: 0, payload }
    }

    fn host(number: u8) -> IpAddr {
        [10, 0, 0, number].into()
    }

    /// What a kernel may be told to do.
    #[derive(Clone, Debug)]
    enum Step {
        Put { from: u8, to: u8, spi: u32, reqid: u32, added: u64, mode: u8 },
        Delete { to: u8, spi: u32 },
        Expire { to: u8, spi: u32 },
        Policy { from: u8, to: u8, reqid: u32, index: u32, wildcard: bool },
        DeletePolicy { index: u32 },
        Flush,
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        // One end is this machine's.
        let ends =
            || (1..5_u8, any::<bool>()).prop_map(|(peer, out)| if out { (1, peer) } else { (peer, 1) });
        let step = prop_oneof![
            12 => (ends(), 256..264_u32, 0..3_u32, 0..6_u64, 0..2_u8).prop_map(|((from, to), spi, reqid, added, mode)| {
                Step::Put { from, to, spi, reqid, added, mode }
            }),
            4 => (1..4_u8, 256..264_u32).prop_map(|(to, spi)| Step::Delete { to, spi }),
            1 => (1..4_u8, 256..264_u32).prop_map(|(to, spi)| Step::Expire { to, spi }),
            4 => (1..5_u8, 0..3_u32, 1..6_u32, any::<bool>()).prop_map(|(to, reqid, index, wildcard)| {
                Step::Policy { from: 1, to, reqid, index, wildcard }
            }),
            2 => (1..6_u32).prop_map(|index| Step::DeletePolicy { index }),
            1 => Just(Step::Flush),
        ];
        prop::collection::vec(step, 1..60)
    }

    fn state(from: u8, to: u8, spi: u32) -> State<'static> {
        let algorithm = Algorithm { name: "rfc4106(gcm(aes))", key_bits: 160, key: &[7; 20] };
        let aead = Some(TruncatedAuth { algorithm, icv_bits: 128 });
        State { aead, ..State::new(host(from), host(to), 50, spi) }
    }

    fn apply(inventory: &mut Inventory, step: &Step) {
        let mut payload = Vec::new();
        let kind = match *step {
            Step::Put { from, to, spi, reqid, added, mode } => {
                State { reqid, added, mode, ..state(from, to, spi) }.emit(&mut payload);
                MessageKind::NewSa
            }
            Step::Delete { to, spi } => {
                let id = crate::wire::SaId { destination: host(to), spi, protocol: 50, mark: (0, 0) };
                id.emit(&mut payload);
                MessageKind::DelSa
            }
            Step::Expire { to, spi } => {
                state(1, to, spi).emit(&mut payload);
                payload.truncate(224);
                payload.extend_from_slice(&[1, 0, 0, 0, 0, 0, 0, 0]);
                MessageKind::Expire
            }
            Step::Policy { from, to, reqid, index, wildcard } => {
                let ends = if wildcard { ([0; 4].into(), [0; 4].into()) } else { (host(from), host(to)) };
                let template = PolicyTemplate {
                    source: ends.0,
                    destination: ends.1,
                    spi: 0,
                    protocol: 50,
                    reqid,
                    mode: 1,
                };
                let mut templates = Vec::new();
                template.emit(&mut templates);
                let address = |number: u8| {
                    let mut bytes = [0; 16];
                    bytes[..4].copy_from_slice(&[10, 0, 0, number]);
                    bytes
                };
                let selector = RawSelector {
                    family: 2,
                    source: address(from),
                    destination: address(to),
                    source_prefix: 32,
                    destination_prefix: 32,
                    ..RawSelector::ANY
                };
                let templates = Templates::parse(&templates).unwrap();
                Policy::new(selector, PolicyDirection::Out, index * 8 + 1, templates).emit(&mut payload);
                MessageKind::NewPolicy
            }
            Step::DeletePolicy { index } => {
                inventory.drop_policy(index * 8 + 1);
                return;
            }
            Step::Flush => {
                payload.extend_from_slice(&[255, 0, 0, 0]);
                MessageKind::FlushSa
            }
        };
        inventory.apply(&message(kind, &payload)).unwrap();
    }

    /// Contexts in an order of their own.
    fn sorted(contexts: &[SaContext]) -> Vec<String> {
        let mut shown: Vec<String> = contexts.iter().map(|context| format!("{context:?}")).collect();
        shown.sort();
        shown
    }

    fn by_buckets(inventory: &Inventory) -> Vec<String> {
        let of = |bucket| inventory.pairing(&inventory.tables_of(bucket)).contexts();
        sorted(&inventory.buckets.keys().flat_map(of).collect::<Vec<_>>())
    }

    /// The contexts of a dump that lists the states in the order of their creation, the newest first.
    fn listed(inventory: &Inventory) -> Inventory {
        let mut dumps = Dumps::default();
        let mut policies = Vec::new();
        let tables = inventory.tables();
        for record in &tables.states {
            message(MessageKind::NewSa, record.payload()).emit(&mut dumps.states);
        }
        for record in &tables.policies {
            message(MessageKind::NewPolicy, record.payload()).emit(&mut policies);
        }
        message(MessageKind::Done, &[0; 4]).emit(&mut dumps.states);
        message(MessageKind::Done, &[0; 4]).emit(&mut policies);
        dumps.policies = Some(policies);
        let (mut fresh, interrupted) = Inventory::from_dumps(&dumps, |part| format!("{part:?}")).unwrap();
        assert!(!interrupted);
        fresh.own_addresses.clone_from(&inventory.own_addresses);
        fresh
    }

    fn empty() -> Inventory {
        let mut inventory = Inventory::empty(Arc::default());
        inventory.own_addresses.insert(host(1));
        inventory
    }

    proptest! {
        #[test]
        fn buckets_hold_what_a_whole_listing_would(steps in steps()) {
            let mut inventory = empty();
            for step in &steps {
                apply(&mut inventory, step);
            }
            // Where nothing tells which address is whose, a bucket alone may guess otherwise than all together.
            if !inventory.pairing(&inventory.tables()).has_guesses() {
                let whole = sorted(&inventory.contexts());
                prop_assert_eq!(by_buckets(&inventory), whole.clone());
                prop_assert_eq!(sorted(&listed(&inventory).contexts()), whole);
            }
        }

        #[test]
        fn what_two_listings_differ_in_is_what_changed_between_them(first in steps(), second in steps()) {
            let mut followed = empty();
            first.iter().for_each(|step| apply(&mut followed, step));
            let before = listed(&followed);
            second.iter().for_each(|step| apply(&mut followed, step));
            let after = listed(&followed);
            let (old, new) = (before.states.keys().copied().collect::<Set<_>>(), after.states.keys().copied().collect());
            let mut renewed = before;
            renewed.changes = Changes::default();
            renewed.renew(after);
            let gone: Set<_> = renewed.changes.gone.keys().copied().collect();
            prop_assert_eq!(gone, old.difference(&new).copied().collect::<Set<_>>());
            prop_assert!(new.difference(&old).all(|came| renewed.changes.states.contains(came)));
            prop_assert_eq!(sorted(&renewed.contexts()), sorted(&listed(&followed).contexts()));
            let none = listed(&followed);
            renewed.changes = Changes::default();
            renewed.renew(none);
            prop_assert!(renewed.changes.is_empty(), "nothing changed, nothing is told");
        }
    }
}
