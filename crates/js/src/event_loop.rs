//! The event loop: timers, descriptors, signals, promises.
//!
//! A round waits until a timer is due, a descriptor is ready or a signal has come, then runs the functions of all that
//! are, one by one. After each of them the pending jobs (promise reactions, microtasks) run, and rejections that nothing
//! handles end the run. It ends by itself where no job, timer or descriptor is left.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::ffi::{c_int, c_void};
use std::os::fd::RawFd;
use std::ptr;
use std::time::{Duration, Instant};
use std::{io, mem};

use rquickjs_sys as qjs;

use crate::engine::{Context, Kept, PromiseState, Value};
use crate::host::Host;
use crate::report::{self, Error};
use crate::signals;
use crate::standard::stdio::Stream;

/// What of a descriptor a function waits for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Direction {
    Read,
    Write,
}

impl Direction {
    fn events(self) -> i16 {
        match self {
            Self::Read => libc::POLLIN,
            Self::Write => libc::POLLOUT,
        }
    }
}

/// Names a timer; JavaScript has it as a number.
pub(crate) type TimerId = i64;

struct Timer {
    function: Kept,
    arguments: Vec<Kept>,
    /// The time between two calls, of a timer that repeats.
    interval: Option<Duration>,
}

/// What the loop waits for. It belongs to a runtime and is emptied before the runtime is freed.
#[derive(Default)]
pub(crate) struct State {
    timers: RefCell<BTreeMap<(Instant, TimerId), Timer>>,
    last_timer: Cell<TimerId>,
    handlers: RefCell<BTreeMap<(RawFd, Direction), Kept>>,
    signals: RefCell<BTreeMap<c_int, Kept>>,
    /// Rejected promises that nothing handles so far, with their reasons.
    rejections: RefCell<Vec<(Kept, Kept)>>,
}

/// What is to be run in a round.
enum Task {
    Timer((Instant, TimerId)),
    Handler((RawFd, Direction)),
    Signal(c_int),
}

/// What waiting came to.
enum Wait {
    Tasks(Vec<Task>),
    Woken,
    /// There is nothing to wait for.
    Idle,
}

impl State {
    /// Lets go of all values.
    pub(crate) fn clear(&self) {
        // Each table is taken out before its values end, as an end may come back to this state.
        let signals = self.signals.take();
        for signal in signals.keys() {
            // It was set before, so it can be set.
            let _ = signals::set(*signal, signals::Action::Default);
        }
        drop((self.timers.take(), self.handlers.take(), signals, self.rejections.take()));
    }

