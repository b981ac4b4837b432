//! Recovery records: what a guarded call leaves on its stack for the signal handler.
//!
//! The records of a thread form a stack, the innermost call's on top. Its own [`Thread`] says which that is:
//!
//! ```text
//!   Thread.innermost --> record of strlen     armed: the assembly has left stack and instruction in it
//!                          | outer, suspended
//!                        (a callback, while which the outer one is suspended)
//!                          v
//!                        record of qsort      armed, but not innermost
//! ```
//!
//! A record is *armed* from the moment when the assembly's frame is complete until the stub has returned. Only then can
//! the handler resume there, and only foreign code and the stub run in between.

use std::ffi::{c_int, c_void};
use std::ptr::{null, null_mut};
use std::sync::atomic::{AtomicUsize, Ordering, compiler_fence};

use super::arch;
use super::thread::Thread;
use crate::closure::Guarded;
use crate::engine::StubFunction;
use crate::errno::Errno;
use crate::error::Result;
use crate::function::Function;
use crate::interface::Bound;
use crate::value::Slot;

/// How many guarded calls are under way, in all threads.
static ACTIVE: AtomicUsize = AtomicUsize::new(0);

/// Whether any thread is in a guarded call.
///
/// A thread that is in one sees its own contribution, whatever the others do.
#[inline(always)]
pub(crate) fn active() -> bool {
    ACTIVE.load(Ordering::Relaxed) != 0
}

/// What the assembly and the signal handler need to know of a guarded call.
#[repr(C)]
pub(super) struct Record {
    /// The stub that is called, and its context.
    pub(super) stub: StubFunction,
    pub(super) context: *const c_void,
    /// The stack pointer to resume with; null unless the record is armed.
    pub(super) stack: *mut c_void,
    /// Where to resume.
    pub(super) instruction: *const c_void,
    /// What is called.
    pub(super) function: *const Function,
    /// What the handler caught.
    pub(super) caught: Option<Caught>,
}

/// A fault as the system described it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Caught {
    pub(super) signal: c_int,
    pub(super) code: c_int,
    pub(super) address: usize,
    pub(super) instruction: usize,
}

impl Caught {
    /// # Safety
    /// Both are what a handler of one of [`super::handlers::SIGNALS`] was given.
    pub(super) unsafe fn new(signal: c_int, info: *const libc::siginfo_t, context: *const libc::ucontext_t) -> Caught {
        // SAFETY: these signals carry an address, unless they were sent, and then reading it is reading what else is
        // in the same place.
        unsafe {
            let address = (*info).si_addr().addr();
            Caught { signal, code: (*info).si_code, address, instruction: arch::instruction(&*context) }
        }
    }

    /// Whether somebody sent the signal, so that no instruction caused it (sigaction(2): the codes of the kernel's own
    /// signals are positive).
    pub(super) fn is_sent(&self) -> bool {
        self.code <= 0
    }
}

/// Calls a function under a record, and says what was caught; the result is unspecified then. Where `errno` is asked for,
/// it is 0 when the function is entered, and read before anything else can change it.
///
/// # Errors
/// [`Error::Signals`](crate::Error::Signals) where the thread cannot be prepared; nothing was called.
///
/// # Safety
/// As for [`Function::call_slots`]. No frame between this one and a fault needs to be cleaned up.
pub(super) unsafe fn run(
    function: &Function,
    arguments: *const Slot,
    result: *mut u8,
    errno: Option<&mut Errno>,
) -> Result<Option<Caught>> {
    let thread = Thread::current_or_new()?;
    let Bound { stub, context, .. } = *function.bound();
    let mut record = Record { stub, context, stack: null_mut(), instruction: null(), function, caught: None };
    let record = &raw mut record;
    let linked = Linked::new(thread, record);
    if errno.is_some() {
        Errno(0).set();
    }
    // SAFETY: the guarded call returns what the stub in its record returns; the caller answers for that stub's call.
    unsafe { function.interface().invoke(arch::call, record.cast_const().cast(), arguments, result) };
    if let Some(errno) = errno {
        *errno = Errno::get();
    }
    drop(linked);
    // SAFETY: the record is above, and the handler is done with it.
    Ok(unsafe { (*record).caught })
}

/// A record that is its thread's innermost one; in the end, and where a panic or an exception passes, the outer one is
/// again.
struct Linked<'a> {
    thread: &'a Thread,
    outer: *mut Record,
    suspended: bool,
    /// Has closures suspend the call while their handlers run.
    _callbacks: Guarded,
}

impl Linked<'_> {
    fn new(thread: &Thread, record: *mut Record) -> Linked<'_> {
        ACTIVE.fetch_add(1, Ordering::Relaxed);
        let outer = thread.innermost.replace(record);
        Linked { thread, outer, suspended: thread.suspended.replace(false), _callbacks: Guarded::begin() }
    }
}

impl Drop for Linked<'_> {
    fn drop(&mut self) {
        self.thread.suspended.set(self.suspended);
        self.thread.innermost.set(self.outer);
        ACTIVE.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Resumes the innermost guarded call of this thread when the handler returns, if the fault is that call's; says
/// whether it is. Async-signal-safe.
///
/// # Safety
/// `context` is what a handler was given with this fault, in the thread that it hit.
pub(super) unsafe fn recover(caught: Caught, context: *mut libc::ucontext_t) -> bool {
    let Some(thread) = Thread::current() else { return false };
    let record = thread.innermost.get();
    if caught.is_sent() || thread.suspended.get() || record.is_null() {
        return false;
    }
    // SAFETY: a linked record is on the stack of a call that has not returned; the thread is in this handler, so
    // nobody else uses it. Where it is armed, the assembly's frame is at `stack`.
    unsafe {
        if (*record).stack.is_null() {
            return false;
        }
        (*record).caught = Some(caught);
        arch::resume(&mut *context, (*record).stack.addr(), (*record).instruction.addr());
        (*record).stack = null_mut();
    }
    true
}

/// While it lives, faults are not those of this thread's innermost guarded call: foreign code has called back, and what
/// runs may not be left without unwinding. It has to be dropped by the callback that made it, before it returns.
#[must_use]
pub(crate) struct Suspended {
    thread: Option<&'static Thread>,
    before: bool,
}

/// Keeps this thread's innermost guarded call from recovering; a guarded call below has a record of its own.
pub(crate) fn suspend() -> Suspended {
    let thread = Thread::current();
    let before = thread.is_some_and(|thread| thread.suspended.replace(true));
    // What follows may fault, which the compiler does not expect of it.
    compiler_fence(Ordering::SeqCst);
    Suspended { thread, before }
}

impl Drop for Suspended {
    fn drop(&mut self) {
        compiler_fence(Ordering::SeqCst);
        if let Some(thread) = self.thread {
            thread.suspended.set(self.before);
        }
    }
}
