//! Timestamps, and the clock and random number sources of an engine.
//!
//! The pure crates never read a clock themselves; callers pass time to them.

use std::time::Duration;

/// A point in time: whole seconds since 1970-01-01T00:00:00Z, like an SA's times in the Linux kernel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(pub u64);

impl Timestamp {
    /// Returns the time elapsed since `earlier`, or zero if `earlier` is later than this.
    pub fn since(self, earlier: Timestamp) -> Duration {
        Duration::from_secs(self.0.saturating_sub(earlier.0))
    }
}

/// A source of time, passed to an engine when it is built, so that tests can control time.
pub trait Clock: Send + Sync {
    /// Returns the wall-clock time, which jumps when the system's clock is set.
    fn wall(&self) -> Timestamp;

    /// Returns the time since a fixed point. It never jumps; lifetimes and timeouts are measured with it.
    fn monotonic(&self) -> Duration;

    /// Returns how long a thread may sleep before it checks again whether `ahead` has passed. A real-time
    /// clock returns `ahead`; a clock that a test advances returns a short time.
    fn pause(&self, ahead: Duration) -> Duration {
        ahead
    }
}

/// A source of random bytes for SPIs and generated keys of sessions and objects. It must be
/// cryptographically secure, except in tests.
pub trait Random: Send + Sync {
    /// Fills `bytes` with random bytes.
    ///
    /// # Errors
    /// The system's error if it cannot provide random bytes.
    fn fill(&self, bytes: &mut [u8]) -> crate::Result;
}
