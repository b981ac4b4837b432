//! The exact code of stubs, for both architectures on either: one file in `golden/` for each.
//!
//! After a change that is meant, `JITCALL_BLESS=1 cargo test --test golden` writes the files anew; what has changed
//! in them is for the eye to judge.

use std::path::PathBuf;
use std::{env, fs};

use jitcall::abi::{Convention, Plan};
use jitcall::{Arch, Signature, Type, emit};
use jitcall_disasm::{Machine, disassemble, listing};

/// The name of a file, a declaration, and the types of variadic arguments.
const STUBS: &[(&str, &str, &[&str])] = &[
    ("nothing", "void nothing(void)", &[]),
    ("pow", "double pow(double, double)", &[]),
    ("add", "int add(int, int)", &[]),
    ("narrow", "short narrow(signed char, unsigned char, short, unsigned short, _Bool)", &[]),
    ("mix8", "double mix8(int, double, long, float, void *, double, short, float)", &[]),
    (
        "mix_stack",
        "long mix_stack(long, long, long, long, long, long, long, long, double, double, double, double, double, double, \
         double, double, signed char, double, int, long)",
        &[],
    ),
    ("point", "struct point { double x, y; }; struct point point(struct point, double)", &[]),
    ("mixed_pair", "struct pair { long a; double b; }; struct pair mixed_pair(struct pair)", &[]),
    ("big24", "struct big { long a, b, c; }; struct big big24(struct big, long)", &[]),
    ("block", "struct block { char bytes[400]; }; int block(int, struct block)", &[]),
    ("long_double", "long double long_double(long double, long double)", &[]),
    ("printf", "int printf(const char *, ...)", &["int", "double", "const char *"]),
    (
        "overaligned",
        "struct wide { long a; } __attribute__((aligned(32))); long overaligned(long, struct wide, int)",
        &[],
    ),
    ("hfa", "struct color { float r, g, b; }; struct color hfa(struct color, struct color)", &[]),
    ("reference", "struct record { int id; char name[20]; }; int reference(struct record, int, struct record)", &[]),
    ("complex_result", "long double _Complex complex_result(double _Complex)", &[]),
    ("vector", "typedef float vector __attribute__((vector_size(16))); vector vector_add(vector, vector)", &[]),
];

fn golden(name: &str, declaration: &str, tail: &[&str], arch: Arch) -> String {
    let mut signature = Signature::parse(declaration).expect(name);
    if !tail.is_empty() {
        signature = signature.with_tail(tail.iter().map(|ty| Type::parse(ty).expect(name))).expect(name);
    }
    let plan = Plan::new(&signature, Convention::of(arch)).expect(name);
    let code = emit::call_stub(&plan).expect(name);
    let machine = match arch {
        Arch::X86_64 => Machine::X86_64,
        Arch::Aarch64 => Machine::Aarch64,
    };
    let tail = if tail.is_empty() { String::new() } else { format!("... = {}\n", tail.join(", ")) };
    format!("{}\n{tail}{} bytes\n\n{}", signature.declaration(), code.len(), listing(&disassemble(&code, machine)))
}

fn file(arch: Arch, name: &str) -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "tests", "golden", &arch.to_string(), &format!("{name}.txt")].iter().collect()
}

#[test]
fn stubs_are_as_they_were_read() {
    let bless = env::var_os("JITCALL_BLESS").is_some();
    let mut changed = Vec::new();
    for arch in Arch::ALL {
        for (name, declaration, tail) in STUBS {
            let (path, now) = (file(arch, name), golden(name, declaration, tail, arch));
            if bless {
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::write(&path, now).unwrap();
                continue;
            }
            let before = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            if now != before {
                changed.push(format!("{}\n--- before\n{before}--- now\n{now}", path.display()));
            }
        }
    }
    assert!(changed.is_empty(), "{}", changed.join("\n"));
}

#[test]
fn every_file_belongs_to_a_stub() {
    for arch in Arch::ALL {
        for entry in fs::read_dir(file(arch, "add").parent().unwrap()).unwrap() {
            let path = entry.unwrap().path();
            let known = STUBS.iter().any(|(name, ..)| path == file(arch, name));
            assert!(known, "{} is of no stub", path.display());
        }
    }
}
