//! Where functions and variables are: in the process, in libraries, at an address.

use std::ffi::{CStr, CString, OsStr, c_void};
use std::os::unix::ffi::OsStrExt;

use libloading::os::unix::{Library, RTLD_GLOBAL, RTLD_LOCAL, RTLD_NOW};

use crate::error::{Class, Fault, Result};
use crate::host::{K, kind};

/// Keeps a library for the rest of the process (`<dlfcn.h>`).
const RTLD_NODELETE: i32 = libc::RTLD_NODELETE;

/// C's mathematics, which every process may be expected to have.
const MATHEMATICS: &CStr = c"libm.so.6";

/// Something that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Symbol {
    /// What errors call it.
    pub(crate) name: String,
    pub(crate) address: *mut c_void,
}

/// What q calls by `name`, by `` `lib`name `` or by a long, an address.
///
/// # Errors
/// `'os` where there is no such library or symbol, `'type` where the value names none.
pub(crate) fn find(what: K<'_>) -> Result<Symbol> {
    match what.t() {
        t if t == -kind::SYMBOL => in_process(what.symbol()),
        kind::SYMBOL if what.count() == 2 => {
            // SAFETY: a vector of symbols has addresses of texts.
            let [library, name] = unsafe { what.elements().cast::<[*const std::ffi::c_char; 2]>().read() };
            // SAFETY: interned texts end, and stay.
            let (library, name) = unsafe { (CStr::from_ptr(library), CStr::from_ptr(name)) };
            in_library(&open(library, RTLD_LOCAL)?, library, name)
        }
        t if t == -kind::LONG && what.long() != 0 => {
            let address = std::ptr::with_exposed_provenance_mut(what.long() as usize);
            Ok(Symbol { name: format!("{:#x}", what.long()), address })
        }
        // What older versions kept functions as: the bytes of an address.
        kind::BYTE if what.count() == size_of::<usize>() => {
            // SAFETY: there are as many bytes.
            let address = unsafe { what.elements().cast::<usize>().read_unaligned() };
            let name = format!("{address:#x}");
            Ok(Symbol { name, address: std::ptr::with_exposed_provenance_mut(address) })
        }
        t => Err(Fault::of_type(format!("`name, `library`name or an address: {t}h"))),
    }
}

/// A name in a library, or in the process.
///
/// # Errors
/// `'os` where there is no such library or symbol.
pub(crate) fn named(library: Option<&CStr>, name: &str) -> Result<Symbol> {
    let name = CString::new(name).map_err(|_| Fault::of_type("a zero byte in a name"))?;
    match library {
        Some(library) => in_library(&open(library, RTLD_LOCAL)?, library, &name),
        None => in_process(&name),
    }
}

/// Loads a library whose symbols are then in the process.
///
/// # Errors
/// `'os` with what the system says.
pub(crate) fn load(library: &CStr) -> Result<()> {
    open(library, RTLD_GLOBAL).map(drop)
}

/// Opens a library, which stays open.
fn open(path: &CStr, visibility: i32) -> Result<Library> {
    let flags = RTLD_NOW | RTLD_NODELETE | visibility;
    // SAFETY: who names a library answers for its initialisers.
    let opened = unsafe { Library::open(Some(OsStr::from_bytes(path.to_bytes())), flags) };
    opened.map_err(|error| Fault::new(Class::Os, describe(&error)))
}

fn in_library(library: &Library, path: &CStr, name: &CStr) -> Result<Symbol> {
    let symbol = |name: &CStr| -> Option<*mut c_void> {
        // SAFETY: nothing is done with what is there.
        let symbol = unsafe { library.get::<*mut c_void>(name.to_bytes_with_nul()) };
        symbol.ok().map(|symbol| symbol.as_raw_ptr()).filter(|address| !address.is_null())
    };
    match symbol(name) {
        Some(address) => Ok(Symbol { name: name.to_string_lossy().into_owned(), address }),
        None => {
            let (name, path) = (name.to_string_lossy(), path.to_string_lossy());
            Err(Fault::new(Class::Os, format!("{name}: no such symbol in {path}")))
        }
    }
}

fn in_process(name: &CStr) -> Result<Symbol> {
    // SAFETY: the name ends.
    let address = unsafe { libc::dlsym(libc::RTLD_DEFAULT, name.as_ptr()) };
    if !address.is_null() {
        return Ok(Symbol { name: name.to_string_lossy().into_owned(), address });
    }
    let mathematics = open(MATHEMATICS, RTLD_LOCAL).and_then(|library| in_library(&library, MATHEMATICS, name));
    mathematics
        .map_err(|_| Fault::new(Class::Os, format!("{}: no such symbol in this process", name.to_string_lossy())))
}

/// What the system says, without what was tried.
fn describe(error: &libloading::Error) -> String {
    let source = std::error::Error::source(error).map(ToString::to_string);
    source.unwrap_or_else(|| error.to_string())
}

/// A text of q's as C has it.
///
/// # Errors
/// `'type` where it is no symbol and no string, or has a zero byte.
pub(crate) fn text(value: K<'_>) -> Result<CString> {
    match value.t() {
        t if t == -kind::SYMBOL => Ok(value.symbol().to_owned()),
        kind::CHAR => {
            let bytes = value.bytes();
            CString::new(bytes.strip_suffix(&[0]).unwrap_or(bytes)).map_err(|_| Fault::of_type("a zero byte in a text"))
        }
        t => Err(Fault::of_type(format!("a symbol or a string: {t}h"))),
    }
}
