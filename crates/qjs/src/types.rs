//! What scripts call C's types, and how each meets JavaScript's values.
//!
//! Three vocabularies name them: qjs-ffi's (which are libffi's and some of C's), Bun's, and C itself. Where two of them
//! share a name, they mean the same by it.

use jitcall::types::layout;
use jitcall::types::{Float, Integer, Pointer};
use jitcall::{Arch, Type};

use crate::error::{Failure, Result};

/// A C type as a parameter, a result or a member of a script's declaration.
#[derive(Clone, Debug)]
pub(crate) struct ScriptType {
    pub(crate) ty: Type,
    pub(crate) class: Class,
}

/// How values of a type are converted, where the type alone does not say it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Class {
    /// As its C type is: numbers, and BigInts where a number would not be exact.
    Plain,
    /// An integer of 64 bits that comes back as a BigInt, whatever its value.
    BigInt,
    /// A string of C's, which comes back as a `CString`.
    Text,
    /// Memory of an ArrayBuffer or a view; numbers are refused.
    Buffer,
}

impl ScriptType {
    pub(crate) fn plain(ty: Type) -> ScriptType {
        ScriptType { ty, class: Class::Plain }
    }

    /// The type of that name, in any of the vocabularies.
    ///
    /// # Errors
    /// A TypeError for a name that is none, a SyntaxError for what looks like C and is not.
    pub(crate) fn named(name: &str) -> Result<ScriptType> {
        if let Some(found) = table(name) {
            return Ok(found);
        }
        let is_word = |text: &str| text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        match Type::parse(name) {
            Ok(ty) => Ok(ScriptType::of_c(ty)),
            Err(_) if is_word(name) => Err(Failure::of_type(format!("there is no type {name:?}"))),
            Err(error) => Err(error.into()),
        }
    }

    /// The type that a C declaration says: `const char *` is text.
    pub(crate) fn of_c(ty: Type) -> ScriptType {
        let is_text = matches!(&ty, Type::Pointer(pointer) if pointer.is_text() && pointer.is_const());
        ScriptType { ty, class: if is_text { Class::Text } else { Class::Plain } }
    }

    /// The type that has that number in Bun's `FFIType`.
    pub(crate) fn numbered(number: usize) -> Option<ScriptType> {
        let name = [
            "char", "i8", "u8", "i16", "u16", "i32", "u32", "i64", "u64", "f64", "f32", "bool", "ptr", "void",
            "cstring", "i64_fast", "u64_fast", "function", "", "", "buffer",
        ];
        table(name.get(number)?)
    }

    /// Its size in bytes; 0 for `void`.
    pub(crate) fn size(&self) -> Result<usize> {
        if self.ty.is_void() { Ok(0) } else { Ok(layout::of(&self.ty, Arch::HOST)?.size) }
    }
}

/// The names that are not C's own, or mean more here than in C.
fn table(name: &str) -> Option<ScriptType> {
    let class = match name {
        "i64" | "u64" | "int64_t" | "uint64_t" | "isize" | "usize" => Class::BigInt,
        "cstring" => Class::Text,
        "buffer" => Class::Buffer,
        _ => Class::Plain,
    };
    let ty = match name {
        "void" => Type::Void,
        "bool" => Type::Bool,
        "char" => Type::Integer(Integer::Char),
        "sint8" | "schar" | "i8" | "int8_t" => Type::I8,
        "uint8" | "uchar" | "u8" | "uint8_t" => Type::U8,
        "sint16" | "sshort" | "i16" | "int16_t" => Type::I16,
        "uint16" | "ushort" | "u16" | "uint16_t" => Type::U16,
        "sint32" | "sint" | "i32" | "int32_t" | "c_int" => Type::I32,
        "uint32" | "uint" | "u32" | "uint32_t" | "c_uint" => Type::U32,
        "sint64" | "slong" | "i64" | "int64_t" | "i64_fast" | "isize" => Type::I64,
        "uint64" | "ulong" | "u64" | "uint64_t" | "u64_fast" | "usize" => Type::U64,
        "f32" => Type::Float(Float::F32),
        "f64" => Type::Float(Float::F64),
        "longdouble" => Type::Float(Float::LongDouble),
        "pointer" | "ptr" | "buffer" | "callback" | "function" | "fn" => Type::pointer(),
        "string" => Type::Pointer(Pointer::to(Type::Integer(Integer::Char))),
        "cstring" => Type::c_string(),
        _ => return None,
    };
    Some(ScriptType { ty, class })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_of_qjs_ffi_is_known() {
        let names = "void sint8 sint16 sint32 sint64 uint8 uint16 uint32 uint64 float double schar uchar sshort ushort \
                     sint uint slong ulong longdouble pointer int long short char size_t string buffer bool int32_t";
        for name in names.split_whitespace() {
            ScriptType::named(name).unwrap_or_else(|error| panic!("{name}: {error:?}"));
        }
        for name in ["unsigned char", "unsigned int", "unsigned long", "void *", "char *", "long long", "const char *"]
        {
            ScriptType::named(name).unwrap_or_else(|error| panic!("{name}: {error:?}"));
        }
    }

    #[test]
    fn a_size_is_64_bits_wide() {
        assert_eq!(ScriptType::named("size_t").unwrap().size().unwrap(), 8);
    }

    #[test]
    fn buns_numbers_are_its_names() {
        assert_eq!(ScriptType::numbered(9).unwrap().ty, Type::F64);
        assert_eq!(ScriptType::numbered(14).unwrap().class, Class::Text);
        assert!(ScriptType::numbered(18).is_none());
    }

    #[test]
    fn a_name_that_is_none_is_refused() {
        let error = ScriptType::named("flaot").unwrap_err();
        assert!(format!("{error:?}").contains("flaot"), "{error:?}");
    }
}
