//! The functions of QuickJS's C interface that the module calls, found in the process when it is loaded.
//!
//! The program that imports the module was linked with QuickJS and exports these functions; nothing is linked here, so
//! that one binary serves every host. Types are what quickjs.h says, in its words.

use std::ffi::{CStr, c_char, c_int, c_uint, c_void};

use super::value::JSValue;

/// A runtime: a heap of values, used by one thread at a time.
#[repr(C)]
pub struct JSRuntime {
    opaque: [u8; 0],
}

/// A realm in a runtime, with globals of its own.
#[repr(C)]
pub struct JSContext {
    opaque: [u8; 0],
}

/// A module in a context.
#[repr(C)]
pub struct JSModuleDef {
    opaque: [u8; 0],
}

/// A class of objects with native data. All hosts lay it out in this way.
#[repr(C)]
pub(crate) struct JSClassDef {
    pub(crate) class_name: *const c_char,
    pub(crate) finalizer: Option<unsafe extern "C" fn(*mut JSRuntime, JSValue)>,
    pub(crate) gc_mark: Option<unsafe extern "C" fn(*mut JSRuntime, JSValue, *mut c_void)>,
    pub(crate) call: *const c_void,
    pub(crate) exotic: *mut c_void,
}

/// What native functions are, with values that belong to the function object.
pub(crate) type JSCFunctionData =
    unsafe extern "C" fn(*mut JSContext, JSValue, c_int, *mut JSValue, c_int, *mut JSValue) -> JSValue;

/// What fills in the exports of a module, when it is first imported.
pub(crate) type JSModuleInitFunc = unsafe extern "C" fn(*mut JSContext, *mut JSModuleDef) -> c_int;

/// Properties that can be deleted.
pub(crate) const JS_PROP_CONFIGURABLE: c_int = 1 << 0;

/// Program text that is a script, or a module.
pub(crate) const JS_EVAL_TYPE_GLOBAL: c_int = 0;
pub(crate) const JS_EVAL_TYPE_MODULE: c_int = 1;

macro_rules! functions {
    (
        required: $(fn $name:ident($($argument:ty),*) $(-> $result:ty)?;)*
        optional: $(fn $spare:ident($($spare_argument:ty),*) $(-> $spare_result:ty)?;)*
    ) => {
        /// Pointers to the functions.
        #[allow(non_snake_case, reason = "QuickJS's own names")]
        pub(crate) struct Api {
            $(pub(crate) $name: unsafe extern "C" fn($($argument),*) $(-> $result)?,)*
            $(pub(crate) $spare: Option<unsafe extern "C" fn($($spare_argument),*) $(-> $spare_result)?>,)*
        }

        impl Api {
            /// Finds them.
            ///
            /// # Errors
            /// The name of the first one that the process does not export.
            pub(crate) fn load() -> Result<Api, &'static str> {
                Ok(Api {
                    $($name: {
                        let found = find(concat!(stringify!($name), "\0")).ok_or(stringify!($name))?;
                        // SAFETY: every host declares the function of that name so.
                        unsafe {
                            std::mem::transmute::<*mut c_void, unsafe extern "C" fn($($argument),*) $(-> $result)?>(found)
                        }
                    },)*
                    $($spare: find(concat!(stringify!($spare), "\0")).map(|found| {
                        // SAFETY: the hosts that have it declare it so.
                        unsafe {
                            std::mem::transmute::<
                                *mut c_void,
                                unsafe extern "C" fn($($spare_argument),*) $(-> $spare_result)?,
                            >(found)
                        }
                    }),)*
                })
            }
        }
    };
}

