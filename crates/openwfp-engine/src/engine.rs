//! The public engine handle, its builder and its gauges.

use crate::access::Access;
use crate::core::Core;
use crate::effects::Unenforced;
use crate::faults::Faults;
use crate::faults::Injector;
use crate::housekeeper::Signal;
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
use openwfp_api::KernelPolicyChange;
use openwfp_api::Mirror;
use openwfp_api::MirrorChange;
use openwfp_api::Random;
use openwfp_api::Result;
use openwfp_api::SaContext;
use openwfp_api::SaContextId;
use openwfp_api::Securable;
use openwfp_api::SecurityDescriptor;
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

/// Default limit on the memory that old versions of the database may hold for enumerators: 2 GiB. A
/// forgotten enumerator holds at most what has changed since it was created, about 900 bytes per
/// changed context.
pub const OLD_VERSIONS_MAX: u64 = 2 << 30;

/// A filter engine in this process.
///
/// Clones refer to the same engine. It lives as long as any clone or session of it.
///
/// ```
/// use openwfp_engine::{Engine, SessionOptions};
/// use openwfp_api::EnumOptions;
///
/// let engine = Engine::new();
/// let session = engine.open_session(SessionOptions::new())?;
/// assert_eq!(session.sa_contexts(&EnumOptions::default())?.count(), 0);
/// # Ok::<(), openwfp_api::Error>(())
/// ```
#[derive(Clone)]
pub struct Engine(pub(crate) Arc<Shared>);

/// A builder that configures an engine. Every setting has a default.
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
    unenforced: Unenforced,
}

/// Current numbers of an engine's resources, for monitoring.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Gauges {
    /// Number of SA contexts.
    pub sa_contexts: usize,
    /// Number of objects: providers, provider contexts, sublayers, layers, callouts and filters, including
    /// built-in ones.
    pub objects: usize,
    /// Number of open sessions.
    pub sessions: usize,
    /// Number of open transactions.
    pub transactions: usize,
    /// Number of open subscriptions.
    pub subscriptions: usize,
    /// Number of events queued for subscribers, over all subscriptions.
    pub events_waiting: usize,
    /// Number of pending timers, including timers of contexts that have since been deleted.
    pub timers: usize,
    /// Upper bound of the memory that old versions of the database hold for enumerators and transactions,
    /// in bytes.
    pub old_versions_bytes: u64,
}

impl Engine {
    /// Creates an engine with default settings: no SA contexts, no dataplane (it is only a database), owned
    /// by root.
    pub fn new() -> Engine {
        Engine::builder().build()
    }

