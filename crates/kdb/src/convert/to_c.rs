//! q's values as arguments of C, and as results of callbacks.

use std::fmt::Write;
use std::mem::MaybeUninit;
use std::ptr;

use super::number;
use crate::error::{Fault, Result};
use crate::host::{K, kind};
use crate::letters::{Letter, Meaning, Scalar};

/// Texts that were copied for a call, which end in a zero byte. Short ones need no memory of their own.
pub(crate) struct Temporaries {
    short: [MaybeUninit<u8>; 256],
    used: usize,
    long: Vec<Box<[u8]>>,
}

impl Temporaries {
    pub(crate) fn new() -> Temporaries {
        Temporaries { short: [const { MaybeUninit::uninit() }; 256], used: 0, long: Vec::new() }
    }

    /// A copy with a zero byte behind it, for as long as this stays where it is.
    pub(crate) fn terminated(&mut self, text: &[u8]) -> *mut u8 {
        let size = text.len() + 1;
        let to = match self.short.get_mut(self.used..self.used + size) {
            Some(room) => {
                self.used += size;
                room.as_mut_ptr().cast::<u8>()
            }
            None => {
                self.long.push(vec![0; size].into_boxed_slice());
                self.long.last_mut().map_or(ptr::null_mut(), |copy| copy.as_mut_ptr())
            }
        };
        // SAFETY: there is room for the text and the zero.
        unsafe {
            to.copy_from_nonoverlapping(text.as_ptr(), text.len());
            to.add(text.len()).write(0);
        }
        to
    }
}

/// Says what a value is where it is not what was wanted: its type, and a number's value.
pub(crate) fn describe(value: K<'_>) -> String {
    let mut text = format!("{}h", value.t());
    if let Some(scalar) = atom(value) {
        // SAFETY: the atom has such a payload.
        let bits = unsafe { number::load(scalar, value.payload()) };
        // Writing to a string does not fail.
        let _ = write!(text, " {}", number::show(bits, scalar));
    }
    text
}

/// The value is of no type that is wanted.
pub(crate) fn mismatch(value: K<'_>) -> Fault {
    Fault::of_type(describe(value))
}

/// What an atom is, where it is a number.
#[inline]
pub(crate) fn atom(value: K<'_>) -> Option<Scalar> {
    Scalar::of_atom(value.t())
}

/// The bits of a number, of another type where that has it.
///
/// # Errors
/// `'type` where it has not.
#[inline]
pub(crate) fn scalar(value: K<'_>, to: Scalar) -> Result<u64> {
    let from = atom(value).ok_or_else(|| mismatch(value))?;
    // SAFETY: the atom has such a payload.
    let bits = unsafe { number::load(from, value.payload()) };
    number::convert(bits, from, to).ok_or_else(|| mismatch(value))
}

/// The word that is an argument: the bits of a number, an address. Callbacks are not made here.
///
/// # Errors
/// `'type`, where the value is not of the letter's type and cannot be made one without loss.
pub(crate) fn argument(letter: Letter, value: K<'_>, temporaries: &mut Temporaries) -> Result<u64> {
    match letter.meaning() {
        Meaning::Number(to, _) if value.is_atom() => scalar(value, to),
        Meaning::Size if value.is_atom() => scalar(value, Scalar::Long),
        // A vector where C has a word: the address of its elements, as in `memcpy` and `qsort`.
        Meaning::Size | Meaning::Number(Scalar::Long, _) => memory(value),
        Meaning::Raw => raw(value, temporaries),
        Meaning::Guid => guid(value),
        Meaning::Symbol => text(value, temporaries),
        Meaning::Callback => raw_callback(value),
        Meaning::Pointer(to) => pointer(to, value, temporaries),
        Meaning::Void | Meaning::Number(..) => Err(mismatch(value)),
    }
}

/// The word that is an address.
pub(crate) fn word<T>(address: *const T) -> u64 {
    address.expose_provenance() as u64
}

/// The address of a vector's elements, or what a foreign object points at; 0 for `::`.
fn memory(value: K<'_>) -> Result<u64> {
    if value.is_null() {
        return Ok(0);
    }
    if value.is_vector() {
        return Ok(word(value.elements()));
    }
    foreign(value)
}

fn foreign(value: K<'_>) -> Result<u64> {
    value.foreign().map(|at| word(at.cast_const())).ok_or_else(|| mismatch(value))
}

/// An address: a number, or what [`memory`] has, or a text.
fn raw(value: K<'_>, temporaries: &mut Temporaries) -> Result<u64> {
    match value.t() {
        t if t == -kind::SYMBOL => text(value, temporaries),
        t if t == -kind::GUID => Ok(word(value.payload())),
        // A char or a boolean is no address that anybody means.
        _ if atom(value) == Some(Scalar::Byte) => Err(mismatch(value)),
        t if t < 0 => scalar(value, Scalar::Long),
        _ => memory(value),
    }
}

fn guid(value: K<'_>) -> Result<u64> {
    match value.t() {
        t if t.abs() == kind::GUID => Ok(word(value.elements())),
        _ if value.is_null() => Ok(0),
        _ => foreign(value),
    }
}

/// A text that ends in a zero byte: a symbol's; a char vector's own where it has one at its end, so that C can write to
/// it; else a copy.
fn text(value: K<'_>, temporaries: &mut Temporaries) -> Result<u64> {
    match value.t() {
        t if t == -kind::SYMBOL => Ok(word(value.symbol().as_ptr())),
        kind::BOOLEAN | kind::BYTE | kind::CHAR => Ok(match value.bytes() {
            [.., 0] => word(value.elements()),
            text => word(temporaries.terminated(text)),
        }),
        _ if value.is_null() => Ok(0),
        _ => foreign(value),
    }
}

/// A function pointer that is one already.
fn raw_callback(value: K<'_>) -> Result<u64> {
    match value.t() {
        t if t == -kind::LONG => Ok(value.long() as u64),
        _ if value.is_null() => Ok(0),
        _ => foreign(value),
    }
}

/// The address of elements of that letter's type.
fn pointer(to: Letter, value: K<'_>, temporaries: &mut Temporaries) -> Result<u64> {
    let matches = match to.meaning() {
        Meaning::Number(Scalar::Byte, kind::CHAR) => return text(value, temporaries),
        Meaning::Number(scalar, _) => Scalar::of_type(value.t()) == Some(scalar),
        Meaning::Size | Meaning::Raw => Scalar::of_type(value.t()) == Some(Scalar::Long),
        Meaning::Guid => value.t() == kind::GUID,
        Meaning::Symbol => value.t() == kind::SYMBOL,
        Meaning::Callback => value.t() == kind::LIST,
        Meaning::Void | Meaning::Pointer(_) => false,
    };
    if matches {
        return Ok(word(value.elements()));
    }
    if value.is_null() { Ok(0) } else { foreign(value) }
}
