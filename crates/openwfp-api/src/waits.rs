//! Which threads wait for the callbacks of which others to end.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Mutex;
use std::sync::PoisonError;

/// The waits of threads, named by `T`, for other threads' callbacks.
///
/// Whoever ends a subscription waits until its callback has returned. Two callbacks that end each other's subscriptions would wait
/// for ever, as would longer circles; the last one to come does not wait.
#[derive(Debug)]
pub struct Waits<T>(Mutex<Option<HashMap<T, T>>>);

impl<T> Default for Waits<T> {
    fn default() -> Waits<T> {
        Waits::new()
    }
}

impl<T> Waits<T> {
    /// Returns the state in which nobody waits.
    pub const fn new() -> Waits<T> {
        Waits(Mutex::new(None))
    }
}

impl<T: Copy + Eq + Hash> Waits<T> {
    /// Notes that a thread is about to wait for another one. Returns `false`, and notes nothing, if that one is the thread itself or
    /// waits for it.
    pub fn begin(&self, me: T, other: T) -> bool {
        let mut waits = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let waits = waits.get_or_insert_default();
        let mut next = Some(other);
        while let Some(thread) = next {
            if thread == me {
                return false;
            }
            next = waits.get(&thread).copied();
        }
        waits.insert(me, other);
        true
    }

    /// Notes that a thread waits no longer.
    pub fn end(&self, me: T) {
        if let Some(waits) = &mut *self.0.lock().unwrap_or_else(PoisonError::into_inner) {
            waits.remove(&me);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_closes_a_circle() {
        let waits = Waits::new();
        assert!(!waits.begin(1, 1));
        assert!(waits.begin(1, 2) && waits.begin(2, 3));
        assert!(!waits.begin(3, 1));
        waits.end(2);
        assert!(waits.begin(3, 1) && !waits.begin(2, 3));
    }
}
