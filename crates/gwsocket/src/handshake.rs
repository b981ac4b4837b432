//! The opening handshake: RFC 6455, section 4.2.
//!
//! The request is read here, within a limit of size, and refused with a status that says why; what is let in is checked once
//! more and answered by the WebSocket library.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use http::{HeaderName, HeaderValue};
use tokio_websockets::{Limits, ServerBuilder, WebSocketStream};

use crate::config::Config;
use crate::hub::Hub;
use crate::peer::Peer;
use crate::socket::{Conduit, Socket};

/// How large a request's head may be, in bytes.
const MOST_HEAD: usize = 16 * 1024;

/// How many headers it may have.
const MOST_HEADERS: usize = 64;

/// Why a connection becomes no client: the status that it is answered with, where it is answered, and the reason.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) status: Option<u16>,
    pub(crate) reason: String,
}

impl Refusal {
    fn with(status: u16, reason: impl Into<String>) -> Self {
        Self { status: Some(status), reason: reason.into() }
    }

    fn silent(reason: impl Into<String>) -> Self {
        Self { status: None, reason: reason.into() }
    }

    /// What the access log says.
    pub(crate) fn line(&self) -> String {
        match self.status {
            Some(status) => format!("{status} {}", self.reason),
            None => self.reason.clone(),
        }
    }

    /// The answer.
    fn response(&self, status: u16) -> String {
        let name = http::StatusCode::from_u16(status).ok().and_then(|code| code.canonical_reason()).unwrap_or("");
        let more = match status {
            405 => "Allow: GET\r\n",
            426 => "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n",
            _ => "",
        };
        let body = format!("{}\n", self.reason);
        format!(
            "HTTP/1.1 {status} {name}\r\n{more}Content-Type: text/plain; charset=utf-8\r\nContent-Length: {}\r\n\
             Connection: close\r\n\r\n{body}",
            body.len()
        )
    }
}

/// A client that is let in.
pub(crate) struct Admitted {
    pub(crate) frames: WebSocketStream<Conduit>,
    pub(crate) peer: Arc<Peer>,
    /// What the access log says: the path, and the origin.
    pub(crate) request: String,
}

/// What the head of a request asks for.
struct Request {
    path: String,
    origin: Option<String>,
}

/// One that is not let in, to be told why.
pub(crate) struct Refused {
    pub(crate) refusal: Refusal,
    socket: Option<Socket>,
}

/// Reads a request, and answers it if it is let in.
pub(crate) async fn accept(mut socket: Socket, hub: &Hub, address: &str) -> Result<Admitted, Refused> {
    let checked = read_head(&mut socket).await.and_then(|head| {
        let request = check(&head, &hub.config)?;
        // Before the answer: who has been let in is a client.
        let peer = hub.enter(address.to_owned()).ok_or_else(|| Refusal::with(503, "there are too many clients"))?;
        Ok((head, request, peer))
    });
    let (head, request, peer) = match checked {
        Ok(checked) => checked,
        Err(refusal) => return Err(Refused { refusal, socket: Some(socket) }),
    };
    match answer(socket, head, &hub.config).await {
        Ok(frames) => {
            let origin = request.origin.map(|origin| format!(" origin={origin}")).unwrap_or_default();
            Ok(Admitted { frames, peer, request: format!("\"{}\"{origin}", request.path) })
        }
        Err(error) => {
            hub.leave(&peer);
            Err(Refused { refusal: Refusal::silent(error.to_string()), socket: None })
        }
    }
}

/// Has the WebSocket library answer a request that has been checked. All it needs is there, so this waits for nothing: a client
/// that has entered does not get lost here.
async fn answer(
    socket: Socket,
    head: Bytes,
    config: &Config,
) -> Result<WebSocketStream<Conduit>, tokio_websockets::Error> {
    let limits = Limits::default().max_payload_len(Some(config.max_frame_size));
    let server = HeaderValue::from_static(concat!("gwsocket/", env!("CARGO_PKG_VERSION")));
    let builder = ServerBuilder::new().limits(limits).add_header(HeaderName::from_static("server"), server)?;
    let (_, frames) = builder.accept(Conduit::new(socket, head)).await?;
    Ok(frames)
}

