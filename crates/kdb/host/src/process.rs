//! The functions of `k.h` that the process has: this library's, or those of one that was loaded before it.

use std::ffi::{CStr, c_char, c_int, c_longlong, c_void};
use std::sync::OnceLock;

use crate::errors;
use crate::object::{self, GUID, K, LIST, UNARY};

/// The functions that a host's own part needs.
pub(crate) struct Functions {
    pub(crate) ka: extern "C" fn(c_int) -> K,
    pub(crate) ktn: extern "C" fn(c_int, c_longlong) -> K,
    pub(crate) r0: unsafe extern "C" fn(K),
    pub(crate) r1: unsafe extern "C" fn(K) -> K,
    pub(crate) krr: extern "C" fn(*const c_char) -> K,
    ee: extern "C" fn(K) -> K,
    /// Whether these functions are this library's.
    is_own: bool,
}

/// What the process has by a name.
///
/// # Safety
/// `k.h` has this type of function pointers for it.
unsafe fn find<T>(name: &CStr) -> T {
    let address = address(name);
    // SAFETY: said by the caller.
    unsafe { std::mem::transmute_copy::<*mut c_void, T>(&address) }
}

/// The functions, found when they are asked for first.
pub(crate) fn functions() -> &'static Functions {
    static FUNCTIONS: OnceLock<Functions> = OnceLock::new();
    // SAFETY: the fields have the types that `k.h` has.
    FUNCTIONS.get_or_init(|| unsafe {
        Functions {
            ka: find(c"ka"),
            ktn: find(c"ktn"),
            r0: find(c"r0"),
            r1: find(c"r1"),
            krr: find(c"krr"),
            ee: find(c"ee"),
            is_own: library(address(c"ka")) == library(address(c"host_apply")),
        }
    })
}

fn address(name: &CStr) -> *mut c_void {
    // SAFETY: there is no rule to keep.
    let address = unsafe { libc::dlsym(libc::RTLD_DEFAULT, name.as_ptr()) };
    assert!(!address.is_null(), "the process has no {name:?}: load the host with RTLD_GLOBAL");
    address
}

/// Where the library begins that an address is in.
fn library(address: *const c_void) -> *const c_void {
    // SAFETY: all fields may be zero.
    let mut info: libc::Dl_info = unsafe { std::mem::zeroed() };
    // SAFETY: `dladdr` writes there.
    unsafe { libc::dladdr(address, &raw mut info) };
    info.dli_fbase
}

/// The text of this thread's pending error, which is then pending no more; null if there is none.
pub(crate) fn take_error() -> *const c_char {
    let functions = functions();
    if functions.is_own {
        return errors::take();
    }
    let error = (functions.ee)(std::ptr::null_mut());
    // SAFETY: the object is an error, which has a text or null.
    unsafe {
        let text = *object::payload::<*const c_char>(error);
        (functions.r0)(error);
        text
    }
}

/// Signals an error.
pub(crate) fn signal(text: &'static CStr) -> K {
    (functions().krr)(text.as_ptr())
}

/// A reference more.
///
/// # Safety
/// It is an object.
pub(crate) unsafe fn retain(object: K) -> K {
    // SAFETY: said by the caller.
    unsafe { (functions().r1)(object) }
}

/// A reference less.
///
/// # Safety
/// The caller has one, and gives it away.
pub(crate) unsafe fn release(object: K) {
    // SAFETY: said by the caller.
    unsafe { (functions().r0)(object) };
}

/// A list of objects, of any type that is laid out as one. It takes their references.
pub(crate) fn list(kind: i8, objects: &[K]) -> K {
    let list = (functions().ktn)(LIST.into(), objects.len() as c_longlong);
    // SAFETY: so many items were allocated.
    unsafe {
        std::ptr::copy_nonoverlapping(objects.as_ptr(), object::items(list), objects.len());
        (*list).kind = kind;
    }
    list
}

/// `::`, or with another number another function of one argument.
pub(crate) fn unary(number: u8) -> K {
    let object = (functions().ka)(UNARY.into());
    // SAFETY: an atom has a payload.
    unsafe { object::payload::<i64>(object).write(number.into()) };
    object
}

/// An item of a vector or list, as an object with a reference for the caller.
///
/// # Safety
/// The vector is one of a type that has a width, and the item is in it.
pub(crate) unsafe fn item(vector: K, index: usize) -> K {
    // SAFETY: said by the caller; an atom has room for an item of its type.
    unsafe {
        let kind = object::kind(vector);
        if kind == LIST {
            return retain(*object::items::<K>(vector).add(index));
        }
        let width = object::width(kind).unwrap_or_default();
        let atom = (functions().ka)((-kind).into());
        let target: *mut u8 = if kind == GUID { object::items(atom) } else { object::payload(atom) };
        std::ptr::copy_nonoverlapping(object::items::<u8>(vector).add(index * width), target, width);
        atom
    }
}
