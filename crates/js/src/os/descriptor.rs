//! File descriptors.

use std::ffi::c_int;

use super::{errno, status};
use crate::engine::{Arguments, Context, Outcome};

/// The mode of a new file, before the process's mask.
const MODE: i32 = 0o666;

pub(super) fn open<'js>(context: Context<'js>, arguments: Arguments<'_, 'js>) -> Outcome<'js> {
    let (path, flags, mode) = (arguments.get(0).to_text()?, arguments.get(1).to_i32()?, arguments.get(2));
    let mode = if mode.is_undefined() { MODE } else { mode.to_i32()? };
    // SAFETY: the path is a C string.
    status(context, unsafe { libc::open(path.as_c_str().as_ptr(), flags, mode) })
}

pub(super) fn close<'js>(context: Context<'js>, arguments: Arguments<'_, 'js>) -> Outcome<'js> {
    let descriptor = arguments.get(0).to_i32()?;
    // SAFETY: which descriptor is closed, JavaScript says as C would.
    status(context, unsafe { libc::close(descriptor) })
}

/// The new offset, a BigInt where the offset given is one.
pub(super) fn seek<'js>(context: Context<'js>, arguments: Arguments<'_, 'js>) -> Outcome<'js> {
    let (descriptor, offset, whence) = (arguments.get(0).to_i32()?, arguments.get(1), arguments.get(2).to_i32()?);
    let distance = offset.to_i64()?;
    // SAFETY: it takes any values.
    let result = unsafe { libc::lseek(descriptor, distance, whence) };
    let result = if result == -1 { -i64::from(errno()) } else { result };
    if offset.is_big_int() { context.big_int(result) } else { Ok(context.integer(result)) }
}

/// Reads into an ArrayBuffer: `read(descriptor, buffer, offset, length)`.
pub(super) fn read<'js>(context: Context<'js>, arguments: Arguments<'_, 'js>) -> Outcome<'js> {
    let (descriptor, memory) = transfer(arguments)?;
    // SAFETY: the memory is a buffer's that the caller holds; no JavaScript code runs.
    status(context, unsafe { libc::read(descriptor, memory.cast(), memory.len()) } as i64)
}

/// Writes of an ArrayBuffer: `write(descriptor, buffer, offset, length)`.
pub(super) fn write<'js>(context: Context<'js>, arguments: Arguments<'_, 'js>) -> Outcome<'js> {
    let (descriptor, memory) = transfer(arguments)?;
    // SAFETY: the memory is a buffer's that the caller holds; no JavaScript code runs.
    status(context, unsafe { libc::write(descriptor, memory.cast(), memory.len()) } as i64)
}

/// The descriptor and the memory that `(descriptor, buffer, offset, length)` are.
fn transfer<'js>(arguments: Arguments<'_, 'js>) -> Outcome<'js, (c_int, *mut [u8])> {
    let descriptor = arguments.get(0).to_i32()?;
    let (offset, length) = (arguments.get(2).to_index()?, arguments.get(3).to_index()?);
    // Both are below 2^53.
    let memory = arguments.get(1).buffer_part(|_| offset..offset + length)?;
    Ok((descriptor, memory))
}

pub(super) fn isatty<'js>(context: Context<'js>, arguments: Arguments<'_, 'js>) -> Outcome<'js> {
    let descriptor = arguments.get(0).to_i32()?;
    // SAFETY: it takes any value.
    Ok(context.boolean(unsafe { libc::isatty(descriptor) } == 1))
}

/// `[the end to read from, the end to write to]`, or null.
pub(super) fn pipe<'js>(context: Context<'js>, _: Arguments<'_, 'js>) -> Outcome<'js> {
    let mut ends = [0; 2];
    // SAFETY: there is place for both ends.
    if unsafe { libc::pipe(ends.as_mut_ptr()) } != 0 {
        return Ok(context.null());
    }
    context.array(ends.map(|end| context.integer(end.into())))
}

pub(super) fn dup<'js>(context: Context<'js>, arguments: Arguments<'_, 'js>) -> Outcome<'js> {
    let descriptor = arguments.get(0).to_i32()?;
    // SAFETY: it takes any value.
    status(context, unsafe { libc::dup(descriptor) })
}

pub(super) fn dup2<'js>(context: Context<'js>, arguments: Arguments<'_, 'js>) -> Outcome<'js> {
    let (old, new) = (arguments.get(0).to_i32()?, arguments.get(1).to_i32()?);
    // SAFETY: which descriptor is replaced, JavaScript says as C would.
    status(context, unsafe { libc::dup2(old, new) })
}
