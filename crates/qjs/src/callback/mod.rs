//! JavaScript functions as C function pointers.
//!
//! A callback runs its function where it was made: a runtime belongs to one thread at a time. C's calls on other threads
//! are refused, and the next call that ends on the home thread throws what was refused; or, where a callback was made to
//! be called from anywhere, they wait until the home thread's event loop has run the function.
//!
//! An exception does not pass through C: it is parked, C gets a zero, and so it does from all callbacks until the call that
//! led to the first one returns, and throws the exception.

mod quick;

use std::cell::Cell;
use std::ffi::c_void;
use std::rc::Rc;

use jitcall::closure::{Arguments, Outcome, Policy};
use jitcall::{Closure, Engine, Signature};

use crate::convert::to_c::{self, Temporaries};
use crate::error::{Failure, Result};
use crate::function::fallback::read_with_view;
use crate::host::{JSValue, tag};
use crate::scope::{Owned, Scope};
use crate::state::State;
use crate::types::ScriptType;
use quick::Quick;

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
        Callback::with_views(scope, function, signature, parameters, &views, result, handed)
    }

    /// The same with classes for the instances of struct parameters.
    pub(crate) fn with_views(
        scope: Scope<'_>,
        function: JSValue,
        signature: &Signature,
        parameters: Vec<ScriptType>,
        views: &[JSValue],
        result: ScriptType,
        handed: bool,
    ) -> Result<Callback> {
        let interface = Engine::global().prepare_callback(signature)?;
        let result_size = result.size()?;
        // What comes before may fail; behind this, references are owned.
        let run = Rc::new(Run {
            function: Cell::new(scope.dup(function)),
            state: scope.state.handle(),
            name: signature.to_string(),
            parameters,
            views: views.iter().map(|view| Cell::new(scope.dup(*view))).collect(),
            result_size,
            result,
            offsets: interface.slot_offsets().to_vec(),
        });
        let policy = if handed { Policy::HandOver } else { Policy::HomeOnly };
        let quick = Quick::new(&run);
        let closure = interface.with_policy(policy).slots(move |arguments, outcome| quick.call(arguments, outcome));
        let closure = closure.inspect_err(|_| run.release())?;
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
    /// Runs the function, whatever it takes and gives.
    #[cold]
    fn call(&self, arguments: Arguments<'_>, mut outcome: Outcome<'_>) {
        let result = self.state.run_callback(|| self.result(self.scope(), arguments).map(Owned::into_raw));
        self.finish(result.unwrap_or_else(|failure| self.scope().throw(failure)), &mut outcome);
    }

    /// Makes what the function returned the result of the callback; parks what went wrong.
    #[cold]
    fn finish(&self, result: JSValue, outcome: &mut Outcome<'_>) {
        let scope = self.scope();
        if let Err(failure) = scope.own(result).and_then(|value| self.write(scope, *value, outcome)) {
            self.write_zero(outcome);
            scope.throw(failure);
            self.state.park(scope.take_exception());
        }
    }

    fn scope(&self) -> Scope<'_> {
        // SAFETY: this is the thread on which the host runs; it has called into C and waits.
        unsafe { Scope::new(self.state.ctx, &self.state) }
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
        let function = self.function.get();
        if function.is(tag::UNDEFINED) {
            return Err(self.closed());
        }
        let mut arguments: Vec<JSValue> = values.iter().map(|value| **value).collect();
        scope.call(function, JSValue::UNDEFINED, &mut arguments)
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
        if let Some(what) = temporaries.what() {
            bytes.fill(0);
            return Err(Failure::of_type(format!(
                "{}: expected a pointer that outlives the callback, got {what}",
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
        self.state.give_up(values);
    }
}
