//! What goes wrong, in JavaScript's terms.

use std::fmt::Display;

use jitcall::error::explain;

/// What the module's functions return.
pub(crate) type Result<T, E = Failure> = std::result::Result<T, E>;

/// Why one of them does not return a value.
#[derive(Debug)]
pub(crate) enum Failure {
    /// An exception is pending in the context already.
    Pending,
    /// One is to be thrown.
    New(Kind, String),
}

/// The constructors of errors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Error,
    Type,
    Range,
    Reference,
    Syntax,
}

impl Kind {
    /// All, in the order of their numbers.
    pub(crate) const ALL: [Kind; 5] = [Kind::Error, Kind::Type, Kind::Range, Kind::Reference, Kind::Syntax];

    /// The constructor's name.
    pub(crate) const fn name(self) -> &'static std::ffi::CStr {
        match self {
            Kind::Error => c"Error",
            Kind::Type => c"TypeError",
            Kind::Range => c"RangeError",
            Kind::Reference => c"ReferenceError",
            Kind::Syntax => c"SyntaxError",
        }
    }
}

impl Failure {
    /// A value of another type than was wanted.
    pub(crate) fn of_type(message: impl Into<String>) -> Failure {
        Failure::New(Kind::Type, message.into())
    }

    /// A value of the right type that does not fit.
    pub(crate) fn of_range(message: impl Into<String>) -> Failure {
        Failure::New(Kind::Range, message.into())
    }

    /// Anything else.
    pub(crate) fn other(message: impl Into<String>) -> Failure {
        Failure::New(Kind::Error, message.into())
    }

    /// The same with the place that it is about before it.
    pub(crate) fn at(self, place: impl Display) -> Failure {
        match self {
            Failure::Pending => Failure::Pending,
            Failure::New(kind, message) => Failure::New(kind, format!("{place}: {message}")),
        }
    }
}

impl From<jitcall::Error> for Failure {
    fn from(error: jitcall::Error) -> Failure {
        use jitcall::Error;
        let kind = match &error {
            Error::Declaration(_) => Kind::Syntax,
            Error::Type { .. } | Error::Argument { .. } | Error::ArgumentCount { .. } | Error::Value { .. } => {
                Kind::Type
            }
            _ => Kind::Error,
        };
        Failure::New(kind, explain(&error))
    }
}
