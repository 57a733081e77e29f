//! State that all sessions of an engine share, and the gate that controls who may change the newest
//! version.

use crate::access::Access;
use crate::change;
use crate::change::Change;
use crate::classify::Classifier;
use crate::core::Circumstances;
use crate::core::Core;
use crate::core::Gate;
use crate::core::Origin;
use crate::database::Database;
use crate::effects::Enforced;
use crate::effects::Unenforced;
use crate::faults::Injector;
use crate::housekeeper::Signal;
use crate::kernel_policies::KernelPolicies;
use crate::lifetime::IdleTimeout;
use crate::net_events::NetEvents;
use crate::record::SessionRecord;
use crate::record::Usage;
use crate::registry::Sessions;
use crate::snapshots::Snapshots;
use crate::sync::Condvar;
use crate::sync::Mutex;
use crate::sync::MutexGuard;
use crate::sync::RwLock;
use crate::sync::atomic::AtomicU32;
use crate::sync::atomic::AtomicU64;
use crate::sync::atomic::Ordering;
use crate::sync::lock;
use crate::sync::wait;
use crate::transaction::Transaction;
use openwfp_api::Clock;
use openwfp_api::Code;
use openwfp_api::Dataplane;
use openwfp_api::Error;
use openwfp_api::Random;
use openwfp_api::Result;
use openwfp_api::SaContextId;
use openwfp_api::SaContextStep;
use openwfp_api::SessionNumber;
use openwfp_api::Sid;
use openwfp_api::StepOutcome;
use openwfp_api::Timestamp;
use openwfp_api::object::store::ObjectStore;
use std::collections::HashMap;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::sync::Weak;
use std::time::Duration;

pub(crate) struct Shared {
    pub(crate) me: Weak<Shared>,
    pub(crate) core: Mutex<Core>,
    /// Notified whenever the gate may have opened for a waiter.
    pub(crate) gate_changed: Condvar,
    pub(crate) newest_id: AtomicU64,
    /// The newest serial numbers: of objects in general, and of callouts.
    pub(crate) newest_object: AtomicU64,
    pub(crate) newest_callout: AtomicU64,
    /// The filters of the newest version, indexed for classification.
    pub(crate) classifier: RwLock<Classifier>,
    /// What carries out the filters of the newest version; empty if the dataplane enforces no policies.
    pub(crate) enforced: Mutex<Enforced>,
    /// The policies of the kernel, as its provider reports them.
    pub(crate) kernel_policies: Mutex<KernelPolicies>,
    pub(crate) net_events: Mutex<NetEvents>,
    pub(crate) store: Option<Arc<dyn ObjectStore>>,
    /// Engine options, indexed by their WFP numbers.
    pub(crate) options: [AtomicU32; 6],
    pub(crate) dataplane: Option<Arc<dyn Dataplane>>,
    pub(crate) unenforced: Unenforced,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) random: Arc<dyn Random>,
    pub(crate) spis: RangeInclusive<u32>,
    pub(crate) idle: IdleTimeout,
    pub(crate) transaction_time_max: Duration,
    pub(crate) old_versions_max: u64,
    pub(crate) faults: Option<Injector>,
    pub(crate) snapshots: Arc<Snapshots>,
    pub(crate) sessions: Mutex<Sessions>,
    pub(crate) access: Mutex<Access>,
    pub(crate) refusals: crate::audit::Refusals,
    pub(crate) owner: Sid,
    /// Held while due work is done, so that it is done once and in order.
    pub(crate) housekeeping: Mutex<()>,
    pub(crate) signal: Option<Arc<Signal>>,
    /// Which threads wait for which callbacks.
    pub(crate) waits: openwfp_api::Waits<crate::sync::thread::ThreadId>,
    pub(crate) undelivered: crate::events::Undelivered,
    /// Held while events are put into the subscriptions' queues.
    pub(crate) delivery: Mutex<()>,
    /// Delivers events if there are many subscriptions.
    pub(crate) courier: Option<Arc<Signal>>,
    /// What each user's sessions use together.
    pub(crate) usage: Mutex<HashMap<Sid, Weak<Usage>>>,
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.signal.iter().chain(&self.courier).for_each(|signal| signal.stop());
    }
}

