//! JavaScript functions as C function pointers.
//!
//! A callback runs its function where it was made: a runtime belongs to one thread at a time. C's calls on other threads
//! are refused, and the next call that ends on the home thread throws what was refused; or, where a callback was made to
//! be called from anywhere, they wait until the home thread's event loop has run the function.
//!
//! An exception does not pass through C: it is parked, C gets a zero, and so it does from all callbacks until the call that
//! led to the first one returns, and throws the exception.

use std::cell::Cell;
use std::ffi::{c_int, c_void};
use std::mem::MaybeUninit;
use std::rc::Rc;
use std::sync::atomic::{AtomicU32, Ordering};

use jitcall::closure::{Arguments, Outcome, Policy};
use jitcall::{Closure, Engine, Signature};

use crate::convert::scalar::Scalar;
use crate::convert::to_c::{self, Temporaries};
use crate::error::{Failure, Result};
use crate::function::fallback::read_with_view;
use crate::host::{JSContext, JSValue, tag};
use crate::scope::{Owned, Scope};
use crate::state::State;
use crate::types::ScriptType;

/// A C function pointer that runs a JavaScript function.
pub(crate) struct Callback {
    /// Dropping it frees the function pointer.
    closure: Cell<Option<Closure<'static>>>,
    address: Cell<*mut c_void>,
    run: Rc<Run>,
}

/// What a run of the function needs.
struct Run {
    /// A reference of the callback's own, until it is closed.
    function: Cell<JSValue>,
    state: Rc<State>,
    name: String,
    parameters: Vec<ScriptType>,
    /// The classes of struct parameters: references of the callback's own, until it is closed.
    views: Vec<Cell<JSValue>>,
    result: ScriptType,
    result_size: usize,
    offsets: Vec<u32>,
    scalars: Option<Scalars>,
    /// Where the home thread has its errno.
    errno: *mut c_int,
    /// The state's word that says whether a callback has failed, and the host's function that runs functions: here, so
    /// that a run need not look for them.
    failed: *const AtomicU32,
    js_call: CallFunction,
}

/// The host's `JS_Call`.
type CallFunction = unsafe extern "C" fn(*mut JSContext, JSValue, JSValue, c_int, *mut JSValue) -> JSValue;

/// The types of a callback that takes and gives numbers only, and few of them; all in one place, close together.
struct Scalars {
    count: usize,
    parameters: [Scalar; FEW],
    offsets: [u32; FEW],
    /// `None` for `void`.
    result: Option<Scalar>,
}

/// How many arguments need no allocation.
const FEW: usize = 8;

