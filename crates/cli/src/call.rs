//! `jitcall call`: calls a C function with arguments from the command line.

use std::convert::Infallible;
use std::ffi::{CStr, OsString, c_void};
use std::io::Write as _;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use jitcall::{Declarations, Engine, Errno, Error, Function, Guard, Library, Signature, Value};

use crate::argument::{Arguments, Names};
use crate::{Failure, render};

const ABOUT: &str = "\
Calls a C function and prints its result.

The declaration is C; structs, unions, enums and typedefs may stand before the function, and its last function is
called. Each argument is read by the type of its parameter:

  numbers       10  -5  0x1f  0644 (octal, as in C)  0b101  2.5e-3  inf  nan  'a'  '\\n'
  truth         true  false
  enums         a constant's name, or a number
  complex       1+2i  2i  {1, 2}
  aggregates    {17, {1, 2.5}} with all members in order, or {quot: 17} by name; {.quot = 17} as well. What is left
                out by name is zero, as in C; so is all of {}. A union takes one member by name.
  arrays        {1, 2, 3}, as members; arrays of char also take \"text\"
  pointers      null  0x7f00 (an address)  &name (a function or variable of the libraries)
                @64         64 zeroed bytes, shown after the call
                @           a zeroed object of the type that is pointed at, shown after the call
                @{3, 1, 2}  an object, or an array of numbers, with that content, shown after the call;
                            without the @, shown where the pointer is not to const
                @\"text\"     a buffer with that text, shown after the call
  text          any argument for a char pointer, numbers too, but for null, @... and \"...\"; for a pointer that is
                not to const the text is copied, and shown after the call where it has changed.
                Escapes: \\n \\t \\r \\a \\b \\f \\v \\e \\\\ \\\" \\' \\? \\0 (octal) \\x41. In aggregates, text stands in \"quotes\".

Variadic arguments have the type that they look like: whole numbers and enum constants are int, or long where int is
too small; numbers with a fraction or exponent, inf and nan are double; 0x..., null, & and @ are pointers; all else,
and what stands in \"quotes\", is text.

Whatever is declared is believed: a wrong declaration may crash the program, as in C.";

const EXAMPLES: &str = "\
Examples:
  jitcall call 'double pow(double, double)' 2 10 --library libm.so.6
  jitcall call 'typedef struct { int quot, rem; } div_t; div_t div(int numerator, int denominator)' 17 5
  jitcall call 'int printf(const char *, ...)' '%d %s %.2f\\n' 5 hi 2.5
  jitcall call 'double modf(double, double *whole)' 3.25 @ --library libm.so.6
  jitcall call 'int gethostname(char *name, size_t size)' @64 64
  jitcall call 'size_t wcslen(const int *)' '{104, 105, 0}'
  jitcall call 'unsigned long crc32(unsigned long, const unsigned char *, unsigned)' 0 123456789 9 -l libz.so.1";

/// Calls a C function.
#[derive(clap::Args)]
#[command(long_about = ABOUT, after_long_help = EXAMPLES)]
pub(crate) struct Call {
    /// C declaration; its last function is called
    declaration: String,
    /// Arguments of the call; text that starts with a hyphen goes after `--`
    #[arg(value_parser = unmarked)]
    arguments: Vec<String>,
    /// Shared library to search, by path or as the dynamic loader finds it; may be repeated. Without it the process
    /// itself is searched, with the C library
    #[arg(short, long = "library", value_name = "PATH")]
    libraries: Vec<PathBuf>,
    /// Print errno, which is zero before the call
    #[arg(long)]
    errno: bool,
    /// Call N times, print the last result and the time per call. Memory has its first content before each call
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    repeat: Option<u64>,
}

/// What marks an argument that starts with a hyphen and is no option; no real argument contains it.
const MARK: char = '\0';

/// Marks negative numbers, which would be taken for options: `-5`, `-.5`, `-inf`, `-0x10`, `-1+2i`.
pub(crate) fn mark_numbers(argument: OsString) -> OsString {
    let is_number = |text: &str| {
        let rest = text.strip_prefix('-')?;
        let special = ["inf", "nan"].iter().any(|name| rest.len() >= 3 && rest[..3].eq_ignore_ascii_case(name));
        Some(special || rest.starts_with(|first: char| first.is_ascii_digit() || first == '.'))
    };
    match argument.to_str() {
        Some(text) if is_number(text) == Some(true) => format!("{MARK}{text}").into(),
        _ => argument,
    }
}

fn unmarked(argument: &str) -> Result<String, Infallible> {
    Ok(argument.trim_start_matches(MARK).to_owned())
}

/// What came back.
struct Outcome {
    result: Value<'static>,
    errno: Option<Errno>,
    /// Of all calls.
    time: Duration,
}

impl Call {
    pub(crate) fn run(&self) -> Result<(), Failure> {
        let declarations = Declarations::parse(&self.declaration)?;
        let signature = declarations.last_function().ok_or("the declaration declares no function")?;
        self.check_count(signature)?;
        let libraries = self.open()?;
        let function = self.find(&libraries, signature)?;
        let names = Names { declarations: &declarations, symbol: &|name| symbol(&libraries, name) };
        let arguments = Arguments::read(&self.arguments, signature.parameters(), &names)?;
        let function = with_tail(function, signature, &arguments)?;
        let outcome = self.call(&function, &arguments)?;
        flush_c_output();
        self.print(signature, &arguments, &outcome)
    }

