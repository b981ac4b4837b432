//! q's values as C's objects of a declared type, in its own layout.

use jitcall::types::{Aggregate, AggregateKind, Array, Enum, Float, Integer};
use jitcall::value::{F16, LongDouble};
use jitcall::{Arch, Object, Type, Value};

use super::given::{Dictionary, Given};
use super::types::{self, Field};
use crate::convert::number;
use crate::error::{Class, Fault, Result};
use crate::host::kind;
use crate::letters::Scalar;

/// Writes a value. The bytes are as many as the type has, and zero.
///
/// # Errors
/// `'type` where the value is not of the type and cannot be made one without loss, `'length` where a list is not as long.
pub(super) fn write(ty: &Type, given: Given<'_>, bytes: &mut [u8]) -> Result<()> {
    match ty {
        Type::Bool => put(bytes, &[truth(given)?]),
        Type::Integer(integer) if integer.size() == 16 && given.t == kind::BYTE => exactly(given, bytes)?,
        Type::Integer(integer) => put(bytes, &self::integer(given, *integer)?.to_le_bytes()[..integer.size()]),
        Type::Enum(definition) => {
            let size = definition.underlying().size();
            put(bytes, &constant(given, definition)?.to_le_bytes()[..size]);
        }
        Type::Float(float) => write_float(*float, given, bytes)?,
        Type::Complex(float) => items(&Type::Float(*float), 2, given, bytes)?,
        Type::Vector(vector) => items(&vector.element(), vector.lanes(), given, bytes)?,
        Type::Pointer(_) => put(bytes, &address(given)?.to_le_bytes()),
        Type::Aggregate(aggregate) => write_aggregate(ty, aggregate, given, bytes)?,
        Type::Array(array) => write_array(array, given, bytes)?,
        _ => return Err(given.mismatch()),
    }
    Ok(())
}

fn put(bytes: &mut [u8], value: &[u8]) {
    bytes[..value.len()].copy_from_slice(value);
}

/// The bytes of a vector that has just as many.
fn exactly(given: Given<'_>, bytes: &mut [u8]) -> Result<()> {
    let own = given.bytes().ok_or_else(|| given.mismatch())?;
    if own.len() != bytes.len() {
        return Err(lengths(bytes.len(), own.len(), "byte"));
    }
    bytes.copy_from_slice(own);
    Ok(())
}

/// A list is not as long as is wanted.
pub(super) fn lengths(wanted: usize, given: usize, what: &str) -> Fault {
    let plural = if wanted == 1 { "" } else { "s" };
    Fault::new(Class::Length, format!("expected {wanted} {what}{plural}, got {given}"))
}

/// A number of another type, without loss.
fn converted(given: Given<'_>, to: Scalar) -> Result<u64> {
    let from = given.scalar().ok_or_else(|| given.mismatch())?;
    number::convert(given.bits(from), from, to).ok_or_else(|| given.mismatch())
}

fn truth(given: Given<'_>) -> Result<u8> {
    match converted(given, Scalar::Byte)? {
        bits @ (0 | 1) => Ok(bits as u8),
        _ => Err(given.mismatch()),
    }
}

/// An integer. One of q's own type for it passes as it is, null or not.
pub(super) fn integer(given: Given<'_>, to: Integer) -> Result<i128> {
    let from = given.scalar().ok_or_else(|| given.mismatch())?;
    let (bits, is_signed) = (given.bits(from), to.is_signed(Arch::HOST));
    match (from, to.size(), is_signed) {
        (Scalar::Byte, 1, true) => return Ok((bits as i8).into()),
        (Scalar::Byte, 1, false) | (Scalar::Short, 2, true) | (Scalar::Int, 4, true) | (Scalar::Long, 8, _) => {
            return Ok((bits as i64).into());
        }
        _ => {}
    }
    let value = i128::from(converted(given, Scalar::Long)? as i64);
    let width = 8 * to.size() as u32;
    let fits = match (is_signed, width) {
        (true, 128) => true,
        (true, _) => (-(1 << (width - 1))..1 << (width - 1)).contains(&value),
        (false, 128) => value >= 0,
        (false, _) => (0..1 << width).contains(&value),
    };
    if fits { Ok(value) } else { Err(given.mismatch()) }
}

/// A constant of an enumeration: by its name, or a number.
fn constant(given: Given<'_>, definition: &Enum) -> Result<i128> {
    let Some(name) = given.symbol() else { return integer(given, definition.underlying()) };
    let found = definition.constants().iter().find(|(own, _)| own.as_bytes() == name.to_bytes());
    found.map(|(_, value)| *value).ok_or_else(|| Fault::of_type(format!("no constant {}", name.to_string_lossy())))
}

fn write_float(float: Float, given: Given<'_>, bytes: &mut [u8]) -> Result<()> {
    let double = || converted(given, Scalar::Float).map(f64::from_bits);
    match float {
        Float::F32 => put(bytes, &(converted(given, Scalar::Real)? as u32).to_le_bytes()),
        Float::F64 => put(bytes, &double()?.to_le_bytes()),
        Float::LongDouble => put(bytes, &LongDouble::from_f64(double()?).to_bytes()),
        Float::F16 => {
            let (exact, rounded) = (double()?, F16::from_f64(double()?));
            if exact.is_finite() && !rounded.to_f64().is_finite() {
                return Err(given.mismatch());
            }
            put(bytes, &rounded.0.to_le_bytes());
        }
    }
    Ok(())
}

/// An address: a long, 0 for `::`, what a foreign object points at.
pub(super) fn address(given: Given<'_>) -> Result<u64> {
    match given.object() {
        _ if given.t == -kind::LONG && given.bits(Scalar::Long) != i64::MIN as u64 => Ok(given.bits(Scalar::Long)),
        Some(object) if object.is_null() => Ok(0),
        Some(object) => object.foreign().map(|at| at.expose_provenance() as u64).ok_or_else(|| given.mismatch()),
        None => Err(given.mismatch()),
    }
}

