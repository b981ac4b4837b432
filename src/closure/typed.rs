//! Handlers with Rust's own types: called with the arguments in the registers in which C put them.
//!
//! Rust passes the arguments of an `extern "C"` function as C does. A closure needs one argument more, its record, which
//! C does not give: where a general argument register is free behind the declared arguments, the entry puts it there,
//! and jumps to a Rust function with one parameter more than C knows of. Where none is free, arguments are gathered in
//! slots first.

use std::ptr::NonNull;

use crate::Slot;
use crate::closure::handler::{Exclusive, Reentrant, Shared, handler};
use crate::closure::state::{Rules, Run, State, execute};
use crate::code::entries::Record;
use crate::ctype::{CArguments, CType};

/// Rust functions that a closure can run with parameters `A` and result `R`.
///
/// It is there for `Fn` and `FnMut` with up to 12 parameters; which of the two a closure asks for depends on how it is
/// made.
#[expect(private_bounds, reason = "the wrappers of handlers are the only types that have it")]
pub trait TypedHandler<A, R>: Rules + Sized {
    /// Calls it.
    ///
    /// # Safety
    /// It is there; where it is an [`Exclusive`] one, it does not run.
    #[doc(hidden)]
    unsafe fn handle(this: *mut Self, arguments: A) -> R;
}

/// Parameters of handlers: tuples of [`CType`]s.
pub trait CallbackArguments: CArguments {
    /// A function of these parameters and a record behind them, which runs the handler.
    #[doc(hidden)]
    fn runner<H: TypedHandler<Self, R>, R: CType>() -> *const ();

    /// Reads them from slots.
    ///
    /// # Safety
    /// They start at these offsets.
    #[doc(hidden)]
    unsafe fn read(slots: *const Slot, offsets: &[u32]) -> Self;
}

/// A function of slots that runs the handler, for closures that are entered by slots.
pub(super) fn slot_runner<A: CallbackArguments, H: TypedHandler<A, R>, R: CType>() -> *const () {
    run_slots::<A, H, R> as Run as *const ()
}

/// Runs a handler with arguments from slots.
///
/// # Safety
/// As for [`State::run`].
unsafe extern "C" fn run_slots<A: CallbackArguments, H: TypedHandler<A, R>, R: CType>(
    state: *const State,
    slots: *const Slot,
    result: *mut u8,
) {
    // SAFETY: said by the caller: the state is there, its plan is that of the types, and there is room for the result.
    unsafe {
        let offsets = &(*state).plan().slot_offsets;
        let value = run::<A, H, R>(state, A::read(slots, offsets));
        result.cast::<R>().write_unaligned(value);
    }
}

/// Runs a handler.
///
/// # Safety
/// The state is that of a closure with that handler, which C has called with these arguments.
#[inline(always)]
unsafe fn run<A: CallbackArguments, H: TypedHandler<A, R>, R: CType>(state: *const State, arguments: A) -> R {
    // SAFETY: said by the caller: the state is there.
    let state = unsafe { NonNull::new_unchecked(state.cast_mut()) };
    // SAFETY: said by the caller; `execute` sees to it that the handler may run. The default has the result's type.
    unsafe {
        execute::<H, R>(
            state,
            move |state| state.interface().default.as_ptr().cast::<R>().read_unaligned(),
            move |state| Ok(H::handle(handler(state), arguments)),
        )
    }
}

macro_rules! typed {
    (@handler $wrapper:ident $function:ident $($name:ident)*) => {
        impl<Func: $function($($name),*) -> Ret, Ret, $($name),*> TypedHandler<($($name,)*), Ret> for $wrapper<Func> {
            #[inline(always)]
            #[allow(non_snake_case, reason = "the type parameters' names serve for the members too")]
            unsafe fn handle(this: *mut Self, ($($name,)*): ($($name,)*)) -> Ret {
                // SAFETY: said by the caller.
                unsafe { ((*this).0)($($name),*) }
            }
        }
    };
    ($($name:ident)*) => {
        typed!(@handler Reentrant Fn $($name)*);
        typed!(@handler Exclusive FnMut $($name)*);
        typed!(@handler Shared Fn $($name)*);

        impl<$($name: CType),*> CallbackArguments for ($($name,)*) {
            #[allow(non_snake_case, reason = "as above")]
            fn runner<Handler: TypedHandler<Self, Ret>, Ret: CType>() -> *const () {
                /// # Safety
                /// As for [`run`].
                unsafe extern "C" fn enter<Handler: TypedHandler<($($name,)*), Ret>, Ret: CType, $($name: CType),*>(
                    $($name: $name,)*
                    record: *const Record,
                ) -> Ret {
                    // SAFETY: said by the caller.
                    unsafe { run::<($($name,)*), Handler, Ret>((*record).state().cast(), ($($name,)*)) }
                }
                enter::<Handler, Ret, $($name),*> as unsafe extern "C" fn($($name,)* *const Record) -> Ret as *const ()
            }

            #[allow(unused_variables, unused_mut, reason = "there may be no parameters")]
            #[allow(non_snake_case, clippy::unused_unit, reason = "as above")]
            unsafe fn read(slots: *const Slot, offsets: &[u32]) -> Self {
                let mut offsets = offsets.iter();
                let mut next = || offsets.next().map_or(0, |offset| *offset as usize);
                // SAFETY: said by the caller.
                $(let $name = unsafe { slots.byte_add(next()).cast::<$name>().read_unaligned() };)*
                ($($name,)*)
            }
        }
    };
}

macro_rules! typed_up_to {
    () => { typed!(); };
    ($first:ident $($rest:ident)*) => {
        typed!($first $($rest)*);
        typed_up_to!($($rest)*);
    };
}

typed_up_to!(A B C D E F G H I J K L);
