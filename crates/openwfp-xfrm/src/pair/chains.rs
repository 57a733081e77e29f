//! Chains of entries that share a key, for millions of keys: two numbers an entry and no memory of its own.

use foldhash::fast::RandomState;
use std::collections::HashMap;
use std::hash::BuildHasher;
use std::hash::BuildHasherDefault;
use std::hash::Hash;
use std::hash::Hasher;
use std::marker::PhantomData;

const END: u32 = u32::MAX;

/// Entries numbered from 0 in the order in which they were pushed, chained by the hash of a key.
///
/// Keys are not kept: a chain may, very rarely, hold entries of another key with the same hash of 64 bits,
/// and whoever walks it compares what matters.
pub(super) struct Chains<K> {
    hasher: RandomState,
    heads: HashMap<u64, u32, BuildHasherDefault<Already>>,
    next: Vec<u32>,
    keys: PhantomData<fn(&K)>,
}

/// The hash of a number that is a hash already.
#[derive(Default)]
struct Already(u64);

impl Hasher for Already {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }
}

impl<K: Hash> Chains<K> {
    /// Room for so many entries of so many keys; more find room as well, only slower.
    pub(super) fn with_capacity(entries: usize, keys: usize) -> Chains<K> {
        Chains {
            hasher: RandomState::default(),
            heads: HashMap::with_capacity_and_hasher(keys, BuildHasherDefault::default()),
            next: Vec::with_capacity(entries),
            keys: PhantomData,
        }
    }

    /// Pushes the next entry before those of its key.
    ///
    /// # Panics
    /// At 2^32 - 1 entries, for which no dump has room.
    pub(super) fn push(&mut self, key: &K) {
        let entry = u32::try_from(self.next.len()).expect("a dump holds fewer messages than a u32 counts");
        let head = self.heads.entry(self.hasher.hash_one(key)).or_insert(END);
        self.next.push(*head);
        *head = entry;
    }

    /// The last pushed entry of a key.
    pub(super) fn head(&self, key: &K) -> Option<usize> {
        self.heads.get(&self.hasher.hash_one(key)).copied().and_then(entry)
    }

    /// Every chain, in the order of their last pushed entries, the last one first: near to the order in
    /// which the entries stand in memory.
    pub(super) fn all(&self) -> impl Iterator<Item = impl Iterator<Item = usize>> {
        let mut is_head = vec![true; self.next.len()];
        for next in self.next.iter().filter_map(|next| entry(*next)) {
            is_head[next] = false;
        }
        (0..self.next.len()).rev().filter(move |at| is_head[*at]).map(|at| self.chain(Some(at)))
    }

    /// An entry and those of its key that were pushed before it, the last one first.
    pub(super) fn chain(&self, head: Option<usize>) -> impl Iterator<Item = usize> {
        std::iter::successors(head, move |at| entry(self.next[*at]))
    }
}

fn entry(number: u32) -> Option<usize> {
    usize::try_from(number).ok().filter(|_| number != END)
}
