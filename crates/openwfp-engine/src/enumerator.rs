//! An enumerator: a snapshot, what of it is shown, and how far it was read.
//!
//! Invariants:
//! 1. Every selected entry of the snapshot goes to exactly one claim that is accepted.
//! 2. A page is in ascending order: what was given back lies before the cursor and goes out first.
//! 3. A page is shorter than asked for only if nothing is left that nobody holds.

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

/// What an enumerator shows, and in which order.
pub(crate) trait Walk: Send + Sync + 'static {
    type Entry: Send + Sync + 'static;
    type Key: Ord + Copy + Send + Sync;

    /// The place of an entry.
    fn key(entry: &Self::Entry) -> Self::Key;

    /// As many entries as there can be, or a guess that costs little if it is wrong.
    fn size_hint(&self, database: &Database) -> usize;

    /// Adds the next entries behind a place to a page, until it holds `limit` or there are no more.
    fn fill(&self, database: &Database, after: Option<Self::Key>, limit: usize, page: &mut Vec<Self::Entry>);
}

/// An open enumeration.
pub(crate) struct Enumerator<W: Walk> {
    walk: W,
    version: Version,
    cursor: Mutex<Cursor<W>>,
}

struct Cursor<W: Walk> {
    /// Gone at the end, so that a forgotten handle holds no old version.
    snapshot: Option<Snapshot>,
    /// The last entry that was claimed.
    after: Option<W::Key>,
    /// What was claimed and given back.
    returned: BTreeMap<W::Key, W::Entry>,
    /// The engine took the snapshot away.
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
    pub(crate) fn claim(self: &Arc<Enumerator<W>>, limit: usize) -> Result<Claim<W::Entry>> {
        let (page, finished) = self.take(limit)?;
        // Freeing an old version can take long; the cursor's lock is not held meanwhile.
        drop(finished);
        Ok(Claim::new(page, Arc::clone(self) as Arc<dyn GiveBack<W::Entry>>))
    }

    /// The page, and the snapshot once its end is reached.
    fn take(&self, limit: usize) -> Result<(Vec<W::Entry>, Option<Snapshot>)> {
        let mut cursor = lock(&self.cursor);
        let cursor = &mut *cursor;
        if cursor.evicted {
            let what =
                "the engine has closed the enumerator: the old versions of its database took too much memory";
            return Err(Error::new(Code::RPC_E_OUT_OF_RESOURCES, what)
                .with_remedy("create another one that goes on after the last entry, and read it sooner"));
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

/// What holds an old version of the database and can be made to let it go.
pub(crate) trait Evict: Send + Sync {
    /// Lets the old version go; the enumerator is of no more use.
    fn evict(&self);
}

impl<W: Walk> Evict for Enumerator<W> {
    fn evict(&self) {
        let snapshot = {
            let mut cursor = lock(&self.cursor);
            let snapshot = cursor.snapshot.take();
            // One that was read to its end holds nothing and stays as it is.
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
