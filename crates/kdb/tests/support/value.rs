//! Values: objects that the tests own, what makes them, and what they have in them.

use std::ffi::{CStr, CString, c_char};

use super::api;
use super::api::K;

/// A reference to an object, released when it is dropped. Two are equal if they match as by `~`; functions if they are
/// the same object.
pub(crate) struct Value(K);

impl Value {
    /// # Safety
    /// The caller gives a reference away.
    pub(crate) unsafe fn from_raw(object: K) -> Value {
        assert!(!object.is_null(), "an object");
        Value(object)
    }

    /// The object, borrowed.
    pub(crate) fn raw(&self) -> K {
        self.0
    }

    /// The object with the reference.
    pub(crate) fn into_raw(self) -> K {
        std::mem::ManuallyDrop::new(self).0
    }

    /// The type, `-7` for a long.
    pub(crate) fn kind(&self) -> i8 {
        // SAFETY: it is an object.
        unsafe { (*self.0).t }
    }

    /// How many references there are beyond this one.
    pub(crate) fn refcount(&self) -> i32 {
        // SAFETY: it is an object.
        unsafe { (*self.0).r }
    }

    /// How many items there are; an atom is one.
    pub(crate) fn len(&self) -> usize {
        // SAFETY: the count is behind the header.
        if self.is_vector() { unsafe { *self.payload::<i64>() as usize } } else { 1 }
    }

    /// Whether it has a count and items.
    pub(crate) fn is_vector(&self) -> bool {
        matches!(self.kind(), 0..=19 | 99 | 100 | 104 | 105 | 112)
    }

    /// Whether its items are objects.
    pub(crate) fn is_list(&self) -> bool {
        matches!(self.kind(), 0 | 99 | 104 | 105)
    }

    /// What an atom has in it.
    ///
    /// # Panics
    /// If the type does not have such atoms.
    pub(crate) fn atom<T: Copy>(&self) -> T {
        let kind = self.kind();
        assert!(kind < 0 && width(-kind) == size_of::<T>(), "an atom of {} bytes is asked of {self:?}", size_of::<T>());
        // SAFETY: just checked.
        unsafe { if kind == -2 { *self.items() } else { *self.payload() } }
    }

    /// The items of a vector, or of a list as objects.
    ///
    /// # Panics
    /// If the type does not have such items.
    pub(crate) fn slice<T>(&self) -> &[T] {
        let is_right = (0..=19).contains(&self.kind()) && width(self.kind()) == size_of::<T>();
        assert!(is_right || self.is_list(), "items of {} bytes are asked of {self:?}", size_of::<T>());
        // SAFETY: just checked.
        unsafe { std::slice::from_raw_parts(self.items(), self.len()) }
    }

    /// The items of a list, a dictionary or a projection.
    pub(crate) fn values(&self) -> Vec<Value> {
        assert!(self.is_list(), "objects are asked of {self:?}");
        self.slice::<K>().iter().map(|object| retained(*object)).collect()
    }

    /// An item of a list, a dictionary, a projection.
    pub(crate) fn item(&self, index: usize) -> Value {
        assert!(self.is_list(), "objects are asked of {self:?}");
        retained(self.slice::<K>()[index])
    }

    /// The dictionary that a table is made of.
    pub(crate) fn columns(&self) -> Value {
        assert_eq!(self.kind(), 98, "{self:?} is no table");
        // SAFETY: a table has an object.
        retained(unsafe { *self.payload() })
    }

    /// The text of a symbol, a char vector or an error.
    pub(crate) fn text(&self) -> String {
        match self.kind() {
            10 => String::from_utf8_lossy(self.slice()).into_owned(),
            -11 | -128 => {
                // SAFETY: both have a pointer.
                let text = unsafe { *self.payload::<*const c_char>() };
                assert!(!text.is_null(), "there was no error");
                // SAFETY: it is a string of C's.
                unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned()
            }
            _ => panic!("{self:?} has no text"),
        }
    }

