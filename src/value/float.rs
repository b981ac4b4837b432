//! `_Float16` and `long double`, which Rust has no stable types for.

use std::fmt;

use crate::types::Arch;

/// `_Float16`: IEEE 754 binary16, as its bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct F16(pub u16);

impl F16 {
    /// Rounds to nearest, ties to even; what is too large becomes infinite.
    pub fn from_f64(value: f64) -> F16 {
        F16(round_to(value, 5, 10) as u16)
    }

    /// The same value as a `double`: exact.
    pub fn to_f64(self) -> f64 {
        let sign = if self.0 >> 15 == 1 { -1.0 } else { 1.0 };
        let exponent = i32::from(self.0 >> 10 & 0x1f);
        let fraction = f64::from(self.0 & 0x3ff);
        sign * match exponent {
            0 => fraction * 2f64.powi(-24),
            31 if fraction == 0.0 => f64::INFINITY,
            31 => f64::NAN,
            _ => (1024.0 + fraction) * 2f64.powi(exponent - 25),
        }
    }
}

impl fmt::Display for F16 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The shortest decimal that is nearest to this binary16 and to no other.
        let exact = self.to_f64();
        let shortest = (0..17).map(|digits| format!("{exact:.digits$e}").parse::<f64>().unwrap_or(exact));
        let value = shortest.into_iter().find(|value| F16::from_f64(*value) == *self);
        display(value.unwrap_or(exact), f)
    }
}

/// Rounds a `double` to a smaller IEEE 754 format with that many bits of exponent and of fraction.
fn round_to(value: f64, exponent_bits: u32, fraction_bits: u32) -> u64 {
    let bits = value.to_bits();
    let sign = bits >> 63 << (exponent_bits + fraction_bits);
    let greatest = (1 << exponent_bits) - 1;
    if value.is_nan() {
        return sign | greatest << fraction_bits | 1 << (fraction_bits - 1);
    }
    let bias = (1i64 << (exponent_bits - 1)) - 1;
    let magnitude = value.abs();
    let exponent = ((bits >> 52 & 0x7ff) as i64 - 1023).max(1 - bias);
    // Scaled so that one unit is one of the last place, then rounded by the addition of 2^52.
    let scaled = if exponent > bias + 1 {
        f64::INFINITY
    } else {
        magnitude * 2f64.powi((i64::from(fraction_bits) - exponent) as i32)
    };
    let limit = (1u64 << (fraction_bits + 1)) as f64;
    if scaled > 2.0 * limit {
        return sign | greatest << fraction_bits;
    }
    let units = (scaled + 2f64.powi(52) - 2f64.powi(52)) as u64;
    // Units from 2^fraction_bits on carry into the exponent by themselves.
    let encoded = (((exponent + bias - 1) as u64) << fraction_bits) + units;
    sign | encoded.min(greatest << fraction_bits)
}

/// `long double`: 16 bytes in this machine's format, x87 extended precision (10 bytes and padding) on x86_64, IEEE 754
/// binary128 on AArch64.
#[derive(Clone, Copy)]
pub struct LongDouble([u8; 16]);

/// The bits of a value: sign, biased exponent of 15 bits, and the fraction below the leading bit, left-aligned in 112.
struct Parts {
    negative: bool,
    exponent: u16,
    fraction: u128,
}

const FRACTION: u32 = 112;
const GREATEST: u16 = 0x7fff;
const BIAS: i32 = 16383;

impl LongDouble {
    /// From C's own bytes; padding is ignored.
    pub fn from_bytes(mut bytes: [u8; 16]) -> LongDouble {
        if Arch::HOST == Arch::X86_64 {
            bytes[10..].fill(0);
        }
        LongDouble(bytes)
    }

    /// C's own bytes; padding is zero.
    pub fn to_bytes(self) -> [u8; 16] {
        self.0
    }

    /// The same value: exact.
    pub fn from_f64(value: f64) -> LongDouble {
        let bits = value.to_bits();
        let fraction = u128::from(bits & ((1 << 52) - 1));
        let (exponent, fraction) = match (bits >> 52 & 0x7ff) as i32 {
            0x7ff => (GREATEST, fraction << (FRACTION - 52)),
            0 if fraction == 0 => (0, 0),
            0 => {
                // A subnormal double is a normal long double.
                let top = 127 - fraction.leading_zeros();
                ((BIAS - 1074 + top as i32) as u16, (fraction << (FRACTION - top)) & ((1 << FRACTION) - 1))
            }
            exponent => ((exponent - 1023 + BIAS) as u16, fraction << (FRACTION - 52)),
        };
        LongDouble::join(&Parts { negative: bits >> 63 == 1, exponent, fraction })
    }

    /// The same integer, where the format holds it: 64 bits of precision on x86_64, 113 on AArch64.
    pub fn from_integer(value: i128) -> Option<LongDouble> {
        LongDouble::from_whole(value < 0, value.unsigned_abs())
    }

