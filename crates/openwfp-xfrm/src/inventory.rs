//! The known states and policies of a kernel, read from its dumps and kept up to date by its events.
//!
//! States that may belong together share a [`Bucket`]: those between one pair of addresses with one reqid, or with reqids that
//! a policy ties, and those for the same ports whose reqids are their SPIs. After an event only the bucket it affects is paired again.

use crate::dumps::Dumps;
use crate::dumps::Part;
use crate::error;
use crate::map;
use crate::matching::Place;
use crate::matching::Shape;
use crate::matching::Tie;
use crate::matching::ties;
use crate::matching::wants;
use crate::ownership::Ownership;
use crate::ownership::id_of;
use crate::pair;
use crate::pair::Known;
use crate::pair::Pairing;
use crate::pair::policies::Policies;
use crate::pair::policies::Ties;
use crate::pair::policies::Visit;
use crate::table::Facts;
use crate::table::PolicyRecord;
use crate::table::StateIdentity;
use crate::table::StateRecord;
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
use openwfp_api::Direction;
use openwfp_api::HeldKernelPolicy;
use openwfp_api::KernelPolicyChange;
use openwfp_api::Result;
use openwfp_api::SaContext;
use openwfp_api::object::kernel::KernelPolicy;
use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::collections::HashMap;
use std::collections::HashSet;
use std::net::IpAddr;
use std::ops::ControlFlow;
use std::sync::Arc;
use zeroize::Zeroizing;

type Map<K, V> = HashMap<K, V, RandomState>;
type Set<K> = HashSet<K, RandomState>;

/// The states and policies of a kernel, updated by its events.
pub struct Inventory {
    states: Map<StateIdentity, Held>,
    /// States by bucket, oldest first, each with its order number.
    buckets: BTreeMap<Bucket, Vec<(u64, StateIdentity)>>,
    /// In how many states each address is.
    seen: Map<IpAddr, u32>,
    policies: Map<u32, Arc<HeldPolicy>>,
    /// Policies by what their templates want, in the kernel's order.
    asking: Map<Place, Vec<Asking>>,
    /// The shapes of these places, and the number of wants of each.
    shapes: BTreeMap<Shape, usize>,
    ties: Ties,
    /// Larval states without an SPI.
    acquires: Set<StateIdentity>,
    /// The last order number given out. States and policies are numbered in order of creation, as far as
    /// it is known.
    newest: u64,
    /// This machine's addresses.
    pub(crate) own_addresses: HashSet<IpAddr>,
    ownership: Arc<Ownership>,
    pub(crate) changes: Changes,
}

/// A state and its position in the order of creation.
struct Held {
    payload: Zeroizing<Box<[u8]>>,
    facts: Facts,
    order: u64,
}

/// A policy and its position in the order of creation.
pub(crate) struct HeldPolicy {
    payload: Box<[u8]>,
    order: u64,
    ownership: Arc<Ownership>,
}

impl HeldPolicy {
    /// Returns the change that reports a policy; `policy` is what the payload says.
    fn change(self: Arc<HeldPolicy>, policy: &Policy<'_>) -> KernelPolicyChange {
        let place = map::place(policy, self.order);
        KernelPolicyChange { index: policy.index, policy: Some((place, self)) }
    }
}

/// Returns changes that report the policies of a dump.
pub(crate) fn policies_of(dump: &[&[u8]]) -> Vec<KernelPolicyChange> {
    let ownership = Arc::new(Ownership::default());
    let policies = dump.iter().rev().zip(1..).filter_map(|(payload, order)| {
        let policy = Policy::of(payload)?;
        let held = HeldPolicy { payload: (*payload).into(), order, ownership: Arc::clone(&ownership) };
        Some(Arc::new(held).change(&policy))
    });
    policies.collect()
}

impl std::fmt::Debug for HeldPolicy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        Policy::of(&self.payload).fmt(f)
    }
}

