//! Arguments of a call: from what was typed to values of the declared types.

mod literal;
mod memory;

use std::ffi::c_void;
use std::fmt;
use std::ops::Range;

use jitcall::types::declaration::Declarations;
use jitcall::types::{Aggregate, AggregateKind, Float, Integer, Pointee, Pointer, layout};
use jitcall::{Arch, Error, Object, Parameter, Type, Value};

use crate::long_double;
use literal::{Fault, Field, Kind, Literal, Number};
use memory::{Form, Memory, Show};

/// What the names in arguments mean.
pub(crate) struct Names<'a> {
    /// Where enum constants are looked up.
    pub(crate) declarations: &'a Declarations,
    /// Where `&name` is looked up; an error says why it is not found.
    pub(crate) symbol: &'a dyn Fn(&str) -> Result<*mut c_void, String>,
}

/// The arguments of one call, and the memory that they point at.
pub(crate) struct Arguments {
    /// One value for each argument.
    pub(crate) values: Vec<Value<'static>>,
    memory: Vec<Memory>,
}

impl Arguments {
    /// Reads the arguments of a call: first those of `parameters`, then those that follow them in a variadic call.
    pub(crate) fn read(texts: &[String], parameters: &[Parameter], names: &Names<'_>) -> Result<Arguments, Rejected> {
        let mut reader = Reader { names, memory: Vec::new(), number: 0 };
        let mut values = Vec::with_capacity(texts.len());
        for (index, text) in texts.iter().enumerate() {
            reader.number = index + 1;
            let parameter = parameters.get(index);
            let value = match parameter {
                Some(parameter) => reader.argument(text, &parameter.ty),
                None => reader.variadic(text),
            };
            values.push(value.map_err(|fault| Rejected {
                place: place(index + 1, parameter),
                text: text.clone(),
                fault,
            })?);
        }
        Ok(Arguments { values, memory: reader.memory })
    }

    /// Gives the memory that C may have written to its first content again.
    pub(crate) fn reset(&self) {
        self.memory.iter().for_each(Memory::reset);
    }

    /// What is to be shown of the memory after the call, one text for each piece.
    pub(crate) fn written(&self, parameters: &[Parameter]) -> jitcall::Result<Vec<String>> {
        let shown = self.memory.iter().map(|memory| {
            let place = place(memory.argument(), parameters.get(memory.argument() - 1));
            Ok(memory.shown()?.map(|content| format!("{place}: {content}")))
        });
        shown.filter_map(Result::transpose).collect()
    }
}

/// `argument 2 (y)`.
fn place(number: usize, parameter: Option<&Parameter>) -> String {
    match parameter.and_then(|parameter| parameter.name.as_deref()) {
        Some(name) => format!("argument {number} ({name})"),
        None => format!("argument {number}"),
    }
}

/// An argument that was not understood, or does not fit.
#[derive(Debug)]
pub(crate) struct Rejected {
    place: String,
    text: String,
    fault: Fault,
}

impl fmt::Display for Rejected {
    /// Points at the piece that is wrong.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Rejected { place, text, fault } = self;
        write!(f, "{place}: {}", fault.message)?;
        // A marker below several lines would stand under the last of them.
        if text.contains(char::is_control) {
            return write!(f, " (column {})", text[..fault.span.start].chars().count() + 1);
        }
        let indent = " ".repeat(text[..fault.span.start].chars().count());
        let length = text[fault.span.clone()].chars().count().max(1);
        write!(f, "\n  {text}\n  {indent}{}", "^".repeat(length))
    }
}

impl std::error::Error for Rejected {}

/// Reads one argument after the other.
struct Reader<'a> {
    names: &'a Names<'a>,
    memory: Vec<Memory>,
    /// The number of the argument that is being read, from 1.
    number: usize,
}

