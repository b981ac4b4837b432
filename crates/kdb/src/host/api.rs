//! The functions of k.h, which the process has: q, or whatever plays it.

use std::ffi::{CStr, CString, c_char, c_double, c_int, c_void};
use std::sync::OnceLock;

use super::Object;

/// A native function as `dl` takes it, whatever its number of parameters.
pub(crate) type Code = *const c_void;

macro_rules! functions {
    ($($(#[$about:meta])* fn $name:ident($($parameter:ty),*) $(-> $result:ty)?;)*) => {
        /// The functions, found in the process.
        #[allow(non_snake_case, reason = "the names are k.h's")]
        pub(crate) struct Api {
            $($(#[$about])* pub(crate) $name: unsafe extern "C-unwind" fn($($parameter),* ) $(-> $result)?,)*
        }

        impl Api {
            /// # Errors
            /// The name of one that the process does not have.
            fn find() -> Result<Api, &'static CStr> {
                Ok(Api { $($name: {
                    const NAME: &CStr = match CStr::from_bytes_with_nul(concat!(stringify!($name), "\0").as_bytes()) {
                        Ok(name) => name,
                        Err(_) => panic!("the name has one zero byte, at its end"),
                    };
                    let address = symbol(NAME).ok_or(NAME)?;
                    // SAFETY: that is how k.h declares the function of this name.
                    unsafe { std::mem::transmute::<*const c_void, unsafe extern "C-unwind" fn($($parameter),* ) $(-> $result)?>(address) }
                },)* })
            }
        }
    };
}

functions! {
    /// A function of so many objects.
    fn dl(Code, i64) -> *mut Object;
    /// Applies a function to a list; null where that fails.
    fn dot(*mut Object, *mut Object) -> *mut Object;
    /// The pending error as an object, which is not pending then.
    fn ee(*mut Object) -> *mut Object;
    /// An atom of that type.
    fn ka(c_int) -> *mut Object;
    fn kb(c_int) -> *mut Object;
    fn kc(c_int) -> *mut Object;
    fn kd(c_int) -> *mut Object;
    fn ke(c_double) -> *mut Object;
    fn kf(c_double) -> *mut Object;
    fn kg(c_int) -> *mut Object;
    fn kh(c_int) -> *mut Object;
    fn ki(c_int) -> *mut Object;
    fn kj(i64) -> *mut Object;
    fn ks(*mut c_char) -> *mut Object;
    fn kt(c_int) -> *mut Object;
    fn kz(c_double) -> *mut Object;
    /// A vector, or a list, of that type and so many elements.
    fn ktn(c_int, i64) -> *mut Object;
    /// Has the function that is running fail with a text, which stays where it is.
    fn krr(*const c_char) -> *mut Object;
    fn r0(*mut Object);
    fn r1(*mut Object) -> *mut Object;
    /// The one address of a symbol's text.
    fn ss(*const c_char) -> *mut c_char;
    /// A dictionary of keys and values, which it takes over.
    fn xD(*mut Object, *mut Object) -> *mut Object;
    /// A table of a dictionary, which it takes over.
    fn xT(*mut Object) -> *mut Object;
}

/// Has q's main loop call a function where a descriptor can be read: `sd1`.
pub(crate) type Watch =
    unsafe extern "C-unwind" fn(c_int, unsafe extern "C-unwind" fn(c_int) -> *mut Object) -> *mut Object;

/// `sd1`, which programs with q's objects and without its main loop do not have.
pub(crate) fn watch() -> Option<Watch> {
    // SAFETY: that is how k.h declares the function of this name.
    symbol(c"sd1").map(|address| unsafe { std::mem::transmute::<*const c_void, Watch>(address) })
}

/// A symbol of the process.
fn symbol(name: &CStr) -> Option<*const c_void> {
    // SAFETY: the name ends.
    let address = unsafe { libc::dlsym(libc::RTLD_DEFAULT, name.as_ptr()) };
    (!address.is_null()).then_some(address.cast_const())
}

static API: OnceLock<Result<Api, &'static CStr>> = OnceLock::new();

/// The functions, looked up by the first who asks.
///
/// # Errors
/// The name of one that the process does not have.
pub(crate) fn find() -> Result<&'static Api, &'static CStr> {
    API.get_or_init(Api::find).as_ref().map_err(|name| *name)
}

/// The functions, once [`find`] has succeeded: nothing of this library runs before it has.
#[inline]
pub(crate) fn api() -> &'static Api {
    match API.get() {
        Some(Ok(api)) => api,
        _ => unreachable!("every way in looks for q's functions first"),
    }
}

/// Tells q, or at least the user, which function is not there.
pub(crate) fn report_missing(name: &CStr) -> *mut Object {
    /// q keeps the address of an error's text.
    static TEXT: OnceLock<CString> = OnceLock::new();
    let name = name.to_string_lossy();
    let text = format!("os: ffikdb: this process has no function {name}, which k.h declares: the library is for q");
    let Some(krr) = symbol(c"krr") else {
        eprintln!("{text}");
        return std::ptr::null_mut();
    };
    let text = TEXT.get_or_init(|| CString::new(text).unwrap_or_default());
    // SAFETY: that is how k.h declares it.
    let krr: unsafe extern "C" fn(*const c_char) -> *mut Object = unsafe { std::mem::transmute(krr) };
    // SAFETY: the text stays.
    unsafe { krr(text.as_ptr()) }
}
