//! Makes the database equal to a new listing; contexts that are still listed keep their ids.

use crate::change::Change;
use crate::database::Database;
use crate::database::sas;
use crate::statistics::Growth;
use openwfp_api::Direction;
use openwfp_api::DirectionCounters;
use openwfp_api::Sa;
use openwfp_api::SaContext;
use openwfp_api::SaContextId;
use openwfp_api::SaDetails;
use openwfp_api::SaList;
use openwfp_api::SaState;
use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;

/// Makes the database hold exactly the listed contexts. Returns the changes and the ids of the listed
/// contexts, in their order. Calls `grown` with the growth of the counters of contexts that stay.
///
/// A listed context continues one of the database if both have the same endpoints and mark and share an
/// SA: it keeps the id, and its counters continue in the same cell. Contexts without an SPI must have
/// the same endpoints and selectors.
pub(crate) fn replace(
    database: &mut Database,
    listed: Vec<SaContext>,
    new_id: &dyn Fn() -> SaContextId,
    grown: &mut dyn FnMut(&SaContext, Direction, Growth),
) -> (Vec<Change>, Vec<SaContextId>) {
    let mut changes = Vec::new();
    let mut kept = HashSet::with_capacity(if database.len() == 0 { 0 } else { listed.len() });
    let mut new = Vec::new();
    let mut ids = Vec::with_capacity(listed.len());
    for mut context in listed {
        match find(database, &context, |id| kept.contains(&id)) {
            Some(old) => {
                kept.insert(old.id);
                ids.push(old.id);
                changes.extend(renew(database, old, context, grown));
            }
            None => {
                context.id = new_id();
                ids.push(context.id);
                new.push(Arc::new(context));
            }
        }
    }
    let gone: Vec<SaContextId> =
        database.after(None).map(|context| context.id).filter(|id| !kept.contains(id)).collect();
    for id in gone {
        let old = database.remove(id);
        changes.push(Change { id, old, new: None });
    }
    database.put_new(&new);
    changes.extend(new.into_iter().map(|context| Change { id: context.id, old: None, new: Some(context) }));
    (changes, ids)
}

/// Returns the context of the database that a listed one continues, unless `is_taken` says that another
/// listed one already continues it.
pub(crate) fn find(
    database: &Database,
    listed: &SaContext,
    is_taken: impl Fn(SaContextId) -> bool,
) -> Option<Arc<SaContext>> {
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
        .filter(|id| !is_taken(*id))
        .filter_map(|id| database.get(id))
        .find(|old| old.traffic.endpoints == listed.traffic.endpoints && is_continued_by(old, listed))
        .cloned()
}

fn is_continued_by(old: &SaContext, listed: &SaContext) -> bool {
    match sas(listed).next() {
        None => sas(old).next().is_none() && old.selectors == listed.selectors,
        // The index compares SPI, protocol and destination; SAs that agree in all of them may have other
        // marks.
        Some(_) => mark(old) == mark(listed),
    }
}

fn mark(context: &SaContext) -> Option<openwfp_api::Mark> {
    context
        .directions()
        .find_map(|(_, details)| details.bundle.sas.first().linux.as_ref().and_then(|linux| linux.mark()))
}

fn renew(
    database: &mut Database,
    old: Arc<SaContext>,
    listed: SaContext,
    grown: &mut dyn FnMut(&SaContext, Direction, Growth),
) -> Option<Change> {
    let change = renewal(old, listed, grown)?;
    if let Some(new) = &change.new {
        database.put(Arc::clone(new));
    }
    Some(change)
}

/// Returns the change that makes a context what the provider now reports; `None` if nothing differs.
pub(crate) fn renewal(
    old: Arc<SaContext>,
    mut listed: SaContext,
    grown: &mut dyn FnMut(&SaContext, Direction, Growth),
) -> Option<Change> {
    listed.id = old.id;
    // The provider does not know what the API reserved for SAs still to be added.
    if (listed.inbound.is_none() || listed.outbound.is_none()) && old.acquire().is_none() {
        listed.reservation.clone_from(&old.reservation);
    }
    // Nor does it know that the context is expiring.
    if matches!(old.state, SaState::Expiring { .. }) && listed.inbound.is_some() {
        listed.state = old.state;
        listed.outbound = None;
    }
    take_counters(&old, &mut listed, grown);
    if listed == *old {
        return None;
    }
    Some(Change { id: old.id, old: Some(old), new: Some(Arc::new(listed)) })
}

