//! What profilers and debuggers are told of stubs: by child processes for which `JITCALL_PROFILE` is set.

#[path = "support/compile.rs"]
#[allow(dead_code, reason = "only temporary folders are wanted here")]
mod compile;
#[path = "support/emulated.rs"]
mod emulated;
mod tiers;

use std::collections::HashMap;
use std::ffi::c_void;
use std::fs;
use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::process::{self, Command, Output, Stdio};
use std::time::{Duration, Instant};

use compile::Folder;
use jitcall::abi::{Convention, Plan};
use jitcall::engine::PROFILE_VARIABLE;
use jitcall::{Engine, Function, Signature, Slot, Tier, emit};
use tiers::{bind, engines};

/// Tells a child process what it is for.
const ROLE: &str = "JITCALL_TEST_ROLE";

/// Stubs with a frame and without.
const DECLARATIONS: [&str; 5] = [
    "double (double, double)",
    "long (int, char *)",
    "long (long, long, long, long, long, long, long, long, long)",
    "void (float, double, short)",
    "int (struct { long words[40]; })",
];

/// Made after the others have been written, so that only the exit writes it.
const LAST: &str = "unsigned char (float)";

/// Made by a child that was forked.
const FORKED: &str = "int (double, float, float)";

fn name(declaration: &str) -> String {
    format!("jitcall stub {}", Signature::parse(declaration).unwrap())
}

fn code(declaration: &str) -> Vec<u8> {
    emit::call_stub(&Plan::new(&Signature::parse(declaration).unwrap(), Convention::HOST).unwrap()).unwrap()
}

/// An engine that makes stubs; none where the system refuses it.
fn engine() -> Option<Engine> {
    engines().into_iter().find(|engine| engine.tier() == Tier::Jit)
}

extern "C" fn nothing() {}

fn make(engine: &Engine, declaration: &str) -> Function {
    bind(engine, nothing as *const c_void, declaration)
}

/// The path of this program.
fn this_program() -> PathBuf {
    std::env::current_exe().expect("the path of the test")
}

/// Runs a child, and gives its number and what it wrote.
fn run(role: &str, profile: &str, folder: &Path) -> (u32, Output) {
    let mut command = emulated::command(this_program());
    command.args(["--exact", "child", "--nocapture"]).current_dir(folder);
    command.env(ROLE, role).env(PROFILE_VARIABLE, profile).env_remove("JITDUMPDIR");
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let number = child.id();
    let output = child.wait_with_output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "{}\n{}", text(&output.stdout), text(&output.stderr));
    (number, output)
}

/// What the children of the other tests do. As a test of its own it has nothing to do.
#[test]
fn child() {
    match std::env::var(ROLE).as_deref() {
        Ok("make") => make_stubs(),
        Ok("fork") => fork_and_make_stubs(),
        Ok("crash") => call_what_aborts(),
        Ok("copy") => copy_for_a_while(),
        Ok(role) => panic!("unknown role {role}"),
        Err(_) => {}
    }
}

fn make_stubs() {
    let engine = engine().expect("the parent has one");
    let functions = DECLARATIONS.map(|declaration| make(&engine, declaration));
    // An engine that is dropped has everything written.
    drop(make(&self::engine().expect("as before"), "void (void)"));
    if let Ok(map) = fs::read_to_string(perf_map_path(process::id())) {
        let entries = parse_perf_map(&map);
        for declaration in DECLARATIONS {
            let (address, size) = entries[&name(declaration)];
            // SAFETY: the engine's code is there, and may be read.
            let found = unsafe { std::slice::from_raw_parts(address as *const u8, size) };
            assert_eq!(found, code(declaration), "{declaration}");
        }
        assert!(!entries.contains_key(&name(LAST)));
    }
    drop((functions, make(&engine, LAST)));
    // Exits with the engine in use, as a program does with the global one.
    std::mem::forget(engine);
}

