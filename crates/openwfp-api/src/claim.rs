//! A claim: a page that goes back to its enumerator unless its taker accepts it.

use crate::SaContext;
use std::fmt;
use std::sync::Arc;

/// The next contexts of an enumerator, in ascending order of id, held for the caller.
///
/// Accept as many as were delivered; what is not accepted when the claim is dropped goes back to the
/// enumerator and comes again with its next page. So an encoder that runs out of memory or into a limit
/// of bytes loses nothing. Other takers of the same enumerator never see a claimed context.
#[must_use = "a claim that is not accepted gives its contexts back"]
pub struct Claim {
    contexts: Vec<Arc<SaContext>>,
    source: Option<Arc<dyn GiveBack>>,
}

/// Where contexts that were claimed and not accepted go.
pub trait GiveBack: Send + Sync {
    /// Takes back contexts, in ascending order of id.
    fn give_back(&self, contexts: Vec<Arc<SaContext>>);
}

impl Claim {
    /// A claim on contexts of an enumerator.
    pub fn new(contexts: Vec<Arc<SaContext>>, source: Arc<dyn GiveBack>) -> Claim {
        Claim { contexts, source: Some(source) }
    }

    /// The contexts of the page; fewer than asked for only at the enumerator's end.
    pub fn contexts(&self) -> &[Arc<SaContext>] {
        &self.contexts
    }

    /// Accepts the whole page.
    pub fn accept(mut self) -> Vec<Arc<SaContext>> {
        self.source = None;
        std::mem::take(&mut self.contexts)
    }

    /// Accepts the first `count` contexts and gives the others back.
    pub fn accept_first(mut self, count: usize) -> Vec<Arc<SaContext>> {
        let rest = self.contexts.split_off(count.min(self.contexts.len()));
        std::mem::replace(&mut self.contexts, rest)
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        if let Some(source) = self.source.take()
            && !self.contexts.is_empty()
        {
            source.give_back(std::mem::take(&mut self.contexts));
        }
    }
}

impl fmt::Debug for Claim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Claim({} contexts)", self.contexts.len())
    }
}
