//! Lays out the structures that a call returns in one block of memory.
//!
//! A result is described once, as a function over a [`Sink`], which runs twice: first to measure, then
//! to write into a block of exactly that size. A long page is first written into a block of guessed
//! size: the bytes per entry of the previous such page, plus one sixteenth. This almost always saves
//! the measuring pass. Structures follow one another in the block. Keys have their own zone at the end,
//! so that they can be wiped without reading the structures.

use crate::memory::ALIGN;
use crate::memory::Block;
use openwfp_api::Code;
use openwfp_api::Error;
use openwfp_api::Result;
use std::marker::PhantomData;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;

/// The destination of a result's structures.
pub(crate) trait Sink {
    /// Reserves contiguous places for `len` values, to be filled with [`Sink::fill`] or [`Sink::set`].
    fn reserve<T: Copy>(&mut self, len: usize) -> Places<T>;

    /// Zeroes one of the places and lets `value` fill it in place.
    fn fill<T: Zeroed>(&mut self, places: &Places<T>, index: usize, value: impl FnOnce(&mut T));

    /// Writes a value to one of the places.
    fn set<T: Copy>(&mut self, places: &Places<T>, index: usize, value: T);

    /// Hints that this value will be read soon, so that it can be prefetched.
    fn announce<T>(&self, soon: &T);

    /// Copies bytes and returns the address of the copy; null for an empty slice.
    fn bytes(&mut self, bytes: &[u8]) -> *mut u8;

    /// Copies a key to the zone that is wiped when the block is freed, and returns its address; null for an
    /// empty key.
    fn key(&mut self, key: &[u8]) -> *mut u8;

    /// Reserves a place for one value and writes it there.
    fn put<T: Copy>(&mut self, value: T) -> *mut T {
        let place = self.reserve(1);
        self.set(&place, 0, value);
        place.start()
    }
}

/// A structure for which all-zero bytes are a valid value.
///
/// # Safety
/// All-zero bytes are a valid value of the type.
pub(crate) unsafe trait Zeroed: Copy {}

macro_rules! zeroed {
    ($($type:ident)*) => {
        $(
            // SAFETY: these types consist of numbers, nullable pointers, and unions and structures of both.
            unsafe impl Zeroed for crate::abi::$type {}
        )*
    };
}

zeroed! {
    FWPM_FILTER0 FWPM_FILTER_CONDITION0 IPSEC_SA0 IPSEC_SA_AUTH_AND_CIPHER_INFORMATION0 IPSEC_SA_DETAILS0
    IPSEC_SA_DETAILS1
}

/// Reserved places in a block for values of one type.
pub(crate) struct Places<T> {
    start: *mut T,
    len: usize,
}

impl<T> Places<T> {
    /// Returns the address of the first place, which holds what was written there.
    pub(crate) fn start(&self) -> *mut T {
        self.start
    }

    /// Returns the address of the place at `index`.
    pub(crate) fn at(&self, index: usize) -> *mut T {
        debug_assert!(index < self.len);
        self.start.wrapping_add(index)
    }
}

/// A sink that only adds up sizes.
#[derive(Default)]
struct Measure {
    structures: usize,
    keys: usize,
}

impl Sink for Measure {
    fn reserve<T: Copy>(&mut self, len: usize) -> Places<T> {
        // A size that overflows exceeds all memory; allocating the block then fails.
        self.structures = self.structures.saturating_add(room(size_of::<T>().saturating_mul(len)));
        Places { start: std::ptr::null_mut(), len }
    }

    fn fill<T: Zeroed>(&mut self, _: &Places<T>, _: usize, _: impl FnOnce(&mut T)) {}

    fn set<T: Copy>(&mut self, _: &Places<T>, _: usize, _: T) {}

    fn announce<T>(&self, _: &T) {}

    fn bytes(&mut self, bytes: &[u8]) -> *mut u8 {
        self.structures = self.structures.saturating_add(room(bytes.len()));
        std::ptr::null_mut()
    }

    fn key(&mut self, key: &[u8]) -> *mut u8 {
        self.keys = self.keys.saturating_add(key.len());
        std::ptr::null_mut()
    }
}

/// A sink that writes into a block until the block is full.
struct Writer<'a> {
    next: *mut u8,
    structures_left: usize,
    next_key: *mut u8,
    keys_left: usize,
    /// Set once something did not fit; from then on nothing is written.
    full: bool,
    block: PhantomData<&'a mut Block>,
}

impl<'a> Writer<'a> {
    fn new(block: &'a mut Block, structures: usize, keys: usize) -> Writer<'a> {
        let start = block.start();
        Writer {
            next: start,
            structures_left: structures,
            next_key: start.wrapping_add(structures),
            keys_left: keys,
            full: false,
            block: PhantomData,
        }
    }

    /// Returns the next place of this many bytes; null if they do not fit.
    #[inline]
    fn take(&mut self, bytes: usize) -> *mut u8 {
        let bytes = room(bytes);
        if bytes > self.structures_left {
            self.full = true;
        }
        if self.full {
            return std::ptr::null_mut();
        }
        self.structures_left -= bytes;
        let place = self.next;
        self.next = place.wrapping_add(bytes);
        place
    }
}

impl Sink for Writer<'_> {
    #[inline]
    fn reserve<T: Copy>(&mut self, len: usize) -> Places<T> {
        const { assert!(align_of::<T>() <= ALIGN) };
        Places { start: self.take(size_of::<T>().saturating_mul(len)).cast(), len }
    }

