//! Threads: callbacks on ones that Rust has never seen.

use std::cell::{Cell, RefCell};
use std::fs::File;
use std::io::{Read, Seek};
use std::os::fd::{AsRawFd, FromRawFd};
use std::panic::resume_unwind;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use jitcall::closure::{Policy, catch, notifier, serve, serve_for, take_failure};
use jitcall::{CallbackInterface, Closure, Engine, Function, Value};

use crate::kinds::{Any, of_int};
use crate::tiers::{engines, find};
use crate::{c, failure_of, function, interface};

type IntFunction = extern "C" fn(i32) -> i32;

const ELSEWHERE: &str = "callback f: called on another thread than the one that made it";
const ENDED: &str = "callback f: the thread that made it has ended";

fn on_threads(engine: &Engine) -> Function {
    find(engine, c::library(), c::ON_THREADS)
}

/// Calls on a thread of C's own, and waits for that with `wait` meanwhile.
fn call_on_a_thread(engine: &Engine, closure: &Any<'_>, count: i32, wait: impl FnOnce()) -> i32 {
    let (start, finish) = (find(engine, c::library(), c::START), find(engine, c::library(), c::FINISH));
    // SAFETY: that is how they are declared.
    unsafe {
        let job = start.call(&[closure.value(), 0.into(), count.into()]).unwrap();
        wait();
        finish.typed::<(*mut std::ffi::c_void,), i32>().unwrap().call((job.as_pointer().unwrap(),))
    }
}

#[test]
fn closures_stay_at_home() {
    for engine in engines() {
        let runs = AtomicU32::new(0);
        let body = |x: i32| {
            runs.fetch_add(1, Ordering::Relaxed);
            x
        };
        let interface = interface(&engine, "int f(int)").with_default(&(-3).into()).unwrap();
        for (kind, closure) in of_int(&interface, body).into_iter().filter(|(kind, _)| !kind.ends_with("shared")) {
            let mut sums = [0; 2];
            let arguments = [closure.value(), 2.into(), 2.into(), (&mut sums).into()];
            // SAFETY: that is how it is declared.
            let error = unsafe { on_threads(&engine).call(&arguments) }.unwrap_err();
            let expected = format!("on_threads: {ELSEWHERE}");
            assert_eq!((error.to_string(), sums), (expected, [-6; 2]), "{kind} by {}", engine.tier());
            // The failure is gone with that.
            // SAFETY: that is its type.
            let f: IntFunction = unsafe { function(closure.as_ptr()) };
            assert_eq!(catch(|| f(5)).unwrap(), 5, "{kind} by {}", engine.tier());
        }
        assert_eq!(runs.into_inner(), 6);
    }
}

#[test]
fn shared_closures_run_anywhere() {
    for engine in engines() {
        let (runs, caller) = (AtomicU32::new(0), thread::current().id());
        let body = |x: i32| {
            assert_ne!(thread::current().id(), caller);
            runs.fetch_add(1, Ordering::Relaxed);
            x
        };
        let closures = of_int(&interface(&engine, "int f(int)"), body);
        for (kind, closure) in closures.into_iter().filter(|(kind, _)| kind.ends_with("shared")) {
            runs.store(0, Ordering::Relaxed);
            let mut sums = [0; 8];
            let arguments = [closure.value(), 8.into(), 500.into(), (&mut sums).into()];
            // SAFETY: that is how it is declared.
            unsafe { on_threads(&engine).call(&arguments) }.unwrap();
            let case = format!("{kind} by {}", engine.tier());
            assert_eq!(runs.load(Ordering::Relaxed), 4000, "{case}");
            for (thread, sum) in (0i32..).zip(sums) {
                assert_eq!(sum, (500 * thread..500 * (thread + 1)).sum(), "{case}");
            }
        }
    }
}

fn handed_over(engine: &Engine) -> CallbackInterface {
    interface(engine, "int f(int)").with_default(&(-9).into()).unwrap().with_policy(Policy::HandOver)
}

