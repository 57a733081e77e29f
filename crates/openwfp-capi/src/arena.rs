//! Structures laid out in one block: first their places, then themselves.
//!
//! What is written is said once, as a function over a [`Sink`]; it runs twice, first to measure, then to write into
//! memory of exactly that size. Structures come one behind the other; keys have a zone of their own at the end, so that
//! they can be wiped without a look at the structures.

use crate::memory::ALIGN;
use crate::memory::Block;
use openwfp_api::Code;
use openwfp_api::Error;
use openwfp_api::Result;
use std::marker::PhantomData;

/// Where structures go.
pub(crate) trait Sink {
    /// Places for `len` values one behind the other, to be filled with [`Sink::set`].
    fn reserve<T: Copy>(&mut self, len: usize) -> Places<T>;

    /// Fills one of the places.
    fn set<T: Copy>(&mut self, places: &Places<T>, index: usize, value: T);

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

    fn set<T: Copy>(&mut self, _: &Places<T>, _: usize, _: T) {}

    fn bytes(&mut self, bytes: &[u8]) -> *mut u8 {
        self.structures = self.structures.saturating_add(room(bytes.len()));
        std::ptr::null_mut()
    }

    fn key(&mut self, key: &[u8]) -> *mut u8 {
        self.keys = self.keys.saturating_add(key.len());
        std::ptr::null_mut()
    }
}

/// Writes into a block that is large enough.
struct Writer<'a> {
    next: *mut u8,
    structures_left: usize,
    next_key: *mut u8,
    keys_left: usize,
    block: PhantomData<&'a mut Block>,
}

impl Writer<'_> {
    /// The next place for so many bytes.
    fn take(&mut self, bytes: usize) -> *mut u8 {
        let bytes = room(bytes);
        assert!(bytes <= self.structures_left, "both passes write the same");
        self.structures_left -= bytes;
        let place = self.next;
        self.next = place.wrapping_add(bytes);
        place
    }
}

impl Sink for Writer<'_> {
    fn reserve<T: Copy>(&mut self, len: usize) -> Places<T> {
        const { assert!(align_of::<T>() <= ALIGN) };
        Places { start: self.take(size_of::<T>() * len).cast(), len }
    }

    fn set<T: Copy>(&mut self, places: &Places<T>, index: usize, value: T) {
        assert!(index < places.len, "a place that was reserved");
        // SAFETY: places come from `reserve` alone, which took room for `len` values within the block, aligned as every
        // structure here needs; the block is this writer's alone.
        unsafe { places.start.add(index).write(value) };
    }

    fn bytes(&mut self, bytes: &[u8]) -> *mut u8 {
        if bytes.is_empty() {
            return std::ptr::null_mut();
        }
        let place = self.take(bytes.len());
        // SAFETY: `take` found room for them within the block, which is this writer's alone.
        unsafe { place.copy_from_nonoverlapping(bytes.as_ptr(), bytes.len()) };
        place
    }

    fn key(&mut self, key: &[u8]) -> *mut u8 {
        if key.is_empty() {
            return std::ptr::null_mut();
        }
        assert!(key.len() <= self.keys_left, "both passes write the same keys");
        self.keys_left -= key.len();
        let place = self.next_key;
        self.next_key = place.wrapping_add(key.len());
        // SAFETY: there is room for them in the block's zone of keys, as was just checked.
        unsafe { place.copy_from_nonoverlapping(key.as_ptr(), key.len()) };
        place
    }
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

/// One block with everything in it.
///
/// # Errors
/// `ERROR_NOT_ENOUGH_MEMORY`.
pub(crate) fn build(layout: &impl Layout) -> Result<Block> {
    let mut measure = Measure::default();
    layout.write(&mut measure);
    let (structures, keys) = (measure.structures, measure.keys);
    let bytes = structures.saturating_add(keys);
    let block = Block::new(bytes, structures..bytes).ok_or_else(|| {
        Error::new(Code::ERROR_NOT_ENOUGH_MEMORY, format!("there is no memory for a result of {bytes} bytes"))
            .with_remedy("ask for fewer entries at a time")
    })?;
    let start = block.start();
    let mut writer = Writer {
        next: start,
        structures_left: structures,
        next_key: start.wrapping_add(structures),
        keys_left: keys,
        block: PhantomData,
    };
    layout.write(&mut writer);
    assert!(writer.structures_left == 0 && writer.keys_left == 0, "both passes write the same");
    Ok(block)
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
}
