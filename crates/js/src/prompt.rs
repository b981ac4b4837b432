//! x
use crate::engine::Context;
use crate::report::Error;
pub(crate) fn run(_: Context<'_>) -> Result<(), Error> {
    Ok(())
}
