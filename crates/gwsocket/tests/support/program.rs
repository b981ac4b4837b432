//! The program `gwsocket`, with pipes in a folder of its own.

#[path = "../../../../tests/support/emulated.rs"]
mod emulated;

use std::fs::{self, File, OpenOptions};
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use super::until;

/// A command that runs the program.
pub(crate) fn gwsocket() -> Command {
    emulated::command(env!("CARGO_BIN_EXE_gwsocket"))
}

/// A new folder, which is removed in the end.
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn new() -> Folder {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let name = format!("gwsocket-{}-{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
        // Paths of sockets are short: Cargo's own folder for tests may be too deep.
        let folder = std::env::temp_dir().join(name);
        fs::create_dir_all(&folder).expect("a folder");
        Folder(folder)
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// The program as it runs.
pub(crate) struct Program {
    pub(crate) process: Child,
    pub(crate) folder: Folder,
    /// What it has written to its standard error.
    lines: Arc<Mutex<Vec<String>>>,
}

impl Program {
    /// Starts it with pipes in a new folder, on a port that the system chooses.
    pub(crate) fn start(options: &[&str]) -> Program {
        let folder = Folder::new();
        let pipe = |name: &str| format!("--pipe{name}={}", folder.path(name).display());
        let mut command = gwsocket();
        command.args(["--port=0", "--addr=127.0.0.1", &pipe("in"), &pipe("out")]).args(options);
        Program::run(command, folder)
    }

    /// Starts a command, and waits until it listens.
    pub(crate) fn run(mut command: Command, folder: Folder) -> Program {
        let mut process = command.stderr(Stdio::piped()).spawn().expect("the program");
        let errors = BufReader::new(process.stderr.take().expect("its standard error"));
        let lines = Arc::new(Mutex::new(Vec::new()));
        let written = Arc::clone(&lines);
        thread::spawn(move || {
            for line in errors.lines().map_while(Result::ok) {
                written.lock().expect("the lines").push(line);
            }
        });
        let program = Program { process, folder, lines };
        program.said("listening on ");
        program
    }

    /// Waits until it says something on its standard error, and gives the line.
    pub(crate) fn said(&self, what: &str) -> String {
        let find = || self.lines.lock().expect("the lines").iter().find(|line| line.contains(what)).cloned();
        until(&format!("{what:?} is said, not only {:?}", self.lines.lock()), || find().is_some());
        find().unwrap_or_default()
    }

    /// How often it has said something.
    pub(crate) fn times_said(&self, what: &str) -> usize {
        self.lines.lock().expect("the lines").iter().filter(|line| line.contains(what)).count()
    }

    pub(crate) fn port(&self) -> u16 {
        let line = self.said("listening on ");
        line.rsplit(':').next().and_then(|port| port.parse().ok()).unwrap_or_else(|| panic!("{line}"))
    }

    /// Its input pipe, opened for writing.
    pub(crate) fn input(&self) -> File {
        OpenOptions::new().write(true).open(self.folder.path("in")).expect("the input pipe")
    }

    /// Its output pipe, opened for reading.
    pub(crate) fn output(&self) -> File {
        File::open(self.folder.path("out")).expect("the output pipe")
    }

    pub(crate) fn signal(&self, signal: i32) {
        // SAFETY: no pointers are passed; the process has not been waited for.
        unsafe { libc::kill(self.process.id() as i32, signal) };
    }

    /// Waits for its end.
    pub(crate) fn ended(&mut self) -> ExitStatus {
        let mut status = None;
        until("it ends", || {
            status = self.process.try_wait().expect("its status");
            status.is_some()
        });
        status.expect("its status")
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A message of strict mode.
pub(crate) fn record(client: u32, kind: u32, payload: impl AsRef<[u8]>) -> Vec<u8> {
    let payload = payload.as_ref();
    let header = [client, kind, payload.len() as u32];
    header.iter().flat_map(|word| word.to_be_bytes()).chain(payload.iter().copied()).collect()
}

/// Writes to a pipe.
pub(crate) fn write(pipe: &mut impl Write, bytes: impl AsRef<[u8]>) {
    pipe.write_all(bytes.as_ref()).expect("the pipe takes it");
}

/// Reads a message of strict mode: client, type, payload.
pub(crate) fn read_record(pipe: &mut impl Read) -> (u32, u32, Vec<u8>) {
    let mut header = [0; 12];
    pipe.read_exact(&mut header).expect("a header");
    let word = |at: usize| u32::from_be_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]]);
    let mut payload = vec![0; word(8) as usize];
    pipe.read_exact(&mut payload).expect("a payload");
    (word(0), word(4), payload)
}

/// An address as strict mode writes it.
pub(crate) fn address(text: &str) -> Vec<u8> {
    let mut address = vec![0; 46];
    address[..text.len()].copy_from_slice(text.as_bytes());
    address
}

/// Seconds of processor time that a process has had.
pub(crate) fn processor_time(process: u32) -> f64 {
    let stat = fs::read_to_string(Path::new("/proc").join(process.to_string()).join("stat")).expect("its statistics");
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or("").split_whitespace().collect();
    let ticks = |index: usize| fields[index].parse::<f64>().expect("a number");
    (ticks(11) + ticks(12)) / 100.0
}
