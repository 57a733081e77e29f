//! What a provider tells of changes: what becomes of contexts, of their ids and counters, and who is told.
use super::common::Willing;
use crate::connect::connect;
use openwfp_api::*;
use openwfp_engine::Engine;
use openwfp_engine::ManualClock;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::Ordering;
use std::time::Duration;

fn sa(spi: u32) -> Sa {
    let aead = Aead { algorithm: AeadAlgorithm::AesGcm, icv_bits: 128, key: Key::new(&[1; 20]) };
    let linux = LinuxSa { reqid: 9, ..LinuxSa::default() };
    Sa { spi: Spi::new(spi).unwrap(), transform: Transform::EspAead(aead), linux: Some(Box::new(linux)) }
}

fn details(spi: u32) -> SaDetails {
    SaDetails {
        filter_id: FilterId(0),
        bundle: SaBundle::new(SaList::one(sa(spi))),
        udp_encapsulation: None,
        virtual_if_tunnel: None,
    }
}

fn endpoints() -> Endpoints {
    Endpoints::new([192, 0, 2, 1].into(), [192, 0, 2, 2].into()).unwrap()
}

/// A context as a kernel holds it, with these SPIs.
fn found(inbound: Option<u32>, outbound: Option<u32>) -> SaContext {
    let mut context = SaContext::new(SaContextId(0), Traffic::new(endpoints(), Mode::Tunnel));
    context.inbound = inbound.map(details);
    context.outbound = outbound.map(details);
    context.state = match (inbound, outbound) {
        (Some(_), Some(_)) => SaState::Complete,
        (Some(_), None) => SaState::Inbound,
        (None, Some(_)) => SaState::Outbound,
        (None, None) => SaState::Created,
    };
    context
}

fn put(id: Option<SaContextId>, context: SaContext) -> MirrorChange {
    MirrorChange::Put { id, context: Box::new(context) }
}

fn counted(context: SaContext, bytes: u64) -> SaContext {
    context.counters.inbound.bytes.store(bytes, Ordering::Relaxed);
    context
}

/// A bundle as a client adds it, which knows nothing of the kernel's values.
fn own<const N: usize>(sas: [Sa; N]) -> SaBundle {
    SaBundle::new(SaList::new(sas.map(|sa| Sa { linux: None, ..sa })).unwrap())
}

struct Bed {
    engine: Engine,
    session: Arc<dyn Session>,
    events: Box<dyn EventStream>,
}

fn bed(engine: Engine) -> Bed {
    let session = connect(&engine, SessionOptions::default()).unwrap();
    let events = session.events(&SubscriptionOptions::all()).unwrap();
    Bed { engine, session, events }
}

impl Bed {
    fn apply(&mut self, changes: Vec<MirrorChange>) -> Vec<SaContextId> {
        self.engine.mirror().apply(changes, Completeness::Whole).unwrap()
    }

    /// The id of a context that this engine installs itself.
    fn establish(&self, inbound: SaBundle, outbound: SaBundle) -> SaContextId {
        let traffic = Traffic::new(endpoints(), Mode::Tunnel);
        let new = NewSaContext::new(traffic.clone()).filter(FilterId(4));
        let request = InboundRequest { traffic, filter_id: FilterId(5), udp_encapsulation: None };
        let bundles = Box::new(BundlePair { inbound, outbound });
        self.session.sa_context_step(SaContextStep::Establish(new, request, bundles)).unwrap().id
    }

    /// The events so far, with the bytes that their contexts have counted inbound.
    fn told(&mut self) -> Vec<(EventKind, u64, u64)> {
        let mut told = Vec::new();
        while let Some(Notification::Event(event)) = self.events.next(Duration::ZERO).unwrap() {
            let context = event.context.unwrap();
            told.push((event.kind, event.id.0, context.counters.inbound.traffic().0));
        }
        told
    }
}

