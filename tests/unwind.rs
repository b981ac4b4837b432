//! What goes up the stack through calls, on every tier: backtraces, C++ exceptions, Rust panics, `longjmp`.
//!
//! Each is tried with a stub that jumps to its target, and with stubs that have a frame: for arguments in memory, for an
//! area of many pages, for a result that the stub stores.

#[path = "support/compile.rs"]
#[allow(dead_code, reason = "the half of it for C is for other tests")]
mod compile;
mod tiers;
#[path = "support/walk.rs"]
mod walk;

use std::cell::Cell;
use std::ffi::{c_int, c_void};
use std::hint::black_box;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{LazyLock, Mutex};
use std::thread;

use compile::{Compiler, Folder};
use jitcall::emit::Steps;
use jitcall::map::Column;
use jitcall::{Engine, Function, Library, Signature, Slot, Tier};
use tiers::{bind, engines};

/// Declarations of functions that stubs of each kind are made for, and whether these have a frame. Every function takes
/// a number first.
const SHAPES: [(&str, bool); 5] = [
    ("long f(long)", false),
    ("double f(long, double, float)", false),
    ("long f(long, long, long, long, long, long, long, long, long, long)", true),
    ("struct big { long words[1500]; }; long f(long, struct big)", true),
    ("typedef long wide __attribute__((vector_size(16))); wide f(long, wide)", true),
];

/// How many slots the largest of them takes.
const SLOTS: usize = 1600;

/// How a function is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Once,
    /// For each of two elements of columns.
    Map,
}

/// A call that is ready to be made.
struct Call {
    function: Function,
    way: Way,
    columns: Vec<Column>,
    slots: *const Slot,
    case: String,
    _owned: Vec<Slot>,
}

impl Call {
    /// The call of a function which returns nothing, or does not return, whatever the declaration says.
    fn new(engine: &Engine, target: *const c_void, (declaration, framed): (&str, bool), number: u64, way: Way) -> Call {
        let function = bind(engine, target, declaration);
        assert_eq!(function.interface().plan().needs_frame(), framed, "{declaration}");
        let mut slots = vec![Slot::from(0u64); SLOTS];
        slots[0] = number.into();
        let offsets = function.interface().slot_offsets().iter();
        let columns = offsets.map(|offset| Column::same(&slots[*offset as usize / 8])).collect();
        let case = format!("{declaration} by {}, {way:?}", engine.tier());
        Call { function, way, columns, slots: slots.as_ptr(), case, _owned: slots }
    }

    #[inline(never)]
    fn make(&self) {
        let mut results = [0u128; 2];
        let place = results.as_mut_ptr().cast();
        // SAFETY: the targets here take the first argument at most; there are slots for all, and room for any results.
        unsafe {
            match self.way {
                Way::Once => self.function.interface().call(self.function.target(), self.slots, place),
                Way::Map => self.function.map(2, &self.columns, place).unwrap(),
            }
        }
        black_box(&mut results);
    }
}

/// A call of each shape in each way by each tier.
fn calls(target: *const c_void, number: u64) -> Vec<Call> {
    let of = |engine: &Engine, way| SHAPES.map(|shape| Call::new(engine, target, shape, number, way));
    engines().iter().flat_map(|engine| [of(engine, Way::Once), of(engine, Way::Map)]).flatten().collect()
}

/// A C++ library.
struct Cxx {
    library: Library,
    _folder: Folder,
}

impl Cxx {
    const SOURCE: &str = r#"
        #include <csetjmp>
        #include <cstddef>
        #include <string>

        struct Thrown { std::string text; long number; };

        static thread_local std::jmp_buf mark;

        extern "C" {
            void throw_number(long number) {
                throw Thrown{std::string(100, 'x'), number};
            }

            // Calls back, and returns the number that is thrown meanwhile.
            long catch_number(void (*call)(void *), void *data) {
                try {
                    call(data);
                } catch (const Thrown &thrown) {
                    return thrown.text == std::string(100, 'x') ? thrown.number : -2;
                }
                return -1;
            }

            void jump_with_number(long number) {
                std::longjmp(mark, number);
            }

            // Calls back, and returns the number that is jumped with meanwhile.
            long jumped_over(void (*call)(void *), void *data) {
                int number = setjmp(mark);
                if (number == 0) {
                    call(data);
                    return -1;
                }
                return number;
            }

            void throw_two(long number) {
                if (number == 2) throw_number(number);
            }

            struct column { const void *address; std::ptrdiff_t stride; };

            // Calls a map stub, through which an exception passes, and says whether registers that a callee keeps are as
            // they were: there are more numbers than such registers.
            long keeps(void (*map)(const column *, void (*)(long), void *, std::size_t), const column *columns,
                       void (*target)(long), std::size_t count) {
                long a = 1, b = 20, c = 300, d = 4000, e = 50000, f = 600000, g = 7000000, h = 80000000, i = 900000000;
                asm volatile("" : "+r"(a), "+r"(b), "+r"(c), "+r"(d), "+r"(e), "+r"(f), "+r"(g), "+r"(h), "+r"(i));
                long thrown = 0;
                try {
                    map(columns, target, nullptr, count);
                } catch (const Thrown &exception) {
                    thrown = exception.number;
                }
                asm volatile("" : "+r"(a), "+r"(b), "+r"(c), "+r"(d), "+r"(e), "+r"(f), "+r"(g), "+r"(h), "+r"(i));
                return 10000000000 * thrown + a + b + c + d + e + f + g + h + i;
            }
        }
    "#;

