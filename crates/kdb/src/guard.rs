//! `.ffi.guard`: functions whose faults in C are errors, and do not end the process.
//!
//! What a fault leaves behind is another matter: locks stay taken and memory half written. A guarded call costs more, and
//! goes by way of conversions instead of emitted code.

use std::cell::RefCell;
use std::collections::HashMap;

use crate::error::{Fault, Result};
use crate::host::{K, Object, Owned};
use crate::thread::Main;

/// The guarded function for each that was asked for, and for each that is guarded itself.
#[derive(Default)]
pub(crate) struct Guarded(RefCell<HashMap<*mut Object, Owned>>);

/// The guarded function for one of this library's, of the same rank.
///
/// # Errors
/// `'type` where the object is none of those.
pub(crate) fn guarded(main: &Main, object: K<'_>) -> Result<*mut Object> {
    let Guarded(known) = &main.guarded;
    if let Some(made) = known.borrow().get(&object.as_ptr()) {
        return Ok(made.share().into_raw());
    }
    let made = match (main.functions.behind(object), main.declared.guarded(object)) {
        (Some((function, manner)), _) => main.functions.make(function.guarded()?, manner)?,
        (None, Some(made)) => made?,
        (None, None) => {
            return Err(Fault::of_type(format!("a function of .ffi.fn, .ffi.bind or .ffi.def: {}h", object.t())));
        }
    };
    let mut known = known.borrow_mut();
    known.insert(object.as_ptr(), made.share());
    known.insert(made.as_ptr(), made.share());
    Ok(made.into_raw())
}
