//! Environment variables, as C functions called by the program see them as well.

use std::env;
use std::ffi::CStr;
use std::os::unix::ffi::OsStrExt;

use crate::engine::{Arguments, Context, Outcome};

pub(super) fn getenv<'js>(context: Context<'js>, arguments: Arguments<'_, 'js>) -> Outcome<'js> {
    let name = arguments.get(0).to_text()?;
    // SAFETY: the name is a C string.
    let value = unsafe { libc::getenv(name.as_c_str().as_ptr()) };
    if value.is_null() {
        return Ok(context.undefined());
    }
    // SAFETY: the value is a C string, copied before anything may change it.
    context.string(unsafe { CStr::from_ptr(value) }.to_bytes())
}

pub(super) fn setenv<'js>(context: Context<'js>, arguments: Arguments<'_, 'js>) -> Outcome<'js> {
    let (name, value) = (arguments.get(0).to_text()?, arguments.get(1).to_text()?);
    // SAFETY: both are C strings; threads that read the environment meanwhile are the program's business, as in C.
    unsafe { libc::setenv(name.as_c_str().as_ptr(), value.as_c_str().as_ptr(), 1) };
    Ok(context.undefined())
}

pub(super) fn unsetenv<'js>(context: Context<'js>, arguments: Arguments<'_, 'js>) -> Outcome<'js> {
    let name = arguments.get(0).to_text()?;
    // SAFETY: the name is a C string; threads that read the environment meanwhile are the program's business, as in C.
    unsafe { libc::unsetenv(name.as_c_str().as_ptr()) };
    Ok(context.undefined())
}

pub(super) fn getenviron<'js>(context: Context<'js>, _: Arguments<'_, 'js>) -> Outcome<'js> {
    let variables = context.object()?;
    for (name, value) in env::vars_os() {
        let name = context.string(name.as_bytes())?;
        variables.define(&name, context.string(value.as_bytes())?)?;
    }
    Ok(variables)
}
