//! C types as q's values meet them.
//!
//! | C type | q has | q gives |
//! |---|---|---|
//! | `_Bool` | `b`, or a number that is 0 or 1 | `b` |
//! | `char` | `c`, or a number of a byte | `c` |
//! | `signed char`, `unsigned char` | `x` | `x`, the byte as it is |
//! | `short` | `h` | `h` |
//! | `unsigned short`, `int` | `i` | `i` |
//! | `unsigned int`, `long`, `long long` | `j` | `j` |
//! | `unsigned long`, `unsigned long long` | `j`: beyond 2^63-1 the negative long of the same bits | the same |
//! | `enum` | a constant's symbol, or its number | `i`; `j` where a constant is no int |
//! | `_Float16`, `float` | `e` | `e` |
//! | `double`, `long double` | `f` | `f`, rounded |
//! | `__int128` | `j`, or 16 bytes | 16 bytes |
//! | `_Complex`, vectors | a list of numbers | a vector |
//! | pointers | a long, `::`, a foreign object | `j` |
//! | `char[n]` | a string of at most n chars, zeros behind it | what is before the first zero |
//! | other arrays | a list of n | a vector; of structs a table |
//! | structs | a dictionary, a list in the order of the members, the bytes | a dictionary |
//! | unions | a dictionary of one member, the bytes | the bytes |
//!
//! Numbers of another type are converted without loss, or refused. The members of anonymous structs and unions are the
//! outer one's; of an anonymous union, those of one alternative are written. Parameters and results of functions have more:
//! see [`function`](super::function).

use jitcall::types::{Aggregate, AggregateKind, Array, Float, Integer, Pointee, layout};
use jitcall::{Arch, Declarations, Type};

use super::given::Given;
use super::{to_c, to_q};
use crate::error::{Fault, Result};
use crate::host::{K, Owned, kind};
use crate::letters::Scalar;
use crate::symbols;

/// What q has for numbers of a C type: what conversions know of it, and its type of vectors.
pub(super) fn number(ty: &Type) -> Option<(Scalar, i8)> {
    Some(match ty {
        Type::Bool => (Scalar::Byte, kind::BOOLEAN),
        Type::Integer(integer) => match (integer, integer.size(), integer.is_signed(Arch::HOST)) {
            (Integer::Char, ..) => (Scalar::Byte, kind::CHAR),
            (_, 1, _) => (Scalar::Byte, kind::BYTE),
            (_, 2, true) => (Scalar::Short, kind::SHORT),
            (_, 2, false) | (_, 4, true) => (Scalar::Int, kind::INT),
            (_, 4, false) | (_, 8, _) => (Scalar::Long, kind::LONG),
            _ => return None,
        },
        Type::Enum(definition) => {
            let is_int = definition.constants().iter().all(|(_, value)| i32::try_from(*value).is_ok());
            if is_int { (Scalar::Int, kind::INT) } else { (Scalar::Long, kind::LONG) }
        }
        Type::Float(Float::F16 | Float::F32) => (Scalar::Real, kind::REAL),
        Type::Float(Float::F64 | Float::LongDouble) => (Scalar::Float, kind::FLOAT),
        Type::Pointer(_) => (Scalar::Long, kind::LONG),
        _ => return None,
    })
}

/// What the elements of a vector have to be for C to use them in place, where a pointer to that type is wanted.
pub(super) fn in_place(ty: &Type) -> Option<Scalar> {
    Some(match (ty, ty.as_integer()) {
        (Type::Bool, _) => Scalar::Byte,
        (_, Some(integer)) => match integer.size() {
            1 => Scalar::Byte,
            2 => Scalar::Short,
            4 => Scalar::Int,
            8 => Scalar::Long,
            _ => return None,
        },
        (Type::Float(Float::F32), _) => Scalar::Real,
        (Type::Float(Float::F64), _) => Scalar::Float,
        (Type::Pointer(_), _) => Scalar::Long,
        _ => return None,
    })
}

/// Bytes that a value of the type takes.
///
/// # Errors
/// `'type` where it has no size.
pub(super) fn size(ty: &Type) -> Result<usize> {
    Ok(layout::of(ty, Arch::HOST)?.size)
}

