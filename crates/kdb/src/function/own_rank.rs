//! Functions of their own rank: q calls them as it calls its own, with projections and adverbs.
//!
//! q knows a native function by the address of its code alone, so each has code of its own: where the engine makes machine
//! code, a bridge stub that reads q's objects ([`stub`](super::stub)); behind it, and without a JIT in its place, a closure
//! of the engine, which comes here.

use std::ffi::c_void;

use jitcall::closure::{Arguments, Outcome};
use jitcall::{Engine, Signature, Type};

use super::Function;
use super::stub::{self, Passed};
use crate::error::{self, Class, Fault, Result};
use crate::host::api::Code;
use crate::host::{K, Object, Owned, api, kind};

/// The most arguments that q passes to a native function.
pub(crate) const MOST: usize = 8;

/// The q function of a C function. Functions without arguments take `::`, those of more than eight a list of them.
///
/// # Errors
/// Where the engine has no entry left.
pub(crate) fn make(function: &'static Function) -> Result<Owned> {
    let count = function.letters.parameters.len();
    let code =
        code(rank(count), move |passed| super::vectors::call(function, arguments(&function.name, count, passed)?))?;
    let passed = if count > MOST { Passed::Listed } else { Passed::OneByOne };
    Ok(object(in_front(function, passed, code), rank(count)))
}

/// The rank of a q function of so many arguments.
pub(crate) fn rank(count: usize) -> usize {
    if (1..=MOST).contains(&count) { count } else { 1 }
}

/// What q passes to a function of that rank, as so many arguments: none for `::`, those of a list of more than eight.
///
/// # Errors
/// `'rank` where there are arguments and should be none, or no list.
pub(crate) fn arguments<'a>(name: &str, count: usize, passed: &'a [K<'a>]) -> Result<&'a [K<'a>]> {
    let fault = |text: String| Err(Fault::new(Class::Rank, format!("{name}: expected {text}")));
    match count {
        0 if passed[0].is_null() => Ok(&[]),
        0 => fault("no arguments".to_owned()),
        1..=MOST => Ok(passed),
        _ if passed[0].t() == kind::LIST => Ok(super::listed::without_end(passed[0].items(), count)),
        _ => fault(format!("a list of {count} arguments: {}h", passed[0].t())),
    }
}

/// q's object of code that takes so many objects.
pub(crate) fn object(code: Code, rank: usize) -> Owned {
    // SAFETY: it takes so many.
    unsafe { Owned::new((api().dl)(code, rank as i64)) }
}

/// The function's stub, where one can be made; else the code that it would lead to.
pub(super) fn in_front(function: &'static Function, passed: Passed, code: Code) -> Code {
    if function.is_guarded() || function.letters.parameters.is_empty() {
        return code;
    }
    match stub::make(function, passed, code) {
        Some(stub) => function.stub.get_or_init(|| stub).bridge.as_ptr(),
        None => code,
    }
}

/// Code for q that runs a function of so many objects, and stays for the process.
///
/// # Errors
/// Where the engine has no entry left.
pub(crate) fn code(rank: usize, run: impl Fn(&[K<'_>]) -> Result<*mut Object> + Send + Sync + 'static) -> Result<Code> {
    let signature = Signature::new(Type::pointer(), vec![Type::pointer(); rank])?;
    let interface = Engine::global().prepare_callback(&signature)?;
    let closure = interface.slots_shared(move |arguments: Arguments<'_>, outcome: Outcome<'_>| {
        // SAFETY: q passes so many objects, none of them null; `K` is a pointer, as each slot is.
        let arguments = unsafe { std::slice::from_raw_parts(arguments.as_ptr().cast::<K<'_>>(), rank) };
        let result = error::signalled(|| run(arguments));
        // SAFETY: the result is a pointer.
        unsafe { outcome.write(result.cast::<c_void>()) };
    })?;
    Ok(closure.leak())
}
