//! One version of the database of SA contexts, with its indexes.
//!
//! Invariants:
//! 1. A clone is a snapshot: it shares everything with the original and costs the same at any size.
//! 2. The address indexes hold exactly the addresses of the contexts in the map, the SPI index at least
//!    their SPIs.
//! 3. The caller assigns ids; the id of a new context is higher than any assigned before.

mod index;
mod spis;

use crate::objects::FIRST_ID;
use crate::objects::Objects;
use crate::objects::selectors;
use imbl::OrdMap;
use imbl::OrdSet;
pub(crate) use index::AddressKey;
use openwfp_api::Completeness;
use openwfp_api::Direction;
use openwfp_api::Endpoints;
use openwfp_api::Protocol;
use openwfp_api::SaContext;
use openwfp_api::SaContextId;
use openwfp_api::Spi;
use openwfp_api::Version;
use spis::SpiIndex;
use std::net::IpAddr;
use std::ops::Bound;
use std::ops::RangeInclusive;
use std::sync::Arc;

/// One version of the database.
#[derive(Clone, Default)]
pub(crate) struct Database {
    contexts: OrdMap<SaContextId, Arc<SaContext>>,
    by_local: OrdSet<AddressKey>,
    by_remote: OrdSet<AddressKey>,
    spis: Arc<SpiIndex>,
    /// The filters and tunnel policies of this engine that contexts refer to, each with the context's id.
    uses: OrdSet<(u64, SaContextId)>,
    pub(crate) objects: Arc<Objects>,
    pub(crate) version: Version,
    pub(crate) completeness: Completeness,
}

/// One of the two indexes of addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Local,
    Remote,
}

impl Database {
    pub(crate) fn len(&self) -> usize {
        self.contexts.len()
    }

    pub(crate) fn get(&self, id: SaContextId) -> Option<&Arc<SaContext>> {
        self.contexts.get(&id)
    }

    /// Returns the contexts after an id, in ascending order, or all of them without an id.
    pub(crate) fn after(&self, id: Option<SaContextId>) -> impl Iterator<Item = &Arc<SaContext>> {
        let start = id.map_or(Bound::Unbounded, Bound::Excluded);
        self.contexts.range((start, Bound::Unbounded)).map(|(_, context)| context)
    }

    /// Returns the ids of contexts whose address on a side lies in a range, sorted by address and then by
    /// id. `after` skips ids at the lowest address only.
    pub(crate) fn ids_between(
        &self,
        side: Side,
        (low, high): (IpAddr, IpAddr),
        after: Option<SaContextId>,
    ) -> impl Iterator<Item = SaContextId> {
        let first = after.map_or(0, |id| id.0.saturating_add(1));
        let range = AddressKey::new(low, SaContextId(first))..=AddressKey::new(high, SaContextId(u64::MAX));
        self.by(side).range(range).map(AddressKey::id)
    }

    /// Returns the ids of contexts that hold an SPI in either direction, sorted.
    pub(crate) fn ids_with_spi(&self, spi: Spi) -> Vec<SaContextId> {
        let mut ids = self.spis.holders(spi);
        ids.retain(|id| self.get(*id).is_some_and(|context| holds(context, spi)));
        ids.sort_unstable();
        ids
    }

    /// Returns the ids of contexts that hold exactly this SA, sorted: one, unless several differ in their
    /// marks.
    pub(crate) fn ids_with_sa(&self, spi: Spi, protocol: Protocol, destination: IpAddr) -> Vec<SaContextId> {
        let mut ids = self.spis.holders(spi);
        ids.retain(|id| {
            self.get(*id).is_some_and(|context| sas(context).any(|sa| sa == (spi, protocol, destination)))
        });
        ids.sort_unstable();
        ids
    }

