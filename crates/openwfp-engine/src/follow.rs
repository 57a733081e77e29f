//! Applies what a provider reports: a full listing, single changes, and counters.

use crate::change::Change;
use crate::core::Core;
use crate::core::Origin;
use crate::reconcile;
use crate::reconcile::Parted;
use crate::shared::Exclusive;
use crate::shared::Shared;
use crate::shared::Want;
use crate::statistics::Growth;
use openwfp_api::Completeness;
use openwfp_api::CounterUpdate;
use openwfp_api::Direction;
use openwfp_api::DirectionCounters;
use openwfp_api::EventKind;
use openwfp_api::MirrorChange;
use openwfp_api::Operation;
use openwfp_api::Result;
use openwfp_api::SaContext;
use openwfp_api::SaContextId;
use openwfp_api::SaContextStep;
use openwfp_api::SaState;
use openwfp_api::Spi;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// Maximum number of changes to apply under one lock, so that nobody waits long for it.
const BATCH: usize = 128;

/// Maximum number of contexts of a page whose counters are fetched from the dataplane. The other
/// contexts of a longer page show counters as old as the provider's own interval.
const ASKED_MAX: usize = 1024;

/// Maximum age of counters, in milliseconds, at which a reader gets them without a new fetch.
const COUNTERS_AGE_MAX: u32 = 1000;

/// Work that remains after applying changes, to be done without the lock.
#[derive(Default)]
struct Aftermath {
    /// The changes made, kept so that old contexts are freed without the lock.
    changes: Vec<Change>,
    /// Contexts of which the provider ended one direction because its lifetime was over.
    expired: Vec<SaContextId>,
    /// What SAs have counted that left their contexts.
    parted: Parted,
}

impl Shared {
    pub(crate) fn replace(
        &self,
        contexts: Vec<SaContext>,
        completeness: Completeness,
    ) -> Result<Vec<SaContextId>> {
        let mut next = {
            let mut core = self.enter(&Want::Exclusive, None)?;
            core.gate.exclusive = true;
            core.newest.clone()
        };
        let exclusive = Exclusive(self);
        contexts.iter().for_each(|context| self.note_asked(context));
        // The contexts of a first listing existed before, so none of them counts as a rekey.
        let was_empty = next.len() == 0;
        let mut growths = Vec::new();
        let new_id = || self.new_id();
        let (changes, ids, moved) =
            reconcile::replace(&mut next, contexts, &new_id, &mut |context, direction, growth| {
                growths.push((context.id, direction, growth));
            });
        next.completeness = completeness;
        next.version.0 += 1;
        let replaced = changes.iter().filter(|change| change.old.is_some()).count();
        let mut tally = self.core().tally;
        for change in &changes {
            tally.note(change, (!was_empty).then_some(&next));
        }
        for (id, direction, growth) in growths {
            if let Some(context) = next.get(id) {
                tally.count(context, direction, growth);
            }
        }
        for (id, direction, growth) in moved {
            if let Some(context) = next.get(id) {
                tally.uncount(context, direction, growth);
            }
        }
        let circumstances = self.circumstances(Origin::Provider);
        let mut core = self.core();
        core.tally = tally;
        // Events that nothing shows may have taken versions meanwhile.
        next.version.0 = next.version.0.max(core.newest.version.0 + 1);
        let old = std::mem::replace(&mut core.newest, next);
        for change in &changes {
            core.note(change, &circumstances);
        }
        self.note_snapshots(changes.len(), replaced);
        core.sweep_timers();
        let (newest, written) = (core.newest.clone(), core.written().cloned());
        drop(core);
        // The gate is still held, so nobody else commits and this is still the newest version.
        for old in
            changes.iter().filter(|change| !change.keeps_spis()).filter_map(|change| change.old.as_ref())
        {
            newest.forget_spis(old, written.as_ref());
        }
        drop(exclusive);
        // Freeing what nobody reads any more can take long, so do it without a lock.
        drop((old, changes));
        self.after_commit(false);
        Ok(ids)
    }

    pub(crate) fn apply(
        &self,
        changes: Vec<MirrorChange>,
        completeness: Completeness,
    ) -> Result<Vec<SaContextId>> {
        let mut ids = Vec::new();
        let mut changes = changes.into_iter().peekable();
        let mut aftermath = Aftermath::default();
        while changes.peek().is_some() {
            let mut core = self.enter(&Want::Exclusive, None)?;
            for change in changes.by_ref().take(BATCH) {
                ids.extend(self.apply_one(&mut core, change, &mut aftermath));
            }
            let wakes = core.is_due_earlier();
            drop(core);
            self.after_commit(wakes);
            aftermath.changes.clear();
            for id in aftermath.expired.drain(..) {
                let result = self.step_by_itself(SaContextStep::Delete(id));
                let operation = Operation::SaContextDeleteById;
                crate::audit::by_engine(operation, id, "hard-limit", result.as_ref().err());
            }
        }
        let mut core = self.enter(&Want::Exclusive, None)?;
        if core.newest.completeness != completeness {
            core.newest.completeness = completeness;
            core.newest.version.0 += 1;
        }
        Ok(ids)
    }

