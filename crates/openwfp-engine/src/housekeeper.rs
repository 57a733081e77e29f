//! Housekeeping: runs work that is due, on the engine's own thread or on the caller's.

use crate::change::is_announced;
use crate::core::Core;
use crate::lifetime;
use crate::lifetime::Reached;
use crate::lifetime::Timer;
use crate::lifetime::TimerKind;
use crate::record::TransactionState;
use crate::shared::Shared;
use crate::sync::Condvar;
use crate::sync::Mutex;
use crate::sync::lock;
use crate::sync::thread;
use crate::sync::wait;
use openwfp_api::Code;
use openwfp_api::CounterUpdate;
use openwfp_api::DirectionCounters;
use openwfp_api::EventKind;
use openwfp_api::SaContext;
use openwfp_api::SaContextId;
use openwfp_api::SaContextStep;
use openwfp_api::SaState;
use std::sync::Arc;
use std::sync::PoisonError;
use std::sync::Weak;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

/// Maximum number of timers to take per batch, which bounds how long the core lock is held.
const BATCH: usize = 256;

/// Delay before retrying to end a context after a failure, such as a dataplane that fails to remove an
/// SA.
const RETRY: Duration = Duration::from_secs(5);

/// Starts, wakes and stops a thread that works for an engine, such as the housekeeper.
pub(crate) struct Signal {
    name: &'static str,
    /// Does the work, and returns the monotonic time at which there is more.
    work: fn(&Shared) -> Option<Duration>,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    started: bool,
    woken: bool,
    stopped: bool,
}

impl Signal {
    pub(crate) fn new(name: &'static str, work: fn(&Shared) -> Option<Duration>) -> Signal {
        Signal { name, work, state: Mutex::default(), changed: Condvar::new() }
    }

    /// Wakes the thread; the first call starts it.
    pub(crate) fn wake(self: &Arc<Signal>, engine: &Weak<Shared>) {
        let starts = {
            let mut state = lock(&self.state);
            state.woken = true;
            !std::mem::replace(&mut state.started, true)
        };
        self.changed.notify_all();
        if starts {
            let (signal, engine) = (Arc::clone(self), Weak::clone(engine));
            let body = move || signal.run(&engine);
            if let Err(error) = thread::Builder::new().name(self.name.into()).spawn(body) {
                // The next commit tries again.
                lock(&self.state).started = false;
                tracing::error!(%error, thread = self.name, "cannot start a thread; its work waits until it starts");
            }
        }
    }

    pub(crate) fn stop(&self) {
        lock(&self.state).stopped = true;
        self.changed.notify_all();
    }

    fn run(&self, engine: &Weak<Shared>) {
        loop {
            lock(&self.state).woken = false;
            // The thread keeps the engine alive only while it works for it.
            let Some(shared) = engine.upgrade() else { return };
            let clock = Arc::clone(&shared.clock);
            let due = (self.work)(&shared);
            drop(shared);
            let mut state = lock(&self.state);
            while !state.woken && !state.stopped {
                let Some(due) = due else {
                    state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
                    continue;
                };
                let left = due.saturating_sub(clock.monotonic());
                if left.is_zero() {
                    break;
                }
                state = wait(&self.changed, state, clock.pause(left));
            }
            if state.stopped {
                return;
            }
        }
    }
}

impl Shared {
    /// Does all work that is due, and returns the monotonic time at which the next is due.
    pub(crate) fn run_due(&self) -> Option<Duration> {
        let _one_at_a_time = lock(&self.housekeeping);
        loop {
            let now = self.clock.monotonic();
            self.abort_overdue(now);
            self.send_news();
            let due = {
                let mut core = self.core();
                let due = core.wheel.turn(now, BATCH);
                core.sweep_timers();
                if due.is_empty() {
                    core.sleeps_until = core.next_due();
                    drop(core);
                    // Wake threads that wait at the gate, so that they recheck their timeouts by this clock.
                    self.gate_changed.notify_all();
                    return self.core().sleeps_until;
                }
                due
            };
            for timer in due {
                self.fire(timer, now);
            }
        }
    }

