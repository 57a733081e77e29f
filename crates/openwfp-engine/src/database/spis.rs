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

type Holder = (u32, SaContextId);

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
        let entry = (spi.get(), id);
        let rehash = |entry: &Holder| self.hasher.hash_one(entry.0);
        if let Entry::Vacant(vacant) = self.table(hash).entry(hash, |other| *other == entry, rehash) {
            vacant.insert(entry);
        }
    }

    /// Notes that it does no longer.
    pub(crate) fn remove(&self, spi: Spi, id: SaContextId) {
        let hash = self.hash(spi);
        if let Ok(found) = self.table(hash).find_entry(hash, |other| *other == (spi.get(), id)) {
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
        table.iter_hash(hash).filter(|(other, _)| *other == spi.get()).map(|(_, id)| *id).find(|id| look(*id))
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
