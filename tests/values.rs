//! Values: conversions against exact arithmetic, round trips through C's bytes and C's functions, and how they show.

mod tiers;

use std::cell::OnceCell;
use std::ffi::c_void;

use jitcall::types::{Arch, Enum, Float, Integer, Member, layout};
use jitcall::value::{F16, LongDouble};
use jitcall::{Buffer, CType, Engine, Error, Function, Object, Signature, Slot, Type, Value, c_struct};
use quickcheck::{Arbitrary, Gen, QuickCheck};
use tiers::engines;

/// A number as sign, significand and binary exponent; or what is none.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Number {
    Finite { negative: bool, significand: u128, exponent: i32 },
    Infinite { negative: bool },
    NaN,
}

/// A binary format: bits of precision, and the exponents of the last place of its smallest and largest numbers.
#[derive(Clone, Copy)]
struct Format {
    precision: u32,
    lowest: i32,
    highest: i32,
}

impl Format {
    fn of(float: Float) -> Format {
        let (precision, greatest) = match float {
            Float::F16 => (11, 15),
            Float::F32 => (24, 127),
            Float::F64 => (53, 1023),
            Float::LongDouble if Arch::HOST == Arch::X86_64 => (64, 16383),
            Float::LongDouble => (113, 16383),
        };
        let places = precision as i32 - 1;
        Format { precision, lowest: 1 - greatest - places, highest: greatest - places }
    }

    /// The number of this format that is nearest, ties to even; infinite where it is too large.
    fn round(self, number: Number) -> Number {
        let Number::Finite { negative, mut significand, mut exponent } = number else { return number };
        let width = 128 - significand.leading_zeros();
        let drop = (width as i32 - self.precision as i32).max(self.lowest - exponent);
        if drop > 0 {
            let drop = drop as u32;
            let (rest, half, kept) = if drop > 128 {
                (significand.min(1), 2, 0)
            } else if drop == 128 {
                (significand, 1 << 127, 0)
            } else {
                (significand & ((1 << drop) - 1), 1 << (drop - 1), significand >> drop)
            };
            significand = kept + u128::from(rest > half || (rest == half && kept & 1 == 1));
            exponent += drop as i32;
        }
        let number = Number::Finite { negative, significand, exponent }.reduced();
        let Number::Finite { significand, exponent, .. } = number else { return number };
        let top = 127 - significand.leading_zeros() as i32 + exponent;
        let limit = self.highest + self.precision as i32;
        if significand != 0 && top >= limit { Number::Infinite { negative } } else { number }
    }
}

impl Number {
    fn integer(negative: bool, significand: u128) -> Number {
        Number::Finite { negative, significand, exponent: 0 }.reduced()
    }

    /// Decodes IEEE 754 fields.
    fn from_bits(bits: u128, exponent_bits: u32, fraction_bits: u32) -> Number {
        let negative = bits >> (exponent_bits + fraction_bits) & 1 == 1;
        let fraction = bits & ((1 << fraction_bits) - 1);
        let greatest = (1 << exponent_bits) - 1;
        let biased = (bits >> fraction_bits) as i32 & greatest;
        let lowest = 1 - (greatest >> 1) - fraction_bits as i32;
        match biased {
            _ if biased == greatest && fraction == 0 => Number::Infinite { negative },
            _ if biased == greatest => Number::NaN,
            0 => Number::Finite { negative, significand: fraction, exponent: lowest }.reduced(),
            _ => {
                let significand = fraction | 1 << fraction_bits;
                Number::Finite { negative, significand, exponent: lowest + biased - 1 }.reduced()
            }
        }
    }

    fn of_f64(value: f64) -> Number {
        Number::from_bits(value.to_bits().into(), 11, 52)
    }

    fn of_long_double(value: LongDouble) -> Number {
        let bits = u128::from_le_bytes(value.to_bytes());
        if Arch::HOST == Arch::Aarch64 {
            return Number::from_bits(bits, 15, 112);
        }
        // The leading bit of the significand is written out: leave it out, as the other formats do.
        let fraction = bits & ((1 << 63) - 1);
        Number::from_bits(bits >> 64 << 63 | fraction, 15, 63)
    }

    fn of(value: &Value<'_>) -> Number {
        match value {
            Value::U128(value) => Number::integer(false, *value),
            Value::LongDouble(value) => Number::of_long_double(*value),
            Value::F16(F16(bits)) => Number::from_bits((*bits).into(), 5, 10),
            Value::F32(value) => Number::from_bits(value.to_bits().into(), 8, 23),
            Value::F64(value) => Number::of_f64(*value),
            other => {
                let integer = other.as_integer().expect("a number");
                Number::integer(integer < 0, integer.unsigned_abs())
            }
        }
    }

    /// The same number with the smallest significand.
    fn reduced(self) -> Number {
        match self {
            Number::Finite { negative, significand: 0, .. } => Number::Finite { negative, significand: 0, exponent: 0 },
            Number::Finite { negative, significand, exponent } => {
                let zeros = significand.trailing_zeros();
                Number::Finite { negative, significand: significand >> zeros, exponent: exponent + zeros as i32 }
            }
            other => other,
        }
    }

