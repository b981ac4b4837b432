//! `ffi_call` and call plans: from a `ffi_cif` to the machine code of its signature in a few instructions.

use std::ffi::c_void;
use std::mem::MaybeUninit;
use std::ptr;

use crate::cif::ffi_cif;
use crate::prepared::Prepared;

/// Calls a function. Integers narrower than `ffi_arg` come back as one; every other result has its own size.
///
/// # Safety
/// `cif` was prepared, and `function` has its signature. `avalue` has the address of each argument; `rvalue` is the
/// address of room for the result, or null.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn ffi_call(
    cif: *mut ffi_cif,
    function: *const c_void,
    rvalue: *mut c_void,
    avalue: *mut *mut c_void,
) {
    // SAFETY: said by the caller.
    unsafe { call::<false>(ffi_cif::prepared(cif), function, rvalue, avalue, ptr::null()) };
}

/// Calls a function with a static chain, as Go's have: `closure` is in r10, or in x18 on AArch64.
///
/// # Safety
/// As for [`ffi_call`].
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn ffi_call_go(
    cif: *mut ffi_cif,
    function: *const c_void,
    rvalue: *mut c_void,
    avalue: *mut *mut c_void,
    closure: *mut c_void,
) {
    // SAFETY: said by the caller.
    unsafe { call::<true>(ffi_cif::prepared(cif), function, rvalue, avalue, closure) };
}

/// Calls a function of a prepared signature, with a static chain or without.
///
/// # Safety
/// As for [`ffi_call`].
#[inline(always)]
unsafe fn call<const CHAIN: bool>(
    prepared: &Prepared,
    function: *const c_void,
    rvalue: *mut c_void,
    avalue: *mut *mut c_void,
    chain: *const c_void,
) {
    // SAFETY: said by the caller.
    unsafe {
        if rvalue.is_null() {
            return call_for_nothing::<CHAIN>(prepared, function, avalue, chain);
        }
        prepared.call::<CHAIN>()((&raw const *prepared).cast(), function, rvalue, avalue, chain);
    }
}

/// Calls a function whose result nobody wants, or that has none.
///
/// # Safety
/// As for [`ffi_call`].
#[inline(never)]
unsafe fn call_for_nothing<const CHAIN: bool>(
    prepared: &Prepared,
    function: *const c_void,
    avalue: *mut *mut c_void,
    chain: *const c_void,
) {
    /// Room for most results, aligned as any is.
    #[repr(C, align(64))]
    struct Room([MaybeUninit<u8>; 256]);

    let size = prepared.interface.result_room();
    let mut room = Room([MaybeUninit::uninit(); 256]);
    let mut large: Vec<Room> = Vec::new();
    let result: *mut c_void = if size <= size_of::<Room>() {
        (&raw mut room).cast()
    } else {
        large.reserve_exact(size.div_ceil(size_of::<Room>()));
        large.as_mut_ptr().cast()
    };
    // SAFETY: said by the caller; there is room for the result.
    unsafe { prepared.call::<CHAIN>()((&raw const *prepared).cast(), function, result, avalue, chain) };
}

/// Calls of one signature, prepared. Here a `ffi_cif` is that already, so a plan is but another name for what it refers
/// to, and costs nothing.
pub struct ffi_call_plan(Prepared);

/// The plan for a `ffi_cif`; it may be used by any number of threads.
///
/// # Safety
/// `cif` was prepared.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ffi_call_plan_alloc(cif: *mut ffi_cif) -> *mut ffi_call_plan {
    // SAFETY: said by the caller.
    unsafe { (&raw const *ffi_cif::prepared(cif)).cast_mut().cast() }
}

/// Calls a function as [`ffi_call`] does.
///
/// # Safety
/// As for [`ffi_call`], with the `ffi_cif` that the plan was made for.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn ffi_call_plan_invoke(
    plan: *mut ffi_call_plan,
    function: *const c_void,
    rvalue: *mut c_void,
    avalue: *mut *mut c_void,
) {
    // SAFETY: said by the caller.
    unsafe { call::<false>(&(*plan).0, function, rvalue, avalue, ptr::null()) };
}

/// Ends the use of a plan; null is nothing.
#[unsafe(no_mangle)]
pub extern "C" fn ffi_call_plan_free(_plan: *mut ffi_call_plan) {
    // What is prepared for a signature stays for the next `ffi_cif` of it.
}

/// Bytes that are held for a plan, which all of its signature share; 0 for null.
///
/// # Safety
/// It is a plan, or null.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ffi_call_plan_size(plan: *mut ffi_call_plan) -> usize {
    // SAFETY: said by the caller.
    unsafe { plan.as_ref() }.map_or(0, |plan| plan.0.bytes())
}