/// The kind of access that a caller requests from the gate.
pub(crate) enum Want {
    /// A session's call that creates a context, or changes the given one.
    Call(SessionNumber, Option<SaContextId>),
    /// The engine itself changes a context, or takes over counters.
    Engine(Option<SaContextId>),
    /// Swap in a private version.
    Exclusive,
    /// Begin a private version for a session, or continue with the one it has.
    Version(SessionNumber),
}

/// Marks a context as busy in the dataplane; dropping it admits other changes of the context.
pub(crate) struct Turn<'e> {
    pub(crate) engine: &'e Shared,
    pub(crate) id: SaContextId,
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.engine.core().gate.busy.remove(&self.id);
        self.engine.gate_changed.notify_all();
    }
}

/// The exclusive right to swap in a private version; dropping it reopens the gate.
pub(crate) struct Exclusive<'e>(pub(crate) &'e Shared);

impl Drop for Exclusive<'_> {
    fn drop(&mut self) {
        self.0.core().gate.exclusive = false;
        self.0.gate_changed.notify_all();
    }
}

impl Shared {
    pub(crate) fn core(&self) -> MutexGuard<'_, Core> {
        lock(&self.core)
    }

    /// Waits until the gate grants `want`, and returns the locked core. With `at_most` `None`, as the
    /// engine's own callers pass, the wait is unlimited.
    ///
    /// # Errors
    /// `FWP_E_TIMEOUT` if it takes longer than `at_most`.
    pub(crate) fn enter(&self, want: &Want, at_most: Option<Duration>) -> Result<MutexGuard<'_, Core>> {
        self.enter_as(want, at_most, false)
    }

    /// Waits for a session's call as [`Shared::enter`] does, as long as the session waits. Root goes first.
    pub(crate) fn enter_for(&self, want: &Want, record: &SessionRecord) -> Result<MutexGuard<'_, Core>> {
        self.enter_as(want, Some(record.info.transaction_wait), record.info.user == Sid::ROOT)
    }

    fn enter_as(
        &self,
        want: &Want,
        at_most: Option<Duration>,
        is_root: bool,
    ) -> Result<MutexGuard<'_, Core>> {
        let admits = |gate: &Gate| match want {
            // A session's own transaction works on its own version, which nobody else changes.
            Want::Call(session, _) | Want::Version(session) if gate.explicit == Some(*session) => true,
            Want::Call(..) | Want::Version(_) if gate.root_waiting > 0 && !is_root => false,
            // Root does not queue behind the waiters that let it pass.
            Want::Call(_, id) if is_root => gate.admits_call_of_root(*id),
            Want::Call(_, id) => gate.admits_call(*id),
            Want::Engine(id) => gate.admits_engine(*id),
            Want::Exclusive => gate.admits_exclusive(),
            Want::Version(_) => gate.admits_transaction(),
        };
        let mut core = self.core();
        if admits(&core.gate) {
            return Ok(core);
        }
        // Holds back new calls; otherwise a steady stream of calls would starve those that need a gate free of
        // calls.
        let holds_back = usize::from(matches!(want, Want::Exclusive | Want::Version(_)));
        let start = self.clock.monotonic();
        core.gate.waiting += holds_back;
        core.gate.root_waiting += usize::from(is_root);
        core.gate.waiting_of_root += if is_root { holds_back } else { 0 };
        let result = loop {
            let left = match at_most {
                None => Duration::MAX,
                Some(at_most) => {
                    let left = at_most.saturating_sub(self.clock.monotonic() - start);
                    if left.is_zero() {
                        let now = self.clock.wall();
                        break Err(timed_out(core.holder(), now, at_most));
                    }
                    left
                }
            };
            core = wait(&self.gate_changed, core, self.clock.pause(left).min(Duration::from_secs(3600)));
            if admits(&core.gate) {
                break Ok(());
            }
        };
        core.gate.waiting -= holds_back;
        core.gate.root_waiting -= usize::from(is_root);
        core.gate.waiting_of_root -= if is_root { holds_back } else { 0 };
        if is_root {
            self.gate_changed.notify_all();
        }
        if let Err(error) = result {
            drop(core);
            self.gate_changed.notify_all();
            return Err(error);
        }
        Ok(core)
    }

    pub(crate) fn circumstances(&self, origin: Origin) -> Circumstances<'_> {
        Circumstances { origin, clock: &*self.clock, idle: self.idle, ends_lifetimes: self.ends_lifetimes() }
    }

    /// Whether the engine enforces lifetimes, because its dataplane does not.
    pub(crate) fn ends_lifetimes(&self) -> bool {
        self.dataplane.as_ref().is_none_or(|dataplane| !dataplane.enforces_lifetimes())
    }

    pub(crate) fn idle(&self) -> IdleTimeout {
        self.idle
    }

    pub(crate) fn new_id(&self) -> SaContextId {
        SaContextId(self.newest_id.fetch_add(1, Ordering::Relaxed) + 1)
    }

    pub(crate) fn plan(&self, database: &Database, step: SaContextStep) -> Result<(Change, StepOutcome)> {
        let new_id = || self.new_id();
        let means =
            change::Means { clock: &*self.clock, random: &*self.random, spis: &self.spis, new_id: &new_id };
        change::plan(database, step, &means)
    }

    /// Sends the news to the subscribers, wakes the housekeeper if `wakes` (something became due before its next run), and closes
    /// enumerators that exceed the limit on old versions. Call it after releasing the core lock.
    pub(crate) fn after_commit(&self, wakes: bool) {
        self.send_news();
        if wakes && let Some(signal) = &self.signal {
            signal.wake(&self.me);
        }
        if self.old_versions_max != u64::MAX {
            let evicted = self.snapshots.shrink(self.old_versions_max);
            if evicted > 0 {
                tracing::warn!(
                    evicted,
                    limit = self.old_versions_max,
                    "closed enumerators whose old versions of the database took too much memory"
                );
            }
        }
    }

    /// Commits a change in place, releases the core lock, and does the follow-up work of a commit.
    pub(crate) fn commit(&self, mut core: MutexGuard<'_, Core>, change: &Change, origin: Origin) {
        core.commit(change, &self.circumstances(origin));
        self.snapshots.note(1, change.old.is_some().into());
        let wakes = core.is_due_earlier();
        drop(core);
        self.after_commit(wakes);
    }
}

fn timed_out(holder: Option<&Transaction>, now: Timestamp, waited: Duration) -> Error {
    let waits = format!("this session waits ({} ms)", waited.as_millis());
    match holder {
        Some(transaction) => {
            let info = &transaction.session.info;
            let user = match info.user_name.as_str() {
                "" => info.user.to_string(),
                name => format!("{name} ({})", info.user),
            };
            let what = format!(
                "the transaction of session {} of user {user}, open for {} s, took longer than {waits}",
                info.number.0,
                now.0.saturating_sub(transaction.began.0)
            );
            Error::new(Code::FWP_E_TIMEOUT, what).with_remedy(format!(
                "Try again, open the session with a longer timeout, or end the other one: wfp session close {}.",
                info.number.0
            ))
        }
        None => {
            let what = format!("another change of the same SA contexts took longer than {waits}");
            Error::new(Code::FWP_E_TIMEOUT, what)
                .with_remedy("Try again, or open the session with a longer timeout.")
        }
    }
}
