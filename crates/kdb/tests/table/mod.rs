//! The table of letters and of values, and the rule of what C sees of a value under a letter.
//!
//! The rule is written for readers, from the documented meaning of the letters, and shares nothing with the library.

#![allow(dead_code, reason = "each test binary uses a part of it")]

use crate::support::*;

/// A C type that letters stand for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum C {
    Byte,
    Short,
    Int,
    Long,
    Real,
    Float,
    Pointer,
}

impl C {
    pub(crate) const ALL: [C; 7] = [C::Byte, C::Short, C::Int, C::Long, C::Real, C::Float, C::Pointer];

    /// How the functions of the C library for it end.
    pub(crate) fn name(self) -> &'static str {
        match self {
            C::Byte => "byte",
            C::Short => "short",
            C::Int => "int",
            C::Long => "long",
            C::Real => "real",
            C::Float => "float",
            C::Pointer => "pointer",
        }
    }

    /// As C writes it.
    pub(crate) fn declaration(self) -> &'static str {
        match self {
            C::Byte => "unsigned char",
            C::Short => "short",
            C::Int => "int",
            C::Long => "long",
            C::Real => "float",
            C::Float => "double",
            C::Pointer => "void *",
        }
    }

    pub(crate) fn size(self) -> usize {
        match self {
            C::Byte => 1,
            C::Short => 2,
            C::Int | C::Real => 4,
            C::Long | C::Float | C::Pointer => 8,
        }
    }

    /// A number's bits as C has them in so many bytes.
    pub(crate) fn cut(self, bits: u64) -> u64 {
        if self.size() == 8 { bits } else { bits & ((1 << (8 * self.size())) - 1) }
    }
}

/// Each lower-case letter, its C type, and q's type of what it stands for.
pub(crate) const LETTERS: [(char, C, i8); 21] = [
    ('b', C::Byte, 1),
    ('c', C::Byte, 10),
    ('x', C::Byte, 4),
    ('h', C::Short, 5),
    ('i', C::Int, 6),
    ('m', C::Int, 13),
    ('d', C::Int, 14),
    ('u', C::Int, 17),
    ('v', C::Int, 18),
    ('t', C::Int, 19),
    ('j', C::Long, 7),
    ('p', C::Long, 12),
    ('n', C::Long, 16),
    ('e', C::Real, 8),
    ('f', C::Float, 9),
    ('z', C::Float, 15),
    ('l', C::Long, 7),
    ('r', C::Pointer, 7),
    ('g', C::Pointer, 2),
    ('s', C::Pointer, 11),
    ('k', C::Pointer, 0),
];

/// All letters, lower and upper case.
pub(crate) fn all_letters() -> Vec<char> {
    let lower = LETTERS.iter().map(|(letter, ..)| *letter);
    lower.clone().chain(lower.map(|letter| letter.to_ascii_uppercase())).collect()
}

fn row(letter: char) -> (char, C, i8) {
    *LETTERS.iter().find(|(lower, ..)| *lower == letter.to_ascii_lowercase()).expect("a letter")
}

/// The C type of a letter: upper case is a pointer.
pub(crate) fn c_type(letter: char) -> C {
    if letter.is_ascii_uppercase() { C::Pointer } else { row(letter).1 }
}

/// q's type of what a letter stands for; of what it points at, in upper case.
pub(crate) fn q_type(letter: char) -> i8 {
    row(letter).2
}

/// The C type of a number's letter.
pub(crate) fn number(letter: char) -> Option<C> {
    let (lower, c, _) = row(letter);
    (!"rgsk".contains(lower)).then_some(c)
}

/// What a value is, as far as letters care.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Is {
    /// An atom that is an integer, and no null.
    Integer(C, i64),
    /// An atom that is a real or a float, and no null.
    Floating(C, f64),
    /// An atom that is a null number.
    Null(C),
    Guid,
    Symbol,
    /// A vector of numbers of a C type.
    Vector(C),
    Guids,
    Symbols,
    /// A list that says nothing of a callback.
    List,
    /// A list that does.
    Callback,
    /// `::`.
    Nothing,
    /// A foreign object with this pointer.
    Foreign(u64),
    /// A dictionary, a table, a function.
    Other,
}

