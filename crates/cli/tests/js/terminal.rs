//! A program at a terminal: what is typed, what it shows.

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd};
use std::process::{Child, Command};
use std::ptr;
use std::time::{Duration, Instant};

/// How long a program is waited for.
const PATIENCE: Duration = Duration::from_secs(60);

/// A terminal with a program at it.
pub(crate) struct Terminal {
    program: Child,
    /// The side of the one who types.
    keyboard: File,
    /// What was shown and not yet expected.
    shown: String,
}

impl Terminal {
    pub(crate) fn start(command: &mut Command) -> Terminal {
        let (mut keyboard, mut screen) = (0, 0);
        // SAFETY: there is place for both descriptors; the rest is left to the system.
        let status = unsafe { libc::openpty(&mut keyboard, &mut screen, ptr::null_mut(), ptr::null(), ptr::null()) };
        assert_eq!(status, 0, "{}", io::Error::last_os_error());
        // SAFETY: both are new and ours.
        let (keyboard, screen) = unsafe { (File::from_raw_fd(keyboard), OwnedFd::from_raw_fd(screen)) };
        let copy = || screen.try_clone().expect("a descriptor");
        let program = command.stdin(copy()).stdout(copy()).stderr(copy()).spawn().expect("the program starts");
        Terminal { program, keyboard, shown: String::new() }
    }

    pub(crate) fn send(&mut self, keys: &str) {
        self.keyboard.write_all(keys.as_bytes()).expect("the terminal takes keys");
    }

    pub(crate) fn enter(&mut self, line: &str) {
        self.send(line);
        self.send("\r");
    }

    /// Waits until all of the texts are shown, in any order, and forgets what was shown up to the last of them.
    pub(crate) fn expect(&mut self, texts: &[&str]) {
        let until = Instant::now() + PATIENCE;
        loop {
            let ends: Option<Vec<usize>> =
                texts.iter().map(|text| self.shown.find(text).map(|at| at + text.len())).collect();
            if let Some(end) = ends.and_then(|ends| ends.into_iter().max()) {
                self.shown.drain(..end);
                return;
            }
            assert!(self.read(until), "{texts:?} are not shown, but {:?}", self.shown);
        }
    }

    /// The status that the program ends with.
    pub(crate) fn status(mut self) -> Option<i32> {
        let until = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.program.try_wait().expect("the program can be asked") {
                return status.code();
            }
            assert!(Instant::now() < until, "the program does not end; shown: {:?}", self.shown);
            self.read(Instant::now() + Duration::from_millis(20));
        }
    }

    /// Reads what is shown; whether something was in time.
    fn read(&mut self, until: Instant) -> bool {
        let mut entry = libc::pollfd { fd: self.keyboard.as_raw_fd(), events: libc::POLLIN, revents: 0 };
        let timeout = until.saturating_duration_since(Instant::now()).as_millis() as i32;
        // SAFETY: there is one entry.
        if unsafe { libc::poll(&raw mut entry, 1, timeout) } <= 0 {
            return false;
        }
        let mut memory = [0; 4096];
        // Where the program has gone, there is an error.
        let Ok(count) = self.keyboard.read(&mut memory) else { return false };
        self.shown += &String::from_utf8_lossy(&memory[..count]);
        count > 0
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.program.kill();
        let _ = self.program.wait();
    }
}
