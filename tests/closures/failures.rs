//! Failures: what C gets, who reports them, and what can be had back.

use std::cell::{Cell, OnceCell};
use std::ffi::c_void;
use std::fmt;
use std::panic::resume_unwind;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;

use jitcall::closure::{catch, take_failure};
use jitcall::{Error, Slot, Value};

use crate::kinds::of_int;
use crate::tiers::{engines, find};
use crate::{c, failure_of, function, interface};

type IntFunction = extern "C" fn(i32) -> i32;

/// An error of a program's own.
#[derive(Debug, PartialEq)]
struct Refused(i32);

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "refused {}", self.0)
    }
}

impl std::error::Error for Refused {}

#[test]
fn the_handler_that_fails_is_the_last_to_run() {
    for engine in engines() {
        let each = find(&engine, c::library(), c::EACH);
        let runs = AtomicU32::new(0);
        let interface = interface(&engine, "int f(int)").with_default(&(-1).into()).unwrap();
        let body = |x: i32| {
            runs.fetch_add(1, Ordering::Relaxed);
            if x == 2 { panic!("no {x}") } else { x + 10 }
        };
        for (kind, closure) in of_int(&interface, body) {
            for _ in 0..2 {
                let case = format!("{kind} by {}", engine.tier());
                let mut results = [0; 5];
                runs.store(0, Ordering::Relaxed);
                // SAFETY: that is how it is declared.
                let error = unsafe { each.call(&[closure.value(), 5.into(), (&mut results).into()]) }.unwrap_err();
                assert_eq!(error.to_string(), "each: callback f: panicked: no 2", "{case}");
                assert_eq!((results, runs.load(Ordering::Relaxed)), ([10, 11, -1, -1, -1], 3), "{case}");
            }
        }
    }
}

/// The same of another closure than the one that failed.
#[test]
fn no_handler_runs_after_a_failure() {
    for engine in engines() {
        let (call_back, each) = (find(&engine, c::library(), c::CALL_BACK), find(&engine, c::library(), c::EACH));
        let interface = interface(&engine, "int f(int)");
        let bad = interface.values(|_| Err(Refused(1).into())).unwrap();
        let (ran, mut results) = (Cell::new(0), [7; 3]);
        let good = interface.typed(|x: i32| -> i32 {
            ran.set(ran.get() + 1);
            x
        });
        let (good, call_back) = (good.unwrap(), call_back.typed::<(*const c_void, i32), i32>().unwrap());
        let each = each.typed::<(*const c_void, i32, *mut i32), ()>().unwrap();
        // SAFETY: that is how they are declared.
        let text = failure_of(|| unsafe {
            call_back.call((bad.as_ptr(), 1));
            each.call((good.as_ptr(), 3, results.as_mut_ptr()));
        });
        assert_eq!((text.as_str(), ran.get(), results), ("callback f: refused 1", 0, [0; 3]), "by {}", engine.tier());
    }
}

#[test]
fn errors_come_back_with_their_type() {
    for engine in engines() {
        let call_back = find(&engine, c::library(), c::CALL_BACK);
        let closure = interface(&engine, "int f(int)").values(|values| match values {
            [Value::I32(x)] => Err(Refused(*x).into()),
            _ => unreachable!("the signature has an int"),
        });
        let closure = closure.unwrap();
        // SAFETY: that is how it is declared.
        let error = unsafe { call_back.call(&[closure.value(), 5.into()]) }.unwrap_err();
        assert_eq!(error.to_string(), "call_back: callback f: refused 5");
        let Error::Callback { function, failure } = error else { panic!("{error:?}") };
        assert_eq!((function.as_str(), failure.closure(), failure.is_panic()), ("call_back", "f", false));
        assert_eq!(format!("{failure:?}"), "Failure(callback f: refused 5)");
        let source = std::error::Error::source(&*failure).expect("the handler's error");
        assert_eq!(source.downcast_ref(), Some(&Refused(5)));
        let failure = failure.into_panic().expect_err("no panic");
        assert_eq!(failure.to_string(), "callback f: refused 5", "it is as it was");
        assert_eq!(*failure.into_error().unwrap().downcast::<Refused>().unwrap(), Refused(5));
    }
}

