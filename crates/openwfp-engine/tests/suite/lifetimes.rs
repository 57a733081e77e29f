//! Lifetimes and expiry, under a clock that the tests turn.
use super::common::*;
use openwfp_api::*;
use openwfp_engine::Engine;
use openwfp_engine::IdleTimeout;
use openwfp_engine::ManualClock;
use std::sync::Arc;
use std::time::Duration;

struct Bed {
    clock: Arc<ManualClock>,
    engine: Engine,
    session: Arc<dyn Session>,
    stream: Box<dyn EventStream>,
}

fn bed(idle: IdleTimeout) -> Bed {
    let clock = Arc::new(ManualClock::new(Timestamp(1_000_000)));
    let builder = Engine::builder().clock(Arc::clone(&clock) as Arc<dyn Clock>).without_thread();
    with_engine(clock, builder.idle_timeout(idle).build())
}

fn with_engine(clock: Arc<ManualClock>, engine: Engine) -> Bed {
    let session = open(&engine);
    let stream = session.events(&SubscriptionOptions::all()).unwrap();
    Bed { clock, engine, session, stream }
}

impl Bed {
    /// Turns the clock and returns what is told.
    fn turn(&mut self, seconds: u64) -> Vec<(EventKind, u64)> {
        self.clock.turn(Duration::from_secs(seconds));
        self.engine.run_due();
        told(&mut *self.stream)
    }

    fn complete(&mut self, like: &SaBundle) -> u64 {
        let id = complete_with(&*self.session, 1, like);
        told(&mut *self.stream);
        id.0
    }

    fn count(&mut self, id: u64, direction: Direction, bytes: u64, packets: u64) -> Vec<(EventKind, u64)> {
        let update = CounterUpdate::traffic(SaContextId(id), direction, bytes, packets);
        self.engine.mirror().count(&[update]).unwrap();
        told(&mut *self.stream)
    }
}

fn lifetime(seconds: u32, kilobytes: u32, packets: u32) -> SaBundle {
    limited(0x1000, Lifetime { seconds, kilobytes, packets })
}

use EventKind::{Delete, Expire, SoftExpiry};

#[test]
fn expire_takes_the_outbound_sa_at_once_and_the_inbound_one_a_minute_later() {
    let notes = Arc::new(Notes::default());
    let clock = Arc::new(ManualClock::new(Timestamp(1_000_000)));
    let engine = Engine::builder()
        .clock(Arc::clone(&clock) as Arc<dyn Clock>)
        .dataplane(Arc::clone(&notes) as Arc<dyn Dataplane>)
        .without_thread()
        .build();
    let mut bed = with_engine(clock, engine);
    let id = bed.complete(&bundle(0x1000));
    notes.take();
    bed.session.sa_context_expire(SaContextId(id)).unwrap();
    assert_eq!(notes.take(), ["remove outbound"]);
    let context = bed.session.sa_context_by_id(SaContextId(id)).unwrap();
    assert_eq!(context.state, SaState::Expiring { since: Timestamp(1_000_000) });
    assert!(context.outbound.is_none() && context.inbound.is_some());
    assert_eq!(code(bed.session.sa_context_expire(SaContextId(id))), Code::FWP_E_INCOMPATIBLE_SA_STATE);
    assert_eq!(bed.turn(59), [(Expire, id)]);
    assert!(notes.take().is_empty());
    // The dataplane fails at first; it is tried again.
    *notes.refuses.lock().unwrap() = Some("remove inbound");
    assert!(bed.turn(1).is_empty());
    assert_eq!(ids(&*bed.session), [id]);
    *notes.refuses.lock().unwrap() = None;
    assert_eq!(bed.turn(5), [(Delete, id)]);
    assert_eq!(notes.take(), ["remove inbound"]);
    assert!(ids(&*bed.session).is_empty());
}

#[test]
fn seconds_tell_softly_at_nine_tenths_and_then_delete() {
    let mut bed = bed(IdleTimeout::default());
    let id = bed.complete(&lifetime(100, 0, 0));
    assert!(bed.turn(89).is_empty());
    assert_eq!(bed.turn(1), [(SoftExpiry, id)]);
    assert!(bed.turn(9).is_empty());
    assert_eq!(bed.turn(1), [(Delete, id)]);
    // Both at one go, for a clock that stood still or a machine that slept.
    let id = bed.complete(&lifetime(100, 0, 0));
    assert_eq!(bed.turn(1000), [(SoftExpiry, id), (Delete, id)]);
}

#[test]
fn a_late_look_does_not_make_a_lifetime_longer() {
    let mut bed = bed(IdleTimeout::default());
    let id = bed.complete(&lifetime(100, 0, 0));
    assert_eq!(bed.turn(98), [(SoftExpiry, id)]);
    assert_eq!(bed.turn(2), [(Delete, id)]);
}

#[test]
fn of_two_bundles_the_shorter_lifetime_counts() {
    let mut bed = bed(IdleTimeout::default());
    let (id, inbound) = reserved(&*bed.session, 1);
    let limit = |seconds| Lifetime { seconds, ..Lifetime::UNLIMITED };
    bed.session.sa_context_add_inbound(id, limited(inbound.get(), limit(50))).unwrap();
    bed.session.sa_context_add_outbound(id, limited(0x2000, limit(500))).unwrap();
    told(&mut *bed.stream);
    assert_eq!(bed.turn(50), [(SoftExpiry, id.0), (Delete, id.0)]);
}

