//! What calls through `ffi.so` cost in real QuickJS programs, beside a module written by hand; see `quickjs/README.md`.

#[path = "../tests/support/mod.rs"]
mod support;

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::Duration;

use support::hosts::{self, Host};
use support::{compiler, crate_folder, kept_folder, module, process};

/// How long one host may take.
const LIMIT: Duration = Duration::from_secs(300);

fn main() {
    println!("nanoseconds per call, net of the loop around it; medians of rounds in turns\n");
    println!("| host | | module by hand | bound function | ratio | call by name | ratio |");
    println!("|---|---|---|---|---|---|---|");
    for host in hosts::ALL {
        measure(host);
    }
}

/// Prints the rows of a host.
fn measure(host: &Host) {
    let folder = prepare(host);
    let outcome = process::run(host.command("bench.js").current_dir(&folder), LIMIT);
    let is_success = outcome.status.is_some_and(|status| status.success());
    assert!(is_success, "{} in {}: {}{}", host.name, folder.display(), outcome.stdout, outcome.stderr);
    for line in outcome.stdout.lines() {
        println!("{}", row(host.name, line));
    }
}

/// A line of the script as a row: a name, the time by hand, and times to compare with that.
fn row(host: &str, line: &str) -> String {
    let mut words = line.split(' ');
    let name = words.next().unwrap_or_default();
    let times: Vec<f64> = words.filter_map(|word| word.parse().ok()).collect();
    let Some((by_hand, others)) = times.split_first() else { return format!("{host}: {line}") };
    let cells: String = others.iter().map(|time| format!(" {time:.1} | {:.2} |", time / by_hand)).collect();
    let missing = " | |".repeat(2 - others.len().min(2));
    format!("| {host} | {name} | {by_hand:.1} |{cells}{missing}")
}

/// A folder with the script and all it imports, the module by hand compiled for the host.
fn prepare(host: &Host) -> PathBuf {
    let folder = kept_folder("qjs-bench").join(host.name);
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).expect("a target folder that can be written");
    let sources = crate_folder().join("benches/quickjs");
    fs::copy(sources.join("bench.js"), folder.join("bench.js")).expect("the script of the bench");
    symlink(module(), folder.join("ffi.so")).expect("a target folder that can be written");
    let include = format!("-I{}", host.source().display());
    shared(&folder, "callees.so", &sources.join("callees.c"), &[]);
    shared(&folder, "module.so", &sources.join("module.c"), &["-D_GNU_SOURCE", &include]);
    folder
}

/// Compiles a source to a shared library, as a C programmer would for speed.
fn shared(folder: &Path, name: &str, source: &Path, flags: &[&str]) {
    let source = source.display().to_string();
    let mut arguments = vec!["-O2", "-w", "-shared", "-fPIC", "-o", name];
    arguments.extend(flags);
    arguments.extend([source.as_str(), "-lm"]);
    compiler::compile(folder, &arguments);
}
