//! Calls whose argument types are those of the values: `.ffi.callFunction`.

use super::{Function, listed};
use crate::error::{Fault, Result};
use crate::host::{K, Object, kind};
use crate::letters::{Letter, Letters};
use crate::symbols::Symbol;
use crate::variadic;

/// Calls a function with values as they are.
///
/// # Errors
/// `'type` where a value has no C type, and as for [`Function::call`].
pub(crate) fn call(symbol: &Symbol, result: Letter, arguments: K<'_>) -> Result<*mut Object> {
    let single = [arguments];
    let arguments = match arguments.t() {
        kind::LIST => arguments.items(),
        _ if arguments.is_null() => &[],
        t if t < 0 => &single[..],
        t => {
            let text = format!("{}: expected a list of arguments that ends in (::): {t}h", symbol.name);
            return Err(Fault::of_type(text));
        }
    };
    let arguments = match arguments {
        [all @ .., end] if end.is_null() => listed::without_end(all, 0),
        all => all,
    };
    let parameters = arguments.iter().enumerate().map(|(index, value)| {
        letter(*value).map_err(|fault| fault.at(format_args!("{}: argument {}", symbol.name, index + 1)))
    });
    let parameters = parameters.collect::<Result<Vec<Letter>>>()?;
    let fixed = variadic::fixed(&symbol.name).map_or(parameters.len(), |fixed| fixed.min(parameters.len()));
    Function::new(symbol, Letters { parameters, result, fixed })?.call(arguments)
}

/// The letter for a value: that of an atom's type; an address for vectors, and what is one already.
pub(crate) fn letter(value: K<'_>) -> Result<Letter> {
    let letter = match value.t() {
        t @ -19..0 => return atom_letter(t),
        kind::BOOLEAN | kind::BYTE | kind::CHAR => b'C',
        kind::LIST => b'k',
        _ if value.is_vector() || value.is_null() || value.foreign().is_some() => b'r',
        t => return Err(Fault::of_type(format!("{t}h has no C type"))),
    };
    Letter::new(letter)
}

/// The letter for an atom of that type.
pub(crate) fn atom_letter(t: i8) -> Result<Letter> {
    const ATOMS: &[u8] = b" bg xhijefcspmdznuvt";
    match ATOMS.get(usize::from(t.unsigned_abs())) {
        Some(letter @ b'a'..) => Letter::new(*letter),
        _ => Err(Fault::of_type(format!("{t}h has no C type"))),
    }
}
