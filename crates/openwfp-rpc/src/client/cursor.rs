//! Keeps the entries of remote enumerators that a caller claimed but did not accept.

use openwfp_api::Claim;
use openwfp_api::EnumId;
use openwfp_api::GiveBack;
use openwfp_api::Result;
use openwfp_api::SaContext;
use openwfp_api::SaEntry;
use openwfp_api::SessionInfo;
use openwfp_api::object::Object;
use openwfp_api::object::net_event::NetEvent;
use std::cmp::Ordering;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;

/// An entry of an enumerator, with a position in the enumerator's order.
pub(crate) trait Ordered {
    fn place(&self) -> (u64, u8);

    /// Compares the positions of two entries.
    fn order(&self, other: &Self) -> Ordering {
        self.place().cmp(&other.place())
    }
}

impl Ordered for Arc<NetEvent> {
    fn place(&self) -> (u64, u8) {
        (self.id, 0)
    }
}

impl Ordered for Arc<Object> {
    fn place(&self) -> (u64, u8) {
        (self.id(), 0)
    }

    fn order(&self, other: &Self) -> Ordering {
        (self.id(), self.key()).cmp(&(other.id(), other.key()))
    }
}

/// Orders filters by effective weight, heaviest first.
pub(crate) fn by_weight(one: &Arc<Object>, other: &Arc<Object>) -> Ordering {
    let key = |object: &Arc<Object>| {
        object.as_filter().map(|filter| (u64::MAX - filter.effective_weight, filter.id))
    };
    key(one).cmp(&key(other))
}

impl Ordered for Arc<SaContext> {
    fn place(&self) -> (u64, u8) {
        (self.id.0, 0)
    }
}

impl Ordered for SaEntry {
    fn place(&self) -> (u64, u8) {
        // Inbound before outbound.
        (self.context().id.0, 1 - self.direction() as u8)
    }
}

impl Ordered for Arc<SessionInfo> {
    fn place(&self) -> (u64, u8) {
        (self.number.0.into(), 0)
    }
}

/// The open enumerators of one kind, with the entries that were given back.
pub(crate) struct Cursors<T>(Mutex<HashMap<EnumId, Arc<Cursor<T>>>>);

impl<T> Default for Cursors<T> {
    fn default() -> Cursors<T> {
        Cursors(Mutex::default())
    }
}

struct Cursor<T> {
    /// Entries that were given back. The lock is held while a page is fetched, so that pages stay in order.
    returned: Mutex<Vec<T>>,
    order: fn(&T, &T) -> Ordering,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<T: Ordered + Send + Sync + 'static> Cursors<T> {
    pub(crate) fn add(&self, id: EnumId) -> EnumId {
        self.add_ordered(id, T::order)
    }

    /// Adds an enumerator whose entries have another order than [`Ordered::order`].
    pub(crate) fn add_ordered(&self, id: EnumId, order: fn(&T, &T) -> Ordering) -> EnumId {
        lock(&self.0).insert(id, Arc::new(Cursor { returned: Mutex::default(), order }));
        id
    }

    pub(crate) fn forget(&self, id: EnumId) {
        lock(&self.0).remove(&id);
    }

    /// Claims the next entries: first those that were given back, then new ones from `fetch`. `fetch` takes
    /// the number of entries to return and reports whether there may be more. It is called at least once,
    /// if only to check that the call is allowed.
    pub(crate) fn claim(
        &self,
        id: EnumId,
        limit: u32,
        mut fetch: impl FnMut(u32) -> Result<(Vec<T>, bool)>,
    ) -> Result<Claim<T>> {
        let cursor = lock(&self.0).get(&id).cloned();
        let cursor =
            cursor.unwrap_or_else(|| Arc::new(Cursor { returned: Mutex::default(), order: T::order }));
        let mut returned = lock(&cursor.returned);
        let wanted = usize::try_from(limit).unwrap_or(usize::MAX);
        let again = wanted.min(returned.len());
        let mut entries: Vec<T> = returned.drain(..again).collect();
        loop {
            let left = limit.saturating_sub(u32::try_from(entries.len()).unwrap_or(u32::MAX));
            match fetch(left) {
                Ok((more_entries, more)) => {
                    entries.extend(more_entries);
                    if !more || entries.len() >= wanted {
                        break;
                    }
                }
                Err(error) => {
                    give_back(&mut returned, entries, cursor.order);
                    return Err(error);
                }
            }
        }
        drop(returned);
        Ok(Claim::new(entries, cursor))
    }
}

fn give_back<T>(returned: &mut Vec<T>, entries: Vec<T>, order: fn(&T, &T) -> Ordering) {
    returned.extend(entries);
    returned.sort_by(order);
}

impl<T: Send + Sync> GiveBack<T> for Cursor<T> {
    fn give_back(&self, entries: Vec<T>) {
        give_back(&mut lock(&self.returned), entries, self.order);
    }
}
