//! The sessions that clients have open, indexed by token.

use super::limits::Slot;
use crate::proto::ErrorDetail;
use openwfp_api::Code;
use openwfp_api::Error;
use openwfp_api::EventStream;
use openwfp_api::Result;
use openwfp_api::Session;
use openwfp_api::Sid;
use openwfp_api::SubscriptionId;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::sync::watch;

/// The token that identifies a session in all its calls: 16 random bytes.
pub(crate) type Token = [u8; 16];

/// A subscription; the lock admits one reader at a time.
pub(crate) type SharedStream = Arc<tokio::sync::Mutex<Box<dyn EventStream>>>;

/// An open session.
pub(crate) struct Open {
    pub(crate) session: Arc<dyn Session>,
    pub(crate) user: Sid,
    /// Maximum time that its calls wait for other sessions' transactions.
    pub(crate) wait: Duration,
    /// Whether the session has an open transaction; its calls then do not wait for other transactions.
    pub(crate) in_transaction: AtomicBool,
    /// Why the session was ended, once it was.
    pub(crate) ended: watch::Sender<Option<ErrorDetail>>,
    streams: Mutex<HashMap<u64, (SharedStream, Slot)>>,
    _slot: Slot,
}

/// All open sessions.
#[derive(Default)]
pub(crate) struct Sessions(Mutex<HashMap<Token, Arc<Open>>>);

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Open {
    pub(crate) fn new(session: Arc<dyn Session>, user: Sid, wait: Duration, slot: Slot) -> Open {
        Open {
            session,
            user,
            wait,
            in_transaction: AtomicBool::new(false),
            ended: watch::Sender::new(None),
            streams: Mutex::default(),
            _slot: slot,
        }
    }

    pub(crate) fn add_stream(&self, stream: Box<dyn EventStream>, slot: Slot) -> SubscriptionId {
        let id = stream.id();
        let stream = Arc::new(tokio::sync::Mutex::new(stream));
        lock(&self.streams).insert(id.to_bits(), (stream, slot));
        id
    }

    pub(crate) fn stream(&self, handle: u64) -> Option<SharedStream> {
        lock(&self.streams).get(&handle).map(|(stream, _)| Arc::clone(stream))
    }

    pub(crate) fn forget_stream(&self, handle: u64) {
        let stream = lock(&self.streams).remove(&handle);
        // Dropped after the lock is released.
        drop(stream);
    }

    /// Ends the session: its transaction is aborted, and its enumerators and subscriptions are freed.
    fn close(&self) -> Result {
        let result = self.session.close();
        let streams = std::mem::take(&mut *lock(&self.streams));
        drop(streams);
        result
    }
}

impl Sessions {
    pub(crate) fn insert(&self, open: Arc<Open>) -> Result<Token> {
        let mut token = Token::default();
        getrandom::fill(&mut token).map_err(|error| {
            Error::new(
                Code::RPC_E_OUT_OF_RESOURCES,
                format!("the system provides no random numbers: {error}"),
            )
        })?;
        lock(&self.0).insert(token, open);
        Ok(token)
    }

    /// Returns the session with this token if it belongs to `user`.
    ///
    /// # Errors
    /// `FWP_E_SESSION_ABORTED` if there is none: the session has ended, the daemon was restarted, or
    /// another user opened it.
    pub(crate) fn find(&self, token: &[u8], user: &Sid) -> Result<Arc<Open>> {
        let found = Token::try_from(token).ok().and_then(|token| lock(&self.0).get(&token).cloned());
        match found {
            Some(open) if open.user == *user && open.ended.borrow().is_none() => Ok(open),
            _ => Err(Error::new(
                Code::FWP_E_SESSION_ABORTED,
                "the session has ended, or the daemon was restarted",
            )
            .with_remedy("Open a new one.")),
        }
    }

    /// Ends a session because its client closed it or its stream ended.
    pub(crate) fn close(&self, token: &Token) -> Result {
        let open = lock(&self.0).remove(token);
        match open {
            Some(open) => open.close(),
            None => Ok(()),
        }
    }

    /// Ends all sessions: their new calls are refused, and their streams report the reason.
    pub(crate) fn end_all(&self, why: &ErrorDetail) {
        let all: Vec<_> = lock(&self.0).values().cloned().collect();
        for open in all {
            open.ended.send_replace(Some(why.clone()));
        }
    }

    pub(crate) fn len(&self) -> usize {
        lock(&self.0).len()
    }
}

impl Open {
    pub(crate) fn is_in_transaction(&self) -> bool {
        self.in_transaction.load(Ordering::Acquire)
    }
}
