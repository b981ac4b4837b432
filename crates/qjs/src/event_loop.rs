//! The host's event loop, by way of `setReadHandler` of its module `os`: what waits for other threads keeps it running.
//!
//! The host watches one descriptor, which gathers what the module waits for: quickjs-ng looks at as many descriptors as
//! can be read, from the first one on, and never at one that can be read behind others that cannot.

use std::cell::{Cell, RefCell};
use std::ffi::c_int;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::thread;
use std::time::Duration;

use jitcall::Pool;
use jitcall::closure;

use crate::asynchronous::{self, Waiting};
use crate::error::{Failure, Result};
use crate::host::{JS_EVAL_TYPE_GLOBAL, JS_EVAL_TYPE_MODULE, JSContext, JSValue, tag};
use crate::scope::{Owned, Scope};
use crate::state::State;

/// How many calls can wait for a thread.
const QUEUE: usize = 1 << 16;

/// How long callbacks are waited for before it is seen whether calls have ended.
const TURN: Duration = Duration::from_millis(1);

/// What a state has to do with the event loop.
pub(crate) struct EventLoop {
    /// `os.setReadHandler`, once it was needed.
    set_read_handler: Cell<JSValue>,
    /// What the host watches, once there was something to wait for.
    gathered: RefCell<Option<OwnedFd>>,
    /// How many descriptors it gathers.
    watched: Cell<usize>,
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
            gathered: RefCell::default(),
            watched: Cell::new(0),
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

    /// Ends it; gives the values that it owned. Calls that run are waited for: what they were given is theirs. The caller
    /// has callbacks refused meanwhile.
    pub(crate) fn close(&self) -> Vec<JSValue> {
        self.end_calls();
        drop(self.gathered.take());
        let values = self.values();
        self.waiting.take();
        self.set_read_handler.set(JSValue::UNDEFINED);
        values
    }

    /// Waits for the calls that run; the others are never begun. One that runs may itself wait for a callback on this
    /// thread.
    fn end_calls(&self) {
        let Some(pool) = self.pool.take() else { return };
        if self.callbacks.get() == 0 {
            return drop(pool);
        }
        // Where no thread is to be had, the pool is dropped here.
        let Ok(ending) = thread::Builder::new().spawn(move || drop(pool)) else { return };
        while !ending.is_finished() {
            closure::serve_for(TURN);
        }
    }

    /// The descriptor that gathers others, which is made when it is first needed.
    fn gathered(&self) -> Result<RawFd> {
        let mut gathered = self.gathered.borrow_mut();
        if let Some(descriptor) = &*gathered {
            return Ok(descriptor.as_raw_fd());
        }
        // SAFETY: needs nothing.
        let descriptor = unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) };
        if descriptor < 0 {
            return Err(no_descriptor(&io::Error::last_os_error()));
        }
        // SAFETY: it is open, and nobody else's.
        *gathered = Some(unsafe { OwnedFd::from_raw_fd(descriptor) });
        Ok(descriptor)
    }

    /// Adds a descriptor to those that are gathered, or takes it away.
    fn gather(&self, operation: c_int, descriptor: RawFd) -> Result<()> {
        let mut event = libc::epoll_event { events: libc::EPOLLIN as u32, u64: 0 };
        // SAFETY: both descriptors are open, and the event is good for the call.
        let status = unsafe { libc::epoll_ctl(self.gathered()?, operation, descriptor, &raw mut event) };
        if status < 0 { Err(no_descriptor(&io::Error::last_os_error())) } else { Ok(()) }
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
    watch(scope, descriptor)
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
        watch(scope, notifier()?)?;
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
    let descriptor = closure::notifier().map_err(|error| no_descriptor(&error))?;
    Ok(descriptor.as_raw_fd())
}

fn no_descriptor(error: &io::Error) -> Failure {
    Failure::other(format!("no descriptor: {error}"))
}

/// Has the host wait for one descriptor more.
fn watch(scope: Scope<'_>, descriptor: RawFd) -> Result<()> {
    let event_loop = &scope.state.event_loop;
    event_loop.gather(libc::EPOLL_CTL_ADD, descriptor)?;
    event_loop.watched.set(event_loop.watched.get() + 1);
    if event_loop.watched.get() > 1 {
        return Ok(());
    }
    let data = JSValue::plain(scope.host().double, std::ptr::from_ref(scope.state).expose_provenance() as u64);
    let owner = scope.state.keeper(scope)?;
    let mut data = [data, *owner];
    // SAFETY: the host takes references of its own to the values.
    let handler = scope.own(unsafe {
        (scope.host().api.JS_NewCFunctionData)(scope.ctx, something_waits, 0, 0, 2, data.as_mut_ptr())
    })?;
    set_handler(scope, *handler)
}

/// One descriptor less.
fn leave(scope: Scope<'_>, descriptor: RawFd) -> Result<()> {
    let event_loop = &scope.state.event_loop;
    event_loop.gather(libc::EPOLL_CTL_DEL, descriptor)?;
    event_loop.watched.set(event_loop.watched.get() - 1);
    if event_loop.watched.get() == 0 { set_handler(scope, JSValue::NULL) } else { Ok(()) }
}

fn set_handler(scope: Scope<'_>, handler: JSValue) -> Result<()> {
    let descriptor = scope.state.event_loop.gathered()?;
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
    scope.evaluate(c"delete globalThis.__ffi_set_read_handler", c"ffi", JS_EVAL_TYPE_GLOBAL)?;
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
unsafe extern "C" fn something_waits(
    ctx: *mut JSContext,
    _: JSValue,
    _: c_int,
    _: *mut JSValue,
    _: c_int,
    data: *mut JSValue,
) -> JSValue {
    // SAFETY: said by the caller.
    let scope = unsafe { Scope::new(ctx, state_of(data)) };
    scope.finish(serve(scope).map(|()| JSValue::UNDEFINED))
}

/// Runs callbacks that wait, and settles calls that are done.
fn serve(scope: Scope<'_>) -> Result<()> {
    closure::serve();
    let is_waiting = !scope.state.event_loop.waiting.borrow().is_empty();
    if is_waiting {
        asynchronous::settle(scope)?;
    }
    match scope.state.take_failure() {
        Some(failure) => Err(failure.rethrow(scope, "a callback from another thread")),
        None => Ok(()),
    }
}
