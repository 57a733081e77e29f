//! Which contexts may hold an SPI: one index for all versions of the database.
//!
//! It says at least what every version that is not an old one holds, and perhaps more: whoever asks looks at the
//! context in the version at hand. So it need not be persistent, and finding or noting a random SPI costs one miss
//! of the cache instead of one for each level of a tree.
//!
//! It is many small tables, since a table grows at one go: a writer waits for a small one's growth only.

use foldhash::fast::RandomState;
use hashbrown::HashTable;
use hashbrown::hash_table::Entry;
use openwfp_api::SaContextId;
use openwfp_api::Spi;
use std::hash::BuildHasher;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;

/// A power of two.
const TABLES: usize = 1024;

/// The index. Its locks are held for one look each, and nothing else is locked meanwhile.
pub(crate) struct SpiIndex {
    /// Peers choose SPIs too, so that the hash is keyed.
    hasher: RandomState,
    tables: Box<[Mutex<HashTable<Holder>>]>,
}

/// An SPI and the id of a context, in 12 bytes: whole words of 64 bits would make it 16.
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

    /// Notes that it does no longer.
    pub(crate) fn remove(&self, spi: Spi, id: SaContextId) {
        let hash = self.hash(spi);
        if let Ok(found) = self.table(hash).find_entry(hash, |other| *other == Holder::new(spi, id)) {
            found.remove();
        }
    }

    /// The contexts that may hold an SPI.
    pub(crate) fn holders(&self, spi: Spi) -> Vec<SaContextId> {
        let mut ids = Vec::new();
        self.find(spi, |id| {
            ids.push(id);
            false
        });
        ids
    }

    /// The first context for which the look says yes, of those that may hold an SPI.
    pub(crate) fn find(&self, spi: Spi, mut look: impl FnMut(SaContextId) -> bool) -> Option<SaContextId> {
        let hash = self.hash(spi);
        let table = self.table(hash);
        table.iter_hash(hash).filter(|held| held.spi == spi.get()).map(|held| held.id()).find(|id| look(*id))
    }

    fn hash(&self, spi: Spi) -> u64 {
        self.hasher.hash_one(spi.get())
    }

    fn table(&self, hash: u64) -> MutexGuard<'_, HashTable<Holder>> {
        // Bits from the middle: a table uses the lowest and the highest itself.
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
