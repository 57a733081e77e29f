//! The mirror: the interface through which a provider reports its SA contexts to the engine.

use crate::Direction;
use crate::Result;
use crate::SaContext;
use crate::SaContextId;
use crate::Spi;
use crate::object::kernel::KernelPolicy;
use crate::object::kernel::KernelPolicyPlace;
use crate::object::net_event::NetEvent;
use std::fmt;
use std::sync::Arc;

/// Whether a listing is complete.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Completeness {
    /// The listing is complete.
    #[default]
    Whole,
    /// The listing is incomplete, for the given reason.
    Incomplete(String),
}

/// A provider's counters for one direction of a context, accumulated since its SA was added.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CounterUpdate {
    /// The ID of the context.
    pub id: SaContextId,
    /// The direction.
    pub direction: Direction,
    /// The SPI of the SA that was counted; `None` for the direction's SA, whichever it is. An update for an SA that the
    /// direction no longer has is ignored.
    pub spi: Option<Spi>,
    /// The number of bytes.
    pub bytes: u64,
    /// The number of packets.
    pub packets: u64,
    /// When the SA was last used, in seconds since 1970; 0 if never or unknown.
    pub last_used: u64,
    /// Packets dropped because they were too old for the replay window.
    pub replay_window_drops: u32,
    /// Packets dropped as replays.
    pub replay_drops: u32,
    /// Packets that failed the integrity check.
    pub integrity_failures: u32,
}

impl CounterUpdate {
    /// Returns an update of bytes and packets, with all other counters 0.
    pub fn traffic(id: SaContextId, direction: Direction, bytes: u64, packets: u64) -> CounterUpdate {
        CounterUpdate {
            id,
            direction,
            spi: None,
            bytes,
            packets,
            last_used: 0,
            replay_window_drops: 0,
            replay_drops: 0,
            integrity_failures: 0,
        }
    }
}

/// A change in a provider's state, as reported to the engine.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum MirrorChange {
    /// The provider holds this context, with these counters. It matches the context with the given ID, or
    /// one that shares an SA with it; otherwise it is new and receives an ID.
    Put {
        /// The ID that an earlier [`MirrorChange::Put`] or [`Mirror::replace`] returned, if any.
        id: Option<SaContextId>,
        /// The context; its `id` field is ignored.
        context: Box<SaContext>,
    },
    /// The provider's state of SAs that this engine installed: counters, addresses and attributes specific
    /// to the provider. All other parts of the engine's context stay unchanged, and SAs missing here are
    /// not removed.
    Refresh {
        /// The ID of the context; ignored if the context no longer exists.
        id: SaContextId,
        /// The context as the provider holds it.
        context: Box<SaContext>,
    },
    /// The provider no longer holds the context of an earlier [`MirrorChange::Put`]. The engine keeps a
    /// context that a client has since started to key through the API.
    Remove {
        /// The ID of the context; ignored if the context no longer exists.
        id: SaContextId,
        /// The final counters.
        counters: Vec<CounterUpdate>,
    },
    /// The provider no longer holds an SA that this engine installed.
    Lost {
        /// The ID of the context; ignored if the context no longer exists.
        id: SaContextId,
        /// The direction of the SA.
        direction: Direction,
        /// The SA's SPI; the change is ignored if the direction now has another SPI.
        spi: Spi,
        /// Whether the SA reached a hard lifetime limit, in which case the engine deletes the whole context.
        expired: bool,
        /// The final counters.
        counters: Option<CounterUpdate>,
    },
    /// The last counters of SAs whose contexts go on without them, with others in their place or in one direction.
    Counted(Vec<CounterUpdate>),
    /// The provider's counters of a direction start again at 0, although its SA stays: a kernel moved it.
    Restarted {
        /// The ID of the context; ignored if the context no longer exists.
        id: SaContextId,
        /// The direction of the SA.
        direction: Direction,
    },
    /// An SA of a context reached a hard limit of its lifetime, and the provider has removed it.
    HardExpired {
        /// The ID of the context; ignored if the context no longer exists.
        id: SaContextId,
    },
    /// A context reached a soft limit of its lifetime.
    SoftExpired {
        /// The ID of the context; ignored if the context no longer exists.
        id: SaContextId,
    },
}

/// A policy of the kernel as its provider holds it, from which the engine reads it when someone asks for it.
pub trait HeldKernelPolicy: Send + Sync + fmt::Debug {
    /// Returns the policy, without the ids of its filter and its SA contexts.
    fn read(&self) -> KernelPolicy;
}

/// A change of the kernel's policies, as reported to the engine.
#[derive(Clone, Debug)]
pub struct KernelPolicyChange {
    /// Index of the policy.
    pub index: u32,
    /// The policy from now on, with its place in the kernel's order; `None` if it is gone.
    pub policy: Option<(KernelPolicyPlace, Arc<dyn HeldKernelPolicy>)>,
}

/// A privileged client of the engine that keeps the engine's contexts equal to those of a provider, in
/// the manner of a list-and-watch client.
pub trait Mirror: Send + Sync {
    /// Replaces the engine's contexts with exactly these, in one atomic step.
    ///
    /// The IDs in `contexts` are ignored. A context that shares an SA with one of the engine's contexts
    /// keeps that context's ID and counters; the others receive new IDs, in order. The engine removes its
    /// contexts that are not in the list.
    ///
    /// Returns the IDs of the contexts, in the order of the list.
    ///
    /// # Errors
    /// Only errors of the engine itself; in that case, nothing changes.
    fn replace(&self, contexts: Vec<SaContext>, completeness: Completeness) -> Result<Vec<SaContextId>>;

    /// Applies changes in order and notifies subscribers of each. Returns the IDs of the contexts in
    /// [`MirrorChange::Put`] changes, in order.
    ///
    /// The call waits for work that the provider is currently performing for the engine, so that the
    /// provider's report is processed after the engine's own change. It must not be called from within the
    /// [`Dataplane`](crate::Dataplane).
    ///
    /// # Errors
    /// Only errors of the engine itself.
    fn apply(&self, changes: Vec<MirrorChange>, completeness: Completeness) -> Result<Vec<SaContextId>>;

    /// Updates counters. Unless the dataplane enforces lifetimes, the engine reports a soft expiry when a
    /// context approaches its limit of kilobytes or packets, and deletes the context at the limit. Unknown
    /// IDs are ignored, because a context may just have been deleted.
    ///
    /// # Errors
    /// Only errors of the engine itself.
    fn count(&self, updates: &[CounterUpdate]) -> Result;

    /// Reports changes of the kernel's policies, in order.
    ///
    /// # Errors
    /// Only errors of the engine itself.
    fn change_policies(&self, changes: Vec<KernelPolicyChange>) -> Result;

    /// Reports a net event, which the engine keeps and delivers to subscribers if it collects net events.
    ///
    /// # Errors
    /// Only errors of the engine itself.
    fn report(&self, event: NetEvent) -> Result;
}