    /// Where an atom's payload is.
    pub(crate) fn payload<T>(&self) -> *mut T {
        self.0.wrapping_byte_add(8).cast()
    }

    /// Where a vector's items are.
    pub(crate) fn items<T>(&self) -> *mut T {
        self.0.wrapping_byte_add(16).cast()
    }

    fn bytes(&self) -> &[u8] {
        let (kind, size) = (self.kind().unsigned_abs() as i8, self.len() * width(self.kind().unsigned_abs() as i8));
        let start = if self.is_vector() || kind == 2 { self.items() } else { self.payload() };
        // SAFETY: so many bytes are there in atoms and vectors.
        unsafe { std::slice::from_raw_parts(start, size) }
    }
}

impl Clone for Value {
    fn clone(&self) -> Value {
        retained(self.0)
    }
}

impl Drop for Value {
    fn drop(&mut self) {
        // SAFETY: the reference is ours.
        unsafe { (api().r0)(self.0) };
    }
}

impl PartialEq for Value {
    fn eq(&self, other: &Value) -> bool {
        let (kind, same) = (self.kind(), self.0 == other.0);
        if same || kind != other.kind() || self.len() != other.len() {
            return same;
        }
        match kind {
            98 => self.columns() == other.columns(),
            101..=103 => self.unary() == other.unary(),
            -128 => self.text() == other.text(),
            _ if self.is_list() => self.values() == other.values(),
            // All not-a-numbers match.
            -8 | 8 => numbers::<4>(self.bytes()).eq(numbers::<4>(other.bytes())),
            -9 | 9 | -15 | 15 => numbers::<8>(self.bytes()).eq(numbers::<8>(other.bytes())),
            -19..=19 => self.bytes() == other.bytes(),
            _ => false,
        }
    }
}

impl Value {
    /// Which of the functions of one argument it is: 0 is `::`, 255 the mark of an argument that is left out.
    pub(crate) fn unary(&self) -> u8 {
        assert!((101..=103).contains(&self.kind()), "{self:?} is no primitive function");
        // SAFETY: an atom has a payload.
        unsafe { *self.payload() }
    }

    /// Whether it is `::`.
    pub(crate) fn is_null(&self) -> bool {
        self.kind() == 101 && self.unary() == 0
    }
}

/// Floating numbers of so many bytes as their bits, where all that are not a number are one.
fn numbers<const SIZE: usize>(bytes: &[u8]) -> impl Iterator<Item = Option<Vec<u8>>> {
    bytes.chunks(SIZE).map(|bytes| {
        let is_nan = match *bytes {
            [a, b, c, d] => f32::from_ne_bytes([a, b, c, d]).is_nan(),
            [a, b, c, d, e, f, g, h] => f64::from_ne_bytes([a, b, c, d, e, f, g, h]).is_nan(),
            _ => unreachable!("bytes of a real or a float"),
        };
        (!is_nan).then(|| bytes.to_vec())
    })
}

/// The bytes of an atom or of a vector's item.
pub(super) fn width(kind: i8) -> usize {
    match kind {
        1 | 4 | 10 => 1,
        5 => 2,
        6 | 8 | 13 | 14 | 17 | 18 | 19 => 4,
        0 | 7 | 9 | 11 | 12 | 15 | 16 => 8,
        2 => 16,
        _ => panic!("type {kind} has no width"),
    }
}

fn retained(object: K) -> Value {
    // SAFETY: it is an object, and the reference is new.
    unsafe { Value::from_raw((api().r1)(object)) }
}

fn owned(object: K) -> Value {
    // SAFETY: what makes objects gives a reference.
    unsafe { Value::from_raw(object) }
}

/// An atom of any type.
pub(crate) fn atom_of<T: Copy>(kind: i8, value: T) -> Value {
    assert_eq!(width(kind), size_of::<T>(), "the bytes of type {kind}");
    let atom = owned((api().ka)((-kind).into()));
    // SAFETY: just checked.
    unsafe { (if kind == 2 { atom.items::<T>() } else { atom.payload() }).write(value) };
    atom
}

