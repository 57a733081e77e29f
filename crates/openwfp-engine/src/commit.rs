//! Commits of steps, batches and transactions to the newest version; completeness and statistics.

use crate::change::Change;
use crate::core::Core;
use crate::core::Origin;
use crate::effects::Enforced;
use crate::objects::ObjectChange;
use crate::objects::Objects;
use crate::record::SessionRecord;
use crate::shared::Exclusive;
use crate::shared::Shared;
use crate::shared::Turn;
use crate::shared::Want;
use crate::statistics::Tally;
use crate::sync::MutexGuard;
use crate::sync::lock;
use crate::transaction::Transaction;
use crate::transaction::ended;
use openwfp_api::Code;
use openwfp_api::Completeness;
use openwfp_api::CounterUpdate;
use openwfp_api::Dataplane;
use openwfp_api::Error;
use openwfp_api::Result;
use openwfp_api::SaContextStep;
use openwfp_api::SpdChange;
use openwfp_api::Statistics;
use openwfp_api::StepOutcome;
use openwfp_api::TransactionMode;
use openwfp_api::object::ObjectKind;
use std::sync::Arc;

/// What a transaction changes in the SPD and the packet filter, which the dataplane has carried out.
struct PolicyChanges {
    old: Enforced,
    new: Enforced,
    of_spd: Vec<SpdChange>,
}

impl Shared {
    /// Applies a session's step, within its transaction if it has one.
    pub(crate) fn step(&self, record: &SessionRecord, step: SaContextStep) -> Result<StepOutcome> {
        let want = Want::Call(record.number(), step.id());
        let mut core = self.enter_for(&want, record)?;
        match open_transaction(&mut core, record)? {
            Some(transaction) => self.step_into(transaction, step),
            None => self.step_in(core, step, Origin::Call),
        }
    }

    /// Applies a step on behalf of the engine itself.
    pub(crate) fn step_by_itself(&self, step: SaContextStep) -> Result<StepOutcome> {
        let core = self.enter(&Want::Engine(step.id()), None)?;
        self.step_in(core, step, Origin::Engine)
    }

    /// Applies a step to the newest version.
    fn step_in(
        &self,
        mut core: MutexGuard<'_, Core>,
        step: SaContextStep,
        origin: Origin,
    ) -> Result<StepOutcome> {
        let (change, outcome) = self.plan(&core.newest, step)?;
        if change.old == change.new {
            return Ok(outcome);
        }
        let dataplane = match &self.dataplane {
            Some(dataplane) if change.has_effects() => dataplane,
            _ => {
                self.commit(core, &change, origin);
                return Ok(outcome);
            }
        };
        core.gate.busy.insert(change.id);
        drop(core);
        let turn = Turn { engine: self, id: change.id };
        let last = change.carry_out(&**dataplane)?;
        let mut core = self.core();
        self.count_last(&mut core, last);
        self.commit(core, &change, origin);
        drop(turn);
        Ok(outcome)
    }

    /// Applies a session's steps, all or nothing, within its transaction if it has one.
    pub(crate) fn steps(
        &self,
        record: &Arc<SessionRecord>,
        steps: Vec<SaContextStep>,
    ) -> Result<Vec<StepOutcome>> {
        let want = Want::Version(record.number());
        let mut core = self.enter_for(&want, record)?;
        if let Some(transaction) = open_transaction(&mut core, record)? {
            // Remember the transaction's state, to restore it if a step fails.
            let (database, changed) = (transaction.database.clone(), transaction.changed.clone());
            return self
                .steps_into(transaction, steps)
                .inspect_err(|_| transaction.go_back(database, changed));
        }
        let mut transaction = self.hold_exclusively(core, record);
        let exclusive = Exclusive(self);
        let outcomes =
            self.steps_into(&mut transaction, steps).inspect_err(|_| self.core().discard(&transaction))?;
        self.publish(&transaction)?;
        drop(exclusive);
        Ok(outcomes)
    }

    /// Begins a private version and closes the gate, so that nobody else changes the newest version until
    /// it is published.
    pub(crate) fn hold_exclusively(
        &self,
        mut core: MutexGuard<'_, Core>,
        record: &Arc<SessionRecord>,
    ) -> Transaction {
        core.gate.exclusive = true;
        self.transaction(&core, record, TransactionMode::ReadWrite)
    }

