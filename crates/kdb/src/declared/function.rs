//! Functions whose prototypes letters do not say.
//!
//! They are of their own rank, as those of `.ffi.fn`: without parameters they take `::`, and more than eight are passed as
//! one list. A variadic function has one argument more than it has named ones: the list of the values for `...`, whose C
//! types are those of the values; an atom or a string is one value, and a `::` at the list's end is left out, so that it
//! keeps the list general.
//!
//! Values are converted as [`types`](super::types) says. Pointers take more:
//!
//! | parameter | q gives |
//! |---|---|
//! | `const char *`, `char *` | a string or a symbol; a string without a zero at its end is copied |
//! | `void *` | any vector, in place |
//! | a pointer to numbers | a vector of elements of that size, in place |
//! | a pointer to a struct | bytes, in place, at least one struct; a dictionary, where it is `const` |
//! | a function pointer | a q function; `(function; argument letters; result letter)` |
//! | any | a long, an address; `::`, null; a foreign object |
//!
//! Where a parameter points at a value that is not `const`, `` `out `` makes room for one. The call then gives a list: the
//! result (`::` for `void`), and what C has left in each such room.
//!
//! As a result, a `char *` is text, of which there is none at a null pointer; other pointers are longs.

use std::collections::HashMap;
use std::ffi::c_void;
use std::sync::{Mutex, PoisonError};

use jitcall::types::layout::{self, Layout};
use jitcall::value::SlotBuffer;
use jitcall::{Arch, Guard, Signature, Slot, Type};

use super::argument::{self, Held};
use super::given::Given;
use super::room::Room;
use super::{to_c, to_q, types};
use crate::callback;
use crate::convert::{self, number};
use crate::error::{Class, Fault, Result};
use crate::function::{by_inference, call_slots, check_count, own_rank};
use crate::host::{K, Object, Owned, kind};
use crate::letters::{Letter, Meaning};
use crate::symbols::Symbol;
use crate::thread::{self, Thread};

/// A C function with its prototype.
pub(super) struct Function {
    name: String,
    function: jitcall::Function,
    result: Layout,
    guard: Option<Guard>,
    /// Of a variadic function, those for the types that have followed.
    tails: Mutex<HashMap<Vec<Letter>, jitcall::Function>>,
}

impl Function {
    /// # Errors
    /// What the engine says of the prototype.
    pub(super) fn new(symbol: &Symbol, signature: &Signature) -> Result<Function> {
        let function = jitcall::Function::new(symbol.address, signature.clone())?;
        Function::of_parts(&symbol.name, function, None)
    }

    fn of_parts(name: &str, function: jitcall::Function, guard: Option<Guard>) -> Result<Function> {
        let result = match function.signature().result() {
            Type::Void => Layout { size: 0, align: 1 },
            ty => layout::of(ty, Arch::HOST)?,
        };
        Ok(Function { name: name.to_owned(), function, result, guard, tails: Mutex::default() })
    }

    /// The same function with faults in it as errors.
    ///
    /// # Errors
    /// Where the system refuses handlers of signals.
    pub(super) fn guarded(&self) -> Result<Function> {
        Function::of_parts(&self.name, self.function.clone(), Some(Guard::install()?))
    }

    /// Its address.
    pub(super) fn target(&self) -> *const c_void {
        self.function.target()
    }

    /// Its C declaration, with those of the types in it.
    pub(super) fn declaration(&self) -> String {
        self.function.signature().declaration() + "\n"
    }

    /// How many arguments q gives.
    fn arguments(&self) -> usize {
        let signature = self.function.signature();
        signature.fixed() + usize::from(signature.is_variadic())
    }

