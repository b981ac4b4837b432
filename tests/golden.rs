//! The exact code of stubs and closure entries, for both architectures on either: one file in `golden/` for each.
//!
//! After a change that is meant, `JITCALL_BLESS=1 cargo test --test golden` writes the files anew; what has changed
//! in them is for the eye to judge.

use std::path::PathBuf;
use std::{env, fs, ptr};

use jitcall::abi::{Convention, Plan};
use jitcall::bridge::{Argument, Boxing, Case, Guard, Operand, Payload, Place, Spec, TagWidth, Tags};
use jitcall::emit::{RecordPlace, Steps};
use jitcall::pointers::{self, StateIn};
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

/// The name of a file, and the declaration of a function that closures are made of.
const CALLBACKS: &[(&str, &str)] = &[
    ("callback_compare", "int compare(const void *, const void *)"),
    ("callback_narrow", "signed char narrow(short, unsigned char, _Bool)"),
    ("callback_unsigned", "unsigned short unsigned_result(double)"),
    ("callback_float", "float float_result(float, double)"),
    ("callback_mix8", "double mix8(int, double, long, float, void *, double, short, float)"),
    (
        "callback_stack",
        "long stack(long, long, long, long, long, long, long, long, signed char, double, double, double, double, \
         double, double, double, double, float)",
    ),
    ("callback_mixed_pair", "struct pair { long a; double b; }; struct pair mixed_pair(struct pair)"),
    ("callback_big24", "struct big { long a, b, c; }; struct big big24(struct big, long)"),
    ("callback_hfa", "struct color { float r, g, b; }; struct color hfa(struct color, struct color)"),
    (
        "callback_reference",
        "struct record { int id; char name[20]; }; int reference(struct record, int, struct record)",
    ),
    (
        "callback_block",
        "struct block { char bytes[400]; }; struct block block(long, long, long, long, long, long, long, long, \
         struct block)",
    ),
    ("callback_long_double", "long double long_double(long double, long double)"),
    ("callback_complex", "long double _Complex complex_result(double _Complex)"),
    ("callback_vector", "typedef float vector __attribute__((vector_size(16))); vector vector_add(vector, vector)"),
    ("callback_vector32", "typedef float wide __attribute__((vector_size(32))); wide wide_add(wide, wide)"),
    ("callback_void", "void notify(void)"),
];

/// The name of a file, and where an entry leaves its record's address.
const ENTRIES: &[(&str, RecordPlace)] = &[
    ("entry_scratch", RecordPlace::Scratch),
    ("entry_argument2", RecordPlace::Argument(2)),
    ("entry_argument5", RecordPlace::Argument(5)),
];

/// The name of a file, what a host's native function calls, and the payloads of each argument, the likeliest first.
const BRIDGES: &[(&str, &str, &[&[Payload]])] = &[
    ("bridge_abs", "int abs(int)", &[INT]),
    ("bridge_abs_of_ints", "int abs(int)", &[ONLY_INT]),
    ("bridge_pow", "double pow(double, double)", &[DOUBLE, DOUBLE]),
    ("bridge_mixed", "void mixed(int, double, void *, long)", &[INT, DOUBLE, POINTER, INT]),
    ("bridge_stack", "_Bool stack(short, int, int, int, int, int, int, int, unsigned)", &[ONLY_INT; 9]),
    ("bridge_narrow", "short narrow(signed char, unsigned char, short, _Bool)", &[INT, INT, INT, BOOL]),
    ("bridge_unsigned", "unsigned identity(unsigned)", &[INT]),
    ("bridge_long", "long identity(long)", &[LONG]),
    ("bridge_pointer", "void *identity(void *)", &[POINTER]),
    ("bridge_float", "float identity(float)", &[DOUBLE]),
];

/// The name of a file, what a map stub calls, and how the elements lie that it is called with.
/// Functions and callbacks of Windows' convention.
const WINDOWS: &[(&str, &str)] = &[
    ("windows_mixed", "double mixed(int, double, long, float, void *, short) __attribute__((ms_abi))"),
    ("windows_pair", "struct pair { long a, b; }; struct pair pair(struct pair, int) __attribute__((ms_abi))"),
    ("windows_wide", "__int128 wide(__int128, float _Complex) __attribute__((ms_abi))"),
];

