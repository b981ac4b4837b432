//! What a thread keeps for its guarded calls: its recovery records, and a stack for signal handlers.
//!
//! A signal handler asks for it, so it is kept by a POSIX key and not in a `thread_local!`: a library that was opened at
//! run time gets memory for those when a thread first uses them, which a handler may not wait for.
//! `pthread_getspecific` only reads.

use std::cell::Cell;
use std::ffi::{c_int, c_void};
use std::io;
use std::ptr::{null_mut, without_provenance_mut};
use std::sync::OnceLock;

use super::record::Record;
use crate::error::{Error, Result};

/// Where each thread finds its own; made with the first guard.
static KEY: OnceLock<libc::pthread_key_t> = OnceLock::new();

/// The state of a thread that has made a guarded call. It is freed when the thread ends.
pub(super) struct Thread {
    /// The record of the innermost guarded call, or null.
    pub(super) innermost: Cell<*mut Record>,
    /// Whether that call has called back.
    pub(super) suspended: Cell<bool>,
    /// Dropped with it; `None` where the thread had one.
    _alternate: Option<AlternateStack>,
}

/// Makes the key, if there is none. Not to be called by two threads at once.
///
/// # Errors
/// [`Error::Signals`] where the process has no key left.
pub(super) fn prepare() -> Result<()> {
    if KEY.get().is_some() {
        return Ok(());
    }
    let mut key = 0;
    // SAFETY: the destructor frees what `current_or_new` stores under this key.
    let code = unsafe { libc::pthread_key_create(&raw mut key, Some(free)) };
    if code != 0 {
        return Err(refused("pthread_key_create", io::Error::from_raw_os_error(code)));
    }
    KEY.get_or_init(|| key);
    Ok(())
}

/// The key's destructor.
unsafe extern "C" fn free(thread: *mut c_void) {
    // SAFETY: it was made by `current_or_new` of this thread, which makes no call any more; the system has taken it
    // from the key.
    drop(unsafe { Box::from_raw(thread.cast::<Thread>()) });
}

impl Thread {
    /// This thread's, if it has made a guarded call. Async-signal-safe.
    ///
    /// It lives as long as the thread runs code that could ask for it, and never leaves the thread.
    pub(super) fn current() -> Option<&'static Thread> {
        let key = *KEY.get()?;
        // SAFETY: what is stored under the key is null or a `Thread` that is freed with this thread.
        unsafe { libc::pthread_getspecific(key).cast::<Thread>().as_ref() }
    }

    /// This thread's, made with its first guarded call.
    ///
    /// # Errors
    /// [`Error::Signals`] where the system refuses memory.
    pub(super) fn current_or_new() -> Result<&'static Thread> {
        match Thread::current() {
            Some(thread) => Ok(thread),
            None => Thread::create(),
        }
    }

    #[cold]
    fn create() -> Result<&'static Thread> {
        prepare()?;
        let key = *KEY.get().ok_or_else(|| refused("pthread_key_create", io::ErrorKind::NotFound.into()))?;
        let alternate = AlternateStack::unless_there_is_one()?;
        let thread =
            Box::new(Thread { innermost: Cell::new(null_mut()), suspended: Cell::new(false), _alternate: alternate });
        let thread = Box::into_raw(thread);
        // SAFETY: the key is this module's.
        let code = unsafe { libc::pthread_setspecific(key, thread.cast_const().cast()) };
        if code != 0 {
            // SAFETY: it has just been made, and nobody has it.
            drop(unsafe { Box::from_raw(thread) });
            return Err(refused("pthread_setspecific", io::Error::from_raw_os_error(code)));
        }
        // SAFETY: it is freed with the thread.
        Ok(unsafe { &*thread })
    }
}

fn refused(step: &'static str, source: io::Error) -> Error {
    Error::Signals { step, source }
}

/// Room for a handler and what it calls, the crash report's backtrace among it.
const ROOM: usize = 64 << 10;

/// A stack for signal handlers, above a guard page: where a thread's own has overflowed, a handler has no other.
struct AlternateStack {
    mapping: *mut c_void,
    page: usize,
    size: usize,
}

impl AlternateStack {
    /// Makes this thread's, unless it has one, as the threads of Rust's standard library do.
    fn unless_there_is_one() -> Result<Option<AlternateStack>> {
        let old = query().map_err(|source| refused("sigaltstack", source))?;
        if old.ss_flags & libc::SS_DISABLE == 0 { Ok(None) } else { AlternateStack::new().map(Some) }
    }

    fn new() -> Result<AlternateStack> {
        /// The least that the kernel asks for on this processor (getauxval(3)).
        const AT_MINSIGSTKSZ: libc::c_ulong = 51;
        // SAFETY: both are questions.
        let (page, least) = unsafe { (libc::sysconf(libc::_SC_PAGESIZE), libc::getauxval(AT_MINSIGSTKSZ)) };
        let page = usize::try_from(page).unwrap_or(4096);
        let size = (ROOM + least as usize).next_multiple_of(page);
        let (protection, flags) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
        // SAFETY: a new mapping replaces none.
        let mapping = unsafe { libc::mmap(null_mut(), page + size, protection, flags | libc::MAP_STACK, -1, 0) };
        if mapping == libc::MAP_FAILED {
            return Err(refused("mmap", io::Error::last_os_error()));
        }
        let stack = AlternateStack { mapping, page, size };
        stack.install().map_err(|source| refused("sigaltstack", source))?;
        Ok(stack)
    }

    fn install(&self) -> io::Result<()> {
        // SAFETY: the guard page is the mapping's first; the rest is nobody else's.
        unsafe {
            check(libc::mprotect(self.mapping, self.page, libc::PROT_NONE))?;
            let stack = libc::stack_t { ss_sp: self.start(), ss_flags: 0, ss_size: self.size };
            check(libc::sigaltstack(&raw const stack, null_mut()))
        }
    }

    fn start(&self) -> *mut c_void {
        self.mapping.wrapping_byte_add(self.page)
    }
}

impl Drop for AlternateStack {
    fn drop(&mut self) {
        let off = libc::stack_t { ss_sp: null_mut(), ss_flags: libc::SS_DISABLE, ss_size: 0 };
        // SAFETY: the thread ends, and runs no handler on this stack; the mapping is this one's.
        unsafe {
            if query().is_ok_and(|current| current.ss_sp == self.start()) {
                libc::sigaltstack(&raw const off, null_mut());
            }
            libc::munmap(self.mapping, self.page + self.size);
        }
    }
}

/// The thread's alternate stack.
fn query() -> io::Result<libc::stack_t> {
    let mut stack = libc::stack_t { ss_sp: without_provenance_mut(0), ss_flags: 0, ss_size: 0 };
    // SAFETY: nothing is changed.
    check(unsafe { libc::sigaltstack(null_mut(), &raw mut stack) })?;
    Ok(stack)
}

fn check(code: c_int) -> io::Result<()> {
    if code == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
