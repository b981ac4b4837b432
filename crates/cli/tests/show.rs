//! `jitcall show` and `jitcall doctor` from outside.
//!
//! After a change that is meant, `JITCALL_BLESS=1 cargo test -p jitcall-cli --test show` writes the files in `show/`
//! anew.

mod program;

use std::path::PathBuf;
use std::process::Output;
use std::{env, fs};

/// A file's name, and the arguments after `show`.
const SHOWN: &[(&str, &[&str])] = &[
    ("pow", &["double pow(double x, double y)"]),
    ("narrow", &["short narrow(char c, unsigned short, _Bool)"]),
    ("tail", &["int printf(const char *format, ...)", "--tail", "char, float, const char *"]),
    ("typedef_tail", &["typedef struct { double x, y; } point; void plot(int, ...);", "--tail", "point"]),
    ("memory_result", &["struct big { long a, b, c; }; struct big twice(struct big value, float factor)"]),
    (
        "stack",
        &["struct quad { long a, b, c, d; }; long sum(int, int, int, int, int, int, int, int, int, struct quad)"],
    ),
    ("empty", &["struct nothing {}; void ignore(struct nothing, int)"]),
    ("long_double", &["long double fmal(long double, long double, long double)"]),
    ("mixed_result", &["struct { double real; long whole; } split(double)"]),
    ("block", &["struct block { char bytes[100]; }; void fill(struct block)"]),
];

/// A file's name, and the declaration after `show --callback`.
const CALLBACKS: &[(&str, &str)] = &[
    ("callback_compare", "int compare(const void *a, const void *b)"),
    ("callback_narrow", "short narrow(char c, unsigned short, _Bool)"),
    ("callback_mixed", "double mixed(int, double, struct { double x, y; })"),
    ("callback_full", "long full(long, long, long, long, long, long, long, long, char)"),
    ("callback_big", "struct big { long a, b, c; }; struct big twice(struct big value, float factor)"),
    ("callback_long_double", "long double half(long double)"),
    ("callback_empty", "struct nothing {}; void ignore(struct nothing, int)"),
];

/// Files in `show/`, against what is shown now.
#[derive(Default)]
struct Golden {
    changed: Vec<String>,
}

impl Golden {
    fn compare(&mut self, file: &str, now: &str) {
        let path: PathBuf = [env!("CARGO_MANIFEST_DIR"), "tests", "show", file].iter().collect();
        if env::var_os("JITCALL_BLESS").is_some() {
            return fs::write(&path, now).unwrap();
        }
        let before = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        if now != before {
            self.changed.push(format!("{file}\n--- before\n{before}--- now\n{now}"));
        }
    }

    fn finish(self) {
        assert!(self.changed.is_empty(), "{}", self.changed.join("\n"));
    }
}

fn jitcall(arguments: &[&str]) -> Output {
    program::jitcall().args(arguments).output().expect("the program starts")
}

fn output(arguments: &[&str]) -> String {
    let output = jitcall(arguments);
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("UTF-8")
}

#[test]
fn plans_and_stubs_are_shown_for_both_targets() {
    let mut shown = Golden::default();
    for (name, arguments) in SHOWN {
        for target in ["x86_64", "aarch64"] {
            let output = output(&[&["show", "--target", target], *arguments].concat());
            let (now, stub) = output.split_once("\nstub(slots, target, result), ").expect("a stub");
            assert_whole(stub, target);
            shown.compare(&format!("{name}.{target}.txt"), now);
        }
    }
    shown.finish();
}

#[test]
fn ways_back_are_shown_for_both_targets() {
    let mut shown = Golden::default();
    for (name, declaration) in CALLBACKS {
        for target in ["x86_64", "aarch64"] {
            let output = output(&["show", "--callback", "--target", target, declaration]);
            let (now, _) = output.split_once("\nentry, record in ").expect("an entry");
            for code in output[now.len()..].trim_start().split("\n\n") {
                let size = code.find(" bytes:\n").expect("the size");
                assert_whole(&code[code[..size].rfind(' ').map_or(0, |blank| blank + 1)..], target);
            }
            shown.compare(&format!("{name}.{target}.txt"), now);
        }
    }
    shown.finish();
}

/// Below its size in bytes, a stub has lines for so many, and the first is a landing pad. (What else it holds is for
/// the engine's own tests.)
fn assert_whole(stub: &str, target: &str) {
    let (size, listing) = stub.split_once(" bytes:\n").expect("the size");
    let is_byte = |word: &&str| word.len() == 2 && u8::from_str_radix(word, 16).is_ok();
    let bytes = listing.lines().map(|line| line.split_whitespace().skip(1).take_while(is_byte).count());
    assert_eq!(bytes.sum::<usize>().to_string(), size, "{stub}");
    let pad = if target == "x86_64" { "endbr64" } else { "bti c" };
    assert!(listing.lines().next().is_some_and(|line| line.ends_with(pad)), "{stub}");
}

#[test]
fn this_machine_is_the_default() {
    let host = if cfg!(target_arch = "x86_64") { "x86_64" } else { "aarch64" };
    let declaration = "double pow(double x, double y)";
    assert_eq!(output(&["show", declaration]), output(&["show", declaration, "--target", host]));
}

#[test]
fn what_cannot_be_shown_is_an_error() {
    let cases: &[(&[&str], &str)] = &[
        (&["int f(int)", "--tail", "int"], "takes no variadic arguments"),
        (&["int f(int, ...)", "--tail", "flaot"], "expected a type, found `flaot`"),
        (&["int f(flaot)"], "line 1, column 7: expected a type"),
        (&["typedef int number"], "the declaration declares no function"),
        (&["--callback", "int f(int, ...)"], "as a callback: what follows the named arguments cannot be known"),
    ];
    for (arguments, expected) in cases {
        let output = jitcall(&[&["show"], *arguments].concat());
        let error = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{arguments:?}");
        assert!(error.starts_with("error: ") && error.contains(expected), "{arguments:?}: {error}");
    }
}

#[test]
fn the_doctor_names_tier_and_variables() {
    for tier in ["jit", "asm"] {
        let output = program::jitcall().arg("doctor").env("JITCALL_TIER", tier).output().unwrap();
        let report = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let fact = |name: &str| {
            let line = report.lines().find(|line| line.trim_start().starts_with(name));
            line.unwrap_or_else(|| panic!("no {name} in {report}")).trim_start()[name.len()..].trim().to_owned()
        };
        assert_eq!(fact("tier"), format!("{tier} (JITCALL_TIER={tier})"));
        assert_eq!(fact("JITCALL_TIER"), tier);
        assert_eq!(fact("abs(-1)"), "1");
        assert_eq!(fact("stubs"), if tier == "jit" { "1" } else { "0" });
        for name in ["architecture", "page size", "from memfd_create", "PR_GET_MDWE", "SELinux", "seccomp"] {
            assert!(!fact(name).is_empty(), "{name}");
        }
    }
}
