//! A program that is stopped when it takes too long.

use std::io::Read;
use std::process::{Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// How a program ended, and all it wrote.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// None if it was stopped.
    pub(crate) status: Option<ExitStatus>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// Runs it for as long as the limit at most.
///
/// # Panics
/// If the program cannot be started.
pub(crate) fn run(command: &mut Command, limit: Duration) -> Outcome {
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("cannot run {command:?}: {error}"));
    let stdout = read(child.stdout.take().expect("a pipe"));
    let stderr = read(child.stderr.take().expect("a pipe"));
    let end = Instant::now() + limit;
    let status = loop {
        if let Some(status) = child.try_wait().expect("a child of this process") {
            break Some(status);
        }
        if Instant::now() > end {
            child.kill().expect("a child of this process");
            child.wait().expect("a child of this process");
            break None;
        }
        thread::sleep(Duration::from_millis(5));
    };
    let text = |reader: thread::JoinHandle<String>| reader.join().expect("a thread that reads a pipe");
    Outcome { status, stdout: text(stdout), stderr: text(stderr) }
}

/// Reads a pipe to its end beside the program, which would stop at a full one.
fn read(mut pipe: impl Read + Send + 'static) -> thread::JoinHandle<String> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        let _ = pipe.read_to_end(&mut bytes);
        String::from_utf8_lossy(&bytes).into_owned()
    })
}
