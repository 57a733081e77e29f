//! The mirror: how the kernel's follower tells the engine what is there.

use crate::Result;
use crate::SaContext;

/// Whether a listing holds all that was there to list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Completeness {
    /// Everything.
    #[default]
    Whole,
    /// Not everything, for the reason given in words.
    Incomplete(String),
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
}
