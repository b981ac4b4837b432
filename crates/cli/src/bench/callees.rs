//! Where the functions that are called lie: in a shared library beside the program, else in the program.

use std::env;
use std::ffi::c_void;
use std::path::PathBuf;
use std::sync::OnceLock;

use jitcall::Library;
use jitcall_callees::{address as linked, symbol};

/// The file that cargo makes of `src/callees.rs`.
const FILE: &str = "libjitcall_callees.so";

/// The address of a case's function.
pub(crate) fn address(case: &str) -> *const c_void {
    let found = library().and_then(|library| library.symbol(symbol(case)).ok());
    found.unwrap_or_else(|| linked(case))
}

/// What is to be said of them.
pub(crate) fn note() -> String {
    match library().and_then(Library::path) {
        Some(path) => format!("functions: {}", path.display()),
        None => format!("functions: in the program itself, since {FILE} does not lie beside it"),
    }
}

fn library() -> Option<&'static Library> {
    static LIBRARY: OnceLock<Option<Library>> = OnceLock::new();
    LIBRARY.get_or_init(|| path().and_then(|path| open(path).ok())).as_ref()
}

fn open(path: PathBuf) -> jitcall::Result<Library> {
    // SAFETY: the library is this package's own, and has no initialisers.
    unsafe { Library::open(path) }
}

/// `cargo build` puts it beside the program, `cargo run` where it keeps what the program depends on.
fn path() -> Option<PathBuf> {
    let program = env::current_exe().ok()?;
    let folder = program.parent()?;
    [folder.join(FILE), folder.join("deps").join(FILE)].into_iter().find(|path| path.exists())
}