    /// Calls it with what q passes to a function of its rank.
    fn apply(&self, passed: &[K<'_>]) -> Result<*mut Object> {
        let count = self.arguments();
        let arguments = own_rank::arguments(&self.name, count, passed)?;
        check_count(&self.name, count, arguments.len())?;
        self.call(arguments)
    }

    fn call(&self, arguments: &[K<'_>]) -> Result<*mut Object> {
        if !self.function.signature().is_variadic() {
            return thread::with(|thread| self.call_with(thread, &self.function, arguments, &[]));
        }
        let [named @ .., last] = arguments else {
            return Err(Fault::new(Class::Rank, format!("{}: expected arguments", self.name)));
        };
        let values = tail_values(Given::of(*last));
        let types = values.iter().enumerate().map(|(index, value)| {
            letter(*value)
                .map_err(|fault| fault.at(format_args!("{}: argument {}", self.name, named.len() + index + 1)))
        });
        let function = self.with_tail(types.collect::<Result<_>>()?)?;
        thread::with(|thread| self.call_with(thread, &function, named, &values))
    }

    /// The function for variadic arguments of these letters.
    fn with_tail(&self, letters: Vec<Letter>) -> Result<jitcall::Function> {
        let mut tails = self.tails.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(function) = tails.get(&letters) {
            return Ok(function.clone());
        }
        let function = self.function.with_tail(letters.iter().map(|letter| letter.c_type()));
        let function = function.map_err(|error| Fault::from(error).at(&self.name))?;
        tails.insert(letters, function.clone());
        Ok(function)
    }

    /// Calls it: the arguments to slots, the call, the result to an object.
    fn call_with(
        &self,
        thread: &Thread,
        function: &jitcall::Function,
        named: &[K<'_>],
        tail: &[Given<'_>],
    ) -> Result<*mut Object> {
        let mut held = Held::new();
        let interface = function.interface();
        let mut slots = SlotBuffer::new(interface.slots());
        let bytes = slots.bytes_mut(0, 8 * interface.slots());
        bytes.fill(std::mem::MaybeUninit::new(0));
        // SAFETY: all bytes have just been written.
        let bytes = unsafe { std::slice::from_raw_parts_mut(bytes.as_mut_ptr().cast::<u8>(), bytes.len()) };
        let places = function.signature().parameters().iter().zip(interface.slot_offsets());
        let values = named.iter().copied().map(Given::of).chain(tail.iter().copied());
        for (index, ((parameter, offset), value)) in places.zip(values).enumerate() {
            let place = &mut bytes[*offset as usize..];
            let written = match index < named.len() {
                true => write(thread, &parameter.ty, named[index], place, &mut held),
                false => write_variadic(thread, value, place, &mut held),
            };
            let ty = &parameter.ty;
            written.map_err(|fault| fault.at(format_args!("{}: argument {} ({ty})", self.name, index + 1)))?;
        }
        let mut result = Room::new(self.result);
        // SAFETY: the slots hold arguments of the declared types, and the result has room; who declared the function
        // answers for the rest.
        unsafe {
            let slots: *const Slot = slots.as_mut_ptr();
            call_slots(thread, function, self.guard.as_ref(), slots, result.as_mut_ptr())?;
        }
        thread.check_callbacks()?;
        self.finish(&result, &held)
    }

    /// What q gets: the result, with what C has left in the rooms for it.
    fn finish(&self, result: &Room, held: &Held) -> Result<*mut Object> {
        let place = |fault: Fault| fault.at(format_args!("{}: result", self.name));
        let declared = self.function.signature().result();
        let own = match declared {
            Type::Void if held.outs.is_empty() => return Ok(std::ptr::null_mut()),
            Type::Void => convert::to_q::identity(),
            ty if types::is_text(ty) => text(result),
            ty => to_q::read(ty, result.bytes()).map_err(place)?,
        };
        if held.outs.is_empty() {
            return Ok(own.into_raw());
        }
        let outs = held.outs.iter().map(|(ty, room)| to_q::read(ty, room.bytes()));
        let all = std::iter::once(Ok(own)).chain(outs).collect::<Result<Vec<_>>>().map_err(place)?;
        Ok(Owned::list(all).into_raw())
    }
}

/// The text that a pointer leads to; none at a null pointer.
fn text(pointer: &Room) -> Owned {
    // SAFETY: who declared the result as text answers for it.
    let text = unsafe { convert::to_q::read(Letter::TEXT, pointer.bytes().as_ptr()) };
    // SAFETY: the reference is ours.
    text.map_or_else(|_| Owned::text(&[]), |text| unsafe { Owned::new(text) })
}

/// Writes an argument that is declared.
fn write(thread: &Thread, ty: &Type, value: K<'_>, place: &mut [u8], held: &mut Held) -> Result<()> {
    match ty {
        Type::Pointer(pointer) => {
            let word = argument::pointer(thread, pointer, value, held)?;
            place[..8].copy_from_slice(&word.to_le_bytes());
            Ok(())
        }
        _ => to_c::write(ty, Given::of(value), &mut place[..types::size(ty)?]),
    }
}

/// The values for `...`.
fn tail_values(given: Given<'_>) -> Vec<Given<'_>> {
    let items = |count: usize| (0..count).map(|index| given.item(index)).collect::<Vec<_>>();
    match (given.object(), given.count()) {
        (Some(object), _) if object.is_null() => Vec::new(),
        // A string is one value: `("a"; "b")` is none for C.
        (_, Some(count)) if given.t == kind::LIST || given.bytes().is_none() => {
            let mut values = items(count);
            values.pop_if(|last| given.t == kind::LIST && last.object().is_some_and(K::is_null));
            values
        }
        _ => vec![given],
    }
}

/// The letter of a value for `...`.
fn letter(value: Given<'_>) -> Result<Letter> {
    match value.object() {
        Some(object) => by_inference::letter(object),
        None => by_inference::atom_letter(value.t),
    }
}

/// Writes an argument for `...`, as C promotes it.
fn write_variadic(thread: &Thread, value: Given<'_>, place: &mut [u8], held: &mut Held) -> Result<()> {
    let letter = letter(value)?;
    let word = match (value.scalar(), value.object(), value.symbol()) {
        (Some(scalar), ..) => number::promoted(value.bits(scalar), scalar),
        (_, _, Some(text)) => convert::to_c::word(text.as_ptr()),
        (_, Some(list), _) if letter.meaning() == Meaning::Callback => callback::pointer(thread, list)?,
        (_, Some(object), _) => convert::to_c::argument(letter, object, held.temporaries())?,
        _ => return Err(value.mismatch()),
    };
    place[..8].copy_from_slice(&word.to_le_bytes());
    Ok(())
}

/// The q function of a C function.
///
/// # Errors
/// Where the engine has no entry left.
pub(super) fn make(function: &'static Function) -> Result<Owned> {
    let rank = own_rank::rank(function.arguments());
    let code = own_rank::code(rank, move |arguments| function.apply(arguments))?;
    Ok(own_rank::object(code, rank))
}
