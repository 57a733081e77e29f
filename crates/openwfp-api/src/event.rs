//! Events: what happens to SA contexts, to objects and in the network, told to those who subscribed.

use crate::ContextTemplate;
use crate::EnumId;
use crate::Guid;
use crate::Result;
use crate::SaContext;
use crate::SaContextId;
use crate::Version;
use crate::object::Object;
use crate::object::ObjectKind;
use crate::object::net_event::NetEvent;
use crate::object::net_event::NetEventTemplate;
use crate::object::template::ObjectTemplate;
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
    /// The provider asks for SAs: traffic that a policy protects has none. The context is larval, and whoever keys it
    /// gets or sets its SPI and adds its SAs; ours.
    Acquire = 6,
}

/// Which events a subscriber wants, as a set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct EventKinds(u8);

impl EventKinds {
    /// Those that WFP has: ADD and DELETE.
    pub const WFP: EventKinds = EventKinds(0b00_0110);
    /// All.
    pub const ALL: EventKinds = EventKinds(0b111_1110);

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

/// What happened to an object. WFP: `FWPM_FILTER_CHANGE0` and those of the other kinds.
#[derive(Clone)]
pub struct ObjectEvent {
    /// [`EventKind::Add`] or [`EventKind::Delete`].
    pub kind: EventKind,
    /// The version of the database that holds the change.
    pub version: Version,
    /// The object as it was added, or as it was before it went.
    pub object: Arc<Object>,
}

impl fmt::Debug for ObjectEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let object = &self.object;
        write!(f, "{:?} {} {} at version {}", self.kind, object.kind(), object.key(), self.version.0)
    }
}

/// What a subscriber gets.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Notification {
    /// An SA context's event.
    Event(SaContextEvent),
    /// An object was added or deleted.
    Object(ObjectEvent),
    /// A net event.
    Net(Arc<NetEvent>),
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

/// What a subscription is about.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Topic {
    /// SA contexts that a template selects. WFP: `IPSEC_SA_CONTEXT_SUBSCRIPTION0`.
    SaContexts(ContextTemplate),
    /// Objects that a template selects. WFP: `FWPM_FILTER_SUBSCRIPTION0` and those of the other kinds.
    Objects(ObjectTemplate),
    /// Net events that a template selects. WFP: `FWPM_NET_EVENT_SUBSCRIPTION0`.
    NetEvents(NetEventTemplate),
}

/// Which subscriptions are meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TopicKind {
    /// Those about SA contexts.
    SaContexts,
    /// Those about objects of a kind.
    Objects(ObjectKind),
    /// Those about net events.
    NetEvents,
}

impl Topic {
    /// Which kind of topic it is.
    ///
    /// # Errors
    /// `FWP_E_INVALID_ENUMERATOR` for a template of no kind of objects.
    pub fn kind(&self) -> Result<TopicKind> {
        Ok(match self {
            Topic::SaContexts(_) => TopicKind::SaContexts,
            Topic::Objects(template) => TopicKind::Objects(template.object_kind()?),
            Topic::NetEvents(_) => TopicKind::NetEvents,
        })
    }
}

/// What a subscriber asks for.
#[derive(Clone, Debug, PartialEq)]
pub struct SubscriptionOptions {
    /// What it is about; default: all SA contexts.
    pub topic: Topic,
    /// Only these kinds, where events have kinds; default: WFP's ADD and DELETE.
    pub kinds: EventKinds,
    /// How many notifications may wait; more are dropped, and the subscriber is told.
    pub queue_length: usize,
}

impl SubscriptionOptions {
    /// Notifications that may wait where nothing else is asked for.
    pub const QUEUE_LENGTH: usize = 65_536;

    /// What a topic's subscriber gets from WFP: additions and deletions, or net events.
    pub fn about(topic: Topic) -> SubscriptionOptions {
        SubscriptionOptions { topic, ..SubscriptionOptions::default() }
    }

    /// Every event of every SA context.
    pub fn all() -> SubscriptionOptions {
        SubscriptionOptions { kinds: EventKinds::ALL, ..SubscriptionOptions::default() }
    }
}

impl Default for SubscriptionOptions {
    fn default() -> SubscriptionOptions {
        SubscriptionOptions {
            topic: Topic::SaContexts(ContextTemplate::default()),
            kinds: EventKinds::WFP,
            queue_length: SubscriptionOptions::QUEUE_LENGTH,
        }
    }
}

/// The id of a subscription: of the same kind as an enumerator's, and never equal to one.
pub type SubscriptionId = EnumId;

/// An open subscription. WFP: `IPsecSaContextSubscriptionsGet0`, `FwpmFilterSubscriptionsGet0` and others.
#[derive(Clone, Debug, PartialEq)]
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
