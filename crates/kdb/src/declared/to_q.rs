//! C's objects of a declared type as q's values.

use std::ffi::{CString, c_char};

use jitcall::types::{Aggregate, AggregateKind, Array, Float};
use jitcall::value::{F16, LongDouble};
use jitcall::{Arch, Object, Type};

use super::types::{self, Field};
use crate::convert::to_q;
use crate::error::{Fault, Result};
use crate::host::object::interned;
use crate::host::{Owned, kind};
use crate::letters::Scalar;

/// The object of a value. The bytes are as many as the type has.
///
/// # Errors
/// `'type` where the type has no values.
pub(super) fn read(ty: &Type, bytes: &[u8]) -> Result<Owned> {
    if let Some((scalar, t)) = types::number(ty) {
        // SAFETY: the reference is ours.
        return Ok(unsafe { Owned::new(to_q::atom(scalar, t, bits(ty, bytes))) });
    }
    Ok(match ty {
        Type::Complex(float) => elements(&Type::Float(*float), 2, bytes)?,
        Type::Vector(vector) => elements(&vector.element(), vector.lanes(), bytes)?,
        Type::Array(array) => read_array(array, bytes)?,
        Type::Aggregate(aggregate) if is_dictionary(aggregate) => read_members(ty, aggregate, bytes)?,
        Type::Integer(_) | Type::Aggregate(_) => as_bytes(bytes),
        _ => return Err(Fault::of_type(format!("{ty} has no values"))),
    })
}

/// The bits of a number as q has it.
fn bits(ty: &Type, bytes: &[u8]) -> u64 {
    let double = match (ty, bytes.len()) {
        (Type::Float(Float::F16), 2) => return f32_bits(F16(u16::from_le_bytes([bytes[0], bytes[1]])).to_f64()),
        (Type::Float(Float::LongDouble), 16) => {
            let mut whole = [0; 16];
            whole.copy_from_slice(bytes);
            Some(LongDouble::from_bytes(whole).to_f64())
        }
        _ => None,
    };
    if let Some(double) = double {
        return double.to_bits();
    }
    let mut word = [0; 8];
    word[..bytes.len()].copy_from_slice(bytes);
    let bits = u64::from_le_bytes(word);
    let unused = 64 - 8 * bytes.len() as u32;
    match ty.as_integer() {
        Some(integer) if integer.is_signed(Arch::HOST) => ((bits << unused) as i64 >> unused) as u64,
        _ => bits,
    }
}

fn f32_bits(value: f64) -> u64 {
    (value as f32).to_bits().into()
}

/// A vector of bytes.
pub(super) fn as_bytes(bytes: &[u8]) -> Owned {
    let vector = Owned::vector(kind::BYTE, bytes.len());
    // SAFETY: as many bytes are there.
    unsafe { vector.elements().copy_from_nonoverlapping(bytes.as_ptr(), bytes.len()) };
    vector
}

/// A struct with members that have names is a dictionary; unions, of which nobody knows what they hold, are bytes.
fn is_dictionary(aggregate: &Aggregate) -> bool {
    aggregate.kind() == AggregateKind::Struct && !types::fields(aggregate).is_empty()
}

fn read_array(array: &Array, bytes: &[u8]) -> Result<Owned> {
    if *array.element() == Type::CHAR {
        let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
        return Ok(Owned::text(&bytes[..end]));
    }
    elements(array.element(), array.length().unwrap_or(0), bytes)
}

/// So many values of a type, one after the other: a vector of numbers, a table of structs, a list of anything else.
///
/// # Errors
/// `'type` where the type has no values.
pub(super) fn elements(ty: &Type, count: usize, bytes: &[u8]) -> Result<Owned> {
    let size = types::size(ty)?;
    let element = |index: usize| &bytes[index * size..][..size];
    if let Some((scalar, t)) = types::number(ty) {
        return vector(scalar, t, count, |index| Ok(bits(ty, element(index))));
    }
    match ty {
        Type::Aggregate(aggregate) if is_dictionary(aggregate) => table(ty, aggregate, count, bytes),
        _ => Ok(Owned::list((0..count).map(|index| read(ty, element(index))).collect::<Result<_>>()?)),
    }
}

