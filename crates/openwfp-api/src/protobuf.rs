//! Protobuf encoding. Callers write fields in ascending order and leave defaults out, so that the bytes
//! equal those that prost writes.
//!
//! Source: the Protocol Buffers encoding, <https://protobuf.dev/programming-guides/encoding/>.

use crate::Code;
use crate::Error;
use crate::KeyAccess;
use crate::Result;

const VARINT: u32 = 0;
const FIXED64: u32 = 1;
const LENGTH_DELIMITED: u32 = 2;
const FIXED32: u32 = 5;

/// A writer of one message.
pub struct Writer<'k> {
    bytes: Vec<u8>,
    /// The right to write keys.
    keys: Option<&'k KeyAccess>,
}

impl<'k> Writer<'k> {
    /// Returns an empty writer. Without `keys` it writes only the lengths of keys.
    pub fn new(keys: Option<&'k KeyAccess>) -> Writer<'k> {
        Writer { bytes: Vec::new(), keys }
    }

    /// Returns an empty writer with a capacity in bytes.
    pub fn with_capacity(bytes: usize, keys: Option<&'k KeyAccess>) -> Writer<'k> {
        Writer { bytes: Vec::with_capacity(bytes), keys }
    }

    /// Returns the number of bytes written.
    #[allow(clippy::len_without_is_empty, reason = "a position")]
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Discards everything written after the first `len` bytes.
    pub fn truncate(&mut self, len: usize) {
        self.bytes.truncate(len);
    }

    /// Returns the right to write keys, if the writer has it.
    #[inline]
    pub fn keys(&self) -> Option<&'k KeyAccess> {
        self.keys
    }

    /// Returns the encoded message.
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    #[inline]
    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            #[allow(clippy::cast_possible_truncation, reason = "the low seven bits")]
            self.bytes.push(value as u8 | 0x80);
            value >>= 7;
        }
        #[allow(clippy::cast_possible_truncation, reason = "below 0x80")]
        self.bytes.push(value as u8);
    }

    #[inline]
    fn key(&mut self, field: u32, kind: u32) {
        self.varint(u64::from(field << 3 | kind));
    }

    /// Writes a number; 0 is left out.
    #[inline]
    pub fn uint(&mut self, field: u32, value: impl Into<u64>) {
        let value = value.into();
        if value != 0 {
            self.always_uint(field, value);
        }
    }

    /// Writes a number, even if it is 0: for `optional` fields and those of a `oneof`.
    #[inline]
    pub fn always_uint(&mut self, field: u32, value: u64) {
        self.key(field, VARINT);
        self.varint(value);
    }

    /// Writes a 32-bit number in four bytes; 0 is left out.
    #[inline]
    pub fn fixed32(&mut self, field: u32, value: u32) {
        if value != 0 {
            self.key(field, FIXED32);
            self.bytes.extend_from_slice(&value.to_le_bytes());
        }
    }

    /// Writes a 64-bit number in eight bytes, even if it is 0.
    pub fn always_fixed64(&mut self, field: u32, value: u64) {
        self.key(field, FIXED64);
        self.bytes.extend_from_slice(&value.to_le_bytes());
    }

    /// Writes bytes; an empty slice is left out.
    #[inline]
    pub fn bytes(&mut self, field: u32, value: &[u8]) {
        if !value.is_empty() {
            self.always_bytes(field, value);
        }
    }

    /// Writes bytes, even if there are none: for `optional` and `repeated` fields.
    #[inline]
    pub fn always_bytes(&mut self, field: u32, value: &[u8]) {
        self.key(field, LENGTH_DELIMITED);
        self.varint(value.len() as u64);
        self.bytes.extend_from_slice(value);
    }

    /// Writes a nested message. Its length is known only afterwards, so one byte is reserved for it; if the
    /// length takes more bytes, the content is moved.
    #[inline]
    pub fn message(&mut self, field: u32, content: impl FnOnce(&mut Self)) {
        self.key(field, LENGTH_DELIMITED);
        let start = self.bytes.len() + 1;
        self.bytes.push(0);
        content(self);
        let length = self.bytes.len() - start;
        if length < 0x80 {
            #[allow(clippy::cast_possible_truncation, reason = "below 0x80")]
            let byte = length as u8;
            self.bytes[start - 1] = byte;
        } else {
            self.lengthen(start, length);
        }
    }

    fn lengthen(&mut self, start: usize, length: usize) {
        let mut prefix = Writer::new(None);
        prefix.varint(length as u64);
        let more = prefix.bytes.len() - 1;
        self.bytes.resize(self.bytes.len() + more, 0);
        self.bytes.copy_within(start..start + length, start + more);
        self.bytes[start - 1..start + more].copy_from_slice(&prefix.bytes);
    }

    /// Writes numbers into one `packed` field; an empty slice is left out.
    pub fn packed(&mut self, field: u32, values: &[u32]) {
        if !values.is_empty() {
            self.message(field, |writer| values.iter().for_each(|value| writer.varint(u64::from(*value))));
        }
    }
}

