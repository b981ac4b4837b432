//! JavaScript's values as C's: slots of arguments, bytes of objects.

use std::ffi::c_void;

use jitcall::types::layout;
use jitcall::types::{Aggregate, Integer, Pointer};
use jitcall::{Arch, Object, Signature, Type, Value};

use crate::callback::Callback;
use crate::error::{Failure, Result};
use crate::host::{JSValue, tag};
use crate::scope::{Scope, number_text};
use crate::state::Native;
use crate::types::{Class, ScriptType};

/// What has to live as long as the call that it is an argument of.
#[derive(Default)]
pub(crate) struct Temporaries {
    /// Copies of strings.
    texts: Vec<Box<[u8]>>,
    /// JavaScript functions that were given where C wants a function pointer.
    callbacks: Vec<Callback>,
}

impl Temporaries {
    fn text(&mut self, bytes: Vec<u8>) -> *mut c_void {
        self.texts.push(bytes.into_boxed_slice());
        self.texts.last_mut().map_or(std::ptr::null_mut(), |text| text.as_mut_ptr().cast())
    }

    /// Whether JavaScript functions are among them, which other threads cannot run.
    pub(crate) fn has_callbacks(&self) -> bool {
        !self.callbacks.is_empty()
    }

    /// What is among them, if anything is.
    pub(crate) fn what(&self) -> Option<&'static str> {
        match (self.texts.is_empty(), self.callbacks.is_empty()) {
            (false, _) => Some("a string"),
            (true, false) => Some("a function"),
            (true, true) => None,
        }
    }

    /// The copies of strings, for calls that outlive the scope.
    pub(crate) fn into_texts(self) -> Vec<Box<[u8]>> {
        self.texts
    }
}

/// Writes a value as an object of C's; `bytes` has the type's size.
pub(crate) fn write<'a>(
    scope: Scope<'a>,
    target: &ScriptType,
    value: JSValue,
    bytes: &mut [u8],
    temporaries: &mut Temporaries,
) -> Result<()> {
    match &target.ty {
        Type::Bool => put(bytes, &[u8::from(boolean(scope, value)?)]),
        Type::Float(jitcall::types::Float::F64) => put(bytes, &float(scope, value)?.to_ne_bytes()),
        Type::Float(jitcall::types::Float::F32) => put(bytes, &(float(scope, value)? as f32).to_ne_bytes()),
        Type::Pointer(pointer) => {
            let address = address(scope, pointer, target.class, value, temporaries)?;
            put(bytes, &(address.expose_provenance() as u64).to_ne_bytes());
        }
        ty => match ty.as_integer() {
            Some(integer) => put(bytes, &integer_in(scope, integer, value)?.to_le_bytes()[..bytes.len()]),
            None => put(bytes, object(scope, ty, value)?.bytes()),
        },
    }
    Ok(())
}

fn put(bytes: &mut [u8], value: &[u8]) {
    bytes[..value.len()].copy_from_slice(value);
}

fn expected(scope: Scope<'_>, what: &str, value: JSValue) -> Failure {
    Failure::of_type(format!("expected {what}, got {}", scope.describe(value)))
}

fn boolean(scope: Scope<'_>, value: JSValue) -> Result<bool> {
    if value.is(tag::BOOL) {
        return Ok(value.as_int() != 0);
    }
    match scope.as_number(value) {
        Some(0.0) => Ok(false),
        Some(1.0) => Ok(true),
        Some(_) => Err(Failure::of_range(format!("expected a boolean, got {}", scope.describe(value)))),
        None => Err(expected(scope, "a boolean", value)),
    }
}

/// A number for a floating type.
fn float(scope: Scope<'_>, value: JSValue) -> Result<f64> {
    if let Some(number) = scope.as_number(value) {
        return Ok(number);
    }
    if value.is(tag::BOOL) {
        return Ok(f64::from(value.as_int()));
    }
    if scope.host().is_big(value) {
        let exact = scope.big(value)?.filter(|&big| (big as f64) as i128 == big && big != i128::MAX);
        return exact
            .map(|big| big as f64)
            .ok_or_else(|| Failure::of_range(format!("{} is no number that a double holds", scope.describe(value))));
    }
    Err(expected(scope, "a number", value))
}

