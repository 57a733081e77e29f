//! Events: what happens to SA contexts, told to those who subscribed.

use crate::ContextTemplate;
use crate::EnumId;
use crate::Guid;
use crate::Result;
use crate::SaContext;
use crate::SaContextId;
use crate::Version;
use std::fmt;
use std::sync::Arc;
use std::task::Context;
use std::task::Poll;
use std::time::Duration;

/// What happened to an SA context.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum EventKind {
    /// It became complete, or the provider found it. `IPSEC_SA_CONTEXT_EVENT_ADD` 1.
    Add = 1,
    /// It is gone. `IPSEC_SA_CONTEXT_EVENT_DELETE` 2.
    Delete = 2,
    /// It changed in a way that is not one of the others; ours.
    Change = 3,
    /// A limit of its lifetime is near: time for a new one; ours.
    SoftExpiry = 4,
    /// Its expiry began: the outbound SA is gone, the inbound one follows; ours.
    Expire = 5,
}

/// Which events a subscriber wants, as a set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct EventKinds(u8);

impl EventKinds {
    /// Those that WFP has: ADD and DELETE.
    pub const WFP: EventKinds = EventKinds(0b00_0110);
    /// All.
    pub const ALL: EventKinds = EventKinds(0b11_1110);

    /// Exactly these.
    pub fn of(kinds: &[EventKind]) -> EventKinds {
        EventKinds(kinds.iter().fold(0, |bits, kind| bits | 1 << *kind as u8))
    }

    /// Whether a kind is among them.
    pub fn contain(self, kind: EventKind) -> bool {
        self.0 & (1 << kind as u8) != 0
    }
}

impl Default for EventKinds {
    fn default() -> EventKinds {
        EventKinds::WFP
    }
}

/// An event, in the order in which changes were committed. WFP: `IPSEC_SA_CONTEXT_CHANGE0`.
#[derive(Clone)]
pub struct SaContextEvent {
    /// What happened.
    pub kind: EventKind,
    /// To which context.
    pub id: SaContextId,
    /// The version of the database that holds the change; an enumerator of this or a later version shows it.
    pub version: Version,
    /// The context as it became, or as it was before it went, with its counters; none for a subscriber without
    /// the right READ.
    pub context: Option<Arc<SaContext>>,
}

impl fmt::Debug for SaContextEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} {} at version {}", self.kind, self.id, self.version.0)
    }
}

/// What a subscriber gets.
#[derive(Clone, Debug)]
pub enum Notification {
    /// An event.
    Event(SaContextEvent),
    /// Events were dropped as the subscriber was too slow for its queue; `FWP_E_NOTIFICATION_DROPPED`. What
    /// an enumerator shows that is created now, of `list_from` or a later version, and the events of later
    /// versions than its own, are whole again.
    Dropped {
        /// How many.
        count: u64,
        /// The version of the last one dropped.
        list_from: Version,
    },
}

/// What a subscriber asks for. WFP: `IPSEC_SA_CONTEXT_SUBSCRIPTION0`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubscriptionOptions {
    /// Only contexts that it selects.
    pub template: ContextTemplate,
    /// Only these kinds; default: WFP's ADD and DELETE.
    pub kinds: EventKinds,
    /// How many notifications may wait; more are dropped, and the subscriber is told.
    pub queue_length: usize,
}

impl SubscriptionOptions {
    /// Notifications that may wait where nothing else is asked for.
    pub const QUEUE_LENGTH: usize = 65_536;

    /// Every event of every context.
    pub fn all() -> SubscriptionOptions {
        SubscriptionOptions { kinds: EventKinds::ALL, ..SubscriptionOptions::default() }
    }
}

impl Default for SubscriptionOptions {
    fn default() -> SubscriptionOptions {
        SubscriptionOptions {
            template: ContextTemplate::default(),
            kinds: EventKinds::WFP,
            queue_length: SubscriptionOptions::QUEUE_LENGTH,
        }
    }
}

/// The id of a subscription: of the same kind as an enumerator's, and never equal to one.
pub type SubscriptionId = EnumId;

/// An open subscription. WFP: `IPsecSaContextSubscriptionsGet0`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubscriptionInfo {
    /// Its id.
    pub id: SubscriptionId,
    /// The key of its session.
    pub session_key: Guid,
    /// What it asked for.
    pub options: SubscriptionOptions,
}

/// What a subscriber has called for each notification, one call at a time, on a thread of the engine's own.
///
/// A callback that panics ends its subscription and nothing else.
pub type EventCallback = Arc<dyn Fn(&Notification) + Send + Sync>;

/// A subscription that is pulled: the subscriber asks for the next notification. Dropping it unsubscribes.
pub trait EventStream: Send {
    /// Its id.
    fn id(&self) -> SubscriptionId;

    /// The next notification; none when none came within `wait`, which may be zero.
    ///
    /// # Errors
    /// `ERROR_INVALID_HANDLE` after unsubscribing or once the session is closed and all is read.
    fn next(&mut self, wait: Duration) -> Result<Option<Notification>>;

    /// The next notification for a task: without one, its waker is called when there is one, or when the subscription
    /// ends. The last task that polled is woken.
    ///
    /// # Errors
    /// As [`EventStream::next`].
    fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Result<Notification>>;
}
