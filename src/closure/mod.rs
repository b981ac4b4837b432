//! Closures: C function pointers, made at run time, that run Rust closures. The way back of a call.
//!
//! ```
//! use jitcall::{Closure, Library, Signature, Value};
//! let signature = Signature::parse("int compare(const void *, const void *)")?;
//! // SAFETY: qsort gives it the addresses of two elements.
//! let compare = Closure::typed(&signature, |a: *const i32, b: *const i32| -> i32 { unsafe { *a - *b } })?;
//! let qsort = Library::process().function("void qsort(void *, size_t, size_t, int (*)(const void *, const void *))")?;
//! let mut numbers = [3, 1, 2];
//! // SAFETY: that is how <stdlib.h> declares it, and the closure lives as long as it is used.
//! unsafe { qsort.call(&[(&mut numbers).into(), 3.into(), 4.into(), compare.value()])? };
//! assert_eq!(numbers, [1, 2, 3]);
//! # Ok::<(), jitcall::Error>(())
//! ```
//!
//! | handler | what it gets | made by |
//! |---|---|---|
//! | over values | checked and converted [`Value`]s; a result or an error | [`CallbackInterface::values`] and the like |
//! | over slots | the arguments as a call's slots, unchecked | [`CallbackInterface::slots`] and the like |
//! | typed | Rust's types, checked once against the signature | [`CallbackInterface::typed`] and the like |
//!
//! | made by | handler | runs on | from inside itself |
//! |---|---|---|---|
//! | `values`, `slots`, `typed` | `Fn` | its home thread, the one that made it ([`Policy`]) | yes |
//! | `values_mut`, `slots_mut`, `typed_mut` | `FnMut` | its home thread | no: an error |
//! | `values_shared`, `slots_shared`, `typed_shared` | `Fn + Send + Sync` | whatever thread C calls it on | yes |
//!
//! What happens when a handler fails is told in [`failure`].

mod blocks;
mod entrance;
pub mod failure;
mod handler;
mod home;
mod state;
mod typed;

use std::any::TypeId;
use std::ffi::c_void;
use std::fmt;
use std::marker::PhantomData;
use std::ptr::NonNull;
use std::sync::{Arc, OnceLock};

pub use entrance::Entrance;
pub use failure::{Failure, HandlerError, catch, take_failure};
pub use handler::{Arguments, Exclusive, Outcome, Reentrant, Shared};
pub use home::{notifier, serve, serve_for, signal_failures};
pub use typed::{CallbackArguments, TypedHandler};

pub(crate) use home::{Guarded, thread_pointer};
pub(crate) use state::{State, note_call_of_the_dead};

use crate::abi::{Convention, Plan};
use crate::code::entries::{Entry, Pool};
use crate::ctype::{CType, check_types};
use crate::emit::RecordPlace;
use crate::engine::{Engine, Tier};
use crate::error::{Error, Result};
use crate::function::Kind;
use crate::trampoline::entry::{enter_by_plan, enter_with_record_in, is_wide};
use crate::types::signature::Signature;
use crate::types::{Arch, Type, layout};
use crate::value::{self, Value};
use handler::{BySlots, ByValues, SlotRunner};
use state::{Inner, Rules};

/// What happens when C calls a closure on another thread than its home thread. Where that has ended, the closure returns
/// its default, and a failure is parked on the calling thread.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Policy {
    /// It returns its default, and a failure is parked on the home thread, or
    /// [a function](CallbackInterface::with_refusal) runs.
    #[default]
    HomeOnly,
    /// The calling thread waits until the home thread has run the handler, in [`serve`] or [`serve_for`]. A home thread
    /// that waits for the calling thread meanwhile, in C or anywhere, waits for ever.
    HandOver,
}

/// All that is needed to make closures of one signature. Clones share it.
#[derive(Clone)]
pub struct CallbackInterface {
    inner: Arc<Interface>,
    policy: Policy,
}

