//! Threads that prepare and call at the same time.

mod tiers;

use std::ffi::c_void;
use std::sync::{Barrier, mpsc};
use std::thread;

use jitcall::{Engine, Function, Signature, Tier, Type, Value};
use tiers::{Print, bind, engines};

const THREADS: usize = 4;

/// Shapes that threads have in common, and what each of them starts from.
const LENGTH: u32 = 4;
const SHAPES: u64 = Print::shapes(LENGTH);

/// Runs `work` on several threads that start together; each gets its number.
fn together(work: impl Fn(usize) + Sync) {
    let barrier = Barrier::new(THREADS);
    thread::scope(|scope| {
        for number in 0..THREADS {
            let (barrier, work) = (&barrier, &work);
            scope.spawn(move || {
                barrier.wait();
                work(number);
            });
        }
    });
}

#[test]
fn threads_share_stubs_whatever_their_order() {
    for engine in engines() {
        let before = engine.statistics();
        let print = Print::new(&engine);
        together(|number| {
            // Steps that are coprime with the number of shapes: every thread goes through all, in an order of its own.
            let step = [1, 2, SHAPES - 1, 5][number];
            assert!(!SHAPES.is_multiple_of(5) && SHAPES % 2 == 1, "coprime");
            for round in 0..SHAPES {
                let shape = (number as u64 + round * step) % SHAPES;
                assert!(print.works(shape), "shape {shape} by {}", engine.tier());
            }
        });
        let statistics = engine.statistics();
        if engine.tier() == Tier::Asm {
            assert_eq!((statistics.hits, statistics.misses, statistics.stubs), (0, 0, 0), "nothing to be cached");
            continue;
        }
        // The function without variadic arguments is bound once by itself, and has a shape that is among the others.
        let prepared = 1 + THREADS as u64 * SHAPES;
        assert_eq!(statistics.stubs as u64, SHAPES, "{statistics:?}");
        assert_eq!(statistics.hits + statistics.misses - before.hits - before.misses, prepared, "{statistics:?}");
        assert!(statistics.misses - before.misses >= SHAPES, "{statistics:?}");
        engine.audit().unwrap();
    }
}

#[test]
fn one_stub_for_threads_that_ask_at_once() {
    for engine in engines() {
        for doubles in 0..64 {
            let signature = Signature::new(Type::Void, vec![Type::F64; doubles]).unwrap();
            together(|_| drop(engine.prepare(&signature).unwrap()));
            let expected = if engine.tier() == Tier::Jit { doubles + 1 } else { 0 };
            assert_eq!(engine.statistics().stubs, expected, "by {}", engine.tier());
        }
    }
}

#[test]
fn engines_do_not_get_in_each_others_way() {
    together(|number| {
        for round in 0..4 {
            for engine in engines() {
                let print = Print::new(&engine);
                for shape in 0..40 {
                    let shape = 40 * (number as u64 + round) + shape;
                    assert!(print.works(shape), "shape {shape} by {}", engine.tier());
                }
                let statistics = engine.statistics();
                let expected = if engine.tier() == Tier::Jit { 40 } else { 0 };
                assert!(statistics.stubs.abs_diff(expected) <= 1, "{statistics:?}");
            }
        }
    });
}

extern "C" fn scale(value: i64, by: f64) -> f64 {
    value as f64 * by
}

#[test]
fn functions_outlive_their_engine_on_other_threads() {
    for engine in engines() {
        let (sender, receiver) = mpsc::channel::<Function>();
        let worker = thread::spawn(move || {
            receiver.into_iter().all(|function| {
                // SAFETY: that is the type of `scale`.
                let scaled = unsafe { function.call(&[6.into(), 0.5.into()]) };
                scaled.unwrap() == Value::F64(3.0)
            })
        });
        let function = bind(&engine, scale as *const c_void, "double scale(long, double)");
        drop(engine);
        for _ in 0..100 {
            sender.send(function.clone()).unwrap();
        }
        drop((sender, function));
        assert!(worker.join().unwrap());
    }
}

#[test]
fn one_function_is_called_by_all() {
    for engine in engines() {
        let function = bind(&engine, scale as *const c_void, "double scale(long value, double by)");
        let slots = function.slots::<f64>().unwrap();
        let typed = function.typed::<(i64, f64), f64>().unwrap();
        together(|number| {
            for round in 0..2000 {
                let (value, by) = ((number * 10_000 + round) as i64, 0.25);
                let expected = value as f64 / 4.0;
                let arguments = [value.into(), by.into()];
                // SAFETY: that is the type of `scale`.
                unsafe {
                    assert_eq!(function.call(&[value.into(), by.into()]).unwrap(), Value::F64(expected));
                    assert_eq!(slots.call(arguments.as_ptr()), expected);
                    assert_eq!(typed.call((value, by)), expected);
                }
            }
        });
    }
}

#[test]
fn threads_meet_in_the_shared_engine() {
    together(|_| {
        let print = Print::new(Engine::global());
        for shape in 0..SHAPES {
            assert!(print.works(shape), "shape {shape}");
        }
    });
}
