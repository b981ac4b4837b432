//! Values of declared types in bytes and at addresses: `.ffi.pack` and what goes with it.

use jitcall::Type;

use super::given::Given;
use super::{Declared, to_c, to_q, types};
use crate::convert;
use crate::error::{Class, Fault, Result};
use crate::host::{K, Object, Owned, kind};
use crate::letters::Scalar;
use crate::symbols;

/// Where a value is.
#[derive(Clone, Copy)]
enum Place<'a> {
    /// In q's memory.
    Bytes(&'a [u8]),
    /// Anywhere.
    Address(*mut u8),
}

impl<'a> Place<'a> {
    /// Bytes of q's, an address, or what a foreign object points at.
    fn of(value: K<'a>) -> Result<Place<'a>> {
        if let Some(bytes) = Given::of(value).bytes() {
            return Ok(Place::Bytes(bytes));
        }
        match to_c::address(Given::of(value))? {
            0 => Err(Fault::of_type("bytes or an address, not null")),
            address => Ok(Place::Address(std::ptr::with_exposed_provenance_mut(address as usize))),
        }
    }

    /// The bytes there, which are as many as is said.
    fn read(self, size: usize) -> Result<Vec<u8>> {
        match self {
            Place::Bytes(bytes) if bytes.len() == size => Ok(bytes.to_vec()),
            Place::Bytes(bytes) => Err(to_c::lengths(size, bytes.len(), "byte")),
            // SAFETY: who gives an address answers for what is there.
            Place::Address(address) => Ok(unsafe { std::slice::from_raw_parts(address, size) }.to_vec()),
        }
    }
}

/// Runs something with the type of a name; errors say which.
fn with<R>(declared: &Declared, name: K<'_>, run: impl FnOnce(&Type) -> Result<R>) -> Result<R> {
    let ty = types::named(&declared.types.borrow(), name)?;
    run(&ty).map_err(|fault| fault.at(&ty))
}

fn long(value: usize) -> *mut Object {
    convert::to_q::atom(Scalar::Long, kind::LONG, value as u64)
}

/// The text of a path of members; none for `::` and the null symbol.
fn path(member: K<'_>) -> Result<String> {
    if member.is_null() {
        return Ok(String::new());
    }
    Ok(symbols::text(member)?.to_string_lossy().into_owned())
}

/// `.ffi.sizeof`.
///
/// # Errors
/// `'type` where the name is that of no type, or it has no size.
pub(crate) fn size_of(declared: &Declared, name: K<'_>) -> Result<*mut Object> {
    with(declared, name, types::size).map(long)
}

/// `.ffi.offsetof`.
///
/// # Errors
/// As for [`size_of`], and `'type` where there is no such member, or it is a bit-field.
pub(crate) fn offset_of(declared: &Declared, name: K<'_>, member: K<'_>) -> Result<*mut Object> {
    with(declared, name, |ty| {
        let place = types::along(ty, &path(member)?)?;
        match place.bits {
            None => Ok(place.offset),
            Some(_) => Err(Fault::of_type("a bit-field has no offset in bytes")),
        }
    })
    .map(long)
}

/// `.ffi.pack`.
///
/// # Errors
/// As for [`size_of`], and what the value does not fit.
pub(crate) fn pack(declared: &Declared, name: K<'_>, value: K<'_>) -> Result<*mut Object> {
    with(declared, name, |ty| {
        let mut bytes = vec![0; types::size(ty)?];
        to_c::write(ty, Given::of(value), &mut bytes)?;
        Ok(to_q::as_bytes(&bytes).into_raw())
    })
}

/// `.ffi.unpack`.
///
/// # Errors
/// As for [`size_of`]; `'length` where there are not as many bytes.
pub(crate) fn unpack(declared: &Declared, name: K<'_>, place: K<'_>) -> Result<*mut Object> {
    with(declared, name, |ty| to_q::read(ty, &Place::of(place)?.read(types::size(ty)?)?).map(Owned::into_raw))
}

/// `.ffi.get`.
///
/// # Errors
/// As for [`unpack`], and `'type` where there is no such member.
pub(crate) fn get(declared: &Declared, name: K<'_>, place: K<'_>, member: K<'_>) -> Result<*mut Object> {
    with(declared, name, |ty| {
        let bytes = Place::of(place)?.read(types::size(ty)?)?;
        types::along(ty, &path(member)?)?.read(&bytes).map(Owned::into_raw)
    })
}

/// `.ffi.set`.
///
/// # Errors
/// As for [`get`] and [`pack`].
pub(crate) fn set(declared: &Declared, name: K<'_>, place: K<'_>, member: K<'_>, value: K<'_>) -> Result<*mut Object> {
    with(declared, name, |ty| {
        let place = Place::of(place)?;
        let mut bytes = place.read(types::size(ty)?)?;
        let path = path(member)?;
        let written = types::along(ty, &path)?.write(Given::of(value), &mut bytes);
        written.map_err(|fault| if path.is_empty() { fault } else { fault.at(format_args!("member {path}")) })?;
        match place {
            Place::Bytes(_) => Ok(to_q::as_bytes(&bytes).into_raw()),
            Place::Address(address) => {
                // SAFETY: who gives an address answers for what is there.
                unsafe { address.copy_from_nonoverlapping(bytes.as_ptr(), bytes.len()) };
                Ok(std::ptr::null_mut())
            }
        }
    })
}

/// `.ffi.array`.
///
/// # Errors
/// As for [`pack`].
pub(crate) fn array(declared: &Declared, name: K<'_>, values: K<'_>) -> Result<*mut Object> {
    with(declared, name, |ty| {
        let given = Given::of(values);
        let count = given.count().ok_or_else(|| given.mismatch())?;
        let mut bytes = vec![0; total(ty, count)?];
        to_c::items(ty, count, given, &mut bytes)?;
        Ok(to_q::as_bytes(&bytes).into_raw())
    })
}

/// `.ffi.table`.
///
/// # Errors
/// As for [`unpack`]; `'length` where the bytes are no whole number of elements.
pub(crate) fn table(declared: &Declared, name: K<'_>, place: K<'_>) -> Result<*mut Object> {
    with(declared, name, |ty| {
        let (place, count) = match place.t() {
            kind::LIST if place.count() == 2 => (Place::of(place.items()[0])?, counted(Given::of(place).item(1))?),
            kind::LONG if place.count() == 2 => {
                let pair = Given::of(place);
                let address = std::ptr::with_exposed_provenance_mut(to_c::address(pair.item(0))? as usize);
                (Place::Address(address), counted(pair.item(1))?)
            }
            _ => match Place::of(place)? {
                Place::Address(_) => return Err(Fault::of_type("bytes, or an address and a count")),
                Place::Bytes(bytes) => (Place::Bytes(bytes), whole(ty, bytes.len())?),
            },
        };
        match place {
            Place::Address(address) if address.is_null() => Err(Fault::of_type("bytes or an address, not null")),
            _ => to_q::elements(ty, count, &place.read(total(ty, count)?)?).map(Owned::into_raw),
        }
    })
}

/// How many elements so many bytes are.
fn whole(ty: &Type, bytes: usize) -> Result<usize> {
    match types::size(ty)? {
        0 => Err(Fault::of_type("it has no bytes: there is no count")),
        size if bytes.is_multiple_of(size) => Ok(bytes / size),
        size => Err(Fault::new(Class::Length, format!("{bytes} bytes are no multiple of {size}"))),
    }
}

/// A count.
fn counted(given: Given<'_>) -> Result<usize> {
    let count = to_c::integer(given, jitcall::types::Integer::Long)?;
    usize::try_from(count).map_err(|_| given.mismatch())
}

/// The size of so many elements.
fn total(ty: &Type, count: usize) -> Result<usize> {
    let size = types::size(ty)?.checked_mul(count).filter(|size| *size <= jitcall::types::layout::MAX_SIZE);
    size.ok_or_else(|| Fault::new(Class::Limit, format!("{count} elements")))
}
