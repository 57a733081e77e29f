//! Follows the kernel: turns its events into changes for the engine, one bucket of states at a time.
//!
//! If events are lost or cannot be parsed, the follower lists the kernel again and reports the
//! differences. A context keeps its id as long as one of its states exists.

use super::Kernel;
use super::Options;
use super::of_the_kernel;
use super::socket::AddressEvents;
use super::socket::Drained;
use super::socket::Groups;
use super::statistics::Counters;
use super::statistics::dropped_between;
use super::worker::Worker;
use crate::inventory::Bucket;
use crate::inventory::Changes;
use crate::inventory::Gone;
use crate::inventory::Inventory;
use crate::ownership::Asked;
use crate::ownership::Ownership;
use crate::ownership::id_of;
use crate::pair::Pairing;
use crate::table::Facts;
use crate::table::StateIdentity;
use crate::wire::Event;
use crate::wire::Last;
use crate::wire::Message;
use crate::wire::MessageKind;
use crate::wire::Messages;
use crate::wire::Move;
use crate::wire::WireError;
use foldhash::fast::RandomState;
use nix::poll::PollFd;
use nix::poll::PollFlags;
use nix::poll::PollTimeout;
use nix::sys::eventfd::EventFd;
use nix::sys::inotify::AddWatchFlags;
use nix::sys::inotify::InitFlags;
use nix::sys::inotify::Inotify;
use openwfp_api::Completeness;
use openwfp_api::CounterUpdate;
use openwfp_api::Direction;
use openwfp_api::Error;
use openwfp_api::Mirror;
use openwfp_api::MirrorChange;
use openwfp_api::Result;
use openwfp_api::SaContext;
use openwfp_api::SaContextId;
use openwfp_api::Spi;
use openwfp_api::object::net_event::NetEvent;
use openwfp_api::object::net_event::NetEventDetail;
use std::collections::HashMap;
use std::collections::HashSet;
use std::net::IpAddr;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::Duration;
use std::time::Instant;
use zeroize::Zeroizing;

/// Number of attempts to get a complete listing before an incomplete one is passed on.
const ATTEMPTS_MAX: u32 = 5;
/// Pause after the first incomplete attempt; it doubles after each further one.
const PAUSE: Duration = Duration::from_millis(20);
/// Delay before the kernel is listed again after an incomplete listing or an error.
const RETRY: Duration = Duration::from_secs(1);
/// Maximum bytes of events to buffer before their changes are passed on.
const EVENT_BYTES: usize = 256 * 1024;
/// Changes that follow within this time are passed on together.
const GATHER: Duration = Duration::from_millis(5);
/// Maximum extra delay after a slow round, which lets more changes collect for the next one.
const GATHER_MAX: Duration = Duration::from_millis(40);
/// How long to wait for more moves after one.
const MOVES_GATHER: Duration = Duration::from_millis(50);
/// Number of states whose counters are read before events are checked again.
const COUNTED_AT_A_TIME: usize = 128;
/// The pause after a sweep of all counters is at least this many times as long as the sweep.
const COUNTING_SHARE: u32 = 20;
/// Time between two reads of the drop counters; there is at most one net event of each kind in it.
const DROPS_INTERVAL: Duration = Duration::from_secs(1);

type Map<K, V> = HashMap<K, V, RandomState>;

/// The context that a state belongs to.
#[derive(Clone, Copy)]
struct Owner {
    id: SaContextId,
    direction: Direction,
    /// Whether the context shows this state's counters.
    counts: bool,
    /// Number of states of the context.
    members: usize,
}

/// A state of a context: identity, direction, and whether the context shows its counters.
type Member = (StateIdentity, Direction, bool);

