//! The engine: what it is built of, and who has a session with it.

use crate::access::Access;
use crate::change;
use crate::change::Change;
use crate::core::Circumstances;
use crate::core::Core;
use crate::core::Gate;
use crate::core::Origin;
use crate::core::Transaction;
use crate::database::Database;
use crate::events::Queue;
use crate::faults::Faults;
use crate::faults::Injector;
use crate::housekeeper::Signal;
use crate::lifetime::IdleTimeout;
use crate::reconcile;
use crate::record::SessionRecord;
use crate::record::TransactionState;
use crate::session::LocalSession;
use crate::session::SessionOptions;
use crate::snapshots::Snapshot;
use crate::snapshots::Snapshots;
use crate::statistics::Tally;
use crate::sync::Condvar;
use crate::sync::Mutex;
use crate::sync::MutexGuard;
use crate::sync::atomic::AtomicU64;
use crate::sync::atomic::Ordering;
use crate::sync::lock;
use crate::sync::wait;
use crate::system::SystemClock;
use crate::system::SystemRandom;
use openwfp_api::Clock;
use openwfp_api::Code;
use openwfp_api::Completeness;
use openwfp_api::CounterUpdate;
use openwfp_api::Dataplane;
use openwfp_api::Error;
use openwfp_api::Guid;
use openwfp_api::Mirror;
use openwfp_api::Principal;
use openwfp_api::Random;
use openwfp_api::Result;
use openwfp_api::Rights;
use openwfp_api::SaContext;
use openwfp_api::SaContextId;
use openwfp_api::SaContextStep;
use openwfp_api::Securable;
use openwfp_api::SecurityDescriptor;
use openwfp_api::SecurityInformation;
use openwfp_api::Session;
use openwfp_api::SessionInfo;
use openwfp_api::SessionNumber;
use openwfp_api::Sid;
use openwfp_api::Spi;
use openwfp_api::Statistics;
use openwfp_api::StepOutcome;
use openwfp_api::TransactionMode;
use std::collections::BTreeMap;
use std::fmt;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::sync::Weak;
use std::time::Duration;

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
}

/// What an engine holds at the moment, for those who watch over it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Gauges {
    /// SA contexts.
    pub sa_contexts: usize,
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

pub(crate) struct Shared {
    me: Weak<Shared>,
    core: Mutex<Core>,
    /// Told whenever the gate may have become free for somebody.
    pub(crate) gate_changed: Condvar,
    newest_id: AtomicU64,
    pub(crate) dataplane: Option<Arc<dyn Dataplane>>,
    pub(crate) clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
    spis: RangeInclusive<u32>,
    idle: IdleTimeout,
    transaction_time_max: Duration,
    old_versions_max: u64,
    pub(crate) faults: Option<Injector>,
    snapshots: Arc<Snapshots>,
    sessions: Mutex<Sessions>,
    access: Mutex<Access>,
    owner: Sid,
    /// Held by who does what is due, so that it is done once and in order.
    pub(crate) housekeeping: Mutex<()>,
    pub(crate) signal: Option<Arc<Signal>>,
}

#[derive(Default)]
struct Sessions {
    newest: u32,
    open: BTreeMap<SessionNumber, Arc<SessionRecord>>,
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
            old_versions_max: u64::MAX,
            own_thread: true,
            faults: None,
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
        Ok(())
    }

    /// The privileged client that keeps the engine equal to what a provider holds.
    pub fn mirror(&self) -> impl Mirror + use<> {
        self.clone()
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
            sessions,
            transactions: core.transactions.len(),
            subscriptions: core.subscriptions.len(),
            events_waiting: core.subscriptions.iter().map(|queue| queue.len()).sum(),
            timers: core.wheel.len(),
            old_versions_bytes: self.0.snapshots.bytes(),
        }
    }
}

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
    /// no limit. The measure is [`Gauges::old_versions_bytes`].
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

    /// The engine, with no SA contexts.
    #[must_use]
    pub fn build(self) -> Engine {
        let shared = Arc::new_cyclic(|me| Shared {
            me: Weak::clone(me),
            core: Mutex::default(),
            gate_changed: Condvar::new(),
            newest_id: AtomicU64::new(0),
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
        Engine(shared)
    }
}

impl Mirror for Engine {
    fn replace(&self, contexts: Vec<SaContext>, completeness: Completeness) -> Result {
        self.0.replace(contexts, completeness)
    }

    fn count(&self, updates: &[CounterUpdate]) -> Result {
        self.0.count(updates)
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        if let Some(signal) = &self.signal {
            signal.stop();
        }
    }
}

/// What a call wants of the gate.
pub(crate) enum Want {
    /// To change a context, or create one.
    Call(Option<SaContextId>),
    /// To change a context, or count, for the engine itself.
    Engine(Option<SaContextId>),
    /// To swap in a private version.
    Exclusive,
    /// To begin a read/write transaction.
    Transaction,
}

/// The mark that the dataplane works on a context; dropping it lets others on.
struct Turn<'e> {
    engine: &'e Shared,
    id: SaContextId,
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.engine.core().gate.busy.remove(&self.id);
        self.engine.gate_changed.notify_all();
    }
}

