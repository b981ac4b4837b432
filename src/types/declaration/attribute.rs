//! Attributes: GNU C's `__attribute__`, C23's `[[...]]` and C11's `_Alignas`.

use super::fault::{Blame as _, Fault, Result, Span};
use super::lexer::Kind;
use super::parser::Parser;
use crate::types::{Arch, layout};

/// Attributes that change what a declaration means in ways that the engine's types cannot say. All that are neither
/// these nor in [`Attributes`] (`nonnull`, `pure`, `format`, ...) do not change how a function is called.
const REFUSED: &[&str] = &[
    "aarch64_vector_pcs",
    "address_space",
    "cdecl",
    "ext_vector_type",
    "fastcall",
    "mode",
    "ms_struct",
    "neon_vector_type",
    "pass_object_size",
    "pcs",
    "preserve_all",
    "preserve_most",
    "regcall",
    "regparm",
    "scalar_storage_order",
    "sseregparm",
    "stdcall",
    "swiftcall",
    "thiscall",
    "transparent_union",
    "vectorcall",
];

/// The attributes of a declaration that say something about its layout, or about how it is called.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Attributes {
    /// `packed`.
    pub(super) packed: Option<Span>,
    /// `aligned(n)`: the largest, in bytes.
    pub(super) aligned: Option<(usize, Span)>,
    /// `_Alignas(n)`: the largest, in bytes.
    pub(super) alignas: Option<(usize, Span)>,
    /// `vector_size(n)`, in bytes.
    pub(super) vector: Option<(usize, Span)>,
    /// `ms_abi`, of a function.
    pub(super) ms_abi: Option<Span>,
}

impl Attributes {
    /// The alignment asked for in either spelling, in bytes.
    pub(super) fn align(&self) -> Option<usize> {
        let largest = |attribute: Option<(usize, Span)>| attribute.map(|(bytes, _)| bytes);
        largest(self.aligned).max(largest(self.alignas))
    }

    /// These attributes and those that follow.
    pub(super) fn and(self, later: Attributes) -> Attributes {
        Attributes {
            packed: self.packed.or(later.packed),
            aligned: larger(self.aligned, later.aligned),
            alignas: larger(self.alignas, later.alignas),
            vector: later.vector.or(self.vector),
            ms_abi: later.ms_abi.or(self.ms_abi),
        }
    }

    /// Refuses what has no meaning for `what` but might be thought to have one.
    pub(super) fn refuse_layout(&self, what: &str, aligned_matters: bool) -> Result<()> {
        if let Some(span) = self.packed {
            return Err(Fault::new(
                span,
                format!("`packed` has no effect on {what}: put it after the body of a struct"),
            ));
        }
        if let Some((_, span)) = self.alignas {
            return Err(Fault::new(span, format!("`_Alignas` cannot stand on {what}")));
        }
        match self.aligned {
            Some((_, span)) if aligned_matters => Err(Fault::new(
                span,
                format!("`aligned` on {what} is not supported: put it on the struct or the member"),
            )),
            _ => Ok(()),
        }
    }
}

fn larger(left: Option<(usize, Span)>, right: Option<(usize, Span)>) -> Option<(usize, Span)> {
    match (left, right) {
        (Some(left), Some(right)) => Some(if left.0 >= right.0 { left } else { right }),
        (left, right) => left.or(right),
    }
}

