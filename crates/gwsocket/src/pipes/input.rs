//! From a pipe to clients.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe;

use super::Report;
use super::strict::{Item, Order, Parser};
use crate::error::Error;
use crate::hub::{Batch, Hub, Kind, Pacer};
use crate::peer::Parting;
use crate::stats::Counters;

/// The largest message of plain mode: what a writer writes up to this size, it writes in one piece. Linux: `PIPE_BUF`.
const PLAIN: usize = 4096;

/// How much is read at a time in strict mode.
const STRICT: usize = 64 * 1024;

/// Where messages come from.
pub(super) enum Source {
    /// The standard input, where it is no pipe: a file, a terminal.
    Stdin(tokio::io::Stdin),
    /// A FIFO; or the standard input, which has no path.
    Pipe { path: Option<PathBuf>, pipe: pipe::Receiver },
}

impl Source {
    pub(super) fn stdin() -> Self {
        // A pipe is opened once more: what the process was given is shared with others, and has to go on blocking for them.
        match pipe::OpenOptions::new().open_receiver("/proc/self/fd/0") {
            Ok(pipe) => Self::Pipe { path: None, pipe },
            Err(_) => Self::Stdin(tokio::io::stdin()),
        }
    }

    pub(super) fn fifo(path: &Path) -> io::Result<Self> {
        Ok(Self::Pipe { path: Some(path.to_owned()), pipe: pipe::OpenOptions::new().open_receiver(path)? })
    }

    fn name(&self) -> String {
        match self {
            Self::Pipe { path: Some(path), .. } => path.display().to_string(),
            _ => "standard input".to_owned(),
        }
    }

    /// Reads what there is; 0 bytes: all writers have gone.
    async fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Stdin(stdin) => stdin.read(buffer).await,
            Self::Pipe { pipe, .. } => loop {
                // A FIFO that nobody has opened for writing yet reads as if it had ended: it is not read before something
                // has happened to it.
                pipe.readable().await?;
                match pipe.try_read(buffer) {
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                    read => return read,
                }
            },
        }
    }

    /// After the end: waits for other writers, where there can be some. `false`: there cannot.
    fn reopen(&mut self) -> io::Result<bool> {
        match self {
            Self::Pipe { path: Some(path), pipe } => {
                // The new one is opened before the old one is closed, so that a writer that is there already stays.
                *pipe = pipe::OpenOptions::new().open_receiver(&*path)?;
                Ok(true)
            }
            _ => Ok(false),
        }
    }
}

/// Reads messages until the server stops, or the standard input ends.
pub(super) async fn run(hub: Arc<Hub>, mut source: Source, strict: bool, report: Arc<Report>) {
    let place = source.name();
    let mut reader = Reader { hub: &hub, place: &place, report: &report };
    let ended = if strict { reader.strict(&mut source).await } else { reader.plain(&mut source).await };
    match ended {
        Ok(()) => report.complain(&format!("{place} has ended; clients are served on")),
        Err(error) => report.complain(&format!("{place}: {error}: nothing more is read; clients are served on")),
    }
}

struct Reader<'a> {
    hub: &'a Hub,
    place: &'a str,
    report: &'a Report,
}

impl Reader<'_> {
    fn bad(&self, offset: u64, what: impl std::fmt::Display) {
        Counters::add(&self.hub.counters.bad_input, 1);
        self.report.complain(&format!("{}, byte {offset}: {what}", self.place));
    }

    async fn strict(&mut self, source: &mut Source) -> io::Result<()> {
        let mut parser = Parser::new(self.hub.config.max_frame_size);
        let mut pacer = Pacer::default();
        let mut buffer = vec![0; STRICT];
        loop {
            self.hub.pace(&mut pacer).await;
            match source.read(&mut buffer).await? {
                0 => {
                    parser.end(|at, item| self.obey(&mut Batch::new(self.hub), at, item));
                    if !source.reopen()? {
                        return Ok(());
                    }
                }
                n => {
                    let mut batch = Batch::new(self.hub);
                    parser.feed(&buffer[..n], |at, item| self.obey(&mut batch, at, item));
                }
            }
        }
    }

    /// Does what a message asks for.
    fn obey(&self, batch: &mut Batch<'_>, at: u64, item: Item<'_>) {
        let (client, order, payload) = match item {
            Item::Message { client, order, payload } => (client, order, payload),
            Item::Bad(what) => return self.bad(at, what),
        };
        let done = match order {
            Order::Text => self.send(batch, client, Kind::Text, payload),
            Order::Binary => self.send(batch, client, Kind::Binary, payload),
            Order::Close => close(batch, client, payload),
        };
        match done {
            Ok(()) => {}
            // It may have gone while the message was on its way: that is no fault of the writer's.
            Err(Error::NoClient(_)) => {}
            Err(error) => self.bad(at, format!("{error}; it is left out")),
        }
    }

    fn send(&self, batch: &mut Batch<'_>, client: u32, kind: Kind, payload: &[u8]) -> crate::Result<()> {
        self.hub.check(kind, payload)?;
        if client != 0 {
            return batch.send(client, kind, payload);
        }
        batch.broadcast(kind, payload);
        Ok(())
    }

    /// Plain mode: what is read at a time is a message, a text where it is UTF-8.
    ///
    /// A character that the limit of a read cuts in two goes with what follows.
    async fn plain(&mut self, source: &mut Source) -> io::Result<()> {
        let limit = self.hub.config.max_frame_size;
        let mut pacer = Pacer::default();
        // Room for the beginning of a character, which stays at the start.
        let mut buffer = [0; PLAIN + 3];
        let mut kept = 0;
        loop {
            self.hub.pace(&mut pacer).await;
            let room = PLAIN.min(limit - kept);
            let n = source.read(&mut buffer[kept..kept + room]).await?;
            let length = kept + n;
            let end = length - if n == room { cut_character(&buffer[..length]) } else { 0 };
            if end > 0 {
                let message = &buffer[..end];
                let kind = if simdutf8::basic::from_utf8(message).is_ok() { Kind::Text } else { Kind::Binary };
                Batch::new(self.hub).broadcast(kind, message);
            }
            buffer.copy_within(end..length, 0);
            kept = length - end;
            if n == 0 && !source.reopen()? {
                return Ok(());
            }
        }
    }
}

/// How many bytes at the end begin a character that is not complete, after text.
fn cut_character(bytes: &[u8]) -> usize {
    match std::str::from_utf8(bytes) {
        Err(error) if error.error_len().is_none() && error.valid_up_to() > 0 => bytes.len() - error.valid_up_to(),
        _ => 0,
    }
}

/// Closes a client: with 1000, or as the payload says, which has the form of a close frame's.
fn close(batch: &mut Batch<'_>, client: u32, payload: &[u8]) -> crate::Result<()> {
    let parting = match payload.split_first_chunk() {
        Some((code, reason)) => {
            let reason =
                std::str::from_utf8(reason).map_err(|error| Error::NotUtf8 { offset: 2 + error.valid_up_to() })?;
            Parting::new(u16::from_be_bytes(*code), reason)?
        }
        None if payload.is_empty() => Parting::new(1000, "")?,
        None => return Err(Error::Option("a payload of one byte is no close code".to_owned())),
    };
    batch.close(client, parting)
}
