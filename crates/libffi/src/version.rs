//! What the library is.

use std::ffi::{c_char, c_uint, c_ulong};

use crate::cif::abi;
use crate::closure::ffi_closure;

/// The release of libffi whose interface this is.
const VERSION: (c_ulong, c_ulong, c_ulong) = (3, 8, 0);

/// That release as text, `"3.8.0"`.
#[unsafe(no_mangle)]
pub extern "C" fn ffi_get_version() -> *const c_char {
    c"3.8.0".as_ptr()
}

/// That release as a number: 30800.
#[unsafe(no_mangle)]
pub extern "C" fn ffi_get_version_number() -> c_ulong {
    let (major, minor, patch) = VERSION;
    10_000 * major + 100 * minor + patch
}

/// The convention of C on this machine.
#[unsafe(no_mangle)]
pub extern "C" fn ffi_get_default_abi() -> c_uint {
    abi::DEFAULT
}

/// Bytes of a `ffi_closure`.
#[unsafe(no_mangle)]
pub extern "C" fn ffi_get_closure_size() -> usize {
    size_of::<ffi_closure>()
}
