//! q for the tests: the host, q's thread, values, and the library under test.

// Each test binary uses a part of it.
#![allow(dead_code, unused_imports, unused_macros)]

pub(crate) mod api;
mod calendar;
mod lambda;
mod literal;
mod thread;
pub(crate) mod value;

use std::cell::OnceCell;
use std::ffi::{CStr, CString, c_int, c_void};
use std::path::{Path, PathBuf};

use api::{Api, K};
pub(crate) use lambda::lambda;
pub(crate) use thread::q;
pub(crate) use value::*;

/// q, on its own thread. Only `q` gives it.
pub(crate) struct Q {
    library: OnceCell<Library>,
}

impl Q {
    /// A function of the library under test that takes so many objects: q's `2:`.
    ///
    /// # Panics
    /// If there is no such function.
    pub(crate) fn load(&self, name: &str, rank: usize) -> Value {
        self.function(self.symbol(name), rank).expect("a function")
    }

    /// Where a name of the library under test is.
    ///
    /// # Panics
    /// If there is no such name.
    pub(crate) fn symbol(&self, name: &str) -> *const c_void {
        self.library.get_or_init(|| Library::open(&built("libffikdb.so"), libc::RTLD_NOW)).symbol(name)
    }

    /// A q function of a C function that takes so many objects, and borrows them.
    pub(crate) fn function(&self, address: *const c_void, rank: usize) -> Result<Value, String> {
        result((api().dl)(address, rank as i64))
    }

    /// `f[a;b;..]`.
    pub(crate) fn apply(&self, function: &Value, arguments: &[&Value]) -> Result<Value, String> {
        let arguments: Vec<Value> = arguments.iter().map(|value| (*value).clone()).collect();
        self.apply_list(function, &list_of(arguments))
    }

    /// `f . arguments`.
    pub(crate) fn apply_list(&self, function: &Value, arguments: &Value) -> Result<Value, String> {
        // SAFETY: both are objects.
        result(unsafe { (api().host_apply)(function.raw(), arguments.raw()) })
    }

    /// The result of a call of C's, with the error that is pending if it is null.
    pub(crate) fn result(&self, object: K) -> Result<Value, String> {
        result(object)
    }

    /// Gives a value a name, by which C finds it with `k(0, name, ..)`.
    pub(crate) fn define(&self, name: &str, value: Value) {
        let name = CString::new(name).expect("a name");
        // SAFETY: the reference is given away.
        unsafe { (api().host_define)(name.as_ptr(), value.into_raw()) };
    }

    /// Takes a name back.
    pub(crate) fn forget(&self, name: &str) {
        let name = CString::new(name).expect("a name");
        // SAFETY: null takes it back.
        unsafe { (api().host_define)(name.as_ptr(), std::ptr::null_mut()) };
    }

    /// Waits for descriptors, and calls the functions of those that can be read. Gives how many.
    pub(crate) fn turn(&self, milliseconds: c_int) -> i64 {
        (api().host_turn)(milliseconds)
    }

    /// How many descriptors q watches.
    pub(crate) fn descriptors(&self) -> i64 {
        (api().host_descriptors)()
    }

    /// How many objects there are. Always 0 with the objects of another library.
    pub(crate) fn live(&self) -> i64 {
        (api().host_live)()
    }

    /// How many objects have been made. Always 0 with the objects of another library.
    pub(crate) fn allocations(&self) -> i64 {
        (api().host_allocations)()
    }

    /// How often something was done that kdb+ would not survive, since this was asked last.
    pub(crate) fn violations(&self) -> i64 {
        (api().host_violations)()
    }

    /// Whether objects are the host's own.
    pub(crate) fn is_own(&self) -> bool {
        objects().is_none()
    }

    /// Runs something that leaves no object behind and frees none.
    ///
    /// # Panics
    /// If it does, or if it does what kdb+ would not survive.
    pub(crate) fn exact<R>(&self, body: impl FnOnce(&Q) -> R) -> R {
        let before = self.live();
        let result = body(self);
        assert_eq!(self.live() - before, 0, "objects are left behind, or are missing");
        assert_eq!(self.violations(), 0, "kdb+ would not survive this");
        result
    }
}

/// An object that C gives, or the pending error.
fn result(object: K) -> Result<Value, String> {
    if !object.is_null() {
        // SAFETY: the reference is ours.
        return Ok(unsafe { Value::from_raw(object) });
    }
    let text = (api().host_error)();
    assert!(!text.is_null(), "null without an error");
    // SAFETY: an error's text is a string of C's.
    Err(unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned())
}

/// The functions of the process: `k.h`'s and the host's.
pub(crate) fn api() -> &'static Api {
    static API: std::sync::OnceLock<Api> = std::sync::OnceLock::new();
    API.get_or_init(|| {
        let visible = libc::RTLD_NOW | libc::RTLD_GLOBAL;
        if let Some(path) = objects() {
            Library::open(&path, visible).initialize_objects();
        }
        Library::open(&built("libjitcall_kdb_host.so"), visible);
        Api::find()
    })
}

/// The library whose objects are used instead of the host's: KX's own `libe.so`.
fn objects() -> Option<PathBuf> {
    std::env::var_os("JITCALL_KDB_OBJECTS").map(PathBuf::from)
}

/// A library as Cargo built it for this test.
pub(crate) fn built(name: &str) -> PathBuf {
    let executable = std::env::current_exe().expect("the path of the test");
    // Cargo builds them for tests beside them; only `cargo build` links them one folder up.
    let found = executable.ancestors().skip(1).take(2).map(|folder| folder.join(name)).find(|path| path.exists());
    found.unwrap_or_else(|| panic!("no {name} beside {}", executable.display()))
}

/// A library that is never closed.
pub(crate) struct Library {
    handle: *mut c_void,
}

impl Library {
    pub(crate) fn open(path: &Path, flags: c_int) -> Library {
        let name = CString::new(path.as_os_str().as_encoded_bytes()).expect("a path");
        // SAFETY: these libraries may be loaded.
        let handle = unsafe { libc::dlopen(name.as_ptr(), flags) };
        assert!(!handle.is_null(), "{}", loader_message());
        Library { handle }
    }

    pub(crate) fn symbol(&self, name: &str) -> *const c_void {
        let name = CString::new(name).expect("a name");
        // SAFETY: the library is never closed.
        let address = unsafe { libc::dlsym(self.handle, name.as_ptr()) };
        assert!(!address.is_null(), "{}", loader_message());
        address
    }

    /// `khp("", -1)`: KX's library has no objects before that.
    fn initialize_objects(&self) {
        // SAFETY: `k.h` has this type for it.
        let khp: unsafe extern "C" fn(*const std::ffi::c_char, c_int) -> c_int =
            unsafe { std::mem::transmute(self.symbol("khp")) };
        // SAFETY: the text is a string of C's.
        unsafe { khp(c"".as_ptr(), -1) };
    }
}

fn loader_message() -> String {
    // SAFETY: the message is a string of C's.
    unsafe { CStr::from_ptr(libc::dlerror()) }.to_string_lossy().into_owned()
}