    /// The same for a sign and a magnitude.
    pub(super) fn from_whole(negative: bool, magnitude: u128) -> Option<LongDouble> {
        if magnitude == 0 {
            return Some(LongDouble::from_f64(0.0));
        }
        let top = 127 - magnitude.leading_zeros();
        let precision = if Arch::HOST == Arch::X86_64 { 64 } else { 113 };
        if top - magnitude.trailing_zeros() >= precision {
            return None;
        }
        let fraction = if top <= FRACTION { magnitude << (FRACTION - top) } else { magnitude >> (top - FRACTION) };
        let exponent = (BIAS + top as i32) as u16;
        Some(LongDouble::join(&Parts { negative, exponent, fraction: fraction & ((1 << FRACTION) - 1) }))
    }

    /// Sign and magnitude, where it is an integer of at most 128 bits.
    pub(super) fn to_whole(self) -> Option<(bool, u128)> {
        let Parts { negative, exponent, fraction } = self.split();
        let top = i32::from(exponent) - BIAS;
        match top {
            _ if exponent == 0 && fraction == 0 => Some((negative, 0)),
            ..0 | 128.. => None,
            _ => {
                let significand = 1 << FRACTION | fraction;
                let shift = top.abs_diff(FRACTION as i32);
                let integral = top >= FRACTION as i32 || significand & ((1 << shift) - 1) == 0;
                let magnitude = if top < FRACTION as i32 { significand >> shift } else { significand << shift };
                integral.then_some((negative, magnitude))
            }
        }
    }

    /// The nearest `double`, ties to even; what is too large becomes infinite.
    pub fn to_f64(self) -> f64 {
        let Parts { negative, exponent, fraction } = self.split();
        let magnitude = match exponent {
            GREATEST if fraction == 0 => f64::INFINITY,
            GREATEST => f64::NAN,
            0 => 0.0, // a subnormal long double is far below the smallest double
            _ => scale(1 << FRACTION | fraction, i32::from(exponent) - BIAS - FRACTION as i32),
        };
        if negative { -magnitude } else { magnitude }
    }

    /// A `double` that rounds to a format of at most 51 bits of precision as this value does: of the two next to it,
    /// where there is none that equals it, the one with an odd significand.
    pub(super) fn to_f64_odd(self) -> f64 {
        let near = self.to_f64();
        let (bits, back) = (near.to_bits(), LongDouble::from_f64(near));
        if near.is_nan() || back == self || bits & 1 == 1 {
            return near;
        }
        f64::from_bits(if self.magnitude_bits() > back.magnitude_bits() { bits + 1 } else { bits - 1 })
    }

    /// Bits that order values of one sign.
    fn magnitude_bits(self) -> u128 {
        let sign = if Arch::HOST == Arch::X86_64 { 79 } else { 127 };
        u128::from_le_bytes(self.0) & !(1 << sign)
    }

    /// Whether it is an infinity.
    pub fn is_infinite(self) -> bool {
        let Parts { exponent, fraction, .. } = self.split();
        exponent == GREATEST && fraction == 0
    }

    fn split(self) -> Parts {
        let bits = u128::from_le_bytes(self.0);
        if Arch::HOST == Arch::X86_64 {
            // The leading bit is explicit: bit 63.
            let fraction = (bits & ((1 << 63) - 1)) << (FRACTION - 63);
            return Parts { negative: bits >> 79 & 1 == 1, exponent: (bits >> 64) as u16 & GREATEST, fraction };
        }
        let fraction = bits & ((1 << FRACTION) - 1);
        Parts { negative: bits >> 127 == 1, exponent: (bits >> FRACTION) as u16 & GREATEST, fraction }
    }

    fn join(parts: &Parts) -> LongDouble {
        let sign = u128::from(parts.negative);
        let exponent = u128::from(parts.exponent);
        let bits = if Arch::HOST == Arch::X86_64 {
            let leading = u128::from(parts.exponent != 0);
            sign << 79 | exponent << 64 | leading << 63 | parts.fraction >> (FRACTION - 63)
        } else {
            sign << 127 | exponent << FRACTION | parts.fraction
        };
        LongDouble(bits.to_le_bytes())
    }
}

/// `significand * 2^exponent`, rounded once, to nearest.
fn scale(significand: u128, exponent: i32) -> f64 {
    // 2^113 and less, so the sum of exponents tells where the double's last place is.
    let top = 127 - significand.leading_zeros() as i32 + exponent;
    let dropped = 112 - if top < -1022 { (52 + top + 1022).max(-1) } else { 52 };
    let units = significand >> dropped;
    let rest = significand & ((1 << dropped) - 1);
    let half = 1u128 << (dropped - 1);
    let up = rest > half || (rest == half && units & 1 == 1);
    // At most 2^53, so the conversion and the multiplications are exact, but for overflow to infinity.
    let value = (units + u128::from(up)) as f64;
    let power = exponent + dropped;
    let first = power.clamp(-1000, 1000);
    value * 2f64.powi(first) * 2f64.powi((power - first).clamp(-1000, 1000))
}

