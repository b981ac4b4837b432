//! A client that sends and reads raw frames, right or wrong.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;

use super::PATIENCE;

pub(crate) const CONTINUATION: u8 = 0;
pub(crate) const TEXT: u8 = 1;
pub(crate) const BINARY: u8 = 2;
pub(crate) const CLOSE: u8 = 8;
pub(crate) const PING: u8 = 9;
pub(crate) const PONG: u8 = 10;

/// A handshake, with lines of one's own behind it.
pub(crate) fn request(more: &str) -> String {
    format!(
        "GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{more}\r\n"
    )
}

/// What a frame is made of: the first byte, then the mask if there is one.
#[derive(Clone)]
pub(crate) struct Frame {
    pub(crate) fin: bool,
    pub(crate) reserved: u8,
    pub(crate) opcode: u8,
    pub(crate) mask: Option<[u8; 4]>,
    pub(crate) payload: Vec<u8>,
}

impl Frame {
    /// A frame as clients should send it.
    pub(crate) fn new(opcode: u8, payload: impl Into<Vec<u8>>) -> Frame {
        Frame { fin: true, reserved: 0, opcode, mask: Some([0x37, 0xfa, 0x21, 0x3d]), payload: payload.into() }
    }

    /// A part of a message that is not the last.
    pub(crate) fn part(opcode: u8, payload: impl Into<Vec<u8>>) -> Frame {
        Frame { fin: false, ..Frame::new(opcode, payload) }
    }

    pub(crate) fn close(code: u16, reason: &[u8]) -> Frame {
        Frame::new(CLOSE, [&code.to_be_bytes(), reason].concat())
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        self.bytes_with_length(&match self.payload.len() {
            length @ 0..=125 => vec![length as u8],
            length @ 126..=0xffff => [&[126][..], &(length as u16).to_be_bytes()].concat(),
            length => [&[127][..], &(length as u64).to_be_bytes()].concat(),
        })
    }

    /// The same with a length written otherwise: the first byte of it has the mask's bit added.
    pub(crate) fn bytes_with_length(&self, length: &[u8]) -> Vec<u8> {
        let mut bytes = vec![u8::from(self.fin) << 7 | self.reserved << 4 | self.opcode];
        bytes.extend_from_slice(length);
        match self.mask {
            Some(mask) => {
                bytes[1] |= 0x80;
                bytes.extend_from_slice(&mask);
                bytes.extend(self.payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
            }
            None => bytes.extend_from_slice(&self.payload),
        }
        bytes
    }
}

/// A connection of either kind.
pub(crate) trait Connection: Read + Write + Send {}
impl<T: Read + Write + Send> Connection for T {}

pub(crate) struct Client {
    stream: Box<dyn Connection>,
    buffer: Vec<u8>,
    /// How much of the buffer has been used.
    used: usize,
}

impl Client {
    /// Connects, and shakes hands.
    pub(crate) fn connect(port: u16) -> Client {
        Client::shake(tcp(port), &request("")).unwrap_or_else(|answer| panic!("refused: {answer}"))
    }

    pub(crate) fn connect_unix(path: &std::path::Path) -> Client {
        let stream = UnixStream::connect(path).expect("a connection");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        Client::shake(stream, &request("")).unwrap_or_else(|answer| panic!("refused: {answer}"))
    }

    /// Sends a request, and gives the client if it is let in; else the answer.
    pub(crate) fn shake(stream: impl Connection + 'static, request: &str) -> Result<Client, String> {
        let mut client = Client { stream: Box::new(stream), buffer: Vec::new(), used: 0 };
        client.stream.write_all(request.as_bytes()).expect("a request is sent");
        let mut answer = Vec::new();
        while !answer.ends_with(b"\r\n\r\n") {
            match client.bytes(1) {
                Ok(byte) => answer.extend(byte),
                Err(_) => break,
            }
        }
        let mut answer = String::from_utf8(answer).expect("an answer of characters");
        if answer.starts_with("HTTP/1.1 101 ") {
            // RFC 6455, section 1.3: the answer to this key.
            assert!(answer.to_lowercase().contains("sec-websocket-accept: s3pplmbitxaq9kygzzhzrbk+xoo="), "{answer}");
            return Ok(client);
        }
        while let Ok(byte) = client.bytes(1) {
            answer.extend(byte.iter().map(|byte| char::from(*byte)));
        }
        Err(answer)
    }

