//! Shared libraries: the dynamic loader's functions as qjs-ffi has them, and libraries as objects.

use std::cell::RefCell;
use std::collections::HashSet;
use std::ffi::{CStr, CString, c_int, c_void};
use std::rc::Rc;

use jitcall::Library;

use crate::convert::to_js;
use crate::error::{Failure, Result};
use crate::function::Record;
use crate::host::{JSValue, tag};
use crate::memory;
use crate::scope::{Owned, Scope, c_text};
use crate::state::Native;

/// The argument at a place; `undefined` where there is none.
pub(crate) fn argument(arguments: &[JSValue], index: usize) -> JSValue {
    arguments.get(index).copied().unwrap_or(JSValue::UNDEFINED)
}

/// A string argument.
pub(crate) fn text(scope: Scope<'_>, arguments: &[JSValue], index: usize, what: &str) -> Result<String> {
    let value = argument(arguments, index);
    if value.is_string() {
        return scope.text(value);
    }
    Err(Failure::of_type(format!("{what}: expected a string, got {}", scope.describe(value))))
}

thread_local! {
    /// What `dlerror` says next: the loader's own message, kept from whatever the host does meanwhile.
    static MESSAGE: RefCell<Option<CString>> = const { RefCell::new(None) };
}

fn keep_message() {
    // SAFETY: the message is copied at once.
    let message = unsafe {
        let message = libc::dlerror();
        (!message.is_null()).then(|| CStr::from_ptr(message).to_owned())
    };
    MESSAGE.set(message);
}

/// `dlopen(path, flags)`: a handle, or `null`.
pub(crate) fn dlopen<'a>(scope: Scope<'a>, arguments: &[JSValue]) -> Result<Owned<'a>> {
    let path = match argument(arguments, 0) {
        value if value.is(tag::NULL) => None,
        _ => Some(c_text(&text(scope, arguments, 0, "dlopen: the path")?)?),
    };
    let flags = argument(arguments, 1);
    let flags = scope.as_number(flags).ok_or_else(|| {
        Failure::of_type(format!("dlopen: the flags: expected a number, got {}", scope.describe(flags)))
    })?;
    let path = path.as_ref().map_or(std::ptr::null(), |path| path.as_ptr());
    // SAFETY: the script answers for the library's initialisers.
    let handle = unsafe { libc::dlopen(path, flags as c_int) };
    keep_message();
    handle_value(scope, handle)
}

fn handle_value<'a>(scope: Scope<'a>, handle: *mut c_void) -> Result<Owned<'a>> {
    if handle.is_null() {
        return scope.own(JSValue::NULL);
    }
    to_js::integer_value(scope, (handle.expose_provenance() as isize) as i128)
}

/// A handle, or one of the loader's special ones, which are 0 and -1.
fn handle(scope: Scope<'_>, function: &str, value: JSValue) -> Result<*mut c_void> {
    match scope.as_number(value) {
        Some(number) if number.fract() == 0.0 => Ok(std::ptr::with_exposed_provenance_mut(number as isize as usize)),
        _ => Err(Failure::of_type(format!("{function}: the handle: expected a number, got {}", scope.describe(value)))),
    }
}

/// `dlsym(handle, name)`: an address, or `null`.
pub(crate) fn dlsym<'a>(scope: Scope<'a>, arguments: &[JSValue]) -> Result<Owned<'a>> {
    let handle = handle(scope, "dlsym", argument(arguments, 0))?;
    let name = c_text(&text(scope, arguments, 1, "dlsym: the name")?)?;
    // SAFETY: the loader checks handles against those that it has given.
    let found = unsafe { libc::dlsym(handle, name.as_ptr()) };
    keep_message();
    handle_value(scope, found)
}

/// `dlclose(handle)`: 0 where it could be.
pub(crate) fn dlclose<'a>(scope: Scope<'a>, arguments: &[JSValue]) -> Result<Owned<'a>> {
    let handle = handle(scope, "dlclose", argument(arguments, 0))?;
    if handle.is_null() || handle.expose_provenance() as isize == -1 {
        return Err(Failure::of_type("dlclose: the handle is none that dlopen has given"));
    }
    // SAFETY: functions that were bound keep their library open by references of their own; the script answers for
    // other addresses, and for the library's finalisers.
    let status = unsafe { libc::dlclose(handle) };
    keep_message();
    scope.own(JSValue::int(status))
}

