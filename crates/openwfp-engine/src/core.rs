//! The core: the newest version of the database, who may change it when, and what follows from a commit.
//!
//! ```text
//! a call          ── plan on the newest version ── (dataplane, no lock) ── commit in place ─┐
//! a transaction   ── plan on its own version … commit ── (dataplane) ── swap ───────────────┤
//! a provider      ── reconcile on a private version, no lock ── swap ───────────────────────┤
//! a timer         ── plan on the newest version ── (dataplane) ── commit in place ──────────┤
//!                                                                                           ▼
//!                                          Core::note: events · timers · statistics · old versions
//! ```
//!
//! Invariants:
//! 1. The core's lock is held for steps that are short at any size of the database.
//! 2. While a context is busy (the dataplane works on it) nobody else changes it.
//! 3. While the gate is exclusive (a private version will be swapped in) nobody changes the newest version.
//! 4. While a session's read/write transaction is open, other sessions' calls change nothing; providers and timers do,
//!    and at the commit what they changed wins.

use crate::change::Change;
use crate::database::Database;
use crate::events::Queue;
use crate::faults::Injector;
use crate::lifetime;
use crate::lifetime::IdleTimeout;
use crate::lifetime::Wheel;
use crate::objects::ObjectChange;
use crate::statistics::Tally;
use crate::transaction::Transaction;
use openwfp_api::Clock;
use openwfp_api::EventKind;
use openwfp_api::ObjectEvent;
use openwfp_api::SaContext;
use openwfp_api::SaContextEvent;
use openwfp_api::SaContextId;
use openwfp_api::SessionNumber;
use openwfp_api::object::net_event::NetEvent;
use std::collections::HashMap;
use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

/// What one lock protects.
#[derive(Default)]
pub(crate) struct Core {
    pub(crate) newest: Database,
    pub(crate) gate: Gate,
    pub(crate) transactions: HashMap<SessionNumber, Transaction>,
    pub(crate) subscriptions: Vec<Arc<Queue>>,
    pub(crate) wheel: Wheel,
    pub(crate) tally: Tally,
    /// The moment until which the housekeeper sleeps; none: until it is woken.
    pub(crate) sleeps_until: Option<Duration>,
}

/// Who may change the newest version.
#[derive(Default)]
pub(crate) struct Gate {
    /// The session whose read/write transaction is open.
    pub(crate) explicit: Option<SessionNumber>,
    /// A private version will be swapped in.
    pub(crate) exclusive: bool,
    /// The contexts that the dataplane works on for a call.
    pub(crate) busy: HashSet<SaContextId>,
    /// So many wait for the gate to be free of calls; new calls stand behind them.
    pub(crate) waiting: usize,
}

impl Gate {
    /// Whether a call may change a context.
    pub(crate) fn admits_call(&self, id: Option<SaContextId>) -> bool {
        self.explicit.is_none() && self.waiting == 0 && self.admits_engine(id)
    }

    /// Whether the engine itself may change a context, or count.
    pub(crate) fn admits_engine(&self, id: Option<SaContextId>) -> bool {
        !self.exclusive && id.is_none_or(|id| self.busy.is_empty() || !self.busy.contains(&id))
    }

    /// Whether a private version may be begun that will be swapped in.
    pub(crate) fn admits_exclusive(&self) -> bool {
        !self.exclusive && self.busy.is_empty()
    }

    /// Whether a read/write transaction may begin.
    pub(crate) fn admits_transaction(&self) -> bool {
        self.explicit.is_none() && self.admits_exclusive()
    }
}

/// Who a change comes from, as far as it matters for what follows from it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Origin {
    /// A session's call or its transaction.
    Call,
    /// The engine itself, as a timer or a counter says.
    Engine,
    /// A provider, which also ends what it began.
    Provider,
}

