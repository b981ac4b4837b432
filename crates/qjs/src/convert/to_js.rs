//! C's values as JavaScript's.

use std::mem::MaybeUninit;

use jitcall::{Arch, Object, Type, Value};

use super::scalar::Scalar;
use crate::error::Result;
use crate::host::JSValue;
use crate::scope::{Owned, Scope};
use crate::types::{Class, ScriptType};

/// The largest integer up to which all are numbers.
pub(crate) const LARGEST_EXACT: i128 = 1 << 53;

/// Reads an object of C's; `bytes` has the type's size.
pub(crate) fn read<'a>(scope: Scope<'a>, source: &ScriptType, bytes: &[u8]) -> Result<Owned<'a>> {
    let mut value = MaybeUninit::uninit();
    if let Some(scalar) = Scalar::of(source)
        // SAFETY: the bytes are an object of the type.
        && unsafe { scalar.read(scope.host(), bytes.as_ptr(), &mut value) }
    {
        // SAFETY: it was written.
        return scope.own(unsafe { value.assume_init() });
    }
    match &source.ty {
        Type::Void => scope.own(JSValue::UNDEFINED),
        Type::Pointer(_) => pointer(scope, source.class, widened(bytes, 8, false) as u64),
        ty => match ty.as_integer() {
            Some(integer) if integer.size() <= 8 => {
                let number = widened(bytes, integer.size(), integer.is_signed(Arch::HOST));
                if source.class == Class::BigInt { big(scope, number) } else { integer_value(scope, number) }
            }
            _ => engine_value(scope, &Value::from_bytes(ty, bytes)?),
        },
    }
}

/// The integer in the low bytes.
fn widened(bytes: &[u8], size: usize, signed: bool) -> i128 {
    let mut whole = [0; 8];
    whole[..size].copy_from_slice(&bytes[..size]);
    let unsigned = u64::from_le_bytes(whole);
    if !signed {
        return unsigned.into();
    }
    let unused = 64 - 8 * size as u32;
    (((unsigned << unused) as i64) >> unused).into()
}

fn big<'a>(scope: Scope<'a>, number: i128) -> Result<Owned<'a>> {
    match (i64::try_from(number), u64::try_from(number)) {
        (Ok(signed), _) => scope.big_int(signed),
        (_, Ok(unsigned)) => scope.big_uint(unsigned),
        _ => scope.wide_int(number),
    }
}

/// A number where that is exact, else a BigInt.
pub(crate) fn integer_value<'a>(scope: Scope<'a>, number: i128) -> Result<Owned<'a>> {
    if number.abs() <= LARGEST_EXACT { scope.own(scope.host().tidy(number as f64)) } else { big(scope, number) }
}

/// An address as a number; `null` for none. Text is a `CString`.
fn pointer<'a>(scope: Scope<'a>, class: Class, address: u64) -> Result<Owned<'a>> {
    if address == 0 {
        return scope.own(JSValue::NULL);
    }
    let number = integer_value(scope, address.into())?;
    if class == Class::Text { scope.construct(scope.state.c_string_class(), &mut [*number]) } else { Ok(number) }
}

/// The engine's value as one of JavaScript's. What is made of parts becomes an object, or an array.
pub(crate) fn engine_value<'a>(scope: Scope<'a>, value: &Value<'_>) -> Result<Owned<'a>> {
    match value {
        Value::Void => scope.own(JSValue::UNDEFINED),
        Value::Bool(value) => scope.own(JSValue::bool(*value)),
        Value::U128(value) => match i128::try_from(*value) {
            Ok(value) => integer_value(scope, value),
            Err(_) => {
                let text = scope.string(&value.to_string())?;
                scope.call(scope.state.big_int_function(), JSValue::UNDEFINED, &mut [*text])
            }
        },
        Value::Complex32(re, im) => pair(scope, f64::from(*re), f64::from(*im)),
        Value::Complex64(re, im) => pair(scope, *re, *im),
        Value::ComplexLong(re, im) => pair(scope, re.to_f64(), im.to_f64()),
        Value::LongDouble(value) => scope.own(scope.host().tidy(value.to_f64())),
        Value::F16(value) => scope.own(scope.host().tidy(value.to_f64())),
        Value::F32(value) => scope.own(scope.host().tidy(f64::from(*value))),
        Value::F64(value) => scope.own(scope.host().tidy(*value)),
        Value::Pointer(address) => pointer(scope, Class::Plain, address.expose_provenance() as u64),
        Value::Object(inner) => object(scope, inner),
        other => integer_value(scope, other.as_integer().unwrap_or(0)),
    }
}

fn pair<'a>(scope: Scope<'a>, re: f64, im: f64) -> Result<Owned<'a>> {
    let array = scope.array()?;
    scope.set_element(*array, 0, scope.own(scope.host().tidy(re))?)?;
    scope.set_element(*array, 1, scope.own(scope.host().tidy(im))?)?;
    Ok(array)
}

/// An object with an aggregate's members, or an array of elements.
fn object<'a>(scope: Scope<'a>, source: &Object) -> Result<Owned<'a>> {
    let Type::Aggregate(aggregate) = source.ty() else {
        let array = scope.array()?;
        for index in 0..source.len() {
            let element = engine_value(scope, &source.get(index)?)?;
            scope.set_element(*array, index as u32, element)?;
        }
        return Ok(array);
    };
    let result = scope.object()?;
    add_members(scope, *result, aggregate, source)?;
    Ok(result)
}

/// The members of an anonymous member are the outer one's.
fn add_members(
    scope: Scope<'_>,
    object: JSValue,
    aggregate: &jitcall::types::Aggregate,
    source: &Object,
) -> Result<()> {
    for (index, member) in aggregate.members().iter().enumerate() {
        match (&member.name, &member.ty) {
            (Some(name), ty) => {
                let field = match source.get(index)? {
                    Value::Pointer(address) => {
                        pointer(scope, ScriptType::of_c(ty.clone()).class, address.expose_provenance() as u64)?
                    }
                    other => engine_value(scope, &other)?,
                };
                scope.set_text(object, name, field)?;
            }
            (None, Type::Aggregate(inner)) => {
                if let Value::Object(part) = source.get(index)? {
                    add_members(scope, object, inner, &part)?;
                }
            }
            (None, _) => {}
        }
    }
    Ok(())
}
