//! Calls on other threads, which give promises.

use std::os::fd::AsRawFd;

use jitcall::{Completed, Object, OwnedValue, Pending, Value};

use crate::convert::to_c::{self, Temporaries};
use crate::error::{Failure, Result};
use crate::event_loop;
use crate::function::{Record, fallback};
use crate::host::JSValue;
use crate::scope::{Owned, Scope};

/// A call that has not been settled.
pub(crate) struct Waiting {
    pending: Option<Pending>,
    /// What settles the promise, the arguments whose memory the call uses, and the function: all owned.
    pub(crate) values: Vec<JSValue>,
    /// Copies of strings.
    _texts: Vec<Box<[u8]>>,
    record: *const Record,
}

impl Waiting {
    fn resolve(&self) -> JSValue {
        self.values[0]
    }

    fn reject(&self) -> JSValue {
        self.values[1]
    }
}

/// Begins a call; gives the promise of its result.
pub(crate) fn call<'a>(scope: Scope<'a>, record: &Record, arguments: &[JSValue]) -> Result<Owned<'a>> {
    let parameters = &record.declaration.parameters;
    let mut temporaries = Temporaries::default();
    let mut owned = Vec::with_capacity(parameters.len());
    for (index, (parameter, value)) in parameters.iter().zip(arguments).enumerate() {
        let mut bytes = vec![0; parameter.size()?];
        to_c::write(scope, parameter, *value, &mut bytes, &mut temporaries)
            .map_err(|failure| failure.at(record.place(index)))?;
        owned.push(OwnedValue::Value(Value::from_bytes(&parameter.ty, &bytes)?));
    }
    if temporaries.has_callbacks() {
        let name = &record.declaration.name;
        return Err(Failure::of_type(format!("{name}: an asynchronous call takes a JSCallback, not a function")));
    }
    let mut settlers = [JSValue::UNDEFINED; 2];
    // SAFETY: both functions are written.
    let promise = scope.own(unsafe { (scope.host().api.JS_NewPromiseCapability)(scope.ctx, settlers.as_mut_ptr()) })?;
    let mut values = settlers.to_vec();
    values.push(scope.dup(record.owner()));
    values.extend(arguments.iter().take(parameters.len()).map(|value| scope.dup(*value)));
    let waiting = Waiting { pending: None, values, _texts: temporaries.into_texts(), record };
    begin(scope, record, owned, waiting)?;
    Ok(promise)
}

fn begin(scope: Scope<'_>, record: &Record, arguments: Vec<OwnedValue>, mut waiting: Waiting) -> Result<()> {
    let state = scope.state;
    let submitted = state.event_loop.with_pool(|pool| {
        pool.completions_fd()?;
        // SAFETY: the script answers for the declaration; memory that is passed is held until the call is done.
        unsafe { pool.submit(&record.function, arguments) }.map_err(|refused| refused.error.into())
    });
    match submitted {
        Ok(pending) => waiting.pending = Some(pending),
        Err(failure) => {
            release(scope, waiting);
            return Err(failure);
        }
    }
    let is_first = state.event_loop.waiting.borrow().is_empty();
    state.event_loop.waiting.borrow_mut().push(waiting);
    if is_first { event_loop::watch_calls(scope) } else { Ok(()) }
}

fn release(scope: Scope<'_>, waiting: Waiting) {
    for value in waiting.values {
        // SAFETY: the references are the call's.
        unsafe { scope.host().free(scope.ctx, value) };
    }
}

/// Settles the promises of calls that are done.
pub(crate) fn settle(scope: Scope<'_>) -> Result<()> {
    let event_loop = &scope.state.event_loop;
    event_loop.with_pool(|pool| {
        let mut count = [0u8; 8];
        // SAFETY: the buffer has 8 bytes, which is what such a descriptor gives; it does not block.
        unsafe { libc::read(pool.completions_fd()?.as_raw_fd(), count.as_mut_ptr().cast(), count.len()) };
        Ok(())
    })?;
    loop {
        let done =
            event_loop.waiting.borrow().iter().position(|call| call.pending.as_ref().is_none_or(Pending::is_done));
        let Some(done) = done else { break };
        let mut call = event_loop.waiting.borrow_mut().remove(done);
        let outcome = match call.pending.take() {
            Some(pending) => pending.wait().map_err(Failure::from),
            None => Err(Failure::other("the call was never begun")),
        };
        let settled = settle_one(scope, &call, outcome);
        release(scope, call);
        settled?;
    }
    if event_loop.waiting.borrow().is_empty() { event_loop::leave_calls(scope) } else { Ok(()) }
}

fn settle_one(scope: Scope<'_>, call: &Waiting, outcome: Result<Completed>) -> Result<()> {
    // SAFETY: the call holds the function's object, which owns the record.
    let record = unsafe { &*call.record };
    let result = outcome.and_then(|completed| {
        scope.state.bridge.errno.set(completed.errno.0);
        let ty = &record.declaration.result;
        let object = if ty.ty.is_void() { None } else { Some(Object::new(&ty.ty, &completed.value)?) };
        scope.own(fallback::finish(scope, record, object.as_ref().map_or(&[], |object| object.bytes()))?)
    });
    match result {
        Ok(value) => scope.call(call.resolve(), JSValue::UNDEFINED, &mut [*value])?,
        Err(failure) => {
            scope.throw(failure);
            let exception = scope.own(scope.take_exception())?;
            scope.call(call.reject(), JSValue::UNDEFINED, &mut [*exception])?
        }
    };
    Ok(())
}
