//! Random programs of API calls from several sessions, against a model of plain maps and one lock; every divergence
//! shrinks to a short program.
//!
//! The model has no snapshots, no indexes, no wheel and no queue: a transaction copies the map, a turn of the clock
//! looks at every context. `OPENWFP_MODEL_PROGRAMS` asks for a long run.
use super::common::*;
use crate::connect::connect;
use openwfp_api::*;
use openwfp_engine::Engine;
use openwfp_engine::ManualClock;
use proptest::prelude::*;
use proptest::sample::Index;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use std::time::Duration;

const SESSIONS: usize = 3;
const START: u64 = 1_000_000;

/// One call; the session is given by its place.
#[derive(Clone, Debug)]
enum Call {
    Open {
        dynamic: bool,
    },
    Close,
    Cancel,
    Begin(TransactionMode),
    Commit,
    Abort,
    Step(Step),
    Batch(Vec<Step>),
    Enumerate(Shown),
    /// What a provider counted: the context, and kilobytes.
    Count(Index, u8),
    /// Seconds.
    Turn(u8),
}

#[derive(Clone, Debug)]
enum Shown {
    All,
    Remote(u8),
    Spi(u8),
    Sas,
}

/// A step on the n-th context that was ever made.
#[derive(Clone, Debug)]
enum Step {
    Create { peer: u8 },
    GetSpi { of: Index, right_traffic: bool },
    SetSpi { of: Index, spi: u8 },
    AddInbound { of: Index, right_spi: bool, limits: Limits },
    AddOutbound { of: Index, limits: Limits },
    Update { of: Index, mm_sa_id: u8 },
    Expire { of: Index },
    Delete { of: Index },
    Establish { peer: u8, spi: u8, limits: Limits },
}

/// Limits of a bundle; 0: none. Times in tens of seconds.
#[derive(Clone, Copy, Debug, Default)]
struct Limits {
    lifetime: u8,
    idle: u8,
    kilobytes: u8,
}

fn limits() -> impl Strategy<Value = Limits> {
    let sometimes = || prop_oneof![2 => Just(0u8), 1 => 1u8..10];
    (sometimes(), sometimes(), sometimes()).prop_map(|(lifetime, idle, kilobytes)| Limits {
        lifetime,
        idle,
        kilobytes,
    })
}

fn step() -> impl Strategy<Value = Step> {
    let of = any::<Index>;
    prop_oneof![
        3 => (0u8..4).prop_map(|peer| Step::Create { peer }),
        3 => (of(), prop::bool::weighted(0.9)).prop_map(|(of, right_traffic)| Step::GetSpi { of, right_traffic }),
        2 => (of(), any::<u8>()).prop_map(|(of, spi)| Step::SetSpi { of, spi: spi % 8 }),
        4 => (of(), prop::bool::weighted(0.9), limits())
            .prop_map(|(of, right_spi, limits)| Step::AddInbound { of, right_spi, limits }),
        4 => (of(), limits()).prop_map(|(of, limits)| Step::AddOutbound { of, limits }),
        2 => (of(), 0u8..3).prop_map(|(of, mm_sa_id)| Step::Update { of, mm_sa_id }),
        2 => of().prop_map(|of| Step::Expire { of }),
        1 => of().prop_map(|of| Step::Delete { of }),
        3 => (0u8..4, any::<u8>(), limits())
            .prop_map(|(peer, spi, limits)| Step::Establish { peer, spi: spi % 8, limits }),
    ]
}

fn call() -> impl Strategy<Value = (usize, Call)> {
    let mode = prop_oneof![Just(TransactionMode::ReadOnly), Just(TransactionMode::ReadWrite)];
    let call = prop_oneof![
        2 => prop::bool::weighted(0.2).prop_map(|dynamic| Call::Open { dynamic }),
        1 => Just(Call::Close),
        1 => Just(Call::Cancel),
        3 => mode.prop_map(Call::Begin),
        2 => Just(Call::Commit),
        1 => Just(Call::Abort),
        20 => step().prop_map(Call::Step),
        2 => prop::collection::vec(step(), 1..5).prop_map(Call::Batch),
        2 => prop_oneof![
            Just(Shown::All),
            (0u8..4).prop_map(Shown::Remote),
            (0u8..8).prop_map(Shown::Spi),
            Just(Shown::Sas)
        ].prop_map(Call::Enumerate),
        2 => (any::<Index>(), any::<u8>()).prop_map(|(of, kilobytes)| Call::Count(of, kilobytes % 16)),
        4 => (1u8..100).prop_map(Call::Turn),
    ];
    (0..SESSIONS, call)
}

