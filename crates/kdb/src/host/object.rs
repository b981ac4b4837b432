//! q's objects: what is where in them, and who owns a reference.
//!
//! ```text
//!   0  m, a      q's own
//!   2  t         the type: of an atom negative, of a vector positive, 0 of a list
//!   3  u         attributes
//!   4  r         how many references there are beyond the first
//!   8  payload of an atom; of a vector the count, and the elements at 16
//! ```
//!
//! The atom of a guid is laid out as a vector of one.

use std::ffi::{CStr, c_char};
use std::marker::PhantomData;
use std::mem::offset_of;
use std::ops::Deref;
use std::ptr::NonNull;

use super::{api, kind};

/// What all objects begin with.
#[repr(C)]
#[derive(Debug)]
pub struct Object {
    m: i8,
    a: i8,
    t: i8,
    u: u8,
    r: i32,
    /// The payload of an atom, the count of a vector.
    word: i64,
    /// The elements of a vector; atoms end before this.
    elements: [u64; 0],
}

/// Where the type is, in bytes.
pub(crate) const TYPE_AT: u32 = offset_of!(Object, t) as u32;
/// Where the payload of an atom is.
pub(crate) const PAYLOAD_AT: u32 = offset_of!(Object, word) as u32;
/// Where the elements of a vector are.
pub(crate) const ELEMENTS_AT: u32 = offset_of!(Object, elements) as u32;

/// An object that somebody else keeps for so long.
#[derive(Clone, Copy, Debug)]
pub(crate) struct K<'a> {
    object: NonNull<Object>,
    life: PhantomData<&'a Object>,
}

