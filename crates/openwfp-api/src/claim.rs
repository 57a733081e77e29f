//! A claim: a page that goes back to its enumerator unless its taker accepts it.

use crate::SaContext;
use std::fmt;
use std::sync::Arc;

/// The next entries of an enumerator, in its order, held for the caller.
///
/// Accept as many as were delivered; what is not accepted when the claim is dropped goes back to the
/// enumerator and comes again with its next page. So an encoder that runs out of memory or into a limit
/// of bytes loses nothing. Other takers of the same enumerator never see a claimed entry.
#[must_use = "a claim that is not accepted gives its entries back"]
pub struct Claim<T = Arc<SaContext>> {
    entries: Vec<T>,
    source: Option<Arc<dyn GiveBack<T>>>,
}

/// Where entries that were claimed and not accepted go.
pub trait GiveBack<T = Arc<SaContext>>: Send + Sync {
    /// Takes back entries, in the enumerator's order.
    fn give_back(&self, entries: Vec<T>);
}

impl<T> Claim<T> {
    /// A claim on entries of an enumerator.
    pub fn new(entries: Vec<T>, source: Arc<dyn GiveBack<T>>) -> Claim<T> {
        Claim { entries, source: Some(source) }
    }

    /// The entries of the page; fewer than asked for only at the enumerator's end.
    pub fn entries(&self) -> &[T] {
        &self.entries
    }

    /// Accepts the whole page.
    pub fn accept(mut self) -> Vec<T> {
        self.source = None;
        std::mem::take(&mut self.entries)
    }

    /// Accepts the first `count` entries and gives the others back.
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