// ---- the model

#[derive(Clone, Debug, PartialEq)]
struct Context {
    peer: u8,
    state: State,
    spi: u32,
    inbound: Limits2,
    outbound: Limits2,
    mm_sa_id: u64,
    timers: Timers,
    bytes: u64,
    last_used: u64,
    /// It was complete once, and so is known to those who watch.
    announced: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Default)]
struct Limits2 {
    lifetime: u64,
    idle: u64,
    bytes: u64,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum State {
    Created,
    HasSpi,
    Inbound,
    Complete,
    Expiring,
}

/// Seconds of the engine's time at which something is due.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Timers {
    soft: Option<u64>,
    hard: Option<u64>,
    idle: Option<u64>,
    end: Option<u64>,
}

type Map = BTreeMap<u64, Context>;
type Told = Vec<(EventKind, u64)>;

#[derive(Default)]
struct Model {
    now: u64,
    newest: u64,
    contexts: Map,
    sessions: [Option<ModelSession>; SESSIONS],
    told: Told,
}

#[derive(Default)]
struct ModelSession {
    dynamic: bool,
    cancelled: bool,
    transaction: Option<ModelTransaction>,
}

struct ModelTransaction {
    writes: bool,
    map: Map,
    changed: BTreeMap<u64, Option<Context>>,
    overtaken: Vec<u64>,
}

impl Limits {
    fn model(self) -> Limits2 {
        Limits2 {
            lifetime: u64::from(self.lifetime) * 10,
            idle: u64::from(self.idle) * 10,
            bytes: u64::from(self.kilobytes) * 1024,
        }
    }

    fn bundle(self, spi: u32) -> SaBundle {
        let lifetime =
            Lifetime { seconds: u32::from(self.lifetime) * 10, kilobytes: self.kilobytes.into(), packets: 0 };
        SaBundle { idle_timeout_seconds: u32::from(self.idle) * 10, ..limited(spi, lifetime) }
    }
}

fn shortest(a: u64, b: u64) -> Option<u64> {
    [a, b].into_iter().filter(|limit| *limit != 0).min()
}

impl Context {
    fn new(peer: u8) -> Context {
        Context {
            peer,
            state: State::Created,
            spi: 0,
            inbound: Limits2::default(),
            outbound: Limits2::default(),
            mm_sa_id: 0,
            timers: Timers::default(),
            bytes: 0,
            last_used: 0,
            announced: false,
        }
    }

    fn completed(&mut self) {
        self.state = State::Complete;
        self.announced = true;
    }

    fn start_timers(&mut self, now: u64) {
        let lifetime = shortest(self.inbound.lifetime, self.outbound.lifetime);
        self.timers = Timers {
            soft: lifetime.map(|limit| now + limit - limit / 10),
            idle: shortest(self.inbound.idle, self.outbound.idle).map(|limit| now + limit),
            ..Timers::default()
        };
    }
}

/// The SPI that a small number stands for.
fn small_spi(spi: u8) -> u32 {
    0x1000 + u32::from(spi)
}

impl Model {
    /// The map that a session reads.
    fn read(&self, session: usize) -> &Map {
        let transaction = self.sessions[session].as_ref().and_then(|session| session.transaction.as_ref());
        transaction.map_or(&self.contexts, |transaction| &transaction.map)
    }

    fn writer(&self) -> Option<usize> {
        let writes = |session: &Option<ModelSession>| {
            session.as_ref().and_then(|session| session.transaction.as_ref()).is_some_and(|t| t.writes)
        };
        self.sessions.iter().position(writes)
    }

