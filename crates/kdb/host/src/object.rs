//! Objects: their layout, their memory, reference counts.

use std::ffi::c_longlong;
use std::ptr;
use std::sync::atomic::{AtomicI64, Ordering};

use crate::conduct;

/// The header of an object; its payload is behind it. `k.h` has the same fields.
#[repr(C)]
pub(crate) struct Object {
    /// Here: the thread that made it, so that freeing on another one is noticed.
    owner: u16,
    pub(crate) kind: i8,
    attribute: u8,
    /// How many references there are beyond the first.
    pub(crate) references: i32,
}

/// An object, or null.
pub(crate) type K = *mut Object;

pub(crate) const LIST: i8 = 0;
pub(crate) const BOOLEAN: i8 = 1;
pub(crate) const GUID: i8 = 2;
pub(crate) const BYTE: i8 = 4;
pub(crate) const SHORT: i8 = 5;
pub(crate) const INT: i8 = 6;
pub(crate) const LONG: i8 = 7;
pub(crate) const REAL: i8 = 8;
pub(crate) const FLOAT: i8 = 9;
pub(crate) const CHAR: i8 = 10;
pub(crate) const SYMBOL: i8 = 11;
pub(crate) const TIMESTAMP: i8 = 12;
pub(crate) const DATE: i8 = 14;
pub(crate) const DATETIME: i8 = 15;
pub(crate) const TIMESPAN: i8 = 16;
pub(crate) const TIME: i8 = 19;
pub(crate) const TABLE: i8 = 98;
pub(crate) const DICTIONARY: i8 = 99;
pub(crate) const LAMBDA: i8 = 100;
/// `::`, and the mark of an argument that is left out.
pub(crate) const UNARY: i8 = 101;
pub(crate) const PROJECTION: i8 = 104;
pub(crate) const COMPOSITION: i8 = 105;
/// Functions made by others, 106h to 111h: each stands on one function, its payload.
pub(crate) const DERIVED: std::ops::RangeInclusive<i8> = 106..=111;
/// Functions of C, and foreign objects.
pub(crate) const FOREIGN: i8 = 112;
pub(crate) const ERROR: i8 = -128;

const HEADER: usize = 8;
/// Header and count.
const VECTOR_HEADER: usize = 16;

static LIVE: AtomicI64 = AtomicI64::new(0);
static ALLOCATIONS: AtomicI64 = AtomicI64::new(0);

/// The payload of an atom, the count of a vector.
pub(crate) fn payload<T>(object: K) -> *mut T {
    object.wrapping_byte_add(HEADER).cast()
}

/// The items of a vector, the bytes of a guid.
pub(crate) fn items<T>(object: K) -> *mut T {
    object.wrapping_byte_add(VECTOR_HEADER).cast()
}

/// How many items a vector has.
///
/// # Safety
/// It is one.
pub(crate) unsafe fn count(vector: K) -> usize {
    // SAFETY: said by the caller.
    unsafe { *payload::<i64>(vector) as usize }
}

/// What an object is.
///
/// # Safety
/// It is one.
pub(crate) unsafe fn kind(object: K) -> i8 {
    // SAFETY: said by the caller.
    unsafe { (*object).kind }
}

/// Bytes that an item of a vector takes, for the types that have vectors.
pub(crate) fn width(kind: i8) -> Option<usize> {
    Some(match kind {
        BOOLEAN | BYTE | CHAR => 1,
        SHORT => 2,
        INT | REAL | 13 | DATE | 17 | 18 | TIME => 4,
        LIST | LONG | FLOAT | SYMBOL | TIMESTAMP | DATETIME | TIMESPAN => 8,
        GUID => 16,
        _ => return None,
    })
}

/// An atom whose payload is not yet written.
pub(crate) fn atom(kind: i8) -> K {
    allocate(kind, HEADER + 8)
}

/// An atom.
pub(crate) fn atom_of<T>(kind: i8, value: T) -> K {
    let object = atom(kind);
    // SAFETY: the payload has 8 bytes, at a multiple of 8, and no atom's value is larger.
    unsafe { payload::<T>(object).write(value) };
    object
}

