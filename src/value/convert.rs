//! Between values and C's bytes: lossless, or refused with a reason.

use std::ffi::c_void;

use crate::error::{Error, Mismatch, Result};
use crate::types::{Aggregate, AggregateKind, Arch, Float, Integer, Member, Pointee, Pointer, Type, layout};
use crate::value::{F16, LongDouble, Object, Value};

/// Writes a value as an object of type `ty` to `bytes`, which has just its size and is zero.
pub(crate) fn write(ty: &Type, value: &Value<'_>, bytes: &mut [u8]) -> Result<(), Mismatch> {
    if let Value::Object(object) = value
        && matches!(ty, Type::Aggregate(_) | Type::Array(_) | Type::Vector(_))
    {
        if object.ty() != ty {
            return Err(mismatch(ty, value, "another type"));
        }
        bytes.copy_from_slice(object.bytes());
        return Ok(());
    }
    match ty {
        Type::Void => Err(mismatch(ty, value, "there is no void value")),
        Type::Bool => match Whole::of(value) {
            Some(whole) if whole.in_range(1, false) => put(bytes, &whole.bytes()[..1]),
            Some(_) => Err(mismatch(ty, value, "out of range")),
            None => Err(mismatch(ty, value, "not a truth value")),
        },
        Type::Integer(kind) => write_integer(ty, *kind, value, bytes),
        Type::Enum(definition) => write_integer(ty, definition.underlying(), value, bytes),
        Type::Float(kind) => write_float(ty, *kind, value, bytes),
        Type::Complex(kind) => write_complex(ty, *kind, value, bytes),
        Type::Pointer(pointer) => {
            let address = write_pointer(ty, pointer, value)?;
            put(bytes, &address.expose_provenance().to_le_bytes())
        }
        Type::Vector(vector) => write_elements(ty, &vector.element(), vector.lanes(), value, bytes),
        Type::Array(array) => write_array(ty, array.element(), array.length().unwrap_or(0), value, bytes),
        Type::Aggregate(aggregate) => write_members(ty, aggregate, value, bytes),
    }
}

fn put(bytes: &mut [u8], value: &[u8]) -> Result<(), Mismatch> {
    bytes[..value.len()].copy_from_slice(value);
    Ok(())
}

fn mismatch(ty: &Type, value: &Value<'_>, reason: &str) -> Mismatch {
    Mismatch { place: String::new(), declared: ty.to_string(), given: value.describe(), reason: reason.to_owned() }
}

/// Puts a member's name or an element's number before the place of a mismatch inside it.
fn within(part: String) -> impl FnOnce(Mismatch) -> Mismatch {
    move |mut inner| {
        inner.place.insert_str(0, &part);
        inner
    }
}

/// An integer that some type of 128 bits holds.
#[derive(Clone, Copy)]
struct Whole {
    negative: bool,
    magnitude: u128,
}

impl Whole {
    /// The integer that a value is; floating values count where they are integral.
    fn of(value: &Value<'_>) -> Option<Whole> {
        match value {
            Value::F16(_) | Value::F32(_) | Value::F64(_) => {
                let float = value.as_f64().filter(|float| float.trunc() == *float && float.abs() < 2f64.powi(128))?;
                Some(Whole { negative: float < 0.0, magnitude: float.abs() as u128 })
            }
            Value::LongDouble(long) => {
                let (negative, magnitude) = long.to_whole()?;
                Some(Whole { negative, magnitude })
            }
            integer => Whole::of_integer(integer),
        }
    }

    /// The same for values of integer types only.
    fn of_integer(value: &Value<'_>) -> Option<Whole> {
        match value {
            Value::U128(magnitude) => Some(Whole { negative: false, magnitude: *magnitude }),
            other => {
                let number = other.as_integer()?;
                Some(Whole { negative: number < 0, magnitude: number.unsigned_abs() })
            }
        }
    }

    fn in_range(self, bits: u32, signed: bool) -> bool {
        let most = match (signed, self.negative) {
            (true, true) => 1 << (bits - 1),
            (true, false) => mask(bits - 1),
            (false, true) => 0,
            (false, false) => mask(bits),
        };
        self.magnitude <= most
    }

    /// Its bytes in two's complement.
    fn bytes(self) -> [u8; 16] {
        if self.negative { self.magnitude.wrapping_neg() } else { self.magnitude }.to_le_bytes()
    }
}

