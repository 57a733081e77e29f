//! Making the database equal to a fresh listing, with the ids of what is still there.

use crate::database::Database;
use crate::database::sas;
use openwfp_api::DirectionCounters;
use openwfp_api::SaContext;
use openwfp_api::SaContextId;
use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;

/// Makes the database hold exactly these contexts.
///
/// A listed context that shares an SA with one of the database is that one: it keeps the id, and the
/// counters go on in the same cell. Without an SPI, traffic and selectors must agree.
pub(crate) fn replace(database: &mut Database, listed: Vec<SaContext>) {
    let mut kept = HashSet::with_capacity(if database.len() == 0 { 0 } else { listed.len() });
    let mut new = Vec::new();
    for context in listed {
        match find(database, &context, &kept) {
            Some(old) => {
                kept.insert(old.id);
                renew(database, &old, context);
            }
            None => new.push(context),
        }
    }
    let gone: Vec<SaContextId> =
        database.after(None).map(|context| context.id).filter(|id| !kept.contains(id)).collect();
    for id in gone {
        database.remove(id);
    }
    database.put_new(new);
}

/// The context of the database that a listed one is, unless another listed one is it already.
fn find(database: &Database, listed: &SaContext, taken: &HashSet<SaContextId>) -> Option<Arc<SaContext>> {
    if database.len() == 0 {
        return None;
    }
    let remote = listed.traffic.endpoints.remote();
    let by_sa = sas(listed).flat_map(|(spi, protocol, to)| database.ids_with_sa(spi, protocol, to));
    let without_spi = database
        .ids_between(crate::database::Side::Remote, (remote, remote), None)
        .filter(|_| sas(listed).next().is_none());
    by_sa
        .chain(without_spi)
        .filter(|id| !taken.contains(id))
        .filter_map(|id| database.get(id))
        .find(|old| old.traffic.endpoints == listed.traffic.endpoints && is_continued_by(old, listed))
        .cloned()
}

fn is_continued_by(old: &SaContext, listed: &SaContext) -> bool {
    match sas(listed).next() {
        None => sas(old).next().is_none() && old.selectors == listed.selectors,
        // The index knows SPI, protocol and destination; marks can keep several such SAs apart.
        Some(_) => mark(old) == mark(listed),
    }
}

fn mark(context: &SaContext) -> Option<openwfp_api::Mark> {
    context
        .directions()
        .find_map(|(_, details)| details.bundle.sas.first().linux.as_ref().and_then(|linux| linux.mark()))
}

fn renew(database: &mut Database, old: &Arc<SaContext>, mut listed: SaContext) {
    listed.id = old.id;
    let fresh = std::mem::replace(&mut listed.counters, Arc::clone(&old.counters));
    store(&old.counters.inbound, &fresh.inbound);
    store(&old.counters.outbound, &fresh.outbound);
    if listed != **old {
        database.put(Arc::new(listed));
    }
}

fn store(cell: &DirectionCounters, fresh: &DirectionCounters) {
    let copy = |to: &AtomicU64, from: &AtomicU64| to.store(from.load(Ordering::Relaxed), Ordering::Relaxed);
    let copy_small =
        |to: &AtomicU32, from: &AtomicU32| to.store(from.load(Ordering::Relaxed), Ordering::Relaxed);
    copy(&cell.bytes, &fresh.bytes);
    copy(&cell.packets, &fresh.packets);
    copy(&cell.last_used, &fresh.last_used);
    copy_small(&cell.replay_window_drops, &fresh.replay_window_drops);
    copy_small(&cell.replay_drops, &fresh.replay_drops);
    copy_small(&cell.integrity_failures, &fresh.integrity_failures);
}

#[cfg(test)]
mod tests {
    use super::*;
    use openwfp_api::Endpoints;
    use openwfp_api::Mode;
    use openwfp_api::SaState;
    use openwfp_api::Spi;
    use openwfp_api::Traffic;

    fn listed(number: u32, spi: u32) -> SaContext {
        let remote = std::net::Ipv4Addr::from(0x0A00_0000 + number);
        let endpoints = Endpoints::new([192, 0, 2, 1].into(), remote.into()).unwrap();
        let mut context = SaContext::new(SaContextId(0), Traffic::new(endpoints, Mode::Tunnel));
        context.state = match Spi::new(spi) {
            Some(inbound_spi) => SaState::HasSpi { inbound_spi },
            None => SaState::Created,
        };
        context
    }

    #[test]
    fn indexes_stay_true_through_listings_of_all_kinds() {
        let mut database = Database::default();
        for round in 0..40_u32 {
            // Some stay, some go, some change their SPI, some have none; two peers share an SPI.
            let numbers = (0..300).filter(|n| (n * 7 + round) % 5 != 0);
            let contexts =
                numbers.map(|n| listed(n, if n % 11 == 0 { 0 } else { 256 + n / 2 + n % 3 * round }));
            let contexts: Vec<_> = contexts.collect();
            let count = contexts.len();
            replace(&mut database, contexts);
            assert_eq!(database.len(), count);
            database.check();
        }
    }

    #[test]
    fn without_an_spi_traffic_and_selectors_tell_what_is_the_same() {
        let mut database = Database::default();
        replace(&mut database, vec![listed(1, 0), listed(2, 0)]);
        replace(&mut database, vec![listed(2, 0), listed(3, 0)]);
        let ids: Vec<u64> = database.after(None).map(|context| context.id.0).collect();
        assert_eq!(ids, [2, 3]);
    }
}
