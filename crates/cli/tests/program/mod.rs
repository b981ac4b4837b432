//! The program under test.

#[path = "../../../../tests/support/emulated.rs"]
mod emulated;

use std::process::Command;

/// A command that runs `jitcall`.
pub(crate) fn jitcall() -> Command {
    emulated::command(env!("CARGO_BIN_EXE_jitcall"))
}
