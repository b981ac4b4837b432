//! Declarations (C11 6.7), one after the other, into a scope.

use super::attribute::Attributes;
use super::cursor::Cursor;
use super::declarator::{Declarator, Naming, declared_twice};
use super::fault::{Blame as _, Fault, Result, Span};
use super::lexer::{Kind, tokens};
use super::limit::{MAX_NESTING, MAX_WORK, Size, measure};
use super::scope::{Form, Name, Scope};
use super::specifiers::{Place, Specifiers, Tagging};
use super::{Variable, printer};
use crate::types::signature::Signature;
use crate::types::{Pointee, Type};

/// What the last declaration of a text may leave out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Goal {
    /// Nothing: all are declarations.
    Declarations,
    /// The name of a function.
    Signature,
    /// The name: it is a type name.
    Type,
}

/// A recursive-descent parser; its methods are spread over the files of this folder.
pub(super) struct Parser<'t> {
    pub(super) cursor: Cursor<'t>,
    pub(super) scope: Scope,
    /// The names of the parameters of every parameter list that is open.
    pub(super) parameters: Vec<&'t str>,
    /// Where the array length that is being read names a parameter.
    pub(super) variable_length: Option<Span>,
    goal: Goal,
    /// What the last declaration stands for, where it has no name.
    unnamed: Option<(Form, Span)>,
    nesting: usize,
    work: usize,
}