/// An integer of any size.
fn whole(scope: Scope<'_>, value: JSValue) -> Result<i128> {
    match value.kind() {
        tag::INT => Ok(value.as_int().into()),
        tag::BOOL => Ok((value.as_int() != 0).into()),
        _ if scope.host().is_big(value) => match scope.big(value)? {
            Some(big) => Ok(big),
            None => Err(Failure::of_range(format!("{} is out of range", scope.describe(value)))),
        },
        _ => match scope.as_number(value) {
            Some(number) if number.is_finite() && number.fract() == 0.0 => match number as i128 {
                // Beyond is what no integer type holds.
                i128::MIN | i128::MAX => Err(Failure::of_range(format!("{} is out of range", number_text(number)))),
                whole => Ok(whole),
            },
            Some(number) => Err(Failure::of_range(format!("expected an integer, got {}", number_text(number)))),
            None => Err(expected(scope, "an integer", value)),
        },
    }
}

/// An integer in the range of a type; its low bytes are the type's.
fn integer_in(scope: Scope<'_>, integer: Integer, value: JSValue) -> Result<i128> {
    let number = whole(scope, value)?;
    let bits = 8 * integer.size() as u32;
    let fits = match (bits, integer.is_signed(Arch::HOST)) {
        (128, true) => true,
        (128, false) => number >= 0,
        (bits, true) => (-(1i128 << (bits - 1))..1i128 << (bits - 1)).contains(&number),
        (bits, false) => (0..1i128 << bits).contains(&number),
    };
    if !fits {
        return Err(Failure::of_range(format!("{} is out of range", scope.describe(value))));
    }
    Ok(number)
}

/// An address: of memory that the value has, or that it says.
fn address<'a>(
    scope: Scope<'a>,
    pointer: &Pointer,
    class: Class,
    value: JSValue,
    temporaries: &mut Temporaries,
) -> Result<*mut c_void> {
    if value.is(tag::NULL) && class != Class::Buffer {
        return Ok(std::ptr::null_mut());
    }
    if value.is(tag::OBJECT) {
        return address_of_object(scope, pointer, value, temporaries);
    }
    if class == Class::Buffer {
        return Err(expected(scope, "a buffer", value));
    }
    if value.is_string() {
        return text(scope, pointer, value, temporaries);
    }
    if value.is(tag::BOOL) || value.is(tag::UNDEFINED) || value.is(tag::SYMBOL) {
        return Err(expected(scope, "a pointer", value));
    }
    let number = whole(scope, value).map_err(|failure| match failure {
        Failure::New(crate::error::Kind::Type, _) => expected(scope, "a pointer", value),
        other => other,
    })?;
    match usize::try_from(number) {
        Ok(address) => Ok(std::ptr::with_exposed_provenance_mut(address)),
        Err(_) => Err(Failure::of_range(format!("{} is no address", scope.describe(value)))),
    }
}

/// A copy of a string, with the zero byte that ends it in C.
fn text<'a>(scope: Scope<'a>, pointer: &Pointer, value: JSValue, temporaries: &mut Temporaries) -> Result<*mut c_void> {
    let mut bytes = scope.bytes_of(value)?;
    if pointer.is_text() && bytes.contains(&0) {
        return Err(Failure::of_type("a string with a zero byte in it, which would end it in C"));
    }
    bytes.push(0);
    Ok(temporaries.text(bytes))
}

fn address_of_object<'a>(
    scope: Scope<'a>,
    pointer: &Pointer,
    value: JSValue,
    temporaries: &mut Temporaries,
) -> Result<*mut c_void> {
    if let Some(Native::Callback(callback)) = scope.state.native(value) {
        return callback.address();
    }
    if let Some(span) = scope.viewed_memory(value)? {
        return Ok(span.address.cast());
    }
    let own = scope.get(value, c"ptr")?;
    if !own.is(tag::UNDEFINED) {
        return match scope.index(*own) {
            Some(address) => Ok(std::ptr::with_exposed_provenance_mut(address)),
            None if own.is(tag::NULL) => Err(Failure::of_type("it is closed")),
            None => Err(expected(scope, "a pointer", value)),
        };
    }
    if scope.is_function(value) {
        let Some(signature) = pointer.signature() else {
            return Err(Failure::of_type(
                "expected a pointer, got a function, for which C's type has to be known: use a JSCallback",
            ));
        };
        return passing_callback(scope, signature, value, temporaries);
    }
    match scope.array_buffer(value) {
        Some(span) => Ok(span.address.cast()),
        None => Err(expected(scope, "a pointer", value)),
    }
}

