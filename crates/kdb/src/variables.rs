//! C's variables, and what pointers lead to.

use jitcall::{Arch, Type};

use crate::convert::to_q;
use crate::error::{Fault, Result};
use crate::host::{K, Object, Owned, kind};
use crate::letters::{self, Letter, Meaning};
use crate::symbols::{self, Symbol};

/// A letter and what is named with it; `int` where there is no letter.
///
/// # Errors
/// `'type` where the value is neither a name nor a list of a letter and a name, `'os` where there is no such symbol.
pub(crate) fn with_letter(what: K<'_>) -> Result<(Letter, Symbol)> {
    if what.t() != kind::LIST {
        return Ok((Letter::INT, symbols::find(what)?));
    }
    match what.items() {
        [letter, name] => Ok((letters::result_letter(*letter)?, symbols::find(*name)?)),
        items => Err(Fault::of_type(format!("`name or (letter; `name): a list of {}", items.len()))),
    }
}

/// Reads a variable.
///
/// # Errors
/// As for [`with_letter`], and `'type` for `void`.
pub(crate) fn read(what: K<'_>) -> Result<*mut Object> {
    let (letter, symbol) = with_letter(what)?;
    let fault = |fault: Fault| fault.at(&symbol.name);
    match letter.meaning() {
        Meaning::Void => Err(fault(Fault::of_type("a variable is not void"))),
        // The variable keeps its value; q gets a reference of its own.
        // SAFETY: who names a variable answers for its type.
        Meaning::Callback => unsafe { to_q::pointed(letter, symbol.address.cast()) }.map_err(fault),
        // SAFETY: as above.
        _ => unsafe { to_q::read(letter, symbol.address.cast()) }.map_err(fault),
    }
}

/// Reads the members of a struct of C's in memory: the one that is `index` structs from an address.
///
/// # Errors
/// `'type` where the values are no address, letters and number.
pub(crate) fn follow(address: K<'_>, members: K<'_>, index: K<'_>) -> Result<*mut Object> {
    let start = match address.t() {
        t if t == -kind::LONG && address.long() != 0 => address.long(),
        kind::LONG if address.count() == 1 => {
            // SAFETY: it has one element.
            unsafe { address.elements().cast::<i64>().read() }
        }
        t => return Err(Fault::of_type(format!("deref: an address: {t}h"))),
    };
    let index = match index.t() {
        t if t == -kind::LONG => index.long(),
        t if t == -kind::INT => index.int().into(),
        t => return Err(Fault::of_type(format!("deref: an index: {t}h"))),
    };
    let (letters, _) = letters::parameter_letters(members).map_err(|fault| fault.at("deref"))?;
    let members = letters.iter().enumerate();
    let ty =
        members.fold(Type::structure(), |ty, (at, letter)| ty.member(&format!("m{at}"), letter.c_type())).build()?;
    let Some(aggregate) = ty.as_aggregate() else { return Err(Fault::of_type("deref: no letters")) };
    let layout = aggregate.layout(Arch::HOST);
    let from = index.wrapping_mul(layout.size as i64).wrapping_add(start);
    let from: *const u8 = std::ptr::with_exposed_provenance(from as usize);
    let items = letters.iter().enumerate().map(|(member, letter)| {
        // SAFETY: who follows an address answers for what is there.
        let value = unsafe {
            let at = from.add(layout.offset(member));
            if letter.meaning() == Meaning::Callback { to_q::pointed(*letter, at) } else { to_q::read(*letter, at) }
        }?;
        // SAFETY: the reference is ours.
        Ok(if value.is_null() { to_q::identity() } else { unsafe { Owned::new(value) } })
    });
    Ok(Owned::list(items.collect::<Result<_>>()?).into_raw())
}