impl Reader<'_> {
    fn argument(&mut self, text: &str, ty: &Type) -> Result<Value<'static>, Fault> {
        match ty {
            Type::Pointer(pointer) if pointer.is_text() && !is_marked(text) => {
                let bytes = literal::unescape(text)?;
                Ok(self.text(bytes, show_of_text(pointer)))
            }
            _ => self.value(text, &literal::parse(text)?, ty),
        }
    }

    /// An argument whose type follows from the way it is written.
    fn variadic(&mut self, text: &str) -> Result<Value<'static>, Fault> {
        let literal = match literal::parse(text) {
            Ok(literal) => literal,
            Err(fault) if text.starts_with(['@', '"']) => return Err(fault),
            Err(_) => return Ok(self.text(literal::unescape(text)?, Show::Never)),
        };
        match &literal.kind {
            Kind::Number(Number::Integer { hex: true, .. }) => self.address(&literal, text),
            Kind::Number(number) => variadic_number(number, &literal.span),
            Kind::Complex(re, im) => Ok(Value::Complex64(double(re, &literal.span)?, double(im, &literal.span)?)),
            Kind::Char(code) => Ok(Value::U32(*code)),
            Kind::Bool(value) => Ok(Value::Bool(*value)),
            Kind::Text(bytes) => Ok(self.text(bytes.clone(), Show::Never)),
            Kind::Name(name) => match self.names.declarations.constant(name) {
                Some(value) => Ok(narrowest(value)),
                None => Ok(self.text(literal::unescape(text)?, Show::Never)),
            },
            Kind::List(_) | Kind::Fields(_) => Ok(self.text(literal::unescape(text)?, Show::Never)),
            Kind::Null | Kind::Memory(_) | Kind::Symbol(_) | Kind::Room | Kind::Holding(_) => {
                self.pointer(text, &literal, &Pointer::to(Type::Void))
            }
        }
    }

    /// A value of a declared type.
    fn value(&mut self, text: &str, literal: &Literal, ty: &Type) -> Result<Value<'static>, Fault> {
        let value = match (ty, &literal.kind) {
            (Type::Pointer(pointer), _) => self.pointer(text, literal, pointer)?,
            (Type::Aggregate(aggregate), Kind::List(items)) => self.members(text, literal, ty, aggregate, items)?,
            (Type::Aggregate(aggregate), Kind::Fields(fields)) => self.fields(text, literal, ty, aggregate, fields)?,
            (Type::Vector(vector), Kind::List(items)) => {
                self.elements(text, literal, ty, items, &vector.element(), vector.lanes())?
            }
            (Type::Array(array), Kind::List(items)) => {
                self.elements(text, literal, ty, items, array.element(), array.length().unwrap_or(0))?
            }
            (Type::Array(_), Kind::Text(bytes)) => {
                Object::new(ty, &Value::Bytes(bytes)).map_err(|error| refused(text, literal, &error))?.into()
            }
            (Type::Complex(float), Kind::List(items)) => {
                let [re, im] = items.as_slice() else {
                    return Err(unfit(text, literal, ty, "expected a real and an imaginary part"));
                };
                let part = Type::Float(*float);
                complex(text, literal, ty, [self.value(text, re, &part)?, self.value(text, im, &part)?])?
            }
            (Type::Complex(float), Kind::Complex(re, im)) => {
                let span = &literal.span;
                complex(text, literal, ty, [floating(*float, re, span)?, floating(*float, im, span)?])?
            }
            (_, Kind::Name(name)) => Value::I128(self.constant(text, literal, ty, name)?),
            _ => scalar(text, literal, ty)?,
        };
        // The engine's own rules decide whether it fits, here where the place is known.
        match Object::new(ty, &value) {
            Ok(_) => Ok(value),
            Err(error) => Err(refused(text, literal, &error)),
        }
    }

    fn constant(&self, text: &str, literal: &Literal, ty: &Type, name: &str) -> Result<i128, Fault> {
        let own = match ty {
            Type::Enum(definition) => definition.constants(),
            _ => &[],
        };
        let found = own.iter().find(|(own, _)| own == name).map(|(_, value)| *value);
        if let Some(value) = found.or_else(|| self.names.declarations.constant(name)) {
            return Ok(value);
        }
        let known: Vec<&str> = own.iter().map(|(name, _)| name.as_str()).collect();
        let reason = match (ty.as_integer(), known.is_empty()) {
            (Some(_), false) => format!("its constants are {}", known.join(", ")),
            (Some(_), true) => "no enum constant has that name".to_owned(),
            _ => "a name is no value of that type".to_owned(),
        };
        Err(unfit(text, literal, ty, &reason))
    }

    fn elements(
        &mut self,
        text: &str,
        literal: &Literal,
        ty: &Type,
        items: &[Literal],
        element: &Type,
        length: usize,
    ) -> Result<Value<'static>, Fault> {
        if items.is_empty() {
            return zeroed(text, literal, ty);
        }
        if items.len() != length {
            return Err(unfit(text, literal, ty, &format!("expected {length} elements")));
        }
        let values = items.iter().map(|item| self.value(text, item, element)).collect::<Result<Vec<_>, Fault>>()?;
        object(text, literal, ty, &Value::List(&values))
    }

    fn members(
        &mut self,
        text: &str,
        literal: &Literal,
        ty: &Type,
        aggregate: &Aggregate,
        items: &[Literal],
    ) -> Result<Value<'static>, Fault> {
        if items.is_empty() {
            return zeroed(text, literal, ty);
        }
        if aggregate.kind() == AggregateKind::Union {
            return Err(unfit(text, literal, ty, "a union takes one member by name, as in {name: 1}"));
        }
        // Padding bit-fields take no value.
        let members = aggregate.members().iter().filter(|member| member.name.is_some() || member.bits.is_none());
        let types: Vec<&Type> = members.map(|member| &member.ty).collect();
        if items.len() != types.len() {
            return Err(unfit(text, literal, ty, &format!("expected {} members, got {}", types.len(), items.len())));
        }
        let values = items.iter().zip(types).map(|(item, ty)| self.value(text, item, ty));
        let values = values.collect::<Result<Vec<_>, Fault>>()?;
        object(text, literal, ty, &Value::List(&values))
    }

    fn fields(
        &mut self,
        text: &str,
        literal: &Literal,
        ty: &Type,
        aggregate: &Aggregate,
        fields: &[Field],
    ) -> Result<Value<'static>, Fault> {
        let mut values = Vec::with_capacity(fields.len());
        for field in fields {
            let Some(member) = member_type(aggregate, &field.name) else {
                return Err(Fault::new(&field.span, format!("{ty} has no member `{}`", field.name)));
            };
            values.push((field.name.as_str(), self.value(text, &field.value, member)?));
        }
        object(text, literal, ty, &Value::Fields(&values))
    }

    fn pointer(&mut self, text: &str, literal: &Literal, pointer: &Pointer) -> Result<Value<'static>, Fault> {
        let ty = Type::Pointer(pointer.clone());
        let holds_data = pointer.signature().is_none();
        let holds_text = pointer.is_text() || matches!(pointer.pointee(), Pointee::Type(Type::Void));
        match &literal.kind {
            Kind::Null | Kind::Number(Number::Integer { magnitude: 0, .. }) => Ok(Value::Pointer(std::ptr::null_mut())),
            Kind::Number(Number::Integer { hex: true, .. }) => self.address(literal, text),
            Kind::Symbol(name) => match (self.names.symbol)(name) {
                Ok(address) => Ok(Value::Pointer(address)),
                Err(reason) => Err(Fault::new(&literal.span, reason)),
            },
            Kind::Memory(bytes) if holds_data => {
                Ok(self.keep(Memory::new(self.number, &vec![0; *bytes], 1, Show::Always(Form::Bytes))))
            }
            Kind::Room => self.room(text, literal, pointer),
            Kind::Text(bytes) if holds_text => Ok(self.text(bytes.clone(), show_of_text(pointer))),
            Kind::Holding(inner) if holds_data => match &inner.kind {
                Kind::Text(bytes) if holds_text => Ok(self.text(bytes.clone(), Show::Always(Form::Text))),
                _ => self.holding(text, inner, pointer, true),
            },
            Kind::List(_) | Kind::Fields(_) if holds_data => self.holding(text, literal, pointer, !pointer.is_const()),
            Kind::Name(name) if !holds_data => {
                Err(unfit(text, literal, &ty, &format!("write `&{name}` for the address of a function")))
            }
            _ => Err(unfit(text, literal, &ty, WAYS_TO_POINT)),
        }
    }

    fn address(&self, literal: &Literal, text: &str) -> Result<Value<'static>, Fault> {
        match literal.kind {
            Kind::Number(Number::Integer { negative: false, magnitude, .. }) if magnitude <= u64::MAX.into() => {
                Ok(Value::Pointer(std::ptr::with_exposed_provenance_mut(magnitude as usize)))
            }
            _ => Err(Fault::new(&literal.span, format!("`{}` is no address of 64 bits", &text[literal.span.clone()]))),
        }
    }

    /// `@`: zeroed memory for one object.
    fn room(&mut self, text: &str, literal: &Literal, pointer: &Pointer) -> Result<Value<'static>, Fault> {
        let ty = Type::Pointer(pointer.clone());
        let object = match pointer.pointee() {
            Pointee::Type(pointee) if !pointer.is_text() => Object::zeroed(pointee).ok(),
            _ => None,
        };
        match object {
            Some(object) => Ok(self.object(&object, Show::Always)),
            None => Err(unfit(text, literal, &ty, "write how many bytes, as in @64")),
        }
    }

    /// Memory with an object, or with as many scalars as a list has.
    fn holding(
        &mut self,
        text: &str,
        literal: &Literal,
        pointer: &Pointer,
        shown: bool,
    ) -> Result<Value<'static>, Fault> {
        let ty = Type::Pointer(pointer.clone());
        let Pointee::Type(pointee) = pointer.pointee() else {
            return Err(unfit(text, literal, &ty, "what it points at is not known"));
        };
        let held = match (pointee, &literal.kind) {
            (Type::Void, _) => return Err(unfit(text, literal, &ty, "what it points at is not known")),
            (Type::Aggregate(_) | Type::Array(_) | Type::Vector(_), _) => pointee.clone(),
            (_, Kind::List(items)) => {
                Type::array(pointee.clone(), items.len()).map_err(|error| refused(text, literal, &error))?
            }
            _ => pointee.clone(),
        };
        match self.value(text, literal, &held)? {
            Value::Object(object) => Ok(self.object(&object, if shown { Show::Always } else { |_| Show::Never })),
            _ => Err(unfit(text, literal, &ty, WAYS_TO_POINT)),
        }
    }

    fn object(&mut self, object: &Object, show: fn(Form) -> Show) -> Value<'static> {
        let form = Form::Object(object.ty().clone());
        let align = layout::of(object.ty(), Arch::HOST).map_or(1, |layout| layout.align);
        self.keep(Memory::new(self.number, object.bytes(), align, show(form)))
    }

    /// Memory with text and the NUL after it.
    fn text(&mut self, mut bytes: Vec<u8>, show: Show) -> Value<'static> {
        bytes.push(0);
        self.keep(Memory::new(self.number, &bytes, 1, show))
    }

    fn keep(&mut self, memory: Memory) -> Value<'static> {
        let address = memory.address();
        self.memory.push(memory);
        Value::Pointer(address)
    }
}

