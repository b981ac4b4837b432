//! The grammar of arguments: what a C programmer would write, read without knowing the declared type.
//!
//! ```text
//! value    = number | complex | char | text | list | fields | buffer | symbol | word
//! number   = [sign] (decimal | 0x hex | 0 octal | 0b binary | inf | nan)
//! complex  = [number sign] number i
//! list     = { value, ... }
//! fields   = { name: value, ... }
//! buffer   = @bytes | @ | @value
//! symbol   = &name
//! word     = null | true | false | name
//! ```

use std::ops::Range;

use winnow::ascii::{digit0, hex_digit1, multispace0};
use winnow::combinator::{delimited, eof, opt, peek, preceded};
use winnow::error::{ErrMode, ParserError};
use winnow::stream::{LocatingSlice, Location, Stateful, Stream};
use winnow::token::{any, one_of, rest, take_while};
use winnow::{ModalResult, Parser};

/// The most braces inside each other.
const MAX_DEPTH: usize = 100;

/// A value as it was written, and where.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Literal {
    /// Bytes from the start of the argument.
    pub(crate) span: Range<usize>,
    pub(crate) kind: Kind,
}

/// What was written.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Kind {
    /// A number without fraction and exponent; one of more than 128 bits is a [`Number::Real`].
    Number(Number),
    /// Real and imaginary part.
    Complex(Number, Number),
    /// A character constant: a byte from an escape, else a code point.
    Char(u32),
    /// Text in quotes, its escapes replaced.
    Text(Vec<u8>),
    Null,
    Bool(bool),
    /// The name of an enum constant, or of nothing.
    Name(String),
    /// `@64`: zeroed memory of that many bytes.
    Memory(usize),
    /// `@`: memory for one zeroed object of the pointee's type.
    Room,
    /// `@value`: memory that holds that value before the call.
    Holding(Box<Literal>),
    /// `&name`: the address of a symbol.
    Symbol(String),
    List(Vec<Literal>),
    Fields(Vec<Field>),
}

/// A number.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Number {
    Integer {
        negative: bool,
        magnitude: u128,
        /// Whether it was written as `0x...`.
        hex: bool,
    },
    /// Decimal digits as Rust and C read them, or `inf` or `nan`.
    Real(String),
}

/// A member by name.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Field {
    pub(crate) name: String,
    /// Where the name stands.
    pub(crate) span: Range<usize>,
    pub(crate) value: Literal,
}

/// What is wrong at which place of an argument.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Fault {
    /// Bytes from the start of the argument.
    pub(crate) span: Range<usize>,
    pub(crate) message: String,
}

impl Fault {
    pub(crate) fn new(span: &Range<usize>, message: impl Into<String>) -> Fault {
        Fault { span: span.clone(), message: message.into() }
    }
}

impl<I: Stream + Location> ParserError<I> for Fault {
    type Inner = Fault;

    fn from_input(input: &I) -> Self {
        let at = input.current_token_start();
        Fault { span: at..at, message: "not understood".into() }
    }

    fn into_inner(self) -> Result<Self::Inner, Self> {
        Ok(self)
    }
}

/// The argument, and how many braces are open.
type Input<'a> = Stateful<LocatingSlice<&'a str>, usize>;

type Parsed<T> = ModalResult<T, Fault>;

fn input(text: &str) -> Input<'_> {
    Stateful { input: LocatingSlice::new(text), state: 0 }
}

/// Reads an argument as a value.
pub(crate) fn parse(text: &str) -> Result<Literal, Fault> {
    let whole = delimited(multispace0, value, multispace0);
    let mut whole = (whole, eof_or_fault).map(|(literal, ())| literal);
    whole.parse(input(text)).map_err(|error| error.into_inner())
}

/// Replaces the escapes of an argument that is text as a whole.
pub(crate) fn unescape(text: &str) -> Result<Vec<u8>, Fault> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut input = input(text);
    while !input.is_empty() {
        character(&mut input).map_err(inner)?.append_to(&mut bytes);
    }
    Ok(bytes)
}

fn inner(mode: ErrMode<Fault>) -> Fault {
    mode.into_inner().unwrap_or_else(|_| Fault { span: 0..0, message: "not understood".into() })
}