/// The right to swap in a private version; dropping it lets others on.
struct Exclusive<'e>(&'e Shared);

impl Drop for Exclusive<'_> {
    fn drop(&mut self) {
        self.0.core().gate.exclusive = false;
        self.0.gate_changed.notify_all();
    }
}

// The gate and the core.
impl Shared {
    pub(crate) fn core(&self) -> MutexGuard<'_, Core> {
        lock(&self.core)
    }

    /// Waits until the gate lets one in; none of the engine's own waits is limited.
    ///
    /// # Errors
    /// `FWP_E_TIMEOUT` if it takes longer than `at_most`.
    pub(crate) fn enter(&self, want: &Want, at_most: Option<Duration>) -> Result<MutexGuard<'_, Core>> {
        let admits = |gate: &Gate| match want {
            Want::Call(id) => gate.admits_call(*id),
            Want::Engine(id) => gate.admits_engine(*id),
            Want::Exclusive => gate.admits_exclusive(),
            Want::Transaction => gate.admits_transaction(),
        };
        let mut core = self.core();
        if admits(&core.gate) {
            return Ok(core);
        }
        // Those who need the gate free of calls would wait for ever behind a stream of them.
        let holds_back = usize::from(matches!(want, Want::Exclusive | Want::Transaction));
        let start = self.clock.monotonic();
        core.gate.waiting += holds_back;
        let result = loop {
            let left = match at_most {
                None => Duration::MAX,
                Some(at_most) => {
                    let left = at_most.saturating_sub(self.clock.monotonic() - start);
                    if left.is_zero() {
                        break Err(timed_out(core.gate.explicit, at_most));
                    }
                    left
                }
            };
            core = wait(&self.gate_changed, core, self.clock.pause(left).min(Duration::from_secs(3600)));
            if admits(&core.gate) {
                break Ok(());
            }
        };
        core.gate.waiting -= holds_back;
        if let Err(error) = result {
            drop(core);
            self.gate_changed.notify_all();
            return Err(error);
        }
        Ok(core)
    }

    fn circumstances(&self, origin: Origin) -> Circumstances<'_> {
        Circumstances {
            origin,
            clock: &*self.clock,
            idle: self.idle,
            ends_lifetimes: self.ends_lifetimes(),
            faults: self.faults.as_ref(),
        }
    }

    /// Whether the engine ends lifetimes, and not its dataplane.
    pub(crate) fn ends_lifetimes(&self) -> bool {
        self.dataplane.as_ref().is_none_or(|dataplane| !dataplane.enforces_lifetimes())
    }

    pub(crate) fn idle(&self) -> IdleTimeout {
        self.idle
    }

    fn new_id(&self) -> SaContextId {
        SaContextId(self.newest_id.fetch_add(1, Ordering::Relaxed) + 1)
    }

    fn plan(&self, database: &Database, step: SaContextStep) -> Result<(Change, StepOutcome)> {
        let new_id = || self.new_id();
        let means =
            change::Means { clock: &*self.clock, random: &*self.random, spis: &self.spis, new_id: &new_id };
        change::plan(database, step, &means)
    }

    /// Wakes the housekeeper if something became due before it would look, after the core's lock was let go.
    fn after_commit(&self, wakes: bool) {
        if wakes && let Some(signal) = &self.signal {
            signal.wake(&self.me);
        }
        if self.old_versions_max != u64::MAX {
            let evicted = self.snapshots.shrink(self.old_versions_max);
            if evicted > 0 {
                tracing::warn!(
                    evicted,
                    limit = self.old_versions_max,
                    "enumerators were closed: the old versions of the database that they held took too much memory"
                );
            }
        }
    }

    /// Commits a change in place, lets the lock go, and does what comes after.
    fn commit(&self, mut core: MutexGuard<'_, Core>, change: &Change, origin: Origin) {
        core.commit(change, &self.circumstances(origin));
        self.snapshots.note(1, change.old.is_some().into());
        let wakes = core.is_due_earlier();
        drop(core);
        self.after_commit(wakes);
    }
}

