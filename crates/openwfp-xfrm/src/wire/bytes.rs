//! Reading and writing of fixed structures, and the errors of parsing.

use std::fmt;
use std::net::IpAddr;

/// An error in bytes that should be netlink messages, with its offset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WireError {
    /// Offset from the start of the buffer, in bytes.
    pub offset: usize,
    /// The problem at that offset.
    pub problem: Problem,
}

/// The kinds of problems found by parsing.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Problem {
    /// Fewer bytes are left than the 16 of a message header.
    CutHeader {
        /// Bytes left in the buffer.
        left: usize,
    },
    /// A message states a length that is less than its header or more than the bytes left.
    MessageLength {
        /// The stated length, in bytes.
        stated: u32,
        /// Bytes left in the buffer.
        left: usize,
    },
    /// A message is too short for its fixed structure.
    CutStructure {
        /// The structure's name.
        structure: &'static str,
        /// Bytes that the structure needs.
        needed: usize,
        /// Bytes in the message's payload.
        found: usize,
    },
    /// An attribute states a length that is less than its header or more than the bytes left.
    AttributeLength {
        /// The stated length, in bytes; 0 if the header itself is cut off.
        stated: u16,
        /// Bytes left in the message.
        left: usize,
    },
    /// An attribute's payload is too short for its type.
    CutAttribute {
        /// The attribute's name.
        attribute: &'static str,
        /// Bytes that the attribute needs.
        needed: usize,
        /// Bytes in the attribute's payload.
        found: usize,
    },
    /// An algorithm's name is not NUL-terminated or not UTF-8.
    AlgorithmName,
    /// An address family that is neither IPv4 nor IPv6.
    Family(u16),
    /// A prefix length greater than the bits of the address.
    Prefix(u8),
    /// A message of a type that does not belong in this dump.
    ForeignMessage {
        /// The message's type (`nlmsg_type`).
        kind: u16,
    },
    /// The kernel ended the dump with an error.
    KernelError {
        /// The kernel's `errno`.
        errno: i32,
    },
    /// The dump does not end with `NLMSG_DONE`.
    NoEnd,
    /// Bytes follow `NLMSG_DONE`.
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
                write!(f, "{left} bytes remain, but a message header has 16; the end is missing")
            }
            Problem::MessageLength { stated, left } => {
                write!(
                    f,
                    "a message header states {stated} bytes, but {left} remain; the end is missing, or these are not netlink messages"
                )
            }
            Problem::CutStructure { structure, needed, found } => {
                write!(f, "{structure} needs {needed} bytes, but the message has {found}")
            }
            Problem::AttributeLength { stated, left } => {
                write!(f, "an attribute header states {stated} bytes, but only 4 to {left} are possible")
            }
            Problem::CutAttribute { attribute, needed, found } => {
                write!(f, "{attribute} needs {needed} bytes, but has {found}")
            }
            Problem::AlgorithmName => f.write_str("an algorithm's name is not null-terminated text"),
            Problem::Family(family) => write!(f, "address family {family} is neither IPv4 (2) nor IPv6 (10)"),
            Problem::Prefix(length) => write!(f, "a prefix of {length} bits is longer than its address"),
            Problem::ForeignMessage { kind } => {
                write!(f, "unexpected message of type {kind}: the file may be another kind of capture")
            }
            Problem::KernelError { errno } => write!(f, "the kernel ended the dump with error {errno}"),
            Problem::NoEnd => f.write_str("the dump has no end mark (NLMSG_DONE); messages are missing"),
            Problem::AfterEnd => f.write_str("bytes follow the dump's end mark (NLMSG_DONE)"),
        }
    }
}

impl std::error::Error for WireError {}

/// Address family IPv4.
pub(super) const AF_INET: u16 = 2;
/// Address family IPv6.
pub(super) const AF_INET6: u16 = 10;

/// A fixed structure of checked length; accessors take offsets into it, in bytes.
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

/// Returns the IP address in an `xfrm_address_t`; none if the family is unknown.
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
