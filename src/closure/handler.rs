//! Handlers: over raw slots, and over values.

use std::ffi::c_void;
use std::marker::PhantomData;
use std::mem::{ManuallyDrop, MaybeUninit};
use std::ptr::{self, NonNull};

use crate::abi::Plan;
use crate::closure::Interface;
use crate::closure::entrance::REGISTERS;
use crate::closure::failure::HandlerError;
use crate::closure::state::{Inner, Rules, Run, State, execute};
use crate::code::entries::Record;
use crate::ctype::CType;
use crate::error::{Mismatch, Result};
use crate::function::Kind;
use crate::types::{Type, layout};
use crate::value::{self, Object, Slot, Value};

/// A handler that may be called from inside itself.
pub struct Reentrant<F>(pub(super) F);

/// A handler that has its variables to itself while it runs.
pub struct Exclusive<F>(pub(super) F);

/// A handler that may be called by several threads at a time.
pub struct Shared<F>(pub(super) F);

impl<F> Rules for Reentrant<F> {
    const EXCLUSIVE: bool = false;
    const SHARED: bool = false;
}

impl<F> Rules for Exclusive<F> {
    const EXCLUSIVE: bool = true;
    const SHARED: bool = false;
}

impl<F> Rules for Shared<F> {
    const EXCLUSIVE: bool = false;
    const SHARED: bool = true;
}

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

    /// Room for the result, uninitialised: its bytes as C has them. Where it is an integer, there is room for four bytes at
    /// the least, of which those count that the type has.
    pub fn as_mut_ptr(&mut self) -> *mut u8 {
        self.result
    }
}

/// A handler over slots.
pub(super) trait SlotHandler: Rules + Sized {
    /// Runs it.
    ///
    /// # Safety
    /// It is there; where it is exclusive, it does not run.
    unsafe fn handle(this: *mut Self, arguments: Arguments<'_>, outcome: Outcome<'_>);
}

/// The function that emitted code calls.
pub(super) fn slot_runner<R: SlotRunner>() -> *const () {
    /// # Safety
    /// As for [`SlotRunner::run`].
    unsafe extern "C" fn run<R: SlotRunner>(state: *const State, slots: *const Slot, result: *mut u8) {
        // SAFETY: said by the caller.
        unsafe { R::run(state, slots, result) };
    }
    run::<R> as Run as *const ()
}

/// Handlers over slots, for [`SlotRunner`].
pub(super) struct BySlots<H>(PhantomData<H>);

/// Handlers over values, for [`SlotRunner`].
pub(super) struct ByValues<H>(PhantomData<H>);

macro_rules! slot_handlers {
    ($($wrapper:ident: $function:ident)*) => { $(
        impl<F: $function(Arguments<'_>, Outcome<'_>)> SlotHandler for $wrapper<F> {
            #[inline(always)]
            unsafe fn handle(this: *mut Self, arguments: Arguments<'_>, outcome: Outcome<'_>) {
                // SAFETY: said by the caller.
                unsafe { ((*this).0)(arguments, outcome) };
            }
        }
    )* };
}

slot_handlers!(Reentrant: Fn Exclusive: FnMut Shared: Fn);

impl<H: SlotHandler> SlotRunner for BySlots<H> {
    #[inline(always)]
    unsafe fn run(state: *const State, slots: *const Slot, result: *mut u8) {
        // SAFETY: said by the caller.
        unsafe {
            run_slots::<H>(state, result, move |state| {
                let callback = PhantomData;
                let outcome = Outcome { result, callback: PhantomData };
                H::handle(handler(state), Arguments { slots, callback }, outcome);
                Ok(())
            });
        }
    }
}

/// A function that runs the handler of a closure whose arguments are integers and pointers in that many registers, and
/// whose result is one of at least 4 bytes, or void: it has the record behind the arguments.
///
/// Arguments in registers need no code that gathers them; they are put in slots here, where the compiler sees who reads
/// them.
pub(super) fn register_runner<H: SlotRunner>(plan: &Plan) -> *const () {
    // The result is read as wide as handlers write it: the processor can forward a store to a load that it covers.
    let count = plan.moves.len();
    if plan.result.size <= 4 { register_runners::<H, u32>()[count] } else { register_runners::<H, u64>()[count] }
}

