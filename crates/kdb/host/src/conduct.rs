//! The thread that is q's, and what is done on the wrong one.

use std::ffi::{c_int, c_longlong};
use std::sync::atomic::{AtomicI32, AtomicI64, AtomicU16, Ordering};

/// The number of q's thread; 0 before there is one.
static MAIN: AtomicU16 = AtomicU16::new(0);
static VIOLATIONS: AtomicI64 = AtomicI64::new(0);

/// The number of this thread, from 1.
pub(crate) fn thread() -> u16 {
    static LAST: AtomicU16 = AtomicU16::new(0);
    thread_local! {
        static NUMBER: u16 = LAST.fetch_add(1, Ordering::Relaxed) + 1;
    }
    NUMBER.with(|number| *number)
}

/// Notes and reports something that kdb+ would not survive.
pub(crate) fn violation(what: &str) {
    VIOLATIONS.fetch_add(1, Ordering::Relaxed);
    eprintln!("q: {what}");
}

/// Whether this is q's thread; if not, that is a violation by the named function.
pub(crate) fn is_main(function: &str) -> bool {
    let is_main = MAIN.load(Ordering::Relaxed) == thread();
    if !is_main {
        violation(&format!("{function} is called on a thread that is not q's"));
    }
    is_main
}

/// Makes the thread that calls q's.
#[unsafe(no_mangle)]
extern "C" fn host_main_thread() {
    MAIN.store(thread(), Ordering::Relaxed);
}

/// How often something was done that kdb+ would not survive; counts from 0 again.
#[unsafe(no_mangle)]
extern "C" fn host_violations() -> c_longlong {
    VIOLATIONS.swap(0, Ordering::Relaxed)
}

/// Symbols are shared by threads, whatever this says. Gives the earlier setting.
#[unsafe(no_mangle)]
extern "C" fn setm(setting: c_int) -> c_int {
    static SETTING: AtomicI32 = AtomicI32::new(0);
    SETTING.swap(setting, Ordering::Relaxed)
}
