//! Where modules come from: built in, files of JavaScript, JSON or text, shared libraries.

use std::ffi::{CStr, CString, OsStr, c_char, c_int, c_void};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::{fs, ptr};

use rquickjs_sys as qjs;

use crate::engine::{Context, Evaluation, Exception, Outcome, Value};
use crate::host::Host;
use crate::{os, standard};

/// What a native module is entered by, as QuickJS calls it: it declares the module in the context under the name.
///
/// The context is a `JSContext *`, the result a `JSModuleDef *`, or null with an exception pending.
pub type InitModule = unsafe extern "C" fn(context: *mut c_void, name: *const c_char) -> *mut c_void;

/// A native module that the program brings along.
///
/// It is imported by its name, or as a shared library of that name from any directory: `ffi`, `./ffi.so`.
#[derive(Debug)]
pub struct NativeModule {
    name: &'static CStr,
    init: InitModule,
}

impl NativeModule {
    /// # Safety
    ///
    /// `init` is a QuickJS module's `js_init_module`, for the version of QuickJS that this crate embeds.
    pub const unsafe fn new(name: &'static CStr, init: InitModule) -> Self {
        Self { name, init }
    }

    pub(crate) fn name(&self) -> &'static CStr {
        self.name
    }

    fn is_called(&self, name: &[u8]) -> bool {
        let file = name.rsplit(|byte| *byte == b'/').next().unwrap_or(name);
        name == self.name.to_bytes() || file.strip_suffix(b".so").is_some_and(|stem| stem == self.name.to_bytes())
    }
}

/// Lets the context's runtime load modules.
pub(crate) fn install(context: Context<'_>) {
    let runtime = context.runtime();
    // SAFETY: the runtime is valid, the functions have the signatures that are asked for.
    unsafe {
        qjs::JS_SetModuleLoaderFunc2(runtime, Some(normalize), Some(load), Some(check_attributes), ptr::null_mut());
    }
}

/// Compiles a module and sets its `import.meta`.
pub(crate) fn compile<'js>(context: Context<'js>, source: &str, name: &CStr, is_main: bool) -> Outcome<'js> {
    let module = context.evaluate(source, name, Evaluation::Module)?;
    // SAFETY: the value is a module, as it was compiled as one; the new reference is ours.
    let meta = unsafe { Value::from_raw(context, qjs::JS_GetImportMeta(context.raw(), definition(&module))) };
    meta.set(c"url", context.string(url(name))?)?;
    meta.set(c"main", context.boolean(is_main))?;
    Ok(module)
}

/// A file's URL; what is no file stays as it is called.
fn url(name: &CStr) -> Vec<u8> {
    let path = Path::new(OsStr::from_bytes(name.to_bytes()));
    match fs::canonicalize(path) {
        Ok(path) => [b"file://", path.as_os_str().as_bytes()].concat(),
        Err(_) => name.to_bytes().to_vec(),
    }
}

/// The module that a value is of, which the context holds until it is freed.
fn definition(module: &Value<'_>) -> *mut qjs::JSModuleDef {
    // SAFETY: the value is a module, which is held by its address.
    unsafe { qjs::JS_VALUE_GET_PTR(module.raw()).cast() }
}

/// The name that a module goes by when it is imported as `name` in the module `base`.
unsafe extern "C" fn normalize(
    context: *mut qjs::JSContext,
    base: *const c_char,
    name: *const c_char,
    _: *mut c_void,
) -> *mut c_char {
    // SAFETY: QuickJS calls with a valid context, on the thread that runs it, and with C strings.
    let (context, base, name) =
        unsafe { (Context::from_raw(context), CStr::from_ptr(base).to_bytes(), CStr::from_ptr(name).to_bytes()) };
    let normalized = match name {
        b"std" => b"qjs:std".to_vec(),
        b"os" => b"qjs:os".to_vec(),
        _ => match Host::of(context).modules().iter().find(|module| module.is_called(name)) {
            Some(module) => module.name.to_bytes().to_vec(),
            None => resolve(base, name),
        },
    };
    // SAFETY: the context is valid, the text is as long as said, and the copy goes to QuickJS.
    unsafe { qjs::js_strndup(context.raw(), normalized.as_ptr().cast(), normalized.len() as qjs::size_t) }
}

