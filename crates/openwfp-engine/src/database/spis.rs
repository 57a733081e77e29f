//! The SPI index: which contexts may hold an SPI, in one index for all versions of the database.
//!
//! It covers at least the newest version and the one that an open transaction writes, and may hold
//! more. Callers therefore check the context in their own version. In return it need not be persistent:
//! finding or inserting a random SPI costs one cache miss instead of one per level of a tree.
//!
//! The index is split into many small tables because a table grows all at once: a writer then waits
//! only while a small one grows.

use foldhash::fast::RandomState;
use hashbrown::HashTable;
use hashbrown::hash_table::Entry;
use openwfp_api::SaContextId;
use openwfp_api::Spi;
use std::hash::BuildHasher;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;

/// Number of tables; a power of two.
const TABLES: usize = 1024;

/// The index. Each of its locks is held for one lookup, during which no other lock is taken.
pub(crate) struct SpiIndex {
    /// A keyed hash, because peers choose SPIs too.
    hasher: RandomState,
    tables: Box<[Mutex<HashTable<Holder>>]>,
}

/// An SPI and the id of a context, in 12 bytes; a 64-bit field for the id would make it 16.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Holder {
    spi: u32,
    id: [u32; 2],
}

impl Holder {
    #[allow(clippy::cast_possible_truncation, reason = "the two halves")]
    fn new(spi: Spi, id: SaContextId) -> Holder {
        Holder { spi: spi.get(), id: [(id.0 >> 32) as u32, id.0 as u32] }
    }

    fn id(self) -> SaContextId {
        SaContextId(u64::from(self.id[0]) << 32 | u64::from(self.id[1]))
    }
}

impl Default for SpiIndex {
    fn default() -> SpiIndex {
        let tables = (0..TABLES).map(|_| Mutex::new(HashTable::new())).collect();
        SpiIndex { hasher: RandomState::default(), tables }
    }
}

impl SpiIndex {
    /// Notes that a context holds an SPI.
    pub(crate) fn insert(&self, spi: Spi, id: SaContextId) {
        let hash = self.hash(spi);
        let entry = Holder::new(spi, id);
        let rehash = |entry: &Holder| self.hasher.hash_one(entry.spi);
        if let Entry::Vacant(vacant) = self.table(hash).entry(hash, |other| *other == entry, rehash) {
            vacant.insert(entry);
        }
    }

    /// Notes that a context no longer holds an SPI.
    pub(crate) fn remove(&self, spi: Spi, id: SaContextId) {
        let hash = self.hash(spi);
        if let Ok(found) = self.table(hash).find_entry(hash, |other| *other == Holder::new(spi, id)) {
            found.remove();
        }
    }

    /// Returns the contexts that may hold an SPI.
    pub(crate) fn holders(&self, spi: Spi) -> Vec<SaContextId> {
        let mut ids = Vec::new();
        self.find(spi, |id| {
            ids.push(id);
            false
        });
        ids
    }

    /// Returns the first context that may hold an SPI and for which `look` returns true.
    pub(crate) fn find(&self, spi: Spi, mut look: impl FnMut(SaContextId) -> bool) -> Option<SaContextId> {
        let hash = self.hash(spi);
        let table = self.table(hash);
        table.iter_hash(hash).filter(|held| held.spi == spi.get()).map(|held| held.id()).find(|id| look(*id))
    }

    fn hash(&self, spi: Spi) -> u64 {
        self.hasher.hash_one(spi.get())
    }

    fn table(&self, hash: u64) -> MutexGuard<'_, HashTable<Holder>> {
        // Use bits from the middle: a table uses the lowest and the highest ones itself.
        let at = usize::try_from(hash >> 32).unwrap_or(0) % TABLES;
        self.tables[at].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_spi_has_the_contexts_that_were_noted_and_not_removed() {
        let index = SpiIndex::default();
        let spi = |value| Spi::new(value).unwrap();
        let ids = [1, 2, u64::MAX, 1 << 33].map(SaContextId);
        for id in ids {
            index.insert(spi(7), id);
            index.insert(spi(7), id);
            index.insert(spi(8), id);
        }
        let mut held = index.holders(spi(7));
        held.sort_unstable();
        assert_eq!(held, [1, 2, 1 << 33, u64::MAX].map(SaContextId), "each once");
        index.remove(spi(7), ids[1]);
        index.remove(spi(9), ids[0]);
        assert_eq!((index.holders(spi(7)).len(), index.holders(spi(8)).len()), (3, 4));
        assert!(index.find(spi(7), |id| id.0 > 5).is_some_and(|id| id.0 > 5));
        assert!(index.find(spi(9), |_| true).is_none());
    }
}
