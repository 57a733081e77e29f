//! The dataplane: what carries out the engine's SAs, such as a kernel.

use crate::CounterUpdate;
use crate::Direction;
use crate::KeyAccess;
use crate::ProviderDrops;
use crate::Result;
use crate::SaContext;
use std::sync::Arc;

/// Carries out what the engine decides. Called by the engine without any lock of its own held.
///
/// A failed call has left nothing behind: what was half installed is removed before it returns.
pub trait Dataplane: Send + Sync {
    /// Installs the SAs of one direction of the context and returns when they work.
    ///
    /// # Errors
    /// The code that fits the refusal, with the system's own words.
    fn install(&self, context: &SaContext, direction: Direction, keys: &KeyAccess) -> Result;

    /// Brings the SAs of one direction from what the context was to what it becomes: addresses, UDP
    /// encapsulation, flags.
    ///
    /// # Errors
    /// The code that fits the refusal, with the system's own words.
    fn update(&self, old: &SaContext, new: &SaContext, direction: Direction, keys: &KeyAccess) -> Result;

    /// Removes the SAs of one direction and returns what was counted at the end; that they are gone already is no
    /// error.
    ///
    /// # Errors
    /// The code that fits the refusal, with the system's own words.
    fn remove(&self, context: &SaContext, direction: Direction) -> Result<Option<CounterUpdate>>;

    /// What it has counted for these contexts; nothing for those that it does not know, or does not count.
    ///
    /// # Errors
    /// The code that fits the refusal, with the system's own words.
    fn counters(&self, _contexts: &[Arc<SaContext>]) -> Result<Vec<CounterUpdate>> {
        Ok(Vec::new())
    }

    /// What it counts for the machine as a whole; nothing, unless it says otherwise.
    ///
    /// # Errors
    /// The code that fits the refusal, with the system's own words.
    fn drops(&self) -> Result<ProviderDrops> {
        Ok(ProviderDrops::default())
    }

    /// Whether it ends SAs itself when their lifetime is over, as kernels do; then the engine does not.
    fn enforces_lifetimes(&self) -> bool {
        false
    }
}
