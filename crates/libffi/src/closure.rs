//! Closures: a function pointer for C that calls the client's function with the addresses of its arguments.
//!
//! A closure is memory of the client's, but for what [`ffi_closure_alloc`] gives, and C enters it in one of three ways:
//!
//! | made by | C calls | where the entry finds the closure |
//! |---|---|---|
//! | `ffi_prep_closure_loc`, with the address that `ffi_closure_alloc` gave | an entry of the engine's, in memory that nobody can write to | in the entry's record |
//! | `ffi_prep_closure`, and `ffi_prep_closure_loc` with any other address | the first bytes of the closure, which the client has made executable | right behind them |
//! | `ffi_prep_go_closure` | what the closure's first word says | in the static chain's register |

use std::ffi::c_void;
use std::ptr;

use jitcall::Engine;
use jitcall::pointers::{Entry, Handler, IN_PLACE_SIZE, StateIn, in_place_entry, memory, publish_code};

use crate::cif::{abi, ffi_cif};
use crate::{FFI_BAD_ABI, FFI_BAD_TYPEDEF, FFI_OK, ffi_status};

/// Bytes at the start of a closure that are ours.
pub const FFI_TRAMPOLINE_SIZE: usize = IN_PLACE_SIZE;

/// A closure: entry, and the words that it reads.
#[repr(C, align(8))]
pub struct ffi_closure {
    pub(crate) tramp: [u8; FFI_TRAMPOLINE_SIZE],
    pub(crate) cif: *mut ffi_cif,
    pub(crate) fun: Option<Handler>,
    pub(crate) user_data: *mut c_void,
}

/// A closure that is called with its own address in the static chain's register.
#[repr(C)]
pub struct ffi_go_closure {
    tramp: *const c_void,
    cif: *mut ffi_cif,
    fun: Option<Handler>,
}

/// Allocates a closure of `size` bytes, and writes the address that C is to call to `code`. Null where there is no memory,
/// or no entry is left.
///
/// # Safety
/// `code` is null or may be written to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ffi_closure_alloc(size: usize, code: *mut *mut c_void) -> *mut c_void {
    if code.is_null() || size > isize::MAX as usize / 2 {
        return ptr::null_mut();
    }
    let Ok(closure) = memory::allocate(Engine::global(), size.max(size_of::<ffi_closure>())) else {
        return ptr::null_mut();
    };
    // SAFETY: the caller has room for an address; the memory was allocated just now.
    unsafe { code.write(memory::entry_address(closure).cast_mut()) };
    closure.as_ptr()
}

/// Frees what [`ffi_closure_alloc`] gave. The address that C was given leads nowhere from then on.
///
/// # Safety
/// It is from there, and nobody uses it any more; null is nothing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ffi_closure_free(writable: *mut c_void) {
    if let Some(closure) = ptr::NonNull::new(writable) {
        // SAFETY: said by the caller.
        unsafe { memory::free(closure) };
    }
}

/// Makes a closure that C enters at `codeloc`: what [`ffi_closure_alloc`] gave, or, for memory of the client's own, where
/// the closure itself can be executed.
///
/// # Safety
/// `closure` may be written to, `cif` was prepared; both stay as long as C calls, and `fun` can be called as long.
/// `codeloc` is from [`ffi_closure_alloc`], or the closure's own memory is executable there.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ffi_prep_closure_loc(
    closure: *mut ffi_closure,
    cif: *mut ffi_cif,
    fun: Option<Handler>,
    user_data: *mut c_void,
    codeloc: *mut c_void,
) -> ffi_status {
    if closure.is_null() || cif.is_null() || codeloc.is_null() {
        return FFI_BAD_TYPEDEF;
    }
    // SAFETY: said by the caller.
    if abi::convention(unsafe { (*cif).abi }).is_none() {
        return FFI_BAD_ABI;
    }
    // SAFETY: said by the caller.
    unsafe {
        let prepared = ffi_cif::prepared(cif);
        (&raw mut (*closure).cif).write(cif);
        (&raw mut (*closure).fun).write(fun);
        (&raw mut (*closure).user_data).write(user_data);
        let entry = if codeloc.addr() == closure.addr() { None } else { Entry::at(codeloc) };
        match entry {
            Some(entry) => entry.lead_to(prepared.entry(StateIn::Record), (&raw const (*closure).cif).cast()),
            None => {
                let code = in_place_entry(prepared.entry(StateIn::Place));
                (&raw mut (*closure).tramp).write(code);
                publish_code((&raw const (*closure).tramp).cast(), codeloc.cast(), code.len());
            }
        }
    }
    FFI_OK
}

/// Makes a closure in memory of the client's own, which is writable and executable: C enters it at its own address.
///
/// # Safety
/// As for [`ffi_prep_closure_loc`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ffi_prep_closure(
    closure: *mut ffi_closure,
    cif: *mut ffi_cif,
    fun: Option<Handler>,
    user_data: *mut c_void,
) -> ffi_status {
    // SAFETY: said by the caller.
    unsafe { ffi_prep_closure_loc(closure, cif, fun, user_data, closure.cast()) }
}

/// Makes a closure for callers that set the static chain: they call what its first word says, with the closure's address
/// in r10, or in x18 on AArch64. `fun` gets that address as its user data.
///
/// # Safety
/// As for [`ffi_prep_closure_loc`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ffi_prep_go_closure(
    closure: *mut ffi_go_closure,
    cif: *mut ffi_cif,
    fun: Option<Handler>,
) -> ffi_status {
    if closure.is_null() || cif.is_null() {
        return FFI_BAD_TYPEDEF;
    }
    // SAFETY: said by the caller.
    if abi::convention(unsafe { (*cif).abi }).is_none() {
        return FFI_BAD_ABI;
    }
    // SAFETY: said by the caller.
    unsafe {
        let tramp = ffi_cif::prepared(cif).entry(StateIn::Chain);
        closure.write(ffi_go_closure { tramp, cif, fun });
    }
    FFI_OK
}
