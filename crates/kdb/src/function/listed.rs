//! Functions of one list, as `.ffi.bind` gives them: the list ends in `::`, which keeps it general.

use super::stub::Passed;
use super::{Function, own_rank};
use crate::error::{Class, Fault, Result};
use crate::host::{K, Object, Owned, kind};

/// The q function of a C function.
///
/// # Errors
/// Where the engine has no entry left.
pub(crate) fn make(function: &'static Function) -> Result<Owned> {
    let code = own_rank::code(1, move |arguments| call(function, arguments[0]))?;
    Ok(own_rank::object(own_rank::in_front(function, Passed::Listed, code), 1))
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