// Changes.
impl Shared {
    /// Makes a step outside of an explicit transaction.
    pub(crate) fn step(&self, step: SaContextStep, at_most: Duration) -> Result<StepOutcome> {
        let core = self.enter(&Want::Call(step.id()), Some(at_most))?;
        self.step_in(core, step, Origin::Call)
    }

    /// Makes a step for the engine itself.
    pub(crate) fn step_by_itself(&self, step: SaContextStep) -> Result<StepOutcome> {
        let core = self.enter(&Want::Engine(step.id()), None)?;
        self.step_in(core, step, Origin::Engine)
    }

    fn step_in(
        &self,
        mut core: MutexGuard<'_, Core>,
        step: SaContextStep,
        origin: Origin,
    ) -> Result<StepOutcome> {
        let (change, outcome) = self.plan(&core.newest, step)?;
        if change.old == change.new {
            return Ok(outcome);
        }
        let dataplane = match &self.dataplane {
            Some(dataplane) if change.has_effects() => dataplane,
            _ => {
                self.commit(core, &change, origin);
                return Ok(outcome);
            }
        };
        core.gate.busy.insert(change.id);
        drop(core);
        let turn = Turn { engine: self, id: change.id };
        change.carry_out(&**dataplane)?;
        self.commit(self.core(), &change, origin);
        drop(turn);
        Ok(outcome)
    }

    /// Makes steps, all or nothing, outside of an explicit transaction.
    pub(crate) fn steps(
        &self,
        steps: Vec<SaContextStep>,
        record: &Arc<SessionRecord>,
    ) -> Result<Vec<StepOutcome>> {
        let mut transaction = {
            let core = self.enter(&Want::Transaction, Some(record.info.transaction_wait))?;
            self.hold_exclusively(core, record)
        };
        let exclusive = Exclusive(self);
        let outcomes =
            self.steps_into(&mut transaction, steps).inspect_err(|_| self.core().discard(&transaction))?;
        self.publish(&transaction)?;
        drop(exclusive);
        Ok(outcomes)
    }

    fn hold_exclusively(&self, mut core: MutexGuard<'_, Core>, record: &Arc<SessionRecord>) -> Transaction {
        core.gate.exclusive = true;
        self.transaction(&core, record, TransactionMode::ReadWrite)
    }

    /// Makes steps in a transaction's own version, all or nothing.
    fn steps_into(
        &self,
        transaction: &mut Transaction,
        steps: Vec<SaContextStep>,
    ) -> Result<Vec<StepOutcome>> {
        let mut outcomes = Vec::with_capacity(steps.len());
        for (place, step) in steps.into_iter().enumerate() {
            let (change, outcome) =
                self.plan(&transaction.database, step).map_err(|error| at_place(place, &error))?;
            transaction.put(change);
            outcomes.push(outcome);
        }
        Ok(outcomes)
    }

    /// Has the dataplane carry out what a transaction changed and makes it the newest version. The caller holds the
    /// gate exclusively.
    fn publish(&self, transaction: &Transaction) -> Result {
        let changes = transaction.changes();
        if let Some(dataplane) = &self.dataplane {
            for (done, change) in changes.iter().enumerate() {
                if let Err(error) = change.carry_out(&**dataplane) {
                    changes[..done].iter().rev().for_each(|change| change.take_back(&**dataplane));
                    self.core().discard(transaction);
                    return Err(error);
                }
            }
        }
        let circumstances = self.circumstances(Origin::Call);
        let replaced = changes.iter().filter(|change| change.old.is_some()).count();
        let mut core = self.core();
        let old = if core.newest.version == transaction.base.version {
            let mut next = transaction.database.clone();
            next.version.0 += 1;
            for change in &changes {
                core.tally.note(change, Some(&next));
            }
            Some(std::mem::replace(&mut core.newest, next))
        } else {
            for change in &changes {
                match &change.new {
                    Some(new) => core.newest.put(Arc::clone(new)),
                    None => drop(core.newest.remove(change.id)),
                }
            }
            core.newest.version.0 += 1;
            let Core { newest, tally, .. } = &mut *core;
            changes.iter().for_each(|change| tally.note(change, Some(newest)));
            core.discard(transaction);
            None
        };
        for change in &changes {
            core.forget_spis(change);
            core.note(change, &circumstances);
        }
        self.note_snapshots(changes.len(), replaced);
        let wakes = core.is_due_earlier();
        drop(core);
        // Freeing what nobody reads any more can take long; no lock is held meanwhile.
        drop(old);
        self.after_commit(wakes);
        Ok(())
    }

