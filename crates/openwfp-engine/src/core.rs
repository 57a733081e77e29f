//! The core: the newest version of the database, the gate for its writers, and the consequences of a
//! commit.
//!
//! ```text
//! a call          ── plan on the newest version ── (dataplane, no lock) ── commit in place ─┐
//! a transaction   ── plan on its own version … commit ── (dataplane) ── swap ───────────────┤
//! a first listing ── reconcile on a private version, no lock ── swap ───────────────────────┤
//! a provider      ── one change after another, while nothing is busy ── commit in place ────┤
//! a timer         ── plan on the newest version ── (dataplane) ── commit in place ──────────┤
//!                                                                                           ▼
//!                                         Core::note: events · timers · the open transaction
//! ```
//!
//! Invariants:
//! 1. The core lock is held only for work that is short at any size of the database.
//! 2. While a context is busy (the dataplane works on it), nobody else changes it.
//! 3. While the gate is exclusive (a private version will be swapped in), nobody changes the newest
//!    version.
//! 4. While a session's read/write transaction is open, calls of other sessions change nothing.
//!    Providers, timers and the end of a dynamic session still do, and at commit their changes take
//!    precedence.

use crate::change::Change;
use crate::database::Database;
use crate::events::Outbox;
use crate::events::Queue;
use crate::lifetime;
use crate::lifetime::IdleTimeout;
use crate::lifetime::Wheel;
use crate::objects::ObjectChange;
use crate::statistics::Tally;
use crate::transaction::Transaction;
use openwfp_api::Clock;
use openwfp_api::ContextFields;
use openwfp_api::EventKind;
use openwfp_api::ObjectEvent;
use openwfp_api::OpenTransaction;
use openwfp_api::SaContext;
use openwfp_api::SaContextEvent;
use openwfp_api::SaContextId;
use openwfp_api::SessionNumber;
use openwfp_api::Version;
use std::collections::HashMap;
use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

/// State protected by the core lock.
#[derive(Default)]
pub(crate) struct Core {
    pub(crate) newest: Database,
    pub(crate) gate: Gate,
    pub(crate) transactions: HashMap<SessionNumber, Transaction>,
    pub(crate) subscriptions: Arc<Vec<Arc<Queue>>>,
    pub(crate) outbox: Outbox,
    pub(crate) wheel: Wheel,
    pub(crate) tally: Tally,
    /// Monotonic time until which the housekeeper sleeps; `None` if it sleeps until woken.
    pub(crate) sleeps_until: Option<Duration>,
}

/// Controls who may change the newest version.
#[derive(Default)]
pub(crate) struct Gate {
    /// The session whose read/write transaction is open.
    pub(crate) explicit: Option<SessionNumber>,
    /// Whether a private version is about to be swapped in.
    pub(crate) exclusive: bool,
    /// The contexts that the dataplane is working on.
    pub(crate) busy: HashSet<SaContextId>,
    /// Number of waiters that need the gate free of calls; new calls queue behind them.
    pub(crate) waiting: usize,
    /// Number of waiters of root, whom others let pass.
    pub(crate) root_waiting: usize,
    /// Number of root's waiters among those that need the gate free of calls.
    pub(crate) waiting_of_root: usize,
}

impl Gate {
    /// Whether a call may change a context.
    pub(crate) fn admits_call(&self, id: Option<SaContextId>) -> bool {
        self.explicit.is_none() && self.waiting == 0 && self.admits_engine(id)
    }

    /// Whether a call of root may change a context.
    pub(crate) fn admits_call_of_root(&self, id: Option<SaContextId>) -> bool {
        self.explicit.is_none() && self.waiting_of_root == 0 && self.admits_engine(id)
    }

    /// Whether the engine itself may change a context or take over counters.
    pub(crate) fn admits_engine(&self, id: Option<SaContextId>) -> bool {
        !self.exclusive && id.is_none_or(|id| self.busy.is_empty() || !self.busy.contains(&id))
    }

    /// Whether a private version that will be swapped in may begin.
    pub(crate) fn admits_exclusive(&self) -> bool {
        !self.exclusive && self.busy.is_empty()
    }

    /// Whether a read/write transaction may begin.
    pub(crate) fn admits_transaction(&self) -> bool {
        self.explicit.is_none() && self.admits_exclusive()
    }
}

/// Source of a change, as far as it affects the consequences of the change.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Origin {
    /// A session's call or transaction.
    Call,
    /// The engine itself, triggered by a timer or a counter.
    Engine,
    /// A provider, which enforces the lifetimes of its own SAs: the engine sets no timers for them.
    Provider,
}

/// Parameters for noting changes.
pub(crate) struct Circumstances<'a> {
    pub(crate) origin: Origin,
    pub(crate) clock: &'a dyn Clock,
    pub(crate) idle: IdleTimeout,
    /// Whether the engine enforces lifetimes, because its dataplane does not.
    pub(crate) ends_lifetimes: bool,
}

impl Core {
    /// Commits a change in place.
    pub(crate) fn commit(&mut self, change: &Change, circumstances: &Circumstances<'_>) {
        change.apply(&mut self.newest);
        self.newest.version.0 += 1;
        self.tally.note(change, Some(&self.newest));
        self.forget_spis(change);
        self.note(change, circumstances);
    }

    /// Removes from the SPI index the SPIs that a context lost in a change of the newest version.
    pub(crate) fn forget_spis(&self, change: &Change) {
        if let Some(old) = &change.old
            && !change.keeps_spis()
        {
            self.newest.forget_spis(old, self.written());
        }
    }

