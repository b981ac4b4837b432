//! The state of a closure: what its entry hands to the handler's runner, and how a handler is run.

use std::alloc::{self, Layout};
use std::marker::PhantomData;
use std::mem::offset_of;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr::{self, NonNull};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::Slot;
use crate::abi::Plan;
use crate::closure::Interface;
use crate::closure::blocks::{self, Blocks};
use crate::closure::failure::{Failure, HandlerError, is_any_parked};
use crate::closure::home::{self, Home};
use crate::error::Result;
use crate::guard;

/// Runs a handler: `void run(state, arguments, result)`. What handlers of [`typed`](super::typed) closures are entered by
/// has their own parameters instead, and the record behind them.
pub(crate) type Run = unsafe extern "C" fn(*const State, *const Slot, *mut u8);

/// What all closures have; a handler follows it.
#[repr(C)]
pub(crate) struct State {
    run: *const (),
    /// Counted as an [`Arc`].
    interface: NonNull<Interface>,
    /// Null where the closure runs on any thread.
    home: *const Home,
    /// Of a shared closure, how often the handler runs at the moment, and [`DROPPED`]; of an exclusive one, whether it
    /// does.
    running: AtomicU32,
    wide: bool,
    handed_over: bool,
}

/// The shared closure is gone, and who leaves its handler last frees the state.
const DROPPED: u32 = 1 << 31;

/// A state with its handler.
#[repr(C)]
pub(super) struct Inner<H> {
    state: State,
    pub(super) handler: H,
}

impl<H: Rules> Inner<H> {
    /// The state of a new closure.
    ///
    /// # Errors
    /// [`Error::Unsupported`](crate::Error::Unsupported) on a thread that is ending.
    #[inline]
    pub(super) fn allocate(
        interface: &Arc<Interface>,
        run: *const (),
        handler: H,
        handed_over: bool,
    ) -> Result<NonNull<State>> {
        let home = if H::SHARED { ptr::null() } else { Home::join()?.as_ptr().cast_const() };
        let state = State {
            run,
            // SAFETY: `Arc::into_raw` never gives null.
            interface: unsafe { NonNull::new_unchecked(Arc::into_raw(Arc::clone(interface)).cast_mut()) },
            home,
            running: AtomicU32::new(0),
            wide: interface.wide,
            handed_over,
        };
        // SAFETY: a home lives as long as closures refer to it.
        let memory = match unsafe { home.as_ref() } {
            Some(home) if Blocks::fit::<Inner<H>>() => home.blocks().take(),
            _ => blocks::allocate(Layout::new::<Inner<H>>()),
        };
        // SAFETY: the memory is for such a value, or as large and aligned.
        unsafe { memory.cast::<Inner<H>>().write(Inner { state, handler }) };
        Ok(memory.cast())
    }

    /// Frees a state.
    ///
    /// # Safety
    /// It is from [`Inner::allocate`] with the same handler's type, and nobody uses it any more. Where it has a home, this
    /// is the home thread.
    pub(super) unsafe fn free(state: NonNull<State>) {
        // SAFETY: said by the caller.
        let State { interface, home, .. } = unsafe { state.read() };
        // SAFETY: said by the caller; a state itself has nothing to drop.
        unsafe { state.cast::<Inner<H>>().drop_in_place() };
        // SAFETY: said by the caller: the memory is from `allocate`, where the same decided. A home lives as long as
        // closures refer to it, which is counted on its own thread.
        unsafe {
            match home.as_ref() {
                Some(home) => {
                    match Blocks::fit::<Inner<H>>() {
                        true => home.blocks().keep(state.cast()),
                        false => alloc::dealloc(state.as_ptr().cast(), Layout::new::<Inner<H>>()),
                    }
                    home.leave();
                }
                None => alloc::dealloc(state.as_ptr().cast(), Layout::new::<Inner<H>>()),
            }
        }
        // SAFETY: `allocate` has counted it.
        drop(unsafe { Arc::from_raw(interface.as_ptr()) });
    }
}

impl State {
    /// Where the function that runs the handler lies in the state, in bytes.
    pub(crate) const RUN: usize = offset_of!(State, run);

    /// Where it says whether the plan has vectors of 32 bytes, which AArch64 has no registers for.
    #[cfg(target_arch = "x86_64")]
    pub(crate) const WIDE: usize = offset_of!(State, wide);

