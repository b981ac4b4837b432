//! Declaration specifiers (C11 6.7): storage classes, qualifiers, and the words that name a type.

use super::attribute::Attributes;
use super::cursor::keyword;
use super::fault::{Blame as _, Fault, Result, Span};
use super::lexer::Kind;
use super::parser::Parser;
use super::scope::Form;
use crate::types::{Float, Integer, Type, Vector};

/// Where specifiers stand, which decides what may be among them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// A declaration of its own.
    File,
    Parameter,
    Member,
    /// In `sizeof` and `_Alignas`.
    TypeName,
}

/// Whether specifiers name a struct, union or enum by its keyword, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tagging {
    None,
    /// With a tag, defined here or elsewhere.
    Tagged,
    /// A body without a tag: a member of this kind needs no name.
    UntaggedAggregate,
    /// An enum body without a tag.
    UntaggedEnum,
}

/// What stands before the declarators.
#[derive(Debug)]
pub(super) struct Specifiers {
    pub(super) form: Form,
    pub(super) span: Span,
    pub(super) is_typedef: bool,
    pub(super) tagging: Tagging,
    pub(super) attributes: Attributes,
}

/// What has been read of them.
struct Seen<'t> {
    form: Option<Form>,
    tagging: Tagging,
    words: Vec<&'t str>,
    words_span: Option<Span>,
    is_const: bool,
    atomic: Option<Span>,
    storage: Option<&'t str>,
    attributes: Attributes,
}

impl Seen<'_> {
    fn has_type(&self) -> bool {
        self.form.is_some() || !self.words.is_empty()
    }
}

/// The words that name a type alone or together.
const TYPE_WORDS: &[&str] = &[
    "_Bool", "_Complex", "_Float16", "_Float32", "_Float64", "__int128", "char", "double", "float", "int", "long",
    "short", "signed", "unsigned", "void",
];

/// The words of types that have a complex counterpart.
const FLOATING_WORDS: &[&str] = &["_Float32", "_Float64", "double", "float", "long"];

/// The most words that name one type: `unsigned long long int`, `long double _Complex`.
const MOST_WORDS: usize = 4;

impl<'t> Parser<'t> {
    /// Whether a type, or something else that can only stand before a declarator, is next.
    pub(super) fn starts_type(&self) -> bool {
        self.starts_type_at(0)
    }

    /// The same for the token `ahead` places after the next one.
    pub(super) fn starts_type_at(&self, ahead: usize) -> bool {
        let token = self.cursor.peek_at(ahead);
        if token.kind != Kind::Word {
            return false;
        }
        let word = keyword(token.text);
        let next = self.cursor.peek_at(ahead + 1).text;
        if word == "complex" && FLOATING_WORDS.contains(&next) {
            return true;
        }
        TYPE_WORDS.contains(&word)
            || matches!(word, "struct" | "union" | "enum" | "const" | "volatile" | "restrict" | "_Atomic" | "register")
            || self.scope.is_typedef(word)
    }

    /// Reads specifiers, of which one at least names a type.
    pub(super) fn specifiers(&mut self, place: Place) -> Result<Specifiers> {
        let start = self.cursor.peek().span;
        let mut seen = Seen {
            form: None,
            tagging: Tagging::None,
            words: Vec::new(),
            words_span: None,
            is_const: false,
            atomic: None,
            storage: None,
            attributes: Attributes::default(),
        };
        while self.specifier(place, &mut seen)? {}
        let form = self.named_type(&mut seen)?;
        let span = start.to(self.cursor.previous().span);
        let form = qualified(form, &mut seen, span)?;
        let Seen { tagging, storage, attributes, .. } = seen;
        Ok(Specifiers { form, span, is_typedef: storage == Some("typedef"), tagging, attributes })
    }

    /// Reads one specifier, if one is next.
    fn specifier(&mut self, place: Place, seen: &mut Seen<'t>) -> Result<bool> {
        if self.attributes(&mut seen.attributes)? {
            return Ok(true);
        }
        let Some(word) = self.cursor.word().map(|word| self.complex_or(word, seen)) else {
            return Ok(false);
        };
        match word {
            "const" => seen.is_const = true,
            "volatile" | "restrict" | "__extension__" => {}
            "_Atomic" => return self.atomic(seen),
            "typedef" | "extern" | "static" | "register" | "auto" | "_Thread_local" | "inline" | "_Noreturn" => {
                self.storage(word, place, seen)?;
            }
            "struct" if !seen.has_type() => return self.tagged_type("struct", seen),
            "union" if !seen.has_type() => return self.tagged_type("union", seen),
            "enum" if !seen.has_type() => return self.tagged_type("enum", seen),
            _ if TYPE_WORDS.contains(&word) && seen.form.is_none() => self.type_word(word, seen)?,
            _ if !seen.has_type() => match self.scope.typedef(word) {
                Some(form) => seen.form = Some(form),
                None => return Ok(false),
            },
            _ => return Ok(false),
        }
        self.cursor.bump();
        Ok(true)
    }

