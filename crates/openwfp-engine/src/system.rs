//! The system's clock and random number generator, used by default, and a manual clock for tests.

use crate::sync::Mutex;
use crate::sync::lock;
use openwfp_api::Clock;
use openwfp_api::Code;
use openwfp_api::Error;
use openwfp_api::Random;
use openwfp_api::Result;
use openwfp_api::Timestamp;
use std::time::Duration;
use std::time::Instant;
use std::time::SystemTime;

/// The system's wall clock and monotonic clock.
#[derive(Debug)]
pub struct SystemClock {
    start: Instant,
}

impl SystemClock {
    /// Returns the system's clocks; monotonic time starts at zero now.
    #[allow(clippy::disallowed_methods, reason = "this is where time comes in")]
    pub fn new() -> SystemClock {
        SystemClock { start: Instant::now() }
    }
}

impl Default for SystemClock {
    fn default() -> SystemClock {
        SystemClock::new()
    }
}

impl Clock for SystemClock {
    #[allow(clippy::disallowed_methods, reason = "this is where time comes in")]
    fn wall(&self) -> Timestamp {
        Timestamp(SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |time| time.as_secs()))
    }

    fn monotonic(&self) -> Duration {
        self.start.elapsed()
    }
}

/// A clock for tests, which stands still until it is advanced.
///
/// ```
/// use openwfp_api::{Clock, Timestamp};
/// use openwfp_engine::ManualClock;
/// use std::time::Duration;
///
/// let clock = ManualClock::new(Timestamp(1_000));
/// clock.turn(Duration::from_secs(60));
/// assert_eq!(clock.wall(), Timestamp(1_060));
/// ```
#[derive(Debug)]
pub struct ManualClock {
    start: Timestamp,
    turned: Mutex<Duration>,
}

impl ManualClock {
    /// Creates a clock whose wall time is `start` and whose monotonic time is zero.
    pub fn new(start: Timestamp) -> ManualClock {
        ManualClock { start, turned: Mutex::new(Duration::ZERO) }
    }

    /// Advances the wall time and the monotonic time.
    pub fn turn(&self, by: Duration) {
        let mut turned = lock(&self.turned);
        *turned = turned.saturating_add(by);
    }
}

impl Clock for ManualClock {
    fn wall(&self) -> Timestamp {
        Timestamp(self.start.0.saturating_add(self.monotonic().as_secs()))
    }

    fn monotonic(&self) -> Duration {
        *lock(&self.turned)
    }

    fn pause(&self, ahead: Duration) -> Duration {
        // The clock may be advanced at any moment without a notification, so waiters must poll it.
        ahead.min(Duration::from_millis(1))
    }
}

/// The system's cryptographic random number generator.
///
/// It reads 256 bytes from the system at a time, and wipes each byte from its buffer once it is
/// returned. Longer requests bypass the buffer.
#[derive(Default)]
pub struct SystemRandom {
    ready: Mutex<Ready>,
}

struct Ready {
    bytes: [u8; 256],
    used: usize,
}

impl Default for Ready {
    fn default() -> Ready {
        Ready { bytes: [0; 256], used: 256 }
    }
}

impl Random for SystemRandom {
    fn fill(&self, bytes: &mut [u8]) -> Result {
        let failed = |error: getrandom::Error| {
            Error::new(Code::RPC_E_SYS_CALL_FAILED, format!("the system provides no random numbers: {error}"))
        };
        let mut ready = lock(&self.ready);
        if bytes.len() > ready.bytes.len() {
            return getrandom::fill(bytes).map_err(failed);
        }
        if ready.bytes.len() - ready.used < bytes.len() {
            getrandom::fill(&mut ready.bytes).map_err(failed)?;
            ready.used = 0;
        }
        let from = ready.used;
        let to = from + bytes.len();
        bytes.copy_from_slice(&ready.bytes[from..to]);
        ready.bytes[from..to].fill(0);
        ready.used = to;
        Ok(())
    }
}