    /// The plan of the closure's signature.
    ///
    /// The state lives as long as the result is used.
    pub(crate) fn plan(&self) -> &Plan {
        &self.interface().plan
    }

    pub(super) fn interface(&self) -> &Interface {
        // SAFETY: counted by the state.
        unsafe { self.interface.as_ref() }
    }

    /// Runs the handler of a closure that is entered by slots.
    ///
    /// # Safety
    /// It is such a closure. `arguments` holds what its plan says; `result` has room for the result in whole words.
    pub(crate) unsafe fn run(&self, arguments: *const Slot, result: *mut u8) {
        // SAFETY: such closures have a function of that type.
        let run = unsafe { std::mem::transmute::<*const (), Run>(self.run) };
        // SAFETY: said by the caller.
        unsafe { run(self, arguments, result) };
    }

    /// The closure of a state goes: it is freed by `free`, now or once its handler does not run any more.
    ///
    /// # Safety
    /// `free` is for this state; a closure that has a home goes on its home thread.
    #[inline]
    pub(super) unsafe fn retire(state: NonNull<State>, free: unsafe fn(NonNull<State>)) {
        // SAFETY: the state lives until it is freed.
        let this = unsafe { state.as_ref() };
        // SAFETY: a home lives as long as closures refer to it.
        if let Some(home) = unsafe { this.home.as_ref() } {
            home.retire((state, free));
        } else if this.running.fetch_or(DROPPED, Ordering::AcqRel) == 0 {
            // SAFETY: said by the caller; nobody runs the handler.
            unsafe { free(state) };
        }
    }

    /// The home of a closure that is not shared.
    #[inline(always)]
    fn home(&self) -> &Home {
        // SAFETY: such a closure has one, which lives as long as closures refer to it.
        unsafe { &*self.home }
    }

    /// Whether it takes a closer look to know if the handler may run, and here.
    #[inline(always)]
    fn is_doubtful<H: Rules>(&self) -> bool {
        if H::SHARED {
            return is_any_parked() || guard::active();
        }
        !self.home().is_open() || H::EXCLUSIVE && self.running.load(Ordering::Relaxed) != 0
    }

    /// Whether the handler may run on this thread: not where a callback of this call has failed, nor, where it has its
    /// variables to itself, from inside itself.
    fn admits<H: Rules>(&self) -> bool {
        if home::with_current(Home::has_failure).unwrap_or(false) {
            return false;
        }
        if H::EXCLUSIVE && self.running.load(Ordering::Relaxed) != 0 {
            self.park(|name| Failure::refused(name, "called while it runs, though its handler is FnMut"));
            return false;
        }
        true
    }

    /// Parks what a handler returned or panicked with.
    #[cold]
    #[inline(never)]
    fn park_outcome(&self, outcome: std::thread::Result<Option<HandlerError>>) {
        self.park(|name| match outcome {
            Err(payload) => Failure::panicked(name, payload),
            Ok(Some(error)) => Failure::returned(name, error),
            Ok(None) => Failure::refused(name, "failed"),
        });
    }

    /// Parks a failure on this thread.
    #[cold]
    fn park(&self, failure: impl FnOnce(String) -> Failure) {
        let failure = failure(self.interface().signature.title());
        home::with_current(|home| home.park(failure));
    }

    /// A callback has come on a thread where it may not run: the home thread does the work, or is told.
    #[cold]
    fn hand_over(&self, work: &mut dyn FnMut()) -> bool {
        if self.handed_over {
            if self.home().hand_over(work) {
                return true;
            }
        } else if let Some(refused) = self.interface().refusal {
            refused();
            return false;
        } else {
            let name = self.interface().signature.title();
            if self.home().tell(Failure::refused(name, "called on another thread than the one that made it")) {
                return false;
            }
        }
        self.park(|name| Failure::refused(name, "the thread that made it has ended"));
        false
    }
}

/// How a handler may be run, which its type says.
pub(super) trait Rules {
    /// Not while it runs.
    const EXCLUSIVE: bool;
    /// On any thread.
    const SHARED: bool;
}

