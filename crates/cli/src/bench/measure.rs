//! Taking times: all ways in turn, in every round another layout, and the median of the rounds.

use std::time::Duration;

use super::engines::{LAYOUTS, Runner, Way};

/// How long, and how often, each way is measured.
#[derive(Clone, Copy)]
pub(crate) struct Effort {
    pub(crate) rounds: usize,
    pub(crate) round: Duration,
}

/// For a measurement that counts: as many rounds with each layout.
pub(crate) const FULL: Effort = Effort { rounds: 10 * LAYOUTS, round: Duration::from_millis(2) };

/// For a first impression.
pub(crate) const QUICK: Effort = Effort { rounds: 4 * LAYOUTS, round: Duration::from_micros(200) };

/// Nanoseconds per call of each way: the median over the rounds.
///
/// Ways take turns within a round, another one first in each, so that what slows the machine for a while slows all of
/// them. A loop this short takes half a nanosecond more or less according to where it lies, so no layout may stand for
/// all.
pub(crate) fn measure(runners: &[Runner], effort: Effort) -> Vec<(Way, f64)> {
    let calls: Vec<u64> = runners.iter().map(|runner| calls_in(runner, effort.round)).collect();
    let mut times = vec![Vec::with_capacity(effort.rounds); runners.len()];
    for round in 0..effort.rounds {
        for turn in 0..runners.len() {
            let way = (round + turn) % runners.len();
            let (runner, layout, calls) = (&runners[way], round % LAYOUTS, calls[way]);
            // Caches and branch predictors know the way before it is timed.
            runner.run(layout, calls / 16);
            times[way].push(time(|| runner.run(layout, calls)).as_secs_f64() * 1e9 / calls as f64);
        }
    }
    runners.iter().zip(times).map(|(runner, times)| (runner.way, median(times))).collect()
}

/// How many calls take that long.
fn calls_in(runner: &Runner, wanted: Duration) -> u64 {
    let mut calls = 1000;
    loop {
        let taken = time(|| (0..LAYOUTS).for_each(|layout| runner.run(layout, calls))) / LAYOUTS as u32;
        if taken >= wanted / 4 {
            return (calls as f64 * wanted.as_secs_f64() / taken.as_secs_f64()) as u64 + 1;
        }
        calls *= 2;
    }
}

/// How long this thread runs for that. What other programs take of the processor meanwhile does not count.
fn time(run: impl FnOnce()) -> Duration {
    let started = thread_time();
    run();
    thread_time().saturating_sub(started)
}

fn thread_time() -> Duration {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the clock is one that every thread has, and the structure is its own.
    unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut now) };
    Duration::new(now.tv_sec as u64, now.tv_nsec as u32)
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    if values.len().is_multiple_of(2) { (values[middle - 1] + values[middle]) / 2.0 } else { values[middle] }
}

#[cfg(test)]
mod tests {
    use super::median;

    #[test]
    fn medians() {
        for (values, expected) in [(vec![3.0], 3.0), (vec![4.0, 1.0], 2.5), (vec![9.0, 1.0, 2.0], 2.0)] {
            assert_eq!(median(values), expected);
        }
    }
}
