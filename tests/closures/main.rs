//! Closures: C calls Rust. Handlers of every kind, what becomes of their failures, how closures are freed, and threads.
//!
//! `tests/signatures.rs` compares closures of random signatures with C compilers; `tests/entries.rs` counts entries.

#[path = "../support/alone.rs"]
mod alone;
#[path = "../support/child.rs"]
mod child;
#[path = "../support/compile.rs"]
#[allow(dead_code, reason = "other tests use the rest")]
mod compile;
#[path = "../tiers/mod.rs"]
mod tiers;
#[path = "../support/walk.rs"]
mod walk;

mod c;
mod failures;
mod freeing;
mod guards;
mod handlers;
mod kinds;
mod stress;
mod threads;
mod unwinding;

use jitcall::closure::{Failure, catch};
use jitcall::{CallbackInterface, Engine, Signature};

/// What closures of a declaration are made by.
fn interface(engine: &Engine, declaration: &str) -> CallbackInterface {
    let signature = Signature::parse(declaration).unwrap_or_else(|error| panic!("{error}"));
    engine.prepare_callback(&signature).unwrap_or_else(|error| panic!("{declaration}: {error}"))
}

/// A closure's pointer as the C function that it is.
///
/// # Safety
/// `F` is the type of C functions of its signature, or one that the test knows to do as well.
unsafe fn function<F: Copy>(pointer: *const std::ffi::c_void) -> F {
    assert_eq!(size_of::<F>(), size_of_val(&pointer));
    // SAFETY: said by the caller.
    unsafe { std::mem::transmute_copy(&pointer) }
}

/// The text of the failure that calls lead to.
fn failure_of<R: std::fmt::Debug>(calls: impl FnOnce() -> R) -> String {
    catch(calls).map_err(|failure: Failure| failure.to_string()).expect_err("a callback that fails")
}