    fn note_snapshots(&self, changes: usize, replaced: usize) {
        let wide = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
        self.snapshots.note(wide(changes), wide(replaced));
    }
}

// Transactions.
impl Shared {
    fn transaction(&self, core: &Core, record: &Arc<SessionRecord>, mode: TransactionMode) -> Transaction {
        let limit = if record.info.kernel_mode { Duration::MAX } else { self.transaction_time_max };
        Transaction {
            session: Arc::clone(record),
            mode,
            deadline: self.clock.monotonic().saturating_add(limit),
            base: core.newest.clone(),
            database: core.newest.clone(),
            changed: BTreeMap::new(),
            overtaken: BTreeMap::new(),
        }
    }

    pub(crate) fn begin(&self, record: &Arc<SessionRecord>, mode: TransactionMode) -> Result {
        let mut core = match mode {
            TransactionMode::ReadWrite => {
                self.enter(&Want::Transaction, Some(record.info.transaction_wait))?
            }
            TransactionMode::ReadOnly => self.core(),
        };
        if core.transactions.contains_key(&record.number()) {
            let what = "the session has a transaction already, begun by another of its threads";
            return Err(Error::new(Code::FWP_E_TXN_IN_PROGRESS, what));
        }
        let transaction = self.transaction(&core, record, mode);
        core.transactions.insert(record.number(), transaction);
        if mode == TransactionMode::ReadWrite {
            core.gate.explicit = Some(record.number());
        }
        record.set_transaction(TransactionState::In(mode));
        let wakes = core.is_due_earlier();
        drop(core);
        self.after_commit(wakes);
        Ok(())
    }

    pub(crate) fn commit_transaction(&self, record: &Arc<SessionRecord>) -> Result {
        if record.transaction() == TransactionState::In(TransactionMode::ReadOnly) {
            return self.abort_transaction(record);
        }
        // Until the gate is exclusive, what timers and providers change is noted in the transaction.
        let mut core = self.enter(&Want::Exclusive, None)?;
        let Some(transaction) = core.transactions.remove(&record.number()) else {
            drop(core);
            return Err(no_transaction(record));
        };
        record.set_transaction(TransactionState::None);
        core.gate.exclusive = true;
        core.gate.explicit = None;
        drop(core);
        let exclusive = Exclusive(self);
        let result = self.publish(&transaction);
        drop(exclusive);
        result
    }

    pub(crate) fn abort_transaction(&self, record: &Arc<SessionRecord>) -> Result {
        if self.abort_if_any(record.number()) { Ok(()) } else { Err(no_transaction(record)) }
    }

    /// Aborts a session's transaction; whether it had one.
    pub(crate) fn abort_if_any(&self, session: SessionNumber) -> bool {
        self.end_transaction(session, TransactionState::None)
    }

    /// Ends a session's transaction without its changes; whether it had one.
    pub(crate) fn end_transaction(&self, session: SessionNumber, state: TransactionState) -> bool {
        let transaction = {
            let mut core = self.core();
            let transaction = core.transactions.remove(&session);
            if let Some(transaction) = &transaction {
                transaction.session.set_transaction(state);
                if transaction.mode == TransactionMode::ReadWrite {
                    core.gate.explicit = None;
                    core.discard(transaction);
                }
            }
            transaction
        };
        self.gate_changed.notify_all();
        // Its version is freed without the lock.
        transaction.is_some()
    }

    /// Makes steps, all or nothing, in the session's transaction.
    pub(crate) fn steps_in_transaction(
        &self,
        record: &Arc<SessionRecord>,
        steps: Vec<SaContextStep>,
    ) -> Result<Vec<StepOutcome>> {
        let mut core = self.core();
        let Some(transaction) = core.transactions.get_mut(&record.number()) else {
            return Err(no_transaction(record));
        };
        if steps.len() == 1 {
            return self.steps_into(transaction, steps);
        }
        // A private version of the private version: what fails half-way has changed nothing.
        let (database, changed) = (transaction.database.clone(), transaction.changed.clone());
        self.steps_into(transaction, steps).inspect_err(|_| {
            transaction.go_back(database, changed);
        })
    }