struct Following {
    kernel: Arc<Kernel>,
    groups: Groups,
    address_events: AddressEvents,
    options: Options,
    ownership: Arc<Ownership>,
    mirror: Box<dyn Mirror>,
    inventory: Inventory,
    owners: Map<StateIdentity, Owner>,
    /// Contexts of which an SA has reached a hard limit, which the engine has been told.
    expired: HashSet<SaContextId>,
    completeness: Completeness,
    events: Zeroizing<Vec<u8>>,
    /// When to list the kernel again, if necessary.
    relist_at: Option<Instant>,
    count_at: Instant,
    counting: Vec<StateIdentity>,
    counting_began: Instant,
    drops_at: Instant,
    /// The drop counters when they were last read.
    dropped: Counters,
    /// Number of listings taken.
    listings: u64,
}

/// Why a round failed.
enum End {
    /// The engine no longer accepts changes; the thread ends.
    NoEngine,
    /// An error of the kernel; the follower lists it again later.
    Kernel(Error),
}

impl From<Error> for End {
    fn from(error: Error) -> End {
        End::Kernel(error)
    }
}

/// Lists the kernel's SAs to the engine and starts the thread that follows them.
pub(super) fn start(
    kernel: Arc<Kernel>,
    ownership: Arc<Ownership>,
    options: Options,
    mirror: Box<dyn Mirror>,
) -> Result<Worker> {
    let mut following = Following::begin(kernel, ownership, options, mirror)?;
    Worker::start("openwfp-xfrm", move |stop| following.run(stop))
}

impl Following {
    fn begin(
        kernel: Arc<Kernel>,
        ownership: Arc<Ownership>,
        options: Options,
        mirror: Box<dyn Mirror>,
    ) -> Result<Following> {
        let groups = kernel.groups(&options)?;
        let address_events = kernel.address_events()?;
        let now = Instant::now();
        let (inventory, completeness, listings) = list(&kernel, &groups, &ownership)?;
        let mut following = Following {
            drops_at: now + DROPS_INTERVAL,
            dropped: kernel.drop_counters(),
            kernel,
            groups,
            count_at: now + options.counter_interval,
            options,
            ownership,
            mirror,
            inventory,
            owners: Map::default(),
            expired: HashSet::new(),
            relist_at: (completeness != Completeness::Whole).then(|| now + RETRY),
            completeness,
            events: Zeroizing::new(Vec::new()),
            address_events,
            counting: Vec::new(),
            counting_began: now,
            listings,
        };
        following.tell_all()?;
        Ok(following)
    }

    /// Passes all contexts to the engine for the first time.
    fn tell_all(&mut self) -> Result {
        let records = self.inventory.records();
        let pairing = self.inventory.pairing(&records);
        let mut contexts = pairing.contexts();
        contexts.iter_mut().zip(0..).for_each(|(context, unit)| self.name_policy(context, &pairing, unit));
        let count = contexts.len();
        let ids = self.mirror.replace(contexts, self.completeness.clone())?;
        let mut owners = Map::default();
        for (unit, id) in ids.iter().enumerate() {
            let members: Vec<Member> = members(&pairing, unit);
            note_acquire(&self.ownership, *id, &pairing, unit);
            insert_owners(&mut owners, *id, &members);
        }
        drop(pairing);
        self.owners = owners;
        self.mirror.change_policies(self.inventory.policies())?;
        // What happened during the listing may have to be looked up in the kernel yet.
        let Changes { moves, stale, .. } = std::mem::take(&mut self.inventory.changes);
        (self.inventory.changes.moves, self.inventory.changes.stale) = (moves, stale);
        tracing::info!(states = self.inventory.len(), contexts = count, "listed the kernel's SAs");
        Ok(())
    }

    fn run(&mut self, stop: &EventFd) {
        let mut watched = self.watch_names();
        let mut ended = Instant::now();
        loop {
            match self.wait(stop, watched.as_ref()) {
                Ok(true) => return,
                Ok(false) => {}
                Err(errno) => {
                    tracing::error!("cannot wait for the kernel's events: {errno}");
                    std::thread::sleep(RETRY);
                }
            }
            if let Some(watched) = &watched {
                let _ = watched.read_events();
            }
            if !self.kernel.is_still_there() {
                if !self.outlive(stop) {
                    return;
                }
                watched = self.watch_names();
            }
            // Pass on a single change after a quiet time at once; collect changes that follow closely.
            if ended.elapsed() < GATHER && self.counting.is_empty() {
                std::thread::sleep(GATHER);
            }
            let begun = Instant::now();
            match self.round() {
                Ok(()) => {}
                Err(End::NoEngine) => return,
                Err(End::Kernel(error)) => {
                    tracing::error!(%error, "cannot follow the kernel");
                    self.relist_at = Some(Instant::now() + RETRY);
                }
            }
            // Pass changes on less often if that is expensive.
            let took = begun.elapsed();
            if took > Duration::from_millis(2) && self.counting.is_empty() {
                std::thread::sleep(took.min(GATHER_MAX));
            }
            ended = Instant::now();
        }
    }

