//! The engine's one error type. It keeps its sources, and names what was expected and what came.

use std::any::Any;
use std::fmt;
use std::path::PathBuf;

use crate::closure::Failure;
use crate::guard::Fault;

/// What the engine's fallible functions return.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why something could not be declared, bound or called.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A C declaration could not be understood.
    #[error(transparent)]
    Declaration(#[from] Box<DeclarationError>),

    /// A type that C would not accept in that place, or that the engine does not know how to pass.
    #[error("{message}")]
    Type {
        /// What is wrong with which type.
        message: String,
    },

    /// A type or signature that this machine or this convention cannot handle.
    #[error("not supported: {message}")]
    Unsupported {
        /// What is missing.
        message: String,
    },

    /// A shared library could not be opened.
    #[error("cannot open the library {}", path.display())]
    Open {
        /// The path or name as it was given.
        path: PathBuf,
        /// What the dynamic loader said.
        source: libloading::Error,
    },

    /// A library does not export the symbol.
    #[error("no symbol {symbol} in {library}")]
    Symbol {
        /// The name that was looked up.
        symbol: String,
        /// The library, or "the process".
        library: String,
        /// What the dynamic loader said.
        source: libloading::Error,
    },

    /// The library was closed before.
    #[error("the library {library} is closed")]
    Closed {
        /// The library.
        library: String,
    },

    /// A call with too few or too many arguments.
    #[error("{function}: expected {}{expected} argument{}, got {given}", if *variadic { "at least " } else { "" }, plural(*expected))]
    ArgumentCount {
        /// The function's name, or its prototype where it has none.
        function: String,
        /// How many the declaration names.
        expected: usize,
        /// Whether more may follow.
        variadic: bool,
        /// How many were given.
        given: usize,
    },

    /// An argument that does not fit its declared type.
    #[error("{function}: argument {}", mismatch)]
    Argument {
        /// The function's name, or its prototype where it has none.
        function: String,
        /// Which argument, and why.
        mismatch: Box<Mismatch>,
    },

    /// A value that does not fit the type of a variable or aggregate.
    #[error("{}", mismatch)]
    Value {
        /// What was declared, what was given, and why they do not fit.
        mismatch: Box<Mismatch>,
    },

    /// A Rust type that is not the declared C type.
    #[error("{function}: {place} is declared {declared}, which Rust's {given} is not")]
    Typed {
        /// The function's name, or its prototype where it has none.
        function: String,
        /// `argument 2 (y)`, `the result` or `the parameter list`.
        place: String,
        /// The declared C type.
        declared: String,
        /// The Rust type.
        given: String,
    },

    /// The limit on memory for machine code is reached.
    #[error("machine code would take {needed} bytes more than the limit of {limit} bytes, of which {used} are used")]
    CodeLimit {
        /// The limit, in bytes.
        limit: usize,
        /// Bytes of code memory in use.
        used: usize,
        /// Bytes that were asked for.
        needed: usize,
    },

    /// No closure can be made any more without a JIT.
    #[error("there are {limit} closures, which is all that the tier without a JIT has entries for")]
    ClosureLimit {
        /// How many there can be at a time.
        limit: usize,
    },

    /// A callback that ran below the call failed: its closure returned a default, and so did all that were called after
    /// it. What the function returned is not to be trusted.
    #[error("{function}: {failure}")]
    Callback {
        /// The name of the function that was called, or its prototype where it has none.
        function: String,
        /// What failed, and why.
        failure: Box<Failure>,
    },

    /// The system refused memory for machine code.
    #[error("the system refused executable memory ({step})")]
    CodeMemory {
        /// Which request was refused.
        step: &'static str,
        /// What the system said.
        source: std::io::Error,
    },

    /// A guarded call ended by a fault in foreign code.
    #[error(transparent)]
    Fault(#[from] Box<Fault>),

    /// The system refused what guarded calls need: signal handlers, or memory for a thread.
    #[error("the system refused what guarded calls need ({step})")]
    Signals {
        /// Which request was refused.
        step: &'static str,
        /// What the system said.
        source: std::io::Error,
    },

    /// As many calls wait for a thread of the pool as may.
    #[error("the queue of the pool is full: {limit} call{} wait{} for a thread", plural(*limit), if *limit == 1 { "s" } else { "" })]
    QueueFull {
        /// How many may wait.
        limit: usize,
    },

    /// The pool was dropped before the call began.
    #[error("the pool was closed before the call began")]
    PoolClosed,

    /// The pool's threads are those of the process that this one was forked from.
    #[error("the pool belongs to the process that this one was forked from")]
    PoolForked,

    /// A panic came out of a call on a thread of a pool.
    #[error("{function}: the call panicked: {message}")]
    CallPanicked {
        /// The function's name, or its prototype where it has none.
        function: String,
        /// What the panic said.
        message: String,
    },

    /// The system refused a thread.
    #[error("cannot start a thread")]
    Thread {
        /// What the system said.
        source: std::io::Error,
    },

    /// The system refused a descriptor to tell of completed calls with.
    #[error("cannot make an eventfd")]
    Notifier {
        /// What the system said.
        source: std::io::Error,
    },
}

impl Error {
    pub(crate) fn invalid_type(message: String) -> Error {
        Error::Type { message }
    }

    pub(crate) fn unsupported(message: impl Into<String>) -> Error {
        Error::Unsupported { message: message.into() }
    }
}

/// An error and its sources in one line, each after a colon, unless it is said already.
///
/// ```
/// let missing = jitcall::Library::process().function("int no_such_function(void)").unwrap_err();
/// assert!(jitcall::error::explain(&missing).contains("undefined symbol"));
/// ```
pub fn explain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        let next = error.to_string();
        if !text.contains(&next) {
            text = format!("{text}: {next}");
        }
        source = error.source();
    }
    text
}

