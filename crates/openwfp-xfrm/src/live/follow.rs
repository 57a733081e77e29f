//! Following the kernel: what its event groups tell becomes changes of the engine, one bucket of states at a time.
//!
//! Where events were lost, or cannot be read, the kernel is listed anew and what differs is told: contexts keep their ids as
//! long as one of their states is there.

use super::Kernel;
use super::Options;
use super::of_the_kernel;
use super::socket::Drained;
use super::socket::Groups;
use crate::dumps::CHANGED_MEANWHILE;
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
use openwfp_api::Code;
use openwfp_api::Completeness;
use openwfp_api::CounterUpdate;
use openwfp_api::Direction;
use openwfp_api::Error;
use openwfp_api::Mirror;
use openwfp_api::MirrorChange;
use openwfp_api::Result;
use openwfp_api::SaContextId;
use openwfp_api::Spi;
use std::collections::HashMap;
use std::collections::HashSet;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;
use std::time::Instant;
use zeroize::Zeroizing;

/// How often a listing that could not be made whole is taken before it is passed on as incomplete.
const ATTEMPTS_MAX: u32 = 5;
/// The pause after a listing that could not be made whole; each further one is twice as long.
const PAUSE: Duration = Duration::from_millis(20);
/// How long after an incomplete listing, or after an error, the kernel is listed again.
const RETRY: Duration = Duration::from_secs(1);
/// So many bytes of events are taken in before what they change is passed on.
const EVENT_BYTES: usize = 256 * 1024;
/// Changes that follow one another so closely are passed on together.
const GATHER: Duration = Duration::from_millis(5);
/// What takes long to pass on is done at longer intervals, so that there is more of it at a time; at most this.
const GATHER_MAX: Duration = Duration::from_millis(40);
/// So many states are asked for their counters before events are looked for again.
const COUNTED_AT_A_TIME: usize = 128;
/// Asking for all counters takes at most this part of the time.
const COUNTING_SHARE: u32 = 20;
/// This machine's addresses are read again at most so often.
const ADDRESSES_AGE: Duration = Duration::from_secs(1);

type Map<K, V> = HashMap<K, V, RandomState>;

/// A thread that follows a kernel; it ends with this value.
pub struct Follower {
    stop: Arc<EventFd>,
    thread: Option<JoinHandle<()>>,
}

/// The context of a state.
#[derive(Clone, Copy)]
struct Owner {
    id: SaContextId,
    direction: Direction,
    /// What this state counts is what the context shows.
    counts: bool,
    /// How many states the context has.
    members: usize,
}

/// A state of a context.
type Member = (StateIdentity, Direction, bool);

struct Following {
    kernel: Arc<Kernel>,
    groups: Groups,
    options: Options,
    ownership: Arc<Ownership>,
    mirror: Box<dyn Mirror>,
    inventory: Inventory,
    owners: Map<StateIdentity, Owner>,
    completeness: Completeness,
    events: Zeroizing<Vec<u8>>,
    /// When this machine's addresses were read.
    addresses_at: Instant,
    /// When the kernel is to be listed anew, if it is.
    relist_at: Option<Instant>,
    count_at: Instant,
    counting: Vec<StateIdentity>,
    counting_began: Instant,
    /// How many listings were taken.
    listings: u64,
}

/// Why following ends.
enum End {
    /// There is no engine any more.
    NoEngine,
    /// The kernel cannot be listened to now.
    Kernel(Error),
}

impl From<Error> for End {
    fn from(error: Error) -> End {
        End::Kernel(error)
    }
}

impl Follower {
    /// Lists the kernel's SAs to the engine, and follows it from then on.
    pub(super) fn start(
        kernel: Arc<Kernel>,
        ownership: Arc<Ownership>,
        options: Options,
        mirror: Box<dyn Mirror>,
    ) -> Result<Follower> {
        let mut following = Following::begin(kernel, ownership, options, mirror)?;
        let failed = |what: &str, error: &dyn std::fmt::Display| {
            Error::new(Code::RPC_E_OUT_OF_RESOURCES, format!("{what}: {error}"))
        };
        let stop = Arc::new(EventFd::new().map_err(|e| failed("no event descriptor", &e))?);
        let stopped = Arc::clone(&stop);
        let thread = std::thread::Builder::new()
            .name("openwfp-xfrm".into())
            .spawn(move || following.run(&stopped))
            .map_err(|e| failed("no thread to follow the kernel", &e))?;
        Ok(Follower { stop, thread: Some(thread) })
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        let _ = self.stop.write(1);
        // The last one to let go of the engine may be the thread itself.
        if let Some(thread) = self.thread.take().filter(|it| it.thread().id() != std::thread::current().id())
        {
            let _ = thread.join();
        }
    }
}