    /// Why a session may not make a call at all: (writes, in transactions, in dynamic sessions).
    fn admit(&self, session: usize, writes: bool, confined: bool) -> Result<(), Code> {
        let Some(open) = &self.sessions[session] else { return Err(Code::ERROR_INVALID_HANDLE) };
        if open.cancelled {
            return Err(Code::FWP_E_SESSION_ABORTED);
        }
        match &open.transaction {
            Some(_) if confined => return Err(Code::FWP_E_TXN_IN_PROGRESS),
            Some(transaction) if writes && !transaction.writes => return Err(Code::FWP_E_INCOMPATIBLE_TXN),
            _ => {}
        }
        if confined && writes && open.dynamic { Err(Code::FWP_E_DYNAMIC_SESSION_IN_PROGRESS) } else { Ok(()) }
    }

    fn admit_step(&self, session: usize, step: &Step) -> Result<(), Code> {
        let confined = matches!(step, Step::Create { .. } | Step::Delete { .. } | Step::Establish { .. });
        self.admit(session, true, confined)
    }

    /// What a step makes of a map: the id and what is there then. `given` is the SPI that the engine chose.
    fn step(&self, map: &Map, step: &Step, id: u64, given: Option<u32>) -> Result<Option<Context>, Code> {
        let existing = || map.get(&id).cloned().ok_or(Code::FWP_E_NOT_FOUND);
        let free = |spi: u32| !map.iter().any(|(other, context)| *other != id && context.spi == spi);
        let in_state = |context: &Context, states: &[State]| {
            if states.contains(&context.state) { Ok(()) } else { Err(Code::FWP_E_INCOMPATIBLE_SA_STATE) }
        };
        match step {
            Step::Create { peer } => Ok(Some(Context::new(*peer))),
            Step::GetSpi { right_traffic, .. } => {
                let mut context = existing()?;
                in_state(&context, &[State::Created, State::HasSpi])?;
                if !right_traffic {
                    return Err(Code::FWP_E_TRAFFIC_MISMATCH);
                }
                if context.state == State::Created {
                    let spi = given.unwrap_or(0);
                    assert!(given.is_none() || (spi >= 256 && free(spi)), "{spi:#x} is in use or reserved");
                    context.spi = spi;
                } else {
                    assert!(given.is_none_or(|spi| spi == context.spi), "another SPI the second time");
                }
                context.state = State::HasSpi;
                Ok(Some(context))
            }
            Step::SetSpi { spi, .. } => {
                let mut context = existing()?;
                in_state(&context, &[State::Created, State::HasSpi])?;
                if !free(small_spi(*spi)) {
                    return Err(Code::FWP_E_ALREADY_EXISTS);
                }
                context.spi = small_spi(*spi);
                context.state = State::HasSpi;
                Ok(Some(context))
            }
            Step::AddInbound { right_spi, limits, .. } => {
                let mut context = existing()?;
                in_state(&context, &[State::HasSpi])?;
                if !right_spi {
                    return Err(Code::FWP_E_INVALID_PARAMETER);
                }
                context.inbound = limits.model();
                context.state = State::Inbound;
                Ok(Some(context))
            }
            Step::AddOutbound { limits, .. } => {
                let mut context = existing()?;
                in_state(&context, &[State::Inbound])?;
                context.outbound = limits.model();
                context.completed();
                Ok(Some(context))
            }
            Step::Update { mm_sa_id, .. } => {
                let mut context = existing()?;
                in_state(&context, &[State::Complete])?;
                context.mm_sa_id = (*mm_sa_id).into();
                Ok(Some(context))
            }
            Step::Expire { .. } => {
                let mut context = existing()?;
                in_state(&context, &[State::Inbound, State::Complete])?;
                context.state = State::Expiring;
                Ok(Some(context))
            }
            Step::Delete { .. } => existing().map(|_| None),
            Step::Establish { peer, spi, limits } => {
                if !free(small_spi(*spi)) {
                    return Err(Code::FWP_E_ALREADY_EXISTS);
                }
                let mut context = Context::new(*peer);
                context.spi = small_spi(*spi);
                context.inbound = limits.model();
                context.outbound = limits.model();
                context.completed();
                Ok(Some(context))
            }
        }
    }

