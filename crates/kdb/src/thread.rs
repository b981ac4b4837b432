//! What belongs to a thread: its errno as C left it, whether a callback has failed, and, on q's main thread, all that is
//! kept for the process.

use std::cell::{Cell, RefCell};
use std::ffi::c_void;
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};

use jitcall::Errno;
use jitcall::bridge::State;

use crate::callback::Callbacks;
use crate::declared::Declared;
use crate::error::{Class, Fault, Result};
use crate::function::Functions;
use crate::guard::Guarded;
use crate::host::K;

/// What belongs to a thread.
pub(crate) struct Thread {
    /// The words that emitted code reads and writes.
    pub(crate) bridge: State,
    /// What the first callback has failed with, until the call that led to it returns.
    failure: RefCell<Option<Fault>>,
    /// What is kept for the process; of q's main thread alone.
    main: Option<Main>,
}

/// What is kept for the process. None of it is ever dropped.
#[derive(Default)]
pub(crate) struct Main {
    pub(crate) functions: Functions,
    pub(crate) callbacks: Callbacks,
    pub(crate) declared: Declared,
    pub(crate) guarded: Guarded,
}

impl Main {
    /// The C function behind a function of q's, where it is one of this library's.
    pub(crate) fn target(&self, function: K<'_>) -> Option<*const c_void> {
        let lettered = self.functions.behind(function).map(|(function, _)| function.target());
        lettered.or_else(|| self.declared.target(function))
    }
}

thread_local! {
    /// That of q's main thread, there.
    static MAIN: Cell<*const Thread> = const { Cell::new(ptr::null()) };
    /// That of any other thread.
    static OTHER: Thread = Thread::new(None);
}

/// What a callback was refused with on another thread, for q's main one.
static REFUSED: Mutex<Option<Fault>> = Mutex::new(None);

/// The word that says so to q's main thread, once there is one.
static MAIN_FAILED: AtomicPtr<AtomicU32> = AtomicPtr::new(ptr::null_mut());

fn take(refused: &Mutex<Option<Fault>>) -> Option<Fault> {
    refused.lock().unwrap_or_else(PoisonError::into_inner).take()
}

impl Thread {
    fn new(main: Option<Main>) -> Thread {
        Thread { bridge: State::for_this_thread(), failure: RefCell::new(None), main }
    }

    /// What is kept for the process.
    ///
    /// # Errors
    /// `'os` on another thread than q's main one.
    pub(crate) fn main(&self) -> Result<&Main> {
        self.main.as_ref().ok_or_else(|| Fault::new(Class::Os, "only q's main thread may do this"))
    }

    /// Whether a callback has failed, and the call that led to it has not returned.
    #[inline]
    pub(crate) fn has_failed(&self) -> bool {
        self.bridge.failed.load(Ordering::Relaxed) != 0
    }

    /// # Errors
    /// What a callback has failed with below the call that has just returned.
    #[inline]
    pub(crate) fn check_callbacks(&self) -> Result<()> {
        if self.has_failed() { self.take_failure().map_or(Ok(()), Err) } else { Ok(()) }
    }

    /// Keeps the first failure of callbacks below a call. Where no call is on its way, as below q's main loop, nobody could
    /// report it: it is written out.
    pub(crate) fn park(&self, failure: Fault) {
        if self.bridge.calls.get() == 0 {
            eprintln!("'{failure}");
            return;
        }
        self.failure.borrow_mut().get_or_insert(failure);
        self.bridge.failed.store(1, Ordering::Relaxed);
    }

    /// Runs a call into C: with errno as it was left, and counted.
    #[inline]
    pub(crate) fn calling<R>(&self, call: impl FnOnce() -> R) -> R {
        let calls = self.bridge.calls.replace(self.bridge.calls.get() + 1);
        Errno(self.bridge.errno.get()).set();
        let result = call();
        self.bridge.errno.set(Errno::get().0);
        self.bridge.calls.set(calls);
        result
    }

    /// Writes out a failure that no call can report, as none is on its way; says whether that was so.
    #[cold]
    pub(crate) fn forget_failure(&self) -> bool {
        if self.bridge.calls.get() != 0 {
            return false;
        }
        if let Some(failure) = self.take_failure() {
            eprintln!("'{failure}");
        }
        true
    }

    /// The failure of a callback below the call that has just returned.
    #[cold]
    pub(crate) fn take_failure(&self) -> Option<Fault> {
        self.bridge.failed.store(0, Ordering::Relaxed);
        let refused = if self.main.is_some() { take(&REFUSED) } else { None };
        self.failure.take().or(refused)
    }
}

/// Keeps for q's main thread that one of its callbacks was called on another thread, and did not run.
pub(crate) fn refuse() {
    let failure = Fault::new(Class::Os, "a callback was called on another thread than q's main one");
    REFUSED.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(failure);
    // SAFETY: the main thread's own is never freed.
    if let Some(failed) = unsafe { MAIN_FAILED.load(Ordering::Acquire).as_ref() } {
        failed.store(1, Ordering::Relaxed);
    }
}

/// Runs something with the thread's own.
#[inline]
pub(crate) fn with<R>(f: impl FnOnce(&Thread) -> R) -> R {
    let main = MAIN.get();
    if main.is_null() {
        return OTHER.with(f);
    }
    // SAFETY: it is never freed.
    f(unsafe { &*main })
}

/// Makes the thread that comes here first q's main one: q loads libraries there.
pub(crate) fn begin() {
    static BEGUN: AtomicBool = AtomicBool::new(false);
    if BEGUN.swap(true, Ordering::Relaxed) {
        return;
    }
    let main: &'static Thread = Box::leak(Box::new(Thread::new(Some(Main::default()))));
    MAIN_FAILED.store((&raw const main.bridge.failed).cast_mut(), Ordering::Release);
    MAIN.set(main);
}

/// That of q's main thread, there.
pub(crate) fn main() -> Option<&'static Thread> {
    // SAFETY: it is never freed.
    unsafe { MAIN.get().as_ref() }
}
