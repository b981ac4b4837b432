//! Processes that may not make memory executable: the tier is chosen by itself, and calls do the same.
//!
//! Each policy is applied in a child process. Libraries are loaded before, since that maps executable memory as well.

mod hardening;
mod support;
mod tiers;

use std::any::Any;
use std::ffi::c_void;
use std::io::{PipeWriter, Read, Write, pipe};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::OnceLock;
use std::{env, fs};

use hardening::Policy;
use jitcall::engine::TIER_VARIABLE;
use jitcall::{Engine, Errno, Error, Function, Library, Signature, Tier, Type, Value};
use support::check::{Compiled, In, Road, Slots};
use support::compile::{Compiler, Folder};
use support::generate::Source;
use support::{Run, table};
use tiers::{Print, bind, find};

/// After that many seconds a child counts as hanging.
const PATIENCE: u32 = 600;

/// What all children inherit: loaded, and not yet touched by any engine.
struct Loaded {
    compiled: Compiled,
    /// Which cases fail on the tier without a JIT where nothing is refused: none, if `signatures.rs` passes, but for
    /// those that the compiler itself gets wrong.
    failing: Vec<usize>,
    process: Library,
    math: Library,
}

impl Loaded {
    fn get() -> &'static Loaded {
        static LOADED: OnceLock<Loaded> = OnceLock::new();
        LOADED.get_or_init(|| {
            let (compiler, folder, run) = (Compiler::from_env(), Folder::new(), Run::from_env(100));
            let mut cases = table::cases(compiler.dialect);
            cases.extend(run.seeds().map(|seed| Source::case(seed, compiler.dialect)));
            let compiled = Compiled::new(cases, false, &compiler, &folder);
            for entry in fs::read_dir(folder.path()).expect("the folder").flatten() {
                if entry.path().extension().is_some_and(|extension| extension == "so") {
                    // SAFETY: the libraries run nothing when they are loaded.
                    std::mem::forget(unsafe { Library::open(entry.path()) }.expect("a library that loads"));
                }
            }
            let failing = failing(&compiled, &Slots(Tier::Asm));
            let math = tiers::open("libm.so.6").expect("the C library's own");
            Loaded { compiled, failing, process: Library::process(), math }
        })
    }
}

fn failing(compiled: &Compiled, road: &dyn Road) -> Vec<usize> {
    let found = compiled.failures(road);
    (0..found.len()).filter(|index| found[*index].is_some()).collect()
}

/// Runs a check in a child process under the policy, and fails with what it says.
fn under(policy: &Policy, check: impl FnOnce(&Loaded)) {
    entering(policy, |_| (), |loaded, ()| check(loaded));
}

/// Runs a check in a child process that does something before it is under the policy.
fn entering<T>(policy: &Policy, before: impl FnOnce(&Loaded) -> T, check: impl FnOnce(&Loaded, T)) {
    if let Some(reason) = policy.left_out() {
        println!("{reason}");
        return;
    }
    let loaded = Loaded::get();
    let (mut reader, writer) = pipe().expect("a pipe");
    // SAFETY: the C library makes a child's heap usable, and the child runs no code but its own: it leaves by _exit.
    let child = unsafe { libc::fork() };
    if child == 0 {
        drop(reader);
        // SAFETY: a child that hangs is ended by the signal; nothing of the parent's is to be cleaned up.
        unsafe {
            libc::alarm(PATIENCE);
            libc::_exit(i32::from(!report(writer, || {
                let done = before(loaded);
                policy.apply().expect("a policy that the system knows");
                assert!(policy.is_in_force(), "{} changes nothing", policy.name);
                check(loaded, done);
            })))
        }
    }
    drop(writer);
    let (mut said, mut status) = (String::new(), 0);
    reader.read_to_string(&mut said).expect("a pipe that can be read");
    // SAFETY: the child is this process's own, and nobody else waits for it.
    assert_eq!(unsafe { libc::waitpid(child, &raw mut status, 0) }, child);
    assert_eq!(status, 0, "under {}: wait status {status:#x}: {said}", policy.name);
    println!("under {}: {said}", policy.name);
}

/// Runs a check and tells the parent what came of it; whether it was well.
fn report(mut writer: PipeWriter, check: impl FnOnce()) -> bool {
    let outcome = catch_unwind(AssertUnwindSafe(check));
    let text = match &outcome {
        Ok(()) => format!("tier {} ({})", Engine::global().tier(), Engine::global().reason()),
        Err(panic) => panic_text(&**panic),
    };
    writer.write_all(text.as_bytes()).is_ok() && outcome.is_ok()
}

