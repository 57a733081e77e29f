//! Reading and writing of fixed structures, and what can be wrong with bytes.

use std::fmt;
use std::net::IpAddr;

/// What is wrong with bytes that should be netlink messages, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WireError {
    /// Offset from the start of the buffer, in bytes.
    pub offset: usize,
    /// What is wrong there.
    pub problem: Problem,
}

/// What is wrong with bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Problem {
    /// A message's header needs 16 bytes.
    CutHeader {
        /// Bytes that are left.
        left: usize,
    },
    /// A message's length is less than its header's or more than what is left.
    MessageLength {
        /// The length it states.
        stated: u32,
        /// Bytes that are left.
        left: usize,
    },
    /// A message is too short for its fixed structure.
    CutStructure {
        /// The structure's name.
        structure: &'static str,
        /// Bytes it needs.
        needed: usize,
        /// Bytes there are.
        found: usize,
    },
    /// An attribute's length is less than its header's or more than what is left.
    AttributeLength {
        /// The length it states.
        stated: u16,
        /// Bytes that are left in its message.
        left: usize,
    },
    /// An attribute's payload is too short for its type.
    CutAttribute {
        /// The attribute's name.
        attribute: &'static str,
        /// Bytes it needs.
        needed: usize,
        /// Bytes there are.
        found: usize,
    },
    /// An algorithm's name is not ended or is not text.
    AlgorithmName,
    /// An address family that is neither IPv4 nor IPv6.
    Family(u16),
    /// A prefix longer than its address.
    Prefix(u8),
    /// A message of a type that has no place in this dump.
    ForeignMessage {
        /// Its type.
        kind: u16,
    },
    /// A netlink error inside the dump.
    KernelError {
        /// The kernel's `errno`.
        errno: i32,
    },
    /// The dump does not end with `NLMSG_DONE`.
    NoEnd,
    /// Bytes after `NLMSG_DONE`.
    AfterEnd,
}

impl fmt::Display for WireError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "byte {}: {}", self.offset, self.problem)
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Problem::CutHeader { left } => {
                write!(f, "{left} bytes are left where a message header needs 16; the end is cut off")
            }
            Problem::MessageLength { stated, left } => {
                write!(
                    f,
                    "a message states {stated} bytes where {left} are left; cut off, or not netlink messages"
                )
            }
            Problem::CutStructure { structure, needed, found } => {
                write!(f, "{structure} needs {needed} bytes, and the message has {found}")
            }
            Problem::AttributeLength { stated, left } => {
                write!(f, "an attribute states {stated} bytes where 4 to {left} are possible")
            }
            Problem::CutAttribute { attribute, needed, found } => {
                write!(f, "{attribute} needs {needed} bytes and has {found}")
            }
            Problem::AlgorithmName => f.write_str("an algorithm's name is not text with an end"),
            Problem::Family(family) => write!(f, "address family {family} is neither IPv4 (2) nor IPv6 (10)"),
            Problem::Prefix(length) => write!(f, "a prefix of {length} bits is longer than its address"),
            Problem::ForeignMessage { kind } => {
                write!(
                    f,
                    "a message of type {kind} has no place in this dump; is it another kind of capture?"
                )
            }
            Problem::KernelError { errno } => write!(f, "the kernel ended the dump with error {errno}"),
            Problem::NoEnd => f.write_str("the dump has no end mark (NLMSG_DONE); messages are missing"),
            Problem::AfterEnd => f.write_str("there are bytes after the dump's end mark (NLMSG_DONE)"),
        }
    }
}

impl std::error::Error for WireError {}

/// Address family IPv4.
pub(super) const AF_INET: u16 = 2;
/// Address family IPv6.
pub(super) const AF_INET6: u16 = 10;

/// A fixed structure whose length was checked once; accessors take offsets within it.
#[derive(Clone, Copy)]
pub(super) struct Fixed<'a, const N: usize>(&'a [u8; N]);

impl<'a, const N: usize> Fixed<'a, N> {
    /// Splits the structure from the start of `bytes`.
    pub(super) fn split(bytes: &'a [u8]) -> Option<(Fixed<'a, N>, &'a [u8])> {
        bytes.split_first_chunk().map(|(fixed, rest)| (Fixed(fixed), rest))
    }

    fn take<const M: usize>(self, at: usize) -> [u8; M] {
        let mut out = [0; M];
        out.copy_from_slice(&self.0[at..at + M]);
        out
    }

    pub(super) fn u8(self, at: usize) -> u8 {
        self.0[at]
    }

    pub(super) fn u16(self, at: usize) -> u16 {
        u16::from_ne_bytes(self.take(at))
    }

    pub(super) fn be16(self, at: usize) -> u16 {
        u16::from_be_bytes(self.take(at))
    }

    pub(super) fn u32(self, at: usize) -> u32 {
        u32::from_ne_bytes(self.take(at))
    }

    pub(super) fn be32(self, at: usize) -> u32 {
        u32::from_be_bytes(self.take(at))
    }

    pub(super) fn u64(self, at: usize) -> u64 {
        u64::from_ne_bytes(self.take(at))
    }

    pub(super) fn address(self, at: usize) -> [u8; 16] {
        self.take(at)
    }
}

/// An `xfrm_address_t` of a family.
pub(super) fn ip(bytes: [u8; 16], family: u16) -> Option<IpAddr> {
    match family {
        AF_INET => {
            let [a, b, c, d, ..] = bytes;
            Some([a, b, c, d].into())
        }
        AF_INET6 => Some(bytes.into()),
        _ => None,
    }
}

/// Writes an attribute with its header and padding.
pub(super) fn emit_attribute(out: &mut Vec<u8>, kind: u16, write: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    out.extend_from_slice(&[0; 2]);
    out.extend_from_slice(&kind.to_ne_bytes());
    write(out);
    let len = u16::try_from(out.len() - start).unwrap_or(u16::MAX);
    out[start..start + 2].copy_from_slice(&len.to_ne_bytes());
    out.resize(start + (out.len() - start).next_multiple_of(4), 0);
}