    /// Whether two numbers are the same; the zeros are.
    fn same(self, other: Number) -> bool {
        matches!((self, other), (Number::Finite { significand: 0, .. }, Number::Finite { significand: 0, .. }))
            || self == other
    }

    fn is_integral(self) -> bool {
        matches!(self, Number::Finite { exponent: 0.., .. })
    }

    /// Whether it is a number of `bits` bits. Reduced numbers are integral where the exponent is not negative.
    fn fits(self, bits: u32, signed: bool) -> bool {
        let Number::Finite { negative, significand, exponent } = self else { return false };
        if significand == 0 {
            return true;
        }
        let width = i64::from(128 - significand.leading_zeros()) + i64::from(exponent);
        let room = i64::from(bits) - i64::from(signed);
        let lowest = negative && signed && significand == 1 && i64::from(exponent) == room;
        self.is_integral() && (lowest || (width <= room && (signed || !negative)))
    }
}

/// A number of any type, often near a limit of some type.
#[derive(Clone, Debug)]
struct AnyNumber(Value<'static>);

impl Arbitrary for AnyNumber {
    fn arbitrary(g: &mut Gen) -> AnyNumber {
        let near = |g: &mut Gen| {
            let power = 1i128 << (u32::arbitrary(g) % 127);
            let sum = power.wrapping_add(i128::from(i8::arbitrary(g) % 3));
            if bool::arbitrary(g) { sum } else { -sum }
        };
        let close = |g: &mut Gen| near(g) as f64 / if bool::arbitrary(g) { 1.0 } else { 4.0 };
        let kind = u8::arbitrary(g) % 19;
        AnyNumber(match kind {
            0 => bool::arbitrary(g).into(),
            1 => i8::arbitrary(g).into(),
            2 => u8::arbitrary(g).into(),
            3 => i16::arbitrary(g).into(),
            4 => u16::arbitrary(g).into(),
            5 => i32::arbitrary(g).into(),
            6 => u32::arbitrary(g).into(),
            7 => i64::arbitrary(g).into(),
            8 => u64::arbitrary(g).into(),
            9 => i128::arbitrary(g).into(),
            10 => u128::arbitrary(g).into(),
            11 => near(g).into(),
            12 => F16(u16::arbitrary(g)).into(),
            13 => f32::from_bits(u32::arbitrary(g)).into(),
            14 => f64::arbitrary(g).into(),
            15 => close(g).into(),
            16 => (close(g) as f32).into(),
            17 => LongDouble::from_f64(close(g)).into(),
            _ => {
                let wide = i128::from(i64::arbitrary(g)) << (u32::arbitrary(g) % 64);
                LongDouble::from_integer(wide).expect("64 bits of precision").into()
            }
        })
    }
}

/// A struct with one member, and that member's value after `value` was stored in it.
fn store(ty: &Type, value: &Value<'_>) -> Result<Value<'static>, String> {
    let holder = Type::structure().member("x", ty.clone()).build().unwrap();
    match Object::new(&holder, &Value::List(std::slice::from_ref(value))) {
        Ok(object) => Ok(object.get(0).unwrap()),
        Err(Error::Value { mismatch }) => {
            assert_eq!((mismatch.place.as_str(), &mismatch.declared), (".x", &ty.to_string()));
            Err(mismatch.reason)
        }
        Err(other) => panic!("{other}"),
    }
}

#[test]
fn integers_take_what_they_hold() {
    fn property(AnyNumber(value): AnyNumber) -> bool {
        let number = Number::of(&value);
        let check = |ty: &Type, bits, signed| match store(ty, &value) {
            Ok(stored) => number.fits(bits, signed) && Number::of(&stored).same(number),
            Err(_) => !number.fits(bits, signed),
        };
        let enumeration = Enum::new(None, vec![("A".into(), -1)]).unwrap();
        Integer::ALL
            .into_iter()
            .all(|integer| check(&Type::Integer(integer), 8 * integer.size() as u32, integer.is_signed(Arch::HOST)))
            && check(&Type::Bool, 1, false)
            && check(&Type::Enum(enumeration.into()), 32, true)
    }
    QuickCheck::new().tests(20_000).quickcheck(property as fn(AnyNumber) -> bool);
}

#[test]
fn floats_take_the_nearest_and_integers_exactly() {
    fn property(AnyNumber(value): AnyNumber) -> bool {
        let number = Number::of(&value);
        let floating = value.as_f64().is_some();
        Float::ALL.into_iter().all(|float| {
            let nearest = Format::of(float).round(number);
            let overflows = matches!((number, nearest), (Number::Finite { .. }, Number::Infinite { .. }));
            match store(&Type::Float(float), &value) {
                Ok(stored) if floating => !overflows && Number::of(&stored) == nearest,
                Ok(stored) => nearest == number && Number::of(&stored) == number,
                Err(reason) if floating => overflows && reason == "out of range",
                Err(reason) => nearest != number && reason == "not represented exactly",
            }
        })
    }
    QuickCheck::new().tests(20_000).quickcheck(property as fn(AnyNumber) -> bool);
}

#[test]
fn conversions_at_the_edges() {
    let long = |value: i128| Value::LongDouble(LongDouble::from_integer(value).unwrap());
    let int = |value: i32| Ok(Value::I32(value));
    let no = |reason: &str| Err(reason.to_owned());
    let half = 1i128 << 60 | 1 << 36;
    let rows: &[(Type, Value<'_>, Result<Value<'_>, String>)] = &[
        (Type::I32, (-0.0).into(), int(0)),
        (Type::I32, 2147483647.0.into(), int(i32::MAX)),
        (Type::I32, 2147483648.0.into(), no("out of range")),
        (Type::I32, 0.5.into(), no("not an integer in range")),
        (Type::I32, f64::NAN.into(), no("not an integer in range")),
        (Type::I32, f32::INFINITY.into(), no("not an integer in range")),
        (Type::I32, true.into(), int(1)),
        (Type::I32, Value::Void, no("not a number")),
        (Type::I32, Value::Pointer(std::ptr::null_mut()), no("an address is not a number")),
        (Type::I64, long((1 << 53) + 1), Ok(Value::I64((1 << 53) + 1))),
        (Type::U128, 2f64.powi(127).into(), Ok(Value::U128(1 << 127))),
        (Type::U128, 2f64.powi(128).into(), no("not an integer in range")),
        (Type::I128, (-2f64.powi(127)).into(), Ok(Value::I128(i128::MIN))),
        (Type::I128, u128::MAX.into(), no("out of range")),
        (Type::U128, u128::MAX.into(), Ok(Value::U128(u128::MAX))),
        (Type::U128, (-1).into(), no("out of range")),
        (Type::F64, u128::MAX.into(), no("not represented exactly")),
        (Type::F64, (1u128 << 127).into(), Ok(Value::F64(2f64.powi(127)))),
        (Type::F32, (u128::MAX << 104).into(), Ok(Value::F32(f32::MAX))),
        (Type::F64, ((1i64 << 53) + 1).into(), no("not represented exactly")),
        (Type::F32, ((1 << 24) + 1).into(), no("not represented exactly")),
        (Type::F16, 65504.into(), Ok(Value::F16(F16(0x7bff)))),
        (Type::F16, 65505.into(), no("not represented exactly")),
        (Type::F16, 1e6.into(), no("out of range")),
        (Type::F16, f64::NEG_INFINITY.into(), Ok(Value::F16(F16(0xfc00)))),
        (Type::F32, 1e300.into(), no("out of range")),
        (Type::F32, 0.1.into(), Ok(Value::F32(0.1))),
        (Type::F32, long(half), Ok(Value::F32(2f32.powi(60)))),
        (Type::F32, long(half + 1), Ok(Value::F32(2f32.powi(60) + 2f32.powi(37)))),
        (Type::F32, c"1".into(), no("not a number")),
        (Type::LONG_DOUBLE, i128::MAX.into(), no("not represented exactly")),
        (Type::Bool, 1.into(), Ok(Value::Bool(true))),
        (Type::Bool, 0.0.into(), Ok(Value::Bool(false))),
        (Type::Bool, 2.into(), no("out of range")),
        (Type::Bool, c"true".into(), no("not a truth value")),
        (Type::Complex(Float::F32), 1.5.into(), Ok(Value::Complex32(1.5, 0.0))),
        (Type::Complex(Float::F64), Value::Complex32(1.5, -2.0), Ok(Value::Complex64(1.5, -2.0))),
        (Type::Complex(Float::F32), Value::Complex64(0.0, 1e99), no("out of range")),
        (Type::F64, Value::Complex64(1.0, 0.0), no("not a number")),
    ];
    for (ty, value, expected) in rows {
        assert_eq!(store(ty, value), *expected, "{value} as {ty}");
    }
}

/// A type with a value of it.
struct Model<'a> {
    ty: Type,
    content: Content<'a>,
}

enum Content<'a> {
    Leaf(Value<'static>),
    /// A member by name and position, of a union.
    Choice(String, usize, Vec<Model<'a>>, OnceCell<Vec<(&'a str, Value<'a>)>>),
    /// Members with their places among all members.
    Parts(Vec<(usize, Model<'a>)>, OnceCell<Vec<Value<'a>>>),
}

impl<'a> Model<'a> {
    fn value(&'a self) -> Value<'a> {
        match &self.content {
            Content::Leaf(value) => value.clone(),
            Content::Choice(name, _, models, fields) => {
                Value::Fields(fields.get_or_init(|| vec![(name.as_str(), models[0].value())]))
            }
            Content::Parts(parts, values) => {
                Value::List(values.get_or_init(|| parts.iter().map(|(_, part)| part.value()).collect()))
            }
        }
    }

    /// Whether a value that was read has these members.
    fn is(&self, read: &Value<'_>) -> bool {
        match &self.content {
            Content::Leaf(value) => value == read,
            Content::Choice(_, index, models, _) => part_is(read, *index, &models[0]),
            Content::Parts(parts, _) => parts.iter().all(|(index, part)| part_is(read, *index, part)),
        }
    }
}

fn part_is(whole: &Value<'_>, index: usize, part: &Model<'_>) -> bool {
    whole.as_object().is_some_and(|object| part.is(&object.get(index).unwrap()))
}

/// An integer of that many bits, often its largest or smallest.
fn any_integer(g: &mut Gen, bits: u32, signed: bool) -> i128 {
    let unused = 128 - bits;
    let (most, least) = (i128::MAX >> unused, i128::MIN >> unused);
    let random = i128::arbitrary(g);
    let number = *g.choose(&[0, 1, -1, most, least, random, random, random]).unwrap();
    if signed { number << unused >> unused } else { ((number as u128) << unused >> unused) as i128 }
}

fn integer_value(integer: Integer, number: i128) -> Value<'static> {
    match (integer.size(), integer.is_signed(Arch::HOST)) {
        (1, true) => Value::I8(number as i8),
        (1, false) => Value::U8(number as u8),
        (2, true) => Value::I16(number as i16),
        (2, false) => Value::U16(number as u16),
        (4, true) => Value::I32(number as i32),
        (4, false) => Value::U32(number as u32),
        (8, true) => Value::I64(number as i64),
        (8, false) => Value::U64(number as u64),
        (_, true) => Value::I128(number),
        (_, false) => Value::U128(number as u128),
    }
}

fn float_value(float: Float, g: &mut Gen) -> Value<'static> {
    // Not NaN, which equals nothing.
    let single = f32::from(i16::arbitrary(g)) / 8.0;
    match float {
        Float::F16 => F16(u16::arbitrary(g) & !0x0400).into(),
        Float::F32 => single.into(),
        Float::F64 => (f64::from(i32::arbitrary(g)) / 64.0).into(),
        Float::LongDouble => LongDouble::from_integer(i64::arbitrary(g).into()).unwrap().into(),
    }
}

fn leaf<'a>(ty: Type, value: Value<'static>) -> Model<'a> {
    Model { ty, content: Content::Leaf(value) }
}