fn panic_text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
    text.unwrap_or("a panic without text").to_owned()
}

/// The JIT works under the policy.
fn keeps_the_jit(policy: &Policy) {
    under(policy, |loaded| {
        let engine = Engine::global();
        let chosen = chosen(Tier::Jit, "the system allows executable memory");
        assert_eq!((engine.tier(), engine.reason()), (chosen.0, chosen.1.as_str()));
        let jit = Engine::builder().tier(Tier::Jit).build().expect("a JIT");
        everything_works(&jit, loaded);
        everything_works(engine, loaded);
        assert!(jit.statistics().stubs > 20, "{:?}", jit.statistics());
        assert!(policy.is_in_force(), "the JIT has changed nothing of that");
    });
}

/// The trampolines take over under the policy, and the engine says which step was refused with which error.
fn leaves_the_trampolines(policy: &Policy, step: &str, errno: i32) {
    under(policy, |loaded| {
        let engine = Engine::global();
        let refusal = std::io::Error::from_raw_os_error(errno);
        let (tier, reason) = chosen(Tier::Asm, &format!("the system refused executable memory ({step}): {refusal}"));
        assert_eq!((engine.tier(), engine.reason()), (tier, reason.as_str()));
        let refused = Engine::builder().tier(Tier::Jit).build().expect_err("a JIT where there can be none");
        match refused {
            Error::CodeMemory { step: at, source } => assert_eq!((at, source.raw_os_error()), (step, Some(errno))),
            other => panic!("another error: {other}"),
        }
        everything_works(engine, loaded);
        assert_eq!(engine.statistics().mapped_bytes, 0);
    });
}

/// What an engine chooses by itself, unless the tests are told to run without a JIT.
fn chosen(tier: Tier, reason: &str) -> (Tier, String) {
    match env::var(TIER_VARIABLE).as_deref() {
        Ok("asm") => (Tier::Asm, format!("{TIER_VARIABLE}=asm")),
        Ok("jit") if tier == Tier::Jit => (tier, format!("{TIER_VARIABLE}=jit")),
        _ => (tier, reason.to_owned()),
    }
}

fn everything_works(engine: &Engine, loaded: &Loaded) {
    let failing = failing(&loaded.compiled, &In(engine));
    let new = failing.iter().find(|index| !loaded.failing.contains(index));
    let label = new.map(|index| &loaded.compiled.cases()[*index].label);
    assert_eq!(label, None, "a call that failed, of {}", failing.len());
    let print = Print::new(engine);
    assert!((0..Print::shapes(3)).all(|shape| print.works(shape)), "variadic calls");
    calls_work(engine, loaded);
    calls_on_other_threads_work(engine);
    callbacks_work(engine, loaded);
    engine.audit().expect("memory as it should be");
}

/// The three ways in, and results of every carrier.
fn calls_work(engine: &Engine, loaded: &Loaded) {
    let pow = find(engine, &loaded.math, "double pow(double, double)");
    let div = find(engine, &loaded.process, "struct { long quot, rem; } ldiv(long, long)");
    let close = find(engine, &loaded.process, "int close(int)");
    let arguments = [2.0.into(), 10.0.into()];
    // SAFETY: that is how <math.h>, <stdlib.h> and <unistd.h> declare them.
    unsafe {
        assert_eq!(pow.call(&[2.0.into(), 10.into()]).unwrap(), Value::F64(1024.0));
        assert_eq!(pow.slots::<f64>().unwrap().call(arguments.as_ptr()), 1024.0);
        assert_eq!(pow.typed::<(f64, f64), f64>().unwrap().call((2.0, 10.0)), 1024.0);
        let parts = div.call(&[(-17).into(), 5.into()]).unwrap();
        let parts = parts.as_object().expect("a struct");
        assert_eq!((parts.get(0).unwrap(), parts.get(1).unwrap()), (Value::I64(-3), Value::I64(-2)));
        let closed = close.call_with_errno(&[(-1).into()]).unwrap();
        assert_eq!(closed, (Value::I32(-1), Errno(libc::EBADF)));
    }
}

