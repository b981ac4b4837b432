//! The module as QuickJS imports it: its exports, and the script that makes most of them out of native functions.

use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::ptr;

use crate::error::{Failure, Result};
use crate::event_loop::state_of;
use crate::function::fallback::values;
use crate::host::{Host, JS_EVAL_TYPE_GLOBAL, JSContext, JSModuleDef, JSValue};
use crate::scope::{Owned, Scope};
use crate::state::State;
use crate::{convert, functions, libraries, memory, named, structs};

/// What the module exports, all made by its script.
const EXPORTS: &[&CStr] = &[
    // qjs-ffi's
    c"define",
    c"call",
    c"toString",
    c"toArrayBuffer",
    c"toPointer",
    c"errno",
    c"JSContext",
    c"debug",
    c"pointerSize",
    c"dlopen",
    c"dlerror",
    c"dlclose",
    c"dlsym",
    c"RTLD_LAZY",
    c"RTLD_NOW",
    c"RTLD_GLOBAL",
    c"RTLD_LOCAL",
    c"RTLD_NODELETE",
    c"RTLD_NOLOAD",
    c"RTLD_DEEPBIND",
    c"RTLD_DEFAULT",
    c"RTLD_NEXT",
    // and its first generation's
    c"ffidefine",
    c"fficall",
    c"ffitostring",
    c"ffitoarraybuffer",
    // Bun's
    c"linkSymbols",
    c"CFunction",
    c"JSCallback",
    c"ptr",
    c"toBuffer",
    c"CString",
    c"read",
    c"FFIType",
    c"suffix",
    c"viewSource",
    // beyond them
    c"write",
    c"struct",
    c"union",
    c"array",
    c"pointer",
    c"sizeof",
    c"alignof",
    c"offsetof",
    c"out",
    c"typed",
    c"strerror",
];

/// A native function that the module's script calls.
type NativeFunction = for<'a> fn(Scope<'a>, &[JSValue]) -> Result<Owned<'a>>;

/// Those functions. What is a function of the dynamic loader has its name.
const NATIVE: &[(&CStr, NativeFunction)] = &[
    (c"dlopen", libraries::dlopen),
    (c"dlsym", libraries::dlsym),
    (c"dlclose", libraries::dlclose),
    (c"dlerror", libraries::dlerror),
    (c"openLibrary", libraries::open),
    (c"closeLibrary", libraries::close),
    (c"symbol", libraries::symbol),
    (c"define", |scope, arguments| scope.own(named::define(scope, arguments)?)),
    (c"ptr", memory::ptr),
    (c"toPointer", memory::to_pointer),
    (c"toString", memory::to_string),
    (c"stringAt", memory::string_at),
    (c"copy", memory::copy),
    (c"view", memory::view),
    (c"read", memory::read),
    (c"write", memory::write),
    (c"errno", memory::errno),
    (c"strerror", memory::strerror),
    (c"context", context),
    (c"debug", debug),
    (c"type", structs::named),
    (c"pointerTo", structs::pointer_to),
    (c"arrayOf", structs::array_of),
    (c"aggregate", structs::aggregate),
    (c"describe", structs::describe),
    (c"setView", structs::set_view),
    (c"readMember", structs::read_member),
    (c"writeMember", structs::write_member),
    (c"declarations", structs::declarations),
    (c"bind", functions::bind),
    (c"source", functions::source),
    (c"callback", functions::callback),
    (c"callbackPointer", functions::callback_pointer),
    (c"closeCallback", functions::close_callback),
    (c"setCString", set_c_string),
];

/// The script, which is a function of the native functions that gives the exports.
const SCRIPT: &str = concat!(
    "(function (native) { \"use strict\";\n",
    include_str!("../js/types.js"),
    include_str!("../js/memory.js"),
    include_str!("../js/structs.js"),
    include_str!("../js/functions.js"),
    include_str!("../js/libraries.js"),
    include_str!("../js/exports.js"),
    "})"
);

/// Declares the module.
///
/// # Safety
/// `ctx` is a context of the host, `name` a string of C's.
pub(crate) unsafe fn declare(ctx: *mut JSContext, name: *const c_char) -> *mut JSModuleDef {
    // SAFETY: said by the caller.
    let host = match unsafe { Host::get(ctx) } {
        Ok(host) => host,
        Err(missing) => {
            report_missing(missing);
            return ptr::null_mut();
        }
    };
    // SAFETY: said by the caller; names are strings of C's.
    unsafe {
        let module = (host.api.JS_NewCModule)(ctx, name, initialise);
        if !module.is_null() {
            for export in EXPORTS {
                (host.api.JS_AddModuleExport)(ctx, module, export.as_ptr());
            }
        }
        module
    }
}

/// Says which function the host does not export: nothing can be thrown without its functions.
fn report_missing(name: &str) {
    eprintln!(
        "ffi: this program does not export {name}, a function of QuickJS's C interface that the module needs. Programs \
         that were linked without it, such as statically built ones of quickjs-ng from 0.16 on, cannot load native \
         modules; link with -rdynamic, or run the script with `jitcall js`."
    );
}

