//! Events: notifications to subscribers about SA contexts, objects and the network.

use crate::ContextFields;
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

/// The kind of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum EventKind {
    /// The context became complete or the provider found it; or an object was added.
    /// `IPSEC_SA_CONTEXT_EVENT_ADD` 1.
    Add = 1,
    /// The context or object was deleted. `IPSEC_SA_CONTEXT_EVENT_DELETE` 2.
    Delete = 2,
    /// The context changed in a way that no other kind describes. OpenWFP extension.
    Change = 3,
    /// A lifetime limit of the context is near, so it should be rekeyed. OpenWFP extension.
    SoftExpiry = 4,
    /// The expiry of the context started: its outbound SA is removed and its inbound SA will be. OpenWFP
    /// extension.
    Expire = 5,
    /// The provider requests SAs because traffic that a policy protects has none. The context is larval;
    /// the keying daemon gets or sets its SPI and adds its SAs. OpenWFP extension.
    Acquire = 6,
}

/// A set of event kinds to which a client subscribes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct EventKinds(u8);

impl EventKinds {
    /// The kinds that WFP defines: [`EventKind::Add`] and [`EventKind::Delete`].
    pub const WFP: EventKinds = EventKinds(0b00_0110);
    /// All kinds.
    pub const ALL: EventKinds = EventKinds(0b111_1110);

    /// Returns a set of exactly these kinds.
    pub fn of(kinds: &[EventKind]) -> EventKinds {
        EventKinds(kinds.iter().fold(0, |bits, kind| bits | 1 << *kind as u8))
    }

    /// Returns whether the set contains a kind.
    pub fn contain(self, kind: EventKind) -> bool {
        self.0 & (1 << kind as u8) != 0
    }
}

impl Default for EventKinds {
    fn default() -> EventKinds {
        EventKinds::WFP
    }
}

/// An event of an SA context. Events are delivered in the order in which changes were committed.
/// WFP: `IPSEC_SA_CONTEXT_CHANGE0`.
#[derive(Clone)]
pub struct SaContextEvent {
    /// The kind of event.
    pub kind: EventKind,
    /// The ID of the context.
    pub id: SaContextId,
    /// The version of the database that contains the change. An enumerator of this or a later version
    /// reflects it.
    pub version: Version,
    /// The context after the change, or before its deletion, with its counters. `None` if the subscriber
    /// lacks the right `READ`.
    pub context: Option<Arc<SaContext>>,
    /// What differs from the context before, for [`EventKind::Change`] and [`EventKind::Expire`].
    pub changed: ContextFields,
}

impl fmt::Debug for SaContextEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} {} at version {}", self.kind, self.id, self.version.0)
    }
}

/// An event of an object. WFP: `FWPM_FILTER_CHANGE0` and its counterparts for the other kinds of
/// objects.
#[derive(Clone)]
pub struct ObjectEvent {
    /// [`EventKind::Add`] or [`EventKind::Delete`].
    pub kind: EventKind,
    /// The version of the database that contains the change.
    pub version: Version,
    /// The object as it was added, or as it was before its deletion.
    pub object: Arc<Object>,
}

impl fmt::Debug for ObjectEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let object = &self.object;
        write!(f, "{:?} {} {} at version {}", self.kind, object.kind(), object.key(), self.version.0)
    }
}

/// A notification to a subscriber.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Notification {
    /// An event of an SA context.
    Event(SaContextEvent),
    /// An object was added or deleted.
    Object(ObjectEvent),
    /// A net event.
    Net(Arc<NetEvent>),
    /// The engine dropped events because the subscriber was too slow and its queue was full;
    /// `FWP_E_NOTIFICATION_DROPPED`. To recover, create an enumerator now, of version `list_from` or later,
    /// and continue with events of later versions than the enumerator's.
    Dropped {
        /// The number of dropped events.
        count: u64,
        /// The database version of the last dropped event.
        list_from: Version,
    },
}

/// The topic of a subscription.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Topic {
    /// SA contexts selected by a template. WFP: `IPSEC_SA_CONTEXT_SUBSCRIPTION0`.
    SaContexts(ContextTemplate),
    /// Objects selected by a template. WFP: `FWPM_FILTER_SUBSCRIPTION0` and its counterparts for the other
    /// kinds of objects.
    Objects(ObjectTemplate),
    /// Net events selected by a template. WFP: `FWPM_NET_EVENT_SUBSCRIPTION0`.
    NetEvents(NetEventTemplate),
}

/// The kind of a [`Topic`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TopicKind {
    /// SA contexts.
    SaContexts,
    /// Objects of one kind.
    Objects(ObjectKind),
    /// Net events.
    NetEvents,
}

impl Topic {
    /// Returns the kind of this topic.
    ///
    /// # Errors
    /// `FWP_E_INVALID_ENUMERATOR` for a template of an unknown kind of objects.
    pub fn kind(&self) -> Result<TopicKind> {
        Ok(match self {
            Topic::SaContexts(_) => TopicKind::SaContexts,
            Topic::Objects(template) => TopicKind::Objects(template.object_kind()?),
            Topic::NetEvents(_) => TopicKind::NetEvents,
        })
    }
}

/// The options of a subscription.
#[derive(Clone, Debug, PartialEq)]
pub struct SubscriptionOptions {
    /// The topic; default: all SA contexts.
    pub topic: Topic,
    /// The kinds of events to deliver, for topics whose events have kinds; default: [`EventKinds::WFP`].
    pub kinds: EventKinds,
    /// The maximum number of queued notifications, at least 1. When the queue is full, the engine drops
    /// events and then delivers [`Notification::Dropped`].
    pub queue_length: usize,
}

impl SubscriptionOptions {
    /// The default maximum number of queued notifications.
    pub const QUEUE_LENGTH: usize = 65_536;

    /// Returns options for a topic with the events that WFP delivers: additions and deletions, or net
    /// events.
    pub fn about(topic: Topic) -> SubscriptionOptions {
        SubscriptionOptions { topic, ..SubscriptionOptions::default() }
    }

    /// Returns options for every event of every SA context.
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

/// The ID of a subscription. It has the same form as an enumerator's ID and never equals one.
pub type SubscriptionId = EnumId;

/// A description of an open subscription. WFP: `IPsecSaContextSubscriptionsGet0`,
/// `FwpmFilterSubscriptionsGet0` and its counterparts.
#[derive(Clone, Debug, PartialEq)]
pub struct SubscriptionInfo {
    /// The subscription's ID.
    pub id: SubscriptionId,
    /// The key of the session that subscribed.
    pub session_key: Guid,
    /// The options with which the session subscribed.
    pub options: SubscriptionOptions,
}

/// A callback for notifications. It is called for one notification at a time, on a dedicated thread.
///
/// A panic in a callback ends its subscription and has no other effect.
pub type EventCallback = Arc<dyn Fn(&Notification) + Send + Sync>;

/// A subscription from which the subscriber reads notifications. Dropping it unsubscribes.
pub trait EventStream: Send {
    /// Returns the subscription's ID.
    fn id(&self) -> SubscriptionId;

    /// Returns the next notification, or `None` if none arrives within `wait`, which may be zero.
    ///
    /// # Errors
    /// `ERROR_INVALID_HANDLE` after the subscription or its session has ended, even if notifications were
    /// still queued.
    fn next(&mut self, wait: Duration) -> Result<Option<Notification>>;

    /// Polls for the next notification. If there is none, the task is woken when one arrives or when the
    /// subscription ends. Only the last task that polled is woken.
    ///
    /// # Errors
    /// As [`EventStream::next`].
    fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Result<Notification>>;
}
