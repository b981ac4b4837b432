//! Arguments of declared functions that are pointers: what q may give for them.

use jitcall::types::{Integer, Pointee, Pointer, layout};
use jitcall::{Arch, Signature, Type};

use super::given::Given;
use super::room::Room;
use super::{letters, to_c, types};
use crate::callback;
use crate::convert;
use crate::convert::to_c::word;
use crate::error::{Class, Fault, Result};
use crate::host::{K, Owned, kind};
use crate::letters::{Letter, Scalar};
use crate::thread::Thread;

/// What asks for room for one value.
const OUT: &std::ffi::CStr = c"out";

/// What has to stay as it is until a call has returned.
pub(super) struct Held {
    temporaries: convert::to_c::Temporaries,
    /// Structs that were made of dictionaries.
    structs: Vec<Room>,
    /// Room for values that C writes, with their types: in the order of the arguments.
    pub(super) outs: Vec<(Type, Room)>,
}

impl Held {
    pub(super) fn new() -> Held {
        Held { temporaries: convert::to_c::Temporaries::new(), structs: Vec::new(), outs: Vec::new() }
    }

    pub(super) fn temporaries(&mut self) -> &mut convert::to_c::Temporaries {
        &mut self.temporaries
    }
}

/// The word for an argument that is a pointer.
///
/// # Errors
/// `'type` where the value is none and does not lead to one, `'length` where memory is too short.
pub(super) fn pointer(thread: &Thread, pointer: &Pointer, value: K<'_>, held: &mut Held) -> Result<u64> {
    match pointer.pointee() {
        Pointee::Function(signature) => function(thread, signature, value),
        Pointee::Type(Type::Integer(Integer::Char)) => text(value, held),
        // As the letter has it: any memory, and text.
        Pointee::Type(Type::Void) => convert::to_c::argument(Letter::RAW, value, held.temporaries()),
        Pointee::Type(ty) => memory(ty, pointer.is_const(), value, held),
        Pointee::Incomplete(..) if value.t() == -kind::SYMBOL && value.symbol() == OUT => {
            Err(Fault::of_type("its definition is not known: there is no room for `out"))
        }
        Pointee::Incomplete(..) => match Given::of(value).bytes() {
            Some(bytes) => Ok(word(bytes.as_ptr())),
            None => to_c::address(Given::of(value)),
        },
    }
}

/// A function pointer: what is one, a C function that q has as a function, a callback's list, or a q function, for which
/// the declaration has the letters.
fn function(thread: &Thread, signature: &Signature, value: K<'_>) -> Result<u64> {
    if let Some(address) = thread.main().ok().and_then(|main| main.target(value)) {
        return Ok(word(address));
    }
    if value.t() == kind::LIST {
        return callback::pointer(thread, value);
    }
    if !value.is_function() {
        return to_c::address(Given::of(value));
    }
    let (parameters, result) = letters::of_callback(signature)?;
    let result = Owned::text(&[result]);
    let list = Owned::list(vec![value.share(), Owned::text(&parameters), result]);
    callback::pointer(thread, *list)
}

/// Chars: an address, or a text as the letter has it.
fn text(value: K<'_>, held: &mut Held) -> Result<u64> {
    if value.t() == -kind::LONG {
        return to_c::address(Given::of(value));
    }
    convert::to_c::argument(Letter::TEXT, value, held.temporaries())
}

/// A pointer to values of a type: an address, the elements of a vector of that type, bytes for what has no vectors,
/// `` `out ``, and a dictionary for a struct that C does not write.
fn memory(ty: &Type, is_const: bool, value: K<'_>, held: &mut Held) -> Result<u64> {
    let given = Given::of(value);
    match value.t() {
        t if t == -kind::SYMBOL && value.symbol() == OUT && !is_const => out(ty, held),
        kind::DICTIONARY if is_const && matches!(ty, Type::Aggregate(_)) => structure(ty, given, held),
        kind::SYMBOL if types::is_text(ty) => Ok(word(value.elements())),
        _ if !value.is_vector() => to_c::address(given),
        t => match types::in_place(ty) {
            Some(scalar) if Scalar::of_type(t) == Some(scalar) => Ok(word(value.elements())),
            Some(_) => Err(given.mismatch()),
            None => block(ty, given),
        },
    }
}

/// Bytes that hold one value at least.
fn block(ty: &Type, given: Given<'_>) -> Result<u64> {
    let bytes = given.bytes().ok_or_else(|| given.mismatch())?;
    let size = types::size(ty)?;
    if bytes.len() < size {
        return Err(Fault::new(Class::Length, format!("expected at least {size} bytes, got {}", bytes.len())));
    }
    Ok(word(bytes.as_ptr()))
}

fn structure(ty: &Type, given: Given<'_>, held: &mut Held) -> Result<u64> {
    let mut room = Room::fixed(layout::of(ty, Arch::HOST)?);
    to_c::write(ty, given, room.bytes_mut())?;
    let address = word(room.as_mut_ptr());
    held.structs.push(room);
    Ok(address)
}

fn out(ty: &Type, held: &mut Held) -> Result<u64> {
    let mut room = Room::fixed(layout::of(ty, Arch::HOST)?);
    let address = word(room.as_mut_ptr());
    held.outs.push((ty.clone(), room));
    Ok(address)
}