/// Returns a context that this engine installed, updated with what the provider reports of its SAs;
/// `None` if nothing differs.
pub(crate) fn refreshed(
    old: &Arc<SaContext>,
    mut listed: SaContext,
    grown: &mut dyn FnMut(&SaContext, Direction, Growth),
) -> Option<SaContext> {
    listed.id = old.id;
    take_counters(old, &mut listed, grown);
    let mut new = SaContext::clone(old);
    for (slot, listed) in [(&mut new.inbound, listed.inbound), (&mut new.outbound, listed.outbound)] {
        let (Some(details), Some(listed)) = (slot, listed) else { continue };
        // A listing may hold only part of a bundle, because its states enter the kernel one by one.
        let key = |sa: &Sa| (sa.spi, sa.transform.protocol());
        let same = |sa: &Sa| listed.bundle.sas.iter().find(|listed| key(listed) == key(sa));
        if details.bundle.sas.iter().all(|sa| same(sa).is_none()) {
            continue;
        }
        let sas = details.bundle.sas.iter().map(|sa| {
            let known = same(sa).and_then(|listed| listed.linux.clone());
            Sa { linux: known.or_else(|| sa.linux.clone()), ..sa.clone() }
        });
        if let Ok(sas) = SaList::new(sas) {
            details.bundle.sas = sas;
        }
        details.udp_encapsulation = listed.udp_encapsulation;
    }
    new.traffic.endpoints = listed.traffic.endpoints;
    let mut filters =
        [Direction::Inbound, Direction::Outbound].into_iter().map(|of| new.selectors.filter(of));
    if filters.all(|filter| filter.is_none()) && !listed.selectors.is_empty() {
        // Without a filter object, the provider chose the policies.
        new.selectors = listed.selectors;
    }
    (new != **old).then_some(new)
}

/// Makes a new value of a context share the counters of the old one, and updates them.
fn take_counters(
    old: &SaContext,
    listed: &mut SaContext,
    grown: &mut dyn FnMut(&SaContext, Direction, Growth),
) {
    let fresh = std::mem::replace(&mut listed.counters, Arc::clone(&old.counters));
    for direction in [Direction::Inbound, Direction::Outbound] {
        let (before, now) = (old.details(direction), listed.details(direction));
        // A direction that is missing from the listing keeps its counters.
        if before.is_some() && now.is_none() {
            continue;
        }
        let (cell, fresh) = (old.counters.direction(direction), fresh.direction(direction));
        if now.is_some() && !is_same_sa(old, listed, direction) {
            if is_in(before, 1, now) {
                cell.asked.store(DirectionCounters::FINAL, Ordering::Relaxed);
                continue;
            }
            restart(old, direction);
            let other = match direction {
                Direction::Inbound => &old.outbound,
                Direction::Outbound => &old.inbound,
            };
            if is_in(other.as_ref(), 0, now) {
                // What it has counted for the other direction is in the totals already.
                raise(cell, fresh);
                continue;
            }
        }
        if cell.asked.load(Ordering::Relaxed) != DirectionCounters::FINAL {
            grown(listed, direction, raise(cell, fresh));
        }
    }
}

/// Returns whether a direction has the same SA in two values of a context. An SA is the same as long as its SPI, its protocol
/// and its time of addition are; what it has counted tells nothing.
fn is_same_sa(old: &SaContext, new: &SaContext, direction: Direction) -> bool {
    let sa = |context: &SaContext| {
        let first = context.details(direction)?.bundle.sas.first();
        let added = first.linux.as_ref().map_or(0, |linux| linux.added);
        Some((first.spi, first.transform.protocol(), added))
    };
    match (sa(old), sa(new)) {
        (Some((spi, protocol, added)), Some((other_spi, other_protocol, other_added))) => {
            (spi, protocol) == (other_spi, other_protocol)
                && (added == other_added || added == 0 || other_added == 0)
        }
        _ => false,
    }
}

