//! libffi's own C interface on the engine of [`jitcall`]: what a program finds in `libffi.so.8`.
//!
//! | file | what it is |
//! |---|---|
//! | [`types`] | `ffi_type`, and the objects that describe C's own types |
//! | [`describe`] | from `ffi_type` to the engine's types: what libffi's rules make of a tree |
//! | [`cif`] | `ffi_cif`: `ffi_prep_cif`, `ffi_prep_cif_var`, struct offsets |
//! | [`prepared`] | what a prepared `ffi_cif` refers to, one for each signature of the process |
//! | [`call`] | `ffi_call`, with Go's static chain, and call plans |
//! | [`closure`] | `ffi_closure_alloc` and what makes code of closures |
//! | [`raw`] | the raw interface, and that of Java's stack |
//! | [`version`] | what the library is |
//!
//! The functions have libffi's names and types; `include/ffi.h` declares them for C.

#![allow(non_camel_case_types, reason = "libffi's names are C's")]

pub mod call;
pub mod cif;
pub mod closure;
pub mod describe;
pub mod prepared;
pub mod raw;
pub mod types;
pub mod version;

/// What functions of libffi return that can fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub enum ffi_status {
    /// All is well.
    FFI_OK = 0,
    /// A type is not described as it should be, or cannot be passed.
    FFI_BAD_TYPEDEF = 1,
    /// There is no such calling convention here.
    FFI_BAD_ABI = 2,
    /// A variadic argument has a type that C would have promoted.
    FFI_BAD_ARGTYPE = 3,
}

pub use ffi_status::*;

/// A result, or the status that says what is wrong.
pub(crate) type Result<T> = std::result::Result<T, ffi_status>;

/// What a result is to C.
pub(crate) fn status(result: Result<()>) -> ffi_status {
    result.err().unwrap_or(FFI_OK)
}