/// Whether it points at C's text.
pub(super) fn is_text(ty: &Type) -> bool {
    match ty {
        Type::Pointer(pointer) => matches!(pointer.pointee(), Pointee::Type(Type::Integer(Integer::Char))),
        _ => false,
    }
}

/// The type that a symbol or a string names: `point`, `struct point`, `int *`.
///
/// # Errors
/// `'type` where it names none.
pub(super) fn named(known: &Declarations, name: K<'_>) -> Result<Type> {
    let text = symbols::text(name)?;
    let text = text.to_string_lossy();
    let tagged = ["struct", "union", "enum"].into_iter().find_map(|keyword| known.ty(&format!("{keyword} {text}")));
    match known.ty(&text).or(tagged) {
        Some(ty) => Ok(ty),
        None => Ok(known.parse_type(&text)?),
    }
}

/// A member of a struct or union that has a name, wherever in an anonymous one it is.
pub(super) struct Field<'a> {
    pub(super) name: &'a str,
    pub(super) ty: &'a Type,
    /// Its width, where it is a bit-field.
    pub(super) bits: Option<u32>,
    /// Its distance from the outermost one, in bytes.
    pub(super) offset: usize,
    /// The anonymous union that it is in, by the place of that, and which of the alternatives it belongs to.
    pub(super) alternative: Option<(usize, usize)>,
}

/// The members that have names and values, those of anonymous ones among them.
pub(super) fn fields(aggregate: &Aggregate) -> Vec<Field<'_>> {
    let has_values = |field: &Field<'_>| !matches!(field.ty, Type::Array(array) if array.length().is_none());
    named_members(aggregate).into_iter().filter(has_values).collect()
}

/// The same with flexible arrays, which are behind the struct.
fn named_members(aggregate: &Aggregate) -> Vec<Field<'_>> {
    let mut fields = Vec::new();
    let is_union = aggregate.kind() == AggregateKind::Union;
    collect(aggregate, 0, is_union.then_some(0), None, &mut fields);
    fields
}

/// `union` is the place of the aggregate itself among all members, where it is a union whose members are alternatives;
/// `within` is the alternative that all its members belong to.
fn collect<'a>(
    aggregate: &'a Aggregate,
    base: usize,
    union: Option<usize>,
    within: Option<(usize, usize)>,
    fields: &mut Vec<Field<'a>>,
) {
    for (index, member) in aggregate.members().iter().enumerate() {
        let offset = base + aggregate.layout(Arch::HOST).offset(index);
        let alternative = within.or(union.map(|place| (place, index)));
        match (&member.name, &member.ty) {
            (Some(name), ty) => fields.push(Field { name, ty, bits: member.bits, offset, alternative }),
            (None, Type::Aggregate(inner)) => {
                let is_union = inner.kind() == AggregateKind::Union;
                // Where the whole is a union, it has the place 0; nothing else has, as one field at least is before.
                let place = (is_union && alternative.is_none()).then_some(fields.len() + 1);
                collect(inner, offset, place, alternative, fields);
            }
            // A bit-field that pads.
            (None, _) => {}
        }
    }
}

/// Where a path of members leads to.
pub(super) struct Place {
    pub(super) ty: Type,
    /// In bytes, from the start of the whole.
    pub(super) offset: usize,
    /// The bit-field at its end: what it is a member of, which `ty` and `offset` are, and its name.
    pub(super) bits: Option<String>,
}

/// The place at the end of a path of members, `a.b`, where a number is an element of an array.
///
/// # Errors
/// `'type` where there is no such member.
pub(super) fn along(ty: &Type, path: &str) -> Result<Place> {
    let mut place = Place { ty: ty.clone(), offset: 0, bits: None };
    for name in path.split('.').filter(|name| !name.is_empty()) {
        place = place.member(name)?;
    }
    Ok(place)
}

