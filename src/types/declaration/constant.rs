//! Integer constant expressions (C11 6.6): array lengths, bit-field widths, enum constants.

use super::fault::{Blame as _, Fault, Result, Span};
use super::lexer::{Kind, Token};
use super::parser::Parser;
use crate::types::{Arch, Integer, layout};

/// The value of a constant expression with its C type, which decides how arithmetic on it behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Constant {
    pub(super) value: i128,
    signed: bool,
    /// 32 or 64.
    bits: u32,
}

impl Constant {
    const INT: Constant = Constant { value: 0, signed: true, bits: 32 };
    const SIZE: Constant = Constant { value: 0, signed: false, bits: 64 };

    /// The value in the first of `int`, `unsigned int`, `long` and `unsigned long` that holds it.
    pub(super) fn of(value: i128) -> Option<Constant> {
        let fits = |signed, bits| Constant { value, signed, bits }.in_range();
        fits(true, 32).or_else(|| fits(false, 32)).or_else(|| fits(true, 64)).or_else(|| fits(false, 64))
    }

    /// The constant, if its type holds its value.
    fn in_range(self) -> Option<Constant> {
        let (low, high) = match self.signed {
            true => (-(1_i128 << (self.bits - 1)), (1_i128 << (self.bits - 1)) - 1),
            false => (0, (1_i128 << self.bits) - 1),
        };
        (low..=high).contains(&self.value).then_some(self)
    }

    /// Another value of the same type: unsigned arithmetic wraps (C11 6.2.5 p9), signed arithmetic may not overflow.
    fn with(self, value: i128) -> Option<Constant> {
        let value = if self.signed { value } else { value & ((1_i128 << self.bits) - 1) };
        Constant { value, ..self }.in_range()
    }

    /// The usual arithmetic conversions (C11 6.3.1.8).
    fn convert(self, other: Constant) -> (Constant, Constant) {
        let common = match self.bits.cmp(&other.bits) {
            std::cmp::Ordering::Greater => self,
            std::cmp::Ordering::Less => other,
            std::cmp::Ordering::Equal => Constant { signed: self.signed && other.signed, ..self },
        };
        let convert = |value| common.with(value).unwrap_or(Constant { value, ..common });
        (convert(self.value), convert(other.value))
    }
}

impl<'t> Parser<'t> {
    /// A whole constant expression, with its place.
    pub(super) fn constant(&mut self) -> Result<(Constant, Span)> {
        let start = self.cursor.peek().span;
        let constant = self.binary(0)?;
        Ok((constant, start.to(self.cursor.previous().span)))
    }

    /// A constant expression that counts something.
    pub(super) fn count(&mut self, of_what: &str) -> Result<(usize, Span)> {
        let (constant, span) = self.constant()?;
        match usize::try_from(constant.value) {
            Ok(count) => Ok((count, span)),
            Err(_) => Err(Fault::new(span, format!("{of_what} of {}: it cannot be negative", constant.value))),
        }
    }

    /// Operators that bind tighter than `least`, climbing up the levels of precedence.
    fn binary(&mut self, least: u8) -> Result<Constant> {
        let start = self.cursor.peek().span;
        let mut left = self.unary()?;
        loop {
            let operator = self.cursor.peek();
            let Some(level) = precedence(operator).filter(|level| *level > least) else {
                return Ok(left);
            };
            self.cursor.bump();
            let right = self.binary(level)?;
            let span = start.to(self.cursor.previous().span);
            left = apply(operator.text, left, right).map_err(|message| Fault::new(span, message))?;
        }
    }

    fn unary(&mut self) -> Result<Constant> {
        let operator = self.cursor.peek();
        match operator.text {
            "+" | "-" | "~" if operator.kind == Kind::Punctuation => {
                self.cursor.bump();
                let operand = self.nested(Parser::unary)?;
                let value = match operator.text {
                    "+" => operand.value,
                    "-" => -operand.value,
                    _ => !operand.value,
                };
                let span = operator.span.to(self.cursor.previous().span);
                operand.with(value).ok_or_else(|| Fault::new(span, overflow(operand)))
            }
            _ => self.primary(),
        }
    }

    fn primary(&mut self) -> Result<Constant> {
        let token = self.cursor.peek();
        match token.kind {
            Kind::Number => number(self.cursor.bump()),
            Kind::Character => character(self.cursor.bump()),
            Kind::Punctuation if token.text == "(" => {
                self.cursor.bump();
                let inner = self.nested(|parser| parser.binary(0))?;
                self.cursor.expect(")", "`)`")?;
                Ok(inner)
            }
            Kind::Word => self.named_constant(),
            _ => Err(self.cursor.unexpected("an integer constant")),
        }
    }

    fn named_constant(&mut self) -> Result<Constant> {
        match self.cursor.word() {
            Some("sizeof") => self.measure_of_type(|layout| layout.size),
            Some("_Alignof") => self.measure_of_type(|layout| layout.align),
            Some(name) if self.parameters.contains(&name) => {
                let token = self.cursor.bump();
                self.variable_length = Some(token.span);
                Ok(Constant { value: 1, ..Constant::INT })
            }
            Some(name) => match self.scope.constant(name).and_then(Constant::of) {
                Some(constant) => {
                    self.cursor.bump();
                    Ok(constant)
                }
                None => Err(self.cursor.unexpected("an integer constant")),
            },
            None => Err(self.cursor.unexpected("an integer constant")),
        }
    }