fn write_integer(ty: &Type, kind: Integer, value: &Value<'_>, bytes: &mut [u8]) -> Result<(), Mismatch> {
    let Some(whole) = Whole::of(value) else {
        let reason = match value {
            Value::F16(_) | Value::F32(_) | Value::F64(_) | Value::LongDouble(_) => "not an integer in range",
            Value::Pointer(_) => "an address is not a number",
            _ => "not a number",
        };
        return Err(mismatch(ty, value, reason));
    };
    if !whole.in_range(8 * kind.size() as u32, kind.is_signed(Arch::HOST)) {
        return Err(mismatch(ty, value, "out of range"));
    }
    put(bytes, &whole.bytes()[..kind.size()])
}

fn write_float(ty: &Type, kind: Float, value: &Value<'_>, bytes: &mut [u8]) -> Result<(), Mismatch> {
    // Values of the type itself keep every bit, also of a NaN.
    match (kind, value) {
        (Float::F16, Value::F16(half)) => return put(bytes, &half.0.to_le_bytes()),
        (Float::F32, Value::F32(single)) => return put(bytes, &single.to_bits().to_le_bytes()),
        (Float::F64, Value::F64(double)) => return put(bytes, &double.to_bits().to_le_bytes()),
        (Float::LongDouble, Value::LongDouble(long)) => return put(bytes, &long.to_bytes()),
        _ => {}
    }
    if let Some(whole) = Whole::of_integer(value) {
        return write_exact(ty, kind, whole, value, bytes);
    }
    let number = match (kind, value) {
        // Rounded twice, it might not be the nearest.
        (Float::F16 | Float::F32, Value::LongDouble(long)) => Some(long.to_f64_odd()),
        _ => value.as_f64(),
    };
    let Some(number) = number else {
        return Err(mismatch(ty, value, "not a number"));
    };
    let (rounded, encoded) = round(kind, number);
    if rounded.is_infinite() && is_finite(value) {
        return Err(mismatch(ty, value, "out of range"));
    }
    put(bytes, &encoded[..kind.size()])
}

/// Whether a floating value is finite in its own type.
fn is_finite(value: &Value<'_>) -> bool {
    match value {
        Value::LongDouble(long) => !long.is_infinite() && !long.to_f64().is_nan(),
        other => other.as_f64().is_some_and(f64::is_finite),
    }
}

/// A `double` rounded to a type: its value there, and its bytes.
fn round(kind: Float, number: f64) -> (f64, [u8; 16]) {
    let mut bytes = [0; 16];
    match kind {
        Float::F16 => {
            let half = F16::from_f64(number);
            bytes[..2].copy_from_slice(&half.0.to_le_bytes());
            (half.to_f64(), bytes)
        }
        Float::F32 => {
            let single = number as f32;
            bytes[..4].copy_from_slice(&single.to_le_bytes());
            (single.into(), bytes)
        }
        Float::F64 => {
            bytes[..8].copy_from_slice(&number.to_le_bytes());
            (number, bytes)
        }
        Float::LongDouble => (number, LongDouble::from_f64(number).to_bytes()),
    }
}

/// An integer goes into a floating type only where that represents it exactly.
fn write_exact(ty: &Type, kind: Float, whole: Whole, value: &Value<'_>, bytes: &mut [u8]) -> Result<(), Mismatch> {
    let inexact = || mismatch(ty, value, "not represented exactly");
    if kind == Float::LongDouble {
        let long = LongDouble::from_whole(whole.negative, whole.magnitude).ok_or_else(inexact)?;
        return put(bytes, &long.to_bytes());
    }
    let magnitude = whole.magnitude as f64;
    let (rounded, encoded) = round(kind, if whole.negative { -magnitude } else { magnitude });
    if rounded.abs() != magnitude || magnitude >= 2f64.powi(128) || magnitude as u128 != whole.magnitude {
        return Err(inexact());
    }
    put(bytes, &encoded[..kind.size()])
}

fn write_complex(ty: &Type, kind: Float, value: &Value<'_>, bytes: &mut [u8]) -> Result<(), Mismatch> {
    let parts = match value {
        Value::Complex32(re, im) => [Value::F32(*re), Value::F32(*im)],
        Value::Complex64(re, im) => [Value::F64(*re), Value::F64(*im)],
        Value::ComplexLong(re, im) => [Value::LongDouble(*re), Value::LongDouble(*im)],
        Value::List([re, im]) => [re.clone(), im.clone()],
        Value::List(_) => return Err(mismatch(ty, value, "expected a real and an imaginary part")),
        real => [real.clone(), Value::F64(0.0)],
    };
    let real = Type::Float(kind);
    for ((part, name), bytes) in parts.iter().zip([".re", ".im"]).zip(bytes.chunks_exact_mut(kind.size())) {
        write_float(&real, kind, part, bytes).map_err(|inner| match value {
            Value::List(_) => within(name.to_owned())(inner),
            _ => mismatch(ty, value, &inner.reason),
        })?;
    }
    Ok(())
}

