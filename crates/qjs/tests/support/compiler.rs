//! The C compiler that builds QuickJS and what scripts call, for the machine that the test was built for.

use std::path::Path;
use std::process::Command;

/// `CC`, a command line; without it cc. For AArch64 on another machine, Debian's cross compiler.
pub(crate) fn command() -> Vec<String> {
    let own = || std::env::var("CC").unwrap_or_else(|_| "cc".to_owned());
    let line = if is_cross() { "aarch64-linux-gnu-gcc".to_owned() } else { own() };
    line.split_whitespace().map(str::to_owned).collect()
}

/// Before a program that was compiled: nothing, or what emulates the machine.
pub(crate) fn runner() -> &'static [&'static str] {
    if is_cross() { &["qemu-aarch64", "-L", "/usr/aarch64-linux-gnu"] } else { &[] }
}

/// Runs the compiler.
///
/// # Panics
/// If it cannot be run, or refuses the source.
pub(crate) fn compile<Argument: AsRef<std::ffi::OsStr>>(folder: &Path, arguments: &[Argument]) {
    let words = command();
    let output = Command::new(&words[0])
        .args(&words[1..])
        .args(arguments)
        .current_dir(folder)
        .output()
        .unwrap_or_else(|error| panic!("cannot run {}: {error}", words[0]));
    let arguments: Vec<_> = arguments.iter().map(AsRef::as_ref).collect();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{} {arguments:?} in {}:\n{errors}", words.join(" "), folder.display());
}

/// On AArch64 under qemu the cross compiler is there; a real AArch64 machine has its own.
pub(crate) fn is_cross() -> bool {
    let paths = std::env::var_os("PATH").unwrap_or_default();
    cfg!(target_arch = "aarch64")
        && std::env::split_paths(&paths).any(|path| path.join("aarch64-linux-gnu-gcc").exists())
}
