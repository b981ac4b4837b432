//! C's variables by declaration: a function that gives the value for `::`, and else writes what it is given.

use jitcall::Type;

use super::given::Given;
use super::{to_c, to_q, types};
use crate::convert;
use crate::error::Result;
use crate::function::own_rank;
use crate::host::{K, Object, Owned};
use crate::letters::Letter;
use crate::symbols::Symbol;

struct Variable {
    name: String,
    ty: Type,
    size: usize,
    address: *mut u8,
}

// SAFETY: an address may be known to any thread; who declares a variable answers for its use.
unsafe impl Send for Variable {}

// SAFETY: as above.
unsafe impl Sync for Variable {}

impl Variable {
    fn apply(&self, value: K<'_>) -> Result<*mut Object> {
        if value.is_null() { self.read() } else { self.write(value).map(|()| std::ptr::null_mut()) }
    }

    fn read(&self) -> Result<*mut Object> {
        if types::is_text(&self.ty) {
            // SAFETY: who declared the variable answers for its type.
            return unsafe { convert::to_q::read(Letter::TEXT, self.address) };
        }
        // SAFETY: as above.
        let bytes = unsafe { std::slice::from_raw_parts(self.address, self.size) }.to_vec();
        to_q::read(&self.ty, &bytes).map(Owned::into_raw)
    }

    fn write(&self, value: K<'_>) -> Result<()> {
        let mut bytes = vec![0; self.size];
        to_c::write(&self.ty, Given::of(value), &mut bytes)?;
        // SAFETY: as above; that it may be written is the caller's to know.
        unsafe { self.address.copy_from_nonoverlapping(bytes.as_ptr(), self.size) };
        Ok(())
    }
}

/// The q function of a variable, which stays for the process.
///
/// # Errors
/// `'type` where the type has no size, and where the engine has no entry left.
pub(super) fn make(symbol: &Symbol, ty: &Type) -> Result<Owned> {
    let (name, size, address) = (symbol.name.clone(), types::size(ty)?, symbol.address.cast());
    let variable = Variable { name, ty: ty.clone(), size, address };
    let code = own_rank::code(1, move |arguments| {
        let place = || format!("{} ({})", variable.name, variable.ty);
        variable.apply(arguments[0]).map_err(|fault| fault.at(place()))
    })?;
    Ok(own_rank::object(code, 1))
}
