//! A JavaScript interpreter for programs that bring native modules: QuickJS with an event loop, ES modules, a console,
//! timers, the modules `std` and `os` of QuickJS's own program, and a prompt.
//!
//! ```
//! let interpreter = jitcall_js::Interpreter::new(&[], &[])?;
//! interpreter.evaluate("setTimeout(() => console.log(6 * 7), 1)")?;
//! # Ok::<(), jitcall_js::Error>(())
//! ```
//!
//! Scripts import native modules from shared libraries as well (`import * as other from "./other.so"`): they find
//! QuickJS's functions in the program, which must export them (linked with `-Wl,--export-dynamic-symbol=JS_*`).

mod console;
mod engine;
mod event_loop;
mod host;
mod interpreter;
mod module_loader;
mod os;
mod prompt;
mod report;
mod signals;
mod standard;
mod timers;

pub use interpreter::Interpreter;
pub use module_loader::{InitModule, NativeModule};
pub use report::Error;
