//! Events: a bounded queue for each subscription, filled in commit order.
//!
//! Invariants:
//! 1. The events in a queue are in order of version. Every event that the subscriber requested is
//!    either queued or counted as dropped.
//! 2. After the first dropped event, nothing is queued until the subscriber has received the notice of
//!    the drop. So no event after the notice is older than the version in the notice.
//! 3. Once a queue is closed, no callback begins.
//! 4. The notifications in the queues of one user hold about [`QUEUED_BYTES`](openwfp_api::bounds::QUEUED_BYTES) together,
//!    except root's.

mod deliver;
mod outbox;

use crate::faults::Injector;
use crate::net_events::Wanted;
use crate::objects::Entry;
use crate::record::SessionRecord;
use crate::sync::Condvar;
use crate::sync::Mutex;
use crate::sync::atomic::Ordering;
use crate::sync::lock;
use crate::sync::thread::ThreadId;
use crate::sync::wait;
pub(crate) use deliver::deliver;
use openwfp_api::Clock;
use openwfp_api::Code;
use openwfp_api::Error;
use openwfp_api::Notification;
use openwfp_api::ObjectEvent;
use openwfp_api::Result;
use openwfp_api::Rights;
use openwfp_api::SaContext;
use openwfp_api::SaContextEvent;
use openwfp_api::Securable;
use openwfp_api::SubscriptionId;
use openwfp_api::SubscriptionOptions;
use openwfp_api::Topic;
use openwfp_api::Version;
use openwfp_api::Waits;
use openwfp_api::object::net_event::NetEvent;
pub(crate) use outbox::Outbox;
pub(crate) use outbox::Undelivered;
use std::collections::VecDeque;
use std::sync::Arc;
use std::task::Context;
use std::task::Poll;
use std::task::Waker;
use std::time::Duration;

/// About how many bytes a queued version of an SA context holds that nothing else needs any more.
const CONTEXT_WEIGHT: usize = 1024;

/// One subscription: its options and its queued notifications.
pub(crate) struct Queue {
    pub(crate) id: SubscriptionId,
    pub(crate) options: SubscriptionOptions,
    /// The compiled template of a subscription to net events.
    net_events: Option<Wanted>,
    pub(crate) session: Arc<SessionRecord>,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    /// The notifications, each with about the number of bytes that it holds.
    waiting: VecDeque<(Notification, usize)>,
    dropped: Option<(u64, Version)>,
    closed: bool,
    /// The task to wake, if the subscriber is a task.
    waker: Option<Waker>,
    /// The thread that is running the callback.
    delivering: Option<ThreadId>,
}

impl Queue {
    pub(crate) fn new(
        id: SubscriptionId,
        options: SubscriptionOptions,
        net_events: Option<Wanted>,
        session: Arc<SessionRecord>,
    ) -> Queue {
        Queue { id, options, net_events, session, state: Mutex::default(), changed: Condvar::new() }
    }

    pub(crate) fn is_about_net_events(&self) -> bool {
        self.net_events.is_some()
    }

    pub(crate) fn is_open(&self) -> bool {
        !lock(&self.state).closed
    }

    /// Queues an event of a context if the subscriber wants it; returns whether the queue is still open.
    pub(crate) fn push(
        &self,
        event: &SaContextEvent,
        context: &Arc<SaContext>,
        faults: Option<&Injector>,
    ) -> bool {
        let wanted = self.options.kinds.contain(event.kind)
            && matches!(&self.options.topic, Topic::SaContexts(template) if template.matches(context))
            && self.session.rights().contain(Rights::SUBSCRIBE);
        let lost = || faults.is_some_and(Injector::loses_notification);
        self.add(wanted, event.version, CONTEXT_WEIGHT, lost, || {
            let context = self.session.rights().contain(Rights::READ).then(|| Arc::clone(context));
            Notification::Event(SaContextEvent { context, ..event.clone() })
        })
    }

    /// Queues an event of an object if the subscriber wants it and may read the object; returns whether the
    /// queue is still open.
    pub(crate) fn push_object(&self, event: &ObjectEvent, entry: &Entry, weight: usize) -> bool {
        let on = Securable::Objects(event.object.kind());
        let read = match &entry.security {
            Some(own) if !self.session.info.kernel_mode => {
                let is_administrator = self.session.is_administrator.load(Ordering::Acquire);
                crate::access::rights_on_object(&self.session.principal, is_administrator, own)
            }
            _ => self.session.rights_on(on),
        };
        let wanted = self.options.kinds.contain(event.kind)
            && matches!(&self.options.topic, Topic::Objects(template) if template.selects(&event.object))
            && self.session.rights_on(on).contain(Rights::SUBSCRIBE)
            && read.contain(Rights::READ);
        let reads_keys = || self.session.rights().contain(Rights::READ_KEYS);
        self.add(
            wanted,
            event.version,
            weight,
            || false,
            || {
                let mut event = event.clone();
                if !reads_keys()
                    && let Some(object) = event.object.without_keys()
                {
                    event.object = Arc::new(object);
                }
                Notification::Object(event)
            },
        )
    }

