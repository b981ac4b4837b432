//! A foreign-function engine in pure Rust: call C from a program that learns the signature only at run time.
//!
//! The road of a call is the order of the modules:
//!
//! ```text
//!   "int add(int, int)"
//!     -> types        Signature { [int, int] -> int }
//!     -> abi          Plan { argument 1: edi, argument 2: esi, result: eax }
//!     -> cache        a stub of this shape?
//!     -> emit         mov r11,rsi; mov esi,[rdi+8]; mov edi,[rdi]; jmp r11
//!     -> code         written through one view of the memory, run through another
//!     -> function     keeps stub, target and library alive
//! ```
//!
//! A first call:
//!
//! ```
//! use jitcall::{Library, Value};
//!
//! // SAFETY: libm has no initialisers that could do harm.
//! let libm = unsafe { Library::open("libm.so.6")? };
//! let pow = libm.function("double pow(double, double)")?;
//! // SAFETY: that is how <math.h> declares it.
//! let power = unsafe { pow.call(&[2.0.into(), 10.0.into()])? };
//! assert_eq!(power, Value::F64(1024.0));
//! # Ok::<(), jitcall::Error>(())
//! ```
//!
//! There are three ways in, from the most checked to the fastest: [`Function::call`] with dynamic [`Value`]s,
//! [`Function::slots`] with raw [`Slot`]s, and [`Function::typed`] with Rust types. [`Function::map`] makes a call for each
//! element of arrays, [`Function::call_async`] calls that block on other threads.
//!
//! | platform | convention | JIT | without JIT |
//! |---|---|---|---|
//! | x86_64 Linux | System V | yes | yes |
//! | AArch64 Linux | AAPCS64 | yes | yes |
//!
//! Plans and stubs for either can be made on both.

#[cfg(not(all(target_os = "linux", target_env = "gnu", any(target_arch = "x86_64", target_arch = "aarch64"))))]
compile_error!("jitcall supports Linux with glibc on x86_64 and AArch64");

pub mod abi;
pub mod bridge;
mod cache;
pub mod closure;
mod code;
pub mod ctype;
pub mod emit;
pub mod engine;
pub mod errno;
pub mod error;
pub mod function;
pub mod guard;
pub mod interface;
pub mod library;
pub mod map;
mod notifier;
pub mod pointers;
pub mod pool;
mod trampoline;
pub mod types;
pub mod value;

pub use bridge::Bridge;
pub use closure::{CallbackInterface, Closure, SharedClosure};
pub use ctype::CType;
pub use engine::{Engine, Statistics, Tier};
pub use errno::Errno;
pub use error::{Error, Result};
pub use function::{Function, SlotFunction, TypedFunction};
pub use guard::Guard;
pub use interface::CallInterface;
pub use library::{Library, Variable};
pub use map::Map;
pub use pool::{Completed, OwnedBuffer, OwnedValue, Pending, Pool, SubmitError};
pub use types::declaration::Declarations;
pub use types::signature::{Parameter, Signature};
pub use types::{Arch, Type};
pub use value::{Buffer, Object, Slot, Value};

/// The examples of the README run with those of the documentation.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

/// So do those of the other documents.
#[cfg(doctest)]
#[doc = include_str!("../docs/callbacks.md")]
struct Callbacks;

#[cfg(doctest)]
#[doc = include_str!("../docs/safety.md")]
struct Safety;
