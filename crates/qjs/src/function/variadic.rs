//! Calls of variadic functions: arguments whose types the call itself says.

use std::rc::Rc;

use jitcall::types::Float;
use jitcall::{Function, Type};

use super::{Record, fallback};
use crate::error::{Failure, Result};
use crate::host::{JSValue, tag};
use crate::scope::Scope;
use crate::state::Native;
use crate::types::ScriptType;

/// A combination of types that followed the fixed arguments, and the function for it.
pub(super) struct Tail {
    types: Vec<Type>,
    parameters: Vec<ScriptType>,
    function: Function,
}

/// Calls with the types that the values after the fixed ones have.
pub(super) fn call(scope: Scope<'_>, record: &Record, arguments: &[JSValue]) -> Result<JSValue> {
    let fixed = record.declaration.parameters.len();
    let mut values = arguments.to_vec();
    let mut types = Vec::with_capacity(arguments.len() - fixed);
    // The values of typed arguments are properties of theirs: held until the call is done.
    let mut held = Vec::new();
    for (index, value) in values.iter_mut().enumerate().skip(fixed) {
        let place = || format!("{}: argument {}", record.declaration.name, index + 1);
        if value.is(tag::OBJECT) {
            let handle = scope.get(*value, c"typed")?;
            if let Some(Native::Type(handle)) = scope.state.native(*handle) {
                types.push(handle.script.ty.clone());
                let inner = scope.get(*value, c"value")?;
                *value = *inner;
                held.push(inner);
                continue;
            }
        }
        types.push(type_of(scope, *value).map_err(|failure| failure.at(place()))?);
    }
    let tail = prepare(record, types)?;
    fallback::call_with(scope, record, &tail.function, &tail.parameters, &values)
}

/// The C type of a value that has none declared: what a C programmer would write for it.
fn type_of(scope: Scope<'_>, value: JSValue) -> Result<Type> {
    match value.kind() {
        tag::BOOL => return Ok(Type::I32),
        tag::NULL | tag::OBJECT => return Ok(Type::pointer()),
        _ if value.is_string() => return Ok(Type::c_string()),
        _ if scope.host().is_big(value) => return Ok(Type::I64),
        _ => {}
    }
    match scope.as_number(value) {
        Some(number) if number.fract() == 0.0 && i32::try_from(number as i64).is_ok() => Ok(Type::I32),
        Some(_) => Ok(Type::Float(Float::F64)),
        None => Err(Failure::of_type(format!("expected a value that C has a type for, got {}", scope.describe(value)))),
    }
}

/// The function for a combination of types: the last one again, or a new one.
fn prepare(record: &Record, types: Vec<Type>) -> Result<Rc<Tail>> {
    let mut last = record.tail.borrow_mut();
    if let Some(tail) = &*last
        && tail.types == types
    {
        return Ok(Rc::clone(tail));
    }
    let function = record.function.with_tail(types.iter().cloned())?;
    let promoted = &function.signature().parameters()[record.declaration.parameters.len()..];
    let mut parameters = record.declaration.parameters.clone();
    parameters.extend(promoted.iter().map(|parameter| ScriptType::plain(parameter.ty.clone())));
    let tail = Rc::new(Tail { types, parameters, function });
    *last = Some(Rc::clone(&tail));
    Ok(tail)
}
