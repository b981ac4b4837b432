//! A place in the tokens of a text: looking ahead, moving on, and saying what was expected.

use super::fault::{Fault, Result, Span};
use super::lexer::{Kind, Token};

/// The words that C and GNU C reserve; none of them can be a name.
const KEYWORDS: &[&str] = &[
    "_Alignas",
    "_Alignof",
    "_Atomic",
    "_Bool",
    "_Complex",
    "_Float16",
    "_Float32",
    "_Float64",
    "_Generic",
    "_Imaginary",
    "_Noreturn",
    "_Static_assert",
    "_Thread_local",
    "__attribute__",
    "__extension__",
    "__int128",
    "asm",
    "auto",
    "break",
    "case",
    "char",
    "const",
    "continue",
    "default",
    "do",
    "double",
    "else",
    "enum",
    "extern",
    "float",
    "for",
    "goto",
    "if",
    "inline",
    "int",
    "long",
    "register",
    "restrict",
    "return",
    "short",
    "signed",
    "sizeof",
    "static",
    "struct",
    "switch",
    "typedef",
    "union",
    "unsigned",
    "void",
    "volatile",
    "while",
];

/// The C keyword behind a GNU or C23 spelling of it; other words stay as they are.
pub(super) fn keyword(word: &str) -> &str {
    match word {
        "__const" | "__const__" => "const",
        "__volatile" | "__volatile__" => "volatile",
        "__restrict" | "__restrict__" => "restrict",
        "__signed" | "__signed__" => "signed",
        "__inline" | "__inline__" => "inline",
        "__complex" | "__complex__" => "_Complex",
        "__alignof" | "__alignof__" | "alignof" => "_Alignof",
        "__asm" | "__asm__" => "asm",
        "__attribute" => "__attribute__",
        "__thread" | "thread_local" => "_Thread_local",
        "alignas" => "_Alignas",
        other => other,
    }
}

/// Whether the word is reserved.
pub(super) fn is_keyword(word: &str) -> bool {
    KEYWORDS.binary_search(&keyword(word)).is_ok()
}

/// The tokens, and how far they have been read.
pub(super) struct Cursor<'t> {
    tokens: Vec<Token<'t>>,
    at: usize,
}

impl<'t> Cursor<'t> {
    /// At the first of the tokens, of which the last is [`Kind::End`].
    pub(super) fn new(tokens: Vec<Token<'t>>) -> Cursor<'t> {
        Cursor { tokens, at: 0 }
    }

    /// The next token.
    pub(super) fn peek(&self) -> Token<'t> {
        self.peek_at(0)
    }

    /// The token `ahead` places after the next one; the last one where there are not so many.
    pub(super) fn peek_at(&self, ahead: usize) -> Token<'t> {
        self.tokens[(self.at + ahead).min(self.tokens.len() - 1)]
    }

    /// Takes the next token; the end stays.
    pub(super) fn bump(&mut self) -> Token<'t> {
        let token = self.peek();
        self.at = (self.at + 1).min(self.tokens.len() - 1);
        token
    }

    /// The token that was taken last.
    pub(super) fn previous(&self) -> Token<'t> {
        self.tokens[self.at.saturating_sub(1)]
    }

    /// Whether the text ends here.
    pub(super) fn is_end(&self) -> bool {
        self.peek().kind == Kind::End
    }

    /// Whether this operator or bracket is `ahead` places after the next token.
    pub(super) fn is_at(&self, ahead: usize, punctuation: &str) -> bool {
        let token = self.peek_at(ahead);
        token.kind == Kind::Punctuation && token.text == punctuation
    }

    /// Whether this operator or bracket is next.
    pub(super) fn is(&self, punctuation: &str) -> bool {
        self.is_at(0, punctuation)
    }

    /// Takes this operator or bracket, if it is next.
    pub(super) fn eat(&mut self, punctuation: &str) -> bool {
        let found = self.is(punctuation);
        if found {
            self.bump();
        }
        found
    }

    /// Takes this operator or bracket; `expected` names everything that could have stood there.
    pub(super) fn expect(&mut self, punctuation: &str, expected: &str) -> Result<Span> {
        match self.is(punctuation) {
            true => Ok(self.bump().span),
            false => Err(self.unexpected(expected)),
        }
    }

    /// The next token, where it is a word: its keyword, or the word itself.
    pub(super) fn word(&self) -> Option<&'t str> {
        let token = self.peek();
        (token.kind == Kind::Word).then(|| keyword(token.text))
    }

    /// The next token, where it can be a name.
    pub(super) fn name(&self) -> Option<&'t str> {
        let token = self.peek();
        (token.kind == Kind::Word && !is_keyword(token.text)).then_some(token.text)
    }

    /// "expected ..., found ..." about the next token.
    pub(super) fn unexpected(&self, expected: &str) -> Fault {
        let token = self.peek();
        Fault::new(token.span, format!("expected {expected}, found {}", describe(token)))
    }

    /// Takes everything up to the bracket that closes the one just taken.
    pub(super) fn skip_balanced(&mut self) -> Result<()> {
        let open = self.previous();
        let mut depth = 1_usize;
        while depth > 0 {
            let token = self.bump();
            match (token.kind, token.text) {
                (Kind::End, _) => return Err(Fault::new(open.span, format!("`{}` is never closed", open.text))),
                (Kind::Punctuation, "(" | "[" | "{") => depth += 1,
                (Kind::Punctuation, ")" | "]" | "}") => depth -= 1,
                _ => {}
            }
        }
        Ok(())
    }
}

/// A token as a message names it.
fn describe(token: Token<'_>) -> String {
    const LONGEST: usize = 40;
    match token.kind {
        Kind::End => "end of text".to_owned(),
        _ if token.text.chars().count() > LONGEST => {
            format!("`{}...`", token.text.chars().take(LONGEST).collect::<String>())
        }
        _ => format!("`{}`", token.text),
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn keywords_are_sorted() {
        assert!(super::KEYWORDS.is_sorted());
    }
}
