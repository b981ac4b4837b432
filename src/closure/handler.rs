//! Handlers: over raw slots, and over values.

use std::marker::PhantomData;
use std::ptr::NonNull;

use crate::closure::Interface;
use crate::closure::failure::HandlerError;
use crate::closure::state::{Inner, Run, State, execute};
use crate::ctype::CType;
use crate::error::{Mismatch, Result};
use crate::function::Kind;
use crate::types::{Type, layout};
use crate::value::{self, Object, Slot, Value};

/// A handler that may be called from inside itself, and by several threads where it is `Sync`.
pub struct Reentrant<F>(pub(super) F);

/// A handler that has its variables to itself while it runs.
pub struct Exclusive<F>(pub(super) F);

/// The arguments of a callback, in slots as a call's are.
#[derive(Clone, Copy)]
pub struct Arguments<'a> {
    slots: *const Slot,
    callback: PhantomData<&'a Slot>,
}

impl Arguments<'_> {
    /// The argument that starts in that slot.
    ///
    /// # Safety
    /// An argument of that C type starts there: see [`CallbackInterface::slot_offsets`](super::CallbackInterface).
    #[inline(always)]
    pub unsafe fn read<T: CType>(&self, slot: usize) -> T {
        // SAFETY: said by the caller; slots are aligned to words, and to 16 bytes on the whole, but no further.
        unsafe { self.slots.add(slot).cast::<T>().read_unaligned() }
    }

    /// The first slot.
    pub fn as_ptr(&self) -> *const Slot {
        self.slots
    }
}

/// Where a callback's result goes.
pub struct Outcome<'a> {
    result: *mut u8,
    callback: PhantomData<&'a mut u8>,
}

impl Outcome<'_> {
    /// Makes this the result.
    ///
    /// # Safety
    /// The result has that C type.
    #[inline(always)]
    pub unsafe fn write<T: CType>(self, value: T) {
        // SAFETY: said by the caller; a result in memory is aligned as C wants, others to words.
        unsafe { self.result.cast::<T>().write_unaligned(value) };
    }

    /// Room for the result, uninitialised: its bytes as C has them.
    pub fn as_mut_ptr(&mut self) -> *mut u8 {
        self.result
    }
}

/// A handler over slots.
pub(super) trait SlotHandler: Sized {
    /// Runs it.
    ///
    /// # Safety
    /// It is there; where it is exclusive, it does not run.
    unsafe fn handle(this: *mut Self, arguments: Arguments<'_>, outcome: Outcome<'_>);

    /// The function that C's entry calls.
    fn runner() -> *const () {
        run_slots::<Self> as Run as *const ()
    }
}

impl<F: Fn(Arguments<'_>, Outcome<'_>)> SlotHandler for Reentrant<F> {
    #[inline(always)]
    unsafe fn handle(this: *mut Self, arguments: Arguments<'_>, outcome: Outcome<'_>) {
        // SAFETY: said by the caller.
        unsafe { ((*this).0)(arguments, outcome) };
    }
}

impl<F: FnMut(Arguments<'_>, Outcome<'_>)> SlotHandler for Exclusive<F> {
    #[inline(always)]
    unsafe fn handle(this: *mut Self, arguments: Arguments<'_>, outcome: Outcome<'_>) {
        // SAFETY: said by the caller.
        unsafe { ((*this).0)(arguments, outcome) };
    }
}

/// Runs a handler over slots.
///
/// # Safety
/// As for [`State::run`].
unsafe extern "C" fn run_slots<H: SlotHandler>(state: *const State, slots: *const Slot, result: *mut u8) {
    let state = NonNull::new(state.cast_mut()).expect("an entry has a state");
    let handler = handler::<H>(state);
    // SAFETY: said by the caller; `execute` sees to it that the handler may run.
    unsafe {
        execute::<H, ()>(
            state,
            |state| state.interface().write_default(result),
            |_| {
                let callback = PhantomData;
                H::handle(handler, Arguments { slots, callback }, Outcome { result, callback: PhantomData });
                Ok(())
            },
        );
    }
}

/// Where the handler of a state is.
#[inline(always)]
pub(super) fn handler<H>(state: NonNull<State>) -> *mut H {
    let inner = state.cast::<Inner<H>>().as_ptr();
    // SAFETY: the address alone is taken, within the state's allocation.
    unsafe { &raw mut (*inner).handler }
}

