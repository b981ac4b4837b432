//! What clients share: the log of broadcasts, the list of clients, the events, and the watch over those who lag.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};

use crate::access_log::AccessLog;
use crate::config::{Config, Slow};
use crate::error::{Error, Result};
use crate::event::{Event, EventKind, Events, Put};
use crate::frame::{self, Opcode};
use crate::log::Log;
use crate::peer::{Parting, Peer};
use crate::rounds::Rounds;
use crate::stats::{Counters, Stats};

/// A client that is more than this many bytes behind is throttled.
pub const THROTTLED_BEHIND: u64 = 2 << 20;

/// A client that is this many bytes behind is dropped at once (more where messages may be so large that four of them are).
pub const MOST_BEHIND: u64 = 16 << 20;

/// How long a client may be throttled, in milliseconds, before it is looked at what it has taken meanwhile; and how many bytes
/// that has to be, or it is dropped.
const PATIENCE_MS: u64 = 5_000;
const TAKEN_MEANWHILE: u64 = 512 << 10;

/// How many bytes are broadcast between two looks at who lags.
const REVIEW_EVERY: u64 = 256 << 10;

/// Input waits while even the fastest client is this many bytes behind.
const AHEAD: u64 = 1 << 20;

/// Input does not wait for a client that takes fewer bytes than this in a quarter of a second.
const PROGRESS: u64 = 16 << 10;

/// A message's kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// UTF-8.
    Text,
    /// Any bytes.
    Binary,
}

impl Kind {
    pub(crate) fn opcode(self) -> Opcode {
        match self {
            Self::Text => Opcode::Text,
            Self::Binary => Opcode::Binary,
        }
    }
}

pub(crate) struct Hub {
    pub(crate) config: Config,
    pub(crate) log: Log,
    pub(crate) events: Events,
    pub(crate) counters: Counters,
    pub(crate) access: AccessLog,
    pub(crate) rounds: Rounds,
    clients: RwLock<BTreeMap<u32, Arc<Peer>>>,
    next_id: AtomicU32,
    /// How much was in the log at the last look at who lags.
    reviewed: AtomicU64,
    started: Instant,
    closing: AtomicBool,
}

impl Hub {
    pub(crate) fn new(config: Config) -> Result<Self> {
        Ok(Self {
            log: Log::default(),
            events: Events::new()?,
            counters: Counters::default(),
            access: AccessLog::open(config.access_log.as_deref())?,
            rounds: Rounds::new(config.coalesce),
            clients: RwLock::default(),
            next_id: AtomicU32::new(1),
            reviewed: AtomicU64::new(0),
            started: Instant::now(),
            closing: AtomicBool::new(false),
            config,
        })
    }

    fn clients(&self) -> RwLockReadGuard<'_, BTreeMap<u32, Arc<Peer>>> {
        self.clients.read().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    fn clients_mut(&self) -> RwLockWriteGuard<'_, BTreeMap<u32, Arc<Peer>>> {
        self.clients.write().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// Milliseconds since the server started, from 1.
    pub(crate) fn now(&self) -> u64 {
        self.started.elapsed().as_millis() as u64 + 1
    }

    pub(crate) fn stats(&self) -> Stats {
        self.counters.read(self.clients().len())
    }

    // Clients that come and go. The table, the counts and the events change together, under the table's lock: who finds one
    // changed finds all.

    /// Lets a client in, who gets everything that is broadcast from now on. `None`: there is no room.
    pub(crate) fn enter(&self, address: String) -> Option<Arc<Peer>> {
        let mut clients = self.clients_mut();
        if clients.len() >= self.config.max_clients || self.is_shut() {
            return None;
        }
        let id = loop {
            let id = self.next_id.fetch_add(1, Ordering::Relaxed);
            if id != 0 && !clients.contains_key(&id) {
                break id;
            }
        };
        let peer = Arc::new(Peer::new(id, address, self.log.tail(), self.now()));
        clients.insert(id, Arc::clone(&peer));
        Counters::add(&self.counters.opened, 1);
        let data = Bytes::copy_from_slice(peer.address.as_bytes());
        self.tell(Event { client: id, kind: EventKind::Open, data }, None);
        Some(peer)
    }

    /// A client has gone.
    pub(crate) fn leave(&self, peer: &Peer) {
        peer.finish();
        let mut clients = self.clients_mut();
        clients.remove(&peer.id);
        Counters::add(&self.counters.closed, 1);
        self.tell(Event { client: peer.id, kind: EventKind::Close, data: Bytes::new() }, None);
    }

