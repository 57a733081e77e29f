//! Explicit transactions: a session's private version of the database, until it is committed or
//! discarded.

use crate::change::Change;
use crate::core::Core;
use crate::database::Database;
use crate::objects::ObjectChange;
use crate::record::SessionRecord;
use crate::record::TransactionState;
use crate::shared::Exclusive;
use crate::shared::Shared;
use crate::shared::Want;
use crate::snapshots::Snapshot;
use crate::snapshots::Snapshots;
use openwfp_api::Code;
use openwfp_api::Error;
use openwfp_api::Result;
use openwfp_api::SaContext;
use openwfp_api::SaContextId;
use openwfp_api::SessionNumber;
use openwfp_api::Timestamp;
use openwfp_api::TransactionMode;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// An open transaction.
pub(crate) struct Transaction {
    pub(crate) session: Arc<SessionRecord>,
    pub(crate) mode: TransactionMode,
    pub(crate) began: Timestamp,
    /// Monotonic time at which the engine aborts it.
    pub(crate) deadline: Duration,
    /// The session's private version.
    pub(crate) database: Database,
    /// The version that it began with. It counts towards the memory of old versions, as an enumerator's
    /// does.
    pub(crate) base: Snapshot,
    /// The contexts that it changed, each with its value before the transaction.
    pub(crate) changed: BTreeMap<SaContextId, Option<Arc<SaContext>>>,
    /// Its changes to objects, in order.
    pub(crate) objects: Vec<ObjectChange>,
    /// Contexts that providers and timers changed in the meantime, each with its current value.
    pub(crate) overtaken: BTreeMap<SaContextId, Option<Arc<SaContext>>>,
}

impl Transaction {
    /// Applies a change to the transaction's own version.
    pub(crate) fn put(&mut self, change: Change) {
        change.apply(&mut self.database);
        if let Some(old) = &change.old {
            self.database.forget_spis(old, Some(&self.base.database));
        }
        self.changed.entry(change.id).or_insert(change.old);
    }

    /// Rolls the transaction back to an earlier state.
    pub(crate) fn go_back(
        &mut self,
        database: Database,
        changed: BTreeMap<SaContextId, Option<Arc<SaContext>>>,
    ) {
        let failed = std::mem::replace(&mut self.database, database);
        for context in self.changed.keys().filter_map(|id| failed.get(*id)) {
            self.database.forget_spis(context, Some(&self.base.database));
        }
        self.changed = changed;
    }

    /// Returns its net changes since the version that it began with, except for contexts that providers or
    /// timers changed in the meantime.
    pub(crate) fn changes(&self) -> Vec<Change> {
        self.changed
            .iter()
            .filter(|(id, _)| !self.overtaken.contains_key(id))
            .map(|(id, old)| Change { id: *id, old: old.clone(), new: self.database.get(*id).cloned() })
            .filter(|change| change.old != change.new)
            .collect()
    }
}

impl Shared {
    pub(crate) fn transaction(
        &self,
        core: &Core,
        record: &Arc<SessionRecord>,
        mode: TransactionMode,
    ) -> Transaction {
        let limit = match mode {
            _ if record.info.kernel_mode => Duration::MAX,
            // Nobody waits for a reader.
            TransactionMode::ReadOnly => self.transaction_time_max,
            TransactionMode::ReadWrite => self.transaction_time_max.min(record.transaction_time_max),
        };
        Transaction {
            session: Arc::clone(record),
            mode,
            began: self.clock.wall(),
            deadline: self.clock.monotonic().saturating_add(limit),
            base: self.snapshots.hold(core.newest.clone()),
            database: core.newest.clone(),
            changed: BTreeMap::new(),
            objects: Vec::new(),
            overtaken: BTreeMap::new(),
        }
    }

