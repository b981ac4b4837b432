//! Types as objects of JavaScript's: what the module's script builds structs, unions, arrays and prototypes from.

use std::cell::Cell;
use std::rc::Rc;

use jitcall::types::layout;
use jitcall::types::{Aggregate, AggregateBuilder, AggregateKind, Array, Float, Member, Pointer};
use jitcall::{Arch, Declarations, Object, Signature, Type};

use crate::convert::{to_c, to_js};
use crate::error::{Failure, Result};
use crate::host::{JSValue, tag};
use crate::libraries::{argument, text};
use crate::scope::{Owned, Scope};
use crate::state::{Native, State};
use crate::types::{Class, ScriptType};

/// A type that a script holds.
pub(crate) struct TypeHandle {
    pub(crate) script: ScriptType,
    /// The class of its instances, where it has one.
    view: Cell<JSValue>,
    state: Rc<State>,
}

impl TypeHandle {
    /// The class of its instances; `undefined` where there is none. The reference is the handle's.
    pub(crate) fn view(&self) -> JSValue {
        self.view.get()
    }

    /// The host collects its object.
    pub(crate) fn finalize(self) {
        // SAFETY: the reference is the handle's.
        unsafe { self.state.host.free_rt(self.state.rt, self.view.get()) };
    }

    /// The values that it owns.
    pub(crate) fn values(&self) -> Vec<JSValue> {
        vec![self.view.get()]
    }
}

fn wrap(scope: Scope<'_>, script: ScriptType) -> Result<Owned<'_>> {
    let handle = TypeHandle { script, view: Cell::new(JSValue::UNDEFINED), state: scope.state.handle() };
    scope.state.wrap(scope, Native::Type(Box::new(handle)))
}

/// The handle that a value is.
pub(crate) fn handle<'a>(scope: Scope<'a>, value: JSValue) -> Option<&'a TypeHandle> {
    match scope.state.native(value) {
        Some(Native::Type(handle)) => Some(handle),
        _ => None,
    }
}

/// The type that a value names: a handle, a name, or a number of Bun's.
pub(crate) fn type_of(scope: Scope<'_>, value: JSValue) -> Result<ScriptType> {
    if let Some(handle) = handle(scope, value) {
        return Ok(handle.script.clone());
    }
    if value.is_string() {
        return ScriptType::named(&scope.text(value)?);
    }
    if let Some(number) = scope.index(value) {
        return ScriptType::numbered(number)
            .ok_or_else(|| Failure::of_type(format!("there is no type with the number {number}")));
    }
    Err(Failure::of_type(format!("expected a type, got {}", scope.describe(value))))
}

/// `(name)`: a handle on the type of that name or number.
pub(crate) fn named<'a>(scope: Scope<'a>, arguments: &[JSValue]) -> Result<Owned<'a>> {
    let value = argument(arguments, 0);
    if handle(scope, value).is_some() {
        return scope.own(scope.dup(value));
    }
    wrap(scope, type_of(scope, value)?)
}

/// `(type)`: a pointer to it.
pub(crate) fn pointer_to<'a>(scope: Scope<'a>, arguments: &[JSValue]) -> Result<Owned<'a>> {
    let pointee = type_of(scope, argument(arguments, 0))?;
    wrap(scope, ScriptType::plain(Type::Pointer(Pointer::to(pointee.ty))))
}

/// `(type, length)`: an array of it.
pub(crate) fn array_of<'a>(scope: Scope<'a>, arguments: &[JSValue]) -> Result<Owned<'a>> {
    let element = type_of(scope, argument(arguments, 0))?;
    let length = scope.index(argument(arguments, 1)).ok_or_else(|| {
        Failure::of_type(format!("the length: expected an integer, got {}", scope.describe(argument(arguments, 1))))
    })?;
    wrap(scope, ScriptType::plain(Type::Array(Array::new(element.ty, Some(length))?)))
}

