//! What is broadcast: one sequence of frames that all clients read, each at its own pace.
//!
//! A frame is encoded once and kept once, however many clients there are; a client is a position in the sequence. So a
//! broadcast costs a copy of its payload, and clients that lag cost the memory of the one that lags most.
//!
//! ```text
//!              start                                      end
//!     pieces:  [ f f f f f f f f ][ f f f f f f ][ f ][ f f ]
//!                        ^                            ^
//!                        a client behind              a client that has all but the last
//! ```
//!
//! A piece is whole frames. Small pieces are joined when they have become [`JOINED`] bytes, so that a client far behind
//! takes few and large ones.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard};

use bytes::{Bytes, BytesMut};

/// How large small pieces grow before they are joined, in bytes.
const JOINED: usize = 16 * 1024;

/// How many pieces a client takes at a time.
const MOST_PIECES: usize = 64;

/// A place between two frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Position {
    /// Bytes before it.
    pub(crate) offset: u64,
    /// Frames before it.
    pub(crate) frame: u64,
}

struct Piece {
    start: Position,
    bytes: Bytes,
}

impl Piece {
    fn end(&self) -> u64 {
        self.start.offset + self.bytes.len() as u64
    }
}

#[derive(Default)]
struct Pieces {
    queue: VecDeque<Piece>,
    /// How many of them, from the back, are still small.
    small: usize,
    small_bytes: usize,
    end: Position,
}

/// The sequence.
#[derive(Default)]
pub(crate) struct Log {
    pieces: Mutex<Pieces>,
    /// The end's offset, to look at without the lock.
    end: AtomicU64,
}

impl Log {
    fn lock(&self) -> MutexGuard<'_, Pieces> {
        self.pieces.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// Appends `frames` whole frames.
    pub(crate) fn append(&self, bytes: Bytes, frames: u64) {
        let mut pieces = self.lock();
        let length = bytes.len();
        let start = pieces.end;
        pieces.queue.push_back(Piece { start, bytes });
        pieces.end = Position { offset: start.offset + length as u64, frame: start.frame + frames };
        if length >= JOINED {
            pieces.small = 0;
            pieces.small_bytes = 0;
        } else {
            pieces.small += 1;
            pieces.small_bytes += length;
            if pieces.small_bytes >= JOINED {
                pieces.join();
            }
        }
        // Before clients are woken, who look at it after they have said that they sleep.
        self.end.store(pieces.end.offset, Ordering::SeqCst);
    }

    /// The offset of the end.
    pub(crate) fn end(&self) -> u64 {
        self.end.load(Ordering::SeqCst)
    }

    /// The end, where a new client begins.
    pub(crate) fn tail(&self) -> Position {
        self.lock().end
    }

    /// Hands over what follows `from`, up to `to` or the end, and gives the position behind it. About `most` bytes, by whole
    /// pieces.
    pub(crate) fn take(
        &self,
        from: Position,
        to: Option<Position>,
        most: usize,
        mut hand: impl FnMut(Bytes),
    ) -> Position {
        let pieces = self.lock();
        let to = to.unwrap_or(pieces.end);
        let mut index = pieces.queue.partition_point(|piece| piece.end() <= from.offset);
        let mut at = from;
        let mut taken = 0;
        for _ in 0..MOST_PIECES {
            let Some(piece) = pieces.queue.get(index) else { break };
            if at.offset >= to.offset || taken >= most {
                break;
            }
            let first = (at.offset.max(piece.start.offset) - piece.start.offset) as usize;
            let last = (to.offset.min(piece.end()) - piece.start.offset) as usize;
            hand(piece.bytes.slice(first..last));
            taken += last - first;
            index += 1;
            at = if to.offset < piece.end() {
                to
            } else {
                pieces.queue.get(index).map_or(pieces.end, |next| next.start)
            };
        }
        at
    }

    /// The start of the first piece at or behind `offset`, to go on from where frames are left out.
    pub(crate) fn boundary(&self, offset: u64) -> Position {
        let pieces = self.lock();
        let index = pieces.queue.partition_point(|piece| piece.start.offset < offset);
        pieces.queue.get(index).map_or(pieces.end, |piece| piece.start)
    }

