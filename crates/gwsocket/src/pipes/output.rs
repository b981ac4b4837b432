//! From clients to a pipe.
//!
//! Readers of a FIFO come and go. While there is none, what clients send waits in the queue of events, and beyond its limit is
//! dropped and counted; the FIFO is looked at twenty times a second. A reader that goes leaves unread what it has not read:
//! the next one begins with the first message that was not read to its end. So what has been written is kept for as long as
//! it may lie in the pipe.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::os::fd::{AsFd, AsRawFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncWriteExt, Interest};
use tokio::net::unix::pipe;

use super::{Report, strict};
use crate::event::{Event, EventKind};
use crate::hub::Hub;

/// How often a FIFO without a reader is tried.
const TRY_EVERY: Duration = Duration::from_millis(50);

/// How many bytes are taken from the events before they are written.
const AHEAD: u64 = 64 * 1024;

/// Records written at a time.
const MOST_SLICES: usize = 64;

/// Where what clients do goes.
pub(super) enum Sink {
    Stdout,
    Fifo(PathBuf),
}

/// Writes what clients do until the server stops.
pub(super) async fn run(hub: Arc<Hub>, sink: Sink, strict: bool, report: Arc<Report>) {
    let encode = if strict { |event: &Event| Some(strict::encode(event)) } else { plain };
    match sink {
        Sink::Stdout => {
            if let Err(error) = to_stdout(&hub, encode).await {
                report.complain(&format!("standard output: {error}: nothing more is written; clients are served on"));
            }
        }
        Sink::Fifo(path) => {
            let mut records = Records::default();
            loop {
                let Err(error) = to_fifo(&hub, &path, &mut records, encode).await;
                report.complain(&format!("{}: {error}", path.display()));
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        }
    }
}

/// In plain mode, messages alone.
fn plain(event: &Event) -> Option<Bytes> {
    matches!(event.kind, EventKind::Text | EventKind::Binary).then(|| event.data.clone())
}

async fn to_stdout(hub: &Hub, encode: fn(&Event) -> Option<Bytes>) -> io::Result<()> {
    let mut stdout = tokio::io::stdout();
    loop {
        hub.events.ready().await;
        while let Some(event) = hub.events.take() {
            if let Some(record) = encode(&event) {
                stdout.write_all(&record).await?;
            }
        }
        stdout.flush().await?;
    }
}

/// What goes through a FIFO, as one sequence of bytes.
#[derive(Default)]
struct Records {
    /// Records that may not have been read, with the offsets of their starts.
    kept: VecDeque<(u64, Bytes)>,
    /// How many of them have been written.
    done: usize,
    written: u64,
    end: u64,
}

impl Records {
    fn push(&mut self, record: Bytes) {
        let start = self.end;
        self.end += record.len() as u64;
        self.kept.push_back((start, record));
    }

    fn waiting(&self) -> u64 {
        self.end - self.written
    }

    /// What is to be written next.
    fn slices<'a>(&'a self, slices: &mut [IoSlice<'a>]) -> usize {
        let pieces = self.kept.range(self.done..).zip(slices.iter_mut());
        let written = |start: u64| self.written.saturating_sub(start) as usize;
        pieces.map(|((start, record), slice)| *slice = IoSlice::new(&record[written(*start)..])).count()
    }

    /// Some has been written; what cannot lie in the pipe any more is forgotten.
    fn advance(&mut self, n: usize, capacity: u64) {
        self.written += n as u64;
        let end = |(start, record): &(u64, Bytes)| start + record.len() as u64;
        while self.kept.get(self.done).is_some_and(|record| end(record) <= self.written) {
            self.done += 1;
        }
        while self.done > 0 && self.kept.front().is_some_and(|record| end(record) + capacity <= self.written) {
            self.kept.pop_front();
            self.done -= 1;
        }
    }

    /// The reader has gone and left some bytes unread: starts anew with the first record that was not read to its end.
    fn rewind(&mut self, unread: u64) {
        let read = self.written - unread.min(self.written);
        while self.kept.front().is_some_and(|(start, record)| start + record.len() as u64 <= read) {
            self.kept.pop_front();
        }
        self.written = self.kept.front().map_or(self.end, |(start, _)| *start);
        self.done = 0;
    }
}

async fn to_fifo(
    hub: &Hub,
    path: &Path,
    records: &mut Records,
    encode: fn(&Event) -> Option<Bytes>,
) -> io::Result<std::convert::Infallible> {
    loop {
        let pipe = open(path).await?;
        let capacity = capacity(&pipe);
        // Until the reader has gone.
        loop {
            while records.waiting() < AHEAD {
                let Some(event) = hub.events.take() else { break };
                if let Some(record) = encode(&event) {
                    records.push(record);
                }
            }
            let interest = if records.waiting() > 0 { Interest::WRITABLE | Interest::ERROR } else { Interest::ERROR };
            let gone = tokio::select! {
                ready = pipe.ready(interest) => ready?.is_error(),
                () = hub.events.ready(), if records.waiting() == 0 => continue,
            };
            if gone {
                break;
            }
            let mut slices = [IoSlice::new(&[]); MOST_SLICES];
            let count = records.slices(&mut slices);
            match pipe.try_write_vectored(&slices[..count]) {
                Ok(n) => records.advance(n, capacity),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) if error.kind() == io::ErrorKind::BrokenPipe => break,
                Err(error) => return Err(error),
            }
        }
        // What lies unread in the pipe goes with the last descriptor of it, this one. Where another reader has come in the
        // meantime, it has that, and goes on in it.
        if has_no_reader(&pipe) {
            records.rewind(unread(&pipe));
        }
    }
}