    fn check_count(&self, signature: &Signature) -> Result<(), Failure> {
        let (expected, given) = (signature.parameters().len(), self.arguments.len());
        if given == expected || (given > expected && signature.is_variadic()) {
            return Ok(());
        }
        let function = signature.name().unwrap_or_default().to_owned();
        Err(Error::ArgumentCount { function, expected, variadic: signature.is_variadic(), given }.into())
    }

    fn open(&self) -> Result<Vec<Library>, Error> {
        if self.libraries.is_empty() {
            return Ok(vec![Library::process()]);
        }
        // SAFETY: whoever names a library wants its code to run, initialisers and all.
        self.libraries.iter().map(|path| unsafe { Library::open(path) }).collect()
    }

    /// The function in the first library that has it.
    fn find(&self, libraries: &[Library], signature: &Signature) -> Result<Function, Failure> {
        let mut missing = None;
        for library in libraries {
            match library.function_with(Engine::global(), signature.clone()) {
                Err(error @ Error::Symbol { .. }) => missing = Some(error),
                other => return Ok(other?),
            }
        }
        let name = signature.name().unwrap_or_default();
        match missing {
            Some(error) if self.libraries.len() == 1 => Err(error.into()),
            Some(_) if self.libraries.is_empty() => {
                Err(format!("no symbol {name} in the process: name its library with --library").into())
            }
            _ => {
                let names: Vec<String> = libraries.iter().map(Library::to_string).collect();
                Err(format!("no symbol {name} in any of {}", names.join(", ")).into())
            }
        }
    }

    fn call(&self, function: &Function, arguments: &Arguments) -> Result<Outcome, Error> {
        // A fault ends the call and not the program, which says what was called and how. Calls that are timed are plain.
        let guard = if self.repeat.is_none() { Some(Guard::install()?) } else { None };
        let mut outcome = Outcome { result: Value::Void, errno: None, time: Duration::ZERO };
        let started = Instant::now();
        for _ in 0..self.repeat.unwrap_or(1) {
            arguments.reset();
            // SAFETY: whoever declares a function and calls it with these arguments answers for both, as a C
            // programmer does. The memory that arguments point at lives as long as `arguments`.
            unsafe {
                if self.errno {
                    let (result, errno) = match &guard {
                        Some(guard) => guard.call_with_errno(function, &arguments.values)?,
                        None => function.call_with_errno(&arguments.values)?,
                    };
                    (outcome.result, outcome.errno) = (result, Some(errno));
                } else {
                    outcome.result = match &guard {
                        Some(guard) => guard.call(function, &arguments.values)?,
                        None => function.call(&arguments.values)?,
                    };
                }
            }
        }
        outcome.time = started.elapsed();
        Ok(outcome)
    }

    fn print(&self, signature: &Signature, arguments: &Arguments, outcome: &Outcome) -> Result<(), Failure> {
        let mut output = std::io::stdout().lock();
        if !signature.result().is_void() {
            writeln!(output, "{}", render::value(signature.result(), &outcome.result)?)?;
        }
        for memory in arguments.written(signature.parameters())? {
            writeln!(output, "{memory}")?;
        }
        if let Some(Errno(number)) = outcome.errno {
            match number {
                0 => writeln!(output, "errno: 0")?,
                number => writeln!(output, "errno: {number} ({})", error_text(number))?,
            }
        }
        if let Some(calls) = self.repeat {
            let nanoseconds = outcome.time.as_nanos() as f64 / calls as f64;
            writeln!(output, "time: {nanoseconds:.1} ns per call ({calls} calls)")?;
        }
        Ok(())
    }
}

/// The address of a symbol in the first library that has it, or else in the process.
fn symbol(libraries: &[Library], name: &str) -> Result<*mut c_void, String> {
    let process = Library::process();
    let found = libraries.iter().chain([&process]).find_map(|library| library.symbol(name).ok());
    found.map(<*const c_void>::cast_mut).ok_or_else(|| format!("no library has a symbol `{name}`"))
}

/// The function for the arguments that follow its parameters, where there are any.
fn with_tail(function: Function, signature: &Signature, arguments: &Arguments) -> Result<Function, Failure> {
    let tail = &arguments.values[signature.parameters().len()..];
    if tail.is_empty() {
        return Ok(function);
    }
    let types: Option<Vec<_>> = tail.iter().map(Value::c_type).collect();
    Ok(function.with_tail(types.ok_or("a variadic argument has no C type")?)?)
}

/// Writes out what C has printed, so that it comes before what is printed here.
fn flush_c_output() {
    // SAFETY: a null stream means all of them.
    unsafe { libc::fflush(std::ptr::null_mut()) };
}

/// What the C library says about an error number.
fn error_text(number: i32) -> String {
    // SAFETY: `strerror` returns text that stays until its next call; no other thread runs.
    let text = unsafe { CStr::from_ptr(libc::strerror(number)) };
    text.to_string_lossy().into_owned()
}