    fn new() -> Cxx {
        let folder = Folder::new();
        let paths = Compiler::cxx_from_env().compile(&folder, &[Cxx::SOURCE.to_owned()]);
        // SAFETY: the initialisers are those of the C++ library.
        let library = unsafe { Library::open(&paths[0]) }.unwrap_or_else(|error| panic!("{error}"));
        Cxx { library, _folder: folder }
    }

    fn get() -> &'static Cxx {
        static CXX: LazyLock<Cxx> = LazyLock::new(Cxx::new);
        &CXX
    }

    /// A function that the stubs are to call.
    fn thrower(&self, name: &str) -> *const c_void {
        self.library.function(&format!("void {name}(long)")).unwrap_or_else(|error| panic!("{error}")).target()
    }

    /// Has the function `name` call `back` with the call.
    fn around(&self, name: &str, back: extern "C-unwind" fn(&Call), call: &Call) -> i64 {
        type Around = unsafe extern "C-unwind" fn(extern "C-unwind" fn(&Call), &Call) -> i64;
        let function = self.library.function(&format!("long {name}(void (*)(void *), void *)")).unwrap();
        // SAFETY: that is the function's type; it passes the call on as it is.
        unsafe { std::mem::transmute::<*const c_void, Around>(function.target())(back, call) }
    }
}

thread_local! {
    static DROPS: Cell<u32> = const { Cell::new(0) };
}

/// Counts its drops.
struct Counted;

impl Drop for Counted {
    fn drop(&mut self) {
        DROPS.set(DROPS.get() + 1);
    }
}

static FOUND: Mutex<Vec<walk::Frame>> = Mutex::new(Vec::new());

extern "C" fn look(_number: u64) {
    *FOUND.lock().unwrap() = walk::frames();
}

#[test]
fn walks_reach_the_outermost_frame() {
    let [_, this, above @ ..] = &walk::frames()[..] else { panic!("there are callers") };
    for call in calls(look as *const c_void, 0) {
        call.make();
        let found = FOUND.lock().unwrap();
        let here = found.iter().position(|frame| frame.function == this.function);
        let here = here.unwrap_or_else(|| panic!("{}: not found in {found:x?}", call.case));
        assert_eq!(&found[here + 1..], above, "{}", call.case);
        let names = [look as *const () as usize, Call::make as *const () as usize].map(|start| {
            let place = found.iter().position(|frame| frame.function == start);
            place.unwrap_or_else(|| panic!("{}: not found in {found:x?}", call.case))
        });
        assert!(names.is_sorted() && names[1] < here, "{}", call.case);
    }
}

#[test]
fn cxx_exceptions_cross_calls() {
    extern "C-unwind" fn back(call: &Call) {
        let _counted = Counted;
        call.make();
    }
    let cxx = Cxx::get();
    DROPS.set(0);
    let calls = calls(cxx.thrower("throw_number"), 4711);
    // What is alive across the calls stays in callee-saved registers and in the frame.
    let (integers, floats) = (black_box([1u64, 2, 3, 4, 5, 6]), black_box([1.5, 2.5, 3.5]));
    for call in &calls {
        assert_eq!(cxx.around("catch_number", back, call), 4711, "{}", call.case);
    }
    assert_eq!((integers, floats), ([1, 2, 3, 4, 5, 6], [1.5, 2.5, 3.5]));
    assert_eq!(DROPS.get() as usize, calls.len());
}

/// Without a frame of Rust's between, which might have saved what the stub has not.
#[test]
fn map_stubs_restore_registers_for_whom_they_pass() {
    let cxx = Cxx::get();
    let numbers = [0i64, 1, 2, 3];
    let columns = [Column::of(&numbers)];
    let keeps = cxx.library.function("long keeps(void *, const void *, void *, size_t)").unwrap();
    let keeps = keeps.typed::<(*const c_void, *const Column, *const c_void, usize), i64>().unwrap();
    for engine in engines().into_iter().filter(|engine| engine.tier() == Tier::Jit) {
        let map = engine.prepare_map(&Signature::parse("void f(long)").unwrap()).unwrap();
        for steps in [Steps::Dense, Steps::Strided] {
            let stub = map.stub(steps).unwrap();
            let throw = cxx.thrower("throw_two");
            // SAFETY: those are the types of the function, the stub and the target; there are four numbers.
            let (returned, thrown) = unsafe {
                (keeps.call((stub, columns.as_ptr(), throw, 2)), keeps.call((stub, columns.as_ptr(), throw, 4)))
            };
            assert_eq!((returned, thrown), (987_654_321, 20_987_654_321), "{steps:?}");
        }
    }
}

