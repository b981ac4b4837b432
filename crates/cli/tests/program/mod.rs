//! The program under test.

use std::process::Command;
use std::sync::OnceLock;

/// How a process ends whose program could not be started.
///
/// glibc tells its caller of that through memory which the two processes share; in the emulator they do not share it.
const NOT_STARTED: i32 = 127;

/// A command that runs `jitcall`: directly, or in the emulator that runs these tests where the machine itself cannot
/// (see `.cargo/config.toml`).
pub(crate) fn jitcall() -> Command {
    static EMULATED: OnceLock<bool> = OnceLock::new();
    let program = env!("CARGO_BIN_EXE_jitcall");
    let emulated = || {
        let attempt = Command::new(program).arg("--version").output();
        attempt.map_or(true, |output| output.status.code() == Some(NOT_STARTED))
    };
    if !*EMULATED.get_or_init(emulated) {
        return Command::new(program);
    }
    let mut command = Command::new("qemu-aarch64");
    command.args(["-L", "/usr/aarch64-linux-gnu", program]);
    command
}