    pub(crate) fn begin(&self, record: &Arc<SessionRecord>, mode: TransactionMode) -> Result {
        let now = u64::try_from(self.clock.monotonic().as_millis()).unwrap_or(u64::MAX);
        let until = record.usage.refused_until.load(crate::sync::atomic::Ordering::Acquire);
        if mode == TransactionMode::ReadWrite && now < until {
            let what = format!(
                "the engine has aborted a transaction of this user that was open too long; it admits the next one in {} s",
                (until - now).div_ceil(1000)
            );
            return Err(Error::new(Code::FWP_E_TIMEOUT, what)
                .with_remedy("Commit or abort a transaction before its time is over."));
        }
        let mut core = match mode {
            TransactionMode::ReadWrite => self.enter_for(&Want::Version(record.number()), record)?,
            TransactionMode::ReadOnly => self.core(),
        };
        if core.transactions.contains_key(&record.number()) {
            let what = "another thread of this session already began a transaction";
            return Err(Error::new(Code::FWP_E_TXN_IN_PROGRESS, what));
        }
        let transaction = self.transaction(&core, record, mode);
        core.transactions.insert(record.number(), transaction);
        if mode == TransactionMode::ReadWrite {
            core.gate.explicit = Some(record.number());
        }
        record.set_transaction(TransactionState::In(mode));
        let wakes = core.is_due_earlier();
        drop(core);
        self.after_commit(wakes);
        Ok(())
    }

    pub(crate) fn commit_transaction(&self, record: &Arc<SessionRecord>) -> Result {
        if record.transaction() == TransactionState::In(TransactionMode::ReadOnly) {
            return self.abort_transaction(record);
        }
        // Until the gate is exclusive, changes by timers and providers are recorded in the transaction.
        let mut core = self.enter(&Want::Exclusive, None)?;
        let Some(transaction) = core.transactions.remove(&record.number()) else {
            drop(core);
            return Err(no_transaction(record));
        };
        record.set_transaction(TransactionState::None);
        core.gate.exclusive = true;
        core.gate.explicit = None;
        drop(core);
        let exclusive = Exclusive(self);
        let result = self.publish(&transaction);
        drop(exclusive);
        result
    }

    pub(crate) fn abort_transaction(&self, record: &Arc<SessionRecord>) -> Result {
        if self.abort_if_any(record.number()) { Ok(()) } else { Err(no_transaction(record)) }
    }

    /// Aborts a session's transaction; returns whether it had one.
    pub(crate) fn abort_if_any(&self, session: SessionNumber) -> bool {
        self.end_transaction(session, TransactionState::None)
    }

    /// Ends a session's transaction and discards its changes; returns whether it had one.
    pub(crate) fn end_transaction(&self, session: SessionNumber, state: TransactionState) -> bool {
        let transaction = {
            let mut core = self.core();
            let transaction = core.transactions.remove(&session);
            if let Some(transaction) = &transaction {
                transaction.session.set_transaction(state);
                if transaction.mode == TransactionMode::ReadWrite {
                    core.gate.explicit = None;
                    core.discard(transaction);
                }
            }
            transaction
        };
        self.gate_changed.notify_all();
        // The transaction's version is freed here, after the core lock was released.
        transaction.is_some()
    }

    /// Takes a snapshot of the version that a session reads, its transaction's or the newest, and returns
    /// it with the result of `look`. `look` runs under the core lock. Its flag tells whether the version is
    /// the newest, because the SPI index is complete for that version only.
    pub(crate) fn snapshot<T>(
        &self,
        record: &SessionRecord,
        look: impl FnOnce(&Database, bool) -> T,
    ) -> (Snapshot, T) {
        let (database, found) = {
            let core = self.core();
            let transaction = core.transactions.get(&record.number());
            let database = transaction.map_or(&core.newest, |transaction| &transaction.database);
            (database.clone(), look(database, transaction.is_none()))
        };
        (self.snapshots.hold(database), found)
    }

    /// Calls `look` on the version that a session reads, under the core lock.
    pub(crate) fn read<T>(&self, record: &SessionRecord, look: impl FnOnce(&Database) -> T) -> T {
        let core = self.core();
        match core.transactions.get(&record.number()) {
            Some(transaction) => look(&transaction.database),
            None => look(&core.newest),
        }
    }

    /// Whether the engine may take old versions away from enumerators.
    pub(crate) fn evicts(&self) -> bool {
        self.old_versions_max != u64::MAX
    }

    pub(crate) fn snapshots(&self) -> &Snapshots {
        &self.snapshots
    }
}

fn no_transaction(record: &SessionRecord) -> Error {
    if record.take_ended() {
        return ended("cannot commit or abort");
    }
    let what = format!("session {} has no transaction", record.number().0);
    Error::new(Code::FWP_E_NO_TXN_IN_PROGRESS, what)
}

/// The error for a call whose transaction the engine has aborted.
pub(crate) fn ended(call: &str) -> Error {
    let what = format!("{call}: the engine aborted the transaction because it was open too long");
    Error::new(Code::FWP_E_TXN_ABORTED, what).with_remedy("Begin a new one.")
}
