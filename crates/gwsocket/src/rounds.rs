//! When clients are woken for what has been broadcast: at once, or, where that would be too much work, in rounds.
//!
//! A message to a client costs a system call, a few microseconds in the kernel, and carries several messages at the same
//! price. As long as the processor has time, each message is sent at once. Where sending each by itself would take most of a
//! processor's time (messages come faster than one thread could pass them on to all clients), clients are woken in rounds
//! that take a fifth of it, at most [`Config::coalesce`](crate::Config::coalesce) apart. What comes in between goes with the
//! next round.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

/// Over what time the load is measured.
const WINDOW: Duration = Duration::from_millis(25);

/// The share of a processor that sending at once may take before rounds begin, and below which they end.
const BEGIN: f64 = 0.75;
const END: f64 = 0.6;

/// The share of a processor that rounds take.
const SHARE: f64 = 0.2;

/// What waits for a round at most, in bytes.
const MOST_WAITING: usize = 128 * 1024;

/// What a system call that sends costs, in nanoseconds: the first guess, and the bounds of what is measured (beyond them,
/// it was not the call that took the time).
const GUESS: u32 = 4_000;
const LEAST: u64 = 500;
const MOST: u64 = 20_000;

struct State {
    /// The last time that clients were woken.
    last: Instant,
    window: Instant,
    /// Broadcasts in the window.
    broadcasts: u32,
    /// The time between rounds, while there are rounds.
    interval: Option<Duration>,
    waiting: usize,
}

pub(crate) struct Rounds {
    state: Mutex<State>,
    due: Notify,
    /// Nanoseconds of a call that sends, a moving average.
    cost: AtomicU32,
    longest: Duration,
}

impl Rounds {
    pub(crate) fn new(longest: Duration) -> Self {
        let now = Instant::now();
        let state = State { last: now, window: now, broadcasts: 0, interval: None, waiting: 0 };
        Self { state: Mutex::new(state), due: Notify::new(), cost: AtomicU32::new(GUESS), longest }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// Something has been broadcast: whether clients are to be woken at once.
    pub(crate) fn broadcast(&self, bytes: usize, clients: usize, now: Instant) -> bool {
        let mut state = self.lock();
        state.broadcasts += 1;
        let elapsed = now.duration_since(state.window);
        if elapsed >= WINDOW {
            let round = Duration::from_nanos(u64::from(self.cost.load(Ordering::Relaxed))) * clients as u32;
            let load = f64::from(state.broadcasts) * round.as_secs_f64() / elapsed.as_secs_f64();
            let begins = load > if state.interval.is_some() { END } else { BEGIN };
            state.interval = begins.then(|| round.div_f64(SHARE).min(self.longest));
            state.window = now;
            state.broadcasts = 0;
        }
        let early = state.interval.is_some_and(|interval| now.duration_since(state.last) < interval);
        if early && state.waiting + bytes <= MOST_WAITING {
            if state.waiting == 0 {
                self.due.notify_one();
            }
            state.waiting += bytes;
            return false;
        }
        state.last = now;
        state.waiting = 0;
        true
    }

    /// Waits until clients are to be woken for what waits.
    pub(crate) async fn next(&self) {
        loop {
            self.due.notified().await;
            let due = {
                let state = self.lock();
                state.last + state.interval.unwrap_or_default()
            };
            tokio::time::sleep_until(due.into()).await;
            let mut state = self.lock();
            if std::mem::take(&mut state.waiting) > 0 {
                state.last = Instant::now();
                return;
            }
        }
    }

    /// What a call that sends has cost.
    pub(crate) fn measured(&self, time: Duration) {
        let time = (time.as_nanos() as u64).clamp(LEAST, MOST) as u32;
        let cost = self.cost.load(Ordering::Relaxed);
        self.cost.store(cost - cost / 64 + time / 64, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of broadcasts at even intervals, how many wake the clients at once.
    fn woken(clients: usize, interval: Duration, longest: Duration) -> usize {
        let rounds = Rounds::new(longest);
        let start = Instant::now() + WINDOW;
        // Rounds that would come between broadcasts are left to the broadcast after them.
        (0..1000).filter(|number| rounds.broadcast(100, clients, start + interval * *number)).count()
    }

    #[test]
    fn at_once_until_it_is_too_much() {
        let longest = Duration::from_millis(20);
        for (clients, interval, expected) in [
            // Ten clients cost 40 µs, a thousand 4 ms.
            (10, Duration::from_millis(1), 1000..=1000),
            (1000, Duration::from_millis(20), 1000..=1000),
            (1000, Duration::from_millis(6), 1000..=1000),
            // A round of 4 ms every 20 ms.
            (1000, Duration::from_millis(2), 100..=130),
            (100, Duration::from_micros(200), 100..=250),
        ] {
            let woken = woken(clients, interval, longest);
            assert!(
                expected.contains(&woken),
                "{clients} clients, {interval:?}: {woken} of 1000, expected {expected:?}"
            );
        }
    }

    #[test]
    fn never_where_it_is_switched_off() {
        assert_eq!(woken(1000, Duration::from_millis(1), Duration::ZERO), 1000);
    }

    #[test]
    fn much_does_not_wait() {
        let rounds = Rounds::new(Duration::from_secs(1));
        let start = Instant::now();
        let at = |n: u32| start + Duration::from_millis(2) * n;
        let woken = (0..1000).filter(|n| rounds.broadcast(50 * 1024, 1000, at(*n))).count();
        // Two wait, the third goes with them.
        assert!((300..400).contains(&woken), "{woken}");
    }
}