#[test]
fn callbacks_are_handed_over() {
    for engine in engines() {
        let runs = AtomicU32::new(0);
        let body = |x: i32| {
            runs.fetch_add(1, Ordering::Relaxed);
            x + 1
        };
        let home = thread::current().id();
        let body_at_home = move |x| {
            assert_eq!(thread::current().id(), home);
            x
        };
        for (kind, closure) in of_int(&handed_over(&engine), move |x| body(body_at_home(x))) {
            if kind.ends_with("shared") {
                continue;
            }
            runs.store(0, Ordering::Relaxed);
            let mut served = 0;
            let sum = call_on_a_thread(&engine, &closure, 4, || {
                while served < 4 {
                    served += serve_for(Duration::from_millis(1));
                }
            });
            let counts = (sum, served, runs.load(Ordering::Relaxed));
            assert_eq!(counts, (1 + 2 + 3 + 4, 4, 4), "{kind} by {}", engine.tier());
            assert!(take_failure().is_none());
        }
    }
}

/// Waits until something can be read from the descriptor.
fn poll(descriptor: impl AsRawFd) {
    let mut poll = libc::pollfd { fd: descriptor.as_raw_fd(), events: libc::POLLIN, revents: 0 };
    // SAFETY: there is one entry.
    assert_eq!(unsafe { libc::poll(&raw mut poll, 1, 60_000) }, 1, "nothing arrives");
}

fn is_readable(descriptor: impl AsRawFd) -> bool {
    let mut poll = libc::pollfd { fd: descriptor.as_raw_fd(), events: libc::POLLIN, revents: 0 };
    // SAFETY: there is one entry.
    unsafe { libc::poll(&raw mut poll, 1, 0) == 1 }
}

#[test]
fn event_loops_are_told() {
    for engine in engines() {
        let closure = Any::Home(handed_over(&engine).typed_mut(|x: i32| -> i32 { x + 10 }).unwrap());
        let descriptor = notifier().unwrap();
        assert_eq!(notifier().unwrap().as_raw_fd(), descriptor.as_raw_fd());
        assert!(!is_readable(descriptor));
        for _ in 0..3 {
            let given = call_on_a_thread(&engine, &closure, 1, || {
                poll(descriptor);
                assert_eq!(serve(), 1);
            });
            assert_eq!(given, 10, "by {}", engine.tier());
            assert!(!is_readable(descriptor));
            assert_eq!(serve(), 0);
        }
    }
}

/// A handler that fails is the home thread's failure, and the threads that wait get the default.
#[test]
fn handed_over_callbacks_fail_at_home() {
    for engine in engines() {
        let closure = handed_over(&engine).typed(|_: i32| -> i32 { resume_unwind(Box::new("no")) }).unwrap();
        let closure = Any::Home(closure);
        let mut sum = 0;
        let text = failure_of(|| {
            sum = call_on_a_thread(&engine, &closure, 3, || {
                let mut served = 0;
                while served < 3 {
                    served += serve_for(Duration::from_millis(1));
                }
            });
        });
        assert_eq!((text.as_str(), sum), ("callback f: panicked: no", -27), "by {}", engine.tier());
    }
}

#[test]
fn serving_takes_its_time() {
    let start = Instant::now();
    assert_eq!(serve_for(Duration::from_millis(30)), 0);
    assert!(start.elapsed() >= Duration::from_millis(30));
}

/// Leaves a closure of a thread that has ended behind.
fn orphan(interface: &CallbackInterface) -> IntFunction {
    let make = || interface.typed(|x: i32| -> i32 { x + 1 }).unwrap().leak().expose_provenance();
    let pointer = thread::scope(|scope| scope.spawn(make).join().unwrap());
    // SAFETY: that is its type, and it is never freed.
    unsafe { function(std::ptr::with_exposed_provenance(pointer)) }
}

