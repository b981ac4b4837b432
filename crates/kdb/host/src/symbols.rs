//! Interned text: one pointer per text, for ever.

use std::collections::HashSet;
use std::ffi::{CStr, CString, c_char, c_int};
use std::sync::{Mutex, PoisonError};

static SYMBOLS: Mutex<Option<HashSet<CString>>> = Mutex::new(None);

/// The one pointer for a text.
///
/// # Safety
/// The text is a string of C's.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn ss(text: *const c_char) -> *const c_char {
    // SAFETY: said by the caller.
    intern(unsafe { CStr::from_ptr(text) }.to_owned())
}

/// The one pointer for a text that is so long, or ends earlier with a NUL.
///
/// # Safety
/// So many bytes can be read, up to the NUL if there is one.
#[unsafe(no_mangle)]
unsafe extern "C" fn sn(text: *const c_char, length: c_int) -> *const c_char {
    // SAFETY: no byte is read behind a NUL.
    let bytes = (0..length.max(0) as usize).map(|index| unsafe { *text.add(index) } as u8);
    let bytes: Vec<u8> = bytes.take_while(|byte| *byte != 0).collect();
    intern(CString::new(bytes).unwrap_or_default())
}

fn intern(text: CString) -> *const c_char {
    let mut symbols = SYMBOLS.lock().unwrap_or_else(PoisonError::into_inner);
    let symbols = symbols.get_or_insert_default();
    if let Some(known) = symbols.get(&text) {
        return known.as_ptr();
    }
    // The bytes stay where they are as the string moves into the set.
    let pointer = text.as_ptr();
    symbols.insert(text);
    pointer
}