    /// Watches for network namespaces being created and deleted.
    fn watch_names(&self) -> Option<Inotify> {
        let path = self.kernel.namespace.path()?;
        let inotify = Inotify::init(InitFlags::IN_CLOEXEC | InitFlags::IN_NONBLOCK).ok()?;
        let what = AddWatchFlags::IN_CREATE | AddWatchFlags::IN_DELETE | AddWatchFlags::IN_MOVED_TO;
        inotify.add_watch(path.parent()?, what).ok()?;
        Some(inotify)
    }

    /// Waits until there is something to do; returns true if the thread is to stop.
    fn wait(&self, stop: &EventFd, watched: Option<&Inotify>) -> nix::Result<bool> {
        let now = Instant::now();
        let mut until = self.relist_at.map_or(self.count_at, |at| at.min(self.count_at));
        if self.inventory.is_empty() && self.relist_at.is_none() {
            // Without states there are no counters to read.
            until = now + Duration::from_secs(3600);
        }
        if !self.counting.is_empty() {
            until = now;
        }
        if !self.dropped.is_empty() {
            until = until.min(self.drops_at);
        }
        let mut left = until.saturating_duration_since(now);
        // Whether another process still exists can only be found by polling.
        if matches!(self.kernel.namespace, super::Namespace::Process(_)) {
            left = left.min(RETRY);
        }
        let mut polled = vec![
            PollFd::new(stop.as_fd(), PollFlags::POLLIN),
            PollFd::new(self.groups.as_fd(), PollFlags::POLLIN),
            PollFd::new(self.address_events.as_fd(), PollFlags::POLLIN),
        ];
        if let Some(watched) = watched {
            polled.push(PollFd::new(watched.as_fd(), PollFlags::POLLIN));
        }
        let milliseconds = u32::try_from(left.as_millis() + u128::from(!left.is_zero())).unwrap_or(u32::MAX);
        match nix::poll::poll(&mut polled, PollTimeout::try_from(milliseconds).unwrap_or(PollTimeout::MAX)) {
            Ok(_) | Err(nix::errno::Errno::EINTR) => Ok(polled[0].any().unwrap_or(false)),
            Err(errno) => Err(errno),
        }
    }

    /// One round: applies events, lists the kernel if due, reads counters if due.
    fn round(&mut self) -> Result<(), End> {
        if self.address_events.drain() {
            let own = self.kernel.addresses()?;
            self.inventory.set_own_addresses(own);
        }
        let mut moves = 0;
        loop {
            let mut events = std::mem::take(&mut self.events);
            events.clear();
            let drained = self.groups.drain(&mut events, EVENT_BYTES);
            let taken = self.take(&events);
            self.events = events;
            match drained? {
                Drained::Lost(why) => {
                    taken?;
                    self.relist(&why)?;
                }
                Drained::More => taken?,
                Drained::All => {
                    taken?;
                    // A daemon moves the directions of an SA one by one.
                    if self.inventory.changes.moves.len() > moves {
                        moves = self.inventory.changes.moves.len();
                        std::thread::sleep(MOVES_GATHER);
                        continue;
                    }
                    self.flush()?;
                    break;
                }
            }
            self.flush()?;
        }
        if self.relist_at.is_some_and(|at| at <= Instant::now()) {
            self.relist("the last listing was incomplete")?;
        }
        self.report_drops()?;
        self.count()
    }

