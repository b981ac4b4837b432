//! Values: what dynamic calls take and give.
//!
//! A [`Value`] has the width of the C type it came from or is meant for. On its way into a call it is converted to
//! the declared type where that loses nothing, and refused with a [`Mismatch`](crate::error::Mismatch) otherwise:
//!
//! | given | declared | |
//! |---|---|---|
//! | integer, `bool` | integer, enum, `_Bool` | where the value is in range |
//! | integer | floating | where it is represented exactly |
//! | floating | integer | where it is integral and in range |
//! | floating | floating | rounded to nearest, as C does; refused where a finite value would become infinite |
//! | pointer, buffer | pointer | buffers where their alignment is the pointee's |
//! | text, shared bytes | pointer to `const` | other pointers take a [`Buffer`], because C may write through them |
//! | list, fields | struct, union, array, vector, `_Complex` | member by member |
//! | object | the same aggregate or vector | byte by byte |

mod convert;
mod float;
mod object;
mod slot;

use std::ffi::{CStr, c_void};
use std::fmt;
use std::marker::PhantomData;

pub use float::{F16, LongDouble};
pub use object::Object;
pub use slot::{Slot, SlotBuffer};

pub(crate) use convert::{read, write};

use crate::error::{Error, Result};
use crate::types::{Arch, Type, layout};

/// A C value of any type, as dynamic calls take and give it.
///
/// It borrows the memory it points at: [`Value::Str`], [`Value::Bytes`] and [`Value::Buffer`] keep that memory alive
/// (and, for a buffer, untouched by Rust) as long as the value is in use.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Value<'a> {
    /// No value: the result of a `void` function.
    Void,
    /// `_Bool`.
    Bool(bool),
    /// A signed integer of 8 bits.
    I8(i8),
    /// An unsigned integer of 8 bits.
    U8(u8),
    /// A signed integer of 16 bits.
    I16(i16),
    /// An unsigned integer of 16 bits.
    U16(u16),
    /// A signed integer of 32 bits.
    I32(i32),
    /// An unsigned integer of 32 bits.
    U32(u32),
    /// A signed integer of 64 bits.
    I64(i64),
    /// An unsigned integer of 64 bits.
    U64(u64),
    /// A signed integer of 128 bits.
    I128(i128),
    /// An unsigned integer of 128 bits.
    U128(u128),
    /// `_Float16`.
    F16(F16),
    /// `float`.
    F32(f32),
    /// `double`.
    F64(f64),
    /// `long double`.
    LongDouble(LongDouble),
    /// `float _Complex`: real and imaginary part.
    Complex32(f32, f32),
    /// `double _Complex`: real and imaginary part.
    Complex64(f64, f64),
    /// `long double _Complex`: real and imaginary part.
    ComplexLong(LongDouble, LongDouble),
    /// An address.
    Pointer(*mut c_void),
    /// Text that C reads.
    Str(&'a CStr),
    /// Memory that C reads.
    Bytes(&'a [u8]),
    /// Memory that C reads and writes.
    Buffer(Buffer<'a>),
    /// Members, elements or lanes by position.
    List(&'a [Value<'a>]),
    /// Members by name; the others are zero, and a union takes just one.
    Fields(&'a [(&'a str, Value<'a>)]),
    /// An aggregate or vector in C's own layout; what calls return for them.
    Object(Object),
}

// SAFETY: an address may be known to any thread. What it points at is read and written by calls only, and who makes
// them answers for that; what a value borrows is plain data, which threads may share.
unsafe impl Send for Value<'_> {}
// SAFETY: as above; nothing changes through a shared value.
unsafe impl Sync for Value<'_> {}

/// Memory that is lent to C for reading and writing.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Buffer<'a> {
    start: *mut u8,
    bytes: usize,
    memory: PhantomData<&'a mut [u8]>,
}

impl<'a> Buffer<'a> {
    /// Lends a slice. The elements are plain data, so whatever C writes is valid.
    pub fn new<T: Plain>(memory: &'a mut [T]) -> Buffer<'a> {
        Buffer { start: memory.as_mut_ptr().cast(), bytes: size_of_val(memory), memory: PhantomData }
    }

    /// Its address.
    pub fn address(self) -> *mut c_void {
        self.start.cast()
    }

    /// Its size in bytes.
    pub fn bytes(self) -> usize {
        self.bytes
    }
}

/// Types that every bit pattern is a value of.
///
/// # Safety
/// The type has no padding and no invalid bit pattern.
pub unsafe trait Plain: Copy {}

macro_rules! plain {
    ($($ty:ty)*) => { $(
        // SAFETY: integers and floats have no padding, and all their bit patterns are values.
        unsafe impl Plain for $ty {}
    )* };
}

plain!(u8 i8 u16 i16 u32 i32 u64 i64 u128 i128 usize isize f32 f64);

macro_rules! from {
    ($($ty:ty => $variant:ident)*) => { $(
        impl From<$ty> for Value<'_> {
            fn from(value: $ty) -> Self {
                Value::$variant(value.into())
            }
        }
    )* };
}

from! {
    bool => Bool
    i8 => I8 u8 => U8 i16 => I16 u16 => U16 i32 => I32 u32 => U32 i64 => I64 u64 => U64 i128 => I128 u128 => U128
    f32 => F32 f64 => F64 F16 => F16 LongDouble => LongDouble
    Object => Object
}

impl From<isize> for Value<'_> {
    fn from(value: isize) -> Self {
        Value::I64(value as i64)
    }
}