    /// Applies one change; returns the id of a context that was put.
    fn apply_one(
        &self,
        core: &mut Core,
        change: MirrorChange,
        aftermath: &mut Aftermath,
    ) -> Option<SaContextId> {
        match change {
            MirrorChange::Put { id, context } => Some(self.put(core, id, *context, aftermath)),
            MirrorChange::Refresh { id, context } => {
                let old = core.newest.get(id).cloned()?;
                let Core { newest, tally, .. } = core;
                let mut grown =
                    |context: &SaContext, direction, growth| tally.count(context, direction, growth);
                let mut counted = aftermath.parted.among(newest);
                let new = Arc::new(reconcile::refreshed(&old, *context, &mut counted, &mut grown)?);
                if new.traffic == old.traffic && is_same_to_clients(&new, &old) {
                    // Data that the provider added for itself causes no event.
                    newest.put(new);
                    newest.version.0 += 1;
                } else {
                    self.commit_for_provider(core, id, Some(old), Some(new), aftermath);
                }
                None
            }
            MirrorChange::Remove { id, counters } => {
                self.count_last(core, counters);
                let old = core.newest.get(id).filter(|old| !is_taken_up(old)).cloned()?;
                old.directions().for_each(|(direction, _)| aftermath.parted.leave(&old, direction));
                self.commit_for_provider(core, id, Some(old), None, aftermath);
                None
            }
            MirrorChange::Lost { id, direction, spi, expired, counters } => {
                self.count_last(core, counters);
                let old = core.newest.get(id).filter(|old| holds(old, direction, spi)).cloned()?;
                aftermath.parted.leave(&old, direction);
                let new = without(&old, direction);
                if expired {
                    core.announce(EventKind::Expire, &old);
                    aftermath.expired.extend(new.as_ref().map(|new| new.id));
                }
                self.commit_for_provider(core, id, Some(old), new, aftermath);
                None
            }
            MirrorChange::Counted(counters) => {
                self.count_last(core, counters);
                None
            }
            MirrorChange::Restarted { id, direction } => {
                if let Some(context) = core.newest.get(id) {
                    reconcile::restart(context, direction);
                }
                None
            }
            MirrorChange::HardExpired { id } => self.tell_limit(core, EventKind::Expire, id),
            MirrorChange::SoftExpired { id } => self.tell_limit(core, EventKind::SoftExpiry, id),
            _ => None,
        }
    }

    /// Tells that a context has reached a limit; returns no id.
    fn tell_limit(&self, core: &mut Core, kind: EventKind, id: SaContextId) -> Option<SaContextId> {
        let context = core.newest.get(id).cloned()?;
        core.announce(kind, &context);
        None
    }

    fn put(
        &self,
        core: &mut Core,
        id: Option<SaContextId>,
        mut context: SaContext,
        aftermath: &mut Aftermath,
    ) -> SaContextId {
        let known = id.and_then(|id| core.newest.get(id).cloned());
        match known.or_else(|| reconcile::find(&core.newest, &context, |_| false)) {
            Some(old) => {
                let id = old.id;
                // Ignore the report for a context that is now keyed through the API.
                if !is_taken_up(&old) {
                    let Core { newest, tally, .. } = &mut *core;
                    let mut grown =
                        |context: &SaContext, direction, growth| tally.count(context, direction, growth);
                    let mut counted = aftermath.parted.among(newest);
                    if let Some(change) = reconcile::renewal(old, context, &mut counted, &mut grown) {
                        self.commit_for_provider(core, id, change.old, change.new, aftermath);
                    }
                }
                id
            }
            None => {
                context.id = self.new_id();
                let id = context.id;
                let moved = aftermath.parted.among(&core.newest).counted(&context);
                let context = Arc::new(context);
                self.commit_for_provider(core, id, None, Some(Arc::clone(&context)), aftermath);
                for (_, direction, growth) in moved {
                    core.tally.uncount(&context, direction, growth);
                }
                id
            }
        }
    }

    fn commit_for_provider(
        &self,
        core: &mut Core,
        id: SaContextId,
        old: Option<Arc<SaContext>>,
        new: Option<Arc<SaContext>>,
        aftermath: &mut Aftermath,
    ) {
        let change = Change { id, old, new };
        core.commit(&change, &self.circumstances(Origin::Provider));
        self.snapshots.note(1, change.old.is_some().into());
        aftermath.changes.push(change);
    }

    pub(crate) fn count_last(&self, core: &mut Core, counters: impl IntoIterator<Item = CounterUpdate>) {
        for update in counters {
            self.take(core, &update);
        }
    }