#[test]
fn panics_come_back_with_their_payload() {
    for engine in engines() {
        let call_back = find(&engine, c::library(), c::CALL_BACK);
        let interface = interface(&engine, "int (int)");
        let closure = interface.typed(|x: i32| -> i32 { resume_unwind(Box::new(Refused(x))) }).unwrap();
        // SAFETY: that is how it is declared.
        let error = unsafe { call_back.call(&[closure.value(), 6.into()]) }.unwrap_err();
        assert_eq!(error.to_string(), "call_back: callback int (int): panicked: with a value that is no text");
        let Error::Callback { failure, .. } = error else { panic!("{error:?}") };
        assert!(failure.is_panic() && std::error::Error::source(&*failure).is_none());
        let failure = failure.into_error().expect_err("no error");
        assert_eq!(failure.into_panic().unwrap().downcast_ref(), Some(&Refused(6)));

        let closure = interface.typed(|_: i32| -> i32 { resume_unwind(Box::new(String::from("text"))) }).unwrap();
        // SAFETY: that is its type.
        let f: IntFunction = unsafe { function(closure.as_ptr()) };
        assert_eq!(failure_of(|| f(1)), "callback int (int): panicked: text");
    }
}

#[test]
fn refusals_have_neither_error_nor_payload() {
    for engine in engines() {
        let closure = interface(&engine, "int f(int)").typed_mut(|x: i32| -> i32 { x }).unwrap();
        // SAFETY: that is its type.
        let f: extern "C" fn(i32) -> i32 = unsafe { function(closure.as_ptr()) };
        let failure = catch(|| thread::scope(|scope| scope.spawn(|| f(1)).join().unwrap())).unwrap_err();
        assert!(!failure.is_panic());
        let failure = failure.into_panic().unwrap_err().into_error().unwrap_err();
        assert_eq!(failure.to_string(), "callback f: called on another thread than the one that made it");
    }
}