const WAYS_TO_POINT: &str = "write null, 0x... for an address, &name for a symbol, @64 for memory of 64 bytes, \
     @ for an object, @{...} or @\"...\" for memory with content";

/// Whether an argument for a pointer to characters means something else than its own text.
fn is_marked(text: &str) -> bool {
    text == "null" || text.starts_with(['@', '"'])
}

fn show_of_text(pointer: &Pointer) -> Show {
    if pointer.is_const() { Show::Never } else { Show::IfChanged(Form::Text) }
}

/// The type of a member, which may be in an anonymous member.
fn member_type<'t>(aggregate: &'t Aggregate, name: &str) -> Option<&'t Type> {
    aggregate.members().iter().find_map(|member| match (&member.name, &member.ty) {
        (Some(own), ty) if own == name => Some(ty),
        (None, Type::Aggregate(inner)) => member_type(inner, name),
        _ => None,
    })
}

fn scalar(text: &str, literal: &Literal, ty: &Type) -> Result<Value<'static>, Fault> {
    Ok(match (&literal.kind, ty) {
        (Kind::Number(number), Type::Float(float) | Type::Complex(float)) => floating(*float, number, &literal.span)?,
        (Kind::Number(Number::Real(_)), _) => {
            let Kind::Number(number) = &literal.kind else { unreachable!("matched above") };
            Value::F64(double(number, &literal.span)?)
        }
        (Kind::Number(Number::Integer { negative, magnitude, .. }), _) => {
            integer(*negative, *magnitude).ok_or_else(|| unfit(text, literal, ty, "out of range"))?
        }
        (Kind::Bool(value), _) => Value::Bool(*value),
        // A character constant that is a byte has the value of that `char`.
        (Kind::Char(code @ 0x80..=0xff), Type::Integer(Integer::Char | Integer::SChar))
            if ty.as_integer().is_some_and(|integer| integer.is_signed(Arch::HOST)) =>
        {
            Value::I8(*code as u8 as i8)
        }
        (Kind::Char(code), _) => Value::U32(*code),
        (Kind::Text(_), _) => return Err(unfit(text, literal, ty, "text goes to pointers and arrays of characters")),
        (Kind::List(_) | Kind::Fields(_), _) => return Err(unfit(text, literal, ty, "it has no members")),
        (Kind::Complex(..), _) => return Err(unfit(text, literal, ty, "it is not complex")),
        (Kind::Null | Kind::Memory(_) | Kind::Room | Kind::Holding(_) | Kind::Symbol(_) | Kind::Name(_), _) => {
            return Err(unfit(text, literal, ty, "an address is no value of that type"));
        }
    })
}

