//! What clients did, on its way to whoever wants to know: a bounded queue.

use std::collections::VecDeque;
use std::fmt;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::sync::Notify;

use crate::hub::Kind;
use crate::peer::Peer;

/// How many bytes of events wait at most. What clients send beyond that waits with them, as long as events are being read.
const ROOM: usize = 4 << 20;

/// What an event takes beside its data.
const OVERHEAD: usize = 64;

/// A reader that has taken nothing for this long is taken for absent.
const PATIENCE: Duration = Duration::from_secs(5);

/// What a client did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum EventKind {
    /// It sent a text; the data is valid UTF-8.
    Text,
    /// It sent bytes.
    Binary,
    /// It has gone: there is no data, and nothing more of this client.
    Close,
    /// It has come: the data is its address as text, `unix` for one that came by a UNIX socket.
    Open,
}

impl EventKind {
    /// The type in the headers of strict mode, and in `gwsocket.h`.
    pub fn code(self) -> u32 {
        match self {
            Self::Text => 1,
            Self::Binary => 2,
            Self::Close => 8,
            Self::Open => 0x10,
        }
    }
}

impl From<Kind> for EventKind {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Text => Self::Text,
            Kind::Binary => Self::Binary,
        }
    }
}

/// Something that a client did.
#[derive(Clone, PartialEq, Eq)]
pub struct Event {
    /// Which client, from 1.
    pub client: u32,
    /// What it did.
    pub kind: EventKind,
    /// The message, or the address.
    pub data: Bytes,
}

impl fmt::Debug for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} of client {}: {:?}", self.kind, self.client, self.data)
    }
}

/// What became of an event that was put into the queue.
pub(crate) enum Put {
    Kept,
    /// There is no room, and no reader that would make some.
    Lost,
    /// There is no room until the reader goes on; the client is woken then.
    Later(Event),
}

#[derive(Default)]
struct Queue {
    events: VecDeque<Event>,
    bytes: usize,
    /// When events were last read.
    taken: Option<Instant>,
    waiting: Vec<Arc<Peer>>,
    /// The server stops: nobody waits any more, neither for room nor for events.
    closed: bool,
}

impl Queue {
    /// Whether somebody reads events.
    fn has_reader(&self) -> bool {
        self.taken.is_some_and(|at| at.elapsed() < PATIENCE)
    }

    /// Wakes the clients that wait for room.
    fn let_go(&mut self) {
        for peer in self.waiting.drain(..) {
            peer.wake();
        }
    }
}

/// The queue.
pub(crate) struct Events {
    queue: Mutex<Queue>,
    /// Wakes the one that awaits events, and those who wait on their thread.
    awaited: Notify,
    arrived: Condvar,
    /// Readable while there are events.
    signal: OwnedFd,
}

impl Events {
    pub(crate) fn new() -> std::io::Result<Self> {
        // SAFETY: no pointers are passed.
        let fd = unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) };
        if fd < 0 {
            return Err(std::io::Error::last_os_error());
        }
        // SAFETY: the descriptor is new, and nobody else's.
        let signal = unsafe { OwnedFd::from_raw_fd(fd) };
        Ok(Self { queue: Mutex::default(), awaited: Notify::new(), arrived: Condvar::new(), signal })
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// A descriptor that is readable while there are events.
    pub(crate) fn descriptor(&self) -> RawFd {
        self.signal.as_raw_fd()
    }

    /// Puts in what a client did. `waiter` is the client, where it can wait for room.
    pub(crate) fn put(&self, event: Event, waiter: Option<&Arc<Peer>>) -> Put {
        let mut queue = self.lock();
        let size = event.data.len() + OVERHEAD;
        if !queue.events.is_empty() && queue.bytes + size > ROOM {
            if queue.closed || !queue.has_reader() {
                return Put::Lost;
            }
            // That a client has come or gone takes little room, and must not be lost while there is a reader.
            if let Some(peer) = waiter {
                queue.waiting.push(Arc::clone(peer));
                return Put::Later(event);
            }
        }
        queue.bytes += size;
        queue.events.push_back(event);
        if queue.events.len() == 1 {
            self.raise();
        }
        drop(queue);
        self.awaited.notify_one();
        self.arrived.notify_one();
        Put::Kept
    }

    /// The next event, if there is one.
    pub(crate) fn take(&self) -> Option<Event> {
        self.take_from(&mut self.lock())
    }

    fn take_from(&self, queue: &mut Queue) -> Option<Event> {
        queue.taken = Some(Instant::now());
        let event = queue.events.pop_front()?;
        queue.bytes -= event.data.len() + OVERHEAD;
        if queue.events.is_empty() {
            self.lower();
        }
        if queue.bytes <= ROOM / 2 {
            queue.let_go();
        }
        Some(event)
    }

    /// Waits on this thread for an event; none comes within `patience`, or the server stops: `None`.
    pub(crate) fn wait(&self, patience: Duration) -> Option<Event> {
        let deadline = Instant::now().checked_add(patience);
        let mut queue = self.lock();
        loop {
            if let Some(event) = self.take_from(&mut queue) {
                return Some(event);
            }
            if queue.closed {
                return None;
            }
            let left = match deadline {
                Some(deadline) => deadline.checked_duration_since(Instant::now())?,
                None => Duration::from_secs(3600),
            };
            queue = self.arrived.wait_timeout(queue, left).unwrap_or_else(|poisoned| poisoned.into_inner()).0;
        }
    }

    /// Waits until there is an event, and leaves it there.
    pub(crate) async fn ready(&self) {
        loop {
            let arrival = self.awaited.notified();
            if !self.lock().events.is_empty() {
                return;
            }
            arrival.await;
        }
    }

    /// Lets no client wait for a reader that has gone.
    pub(crate) fn tick(&self) {
        let mut queue = self.lock();
        if !queue.has_reader() {
            queue.let_go();
        }
    }

    /// The server stops.
    pub(crate) fn close(&self) {
        let mut queue = self.lock();
        queue.closed = true;
        queue.let_go();
        drop(queue);
        self.arrived.notify_all();
    }

    /// Whether somebody who reads events has still some to read.
    pub(crate) fn are_wanted(&self) -> bool {
        let queue = self.lock();
        !queue.events.is_empty() && queue.has_reader()
    }

    fn raise(&self) {
        let one = 1u64;
        // SAFETY: eight bytes are read from a variable. That the counter overflows is impossible: it is 0 or 1.
        unsafe { libc::write(self.descriptor(), (&raw const one).cast(), 8) };
    }

    fn lower(&self) {
        let mut count = 0u64;
        // SAFETY: eight bytes are written to a variable; the descriptor does not block.
        unsafe { libc::read(self.descriptor(), (&raw mut count).cast(), 8) };
    }
}
