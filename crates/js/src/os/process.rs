//! The process, other processes, time.

use std::os::unix::ffi::OsStrExt;
use std::time::Duration;
use std::{env, mem, process, thread};

use super::{errno, status};
use crate::engine::{Arguments, Context, Outcome};
use crate::host::Host;
use crate::signals::{self, Action};

pub(super) fn getpid<'js>(context: Context<'js>, _: Arguments<'_, 'js>) -> Outcome<'js> {
    Ok(context.integer(process::id().into()))
}

pub(super) fn kill<'js>(context: Context<'js>, arguments: Arguments<'_, 'js>) -> Outcome<'js> {
    let (process, signal) = (arguments.get(0).to_i32()?, arguments.get(1).to_i32()?);
    // SAFETY: it takes any values.
    status(context, unsafe { libc::kill(process, signal) })
}

/// Lets a function be called when a signal comes; null gives back what the system does then, undefined does nothing.
pub(super) fn signal<'js>(context: Context<'js>, arguments: Arguments<'_, 'js>) -> Outcome<'js> {
    let (signal, function) = (arguments.get(0).to_i32()?, arguments.get(1));
    let action = match &function {
        function if function.is_null() => Action::Default,
        function if function.is_undefined() => Action::Ignore,
        function if function.is_function() => Action::Note,
        _ => return Err(context.throw_type_error("not a function")),
    };
    if let Err(error) = signals::set(signal, action) {
        return Err(context.throw_range_error(&format!("signal {signal} cannot be set: {error}")));
    }
    Host::of(context).events().set_signal(signal, (action == Action::Note).then_some(function));
    Ok(context.undefined())
}

/// `[process or negative errno, status]`.
pub(super) fn waitpid<'js>(context: Context<'js>, arguments: Arguments<'_, 'js>) -> Outcome<'js> {
    let (process, options) = (arguments.get(0).to_i32()?, arguments.get(1).to_i32()?);
    let mut end = 0;
    // SAFETY: there is place for the status.
    let found = unsafe { libc::waitpid(process, &raw mut end, options) };
    let (found, end) = if found == -1 { (-errno(), 0) } else { (found, end) };
    context.array([context.integer(found.into()), context.integer(end.into())])
}

/// Microseconds of the monotonic clock.
pub(super) fn now<'js>(context: Context<'js>, _: Arguments<'_, 'js>) -> Outcome<'js> {
    // SAFETY: all zeros are a time.
    let mut time: libc::timespec = unsafe { mem::zeroed() };
    // SAFETY: there is place for the time; the clock is one that every Linux has.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut time) };
    Ok(context.integer(time.tv_sec * 1_000_000 + time.tv_nsec / 1000))
}

/// Microseconds that the process has computed.
pub(super) fn cputime<'js>(context: Context<'js>, _: Arguments<'_, 'js>) -> Outcome<'js> {
    // SAFETY: all zeros are a usage.
    let mut usage: libc::rusage = unsafe { mem::zeroed() };
    // SAFETY: there is place for the usage.
    unsafe { libc::getrusage(libc::RUSAGE_SELF, &raw mut usage) };
    Ok(context.integer(usage.ru_utime.tv_sec * 1_000_000 + usage.ru_utime.tv_usec))
}

/// Where the program lies, undefined where that cannot be told.
pub(super) fn exe_path<'js>(context: Context<'js>, _: Arguments<'_, 'js>) -> Outcome<'js> {
    match env::current_exe() {
        Ok(path) => context.string(path.as_os_str().as_bytes()),
        Err(_) => Ok(context.undefined()),
    }
}

fn milliseconds<'js>(arguments: Arguments<'_, 'js>) -> Outcome<'js, Duration> {
    let delay = arguments.get(0).to_i64()?;
    Ok(Duration::from_millis(u64::try_from(delay).unwrap_or(0)))
}

/// Sleeps, and everything with it.
pub(super) fn sleep<'js>(context: Context<'js>, arguments: Arguments<'_, 'js>) -> Outcome<'js> {
    thread::sleep(milliseconds(arguments)?);
    Ok(context.integer(0))
}

/// A promise that is fulfilled after a time.
pub(super) fn sleep_async<'js>(context: Context<'js>, arguments: Arguments<'_, 'js>) -> Outcome<'js> {
    let delay = milliseconds(arguments)?;
    let (promise, resolve) = context.promise()?;
    Host::of(context).events().add_timer(resolve, std::iter::empty(), delay, false);
    Ok(promise)
}
