//! Scripts and files as wholes, the garbage collector, the program's end.

use std::ffi::{CStr, OsStr};
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;

use crate::engine::{Arguments, Context, Evaluation, Outcome, Text};

/// Ends the process. Streams are flushed; nothing else is cleaned up.
pub(super) fn exit<'js>(_: Context<'js>, arguments: Arguments<'_, 'js>) -> Outcome<'js> {
    let status = arguments.get(0).to_i32()?;
    std::process::exit(status)
}

pub(super) fn gc<'js>(context: Context<'js>, _: Arguments<'_, 'js>) -> Outcome<'js> {
    context.collect_garbage();
    Ok(context.undefined())
}

/// Runs source text as a script; with `{ async: true }` its promise of `{ value }`.
pub(super) fn eval_script<'js>(context: Context<'js>, arguments: Arguments<'_, 'js>) -> Outcome<'js> {
    let (source, options) = (arguments.get(0).to_text()?, arguments.get(1));
    let awaits = !options.is_undefined() && options.get(c"async")?.to_bool()?;
    let how = if awaits { Evaluation::Awaiting } else { Evaluation::Script };
    context.evaluate(&source.to_string_lossy(), c"<evalScript>", how)
}

pub(super) fn load_script<'js>(context: Context<'js>, arguments: Arguments<'_, 'js>) -> Outcome<'js> {
    let name = arguments.get(0).to_text()?;
    let source = read(&name).map_err(|error| {
        context.throw_reference_error(&format!("cannot load '{}': {error}", name.to_string_lossy()))
    })?;
    context.evaluate(&String::from_utf8_lossy(&source), name.as_c_str(), Evaluation::Script)
}

/// A file's text, with `{ binary: true }` its bytes; null where it cannot be read.
pub(super) fn load_file<'js>(context: Context<'js>, arguments: Arguments<'_, 'js>) -> Outcome<'js> {
    let (name, options) = (arguments.get(0).to_text()?, arguments.get(1));
    let is_binary = !options.is_undefined() && options.get(c"binary")?.to_bool()?;
    match read(&name) {
        Ok(content) if is_binary => context.uint8_array(&content),
        Ok(content) => context.string(content),
        Err(_) => Ok(context.null()),
    }
}

/// Makes a file of a text, or of the bytes of an array.
pub(super) fn write_file<'js>(context: Context<'js>, arguments: Arguments<'_, 'js>) -> Outcome<'js> {
    let (name, content) = (arguments.get(0).to_text()?, arguments.get(1));
    let path = OsStr::from_bytes(name.as_c_str().to_bytes());
    let written = match content.bytes()? {
        // SAFETY: the memory is valid, and no JavaScript code runs while it is read.
        Some(bytes) => fs::write(path, unsafe { &*bytes }),
        None => fs::write(path, content.to_text()?.as_bytes()),
    };
    written
        .map_err(|error| context.throw_type_error(&format!("cannot write '{}': {error}", name.to_string_lossy())))?;
    Ok(context.undefined())
}

fn read(name: &Text<'_>) -> io::Result<Vec<u8>> {
    let name: &CStr = name.as_c_str();
    fs::read(OsStr::from_bytes(name.to_bytes()))
}