    /// `complex` is a macro for `_Complex` in <complex.h>; away from floating types it is a name like any other.
    fn complex_or(&self, word: &'t str, seen: &Seen<'t>) -> &'t str {
        let is_beside_floating = FLOATING_WORDS.contains(&self.cursor.peek_at(1).text)
            || seen.words.iter().any(|word| FLOATING_WORDS.contains(word));
        if word == "complex" && is_beside_floating { "_Complex" } else { word }
    }

    fn tagged_type(&mut self, keyword: &'static str, seen: &mut Seen<'t>) -> Result<bool> {
        let (form, tagging) = self.tagged(keyword, &mut seen.attributes)?;
        seen.form = Some(form);
        seen.tagging = tagging;
        Ok(true)
    }

    fn storage(&self, word: &'t str, place: Place, seen: &mut Seen<'t>) -> Result<()> {
        let span = self.cursor.peek().span;
        let is_allowed = match place {
            Place::File => !matches!(word, "register" | "auto"),
            Place::Parameter => word == "register",
            Place::Member | Place::TypeName => false,
        };
        if !is_allowed {
            return Err(Fault::new(span, format!("`{word}` cannot stand here")));
        }
        if matches!(word, "inline" | "_Noreturn" | "_Thread_local") {
            return Ok(());
        }
        match seen.storage.replace(word) {
            Some(earlier) if earlier != word => {
                Err(Fault::new(span, format!("`{word}` cannot stand together with `{earlier}`")))
            }
            _ => Ok(()),
        }
    }

    fn type_word(&self, word: &'t str, seen: &mut Seen<'t>) -> Result<()> {
        let span = self.cursor.peek().span;
        let words_span = seen.words_span.map_or(span, |words| words.to(span));
        seen.words.push(word);
        seen.words_span = Some(words_span);
        if seen.words.len() > MOST_WORDS { Err(no_such_type(&seen.words, words_span)) } else { Ok(()) }
    }

    /// `_Atomic` as a qualifier, or `_Atomic(type)`.
    fn atomic(&mut self, seen: &mut Seen<'t>) -> Result<bool> {
        seen.atomic = Some(self.cursor.bump().span);
        if self.cursor.is("(") && !seen.has_type() {
            self.cursor.bump();
            let (ty, _) = self.nested(Parser::type_name)?;
            self.cursor.expect(")", "`)`")?;
            seen.form = Some(Form::of(ty));
        }
        Ok(true)
    }

    /// The type that the specifiers name.
    fn named_type(&self, seen: &mut Seen<'t>) -> Result<Form> {
        if let Some(form) = seen.form.take() {
            return Ok(form);
        }
        let Some(span) = seen.words_span else {
            return Err(self.expected_type());
        };
        arithmetic(&seen.words).map(Form::of).ok_or_else(|| no_such_type(&seen.words, span))
    }

    /// "expected a type, found ...", with a name that may have been meant.
    pub(super) fn expected_type(&self) -> Fault {
        let fault = self.cursor.unexpected("a type");
        let token = self.cursor.peek();
        if token.kind != Kind::Word {
            return fault;
        }
        if let Some(tag) = self.scope.tags.get(token.text) {
            return fault.with_hint(&format!("{} {}", tag.keyword, token.text));
        }
        let names = TYPE_WORDS.iter().copied().chain(self.scope.typedef_names());
        match nearest(token.text, names) {
            Some(name) => fault.with_hint(name),
            None => fault,
        }
    }
}

fn qualified(mut form: Form, seen: &mut Seen<'_>, span: Span) -> Result<Form> {
    if let Some((bytes, span)) = seen.attributes.vector.take() {
        form = vector_of(form, bytes, span)?;
    }
    if let Some(atomic) = seen.atomic
        && !matches!(form.ty(), Some(Type::Bool | Type::Integer(_) | Type::Float(_) | Type::Enum(_) | Type::Pointer(_)))
    {
        let message = "`_Atomic` is supported on integers, floating types and pointers only: others may change size";
        return Err(Fault::new(atomic.to(span), message));
    }
    form.is_const |= seen.is_const;
    Ok(form)
}