    /// Commits a change: events and timers follow from what was and what is.
    fn commit(&mut self, id: u64, new: Option<Context>) {
        let old = self.contexts.remove(&id);
        let now = self.now;
        let kind = match (
            old.as_ref().is_some_and(|context| context.announced),
            new.as_ref().is_some_and(|context| context.announced),
        ) {
            (false, true) if new.as_ref().is_some_and(|new| new.state == State::Expiring) => {
                Some(EventKind::Add)
            }
            (false, true) => Some(EventKind::Add),
            (true, false) => Some(EventKind::Delete),
            (true, true) if old.as_ref().map(|c| c.state) != new.as_ref().map(|c| c.state) => {
                Some(EventKind::Expire)
            }
            (true, true) if old != new => Some(EventKind::Change),
            _ => None,
        };
        self.told.extend(kind.map(|kind| (kind, id)));
        if let Some(mut new) = new {
            if old.as_ref().map(|old| old.state) != Some(new.state) {
                match new.state {
                    State::Complete => new.start_timers(now),
                    State::Expiring => new.timers = Timers { end: Some(now + 60), idle: None, ..new.timers },
                    _ => {}
                }
            }
            self.contexts.insert(id, new);
        }
    }

    /// What the engine does itself; an open transaction gives way to it.
    fn commit_by_itself(&mut self, id: u64, new: Option<Context>) {
        self.commit(id, new);
        if let Some(writer) = self.writer() {
            let session = self.sessions[writer].as_mut().unwrap();
            session.transaction.as_mut().unwrap().overtaken.push(id);
        }
    }

    fn turn(&mut self, seconds: u64) {
        self.now += seconds;
        loop {
            // The earliest of all that is due; a deadline is due once time has gone beyond it.
            let due = |(id, context): (&u64, &Context)| {
                let t = context.timers;
                [(t.soft, 0), (t.hard, 1), (t.idle, 2), (t.end, 3)]
                    .into_iter()
                    .filter_map(|(at, kind)| at.filter(|at| *at < self.now).map(|at| (at, *id, kind)))
                    .min()
            };
            let Some((at, id, kind)) = self.contexts.iter().filter_map(due).min() else { return };
            let context = self.contexts.get_mut(&id).unwrap();
            match kind {
                0 => {
                    context.timers.soft = None;
                    let expiring = context.state == State::Expiring;
                    let outbound = if expiring { 0 } else { context.outbound.lifetime };
                    let Some(limit) = shortest(context.inbound.lifetime, outbound) else { continue };
                    if !expiring {
                        self.told.push((EventKind::SoftExpiry, id));
                    }
                    if at + limit / 10 < self.now {
                        self.commit_by_itself(id, None);
                    } else {
                        context.timers.hard = Some(at + limit / 10);
                    }
                }
                2 => {
                    let limit = shortest(context.inbound.idle, context.outbound.idle).unwrap();
                    let idle = START + self.now - context.last_used;
                    if idle >= limit {
                        let mut new = context.clone();
                        new.state = State::Expiring;
                        self.commit_by_itself(id, Some(new));
                    } else {
                        context.timers.idle = Some(self.now + limit - idle);
                    }
                }
                _ => self.commit_by_itself(id, None),
            }
        }
    }

    fn count(&mut self, id: u64, bytes: u64) {
        let now = self.now;
        let Some(context) = self.contexts.get_mut(&id) else { return };
        let before = context.bytes;
        context.bytes = bytes;
        if bytes != before {
            context.last_used = START + now;
        }
        let limit = context.inbound.bytes;
        if limit == 0 || matches!(context.state, State::Created | State::HasSpi) {
            return;
        }
        let soft = limit - limit / 10;
        if bytes >= limit {
            self.commit_by_itself(id, None);
        } else if context.announced && before < soft && soft <= bytes {
            self.told.push((EventKind::SoftExpiry, id));
        }
    }
}

// ---- the engine beside it

/// A clock that is turned by hand and moves on by a nanosecond with every look, so that a wait of one is over at once.
struct Ticking {
    hand: ManualClock,
    looks: AtomicU64,
}

