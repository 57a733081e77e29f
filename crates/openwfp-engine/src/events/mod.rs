//! Events: a bounded queue for each subscription, filled in the order of commits.
//!
//! Invariants:
//! 1. A queue's events have ascending versions, and what it does not hold of those that its subscriber asked for was
//!    counted as dropped.
//! 2. Between the first dropped event and the subscriber being told of it, nothing more is queued: so all that comes
//!    behind the notice is of later versions than its own.
//! 3. Once a queue is closed, no callback begins.

mod deliver;

use crate::faults::Injector;
use crate::record::SessionRecord;
use crate::sync::Condvar;
use crate::sync::Mutex;
use crate::sync::lock;
use crate::sync::thread::ThreadId;
use crate::sync::wait;
pub(crate) use deliver::deliver;
use openwfp_api::Clock;
use openwfp_api::Code;
use openwfp_api::Error;
use openwfp_api::Notification;
use openwfp_api::Result;
use openwfp_api::Rights;
use openwfp_api::SaContext;
use openwfp_api::SaContextEvent;
use openwfp_api::SubscriptionId;
use openwfp_api::SubscriptionOptions;
use openwfp_api::Version;
use std::collections::VecDeque;
use std::sync::Arc;
use std::task::Context;
use std::task::Poll;
use std::task::Waker;
use std::time::Duration;

/// One subscription: what it wants and what waits for it.
pub(crate) struct Queue {
    pub(crate) id: SubscriptionId,
    pub(crate) options: SubscriptionOptions,
    pub(crate) session: Arc<SessionRecord>,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<SaContextEvent>,
    dropped: Option<(u64, Version)>,
    closed: bool,
    /// Who is to be woken, where the subscriber is a task.
    waker: Option<Waker>,
    /// The thread that is inside the callback.
    delivering: Option<ThreadId>,
}

impl Queue {
    pub(crate) fn new(
        id: SubscriptionId,
        options: SubscriptionOptions,
        session: Arc<SessionRecord>,
    ) -> Queue {
        Queue { id, options, session, state: Mutex::default(), changed: Condvar::new() }
    }

    /// Queues an event for a context if its subscriber wants it; whether the queue is still open.
    pub(crate) fn push(
        &self,
        event: &SaContextEvent,
        context: &Arc<SaContext>,
        faults: Option<&Injector>,
    ) -> bool {
        let wanted = self.options.kinds.contain(event.kind)
            && self.options.template.matches(context)
            && self.session.rights().contain(Rights::SUBSCRIBE);
        let mut state = lock(&self.state);
        if state.closed || !wanted {
            return !state.closed;
        }
        let lost = faults.is_some_and(Injector::loses_notification);
        let full = lost || state.waiting.len() >= self.options.queue_length;
        match &mut state.dropped {
            Some((count, version)) => {
                *count += 1;
                *version = event.version;
            }
            none if full => *none = Some((1, event.version)),
            None => {
                let context = self.session.rights().contain(Rights::READ).then(|| Arc::clone(context));
                state.waiting.push_back(SaContextEvent { context, ..event.clone() });
            }
        }
        let waker = state.waker.take();
        drop(state);
        self.changed.notify_all();
        waker.into_iter().for_each(Waker::wake);
        true
    }

    /// The next notification; without one, the task is woken when there is.
    pub(crate) fn poll_next(&self, context: &mut Context<'_>) -> Poll<Result<Notification>> {
        let mut state = lock(&self.state);
        if state.closed {
            return Poll::Ready(Err(ended()));
        }
        match state.take() {
            Some(notification) => Poll::Ready(Ok(notification)),
            None => {
                state.waker = Some(context.waker().clone());
                Poll::Pending
            }
        }
    }

    /// The next notification; none if none comes in time.
    pub(crate) fn next(&self, at_most: Duration, clock: &dyn Clock) -> Result<Option<Notification>> {
        let mut state = lock(&self.state);
        let mut deadline = None;
        loop {
            if state.closed {
                return Err(ended());
            }
            if let Some(notification) = state.take() {
                return Ok(Some(notification));
            }
            if at_most.is_zero() {
                return Ok(None);
            }
            let now = clock.monotonic();
            let deadline = *deadline.get_or_insert(now.saturating_add(at_most));
            if now >= deadline {
                return Ok(None);
            }
            state = wait(&self.changed, state, clock.pause(deadline - now));
        }
    }

    /// Ends the subscription: when this returns, no callback runs, unless it is the one that calls this.
    pub(crate) fn close(&self) {
        let mut state = lock(&self.state);
        state.closed = true;
        let waiting = std::mem::take(&mut state.waiting);
        let waker = state.waker.take();
        self.changed.notify_all();
        let me = crate::sync::thread::current().id();
        while state.delivering.is_some_and(|thread| thread != me) {
            state = self.changed.wait(state).unwrap_or_else(std::sync::PoisonError::into_inner);
        }
        drop(state);
        waker.into_iter().for_each(Waker::wake);
        drop(waiting);
    }

    /// Whether it has ended, by whomever.
    pub(crate) fn is_closed(&self) -> bool {
        lock(&self.state).closed
    }

    /// How many events wait.
    pub(crate) fn len(&self) -> usize {
        lock(&self.state).waiting.len()
    }
}

fn ended() -> Error {
    Error::new(Code::ERROR_INVALID_HANDLE, "the subscription has ended")
}

impl State {
    fn take(&mut self) -> Option<Notification> {
        if let Some(event) = self.waiting.pop_front() {
            return Some(Notification::Event(event));
        }
        let (count, list_from) = self.dropped.take()?;
        Some(Notification::Dropped { count, list_from })
    }
}