/// Fills in the exports.
///
/// # Safety
/// Called by the host, once, for the module that [`declare`] has made.
unsafe extern "C" fn initialise(ctx: *mut JSContext, module: *mut JSModuleDef) -> c_int {
    let Some(host) = Host::known() else { return -1 };
    // SAFETY: said by the caller.
    match unsafe { State::new(host, ctx) } {
        Ok((state, owner)) => {
            // SAFETY: the host calls in that context.
            let scope = unsafe { Scope::new(ctx, &state) };
            let filled = scope.own(owner).and_then(|owner| fill(scope, module, *owner));
            match filled {
                Ok(()) => 0,
                Err(failure) => {
                    scope.throw(failure);
                    -1
                }
            }
        }
        Err(_) => -1,
    }
}

fn fill(scope: Scope<'_>, module: *mut JSModuleDef, owner: JSValue) -> Result<()> {
    let native = scope.object()?;
    for ((name, _), number) in NATIVE.iter().zip(0..) {
        let function = native_function(scope, owner, dispatch, 0, number)?;
        scope.set(*native, name, function)?;
    }
    scope.set(*native, c"call", call_by_name(scope, owner)?)?;
    add_constants(scope, *native)?;
    let script = CString::new(SCRIPT).map_err(|_| Failure::other("the module's script has a zero byte"))?;
    let script = scope.evaluate(&script, c"ffi", JS_EVAL_TYPE_GLOBAL)?;
    let exports = scope.call(*script, JSValue::UNDEFINED, &mut [*native])?;
    for name in EXPORTS {
        let export = scope.get(*exports, name)?;
        // SAFETY: the reference is handed on.
        let status =
            unsafe { (scope.host().api.JS_SetModuleExport)(scope.ctx, module, name.as_ptr(), export.into_raw()) };
        if status < 0 {
            return Err(Failure::Pending);
        }
    }
    Ok(())
}

fn native_function<'a>(
    scope: Scope<'a>,
    owner: JSValue,
    code: crate::host::JSCFunctionData,
    length: c_int,
    number: c_int,
) -> Result<Owned<'a>> {
    let address = ptr::from_ref(scope.state).expose_provenance() as u64;
    let mut data = [JSValue::plain(scope.host().double, address), owner];
    // SAFETY: the host takes references of its own to the values.
    scope.own(unsafe { (scope.host().api.JS_NewCFunctionData)(scope.ctx, code, length, number, 2, data.as_mut_ptr()) })
}

/// `call`, whose first value is where it looks.
fn call_by_name<'a>(scope: Scope<'a>, owner: JSValue) -> Result<Owned<'a>> {
    let address = |pointer: *const c_void| JSValue::plain(scope.host().double, pointer.expose_provenance() as u64);
    let table = scope.state.names.borrow().table();
    let mut data = [address(table), address(ptr::from_ref(scope.state).cast()), owner];
    // SAFETY: the host takes references of its own to the values.
    scope.own(unsafe { (scope.host().api.JS_NewCFunctionData)(scope.ctx, named::call, 1, 0, 3, data.as_mut_ptr()) })
}

/// Runs the native function of that number.
///
/// # Safety
/// Called by the host with the values that [`native_function`] gave.
unsafe extern "C" fn dispatch(
    ctx: *mut JSContext,
    _: JSValue,
    count: c_int,
    arguments: *mut JSValue,
    number: c_int,
    data: *mut JSValue,
) -> JSValue {
    // SAFETY: said by the caller; the host gives that many values.
    let (scope, arguments) = unsafe { (Scope::new(ctx, state_of(data)), values(count, arguments)) };
    let (_, function) = NATIVE[number as usize];
    scope.finish(function(scope, arguments).map(Owned::into_raw))
}

/// The dynamic loader's flags and special handles.
fn add_constants(scope: Scope<'_>, native: JSValue) -> Result<()> {
    let constants = [
        (c"RTLD_LAZY", libc::RTLD_LAZY as i64),
        (c"RTLD_NOW", libc::RTLD_NOW.into()),
        (c"RTLD_GLOBAL", libc::RTLD_GLOBAL.into()),
        (c"RTLD_LOCAL", libc::RTLD_LOCAL.into()),
        (c"RTLD_NODELETE", libc::RTLD_NODELETE.into()),
        (c"RTLD_NOLOAD", libc::RTLD_NOLOAD.into()),
        (c"RTLD_DEEPBIND", libc::RTLD_DEEPBIND.into()),
        (c"RTLD_DEFAULT", libc::RTLD_DEFAULT.expose_provenance() as i64),
        (c"RTLD_NEXT", libc::RTLD_NEXT.expose_provenance() as i64),
    ];
    for (name, value) in constants {
        scope.set(native, name, convert::to_js::integer_value(scope, value.into())?)?;
    }
    Ok(())
}

/// The context's address, for functions of QuickJS's own C interface.
fn context<'a>(scope: Scope<'a>, _: &[JSValue]) -> Result<Owned<'a>> {
    convert::to_js::integer_value(scope, scope.ctx.expose_provenance() as i128)
}

/// Does nothing, for debuggers to stop at: `break js_debug`.
fn debug<'a>(scope: Scope<'a>, _: &[JSValue]) -> Result<Owned<'a>> {
    js_debug();
    scope.own(JSValue::NULL)
}

/// Where debuggers stop.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn js_debug() {
    std::hint::black_box(());
}

/// `(class)`: what text of C's becomes.
fn set_c_string<'a>(scope: Scope<'a>, arguments: &[JSValue]) -> Result<Owned<'a>> {
    let class = libraries::argument(arguments, 0);
    scope.state.set_c_string_class(scope.own(scope.dup(class))?);
    scope.own(JSValue::UNDEFINED)
}
