//! Types and signatures as C text.

use std::collections::{HashMap, HashSet};
use std::fmt;

use crate::types::signature::Signature;
use crate::types::{Aggregate, Enum, Member, Pointee, Pointer, Type};

impl fmt::Display for Type {
    /// Writes a C type name: `const char *`, `int (*)(int)`, `double[3]`, `struct point`.
    ///
    /// A struct, union or enum without a tag is written with its body.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&Printer::FULL.object(self, false, String::new()))
    }
}

impl fmt::Display for Signature {
    /// Writes a C prototype without the final `;`.
    ///
    /// A signature without a name is written as a type name: `double (double, double)`. Of one call of a variadic
    /// function, the prototype of the function is written.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&Printer::FULL.function(self, self.name().unwrap_or_default().to_owned()))
    }
}

impl Type {
    /// The declaration of `name` with this type, without the final `;`.
    ///
    /// ```
    /// use jitcall::Type;
    /// let callback = Type::parse("int (*)(const void *, const void *)")?;
    /// assert_eq!(callback.display_named("compare"), "int (*compare)(const void *, const void *)");
    /// # Ok::<(), jitcall::Error>(())
    /// ```
    pub fn display_named(&self, name: &str) -> String {
        Printer::FULL.object(self, false, name.to_owned())
    }

    /// The definitions of every struct, union and enum with a tag that the type is made of or points at, one on a
    /// line, in an order in which C accepts them. Tags that are known by name only are declared.
    ///
    /// ```
    /// use jitcall::Type;
    /// let ty = Type::parse("struct point { double x, y; }; struct point *")?;
    /// assert_eq!(ty.definitions(), "struct point { double x; double y; };\n");
    /// assert_eq!(Type::parse(&format!("{}{ty}", ty.definitions()))?, ty);
    /// # Ok::<(), jitcall::Error>(())
    /// ```
    pub fn definitions(&self) -> String {
        Definitions::of(|definitions, mentions| definitions.visit_type(self, mentions)).write()
    }
}

impl Signature {
    /// The complete C text: the definitions that the prototype needs, and the prototype with its `;`.
    ///
    /// Reading the text gives the same signature again. (C has no text for some types that can be built by other
    /// means: two definitions of one tag, or an anonymous member whose type has a tag.)
    ///
    /// ```
    /// use jitcall::Signature;
    /// let norm = Signature::parse("typedef struct point { double x, y; } point; double norm(point p)")?;
    /// assert_eq!(norm.declaration(), "struct point { double x; double y; };\ndouble norm(struct point p);");
    /// assert_eq!(Signature::parse(&norm.declaration())?, norm);
    /// # Ok::<(), jitcall::Error>(())
    /// ```
    pub fn declaration(&self) -> String {
        format!("{}{self};", self.definitions())
    }

    /// The definitions of every struct, union and enum with a tag that the prototype mentions, one on a line, in an
    /// order in which C accepts them. Tags that are known by name only are declared.
    pub fn definitions(&self) -> String {
        Definitions::of(|definitions, mentions| definitions.visit_signature(self, mentions)).write()
    }
}

/// The text of what a typedef or a function is declared as, with or without the names of parameters.
pub(super) fn without_names(what: &Pointee, is_const: bool) -> String {
    let printer = Printer { names: false };
    match what {
        Pointee::Type(ty) => printer.object(ty, is_const, String::new()),
        Pointee::Function(signature) => printer.function(signature, String::new()),
        Pointee::Incomplete(kind, tag) => base(&format!("{} {tag}", kind.keyword()), is_const, ""),
    }
}

/// Writes types from the declarator outwards: C puts what is derived last next to the name.
#[derive(Clone, Copy)]
struct Printer {
    /// Whether the names of parameters are written.
    names: bool,
}

impl Printer {
    const FULL: Printer = Printer { names: true };

    /// `is_const` says that the object is `const`; of an array, that its elements are.
    fn object(self, ty: &Type, is_const: bool, declarator: String) -> String {
        match ty {
            Type::Void => base("void", is_const, &declarator),
            Type::Bool => base("_Bool", is_const, &declarator),
            Type::Integer(integer) => base(integer.name(), is_const, &declarator),
            Type::Float(float) => base(float.name(), is_const, &declarator),
            Type::Complex(float) => base(&format!("{} _Complex", float.name()), is_const, &declarator),
            Type::Vector(vector) => {
                let attribute = format!("{} __attribute__((vector_size({})))", vector.element(), vector.size());
                base(&attribute, is_const, &declarator)
            }
            Type::Enum(definition) => base(&enum_name(definition), is_const, &declarator),
            Type::Aggregate(aggregate) => base(&self.aggregate_name(aggregate), is_const, &declarator),
            Type::Array(array) => {
                let length = array.length().map(|length| length.to_string()).unwrap_or_default();
                self.object(array.element(), is_const, format!("{declarator}[{length}]"))
            }
            Type::Pointer(pointer) => self.pointer(pointer, is_const, declarator),
        }
    }