impl<'t> Parser<'t> {
    /// Reads a whole text.
    pub(super) fn parse(text: &'t str, goal: Goal) -> Result<Parser<'t>> {
        Parser::parse_in(Scope::default(), text, goal)
    }

    /// Reads a whole text, in which the names of a scope are known.
    pub(super) fn parse_in(scope: Scope, text: &'t str, goal: Goal) -> Result<Parser<'t>> {
        let mut parser = Parser {
            cursor: Cursor::new(tokens(text)?),
            scope,
            parameters: Vec::new(),
            variable_length: None,
            goal,
            unnamed: None,
            nesting: 0,
            work: 0,
        };
        while !parser.cursor.is_end() {
            if !parser.cursor.eat(";") {
                parser.declaration()?;
            }
        }
        Ok(parser)
    }

    /// The function that a text declares last, or its last line without a name.
    pub(super) fn into_signature(self) -> Result<Signature> {
        if let Some((Form { what: Pointee::Function(signature), .. }, _)) = self.unnamed {
            return Ok(signature);
        }
        match self.scope.last_function {
            Some(last) => Ok(self.scope.functions[last].clone()),
            None => Err(self.cursor.unexpected("the declaration of a function")),
        }
    }

    /// The type that the last line of a text names.
    pub(super) fn into_type(self) -> Result<Type> {
        let Some((form, span)) = self.unnamed.clone() else {
            return Err(self.expected_type());
        };
        match &form.what {
            Pointee::Function(signature) => {
                let message = format!("expected the type of an object, found that of a function, {signature}");
                Err(Fault::new(span, message))
            }
            _ => self.complete_type(&form, span, "named"),
        }
    }

    /// Goes a level deeper; the limit keeps the parser's own stack small.
    pub(super) fn nested<T>(&mut self, inner: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        if self.nesting == MAX_NESTING {
            let span = self.cursor.peek().span;
            return Err(Fault::new(span, format!("the text is nested more than {MAX_NESTING} deep")));
        }
        self.nesting += 1;
        let result = inner(self);
        self.nesting -= 1;
        result
    }

    /// Checks the size of a type, and puts in the definitions that its tags have got by now.
    pub(super) fn settled(&mut self, what: &Pointee, span: Span) -> Result<Pointee> {
        if !self.measured(what, span)?.is_stale {
            return Ok(what.clone());
        }
        let resolved = self.scope.resolve(what).blame(span)?;
        self.measured(&resolved, span)?;
        Ok(resolved)
    }

    /// [`Parser::settled`] for a type.
    pub(super) fn settled_type(&mut self, ty: Type, span: Span) -> Result<Type> {
        match self.settled(&Pointee::Type(ty.clone()), span)? {
            Pointee::Type(settled) => Ok(settled),
            _ => Ok(ty),
        }
    }

    /// Checks the size of a type.
    pub(super) fn measured(&mut self, what: &Pointee, span: Span) -> Result<Size> {
        let size = measure(&self.scope, what, span)?;
        self.work += size.own;
        match self.work > MAX_WORK {
            true => Err(Fault::new(span, "the declarations are too large as a whole")),
            false => Ok(size),
        }
    }

    fn declaration(&mut self) -> Result<()> {
        let specifiers = self.specifiers(Place::File)?;
        if specifiers.tagging != Tagging::None && (self.cursor.is(";") || self.cursor.is_end()) {
            return self.tag_declaration(specifiers);
        }
        loop {
            let naming = if self.goal == Goal::Declarations { Naming::Named } else { Naming::Either };
            let declarator = self.declarator(naming)?;
            let mut own = Attributes::default();
            self.after_declarator(&mut own)?;
            let span = specifiers.span.to(declarator.span);
            self.declare(&specifiers, declarator, own, span)?;
            if !self.cursor.eat(",") {
                return self.end_of_declaration();
            }
        }
    }

    /// A declaration of a tag only; at the end of a type name it is the type.
    fn tag_declaration(&mut self, specifiers: Specifiers) -> Result<()> {
        specifiers.attributes.refuse_layout("a declaration without a name", true)?;
        self.cursor.eat(";");
        if self.cursor.is_end() && !specifiers.is_typedef {
            self.unnamed = Some((specifiers.form, specifiers.span));
        }
        Ok(())
    }

    fn declare(
        &mut self,
        specifiers: &Specifiers,
        declarator: Declarator<'t>,
        own: Attributes,
        span: Span,
    ) -> Result<()> {
        let attributes = specifiers.attributes.and(own);
        let is_typedef = specifiers.is_typedef;
        attributes.refuse_layout(if is_typedef { "a typedef" } else { "this declaration" }, is_typedef)?;
        let form = self.derived(specifiers, declarator.steps, &own)?;
        let form = Form { what: self.settled(&form.what, span)?, is_const: form.is_const };
        match declarator.name {
            None => self.unnamed_declaration(form, span, is_typedef),
            Some((name, place)) if is_typedef => self.declare_typedef(name, form, place),
            Some((name, place)) => match form.what {
                Pointee::Function(signature) => self.declare_function(name, signature, place),
                _ => self.declare_variable(name, form, place, span),
            },
        }
    }

    /// The end of a type name or of a prototype without a name.
    fn unnamed_declaration(&mut self, form: Form, span: Span, is_typedef: bool) -> Result<()> {
        let fault = self.cursor.unexpected("a name");
        self.cursor.eat(";");
        let is_wanted = match self.goal {
            Goal::Declarations => false,
            Goal::Signature => matches!(form.what, Pointee::Function(_)),
            Goal::Type => true,
        };
        if !is_wanted || is_typedef || !self.cursor.is_end() {
            return Err(fault);
        }
        self.unnamed = Some((form, span));
        Ok(())
    }

    fn declare_typedef(&mut self, name: &str, form: Form, span: Span) -> Result<()> {
        match self.scope.names.get(name) {
            None => {}
            Some(Name::Typedef(earlier)) if same(&earlier.what, earlier.is_const, &form.what, form.is_const) => {}
            Some(_) => return Err(declared_twice(name, span)),
        }
        self.scope.names.insert(name.to_owned(), Name::Typedef(form));
        Ok(())
    }

    /// A function may be declared again with the same type; the last declaration's parameter names stay.
    fn declare_function(&mut self, name: &str, signature: Signature, span: Span) -> Result<()> {
        let signature = signature.named(name);
        let index = match self.scope.names.get(name) {
            None => self.scope.functions.len(),
            Some(Name::Function(index)) if same_function(&self.scope.functions[*index], &signature) => *index,
            Some(_) => return Err(declared_twice(name, span)),
        };
        match self.scope.functions.get_mut(index) {
            Some(earlier) => *earlier = signature,
            None => self.scope.functions.push(signature),
        }
        self.scope.last_function = Some(index);
        self.scope.names.insert(name.to_owned(), Name::Function(index));
        Ok(())
    }

    fn declare_variable(&mut self, name: &str, form: Form, place: Span, span: Span) -> Result<()> {
        let ty = self.complete_type(&form, span, "a variable")?;
        if ty.is_void() {
            return Err(Fault::new(span, "a variable cannot be void"));
        }
        match self.scope.names.get(name) {
            None => {}
            Some(Name::Variable(index)) if self.scope.variables[*index].ty == ty => return Ok(()),
            Some(_) => return Err(declared_twice(name, place)),
        }
        self.scope.names.insert(name.to_owned(), Name::Variable(self.scope.variables.len()));
        self.scope.variables.push(Variable { name: name.to_owned(), ty });
        Ok(())
    }

    fn end_of_declaration(&mut self) -> Result<()> {
        if self.cursor.is_end() || self.cursor.eat(";") {
            return Ok(());
        }
        let token = self.cursor.peek();
        Err(match (token.kind, token.text) {
            (Kind::Punctuation, "{") => {
                Fault::new(token.span, "expected `;`, found the body of a function: only declarations can be read")
            }
            (Kind::Punctuation, "=") => {
                Fault::new(token.span, "expected `;`, found an initial value: only declarations can be read")
            }
            _ => self.cursor.unexpected("`;` or `,`"),
        })
    }
}

/// Whether two declarations of a name agree. Parameter names do not matter, nor whether a tag was defined yet.
fn same(left: &Pointee, left_const: bool, right: &Pointee, right_const: bool) -> bool {
    printer::without_names(left, left_const) == printer::without_names(right, right_const)
}

fn same_function(left: &Signature, right: &Signature) -> bool {
    same(&Pointee::Function(left.clone()), false, &Pointee::Function(right.clone()), false)
}
