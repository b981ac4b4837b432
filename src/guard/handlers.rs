//! The process's handlers of faults: installed over those that were there, which get what is not for guarded calls.
//!
//! ```text
//!   fault --> on_signal --> in foreign code of a guarded call?  resume there
//!                       --> are crashes to be reported?         print it
//!                       --> the handler found before, or the default action
//! ```

use std::ffi::{c_int, c_void};
use std::mem::{self, MaybeUninit};
use std::ptr::{null, null_mut};
use std::sync::atomic::{AtomicPtr, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::{array, io};

use super::record::{self, Caught};
use super::{report, thread};
use crate::error::{Error, Result};

/// The signals by which the system reports what an instruction may not do.
pub(super) const SIGNALS: [c_int; 4] = [libc::SIGSEGV, libc::SIGBUS, libc::SIGFPE, libc::SIGILL];

/// What was installed before, for each signal. A handler may be reading it at any time, so none is ever freed.
static PREVIOUS: [AtomicPtr<libc::sigaction>; SIGNALS.len()] = [const { AtomicPtr::new(null_mut()) }; SIGNALS.len()];

static STATE: Mutex<State> = Mutex::new(State { users: 0, beneath: [false; SIGNALS.len()] });

struct State {
    /// How many want the handlers: guards, and the crash report.
    users: usize,
    /// Whether somebody had installed a handler over ours when ours was to be taken off. Theirs may call ours, so that
    /// ours must not call theirs.
    beneath: [bool; SIGNALS.len()],
}

fn state() -> MutexGuard<'static, State> {
    STATE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Installs the handlers for one more user.
///
/// # Errors
/// [`Error::Signals`] where the system refuses; then nothing has changed.
pub(super) fn acquire() -> Result<()> {
    let mut state = state();
    thread::prepare()?;
    if state.users == 0 {
        for index in 0..SIGNALS.len() {
            if let Err(source) = state.hook(index) {
                (0..index).for_each(|index| state.unhook(index));
                return Err(Error::Signals { step: "sigaction", source });
            }
        }
    }
    state.users += 1;
    Ok(())
}

/// Takes the handlers off with the last user, except where somebody has installed another over ours.
pub(super) fn release() {
    let mut state = state();
    state.users -= 1;
    if state.users == 0 {
        (0..SIGNALS.len()).for_each(|index| state.unhook(index));
    }
}

impl State {
    fn hook(&mut self, index: usize) -> io::Result<()> {
        let current = query(SIGNALS[index])?;
        if is_ours(&current) || (self.beneath[index] && is_function(&current)) {
            return Ok(());
        }
        // It has to be known before the handler can run.
        remember(index, &current);
        set(SIGNALS[index], &ours(&current))?;
        self.beneath[index] = false;
        Ok(())
    }

    fn unhook(&mut self, index: usize) {
        let previous = PREVIOUS[index].load(Ordering::Acquire);
        let still_ours = query(SIGNALS[index]).is_ok_and(|current| is_ours(&current));
        // SAFETY: what `remember` stores is never freed.
        let restored = still_ours && unsafe { previous.as_ref() }.is_some_and(|old| set(SIGNALS[index], old).is_ok());
        self.beneath[index] = !restored;
    }
}

/// Publishes what is installed before our handler. What was published before stays in memory, for a handler that may be
/// reading it, unless it is the same.
fn remember(index: usize, action: &libc::sigaction) {
    let known = PREVIOUS[index].load(Ordering::Acquire);
    // SAFETY: what is stored here is never freed.
    let same = unsafe { known.as_ref() }.is_some_and(|known| is_same(known, action));
    if !same {
        PREVIOUS[index].store(Box::into_raw(Box::new(*action)), Ordering::Release);
    }
}

fn is_same(one: &libc::sigaction, other: &libc::sigaction) -> bool {
    one.sa_sigaction == other.sa_sigaction
        && one.sa_flags == other.sa_flags
        && members(&one.sa_mask).eq(members(&other.sa_mask))
}

/// Whether each signal is in the set, from 1 on.
fn members(set: &libc::sigset_t) -> impl Iterator<Item = bool> {
    // SAFETY: the set was filled by the system, and the signals are its own.
    let all: [bool; 64] = array::from_fn(|index| unsafe { libc::sigismember(set, index as c_int + 1) } == 1);
    all.into_iter()
}

/// Our handler's action. It blocks what the previous one's did, since it calls that.
fn ours(previous: &libc::sigaction) -> libc::sigaction {
    let kept = previous.sa_flags & (libc::SA_NODEFER | libc::SA_RESTART);
    let mut action = *previous;
    action.sa_sigaction = address();
    action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK | kept;
    action.sa_restorer = None;
    action
}

fn address() -> usize {
    on_signal as *const () as usize
}

fn is_ours(action: &libc::sigaction) -> bool {
    action.sa_sigaction == address()
}

fn is_function(action: &libc::sigaction) -> bool {
    ![libc::SIG_DFL, libc::SIG_IGN].contains(&action.sa_sigaction)
}

fn query(signal: c_int) -> io::Result<libc::sigaction> {
    let mut action = MaybeUninit::uninit();
    // SAFETY: nothing is changed, and the system fills the action where it returns 0.
    unsafe {
        match libc::sigaction(signal, null(), action.as_mut_ptr()) {
            0 => Ok(action.assume_init()),
            _ => Err(io::Error::last_os_error()),
        }
    }
}

fn set(signal: c_int, action: &libc::sigaction) -> io::Result<()> {
    // SAFETY: the action is one that was installed before, or `on_signal`'s, which is always there.
    match unsafe { libc::sigaction(signal, action, null_mut()) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Has the default action happen at the next such signal. Async-signal-safe.
pub(super) fn set_default(signal: c_int) {
    // SAFETY: all zeros is an action with an empty mask and no flags.
    let mut action: libc::sigaction = unsafe { mem::zeroed() };
    action.sa_sigaction = libc::SIG_DFL;
    // It fails for numbers only that are no signals.
    let _ = set(signal, &action);
}

/// The handler.
unsafe extern "C" fn on_signal(signal: c_int, info: *mut libc::siginfo_t, context: *mut c_void) {
    // SAFETY: the system gives a handler with SA_SIGINFO both; if another handler called this one, it passed on its own.
    unsafe {
        let caught = Caught::new(signal, info, context.cast());
        if record::recover(caught, context.cast()) {
            return;
        }
        report::report(caught);
        pass_on(caught, info, context);
    }
}

/// Does what would have happened without this handler. Async-signal-safe, if the previous handler is.
///
/// # Safety
/// `info` and `context` are what the handler was given.
unsafe fn pass_on(caught: Caught, info: *mut libc::siginfo_t, context: *mut c_void) {
    let signal = caught.signal;
    let index = SIGNALS.iter().position(|known| *known == signal).unwrap_or(0);
    // SAFETY: what `remember` stores is never freed.
    let previous = unsafe { PREVIOUS[index].load(Ordering::Acquire).as_ref() };
    match previous.filter(|previous| is_function(previous)) {
        // SAFETY: the address is that of a handler, and its flags say which kind it is.
        Some(previous) => unsafe {
            if previous.sa_flags & libc::SA_RESETHAND != 0 {
                set_default(signal);
            }
            if previous.sa_flags & libc::SA_SIGINFO != 0 {
                type Handler = unsafe extern "C" fn(c_int, *mut libc::siginfo_t, *mut c_void);
                mem::transmute::<usize, Handler>(previous.sa_sigaction)(signal, info, context);
            } else {
                mem::transmute::<usize, unsafe extern "C" fn(c_int)>(previous.sa_sigaction)(signal);
            }
        },
        // A fault cannot be ignored: the system ends the process all the same.
        None if caught.is_sent() && previous.is_some_and(|old| old.sa_sigaction == libc::SIG_IGN) => (),
        None => die(caught),
    }
}

/// Ends the process by the signal: when the handler returns, the instruction runs again and faults again, or the signal
/// that was sent is sent again.
fn die(caught: Caught) {
    set_default(caught.signal);
    if caught.is_sent() {
        // SAFETY: a signal has no preconditions; this one waits until the handler returns.
        unsafe { libc::raise(caught.signal) };
    }
}
