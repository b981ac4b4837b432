//! Digits of `long double`, read and written by the C library: called through the engine itself.

use std::ffi::CString;

use jitcall::value::{Buffer, LongDouble};
use jitcall::{Error, Library, Result, Value};

/// Decimal digits that tell any two long doubles apart: 21 for x87's 64 bits, 36 for binary128.
const ENOUGH_DIGITS: i32 = if cfg!(target_arch = "x86_64") { 21 } else { 36 };

/// Longer than any long double with [`ENOUGH_DIGITS`] digits.
const ROOM: usize = 64;

/// Reads decimal digits, `inf` or `nan`; rounds to nearest.
pub(crate) fn parse(digits: &str) -> Result<LongDouble> {
    let strtold = Library::process().function("long double strtold(const char *, char **)")?;
    let text = CString::new(digits).map_err(|_| unexpected("strtold", "a NUL"))?;
    // SAFETY: the declaration is that of <stdlib.h>; the text ends in NUL, and a null second argument is allowed.
    match unsafe { strtold.call(&[Value::Str(&text), Value::Pointer(std::ptr::null_mut())])? } {
        Value::LongDouble(value) => Ok(value),
        other => Err(unexpected("strtold", &other.to_string())),
    }
}

/// The shortest digits that read back as the same value.
pub(crate) fn format(value: LongDouble) -> Result<String> {
    let snprintf = Library::process().function("int snprintf(char *, size_t, const char *, ...)")?;
    let mut digits = String::new();
    for precision in 1..=ENOUGH_DIGITS {
        let mut room = [0u8; ROOM];
        let fixed = [Value::Buffer(Buffer::new(&mut room)), Value::U64(ROOM as u64), Value::Str(c"%.*Lg")];
        // SAFETY: the declaration is that of <stdio.h>; the tail has the types that the format asks for, and the room
        // is as long as is said.
        unsafe { snprintf.call_variadic(&fixed, &[Value::I32(precision), Value::LongDouble(value)])? };
        let length = room.iter().position(|byte| *byte == 0).unwrap_or(ROOM);
        digits = String::from_utf8_lossy(&room[..length]).into_owned();
        if parse(&digits)? == value {
            break;
        }
    }
    Ok(digits)
}

fn unexpected(function: &str, what: &str) -> Error {
    Error::Unsupported { message: format!("{function} with {what}") }
}