    /// `sizeof(type)` and `_Alignof(type)`, on the machine that runs this.
    fn measure_of_type(&mut self, measure: impl FnOnce(layout::Layout) -> usize) -> Result<Constant> {
        self.cursor.bump();
        self.cursor.expect("(", "`(` and a type")?;
        let (ty, span) = self.nested(Parser::type_name)?;
        self.cursor.expect(")", "`)`")?;
        let layout = layout::of(&ty, Arch::HOST).blame(span)?;
        Ok(Constant { value: measure(layout) as i128, ..Constant::SIZE })
    }
}

fn precedence(operator: Token<'_>) -> Option<u8> {
    if operator.kind != Kind::Punctuation {
        return None;
    }
    Some(match operator.text {
        "|" => 1,
        "^" => 2,
        "&" => 3,
        "<<" | ">>" => 4,
        "+" | "-" => 5,
        "*" | "/" | "%" => 6,
        _ => return None,
    })
}

fn apply(operator: &str, left: Constant, right: Constant) -> std::result::Result<Constant, String> {
    if matches!(operator, "<<" | ">>") {
        return shift(operator, left, right);
    }
    let (left, right) = left.convert(right);
    let value = match operator {
        "*" => left.value.checked_mul(right.value),
        "/" | "%" if right.value == 0 => return Err("a division by zero".to_owned()),
        "/" => left.value.checked_div(right.value),
        "%" => left.value.checked_rem(right.value),
        "+" => left.value.checked_add(right.value),
        "-" => left.value.checked_sub(right.value),
        "&" => Some(left.value & right.value),
        "^" => Some(left.value ^ right.value),
        _ => Some(left.value | right.value),
    };
    value.and_then(|value| left.with(value)).ok_or_else(|| overflow(left))
}

/// Shifts have the type of their left side (C11 6.5.7 p3).
fn shift(operator: &str, left: Constant, right: Constant) -> std::result::Result<Constant, String> {
    let Some(by) = u32::try_from(right.value).ok().filter(|by| *by < left.bits) else {
        return Err(format!("a shift of a {}-bit value by {}", left.bits, right.value));
    };
    // At most 64 bits shifted by at most 63 places: 128 bits hold it.
    let value = if operator == "<<" { left.value << by } else { left.value >> by };
    left.with(value).ok_or_else(|| overflow(left))
}

fn overflow(constant: Constant) -> String {
    let name = match (constant.signed, constant.bits) {
        (true, 32) => Integer::Int,
        (false, 32) => Integer::UInt,
        (true, _) => Integer::Long,
        (false, _) => Integer::ULong,
    };
    format!("the value overflows {}", name.name())
}

/// An integer constant with the type of C11 6.4.4.1 p5.
fn number(token: Token<'_>) -> Result<Constant> {
    let fault = |message: &str| Fault::new(token.span, format!("`{}` {message}", token.text));
    let (digits, suffix) = split_suffix(token.text);
    let (unsigned, long) = match suffix.to_ascii_lowercase().as_str() {
        "" => (false, false),
        "u" => (true, false),
        "l" | "ll" => (false, true),
        "ul" | "lu" | "ull" | "llu" => (true, true),
        _ => return Err(fault("is no integer constant")),
    };
    let (radix, digits) = match digits.as_bytes() {
        [b'0', b'x' | b'X', ..] => (16, &digits[2..]),
        [b'0', b'b' | b'B', ..] => (2, &digits[2..]),
        [b'0', _, ..] => (8, &digits[1..]),
        _ => (10, digits),
    };
    let is_number = !digits.is_empty() && digits.chars().all(|digit| digit.is_digit(radix));
    if !is_number {
        return Err(fault("is no integer constant"));
    }
    let too_large = || fault("is larger than any integer type");
    let value = u64::from_str_radix(digits, radix).map_err(|_| too_large())?;
    let candidates = [(true, 32), (false, 32), (true, 64), (false, 64)];
    candidates
        .into_iter()
        .filter(|(signed, bits)| !(unsigned && *signed || long && *bits == 32))
        .filter(|(signed, _)| *signed || unsigned || radix != 10)
        .find_map(|(signed, bits)| Constant { value: value.into(), signed, bits }.in_range())
        .ok_or_else(too_large)
}

fn split_suffix(text: &str) -> (&str, &str) {
    let digits = text.trim_end_matches(['u', 'U', 'l', 'L']);
    text.split_at(digits.len())
}

/// A character constant has the type `int` and the value of a `char` (C11 6.4.4.4 p10).
fn character(token: Token<'_>) -> Result<Constant> {
    let inner = &token.text[1..token.text.len() - 1];
    let byte = character_byte(inner)
        .ok_or_else(|| Fault::new(token.span, format!("{} is no character of one byte", token.text)))?;
    let value = if Integer::Char.is_signed(Arch::HOST) { i128::from(byte as i8) } else { i128::from(byte) };
    Ok(Constant { value, ..Constant::INT })
}

fn character_byte(inner: &str) -> Option<u8> {
    match inner.as_bytes() {
        [byte] if byte.is_ascii() && *byte != b'\\' => Some(*byte),
        [b'\\', b'x', digits @ ..] if !digits.is_empty() && digits.iter().all(u8::is_ascii_hexdigit) => {
            u8::from_str_radix(&inner[2..], 16).ok()
        }
        [b'\\', digits @ ..] if matches!(digits.len(), 1..=3) && digits.iter().all(|b| matches!(b, b'0'..=b'7')) => {
            u8::from_str_radix(&inner[1..], 8).ok()
        }
        [b'\\', escape] => Some(match escape {
            b'a' => 7,
            b'b' => 8,
            b't' => b'\t',
            b'n' => b'\n',
            b'v' => 11,
            b'f' => 12,
            b'r' => b'\r',
            b'e' => 27,
            b'\\' | b'\'' | b'"' | b'?' => *escape,
            _ => return None,
        }),
        _ => None,
    }
}