    fn pointer(self, pointer: &Pointer, is_const: bool, declarator: String) -> String {
        let star = match (is_const, declarator.is_empty()) {
            (true, true) => "*const".to_owned(),
            (true, false) => format!("*const {declarator}"),
            (false, _) => format!("*{declarator}"),
        };
        match pointer.pointee() {
            Pointee::Type(ty @ Type::Array(_)) => self.object(ty, pointer.is_const(), format!("({star})")),
            Pointee::Type(ty) => self.object(ty, pointer.is_const(), star),
            Pointee::Function(signature) => self.function(signature, format!("({star})")),
            Pointee::Incomplete(kind, tag) => base(&format!("{} {tag}", kind.keyword()), pointer.is_const(), &star),
        }
    }

    fn function(self, signature: &Signature, declarator: String) -> String {
        let fixed = &signature.parameters()[..signature.fixed()];
        let mut parameters: Vec<String> = fixed
            .iter()
            .map(|parameter| {
                let name = parameter.name.as_deref().filter(|_| self.names).unwrap_or_default();
                self.object(&parameter.ty, false, name.to_owned())
            })
            .collect();
        if signature.is_variadic() {
            parameters.push("...".to_owned());
        } else if parameters.is_empty() {
            parameters.push("void".to_owned());
        }
        let attribute = if signature.convention().is_some() { " __attribute__((ms_abi))" } else { "" };
        self.object(signature.result(), false, format!("{declarator}({}){attribute}", parameters.join(", ")))
    }

    fn aggregate_name(self, aggregate: &Aggregate) -> String {
        match aggregate.tag() {
            Some(tag) => format!("{} {tag}", aggregate.kind().keyword()),
            None => self.aggregate_body(aggregate),
        }
    }

    /// The keyword, the tag if there is one, the members and the attributes.
    fn aggregate_body(self, aggregate: &Aggregate) -> String {
        let mut text = aggregate.kind().keyword().to_owned();
        if let Some(tag) = aggregate.tag() {
            text = format!("{text} {tag}");
        }
        text.push_str(" {");
        for member in aggregate.members() {
            text.extend([" ", &self.member(member), ";"]);
        }
        text.push_str(if aggregate.members().is_empty() { "}" } else { " }" });
        text + &attributes(aggregate.is_packed(), aggregate.requested_align())
    }

    fn member(self, member: &Member) -> String {
        let is_anonymous = member.name.is_none() && member.bits.is_none();
        if is_anonymous {
            // gcc ignores attributes before the body of an anonymous struct, but not `_Alignas`.
            let align = member.align.map(|align| format!("_Alignas({align}) ")).unwrap_or_default();
            return format!("{align}{}", self.object(&member.ty, false, String::new()));
        }
        let mut text = self.object(&member.ty, false, member.name.clone().unwrap_or_default());
        if let Some(bits) = member.bits {
            text = format!("{text} : {bits}");
        }
        text + &attributes(member.packed, member.align)
    }
}

/// A type specifier before a declarator.
fn base(specifier: &str, is_const: bool, declarator: &str) -> String {
    let qualifier = if is_const { "const " } else { "" };
    let space = if declarator.is_empty() || declarator.starts_with('[') { "" } else { " " };
    format!("{qualifier}{specifier}{space}{declarator}")
}

fn attributes(packed: bool, align: Option<usize>) -> String {
    let align = align.map(|bytes| format!("aligned({bytes})"));
    let list: Vec<String> = packed.then(|| "packed".to_owned()).into_iter().chain(align).collect();
    if list.is_empty() { String::new() } else { format!(" __attribute__(({}))", list.join(", ")) }
}

fn enum_name(definition: &Enum) -> String {
    match definition.tag() {
        Some(tag) => format!("enum {tag}"),
        None => enum_body(definition),
    }
}

/// Constants that continue the count are written without their values.
fn enum_body(definition: &Enum) -> String {
    let mut text = "enum ".to_owned();
    if let Some(tag) = definition.tag() {
        text = format!("{text}{tag} ");
    }
    let mut next = 0;
    let constants = definition.constants().iter().map(|(name, value)| {
        let is_next = *value == std::mem::replace(&mut next, value + 1);
        if is_next { name.clone() } else { format!("{name} = {}", constant(*value)) }
    });
    let constants: Vec<String> = constants.collect();
    format!("{text}{{ {} }}", constants.join(", "))
}

/// C has no negative constants: the lowest `long` is the difference of two others, as <limits.h> has it.
fn constant(value: i128) -> String {
    const LOWEST: i128 = i64::MIN as i128;
    match value {
        LOWEST => format!("({} - 1)", LOWEST + 1),
        _ if value > i64::MAX as i128 => format!("{value}u"),
        _ => value.to_string(),
    }
}

