//! Threads that make, call and drop closures, all at a time, for `JITCALL_STRESS_SECONDS` (2); and forks meanwhile.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use jitcall::closure::catch;
use jitcall::{CallbackInterface, Engine, SharedClosure};

use crate::alone::alone;
use crate::child::in_child;
use crate::kinds::{Any, of_int};
use crate::tiers::engines;
use crate::{function, interface};

const THREADS: usize = 8;

fn seconds() -> Duration {
    let text = std::env::var("JITCALL_STRESS_SECONDS").unwrap_or_else(|_| "2".into());
    Duration::from_secs_f64(text.parse().expect("JITCALL_STRESS_SECONDS is a number"))
}

/// One interface per way in: registers, and slots.
fn interfaces(engine: &Engine) -> [CallbackInterface; 2] {
    ["int f(int)", "int f(int, long, long, long, long, long, long, long)"].map(|text| interface(engine, text))
}

/// Makes a few closures of each kind, has them called, and drops them; some in the order in which they were made.
fn round([few, many]: &[CallbackInterface; 2], number: i32) {
    type Few = extern "C" fn(i32) -> i32;
    type Many = extern "C" fn(i32, i64, i64, i64, i64, i64, i64, i64) -> i32;
    let add = move |x: i32| x + number;
    let closures = of_int(few, add);
    let by_slots =
        many.typed(move |x: i32, _: i64, _: i64, _: i64, _: i64, _: i64, _: i64, i: i64| -> i32 { add(x) + i as i32 });
    let by_slots = by_slots.unwrap();
    for x in 0..3 {
        for (kind, closure) in &closures {
            // SAFETY: that is its type.
            let f: Few = unsafe { function(closure.as_ptr()) };
            assert_eq!(f(x), x + number, "{kind}");
        }
        // SAFETY: as above.
        let f: Many = unsafe { function(by_slots.as_ptr()) };
        assert_eq!(f(x, 1, 2, 3, 4, 5, 6, 7), x + number + 7);
    }
    if number % 2 == 0 {
        closures.into_iter().rev().for_each(drop);
    }
}

/// Runs `work` while threads make, call and drop closures of those interfaces. Each sends shared ones on to the next
/// thread, which calls and drops them.
fn amid_closures(interfaces: &[CallbackInterface; 2], work: impl FnOnce()) {
    /// Has the threads end, also where the work fails.
    struct Done<'a>(&'a AtomicBool);
    impl Drop for Done<'_> {
        fn drop(&mut self) {
            self.0.store(true, Ordering::Relaxed);
        }
    }
    let done = AtomicBool::new(false);
    let (senders, receivers): (Vec<_>, Vec<_>) = (0..THREADS).map(|_| mpsc::sync_channel::<(i32, _)>(4)).unzip();
    thread::scope(|scope| {
        for (thread, receiver) in receivers.into_iter().enumerate() {
            let (next, done) = (senders[(thread + 1) % THREADS].clone(), &done);
            scope.spawn(move || {
                let mut number = 0;
                // At least once, also where the work is done before this thread has had its turn.
                loop {
                    let mark = thread as i32 * 1000 + number % 1000;
                    round(interfaces, mark);
                    let closure = interfaces[0].typed_shared(move |x: i32| -> i32 { x ^ mark }).unwrap();
                    // Where the next one is behind, this one drops it.
                    let _ = next.try_send((mark, closure));
                    let _ = receiver.try_recv().map(check_received);
                    number += 1;
                    if done.load(Ordering::Relaxed) {
                        break;
                    }
                }
                assert!(jitcall::closure::take_failure().is_none());
            });
        }
        let _done = Done(&done);
        work();
    });
}

fn check_received((mark, closure): (i32, SharedClosure<'_>)) {
    // SAFETY: that is its type.
    let f: extern "C" fn(i32) -> i32 = unsafe { function(closure.as_ptr()) };
    assert_eq!(catch(|| f(0x5a5a)).unwrap(), 0x5a5a ^ mark);
}

#[test]
fn threads_make_call_and_drop() {
    for engine in engines() {
        amid_closures(&interfaces(&engine), || thread::sleep(seconds() / 2));
        engine.audit().unwrap();
    }
}

#[test]
fn processes_fork_meanwhile() {
    alone("stress::processes_fork_meanwhile", || {
        for engine in engines() {
            let interfaces = interfaces(&engine);
            let kept = of_int(&interfaces[0], |x| x * 3);
            let check_kept = |kept: &[(&str, Any<'_>)]| {
                for (kind, closure) in kept {
                    // SAFETY: that is its type.
                    let f: extern "C" fn(i32) -> i32 = unsafe { function(closure.as_ptr()) };
                    assert_eq!(f(7), 21, "{kind}");
                }
            };
            amid_closures(&interfaces, || {
                let start = Instant::now();
                let mut forks = 0;
                while forks < 5 || start.elapsed() < seconds() / 2 {
                    let (status, output) = in_child(|| {
                        check_kept(&kept);
                        (0..20).for_each(|number| round(&interfaces, number));
                        check_kept(&kept);
                    });
                    assert!(status.success(), "by {}: {status}, {output}", engine.tier());
                    check_kept(&kept);
                    forks += 1;
                }
            });
        }
    });
}