fn register_runners<H: SlotRunner, R: Default>() -> [*const (); REGISTERS + 1] {
    macro_rules! runners {
        ($($runner:ident: $($argument:ident)*;)*) => { {
            $(
                /// # Safety
                /// As for [`SlotRunner::run`].
                unsafe extern "C" fn $runner<H: SlotRunner, R: Default>(
                    $($argument: u64,)*
                    record: *const Record,
                ) -> R {
                    let slots = [$(Slot::from($argument),)* Slot::EMPTY];
                    let mut result = R::default();
                    // SAFETY: said by the caller.
                    unsafe { H::run((*record).state().cast(), slots.as_ptr(), (&raw mut result).cast()) };
                    result
                }
            )*
            [$($runner::<H, R> as *const ()),*]
        } };
    }
    runners! {
        run0: ;
        run1: a;
        run2: a b;
        run3: a b c;
        run4: a b c d;
        run5: a b c d e;
    }
}

/// Runs handlers of a kind with slots.
pub(super) trait SlotRunner {
    /// Runs the handler of a state.
    ///
    /// # Safety
    /// The state is that of a closure with such a handler, whose arguments the slots hold; `result` has room for the
    /// result in whole words.
    unsafe fn run(state: *const State, slots: *const Slot, result: *mut u8);
}

/// Runs a body that writes the result, or its default where the handler may not run or fails.
///
/// # Safety
/// As for [`SlotRunner::run`]; the body belongs to a handler of type `H`.
#[inline(always)]
unsafe fn run_slots<H: Rules>(
    state: *const State,
    result: *mut u8,
    body: impl FnOnce(NonNull<State>) -> Result<(), HandlerError> + Copy,
) {
    // SAFETY: said by the caller: the state is there.
    let state = unsafe { NonNull::new_unchecked(state.cast_mut()) };
    // SAFETY: said by the caller; the result has room for the default.
    unsafe { execute::<H, ()>(state, move |state| state.interface().write_default(result), body) };
}

/// Where the handler of a state is.
#[inline(always)]
pub(super) fn handler<H>(state: NonNull<State>) -> *mut H {
    let inner = state.cast::<Inner<H>>().as_ptr();
    // SAFETY: the address alone is taken, within the state's allocation.
    unsafe { &raw mut (*inner).handler }
}

