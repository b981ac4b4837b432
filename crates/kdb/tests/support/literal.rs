//! Values as q's `-3!` writes them.

use std::ffi::{CStr, c_char};
use std::fmt::{Debug, Formatter, Result};

use super::calendar;
use super::value::Value;

impl Debug for Value {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> Result {
        formatter.write_str(&literal(self))
    }
}

fn literal(value: &Value) -> String {
    match value.kind() {
        0 if value.len() == 1 => format!(",{}", literal(&value.item(0))),
        0 => format!("({})", joined(&value.values())),
        98 => format!("+{}", literal(&value.columns())),
        99 => format!("{}!{}", literal(&value.item(0)), literal(&value.item(1))),
        100 => "{lambda}".to_owned(),
        101 if value.unary() == 0 => "::".to_owned(),
        101 if value.unary() == 255 => String::new(),
        101..=103 => format!("{}h$0x{:02x}", value.kind(), value.unary()),
        104 => format!("{}[{}]", literal(&value.item(0)), joined(&value.values()[1..])),
        112 => "code".to_owned(),
        // Without a text where there was no error.
        -128 => format!("'{}", error_text(value)),
        1..=19 => vector(value),
        -19..=-1 => atom(value),
        kind => format!("<{kind}h>"),
    }
}

fn joined(values: &[Value]) -> String {
    values.iter().map(literal).collect::<Vec<_>>().join(";")
}

fn vector(value: &Value) -> String {
    let kind = value.kind();
    if kind == 10 {
        let text = format!("\"{}\"", value.slice::<u8>().iter().map(|byte| escaped(*byte)).collect::<String>());
        return if value.len() == 1 { format!(",{text}") } else { text };
    }
    if value.len() == 0 {
        return format!("`{}$()", NAMES[kind as usize]);
    }
    let words = words(value);
    let comma = if words.len() == 1 { "," } else { "" };
    match kind {
        1 => format!("{comma}{}b", words.concat()),
        4 => format!("{comma}0x{}", words.concat()),
        11 => format!("{comma}{}", words.concat()),
        _ => format!("{comma}{}{}", words.join(" "), suffix(kind, &words)),
    }
}

fn atom(value: &Value) -> String {
    let kind = -value.kind();
    let words = words(value);
    match kind {
        1 => format!("{}b", words[0]),
        4 => format!("0x{}", words[0]),
        10 => format!("\"{}\"", words[0]),
        _ => format!("{}{}", words[0], suffix(kind, &words)),
    }
}

/// The letter behind numbers of a type. Floats have it only if no word shows by itself what it is.
fn suffix(kind: i8, words: &[String]) -> &'static str {
    let is_evident = |word: &String| word.contains(['.', 'n', 'w', 'e']);
    match kind {
        5 => "h",
        6 => "i",
        8 => "e",
        9 if !words.iter().any(is_evident) => "f",
        _ => "",
    }
}

/// What each item or the atom is written as, without what is written once for all.
fn words(value: &Value) -> Vec<String> {
    let integers = |letter, write: fn(i64) -> String| integers(value, letter, write);
    match value.kind().abs() {
        1 => all::<u8>(value).iter().map(u8::to_string).collect(),
        2 => all::<[u8; 16]>(value).iter().map(guid).collect(),
        4 => all::<u8>(value).iter().map(|byte| format!("{byte:02x}")).collect(),
        5..=7 => integers("", |number| number.to_string()),
        8 => all::<f32>(value).iter().map(|number| real(*number)).collect(),
        9 => all::<f64>(value).iter().map(|number| float(*number)).collect(),
        10 => all::<u8>(value).iter().map(|byte| escaped(*byte)).collect(),
        11 => all::<*const c_char>(value).iter().map(|text| symbol(*text)).collect(),
        12 => integers("p", calendar::timestamp),
        13 => integers("m", calendar::month),
        14 => integers("d", calendar::date),
        15 => all::<f64>(value).iter().map(|days| datetime(*days)).collect(),
        16 => integers("n", calendar::timespan),
        17 => integers("u", calendar::minute),
        18 => integers("v", |seconds| calendar::clock(seconds, 1)),
        19 => integers("t", |milliseconds| calendar::clock(milliseconds, 1000)),
        kind => unreachable!("type {kind}"),
    }
}

/// The items of a vector, or the atom.
fn all<T: Copy>(value: &Value) -> Vec<T> {
    if value.kind() < 0 { vec![value.atom()] } else { value.slice().to_vec() }
}

/// Integers, with their nulls and infinities.
fn integers(value: &Value, letter: &str, write: fn(i64) -> String) -> Vec<String> {
    let (numbers, null): (Vec<i64>, i64) = match super::value::width(value.kind().abs()) {
        2 => (all::<i16>(value).iter().map(|number| i64::from(*number)).collect(), i16::MIN.into()),
        4 => (all::<i32>(value).iter().map(|number| i64::from(*number)).collect(), i32::MIN.into()),
        _ => (all(value), i64::MIN),
    };
    let word = |number: i64| match number {
        number if number == null => format!("0N{letter}"),
        number if number == -(null + 1) => format!("0W{letter}"),
        number if number == null + 1 => format!("-0W{letter}"),
        number => write(number),
    };
    numbers.into_iter().map(word).collect()
}

fn real(number: f32) -> String {
    special(number.into(), "0N", "0W").unwrap_or_else(|| number.to_string())
}

fn float(number: f64) -> String {
    special(number, "0n", "0w").unwrap_or_else(|| shortest(number))
}

fn datetime(days: f64) -> String {
    special(days, "0Nz", "0Wz").unwrap_or_else(|| calendar::datetime(days))
}

fn special(number: f64, null: &str, infinity: &str) -> Option<String> {
    let sign = if number < 0.0 { "-" } else { "" };
    if number.is_nan() { Some(null.to_owned()) } else { number.is_infinite().then(|| format!("{sign}{infinity}")) }
}

fn shortest(number: f64) -> String {
    let is_plain = number == 0.0 || (1e-5..1e17).contains(&number.abs());
    if is_plain { number.to_string() } else { format!("{number:e}") }
}

fn error_text(value: &Value) -> String {
    // SAFETY: an error has a pointer.
    let text = unsafe { *value.payload::<*const c_char>() };
    if text.is_null() { String::new() } else { value.text() }
}

fn symbol(text: *const c_char) -> String {
    // SAFETY: a symbol is a string of C's.
    format!("`{}", unsafe { CStr::from_ptr(text) }.to_string_lossy())
}

fn guid(bytes: &[u8; 16]) -> String {
    let mut text: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    [20, 16, 12, 8].iter().for_each(|place| text.insert(*place, '-'));
    text
}

fn escaped(byte: u8) -> String {
    match byte {
        b'\n' => "\\n".to_owned(),
        b'\r' => "\\r".to_owned(),
        b'\t' => "\\t".to_owned(),
        b'"' | b'\\' => format!("\\{}", char::from(byte)),
        b' '..=b'~' => char::from(byte).to_string(),
        _ => format!("\\{byte:03o}"),
    }
}

/// What `type$()` calls the types.
const NAMES: [&str; 20] = [
    "",
    "boolean",
    "guid",
    "",
    "byte",
    "short",
    "int",
    "long",
    "real",
    "float",
    "char",
    "symbol",
    "timestamp",
    "month",
    "date",
    "datetime",
    "timespan",
    "minute",
    "second",
    "time",
];
