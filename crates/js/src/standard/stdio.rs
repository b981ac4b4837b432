//! C's streams: what JavaScript writes stands in order with what C functions print.

use std::ffi::{CStr, c_int};
use std::io;

/// A stream that the process opened, or was given.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stream(*mut libc::FILE);

unsafe extern "C" {
    static mut stdin: *mut libc::FILE;
    static mut stdout: *mut libc::FILE;
    static mut stderr: *mut libc::FILE;
}

/// The system's reason for the last failure, as a negative number.
fn negative_errno() -> c_int {
    -io::Error::last_os_error().raw_os_error().unwrap_or(libc::EIO)
}

impl Stream {
    pub(crate) fn input() -> Self {
        // SAFETY: the C library sets the variable before the program starts.
        Self(unsafe { stdin })
    }

    pub(crate) fn output() -> Self {
        // SAFETY: the C library sets the variable before the program starts.
        Self(unsafe { stdout })
    }

    pub(crate) fn error() -> Self {
        // SAFETY: the C library sets the variable before the program starts.
        Self(unsafe { stderr })
    }

    pub(crate) fn is_standard(self) -> bool {
        [Self::input(), Self::output(), Self::error()].contains(&self)
    }

    /// # Errors
    ///
    /// `errno`.
    pub(crate) fn open(path: &CStr, mode: &CStr) -> Result<Self, c_int> {
        // SAFETY: both are C strings.
        Self::opened(unsafe { libc::fopen(path.as_ptr(), mode.as_ptr()) })
    }

    /// # Errors
    ///
    /// `errno`.
    pub(crate) fn of_descriptor(descriptor: c_int, mode: &CStr) -> Result<Self, c_int> {
        // SAFETY: the mode is a C string; what descriptor it is, JavaScript says as C would.
        Self::opened(unsafe { libc::fdopen(descriptor, mode.as_ptr()) })
    }

    /// # Errors
    ///
    /// `errno`.
    pub(crate) fn temporary() -> Result<Self, c_int> {
        // SAFETY: it takes nothing.
        Self::opened(unsafe { libc::tmpfile() })
    }

    /// The output of a command, or its input.
    ///
    /// # Errors
    ///
    /// `errno`.
    pub(crate) fn of_command(command: &CStr, mode: &CStr) -> Result<Self, c_int> {
        // SAFETY: both are C strings.
        Self::opened(unsafe { libc::popen(command.as_ptr(), mode.as_ptr()) })
    }

    fn opened(stream: *mut libc::FILE) -> Result<Self, c_int> {
        if stream.is_null() { Err(-negative_errno()) } else { Ok(Self(stream)) }
    }

    /// # Safety
    ///
    /// The stream is not used afterwards.
    pub(crate) unsafe fn close(self) -> c_int {
        // SAFETY: the stream is open, as its owner closes it once.
        if unsafe { libc::fclose(self.0) } == 0 { 0 } else { negative_errno() }
    }

    /// Closes a command's stream and waits for its end: its status.
    ///
    /// # Safety
    ///
    /// The stream is of [`Stream::of_command`] and not used afterwards.
    pub(crate) unsafe fn close_command(self) -> c_int {
        // SAFETY: as the caller says.
        let status = unsafe { libc::pclose(self.0) };
        if status == -1 { negative_errno() } else { status }
    }

    /// Writes what can be written: how many bytes that were.
    pub(crate) fn write(self, content: &[u8]) -> usize {
        // SAFETY: the stream is open, and the content as long as said.
        unsafe { libc::fwrite(content.as_ptr().cast(), 1, content.len(), self.0) }
    }

    /// Reads what there is, to fill `memory`: how many bytes that were.
    ///
    /// # Safety
    ///
    /// The memory may be written.
    pub(crate) unsafe fn read(self, memory: *mut [u8]) -> usize {
        // SAFETY: the stream is open, and the memory as the caller says.
        unsafe { libc::fread(memory.cast(), 1, memory.len(), self.0) }
    }

    pub(crate) fn get_byte(self) -> Option<u8> {
        // SAFETY: the stream is open.
        u8::try_from(unsafe { libc::fgetc(self.0) }).ok()
    }

    /// The byte, or -1.
    pub(crate) fn put_byte(self, byte: c_int) -> c_int {
        // SAFETY: the stream is open.
        unsafe { libc::fputc(byte, self.0) }
    }

    pub(crate) fn flush(self) {
        // SAFETY: the stream is open.
        unsafe { libc::fflush(self.0) };
    }

    pub(crate) fn tell(self) -> i64 {
        // SAFETY: the stream is open.
        unsafe { libc::ftello(self.0) }
    }

    /// 0, or a negative `errno`.
    pub(crate) fn seek(self, offset: i64, whence: c_int) -> c_int {
        // SAFETY: the stream is open.
        if unsafe { libc::fseeko(self.0, offset, whence) } == 0 { 0 } else { negative_errno() }
    }

    pub(crate) fn is_at_end(self) -> bool {
        // SAFETY: the stream is open.
        unsafe { libc::feof(self.0) != 0 }
    }

    pub(crate) fn has_error(self) -> bool {
        // SAFETY: the stream is open.
        unsafe { libc::ferror(self.0) != 0 }
    }

    pub(crate) fn clear_error(self) {
        // SAFETY: the stream is open.
        unsafe { libc::clearerr(self.0) };
    }

    pub(crate) fn descriptor(self) -> c_int {
        // SAFETY: the stream is open.
        unsafe { libc::fileno(self.0) }
    }
}
