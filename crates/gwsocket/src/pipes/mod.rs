//! Pipes on both sides of a server: messages for clients come from one, what clients do goes to the other.
//!
//! ```text
//!     writer --> input FIFO or stdin --> input --> server --> clients
//!     reader <-- output FIFO or stdout <-- output <-- server <-- clients
//! ```
//!
//! In plain mode bytes are bytes: what is read at a time is a message, and of what clients send the payloads are written. In
//! strict mode messages have headers: client, type and length.

mod input;
mod output;
mod strict;

use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileTypeExt;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::error::{Error, Result};
use crate::options::PipeOptions;
use crate::server::Server;

/// Starts to read and write, on the server's threads.
///
/// # Errors
///
/// [`Error::File`] where a pipe can neither be opened nor made.
pub fn start(server: &Server, options: &PipeOptions, report: Report) -> Result<()> {
    let runtime = server.runtime();
    let _entered = runtime.enter();
    let report = Arc::new(report);
    let source = if options.std || options.stdin {
        input::Source::stdin()
    } else {
        make_fifo("--pipein", &options.pipein)?;
        input::Source::fifo(&options.pipein).map_err(|source| unusable("--pipein", &options.pipein, source))?
    };
    runtime.spawn(input::run(Arc::clone(server.hub()), source, options.strict, Arc::clone(&report)));
    // In echo mode there is nothing to write.
    if !server.hub().config.echo {
        let sink = if options.std || options.stdout {
            output::Sink::Stdout
        } else {
            make_fifo("--pipeout", &options.pipeout)?;
            output::Sink::Fifo(options.pipeout.clone())
        };
        runtime.spawn(output::run(Arc::clone(server.hub()), sink, options.strict, report));
    }
    Ok(())
}

fn unusable(option: &'static str, path: &Path, source: io::Error) -> Error {
    Error::File { option, path: path.to_owned(), source }
}

/// Makes a FIFO, if it is not there.
fn make_fifo(option: &'static str, path: &Path) -> Result<()> {
    let name = std::ffi::CString::new(path.as_os_str().as_bytes())
        .map_err(|_| unusable(option, path, io::ErrorKind::InvalidInput.into()))?;
    // SAFETY: the name is a string that ends with a zero. Others than its group may not read and write it.
    if unsafe { libc::mkfifo(name.as_ptr(), 0o660) } == 0 {
        return Ok(());
    }
    let error = io::Error::last_os_error();
    match fs::metadata(path) {
        Ok(metadata) if metadata.file_type().is_fifo() => Ok(()),
        Ok(_) => Err(unusable(option, path, io::Error::other("it is there already, and no named pipe"))),
        Err(_) => Err(unusable(option, path, error)),
    }
}

/// How many complaints are made in a second, before they are only counted.
const MOST_COMPLAINTS: u32 = 10;

/// Tells the user what was wrong with a pipe. Where much is wrong, the rest is counted.
pub struct Report {
    tell: Box<dyn Fn(&str) + Send + Sync>,
    state: std::sync::Mutex<Complaints>,
}

struct Complaints {
    since: Instant,
    made: u32,
}

impl Report {
    /// Reports lines to `tell`.
    pub fn new(tell: impl Fn(&str) + Send + Sync + 'static) -> Self {
        Self { tell: Box::new(tell), state: Complaints { since: Instant::now(), made: 0 }.into() }
    }

    fn complain(&self, text: &str) {
        let mut state = self.state.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        if state.since.elapsed() > Duration::from_secs(1) {
            if state.made > MOST_COMPLAINTS {
                (self.tell)(&format!("and {} more of the kind", state.made - MOST_COMPLAINTS));
            }
            *state = Complaints { since: Instant::now(), made: 0 };
        }
        state.made += 1;
        if state.made <= MOST_COMPLAINTS {
            (self.tell)(text);
        }
    }
}
