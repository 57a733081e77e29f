//! Subscriptions of a remote session. The daemon holds the queue, and the client reads it in pages.

use super::link::Link;
use super::wait;
use crate::codec;
use crate::proto;
use openwfp_api::Code;
use openwfp_api::Error;
use openwfp_api::EventCallback;
use openwfp_api::EventStream;
use openwfp_api::Notification;
use openwfp_api::Result;
use openwfp_api::SubscriptionId;
use openwfp_api::Waits;
use std::collections::VecDeque;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::panic::catch_unwind;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::Condvar;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::task::Context;
use std::task::Poll;
use std::thread::ThreadId;
use std::time::Duration;

/// Minimum queue length at which events are read in pages. A shorter queue is read one event at a time,
/// so that its length remains exact.
const PAGED_FROM: usize = 1024;

/// A wait that never ends in practice.
const FOREVER: Duration = Duration::from_secs(1 << 32);

type Reading = Pin<Box<dyn Future<Output = Result<Vec<Notification>>> + Send>>;

/// A subscription from which the caller pulls events.
pub(crate) struct RemoteStream {
    link: Arc<Link>,
    id: SubscriptionId,
    limit: u32,
    read: VecDeque<Notification>,
    /// A read that [`EventStream::poll_next`] has started and that is still pending.
    reading: Option<Reading>,
}

impl RemoteStream {
    pub(crate) fn new(link: Arc<Link>, id: SubscriptionId, queue_length: usize) -> RemoteStream {
        let limit = if queue_length < PAGED_FROM { 1 } else { 0 };
        RemoteStream { link, id, limit, read: VecDeque::new(), reading: None }
    }

    fn ask(&self, wait: Duration) -> Reading {
        let request = proto::EventsRequest {
            session: self.link.token.clone(),
            handle: self.id.to_bits(),
            wait_ns: crate::convert::nanos(wait),
            limit: self.limit,
            keys: self.link.wants_keys(),
        };
        let (link, mut client) = (Arc::clone(&self.link), self.link.client());
        Box::pin(async move {
            match client.sa_context_events(request).await {
                Ok(page) => codec::decode_events(&page.into_inner().0),
                Err(status) => Err(link.failed(&status)),
            }
        })
    }
}

impl EventStream for RemoteStream {
    fn id(&self) -> SubscriptionId {
        self.id
    }

    fn next(&mut self, at_most: Duration) -> Result<Option<Notification>> {
        self.link.check()?;
        if let Some(notification) = self.read.pop_front() {
            return Ok(Some(notification));
        }
        if self.reading.is_some() {
            // The pending read of a task waits indefinitely, so the timeout is applied here.
            let next = std::future::poll_fn(|context| self.poll_next(context));
            return match wait(async { tokio::time::timeout(at_most, next).await })? {
                Ok(next) => next.map(Some),
                Err(_) => Ok(None),
            };
        }
        let page = self.ask(at_most);
        self.read.extend(wait(page)??);
        Ok(self.read.pop_front())
    }

    fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Result<Notification>> {
        self.link.check()?;
        let _guard = super::runtime()?.enter();
        loop {
            if let Some(notification) = self.read.pop_front() {
                return Poll::Ready(Ok(notification));
            }
            let mut reading = self.reading.take().unwrap_or_else(|| self.ask(FOREVER));
            match reading.as_mut().poll(context) {
                Poll::Ready(page) => self.read.extend(page?),
                Poll::Pending => {
                    self.reading = Some(reading);
                    return Poll::Pending;
                }
            }
        }
    }
}

impl Drop for RemoteStream {
    fn drop(&mut self) {
        self.reading = None;
        // The error is ignored: the subscription or its session may have ended already.
        drop(unsubscribe(&self.link, self.id));
    }
}

pub(crate) fn unsubscribe(link: &Link, id: SubscriptionId) -> Result {
    let request = proto::HandleRequest { session: link.token.clone(), handle: id.to_bits() };
    link.call(|mut client| async move { client.sa_context_unsubscribe(request).await }).map(drop)
}

/// The thread that runs a subscription's callback, and whether it is inside the callback.
#[derive(Default)]
pub(crate) struct Delivery {
    state: Mutex<State>,
    changed: Condvar,
}

/// Which threads of this process wait for which callbacks.
static WAITS: Waits<ThreadId> = Waits::new();

#[derive(Default)]
struct State {
    closed: bool,
    delivering: Option<ThreadId>,
}

impl Delivery {
    /// Starts a thread that calls `callback` for each notification until the subscription ends.
    pub(crate) fn start(mut stream: RemoteStream, callback: EventCallback) -> Result<Arc<Delivery>> {
        let delivery = Arc::new(Delivery::default());
        let this = Arc::clone(&delivery);
        let body = move || {
            while let Ok(next) = stream.next(FOREVER) {
                let Some(notification) = next else { continue };
                if !this.begin() {
                    return;
                }
                // Only the callback's own state can be left inconsistent by a panic, and the callback is never called
                // again.
                let outcome = catch_unwind(AssertUnwindSafe(|| callback(&notification)));
                this.end();
                if outcome.is_err() {
                    tracing::error!("a subscription ended because its callback panicked");
                    return;
                }
            }
        };
        let thread = std::thread::Builder::new().name("openwfp-events".into()).spawn(body);
        thread.map(|_| delivery).map_err(|error| {
            Error::new(
                Code::RPC_E_OUT_OF_RESOURCES,
                format!("cannot start a thread for the subscription: {error}"),
            )
        })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn begin(&self) -> bool {
        let mut state = self.lock();
        if !state.closed {
            state.delivering = Some(std::thread::current().id());
        }
        !state.closed
    }

    fn end(&self) {
        self.lock().delivering = None;
        self.changed.notify_all();
    }

    /// Stops delivery and waits until the callback does not run, unless it waits for this call itself. Returns whether it does not
    /// run any more.
    pub(crate) fn close(&self) -> bool {
        let mut state = self.lock();
        state.closed = true;
        let me = std::thread::current().id();
        while let Some(thread) = state.delivering
            && WAITS.begin(me, thread)
        {
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
            WAITS.end(me);
        }
        state.delivering.is_none()
    }
}
