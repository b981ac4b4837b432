//! Arguments that a call owns: they outlive it, whoever waits for it.

use std::any::Any;
use std::ffi::CString;
use std::fmt;

use crate::value::{Buffer, Plain, Value};

/// An argument of a submitted call. The call owns what C is lent, and gives it back when it is done.
///
/// Numbers, pointers, objects and whatever else is a [`Value`] that borrows nothing convert into it, as do [`CString`]
/// and vectors of plain data. A [`Value::Pointer`] is passed as it is: what it points at is not owned.
///
/// ```
/// use jitcall::OwnedValue;
/// let arguments: Vec<OwnedValue> = vec![2.0.into(), c"text".to_owned().into(), vec![0u8; 64].into()];
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub enum OwnedValue {
    /// A value that borrows nothing that could go away.
    Value(Value<'static>),
    /// Text that C reads.
    Str(CString),
    /// Memory that C reads and writes.
    Buffer(OwnedBuffer),
}

impl OwnedValue {
    /// The argument as a call takes it. Addresses in it stay good when the owner is moved.
    pub(super) fn lend(&mut self) -> Value<'_> {
        match self {
            OwnedValue::Value(value) => value.clone(),
            OwnedValue::Str(text) => Value::Str(text),
            OwnedValue::Buffer(buffer) => Value::Buffer(buffer.memory.lend()),
        }
    }

    /// The buffer, where it is one.
    pub fn into_buffer(self) -> Option<OwnedBuffer> {
        match self {
            OwnedValue::Buffer(buffer) => Some(buffer),
            _ => None,
        }
    }
}

impl<T: Into<Value<'static>>> From<T> for OwnedValue {
    fn from(value: T) -> OwnedValue {
        OwnedValue::Value(value.into())
    }
}

impl From<CString> for OwnedValue {
    fn from(text: CString) -> OwnedValue {
        OwnedValue::Str(text)
    }
}

impl From<OwnedBuffer> for OwnedValue {
    fn from(buffer: OwnedBuffer) -> OwnedValue {
        OwnedValue::Buffer(buffer)
    }
}

impl<T: Plain + Send + Sync + 'static> From<Vec<T>> for OwnedValue {
    fn from(memory: Vec<T>) -> OwnedValue {
        OwnedValue::Buffer(memory.into())
    }
}

/// A vector of plain data that C reads and writes; its elements are those within its length.
pub struct OwnedBuffer {
    memory: Box<dyn Memory>,
}

/// A vector whose element type is known only to itself.
trait Memory: Any + Send + Sync {
    fn lend(&mut self) -> Buffer<'_>;
    fn bytes(&self) -> &[u8];
    fn as_any(&self) -> &dyn Any;
    fn into_any(self: Box<Self>) -> Box<dyn Any>;
}

impl<T: Plain + Send + Sync + 'static> Memory for Vec<T> {
    fn lend(&mut self) -> Buffer<'_> {
        Buffer::new(self)
    }

    fn bytes(&self) -> &[u8] {
        // SAFETY: plain data has no padding, so all its bytes are initialised; the vector stays borrowed.
        unsafe { std::slice::from_raw_parts(self.as_ptr().cast(), size_of_val(self.as_slice())) }
    }

    fn as_any(&self) -> &dyn Any {
        self
    }

    fn into_any(self: Box<Self>) -> Box<dyn Any> {
        self
    }
}

impl OwnedBuffer {
    /// Its bytes.
    pub fn bytes(&self) -> &[u8] {
        self.memory.bytes()
    }

    /// Its elements; `None` where `T` is not their type.
    pub fn as_slice<T: Plain + 'static>(&self) -> Option<&[T]> {
        self.memory.as_any().downcast_ref::<Vec<T>>().map(Vec::as_slice)
    }

    /// The vector that it was made from.
    ///
    /// # Errors
    /// The buffer itself where `T` is not the type of its elements.
    pub fn into_vec<T: Plain + 'static>(self) -> Result<Vec<T>, OwnedBuffer> {
        if !self.memory.as_any().is::<Vec<T>>() {
            return Err(self);
        }
        let vector = self.memory.into_any().downcast::<Vec<T>>();
        Ok(vector.map_or_else(|_| unreachable!("its type has just been compared"), |vector| *vector))
    }
}

impl<T: Plain + Send + Sync + 'static> From<Vec<T>> for OwnedBuffer {
    fn from(memory: Vec<T>) -> OwnedBuffer {
        OwnedBuffer { memory: Box::new(memory) }
    }
}

impl fmt::Debug for OwnedBuffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "OwnedBuffer({} bytes)", self.bytes().len())
    }
}