    /// Returns the context, other than `except`, that receives ESP or AH with this SPI at a local address.
    pub(crate) fn receiver(
        &self,
        spi: Spi,
        local: IpAddr,
        except: Option<SaContextId>,
    ) -> Option<SaContextId> {
        let is_it = |(other, protocol, to): (Spi, Protocol, IpAddr)| {
            other == spi && to == local && protocol != Protocol::Ipcomp
        };
        self.spis
            .find(spi, |id| Some(id) != except && self.get(id).is_some_and(|context| sas(context).any(is_it)))
    }

    /// Returns the lowest SPI of a range that no ESP or AH SA at an address uses.
    pub(crate) fn first_free_spi(&self, local: IpAddr, mut range: RangeInclusive<u32>) -> Option<Spi> {
        range.find_map(|spi| Spi::new(spi).filter(|spi| self.receiver(*spi, local, None).is_none()))
    }

    /// Returns the ids of contexts with this address on a side, the newest first.
    pub(crate) fn newest_ids_at(&self, side: Side, address: IpAddr) -> impl Iterator<Item = SaContextId> {
        let last = AddressKey::new(address, SaContextId(u64::MAX));
        self.by(side).range(..=last).rev().take_while(move |key| key.is_at(&last)).map(AddressKey::id)
    }

    fn by(&self, side: Side) -> &OrdSet<AddressKey> {
        match side {
            Side::Local => &self.by_local,
            Side::Remote => &self.by_remote,
        }
    }

    /// Inserts contexts with new ids; `contexts` is sorted by id.
    ///
    /// Each map gets its keys sorted, in the order of [`fill_nodes`].
    pub(crate) fn put_new(&mut self, contexts: &[Arc<SaContext>]) {
        fill_nodes(contexts, |context| {
            self.contexts.insert(context.id, context);
        });
        for (index, address) in [
            (&mut self.by_local, Endpoints::local as fn(&Endpoints) -> IpAddr),
            (&mut self.by_remote, Endpoints::remote),
        ] {
            let key =
                |context: &Arc<SaContext>| AddressKey::new(address(&context.traffic.endpoints), context.id);
            let mut keys: Vec<AddressKey> = contexts.iter().map(key).collect();
            keys.sort_unstable();
            fill_nodes(&keys, |key| {
                index.insert(key);
            });
        }
        for context in contexts {
            self.note_spis(context, None);
            self.note_uses(None, Some(context));
        }
    }

    /// Inserts a context, or replaces the one with the same id. Updates only index entries that differ.
    pub(crate) fn put(&mut self, context: Arc<SaContext>) {
        let new = Arc::clone(&context);
        let old = self.contexts.insert(context.id, context);
        self.index(old.as_deref(), Some(&new));
    }

    /// Removes a context and returns it.
    pub(crate) fn remove(&mut self, id: SaContextId) -> Option<Arc<SaContext>> {
        let old = self.contexts.remove(&id)?;
        self.index(Some(&old), None);
        Some(old)
    }

    /// Updates the indexes from the old value of a context to the new one.
    fn index(&mut self, old: Option<&SaContext>, new: Option<&SaContext>) {
        let endpoints = |context: &SaContext| context.traffic.endpoints;
        let indexes = [
            (&mut self.by_local, Endpoints::local as fn(&Endpoints) -> IpAddr),
            (&mut self.by_remote, Endpoints::remote),
        ];
        let moved = old.map(endpoints) != new.map(endpoints);
        for (index, address) in indexes.into_iter().filter(|_| moved) {
            let key = |context: &SaContext| AddressKey::new(address(&context.traffic.endpoints), context.id);
            let (old, new) = (old.map(key), new.map(key));
            if old != new {
                old.map(|key| index.remove(&key));
                new.map(|key| index.insert(key));
            }
        }
        if let Some(new) = new {
            self.note_spis(new, old);
        }
        self.note_uses(old, new);
    }