/// What closures of one signature share.
pub(crate) struct Interface {
    signature: Signature,
    plan: Plan,
    parameters: Box<[Kind]>,
    /// Whether values of the parameters may own something.
    owning: bool,
    result: Kind,
    result_size: usize,
    /// What runs where a closure is called that may not run there, in place of a failure that is parked.
    refusal: Option<fn()>,
    /// The result of a callback that fails: as many bytes as the result has, in whole words.
    default: Box<[u64]>,
    entries: Entries,
    wide: bool,
    /// Rust's types that were found to be the signature's: mostly, all typed handlers have the same.
    checked: OnceLock<TypeId>,
    /// Keeps the code alive.
    engine: Engine,
}

// SAFETY: nothing changes after creation; addresses of code may be used from any thread.
unsafe impl Send for Interface {}
// SAFETY: as above.
unsafe impl Sync for Interface {}

impl Interface {
    /// Makes the default the result of a callback.
    ///
    /// # Safety
    /// `result` has room for the result.
    unsafe fn write_default(&self, result: *mut u8) {
        // SAFETY: said by the caller; the default has at least the result's size.
        unsafe { self.default.as_ptr().cast::<u8>().copy_to_nonoverlapping(result, self.result_size) };
    }
}

impl CallbackInterface {
    pub(crate) fn new(engine: &Engine, signature: &Signature) -> Result<CallbackInterface> {
        let Entrance { plan, register, suffices } =
            Entrance::of(signature, Convention::of_signature(signature, Arch::HOST)?)?;
        crate::engine::check_vectors(&plan)?;
        let tier = engine.tier();
        let entries = match Entries::new(engine, signature, &plan, register, suffices, tier) {
            Err(Error::CodeMemory { .. }) if engine.is_automatic() => {
                Entries::new(engine, signature, &plan, register, suffices, Tier::Asm)?
            }
            entries => entries?,
        };
        let result_size = match signature.result() {
            Type::Void => 0,
            ty => layout::of(ty, Arch::HOST)?.size,
        };
        let parameters: Box<[Kind]> = signature.parameters().iter().map(|parameter| Kind::of(&parameter.ty)).collect();
        let interface = Interface {
            owning: parameters.iter().any(|kind| matches!(kind, Kind::Object | Kind::Other)),
            parameters,
            result: Kind::of(signature.result()),
            result_size,
            refusal: None,
            default: vec![0; result_size.div_ceil(8)].into(),
            entries,
            wide: is_wide(&plan),
            checked: OnceLock::new(),
            engine: engine.clone(),
            signature: signature.clone(),
            plan,
        };
        Ok(CallbackInterface { inner: Arc::new(interface), policy: Policy::default() })
    }

    /// The same with another result for callbacks that fail, which is otherwise zero.
    ///
    /// # Errors
    /// [`Error::Value`] where it is no value of the result's type.
    pub fn with_default(&self, value: &Value<'_>) -> Result<CallbackInterface> {
        let inner = &*self.inner;
        let mut default = vec![0u64; inner.default.len()];
        // SAFETY: words have no padding; there are as many bytes as the result has.
        let bytes = unsafe { std::slice::from_raw_parts_mut(default.as_mut_ptr().cast::<u8>(), inner.result_size) };
        value::write(inner.signature.result(), value, bytes)
            .map_err(|mismatch| Error::Value { mismatch: Box::new(mismatch) })?;
        Ok(self.remade(default.into(), inner.refusal))
    }

    /// The same for closures that tell their owner in a way of its own that they were called on another thread: under
    /// [`Policy::HomeOnly`] `refused` runs there, in place of a failure being parked, and the closure returns its default.
    #[must_use]
    pub fn with_refusal(&self, refused: fn()) -> CallbackInterface {
        self.remade(self.inner.default.clone(), Some(refused))
    }

    /// The same with what is decided anew.
    fn remade(&self, default: Box<[u64]>, refusal: Option<fn()>) -> CallbackInterface {
        let inner = &*self.inner;
        let interface = Interface {
            signature: inner.signature.clone(),
            plan: inner.plan.clone(),
            parameters: inner.parameters.clone(),
            refusal,
            default,
            checked: inner.checked.clone(),
            engine: inner.engine.clone(),
            ..*inner
        };
        CallbackInterface { inner: Arc::new(interface), policy: self.policy }
    }