impl Refused {
    /// Answers with the refusal, and waits a little for the client to close.
    pub(crate) async fn answer(self) {
        let (Some(status), Some(mut socket)) = (self.refusal.status, self.socket) else { return };
        let mut answer = Bytes::from(self.refusal.response(status));
        let answered = async {
            let written = std::future::poll_fn(|cx| {
                while !answer.is_empty() {
                    let n = std::task::ready!(socket.poll_write(cx, &[std::io::IoSlice::new(&answer)]))?;
                    answer.advance(n);
                }
                socket.poll_shutdown(cx)
            });
            written.await?;
            // What the client still sends would reset the connection, and the answer with it.
            let mut rest = [0; 1024];
            while read(&mut socket, &mut rest).await? > 0 {}
            std::io::Result::Ok(())
        };
        let _ = tokio::time::timeout(Duration::from_secs(1), answered).await;
    }
}

async fn read(socket: &mut Socket, buffer: &mut [u8]) -> std::io::Result<usize> {
    let mut buffer = tokio::io::ReadBuf::new(buffer);
    std::future::poll_fn(|cx| socket.poll_read(cx, &mut buffer)).await?;
    Ok(buffer.filled().len())
}

/// Reads until the head of the request is there; what follows it may be, too.
async fn read_head(socket: &mut Socket) -> Result<Bytes, Refusal> {
    let mut head = BytesMut::new();
    let mut part = [0; 2048];
    loop {
        match read(socket, &mut part).await {
            Ok(0) if head.is_empty() => return Err(Refusal::silent("it closed without a request")),
            Ok(0) => return Err(Refusal::silent("it closed within its request")),
            Ok(n) => head.extend_from_slice(&part[..n]),
            Err(error) => return Err(Refusal::silent(format!("reading its request: {error}"))),
        }
        let end = head.windows(4).position(|bytes| bytes == b"\r\n\r\n");
        if end.unwrap_or(head.len()) > MOST_HEAD {
            return Err(Refusal::with(431, format!("the request's head is over {MOST_HEAD} bytes")));
        }
        if end.is_some() {
            return Ok(head.freeze());
        }
    }
}