/// Refusals may be told in a way of the owner's: nothing is parked then.
#[test]
fn refusals_are_told_otherwise() {
    static REFUSED: AtomicU32 = AtomicU32::new(0);
    fn refused() {
        REFUSED.fetch_add(1, Ordering::Relaxed);
    }
    for engine in engines() {
        let runs = AtomicU32::new(0);
        let body = |x: i32| {
            runs.fetch_add(1, Ordering::Relaxed);
            x
        };
        let interface = interface(&engine, "int f(int)").with_refusal(refused).with_default(&(-3).into()).unwrap();
        for (kind, closure) in of_int(&interface, body).into_iter().filter(|(kind, _)| !kind.ends_with("shared")) {
            REFUSED.store(0, Ordering::Relaxed);
            runs.store(0, Ordering::Relaxed);
            let mut sums = [0; 2];
            let arguments = [closure.value(), 2.into(), 2.into(), (&mut sums).into()];
            // SAFETY: that is how it is declared.
            unsafe { on_threads(&engine).call(&arguments) }.unwrap();
            let counts = [&REFUSED, &runs].map(|count| count.load(Ordering::Relaxed));
            assert_eq!((counts, sums), ([4, 0], [-6; 2]), "{kind} by {}", engine.tier());
            // SAFETY: that is its type.
            let f: IntFunction = unsafe { function(closure.as_ptr()) };
            assert_eq!(catch(|| f(5)).unwrap(), 5, "{kind} by {}", engine.tier());
        }
    }
}

/// Whoever calls a closure of a thread that has ended is told, also where another thread has come in its place.
#[test]
fn threads_that_have_ended_serve_no_more() {
    for engine in engines() {
        let interface = interface(&engine, "int f(int)").with_default(&(-9).into()).unwrap();
        for policy in [Policy::HomeOnly, Policy::HandOver] {
            let f = orphan(&interface.with_policy(policy));
            let check = || {
                let mut given = 0;
                assert_eq!(failure_of(|| given = f(1)), ENDED, "{policy:?} by {}", engine.tier());
                assert_eq!(given, -9);
                assert!(take_failure().is_none());
            };
            check();
            for _ in 0..4 {
                thread::scope(|scope| scope.spawn(check).join().unwrap());
            }
        }
    }
}

/// A thread that ends gives up what is waiting for it.
#[test]
fn threads_that_end_give_up_what_waits() {
    for engine in engines() {
        let (send, receive) = mpsc::channel();
        let interface = handed_over(&engine);
        let home = thread::spawn(move || {
            let descriptor = notifier().unwrap();
            let pointer = interface.typed(|x: i32| -> i32 { x }).unwrap().leak();
            send.send(pointer.expose_provenance()).unwrap();
            poll(descriptor);
        });
        let pointer = receive.recv().unwrap();
        // SAFETY: that is its type, and it is never freed.
        let f: IntFunction = unsafe { function(std::ptr::with_exposed_provenance(pointer)) };
        let mut given = 0;
        assert_eq!(failure_of(|| given = f(1)), ENDED, "by {}", engine.tier());
        assert_eq!(given, -9);
        home.join().unwrap();
    }
}

/// What is written to standard error meanwhile, by whatever thread.
fn standard_error(work: impl FnOnce()) -> String {
    // SAFETY: the file is new; the descriptor of standard error is put back.
    let mut file = unsafe {
        let file = libc::memfd_create(c"stderr".as_ptr(), libc::MFD_CLOEXEC);
        let usual = libc::dup(libc::STDERR_FILENO);
        assert!(file >= 0 && usual >= 0);
        libc::dup2(file, libc::STDERR_FILENO);
        work();
        libc::dup2(usual, libc::STDERR_FILENO);
        libc::close(usual);
        File::from_raw_fd(file)
    };
    let mut text = String::new();
    file.rewind().unwrap();
    file.read_to_string(&mut text).unwrap();
    text
}

/// Nobody takes a failure on a thread that only C knows, so that it is written out in the end.
#[test]
fn failures_that_nobody_can_take_are_written_out() {
    let mut text = String::new();
    for engine in engines() {
        let interface = interface(&engine, "int lost(int)").with_default(&(-4).into()).unwrap();
        let closure = interface.typed_shared(|x: i32| -> i32 { resume_unwind(Box::new(format!("on {x}"))) }).unwrap();
        let closure = Any::Shared(closure);
        let (mut sum, mut own) = (0, None);
        text += &standard_error(|| {
            sum = call_on_a_thread(&engine, &closure, 2, || ());
            own = take_failure();
        });
        assert_eq!((sum, own.is_none()), (-8, true), "by {}", engine.tier());
    }
    let line = "jitcall: a thread ended, and no call on it reported this: callback lost: panicked: on 0\n";
    assert_eq!(text.matches(line).count(), engines().len(), "{text}");
}

