//! What becomes of a function and its arguments: a call, a projection, an error.

use std::ffi::c_char;

use crate::conduct;
use crate::function::Function;
use crate::object::{self, K, PROJECTION, UNARY};
use crate::process::{functions, item, list, release, retain, signal, take_error, unary};

/// The mark of an argument that is left out, as q has it.
const HOLE: u8 = 255;

/// The mark of an argument that is left out, to be put into a list of arguments.
#[unsafe(no_mangle)]
extern "C" fn host_hole() -> K {
    unary(HOLE)
}

/// Applies a function to a list of arguments as q does. Both are borrowed. Null if there is an error, which is then
/// pending.
///
/// # Safety
/// They are objects.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn host_apply(function: K, arguments: K) -> K {
    // SAFETY: said by the caller; items are there up to the count.
    unsafe {
        if object::width(object::kind(arguments)).is_none() {
            return signal(c"type");
        }
        let arguments: Vec<K> = (0..object::count(arguments)).map(|index| item(arguments, index)).collect();
        let result = apply(function, &arguments);
        arguments.into_iter().for_each(|argument| release(argument));
        result
    }
}

/// The same for C, which may call it on q's thread only.
///
/// # Safety
/// Both are objects.
#[unsafe(no_mangle)]
unsafe extern "C" fn dot(function: K, arguments: K) -> K {
    if !conduct::is_main("dot") {
        return signal(c"q: dot on another thread");
    }
    // SAFETY: said by the caller.
    unsafe { host_apply(function, arguments) }
}

/// The text of the pending error, which is then pending no more; null if there is none.
#[unsafe(no_mangle)]
extern "C" fn host_error() -> *const c_char {
    take_error()
}

/// Applies a function to arguments.
///
/// # Safety
/// All are objects.
unsafe fn apply(function: K, arguments: &[K]) -> K {
    // SAFETY: said by the caller; a projection has its function first.
    unsafe {
        if object::kind(function) == PROJECTION && object::count(function) > 0 {
            let parts = std::slice::from_raw_parts(object::items::<K>(function), object::count(function));
            return match complete(&parts[1..], arguments) {
                Some(arguments) => apply(parts[0], &arguments),
                None => signal(c"rank"),
            };
        }
        match Function::of(function) {
            Some(code) if is_without_arguments(code, arguments) => checked(code.run(&[])),
            Some(code) if arguments.is_empty() || arguments.len() > code.rank => signal(c"rank"),
            Some(code) if arguments.len() < code.rank || arguments.iter().any(|argument| is_hole(*argument)) => {
                project(function, arguments)
            }
            Some(code) => checked(code.run(arguments)),
            None => signal(c"type"),
        }
    }
}

/// Whether a function of no arguments is called as such: `f[]` passes `::`.
///
/// # Safety
/// The arguments are objects.
unsafe fn is_without_arguments(code: &Function, arguments: &[K]) -> bool {
    // SAFETY: said by the caller.
    code.rank == 0 && arguments.iter().all(|argument| unsafe { is_null(*argument) }) && arguments.len() < 2
}

/// The arguments of a projection, with its holes filled and what is left over behind them. None if the arguments were
/// all left out: the rest would be no call.
///
/// # Safety
/// All are objects.
unsafe fn complete(projected: &[K], arguments: &[K]) -> Option<Vec<K>> {
    if arguments.is_empty() {
        return None;
    }
    let mut rest = arguments.iter().copied();
    // SAFETY: said by the caller.
    let filled =
        projected.iter().map(|part| if unsafe { is_hole(*part) } { rest.next().unwrap_or(*part) } else { *part });
    let mut all: Vec<K> = filled.collect();
    all.extend(rest);
    Some(all)
}

/// A projection of a function on arguments, some of which may be left out.
///
/// # Safety
/// All are objects.
unsafe fn project(function: K, arguments: &[K]) -> K {
    let parts = [&[function], arguments].concat();
    // SAFETY: said by the caller.
    parts.iter().for_each(|part| unsafe { _ = retain(*part) });
    list(PROJECTION, &parts)
}

/// What a function has given: an object, the pending error, or `::` for null.
///
/// # Safety
/// The caller gives a reference away, or null.
unsafe fn checked(result: K) -> K {
    let error = take_error();
    if error.is_null() {
        return if result.is_null() { unary(0) } else { result };
    }
    if !result.is_null() {
        conduct::violation("a function gives an object after it has signalled an error");
        // SAFETY: said by the caller.
        unsafe { release(result) };
    }
    (functions().krr)(error)
}

/// # Safety
/// It is an object.
unsafe fn is_hole(object: K) -> bool {
    // SAFETY: an atom has a payload.
    unsafe { object::kind(object) == UNARY && *object::payload::<u8>(object) == HOLE }
}

/// Whether an object is `::`.
///
/// # Safety
/// It is an object.
unsafe fn is_null(object: K) -> bool {
    // SAFETY: an atom has a payload.
    unsafe { object::kind(object) == UNARY && *object::payload::<u8>(object) == 0 }
}