    #[inline]
    fn fill<T: Zeroed>(&mut self, places: &Places<T>, index: usize, value: impl FnOnce(&mut T)) {
        assert!(index < places.len, "a place that was reserved");
        if places.start.is_null() {
            return;
        }
        // SAFETY: same as in `set`; all zeros are a valid value of the type, so the reference is valid.
        unsafe {
            let place = places.start.add(index);
            place.write_bytes(0, 1);
            value(&mut *place);
        }
    }

    #[inline]
    fn set<T: Copy>(&mut self, places: &Places<T>, index: usize, value: T) {
        assert!(index < places.len, "a place that was reserved");
        if places.start.is_null() {
            return;
        }
        // SAFETY: places come only from `reserve`, which took aligned room for `len` values within the
        // block. The writer has exclusive access to the block.
        unsafe { places.start.add(index).write(value) };
    }

    #[inline]
    fn announce<T>(&self, soon: &T) {
        prefetch(soon);
    }

    fn bytes(&mut self, bytes: &[u8]) -> *mut u8 {
        if bytes.is_empty() {
            return std::ptr::null_mut();
        }
        let place = self.take(bytes.len());
        if !place.is_null() {
            // SAFETY: `take` found room for the bytes within the block, and the writer has exclusive
            // access to it.
            unsafe { place.copy_from_nonoverlapping(bytes.as_ptr(), bytes.len()) };
        }
        place
    }

    #[inline]
    fn key(&mut self, key: &[u8]) -> *mut u8 {
        if key.len() > self.keys_left {
            self.full = true;
        }
        if key.is_empty() || self.full {
            return std::ptr::null_mut();
        }
        self.keys_left -= key.len();
        let place = self.next_key;
        self.next_key = place.wrapping_add(key.len());
        // SAFETY: the check above ensures that the key fits into the block's zone of keys.
        unsafe { place.copy_from_nonoverlapping(key.as_ptr(), key.len()) };
        place
    }
}

/// Prefetches a value's memory into the cache.
#[inline]
fn prefetch<T>(value: &T) {
    #[cfg(all(target_arch = "x86_64", not(miri)))]
    for line in 0..size_of::<T>().div_ceil(64) {
        let at = std::ptr::from_ref(value).cast::<i8>().wrapping_add(64 * line);
        // SAFETY: a prefetch has no visible effect and faults for no address.
        unsafe { std::arch::x86_64::_mm_prefetch::<{ std::arch::x86_64::_MM_HINT_T0 }>(at) };
    }
    #[cfg(any(not(target_arch = "x86_64"), miri))]
    let _ = value;
}

/// Rounds a size up to a multiple of the alignment.
fn room(bytes: usize) -> usize {
    bytes.checked_next_multiple_of(ALIGN).unwrap_or(usize::MAX)
}

/// A result that can be written to a [`Sink`]; both passes run the same code.
pub(crate) trait Layout {
    /// Writes the whole result; whatever must start the block is written first.
    fn write(&self, sink: &mut impl Sink);
}

/// Bytes per entry of the last page of one kind; 0 if there was none yet.
pub(crate) struct Typical {
    structures: AtomicUsize,
    keys: AtomicUsize,
}

impl Typical {
    pub(crate) const fn new() -> Typical {
        Typical { structures: AtomicUsize::new(0), keys: AtomicUsize::new(0) }
    }

    /// Returns the room for this many entries, plus one sixteenth; `None` if no page was seen yet.
    fn room_for(&self, entries: usize) -> Option<(usize, usize)> {
        let structures = self.structures.load(Ordering::Relaxed).checked_mul(entries)?;
        let keys = self.keys.load(Ordering::Relaxed).checked_mul(entries)?;
        let spare = |bytes: usize| bytes.checked_add(bytes / 16)?.checked_next_multiple_of(ALIGN);
        (structures > 0).then_some((spare(structures)?, spare(keys)?))
    }

    fn learn(&self, entries: usize, structures: usize, keys: usize) {
        let lately = |known: &AtomicUsize, bytes: usize| {
            let each = bytes.div_ceil(entries.max(1));
            // The value rarely changes, and a needless store would slow down all threads that share it.
            if known.load(Ordering::Relaxed) != each {
                known.store(each, Ordering::Relaxed);
            }
        };
        lately(&self.structures, structures);
        lately(&self.keys, keys);
    }
}

/// Minimum length of a page whose size is guessed; sizes of shorter pages vary too much.
const GUESSED_ENTRIES_MIN: usize = 64;