/// The keyword and the tag of a definition.
type Key<'t> = (&'static str, &'t str);

/// What a definition mentions.
#[derive(Default)]
struct Mentions<'t> {
    /// Definitions it needs before it.
    complete: Vec<Key<'t>>,
    /// Tags that it knows by name only: if they are defined in the same text, then after it, or it would mean
    /// something else.
    incomplete: Vec<Key<'t>>,
}

/// The definitions that a type needs, in the order in which they were found.
#[derive(Default)]
struct Definitions<'t> {
    /// Tags that are known by name only. They are declared first: in a parameter list, the first mention of a tag
    /// would make a tag that ends with the list (C11 6.2.1 p4).
    promised: Vec<Key<'t>>,
    texts: HashMap<Key<'t>, String>,
    order: Vec<Key<'t>>,
    /// What has to stand before each.
    before: HashMap<Key<'t>, Vec<Key<'t>>>,
}

impl<'t> Definitions<'t> {
    fn of(visit: impl FnOnce(&mut Self, &mut Mentions<'t>)) -> Self {
        let mut definitions = Definitions::default();
        let mut mentions = Mentions::default();
        visit(&mut definitions, &mut mentions);
        definitions.promised.append(&mut mentions.incomplete);
        definitions
    }

    fn visit_type(&mut self, ty: &'t Type, mentions: &mut Mentions<'t>) {
        match ty {
            Type::Pointer(pointer) => match pointer.pointee() {
                Pointee::Type(ty) => self.visit_type(ty, mentions),
                Pointee::Function(signature) => self.visit_signature(signature, mentions),
                Pointee::Incomplete(kind, tag) => mentions.incomplete.push((kind.keyword(), tag)),
            },
            Type::Array(array) => self.visit_type(array.element(), mentions),
            Type::Enum(definition) => {
                if let Some(tag) = definition.tag() {
                    let key = ("enum", tag);
                    mentions.complete.push(key);
                    self.enter(key, || enum_body(definition));
                }
            }
            Type::Aggregate(aggregate) => self.visit_aggregate(aggregate, mentions),
            _ => {}
        }
    }

    fn visit_signature(&mut self, signature: &'t Signature, mentions: &mut Mentions<'t>) {
        self.visit_type(signature.result(), mentions);
        for parameter in signature.parameters() {
            self.visit_type(&parameter.ty, mentions);
        }
    }

    fn visit_aggregate(&mut self, aggregate: &'t Aggregate, mentions: &mut Mentions<'t>) {
        let Some(tag) = aggregate.tag() else {
            aggregate.members().iter().for_each(|member| self.visit_type(&member.ty, mentions));
            return;
        };
        let key = (aggregate.kind().keyword(), tag);
        mentions.complete.push(key);
        if !self.enter(key, || Printer::FULL.aggregate_body(aggregate)) {
            return;
        }
        let mut inside = Mentions::default();
        aggregate.members().iter().for_each(|member| self.visit_type(&member.ty, &mut inside));
        self.before.entry(key).or_default().extend(inside.complete);
        for later in inside.incomplete.into_iter().filter(|later| *later != key) {
            self.promised.push(later);
            self.before.entry(later).or_default().push(key);
        }
    }

    /// Notes a definition; false where it is known.
    fn enter(&mut self, key: Key<'t>, text: impl FnOnce() -> String) -> bool {
        let is_new = !self.texts.contains_key(&key);
        if is_new {
            self.texts.insert(key, text());
            self.order.push(key);
        }
        is_new
    }

    fn write(&self) -> String {
        let mut text = String::new();
        let mut promised = HashSet::new();
        for (keyword, tag) in self.promised.iter().filter(|key| promised.insert(**key)) {
            text.extend([keyword, " ", tag, ";\n"]);
        }
        let mut entered = HashSet::new();
        for key in &self.order {
            self.write_after_others(*key, &mut entered, &mut text);
        }
        text
    }

    /// Writes a definition after those that have to stand before it. Chains of them may be long: the stack is a list.
    fn write_after_others(&self, key: Key<'t>, entered: &mut HashSet<Key<'t>>, text: &mut String) {
        let mut open: Vec<(Key<'t>, &[Key<'t>])> = Vec::new();
        let mut next = Some(key);
        loop {
            if let Some(key) = next.take().filter(|key| self.texts.contains_key(key) && entered.insert(*key)) {
                open.push((key, self.before.get(&key).map(Vec::as_slice).unwrap_or_default()));
            }
            let Some((key, waiting)) = open.last_mut() else {
                return;
            };
            match waiting.split_first() {
                Some((first, rest)) => {
                    next = Some(*first);
                    *waiting = rest;
                }
                None => {
                    text.push_str(&self.texts[key]);
                    text.push_str(";\n");
                    open.pop();
                }
            }
        }
    }
}
