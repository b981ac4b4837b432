//! Descriptors that tell event loops of something: eventfds.

use std::fs::File;
use std::io;
use std::os::fd::{FromRawFd, OwnedFd};

/// A new eventfd that does not block; its count is 0.
///
/// # Errors
/// What the system says.
pub(crate) fn eventfd() -> io::Result<File> {
    // SAFETY: no pointers are involved.
    let descriptor = unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) };
    if descriptor < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the descriptor is new, and owned by nobody else.
    Ok(unsafe { OwnedFd::from_raw_fd(descriptor) }.into())
}