#[test]
fn what_comes_changes_and_goes_is_told_once_and_keeps_its_id() {
    let mut bed = bed(Engine::new());
    let ids = bed.apply(vec![put(None, found(Some(256), None))]);
    let id = ids[0];
    // The outbound SA comes; then nothing changes but what was counted; then it goes with its last counters.
    assert_eq!(bed.apply(vec![put(Some(id), found(Some(256), Some(300)))]), [id]);
    assert_eq!(bed.apply(vec![put(None, counted(found(Some(256), Some(300)), 50))]), [id], "found by its SA");
    let last = CounterUpdate::traffic(id, Direction::Inbound, 70, 2);
    assert!(bed.apply(vec![MirrorChange::Remove { id, counters: vec![last] }]).is_empty());
    assert!(bed.apply(vec![MirrorChange::Remove { id, counters: Vec::new() }]).is_empty(), "gone is gone");
    let (add, change, delete) = (EventKind::Add, EventKind::Change, EventKind::Delete);
    let told = bed.told();
    let kinds: Vec<_> = told.iter().map(|(kind, id, _)| (*kind, *id)).collect();
    assert_eq!(kinds, [(add, 1), (change, 1), (delete, 1)]);
    assert_eq!(told[2].2, 70, "the event of its end has the last counters");
    let statistics = bed.session.statistics().unwrap();
    assert_eq!((statistics.inbound.tunnel_bytes, statistics.sas.active), (70, 0));
    assert_eq!((statistics.sas.total_added, statistics.sas.total_deleted), (2, 2));
}

#[test]
fn an_acquire_is_told_and_can_be_keyed_through_the_api_and_stays_when_the_kernels_own_is_gone() {
    let kernel = Engine::builder().dataplane(Arc::new(Willing::default())).build();
    let mut bed = bed(kernel);
    let id = bed.apply(vec![put(None, found(None, None))])[0];
    assert_eq!(bed.told(), [(EventKind::Acquire, 1, 0)]);
    let traffic = Traffic::new(endpoints(), Mode::Tunnel);
    let request = InboundRequest { traffic, filter_id: FilterId(0), udp_encapsulation: None };
    let spi = bed.session.sa_context_get_spi(id, &request).unwrap();
    // Its larval state gave way to the first SA, or timed out.
    bed.apply(vec![put(Some(id), found(None, None)), MirrorChange::Remove { id, counters: Vec::new() }]);
    let bundle = |spi| own([sa(spi)]);
    bed.session.sa_context_add_inbound(id, bundle(spi.get())).unwrap();
    bed.session.sa_context_add_outbound(id, bundle(700)).unwrap();
    assert_eq!(bed.session.sa_context_by_id(id).unwrap().state, SaState::Complete);
    let kinds: Vec<_> = bed.told().into_iter().map(|told| told.0).collect();
    assert_eq!(kinds, [EventKind::Add]);

    // One that nobody took goes without a word, as it never was anybody's.
    let other = bed.apply(vec![put(None, found(None, None))])[0];
    bed.apply(vec![MirrorChange::Remove { id: other, counters: Vec::new() }]);
    assert_eq!(bed.told().len(), 1);
    assert!(bed.session.sa_context_by_id(other).is_err());
}