/// A vector of the type; the attribute applies to what the specifiers name, whatever is derived from it.
pub(super) fn vector_of(form: Form, bytes: usize, span: Span) -> Result<Form> {
    match form.ty() {
        Some(ty) => {
            let vector = Vector::new(ty.clone(), bytes).blame(span)?;
            Ok(Form { is_const: form.is_const, ..Form::of(Type::Vector(vector)) })
        }
        None => Err(Fault::new(span, "a vector can only have elements of an integer or floating type")),
    }
}

fn no_such_type(words: &[&str], span: Span) -> Fault {
    Fault::new(span, format!("`{}` is not a type", words.join(" ")))
}

/// The arithmetic type (or `void`) that the words name in any order (C11 6.7.2 p2).
fn arithmetic(words: &[&str]) -> Option<Type> {
    let mut sorted = words.to_vec();
    sorted.sort_unstable();
    let integer = |integer| Some(Type::Integer(integer));
    match sorted.as_slice() {
        ["void"] => Some(Type::Void),
        ["_Bool"] => Some(Type::Bool),
        ["char"] => integer(Integer::Char),
        ["char", "signed"] => integer(Integer::SChar),
        ["char", "unsigned"] => integer(Integer::UChar),
        ["short"] | ["int", "short"] | ["short", "signed"] | ["int", "short", "signed"] => integer(Integer::Short),
        ["short", "unsigned"] | ["int", "short", "unsigned"] => integer(Integer::UShort),
        ["int"] | ["signed"] | ["int", "signed"] => integer(Integer::Int),
        ["unsigned"] | ["int", "unsigned"] => integer(Integer::UInt),
        ["long"] | ["int", "long"] | ["long", "signed"] | ["int", "long", "signed"] => integer(Integer::Long),
        ["long", "unsigned"] | ["int", "long", "unsigned"] => integer(Integer::ULong),
        ["long", "long"] | ["int", "long", "long"] | ["long", "long", "signed"] | ["int", "long", "long", "signed"] => {
            integer(Integer::LongLong)
        }
        ["long", "long", "unsigned"] | ["int", "long", "long", "unsigned"] => integer(Integer::ULongLong),
        ["__int128"] | ["__int128", "signed"] => integer(Integer::Int128),
        ["__int128", "unsigned"] => integer(Integer::UInt128),
        ["_Float16"] => Some(Type::F16),
        ["float"] | ["_Float32"] => Some(Type::F32),
        ["double"] | ["_Float64"] => Some(Type::F64),
        ["double", "long"] => Some(Type::LONG_DOUBLE),
        ["_Complex", "float"] | ["_Complex", "_Float32"] => Some(Type::Complex(Float::F32)),
        // gcc takes `_Complex` alone for `_Complex double`.
        ["_Complex"] | ["_Complex", "double"] | ["_Complex", "_Float64"] => Some(Type::Complex(Float::F64)),
        ["_Complex", "double", "long"] => Some(Type::Complex(Float::LongDouble)),
        _ => None,
    }
}

/// The name at the smallest distance, if that is a plausible slip.
fn nearest<'n>(word: &str, names: impl Iterator<Item = &'n str>) -> Option<&'n str> {
    const LONGEST: usize = 64;
    let word: Vec<char> = word.chars().take(LONGEST).collect();
    let most = (word.len() / 3).clamp(1, 2);
    let close = names.filter(|name| name.len() <= LONGEST && name.len().abs_diff(word.len()) <= most);
    let scored = close.map(|name| (distance(&word, &name.chars().collect::<Vec<_>>()), name));
    scored.filter(|(distance, _)| *distance <= most).min().map(|(_, name)| name)
}

/// How many insertions, deletions, replacements and swaps of neighbours turn one word into the other.
fn distance(left: &[char], right: &[char]) -> usize {
    let mut rows = vec![(0..=right.len()).collect::<Vec<_>>()];
    for (i, &l) in left.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, &r) in right.iter().enumerate() {
            let mut best = (rows[i][j] + usize::from(l != r)).min(rows[i][j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && l == right[j - 1] && left[i - 1] == r {
                best = best.min(rows[i - 1][j - 1] + 1);
            }
            row.push(best);
        }
        rows.push(row);
    }
    rows[left.len()][right.len()]
}