fn parts<'a>(ty: Type, parts: Vec<(usize, Model<'a>)>) -> Model<'a> {
    Model { ty, content: Content::Parts(parts, OnceCell::new()) }
}

fn any_model<'a>(g: &mut Gen, depth: u32) -> Model<'a> {
    let kinds = if depth == 0 { 6 } else { 11 };
    match u8::arbitrary(g) % kinds {
        0 => leaf(Type::Bool, bool::arbitrary(g).into()),
        1 | 2 => {
            let integer = *g.choose(&Integer::ALL).unwrap();
            let number = any_integer(g, 8 * integer.size() as u32, integer.is_signed(Arch::HOST));
            leaf(Type::Integer(integer), integer_value(integer, number))
        }
        3 => {
            let float = *g.choose(&Float::ALL).unwrap();
            leaf(Type::Float(float), float_value(float, g))
        }
        4 => {
            let address = std::ptr::without_provenance_mut::<c_void>(usize::arbitrary(g));
            leaf(Type::pointer(), Value::Pointer(address))
        }
        5 => {
            let value = Value::Complex64(f64::from(i16::arbitrary(g)), f64::from(i8::arbitrary(g)));
            leaf(Type::Complex(Float::F64), value)
        }
        6 => {
            let element = *g.choose(&[Integer::SChar, Integer::UShort, Integer::Int, Integer::ULong]).unwrap();
            let bytes = *g.choose(&[8usize, 16, 32]).unwrap();
            let lanes = (0..bytes / element.size()).map(|index| {
                let number = any_integer(g, 8 * element.size() as u32, element.is_signed(Arch::HOST));
                (index, leaf(Type::Integer(element), integer_value(element, number)))
            });
            let lanes = lanes.collect();
            parts(Type::vector(Type::Integer(element), bytes).unwrap(), lanes)
        }
        7 => {
            // Elements have one type: a leaf's, each with the same value.
            let element = loop {
                if let model @ Model { content: Content::Leaf(_), .. } = any_model(g, 0) {
                    break model;
                }
            };
            let Content::Leaf(value) = &element.content else { unreachable!("a leaf was asked for") };
            let length = usize::arbitrary(g) % 4;
            let elements = (0..length).map(|index| (index, leaf(element.ty.clone(), value.clone()))).collect();
            parts(Type::array(element.ty.clone(), length).unwrap(), elements)
        }
        8 => any_union(g, depth),
        _ => any_struct(g, depth),
    }
}

