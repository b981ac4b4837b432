//! What is wrong with a text, and which piece of it is to blame.

use crate::error::{DeclarationError, Error};

/// A piece of the text, in bytes from its start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) start: usize,
    pub(super) end: usize,
}

impl Span {
    /// From the start of this piece to the end of a later one.
    pub(super) fn to(self, later: Span) -> Span {
        Span { start: self.start, end: self.end.max(later.end) }
    }
}

/// A fault, before its place is turned into a line and a column.
#[derive(Debug)]
pub(super) struct Fault {
    span: Span,
    message: String,
}

pub(super) type Result<T> = std::result::Result<T, Fault>;

impl Fault {
    pub(super) fn new(span: Span, message: impl Into<String>) -> Fault {
        Fault { span, message: message.into() }
    }

    /// The same fault with a name that may have been meant.
    pub(super) fn with_hint(self, name: &str) -> Fault {
        Fault { message: format!("{}; did you mean `{name}`?", self.message), ..self }
    }

    /// The same fault in the terms of the engine's error type.
    pub(super) fn into_error(self, text: &str) -> Error {
        let Span { start, end } = self.span;
        let before = &text[..start];
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let line_end = text[start..].find('\n').map_or(text.len(), |newline| start + newline);
        Error::from(Box::new(DeclarationError {
            line: before.matches('\n').count() + 1,
            column: text[line_start..start].chars().count() + 1,
            length: text[start..end.clamp(start, line_end)].chars().count(),
            message: self.message,
            source_line: text[line_start..line_end].trim_end_matches('\r').to_owned(),
        }))
    }
}

/// Gives the errors of a type's constructor the place they are about.
pub(super) trait Blame<T> {
    /// The same result, with `span` to blame for an error.
    fn blame(self, span: Span) -> Result<T>;
}

impl<T> Blame<T> for crate::error::Result<T> {
    fn blame(self, span: Span) -> Result<T> {
        self.map_err(|error| Fault::new(span, error.to_string()))
    }
}
