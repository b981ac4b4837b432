//! Connections: TCP, TCP with TLS, UNIX sockets; and what lies between a connection and the reader of frames.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::server::TlsStream;

/// How many bytes the system takes for a client before the client has taken others, beside those on their way: what waits
/// in the system can neither be counted nor left out, so it should be little.
const UNSENT: u32 = 128 * 1024;

/// A connection.
pub(crate) enum Socket {
    Tcp(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
    Unix(UnixStream),
}

/// Calls the same method of whichever connection it is.
macro_rules! either {
    ($socket:expr, $stream:ident => $call:expr) => {
        match $socket {
            Socket::Tcp($stream) => {
                let $stream = Pin::new($stream);
                $call
            }
            Socket::Tls($stream) => {
                let $stream = Pin::new($stream);
                $call
            }
            Socket::Unix($stream) => {
                let $stream = Pin::new($stream);
                $call
            }
        }
    };
}

impl Socket {
    /// Sets how a client's connection behaves. None of it is vital.
    pub(crate) fn tune(stream: &TcpStream) {
        let _ = stream.set_nodelay(true);
        let _ = socket2::SockRef::from(stream).set_tcp_notsent_lowat(UNSENT);
    }

    /// Lets the system take what is left: the connection is to end, and what the client has not got waits there.
    pub(crate) fn take_all(&self) {
        let tcp = match self {
            Self::Tcp(stream) => stream,
            Self::Tls(stream) => stream.get_ref().0,
            Self::Unix(_) => return,
        };
        let _ = socket2::SockRef::from(tcp).set_tcp_notsent_lowat(u32::MAX);
    }

    /// Writes pieces one after the other, as much as the connection takes.
    pub(crate) fn poll_write(&mut self, cx: &mut Context<'_>, pieces: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        match pieces {
            // The cheaper call, and the usual case.
            [piece] => either!(self, stream => stream.poll_write(cx, piece)),
            _ => either!(self, stream => stream.poll_write_vectored(cx, pieces)),
        }
    }

    pub(crate) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        either!(self, stream => stream.poll_flush(cx))
    }

    pub(crate) fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        either!(self, stream => stream.poll_shutdown(cx))
    }

    pub(crate) fn poll_read(&mut self, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        either!(self, stream => stream.poll_read(cx, buffer))
    }
}

/// What the reader of frames takes for its connection. It reads from the connection, after what was read already; what it
/// writes (the answer to the handshake, pongs, its half of a closing handshake) is kept, and goes out between other frames.
pub(crate) struct Conduit {
    pub(crate) socket: Socket,
    ahead: Bytes,
    outbox: BytesMut,
    received: bool,
}

// An idle client has one in its task.
const _: () = assert!(size_of::<Conduit>() <= 128);

impl Conduit {
    pub(crate) fn new(socket: Socket, ahead: Bytes) -> Self {
        Self { socket, ahead, outbox: BytesMut::new(), received: false }
    }

    /// Whether anything has come since this was last asked.
    pub(crate) fn has_received(&mut self) -> bool {
        std::mem::take(&mut self.received)
    }

    /// What the reader of frames has written: whole frames.
    pub(crate) fn outbox(&mut self) -> &mut BytesMut {
        &mut self.outbox
    }
}

impl AsyncRead for Conduit {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.ahead.is_empty() {
            let before = buffer.filled().len();
            let polled = self.socket.poll_read(cx, buffer);
            self.received |= buffer.filled().len() > before;
            return polled;
        }
        let length = self.ahead.len().min(buffer.remaining());
        buffer.put_slice(&self.ahead[..length]);
        self.ahead.advance(length);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Conduit {
    fn poll_write(mut self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.outbox.extend_from_slice(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
