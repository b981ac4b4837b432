//! The functions of `k.h` and of the host, as the process has them.

use std::ffi::{CString, c_char, c_double, c_int, c_longlong, c_void};

/// The header of an object, as `k.h` has it.
#[repr(C)]
pub(crate) struct Object {
    pub(crate) m: i8,
    pub(crate) a: i8,
    pub(crate) t: i8,
    pub(crate) u: u8,
    pub(crate) r: i32,
}

/// An object, or null.
pub(crate) type K = *mut Object;

/// A guid as C passes it.
#[repr(C)]
#[derive(Clone, Copy)]
pub(crate) struct U(pub(crate) [u8; 16]);

/// A structure of functions, each found in the process by its name.
macro_rules! functions {
    ($($name:ident: $type:ty,)*) => {
        #[allow(non_snake_case, reason = "the names are those of k.h and of the host")]
        pub(crate) struct Api {
            $(pub(crate) $name: $type,)*
        }

        impl Api {
            /// # Panics
            /// If the process does not have all of them.
            pub(crate) fn find() -> Api {
                // SAFETY: these are the types of the functions.
                unsafe { Api { $($name: std::mem::transmute::<*mut c_void, $type>(find(stringify!($name))),)* } }
            }
        }
    };
}

functions! {
    ka: extern "C" fn(c_int) -> K,
    kb: extern "C" fn(c_int) -> K,
    ku: extern "C" fn(U) -> K,
    kg: extern "C" fn(c_int) -> K,
    kh: extern "C" fn(c_int) -> K,
    ki: extern "C" fn(c_int) -> K,
    kj: extern "C" fn(c_longlong) -> K,
    ke: extern "C" fn(c_double) -> K,
    kf: extern "C" fn(c_double) -> K,
    kc: extern "C" fn(c_int) -> K,
    ks: unsafe extern "C" fn(*const c_char) -> K,
    kd: extern "C" fn(c_int) -> K,
    kz: extern "C" fn(c_double) -> K,
    kt: extern "C" fn(c_int) -> K,
    ktj: extern "C" fn(c_int, c_longlong) -> K,
    ktn: extern "C" fn(c_int, c_longlong) -> K,
    knk: unsafe extern "C" fn(c_int, ...) -> K,
    kp: unsafe extern "C" fn(*const c_char) -> K,
    kpn: unsafe extern "C" fn(*const c_char, c_longlong) -> K,
    ja: unsafe extern "C" fn(*mut K, *const c_void) -> K,
    js: unsafe extern "C" fn(*mut K, *const c_char) -> K,
    jk: unsafe extern "C" fn(*mut K, K) -> K,
    jv: unsafe extern "C" fn(*mut K, K) -> K,
    vk: unsafe extern "C" fn(K) -> K,
    xD: unsafe extern "C" fn(K, K) -> K,
    xT: unsafe extern "C" fn(K) -> K,
    ktd: unsafe extern "C" fn(K) -> K,
    ss: unsafe extern "C" fn(*const c_char) -> *const c_char,
    sn: unsafe extern "C" fn(*const c_char, c_int) -> *const c_char,
    ymd: extern "C" fn(c_int, c_int, c_int) -> c_int,
    dj: extern "C" fn(c_int) -> c_int,
    r0: unsafe extern "C" fn(K),
    r1: unsafe extern "C" fn(K) -> K,
    m9: extern "C" fn(),
    setm: extern "C" fn(c_int) -> c_int,
    krr: unsafe extern "C" fn(*const c_char) -> K,
    orr: unsafe extern "C" fn(*const c_char) -> K,
    ee: unsafe extern "C" fn(K) -> K,
    dl: extern "C" fn(*const c_void, c_longlong) -> K,
    dot: unsafe extern "C" fn(K, K) -> K,
    k: unsafe extern "C" fn(c_int, *const c_char, ...) -> K,
    sd0: extern "C" fn(c_int),
    sd0x: extern "C" fn(c_int, c_int),
    sd1: extern "C" fn(c_int, extern "C" fn(c_int) -> K) -> K,
    host_apply: unsafe extern "C" fn(K, K) -> K,
    host_code: unsafe extern "C" fn(K) -> *const c_void,
    host_hole: extern "C" fn() -> K,
    host_lambda: unsafe extern "C" fn(
        c_longlong,
        unsafe extern "C" fn(*mut c_void, *const K, c_longlong) -> K,
        *mut c_void,
        unsafe extern "C" fn(*mut c_void),
    ) -> K,
    host_define: unsafe extern "C" fn(*const c_char, K),
    host_error: extern "C" fn() -> *const c_char,
    host_turn: extern "C" fn(c_int) -> c_longlong,
    host_descriptors: extern "C" fn() -> c_longlong,
    host_live: extern "C" fn() -> c_longlong,
    host_allocations: extern "C" fn() -> c_longlong,
    host_violations: extern "C" fn() -> c_longlong,
    host_main_thread: extern "C" fn(),
}

fn find(name: &str) -> *mut c_void {
    let text = CString::new(name).expect("a name");
    // SAFETY: there is no rule to keep.
    let address = unsafe { libc::dlsym(libc::RTLD_DEFAULT, text.as_ptr()) };
    assert!(!address.is_null(), "the process has no {name}");
    address
}
