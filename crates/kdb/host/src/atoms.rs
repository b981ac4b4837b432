//! What makes atoms.

use std::ffi::{c_char, c_double, c_int, c_longlong};

use crate::object::{self, K};
use crate::symbols;

/// An atom of any type, its payload 0.
#[unsafe(no_mangle)]
extern "C" fn ka(kind: c_int) -> K {
    if kind == -c_int::from(object::GUID) { ku([0; 16].into()) } else { object::atom_of(kind as i8, 0_i64) }
}

/// A boolean.
#[unsafe(no_mangle)]
extern "C" fn kb(value: c_int) -> K {
    object::atom_of(-object::BOOLEAN, value as u8)
}

/// A guid's bytes, which C passes by value.
#[repr(C)]
struct Guid {
    bytes: [u8; 16],
}

impl From<[u8; 16]> for Guid {
    fn from(bytes: [u8; 16]) -> Guid {
        Guid { bytes }
    }
}

/// A guid: laid out as a vector of one.
#[unsafe(no_mangle)]
extern "C" fn ku(value: Guid) -> K {
    let guid = object::vector(-object::GUID, 1, 16);
    // SAFETY: a vector has room for one guid.
    unsafe { object::items::<Guid>(guid).write(value) };
    guid
}

/// A byte.
#[unsafe(no_mangle)]
extern "C" fn kg(value: c_int) -> K {
    object::atom_of(-object::BYTE, value as u8)
}

/// A short.
#[unsafe(no_mangle)]
extern "C" fn kh(value: c_int) -> K {
    object::atom_of(-object::SHORT, value as i16)
}

/// An int.
#[unsafe(no_mangle)]
extern "C" fn ki(value: c_int) -> K {
    object::atom_of(-object::INT, value)
}

/// A long.
#[unsafe(no_mangle)]
extern "C" fn kj(value: c_longlong) -> K {
    object::atom_of(-object::LONG, value)
}

/// A real.
#[unsafe(no_mangle)]
extern "C" fn ke(value: c_double) -> K {
    object::atom_of(-object::REAL, value as f32)
}

/// A float.
#[unsafe(no_mangle)]
extern "C" fn kf(value: c_double) -> K {
    object::atom_of(-object::FLOAT, value)
}

/// A char.
#[unsafe(no_mangle)]
extern "C" fn kc(value: c_int) -> K {
    object::atom_of(-object::CHAR, value as u8)
}

/// A symbol.
///
/// # Safety
/// The text is a string of C's.
#[unsafe(no_mangle)]
unsafe extern "C" fn ks(text: *const c_char) -> K {
    // SAFETY: said by the caller.
    object::atom_of(-object::SYMBOL, unsafe { symbols::ss(text) })
}

/// A date: days from 2000.01.01.
#[unsafe(no_mangle)]
extern "C" fn kd(days: c_int) -> K {
    object::atom_of(-object::DATE, days)
}

/// A datetime: days from 2000.01.01.
#[unsafe(no_mangle)]
extern "C" fn kz(days: c_double) -> K {
    object::atom_of(-object::DATETIME, days)
}

/// A time: milliseconds.
#[unsafe(no_mangle)]
extern "C" fn kt(milliseconds: c_int) -> K {
    object::atom_of(-object::TIME, milliseconds)
}

/// A timestamp or a timespan: nanoseconds.
#[unsafe(no_mangle)]
extern "C" fn ktj(kind: c_int, nanoseconds: c_longlong) -> K {
    object::atom_of(kind as i8, nanoseconds)
}
