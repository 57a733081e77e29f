//! The memory that calls return: blocks that [`free`] recognizes, wipes and frees.
//!
//! Each result is one block. The place of its keys is recorded here and not read from the structures,
//! because a caller may have changed those.

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

/// Alignment of a block, in bytes: that of the structures in it.
pub(crate) const ALIGN: usize = 8;

/// A block that no caller owns yet.
pub(crate) struct Block {
    start: NonNull<u8>,
    layout: Layout,
    /// The range of the keys, as offsets in bytes.
    keys: Range<usize>,
}

/// The blocks that callers own, by address, in shards to reduce contention between threads.
static BLOCKS: LazyLock<[Mutex<HashMap<usize, Given, foldhash::fast::RandomState>>; SHARDS]> =
    LazyLock::new(|| std::array::from_fn(|_| Mutex::default()));
const SHARDS: usize = 16;

pub(crate) struct Given {
    start: NonNull<u8>,
    layout: Layout,
    keys: Range<usize>,
}

// SAFETY: a block is plain memory that belongs to the owner of this value; it is not tied to a thread.
unsafe impl Send for Given {}

/// The lock of one shard.
pub(crate) type Held = MutexGuard<'static, HashMap<usize, Given, foldhash::fast::RandomState>>;

/// Takes all locks of the table of blocks.
pub(crate) fn hold() -> impl Iterator<Item = Held> {
    BLOCKS.iter().map(|shard| shard.lock().unwrap_or_else(PoisonError::into_inner))
}

fn shard(address: usize) -> Held {
    BLOCKS[(address / 64) % SHARDS].lock().unwrap_or_else(PoisonError::into_inner)
}

impl Block {
    /// Allocates an uninitialized block of this many bytes; `None` if there is not enough memory.
    pub(crate) fn new(bytes: usize, keys: Range<usize>) -> Option<Block> {
        // An empty page needs an address too, since it is freed like any other.
        let layout = Layout::from_size_align(bytes.max(ALIGN), ALIGN).ok()?;
        // SAFETY: the layout is not of size 0.
        let start = NonNull::new(unsafe { std::alloc::alloc(layout) })?;
        Some(Block { start, layout, keys })
    }

    /// Returns the address of the first byte.
    pub(crate) fn start(&self) -> *mut u8 {
        self.start.as_ptr()
    }

    /// Hands the block over to the caller, who frees it with [`free`].
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
        // SAFETY: the block was allocated with this layout, and no caller owns it.
        unsafe { wipe_and_free(self.start, self.layout, &self.keys) };
    }
}

/// # Safety
/// The block was allocated with this layout, its keys lie within it, and nobody uses it any more.
unsafe fn wipe_and_free(start: NonNull<u8>, layout: Layout, keys: &Range<usize>) {
    // SAFETY: the keys lie within the block. Uninitialized bytes are never read, only overwritten with
    // volatile writes, which `MaybeUninit<u8>` allows.
    unsafe {
        let keys = std::slice::from_raw_parts_mut(
            start.as_ptr().add(keys.start).cast::<std::mem::MaybeUninit<u8>>(),
            keys.len(),
        );
        keys.zeroize();
        std::alloc::dealloc(start.as_ptr(), layout);
    }
}

/// Frees memory that a call returned, wipes its keys and sets the caller's pointer to null. C:
/// `FwpmFreeMemory0`.
///
/// A null pointer is ignored. Memory that no call returned, or that was freed before, is left alone;
/// the first such case in a process is logged to `tracing`, or to stderr if `tracing` has no
/// subscriber.
///
/// # Safety
/// `place` is null or points to a pointer. If a call returned that pointer, nobody uses its memory any
/// more.
pub unsafe fn free(place: *mut *mut c_void) {
    if place.is_null() || !place.is_aligned() {
        return;
    }
    // SAFETY: the caller guarantees that a pointer is there.
    let pointer = unsafe { *place };
    let address = pointer.addr();
    if address == 0 {
        return;
    }
    let Some(given) = shard(address).remove(&address) else {
        complain(address);
        return;
    };
    // SAFETY: the block was handed out and is no longer in the map, so it is freed only once. The caller
    // guarantees that nobody uses it.
    unsafe {
        wipe_and_free(given.start, given.layout, &given.keys);
        *place = std::ptr::null_mut();
    }
}

/// Warns once, through `tracing` if it has a subscriber, else on stderr.
fn complain(address: usize) {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let what = "FwpmFreeMemory0 ignored a pointer that no call returned, or that was freed before";
        // A panicking subscriber or a closed stderr must not affect the caller.
        let _ = catch_unwind(|| {
            if tracing::dispatcher::has_been_set() {
                tracing::warn!(address = format_args!("{address:#x}"), "{what}");
            } else {
                let _ = writeln!(
                    std::io::stderr(),
                    "openwfp: {what} ({address:#x}); further cases are not reported"
                );
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
        // SAFETY: the pointers are null, were handed out, or were never handed out.
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
