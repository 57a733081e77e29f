//! The database of SA contexts: one version of it, with its indexes.
//!
//! Invariants:
//! 1. A clone is a snapshot: it shares all with its original and costs the same at any size.
//! 2. The indexes hold exactly the addresses and SPIs of the contexts in the map.
//! 3. Ids are given by the caller, and a new context's is above all that were ever given.

mod index;

use imbl::OrdMap;
use imbl::OrdSet;
pub(crate) use index::AddressKey;
pub(crate) use index::SpiKey;
use openwfp_api::Completeness;
use openwfp_api::Direction;
use openwfp_api::Endpoints;
use openwfp_api::Protocol;
use openwfp_api::SaContext;
use openwfp_api::SaContextId;
use openwfp_api::Spi;
use openwfp_api::Version;
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
    by_spi: OrdSet<SpiKey>,
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

    /// The contexts behind an id, in ascending order; none: all.
    pub(crate) fn after(&self, id: Option<SaContextId>) -> impl Iterator<Item = &Arc<SaContext>> {
        let start = id.map_or(Bound::Unbounded, Bound::Excluded);
        self.contexts.range((start, Bound::Unbounded)).map(|(_, context)| context)
    }

    /// The ids of contexts whose address on a side lies between two, sorted by address and then by id.
    pub(crate) fn ids_between(
        &self,
        side: Side,
        (low, high): (IpAddr, IpAddr),
        after: Option<SaContextId>,
    ) -> impl DoubleEndedIterator<Item = SaContextId> {
        let index = match side {
            Side::Local => &self.by_local,
            Side::Remote => &self.by_remote,
        };
        let first = after.map_or(0, |id| id.0.saturating_add(1));
        let range = AddressKey::new(low, SaContextId(first))..=AddressKey::new(high, SaContextId(u64::MAX));
        index.range(range).map(AddressKey::id)
    }

    /// The ids of contexts that hold an SPI in whichever direction, sorted, each once.
    pub(crate) fn ids_with_spi(&self, spi: Spi) -> Vec<SaContextId> {
        let mut ids: Vec<_> =
            self.by_spi.range(SpiKey::all_of(spi.get()..=spi.get())).map(SpiKey::id).collect();
        ids.sort_unstable();
        ids.dedup();
        ids
    }

    /// The ids of contexts that hold exactly this SA: one, unless marks keep several apart.
    pub(crate) fn ids_with_sa(
        &self,
        spi: Spi,
        protocol: Protocol,
        destination: IpAddr,
    ) -> impl Iterator<Item = SaContextId> {
        let held = move |id: &SaContextId| {
            self.get(*id).is_some_and(|context| sas(context).any(|sa| sa == (spi, protocol, destination)))
        };
        self.by_spi.range(SpiKey::all_of_sa(spi, protocol)).map(SpiKey::id).filter(held)
    }

    /// The lowest SPI of a range that no SA of ESP or AH at an address has.
    pub(crate) fn first_free_spi(&self, local: IpAddr, range: RangeInclusive<u32>) -> Option<Spi> {
        let (mut free, high) = range.clone().into_inner();
        for key in self.by_spi.range(SpiKey::all_of(range)) {
            if key.spi() > free {
                break;
            }
            let is_here = |(spi, protocol, to): (Spi, Protocol, IpAddr)| {
                (spi.get(), protocol.number()) == (key.spi(), key.protocol()) && to == local
            };
            let counts = key.protocol() != Protocol::Ipcomp.number();
            if key.spi() == free
                && counts
                && self.get(key.id()).is_some_and(|context| sas(context).any(is_here))
            {
                if free == high {
                    return None;
                }
                free += 1;
            }
        }
        Spi::new(free)
    }

    /// Puts in contexts with new ids, sorted by them.
    ///
    /// The maps get their keys sorted, as [`fill_nodes`] says.
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
        let mut keys = Vec::with_capacity(2 * contexts.len());
        keys.extend(contexts.iter().flat_map(|context| spi_keys(context)));
        keys.sort_unstable();
        fill_nodes(&keys, |key| {
            self.by_spi.insert(key);
        });
    }

    /// Puts a context in, in place of one with the same id.
    pub(crate) fn put(&mut self, context: Arc<SaContext>) {
        let old = self.contexts.get(&context.id);
        if !old.is_some_and(|old| has_same_keys(old, &context)) {
            if let Some(old) = old.cloned() {
                self.unlink(&old);
            }
            self.link(&context);
        }
        self.contexts.insert(context.id, context);
    }

    /// Takes a context out.
    pub(crate) fn remove(&mut self, id: SaContextId) -> Option<Arc<SaContext>> {
        let old = self.contexts.remove(&id)?;
        self.unlink(&old);
        Some(old)
    }

    fn link(&mut self, context: &SaContext) {
        let endpoints = &context.traffic.endpoints;
        self.by_local.insert(AddressKey::new(endpoints.local(), context.id));
        self.by_remote.insert(AddressKey::new(endpoints.remote(), context.id));
        for key in spi_keys(context) {
            self.by_spi.insert(key);
        }
    }

    fn unlink(&mut self, context: &SaContext) {
        let endpoints = &context.traffic.endpoints;
        self.by_local.remove(&AddressKey::new(endpoints.local(), context.id));
        self.by_remote.remove(&AddressKey::new(endpoints.remote(), context.id));
        for key in spi_keys(context) {
            self.by_spi.remove(&key);
        }
    }

    /// Whether invariant 2 holds; slow, for tests.
    #[cfg(test)]
    pub(crate) fn check(&self) {
        let mut fresh = Database::default();
        for context in self.contexts.values() {
            fresh.link(context);
        }
        assert!(fresh.by_local == self.by_local && fresh.by_remote == self.by_remote);
        assert!(fresh.by_spi == self.by_spi);
    }
}

/// Inserts sorted entries, every second one first and then those between them.
///
/// A B-tree that takes ascending keys splits each full node in halves and never comes back to the left
/// one: half of its memory stays empty. The second round fills those halves.
fn fill_nodes<T: Clone>(sorted: &[T], insert: impl FnMut(T)) {
    let between = sorted.iter().skip(1).step_by(2);
    sorted.iter().step_by(2).chain(between).cloned().for_each(insert);
}

/// The keys of the SPIs that a context holds.
pub(crate) fn spi_keys(context: &SaContext) -> impl Iterator<Item = SpiKey> {
    sas(context).map(|(spi, protocol, _)| SpiKey::new(spi, protocol, context.id))
}

/// SPI, protocol and destination of everything in a context that has an SPI.
pub(crate) fn sas(context: &SaContext) -> impl Iterator<Item = (Spi, Protocol, IpAddr)> {
    let endpoints = context.traffic.endpoints;
    let larval = match context.state {
        // Which protocol it will have is not known yet.
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

fn has_same_keys(old: &SaContext, new: &SaContext) -> bool {
    old.traffic.endpoints == new.traffic.endpoints && sas(old).eq(sas(new))
}