/// A fault at what comes next, which no other reading can mend.
fn expected<T>(what: &str, input: &mut Input<'_>) -> Parsed<T> {
    let start = input.current_token_start();
    let text: &str = peek(rest).parse_next(input)?;
    let found = text.chars().next();
    let end = start + found.map_or(0, char::len_utf8);
    let found = found.map_or("the end".to_owned(), |found| format!("`{found}`"));
    Err(ErrMode::Cut(Fault { span: start..end, message: format!("expected {what}, found {found}") }))
}

fn fault<T>(span: Range<usize>, message: impl Into<String>) -> Parsed<T> {
    Err(ErrMode::Cut(Fault { span, message: message.into() }))
}

fn eof_or_fault(input: &mut Input<'_>) -> Parsed<()> {
    match opt(eof).parse_next(input)? {
        Some(_) => Ok(()),
        None => expected("the end of the value", input),
    }
}

fn next_char(input: &mut Input<'_>) -> Parsed<Option<char>> {
    peek(opt(any)).parse_next(input)
}

fn value(input: &mut Input<'_>) -> Parsed<Literal> {
    let start = input.current_token_start();
    let kind = match next_char(input)? {
        Some('{') => braces(input)?,
        Some('"') => Kind::Text(quoted(input)?),
        Some('\'') => constant(input)?,
        Some('@') => buffer(input)?,
        Some('&') => symbol(input)?,
        Some('+' | '-' | '.' | '0'..='9') => number_or_complex(input)?,
        Some(letter) if letter.is_alphabetic() || letter == '_' => word(input)?,
        _ => return expected("a value", input),
    };
    // What was read last ended before the blanks that may follow.
    Ok(Literal { span: start..input.current_token_start(), kind })
}

fn identifier<'a>(input: &mut Input<'a>) -> Parsed<&'a str> {
    let first = |c: char| c.is_alphabetic() || c == '_';
    (one_of(first), take_while(0.., |c: char| c.is_alphanumeric() || c == '_')).take().parse_next(input)
}

fn word(input: &mut Input<'_>) -> Parsed<Kind> {
    let name = peek(identifier).parse_next(input)?;
    if is_special(name.strip_suffix('i').unwrap_or(name)) || is_special(name) {
        return number_or_complex(input);
    }
    identifier.parse_next(input)?;
    Ok(match name {
        "null" | "NULL" | "nullptr" => Kind::Null,
        "true" => Kind::Bool(true),
        "false" => Kind::Bool(false),
        name => Kind::Name(name.to_owned()),
    })
}

fn is_special(name: &str) -> bool {
    ["inf", "infinity", "nan"].iter().any(|special| special.eq_ignore_ascii_case(name))
}

fn number_or_complex(input: &mut Input<'_>) -> Parsed<Kind> {
    let (first, imaginary) = number(input)?;
    if imaginary {
        return Ok(Kind::Complex(Number::Integer { negative: false, magnitude: 0, hex: false }, first));
    }
    if !matches!(next_char(input)?, Some('+' | '-')) {
        return Ok(Kind::Number(first));
    }
    match number(input)? {
        (second, true) => Ok(Kind::Complex(first, second)),
        (_, false) => expected("`i` after the imaginary part", input),
    }
}

/// A number, and whether the imaginary unit follows it.
fn number(input: &mut Input<'_>) -> Parsed<(Number, bool)> {
    let sign = opt(one_of(['+', '-'])).parse_next(input)?;
    let number = match magnitude(input)? {
        Number::Integer { magnitude, hex, .. } => Number::Integer { negative: sign == Some('-'), magnitude, hex },
        Number::Real(digits) if sign == Some('-') => Number::Real(format!("-{digits}")),
        real => real,
    };
    let imaginary = opt('i').parse_next(input)?.is_some();
    match next_char(input)? {
        Some(next) if next.is_alphanumeric() || next == '_' || next == '.' => expected("the end of the number", input),
        _ => Ok((number, imaginary)),
    }
}