impl HeldKernelPolicy for HeldPolicy {
    fn read(&self) -> KernelPolicy {
        // The payload was parsed before.
        let Some(policy) = Policy::of(&self.payload) else { return KernelPolicy::default() };
        let own = self.ownership.uses(&PolicyId::of(&policy));
        map::policy(&policy, self.order, own)
    }
}

/// Key of states that may belong together: the two addresses, the smaller one first, and the reqid or [`Facts::mirror`].
pub(crate) type Bucket = (IpAddr, IpAddr, u32, u64);

/// A template of a policy: the policy's rank and order, which are its place in the kernel's order, its index, and the
/// template's number.
type Asking = ((bool, u32), u64, u32, usize);

/// Changes since they were last taken.
#[derive(Default)]
pub(crate) struct Changes {
    /// New or changed states.
    pub(crate) states: Set<StateIdentity>,
    /// States that no longer exist.
    pub(crate) gone: Map<StateIdentity, Gone>,
    /// Buckets with added, changed or removed states. The value is true if a policy changed, so that all
    /// contexts of the bucket must be rebuilt.
    pub(crate) buckets: Map<Bucket, bool>,
    /// States that reached a soft limit.
    pub(crate) soft: Vec<StateIdentity>,
    /// States with new counters.
    pub(crate) counted: Vec<(StateIdentity, Last)>,
    /// Updated states that must be read again: the event repeats the request, but the kernel keeps its own
    /// counters and times.
    pub(crate) stale: Set<StateIdentity>,
    /// Moves not yet looked up in the kernel.
    pub(crate) moves: Vec<Move>,
    /// Indices of policies that were added, changed or removed.
    pub(crate) policies: Set<u32>,
    /// Old identity of each moved state, by its new one.
    pub(crate) moved: Map<StateIdentity, StateIdentity>,
}

/// A state that no longer exists.
#[derive(Clone, Copy)]
pub(crate) struct Gone {
    pub(crate) facts: Facts,
    pub(crate) last: Option<Last>,
    /// Whether a hard limit ended it.
    pub(crate) expired: bool,
}

impl Changes {
    pub(crate) fn is_empty(&self) -> bool {
        self.states.is_empty()
            && self.gone.is_empty()
            && self.buckets.is_empty()
            && self.soft.is_empty()
            && self.counted.is_empty()
            && self.policies.is_empty()
            && self.moves.is_empty()
            && self.stale.is_empty()
    }
}

impl Default for Inventory {
    /// Returns an empty inventory.
    fn default() -> Inventory {
        Inventory::empty(Arc::default())
    }
}

