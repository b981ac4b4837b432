//! JavaScript functions as C function pointers.
//!
//! A callback runs its function where it was made: a runtime belongs to one thread at a time. C's calls on other threads
//! are refused, and the next call that ends on the home thread throws what was refused; or, where a callback was made to
//! be called from anywhere, they wait until the home thread's event loop has run the function.
//!
//! An exception does not pass through C: it is parked, C gets a zero, and the call that led to the callback throws it.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::ffi::c_void;
use std::sync::atomic::{AtomicPtr, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, ThreadId};

use jitcall::closure::{Arguments, Outcome, Policy};
use jitcall::{CallbackInterface, Closure, Engine, SharedClosure, Signature};

use crate::convert::to_c::{self, Temporaries};
use crate::error::{Failure, Result};
use crate::function::fallback::read_with_view;
use crate::host::{JSValue, tag};
use crate::scope::{Owned, Scope};
use crate::state::State;
use crate::types::ScriptType;

/// What other threads reach of a state: the word that says that something failed, and what did.
pub(crate) struct Remote {
    refusal: Mutex<Option<String>>,
    /// The state's word; null once it is gone.
    failed: AtomicPtr<u32>,
}

impl Remote {
    pub(crate) fn new() -> Remote {
        Remote { refusal: Mutex::new(None), failed: AtomicPtr::default() }
    }

    /// Lets other threads find a state's word.
    pub(crate) fn attach(&self, failed: &AtomicU32) {
        self.failed.store(failed.as_ptr(), Ordering::Release);
    }

    /// The state is gone.
    pub(crate) fn detach(&self) {
        let _refusal = self.refusal.lock().unwrap_or_else(PoisonError::into_inner);
        self.failed.store(std::ptr::null_mut(), Ordering::Release);
    }

    /// A callback was not run.
    fn refuse(&self, reason: String) {
        let mut refusal = self.refusal.lock().unwrap_or_else(PoisonError::into_inner);
        let failed = self.failed.load(Ordering::Acquire);
        if failed.is_null() {
            return;
        }
        refusal.get_or_insert(reason);
        // SAFETY: while the lock is held the state is there.
        unsafe { AtomicU32::from_ptr(failed) }.store(1, Ordering::Release);
    }