impl Clock for Ticking {
    fn wall(&self) -> Timestamp {
        self.hand.wall()
    }

    fn monotonic(&self) -> Duration {
        self.hand.monotonic() + Duration::from_nanos(self.looks.fetch_add(1, Ordering::Relaxed) + 1)
    }

    fn pause(&self, _ahead: Duration) -> Duration {
        Duration::ZERO
    }
}

struct Bed {
    clock: Arc<Ticking>,
    engine: Engine,
    watcher: Box<dyn EventStream>,
    _watching: Arc<dyn Session>,
    sessions: [Option<Arc<dyn Session>>; SESSIONS],
}

impl Bed {
    fn new() -> Bed {
        let clock = Arc::new(Ticking { hand: ManualClock::new(Timestamp(START)), looks: AtomicU64::new(0) });
        let engine = Engine::builder()
            .clock(Arc::clone(&clock) as Arc<dyn Clock>)
            .transaction_time_max(Duration::MAX)
            .without_thread()
            .build();
        let watching = open(&engine);
        let watcher = watching.events(&SubscriptionOptions::all()).unwrap();
        Bed { clock, engine, watcher, _watching: watching, sessions: [const { None }; SESSIONS] }
    }

    /// The step as the engine has it, on a context that the model knows so.
    fn step(&self, step: &Step, id: u64, model: Option<&Context>) -> SaContextStep {
        let id = SaContextId(id);
        let peer = model.map_or(0, |context| context.peer);
        let spi = model.map_or(0x1000, |context| context.spi.max(0x1000));
        let outbound = spi ^ 0x4000_0000 | 0x100;
        match step {
            Step::Create { peer } => SaContextStep::Create(new(*peer)),
            Step::GetSpi { right_traffic, .. } => {
                SaContextStep::GetSpi(id, request(if *right_traffic { peer } else { peer + 1 }))
            }
            Step::SetSpi { spi: small, .. } => {
                SaContextStep::SetSpi(id, request(peer), super::common::spi(small_spi(*small)))
            }
            Step::AddInbound { right_spi, limits, .. } => {
                SaContextStep::AddInbound(id, limits.bundle(if *right_spi { spi } else { spi ^ 0x100_0000 }))
            }
            Step::AddOutbound { limits, .. } => SaContextStep::AddOutbound(id, limits.bundle(outbound)),
            Step::Update { mm_sa_id, .. } => {
                // No more than what the flags name has to be right.
                let mut values = SaContext::new(id, traffic(peer));
                let details = SaDetails {
                    filter_id: FilterId(0),
                    bundle: SaBundle { mm_sa_id: (*mm_sa_id).into(), ..bundle(0x1000) },
                    udp_encapsulation: None,
                    virtual_if_tunnel: None,
                };
                values.inbound = Some(details.clone());
                values.outbound = Some(details);
                SaContextStep::Update(UpdateFlags::MM_SA_ID, Box::new(values))
            }
            Step::Expire { .. } => SaContextStep::Expire(id),
            Step::Delete { .. } => SaContextStep::Delete(id),
            Step::Establish { peer, spi: small, limits } => {
                let pair = BundlePair {
                    inbound: limits.bundle(small_spi(*small)),
                    outbound: limits.bundle(small_spi(*small) ^ 0x4000_0000 | 0x100),
                };
                SaContextStep::Establish(new(*peer), request(*peer), Box::new(pair))
            }
        }
    }
}

/// The id that a step is about; for one that creates, the next one.
fn target(step: &Step, newest: u64) -> u64 {
    match step {
        Step::Create { .. } | Step::Establish { .. } => newest + 1,
        Step::GetSpi { of, .. }
        | Step::SetSpi { of, .. }
        | Step::AddInbound { of, .. }
        | Step::AddOutbound { of, .. }
        | Step::Update { of, .. }
        | Step::Expire { of }
        | Step::Delete { of } => of.index(usize::try_from(newest).unwrap() + 1) as u64 + 1,
    }
}

fn outcome(result: &Result<StepOutcome>) -> Result<(), Code> {
    result.as_ref().map(drop).map_err(Error::code)
}

