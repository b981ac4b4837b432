//! Faults in foreign code: what guarded calls recover from, what they leave to others, and crash reports.
//!
//! Signal handlers belong to the process, so one test runs at a time, and what ends a process happens in a child.

#[path = "support/child.rs"]
mod child;
mod support;
mod tiers;

use std::backtrace::Backtrace;
use std::cell::Cell;
use std::ffi::{CStr, c_int, c_void};
use std::hint::black_box;
use std::mem::{self, MaybeUninit};
use std::os::unix::process::ExitStatusExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitStatus;
use std::ptr::{null, null_mut, without_provenance_mut};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::{env, thread};

use child::in_child;
use jitcall::guard::{self, Fault, REPORT_VARIABLE};
use jitcall::value::LongDouble;
use jitcall::{Engine, Error, Function, Guard, Library, Slot, Value};
use support::compile::{Compiler, Folder};
use tiers::{bind, engines, find};

/// Functions that fault, and some that do not.
const SOURCE: &str = r#"
#define _GNU_SOURCE
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

const int constant = 7;

int read_at(const int *p) { return *p; }
void write_at(int *p, int value) { *p = value; }

/* The second page of a file of one page. */
int read_beyond_file(void) {
    int file = memfd_create("beyond", 0);
    long page = sysconf(_SC_PAGESIZE);
    ftruncate(file, page);
    volatile char *memory = mmap(0, 2 * page, PROT_READ, MAP_SHARED, file, 0);
    close(file);
    return memory[page];
}

#ifdef __x86_64__
int divide(int a, int b) { return a / b; }
void illegal(void) { __asm__ volatile("ud2"); }
#else
/* Division traps on no AArch64, so the signal is made as the kernel would make it. */
int divide(int a, int b) {
    siginfo_t info;
    memset(&info, 0, sizeof info);
    info.si_signo = SIGFPE;
    info.si_code = FPE_INTDIV;
    info.si_addr = (void *)divide;
    if (b == 0) syscall(SYS_rt_tgsigqueueinfo, getpid(), syscall(SYS_gettid), SIGFPE, &info);
    return b == 0 ? 0 : a / b;
}
void illegal(void) { __asm__ volatile(".inst 0"); }
#endif

/* It does not come to the end; what is added keeps the call from being a jump. */
int overflow(int depth) {
    volatile char room[1000];
    room[depth % 1000] = 1;
    return overflow(depth + 1) + room[0];
}

int call_back(int (*f)(int), int x) { return f(x) + 1; }
int call_and_read(int (*f)(int), int x, const int *p) { return f(x) + *p; }
int set_and_read(int (*set)(int), int mode, const int *p) { set(mode); return *p; }

struct point { int x; double y; };
int many(int count, double ratio, const char *name, struct point at, _Bool flag, const int *p) { return *p; }

long add(long a, long b) { return a + b; }
double half(double x) { return x / 2; }
long double half_long(long double x) { return x / 2; }
double _Complex turn(double _Complex z) { return z * 1.0i; }
struct mixed { long a; double b; } mix(long a, double b) { return (struct mixed){ a, b }; }
struct xim { double b; long a; } xim(long a, double b) { return (struct xim){ b, a }; }
struct vec { float x, y, z; } vec(float x) { return (struct vec){ x, x + 1, x + 2 }; }
struct big { long a[5]; } big(long a) { return (struct big){ { a, a + 1, a + 2, a + 3, a + 4 } }; }
long sum(long a, long b, long c, long d, long e, long f, long g, long h, long i, long j) {
    return a + b + c + d + e + f + g + h + i + j;
}

/* Loads the callee-saved registers with marks, calls, and gives 0 where the marks are still there. */
int with_marks(void (*f)(void));
/* Overwrites them all, and the direction flag, and faults. */
void spoil(void);

#ifdef __x86_64__
void fill_x87_and_fault(void) {
    __asm__ volatile("fld1\n fld1\n fld1\n fld1\n fld1\n fld1\n fld1\n fld1\n movl 16, %eax");
}

__asm__(
    ".pushsection .text\n .globl with_marks, spoil\n"
    "with_marks:\n"
    "push %rbx\n push %rbp\n push %r12\n push %r13\n push %r14\n push %r15\n sub $8, %rsp\n"
    "mov $11, %ebx\n mov $12, %ebp\n mov $13, %r12d\n mov $14, %r13d\n mov $15, %r14d\n mov $16, %r15d\n"
    "call *%rdi\n"
    "xor $11, %rbx\n xor $12, %rbp\n xor $13, %r12\n xor $14, %r13\n xor $15, %r14\n xor $16, %r15\n"
    "mov %rbx, %rax\n or %rbp, %rax\n or %r12, %rax\n or %r13, %rax\n or %r14, %rax\n or %r15, %rax\n"
    "pushfq\n pop %rcx\n and $0x400, %ecx\n or %ecx, %eax\n"
    "add $8, %rsp\n pop %r15\n pop %r14\n pop %r13\n pop %r12\n pop %rbp\n pop %rbx\n ret\n"
    "spoil:\n"
    "mov $-1, %rbx\n mov $-1, %rbp\n mov $-1, %r12\n mov $-1, %r13\n mov $-1, %r14\n mov $-1, %r15\n"
    "std\n movl 16, %eax\n"
    ".popsection\n");
