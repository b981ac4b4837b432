//! What makes vectors and lists, and makes them longer.

use std::ffi::{CStr, c_char, c_int, c_longlong, c_void};
use std::ptr;

use crate::errors::krr;
use crate::object::{self, CHAR, K, LIST, r1};

/// A vector, its items not yet written; those of a list are null.
#[unsafe(no_mangle)]
extern "C" fn ktn(kind: c_int, length: c_longlong) -> K {
    let kind = kind as i8;
    let (Some(width), Ok(length)) = (object::width(kind), usize::try_from(length)) else {
        return krr(c"type".as_ptr());
    };
    let vector = object::vector(kind, length, width);
    if kind == LIST {
        // SAFETY: so many items were allocated.
        unsafe { ptr::write_bytes(object::items::<K>(vector), 0, length) };
    }
    vector
}

/// A list of objects, whose references it takes. C's is variadic; both conventions pass up to eight pointers behind the
/// count as if they were declared (System V psABI 3.2.3, AAPCS64 6.4.2), and who passes fewer leaves the rest unread.
///
/// # Safety
/// So many objects were passed, eight at most.
#[unsafe(no_mangle)]
unsafe extern "C" fn knk(count: c_int, a: K, b: K, c: K, d: K, e: K, f: K, g: K, h: K) -> K {
    let all = [a, b, c, d, e, f, g, h];
    let Some(objects) = usize::try_from(count).ok().and_then(|count| all.get(..count)) else {
        return krr(c"limit: knk in tests takes 8 objects".as_ptr());
    };
    object::list(LIST, objects)
}

/// A char vector of a string.
///
/// # Safety
/// The text is a string of C's.
#[unsafe(no_mangle)]
unsafe extern "C" fn kp(text: *const c_char) -> K {
    // SAFETY: said by the caller.
    unsafe { kpn(text, CStr::from_ptr(text).count_bytes() as c_longlong) }
}

/// A char vector of so many bytes.
///
/// # Safety
/// They can be read.
#[unsafe(no_mangle)]
unsafe extern "C" fn kpn(text: *const c_char, length: c_longlong) -> K {
    let length = length.max(0) as usize;
    let vector = object::vector(CHAR, length, 1);
    // SAFETY: said by the caller, and just allocated.
    unsafe { ptr::copy_nonoverlapping(text, object::items(vector), length) };
    vector
}

/// Appends an item to a vector, which may move.
///
/// # Safety
/// The vector has no other reference, and the item is one of its type.
#[unsafe(no_mangle)]
unsafe extern "C" fn ja(vector: *mut K, item: *const c_void) -> K {
    // SAFETY: said by the caller.
    unsafe { append(vector, item, 1) }
}

/// Appends a symbol to a vector of symbols.
///
/// # Safety
/// As for `ja`; the text is an interned one.
#[unsafe(no_mangle)]
unsafe extern "C" fn js(vector: *mut K, text: *const c_char) -> K {
    // SAFETY: said by the caller.
    unsafe { append(vector, (&raw const text).cast(), 1) }
}

/// Appends an object to a list, which takes the reference.
///
/// # Safety
/// As for `ja`.
#[unsafe(no_mangle)]
unsafe extern "C" fn jk(list: *mut K, object: K) -> K {
    // SAFETY: said by the caller.
    unsafe { append(list, (&raw const object).cast(), 1) }
}

/// Appends the items of a vector of the same type, which it does not take.
///
/// # Safety
/// As for `ja`.
#[unsafe(no_mangle)]
unsafe extern "C" fn jv(vector: *mut K, other: K) -> K {
    // SAFETY: said by the caller.
    unsafe {
        let length = object::count(other);
        if object::kind(other) == LIST {
            (0..length).for_each(|index| _ = r1(*object::items::<K>(other).add(index)));
        }
        append(vector, object::items(other), length)
    }
}

/// Appends so many items, whose references the vector takes.
///
/// # Safety
/// As for `ja`.
unsafe fn append(vector: *mut K, source: *const c_void, length: usize) -> K {
    // SAFETY: said by the caller; `grow` makes room for what is copied.
    unsafe {
        let Some(width) = object::width(object::kind(*vector)) else { return krr(c"type".as_ptr()) };
        let old = object::count(*vector);
        *vector = object::grow(*vector, old + length, width);
        let end = object::items::<u8>(*vector).add(old * width);
        ptr::copy_nonoverlapping(source.cast(), end, length * width);
        *vector
    }
}
