//! A hierarchical timer wheel. Inserting a timer costs the same for any number of timers, and waiting
//! costs nothing.
//!
//! ```text
//! level 0   64 slots of 1 ms        the level of a timer is that of the highest bit in which its deadline
//! level 1   64 slots of 64 ms       and the wheel's time differ; when the time reaches its slot, the timer
//! …                                 moves to a lower level or is due
//! level 10  64 slots of 2^60 ms
//! ```
//!
//! One bit per slot marks the slots that are not empty, from which the wheel computes the next time to
//! turn.

use openwfp_api::SaContextId;
use std::time::Duration;

const SLOT_BITS: u32 = 6;
const SLOTS: usize = 1 << SLOT_BITS;
const LEVELS: usize = 11;

/// The purpose of a timer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum TimerKind {
    /// The soft limit in seconds is reached.
    Soft,
    /// The hard limit in seconds is reached.
    Hard,
    /// The context may have reached its idle timeout.
    Idle,
    /// The inbound SA of an expiring context is to be removed.
    End,
}

impl TimerKind {
    /// Returns the reason for the log.
    pub(crate) fn word(self) -> &'static str {
        match self {
            TimerKind::Soft => "soft-limit",
            TimerKind::Hard => "hard-limit",
            TimerKind::Idle => "idle",
            TimerKind::End => "expiry",
        }
    }
}

/// A timer of a context.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Timer {
    /// The deadline, in milliseconds of the engine's monotonic time.
    deadline: u64,
    /// The id in the upper bits, the kind in the two lowest, so that a million timers take 16 MB.
    what: u64,
}

pub(crate) struct Wheel {
    now: u64,
    count: usize,
    occupied: [u64; LEVELS],
    slots: Vec<Vec<Timer>>,
}

impl Timer {
    pub(crate) fn new(deadline: Duration, id: SaContextId, kind: TimerKind) -> Timer {
        Timer { deadline: milliseconds_up(deadline), what: id.0 << 2 | kind as u64 }
    }

    pub(crate) fn deadline(&self) -> Duration {
        Duration::from_millis(self.deadline)
    }

    pub(crate) fn id(&self) -> SaContextId {
        SaContextId(self.what >> 2)
    }

    pub(crate) fn kind(&self) -> TimerKind {
        match self.what & 3 {
            0 => TimerKind::Soft,
            1 => TimerKind::Hard,
            2 => TimerKind::Idle,
            _ => TimerKind::End,
        }
    }
}

impl Default for Wheel {
    fn default() -> Wheel {
        Wheel { now: 0, count: 0, occupied: [0; LEVELS], slots: vec![Vec::new(); LEVELS * SLOTS] }
    }
}

impl Wheel {
    /// Returns the number of timers, including those of contexts removed before their deadline.
    pub(crate) fn len(&self) -> usize {
        self.count
    }

    /// Inserts a timer; one whose deadline has passed is due immediately.
    pub(crate) fn insert(&mut self, timer: Timer) {
        self.count += 1;
        self.place(timer);
    }

    /// Advances the wheel to a time and removes the timers that are due, the earliest first. Stops after
    /// about `limit` timers.
    pub(crate) fn turn(&mut self, to: Duration, limit: usize) -> Vec<Timer> {
        let to = u64::try_from(to.as_millis()).unwrap_or(u64::MAX);
        let mut due = Vec::new();
        while due.len() < limit
            && let Some((level, slot, at)) = self.next_slot()
            && at <= to
        {
            self.now = self.now.max(at);
            self.occupied[level] &= !(1 << slot);
            let timers = std::mem::take(&mut self.slots[level * SLOTS + slot]);
            for timer in timers {
                if timer.deadline <= self.now {
                    self.count -= 1;
                    due.push(timer);
                } else {
                    self.place(timer);
                }
            }
        }
        if due.len() < limit {
            self.now = self.now.max(to);
        }
        // At the same time, the hard limit of a context precedes its idle timeout: `TimerKind` is ordered so.
        due.sort_unstable();
        due
    }

    /// Returns the next time to turn the wheel, which is never later than the first deadline.
    pub(crate) fn next(&self) -> Option<Duration> {
        self.next_slot().map(|(_, _, at)| Duration::from_millis(at))
    }

    /// Removes the timers for which `wanted` returns false.
    pub(crate) fn retain(&mut self, wanted: impl Fn(&Timer) -> bool) {
        self.count = 0;
        for (at, slot) in self.slots.iter_mut().enumerate() {
            slot.retain(&wanted);
            slot.shrink_to_fit();
            self.count += slot.len();
            if slot.is_empty() {
                self.occupied[at / SLOTS] &= !(1 << (at % SLOTS));
            }
        }
    }

