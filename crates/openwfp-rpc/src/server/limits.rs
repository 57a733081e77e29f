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
use std::time::Duration;
use std::time::Instant;
use tokio::sync::Semaphore;

/// Limits on what clients can use. [`Server::set_limits`](crate::Server::set_limits) changes all of
/// them while the server runs, except [`Limits::message_bytes`] and [`Limits::waiting_calls`], which
/// are fixed when the server starts. New limits do not affect what clients already have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Maximum number of open connections; the last 16 are root's. Further ones are closed, and their clients receive the
    /// reason. Default: 4,096.
    pub connections: usize,
    /// Maximum number of network clients that have connected and not yet completed their handshakes. They take no place of
    /// [`Limits::connections`]. Default: 512.
    pub handshakes: usize,
    /// Maximum number of those clients per address (for IPv6: network of 64 bits); four times as many per network of 24 bits
    /// (for IPv6: 48 bits). Default: 32.
    pub handshakes_per_address: usize,
    /// Maximum number of open connections per user. Default: 2,048.
    pub connections_per_user: usize,
    /// Maximum number of open sessions per user. Default: 2,048.
    pub sessions_per_user: usize,
    /// Maximum number of open enumerators per session; each may keep an old version of the database in
    /// memory. Default: 256.
    pub enumerators_per_session: usize,
    /// Maximum number of open subscriptions per session. Default: 64.
    pub subscriptions_per_session: usize,
    /// Maximum number of open subscriptions per user. Default: 1,024.
    pub subscriptions_per_user: usize,
    /// Maximum number of calls per user and second, with bursts of the same size; 0 means no limit. Each step of a batch counts
    /// as a call. Default: 100,000.
    pub requests_per_second: u32,
    /// Maximum number of bytes that a user's calls in progress may hold: requests that have not been read, answers that the
    /// client has not taken. Root has no limit of its own. Default: 64 MiB.
    pub bytes_per_user: usize,
    /// Maximum number of bytes that all calls in progress may hold; the last quarter is root's. Default: 256 MiB.
    pub bytes: usize,
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
    /// Maximum time for which a session may keep a read/write transaction open, except root's. Default: one minute.
    pub transaction_time: Duration,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            connections: 4096,
            handshakes: 512,
            handshakes_per_address: 32,
            connections_per_user: 2048,
            sessions_per_user: 2048,
            enumerators_per_session: 256,
            subscriptions_per_session: 64,
            subscriptions_per_user: 1024,
            requests_per_second: 100_000,
            bytes_per_user: 64 << 20,
            bytes: 256 << 20,
            message_bytes: 16 << 20,
            page_entries: 10_000,
            page_bytes: 1 << 20,
            waiting_calls: 256,
            transaction_time: Duration::from_secs(60),
        }
    }
}

/// Number of users above which those are forgotten that use nothing.
const USERS_MAX: usize = 4096;

/// What each user currently uses.
#[derive(Default)]
pub(crate) struct Users(Mutex<HashMap<Sid, Arc<User>>>);

/// What one user currently uses.
pub(crate) struct User {
    connections: AtomicUsize,
    sessions: AtomicUsize,
    subscriptions: AtomicUsize,
    /// Permits for the user's calls that may wait: half of all, so that there are some for others.
    pub(crate) waiting: Arc<Semaphore>,
    /// Bytes that the user's calls in progress hold.
    pub(crate) bytes: AtomicUsize,
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
    /// Returns what a user uses. `waiting` is the number of permits for its calls that may wait.
    pub(crate) fn of(&self, user: Sid, waiting: usize) -> Arc<User> {
        let mut users = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if users.len() > USERS_MAX && !users.contains_key(&user) {
            users.retain(|_, user| Arc::strong_count(user) > 1);
        }
        Arc::clone(users.entry(user).or_insert_with(|| {
            Arc::new(User {
                connections: AtomicUsize::new(0),
                sessions: AtomicUsize::new(0),
                subscriptions: AtomicUsize::new(0),
                waiting: Arc::new(Semaphore::new(waiting)),
                bytes: AtomicUsize::new(0),
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

    pub(crate) fn subscription(self: &Arc<User>, limits: &Limits) -> Result<Slot> {
        let what = "open subscriptions, the limit per user (limits.subscriptions_per_user)";
        self.slot(limits.subscriptions_per_user, what, |user| &user.subscriptions)
    }

    pub(crate) fn has_session(&self) -> bool {
        self.sessions.load(Ordering::Acquire) > 0
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

    /// Takes calls from the user's allowance: one, or the steps of a batch. A batch may be larger than what is left; the next calls
    /// then wait longer.
    ///
    /// # Errors
    /// `RPC_E_SERVERCALL_RETRYLATER` if it is used up.
    pub(crate) fn calls(&self, count: usize, limits: &Limits) -> Result {
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
            #[allow(clippy::cast_precision_loss, reason = "no more than the steps of a batch")]
            let taken = count as f64;
            bucket.calls -= taken;
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
        let user = Users::default().of(Sid::ROOT, 1);
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
        let user = Users::default().of(Sid::ROOT, 1);
        user.calls(1, &limits).unwrap();
        user.bucket.lock().unwrap().filled = Instant::now() + Duration::from_secs(3600);
        assert!(user.calls(1, &limits).is_ok() && user.calls(10, &limits).is_ok());
        assert_eq!(user.calls(1, &limits).unwrap_err().code(), Code::RPC_E_SERVERCALL_RETRYLATER);
        assert!(user.bucket.lock().unwrap().calls < -8.0, "a batch counts with all its steps");
    }
}
