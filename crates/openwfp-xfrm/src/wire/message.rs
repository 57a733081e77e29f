//! Netlink messages and attributes in a buffer.

use super::bytes::Fixed;
use super::bytes::Problem;
use super::bytes::WireError;

/// One netlink message in a buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Message<'a> {
    /// Offset in the buffer, in bytes.
    pub offset: usize,
    /// Message type.
    pub kind: MessageKind,
    /// `NLM_F_*` flags.
    pub flags: u16,
    /// Sequence number of the request, repeated in its replies.
    pub sequence: u32,
    /// Netlink port id (`nlmsg_pid`).
    pub port: u32,
    /// Bytes after the header.
    pub payload: &'a [u8],
}

/// The message types that this crate uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MessageKind {
    /// `NLMSG_NOOP` 1.
    Noop,
    /// `NLMSG_ERROR` 2: a negative `errno`, or 0 as an acknowledgement.
    Error,
    /// `NLMSG_DONE` 3: the end of a dump.
    Done,
    /// `NLMSG_OVERRUN` 4.
    Overrun,
    /// `XFRM_MSG_NEWSA` 0x10.
    NewSa,
    /// `XFRM_MSG_DELSA` 0x11.
    DelSa,
    /// `XFRM_MSG_NEWPOLICY` 0x13.
    NewPolicy,
    /// `XFRM_MSG_DELPOLICY` 0x14.
    DelPolicy,
    /// `XFRM_MSG_EXPIRE` 0x18.
    Expire,
    /// `XFRM_MSG_UPDPOLICY` 0x19.
    UpdPolicy,
    /// `XFRM_MSG_UPDSA` 0x1a.
    UpdSa,
    /// `XFRM_MSG_FLUSHSA` 0x1c.
    FlushSa,
    /// `XFRM_MSG_FLUSHPOLICY` 0x1d.
    FlushPolicy,
    /// `XFRM_MSG_GETSA` 0x12.
    GetSa,
    /// `XFRM_MSG_GETPOLICY` 0x15.
    GetPolicy,
    /// `XFRM_MSG_ACQUIRE` 0x17.
    Acquire,
    /// `XFRM_MSG_POLEXPIRE` 0x1b.
    PolicyExpire,
    /// `XFRM_MSG_NEWAE` 0x1e.
    NewAe,
    /// `XFRM_MSG_MIGRATE` 0x21.
    Migrate,
    /// `XFRM_MSG_MAPPING` 0x26.
    Mapping,
    /// Any other type, by its number.
    Other(u16),
}

impl MessageKind {
    /// Returns the kind with this type number.
    pub fn from_number(number: u16) -> MessageKind {
        match number {
            1 => MessageKind::Noop,
            2 => MessageKind::Error,
            3 => MessageKind::Done,
            4 => MessageKind::Overrun,
            0x10 => MessageKind::NewSa,
            0x11 => MessageKind::DelSa,
            0x13 => MessageKind::NewPolicy,
            0x14 => MessageKind::DelPolicy,
            0x18 => MessageKind::Expire,
            0x19 => MessageKind::UpdPolicy,
            0x1a => MessageKind::UpdSa,
            0x1c => MessageKind::FlushSa,
            0x1d => MessageKind::FlushPolicy,
            0x12 => MessageKind::GetSa,
            0x15 => MessageKind::GetPolicy,
            0x17 => MessageKind::Acquire,
            0x1b => MessageKind::PolicyExpire,
            0x1e => MessageKind::NewAe,
            0x21 => MessageKind::Migrate,
            0x26 => MessageKind::Mapping,
            other => MessageKind::Other(other),
        }
    }

    /// Returns the type number.
    pub fn number(self) -> u16 {
        match self {
            MessageKind::Noop => 1,
            MessageKind::Error => 2,
            MessageKind::Done => 3,
            MessageKind::Overrun => 4,
            MessageKind::NewSa => 0x10,
            MessageKind::DelSa => 0x11,
            MessageKind::NewPolicy => 0x13,
            MessageKind::DelPolicy => 0x14,
            MessageKind::Expire => 0x18,
            MessageKind::UpdPolicy => 0x19,
            MessageKind::UpdSa => 0x1a,
            MessageKind::FlushSa => 0x1c,
            MessageKind::FlushPolicy => 0x1d,
            MessageKind::GetSa => 0x12,
            MessageKind::GetPolicy => 0x15,
            MessageKind::Acquire => 0x17,
            MessageKind::PolicyExpire => 0x1b,
            MessageKind::NewAe => 0x1e,
            MessageKind::Migrate => 0x21,
            MessageKind::Mapping => 0x26,
            MessageKind::Other(number) => number,
        }
    }
}

impl<'a> Message<'a> {
    /// Length of a message header, in bytes.
    pub const HEADER_LEN: usize = 16;
    /// `NLM_F_DUMP_INTR`: the kernel noticed that the dumped objects changed during the dump.
    pub const FLAG_DUMP_INTERRUPTED: u16 = 0x10;