/// A reader of one message.
#[derive(Clone, Copy)]
pub struct Reader<'a> {
    bytes: &'a [u8],
}

/// The value of a field, by its wire type.
#[derive(Clone, Copy)]
pub enum Value<'a> {
    /// A number of variable length.
    Varint(u64),
    /// A number of 32 bits.
    Fixed32(u32),
    /// A number of 64 bits.
    Fixed64(u64),
    /// Bytes, a string or a nested message.
    Bytes(&'a [u8]),
}

/// Returns an `RPC_E_INVALID_DATAPACKET` error for bytes that are not a valid message.
#[cold]
pub fn malformed(what: &str) -> Error {
    Error::new(Code::RPC_E_INVALID_DATAPACKET, what)
}

impl<'a> Reader<'a> {
    /// Returns a reader of a message's bytes.
    pub fn new(bytes: &'a [u8]) -> Reader<'a> {
        Reader { bytes }
    }

    #[inline(always)]
    fn varint(&mut self) -> Result<u64> {
        // Most field keys and lengths, and many values, take one byte; ids and times take more.
        if let [byte @ 0..0x80, rest @ ..] = self.bytes {
            self.bytes = rest;
            return Ok(u64::from(*byte));
        }
        self.long_varint()
    }

    #[inline(never)]
    fn long_varint(&mut self) -> Result<u64> {
        let mut value = 0;
        for (place, byte) in self.bytes.iter().take(10).enumerate() {
            // The first nine bytes hold 63 bits, so the tenth may hold only one.
            if place == 9 && *byte > 1 {
                break;
            }
            value |= u64::from(byte & 0x7F) << (7 * place);
            if *byte < 0x80 {
                self.bytes = &self.bytes[place + 1..];
                return Ok(value);
            }
        }
        Err(malformed("a number is truncated or longer than 64 bits"))
    }

    /// Reads the number and value of the next field, or returns `None` at the end of the message.
    ///
    /// # Errors
    /// `RPC_E_INVALID_DATAPACKET` if the bytes are not a valid field.
    #[inline(always)]
    pub fn field(&mut self) -> Result<Option<(u32, Value<'a>)>> {
        if self.bytes.is_empty() {
            return Ok(None);
        }
        let key = u32::try_from(self.varint()?).map_err(|_| malformed("a field's number is too large"))?;
        let value = match key & 7 {
            VARINT => Value::Varint(self.varint()?),
            FIXED32 => Value::Fixed32(u32::from_le_bytes(self.chunk()?)),
            FIXED64 => Value::Fixed64(u64::from_le_bytes(self.chunk()?)),
            LENGTH_DELIMITED => {
                let length = usize::try_from(self.varint()?).unwrap_or(usize::MAX);
                let Some((value, rest)) = self.bytes.split_at_checked(length) else {
                    return Err(malformed("a field is longer than its message"));
                };
                self.bytes = rest;
                Value::Bytes(value)
            }
            _ => return Err(malformed("a field has an unknown wire type")),
        };
        if key >> 3 == 0 {
            return Err(malformed("a field has the number 0"));
        }
        Ok(Some((key >> 3, value)))
    }

    #[inline]
    fn chunk<const N: usize>(&mut self) -> Result<[u8; N]> {
        let (chunk, rest) =
            self.bytes.split_first_chunk().ok_or_else(|| malformed("a fixed-length number is truncated"))?;
        self.bytes = rest;
        Ok(*chunk)
    }

    /// Reads all fields and calls `each` with the number and value of each.
    ///
    /// # Errors
    /// As [`Reader::field`], and those of `each`.
    #[inline(always)]
    pub fn fields(mut self, mut each: impl FnMut(u32, Value<'a>) -> Result) -> Result {
        while let Some((number, value)) = self.field()? {
            each(number, value)?;
        }
        Ok(())
    }
}

impl<'a> Value<'a> {
    #[inline]
    /// Returns the number.
    ///
    /// # Errors
    /// `RPC_E_INVALID_DATAPACKET` if the value is bytes.
    pub fn u64(self) -> Result<u64> {
        match self {
            Value::Varint(value) | Value::Fixed64(value) => Ok(value),
            Value::Fixed32(value) => Ok(value.into()),
            Value::Bytes(_) => Err(malformed("expected a number, found bytes")),
        }
    }

    /// Returns the number in a narrower type.
    ///
    /// # Errors
    /// As [`Value::u64`], and if the number does not fit the type.
    #[inline]
    pub fn uint<T: TryFrom<u64>>(self) -> Result<T> {
        T::try_from(self.u64()?).map_err(|_| malformed("a number is out of its field's range"))
    }

    #[inline]
    /// Returns the bytes.
    ///
    /// # Errors
    /// `RPC_E_INVALID_DATAPACKET` if the value is a number.
    pub fn bytes(self) -> Result<&'a [u8]> {
        match self {
            Value::Bytes(bytes) => Ok(bytes),
            _ => Err(malformed("expected bytes, found a number")),
        }
    }

    #[inline]
    /// Returns a reader of the nested message.
    ///
    /// # Errors
    /// As [`Value::bytes`].
    pub fn message(self) -> Result<Reader<'a>> {
        self.bytes().map(Reader::new)
    }