    fn abort_overdue(&self, now: Duration) {
        let overdue: Vec<_> = self
            .core()
            .transactions
            .values()
            .filter(|transaction| transaction.deadline <= now)
            .map(|transaction| Arc::clone(&transaction.session))
            .collect();
        for session in overdue {
            if self.end_transaction(session.number(), TransactionState::Ended) {
                crate::audit::transaction_ended(&session, "open too long");
                if session.transaction_time_max != Duration::MAX {
                    // Others get their turn before this user begins another one.
                    let until = now.saturating_add(session.transaction_time_max);
                    session.usage.refused_until.store(
                        u64::try_from(until.as_millis()).unwrap_or(u64::MAX),
                        crate::sync::atomic::Ordering::Release,
                    );
                }
            }
        }
    }

    fn fire(&self, timer: Timer, now: Duration) {
        let id = timer.id();
        let Some(context) = self.core().newest.get(id).cloned() else { return };
        let expiring = matches!(context.state, SaState::Expiring { .. });
        match timer.kind() {
            TimerKind::Soft => {
                // The limit may belong to the outbound SA, which an expiring context no longer has.
                let Some(rest) = lifetime::hard_after_soft(&context) else { return };
                // Counted from the soft deadline, not from now: a late check must not extend the lifetime.
                let hard = timer.deadline().saturating_add(rest);
                let mut core = self.core();
                if !expiring {
                    core.announce(EventKind::SoftExpiry, &context);
                }
                if hard > now {
                    core.wheel.insert(Timer::new(hard, id, TimerKind::Hard));
                } else {
                    drop(core);
                    self.end(SaContextStep::Delete(id), id, TimerKind::Hard, now);
                }
            }
            TimerKind::Idle if expiring => {}
            TimerKind::Hard | TimerKind::End => self.end(SaContextStep::Delete(id), id, timer.kind(), now),
            TimerKind::Idle => {
                let Some(limit) = lifetime::idle_timeout(&context, self.idle()) else { return };
                self.refresh_counters(std::slice::from_ref(&context));
                // Timers use monotonic time and last use is wall-clock time; both measure intervals alike.
                let idle = self.clock.wall().since(openwfp_api::Timestamp(lifetime::last_used(&context)));
                if idle >= limit {
                    self.end(SaContextStep::Expire(id), id, timer.kind(), now);
                } else {
                    self.core().wheel.insert(Timer::new(
                        now.saturating_add(limit - idle),
                        id,
                        TimerKind::Idle,
                    ));
                }
            }
        }
    }

    /// Ends a context on behalf of the engine itself. If that fails, for instance in the dataplane, it is
    /// retried later.
    fn end(&self, step: SaContextStep, id: SaContextId, kind: TimerKind, now: Duration) {
        let operation = step.operations()[0];
        let result = self.step_by_itself(step);
        crate::audit::by_engine(operation, id, kind.word(), result.as_ref().err());
        if let Err(error) = result
            && error.code() != Code::FWP_E_NOT_FOUND
        {
            self.core().wheel.insert(Timer::new(now.saturating_add(RETRY), id, kind));
        }
    }

    /// Applies the limits that a context's counters have reached: announces a soft expiry, or returns the
    /// id of a context to delete.
    pub(crate) fn reach(
        &self,
        core: &mut Core,
        context: &Arc<SaContext>,
        update: &CounterUpdate,
        before: (u64, u64),
    ) -> Option<SaContextId> {
        match lifetime::reached(context, update.direction, before, (update.bytes, update.packets))? {
            Reached::Hard => Some(context.id),
            Reached::Soft => {
                if is_announced(context) {
                    core.announce(EventKind::SoftExpiry, context);
                }
                None
            }
        }
    }

    /// Returns the counters of an update. If the provider does not report the time of last use, growth of
    /// the counters counts as use now.
    pub(crate) fn counters(
        &self,
        update: &CounterUpdate,
        before: (u64, u64),
        cell: &DirectionCounters,
    ) -> DirectionCounters {
        let last_used = match update.last_used {
            0 if (update.bytes, update.packets) != before => self.clock.wall().0,
            0 => cell.last_used.load(std::sync::atomic::Ordering::Relaxed),
            time => time,
        };
        DirectionCounters {
            bytes: AtomicU64::new(update.bytes),
            packets: AtomicU64::new(update.packets),
            last_used: AtomicU64::new(last_used),
            replay_window_drops: AtomicU32::new(update.replay_window_drops),
            replay_drops: AtomicU32::new(update.replay_drops),
            integrity_failures: AtomicU32::new(update.integrity_failures),
            asked: AtomicU32::default(),
        }
    }
}
