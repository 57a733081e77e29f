//! Limits: how much of the daemon one user can take.

use openwfp_api::Code;
use openwfp_api::Error;
use openwfp_api::Result;
use openwfp_api::Sid;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;
use std::time::Instant;

/// How much clients may ask for. All but [`Limits::message_bytes`] can be changed while the server runs; they hold for
/// what comes then.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Open connections; more are told so and closed.
    pub connections: usize,
    /// Open connections of one user.
    pub connections_per_user: usize,
    /// Open sessions of one user.
    pub sessions_per_user: usize,
    /// Open enumerators of one session: each may hold an old version of the database.
    pub enumerators_per_session: usize,
    /// Open subscriptions of one session.
    pub subscriptions_per_session: usize,
    /// Calls of one user in a second, with bursts of as many; 0: no limit.
    pub requests_per_second: u32,
    /// The longest message that is taken, in bytes: a batch of 20,000 contexts has about 10 MB.
    pub message_bytes: usize,
    /// The most entries that a page holds.
    pub page_entries: u32,
    /// About the most bytes that a page has.
    pub page_bytes: usize,
    /// Calls that may wait for other sessions' transactions at a time; more wait for their turn.
    pub waiting_calls: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            connections: 4096,
            connections_per_user: 2048,
            sessions_per_user: 2048,
            enumerators_per_session: 256,
            subscriptions_per_session: 64,
            requests_per_second: 100_000,
            message_bytes: 16 << 20,
            page_entries: 10_000,
            page_bytes: 1 << 20,
            waiting_calls: 256,
        }
    }
}

/// What each user has at the moment.
#[derive(Default)]
pub(crate) struct Users(Mutex<HashMap<Sid, Arc<User>>>);

/// What one user has.
pub(crate) struct User {
    connections: AtomicUsize,
    sessions: AtomicUsize,
    bucket: Mutex<Bucket>,
}

struct Bucket {
    calls: f64,
    filled: Instant,
}

/// One of something that is limited; dropping it makes room.
pub(crate) struct Slot {
    user: Arc<User>,
    count: fn(&User) -> &AtomicUsize,
}

impl Drop for Slot {
    fn drop(&mut self) {
        (self.count)(&self.user).fetch_sub(1, Ordering::AcqRel);
    }
}

impl Users {
    pub(crate) fn of(&self, user: Sid) -> Arc<User> {
        let mut users = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(users.entry(user).or_insert_with(|| {
            Arc::new(User {
                connections: AtomicUsize::new(0),
                sessions: AtomicUsize::new(0),
                bucket: Mutex::new(Bucket { calls: f64::INFINITY, filled: Instant::now() }),
            })
        }))
    }
}

impl User {
    pub(crate) fn connection(self: &Arc<User>, limits: &Limits) -> Result<Slot> {
        let what = "connections open, the limit of a user (limits.connections_per_user)";
        self.slot(limits.connections_per_user, what, |user| &user.connections)
    }

    pub(crate) fn session(self: &Arc<User>, limits: &Limits) -> Result<Slot> {
        let what = "sessions open, the limit of a user (limits.sessions_per_user)";
        self.slot(limits.sessions_per_user, what, |user| &user.sessions)
    }

    fn slot(self: &Arc<User>, limit: usize, what: &str, count: fn(&User) -> &AtomicUsize) -> Result<Slot> {
        let taken = count(self).fetch_add(1, Ordering::AcqRel);
        let slot = Slot { user: Arc::clone(self), count };
        if taken < limit {
            return Ok(slot);
        }
        Err(Error::new(Code::RPC_E_OUT_OF_RESOURCES, format!("the caller has {limit} {what}"))
            .with_remedy("close those that are no longer used"))
    }

    /// Takes one call from the user's allowance.
    ///
    /// # Errors
    /// `RPC_E_SERVERCALL_RETRYLATER` if it is used up.
    pub(crate) fn call(&self, limits: &Limits) -> Result {
        if limits.requests_per_second == 0 {
            return Ok(());
        }
        let rate = f64::from(limits.requests_per_second);
        let mut bucket = self.bucket.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        let gained = now.duration_since(bucket.filled).as_secs_f64() * rate;
        bucket.calls = (bucket.calls + gained).min(rate);
        bucket.filled = now;
        if bucket.calls >= 1.0 {
            bucket.calls -= 1.0;
            return Ok(());
        }
        let what = format!(
            "the caller makes more than {} calls a second, the limit of a user (limits.requests_per_second)",
            limits.requests_per_second
        );
        Err(Error::new(Code::RPC_E_SERVERCALL_RETRYLATER, what)
            .with_remedy("try again later, or take larger pages"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_dropped_makes_room_and_what_is_refused_takes_none() {
        let limits = Limits { sessions_per_user: 2, ..Limits::default() };
        let user = Users::default().of(Sid::ROOT);
        let one = user.session(&limits).unwrap();
        let _two = user.session(&limits).unwrap();
        for _ in 0..3 {
            assert_eq!(user.session(&limits).err().unwrap().code(), Code::RPC_E_OUT_OF_RESOURCES);
        }
        drop(one);
        assert!(user.session(&limits).is_ok());
    }

    #[test]
    fn a_burst_is_as_long_as_the_rate_and_then_calls_are_refused() {
        // So slow that nothing is gained while the test runs.
        let limits = Limits { requests_per_second: 3, ..Limits::default() };
        let user = Users::default().of(Sid::ROOT);
        user.call(&limits).unwrap();
        user.bucket.lock().unwrap().filled = Instant::now() + std::time::Duration::from_secs(3600);
        assert!(user.call(&limits).is_ok() && user.call(&limits).is_ok());
        assert_eq!(user.call(&limits).unwrap_err().code(), Code::RPC_E_SERVERCALL_RETRYLATER);
    }
}