impl From<usize> for Value<'_> {
    fn from(value: usize) -> Self {
        Value::U64(value as u64)
    }
}

impl<T> From<*mut T> for Value<'_> {
    fn from(value: *mut T) -> Self {
        Value::Pointer(value.cast())
    }
}

impl<T> From<*const T> for Value<'_> {
    fn from(value: *const T) -> Self {
        Value::Pointer(value.cast_mut().cast())
    }
}

impl<'a> From<&'a CStr> for Value<'a> {
    fn from(value: &'a CStr) -> Self {
        Value::Str(value)
    }
}

impl<'a, T: Plain> From<&'a [T]> for Value<'a> {
    fn from(memory: &'a [T]) -> Self {
        // SAFETY: plain data has no padding, so all its bytes are initialised; the slice keeps them borrowed.
        Value::Bytes(unsafe { std::slice::from_raw_parts(memory.as_ptr().cast(), size_of_val(memory)) })
    }
}

impl<'a, T: Plain> From<&'a mut [T]> for Value<'a> {
    fn from(memory: &'a mut [T]) -> Self {
        Value::Buffer(Buffer::new(memory))
    }
}

impl<'a, T: Plain, const N: usize> From<&'a mut [T; N]> for Value<'a> {
    fn from(memory: &'a mut [T; N]) -> Self {
        Value::Buffer(Buffer::new(memory))
    }
}

impl Value<'_> {
    /// The null pointer.
    pub const NULL: Value<'static> = Value::Pointer(std::ptr::null_mut());

    /// The value of a C object of that type; what is made of parts is an [`Object`].
    ///
    /// ```
    /// use jitcall::{Type, Value};
    /// assert_eq!(Value::from_bytes(&Type::I32, &42i32.to_ne_bytes())?, Value::I32(42));
    /// # Ok::<(), jitcall::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Type`] where the type has another size, or none.
    pub fn from_bytes(ty: &Type, bytes: &[u8]) -> Result<Value<'static>> {
        let size = layout::of(ty, Arch::HOST)?.size;
        if bytes.len() != size {
            return Err(Error::invalid_type(format!("{ty} has {size} bytes, not {}", bytes.len())));
        }
        convert::read(ty, bytes)
    }

    /// The value as an integer, where it is one and 128 signed bits hold it.
    pub fn as_integer(&self) -> Option<i128> {
        Some(match *self {
            Value::Bool(value) => value.into(),
            Value::I8(value) => value.into(),
            Value::U8(value) => value.into(),
            Value::I16(value) => value.into(),
            Value::U16(value) => value.into(),
            Value::I32(value) => value.into(),
            Value::U32(value) => value.into(),
            Value::I64(value) => value.into(),
            Value::U64(value) => value.into(),
            Value::I128(value) => value,
            Value::U128(value) => value.try_into().ok()?,
            _ => return None,
        })
    }

    /// The value as a `double`, where it is a floating value; a `long double` is rounded to nearest.
    pub fn as_f64(&self) -> Option<f64> {
        Some(match self {
            Value::F16(value) => value.to_f64(),
            Value::F32(value) => (*value).into(),
            Value::F64(value) => *value,
            Value::LongDouble(value) => value.to_f64(),
            _ => return None,
        })
    }

    /// The address, where the value is a pointer.
    pub fn as_pointer(&self) -> Option<*mut c_void> {
        match self {
            Value::Pointer(pointer) => Some(*pointer),
            _ => None,
        }
    }

    /// The typed bytes, where the value is an aggregate or vector.
    pub fn as_object(&self) -> Option<&Object> {
        match self {
            Value::Object(object) => Some(object),
            _ => None,
        }
    }

    /// The C type that the value has as a variadic argument, before promotion; lists and fields have none.
    pub fn c_type(&self) -> Option<Type> {
        Some(match self {
            Value::Bool(_) => Type::Bool,
            Value::I8(_) => Type::I8,
            Value::U8(_) => Type::U8,
            Value::I16(_) => Type::I16,
            Value::U16(_) => Type::U16,
            Value::I32(_) => Type::I32,
            Value::U32(_) => Type::U32,
            Value::I64(_) => Type::I64,
            Value::U64(_) => Type::U64,
            Value::I128(_) => Type::I128,
            Value::U128(_) => Type::U128,
            Value::F16(_) => Type::F16,
            Value::F32(_) => Type::F32,
            Value::F64(_) => Type::F64,
            Value::LongDouble(_) => Type::LONG_DOUBLE,
            Value::Complex32(..) => Type::Complex(crate::types::Float::F32),
            Value::Complex64(..) => Type::Complex(crate::types::Float::F64),
            Value::ComplexLong(..) => Type::Complex(crate::types::Float::LongDouble),
            Value::Pointer(_) | Value::Buffer(_) => Type::pointer(),
            Value::Str(_) | Value::Bytes(_) => Type::c_string(),
            Value::Object(object) => object.ty().clone(),
            Value::Void | Value::List(_) | Value::Fields(_) => return None,
        })
    }

    /// What the value is called in error messages: `the i32 5`, `text`, `a list of 3`.
    pub(crate) fn describe(&self) -> String {
        match self {
            Value::Void => "no value".into(),
            Value::Bool(value) => format!("{value}"),
            Value::Pointer(_) => format!("the pointer {self}"),
            Value::Str(text) => format!("the text {text:?}"),
            Value::Bytes(bytes) => format!("{} shared bytes", bytes.len()),
            Value::Buffer(buffer) => format!("a buffer of {} bytes", buffer.bytes),
            Value::List(list) => format!("a list of {}", list.len()),
            Value::Fields(_) => format!("{self}"),
            Value::Object(object) => format!("an object of type {}", object.ty()),
            other => match other.c_type() {
                Some(ty) => format!("{other} ({ty})"),
                None => format!("{other}"),
            },
        }
    }
}

