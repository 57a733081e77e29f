//! The mirror: how a provider tells the engine what is there.

use crate::Direction;
use crate::Result;
use crate::SaContext;
use crate::SaContextId;
use crate::Spi;
use crate::object::net_event::NetEvent;

/// Whether a listing holds all that was there to list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Completeness {
    /// Everything.
    #[default]
    Whole,
    /// Not everything, for the reason given in words.
    Incomplete(String),
}

/// What a provider counted for one direction of a context, since its SA was added.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CounterUpdate {
    /// The context.
    pub id: SaContextId,
    /// Which of its directions.
    pub direction: Direction,
    /// Bytes.
    pub bytes: u64,
    /// Packets.
    pub packets: u64,
    /// When it was last used, in seconds since 1970; 0: never or not known.
    pub last_used: u64,
    /// Packets dropped as too old for the replay window.
    pub replay_window_drops: u32,
    /// Packets dropped as replayed.
    pub replay_drops: u32,
    /// Packets whose integrity check failed.
    pub integrity_failures: u32,
}

impl CounterUpdate {
    /// Bytes and packets, and nothing else.
    pub fn traffic(id: SaContextId, direction: Direction, bytes: u64, packets: u64) -> CounterUpdate {
        CounterUpdate {
            id,
            direction,
            bytes,
            packets,
            last_used: 0,
            replay_window_drops: 0,
            replay_drops: 0,
            integrity_failures: 0,
        }
    }
}

/// A change in what a provider holds, as it tells the engine of it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum MirrorChange {
    /// The provider holds this context, with these counters. It is the one of that id, or one that shares an SA
    /// with it; else it is new, and gets an id.
    Put {
        /// The id that an earlier [`MirrorChange::Put`] or [`Mirror::replace`] returned, if there was one.
        id: Option<SaContextId>,
        /// The context; the id in it does not count.
        context: Box<SaContext>,
    },
    /// What the provider knows of SAs that this engine itself had it install: counters, addresses, the provider's own
    /// words. What the engine has of the context besides stays, and SAs that are missing here are not gone.
    Refresh {
        /// The context; if it is gone, nothing happens.
        id: SaContextId,
        /// What the provider holds of it.
        context: Box<SaContext>,
    },
    /// The context of an earlier [`MirrorChange::Put`] is gone. One that has been taken up through the API meanwhile
    /// stays.
    Remove {
        /// The context; if it is gone, nothing happens.
        id: SaContextId,
        /// What was counted at the end.
        counters: Vec<CounterUpdate>,
    },
    /// An SA that this engine itself had installed is gone from the provider.
    Lost {
        /// The context; if it is gone, nothing happens.
        id: SaContextId,
        /// The direction of the SA.
        direction: Direction,
        /// Its SPI; if the direction has another one, nothing happens.
        spi: Spi,
        /// A hard limit of its lifetime was reached: the whole context goes.
        expired: bool,
        /// What was counted at the end.
        counters: Option<CounterUpdate>,
    },
    /// A soft limit of its lifetime was reached.
    SoftExpired {
        /// The context; if it is gone, nothing happens.
        id: SaContextId,
    },
}

/// A privileged client of the engine that keeps it equal to what a provider holds, as a list-and-watch
/// client does.
pub trait Mirror: Send + Sync {
    /// Makes the engine hold exactly these contexts, in one step that no reader sees half of.
    ///
    /// The ids in `contexts` do not count: one that shares an SA with a context of the engine keeps that
    /// context's id and counters, others get new ids in their order. What is not among them goes.
    ///
    /// Returns their ids, in their order.
    ///
    /// # Errors
    /// Only those of the engine itself; nothing is changed then.
    fn replace(&self, contexts: Vec<SaContext>, completeness: Completeness) -> Result<Vec<SaContextId>>;

    /// Takes over what changed, one after the other, and tells whoever subscribed of each. Returns the id of each
    /// context that was put, in their order.
    ///
    /// Waits for what the provider is just carrying out for the engine, so that the provider's own word of it comes
    /// after the engine's: it must not be called from within the [`Dataplane`](crate::Dataplane).
    ///
    /// # Errors
    /// Only those of the engine itself.
    fn apply(&self, changes: Vec<MirrorChange>, completeness: Completeness) -> Result<Vec<SaContextId>>;

    /// Takes over what was counted. Contexts whose limit of kilobytes or packets is reached expire, and a
    /// soft expiry is told before; unknown ids are passed over, since a context may just have gone.
    ///
    /// # Errors
    /// Only those of the engine itself.
    fn count(&self, updates: &[CounterUpdate]) -> Result;

    /// Tells of something that happened in the network: it is kept and told to those who subscribed.
    ///
    /// # Errors
    /// Only those of the engine itself.
    fn report(&self, event: NetEvent) -> Result;
}
