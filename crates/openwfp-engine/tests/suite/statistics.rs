//! Statistics: what the engine counts, and what it says of what it does not know.
use super::common::*;
use openwfp_api::*;
use openwfp_engine::Engine;
use std::sync::Arc;

#[test]
fn sas_are_counted_through_their_life() {
    let engine = Engine::new();
    let session = open(&engine);
    let sas = || session.statistics().unwrap().sas;
    let (id, inbound) = reserved(&*session, 1);
    assert_eq!(sas(), SaStatistics { pending_negotiations: 1, ..SaStatistics::default() });
    session.sa_context_add_inbound(id, bundle(inbound.get())).unwrap();
    let half =
        SaStatistics { pending_negotiations: 1, active: 1, total_added: 1, active_tunnels: 1, ..sas() };
    assert_eq!(sas(), half);
    session.sa_context_add_outbound(id, SaBundle { flags: 0x20_0000, ..bundle(0x2000) }).unwrap();
    let whole = SaStatistics {
        active: 2,
        total_added: 2,
        active_tunnels: 1,
        offloaded: 1,
        ..SaStatistics::default()
    };
    assert_eq!(sas(), whole);
    complete(&*session, 1);
    assert_eq!(sas().successful_rekeys, 1, "the same traffic once more");
    complete(&*session, 2);
    assert_eq!(sas().successful_rekeys, 1, "another peer is no rekey");
    session.sa_context_expire(id).unwrap();
    assert_eq!((sas().active, sas().total_deleted, sas().active_tunnels), (5, 1, 3));
    ids(&*session).into_iter().for_each(|id| session.sa_context_delete_by_id(SaContextId(id)).unwrap());
    let gone =
        SaStatistics { total_added: 6, total_deleted: 6, successful_rekeys: 1, ..SaStatistics::default() };
    assert_eq!(sas(), gone);
}

#[test]
fn a_transaction_and_a_listing_are_counted_as_their_outcome() {
    let engine = Engine::new();
    let session = open(&engine);
    let (id, inbound) = reserved(&*session, 1);
    for commits in [false, true] {
        session.transaction_begin(TransactionMode::ReadWrite).unwrap();
        session.sa_context_add_inbound(id, bundle(inbound.get())).unwrap();
        session.sa_context_add_outbound(id, bundle(0x2000)).unwrap();
        assert_eq!(session.statistics().unwrap().sas.active, 0);
        if commits { session.transaction_commit() } else { session.transaction_abort() }.unwrap();
    }
    assert_eq!(session.statistics().unwrap().sas.active, 2);
    engine.mirror().replace(Vec::new(), Completeness::Whole).unwrap();
    let sas = session.statistics().unwrap().sas;
    assert_eq!((sas.active, sas.total_added, sas.total_deleted), (0, 2, 2));
}

#[test]
fn traffic_is_counted_by_kind_and_stays_when_its_sa_goes() {
    let engine = Engine::new();
    let session = open(&engine);
    let id = complete(&*session, 1);
    let count = |direction, bytes, packets| {
        engine.mirror().count(&[CounterUpdate::traffic(id, direction, bytes, packets)]).unwrap();
    };
    count(Direction::Inbound, 100, 2);
    count(Direction::Inbound, 150, 3);
    count(Direction::Outbound, 10, 1);
    let update = CounterUpdate {
        integrity_failures: 4,
        replay_drops: 5,
        replay_window_drops: 6,
        ..CounterUpdate::traffic(id, Direction::Inbound, 150, 3)
    };
    engine.mirror().count(&[update]).unwrap();
    session.sa_context_delete_by_id(id).unwrap();
    let ah = {
        let (id, inbound) = reserved(&*session, 2);
        let auth = Auth { algorithm: AuthAlgorithm::HmacSha1, icv_bits: 96, key: Key::new(&[1; 20]) };
        let bundle = |value| {
            SaBundle::new(SaList::one(Sa {
                spi: spi(value),
                transform: Transform::Ah(auth.clone()),
                linux: None,
            }))
        };
        session.sa_context_add_inbound(id, bundle(inbound.get())).unwrap();
        session.sa_context_add_outbound(id, bundle(0x2000)).unwrap();
        id
    };
    engine.mirror().count(&[CounterUpdate::traffic(ah, Direction::Inbound, 7, 1)]).unwrap();
    let statistics = session.statistics().unwrap();
    let expected = TrafficStatistics {
        encrypted_bytes: 150,
        authenticated_esp_bytes: 150,
        authenticated_ah_bytes: 7,
        tunnel_bytes: 157,
        packets: 4,
        ..TrafficStatistics::default()
    };
    assert_eq!(statistics.inbound, expected);
    assert_eq!((statistics.outbound.encrypted_bytes, statistics.outbound.packets), (10, 1));
    assert_eq!(statistics.esp_drops.authentication_failures, Some(4));
    assert_eq!(statistics.esp_drops.replay_check_failures, Some(11));
    assert_eq!(statistics.ah_drops.authentication_failures, Some(0));
    assert_eq!(statistics.drops.authentication_failures, Some(4));
    assert_eq!(statistics.drops.invalid_spis, None, "nobody knows, and nothing is invented");
}

#[test]
fn what_the_provider_knows_of_the_machine_is_taken_from_it() {
    let all = Drops { invalid_spis: Some(3), authentication_failures: Some(9), ..Drops::default() };
    let counting = Willing { drops: ProviderDrops { all, ..ProviderDrops::default() }, ..Willing::default() };
    let session = open(&Engine::builder().dataplane(Arc::new(counting)).build());
    let drops = session.statistics().unwrap().drops;
    assert_eq!((drops.invalid_spis, drops.authentication_failures), (Some(3), Some(9)));
    assert_eq!(drops.replay_check_failures, Some(0));
}