/// A vector whose items are not yet written, `length` of `width` bytes.
pub(crate) fn vector(kind: i8, length: usize, width: usize) -> K {
    let size = length.checked_mul(width).and_then(|size| size.checked_add(VECTOR_HEADER)).expect("a size");
    let object = allocate(kind, size);
    // SAFETY: the count is behind the header, and inside the allocation.
    unsafe { payload::<i64>(object).write(length as i64) };
    object
}

/// A list of objects, whose references it takes.
pub(crate) fn list(kind: i8, objects: &[K]) -> K {
    let list = vector(kind, objects.len(), size_of::<K>());
    // SAFETY: so many items were allocated.
    unsafe { ptr::copy_nonoverlapping(objects.as_ptr(), items(list), objects.len()) };
    list
}

/// Makes a vector longer. The object may move.
///
/// # Safety
/// It is a vector of items of so many bytes, of the object layer here, with no other reference.
pub(crate) unsafe fn grow(vector: K, length: usize, width: usize) -> K {
    // SAFETY: the object was allocated by `malloc`.
    let moved: K = unsafe { libc::realloc(vector.cast(), VECTOR_HEADER + length * width) }.cast();
    assert!(!moved.is_null(), "out of memory");
    // SAFETY: as in `vector`.
    unsafe { payload::<i64>(moved).write(length as i64) };
    moved
}

fn allocate(kind: i8, size: usize) -> K {
    // SAFETY: there is no rule to keep.
    let object: K = unsafe { libc::malloc(size) }.cast();
    assert!(!object.is_null(), "out of memory");
    LIVE.fetch_add(1, Ordering::Relaxed);
    ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
    let header = Object { owner: conduct::thread(), kind, attribute: 0, references: 0 };
    // SAFETY: `size` is that of a header or more.
    unsafe { object.write(header) };
    object
}

/// One reference more.
///
/// # Safety
/// An object of this layer, or null.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn r1(object: K) -> K {
    // SAFETY: said by the caller.
    match unsafe { object.as_mut() } {
        Some(header) => header.references += 1,
        None => conduct::violation("r1 of a null pointer"),
    }
    object
}

/// One reference less; the last one frees.
///
/// # Safety
/// The caller gives a reference to an object of this layer away, or null.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn r0(object: K) {
    // SAFETY: said by the caller.
    let Some(header) = (unsafe { object.as_mut() }) else { return conduct::violation("r0 of a null pointer") };
    if header.references > 0 {
        header.references -= 1;
        return;
    }
    if header.references < 0 {
        conduct::violation("an object is released that is free");
        return;
    }
    if header.owner != conduct::thread() {
        conduct::violation("an object is freed on a thread that has not made it");
    }
    // SAFETY: this was the last reference.
    unsafe {
        release_children(object);
        // What is used after it is freed shows, mostly, without valgrind too.
        (*object).references = i32::MIN;
        libc::free(object.cast());
    }
    LIVE.fetch_sub(1, Ordering::Relaxed);
}

/// Releases what an object refers to.
///
/// # Safety
/// It is an object of this layer that is not used again.
unsafe fn release_children(object: K) {
    // SAFETY: each kind has these children.
    unsafe {
        match kind(object) {
            LIST | DICTIONARY | LAMBDA | PROJECTION | COMPOSITION => {
                // A list may not have been filled.
                let children = std::slice::from_raw_parts(items::<K>(object), count(object));
                children.iter().filter(|child| !child.is_null()).for_each(|child| r0(*child));
            }
            TABLE => r0(*payload(object)),
            kind if DERIVED.contains(&kind) => r0(*payload(object)),
            FOREIGN if count(object) == 2 => {
                if let Some(destructor) = *items::<Option<unsafe extern "C" fn(K) -> K>>(object) {
                    let result = destructor(object);
                    if !result.is_null() {
                        r0(result);
                    }
                }
            }
            _ => {}
        }
    }
}

/// Frees a thread's unused memory: `malloc` keeps none for us.
#[unsafe(no_mangle)]
extern "C" fn m9() {}

/// How many objects there are.
#[unsafe(no_mangle)]
extern "C" fn host_live() -> c_longlong {
    LIVE.load(Ordering::Relaxed)
}

/// How many objects have been made.
#[unsafe(no_mangle)]
extern "C" fn host_allocations() -> c_longlong {
    ALLOCATIONS.load(Ordering::Relaxed)
}