impl<'a> K<'a> {
    /// # Safety
    /// The object is one of q's, and lives as long as this is used.
    pub(crate) unsafe fn new(object: *mut Object) -> K<'a> {
        // SAFETY: q's objects are not null.
        K { object: unsafe { NonNull::new_unchecked(object) }, life: PhantomData }
    }

    pub(crate) fn as_ptr(self) -> *mut Object {
        self.object.as_ptr()
    }

    /// The type.
    #[inline]
    pub(crate) fn t(self) -> i8 {
        // SAFETY: the object lives.
        unsafe { (*self.as_ptr()).t }
    }

    pub(crate) fn is_atom(self) -> bool {
        self.t() < 0
    }

    /// Whether it is a vector of q's plain types: no list, no enumeration.
    pub(crate) fn is_vector(self) -> bool {
        (kind::BOOLEAN..=kind::TIME).contains(&self.t())
    }

    /// Whether it is `::`.
    pub(crate) fn is_null(self) -> bool {
        // Other unary primitives have the type as well, with a number of their own.
        self.t() == kind::UNARY && self.byte() == 0
    }

    /// Whether a function can be called: a lambda, a projection, one of `dl`.
    pub(crate) fn is_function(self) -> bool {
        self.t() >= kind::LAMBDA && !self.is_null() && self.foreign().is_none()
    }

    /// The pointer in a foreign object: a list of a destructor and of what it destroys.
    pub(crate) fn foreign(self) -> Option<*mut u8> {
        if self.t() != kind::FOREIGN || self.count() != 2 {
            return None;
        }
        // SAFETY: it has two elements.
        Some(unsafe { *self.elements().cast::<*mut u8>().add(1) })
    }

    /// Whether the reference is the only one.
    pub(crate) fn is_unique(self) -> bool {
        // SAFETY: the object lives.
        unsafe { (*self.as_ptr()).r == 0 }
    }

    /// The payload of an atom of one byte.
    pub(crate) fn byte(self) -> u8 {
        // SAFETY: all objects have a word there.
        unsafe { self.payload().read() }
    }

    pub(crate) fn short(self) -> i16 {
        // SAFETY: as above.
        unsafe { self.payload().cast::<i16>().read() }
    }

    pub(crate) fn int(self) -> i32 {
        // SAFETY: as above.
        unsafe { self.payload().cast::<i32>().read() }
    }

    pub(crate) fn long(self) -> i64 {
        // SAFETY: as above.
        unsafe { (*self.as_ptr()).word }
    }

    /// Where the payload of an atom is; of a guid, its bytes.
    pub(crate) fn payload(self) -> *mut u8 {
        if self.t() == -kind::GUID {
            return self.elements();
        }
        // SAFETY: within the object.
        unsafe { (&raw mut (*self.as_ptr()).word).cast() }
    }

    /// The payload of an atom, and what is behind it, as a word.
    #[inline]
    pub(crate) fn word(self) -> u64 {
        self.long() as u64
    }

    /// Makes that a word.
    ///
    /// # Safety
    /// It is an atom of no more than a word, and nobody else refers to it.
    #[inline]
    pub(crate) unsafe fn set_word(self, word: u64) {
        // SAFETY: said by the caller; all objects have a word there.
        unsafe { (*self.as_ptr()).word = word as i64 };
    }

    /// The text of a symbol.
    pub(crate) fn symbol(self) -> &'a CStr {
        debug_assert_eq!(self.t(), -kind::SYMBOL);
        // SAFETY: an interned text ends, and stays.
        unsafe { CStr::from_ptr(self.payload().cast::<*const c_char>().read()) }
    }

    /// How many elements there are: of vectors and lists, and of what has their layout.
    pub(crate) fn count(self) -> usize {
        self.long() as usize
    }

    /// Where the elements are: of vectors, lists and guids.
    pub(crate) fn elements(self) -> *mut u8 {
        // SAFETY: right behind the beginning.
        unsafe { (&raw mut (*self.as_ptr()).elements).cast() }
    }

    /// The bytes of a vector whose elements have one.
    pub(crate) fn bytes(self) -> &'a [u8] {
        debug_assert!(matches!(self.t(), kind::BOOLEAN | kind::BYTE | kind::CHAR));
        // SAFETY: that many are there.
        unsafe { std::slice::from_raw_parts(self.elements(), self.count()) }
    }

    /// The elements of a list.
    pub(crate) fn items(self) -> &'a [K<'a>] {
        debug_assert_eq!(self.t(), kind::LIST);
        // SAFETY: that many objects are there, none of them null; `K` is a pointer.
        unsafe { std::slice::from_raw_parts(self.elements().cast(), self.count()) }
    }

    /// The keys and the values of a dictionary.
    pub(crate) fn halves(self) -> [K<'a>; 2] {
        debug_assert_eq!(self.t(), kind::DICTIONARY);
        // SAFETY: a dictionary has two objects where a list has its elements.
        unsafe { self.elements().cast::<[K<'a>; 2]>().read() }
    }

    /// The dictionary of a table's columns.
    pub(crate) fn columns(self) -> K<'a> {
        debug_assert_eq!(self.t(), kind::TABLE);
        // SAFETY: a table's payload is that object.
        unsafe { self.payload().cast::<K<'a>>().read() }
    }

    /// Another reference.
    pub(crate) fn share(self) -> Owned {
        // SAFETY: the object lives.
        Owned { object: unsafe { K::new((api().r1)(self.as_ptr())) } }
    }
}

/// A reference that is given back when this is dropped, on the thread that has it.
#[derive(Debug)]
pub(crate) struct Owned {
    object: K<'static>,
}

impl Owned {
    /// # Safety
    /// The object is one of q's, and the reference the caller's.
    pub(crate) unsafe fn new(object: *mut Object) -> Owned {
        // SAFETY: said by the caller; the reference keeps it alive.
        Owned { object: unsafe { K::new(object) } }
    }

    /// A vector of that type whose elements have yet to be written, or a list.
    pub(crate) fn vector(t: i8, count: usize) -> Owned {
        // SAFETY: any type up to 19 will do.
        unsafe { Owned::new((api().ktn)(t.into(), count as i64)) }
    }

    /// A vector of chars.
    pub(crate) fn text(text: &[u8]) -> Owned {
        let vector = Owned::vector(kind::CHAR, text.len());
        // SAFETY: as many bytes are there.
        unsafe { vector.elements().copy_from_nonoverlapping(text.as_ptr(), text.len()) };
        vector
    }

    /// A list of these.
    pub(crate) fn list(items: Vec<Owned>) -> Owned {
        let list = Owned::vector(kind::LIST, items.len());
        let elements = list.elements().cast::<*mut Object>();
        for (index, item) in items.into_iter().enumerate() {
            // SAFETY: the list has room for each, and takes the reference over.
            unsafe { elements.add(index).write(item.into_raw()) };
        }
        list
    }

    /// A dictionary.
    pub(crate) fn dictionary(keys: Owned, values: Owned) -> Owned {
        // SAFETY: it takes both references.
        unsafe { Owned::new((api().xD)(keys.into_raw(), values.into_raw())) }
    }

    /// A table of a dictionary from symbols to columns.
    pub(crate) fn table(columns: Owned) -> Owned {
        // SAFETY: it takes the reference.
        unsafe { Owned::new((api().xT)(columns.into_raw())) }
    }

    /// A foreign object: the destructor is called with it before it is freed.
    pub(crate) fn foreign(destructor: api::Code, pointer: *mut u8) -> Owned {
        let object = Owned::vector(kind::LIST, 2);
        // SAFETY: a list of two has room for two pointers; as a foreign object it owns no references.
        unsafe {
            object.elements().cast::<[*const u8; 2]>().write([destructor.cast(), pointer]);
            (*object.as_ptr()).t = kind::FOREIGN;
        }
        object
    }

    /// Gives the reference away.
    pub(crate) fn into_raw(self) -> *mut Object {
        let object = self.object.as_ptr();
        std::mem::forget(self);
        object
    }

    pub(crate) fn as_k(&self) -> K<'_> {
        self.object
    }
}

/// The one address of a symbol's text.
pub(crate) fn interned(text: &CStr) -> *mut c_char {
    // SAFETY: the text ends; `ss` copies what it does not know.
    unsafe { (api().ss)(text.as_ptr()) }
}

impl Deref for Owned {
    type Target = K<'static>;

    fn deref(&self) -> &K<'static> {
        &self.object
    }
}

impl Drop for Owned {
    fn drop(&mut self) {
        // SAFETY: the reference is this one's.
        unsafe { (api().r0)(self.object.as_ptr()) };
    }
}
