//! Faults in foreign code: calls that report them as errors, and a report where they end the process.
//!
//! Nothing here happens unless it is asked for, and calls that are not guarded take no instruction more for it.
//!
//! A fault is what the system signals by `SIGSEGV`, `SIGBUS`, `SIGFPE` or `SIGILL` because an instruction did what it
//! may not. Under a [`Guard`], one that hits while foreign code runs ends the call with [`Error::Fault`]:
//!
//! ```
//! use jitcall::{Error, Library, Value, guard::Guard};
//!
//! let strlen = Library::process().function("size_t strlen(const char *s)")?;
//! let guard = Guard::install()?;
//! // SAFETY: the declaration is right; the pointer is not, and `strlen` holds nothing that could be lost.
//! let error = unsafe { guard.call(&strlen, &[Value::NULL]) }.unwrap_err();
//! let Error::Fault(fault) = &error else { panic!("{error}") };
//! assert_eq!((fault.signal_name(), fault.address), ("SIGSEGV", 0));
//! assert!(error.to_string().starts_with("strlen(s = null): SIGSEGV (address not mapped) at 0x0, in "));
//! # Ok::<(), Error>(())
//! ```
//!
//! # How it works
//!
//! A guarded call goes through an assembly function that has the type of every call stub (`asm/*/guard.s`). It saves the
//! callee-saved registers and the control words of floating point, leaves its stack pointer in a *recovery record*, and
//! calls the stub. The signal handler finds the thread's innermost record and makes the thread go on in that function,
//! which restores what it has saved and returns. The frames between are gone, as with `longjmp`.
//!
//! While foreign code calls back, the record is *suspended*: the frames of a callback are not foreign code's, and a fault
//! in it does what it would do without a guard. A guarded call that the callback makes has a record of its own.
//!
//! # What a recovered fault leaves behind
//!
//! The call is over, but nothing that it did is undone: locks that the foreign code held stay held (the C library's for
//! `malloc` among them, if the fault was in there), its memory and files stay open, what it was writing stays half
//! written, and `errno`, the thread's blocked signals and the process's other state are what they were at the fault. A
//! program should report the error, save what it can, and end. `docs/safety.md` says more.
//!
//! # Other handlers
//!
//! Faults that are not for a guarded call go to the handlers that were installed before. One that is installed later
//! gets faults first; the guard sees those that it passes on.

mod fault;
mod handlers;
mod place;
mod record;
mod report;
mod thread;

#[cfg(target_arch = "aarch64")]
#[path = "aarch64.rs"]
mod arch;
#[cfg(target_arch = "x86_64")]
#[path = "x86_64.rs"]
mod arch;

use std::env;

pub use fault::Fault;
pub use place::{Place, Symbol};

pub(crate) use record::{active, suspend};

use crate::closure::failure::Outer;
use crate::errno::Errno;
use crate::error::{Error, Result};
use crate::function::Function;
use crate::value::{Slot, Value};

/// The variable that asks for crash reports: `1`. It is read when an engine is made.
pub const REPORT_VARIABLE: &str = "JITCALL_CRASH_REPORT";

/// The right to make guarded calls, in any thread. As long as there is one, the process has handlers for faults.
#[derive(Debug)]
pub struct Guard(());

impl Guard {
    /// Installs the handlers, if no other guard has.
    ///
    /// They are taken off when the last guard is dropped. Where somebody has installed another handler over one of them
    /// meanwhile, that one stays, and ours beneath it passes on all that it is called for.
    ///
    /// # Errors
    /// [`Error::Signals`] where the system refuses.
    pub fn install() -> Result<Guard> {
        handlers::acquire()?;
        Ok(Guard(()))
    }