    /// Returns the version of the open read/write transaction, which may hold SPIs that the newest version
    /// has lost.
    pub(crate) fn written(&self) -> Option<&Database> {
        self.holder().map(|transaction| &transaction.database)
    }

    /// Removes from the SPI index the entries that an ended transaction added, or that were kept because of
    /// it.
    pub(crate) fn discard(&self, transaction: &Transaction) {
        for id in transaction.changed.keys().chain(transaction.overtaken.keys()) {
            for database in [&transaction.base.database, &transaction.database] {
                if let Some(context) = database.get(*id) {
                    self.newest.forget_spis(context, None);
                }
            }
        }
    }

    /// Handles the consequences of a change in the newest version: events, timers, and the record of
    /// overtaken contexts in the open transaction. Statistics and the SPI index are updated separately,
    /// because the many changes of a provider's listing update them without the lock.
    pub(crate) fn note(&mut self, change: &Change, circumstances: &Circumstances<'_>) {
        if !self.subscriptions.is_empty()
            && let Some(kind) = change.event().or_else(|| change.acquire(circumstances.origin))
            && let Some(context) = change.new.as_ref().or(change.old.as_ref())
        {
            let changed = match (&change.old, &change.new) {
                (Some(old), Some(new)) => ContextFields::between(old, new),
                _ => ContextFields::default(),
            };
            // What changes with each packet is no event.
            if kind != EventKind::Change || !changed.is_empty() {
                self.tell(kind, context, changed);
            }
        }
        if circumstances.origin != Origin::Provider
            && let Some(new) = &change.new
            && change.old.as_ref().is_none_or(|old| old.state != new.state)
        {
            for timer in lifetime::timers(new, circumstances.clock, circumstances.idle) {
                // A dataplane that enforces lifetimes still leaves idle timeouts and the end of expiring contexts to
                // the engine.
                let ours = matches!(timer.kind(), lifetime::TimerKind::End | lifetime::TimerKind::Idle);
                if circumstances.ends_lifetimes || ours {
                    self.wheel.insert(timer);
                }
            }
        }
        if circumstances.origin != Origin::Call
            && let Some(writer) = self.gate.explicit
            && let Some(transaction) = self.transactions.get_mut(&writer)
        {
            transaction.overtaken.insert(change.id, change.new.clone());
        }
    }

    /// Notifies subscribers of object changes in the newest version.
    pub(crate) fn note_objects(&mut self, changes: &[ObjectChange]) {
        let version = self.newest.version;
        // An object that is replaced under its key only has a new security descriptor, which is no event.
        if self.subscriptions.is_empty() {
            return;
        }
        for change in changes.iter().filter(|change| change.old.is_none() || change.new.is_none()) {
            for (kind, entry) in [(EventKind::Delete, &change.old), (EventKind::Add, &change.new)] {
                if let Some(entry) = entry {
                    let object = Arc::clone(&entry.object);
                    let event = ObjectEvent { kind, version, object };
                    self.outbox.object(&self.subscriptions, event, entry);
                }
            }
        }
    }

    /// Returns the newest version and the subscriptions to net events.
    pub(crate) fn net_event_queues(&self) -> (Version, Vec<Arc<Queue>>) {
        let queues = self.subscriptions.iter().filter(|queue| queue.is_about_net_events()).cloned();
        (self.newest.version, queues.collect())
    }

    /// Notifies subscribers of an event of an SA context that nothing in the database shows. It has a version of its own, so
    /// that who has listed the contexts does not take it for something that the listing contains.
    pub(crate) fn announce(&mut self, kind: EventKind, context: &Arc<SaContext>) {
        self.newest.version.0 += 1;
        self.tell(kind, context, ContextFields::default());
    }

    fn tell(&mut self, kind: EventKind, context: &Arc<SaContext>, changed: ContextFields) {
        if self.subscriptions.is_empty() {
            return;
        }
        let (id, version) = (context.id, self.newest.version);
        let event = SaContextEvent { kind, id, version, context: None, changed };
        self.outbox.sa_context(&self.subscriptions, event, context);
    }

    /// Returns what others may know of a session's transaction.
    pub(crate) fn open_transaction(&self, session: SessionNumber) -> Option<OpenTransaction> {
        let transaction = self.transactions.get(&session)?;
        Some(OpenTransaction { mode: transaction.mode, began: transaction.began })
    }

    /// Returns the session's transaction that keeps others from changing the newest version.
    pub(crate) fn holder(&self) -> Option<&Transaction> {
        self.gate.explicit.and_then(|session| self.transactions.get(&session))
    }

    /// Returns the monotonic time at which the next timer or transaction deadline is due.
    pub(crate) fn next_due(&self) -> Option<Duration> {
        let transactions = self.transactions.values().map(|transaction| transaction.deadline);
        transactions.chain(self.wheel.next()).min()
    }

    /// Whether something is due before the housekeeper's next run.
    pub(crate) fn is_due_earlier(&self) -> bool {
        match (self.next_due(), self.sleeps_until) {
            (None, _) => false,
            (Some(_), None) => true,
            (Some(due), Some(until)) => due < until,
        }
    }

    /// Drops the timers of deleted contexts once the wheel holds more than 4,096 timers plus four per
    /// context.
    pub(crate) fn sweep_timers(&mut self) {
        if self.wheel.len() > 4 * self.newest.len() + 4096 {
            let newest = &self.newest;
            self.wheel.retain(|timer| newest.get(timer.id()).is_some());
        }
    }
}