    pub(crate) fn add_timer<'js>(
        &self,
        function: Value<'js>,
        arguments: impl Iterator<Item = Value<'js>>,
        delay: Duration,
        repeats: bool,
    ) -> TimerId {
        let id = self.last_timer.get() + 1;
        self.last_timer.set(id);
        let timer = Timer {
            function: function.keep(),
            arguments: arguments.map(Value::keep).collect(),
            interval: repeats.then_some(delay),
        };
        self.timers.borrow_mut().insert((Instant::now() + delay, id), timer);
        id
    }

    pub(crate) fn remove_timer(&self, id: TimerId) {
        let mut timers = self.timers.borrow_mut();
        let key = timers.keys().find(|(_, timer)| *timer == id).copied();
        let timer = key.and_then(|key| timers.remove(&key));
        drop(timers);
        drop(timer);
    }

    pub(crate) fn set_handler(&self, descriptor: RawFd, direction: Direction, function: Option<Value<'_>>) {
        Self::replace(&self.handlers, (descriptor, direction), function);
    }

    /// Sets the function that a signal runs. That there is one leaves nothing to wait for.
    pub(crate) fn set_signal(&self, signal: c_int, function: Option<Value<'_>>) {
        Self::replace(&self.signals, signal, function);
    }

    fn replace<K: Ord>(table: &RefCell<BTreeMap<K, Kept>>, key: K, function: Option<Value<'_>>) {
        let mut entries = table.borrow_mut();
        let previous = match function {
            Some(function) => entries.insert(key, function.keep()),
            None => entries.remove(&key),
        };
        // Its end may come back to the table.
        drop(entries);
        drop(previous);
    }

    /// Waits until something is to be done, or `wake` can be read from.
    fn wait(&self, wake: Option<RawFd>) -> io::Result<Wait> {
        let noted = signals::take(self.signals.borrow().keys().copied());
        if !noted.is_empty() {
            return Ok(Wait::Tasks(noted.into_iter().map(Task::Signal).collect()));
        }
        let next_timer = self.timers.borrow().keys().next().map(|(due, _)| *due);
        let keys: Vec<(RawFd, Direction)> = self.handlers.borrow().keys().copied().collect();
        if keys.is_empty() && next_timer.is_none() && wake.is_none() {
            return Ok(Wait::Idle);
        }
        // What was printed is to be had while this waits.
        if next_timer.is_none_or(|due| due > Instant::now()) {
            Stream::output().flush();
        }

        let bell = (!self.signals.borrow().is_empty()).then(signals::bell);
        let waited = keys.iter().map(|(fd, direction)| (*fd, direction.events()));
        let mut entries: Vec<libc::pollfd> = waited
            .chain(bell.into_iter().chain(wake).map(|fd| (fd, libc::POLLIN)))
            .map(|(fd, events)| libc::pollfd { fd, events, revents: 0 })
            .collect();
        poll(&mut entries, next_timer)?;
        if bell.is_some() && entries[keys.len()].revents != 0 {
            // The next round finds which signals have come.
            signals::silence();
        }
        if wake.is_some() && entries.last().is_some_and(|entry| entry.revents != 0) {
            return Ok(Wait::Woken);
        }
        let now = Instant::now();
        let timers = self.timers.borrow();
        let due = timers.keys().take_while(|(due, _)| *due <= now).map(|key| Task::Timer(*key));
        // Errors and hang-ups count as well: the function finds them when it reads or writes.
        let ready = keys.iter().zip(&entries).filter(|(_, entry)| entry.revents != 0);
        Ok(Wait::Tasks(due.chain(ready.map(|(key, _)| Task::Handler(*key))).collect()))
    }

    /// The function of a task and its arguments, unless what ran before it took it back.
    fn take<'js>(&self, task: &Task, context: Context<'js>) -> Option<(Value<'js>, Vec<Value<'js>>)> {
        match task {
            Task::Handler(key) => Self::function(&self.handlers, key, context),
            Task::Signal(signal) => Self::function(&self.signals, signal, context),
            Task::Timer(key) => {
                let mut timers = self.timers.borrow_mut();
                let timer = timers.remove(key)?;
                let arguments = timer.arguments.iter().map(|argument| argument.get(context)).collect();
                let call = (timer.function.get(context), arguments);
                if let Some(interval) = timer.interval {
                    timers.insert((Instant::now() + interval, key.1), timer);
                }
                Some(call)
            }
        }
    }

    fn function<'js, K: Ord>(
        table: &RefCell<BTreeMap<K, Kept>>,
        key: &K,
        context: Context<'js>,
    ) -> Option<(Value<'js>, Vec<Value<'js>>)> {
        table.borrow().get(key).map(|function| (function.get(context), Vec::new()))
    }

    /// Forgets that a promise was rejected, as something has handled it.
    fn forget_rejection(&self, promise: &Value<'_>) {
        let mut rejections = self.rejections.borrow_mut();
        let at = rejections.iter().position(|(rejected, _)| rejected.get(promise.context()).is_same(promise));
        let handled = at.map(|at| rejections.swap_remove(at));
        drop(rejections);
        drop(handled);
    }
}

/// Notes the rejections of the context's runtime.
pub(crate) fn install(context: Context<'_>) {
    // SAFETY: the runtime is valid, and the function has the signature that is asked for.
    unsafe {
        qjs::JS_SetHostPromiseRejectionTracker(context.runtime(), Some(track_rejection), ptr::null_mut());
    }
}

