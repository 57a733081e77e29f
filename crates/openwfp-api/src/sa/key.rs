//! Key bytes: wiped when dropped, never printed, read only with the right to.

use std::fmt;
use zeroize::Zeroize;

/// The key of a transform, with the salt at its end where the transform has one.
///
/// The bytes are wiped when the value is dropped, `Debug` shows their number only, and reading them takes
/// a [`KeyAccess`]. Keys of up to [`Key::INLINE_MAX`] bytes stand inside the SA, longer ones on the heap.
#[derive(Clone)]
pub struct Key(Repr);

#[derive(Clone)]
enum Repr {
    Inline { len: u8, bytes: [u8; Key::INLINE_MAX] },
    Heap(Box<[u8]>),
    Withheld { len: u16 },
}

/// The right to read key bytes: whoever holds one may call [`Key::bytes`].
///
/// An engine makes one for a session whose principal has the right to keys, and a kernel's room gets one
/// to install an SA; nothing else should call [`KeyAccess::grant`].
#[derive(Debug)]
pub struct KeyAccess(());

impl KeyAccess {
    /// Grants the right to read keys. Only for engines, after they checked the caller's rights.
    pub fn grant() -> KeyAccess {
        KeyAccess(())
    }
}

impl Key {
    /// The longest key that needs no memory of its own: AES-256-GCM's 32 bytes and 4 of salt fit.
    pub const INLINE_MAX: usize = 38;

    /// Takes a copy of the bytes; wiping the original is the caller's part.
    pub fn new(bytes: &[u8]) -> Key {
        if bytes.len() > Key::INLINE_MAX {
            return Key(Repr::Heap(bytes.into()));
        }
        let mut inline = [0; Key::INLINE_MAX];
        inline[..bytes.len()].copy_from_slice(bytes);
        #[allow(clippy::cast_possible_truncation, reason = "at most INLINE_MAX")]
        Key(Repr::Inline { len: bytes.len() as u8, bytes: inline })
    }

    /// A key whose bytes are elsewhere, as a client sees it that may not read keys: the length is known, and
    /// [`Key::bytes`] are none.
    pub fn withheld(len: u16) -> Key {
        Key(Repr::Withheld { len })
    }

    /// Whether the bytes are elsewhere.
    pub fn is_withheld(&self) -> bool {
        matches!(self.0, Repr::Withheld { .. })
    }

    /// The length in bytes; lengths are no secret.
    #[allow(clippy::len_without_is_empty, reason = "a length in bytes, not a collection")]
    pub fn len(&self) -> usize {
        match &self.0 {
            Repr::Withheld { len } => usize::from(*len),
            _ => self.raw().len(),
        }
    }

    /// The key bytes, for one who has the right to them; none where they are withheld.
    pub fn bytes(&self, _access: &KeyAccess) -> &[u8] {
        self.raw()
    }

    /// Whether all bytes are zero, which no real key is: a kernel under confidentiality lockdown
    /// shows keys so.
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
    /// No bytes.
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
    /// Compares in a time that depends on the lengths alone.
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