    /// Reports what the kernel has dropped since the last time, if it is time to look.
    fn report_drops(&mut self) -> Result<(), End> {
        let now = Instant::now();
        if now < self.drops_at {
            return Ok(());
        }
        self.drops_at = now + DROPS_INTERVAL;
        let counters = self.kernel.drop_counters();
        for drop in dropped_between(&self.dropped, &counters) {
            let event = NetEvent { detail: NetEventDetail::IpsecDrop(drop), ..NetEvent::default() };
            self.mirror.report(event).map_err(|_| End::NoEngine)?;
        }
        self.dropped = counters;
        Ok(())
    }

    /// Applies events to the inventory. Before an event that would undo a pending change, it passes the
    /// pending changes on.
    fn take(&mut self, events: &[u8]) -> Result<(), End> {
        for message in Messages::new(events) {
            if let Err(error) = self.take_one(&message) {
                self.relist(&error.to_string())?;
            }
        }
        Ok(())
    }

    fn take_one(&mut self, message: &Result<Message<'_>, WireError>) -> Result<(), Error> {
        let at = |error: &WireError| crate::error::bytes("the kernel's events", error);
        let message = message.as_ref().map_err(at)?;
        let event = Event::parse(message).map_err(|e| at(&e))?;
        if self.inventory.contradicts(&event) {
            match self.flush() {
                Ok(()) | Err(End::NoEngine) => {}
                Err(End::Kernel(error)) => return Err(error),
            }
        }
        self.inventory.take(message, event);
        Ok(())
    }

    /// Lists the kernel again and reports the differences to the engine.
    fn relist(&mut self, why: &str) -> Result<(), End> {
        tracing::warn!(why, "listing the kernel's SAs again");
        let (newer, completeness, listings) = list(&self.kernel, &self.groups, &self.ownership)?;
        self.listings += listings;
        self.relist_at = (completeness != Completeness::Whole).then(|| Instant::now() + RETRY);
        self.completeness = completeness;
        self.inventory.renew(newer);
        self.flush()?;
        let missing: Vec<_> = self
            .ownership
            .installed()
            .into_iter()
            .filter(|(identity, ..)| self.inventory.facts(identity).is_none())
            .collect();
        let mut told = Vec::new();
        for (identity, id, direction) in missing {
            told.extend(self.lost(&identity, id, direction, false, None)?);
        }
        self.mirror.apply(told, self.completeness.clone()).map_err(|_| End::NoEngine)?;
        tracing::info!(states = self.inventory.len(), listings = self.listings, "listed the kernel's SAs");
        Ok(())
    }

    /// Passes the pending changes to the engine.
    fn flush(&mut self) -> Result<(), End> {
        self.look_into_moves()?;
        self.look_at_updated()?;
        if self.inventory.changes.is_empty() {
            return Ok(());
        }
        let changes = std::mem::take(&mut self.inventory.changes);
        self.tell_policies(&changes)?;
        let mut told = Vec::new();
        for (new, old) in &changes.moved {
            if let Some(owner) = self.owners.remove(old) {
                // The kernel has made a new state, with the SA's time of addition but without its counters.
                if owner.counts {
                    told.push(MirrorChange::Restarted { id: owner.id, direction: owner.direction });
                }
                self.owners.insert(*new, owner);
            }
        }
        for identity in &changes.soft {
            told.extend(self.owners.get(identity).map(|owner| MirrorChange::SoftExpired { id: owner.id }));
        }
        let leaving = self.tell_gone(&changes, &mut told)?;
        let mut batch = Batch { told, puts: Vec::new(), claimed: HashSet::new(), before: HashSet::new() };
        batch.before.extend(leaving.keys());
        for (bucket, anew) in &changes.buckets {
            self.tell_bucket(bucket, *anew, &changes, &leaving, &mut batch);
        }
        let Batch { mut told, puts, claimed, before } = batch;
        let mut leaving = leaving;
        for id in before.difference(&claimed) {
            let counters = leaving.remove(id).unwrap_or_default();
            told.push(MirrorChange::Remove { id: *id, counters });
            self.expired.remove(id);
        }
        let ids = self.mirror.apply(told, self.completeness.clone()).map_err(|_| End::NoEngine)?;
        for ((members, asked), id) in puts.iter().zip(ids) {
            insert_owners(&mut self.owners, id, members);
            if let Some(asked) = asked {
                self.ownership.note_acquire(id, *asked);
            }
        }
        let counted: Vec<StateIdentity> = changes.counted.iter().map(|(identity, _)| *identity).collect();
        self.refresh(&counted)
    }