    fn place(&mut self, timer: Timer) {
        let differs = timer.deadline.max(self.now) ^ self.now;
        let level = (63 - (differs | 1).leading_zeros()) / SLOT_BITS;
        let slot = (timer.deadline.max(self.now) >> (level * SLOT_BITS)) & (SLOTS as u64 - 1);
        let (level, slot) = (usize::try_from(level).unwrap_or(0), usize::try_from(slot).unwrap_or(0));
        self.occupied[level] |= 1 << slot;
        self.slots[level * SLOTS + slot].push(timer);
    }

    /// Returns the next slot: its level, its index and its time.
    ///
    /// Slots of lower levels are always earlier, because they lie within the current slot of the level
    /// above.
    fn next_slot(&self) -> Option<(usize, usize, u64)> {
        let level = self.occupied.iter().position(|slots| *slots != 0)?;
        let shift = SLOT_BITS * u32::try_from(level).unwrap_or(0);
        let slot = self.occupied[level].trailing_zeros();
        // The bits above the level's own are those of the current time.
        let above = self.now.checked_shr(shift + SLOT_BITS).unwrap_or(0);
        let above = above.checked_shl(shift + SLOT_BITS).unwrap_or(0);
        let at = above | u64::from(slot) << shift;
        Some((level, usize::try_from(slot).unwrap_or(0), at.max(self.now)))
    }
}

fn milliseconds_up(time: Duration) -> u64 {
    let whole = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    whole.saturating_add(u64::from(!time.subsec_nanos().is_multiple_of(1_000_000)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    proptest! {
        /// Compares the wheel with a sorted set under random insertions and turns of all sizes.
        #[test]
        fn a_wheel_agrees_with_a_sorted_set(
            steps in prop::collection::vec((0u32..45, any::<u64>(), any::<bool>()), 1..200)
        ) {
            let mut wheel = Wheel::default();
            let mut model = BTreeSet::new();
            let mut now = 0_u64;
            for (number, (bits, value, insert)) in (0u64..).zip(steps) {
                let span = value & ((1 << bits) - 1);
                if insert {
                    let deadline = if bits % 7 == 0 { now.saturating_sub(span) } else { now + span };
                    let timer = Timer::new(Duration::from_millis(deadline), SaContextId(number), TimerKind::Hard);
                    wheel.insert(timer);
                    model.insert((deadline.max(now), timer));
                } else {
                    now += span;
                    let due = wheel.turn(Duration::from_millis(now), usize::MAX);
                    let later = model.split_off(&(now + 1, Timer { deadline: 0, what: 0 }));
                    let mut expected: Vec<Timer> = std::mem::replace(&mut model, later).into_iter().map(|(_, t)| t).collect();
                    expected.sort_unstable();
                    prop_assert_eq!(due, expected);
                }
                prop_assert_eq!(wheel.len(), model.len());
                let first = model.first().map(|(deadline, _)| *deadline);
                prop_assert_eq!(wheel.next().is_some(), first.is_some());
                if let (Some(next), Some(first)) = (wheel.next(), first) {
                    prop_assert!(next <= Duration::from_millis(first), "{:?} is later than {}", next, first);
                    prop_assert!(next >= Duration::from_millis(now));
                }
            }
        }
    }

    #[test]
    fn the_way_to_a_far_deadline_takes_a_step_a_level_and_not_one_a_slot() {
        let mut wheel = Wheel::default();
        wheel.insert(Timer::new(Duration::from_secs(86_400 * 365), SaContextId(1), TimerKind::Soft));
        let mut steps = 0;
        while let Some(next) = wheel.next() {
            steps += 1;
            let due = wheel.turn(next, 10);
            assert!(due.is_empty() || due[0].id() == SaContextId(1) && due[0].kind() == TimerKind::Soft);
        }
        assert!(steps <= LEVELS, "{steps}");
    }

    #[test]
    fn what_is_not_wanted_any_more_is_dropped_and_the_rest_stays() {
        let mut wheel = Wheel::default();
        for id in 0..1000 {
            wheel.insert(Timer::new(Duration::from_millis(id * 37), SaContextId(id), TimerKind::Idle));
        }
        wheel.retain(|timer| timer.id().0 % 10 == 0);
        assert_eq!(wheel.len(), 100);
        let due = wheel.turn(Duration::from_secs(3600), usize::MAX);
        assert!(due.len() == 100 && due.iter().all(|timer| timer.id().0 % 10 == 0));
        assert_eq!(wheel.next(), None);
    }
}
