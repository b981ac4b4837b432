//! Files without a name, which hold machine code that is mapped.

use std::ffi::CStr;
use std::fs::File;
use std::io;
use std::os::fd::FromRawFd;

use crate::error::Error;

/// Creates a file that may be mapped to execute; with the flags of `memfd_create` that the caller wants besides.
///
/// Linux 6.3 brought `MFD_EXEC` and a setting under which files that do not ask for it cannot be executed; older
/// kernels refuse it as an unknown flag.
///
/// # Errors
/// What the system says.
pub(super) fn executable(name: &CStr, flags: libc::c_uint) -> io::Result<File> {
    let flags = flags | libc::MFD_CLOEXEC;
    match create(name, flags | libc::MFD_EXEC) {
        Err(error) if error.raw_os_error() == Some(libc::EINVAL) => create(name, flags),
        result => result,
    }
}

fn create(name: &CStr, flags: libc::c_uint) -> io::Result<File> {
    // SAFETY: the name is a C string.
    let descriptor = unsafe { libc::memfd_create(name.as_ptr(), flags) };
    if descriptor < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the descriptor is new, and owned by nobody else.
    Ok(unsafe { File::from_raw_fd(descriptor) })
}

/// The error of a request that the system has refused.
pub(super) fn refused(step: &'static str) -> impl FnOnce(io::Error) -> Error {
    move |source| Error::CodeMemory { step, source }
}
