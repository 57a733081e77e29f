//! Makes `:authority` valid on a Unix socket.
//!
//! gRPC clients made of C-core, and those for Java and Swift, send the socket's path there, percent-encoded or not. RFC 9113
//! §8.3.1 leaves no room for it, and the HTTP/2 library resets such streams. On a Unix socket the authority means nothing, so
//! this filter replaces what is not allowed in it before the library reads it.
//!
//! A header block is a list of representations whose ends can be found without decoding them (RFC 7541 §6). Only the literals
//! of `:authority` change. They never get longer: then the library's dynamic table never drops an entry that the client still
//! refers to, and a frame keeps its place in the stream.

/// The length of a frame's header (RFC 9113 §4.1).
const HEADER: usize = 9;

const HEADERS: u8 = 1;

const PADDED: u8 = 0x8;
const PRIORITY: u8 = 0x20;

/// The largest frame that a client may send, because the server announces no other size (RFC 9113 §6.5.2).
const FRAME_MAX: usize = 1 << 14;

/// `:authority` in Huffman code (RFC 7541 appendix B).
const AUTHORITY_HUFFMAN: [u8; 8] = [0xb8, 0x3b, 0x53, 0x39, 0xec, 0x32, 0x7d, 0x7f];

/// The filter for the bytes of one connection after the preface.
#[derive(Default)]
pub(crate) struct Filter {
    /// A frame of headers whose rest has yet to arrive.
    frame: Vec<u8>,
    /// Bytes of the current frame that pass as they are.
    passing: usize,
}

impl Filter {
    /// Takes bytes that have arrived, and appends those that can be passed on to `ready`.
    pub(crate) fn take(&mut self, mut bytes: &[u8], ready: &mut Vec<u8>) {
        while !bytes.is_empty() {
            if self.passing > 0 {
                let (now, rest) = bytes.split_at(self.passing.min(bytes.len()));
                ready.extend_from_slice(now);
                self.passing -= now.len();
                bytes = rest;
                continue;
            }
            // What a frame is, its header tells.
            let wanted = if self.frame.len() < HEADER { HEADER } else { HEADER + length(&self.frame) };
            let (now, rest) = bytes.split_at((wanted - self.frame.len()).min(bytes.len()));
            self.frame.extend_from_slice(now);
            bytes = rest;
            // Too long frames are left to the library, which refuses them.
            let is_for_us = |frame: &[u8]| frame[3] == HEADERS && length(frame) <= FRAME_MAX;
            if self.frame.len() == HEADER && !is_for_us(&self.frame) {
                self.passing = length(&self.frame);
                ready.append(&mut self.frame);
            } else if self.frame.len() >= HEADER && self.frame.len() == HEADER + length(&self.frame) {
                rewrite(&mut self.frame);
                ready.append(&mut self.frame);
            }
        }
    }
}

/// Returns the length of a frame's content, from its header.
fn length(frame: &[u8]) -> usize {
    usize::from(frame[0]) << 16 | usize::from(frame[1]) << 8 | usize::from(frame[2])
}

/// Makes the authority valid in a whole frame of headers. A frame that cannot be understood stays as it is.
fn rewrite(frame: &mut Vec<u8>) {
    let Some((start, end)) = block(frame) else { return };
    let Some(new) = rewritten(&frame[start..end]) else { return };
    frame.splice(start..end, new);
    let content = frame.len() - HEADER;
    #[allow(clippy::cast_possible_truncation, reason = "at most 16 KiB")]
    frame[..3].copy_from_slice(&[(content >> 16) as u8, (content >> 8) as u8, content as u8]);
}

/// Returns the range of a frame that is its header block (RFC 9113 §6.2).
fn block(frame: &[u8]) -> Option<(usize, usize)> {
    let flags = frame[4];
    let (mut start, mut end) = (HEADER, frame.len());
    if flags & PADDED != 0 {
        end = end.checked_sub(usize::from(*frame.get(start)?))?;
        start += 1;
    }
    if flags & PRIORITY != 0 {
        start += 5;
    }
    (start <= end).then_some((start, end))
}

/// Returns a header block with a valid authority; `None` if it has one already, or none that can be found. The block may go on
/// in the next frame: the authority is among its first fields.
fn rewritten(block: &[u8]) -> Option<Vec<u8>> {
    let mut new = Vec::with_capacity(block.len());
    let mut changed = false;
    let mut at = 0;
    while at < block.len() {
        let start = at;
        if copied(block, &mut at, &mut new, &mut changed).is_none() {
            new.extend_from_slice(&block[start..]);
            break;
        }
    }
    changed.then_some(new)
}