/// Closures that are entered in each way: by registers, by emitted code or the plan, and typed.
fn callbacks_work(engine: &Engine, loaded: &Loaded) {
    let declaration = "void qsort(void *, size_t, size_t, int (*)(const void *, const void *))";
    let (qsort, signature) = (find(engine, &loaded.process, declaration), "int compare(const void *, const void *)");
    let compare = engine.prepare_callback(&Signature::parse(signature).expect(signature)).expect("an entry");
    // SAFETY: qsort compares two of its elements.
    let order = |a: *const i32, b: *const i32| unsafe { (*a).cmp(&*b) as i32 };
    let closures = [
        compare.typed(order).expect("an entry"),
        // SAFETY: as above: two pointers, and an `int` result.
        compare.slots(|a, result| unsafe { result.write(order(a.read(0), a.read(1))) }).expect("an entry"),
    ];
    for closure in &closures {
        let mut numbers: Vec<i32> = (0..100).map(|number| number * 37 % 101).collect();
        // SAFETY: that is how <stdlib.h> declares it.
        unsafe { qsort.call(&[numbers.as_mut_slice().into(), 100.into(), 4.into(), closure.value()]) }.expect("a sort");
        assert!(numbers.is_sorted());
    }
    let declaration = "struct t { float a; long b; double c; }; struct t turn(struct t, short, float)";
    let signature = Signature::parse(declaration).expect(declaration);
    let turn = engine.prepare_callback(&signature).expect("an entry");
    let turn = turn.values(|values| Ok(Value::Object(values[0].as_object().expect("a struct").clone())));
    let turn = turn.expect("an entry");
    let function = Function::with_engine(engine, turn.as_ptr(), signature).expect("a function");
    let given = Value::List(&[Value::F32(1.5), Value::I64(-2), Value::F64(2.5)]);
    // SAFETY: the closure has the function's signature.
    let back = unsafe { function.call(&[given, 1.into(), 2.5.into()]) }.expect("a call");
    assert_eq!(back.to_string(), "{a: 1.5, b: -2, c: 2.5}");
}

extern "C" fn halve(number: i64) -> f64 {
    number as f64 / 2.0
}

/// Threads inherit the policy.
fn calls_on_other_threads_work(engine: &Engine) {
    let halve = bind(engine, halve as *const c_void, "double halve(long)");
    let submit = |function: &Function, number: i64| {
        // SAFETY: that is the type of `halve`.
        unsafe { function.call_async(vec![number.into()]) }.expect("a pool")
    };
    let pending: Vec<_> = (0..20).map(|number| submit(&halve, number)).collect();
    for (pending, number) in pending.into_iter().zip(0..) {
        assert_eq!(pending.wait().expect("a call").value, Value::F64(f64::from(number) / 2.0));
    }
}

#[test]
fn mdwe() {
    keeps_the_jit(&Policy::mdwe());
}

#[test]
fn memory_deny_write_execute() {
    keeps_the_jit(&Policy::systemd());
}

#[test]
fn executable_mappings_refused() {
    for errno in [libc::EPERM, libc::EACCES] {
        leaves_the_trampolines(&Policy::no_executable_mapping(errno), "mmap to execute", errno);
    }
}

#[test]
fn shared_executable_mappings_refused() {
    leaves_the_trampolines(&Policy::no_shared_executable_mapping(), "mmap to execute", libc::EACCES);
}

#[test]
fn memory_files_refused() {
    leaves_the_trampolines(&Policy::no_memory_file(), "memfd_create", libc::EPERM);
}

/// A process that enters a sandbox with an engine at work: its stubs stay, and new shapes go another way.
#[test]
fn executable_mappings_refused_from_now_on() {
    let before = |loaded: &Loaded| {
        let (chosen, told) = (Engine::global().clone(), Engine::builder().tier(Tier::Jit).build().expect("a JIT"));
        calls_work(&chosen, loaded);
        calls_work(&told, loaded);
        (chosen, told)
    };
    entering(&Policy::no_executable_mapping(libc::EPERM), before, |loaded, (chosen, told)| {
        let stubs = told.statistics().stubs;
        everything_works(&chosen, loaded);
        calls_work(&told, loaded);
        assert_eq!(told.statistics().stubs, stubs, "all of that was there");
        let prepare = |engine: &Engine, doubles| {
            let signature = Signature::new(Type::Void, vec![Type::F64; doubles]).expect("a signature");
            engine.prepare(&signature).map(|interface| interface.tier())
        };
        // What the open chunk still has room for is made; then there is no other chunk.
        let refused = (9..1000).find_map(|doubles| prepare(&told, doubles).err()).expect("a refusal");
        assert!(matches!(refused, Error::CodeMemory { step: "mmap to execute", .. }), "{refused}");
        let ways: Vec<Tier> = (9..1000).map(|doubles| prepare(&chosen, doubles).expect("a way to call it")).collect();
        assert_eq!(ways.last(), Some(&Tier::Asm));
        everything_works(&chosen, loaded);
        calls_work(&told, loaded);
    });
}