/// A call that a handler makes reports what fails below it, and the call around it goes on.
#[test]
fn inner_calls_report_their_own() {
    for engine in engines() {
        let each = find(&engine, c::library(), c::EACH);
        let interface = interface(&engine, "int f(int)");
        let bad = interface.values(|_| Err(Refused(9).into())).unwrap();
        let call_bad = || {
            let mut results = [0; 2];
            // SAFETY: that is how it is declared.
            unsafe { each.call(&[bad.value(), 2.into(), (&mut results).into()]) }
        };
        let swallows = |_: &[Value<'_>]| match call_bad() {
            Err(error) => Ok(Value::I32(error.to_string().len() as i32)),
            Ok(_) => panic!("a callback failed"),
        };
        let passes_on = |_: &[Value<'_>]| Ok(call_bad()?);
        let text = "each: callback f: refused 9";

        let swallows = interface.values(swallows).unwrap();
        let mut results = [0; 3];
        // SAFETY: as above.
        unsafe { each.call(&[swallows.value(), 3.into(), (&mut results).into()]) }.unwrap();
        assert_eq!(results, [text.len() as i32; 3], "by {}", engine.tier());

        let passes_on = interface.values(passes_on).unwrap();
        // SAFETY: as above.
        let error = unsafe { each.call(&[passes_on.value(), 3.into(), (&mut results).into()]) }.unwrap_err();
        assert_eq!(error.to_string(), format!("each: callback f: {text}"));
        assert_eq!(results, [0; 3]);
        let Error::Callback { failure, .. } = error else { panic!("{error:?}") };
        let inner = *failure.into_error().unwrap().downcast::<Error>().unwrap();
        assert_eq!(inner.to_string(), text);
        assert!(take_failure().is_none());
    }
}

/// An inner call by another way does not report, so that the outer one does.
#[test]
fn what_inner_calls_do_not_report_is_the_outer_ones() {
    for engine in engines() {
        let call_back = find(&engine, c::library(), c::CALL_BACK);
        let interface = interface(&engine, "int f(int)");
        let bad = interface.values(|_| Err(Refused(3).into())).unwrap();
        // SAFETY: that is its type.
        let call_bad: IntFunction = unsafe { function(bad.as_ptr()) };
        let outer = interface.typed(|x: i32| -> i32 { call_bad(x) + 1 }).unwrap();
        // SAFETY: that is how it is declared.
        let error = unsafe { call_back.call(&[outer.value(), 1.into()]) }.unwrap_err();
        assert_eq!(error.to_string(), "call_back: callback f: refused 3");
    }
}

#[test]
fn typed_calls_and_calls_by_slots_are_asked() {
    for engine in engines() {
        let call_back = find(&engine, c::library(), c::CALL_BACK);
        let bad = interface(&engine, "int f(int)").typed(|_: i32| -> i32 { resume_unwind(Box::new("no")) }).unwrap();
        let good = interface(&engine, "int f(int)").typed(|x: i32| -> i32 { x + 1 }).unwrap();
        let typed = call_back.typed::<(*const c_void, i32), i32>().unwrap();
        let slots = call_back.slots::<i32>().unwrap();
        // SAFETY: that is how it is declared.
        let by_types = |f| catch(|| unsafe { typed.call((f, 1)) }).map_err(|failure| failure.to_string());
        // SAFETY: as above.
        let by_slots = |f| catch(|| unsafe { slots.call([Slot::from(f), Slot::from(1)].as_ptr()) });
        for _ in 0..2 {
            assert_eq!(by_types(bad.as_ptr()), Err("callback f: panicked: no".into()));
            assert_eq!(by_types(good.as_ptr()), Ok(2));
            assert_eq!(by_slots(bad.as_ptr()).unwrap_err().to_string(), "callback f: panicked: no");
            assert_eq!(by_slots(good.as_ptr()).unwrap(), 2);
        }
    }
}

#[test]
fn failures_stay_until_they_are_taken() {
    for engine in engines() {
        let bad = interface(&engine, "int f(int)").values(|_| Err(Refused(4).into())).unwrap();
        let interface = interface(&engine, "int g(int)");
        for (kind, good) in of_int(&interface, |x| x + 1) {
            // SAFETY: that is their type.
            let (f, g): (IntFunction, IntFunction) = unsafe { (function(bad.as_ptr()), function(good.as_ptr())) };
            assert_eq!(g(1), 2);
            f(1);
            assert_eq!(g(1), 0, "{kind} by {}", engine.tier());
            assert_eq!(take_failure().unwrap().to_string(), "callback f: refused 4");
            assert_eq!(g(1), 2, "{kind} by {}", engine.tier());
            assert!(take_failure().is_none());
        }
    }
}

/// What a call by other ways left is neither reported by a later call nor in its way, and is there still.
#[test]
fn later_calls_leave_what_was_there_before() {
    for engine in engines() {
        let call_back = find(&engine, c::library(), c::CALL_BACK);
        let interface = interface(&engine, "int f(int)");
        let first = interface.values(|_| Err(Refused(1).into())).unwrap();
        let second = interface.values(|_| Err(Refused(2).into())).unwrap();
        let good = interface.typed(|x: i32| -> i32 { x + 1 }).unwrap();
        // SAFETY: that is its type.
        let f: IntFunction = unsafe { function(first.as_ptr()) };
        f(1);
        for _ in 0..2 {
            // SAFETY: that is how it is declared.
            let (well, ill) =
                unsafe { (call_back.call(&[good.value(), 1.into()]), call_back.call(&[second.value(), 1.into()])) };
            assert_eq!(well.unwrap(), Value::I32(2), "by {}", engine.tier());
            assert_eq!(ill.unwrap_err().to_string(), "call_back: callback f: refused 2");
        }
        assert_eq!(take_failure().unwrap().to_string(), "callback f: refused 1");
        assert!(take_failure().is_none());
    }
}

/// Failures of one thread are not another's.
#[test]
fn threads_have_failures_of_their_own() {
    for engine in engines() {
        let interface = interface(&engine, "int f(int)");
        let bad = interface.values(|_| Err(Refused(1).into())).unwrap();
        // SAFETY: that is its type.
        let f: IntFunction = unsafe { function(bad.as_ptr()) };
        f(1);
        let other = thread::spawn(move || {
            let good = interface.typed(|x: i32| -> i32 { x + 1 }).unwrap();
            // SAFETY: that is its type.
            let g: IntFunction = unsafe { function(good.as_ptr()) };
            (g(1), take_failure().is_none())
        });
        assert_eq!(other.join().unwrap(), (2, true), "by {}", engine.tier());
        assert!(take_failure().is_some());
    }
}

/// A thousand calls and callbacks inside each other; the innermost fails, which its own call alone reports.
#[test]
fn a_thousand_deep() {
    const DEPTH: i32 = 1000;
    let work = || {
        for engine in engines() {
            let call_back = find(&engine, c::library(), c::CALL_BACK);
            let interface = interface(&engine, "int f(int)");
            let (own, failed) = (OnceCell::new(), Cell::new(0));
            let closure = interface.values(|values| {
                let [Value::I32(left)] = *values else { unreachable!("the signature has an int") };
                if left == 0 {
                    return Err(Refused(0).into());
                }
                let own = Value::Pointer(*own.get().expect("the closure is made"));
                // SAFETY: that is how it is declared.
                let below = match unsafe { call_back.call(&[own, (left - 1).into()]) } {
                    Ok(below) => below.as_integer().expect("an int") as i32,
                    Err(_) => {
                        failed.set(failed.get() + 1);
                        0
                    }
                };
                Ok((below + 1).into())
            });
            let closure = closure.unwrap();
            own.set(closure.as_ptr().cast_mut()).unwrap();
            // SAFETY: that is how it is declared.
            let depth = unsafe { call_back.call(&[closure.value(), DEPTH.into()]) }.unwrap();
            assert_eq!((depth, failed.get()), (Value::I32(DEPTH), 1), "by {}", engine.tier());
        }
    };
    thread::Builder::new().stack_size(256 << 20).spawn(work).unwrap().join().unwrap();
}

#[test]
fn exclusive_handlers_are_not_entered_again() {
    const REFUSAL: &str = "callback f: called while it runs, though its handler is FnMut";
    for engine in engines() {
        let call_back = find(&engine, c::library(), c::CALL_BACK);
        let interface = interface(&engine, "int f(int)").with_default(&(-1).into()).unwrap();
        let (own, told, mut runs) = (Cell::new(std::ptr::null_mut()), Cell::new(String::new()), 0);
        let closure = interface.typed_mut(|x: i32| -> i32 {
            runs += 1;
            // SAFETY: that is how it is declared.
            let inner = unsafe { call_back.call(&[Value::Pointer(own.get()), 0.into()]) };
            told.set(inner.unwrap_err().to_string());
            x + runs
        });
        let closure = closure.unwrap();
        own.set(closure.as_ptr().cast_mut());
        // SAFETY: as above.
        let given = unsafe { call_back.call(&[closure.value(), 10.into()]) }.unwrap();
        assert_eq!((given, told.take()), (Value::I32(11), format!("call_back: {REFUSAL}")), "by {}", engine.tier());

        let closures = [
            interface.values_mut(|_| {
                // SAFETY: that is its type.
                let own: IntFunction = unsafe { function(own.get()) };
                Ok(own(1).into())
            }),
            // SAFETY: as above, and there is an int for the result.
            interface.slots_mut(|_, result| unsafe { result.write(function::<IntFunction>(own.get())(1)) }),
        ];
        for closure in closures {
            let closure = closure.unwrap();
            own.set(closure.as_ptr().cast_mut());
            // SAFETY: as above.
            let f: IntFunction = unsafe { function(closure.as_ptr()) };
            let mut given = 0;
            assert_eq!(failure_of(|| given = f(1)), REFUSAL, "by {}", engine.tier());
            assert_eq!(given, -1);
            // It has ended, and may run again.
            assert_eq!(failure_of(|| f(1)), REFUSAL);
        }
    }
}

/// The others may be.
#[test]
fn other_handlers_are_entered_again() {
    for engine in engines() {
        let interface = interface(&engine, "int f(int)");
        let own = AtomicU32::new(0);
        let pointers = std::sync::Mutex::new(0usize);
        let body = |x: i32| {
            own.fetch_add(1, Ordering::Relaxed);
            let pointer = *pointers.lock().unwrap();
            // SAFETY: that is its type.
            let f: IntFunction = unsafe { function(std::ptr::with_exposed_provenance(pointer)) };
            if x == 0 { 0 } else { f(x - 1) + 1 }
        };
        for (kind, closure) in of_int(&interface, body).into_iter().filter(|(kind, _)| !kind.ends_with("mut")) {
            *pointers.lock().unwrap() = closure.as_ptr().expose_provenance();
            // SAFETY: that is its type.
            let f: IntFunction = unsafe { function(closure.as_ptr()) };
            assert_eq!(catch(|| f(20)).unwrap(), 20, "{kind} by {}", engine.tier());
        }
    }
}
