//! Signals that JavaScript functions handle.
//!
//! A handler may do next to nothing where it interrupts a program. So it only notes the signal and rings a bell, a
//! descriptor that the event loop waits for; the loop runs the function when nothing else runs.

use std::ffi::c_int;
use std::os::fd::RawFd;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicI32, AtomicU64, Ordering};
use std::{io, mem, ptr};

/// What is to happen when a signal comes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    /// It is noted.
    Note,
    Ignore,
    /// What the system does by itself.
    Default,
}

/// The signals that have come, a bit each.
static NOTED: AtomicU64 = AtomicU64::new(0);

/// Readable once a signal has come; -1 before the first function is set.
static BELL: AtomicI32 = AtomicI32::new(-1);

/// Signals by which the processor tells of a fault: its instruction would only be tried again after a function.
const FAULTS: [c_int; 5] = [libc::SIGSEGV, libc::SIGBUS, libc::SIGFPE, libc::SIGILL, libc::SIGTRAP];

fn bit(signal: c_int) -> u64 {
    1 << (signal - 1)
}

/// The handler.
extern "C" fn note(signal: c_int) {
    NOTED.fetch_or(bit(signal), Ordering::SeqCst);
    let one = 1_u64;
    // SAFETY: `write` is async-signal-safe, and reads eight bytes of a variable. It cannot fail, which would change what
    // the interrupted code has in `errno`: the bell is there, and its counter far from its end.
    unsafe { libc::write(BELL.load(Ordering::SeqCst), (&raw const one).cast(), 8) };
}

/// Makes the bell.
fn make_bell() -> io::Result<()> {
    static MADE: OnceLock<i32> = OnceLock::new();
    let made = MADE.get_or_init(|| {
        // SAFETY: no pointers are passed.
        let bell = unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) };
        BELL.store(bell, Ordering::SeqCst);
        if bell < 0 { io::Error::last_os_error().raw_os_error().unwrap_or(libc::EMFILE) } else { 0 }
    });
    if *made == 0 { Ok(()) } else { Err(io::Error::from_raw_os_error(*made)) }
}

/// Sets what a signal does.
///
/// # Errors
///
/// Where there is no such signal, or none of which a program may say what it does; for signals of faults, which are the
/// engine's and Rust's.
pub(crate) fn set(signal: c_int, action: Action) -> io::Result<()> {
    if FAULTS.contains(&signal) || !(1..=64).contains(&signal) {
        return Err(io::Error::from_raw_os_error(libc::EINVAL));
    }
    if action == Action::Note {
        make_bell()?;
    }
    // SAFETY: all zeros are an action: of no flags and an empty mask.
    let mut new: libc::sigaction = unsafe { mem::zeroed() };
    new.sa_sigaction = match action {
        Action::Note => note as extern "C" fn(c_int) as libc::sighandler_t,
        Action::Ignore => libc::SIG_IGN,
        Action::Default => libc::SIG_DFL,
    };
    // C functions that a script calls are not interrupted; threads may have small stacks.
    new.sa_flags = libc::SA_RESTART | libc::SA_ONSTACK;
    // SAFETY: the action is a valid one, and its function is safe in a handler.
    if unsafe { libc::sigaction(signal, &raw const new, ptr::null_mut()) } != 0 {
        return Err(io::Error::last_os_error());
    }
    if action != Action::Note {
        NOTED.fetch_and(!bit(signal), Ordering::SeqCst);
    }
    Ok(())
}

/// What becomes readable when a signal comes.
pub(crate) fn bell() -> RawFd {
    BELL.load(Ordering::SeqCst)
}

/// Lets the bell be unreadable until the next signal.
pub(crate) fn silence() {
    let mut count = 0_u64;
    // SAFETY: eight bytes are written to a variable; the descriptor does not block.
    unsafe { libc::read(bell(), (&raw mut count).cast(), 8) };
}

/// Which of some signals have come since they were last asked for.
pub(crate) fn take(signals: impl Iterator<Item = c_int>) -> Vec<c_int> {
    signals.filter(|signal| NOTED.fetch_and(!bit(*signal), Ordering::SeqCst) & bit(*signal) != 0).collect()
}