/// What noting changes needs to know.
pub(crate) struct Circumstances<'a> {
    pub(crate) origin: Origin,
    pub(crate) clock: &'a dyn Clock,
    pub(crate) idle: IdleTimeout,
    /// Whether the engine ends lifetimes, and not its dataplane.
    pub(crate) ends_lifetimes: bool,
    pub(crate) faults: Option<&'a Injector>,
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

    /// Forgets the SPIs that a context lost by a change that is in the newest version.
    pub(crate) fn forget_spis(&self, change: &Change) {
        if let Some(old) = &change.old
            && !change.keeps_spis()
        {
            self.newest.forget_spis(old, self.written());
        }
    }

    /// The version of the open read/write transaction, which may hold SPIs that the newest has lost.
    pub(crate) fn written(&self) -> Option<&Database> {
        let writer = self.gate.explicit.and_then(|session| self.transactions.get(&session));
        writer.map(|transaction| &transaction.database)
    }

    /// Drops what a transaction that has ended noted outside of its own version, or had others keep there.
    pub(crate) fn discard(&self, transaction: &Transaction) {
        for id in transaction.changed.keys().chain(transaction.overtaken.keys()) {
            for database in [&transaction.base.database, &transaction.database] {
                if let Some(context) = database.get(*id) {
                    self.newest.forget_spis(context, None);
                }
            }
        }
    }

    /// What follows from a change that is in the newest version: events, timers, and for the transaction that is
    /// open. Statistics and the index of SPIs come apart from it: for a provider's many changes they are dealt with
    /// without the lock.
    pub(crate) fn note(&mut self, change: &Change, circumstances: &Circumstances<'_>) {
        if !self.subscriptions.is_empty()
            && let Some(kind) = change.event().or_else(|| change.acquire(circumstances.origin))
            && let Some(context) = change.new.as_ref().or(change.old.as_ref())
        {
            self.announce(kind, context, circumstances.faults);
        }
        if circumstances.origin != Origin::Provider
            && let Some(new) = &change.new
            && change.old.as_ref().is_none_or(|old| old.state != new.state)
        {
            for timer in lifetime::timers(new, circumstances.clock, circumstances.idle) {
                // A dataplane that ends lifetimes knows nothing of idle pairs.
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

    /// Tells those who subscribed of changes of objects that are in the newest version.
    pub(crate) fn note_objects(&mut self, changes: &[ObjectChange]) {
        let version = self.newest.version;
        // What keeps its key has got another descriptor, which is no event.
        for change in changes.iter().filter(|change| change.old.is_none() || change.new.is_none()) {
            for (kind, entry) in [(EventKind::Delete, &change.old), (EventKind::Add, &change.new)] {
                if let Some(entry) = entry {
                    let object = Arc::clone(&entry.object);
                    let event = ObjectEvent { kind, version, object };
                    self.subscriptions.retain(|queue| queue.push_object(&event, entry));
                }
            }
        }
    }

    /// Tells those who subscribed of a net event.
    pub(crate) fn announce_net_event(&mut self, event: &Arc<NetEvent>) {
        let version = self.newest.version;
        self.subscriptions.retain(|queue| queue.push_net_event(event, version));
    }

    /// Tells those who subscribed.
    pub(crate) fn announce(&mut self, kind: EventKind, context: &Arc<SaContext>, faults: Option<&Injector>) {
        let event = SaContextEvent { kind, id: context.id, version: self.newest.version, context: None };
        self.subscriptions.retain(|queue| queue.push(&event, context, faults));
    }

    /// When the next timer or transaction is due.
    pub(crate) fn next_due(&self) -> Option<Duration> {
        let transactions = self.transactions.values().map(|transaction| transaction.deadline);
        transactions.chain(self.wheel.next()).min()
    }

    /// Whether something became due before the housekeeper would look.
    pub(crate) fn is_due_earlier(&self) -> bool {
        match (self.next_due(), self.sleeps_until) {
            (None, _) => false,
            (Some(_), None) => true,
            (Some(due), Some(until)) => due < until,
        }
    }

    /// Drops the timers of contexts that are gone once they are most of all.
    pub(crate) fn sweep_timers(&mut self) {
        if self.wheel.len() > 4 * self.newest.len() + 4096 {
            let newest = &self.newest;
            self.wheel.retain(|timer| newest.get(timer.id()).is_some());
        }
    }
}