    /// Handles states that no longer exist. Those that the engine installed are reported as lost. Others
    /// leave their contexts, which are returned with their last counters.
    fn tell_gone(
        &mut self,
        changes: &Changes,
        told: &mut Vec<MirrorChange>,
    ) -> Result<Map<SaContextId, Vec<CounterUpdate>>, End> {
        let mut leaving: Map<SaContextId, Vec<CounterUpdate>> = Map::default();
        for (identity, gone) in &changes.gone {
            let owner = self.owners.remove(identity);
            let Gone { facts, last, expired } = gone;
            match (Ownership::context_of(facts.tie), owner) {
                (Some(id), _) => {
                    let direction = facts.direction.unwrap_or(Direction::Outbound);
                    let counters = owner.zip(*last).and_then(|(owner, last)| update(&owner, identity, last));
                    let expired = *expired && self.expired.insert(id);
                    told.extend(self.lost(identity, id, direction, expired, counters)?);
                }
                // The acquire's context is being keyed through the API.
                (None, Some(owner)) if self.ownership.has_context(owner.id) => {}
                (None, Some(owner)) => {
                    let last = last.and_then(|last| update(&owner, identity, last));
                    if *expired && self.expired.insert(owner.id) {
                        told.push(MirrorChange::Counted(last.into_iter().collect()));
                        told.push(MirrorChange::HardExpired { id: owner.id });
                    }
                    if facts.tie != 0 {
                        self.kernel.drop_policies(&self.ownership.forget([*identity]));
                    }
                    leaving.entry(owner.id).or_default().extend(last);
                }
                (None, None) => {}
            }
        }
        Ok(leaving)
    }

    /// Returns the change for a state of the engine's that is gone from the kernel. Returns none if the
    /// engine itself removed or moved it, or if it exists again.
    fn lost(
        &self,
        identity: &StateIdentity,
        id: SaContextId,
        direction: Direction,
        expired: bool,
        counters: Option<CounterUpdate>,
    ) -> Result<Option<MirrorChange>, End> {
        if !self.ownership.is_settled(identity)
            || self.kernel.last(&[id_of(identity)])?.first().is_some_and(Option::is_some)
        {
            return Ok(None);
        }
        self.kernel.drop_policies(&self.ownership.forget([*identity]));
        let Some(spi) = Spi::new(identity.2) else { return Ok(None) };
        Ok(Some(MirrorChange::Lost { id, direction, spi, expired, counters }))
    }

