//! Programs that are not q: the library says which of k.h's functions it misses.

mod ffi;
mod support;

use std::ffi::{CStr, CString, c_char, c_void};

use support::{Library, built};

/// The host's functions are not in this process, but for one that C has in their stead.
const KRR: &str =
    "static const char *text; void *krr(const char *t) { text = t; return 0; } const char *told(void) { return text; }";

#[test]
fn a_missing_function_is_named() {
    let library = Library::open(&built("libffikdb.so"), libc::RTLD_NOW);
    // SAFETY: that is how the library has it; it returns before it looks at the object.
    let cvar: unsafe extern "C" fn(*mut c_void) -> *mut c_void = unsafe { std::mem::transmute(library.symbol("cvar")) };
    let call = || {
        let mut object = 0_u64;
        // SAFETY: as above.
        unsafe { cvar((&raw mut object).cast()) }
    };
    assert!(call().is_null(), "without krr, nobody can be told");
    let krr = Library::open(&ffi::compiled(KRR), libc::RTLD_NOW | libc::RTLD_GLOBAL);
    assert!(call().is_null());
    // SAFETY: the source declares it so.
    let told: extern "C" fn() -> *const c_char = unsafe { std::mem::transmute(krr.symbol("told")) };
    // SAFETY: the library gave a text that stays.
    let text = unsafe { CStr::from_ptr(told()) };
    let expected = "os: ffikdb: this process has no function dl, which k.h declares: the library is for q";
    assert_eq!(text, CString::new(expected).unwrap().as_c_str());
}
