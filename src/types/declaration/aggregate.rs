//! Structs, unions and enums (C11 6.7.2.1 to 6.7.2.3).

use std::collections::HashSet;

use super::attribute::Attributes;
use super::declarator::{Declarator, Naming, declared_twice};
use super::fault::{Blame as _, Fault, Result, Span};
use super::parser::Parser;
use super::printer;
use super::scope::{Form, Name, Tag};
use super::specifiers::{Place, Specifiers, Tagging};
use crate::types::{Aggregate, AggregateBuilder, AggregateKind, Arch, Enum, Integer, Member, Pointee, Type, layout};
use std::sync::Arc;

/// A tag, with its place.
type TagName<'t> = (&'t str, Span);

/// The members read so far, with their places.
#[derive(Default)]
struct Body {
    members: Vec<(Member, Span)>,
    names: HashSet<String>,
}

impl Body {
    fn push(&mut self, member: Member, span: Span) -> Result<()> {
        if let Some(name) = &member.name {
            self.enter(name, span)?;
        } else if let (Type::Aggregate(inner), None) = (&member.ty, member.bits) {
            self.enter_all(inner, span)?;
        }
        self.members.push((member, span));
        Ok(())
    }

    fn enter(&mut self, name: &str, span: Span) -> Result<()> {
        if self.names.insert(name.to_owned()) { Ok(()) } else { Err(declared_twice(name, span)) }
    }

    /// The members of an anonymous struct are members of the one around it (C11 6.7.2.1 p13).
    fn enter_all(&mut self, aggregate: &Aggregate, span: Span) -> Result<()> {
        for member in aggregate.members() {
            match (&member.name, &member.ty) {
                (Some(name), _) => self.enter(name, span)?,
                (None, Type::Aggregate(inner)) => self.enter_all(inner, span)?,
                _ => {}
            }
        }
        Ok(())
    }
}

impl<'t> Parser<'t> {
    /// Reads from `struct`, `union` or `enum` to the end of the tag or the body. Attributes that belong to what is
    /// declared go to `outer`.
    pub(super) fn tagged(&mut self, keyword: &'static str, outer: &mut Attributes) -> Result<(Form, Tagging)> {
        let mut span = self.cursor.bump().span;
        let mut attributes = Attributes::default();
        self.attributes(&mut attributes)?;
        let mut tag = None;
        if let Some(name) = self.cursor.name() {
            tag = Some((name, self.cursor.bump().span));
            span = span.to(self.cursor.previous().span);
            self.attributes(&mut attributes)?;
        }
        match tag {
            _ if self.cursor.is("{") => self.definition(keyword, tag, span, attributes),
            Some(tag) if keyword == "enum" && self.cursor.is(":") => {
                Err(Fault::new(tag.1, "an enum with a declared underlying type is not supported"))
            }
            Some(tag) => {
                *outer = outer.and(attributes);
                Ok((self.mention(keyword, tag)?, Tagging::Tagged))
            }
            None => Err(self.cursor.unexpected("a tag or `{`")),
        }
    }

    /// A tag without a body: what it was defined as, or the promise of a definition.
    fn mention(&mut self, keyword: &'static str, (tag, span): TagName<'t>) -> Result<Form> {
        if let Some(known) = self.scope.tags.get(tag) {
            check_keyword(known, keyword, tag, span)?;
            if let Some(ty) = &known.definition {
                return Ok(Form::of(ty.clone()));
            }
        }
        let Some(kind) = kind_of(keyword) else {
            return Err(Fault::new(span, format!("enum {tag} is not defined")));
        };
        self.scope.tags.entry(tag.to_owned()).or_insert(Tag::promised(keyword));
        Ok(Form { what: Pointee::Incomplete(kind, tag.to_owned()), is_const: false })
    }

    /// A body; `span` is the keyword and the tag before it.
    fn definition(
        &mut self,
        keyword: &'static str,
        tag: Option<TagName<'t>>,
        span: Span,
        attributes: Attributes,
    ) -> Result<(Form, Tagging)> {
        let mut earlier = None;
        if let Some((tag, span)) = tag {
            earlier = self.take_earlier(keyword, tag);
            self.check_undefined(keyword, tag, span)?;
            // Inside its own body the tag is known without its definition.
            self.scope.tags.entry(tag.to_owned()).or_insert(Tag::promised(keyword));
        }
        self.cursor.bump();
        let ty = match kind_of(keyword) {
            Some(kind) => self.aggregate(kind, tag, span, attributes)?,
            None => self.enumeration(tag, span, attributes)?,
        };
        let Some((tag, tag_span)) = tag else {
            let tagging = if keyword == "enum" { Tagging::UntaggedEnum } else { Tagging::UntaggedAggregate };
            return Ok((Form::of(ty), tagging));
        };
        // The body may have defined the tag too.
        self.check_undefined(keyword, tag, tag_span)?;
        let ty = match earlier {
            // What was made of the earlier definition stays the same type.
            Some(earlier) if same_definition(&earlier, &ty) => earlier,
            Some(_) => return Err(Fault::new(tag_span, format!("{keyword} {tag} was defined otherwise before"))),
            None => ty,
        };
        let size = self.measured(&Pointee::Type(ty.clone()), tag_span)?;
        self.scope.tags.insert(tag.to_owned(), Tag { keyword, definition: Some(ty.clone()), size, is_earlier: false });
        Ok((Form::of(ty), Tagging::Tagged))
    }

