//! The calls, under their own names: each checks its pointers, finds its session and makes the session's call.
//!
//! # Safety
//!
//! The same holds for all of them, as for their originals: a pointer is null, or good for what its type says for as
//! long as the call runs (an array for as many elements as its length says, a string up to its 0); a callback, with its
//! context, until its subscription has ended; and what a call returned is not used after it was freed. Handles may be
//! any bits.
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

/// A call that this version does not carry out, and whose first argument is an engine handle.
pub fn not_implemented<F: Flavour>(engine: HANDLE) -> u32 {
    call::<F>(|| {
        handle::session(engine)?;
        Err(unsupported())
    })
}

/// A call that this version does not carry out, without an engine handle.
pub fn not_implemented_at_all<F: Flavour>() -> u32 {
    call::<F>(|| Err(unsupported()))
}

fn unsupported() -> Error {
    Error::new(Code::ERROR_CALL_NOT_IMPLEMENTED, "this version of OpenWFP does not carry out this call")
        .with_remedy("docs/c-abi.md says which calls it does")
}

/// The right to keys, if the caller has it: without it, results have keys of size 0.
fn keys(session: &dyn Session) -> Result<Option<KeyAccess>> {
    match session.key_access() {
        Ok(access) => Ok(Some(access)),
        Err(error) if error.code() == Code::ERROR_ACCESS_DENIED => Ok(None),
        Err(error) => Err(error),
    }
}

/// Where a call puts a page.
struct PageOut<C> {
    entries: Out<*mut *mut C>,
    returned: Out<u32>,
}

impl<C> PageOut<C> {
    /// # Safety
    /// As [`Out::required`].
    unsafe fn new(entries: *mut *mut *mut C, returned: *mut u32) -> Result<PageOut<C>> {
        // Both are set before either is refused: whatever goes wrong, what is there says "nothing".
        // SAFETY: as the caller says.
        let (entries, returned) = unsafe {
            (
                Out::required(entries, std::ptr::null_mut(), "entries"),
                Out::required(returned, 0, "numEntriesReturned"),
            )
        };
        Ok(PageOut { entries: entries?, returned: returned? })
    }

    /// Puts a claim there, accepted once nothing can fail any more.
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

/// How many entries a page has: as many as were asked for at most. A list of subscriptions is bounded, too.
fn page_len<T>(entries: &[T]) -> Result<u32> {
    u32::try_from(entries.len()).map_err(|_| Error::unreachable("a page of more entries than asked for"))
}

/// The next page of an enumerator: claimed, and written with the keys that the caller may have.
///
/// # Safety
/// As [`PageOut::new`].
unsafe fn enumerate<T, C>(
    engine: HANDLE,
    enumerator: (HANDLE, Kind),
    entries: *mut *mut *mut C,
    returned: *mut u32,
    claim: impl FnOnce(&dyn Session, EnumId) -> Result<Claim<T>>,
    page: impl FnOnce(&[T], Option<&KeyAccess>) -> Result<Block>,
) -> Result {
    // SAFETY: as the caller says.
    let out = unsafe { PageOut::new(entries, returned) }?;
    let session = handle::session(engine)?;
    let id = handle::child(engine, enumerator.0, enumerator.1)?;
    // First, since a session elsewhere sends keys only once they were asked for.
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
