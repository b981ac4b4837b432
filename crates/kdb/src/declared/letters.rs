//! The letters for C types: of prototypes that have them for all types, and of function pointers.

use jitcall::types::{Float, Integer, Pointee};
use jitcall::{Arch, Signature, Type};

use super::types;
use crate::error::Result;
use crate::letters::{Letter, Letters};

/// The letters of a prototype, where they say all of it: each value is converted as the C type asks for.
pub(super) fn of_prototype(signature: &Signature) -> Option<Letters> {
    // Letters say nothing of another convention than C's own.
    if signature.is_variadic() || signature.convention().is_some() {
        return None;
    }
    let parameters = signature.parameters().iter().map(|parameter| letter(parameter_letter(&parameter.ty)?));
    let parameters = parameters.collect::<Option<Vec<_>>>()?;
    let fixed = parameters.len();
    Some(Letters { parameters, result: letter(result_letter(signature.result())?)?, fixed })
}

fn letter(letter: u8) -> Option<Letter> {
    Letter::new(letter).ok()
}

/// A letter for numbers that have the type's values, and no others.
fn number_letter(ty: &Type) -> Option<u8> {
    Some(match ty {
        Type::Integer(Integer::Char) => b'c',
        Type::Integer(Integer::UChar) => b'x',
        Type::Integer(Integer::Short) => b'h',
        Type::Integer(Integer::Int) => b'i',
        Type::Integer(Integer::Long | Integer::LongLong) => b'j',
        Type::Integer(Integer::ULong | Integer::ULongLong) => b'l',
        Type::Integer(Integer::WChar) if Integer::WChar.is_signed(Arch::HOST) => b'i',
        Type::Float(Float::F32) => b'e',
        Type::Float(Float::F64) => b'f',
        _ => return None,
    })
}

/// A `_Bool` and a `signed char` are no bytes to be written as they are, and an `enum` has names.
fn parameter_letter(ty: &Type) -> Option<u8> {
    let Type::Pointer(pointer) = ty else { return number_letter(ty) };
    match pointer.pointee() {
        Pointee::Type(Type::Void) => Some(b'r'),
        Pointee::Type(Type::Integer(Integer::Char)) if pointer.is_const() => Some(b'C'),
        _ => None,
    }
}

fn result_letter(ty: &Type) -> Option<u8> {
    Some(match ty {
        Type::Void => b' ',
        Type::Bool => b'b',
        Type::Integer(Integer::SChar) => b'x',
        Type::Pointer(_) if types::is_text(ty) => b'C',
        Type::Pointer(_) => b'r',
        _ => return number_letter(ty),
    })
}

/// The letters of a callback's arguments and of its result, as q writes them. Pointers are addresses, but text is text.
///
/// # Errors
/// `'type` where a type has no letter.
pub(super) fn of_callback(signature: &Signature) -> Result<(Vec<u8>, u8)> {
    if signature.convention().is_some() {
        return Err(crate::error::Fault::of_type(format!("{signature}: q functions are called by C's own convention")));
    }
    let missing = |ty: &Type| {
        crate::error::Fault::of_type(format!("{ty} has no letter: give (function; argument letters; result letter)"))
    };
    let argument = |ty: &Type| match ty {
        Type::Enum(_) => types::number(ty).map(|(scalar, _)| if scalar.size() == 4 { b'i' } else { b'j' }),
        _ => result_letter(ty),
    };
    let parameters = signature.parameters().iter().map(|parameter| match argument(&parameter.ty) {
        Some(letter) => Ok(letter),
        None => Err(missing(&parameter.ty)),
    });
    let result = match signature.result() {
        // A text that a callback has made would be gone; a raw address is one or other.
        ty if types::is_text(ty) => b's',
        ty => argument(ty).ok_or_else(|| missing(ty))?,
    };
    Ok((parameters.collect::<Result<_>>()?, result))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prototypes_with_a_letter_for_each_type() {
        let rows = [
            ("double pow(double, double)", Some(("ff", b'f'))),
            ("size_t strlen(const char *)", Some(("C", b'l'))),
            ("void *memcpy(void *, const void *, size_t)", Some(("rrl", b'r'))),
            ("char *getenv(const char *)", Some(("C", b'C'))),
            ("void f(void)", Some(("", b' '))),
            ("_Bool f(unsigned char, char, short, int, float)", Some(("xchie", b'b'))),
            ("int f(unsigned)", None),
            ("unsigned f(int)", None),
            ("int f(_Bool)", None),
            ("int f(char *)", None),
            ("int f(int *)", None),
            ("int f(void (*)(void))", None),
            ("int printf(const char *, ...)", None),
            ("struct p { int x; }; int f(struct p)", None),
        ];
        for (text, expected) in rows {
            let letters = of_prototype(&Signature::parse(text).unwrap()).map(|letters| {
                (
                    letters.parameters.iter().map(|letter| letter.letter() as char).collect::<String>(),
                    letters.result.letter(),
                )
            });
            assert_eq!(letters, expected.map(|(parameters, result)| (parameters.to_owned(), result)), "{text}");
        }
    }

    #[test]
    fn letters_of_callbacks() {
        let letters = |text| of_callback(&Signature::parse(text).unwrap()).map_err(|fault| fault.to_string());
        assert_eq!(letters("int (const void *, const char *, double)"), Ok((b"rCf".to_vec(), b'i')));
        assert_eq!(letters("void (enum { A })"), Ok((b"i".to_vec(), b' ')));
        assert!(letters("int (unsigned)").unwrap_err().starts_with("type: unsigned int has no letter"));
    }
}
