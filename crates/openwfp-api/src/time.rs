//! Moments and clocks. Time is an argument: nothing in the pure rooms asks a clock of its own.

use std::time::Duration;

/// A moment: whole seconds since 1970-01-01T00:00:00Z, as the Linux kernel keeps an SA's times.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(pub u64);

impl Timestamp {
    /// How long ago `earlier` was; zero if it lies in the future.
    pub fn since(self, earlier: Timestamp) -> Duration {
        Duration::from_secs(self.0.saturating_sub(earlier.0))
    }
}

/// Where an engine's time comes from: given to it when it is built, so that tests turn it by hand.
pub trait Clock: Send + Sync {
    /// The calendar's time; it may jump when somebody sets it.
    fn wall(&self) -> Timestamp;

    /// Time since some fixed moment; it never jumps. Lifetimes and time-outs are measured by it.
    fn monotonic(&self) -> Duration;

    /// How long a thread may sleep before it looks again whether `ahead` has passed: for a clock that
    /// follows real time `ahead` itself, for one that is turned by hand a moment.
    fn pause(&self, ahead: Duration) -> Duration {
        ahead
    }
}

/// Where an engine's SPIs and session keys come from: a cryptographic generator, except in tests.
pub trait Random: Send + Sync {
    /// Fills the bytes.
    ///
    /// # Errors
    /// The system's own, where it has no randomness to give.
    fn fill(&self, bytes: &mut [u8]) -> crate::Result;
}