    fn note_uses(&mut self, old: Option<&SaContext>, new: Option<&SaContext>) {
        let (before, after) = (uses(old), uses(new));
        if before == after {
            return;
        }
        // Both directions may refer to the same filter, so remove first and then insert what still applies.
        if let Some(old) = old {
            for id in before.into_iter().flatten() {
                self.uses.remove(&(id, old.id));
            }
        }
        if let Some(new) = new {
            for id in after.into_iter().flatten() {
                self.uses.insert((id, new.id));
            }
        }
    }

    /// Returns a context that refers to this filter or tunnel policy.
    pub(crate) fn user_of(&self, id: u64) -> Option<SaContextId> {
        self.users_of(id).next()
    }

    /// Returns the contexts that refer to this filter or tunnel policy.
    pub(crate) fn users_of(&self, id: u64) -> impl Iterator<Item = SaContextId> {
        self.uses.range((id, SaContextId(0))..=(id, SaContextId(u64::MAX))).map(|(_, user)| *user)
    }

    fn note_spis(&self, new: &SaContext, old: Option<&SaContext>) {
        for (spi, ..) in sas(new) {
            if !old.is_some_and(|old| holds(old, spi)) {
                self.spis.insert(spi, new.id);
            }
        }
    }

    /// Removes from the SPI index the SPIs that a context had in a version that is being dropped, except
    /// those that it has in this version or in `other`.
    pub(crate) fn forget_spis(&self, old: &SaContext, other: Option<&Database>) {
        let has = |database: &Database, spi| database.get(old.id).is_some_and(|context| holds(context, spi));
        for (spi, ..) in sas(old) {
            if !has(self, spi) && !other.is_some_and(|other| has(other, spi)) {
                self.spis.remove(spi, old.id);
            }
        }
    }

    /// Asserts invariant 2; slow, for tests.
    #[cfg(test)]
    pub(crate) fn check(&self) {
        let mut fresh = Database::default();
        for context in self.contexts.values() {
            fresh.index(None, Some(context));
        }
        assert!(fresh.by_local == self.by_local && fresh.by_remote == self.by_remote);
        assert!(fresh.uses == self.uses);
        for context in self.contexts.values() {
            assert!(sas(context).all(|(spi, ..)| self.ids_with_spi(spi).contains(&context.id)));
        }
    }
}

/// Returns the filters or tunnel policies of this engine that a context refers to, one per direction.
#[inline]
fn uses(context: Option<&SaContext>) -> [Option<u64>; 2] {
    [Direction::Inbound, Direction::Outbound].map(|direction| {
        let named = context.and_then(|context| selectors::named(context, direction));
        named.map(|id| id.0).filter(|id| *id >= FIRST_ID)
    })
}

/// Inserts sorted entries: first every second one, then those between them.
///
/// A B-tree that gets ascending keys splits each full node in half and never returns to the left half,
/// so half of its memory stays empty. The second pass fills those halves.
fn fill_nodes<T: Clone>(sorted: &[T], insert: impl FnMut(T)) {
    let between = sorted.iter().skip(1).step_by(2);
    sorted.iter().step_by(2).chain(between).cloned().for_each(insert);
}

/// Returns whether a context holds an SPI, in any direction and protocol.
pub(crate) fn holds(context: &SaContext, spi: Spi) -> bool {
    sas(context).any(|(other, ..)| other == spi)
}

/// Returns the SPI, protocol and destination of everything in a context that has an SPI.
pub(crate) fn sas(context: &SaContext) -> impl Iterator<Item = (Spi, Protocol, IpAddr)> {
    let endpoints = context.traffic.endpoints;
    let larval = match context.state {
        // The protocol is not known yet.
        openwfp_api::SaState::HasSpi { inbound_spi } => Some((inbound_spi, Protocol::Esp, endpoints.local())),
        _ => None,
    };
    let of_sas = context.directions().flat_map(move |(direction, details)| {
        let destination = match direction {
            Direction::Inbound => endpoints.local(),
            Direction::Outbound => endpoints.remote(),
        };
        details.bundle.sas.iter().map(move |sa| (sa.spi, sa.transform.protocol(), destination))
    });
    larval.into_iter().chain(of_sas)
}
