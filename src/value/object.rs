//! Objects: aggregates and vectors in C's own layout.

use std::fmt;

use crate::error::{Error, Mismatch, Result};
use crate::types::{AggregateKind, Arch, Type, layout};
use crate::value::{Value, convert};

/// How many words an object may have and need no allocation.
const WORDS: usize = 4;

const INLINE: usize = 8 * WORDS;

/// A struct, union, array or vector: its bytes in this machine's layout, and its type.
///
/// ```
/// use jitcall::{Object, Type, Value};
/// let div_t = Type::parse("struct div_t { int quot; int rem; }")?;
/// let object = Object::new(&div_t, &Value::List(&[3.into(), 2.into()]))?;
/// assert_eq!(object.field("quot")?, Value::I32(3));
/// assert_eq!(object.to_string(), "{quot: 3, rem: 2}");
/// # Ok::<(), jitcall::Error>(())
/// ```
#[derive(Clone)]
pub struct Object {
    ty: Type,
    size: usize,
    storage: Storage,
}

#[derive(Clone)]
enum Storage {
    Inline([u8; INLINE]),
    Heap(Box<[u8]>),
}

impl Object {
    /// An object of that type whose members have that value.
    ///
    /// # Errors
    /// [`Error::Value`] where the value does not fit, [`Error::Type`] where the type has no size.
    pub fn new(ty: &Type, value: &Value<'_>) -> Result<Object> {
        let mut object = Object::zeroed(ty)?;
        convert::write(ty, value, object.bytes_mut())
            .map_err(|mismatch| Error::Value { mismatch: Box::new(mismatch) })?;
        Ok(object)
    }

    /// An object of that type with all bytes zero.
    ///
    /// # Errors
    /// [`Error::Type`] where the type has no size.
    pub fn zeroed(ty: &Type) -> Result<Object> {
        let size = layout::of(ty, Arch::HOST)?.size;
        Ok(Object::with_storage(ty, size))
    }

    /// An object with these bytes.
    ///
    /// # Errors
    /// [`Error::Type`] where the type has another size.
    pub fn from_bytes(ty: &Type, bytes: &[u8]) -> Result<Object> {
        let mut object = Object::zeroed(ty)?;
        if bytes.len() != object.size {
            return Err(Error::invalid_type(format!("{ty} has {} bytes, not {}", object.size, bytes.len())));
        }
        object.bytes_mut().copy_from_slice(bytes);
        Ok(object)
    }

    /// An object of at most this many bytes needs no allocation.
    pub(crate) const INLINE: usize = INLINE;

    /// An object of a type that is known to have that size, with its bytes in words; what is above them is ignored.
    ///
    /// # Panics
    /// Where the size is more than [`Object::INLINE`].
    #[inline(always)]
    pub(crate) fn from_words(ty: &Type, size: usize, words: [u64; WORDS]) -> Object {
        assert!(size <= INLINE);
        let mut bytes = [0; INLINE];
        for (bytes, word) in bytes.chunks_exact_mut(8).zip(words) {
            bytes.copy_from_slice(&word.to_le_bytes());
        }
        Object { ty: ty.clone(), size, storage: Storage::Inline(bytes) }
    }