/// A value of the table.
pub(crate) struct Sample {
    /// As q writes it; empty for what only a host can make.
    pub(crate) q: &'static str,
    pub(crate) is: Is,
    pub(crate) value: Value,
}

/// What C sees.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Sees {
    /// These bits.
    Bits(u64),
    /// The address of the elements of the value itself, or of the bytes of a guid.
    Itself,
    /// The address of the symbol's text.
    Interned,
    /// The address of a copy that ends in a zero byte.
    Copy(Vec<u8>),
    /// A function pointer.
    Code,
    /// Nothing: a `'type` error.
    Error,
}

const NAN: f64 = f64::NAN;
const INFINITY: f64 = f64::INFINITY;

/// Where the pointer of the table's foreign object leads: letters may take it for a text's.
static MEMORY: &std::ffi::CStr = c"memory";

/// One value of every kind, with nulls, infinities and edges.
pub(crate) fn samples() -> Vec<Sample> {
    use Is::{Floating, Integer, Null, Vector};
    let integer = |q, c, value: i64, made| Sample { q, is: Integer(c, value), value: made };
    let floating = |q, c, value: f64, made| Sample { q, is: Floating(c, value), value: made };
    let other = |q, is, value| Sample { q, is, value };
    let function = lambda(1, |_| Ok(int(0)));
    vec![
        integer("0b", C::Byte, 0, boolean(false)),
        integer("1b", C::Byte, 1, boolean(true)),
        integer("0x00", C::Byte, 0, byte(0)),
        integer("0xff", C::Byte, 255, byte(255)),
        integer("\"a\"", C::Byte, 97, char(b'a')),
        integer("\" \"", C::Byte, 32, char(b' ')),
        integer("1h", C::Short, 1, short(1)),
        integer("-1h", C::Short, -1, short(-1)),
        integer("0Wh", C::Short, 32767, short(i16::MAX)),
        integer("-0Wh", C::Short, -32767, short(-i16::MAX)),
        other("0Nh", Null(C::Short), short(i16::MIN)),
        integer("-1i", C::Int, -1, int(-1)),
        integer("255i", C::Int, 255, int(255)),
        integer("256i", C::Int, 256, int(256)),
        integer("-32768i", C::Int, -32768, int(-32768)),
        integer("32768i", C::Int, 32768, int(32768)),
        integer("16777216i", C::Int, 16_777_216, int(16_777_216)),
        integer("16777217i", C::Int, 16_777_217, int(16_777_217)),
        integer("0Wi", C::Int, 0x7fff_ffff, int(i32::MAX)),
        integer("-0Wi", C::Int, -0x7fff_ffff, int(-i32::MAX)),
        other("0Ni", Null(C::Int), int(i32::MIN)),
        integer("3", C::Long, 3, long(3)),
        integer("-3", C::Long, -3, long(-3)),
        integer("2147483648", C::Long, 1 << 31, long(1 << 31)),
        integer("-2147483648", C::Long, -1 << 31, long(-1 << 31)),
        integer("9007199254740992", C::Long, 1 << 53, long(1 << 53)),
        integer("9007199254740993", C::Long, (1 << 53) + 1, long((1 << 53) + 1)),
        integer("0W", C::Long, i64::MAX, long(i64::MAX)),
        integer("-0W", C::Long, -i64::MAX, long(-i64::MAX)),
        other("0N", Null(C::Long), long(i64::MIN)),
        floating("1.5e", C::Real, 1.5, real(1.5)),
        floating("-2e", C::Real, -2.0, real(-2.0)),
        floating("0We", C::Real, INFINITY, real(f32::INFINITY)),
        other("0Ne", Null(C::Real), real(f32::NAN)),
        floating("3f", C::Float, 3.0, float(3.0)),
        floating("-1f", C::Float, -1.0, float(-1.0)),
        floating("3.5", C::Float, 3.5, float(3.5)),
        floating("0.1", C::Float, 0.1, float(0.1)),
        floating("1e300", C::Float, 1e300, float(1e300)),
        floating("3e38", C::Float, 3e38, float(3e38)),
        floating("2 xexp 63", C::Float, 9_223_372_036_854_775_808.0, float(9_223_372_036_854_775_808.0)),
        floating("neg 2 xexp 63", C::Float, -9_223_372_036_854_775_808.0, float(-9_223_372_036_854_775_808.0)),
        floating("0w", C::Float, INFINITY, float(INFINITY)),
        floating("-0w", C::Float, -INFINITY, float(-INFINITY)),
        other("0n", Null(C::Float), float(NAN)),
        integer("2000.01.01D00:00:00.000000005", C::Long, 5, timestamp(5)),
        other("0Np", Null(C::Long), timestamp(i64::MIN)),
        integer("1999.12m", C::Int, -1, month(-1)),
        other("0Nm", Null(C::Int), month(i32::MIN)),
        integer("2000.01.08", C::Int, 7, date(7)),
        other("0Nd", Null(C::Int), date(i32::MIN)),
        floating("2000.01.01T12:00:00.000", C::Float, 0.5, datetime(0.5)),
        other("0Nz", Null(C::Float), datetime(NAN)),
        integer("0D00:00:00.000000009", C::Long, 9, timespan(9)),
        other("0Nn", Null(C::Long), timespan(i64::MIN)),
        integer("00:01", C::Int, 1, minute(1)),
        integer("00:00:02", C::Int, 2, second(2)),
        integer("00:00:00.003", C::Int, 3, time(3)),
        other("0Nt", Null(C::Int), time(i32::MIN)),
        other(
            "0x0 sv 0x000102030405060708090a0b0c0d0eff",
            Is::Guid,
            guid(*b"\0\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\xff"),
        ),
        other("`symbol", Is::Symbol, symbol("symbol")),
        other("`", Is::Symbol, symbol("")),
        other("101b", Vector(C::Byte), booleans(&[true, false, true])),
        other("0x0102", Vector(C::Byte), bytes(&[1, 2])),
        other("0x010200", Vector(C::Byte), bytes(&[1, 2, 0])),
        other("\"text\"", Vector(C::Byte), string("text")),
        other("\"text\\000\"", Vector(C::Byte), string("text\0")),
        other("\"\"", Vector(C::Byte), string("")),
        other("1 2h", Vector(C::Short), shorts(&[1, 2])),
        other("1 2i", Vector(C::Int), ints(&[1, 2])),
        other("`int$()", Vector(C::Int), ints(&[])),
        other("1 2", Vector(C::Long), longs(&[1, 2])),
        other("1 2e", Vector(C::Real), reals(&[1.0, 2.0])),
        other("1 2f", Vector(C::Float), floats(&[1.0, 2.0])),
        other("2#0Np", Vector(C::Long), timestamps(&[i64::MIN; 2])),
        other("2#0Nm", Vector(C::Int), months(&[i32::MIN; 2])),
        other("2#0Nd", Vector(C::Int), dates(&[i32::MIN; 2])),
        other("2#0Nz", Vector(C::Float), datetimes(&[NAN; 2])),
        other("2#0Nn", Vector(C::Long), timespans(&[i64::MIN; 2])),
        other("2#0Nu", Vector(C::Int), minutes(&[i32::MIN; 2])),
        other("2#0Nv", Vector(C::Int), seconds(&[i32::MIN; 2])),
        other("2#0Nt", Vector(C::Int), times(&[i32::MIN; 2])),
        other("2#0Ng", Is::Guids, guids(&[[0; 16]; 2])),
        other("`a`b", Is::Symbols, symbols(&["a", "b"])),
        other("()", Is::List, list![]),
        other("(1i;2f)", Is::List, list![int(1), float(2.0)]),
        other("(0;1;2;3;`x)", Is::List, list![long(0), long(1), long(2), long(3), symbol("x")]),
        other("({x};enlist\"i\";\"i\")", Is::Callback, list![function.clone(), string("i"), char(b'i')]),
        other("`a`b!1 2", Is::Other, dict(symbols(&["a", "b"]), longs(&[1, 2]))),
        other("([]a:1 2)", Is::Other, table(vec![("a", longs(&[1, 2]))])),
        other("{x}", Is::Other, function),
        other("neg", Is::Other, primitive(2)),
        other("", Is::Foreign(MEMORY.as_ptr() as u64), foreign(MEMORY.as_ptr() as u64)),
        other("(::)", Is::Nothing, null()),
    ]
}