fn same(context: &SaContext, model: &Context) -> bool {
    let state = match context.state {
        SaState::Created => State::Created,
        SaState::HasSpi { .. } => State::HasSpi,
        SaState::Inbound => State::Inbound,
        SaState::Complete => State::Complete,
        SaState::Expiring { .. } => State::Expiring,
        _ => return false,
    };
    let inbound_spi = context.spis().find(|(direction, _)| *direction == Direction::Inbound);
    let mm = context.inbound.as_ref().map_or(0, |details| details.bundle.mm_sa_id);
    state == model.state
        && context.traffic.endpoints == traffic(model.peer).endpoints
        && inbound_spi.map_or(0, |(_, spi)| spi.get()) == model.spi
        && mm == model.mm_sa_id
        && context.outbound.is_some() == (model.state == State::Complete)
}

fn run(program: &[(usize, Call)]) -> Result<(), TestCaseError> {
    let mut bed = Bed::new();
    let mut model = Model::default();
    for (place, call) in program {
        let turn = matches!(call, Call::Turn(_));
        run_call(&mut bed, &mut model, *place, call)?;
        // Events, in the order of commits; of one turn of the clock, each context's in its order.
        let mut told = told(&mut *bed.watcher);
        let mut expected = std::mem::take(&mut model.told);
        if turn {
            told.sort_by_key(|(_, id)| *id);
            expected.sort_by_key(|(_, id)| *id);
        }
        prop_assert_eq!(told, expected, "{:?}", call);
        // What each session sees.
        for (place, session) in bed.sessions.iter().enumerate() {
            let cancelled = model.sessions[place].as_ref().is_none_or(|session| session.cancelled);
            let Some(session) = session.as_ref().filter(|_| !cancelled) else { continue };
            let map = model.read(place);
            prop_assert_eq!(ids(&**session), map.keys().copied().collect::<Vec<_>>(), "{:?}", call);
            for (id, context) in map {
                let found = session.sa_context_by_id(SaContextId(*id)).unwrap();
                prop_assert!(same(&found, context), "after {:?}: {:?} is not {:?}", call, found, context);
            }
        }
    }
    let sas = open(&bed.engine).statistics().unwrap().sas;
    let count = |state: &[State], sas: u64| {
        model.contexts.values().filter(|context| state.contains(&context.state)).count() as u64 * sas
    };
    prop_assert_eq!(sas.active, count(&[State::Complete], 2) + count(&[State::Inbound, State::Expiring], 1));
    prop_assert_eq!(sas.pending_negotiations, count(&[State::Created, State::HasSpi, State::Inbound], 1));
    prop_assert_eq!(sas.total_added - sas.total_deleted, sas.active);
    Ok(())
}

fn run_call(bed: &mut Bed, model: &mut Model, place: usize, call: &Call) -> Result<(), TestCaseError> {
    let session = bed.sessions[place].clone();
    match call {
        Call::Open { dynamic } => {
            // What was open in this place is dropped, and ends so.
            drop(session);
            let options = SessionOptions::new().transaction_wait(Duration::from_nanos(1));
            let options = if *dynamic { options.dynamic() } else { options };
            bed.sessions[place] = Some(connect(&bed.engine, options).unwrap());
            model.sessions[place] = Some(ModelSession { dynamic: *dynamic, ..ModelSession::default() });
        }
        Call::Turn(seconds) => {
            bed.clock.hand.turn(Duration::from_secs((*seconds).into()));
            bed.engine.run_due();
            model.turn((*seconds).into());
        }
        Call::Count(of, kilobytes) => {
            let id = of.index(usize::try_from(model.newest).unwrap() + 1) as u64 + 1;
            let bytes = u64::from(*kilobytes) * 1024;
            let update = CounterUpdate::traffic(SaContextId(id), Direction::Inbound, bytes, 0);
            bed.engine.mirror().count(&[update]).unwrap();
            model.count(id, bytes);
        }
        _ => {
            let Some(session) = session else { return Ok(()) };
            run_session_call(bed, model, place, &*session, call)?;
        }
    }
    Ok(())
}

