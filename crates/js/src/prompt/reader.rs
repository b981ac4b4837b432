//! Lines from the terminal, edited on a thread of their own while the event loop runs.

use std::io::{self, PipeReader, PipeWriter, Read as _, Write as _};
use std::os::fd::{AsRawFd as _, RawFd};
use std::path::PathBuf;
use std::sync::OnceLock;
use std::sync::mpsc::{self, Receiver, Sender};
use std::{env, fs, mem, thread};

use rustyline::error::ReadlineError;
use rustyline::{Config, DefaultEditor};

/// What was typed.
pub(super) enum Line {
    Text(String),
    /// Ctrl-C: what was typed before is meant no more.
    Interrupted,
    End,
}

/// What is asked of the thread.
enum Request {
    Line(&'static str),
    Remember(String),
}

/// The thread that reads, as the thread of the event loop sees it.
pub(super) struct Reader {
    requests: Sender<Request>,
    lines: Receiver<io::Result<Line>>,
    /// Has a byte for each line.
    wake: PipeReader,
}

impl Reader {
    /// # Errors
    ///
    /// Where there is no descriptor or no thread for it, or the terminal cannot be used.
    pub(super) fn start() -> io::Result<Self> {
        restore_terminal_at_exit();
        let (requests, asked) = mpsc::channel();
        let (answer, lines) = mpsc::channel();
        let (wake, waker) = io::pipe()?;
        let config = Config::builder().history_ignore_dups(true).map_err(other)?.build();
        let editor = DefaultEditor::with_config(config).map_err(other)?;
        // It ends with the process: nothing can wake it from the terminal.
        thread::Builder::new().name("prompt".to_owned()).spawn(move || read(editor, &asked, &answer, waker))?;
        Ok(Self { requests, lines, wake })
    }

    /// Shows a prompt and lets a line be typed.
    pub(super) fn request(&self, prompt: &'static str) {
        // Where the thread has ended, `line` says so.
        let _ = self.requests.send(Request::Line(prompt));
    }

    /// Keeps what was typed for later prompts.
    pub(super) fn remember(&self, source: &str) {
        let _ = self.requests.send(Request::Remember(source.to_owned()));
    }

    /// Can be read from when a line is there.
    pub(super) fn descriptor(&self) -> RawFd {
        self.wake.as_raw_fd()
    }

    /// The line that was requested.
    ///
    /// # Errors
    ///
    /// Where the terminal cannot be read from.
    pub(super) fn line(&mut self) -> io::Result<Line> {
        self.wake.read_exact(&mut [0])?;
        self.lines.recv().map_err(io::Error::other)?
    }
}

/// Answers requests until there are no more.
fn read(
    mut editor: DefaultEditor,
    requests: &Receiver<Request>,
    answers: &Sender<io::Result<Line>>,
    mut waker: PipeWriter,
) {
    let history = history_file();
    if let Some(path) = &history {
        // A history that cannot be read is none.
        let _ = editor.load_history(path);
    }
    for request in requests {
        match request {
            Request::Remember(source) => {
                let _ = editor.add_history_entry(source);
                if let Some(path) = &history {
                    // The next prompt goes without what cannot be kept.
                    let _ = editor.append_history(path);
                }
            }
            Request::Line(prompt) => {
                let line = match editor.readline(prompt) {
                    Ok(line) => Ok(Line::Text(line)),
                    Err(ReadlineError::Interrupted) => Ok(Line::Interrupted),
                    Err(ReadlineError::Eof) => Ok(Line::End),
                    Err(error) => Err(other(error)),
                };
                if answers.send(line).is_err() || waker.write_all(&[0]).is_err() {
                    return;
                }
            }
        }
    }
}

fn other(error: ReadlineError) -> io::Error {
    match error {
        ReadlineError::Io(error) => error,
        error => io::Error::other(error),
    }
}

/// Where the history is kept by the XDG base directory specification; `None` where no directory can be made for it.
fn history_file() -> Option<PathBuf> {
    let absolute = |variable| env::var_os(variable).map(PathBuf::from).filter(|path| path.is_absolute());
    let state = absolute("XDG_STATE_HOME").or_else(|| Some(absolute("HOME")?.join(".local/state")))?;
    let directory = state.join("jitcall");
    fs::create_dir_all(&directory).ok()?;
    Some(directory.join("js_history"))
}

/// How the terminal was before the prompt.
static TERMINAL: OnceLock<libc::termios> = OnceLock::new();

/// Lets the terminal be as it was when a program ends the process while a line is typed.
fn restore_terminal_at_exit() {
    // SAFETY: all zeros are settings.
    let mut settings: libc::termios = unsafe { mem::zeroed() };
    // SAFETY: there is place for the settings.
    if unsafe { libc::tcgetattr(libc::STDIN_FILENO, &raw mut settings) } == 0 && TERMINAL.set(settings).is_ok() {
        // SAFETY: the function takes nothing and may be called at the process's end.
        unsafe { libc::atexit(restore_terminal) };
    }
}

extern "C" fn restore_terminal() {
    if let Some(settings) = TERMINAL.get() {
        // SAFETY: the settings are the terminal's own.
        unsafe { libc::tcsetattr(libc::STDIN_FILENO, libc::TCSADRAIN, settings) };
    }
}
