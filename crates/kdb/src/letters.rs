//! The letters that stand for C types: q's own for its types, and a few more.
//!
//! | letter | C type |
//! |---|---|
//! | `b` `c` `x` | `unsigned char` |
//! | `h` | `short` |
//! | `i` `m` `d` `u` `v` `t` | `int` |
//! | `j` `p` `n` | `long` |
//! | `e` | `float` |
//! | `f` `z` | `double` |
//! | `g` | a pointer to the 16 bytes of a guid |
//! | `s` | `char *`, a text |
//! | `l` | `size_t` |
//! | `r` | `void *`, an address |
//! | `k` | a function pointer as an argument, else a `K` |
//! | upper case | a pointer to the type of the lower case |
//! | space | `void`, for results |
//!
//! In a list of argument letters, a `.` has all that follow passed as the variadic arguments of C are.

use std::fmt;

use jitcall::{Signature, Type};

use crate::error::{Fault, Result};
use crate::host::{K, kind};

/// A letter that is known.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Letter(u8);

/// What values of a C type are, as far as conversions know them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scalar {
    /// `unsigned char`.
    Byte,
    Short,
    Int,
    Long,
    Real,
    Float,
}

impl Scalar {
    /// In bytes.
    pub(crate) fn size(self) -> usize {
        match self {
            Scalar::Byte => 1,
            Scalar::Short => 2,
            Scalar::Int | Scalar::Real => 4,
            Scalar::Long | Scalar::Float => 8,
        }
    }

    /// What the elements of a vector of q's are, and the atoms of the type's negative; `None` of those that are no numbers.
    pub(crate) fn of_type(t: i8) -> Option<Scalar> {
        Some(match t {
            kind::BOOLEAN | kind::BYTE | kind::CHAR => Scalar::Byte,
            kind::SHORT => Scalar::Short,
            kind::INT | kind::MONTH | kind::DATE | kind::MINUTE | kind::SECOND | kind::TIME => Scalar::Int,
            kind::LONG | kind::TIMESTAMP | kind::TIMESPAN => Scalar::Long,
            kind::REAL => Scalar::Real,
            kind::FLOAT | kind::DATETIME => Scalar::Float,
            _ => return None,
        })
    }

    /// What an atom of q's is, by its type; `None` of what is no atom, or no number.
    #[inline]
    pub(crate) fn of_atom(t: i8) -> Option<Scalar> {
        if t < 0 { Scalar::of_type(t.wrapping_neg()) } else { None }
    }
}

/// The bytes of an element of a vector of that type: of a number, a guid, or a symbol's address.
pub(crate) fn element_size(t: i8) -> usize {
    match t {
        kind::GUID => 16,
        t => Scalar::of_type(t).map_or(size_of::<*const u8>(), Scalar::size),
    }
}

/// What a letter stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Meaning {
    Void,
    /// A number, and q's type of vectors of it.
    Number(Scalar, i8),
    Guid,
    Symbol,
    /// `size_t`.
    Size,
    /// An address.
    Raw,
    Callback,
    /// A pointer to what a letter in lower case stands for.
    Pointer(Letter),
}

impl Letter {
    pub(crate) const VOID: Letter = Letter(b' ');
    pub(crate) const INT: Letter = Letter(b'i');
    /// An address.
    pub(crate) const RAW: Letter = Letter(b'r');
    /// A pointer to chars.
    pub(crate) const TEXT: Letter = Letter(b'C');

    /// # Errors
    /// Says which letter is none.
    pub(crate) fn new(letter: u8) -> Result<Letter> {
        if b" bcxhimduvtjpnefzgslrk".contains(&letter.to_ascii_lowercase()) && letter != 0 {
            return Ok(Letter(letter));
        }
        Err(Fault::of_type(format!("\"{}\" is no type letter", letter.escape_ascii())))
    }

    #[inline]
    pub(crate) fn meaning(self) -> Meaning {
        let number = Meaning::Number;
        match self.0 {
            b' ' => Meaning::Void,
            b'b' => number(Scalar::Byte, kind::BOOLEAN),
            b'c' => number(Scalar::Byte, kind::CHAR),
            b'x' => number(Scalar::Byte, kind::BYTE),
            b'h' => number(Scalar::Short, kind::SHORT),
            b'i' => number(Scalar::Int, kind::INT),
            b'm' => number(Scalar::Int, kind::MONTH),
            b'd' => number(Scalar::Int, kind::DATE),
            b'u' => number(Scalar::Int, kind::MINUTE),
            b'v' => number(Scalar::Int, kind::SECOND),
            b't' => number(Scalar::Int, kind::TIME),
            b'j' => number(Scalar::Long, kind::LONG),
            b'p' => number(Scalar::Long, kind::TIMESTAMP),
            b'n' => number(Scalar::Long, kind::TIMESPAN),
            b'e' => number(Scalar::Real, kind::REAL),
            b'f' => number(Scalar::Float, kind::FLOAT),
            b'z' => number(Scalar::Float, kind::DATETIME),
            b'g' => Meaning::Guid,
            b's' => Meaning::Symbol,
            b'l' => Meaning::Size,
            b'r' => Meaning::Raw,
            b'k' => Meaning::Callback,
            upper => Meaning::Pointer(Letter(upper.to_ascii_lowercase())),
        }
    }