fn fork_and_make_stubs() {
    let engine = engine().expect("the parent has one");
    make(&engine, DECLARATIONS[0]);
    // SAFETY: the child makes a stub and exits; the other thread of this process waits for the test.
    let child = unsafe { libc::fork() };
    if child == 0 {
        make(&engine, FORKED);
        // SAFETY: handlers at exit are wanted.
        unsafe { libc::exit(0) };
    }
    let mut status = -1;
    // SAFETY: waits for the child.
    assert_eq!(unsafe { libc::waitpid(child, &mut status, 0) }, child);
    assert_eq!(status, 0);
    make(&engine, LAST);
    println!("\nforked {child}");
    std::mem::forget(engine);
}

#[inline(never)]
fn call_what_aborts() {
    extern "C" fn stop() {
        // SAFETY: ends this process.
        unsafe { libc::abort() };
    }
    let engine = engine().expect("the parent has one");
    let function = bind(&engine, stop as *const c_void, DECLARATIONS[2]);
    let slots = [Slot::from(0u64); 9];
    let mut result = 0u64;
    // SAFETY: the target takes nothing, and does not return.
    unsafe { function.interface().call(function.target(), slots.as_ptr(), (&raw mut result).cast()) };
    black_box(result);
}

/// Takes 32000 bytes, which the stub copies.
const COPYING: &str = "void (struct { long words[4000]; })";

fn copy_for_a_while() {
    let engine = engine().expect("the parent has one");
    let function = make(&engine, COPYING);
    let slots = vec![Slot::from(0u64); function.interface().slots()];
    let start = Instant::now();
    while start.elapsed() < Duration::from_millis(500) {
        // SAFETY: the target takes nothing and returns nothing.
        unsafe { function.interface().call(function.target(), slots.as_ptr(), std::ptr::null_mut()) };
    }
}

fn perf_map_path(process: u32) -> PathBuf {
    format!("/tmp/perf-{process}.map").into()
}

/// Addresses and sizes by name.
fn parse_perf_map(map: &str) -> HashMap<String, (usize, usize)> {
    let parse = |line: &str| {
        let mut fields = line.splitn(3, ' ');
        let mut number = || usize::from_str_radix(fields.next().unwrap(), 16).unwrap();
        let place = (number(), number());
        (fields.next().unwrap().to_owned(), place)
    };
    map.lines().map(parse).collect()
}

fn take_perf_map(process: u32) -> HashMap<String, (usize, usize)> {
    let path = perf_map_path(process);
    let map = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    fs::remove_file(path).unwrap();
    parse_perf_map(&map)
}

/// Whether there is a JIT to tell of; says so where there is none.
fn has_jit() -> bool {
    let has = engine().is_some();
    if !has {
        println!("left out: there is no JIT to tell of");
    }
    has
}

#[test]
fn perf_maps_name_all_stubs() {
    if !has_jit() {
        return;
    }
    let folder = Folder::new();
    let (process, _) = run("make", "perf-map", folder.path());
    let entries = take_perf_map(process);
    for declaration in DECLARATIONS.into_iter().chain([LAST, "void (void)"]) {
        assert_eq!(entries[&name(declaration)].1, code(declaration).len(), "{declaration}");
    }
    assert_eq!(entries.len(), DECLARATIONS.len() + 2);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0, "nobody asked for a jitdump");
}

#[test]
fn forked_children_have_files_of_their_own() {
    if !has_jit() {
        return;
    }
    let folder = Folder::new();
    let (process, output) = run("fork", "perf-map,jitdump", folder.path());
    let output = String::from_utf8(output.stdout).unwrap();
    let forked = output.lines().find_map(|line| line.strip_prefix("forked ")).unwrap().parse().unwrap();
    let names = |process| {
        let mut map: Vec<String> = take_perf_map(process).into_keys().collect();
        let mut dump: Vec<String> =
            Dump::read(folder.path(), process).loads.into_iter().map(|load| load.name).collect();
        map.sort();
        dump.sort();
        assert_eq!(map, dump);
        map
    };
    let mut parents = [name(DECLARATIONS[0]), name(LAST)];
    parents.sort();
    assert_eq!(names(process), parents);
    assert_eq!(names(forked), [name(FORKED)]);
}