    /// Returns the string.
    ///
    /// # Errors
    /// As [`Value::bytes`], and if the bytes are not UTF-8.
    pub fn text(self) -> Result<&'a str> {
        std::str::from_utf8(self.bytes()?).map_err(|_| malformed("a string is not UTF-8"))
    }

    /// Appends numbers to `into`, whether they are packed into one field or each has its own.
    ///
    /// # Errors
    /// `RPC_E_INVALID_DATAPACKET` if a number is cut short or does not fit 32 bits.
    pub fn packed(self, into: &mut Vec<u32>) -> Result {
        let number =
            |value: u64| u32::try_from(value).map_err(|_| malformed("a number is out of its field's range"));
        match self {
            Value::Bytes(bytes) => {
                let mut reader = Reader::new(bytes);
                while !reader.bytes.is_empty() {
                    into.push(number(reader.varint()?)?);
                }
            }
            single => into.push(number(single.u64()?)?),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_every_length_are_read_as_they_are_written() {
        let mut writer = Writer::new(None);
        let numbers: Vec<u64> =
            (0..64).flat_map(|bit| [1 << bit, (1 << bit) - 1]).chain([u64::MAX]).collect();
        numbers.iter().for_each(|number| writer.always_uint(1, *number));
        let bytes = writer.into_bytes();
        let mut found = Vec::new();
        Reader::new(&bytes)
            .fields(|_, value| {
                found.push(value.u64()?);
                Ok(())
            })
            .unwrap();
        assert_eq!(found, numbers);
    }

    #[test]
    fn a_message_of_any_length_has_its_length_before_it() {
        for length in [0, 1, 127, 128, 16_383, 16_384, 100_000] {
            let content = vec![7; length];
            let mut writer = Writer::new(None);
            writer.message(3, |writer| writer.bytes.extend_from_slice(&content));
            writer.uint(4, 9_u32);
            let bytes = writer.into_bytes();
            let mut reader = Reader::new(&bytes);
            let (number, value) = reader.field().unwrap().unwrap();
            assert_eq!((number, value.bytes().unwrap()), (3, &content[..]));
            assert_eq!(reader.field().unwrap().unwrap().1.u64().unwrap(), 9);
            assert!(reader.field().unwrap().is_none());
        }
    }

    #[test]
    fn what_is_cut_or_out_of_range_is_refused() {
        for bytes in [
            &[0x08][..],
            &[0x08, 0x80],
            &[0x08, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x02],
            &[0x0A, 5, 1],
            &[0x0D, 1, 2, 3],
            &[0x0B],
            &[0x00, 0],
        ] {
            let error = Reader::new(bytes).fields(|_, _| Ok(())).unwrap_err();
            assert_eq!(error.code(), Code::RPC_E_INVALID_DATAPACKET, "{bytes:x?}");
        }
        assert!(Value::Varint(256).uint::<u8>().is_err());
        assert!(Value::Bytes(&[0xFF]).text().is_err());
    }
}
