//! q functions as C function pointers: ranks, nesting, failures, identity, threads.

mod ffi;
mod support;

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use ffi::*;
use support::*;

/// What C passes to a callback of rank 10, as q has it.
fn ten() -> Vec<Value> {
    vec![int(1), float(2.5), long(3), real(4.5), int(5), float(6.5), long(7), real(8.5), int(9), float(10.5)]
}

const TEN: &str = "ifjeifjeif";

thread_local! {
    static GIVEN: RefCell<Vec<Value>> = const { RefCell::new(Vec::new()) };
}

/// A function of that rank that keeps what it is given, and gives a float.
fn keeping(rank: usize, result: f64) -> Value {
    lambda(rank, move |arguments| {
        GIVEN.set(arguments.iter().map(|value| (*value).clone()).collect());
        Ok(float(result))
    })
}

#[test]
fn ranks() {
    ffi(|ffi| {
        for rank in 0..=10 {
            // More than eight arguments come as one list.
            let function = keeping(if rank > 8 { 1 } else { rank }, 0.5 + rank as f64);
            let callback = callback(&function, &TEN[..rank], 'f');
            for _ in 0..3 {
                let result = ffi.run("ranks", "ki", 'f', &[&callback, &int(rank as i32)]);
                assert_eq!(result, Ok(float(0.5 + rank as f64)), "{rank}");
                let expected: Vec<Value> = ten().into_iter().take(rank).collect();
                let expected = if rank > 8 { vec![list_of(expected)] } else { expected };
                assert_eq!(GIVEN.take(), expected, "{rank}");
            }
            let (callback, rank) = (&callback, int(rank as i32));
            ffi.q.exact(|_| {
                for _ in 0..3 {
                    ffi.run("ranks", "ki", 'f', &[callback, &rank]).expect("a result");
                    GIVEN.take();
                }
            });
        }
    });
}

#[test]
fn a_function_of_another_rank_fails_or_is_projected() {
    ffi(|ffi| {
        let two = lambda(2, |_| Ok(int(1)));
        // q makes a projection of it, which is no int.
        let outcome = ffi.run("apply_int", "ki", 'i', &[&callback(&two, "i", 'i'), &int(1)]);
        assert_eq!(outcome, error("type: callback: result (\"i\"): 104h"));
        let outcome = ffi.run("ranks", "ki", 'f', &[&callback(&two, "ifj", 'f'), &int(3)]);
        assert_eq!(outcome, error("rank"));
    });
}

#[test]
fn projections() {
    ffi(|ffi| {
        let add = lambda(2, |arguments| Ok(int(arguments[0].atom::<i32>() + arguments[1].atom::<i32>())));
        let projected = projection(&add, &[&int(40)]);
        let function = callback(&projected, "i", 'i');
        let arguments = [&function, &int(2)];
        assert_eq!(ffi.twice(|| ffi.run("apply_int", "ki", 'i', &arguments)), Ok(int(42)));
        let with_hole = projection(&add, &[&hole(), &int(30)]);
        let outcome = ffi.run("apply_int", "ki", 'i', &[&callback(&with_hole, "i", 'i'), &int(3)]);
        assert_eq!(outcome, Ok(int(33)));
    });
}

#[test]
fn callbacks_that_call_c_themselves() {
    ffi(|ffi| {
        // A projection of a function that calls C itself: q, C, q, C.
        let inner = callback(&lambda(1, |arguments| Ok(int(arguments[0].atom::<i32>() * 2))), "i", 'i');
        let bound = ffi.bound("apply_int", "ki", 'i');
        let (inside, q) = (bound.clone(), ffi.q as *const Q as usize);
        let outer = lambda(1, move |arguments| {
            // SAFETY: q outlives the call.
            let q = unsafe { &*(q as *const Q) };
            q.apply(&inside, &[&ended(&[&inner, arguments[0]])])
        });
        let outer = callback(&outer, "i", 'i');
        let call = || ffi.list_call(&bound, &[&outer, &int(21)]);
        assert_eq!(ffi.twice(call), Ok(int(42)));
    });
}

#[test]
fn recursion() {
    ffi(|ffi| {
        let bound = ffi.bound("apply_int", "ki", 'i');
        let function: Rc<RefCell<Option<Value>>> = Rc::default();
        let (inside, q, same) = (bound.clone(), ffi.q as *const Q as usize, function.clone());
        let sum = lambda(1, move |arguments| {
            let n = arguments[0].atom::<i32>();
            if n == 0 {
                return Ok(int(0));
            }
            let again = callback(same.borrow().as_ref().expect("the function"), "i", 'i');
            // SAFETY: q outlives the call.
            let rest = unsafe { &*(q as *const Q) }.apply(&inside, &[&ended(&[&again, &int(n - 1)])])?;
            // What it was given is its own, whatever ran meanwhile.
            assert_eq!(arguments[0].atom::<i32>(), n);
            Ok(int(n + rest.atom::<i32>()))
        });
        function.replace(Some(sum.clone()));
        let call = || ffi.list_call(&bound, &[&callback(&sum, "i", 'i'), &int(20)]);
        assert_eq!(call(), Ok(int(210)));
        assert_eq!(call(), Ok(int(210)));
        function.replace(None);
    });
}

