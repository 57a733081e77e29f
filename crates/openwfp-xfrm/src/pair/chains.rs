//! Chains of entries that share a key, for millions of keys: one `u32` per entry, one map entry per
//! key, and no allocation per chain.

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
/// Keys are not stored. In rare cases two keys have the same 64-bit hash and share a chain, so callers
/// must compare the keys.
pub(super) struct Chains<K> {
    hasher: RandomState,
    heads: HashMap<u64, u32, BuildHasherDefault<Already>>,
    next: Vec<u32>,
    keys: PhantomData<fn(&K)>,
}

/// A hasher for numbers that are hashes already.
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
    /// Reserves space for this many entries and keys; both may grow beyond it.
    pub(super) fn with_capacity(entries: usize, keys: usize) -> Chains<K> {
        Chains {
            hasher: RandomState::default(),
            heads: HashMap::with_capacity_and_hasher(keys, BuildHasherDefault::default()),
            next: Vec::with_capacity(entries),
            keys: PhantomData,
        }
    }

    /// Pushes the next entry at the head of its key's chain.
    ///
    /// # Panics
    /// Panics if the entry's number does not fit a `u32`; no dump has that many messages.
    pub(super) fn push(&mut self, key: &K) {
        let entry = u32::try_from(self.next.len()).expect("a dump holds fewer messages than a u32 counts");
        let head = self.heads.entry(self.hasher.hash_one(key)).or_insert(END);
        self.next.push(*head);
        *head = entry;
    }

    /// Returns the last pushed entry of a key.
    pub(super) fn head(&self, key: &K) -> Option<usize> {
        self.heads.get(&self.hasher.hash_one(key)).copied().and_then(entry)
    }

    /// Returns every chain, ordered by its last pushed entry, latest first. This is close to the order of
    /// the entries in memory.
    pub(super) fn all(&self) -> impl Iterator<Item = impl Iterator<Item = usize>> {
        let mut is_head = vec![true; self.next.len()];
        for next in self.next.iter().filter_map(|next| entry(*next)) {
            is_head[next] = false;
        }
        (0..self.next.len()).rev().filter(move |at| is_head[*at]).map(|at| self.chain(Some(at)))
    }

    /// Returns an entry and the earlier entries of its key, latest first.
    pub(super) fn chain(&self, head: Option<usize>) -> impl Iterator<Item = usize> {
        std::iter::successors(head, move |at| entry(self.next[*at]))
    }
}

fn entry(number: u32) -> Option<usize> {
    usize::try_from(number).ok().filter(|_| number != END)
}
