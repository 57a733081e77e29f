//! Old versions of the database that readers hold, and the memory that they cost.
//!
//! The maps share nodes, so they cannot tell how much memory an old version holds alone. An upper bound
//! is what changed since: the contexts that were replaced or removed and, for each change, the nodes on
//! its path in four maps, but never more than all nodes. The oldest version holds the most, including
//! everything that the other old versions hold. So the gauge is an upper bound that costs two numbers
//! per snapshot.

use crate::database::Database;
use crate::enumerator::Evict;
use crate::sync::Mutex;
use crate::sync::atomic::AtomicU64;
use crate::sync::atomic::Ordering;
use crate::sync::lock;
use openwfp_api::Counters;
use openwfp_api::SaContext;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::Weak;

/// Bytes of a replaced or removed context, including its counters and the allocator's overhead.
const CONTEXT: u64 = (size_of::<SaContext>() + size_of::<Counters>() + 64) as u64;
/// Bytes of the nodes that a change copies in all maps.
const NODES_A_CHANGE: u64 = 8 * 1024;
/// Bytes of all map nodes, per context.
const NODES_A_CONTEXT: u64 = 256;

/// The registry of an engine's snapshots.
#[derive(Default)]
pub(crate) struct Snapshots {
    changes: AtomicU64,
    replaced: AtomicU64,
    /// The number of changes at the oldest open snapshot; `u64::MAX` if none is open, 0 before the first.
    oldest: AtomicU64,
    open: Mutex<Open>,
}

#[derive(Default)]
struct Open {
    newest: u64,
    held: BTreeMap<(u64, u64), Held>,
}

struct Held {
    replaced: u64,
    contexts: u64,
    holder: Option<Weak<dyn Evict>>,
}

/// A version of the database that an enumerator or a transaction holds.
pub(crate) struct Snapshot {
    pub(crate) database: Database,
    ticket: Ticket,
}

struct Ticket {
    key: (u64, u64),
    registry: Arc<Snapshots>,
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let mut open = lock(&self.registry.open);
        open.held.remove(&self.key);
        self.registry.tell_oldest(&open);
    }
}

impl Snapshots {
    /// Registers a version as held until the returned snapshot is dropped.
    pub(crate) fn hold(self: &Arc<Snapshots>, database: Database) -> Snapshot {
        let mut open = lock(&self.open);
        open.newest += 1;
        let key = (self.changes.load(Ordering::Relaxed), open.newest);
        let replaced = self.replaced.load(Ordering::Relaxed);
        let contexts = u64::try_from(database.len()).unwrap_or(u64::MAX);
        open.held.insert(key, Held { replaced, contexts, holder: None });
        self.tell_oldest(&open);
        drop(open);
        Snapshot { database, ticket: Ticket { key, registry: Arc::clone(self) } }
    }

    fn tell_oldest(&self, open: &Open) {
        let oldest = open.held.first_key_value().map_or(u64::MAX, |((changes, _), _)| *changes);
        self.oldest.store(oldest, Ordering::Relaxed);
    }

    /// Counts what a commit changed and replaced; only the writer calls it.
    pub(crate) fn note(&self, changes: u64, replaced: u64) {
        self.changes.fetch_add(changes, Ordering::Relaxed);
        self.replaced.fetch_add(replaced, Ordering::Relaxed);
    }

    /// Returns an upper bound of the bytes that only old versions hold.
    pub(crate) fn bytes(&self) -> u64 {
        if self.oldest.load(Ordering::Relaxed) == u64::MAX {
            return 0;
        }
        let open = lock(&self.open);
        open.held.first_key_value().map_or(0, |((changes, _), held)| self.bytes_of(*changes, held))
    }

    fn bytes_of(&self, changes: u64, held: &Held) -> u64 {
        let changed = self.changes.load(Ordering::Relaxed) - changes;
        let replaced = self.replaced.load(Ordering::Relaxed) - held.replaced;
        let nodes = (changed * NODES_A_CHANGE).min(held.contexts * NODES_A_CONTEXT);
        replaced * CONTEXT + nodes
    }

    /// Evicts the oldest holders until at most `limit` bytes are held or no holder can be evicted. Returns
    /// how many it evicted.
    pub(crate) fn shrink(&self, limit: u64) -> usize {
        let mut evicted = 0;
        while let Some(holder) = self.oldest_above(limit) {
            holder.evict();
            evicted += 1;
        }
        evicted
    }

    fn oldest_above(&self, limit: u64) -> Option<Arc<dyn Evict>> {
        // Check without the lock first: this runs after every commit.
        let changed = self.changes.load(Ordering::Relaxed);
        let oldest = self.oldest.load(Ordering::Relaxed);
        if oldest == u64::MAX || (changed - oldest.min(changed)) * (CONTEXT + NODES_A_CHANGE) <= limit {
            return None;
        }
        let open = lock(&self.open);
        let evictable = |held: &Held| held.holder.as_ref().and_then(Weak::upgrade);
        open.held
            .iter()
            .take_while(|((changes, _), held)| self.bytes_of(*changes, held) > limit)
            .find_map(|(_, held)| evictable(held))
    }
}

impl Snapshot {
    /// Sets the holder of a snapshot, which can be made to release it.
    pub(crate) fn held_by(registry: &Snapshots, key: SnapshotKey, holder: Weak<dyn Evict>) {
        if let Some(held) = lock(&registry.open).held.get_mut(&key.0) {
            held.holder = Some(holder);
        }
    }

    /// Returns the key of this snapshot in the registry.
    pub(crate) fn key(&self) -> SnapshotKey {
        SnapshotKey(self.ticket.key)
    }
}

/// The key of a snapshot in its registry.
#[derive(Clone, Copy)]
pub(crate) struct SnapshotKey((u64, u64));
