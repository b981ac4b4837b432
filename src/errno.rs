//! The thread's `errno`.

use std::fmt;

use crate::closure::thread_pointer;

/// A value of `errno`; 0 means that no error was reported.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Errno(pub i32);

impl Errno {
    /// The calling thread's `errno`.
    #[inline(always)]
    pub fn get() -> Errno {
        // SAFETY: the location is the thread's own, valid as long as the thread runs.
        Errno(unsafe { *libc::__errno_location() })
    }

    /// Makes this the calling thread's `errno`.
    #[inline(always)]
    pub fn set(self) {
        // SAFETY: as in `get`.
        unsafe { *libc::__errno_location() = self.0 }
    }
}

/// How far the thread's `errno` is from the thread pointer, in bytes: the same in all threads, since glibc keeps it in the
/// static TLS block (the ELF ABI's initial-exec model). Absent where that is farther than an instruction's reach.
pub(crate) fn thread_offset() -> Option<i32> {
    // SAFETY: the function only says where the thread's own `errno` is.
    let location = unsafe { libc::__errno_location() }.addr();
    i32::try_from(location.wrapping_sub(thread_pointer()) as isize).ok()
}

impl fmt::Display for Errno {
    /// The number and the system's text.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", std::io::Error::from_raw_os_error(self.0))
    }
}
