//! The API's calls, under their own names. Each checks its pointers, looks up its session and calls the
//! session's method.
//!
//! # Safety
//!
//! The same rules apply to all calls, as in the original API:
//!
//! - A pointer is null, or valid for its type while the call runs: an array for its length, a string up
//!   to its terminating 0.
//! - A callback and its context stay valid until the subscription has ended.
//! - Memory that a call returned is not used after it was freed.
//!
//! A handle may have any value.
#![allow(non_snake_case, reason = "the calls' names")]

mod engine;
mod extension;
mod object;
mod policy;
mod sa;
mod sa_context;
mod security;
mod subscription;
mod transaction;

pub use engine::*;
pub use extension::*;
pub use object::*;
pub use policy::*;
pub use sa::*;
pub use sa_context::*;
pub use security::*;
pub use subscription::*;
pub use transaction::*;

use crate::Flavour;
use crate::boundary::Out;
use crate::boundary::call;
use crate::handle;
use crate::handle::Kind;
use crate::memory::Block;
use openwfp_api::Claim;
use openwfp_api::Code;
use openwfp_api::EnumId;
use openwfp_api::Error;
use openwfp_api::KeyAccess;
use openwfp_api::Result;
use openwfp_api::Session;
use windows_sys::Win32::Foundation::HANDLE;

/// Returns `ERROR_CALL_NOT_IMPLEMENTED`, or `ERROR_INVALID_HANDLE` if the engine handle is invalid.
///
/// Stands in for calls that this version does not implement and whose first argument is an engine
/// handle.
pub fn not_implemented<F: Flavour>(engine: HANDLE) -> u32 {
    call::<F>(|| {
        handle::session(engine)?;
        Err(unsupported())
    })
}

/// Returns `ERROR_CALL_NOT_IMPLEMENTED`.
///
/// Stands in for calls that this version does not implement and that have no engine handle.
pub fn not_implemented_at_all<F: Flavour>() -> u32 {
    call::<F>(|| Err(unsupported()))
}

fn unsupported() -> Error {
    Error::new(Code::ERROR_CALL_NOT_IMPLEMENTED, "this version of OpenWFP does not implement this call")
        .with_remedy("docs/c-abi.md lists the implemented calls.")
}

/// Returns the right to read keys if the caller has it. Without it, keys in results have size 0.
fn keys(session: &dyn Session) -> Result<Option<KeyAccess>> {
    match session.key_access() {
        Ok(access) => Ok(Some(access)),
        Err(error) if error.code() == Code::ERROR_ACCESS_DENIED => Ok(None),
        Err(error) => Err(error),
    }
}

/// The result pointers of a call that returns a page.
struct PageOut<C> {
    entries: Out<*mut *mut C>,
    returned: Out<u32>,
}

impl<C> PageOut<C> {
    /// # Safety
    /// Same as [`Out::required`].
    unsafe fn new(entries: *mut *mut *mut C, returned: *mut u32) -> Result<PageOut<C>> {
        // Initialize both before rejecting either, so that the caller sees no entries after any failure.
        // SAFETY: the caller upholds the safety contract.
        let (entries, returned) = unsafe {
            (
                Out::required(entries, std::ptr::null_mut(), "entries"),
                Out::required(returned, 0, "numEntriesReturned"),
            )
        };
        Ok(PageOut { entries: entries?, returned: returned? })
    }

    /// Stores a claim's page, and accepts the claim once nothing can fail any more.
    fn claim<T>(&self, claim: Claim<T>, layout: impl FnOnce(&[T]) -> Result<Block>) -> Result {
        let block = layout(claim.entries())?;
        let len = page_len(claim.entries())?;
        claim.accept();
        self.set(block, len);
        Ok(())
    }

    fn set(&self, block: Block, len: u32) {
        self.entries.set(block.give());
        self.returned.set(len);
    }
}

/// Returns the length of a page. It fits: callers request at most that many entries, and lists of
/// subscriptions are bounded too.
fn page_len<T>(entries: &[T]) -> Result<u32> {
    u32::try_from(entries.len()).map_err(|_| Error::unreachable("a page has more entries than requested"))
}

/// Stores an enumerator's next page, with the keys that the caller may read.
///
/// # Safety
/// Same as [`PageOut::new`].
unsafe fn enumerate<T, C>(
    engine: HANDLE,
    enumerator: (HANDLE, Kind),
    entries: *mut *mut *mut C,
    returned: *mut u32,
    claim: impl FnOnce(&dyn Session, EnumId) -> Result<Claim<T>>,
    page: impl FnOnce(&[T], Option<&KeyAccess>) -> Result<Block>,
) -> Result {
    // SAFETY: the caller upholds the safety contract.
    let out = unsafe { PageOut::new(entries, returned) }?;
    let session = handle::session(engine)?;
    let id = handle::child(engine, enumerator.0, enumerator.1)?;
    // Request the right first: a remote session sends keys only after it was requested.
    let keys = keys(&*session)?;
    let claim = claim(&*session, id)?;
    out.claim(claim, |entries| page(entries, keys.as_ref()))
}

/// Frees an enumerator.
fn destroy_enum(engine: HANDLE, enum_handle: HANDLE, kind: Kind) -> Result {
    let session = handle::session(engine)?;
    let id = handle::child(engine, enum_handle, kind)?;
    session.destroy_enum(id)?;
    handle::remove(engine, enum_handle);
    Ok(())
}
