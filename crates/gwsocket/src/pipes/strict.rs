//! Strict mode: the form of messages on pipes.
//!
//! ```text
//!     0        4        8        12                 12 + length
//!     | client | type   | length | payload          |         all three big-endian
//!
//!     to clients:    client 0 is all of them; type 1 is a text, 2 is binary; 8 closes, and the payload is empty, or the
//!                    close code (2 bytes, big-endian) and a reason
//!     from clients:  type 1 and 2 as above; 0x10: a client has come, the payload is its address in 46 bytes, filled with
//!                    zeros; 8: it has gone
//! ```
//!
//! A message that is wrong is left out by its length. A header that is no header at all (neither its type nor its length is
//! possible) means that the reader is out of step: then nothing is believed until all writers have closed the pipe.

use bytes::{BufMut, Bytes, BytesMut};

use crate::event::{Event, EventKind};

/// Bytes of a header.
pub(super) const HEADER: usize = 12;

/// Bytes of an address: as long as the longest IPv6 address as text, with the zero behind it.
const ADDRESS: usize = 46;

/// What a message asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    Text,
    Binary,
    Close,
}

/// What was read.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Item<'a> {
    Message {
        client: u32,
        order: Order,
        payload: &'a [u8],
    },
    /// Something wrong, at the message's offset.
    Bad(String),
}

struct Header {
    client: u32,
    order: Option<Order>,
    kind: u32,
    length: usize,
}

impl Header {
    fn read(bytes: &[u8]) -> Self {
        let word = |at: usize| u32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
        let order = match word(4) {
            1 => Some(Order::Text),
            2 => Some(Order::Binary),
            8 => Some(Order::Close),
            _ => None,
        };
        Self { client: word(0), order, kind: word(4), length: word(8) as usize }
    }
}

/// Reads messages from bytes that come in any portions.
pub(super) struct Parser {
    limit: usize,
    /// Bytes read so far.
    offset: u64,
    /// The beginning of a message.
    partial: Vec<u8>,
    /// Bytes of a wrong message that are still to come, and where it begins.
    skip: u64,
    skipped: u64,
    /// Since the offset of what is no header, nothing is believed.
    out_of_step: Option<u64>,
}

impl Parser {
    pub(super) fn new(limit: usize) -> Self {
        Self { limit, offset: 0, partial: Vec::new(), skip: 0, skipped: 0, out_of_step: None }
    }