/// A jitdump.
struct Dump {
    loads: Vec<Load>,
}

/// A record of new code.
struct Load {
    time: u64,
    address: u64,
    index: u64,
    name: String,
    code: Vec<u8>,
}

/// Takes fields off the front of bytes.
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn take(&mut self, size: usize) -> &'a [u8] {
        let (field, rest) = self.0.split_at(size);
        self.0 = rest;
        field
    }

    fn word(&mut self) -> u32 {
        u32::from_ne_bytes(self.take(4).try_into().unwrap())
    }

    fn long(&mut self) -> u64 {
        u64::from_ne_bytes(self.take(8).try_into().unwrap())
    }
}

impl Dump {
    /// Reads and checks the file of a process.
    fn read(folder: &Path, process: u32) -> Dump {
        let bytes = fs::read(folder.join(format!("jit-{process}.dump"))).unwrap();
        let mut fields = Fields(&bytes);
        let machine = if cfg!(target_arch = "x86_64") { 62 } else { 183 };
        let head = [fields.word(), fields.word(), fields.word(), fields.word(), fields.word(), fields.word()];
        assert_eq!(head, [0x4a69_5444, 1, 40, machine, 0, process]);
        let (mut last, flags) = (fields.long(), fields.long());
        assert_eq!(flags, 0);
        let mut loads = Vec::new();
        while !fields.0.is_empty() {
            let load = Dump::load(&mut fields, process);
            assert!(load.time >= last);
            assert_eq!(load.index, loads.len() as u64);
            last = load.time;
            loads.push(load);
        }
        Dump { loads }
    }

    fn load(fields: &mut Fields<'_>, process: u32) -> Load {
        let (kind, size) = (fields.word(), fields.word() as usize);
        assert_eq!(kind, 0, "JIT_CODE_LOAD");
        let mut rest = Fields(fields.take(size - 8));
        let (time, of, _thread) = (rest.long(), rest.word(), rest.word());
        assert_eq!(of, process);
        let (linked, address, length, index) = (rest.long(), rest.long(), rest.long(), rest.long());
        assert_eq!(linked, address);
        let name = rest.take(rest.0.iter().position(|byte| *byte == 0).unwrap());
        assert_eq!(rest.0.len(), 1 + length as usize);
        Load { time, address, index, name: String::from_utf8(name.to_vec()).unwrap(), code: rest.0[1..].to_vec() }
    }
}

#[test]
fn jitdumps_have_all_code() {
    if !has_jit() {
        return;
    }
    let folder = Folder::new();
    let (process, _) = run("make", " jitdump, perf-map", folder.path());
    let dump = Dump::read(folder.path(), process);
    let mut entries = take_perf_map(process);
    let order = DECLARATIONS.into_iter().chain(["void (void)", LAST]);
    for (load, declaration) in dump.loads.iter().zip(order) {
        assert_eq!((&load.name, &load.code), (&name(declaration), &code(declaration)));
        assert_eq!(entries.remove(&load.name), Some((load.address as usize, load.code.len())));
    }
    assert!(entries.is_empty());
    assert_eq!(dump.loads.len(), DECLARATIONS.len() + 2);
}

#[test]
fn nothing_is_written_unless_asked_for() {
    if !has_jit() {
        return;
    }
    let folder = Folder::new();
    for profile in ["", "gdb", "perf-map,vtune"] {
        let (process, output) = run("make", profile, folder.path());
        assert!(!perf_map_path(process).exists());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
        let complaint = String::from_utf8(output.stderr).unwrap();
        assert_eq!(complaint.contains("JITCALL_PROFILE names vtune"), profile.contains("vtune"), "{complaint}");
    }
}

