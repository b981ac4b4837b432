//! Files and directories by their paths.

use std::env;
use std::ffi::OsStr;
use std::fs::{self, Metadata};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::{pair, status};
use crate::engine::{Arguments, Context, Outcome, Text};

/// The mode of a new directory, before the process's mask.
const MODE: i32 = 0o777;

fn as_path<'a>(text: &'a Text<'_>) -> &'a Path {
    Path::new(OsStr::from_bytes(text.as_c_str().to_bytes()))
}

pub(super) fn remove<'js>(context: Context<'js>, arguments: Arguments<'_, 'js>) -> Outcome<'js> {
    let path = arguments.get(0).to_text()?;
    // SAFETY: the path is a C string.
    status(context, unsafe { libc::remove(path.as_c_str().as_ptr()) })
}

pub(super) fn rename<'js>(context: Context<'js>, arguments: Arguments<'_, 'js>) -> Outcome<'js> {
    let (old, new) = (arguments.get(0).to_text()?, arguments.get(1).to_text()?);
    // SAFETY: both are C strings.
    status(context, unsafe { libc::rename(old.as_c_str().as_ptr(), new.as_c_str().as_ptr()) })
}

pub(super) fn mkdir<'js>(context: Context<'js>, arguments: Arguments<'_, 'js>) -> Outcome<'js> {
    let (path, mode) = (arguments.get(0).to_text()?, arguments.get(1));
    let mode = if mode.is_undefined() { MODE } else { mode.to_i32()? };
    // SAFETY: the path is a C string.
    status(context, unsafe { libc::mkdir(path.as_c_str().as_ptr(), mode as libc::mode_t) })
}

/// `[names, errno]`, with `.` and `..` among the names.
pub(super) fn readdir<'js>(context: Context<'js>, arguments: Arguments<'_, 'js>) -> Outcome<'js> {
    let path = arguments.get(0).to_text()?;
    let names = || -> io::Result<Vec<Vec<u8>>> {
        let mut names = vec![b".".to_vec(), b"..".to_vec()];
        for entry in fs::read_dir(as_path(&path))? {
            names.push(entry?.file_name().as_bytes().to_vec());
        }
        Ok(names)
    };
    let list = |names: Vec<Vec<u8>>| {
        let names: Result<Vec<_>, _> = names.into_iter().map(|name| context.string(name)).collect();
        context.array(names?)
    };
    match names() {
        Ok(names) => pair(context, Ok(list(names)?), context.undefined()),
        Err(error) => pair(context, Err(error), list(Vec::new())?),
    }
}

pub(super) fn stat<'js>(context: Context<'js>, arguments: Arguments<'_, 'js>) -> Outcome<'js> {
    let path = arguments.get(0).to_text()?;
    described(context, fs::metadata(as_path(&path)))
}

pub(super) fn lstat<'js>(context: Context<'js>, arguments: Arguments<'_, 'js>) -> Outcome<'js> {
    let path = arguments.get(0).to_text()?;
    described(context, fs::symlink_metadata(as_path(&path)))
}

/// `[description, errno]`; times are in milliseconds since 1970.
fn described<'js>(context: Context<'js>, metadata: io::Result<Metadata>) -> Outcome<'js> {
    let metadata = match metadata {
        Ok(metadata) => metadata,
        Err(error) => return pair(context, Err(error), context.null()),
    };
    let time = |seconds: i64, nanoseconds: i64| seconds * 1000 + nanoseconds / 1_000_000;
    let members = [
        (c"dev", metadata.dev() as i64),
        (c"ino", metadata.ino() as i64),
        (c"mode", metadata.mode().into()),
        (c"nlink", metadata.nlink() as i64),
        (c"uid", metadata.uid().into()),
        (c"gid", metadata.gid().into()),
        (c"rdev", metadata.rdev() as i64),
        (c"size", metadata.size() as i64),
        (c"blocks", metadata.blocks() as i64),
        (c"atime", time(metadata.atime(), metadata.atime_nsec())),
        (c"mtime", time(metadata.mtime(), metadata.mtime_nsec())),
        (c"ctime", time(metadata.ctime(), metadata.ctime_nsec())),
    ];
    let description = context.object()?;
    for (name, value) in members {
        description.set(name, context.integer(value))?;
    }
    pair(context, Ok(description), context.null())
}

pub(super) fn symlink<'js>(context: Context<'js>, arguments: Arguments<'_, 'js>) -> Outcome<'js> {
    let (target, path) = (arguments.get(0).to_text()?, arguments.get(1).to_text()?);
    // SAFETY: both are C strings.
    status(context, unsafe { libc::symlink(target.as_c_str().as_ptr(), path.as_c_str().as_ptr()) })
}

/// `[target, errno]`.
pub(super) fn readlink<'js>(context: Context<'js>, arguments: Arguments<'_, 'js>) -> Outcome<'js> {
    let path = arguments.get(0).to_text()?;
    named(context, fs::read_link(as_path(&path)))
}

/// `[path, errno]`.
pub(super) fn realpath<'js>(context: Context<'js>, arguments: Arguments<'_, 'js>) -> Outcome<'js> {
    let path = arguments.get(0).to_text()?;
    named(context, fs::canonicalize(as_path(&path)))
}

/// `[path, errno]`.
pub(super) fn getcwd<'js>(context: Context<'js>, _: Arguments<'_, 'js>) -> Outcome<'js> {
    named(context, env::current_dir())
}

fn named<'js>(context: Context<'js>, path: io::Result<PathBuf>) -> Outcome<'js> {
    match path {
        Ok(path) => pair(context, Ok(context.string(path.as_os_str().as_bytes())?), context.undefined()),
        Err(error) => pair(context, Err(error), context.string("")?),
    }
}

pub(super) fn chdir<'js>(context: Context<'js>, arguments: Arguments<'_, 'js>) -> Outcome<'js> {
    let path = arguments.get(0).to_text()?;
    // SAFETY: the path is a C string.
    status(context, unsafe { libc::chdir(path.as_c_str().as_ptr()) })
}
