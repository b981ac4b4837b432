//! A client as the server sees it: what is still to be sent to it, and how far behind it is.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard};
use std::task::Waker;

use atomic_waker::AtomicWaker;
use bytes::Bytes;

use crate::error::{Error, Result};
use crate::frame;
use crate::log::{Log, Position};

/// Bytes that a client's task takes out of the log at a time.
const HANDFUL: usize = 128 * 1024;

/// A frame for one client, to be sent when all that was broadcast before it has been.
struct Letter {
    after: Position,
    frame: Bytes,
    /// Whether it is a message, which may be left out and is counted then.
    message: bool,
}

/// How the server parts from a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Parting {
    pub(crate) code: u16,
    pub(crate) reason: String,
}

impl Parting {
    /// One with a code that somebody has chosen.
    pub(crate) fn new(code: u16, reason: &str) -> Result<Self> {
        if frame::may_close_with(code) {
            Ok(Self { code, reason: reason.to_owned() })
        } else {
            Err(Error::CloseCode(code))
        }
    }
}

#[derive(Default)]
struct Outgoing {
    /// What it has taken of the broadcasts.
    taken: Position,
    letters: VecDeque<Letter>,
    letter_bytes: usize,
    /// After everything before it is sent.
    parting: Option<(Position, Parting)>,
    /// It is being parted from, or has gone: nothing more is for it.
    over: bool,
    /// Messages that were left out, as it was too slow.
    lost: u64,
}

impl Outgoing {
    /// Nothing more is for this client but how it is parted from, if it is.
    fn end(&mut self, parting: Option<Parting>) {
        self.over = true;
        self.letters.clear();
        self.letter_bytes = 0;
        self.parting = parting.map(|parting| (Position::default(), parting));
    }
}

/// The shared half of a client; its task has the other.
pub(crate) struct Peer {
    pub(crate) id: u32,
    pub(crate) address: String,
    outgoing: Mutex<Outgoing>,
    /// What its task has in hand, in bytes.
    in_hand: AtomicU64,
    waker: AtomicWaker,
    /// Its task sleeps until there is something to send.
    idle: AtomicBool,
    /// Milliseconds of the server's clock.
    pub(crate) heard: AtomicU64,
    pub(crate) pinged: AtomicU64,
    /// Nothing is read from it for the moment: it is throttled, or has to wait.
    pub(crate) unheard: AtomicBool,
    /// Since when it has been too far behind, or since it was last looked at what it takes all the same; 0 while it is not.
    pub(crate) throttled: AtomicU64,
    /// Bytes written to it; and how many they were at that time.
    pub(crate) sent: AtomicU64,
    sent_then: AtomicU64,
    /// It is parted from without waiting for what it has not got.
    hurried: AtomicBool,
    /// Its connection ends at once.
    aborted: AtomicBool,
}

/// What a client's task is given to send.
pub(crate) enum Next {
    Nothing,
    Frames,
    /// The last frame, a close frame.
    Last(Parting),
}

