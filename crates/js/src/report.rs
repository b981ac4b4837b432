//! What ended a program, in words: exceptions with their stacks and causes.

use std::io;
use std::path::PathBuf;

use crate::engine::{Context, Outcome, Value};

/// How many causes of an error are told; they may form a cycle.
const CAUSES: usize = 10;

/// Why a program ended before its end.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The program could not be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// Where it was looked for.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// An exception that nothing caught: its message, stack and causes.
    #[error("{0}")]
    Exception(String),
    /// Promises that were rejected and that nothing handled: messages, stacks and causes of the reasons.
    #[error("unhandled promise rejection: {0}")]
    Rejection(String),
    /// The program awaits a promise, and no timer, descriptor or job is left that could settle it.
    #[error("the program awaits a promise that nothing is left to settle")]
    Stalled,
    /// The event loop could not wait.
    #[error("cannot wait for timers and descriptors")]
    Wait(#[source] io::Error),
    /// The prompt could not be shown.
    #[error("cannot read from the terminal")]
    Prompt(#[source] io::Error),
    /// There was no memory for the interpreter.
    #[error("no memory for the interpreter")]
    NoMemory,
}

/// The pending exception, which is pending no more.
pub(crate) fn pending_exception(context: Context<'_>) -> Error {
    exception(&context.take_exception())
}

/// An exception that nothing caught.
pub(crate) fn exception(exception: &Value<'_>) -> Error {
    Error::Exception(describe(exception))
}

/// Rejections that nothing handled.
pub(crate) fn rejections<'js>(reasons: impl Iterator<Item = Value<'js>>) -> Error {
    Error::Rejection(reasons.map(|reason| describe(&reason)).collect::<Vec<_>>().join("\n"))
}

/// The message of a thrown value, its stack and its causes.
fn describe(thrown: &Value<'_>) -> String {
    let mut text = message(thrown);
    let mut cause = cause(thrown);
    for _ in 0..CAUSES {
        let Some(error) = cause else { break };
        text = format!("{text}\ncaused by: {}", message(&error));
        cause = self::cause(&error);
    }
    text
}

fn message(thrown: &Value<'_>) -> String {
    let describe = || -> Outcome<'_, String> {
        let mut text = thrown.to_text()?.to_string_lossy();
        if thrown.is_error() {
            let stack = thrown.get(c"stack")?;
            if stack.is_string() {
                text = format!("{text}\n{}", stack.to_text()?.to_string_lossy());
            }
        }
        Ok(text.trim_end().to_owned())
    };
    describe().unwrap_or_else(|_| {
        // What goes wrong while an error is told is not told as well.
        drop(thrown.context().take_exception());
        "a value that has no text was thrown".to_owned()
    })
}

fn cause<'js>(thrown: &Value<'js>) -> Option<Value<'js>> {
    if !thrown.is_error() {
        return None;
    }
    match thrown.get(c"cause") {
        Ok(cause) => (!cause.is_undefined()).then_some(cause),
        Err(_) => {
            drop(thrown.context().take_exception());
            None
        }
    }
}
