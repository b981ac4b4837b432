//! What goes up the stack through callbacks: backtraces. Nothing else does: panics and exceptions end in the handler.

use std::os::unix::process::ExitStatusExt;
use std::sync::{LazyLock, Mutex};

use jitcall::{Library, Value};

use crate::alone::alone;
use crate::child::in_child;
use crate::compile::Compiler;
use crate::kinds::{Any, of_int, typed};
use crate::tiers::{engines, find};
use crate::walk;
use crate::{c, interface};

/// Checks that a walk found the C function that called back, and all that is above a frame of the test.
#[track_caller]
fn check_walk(found: &[walk::Frame], c_function: usize, test: &[walk::Frame], case: &str) {
    let [_, this, above @ ..] = test else { panic!("there are callers") };
    let place = |function| found.iter().position(|frame| frame.function == function);
    let caller = place(c_function).unwrap_or_else(|| panic!("{case}: no C function in {found:x?}"));
    let here = place(this.function).unwrap_or_else(|| panic!("{case}: no test in {found:x?}"));
    assert!(0 < caller && caller < here, "{case}");
    assert_eq!(&found[here + 1..], above, "{case}");
}

#[test]
fn backtraces_in_handlers_reach_the_outermost_frame() {
    let test = walk::frames();
    let found = Mutex::new(Vec::new());
    let look = |x: i32| {
        *found.lock().unwrap() = walk::frames();
        x
    };
    for engine in engines() {
        let few = find(&engine, c::library(), c::CALL_BACK);
        let mut rows: Vec<_> =
            of_int(&interface(&engine, "int f(int)"), look).into_iter().map(|(kind, f)| (kind, &few, f)).collect();

        let many = find(&engine, c::library(), c::CALL_WITH_TEN);
        let ten = interface(&engine, "int f(int, int, int, int, int, int, int, int, int, int)");
        let by_types = move |x: i32, _: i32, _: i32, _: i32, _: i32, _: i32, _: i32, _: i32, _: i32, i: i32| -> i32 {
            look(x) + i - 9
        };
        rows.extend(typed(&ten, by_types).map(|(kind, f)| (kind, &many, f)));
        let by_values = ten.values(|values| Ok(look(values[0].as_integer().unwrap() as i32).into()));
        rows.push(("values", &many, Any::Home(by_values.unwrap())));
        for (kind, call, closure) in &rows {
            let case = format!("{kind} by {}", engine.tier());
            // SAFETY: that is how they are declared.
            let given = unsafe { call.call(&[closure.value(), 11.into()]) }.unwrap();
            assert_eq!(given, Value::I32(11), "{case}");
            check_walk(&found.lock().unwrap(), call.target().addr(), &test, &case);
        }
    }
}

/// A C++ function that throws.
const THROWER: &str = r#"extern "C" void throw_number(int number) { throw number; }"#;

/// An exception that a handler lets out is no panic, so that no failure can be made of it, and it may not pass through
/// the C code that called back: the process ends.
#[test]
fn exceptions_in_handlers_end_the_process() {
    static LIBRARY: LazyLock<Library> = LazyLock::new(|| c::compiled(Compiler::cxx_from_env(), THROWER));
    alone("unwinding::exceptions_in_handlers_end_the_process", || {
        for engine in engines() {
            let call_back = find(&engine, c::library(), c::CALL_BACK);
            let throw = find(&engine, &LIBRARY, "void throw_number(int)").typed::<(i32,), ()>().unwrap();
            let closure = interface(&engine, "int f(int)").typed(|x: i32| -> i32 {
                // SAFETY: that is how it is declared.
                unsafe { throw.call((x,)) };
                x
            });
            let closure = closure.unwrap();
            let (status, output) = in_child(|| {
                // SAFETY: as above.
                let _ = unsafe { call_back.call(&[closure.value(), 1.into()]) };
            });
            assert_eq!(status.signal(), Some(libc::SIGABRT), "by {}: {status}, {output}", engine.tier());
            assert!(output.contains("Rust cannot catch foreign exceptions"), "by {}: {output}", engine.tier());
        }
    });
}