    /// The letter itself.
    pub(crate) fn letter(self) -> u8 {
        self.0
    }

    /// q's type of vectors of what it stands for; 0, a list, of what has none.
    pub(crate) fn vector_type(self) -> i8 {
        match self.meaning() {
            Meaning::Number(_, t) => t,
            Meaning::Guid => kind::GUID,
            Meaning::Symbol => kind::SYMBOL,
            Meaning::Size | Meaning::Raw => kind::LONG,
            _ => kind::LIST,
        }
    }

    /// What conversions know of it, where it is a number or a size.
    #[inline]
    pub(crate) fn scalar(self) -> Option<Scalar> {
        match self.meaning() {
            Meaning::Number(scalar, _) => Some(scalar),
            Meaning::Size => Some(Scalar::Long),
            _ => None,
        }
    }

    /// The C type.
    pub(crate) fn c_type(self) -> Type {
        match self.meaning() {
            Meaning::Void => Type::Void,
            Meaning::Number(Scalar::Byte, _) => Type::U8,
            Meaning::Number(Scalar::Short, _) => Type::I16,
            Meaning::Number(Scalar::Int, _) => Type::I32,
            Meaning::Number(Scalar::Long, _) | Meaning::Size => Type::I64,
            Meaning::Number(Scalar::Real, _) => Type::F32,
            Meaning::Number(Scalar::Float, _) => Type::F64,
            Meaning::Guid | Meaning::Symbol | Meaning::Raw | Meaning::Callback | Meaning::Pointer(_) => Type::pointer(),
        }
    }
}

impl fmt::Display for Letter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.0 as char)
    }
}

impl fmt::Debug for Letter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The letters of a function: its arguments and its result.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Letters {
    pub(crate) parameters: Vec<Letter>,
    pub(crate) result: Letter,
    /// How many of the parameters are named in C; those behind them are variadic.
    pub(crate) fixed: usize,
}

impl Letters {
    /// Reads them from q's objects: a char vector or one char, and one char.
    ///
    /// # Errors
    /// Says what is no letter, or no text.
    pub(crate) fn read(parameters: K<'_>, result: K<'_>) -> Result<Letters> {
        let (parameters, fixed) = parameter_letters(parameters)?;
        Ok(Letters { parameters, result: result_letter(result)?, fixed })
    }

    /// What the engine calls this.
    ///
    /// A letter does not tell whether a function is variadic. All are called as variadic ones, which costs no more than an
    /// instruction, and nothing where no number is floating: what C's convention wants for these does the others no harm.
    ///
    /// # Errors
    /// What the engine says of it.
    pub(crate) fn signature(&self, name: &str) -> Result<Signature> {
        let fixed = self.parameters[..self.fixed].iter().map(|letter| letter.c_type());
        let signature = Signature::new(self.result.c_type(), fixed)?.named(name).variadic();
        if self.fixed == self.parameters.len() {
            return Ok(signature);
        }
        let tail = self.parameters[self.fixed..].iter();
        Ok(signature.with_tail(tail.map(|letter| letter.c_type()))?)
    }
}

impl Letters {
    /// How C declares a function of these letters and that name.
    pub(crate) fn declaration(&self, name: &str) -> String {
        let fixed = self.parameters[..self.fixed].iter().map(|letter| letter.c_type());
        let plain = Signature::new(self.result.c_type(), fixed).map(|signature| signature.named(name));
        match plain {
            Ok(plain) if self.fixed < self.parameters.len() => plain.variadic().to_string(),
            Ok(plain) => plain.to_string(),
            Err(error) => error.to_string(),
        }
    }
}

/// The letters of arguments.
///
/// # Errors
/// Says what is no letter, or no text.
pub(crate) fn parameter_letters(text: K<'_>) -> Result<(Vec<Letter>, usize)> {
    let bytes = match text.t() {
        kind::CHAR => text.bytes().to_vec(),
        -10 => vec![text.byte()],
        t => return Err(Fault::of_type(format!("argument letters are a string: {t}h"))),
    };
    let mut letters = Vec::with_capacity(bytes.len());
    let mut fixed = None;
    for byte in bytes {
        if byte == b'.' && fixed.is_none() {
            fixed = Some(letters.len());
            continue;
        }
        let letter = Letter::new(byte)?;
        if letter == Letter::VOID {
            return Err(Fault::of_type("a space, void, is no argument"));
        }
        letters.push(letter);
    }
    let fixed = fixed.unwrap_or(letters.len());
    Ok((letters, fixed))
}

/// The letter of a result.
///
/// # Errors
/// As for [`parameter_letters`].
pub(crate) fn result_letter(text: K<'_>) -> Result<Letter> {
    match text.t() {
        -10 => Letter::new(text.byte()),
        kind::CHAR if text.count() == 1 => Letter::new(text.bytes()[0]),
        t => Err(Fault::of_type(format!("a result letter is a char: {t}h"))),
    }
}
