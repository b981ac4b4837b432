//! A process that has this shared library plays q: `ffikdb.so` finds the functions of `k.h` in it.
//!
//! It is for tests only. Every object is an allocation of `malloc`'s, so that valgrind sees every leak and every overrun.
//! There is no language; functions are C functions (`dl`), or what a test gives as a lambda.
//!
//! | module | subject |
//! |---|---|
//! | `object` | objects: their layout, their memory, reference counts |
//! | `atoms`, `vectors`, `tables` | what makes objects |
//! | `symbols`, `dates` | interned text; the calendar |
//! | `errors` | a thread's pending error |
//! | `process` | the functions of `k.h` that the process has, which may be another library's |
//! | `collapse` | lists of atoms to vectors |
//! | `function`, `apply` | functions; what becomes of one and its arguments |
//! | `names` | `k(0, ..)`: functions by name |
//! | `events` | `sd1`: descriptors, and a turn of the event loop |
//! | `conduct` | the thread that is q's, and what is done on the wrong one |
//!
//! The modules up to `errors` are an object layer. From `process` on everything goes through the functions that the
//! process has: where KX's own `libe.so` was loaded first, objects are that library's.

mod apply;
mod atoms;
mod collapse;
mod conduct;
mod dates;
mod errors;
mod events;
mod function;
mod names;
mod object;
mod process;
mod symbols;
mod tables;
mod vectors;