/// `(kind, tag, names, types, bits, packed, align)`: a struct or union.
pub(crate) fn aggregate<'a>(scope: Scope<'a>, arguments: &[JSValue]) -> Result<Owned<'a>> {
    let kind = match text(scope, arguments, 0, "the kind")?.as_str() {
        "union" => AggregateKind::Union,
        _ => AggregateKind::Struct,
    };
    let mut builder = AggregateBuilder::new(kind);
    if argument(arguments, 1).is_string() {
        builder = builder.tag(&scope.text(argument(arguments, 1))?);
    }
    let names = scope.elements(argument(arguments, 2))?;
    let types = scope.elements(argument(arguments, 3))?;
    let bits = scope.elements(argument(arguments, 4))?;
    for ((name, ty), bits) in names.iter().zip(&types).zip(&bits) {
        let name = scope.text(**name)?;
        let ty = type_of(scope, **ty).map_err(|failure| failure.at(&name))?;
        let mut member = Member::new(&name, ty.ty);
        if let Some(bits) = scope.index(**bits) {
            member = member.with_bits(bits as u32);
        }
        builder = builder.push(member);
    }
    if argument(arguments, 5).is(tag::BOOL) && argument(arguments, 5).as_int() != 0 {
        builder = builder.packed();
    }
    if let Some(align) = scope.index(argument(arguments, 6)) {
        builder = builder.aligned(align);
    }
    wrap(scope, ScriptType::plain(builder.build()?))
}

/// `(type, class)`: the class of its instances.
pub(crate) fn set_view<'a>(scope: Scope<'a>, arguments: &[JSValue]) -> Result<Owned<'a>> {
    let handle = handle(scope, argument(arguments, 0)).ok_or_else(|| Failure::of_type("expected a type"))?;
    let before = handle.view.replace(scope.dup(argument(arguments, 1)));
    // SAFETY: the reference was the handle's.
    unsafe { scope.host().free(scope.ctx, before) };
    scope.own(JSValue::UNDEFINED)
}

/// `(type)`: what it is: `{ kind, name, size, align, element, length, members: [{ name, offset, type, bits, at }] }`.
pub(crate) fn describe<'a>(scope: Scope<'a>, arguments: &[JSValue]) -> Result<Owned<'a>> {
    let script = type_of(scope, argument(arguments, 0))?;
    let object = scope.object()?;
    let number = |value: usize| to_js::integer_value(scope, value as i128);
    scope.set(*object, c"kind", scope.string(kind(&script))?)?;
    scope.set(*object, c"name", scope.string(&script.ty.to_string())?)?;
    if !script.ty.is_void() {
        let whole = layout::of(&script.ty, Arch::HOST)?;
        scope.set(*object, c"size", number(whole.size)?)?;
        scope.set(*object, c"align", number(whole.align)?)?;
    }
    match &script.ty {
        Type::Array(array) => {
            scope.set(*object, c"element", wrap(scope, ScriptType::of_c(array.element().clone()))?)?;
            scope.set(*object, c"length", number(array.length().unwrap_or(0))?)?;
        }
        Type::Aggregate(aggregate) => {
            let members = scope.array()?;
            add_members(scope, *members, aggregate, 0, &mut 0)?;
            scope.set(*object, c"members", members)?;
        }
        _ => {}
    }
    Ok(object)
}

/// Lists members, those of anonymous members among the outer ones.
fn add_members(scope: Scope<'_>, list: JSValue, aggregate: &Aggregate, base: usize, count: &mut u32) -> Result<()> {
    let places = aggregate.layout(Arch::HOST);
    for (index, member) in aggregate.members().iter().enumerate() {
        let offset = base + places.offset(index);
        let Some(name) = &member.name else {
            if let Type::Aggregate(inner) = &member.ty {
                add_members(scope, list, inner, offset, count)?;
            }
            continue;
        };
        let entry = scope.object()?;
        let number = |value: usize| to_js::integer_value(scope, value as i128);
        scope.set(*entry, c"name", scope.string(name)?)?;
        scope.set(*entry, c"offset", number(offset)?)?;
        scope.set(*entry, c"type", wrap(scope, ScriptType::of_c(member.ty.clone()))?)?;
        if let Some(bits) = member.bits {
            scope.set(*entry, c"bits", number(bits as usize)?)?;
            scope.set(*entry, c"at", number(8 * base + places.bit_offsets[index])?)?;
        }
        scope.set_element(list, *count, entry)?;
        *count += 1;
    }
    Ok(())
}

/// A word for a type, by which scripts choose how to read it.
fn kind(script: &ScriptType) -> &'static str {
    match (&script.ty, script.class) {
        (_, Class::Text) => "cstring",
        (Type::Void, _) => "void",
        (Type::Bool, _) => "bool",
        (Type::Float(Float::F32), _) => "f32",
        (Type::Float(Float::F64), _) => "f64",
        (Type::Pointer(_), _) => "pointer",
        (Type::Array(_), _) => "array",
        (Type::Aggregate(aggregate), _) => aggregate.kind().keyword(),
        (ty, _) => match ty.as_integer().map(|integer| (integer.size(), integer.is_signed(Arch::HOST))) {
            Some((1, true)) => "i8",
            Some((1, false)) => "u8",
            Some((2, true)) => "i16",
            Some((2, false)) => "u16",
            Some((4, true)) => "i32",
            Some((4, false)) => "u32",
            Some((8, true)) => "i64",
            Some((8, false)) => "u64",
            _ => "other",
        },
    }
}

