//! Child processes: for what ends a process.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{FromRawFd, OwnedFd};
use std::os::unix::process::ExitStatusExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitStatus;

/// Does the work in a child process; how that ends, and what it writes to standard error.
pub(crate) fn in_child(work: impl FnOnce()) -> (ExitStatus, String) {
    let mut ends = [0; 2];
    // SAFETY: the child runs no code but its own, and leaves by a signal or by _exit.
    unsafe {
        assert_eq!(libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC), 0);
        let id = libc::fork();
        assert!(id >= 0, "{}", io::Error::last_os_error());
        if id == 0 {
            // No core files, and an end to a child that hangs.
            libc::setrlimit(libc::RLIMIT_CORE, &libc::rlimit { rlim_cur: 0, rlim_max: 0 });
            libc::alarm(60);
            libc::dup2(ends[1], libc::STDERR_FILENO);
            let code = if catch_unwind(AssertUnwindSafe(work)).is_ok() { 0 } else { 101 };
            libc::_exit(code);
        }
        let [reader, writer] = ends.map(|end| OwnedFd::from_raw_fd(end));
        drop(writer);
        let mut output = Vec::new();
        File::from(reader).read_to_end(&mut output).unwrap();
        let mut status = 0;
        assert_eq!(libc::waitpid(id, &mut status, 0), id);
        (ExitStatus::from_raw(status), String::from_utf8_lossy(&output).into_owned())
    }
}