    /// The same with another policy for other threads; closures that are shared have none.
    #[must_use]
    pub fn with_policy(&self, policy: Policy) -> CallbackInterface {
        CallbackInterface { inner: Arc::clone(&self.inner), policy }
    }

    /// What it was made for.
    pub fn signature(&self) -> &Signature {
        &self.inner.signature
    }

    /// Each argument's distance from the start of the slots that handlers over slots get, in bytes.
    pub fn slot_offsets(&self) -> &[u32] {
        &self.inner.plan.slot_offsets
    }

    /// The engine that made it.
    pub fn engine(&self) -> &Engine {
        &self.inner.engine
    }

    /// A closure whose handler takes and gives values. A value that does not fit the declared result is a failure.
    ///
    /// # Errors
    /// [`Error::CodeMemory`] and [`Error::ClosureLimit`] where there is no entry to be had.
    pub fn values<'a, F>(&self, handler: F) -> Result<Closure<'a>>
    where
        F: Fn(&[Value<'_>]) -> Result<Value<'static>, HandlerError> + 'a,
    {
        self.home(Reentrant(handler), self.by_slots::<ByValues<Reentrant<F>>>())
    }

    /// The same for a handler that changes its variables.
    ///
    /// # Errors
    /// As for [`CallbackInterface::values`].
    pub fn values_mut<'a, F>(&self, handler: F) -> Result<Closure<'a>>
    where
        F: FnMut(&[Value<'_>]) -> Result<Value<'static>, HandlerError> + 'a,
    {
        self.home(Exclusive(handler), self.by_slots::<ByValues<Exclusive<F>>>())
    }

    /// The same for a handler that runs on any thread.
    ///
    /// # Errors
    /// As for [`CallbackInterface::values`].
    pub fn values_shared<'a, F>(&self, handler: F) -> Result<SharedClosure<'a>>
    where
        F: Fn(&[Value<'_>]) -> Result<Value<'static>, HandlerError> + Send + Sync + 'a,
    {
        self.shared(Shared(handler), self.by_slots::<ByValues<Shared<F>>>())
    }

    /// A closure whose handler reads slots. What it does not write of the result is undefined.
    ///
    /// ```
    /// use jitcall::{Engine, Function, Signature, Value};
    /// let signature = Signature::parse("int add(int, int)")?;
    /// let interface = Engine::global().prepare_callback(&signature)?;
    /// // SAFETY: the signature has two `int`s, in one slot each, and an `int` result.
    /// let add = interface.slots(|arguments, result| unsafe {
    ///     result.write(arguments.read::<i32>(0) + arguments.read::<i32>(1));
    /// })?;
    /// let function = Function::new(add.as_ptr(), signature)?;
    /// // SAFETY: it has that signature.
    /// assert_eq!(unsafe { function.call(&[40.into(), 2.into()])? }, Value::I32(42));
    /// # Ok::<(), jitcall::Error>(())
    /// ```
    ///
    /// # Errors
    /// As for [`CallbackInterface::values`].
    pub fn slots<'a, F: Fn(Arguments<'_>, Outcome<'_>) + 'a>(&self, handler: F) -> Result<Closure<'a>> {
        self.home(Reentrant(handler), self.by_slots::<BySlots<Reentrant<F>>>())
    }

    /// The same for a handler that changes its variables.
    ///
    /// # Errors
    /// As for [`CallbackInterface::values`].
    pub fn slots_mut<'a, F: FnMut(Arguments<'_>, Outcome<'_>) + 'a>(&self, handler: F) -> Result<Closure<'a>> {
        self.home(Exclusive(handler), self.by_slots::<BySlots<Exclusive<F>>>())
    }

    /// The same for a handler that runs on any thread.
    ///
    /// # Errors
    /// As for [`CallbackInterface::values`].
    pub fn slots_shared<'a, F>(&self, handler: F) -> Result<SharedClosure<'a>>
    where
        F: Fn(Arguments<'_>, Outcome<'_>) + Send + Sync + 'a,
    {
        self.shared(Shared(handler), self.by_slots::<BySlots<Shared<F>>>())
    }

    /// A closure whose handler has Rust's own types, which are checked here, once.
    ///
    /// # Errors
    /// [`Error::Typed`] where a type is not the declared one; also as for [`CallbackInterface::values`].
    pub fn typed<'a, F: 'a, A: CallbackArguments, R: CType>(&self, handler: F) -> Result<Closure<'a>>
    where
        Reentrant<F>: TypedHandler<A, R>,
    {
        self.home(Reentrant(handler), self.by_types::<Reentrant<F>, A, R>()?)
    }

    /// The same for a handler that changes its variables.
    ///
    /// # Errors
    /// As for [`CallbackInterface::typed`].
    pub fn typed_mut<'a, F: 'a, A: CallbackArguments, R: CType>(&self, handler: F) -> Result<Closure<'a>>
    where
        Exclusive<F>: TypedHandler<A, R>,
    {
        self.home(Exclusive(handler), self.by_types::<Exclusive<F>, A, R>()?)
    }

    /// The same for a handler that runs on any thread.
    ///
    /// # Errors
    /// As for [`CallbackInterface::typed`].
    pub fn typed_shared<'a, F, A: CallbackArguments, R: CType>(&self, handler: F) -> Result<SharedClosure<'a>>
    where
        F: Send + Sync + 'a,
        Shared<F>: TypedHandler<A, R>,
    {
        self.shared(Shared(handler), self.by_types::<Shared<F>, A, R>()?)
    }

    /// The way to a handler that takes slots.
    fn by_slots<R: SlotRunner>(&self) -> Way {
        let Interface { entries, plan, .. } = &*self.inner;
        match entries {
            Entries { by_registers: Some(entry), suffices: true, .. } => entry.way(handler::register_runner::<R>(plan)),
            Entries { by_slots, .. } => by_slots.way(handler::slot_runner::<R>()),
        }
    }

    /// The way to a handler that takes Rust's types, once they are checked.
    fn by_types<H: TypedHandler<A, R>, A: CallbackArguments, R: CType>(&self) -> Result<Way> {
        let Interface { entries, signature, checked, .. } = &*self.inner;
        let types = TypeId::of::<(A, R)>();
        if checked.get() != Some(&types) {
            check_types::<A, R>(signature)?;
            // What was there before is as right.
            let _ = checked.set(types);
        }
        Ok(match entries.by_registers {
            Some(entry) => entry.way(A::runner::<H, R>()),
            None => entries.by_slots.way(typed::slot_runner::<A, H, R>()),
        })
    }

    #[inline]
    fn home<'a, H: Rules + 'a>(&self, handler: H, way: Way) -> Result<Closure<'a>> {
        let handed_over = self.policy == Policy::HandOver;
        Ok(Closure { raw: Raw::new(&self.inner, &way, handler, handed_over)?, handler: PhantomData })
    }

    #[inline]
    fn shared<'a, H: Rules + Send + Sync + 'a>(&self, handler: H, way: Way) -> Result<SharedClosure<'a>> {
        Ok(SharedClosure { raw: Raw::new(&self.inner, &way, handler, false)?, handler: PhantomData })
    }
}

impl fmt::Debug for CallbackInterface {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CallbackInterface").field("signature", self.signature()).finish_non_exhaustive()
    }
}

/// How the closures of an interface are entered.
#[derive(Clone, Copy)]
struct Entries {
    /// By way of code that gathers arguments in slots.
    by_slots: EntryKind,
    /// With the record behind the declared arguments and nothing between entry and runner, where those leave a general
    /// argument register.
    by_registers: Option<EntryKind>,
    /// Whether handlers over slots can be entered in the second way too; the first is not there then.
    suffices: bool,
}

/// A pool, and where its entries go on; at the runner itself, where that is `None`.
#[derive(Clone, Copy)]
struct EntryKind {
    pool: Pool,
    code: Option<*const c_void>,
}

impl Entries {
    fn new(
        engine: &Engine,
        signature: &Signature,
        plan: &Plan,
        register: Option<u8>,
        suffices: bool,
        tier: Tier,
    ) -> Result<Entries> {
        if tier == Tier::Asm {
            let linked = |code| EntryKind { pool: Pool::Linked, code: Some(code) };
            let by_registers = register.map(|register| linked(enter_with_record_in(register)));
            return Ok(Entries { by_slots: linked(enter_by_plan(plan)), by_registers, suffices });
        }
        let mapped = |place, code| EntryKind { pool: Pool::Mapped(place), code };
        let by_registers = register.map(|register| mapped(RecordPlace::Argument(register), None));
        let code = if suffices { None } else { Some(engine.entry(signature, plan)?) };
        let by_slots = mapped(RecordPlace::Scratch, code);
        by_registers.filter(|_| suffices).unwrap_or(by_slots).pool.reserve()?;
        Ok(Entries { by_slots, by_registers, suffices })
    }
}

impl EntryKind {
    fn way(self, run: *const ()) -> Way {
        Way { pool: self.pool, code: self.code.unwrap_or(run.cast()), run }
    }
}

/// How a handler is entered: the entry, where it goes on, and what that calls.
struct Way {
    pool: Pool,
    code: *const c_void,
    run: *const (),
}

/// The two words of a closure, whatever its handler.
struct Raw {
    entry: Entry,
    state: NonNull<State>,
    free: unsafe fn(NonNull<State>),
}

impl Raw {
    #[inline]
    fn new<H: Rules>(interface: &Arc<Interface>, way: &Way, handler: H, handed_over: bool) -> Result<Raw> {
        let state = Inner::allocate(interface, way.run, handler, handed_over)?;
        match way.pool.take(way.code, state.as_ptr().cast()) {
            Ok(entry) => Ok(Raw { entry, state, free: Inner::<H>::free }),
            Err(error) => {
                // SAFETY: nobody else has seen it.
                unsafe { Inner::<H>::free(state) };
                Err(error)
            }
        }
    }
}

impl Drop for Raw {
    #[inline]
    fn drop(&mut self) {
        self.entry.silence();
        // SAFETY: `free` is from the same `new`; a closure with a home cannot be sent to another thread.
        unsafe { State::retire(self.state, self.free) };
    }
}

/// A C function pointer that runs a Rust closure on the thread that made it.
///
/// Dropping it frees the entry for another closure. That may be done while the handler runs, from inside it too: what it
/// has captured lives until it returns. A call that begins after the drop, or as it happens on another thread, is an
/// error that cannot be prevented in every case; as long as the entry is not used again, it returns zero and a failure
/// is parked.
///
/// ```compile_fail
/// # use jitcall::{Closure, Signature};
/// let closure = Closure::typed(&Signature::parse("void f(void)")?, || ())?;
/// std::thread::spawn(move || drop(closure)); // it belongs to the thread that made it
/// # Ok::<(), jitcall::Error>(())
/// ```
///
/// ```compile_fail
/// # use jitcall::{Closure, Engine, Signature};
/// let mut count = 0;
/// let interface = Engine::global().prepare_callback(&Signature::parse("void f(void)")?)?;
/// let closure = interface.typed(|| count += 1)?; // changes its variables, and could be called from inside itself
/// # Ok::<(), jitcall::Error>(())
/// ```
pub struct Closure<'a> {
    raw: Raw,
    /// What the handler borrows; and raw pointers are not sent to other threads.
    handler: PhantomData<(&'a (), *const ())>,
}

/// A C function pointer that runs a Rust closure on whatever thread it is called on. Each call counts itself in and out,
/// by two atomic instructions.
///
/// Dropping it is as for [`Closure`].
///
/// ```
/// use jitcall::{Engine, Signature};
/// use std::sync::atomic::{AtomicI32, Ordering};
/// let sum = AtomicI32::new(0);
/// let interface = Engine::global().prepare_callback(&Signature::parse("void add(int)")?)?;
/// let add = interface.typed_shared(|number: i32| { sum.fetch_add(number, Ordering::Relaxed); })?;
/// // SAFETY: that is its signature.
/// let add: extern "C" fn(i32) = unsafe { std::mem::transmute(add.as_ptr()) };
/// std::thread::scope(|scope| (0..4).for_each(|number| drop(scope.spawn(move || add(number)))));
/// assert_eq!(sum.into_inner(), 6);
/// # Ok::<(), jitcall::Error>(())
/// ```
///
/// ```compile_fail
/// # use jitcall::{Engine, Signature};
/// let count = std::cell::Cell::new(0);
/// let interface = Engine::global().prepare_callback(&Signature::parse("void f(void)")?)?;
/// let closure = interface.typed_shared(|| count.set(1))?; // a cell is for one thread
/// # Ok::<(), jitcall::Error>(())
/// ```
///
/// ```compile_fail
/// # use jitcall::{Engine, Signature};
/// let mut count = 0;
/// let interface = Engine::global().prepare_callback(&Signature::parse("void f(void)")?)?;
/// let closure = interface.typed_shared(|| count += 1)?; // two threads could do so at a time
/// # Ok::<(), jitcall::Error>(())
/// ```
pub struct SharedClosure<'a> {
    raw: Raw,
    handler: PhantomData<&'a ()>,
}