    /// The version that a session reads, its transaction's or the newest, and what a look at it finds. The look is
    /// told whether it is the newest one, for which the index of SPIs is whole as long as nobody commits.
    pub(crate) fn snapshot<T>(
        &self,
        record: &SessionRecord,
        look: impl FnOnce(&Database, bool) -> T,
    ) -> (Snapshot, T) {
        let (database, found) = {
            let core = self.core();
            let transaction = core.transactions.get(&record.number());
            let database = transaction.map_or(&core.newest, |transaction| &transaction.database);
            (database.clone(), look(database, transaction.is_none()))
        };
        (self.snapshots.hold(database), found)
    }

    /// Looks at the version that a session reads.
    pub(crate) fn read<T>(&self, record: &SessionRecord, look: impl FnOnce(&Database) -> T) -> T {
        let core = self.core();
        match core.transactions.get(&record.number()) {
            Some(transaction) => look(&transaction.database),
            None => look(&core.newest),
        }
    }

    /// Whether enumerators may have to let their old versions go.
    pub(crate) fn evicts(&self) -> bool {
        self.old_versions_max != u64::MAX
    }

    pub(crate) fn snapshots(&self) -> &Snapshots {
        &self.snapshots
    }
}

// Providers.
impl Shared {
    fn replace(&self, contexts: Vec<SaContext>, completeness: Completeness) -> Result {
        let mut next = {
            let mut core = self.enter(&Want::Exclusive, None)?;
            core.gate.exclusive = true;
            core.newest.clone()
        };
        let exclusive = Exclusive(self);
        // What a first listing finds is not new.
        let was_empty = next.len() == 0;
        let mut growths = Vec::new();
        let new_id = || self.new_id();
        let changes = reconcile::replace(&mut next, contexts, &new_id, &mut |context, direction, growth| {
            growths.push((context.id, direction, growth));
        });
        next.completeness = completeness;
        next.version.0 += 1;
        let replaced = changes.iter().filter(|change| change.old.is_some()).count();
        let mut tally = self.core().tally;
        for change in &changes {
            tally.note(change, (!was_empty).then_some(&next));
        }
        for (id, direction, growth) in growths {
            if let Some(context) = next.get(id) {
                tally.count(context, direction, growth);
            }
        }
        let circumstances = self.circumstances(Origin::Provider);
        let mut core = self.core();
        core.tally = tally;
        let old = std::mem::replace(&mut core.newest, next);
        for change in &changes {
            core.note(change, &circumstances);
        }
        self.note_snapshots(changes.len(), replaced);
        core.sweep_timers();
        let (newest, written) = (core.newest.clone(), core.written().cloned());
        drop(core);
        // Nobody commits before the gate is let go, so that the newest version is this one.
        for old in
            changes.iter().filter(|change| !change.keeps_spis()).filter_map(|change| change.old.as_ref())
        {
            newest.forget_spis(old, written.as_ref());
        }
        drop(exclusive);
        // Freeing what nobody reads any more can take long; no lock is held meanwhile.
        drop((old, changes));
        self.after_commit(false);
        Ok(())
    }

    pub(crate) fn completeness(&self, record: &SessionRecord) -> Completeness {
        self.read(record, |database| database.completeness.clone())
    }

    pub(crate) fn statistics(&self) -> Result<Statistics> {
        let drops = match &self.dataplane {
            Some(dataplane) => dataplane.drops()?,
            None => Default::default(),
        };
        let tally: Tally = self.core().tally;
        Ok(tally.statistics(drops))
    }
}

// Sessions and what they may do.
impl Shared {
    fn open(&self, options: SessionOptions) -> Result<Arc<SessionRecord>> {
        let key = match options.key {
            Some(key) if key != Guid::default() => key,
            _ => self.new_guid()?,
        };
        let principal = options.principal.unwrap_or_else(|| Principal::user(self.owner));
        let access = lock(&self.access);
        let mut sessions = lock(&self.sessions);
        if sessions.open.values().any(|other| other.info.key == key) {
            return Err(Error::new(
                Code::FWP_E_ALREADY_EXISTS,
                format!("a session with the key {key} is open"),
            )
            .with_remedy("leave the key zero to have the engine make one"));
        }
        let number = sessions.newest.checked_add(1).map(SessionNumber).ok_or_else(|| {
            Error::new(Code::RPC_E_OUT_OF_RESOURCES, "the engine has used up its session numbers")
        })?;
        let info = SessionInfo {
            number,
            key,
            name: options.name,
            description: options.description,
            dynamic: options.dynamic,
            transaction_wait: options.transaction_wait,
            process_id: options.process_id,
            user: principal.user,
            user_name: options.user_name,
            kernel_mode: options.kernel_mode,
            opened: self.clock.wall(),
        };
        let record = SessionRecord::new(info, principal);
        set_rights(&record, &access);
        crate::admit::admit(&record, openwfp_api::Operation::EngineOpen, self.faults.as_ref()).inspect_err(
            |error| {
                crate::audit::denied(&record, openwfp_api::Operation::EngineOpen, error);
            },
        )?;
        let record = Arc::new(record);
        sessions.newest = number.0;
        sessions.open.insert(number, Arc::clone(&record));
        Ok(record)
    }