impl Following {
    fn begin(
        kernel: Arc<Kernel>,
        ownership: Arc<Ownership>,
        options: Options,
        mirror: Box<dyn Mirror>,
    ) -> Result<Following> {
        let groups = kernel.groups(&options)?;
        let now = Instant::now();
        let (inventory, completeness, listings) = list(&kernel, &groups, &ownership)?;
        let mut following = Following {
            kernel,
            groups,
            count_at: now + options.counter_interval,
            options,
            ownership,
            mirror,
            inventory,
            owners: Map::default(),
            relist_at: (completeness != Completeness::Whole).then(|| now + RETRY),
            completeness,
            events: Zeroizing::new(Vec::new()),
            addresses_at: now,
            counting: Vec::new(),
            counting_began: now,
            listings,
        };
        following.tell_all()?;
        Ok(following)
    }

    /// Tells the engine of all contexts for the first time.
    fn tell_all(&mut self) -> Result {
        let tables = self.inventory.tables();
        let pairing = self.inventory.pairing(&tables);
        let contexts = pairing.contexts();
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
        self.inventory.changes = Changes::default();
        tracing::info!(states = self.inventory.len(), contexts = count, "the kernel's SAs are listed");
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
                    tracing::error!("waiting for the kernel's events: {errno}");
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
            // One change after a quiet time is told at once; where they come one after the other, a few are told together.
            if ended.elapsed() < GATHER && self.counting.is_empty() {
                std::thread::sleep(GATHER);
            }
            let begun = Instant::now();
            match self.round() {
                Ok(()) => {}
                Err(End::NoEngine) => return,
                Err(End::Kernel(error)) => {
                    tracing::error!(%error, "following the kernel");
                    self.relist_at = Some(Instant::now() + RETRY);
                }
            }
            // What is expensive to pass on comes at longer intervals.
            let took = begun.elapsed();
            if took > Duration::from_millis(2) && self.counting.is_empty() {
                std::thread::sleep(took.min(GATHER_MAX));
            }
            ended = Instant::now();
        }
    }

    /// Tells of namespaces that come and go.
    fn watch_names(&self) -> Option<Inotify> {
        let path = self.kernel.namespace.path()?;
        let inotify = Inotify::init(InitFlags::IN_CLOEXEC | InitFlags::IN_NONBLOCK).ok()?;
        let what = AddWatchFlags::IN_CREATE | AddWatchFlags::IN_DELETE | AddWatchFlags::IN_MOVED_TO;
        inotify.add_watch(path.parent()?, what).ok()?;
        Some(inotify)
    }

    /// Waits until there is something to do; whether that is to stop.
    fn wait(&self, stop: &EventFd, watched: Option<&Inotify>) -> nix::Result<bool> {
        let now = Instant::now();
        let mut until = self.relist_at.map_or(self.count_at, |at| at.min(self.count_at));
        if self.inventory.is_empty() && self.relist_at.is_none() {
            // Nothing counts, nobody wakes up.
            until = now + Duration::from_secs(3600);
        }
        if !self.counting.is_empty() {
            until = now;
        }
        let mut left = until.saturating_duration_since(now);
        // Whether another process is still there is only found out by looking.
        if matches!(self.kernel.namespace, super::Namespace::Process(_)) {
            left = left.min(RETRY);
        }
        let mut polled = vec![
            PollFd::new(stop.as_fd(), PollFlags::POLLIN),
            PollFd::new(self.groups.as_fd(), PollFlags::POLLIN),
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

    /// One turn: events, a listing that is due, counters.
    fn round(&mut self) -> Result<(), End> {
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
                    self.flush()?;
                    break;
                }
            }
            self.flush()?;
        }
        if self.relist_at.is_some_and(|at| at <= Instant::now()) {
            self.relist("the last listing was not whole")?;
        }
        self.count()
    }

    /// Takes events into the inventory; what one would undo of what others did is passed on before.
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

    /// Lists the kernel anew and tells what differs.
    fn relist(&mut self, why: &str) -> Result<(), End> {
        tracing::warn!(why, "the kernel's SAs are listed anew");
        let (newer, completeness, listings) = list(&self.kernel, &self.groups, &self.ownership)?;
        self.listings += listings;
        self.relist_at = (completeness != Completeness::Whole).then(|| Instant::now() + RETRY);
        self.completeness = completeness;
        self.inventory.renew(newer);
        self.addresses_at = Instant::now();
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
        tracing::info!(
            states = self.inventory.len(),
            listings = self.listings,
            "the kernel's SAs are listed"
        );
        Ok(())
    }

    /// Tells the engine what has changed.
    fn flush(&mut self) -> Result<(), End> {
        self.look_into_moves()?;
        self.look_at_updated()?;
        if self.inventory.changes.is_empty() {
            return Ok(());
        }
        let changes = std::mem::take(&mut self.inventory.changes);
        for (new, old) in &changes.moved {
            if let Some(owner) = self.owners.remove(old) {
                self.owners.insert(*new, owner);
            }
        }
        let mut told = Vec::new();
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

    /// What states that are gone mean: those that the engine had installed are lost to it, others leave their contexts,
    /// which are returned with what was counted at the end.
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
                    let counters = owner.zip(*last).and_then(|(owner, last)| update(&owner, last));
                    told.extend(self.lost(identity, id, direction, *expired, counters)?);
                }
                // An acquire that is being keyed through the API.
                (None, Some(owner)) if self.ownership.has_context(owner.id) => {}
                (None, Some(owner)) => {
                    if facts.tie != 0 {
                        self.kernel.drop_policies(&self.ownership.forget([*identity]));
                    }
                    let counters = leaving.entry(owner.id).or_default();
                    counters.extend(last.and_then(|last| update(&owner, last)));
                }
                (None, None) => {}
            }
        }
        Ok(leaving)
    }

    /// What it means that a state is gone that the engine had installed; nothing if the engine itself has removed or moved
    /// it, or it is there again.
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

    /// Pairs the states of a bucket anew.
    fn tell_bucket(
        &mut self,
        bucket: &Bucket,
        anew: bool,
        changes: &Changes,
        leaving: &Map<SaContextId, Vec<CounterUpdate>>,
        batch: &mut Batch,
    ) {
        let has_guesses = {
            let tables = self.inventory.tables_of(bucket);
            self.inventory.pairing(&tables).has_guesses()
        };
        if has_guesses && self.addresses_at.elapsed() > ADDRESSES_AGE {
            self.addresses_at = Instant::now();
            match self.kernel.addresses() {
                Ok(own) => self.inventory.own_addresses = own,
                Err(error) => tracing::warn!(%error, "this machine's addresses stay as they were"),
            }
        }
        let tables = self.inventory.tables_of(bucket);
        let pairing = self.inventory.pairing(&tables);
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
            // Of several that came together it is the oldest one.
            let id = owners().map(|owner| owner.id).filter(|id| !batch.claimed.contains(id)).min();
            batch.claimed.extend(id);
            let is_same = id.is_some_and(|id| {
                !leaving.contains_key(&id)
                    && owners().count() == members.len()
                    && owners().all(|owner| owner.id == id && owner.members == members.len())
            });
            if (!is_same || has_changed)
                && let Some(context) = pairing.context(unit)
            {
                batch.told.push(MirrorChange::Put { id, context: Box::new(context) });
                batch.puts.push((members, asked(&pairing, unit)));
            }
        }
    }

    /// Asks the kernel what became of states and policies that moved.
    fn look_into_moves(&mut self) -> Result<(), End> {
        for moved in std::mem::take(&mut self.inventory.changes.moves) {
            self.look_into(&moved)?;
        }
        Ok(())
    }

    /// Asks for states that were updated: the event shows what the kernel was given, not what it made of it.
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
        // One that is gone meanwhile has an event of its own.
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

    /// Asks for the counters of all states, a few at a time, when it is time to.
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
            .filter_map(|(identity, last)| update(self.owners.get(identity)?, last?))
            .collect();
        self.mirror.count(&updates).map_err(|_| End::NoEngine)
    }

    /// The namespace is gone: so is all that was in it. Waits for one of that name to come; whether it came.
    fn outlive(&mut self, stop: &EventFd) -> bool {
        let namespace = self.kernel.namespace.clone();
        let why = format!("the network namespace {namespace} is gone");
        tracing::warn!("{why}");
        self.kernel.close();
        let nothing = Inventory::empty(Arc::clone(&self.ownership));
        self.inventory.renew(nothing);
        self.completeness = Completeness::Incomplete(why);
        if matches!(self.flush_nothing(), Err(End::NoEngine)) {
            return false;
        }
        // No socket may keep it alive, nor this one.
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
            {
                self.groups = groups;
                if self.relist("the network namespace is there again").is_ok() {
                    return true;
                }
            }
        }
    }

    /// Tells that nothing is left, without asking a kernel that is gone.
    fn flush_nothing(&mut self) -> Result<(), End> {
        let changes = std::mem::take(&mut self.inventory.changes);
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
        self.counting.clear();
        self.mirror.apply(told, self.completeness.clone()).map(drop).map_err(|_| End::NoEngine)
    }
}