impl PartialEq for LongDouble {
    /// As bits, padding aside: a NaN equals itself, and the zeros differ.
    fn eq(&self, other: &LongDouble) -> bool {
        self.0 == other.0
    }
}

impl fmt::Debug for LongDouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LongDouble({self})")
    }
}

impl fmt::Display for LongDouble {
    /// The nearest `double`'s digits.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        display(self.to_f64(), f)
    }
}

/// The shortest digits that read back as the same value, with an exponent where the number is very large or small.
pub(super) fn display<T: Into<f64> + Copy + fmt::Display + fmt::LowerExp>(
    value: T,
    f: &mut fmt::Formatter<'_>,
) -> fmt::Result {
    let magnitude = value.into().abs();
    match magnitude {
        _ if magnitude.is_nan() => f.write_str("nan"),
        _ if magnitude != 0.0 && magnitude.is_finite() && !(1e-5..1e17).contains(&magnitude) => write!(f, "{value:e}"),
        _ => write!(f, "{value}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn binary16_round_trips() {
        for bits in 0..=u16::MAX {
            let value = F16(bits);
            if !value.to_f64().is_nan() {
                assert_eq!(F16::from_f64(value.to_f64()), value, "{bits:#06x}");
            }
        }
    }

    #[test]
    fn binary16_rounds_to_nearest_even() {
        for (value, bits) in [
            (65504.0, 0x7bff),
            (65519.9, 0x7bff),
            (65520.0, 0x7c00),
            (1e300, 0x7c00),
            (-1e-30, 0x8000),
            (2f64.powi(-25), 0x0000),
            (2f64.powi(-25) * 1.1, 0x0001),
            (2049.0, 0x6800),
            (2051.0, 0x6802),
            (0.1, 0x2e66),
            (6.1005e-5, 0x03ff),
            (6.1035e-5, 0x0400),
        ] {
            assert_eq!(F16::from_f64(value).0, bits, "{value}");
        }
        assert_eq!(F16::from_f64(0.1).to_string(), "0.1");
    }

    #[test]
    fn doubles_pass_through_long_double() {
        let values = [0.0, -0.0, 1.0, -2.5, 0.1, 1e308, f64::MAX, f64::MIN_POSITIVE, 5e-324, 3e-310, f64::INFINITY];
        for value in values {
            let back = LongDouble::from_f64(value).to_f64();
            assert_eq!(back.to_bits(), value.to_bits(), "{value:e}");
        }
        assert!(LongDouble::from_f64(f64::NAN).to_f64().is_nan());
    }

    #[test]
    fn long_double_rounds_to_double() {
        let next = LongDouble::from_integer((1 << 53) + 1).unwrap();
        assert_eq!(next.to_f64(), 2f64.powi(53), "a tie goes to the even one");
        let more = LongDouble::from_integer((1 << 54) + 3).unwrap();
        assert_eq!(more.to_f64(), 2f64.powi(54) + 4.0);
        assert_eq!(LongDouble::from_integer(-7).unwrap().to_f64(), -7.0);
        assert_eq!(LongDouble::from_integer(i128::MAX), None);
        assert!(LongDouble::from_integer(u64::MAX.into()).is_some());
    }

    #[test]
    fn long_double_rounds_once() {
        // Halfway between two floats, but for a bit that a double does not hold.
        let halfway = 1i128 << 60 | 1 << 36;
        for (value, expected) in [(halfway, 1u64 << 60), (halfway + 1, 1 << 60 | 1 << 37), (halfway - 1, 1 << 60)] {
            let long = LongDouble::from_integer(value).unwrap();
            assert_eq!(long.to_f64_odd() as f32, expected as f32, "{value}");
            assert_eq!(LongDouble::from_integer(-value).unwrap().to_f64_odd() as f32, -(expected as f32), "-{value}");
        }
    }

    #[test]
    fn long_double_holds_integers() {
        for value in [0, 1, -1, 3, -(1 << 53) - 1, u64::MAX.into(), i128::MIN, 1 << 126, i128::from(u64::MAX) << 60] {
            let long = LongDouble::from_integer(value).unwrap();
            assert_eq!(long.to_whole(), Some((value < 0, value.unsigned_abs())), "{value}");
        }
        for value in [0.5, -1.5, 2f64.powi(128), f64::INFINITY, f64::NAN, 5e-324] {
            assert_eq!(LongDouble::from_f64(value).to_whole(), None, "{value}");
        }
        assert_eq!(LongDouble::from_f64(2f64.powi(127)).to_whole(), Some((false, 1 << 127)));
    }
}