    /// The bytes in words; `None` where they needed an allocation.
    #[inline(always)]
    pub(crate) fn words(&self) -> Option<impl Iterator<Item = u64> + '_> {
        let Storage::Inline(bytes) = &self.storage else { return None };
        let words = bytes.chunks_exact(8).map(|bytes| u64::from_le_bytes(bytes.try_into().unwrap_or_default()));
        Some(words.take(self.size.div_ceil(8)))
    }

    /// An object of a type that is known to have that size.
    pub(crate) fn with_storage(ty: &Type, size: usize) -> Object {
        let inline = size <= INLINE;
        let storage = if inline { Storage::Inline([0; INLINE]) } else { Storage::Heap(vec![0; size].into()) };
        Object { ty: ty.clone(), size, storage }
    }

    /// Its type.
    pub fn ty(&self) -> &Type {
        &self.ty
    }

    /// Its bytes, padding included.
    pub fn bytes(&self) -> &[u8] {
        match &self.storage {
            Storage::Inline(bytes) => &bytes[..self.size],
            Storage::Heap(bytes) => bytes,
        }
    }

    /// Its bytes, for writing.
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        match &mut self.storage {
            Storage::Inline(bytes) => &mut bytes[..self.size],
            Storage::Heap(bytes) => bytes,
        }
    }

    /// How many members, elements or lanes it has.
    pub fn len(&self) -> usize {
        match &self.ty {
            Type::Aggregate(aggregate) => aggregate.members().len(),
            Type::Array(array) => array.length().unwrap_or(0),
            Type::Vector(vector) => vector.lanes(),
            _ => 0,
        }
    }

    /// Whether it has no members.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The member, element or lane at that position.
    ///
    /// # Errors
    /// [`Error::Value`] where there is none.
    pub fn get(&self, index: usize) -> Result<Value<'static>> {
        if index >= self.len() {
            return Err(self.missing(format!("[{index}]"), format!("it has {}", self.len())));
        }
        convert::read_part(&self.ty, index, self.bytes())
    }

    /// The member of that name; members of anonymous structs and unions count as its own.
    ///
    /// # Errors
    /// [`Error::Value`] where there is none.
    pub fn field(&self, name: &str) -> Result<Value<'static>> {
        convert::read_field(&self.ty, name, self.bytes())?
            .ok_or_else(|| self.missing(name.to_owned(), "there is no such member".into()))
    }

    /// Writes the member of that name; members of anonymous structs and unions count as its own.
    ///
    /// ```
    /// use jitcall::{Object, Type, Value};
    /// let mut flags = Object::zeroed(&Type::parse("struct { unsigned a : 3, b : 5; }")?)?;
    /// flags.set_field("b", &Value::I32(17))?;
    /// assert_eq!(flags.to_string(), "{a: 0, b: 17}");
    /// # Ok::<(), jitcall::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Value`] where there is none, or the value does not fit.
    pub fn set_field(&mut self, name: &str, value: &Value<'_>) -> Result<()> {
        let Type::Aggregate(aggregate) = self.ty.clone() else {
            return Err(self.missing(name.to_owned(), "it has no members".into()));
        };
        convert::write_field(&aggregate, name, value, self.bytes_mut(), 0)
            .ok_or_else(|| self.missing(name.to_owned(), "there is no such member".into()))?
            .map_err(|mismatch| Error::Value { mismatch: Box::new(mismatch) })
    }

    fn missing(&self, given: String, reason: String) -> Error {
        let declared = format!("a member of {}", self.ty);
        Error::Value { mismatch: Box::new(Mismatch { place: String::new(), declared, given, reason }) }
    }
}

impl PartialEq for Object {
    /// The same type and the same bytes, padding included.
    fn eq(&self, other: &Object) -> bool {
        self.ty == other.ty && self.bytes() == other.bytes()
    }
}

impl fmt::Debug for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {self}", self.ty)
    }
}

impl fmt::Display for Object {
    /// `{quot: 3, rem: 2}`; arrays and vectors `[1, 2]`; a union shows each member.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (open, close) = if matches!(self.ty, Type::Aggregate(_)) { ("{", "}") } else { ("[", "]") };
        f.write_str(open)?;
        let mut separator = "";
        for index in 0..self.len() {
            let name = match &self.ty {
                Type::Aggregate(aggregate) => {
                    let member = &aggregate.members()[index];
                    if member.name.is_none() && !matches!(member.ty, Type::Aggregate(_)) {
                        continue; // padding
                    }
                    member.name.as_deref()
                }
                _ => None,
            };
            f.write_str(separator)?;
            separator = match &self.ty {
                Type::Aggregate(aggregate) if aggregate.kind() == AggregateKind::Union => " | ",
                _ => ", ",
            };
            if let Some(name) = name {
                write!(f, "{name}: ")?;
            }
            match convert::read_part(&self.ty, index, self.bytes()) {
                Ok(value) => write!(f, "{value}")?,
                Err(_) => return Err(fmt::Error),
            }
        }
        f.write_str(close)
    }
}
