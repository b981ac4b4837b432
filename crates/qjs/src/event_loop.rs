//! The host's event loop, by way of `setReadHandler` of its module `os`: what waits for other threads keeps it running.

use std::cell::{Cell, RefCell};
use std::ffi::c_int;
use std::os::fd::{AsRawFd, RawFd};

use jitcall::Pool;
use jitcall::closure;

use crate::asynchronous::{self, Waiting};
use crate::error::{Failure, Result};
use crate::host::{JS_EVAL_TYPE_MODULE, JSCFunctionData, JSContext, JSValue, tag};
use crate::scope::{Owned, Scope};
use crate::state::State;

/// How many calls can wait for a thread.
const QUEUE: usize = 1 << 16;

/// What a state has to do with the event loop.
pub(crate) struct EventLoop {
    /// `os.setReadHandler`, once it was needed.
    set_read_handler: Cell<JSValue>,
    /// The threads of calls that give promises, once there was one.
    pool: RefCell<Option<Pool>>,
    /// Those calls.
    pub(crate) waiting: RefCell<Vec<Waiting>>,
    /// How many callbacks other threads may call.
    callbacks: Cell<usize>,
}

impl Default for EventLoop {
    fn default() -> EventLoop {
        EventLoop {
            set_read_handler: Cell::new(JSValue::UNDEFINED),
            pool: RefCell::default(),
            waiting: RefCell::default(),
            callbacks: Cell::new(0),
        }
    }
}

impl EventLoop {
    /// The values that it owns.
    pub(crate) fn values(&self) -> Vec<JSValue> {
        let waiting = self.waiting.borrow();
        let mut values: Vec<JSValue> = waiting.iter().flat_map(|call| call.values.iter().copied()).collect();
        values.push(self.set_read_handler.get());
        values
    }

    /// Ends it; gives the values that it owned. Calls that run are waited for: what they were given is theirs.
    pub(crate) fn close(&self) -> Vec<JSValue> {
        drop(self.pool.take());
        let values = self.values();
        self.waiting.take();
        self.set_read_handler.set(JSValue::UNDEFINED);
        values
    }

    /// Works with the pool of threads, which is made when it is first needed.
    pub(crate) fn with_pool<R>(&self, work: impl FnOnce(&Pool) -> Result<R>) -> Result<R> {
        let mut pool = self.pool.borrow_mut();
        if pool.is_none() {
            *pool = Some(Pool::builder().queue(QUEUE).build()?);
        }
        match &*pool {
            Some(pool) => work(pool),
            None => Err(Failure::other("there are no threads")),
        }
    }
}

/// Has the loop run until the calls that are waiting are done.
pub(crate) fn watch_calls(scope: Scope<'_>) -> Result<()> {
    let descriptor = scope.state.event_loop.with_pool(|pool| Ok(pool.completions_fd()?.as_raw_fd()))?;
    watch(scope, descriptor, calls_are_done)
}

/// Lets the loop end, as far as calls go.
pub(crate) fn leave_calls(scope: Scope<'_>) -> Result<()> {
    let descriptor = scope.state.event_loop.with_pool(|pool| Ok(pool.completions_fd()?.as_raw_fd()))?;
    leave(scope, descriptor)
}

/// One callback more that other threads may call: the loop runs them, and runs as long as there are any.
pub(crate) fn add_callback(scope: Scope<'_>) -> Result<()> {
    let callbacks = &scope.state.event_loop.callbacks;
    if callbacks.get() == 0 {
        watch(scope, notifier()?, callbacks_wait)?;
    }
    callbacks.set(callbacks.get() + 1);
    Ok(())
}

/// One callback less.
pub(crate) fn remove_callback(scope: Scope<'_>) -> Result<()> {
    let callbacks = &scope.state.event_loop.callbacks;
    callbacks.set(callbacks.get().saturating_sub(1));
    if callbacks.get() == 0 { leave(scope, notifier()?) } else { Ok(()) }
}

fn notifier() -> Result<RawFd> {
    let descriptor = closure::notifier().map_err(|error| Failure::other(format!("no descriptor: {error}")))?;
    Ok(descriptor.as_raw_fd())
}

