//! `ffi.so`: call C from QuickJS, at the interpreter's own speed.
//!
//! The shared library that this crate builds is a native module: a script imports it by its path. It is linked with no
//! QuickJS; it finds the functions of the one that imports it (`host`), whichever that is. `docs/quickjs.md` has the
//! reference for scripts, `js/` the part of the module that is written in JavaScript.
//!
//! The road of a call, in the order of the modules:
//!
//! ```text
//!   lib.symbols.pow(2, 10)
//!     -> function::bridge    emitted code: tags, payloads into registers, pow, a value
//!     -> function::fallback  what it leaves, by way of slots
//!     -> convert             one value, to C or back
//! ```
//!
//! | module | subject |
//! |---|---|
//! | `host` | QuickJS: its functions, its values, what differs between its versions |
//! | `module` | the exports, and the native functions behind the script that makes them |
//! | `state`, `scope` | what the module keeps in a context; ways to the host's functions |
//! | `types`, `structs` | what scripts call C's types |
//! | `function`, `functions` | bound functions |
//! | `named` | functions by name: `define` and `call` |
//! | `convert` | values |
//! | `callback` | JavaScript functions as C function pointers |
//! | `asynchronous`, `event_loop` | calls on other threads, callbacks from them |
//! | `memory`, `libraries` | addresses, buffers, strings; shared libraries |

mod asynchronous;
mod callback;
mod convert;
mod error;
mod event_loop;
mod function;
mod functions;
mod host;
mod libraries;
mod memory;
mod module;
mod named;
mod scope;
mod state;
mod structs;
mod types;

use std::ffi::c_char;

pub use host::{JSContext, JSModuleDef, JSRuntime};

/// Declares the module in a context: what QuickJS looks for in a native module, and what a program that has the module
/// built in calls. Null where the program does not export all of QuickJS's functions that the module needs.
///
/// # Safety
/// `ctx` is a context of the QuickJS whose functions the process exports, `name` a string of C's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn js_init_module(ctx: *mut JSContext, name: *const c_char) -> *mut JSModuleDef {
    // SAFETY: said by the caller.
    unsafe { module::declare(ctx, name) }
}