fn write_pointer(ty: &Type, pointer: &Pointer, value: &Value<'_>) -> Result<*mut c_void, Mismatch> {
    let address = match value {
        Value::Pointer(address) => return Ok(*address),
        Value::Str(_) | Value::Bytes(_) | Value::Buffer(_) if pointer.signature().is_some() => {
            return Err(mismatch(ty, value, "data is not a function"));
        }
        Value::Str(text) if accepts_text(pointer) => text.as_ptr().cast_mut().cast(),
        Value::Str(_) if pointer.is_const() => return Err(mismatch(ty, value, "it does not point at characters")),
        Value::Bytes(bytes) if pointer.is_const() => bytes.as_ptr().cast_mut().cast(),
        Value::Str(_) | Value::Bytes(_) => {
            return Err(mismatch(ty, value, "C may write through it: give a buffer"));
        }
        Value::Buffer(buffer) => buffer.address(),
        _ if Whole::of_integer(value).is_some() => {
            return Err(mismatch(ty, value, "a number is not an address: give a pointer"));
        }
        _ => return Err(mismatch(ty, value, "not a pointer")),
    };
    let align = match pointer.pointee() {
        Pointee::Type(pointee) => layout::of(pointee, Arch::HOST).map_or(1, |layout| layout.align),
        _ => 1,
    };
    if address.addr() % align != 0 {
        return Err(mismatch(ty, value, &format!("the memory is not aligned to {align} bytes")));
    }
    Ok(address)
}

/// Text goes to pointers to `const` characters and to `const void *`.
fn accepts_text(pointer: &Pointer) -> bool {
    pointer.is_const() && (pointer.is_text() || matches!(pointer.pointee(), Pointee::Type(Type::Void)))
}

fn write_elements(
    ty: &Type,
    element: &Type,
    length: usize,
    value: &Value<'_>,
    bytes: &mut [u8],
) -> Result<(), Mismatch> {
    let Value::List(list) = value else {
        return Err(mismatch(ty, value, "expected a list"));
    };
    if list.len() != length {
        return Err(mismatch(ty, value, &format!("expected {length} elements")));
    }
    let size = bytes.len().checked_div(length).unwrap_or(0);
    for (index, item) in list.iter().enumerate() {
        write(element, item, &mut bytes[index * size..][..size]).map_err(within(format!("[{index}]")))?;
    }
    Ok(())
}

/// Arrays of one-byte integers also take text and bytes that fit; the rest is zero.
fn write_array(ty: &Type, element: &Type, length: usize, value: &Value<'_>, bytes: &mut [u8]) -> Result<(), Mismatch> {
    let given = match value {
        Value::Str(text) => text.to_bytes(),
        Value::Bytes(given) => given,
        _ => return write_elements(ty, element, length, value, bytes),
    };
    match element.as_integer() {
        Some(integer) if integer.size() == 1 && given.len() <= bytes.len() => put(bytes, given),
        Some(integer) if integer.size() == 1 => Err(mismatch(ty, value, &format!("more than {length} bytes"))),
        _ => Err(mismatch(ty, value, "expected a list")),
    }
}

fn write_members(ty: &Type, aggregate: &Aggregate, value: &Value<'_>, bytes: &mut [u8]) -> Result<(), Mismatch> {
    match value {
        Value::Fields(fields) => {
            if aggregate.kind() == AggregateKind::Union && fields.is_empty() {
                return Err(mismatch(ty, value, "a union takes one member"));
            }
            for (index, (name, field)) in fields.iter().enumerate() {
                for (other, _) in &fields[..index] {
                    if other == name {
                        return Err(mismatch(ty, value, &format!("{name} is given twice")));
                    }
                    if overlap(aggregate, other, name) {
                        return Err(mismatch(ty, value, &format!("a union takes one member: {other} or {name}")));
                    }
                }
                write_field(aggregate, name, field, bytes, 0)
                    .unwrap_or_else(|| Err(mismatch(ty, value, &format!("there is no member {name}"))))?;
            }
            Ok(())
        }
        Value::List(list) => {
            // Padding bit-fields take no value.
            let members: Vec<usize> = (0..aggregate.members().len())
                .filter(|index| {
                    let member = &aggregate.members()[*index];
                    member.name.is_some() || member.bits.is_none()
                })
                .collect();
            if aggregate.kind() == AggregateKind::Union {
                return Err(mismatch(ty, value, "a union takes one member by name"));
            }
            if list.len() != members.len() {
                return Err(mismatch(ty, value, &format!("expected {} members", members.len())));
            }
            members.iter().zip(*list).try_for_each(|(index, item)| write_member(aggregate, *index, item, bytes, 0))
        }
        _ => Err(mismatch(ty, value, "expected a list or fields")),
    }
}

