//! `console`, `print`, and the text that values are shown as.

use std::ffi::CStr;

use crate::engine::{Arguments, Context, Evaluation, Outcome, Value};
use crate::host::Host;
use crate::standard::stdio::Stream;

const SOURCE: &str = include_str!("console.js");
const NAME: &CStr = c"<console>";

/// Defines `console` and `print`.
pub(crate) fn define<'js>(context: Context<'js>) -> Outcome<'js, ()> {
    let global = context.global();
    global.set_function(c"print", 1, print)?;
    let native = context.object()?;
    native.set_function(c"writeOut", 1, write_out)?;
    native.set_function(c"writeError", 1, write_error)?;
    let make = context.evaluate(SOURCE, NAME, Evaluation::Script)?;
    let made = make.call(&context.undefined(), &[native])?;
    global.set(c"console", made.get(c"console")?)?;
    // A context is given its console once.
    let _ = Host::of(context).inspect.set(made.get(c"inspect")?.keep());
    Ok(())
}

/// The text that the console shows a value as.
pub(crate) fn inspect<'js>(value: &Value<'js>) -> Outcome<'js, String> {
    let context = value.context();
    match Host::of(context).inspect.get() {
        Some(inspect) => {
            let text = inspect.get(context).call(&context.undefined(), std::slice::from_ref(value))?;
            Ok(text.to_text()?.to_string_lossy())
        }
        None => Ok(value.to_text()?.to_string_lossy()),
    }
}

/// Writes the arguments' texts with spaces between them, and ends the line.
fn print<'js>(context: Context<'js>, arguments: Arguments<'_, 'js>) -> Outcome<'js> {
    let mut line = Vec::new();
    for (index, argument) in arguments.from(0).enumerate() {
        if index > 0 {
            line.push(b' ');
        }
        line.extend_from_slice(argument.to_text()?.as_bytes());
    }
    line.push(b'\n');
    Stream::output().write(&line);
    Ok(context.undefined())
}

fn write_out<'js>(context: Context<'js>, arguments: Arguments<'_, 'js>) -> Outcome<'js> {
    Stream::output().write(arguments.get(0).to_text()?.as_bytes());
    Ok(context.undefined())
}

fn write_error<'js>(context: Context<'js>, arguments: Arguments<'_, 'js>) -> Outcome<'js> {
    // What was said before stands before it, where both go to one place.
    Stream::output().flush();
    Stream::error().write(arguments.get(0).to_text()?.as_bytes());
    Ok(context.undefined())
}