/// Copies one representation, with a valid authority. Returns `None` and copies nothing if it does not end here.
fn copied(block: &[u8], at: &mut usize, new: &mut Vec<u8>, changed: &mut bool) -> Option<()> {
    let start = *at;
    let first = block[start];
    // RFC 7541 §6.1, §6.2.1, §6.3, and §6.2.2 with §6.2.3.
    let (prefix, is_literal) = match first {
        0x80.. => (7, false),
        0x40..=0x7f => (6, true),
        0x20..=0x3f => (5, false),
        _ => (4, true),
    };
    let index = integer(block, at, prefix)?;
    if !is_literal {
        new.extend_from_slice(&block[start..*at]);
        return Some(());
    }
    let name = if index == 0 { Some(string(block, at)?) } else { None };
    let value_at = *at;
    let value = string(block, at)?;
    let is_authority = match name {
        // The static table has it under 1 (RFC 7541 appendix A).
        None => index == 1,
        Some(Text::Plain(name)) => name == b":authority",
        Some(Text::Huffman(name)) => name == AUTHORITY_HUFFMAN,
    };
    match value {
        Text::Plain(text) if is_authority && !text.iter().all(|byte| is_valid(*byte)) => {
            new.extend_from_slice(&block[start..*at - text.len()]);
            new.extend(text.iter().map(|byte| if is_valid(*byte) { *byte } else { b'-' }));
            *changed = true;
        }
        // What it says is not worth a decoder: any name of one letter is as good, and not longer.
        Text::Huffman(text) if is_authority && !text.is_empty() => {
            new.extend_from_slice(&block[start..value_at]);
            new.extend_from_slice(&[1, b'u']);
            *changed = true;
        }
        _ => new.extend_from_slice(&block[start..*at]),
    }
    Some(())
}

/// Whether a byte may be in a host's name.
fn is_valid(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_')
}

enum Text<'b> {
    Plain(&'b [u8]),
    Huffman(&'b [u8]),
}

/// Reads a string literal (RFC 7541 §5.2).
fn string<'b>(block: &'b [u8], at: &mut usize) -> Option<Text<'b>> {
    let is_huffman = block.get(*at)? & 0x80 != 0;
    let length = integer(block, at, 7)?;
    let text = block.get(*at..at.checked_add(length)?)?;
    *at += length;
    Some(if is_huffman { Text::Huffman(text) } else { Text::Plain(text) })
}

/// Reads an integer whose first byte has this many bits of it (RFC 7541 §5.1).
fn integer(block: &[u8], at: &mut usize, prefix: u32) -> Option<usize> {
    let most = (1 << prefix) - 1;
    let mut value = usize::from(*block.get(*at)?) & most;
    *at += 1;
    if value < most {
        return Some(value);
    }
    for shift in (0..28).step_by(7) {
        let byte = *block.get(*at)?;
        *at += 1;
        value += usize::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn frame(kind: u8, flags: u8, content: &[u8]) -> Vec<u8> {
        let length = u8::try_from(content.len()).unwrap();
        [&[0, 0, length, kind, flags, 0, 0, 0, 1], content].concat()
    }

    fn filtered(bytes: &[u8], pieces: usize) -> Vec<u8> {
        let mut filter = Filter::default();
        let mut ready = Vec::new();
        bytes.chunks(pieces).for_each(|piece| filter.take(piece, &mut ready));
        ready
    }

    fn text(text: &[u8]) -> Vec<u8> {
        [&[u8::try_from(text.len()).unwrap()], text].concat()
    }

    /// What grpcio 1.85, grpc-java and grpc-swift send, and what they may send.
    #[test]
    fn the_path_of_a_socket_becomes_a_name() {
        let path = b"tmp%2Frun/e.sock";
        let name = b"tmp-2Frun-e.sock";
        let by_name =
            |value: &[u8]| [&[0x82, 0x40][..], &text(b":authority"), &text(value), &[0x84]].concat();
        let by_index = |value: &[u8]| [&[0x82, 0x41][..], &text(value), &[0x3f, 0x07, 0x84]].concat();
        let huffman = [
            &[0x82, 0x41, 0x8e][..],
            &[0x61, 0x34, 0xd6, 0xc4, 0xe1, 0x61, 0x07],
            &[0x27, 0x56, 0x0a, 0xba, 0x0e, 0x4e, 0xbf, 0x84],
        ]
        .concat();
        for (sent, expected) in [
            (by_name(path), by_name(name)),
            (by_index(path), by_index(name)),
            (by_name(b"localhost"), by_name(b"localhost")),
            (huffman, [&[0x82, 0x41, 0x01, b'u', 0x84][..]].concat()),
            // Another header with the same value.
            (
                [&[0x00][..], &text(b"x-path"), &text(path)].concat(),
                [&[0x00][..], &text(b"x-path"), &text(path)].concat(),
            ),
        ] {
            for (flags, before, after) in
                [(0x4, &[][..], &[][..]), (0x5, &[], &[]), (0x2c, &[3, 0, 0, 0, 7, 16], &[0, 0, 0])]
            {
                let wrap = |block: &[u8]| {
                    let headers = frame(HEADERS, flags, &[before, block, after].concat());
                    [frame(4, 0, &[0, 3, 0, 0, 0, 100]), headers, frame(0, 1, b"data")].concat()
                };
                for pieces in [1, 3, 1000] {
                    assert_eq!(filtered(&wrap(&sent), pieces), wrap(&expected), "{sent:?} {flags} {pieces}");
                }
            }
        }
    }

    proptest! {
        /// Whatever arrives, in whatever pieces: nothing panics, and what holds no authority passes as it is.
        #[test]
        fn other_bytes_pass(bytes in prop::collection::vec(any::<u8>(), 0..300), pieces in 1..20_usize) {
            let whole = filtered(&bytes, 1000);
            prop_assert_eq!(&whole, &filtered(&bytes, pieces));
            prop_assert!(whole.len() <= bytes.len());
            let data: Vec<u8> = bytes.chunks(200).flat_map(|chunk| frame(0, 0, chunk)).collect();
            prop_assert_eq!(filtered(&data, pieces), data);
        }
    }
}