    /// Returns the `errno` of an `NLMSG_ERROR` or `NLMSG_DONE`, as a positive number; 0 if there is none.
    pub fn errno(&self) -> i32 {
        let code = self.payload.first_chunk().map_or(0, |bytes| i32::from_ne_bytes(*bytes));
        code.checked_neg().unwrap_or(i32::MAX)
    }

    /// Returns an error at an offset in this message's payload.
    pub(crate) fn error(&self, within: usize, problem: Problem) -> WireError {
        WireError { offset: self.offset + Message::HEADER_LEN + within, problem }
    }

    /// Writes the message with its header, padded to a multiple of 4 bytes.
    pub fn emit(&self, out: &mut Vec<u8>) {
        let len = u32::try_from(Message::HEADER_LEN + self.payload.len()).unwrap_or(u32::MAX);
        out.extend_from_slice(&len.to_ne_bytes());
        out.extend_from_slice(&self.kind.number().to_ne_bytes());
        out.extend_from_slice(&self.flags.to_ne_bytes());
        out.extend_from_slice(&self.sequence.to_ne_bytes());
        out.extend_from_slice(&self.port.to_ne_bytes());
        out.extend_from_slice(self.payload);
        out.resize(out.len().next_multiple_of(4), 0);
    }
}

/// Iterator over the messages in a buffer. It ends after the first error.
#[derive(Clone, Debug)]
pub struct Messages<'a> {
    buffer: &'a [u8],
    at: usize,
}

impl<'a> Messages<'a> {
    /// Creates an iterator over the messages in a buffer.
    pub fn new(buffer: &'a [u8]) -> Messages<'a> {
        Messages { buffer, at: 0 }
    }

    /// Returns the message at `offset`, which an earlier iteration found; none if there is no valid one.
    pub fn at(buffer: &'a [u8], offset: usize) -> Option<Message<'a>> {
        Messages { buffer, at: offset }.next()?.ok()
    }

    /// Returns the offset of the next message, in bytes.
    pub fn offset(&self) -> usize {
        self.at
    }

    fn step(&mut self, rest: &'a [u8]) -> Result<Message<'a>, Problem> {
        let left = rest.len();
        let (header, _) = Fixed::<16>::split(rest).ok_or(Problem::CutHeader { left })?;
        let stated = header.u32(0);
        let len = usize::try_from(stated).unwrap_or(usize::MAX);
        let payload = rest.get(Message::HEADER_LEN..len).ok_or(Problem::MessageLength { stated, left })?;
        let message = Message {
            offset: self.at,
            kind: MessageKind::from_number(header.u16(4)),
            flags: header.u16(6),
            sequence: header.u32(8),
            port: header.u32(12),
            payload,
        };
        self.at = (self.at + len.next_multiple_of(4)).min(self.buffer.len());
        Ok(message)
    }
}

impl<'a> Iterator for Messages<'a> {
    type Item = Result<Message<'a>, WireError>;

    fn next(&mut self) -> Option<Self::Item> {
        let rest = self.buffer.get(self.at..).filter(|rest| !rest.is_empty())?;
        let offset = self.at;
        Some(self.step(rest).map_err(|problem| {
            self.at = self.buffer.len();
            WireError { offset, problem }
        }))
    }
}

/// Iterator over the attributes of a message. It ends after the first error.
///
/// Each item is the attribute's type, its payload, and the offset of that in the message's payload.
#[derive(Clone, Debug)]
pub struct Attributes<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Attributes<'a> {
    /// Creates an iterator over the attributes in `payload`, starting at offset `start`.
    pub fn new(payload: &'a [u8], start: usize) -> Attributes<'a> {
        Attributes { bytes: payload, at: start }
    }
}

impl<'a> Iterator for Attributes<'a> {
    type Item = Result<(u16, &'a [u8], usize), (usize, Problem)>;

    fn next(&mut self) -> Option<Self::Item> {
        let rest = self.bytes.get(self.at..).filter(|rest| !rest.is_empty())?;
        let start = self.at;
        let Some((header, _)) = Fixed::<4>::split(rest) else {
            self.at = self.bytes.len();
            // Up to three bytes of padding may follow the last attribute.
            if rest.iter().all(|byte| *byte == 0) {
                return None;
            }
            return Some(Err((start, Problem::AttributeLength { stated: 0, left: rest.len() })));
        };
        let stated = header.u16(0);
        let len = usize::from(stated);
        let Some(payload) = rest.get(4..len) else {
            self.at = self.bytes.len();
            return Some(Err((start, Problem::AttributeLength { stated, left: rest.len() })));
        };
        self.at = (start + len.next_multiple_of(4)).min(self.bytes.len());
        // Clear the two flag bits (nested, network order).
        Some(Ok((header.u16(2) & 0x3FFF, payload, start + 4)))
    }
}
