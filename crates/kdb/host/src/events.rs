//! `sd1`: descriptors, and a turn of the event loop.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ffi::{c_int, c_longlong};

use crate::conduct;
use crate::object::{self, INT, K};
use crate::process::{functions, release, signal, take_error};

/// What runs when a descriptor has something to read.
type Callback = extern "C" fn(c_int) -> K;

thread_local! {
    /// Only the main thread has any.
    static CALLBACKS: RefCell<BTreeMap<c_int, Callback>> = RefCell::default();
}

/// Has a function called when a descriptor can be read, on q's thread. One that is negative is the descriptor below zero,
/// which is made non-blocking. Gives the descriptor, an int.
#[unsafe(no_mangle)]
extern "C" fn sd1(descriptor: c_int, callback: Option<Callback>) -> K {
    let number = descriptor.checked_abs().unwrap_or(c_int::MAX);
    let Some(callback) = callback else { return signal(c"type") };
    // SAFETY: there is no rule to keep.
    let flags = unsafe { libc::fcntl(number, libc::F_GETFL) };
    if !conduct::is_main("sd1") || flags < 0 {
        return signal(c"sd1");
    }
    if descriptor < 0 {
        // SAFETY: there is no rule to keep.
        unsafe { libc::fcntl(number, libc::F_SETFL, flags | libc::O_NONBLOCK) };
    }
    CALLBACKS.with_borrow_mut(|callbacks| callbacks.insert(number, callback));
    let result = (functions().ka)((-INT).into());
    // SAFETY: an int has a payload.
    unsafe { object::payload::<c_int>(result).write(number) };
    result
}

/// Has no function called for a descriptor any more, and closes it.
#[unsafe(no_mangle)]
extern "C" fn sd0(descriptor: c_int) {
    sd0x(descriptor, 1);
}

/// Has no function called for a descriptor any more, and closes it if that is asked for.
#[unsafe(no_mangle)]
extern "C" fn sd0x(descriptor: c_int, close: c_int) {
    let is_known =
        conduct::is_main("sd0") && CALLBACKS.with_borrow_mut(|callbacks| callbacks.remove(&descriptor)).is_some();
    if is_known && close != 0 {
        // SAFETY: who registered a descriptor lets it be closed here.
        unsafe { libc::close(descriptor) };
    }
}

/// How many descriptors have a function.
#[unsafe(no_mangle)]
extern "C" fn host_descriptors() -> c_longlong {
    CALLBACKS.with_borrow(BTreeMap::len) as c_longlong
}

/// Waits up to so many milliseconds for descriptors that can be read, and calls their functions. Gives how many were
/// called. Results are freed, and errors reported, for there is nobody to have them.
#[unsafe(no_mangle)]
extern "C" fn host_turn(milliseconds: c_int) -> c_longlong {
    let mut called = 0;
    for descriptor in ready(milliseconds) {
        // One that ran before may have removed it.
        let Some(callback) = CALLBACKS.with_borrow(|callbacks| callbacks.get(&descriptor).copied()) else { continue };
        finish(callback(descriptor));
        called += 1;
    }
    called
}

fn ready(milliseconds: c_int) -> Vec<c_int> {
    let watched = |fd: &c_int| libc::pollfd { fd: *fd, events: libc::POLLIN, revents: 0 };
    let mut watched: Vec<_> = CALLBACKS.with_borrow(|callbacks| callbacks.keys().map(watched).collect());
    // SAFETY: the array has so many elements.
    unsafe { libc::poll(watched.as_mut_ptr(), watched.len() as libc::nfds_t, milliseconds) };
    watched.iter().filter(|entry| entry.revents != 0).map(|entry| entry.fd).collect()
}

fn finish(result: K) {
    let error = take_error();
    if !error.is_null() {
        // SAFETY: an error's text is a string of C's.
        eprintln!("q: '{}", unsafe { std::ffi::CStr::from_ptr(error) }.to_string_lossy());
    }
    if !result.is_null() {
        // SAFETY: the result is the caller's.
        unsafe { release(result) };
    }
}