/// Opens the FIFO when there is a reader.
async fn open(path: &Path) -> io::Result<pipe::Sender> {
    loop {
        match pipe::OpenOptions::new().open_sender(path) {
            Err(error) if error.raw_os_error() == Some(libc::ENXIO) => tokio::time::sleep(TRY_EVERY).await,
            opened => return opened,
        }
    }
}

fn capacity(pipe: &impl AsFd) -> u64 {
    // SAFETY: the descriptor is open; no pointers are passed.
    let size = unsafe { libc::fcntl(pipe.as_fd().as_raw_fd(), libc::F_GETPIPE_SZ) };
    u64::try_from(size).unwrap_or(1 << 20)
}

/// Bytes that have been written, and not read.
fn unread(pipe: &impl AsFd) -> u64 {
    let mut count = 0;
    // SAFETY: the descriptor is open, and the request writes an int.
    let done = unsafe { libc::ioctl(pipe.as_fd().as_raw_fd(), libc::FIONREAD, &raw mut count) };
    if done == 0 { u64::try_from(count).unwrap_or(0) } else { 0 }
}

/// Whether nobody has the pipe open for reading, now.
fn has_no_reader(pipe: &impl AsFd) -> bool {
    let mut poll = libc::pollfd { fd: pipe.as_fd().as_raw_fd(), events: libc::POLLOUT, revents: 0 };
    // SAFETY: one entry is passed, and it does not wait.
    let ready = unsafe { libc::poll(&raw mut poll, 1, 0) };
    ready > 0 && poll.revents & libc::POLLERR != 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reader_that_goes_leaves_whole_records() {
        let mut records = Records::default();
        for text in ["one", "two", "three", "four"] {
            records.push(Bytes::from(text));
        }
        records.advance(13, 100);
        let mut slices = [IoSlice::new(&[]); 4];
        assert_eq!(records.slices(&mut slices), 1);
        assert_eq!(&*slices[0], b"ur");
        // Of "one", "two" and half of "three", it has read all but two bytes of what was written.
        records.rewind(5);
        let mut slices = [IoSlice::new(&[]); 4];
        assert_eq!(records.slices(&mut slices), 2);
        assert_eq!((&*slices[0], &*slices[1]), (&b"three"[..], &b"four"[..]));
    }

    #[test]
    fn what_cannot_lie_in_the_pipe_is_forgotten() {
        let mut records = Records::default();
        for _ in 0..100 {
            records.push(Bytes::from_static(b"ten bytes!"));
            records.advance(10, 64);
            assert!(records.kept.len() <= 7);
        }
        assert_eq!(records.waiting(), 0);
        records.rewind(64);
        assert_eq!(records.waiting(), 70);
    }
}
