//! Functions of one list, as `.ffi.bind` gives them: the list ends in `::`, which keeps it general.

use std::ffi::c_void;

use jitcall::{Engine, Tier};

use super::Function;
use super::own_rank::{self, MOST};
use crate::error::{Class, Fault, Result};
use crate::host::api::Code;
use crate::host::{K, Object, Owned, api, kind};

/// Code that takes each argument by itself.
#[derive(Clone, Copy)]
struct OneByOne(Code);

// SAFETY: code is never changed.
unsafe impl Send for OneByOne {}

// SAFETY: as above.
unsafe impl Sync for OneByOne {}

/// The q function of a C function.
///
/// # Errors
/// Where the engine has no entry left.
pub(crate) fn make(function: &'static Function) -> Result<Owned> {
    let count = function.letters.parameters.len();
    let code = match (1..=MOST).contains(&count) && Engine::global().tier() == Tier::Jit {
        true => {
            let converting = own_rank::code(count, move |arguments| function.call(arguments))?;
            let one_by_one = OneByOne(own_rank::in_front(function, converting));
            own_rank::code(1, move |arguments| unpack(function, one_by_one, arguments[0]))?
        }
        false => own_rank::code(1, move |arguments| call(function, arguments[0]))?,
    };
    // SAFETY: the code takes one object.
    Ok(unsafe { Owned::new((api().dl)(code, 1)) })
}

/// Hands the arguments in a list to code that takes them one by one.
#[inline]
fn unpack(function: &Function, OneByOne(code): OneByOne, list: K<'_>) -> Result<*mut Object> {
    let count = function.letters.parameters.len();
    if list.t() == kind::LIST && list.count() == count + 1 {
        let items = list.items();
        if items[count].is_null() {
            // SAFETY: the code takes so many objects.
            return Ok(unsafe { enter(code, &items[..count]) });
        }
    }
    call(function, list)
}

/// Calls code that takes so many objects.
///
/// # Safety
/// It does, and there are 1 to 8.
#[inline]
unsafe fn enter(code: Code, items: &[K<'_>]) -> *mut Object {
    macro_rules! by_count {
        ($($($item:ident)*;)*) => {
            match items {
                $([$($item),*] => {
                    // SAFETY: said by the caller.
                    unsafe {
                        type Code = unsafe extern "C-unwind" fn($(by_count!(@ $item)),*) -> *mut Object;
                        std::mem::transmute::<*const c_void, Code>(code)($($item.as_ptr()),*)
                    }
                })*
                _ => unreachable!("q passes at most eight arguments to native functions"),
            }
        };
        (@ $item:ident) => { *mut Object };
    }
    by_count! {
        a;
        a b;
        a b c;
        a b c d;
        a b c d e;
        a b c d e f;
        a b c d e f g;
        a b c d e f g h;
    }
}

/// Calls a function with the arguments in a list.
///
/// # Errors
/// `'rank` where it is not as long, and as for [`Function::call`].
pub(crate) fn call(function: &Function, list: K<'_>) -> Result<*mut Object> {
    let expected = function.letters.parameters.len();
    match list.t() {
        kind::LIST => function.call(without_end(list.items(), expected)),
        _ if expected == 0 && list.is_null() => function.call(&[]),
        // One argument cannot collapse with others.
        _ if expected == 1 && !list.is_null() => function.call(&[list]),
        t => {
            let plural = if expected == 1 { "" } else { "s" };
            let text =
                format!("{}: expected a list of {expected} argument{plural} that ends in (::): {t}h", function.name);
            Err(Fault::new(Class::Rank, text))
        }
    }
}

/// The arguments without the `::` behind them; one may be missing, and where there are no arguments there may be two.
pub(super) fn without_end<'a>(items: &'a [K<'a>], expected: usize) -> &'a [K<'a>] {
    match items {
        [first, second] if expected == 0 && first.is_null() && second.is_null() => &[],
        [arguments @ .., end] if items.len() == expected + 1 && end.is_null() => arguments,
        all => all,
    }
}
