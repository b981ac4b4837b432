//! `.ffi` for the tests: the library's functions under their names, and the C library that they call.

// Each test binary uses a part of it.
#![allow(dead_code, unused_imports)]

#[path = "../../../../tests/support/compile.rs"]
pub(crate) mod compile;

use std::ffi::{CString, c_void};
use std::path::PathBuf;
use std::sync::OnceLock;

use compile::{Compiler, Folder};

use crate::support::*;

/// What a call gives: a value, or the text of the error.
pub(crate) type Outcome = Result<Value, String>;

/// The functions of the library, on q's thread.
pub(crate) struct Ffi<'q> {
    pub(crate) q: &'q Q,
    pub(crate) bind: Value,
    pub(crate) function: Value,
    pub(crate) call_function: Value,
    pub(crate) cvar: Value,
    pub(crate) loadlib: Value,
    pub(crate) set_errno: Value,
    pub(crate) deref: Value,
    pub(crate) as_q_function: Value,
    pub(crate) cif: Value,
    pub(crate) call: Value,
    pub(crate) callback: Value,
    pub(crate) free: Value,
    pub(crate) show: Value,
}

/// Runs a test with `.ffi` on q's thread, with the C library in the process.
pub(crate) fn ffi<R: Send>(body: impl FnOnce(&Ffi<'_>) -> R + Send) -> R {
    q(|q| {
        let ffi = Ffi::new(q);
        ffi.load(callees());
        body(&ffi)
    })
}

impl<'q> Ffi<'q> {
    fn new(q: &'q Q) -> Ffi<'q> {
        let load = |name, rank| q.load(name, rank);
        Ffi {
            q,
            bind: load("bind", 3),
            function: load("ffi_fn", 3),
            call_function: load("call_function", 2),
            cvar: load("cvar", 1),
            loadlib: load("loadlib", 1),
            set_errno: load("set_errno", 1),
            deref: load("deref", 3),
            as_q_function: load("bind_K_function", 2),
            cif: load("ffi_cif", 2),
            call: load("call", 3),
            callback: load("ffi_callback", 1),
            free: load("ffi_free", 1),
            show: load("ffi_show", 1),
        }
    }

    pub(crate) fn load(&self, library: &std::path::Path) {
        let path = library.to_str().expect("a path");
        self.q.apply(&self.loadlib, &[&string(path)]).expect("a library");
    }

    /// `.ffi.bind[name;parameters;result]`.
    pub(crate) fn bound(&self, name: &str, parameters: &str, result: char) -> Value {
        self.made(&self.bind, name, parameters, result)
    }

    /// `.ffi.fn[name;parameters;result]`.
    pub(crate) fn own_rank(&self, name: &str, parameters: &str, result: char) -> Value {
        self.made(&self.function, name, parameters, result)
    }

    fn made(&self, by: &Value, name: &str, parameters: &str, result: char) -> Value {
        let made = self.q.apply(by, &[&symbol(name), &string(parameters), &letter(result)]);
        made.unwrap_or_else(|error| panic!("{name} {parameters:?} {result:?}: {error}"))
    }

    /// Calls a function of one list, which ends in `::`.
    pub(crate) fn list_call(&self, function: &Value, arguments: &[&Value]) -> Outcome {
        self.q.apply(function, &[&ended(arguments)])
    }

    /// Binds and calls.
    pub(crate) fn run(&self, name: &str, parameters: &str, result: char, arguments: &[&Value]) -> Outcome {
        self.list_call(&self.bound(name, parameters, result), arguments)
    }

    /// `.ffi.callFunction[(result;name);arguments,(::)]`.
    pub(crate) fn inferred(&self, name: &str, result: char, arguments: &[&Value]) -> Outcome {
        self.q.apply(&self.call_function, &[&list![letter(result), symbol(name)], &ended(arguments)])
    }

    /// Runs a call once for what the library keeps, and again exactly. Both give the same.
    pub(crate) fn twice(&self, body: impl Fn() -> Outcome) -> Outcome {
        let first = body();
        self.q.exact(|_| assert_eq!(body(), first));
        first
    }
}

/// A list of arguments that ends in `::`.
pub(crate) fn ended(arguments: &[&Value]) -> Value {
    list_of(arguments.iter().map(|value| (*value).clone()).chain([null()]).collect())
}

/// A letter as q writes it.
pub(crate) fn letter(letter: char) -> Value {
    char(letter as u8)
}

/// `(function;parameters;result)`.
pub(crate) fn callback(function: &Value, parameters: &str, result: char) -> Value {
    list![function.clone(), string(parameters), letter(result)]
}

pub(crate) fn error(text: &str) -> Outcome {
    Err(text.to_owned())
}

/// The C library, compiled once for a test program.
pub(crate) fn callees() -> &'static PathBuf {
    static LIBRARY: OnceLock<PathBuf> = OnceLock::new();
    LIBRARY.get_or_init(|| compiled(include_str!("callees.c")))
}

/// A C source as a shared library. Its file is gone once the process has opened it.
pub(crate) fn compiled(source: &str) -> PathBuf {
    // The folder is removed when the process ends, as far as it has a say then; a loaded library needs its file no more.
    static FOLDER: OnceLock<Folder> = OnceLock::new();
    let folder = FOLDER.get_or_init(|| {
        // SAFETY: the function takes nothing and may run when a process ends.
        unsafe { libc::atexit(remove) };
        Folder::new()
    });
    extern "C" fn remove() {
        if let Some(folder) = FOLDER.get() {
            // Nobody is left to be told.
            let _ = std::fs::remove_dir_all(folder.path());
        }
    }
    Compiler::from_env().compile(folder, &[source.to_owned()]).remove(0)
}

/// Where the C library has a variable or a function.
pub(crate) fn address<T>(name: &str) -> *mut T {
    let name = CString::new(name).expect("a name");
    // SAFETY: the name ends.
    let address: *mut c_void = unsafe { libc::dlsym(libc::RTLD_DEFAULT, name.as_ptr()) };
    assert!(!address.is_null(), "the C library has no {name:?}");
    address.cast()
}

/// What C has recorded.
pub(crate) fn seen(at: usize) -> u64 {
    assert!(at < 16);
    // SAFETY: the variable is an array of 16, and C is not running.
    unsafe { address::<u64>("seen").add(at).read() }
}

/// The text that C has recorded.
pub(crate) fn seen_text() -> Vec<u8> {
    // SAFETY: the variable is an array that ends in a zero byte.
    unsafe { std::ffi::CStr::from_ptr(address("text")) }.to_bytes().to_vec()
}

/// Has C record something else than what was there.
pub(crate) fn forget_seen() {
    // SAFETY: the variable is an array of 16 words, and C is not running.
    unsafe { address::<u8>("seen").write_bytes(0xa5, 128) };
    // SAFETY: the variable has 64 bytes.
    unsafe { address::<u8>("text").write_bytes(0, 64) };
}

/// What C gives from now on: bytes at that word.
pub(crate) fn pass(at: usize, bytes: &[u8]) {
    assert!(8 * at + bytes.len() <= 128);
    // SAFETY: the variable has 128 bytes, and C is not running.
    unsafe { address::<u8>("pass").add(8 * at).copy_from_nonoverlapping(bytes.as_ptr(), bytes.len()) };
}

/// How many calls C has had.
pub(crate) fn calls() -> i64 {
    // SAFETY: the variable is a long, and C is not running.
    unsafe { address::<i64>("calls").read() }
}