#[test]
fn kilobytes_and_packets_tell_softly_and_then_delete_in_either_direction() {
    let mut bed = bed(IdleTimeout::default());
    for direction in [Direction::Inbound, Direction::Outbound] {
        let id = bed.complete(&lifetime(0, 10, 0));
        assert!(bed.count(id, direction, 9_215, 1).is_empty());
        assert_eq!(bed.count(id, direction, 9_216, 2), [(SoftExpiry, id)]);
        assert!(bed.count(id, direction, 10_239, 3).is_empty(), "it is told once");
        assert_eq!(bed.count(id, direction, 10_240, 4), [(Delete, id)]);
        let id = bed.complete(&lifetime(0, 0, 100));
        assert_eq!(bed.count(id, direction, 1, 95), [(SoftExpiry, id)]);
        assert_eq!(bed.count(id, direction, 1, 100), [(Delete, id)]);
        assert!(bed.count(id, direction, 1, 200).is_empty(), "what is gone is passed over");
    }
}

#[test]
fn an_idle_pair_expires_and_traffic_in_either_direction_keeps_it() {
    let mut bed = bed(IdleTimeout::default());
    let id = bed.complete(&SaBundle { idle_timeout_seconds: 30, ..bundle(0x1000) });
    assert!(bed.turn(20).is_empty());
    assert!(bed.count(id, Direction::Inbound, 10, 1).is_empty());
    assert!(bed.turn(29).is_empty());
    assert!(bed.count(id, Direction::Outbound, 10, 1).is_empty());
    assert!(bed.count(id, Direction::Inbound, 10, 1).is_empty(), "the same count again is no traffic");
    assert!(bed.turn(29).is_empty());
    assert_eq!(bed.turn(1), [(Expire, id)]);
    assert_eq!(bed.turn(60), [(Delete, id)]);
}

#[test]
fn with_asymmetric_idle_each_direction_needs_its_own_traffic() {
    let mut bed = bed(IdleTimeout::default());
    let asymmetric = SaBundle { idle_timeout_seconds: 30, flags: 0x4_0000, ..bundle(0x1000) };
    let id = bed.complete(&asymmetric);
    bed.count(id, Direction::Inbound, 10, 1);
    bed.turn(20);
    bed.count(id, Direction::Outbound, 10, 1);
    assert_eq!(bed.turn(10), [(Expire, id)], "the peer was silent though we sent");
}

#[test]
fn the_engines_idle_timeout_is_for_bundles_without_one_and_fail_over_for_peers_that_have_it() {
    let mut bed = bed(IdleTimeout { seconds: 300, fail_over_seconds: 60 });
    let own = bed.complete(&SaBundle { idle_timeout_seconds: 500, flags: 0x10, ..bundle(0x1000) });
    let plain = bed.complete(&bundle(0x1000));
    let one_of_several = bed.complete(&SaBundle { flags: 0x10, ..bundle(0x1000) });
    assert_eq!(bed.turn(60), [(Expire, one_of_several)]);
    assert_eq!(bed.turn(240), [(Delete, one_of_several), (Expire, plain)]);
    assert_eq!(bed.turn(200), [(Delete, plain), (Expire, own)]);
}

#[test]
fn a_dataplane_that_enforces_lifetimes_is_left_to_it() {
    let kernel = Willing { enforces_lifetimes: true, ..Willing::default() };
    let clock = Arc::new(ManualClock::new(Timestamp(1_000_000)));
    let builder = Engine::builder().clock(Arc::clone(&clock) as Arc<dyn Clock>).without_thread();
    let mut bed = with_engine(clock, builder.dataplane(Arc::new(kernel)).build());
    let id = bed.complete(&lifetime(10, 1, 1));
    assert!(bed.count(id, Direction::Inbound, 99_999, 9).is_empty());
    assert!(bed.turn(1000).is_empty());
    bed.session.sa_context_expire(SaContextId(id)).unwrap();
    assert_eq!(bed.turn(60), [(Expire, id), (Delete, id)], "the minute is the engine's own");
    let idle = bed.complete(&SaBundle { idle_timeout_seconds: 5, ..lifetime(10, 1, 1) });
    assert_eq!(bed.turn(5), [(Expire, idle)], "kernels know nothing of idle pairs");
    assert_eq!(bed.turn(60), [(Delete, idle)]);
}

#[test]
fn timers_of_contexts_that_are_gone_are_swept() {
    let mut bed = bed(IdleTimeout::default());
    for _ in 0..10_000 {
        let id = complete_with(&*bed.session, 1, &lifetime(3600, 0, 0));
        bed.session.sa_context_delete_by_id(id).unwrap();
    }
    let kept = complete_with(&*bed.session, 1, &lifetime(3600, 0, 0));
    bed.engine.run_due();
    assert_eq!(bed.engine.gauges().timers, 1);
    while bed.stream.next(Duration::ZERO).unwrap().is_some() {}
    assert_eq!(bed.turn(3600), [(SoftExpiry, kept.0), (Delete, kept.0)]);
}

#[test]
fn the_engines_own_thread_does_it_too() {
    let engine = Engine::new();
    let session = open(&engine);
    let mut stream = session.events(&SubscriptionOptions::all()).unwrap();
    let id = complete_with(&*session, 1, &lifetime(1, 0, 0));
    let mut kinds = Vec::new();
    while kinds.len() < 3 {
        match stream.next(Duration::from_secs(600)).unwrap().unwrap() {
            Notification::Event(event) => kinds.push((event.kind, event.id)),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(kinds, [(EventKind::Add, id), (SoftExpiry, id), (Delete, id)]);
}
