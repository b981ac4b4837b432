//! A client's task: its frames to the events, broadcasts and its own messages to its connection.
//!
//! One task reads and writes. It sleeps until its connection has something to read, or room for what waits, or until
//! something is to be sent. Frames are read by the WebSocket library, whose answers (pongs, its half of a closing handshake)
//! go out between the frames that are sent here.

use std::collections::VecDeque;
use std::future::Future;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use bytes::{Buf, Bytes};
use futures_core::Stream;
use tokio::io::ReadBuf;
use tokio::time::Sleep;
use tokio_websockets::{Message, WebSocketStream};

use crate::event::Event;
use crate::frame;
use crate::hub::{Hub, Kind};
use crate::peer::{Next, Parting, Peer};
use crate::socket::Conduit;
use crate::stats::Counters;

/// How many messages are read before others have their turn.
const MOST_MESSAGES: usize = 64;

/// How many bytes are written before others have their turn.
const MOST_WRITTEN: usize = 1 << 20;

/// Pieces written at a time.
const MOST_SLICES: usize = 64;

/// Nothing is read from a client for which this many bytes of answers wait: pongs, and echoes.
const MOST_ANSWERS: usize = 256 * 1024;

/// Payloads shorter than this are copied out of the buffer that was read into.
const MOST_COPIED: usize = 4096;

/// How long a client may take to answer a close frame.
const CLOSING: Duration = Duration::from_secs(5);

/// How long the connection of a client that has been told all is kept for it to close.
const LINGERING: Duration = Duration::from_secs(1);

/// Where a connection is in its life.
#[derive(Debug, PartialEq, Eq)]
enum Phase {
    Open,
    /// A close frame has been sent, or is in hand: the client's is awaited.
    Closing,
    /// Both halves have been said; what is in hand is to be written, and the connection shut.
    Ending,
    /// Shut for writing: waits until the client shuts it, too.
    Lingering,
}

/// What is taken and not yet written.
#[derive(Default)]
struct Hand {
    pieces: VecDeque<Bytes>,
    bytes: usize,
    /// Whether the first piece has been written in part.
    begun: bool,
}

impl Hand {
    fn push(&mut self, piece: Bytes) {
        if !piece.is_empty() {
            self.bytes += piece.len();
            self.pieces.push_back(piece);
        }
    }

    fn advance(&mut self, mut written: usize) {
        self.bytes -= written;
        while let Some(first) = self.pieces.front_mut() {
            if written < first.len() {
                self.begun |= written > 0;
                first.advance(written);
                return;
            }
            written -= first.len();
            self.pieces.pop_front();
            self.begun = false;
        }
    }

    /// Drops all but what has been begun.
    fn keep_begun(&mut self) {
        self.pieces.truncate(usize::from(self.begun));
        self.bytes = self.pieces.iter().map(Bytes::len).sum();
    }
}

pub(crate) struct Client {
    hub: Arc<Hub>,
    peer: Arc<Peer>,
    frames: WebSocketStream<Conduit>,
    hand: Hand,
    phase: Phase,
    /// Until when the present phase may last.
    deadline: Option<Pin<Box<Sleep>>>,
    /// The phase is new: its deadline is yet to be waited for.
    entered: bool,
    /// The connection took no more when something was last written.
    blocked: bool,
    /// A message that waits for room among the events.
    stuck: Option<Event>,
    /// Whether reading waits until answers have been written.
    held_up: bool,
    /// What the access log says at the end.
    ending: Option<String>,
}

impl Client {
    pub(crate) fn new(hub: Arc<Hub>, peer: Arc<Peer>, frames: WebSocketStream<Conduit>) -> Self {
        let (hand, phase) = (Hand::default(), Phase::Open);
        Self {
            hub,
            peer,
            frames,
            hand,
            phase,
            deadline: None,
            entered: false,
            blocked: false,
            stuck: None,
            held_up: false,
            ending: None,
        }
    }

    /// Enters a phase that may last for some time.
    fn enter(&mut self, phase: Phase, patience: Duration) {
        self.phase = phase;
        self.deadline = Some(Box::pin(tokio::time::sleep(patience)));
        self.entered = true;
    }

    fn end_with(&mut self, why: impl Into<String>) {
        self.ending.get_or_insert_with(|| why.into());
    }

    // Writing.

    /// Takes what is to be written next. `false`: there is nothing.
    fn refill(&mut self) -> bool {
        let outbox = self.frames.get_mut().outbox();
        if !outbox.is_empty() {
            let answers = outbox.split().freeze();
            // After a close frame nothing may follow: the answer to the client's would be a second one.
            if self.phase != Phase::Closing {
                self.hand.push(answers);
                return true;
            }
        }
        if self.phase != Phase::Open {
            return false;
        }
        let Self { peer, hub, hand, .. } = self;
        match peer.take_next(&hub.log, |piece| hand.push(piece)) {
            Next::Nothing => false,
            Next::Frames => true,
            Next::Last(parting) => {
                self.say_goodbye(&parting);
                true
            }
        }
    }

