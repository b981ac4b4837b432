//! Callbacks below guarded calls.

use std::os::unix::process::ExitStatusExt;
use std::panic::resume_unwind;
use std::ptr::without_provenance_mut;

use jitcall::{Error, Guard, Value};

use crate::child::in_child;
use crate::kinds::of_int;
use crate::tiers::{engines, find};
use crate::{c, interface};

/// An address that nothing is mapped at.
fn nowhere() -> Value<'static> {
    Value::Pointer(without_provenance_mut(16))
}

#[test]
fn callbacks_work_and_report_failures() {
    let guard = Guard::install().unwrap();
    for engine in engines() {
        let call_back = find(&engine, c::library(), c::CALL_BACK);
        let interface = interface(&engine, "int f(int)");
        for (kind, closure) in of_int(&interface, |x| if x < 0 { resume_unwind(Box::new("no")) } else { x + 1 }) {
            for _ in 0..2 {
                // SAFETY: that is how it is declared.
                let (well, ill) = unsafe {
                    let call = |x: i32| guard.call(&call_back, &[closure.value(), x.into()]);
                    (call(1), call(-1))
                };
                assert_eq!(well.unwrap(), Value::I32(2), "{kind} by {}", engine.tier());
                assert_eq!(ill.unwrap_err().to_string(), "call_back: callback f: panicked: no");
            }
        }
    }
}

/// A fault after a callback is recovered as any other; a failure of the callback does not hide it.
#[test]
fn faults_after_callbacks_are_recovered() {
    let guard = Guard::install().unwrap();
    for engine in engines() {
        let call_and_read = find(&engine, c::library(), c::CALL_AND_READ);
        for (kind, closure) in of_int(&interface(&engine, "int f(int)"), |x| x + 1) {
            // SAFETY: that is how it is declared; what faults holds nothing.
            let error = unsafe { guard.call(&call_and_read, &[closure.value(), 1.into(), nowhere()]) }.unwrap_err();
            let Error::Fault(fault) = error else { panic!("{kind}: {error}") };
            assert_eq!((fault.signal, fault.address), (libc::SIGSEGV, 16), "{kind} by {}", engine.tier());
        }
    }
}

#[test]
fn guarded_calls_inside_handlers_recover() {
    let guard = Guard::install().unwrap();
    for engine in engines() {
        let (call_back, read_at) = (find(&engine, c::library(), c::CALL_BACK), find(&engine, c::library(), c::READ_AT));
        let body = |x: i32| {
            // SAFETY: that is how it is declared; what faults holds nothing.
            match unsafe { guard.call(&read_at, &[nowhere()]) } {
                Err(Error::Fault(fault)) => x + fault.address as i32,
                other => panic!("{other:?}"),
            }
        };
        for (kind, closure) in of_int(&interface(&engine, "int f(int)"), body) {
            // SAFETY: as above.
            let (guarded, plain) = unsafe {
                let arguments = [closure.value(), 1.into()];
                (guard.call(&call_back, &arguments), call_back.call(&arguments))
            };
            assert_eq!((guarded.unwrap(), plain.unwrap()), (17.into(), 17.into()), "{kind} by {}", engine.tier());
        }
    }
}

/// A handler may not be left without unwinding: a fault in it ends the process, as it would without a guard.
#[test]
fn faults_in_handlers_are_not_recovered() {
    let guard = Guard::install().unwrap();
    for engine in engines() {
        let call_back = find(&engine, c::library(), c::CALL_BACK);
        let body = |x: i32| {
            // SAFETY: it is not, and ends the process.
            unsafe { without_provenance_mut::<i32>(16).read_volatile() + x }
        };
        for (kind, closure) in of_int(&interface(&engine, "int f(int)"), body) {
            let (status, output) = in_child(|| {
                // SAFETY: that is how it is declared.
                let _ = unsafe { guard.call(&call_back, &[closure.value(), 1.into()]) };
            });
            assert_eq!(status.signal(), Some(libc::SIGSEGV), "{kind} by {}: {status}, {output}", engine.tier());
        }
    }
}