    /// Pairs the states of a bucket again and adds the changed contexts to `batch`.
    fn tell_bucket(
        &mut self,
        bucket: &Bucket,
        anew: bool,
        changes: &Changes,
        leaving: &Map<SaContextId, Vec<CounterUpdate>>,
        batch: &mut Batch,
    ) {
        let records = self.inventory.records_of(bucket);
        let pairing = self.inventory.pairing(&records);
        for identity in self.inventory.in_bucket(bucket) {
            batch.before.extend(self.owners.get(identity).map(|owner| owner.id));
        }
        for unit in 0..pairing.len() {
            let members = members(&pairing, unit);
            let has_changed = anew || members.iter().any(|(identity, ..)| changes.states.contains(identity));
            let tie = pairing.members(unit).map(|(facts, ..)| facts.tie).next().unwrap_or(0);
            if let Some(id) = Ownership::context_of(tie) {
                batch.claimed.insert(id);
                insert_owners(&mut self.owners, id, &members);
                if has_changed && let Some(context) = pairing.context(unit) {
                    batch.told.push(MirrorChange::Refresh { id, context: Box::new(context) });
                }
                continue;
            }
            let owners = || members.iter().filter_map(|(identity, ..)| self.owners.get(identity));
            // If states of several contexts are now one context, keep the oldest id.
            let id = owners().map(|owner| owner.id).filter(|id| !batch.claimed.contains(id)).min();
            batch.claimed.extend(id);
            let is_same = id.is_some_and(|id| {
                !leaving.contains_key(&id)
                    && owners().count() == members.len()
                    && owners().all(|owner| owner.id == id && owner.members == members.len())
                    && owners().zip(&members).all(|(owner, (_, direction, _))| owner.direction == *direction)
            });
            if (!is_same || has_changed)
                && let Some(mut context) = pairing.context(unit)
            {
                self.name_policy(&mut context, &pairing, unit);
                if let Some(counters) = id.and_then(|id| leaving.get(&id)).filter(|last| !last.is_empty()) {
                    batch.told.push(MirrorChange::Counted(counters.clone()));
                }
                batch.told.push(MirrorChange::Put { id, context: Box::new(context) });
                batch.puts.push((members, asked(&pairing, unit)));
            }
        }
    }

    /// Passes changed policies to the engine.
    fn tell_policies(&self, changes: &Changes) -> Result<(), End> {
        if changes.policies.is_empty() {
            return Ok(());
        }
        let changed = changes.policies.iter().map(|index| self.inventory.policy_change(*index)).collect();
        self.mirror.change_policies(changed).map_err(|_| End::NoEngine)
    }

    /// Sets the policy of an acquire to the engine's own one, if it is a packet of it that needs an SA. For other policies it
    /// is the kernel's index.
    fn name_policy(&self, context: &mut SaContext, pairing: &Pairing<'_, Inventory>, unit: usize) {
        if context.acquire().is_some()
            && let Some(asked) = asked(pairing, unit)
            && let Some(policy) = self.ownership.policy_with(asked.reqid)
            && let Some(reservation) = &mut context.reservation
        {
            Arc::make_mut(reservation).outbound_filter_id = policy;
        }
    }

    /// Looks up moved states and policies in the kernel.
    fn look_into_moves(&mut self) -> Result<(), End> {
        let mut moves = std::mem::take(&mut self.inventory.changes.moves);
        join_chains(&mut moves);
        for moved in &moves {
            self.look_into(moved)?;
        }
        Ok(())
    }

    /// Reads updated states from the kernel: the event repeats the request, not the resulting state.
    fn look_at_updated(&mut self) -> Result<(), End> {
        let stale: Vec<StateIdentity> = self.inventory.changes.stale.drain().collect();
        if stale.is_empty() {
            return Ok(());
        }
        let inventory = &mut self.inventory;
        let mut bad = None;
        self.kernel.states(stale.iter().map(id_of), |place, payload| {
            if let Err(error) = inventory.set_state(&stale[place], Some(payload)) {
                bad = Some(crate::error::bytes("the kernel's states", &error));
            }
        })?;
        // A state that has been deleted since has its own event.
        bad.map_or(Ok(()), |error| Err(error.into()))
    }

    fn look_into(&mut self, moved: &Move) -> Result<(), End> {
        let at = |e: WireError| crate::error::bytes("the kernel's states", &e);
        for old in self.inventory.moving(moved) {
            let (_, protocol, spi, mark, sequence) = old;
            let new: StateIdentity = (moved.to.1, protocol, spi, mark, sequence);
            if let Some(payload) = self.kernel.state(&id_of(&new))? {
                self.inventory.move_state(&old, &payload).map_err(at)?;
            } else if self.kernel.state(&id_of(&old))?.is_none() {
                self.inventory.set_state(&old, None).map_err(at)?;
            }
        }
        for policy in self.inventory.policies_between(moved.reqid, moved.from.0, moved.from.1) {
            let Some(payload) = self.kernel.policy(&policy)? else { continue };
            let kind = MessageKind::UpdPolicy;
            let message = Message { offset: 0, kind, flags: 0, sequence: 0, port: 0, payload: &payload };
            self.inventory.apply(&message).map_err(at)?;
        }
        Ok(())
    }