#[test]
fn files_that_cannot_be_written_are_reported() {
    if !has_jit() {
        return;
    }
    let folder = Folder::new();
    let mut command = emulated::command(this_program());
    command.args(["--exact", "child", "--nocapture"]).current_dir(folder.path());
    command.env(ROLE, "make").env(PROFILE_VARIABLE, "jitdump").env("JITDUMPDIR", folder.path().join("missing"));
    let output = command.output().unwrap();
    let complaint = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{complaint}");
    assert_eq!(complaint.matches("no more is told to profilers").count(), 1, "{complaint}");
    assert!(complaint.contains("missing/jit-"), "{complaint}");
}

/// Debuggers cannot be run on emulated programs; what they would find there is checked by the unit tests.
#[test]
fn gdb_names_stubs_and_unwinds_them() {
    let found = Command::new("gdb").arg("--version").output().is_ok_and(|output| output.status.success());
    if !has_jit() || emulated::is_emulated(this_program()) || !found {
        println!("left out: gdb is not installed, or the program is emulated");
        return;
    }
    let folder = Folder::new();
    let commands = ["set disable-randomization off", "set debuginfod enabled off", "run", "backtrace"];
    let mut gdb = Command::new("gdb");
    gdb.args(["-nx", "-batch"]).args(commands.iter().flat_map(|command| ["-ex", command]));
    gdb.arg("--args").arg(this_program()).args(["--exact", "child", "--nocapture"]);
    gdb.current_dir(folder.path()).env(ROLE, "crash").env(PROFILE_VARIABLE, "gdb");
    let output = gdb.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    if !text.contains("SIGABRT") {
        let complaint = String::from_utf8_lossy(&output.stderr);
        assert!(complaint.contains("ptrace"), "gdb does not get to the end:\n{text}\n{complaint}");
        println!("left out: gdb may not trace processes here: {complaint}");
        return;
    }
    let place = |what: &str| text.find(what).unwrap_or_else(|| panic!("no {what} in\n{text}"));
    let stub = format!("in {} ()", name(DECLARATIONS[2]));
    let callers = [place("call_what_aborts::stop ()"), place(&stub), place("profile::call_what_aborts ()")];
    assert!(callers.is_sorted(), "{text}");
}

/// Processes cannot be recorded everywhere, nor emulated ones anywhere.
#[test]
fn perf_finds_stubs_by_their_jitdump() {
    if !has_jit() || emulated::is_emulated(this_program()) {
        println!("left out: perf would record the emulator");
        return;
    }
    let folder = Folder::new();
    let perf = |arguments: &str| {
        let mut perf = Command::new("perf");
        // perf keeps files in a folder of its own, which is in HOME.
        perf.args(arguments.split(' ')).current_dir(folder.path()).env("HOME", folder.path());
        perf.env(ROLE, "copy").env(PROFILE_VARIABLE, "jitdump").env_remove("JITDUMPDIR");
        perf
    };
    let mut record = perf("record -q -k mono -e cpu-clock:u -o recorded --");
    let recorded = record.arg(this_program()).args(["--exact", "child"]).output();
    match recorded {
        Ok(output) if output.status.success() => {}
        Ok(output) => return println!("left out: {}", String::from_utf8_lossy(&output.stderr)),
        Err(error) => return println!("left out: perf: {error}"),
    }
    let injected = perf("inject --jit -i recorded -o injected").output().unwrap();
    assert!(injected.status.success(), "{}", String::from_utf8_lossy(&injected.stderr));
    let report = perf("report -q --stdio --sort symbol -i injected").output().unwrap();
    let report = String::from_utf8_lossy(&report.stdout);
    let line = report.lines().find(|line| line.contains(&name(COPYING))).unwrap_or_else(|| panic!("{report}"));
    let share: f64 = line.trim().split('%').next().unwrap().parse().unwrap();
    assert!(share > 20.0, "{report}");
}
