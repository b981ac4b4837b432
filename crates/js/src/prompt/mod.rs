//! The prompt: reads programs from the terminal, runs them, prints their results.

mod completeness;
mod reader;

use std::ffi::CStr;

use rquickjs_sys as qjs;

use crate::console;
use crate::engine::{Context, Evaluation, Value};
use crate::event_loop;
use crate::report::{self, Error};
use crate::standard::stdio::Stream;
use reader::{Line, Reader};

/// The name of what is typed, in stack traces.
const NAME: &CStr = c"<prompt>";

const PROMPT: &str = "> ";
const CONTINUATION: &str = "... ";

/// Runs what is typed until the input ends.
///
/// # Errors
///
/// Where the terminal cannot be read from.
pub(crate) fn run(context: Context<'_>) -> Result<(), Error> {
    // SAFETY: QuickJS gives a C string that lives as long as the program.
    let version = unsafe { CStr::from_ptr(qjs::JS_GetVersion()) }.to_string_lossy();
    say(&format!("JavaScript of QuickJS-ng {version}; Ctrl-D ends\n"));
    let mut reader = Reader::start().map_err(Error::Prompt)?;
    let mut source = String::new();
    loop {
        reader.request(if source.is_empty() { PROMPT } else { CONTINUATION });
        serve_until_typed(context, &reader)?;
        match reader.line().map_err(Error::Prompt)? {
            Line::Text(line) => source += &line,
            Line::Interrupted => {
                source.clear();
                continue;
            }
            Line::End => return Ok(()),
        }
        if is_incomplete(context, &source) {
            source.push('\n');
        } else if !source.trim().is_empty() {
            reader.remember(&source);
            evaluate(context, &source);
            source.clear();
        }
    }
}

/// Serves timers and descriptors until a line is typed; what goes wrong meanwhile is told.
fn serve_until_typed(context: Context<'_>, reader: &Reader) -> Result<(), Error> {
    loop {
        match event_loop::run_until_readable(context, reader.descriptor()) {
            Err(error @ Error::Wait(_)) => return Err(error),
            Err(error) => say(&format!("{error}\n")),
            Ok(()) => return Ok(()),
        }
    }
}

/// Runs a program and prints its result.
fn evaluate(context: Context<'_>, source: &str) {
    let result = match run_program(context, source) {
        Ok(value) if value.is_undefined() => return Stream::output().flush(),
        Ok(value) => console::inspect(&value).map_err(|_| report::pending_exception(context)),
        Err(error) => Err(error),
    };
    match result {
        Ok(text) => say(&format!("{text}\n")),
        Err(error) => say(&format!("{error}\n")),
    }
}

fn run_program<'js>(context: Context<'js>, source: &str) -> Result<Value<'js>, Error> {
    let fail = |_| report::pending_exception(context);
    // What looks like a block of labels is more likely meant for an object.
    let in_parentheses = format!("({source})");
    let is_object = source.trim_start().starts_with('{') && is_program(context, &in_parentheses);
    let source = if is_object { &in_parentheses } else { source };
    let promise = context.evaluate(source, NAME, Evaluation::Awaiting).map_err(fail)?;
    event_loop::settle(promise)?.get(c"value").map_err(fail)
}

/// Whether source text can be run.
fn is_program(context: Context<'_>, source: &str) -> bool {
    let compiled = context.evaluate(source, NAME, Evaluation::Syntax).is_ok();
    if !compiled {
        drop(context.take_exception());
    }
    compiled
}

/// Whether another line can make a program of what is typed.
fn is_incomplete(context: Context<'_>, source: &str) -> bool {
    !is_program(context, source) && completeness::is_open(source)
}

/// Writes to standard output, at once.
fn say(text: &str) {
    Stream::output().write(text.as_bytes());
    Stream::output().flush();
}
