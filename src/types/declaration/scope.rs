//! The names that a text has declared so far: ordinary names and tags (C11 6.2.3), all in one scope.

use std::collections::HashMap;
use std::sync::Arc;

use super::Variable;
use super::limit::Size;
use crate::error::Result;
use crate::types::signature::{Parameter, Signature};
use crate::types::{Aggregate, AggregateBuilder, AggregateKind, Array, Integer, Pointee, Pointer, Type};

/// What a name or an expression of types stands for: what a pointer could point at.
#[derive(Clone, Debug)]
pub(super) struct Form {
    pub(super) what: Pointee,
    /// Whether the object is `const`; of an array, whether its elements are.
    pub(super) is_const: bool,
}

impl Form {
    pub(super) fn of(ty: Type) -> Form {
        Form { what: Pointee::Type(ty), is_const: false }
    }

    /// The type, where it is an object type with a definition, or `void`.
    pub(super) fn ty(&self) -> Option<&Type> {
        match &self.what {
            Pointee::Type(ty) => Some(ty),
            _ => None,
        }
    }

    /// A pointer to it.
    pub(super) fn pointer(self) -> Pointer {
        match self.what {
            Pointee::Type(ty) if self.is_const => Pointer::to_const(ty),
            Pointee::Type(ty) => Pointer::to(ty),
            Pointee::Function(signature) => Pointer::to_function(signature),
            Pointee::Incomplete(kind, tag) => Pointer::to_incomplete(kind, &tag, self.is_const),
        }
    }
}

/// What an ordinary name was declared as.
#[derive(Clone, Debug)]
pub(super) enum Name {
    Typedef(Form),
    Constant(i128),
    /// An index into [`Scope::functions`].
    Function(usize),
    /// An index into [`Scope::variables`].
    Variable(usize),
}

/// What a tag was declared as.
#[derive(Clone, Debug)]
pub(super) struct Tag {
    /// `struct`, `union` or `enum`.
    pub(super) keyword: &'static str,
    pub(super) definition: Option<Type>,
    /// How large the definition is, so that it need not be measured at every mention.
    pub(super) size: Size,
    /// Whether an earlier text has defined it: then this one may do so again, in the same way.
    pub(super) is_earlier: bool,
}

impl Tag {
    /// A tag that has not been defined yet.
    pub(super) fn promised(keyword: &'static str) -> Tag {
        Tag { keyword, definition: None, size: Size::default(), is_earlier: false }
    }
}

/// Everything declared so far.
#[derive(Clone, Debug, Default)]
pub(super) struct Scope {
    pub(super) names: HashMap<String, Name>,
    pub(super) tags: HashMap<String, Tag>,
    pub(super) functions: Vec<Signature>,
    pub(super) variables: Vec<Variable>,
    pub(super) last_function: Option<usize>,
}

/// The typedefs that a text need not declare: those of <stddef.h>, <stdint.h>, <stdbool.h>, <wchar.h>, <uchar.h> and
/// <sys/types.h>, with the widths that glibc gives them on 64-bit machines.
const PREDECLARED: &[(&str, Type)] = &[
    ("bool", Type::Bool),
    ("size_t", Type::U64),
    ("ssize_t", Type::I64),
    ("ptrdiff_t", Type::I64),
    ("intptr_t", Type::I64),
    ("uintptr_t", Type::U64),
    ("intmax_t", Type::I64),
    ("uintmax_t", Type::U64),
    ("int8_t", Type::I8),
    ("int16_t", Type::I16),
    ("int32_t", Type::I32),
    ("int64_t", Type::I64),
    ("uint8_t", Type::U8),
    ("uint16_t", Type::U16),
    ("uint32_t", Type::U32),
    ("uint64_t", Type::U64),
    ("int_least8_t", Type::I8),
    ("int_least16_t", Type::I16),
    ("int_least32_t", Type::I32),
    ("int_least64_t", Type::I64),
    ("uint_least8_t", Type::U8),
    ("uint_least16_t", Type::U16),
    ("uint_least32_t", Type::U32),
    ("uint_least64_t", Type::U64),
    ("int_fast8_t", Type::I8),
    ("int_fast16_t", Type::I64),
    ("int_fast32_t", Type::I64),
    ("int_fast64_t", Type::I64),
    ("uint_fast8_t", Type::U8),
    ("uint_fast16_t", Type::U64),
    ("uint_fast32_t", Type::U64),
    ("uint_fast64_t", Type::U64),
    ("__int128_t", Type::I128),
    ("__uint128_t", Type::U128),
    ("wchar_t", Type::Integer(Integer::WChar)),
    ("wint_t", Type::U32),
    ("char16_t", Type::U16),
    ("char32_t", Type::U32),
    ("off_t", Type::I64),
    ("time_t", Type::I64),
    ("clock_t", Type::I64),
    ("pid_t", Type::I32),
    ("uid_t", Type::U32),
    ("gid_t", Type::U32),
    ("mode_t", Type::U32),
    ("socklen_t", Type::U32),
];

/// The tag that stands for `va_list`, which no declaration defines.
pub(super) const VA_LIST_TAG: &str = "__va_list_tag";

/// Predeclared names for types that nobody outside the C library knows the members of, and their tags.
const PREDECLARED_INCOMPLETE: &[(&str, &str)] = &[
    ("FILE", "_IO_FILE"),
    ("va_list", VA_LIST_TAG),
    ("__builtin_va_list", VA_LIST_TAG),
    ("__gnuc_va_list", VA_LIST_TAG),
];

