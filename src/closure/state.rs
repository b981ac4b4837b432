//! The state of a closure: what its entry hands to the handler's runner, and how a handler is run.

use std::mem::offset_of;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr::{self, NonNull};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::Slot;
use crate::abi::Plan;
use crate::closure::Interface;
use crate::closure::failure::{Failure, HandlerError, is_any_parked};
use crate::closure::home::{self, Home};
use crate::error::Result;

/// Runs a handler: `void run(state, arguments, result)`. What handlers of [`typed`](super::typed) closures are entered by
/// has their own parameters instead, and the state behind them.
pub(crate) type Run = unsafe extern "C" fn(*const State, *const Slot, *mut u8);

/// What all closures have; a handler follows it.
#[repr(C)]
pub(crate) struct State {
    run: *const (),
    /// Counted as an [`Arc`].
    interface: NonNull<Interface>,
    /// Null where the closure runs on any thread.
    home: *const Home,
    /// How often the handler runs at the moment, and [`DROPPED`]. Where there is a home, only that thread writes it.
    running: AtomicU32,
    wide: bool,
    exclusive: bool,
    handed_over: bool,
}

/// The closure is gone, and who leaves its handler last frees the state.
const DROPPED: u32 = 1 << 31;

/// How a closure is to be run.
#[derive(Clone, Copy)]
pub(super) struct Rules {
    /// On any thread.
    pub(super) shared: bool,
    /// Not while it runs.
    pub(super) exclusive: bool,
    /// Other threads wait for the home thread.
    pub(super) handed_over: bool,
}

/// A state with its handler.
#[repr(C)]
pub(super) struct Inner<H> {
    state: State,
    pub(super) handler: H,
}

impl<H> Inner<H> {
    /// The state of a new closure.
    ///
    /// # Errors
    /// [`Error::Unsupported`](crate::Error::Unsupported) on a thread that is ending.
    #[inline]
    pub(super) fn allocate(
        interface: &Arc<Interface>,
        rules: Rules,
        run: *const (),
        handler: H,
    ) -> Result<NonNull<State>> {
        let home = if rules.shared { ptr::null() } else { Home::join()?.as_ptr().cast_const() };
        let state = State {
            run,
            // SAFETY: `Arc::into_raw` never gives null.
            interface: unsafe { NonNull::new_unchecked(Arc::into_raw(Arc::clone(interface)).cast_mut()) },
            home,
            running: AtomicU32::new(0),
            wide: interface.wide,
            exclusive: rules.exclusive,
            handed_over: rules.handed_over,
        };
        Ok(NonNull::from(Box::leak(Box::new(Inner { state, handler }))).cast())
    }

    /// Frees a state.
    ///
    /// # Safety
    /// It is from [`Inner::allocate`] with the same handler's type, and nobody uses it any more.
    pub(super) unsafe fn free(state: NonNull<State>) {
        // SAFETY: said by the caller.
        let inner = unsafe { Box::from_raw(state.cast::<Inner<H>>().as_ptr()) };
        // SAFETY: a home lives as long as closures refer to it, which is counted on its own thread: that is this one,
        // since a closure with a home is dropped there, and so left last there.
        if let Some(home) = unsafe { inner.state.home.as_ref() } {
            home.leave();
        }
        // SAFETY: `allocate` has counted it.
        drop(unsafe { Arc::from_raw(inner.state.interface.as_ptr()) });
    }
}

impl State {
    /// Where the function that runs the handler lies in the state, in bytes.
    pub(crate) const RUN: usize = offset_of!(State, run);

    /// Where it says whether the plan has vectors of 32 bytes.
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

    /// The closure goes: says whether its state can be freed now.
    #[inline]
    pub(super) fn retire(&self) -> bool {
        if self.home.is_null() {
            return self.running.fetch_or(DROPPED, Ordering::AcqRel) == 0;
        }
        let running = self.running.load(Ordering::Relaxed);
        self.running.store(running | DROPPED, Ordering::Relaxed);
        running == 0
    }

    /// Whether the handler may run on this thread.
    #[inline(always)]
    fn is_here(&self) -> bool {
        // SAFETY: a home lives as long as closures refer to it.
        unsafe { self.home.as_ref() }.is_none_or(Home::is_here)
    }