    /// Applies steps to a transaction's own version. On failure, the caller discards or rolls back that
    /// version.
    fn steps_into(
        &self,
        transaction: &mut Transaction,
        steps: Vec<SaContextStep>,
    ) -> Result<Vec<StepOutcome>> {
        let mut outcomes = Vec::with_capacity(steps.len());
        for (place, step) in steps.into_iter().enumerate() {
            outcomes.push(self.step_into(transaction, step).map_err(|error| at_place(place, error))?);
        }
        Ok(outcomes)
    }

    /// Applies a step to a transaction's own version.
    fn step_into(&self, transaction: &mut Transaction, step: SaContextStep) -> Result<StepOutcome> {
        let (change, outcome) = self.plan(&transaction.database, step)?;
        transaction.put(change);
        Ok(outcome)
    }

    /// Applies a transaction's changes in the dataplane and the store, and makes its version the newest.
    /// The caller holds the gate exclusively.
    pub(crate) fn publish(&self, transaction: &Transaction) -> Result {
        let changes = transaction.changes();
        let last = match self.carry_out(transaction, &changes) {
            Ok(last) => last,
            Err(error) => {
                self.core().discard(transaction);
                return Err(error);
            }
        };
        let circumstances = self.circumstances(Origin::Call);
        let replaced = changes.iter().filter(|change| change.old.is_some()).count();
        let mut core = self.core();
        self.count_last(&mut core, last);
        let old = if core.newest.version == transaction.base.database.version {
            let mut next = transaction.database.clone();
            next.version.0 += 1;
            for change in &changes {
                core.tally.note(change, Some(&next));
            }
            Some(std::mem::replace(&mut core.newest, next))
        } else {
            changes.iter().for_each(|change| change.apply(&mut core.newest));
            core.newest.objects = Arc::clone(&transaction.database.objects);
            core.newest.version.0 += 1;
            let Core { newest, tally, .. } = &mut *core;
            changes.iter().for_each(|change| tally.note(change, Some(newest)));
            core.discard(transaction);
            None
        };
        for change in &changes {
            core.forget_spis(change);
            core.note(change, &circumstances);
        }
        core.note_objects(&transaction.objects);
        self.note_snapshots(changes.len(), replaced);
        let wakes = core.is_due_earlier();
        drop(core);
        self.follow(&transaction.objects, &transaction.database.objects);
        self.warn_of_effects(&transaction.objects, &transaction.database.objects);
        // Freeing data that no reader holds any more can take long, so no lock is held.
        drop(old);
        self.after_commit(wakes);
        Ok(())
    }

    /// Applies a transaction's changes in the dataplane and the store, all or nothing: policies first, so that nothing
    /// leaves unprotected, then SAs. Returns the final counters of removed SAs.
    fn carry_out(&self, transaction: &Transaction, changes: &[Change]) -> Result<Vec<CounterUpdate>> {
        let policies = self.change_policies(&transaction.objects, &transaction.database.objects)?;
        let mut last = Vec::new();
        for (done, change) in changes.iter().enumerate() {
            let Some(dataplane) = &self.dataplane else { break };
            match change.carry_out(&**dataplane) {
                Ok(counted) => last.extend(counted),
                Err(error) => {
                    self.take_back(&changes[..done], policies);
                    return Err(error);
                }
            }
        }
        if let Err(error) = self.keep(&transaction.objects) {
            self.take_back(changes, policies);
            return Err(error);
        }
        if let Some(policies) = policies {
            *lock(&self.enforced) = policies.new;
        }
        Ok(last)
    }

    fn take_back(&self, changes: &[Change], policies: Option<PolicyChanges>) {
        let Some(dataplane) = &self.dataplane else { return };
        changes.iter().rev().for_each(|change| change.take_back(&**dataplane));
        let Some(PolicyChanges { old, new, of_spd }) = policies else { return };
        let back: Vec<SpdChange> = of_spd.into_iter().map(SpdChange::reversed).collect();
        let mut result = if back.is_empty() { Ok(()) } else { dataplane.change_spd(&back) };
        if new.packet_filters.differ_from(&old.packet_filters) {
            result = result.and(dataplane.set_filters(&old.packet_filters.list()));
        }
        if let Err(error) = result {
            tracing::error!(%error, "cannot undo a failed change; the kernel differs from the engine's filters");
        }
    }

