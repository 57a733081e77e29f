//! Moments. Time is an argument: nothing in the pure rooms asks a clock.

use std::time::Duration;

/// A moment: whole seconds since 1970-01-01T00:00:00Z, as the Linux kernel keeps an SA's times.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(pub u64);

impl Timestamp {
    /// How long ago `earlier` was; zero if it lies in the future.
    pub fn since(self, earlier: Timestamp) -> Duration {
        Duration::from_secs(self.0.saturating_sub(earlier.0))
    }
}