    /// The handler starts to run.
    #[inline(always)]
    fn enter(&self) {
        if self.home.is_null() {
            self.running.fetch_add(1, Ordering::Acquire);
        } else {
            self.running.store(self.running.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
        }
    }

    /// The handler has run: says whether the state has to be freed.
    #[inline(always)]
    fn leave(&self) -> bool {
        let before = if self.home.is_null() {
            self.running.fetch_sub(1, Ordering::AcqRel)
        } else {
            let before = self.running.load(Ordering::Relaxed);
            self.running.store(before - 1, Ordering::Relaxed);
            before
        };
        before == DROPPED | 1
    }

    /// Whether it takes a closer look to know if the handler may run.
    #[inline(always)]
    fn is_doubtful(&self) -> bool {
        is_any_parked() || self.exclusive && self.running.load(Ordering::Relaxed) != 0
    }

    /// Whether the handler may run: not where a callback of this call has failed, nor, where it has its variables to
    /// itself, from inside itself.
    #[cold]
    fn admits(&self) -> bool {
        if home::with_current(|home| home.failure.is_taken()).unwrap_or(false) {
            return false;
        }
        if self.exclusive && self.running.load(Ordering::Relaxed) != 0 {
            self.park(|name| Failure::refused(name, "called while it runs, though its handler is FnMut"));
            return false;
        }
        true
    }

    /// Parks a failure on this thread.
    #[cold]
    fn park(&self, failure: impl FnOnce(String) -> Failure) {
        let failure = failure(self.interface().signature.title());
        home::with_current(|home| home.failure.park(failure));
    }

    /// A callback has come on a thread where it may not run: the home thread does the work, or is told.
    #[cold]
    fn hand_over(&self, work: &mut dyn FnMut()) -> bool {
        // SAFETY: a home lives as long as closures refer to it.
        let Some(home) = (unsafe { self.home.as_ref() }) else { return false };
        let name = || self.interface().signature.title();
        if !self.handed_over {
            home.failure.park(Failure::refused(name(), "called on another thread than the one that made it"));
            return false;
        }
        let done = home.hand_over(work);
        if !done {
            self.park(|name| Failure::refused(name, "the thread that made it has ended"));
        }
        done
    }
}

/// Runs a handler's body by the rules of its closure; gives what `default` makes of the state where it may not run or
/// fails.
///
/// # Safety
/// The state is that of a closure that C has called, with a handler of type `H`, which the body belongs to.
#[inline(always)]
pub(super) unsafe fn execute<H, R>(
    state: NonNull<State>,
    default: impl Fn(&State) -> R,
    mut body: impl FnMut(&State) -> Result<R, HandlerError>,
) -> R {
    // SAFETY: the state lives at least until the handler has run.
    let this = unsafe { state.as_ref() };
    if this.is_here() {
        // SAFETY: said by the caller.
        return unsafe { execute_here::<H, R>(state, &default, &mut body) };
    }
    let mut result = None;
    // SAFETY: said by the caller; the home thread runs it.
    this.hand_over(&mut || result = Some(unsafe { execute_here::<H, R>(state, &default, &mut body) }));
    result.unwrap_or_else(|| default(this))
}

/// The same on a thread where the handler may run.
///
/// # Safety
/// As for [`execute`].
#[inline(always)]
unsafe fn execute_here<H, R>(
    state: NonNull<State>,
    default: impl Fn(&State) -> R,
    body: impl FnOnce(&State) -> Result<R, HandlerError>,
) -> R {
    // SAFETY: the state lives at least until the handler has run.
    let this = unsafe { state.as_ref() };
    if this.is_doubtful() && !this.admits() {
        return default(this);
    }
    this.enter();
    let result = match catch_unwind(AssertUnwindSafe(|| body(this))) {
        Ok(Ok(result)) => result,
        Ok(Err(error)) => {
            this.park(|name| Failure::returned(name, error));
            default(this)
        }
        Err(payload) => {
            this.park(|name| Failure::panicked(name, payload));
            default(this)
        }
    };
    if this.leave() {
        // SAFETY: the closure is gone, and this was the last that ran in it.
        unsafe { Inner::<H>::free(state) };
    }
    result
}

/// Notes that C has called a closure that is no more.
pub(crate) unsafe extern "C" fn note_call_of_the_dead() {
    home::with_current(|home| home.failure.park(Failure::refused("(freed)".into(), "called after it was freed")));
}
