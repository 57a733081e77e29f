//! Claims: pages of an enumerator whose entries return to it unless the receiver accepts them.

use crate::SaContext;
use std::fmt;
use std::sync::Arc;

/// The next entries of an enumerator, in order, reserved for the caller.
///
/// Accept as many entries as you delivered. When the claim is dropped, entries that were not accepted
/// return to the enumerator and appear in its next page. An encoder that runs out of memory or reaches
/// a size limit therefore loses nothing. Other readers of the same enumerator never see a claimed
/// entry.
#[must_use = "a claim that is not accepted gives its entries back"]
pub struct Claim<T = Arc<SaContext>> {
    entries: Vec<T>,
    source: Option<Arc<dyn GiveBack<T>>>,
}

/// The source of a claim, to which entries that were not accepted return.
pub trait GiveBack<T = Arc<SaContext>>: Send + Sync {
    /// Takes back entries, in the enumerator's order.
    fn give_back(&self, entries: Vec<T>);
}

impl<T> Claim<T> {
    /// Returns a claim on entries of an enumerator.
    pub fn new(entries: Vec<T>, source: Arc<dyn GiveBack<T>>) -> Claim<T> {
        Claim { entries, source: Some(source) }
    }

    /// Returns the entries of the page. There are fewer than requested only at the end of the enumeration.
    pub fn entries(&self) -> &[T] {
        &self.entries
    }

    /// Accepts the whole page and returns its entries.
    pub fn accept(mut self) -> Vec<T> {
        self.source = None;
        std::mem::take(&mut self.entries)
    }

    /// Accepts and returns the first `count` entries, and gives the rest back to the enumerator.
    pub fn accept_first(mut self, count: usize) -> Vec<T> {
        let rest = self.entries.split_off(count.min(self.entries.len()));
        std::mem::replace(&mut self.entries, rest)
    }
}

impl<T> Drop for Claim<T> {
    fn drop(&mut self) {
        if let Some(source) = self.source.take()
            && !self.entries.is_empty()
        {
            source.give_back(std::mem::take(&mut self.entries));
        }
    }
}

impl<T> fmt::Debug for Claim<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Claim({} entries)", self.entries.len())
    }
}