    fn say_goodbye(&mut self, parting: &Parting) {
        self.hand.push(frame::close(parting.code, &parting.reason));
        self.frames.get_ref().socket.take_all();
        self.end_with(format!("closed with {} {}", parting.code, parting.reason));
        self.enter(Phase::Closing, CLOSING);
    }

    /// Writes until there is nothing left, or the connection takes no more.
    fn poll_write(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut written = 0;
        loop {
            while self.hand.bytes == 0 {
                if !self.refill() {
                    return self.frames.get_mut().socket.poll_flush(cx);
                }
            }
            if written > MOST_WRITTEN {
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            let mut slices = [IoSlice::new(&[]); MOST_SLICES];
            let pieces = self.hand.pieces.iter().zip(slices.iter_mut());
            let count = pieces.map(|(piece, slice)| *slice = IoSlice::new(piece)).count();
            self.peer.set_in_hand(self.hand.bytes);
            let started = Instant::now();
            let Poll::Ready(sent) = self.frames.get_mut().socket.poll_write(cx, &slices[..count]) else {
                self.blocked = true;
                return Poll::Pending;
            };
            let n = sent?;
            self.hub.rounds.measured(started.elapsed());
            // There is room again because the client has read something: a slow one is not a silent one.
            if std::mem::take(&mut self.blocked) {
                self.peer.heard.store(self.hub.now(), Ordering::Relaxed);
            }
            if n == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            Counters::add(&self.hub.counters.bytes_sent, n as u64);
            Counters::add(&self.peer.sent, n as u64);
            self.hand.advance(n);
            self.peer.set_in_hand(self.hand.bytes);
            written += n;
        }
    }

    // Reading.

    /// Whether the client has to wait before more is read from it.
    fn is_held_up(&mut self) -> bool {
        // One that is being closed has only its close frame to say.
        if self.phase == Phase::Open && self.peer.throttled.load(Ordering::Relaxed) != 0 {
            return true;
        }
        let answers = self.frames.get_mut().outbox().len();
        // Echoes wait among the client's own messages.
        let echoes =
            if self.hub.config.echo { self.peer.behind(&self.hub.log).map_or(0, |(bytes, _)| bytes) } else { 0 };
        self.held_up = answers + echoes as usize > MOST_ANSWERS;
        self.held_up
    }

    /// Tells what the client sent; where there is no room for now, the client is stuck with it.
    fn tell(&mut self, event: Event) {
        self.stuck = self.hub.tell(event, Some(&self.peer));
    }

    /// Takes a message; an error is how the server parts from who sends such.
    fn receive(&mut self, message: Message) -> Result<(), Parting> {
        if let Some((code, reason)) = message.as_close() {
            self.end_with(format!("close {} {reason}", u16::from(code)));
        }
        let kind = match (message.is_text(), message.is_binary()) {
            (true, _) => Kind::Text,
            (_, true) => Kind::Binary,
            _ => return Ok(()),
        };
        let payload = message.into_payload();
        // A payload is a part of the buffer that was read into, which a short one would keep as it waits.
        let data = if payload.len() < MOST_COPIED { Bytes::copy_from_slice(&payload) } else { payload.into() };
        // The library checks as bytes come, but not that a character is complete where the last fragment is empty.
        if kind == Kind::Text && simdutf8::basic::from_utf8(&data).is_err() {
            return Err(Parting { code: 1007, reason: "a text is no UTF-8".to_owned() });
        }
        Counters::add(&self.hub.counters.messages_received, 1);
        Counters::add(&self.hub.counters.bytes_received, data.len() as u64);
        if self.hub.config.echo {
            self.peer.send(frame::single(kind.opcode(), &data), &self.hub.log);
        } else {
            self.tell(Event { client: self.peer.id, kind: kind.into(), data });
        }
        Ok(())
    }

    /// Reads until there is nothing to read, or the client has to wait. Ready: nothing more is read from the client; this is
    /// its answer.
    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<Bytes> {
        if let Some(event) = self.stuck.take() {
            self.tell(event);
        }
        for _ in 0..MOST_MESSAGES {
            let waits = self.stuck.is_some() || self.is_held_up();
            self.peer.unheard.store(waits, Ordering::Relaxed);
            if waits {
                return Poll::Pending;
            }
            let polled = Pin::new(&mut self.frames).poll_next(cx);
            if self.frames.get_mut().has_received() {
                self.peer.heard.store(self.hub.now(), Ordering::Relaxed);
            }
            match ready!(polled) {
                Some(Ok(message)) => {
                    if let Err(parting) = self.receive(message) {
                        return Poll::Ready(self.refuse(&parting));
                    }
                }
                Some(Err(tokio_websockets::Error::Io(error))) => {
                    self.end_with(format!("lost, {error}"));
                    return Poll::Ready(Bytes::new());
                }
                // Of fragments that add up to too much, the library tells nobody but its caller.
                Some(Err(error @ tokio_websockets::Error::PayloadTooLong { .. })) => {
                    return Poll::Ready(self.refuse(&Parting { code: 1009, reason: error.to_string() }));
                }
                // The library has its close frame ready; the next turn of the loop moves it on.
                Some(Err(error)) => self.end_with(format!("broke the protocol: {error}")),
                None => {
                    self.end_with("lost, it closed the connection without a close frame");
                    return Poll::Ready(self.frames.get_mut().outbox().split().freeze());
                }
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// The answer to what a client may not do: those that are due from before, and a close frame.
    fn refuse(&mut self, parting: &Parting) -> Bytes {
        self.end_with(format!("broke the protocol: {} {}", parting.code, parting.reason));
        let outbox = self.frames.get_mut().outbox();
        outbox.extend_from_slice(&frame::close(parting.code, &parting.reason));
        outbox.split().freeze()
    }

    /// Reads and drops what the client still sends, until it shuts the connection.
    fn poll_linger(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let mut waste = [0; 4096];
        loop {
            let mut waste = ReadBuf::new(&mut waste);
            match ready!(self.frames.get_mut().socket.poll_read(cx, &mut waste)) {
                Ok(()) if !waste.filled().is_empty() => {}
                Ok(()) | Err(_) => return Poll::Ready(()),
            }
        }
    }

    // Both.

    fn step(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.peer.register(cx.waker());
        if self.peer.is_aborted() {
            self.end_with("dropped");
            return Poll::Ready(());
        }
        if let Some(deadline) = &mut self.deadline
            && deadline.as_mut().poll(cx).is_ready()
        {
            self.end_with("dropped, it did not close");
            return Poll::Ready(());
        }
        if self.phase == Phase::Open
            && let Some(parting) = self.peer.take_hurried()
        {
            self.hand.keep_begun();
            self.say_goodbye(&parting);
        }
        if matches!(self.phase, Phase::Open | Phase::Closing)
            && let Poll::Ready(answer) = self.poll_read(cx)
        {
            // Our own close frame has been the answer already.
            if self.phase == Phase::Open {
                // What it is owed from before goes first, as far as its connection takes it now; nothing else is for it.
                let _ = self.poll_write(cx);
            }
            if self.phase == Phase::Open {
                self.hand.keep_begun();
                self.hand.push(answer);
            }
            self.peer.finish();
            self.frames.get_ref().socket.take_all();
            self.enter(Phase::Ending, LINGERING);
        }
        loop {
            match self.phase {
                Phase::Lingering => return self.poll_linger(cx),
                Phase::Ending => {
                    match ready!(self.poll_write(cx)) {
                        Ok(()) => {}
                        Err(_) => return Poll::Ready(()),
                    }
                    match ready!(self.frames.get_mut().socket.poll_shutdown(cx)) {
                        Ok(()) => self.enter(Phase::Lingering, LINGERING),
                        Err(_) => return Poll::Ready(()),
                    }
                }
                Phase::Open | Phase::Closing => {
                    match ready!(self.poll_write(cx)) {
                        Ok(()) => {}
                        Err(error) => {
                            self.end_with(format!("lost, {error}"));
                            return Poll::Ready(());
                        }
                    }
                    if std::mem::take(&mut self.held_up) {
                        cx.waker().wake_by_ref();
                        return Poll::Pending;
                    }
                    self.peer.sleep();
                    if self.phase == Phase::Closing || !self.peer.has_next(&self.hub.log) {
                        return Poll::Pending;
                    }
                }
            }
        }
    }
}

impl Future for Client {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.get_mut();
        while this.step(cx).is_pending() {
            if !std::mem::take(&mut this.entered) {
                return Poll::Pending;
            }
        }
        let ending = this.ending.take().unwrap_or_default();
        let lost = match this.peer.lost() {
            0 => String::new(),
            lost => format!(" ({lost} messages were left out)"),
        };
        this.hub.access.note(&this.peer, &format!("{}{lost}", ending.trim_end()));
        Poll::Ready(())
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        // What waited for room was sent before the client went.
        if let Some(event) = self.stuck.take() {
            self.hub.tell(event, None);
        }
        self.hub.leave(&self.peer);
    }
}
