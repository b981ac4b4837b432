//! `ffi_cif`: a signature, as libffi's clients keep it, and what makes it ready for calls.
//!
//! A client owns its `ffi_cif`: it may copy it, keep it on a stack, and free it without telling anyone. So what was
//! prepared is not in it. The eight bytes that libffi has for its own there, `bytes` and `flags`, hold the address of the
//! signature's [`Prepared`], which stays.

use std::ffi::c_uint;

use jitcall::Signature;
use jitcall::abi::Convention;
use jitcall::types::signature::Parameter;

use crate::describe::{check, describe, describe_argument, lay_out};
use crate::prepared::{Key, Prepared};
use crate::types::{ffi_type, kind};
use crate::{FFI_BAD_ABI, FFI_BAD_ARGTYPE, FFI_BAD_TYPEDEF, Result, ffi_status, status};

/// A calling convention: one of the constants of [`abi`].
pub type ffi_abi = c_uint;

/// The conventions by libffi's numbers.
#[cfg(target_arch = "x86_64")]
pub mod abi {
    use super::{Convention, ffi_abi};

    /// System V x86_64.
    pub const UNIX64: ffi_abi = 2;
    /// Windows x64, with the types of Windows' C.
    pub const WIN64: ffi_abi = 3;
    /// Windows x64, with gcc's types.
    pub const GNUW64: ffi_abi = 4;
    /// C's own.
    pub const DEFAULT: ffi_abi = UNIX64;

    /// The engine's convention for one of libffi's.
    pub(crate) fn convention(abi: ffi_abi) -> Option<Convention> {
        match abi {
            UNIX64 => Some(Convention::SysV64),
            WIN64 | GNUW64 => Some(Convention::Win64),
            _ => None,
        }
    }
}

/// The conventions by libffi's numbers.
#[cfg(target_arch = "aarch64")]
pub mod abi {
    use super::{Convention, ffi_abi};

    /// AAPCS64.
    pub const SYSV: ffi_abi = 1;
    /// The same on Linux, where Windows' rules for variadic functions do not hold.
    pub const WIN64: ffi_abi = 2;
    /// C's own.
    pub const DEFAULT: ffi_abi = SYSV;

    /// The engine's convention for one of libffi's.
    pub(crate) fn convention(abi: ffi_abi) -> Option<Convention> {
        matches!(abi, SYSV | WIN64).then_some(Convention::Aapcs64)
    }
}

/// A signature: what libffi calls a call interface.
#[derive(Debug)]
#[repr(C)]
pub struct ffi_cif {
    /// Its convention.
    pub abi: ffi_abi,
    /// How many arguments there are.
    pub nargs: c_uint,
    /// Their types.
    pub arg_types: *mut *mut ffi_type,
    /// The type of the result.
    pub rtype: *mut ffi_type,
    /// libffi's `bytes` and `flags`.
    pub(crate) prepared: *const Prepared,
}

const _: () = assert!(std::mem::offset_of!(ffi_cif, prepared) == jitcall::pointers::CONTEXT_INTERFACE);

impl ffi_cif {
    /// What was prepared for its signature.
    ///
    /// # Safety
    /// It was prepared.
    #[inline(always)]
    pub(crate) unsafe fn prepared<'a>(this: *const ffi_cif) -> &'a Prepared {
        // SAFETY: said by the caller; what was prepared stays.
        unsafe { &*(*this).prepared }
    }

    /// The types of the arguments.
    ///
    /// # Safety
    /// It was prepared, and its list of types is there as long as the result is used.
    pub(crate) unsafe fn types<'a>(this: *const ffi_cif) -> &'a [*mut ffi_type] {
        // SAFETY: said by the caller.
        unsafe { types((*this).arg_types, (*this).nargs) }
    }
}

/// # Safety
/// The list is there as long as the result is used.
unsafe fn types<'a>(list: *mut *mut ffi_type, count: c_uint) -> &'a [*mut ffi_type] {
    if list.is_null() || count == 0 {
        return &[];
    }
    // SAFETY: said by the caller.
    unsafe { std::slice::from_raw_parts(list, count as usize) }
}

/// Makes a `ffi_cif` ready for calls of a function that is not variadic.
///
/// # Safety
/// `cif` may be written to. `rtype` and the `nargs` types of `atypes` are types, which stay as long as the `ffi_cif` is
/// used; structs without a size may be written to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ffi_prep_cif(
    cif: *mut ffi_cif,
    abi: ffi_abi,
    nargs: c_uint,
    rtype: *mut ffi_type,
    atypes: *mut *mut ffi_type,
) -> ffi_status {
    // SAFETY: said by the caller.
    status(unsafe { prepare(cif, abi, None, nargs, rtype, atypes) })
}