extern "C-unwind" fn fail(number: u64) {
    let _counted = Counted;
    resume_unwind(Box::new(number))
}

#[test]
fn panics_cross_calls() {
    DROPS.set(0);
    let calls = calls(fail as *const c_void, 33);
    for call in &calls {
        let thrown = catch_unwind(AssertUnwindSafe(|| {
            let _counted = Counted;
            call.make();
        }));
        assert_eq!(thrown.unwrap_err().downcast_ref(), Some(&33u64), "{}", call.case);
    }
    assert_eq!(DROPS.get() as usize, 2 * calls.len());
}

#[test]
fn panics_cross_calls_and_cxx() {
    extern "C-unwind" fn back(call: &Call) {
        call.make();
    }
    let cxx = Cxx::get();
    for call in calls(fail as *const c_void, 34) {
        let thrown = catch_unwind(AssertUnwindSafe(|| cxx.around("catch_number", back, &call)));
        assert_eq!(thrown.unwrap_err().downcast_ref(), Some(&34u64), "{}", call.case);
    }
}

#[test]
fn jumps_cross_calls() {
    // Nothing has to be dropped on the way.
    extern "C-unwind" fn back(call: &Call) {
        call.make();
    }
    let cxx = Cxx::get();
    for call in calls(cxx.thrower("jump_with_number"), 815) {
        assert_eq!(cxx.around("jumped_over", back, &call), 815, "{}", call.case);
    }
}

/// The unwinder's tables are changed by some threads while others use them.
#[test]
fn unwinding_goes_on_while_engines_come_and_go() {
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let threads = [0u64, 1, 2].map(|number| {
            let done = &done;
            scope.spawn(move || {
                let calls = calls(fail as *const c_void, number);
                while !done.load(Ordering::Relaxed) {
                    for call in &calls {
                        let thrown = catch_unwind(AssertUnwindSafe(|| call.make()));
                        assert_eq!(thrown.unwrap_err().downcast_ref(), Some(&number), "{}", call.case);
                    }
                }
            })
        });
        for _ in 0..100 {
            for call in calls(fail as *const c_void, 5) {
                assert!(catch_unwind(AssertUnwindSafe(|| call.make())).is_err());
            }
        }
        done.store(true, Ordering::Relaxed);
        threads.into_iter().for_each(|thread| thread.join().unwrap());
    });
}

/// A page that may not be read before `on_fault` has seen the attempt, and whether that found the way out.
static PAGE: AtomicUsize = AtomicUsize::new(0);
static FOUND_OUT: AtomicBool = AtomicBool::new(false);

extern "C" fn on_fault(_: c_int, info: *mut libc::siginfo_t, _: *mut c_void) {
    let page = PAGE.load(Ordering::Relaxed);
    // SAFETY: the system gives the fault's address. The page is the test's; any other fault ends the process.
    unsafe {
        if (*info).si_addr().addr() & !(4096 - 1) != page {
            libc::abort();
        }
        let frames = walk::frames();
        let caller = frames.iter().any(|frame| frame.function == Call::make as *const () as usize);
        FOUND_OUT.store(caller, Ordering::Relaxed);
        libc::mprotect(page as *mut c_void, 4096, libc::PROT_READ);
    }
}

/// A signal may stop a stub that jumps at any instruction, and the walk finds its way out: here, from its first load.
#[test]
fn walks_start_inside_frameless_stubs() {
    extern "C" fn ignore() {}
    for engine in engines().into_iter().filter(|engine| engine.tier() == Tier::Jit) {
        let mut call = Call::new(&engine, ignore as *const c_void, SHAPES[0], 0, Way::Once);
        let (flags, mut usual) = (libc::MAP_PRIVATE | libc::MAP_ANONYMOUS, std::mem::MaybeUninit::uninit());
        // SAFETY: the page is the slots until the call is over; by then it can be read. The handler is put back.
        unsafe {
            let page = libc::mmap(std::ptr::null_mut(), 4096, libc::PROT_NONE, flags, -1, 0);
            assert_ne!(page, libc::MAP_FAILED);
            PAGE.store(page.addr(), Ordering::Relaxed);
            let mut action: libc::sigaction = std::mem::zeroed();
            action.sa_sigaction = on_fault as *const () as usize;
            action.sa_flags = libc::SA_SIGINFO;
            assert_eq!(libc::sigaction(libc::SIGSEGV, &action, usual.as_mut_ptr()), 0);
            call.slots = page.cast();
            call.make();
            libc::sigaction(libc::SIGSEGV, usual.as_ptr(), std::ptr::null_mut());
            libc::munmap(page, 4096);
        }
        assert!(FOUND_OUT.load(Ordering::Relaxed));
    }
}
