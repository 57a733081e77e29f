//! Structures laid out in one block.
//!
//! What is written is said once, as a function over a [`Sink`]. It runs twice: to measure, and to write into memory of
//! exactly that size. A long page is first tried in memory of the size that pages of its length lately had, with a
//! little to spare, which saves the measuring nearly always. Structures come one behind the other; keys have a zone of
//! their own at the end, so that they can be wiped without a look at the structures.

use crate::memory::ALIGN;
use crate::memory::Block;
use openwfp_api::Code;
use openwfp_api::Error;
use openwfp_api::Result;
use std::marker::PhantomData;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;

/// Where structures go.
pub(crate) trait Sink {
    /// Places for `len` values one behind the other, to be filled with [`Sink::fill`] or [`Sink::set`].
    fn reserve<T: Copy>(&mut self, len: usize) -> Places<T>;

    /// Fills one of the places where it stands, from all zeros.
    fn fill<T: Zeroed>(&mut self, places: &Places<T>, index: usize, value: impl FnOnce(&mut T));

    /// Fills one of the places.
    fn set<T: Copy>(&mut self, places: &Places<T>, index: usize, value: T);

    /// Says that a context will be read soon.
    fn announce<T>(&self, soon: &T);

    /// A copy of the bytes; null for none.
    fn bytes(&mut self, bytes: &[u8]) -> *mut u8;

    /// A copy of a key, which is wiped when the block is freed; null for none.
    fn key(&mut self, key: &[u8]) -> *mut u8;

    /// A value in a place of its own.
    fn put<T: Copy>(&mut self, value: T) -> *mut T {
        let place = self.reserve(1);
        self.set(&place, 0, value);
        place.start()
    }
}

/// A structure that may be all zeros.
///
/// # Safety
/// All zeros are a value of the type.
pub(crate) unsafe trait Zeroed: Copy {}

macro_rules! zeroed {
    ($($type:ident)*) => {
        $(
            // SAFETY: numbers, pointers that may be null, and unions and structures of those.
            unsafe impl Zeroed for crate::abi::$type {}
        )*
    };
}

zeroed! {
    FWPM_FILTER0 FWPM_FILTER_CONDITION0 IPSEC_SA0 IPSEC_SA_AUTH_AND_CIPHER_INFORMATION0 IPSEC_SA_DETAILS0
    IPSEC_SA_DETAILS1
}

/// Places in a block for values of one type.
pub(crate) struct Places<T> {
    start: *mut T,
    len: usize,
}

impl<T> Places<T> {
    /// The first of them; what stands there is what was set.
    pub(crate) fn start(&self) -> *mut T {
        self.start
    }

    /// One of them.
    pub(crate) fn at(&self, index: usize) -> *mut T {
        debug_assert!(index < self.len);
        self.start.wrapping_add(index)
    }
}

/// Measures how much would be written.
#[derive(Default)]
struct Measure {
    structures: usize,
    keys: usize,
}

impl Sink for Measure {
    fn reserve<T: Copy>(&mut self, len: usize) -> Places<T> {
        // What does not fit into a number fits into no memory either; the block refuses it.
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

/// Writes into a block, as far as that is large enough.
struct Writer<'a> {
    next: *mut u8,
    structures_left: usize,
    next_key: *mut u8,
    keys_left: usize,
    /// Whether something did not fit; nothing is written any more then.
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

    /// The next place for so many bytes; null if there is none.
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
        // SAFETY: as for `set`; all zeros are a value, as the type says, so that the reference is to one.
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
        // SAFETY: places come from `reserve` alone, which took room for `len` values within the block, aligned as every
        // structure here needs; the block is this writer's alone.
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
            // SAFETY: `take` found room for them within the block, which is this writer's alone.
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
        // SAFETY: there is room for them in the block's zone of keys, as was just checked.
        unsafe { place.copy_from_nonoverlapping(key.as_ptr(), key.len()) };
        place
    }
}

/// Has a value's memory fetched into the cache while something else is done.
#[inline]
fn prefetch<T>(value: &T) {
    #[cfg(all(target_arch = "x86_64", not(miri)))]
    for line in 0..size_of::<T>().div_ceil(64) {
        let at = std::ptr::from_ref(value).cast::<i8>().wrapping_add(64 * line);
        // SAFETY: a prefetch reads nothing that a program could see and faults for no address.
        unsafe { std::arch::x86_64::_mm_prefetch::<{ std::arch::x86_64::_MM_HINT_T0 }>(at) };
    }
    #[cfg(any(not(target_arch = "x86_64"), miri))]
    let _ = value;
}

/// The room that so many bytes take: a multiple of the alignment.
fn room(bytes: usize) -> usize {
    bytes.checked_next_multiple_of(ALIGN).unwrap_or(usize::MAX)
}

/// What is written, said once for both passes.
pub(crate) trait Layout {
    /// Writes everything; what is to be first in the block is written first.
    fn write(&self, sink: &mut impl Sink);
}

/// What pages of one kind lately took for an entry, in bytes; 0: nothing is known.
pub(crate) struct Typical {
    structures: AtomicUsize,
    keys: AtomicUsize,
}

impl Typical {
    pub(crate) const fn new() -> Typical {
        Typical { structures: AtomicUsize::new(0), keys: AtomicUsize::new(0) }
    }

    /// Room for so many entries, with a little to spare; none while nothing is known.
    fn room_for(&self, entries: usize) -> Option<(usize, usize)> {
        let structures = self.structures.load(Ordering::Relaxed).checked_mul(entries)?;
        let keys = self.keys.load(Ordering::Relaxed).checked_mul(entries)?;
        let spare = |bytes: usize| bytes.checked_add(bytes / 16)?.checked_next_multiple_of(ALIGN);
        (structures > 0).then_some((spare(structures)?, spare(keys)?))
    }

    fn learn(&self, entries: usize, structures: usize, keys: usize) {
        let lately = |known: &AtomicUsize, bytes: usize| {
            let each = bytes.div_ceil(entries.max(1));
            // Mostly it is what it was, and memory that all threads share is better left alone.
            if known.load(Ordering::Relaxed) != each {
                known.store(each, Ordering::Relaxed);
            }
        };
        lately(&self.structures, structures);
        lately(&self.keys, keys);
    }
}

/// Pages of fewer entries are measured: their sizes vary too much for a guess.
const GUESSED_ENTRIES_MIN: usize = 64;

/// One block with a page of so many entries in it.
///
/// # Errors
/// `ERROR_NOT_ENOUGH_MEMORY`.
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

/// One block with everything in it.
///
/// # Errors
/// `ERROR_NOT_ENOUGH_MEMORY`.
pub(crate) fn build(layout: &impl Layout) -> Result<Block> {
    measure_and_build(layout).map(|(block, ..)| block)
}

fn measure_and_build(layout: &impl Layout) -> Result<(Block, usize, usize)> {
    let mut measure = Measure::default();
    layout.write(&mut measure);
    let (structures, keys) = (measure.structures, measure.keys);
    let bytes = structures.saturating_add(keys);
    let mut block = Block::new(bytes, structures..bytes).ok_or_else(|| {
        Error::new(Code::ERROR_NOT_ENOUGH_MEMORY, format!("there is no memory for a result of {bytes} bytes"))
            .with_remedy("ask for fewer entries at a time")
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
        // SAFETY: what `Two` wrote.
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

    /// As many blobs as entries, each of its length, and each as a key as well.
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
                // SAFETY: what `Blobs` wrote.
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
