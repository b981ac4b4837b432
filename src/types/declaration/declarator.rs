//! Declarators (C11 6.7.6): what stands around a name and derives pointers, arrays and functions.

use super::attribute::Attributes;
use super::fault::{Blame as _, Fault, Result, Span};
use super::limit::MAX_STEPS;
use super::parser::Parser;
use super::scope::{Form, VA_LIST_TAG};
use super::specifiers::{Place, Specifiers, vector_of};
use crate::abi::Convention;
use crate::types::signature::{MAX_ARGUMENTS, Parameter, Signature};
use crate::types::{Aggregate, Arch, Array, Pointee, Type, layout};

/// Whether a declarator has to have a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Naming {
    Named,
    /// Parameters may do without.
    Either,
    /// In a type name.
    Unnamed,
}

/// A declarator, turned inside out.
#[derive(Debug)]
pub(super) struct Declarator<'t> {
    pub(super) name: Option<(&'t str, Span)>,
    /// What to make of the type that the specifiers name, first step first.
    pub(super) steps: Vec<Step>,
    pub(super) span: Span,
}

/// One derivation, and the piece of text that asks for it.
#[derive(Debug)]
pub(super) struct Step {
    pub(super) derivation: Derivation,
    span: Span,
}

#[derive(Debug)]
pub(super) enum Derivation {
    Pointer { is_const: bool },
    Array(Length),
    Function { parameters: Vec<Parameter>, is_variadic: bool },
}

/// What stands between the brackets of an array.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Length {
    Unknown,
    Known(usize),
    /// Something that only a call knows: allowed where the array becomes a pointer.
    Variable,
}