    /// Reads the counters of all contexts when due, a few states per round.
    fn count(&mut self) -> Result<(), End> {
        let now = Instant::now();
        if self.counting.is_empty() {
            if now < self.count_at {
                return Ok(());
            }
            self.counting_began = now;
            let counts = |(identity, owner): (&StateIdentity, &Owner)| owner.counts.then_some(*identity);
            self.counting = self.owners.iter().filter_map(counts).collect();
        }
        let rest = self.counting.len().saturating_sub(COUNTED_AT_A_TIME);
        let some = self.counting.split_off(rest);
        self.refresh(&some)?;
        if self.counting.is_empty() {
            let took = self.counting_began.elapsed();
            self.count_at = Instant::now() + self.options.counter_interval.max(took * COUNTING_SHARE);
        }
        Ok(())
    }

    fn refresh(&self, identities: &[StateIdentity]) -> Result<(), End> {
        if identities.is_empty() {
            return Ok(());
        }
        let ids: Vec<_> = identities.iter().map(id_of).collect();
        let found = self.kernel.last(&ids)?;
        let updates: Vec<CounterUpdate> = identities
            .iter()
            .zip(found)
            .filter_map(|(identity, last)| update(self.owners.get(identity)?, identity, last?))
            .collect();
        self.mirror.count(&updates).map_err(|_| End::NoEngine)
    }

    /// Reports that the namespace and all its SAs are gone, then waits for a new namespace of that name.
    /// Returns false if the thread is to stop.
    fn outlive(&mut self, stop: &EventFd) -> bool {
        let namespace = self.kernel.namespace.clone();
        let why = format!("the network namespace {namespace} no longer exists");
        tracing::warn!("{why}");
        self.kernel.close();
        let nothing = Inventory::empty(Arc::clone(&self.ownership));
        self.inventory.renew(nothing);
        self.completeness = Completeness::Incomplete(why);
        if matches!(self.flush_nothing(), Err(End::NoEngine)) {
            return false;
        }
        let mut retry = Duration::ZERO;
        loop {
            let mut polled = [PollFd::new(stop.as_fd(), PollFlags::POLLIN)];
            let left = u16::try_from(retry.as_millis()).unwrap_or(u16::MAX);
            if nix::poll::poll(&mut polled, PollTimeout::from(left)).is_ok_and(|ready| ready > 0) {
                return false;
            }
            retry = RETRY;
            if self.kernel.reopen().is_ok()
                && let Ok(groups) = self.kernel.groups(&self.options)
                && let Ok(address_events) = self.kernel.address_events()
            {
                (self.groups, self.address_events) = (groups, address_events);
                if self.relist("the network namespace exists again").is_ok() {
                    return true;
                }
            }
        }
    }

    /// Removes all contexts from the engine without asking the kernel, which is gone.
    fn flush_nothing(&mut self) -> Result<(), End> {
        let changes = std::mem::take(&mut self.inventory.changes);
        self.tell_policies(&changes)?;
        self.ownership.forget(changes.gone.keys().copied());
        let installed = self.ownership.installed();
        let ids: HashSet<SaContextId> = self
            .owners
            .values()
            .map(|owner| owner.id)
            .chain(installed.iter().map(|(_, id, _)| *id))
            .collect();
        self.ownership.forget(installed.into_iter().map(|(identity, ..)| identity));
        let told = ids.into_iter().map(|id| MirrorChange::Remove { id, counters: Vec::new() }).collect();
        self.owners.clear();
        self.expired.clear();
        self.counting.clear();
        self.mirror.apply(told, self.completeness.clone()).map(drop).map_err(|_| End::NoEngine)
    }
}

/// The changes that one flush passes to the engine.
struct Batch {
    told: Vec<MirrorChange>,
    /// The states of each put context, and the request of the kernel if it is an acquire.
    puts: Vec<(Vec<Member>, Option<Asked>)>,
    /// Contexts that still exist.
    claimed: HashSet<SaContextId>,
    /// Contexts that the affected states belonged to before.
    before: HashSet<SaContextId>,
}