/// One of q's own functions of one argument: `::` is the one with the number 0.
fn primitive(number: i64) -> Value {
    let function = null();
    // SAFETY: an atom has a payload, and this one no other reference.
    unsafe { function.payload::<i64>().write(number) };
    function
}

/// A foreign object whose destructor does nothing.
pub(crate) fn foreign(pointer: u64) -> Value {
    unsafe extern "C" fn destroy(_: crate::support::api::K) -> crate::support::api::K {
        std::ptr::null_mut()
    }
    let object = longs(&[destroy as *const () as i64, pointer as i64]);
    // SAFETY: a foreign object is laid out as a list of two, and the vector has no other reference.
    unsafe { (*object.raw()).t = 112 };
    object
}

/// The bits of a number of one C type as another's, where that has it: facts of C and of q, not of the library.
pub(crate) fn converted(is: Is, to: C) -> Option<u64> {
    match is {
        Is::Integer(_, value) => match to {
            C::Byte => (0..=255).contains(&value).then_some(value as u64),
            C::Short => (-32_768..=32_767).contains(&value).then_some(value as u64),
            C::Int => (-(1 << 31)..1 << 31).contains(&value).then_some(value as u64),
            C::Long => Some(value as u64),
            C::Real => (-(1 << 24)..=1 << 24).contains(&value).then(|| (value as f32).to_bits().into()),
            C::Float => (-(1 << 53)..=1 << 53).contains(&value).then(|| (value as f64).to_bits()),
            C::Pointer => None,
        },
        Is::Floating(_, value) => match to {
            C::Float => Some(value.to_bits()),
            C::Real => {
                (value.is_infinite() || value.abs() <= f64::from(f32::MAX)).then(|| (value as f32).to_bits().into())
            }
            C::Pointer => None,
            _ if value.trunc() != value || value.abs() > 9_223_372_036_854_775_808.0 => None,
            _ if value == 9_223_372_036_854_775_808.0 => None,
            _ => converted(Is::Integer(C::Long, value as i64), to),
        },
        _ => None,
    }
    .map(|bits| to.cut(bits))
}