#[test]
fn what_the_engine_had_installed_takes_the_providers_word_only_for_what_is_the_providers() {
    let mut bed = bed(Engine::builder().dataplane(Arc::new(Willing::default())).build());
    let inbound = SaBundle { mm_sa_id: 77, ..own([sa(256)]) };
    let id = bed.establish(inbound, own([sa(300)]));
    bed.told();
    // A late word of the inbound SA alone: the outbound one is not gone for that, and the daemon's own values stay.
    let refresh = |context| MirrorChange::Refresh { id, context: Box::new(context) };
    bed.apply(vec![refresh(counted(found(Some(256), None), 9))]);
    let context = bed.session.sa_context_by_id(id).unwrap();
    assert_eq!(context.state, SaState::Complete);
    let inbound = context.inbound.as_ref().unwrap();
    assert_eq!((inbound.bundle.mm_sa_id, inbound.filter_id), (77, FilterId(5)));
    assert_eq!(inbound.bundle.sas.first().linux.as_ref().unwrap().reqid, 9);
    assert_eq!(context.counters.inbound.traffic().0, 9);
    assert_eq!(bed.told(), [], "nobody asked for the kernel's notes");
    // The peer moves.
    let mut moved = found(Some(256), Some(300));
    moved.traffic.endpoints = Endpoints::new([192, 0, 2, 1].into(), [192, 0, 2, 9].into()).unwrap();
    bed.apply(vec![refresh(counted(moved, 9))]);
    assert_eq!(bed.told(), [(EventKind::Change, id.0, 9)]);
    // Somebody deletes the outbound SA; then the inbound one reaches its limit.
    let lost = |direction, spi, expired| {
        let spi = Spi::new(spi).unwrap();
        MirrorChange::Lost { id, direction, spi, expired, counters: None }
    };
    bed.apply(vec![
        lost(Direction::Outbound, 999, false),
        lost(Direction::Outbound, 300, false),
        MirrorChange::SoftExpired { id },
        lost(Direction::Inbound, 256, true),
    ]);
    let kinds: Vec<_> = bed.told().into_iter().map(|told| told.0).collect();
    assert_eq!(kinds, [EventKind::Change, EventKind::SoftExpiry, EventKind::Expire, EventKind::Delete]);
    assert!(bed.session.sa_context_by_id(id).is_err());
}

#[test]
fn a_bundle_of_two_keeps_both_sas_when_the_providers_word_of_the_first_comes_before_the_second_is_there() {
    let mut bed = bed(Engine::builder().dataplane(Arc::new(Willing::default())).build());
    let ah = |spi| {
        let auth = Auth { algorithm: AuthAlgorithm::HmacSha256, icv_bits: 128, key: Key::new(&[2; 32]) };
        Sa { transform: Transform::Ah(auth), ..sa(spi) }
    };
    let id = bed.establish(own([sa(256), ah(256)]), own([sa(300), ah(300)]));
    let mut refresh = |sas: Vec<Sa>| {
        let mut listed = found(Some(256), Some(300));
        for details in [&mut listed.inbound, &mut listed.outbound].into_iter().flatten() {
            details.bundle.sas = SaList::new(sas.clone()).unwrap();
        }
        bed.apply(vec![MirrorChange::Refresh { id, context: Box::new(listed) }]);
        let context = bed.session.sa_context_by_id(id).unwrap();
        let sas = &context.inbound.as_ref().unwrap().bundle.sas;
        sas.iter().map(|sa| (sa.transform.protocol(), sa.linux.is_some())).collect::<Vec<_>>()
    };
    let (esp, by_ah) = (Protocol::Esp, Protocol::Ah);
    assert_eq!(refresh(vec![sa(256)]), [(esp, true), (by_ah, false)]);
    assert_eq!(refresh(vec![ah(256)]), [(esp, true), (by_ah, true)], "what was known stays known");
    assert_eq!(refresh(vec![sa(256), ah(256)]), [(esp, true), (by_ah, true)]);
    let count = CounterUpdate { spi: Spi::new(256), ..CounterUpdate::traffic(id, Direction::Inbound, 70, 1) };
    bed.apply(vec![MirrorChange::Counted(vec![count])]);
    assert_eq!(
        bed.session.sa_context_by_id(id).unwrap().counters.inbound.traffic(),
        (70, 1),
        "ESP still counts"
    );
}

#[test]
fn a_hard_limit_of_one_direction_ends_the_whole_context() {
    let mut bed = bed(Engine::builder().dataplane(Arc::new(Willing::default())).build());
    let id = bed.apply(vec![put(None, found(Some(256), Some(300)))])[0];
    bed.told();
    let spi = Spi::new(300).unwrap();
    let lost = MirrorChange::Lost { id, direction: Direction::Outbound, spi, expired: true, counters: None };
    bed.apply(vec![lost]);
    let kinds: Vec<_> = bed.told().into_iter().map(|told| told.0).collect();
    assert_eq!(kinds, [EventKind::Expire, EventKind::Change, EventKind::Delete]);
}

