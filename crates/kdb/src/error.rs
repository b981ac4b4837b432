//! What went wrong, as q users read it: a short class, then what was expected and what came.

use std::cell::RefCell;
use std::ffi::CString;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::host::{Object, api};

/// What a function of this library gives q.
pub(crate) type Result<T, E = Fault> = std::result::Result<T, E>;

/// q's own short classes of errors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Class {
    /// A value is not of a type that is wanted, or does not fit it.
    Type,
    /// There are too many arguments, or too few.
    Rank,
    /// Vectors are not of one length.
    Length,
    /// The system refuses: a library or a function is not there.
    Os,
    /// There is no more of something.
    Limit,
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Class::Type => "type",
            Class::Rank => "rank",
            Class::Length => "length",
            Class::Os => "os",
            Class::Limit => "limit",
        })
    }
}

/// An error for q to signal.
#[derive(Clone, Debug)]
pub(crate) struct Fault {
    /// None for an error of q's own, whose text is passed on as it is.
    class: Option<Class>,
    text: String,
}

impl Fault {
    pub(crate) fn new(class: Class, text: impl Into<String>) -> Fault {
        Fault { class: Some(class), text: text.into() }
    }

    /// A `'type` error.
    pub(crate) fn of_type(text: impl Into<String>) -> Fault {
        Fault::new(Class::Type, text)
    }

    /// What a q function has signalled.
    pub(crate) fn of_q(text: impl Into<String>) -> Fault {
        Fault { class: None, text: text.into() }
    }

    /// The same with the place where it happened before it.
    pub(crate) fn at(self, place: impl fmt::Display) -> Fault {
        match self.class {
            Some(_) => Fault { text: format!("{place}: {}", self.text), ..self },
            None => self,
        }
    }

    /// Has the function that q has called fail with this. What comes back is for q.
    pub(crate) fn signal(&self) -> *mut Object {
        thread_local! {
            /// q keeps the address that it is given until the next error.
            static TEXT: RefCell<CString> = RefCell::default();
        }
        let text: Vec<u8> = self.to_string().bytes().filter(|byte| *byte != 0).collect();
        TEXT.with_borrow_mut(|kept| {
            *kept = CString::new(text).unwrap_or_default();
            // SAFETY: the text stays until the thread's next error.
            unsafe { (api().krr)(kept.as_ptr()) }
        })
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.class {
            Some(class) => write!(f, "{class}: {}", self.text),
            None => f.write_str(&self.text),
        }
    }
}

impl From<jitcall::Error> for Fault {
    fn from(error: jitcall::Error) -> Fault {
        if let jitcall::Error::Fault(fault) = &error {
            // The arguments are q's business, and addresses as C has them.
            let call = format!("{}({}): ", fault.function, fault.arguments.join(", "));
            let text = fault.to_string();
            let reason = text.strip_prefix(&call).unwrap_or(&text);
            return Fault::new(Class::Os, format!("{}: {reason}", fault.function));
        }
        let class = match &error {
            jitcall::Error::ClosureLimit { .. } | jitcall::Error::CodeLimit { .. } => Class::Limit,
            jitcall::Error::Open { .. } | jitcall::Error::Symbol { .. } | jitcall::Error::Signals { .. } => Class::Os,
            _ => Class::Type,
        };
        Fault::new(class, jitcall::error::explain(&error))
    }
}

/// Runs what q has called; an error is signalled, and so is a panic, which must not get to q.
#[inline]
pub(crate) fn signalled(run: impl FnOnce() -> Result<*mut Object>) -> *mut Object {
    let result = catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|_| {
        Err(Fault::new(Class::Os, "ffikdb: this is a fault of the library; what it says is on standard error"))
    });
    result.unwrap_or_else(|fault| fault.signal())
}