/// A handler over values.
pub(super) trait ValueHandler: Rules + Sized {
    /// Runs it.
    ///
    /// # Safety
    /// It is there; where it is exclusive, it does not run.
    unsafe fn handle(this: *mut Self, arguments: &[Value<'_>]) -> Result<Value<'static>, HandlerError>;
}

macro_rules! value_handlers {
    ($($wrapper:ident: $function:ident)*) => { $(
        impl<F: $function(&[Value<'_>]) -> Result<Value<'static>, HandlerError>> ValueHandler for $wrapper<F> {
            #[inline(always)]
            unsafe fn handle(this: *mut Self, arguments: &[Value<'_>]) -> Result<Value<'static>, HandlerError> {
                // SAFETY: said by the caller.
                unsafe { ((*this).0)(arguments) }
            }
        }
    )* };
}

value_handlers!(Reentrant: Fn Exclusive: FnMut Shared: Fn);

impl<H: ValueHandler> SlotRunner for ByValues<H> {
    #[inline(always)]
    unsafe fn run(state: *const State, slots: *const Slot, result: *mut u8) {
        // SAFETY: said by the caller.
        unsafe {
            run_slots::<H>(state, result, move |state| {
                let (handler, interface) = (handler::<H>(state), state.as_ref().interface());
                match interface.parameters.len() {
                    0..=2 => handle_values::<H, 2>(handler, interface, slots, result),
                    3..=8 => handle_values::<H, 8>(handler, interface, slots, result),
                    _ => handle_many(handler, interface, slots, result),
                }
            });
        }
    }
}

/// Runs a handler with at most `N` values, which need no allocation.
///
/// # Safety
/// As for [`SlotRunner::run`].
#[inline(always)]
unsafe fn handle_values<H: ValueHandler, const N: usize>(
    handler: *mut H,
    interface: &Interface,
    slots: *const Slot,
    result: *mut u8,
) -> Result<(), HandlerError> {
    let mut values = Values { values: [const { MaybeUninit::uninit() }; N], filled: 0, owning: interface.owning };
    // SAFETY: said by the caller.
    let values = unsafe { values.fill(interface, slots)? };
    // SAFETY: said by the caller.
    unsafe { write_result(interface, H::handle(handler, values)?, result) }
}

/// Runs a handler with any number of values.
///
/// # Safety
/// As for [`SlotRunner::run`].
#[cold]
unsafe fn handle_many<H: ValueHandler>(
    handler: *mut H,
    interface: &Interface,
    slots: *const Slot,
    result: *mut u8,
) -> Result<(), HandlerError> {
    let count = interface.parameters.len();
    let values: Vec<_> = std::iter::repeat_with(MaybeUninit::uninit).take(count).collect();
    let mut values = Values { values, filled: 0, owning: interface.owning };
    // SAFETY: said by the caller.
    let values = unsafe { values.fill(interface, slots)? };
    // SAFETY: said by the caller.
    unsafe { write_result(interface, H::handle(handler, values)?, result) }
}

/// The values of a callback's arguments.
struct Values<S: AsMut<[MaybeUninit<Value<'static>>]>> {
    values: S,
    filled: usize,
    /// Whether some of them may own something. Most callbacks have none to drop.
    owning: bool,
}

impl<S: AsMut<[MaybeUninit<Value<'static>>]>> Values<S> {
    /// Makes values of the arguments, for all of which there is room.
    ///
    /// # Safety
    /// As for [`SlotRunner::run`].
    #[inline(always)]
    unsafe fn fill(&mut self, interface: &Interface, slots: *const Slot) -> Result<&[Value<'static>], HandlerError> {
        let room = &mut self.values.as_mut()[..interface.parameters.len()];
        let offsets = interface.plan.slot_offsets.iter();
        for (index, ((value, kind), offset)) in room.iter_mut().zip(&interface.parameters).zip(offsets).enumerate() {
            // SAFETY: the plan's offsets lie within the slots, and an argument of that kind is there; what came in a
            // general register or in memory came as a whole word.
            unsafe {
                let from = slots.byte_add(*offset as usize);
                // Each value is made in its place, not chosen first and moved then.
                match kind {
                    Kind::I32 => value.write(Value::I32(from.cast::<i32>().read())),
                    Kind::I64 => value.write(Value::I64(from.cast::<i64>().read())),
                    Kind::F64 => value.write(Value::F64(from.cast::<f64>().read())),
                    Kind::F32 => value.write(Value::F32(from.cast::<f32>().read())),
                    Kind::Pointer => value.write(Value::Pointer(from.cast::<*mut c_void>().read())),
                    Kind::Void | Kind::Object | Kind::Other => value.write(read_other(interface, index, from.cast())?),
                    integer => value.write(integer.value(from.cast::<u64>().read())),
                };
            }
            self.filled = index + 1;
        }
        // SAFETY: all of them were just written.
        Ok(unsafe { &*(ptr::from_ref::<[MaybeUninit<_>]>(room) as *const [Value<'static>]) })
    }
}

impl<S: AsMut<[MaybeUninit<Value<'static>>]>> Drop for Values<S> {
    #[inline(always)]
    fn drop(&mut self) {
        if self.owning {
            for value in &mut self.values.as_mut()[..self.filled] {
                // SAFETY: it was written, and is not used any more.
                unsafe { value.assume_init_drop() };
            }
        }
    }
}

/// The value of an argument that goes by way of its bytes.
///
/// # Safety
/// As for [`SlotRunner::run`].
#[cold]
#[inline(never)]
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
/// `result` has room for it.
#[inline(always)]
unsafe fn write_result(interface: &Interface, value: Value<'_>, result: *mut u8) -> Result<(), HandlerError> {
    // What has a slot owns nothing, so there is nothing to drop either.
    let value = ManuallyDrop::new(value);
    // SAFETY: said by the caller; a scalar stands in the low bytes of its slot, which come first on both architectures.
    unsafe {
        match (interface.result.slot(&value), interface.result_size) {
            (Some(slot), 8) => result.cast::<Slot>().write(slot),
            (Some(slot), 4) => result.cast::<u32>().write((&raw const slot).cast::<u32>().read()),
            (Some(slot), size) => (&raw const slot).cast::<u8>().copy_to_nonoverlapping(result, size),
            (None, _) if interface.result == Kind::Void && matches!(*value, Value::Void) => {}
            (None, _) => write_other(interface, ManuallyDrop::into_inner(value), result)?,
        }
    }
    Ok(())
}

/// Writes a result that has to be converted, or goes by way of its bytes.
///
/// # Safety
/// As for [`write_result`].
#[cold]
#[inline(never)]
unsafe fn write_other(interface: &Interface, value: Value<'_>, result: *mut u8) -> Result<(), HandlerError> {
    let ty = interface.signature.result();
    if ty.is_void() {
        return Err(refused(Mismatch {
            place: "the result".into(),
            declared: ty.to_string(),
            given: value.describe(),
            reason: "there is no void value".into(),
        }));
    }
    // SAFETY: there is room for the result, which is written here for the first time.
    let bytes = unsafe {
        result.write_bytes(0, interface.result_size);
        std::slice::from_raw_parts_mut(result, interface.result_size)
    };
    value::write(ty, &value, bytes).map_err(|mut mismatch| {
        mismatch.place.insert_str(0, "the result");
        refused(mismatch)
    })
}

fn refused(mismatch: Mismatch) -> HandlerError {
    Box::new(mismatch)
}
