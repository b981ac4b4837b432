//! The C interface: `include/gwsocket.h` says what each function does.
//!
//! A server is a number, which is looked up at each call: one that has been closed is an error, not a crash.

use std::cell::RefCell;
use std::collections::HashMap;
use std::ffi::{CStr, CString, c_char, c_int, c_long, c_void};
use std::sync::{Arc, OnceLock, PoisonError, RwLock};
use std::time::{Duration, Instant};

use crate::config::Config;
use crate::error::{Error, Result};
use crate::event::Event;
use crate::hub::Kind;
use crate::server::Server;

/// What a server has done: `gwsocket_stats` in the header.
#[repr(C)]
pub struct CStats {
    counts: [u64; 15],
}

/// What a client did: `gwsocket_event` in the header.
#[repr(C)]
pub struct CEvent {
    client: u32,
    kind: u32,
    data: *const c_void,
    length: usize,
}

/// What `gwsocket_dispatch` calls.
pub type Callback =
    unsafe extern "C-unwind" fn(client: u32, kind: u32, data: *const c_void, length: usize, context: *mut c_void);

thread_local! {
    static LAST_ERROR: RefCell<CString> = RefCell::default();
    /// What the last event of this thread points to.
    static LAST_EVENT: RefCell<Option<Event>> = const { RefCell::new(None) };
}

#[derive(Default)]
struct Servers {
    open: HashMap<c_int, Arc<Server>>,
    last: c_int,
}

fn servers() -> &'static RwLock<Servers> {
    static SERVERS: OnceLock<RwLock<Servers>> = OnceLock::new();
    SERVERS.get_or_init(RwLock::default)
}

fn server(handle: c_int) -> Result<Arc<Server>> {
    let servers = servers().read().unwrap_or_else(PoisonError::into_inner);
    servers.open.get(&handle).cloned().ok_or_else(|| wrong("server", &format!("{handle} is no open server")))
}

fn wrong(argument: &str, what: &str) -> Error {
    Error::Option(format!("{argument}: {what}"))
}

/// Gives the value, or what stands for an error, whose text is kept for `gwsocket_error`.
fn outcome<T>(result: Result<T>, failed: T) -> T {
    result.unwrap_or_else(|error| {
        // Messages have no zeros within.
        let text = CString::new(error.to_string()).unwrap_or_default();
        LAST_ERROR.with_borrow_mut(|last| *last = text);
        failed
    })
}

fn kind(number: c_int) -> Result<Kind> {
    match number {
        1 => Ok(Kind::Text),
        2 => Ok(Kind::Binary),
        other => Err(wrong("type", &format!("expected 1 (GWSOCKET_TEXT) or 2 (GWSOCKET_BINARY), got {other}"))),
    }
}

/// # Safety
///
/// `data` is null, or the address of `length` bytes that stay as they are for as long as the result is used.
unsafe fn payload<'a>(data: *const c_void, length: usize) -> Result<&'a [u8]> {
    match () {
        () if length == 0 => Ok(&[]),
        () if data.is_null() => Err(wrong("data", &format!("null, with a length of {length}"))),
        () if length > isize::MAX as usize => Err(wrong("length", &format!("{length} is more than there can be"))),
        // SAFETY: by the caller's word.
        () => Ok(unsafe { std::slice::from_raw_parts(data.cast(), length) }),
    }
}

/// # Safety
///
/// `text` is null, or a string that ends with a zero and stays as it is for as long as the result is used.
unsafe fn string<'a>(argument: &str, text: *const c_char) -> Result<&'a str> {
    if text.is_null() {
        return Ok("");
    }
    // SAFETY: by the caller's word.
    unsafe { CStr::from_ptr(text) }.to_str().map_err(|_| wrong(argument, "it is not UTF-8"))
}

/// A time in milliseconds; negative: without end.
fn patience(milliseconds: c_int) -> Duration {
    u64::try_from(milliseconds).map_or(Duration::MAX, Duration::from_millis)
}

/// The next event. A server that another thread has closed meanwhile is an error.
fn next(server: &Server, timeout: c_int) -> Result<Option<Event>> {
    let event = if timeout == 0 { server.poll() } else { server.wait(patience(timeout)) };
    if event.is_none() && server.hub().is_shut() { Err(wrong("server", "it has been closed")) } else { Ok(event) }
}

/// Opens a server.
///
/// # Safety
///
/// `options` is null, or a string that ends with a zero.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gwsocket_open(options: *const c_char) -> c_int {
    // SAFETY: by the caller's word.
    let opened = unsafe { string("options", options) }.and_then(Config::from_options).and_then(Server::open);
    let kept = opened.map(|server| {
        let mut servers = servers().write().unwrap_or_else(PoisonError::into_inner);
        servers.last += 1;
        let handle = servers.last;
        servers.open.insert(handle, Arc::new(server));
        handle
    });
    outcome(kept, -1)
}

/// Closes a server.
#[unsafe(no_mangle)]
pub extern "C" fn gwsocket_close(handle: c_int) -> c_int {
    let closed = server(handle).map(|server| {
        servers().write().unwrap_or_else(PoisonError::into_inner).open.remove(&handle);
        // Threads may be in calls of it, and let go of it later.
        server.halt();
        0
    });
    outcome(closed, -1)
}