impl Parser<'_> {
    /// Takes all attributes that stand here, if any.
    pub(super) fn attributes(&mut self, into: &mut Attributes) -> Result<bool> {
        let start = self.cursor.peek().span;
        while self.attribute(into)? {}
        Ok(self.cursor.peek().span != start)
    }

    fn attribute(&mut self, into: &mut Attributes) -> Result<bool> {
        if self.cursor.word() == Some("__attribute__") {
            self.cursor.bump();
            self.cursor.expect("(", "`((`")?;
            self.cursor.expect("(", "`((`")?;
            self.attribute_list(")", into)?;
            self.cursor.expect(")", "`))`")?;
            return Ok(true);
        }
        if self.cursor.word() == Some("_Alignas") && self.cursor.is_at(1, "(") {
            self.alignas(into)?;
            return Ok(true);
        }
        if self.cursor.is("[") && self.cursor.is_at(1, "[") {
            self.cursor.bump();
            self.cursor.bump();
            self.attribute_list("]", into)?;
            self.cursor.expect("]", "`]]`")?;
            return Ok(true);
        }
        Ok(false)
    }

    /// The attributes between double brackets, with the first of the closing ones.
    fn attribute_list(&mut self, close: &str, into: &mut Attributes) -> Result<()> {
        loop {
            if self.cursor.peek().kind == Kind::Word {
                self.one_attribute(into)?;
            }
            if self.cursor.eat(close) {
                return Ok(());
            }
            self.cursor.expect(",", &format!("`{close}{close}` or `,`"))?;
        }
    }

    fn one_attribute(&mut self, into: &mut Attributes) -> Result<()> {
        let mut token = self.cursor.bump();
        // C23 6.7.13: a prefix such as `gnu::` says whose attribute it is.
        while self.cursor.is(":") && self.cursor.is_at(1, ":") && self.cursor.peek_at(2).kind == Kind::Word {
            self.cursor.bump();
            self.cursor.bump();
            token = self.cursor.bump();
        }
        match token.text.trim_matches('_') {
            "packed" => into.packed = Some(token.span),
            "aligned" => {
                let bytes = if self.cursor.is("(") { self.argument()? } else { layout::DEFAULT_ALIGN };
                let span = token.span.to(self.cursor.previous().span);
                check_align(bytes, span)?;
                into.aligned = larger(into.aligned, Some((bytes, span)));
            }
            "vector_size" => {
                let bytes = self.argument()?;
                into.vector = Some((bytes, token.span.to(self.cursor.previous().span)));
            }
            "ms_abi" => into.ms_abi = Some(token.span),
            name if REFUSED.contains(&name) => {
                let message = format!("the attribute `{}` changes the meaning and is not supported", token.text);
                return Err(Fault::new(token.span, message));
            }
            _ => {
                if self.cursor.eat("(") {
                    self.cursor.skip_balanced()?;
                }
            }
        }
        Ok(())
    }

    /// The number in brackets behind the name of an attribute.
    fn argument(&mut self) -> Result<usize> {
        self.cursor.expect("(", "`(` and a number")?;
        let (bytes, _) = self.count("an attribute")?;
        self.cursor.expect(")", "`)`")?;
        Ok(bytes)
    }

    /// `_Alignas(n)` or `_Alignas(type)`; 0 has no effect (C11 6.7.5 p6).
    fn alignas(&mut self, into: &mut Attributes) -> Result<()> {
        let start = self.cursor.bump().span;
        self.cursor.bump();
        let bytes = if self.starts_type() {
            let (ty, span) = self.nested(Parser::type_name)?;
            layout::of(&ty, Arch::HOST).blame(span)?.align
        } else {
            self.count("an alignment")?.0
        };
        let span = start.to(self.cursor.expect(")", "`)`")?);
        if bytes != 0 {
            check_align(bytes, span)?;
            into.alignas = larger(into.alignas, Some((bytes, span)));
        }
        Ok(())
    }

    /// What may follow a declarator: attributes, `asm("symbol")`, and the macros that system headers put there
    /// (`__THROW`, `__nonnull ((1))`).
    pub(super) fn after_declarator(&mut self, into: &mut Attributes) -> Result<()> {
        loop {
            if self.attributes(into)? {
                continue;
            }
            match self.cursor.word() {
                Some("asm") => {}
                Some(word) if word.starts_with("__") && self.cursor.name().is_some() => {}
                _ => return Ok(()),
            }
            self.cursor.bump();
            if self.cursor.eat("(") {
                self.cursor.skip_balanced()?;
            }
        }
    }
}

fn check_align(bytes: usize, span: Span) -> Result<()> {
    match bytes.is_power_of_two() && bytes <= layout::MAX_ALIGN {
        true => Ok(()),
        false => {
            let most = layout::MAX_ALIGN;
            Err(Fault::new(span, format!("an alignment of {bytes}: it must be a power of two, at most {most}")))
        }
    }
}
