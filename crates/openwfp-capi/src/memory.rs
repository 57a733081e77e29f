//! The memory that calls return: blocks that [`free`] knows, wipes and frees.
//!
//! Everything a call returns is one block. Where its keys are is written down here and not read from the structures in
//! it, since a caller may have changed those.

use std::alloc::Layout;
use std::collections::HashMap;
use std::ffi::c_void;
use std::io::Write;
use std::ops::Range;
use std::panic::catch_unwind;
use std::ptr::NonNull;
use std::sync::LazyLock;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::Once;
use std::sync::PoisonError;
use zeroize::Zeroize;

/// The alignment of a block: that of the structures in it.
pub(crate) const ALIGN: usize = 8;

/// A block that is not a caller's yet.
pub(crate) struct Block {
    start: NonNull<u8>,
    layout: Layout,
    /// Where the keys are, as offsets.
    keys: Range<usize>,
}

/// A caller's blocks by their address, in shards so that threads seldom wait for one another.
static BLOCKS: LazyLock<[Mutex<HashMap<usize, Given, foldhash::fast::RandomState>>; SHARDS]> =
    LazyLock::new(|| std::array::from_fn(|_| Mutex::default()));
const SHARDS: usize = 16;

struct Given {
    start: NonNull<u8>,
    layout: Layout,
    keys: Range<usize>,
}

// SAFETY: a block is plain memory that belongs to whoever holds this; no thread is bound to it.
unsafe impl Send for Given {}

fn shard(address: usize) -> MutexGuard<'static, HashMap<usize, Given, foldhash::fast::RandomState>> {
    BLOCKS[(address / 64) % SHARDS].lock().unwrap_or_else(PoisonError::into_inner)
}

impl Block {
    /// A block of so many bytes, uninitialised; none if there is no memory for it.
    pub(crate) fn new(bytes: usize, keys: Range<usize>) -> Option<Block> {
        // An empty page has an address too, which is freed like any other.
        let layout = Layout::from_size_align(bytes.max(ALIGN), ALIGN).ok()?;
        // SAFETY: the layout is not of size 0.
        let start = NonNull::new(unsafe { std::alloc::alloc(layout) })?;
        Some(Block { start, layout, keys })
    }

    /// Its first byte.
    pub(crate) fn start(&self) -> *mut u8 {
        self.start.as_ptr()
    }

    /// Makes it the caller's, who frees it with [`free`].
    pub(crate) fn give<T>(self) -> *mut T {
        let block = std::mem::ManuallyDrop::new(self);
        let address = block.start.addr().get();
        let given = Given { start: block.start, layout: block.layout, keys: block.keys.clone() };
        shard(address).insert(address, given);
        block.start.as_ptr().cast()
    }
}

impl Drop for Block {
    fn drop(&mut self) {
        // SAFETY: allocated with this layout, and given to nobody.
        unsafe { wipe_and_free(self.start, self.layout, &self.keys) };
    }
}

/// # Safety
/// The block was allocated with this layout, its keys are within it, and nobody uses it any more.
unsafe fn wipe_and_free(start: NonNull<u8>, layout: Layout, keys: &Range<usize>) {
    // SAFETY: the keys lie within the block. Bytes that were never written are not read: they are only set, through
    // volatile writes, which the type of uninitialised bytes allows.
    unsafe {
        let keys = std::slice::from_raw_parts_mut(
            start.as_ptr().add(keys.start).cast::<std::mem::MaybeUninit<u8>>(),
            keys.len(),
        );
        keys.zeroize();
        std::alloc::dealloc(start.as_ptr(), layout);
    }
}

/// Frees what a call returned and sets the caller's pointer to null: `FwpmFreeMemory0`. Null is nothing to free; what no
/// call returned, or what was freed before, is left alone, with a word in the log for the first time.
///
/// # Safety
/// `place` is null or points to a pointer. If that pointer is one that a call returned, nobody uses the memory any more.
pub unsafe fn free(place: *mut *mut c_void) {
    if place.is_null() || !place.is_aligned() {
        return;
    }
    // SAFETY: a pointer, as the caller says.
    let pointer = unsafe { *place };
    let address = pointer.addr();
    if address == 0 {
        return;
    }
    let Some(given) = shard(address).remove(&address) else {
        complain(address);
        return;
    };
    // SAFETY: a block that was given and, being out of the map now, is freed once; nobody uses it, as the caller says.
    unsafe {
        wipe_and_free(given.start, given.layout, &given.keys);
        *place = std::ptr::null_mut();
    }
}

/// To whoever listens; to the standard error where a C program has nobody who does.
fn complain(address: usize) {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let what = "FwpmFreeMemory0 was called for memory that no call returned, or for the second time";
        // Neither a subscriber that panics nor a standard error that is closed is the caller's trouble.
        let _ = catch_unwind(|| {
            if tracing::dispatcher::has_been_set() {
                tracing::warn!(address = format_args!("{address:#x}"), "{what}");
            } else {
                let _ =
                    writeln!(std::io::stderr(), "openwfp: {what} ({address:#x}); further ones are not told");
            }
        });
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_is_freed_once_and_nothing_else_is() {
        let block = Block::new(100, 60..100).unwrap();
        let mut pointer: *mut c_void = block.give();
        let copy = pointer;
        // SAFETY: a pointer that was given, nulls, and pointers that were not given.
        unsafe {
            pointer.cast::<u8>().write_bytes(7, 100);
            free(&raw mut pointer);
            assert!(pointer.is_null());
            free(&raw mut pointer);
            free(std::ptr::null_mut());
            let mut again = copy;
            free(&raw mut again);
            assert_eq!(again, copy, "what is not ours is left alone");
            let mut local = 5_u64;
            let mut pointer: *mut c_void = (&raw mut local).cast();
            free(&raw mut pointer);
            assert!(!pointer.is_null() && local == 5);
        }
    }

    #[test]
    #[cfg_attr(miri, ignore = "Miri gives up where there is no memory")]
    fn what_cannot_be_allocated_is_none() {
        assert!(Block::new(usize::MAX, 0..0).is_none());
        assert!(Block::new(isize::MAX as usize - 64, 0..0).is_none());
        drop(Block::new(0, 0..0).unwrap());
    }
}