/// Builds one block with a page of this many entries.
///
/// # Errors
/// `ERROR_NOT_ENOUGH_MEMORY` if the block cannot be allocated.
pub(crate) fn build_page(layout: &impl Layout, entries: usize, typical: &Typical) -> Result<Block> {
    if entries < GUESSED_ENTRIES_MIN {
        return build(layout);
    }
    if let Some((structures, keys)) = typical.room_for(entries)
        && let Some(mut block) = Block::new(structures.saturating_add(keys), structures..structures + keys)
    {
        let mut writer = Writer::new(&mut block, structures, keys);
        layout.write(&mut writer);
        if !writer.full {
            let (structures, keys) = (structures - writer.structures_left, keys - writer.keys_left);
            typical.learn(entries, structures, keys);
            return Ok(block);
        }
    }
    let (block, structures, keys) = measure_and_build(layout)?;
    typical.learn(entries, structures, keys);
    Ok(block)
}

/// Builds one block with a whole result.
///
/// # Errors
/// `ERROR_NOT_ENOUGH_MEMORY` if the block cannot be allocated.
pub(crate) fn build(layout: &impl Layout) -> Result<Block> {
    measure_and_build(layout).map(|(block, ..)| block)
}

fn measure_and_build(layout: &impl Layout) -> Result<(Block, usize, usize)> {
    let mut measure = Measure::default();
    layout.write(&mut measure);
    let (structures, keys) = (measure.structures, measure.keys);
    let bytes = structures.saturating_add(keys);
    let mut block = Block::new(bytes, structures..bytes).ok_or_else(|| {
        Error::new(Code::ERROR_NOT_ENOUGH_MEMORY, format!("out of memory for a result of {bytes} bytes"))
            .with_remedy("Request fewer entries at a time.")
    })?;
    let mut writer = Writer::new(&mut block, structures, keys);
    layout.write(&mut writer);
    let exact = !writer.full && writer.structures_left == 0 && writer.keys_left == 0;
    assert!(exact, "both passes write the same");
    Ok((block, structures, keys))
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Two<'a>(&'a [u8], &'a [u8]);

    #[derive(Clone, Copy)]
    struct Pair {
        blob: *mut u8,
        key: *mut u8,
        list: *mut u16,
    }

    impl Layout for Two<'_> {
        fn write(&self, sink: &mut impl Sink) {
            let first = sink.reserve::<Pair>(1);
            let list = sink.reserve::<u16>(3);
            (0..3).for_each(|index| sink.set(&list, usize::from(index), index));
            let pair = Pair { blob: sink.bytes(self.0), key: sink.key(self.1), list: list.start() };
            sink.set(&first, 0, pair);
        }
    }

    #[test]
    fn what_is_written_stands_in_one_block_with_its_keys_at_the_end() {
        let block = build(&Two(&[1, 2, 3], &[9; 20])).unwrap();
        let start = block.start();
        // SAFETY: `Two` wrote these values.
        unsafe {
            let pair = *start.cast::<Pair>();
            assert_eq!(std::slice::from_raw_parts(pair.blob, 3), [1, 2, 3]);
            assert_eq!(std::slice::from_raw_parts(pair.list, 3), [0, 1, 2]);
            assert_eq!(pair.key, start.add(24 + 8 + 8));
            assert_eq!(std::slice::from_raw_parts(pair.key, 20), [9; 20]);
            let mut given = block.give();
            crate::free(&raw mut given);
        }
        let block = build(&Two(&[], &[])).unwrap();
        // SAFETY: as above.
        unsafe { assert!((*block.start().cast::<Pair>()).key.is_null()) };
    }

    /// One entry per length, with a blob and a key of that length.
    struct Blobs(Vec<usize>);

    impl Layout for Blobs {
        fn write(&self, sink: &mut impl Sink) {
            let list = sink.reserve::<(*mut u8, *mut u8)>(self.0.len());
            for (index, len) in self.0.iter().enumerate() {
                let bytes = vec![u8::try_from(index % 251).unwrap(); *len];
                let pair = (sink.bytes(&bytes), sink.key(&bytes));
                sink.set(&list, index, pair);
            }
        }
    }

    #[test]
    fn a_page_is_whole_whatever_pages_were_before_it() {
        let typical = Typical::new();
        let pages = [
            vec![8; 100],
            vec![8; 1000],
            vec![100; 64],
            vec![4; 70],
            vec![0; 64],
            vec![300; 65],
            vec![9; 63],
        ];
        for lens in pages {
            let block = build_page(&Blobs(lens.clone()), lens.len(), &typical).unwrap();
            for (index, len) in lens.iter().enumerate() {
                // SAFETY: `Blobs` wrote these values.
                unsafe {
                    let (blob, key) = *block.start().cast::<(*mut u8, *mut u8)>().add(index);
                    if *len == 0 {
                        assert!(blob.is_null() && key.is_null());
                        continue;
                    }
                    let wanted = vec![u8::try_from(index % 251).unwrap(); *len];
                    assert_eq!(std::slice::from_raw_parts(blob, *len), wanted);
                    assert_eq!(std::slice::from_raw_parts(key, *len), wanted);
                }
            }
        }
        assert_eq!(
            typical.structures.load(Ordering::Relaxed),
            16 + 304,
            "the last page was too short to learn from"
        );
        assert_eq!(typical.keys.load(Ordering::Relaxed), 300);
    }
}