impl Scalars {
    fn of(types: &[ScriptType], given: &[u32], result: &ScriptType) -> Option<Scalars> {
        let count = types.len();
        let mut parameters = [Scalar::I32; FEW];
        let mut offsets = [0; FEW];
        for (scalar, ty) in parameters.get_mut(..count)?.iter_mut().zip(types) {
            *scalar = Scalar::of(ty)?;
        }
        offsets[..count].copy_from_slice(given);
        let result = if result.ty.is_void() { None } else { Some(Scalar::of(result)?) };
        Some(Scalars { count, parameters, offsets, result })
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
        let run = Rc::new(Run {
            function: Cell::new(scope.dup(function)),
            state: scope.state.handle(),
            name: signature.to_string(),
            // SAFETY: it takes nothing.
            errno: unsafe { libc::__errno_location() },
            failed: &raw const scope.state.bridge.failed,
            js_call: scope.host().api.JS_Call,
            scalars: Scalars::of(&parameters, interface.slot_offsets(), &result),
            parameters,
            views: views.into_iter().map(Cell::new).collect(),
            result_size: result.size()?,
            result,
            offsets: interface.slot_offsets().to_vec(),
        });
        let policy = if handed { Policy::HandOver } else { Policy::HomeOnly };
        let runs = Rc::clone(&run);
        let closure = interface.with_policy(policy).slots(move |arguments, outcome| runs.call(arguments, outcome))?;
        let address = closure.as_ptr();
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
        drop(self.closure.take());
        self.run.release();
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

impl Run {
    /// Runs the function, on the home thread.
    #[inline(always)]
    fn call(&self, arguments: Arguments<'_>, mut outcome: Outcome<'_>) {
        // SAFETY: this is the thread on which the host runs; it has called into C and waits.
        let scope = unsafe { Scope::new(self.state.ctx, &self.state) };
        // SAFETY: the state lives as long as this.
        if unsafe { (*self.failed).load(Ordering::Relaxed) } != 0 {
            // What comes after a failure follows from it, and who called into C has yet to learn of it.
            self.write_zero(&mut outcome);
            return;
        }
        // The function's own errno is not C's business, nor the other way round.
        // SAFETY: this is the thread on which the callback was made, and that is its location.
        let before = unsafe { *self.errno };
        let is_done = match &self.scalars {
            Some(scalars) => self.state.run_callback(|| self.run_scalars(scope, scalars, arguments, &mut outcome)),
            None => false,
        };
        if !is_done {
            self.call_any(scope, arguments, outcome);
        }
        // SAFETY: as above.
        unsafe { *self.errno = before };
    }

    /// Runs the function where all that it takes and gives are numbers; says whether that could be done. If not, it has
    /// not run.
    ///
    /// Nothing here is an `Owned` or in a `Result`: values that are moved about in memory cost more than the rest.
    #[inline(always)]
    fn run_scalars(
        &self,
        scope: Scope<'_>,
        scalars: &Scalars,
        arguments: Arguments<'_>,
        outcome: &mut Outcome<'_>,
    ) -> bool {
        let host = scope.host();
        let mut values = [const { MaybeUninit::<JSValue>::uninit() }; FEW];
        let start = arguments.as_ptr().cast::<u8>();
        for (index, value) in values.iter_mut().enumerate().take(scalars.count) {
            // SAFETY: an argument of that type is at that offset.
            let read = unsafe {
                let at = start.add(scalars.offsets[index] as usize);
                scalars.parameters[index].read(host, at, value)
            };
            if !read {
                return false;
            }
        }
        let (function, count) = (self.function.get(), scalars.count as c_int);
        if function.is(tag::UNDEFINED) {
            return false;
        }
        // SAFETY: as many values were written; the function is held for as long as it runs, and its result until it is
        // written; the outcome has room for it.
        unsafe {
            host.dup(function);
            let result = (self.js_call)(scope.ctx, function, JSValue::UNDEFINED, count, values.as_mut_ptr().cast());
            host.free(scope.ctx, function);
            let is_written = !result.is(tag::EXCEPTION)
                && match scalars.result {
                    None => true,
                    Some(scalar) => scalar.write(host, result, outcome.as_mut_ptr()),
                };
            if !is_written {
                self.write_any(scope, scope.own(result), outcome);
            } else if result.counted().is_some() {
                host.free(scope.ctx, result);
            }
        }
        true
    }

    /// Runs the function, whatever it takes and gives.
    #[cold]
    fn call_any(&self, scope: Scope<'_>, arguments: Arguments<'_>, mut outcome: Outcome<'_>) {
        let result = self.state.run_callback(|| self.result(scope, arguments));
        self.write_any(scope, result, &mut outcome);
    }

    /// Writes the result; parks what went wrong.
    #[cold]
    fn write_any(&self, scope: Scope<'_>, result: Result<Owned<'_>>, outcome: &mut Outcome<'_>) {
        if let Err(failure) = result.and_then(|value| self.write(scope, *value, outcome)) {
            self.write_zero(outcome);
            scope.throw(failure);
            self.state.park(scope.take_exception());
        }
    }

    fn closed(&self) -> Failure {
        Failure::other(format!("the callback ({}) is closed", self.name))
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
            return Err(self.closed());
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
