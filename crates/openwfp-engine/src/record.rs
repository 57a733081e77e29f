//! The engine's record of a session, shared with the session itself.

use crate::sync::atomic::AtomicBool;
use crate::sync::atomic::AtomicU8;
use crate::sync::atomic::AtomicU32;
use crate::sync::atomic::AtomicU64;
use crate::sync::atomic::AtomicUsize;
use crate::sync::atomic::Ordering;
use openwfp_api::Principal;
use openwfp_api::Rights;
use openwfp_api::Securable;
use openwfp_api::SessionInfo;
use openwfp_api::SessionNumber;
use openwfp_api::SessionOptions;
use openwfp_api::TransactionMode;

/// The engine's record of one session.
pub(crate) struct SessionRecord {
    pub(crate) info: std::sync::Arc<SessionInfo>,
    pub(crate) principal: Principal,
    pub(crate) usage: std::sync::Arc<Usage>,
    /// The principal's rights, indexed by [`Securable::index`].
    rights: [AtomicU32; Securable::COUNT],
    pub(crate) is_administrator: AtomicBool,
    /// Set by the engine when it ends the session.
    pub(crate) cancelled: AtomicBool,
    transaction: AtomicU8,
    pub(crate) enumerators_max: usize,
    pub(crate) subscriptions_max: usize,
    /// The maximum time for which the session may keep a read/write transaction open.
    pub(crate) transaction_time_max: std::time::Duration,
}

/// What the sessions of one user use together.
#[derive(Default)]
pub(crate) struct Usage {
    /// About how many bytes the notifications in the queues of their subscriptions hold.
    pub(crate) queued: AtomicUsize,
    is_limited: bool,
    /// Monotonic time, in milliseconds, until which their read/write transactions are refused, because the engine had to abort one.
    pub(crate) refused_until: AtomicU64,
}

impl Usage {
    pub(crate) fn of(user: openwfp_api::Sid) -> Usage {
        Usage { is_limited: user != openwfp_api::Sid::ROOT, ..Usage::default() }
    }

    pub(crate) fn is_full(&self) -> bool {
        self.is_limited && self.queued.load(Ordering::Relaxed) >= openwfp_api::bounds::QUEUED_BYTES
    }
}

/// State of a session's transaction, as admission needs it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TransactionState {
    None,
    In(TransactionMode),
    /// The engine aborted it, and no call has reported that to the session yet.
    Ended,
}

impl SessionRecord {
    pub(crate) fn new(info: SessionInfo, principal: Principal) -> SessionRecord {
        SessionRecord {
            info: std::sync::Arc::new(info),
            principal,
            usage: std::sync::Arc::default(),
            rights: std::array::from_fn(|_| AtomicU32::new(0)),
            is_administrator: AtomicBool::new(false),
            cancelled: AtomicBool::new(false),
            transaction: AtomicU8::new(0),
            enumerators_max: SessionOptions::ENUMERATORS_MAX,
            subscriptions_max: SessionOptions::SUBSCRIPTIONS_MAX,
            transaction_time_max: std::time::Duration::MAX,
        }
    }

    pub(crate) fn number(&self) -> SessionNumber {
        self.info.number
    }

    /// The current rights on the database of SAs.
    pub(crate) fn rights(&self) -> Rights {
        self.rights_on(Securable::SaDb)
    }

    pub(crate) fn rights_on(&self, securable: Securable) -> Rights {
        Rights(self.cell(securable).load(Ordering::Acquire))
    }

    pub(crate) fn set_rights(&self, securable: Securable, rights: Rights) {
        self.cell(securable).store(rights.0, Ordering::Release);
    }

    fn cell(&self, securable: Securable) -> &AtomicU32 {
        &self.rights[securable.index()]
    }

    pub(crate) fn transaction(&self) -> TransactionState {
        match self.transaction.load(Ordering::Acquire) {
            0 => TransactionState::None,
            1 => TransactionState::In(TransactionMode::ReadOnly),
            2 => TransactionState::In(TransactionMode::ReadWrite),
            _ => TransactionState::Ended,
        }
    }

    pub(crate) fn set_transaction(&self, state: TransactionState) {
        let bits = match state {
            TransactionState::None => 0,
            TransactionState::In(TransactionMode::ReadOnly) => 1,
            TransactionState::In(TransactionMode::ReadWrite) => 2,
            TransactionState::Ended => 3,
        };
        self.transaction.store(bits, Ordering::Release);
    }

    /// Returns whether the engine aborted the session's transaction, and clears that state, so that it is
    /// reported once.
    pub(crate) fn take_ended(&self) -> bool {
        self.transaction.compare_exchange(3, 0, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }
}