// SAFETY: the handler is `Send` and `Sync`, or there would be no such closure; the entry is the process's.
unsafe impl Send for SharedClosure<'_> {}
// SAFETY: as above.
unsafe impl Sync for SharedClosure<'_> {}

impl<'a> Closure<'a> {
    /// A closure of the process's shared engine, whose handler takes and gives values: see
    /// [`CallbackInterface::values`]. Who makes several of one signature prepares that once:
    /// [`Engine::prepare_callback`].
    ///
    /// ```
    /// use jitcall::{Closure, Function, Signature, Value};
    /// let signature = Signature::parse("double mean(double a, double b)")?;
    /// let mean = Closure::new(&signature, |values| match values {
    ///     [Value::F64(a), Value::F64(b)] => Ok(Value::F64((a + b) / 2.0)),
    ///     _ => unreachable!("the signature has two doubles"),
    /// })?;
    /// let function = Function::new(mean.as_ptr(), signature)?;
    /// // SAFETY: it has that signature.
    /// assert_eq!(unsafe { function.call(&[2.into(), 3.into()])? }, Value::F64(2.5));
    /// # Ok::<(), jitcall::Error>(())
    /// ```
    ///
    /// # Errors
    /// As for [`Engine::prepare_callback`] and [`CallbackInterface::values`].
    pub fn new<F>(signature: &Signature, handler: F) -> Result<Closure<'a>>
    where
        F: Fn(&[Value<'_>]) -> Result<Value<'static>, HandlerError> + 'a,
    {
        Engine::global().prepare_callback(signature)?.values(handler)
    }

    /// A closure of the process's shared engine, whose handler has Rust's types: see [`CallbackInterface::typed`].
    ///
    /// # Errors
    /// As for [`Engine::prepare_callback`] and [`CallbackInterface::typed`].
    pub fn typed<F: 'a, A: CallbackArguments, R: CType>(signature: &Signature, handler: F) -> Result<Closure<'a>>
    where
        Reentrant<F>: TypedHandler<A, R>,
    {
        Engine::global().prepare_callback(signature)?.typed(handler)
    }
}

macro_rules! pointers {
    ($($closure:ident)*) => { $(
        impl $closure<'_> {
            /// The C function pointer. It may be called as long as the closure lives.
            #[inline]
            pub fn as_ptr(&self) -> *const c_void {
                self.raw.entry.address()
            }

            /// The same as an argument of calls by values.
            #[inline]
            pub fn value(&self) -> Value<'_> {
                Value::Pointer(self.as_ptr().cast_mut())
            }

            /// The signature.
            pub fn signature(&self) -> &Signature {
                // SAFETY: the state lives as long as the closure.
                &unsafe { self.raw.state.as_ref() }.interface().signature
            }
        }

        impl $closure<'static> {
            /// Leaves the closure to the rest of the process, and gives its pointer.
            pub fn leak(self) -> *const c_void {
                std::mem::ManuallyDrop::new(self).as_ptr()
            }
        }

        impl fmt::Debug for $closure<'_> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{} at {:p}", self.signature(), self.as_ptr())
            }
        }
    )* };
}

pointers!(Closure SharedClosure);