fn integer(negative: bool, magnitude: u128) -> Option<Value<'static>> {
    match (negative, i128::try_from(magnitude)) {
        (false, Ok(value)) => Some(Value::I128(value)),
        (false, Err(_)) => Some(Value::U128(magnitude)),
        (true, Ok(value)) => Some(Value::I128(-value)),
        (true, Err(_)) => (magnitude == i128::MIN.unsigned_abs()).then_some(Value::I128(i128::MIN)),
    }
}

/// `int` where it fits, then `long`, `unsigned long` and `__int128`.
fn narrowest(value: i128) -> Value<'static> {
    if let Ok(value) = i32::try_from(value) {
        Value::I32(value)
    } else if let Ok(value) = i64::try_from(value) {
        Value::I64(value)
    } else if let Ok(value) = u64::try_from(value) {
        Value::U64(value)
    } else {
        Value::I128(value)
    }
}

fn variadic_number(number: &Number, span: &Range<usize>) -> Result<Value<'static>, Fault> {
    match number {
        Number::Integer { negative, magnitude, .. } => match integer(*negative, *magnitude) {
            Some(Value::I128(value)) => Ok(narrowest(value)),
            Some(value) => Ok(value),
            None => Err(Fault::new(span, "a number of more than 128 bits")),
        },
        Number::Real(_) => Ok(Value::F64(double(number, span)?)),
    }
}

