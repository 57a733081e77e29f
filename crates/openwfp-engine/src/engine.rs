//! The engine: what it is built of, and who has a session with it.

use crate::access::Access;
use crate::faults::Faults;
use crate::faults::Injector;
use crate::lifetime::IdleTimeout;
use crate::objects::FIRST_CALLOUT_ID;
use crate::objects::FIRST_ID;
use crate::objects::Objects;
use crate::session::LocalSession;
use crate::shared::Shared;
use crate::sync::Condvar;
use crate::sync::Mutex;
use crate::sync::RwLock;
use crate::sync::atomic::AtomicU32;
use crate::sync::atomic::AtomicU64;
use crate::sync::atomic::Ordering;
use crate::sync::lock;
use crate::system::SystemClock;
use crate::system::SystemRandom;
use openwfp_api::Clock;
use openwfp_api::Code;
use openwfp_api::Completeness;
use openwfp_api::CounterUpdate;
use openwfp_api::Dataplane;
use openwfp_api::Error;
use openwfp_api::FilterEngine;
use openwfp_api::Mirror;
use openwfp_api::MirrorChange;
use openwfp_api::Random;
use openwfp_api::Result;
use openwfp_api::SaContext;
use openwfp_api::SaContextId;
use openwfp_api::Session;
use openwfp_api::SessionNumber;
use openwfp_api::SessionOptions;
use openwfp_api::Sid;
use openwfp_api::Spi;
use openwfp_api::object::net_event::NetEvent;
use openwfp_api::object::store::ObjectStore;
use std::fmt;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::sync::Weak;
use std::time::Duration;

/// How many bytes old versions of the database may hold for enumerators where nothing else is said: 2 GiB. A forgotten
/// enumerator holds at most what was changed since it was created, about 900 bytes a context.
pub const OLD_VERSIONS_MAX: u64 = 2 << 30;

/// A filter engine in this process.
///
/// Clones are the same engine. It lives as long as a clone or a session of it.
///
/// ```
/// use openwfp_engine::{Engine, SessionOptions};
/// use openwfp_api::EnumOptions;
///
/// let engine = Engine::new();
/// let session = engine.open_session(SessionOptions::new())?;
/// let enumerator = session.sa_context_create_enum(&EnumOptions::default())?;
/// let page = session.sa_context_enum(enumerator, 100)?.accept();
/// assert!(page.is_empty());
/// # Ok::<(), openwfp_api::Error>(())
/// ```
#[derive(Clone)]
pub struct Engine(pub(crate) Arc<Shared>);

/// What an engine is to be like; everything has a default.
///
/// ```
/// use openwfp_api::Sid;
/// use openwfp_engine::{Engine, IdleTimeout};
/// use std::time::Duration;
///
/// let engine = Engine::builder()
///     .owner(Sid::unix_user(1000))
///     .idle_timeout(IdleTimeout { seconds: 300, fail_over_seconds: 60 })
///     .transaction_time_max(Duration::from_secs(600))
///     .build();
/// # drop(engine);
/// ```
#[must_use]
pub struct EngineBuilder {
    dataplane: Option<Arc<dyn Dataplane>>,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
    owner: Sid,
    spis: RangeInclusive<u32>,
    idle: IdleTimeout,
    transaction_time_max: Duration,
    old_versions_max: u64,
    own_thread: bool,
    faults: Option<Injector>,
    store: Option<Arc<dyn ObjectStore>>,
}

/// What an engine holds at the moment, for those who watch over it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Gauges {
    /// SA contexts.
    pub sa_contexts: usize,
    /// Objects: providers, provider contexts, sublayers, layers, callouts and filters, those built in included.
    pub objects: usize,
    /// Open sessions.
    pub sessions: usize,
    /// Open transactions.
    pub transactions: usize,
    /// Open subscriptions.
    pub subscriptions: usize,
    /// Events that wait for their subscribers.
    pub events_waiting: usize,
    /// Timers, those of contexts that went before their time included.
    pub timers: usize,
    /// Memory that old versions of the database hold for enumerators and transactions, in bytes, at most.
    pub old_versions_bytes: u64,
}

impl Engine {
    /// An engine with no SA contexts that is a database only, its owner root.
    pub fn new() -> Engine {
        Engine::builder().build()
    }

    /// An engine to be described.
    pub fn builder() -> EngineBuilder {
        EngineBuilder {
            dataplane: None,
            clock: Arc::new(SystemClock::new()),
            random: Arc::new(SystemRandom::default()),
            owner: Sid::ROOT,
            spis: Spi::UNRESERVED_MIN..=u32::MAX,
            idle: IdleTimeout::default(),
            transaction_time_max: Duration::from_secs(3600),
            old_versions_max: OLD_VERSIONS_MAX,
            own_thread: true,
            faults: None,
            store: None,
        }
    }