/// A path that starts with `./` or `../` is taken from the directory of `base`; leading dots are resolved, as by
/// QuickJS's own normaliser.
fn resolve(base: &[u8], name: &[u8]) -> Vec<u8> {
    if !name.starts_with(b".") {
        return name.to_vec();
    }
    let directory = base.iter().rposition(|byte| *byte == b'/').map_or(&b""[..], |slash| &base[..slash.max(1)]);
    let (mut directory, mut rest) = (directory, name);
    loop {
        if let Some(next) = rest.strip_prefix(b"./") {
            rest = next;
        } else if let Some(next) = rest.strip_prefix(b"../").filter(|_| has_parent(directory)) {
            rest = next;
            directory = directory.iter().rposition(|byte| *byte == b'/').map_or(b"", |slash| &directory[..slash]);
        } else {
            break;
        }
    }
    match directory {
        b"" if base.starts_with(b"/") => [b"/", rest].concat(),
        b"" => rest.to_vec(),
        b"/" => [b"/", rest].concat(),
        _ => [directory, b"/", rest].concat(),
    }
}

/// Whether the last part of a path can be left out for a `..` behind it.
fn has_parent(directory: &[u8]) -> bool {
    let last = directory.rsplit(|byte| *byte == b'/').next().unwrap_or(directory);
    !matches!(last, b"" | b"." | b"..")
}

unsafe extern "C" fn load(
    context: *mut qjs::JSContext,
    name: *const c_char,
    _: *mut c_void,
    attributes: qjs::JSValue,
) -> *mut qjs::JSModuleDef {
    // SAFETY: QuickJS calls with a valid context, on the thread that runs it, with a C string and a value of its own.
    let (context, name, attributes) = unsafe {
        let context = Context::from_raw(context);
        (context, CStr::from_ptr(name), Value::from_borrowed(context, attributes))
    };
    load_named(context, name, &attributes).unwrap_or(ptr::null_mut())
}

fn load_named<'js>(context: Context<'js>, name: &CStr, attributes: &Value<'js>) -> Outcome<'js, *mut qjs::JSModuleDef> {
    if let Some(module) = Host::of(context).modules().iter().find(|module| module.name == name) {
        return init(context, module.init, name);
    }
    match name.to_bytes() {
        b"qjs:std" => context.declare_module(name, standard::exports(context)?),
        b"qjs:os" => context.declare_module(name, os::exports(context)?),
        path if path.ends_with(b".so") => init(context, shared_library(context, name)?, name),
        path => load_file(context, name, Format::of(context, path, attributes)?),
    }
}

/// Enters a native module.
fn init(context: Context<'_>, init: InitModule, name: &CStr) -> Result<*mut qjs::JSModuleDef, Exception> {
    // SAFETY: the function is a module's entrance, the context is valid and the name a C string.
    let module = unsafe { init(context.raw().cast(), name.as_ptr()) };
    if !module.is_null() {
        return Ok(module.cast());
    }
    // SAFETY: the context is valid.
    if unsafe { qjs::JS_HasException(context.raw()) } {
        return Err(Exception);
    }
    Err(context.throw_reference_error(&format!("the module '{}' cannot be initialised", name.to_string_lossy())))
}

/// The entrance of a shared library's module. The library stays loaded, as its functions may be called until the end.
fn shared_library(context: Context<'_>, name: &CStr) -> Result<InitModule, Exception> {
    let fail = |reason: &str| {
        context.throw_reference_error(&format!("cannot load the module '{}': {reason}", name.to_string_lossy()))
    };
    // Without a slash, the dynamic loader would search the system's directories.
    let path = if name.to_bytes().contains(&b'/') {
        name.to_owned()
    } else {
        CString::new([b"./", name.to_bytes()].concat()).map_err(|_| fail("its name has a NUL"))?
    };
    // SAFETY: the path is a C string; to run the library's constructors is what importing it asks for.
    let library = unsafe { libc::dlopen(path.as_ptr(), libc::RTLD_NOW | libc::RTLD_LOCAL) };
    if library.is_null() {
        // SAFETY: dlopen failed on this thread, so there is a message, which is valid until the next such call.
        let reason = unsafe { CStr::from_ptr(libc::dlerror()) };
        return Err(fail(&reason.to_string_lossy()));
    }
    // SAFETY: the library is open and the name a C string.
    let entrance = unsafe { libc::dlsym(library, c"js_init_module".as_ptr()) };
    if entrance.is_null() {
        // SAFETY: the library was opened above, and nothing of it is used.
        unsafe { libc::dlclose(library) };
        return Err(fail("it has no js_init_module"));
    }
    // SAFETY: a module's entrance of that name has this signature.
    Ok(unsafe { std::mem::transmute::<*mut c_void, InitModule>(entrance) })
}