fn any_union<'a>(g: &mut Gen, depth: u32) -> Model<'a> {
    let mut members: Vec<Model<'a>> = (0..1 + usize::arbitrary(g) % 3).map(|_| any_model(g, depth - 1)).collect();
    let mut builder = Type::union();
    for (index, member) in members.iter().enumerate() {
        builder = builder.member(&format!("m{index}"), member.ty.clone());
    }
    let chosen = usize::arbitrary(g) % members.len();
    let member = members.swap_remove(chosen);
    let content = Content::Choice(format!("m{chosen}"), chosen, vec![member], OnceCell::new());
    Model { ty: builder.build().unwrap(), content }
}

fn any_struct<'a>(g: &mut Gen, depth: u32) -> Model<'a> {
    let mut builder = Type::structure();
    let mut members = Vec::new();
    for index in 0..u32::arbitrary(g) % 6 {
        let name = format!("m{index}");
        let (member, model) = match u8::arbitrary(g) % 6 {
            0 | 1 => {
                let integer = *g.choose(&Integer::ALL).unwrap();
                let bits = 1 + u32::arbitrary(g) % (8 * integer.size() as u32);
                let ty = Type::Integer(integer);
                let value = integer_value(integer, any_integer(g, bits, integer.is_signed(Arch::HOST)));
                (Member::new(&name, ty.clone()).with_bits(bits), Some(leaf(ty, value)))
            }
            2 => {
                // Padding: it takes no value.
                let bits = u32::arbitrary(g) % 9;
                (Member::unnamed(Type::I16).with_bits(bits), None)
            }
            3 => {
                let model = any_model(g, depth - 1);
                let align = 1 << (u32::arbitrary(g) % 6);
                (Member::new(&name, model.ty.clone()).with_align(align), Some(model))
            }
            _ => {
                let model = any_model(g, depth - 1);
                (Member::new(&name, model.ty.clone()), Some(model))
            }
        };
        builder = builder.push(member);
        members.extend(model.map(|model| (index as usize, model)));
    }
    if bool::arbitrary(g) {
        builder = builder.packed();
    }
    parts(builder.build().unwrap(), members)
}