impl Peer {
    pub(crate) fn new(id: u32, address: String, start: Position, now: u64) -> Self {
        Self {
            id,
            address,
            outgoing: Mutex::new(Outgoing { taken: start, ..Outgoing::default() }),
            in_hand: AtomicU64::new(0),
            waker: AtomicWaker::new(),
            idle: AtomicBool::new(false),
            heard: AtomicU64::new(now),
            pinged: AtomicU64::new(0),
            unheard: AtomicBool::new(false),
            throttled: AtomicU64::new(0),
            sent: AtomicU64::new(0),
            sent_then: AtomicU64::new(0),
            hurried: AtomicBool::new(false),
            aborted: AtomicBool::new(false),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Outgoing> {
        self.outgoing.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    // For everyone.

    /// Wakes the client's task, if it sleeps until there is something to send.
    pub(crate) fn wake_if_idle(&self) {
        // A look first: of clients that are busy, the flag stays in their own cache.
        if self.idle.load(Ordering::SeqCst) && self.idle.swap(false, Ordering::SeqCst) {
            self.waker.wake();
        }
    }

    /// Wakes the client's task whatever it waits for.
    pub(crate) fn wake(&self) {
        self.waker.wake();
    }

    /// Queues a message for this client alone, behind what has been broadcast so far. `false`: nothing more is for it.
    pub(crate) fn send(&self, frame: Bytes, log: &Log) -> bool {
        let mut outgoing = self.lock();
        if outgoing.over || outgoing.parting.is_some() {
            return false;
        }
        outgoing.letter_bytes += frame.len();
        outgoing.letters.push_back(Letter { after: log.tail(), frame, message: true });
        drop(outgoing);
        self.wake_if_idle();
        true
    }

    /// Queues a ping, before everything else.
    pub(crate) fn ping(&self) {
        let mut outgoing = self.lock();
        if outgoing.over {
            return;
        }
        let frame = frame::single(frame::Opcode::Ping, b"");
        outgoing.letter_bytes += frame.len();
        outgoing.letters.push_front(Letter { after: Position::default(), frame, message: false });
        drop(outgoing);
        self.wake_if_idle();
    }

    /// Parts from the client, when it has got everything so far.
    pub(crate) fn part(&self, parting: Parting, log: &Log) -> bool {
        let mut outgoing = self.lock();
        if outgoing.over || outgoing.parting.is_some() {
            return false;
        }
        outgoing.parting = Some((log.tail(), parting));
        drop(outgoing);
        self.wake();
        true
    }

    /// Parts from the client at once: what waits for it is dropped.
    pub(crate) fn part_now(&self, parting: Parting) -> bool {
        let mut outgoing = self.lock();
        if outgoing.over {
            return false;
        }
        outgoing.end(Some(parting));
        drop(outgoing);
        self.hurried.store(true, Ordering::SeqCst);
        self.wake();
        true
    }

    /// Ends the connection without a word.
    pub(crate) fn abort(&self) {
        self.aborted.store(true, Ordering::SeqCst);
        self.wake();
    }

    /// Bytes that are still to be written to the client, and where it is in the log; `None` when nothing more is for it.
    pub(crate) fn behind(&self, log: &Log) -> Option<(u64, u64)> {
        let outgoing = self.lock();
        if outgoing.over {
            return None;
        }
        let behind = log.end().saturating_sub(outgoing.taken.offset)
            + outgoing.letter_bytes as u64
            + self.in_hand.load(Ordering::Relaxed);
        Some((behind, outgoing.taken.offset))
    }

    /// Throttles it, or goes on with that; gives how many bytes it has taken since this was last done.
    pub(crate) fn throttle(&self, now: u64) -> u64 {
        self.throttled.store(now, Ordering::Relaxed);
        let sent = self.sent.load(Ordering::Relaxed);
        sent - self.sent_then.swap(sent, Ordering::Relaxed)
    }

    /// Leaves out the oldest messages, until about `keep` bytes are to be sent. Gives how many messages it left out.
    pub(crate) fn leave_out(&self, keep: u64, log: &Log) -> u64 {
        let mut outgoing = self.lock();
        let mut lost = 0;
        let end = log.end();
        if end.saturating_sub(outgoing.taken.offset) > keep {
            let from = log.boundary(end - keep);
            lost += from.frame - outgoing.taken.frame;
            outgoing.taken = from;
        }
        while outgoing.letter_bytes as u64 > keep {
            let Some(index) = outgoing.letters.iter().position(|letter| letter.message) else { break };
            let Some(letter) = outgoing.letters.remove(index) else { break };
            outgoing.letter_bytes -= letter.frame.len();
            lost += 1;
        }
        outgoing.lost += lost;
        lost
    }

    /// Messages that were left out.
    pub(crate) fn lost(&self) -> u64 {
        self.lock().lost
    }

    // For the client's task.

    pub(crate) fn register(&self, waker: &Waker) {
        self.waker.register(waker);
    }

    pub(crate) fn is_aborted(&self) -> bool {
        self.aborted.load(Ordering::SeqCst)
    }

    /// The parting that is to go before everything else, if there is one.
    pub(crate) fn take_hurried(&self) -> Option<Parting> {
        if !self.hurried.swap(false, Ordering::SeqCst) {
            return None;
        }
        self.lock().parting.take().map(|(_, parting)| parting)
    }

    pub(crate) fn set_in_hand(&self, bytes: usize) {
        self.in_hand.store(bytes as u64, Ordering::Relaxed);
    }

    /// Says that the task sleeps until there is something to send; it looks once more after that.
    pub(crate) fn sleep(&self) {
        self.idle.store(true, Ordering::SeqCst);
    }

    /// Whether something is to be sent.
    pub(crate) fn has_next(&self, log: &Log) -> bool {
        let outgoing = self.lock();
        outgoing.parting.is_some()
            || !outgoing.letters.is_empty()
            || (!outgoing.over && log.end() > outgoing.taken.offset)
    }

    /// Takes what is to be sent next, in order.
    pub(crate) fn take_next(&self, log: &Log, mut hand: impl FnMut(Bytes)) -> Next {
        let mut outgoing = self.lock();
        let (mut some, mut bytes) = (false, 0);
        loop {
            while bytes < HANDFUL
                && outgoing.letters.front().is_some_and(|letter| letter.after.offset <= outgoing.taken.offset)
            {
                if let Some(letter) = outgoing.letters.pop_front() {
                    outgoing.letter_bytes -= letter.frame.len();
                    bytes += letter.frame.len();
                    hand(letter.frame);
                    some = true;
                }
            }
            if outgoing.letters.is_empty()
                && outgoing.parting.as_ref().is_some_and(|(after, _)| after.offset <= outgoing.taken.offset)
            {
                if some {
                    return Next::Frames;
                }
                outgoing.over = true;
                return outgoing.parting.take().map_or(Next::Nothing, |(_, parting)| Next::Last(parting));
            }
            if some {
                return Next::Frames;
            }
            if outgoing.over {
                return Next::Nothing;
            }
            let next = outgoing.letters.front().map(|letter| letter.after);
            let to = next.or(outgoing.parting.as_ref().map(|(after, _)| *after));
            let taken = outgoing.taken;
            outgoing.taken = log.take(taken, to, HANDFUL, |piece| {
                some = true;
                hand(piece);
            });
            if !some {
                return Next::Nothing;
            }
        }
    }

    /// Nothing more is for this client.
    pub(crate) fn finish(&self) {
        self.lock().end(None);
    }
}