    /// Returns a builder with default settings.
    ///
    /// ```
    /// use openwfp_engine::{Engine, SessionOptions};
    ///
    /// let engine = Engine::builder().open()?;
    /// let session = engine.open_session(SessionOptions::new().name("example"))?;
    /// session.close()?;
    /// # Ok::<(), openwfp_api::Error>(())
    /// ```
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
            unenforced: Unenforced::default(),
        }
    }

    /// Opens a session. WFP: `FwpmEngineOpen0`.
    ///
    /// # Errors
    /// `ERROR_ACCESS_DENIED` without the right OPEN, `FWP_E_ALREADY_EXISTS` if a session with the same key
    /// is open, `FWP_E_NOT_FOUND` if the options name an engine (this one has no name),
    /// `RPC_S_INVALID_BOUND` for a name of more than 256 characters or a description of more than 1,024, or the random
    /// generator's own error.
    pub fn open_session(&self, options: SessionOptions) -> Result<Arc<dyn Session>> {
        let record = self.0.open(options)?;
        Ok(Arc::new(LocalSession::new(record, Arc::clone(&self.0))))
    }

    /// Ends a session from outside. Its transaction is aborted, its subscriptions end, and the objects of a
    /// dynamic session are deleted. Until the session is closed, its calls fail with
    /// `FWP_E_SESSION_ABORTED`.
    ///
    /// # Errors
    /// `FWP_E_NOT_FOUND` if no such session is open.
    pub fn cancel_session(&self, number: SessionNumber) -> Result {
        self.0.cancel(&*self.0.find_session(number)?);
        Ok(())
    }

    /// Returns the privileged client through which a provider keeps the engine in sync with its own SAs. It
    /// keeps the engine alive.
    pub fn mirror(&self) -> impl Mirror + use<> {
        self.clone()
    }

    /// Returns a mirror as [`Engine::mirror`] does, but one that does not keep the engine alive. Once the
    /// engine is gone, its calls fail with `FWP_E_SESSION_ABORTED`.
    pub fn weak_mirror(&self) -> impl Mirror + use<> {
        WeakMirror(Arc::downgrade(&self.0))
    }

    /// Does all work that is due by the engine's clock: ends lifetimes, expires contexts and aborts
    /// transactions that were held too long. Returns the monotonic time at which the next work is due, or
    /// `None` if nothing is scheduled.
    ///
    /// The engine calls this from a thread of its own, unless it is built with
    /// [`EngineBuilder::without_thread`].
    pub fn run_due(&self) -> Option<Duration> {
        self.0.run_due()
    }

    /// Returns the security descriptor that something has until somebody sets another one.
    pub fn usual_security(&self, of: Securable) -> SecurityDescriptor {
        Access::of_owner(self.0.owner).of(of).clone()
    }

    /// Names users and groups that, like root, can take over everything and can list and delete every object, whatever its access
    /// list says. Default: none.
    pub fn set_administrators(&self, administrators: Vec<Sid>) {
        self.0.set_administrators(administrators);
    }

    /// Returns the current gauges.
    pub fn gauges(&self) -> Gauges {
        self.0.deliver();
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
    /// Sets the dataplane that installs and removes the engine's SAs. Default: none; the engine is only a
    /// database.
    pub fn dataplane(mut self, dataplane: Arc<dyn Dataplane>) -> EngineBuilder {
        self.dataplane = Some(dataplane);
        self
    }

    /// Sets what the engine does with filters that nothing can carry out. Default: it accepts them and tells their effect.
    pub fn unenforced(mut self, unenforced: Unenforced) -> EngineBuilder {
        self.unenforced = unenforced;
        self
    }

    /// Sets the source of time. Default: the system's clocks, [`SystemClock`].
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> EngineBuilder {
        self.clock = clock;
        self
    }

    /// Sets the source of randomness for SPIs and for generated keys (GUIDs) of sessions and objects.
    /// Default: the system's cryptographic generator, [`SystemRandom`].
    pub fn random(mut self, random: Arc<dyn Random>) -> EngineBuilder {
        self.random = random;
        self
    }

    /// Sets the owner in the default security descriptors of the engine and everything below it, such as
    /// the database of SAs. The owner is also the user of sessions opened without a principal. Default:
    /// root.
    pub fn owner(mut self, owner: Sid) -> EngineBuilder {
        self.owner = owner;
        self
    }

    /// Sets the range of SPIs that the engine chooses from. Default: all SPIs that are not reserved.
    /// Reserved SPIs (below 256) are excluded from the range.
    pub fn spi_range(mut self, range: RangeInclusive<u32>) -> EngineBuilder {
        let low = (*range.start()).max(Spi::UNRESERVED_MIN);
        self.spis = low..=(*range.end()).max(low);
        self
    }

    /// Sets the idle timeouts of bundles that specify none. Default: no idle timeout.
    pub fn idle_timeout(mut self, idle: IdleTimeout) -> EngineBuilder {
        self.idle = idle;
        self
    }

    /// Sets how long a transaction may stay open before the engine aborts it. Default: one hour.
    /// Kernel-mode sessions are exempt.
    pub fn transaction_time_max(mut self, time: Duration) -> EngineBuilder {
        self.transaction_time_max = time;
        self
    }

    /// Sets how many bytes old versions of the database may hold before the engine closes the enumerators
    /// that hold the oldest ones. Reading from a closed enumerator fails with `RPC_E_OUT_OF_RESOURCES`.
    /// Default: [`OLD_VERSIONS_MAX`]; `u64::MAX` disables the limit. The limit applies to
    /// [`Gauges::old_versions_bytes`].
    pub fn old_versions_max(mut self, bytes: u64) -> EngineBuilder {
        self.old_versions_max = bytes;
        self
    }

    /// Builds the engine without a thread for work that is due; call [`Engine::run_due`] instead.
    /// Subscriptions with callbacks still have a thread each.
    pub fn without_thread(mut self) -> EngineBuilder {
        self.own_thread = false;
        self
    }

    /// Sets faults to inject, for tests. Default: none.
    pub fn faults(mut self, faults: Faults) -> EngineBuilder {
        self.faults = Some(Injector::new(faults));
        self
    }

    /// Sets the store for persistent objects; [`EngineBuilder::open`] loads them. Default: none; persistent
    /// objects are lost when the engine is dropped.
    pub fn store(mut self, store: Arc<dyn ObjectStore>) -> EngineBuilder {
        self.store = Some(store);
        self
    }

    /// Builds the engine with no SA contexts. It does not load the objects of its store; use
    /// [`EngineBuilder::open`] for that.
    #[must_use]
    pub fn build(self) -> Engine {
        let core = Core::default();
        let undelivered = core.outbox.undelivered();
        let shared = Arc::new_cyclic(|me| Shared {
            me: Weak::clone(me),
            core: Mutex::new(core),
            undelivered,
            gate_changed: Condvar::new(),
            newest_id: AtomicU64::new(0),
            newest_object: AtomicU64::new(FIRST_ID - 1),
            newest_callout: AtomicU64::new(FIRST_CALLOUT_ID - 1),
            classifier: RwLock::default(),
            enforced: Mutex::default(),
            kernel_policies: Mutex::default(),
            net_events: Mutex::default(),
            store: self.store,
            options: std::array::from_fn(|number| AtomicU32::new(u32::from(number == 0))),
            dataplane: self.dataplane,
            unenforced: self.unenforced,
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
            refusals: crate::audit::Refusals::default(),
            owner: self.owner,
            housekeeping: Mutex::new(()),
            signal: self.own_thread.then(|| Arc::new(Signal::new("openwfp-timers", Shared::run_due))),
            waits: openwfp_api::Waits::default(),
            delivery: Mutex::new(()),
            courier: self.own_thread.then(|| {
                Arc::new(Signal::new("openwfp-events", |shared| {
                    shared.deliver();
                    None
                }))
            }),
            usage: Mutex::default(),
        });
        shared.core().newest.objects = Arc::new(Objects::built_in());
        Engine(shared)
    }

    /// Builds the engine with no SA contexts, loads the persistent objects of its store, and has the dataplane enforce
    /// their policies.
    ///
    /// # Errors
    /// The errors of the store and of the dataplane. If a stored object refers to one that does not exist, the `NOT_FOUND` code
    /// of the missing object's kind, such as `FWP_E_PROVIDER_NOT_FOUND`.
    pub fn open(self) -> Result<Engine> {
        let engine = self.build();
        engine.0.load()?;
        engine.0.load_policies()?;
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

    fn change_policies(&self, changes: Vec<KernelPolicyChange>) -> Result {
        self.0.change_kernel_policies(changes);
        Ok(())
    }

    fn report(&self, event: NetEvent) -> Result {
        self.0.report(event);
        Ok(())
    }
}

/// A mirror that does not keep its engine alive.
struct WeakMirror(Weak<Shared>);

impl WeakMirror {
    fn engine(&self) -> Result<Engine> {
        let gone = || Error::new(Code::FWP_E_SESSION_ABORTED, "the engine was closed");
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

    fn change_policies(&self, changes: Vec<KernelPolicyChange>) -> Result {
        self.engine()?.change_policies(changes)
    }

    fn report(&self, event: NetEvent) -> Result {
        self.engine()?.report(event)
    }
}
