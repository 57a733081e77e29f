//! Key bytes: zeroed on drop, never printed, and readable only with a [`KeyAccess`].

use std::fmt;
use zeroize::Zeroize;

/// Secret key, with the salt at its end if the transform uses one.
///
/// The bytes are zeroed on drop, `Debug` prints only their length, and reading them requires a
/// [`KeyAccess`]. Keys of up to [`Key::INLINE_MAX`] bytes are stored inline, longer ones on the heap.
#[derive(Clone)]
pub struct Key(Repr);

#[derive(Clone)]
enum Repr {
    Inline { len: u8, bytes: [u8; Key::INLINE_MAX] },
    Heap(Box<[u8]>),
    Withheld { len: u16 },
}

/// Proof of the right to read key bytes, required by [`Key::bytes`].
///
/// An engine grants it to a session whose principal has the right `READ_KEYS`, and passes it to the
/// dataplane that installs an SA. The store and the RPC layer grant it to encode keys that they write
/// to disk or send on behalf of their owner. Nothing else should call [`KeyAccess::grant`].
#[derive(Debug)]
pub struct KeyAccess(());

impl KeyAccess {
    /// Grants the right to read keys, without any check.
    ///
    /// The caller must have checked the reader's rights, or own the keys.
    pub fn grant() -> KeyAccess {
        KeyAccess(())
    }
}

impl Key {
    /// Maximum length of a key stored inline, in bytes; AES-256-GCM needs 36 (32 plus 4 of salt).
    pub const INLINE_MAX: usize = 38;

    /// Copies the bytes into a new key; the caller must zero the original.
    pub fn new(bytes: &[u8]) -> Key {
        if bytes.len() > Key::INLINE_MAX {
            return Key(Repr::Heap(bytes.into()));
        }
        let mut inline = [0; Key::INLINE_MAX];
        inline[..bytes.len()].copy_from_slice(bytes);
        #[allow(clippy::cast_possible_truncation, reason = "at most INLINE_MAX")]
        Key(Repr::Inline { len: bytes.len() as u8, bytes: inline })
    }

    /// Creates a key with a known length but without its bytes, for a client that may not read keys.
    ///
    /// [`Key::bytes`] of such a key is empty.
    pub fn withheld(len: u16) -> Key {
        Key(Repr::Withheld { len })
    }

    /// Returns whether the key was made by [`Key::withheld`] and so lacks its bytes.
    pub fn is_withheld(&self) -> bool {
        matches!(self.0, Repr::Withheld { .. })
    }

    /// Returns the length in bytes, including any salt, even if the bytes are withheld.
    #[allow(clippy::len_without_is_empty, reason = "a length in bytes, not a collection")]
    pub fn len(&self) -> usize {
        match &self.0 {
            Repr::Withheld { len } => usize::from(*len),
            _ => self.raw().len(),
        }
    }

    /// Returns the key bytes, including any salt; empty if they are withheld.
    pub fn bytes(&self, _access: &KeyAccess) -> &[u8] {
        self.raw()
    }

    /// Returns whether all bytes are zero, as a kernel under confidentiality lockdown reports keys.
    ///
    /// Also true for an empty key; false if the bytes are withheld.
    pub fn is_zeroed(&self) -> bool {
        !self.is_withheld() && self.raw().iter().fold(0, |all, byte| all | byte) == 0
    }

    fn raw(&self) -> &[u8] {
        match &self.0 {
            Repr::Inline { len, bytes } => &bytes[..usize::from(*len)],
            Repr::Heap(bytes) => bytes,
            Repr::Withheld { .. } => &[],
        }
    }
}

impl Default for Key {
    /// Returns an empty key.
    fn default() -> Key {
        Key::new(&[])
    }
}

impl Drop for Key {
    fn drop(&mut self) {
        match &mut self.0 {
            Repr::Inline { bytes, .. } => bytes.zeroize(),
            Repr::Heap(bytes) => bytes.zeroize(),
            Repr::Withheld { .. } => {}
        }
    }
}

impl PartialEq for Key {
    /// Compares the bytes in a time that depends only on the lengths.
    fn eq(&self, other: &Key) -> bool {
        let (a, b) = (self.raw(), other.raw());
        self.len() == other.len()
            && a.len() == b.len()
            && a.iter().zip(b).fold(0, |differ, (a, b)| differ | (a ^ b)) == 0
    }
}

impl Eq for Key {}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({} bytes)", self.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_and_long_keys_keep_their_bytes_and_print_none_of_them() {
        for len in [0, 1, 16, Key::INLINE_MAX, Key::INLINE_MAX + 1, 64, 300] {
            let bytes: Vec<u8> = (1..=250).cycle().take(len).collect();
            let key = Key::new(&bytes);
            assert_eq!(key.bytes(&KeyAccess::grant()), bytes);
            assert_eq!(key.clone(), key);
            assert_eq!(format!("{key:?}"), format!("Key({len} bytes)"));
            assert_eq!(key.is_zeroed(), len == 0);
        }
        let withheld = Key::withheld(20);
        assert_eq!((withheld.len(), withheld.bytes(&KeyAccess::grant())), (20, &[][..]));
        assert_ne!(withheld, Key::new(&[0; 20]));
        assert_ne!(withheld, Key::withheld(16));
        assert_ne!(Key::new(&[1; 16]), Key::new(&[1; 20]));
        assert_ne!(Key::new(&[1; 16]), Key::new(&[2; 16]));
        assert_eq!(size_of::<Key>(), 40, "a key of AES-GCM stands inside its SA");
    }
}
