//! The crash report: what is printed where a fault ends the process.

use std::ffi::{CStr, c_int, c_void};
use std::fmt::{self, Write};
use std::ptr::null_mut;
use std::sync::atomic::{AtomicBool, Ordering};

use super::fault::{Reason, has_address};
use super::place;
use super::record::Caught;
use super::thread::Thread;
use crate::errno::Errno;

/// Whether reports are wanted.
static WANTED: AtomicBool = AtomicBool::new(false);
/// Whether one was printed. Another fault, in another thread or in the report itself, would disturb it.
static PRINTED: AtomicBool = AtomicBool::new(false);

/// How many frames of the backtrace are shown.
const FRAMES: usize = 64;

/// Makes reports wanted; says whether they were not before.
pub(super) fn want() -> bool {
    // The first backtrace loads the unwinder, which is no work for a signal handler.
    let mut frames = [null_mut(); 1];
    // SAFETY: there is room for as many frames as it is told.
    unsafe { libc::backtrace(frames.as_mut_ptr(), 1) };
    !WANTED.swap(true, Ordering::Relaxed)
}

/// Takes [`want`] back.
pub(super) fn unwant() {
    WANTED.store(false, Ordering::Relaxed);
}

/// Prints the report, if it is wanted and the first. Allocates nothing.
///
/// What is most certain comes first: the backtrace may need locks that the fault has left taken.
pub(super) fn report(caught: Caught) {
    if !WANTED.load(Ordering::Relaxed) || PRINTED.swap(true, Ordering::Relaxed) {
        return;
    }
    let errno = Errno::get();
    // Where standard error is gone, there is nobody to tell.
    let _ = print(&caught);
    print_backtrace();
    errno.set();
}

fn print(caught: &Caught) -> fmt::Result {
    let Caught { signal, code, address, instruction } = *caught;
    let mut out = StandardError;
    write!(out, "jitcall: {}", Reason::of(signal, code))?;
    if has_address(signal, code) {
        write!(out, " at {address:#x}")?;
    }
    writeln!(out)?;
    print_function(&mut out)?;
    write!(out, "  instruction: {instruction:#x}")?;
    if let Some(located) = place::locate(instruction) {
        if let Some((symbol, offset)) = located.symbol {
            write!(out, ", {}+{offset:#x}", Text(symbol))?;
        }
        write!(out, ", {}+{:#x}", Text(located.library), located.offset)?;
    }
    writeln!(out)
}

/// The innermost guarded call of the thread; others leave nothing to know them by.
fn print_function(out: &mut StandardError) -> fmt::Result {
    let Some(thread) = Thread::current() else { return Ok(()) };
    // SAFETY: a linked record is on the stack of a call that has not returned, and so is what it points at.
    let Some(record) = (unsafe { thread.innermost.get().as_ref() }) else { return Ok(()) };
    // SAFETY: as above.
    let signature = unsafe { (*record.function).signature() };
    let place = if thread.suspended.get() { "in a callback of" } else { "in" };
    match signature.name() {
        Some(name) => writeln!(out, "  {place} the guarded call of {name}"),
        None => writeln!(out, "  {place} a guarded call of the type {signature}"),
    }
}

fn print_backtrace() {
    let mut frames = [null_mut::<c_void>(); FRAMES];
    let _ = writeln!(StandardError, "  backtrace:");
    // SAFETY: there is room for as many frames as it is told, and as many are printed as it found.
    unsafe {
        let count = libc::backtrace(frames.as_mut_ptr(), FRAMES as c_int);
        libc::backtrace_symbols_fd(frames.as_ptr(), count, libc::STDERR_FILENO);
    }
}

/// The file descriptor, with no buffer and no lock.
struct StandardError;

impl Write for StandardError {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let mut rest = text.as_bytes();
        while !rest.is_empty() {
            // SAFETY: the bytes are there.
            let written = unsafe { libc::write(libc::STDERR_FILENO, rest.as_ptr().cast(), rest.len()) };
            rest = usize::try_from(written).ok().and_then(|written| rest.get(written..)).ok_or(fmt::Error)?;
        }
        Ok(())
    }
}

/// Text of the loader's, displayed without an allocation.
struct Text(&'static CStr);

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.to_bytes().escape_ascii())
    }
}