    /// The definition that an earlier text has given a tag, which is then without one.
    fn take_earlier(&mut self, keyword: &str, tag: &str) -> Option<Type> {
        let known = self.scope.tags.get_mut(tag)?;
        if known.is_earlier && known.keyword == keyword { known.definition.take() } else { None }
    }

    fn check_undefined(&self, keyword: &str, tag: &str, span: Span) -> Result<()> {
        let Some(known) = self.scope.tags.get(tag) else {
            return Ok(());
        };
        check_keyword(known, keyword, tag, span)?;
        match known.definition {
            Some(_) => Err(Fault::new(span, format!("{keyword} {tag} is defined twice"))),
            None => Ok(()),
        }
    }

    fn aggregate(
        &mut self,
        kind: AggregateKind,
        tag: Option<TagName<'t>>,
        span: Span,
        mut attributes: Attributes,
    ) -> Result<Type> {
        let body = self.nested(Parser::body)?;
        self.cursor.expect("}", "`}`")?;
        self.attributes(&mut attributes)?;
        refuse_vector(&attributes)?;
        let mut builder = AggregateBuilder::new(kind);
        if let Some((tag, _)) = tag {
            builder = builder.tag(tag);
        }
        if attributes.packed.is_some() {
            builder = builder.packed();
        }
        if let Some(align) = attributes.align() {
            builder = builder.aligned(align);
        }
        let blame = flexible(&body).unwrap_or(span);
        for (mut member, span) in body.members {
            member.ty = self.settled_type(member.ty, span)?;
            builder = builder.push(member);
        }
        self.settled_type(builder.build().blame(blame)?, span)
    }

    /// The members up to the closing brace.
    fn body(&mut self) -> Result<Body> {
        let mut body = Body::default();
        while !self.cursor.is("}") {
            if !self.cursor.eat(";") {
                self.members(&mut body)?;
            }
        }
        Ok(body)
    }

    /// The members of one declaration.
    fn members(&mut self, body: &mut Body) -> Result<()> {
        let specifiers = self.specifiers(Place::Member)?;
        if self.cursor.is(";") && specifiers.tagging != Tagging::None {
            self.cursor.bump();
            return self.anonymous_member(specifiers, body);
        }
        loop {
            self.member(&specifiers, body)?;
            if !self.cursor.eat(",") {
                break;
            }
        }
        self.cursor.expect(";", "`;` or `,`").map(drop)
    }

    /// A declaration in a body that declares no name: an anonymous member, or only a tag.
    fn anonymous_member(&mut self, specifiers: Specifiers, body: &mut Body) -> Result<()> {
        let Specifiers { form, span, tagging, attributes, .. } = specifiers;
        if let (Tagging::UntaggedAggregate, Pointee::Type(ty)) = (tagging, form.what) {
            let without_alignas = Attributes { alignas: None, ..attributes };
            without_alignas.refuse_layout("an anonymous member", true)?;
            let align = attributes.align();
            return body.push(Member { align, ..Member::unnamed(ty) }, span);
        }
        attributes.refuse_layout("a declaration without a name", true)
    }

    fn member(&mut self, specifiers: &Specifiers, body: &mut Body) -> Result<()> {
        let unnamed = Declarator { name: None, steps: Vec::new(), span: self.cursor.peek().span };
        let declarator = if self.cursor.is(":") { unnamed } else { self.declarator(Naming::Named)? };
        let mut attributes = specifiers.attributes;
        let bits = self.bit_width()?;
        let mut own = Attributes::default();
        self.after_declarator(&mut own)?;
        attributes = attributes.and(own);
        let form = self.derived(specifiers, declarator.steps, &own)?;
        let blame = specifiers.span.to(declarator.span);
        let ty = self.settled_type(self.complete_type(&form, blame, "a member")?, blame)?;
        let (name, span) = match declarator.name {
            Some((name, span)) => (Some(name.to_owned()), span),
            None => (None, declarator.span),
        };
        if ty.is_void() {
            return Err(Fault::new(blame, "a member cannot be void"));
        }
        check_alignas(&ty, &attributes)?;
        let packed = attributes.packed.is_some();
        let member = Member { name, ty, bits, align: attributes.align(), packed };
        check_alone(&member, span)?;
        body.push(member, span)
    }

    /// The width of a bit-field, if a colon is next.
    fn bit_width(&mut self) -> Result<Option<u32>> {
        if !self.cursor.eat(":") {
            return Ok(None);
        }
        let (width, span) = self.count("a bit-field width")?;
        match u32::try_from(width) {
            Ok(width) => Ok(Some(width)),
            Err(_) => Err(Fault::new(span, format!("a bit-field width of {width}"))),
        }
    }

