//! Makes the database equal to a new listing; contexts that are still listed keep their ids.

use crate::change::Change;
use crate::database::Database;
use crate::database::sas;
use crate::statistics::Growth;
use openwfp_api::Direction;
use openwfp_api::DirectionCounters;
use openwfp_api::LinuxSa;
use openwfp_api::Mark;
use openwfp_api::Protocol;
use openwfp_api::Sa;
use openwfp_api::SaContext;
use openwfp_api::SaContextId;
use openwfp_api::SaDetails;
use openwfp_api::SaList;
use openwfp_api::SaState;
use openwfp_api::Spi;
use std::collections::HashMap;
use std::collections::HashSet;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;

/// What one direction of a context has counted.
pub(crate) type Counts = (SaContextId, Direction, Growth);

/// Makes the database hold exactly the listed contexts. Returns the changes, the ids of the listed contexts in
/// their order, and what the SAs of new ones have counted in older ones. Calls `grown` with the growth of the counters of contexts that stay.
///
/// A listed context continues one of the database if both have the same endpoints and mark and share an
/// SA: it keeps the id, and its counters continue in the same cell. Contexts without an SPI must have
/// the same endpoints and selectors.
pub(crate) fn replace(
    database: &mut Database,
    listed: Vec<SaContext>,
    new_id: &dyn Fn() -> SaContextId,
    grown: &mut dyn FnMut(&SaContext, Direction, Growth),
) -> (Vec<Change>, Vec<SaContextId>, Vec<Counts>) {
    let mut changes = Vec::new();
    let before = database.clone();
    let (mut parted, mut moved) = (Parted::default(), Vec::new());
    let mut kept = HashSet::with_capacity(if database.len() == 0 { 0 } else { listed.len() });
    let mut new = Vec::new();
    let mut ids = Vec::with_capacity(listed.len());
    for mut context in listed {
        match find(database, &context, |id| kept.contains(&id)) {
            Some(old) => {
                kept.insert(old.id);
                ids.push(old.id);
                changes.extend(renew(database, old, context, &mut parted.among(&before), grown));
            }
            None => {
                context.id = new_id();
                ids.push(context.id);
                moved.extend(parted.among(&before).counted(&context));
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
    (changes, ids, moved)
}

/// What SAs have counted that have left their contexts, for those of them that enter others: a provider may learn late which SAs
/// belong together.
#[derive(Default)]
pub(crate) struct Parted(HashMap<SaKey, (u64, DirectionCounters)>);

/// An SA, apart from its time of addition.
type SaKey = (Spi, Protocol, IpAddr, Option<Mark>);

/// Maximum number of SAs to remember that have left their contexts.
const PARTED_MAX: usize = 65_536;

impl Parted {
    /// Notes what the first SA of a direction has counted that leaves a context.
    pub(crate) fn leave(&mut self, context: &SaContext, direction: Direction) {
        let cell = context.counters.direction(direction);
        // Also one that has counted nothing: its place may be another SA's soon.
        if let Some((key, added)) = first_sa(context, direction)
            && self.0.len() < PARTED_MAX
        {
            let counted = DirectionCounters::default();
            raise(&counted, cell);
            self.0.insert(key, (added, counted));
        }
    }

    /// Also finds SAs that are still in a context of a database.
    pub(crate) fn among<'p>(&'p mut self, database: &'p Database) -> Counted<'p> {
        Counted { parted: self, database }
    }
}

/// Where to look for what an SA has counted in another context.
pub(crate) struct Counted<'p> {
    parted: &'p mut Parted,
    database: &'p Database,
}

impl Counted<'_> {
    /// Raises counters to what the first SA of a direction has counted elsewhere; returns by how much.
    fn raise(&mut self, context: &SaContext, direction: Direction, cell: &DirectionCounters) -> Growth {
        let Some((key, added)) = first_sa(context, direction) else { return Growth::default() };
        let is_same = |other: u64| added == other || added == 0 || other == 0;
        if let Some((of, counted)) = self.parted.0.remove(&key)
            && is_same(of)
        {
            return raise(cell, &counted);
        }
        if self.parted.0.len() >= PARTED_MAX {
            // What is still in a context may have left it.
            return Growth::default();
        }
        let (spi, protocol, destination, _) = key;
        for id in self.database.ids_with_sa(spi, protocol, destination) {
            let Some(holder) = self.database.get(id) else { continue };
            for side in [Direction::Inbound, Direction::Outbound] {
                if first_sa(holder, side).is_some_and(|(other, of)| other == key && is_same(of)) {
                    return raise(cell, holder.counters.direction(side));
                }
            }
        }
        Growth::default()
    }

    /// Returns what the SAs of a new context have counted elsewhere.
    pub(crate) fn counted(&mut self, context: &SaContext) -> Vec<Counts> {
        let mut counted = Vec::new();
        if self.database.len() > 0 || !self.parted.0.is_empty() {
            for (direction, _) in context.directions() {
                let growth = self.raise(context, direction, &DirectionCounters::default());
                if growth.packets > 0 || growth.bytes > 0 {
                    counted.push((context.id, direction, growth));
                }
            }
        }
        counted
    }
}

/// Returns the SA of a direction whose counters the context shows, and its time of addition; 0 if unknown.
fn first_sa(context: &SaContext, direction: Direction) -> Option<(SaKey, u64)> {
    let first = context.details(direction)?.bundle.sas.first();
    let endpoints = context.traffic.endpoints;
    let destination = match direction {
        Direction::Inbound => endpoints.local(),
        Direction::Outbound => endpoints.remote(),
    };
    let linux = first.linux.as_deref();
    let mark = linux.and_then(LinuxSa::mark);
    let added = linux.map_or(0, |linux| linux.added);
    Some(((first.spi, first.transform.protocol(), destination, mark), added))
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

fn mark(context: &SaContext) -> Option<Mark> {
    context
        .directions()
        .find_map(|(_, details)| details.bundle.sas.first().linux.as_ref().and_then(|linux| linux.mark()))
}

fn renew(
    database: &mut Database,
    old: Arc<SaContext>,
    listed: SaContext,
    counted: &mut Counted<'_>,
    grown: &mut dyn FnMut(&SaContext, Direction, Growth),
) -> Option<Change> {
    let change = renewal(old, listed, counted, grown)?;
    if let Some(new) = &change.new {
        database.put(Arc::clone(new));
    }
    Some(change)
}

/// Returns the change that makes a context what the provider now reports; `None` if nothing differs.
pub(crate) fn renewal(
    old: Arc<SaContext>,
    mut listed: SaContext,
    counted: &mut Counted<'_>,
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
    take_counters(&old, &mut listed, Listed::Whole, counted, grown);
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
    counted: &mut Counted<'_>,
    grown: &mut dyn FnMut(&SaContext, Direction, Growth),
) -> Option<SaContext> {
    listed.id = old.id;
    take_counters(old, &mut listed, Listed::InPart, counted, grown);
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

/// Whether a listed context has all SAs that it is going to have.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Listed {
    Whole,
    InPart,
}

/// Makes a new value of a context share the counters of the old one, and updates them.
fn take_counters(
    old: &SaContext,
    listed: &mut SaContext,
    how: Listed,
    counted: &mut Counted<'_>,
    grown: &mut dyn FnMut(&SaContext, Direction, Growth),
) {
    let fresh = std::mem::replace(&mut listed.counters, Arc::clone(&old.counters));
    for direction in [Direction::Inbound, Direction::Outbound] {
        let (before, now) = (old.details(direction), listed.details(direction));
        // A direction that is missing from the listing keeps its counters.
        if before.is_some() && now.is_none() {
            counted.parted.leave(old, direction);
            continue;
        }
        let (cell, fresh) = (old.counters.direction(direction), fresh.direction(direction));
        if now.is_some() && !is_same_sa(old, listed, direction) {
            if is_after_first(before, now) {
                if how == Listed::Whole {
                    cell.asked.store(DirectionCounters::FINAL, Ordering::Relaxed);
                }
                continue;
            }
            let elsewhere = DirectionCounters::default();
            counted.raise(listed, direction, &elsewhere);
            counted.parted.leave(old, direction);
            restart(old, direction);
            raise(cell, &elsewhere);
        }
        if cell.asked.load(Ordering::Relaxed) != DirectionCounters::FINAL {
            grown(listed, direction, raise(cell, fresh));
        }
    }
}

/// Returns whether a direction has the same SA in two values of a context. An SA is the same as long as its SPI, its protocol
/// and its time of addition are; what it has counted tells nothing.
fn is_same_sa(old: &SaContext, new: &SaContext, direction: Direction) -> bool {
    match (first_sa(old, direction), first_sa(new, direction)) {
        // The destination moves with a peer.
        (Some(((spi, protocol, ..), added)), Some(((other_spi, other_protocol, ..), other_added))) => {
            (spi, protocol) == (other_spi, other_protocol)
                && (added == other_added || added == 0 || other_added == 0)
        }
        _ => false,
    }
}

/// Returns whether the first SA of a bundle was in it before, but not the first.
fn is_after_first(before: Option<&SaDetails>, now: Option<&SaDetails>) -> bool {
    let key = |sa: &Sa| (sa.spi, sa.transform.protocol());
    let first = now.map(|details| key(details.bundle.sas.first()));
    before.is_some_and(|details| details.bundle.sas.iter().skip(1).any(|sa| Some(key(sa)) == first))
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