#[test]
fn an_expiring_context_stays_so_whatever_the_provider_lists() {
    let mut bed = bed(Engine::builder().dataplane(Arc::new(Willing::default())).build());
    let id = bed.apply(vec![put(None, found(Some(256), Some(300)))])[0];
    bed.session.sa_context_expire(id).unwrap();
    bed.apply(vec![put(Some(id), found(Some(256), Some(300))), put(Some(id), found(Some(256), None))]);
    let state = bed.session.sa_context_by_id(id).unwrap().state;
    assert!(matches!(state, SaState::Expiring { .. }), "{state:?}");
}

#[test]
fn totals_go_on_over_the_generations_of_a_traffic() {
    let mut bed = bed(Engine::new());
    let first = bed.apply(vec![put(None, counted(found(Some(256), Some(300)), 100))])[0];
    // The rekey: the inbound SA of the second generation first, then its outbound one.
    let second = bed.apply(vec![put(None, counted(found(Some(257), None), 5))])[0];
    bed.apply(vec![put(Some(second), counted(found(Some(257), Some(301)), 7))]);
    let mirror = bed.engine.mirror();
    mirror.count(&[CounterUpdate::traffic(first, Direction::Inbound, 110, 1)]).unwrap();
    mirror.count(&[CounterUpdate::traffic(second, Direction::Inbound, 20, 1)]).unwrap();
    let total = |id| bed.session.sa_context_by_id(id).unwrap().counters.total(Direction::Inbound).0;
    assert_eq!((total(first), total(second)), (130, 130));
    bed.apply(vec![MirrorChange::Remove { id: first, counters: Vec::new() }]);
    let third = bed.apply(vec![put(None, found(Some(258), Some(302)))])[0];
    let total = |id| bed.session.sa_context_by_id(id).unwrap().counters.total(Direction::Inbound).0;
    assert_eq!(total(third), 130);
    assert_eq!(bed.session.statistics().unwrap().sas.successful_rekeys, 2);
}

/// A dataplane that counts how often it is asked.
#[derive(Default)]
struct Counting(Mutex<u32>);

impl Dataplane for Counting {
    fn install(&self, _: &SaContext, _: Direction, _: &KeyAccess) -> Result {
        Ok(())
    }

    fn update(&self, _: &SaContext, _: &SaContext, _: Direction, _: &KeyAccess) -> Result {
        Ok(())
    }

    fn remove(&self, context: &SaContext, direction: Direction) -> Result<Option<CounterUpdate>> {
        Ok(Some(CounterUpdate::traffic(context.id, direction, 5000, 1)))
    }

    fn counters(&self, contexts: &[Arc<SaContext>]) -> Result<Vec<CounterUpdate>> {
        *self.0.lock().unwrap() += 1;
        let asked = u64::from(*self.0.lock().unwrap());
        let update = |context: &Arc<SaContext>| {
            CounterUpdate::traffic(context.id, Direction::Inbound, 1000 * asked, 1)
        };
        Ok(contexts.iter().map(update).collect())
    }
}

#[test]
fn readers_see_fresh_counters_and_the_provider_is_not_asked_again_at_once() {
    let counting = Arc::new(Counting::default());
    let clock = Arc::new(ManualClock::new(Timestamp(1_000_000)));
    let builder = Engine::builder().clock(Arc::clone(&clock) as Arc<dyn Clock>);
    let mut bed = bed(builder.dataplane(Arc::clone(&counting) as Arc<dyn Dataplane>).build());
    let id = bed.apply(vec![put(None, found(Some(256), None))])[0];
    bed.told();
    let read = || bed.session.sa_context_by_id(id).unwrap().counters.inbound.traffic().0;
    assert_eq!([read(), read(), read()], [1000; 3], "asked once a second at most");
    clock.turn(Duration::from_millis(1000));
    assert_eq!(read(), 1000, "a second old");
    clock.turn(Duration::from_millis(1));
    assert_eq!([read(), read()], [2000; 2], "older than a second");
    bed.session.sa_context_delete_by_id(id).unwrap();
    assert_eq!(bed.told(), [(EventKind::Delete, 1, 5000)], "what the kernel said at the removal");
    assert_eq!(bed.session.statistics().unwrap().inbound.tunnel_bytes, 5000);
}