/// A function that fails when it is given `bad`, and counts its runs.
fn failing(bad: i32, runs: &Rc<Cell<i32>>) -> Value {
    let runs = runs.clone();
    lambda(1, move |arguments| {
        runs.set(runs.get() + 1);
        let number = arguments[0].atom::<i32>();
        if number == bad { Err("sorry".to_owned()) } else { Ok(int(number * 10)) }
    })
}

#[test]
fn a_failure_is_signalled_when_c_is_done() {
    ffi(|ffi| {
        let runs = Rc::new(Cell::new(0));
        let function = callback(&failing(1, &runs), "i", 'i');
        let twice = ffi.bound("apply_twice", "ki", 'i');
        let own_rank = ffi.own_rank("apply_twice", "ki", 'i');
        for call in [
            &|| ffi.list_call(&twice, &[&function, &int(1)]) as Outcome,
            &|| ffi.q.apply(&own_rank, &[&function, &int(1)]),
            &|| ffi.inferred("apply_twice", 'i', &[&function, &int(1)]),
        ] as [&dyn Fn() -> Outcome; 3]
        {
            runs.set(0);
            let before = calls();
            assert_eq!(call(), error("sorry"));
            // C went on to its end, and q was not asked again.
            assert_eq!((runs.get(), calls() - before), (1, 2));
            ffi.q.exact(|_| assert_eq!(call(), error("sorry")));
        }
        // The second run fails: the first one's result was given to C.
        assert_eq!(ffi.list_call(&twice, &[&function, &int(0)]), error("sorry"));
        // Nothing stays of it.
        assert_eq!(ffi.list_call(&twice, &[&function, &int(2)]), Ok(int(50)));
    });
}

#[test]
fn a_failure_of_a_nested_call_is_the_inner_ones() {
    ffi(|ffi| {
        let runs = Rc::new(Cell::new(0));
        let inner = callback(&failing(5, &runs), "i", 'i');
        let bound = ffi.bound("apply_int", "ki", 'i');
        let (inside, q) = (bound.clone(), ffi.q as *const Q as usize);
        let outer = lambda(1, move |arguments| {
            // SAFETY: q outlives the call.
            let q = unsafe { &*(q as *const Q) };
            let caught = q.apply(&inside, &[&ended(&[&inner, arguments[0]])]);
            assert_eq!(caught, error("sorry"));
            // The outer function goes on, as after a protected evaluation in q.
            q.apply(&inside, &[&ended(&[&inner, &int(1)])])
        });
        let outer = callback(&outer, "i", 'i');
        assert_eq!(ffi.twice(|| ffi.list_call(&bound, &[&outer, &int(5)])), Ok(int(10)));
    });
}

#[test]
fn failures_of_void_functions() {
    ffi(|ffi| {
        let runs = Rc::new(Cell::new(0));
        let function = callback(&failing(1, &runs), "i", ' ');
        assert_eq!(ffi.twice(|| ffi.run("nothing_for", "k", ' ', &[&function])), error("sorry"));
        let without_result = list![failing(2, &runs), string("i")];
        assert_eq!(ffi.twice(|| ffi.run("nothing_for", "k", ' ', &[&without_result])), Ok(null()));
    });
}

#[test]
fn one_pointer_for_a_function_and_letters() {
    ffi(|ffi| {
        let function = lambda(1, |arguments| Ok(arguments[0].clone()));
        let keep = |callback: &Value| ffi.run("keep", "k", 'i', &[callback]);
        let pointer = |callback: &Value| ffi.q.apply(&ffi.callback, &[callback]).expect("a pointer");
        let first = callback(&function, "i", 'i');
        keep(&first).expect("a result");
        assert_eq!(keep(&callback(&function, "i", 'i')), Ok(int(1)), "the same function and letters");
        assert_eq!(keep(&list![function.clone(), char(b'i'), string("i")]), Ok(int(1)), "letters written otherwise");
        assert_eq!(keep(&pointer(&first)), Ok(int(1)), "the pointer itself");
        assert_eq!(keep(&callback(&function, "j", 'i')), Ok(int(0)), "other letters");
        assert_eq!(keep(&callback(&function, "i", 'j')), Ok(int(0)), "another result");
        let same_text = lambda(1, |arguments| Ok(arguments[0].clone()));
        assert_eq!(keep(&callback(&same_text, "i", 'j')), Ok(int(0)), "another function");
        // A thousand calls make nothing.
        ffi.q.exact(|_| {
            for _ in 0..1000 {
                keep(&callback(&function, "i", 'i')).expect("a result");
            }
        });
    });
}

#[test]
fn a_kept_pointer_outlives_its_function_in_q() {
    ffi(|ffi| {
        // Redefinition: the name in q gets another function; C still calls the one that it was given.
        let old = callback(&lambda(1, |_| Ok(int(1))), "i", 'i');
        ffi.run("keep", "k", 'i', &[&old]).expect("a result");
        drop(old);
        let new = callback(&lambda(1, |_| Ok(int(2))), "i", 'i');
        assert_eq!(ffi.run("call_kept", "i", 'i', &[&int(0)]), Ok(int(1)));
        ffi.run("keep", "k", 'i', &[&new]).expect("a result");
        assert_eq!(ffi.run("call_kept", "i", 'i', &[&int(0)]), Ok(int(2)));
    });
}

