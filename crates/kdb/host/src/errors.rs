//! A thread's pending error.

use std::cell::{Cell, RefCell};
use std::ffi::{CStr, CString, c_char};
use std::ptr;

use crate::object::{self, K};

thread_local! {
    /// The text, which is not copied, or null.
    static PENDING: Cell<*const c_char> = const { Cell::new(ptr::null()) };
    /// The text that `orr` made last.
    static SYSTEM: RefCell<CString> = RefCell::default();
}

/// Signals an error.
#[unsafe(no_mangle)]
pub(crate) extern "C" fn krr(text: *const c_char) -> K {
    PENDING.set(text);
    ptr::null_mut()
}

/// Signals an error with the system's message for `errno`.
///
/// # Safety
/// The text is a string of C's.
#[unsafe(no_mangle)]
unsafe extern "C" fn orr(text: *const c_char) -> K {
    let system = std::io::Error::last_os_error().raw_os_error().unwrap_or_default();
    // SAFETY: the first is said by the caller; `strerror` gives a string, which nobody else in a test asks for.
    let (text, system) = unsafe { (CStr::from_ptr(text), CStr::from_ptr(libc::strerror(system))) };
    let message = [text.to_bytes(), b". OS reports: ", system.to_bytes()].concat();
    SYSTEM.with_borrow_mut(|kept| {
        *kept = CString::new(message).unwrap_or_default();
        krr(kept.as_ptr())
    })
}

/// An object as it is; for null the pending error as an object, which is then pending no more.
#[unsafe(no_mangle)]
extern "C" fn ee(object: K) -> K {
    if object.is_null() { object::atom_of(object::ERROR, take()) } else { object }
}

/// The text of the pending error, which is then pending no more, or null.
pub(crate) fn take() -> *const c_char {
    PENDING.replace(ptr::null())
}
