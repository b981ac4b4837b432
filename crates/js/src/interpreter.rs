//! An interpreter: a QuickJS runtime with its host, made, run and freed.

use std::ffi::{CStr, CString, OsStr, OsString};
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::ptr::NonNull;

use rquickjs_sys as qjs;

use crate::engine::{Context, Evaluation, Outcome};
use crate::host::Host;
use crate::module_loader::{self, NativeModule};
use crate::report::{self, Error};
use crate::{console, event_loop, prompt, timers};

/// The name of what is run from the command line, and of what is read from standard input, in stack traces.
const EXPRESSION: &CStr = c"<cmdline>";
const INPUT: &CStr = c"<stdin>";

/// A JavaScript interpreter, for one thread.
///
/// All its memory is freed when it is dropped.
pub struct Interpreter {
    context: NonNull<qjs::JSContext>,
    runtime: NonNull<qjs::JSRuntime>,
    host: Box<Host>,
}

impl Interpreter {
    /// Makes an interpreter with built-in `modules`; `arguments` are the program's `scriptArgs`.
    ///
    /// # Errors
    ///
    /// Where there is no memory for it.
    pub fn new(modules: &'static [NativeModule], arguments: &[OsString]) -> Result<Self, Error> {
        // SAFETY: it takes nothing.
        let runtime = NonNull::new(unsafe { qjs::JS_NewRuntime() }).ok_or(Error::NoMemory)?;
        // SAFETY: the runtime is valid.
        let Some(context) = NonNull::new(unsafe { qjs::JS_NewContext(runtime.as_ptr()) }) else {
            // SAFETY: the runtime is valid and has no context.
            unsafe { qjs::JS_FreeRuntime(runtime.as_ptr()) };
            return Err(Error::NoMemory);
        };
        let interpreter = Self { context, runtime, host: Box::new(Host::new(modules)) };
        // SAFETY: the runtime is valid; the host is boxed, and dropped after the runtime is freed.
        unsafe { interpreter.host.install(runtime.as_ptr()) };
        let context = interpreter.context();
        event_loop::install(context);
        module_loader::install(context);
        define_globals(context, arguments).map_err(|_| report::pending_exception(context))?;
        Ok(interpreter)
    }

    /// Runs a program from a file, and its event loop until nothing is left to wait for. What can be a module is run as
    /// one, `.mjs` in any case; the rest as a script.
    ///
    /// # Errors
    ///
    /// Where the file cannot be read; for an exception that nothing catches, and a rejection that nothing handles.
    pub fn run_file(&self, path: &Path) -> Result<(), Error> {
        let fail = |source| Error::Read { path: path.to_owned(), source };
        let source = fs::read(path).map_err(fail)?;
        let name = CString::new(path.as_os_str().as_bytes()).map_err(|error| fail(error.into()))?;
        self.run(&String::from_utf8_lossy(&source), &name, path.extension() == Some(OsStr::new("mjs")))
    }

    /// Runs a program that was read from standard input, as [`Interpreter::run_file`] does.
    ///
    /// # Errors
    ///
    /// As [`Interpreter::run_file`].
    pub fn run_input(&self, source: &str) -> Result<(), Error> {
        self.run(source, INPUT, false)
    }

    /// Runs a program from the command line. `std`, `os`, the built-in modules and what these export are at hand as
    /// global variables.
    ///
    /// # Errors
    ///
    /// As [`Interpreter::run_file`].
    pub fn evaluate(&self, source: &str) -> Result<(), Error> {
        self.define_modules()?;
        self.run(source, EXPRESSION, false)
    }

    /// Reads programs from the terminal and prints their results, until the input ends. The modules are at hand as by
    /// [`Interpreter::evaluate`]; timers and descriptors are served meanwhile.
    ///
    /// # Errors
    ///
    /// Where the terminal cannot be read from.
    pub fn prompt(&self) -> Result<(), Error> {
        self.define_modules()?;
        prompt::run(self.context())
    }

    fn context(&self) -> Context<'_> {
        // SAFETY: the context is valid as long as the interpreter, which stays on its thread.
        unsafe { Context::from_raw(self.context.as_ptr()) }
    }

    fn run(&self, source: &str, name: &CStr, must_be_module: bool) -> Result<(), Error> {
        let context = self.context();
        let fail = |_| report::pending_exception(context);
        if must_be_module || is_module(source) {
            let module = module_loader::compile(context, source, name, true).map_err(fail)?;
            event_loop::settle(module.run_module().map_err(fail)?)?;
        } else {
            context.evaluate(source, name, Evaluation::Script).map_err(fail)?;
        }
        event_loop::run(context)
    }

    /// Makes global variables of `std`, `os` and the built-in modules, and of what the latter export.
    fn define_modules(&self) -> Result<(), Error> {
        let mut source = String::from("import * as std from 'std'; import * as os from 'os';\n");
        source += "Object.assign(globalThis, { std, os });\n";
        for module in self.host.modules() {
            let name = module.name().to_string_lossy();
            source += &format!("import * as {name} from '{name}';\n");
            source += &format!("Object.assign(globalThis, {name}, {{ {name} }});\n");
        }
        let context = self.context();
        let fail = |_| report::pending_exception(context);
        let module = module_loader::compile(context, &source, c"<modules>", false).map_err(fail)?;
        event_loop::settle(module.run_module().map_err(fail)?).map(drop)
    }
}

impl Drop for Interpreter {
    fn drop(&mut self) {
        self.host.clear();
        // SAFETY: both are valid and used no more: the host's values are gone, and no other outlives a method.
        unsafe {
            qjs::JS_FreeContext(self.context.as_ptr());
            qjs::JS_FreeRuntime(self.runtime.as_ptr());
        }
    }
}

fn define_globals<'js>(context: Context<'js>, arguments: &[OsString]) -> Outcome<'js, ()> {
    let global = context.global();
    let arguments: Result<Vec<_>, _> = arguments.iter().map(|text| context.string(text.as_bytes())).collect();
    global.set(c"scriptArgs", context.array(arguments?)?)?;
    global.set_all(timers::FUNCTIONS)?;
    console::define(context)
}

/// Whether source text is a module's, as QuickJS's own program tells it: what can be a module is one.
fn is_module(source: &str) -> bool {
    let text = [source.as_bytes(), b"\0"].concat();
    // SAFETY: the text is as long as said, with a NUL behind it.
    unsafe { qjs::JS_DetectModule(text.as_ptr().cast(), source.len() as qjs::size_t) }
}