/// A handler over values.
pub(super) trait ValueHandler: Sized {
    /// Runs it.
    ///
    /// # Safety
    /// It is there; where it is exclusive, it does not run.
    unsafe fn handle(this: *mut Self, arguments: &[Value<'_>]) -> Result<Value<'static>, HandlerError>;

    /// The function that C's entry calls.
    fn runner() -> *const () {
        run_values::<Self> as Run as *const ()
    }
}

impl<F: Fn(&[Value<'_>]) -> Result<Value<'static>, HandlerError>> ValueHandler for Reentrant<F> {
    #[inline(always)]
    unsafe fn handle(this: *mut Self, arguments: &[Value<'_>]) -> Result<Value<'static>, HandlerError> {
        // SAFETY: said by the caller.
        unsafe { ((*this).0)(arguments) }
    }
}

impl<F: FnMut(&[Value<'_>]) -> Result<Value<'static>, HandlerError>> ValueHandler for Exclusive<F> {
    #[inline(always)]
    unsafe fn handle(this: *mut Self, arguments: &[Value<'_>]) -> Result<Value<'static>, HandlerError> {
        // SAFETY: said by the caller.
        unsafe { ((*this).0)(arguments) }
    }
}

/// Runs a handler over values.
///
/// # Safety
/// As for [`State::run`].
unsafe extern "C" fn run_values<H: ValueHandler>(state: *const State, slots: *const Slot, result: *mut u8) {
    let state = NonNull::new(state.cast_mut()).expect("an entry has a state");
    let handler = handler::<H>(state);
    // SAFETY: said by the caller; `execute` sees to it that the handler may run.
    unsafe {
        execute::<H, ()>(
            state,
            |state| state.interface().write_default(result),
            |state| {
                let interface = state.interface();
                let value = match interface.parameters.len() {
                    0..=2 => handle_values::<H, 2>(handler, interface, slots),
                    3..=8 => handle_values::<H, 8>(handler, interface, slots),
                    _ => H::handle(handler, &read_arguments(interface, slots)?),
                }?;
                write_result(interface, &value, result)
            },
        );
    }
}

/// Runs a handler with at most `N` values, which need no allocation.
///
/// # Safety
/// As for [`run_values`].
#[inline(always)]
unsafe fn handle_values<H: ValueHandler, const N: usize>(
    handler: *mut H,
    interface: &Interface,
    slots: *const Slot,
) -> Result<Value<'static>, HandlerError> {
    let mut values = [const { Value::Void }; N];
    let count = interface.parameters.len();
    for (index, value) in values[..count].iter_mut().enumerate() {
        // SAFETY: said by the caller.
        *value = unsafe { read_argument(interface, index, slots)? };
    }
    // SAFETY: said by the caller.
    unsafe { H::handle(handler, &values[..count]) }
}

/// # Safety
/// As for [`run_values`].
unsafe fn read_arguments(interface: &Interface, slots: *const Slot) -> Result<Vec<Value<'static>>> {
    // SAFETY: said by the caller.
    (0..interface.parameters.len()).map(|index| unsafe { read_argument(interface, index, slots) }).collect()
}

/// The value of an argument.
///
/// # Safety
/// As for [`run_values`].
#[inline(always)]
unsafe fn read_argument(interface: &Interface, index: usize, slots: *const Slot) -> Result<Value<'static>> {
    let kind = interface.parameters[index];
    // SAFETY: the plan's offsets lie within the slots.
    let from = unsafe { slots.byte_add(interface.plan.slot_offsets[index] as usize) };
    // SAFETY: an argument of that kind is there; what came in a general register or in memory came as a whole word.
    unsafe {
        match kind {
            Kind::F32 => Ok(Value::F32(from.cast::<f32>().read())),
            Kind::F64 => Ok(Value::F64(from.cast::<f64>().read())),
            Kind::Void | Kind::Object | Kind::Other => read_other(interface, index, from.cast()),
            integer => Ok(integer.value(from.cast::<u64>().read())),
        }
    }
}

/// The value of an argument that goes by way of its bytes.
///
/// # Safety
/// As for [`run_values`].
unsafe fn read_other(interface: &Interface, index: usize, from: *const u8) -> Result<Value<'static>> {
    let ty = &interface.signature.parameters()[index].ty;
    let size = layout::of(ty, crate::Arch::HOST)?.size;
    if matches!(ty, Type::Aggregate(_) | Type::Vector(_)) {
        let mut object = Object::with_storage(ty, size);
        // SAFETY: the argument has as many bytes; padding is copied with it, whatever it holds.
        unsafe { from.copy_to_nonoverlapping(object.bytes_mut().as_mut_ptr(), size) };
        return Ok(Value::Object(object));
    }
    // SAFETY: the argument has as many bytes, and a scalar's are all written.
    value::read(ty, unsafe { std::slice::from_raw_parts(from, size) })
}

/// Writes a handler's value as the closure's result.
///
/// # Safety
/// `result` has room for it, in whole words where it is returned in registers.
#[inline(always)]
unsafe fn write_result(interface: &Interface, value: &Value<'_>, result: *mut u8) -> Result<(), HandlerError> {
    match interface.result.slot(value) {
        // SAFETY: a scalar is returned in registers, so there is room for a word.
        Some(slot) => unsafe { result.cast::<Slot>().write(slot) },
        // SAFETY: said by the caller.
        None => unsafe { write_other(interface, value, result)? },
    }
    Ok(())
}

/// Writes a result that has to be converted, or goes by way of its bytes.
///
/// # Safety
/// As for [`write_result`].
unsafe fn write_other(interface: &Interface, value: &Value<'_>, result: *mut u8) -> Result<(), HandlerError> {
    let ty = interface.signature.result();
    if ty.is_void() {
        return match value {
            Value::Void => Ok(()),
            other => Err(refused(Mismatch {
                place: "the result".into(),
                declared: ty.to_string(),
                given: other.describe(),
                reason: "there is no void value".into(),
            })),
        };
    }
    // SAFETY: there is room for the result, which is written here for the first time.
    let bytes = unsafe {
        result.write_bytes(0, interface.result_size);
        std::slice::from_raw_parts_mut(result, interface.result_size)
    };
    value::write(ty, value, bytes).map_err(|mut mismatch| {
        mismatch.place.insert_str(0, "the result");
        refused(mismatch)
    })
}

fn refused(mismatch: Mismatch) -> HandlerError {
    Box::new(mismatch)
}