    /// Has the dataplane carry out what changes of objects mean for the SPD and the packet filter; `None` if they mean nothing.
    fn change_policies(&self, changes: &[ObjectChange], objects: &Objects) -> Result<Option<PolicyChanges>> {
        if changes.is_empty() {
            return Ok(None);
        }
        let Some(dataplane) = self.enforcing() else {
            self.check_effects(changes, objects, None)?;
            return Ok(None);
        };
        let old = lock(&self.enforced).clone();
        let (new, of_spd) = old.after(changes, objects, &**dataplane)?;
        self.check_effects(changes, objects, Some(&new))?;
        let listed = new.packet_filters.list();
        // Blocks come first and go last: the SPD lets pass what the packet filter is to drop.
        let leaving = old.packet_filters.blocks_beyond(&new.packet_filters);
        let differs = new.packet_filters.differ_from(&old.packet_filters);
        if differs {
            dataplane.set_filters(&[&listed[..], &leaving].concat())?;
        }
        if !of_spd.is_empty()
            && let Err(error) = dataplane.change_spd(&of_spd)
        {
            self.take_back(&[], Some(PolicyChanges { old, new, of_spd: Vec::new() }));
            return Err(error);
        }
        let changed = PolicyChanges { old, new, of_spd };
        if !leaving.is_empty()
            && let Err(error) = dataplane.set_filters(&listed)
        {
            self.take_back(&[], Some(changed));
            return Err(error);
        }
        Ok(Some(changed))
    }

    /// Returns the dataplane if it enforces policies.
    pub(crate) fn enforcing(&self) -> Option<&Arc<dyn Dataplane>> {
        self.dataplane.as_ref().filter(|dataplane| dataplane.enforces_policies())
    }

    /// Changes policies that must change although nobody waits for the result: those of a session that has ended. What
    /// the dataplane refuses to remove stays, which protects or blocks more than the filters state.
    pub(crate) fn drop_policies(&self, changes: &[ObjectChange], objects: &Objects) {
        match self.change_policies(changes, objects) {
            Ok(Some(policies)) => *lock(&self.enforced) = policies.new,
            Ok(None) => {}
            Err(error) => {
                tracing::error!(%error, "policies of an ended session remain in the kernel until the engine restarts");
            }
        }
    }

    /// Installs the SPD of the newest version, once, when the engine is opened.
    pub(crate) fn load_policies(&self) -> Result {
        let Some(dataplane) = self.enforcing() else { return Ok(()) };
        let objects = Arc::clone(&self.core().newest.objects);
        let filters = objects.of_kind(ObjectKind::Filter, None).cloned();
        let added: Vec<ObjectChange> =
            filters.map(|entry| ObjectChange { old: None, new: Some(entry) }).collect();
        let (enforced, _) = Enforced::default().after(&added, &objects, &**dataplane)?;
        dataplane.set_filters(&enforced.packet_filters.list())?;
        for (entry, error) in dataplane.load_spd(&enforced.spd.entries())? {
            tracing::error!(filter = entry.filter_id.0, %error, "a filter of the store has no effect");
        }
        *lock(&self.enforced) = enforced;
        Ok(())
    }

    pub(crate) fn note_snapshots(&self, changes: usize, replaced: usize) {
        let wide = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
        self.snapshots.note(wide(changes), wide(replaced));
    }
}

impl Shared {
    pub(crate) fn completeness(&self, record: &SessionRecord) -> Completeness {
        self.read(record, |database| database.completeness.clone())
    }

    pub(crate) fn statistics(&self) -> Result<Statistics> {
        let drops = match &self.dataplane {
            Some(dataplane) => dataplane.drops()?,
            None => Default::default(),
        };
        let tally: Tally = self.core().tally;
        Ok(tally.statistics(drops))
    }
}

/// Returns the transaction that the session's writes go to, or `None` if it has no transaction.
///
/// Admission took place before the core was locked, so the state may have changed since: another thread
/// of the session, or the engine, may have begun or ended the transaction.
pub(crate) fn open_transaction<'c>(
    core: &'c mut Core,
    record: &SessionRecord,
) -> Result<Option<&'c mut Transaction>> {
    if record.take_ended() {
        return Err(ended("cannot write"));
    }
    match core.transactions.get_mut(&record.number()) {
        Some(transaction) if transaction.mode == TransactionMode::ReadOnly => Err(Error::new(
            Code::FWP_E_INCOMPATIBLE_TXN,
            "another thread of this session began a read-only transaction",
        )),
        found => Ok(found),
    }
}

fn at_place(place: usize, error: Error) -> Error {
    error.within(&format!("step {} of the batch", place + 1))
}
