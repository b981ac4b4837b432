//! Taking times of two ways in turns, and counting what they allocate.

use std::ffi::{c_long, c_void};
use std::time::Duration;

/// Rounds of each way.
const ROUNDS: usize = 41;

/// How long a round takes, about.
const ROUND: Duration = Duration::from_millis(4);

/// Runs something so many times.
pub(crate) type Way = Box<dyn Fn(u64)>;

/// Nanoseconds of a run.
pub(crate) struct Times {
    pub(crate) by_hand: f64,
    pub(crate) ours: f64,
    /// The median of the rounds' ratios.
    pub(crate) ratio: f64,
}

/// Measures both: in each round one after the other, by turns the one and the other first, so that what slows the machine
/// for a while slows both.
pub(crate) fn compare(by_hand: &Way, ours: &Way) -> Times {
    let runs = runs_in(by_hand, ROUND);
    let mut rounds = Vec::with_capacity(ROUNDS);
    for round in 0..ROUNDS {
        rounds.push(if round % 2 == 0 {
            let first = nanoseconds(by_hand, runs);
            [first, nanoseconds(ours, runs)]
        } else {
            let first = nanoseconds(ours, runs);
            [nanoseconds(by_hand, runs), first]
        });
    }
    let of = |pick: fn(&[f64; 2]) -> f64| median(rounds.iter().map(pick).collect());
    Times { by_hand: of(|[hand, _]| *hand), ours: of(|[_, ours]| *ours), ratio: of(|[hand, ours]| ours / hand) }
}

/// Allocations of a run that were counted, where the counter is loaded.
pub(crate) fn allocations(way: &Way) -> f64 {
    const RUNS: u64 = 1000;
    let count = counter().expect("the counter is loaded");
    way(10);
    let before = count();
    way(RUNS);
    (count() - before) as f64 / RUNS as f64
}

/// The counter's function, where it was loaded with the process.
pub(crate) fn counter() -> Option<extern "C" fn() -> c_long> {
    // SAFETY: the name ends.
    let address = unsafe { libc::dlsym(libc::RTLD_DEFAULT, c"allocations_of_thread".as_ptr()) };
    // SAFETY: that is the function's type.
    (!address.is_null()).then(|| unsafe { std::mem::transmute::<*mut c_void, extern "C" fn() -> c_long>(address) })
}

fn nanoseconds(way: &Way, runs: u64) -> f64 {
    // Caches and branch predictors know the way before it is timed.
    way(runs / 16);
    let before = thread_time();
    way(runs);
    (thread_time() - before).as_secs_f64() * 1e9 / runs as f64
}

/// How many runs take that long.
fn runs_in(way: &Way, wanted: Duration) -> u64 {
    let mut runs = 1;
    loop {
        let before = thread_time();
        way(runs);
        let taken = thread_time() - before;
        if taken >= wanted / 4 {
            return (runs as f64 * wanted.as_secs_f64() / taken.as_secs_f64()) as u64 + 1;
        }
        runs *= 2;
    }
}

/// How long this thread has run. What other programs take of the processor meanwhile does not count.
fn thread_time() -> Duration {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the clock is one that every thread has, and the structure is its own.
    unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut now) };
    Duration::new(now.tv_sec as u64, now.tv_nsec as u32)
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