fn write_array(array: &Array, given: Given<'_>, bytes: &mut [u8]) -> Result<()> {
    let Some(length) = array.length() else {
        return Err(Fault::of_type("an array of unknown length has no value"));
    };
    if *array.element() != Type::CHAR {
        return items(array.element(), length, given, bytes);
    }
    let text = match given.symbol() {
        Some(text) => text.to_bytes(),
        None => given.bytes().ok_or_else(|| given.mismatch())?,
    };
    if text.len() > length {
        return Err(Fault::new(Class::Length, format!("expected at most {length} chars, got {}", text.len())));
    }
    put(bytes, text);
    Ok(())
}

/// Writes so many elements, one after the other: those of a list, or the rows of a table.
pub(super) fn items(ty: &Type, count: usize, given: Given<'_>, bytes: &mut [u8]) -> Result<()> {
    let own = given.count().ok_or_else(|| given.mismatch())?;
    if own != count {
        return Err(lengths(count, own, "element"));
    }
    let size = types::size(ty)?;
    for index in 0..count {
        let place = &mut bytes[index * size..][..size];
        write(ty, given.item(index), place).map_err(|fault| fault.at(format_args!("element {index}")))?;
    }
    Ok(())
}

fn write_aggregate(ty: &Type, aggregate: &Aggregate, given: Given<'_>, bytes: &mut [u8]) -> Result<()> {
    if given.t == kind::BYTE {
        return exactly(given, bytes);
    }
    let fields = types::fields(aggregate);
    let write_one = |field: &Field<'_>, value: Given<'_>, bytes: &mut [u8]| {
        write_field(ty, field, value, bytes).map_err(|fault| fault.at(format_args!("member {}", field.name)))
    };
    if let Some(dictionary) = Dictionary::of(given) {
        check_names(ty, &fields, &dictionary)?;
        return fields.iter().try_for_each(|field| match dictionary.get(field.name) {
            Some(value) => write_one(field, value, bytes),
            None => Ok(()),
        });
    }
    let count = given.count().filter(|_| aggregate.kind() == AggregateKind::Struct);
    let count = count.ok_or_else(|| given.mismatch())?;
    if fields.iter().any(|field| field.alternative.is_some()) {
        return Err(Fault::of_type("some members are alternatives: a dictionary says which are given"));
    }
    if count != fields.len() {
        return Err(lengths(fields.len(), count, "member"));
    }
    fields.iter().enumerate().try_for_each(|(index, field)| write_one(field, given.item(index), bytes))
}

/// Whether the names are those of the members: each once; of a union, and of anonymous ones, those of one alternative.
fn check_names(ty: &Type, fields: &[Field<'_>], given: &Dictionary<'_>) -> Result<()> {
    for name in given.names() {
        if !fields.iter().any(|field| field.name.as_bytes() == name.to_bytes()) {
            return Err(Fault::of_type(format!("{ty} has no member {}", name.to_string_lossy())));
        }
    }
    let is_given = |field: &&Field<'_>| given.get(field.name).is_some();
    for field in fields {
        // The alternative that has been chosen where this one belongs to one: that of the first member given.
        let chosen = field.alternative.map(|(union, own)| {
            let others = fields.iter().filter(|other| other.alternative.is_some_and(|(place, _)| place == union));
            (own, others.clone().find(is_given).and_then(|other| other.alternative).map(|(_, index)| index))
        });
        let (is_wanted, is_refused) = match chosen {
            None | Some((_, None)) => (true, false),
            Some((own, Some(chosen))) => (own == chosen, own != chosen),
        };
        match is_given(&field) {
            false if is_wanted => return Err(Fault::of_type(format!("no member {} is given", field.name))),
            true if is_refused => {
                return Err(Fault::of_type(format!(
                    "member {}: another alternative of the union is given",
                    field.name
                )));
            }
            _ => {}
        }
    }
    Ok(())
}

/// Writes a member of the outermost struct or union, whose bytes these are.
fn write_field(ty: &Type, field: &Field<'_>, given: Given<'_>, bytes: &mut [u8]) -> Result<()> {
    if field.bits.is_some() {
        return write_bits(ty, field, given, bytes);
    }
    write(field.ty, given, &mut bytes[field.offset..][..types::size(field.ty)?])
}

/// Writes a bit-field, which the engine knows the place of.
fn write_bits(ty: &Type, field: &Field<'_>, given: Given<'_>, bytes: &mut [u8]) -> Result<()> {
    let value = match field.ty {
        Type::Bool => truth(given)?.into(),
        Type::Enum(definition) => constant(given, definition)?,
        Type::Integer(kind) => integer(given, *kind)?,
        _ => return Err(given.mismatch()),
    };
    let mut object = Object::from_bytes(ty, bytes)?;
    object
        .set_field(field.name, &Value::I128(value))
        .map_err(|_| Fault::of_type(format!("{value} does not fit {} bits", field.bits.unwrap_or(0))))?;
    bytes.copy_from_slice(object.bytes());
    Ok(())
}

/// Writes the bit-field of that name.
///
/// # Errors
/// `'type` where the value does not fit it.
pub(super) fn write_named_bits(ty: &Type, name: &str, given: Given<'_>, bytes: &mut [u8]) -> Result<()> {
    let fields = ty.as_aggregate().map(|aggregate| types::fields(aggregate)).unwrap_or_default();
    match fields.iter().find(|field| field.name == name) {
        Some(field) => write_bits(ty, field, given, bytes),
        None => Err(Fault::of_type(format!("{ty} has no member {name}"))),
    }
}