/// A number for a floating type. An integer has to be represented exactly; a fraction is rounded to nearest, once.
fn floating(float: Float, number: &Number, span: &Range<usize>) -> Result<Value<'static>, Fault> {
    let digits = match number {
        Number::Integer { negative: true, magnitude: 0, .. } => "-0",
        Number::Integer { negative, magnitude, .. } => {
            return integer(*negative, *magnitude).ok_or_else(|| Fault::new(span, "a number of more than 128 bits"));
        }
        Number::Real(digits) => digits,
    };
    match float {
        Float::F32 => {
            let value: f32 = digits.parse().map_err(|_| not_a_number(digits, span))?;
            finite(value.is_finite(), digits, span, float)?;
            Ok(Value::F32(value))
        }
        Float::LongDouble => {
            let value = long_double::parse(digits).map_err(|error| Fault::new(span, error.to_string()))?;
            finite(!value.is_infinite(), digits, span, float)?;
            Ok(Value::LongDouble(value))
        }
        Float::F16 | Float::F64 => double(number, span).map(Value::F64),
    }
}

fn double(number: &Number, span: &Range<usize>) -> Result<f64, Fault> {
    match number {
        Number::Integer { negative, magnitude, .. } => {
            let value = *magnitude as f64;
            Ok(if *negative { -value } else { value })
        }
        Number::Real(digits) => {
            let value: f64 = digits.parse().map_err(|_| not_a_number(digits, span))?;
            finite(value.is_finite(), digits, span, Float::F64)?;
            Ok(value)
        }
    }
}

fn not_a_number(digits: &str, span: &Range<usize>) -> Fault {
    Fault::new(span, format!("`{digits}` is not a number"))
}

/// Digits that overflow are an error; `inf` and `nan` are meant.
fn finite(is_finite: bool, digits: &str, span: &Range<usize>, float: Float) -> Result<(), Fault> {
    if is_finite || digits.ends_with(|last: char| last.is_alphabetic()) {
        return Ok(());
    }
    Err(Fault::new(span, format!("expected {}, got {digits}: out of range", float.name())))
}

/// A complex value: the only element of an array, because the engine joins the parts of elements.
fn complex(text: &str, literal: &Literal, ty: &Type, parts: [Value<'static>; 2]) -> Result<Value<'static>, Fault> {
    let array = Type::array(ty.clone(), 1).and_then(|array| Object::new(&array, &Value::List(&[Value::List(&parts)])));
    array.and_then(|array| array.get(0)).map_err(|error| refused(text, literal, &error))
}

fn object(text: &str, literal: &Literal, ty: &Type, value: &Value<'_>) -> Result<Value<'static>, Fault> {
    Object::new(ty, value).map(Value::Object).map_err(|error| refused(text, literal, &error))
}

fn zeroed(text: &str, literal: &Literal, ty: &Type) -> Result<Value<'static>, Fault> {
    Object::zeroed(ty).map(Value::Object).map_err(|error| refused(text, literal, &error))
}

fn unfit(text: &str, literal: &Literal, ty: &Type, reason: &str) -> Fault {
    Fault::new(&literal.span, format!("expected {ty}, got `{}`: {reason}", &text[literal.span.clone()]))
}

/// The engine's refusal, in terms of what was written.
fn refused(text: &str, literal: &Literal, error: &Error) -> Fault {
    match error {
        Error::Value { mismatch } => {
            let place = if mismatch.place.is_empty() { String::new() } else { format!("{}: ", mismatch.place) };
            let given = &text[literal.span.clone()];
            Fault::new(
                &literal.span,
                format!("{place}expected {}, got `{given}`: {}", mismatch.declared, mismatch.reason),
            )
        }
        other => Fault::new(&literal.span, other.to_string()),
    }
}
