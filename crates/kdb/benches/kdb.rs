//! What calls through `ffikdb.so` cost, beside functions for q that are written by hand; see `kdb/README.md`.

#[path = "kdb/figures.rs"]
mod figures;
#[path = "kdb/measure.rs"]
mod measure;
#[path = "../tests/support/mod.rs"]
mod support;

use std::path::Path;
use std::process::{Command, ExitCode};

use figures::Figure;

fn main() -> ExitCode {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("kdb-bench");
    // The bench is started once more by itself, with the counter: who counts takes time.
    if measure::counter().is_some() {
        return verdict(support::q(|q| count(&figures::all(q, &folder))));
    }
    prepare(&folder);
    let is_fast = support::q(|q| compare(&figures::all(q, &folder)));
    let program = std::env::current_exe().expect("the path of the bench");
    let counted =
        Command::new(program).args(std::env::args().skip(1)).env("LD_PRELOAD", folder.join("counter.so")).status();
    verdict(counted.expect("the bench can be run").success() && is_fast)
}

fn verdict(is_good: bool) -> ExitCode {
    if is_good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// The figures whose names have what the command line asks for.
fn chosen(figures: &[Figure]) -> impl Iterator<Item = &Figure> {
    let part = std::env::args().skip(1).find(|argument| !argument.starts_with('-')).unwrap_or_default();
    figures.iter().filter(move |figure| figure.name.contains(&part))
}

/// Prints times. Whether all ratios are within their limits.
fn compare(figures: &[Figure]) -> bool {
    println!("nanoseconds per call, loop and release of the result included; medians of rounds in turns\n");
    println!("| | by hand | ffikdb | ratio | limit | |");
    println!("|---|---|---|---|---|---|");
    let mut is_fast = true;
    for Figure { name, limit, calls, by_hand, ours } in chosen(figures) {
        let times = measure::compare(by_hand, ours);
        let [hand, ours] = [times.by_hand, times.ours].map(|time| time / *calls as f64);
        let is_over = times.ratio > *limit;
        let mark = if is_over { "over" } else { "" };
        println!("| {name} | {hand:.2} | {ours:.2} | {:.3} | {limit} | {mark} |", times.ratio);
        is_fast &= !is_over;
    }
    is_fast
}

/// Prints how often each way allocates. Whether ours does so no more often than the one by hand.
fn count(figures: &[Figure]) -> bool {
    println!("\nallocations per call: the host's objects, and what the host needs to apply functions\n");
    println!("| | by hand | ffikdb | beyond | limit | |");
    println!("|---|---|---|---|---|---|");
    let mut is_even = true;
    for Figure { name, by_hand, ours, .. } in chosen(figures) {
        let [hand, ours] = [by_hand, ours].map(measure::allocations);
        let mark = if ours > hand { "over" } else { "" };
        println!("| {name} | {hand:.3} | {ours:.3} | {:.3} | 0 | {mark} |", ours - hand);
        is_even &= ours <= hand;
    }
    is_even
}

/// Compiles what is compared, as a C programmer would for speed.
fn prepare(folder: &Path) {
    std::fs::create_dir_all(folder).expect("a target folder that can be written");
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/kdb");
    let compiler = std::env::var("CC").unwrap_or_else(|_| "cc".to_owned());
    for name in ["callees", "by_hand", "counter"] {
        let output = folder.join(format!("{name}.so"));
        let source = sources.join(format!("{name}.c"));
        let mut command = Command::new(&compiler);
        command.args(["-O2", "-Wall", "-shared", "-fPIC", "-o"]).arg(output).arg(source);
        assert!(command.status().expect("a C compiler").success(), "{name}.c");
    }
}