#[test]
fn freeing() {
    ffi(|ffi| {
        ffi.bound("apply_int", "ki", 'i');
        let live = ffi.q.live();
        let alive = Rc::new(());
        let inside = alive.clone();
        let function = lambda(1, move |_| {
            assert_eq!(Rc::strong_count(&inside), 2);
            Ok(int(1))
        });
        let description = callback(&function, "i", 'i');
        let pointer = ffi.q.apply(&ffi.callback, &[&description]).expect("a pointer");
        assert_eq!(pointer.kind(), -7);
        assert_eq!(ffi.run("apply_int", "ki", 'i', &[&pointer, &int(0)]), Ok(int(1)));
        assert_eq!(ffi.q.apply(&ffi.free, &[&pointer]), Ok(boolean(true)));
        assert_eq!(ffi.q.apply(&ffi.free, &[&pointer]), Ok(boolean(false)));
        assert_eq!(ffi.q.apply(&ffi.free, &[&description]), Ok(boolean(false)));
        ffi.q.apply(&ffi.callback, &[&description]).expect("a pointer");
        assert_eq!(ffi.q.apply(&ffi.free, &[&description]), Ok(boolean(true)));
        drop((function, description));
        assert_eq!(Rc::strong_count(&alive), 1);
        drop(pointer);
        assert_eq!(ffi.q.live(), live);
        assert_eq!(ffi.q.apply(&ffi.free, &[&int(1)]), error("type: free: a callback or its pointer: -6h"));
    });
}

#[test]
fn other_threads_are_refused() {
    ffi(|ffi| {
        let runs = Rc::new(Cell::new(0));
        let function = callback(&failing(-1, &runs), "i", 'i');
        let refused = error("os: a callback was called on another thread than q's main one");
        forget_seen();
        assert_eq!(ffi.twice(|| ffi.run("other_thread", "k", 'i', &[&function])), refused);
        // C got zero there, and q never ran.
        assert_eq!((seen(0) as u32, runs.get()), (0, 0));
        assert_eq!(ffi.run("apply_int", "ki", 'i', &[&function, &int(3)]), Ok(int(30)));
        assert_eq!(ffi.q.violations(), 0);
    });
}

#[test]
fn queued_callbacks_run_in_the_main_loop() {
    ffi(|ffi| {
        let runs = Rc::new(Cell::new(0));
        let queued = list![failing(-1, &runs), string("i"), char(b'i'), symbol("queued")];
        // On q's own thread it runs at once.
        assert_eq!(ffi.run("apply_int", "ki", 'i', &[&queued, &int(4)]), Ok(int(40)));
        assert_eq!(ffi.q.descriptors(), 1);
        for round in 1..=3 {
            assert_eq!(ffi.run("start_thread", "k", 'i', &[&queued]), Ok(int(0)));
            let started = std::time::Instant::now();
            while runs.get() <= round {
                assert!(started.elapsed().as_secs() < 60, "the main loop is never told");
                ffi.q.turn(1000);
            }
            assert_eq!(ffi.run("join_thread", "", 'i', &[&null()]), Ok(int(0)));
            assert_eq!(seen(0) as u32, 50);
        }
        assert_eq!((ffi.q.descriptors(), ffi.q.violations()), (1, 0));
        // One that fails there gives C zero; its error is written out, and the next call is none the worse.
        let failing = list![failing(5, &runs), string("i"), char(b'i'), symbol("queued")];
        let before = runs.get();
        assert_eq!(ffi.run("start_thread", "k", 'i', &[&failing]), Ok(int(0)));
        while runs.get() == before {
            ffi.q.turn(1000);
        }
        assert_eq!(ffi.run("join_thread", "", 'i', &[&null()]), Ok(int(0)));
        assert_eq!(seen(0) as u32, 0);
        assert_eq!(ffi.run("apply_int", "ki", 'i', &[&failing, &int(4)]), Ok(int(40)));
        assert_eq!(ffi.q.descriptors(), 1, "q still waits for the descriptor");
    });
}

#[test]
fn errno_is_not_the_functions_business() {
    ffi(|ffi| {
        let q = ffi.q as *const Q as usize;
        let set = ffi.bound("set_it", "i", 'i');
        let disturb = lambda(1, move |_| {
            // SAFETY: q outlives the call.
            unsafe { &*(q as *const Q) }.apply(&set, &[&ended(&[&int(7)])])
        });
        let read = || ffi.q.apply(&ffi.set_errno, &[&null()]);
        ffi.q.apply(&ffi.set_errno, &[&int(33)]).expect("a number");
        assert_eq!(ffi.run("apply_int", "ki", 'i', &[&callback(&disturb, "i", 'i'), &int(0)]), Ok(int(1)));
        assert_eq!(read(), Ok(int(33)), "the outer call has left it alone");
    });
}