impl Inventory {
    /// Returns the inventory of `dumps`, updated by the events in them, and whether the kernel flagged a
    /// dump as interrupted.
    ///
    /// `place` returns where a part came from, for error messages.
    ///
    /// # Errors
    /// `RPC_E_INVALID_DATAPACKET`, with place and offset, if the bytes are not complete netlink dumps.
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
        // Also checks that the dumps are complete.
        let (tables, interrupted) = dumps.tables(in_part)?;
        let (states, policies) = (tables.states.len(), tables.policies.len());
        let mut inventory = Inventory::empty(ownership);
        inventory.states.reserve(states);
        inventory.policies.reserve(policies);
        inventory.asking.reserve(policies);
        inventory.own_addresses = dumps.own_addresses().map_err(in_part(Part::Addresses))?;
        // Dumps list the newest first; if a state appears twice, its first entry is the newer one.
        for record in tables.states.iter().rev() {
            inventory.put_state(record.payload(), **record);
        }
        for policy in tables.all_policies.iter().rev() {
            inventory.put_policy(policy);
        }
        for message in Messages::new(&dumps.events) {
            inventory.apply(&message.map_err(in_part(Part::Events))?).map_err(in_part(Part::Events))?;
        }
        Ok((inventory, interrupted))
    }

    /// Applies an event of the kernel.
    ///
    /// # Errors
    /// Returns a [`WireError`] if the message is malformed; the inventory is unchanged then.
    pub fn apply(&mut self, message: &Message<'_>) -> Result<(), WireError> {
        self.take(message, Event::parse(message)?);
        Ok(())
    }

    /// Returns whether an event would undo a pending change, so that neither would ever be reported.
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
            // Consecutive moves are handled together.
            Event::Migrated(_) => {
                !self.changes.states.is_empty()
                    || !self.changes.gone.is_empty()
                    || !self.changes.buckets.is_empty()
            }
            _ => !self.changes.moves.is_empty(),
        }
    }

    /// Applies `event`, which was parsed from `message`.
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
                    // An acquire that timed out (no SPI) is not an SA that reached a limit.
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
                if is_listed(&policy) {
                    self.put_policy(message.payload);
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

    /// Returns an empty inventory.
    pub(crate) fn empty(ownership: Arc<Ownership>) -> Inventory {
        Inventory {
            states: Map::default(),
            buckets: BTreeMap::new(),
            seen: Map::default(),
            policies: Map::default(),
            asking: Map::default(),
            shapes: BTreeMap::new(),
            ties: Ties::default(),
            acquires: Set::default(),
            newest: 0,
            own_addresses: HashSet::new(),
            ownership,
            changes: Changes::default(),
        }
    }

    /// Pairs all states and returns their SA contexts.
    pub fn contexts(&self) -> Vec<SaContext> {
        self.pairing(&self.records()).contexts()
    }

    /// Applies the kernel's answer to a lookup of one state: its payload, or none if it does not exist.
    pub(crate) fn set_state(&mut self, id: &StateIdentity, payload: Option<&[u8]>) -> Result<(), WireError> {
        let Some(payload) = payload else {
            self.drop_state(id, None, false);
            return Ok(());
        };
        let message =
            Message { offset: 0, kind: MessageKind::NewSa, flags: 0, sequence: 0, port: 0, payload };
        self.apply(&message)
    }

    /// Replaces a state that moved by its new payload, which may have another identity.
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
            self.changes.buckets.entry(self.bucket(&before.facts)).or_default();
            if new.identity() != *old {
                self.changes.states.remove(old);
            }
            // Also where the destination stays: the kernel has made a new state.
            self.changes.moved.insert(new.identity(), *old);
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
        let key = self.bucket(&facts);
        // A larval state that gets its keys is another one to the kernel, and the newest.
        let keeps_place = |old: &&Held| self.bucket(&old.facts) == key && old.facts.larval == facts.larval;
        let order = match self.states.get(&identity).filter(keeps_place) {
            Some(old) => old.order,
            None => {
                self.take_out(&identity);
                self.newest += 1;
                self.buckets.entry(key).or_default().push((self.newest, identity));
                for end in [facts.source, facts.destination] {
                    *self.seen.entry(end).or_default() += 1;
                }
                self.newest
            }
        };
        if facts.spi == 0 {
            self.acquires.insert(identity);
        }
        self.states.insert(identity, Held { payload, facts, order });
        self.changes.gone.remove(&identity);
        self.changes.states.insert(identity);
        self.changes.buckets.entry(key).or_default();
    }

    fn drop_state(&mut self, identity: &StateIdentity, last: Option<Last>, expired: bool) {
        if let Some(held) = self.take_out(identity) {
            self.changes.states.remove(identity);
            self.changes.stale.remove(identity);
            self.changes.buckets.entry(self.bucket(&held.facts)).or_default();
            let last = last.or_else(|| State::of(&held.payload).map(|state| Last::of(&state)));
            self.changes.gone.insert(*identity, Gone { facts: held.facts, last, expired });
        }
    }

    fn take_out(&mut self, identity: &StateIdentity) -> Option<Held> {
        let held = self.states.remove(identity)?;
        self.acquires.remove(identity);
        for end in [held.facts.source, held.facts.destination] {
            if let Some(count) = self.seen.get_mut(&end) {
                *count -= 1;
                if *count == 0 {
                    self.seen.remove(&end);
                }
            }
        }
        let key = self.bucket(&held.facts);
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

    /// Removes the larval state that a new SA replaces; the kernel removes it without an event.
    fn drop_answered(&mut self, new: &State<'_>) {
        let is_answered =
            |id: &&StateIdentity| self.states.get(id).is_some_and(|held| held.facts.is_answered_by(new));
        if let Some(answered) = self.acquires.iter().find(is_answered).copied() {
            self.drop_state(&answered, None, false);
        }
    }

    fn put_policy(&mut self, payload: &[u8]) {
        let Some(policy) = Policy::of(payload) else { return };
        self.newest += 1;
        if let Some(record) = PolicyRecord::new(payload, &policy) {
            for tie in ties(&record) {
                self.change_tie(&tie, Ties::add);
            }
            for (number, want) in wants(&record).enumerate() {
                let place = want.place();
                *self.shapes.entry(place.shape).or_default() += 1;
                let asking = (record.rank(), self.newest, policy.index, number);
                let at = self.asking.entry(place).or_default();
                at.insert(at.partition_point(|other| *other < asking), asking);
            }
            self.note_policy(&record);
        }
        self.changes.policies.insert(policy.index);
        let held = HeldPolicy {
            payload: payload.into(),
            order: self.newest,
            ownership: Arc::clone(&self.ownership),
        };
        self.policies.insert(policy.index, Arc::new(held));
    }

    fn drop_policy(&mut self, index: u32) {
        let Some(held) = self.policies.remove(&index) else { return };
        self.changes.policies.insert(index);
        let Some(record) = record(&held.payload) else { return };
        for want in wants(&record) {
            let place = want.place();
            if let Some(count) = self.shapes.get_mut(&place.shape) {
                *count -= 1;
                if *count == 0 {
                    self.shapes.remove(&place.shape);
                }
            }
            if let Some(at) = self.asking.get_mut(&place) {
                // Several templates may share the place; the others find nothing left.
                at.retain(|other| other.2 != index);
                if at.is_empty() {
                    self.asking.remove(&place);
                }
            }
        }
        for tie in ties(&record) {
            self.change_tie(&tie, Ties::remove);
        }
        self.note_policy(&record);
    }

    /// Ties or unties a reqid, and moves its states to the bucket that they are in now.
    fn change_tie(&mut self, tie: &Tie, change: fn(&mut Ties, &Tie)) {
        let (one, other) = tie.hosts;
        let old = (one, other, self.first_reqid(tie.reqid, one, other), 0);
        change(&mut self.ties, tie);
        let new = (one, other, self.first_reqid(tie.reqid, one, other), 0);
        if old == new {
            return;
        }
        let Some(states) = self.buckets.remove(&old) else { return };
        let has_reqid = |(_, identity): &(u64, StateIdentity)| {
            self.states.get(identity).is_some_and(|held| held.facts.reqid == tie.reqid)
        };
        let (moving, staying): (Vec<_>, Vec<_>) = states.into_iter().partition(has_reqid);
        for (key, mut states) in [(old, staying), (new, moving)] {
            if !states.is_empty() {
                let bucket = self.buckets.entry(key).or_default();
                bucket.append(&mut states);
                bucket.sort_unstable();
            }
            self.changes.buckets.insert(key, true);
        }
    }

    /// Marks the buckets that an added or removed policy applies to, so that their contexts are rebuilt.
    fn note_policy(&mut self, record: &PolicyRecord<'_>) {
        let mut noted = Vec::new();
        for want in wants(record) {
            let has_reqid = |(one, other, reqid, mirror): &Bucket| {
                *mirror != 0
                    || want.reqid == 0 && want.direction == Direction::Inbound
                    || *reqid == self.first_reqid(want.reqid, *one, *other)
            };
            match want.hosts() {
                Some((one, other)) => {
                    // A state without a source serves any.
                    let open: IpAddr = match one {
                        IpAddr::V4(_) => std::net::Ipv4Addr::UNSPECIFIED.into(),
                        IpAddr::V6(_) => std::net::Ipv6Addr::UNSPECIFIED.into(),
                    };
                    for (one, other) in [(one, other), (open, one), (open, other)] {
                        noted.extend(self.between(one, other).map(|(bucket, _)| *bucket).filter(has_reqid));
                    }
                }
                None => {
                    let is_meant = |bucket: &Bucket| has_reqid(bucket) && want.is_between(bucket.0, bucket.1);
                    noted.extend(self.buckets.keys().copied().filter(is_meant));
                }
            }
        }
        self.changes.buckets.extend(noted.into_iter().map(|bucket| (bucket, true)));
    }

    /// Takes over what this machine's addresses are now, and marks the buckets whose directions that may change.
    pub(crate) fn set_own_addresses(&mut self, own: HashSet<IpAddr>) {
        let changed: HashSet<IpAddr> = self.own_addresses.symmetric_difference(&own).copied().collect();
        if changed.is_empty() {
            return;
        }
        self.own_addresses = own;
        let concerned =
            self.buckets.keys().filter(|bucket| changed.contains(&bucket.0) || changed.contains(&bucket.1));
        let concerned: Vec<Bucket> = concerned.copied().collect();
        self.changes.buckets.extend(concerned.into_iter().map(|bucket| (bucket, true)));
    }

    /// Returns all states for pairing.
    pub(crate) fn records(&self) -> Vec<StateRecord<'_>> {
        let mut held: Vec<&Held> = self.states.values().collect();
        held.sort_unstable_by_key(|held| Reverse(held.order));
        held.iter().map(|held| StateRecord::new(&held.payload, held.facts)).collect()
    }

    /// Returns the states of one bucket for pairing.
    pub(crate) fn records_of(&self, bucket: &Bucket) -> Vec<StateRecord<'_>> {
        let held = self.buckets.get(bucket).map(Vec::as_slice).unwrap_or_default();
        held.iter()
            .rev()
            .filter_map(|(_, identity)| self.states.get(identity))
            .map(|held| StateRecord::new(&held.payload, held.facts))
            .collect()
    }

    pub(crate) fn pairing<'t>(&'t self, records: &'t [StateRecord<'t>]) -> Pairing<'t, Inventory> {
        let known = Known { own: &self.own_addresses, seen: Some(&self.seen) };
        pair::pairing(records, self, &known)
    }

    /// Returns the buckets of states between two addresses.
    fn between(
        &self,
        one: IpAddr,
        other: IpAddr,
    ) -> impl Iterator<Item = (&Bucket, &Vec<(u64, StateIdentity)>)> {
        let (one, other) = (one.min(other), one.max(other));
        self.buckets.range((one, other, 0, 0)..=(one, other, u32::MAX, u64::MAX))
    }

    /// Returns the bucket of a state.
    pub(crate) fn bucket(&self, facts: &Facts) -> Bucket {
        let (one, other) = (facts.source.min(facts.destination), facts.source.max(facts.destination));
        let reqid = if facts.mirror == 0 { self.first_reqid(facts.reqid, one, other) } else { 0 };
        (one, other, reqid, facts.mirror)
    }

    pub(crate) fn facts(&self, identity: &StateIdentity) -> Option<&Facts> {
        self.states.get(identity).map(|held| &held.facts)
    }

    /// Returns the states of a bucket, oldest first.
    pub(crate) fn in_bucket(&self, bucket: &Bucket) -> impl Iterator<Item = &StateIdentity> {
        self.buckets.get(bucket).into_iter().flatten().map(|(_, identity)| identity)
    }

    /// Returns the number of states.
    pub fn len(&self) -> usize {
        self.states.len()
    }

    /// Returns whether there are no states.
    pub fn is_empty(&self) -> bool {
        self.states.is_empty()
    }

    /// Returns the states that a move applies to.
    pub(crate) fn moving(&self, moved: &Move) -> Vec<StateIdentity> {
        let (source, destination) = moved.from;
        let is_meant = |id: &&StateIdentity| {
            self.facts(id).is_some_and(|facts| {
                (facts.source, facts.destination) == (source, destination)
                    && (facts.protocol.number(), facts.mode) == (moved.protocol, moved.mode)
            })
        };
        let has_reqid = |id: &&StateIdentity| {
            moved.reqid == 0 || self.facts(id).is_some_and(|facts| facts.reqid == moved.reqid)
        };
        let states = self.between(source, destination);
        let states = states.flat_map(|(_, states)| states.iter().map(|(_, identity)| identity));
        states.filter(is_meant).filter(has_reqid).copied().collect()
    }

    /// Returns the change that reports a policy as it is now.
    pub(crate) fn policy_change(&self, index: u32) -> KernelPolicyChange {
        let held = self.policies.get(&index);
        let change = held.and_then(|held| Some(Arc::clone(held).change(&Policy::of(&held.payload)?)));
        change.unwrap_or(KernelPolicyChange { index, policy: None })
    }

    /// Returns changes that report all policies.
    pub fn policies(&self) -> Vec<KernelPolicyChange> {
        self.policies.keys().map(|index| self.policy_change(*index)).collect()
    }

    /// Returns the policies with a template for this reqid between two addresses.
    pub(crate) fn policies_between(&self, reqid: u32, one: IpAddr, other: IpAddr) -> Vec<PolicyId> {
        let places = self.shapes.keys().flat_map(|shape| {
            [shape.place_between(one, other, reqid), shape.place_between(other, one, reqid)]
        });
        let asking = places.flatten().filter_map(|place| self.asking.get(&place)).flatten();
        let mut indices: Vec<u32> = asking.map(|(_, _, index, _)| *index).collect();
        indices.sort_unstable();
        indices.dedup();
        let id = |index: &u32| {
            let policy = Policy::of(&self.policies.get(index)?.payload)?;
            let (mark, if_id) = (policy.mark.unwrap_or_default(), policy.if_id.unwrap_or(0));
            // The low three bits of a policy's index are its direction.
            let direction = u8::try_from(index & 7).unwrap_or(0);
            Some(PolicyId { selector: RawSelector::ANY, index: *index, direction, mark, if_id })
        };
        indices.iter().filter_map(id).collect()
    }

    /// Replaces this inventory by that of a newer listing and records the differences as changes.
    pub(crate) fn renew(&mut self, mut newer: Inventory) {
        let own = std::mem::replace(&mut newer.own_addresses, self.own_addresses.clone());
        // What has to be looked up in the kernel yet.
        let Changes { moves: newer_moves, stale, .. } = std::mem::take(&mut newer.changes);
        for (identity, old) in &self.states {
            let bucket_of = self.bucket(&old.facts);
            match newer.states.get(identity) {
                Some(new) => {
                    let moved = newer.bucket(&new.facts) != bucket_of;
                    if moved || substance(&old.payload) != substance(&new.payload) {
                        newer.changes.states.insert(*identity);
                        newer.changes.buckets.entry(bucket_of).or_default();
                        newer.changes.buckets.entry(newer.bucket(&new.facts)).or_default();
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
                newer.changes.buckets.entry(newer.bucket(&new.facts)).or_default();
            }
        }
        let differs = |one: &Inventory, other: &Inventory| -> Vec<u32> {
            let is_same = |(index, held): &(&u32, &Arc<HeldPolicy>)| {
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
        newer.changes.policies.extend(came.iter().chain(&went));
        newer.keep_places_of(self);
        // Keep earlier changes that were not passed on yet.
        let Changes { gone, states, buckets, soft, counted, moved, policies, .. } =
            std::mem::take(&mut self.changes);
        newer.changes.policies.extend(policies);
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
        (newer.changes.moves, newer.changes.stale) = (newer_moves, stale);
        *self = newer;
        self.set_own_addresses(own);
    }

    /// Gives unchanged policies the places that they had in an older inventory, as far as the kernel's order allows, so that
    /// there is nothing to tell of them.
    fn keep_places_of(&mut self, older: &Inventory) {
        let mut ordered: Vec<(u64, u32)> =
            self.policies.iter().map(|(index, held)| (held.order, *index)).collect();
        ordered.sort_unstable();
        let mut last = 0;
        for (_, index) in ordered {
            let old = older.policies.get(&index).filter(|_| !self.changes.policies.contains(&index));
            let held = match old.filter(|old| old.order > last) {
                Some(old) => Arc::clone(old),
                None => {
                    let payload = self.policies[&index].payload.clone();
                    if old.is_some()
                        && let Some(record) = record(&payload)
                    {
                        self.note_policy(&record);
                    }
                    self.changes.policies.insert(index);
                    Arc::new(HeldPolicy { payload, order: last + 1, ownership: Arc::clone(&self.ownership) })
                }
            };
            last = held.order;
            self.policies.insert(index, held);
        }
        self.newest = self.newest.max(last);
    }
}

/// Returns whether a policy is for all packets and not for those of one socket.
pub(crate) fn is_listed(policy: &Policy<'_>) -> bool {
    !matches!(policy.direction, crate::wire::PolicyDirection::Other(_))
}

/// Returns a state without its counters, for comparison.
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

/// Returns a policy without its counters, for comparison.
fn policy_substance(payload: &[u8]) -> Option<Policy<'_>> {
    Policy::of(payload).map(|policy| Policy { current: [0; 4], ..policy })
}

impl Policies for Inventory {
    fn shapes(&self, each: &mut dyn FnMut(Shape)) {
        self.shapes.keys().copied().for_each(each);
    }

    fn at(&self, place: &Place, visit: &mut Visit<'_>) -> ControlFlow<()> {
        for (_, _, index, number) in self.asking.get(place).into_iter().flatten() {
            let Some(record) = self.policies.get(index).and_then(|held| record(&held.payload)) else {
                continue;
            };
            if let Some(want) = wants(&record).nth(*number) {
                visit(&record, &want)?;
            }
        }
        ControlFlow::Continue(())
    }

    fn all(&self, visit: &mut Visit<'_>) -> ControlFlow<()> {
        let mut records: Vec<(u64, PolicyRecord<'_>)> =
            self.policies.values().filter_map(|held| Some((held.order, record(&held.payload)?))).collect();
        records.sort_by_key(|(order, record)| (record.rank(), *order));
        for (_, record) in &records {
            for want in wants(record) {
                visit(record, &want)?;
            }
        }
        ControlFlow::Continue(())
    }

    fn first_reqid(&self, reqid: u32, source: IpAddr, destination: IpAddr) -> u32 {
        self.ties.first_reqid(reqid, source, destination)
    }
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

    /// A change to the kernel's states or policies.
    #[derive(Clone, Debug)]
    enum Step {
        Put {
            from: u8,
            to: u8,
            spi: u32,
            reqid: u32,
            added: u64,
            mode: u8,
        },
        Delete {
            to: u8,
            spi: u32,
        },
        Expire {
            to: u8,
            spi: u32,
        },
        /// The style of the template: 0 whole, 1 without addresses, 2 without a source, 3 followed by one of another reqid.
        Policy {
            from: u8,
            to: u8,
            reqid: u32,
            index: u32,
            style: u8,
        },
        DeletePolicy {
            index: u32,
        },
        Flush,
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        // One end is always this machine.
        let ends =
            || (1..5_u8, any::<bool>()).prop_map(|(peer, out)| if out { (1, peer) } else { (peer, 1) });
        let step = prop_oneof![
            12 => (ends(), 256..264_u32, 0..3_u32, 0..6_u64, 0..2_u8).prop_map(|((from, to), spi, reqid, added, mode)| {
                Step::Put { from, to, spi, reqid, added, mode }
            }),
            4 => (1..4_u8, 256..264_u32).prop_map(|(to, spi)| Step::Delete { to, spi }),
            1 => (1..4_u8, 256..264_u32).prop_map(|(to, spi)| Step::Expire { to, spi }),
            4 => (1..5_u8, 0..3_u32, 1..6_u32, 0..4_u8).prop_map(|(to, reqid, index, style)| {
                Step::Policy { from: 1, to, reqid, index, style }
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
            Step::Policy { from, to, reqid, index, style } => {
                let ends = match style {
                    1 => ([0; 4].into(), [0; 4].into()),
                    2 => ([0; 4].into(), host(to)),
                    _ => (host(from), host(to)),
                };
                let template = PolicyTemplate {
                    source: ends.0,
                    destination: ends.1,
                    spi: 0,
                    protocol: 50,
                    reqid,
                    mode: 1,
                    optional: false,
                };
                let mut templates = Vec::new();
                template.emit(&mut templates);
                if style == 3 {
                    let open = [0; 4].into();
                    let reqid = (reqid + 1) % 3;
                    PolicyTemplate { source: open, destination: open, reqid, mode: 0, ..template }
                        .emit(&mut templates);
                }
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

    /// Returns the contexts as sorted text, to compare them regardless of their order.
    fn sorted(contexts: &[SaContext]) -> Vec<String> {
        let mut shown: Vec<String> = contexts.iter().map(|context| format!("{context:?}")).collect();
        shown.sort();
        shown
    }

    fn by_buckets(inventory: &Inventory) -> Vec<String> {
        let of = |bucket| inventory.pairing(&inventory.records_of(bucket)).contexts();
        sorted(&inventory.buckets.keys().flat_map(of).collect::<Vec<_>>())
    }

    /// Returns the inventory of a dump that lists the same states, the newest first.
    fn listed(inventory: &Inventory) -> Inventory {
        let mut dumps = Dumps::default();
        let mut policies = Vec::new();
        for record in inventory.records() {
            message(MessageKind::NewSa, record.payload()).emit(&mut dumps.states);
        }
        let mut held: Vec<_> = inventory.policies.values().collect();
        held.sort_unstable_by_key(|held| Reverse(held.order));
        for held in held {
            message(MessageKind::NewPolicy, &held.payload).emit(&mut policies);
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
            // If directions must be guessed, one bucket alone may yield another guess than all states together.
            if !inventory.pairing(&inventory.records()).has_guesses() {
                let whole = sorted(&inventory.contexts());
                prop_assert_eq!(by_buckets(&inventory), whole.clone());
                prop_assert_eq!(sorted(&listed(&inventory).contexts()), whole);
            }
        }

        #[test]
        fn what_two_listings_differ_in_is_what_changed_between_them(
            first in steps(), second in steps(), third in steps(),
        ) {
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
            let in_order = |inventory: &Inventory| -> Vec<u32> {
                let mut places: Vec<_> = inventory.policies.iter().map(|(index, held)| (held.order, *index)).collect();
                places.sort_unstable();
                places.into_iter().map(|(_, index)| index).collect()
            };
            prop_assert_eq!(in_order(&renewed), in_order(&followed));
            let none = listed(&followed);
            renewed.changes = Changes::default();
            renewed.renew(none);
            prop_assert!(renewed.changes.is_empty(), "nothing changed, nothing is told");
            // What follows is understood as before.
            third.iter().for_each(|step| {
                apply(&mut followed, step);
                apply(&mut renewed, step);
            });
            prop_assert_eq!(sorted(&renewed.contexts()), sorted(&followed.contexts()));
            let asked: usize = renewed.asking.values().map(Vec::len).sum();
            prop_assert_eq!(asked, followed.asking.values().map(Vec::len).sum::<usize>());
        }
    }
}
