//! What becomes of a failure inside a callback: it is parked, and the call that led to the callback reports it.
//!
//! Nothing may unwind into C. So when a handler panics or returns an error, C gets the closure's default, and so it does
//! from every callback that comes after, until the foreign call returns to Rust. A call through
//! [`Function::call`](crate::Function::call) finds the failure then and returns it; who calls by slots or by types asks
//! with [`catch`] or [`take_failure`].

use std::any::Any;
use std::error::Error as StdError;
use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::closure::home::{self, Home};
use crate::error::{Error, Result, panic_text};

/// What a handler may return in place of a value: any error.
pub type HandlerError = Box<dyn StdError + Send + Sync>;

/// Why a callback returned its default.
///
/// The error that a handler returned is its [`source`](std::error::Error::source), and can be had back with its own type
/// by [`Failure::into_error`]; a panic's payload by [`Failure::into_panic`].
pub struct Failure {
    closure: String,
    cause: Cause,
}

enum Cause {
    /// In a mutex only so that the failure is `Sync`.
    Panic(Mutex<Box<dyn Any + Send>>),
    Error(HandlerError),
    Refused(String),
}

impl Failure {
    pub(crate) fn panicked(closure: String, payload: Box<dyn Any + Send>) -> Failure {
        Failure { closure, cause: Cause::Panic(Mutex::new(payload)) }
    }

    pub(crate) fn returned(closure: String, error: HandlerError) -> Failure {
        Failure { closure, cause: Cause::Error(error) }
    }

    pub(crate) fn refused(closure: String, reason: &str) -> Failure {
        Failure { closure, cause: Cause::Refused(reason.to_owned()) }
    }

    /// The closure's name, or the prototype of its signature where that has none.
    pub fn closure(&self) -> &str {
        &self.closure
    }

    /// Whether the handler panicked.
    pub fn is_panic(&self) -> bool {
        matches!(self.cause, Cause::Panic(_))
    }

    /// What the handler panicked with, to go on with by [`std::panic::resume_unwind`].
    ///
    /// # Errors
    /// The failure, where it was no panic.
    pub fn into_panic(self) -> Result<Box<dyn Any + Send>, Failure> {
        match self.cause {
            Cause::Panic(payload) => Ok(payload.into_inner().unwrap_or_else(PoisonError::into_inner)),
            cause => Err(Failure { cause, ..self }),
        }
    }

    /// The error that the handler returned.
    ///
    /// # Errors
    /// The failure, where the handler returned none.
    pub fn into_error(self) -> Result<HandlerError, Failure> {
        match self.cause {
            Cause::Error(error) => Ok(error),
            cause => Err(Failure { cause, ..self }),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "callback {}: ", self.closure)?;
        match &self.cause {
            Cause::Panic(payload) => {
                let payload = payload.lock().unwrap_or_else(PoisonError::into_inner);
                write!(f, "panicked: {}", panic_text(&**payload))
            }
            Cause::Error(error) => error.fmt(f),
            Cause::Refused(reason) => f.write_str(reason),
        }
    }
}

impl fmt::Debug for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Failure({self})")
    }
}

impl StdError for Failure {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match &self.cause {
            Cause::Error(error) => Some(&**error),
            _ => None,
        }
    }
}

/// Threads that a failure is parked on. While there are none, calls look no further.
static PARKED: AtomicUsize = AtomicUsize::new(0);

/// Whether some thread has a failure parked.
#[inline(always)]
pub(crate) fn is_any_parked() -> bool {
    PARKED.load(Ordering::Relaxed) != 0
}

/// One more thread has a failure parked.
pub(super) fn count_parked() {
    PARKED.fetch_add(1, Ordering::Relaxed);
}

/// One thread's failure is taken.
pub(super) fn count_taken() {
    PARKED.fetch_sub(1, Ordering::Relaxed);
}

/// The failure of a callback that ran on this thread since a call last reported one.
///
/// Calls by [`Function::call`](crate::Function::call) report by themselves. Other ways to call cannot; while the failure
/// is not taken, callbacks on this thread go on to return their defaults.
pub fn take_failure() -> Option<Failure> {
    if !is_any_parked() {
        return None;
    }
    home::with_current(Home::take_failure).flatten()
}

/// Makes calls of any kind, and gives the failure of a callback that they led to.
///
/// ```
/// use jitcall::{Closure, Library, Signature, closure};
/// let signature = Signature::parse("int compare(const void *, const void *)")?;
/// let compare = Closure::typed(&signature, |_: *const i32, _: *const i32| -> i32 { panic!("no order") })?;
/// let qsort = Library::process().function("void qsort(void *, size_t, size_t, int (*)(const void *, const void *))")?;
/// let qsort = qsort.typed::<(*mut i32, usize, usize, *const std::ffi::c_void), ()>()?;
/// let mut numbers = [3, 1, 2];
/// # std::panic::set_hook(Box::new(|_| ()));
/// // SAFETY: that is how <stdlib.h> declares it, and the comparison lives as long as it is used.
/// let sorted = closure::catch(|| unsafe { qsort.call((numbers.as_mut_ptr(), 3, 4, compare.as_ptr())) });
/// assert_eq!(sorted.unwrap_err().to_string(), "callback compare: panicked: no order");
/// # Ok::<(), jitcall::Error>(())
/// ```
///
/// # Errors
/// The failure; what the calls gave is dropped.
pub fn catch<R>(calls: impl FnOnce() -> R) -> Result<R, Failure> {
    let outer = Outer::begin();
    let result = calls();
    match outer.end() {
        None => Ok(result),
        Some(failure) => Err(failure),
    }
}

/// A call that reports failures, in progress. What was parked before is of an outer call, and waits here.
pub(crate) struct Outer {
    before: Option<Failure>,
}

impl Outer {
    pub(crate) fn begin() -> Outer {
        Outer { before: take_failure() }
    }

    /// The failure of a callback below the call.
    pub(crate) fn end(mut self) -> Option<Failure> {
        let own = take_failure();
        self.park_before();
        own
    }

    fn park_before(&mut self) {
        if let Some(before) = self.before.take() {
            home::with_current(|home| home.park(before));
        }
    }

    /// Whether what the call has given is worth anything.
    ///
    /// # Errors
    /// [`Error::Callback`] where a callback below the call has failed.
    pub(crate) fn check(self, function: impl FnOnce() -> String) -> Result<()> {
        match self.end() {
            None => Ok(()),
            Some(failure) => Err(Error::Callback { function: function(), failure: Box::new(failure) }),
        }
    }
}

/// Whatever came of the call, the outer one's failure still has to wait for it.
impl Drop for Outer {
    fn drop(&mut self) {
        self.park_before();
    }
}