/// Compression counts the packets that ESP has counted, also once it is all that is left of their bundle.
#[test]
fn an_sa_that_outlives_the_first_of_its_bundle_counts_nothing() {
    let mut bed = bed(Engine::new());
    let compression = |spi: u32| {
        let transform = Transform::Ipcomp(Compression { algorithm: CompressionAlgorithm::Deflate });
        Sa { transform, ..sa(spi) }
    };
    let with = |sas: Vec<Sa>, bytes: u64| {
        let mut context = counted(found(Some(256), Some(300)), bytes);
        context.inbound.as_mut().unwrap().bundle = SaBundle::new(SaList::new(sas).unwrap());
        context
    };
    let id = bed.apply(vec![put(None, with(vec![sa(256), compression(40)], 0))])[0];
    let update = |spi: u32, bytes: u64| CounterUpdate {
        spi: Spi::new(spi),
        ..CounterUpdate::traffic(id, Direction::Inbound, bytes, 1)
    };
    let seen = |bed: &Bed| {
        let context = bed.session.sa_context_by_id(id).unwrap();
        let total = context.counters.total(Direction::Inbound).0;
        (context.counters.inbound.traffic().0, total, bed.session.statistics().unwrap().inbound.tunnel_bytes)
    };
    bed.apply(vec![
        MirrorChange::Counted(vec![update(256, 100)]),
        put(Some(id), with(vec![compression(40)], 900)),
        MirrorChange::Counted(vec![update(40, 1000)]),
        put(Some(id), with(vec![compression(40)], 1000)),
    ]);
    assert_eq!(seen(&bed), (100, 100, 100));
    // The next generation counts from 0.
    bed.apply(vec![
        put(Some(id), with(vec![sa(257), compression(41)], 5)),
        MirrorChange::Counted(vec![update(256, 130), update(257, 7)]),
    ]);
    assert_eq!(seen(&bed), (7, 107, 107));
    let last = vec![update(41, 5000)];
    bed.apply(vec![
        put(Some(id), with(vec![compression(41)], 6)),
        MirrorChange::Remove { id, counters: last },
    ]);
    assert_eq!(bed.session.statistics().unwrap().inbound.tunnel_bytes, 107);
}