/// `dlerror()`: what went wrong, once; `null` where nothing did.
pub(crate) fn dlerror<'a>(scope: Scope<'a>, _: &[JSValue]) -> Result<Owned<'a>> {
    match MESSAGE.take() {
        Some(message) => scope.string_of_bytes(message.to_bytes()),
        None => scope.own(JSValue::NULL),
    }
}

/// The library that holds an address, kept open from now on; `None` for the program itself and for code of no library.
pub(crate) fn holding(target: *const c_void) -> Option<Library> {
    let mut info = std::mem::MaybeUninit::<libc::Dl_info>::zeroed();
    // SAFETY: the structure is written, and strings in it live as long as the library.
    let path = unsafe {
        if libc::dladdr(target, info.as_mut_ptr()) == 0 {
            return None;
        }
        let name = info.assume_init().dli_fname;
        (!name.is_null()).then(|| CStr::from_ptr(name).to_string_lossy().into_owned())?
    };
    // SAFETY: it is open already, so nothing runs. The program itself cannot be opened, nor has it to be.
    unsafe { Library::open(path) }.ok()
}

/// A library that a script has opened, and the functions that were bound in it.
pub(crate) struct OpenLibrary {
    pub(crate) library: Library,
    pub(crate) bound: Rc<Bound>,
}

/// Functions that are alive. A record that goes takes itself away.
#[derive(Default)]
pub(crate) struct Bound {
    records: RefCell<HashSet<*const Record>>,
}

impl Bound {
    pub(crate) fn add(&self, record: *const Record) {
        self.records.borrow_mut().insert(record);
    }

    pub(crate) fn remove(&self, record: *const Record) {
        self.records.borrow_mut().remove(&record);
    }

    /// Refuses all further calls.
    fn close(&self, reason: &str) {
        for record in self.records.take() {
            // SAFETY: a record takes itself away before it goes.
            unsafe { (*record).close(reason) };
        }
    }
}

/// `(path)`: a library as an object; the process itself for `null`.
pub(crate) fn open<'a>(scope: Scope<'a>, arguments: &[JSValue]) -> Result<Owned<'a>> {
    let library = match argument(arguments, 0) {
        value if value.is(tag::NULL) => Library::process(),
        // SAFETY: the script answers for the library's initialisers.
        _ => unsafe { Library::open(text(scope, arguments, 0, "dlopen: the path")?)? },
    };
    scope.state.wrap(scope, Native::Library(Box::new(OpenLibrary { library, bound: Rc::default() })))
}

/// The library that an argument is.
pub(crate) fn library<'a>(scope: Scope<'a>, value: JSValue) -> Option<&'a OpenLibrary> {
    match scope.state.native(value) {
        Some(Native::Library(library)) => Some(library),
        _ => None,
    }
}

/// `(library, name)`: the address of a symbol.
pub(crate) fn symbol<'a>(scope: Scope<'a>, arguments: &[JSValue]) -> Result<Owned<'a>> {
    let open = library(scope, argument(arguments, 0)).ok_or_else(|| Failure::of_type("expected a library"))?;
    let address = open.library.symbol(&text(scope, arguments, 1, "the name")?)?;
    to_js::integer_value(scope, address.expose_provenance() as i128)
}

/// `(library, reason)`: no symbol can be looked up any more, and no function of it called.
pub(crate) fn close<'a>(scope: Scope<'a>, arguments: &[JSValue]) -> Result<Owned<'a>> {
    if let Some(open) = library(scope, argument(arguments, 0)) {
        open.bound.close(&text(scope, arguments, 1, "the reason")?);
        open.library.close();
    }
    scope.own(JSValue::UNDEFINED)
}

/// An address as a target of calls.
pub(crate) fn target(scope: Scope<'_>, value: JSValue) -> Result<*const c_void> {
    match memory::address(scope, value)? {
        0 => Err(Failure::of_type("expected a function pointer, got null")),
        address => Ok(std::ptr::with_exposed_provenance(address)),
    }
}