/// A handler that serves may not be entered from inside itself so either, where it has its variables to itself.
#[test]
fn exclusive_handlers_are_not_handed_over_into_themselves() {
    for engine in engines() {
        let (own, runs) = (Cell::new(None), Cell::new(0));
        let closure = handed_over(&engine).typed_mut(|x: i32| -> i32 {
            runs.set(runs.get() + 1);
            let own: &Any<'_> = own.take().expect("it runs once");
            call_on_a_thread(&engine, own, 1, || while serve_for(Duration::from_millis(1)) == 0 {}) + x
        });
        let closure = Any::Home(closure.unwrap());
        own.set(Some(&closure));
        // SAFETY: that is its type.
        let f: IntFunction = unsafe { function(closure.as_ptr()) };
        let mut given = 0;
        let expected = "callback f: called while it runs, though its handler is FnMut";
        assert_eq!(failure_of(|| given = f(100)), expected, "by {}", engine.tier());
        assert_eq!((given, runs.get()), (91, 1));
    }
}

thread_local! {
    /// What is dropped when the thread ends, before or after what the engine keeps for the thread.
    static KEPT: RefCell<Option<Kept>> = const { RefCell::new(None) };
}

/// A closure that is called when it is dropped; the results are sent.
struct Kept(Closure<'static>, mpsc::Sender<i32>);

impl Drop for Kept {
    fn drop(&mut self) {
        // SAFETY: that is its type.
        let f: IntFunction = unsafe { function(self.0.as_ptr()) };
        self.1.send(f(1)).unwrap();
        // One more is made, or it is an error.
        drop(Closure::typed(self.0.signature(), |x: i32| -> i32 { x }));
    }
}

/// Closures may outlive all else on their thread: then they give their default.
#[test]
fn closures_may_go_as_their_thread_ends() {
    for engine in engines() {
        for kept_first in [false, true] {
            let (send, receive) = mpsc::channel();
            let captured = Arc::new(());
            let (own, interface) = (Arc::clone(&captured), handed_over(&engine));
            let work = move || {
                if kept_first {
                    KEPT.with(|_| ());
                }
                let closure = interface.typed(move |x: i32| -> i32 { x + Arc::strong_count(&own) as i32 }).unwrap();
                KEPT.set(Some(Kept(closure, send)));
            };
            thread::spawn(work).join().unwrap();
            let given = receive.recv().unwrap();
            assert!(given == 3 || given == -9, "{given}");
            assert_eq!(Arc::strong_count(&captured), 1, "kept first: {kept_first}, by {}", engine.tier());
        }
    }
}

/// Shared closures go where they are sent, and are dropped there.
#[test]
fn shared_closures_are_dropped_wherever_they_go() {
    for engine in engines() {
        let captured = Arc::new(());
        let interface = interface(&engine, "int f(int)");
        thread::scope(|scope| {
            for _ in 0..4 {
                let own = Arc::clone(&captured);
                let closure = interface.values_shared(move |_| Ok((Arc::strong_count(&own) as i32).into())).unwrap();
                scope.spawn(move || {
                    // SAFETY: that is its type.
                    let f: IntFunction = unsafe { function(closure.as_ptr()) };
                    assert!(catch(|| f(1)).is_ok_and(|count| (2..=5).contains(&count)));
                    drop(closure);
                });
            }
        });
        assert_eq!(Arc::strong_count(&captured), 1, "by {}", engine.tier());
    }
}

/// The call of a function of values that a handler makes on another thread reports that thread's failures alone.
#[test]
fn calls_on_other_threads_report_there() {
    for engine in engines() {
        let call_back = find(&engine, c::library(), c::CALL_BACK);
        let interface = interface(&engine, "int f(int)");
        let bad = interface.values_shared(|_| Err("no".into())).unwrap();
        let outer = interface.values(|_| {
            // SAFETY: that is how it is declared.
            let call = || unsafe { call_back.call(&[bad.value(), 1.into()]) }.unwrap_err().to_string();
            let text = thread::scope(|scope| scope.spawn(call).join().unwrap());
            assert_eq!(text, "call_back: callback f: no");
            Ok(Value::I32(8))
        });
        let outer = outer.unwrap();
        // SAFETY: as above.
        assert_eq!(unsafe { call_back.call(&[outer.value(), 1.into()]) }.unwrap(), Value::I32(8));
    }
}