fn predeclared(name: &str) -> Option<Form> {
    let complete = PREDECLARED.iter().find(|(known, _)| *known == name);
    let incomplete = PREDECLARED_INCOMPLETE.iter().find(|(known, _)| *known == name);
    complete.map(|(_, ty)| Form::of(ty.clone())).or_else(|| {
        let (_, tag) = incomplete?;
        Some(Form { what: Pointee::Incomplete(AggregateKind::Struct, (*tag).to_owned()), is_const: false })
    })
}

impl Scope {
    /// The scope that a later text starts with: types and constants, but no functions and variables.
    pub(super) fn for_later(&self) -> Scope {
        let lasting = |name: &Name| matches!(name, Name::Typedef(_) | Name::Constant(_));
        let names = self.names.iter().filter(|(_, name)| lasting(name));
        let tags = self.tags.iter().map(|(tag, found)| (tag.clone(), Tag { is_earlier: true, ..found.clone() }));
        Scope {
            names: names.map(|(name, found)| (name.clone(), found.clone())).collect(),
            tags: tags.collect(),
            ..Scope::default()
        }
    }

    /// What a typedef name stands for now.
    pub(super) fn typedef(&self, name: &str) -> Option<Form> {
        let form = match self.names.get(name) {
            Some(Name::Typedef(form)) => form.clone(),
            Some(_) => return None,
            None => predeclared(name)?,
        };
        Some(self.completed(form))
    }

    /// Whether the name is a typedef name now.
    pub(super) fn is_typedef(&self, name: &str) -> bool {
        match self.names.get(name) {
            Some(found) => matches!(found, Name::Typedef(_)),
            None => predeclared(name).is_some(),
        }
    }

    /// Every name that a type can be called by with one word, for suggestions.
    pub(super) fn typedef_names(&self) -> impl Iterator<Item = &str> {
        let own = self.names.iter().filter(|(_, found)| matches!(found, Name::Typedef(_))).map(|(name, _)| &**name);
        own.chain(PREDECLARED.iter().map(|(name, _)| *name)).chain(PREDECLARED_INCOMPLETE.iter().map(|(name, _)| *name))
    }

    /// The value of an enum constant.
    pub(super) fn constant(&self, name: &str) -> Option<i128> {
        match self.names.get(name) {
            Some(Name::Constant(value)) => Some(*value),
            _ => None,
        }
    }

    /// The type that `struct tag` or `union tag` stands for, if it has been defined.
    pub(super) fn defined(&self, kind: AggregateKind, tag: &str) -> Option<&Type> {
        self.tags.get(tag).filter(|found| found.keyword == kind.keyword())?.definition.as_ref()
    }

    /// The size of a struct or union that a tag stands for.
    pub(super) fn size_of(&self, aggregate: &Arc<Aggregate>) -> Option<Size> {
        let tag = self.tags.get(aggregate.tag()?)?;
        let definition = tag.definition.as_ref()?.as_aggregate()?;
        Arc::ptr_eq(definition, aggregate).then_some(tag.size)
    }

    /// The definition in the place of a tag that has got one by now.
    pub(super) fn completed(&self, form: Form) -> Form {
        match &form.what {
            Pointee::Incomplete(kind, tag) => match self.defined(*kind, tag) {
                Some(ty) => Form { what: Pointee::Type(ty.clone()), ..form },
                None => form,
            },
            _ => form,
        }
    }

    /// Puts definitions in the place of tags that were only known by name when they were mentioned.
    ///
    /// A struct or union with a tag keeps what it was made of, so that every mention of it is the same type.
    pub(super) fn resolve(&self, what: &Pointee) -> Result<Pointee> {
        Ok(match what {
            Pointee::Type(ty) => Pointee::Type(self.resolve_type(ty)?),
            Pointee::Function(signature) => Pointee::Function(self.resolve_signature(signature)?),
            Pointee::Incomplete(kind, tag) => match self.defined(*kind, tag) {
                Some(ty) => Pointee::Type(ty.clone()),
                None => what.clone(),
            },
        })
    }

    fn resolve_type(&self, ty: &Type) -> Result<Type> {
        Ok(match ty {
            Type::Pointer(pointer) => {
                let what = self.resolve(pointer.pointee())?;
                Type::Pointer(Form { what, is_const: pointer.is_const() }.pointer())
            }
            Type::Array(array) => Type::Array(Array::new(self.resolve_type(array.element())?, array.length())?),
            Type::Aggregate(aggregate) if aggregate.tag().is_none() => self.resolve_untagged(aggregate)?,
            _ => ty.clone(),
        })
    }

    fn resolve_signature(&self, signature: &Signature) -> Result<Signature> {
        let resolve = |parameter: &Parameter| -> Result<Parameter> {
            Ok(Parameter { name: parameter.name.clone(), ty: self.resolve_type(&parameter.ty)? })
        };
        let parameters = signature.parameters().iter().map(resolve).collect::<Result<Vec<_>>>()?;
        let mut resolved = Signature::with_parameters(self.resolve_type(signature.result())?, parameters)?;
        resolved = signature.convention().into_iter().fold(resolved, Signature::with_convention);
        if let Some(name) = signature.name() {
            resolved = resolved.named(name);
        }
        Ok(if signature.is_variadic() { resolved.variadic() } else { resolved })
    }

    fn resolve_untagged(&self, aggregate: &Aggregate) -> Result<Type> {
        let mut builder = AggregateBuilder::new(aggregate.kind());
        if aggregate.is_packed() {
            builder = builder.packed();
        }
        if let Some(align) = aggregate.requested_align() {
            builder = builder.aligned(align);
        }
        for member in aggregate.members() {
            let mut member = member.clone();
            member.ty = self.resolve_type(&member.ty)?;
            builder = builder.push(member);
        }
        builder.build()
    }
}
