//! Callbacks that other threads wait for: q's main loop runs them.

use std::ffi::c_int;
use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicBool, Ordering};

use jitcall::closure;

use crate::convert::to_q;
use crate::error::{Class, Fault, Result};
use crate::host::{self, Object, Owned};

/// Has q's main loop run callbacks that wait, from now on.
///
/// # Errors
/// `'limit` where the system gives no descriptor.
pub(crate) fn begin() -> Result<()> {
    static BEGUN: AtomicBool = AtomicBool::new(false);
    if BEGUN.load(Ordering::Relaxed) {
        return Ok(());
    }
    let watch = host::api::watch().ok_or_else(|| Fault::new(Class::Os, "queued: this process has no function sd1"))?;
    let descriptor = closure::notifier().map_err(|error| Fault::new(Class::Limit, error.to_string()))?;
    // SAFETY: the descriptor is open as long as this thread runs, which is q's main one.
    let made = unsafe { watch(descriptor.as_raw_fd(), serve) };
    if made.is_null() {
        return Err(Fault::new(Class::Limit, "q's main loop takes no more descriptors"));
    }
    BEGUN.store(true, Ordering::Relaxed);
    // SAFETY: the reference is ours.
    drop(unsafe { Owned::new(made) });
    Ok(())
}

/// Runs what waits.
unsafe extern "C-unwind" fn serve(_: c_int) -> *mut Object {
    closure::serve();
    // Where it is given null, q waits no longer.
    to_q::identity().into_raw()
}