impl Place {
    fn member(self, name: &str) -> Result<Place> {
        let found = match (&self.ty, self.bits) {
            (Type::Aggregate(aggregate), None) => {
                let field = named_members(aggregate).into_iter().find(|field| field.name == name);
                field.map(|field| match field.bits {
                    Some(_) => (self.ty.clone(), 0, Some(name.to_owned())),
                    None => (field.ty.clone(), field.offset, None),
                })
            }
            (Type::Array(array), None) => match element(array, name) {
                Some(index) => Some((array.element().clone(), index * size(array.element())?, None)),
                None => None,
            },
            _ => None,
        };
        match found {
            Some((ty, distance, bits)) => Ok(Place { ty, offset: self.offset + distance, bits }),
            None => Err(Fault::of_type(format!("{} has no member {name}", self.ty))),
        }
    }

    /// The value there, of all the bytes.
    ///
    /// # Errors
    /// `'type` where the type has no values.
    pub(super) fn read(&self, bytes: &[u8]) -> Result<Owned> {
        let bytes = &bytes[self.offset..][..size(&self.ty)?];
        match &self.bits {
            Some(name) => to_q::read_bits(&self.ty, name, bytes),
            None => to_q::read(&self.ty, bytes),
        }
    }

    /// Writes the value there, of all the bytes.
    ///
    /// # Errors
    /// As for [`to_c::write`].
    pub(super) fn write(&self, given: Given<'_>, bytes: &mut [u8]) -> Result<()> {
        let bytes = &mut bytes[self.offset..][..size(&self.ty)?];
        match &self.bits {
            Some(name) => to_c::write_named_bits(&self.ty, name, given, bytes),
            None => {
                // What a value leaves out, as the end of a text, is zero.
                let mut whole = vec![0; bytes.len()];
                to_c::write(&self.ty, given, &mut whole)?;
                bytes.copy_from_slice(&whole);
                Ok(())
            }
        }
    }
}

fn element(array: &Array, name: &str) -> Option<usize> {
    name.parse().ok().filter(|index| *index < array.length().unwrap_or(usize::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Type {
        Type::parse(text).unwrap()
    }

    #[test]
    fn every_number_has_a_type_of_qs() {
        let rows = [
            ("_Bool", kind::BOOLEAN),
            ("char", kind::CHAR),
            ("signed char", kind::BYTE),
            ("unsigned char", kind::BYTE),
            ("short", kind::SHORT),
            ("unsigned short", kind::INT),
            ("int", kind::INT),
            ("unsigned", kind::LONG),
            ("long", kind::LONG),
            ("unsigned long long", kind::LONG),
            ("float", kind::REAL),
            ("double", kind::FLOAT),
            ("long double", kind::FLOAT),
            ("enum { A, B }", kind::INT),
            ("enum { A = 0x80000000 }", kind::LONG),
            ("void *", kind::LONG),
        ];
        for (text, t) in rows {
            assert_eq!(number(&parsed(text)).map(|(_, t)| t), Some(t), "{text}");
        }
        assert_eq!(number(&parsed("__int128")), None);
        assert_eq!(number(&parsed("struct { int a; }")), None);
    }

    #[test]
    fn members_of_anonymous_ones_are_the_outer_ones() {
        let ty = parsed("struct { int kind; union { int i; struct { short a, b; }; double d; }; char end; }");
        let Type::Aggregate(aggregate) = &ty else { panic!("{ty}") };
        let fields = fields(aggregate);
        let names: Vec<_> = fields.iter().map(|field| (field.name, field.offset)).collect();
        assert_eq!(names, [("kind", 0), ("i", 8), ("a", 8), ("b", 10), ("d", 8), ("end", 16)]);
        let alternatives: Vec<_> = fields.iter().map(|field| field.alternative.map(|(_, index)| index)).collect();
        assert_eq!(alternatives, [None, Some(0), Some(1), Some(1), Some(2), None]);
    }

    #[test]
    fn paths_lead_through_structs_and_arrays() {
        let ty = parsed("struct line { struct { double x, y; } ends[2]; int width; }");
        let place = |path| along(&ty, path).map(|place| (place.ty, place.offset)).unwrap();
        assert_eq!(place("ends.1.y"), (Type::F64, 24));
        assert_eq!(place("width"), (Type::I32, 32));
        assert_eq!(place("").1, 0);
        for path in ["ends.2.x", "ends.1.z", "width.x", "nothing"] {
            assert!(along(&ty, path).is_err(), "{path}");
        }
    }
}