    /// Opens a session. WFP: `FwpmEngineOpen0`.
    ///
    /// # Errors
    /// `ERROR_ACCESS_DENIED` without the right OPEN, `FWP_E_ALREADY_EXISTS` for the key of a session that is open,
    /// `RPC_E_OUT_OF_RESOURCES` once all numbers are used up.
    pub fn open_session(&self, options: SessionOptions) -> Result<Arc<dyn Session>> {
        let record = self.0.open(options)?;
        Ok(Arc::new(LocalSession::new(record, Arc::clone(&self.0))))
    }

    /// Ends a session from outside: its calls answer `FWP_E_SESSION_ABORTED` until it is closed. Its transaction is
    /// aborted and its subscriptions end.
    ///
    /// # Errors
    /// `FWP_E_NOT_FOUND` if no such session is open.
    pub fn cancel_session(&self, number: SessionNumber) -> Result {
        let record = lock(&self.0.sessions).open.get(&number).cloned();
        let Some(record) = record else {
            return Err(Error::new(Code::FWP_E_NOT_FOUND, format!("no session {} is open", number.0)));
        };
        record.cancelled.store(true, Ordering::Release);
        self.0.abort_if_any(number);
        self.0.unsubscribe_all(number);
        self.0.drop_dynamic(&record);
        Ok(())
    }

    /// The privileged client that keeps the engine equal to what a provider holds.
    pub fn mirror(&self) -> impl Mirror + use<> {
        self.clone()
    }

    /// The same, for one that the engine shall not live for: its calls fail with `FWP_E_SESSION_ABORTED` once the engine is
    /// gone.
    pub fn weak_mirror(&self) -> impl Mirror + use<> {
        WeakMirror(Arc::downgrade(&self.0))
    }

    /// Does what is due by the engine's clock: lifetimes, expiries, transactions that were held too long. Returns when
    /// the next thing is due.
    ///
    /// An engine has a thread for this, unless it is built with [`EngineBuilder::without_thread`].
    pub fn run_due(&self) -> Option<Duration> {
        self.0.run_due()
    }

    /// What the engine holds at the moment.
    pub fn gauges(&self) -> Gauges {
        let sessions = lock(&self.0.sessions).open.len();
        let core = self.0.core();
        Gauges {
            sa_contexts: core.newest.len(),
            objects: core.newest.objects.len(),
            sessions,
            transactions: core.transactions.len(),
            subscriptions: core.subscriptions.len(),
            events_waiting: core.subscriptions.iter().map(|queue| queue.len()).sum(),
            timers: core.wheel.len(),
            old_versions_bytes: self.0.snapshots.bytes(),
        }
    }
}

impl FilterEngine for Engine {
    fn open_session(&self, options: SessionOptions) -> Result<Arc<dyn Session>> {
        Engine::open_session(self, options)
    }
}

/// Clones of one engine are equal.
impl PartialEq for Engine {
    fn eq(&self, other: &Engine) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Engine {}

impl Default for Engine {
    fn default() -> Engine {
        Engine::new()
    }
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.gauges().fmt(f)
    }
}

impl EngineBuilder {
    /// What carries out the engine's SAs; default: nothing, the engine is a database only.
    pub fn dataplane(mut self, dataplane: Arc<dyn Dataplane>) -> EngineBuilder {
        self.dataplane = Some(dataplane);
        self
    }

    /// Where time comes from; default: the system's clocks.
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> EngineBuilder {
        self.clock = clock;
        self
    }

    /// Where SPIs and session keys come from; default: the system's cryptographic generator.
    pub fn random(mut self, random: Arc<dyn Random>) -> EngineBuilder {
        self.random = random;
        self
    }

    /// Who owns the engine and its database of SAs, and who is meant by a session without a principal; default: root.
    pub fn owner(mut self, owner: Sid) -> EngineBuilder {
        self.owner = owner;
        self
    }

    /// The SPIs that the engine chooses from; default: all that are not reserved. Reserved ones (below 256) are left out
    /// of the range.
    pub fn spi_range(mut self, range: RangeInclusive<u32>) -> EngineBuilder {
        let low = (*range.start()).max(Spi::UNRESERVED_MIN);
        self.spis = low..=(*range.end()).max(low);
        self
    }

    /// Idle time-outs for bundles that bring none; default: none.
    pub fn idle_timeout(mut self, idle: IdleTimeout) -> EngineBuilder {
        self.idle = idle;
        self
    }

