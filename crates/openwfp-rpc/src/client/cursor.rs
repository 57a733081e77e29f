//! What an enumerator's taker gave back, on this side of the wire.

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

/// An enumerator's entry has a place in its order.
pub(crate) trait Ordered {
    fn place(&self) -> (u64, u8);

    /// Which of two entries comes first.
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

/// The order of filters by weight.
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

/// The enumerators of one kind that have something given back.
pub(crate) struct Cursors<T>(Mutex<HashMap<EnumId, Arc<Cursor<T>>>>);

impl<T> Default for Cursors<T> {
    fn default() -> Cursors<T> {
        Cursors(Mutex::default())
    }
}

struct Cursor<T> {
    /// Held while a page is fetched, so that pages are in order.
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

    /// Adds an enumerator with an order of its own.
    pub(crate) fn add_ordered(&self, id: EnumId, order: fn(&T, &T) -> Ordering) -> EnumId {
        lock(&self.0).insert(id, Arc::new(Cursor { returned: Mutex::default(), order }));
        id
    }

    pub(crate) fn forget(&self, id: EnumId) {
        lock(&self.0).remove(&id);
    }

    /// Claims the next entries: what was given back first, then what `fetch` brings, which is asked for a number of
    /// entries and says whether there may be more. It is called once at least, to see whether the call is allowed.
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
