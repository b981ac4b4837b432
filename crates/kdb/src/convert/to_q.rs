//! C's values as q has them: results, arguments of callbacks, variables.

use std::ffi::{CStr, c_char};
use std::ptr;

use super::number;
use crate::error::{Fault, Result};
use crate::host::object::interned;
use crate::host::{K, Object, Owned, api, kind};
use crate::letters::{Letter, Meaning, Scalar, element_size};

/// The object of a value in memory; null, which q takes for `::`, for `void`.
///
/// # Safety
/// A value of the letter's C type is there, and what it points at, where it is a pointer that is followed.
///
/// # Errors
/// `'type`, where a pointer to nothing has no null in q.
pub(crate) unsafe fn read(letter: Letter, at: *const u8) -> Result<*mut Object> {
    let address = || {
        // SAFETY: said by the caller.
        unsafe { at.cast::<*mut u8>().read_unaligned() }
    };
    Ok(match letter.meaning() {
        Meaning::Void => ptr::null_mut(),
        // SAFETY: said by the caller.
        Meaning::Number(scalar, t) => unsafe { number(scalar, t, at) },
        // SAFETY: as above.
        Meaning::Size | Meaning::Raw => unsafe { number(Scalar::Long, kind::LONG, at) },
        // SAFETY: as above.
        Meaning::Guid => unsafe { guid(address()) },
        // SAFETY: as above.
        Meaning::Symbol => unsafe { symbol(address()) },
        // C gives the reference away, as q's own functions do.
        Meaning::Callback => address().cast(),
        // SAFETY: as above.
        Meaning::Pointer(to) => return unsafe { pointed(to, address()) },
    })
}

/// `::`.
pub(crate) fn identity() -> Owned {
    // SAFETY: q's first unary primitive has the number 0.
    unsafe {
        let identity = (api().ka)(kind::UNARY.into());
        K::new(identity).payload().cast::<u64>().write(0);
        Owned::new(identity)
    }
}

/// A number's atom.
///
/// # Safety
/// As for [`read`].
#[inline]
pub(crate) unsafe fn number(scalar: Scalar, t: i8, at: *const u8) -> *mut Object {
    // SAFETY: said by the caller.
    let bits = unsafe { number::load(scalar, at) };
    atom(scalar, t, bits)
}

/// An atom of that type.
#[inline]
pub(crate) fn atom(scalar: Scalar, t: i8, bits: u64) -> *mut Object {
    let api = api();
    // SAFETY: `ka` makes any atom; the payload is then written as wide as it is.
    unsafe {
        if t == kind::BOOLEAN {
            return (api.kb)((bits as u8 != 0).into());
        }
        let atom = (api.ka)((-t).into());
        write(scalar, K::new(atom).payload(), bits);
        atom
    }
}

/// A list of values; a vector, as q makes of its lists, where all are atoms of one type.
pub(crate) fn collapsed(items: Vec<Owned>) -> Owned {
    let t = items.first().map_or(kind::LIST, |first| first.t());
    if !(-kind::TIME..0).contains(&t) || items.iter().any(|item| item.t() != t) {
        return Owned::list(items);
    }
    let (vector, size) = (Owned::vector(-t, items.len()), element_size(-t));
    for (index, item) in items.iter().enumerate() {
        // SAFETY: the vector has room for each, as wide as the payload of its atoms.
        unsafe { vector.elements().add(index * size).copy_from_nonoverlapping(item.payload(), size) };
    }
    vector
}

/// Writes the bits of a number.
///
/// # Safety
/// There is room for it.
#[inline]
pub(crate) unsafe fn write(scalar: Scalar, at: *mut u8, bits: u64) {
    // SAFETY: said by the caller.
    unsafe {
        match scalar {
            Scalar::Byte => at.write(bits as u8),
            Scalar::Short => at.cast::<u16>().write_unaligned(bits as u16),
            Scalar::Int | Scalar::Real => at.cast::<u32>().write_unaligned(bits as u32),
            Scalar::Long | Scalar::Float => at.cast::<u64>().write_unaligned(bits),
        }
    }
}