/// A function pointer for as long as the call takes.
fn passing_callback<'a>(
    scope: Scope<'a>,
    signature: &Signature,
    value: JSValue,
    temporaries: &mut Temporaries,
) -> Result<*mut c_void> {
    let parameters = signature.parameters().iter().map(|parameter| ScriptType::of_c(parameter.ty.clone())).collect();
    let result = ScriptType::of_c(signature.result().clone());
    let callback = Callback::new(scope, value, signature, parameters, result, false)?;
    let address = callback.address();
    temporaries.callbacks.push(callback);
    address
}

/// An object of a type that no register has room for, or that is made of parts.
fn object(scope: Scope<'_>, ty: &Type, value: JSValue) -> Result<Object> {
    let size = layout::of(ty, Arch::HOST)?.size;
    if let Some(span) = whole_memory(scope, ty, value)? {
        if span.length != size {
            return Err(Failure::of_range(format!("expected {size} bytes, got {}", span.length)));
        }
        // SAFETY: the memory is JavaScript's, which does not run meanwhile.
        let bytes = unsafe { std::slice::from_raw_parts(span.address, span.length) };
        return Ok(Object::from_bytes(ty, bytes)?);
    }
    match to_value(scope, ty, value)? {
        Value::Object(object) => Ok(object),
        other => Ok(Object::new(ty, &other).map_err(without_the_value)?),
    }
}

/// The memory of a buffer or view that stands for an aggregate or an array. Typed arrays are arrays of numbers too, but as
/// bytes they are the same.
fn whole_memory(scope: Scope<'_>, ty: &Type, value: JSValue) -> Result<Option<crate::scope::Span>> {
    match ty {
        Type::Aggregate(_) | Type::Array(_) | Type::Vector(_) => scope.memory(value),
        _ => Ok(None),
    }
}

/// The engine's errors name its own values; what was given here is JavaScript's.
fn without_the_value(error: jitcall::Error) -> Failure {
    let jitcall::Error::Value { mismatch } = error else { return error.into() };
    let failure = if mismatch.reason.starts_with("out of range") {
        let number = mismatch.given.split(' ').next().unwrap_or_default();
        Failure::of_range(format!("{number} is {}", mismatch.reason))
    } else {
        Failure::of_type(format!("expected {}: {}", mismatch.declared, mismatch.reason))
    };
    if mismatch.place.is_empty() { failure } else { failure.at(&mismatch.place) }
}

/// Writes a member of an object.
pub(crate) fn set_member(scope: Scope<'_>, object: &mut Object, name: &str, value: JSValue) -> Result<()> {
    let member = match object.ty() {
        Type::Aggregate(aggregate) => member_type(aggregate, name).cloned(),
        _ => None,
    };
    let Some(ty) = member else { return Err(Failure::of_type(format!("{} has no member {name}", object.ty()))) };
    let value = to_value(scope, &ty, value)?;
    object.set_field(name, &value).map_err(|error| match without_the_value(error) {
        // The place is the member, which the caller knows.
        Failure::New(kind, message) => {
            Failure::New(kind, message.strip_prefix(&format!(".{name}: ")).unwrap_or(&message).to_owned())
        }
        pending => pending,
    })
}