/// What C sees of a value that is an argument under a letter.
pub(crate) fn sees(letter: char, sample: &Sample) -> Sees {
    let lower = letter.to_ascii_lowercase();
    match (letter.is_ascii_uppercase(), number(letter)) {
        (true, _) if lower == 'c' => text(sample),
        (true, Some(to)) => pointer(sample, sample.is == Is::Vector(to)),
        (true, None) => pointer(
            sample,
            match lower {
                'r' => sample.is == Is::Vector(C::Long),
                'g' => sample.is == Is::Guids,
                's' => sample.is == Is::Symbols,
                _ => matches!(sample.is, Is::List | Is::Callback),
            },
        ),
        (false, Some(to)) => scalar(sample, to),
        (false, None) => match lower {
            'g' => pointer(sample, matches!(sample.is, Is::Guid | Is::Guids)),
            's' => text(sample),
            'r' => match sample.is {
                Is::Symbol => Sees::Interned,
                Is::Guid => Sees::Itself,
                Is::Integer(C::Byte, _) => Sees::Error,
                _ => scalar(sample, C::Long),
            },
            _ => match sample.is {
                Is::Callback => Sees::Code,
                // A function pointer that C has given before.
                _ if sample.value.kind() == -7 => Sees::Bits(own_bits(sample)),
                _ => pointer(sample, false),
            },
        },
    }
}

/// An atom under a number's letter: as it is where it has the C type, else converted; what is no atom may be an address
/// where C has a word.
fn scalar(sample: &Sample, to: C) -> Sees {
    match sample.is {
        Is::Integer(from, _) | Is::Floating(from, _) | Is::Null(from) if from == to => Sees::Bits(own_bits(sample)),
        Is::Integer(..) | Is::Floating(..) => converted(sample.is, to).map_or(Sees::Error, Sees::Bits),
        Is::Vector(_) | Is::Guids | Is::Symbols if to == C::Long => Sees::Itself,
        Is::Nothing | Is::Foreign(_) if to == C::Long => pointer(sample, false),
        _ => Sees::Error,
    }
}

