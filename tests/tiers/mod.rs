//! Engines of both tiers, for tests that make calls.

// Each test binary uses a part of it.
#![allow(dead_code)]

use std::ffi::{CString, c_void};

use jitcall::engine::{Builder, TIER_VARIABLE};
use jitcall::{Engine, Error, Function, Library, Signature, Tier, Value};

/// An engine of each tier.
pub(crate) fn engines() -> Vec<Engine> {
    engines_with(|builder| builder)
}

/// An engine of each tier, set up further by `set`. Where the tests are told to run without a JIT, a system that
/// refuses it fails none.
pub(crate) fn engines_with(set: impl Fn(Builder) -> Builder) -> Vec<Engine> {
    let without = std::env::var(TIER_VARIABLE).is_ok_and(|tier| tier == "asm");
    let mut engines = Vec::new();
    for tier in [Tier::Jit, Tier::Asm] {
        match set(Engine::builder().tier(tier)).build() {
            Ok(engine) => engines.push(engine),
            Err(error @ Error::CodeMemory { .. }) if without => println!("left out: the tier {tier}: {error}"),
            Err(error) => panic!("the tier {tier}: {error}"),
        }
    }
    engines
}

/// A function of this program.
pub(crate) fn bind(engine: &Engine, target: *const c_void, declaration: &str) -> Function {
    let signature = Signature::parse(declaration).unwrap_or_else(|error| panic!("{error}"));
    Function::with_engine(engine, target, signature).unwrap_or_else(|error| panic!("{declaration}: {error}"))
}

/// A function of a library.
pub(crate) fn find(engine: &Engine, library: &Library, declaration: &str) -> Function {
    let signature = Signature::parse(declaration).unwrap_or_else(|error| panic!("{error}"));
    library.function_with(engine, signature).unwrap_or_else(|error| panic!("{declaration}: {error}"))
}

/// Opens a library of the system. Where it is not installed, says so, and the caller has nothing to test.
pub(crate) fn open(name: &str) -> Option<Library> {
    // SAFETY: the tests name widely used libraries, whose initialisers do no harm.
    match unsafe { Library::open(name) } {
        Ok(library) => Some(library),
        Err(error @ Error::Open { .. }) => {
            println!("left out: {error}");
            None
        }
        Err(error) => panic!("{name}: {error}"),
    }
}

/// `snprintf`: a function of as many shapes as there are lists of arguments, which shows what arrived.
#[derive(Clone)]
pub(crate) struct Print(Function);

impl Print {
    /// How many shapes there are with at most `length` variadic arguments.
    pub(crate) const fn shapes(length: u32) -> u64 {
        (3u64.pow(length + 1) - 1) / 2
    }

    pub(crate) fn new(engine: &Engine) -> Print {
        let declaration = "int snprintf(char *to, size_t size, const char *format, ...)";
        Print(find(engine, &Library::process(), declaration))
    }

    /// Calls it with the `shape`th list of variadic arguments, and says whether they all arrived.
    pub(crate) fn works(&self, shape: u64) -> bool {
        let (mut digits, mut tail, mut format, mut expected) = (shape, Vec::new(), Vec::new(), String::new());
        while digits > 0 {
            digits -= 1;
            let number = 10 * tail.len() as i32 + (digits % 3) as i32;
            let (directive, value) = match digits % 3 {
                0 => (b"%d ".as_slice(), Value::from(number)),
                1 => (b"%ld ".as_slice(), Value::from(i64::from(number) << 32)),
                _ => (b"%.1f ".as_slice(), Value::from(f64::from(number) + 0.5)),
            };
            let shown = if digits % 3 == 2 { format!("{number}.5 ") } else { format!("{value} ") };
            format.extend_from_slice(directive);
            expected.push_str(&shown);
            tail.push(value);
            digits /= 3;
        }
        let format = CString::new(format).unwrap_or_default();
        let mut to = [0u8; 256];
        let size = to.len();
        // SAFETY: that is how <stdio.h> declares it, and the format fits the arguments.
        let length = unsafe { self.0.call_variadic(&[(&mut to).into(), size.into(), format.as_c_str().into()], &tail) };
        length.is_ok_and(|length| length == Value::I32(expected.len() as i32)) && to.starts_with(expected.as_bytes())
    }
}

/// Whether threads of children are left out, and says so: under qemu's user-mode emulation, a child that starts one may end in
/// an assertion of the emulator's own. Programs that it starts are the machine's.
pub(crate) fn leaves_out_threads_of_children() -> bool {
    let machine = || std::process::Command::new("uname").arg("-m").output();
    let emulated =
        cfg!(target_arch = "aarch64") && machine().is_ok_and(|output| output.stdout.trim_ascii() != b"aarch64");
    if emulated {
        println!("left out: threads of children, which the emulator ends now and then");
    }
    emulated
}