#else
#define EACH(X) X(19) X(20) X(21) X(22) X(23) X(24) X(25) X(26) X(27) X(28)
#define EACH_D(X) X(8) X(9) X(10) X(11) X(12) X(13) X(14) X(15)
#define MARK(n) "mov x" #n ", " #n "\n"
#define MARK_D(n) "mov x9, " #n "\n fmov d" #n ", x9\n"
#define CHECK(n) "eor x9, x" #n ", " #n "\n orr x0, x0, x9\n"
#define CHECK_X(n) "mov x9, " #n "\n eor x9, x9, x" #n "\n orr x0, x0, x9\n"
#define CHECK_D(n) "mov x9, " #n "\n fmov x10, d" #n "\n eor x9, x9, x10\n orr x0, x0, x9\n"
#define SPOIL(n) "mov x" #n ", -1\n"
#define SPOIL_D(n) "mov x9, -1\n fmov d" #n ", x9\n"

__asm__(
    ".pushsection .text\n .globl with_marks, spoil\n"
    "with_marks:\n"
    "stp x29, x30, [sp, -160]!\n mov x29, sp\n"
    "stp x19, x20, [sp, 16]\n stp x21, x22, [sp, 32]\n stp x23, x24, [sp, 48]\n stp x25, x26, [sp, 64]\n"
    "stp x27, x28, [sp, 80]\n stp d8, d9, [sp, 96]\n stp d10, d11, [sp, 112]\n stp d12, d13, [sp, 128]\n"
    "stp d14, d15, [sp, 144]\n"
    EACH(MARK) EACH_D(MARK_D)
    "blr x0\n mov x0, 0\n"
    EACH(CHECK_X) EACH_D(CHECK_D)
    "ldp x19, x20, [sp, 16]\n ldp x21, x22, [sp, 32]\n ldp x23, x24, [sp, 48]\n ldp x25, x26, [sp, 64]\n"
    "ldp x27, x28, [sp, 80]\n ldp d8, d9, [sp, 96]\n ldp d10, d11, [sp, 112]\n ldp d12, d13, [sp, 128]\n"
    "ldp d14, d15, [sp, 144]\n"
    "ldp x29, x30, [sp], 160\n ret\n"
    "spoil:\n"
    EACH(SPOIL) EACH_D(SPOIL_D)
    "mov x29, -1\n mov x30, -1\n mov x9, 16\n ldr x9, [x9]\n"
    ".popsection\n");
#endif
"#;

const READ_AT: &str = "int read_at(const int *p)";
const OVERFLOW: &str = "int overflow(int depth)";
const CALL_BACK: &str = "int call_back(int (*f)(int), int x)";
const CALL_AND_READ: &str = "int call_and_read(int (*f)(int), int x, const int *p)";

/// The compiled functions.
fn library() -> &'static Library {
    static LIBRARY: OnceLock<Library> = OnceLock::new();
    LIBRARY.get_or_init(|| {
        let folder = Folder::new();
        let files = Compiler::from_env().compile(&folder, &[SOURCE.to_owned()]);
        // SAFETY: it has no initialisers.
        unsafe { Library::open(&files[0]) }.unwrap()
    })
}

/// Lets one test run at a time, with the library at hand.
fn alone() -> MutexGuard<'static, ()> {
    static LOCK: Mutex<()> = Mutex::new(());
    let lock = LOCK.lock().unwrap_or_else(PoisonError::into_inner);
    library();
    lock
}

/// An address that nothing is mapped at.
fn nowhere() -> Value<'static> {
    Value::Pointer(without_provenance_mut(16))
}