fn run_session_call(
    bed: &mut Bed,
    model: &mut Model,
    place: usize,
    session: &dyn Session,
    call: &Call,
) -> Result<(), TestCaseError> {
    let plain = |result: Result<()>| result.map_err(|error| error.code());
    match call {
        Call::Close => {
            let expected =
                if model.sessions[place].take().is_some() { Ok(()) } else { Err(Code::ERROR_INVALID_HANDLE) };
            prop_assert_eq!(plain(session.close()), expected);
        }
        Call::Cancel => {
            let found = model.sessions[place].as_mut();
            let expected = if found.is_some() { Ok(()) } else { Err(Code::FWP_E_NOT_FOUND) };
            if let Some(found) = found {
                (found.cancelled, found.transaction) = (true, None);
            }
            prop_assert_eq!(plain(bed.engine.cancel_session(session.number())), expected);
        }
        Call::Begin(mode) => {
            let writes = *mode == TransactionMode::ReadWrite;
            let expected = model.admit(place, false, true).and_then(|()| {
                if writes && model.writer().is_some() { Err(Code::FWP_E_TIMEOUT) } else { Ok(()) }
            });
            prop_assert_eq!(plain(session.transaction_begin(*mode)), expected);
            if expected.is_ok() {
                let map = model.contexts.clone();
                let transaction =
                    ModelTransaction { writes, map, changed: BTreeMap::new(), overtaken: Vec::new() };
                model.sessions[place].as_mut().unwrap().transaction = Some(transaction);
            }
        }
        Call::Commit | Call::Abort => {
            let commits = matches!(call, Call::Commit);
            let result = if commits { session.transaction_commit() } else { session.transaction_abort() };
            let admitted = model.admit(place, false, false);
            let transaction = model.sessions[place].as_mut().filter(|_| admitted.is_ok());
            let transaction = transaction.and_then(|session| session.transaction.take());
            let expected =
                admitted.and(transaction.as_ref().map(|_| ()).ok_or(Code::FWP_E_NO_TXN_IN_PROGRESS));
            prop_assert_eq!(plain(result), expected);
            if let Some(transaction) = transaction.filter(|_| commits) {
                let changed =
                    transaction.changed.iter().filter(|(id, _)| !transaction.overtaken.contains(id));
                for (id, base) in changed {
                    let new = transaction.map.get(id);
                    if new != base.as_ref() {
                        model.commit(*id, new.cloned());
                    }
                }
            }
        }
        Call::Step(step) => {
            let id = target(step, model.newest);
            let found = model.read(place).get(&id).cloned();
            let result = session.sa_context_step(bed.step(step, id, found.as_ref()));
            let given = result.as_ref().ok().and_then(|outcome| outcome.inbound_spi).map(Spi::get);
            let expected = steps(model, place, &[(step, given)]);
            prop_assert_eq!(outcome(&result), expected.map(drop), "{:?} on {}: {:?}", step, id, result);
            if let Ok(outcome) = &result {
                prop_assert_eq!(outcome.id.0, id);
            }
        }
        Call::Batch(batch) => {
            // A step that gets an SPI has one that the model cannot know before; those are left to single steps.
            let batch: Vec<_> = batch.iter().filter(|step| !matches!(step, Step::GetSpi { .. })).collect();
            let mut made = model.newest;
            let mut map = model.read(place).clone();
            let asked: Vec<_> = batch
                .iter()
                .map(|step| {
                    let id = target(step, made);
                    let asked = bed.step(step, id, map.get(&id));
                    if let Ok(Some(context)) = model.step(&map, step, id, None) {
                        map.insert(id, context);
                    }
                    made = made.max(if matches!(step, Step::Create { .. } | Step::Establish { .. }) {
                        id
                    } else {
                        0
                    });
                    asked
                })
                .collect();
            let result = session.sa_context_batch(asked, BatchMode::AllOrNothing);
            let steps: Vec<_> = batch.into_iter().map(|step| (step, None)).collect();
            let expected = self::steps(model, place, &steps);
            prop_assert_eq!(result.map(drop).map_err(|error| error.code()), expected.map(drop));
        }
        Call::Enumerate(shown) => {
            let admitted = model.admit(place, false, false);
            let map = model.read(place);
            let enumerate = |options: &EnumOptions| {
                let id = session.sa_context_create_enum(options)?;
                let page = session.sa_context_enum(id, u32::MAX)?.accept();
                session.destroy_enum(id)?;
                Ok(page.iter().map(|context| context.id.0).collect::<Vec<_>>())
            };
            let (found, expected): (Result<Vec<u64>>, Vec<u64>) = match shown {
                Shown::All => (enumerate(&EnumOptions::default()), map.keys().copied().collect()),
                Shown::Remote(peer) => {
                    let remote = AddressMatch::Address(traffic(*peer).endpoints.remote());
                    let template = ContextTemplate { remote, ..ContextTemplate::default() };
                    let of_peer = map.iter().filter(|(_, context)| context.peer == *peer);
                    let options = EnumOptions { template, ..EnumOptions::default() };
                    (enumerate(&options), of_peer.map(|(id, _)| *id).collect())
                }
                Shown::Spi(spi) => {
                    let options = EnumOptions { spi: Spi::new(small_spi(*spi)), ..EnumOptions::default() };
                    let with_spi = map.iter().filter(|(_, context)| context.spi == small_spi(*spi));
                    (enumerate(&options), with_spi.map(|(id, _)| *id).collect())
                }
                Shown::Sas => {
                    let found = session.sa_create_enum(&SaEnumOptions::default()).and_then(|id| {
                        let page = session.sa_enum(id, u32::MAX)?.accept();
                        Ok(page.iter().map(|entry| entry.context().id.0).collect())
                    });
                    let sas = |context: &Context| match context.state {
                        State::Created | State::HasSpi => 0,
                        State::Inbound | State::Expiring => 1,
                        State::Complete => 2,
                    };
                    let expected =
                        map.iter().flat_map(|(id, context)| std::iter::repeat_n(*id, sas(context)));
                    (found, expected.collect())
                }
            };
            prop_assert_eq!(found.map_err(|error| error.code()), admitted.map(|()| expected));
        }
        Call::Open { .. } | Call::Turn(_) | Call::Count(..) => {}
    }
    Ok(())
}

