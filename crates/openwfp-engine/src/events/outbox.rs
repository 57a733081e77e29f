//! The outbox: events on their way from commits to the subscriptions' queues, in commit order.
//!
//! A commit only adds one parcel, whatever the number of subscriptions. Who delivers it is decided after the core lock is
//! released: the committing thread if there are few subscriptions, else a thread of its own, so that nobody's call takes
//! longer because of other people's subscriptions. A subscriber that waits for an event delivers what is left first, so it
//! finds every event that was committed before; one that polls does so only if there are few subscriptions, and is woken
//! otherwise.

use super::Queue;
use crate::faults::Injector;
use crate::objects::Entry;
use crate::shared::Shared;
use crate::sync::atomic::AtomicUsize;
use crate::sync::atomic::Ordering;
use crate::sync::lock;
use openwfp_api::ObjectEvent;
use openwfp_api::SaContext;
use openwfp_api::SaContextEvent;
use openwfp_api::record::Record;
use std::collections::VecDeque;
use std::sync::Arc;

/// Number of subscriptions up to which the committing thread delivers.
const FEW: usize = 64;

/// Number of parcels above which the committing thread delivers in any case: commits must not outrun the delivery for long.
const PARCELS_MAX: usize = 65_536;

/// Parcels that are delivered before another thread gets a turn.
const BATCH: usize = 64;

/// Events that wait for delivery. Protected by the core lock.
#[derive(Default)]
pub(crate) struct Outbox {
    parcels: VecDeque<Parcel>,
    undelivered: Undelivered,
}

/// Number of parcels that are not in the queues yet, including those that are being delivered. It can be read without the core
/// lock; it grows with it.
#[derive(Clone, Default)]
pub(crate) struct Undelivered(Arc<AtomicUsize>);

/// An event and the subscriptions at the time of its commit.
struct Parcel {
    event: Event,
    to: Arc<Vec<Arc<Queue>>>,
}

enum Event {
    SaContext(SaContextEvent, Arc<SaContext>),
    Object(ObjectEvent, Arc<Entry>),
}

impl Outbox {
    pub(crate) fn undelivered(&self) -> Undelivered {
        self.undelivered.clone()
    }

    fn push(&mut self, event: Event, to: &Arc<Vec<Arc<Queue>>>) {
        self.parcels.push_back(Parcel { event, to: Arc::clone(to) });
        self.undelivered.0.fetch_add(1, Ordering::Release);
    }

    pub(crate) fn sa_context(
        &mut self,
        to: &Arc<Vec<Arc<Queue>>>,
        event: SaContextEvent,
        context: &Arc<SaContext>,
    ) {
        self.push(Event::SaContext(event, Arc::clone(context)), to);
    }

    pub(crate) fn object(&mut self, to: &Arc<Vec<Arc<Queue>>>, event: ObjectEvent, entry: &Arc<Entry>) {
        self.push(Event::Object(event, Arc::clone(entry)), to);
    }
}

impl Parcel {
    /// Puts the event into the queues of those who want it; returns whether one of the subscriptions has ended.
    fn deliver(&self, faults: Option<&Injector>) -> bool {
        let weight = match &self.event {
            Event::SaContext(..) => 0,
            Event::Object(event, _) => 256 + event.object.encode(None).len(),
        };
        let mut is_open = true;
        for queue in self.to.iter() {
            is_open &= match &self.event {
                Event::SaContext(event, context) => queue.push(event, context, faults),
                Event::Object(event, entry) => queue.push_object(event, entry, weight),
            };
        }
        !is_open
    }
}

impl Shared {
    /// Sees to it that committed events are delivered. Call it after releasing the core lock.
    pub(crate) fn send_news(&self) {
        let waiting = self.undelivered.0.load(Ordering::Acquire);
        if waiting == 0 {
            return;
        }
        let subscriptions = self.core().subscriptions.len();
        match &self.courier {
            Some(courier) if subscriptions > FEW && waiting <= PARCELS_MAX => courier.wake(&self.me),
            _ => self.deliver(),
        }
    }

    /// Delivers every event that has been committed before this call, unless there are so many subscriptions that a thread of its
    /// own does. For readers that must not wait.
    pub(crate) fn deliver_if_few(&self) {
        if self.undelivered.0.load(Ordering::Acquire) != 0
            && (self.courier.is_none() || self.core().subscriptions.len() <= FEW)
        {
            self.deliver();
        }
    }

    /// Delivers every event that has been committed before this call.
    pub(crate) fn deliver(&self) {
        while self.undelivered.0.load(Ordering::Acquire) != 0 {
            // Whoever holds this lock puts its parcels into the queues before anybody takes later ones.
            let one_at_a_time = lock(&self.delivery);
            let parcels: Vec<_> = {
                let mut core = self.core();
                let count = core.outbox.parcels.len().min(BATCH);
                core.outbox.parcels.drain(..count).collect()
            };
            if parcels.is_empty() {
                return;
            }
            let mut has_ended = false;
            for parcel in &parcels {
                has_ended |= parcel.deliver(self.faults.as_ref());
            }
            self.undelivered.0.fetch_sub(parcels.len(), Ordering::Release);
            drop(one_at_a_time);
            if has_ended {
                self.forget_ended_subscriptions();
            }
        }
    }
}
