//! The tokens of C (C11 6.4), as far as declarations have them, each with its place in the text.

use winnow::Parser as _;
use winnow::ascii::till_line_ending;
use winnow::combinator::{alt, delimited, not, preceded, repeat};
use winnow::error::{ContextError, ModalResult};
use winnow::stream::{LocatingSlice, Location};
use winnow::token::{any, none_of, one_of, take_until, take_while};

use super::fault::{Fault, Result, Span};

/// The longest text that is read, in bytes.
pub(super) const MAX_TEXT: usize = 2 << 20;

/// What a token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A keyword or an identifier.
    Word,
    /// A number, not looked into yet (C11 6.4.8: a preprocessing number).
    Number,
    /// A character constant with its quotes.
    Character,
    /// A string literal with its quotes.
    Text,
    /// An operator or a bracket.
    Punctuation,
    /// The end of the text.
    End,
}

/// A token and the text it was read from.
#[derive(Clone, Copy, Debug)]
pub(super) struct Token<'t> {
    pub(super) kind: Kind,
    pub(super) text: &'t str,
    pub(super) span: Span,
}

type Input<'t> = LocatingSlice<&'t str>;

/// Splits a text; the last token is the only [`Kind::End`], right behind what came before.
pub(super) fn tokens(text: &str) -> Result<Vec<Token<'_>>> {
    if text.len() > MAX_TEXT {
        let span = Span { start: 0, end: 0 };
        return Err(Fault::new(span, format!("the text has {} bytes: at most {MAX_TEXT} are read", text.len())));
    }
    let mut input = Input::new(text);
    let mut tokens = Vec::new();
    let mut end = 0;
    loop {
        skip(&mut input);
        if input.is_empty() {
            break;
        }
        let start = input.current_token_start();
        let Ok((kind, piece)) = token(&mut input) else {
            return Err(complaint(text, start));
        };
        end = start + piece.len();
        tokens.push(Token { kind, text: piece, span: Span { start, end } });
    }
    tokens.push(Token { kind: Kind::End, text: "", span: Span { start: end, end } });
    Ok(tokens)
}

/// Comments, white space and joined lines.
fn skip(input: &mut Input<'_>) {
    let blank = take_while(1.., |c: char| c.is_whitespace()).void();
    let joined = alt(("\\\n", "\\\r\n")).void();
    let line = ("//", till_line_ending).void();
    let block = ("/*", take_until(0.., "*/"), "*/").void();
    let mut all = repeat::<_, (), (), ContextError, _>(0.., alt((blank, joined, line, block)));
    // It matches the empty text too, so it cannot fail.
    let _ = all.parse_next(input);
}

fn token<'t>(input: &mut Input<'t>) -> ModalResult<(Kind, &'t str)> {
    alt((
        word.map(|text| (Kind::Word, text)),
        number.map(|text| (Kind::Number, text)),
        quoted('\'').map(|text| (Kind::Character, text)),
        quoted('"').map(|text| (Kind::Text, text)),
        punctuation.map(|text| (Kind::Punctuation, text)),
    ))
    .parse_next(input)
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_' || c == '$'
}

fn word<'t>(input: &mut Input<'t>) -> ModalResult<&'t str> {
    preceded(not(one_of('0'..='9')), take_while(1.., is_word)).parse_next(input)
}

fn number<'t>(input: &mut Input<'t>) -> ModalResult<&'t str> {
    (one_of('0'..='9'), take_while(0.., |c| is_word(c) || c == '.')).take().parse_next(input)
}

fn quoted<'t>(quote: char) -> impl FnMut(&mut Input<'t>) -> ModalResult<&'t str> {
    move |input| {
        let plain = none_of([quote, '\\', '\n']).void();
        let escape = ('\\', any).void();
        delimited(quote, repeat::<_, (), (), _, _>(0.., alt((plain, escape))), quote).take().parse_next(input)
    }
}

fn punctuation<'t>(input: &mut Input<'t>) -> ModalResult<&'t str> {
    const SINGLE: &[char] = &[
        '(', ')', '[', ']', '{', '}', ';', ',', '*', ':', '=', '+', '-', '/', '%', '&', '|', '^', '~', '<', '>', '.',
        '!', '?',
    ];
    // A comment that ends would have been skipped.
    preceded(not("/*"), alt(("...", "<<", ">>", one_of(SINGLE).take()))).parse_next(input)
}

/// Why no token starts here.
fn complaint(text: &str, start: usize) -> Fault {
    let rest = &text[start..];
    let first = rest.chars().next().unwrap_or_default();
    let one = Span { start, end: start + first.len_utf8() };
    match first {
        '/' if rest.starts_with("/*") => {
            Fault::new(Span { start, end: start + 2 }, "expected `*/` at the end of this comment, found end of text")
        }
        '#' => Fault::new(one, "a preprocessor line: only what the preprocessor leaves can be read"),
        '\'' => Fault::new(one, "expected another `'` at the end of this character"),
        '"' => Fault::new(one, "expected another `\"` at the end of this string"),
        _ => Fault::new(one, format!("`{}` has no meaning in C", first.escape_debug())),
    }
}
