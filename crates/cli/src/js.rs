//! `jitcall js`: runs JavaScript that calls C functions.

use std::ffi::{OsString, c_char, c_void};
use std::io::{self, IsTerminal as _};
use std::path::Path;

use jitcall_js::{Interpreter, NativeModule};

use crate::Failure;

const ABOUT: &str = "\
Runs JavaScript with C functions at hand.

The engine is QuickJS, with ES modules, promises and an event loop, a console, timers, and the modules of QuickJS's own
program: std (files, formatted output, the environment) and os (descriptors, paths, processes). The module ffi calls C.
Native modules are imported from shared libraries, as in that program.

Without a script, there is a prompt where the input is a terminal; else the input is the script.";

const EXAMPLES: &str = "\
Examples:
  jitcall js script.js one two
  jitcall js -e 'console.log(os.getpid())'
  jitcall js";

/// The modules that scripts find in the program itself.
// SAFETY: the function is the QuickJS module's own entrance, for any version of QuickJS.
static MODULES: [NativeModule; 1] = [unsafe { NativeModule::new(c"ffi", init_ffi) }];

/// Enters the module `ffi`, whose types stand for those of the context's own QuickJS.
unsafe extern "C" fn init_ffi(context: *mut c_void, name: *const c_char) -> *mut c_void {
    // SAFETY: the caller's promise is the same.
    unsafe { jitcall_qjs::js_init_module(context.cast(), name).cast() }
}

/// Runs JavaScript that calls C functions.
#[derive(clap::Args)]
#[command(long_about = ABOUT, after_long_help = EXAMPLES)]
pub(crate) struct Js {
    /// Run this text instead of a script; std, os, ffi and what ffi exports are global variables
    #[arg(short, long = "eval", value_name = "TEXT")]
    expression: Option<String>,
    /// Script to run
    script: Option<OsString>,
    /// Arguments of the script, behind its name in `scriptArgs`
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<OsString>,
}

impl Js {
    pub(crate) fn run(self) -> Result<(), Failure> {
        let arguments: Vec<OsString> = self.script.iter().cloned().chain(self.arguments).collect();
        let interpreter = Interpreter::new(&MODULES, &arguments)?;
        match (self.expression, self.script) {
            (Some(expression), _) => interpreter.evaluate(&expression)?,
            (None, Some(script)) => interpreter.run_file(Path::new(&script))?,
            (None, None) if io::stdin().is_terminal() => interpreter.prompt()?,
            (None, None) => interpreter.run_input(&io::read_to_string(io::stdin())?)?,
        }
        Ok(())
    }
}
