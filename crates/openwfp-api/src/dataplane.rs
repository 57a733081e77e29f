//! The dataplane: what carries out the engine's SAs, such as a kernel.

use crate::Direction;
use crate::KeyAccess;
use crate::Result;
use crate::SaContext;

/// Carries out what the engine decides. Called by the engine without any lock of its own held.
///
/// A failed call has left nothing behind: what was half installed is removed before it returns.
pub trait Dataplane: Send + Sync {
    /// Installs the SAs of one direction of the context and returns when they work.
    ///
    /// # Errors
    /// The code that fits the refusal, with the system's own words.
    fn install(&self, context: &SaContext, direction: Direction, keys: &KeyAccess) -> Result;

    /// Removes the SAs of one direction; that they are gone already is no error.
    ///
    /// # Errors
    /// The code that fits the refusal, with the system's own words.
    fn remove(&self, context: &SaContext, direction: Direction) -> Result;

    /// Brings the context's counters up to date, as far as this dataplane counts.
    ///
    /// # Errors
    /// The code that fits the refusal, with the system's own words.
    fn refresh_counters(&self, context: &SaContext) -> Result;
}

/// No dataplane: the engine is a database only, as embedded `memory:` engines are.
#[derive(Debug, Default)]
pub struct NoDataplane;

impl Dataplane for NoDataplane {
    fn install(&self, _context: &SaContext, _direction: Direction, _keys: &KeyAccess) -> Result {
        Ok(())
    }

    fn remove(&self, _context: &SaContext, _direction: Direction) -> Result {
        Ok(())
    }

    fn refresh_counters(&self, _context: &SaContext) -> Result {
        Ok(())
    }
}