/// `(text)`: what C declarations declare: `{ functions: [..], variables: [{ name, type }] }`, where a function is
/// `{ name, args, returns, variadic }`.
pub(crate) fn declarations<'a>(scope: Scope<'a>, arguments: &[JSValue]) -> Result<Owned<'a>> {
    let declared = text(scope, arguments, 0, "the declaration")?;
    let parsed = Declarations::parse(&declared)?;
    let result = scope.object()?;
    let functions = scope.array()?;
    for (signature, index) in parsed.functions().iter().zip(0..) {
        scope.set_element(*functions, index, function(scope, signature)?)?;
    }
    scope.set(*result, c"functions", functions)?;
    let variables = scope.array()?;
    for (variable, index) in parsed.variables().iter().zip(0..) {
        let entry = scope.object()?;
        scope.set(*entry, c"name", scope.string(&variable.name)?)?;
        scope.set(*entry, c"type", wrap(scope, ScriptType::of_c(variable.ty.clone()))?)?;
        scope.set_element(*variables, index, entry)?;
    }
    scope.set(*result, c"variables", variables)?;
    Ok(result)
}

fn function<'a>(scope: Scope<'a>, signature: &Signature) -> Result<Owned<'a>> {
    if signature.convention().is_some() {
        return Err(Failure::of_type(format!(
            "{signature}: functions of `ms_abi` are declared by define, as \"win64\""
        )));
    }
    let entry = scope.object()?;
    if let Some(name) = signature.name() {
        scope.set(*entry, c"name", scope.string(name)?)?;
    }
    let parameters = scope.array()?;
    for (parameter, index) in signature.parameters().iter().zip(0..) {
        scope.set_element(*parameters, index, wrap(scope, ScriptType::of_c(parameter.ty.clone()))?)?;
    }
    scope.set(*entry, c"args", parameters)?;
    scope.set(*entry, c"returns", wrap(scope, ScriptType::of_c(signature.result().clone()))?)?;
    scope.set(*entry, c"variadic", scope.own(JSValue::bool(signature.is_variadic()))?)?;
    Ok(entry)
}

/// `(type, memory, offset, name)`: a member, where it takes more than a look at memory.
pub(crate) fn read_member<'a>(scope: Scope<'a>, arguments: &[JSValue]) -> Result<Owned<'a>> {
    let (handle, bytes, name) = member(scope, arguments)?;
    let object = Object::from_bytes(&handle.script.ty, bytes)?;
    to_js::engine_value(scope, &object.field(&name)?)
}

/// `(type, memory, offset, name, value)`: writes one.
pub(crate) fn write_member<'a>(scope: Scope<'a>, arguments: &[JSValue]) -> Result<Owned<'a>> {
    let (handle, bytes, name) = member(scope, arguments)?;
    let mut object = Object::from_bytes(&handle.script.ty, bytes)?;
    to_c::set_member(scope, &mut object, &name, argument(arguments, 4))?;
    bytes.copy_from_slice(object.bytes());
    scope.own(JSValue::UNDEFINED)
}

/// The type, the bytes of an object of it, and the member's name.
fn member<'a>(scope: Scope<'a>, arguments: &[JSValue]) -> Result<(&'a TypeHandle, &'a mut [u8], String)> {
    let handle = handle(scope, argument(arguments, 0)).ok_or_else(|| Failure::of_type("expected a type"))?;
    let size = handle.script.size()?;
    let span = scope.memory(argument(arguments, 1))?.ok_or_else(|| Failure::of_type("expected memory"))?;
    let offset = scope.index(argument(arguments, 2)).unwrap_or(0);
    if offset > span.length || size > span.length - offset {
        return Err(Failure::of_range("the object is not within its memory"));
    }
    // SAFETY: that is within the memory, which is JavaScript's and outlives the call.
    let bytes = unsafe { std::slice::from_raw_parts_mut(span.address.add(offset), size) };
    Ok((handle, bytes, text(scope, arguments, 3, "the member")?))
}