#[test]
fn values_survive_their_bytes() {
    let mut g = Gen::new(100);
    for _ in 0..10_000 {
        let model = any_struct(&mut g, 3);
        let object = Object::new(&model.ty, &model.value()).unwrap_or_else(|error| panic!("{error}: {}", model.ty));
        assert!(model.is(&Value::Object(object.clone())), "{}: {} became {object}", model.ty, model.value());
        assert_eq!(Object::from_bytes(&model.ty, object.bytes()).unwrap(), object);
        assert_eq!(rewritten(&object), object);
        assert_eq!(by_name(&object), object);
    }
}

/// The members of a struct that take values, in order.
fn members(object: &Object) -> Vec<(Option<&str>, Value<'static>)> {
    let aggregate = object.ty().as_aggregate().expect("a struct");
    let named = aggregate.members().iter().enumerate().filter(|(_, member)| member.name.is_some());
    named.map(|(index, member)| (member.name.as_deref(), object.get(index).unwrap())).collect()
}

/// The same struct written from what was read.
fn rewritten(object: &Object) -> Object {
    let values: Vec<Value<'static>> = members(object).into_iter().map(|(_, value)| value).collect();
    Object::new(object.ty(), &Value::List(&values)).unwrap()
}

/// The same with members by name, last first.
fn by_name(object: &Object) -> Object {
    let fields = members(object).into_iter().rev().map(|(name, value)| (name.expect("a name"), value));
    let fields: Vec<(&str, Value<'_>)> = fields.collect();
    for (name, value) in &fields {
        assert_eq!(object.field(name).unwrap(), *value);
    }
    Object::new(object.ty(), &Value::Fields(&fields)).unwrap()
}

/// What the identity functions are tried with.
trait Sample: CType + PartialEq + std::fmt::Debug {
    fn sample(g: &mut Gen) -> Self;

    fn value(&self) -> Value<'static>;

    /// Whether a value is this one, padding aside.
    fn is(&self, value: &Value<'_>) -> bool {
        self.value() == *value
    }
}

macro_rules! samples {
    ($($ty:ty => $sample:expr;)*) => { $(
        impl Sample for $ty {
            fn sample(g: &mut Gen) -> $ty {
                $sample(g)
            }

            fn value(&self) -> Value<'static> {
                (*self).into()
            }
        }
    )* };
}

samples! {
    bool => Arbitrary::arbitrary;
    i8 => Arbitrary::arbitrary;
    u8 => Arbitrary::arbitrary;
    i16 => Arbitrary::arbitrary;
    u16 => Arbitrary::arbitrary;
    i32 => Arbitrary::arbitrary;
    u32 => Arbitrary::arbitrary;
    i64 => Arbitrary::arbitrary;
    u64 => Arbitrary::arbitrary;
    isize => Arbitrary::arbitrary;
    usize => Arbitrary::arbitrary;
    i128 => Arbitrary::arbitrary;
    u128 => Arbitrary::arbitrary;
    // Not NaN, which equals nothing.
    f32 => |g: &mut Gen| i16::arbitrary(g).into();
    f64 => |g: &mut Gen| i32::arbitrary(g).into();
    *mut u8 => |g: &mut Gen| std::ptr::without_provenance_mut(usize::arbitrary(g));
}

