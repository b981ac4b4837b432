//! How large types may grow: a short text can name a type that is exponentially large when written out.

use super::fault::{Fault, Result, Span};
use super::scope::Scope;
use crate::types::signature::Signature;
use crate::types::{Aggregate, Pointee, Type};
use std::sync::Arc;

/// How deep brackets may be nested in a text: a little deeper than the text of the deepest type needs.
pub(super) const MAX_NESTING: usize = 68;

/// How deep types may be nested in each other: pointers, arrays, members, parameters.
const MAX_DEPTH: usize = 64;

/// The most steps from a declared name to its type, as in `*(*name[2])(int)`.
pub(super) const MAX_STEPS: usize = MAX_DEPTH;

/// How many types one type may consist of, those behind pointers included.
const MAX_NODES: usize = 1 << 16;

/// How many types may be made in reading one text. Each takes some tens of bytes.
pub(super) const MAX_WORK: usize = 1 << 22;

/// A name counts as one more type for every so many bytes.
const NAME_BYTES: usize = 32;

/// How large a type is.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Size {
    /// How many types it consists of.
    nodes: usize,
    /// How many of them are not part of a struct or union with a tag, and so are its own.
    pub(super) own: usize,
    /// How deep they are nested.
    height: usize,
    /// Whether it mentions tags without their definitions that are defined by now.
    pub(super) is_stale: bool,
}

/// Measures a type; `span` is to blame where it is too large.
pub(super) fn measure(scope: &Scope, what: &Pointee, span: Span) -> Result<Size> {
    let mut walk = Walk { scope, size: Size::default() };
    match walk.pointee(what, 0, true) {
        Ok(()) => Ok(walk.size),
        Err(TooLarge::Deep) => Err(Fault::new(span, format!("the type is nested more than {MAX_DEPTH} deep"))),
        Err(TooLarge::Wide) => Err(Fault::new(span, format!("the type consists of more than {MAX_NODES} types"))),
    }
}

enum TooLarge {
    Deep,
    Wide,
}

type Walked = std::result::Result<(), TooLarge>;

struct Walk<'s> {
    scope: &'s Scope,
    size: Size,
}

impl Walk<'_> {
    /// `is_open` is false inside aggregates with tags, which stay as they are.
    fn pointee(&mut self, what: &Pointee, depth: usize, is_open: bool) -> Walked {
        match what {
            Pointee::Type(ty) => self.ty(ty, depth, is_open),
            Pointee::Function(signature) => self.signature(signature, depth, is_open),
            Pointee::Incomplete(kind, tag) => {
                self.size.is_stale |= is_open && self.scope.defined(*kind, tag).is_some();
                self.count(depth, Some(tag))
            }
        }
    }

    fn ty(&mut self, ty: &Type, depth: usize, is_open: bool) -> Walked {
        self.count(depth, None)?;
        match ty {
            Type::Pointer(pointer) => self.pointee(pointer.pointee(), depth + 1, is_open),
            Type::Array(array) => self.ty(array.element(), depth + 1, is_open),
            Type::Aggregate(aggregate) => self.aggregate(aggregate, depth, is_open),
            // Without a tag it is written out wherever it is used.
            Type::Enum(definition) if definition.tag().is_none() => {
                definition.constants().iter().try_for_each(|(name, _)| self.count(depth, Some(name)))
            }
            _ => Ok(()),
        }
    }

    fn aggregate(&mut self, aggregate: &Arc<Aggregate>, depth: usize, is_open: bool) -> Walked {
        if let Some(size) = self.scope.size_of(aggregate) {
            return self.add(size.nodes, depth + size.height);
        }
        let is_open = is_open && aggregate.tag().is_none();
        aggregate.members().iter().try_for_each(|member| {
            self.count(depth, member.name.as_deref())?;
            self.ty(&member.ty, depth + 1, is_open)
        })
    }

    fn signature(&mut self, signature: &Signature, depth: usize, is_open: bool) -> Walked {
        self.count(depth, signature.name())?;
        self.ty(signature.result(), depth + 1, is_open)?;
        signature.parameters().iter().try_for_each(|parameter| {
            self.count(depth, parameter.name.as_deref())?;
            self.ty(&parameter.ty, depth + 1, is_open)
        })
    }

    fn count(&mut self, depth: usize, name: Option<&str>) -> Walked {
        let nodes = 1 + name.map_or(0, str::len) / NAME_BYTES;
        self.size.own += nodes;
        self.add(nodes, depth)
    }

    fn add(&mut self, nodes: usize, depth: usize) -> Walked {
        self.size.nodes += nodes;
        self.size.height = self.size.height.max(depth);
        match self.size {
            Size { height, .. } if height > MAX_DEPTH => Err(TooLarge::Deep),
            Size { nodes, .. } if nodes > MAX_NODES => Err(TooLarge::Wide),
            _ => Ok(()),
        }
    }
}
