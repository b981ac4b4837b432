//! The files for profilers: one set for the process, written in batches.
//!
//! A child that was forked has files of its own, under its own number, from its first new stub on. It writes nothing
//! to those of its parent: what its parent had pending when it forked is dropped with the child's copy of it.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::{Mutex, Once, PoisonError};

use super::jitdump::Jitdump;
use super::perf_map::PerfMap;
use super::{Code, Tools, report};
use crate::code::fork::{self, Generation};

/// How many bytes a batch has at least.
const BATCH: usize = 16 << 10;

/// Taken by holders of the writers' lock only, so that no child inherits it locked.
static FILES: Mutex<Option<Files>> = Mutex::new(None);

struct Files {
    opened_in: Generation,
    perf_map: State<PerfMap>,
    jitdump: State<Jitdump>,
}

impl Files {
    fn new() -> Files {
        Files { opened_in: Generation::now(), perf_map: State::Unopened, jitdump: State::Unopened }
    }

    fn flush(&mut self) {
        self.perf_map.attempt(PerfMap::flush);
        self.jitdump.attempt(Jitdump::flush);
    }
}

/// A file that tells of code.
pub(super) trait Log: Sized {
    /// Creates the process's.
    fn create() -> io::Result<Self>;
    /// Adds code to what is pending, and writes a batch that is full.
    fn add(&mut self, code: &Code<'_>) -> io::Result<()>;
    /// Writes what is pending.
    fn flush(&mut self) -> io::Result<()>;
}

/// A file that is created when it is needed, and given up at the first failure.
enum State<L> {
    Unopened,
    Open(L),
    Failed,
}

impl<L: Log> State<L> {
    fn add(&mut self, code: &Code<'_>) {
        if let State::Unopened = self {
            *self = L::create().map_or_else(State::failed, State::Open);
        }
        self.attempt(|log| log.add(code));
    }

    fn attempt(&mut self, act: impl FnOnce(&mut L) -> io::Result<()>) {
        let State::Open(log) = self else { return };
        if let Err(error) = act(log) {
            *self = State::failed(error);
        }
    }

    fn failed(error: io::Error) -> State<L> {
        report(&format!("no more is told to profilers: {error}"));
        State::Failed
    }
}

/// Tells of new code in the files that are asked for. The caller holds the writers' lock.
pub(super) fn add(tools: Tools, code: &Code<'_>) {
    static AT_EXIT: Once = Once::new();
    if !(tools.perf_map || tools.jitdump) {
        return;
    }
    // SAFETY: the handler may be called at any exit. (Where there is no memory to note it, less is written.)
    AT_EXIT.call_once(|| _ = unsafe { libc::atexit(flush_at_exit) });
    let mut files = FILES.lock().unwrap_or_else(PoisonError::into_inner);
    let files = match &mut *files {
        Some(files) if files.opened_in.is_of_this_process() => files,
        others => others.insert(Files::new()),
    };
    if tools.perf_map {
        files.perf_map.add(code);
    }
    if tools.jitdump {
        files.jitdump.add(code);
    }
}

/// Writes what is pending. The caller holds the writers' lock.
pub(super) fn flush() {
    let mut files = FILES.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(files) = files.as_mut().filter(|files| files.opened_in.is_of_this_process()) {
        files.flush();
    }
}

extern "C" fn flush_at_exit() {
    // A signal handler may have called `exit` while its thread made a stub.
    if let Some(_guard) = fork::lock_unless_held() {
        flush();
    }
}

/// A file, and what is to be written to it.
pub(super) struct Batch {
    file: File,
    pending: Vec<u8>,
}

impl Batch {
    /// Creates the file anew, for its owner. A symbolic link in its place is not followed: it may be another user's.
    pub(super) fn create(path: &Path) -> io::Result<Batch> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(true).mode(0o600).custom_flags(libc::O_NOFOLLOW);
        let file = options.open(path).map_err(|error| named(path, &error))?;
        Ok(Batch { file, pending: Vec::with_capacity(2 * BATCH) })
    }

    pub(super) fn file(&self) -> &File {
        &self.file
    }

    /// Where to put what comes next.
    pub(super) fn pending(&mut self) -> &mut Vec<u8> {
        &mut self.pending
    }

    /// Writes what is pending if it is enough for a batch.
    pub(super) fn flush_if_full(&mut self) -> io::Result<()> {
        if self.pending.len() < BATCH { Ok(()) } else { self.flush() }
    }

    pub(super) fn flush(&mut self) -> io::Result<()> {
        let written = self.file.write_all(&self.pending);
        self.pending.clear();
        written
    }
}

/// An error that tells of the file.
fn named(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}