/// The text of a panic, where it has one.
pub(crate) fn panic_text(payload: &(dyn Any + Send)) -> &str {
    let text = payload.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| payload.downcast_ref::<&str>().copied()).unwrap_or("with a value that is no text")
}

fn plural(count: usize) -> &'static str {
    if count == 1 { "" } else { "s" }
}

/// A value beside the C type that it does not fit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mismatch {
    /// Where: `2 (y)` for the second argument, `2 (p).x` for a field of it; empty for a value on its own.
    pub place: String,
    /// The declared C type.
    pub declared: String,
    /// The value that was given, with its own type.
    pub given: String,
    /// Why it does not fit, such as `out of range` or `expected 2 fields`.
    pub reason: String,
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.place.is_empty() {
            write!(f, "{}: ", self.place)?;
        }
        write!(f, "expected {}, got {}: {}", self.declared, self.given, self.reason)
    }
}

impl std::error::Error for Mismatch {}

/// Where a C declaration went wrong.
///
/// Its display form points at the place:
///
/// ```text
/// line 1, column 12: expected a type, found `flaot`; did you mean `float`?
///   double pow(flaot, double)
///              ^^^^^
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeclarationError {
    /// Line in the text, from 1.
    pub line: usize,
    /// Column in that line, from 1, in characters.
    pub column: usize,
    /// How many characters the offending piece has (0 at the end of the text).
    pub length: usize,
    /// What would have been right, such as "a type" or "`)` or `,`"; or a whole sentence about a rule.
    pub message: String,
    /// The line's text.
    pub source_line: String,
}

impl fmt::Display for DeclarationError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let DeclarationError { line, column, length, message, source_line } = self;
        writeln!(f, "line {line}, column {column}: {message}")?;
        writeln!(f, "  {source_line}")?;
        // Tabs stay tabs, so that the marker stands under its text.
        let indent: String = source_line.chars().take(column - 1).map(|c| if c == '\t' { '\t' } else { ' ' }).collect();
        write!(f, "  {indent}{}", "^".repeat((*length).max(1)))
    }
}

impl std::error::Error for DeclarationError {}