/// The guid of 16 bytes; null for no bytes.
///
/// # Safety
/// They are there, where the address is not null.
pub(crate) unsafe fn guid(bytes: *const u8) -> *mut Object {
    // SAFETY: the atom has 16 bytes.
    unsafe {
        let atom = (api().ka)((-kind::GUID).into());
        let to = K::new(atom).payload();
        match bytes.is_null() {
            true => to.write_bytes(0, 16),
            false => to.copy_from_nonoverlapping(bytes, 16),
        }
        atom
    }
}

/// A text; an empty one for none.
///
/// # Safety
/// It ends in a zero byte, where the address is not null.
unsafe fn text<'a>(address: *const u8) -> &'a CStr {
    if address.is_null() {
        return c"";
    }
    // SAFETY: said by the caller.
    unsafe { CStr::from_ptr(address.cast::<c_char>()) }
}

/// The symbol of a text; the null symbol for none.
///
/// # Safety
/// As for [`text`].
pub(crate) unsafe fn symbol(address: *const u8) -> *mut Object {
    // SAFETY: said by the caller.
    unsafe { (api().ks)(interned(text(address))) }
}

/// What a pointer points at: of chars the text, else one value; the null of its type where it points at nothing.
///
/// # Safety
/// As for [`read`].
///
/// # Errors
/// `'type` where the type has no null.
pub(crate) unsafe fn pointed(to: Letter, address: *const u8) -> Result<*mut Object> {
    if to.meaning() == Meaning::Number(Scalar::Byte, kind::CHAR) {
        // SAFETY: said by the caller.
        return Ok(Owned::text(unsafe { text(address) }.to_bytes()).into_raw());
    }
    if address.is_null() {
        return null(to);
    }
    if to.meaning() == Meaning::Guid {
        // As the elements of a vector of guids, which the letter passes to C, are the bytes themselves.
        // SAFETY: said by the caller.
        return Ok(unsafe { guid(address) });
    }
    if to.meaning() == Meaning::Callback {
        // A value that C keeps: q gets a reference of its own.
        // SAFETY: said by the caller.
        let value = unsafe { address.cast::<*mut Object>().read_unaligned() };
        // SAFETY: a value of q's, where it is not null.
        return Ok(if value.is_null() { value } else { unsafe { (api().r1)(value) } });
    }
    // SAFETY: said by the caller.
    unsafe { read(to, address) }
}

/// The null of a letter's type.
///
/// # Errors
/// `'type` where it has none.
pub(crate) fn null(letter: Letter) -> Result<*mut Object> {
    Ok(match letter.meaning() {
        Meaning::Number(scalar, t) => atom(scalar, t, null_bits(scalar)),
        Meaning::Size | Meaning::Raw => atom(Scalar::Long, kind::LONG, null_bits(Scalar::Long)),
        // SAFETY: nothing is there to be read.
        Meaning::Guid => unsafe { guid(ptr::null()) },
        // SAFETY: as above.
        Meaning::Symbol => unsafe { symbol(ptr::null()) },
        Meaning::Callback => ptr::null_mut(),
        Meaning::Void | Meaning::Pointer(_) => return Err(Fault::of_type(format!("no value of {letter} is null"))),
    })
}

/// The bits of a null: 0 for what has none.
fn null_bits(scalar: Scalar) -> u64 {
    match scalar {
        Scalar::Byte => 0,
        Scalar::Short => i16::MIN as u64,
        Scalar::Int => i32::MIN as u64,
        Scalar::Long => i64::MIN as u64,
        // q's own null: the quiet NaN whose sign bit is set.
        Scalar::Real => 0xffc0_0000,
        Scalar::Float => 0xfff8_0000_0000_0000,
    }
}
