//! The scripts of `tests/scripts/`, each run in a folder of its own beside the module and the C library that it calls.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;

use super::process::{self, Outcome};
use super::stage::Stage;
use super::{compiler, crate_folder, kept_folder};

/// How long a script may take: `JITCALL_SCRIPT_SECONDS`, or a minute; more where the machine is emulated.
pub(crate) fn limit() -> Duration {
    let text = std::env::var("JITCALL_SCRIPT_SECONDS");
    let seconds = text.map_or(60, |text| text.parse().expect("JITCALL_SCRIPT_SECONDS is a number"));
    Duration::from_secs(if compiler::is_cross() { 5 * seconds } else { seconds })
}

/// What QuickJS's reports of leaks begin with.
const LEAKS: [&str; 5] = ["Object leaks:", "Secondary object leaks:", "Atom leaks:", "String leaks:", "Memory leak:"];

/// The names of all scripts, without their endings.
pub(crate) fn names() -> Vec<String> {
    let files = fs::read_dir(folder()).expect("the folder of scripts");
    let paths = files.map(|file| file.expect("a file in the folder of scripts").path());
    let scripts = paths.filter(|path| path.extension().is_some_and(|extension| extension == "js"));
    let mut names: Vec<String> =
        scripts.map(|path| path.file_stem().expect("a name").to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

/// Runs a script by the command made for its path, in a folder with all it needs.
///
/// # Panics
/// Unless it ends well: status 0, a last line `ok`, no leaks.
pub(crate) fn check(label: &str, name: &str, command: impl FnOnce(&str) -> Command) {
    let stage = Stage::new(name);
    copy(name, stage.path());
    let script = format!("{name}.js");
    let mut command = command(&script);
    if compiler::is_cross() {
        // Debian's cross compiler comes with the C library alone; and emulation takes ten times as long.
        command.env("JITCALL_MAY_LACK_LIBRARIES", "1").env("JITCALL_SCRIPT_CALLS", "4000");
    }
    let outcome = process::run(command.current_dir(stage.path()), limit());
    if let Err(reason) = verdict(&outcome) {
        panic!(
            "{script} on {label}: {reason}\n--- stdout\n{}\n--- stderr\n{}\n--- in {}",
            outcome.stdout,
            outcome.stderr,
            stage.path().display()
        );
    }
    stage.remove();
}

/// The first line of a host's report of leaks.
pub(crate) fn leak(outcome: &Outcome) -> Option<&str> {
    let mut lines = outcome.stdout.lines().chain(outcome.stderr.lines());
    lines.find(|line| LEAKS.iter().any(|start| line.starts_with(start)))
}

fn verdict(outcome: &Outcome) -> Result<(), String> {
    let status = outcome.status.ok_or_else(|| format!("not done after {} s", limit().as_secs()))?;
    if let Some(leak) = leak(outcome) {
        return Err(format!("it leaks: {leak}"));
    }
    if !status.success() {
        return Err(status.to_string());
    }
    match outcome.stdout.lines().last() {
        Some("ok") => Ok(()),
        _ => Err("its last line is not `ok`".to_owned()),
    }
}

/// Copies a script, and what scripts share, to where it runs.
fn copy(name: &str, path: &Path) {
    let script = format!("{name}.js");
    fs::copy(folder().join(&script), path.join(&script)).expect("a script");
    fs::create_dir(path.join("lib")).expect("a temporary folder");
    for file in fs::read_dir(folder().join("lib")).expect("the folder of what scripts share") {
        let file = file.expect("a file that scripts share").path();
        fs::copy(&file, path.join("lib").join(file.file_name().expect("a name"))).expect("a copy of a file");
    }
    symlink(callees(), path.join("callees.so")).expect("a temporary folder");
}

fn folder() -> PathBuf {
    crate_folder().join("tests/scripts")
}

/// The C library that scripts call, compiled once.
fn callees() -> &'static Path {
    static LIBRARY: OnceLock<PathBuf> = OnceLock::new();
    LIBRARY.get_or_init(|| {
        let output = kept_folder("qjs-callees").join(std::process::id().to_string());
        fs::create_dir_all(&output).expect("a target folder that can be written");
        let source = folder().join("lib/callees.c").display().to_string();
        compiler::compile(
            &output,
            &[
                "-O1",
                "-Wall",
                "-Werror",
                "-ffp-contract=off",
                "-shared",
                "-fPIC",
                "-o",
                "callees.so",
                &source,
                "-lpthread",
            ],
        );
        output.join("callees.so")
    })
}