/// Calls and callbacks over pointers.
const POINTERS: &[(&str, &str)] = &[
    ("pointers_pow", "double pow(double, double)"),
    ("pointers_narrow", "signed char narrow(short, unsigned, _Bool, long)"),
    ("pointers_point", "struct point { double x, y; }; struct point point(struct point, double)"),
    ("pointers_big24", "struct big { long a, b, c; }; struct big big24(struct big, long)"),
    ("pointers_tail", "struct tail { char bytes[7]; }; struct tail tail(struct tail, long)"),
    ("pointers_block", "struct block { char bytes[403]; }; int block(int, struct block)"),
];

const MAPS: &[(&str, &str, Steps)] = &[
    ("map_double", "double f(double)", Steps::Dense),
    ("map_doubles", "double f(double, double)", Steps::Dense),
    ("map_ints", "int f(int, int, int)", Steps::Dense),
    ("map_strided", "double f(double, double)", Steps::Strided),
    ("map_narrow", "_Bool f(signed char, unsigned char, short, unsigned short, float)", Steps::Dense),
    ("map_void", "void f(void *)", Steps::Dense),
    ("map_stack", "long f(long, long, long, long, long, long, long, long, signed char, double, float)", Steps::Strided),
    ("map_variadic", "int f(double, ...)", Steps::Dense),
];

const ONLY_INT: &[Payload] = &[Payload::Int32];
const INT: &[Payload] = &[Payload::Int32, Payload::Double];
const DOUBLE: &[Payload] = &[Payload::Double, Payload::Int32];
const BOOL: &[Payload] = &[Payload::Bool, Payload::Int32];
const LONG: &[Payload] = &[Payload::Int32, Payload::Double, Payload::Int64];
const POINTER: &[Payload] = &[Payload::Double, Payload::Null, Payload::Int32, Payload::Int64];

/// Files of stubs whose results are made by a function of the host.
const CALLED: &[(&str, &str, &[&[Payload]])] = &[
    ("bridge_call_short", "short identity(short)", &[INT]),
    ("bridge_call_double", "double identity(double)", &[DOUBLE]),
];

/// The name of a file, what a function of a host like q calls, its parameters, whether the host's own `errno` and thread are
/// minded, and what its constructor is given first.
const ATOMS: &[Atoms] = &[
    ("bridge_atoms_pow", "double pow(double, double)", &[FLOATS; 2], false, None),
    ("bridge_atoms_pow_at_home", "double pow(double, double)", &[FLOATS; 2], true, None),
    ("bridge_atoms_add3", "int add3(int, int, int)", &[INTS; 3], false, None),
    ("bridge_atoms_add3_at_home", "int add3(int, int, int)", &[INTS; 3], true, None),
    ("bridge_atoms_stamp", "long stamp(long, short, _Bool)", &[INTS; 3], true, Some(-12)),
    ("bridge_atoms_sum", "float sum(const float *, unsigned long, float)", &[REALS, INTS, REAL], false, None),
    ("bridge_atoms_printf", "int show(const char *, ...)", &[TEXT], false, None),
];

/// The same for functions of that host whose arguments are in one list.
const LISTS: &[Atoms] = &[("bridge_list_pow", "double pow(double, double)", &[FLOATS; 2], false, None)];