    /// Reads on, and gives each message with its offset.
    pub(super) fn feed(&mut self, mut bytes: &[u8], mut each: impl FnMut(u64, Item<'_>)) {
        while !bytes.is_empty() {
            let n = if self.out_of_step.is_some() {
                bytes.len()
            } else if self.skip > 0 {
                let n = bytes.len().min(usize::try_from(self.skip).unwrap_or(usize::MAX));
                self.skip -= n as u64;
                n
            } else if self.partial.is_empty() {
                self.begin(bytes, &mut each)
            } else {
                self.go_on(bytes, &mut each)
            };
            self.offset += n as u64;
            bytes = &bytes[n..];
        }
    }

    /// All writers have closed the pipe: what follows begins with a header.
    pub(super) fn end(&mut self, mut each: impl FnMut(u64, Item<'_>)) {
        let begun = self.partial.len();
        if begun > 0 {
            let expected = if begun < HEADER { HEADER } else { HEADER + Header::read(&self.partial).length };
            let what =
                format!("the writers have gone after {begun} of {expected} bytes of a message, which is dropped");
            each(self.offset - begun as u64, Item::Bad(what));
        }
        if self.skip > 0 {
            let what = format!("the writers have gone {} bytes before the end of what is left out", self.skip);
            each(self.skipped, Item::Bad(what));
        }
        if let Some(start) = self.out_of_step {
            let what = format!("the writers have gone: {} bytes were dropped", self.offset - start);
            each(start, Item::Bad(what));
        }
        (self.partial, self.skip, self.out_of_step) = (Vec::new(), 0, None);
    }

    /// Reads what begins with a header. Gives how many bytes it has used.
    fn begin(&mut self, bytes: &[u8], each: &mut impl FnMut(u64, Item<'_>)) -> usize {
        if bytes.len() < HEADER {
            self.partial.extend_from_slice(bytes);
            return bytes.len();
        }
        let header = Header::read(bytes);
        let Some(order) = self.judge(&header, self.offset, each) else { return HEADER };
        let Some(payload) = bytes.get(HEADER..HEADER + header.length) else {
            self.partial.extend_from_slice(bytes);
            return bytes.len();
        };
        each(self.offset, Item::Message { client: header.client, order, payload });
        HEADER + header.length
    }

    /// Reads on in a message.
    fn go_on(&mut self, bytes: &[u8], each: &mut impl FnMut(u64, Item<'_>)) -> usize {
        let start = self.offset - self.partial.len() as u64;
        if self.partial.len() < HEADER {
            let n = bytes.len().min(HEADER - self.partial.len());
            self.partial.extend_from_slice(&bytes[..n]);
            if self.partial.len() == HEADER {
                let header = Header::read(&self.partial);
                match self.judge(&header, start, each) {
                    None => self.partial.clear(),
                    Some(order) if header.length == 0 => {
                        self.partial.clear();
                        each(start, Item::Message { client: header.client, order, payload: &[] });
                    }
                    Some(_) => {}
                }
            }
            return n;
        }
        let header = Header::read(&self.partial);
        let missing = HEADER + header.length - self.partial.len();
        let n = bytes.len().min(missing);
        self.partial.extend_from_slice(&bytes[..n]);
        if n == missing {
            let message = std::mem::take(&mut self.partial);
            if let Some(order) = header.order {
                each(start, Item::Message { client: header.client, order, payload: &message[HEADER..] });
            }
        }
        n
    }

    /// Whether a message may be read; otherwise it is left out.
    fn judge(&mut self, header: &Header, at: u64, each: &mut impl FnMut(u64, Item<'_>)) -> Option<Order> {
        let Header { kind, length, order, .. } = *header;
        let too_long = length > self.limit;
        let what = match order {
            Some(order) if !too_long => return Some(order),
            Some(_) => format!("a message of {length} bytes is over the limit of {} (--max-frame-size)", self.limit),
            None if !too_long => format!("there is no type {kind}: expected 1 (text), 2 (binary) or 8 (close)"),
            None => {
                self.out_of_step = Some(at);
                each(
                    at,
                    Item::Bad(format!(
                        "this is no header (type {kind}, length {length}): all is dropped until the writers close the pipe"
                    )),
                );
                return None;
            }
        };
        (self.skip, self.skipped) = (length as u64, at);
        each(at, Item::Bad(format!("{what}; it is left out")));
        None
    }
}

/// What is written of what a client did.
pub(super) fn encode(event: &Event) -> Bytes {
    let length = if event.kind == EventKind::Open { ADDRESS } else { event.data.len() };
    let mut bytes = BytesMut::with_capacity(HEADER + length);
    bytes.put_u32(event.client);
    bytes.put_u32(event.kind.code());
    bytes.put_u32(length as u32);
    bytes.put_slice(&event.data[..event.data.len().min(length)]);
    bytes.put_bytes(0, HEADER + length - bytes.len());
    bytes.freeze()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(client: u32, kind: u32, payload: &[u8]) -> Vec<u8> {
        let words = [client, kind, payload.len() as u32];
        words.iter().flat_map(|word| word.to_be_bytes()).chain(payload.iter().copied()).collect()
    }

    /// What is read of bytes that come in portions of a size.
    fn read(bytes: &[u8], portion: usize, limit: usize) -> Vec<String> {
        let mut parser = Parser::new(limit);
        let mut items = Vec::new();
        let mut each = |at: u64, item: Item<'_>| items.push(format!("{at}: {item:?}"));
        for portion in bytes.chunks(portion) {
            parser.feed(portion, &mut each);
        }
        parser.end(&mut each);
        items
    }

    #[test]
    fn portions_make_no_difference() {
        let long = vec![b'x'; 1000];
        let bytes = [
            message(0, 1, b"tick"),
            message(7, 2, b""),
            message(7, 9, b"what is that?"),
            message(0, 2, &vec![0; 2000]),
            message(0, 2, &long),
            message(3, 8, b""),
            message(0, 1, b"cut")[..14].to_vec(),
        ]
        .concat();
        let whole = read(&bytes, bytes.len(), 1000);
        assert_eq!(whole.len(), 7, "{whole:#?}");
        assert_eq!(whole[1], "16: Message { client: 7, order: Binary, payload: [] }");
        assert!(whole[2].starts_with("28: Bad(\"there is no type 9"), "{}", whole[2]);
        assert!(whole[3].starts_with("53: Bad(\"a message of 2000 bytes is over the limit of 1000"), "{}", whole[3]);
        assert!(whole[6].contains("after 14 of 15 bytes of a message"), "{}", whole[6]);
        for portion in 1..60 {
            assert_eq!(read(&bytes, portion, 1000), whole, "portions of {portion}");
        }
    }

    #[test]
    fn out_of_step_until_the_writers_close() {
        let mut parser = Parser::new(1000);
        let mut items = Vec::new();
        let mut each = |at: u64, item: Item<'_>| items.push(format!("{at}: {item:?}"));
        parser.feed(b"GET / HTTP/1.1\r\n\r\n", &mut each);
        parser.feed(&message(0, 1, b"garbage?"), &mut each);
        parser.end(&mut each);
        parser.feed(&message(0, 1, b"good"), &mut each);
        assert_eq!(items.len(), 3, "{items:#?}");
        assert!(items[0].starts_with("0: Bad(\"this is no header"), "{}", items[0]);
        assert_eq!(items[1], "0: Bad(\"the writers have gone: 38 bytes were dropped\")");
        assert!(items[2].starts_with("38: Message"), "{}", items[2]);
    }

    #[test]
    fn an_address_takes_46_bytes() {
        let event = Event { client: 5, kind: EventKind::Open, data: Bytes::from_static(b"127.0.0.1") };
        let bytes = encode(&event);
        assert_eq!(bytes[..HEADER], [0, 0, 0, 5, 0, 0, 0, 0x10, 0, 0, 0, 46]);
        assert_eq!(&bytes[HEADER..HEADER + 10], b"127.0.0.1\0");
        assert_eq!(bytes.len(), HEADER + 46);
    }
}