    /// Stores the new counters of one direction. Returns the context with its previous bytes and packets.
    fn take(&self, core: &mut Core, update: &CounterUpdate) -> Option<(Arc<SaContext>, (u64, u64))> {
        let context = core.newest.get(update.id).cloned()?;
        let spi = context.details(update.direction).map(|details| details.bundle.sas.first().spi);
        let cell = context.counters.direction(update.direction);
        let is_final = cell.asked.load(Ordering::Relaxed) == DirectionCounters::FINAL;
        if is_final || update.spi.is_some() && update.spi != spi {
            return None;
        }
        let before = cell.traffic();
        let growth: Growth = reconcile::raise(cell, &self.counters(update, before, cell));
        cell.asked.store(self.now_in_milliseconds(), Ordering::Relaxed);
        core.tally.count(&context, update.direction, growth);
        Some((context, before))
    }

    /// Stores the counters that a provider reports. If the engine ends lifetimes, deletes contexts that
    /// reached a hard limit.
    pub(crate) fn count(&self, updates: &[CounterUpdate]) -> Result {
        for updates in updates.chunks(BATCH) {
            let mut over = Vec::new();
            let mut core = self.enter(&Want::Engine(None), None)?;
            for update in updates {
                let Some((context, before)) = self.take(&mut core, update) else { continue };
                if self.ends_lifetimes() {
                    over.extend(self.reach(&mut core, &context, update, before));
                }
            }
            drop(core);
            self.send_news();
            over.dedup();
            for id in over {
                let result = self.step_by_itself(SaContextStep::Delete(id));
                let operation = Operation::SaContextDeleteById;
                crate::audit::by_engine(operation, id, "volume-limit", result.as_ref().err());
            }
        }
        Ok(())
    }

    /// Updates counters that are too old in contexts that a reader is about to see, as far as the dataplane
    /// counts them. If the dataplane fails, they stay as they are.
    pub(crate) fn refresh_counters(&self, contexts: &[Arc<SaContext>]) {
        let Some(dataplane) = &self.dataplane else { return };
        let now = self.now_in_milliseconds();
        let is_old = |context: &&Arc<SaContext>| {
            context.directions().any(|(direction, _)| {
                let asked = context.counters.direction(direction).asked.load(Ordering::Relaxed);
                asked != DirectionCounters::FINAL && now.wrapping_sub(asked) > COUNTERS_AGE_MAX
            })
        };
        let old: Vec<_> = contexts.iter().take(ASKED_MAX).filter(is_old).cloned().collect();
        if old.is_empty() {
            return;
        }
        match dataplane.counters(&old) {
            // All versions share the counters, so changing them needs no gate.
            Ok(updates) => updates.chunks(BATCH).for_each(|updates| {
                let mut core = self.core();
                for update in updates {
                    self.take(&mut core, update);
                }
            }),
            Err(error) => {
                tracing::debug!("cannot read counters from the dataplane; they stay as they are: {error}");
            }
        }
    }

    /// Notes that the provider has just reported these counters.
    fn note_asked(&self, context: &SaContext) {
        let now = self.now_in_milliseconds();
        for (direction, _) in context.directions() {
            context.counters.direction(direction).asked.store(now, Ordering::Relaxed);
        }
    }

    /// Returns the time since the engine's start, plus what makes counters old that nobody has ever reported.
    #[allow(clippy::cast_possible_truncation, reason = "the low half is compared with itself")]
    fn now_in_milliseconds(&self) -> u32 {
        let now = (self.clock.monotonic().as_millis() as u32).wrapping_add(COUNTERS_AGE_MAX + 1);
        now.min(DirectionCounters::FINAL - 1)
    }
}

/// Returns whether a larval context of the provider is now keyed through the API.
fn is_taken_up(context: &SaContext) -> bool {
    context.reservation.is_some() && context.acquire().is_none()
}

fn holds(context: &SaContext, direction: Direction, spi: Spi) -> bool {
    context.details(direction).is_some_and(|details| details.bundle.sas.first().spi == spi)
}

/// Returns the context without one of its directions; `None` if that was its last one.
fn without(context: &SaContext, direction: Direction) -> Option<Arc<SaContext>> {
    let mut new = context.clone();
    match direction {
        Direction::Inbound => new.inbound = None,
        Direction::Outbound => new.outbound = None,
    }
    new.state = match (&new.inbound, &new.outbound) {
        (None, None) => return None,
        (None, Some(_)) => SaState::Outbound,
        (Some(_), None) if matches!(context.state, SaState::Complete | SaState::Outbound) => SaState::Inbound,
        (Some(_), _) => context.state,
    };
    Some(Arc::new(new))
}

/// Returns whether two values of a context have the same SPIs and UDP encapsulation. If their traffic
/// is also the same, they differ only in the provider's own data.
fn is_same_to_clients(new: &SaContext, old: &SaContext) -> bool {
    new.directions().zip(old.directions()).all(|((_, new), (_, old))| {
        new.udp_encapsulation == old.udp_encapsulation
            && new.bundle.sas.iter().zip(old.bundle.sas.iter()).all(|(new, old)| new.spi == old.spi)
    })
}