/// Returns whether the first SA of a bundle is in another one, at a place or after it.
fn is_in(other: Option<&SaDetails>, place: usize, bundle: Option<&SaDetails>) -> bool {
    let key = |sa: &Sa| (sa.spi, sa.transform.protocol());
    let first = bundle.map(|details| key(details.bundle.sas.first()));
    other.is_some_and(|details| details.bundle.sas.iter().skip(place).any(|sa| Some(key(sa)) == first))
}

/// Lets a direction count from 0 again, as for a new SA; the totals go on.
pub(crate) fn restart(context: &SaContext, direction: Direction) {
    let cell = context.counters.direction(direction);
    if cell.traffic() != (0, 0) {
        crate::statistics::totals(context);
    }
    for wide in [&cell.bytes, &cell.packets, &cell.last_used] {
        wide.store(0, Ordering::Relaxed);
    }
    for small in [&cell.replay_window_drops, &cell.replay_drops, &cell.integrity_failures, &cell.asked] {
        small.store(0, Ordering::Relaxed);
    }
}

/// Stores fresh counters of an SA and returns how much they grew. They never fall: smaller ones are older.
pub(crate) fn raise(cell: &DirectionCounters, fresh: &DirectionCounters) -> Growth {
    let wide = |to: &AtomicU64, from: &AtomicU64| {
        let new = from.load(Ordering::Relaxed);
        new.saturating_sub(to.fetch_max(new, Ordering::Relaxed))
    };
    let small = |to: &AtomicU32, from: &AtomicU32| {
        let new = from.load(Ordering::Relaxed);
        u64::from(new.saturating_sub(to.fetch_max(new, Ordering::Relaxed)))
    };
    wide(&cell.last_used, &fresh.last_used);
    Growth {
        bytes: wide(&cell.bytes, &fresh.bytes),
        packets: wide(&cell.packets, &fresh.packets),
        integrity_failures: small(&cell.integrity_failures, &fresh.integrity_failures),
        replay_failures: small(&cell.replay_window_drops, &fresh.replay_window_drops)
            + small(&cell.replay_drops, &fresh.replay_drops),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use openwfp_api::Endpoints;
    use openwfp_api::Mode;
    use openwfp_api::Spi;
    use openwfp_api::Traffic;
    use std::collections::BTreeMap;

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

    fn relist(database: &mut Database, listed: Vec<SaContext>) -> Vec<Change> {
        let newest = database.after(None).last().map_or(0, |context| context.id.0);
        let next = std::cell::Cell::new(newest);
        let new_id = || {
            next.set(next.get() + 1);
            SaContextId(next.get())
        };
        replace(database, listed, &new_id, &mut |_, _, _| {}).0
    }

    #[test]
    fn indexes_stay_true_through_listings_of_all_kinds() {
        let mut database = Database::default();
        for round in 0..40_u32 {
            // Some contexts stay, some are removed, some change their SPI, some have none; two peers share an SPI.
            let numbers = (0..300).filter(|n| (n * 7 + round) % 5 != 0);
            let contexts =
                numbers.map(|n| listed(n, if n % 11 == 0 { 0 } else { 256 + n / 2 + n % 3 * round }));
            let contexts: Vec<_> = contexts.collect();
            let count = contexts.len();
            let mut before: BTreeMap<_, _> = database.after(None).map(|c| (c.id, Arc::clone(c))).collect();
            for change in relist(&mut database, contexts) {
                let old = match change.new {
                    Some(new) => before.insert(change.id, new),
                    None => before.remove(&change.id),
                };
                assert_eq!(old, change.old);
            }
            assert_eq!(database.len(), count);
            assert!(
                database.after(None).eq(before.values()),
                "the changes lead from one listing to the next"
            );
            database.check();
        }
    }

    #[test]
    fn without_an_spi_traffic_and_selectors_tell_what_is_the_same() {
        let mut database = Database::default();
        relist(&mut database, vec![listed(1, 0), listed(2, 0)]);
        relist(&mut database, vec![listed(2, 0), listed(3, 0)]);
        let ids: Vec<u64> = database.after(None).map(|context| context.id.0).collect();
        assert_eq!(ids, [2, 3]);
    }
}