/// A vector of numbers.
fn vector(scalar: Scalar, t: i8, count: usize, bits: impl Fn(usize) -> Result<u64>) -> Result<Owned> {
    let vector = Owned::vector(t, count);
    for index in 0..count {
        let bits = bits(index)?;
        let bits = if t == kind::BOOLEAN { (bits as u8 != 0).into() } else { bits };
        // SAFETY: the vector has so many elements of that size.
        unsafe { to_q::write(scalar, vector.elements().add(index * scalar.size()), bits) };
    }
    Ok(vector)
}

fn read_members(ty: &Type, aggregate: &Aggregate, bytes: &[u8]) -> Result<Owned> {
    let fields = types::fields(aggregate);
    let value = |field: &Field<'_>| match field.bits {
        Some(_) => read_bits(ty, field.name, bytes),
        None => read(field.ty, &bytes[field.offset..][..types::size(field.ty)?]),
    };
    let values = fields.iter().map(value).collect::<Result<Vec<_>>>()?;
    Ok(Owned::dictionary(names(&fields), to_q::collapsed(values)))
}

/// The names of members, as a vector of symbols.
fn names(fields: &[Field<'_>]) -> Owned {
    symbols(fields.iter().map(|field| field.name))
}

/// A vector of symbols.
pub(super) fn symbols<'n>(names: impl ExactSizeIterator<Item = &'n str>) -> Owned {
    let vector = Owned::vector(kind::SYMBOL, names.len());
    for (index, name) in names.enumerate() {
        // A name of C's has no zero byte.
        let name = CString::new(name).unwrap_or_default();
        // SAFETY: the vector has so many elements, each the address of an interned text.
        unsafe { vector.elements().cast::<*mut c_char>().add(index).write(interned(&name)) };
    }
    vector
}

/// A table of so many structs, a column for each member.
fn table(ty: &Type, aggregate: &Aggregate, count: usize, bytes: &[u8]) -> Result<Owned> {
    let fields = types::fields(aggregate);
    let size = types::size(ty)?;
    let row = |index: usize| &bytes[index * size..][..size];
    let column = |field: &Field<'_>| {
        if field.bits.is_some() {
            let (scalar, t) =
                types::number(field.ty).ok_or_else(|| Fault::of_type(format!("{} has no values", field.ty)))?;
            return vector(scalar, t, count, |index| Ok(bit_field(ty, field.name, row(index))?.2));
        }
        let width = types::size(field.ty)?;
        let values: Vec<u8> = (0..count).flat_map(|index| &row(index)[field.offset..][..width]).copied().collect();
        elements(field.ty, count, &values)
    };
    let columns = fields.iter().map(column).collect::<Result<Vec<_>>>()?;
    Ok(Owned::table(Owned::dictionary(names(&fields), Owned::list(columns))))
}

/// The object of the bit-field of that name.
///
/// # Errors
/// `'type` where there is none.
pub(super) fn read_bits(ty: &Type, name: &str, bytes: &[u8]) -> Result<Owned> {
    let (scalar, t, bits) = bit_field(ty, name, bytes)?;
    // SAFETY: the reference is ours.
    Ok(unsafe { Owned::new(to_q::atom(scalar, t, bits)) })
}

/// What a bit-field is to q, and its bits.
fn bit_field(ty: &Type, name: &str, bytes: &[u8]) -> Result<(Scalar, i8, u64)> {
    let field = Object::from_bytes(ty, bytes)?.field(name)?;
    let fields = ty.as_aggregate().map(|aggregate| types::fields(aggregate)).unwrap_or_default();
    let declared = fields.iter().find(|field| field.name == name).and_then(|field| types::number(field.ty));
    match (declared, field.as_integer()) {
        (Some((scalar, t)), Some(value)) => Ok((scalar, t, value as u64)),
        _ => Err(Fault::of_type(format!("{name} is no number"))),
    }
}
