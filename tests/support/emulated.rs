//! Programs under test: run directly, or in the emulator that runs these tests where the machine itself cannot run them
//! (see `.cargo/config.toml`).

use std::ffi::OsStr;
use std::process::Command;
use std::sync::OnceLock;

/// How a process ends whose program could not be started.
///
/// glibc tells its caller of that through memory which the two processes share; in the emulator they do not share it.
const NOT_STARTED: i32 = 127;

/// Whether programs of the tests' own architecture have to be run in the emulator: tries that one.
pub(crate) fn is_emulated(program: impl AsRef<OsStr>) -> bool {
    static EMULATED: OnceLock<bool> = OnceLock::new();
    *EMULATED.get_or_init(|| {
        let attempt = Command::new(program).arg("--version").output();
        attempt.map_or(true, |output| output.status.code() == Some(NOT_STARTED))
    })
}

/// A command that runs a program of the tests' own architecture.
pub(crate) fn command(program: impl AsRef<OsStr>) -> Command {
    if !is_emulated(&program) {
        return Command::new(program);
    }
    let mut command = Command::new("qemu-aarch64");
    command.args(["-L", "/usr/aarch64-linux-gnu"]).arg(program);
    command
}
