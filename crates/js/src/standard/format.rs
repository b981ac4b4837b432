//! `printf`: C's own conversions, of JavaScript values.

use std::ffi::{CStr, CString, c_char, c_int, c_longlong};

use crate::engine::{Arguments, Context, Exception, Outcome, Value};

/// The longest conversion specification.
const SPECIFICATION: usize = 32;

/// The arguments as the first of them, a format, says.
///
/// Flags, width and precision are as in C, `*` included; of the length modifiers there is `l`, for 64 bits.
pub(super) fn format<'js>(context: Context<'js>, arguments: Arguments<'_, 'js>) -> Outcome<'js, Vec<u8>> {
    let format = match arguments.from(0).next() {
        Some(format) => format.to_text()?,
        None => return Ok(Vec::new()),
    };
    let mut formatter = Formatter { context, values: arguments.from(1), text: Vec::new() };
    let mut rest = format.as_bytes();
    while let Some(at) = rest.iter().position(|byte| *byte == b'%') {
        formatter.text.extend_from_slice(&rest[..at]);
        rest = formatter.convert(&rest[at + 1..])?;
    }
    formatter.text.extend_from_slice(rest);
    Ok(formatter.text)
}

struct Formatter<'js, V> {
    context: Context<'js>,
    values: V,
    text: Vec<u8>,
}

impl<'js, V: Iterator<Item = Value<'js>>> Formatter<'js, V> {
    /// Converts by the specification at the start of `rest`, which stands behind a `%`: what is left of `rest`.
    fn convert<'a>(&mut self, rest: &'a [u8]) -> Outcome<'js, &'a [u8]> {
        let mut specification = vec![b'%'];
        let mut rest = rest;
        take_while(&mut rest, &mut specification, |byte| b"0#+- '".contains(&byte));
        self.take_number(&mut rest, &mut specification)?;
        if let Some(next) = rest.strip_prefix(b".") {
            specification.push(b'.');
            rest = next;
            self.take_number(&mut rest, &mut specification)?;
        }
        let is_long = rest.first() == Some(&b'l');
        if is_long {
            rest = &rest[1..];
        }
        let Some((&kind, rest)) = rest.split_first().filter(|_| specification.len() < SPECIFICATION) else {
            return Err(self.invalid());
        };
        match kind {
            b'c' => self.character()?,
            b'd' | b'i' | b'o' | b'u' | b'x' | b'X' if is_long => {
                specification.extend_from_slice(&[b'l', b'l', kind]);
                let value: c_longlong = self.next()?.to_i64()?;
                self.print(&specification, |format, memory, size| {
                    // SAFETY: the memory is as long as said, and the format takes one long long.
                    unsafe { libc::snprintf(memory, size, format.as_ptr(), value) }
                })?;
            }
            b'd' | b'i' | b'o' | b'u' | b'x' | b'X' => {
                specification.push(kind);
                // The lower half, as a C compiler would pass it.
                let value = self.next()?.to_i64()? as c_int;
                self.print(&specification, |format, memory, size| {
                    // SAFETY: the memory is as long as said, and the format takes one int.
                    unsafe { libc::snprintf(memory, size, format.as_ptr(), value) }
                })?;
            }
            b's' => {
                specification.push(kind);
                let value = self.next()?.to_text()?;
                self.print(&specification, |format, memory, size| {
                    // SAFETY: the memory is as long as said, and the format takes one C string.
                    unsafe { libc::snprintf(memory, size, format.as_ptr(), value.as_c_str().as_ptr()) }
                })?;
            }
            b'e' | b'f' | b'g' | b'a' | b'E' | b'F' | b'G' | b'A' => {
                specification.push(kind);
                let value = self.next()?.to_f64()?;
                self.print(&specification, |format, memory, size| {
                    // SAFETY: the memory is as long as said, and the format takes one double.
                    unsafe { libc::snprintf(memory, size, format.as_ptr(), value) }
                })?;
            }
            b'%' => self.text.push(b'%'),
            _ => return Err(self.invalid()),
        }
        Ok(rest)
    }

    /// A width or a precision: digits, or `*` for the next argument.
    fn take_number(&mut self, rest: &mut &[u8], specification: &mut Vec<u8>) -> Outcome<'js, ()> {
        if let Some(next) = rest.strip_prefix(b"*") {
            *rest = next;
            specification.extend_from_slice(self.next()?.to_i32()?.to_string().as_bytes());
        } else {
            take_while(rest, specification, |byte| byte.is_ascii_digit());
        }
        Ok(())
    }

    /// A character, by its code point or as the first of a string.
    fn character(&mut self) -> Outcome<'js, ()> {
        let value = self.next()?;
        let character = if value.is_string() {
            value.to_text()?.to_string_lossy().chars().next().unwrap_or('\0')
        } else {
            u32::try_from(value.to_i32()?).ok().and_then(char::from_u32).unwrap_or(char::REPLACEMENT_CHARACTER)
        };
        self.text.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
        Ok(())
    }

    fn next(&mut self) -> Outcome<'js> {
        self.values
            .next()
            .ok_or_else(|| self.context.throw_reference_error("missing argument for conversion specifier"))
    }

    /// Appends what `print` writes by the specification: it is asked for the length first.
    fn print(&mut self, specification: &[u8], print: impl Fn(&CStr, *mut c_char, usize) -> c_int) -> Outcome<'js, ()> {
        let format = CString::new(specification).map_err(|_| self.invalid())?;
        let length = usize::try_from(print(&format, std::ptr::null_mut(), 0)).map_err(|_| self.invalid())?;
        let start = self.text.len();
        // A NUL is written behind the text.
        self.text.resize(start + length + 1, 0);
        print(&format, self.text[start..].as_mut_ptr().cast(), length + 1);
        self.text.pop();
        Ok(())
    }

    fn invalid(&self) -> Exception {
        self.context.throw_type_error("invalid conversion specifier in format string")
    }
}

/// Moves bytes over as long as they are of a kind.
fn take_while(rest: &mut &[u8], taken: &mut Vec<u8>, is_of_kind: impl Fn(u8) -> bool) {
    let count = rest.iter().take_while(|byte| is_of_kind(**byte)).count();
    taken.extend_from_slice(&rest[..count]);
    *rest = &rest[count..];
}
