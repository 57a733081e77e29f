//! The mirror: how a provider tells the engine what is there.

use crate::Direction;
use crate::Result;
use crate::SaContext;
use crate::SaContextId;
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

/// A privileged client of the engine that keeps it equal to what a provider holds, as a list-and-watch
/// client does.
pub trait Mirror: Send + Sync {
    /// Makes the engine hold exactly these contexts, in one step that no reader sees half of.
    ///
    /// The ids in `contexts` do not count: one that shares an SA with a context of the engine keeps that
    /// context's id and counters, others get new ids in their order. What is not among them goes.
    ///
    /// # Errors
    /// Only those of the engine itself; nothing is changed then.
    fn replace(&self, contexts: Vec<SaContext>, completeness: Completeness) -> Result;

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