/// The engine's value for one of JavaScript's.
pub(crate) fn to_value(scope: Scope<'_>, ty: &Type, value: JSValue) -> Result<Value<'static>> {
    Ok(match ty {
        Type::Bool => Value::Bool(boolean(scope, value)?),
        Type::Float(_) if scope.host().is_big(value) => Value::I128(whole(scope, value)?),
        Type::Float(_) => Value::F64(float(scope, value)?),
        Type::Complex(_) => {
            let parts = scope.elements(value)?;
            let [re, im] = &parts[..] else { return Err(Failure::of_type("expected an array [real, imaginary]")) };
            Value::Complex64(float(scope, **re)?, float(scope, **im)?)
        }
        Type::Pointer(pointer) => {
            let mut temporaries = Temporaries::default();
            let address = address(scope, pointer, Class::Plain, value, &mut temporaries)?;
            if temporaries.what().is_some() {
                return Err(Failure::of_type("expected a pointer to memory that outlives the call: use a buffer"));
            }
            Value::Pointer(address)
        }
        Type::Aggregate(aggregate) => members(scope, ty, aggregate, value)?,
        Type::Array(array) => elements(scope, ty, array.element(), value)?,
        Type::Vector(vector) => elements(scope, ty, &vector.element(), value)?,
        Type::Void => Value::Void,
        other => match other.as_integer() {
            Some(integer) => Value::I128(integer_in(scope, integer, value)?),
            None => return Err(Failure::of_type(format!("{other} cannot be passed"))),
        },
    })
}

/// An array's or a vector's elements.
fn elements(scope: Scope<'_>, ty: &Type, element: &Type, value: JSValue) -> Result<Value<'static>> {
    if let Some(span) = scope.memory(value)? {
        // SAFETY: the memory is JavaScript's, which does not run meanwhile.
        let bytes = unsafe { std::slice::from_raw_parts(span.address, span.length) };
        return Ok(Value::Object(Object::from_bytes(ty, bytes)?));
    }
    if value.is_string() && element.as_integer().is_some_and(|integer| integer.size() == 1) {
        let text = scope.bytes_of(value)?;
        return Ok(Value::Object(Object::new(ty, &Value::Bytes(&text)).map_err(without_the_value)?));
    }
    if !value.is(tag::OBJECT) {
        return Err(expected(scope, "an array", value));
    }
    let parts = scope.elements(value)?;
    let values: Result<Vec<Value<'static>>> = parts
        .iter()
        .enumerate()
        .map(|(index, part)| to_value(scope, element, **part).map_err(|failure| failure.at(format_args!("[{index}]"))))
        .collect();
    Ok(Value::Object(Object::new(ty, &Value::List(&values?)).map_err(without_the_value)?))
}

/// An aggregate's members: an array has them in order, an object by name.
fn members(scope: Scope<'_>, ty: &Type, aggregate: &Aggregate, value: JSValue) -> Result<Value<'static>> {
    if !value.is(tag::OBJECT) {
        return Err(expected(scope, &format!("a {}", aggregate.kind().keyword()), value));
    }
    if let Some(span) = scope.memory(value)? {
        // SAFETY: as above.
        let bytes = unsafe { std::slice::from_raw_parts(span.address, span.length) };
        return Ok(Value::Object(Object::from_bytes(ty, bytes)?));
    }
    if scope.is_array(value)? {
        return in_order(scope, ty, aggregate, value);
    }
    let keys = scope.call(scope.state.keys_function(), JSValue::UNDEFINED, &mut [value])?;
    let mut fields = Vec::new();
    for key in scope.elements(*keys)? {
        let key = scope.text(*key)?;
        let Some((name, member)) = member_of_key(aggregate, &key) else {
            return Err(Failure::of_type(format!("{ty} has no member {key}")));
        };
        let field = scope.get_text(value, &key)?;
        let field = to_value(scope, member, *field).map_err(|failure| failure.at(format_args!(".{name}")))?;
        fields.push((name.to_owned(), field));
    }
    let fields: Vec<(&str, Value<'_>)> = fields.iter().map(|(name, value)| (name.as_str(), value.clone())).collect();
    Ok(Value::Object(Object::new(ty, &Value::Fields(&fields)).map_err(without_the_value)?))
}

/// The member that a key of an object or an array means: its name and type.
fn member_of_key<'t>(aggregate: &'t Aggregate, key: &'t str) -> Option<(&'t str, &'t Type)> {
    if let Some(ty) = member_type(aggregate, key) {
        return Some((key, ty));
    }
    let mut named = aggregate.members().iter().filter_map(|member| Some((member.name.as_deref()?, &member.ty)));
    named.nth(key.parse().ok()?)
}

/// A struct's members in their order.
fn in_order(scope: Scope<'_>, ty: &Type, aggregate: &Aggregate, value: JSValue) -> Result<Value<'static>> {
    let parts = scope.elements(value)?;
    // Padding has no value.
    let members = aggregate.members().iter().filter(|member| member.name.is_some() || member.bits.is_none());
    let values: Result<Vec<Value<'static>>> = parts
        .iter()
        .zip(members)
        .enumerate()
        .map(|(index, (part, member))| {
            to_value(scope, &member.ty, **part).map_err(|failure| failure.at(format_args!("[{index}]")))
        })
        .collect();
    let mut values = values?;
    // Those that are too many are counted by the engine.
    values.resize(parts.len(), Value::Void);
    Ok(Value::Object(Object::new(ty, &Value::List(&values)).map_err(without_the_value)?))
}

/// The type of the member of that name, which may be in an anonymous member.
fn member_type<'t>(aggregate: &'t Aggregate, name: &str) -> Option<&'t Type> {
    aggregate.members().iter().find_map(|member| match (&member.name, &member.ty) {
        (Some(own), ty) if own == name => Some(ty),
        (None, Type::Aggregate(inner)) => member_type(inner, name),
        _ => None,
    })
}