/// Makes a `ffi_cif` ready for one kind of call of a variadic function: with `nfixedargs` arguments that have names, and
/// `ntotalargs` in all.
///
/// # Safety
/// As for [`ffi_prep_cif`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ffi_prep_cif_var(
    cif: *mut ffi_cif,
    abi: ffi_abi,
    nfixedargs: c_uint,
    ntotalargs: c_uint,
    rtype: *mut ffi_type,
    atypes: *mut *mut ffi_type,
) -> ffi_status {
    // SAFETY: said by the caller.
    status(unsafe { prepare(cif, abi, Some(nfixedargs), ntotalargs, rtype, atypes) })
}

/// # Safety
/// As for [`ffi_prep_cif`].
unsafe fn prepare(
    cif: *mut ffi_cif,
    abi: ffi_abi,
    fixed: Option<c_uint>,
    nargs: c_uint,
    rtype: *mut ffi_type,
    atypes: *mut *mut ffi_type,
) -> Result<()> {
    let convention = abi::convention(abi).ok_or(FFI_BAD_ABI)?;
    if nargs > 0 && atypes.is_null() {
        return Err(FFI_BAD_TYPEDEF);
    }
    // SAFETY: said by the caller.
    let arguments = unsafe { types(atypes, nargs) };
    let mut key = Key::new();
    key.push(u64::from(abi) | u64::from(nargs) << 8 | fixed.map_or(0, |fixed| u64::from(fixed) << 1 | 1) << 40);
    // SAFETY: said by the caller.
    unsafe {
        check(rtype, &mut key)?;
        for ty in arguments {
            check(*ty, &mut key)?;
        }
    }
    if let Some(fixed) = fixed {
        let tail = arguments.get(fixed as usize..).ok_or(FFI_BAD_ARGTYPE)?;
        // SAFETY: checked just now.
        if tail.iter().any(|ty| is_promoted(unsafe { (**ty).kind })) {
            return Err(FFI_BAD_ARGTYPE);
        }
    }
    // SAFETY: said by the caller; the types were checked.
    let prepared = Prepared::find_or_make(&key, || unsafe { signature(convention, fixed, rtype, arguments) })?;
    // SAFETY: said by the caller.
    unsafe { cif.write(ffi_cif { abi, nargs, arg_types: atypes, rtype, prepared }) };
    Ok(())
}

/// Whether C promotes variadic arguments of that kind (C11 6.5.2.2 p6), so that none can come.
fn is_promoted(kind: u16) -> bool {
    matches!(kind, kind::FLOAT | kind::UINT8 | kind::SINT8 | kind::UINT16 | kind::SINT16)
}

/// The engine's signature for checked types.
///
/// # Safety
/// They were checked.
unsafe fn signature(
    convention: Convention,
    fixed: Option<c_uint>,
    rtype: *mut ffi_type,
    arguments: &[*mut ffi_type],
) -> Result<Signature> {
    // SAFETY: said by the caller.
    let (result, types) = unsafe {
        let types = arguments.iter().map(|ty| describe_argument(*ty)).collect::<Result<Vec<_>>>()?;
        (describe(rtype)?, types)
    };
    let fixed_count = fixed.map_or(types.len(), |fixed| fixed as usize);
    let (named, tail) = types.split_at(fixed_count);
    let named = named.iter().cloned().map(Parameter::unnamed).collect();
    let signature = Signature::with_parameters(result, named).map_err(|_| FFI_BAD_TYPEDEF)?.with_convention(convention);
    if fixed.is_none() {
        return Ok(signature);
    }
    signature.variadic().with_tail(tail.iter().cloned()).map_err(|_| FFI_BAD_TYPEDEF)
}

/// Writes the distance of each element of a struct from its start, in bytes, and fills in its `ffi_type`.
///
/// # Safety
/// `struct_type` is a type that may be written to; there is room for as many offsets as it has elements.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ffi_get_struct_offsets(
    abi: ffi_abi,
    struct_type: *mut ffi_type,
    offsets: *mut usize,
) -> ffi_status {
    if abi::convention(abi).is_none() {
        return FFI_BAD_ABI;
    }
    // SAFETY: said by the caller.
    if unsafe { struct_type.as_ref() }.is_none_or(|ty| ty.kind != kind::STRUCT) {
        return FFI_BAD_TYPEDEF;
    }
    // SAFETY: said by the caller.
    status(unsafe { lay_out(struct_type, Some(offsets), 0) })
}