    pub(crate) fn take_refusal(&self) -> Option<String> {
        self.refusal.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// A C function pointer that runs a JavaScript function.
pub(crate) struct Callback {
    closure: Cell<Option<AnyClosure>>,
    address: Cell<*mut c_void>,
    run: Arc<Run>,
}

/// How many callbacks that were closed are remembered, so that a late call of one is an error that names it. Calls of older
/// ones return zero.
const REMEMBERED: usize = 64;

/// Callbacks that were closed: their entries run what refuses.
#[derive(Default)]
pub(crate) struct Closed {
    closures: RefCell<VecDeque<AnyClosure>>,
    /// Whether the state is going, and nothing is remembered any more.
    is_over: Cell<bool>,
}

impl Closed {
    fn remember(&self, closure: AnyClosure) {
        if self.is_over.get() {
            return;
        }
        let mut closures = self.closures.borrow_mut();
        let oldest = if closures.len() < REMEMBERED { None } else { closures.pop_front() };
        closures.push_back(closure);
        drop(closures);
        drop(oldest);
    }

    /// Forgets them.
    pub(crate) fn end(&self) {
        self.is_over.set(true);
        drop(self.closures.take());
    }
}

/// The closure; dropping it frees its entry.
enum AnyClosure {
    /// Called from other threads, it is run by the event loop of its own.
    Handed(#[allow(dead_code, reason = "owned")] Closure<'static>),
    /// Called from other threads, it refuses.
    Home(#[allow(dead_code, reason = "owned")] SharedClosure<'static>),
}

/// What a run of the function needs.
struct Run {
    /// A reference of the callback's own, until it is closed.
    function: Cell<JSValue>,
    state: Arc<State>,
    remote: Arc<Remote>,
    home: ThreadId,
    name: String,
    parameters: Vec<ScriptType>,
    /// The classes of struct parameters: references of the callback's own, until it is closed.
    views: Vec<Cell<JSValue>>,
    result: ScriptType,
    result_size: usize,
    offsets: Vec<u32>,
}

/// A run that threads other than the home thread may look at: they look at `home` and `remote` only.
struct Shared(Arc<Run>);

// SAFETY: `call` touches what belongs to the home thread on that thread only.
unsafe impl Send for Shared {}
// SAFETY: as above.
unsafe impl Sync for Shared {}

impl Shared {
    fn call(&self, arguments: Arguments<'_>, mut outcome: Outcome<'_>) {
        let run = &*self.0;
        if thread::current().id() == run.home {
            run.call(arguments, outcome);
            return;
        }
        run.write_zero(&mut outcome);
        run.remote.refuse(format!(
            "a callback ({}) was called on another thread; a callback with threadsafe: true is run by the event loop",
            run.name
        ));
    }
}

impl Callback {
    /// Makes one. `handed` says that other threads may call it.
    ///
    /// # Errors
    /// Where the engine refuses the signature or has no entry left.
    pub(crate) fn new(
        scope: Scope<'_>,
        function: JSValue,
        signature: &Signature,
        parameters: Vec<ScriptType>,
        result: ScriptType,
        handed: bool,
    ) -> Result<Callback> {
        let views = vec![JSValue::UNDEFINED; parameters.len()];
        Callback::with_views(scope, function, signature, parameters, views, result, handed)
    }

    /// The same with classes for the instances of struct parameters, whose references it takes.
    pub(crate) fn with_views(
        scope: Scope<'_>,
        function: JSValue,
        signature: &Signature,
        parameters: Vec<ScriptType>,
        views: Vec<JSValue>,
        result: ScriptType,
        handed: bool,
    ) -> Result<Callback> {
        let interface = Engine::global().prepare_callback(signature)?;
        #[allow(
            clippy::arc_with_non_send_sync,
            reason = "other threads hold it, and look at what is theirs to look at"
        )]
        let run = Arc::new(Run {
            function: Cell::new(scope.dup(function)),
            state: scope.state.handle(),
            remote: Arc::clone(&scope.state.remote),
            home: thread::current().id(),
            name: signature.to_string(),
            parameters,
            views: views.into_iter().map(Cell::new).collect(),
            result_size: result.size()?,
            result,
            offsets: interface.slot_offsets().to_vec(),
        });
        let closure = make(&interface, &run, handed)?;
        let address = match &closure {
            AnyClosure::Handed(closure) => closure.as_ptr(),
            AnyClosure::Home(closure) => closure.as_ptr(),
        };
        Ok(Callback { closure: Cell::new(Some(closure)), address: Cell::new(address.cast_mut()), run })
    }

    /// The function pointer.
    ///
    /// # Errors
    /// Where it is closed.
    pub(crate) fn address(&self) -> Result<*mut c_void> {
        let address = self.address.get();
        if address.is_null() { Err(Failure::of_type("the callback is closed")) } else { Ok(address) }
    }

    /// Frees the function pointer; a call of it that runs goes on.
    pub(crate) fn close(&self) {
        self.address.set(std::ptr::null_mut());
        self.run.release();
        if let Some(closure) = self.closure.take() {
            self.run.state.closed.remember(closure);
        }
    }

    /// The host collects its object.
    pub(crate) fn finalize(self) {
        self.close();
    }

    /// The values that it owns.
    pub(crate) fn values(&self) -> Vec<JSValue> {
        let mut values: Vec<JSValue> = self.run.views.iter().map(Cell::get).collect();
        values.push(self.run.function.get());
        values
    }
}

impl Drop for Callback {
    fn drop(&mut self) {
        self.close();
    }
}

fn make(interface: &CallbackInterface, run: &Arc<Run>, handed: bool) -> Result<AnyClosure> {
    if handed {
        let run = Arc::clone(run);
        let interface = interface.with_policy(Policy::HandOver);
        return Ok(AnyClosure::Handed(interface.slots(move |arguments, outcome| run.call(arguments, outcome))?));
    }
    let shared = Shared(Arc::clone(run));
    Ok(AnyClosure::Home(interface.slots_shared(move |arguments, outcome| shared.call(arguments, outcome))?))
}

impl Run {
    /// Runs the function, on the home thread.
    fn call(&self, arguments: Arguments<'_>, mut outcome: Outcome<'_>) {
        // SAFETY: this is the thread on which the host runs; it has called into C and waits.
        let scope = unsafe { Scope::new(self.state.ctx, &self.state) };
        // The function's own errno is not C's business, nor the other way round.
        let errno = jitcall::Errno::get();
        let result = self.state.run_callback(|| self.result(scope, arguments));
        let written = result.and_then(|value| self.write(scope, *value, &mut outcome));
        if let Err(failure) = written {
            self.write_zero(&mut outcome);
            scope.throw(failure);
            self.state.park(scope.take_exception());
        }
        errno.set();
    }

    fn result<'a>(&self, scope: Scope<'a>, arguments: Arguments<'_>) -> Result<Owned<'a>> {
        let mut values = Vec::with_capacity(self.parameters.len());
        for (index, parameter) in self.parameters.iter().enumerate() {
            // SAFETY: an argument of that type is at that offset, and has that size.
            let bytes = unsafe {
                let at = arguments.as_ptr().cast::<u8>().add(self.offsets[index] as usize);
                std::slice::from_raw_parts(at, parameter.size()?)
            };
            values.push(read_with_view(scope, parameter, self.views[index].get(), bytes)?);
        }
        let function = scope.own(scope.dup(self.function.get()))?;
        if function.is(tag::UNDEFINED) {
            return Err(Failure::other(format!("the callback ({}) is closed", self.name)));
        }
        let mut arguments: Vec<JSValue> = values.iter().map(|value| **value).collect();
        scope.call(*function, JSValue::UNDEFINED, &mut arguments)
    }

    fn write(&self, scope: Scope<'_>, value: JSValue, outcome: &mut Outcome<'_>) -> Result<()> {
        if self.result.ty.is_void() {
            return Ok(());
        }
        self.write_zero(outcome);
        // SAFETY: the outcome has room for the result, of which all bytes were just written.
        let bytes = unsafe { std::slice::from_raw_parts_mut(outcome.as_mut_ptr(), self.result_size) };
        let mut temporaries = Temporaries::default();
        let place = || format!("the result of a callback ({})", self.result.ty);
        to_c::write(scope, &self.result, value, bytes, &mut temporaries).map_err(|failure| failure.at(place()))?;
        if !temporaries.into_texts().is_empty() {
            bytes.fill(0);
            return Err(Failure::of_type(format!(
                "{}: expected a pointer to memory that outlives the callback, got a string",
                place()
            )));
        }
        Ok(())
    }

    fn write_zero(&self, outcome: &mut Outcome<'_>) {
        // SAFETY: the outcome has room for the result.
        unsafe { outcome.as_mut_ptr().write_bytes(0, self.result_size) };
    }

    /// Gives up the function, and the classes of what it is given.
    fn release(&self) {
        let mut values = vec![self.function.replace(JSValue::UNDEFINED)];
        values.extend(self.views.iter().map(|view| view.replace(JSValue::UNDEFINED)));
        for value in values {
            // SAFETY: the references were the callback's.
            unsafe { self.state.host.free_rt(self.state.rt, value) };
        }
    }
}
