//! The thread's `errno`.

use std::fmt;

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

impl fmt::Display for Errno {
    /// The number and the system's text.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", std::io::Error::from_raw_os_error(self.0))
    }
}