/// Runs a handler's body by the rules of its closure; gives what `default` makes of the state where it may not run or
/// fails.
///
/// # Safety
/// The state is that of a closure that C has called, with a handler of type `H`, which the body belongs to.
#[inline(always)]
pub(super) unsafe fn execute<H: Rules, R>(
    state: NonNull<State>,
    default: impl Fn(&State) -> R + Copy,
    body: impl FnOnce(NonNull<State>) -> Result<R, HandlerError> + Copy,
) -> R {
    // SAFETY: the state lives at least until the handler has run.
    let this = unsafe { state.as_ref() };
    if this.is_doubtful::<H>() {
        // SAFETY: said by the caller.
        return unsafe { execute_carefully::<H, R>(state, default, body) };
    }
    // SAFETY: said by the caller.
    unsafe { execute_here::<H, R>(state, default, body) }
}

/// The same where it may be that the handler must not run, or not here.
///
/// # Safety
/// As for [`execute`].
#[cold]
#[inline(never)]
unsafe fn execute_carefully<H: Rules, R>(
    state: NonNull<State>,
    default: impl Fn(&State) -> R + Copy,
    body: impl FnOnce(NonNull<State>) -> Result<R, HandlerError> + Copy,
) -> R {
    // SAFETY: the state lives at least until the handler has run.
    let this = unsafe { state.as_ref() };
    // A type of its own for the body has the compiler make its own code of it, and not share that of the fast way, which
    // it would call then.
    let body = move |state| body(state);
    // A fault in the handler is no fault of foreign code.
    let execute = || match this.admits::<H>() {
        true => {
            let _suspended = guard::active().then(guard::suspend);
            // SAFETY: said by the caller.
            unsafe { execute_here::<H, R>(state, default, body) }
        }
        false => default(this),
    };
    if H::SHARED || this.home().is_here() {
        return execute();
    }
    let mut result = None;
    this.hand_over(&mut || result = Some(execute()));
    result.unwrap_or_else(|| default(this))
}

/// The same where the handler may run.
///
/// # Safety
/// As for [`execute`].
#[inline(always)]
unsafe fn execute_here<H: Rules, R>(
    state: NonNull<State>,
    default: impl Fn(&State) -> R + Copy,
    body: impl FnOnce(NonNull<State>) -> Result<R, HandlerError> + Copy,
) -> R {
    // SAFETY: the state lives at least until the handler has run.
    let this = unsafe { state.as_ref() };
    // SAFETY: a state is not freed as long as its handler runs, nor its home.
    let running = unsafe { Running::<H>::begin(state) };
    let result = match catch_unwind(AssertUnwindSafe(move || body(state))) {
        Ok(Ok(result)) => result,
        failed => {
            this.park_outcome(failed.map(Result::err));
            default(this)
        }
    };
    running.end();
    result
}

/// A handler that runs.
struct Running<'a, H> {
    state: NonNull<State>,
    /// Where it runs, unless it is shared; whether another callback runs around it there.
    home: Option<(&'a Home, u32)>,
    handler: PhantomData<H>,
}

impl<H: Rules> Running<'_, H> {
    /// # Safety
    /// State and home stay until it ends.
    #[inline(always)]
    unsafe fn begin<'a>(state: NonNull<State>) -> Running<'a, H> {
        // SAFETY: said by the caller.
        let this: &'a State = unsafe { state.as_ref() };
        let home = if H::SHARED {
            this.running.fetch_add(1, Ordering::Acquire);
            None
        } else {
            if H::EXCLUSIVE {
                this.running.store(1, Ordering::Relaxed);
            }
            Some((this.home(), this.home().step_in()))
        };
        Running { state, home, handler: PhantomData }
    }

    #[inline(always)]
    fn end(self) {
        // SAFETY: as said to `begin`.
        let running = unsafe { &(*self.state.as_ptr()).running };
        if let Some((home, before)) = self.home {
            if H::EXCLUSIVE {
                running.store(0, Ordering::Relaxed);
            }
            home.step_out(before);
        } else if running.fetch_sub(1, Ordering::AcqRel) == DROPPED | 1 {
            // SAFETY: the closure is gone, and this was the last that ran in it.
            unsafe { Inner::<H>::free(self.state) };
        }
    }
}

/// Notes that C has called a closure that is no more.
pub(crate) unsafe extern "C" fn note_call_of_the_dead() {
    home::with_current(|home| home.park(Failure::refused("(freed)".into(), "called after it was freed")));
}