/// What a file holds.
#[derive(Clone, Copy)]
enum Format {
    JavaScript,
    Json,
    Text,
    Bytes,
}

impl Format {
    /// By the import's `type` attribute, else by the file's name.
    fn of<'js>(context: Context<'js>, path: &[u8], attributes: &Value<'js>) -> Outcome<'js, Self> {
        let by_name = if path.ends_with(b".json") { Self::Json } else { Self::JavaScript };
        if attributes.is_undefined() {
            return Ok(by_name);
        }
        let format = attributes.get(c"type")?;
        if !format.is_string() {
            return Ok(by_name);
        }
        let format = format.to_text()?;
        match format.as_bytes() {
            b"json" => Ok(Self::Json),
            b"text" => Ok(Self::Text),
            b"bytes" => Ok(Self::Bytes),
            _ => {
                let message = format!("modules cannot be of type '{}'", format.to_string_lossy());
                Err(context.throw_type_error(&message))
            }
        }
    }
}

fn load_file<'js>(context: Context<'js>, name: &CStr, format: Format) -> Outcome<'js, *mut qjs::JSModuleDef> {
    let fail = |reason: &dyn std::fmt::Display| {
        context.throw_reference_error(&format!("cannot load the module '{}': {reason}", name.to_string_lossy()))
    };
    let content = fs::read(OsStr::from_bytes(name.to_bytes())).map_err(|error| fail(&error))?;
    let value = match format {
        Format::Bytes => context.uint8_array(&content)?,
        Format::Text => context.string(&content)?,
        Format::Json => context.parse_json(&String::from_utf8_lossy(&content), name)?,
        Format::JavaScript => {
            let module = compile(context, &String::from_utf8_lossy(&content), name, false)?;
            return Ok(definition(&module));
        }
    };
    let exports = context.object()?;
    exports.set(c"default", value)?;
    context.declare_module(name, exports)
}

/// Of an import's attributes only the type is known.
unsafe extern "C" fn check_attributes(context: *mut qjs::JSContext, _: *mut c_void, attributes: qjs::JSValue) -> c_int {
    // SAFETY: QuickJS calls with a valid context, on the thread that runs it, and with a value of its own.
    let attributes = unsafe {
        let context = Context::from_raw(context);
        Value::from_borrowed(context, attributes)
    };
    let check = || -> Outcome<'_, ()> {
        for name in attributes.own_names()? {
            let name = name.to_text()?;
            if name.as_bytes() != b"type" {
                let message = format!("import attribute '{}' is not supported", name.to_string_lossy());
                return Err(attributes.context().throw_type_error(&message));
            }
        }
        Ok(())
    };
    if check().is_ok() { 0 } else { -1 }
}

#[cfg(test)]
mod tests {
    use super::resolve;

    #[test]
    fn paths_are_taken_from_the_importing_module() {
        let cases = [
            ("main.js", "./a.js", "a.js"),
            ("lib/main.js", "./a.js", "lib/a.js"),
            ("lib/main.js", "../a.js", "a.js"),
            ("/srv/lib/main.js", "../../a.js", "/a.js"),
            ("/main.js", "./a.js", "/a.js"),
            ("main.js", "../a.js", "../a.js"),
            ("../main.js", "../a.js", "../../a.js"),
            ("lib/main.js", "a.js", "a.js"),
            ("lib/main.js", "/a.js", "/a.js"),
            ("lib/main.js", ".././../a.js", "../a.js"),
        ];
        for (base, name, expected) in cases {
            let resolved = resolve(base.as_bytes(), name.as_bytes());
            assert_eq!(String::from_utf8(resolved).unwrap(), expected, "{name} in {base}");
        }
    }
}