    /// Frees the pieces before `offset`, which no client wants any more.
    pub(crate) fn trim(&self, offset: u64) {
        // Freed when the lock is open again.
        let mut freed = Vec::new();
        {
            let mut pieces = self.lock();
            while pieces.queue.front().is_some_and(|piece| piece.end() <= offset) {
                freed.extend(pieces.queue.pop_front());
            }
            if pieces.small > pieces.queue.len() {
                pieces.small = pieces.queue.len();
                pieces.small_bytes = pieces.queue.iter().map(|piece| piece.bytes.len()).sum();
            }
        }
    }

    /// Bytes kept.
    #[cfg(test)]
    fn kept(&self) -> usize {
        self.lock().queue.iter().map(|piece| piece.bytes.len()).sum()
    }
}

impl Pieces {
    fn join(&mut self) {
        let first = self.queue.len() - self.small;
        let mut joined = BytesMut::with_capacity(self.small_bytes);
        for piece in self.queue.range(first..) {
            joined.extend_from_slice(&piece.bytes);
        }
        let start = self.queue[first].start;
        self.queue.truncate(first);
        self.queue.push_back(Piece { start, bytes: joined.freeze() });
        self.small = 0;
        self.small_bytes = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(log: &Log, from: Position, to: Option<Position>, most: usize) -> (Vec<u8>, Position) {
        let mut bytes = Vec::new();
        let end = log.take(from, to, most, |piece| bytes.extend_from_slice(&piece));
        (bytes, end)
    }

    /// All that follows, by handfuls.
    fn read_all(log: &Log, mut from: Position, most: usize) -> (Vec<u8>, Position) {
        let mut all = Vec::new();
        while from.offset < log.end() {
            let (bytes, next) = read(log, from, None, most);
            assert!(next.offset > from.offset);
            all.extend_from_slice(&bytes);
            from = next;
        }
        (all, from)
    }

    fn numbered(count: u32) -> (Log, Vec<u8>) {
        let (log, mut all) = (Log::default(), Vec::new());
        for number in 0..count {
            log.append(Bytes::copy_from_slice(&number.to_be_bytes()), 1);
            all.extend_from_slice(&number.to_be_bytes());
        }
        (log, all)
    }

    #[test]
    fn clients_read_the_same_at_any_pace() {
        let (log, all) = numbered(20_000);
        for most in [1, 100, 5_000, 1 << 20] {
            let (bytes, at) = read_all(&log, Position::default(), most);
            assert!(bytes == all);
            assert_eq!(at, log.tail());
            assert_eq!(at.frame, 20_000);
        }
    }

    #[test]
    fn positions_in_small_pieces_hold_when_they_are_joined() {
        let log = Log::default();
        log.append(Bytes::from_static(b"one"), 1);
        let (_, middle) = read(&log, Position::default(), None, 100);
        assert_eq!(middle, Position { offset: 3, frame: 1 });
        for _ in 0..JOINED {
            log.append(Bytes::from_static(b"xy"), 1);
        }
        let to = Position { offset: 9, frame: 4 };
        let (bytes, at) = read(&log, middle, Some(to), 1 << 20);
        assert_eq!(bytes, b"xyxyxy");
        assert_eq!(at, to);
    }

    #[test]
    fn what_is_trimmed_is_gone_and_the_rest_stays() {
        let (log, all) = numbered(10_000);
        let from = log.boundary(20_000);
        assert!(from.offset >= 20_000 && from.frame * 4 == from.offset);
        log.trim(from.offset);
        assert!(log.kept() as u64 == log.end() - from.offset);
        let (bytes, _) = read_all(&log, from, 1 << 20);
        assert!(bytes == all[from.offset as usize..]);
        log.trim(log.end());
        assert_eq!(log.kept(), 0);
        log.append(Bytes::from_static(b"more"), 1);
        assert_eq!(read_all(&log, log.boundary(0), 100).0, b"more");
    }
}