/// A vector of any type.
pub(crate) fn vector_of<T: Copy>(kind: i8, values: &[T]) -> Value {
    assert_eq!(width(kind), size_of::<T>(), "the bytes of type {kind}");
    let vector = owned((api().ktn)(kind.into(), values.len() as i64));
    // SAFETY: so many were allocated.
    unsafe { std::ptr::copy_nonoverlapping(values.as_ptr(), vector.items(), values.len()) };
    vector
}

/// For each type a function that makes an atom, and one that makes a vector.
macro_rules! makers {
    ($($atom:ident $vector:ident $kind:literal $type:ty,)*) => {
        $(
            #[doc = concat!("An atom of type ", stringify!($kind), ".")]
            pub(crate) fn $atom(value: $type) -> Value {
                atom_of($kind, value)
            }

            #[doc = concat!("A vector of type ", stringify!($kind), ".")]
            pub(crate) fn $vector(values: &[$type]) -> Value {
                vector_of($kind, values)
            }
        )*
    };
}

makers! {
    boolean booleans 1 bool,
    guid guids 2 [u8; 16],
    byte bytes 4 u8,
    short shorts 5 i16,
    int ints 6 i32,
    long longs 7 i64,
    real reals 8 f32,
    float floats 9 f64,
    char chars 10 u8,
    timestamp timestamps 12 i64,
    month months 13 i32,
    date dates 14 i32,
    datetime datetimes 15 f64,
    timespan timespans 16 i64,
    minute minutes 17 i32,
    second seconds 18 i32,
    time times 19 i32,
}

/// A symbol.
pub(crate) fn symbol(text: &str) -> Value {
    atom_of(11, intern(text))
}

/// A vector of symbols.
pub(crate) fn symbols(texts: &[&str]) -> Value {
    let pointers: Vec<_> = texts.iter().map(|text| intern(text)).collect();
    vector_of(11, &pointers)
}

/// The one pointer for a text.
pub(crate) fn intern(text: &str) -> *const c_char {
    let text = CString::new(text).expect("a text without NUL");
    // SAFETY: the text is a string of C's.
    unsafe { (api().ss)(text.as_ptr()) }
}

/// A char vector.
pub(crate) fn string(text: impl AsRef<[u8]>) -> Value {
    vector_of(10, text.as_ref())
}

/// `::`.
pub(crate) fn null() -> Value {
    let object = owned((api().ka)(101));
    // SAFETY: an atom has a payload.
    unsafe { object.payload::<i64>().write(0) };
    object
}

/// The mark of an argument that is left out, as in `f[;1]`.
pub(crate) fn hole() -> Value {
    owned((api().host_hole)())
}

/// A general list.
pub(crate) fn list_of(values: Vec<Value>) -> Value {
    let objects: Vec<K> = values.into_iter().map(Value::into_raw).collect();
    vector_of(0, &objects)
}

/// A general list of what stands in it.
macro_rules! list {
    ($($value:expr),* $(,)?) => { $crate::support::value::list_of(vec![$($value),*]) };
}
pub(crate) use list;

/// A dictionary.
pub(crate) fn dict(keys: Value, values: Value) -> Value {
    // SAFETY: the references are given away.
    owned(unsafe { (api().xD)(keys.into_raw(), values.into_raw()) })
}

/// A table of columns by their names.
pub(crate) fn table(columns: Vec<(&str, Value)>) -> Value {
    let (names, values): (Vec<_>, Vec<_>) = columns.into_iter().unzip();
    // SAFETY: the reference is given away.
    owned(unsafe { (api().xT)(dict(symbols(&names), list_of(values)).into_raw()) })
}

/// A projection of a function on arguments, as an object: nothing is checked.
pub(crate) fn projection(function: &Value, arguments: &[&Value]) -> Value {
    let parts = std::iter::once(function).chain(arguments.iter().copied()).cloned().collect();
    let projection = list_of(parts);
    // SAFETY: it is laid out as a list.
    unsafe { (*projection.raw()).t = 104 };
    projection
}
