//! `k(0, ..)`: functions and values by name, in the place of q's language.

use std::cell::RefCell;
use std::collections::HashMap;
use std::ffi::{CStr, CString, c_char, c_int};

use crate::apply::host_apply;
use crate::conduct;
use crate::object::{self, ERROR, K, LIST};
use crate::process::{functions, list, release, retain, signal, take_error};

thread_local! {
    /// Names are the main thread's, as objects are.
    static NAMES: RefCell<HashMap<CString, K>> = RefCell::default();
}

/// Gives a value a name, and takes it. Null takes the name back.
///
/// # Safety
/// The name is a string of C's; the caller gives a reference away.
#[unsafe(no_mangle)]
unsafe extern "C" fn host_define(name: *const c_char, value: K) {
    // SAFETY: said by the caller.
    let name = unsafe { CStr::from_ptr(name) }.to_owned();
    let old =
        NAMES.with_borrow_mut(|names| if value.is_null() { names.remove(&name) } else { names.insert(name, value) });
    if let Some(old) = old {
        // SAFETY: the reference was the table's.
        unsafe { release(old) };
    }
}

/// The value of a name, or what the function of this name gives for arguments, which it takes. An error is an object. C's
/// is variadic, with a null pointer at the end; see `knk` for why this will do.
///
/// # Safety
/// The text is a string of C's. Up to eight objects are passed, and null behind them.
#[unsafe(no_mangle)]
unsafe extern "C" fn k(handle: c_int, text: *const c_char, a: K, b: K, c: K, d: K, e: K, f: K, g: K, h: K) -> K {
    let arguments: Vec<K> = [a, b, c, d, e, f, g, h].into_iter().take_while(|argument| !argument.is_null()).collect();
    let is_here = conduct::is_main("k") && handle == 0;
    // SAFETY: said by the caller; the list takes the arguments.
    unsafe {
        let arguments = list(LIST, &arguments);
        let result = if is_here { value(CStr::from_ptr(text), arguments) } else { signal(c"nyi") };
        release(arguments);
        if result.is_null() { error_object() } else { result }
    }
}

/// # Safety
/// The arguments are a list.
unsafe fn value(name: &CStr, arguments: K) -> K {
    // SAFETY: names have objects; said by the caller.
    unsafe {
        // The function may give its own name to something else.
        let Some(value) = NAMES.with_borrow(|names| names.get(name).map(|value| retain(*value))) else {
            return signal(c"undefined");
        };
        if object::count(arguments) == 0 {
            return value;
        }
        let result = host_apply(value, arguments);
        release(value);
        result
    }
}

fn error_object() -> K {
    let error = (functions().ka)(ERROR.into());
    // SAFETY: an atom has a payload.
    unsafe { object::payload::<*const c_char>(error).write(take_error()) };
    error
}