/// Lists the kernel; returns its inventory, its completeness and the number of attempts.
fn list(
    kernel: &Kernel,
    groups: &Groups,
    ownership: &Arc<Ownership>,
) -> Result<(Inventory, Completeness, u64)> {
    let dump = || {
        let dumps = kernel.dump(groups)?;
        let (inventory, interrupted) = Inventory::owned(&dumps, of_the_kernel, Arc::clone(ownership))?;
        Ok((inventory, dumps.completeness(interrupted)))
    };
    complete(groups, dump)
}

/// Takes dumps until they are complete, or too often; returns what was made of the last ones, its completeness and the number
/// of attempts.
pub(super) fn complete<T>(
    groups: &Groups,
    mut dump: impl FnMut() -> Result<(T, Completeness)>,
) -> Result<(T, Completeness, u64)> {
    let mut attempt = 1;
    loop {
        // Events queued before the listing are older than it, and some may be missing.
        groups.discard()?;
        let (made, completeness) = dump()?;
        let completeness = match completeness {
            Completeness::Incomplete(_) if attempt < ATTEMPTS_MAX => {
                std::thread::sleep(PAUSE * 2_u32.pow(attempt - 1));
                attempt += 1;
                continue;
            }
            Completeness::Incomplete(why) => {
                Completeness::Incomplete(format!("{why}, in each of {attempt} attempts"))
            }
            Completeness::Whole => Completeness::Whole,
        };
        return Ok((made, completeness, attempt.into()));
    }
}

/// Makes each move lead to where a later one goes on to: what moved twice is no longer where the first move led.
fn join_chains(moves: &mut [Move]) {
    let mut onward = HashMap::new();
    for moved in moves.iter_mut().rev() {
        let Move { from, to, protocol, mode, reqid } = *moved;
        let key = |ends: (IpAddr, IpAddr)| (ends, protocol, mode, reqid);
        moved.to = onward.get(&key(to)).copied().unwrap_or(to);
        onward.insert(key(from), moved.to);
    }
}

fn members(pairing: &Pairing<'_, Inventory>, unit: usize) -> Vec<Member> {
    pairing.members(unit).map(|(facts, direction, counts)| (facts.identity(), direction, counts)).collect()
}

fn insert_owners(owners: &mut Map<StateIdentity, Owner>, id: SaContextId, members: &[Member]) {
    for (identity, direction, counts) in members {
        let owner = Owner { id, direction: *direction, counts: *counts, members: members.len() };
        owners.insert(*identity, owner);
    }
}

/// Returns the request of the kernel if the context is its acquire.
fn asked(pairing: &Pairing<'_, Inventory>, unit: usize) -> Option<Asked> {
    let facts: &Facts = pairing.members(unit).map(|(facts, ..)| facts).find(|facts| facts.spi == 0)?;
    let Facts { reqid, sequence, if_id, mark, .. } = *facts;
    Some(Asked { reqid, sequence, if_id, mark })
}

fn note_acquire(ownership: &Ownership, id: SaContextId, pairing: &Pairing<'_, Inventory>, unit: usize) {
    if let Some(asked) = asked(pairing, unit) {
        ownership.note_acquire(id, asked);
    }
}

fn update(owner: &Owner, identity: &StateIdentity, last: Last) -> Option<CounterUpdate> {
    owner.counts.then(|| last.update(owner.id, owner.direction, identity.2))
}

impl Last {
    /// Converts to the engine's type.
    pub(super) fn update(self, id: SaContextId, direction: Direction, spi: u32) -> CounterUpdate {
        let [replay_window_drops, replay_drops, integrity_failures] = self.drops.unwrap_or_default();
        CounterUpdate {
            id,
            direction,
            spi: Spi::new(spi),
            bytes: self.bytes,
            packets: self.packets,
            last_used: self.last_used,
            replay_window_drops,
            replay_drops,
            integrity_failures,
        }
    }
}
