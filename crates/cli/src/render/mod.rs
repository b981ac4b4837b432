//! Values as people read them, by the types that were declared.

pub(crate) mod text;

use std::ffi::c_void;

use jitcall::types::{AggregateKind, Enum, Float, Integer};
use jitcall::value::LongDouble;
use jitcall::{Object, Result, Type, Value};

use crate::long_double;

/// The most bytes that are shown of text behind a pointer.
const MAX_TEXT: usize = 64 << 10;

/// Writes a value of type `ty`: `97 'a'`, `RED (0)`, `"text"`, `{quot: 3, rem: 2}`, `[1, 2]`, `1+2i`; nothing for
/// `void`.
pub(crate) fn value(ty: &Type, value: &Value<'_>) -> Result<String> {
    Ok(match (ty, value) {
        (_, Value::Object(whole)) => object(whole)?,
        (_, Value::F32(value)) => shortest(format!("{value:?}")),
        (_, Value::F64(value)) => shortest(format!("{value:?}")),
        (_, Value::LongDouble(value)) => long_double::format(*value)?,
        (_, Value::Complex32(re, im)) => complex(Float::F32, &Value::F32(*re), &Value::F32(*im))?,
        (_, Value::Complex64(re, im)) => complex(Float::F64, &Value::F64(*re), &Value::F64(*im))?,
        (_, Value::ComplexLong(re, im)) => long_complex(*re, *im)?,
        (Type::Pointer(pointer), Value::Pointer(address)) if pointer.is_text() => characters(*address),
        (Type::Integer(Integer::Char), value) => character(value),
        (Type::Enum(definition), value) => constant(definition, value),
        (_, other) => other.to_string(),
    })
}

/// Writes an aggregate, array or vector; of any other type, the value that the bytes are.
pub(crate) fn object(object: &Object) -> Result<String> {
    let ty = object.ty();
    let element = match ty {
        Type::Aggregate(_) => return members(object),
        Type::Array(array) => array.element().clone(),
        Type::Vector(vector) => vector.element(),
        scalar => {
            let only = Object::from_bytes(&Type::array(scalar.clone(), 1)?, object.bytes())?.get(0)?;
            return value(scalar, &only);
        }
    };
    let is_char = element == Type::CHAR;
    if let Some(text) = text::of_memory(object.bytes()).filter(|_| is_char && matches!(ty, Type::Array(_))) {
        return Ok(text);
    }
    let elements = (0..object.len()).map(|index| match object.get(index)? {
        number if is_char => Ok(number.to_string()),
        other => value(&element, &other),
    });
    Ok(format!("[{}]", elements.collect::<Result<Vec<_>>>()?.join(", ")))
}

fn members(object: &Object) -> Result<String> {
    let Type::Aggregate(aggregate) = object.ty() else { return Ok(object.to_string()) };
    let mut parts = Vec::new();
    for (index, member) in aggregate.members().iter().enumerate() {
        let name = match (&member.name, &member.ty) {
            (_, Type::Array(array)) if array.length().is_none() => continue,
            (Some(name), _) => format!("{name}: "),
            (None, Type::Aggregate(_)) => String::new(),
            (None, _) => continue, // padding
        };
        parts.push(name + &value(&member.ty, &object.get(index)?)?);
    }
    let separator = if aggregate.kind() == AggregateKind::Union { " | " } else { ", " };
    Ok(format!("{{{}}}", parts.join(separator)))
}

/// Rust's digits without the `.0` of whole numbers, in C's lower case.
fn shortest(digits: String) -> String {
    let digits = digits.to_lowercase();
    digits.strip_suffix(".0").unwrap_or(&digits).to_owned()
}

fn complex(float: Float, re: &Value<'_>, im: &Value<'_>) -> Result<String> {
    let part = Type::Float(float);
    Ok(join_complex(&value(&part, re)?, &value(&part, im)?))
}

fn long_complex(re: LongDouble, im: LongDouble) -> Result<String> {
    Ok(join_complex(&long_double::format(re)?, &long_double::format(im)?))
}

fn join_complex(re: &str, im: &str) -> String {
    let sign = if im.starts_with('-') { "" } else { "+" };
    format!("{re}{sign}{im}i")
}

/// `97 'a'`.
fn character(value: &Value<'_>) -> String {
    match value.as_integer().and_then(|code| u8::try_from(code & 0xff).ok()) {
        Some(byte) => format!("{value} '{}'", text::escaped(&[byte], '\'')),
        None => value.to_string(),
    }
}

/// `RED (0)`, or the number alone where no constant has it.
fn constant(definition: &Enum, value: &Value<'_>) -> String {
    let found = definition.constants().iter().find(|(_, constant)| value.as_integer() == Some(*constant));
    found.map_or_else(|| value.to_string(), |(name, _)| format!("{name} ({value})"))
}

/// The text behind a pointer, as far as it can be read.
fn characters(address: *mut c_void) -> String {
    if address.is_null() {
        return "null".to_owned();
    }
    match text::read(address, MAX_TEXT) {
        Some((bytes, true)) => text::quoted(&bytes),
        Some((bytes, false)) => format!("{}...", text::quoted(&bytes)),
        None => format!("{:#x} (no text there)", address.addr()),
    }
}
