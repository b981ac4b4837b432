//! Numbers from one C type to another, without loss or not at all.
//!
//! Values of one C type pass as they are, nulls and infinities with them. Between types: integers into any width that holds
//! them, integers into floats that represent them, integral floats into integers, `real` into `float`, and `float` into
//! `real` rounded to the nearest, as C converts, unless that overflows. A null is no number: it passes within its own type
//! alone.

use crate::letters::Scalar;

/// A number that is not null.
enum Number {
    Integer(i64),
    Float(f64),
}

/// The integer up to which doubles, and floats, represent all.
const DOUBLE_EXACT: u64 = 1 << f64::MANTISSA_DIGITS;
const FLOAT_EXACT: u64 = 1 << f32::MANTISSA_DIGITS;

/// The bits of a number of that type, in a word: integers extended, floats in the lower half.
///
/// # Safety
/// One is there.
#[inline]
pub(crate) unsafe fn load(from: Scalar, at: *const u8) -> u64 {
    // SAFETY: said by the caller.
    unsafe {
        match from {
            Scalar::Byte => u64::from(at.read()),
            Scalar::Short => i64::from(at.cast::<i16>().read_unaligned()) as u64,
            Scalar::Int => i64::from(at.cast::<i32>().read_unaligned()) as u64,
            Scalar::Real => u64::from(at.cast::<u32>().read_unaligned()),
            Scalar::Long | Scalar::Float => at.cast::<u64>().read_unaligned(),
        }
    }
}

/// The same number of another type; `None` where that has no such number.
#[inline]
pub(crate) fn convert(bits: u64, from: Scalar, to: Scalar) -> Option<u64> {
    if from == to { Some(bits) } else { convert_between(bits, from, to) }
}

fn convert_between(bits: u64, from: Scalar, to: Scalar) -> Option<u64> {
    match (number(bits, from)?, to) {
        (Number::Integer(value), Scalar::Byte) => u8::try_from(value).ok().map(u64::from),
        (Number::Integer(value), Scalar::Short) => i16::try_from(value).ok().map(|_| value as u64),
        (Number::Integer(value), Scalar::Int) => i32::try_from(value).ok().map(|_| value as u64),
        (Number::Integer(value), Scalar::Long) => Some(value as u64),
        (Number::Integer(value), Scalar::Real) => {
            (value.unsigned_abs() <= FLOAT_EXACT).then(|| u64::from((value as f32).to_bits()))
        }
        (Number::Integer(value), Scalar::Float) => {
            (value.unsigned_abs() <= DOUBLE_EXACT).then(|| (value as f64).to_bits())
        }
        (Number::Float(value), Scalar::Float) => Some(value.to_bits()),
        (Number::Float(value), Scalar::Real) => {
            let rounded = value as f32;
            (rounded.is_finite() || value.is_infinite()).then(|| u64::from(rounded.to_bits()))
        }
        (Number::Float(value), integer) => {
            // 2^63 is the first double that no long holds; the conversion below saturates.
            let is_integral =
                value.fract() == 0.0 && (-9_223_372_036_854_775_808.0..9_223_372_036_854_775_808.0).contains(&value);
            convert_between(if is_integral { value as i64 as u64 } else { return None }, Scalar::Long, integer).or_else(
                || {
                    // The least long is a null in q, but this one was a float.
                    (integer == Scalar::Long).then_some(value as i64 as u64)
                },
            )
        }
    }
}

/// What the bits are; `None` of a null.
fn number(bits: u64, from: Scalar) -> Option<Number> {
    let integer = bits as i64;
    match from {
        Scalar::Byte => Some(Number::Integer(integer)),
        Scalar::Short => (integer != i64::from(i16::MIN)).then_some(Number::Integer(integer)),
        Scalar::Int => (integer != i64::from(i32::MIN)).then_some(Number::Integer(integer)),
        Scalar::Long => (integer != i64::MIN).then_some(Number::Integer(integer)),
        Scalar::Real => {
            let value = f32::from_bits(bits as u32);
            (!value.is_nan()).then_some(Number::Float(value.into()))
        }
        Scalar::Float => {
            let value = f64::from_bits(bits);
            (!value.is_nan()).then_some(Number::Float(value))
        }
    }
}

/// The bits of a number as C passes it behind `...`: a float is a double there, integers are extended in their words anyway.
#[inline]
pub(crate) fn promoted(bits: u64, scalar: Scalar) -> u64 {
    match scalar {
        Scalar::Real => f64::from(f32::from_bits(bits as u32)).to_bits(),
        _ => bits,
    }
}

/// The number as text, for errors.
pub(crate) fn show(bits: u64, from: Scalar) -> String {
    match number(bits, from) {
        None => "null".to_owned(),
        Some(Number::Integer(value)) => value.to_string(),
        // As q does, where the digits would be many.
        Some(Number::Float(value)) if value.is_finite() && value.abs() >= 1e17 => format!("{value:e}"),
        Some(Number::Float(value)) => value.to_string(),
    }
}