    /// Tells what a client did. Gives the event back where the client, `waiter`, has to wait for room.
    pub(crate) fn tell(&self, event: Event, waiter: Option<&Arc<Peer>>) -> Option<Event> {
        if self.config.echo {
            return None;
        }
        match self.events.put(event, waiter) {
            Put::Kept => None,
            Put::Lost => {
                Counters::add(&self.counters.dropped_events, 1);
                None
            }
            Put::Later(event) => Some(event),
        }
    }

    // Messages for clients.

    /// Whether a message may be sent.
    pub(crate) fn check(&self, kind: Kind, payload: &[u8]) -> Result<()> {
        if payload.len() > self.config.max_frame_size {
            return Err(Error::TooLong { length: payload.len(), limit: self.config.max_frame_size });
        }
        match kind {
            Kind::Text => match simdutf8::basic::from_utf8(payload) {
                Ok(_) => Ok(()),
                // The fast check does not say where.
                Err(_) => Err(Error::NotUtf8 {
                    offset: std::str::from_utf8(payload).map_or_else(|error| error.valid_up_to(), str::len),
                }),
            },
            Kind::Binary => Ok(()),
        }
    }

    /// Broadcasts whole frames.
    fn broadcast_frames(&self, frames: Bytes, count: u64) {
        let bytes = frames.len();
        self.log.append(frames, count);
        if self.rounds.broadcast(bytes, self.number_of_clients(), Instant::now()) {
            self.wake_all();
        }
        if self.log.end() - self.reviewed.load(Ordering::Relaxed) > REVIEW_EVERY {
            self.review();
        }
    }

    /// Wakes the clients that sleep until there is something to send.
    pub(crate) fn wake_all(&self) {
        for peer in self.clients().values() {
            peer.wake_if_idle();
        }
    }

    fn peer(&self, id: u32) -> Result<Arc<Peer>> {
        self.clients().get(&id).cloned().ok_or(Error::NoClient(id))
    }

    /// Sends to one client.
    fn send_frame(&self, id: u32, frame: Bytes) -> Result<()> {
        if self.peer(id)?.send(frame, &self.log) { Ok(()) } else { Err(Error::NoClient(id)) }
    }

    /// Closes one client, when it has got what was sent to it.
    pub(crate) fn close(&self, id: u32, parting: Parting) -> Result<()> {
        if self.peer(id)?.part(parting, &self.log) { Ok(()) } else { Err(Error::NoClient(id)) }
    }

    /// Closes all clients, who have got what was sent to them.
    pub(crate) fn close_all(&self, parting: &Parting) {
        for peer in self.clients().values() {
            peer.part(parting.clone(), &self.log);
        }
    }

    /// Lets nobody in any more.
    pub(crate) fn shut(&self) {
        self.closing.store(true, Ordering::SeqCst);
        self.events.close();
    }

    /// Whether it lets nobody in any more.
    pub(crate) fn is_shut(&self) -> bool {
        self.closing.load(Ordering::SeqCst)
    }

    /// Ends all connections.
    pub(crate) fn abort_all(&self) {
        for peer in self.clients().values() {
            peer.abort();
        }
    }

    pub(crate) fn number_of_clients(&self) -> usize {
        self.clients().len()
    }

    // Who lags.

    /// How far behind the fastest client is, and where it is in the log; `None` when there is none.
    fn fastest(&self) -> Option<(u64, u64)> {
        self.clients().values().filter_map(|peer| peer.behind(&self.log)).min_by_key(|(behind, _)| *behind)
    }

    /// Looks at who lags, and does what the policy says; frees what all have got.
    fn review(&self) {
        self.reviewed.store(self.log.end(), Ordering::Relaxed);
        let now = self.now();
        let most = MOST_BEHIND.max(4 * self.config.max_frame_size as u64);
        let mut needed = self.log.end();
        for peer in self.clients().values() {
            let Some((behind, at)) = peer.behind(&self.log) else { continue };
            needed = needed.min(at);
            let since = peer.throttled.load(Ordering::Relaxed);
            if behind <= THROTTLED_BEHIND {
                if since != 0 && behind <= THROTTLED_BEHIND / 2 {
                    peer.throttled.store(0, Ordering::Relaxed);
                    peer.wake();
                }
                continue;
            }
            if since == 0 {
                peer.throttle(now);
                Counters::add(&self.counters.throttled, 1);
            }
            let has_time = since == 0 || now - since <= PATIENCE_MS || peer.throttle(now) >= TAKEN_MEANWHILE;
            match self.config.slow {
                Slow::DropOldest => {
                    let lost = peer.leave_out(THROTTLED_BEHIND / 2, &self.log);
                    Counters::add(&self.counters.dropped_messages, lost);
                }
                Slow::Drop if behind > most || !has_time => {
                    let parting = Parting { code: 1008, reason: format!("too slow: {behind} bytes behind") };
                    if peer.part_now(parting) {
                        Counters::add(&self.counters.dropped_clients, 1);
                        self.access.note(peer, &format!("dropped, {behind} bytes behind"));
                    }
                }
                Slow::Drop => {}
            }
        }
        self.log.trim(needed);
    }