/// What happens to four contexts: those that are put, with their SPIs, and those that go.
type Case = (&'static str, fn([SaContextId; 4]) -> Vec<(Option<SaContextId>, Option<(u32, u32)>)>);

/// A guess that is settled late gives SAs other partners. What they have counted stays counted once.
#[test]
fn sas_that_change_partners_count_nothing_again() {
    let with = |inbound: Option<u32>, outbound: Option<u32>| {
        let context = found(inbound, outbound);
        // Each SA has counted as many bytes as its SPI says.
        for (direction, spi) in [(Direction::Inbound, inbound), (Direction::Outbound, outbound)] {
            let cell = context.counters.direction(direction);
            cell.bytes.store(spi.unwrap_or(0).into(), Ordering::Relaxed);
        }
        context
    };
    let removed = |id| MirrorChange::Remove { id, counters: Vec::new() };
    let begun = || {
        let mut bed = bed(Engine::new());
        let contexts =
            [(Some(1000), Some(2000)), (Some(1001), Some(2001)), (Some(1002), None), (None, Some(2002))];
        let ids = bed.apply(contexts.map(|(inbound, outbound)| put(None, with(inbound, outbound))).to_vec());
        let [a, b, c, d] = ids[..] else { panic!("{ids:?}") };
        (bed, [a, b, c, d])
    };
    let pair = |inbound, outbound| with(Some(inbound), Some(outbound));
    let cases: [Case; 5] = [
        ("two swap", |[a, b, ..]| vec![(Some(a), Some((1000, 2001))), (Some(b), Some((1001, 2000)))]),
        ("one goes, another joins", |[_, _, c, d]| vec![(Some(d), None), (Some(c), Some((1002, 2002)))]),
        ("another joins, one goes", |[_, _, c, d]| vec![(Some(c), Some((1002, 2002))), (Some(d), None)]),
        ("both go and come anew", |[_, _, c, d]| {
            vec![(Some(c), None), (Some(d), None), (None, Some((1002, 2002)))]
        }),
        ("all in a circle", |[a, b, c, d]| {
            vec![
                (Some(d), None),
                (Some(a), Some((1000, 2002))),
                (Some(b), Some((1001, 2000))),
                (Some(c), Some((1002, 2001))),
            ]
        }),
    ];
    for (name, changes) in cases {
        let (mut bed, ids) = begun();
        bed.apply(
            changes(ids)
                .into_iter()
                .map(|(id, sas)| match sas {
                    Some((inbound, outbound)) => put(id, pair(inbound, outbound)),
                    None => removed(id.unwrap()),
                })
                .collect(),
        );
        let statistics = bed.session.statistics().unwrap();
        let counted = statistics.inbound.tunnel_bytes + statistics.outbound.tunnel_bytes;
        assert_eq!(counted, 1000 + 1001 + 1002 + 2000 + 2001 + 2002, "{name}");
    }
    // The directions were the other way round.
    let (mut bed, [a, ..]) = begun();
    let mut turned = pair(2000, 1000);
    turned.traffic.endpoints = Endpoints::new(endpoints().remote(), endpoints().local()).unwrap();
    bed.apply(vec![put(Some(a), turned)]);
    let statistics = bed.session.statistics().unwrap();
    let counted = statistics.inbound.tunnel_bytes + statistics.outbound.tunnel_bytes;
    assert_eq!(counted, 1000 + 1001 + 1002 + 2000 + 2001 + 2002, "turned");
    // An SA that has counted nothing takes nothing over from another one.
    let idle = |inbound, outbound, bytes| {
        let context = found(Some(inbound), Some(outbound));
        context.counters.outbound.bytes.store(bytes, Ordering::Relaxed);
        context
    };
    for by_listing in [true, false] {
        let mut bed = self::bed(Engine::new());
        let ids = bed.apply(vec![put(None, idle(1000, 2000, 0)), put(None, idle(1001, 2001, 500))]);
        let swapped = [idle(1000, 2001, 500), idle(1001, 2000, 0)];
        if by_listing {
            bed.engine.mirror().replace(swapped.into(), Completeness::Whole).unwrap();
        } else {
            bed.apply(ids.iter().zip(swapped).map(|(id, context)| put(Some(*id), context)).collect());
        }
        let counted =
            |id: SaContextId| bed.session.sa_context_by_id(id).unwrap().counters.outbound.traffic().0;
        assert_eq!([counted(ids[0]), counted(ids[1])], [500, 0], "by listing: {by_listing}");
        assert_eq!(bed.session.statistics().unwrap().outbound.tunnel_bytes, 500);
    }
    // By another listing, in any order.
    for order in [[0, 1, 2], [2, 1, 0], [1, 2, 0]] {
        let (bed, _) = begun();
        let listed = order
            .map(|at| [(1000, 2002), (1001, 2000), (1002, 2001)][at])
            .map(|(one, other)| pair(one, other));
        bed.engine.mirror().replace(listed.into(), Completeness::Whole).unwrap();
        let statistics = bed.session.statistics().unwrap();
        assert_eq!(
            (statistics.inbound.tunnel_bytes, statistics.outbound.tunnel_bytes),
            (3003, 6003),
            "{order:?}"
        );
    }
}

mod counting {
    //! Random schedules of traffic, readings, updates and rekeys against an exact model of what a kernel counts.

    use super::*;
    use proptest::prelude::*;

    #[derive(Clone, Debug)]
    enum Step {
        /// Bytes pass through an SA of the newest or an older generation.
        Traffic { generation: usize, inbound: bool, bytes: u64 },
        /// The provider reports counters: as they are, or as they were at the last report.
        Report { generation: usize, inbound: bool },
        /// The provider reports the context again with counters that may be old.
        Put { generation: usize, stale: bool },
        /// The SA of one direction is replaced within its context: its last counters come first.
        Replace { generation: usize, inbound: bool },
        /// The next generation: a new context, while the older ones exist.
        Rekey,
        /// The oldest generation goes with its last counters.
        Retire,
        /// The kernel moves an SA and counts it from 0.
        Move { generation: usize, inbound: bool },
        /// A report of an SA that has been replaced arrives late.
        Late { generation: usize, inbound: bool },
    }

    fn step() -> impl Strategy<Value = Step> {
        let of = || (0..3_usize, any::<bool>());
        prop_oneof![
            6 => (of(), 1..1000_u64)
                .prop_map(|((generation, inbound), bytes)| Step::Traffic { generation, inbound, bytes }),
            4 => of().prop_map(|(generation, inbound)| Step::Report { generation, inbound }),
            4 => (0..3_usize, any::<bool>()).prop_map(|(generation, stale)| Step::Put { generation, stale }),
            1 => of().prop_map(|(generation, inbound)| Step::Replace { generation, inbound }),
            1 => Just(Step::Rekey),
            1 => Just(Step::Retire),
            1 => of().prop_map(|(generation, inbound)| Step::Move { generation, inbound }),
            1 => of().prop_map(|(generation, inbound)| Step::Late { generation, inbound }),
        ]
    }

    /// An SA in the kernel.
    #[derive(Clone, Debug)]
    struct Counted {
        spi: u32,
        added: u64,
        bytes: u64,
        /// What the engine was last told.
        told: u64,
        /// What the engine shows; it never falls while the SA lives.
        shown: u64,
        /// The SPI before the SA was replaced, and what that one had counted.
        before: Option<(u32, u64)>,
    }

    struct Kernel {
        mirror: Arc<dyn Mirror>,
        session: Arc<dyn Session>,
        /// The living generations, oldest first.
        generations: Vec<(SaContextId, [Counted; 2])>,
        /// What both directions have counted in all generations.
        all: [u64; 2],
        next: u32,
    }

    const DIRECTIONS: [Direction; 2] = [Direction::Inbound, Direction::Outbound];

    impl Kernel {
        fn new_sa(&mut self) -> Counted {
            self.next += 1;
            let added = u64::from(self.next) / 3;
            Counted { spi: self.next, added, bytes: 0, told: 0, shown: 0, before: None }
        }

        fn listed(sas: &[Counted; 2], counts: [u64; 2]) -> SaContext {
            let mut context = found(Some(sas[0].spi), Some(sas[1].spi));
            let (inbound, outbound) = (context.inbound.as_mut(), context.outbound.as_mut());
            for (details, sa) in [inbound, outbound].into_iter().zip(sas) {
                let bundle = &mut details.unwrap().bundle;
                let mut changed = bundle.sas.first().clone();
                changed.linux.as_mut().unwrap().added = sa.added;
                bundle.sas = SaList::one(changed);
            }
            for (direction, count) in DIRECTIONS.into_iter().zip(counts) {
                context.counters.direction(direction).bytes.store(count, Ordering::Relaxed);
            }
            context
        }

        fn put(&self, id: Option<SaContextId>, sas: &[Counted; 2], counts: [u64; 2]) -> SaContextId {
            self.mirror.apply(vec![put(id, Kernel::listed(sas, counts))], Completeness::Whole).unwrap()[0]
        }

        fn rekey(&mut self) {
            let sas = [self.new_sa(), self.new_sa()];
            let id = self.put(None, &sas, [0, 0]);
            self.generations.push((id, sas));
        }

        fn update(id: SaContextId, side: usize, spi: u32, bytes: u64) -> CounterUpdate {
            CounterUpdate { spi: Spi::new(spi), ..CounterUpdate::traffic(id, DIRECTIONS[side], bytes, 0) }
        }

        fn run(&mut self, step: &Step) {
            let count = self.generations.len();
            let at = |generation: &usize| generation % count;
            let side = |inbound: &bool| usize::from(!*inbound);
            match step {
                Step::Traffic { generation, inbound, bytes } => {
                    self.generations[at(generation)].1[side(inbound)].bytes += bytes;
                    self.all[side(inbound)] += bytes;
                }
                Step::Report { generation, inbound } => {
                    let (id, sas) = &mut self.generations[at(generation)];
                    let sa = &mut sas[side(inbound)];
                    sa.told = sa.bytes;
                    self.mirror.count(&[Kernel::update(*id, side(inbound), sa.spi, sa.bytes)]).unwrap();
                }
                Step::Put { generation, stale } => {
                    let (id, sas) = self.generations[at(generation)].clone();
                    let counts = sas.each_ref().map(|sa| if *stale { sa.told / 2 } else { sa.bytes });
                    self.put(Some(id), &sas, counts);
                }
                Step::Replace { generation, inbound } => {
                    let side = side(inbound);
                    let mut sa = self.new_sa();
                    let (id, mut sas) = self.generations[at(generation)].clone();
                    sa.before = Some((sas[side].spi, sas[side].bytes));
                    let last = Kernel::update(id, side, sas[side].spi, sas[side].bytes);
                    sas[side] = sa;
                    let counts = sas.each_ref().map(|sa| sa.told);
                    let changes =
                        vec![MirrorChange::Counted(vec![last]), put(Some(id), Kernel::listed(&sas, counts))];
                    self.mirror.apply(changes, Completeness::Whole).unwrap();
                    self.generations[at(generation)].1 = sas;
                }
                Step::Rekey if count < 3 => self.rekey(),
                Step::Retire if count > 1 => {
                    let (id, sas) = self.generations.remove(0);
                    let counters =
                        (0..2).map(|side| Kernel::update(id, side, sas[side].spi, sas[side].bytes)).collect();
                    let changes = vec![MirrorChange::Remove { id, counters }];
                    self.mirror.apply(changes, Completeness::Whole).unwrap();
                }
                Step::Move { generation, inbound } => {
                    let (id, sas) = &mut self.generations[at(generation)];
                    let sa = &mut sas[side(inbound)];
                    // What passed since the last report is lost with the old state.
                    self.all[side(inbound)] -= sa.bytes - sa.told.max(sa.shown);
                    (sa.bytes, sa.told, sa.shown) = (0, 0, 0);
                    let direction = DIRECTIONS[side(inbound)];
                    let changes = vec![MirrorChange::Restarted { id: *id, direction }];
                    self.mirror.apply(changes, Completeness::Whole).unwrap();
                }
                Step::Late { generation, inbound } => {
                    let (id, sas) = &self.generations[at(generation)];
                    if let Some((spi, bytes)) = sas[side(inbound)].before {
                        self.mirror.count(&[Kernel::update(*id, side(inbound), spi, bytes)]).unwrap();
                    }
                }
                Step::Rekey | Step::Retire => {}
            }
            for (id, sas) in &mut self.generations {
                let context = self.session.sa_context_by_id(*id).unwrap();
                for (sa, direction) in sas.iter_mut().zip(DIRECTIONS) {
                    let shown = context.counters.direction(direction).traffic().0;
                    assert!(shown >= sa.shown, "{step:?}: {shown} after {}", sa.shown);
                    assert!(shown <= sa.bytes, "{step:?}: {shown} of {}", sa.bytes);
                    sa.shown = shown;
                }
            }
        }
    }

    proptest! {
        #[test]
        fn totals_are_what_the_kernel_counted(steps in prop::collection::vec(step(), 1..60)) {
            let engine = Engine::new();
            let session = connect(&engine, SessionOptions::default()).unwrap();
            let mut kernel =
                Kernel { mirror: Arc::new(engine.mirror()), session, generations: Vec::new(), all: [0; 2], next: 255 };
            kernel.rekey();
            steps.iter().for_each(|step| kernel.run(step));
            for generation in 0..kernel.generations.len() {
                for inbound in [true, false] {
                    kernel.run(&Step::Report { generation, inbound });
                }
            }
            let (id, _) = kernel.generations.last().unwrap();
            let context = kernel.session.sa_context_by_id(*id).unwrap();
            let totals = DIRECTIONS.map(|direction| context.counters.total(direction).0);
            prop_assert_eq!(totals, kernel.all);
            let statistics = kernel.session.statistics().unwrap();
            prop_assert_eq!([statistics.inbound.tunnel_bytes, statistics.outbound.tunnel_bytes], kernel.all);
        }
    }
}