macro_rules! sample_structs {
    ($($name:ident { $($field:ident: $ty:ty),* })*) => { $(
        c_struct! {
            #[derive(Debug, PartialEq)]
            struct $name { $($field: $ty),* }
        }

        impl Sample for $name {
            fn sample(g: &mut Gen) -> $name {
                $name { $($field: Sample::sample(g)),* }
            }

            fn value(&self) -> Value<'static> {
                let members = [$(self.$field.value()),*];
                Object::new(&$name::c_type(), &Value::List(&members)).unwrap().into()
            }

            fn is(&self, value: &Value<'_>) -> bool {
                let Some(object) = value.as_object() else { return false };
                $(self.$field.is(&object.field(stringify!($field)).unwrap()))&&*
            }
        }
    )* };
}

sample_structs! {
    Byte { a: u8 }
    Flags { a: bool, b: bool, c: i8 }
    Small { a: u8, b: u16, c: u8 }
    Seven { a: u32, b: u16 }
    Floats2 { x: f32, y: f32 }
    Floats3 { x: f32, y: f32, z: f32 }
    Floats4 { x: f32, y: f32, z: f32, w: f32 }
    Doubles2 { x: f64, y: f64 }
    Doubles3 { x: f64, y: f64, z: f64 }
    Doubles4 { x: f64, y: f64, z: f64, w: f64 }
    Longs2 { a: i64, b: u64 }
    Longs3 { a: i64, b: u64, c: i64 }
    MixedIF { a: i64, x: f32 }
    MixedFI { x: f64, a: i32 }
    FloatInt { x: f32, a: i32, y: f64 }
    Wide { a: i128 }
    WideAndByte { a: u8, b: u128 }
    Pointers { a: *mut u8, b: *mut u8 }
    Nested { a: Floats2, b: Small, c: Floats2 }
    Deep { a: Nested, b: MixedFI }
    Longs8 { a: Longs2, b: Longs2, c: Longs2, d: Longs2 }
}

extern "C" fn identity<T>(value: T) -> T {
    value
}

extern "C" fn second<T>(_: u8, value: T, _: f32) -> T {
    value
}

fn function<T: Sample>(engine: &Engine, target: *const c_void, parameters: Vec<Type>) -> Function {
    Function::with_engine(engine, target, Signature::new(T::c_type(), parameters).unwrap()).unwrap()
}

/// Writes an argument to its slots.
fn put<T: Copy>(slots: &mut [Slot], function: &Function, index: usize, value: T) {
    let at = function.interface().slot_offsets()[index] as usize;
    assert!(at + size_of::<T>() <= size_of_val(slots) && function.interface().slots() <= slots.len());
    // SAFETY: the value's bytes lie within the slots.
    unsafe { slots.as_mut_ptr().cast::<u8>().add(at).cast::<T>().write_unaligned(value) };
}

/// Calls the identity functions in all three ways.
fn check_identity<T: Sample>(engine: &Engine, g: &mut Gen) {
    let target = identity::<T> as extern "C" fn(T) -> T as *const c_void;
    let one = function::<T>(engine, target, vec![T::c_type()]);
    let target = second::<T> as extern "C" fn(u8, T, f32) -> T as *const c_void;
    let three = function::<T>(engine, target, vec![Type::U8, T::c_type(), Type::F32]);
    let (one_slots, three_slots) = (one.slots::<T>().unwrap(), three.slots::<T>().unwrap());
    let (one_typed, three_typed) = (one.typed::<(T,), T>().unwrap(), three.typed::<(u8, T, f32), T>().unwrap());
    for _ in 0..20 {
        let sample = T::sample(g);
        let mut slots = [[Slot::EMPTY; 16]; 2];
        put(&mut slots[0], &one, 0, sample);
        put(&mut slots[1], &three, 0, 1u8);
        put(&mut slots[1], &three, 1, sample);
        put(&mut slots[1], &three, 2, 1f32);
        // SAFETY: the functions have those types, and the slots hold their arguments.
        unsafe {
            for value in [one.call(&[sample.value()]), three.call(&[1.into(), sample.value(), 1.into()])] {
                let value = value.unwrap();
                assert!(sample.is(&value), "{value} for {sample:?} by {}", engine.tier());
            }
            assert_eq!(one_slots.call(slots[0].as_ptr()), sample, "{}", engine.tier());
            assert_eq!(three_slots.call(slots[1].as_ptr()), sample, "{}", engine.tier());
            assert_eq!(one_typed.call((sample,)), sample);
            assert_eq!(three_typed.call((1, sample, 1.0)), sample);
        }
    }
}

macro_rules! check_identities {
    ($engine:expr, $g:expr; $($ty:ty)*) => { $(check_identity::<$ty>($engine, $g);)* };
}