    fn new_guid(&self) -> Result<Guid> {
        let mut bytes = [0; 16];
        self.random.fill(&mut bytes)?;
        let [a, b, c, d, e, f, g, h, tail @ ..] = bytes;
        // RFC 9562: version 4, variant 10.
        let data3 = u16::from_le_bytes([g, h]) & 0x0FFF | 0x4000;
        let mut data4 = tail;
        data4[0] = data4[0] & 0x3F | 0x80;
        Ok(Guid::new(u32::from_le_bytes([a, b, c, d]), u16::from_le_bytes([e, f]), data3, data4))
    }

    pub(crate) fn has_session(&self, number: SessionNumber) -> bool {
        lock(&self.sessions).open.contains_key(&number)
    }

    pub(crate) fn forget_session(&self, number: SessionNumber) {
        lock(&self.sessions).open.remove(&number);
    }

    pub(crate) fn session_infos(&self) -> Vec<Arc<SessionInfo>> {
        lock(&self.sessions).open.values().map(|record| Arc::clone(&record.info)).collect()
    }

    pub(crate) fn security_info(&self, of: Securable, parts: SecurityInformation) -> SecurityDescriptor {
        lock(&self.access).of(of).parts(parts)
    }

    pub(crate) fn set_security_info(
        &self,
        of: Securable,
        parts: SecurityInformation,
        descriptor: &SecurityDescriptor,
    ) -> Result {
        let mut access = lock(&self.access);
        *access = access.with(of, parts, descriptor)?;
        for record in lock(&self.sessions).open.values() {
            set_rights(record, &access);
        }
        Ok(())
    }
}

// Subscriptions.
impl Shared {
    pub(crate) fn subscribe(&self, queue: Arc<Queue>) {
        self.core().subscriptions.push(queue);
    }

    pub(crate) fn subscriptions(&self) -> Vec<Arc<Queue>> {
        self.core().subscriptions.clone()
    }

    /// Ends a subscription; waits for a callback that runs in another thread.
    pub(crate) fn unsubscribe(&self, queue: &Queue) {
        self.core().subscriptions.retain(|other| other.id != queue.id);
        queue.close();
    }

    pub(crate) fn unsubscribe_all(&self, session: SessionNumber) {
        let queues: Vec<_> = {
            let mut core = self.core();
            core.subscriptions.extract_if(.., |queue| queue.id.session == session).collect()
        };
        queues.iter().for_each(|queue| queue.close());
    }
}

/// Kernel-mode callers skip the checks of rights.
fn set_rights(record: &SessionRecord, access: &Access) {
    for securable in [Securable::Engine, Securable::SaDb] {
        let rights = match record.info.kernel_mode {
            true => Rights::ALL,
            false => access.rights_of(&record.principal, securable),
        };
        record.set_rights(securable, rights);
    }
}

fn at_place(place: usize, error: &Error) -> Error {
    let same = Error::new(error.code(), format!("step {} of the batch: {}", place + 1, error.what()));
    match error.remedy() {
        Some(remedy) => same.with_remedy(remedy),
        None => same,
    }
}

fn no_transaction(record: &SessionRecord) -> Error {
    let what = format!("session {} has no transaction", record.number().0);
    Error::new(Code::FWP_E_NO_TXN_IN_PROGRESS, what)
}

fn timed_out(holder: Option<SessionNumber>, waited: Duration) -> Error {
    let who = match holder {
        Some(session) => format!("session {}'s transaction", session.0),
        None => "other work on the same SA contexts".to_owned(),
    };
    let what = format!("{who} took longer than the {} ms that this session waits", waited.as_millis());
    Error::new(Code::FWP_E_TIMEOUT, what).with_remedy("try again, or open the session with a longer time-out")
}