functions! {
    required:
    fn JS_NewCModule(*mut JSContext, *const c_char, JSModuleInitFunc) -> *mut JSModuleDef;
    fn JS_AddModuleExport(*mut JSContext, *mut JSModuleDef, *const c_char) -> c_int;
    fn JS_SetModuleExport(*mut JSContext, *mut JSModuleDef, *const c_char, JSValue) -> c_int;
    fn JS_NewCFunctionData(*mut JSContext, JSCFunctionData, c_int, c_int, c_int, *mut JSValue) -> JSValue;
    fn JS_NewClass(*mut JSRuntime, c_uint, *const JSClassDef) -> c_int;
    fn JS_NewObjectClass(*mut JSContext, c_uint) -> JSValue;
    fn JS_SetOpaque(JSValue, *mut c_void);
    fn JS_GetOpaque(JSValue, c_uint) -> *mut c_void;
    fn JS_MarkValue(*mut JSRuntime, JSValue, *mut c_void);
    fn JS_GetRuntime(*mut JSContext) -> *mut JSRuntime;
    fn JS_GetGlobalObject(*mut JSContext) -> JSValue;
    fn JS_NewObject(*mut JSContext) -> JSValue;
    fn JS_NewArray(*mut JSContext) -> JSValue;
    fn JS_GetPropertyStr(*mut JSContext, JSValue, *const c_char) -> JSValue;
    fn JS_SetPropertyStr(*mut JSContext, JSValue, *const c_char, JSValue) -> c_int;
    fn JS_GetPropertyUint32(*mut JSContext, JSValue, u32) -> JSValue;
    fn JS_SetPropertyUint32(*mut JSContext, JSValue, u32, JSValue) -> c_int;
    fn JS_DefinePropertyValueStr(*mut JSContext, JSValue, *const c_char, JSValue, c_int) -> c_int;
    fn JS_NewStringLen(*mut JSContext, *const c_char, usize) -> JSValue;
    fn JS_ToCStringLen2(*mut JSContext, *mut usize, JSValue, c_int) -> *const c_char;
    fn JS_FreeCString(*mut JSContext, *const c_char);
    fn JS_Throw(*mut JSContext, JSValue) -> JSValue;
    fn JS_GetException(*mut JSContext) -> JSValue;
    fn JS_Call(*mut JSContext, JSValue, JSValue, c_int, *mut JSValue) -> JSValue;
    fn JS_CallConstructor(*mut JSContext, JSValue, c_int, *mut JSValue) -> JSValue;
    fn JS_IsFunction(*mut JSContext, JSValue) -> c_int;
    fn JS_Eval(*mut JSContext, *const c_char, usize, *const c_char, c_int) -> JSValue;
    fn JS_NewArrayBufferCopy(*mut JSContext, *const u8, usize) -> JSValue;
    fn JS_GetArrayBuffer(*mut JSContext, *mut usize, JSValue) -> *mut u8;
    fn JS_GetTypedArrayBuffer(*mut JSContext, JSValue, *mut usize, *mut usize, *mut usize) -> JSValue;
    fn JS_NewBigInt64(*mut JSContext, i64) -> JSValue;
    fn JS_NewBigUint64(*mut JSContext, u64) -> JSValue;
    fn JS_NewPromiseCapability(*mut JSContext, *mut JSValue) -> JSValue;
    fn JS_ParseJSON(*mut JSContext, *const c_char, usize, *const c_char) -> JSValue;
    optional:
    fn JS_GetVersion() -> *const c_char;
    fn JS_FreeValue(*mut JSContext, JSValue);
    fn JS_FreeValueRT(*mut JSRuntime, JSValue);
    fn JS_GetAnyOpaque(JSValue, *mut c_uint) -> *mut c_void;
    fn JS_IsRegisteredClass(*mut JSRuntime, c_uint) -> c_int;
    fn __JS_FreeValue(*mut JSContext, JSValue);
    fn __JS_FreeValueRT(*mut JSRuntime, JSValue);
}

/// The functions of one name and two signatures.
pub(super) mod varying {
    use super::{JSContext, JSRuntime, JSValue};
    use std::ffi::{c_int, c_uint, c_void};

    /// Bellard's: the identifier alone.
    pub(crate) type NewClassId = unsafe extern "C" fn(*mut c_uint) -> c_uint;
    /// quickjs-ng's: identifiers belong to a runtime.
    pub(crate) type NewRuntimeClassId = unsafe extern "C" fn(*mut JSRuntime, *mut c_uint) -> c_uint;
    /// Memory with a function that frees it.
    pub(crate) type NewArrayBuffer =
        unsafe extern "C" fn(*mut JSContext, *mut u8, usize, *const c_void, *mut c_void, c_int) -> JSValue;
    /// quickjs-ng's from 0.16: memory that may grow, with a function that moves it.
    pub(crate) type NewResizableArrayBuffer =
        unsafe extern "C" fn(*mut JSContext, *mut u8, usize, usize, *const c_void, *mut c_void, bool) -> JSValue;
}

/// The symbol of that name, which ends in a zero byte, wherever in the process it is.
pub(super) fn find(name: &'static str) -> Option<*mut c_void> {
    let name = CStr::from_bytes_with_nul(name.as_bytes()).ok()?;
    // SAFETY: the name is a string of C's.
    let found = unsafe { libc::dlsym(libc::RTLD_DEFAULT, name.as_ptr()) };
    (!found.is_null()).then_some(found)
}