fn magnitude(input: &mut Input<'_>) -> Parsed<Number> {
    match next_char(input)? {
        Some('0'..='9' | '.') => {}
        Some(letter) if letter.is_alphabetic() => return special(input),
        _ => return expected("a digit", input),
    }
    let start = input.current_token_start();
    let prefix = opt(preceded('0', one_of(['x', 'X', 'b', 'B']))).parse_next(input)?;
    match prefix {
        Some('x' | 'X') => match opt(hex_digit1).parse_next(input)? {
            Some(digits) => integer(digits, 16, start, input),
            None => expected("a hexadecimal digit", input),
        },
        Some(_) => match opt(take_while(1.., ['0', '1'])).parse_next(input)? {
            Some(digits) => integer(digits, 2, start, input),
            None => expected("a binary digit", input),
        },
        None => decimal(start, input),
    }
}

fn special(input: &mut Input<'_>) -> Parsed<Number> {
    let name = peek(identifier).parse_next(input)?;
    let name = if is_special(name) { name } else { name.strip_suffix('i').unwrap_or(name) };
    if !is_special(name) {
        return expected("a digit", input);
    }
    input.next_slice(name.len());
    Ok(Number::Real(name.to_ascii_lowercase()))
}

fn decimal(start: usize, input: &mut Input<'_>) -> Parsed<Number> {
    let exponent = (one_of(['e', 'E']), opt(one_of(['+', '-'])), take_while(1.., '0'..='9'));
    let (whole, fraction, exponent): (&str, Option<&str>, Option<_>) =
        (digit0, opt(preceded('.', digit0)), opt(exponent)).parse_next(input)?;
    if whole.is_empty() && fraction.is_none_or(str::is_empty) {
        return expected("a digit", input);
    }
    if fraction.is_none() && exponent.is_none() {
        return match whole.strip_prefix('0') {
            Some(octal) if !octal.is_empty() => integer(octal, 8, start, input),
            _ => integer(whole, 10, start, input),
        };
    }
    let mut text = format!("{whole}.{}", fraction.filter(|digits| !digits.is_empty()).unwrap_or("0"));
    if let Some((_, sign, digits)) = exponent {
        text = format!("{text}e{}{digits}", sign.unwrap_or('+'));
    }
    Ok(Number::Real(text))
}

fn integer(digits: &str, base: u32, start: usize, input: &Input<'_>) -> Parsed<Number> {
    match u128::from_str_radix(digits, base) {
        Ok(magnitude) => Ok(Number::Integer { negative: false, magnitude, hex: base == 16 }),
        Err(_) if base == 10 => Ok(Number::Real(digits.to_owned())),
        Err(error) if *error.kind() == std::num::IntErrorKind::InvalidDigit => {
            fault(start..input.current_token_start(), "a number that starts with 0 is octal, as in C: digits 0 to 7")
        }
        Err(_) => fault(start..input.current_token_start(), "a number of more than 128 bits"),
    }
}

/// A character of text: a byte that an escape names, or a character as it stands.
enum Character {
    Byte(u8),
    Plain(char),
}

