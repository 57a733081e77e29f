//! An iterator over SA contexts, which reads them from an enumerator page by page.

use crate::EnumId;
use crate::EnumOptions;
use crate::Result;
use crate::SaContext;
use crate::Session;
use std::fmt;
use std::sync::Arc;

/// How many contexts a page has unless the caller asks for another number.
const PAGE: u32 = 1000;

/// The SA contexts that an enumerator shows, ascending by id.
///
/// `session.sa_contexts(&options)` creates one. It reads pages of 1,000 contexts as they are needed, shows the database
/// as it was at its creation, and destroys its enumerator when it is dropped. After an error it ends.
///
/// ```
/// use openwfp_api::{EnumOptions, Result, Session};
///
/// fn count(session: &dyn Session) -> Result<usize> {
///     let mut count = 0;
///     for context in session.sa_contexts(&EnumOptions::default())? {
///         count += context?.directions().count();
///     }
///     Ok(count)
/// }
/// ```
pub struct SaContexts<'s> {
    session: &'s (dyn Session + 's),
    enumerator: EnumId,
    /// Contexts that were read and not returned yet.
    ready: std::vec::IntoIter<Arc<SaContext>>,
    at_end: bool,
}

impl<'s> dyn Session + 's {
    /// Iterates over the SA contexts that the options select, in pages.
    ///
    /// # Errors
    /// Those of [`Session::sa_context_create_enum`]. Each step of the iterator can fail as [`Session::sa_context_enum`]
    /// does.
    pub fn sa_contexts(&'s self, options: &EnumOptions) -> Result<SaContexts<'s>> {
        let enumerator = self.sa_context_create_enum(options)?;
        Ok(SaContexts { session: self, enumerator, ready: Vec::new().into_iter(), at_end: false })
    }
}

impl SaContexts<'_> {
    /// Returns the next page of at most `limit` contexts; empty only at the end, or if `limit` is 0.
    ///
    /// # Errors
    /// As [`Session::sa_context_enum`].
    pub fn next_page(&mut self, limit: u32) -> Result<Vec<Arc<SaContext>>> {
        if self.ready.len() > 0 {
            return Ok(self.ready.by_ref().take(limit as usize).collect());
        }
        if self.at_end || limit == 0 {
            return Ok(Vec::new());
        }
        match self.session.sa_context_enum(self.enumerator, limit) {
            Ok(claim) => {
                let page = claim.accept();
                self.at_end = page.len() < limit as usize;
                Ok(page)
            }
            Err(error) => {
                self.at_end = true;
                Err(error)
            }
        }
    }

    /// The enumerator that is read, such as for [`Session::enum_version`].
    pub fn enumerator(&self) -> EnumId {
        self.enumerator
    }
}

impl Iterator for SaContexts<'_> {
    type Item = Result<Arc<SaContext>>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ready.len() == 0 {
            match self.next_page(PAGE) {
                Ok(page) => self.ready = page.into_iter(),
                Err(error) => return Some(Err(error)),
            }
        }
        self.ready.next().map(Ok)
    }
}

impl Drop for SaContexts<'_> {
    fn drop(&mut self) {
        // It fails only if the session has ended, and its enumerators with it.
        drop(self.session.destroy_enum(self.enumerator));
    }
}

impl fmt::Debug for SaContexts<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SaContexts").field("enumerator", &self.enumerator).finish_non_exhaustive()
    }
}