impl fmt::Display for Value<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Void => Ok(()),
            Value::Bool(value) => value.fmt(f),
            Value::I8(value) => value.fmt(f),
            Value::U8(value) => value.fmt(f),
            Value::I16(value) => value.fmt(f),
            Value::U16(value) => value.fmt(f),
            Value::I32(value) => value.fmt(f),
            Value::U32(value) => value.fmt(f),
            Value::I64(value) => value.fmt(f),
            Value::U64(value) => value.fmt(f),
            Value::I128(value) => value.fmt(f),
            Value::U128(value) => value.fmt(f),
            Value::F16(value) => value.fmt(f),
            Value::F32(value) => float::display(*value, f),
            Value::F64(value) => float::display(*value, f),
            Value::LongDouble(value) => value.fmt(f),
            Value::Complex32(re, im) => complex(&Value::F32(*re), &Value::F32(*im), f),
            Value::Complex64(re, im) => complex(&Value::F64(*re), &Value::F64(*im), f),
            Value::ComplexLong(re, im) => complex(&Value::LongDouble(*re), &Value::LongDouble(*im), f),
            Value::Pointer(pointer) if pointer.is_null() => f.write_str("null"),
            Value::Pointer(pointer) => write!(f, "{:#x}", pointer.addr()),
            Value::Str(text) => write!(f, "{text:?}"),
            Value::Bytes(bytes) => write!(f, "{bytes:02x?}"),
            Value::Buffer(buffer) => write!(f, "{:#x}", buffer.start.addr()),
            Value::List(list) => {
                f.write_str("{")?;
                for (index, value) in list.iter().enumerate() {
                    write!(f, "{}{value}", if index == 0 { "" } else { ", " })?;
                }
                f.write_str("}")
            }
            Value::Fields(fields) => {
                f.write_str("{")?;
                for (index, (name, value)) in fields.iter().enumerate() {
                    write!(f, "{}{name}: {value}", if index == 0 { "" } else { ", " })?;
                }
                f.write_str("}")
            }
            Value::Object(object) => object.fmt(f),
        }
    }
}

/// `1+2i`; a negative imaginary part brings its own sign, and NaN is shown without one.
fn complex(re: &Value<'_>, im: &Value<'_>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let signed = im.as_f64().is_some_and(|im| im.is_sign_negative() && !im.is_nan());
    write!(f, "{re}{}{im}i", if signed { "" } else { "+" })
}
