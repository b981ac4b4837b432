//! The module `std`, with the names and results of QuickJS's own.

mod environment;
mod file;
mod format;
mod script;
pub(crate) mod stdio;

use std::ffi::CStr;

use crate::engine::{Arguments, Context, Export, Outcome};
use stdio::Stream;

const FUNCTIONS: &[Export] = &[
    Export::function(c"exit", 1, script::exit),
    Export::function(c"gc", 0, script::gc),
    Export::function(c"evalScript", 1, script::eval_script),
    Export::function(c"loadScript", 1, script::load_script),
    Export::function(c"loadFile", 1, script::load_file),
    Export::function(c"writeFile", 2, script::write_file),
    Export::function(c"getenv", 1, environment::getenv),
    Export::function(c"setenv", 2, environment::setenv),
    Export::function(c"unsetenv", 1, environment::unsetenv),
    Export::function(c"getenviron", 0, environment::getenviron),
    Export::function(c"strerror", 1, strerror),
    Export::function(c"open", 2, file::open),
    Export::function(c"fdopen", 2, file::fdopen),
    Export::function(c"popen", 2, file::popen),
    Export::function(c"tmpfile", 0, file::tmpfile),
    Export::function(c"puts", 1, puts),
    Export::function(c"printf", 1, printf),
    Export::function(c"sprintf", 1, sprintf),
    Export::integer(c"SEEK_SET", libc::SEEK_SET),
    Export::integer(c"SEEK_CUR", libc::SEEK_CUR),
    Export::integer(c"SEEK_END", libc::SEEK_END),
];

const ERRORS: &[Export] = &[
    Export::integer(c"EINVAL", libc::EINVAL),
    Export::integer(c"EIO", libc::EIO),
    Export::integer(c"EACCES", libc::EACCES),
    Export::integer(c"EEXIST", libc::EEXIST),
    Export::integer(c"ENOSPC", libc::ENOSPC),
    Export::integer(c"ENOSYS", libc::ENOSYS),
    Export::integer(c"EBUSY", libc::EBUSY),
    Export::integer(c"ENOENT", libc::ENOENT),
    Export::integer(c"EPERM", libc::EPERM),
    Export::integer(c"EPIPE", libc::EPIPE),
    Export::integer(c"EBADF", libc::EBADF),
];

/// What the module exports.
pub(crate) fn exports<'js>(context: Context<'js>) -> Outcome<'js> {
    let exports = context.object_of(FUNCTIONS)?;
    exports.set(c"Error", context.object_of(ERRORS)?)?;
    for (name, stream) in [(c"in", Stream::input()), (c"out", Stream::output()), (c"err", Stream::error())] {
        exports.set(name, file::of_stream(context, stream)?)?;
    }
    Ok(exports)
}

fn strerror<'js>(context: Context<'js>, arguments: Arguments<'_, 'js>) -> Outcome<'js> {
    let code = arguments.get(0).to_i32()?;
    // SAFETY: strerror takes any number, and its text is valid until its next call, after the copy.
    let text = unsafe { CStr::from_ptr(libc::strerror(code)) };
    context.string(text.to_bytes())
}

fn puts<'js>(context: Context<'js>, arguments: Arguments<'_, 'js>) -> Outcome<'js> {
    file::write_texts(context, Stream::output(), arguments)
}

fn printf<'js>(context: Context<'js>, arguments: Arguments<'_, 'js>) -> Outcome<'js> {
    let written = Stream::output().write(&format::format(context, arguments)?);
    Ok(context.integer(written as i64))
}

fn sprintf<'js>(context: Context<'js>, arguments: Arguments<'_, 'js>) -> Outcome<'js> {
    context.string(format::format(context, arguments)?)
}