#[test]
fn identity_functions_give_back_what_they_get() {
    let g = &mut Gen::new(100);
    for engine in &engines() {
        check_identities!(engine, g; bool i8 u8 i16 u16 i32 u32 i64 u64 isize usize i128 u128 f32 f64 *mut u8);
        check_identities!(engine, g; Byte Flags Small Seven Floats2 Floats3 Floats4 Doubles2 Doubles3 Doubles4);
        check_identities!(engine, g; Longs2 Longs3 MixedIF MixedFI FloatInt Wide WideAndByte Pointers);
        check_identities!(engine, g; Nested Deep Longs8);
    }
}

#[test]
fn structs_of_rust_are_those_of_c() {
    let rows = [
        (Small::c_type(), "struct { unsigned char a; unsigned short b; unsigned char c; }", size_of::<Small>()),
        (MixedFI::c_type(), "struct { double x; int a; }", size_of::<MixedFI>()),
        (WideAndByte::c_type(), "struct { unsigned char a; unsigned __int128 b; }", size_of::<WideAndByte>()),
        (Pointers::c_type(), "struct { void *a; void *b; }", size_of::<Pointers>()),
        (
            Deep::c_type(),
            "struct { struct { struct { float x; float y; } a; \
             struct { unsigned char a; unsigned short b; unsigned char c; } b; struct { float x; float y; } c; } a; \
             struct { double x; int a; } b; }",
            size_of::<Deep>(),
        ),
    ];
    for (ty, text, size) in rows {
        assert_eq!(ty.to_string(), text);
        assert_eq!(Type::parse(text).unwrap(), ty);
        assert_eq!(layout::of(&ty, Arch::HOST).unwrap().size, size, "{text}");
    }
}

