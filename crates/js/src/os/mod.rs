//! The module `os`, with the names and results of QuickJS's own: a negative `errno` for a failure, or `[value, errno]`.

mod descriptor;
mod path;
mod process;

use std::io;

use crate::engine::{Arguments, Context, Export, Outcome, Value};
use crate::event_loop::Direction;
use crate::host::Host;
use crate::timers;

const FUNCTIONS: &[Export] = &[
    Export::function(c"open", 2, descriptor::open),
    Export::function(c"close", 1, descriptor::close),
    Export::function(c"seek", 3, descriptor::seek),
    Export::function(c"read", 4, descriptor::read),
    Export::function(c"write", 4, descriptor::write),
    Export::function(c"isatty", 1, descriptor::isatty),
    Export::function(c"pipe", 0, descriptor::pipe),
    Export::function(c"dup", 1, descriptor::dup),
    Export::function(c"dup2", 2, descriptor::dup2),
    Export::function(c"setReadHandler", 2, set_read_handler),
    Export::function(c"setWriteHandler", 2, set_write_handler),
    Export::function(c"signal", 2, process::signal),
    Export::function(c"remove", 1, path::remove),
    Export::function(c"rename", 2, path::rename),
    Export::function(c"mkdir", 1, path::mkdir),
    Export::function(c"readdir", 1, path::readdir),
    Export::function(c"stat", 1, path::stat),
    Export::function(c"lstat", 1, path::lstat),
    Export::function(c"symlink", 2, path::symlink),
    Export::function(c"readlink", 1, path::readlink),
    Export::function(c"realpath", 1, path::realpath),
    Export::function(c"getcwd", 0, path::getcwd),
    Export::function(c"chdir", 1, path::chdir),
    Export::function(c"getpid", 0, process::getpid),
    Export::function(c"kill", 2, process::kill),
    Export::function(c"waitpid", 2, process::waitpid),
    Export::function(c"now", 0, process::now),
    Export::function(c"cputime", 0, process::cputime),
    Export::function(c"exePath", 0, process::exe_path),
    Export::function(c"sleep", 1, process::sleep),
    Export::function(c"sleepAsync", 1, process::sleep_async),
];

const CONSTANTS: &[Export] = &[
    Export::integer(c"O_RDONLY", libc::O_RDONLY),
    Export::integer(c"O_WRONLY", libc::O_WRONLY),
    Export::integer(c"O_RDWR", libc::O_RDWR),
    Export::integer(c"O_APPEND", libc::O_APPEND),
    Export::integer(c"O_CREAT", libc::O_CREAT),
    Export::integer(c"O_EXCL", libc::O_EXCL),
    Export::integer(c"O_TRUNC", libc::O_TRUNC),
    Export::integer(c"S_IFMT", libc::S_IFMT as i32),
    Export::integer(c"S_IFIFO", libc::S_IFIFO as i32),
    Export::integer(c"S_IFCHR", libc::S_IFCHR as i32),
    Export::integer(c"S_IFDIR", libc::S_IFDIR as i32),
    Export::integer(c"S_IFBLK", libc::S_IFBLK as i32),
    Export::integer(c"S_IFREG", libc::S_IFREG as i32),
    Export::integer(c"S_IFSOCK", libc::S_IFSOCK as i32),
    Export::integer(c"S_IFLNK", libc::S_IFLNK as i32),
    Export::integer(c"S_ISGID", libc::S_ISGID as i32),
    Export::integer(c"S_ISUID", libc::S_ISUID as i32),
    Export::integer(c"WNOHANG", libc::WNOHANG),
    Export::integer(c"SIGINT", libc::SIGINT),
    Export::integer(c"SIGABRT", libc::SIGABRT),
    Export::integer(c"SIGFPE", libc::SIGFPE),
    Export::integer(c"SIGILL", libc::SIGILL),
    Export::integer(c"SIGSEGV", libc::SIGSEGV),
    Export::integer(c"SIGTERM", libc::SIGTERM),
    Export::integer(c"SIGQUIT", libc::SIGQUIT),
    Export::integer(c"SIGPIPE", libc::SIGPIPE),
    Export::integer(c"SIGALRM", libc::SIGALRM),
    Export::integer(c"SIGUSR1", libc::SIGUSR1),
    Export::integer(c"SIGUSR2", libc::SIGUSR2),
    Export::integer(c"SIGCHLD", libc::SIGCHLD),
    Export::integer(c"SIGCONT", libc::SIGCONT),
    Export::integer(c"SIGSTOP", libc::SIGSTOP),
    Export::integer(c"SIGTSTP", libc::SIGTSTP),
    Export::integer(c"SIGTTIN", libc::SIGTTIN),
    Export::integer(c"SIGTTOU", libc::SIGTTOU),
];

/// What the module exports.
pub(crate) fn exports<'js>(context: Context<'js>) -> Outcome<'js> {
    let exports = context.object_of(FUNCTIONS)?;
    exports.set_all(CONSTANTS)?;
    exports.set_all(timers::FUNCTIONS)?;
    exports.set(c"platform", context.string("linux")?)?;
    Ok(exports)
}

fn set_read_handler<'js>(context: Context<'js>, arguments: Arguments<'_, 'js>) -> Outcome<'js> {
    set_handler(context, arguments, Direction::Read)
}

fn set_write_handler<'js>(context: Context<'js>, arguments: Arguments<'_, 'js>) -> Outcome<'js> {
    set_handler(context, arguments, Direction::Write)
}

/// Lets a function be called whenever a descriptor is ready, until null is set for it.
fn set_handler<'js>(context: Context<'js>, arguments: Arguments<'_, 'js>, direction: Direction) -> Outcome<'js> {
    let (descriptor, function) = (arguments.get(0).to_i32()?, arguments.get(1));
    if !function.is_null() && !function.is_function() {
        return Err(context.throw_type_error("not a function"));
    }
    let function = (!function.is_null()).then_some(function);
    Host::of(context).events().set_handler(descriptor, direction, function);
    Ok(context.undefined())
}

/// The `errno` of the C function that failed.
fn errno() -> i32 {
    io::Error::last_os_error().raw_os_error().unwrap_or(libc::EIO)
}

/// What a C function gave: -1 becomes the negative `errno`.
fn status<'js>(context: Context<'js>, result: impl Into<i64>) -> Outcome<'js> {
    let result = result.into();
    Ok(context.integer(if result == -1 { -i64::from(errno()) } else { result }))
}

/// `[value, errno]`; where there is none, the value is `otherwise`.
fn pair<'js>(context: Context<'js>, result: io::Result<Value<'js>>, otherwise: Value<'js>) -> Outcome<'js> {
    let (value, code) = match result {
        Ok(value) => (value, 0),
        Err(error) => (otherwise, error.raw_os_error().unwrap_or(libc::EIO)),
    };
    context.array([value, context.integer(code.into())])
}
