//! Delivery: each subscription with a callback has its own thread, so that a callback that is slow or
//! panics affects no other subscription.

use super::Queue;
use crate::sync::lock;
use crate::sync::thread;
use openwfp_api::Code;
use openwfp_api::Error;
use openwfp_api::EventCallback;
use openwfp_api::Notification;
use openwfp_api::Result;
use std::panic::AssertUnwindSafe;
use std::panic::catch_unwind;
use std::sync::Arc;
use std::sync::PoisonError;

/// Starts the thread that calls the callback for each notification until the queue is closed.
///
/// # Errors
/// `RPC_E_OUT_OF_RESOURCES` if the system cannot start a thread.
pub(crate) fn deliver(queue: Arc<Queue>, callback: EventCallback) -> Result {
    let body = move || {
        while let Some(notification) = queue.begin() {
            // A panic can leave only the callback's own state inconsistent, and it is not called again.
            let outcome = catch_unwind(AssertUnwindSafe(|| callback(&notification)));
            queue.end(outcome.is_err());
        }
    };
    thread::Builder::new().name("openwfp-events".into()).spawn(body).map(drop).map_err(|error| {
        Error::new(
            Code::RPC_E_OUT_OF_RESOURCES,
            format!("cannot start a thread for the subscription: {error}"),
        )
    })
}

impl Queue {
    /// Waits for a notification and marks the callback as running; returns `None` once the queue is closed.
    fn begin(&self) -> Option<Notification> {
        let mut state = lock(&self.state);
        loop {
            if state.closed {
                return None;
            }
            if let Some(notification) = self.take(&mut state) {
                state.delivering = Some(thread::current().id());
                return Some(notification);
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Marks the callback as returned; ends the subscription if it panicked.
    fn end(&self, panicked: bool) {
        let mut state = lock(&self.state);
        state.delivering = None;
        if panicked {
            state.closed = true;
            drop(self.clear(&mut state));
            tracing::error!(
                subscription = self.id.to_bits(),
                session = self.id.session.0,
                "a subscription ended because its callback panicked"
            );
        }
        drop(state);
        self.changed.notify_all();
    }
}