    /// How long a transaction may be open before it is aborted by force; default: an hour. Kernel-mode sessions are not
    /// bound by it.
    pub fn transaction_time_max(mut self, time: Duration) -> EngineBuilder {
        self.transaction_time_max = time;
        self
    }

    /// How many bytes old versions of the database may hold for enumerators before the oldest ones are closed; default:
    /// [`OLD_VERSIONS_MAX`], `u64::MAX` is no limit. The measure is [`Gauges::old_versions_bytes`].
    pub fn old_versions_max(mut self, bytes: u64) -> EngineBuilder {
        self.old_versions_max = bytes;
        self
    }

    /// No thread of the engine's own for what is due: [`Engine::run_due`] is called instead. Subscriptions with
    /// callbacks still have theirs.
    pub fn without_thread(mut self) -> EngineBuilder {
        self.own_thread = false;
        self
    }

    /// Faults on demand, for tests; default: none.
    pub fn faults(mut self, faults: Faults) -> EngineBuilder {
        self.faults = Some(Injector::new(faults));
        self
    }

    /// Where persistent objects are kept; default: nowhere, they go with the engine. [`EngineBuilder::open`] reads them.
    pub fn store(mut self, store: Arc<dyn ObjectStore>) -> EngineBuilder {
        self.store = Some(store);
        self
    }

    /// The engine, with no SA contexts, and without looking into its store.
    #[must_use]
    pub fn build(self) -> Engine {
        let shared = Arc::new_cyclic(|me| Shared {
            me: Weak::clone(me),
            core: Mutex::default(),
            gate_changed: Condvar::new(),
            newest_id: AtomicU64::new(0),
            newest_object: AtomicU64::new(FIRST_ID - 1),
            newest_callout: AtomicU64::new(FIRST_CALLOUT_ID - 1),
            classifier: RwLock::default(),
            net_events: Mutex::default(),
            store: self.store,
            options: std::array::from_fn(|number| AtomicU32::new(u32::from(number == 0))),
            dataplane: self.dataplane,
            clock: self.clock,
            random: self.random,
            spis: self.spis,
            idle: self.idle,
            transaction_time_max: self.transaction_time_max,
            old_versions_max: self.old_versions_max,
            faults: self.faults,
            snapshots: Arc::default(),
            sessions: Mutex::default(),
            access: Mutex::new(Access::of_owner(self.owner)),
            owner: self.owner,
            housekeeping: Mutex::new(()),
            signal: self.own_thread.then(Arc::default),
        });
        shared.core().newest.objects = Arc::new(Objects::built_in());
        Engine(shared)
    }

    /// The engine, with the persistent objects of its store and no SA contexts.
    ///
    /// # Errors
    /// The store's own, and `FWP_E_INVALID_PARAMETER` for objects that cannot stand together.
    pub fn open(self) -> Result<Engine> {
        let engine = self.build();
        engine.0.load()?;
        Ok(engine)
    }
}

impl Mirror for Engine {
    fn replace(&self, contexts: Vec<SaContext>, completeness: Completeness) -> Result<Vec<SaContextId>> {
        self.0.replace(contexts, completeness)
    }

    fn apply(&self, changes: Vec<MirrorChange>, completeness: Completeness) -> Result<Vec<SaContextId>> {
        self.0.apply(changes, completeness)
    }

    fn count(&self, updates: &[CounterUpdate]) -> Result {
        self.0.count(updates)
    }

    fn report(&self, event: NetEvent) -> Result {
        self.0.report(event);
        Ok(())
    }
}

/// A mirror that does not keep its engine.
struct WeakMirror(Weak<Shared>);

impl WeakMirror {
    fn engine(&self) -> Result<Engine> {
        let gone = || Error::new(Code::FWP_E_SESSION_ABORTED, "the engine is gone");
        self.0.upgrade().map(Engine).ok_or_else(gone)
    }
}

impl Mirror for WeakMirror {
    fn replace(&self, contexts: Vec<SaContext>, completeness: Completeness) -> Result<Vec<SaContextId>> {
        self.engine()?.replace(contexts, completeness)
    }

    fn apply(&self, changes: Vec<MirrorChange>, completeness: Completeness) -> Result<Vec<SaContextId>> {
        self.engine()?.apply(changes, completeness)
    }

    fn count(&self, updates: &[CounterUpdate]) -> Result {
        self.engine()?.count(updates)
    }

    fn report(&self, event: NetEvent) -> Result {
        self.engine()?.report(event)
    }
}