/// The text of this thread's last error.
#[unsafe(no_mangle)]
pub extern "C" fn gwsocket_error() -> *const c_char {
    LAST_ERROR.with_borrow(|error| error.as_ptr())
}

/// The library's version.
#[unsafe(no_mangle)]
pub extern "C" fn gwsocket_version() -> *const c_char {
    concat!(env!("CARGO_PKG_VERSION"), "\0").as_ptr().cast()
}

/// The port that a server listens on.
#[unsafe(no_mangle)]
pub extern "C" fn gwsocket_port(handle: c_int) -> c_int {
    outcome(server(handle).map(|server| c_int::from(server.port())), -1)
}

/// A descriptor that is readable while there are events.
#[unsafe(no_mangle)]
pub extern "C" fn gwsocket_fd(handle: c_int) -> c_int {
    outcome(server(handle).map(|server| server.descriptor()), -1)
}

/// Sends a message to all clients.
///
/// # Safety
///
/// `data` is the address of `length` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gwsocket_broadcast(
    handle: c_int,
    r#type: c_int,
    data: *const c_void,
    length: usize,
) -> c_long {
    let sent = server(handle).and_then(|server| {
        // SAFETY: by the caller's word.
        let clients = server.broadcast(kind(r#type)?, unsafe { payload(data, length)? })?;
        Ok(clients as c_long)
    });
    outcome(sent, -1)
}

/// Sends a text to all clients.
///
/// # Safety
///
/// `text` is a string that ends with a zero.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gwsocket_broadcast_text(handle: c_int, text: *const c_char) -> c_long {
    let sent = server(handle).and_then(|server| {
        // SAFETY: by the caller's word.
        let text = unsafe { string("text", text)? };
        Ok(server.broadcast(Kind::Text, text.as_bytes())? as c_long)
    });
    outcome(sent, -1)
}

/// Sends a message to one client.
///
/// # Safety
///
/// `data` is the address of `length` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gwsocket_send(
    handle: c_int,
    client: u32,
    r#type: c_int,
    data: *const c_void,
    length: usize,
) -> c_int {
    let sent = server(handle).and_then(|server| {
        // SAFETY: by the caller's word.
        server.send(client, kind(r#type)?, unsafe { payload(data, length)? })?;
        Ok(0)
    });
    outcome(sent, -1)
}

/// Closes a client, or all of them.
///
/// # Safety
///
/// `reason` is null, or a string that ends with a zero.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gwsocket_close_client(
    handle: c_int,
    client: u32,
    code: c_int,
    reason: *const c_char,
) -> c_int {
    let closed = server(handle).and_then(|server| {
        // SAFETY: by the caller's word.
        let reason = unsafe { string("reason", reason)? };
        let code = u16::try_from(code).map_err(|_| wrong("code", &format!("{code} is no close code")))?;
        if client == 0 {
            server.close_all(code, reason)?
        } else {
            server.close(client, code, reason)?
        }
        Ok(0)
    });
    outcome(closed, -1)
}

/// Gives the next event.
///
/// # Safety
///
/// `event` is the address of a `gwsocket_event`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gwsocket_next(handle: c_int, event: *mut CEvent, timeout: c_int) -> c_int {
    let given = server(handle).and_then(|server| {
        if event.is_null() {
            return Err(wrong("event", "null"));
        }
        let Some(next) = next(&server, timeout)? else { return Ok(0) };
        let data = next.data.as_ptr().cast();
        let given = CEvent { client: next.client, kind: next.kind.code(), data, length: next.data.len() };
        LAST_EVENT.with_borrow_mut(|last| *last = Some(next));
        // SAFETY: by the caller's word.
        unsafe { event.write(given) };
        Ok(1)
    });
    outcome(given, -1)
}

/// Calls a function for each event that waits.
///
/// # Safety
///
/// `callback` is a function of that type.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn gwsocket_dispatch(
    handle: c_int,
    callback: Option<Callback>,
    context: *mut c_void,
    timeout: c_int,
) -> c_int {
    let server = server(handle).and_then(|server| match callback {
        Some(callback) => Ok((server, callback)),
        None => Err(wrong("callback", "null")),
    });
    let (server, callback) = match server {
        Ok(found) => found,
        Err(error) => return outcome(Err(error), -1),
    };
    // A server that has more and more to tell does not keep the caller for ever.
    let (start, mut calls) = (Instant::now(), 0);
    let mut event = match next(&server, timeout) {
        Ok(event) => event,
        Err(error) => return outcome(Err(error), -1),
    };
    while let Some(Event { client, kind, data }) = event {
        // SAFETY: by the caller's word; the data lives until the next event.
        unsafe { callback(client, kind.code(), data.as_ptr().cast(), data.len(), context) };
        calls += 1;
        event = if start.elapsed() < Duration::from_secs(1) { server.poll() } else { None };
    }
    calls
}

/// Tells what a server has done.
///
/// # Safety
///
/// `stats` is the address of a `gwsocket_stats`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gwsocket_get_stats(handle: c_int, stats: *mut CStats) -> c_int {
    let told = server(handle).and_then(|server| {
        if stats.is_null() {
            return Err(wrong("stats", "null"));
        }
        // SAFETY: by the caller's word.
        unsafe { stats.write(CStats { counts: server.stats().counts() }) };
        Ok(0)
    });
    outcome(told, -1)
}
