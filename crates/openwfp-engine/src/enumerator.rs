//! An enumerator: a snapshot, what of it is shown, and how far it was read.
//!
//! Invariants:
//! 1. Every selected context of the snapshot goes to exactly one claim that is accepted.
//! 2. A page is ascending by id: what was given back lies before the cursor and goes out first.
//! 3. A page is shorter than asked for only if nothing is left that nobody holds.

use crate::database::Database;
use crate::lock::lock;
use crate::selection::Selection;
use openwfp_api::Claim;
use openwfp_api::EnumOptions;
use openwfp_api::GiveBack;
use openwfp_api::SaContext;
use openwfp_api::SaContextId;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::Mutex;

/// An open enumeration of SA contexts.
pub(crate) struct Enumerator {
    selection: Selection,
    cursor: Mutex<Cursor>,
}

struct Cursor {
    /// Gone at the end, so that a forgotten handle holds no old version.
    snapshot: Option<Database>,
    /// The last context that was claimed.
    after: Option<SaContextId>,
    /// What was claimed and given back.
    returned: BTreeMap<SaContextId, Arc<SaContext>>,
}

impl Enumerator {
    pub(crate) fn new(snapshot: Database, options: &EnumOptions) -> Enumerator {
        Enumerator {
            selection: Selection::new(options, &snapshot),
            cursor: Mutex::new(Cursor {
                snapshot: Some(snapshot),
                after: options.after,
                returned: BTreeMap::new(),
            }),
        }
    }

    /// Claims the next `limit` contexts.
    pub(crate) fn claim(self: &Arc<Enumerator>, limit: usize) -> Claim {
        let (page, finished) = self.take(limit);
        // Freeing an old version can take long; the cursor's lock is not held meanwhile.
        drop(finished);
        Claim::new(page, Arc::clone(self) as Arc<dyn GiveBack>)
    }

    /// The page, and the snapshot once its end is reached.
    fn take(&self, limit: usize) -> (Vec<Arc<SaContext>>, Option<Database>) {
        let mut cursor = lock(&self.cursor);
        let cursor = &mut *cursor;
        let unread = cursor.snapshot.as_ref().map_or(0, |snapshot| self.selection.size_hint(snapshot));
        let left = cursor.returned.len() + unread;
        let mut page = Vec::with_capacity(limit.min(left));
        while page.len() < limit
            && let Some((_, context)) = cursor.returned.pop_first()
        {
            page.push(context);
        }
        let Some(snapshot) = &cursor.snapshot else { return (page, None) };
        let before = page.len();
        self.selection.fill(snapshot, cursor.after, limit, &mut page);
        if page.len() > before {
            cursor.after = page.last().map(|context| context.id);
        }
        let finished = if page.len() < limit { cursor.snapshot.take() } else { None };
        (page, finished)
    }
}

impl GiveBack for Enumerator {
    fn give_back(&self, contexts: Vec<Arc<SaContext>>) {
        let mut cursor = lock(&self.cursor);
        cursor.returned.extend(contexts.into_iter().map(|context| (context.id, context)));
    }
}
