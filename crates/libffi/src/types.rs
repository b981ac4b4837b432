//! `ffi_type`: how libffi's clients describe a C type, and the objects for C's own types.
//!
//! Programs that are linked at a fixed address have copies of these objects, so a type is known by what it says, never by
//! where it is.

use std::ptr;
use std::sync::atomic::{AtomicU16, AtomicUsize, Ordering};

/// Kinds of types: what [`ffi_type::kind`] says.
pub mod kind {
    /// `void`.
    pub const VOID: u16 = 0;
    /// `int`.
    pub const INT: u16 = 1;
    /// `float`.
    pub const FLOAT: u16 = 2;
    /// `double`.
    pub const DOUBLE: u16 = 3;
    /// `long double`.
    pub const LONGDOUBLE: u16 = 4;
    /// `uint8_t`.
    pub const UINT8: u16 = 5;
    /// `int8_t`.
    pub const SINT8: u16 = 6;
    /// `uint16_t`.
    pub const UINT16: u16 = 7;
    /// `int16_t`.
    pub const SINT16: u16 = 8;
    /// `uint32_t`.
    pub const UINT32: u16 = 9;
    /// `int32_t`.
    pub const SINT32: u16 = 10;
    /// `uint64_t`.
    pub const UINT64: u16 = 11;
    /// `int64_t`.
    pub const SINT64: u16 = 12;
    /// A struct of the elements.
    pub const STRUCT: u16 = 13;
    /// A pointer.
    pub const POINTER: u16 = 14;
    /// `_Complex` of the first element.
    pub const COMPLEX: u16 = 15;
    /// `unsigned __int128`.
    pub const UINT128: u16 = 16;
    /// `__int128`.
    pub const SINT128: u16 = 17;
    /// A vector of the elements, which are all of one type.
    pub const VECTOR: u16 = 18;

    /// Whether types of that kind are made of elements.
    pub(crate) const fn has_elements(kind: u16) -> bool {
        matches!(kind, STRUCT | COMPLEX | VECTOR)
    }
}

/// A C type, as libffi's clients describe it.
#[derive(Debug)]
#[repr(C)]
pub struct ffi_type {
    /// In bytes; 0 where it is still to be found out from the elements.
    pub size: usize,
    /// In bytes.
    pub alignment: u16,
    /// One of the constants of [`kind`].
    pub kind: u16,
    /// The types of the parts, and a null pointer behind them.
    pub elements: *mut *mut ffi_type,
}

// SAFETY: the statics below are never written.
unsafe impl Sync for ffi_type {}

impl ffi_type {
    const fn scalar(kind: u16, size: usize, alignment: u16) -> ffi_type {
        ffi_type { size, alignment, kind, elements: ptr::null_mut() }
    }

    /// Writes a size that was found out. Threads that find it out at a time write the same.
    ///
    /// # Safety
    /// The type is there, and may be written to.
    pub(crate) unsafe fn set_layout(this: *mut ffi_type, size: usize, alignment: u16) {
        // SAFETY: said by the caller.
        unsafe {
            AtomicU16::from_ptr(&raw mut (*this).alignment).store(alignment, Ordering::Relaxed);
            AtomicUsize::from_ptr(&raw mut (*this).size).store(size, Ordering::Release);
        }
    }

    /// Its size and alignment.
    ///
    /// # Safety
    /// The type is there.
    pub(crate) unsafe fn layout(this: *mut ffi_type) -> (usize, u16) {
        // SAFETY: said by the caller.
        unsafe {
            let size = AtomicUsize::from_ptr(&raw mut (*this).size).load(Ordering::Acquire);
            (size, AtomicU16::from_ptr(&raw mut (*this).alignment).load(Ordering::Relaxed))
        }
    }
}

macro_rules! scalars {
    ($($name:ident: $kind:ident, $size:literal, $what:literal;)*) => { $(
        #[doc = concat!("`", $what, "`.")]
        #[unsafe(no_mangle)]
        pub static $name: ffi_type = ffi_type::scalar(kind::$kind, $size, $size);
    )* };
}

/// `void`, which has a size for libffi.
#[unsafe(no_mangle)]
pub static ffi_type_void: ffi_type = ffi_type::scalar(kind::VOID, 1, 1);

scalars! {
    ffi_type_uint8: UINT8, 1, "uint8_t";
    ffi_type_sint8: SINT8, 1, "int8_t";
    ffi_type_uint16: UINT16, 2, "uint16_t";
    ffi_type_sint16: SINT16, 2, "int16_t";
    ffi_type_uint32: UINT32, 4, "uint32_t";
    ffi_type_sint32: SINT32, 4, "int32_t";
    ffi_type_uint64: UINT64, 8, "uint64_t";
    ffi_type_sint64: SINT64, 8, "int64_t";
    ffi_type_uint128: UINT128, 16, "unsigned __int128";
    ffi_type_sint128: SINT128, 16, "__int128";
    ffi_type_float: FLOAT, 4, "float";
    ffi_type_double: DOUBLE, 8, "double";
    ffi_type_longdouble: LONGDOUBLE, 16, "long double";
    ffi_type_pointer: POINTER, 8, "void *";
}

/// The elements of a complex type.
#[repr(transparent)]
struct Elements([*const ffi_type; 2]);

// SAFETY: never written.
unsafe impl Sync for Elements {}

macro_rules! complex {
    ($($name:ident, $elements:ident: $part:ident, $size:literal, $what:literal;)*) => { $(
        static $elements: Elements = Elements([&raw const $part, ptr::null()]);

        #[doc = concat!("`", $what, "`.")]
        #[unsafe(no_mangle)]
        pub static $name: ffi_type = ffi_type {
            size: 2 * $size,
            alignment: $size,
            kind: kind::COMPLEX,
            elements: (&raw const $elements).cast_mut().cast(),
        };
    )* };
}

complex! {
    ffi_type_complex_float, FLOAT_PARTS: ffi_type_float, 4, "float _Complex";
    ffi_type_complex_double, DOUBLE_PARTS: ffi_type_double, 8, "double _Complex";
    ffi_type_complex_longdouble, LONG_DOUBLE_PARTS: ffi_type_longdouble, 16, "long double _Complex";
}