fn call(guard: &Guard, function: &Function, arguments: &[Value<'_>]) -> Result<Value<'static>, Error> {
    // SAFETY: the functions are declared as they are, and those that fault hold nothing.
    unsafe { guard.call(function, arguments) }
}

/// The fault of a call that ends in one.
#[track_caller]
fn fault(guard: &Guard, function: &Function, arguments: &[Value<'_>]) -> Fault {
    match call(guard, function, arguments) {
        Err(Error::Fault(fault)) => *fault,
        other => panic!("{function:?}: {other:?}"),
    }
}

/// Whether a function can be called, with a guard and without, and gives what it should.
#[track_caller]
fn check_works(guard: &Guard, engine: &Engine) {
    let add = find(engine, library(), "long add(long a, long b)");
    let arguments = [40i64.into(), 2i64.into()];
    assert_eq!(call(guard, &add, &arguments).unwrap(), Value::I64(42));
    // SAFETY: that is its declaration.
    assert_eq!(unsafe { add.call(&arguments) }.unwrap(), Value::I64(42));
}

fn action_of(signal: c_int) -> libc::sigaction {
    let mut action = MaybeUninit::uninit();
    // SAFETY: it is a question, which is answered.
    unsafe {
        assert_eq!(libc::sigaction(signal, null(), action.as_mut_ptr()), 0);
        action.assume_init()
    }
}

fn set_action(signal: c_int, handler: usize, flags: c_int) {
    // SAFETY: the handlers of these tests are of the kind that their flags say.
    unsafe {
        let mut action: libc::sigaction = mem::zeroed();
        action.sa_sigaction = handler;
        action.sa_flags = flags;
        assert_eq!(libc::sigaction(signal, &action, null_mut()), 0);
    }
}

fn restore_action(signal: c_int, action: &libc::sigaction) {
    // SAFETY: it was installed before.
    assert_eq!(unsafe { libc::sigaction(signal, action, null_mut()) }, 0);
}

#[test]
fn each_signal_is_recovered_from() {
    let _alone = alone();
    let guard = Guard::install().unwrap();
    let constant = Value::Pointer(library().symbol("constant").unwrap().cast_mut());
    let rows: &[(&str, &[Value<'_>], &str)] = &[
        (READ_AT, &[nowhere()], "read_at(p = 0x10): SIGSEGV (address not mapped) at 0x10, in read_at+0x"),
        (READ_AT, &[Value::NULL], "read_at(p = null): SIGSEGV (address not mapped) at 0x0, in read_at+0x"),
        ("void write_at(int *, int)", &[constant, 1.into()], ": SIGSEGV (access not permitted) at "),
        ("int read_beyond_file(void)", &[], "read_beyond_file(): SIGBUS (nothing behind the address) at "),
        (
            "int divide(int a, int b)",
            &[1.into(), 0.into()],
            "divide(a = 1, b = 0): SIGFPE (integer division by zero, or its result does not fit) in ",
        ),
        ("void illegal(void)", &[], "illegal(): SIGILL (illegal instruction) in illegal+0x0 of "),
    ];
    for engine in engines() {
        for (declaration, arguments, expected) in rows {
            let function = find(&engine, library(), declaration);
            // Twice, because a signal that stayed blocked would end the process the second time.
            for _ in 0..2 {
                let text = fault(&guard, &function, arguments).to_string();
                assert!(text.contains(expected), "{text} by {}", engine.tier());
                check_works(&guard, &engine);
            }
        }
    }
}

#[test]
fn faults_name_signal_address_place_and_arguments() {
    let _alone = alone();
    let guard = Guard::install().unwrap();
    let many = "struct point { int x; double y; };
        int many(int count, double ratio, const char *name, struct point at, _Bool flag, const int *p)";
    for engine in engines() {
        let function = find(&engine, library(), many);
        let at = Value::Fields(&[("x", 1.into()), ("y", 0.5.into())]);
        let arguments = [3.into(), 2.5.into(), c"text".into(), at, true.into(), nowhere()];
        let shown = fault(&guard, &function, &arguments);
        let expected =
            ["count = 3", "ratio = 2.5", "name = \"text\"", "at = {x: 1, y: 0.5}", "flag = true", "p = 0x10"];
        assert_eq!(shown.arguments, expected);
        assert_eq!((shown.function.as_str(), shown.signal, shown.address), ("many", libc::SIGSEGV, 16));

        let start = library().symbol("many").unwrap().addr();
        assert!((start..start + 64).contains(&shown.instruction), "{shown:?}");
        let place = shown.place.clone().expect("a place in the library");
        assert_eq!(Some(place.library.as_path()), library().path());
        let symbol = place.symbol.expect("an exported function");
        assert_eq!((symbol.name.as_str(), symbol.offset), ("many", shown.instruction - start));
        let text = format!(
            "many(count = 3, ratio = 2.5, name = \"text\", at = {{x: 1, y: 0.5}}, flag = true, p = 0x10): \
             SIGSEGV (address not mapped) at 0x10, in many+{:#x} of 0.so",
            symbol.offset
        );
        assert_eq!(shown.to_string(), text);

        let unnamed = find(&engine, library(), "int read_at(const int *)");
        assert_eq!(fault(&guard, &unnamed, &[nowhere()]).arguments, ["0x10"]);
    }
}

#[test]
fn slots_are_called_and_shown() {
    let _alone = alone();
    let guard = Guard::install().unwrap();
    for engine in engines() {
        let divide = find(&engine, library(), "int divide(int a, int b)");
        let mut result = 0i32;
        let mut slots = [Slot::from(-84), Slot::from(2)];
        let mut run = |slots: &[Slot]| {
            // SAFETY: the slots hold what is declared, with all bytes initialised.
            unsafe { guard.call_slots(&divide, slots.as_ptr(), (&raw mut result).cast()) }
        };
        run(&slots).unwrap();
        slots[1] = Slot::from(0);
        let Err(Error::Fault(shown)) = run(&slots) else { panic!("a division by zero") };
        assert_eq!(result, 0, "zeros come back from a fault");
        assert_eq!(shown.arguments, ["a = -84", "b = 0"]);
        assert_eq!(shown.signal_name(), "SIGFPE");

        let half = find(&engine, library(), "double half(double x)");
        let mut result = 0f64;
        // SAFETY: as above.
        unsafe { guard.call_slots(&half, [Slot::from(3.0)].as_ptr(), (&raw mut result).cast()) }.unwrap();
        assert_eq!(result, 1.5);
    }
}

#[test]
fn a_jump_to_nowhere_has_no_place() {
    let _alone = alone();
    let guard = Guard::install().unwrap();
    for engine in engines() {
        let call_back = find(&engine, library(), CALL_BACK);
        let shown = fault(&guard, &call_back, &[nowhere(), 1.into()]);
        assert_eq!((shown.instruction, &shown.place), (16, &None));
        assert!(shown.to_string().ends_with("at 0x10, at the instruction 0x10"), "{shown}");
        check_works(&guard, &engine);
    }
}

#[test]
fn results_of_every_kind_come_back() {
    let _alone = alone();
    let guard = Guard::install().unwrap();
    let half = LongDouble::from_f64(0.5);
    let rows: &[(&str, &[Value<'_>])] = &[
        ("long add(long, long)", &[40i64.into(), 2i64.into()]),
        ("double half(double)", &[3.0.into()]),
        ("long double half_long(long double)", &[half.into()]),
        ("double _Complex turn(double _Complex)", &[Value::Complex64(1.0, 2.0)]),
        ("struct mixed { long a; double b; }; struct mixed mix(long, double)", &[1i64.into(), 2.0.into()]),
        ("struct xim { double b; long a; }; struct xim xim(long, double)", &[1i64.into(), 2.0.into()]),
        ("struct vec { float x, y, z; }; struct vec vec(float)", &[1f32.into()]),
        ("struct big { long a[5]; }; struct big big(long)", &[1i64.into()]),
        ("long sum(long, long, long, long, long, long, long, long, long, long)", &[const { Value::I64(7) }; 10]),
    ];
    for engine in engines() {
        for (declaration, arguments) in rows {
            let function = find(&engine, library(), declaration);
            // SAFETY: that is its declaration.
            let expected = unsafe { function.call(arguments) }.unwrap();
            assert_eq!(call(&guard, &function, arguments).unwrap(), expected, "{declaration} by {}", engine.tier());
        }
        let add = find(&engine, library(), "long add(long, long)");
        assert!(matches!(call(&guard, &add, &[]), Err(Error::ArgumentCount { .. })));
        assert!(matches!(call(&guard, &add, &[1.5.into(), 1.into()]), Err(Error::Argument { .. })));
    }
}

#[test]
fn stack_overflow_meets_the_guard_page_every_time() {
    let _alone = alone();
    let guard = Guard::install().unwrap();
    for engine in engines() {
        let overflow = find(&engine, library(), OVERFLOW);
        for _ in 0..3 {
            let shown = fault(&guard, &overflow, &[0.into()]);
            assert_eq!(
                (shown.signal, shown.arguments.as_slice()),
                (libc::SIGSEGV, ["depth = 0".to_owned()].as_slice())
            );
            check_works(&guard, &engine);
        }
    }
}

#[test]
fn threads_recover_on_their_own() {
    let _alone = alone();
    let guard = Guard::install().unwrap();
    for engine in engines() {
        thread::scope(|scope| {
            for number in 0..4usize {
                let (guard, engine) = (&guard, &engine);
                scope.spawn(move || {
                    let read_at = find(engine, library(), READ_AT);
                    let address = 16 + 16 * number;
                    for _ in 0..200 {
                        let shown = fault(guard, &read_at, &[Value::Pointer(without_provenance_mut(address))]);
                        assert_eq!(shown.address, address);
                        check_works(guard, engine);
                    }
                    fault(guard, &find(engine, library(), OVERFLOW), &[0.into()]);
                });
            }
        });
    }
}

/// Whether this thread has an alternate signal stack.
fn has_alternate_stack() -> bool {
    let mut stack = libc::stack_t { ss_sp: null_mut(), ss_flags: 0, ss_size: 0 };
    // SAFETY: it is a question.
    assert_eq!(unsafe { libc::sigaltstack(null(), &mut stack) }, 0);
    stack.ss_flags & libc::SS_DISABLE == 0
}

#[test]
fn threads_that_rust_did_not_make_get_an_alternate_stack() {
    struct Work {
        guard: Guard,
        engine: Engine,
        well: bool,
    }
    extern "C" fn run(work: *mut c_void) -> *mut c_void {
        // SAFETY: the test passes it, and waits.
        let work = unsafe { &mut *work.cast::<Work>() };
        let Work { guard, engine, well } = work;
        let test = || {
            assert!(!has_alternate_stack());
            for _ in 0..2 {
                fault(guard, &find(engine, library(), OVERFLOW), &[0.into()]);
                assert!(has_alternate_stack());
            }
            check_works(guard, engine);
        };
        *well = catch_unwind(AssertUnwindSafe(test)).is_ok();
        null_mut()
    }
    let _alone = alone();
    for engine in engines() {
        let mut work = Work { guard: Guard::install().unwrap(), engine, well: false };
        // SAFETY: the work is there until the thread has ended.
        unsafe {
            let mut thread = mem::zeroed();
            assert_eq!(libc::pthread_create(&mut thread, null(), run, (&raw mut work).cast()), 0);
            assert_eq!(libc::pthread_join(thread, null_mut()), 0);
        }
        assert!(work.well, "by {}", work.engine.tier());
    }
}

thread_local! {
    /// What callbacks of this thread use, since C does not pass it to them.
    static WITHIN: Cell<*const (Guard, Engine)> = const { Cell::new(null()) };
}

/// Runs `f` with guard and engine at hand for callbacks.
fn with_callbacks(f: impl Fn(&Guard, &Engine)) {
    for engine in engines() {
        let both = (Guard::install().unwrap(), engine);
        WITHIN.set(&both);
        f(&both.0, &both.1);
        WITHIN.set(null());
    }
}

fn within() -> &'static (Guard, Engine) {
    // SAFETY: only callbacks below `with_callbacks` ask.
    unsafe { &*WITHIN.get() }
}

/// A callback that makes a guarded call, which faults.
extern "C" fn fault_below(x: c_int) -> c_int {
    guard::suspended(|| {
        let (guard, engine) = within();
        let address = Value::Pointer(without_provenance_mut(x as usize));
        let shown = fault(guard, &find(engine, library(), READ_AT), &[address]);
        assert_eq!(shown.address, x as usize);
        check_works(guard, engine);
        x
    })
}

/// A callback that goes down again by another guarded call, and faults on its way back.
extern "C" fn descend(x: c_int) -> c_int {
    guard::suspended(|| {
        let (guard, engine) = within();
        if x == 0 {
            return 0;
        }
        let call_and_read = find(engine, library(), CALL_AND_READ);
        let own = Value::from(descend as *const ());
        let shown = fault(guard, &call_and_read, &[own, (x - 1).into(), nowhere()]);
        assert_eq!(shown.arguments[1], format!("x = {}", x - 1));
        x
    })
}

#[test]
fn nested_calls_recover_each_its_own() {
    let _alone = alone();
    with_callbacks(|guard, engine| {
        let callback = || Value::from(fault_below as *const ());
        let call_back = find(engine, library(), CALL_BACK);
        assert_eq!(call(guard, &call_back, &[callback(), 32.into()]).unwrap(), Value::I32(33));
        let call_and_read = find(engine, library(), CALL_AND_READ);
        assert_eq!(fault(guard, &call_and_read, &[callback(), 32.into(), nowhere()]).address, 16);
        let descend = Value::from(descend as *const ());
        assert_eq!(call(guard, &call_back, &[descend, 20.into()]).unwrap(), Value::I32(21));
    });
}

/// A callback that faults.
extern "C" fn fault_in_callback(x: c_int) -> c_int {
    // SAFETY: it is not: that is the test.
    guard::suspended(|| unsafe { black_box(without_provenance_mut::<c_int>(x as usize)).read_volatile() })
}

#[test]
fn callbacks_are_not_recovered() {
    let _alone = alone();
    with_callbacks(|guard, engine| {
        let call_back = find(engine, library(), CALL_BACK);
        let arguments = [Value::from(fault_in_callback as *const ()), 16.into()];
        // The guard stands above the handler of Rust's standard library, which takes itself off.
        let (status, _) = in_child(|| drop(call(guard, &call_back, &arguments)));
        assert_eq!(status.signal(), Some(libc::SIGSEGV), "{status}");
        check_works(guard, engine);
    });
}

/// A handler of the old kind, which ends the process in its own way.
extern "C" fn exit_with_7(_: c_int) {
    // SAFETY: it is made for signal handlers.
    unsafe { libc::_exit(7) };
}

/// One that gets the address, and ends the process with it.
extern "C" fn exit_with_address(_: c_int, info: *mut libc::siginfo_t, _: *mut c_void) {
    // SAFETY: the system gives it, or who was called instead passes it on.
    unsafe { libc::_exit((*info).si_addr().addr() as c_int) };
}

#[test]
fn previous_handlers_get_what_is_not_recovered() {
    let _alone = alone();
    type Setting = (usize, c_int, Option<i32>, Option<i32>);
    let rows: &[Setting] = &[
        (exit_with_7 as *const () as usize, 0, Some(7), None),
        (exit_with_7 as *const () as usize, libc::SA_RESETHAND | libc::SA_NODEFER, Some(7), None),
        (exit_with_address as *const () as usize, libc::SA_SIGINFO, Some(16), None),
        (libc::SIG_DFL, 0, None, Some(libc::SIGSEGV)),
        (libc::SIG_IGN, 0, None, Some(libc::SIGSEGV)),
    ];
    for engine in engines() {
        for (handler, flags, code, signal) in rows {
            let prepare = || {
                set_action(libc::SIGSEGV, *handler, *flags);
                Guard::install().unwrap()
            };
            let check = |(status, _): (ExitStatus, String)| {
                assert_eq!((status.code(), status.signal()), (*code, *signal), "{status} by {}", engine.tier());
            };
            check(in_child(|| {
                let guard = prepare();
                let call_back = find(&engine, library(), CALL_BACK);
                let callback = Value::from(fault_in_callback as *const ());
                // The guard is used before, so that what is told apart is the place of the fault.
                fault(&guard, &find(&engine, library(), READ_AT), &[nowhere()]);
                drop(call(&guard, &call_back, &[callback, 16.into()]));
            }));
            check(in_child(|| {
                let guard = prepare();
                let read_at = find(&engine, library(), READ_AT);
                fault(&guard, &read_at, &[nowhere()]);
                // SAFETY: it is not: that is the test.
                drop(unsafe { read_at.call(&[nowhere()]) });
            }));
        }
    }
}

#[test]
fn signals_that_were_sent_are_no_faults() {
    let _alone = alone();
    let raise = Library::process().function("int raise(int sig)").unwrap();
    let send = |handler, flags| {
        in_child(|| {
            set_action(libc::SIGFPE, handler, flags);
            let guard = Guard::install().unwrap();
            assert_eq!(call(&guard, &raise, &[libc::SIGFPE.into()]).unwrap(), Value::I32(0));
        })
        .0
    };
    assert_eq!(send(libc::SIG_DFL, 0).signal(), Some(libc::SIGFPE));
    assert_eq!(send(libc::SIG_IGN, 0).code(), Some(0));
    assert_eq!(send(exit_with_7 as *const () as usize, 0).code(), Some(7));
}

/// A page that faults until [`make_accessible`] is called for it.
static PAGE: AtomicUsize = AtomicUsize::new(0);

extern "C" fn make_accessible(_: c_int, info: *mut libc::siginfo_t, _: *mut c_void) {
    let page = PAGE.load(Ordering::Relaxed);
    // SAFETY: the page is the test's; any other fault ends the process.
    unsafe {
        if (*info).si_addr().addr() != page {
            libc::_exit(1);
        }
        libc::mprotect(without_provenance_mut(page), 4096, libc::PROT_READ);
    }
}

#[test]
fn threads_without_a_guarded_call_keep_their_handler() {
    let _alone = alone();
    let before = action_of(libc::SIGSEGV);
    set_action(libc::SIGSEGV, make_accessible as *const () as usize, libc::SA_SIGINFO | libc::SA_ONSTACK);
    // SAFETY: a new mapping.
    let page = unsafe { libc::mmap(null_mut(), 4096, libc::PROT_NONE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS, -1, 0) };
    PAGE.store(page.addr(), Ordering::Relaxed);

    /// While this thread is in a guarded call, another meets the page.
    extern "C" fn read_page(_: c_int) -> c_int {
        let page = PAGE.load(Ordering::Relaxed);
        // SAFETY: the handler makes it readable.
        let read = move || unsafe { std::ptr::with_exposed_provenance::<c_int>(page).read_volatile() };
        guard::suspended(|| thread::spawn(read).join().unwrap())
    }
    page.expose_provenance();
    with_callbacks(|guard, engine| {
        let call_back = find(engine, library(), CALL_BACK);
        // SAFETY: the page is the test's.
        unsafe { libc::mprotect(page, 4096, libc::PROT_NONE) };
        let result = call(guard, &call_back, &[Value::from(read_page as *const ()), 0.into()]);
        assert_eq!(result.unwrap(), Value::I32(1));
        fault(guard, &find(engine, library(), READ_AT), &[nowhere()]);
    });
    restore_action(libc::SIGSEGV, &before);
    // SAFETY: nobody uses it any more.
    unsafe { libc::munmap(page, 4096) };
}

#[test]
fn handlers_are_taken_off_with_the_last_guard() {
    let _alone = alone();
    let signals = [libc::SIGSEGV, libc::SIGBUS, libc::SIGFPE, libc::SIGILL];
    let handlers = || signals.map(|signal| action_of(signal).sa_sigaction);
    let before = handlers();
    let first = Guard::install().unwrap();
    let during = handlers();
    assert!(before.iter().zip(&during).all(|(before, during)| before != during));
    let second = Guard::install().unwrap();
    drop(first);
    assert_eq!(handlers(), during);
    check_works(&second, Engine::global());
    drop(second);
    assert_eq!(handlers(), before);
}

/// What [`count_and_pass_on`] passes on to, and how often it has.
static NEXT: AtomicUsize = AtomicUsize::new(0);
static PASSED: AtomicUsize = AtomicUsize::new(0);

extern "C" fn count_and_pass_on(signal: c_int, info: *mut libc::siginfo_t, context: *mut c_void) {
    PASSED.fetch_add(1, Ordering::Relaxed);
    type Handler = extern "C" fn(c_int, *mut libc::siginfo_t, *mut c_void);
    // SAFETY: the test keeps the address of a handler with SA_SIGINFO there.
    unsafe { mem::transmute::<usize, Handler>(NEXT.load(Ordering::Relaxed))(signal, info, context) };
}

#[test]
fn a_handler_over_the_guards_stays() {
    let _alone = alone();
    let (status, output) = in_child(|| {
        let engine = Engine::global();
        let read_at = find(engine, library(), READ_AT);
        set_action(libc::SIGSEGV, exit_with_7 as *const () as usize, 0);
        let guard = Guard::install().unwrap();
        let over = count_and_pass_on as *const () as usize;
        NEXT.store(action_of(libc::SIGSEGV).sa_sigaction, Ordering::Relaxed);
        set_action(libc::SIGSEGV, over, libc::SA_SIGINFO | libc::SA_ONSTACK);
        fault(&guard, &read_at, &[nowhere()]);
        drop(guard);
        assert_eq!(action_of(libc::SIGSEGV).sa_sigaction, over);
        let again = Guard::install().unwrap();
        assert_eq!(action_of(libc::SIGSEGV).sa_sigaction, over);
        fault(&again, &read_at, &[nowhere()]);
        assert_eq!(PASSED.load(Ordering::Relaxed), 2);
        drop(again);
        // What was there in the beginning is still the last in the row.
        // SAFETY: it is not: that is the test.
        drop(unsafe { read_at.call(&[nowhere()]) });
    });
    assert_eq!(status.code(), Some(7), "{output}");
}

#[test]
fn floating_point_is_as_it_was() {
    let _alone = alone();
    let guard = Guard::install().unwrap();
    // SAFETY: libm has no initialisers that could do harm.
    let libm = unsafe { Library::open("libm.so.6") }.unwrap();
    let upward = if cfg!(target_arch = "x86_64") { 0x800 } else { 0x40_0000 };
    let third = || black_box(1.0f64) / black_box(3.0);
    let expected = third();
    for engine in engines() {
        let fegetround = find(&engine, &libm, "int fegetround(void)");
        let set_and_read = find(&engine, library(), "int set_and_read(int (*set)(int), int mode, const int *p)");
        let set = Value::from(libm.symbol("fesetround").unwrap());
        let readable = Value::from(&raw const upward);
        let mode = || call(&guard, &fegetround, &[]).unwrap();
        let nearest = mode();
        fault(&guard, &set_and_read, &[set.clone(), upward.into(), nowhere()]);
        assert_eq!((mode(), third()), (nearest.clone(), expected));
        // A call that ends well may change it, so the one before did; and what one finds, a fault in it brings back.
        call(&guard, &set_and_read, &[set.clone(), upward.into(), readable.clone()]).unwrap();
        fault(&guard, &find(&engine, library(), READ_AT), &[nowhere()]);
        let changed = (mode(), third());
        call(
            &guard,
            &set_and_read,
            &[set, nearest.as_integer().unwrap().try_into().map(Value::I32).unwrap(), readable],
        )
        .unwrap();
        assert_eq!(changed.0, Value::I32(upward));
        assert_ne!(changed.1, expected);
    }
}

#[cfg(target_arch = "x86_64")]
#[test]
fn the_x87_stack_is_empty() {
    let _alone = alone();
    let guard = Guard::install().unwrap();
    let (one, half) = (LongDouble::from_f64(1.0), LongDouble::from_f64(0.5));
    for engine in engines() {
        let half_long = find(&engine, library(), "long double half_long(long double)");
        fault(&guard, &find(&engine, library(), "void fill_x87_and_fault(void)"), &[]);
        // On a full stack it would give NaN.
        assert_eq!(call(&guard, &half_long, &[one.into()]).unwrap(), half.into());
    }
}

#[test]
fn callee_saved_registers_are_as_they_were() {
    extern "C" fn fault_below() {
        let (guard, engine) = within();
        fault(guard, &find(engine, library(), "void spoil(void)"), &[]);
    }
    let _alone = alone();
    with_callbacks(|_, engine| {
        let with_marks = find(engine, library(), "int with_marks(void (*f)(void))");
        // SAFETY: that is its declaration.
        let lost = unsafe { with_marks.call(&[Value::from(fault_below as *const ())]) };
        assert_eq!(lost.unwrap(), Value::I32(0));
    });
}

#[test]
fn the_signal_is_not_blocked_afterwards() {
    let _alone = alone();
    let guard = Guard::install().unwrap();
    let blocked = || {
        let mut set = MaybeUninit::<libc::sigset_t>::uninit();
        // SAFETY: it is a question, which is answered.
        unsafe {
            assert_eq!(libc::pthread_sigmask(libc::SIG_BLOCK, null(), set.as_mut_ptr()), 0);
            (1..32).filter(|signal| libc::sigismember(set.as_ptr(), *signal) == 1).collect::<Vec<_>>()
        }
    };
    let before = blocked();
    for engine in engines() {
        fault(&guard, &find(&engine, library(), READ_AT), &[nowhere()]);
        assert_eq!(blocked(), before);
    }
}

#[test]
fn panics_pass_through_and_end_the_call() {
    extern "C-unwind" fn fail() {
        std::panic::panic_any("out");
    }
    let _alone = alone();
    let guard = Guard::install().unwrap();
    for engine in engines() {
        let function = bind(&engine, fail as *const c_void, "void fail(void)");
        let caught = catch_unwind(AssertUnwindSafe(|| call(&guard, &function, &[])));
        assert_eq!(caught.unwrap_err().downcast_ref(), Some(&"out"));
        fault(&guard, &find(&engine, library(), READ_AT), &[nowhere()]);
        // The call that the panic has left is no place to resume at.
        let read_at = find(&engine, library(), READ_AT);
        // SAFETY: it is not: that is the test.
        let (status, _) = in_child(|| drop(unsafe { read_at.call(&[nowhere()]) }));
        assert_eq!(status.signal(), Some(libc::SIGSEGV), "{status}");
    }
}

#[test]
fn backtraces_pass_through() {
    static TRACE: Mutex<String> = Mutex::new(String::new());
    extern "C" fn trace() {
        *TRACE.lock().unwrap() = Backtrace::force_capture().to_string();
    }
    let _alone = alone();
    let guard = Guard::install().unwrap();
    for engine in engines() {
        call(&guard, &bind(&engine, trace as *const c_void, "void trace(void)"), &[]).unwrap();
        let trace = mem::take(&mut *TRACE.lock().unwrap());
        for name in ["guard::arch::call", "guard::backtraces_pass_through"] {
            assert!(trace.contains(name), "{name} by {}:\n{trace}", engine.tier());
        }
    }
}

/// The report of a child process that ends by that signal.
#[track_caller]
fn report(signal: c_int, work: impl FnOnce()) -> String {
    let (status, output) = in_child(work);
    assert_eq!(status.signal(), Some(signal), "{status}: {output}");
    output
}

#[test]
fn crashes_are_reported() {
    let _alone = alone();
    let read_at = library().symbol("read_at").unwrap();
    for engine in engines() {
        let function = find(&engine, library(), READ_AT);
        let crash = || {
            // SAFETY: it is not: that is the test.
            drop(unsafe { function.call(&[nowhere()]) });
        };
        let output = report(libc::SIGSEGV, || {
            guard::report_crashes().unwrap();
            guard::report_crashes().unwrap();
            crash();
        });
        let mut lines = output.lines();
        assert_eq!(lines.next(), Some("jitcall: SIGSEGV (address not mapped) at 0x10"));
        let instruction = lines.next().expect("a line about the instruction");
        assert!(instruction.starts_with("  instruction: 0x"), "{output}");
        assert!(instruction.contains(", read_at+0x") && instruction.contains("/0.so+0x"), "{output}");
        assert_eq!(lines.next(), Some("  backtrace:"));
        assert!(lines.clone().any(|line| line.contains("0.so(read_at+0x")), "{output}");
        assert_eq!(output.matches("jitcall: ").count(), 1, "{output}");
        assert!(!read_at.is_null());

        let silent = report(libc::SIGSEGV, crash);
        assert!(!silent.contains("jitcall"), "{silent}");
    }
}

#[test]
fn the_report_names_the_guarded_call() {
    let _alone = alone();
    with_callbacks(|guard, engine| {
        let call_back = find(engine, library(), CALL_BACK);
        let arguments = [Value::from(fault_in_callback as *const ()), 16.into()];
        let output = report(libc::SIGSEGV, || {
            guard::report_crashes().unwrap();
            fault(guard, &find(engine, library(), READ_AT), &[nowhere()]);
            drop(call(guard, &call_back, &arguments));
        });
        assert!(output.starts_with("jitcall: SIGSEGV (address not mapped) at 0x10\n"), "{output}");
        assert!(output.contains("\n  in a callback of the guarded call of call_back\n"), "{output}");
    });
}

#[test]
fn the_environment_asks_for_reports() {
    let _alone = alone();
    let crash = |value: &CStr| {
        in_child(|| {
            // SAFETY: the child has no other thread.
            unsafe { env::set_var(REPORT_VARIABLE, value.to_str().unwrap()) };
            let engine = Engine::builder().build().unwrap();
            let illegal = find(&engine, library(), "void illegal(void)");
            // SAFETY: it is not: that is the test.
            drop(unsafe { illegal.call(&[]) });
        })
    };
    let (status, output) = crash(c"1");
    assert_eq!(status.signal(), Some(libc::SIGILL));
    assert!(output.starts_with("jitcall: SIGILL (illegal instruction)\n"), "{output}");
    let (status, output) = crash(c"0");
    assert_eq!(status.signal(), Some(libc::SIGILL));
    assert!(!output.contains("jitcall"), "{output}");
}