/// Makes steps in the model, all or nothing.
fn steps(model: &mut Model, place: usize, steps: &[(&Step, Option<u32>)]) -> Result<(), Code> {
    model.admit(place, false, false)?;
    steps.iter().try_for_each(|(step, _)| model.admit_step(place, step))?;
    if steps.is_empty() {
        return Ok(());
    }
    let inside = model.sessions[place].as_ref().is_some_and(|session| session.transaction.is_some());
    if !inside && model.writer().is_some() {
        return Err(Code::FWP_E_TIMEOUT);
    }
    let mut map = model.read(place).clone();
    let mut newest = model.newest;
    let mut changed = Vec::new();
    let mut result = Ok(());
    for (step, given) in steps {
        let id = target(step, newest);
        let made = model.step(&map, step, id, *given);
        // A number that was given to what then failed is not given again.
        let creates = matches!(step, Step::Create { .. } | Step::Establish { .. });
        newest = newest.max(if creates { id } else { 0 });
        match made {
            Ok(Some(context)) => drop(map.insert(id, context)),
            Ok(None) => drop(map.remove(&id)),
            Err(code) => {
                result = Err(code);
                break;
            }
        }
        changed.push(id);
    }
    model.newest = newest;
    result?;
    if inside {
        let session = model.sessions[place].as_mut().unwrap();
        let transaction = session.transaction.as_mut().unwrap();
        for id in changed {
            let base = transaction.map.get(&id).cloned();
            transaction.changed.entry(id).or_insert(base);
        }
        transaction.map = map;
        return Ok(());
    }
    changed.sort_unstable();
    changed.dedup();
    for id in changed {
        let new = map.get(&id).cloned();
        if new.as_ref() != model.contexts.get(&id) {
            model.commit(id, new);
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(programs()))]

    #[test]
    fn the_engine_agrees_with_plain_maps(program in prop::collection::vec(call(), 1..60)) {
        run(&program)?;
    }
}