/// Whether a request is let in.
fn check(head: &[u8], config: &Config) -> Result<Request, Refusal> {
    let mut headers = [httparse::EMPTY_HEADER; MOST_HEADERS];
    let mut request = httparse::Request::new(&mut headers);
    match request.parse(head) {
        Ok(status) if status.is_complete() => {}
        Ok(_) => return Err(Refusal::with(400, "the request is incomplete")),
        Err(httparse::Error::TooManyHeaders) => {
            return Err(Refusal::with(431, format!("the request has over {MOST_HEADERS} headers")));
        }
        Err(error) => return Err(Refusal::with(400, format!("this is no HTTP request: {error}"))),
    }
    if request.method != Some("GET") {
        return Err(Refusal::with(405, "a WebSocket begins with GET"));
    }
    if request.version != Some(1) {
        return Err(Refusal::with(400, "a WebSocket begins with HTTP/1.1"));
    }
    let named = |name: &'static str| {
        let named = request.headers.iter().filter(move |header| header.name.eq_ignore_ascii_case(name));
        named.map(|header| std::str::from_utf8(header.value).ok())
    };
    let header = |name| {
        let mut found = named(name);
        let value = found.next().flatten();
        if found.next().is_some() { None } else { value.map(str::trim) }
    };
    let has = |name, token: &str| {
        let mut values = named(name).flatten();
        values.any(|value| value.split(',').any(|part| part.trim().eq_ignore_ascii_case(token)))
    };
    if header("host").is_none() {
        return Err(Refusal::with(400, "the request has no Host"));
    }
    if !has("upgrade", "websocket") || !has("connection", "upgrade") {
        return Err(Refusal::with(426, "this is a WebSocket server: the request asks for no upgrade to one"));
    }
    if header("sec-websocket-version") != Some("13") {
        return Err(Refusal::with(426, "the version of WebSocket spoken here is 13"));
    }
    // 16 bytes in base64.
    let is_key = |key: &str| {
        let digits = key.strip_suffix("==").unwrap_or("");
        digits.len() == 22 && digits.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/'))
    };
    if !header("sec-websocket-key").is_some_and(is_key) {
        return Err(Refusal::with(400, "Sec-WebSocket-Key is no 16 bytes in base64"));
    }
    let origin = header("origin").map(str::to_owned);
    if let Some(wanted) = &config.origin
        && origin.as_deref().is_none_or(|origin| !origin.eq_ignore_ascii_case(wanted))
    {
        let given = origin.as_deref().unwrap_or("(none)");
        return Err(Refusal::with(403, format!("the origin {given} is not let in")));
    }
    match request.path.unwrap_or("").parse::<http::Uri>() {
        Ok(uri) => Ok(Request { path: uri.to_string(), origin }),
        Err(error) => Err(Refusal::with(400, format!("the request's target is no URI: {error}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A request, with lines changed, added (no such name yet) or taken out (no value).
    fn request(changes: &[(&str, Option<&str>)]) -> String {
        let mut lines = vec![
            ("", "GET /ticks HTTP/1.1"),
            ("Host", "localhost"),
            ("Upgrade", "websocket"),
            ("Connection", "keep-alive, Upgrade"),
            ("Sec-WebSocket-Version", "13"),
            ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
        ];
        for (name, value) in changes {
            lines.retain(|(old, _)| old != name);
            if let Some(value) = value {
                lines.insert(if name.is_empty() { 0 } else { lines.len() }, (name, value));
            }
        }
        let text = |(name, value): &(&str, &str)| {
            if name.is_empty() { format!("{value}\r\n") } else { format!("{name}: {value}\r\n") }
        };
        lines.iter().map(text).collect::<String>() + "\r\n"
    }

    fn status(request: &str, config: &Config) -> Option<u16> {
        check(request.as_bytes(), config).map_or_else(|refusal| refusal.status, |_| Some(101))
    }

    #[test]
    fn requests_and_their_answers() {
        let long = "x".repeat(30);
        for (changes, expected) in [
            (&[][..], 101),
            (&[("Upgrade", Some("WebSocket"))], 101),
            (&[("", Some("POST / HTTP/1.1"))], 405),
            (&[("", Some("GET / HTTP/1.0"))], 400),
            (&[("", Some("nonsense"))], 400),
            (&[("", Some("GET /?\" HTTP/1.1"))], 400),
            (&[("", Some("GET http:// HTTP/1.1"))], 400),
            (&[("Host", None)], 400),
            (&[("Upgrade", None)], 426),
            (&[("Upgrade", Some("h2c"))], 426),
            (&[("Connection", Some("close"))], 426),
            (&[("Sec-WebSocket-Version", Some("8"))], 426),
            (&[("Sec-WebSocket-Version", None)], 426),
            (&[("Sec-WebSocket-Key", Some("short"))], 400),
            (&[("Sec-WebSocket-Key", Some(&long))], 400),
            (&[("Sec-WebSocket-Key", None)], 400),
        ] {
            assert_eq!(status(&request(changes), &Config::default()), Some(expected), "{changes:?}");
        }
    }

    #[test]
    fn other_origins_are_refused() {
        let config = Config { origin: Some("https://ticks.example".into()), ..Config::default() };
        for (origin, expected) in
            [(Some("https://ticks.example"), 101), (Some("https://ticks.example.org"), 403), (None, 403)]
        {
            assert_eq!(status(&request(&[("Origin", origin)]), &config), Some(expected), "{origin:?}");
        }
    }

    #[test]
    fn headers_are_limited() {
        let many = (0..MOST_HEADERS).map(|n| format!("X-{n}: x\r\n")).collect::<String>();
        let text = request(&[]);
        let text = format!("{}{many}\r\n", text.trim_end_matches("\r\n").to_owned() + "\r\n");
        assert_eq!(status(&text, &Config::default()), Some(431));
    }

    #[test]
    fn an_answer_says_what_is_spoken_here() {
        let answer = Refusal::with(426, "why").response(426);
        assert!(answer.starts_with("HTTP/1.1 426 Upgrade Required\r\n"), "{answer}");
        assert!(answer.contains("\r\nSec-WebSocket-Version: 13\r\n") && answer.ends_with("\r\n\r\nwhy\n"), "{answer}");
    }
}