    fn enumeration(&mut self, tag: Option<TagName<'t>>, span: Span, mut attributes: Attributes) -> Result<Type> {
        let mut constants = Vec::new();
        let mut next = 0;
        loop {
            let (name, value) = self.enum_constant(next)?;
            next = value + 1;
            constants.push((name.to_owned(), value));
            if !self.cursor.eat(",") || self.cursor.is("}") {
                break;
            }
        }
        self.cursor.expect("}", "`}` or `,`")?;
        self.attributes(&mut attributes)?;
        refuse_vector(&attributes)?;
        match (attributes.packed, attributes.aligned.or(attributes.alignas)) {
            (Some(span), _) => return Err(Fault::new(span, "`packed` on an enum is not supported")),
            (None, Some((_, span))) => return Err(Fault::new(span, "an alignment on an enum is not supported")),
            (None, None) => {}
        }
        Enum::new(tag.map(|(tag, _)| tag), constants).map(|definition| Type::Enum(Arc::new(definition))).blame(span)
    }

    /// A constant, whose value is `next` unless it has its own.
    fn enum_constant(&mut self, next: i128) -> Result<(&'t str, i128)> {
        let Some(name) = self.cursor.name() else {
            return Err(self.cursor.unexpected("a name"));
        };
        let span = self.cursor.bump().span;
        if name == Integer::WChar.name() {
            // Types are written by this name, which has to mean the type everywhere.
            return Err(declared_twice(name, span));
        }
        self.attributes(&mut Attributes::default())?;
        let value = if self.cursor.eat("=") { self.constant()?.0.value } else { next };
        // An enum without a tag is written out wherever it is used, so the same constant may come again.
        match self.scope.names.insert(name.to_owned(), Name::Constant(value)) {
            None => Ok((name, value)),
            Some(Name::Constant(earlier)) if earlier == value => Ok((name, value)),
            Some(_) => Err(declared_twice(name, span)),
        }
    }
}

/// Whether two definitions of a tag agree, whatever tags were defined by then.
fn same_definition(earlier: &Type, later: &Type) -> bool {
    let (Type::Aggregate(earlier), Type::Aggregate(later)) = (earlier, later) else { return earlier == later };
    let same_member = |(earlier, later): (&Member, &Member)| {
        let text = |member: &Member| printer::without_names(&Pointee::Type(member.ty.clone()), false);
        (&earlier.name, earlier.bits) == (&later.name, later.bits) && text(earlier) == text(later)
    };
    earlier.kind() == later.kind()
        && Arch::ALL.iter().all(|arch| earlier.layout(*arch) == later.layout(*arch))
        && earlier.members().len() == later.members().len()
        && earlier.members().iter().zip(later.members()).all(same_member)
}

/// The kind that the keyword stands for, if it is not `enum`.
fn kind_of(keyword: &str) -> Option<AggregateKind> {
    match keyword {
        "struct" => Some(AggregateKind::Struct),
        "union" => Some(AggregateKind::Union),
        _ => None,
    }
}

fn check_keyword(known: &Tag, keyword: &str, tag: &str, span: Span) -> Result<()> {
    if known.keyword == keyword {
        return Ok(());
    }
    Err(Fault::new(span, format!("`{tag}` is declared as {} {tag}, not as {keyword} {tag}", known.keyword)))
}

fn refuse_vector(attributes: &Attributes) -> Result<()> {
    match attributes.vector {
        Some((_, span)) => Err(Fault::new(span, "a vector can only have elements of an integer or floating type")),
        None => Ok(()),
    }
}

/// What to blame for a flexible array in the wrong place.
fn flexible(body: &Body) -> Option<Span> {
    let is_flexible = |ty: &Type| matches!(ty, Type::Array(array) if array.length().is_none());
    body.members.iter().find(|(member, _)| is_flexible(&member.ty)).map(|(_, span)| *span)
}

/// `_Alignas` cannot ask for less than the type has (C11 6.7.5 p4).
fn check_alignas(ty: &Type, attributes: &Attributes) -> Result<()> {
    let Some((bytes, span)) = attributes.alignas else {
        return Ok(());
    };
    let natural = match ty {
        Type::Array(array) => layout::of(array.element(), Arch::HOST),
        ty => layout::of(ty, Arch::HOST),
    };
    let natural = natural.blame(span)?.align;
    if bytes < natural {
        return Err(Fault::new(span, format!("`_Alignas({bytes})` is less than the alignment of {ty}, {natural}")));
    }
    Ok(())
}

/// Finds out what is wrong with a member by itself, so that its own place is blamed and not that of the whole.
fn check_alone(member: &Member, span: Span) -> Result<()> {
    match &member.ty {
        Type::Array(array) if array.length().is_none() => Ok(()),
        _ => AggregateBuilder::new(AggregateKind::Struct).push(member.clone()).build().map(drop).blame(span),
    }
}