    /// What is to be done from time to time: pings, and the look at who lags.
    pub(crate) fn tick(&self) {
        self.review();
        self.events.tick();
        let now = self.now();
        let interval = self.config.ping_interval.as_millis() as u64;
        for peer in self.clients().values() {
            let silent = now.saturating_sub(peer.heard.load(Ordering::Relaxed));
            // What some clients say is not read.
            if silent < interval || peer.unheard.load(Ordering::Relaxed) {
                continue;
            }
            let pinged = peer.pinged.load(Ordering::Relaxed);
            if pinged <= peer.heard.load(Ordering::Relaxed) {
                peer.pinged.store(now, Ordering::Relaxed);
                peer.ping();
            } else if now.saturating_sub(pinged) >= interval {
                self.access.note(peer, "dropped, no answer to a ping");
                peer.abort();
            }
        }
    }

    /// Waits, before more input is read, while even the fastest client cannot keep up with it; not for one that takes next to
    /// nothing, and stalls the input.
    pub(crate) async fn pace(&self, pacer: &mut Pacer) {
        let end = self.log.end();
        if end - pacer.looked < REVIEW_EVERY {
            return;
        }
        pacer.looked = end;
        let Some((mut behind, mut at)) = self.fastest() else { return };
        if behind < AHEAD / 2 {
            pacer.given_up = false;
        }
        let (mut since, mut from) = (Instant::now(), at);
        while behind > AHEAD && !pacer.given_up && !self.is_shut() {
            tokio::time::sleep(Duration::from_millis(1)).await;
            match self.fastest() {
                Some(fastest) => (behind, at) = fastest,
                None => return,
            }
            if since.elapsed() >= Duration::from_millis(250) {
                pacer.given_up = at.saturating_sub(from) < PROGRESS;
                (since, from) = (Instant::now(), at);
            }
        }
    }
}

/// What [`Hub::pace`] remembers of one input.
#[derive(Default)]
pub(crate) struct Pacer {
    looked: u64,
    given_up: bool,
}

/// Messages that came together: they are broadcast together, so that clients are woken once.
pub(crate) struct Batch<'a> {
    hub: &'a Hub,
    frames: BytesMut,
    count: u64,
}

impl<'a> Batch<'a> {
    pub(crate) fn new(hub: &'a Hub) -> Self {
        Self { hub, frames: BytesMut::new(), count: 0 }
    }

    /// A message for all. It is not checked here.
    pub(crate) fn broadcast(&mut self, kind: Kind, payload: &[u8]) {
        self.count_in(payload);
        frame::put(kind.opcode(), payload, &mut self.frames);
        self.count += 1;
    }

    /// A message for one.
    pub(crate) fn send(&mut self, id: u32, kind: Kind, payload: &[u8]) -> Result<()> {
        self.flush();
        self.missed(self.hub.send_frame(id, frame::single(kind.opcode(), payload)))?;
        self.count_in(payload);
        Ok(())
    }

    /// Closes one client, or all of them with id 0.
    pub(crate) fn close(&mut self, id: u32, parting: Parting) -> Result<()> {
        self.flush();
        if id != 0 {
            return self.missed(self.hub.close(id, parting));
        }
        self.hub.close_all(&parting);
        Ok(())
    }

    /// Sends what there is.
    pub(crate) fn flush(&mut self) {
        if self.count > 0 {
            let count = std::mem::take(&mut self.count);
            self.hub.broadcast_frames(self.frames.split().freeze(), count);
        }
    }

    /// Counts what was for a client that is not there.
    fn missed(&self, done: Result<()>) -> Result<()> {
        if matches!(done, Err(Error::NoClient(_))) {
            Counters::add(&self.hub.counters.no_client, 1);
        }
        done
    }

    fn count_in(&self, payload: &[u8]) {
        Counters::add(&self.hub.counters.messages_in, 1);
        Counters::add(&self.hub.counters.bytes_in, payload.len() as u64);
    }
}

impl Drop for Batch<'_> {
    fn drop(&mut self) {
        self.flush();
    }
}