    /// Calls a function as [`Function::call`] does, and reports a fault in it as an error.
    ///
    /// A thread's first guarded call makes it an alternate signal stack, if it has none, so that a stack that overflows
    /// is reported too.
    ///
    /// # Errors
    /// As for [`Function::call`]; [`Error::Signals`] where the system refuses memory for the thread, and nothing was
    /// called; and [`Error::Fault`].
    ///
    /// # Safety
    /// As for [`Function::call`], but for what leads to a fault. In addition:
    /// - What a fault leaves behind, as the [module](self) says, does no harm to what the program does next. In
    ///   particular, nothing that was lent to the call is relied on to be in a valid state, and no lock that the call
    ///   may have left taken is waited for.
    /// - Where foreign code calls back into code that may not be left without unwinding, as all Rust code with values to
    ///   drop, that happens by a callback of this engine or within [`suspended`].
    pub unsafe fn call(&self, function: &Function, arguments: &[Value<'_>]) -> Result<Value<'static>> {
        // SAFETY: the caller keeps the same promises.
        unsafe { call(function, arguments, None) }
    }

    /// Calls a function as [`Guard::call`] does, and gives the `errno` that the call left, as
    /// [`Function::call_with_errno`] does.
    ///
    /// # Errors
    /// As for [`Guard::call`].
    ///
    /// # Safety
    /// As for [`Guard::call`].
    pub unsafe fn call_with_errno(
        &self,
        function: &Function,
        arguments: &[Value<'_>],
    ) -> Result<(Value<'static>, Errno)> {
        let mut errno = Errno(0);
        // SAFETY: the caller keeps the same promises.
        let value = unsafe { call(function, arguments, Some(&mut errno))? };
        Ok((value, errno))
    }

    /// Calls a function as [`Function::call_slots`] does, and reports a fault in it as an error. Allocates nothing where
    /// there is none, but for what a thread's first guarded call makes.
    ///
    /// ```
    /// use jitcall::{Library, Slot, guard::Guard};
    ///
    /// let labs = Library::process().function("long labs(long j)")?;
    /// let guard = Guard::install()?;
    /// let mut result = 0i64;
    /// // SAFETY: that is how <stdlib.h> declares it; slots and result are as it says.
    /// unsafe { guard.call_slots(&labs, [Slot::from(-42i64)].as_ptr(), (&raw mut result).cast())? };
    /// assert_eq!(result, 42);
    /// # Ok::<(), jitcall::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Signals`] and [`Error::Fault`], as for [`Guard::call`]. The result's bytes are unspecified then.
    ///
    /// # Safety
    /// As for [`CallInterface::call`](crate::CallInterface::call), but for what leads to a fault; and as for
    /// [`Guard::call`]. Every byte of an argument is initialised, padding included, because they are read to show the
    /// argument.
    pub unsafe fn call_slots(&self, function: &Function, arguments: *const Slot, result: *mut u8) -> Result<()> {
        let outer = Outer::begin();
        // SAFETY: the caller keeps the same promises.
        let caught = unsafe { record::run(function, arguments, result, None) };
        let checked = outer.check(|| function.signature().title());
        match caught? {
            None => checked,
            // SAFETY: the slots are still there.
            Some(caught) => Err(Error::Fault(Box::new(unsafe { Fault::of_slots(function, arguments, caught) }))),
        }
    }
}

/// A guarded call by values.
///
/// # Safety
/// As for [`Guard::call`].
unsafe fn call(function: &Function, arguments: &[Value<'_>], errno: Option<&mut Errno>) -> Result<Value<'static>> {
    function.call_through(arguments, |slots, result| {
        let outer = Outer::begin();
        // SAFETY: slots and result are as the declaration says; the caller answers for the rest.
        let caught = unsafe { record::run(function, slots, result, errno) };
        let checked = outer.check(|| function.signature().title());
        match caught? {
            None => checked,
            Some(caught) => Err(Error::Fault(Box::new(Fault::of_values(function, arguments, caught)))),
        }
    })
}

impl Drop for Guard {
    fn drop(&mut self) {
        handlers::release();
    }
}

/// Runs `f` as a callback of the engine runs: below a guarded call, a fault in it is not recovered, because the frames
/// of Rust are not to be left without unwinding. It does what it would do without a guard.
///
/// For functions that foreign code calls, and that the engine did not make:
///
/// ```
/// use jitcall::{Library, Value, guard::{self, Guard}};
///
/// extern "C" fn compare(a: &i32, b: &i32) -> i32 {
///     guard::suspended(|| a.cmp(b) as i32)
/// }
///
/// let qsort = "void qsort(void *base, size_t n, size_t size, int (*compare)(const void *, const void *))";
/// let qsort = Library::process().function(qsort)?;
/// let compare = Value::from(compare as *const ());
/// let mut numbers = [3, 1, 2];
/// // SAFETY: that is how <stdlib.h> declares it, and the elements are what `compare` takes.
/// unsafe { Guard::install()?.call(&qsort, &[(&mut numbers).into(), 3.into(), 4.into(), compare])? };
/// assert_eq!(numbers, [1, 2, 3]);
/// # Ok::<(), jitcall::Error>(())
/// ```
pub fn suspended<R>(f: impl FnOnce() -> R) -> R {
    let _suspended = active().then(suspend);
    f()
}

/// From now on, a fault that ends the process is reported on standard error first: the signal, the address, the
/// instruction's place, the guarded call that the thread is in, if any, and a backtrace.
///
/// A call that is not guarded cannot be named, because it leaves no trace; the backtrace has the function, if the library
/// exports it or the foreign code still has its frame. Backtraces end at stubs that have no unwind tables.
///
/// The report is printed before the previous handler or the default action, once in a process; also where a previous
/// handler would resume the program, as those of some runtimes do that use faults for their own ends. Its first lines need no
/// locks but the dynamic loader's; should the backtrace hang, those are there. A stack overflow is reported in threads
/// that have an alternate signal stack, as those of Rust's standard library do. The handlers stay installed until the
/// process ends.
///
/// The variable [`REPORT_VARIABLE`] with the value `1` does the same when the first engine is made.
///
/// # Errors
/// [`Error::Signals`] where the system refuses the handlers.
///
/// ```
/// jitcall::guard::report_crashes()?;
/// # Ok::<(), jitcall::Error>(())
/// ```
pub fn report_crashes() -> Result<()> {
    if report::want() {
        handlers::acquire().inspect_err(|_| report::unwant())?;
    }
    Ok(())
}

/// Does so where [`REPORT_VARIABLE`] asks for it. Where the system refuses, crashes are as they are without.
pub(crate) fn report_crashes_if_asked() {
    if env::var_os(REPORT_VARIABLE).is_some_and(|value| value == "1") {
        let _ = report_crashes();
    }
}
