//! `vk`, which not every object layer has.

use std::ffi::c_longlong;
use std::ptr;

use crate::object::{self, K, LIST};
use crate::process::{functions, release};

/// A list of atoms of one type as a vector of it, in its place; anything else as it is.
///
/// # Safety
/// The caller gives a reference away.
#[unsafe(no_mangle)]
unsafe extern "C" fn vk(list: K) -> K {
    // SAFETY: said by the caller.
    unsafe {
        let Some((kind, width)) = common_kind(list) else { return list };
        let length = object::count(list);
        let vector = (functions().ktn)(kind.into(), length as c_longlong);
        for index in 0..length {
            let atom = *object::items::<K>(list).add(index);
            let source: *const u8 = if kind == object::GUID { object::items(atom) } else { object::payload(atom) };
            ptr::copy_nonoverlapping(source, object::items::<u8>(vector).add(index * width), width);
        }
        release(list);
        vector
    }
}

/// What the items of a list all are atoms of, and the bytes of such an atom.
///
/// # Safety
/// An object.
unsafe fn common_kind(list: K) -> Option<(i8, usize)> {
    // SAFETY: what is read is there in a list.
    unsafe {
        if object::kind(list) != LIST || object::count(list) == 0 {
            return None;
        }
        let objects = std::slice::from_raw_parts(object::items::<K>(list), object::count(list));
        let first = object::kind(objects[0]);
        let is_common = first < 0 && objects.iter().all(|atom| object::kind(*atom) == first);
        let kind = is_common.then(|| first.checked_neg()).flatten()?;
        Some((kind, object::width(kind)?))
    }
}
