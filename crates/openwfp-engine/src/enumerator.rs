//! Enumerators: a snapshot, the entries of it to return, and how far they were read.
//!
//! Invariants:
//! 1. Every selected entry of the snapshot goes to exactly one accepted claim.
//! 2. A page is in ascending order: entries that were given back precede the cursor and are returned
//!    first.
//! 3. A page is shorter than requested only if no unclaimed entry is left.

use crate::database::Database;
use crate::snapshots::Snapshot;
use crate::sync::Mutex;
use crate::sync::lock;
use openwfp_api::Claim;
use openwfp_api::Code;
use openwfp_api::Error;
use openwfp_api::GiveBack;
use openwfp_api::Result;
use openwfp_api::Version;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The entries that an enumerator returns, and their order.
pub(crate) trait Walk: Send + Sync + 'static {
    type Entry: Send + Sync + 'static;
    type Key: Ord + Copy + Send + Sync;

    /// Returns the position of an entry.
    fn key(entry: &Self::Entry) -> Self::Key;

    /// Returns the maximum number of entries, or a guess that costs little if it is wrong.
    fn size_hint(&self, database: &Database) -> usize;

    /// Appends the entries after a position to a page, until the page holds `limit` entries or none is
    /// left.
    fn fill(&self, database: &Database, after: Option<Self::Key>, limit: usize, page: &mut Vec<Self::Entry>);
}

/// An open enumeration.
pub(crate) struct Enumerator<W: Walk> {
    walk: W,
    version: Version,
    cursor: Mutex<Cursor<W>>,
}

struct Cursor<W: Walk> {
    /// `None` once the end is reached, so that a forgotten handle keeps no old version, or after an
    /// eviction.
    snapshot: Option<Snapshot>,
    /// The position of the last entry read from the snapshot, or where the enumerator starts.
    after: Option<W::Key>,
    /// Entries that were claimed and given back.
    returned: BTreeMap<W::Key, W::Entry>,
    /// Whether the engine took the snapshot away.
    evicted: bool,
}

impl<W: Walk> Enumerator<W> {
    pub(crate) fn new(walk: W, snapshot: Snapshot, after: Option<W::Key>) -> Enumerator<W> {
        let version = snapshot.database.version;
        let cursor = Cursor { snapshot: Some(snapshot), after, returned: BTreeMap::new(), evicted: false };
        Enumerator { walk, version, cursor: Mutex::new(cursor) }
    }

    pub(crate) fn walk(&self) -> &W {
        &self.walk
    }

    pub(crate) fn version(&self) -> Version {
        self.version
    }

    /// Claims the next `limit` entries.
    ///
    /// # Errors
    /// `RPC_E_OUT_OF_RESOURCES` if the engine took the snapshot away.
    pub(crate) fn claim(self: &Arc<Enumerator<W>>, limit: usize) -> Result<Claim<W::Entry>> {
        let (page, finished) = self.take(limit)?;
        // Freeing an old version can take long, so do it without the cursor's lock.
        drop(finished);
        Ok(Claim::new(page, Arc::clone(self) as Arc<dyn GiveBack<W::Entry>>))
    }

    /// Returns the next page, and also the snapshot once its end is reached.
    fn take(&self, limit: usize) -> Result<(Vec<W::Entry>, Option<Snapshot>)> {
        let mut cursor = lock(&self.cursor);
        let cursor = &mut *cursor;
        if cursor.evicted {
            let what = "the engine closed this enumerator to free memory";
            return Err(Error::new(Code::RPC_E_OUT_OF_RESOURCES, what)
                .with_remedy("Create a new one after the last entry, and read faster."));
        }
        let unread = cursor.snapshot.as_ref().map_or(0, |snapshot| self.walk.size_hint(&snapshot.database));
        let left = cursor.returned.len() + unread;
        let mut page = Vec::with_capacity(limit.min(left));
        while page.len() < limit
            && let Some((_, entry)) = cursor.returned.pop_first()
        {
            page.push(entry);
        }
        let Some(snapshot) = &cursor.snapshot else { return Ok((page, None)) };
        let before = page.len();
        self.walk.fill(&snapshot.database, cursor.after, limit, &mut page);
        if page.len() > before {
            cursor.after = page.last().map(W::key);
        }
        let finished = if page.len() < limit { cursor.snapshot.take() } else { None };
        Ok((page, finished))
    }
}

/// A holder of an old version of the database that can be made to release it.
pub(crate) trait Evict: Send + Sync {
    /// Releases the old version. An enumerator that still had entries to read fails from then on.
    fn evict(&self);
}

impl<W: Walk> Evict for Enumerator<W> {
    fn evict(&self) {
        let snapshot = {
            let mut cursor = lock(&self.cursor);
            let snapshot = cursor.snapshot.take();
            // An enumerator that was read to its end holds no snapshot and stays usable.
            cursor.evicted |= snapshot.is_some();
            snapshot
        };
        drop(snapshot);
    }
}

impl<W: Walk> GiveBack<W::Entry> for Enumerator<W> {
    fn give_back(&self, entries: Vec<W::Entry>) {
        let mut cursor = lock(&self.cursor);
        cursor.returned.extend(entries.into_iter().map(|entry| (W::key(&entry), entry)));
    }
}
