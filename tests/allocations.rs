//! Calls allocate nothing, by whichever way in and on either tier.

#[path = "../crates/cli/src/callees.rs"]
#[allow(dead_code, unreachable_pub, reason = "the program loads them as a library")]
mod callees;
#[path = "../crates/cli/src/bench/cases.rs"]
#[allow(dead_code, reason = "the program measures more of them than is tested here")]
mod cases;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::hint::black_box;

use cases::{Add2, Case, Fma3, Mix8, Mix16, Noop, StructBig24, StructIntFloat, StructPoint};
use jitcall::closure::{Arguments, Outcome};
use jitcall::map::Column;
use jitcall::{Engine, Function, Signature, Slot, Tier, Value};

/// The system's allocator, which counts what each thread asks it for.
struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
}

fn count() {
    ALLOCATIONS.set(ALLOCATIONS.get() + 1);
}

// SAFETY: everything is left to the system's allocator; counting allocates nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller keeps the same promises.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: as above.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count();
        // SAFETY: as above.
        unsafe { System.realloc(pointer, layout, size) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const CALLS: usize = 100;

/// How often that many runs allocate.
fn allocations(mut run: impl FnMut()) -> usize {
    let before = ALLOCATIONS.get();
    (0..CALLS).for_each(|_| run());
    ALLOCATIONS.get() - before
}

fn check<C: Case>(tier: Tier) {
    let engine = Engine::builder().tier(tier).build().unwrap();
    let function = Function::with_engine(&engine, C::address(), Signature::parse(C::DECLARATION).unwrap()).unwrap();
    let (slots, typed) = (function.slots::<C::Result>().unwrap(), function.typed::<C::Arguments, C::Result>().unwrap());
    let mut values = C::values(function.signature());
    let mut arguments = C::SLOTS;
    let start = (&raw mut arguments).cast();
    let mut result = [0u64; 4];
    // SAFETY: the declarations are the cases' own, the slots are stored before they are used, and no result takes more
    // than 32 bytes.
    let counts = unsafe {
        C::store(&C::ARGUMENTS, start);
        [
            ("call", allocations(|| drop(black_box(function.call(values.as_ref()))))),
            ("call with new arguments", allocations(|| C::refresh(&C::ARGUMENTS, &mut values))),
            ("call_with_errno", allocations(|| drop(black_box(function.call_with_errno(values.as_ref()))))),
            ("call_slots", allocations(|| function.call_slots(start, result.as_mut_ptr().cast()))),
            ("slots", allocations(|| _ = black_box(slots.call(start)))),
            ("typed", allocations(|| _ = black_box(typed.call(C::ARGUMENTS)))),
        ]
    };
    for (way, count) in counts {
        assert_eq!(count, 0, "{} by {way} on {tier}", C::NAME);
    }
}

#[test]
fn calls_allocate_nothing() {
    for tier in [Tier::Jit, Tier::Asm] {
        check::<Noop>(tier);
        check::<Add2>(tier);
        check::<Fma3>(tier);
        check::<Mix8>(tier);
        check::<Mix16>(tier);
        check::<StructPoint>(tier);
        check::<StructBig24>(tier);
        check::<StructIntFloat>(tier);
    }
}

#[test]
fn maps_allocate_nothing() {
    extern "C" fn add(a: f64, b: i32) -> f64 {
        a + f64::from(b)
    }
    let signature = Signature::parse("double add(double, int)").unwrap();
    let columns = [Column::of(&[0.5; 10]), Column::same(&1)];
    for tier in [Tier::Jit, Tier::Asm] {
        let engine = Engine::builder().tier(tier).build().unwrap();
        let function = Function::with_engine(&engine, add as *const _, signature.clone()).unwrap();
        let mut results = [0.0; 10];
        // SAFETY: that is the function's declaration; there are ten elements, and room for ten results.
        let mut run = || unsafe { function.map(10, &columns, results.as_mut_ptr().cast()) }.unwrap();
        run(); // prepares the map
        assert_eq!(allocations(run), 0, "{tier}");
    }
}

#[test]
fn callbacks_allocate_nothing() {
    let declaration = "struct big { long a, b, c; }; struct big callback(struct big, int, double)";
    let signature = Signature::parse(declaration).unwrap();
    for tier in [Tier::Jit, Tier::Asm] {
        let engine = Engine::builder().tier(tier).build().unwrap();
        let (callback, call) = (engine.prepare_callback(&signature).unwrap(), engine.prepare(&signature).unwrap());
        let values = callback.values(|values| Ok(Value::Object(values[0].as_object().unwrap().clone()))).unwrap();
        let zero = |_: Arguments<'_>, mut result: Outcome<'_>| {
            // SAFETY: there is room for the result.
            unsafe { result.as_mut_ptr().write_bytes(0, 24) };
        };
        let slots = callback.slots(zero).unwrap();
        let (arguments, mut result) = ([Slot::from(0i64); 5], [0i64; 3]);
        for closure in [values.as_ptr(), slots.as_ptr()] {
            // SAFETY: the closures have that signature; there is room for the result.
            let mut run = || unsafe { call.call(closure, arguments.as_ptr(), result.as_mut_ptr().cast()) };
            run(); // binds what the thread keeps
            assert_eq!(allocations(run), 0, "{tier}");
        }
    }
}

/// What the other tests stand on: allocations are seen, among them those for results of more than 32 bytes.
#[test]
fn allocations_are_counted() {
    assert_eq!(allocations(|| drop(black_box(Box::new(1)))), CALLS);
    #[repr(C)]
    struct Large([i64; 5]);
    extern "C" fn large() -> Large {
        Large([1, 2, 3, 4, 5])
    }
    let signature = Signature::parse("struct large { long n[5]; }; struct large large(void)").unwrap();
    let function = Function::new(large as *const _, signature).unwrap();
    // SAFETY: that is the function's declaration.
    assert_eq!(allocations(|| drop(unsafe { function.call(&[]) })), CALLS);
}
