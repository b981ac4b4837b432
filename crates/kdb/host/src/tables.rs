//! Dictionaries and tables, and their bytes, which this host does not make.

use std::ffi::c_int;

use crate::errors::krr;
use crate::object::{self, DICTIONARY, K, LIST, SYMBOL, TABLE, r0, r1};

/// A dictionary of keys and values, which it takes.
#[unsafe(no_mangle)]
extern "C" fn xD(keys: K, values: K) -> K {
    object::list(DICTIONARY, &[keys, values])
}

/// A table of a dictionary from symbols to columns, which it takes.
///
/// # Safety
/// The caller gives a reference away.
#[unsafe(no_mangle)]
unsafe extern "C" fn xT(columns: K) -> K {
    // SAFETY: a dictionary has keys.
    if unsafe { object::kind(columns) != DICTIONARY || object::kind(*object::items::<K>(columns)) != SYMBOL } {
        // SAFETY: said by the caller.
        unsafe { r0(columns) };
        return krr(c"type".as_ptr());
    }
    object::atom_of(TABLE, columns)
}

/// A keyed table as a table; a table as it is. It takes what it is given.
///
/// # Safety
/// The caller gives a reference away.
#[unsafe(no_mangle)]
unsafe extern "C" fn ktd(table: K) -> K {
    // SAFETY: each object is what was asked for.
    unsafe {
        if object::kind(table) == TABLE {
            return table;
        }
        let halves = is_keyed(table).then(|| [0, 1].map(|half| *object::items::<K>(table).add(half)));
        let joined = halves.map(|halves| {
            let columns = halves.map(|half| *object::payload::<K>(half));
            let [names, values] =
                [0, 1].map(|part| join(columns.map(|columns| *object::items::<K>(columns).add(part))));
            xT(xD(names, values))
        });
        r0(table);
        joined.unwrap_or_else(|| krr(c"type".as_ptr()))
    }
}

/// Whether an object is a dictionary of two tables.
///
/// # Safety
/// An object.
unsafe fn is_keyed(table: K) -> bool {
    // SAFETY: a dictionary has two objects.
    unsafe {
        object::kind(table) == DICTIONARY
            && (0..2).all(|half| object::kind(*object::items::<K>(table).add(half)) == TABLE)
    }
}

/// Two vectors of symbols or two lists, one behind the other.
///
/// # Safety
/// They are.
unsafe fn join(parts: [K; 2]) -> K {
    // SAFETY: both have items of a pointer's size.
    unsafe {
        let all = parts.map(|part| std::slice::from_raw_parts(object::items::<K>(part), object::count(part))).concat();
        if object::kind(parts[0]) == LIST {
            all.iter().for_each(|object| _ = r1(*object));
        }
        object::list(object::kind(parts[0]), &all)
    }
}

/// An object as bytes: not here.
#[unsafe(no_mangle)]
extern "C" fn b9(_mode: c_int, _object: K) -> K {
    krr(c"nyi".as_ptr())
}

/// An object of bytes: not here.
#[unsafe(no_mangle)]
extern "C" fn d9(_bytes: K) -> K {
    krr(c"nyi".as_ptr())
}

/// Whether bytes are an object's: not here.
#[unsafe(no_mangle)]
extern "C" fn okx(_bytes: K) -> c_int {
    0
}