/// Whether two members of different names are in different members of a union.
fn overlap(aggregate: &Aggregate, a: &str, b: &str) -> bool {
    let holder = |name| aggregate.members().iter().position(|member| holds(member, name));
    match (holder(a), holder(b)) {
        (Some(a), Some(b)) if a != b => aggregate.kind() == AggregateKind::Union,
        (Some(index), Some(_)) => match &aggregate.members()[index].ty {
            Type::Aggregate(inner) => overlap(inner, a, b),
            _ => false,
        },
        _ => false,
    }
}

/// Whether a member has that name, or is anonymous and has a member of that name.
fn holds(member: &Member, name: &str) -> bool {
    match (&member.name, &member.ty) {
        (Some(own), _) => own == name,
        (None, Type::Aggregate(inner)) => inner.members().iter().any(|member| holds(member, name)),
        _ => false,
    }
}

/// Writes the member of that name, which may be in an anonymous member; `None` where there is none.
pub(super) fn write_field(
    aggregate: &Aggregate,
    name: &str,
    value: &Value<'_>,
    bytes: &mut [u8],
    base: usize,
) -> Option<Result<(), Mismatch>> {
    aggregate.members().iter().enumerate().find_map(|(index, member)| match (&member.name, &member.ty) {
        (Some(own), _) if own == name => Some(write_member(aggregate, index, value, bytes, base)),
        (None, Type::Aggregate(inner)) => {
            write_field(inner, name, value, bytes, base + aggregate.layout(Arch::HOST).offset(index))
        }
        _ => None,
    })
}

/// Writes a member of an aggregate that starts at `base`.
fn write_member(
    aggregate: &Aggregate,
    index: usize,
    value: &Value<'_>,
    bytes: &mut [u8],
    base: usize,
) -> Result<(), Mismatch> {
    let member = &aggregate.members()[index];
    let at = base + aggregate.layout(Arch::HOST).offset(index);
    let place = member.name.as_ref().map_or_else(|| format!("[{index}]"), |name| format!(".{name}"));
    let Some(bits) = member.bits else {
        let size = size_of(&member.ty);
        return write(&member.ty, value, &mut bytes[at..at + size]).map_err(within(place));
    };
    let mut whole = [0; 16];
    let size = size_of(&member.ty);
    write(&member.ty, value, &mut whole[..size]).map_err(within(place.clone()))?;
    let number = u128::from_le_bytes(whole);
    if field_of(number, member, bits) != number {
        let reason = format!("out of range of {bits} bits");
        return Err(within(place)(mismatch(&member.ty, value, &reason)));
    }
    insert_bits(bytes, 8 * base + aggregate.layout(Arch::HOST).bit_offsets[index], bits, number);
    Ok(())
}

fn size_of(ty: &Type) -> usize {
    // A flexible array member has no size and takes no value.
    layout::of(ty, Arch::HOST).map_or(0, |layout| layout.size)
}

/// What a bit-field of `bits` bits makes of a number: cut, then extended to its type's size.
fn field_of(number: u128, member: &Member, bits: u32) -> u128 {
    let full = 8 * size_of(&member.ty) as u32;
    let cut = number & mask(bits);
    let signed = member.ty.as_integer().is_some_and(|integer| integer.is_signed(Arch::HOST));
    if signed && cut >> (bits - 1) & 1 == 1 { (cut | !mask(bits)) & mask(full) } else { cut }
}

fn mask(bits: u32) -> u128 {
    if bits >= 128 { u128::MAX } else { (1 << bits) - 1 }
}

fn insert_bits(bytes: &mut [u8], at: usize, bits: u32, number: u128) {
    for bit in 0..bits as usize {
        let (byte, shift) = ((at + bit) / 8, (at + bit) % 8);
        bytes[byte] = bytes[byte] & !(1 << shift) | ((number >> bit & 1) as u8) << shift;
    }
}

fn extract_bits(bytes: &[u8], at: usize, bits: u32) -> u128 {
    (0..bits as usize).map(|bit| u128::from(bytes[(at + bit) / 8] >> ((at + bit) % 8) & 1) << bit).sum()
}