/// What one turn tells the engine.
struct Batch {
    told: Vec<MirrorChange>,
    /// The states of each context that is put, and what an acquire asks for.
    puts: Vec<(Vec<Member>, Option<Asked>)>,
    /// The contexts that are still there.
    claimed: HashSet<SaContextId>,
    /// The contexts that the touched states belonged to.
    before: HashSet<SaContextId>,
}

/// Lists the kernel: its inventory, whether that is whole, and how many listings it took.
fn list(
    kernel: &Kernel,
    groups: &Groups,
    ownership: &Arc<Ownership>,
) -> Result<(Inventory, Completeness, u64)> {
    let mut attempt = 1;
    loop {
        // What was queued before belongs to a time before the listing, and some of it may be missing.
        groups.discard()?;
        let dumps = kernel.dump(groups)?;
        let (inventory, interrupted) = Inventory::owned(&dumps, of_the_kernel, Arc::clone(ownership))?;
        let lost = dumps.lost.clone().or_else(|| interrupted.then(|| CHANGED_MEANWHILE.to_owned()));
        let completeness = match lost {
            None => Completeness::Whole,
            Some(_) if attempt < ATTEMPTS_MAX => {
                std::thread::sleep(PAUSE * 2_u32.pow(attempt - 1));
                attempt += 1;
                continue;
            }
            Some(why) => Completeness::Incomplete(format!("{why}, in each of {attempt} attempts")),
        };
        return Ok((inventory, completeness, attempt.into()));
    }
}