    pub(crate) fn send(&mut self, frame: Frame) {
        self.send_bytes(&frame.bytes());
    }

    pub(crate) fn send_bytes(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).expect("frames are sent");
    }

    /// Sends as far as the server takes it.
    pub(crate) fn try_send(&mut self, frame: Frame) -> io::Result<()> {
        self.stream.write_all(&frame.bytes())
    }

    /// Reads so many bytes.
    fn bytes(&mut self, length: usize) -> io::Result<Vec<u8>> {
        while self.buffer.len() - self.used < length {
            self.buffer.drain(..self.used);
            self.used = 0;
            let start = self.buffer.len();
            self.buffer.resize(start + 64 * 1024, 0);
            let read = self.stream.read(&mut self.buffer[start..]);
            self.buffer.truncate(start + read.as_ref().map_or(0, |n| *n));
            match read {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(_) => {}
                // The process was stopped, and goes on: reads with a time limit do not do so by themselves.
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        let bytes = self.buffer[self.used..][..length].to_vec();
        self.used += length;
        Ok(bytes)
    }

    /// Reads a frame: its opcode and payload. Those of servers are whole messages, and not masked.
    pub(crate) fn try_receive(&mut self) -> io::Result<(u8, Vec<u8>)> {
        let header = self.bytes(2)?;
        assert_eq!(header[0] & 0xf0, 0x80, "a server's frame is final, without reserved bits");
        let length = match header[1] {
            126 => usize::from(u16::from_be_bytes(self.bytes(2)?.try_into().expect("2 bytes"))),
            127 => u64::from_be_bytes(self.bytes(8)?.try_into().expect("8 bytes")) as usize,
            short => {
                assert!(short < 126, "a server's frame is not masked");
                usize::from(short)
            }
        };
        Ok((header[0] & 0x0f, self.bytes(length)?))
    }

    pub(crate) fn receive(&mut self) -> (u8, Vec<u8>) {
        self.try_receive().unwrap_or_else(|error| panic!("no frame: {error}"))
    }

    /// The next frame is this one.
    pub(crate) fn expect(&mut self, opcode: u8, payload: impl AsRef<[u8]>) {
        let (got, bytes) = self.receive();
        let shown = |bytes: &[u8]| String::from_utf8_lossy(&bytes[..bytes.len().min(100)]).into_owned();
        assert!(
            got == opcode && bytes == payload.as_ref(),
            "expected {opcode} {:?}, got {got} {:?} ({} bytes)",
            shown(payload.as_ref()),
            shown(&bytes),
            bytes.len()
        );
    }

    /// What follows is a close frame, whose code it gives (0: none), and the connection's end.
    pub(crate) fn expect_close(&mut self) -> u16 {
        let code = self.expect_close_first();
        self.expect_end();
        code
    }

    /// What follows is a close frame, whose code it gives.
    pub(crate) fn expect_close_first(&mut self) -> u16 {
        let (opcode, payload) = self.receive();
        assert_eq!(opcode, CLOSE, "a close frame, not {payload:?}");
        payload.first_chunk().map_or(0, |code| u16::from_be_bytes(*code))
    }

    /// The connection ends here.
    pub(crate) fn expect_end(&mut self) {
        match self.bytes(1) {
            Ok(byte) => panic!("expected the end, got the byte {byte:?}"),
            Err(error) => assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof, "{error}"),
        }
    }
}

/// A connection that has shaken hands, for those who read by themselves.
pub(crate) fn shaken(port: u16) -> TcpStream {
    let mut stream = tcp(port);
    stream.write_all(request("").as_bytes()).expect("a request is sent");
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).expect("an answer");
        answer.push(byte[0]);
    }
    assert!(answer.starts_with(b"HTTP/1.1 101 "), "{}", String::from_utf8_lossy(&answer));
    stream
}

pub(crate) fn tcp(port: u16) -> TcpStream {
    let stream = TcpStream::connect(("127.0.0.1", port)).expect("a connection");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    stream.set_nodelay(true).expect("no delay");
    stream
}
