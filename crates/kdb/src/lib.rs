//! `ffikdb.so`: C functions for kdb+/q.
//!
//! q loads this library with `2:`, by way of `q/ffi.q`. It has the interface of KX's ffikdb, and functions beyond it. What
//! q users see is in `docs/kdb.md`.
//!
//! | module | subject |
//! |---|---|
//! | [`exports`] | what q finds by name |
//! | `host` | q's objects, and k.h's functions, found in the process |
//! | `letters` | the letters that stand for C types |
//! | `symbols`, `variadic` | functions and variables by name |
//! | `convert` | q's values to C and back |
//! | `function` | C functions as q functions: of one list, of their own rank, by inference |
//! | `declared` | C declarations: structs, functions with prototypes, memory |
//! | `guard` | functions whose faults are errors |
//! | `callback`, `queue` | q functions as C function pointers |
//! | `variables` | C's variables, and what pointers lead to |
//! | `thread` | errno, failures of callbacks, what is kept for the process |
//! | `error` | errors as q signals them |

mod callback;
mod convert;
mod declared;
mod error;
pub mod exports;
mod function;
mod guard;
mod host;
mod letters;
mod queue;
mod symbols;
mod thread;
mod variables;
mod variadic;