fn watch(scope: Scope<'_>, descriptor: RawFd, handler: JSCFunctionData) -> Result<()> {
    let data = JSValue::plain(scope.host().double, std::ptr::from_ref(scope.state).expose_provenance() as u64);
    let owner = scope.state.keeper(scope)?;
    let mut data = [data, *owner];
    // SAFETY: the host takes references of its own to the values.
    let handler =
        scope.own(unsafe { (scope.host().api.JS_NewCFunctionData)(scope.ctx, handler, 0, 0, 2, data.as_mut_ptr()) })?;
    set_handler(scope, descriptor, *handler)
}

fn leave(scope: Scope<'_>, descriptor: RawFd) -> Result<()> {
    set_handler(scope, descriptor, JSValue::NULL)
}

fn set_handler(scope: Scope<'_>, descriptor: RawFd, handler: JSValue) -> Result<()> {
    let function = set_read_handler(scope)?;
    scope.call(function, JSValue::UNDEFINED, &mut [JSValue::int(descriptor), handler])?;
    Ok(())
}

/// The host's function. Only programs can import its module, so a small one does.
fn set_read_handler(scope: Scope<'_>) -> Result<JSValue> {
    let known = &scope.state.event_loop.set_read_handler;
    if !known.get().is(tag::UNDEFINED) {
        return Ok(known.get());
    }
    let names = if scope.host().is_ng { [c"qjs:os", c"os"] } else { [c"os", c"qjs:os"] };
    for name in names {
        let found = import(scope, name)?;
        if let Some(found) = found {
            known.set(found.into_raw());
            return Ok(known.get());
        }
    }
    Err(Failure::other("the host has no module os with setReadHandler, which asynchronous calls need"))
}

fn import<'a>(scope: Scope<'a>, module: &std::ffi::CStr) -> Result<Option<Owned<'a>>> {
    const PLACE: &std::ffi::CStr = c"__ffi_set_read_handler";
    let program = format!(
        "import {{ setReadHandler }} from {:?}; globalThis.{} = setReadHandler;",
        module.to_string_lossy(),
        PLACE.to_string_lossy()
    );
    let program = crate::scope::c_text(&program)?;
    if let Err(failure) = scope.evaluate(&program, c"ffi", JS_EVAL_TYPE_MODULE) {
        if matches!(failure, Failure::Pending) {
            scope.clear_exception();
        }
        return Ok(None);
    }
    let global = scope.global()?;
    let found = scope.get(*global, PLACE)?;
    scope.set(*global, PLACE, scope.own(JSValue::UNDEFINED)?)?;
    Ok(scope.is_function(*found).then_some(found))
}

/// The state whose address the host hands to native functions.
///
/// # Safety
/// `data` is that of a function of the module's, which is being called.
pub(crate) unsafe fn state_of<'a>(data: *const JSValue) -> &'a State {
    // SAFETY: said by the caller; the function's second value keeps the state.
    unsafe { &*std::ptr::with_exposed_provenance((*data).payload as usize) }
}

/// # Safety
/// Called by the host's event loop with the values that [`watch`] gave.
unsafe extern "C" fn calls_are_done(
    ctx: *mut JSContext,
    _: JSValue,
    _: c_int,
    _: *mut JSValue,
    _: c_int,
    data: *mut JSValue,
) -> JSValue {
    // SAFETY: said by the caller.
    let scope = unsafe { Scope::new(ctx, state_of(data)) };
    scope.finish(asynchronous::settle(scope).map(|()| JSValue::UNDEFINED))
}

/// # Safety
/// As for [`calls_are_done`].
unsafe extern "C" fn callbacks_wait(
    ctx: *mut JSContext,
    _: JSValue,
    _: c_int,
    _: *mut JSValue,
    _: c_int,
    data: *mut JSValue,
) -> JSValue {
    // SAFETY: said by the caller.
    let scope = unsafe { Scope::new(ctx, state_of(data)) };
    closure::serve();
    match scope.state.take_failure() {
        Some(failure) => scope.throw(failure.rethrow(scope, "a callback from another thread")),
        None => JSValue::UNDEFINED,
    }
}
