//! Frames that the server sends: RFC 6455, section 5.2.
//!
//! They are neither masked nor fragmented, so the bytes of a message are the same for every client, and are made once.

use bytes::{BufMut, Bytes, BytesMut};

/// What a frame is, by its opcode.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Opcode {
    Text = 1,
    Binary = 2,
    Close = 8,
    Ping = 9,
}

/// The longest header: opcode, the mark of a long payload, 8 bytes of length.
pub(crate) const MAX_HEADER: usize = 10;

/// The most that a control frame carries.
const MAX_CONTROL: usize = 125;

/// Appends a frame.
pub(crate) fn put(opcode: Opcode, payload: &[u8], out: &mut BytesMut) {
    const FINAL: u8 = 0x80;
    out.reserve(MAX_HEADER + payload.len());
    out.put_u8(FINAL | opcode as u8);
    match payload.len() {
        short @ 0..=125 => out.put_u8(short as u8),
        medium @ 126..=0xffff => {
            out.put_u8(126);
            out.put_u16(medium as u16);
        }
        long => {
            out.put_u8(127);
            out.put_u64(long as u64);
        }
    }
    out.put_slice(payload);
}

/// A frame by itself.
pub(crate) fn single(opcode: Opcode, payload: &[u8]) -> Bytes {
    let mut out = BytesMut::new();
    put(opcode, payload, &mut out);
    out.freeze()
}

/// A close frame; a reason too long for it is cut between characters.
pub(crate) fn close(code: u16, reason: &str) -> Bytes {
    let mut end = reason.len().min(MAX_CONTROL - 2);
    while !reason.is_char_boundary(end) {
        end -= 1;
    }
    let mut payload = code.to_be_bytes().to_vec();
    payload.extend_from_slice(&reason.as_bytes()[..end]);
    single(Opcode::Close, &payload)
}

/// Whether an endpoint may send this close code: RFC 6455, section 7.4.
pub(crate) fn may_close_with(code: u16) -> bool {
    matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_take_the_shortest_form() {
        for (length, header) in [
            (0, vec![0x82, 0]),
            (125, vec![0x82, 125]),
            (126, vec![0x82, 126, 0, 126]),
            (0xffff, vec![0x82, 126, 0xff, 0xff]),
            (0x10000, vec![0x82, 127, 0, 0, 0, 0, 0, 1, 0, 0]),
        ] {
            let frame = single(Opcode::Binary, &vec![7; length]);
            assert_eq!(frame[..header.len()], header, "{length} bytes");
            assert_eq!(frame[header.len()..], vec![7; length], "{length} bytes");
        }
    }

    #[test]
    fn a_long_reason_is_cut_between_characters() {
        let frame = close(1008, &"ä".repeat(100));
        assert_eq!(frame[..4], [0x88, 2 + 122, 0x03, 0xf0]);
        assert_eq!(std::str::from_utf8(&frame[4..]), Ok("ä".repeat(61).as_str()));
    }
}
