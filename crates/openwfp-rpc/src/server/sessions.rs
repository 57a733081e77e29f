//! The sessions that clients have open, by their tokens.

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

/// What names a session in all its calls: 16 bytes that nobody can guess.
pub(crate) type Token = [u8; 16];

/// A subscription that one reader at a time reads.
pub(crate) type SharedStream = Arc<tokio::sync::Mutex<Box<dyn EventStream>>>;

/// An open session.
pub(crate) struct Open {
    pub(crate) session: Arc<dyn Session>,
    pub(crate) user: Sid,
    /// How long its calls wait for other sessions' transactions.
    pub(crate) wait: Duration,
    /// Whether its calls are those of a transaction, which wait for nobody else's.
    pub(crate) in_transaction: AtomicBool,
    /// Why the daemon ended it, once it has.
    pub(crate) ended: watch::Sender<Option<ErrorDetail>>,
    streams: Mutex<HashMap<u64, SharedStream>>,
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

    pub(crate) fn add_stream(&self, stream: Box<dyn EventStream>) -> SubscriptionId {
        let id = stream.id();
        lock(&self.streams).insert(id.to_bits(), Arc::new(tokio::sync::Mutex::new(stream)));
        id
    }

    pub(crate) fn stream(&self, handle: u64) -> Option<SharedStream> {
        lock(&self.streams).get(&handle).cloned()
    }

    pub(crate) fn forget_stream(&self, handle: u64) {
        let stream = lock(&self.streams).remove(&handle);
        // Dropped without the lock.
        drop(stream);
    }

    /// Ends the session: its transaction is aborted, its enumerators and subscriptions go.
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
            Error::new(Code::RPC_E_OUT_OF_RESOURCES, format!("no randomness for a session: {error}"))
        })?;
        lock(&self.0).insert(token, open);
        Ok(token)
    }

    /// The session of a token, for the user who opened it.
    ///
    /// # Errors
    /// `FWP_E_SESSION_ABORTED` for a token that names none: the session has ended, or the daemon was restarted.
    pub(crate) fn find(&self, token: &[u8], user: &Sid) -> Result<Arc<Open>> {
        let found = Token::try_from(token).ok().and_then(|token| lock(&self.0).get(&token).cloned());
        match found {
            Some(open) if open.user == *user && open.ended.borrow().is_none() => Ok(open),
            _ => Err(Error::new(
                Code::FWP_E_SESSION_ABORTED,
                "the session has ended, or its daemon was restarted",
            )
            .with_remedy("open another one")),
        }
    }

    /// Ends a session by its client's wish or since its stream is gone.
    pub(crate) fn close(&self, token: &Token) -> Result {
        let open = lock(&self.0).remove(token);
        match open {
            Some(open) => open.close(),
            None => Ok(()),
        }
    }

    /// Ends all sessions: new calls are refused, and their streams say why.
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
