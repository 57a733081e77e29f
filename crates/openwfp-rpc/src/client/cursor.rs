//! Keeps the entries of remote enumerators that a caller claimed but did not accept, and checks that a server's pages come to an
//! end.

use openwfp_api::Claim;
use openwfp_api::Code;
use openwfp_api::EnumId;
use openwfp_api::Error;
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
    /// The lock is held while a page is fetched, so that pages stay in order.
    entries: Mutex<Entries<T>>,
    order: fn(&T, &T) -> Ordering,
}

struct Entries<T> {
    /// Entries that were given back.
    returned: Vec<T>,
    /// The last entry that the server has sent.
    last: Option<T>,
}

impl<T> Cursor<T> {
    fn new(order: fn(&T, &T) -> Ordering) -> Arc<Cursor<T>> {
        Arc::new(Cursor { entries: Mutex::new(Entries { returned: Vec::new(), last: None }), order })
    }

    /// Checks a page that a server sent when it was asked for at most `limit` entries: an empty page is the last one, and entries
    /// are in the enumerator's order, so that a server cannot keep its client busy for ever.
    fn check(&self, last: Option<&T>, page: &[T], more: bool, limit: u32) -> Result {
        let what = if page.is_empty() && more && limit > 0 {
            "an empty page that is not the last one"
        } else if page.len() > limit as usize {
            "a page with more entries than it was asked for"
        } else if !last.into_iter().chain(page).is_sorted_by(|one, next| (self.order)(one, next).is_lt()) {
            "a page whose entries are not in order"
        } else {
            return Ok(());
        };
        let what = format!("the server sent {what}");
        Err(Error::new(Code::RPC_E_INVALID_DATAPACKET, what).with_remedy("It may be faulty, or not OpenWFP."))
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<T: Ordered + Clone + Send + Sync + 'static> Cursors<T> {
    pub(crate) fn add(&self, id: EnumId) -> EnumId {
        self.add_ordered(id, T::order)
    }

    /// Adds an enumerator whose entries have another order than [`Ordered::order`].
    pub(crate) fn add_ordered(&self, id: EnumId, order: fn(&T, &T) -> Ordering) -> EnumId {
        lock(&self.0).insert(id, Cursor::new(order));
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
        let cursor = cursor.unwrap_or_else(|| Cursor::new(T::order));
        let mut kept = lock(&cursor.entries);
        let Entries { returned, last } = &mut *kept;
        let wanted = usize::try_from(limit).unwrap_or(usize::MAX);
        let again = wanted.min(returned.len());
        let mut entries: Vec<T> = returned.drain(..again).collect();
        loop {
            let left = limit.saturating_sub(u32::try_from(entries.len()).unwrap_or(u32::MAX));
            let fetched = fetch(left).and_then(|(page, more)| {
                cursor.check(last.as_ref(), &page, more, left).map(|()| (page, more))
            });
            match fetched {
                Ok((page, more)) => {
                    *last = page.last().cloned().or(last.take());
                    entries.extend(page);
                    if !more || entries.len() >= wanted {
                        break;
                    }
                }
                Err(error) => {
                    give_back(returned, entries, cursor.order);
                    return Err(error);
                }
            }
        }
        drop(kept);
        Ok(Claim::new(entries, cursor))
    }
}

fn give_back<T>(returned: &mut Vec<T>, entries: Vec<T>, order: fn(&T, &T) -> Ordering) {
    returned.extend(entries);
    returned.sort_by(order);
}

impl<T: Send + Sync> GiveBack<T> for Cursor<T> {
    fn give_back(&self, entries: Vec<T>) {
        give_back(&mut lock(&self.entries).returned, entries, self.order);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Ordered for u64 {
        fn place(&self) -> (u64, u8) {
            (*self, 0)
        }
    }

    /// Claims all entries of a server that sends these pages, and then for ever the last one.
    fn claimed(pages: &[(&[u64], bool)], limit: u32) -> Result<Vec<u64>> {
        let cursors = Cursors::default();
        let id = cursors.add(EnumId::from_bits(1));
        let mut pages = pages.iter().peekable();
        let claim = cursors.claim(id, limit, |_| {
            let (page, more) =
                if pages.len() > 1 { pages.next() } else { pages.peek().copied() }.unwrap_or(&(&[], false));
            Ok((page.to_vec(), *more))
        })?;
        Ok(claim.accept())
    }

    #[test]
    fn a_server_cannot_keep_its_client_busy() {
        assert_eq!(claimed(&[(&[1, 2], true), (&[5], true), (&[], false)], 10).unwrap(), [1, 2, 5]);
        assert_eq!(claimed(&[(&[1, 2], true), (&[5], true)], 3).unwrap(), [1, 2, 5]);
        for (endless, limit, why) in [
            (&[(&[1_u64, 2][..], true), (&[], true)][..], 3, "empty page"),
            (&[(&[1, 2], true), (&[1, 2], true)], 9, "not in order"),
            (&[(&[1, 1], false)], 9, "not in order"),
            (&[(&[1, 2, 3, 4], false)], 3, "more entries"),
        ] {
            let error = claimed(endless, limit).unwrap_err();
            assert_eq!(error.code(), Code::RPC_E_INVALID_DATAPACKET);
            assert!(error.what().contains(why), "{error}");
        }
    }
}
