//! QuickJS behind Rust types: contexts, values that free themselves, native functions, native modules.
//!
//! A failed operation leaves its exception pending in the context and gives [`Exception`]; a native function that
//! returns it throws what is pending.

mod context;
mod function;
mod module;
mod value;

pub(crate) use context::{Context, Evaluation};
pub(crate) use function::{Arguments, Export};
pub(crate) use value::{Kept, PromiseState, Text, Value};

/// Says that an exception is pending in the context.
#[derive(Debug)]
pub(crate) struct Exception;

/// What a JavaScript operation gives.
pub(crate) type Outcome<'js, T = Value<'js>> = Result<T, Exception>;