type Atoms = (&'static str, &'static str, &'static [Atom], bool, Option<i32>);

/// The cases of a parameter, and where their payload is.
type Atom = (&'static [Case], u32);

const FLOATS: Atom = (&[case(-9, Payload::Double), case(-7, Payload::Int64), case(-8, Payload::Float)], 8);
const INTS: Atom = (&[case(-6, Payload::Int32), case(-7, Payload::Int64), case(-5, Payload::Int16), BYTE], 8);
const REAL: Atom = (&[case(-8, Payload::Float), case(-9, Payload::Double)], 8);
const REALS: Atom = (&[case(8, Payload::Address)], 16);
const TEXT: Atom = (&[case(10, Payload::Address)], 16);
const BYTE: Case = case(-4, Payload::Byte);

const fn case(tag: i32, payload: Payload) -> Case {
    Case { tag, payload }
}

fn shown(code: &[u8], arch: Arch) -> String {
    let machine = match arch {
        Arch::X86_64 => Machine::X86_64,
        Arch::Aarch64 => Machine::Aarch64,
    };
    format!("{} bytes\n\n{}", code.len(), listing(&disassemble(code, machine)))
}

fn stub(name: &str, declaration: &str, tail: &[&str], arch: Arch) -> String {
    let mut signature = Signature::parse(declaration).expect(name);
    if !tail.is_empty() {
        signature = signature.with_tail(tail.iter().map(|ty| Type::parse(ty).expect(name))).expect(name);
    }
    let plan = Plan::new(&signature, Convention::of(arch)).expect(name);
    let tail = if tail.is_empty() { String::new() } else { format!("... = {}\n", tail.join(", ")) };
    format!("{}\n{tail}{}", signature.declaration(), shown(&emit::call_stub(&plan).expect(name), arch))
}

fn callback(name: &str, declaration: &str, arch: Arch) -> String {
    let signature = Signature::parse(declaration).expect(name);
    let plan = Plan::new(&signature, Convention::of(arch)).expect(name);
    format!("{}\n{}", signature.declaration(), shown(&emit::closure_entry(&plan).expect(name), arch))
}

/// A host like QuickJS, whose values are a payload and a tag: argument by argument, and the result.
fn host(arguments: &[&[Payload]], boxing: Boxing) -> Spec {
    let tag = |payload: Payload| match payload {
        Payload::Int32 => 0,
        Payload::Bool => 1,
        Payload::Null => 2,
        Payload::Int64 => 7,
        Payload::Double => 8,
        other => unreachable!("{other:?} is none of this host's"),
    };
    let argument = |(index, payloads): (usize, &&[Payload])| Argument {
        tag: Place::new(3, 16 * index as u32 + 8),
        tag_width: TagWidth::Int,
        payload: Place::new(3, 16 * index as u32),
        cases: payloads.iter().map(|payload| Case { tag: tag(*payload), payload: *payload }).collect(),
    };
    let entry = "struct value { unsigned long payload; long tag; }; struct value native(void *context, struct value this, \
                 int count, struct value *arguments, int magic, struct value *data)";
    Spec {
        entry: Signature::parse(entry).unwrap(),
        guards: vec![],
        arguments: arguments.iter().enumerate().map(argument).collect(),
        record: Operand::Memory(Place::new(5, 0)),
        context: Some(0),
        errno: true,
        home: false,
        fallback: ptr::without_provenance(0x1_1111_1111),
        failed: ptr::without_provenance(0x2_2222_2222),
        boxing,
    }
}

/// A host like q, whose native functions get a pointer to each value and nothing else.
fn host_of_atoms(arguments: &[Atom], minded: bool, leading: Option<i32>) -> Spec {
    let argument = |(parameter, (cases, offset)): (usize, &Atom)| Argument {
        tag: Place::new(parameter, 2),
        tag_width: TagWidth::Byte,
        payload: Place::new(parameter, *offset),
        cases: cases.to_vec(),
    };
    Spec {
        entry: Signature::new(Type::pointer(), vec![Type::pointer(); arguments.len()]).unwrap(),
        guards: vec![],
        arguments: arguments.iter().enumerate().map(argument).collect(),
        record: Operand::Constant(ptr::without_provenance(0x5555_5555_5550)),
        context: None,
        errno: minded,
        home: minded,
        fallback: ptr::without_provenance(0x1111_1111_1111),
        failed: ptr::without_provenance(0x2222_2222_2222),
        boxing: Boxing::Constructor { function: ptr::without_provenance(0x3333_3333_3333), leading },
    }
}

/// The same host, where a native function gets a list of values, and its length counts.
fn host_of_lists(arguments: &[Atom], minded: bool, leading: Option<i32>) -> Spec {
    let mut spec = host_of_atoms(arguments, minded, leading);
    spec.entry = Signature::new(Type::pointer(), [Type::pointer()]).unwrap();
    for (index, argument) in spec.arguments.iter_mut().enumerate() {
        let through = |place: Place| Place::through(0, 16 + 8 * index as u32, place.offset);
        (argument.tag, argument.payload) = (through(argument.tag), through(argument.payload));
    }
    let length = Guard { place: Place::new(0, 8), width: TagWidth::Int, value: arguments.len() as i32 };
    spec.guards = vec![Guard { place: Place::new(0, 2), width: TagWidth::Byte, value: 0 }, length];
    spec
}

fn bridge(name: &str, declaration: &str, host: &Spec, arch: Arch) -> String {
    let signature = Signature::parse(declaration).expect(name);
    let errno = if arch == Arch::X86_64 { -80 } else { 24 };
    let code = emit::bridge_stub(host, &signature, Convention::of(arch), errno).expect(name);
    format!("{}\n{}", signature.declaration(), shown(&code, arch))
}

fn map(name: &str, declaration: &str, steps: Steps, arch: Arch) -> String {
    let signature = Signature::parse(declaration).expect(name);
    let code = emit::map_stub(&signature, Convention::of(arch), steps).expect(name);
    format!("{}\n{steps:?}\n{}", signature.declaration(), shown(&code, arch))
}

fn windows_of(name: &str, declaration: &str) -> String {
    let signature = Signature::parse(declaration).expect(name);
    let plan = Plan::new(&signature, Convention::Win64).expect(name);
    let (stub, entry) = (emit::call_stub(&plan).expect(name), emit::closure_entry(&plan).expect(name));
    let (stub, entry) = (shown(&stub, Arch::X86_64), shown(&entry, Arch::X86_64));
    format!("{}\n{stub}\nentry, {entry}", signature.declaration())
}

fn pointers_of(name: &str, declaration: &str, arch: Arch) -> String {
    let signature = Signature::parse(declaration).expect(name);
    let convention = Convention::of(arch);
    let stub = pointers::call_stub_code(&signature, convention, name == "pointers_narrow").expect(name);
    let entry = pointers::entry_code(&signature, convention, StateIn::Record).expect(name);
    format!("{}\n{}\nentry, {}", signature.declaration(), shown(&stub, arch), shown(&entry, arch))
}

/// All that is in the files for an architecture, by name.
fn golden(arch: Arch) -> Vec<(&'static str, String)> {
    let stubs = STUBS.iter().map(|(name, declaration, tail)| (*name, stub(name, declaration, tail, arch)));
    let callbacks = CALLBACKS.iter().map(|(name, declaration)| (*name, callback(name, declaration, arch)));
    let entry = |place| shown(&emit::page_entry(arch, place, emit::RECORD_DISTANCE), arch);
    let entries = ENTRIES.iter().map(|(name, place)| (*name, format!("record in {place:?}\n{}", entry(*place))));
    let tagged = Boxing::Tagged(Tags {
        int: 0,
        double: 8,
        bool: 1,
        undefined: 3,
        null: Some(2),
        wide: ptr::without_provenance(0x3_3333_3333),
    });
    let called = Boxing::Call(ptr::without_provenance(0x4_4444_4444));
    let bridges = BRIDGES.iter().map(|bridge| (bridge, tagged)).chain(CALLED.iter().map(|bridge| (bridge, called)));
    let bridges = bridges.map(|((name, declaration, arguments), boxing)| {
        (*name, bridge(name, declaration, &host(arguments, boxing), arch))
    });
    let atoms = ATOMS.iter().map(|(name, declaration, arguments, minded, leading)| {
        (*name, bridge(name, declaration, &host_of_atoms(arguments, *minded, *leading), arch))
    });
    let lists = LISTS.iter().map(|(name, declaration, arguments, minded, leading)| {
        (*name, bridge(name, declaration, &host_of_lists(arguments, *minded, *leading), arch))
    });
    let maps = MAPS.iter().map(|(name, declaration, steps)| (*name, map(name, declaration, *steps, arch)));
    let windows = WINDOWS.iter().filter(|_| arch == Arch::X86_64);
    let windows = windows.map(|(name, declaration)| (*name, windows_of(name, declaration)));
    let pointers = POINTERS.iter().map(|(name, declaration)| (*name, pointers_of(name, declaration, arch)));
    let calls = stubs.chain(callbacks).chain(entries).chain(windows).chain(pointers);
    calls.chain(bridges).chain(atoms).chain(lists).chain(maps).collect()
}

fn file(arch: Arch, name: &str) -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "tests", "golden", &arch.to_string(), &format!("{name}.txt")].iter().collect()
}

#[test]
fn stubs_are_as_they_were_read() {
    let bless = env::var_os("JITCALL_BLESS").is_some();
    let mut changed = Vec::new();
    for arch in Arch::ALL {
        for (name, now) in golden(arch) {
            let path = file(arch, name);
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
        let known: Vec<PathBuf> = golden(arch).iter().map(|(name, _)| file(arch, name)).collect();
        for entry in fs::read_dir(file(arch, "add").parent().unwrap()).unwrap() {
            let path = entry.unwrap().path();
            let known = known.contains(&path);
            assert!(known, "{} is of no stub", path.display());
        }
    }
}