    /// Queues a net event if the subscriber wants it; returns whether the queue is still open.
    pub(crate) fn push_net_event(&self, event: &Arc<NetEvent>, version: Version) -> bool {
        let wanted = self.net_events.as_ref().is_some_and(|wanted| wanted.selects(event))
            && self.session.rights_on(Securable::NetEvents).contain(Rights::SUBSCRIBE);
        let weight = CONTEXT_WEIGHT + event.app_id.0.len();
        self.add(wanted, version, weight, || false, || Notification::Net(Arc::clone(event)))
    }

    /// Queues a wanted notification, or counts it as dropped if the queue is full; returns whether the
    /// queue is still open.
    fn add(
        &self,
        wanted: bool,
        version: Version,
        weight: usize,
        is_lost: impl FnOnce() -> bool,
        notification: impl FnOnce() -> Notification,
    ) -> bool {
        let mut state = lock(&self.state);
        if state.closed || !wanted {
            return !state.closed;
        }
        let full =
            is_lost() || state.waiting.len() >= self.options.queue_length || self.session.usage.is_full();
        match &mut state.dropped {
            Some((count, newest)) => {
                *count += 1;
                *newest = version;
            }
            none if full => *none = Some((1, version)),
            None => {
                self.session.usage.queued.fetch_add(weight, Ordering::Relaxed);
                state.waiting.push_back((notification(), weight));
            }
        }
        let waker = state.waker.take();
        drop(state);
        self.changed.notify_all();
        waker.into_iter().for_each(Waker::wake);
        true
    }

    /// Returns the next notification; if there is none, arranges to wake the task when one arrives.
    pub(crate) fn poll_next(&self, context: &mut Context<'_>) -> Poll<Result<Notification>> {
        let mut state = lock(&self.state);
        if state.closed {
            return Poll::Ready(Err(ended()));
        }
        match self.take(&mut state) {
            Some(notification) => Poll::Ready(Ok(notification)),
            None => {
                state.waker = Some(context.waker().clone());
                Poll::Pending
            }
        }
    }

    /// Waits for the next notification; returns `None` if none arrives within `at_most`.
    pub(crate) fn next(&self, at_most: Duration, clock: &dyn Clock) -> Result<Option<Notification>> {
        let mut state = lock(&self.state);
        let mut deadline = None;
        loop {
            if state.closed {
                return Err(ended());
            }
            if let Some(notification) = self.take(&mut state) {
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

    /// Ends the subscription. When this returns, no callback of it is running, except one that waits for the caller: the caller
    /// itself, or a callback that ends the subscription whose callback the caller is. Returns whether none is running at all.
    pub(crate) fn close(&self, waits: &Waits<ThreadId>) -> bool {
        let mut state = lock(&self.state);
        state.closed = true;
        let waiting = self.clear(&mut state);
        let waker = state.waker.take();
        self.changed.notify_all();
        let me = crate::sync::thread::current().id();
        while let Some(thread) = state.delivering
            && waits.begin(me, thread)
        {
            state = self.changed.wait(state).unwrap_or_else(std::sync::PoisonError::into_inner);
            waits.end(me);
        }
        let has_ended = state.delivering.is_none();
        drop(state);
        waker.into_iter().for_each(Waker::wake);
        drop(waiting);
        has_ended
    }

    /// Whether its callback is running.
    pub(crate) fn is_running(&self) -> bool {
        lock(&self.state).delivering.is_some()
    }

    /// Whether the subscription has ended, for whatever reason.
    pub(crate) fn is_closed(&self) -> bool {
        lock(&self.state).closed
    }

    fn take(&self, state: &mut State) -> Option<Notification> {
        if let Some((notification, weight)) = state.waiting.pop_front() {
            self.session.usage.queued.fetch_sub(weight, Ordering::Relaxed);
            return Some(notification);
        }
        let (count, list_from) = state.dropped.take()?;
        Some(Notification::Dropped { count, list_from })
    }

    /// Takes all notifications out of the queue.
    fn clear(&self, state: &mut State) -> VecDeque<(Notification, usize)> {
        let weight = state.waiting.iter().map(|(_, weight)| weight).sum();
        self.session.usage.queued.fetch_sub(weight, Ordering::Relaxed);
        std::mem::take(&mut state.waiting)
    }

    /// Number of queued notifications.
    pub(crate) fn len(&self) -> usize {
        lock(&self.state).waiting.len()
    }
}

fn ended() -> Error {
    Error::new(Code::ERROR_INVALID_HANDLE, "this subscription has ended")
}