fn members(pairing: &Pairing<'_>, unit: usize) -> Vec<Member> {
    pairing.members(unit).map(|(facts, direction, counts)| (facts.identity(), direction, counts)).collect()
}

fn insert_owners(owners: &mut Map<StateIdentity, Owner>, id: SaContextId, members: &[Member]) {
    for (identity, direction, counts) in members {
        let owner = Owner { id, direction: *direction, counts: *counts, members: members.len() };
        owners.insert(*identity, owner);
    }
}

/// What the kernel asks for, if the context is its acquire.
fn asked(pairing: &Pairing<'_>, unit: usize) -> Option<Asked> {
    let facts: &Facts = pairing.members(unit).map(|(facts, ..)| facts).find(|facts| facts.spi == 0)?;
    let Facts { reqid, sequence, if_id, mark, .. } = *facts;
    Some(Asked { reqid, sequence, if_id, mark })
}

fn note_acquire(ownership: &Ownership, id: SaContextId, pairing: &Pairing<'_>, unit: usize) {
    if let Some(asked) = asked(pairing, unit) {
        ownership.note_acquire(id, asked);
    }
}

fn update(owner: &Owner, last: Last) -> Option<CounterUpdate> {
    owner.counts.then(|| last.update(owner.id, owner.direction))
}

impl Last {
    /// As the engine takes it.
    pub(super) fn update(self, id: SaContextId, direction: Direction) -> CounterUpdate {
        let [replay_window_drops, replay_drops, integrity_failures] = self.drops.unwrap_or_default();
        CounterUpdate {
            id,
            direction,
            bytes: self.bytes,
            packets: self.packets,
            last_used: self.last_used,
            replay_window_drops,
            replay_drops,
            integrity_failures,
        }
    }
}