/// Reads an object of type `ty`.
///
/// # Errors
/// [`Error::Type`] where the type has no size.
pub(crate) fn read(ty: &Type, bytes: &[u8]) -> Result<Value<'static>> {
    Ok(match ty {
        Type::Void => Value::Void,
        Type::Bool => Value::Bool(bytes[0] != 0),
        Type::Integer(_) | Type::Enum(_) => read_integer(ty, wide(bytes)),
        Type::Float(kind) => read_float(*kind, bytes),
        Type::Complex(kind) => {
            let (re, im) = bytes.split_at(kind.size());
            match (read_float(*kind, re), read_float(*kind, im)) {
                (Value::F32(re), Value::F32(im)) => Value::Complex32(re, im),
                (Value::F64(re), Value::F64(im)) => Value::Complex64(re, im),
                (Value::LongDouble(re), Value::LongDouble(im)) => Value::ComplexLong(re, im),
                _ => return Err(Error::invalid_type(format!("{ty} is no complex type"))),
            }
        }
        Type::Pointer(_) => Value::Pointer(std::ptr::with_exposed_provenance_mut(wide(bytes) as usize)),
        // A flexible array member has no elements here, however many follow the struct.
        Type::Array(array) if array.length().is_none() => Value::Object(Object::with_storage(ty, 0)),
        Type::Vector(_) | Type::Aggregate(_) | Type::Array(_) => Value::Object(Object::from_bytes(ty, bytes)?),
    })
}

/// Up to 16 little-endian bytes.
fn wide(bytes: &[u8]) -> u128 {
    let mut whole = [0; 16];
    whole[..bytes.len()].copy_from_slice(bytes);
    u128::from_le_bytes(whole)
}

fn read_integer(ty: &Type, number: u128) -> Value<'static> {
    let Some(integer) = ty.as_integer() else { return Value::Void };
    match (integer.size(), integer.is_signed(Arch::HOST)) {
        (1, true) => Value::I8(number as i8),
        (1, false) => Value::U8(number as u8),
        (2, true) => Value::I16(number as i16),
        (2, false) => Value::U16(number as u16),
        (4, true) => Value::I32(number as i32),
        (4, false) => Value::U32(number as u32),
        (8, true) => Value::I64(number as i64),
        (8, false) => Value::U64(number as u64),
        (_, true) => Value::I128(number as i128),
        (_, false) => Value::U128(number),
    }
}

fn read_float(kind: Float, bytes: &[u8]) -> Value<'static> {
    let bits = wide(bytes);
    match kind {
        Float::F16 => Value::F16(F16(bits as u16)),
        Float::F32 => Value::F32(f32::from_bits(bits as u32)),
        Float::F64 => Value::F64(f64::from_bits(bits as u64)),
        Float::LongDouble => Value::LongDouble(LongDouble::from_bytes(bits.to_le_bytes())),
    }
}

/// Reads the member, element or lane at `index` of an object.
pub(super) fn read_part(ty: &Type, index: usize, bytes: &[u8]) -> Result<Value<'static>> {
    let element = match ty {
        Type::Aggregate(aggregate) => return read_member(aggregate, index, bytes),
        Type::Array(array) => array.element().clone(),
        Type::Vector(vector) => vector.element(),
        _ => return read(ty, bytes),
    };
    let size = size_of(&element);
    read(&element, &bytes[index * size..][..size])
}

fn read_member(aggregate: &Aggregate, index: usize, bytes: &[u8]) -> Result<Value<'static>> {
    let member = &aggregate.members()[index];
    let layout = aggregate.layout(Arch::HOST);
    match member.bits {
        None => read(&member.ty, &bytes[layout.offset(index)..][..size_of(&member.ty)]),
        Some(0) => Ok(Value::Void),
        Some(bits) => {
            let number = field_of(extract_bits(bytes, layout.bit_offsets[index], bits), member, bits);
            read(&member.ty, &number.to_le_bytes()[..size_of(&member.ty)])
        }
    }
}

/// Reads the member of that name; `None` where there is none.
pub(super) fn read_field(ty: &Type, name: &str, bytes: &[u8]) -> Result<Option<Value<'static>>> {
    let Type::Aggregate(aggregate) = ty else { return Ok(None) };
    for (index, member) in aggregate.members().iter().enumerate() {
        match (&member.name, &member.ty) {
            (Some(own), _) if own == name => return read_member(aggregate, index, bytes).map(Some),
            (None, inner @ Type::Aggregate(_)) => {
                let at = aggregate.layout(Arch::HOST).offset(index);
                let found = read_field(inner, name, &bytes[at..][..size_of(inner)])?;
                if found.is_some() {
                    return Ok(found);
                }
            }
            _ => {}
        }
    }
    Ok(None)
}