#[test]
fn how_values_show() {
    let mut memory = [0u8; 4];
    let address = format!("{:p}", &raw const memory);
    let ty = |text| Type::parse(text).unwrap();
    let object = |text, value: &Value<'_>| Value::Object(Object::new(&ty(text), value).unwrap());
    let long = LongDouble::from_f64;
    let rows: &[(Value<'_>, &str)] = &[
        (Value::Void, ""),
        (true.into(), "true"),
        (i8::MIN.into(), "-128"),
        (u64::MAX.into(), "18446744073709551615"),
        (i128::MIN.into(), "-170141183460469231731687303715884105728"),
        (u128::MAX.into(), "340282366920938463463374607431768211455"),
        (F16::from_f64(0.1).into(), "0.1"),
        (F16(0x7bff).into(), "65500"),
        (0.1f32.into(), "0.1"),
        (1.0.into(), "1"),
        ((-0.0).into(), "-0"),
        (1e16.into(), "10000000000000000"),
        (1e17.into(), "1e17"),
        (1.5e-7.into(), "1.5e-7"),
        (f64::INFINITY.into(), "inf"),
        (f64::NEG_INFINITY.into(), "-inf"),
        ((-f64::NAN).into(), "nan"),
        (long(-2.5).into(), "-2.5"),
        (Value::Complex32(1.0, 2.0), "1+2i"),
        (Value::Complex64(1.5, -0.0), "1.5-0i"),
        (Value::Complex64(0.0, -f64::NAN), "0+nani"),
        (Value::Complex64(0.0, f64::NEG_INFINITY), "0-infi"),
        (Value::ComplexLong(long(-1.0), long(-2.0)), "-1-2i"),
        (Value::Pointer(std::ptr::null_mut()), "null"),
        (Value::Pointer(std::ptr::without_provenance_mut(0xbeef)), "0xbeef"),
        (c"a \"b\"\n".into(), r#""a \"b\"\n""#),
        ([1u8, 255].as_slice().into(), "[01, ff]"),
        ((&mut memory).into(), &address),
        (Value::List(&[1.into(), Value::List(&[]), 2.5.into()]), "{1, {}, 2.5}"),
        (Value::Fields(&[("x", 1.into()), ("y", Value::Fields(&[("z", 2.into())]))]), "{x: 1, y: {z: 2}}"),
        (object("struct { int x; double y; }", &Value::List(&[1.into(), 2.into()])), "{x: 1, y: 2}"),
        (object("struct { int x[3]; }", &Value::Fields(&[])), "{x: [0, 0, 0]}"),
        (object("struct { }", &Value::List(&[])), "{}"),
        (object("struct { unsigned a: 3, : 5; int b: 4; }", &Value::List(&[5.into(), (-8).into()])), "{a: 5, b: -8}"),
        (object("union { int i; float f; }", &Value::Fields(&[("f", 1.into())])), "{i: 1065353216 | f: 1}"),
        (
            object("struct { int tag; union { int i; char c[2]; }; }", &Value::Fields(&[("i", 0x4241.into())])),
            "{tag: 0, {i: 16961 | c: [65, 66]}}",
        ),
        (object("struct { int n; double rest[]; }", &Value::Fields(&[("n", 3.into())])), "{n: 3, rest: []}"),
        (
            object(
                "struct { int v __attribute__((vector_size(8))); }",
                &Value::List(&[Value::List(&[1.into(), 2.into()])]),
            ),
            "{v: [1, 2]}",
        ),
    ];
    for (value, expected) in rows {
        assert_eq!(value.to_string(), *expected, "{value:?}");
    }
}

#[test]
fn objects_give_their_members() {
    let ty =
        Type::parse("struct { char tag; union { struct { short x, y; }; long whole; }; int bits: 5; float list[2]; }");
    let ty = ty.unwrap();
    let fields =
        [("bits", (-3).into()), ("y", 7.into()), ("x", (-1).into()), ("list", Value::List(&[1.into(), 2.into()]))];
    let object = Object::new(&ty, &Value::Fields(&fields)).unwrap();
    assert_eq!((object.ty(), object.len(), object.is_empty(), object.bytes().len()), (&ty, 4, false, 32));
    for (name, expected) in
        [("x", Value::I16(-1)), ("y", Value::I16(7)), ("whole", Value::I64(0x7_ffff)), ("bits", Value::I32(-3))]
    {
        assert_eq!(object.field(name).unwrap(), expected, "{name}");
    }
    let list = object.field("list").unwrap();
    let list = list.as_object().expect("an object");
    assert_eq!((list.get(0).unwrap(), list.get(1).unwrap()), (Value::F32(1.0), Value::F32(2.0)));
    for (error, expected) in [
        (list.get(2).unwrap_err(), "expected a member of float[2], got [2]: it has 2"),
        (list.field("x").unwrap_err(), "expected a member of float[2], got x: there is no such member"),
    ] {
        assert_eq!(error.to_string(), expected);
    }

    let mut zeroed = Object::zeroed(&ty).unwrap();
    assert!(zeroed.bytes().iter().all(|byte| *byte == 0));
    assert_ne!(zeroed, object);
    zeroed.bytes_mut().copy_from_slice(object.bytes());
    assert_eq!(zeroed, object);
    assert_eq!(zeroed.clone(), object);

    let large = Type::parse("struct { long a[9]; }").unwrap();
    let values: Vec<Value<'_>> = (0..9).map(Value::I64).collect();
    let object = Object::new(&large, &Value::List(&[Value::List(&values)])).unwrap();
    assert_eq!(object.clone(), object);
    assert_eq!(object.to_string(), "{a: [0, 1, 2, 3, 4, 5, 6, 7, 8]}");

    let short = Object::from_bytes(&large, &[0; 71]).unwrap_err();
    assert_eq!(short.to_string(), "struct { long a[9]; } has 72 bytes, not 71");
    assert!(matches!(Object::zeroed(&Type::Void), Err(Error::Type { .. })));
}

#[test]
fn text_fills_arrays_of_characters() {
    let ty = Type::parse("struct { char name[6]; short n; }").unwrap();
    let name = |value: Value<'_>| {
        let object = Object::new(&ty, &Value::List(&[value, 1.into()])).unwrap();
        object.bytes()[..6].to_vec()
    };
    assert_eq!(name(c"abc".into()), b"abc\0\0\0");
    assert_eq!(name(b"abcdef".as_slice().into()), b"abcdef");
    assert_eq!(name(Value::List(&[1, 2, 3, 4, 5, 6].map(Value::I32))), [1, 2, 3, 4, 5, 6]);
}

#[test]
fn accessors_and_their_types() {
    /// A value, with what it is as an integer, as a `double`, and in C.
    type Row<'a> = (Value<'a>, Option<i128>, Option<f64>, Option<Type>);
    let mut memory = [0u16; 3];
    let buffer = Buffer::new(&mut memory);
    assert_eq!((buffer.bytes(), Value::Buffer(buffer).as_pointer()), (6, None));
    let pointer = buffer.address();
    let rows: &[Row<'_>] = &[
        (Value::Void, None, None, None),
        (true.into(), Some(1), None, Some(Type::Bool)),
        ((-1i8).into(), Some(-1), None, Some(Type::I8)),
        (7usize.into(), Some(7), None, Some(Type::U64)),
        (u128::MAX.into(), None, None, Some(Type::U128)),
        (1.5f32.into(), None, Some(1.5), Some(Type::F32)),
        (F16(0x3c00).into(), None, Some(1.0), Some(Type::F16)),
        (LongDouble::from_f64(0.1).into(), None, Some(0.1), Some(Type::LONG_DOUBLE)),
        (Value::Complex64(1.0, 2.0), None, None, Some(Type::Complex(Float::F64))),
        (pointer.into(), None, None, Some(Type::pointer())),
        (Value::Buffer(buffer), None, None, Some(Type::pointer())),
        (c"text".into(), None, None, Some(Type::c_string())),
        (Value::List(&[]), None, None, None),
    ];
    for (value, integer, float, ty) in rows {
        assert_eq!((value.as_integer(), value.as_f64(), value.c_type()), (*integer, *float, ty.clone()), "{value:?}");
    }
    assert_eq!(Value::from(pointer).as_pointer(), Some(pointer));
    let object = Object::new(&Byte::c_type(), &Value::List(&[9.into()])).unwrap();
    assert_eq!(Value::from(object.clone()).c_type(), Some(Byte::c_type()));
    assert_eq!(Value::from(object.clone()).as_object(), Some(&object));
}