impl Character {
    fn append_to(self, bytes: &mut Vec<u8>) {
        match self {
            Character::Byte(byte) => bytes.push(byte),
            Character::Plain(plain) => bytes.extend_from_slice(plain.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
}

fn character(input: &mut Input<'_>) -> Parsed<Character> {
    let start = input.current_token_start();
    let first = any.parse_next(input)?;
    if first != '\\' {
        return Ok(Character::Plain(first));
    }
    let Some(escape) = opt(any).parse_next(input)? else {
        return fault(start..start + 1, "a backslash at the end: write `\\\\` for one");
    };
    let byte = match escape {
        'n' => b'\n',
        't' => b'\t',
        'r' => b'\r',
        'a' => 0x07,
        'b' => 0x08,
        'f' => 0x0c,
        'v' => 0x0b,
        'e' => 0x1b,
        '\\' | '"' | '\'' | '?' => escape as u8,
        'x' => {
            let digits = opt(take_while(1..=2, |c: char| c.is_ascii_hexdigit())).parse_next(input)?;
            match digits.map(|digits: &str| u8::from_str_radix(digits, 16)) {
                Some(Ok(byte)) => byte,
                _ => return expected("a hexadecimal digit after `\\x`", input),
            }
        }
        '0'..='7' => {
            let more: &str = take_while(0..=2, '0'..='7').parse_next(input)?;
            match u8::from_str_radix(&format!("{escape}{more}"), 8) {
                Ok(byte) => byte,
                Err(_) => return fault(start..input.current_token_start(), "an octal escape above `\\377`"),
            }
        }
        _ => {
            let end = input.current_token_start();
            return fault(start..end, format!("`\\{escape}` is no escape: write `\\\\` for a backslash"));
        }
    };
    Ok(Character::Byte(byte))
}

fn quoted(input: &mut Input<'_>) -> Parsed<Vec<u8>> {
    any.parse_next(input)?;
    let mut bytes = Vec::new();
    loop {
        match next_char(input)? {
            None => return expected("`\"` after the text", input),
            Some('"') => {
                any.parse_next(input)?;
                return Ok(bytes);
            }
            Some(_) => character(input)?.append_to(&mut bytes),
        }
    }
}

fn constant(input: &mut Input<'_>) -> Parsed<Kind> {
    any.parse_next(input)?;
    if let None | Some('\'') = next_char(input)? {
        return expected("a character", input);
    }
    let code = match character(input)? {
        Character::Byte(byte) => byte.into(),
        Character::Plain(plain) => plain.into(),
    };
    match opt('\'').parse_next(input)? {
        Some(_) => Ok(Kind::Char(code)),
        None => expected("`'` after the character", input),
    }
}

fn buffer(input: &mut Input<'_>) -> Parsed<Kind> {
    any.parse_next(input)?;
    let start = input.current_token_start();
    match next_char(input)? {
        Some('0'..='9') => match number(input)? {
            (Number::Integer { magnitude, .. }, false) if magnitude <= 1 << 30 => Ok(Kind::Memory(magnitude as usize)),
            _ => fault(start..input.current_token_start(), "expected a number of bytes, at most 1 GiB"),
        },
        Some('{' | '"') => Ok(Kind::Holding(Box::new(value(input)?))),
        None | Some(',' | '}' | ' ' | '\t' | '\n') => Ok(Kind::Room),
        _ => expected("a number of bytes, `{` or `\"`", input),
    }
}

fn symbol(input: &mut Input<'_>) -> Parsed<Kind> {
    any.parse_next(input)?;
    match opt(identifier).parse_next(input)? {
        Some(name) => Ok(Kind::Symbol(name.to_owned())),
        None => expected("the name of a function or variable", input),
    }
}

fn braces(input: &mut Input<'_>) -> Parsed<Kind> {
    let start = input.current_token_start();
    any.parse_next(input)?;
    if input.state == MAX_DEPTH {
        return fault(start..start + 1, format!("more than {MAX_DEPTH} braces inside each other"));
    }
    input.state += 1;
    let kind = if peek(opt(field_name)).parse_next(input)?.is_some() {
        Kind::Fields(items(field, input)?)
    } else {
        Kind::List(items(value, input)?)
    };
    input.state -= 1;
    Ok(kind)
}

/// Items up to the closing brace; a comma may stand before it.
fn items<T>(mut item: impl FnMut(&mut Input<'_>) -> Parsed<T>, input: &mut Input<'_>) -> Parsed<Vec<T>> {
    let mut found = Vec::new();
    loop {
        multispace0.parse_next(input)?;
        if opt('}').parse_next(input)?.is_some() {
            return Ok(found);
        }
        found.push(item(input)?);
        multispace0.parse_next(input)?;
        if next_char(input)? != Some('}') && opt(',').parse_next(input)?.is_none() {
            return expected("`,` or `}`", input);
        }
    }
}

/// `name:`, or C's `.name =`.
fn field_name(input: &mut Input<'_>) -> Parsed<(String, Range<usize>)> {
    multispace0.parse_next(input)?;
    let dot = opt('.').parse_next(input)?;
    let (name, span) = identifier.with_span().parse_next(input)?;
    multispace0.parse_next(input)?;
    one_of(if dot.is_some() { '=' } else { ':' }).parse_next(input)?;
    Ok((name.to_owned(), span))
}

fn field(input: &mut Input<'_>) -> Parsed<Field> {
    let Some((name, span)) = opt(field_name).parse_next(input)? else {
        return expected("the name of a member and `:`", input);
    };
    multispace0.parse_next(input)?;
    Ok(Field { name, span, value: value(input)? })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn integer(value: i128) -> Number {
        Number::Integer { negative: value < 0, magnitude: value.unsigned_abs(), hex: false }
    }

    fn hex(magnitude: u128) -> Kind {
        Kind::Number(Number::Integer { negative: false, magnitude, hex: true })
    }

    fn real(digits: &str) -> Number {
        Number::Real(digits.to_owned())
    }

    fn name(name: &str) -> Kind {
        Kind::Name(name.to_owned())
    }

    fn at(span: Range<usize>, kind: Kind) -> Literal {
        Literal { span, kind }
    }

    #[test]
    fn values_are_read_as_c_would() {
        let cases: Vec<(&str, Kind)> = vec![
            ("0", Kind::Number(integer(0))),
            ("00", Kind::Number(integer(0))),
            ("+17", Kind::Number(integer(17))),
            ("-17", Kind::Number(integer(-17))),
            (" -17 ", Kind::Number(integer(-17))),
            ("0644", Kind::Number(integer(0o644))),
            ("0b101", Kind::Number(integer(5))),
            ("0x1F", hex(31)),
            ("0xffffffffffffffffffffffffffffffff", hex(u128::MAX)),
            ("340282366920938463463374607431768211456", Kind::Number(real("340282366920938463463374607431768211456"))),
            ("1.5", Kind::Number(real("1.5"))),
            ("1.", Kind::Number(real("1.0"))),
            (".5", Kind::Number(real(".5"))),
            ("-1e-3", Kind::Number(real("-1.0e-3"))),
            ("1.25E+2", Kind::Number(real("1.25e+2"))),
            ("inf", Kind::Number(real("inf"))),
            ("-Infinity", Kind::Number(real("-infinity"))),
            ("NAN", Kind::Number(real("nan"))),
            ("1+2i", Kind::Complex(integer(1), integer(2))),
            ("-1.5-2e3i", Kind::Complex(real("-1.5"), real("-2.0e+3"))),
            ("2i", Kind::Complex(integer(0), integer(2))),
            ("inf-nani", Kind::Complex(real("inf"), real("-nan"))),
            ("'a'", Kind::Char(97)),
            ("'\\n'", Kind::Char(10)),
            ("'\\''", Kind::Char(39)),
            ("'\\xff'", Kind::Char(255)),
            ("'\u{e9}'", Kind::Char(0xe9)),
            ("\"\"", Kind::Text(Vec::new())),
            ("\"a\\\"\\x41\\101\\0\"", Kind::Text(b"a\"AA\0".to_vec())),
            ("null", Kind::Null),
            ("NULL", Kind::Null),
            ("true", Kind::Bool(true)),
            ("false", Kind::Bool(false)),
            ("O_RDONLY", name("O_RDONLY")),
            ("info", name("info")),
            ("nanny", name("nanny")),
            ("&strcmp", Kind::Symbol("strcmp".to_owned())),
            ("@64", Kind::Memory(64)),
            ("@0x10", Kind::Memory(16)),
            ("@", Kind::Room),
            ("@\"x\"", Kind::Holding(Box::new(at(1..4, Kind::Text(b"x".to_vec()))))),
            ("{}", Kind::List(vec![])),
            ("{ 1 , x }", Kind::List(vec![at(2..3, Kind::Number(integer(1))), at(6..7, name("x"))])),
            ("{1,}", Kind::List(vec![at(1..2, Kind::Number(integer(1)))])),
            ("{{@}}", Kind::List(vec![at(1..4, Kind::List(vec![at(2..3, Kind::Room)]))])),
            ("{.5}", Kind::List(vec![at(1..3, Kind::Number(real(".5")))])),
            (
                "{ a : 1, .b = x }",
                Kind::Fields(vec![
                    Field { name: "a".into(), span: 2..3, value: at(6..7, Kind::Number(integer(1))) },
                    Field { name: "b".into(), span: 10..11, value: at(14..15, name("x")) },
                ]),
            ),
        ];
        for (text, expected) in cases {
            assert_eq!(parse(text).map(|literal| literal.kind), Ok(expected), "{text}");
        }
    }

    #[test]
    fn faults_are_at_their_place() {
        let deep = "{".repeat(200);
        let cases: &[(&str, Range<usize>, &str)] = &[
            ("", 0..0, "expected a value, found the end"),
            ("  ", 2..2, "expected a value, found the end"),
            ("#", 0..1, "expected a value, found `#`"),
            ("-", 1..1, "expected a digit, found the end"),
            ("-x", 1..2, "expected a digit, found `x`"),
            ("1 2", 2..3, "expected the end of the value, found `2`"),
            ("12ab", 2..3, "expected the end of the number, found `a`"),
            ("1.2.3", 3..4, "expected the end of the number, found `.`"),
            ("1e", 1..2, "expected the end of the number, found `e`"),
            ("0x", 2..2, "expected a hexadecimal digit, found the end"),
            ("0b2", 2..3, "expected a binary digit, found `2`"),
            ("08", 0..2, "a number that starts with 0 is octal, as in C: digits 0 to 7"),
            ("0x100000000000000000000000000000000", 0..35, "a number of more than 128 bits"),
            ("1+2", 3..3, "expected `i` after the imaginary part, found the end"),
            ("''", 1..2, "expected a character, found `'`"),
            ("'ab'", 2..3, "expected `'` after the character, found `b`"),
            ("\"ab", 3..3, "expected `\"` after the text, found the end"),
            ("\"\\q\"", 1..3, "`\\q` is no escape: write `\\\\` for a backslash"),
            ("\"\\xg\"", 3..4, "expected a hexadecimal digit after `\\x`, found `g`"),
            ("\"\\777\"", 1..5, "an octal escape above `\\377`"),
            ("\"\\", 1..2, "a backslash at the end: write `\\\\` for one"),
            ("@-1", 1..2, "expected a number of bytes, `{` or `\"`, found `-`"),
            ("@1.5", 1..4, "expected a number of bytes, at most 1 GiB"),
            ("@9999999999", 1..11, "expected a number of bytes, at most 1 GiB"),
            ("&", 1..1, "expected the name of a function or variable, found the end"),
            ("{1 2}", 3..4, "expected `,` or `}`, found `2`"),
            ("{1", 2..2, "expected `,` or `}`, found the end"),
            ("{,}", 1..2, "expected a value, found `,`"),
            ("{a: 1, 2}", 7..8, "expected the name of a member and `:`, found `2`"),
            ("{a: }", 4..5, "expected a value, found `}`"),
            (&deep, 100..101, "more than 100 braces inside each other"),
        ];
        for (text, span, message) in cases {
            assert_eq!(parse(text), Err(Fault::new(span, *message)), "{text}");
        }
    }

    #[test]
    fn text_keeps_everything_but_escapes() {
        let cases: &[(&str, &[u8])] = &[
            ("", b""),
            ("it's \"5\"", b"it's \"5\""),
            ("a\\tb\\\\", b"a\tb\\"),
            ("\\x4\\x414", b"\x04A4"),
            ("\\0012", b"\x012"),
        ];
        for (text, expected) in cases {
            assert_eq!(unescape(text).as_deref(), Ok(*expected), "{text}");
        }
        assert_eq!(unescape("ab\\"), Err(Fault::new(&(2..3), "a backslash at the end: write `\\\\` for one")));
    }

    #[test]
    fn any_text_is_read_or_refused() {
        let pieces = [
            "{", "}", ",", "\"", "'", "\\", "@", "&", "1", "0x", "e", "-", "+", "i", "nan", ".", ":", " ", "\u{e9}",
            "\n",
        ];
        let mut state = 1u64;
        for _ in 0..20_000 {
            let mut text = String::new();
            for _ in 0..12 {
                state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
                text.push_str(pieces[(state >> 33) as usize % pieces.len()]);
            }
            let span = match parse(&text) {
                Ok(literal) => literal.span,
                Err(fault) => fault.span,
            };
            assert!(text.get(span.clone()).is_some(), "{text:?}: {span:?}");
        }
    }
}