/// An address: `::` is null, a foreign object what it points at.
fn pointer(sample: &Sample, is_itself: bool) -> Sees {
    match sample.is {
        _ if is_itself => Sees::Itself,
        Is::Nothing => Sees::Bits(0),
        Is::Foreign(pointer) => Sees::Bits(pointer),
        _ => Sees::Error,
    }
}

/// A text of C's: with its zero byte it is passed in place, without one as a copy.
fn text(sample: &Sample) -> Sees {
    match sample.is {
        Is::Symbol => Sees::Interned,
        Is::Vector(C::Byte) => match sample.value.slice::<u8>() {
            [.., 0] => Sees::Itself,
            bytes => Sees::Copy(bytes.to_vec()),
        },
        _ => pointer(sample, false),
    }
}

/// The payload of an atom.
fn own_bits(sample: &Sample) -> u64 {
    match sample.value.kind() {
        -1 | -4 | -10 => sample.value.atom::<u8>().into(),
        -5 => sample.value.atom::<u16>().into(),
        -6 | -8 | -13 | -14 | -17 | -18 | -19 => sample.value.atom::<u32>().into(),
        _ => sample.value.atom::<u64>(),
    }
}

/// The letter that `.ffi.callFunction` takes for a value.
pub(crate) fn inferred(sample: &Sample) -> Option<char> {
    let kind = sample.value.kind();
    match sample.is {
        Is::Integer(..) | Is::Floating(..) | Is::Null(_) | Is::Guid | Is::Symbol => {
            // The addresses and sizes have letters beside q's own for longs.
            LETTERS.iter().find(|(letter, _, of)| *of == -kind && !"lr".contains(*letter)).map(|(letter, ..)| *letter)
        }
        Is::Vector(C::Byte) => Some('C'),
        Is::List | Is::Callback => Some('k'),
        Is::Other => None,
        _ => Some('r'),
    }
}

/// A value of a letter's own type that tells places apart, and what C sees of it.
pub(crate) fn value(letter: char, place: usize) -> (Value, u64) {
    let number = place as i64 + 1;
    let address = |value: Value| {
        let at = value.items::<u8>() as u64;
        (value, at)
    };
    if letter.is_ascii_uppercase() {
        return address(match q_type(letter) {
            kind @ (1 | 4) => vector_of(kind, &[number as u8, 0]),
            // With its zero byte the text is passed in place.
            10 => string([number as u8, 0]),
            5 => shorts(&[number as i16]),
            kind @ (6 | 13 | 14 | 17 | 18 | 19) => vector_of(kind, &[number as i32]),
            kind @ (7 | 12 | 16) => vector_of(kind, &[number]),
            8 => reals(&[number as f32]),
            kind @ (9 | 15) => vector_of(kind, &[number as f64]),
            2 => guids(&[[number as u8; 16]]),
            11 => symbols(&["a"]),
            _ => list![long(number)],
        });
    }
    match letter {
        'g' => address(guid([number as u8; 16])),
        's' => (symbol("text"), intern("text") as u64),
        'k' => (long(number), number as u64),
        'b' => (boolean(true), 1),
        _ => match q_type(letter) {
            kind @ (4 | 10) => (atom_of(kind, 0xf0 | number as u8), 0xf0 | number as u64),
            5 => (short(-number as i16), u64::from(-number as u16)),
            kind @ (6 | 13 | 14 | 17 | 18 | 19) => (atom_of(kind, -number as i32), u64::from(-number as u32)),
            kind @ (7 | 12 | 16) => (atom_of(kind, -number << 40), (-number << 40) as u64),
            8 => (real(number as f32 + 0.5), (number as f32 + 0.5).to_bits().into()),
            kind => (atom_of(kind, number as f64 + 0.25), (number as f64 + 0.25).to_bits()),
        },
    }
}