impl<'t> Parser<'t> {
    /// Reads a declarator.
    pub(super) fn declarator(&mut self, naming: Naming) -> Result<Declarator<'t>> {
        let start = self.cursor.peek().span;
        let mut steps = self.pointers()?;
        let mut name = None;
        let mut inner = Vec::new();
        if self.opens_declarator(naming) {
            self.cursor.bump();
            let declarator = self.nested(|parser| parser.declarator(naming))?;
            self.cursor.expect(")", "`)`")?;
            (name, inner) = (declarator.name, declarator.steps);
        } else if let Some(found) = self.cursor.name().filter(|_| naming != Naming::Unnamed) {
            name = Some((found, self.cursor.bump().span));
        } else if naming == Naming::Named {
            return Err(self.cursor.unexpected("a name"));
        }
        let mut suffixes = self.suffixes()?;
        suffixes.reverse();
        steps.append(&mut suffixes);
        steps.append(&mut inner);
        if let Some(step) = steps.get(MAX_STEPS) {
            return Err(Fault::new(step.span, format!("the type is nested more than {MAX_STEPS} deep")));
        }
        let span = if self.cursor.peek().span == start { start } else { start.to(self.cursor.previous().span) };
        Ok(Declarator { name, steps, span })
    }

    /// Whether the next bracket opens a declarator and not a parameter list (C11 6.7.6.3 p11).
    fn opens_declarator(&self, naming: Naming) -> bool {
        if !self.cursor.is("(") {
            return false;
        }
        if naming == Naming::Named {
            return true;
        }
        !(self.cursor.is_at(1, ")") || self.cursor.is_at(1, "...") || self.starts_type_at(1))
    }

    fn pointers(&mut self) -> Result<Vec<Step>> {
        let mut steps = Vec::new();
        while self.cursor.is("*") {
            let mut span = self.cursor.bump().span;
            let mut is_const = false;
            loop {
                let mut attributes = Attributes::default();
                match self.cursor.word() {
                    Some("const") => is_const = true,
                    Some("volatile" | "restrict" | "_Atomic") => {}
                    _ if self.attributes(&mut attributes)? => {
                        attributes.refuse_layout("a pointer", true)?;
                        refuse_vector(&attributes)?;
                        continue;
                    }
                    _ => break,
                }
                span = span.to(self.cursor.bump().span);
            }
            steps.push(Step { derivation: Derivation::Pointer { is_const }, span });
        }
        Ok(steps)
    }

    fn suffixes(&mut self) -> Result<Vec<Step>> {
        let mut steps = Vec::new();
        loop {
            if self.cursor.is("(") {
                steps.push(self.function_suffix()?);
            } else if self.cursor.is("[") && !self.cursor.is_at(1, "[") {
                steps.push(self.array_suffix()?);
            } else {
                return Ok(steps);
            }
        }
    }

    fn array_suffix(&mut self) -> Result<Step> {
        let open = self.cursor.bump().span;
        while matches!(self.cursor.word(), Some("static" | "const" | "volatile" | "restrict")) {
            self.cursor.bump();
        }
        let length = if self.cursor.is("]") {
            Length::Unknown
        } else if self.cursor.is("*") && self.cursor.is_at(1, "]") {
            self.cursor.bump();
            Length::Variable
        } else {
            self.array_length()?
        };
        let span = open.to(self.cursor.expect("]", "`]`")?);
        Ok(Step { derivation: Derivation::Array(length), span })
    }

    fn array_length(&mut self) -> Result<Length> {
        self.variable_length = None;
        let (length, _) = self.nested(|parser| parser.count("an array length"))?;
        Ok(if self.variable_length.take().is_some() { Length::Variable } else { Length::Known(length) })
    }

    fn function_suffix(&mut self) -> Result<Step> {
        let open = self.cursor.bump().span;
        let outer = self.parameters.len();
        let (parameters, is_variadic) = self.nested(Parser::parameter_list)?;
        self.parameters.truncate(outer);
        let span = open.to(self.cursor.expect(")", "`)` or `,`")?);
        Ok(Step { derivation: Derivation::Function { parameters, is_variadic }, span })
    }

    /// Reads parameters up to the closing bracket, and whether `...` follows them.
    fn parameter_list(&mut self) -> Result<(Vec<Parameter>, bool)> {
        let mut list = Vec::new();
        if self.cursor.is(")") {
            return Ok((list, false));
        }
        let first = self.parameters.len();
        loop {
            if self.cursor.is("...") {
                if list.is_empty() {
                    return Err(self.cursor.unexpected("a parameter before the `...`"));
                }
                self.cursor.bump();
                return match self.cursor.is(")") {
                    true => Ok((list, true)),
                    false => Err(self.cursor.unexpected("`)`")),
                };
            }
            if list.len() == MAX_ARGUMENTS {
                let message = format!("more than {MAX_ARGUMENTS} parameters are not supported");
                return Err(Fault::new(self.cursor.peek().span, message));
            }
            match self.parameter(first, list.is_empty())? {
                Some(parameter) => list.push(parameter),
                None => return Ok((list, false)),
            }
            if !self.cursor.eat(",") {
                return Ok((list, false));
            }
        }
    }

    /// Reads a parameter; none for a lone `void`. The names of its list start at `first`.
    fn parameter(&mut self, first: usize, is_first: bool) -> Result<Option<Parameter>> {
        let specifiers = self.specifiers(Place::Parameter)?;
        let declarator = self.declarator(Naming::Either)?;
        let mut attributes = specifiers.attributes;
        self.after_declarator(&mut attributes)?;
        attributes.refuse_layout("a parameter", false)?;
        let is_plain = declarator.name.is_none() && declarator.steps.is_empty();
        if is_first && is_plain && specifiers.form.ty().is_some_and(Type::is_void) && self.cursor.is(")") {
            return Ok(None);
        }
        let name = declarator.name;
        if let Some((name, span)) = name {
            if self.parameters[first..].contains(&name) {
                return Err(declared_twice(name, span));
            }
            self.parameters.push(name);
        }
        let blame = if is_plain { specifiers.span } else { specifiers.span.to(declarator.span) };
        let form = self.derived_parameter(&specifiers, declarator.steps, &attributes)?;
        let what = self.settled(&form.what, blame)?;
        let ty = self.complete_type(&Form { what, ..form }, blame, "passed")?;
        Signature::new(Type::Void, [ty.clone()]).blame(blame)?;
        Ok(Some(Parameter { name: name.map(|(name, _)| name.to_owned()), ty }))
    }

    /// Arrays and functions become pointers (C11 6.7.6.3 p7, p8).
    fn derived_parameter(
        &self,
        specifiers: &Specifiers,
        mut steps: Vec<Step>,
        attributes: &Attributes,
    ) -> Result<Form> {
        if let Some(step) = steps.last_mut()
            && let Derivation::Array(_) = step.derivation
        {
            step.derivation = Derivation::Pointer { is_const: false };
        }
        let form = self.derived(specifiers, steps, attributes)?;
        Ok(match &form.what {
            Pointee::Type(Type::Array(array)) => {
                let element = Form { is_const: form.is_const, ..Form::of(array.element().clone()) };
                Form::of(Type::Pointer(element.pointer()))
            }
            Pointee::Function(_) => Form::of(Type::Pointer(form.pointer())),
            _ => form,
        })
    }

    /// Makes of the type that the specifiers name what the declarator says.
    pub(super) fn derived(&self, specifiers: &Specifiers, steps: Vec<Step>, attributes: &Attributes) -> Result<Form> {
        let mut form = self.scope.completed(specifiers.form.clone());
        if let Some((bytes, span)) = attributes.vector {
            form = vector_of(form, bytes, span)?;
        }
        let is_function = |step: &Step| matches!(step.derivation, Derivation::Function { .. });
        // An attribute of a function is one of the function that the name is nearest to.
        let nearest = steps.iter().rposition(is_function);
        if let (Some(span), None) = (attributes.ms_abi, nearest) {
            return Err(Fault::new(span, "`ms_abi` stands on what is no function"));
        }
        let mut blame = specifiers.span;
        for (index, Step { derivation, span }) in steps.into_iter().enumerate() {
            form = match derivation {
                Derivation::Pointer { is_const } => Form { is_const, ..Form::of(Type::Pointer(form.pointer())) },
                Derivation::Array(length) => self.array_of(form, length, blame, span)?,
                Derivation::Function { parameters, is_variadic } => {
                    let convention = attributes.ms_abi.filter(|_| Some(index) == nearest).map(|_| Convention::Win64);
                    self.function_of(&form, parameters, is_variadic, convention, blame)?
                }
            };
            blame = span;
        }
        Ok(form)
    }

    fn array_of(&self, form: Form, length: Length, blame: Span, span: Span) -> Result<Form> {
        let element = self.complete_type(&form, blame, "an element of an array")?;
        let length = match length {
            Length::Unknown => None,
            Length::Known(length) => Some(length),
            Length::Variable => return Err(Fault::new(span, "expected a constant array length")),
        };
        if element.as_aggregate().is_some_and(|aggregate| Aggregate::has_flexible_array(aggregate)) {
            let message = format!("{element} ends in a flexible array member and cannot be an element of an array");
            return Err(Fault::new(blame, message));
        }
        let array = Type::Array(Array::new(element, length).blame(blame)?);
        if length.is_some() {
            layout::of(&array, Arch::HOST).blame(span)?;
        }
        Ok(Form { is_const: form.is_const, ..Form::of(array) })
    }

    fn function_of(
        &self,
        form: &Form,
        parameters: Vec<Parameter>,
        is_variadic: bool,
        convention: Option<Convention>,
        blame: Span,
    ) -> Result<Form> {
        let result = self.complete_type(form, blame, "returned")?;
        let signature = Signature::with_parameters(result, parameters).blame(blame)?;
        let signature = convention.into_iter().fold(signature, Signature::with_convention);
        let signature = if is_variadic { signature.variadic() } else { signature };
        Ok(Form { what: Pointee::Function(signature), is_const: false })
    }

    /// The type of an object; functions and tags without a definition have none.
    pub(super) fn complete_type(&self, form: &Form, blame: Span, role: &str) -> Result<Type> {
        match &form.what {
            Pointee::Type(ty) => Ok(ty.clone()),
            Pointee::Function(_) => Err(Fault::new(blame, format!("a function cannot be {role}: use a pointer to it"))),
            Pointee::Incomplete(_, tag) if tag == VA_LIST_TAG => {
                Err(Fault::new(blame, format!("`va_list` cannot be {role}: only a C compiler can make one")))
            }
            Pointee::Incomplete(kind, tag) => {
                Err(Fault::new(blame, format!("{} {tag} is not defined", kind.keyword())))
            }
        }
    }

    /// Reads a type name, as `sizeof` and `_Alignas` take it.
    pub(super) fn type_name(&mut self) -> Result<(Type, Span)> {
        let specifiers = self.specifiers(Place::TypeName)?;
        let declarator = self.declarator(Naming::Unnamed)?;
        let span = specifiers.span.to(self.cursor.previous().span);
        specifiers.attributes.refuse_layout("a type name", true)?;
        let form = self.derived(&specifiers, declarator.steps, &Attributes::default())?;
        let what = self.settled(&form.what, span)?;
        Ok((self.complete_type(&Form { what, ..form }, span, "measured")?, span))
    }
}

fn refuse_vector(attributes: &Attributes) -> Result<()> {
    match attributes.vector {
        Some((_, span)) => Err(Fault::new(span, "`vector_size` cannot stand behind a `*`")),
        None => Ok(()),
    }
}

pub(super) fn declared_twice(name: &str, span: Span) -> Fault {
    Fault::new(span, format!("`{name}` is declared twice"))
}
