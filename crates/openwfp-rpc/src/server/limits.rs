//! Limits on what one user can take of the daemon's resources.

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

/// Limits on what clients can use. [`Server::set_limits`](crate::Server::set_limits) changes all of
/// them while the server runs, except [`Limits::message_bytes`] and [`Limits::waiting_calls`], which
/// are fixed when the server starts. New limits do not affect what clients already have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Maximum number of open connections. Further ones are closed; clients of a Unix socket receive the
    /// reason. Default: 4,096.
    pub connections: usize,
    /// Maximum number of open connections per user. Default: 2,048.
    pub connections_per_user: usize,
    /// Maximum number of open sessions per user. Default: 2,048.
    pub sessions_per_user: usize,
    /// Maximum number of open enumerators per session; each may keep an old version of the database in
    /// memory. Default: 256.
    pub enumerators_per_session: usize,
    /// Maximum number of open subscriptions per session. Default: 64.
    pub subscriptions_per_session: usize,
    /// Maximum number of calls per user and second, with bursts of the same size; 0 means no limit.
    /// Default: 100,000.
    pub requests_per_second: u32,
    /// Maximum size of a request, in bytes. A batch of 20,000 contexts has about 10 MB. Default: 16 MiB.
    pub message_bytes: usize,
    /// Maximum number of entries in a page. Default: 10,000.
    pub page_entries: u32,
    /// Approximate maximum size of a page, in bytes; a page always holds at least one entry. Default: 1
    /// MiB.
    pub page_bytes: usize,
    /// Maximum number of concurrent calls that may wait for other sessions' transactions. Further ones wait
    /// for their turn. Default: 256.
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

/// What each user currently uses.
#[derive(Default)]
pub(crate) struct Users(Mutex<HashMap<Sid, Arc<User>>>);

/// What one user currently uses.
pub(crate) struct User {
    connections: AtomicUsize,
    sessions: AtomicUsize,
    bucket: Mutex<Bucket>,
}

struct Bucket {
    calls: f64,
    filled: Instant,
}

/// One unit of a limited resource; dropping it frees the unit.
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
        let what = "open connections, the limit per user (limits.connections_per_user)";
        self.slot(limits.connections_per_user, what, |user| &user.connections)
    }

    pub(crate) fn session(self: &Arc<User>, limits: &Limits) -> Result<Slot> {
        let what = "open sessions, the limit per user (limits.sessions_per_user)";
        self.slot(limits.sessions_per_user, what, |user| &user.sessions)
    }

    fn slot(self: &Arc<User>, limit: usize, what: &str, count: fn(&User) -> &AtomicUsize) -> Result<Slot> {
        let taken = count(self).fetch_add(1, Ordering::AcqRel);
        let slot = Slot { user: Arc::clone(self), count };
        if taken < limit {
            return Ok(slot);
        }
        Err(Error::new(Code::RPC_E_OUT_OF_RESOURCES, format!("the caller has {limit} {what}"))
            .with_remedy("Close those that you no longer use."))
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
            "the caller exceeds {} calls per second, the limit per user (limits.requests_per_second)",
            limits.requests_per_second
        );
        Err(Error::new(Code::RPC_E_SERVERCALL_RETRYLATER, what)
            .with_remedy("Try again later, or use larger pages."))
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
        // The rate is so low that the bucket does not refill while the test runs.
        let limits = Limits { requests_per_second: 3, ..Limits::default() };
        let user = Users::default().of(Sid::ROOT);
        user.call(&limits).unwrap();
        user.bucket.lock().unwrap().filled = Instant::now() + std::time::Duration::from_secs(3600);
        assert!(user.call(&limits).is_ok() && user.call(&limits).is_ok());
        assert_eq!(user.call(&limits).unwrap_err().code(), Code::RPC_E_SERVERCALL_RETRYLATER);
    }
}