/// Notes rejections that nothing handles, and that something handles one after all.
unsafe extern "C" fn track_rejection(
    context: *mut qjs::JSContext,
    promise: qjs::JSValue,
    reason: qjs::JSValue,
    is_handled: bool,
    _: *mut c_void,
) {
    // SAFETY: QuickJS calls with a valid context, on the thread that runs it.
    let context = unsafe { Context::from_raw(context) };
    // SAFETY: the values are QuickJS's during this call.
    let (promise, reason) = unsafe { (Value::from_borrowed(context, promise), Value::from_borrowed(context, reason)) };
    let state = Host::of(context).events();
    if is_handled {
        state.forget_rejection(&promise);
    } else {
        state.rejections.borrow_mut().push((promise.keep(), reason.keep()));
    }
}

/// Polls until a descriptor is ready or the time has come.
fn poll(entries: &mut [libc::pollfd], until: Option<Instant>) -> io::Result<()> {
    loop {
        let timeout = until.map_or(-1, |until| {
            // Rounded up: a timer is not early.
            let left = until.saturating_duration_since(Instant::now()).as_nanos().div_ceil(1_000_000);
            i32::try_from(left).unwrap_or(i32::MAX)
        });
        // SAFETY: the table has as many entries as said.
        if unsafe { libc::poll(entries.as_mut_ptr(), entries.len() as libc::nfds_t, timeout) } >= 0 {
            return Ok(());
        }
        let error = io::Error::last_os_error();
        if error.kind() != io::ErrorKind::Interrupted {
            return Err(error);
        }
    }
}

/// Runs until no job, timer or descriptor is left.
///
/// # Errors
///
/// For an exception that nothing caught, and a rejection that nothing handled.
pub(crate) fn run(context: Context<'_>) -> Result<(), Error> {
    run_until(context, None, || false).map(drop)
}

/// Runs until `wake` can be read from.
///
/// # Errors
///
/// As [`run`]; what is left to do stays.
pub(crate) fn run_until_readable(context: Context<'_>, wake: RawFd) -> Result<(), Error> {
    run_until(context, Some(wake), || false).map(drop)
}

/// Runs until a promise is settled; the value that it was fulfilled with, or `value` where it is no promise.
///
/// # Errors
///
/// As [`run`], for the rejection of the promise, and where nothing is left that could settle it.
pub(crate) fn settle<'js>(value: Value<'js>) -> Result<Value<'js>, Error> {
    let context = value.context();
    let is_settled = || {
        Host::of(context).events().forget_rejection(&value);
        !matches!(value.promise_state(), PromiseState::Pending)
    };
    run_until(context, None, is_settled)?;
    match value.promise_state() {
        PromiseState::Fulfilled(result) => Ok(result),
        PromiseState::Rejected(reason) => Err(report::exception(&reason)),
        PromiseState::Pending => Err(Error::Stalled),
        PromiseState::NoPromise => Ok(value),
    }
}

fn run_until(context: Context<'_>, wake: Option<RawFd>, is_reached: impl Fn() -> bool) -> Result<(), Error> {
    let state = Host::of(context).events();
    // What is reached already is not to be lost by what else there is to run.
    if is_reached() {
        return Ok(());
    }
    loop {
        run_jobs(context)?;
        if is_reached() {
            return Ok(());
        }
        check_rejections(context)?;
        let tasks = match state.wait(wake).map_err(Error::Wait)? {
            Wait::Tasks(tasks) => tasks,
            Wait::Woken | Wait::Idle => return Ok(()),
        };
        for (function, arguments) in tasks.iter().filter_map(|task| state.take(task, context)) {
            function.call(&context.undefined(), &arguments).map_err(|_| report::pending_exception(context))?;
            run_jobs(context)?;
            if is_reached() {
                return Ok(());
            }
            check_rejections(context)?;
        }
    }
}

fn run_jobs(context: Context<'_>) -> Result<(), Error> {
    while context.run_job().map_err(|_| report::pending_exception(context))? {}
    Ok(())
}

fn check_rejections(context: Context<'_>) -> Result<(), Error> {
    let rejections = mem::take(&mut *Host::of(context).events().rejections.borrow_mut());
    if rejections.is_empty() {
        return Ok(());
    }
    let reasons = rejections.iter().map(|(_, reason)| reason.get(context));
    Err(report::rejections(reasons))
}
