//! Frames of calls: their alignment, large arguments, and what unwinds through them.

mod tiers;

use std::backtrace::Backtrace;
use std::cell::Cell;
use std::ffi::c_void;
use std::hint::black_box;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Mutex;

use jitcall::{CType, Engine, Function, Signature, Slot, Type, Value, c_struct};
use tiers::{bind, engines};

static BACKTRACE: Mutex<String> = Mutex::new(String::new());

/// Remembers how it came here.
fn remember() {
    *BACKTRACE.lock().unwrap() = Backtrace::force_capture().to_string();
}

c_struct! {
    #[derive(Debug, PartialEq)]
    struct Longs {
        a: i64,
        b: i64,
        c: i64,
    }
}

extern "C" fn remember_in_registers(value: i32) -> i32 {
    remember();
    value
}

extern "C" fn remember_on_the_stack(value: Longs, _: f64, _: Longs) -> Longs {
    remember();
    value
}

extern "C-unwind" fn throw_in_registers(value: i64) -> i64 {
    resume_unwind(Box::new(value))
}

extern "C-unwind" fn throw_on_the_stack(_: Longs, value: i64) -> Longs {
    resume_unwind(Box::new(value))
}

/// Calls by slots; its name is looked for in backtraces.
#[inline(never)]
fn call_from_here(function: &Function, slots: &[Slot]) {
    let mut result = [0u64; 8];
    // SAFETY: the tests give slots for the function's arguments, and no result is larger.
    unsafe { function.interface().call(function.target(), slots.as_ptr(), result.as_mut_ptr().cast()) };
    black_box(&mut result);
}

/// Slots that serve any of the functions here.
fn some_slots() -> Vec<Slot> {
    (0..32u64).map(Slot::from).collect()
}

const LONGS: &str = "struct longs { long a, b, c; };";

#[test]
fn backtraces_reach_the_caller() {
    let functions = [
        (remember_in_registers as *const c_void, "int f(int)".to_owned(), "remember_in_registers"),
        (
            remember_on_the_stack as *const c_void,
            format!("{LONGS} struct longs f(struct longs, double, struct longs)"),
            "remember_on_the_stack",
        ),
    ];
    for engine in engines() {
        for (target, declaration, name) in &functions {
            let function = bind(&engine, *target, declaration);
            call_from_here(&function, &some_slots());
            let backtrace = BACKTRACE.lock().unwrap().clone();
            let place = |name: &str| backtrace.find(name).unwrap_or_else(|| panic!("no {name} in {backtrace}"));
            let callers = [place(name), place("call_from_here"), place("backtraces_reach_the_caller")];
            assert!(callers.is_sorted(), "{} by {}:\n{backtrace}", declaration, engine.tier());
        }
    }
}

/// Counts its drops.
struct Counted<'a>(&'a Cell<u32>);

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.set(self.0.get() + 1);
    }
}

#[test]
fn panics_cross_calls() {
    let functions = [
        (throw_in_registers as *const c_void, "long f(long)".to_owned()),
        (throw_on_the_stack as *const c_void, format!("{LONGS} struct longs f(struct longs, long)")),
    ];
    for engine in engines() {
        for (target, declaration) in &functions {
            let function = bind(&engine, *target, declaration);
            let mut slots = some_slots();
            let value_at = *function.interface().slot_offsets().last().unwrap() as usize / 8;
            let drops = Cell::new(0);
            // What is alive across the calls stays in callee-saved registers and in the frame.
            let (integers, floats) = (black_box([1u64, 2, 3, 4, 5, 6]), black_box([1.5, 2.5, 3.5]));
            for value in 0..100i64 {
                slots[value_at] = value.into();
                let thrown = catch_unwind(AssertUnwindSafe(|| {
                    let _counted = Counted(&drops);
                    call_from_here(&function, &slots);
                }));
                let thrown = thrown.unwrap_err().downcast::<i64>().expect("what was thrown");
                assert_eq!(*thrown, value, "{declaration} by {}", engine.tier());
            }
            assert_eq!(drops.get(), 100);
            assert_eq!((integers, floats), ([1, 2, 3, 4, 5, 6], [1.5, 2.5, 3.5]));
        }
    }
}

extern "C-unwind" fn throw_text(length: u64) -> u64 {
    resume_unwind(Box::new("x".repeat(length as usize)))
}

#[test]
fn panics_cross_every_kind_of_call() {
    let caught = engines().into_iter().map(|engine| {
        let function = bind(&engine, throw_text as *const c_void, "unsigned long f(unsigned long)");
        let (slots, typed) = (function.slots::<u64>().unwrap(), function.typed::<(u64,), u64>().unwrap());
        let argument = [Slot::from(3u64)];
        // SAFETY: in all three, that is the function's type.
        let calls: [&dyn Fn() -> bool; 3] = unsafe {
            [&|| function.call(&[3.into()]).is_ok(), &|| slots.call(argument.as_ptr()) == 0, &|| typed.call((3,)) == 0]
        };
        calls.map(|call| catch_unwind(AssertUnwindSafe(call)).unwrap_err().downcast::<String>().unwrap())
    });
    let caught: Vec<_> = caught.collect();
    assert!(!caught.is_empty() && caught.iter().flatten().all(|text| **text == "xxx"), "{caught:?}");
}

/// 40 KiB.
#[derive(Clone, Copy)]
#[repr(C)]
struct Large([u64; 5120]);

impl Large {
    fn new() -> Large {
        let mut large = Large([0; 5120]);
        large.0.iter_mut().zip(0..).for_each(|(word, index)| *word = 0x9e37_79b9_7f4a_7c15u64.wrapping_mul(index));
        large
    }
}

// SAFETY: the struct is `repr(C)` and its C type has the same array.
unsafe impl CType for Large {
    fn c_type() -> Type {
        let array = Type::array(Type::U64, 5120).expect("integers have a size");
        Type::structure().member("words", array).build().expect("an array is a member")
    }
}

extern "C" fn sum_large(before: u8, large: Large, after: f64, last: i16) -> u64 {
    let sum = large.0.iter().zip(1..).fold(0u64, |sum, (word, index)| sum.wrapping_add(word.wrapping_mul(index)));
    sum.wrapping_add(before.into()).wrapping_add(after as u64).wrapping_add(last as u64)
}

extern "C" fn shift_large(large: Large, by: usize) -> Large {
    let mut shifted = large;
    shifted.0.rotate_left(by);
    shifted
}

fn with_engine(engine: &Engine, target: *const c_void, result: Type, parameters: Vec<Type>) -> Function {
    Function::with_engine(engine, target, Signature::new(result, parameters).unwrap()).unwrap()
}

/// The bytes of a struct without padding, as an object.
fn object(large: &Large) -> Value<'static> {
    let bytes: Vec<u8> = large.0.iter().flat_map(|word| word.to_ne_bytes()).collect();
    jitcall::Object::from_bytes(&Large::c_type(), &bytes).unwrap().into()
}

#[test]
fn structs_of_many_pages() {
    let large = Large::new();
    let value = object(&large);
    for engine in engines() {
        let parameters = vec![Type::U8, Large::c_type(), Type::F64, Type::I16];
        let sum = with_engine(&engine, sum_large as *const c_void, Type::U64, parameters);
        // SAFETY: that is the type of `sum_large`.
        let summed = unsafe { sum.call(&[250.into(), value.clone(), 1e9.into(), (-7).into()]) };
        assert_eq!(summed.unwrap(), Value::U64(sum_large(250, large, 1e9, -7)), "by {}", engine.tier());

        let parameters = vec![Large::c_type(), Type::U64];
        let shift = with_engine(&engine, shift_large as *const c_void, Large::c_type(), parameters);
        // SAFETY: that is the type of `shift_large`.
        let shifted = unsafe { shift.call(&[value.clone(), 100.into()]) }.unwrap();
        assert_eq!(shifted, object(&shift_large(large, 100)), "by {}", engine.tier());

        let mut slots = vec![Slot::EMPTY; shift.interface().slots()];
        slots[..5120].iter_mut().zip(&large.0).for_each(|(slot, word)| *slot = (*word).into());
        slots[5120] = Slot::from(1u64);
        // SAFETY: as above, and the slots hold its arguments.
        let shifted: Large = unsafe { shift.slots::<Large>().unwrap().call(slots.as_ptr()) };
        assert!(shifted.0 == shift_large(large, 1).0, "by {}", engine.tier());
    }
}

/// Functions that tell where their arguments in memory are, whatever these are.
mod places {
    use std::arch::naked_asm;

    /// The stack pointer at the call.
    #[cfg(target_arch = "x86_64")]
    #[unsafe(naked)]
    pub(crate) extern "C" fn stack() -> usize {
        naked_asm!("lea rax, [rsp + 8]", "ret")
    }

    /// The stack pointer at the call.
    #[cfg(target_arch = "aarch64")]
    #[unsafe(naked)]
    pub(crate) extern "C" fn stack() -> usize {
        naked_asm!("mov x0, sp", "ret")
    }

    /// Where the first argument is, which has to be a struct that goes in memory.
    #[cfg(target_arch = "x86_64")]
    pub(crate) use stack as memory;

    /// Where the first argument is, which has to be a struct that is passed by its address.
    #[cfg(target_arch = "aarch64")]
    #[unsafe(naked)]
    pub(crate) extern "C" fn memory() -> usize {
        naked_asm!("ret")
    }
}

/// What a function of [`places`] says when it is called with zeros.
fn place(function: &Function) -> usize {
    let slots = vec![Slot::from(0u64); function.interface().slots()];
    // SAFETY: the function looks at no argument; each has its slots.
    unsafe { function.slots::<u64>().unwrap().call(slots.as_ptr()) as usize }
}

#[test]
fn the_stack_is_aligned_at_every_call() {
    let tails =
        ["", ", long", ", long, long", ", struct three", ", double, float", ", struct wide, char", ", long double"];
    for engine in engines() {
        for count in 0..12 {
            for tail in tails {
                let declaration = format!(
                    "struct three {{ char c[3]; }}; struct wide {{ long double x; char y; }}; \
                     unsigned long f(char{}{tail})",
                    ", int, double".repeat(count)
                );
                let at = place(&bind(&engine, places::stack as *const c_void, &declaration));
                assert_eq!(at % 16, 0, "{declaration} by {}", engine.tier());
            }
        }
    }
}

#[test]
fn structs_in_memory_are_aligned() {
    for engine in engines() {
        for align in [16, 32, 64, 128, 1024] {
            for rest in ["", ", long", ", int, struct s, char", ", double, double, double, long double"] {
                let definition = format!("struct s {{ long a[8]; }} __attribute__((aligned({align})));");
                let declaration = format!("{definition} unsigned long f(struct s{rest})");
                let function = bind(&engine, places::memory as *const c_void, &declaration);
                assert_eq!(place(&function) % align, 0, "{declaration} by {}", engine.tier());
            }
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
#[repr(C, align(64))]
struct Aligned {
    a: i32,
    b: f64,
}

// SAFETY: the struct is `repr(C)` with that alignment, and so is its C type.
unsafe impl CType for Aligned {
    fn c_type() -> Type {
        let members = Type::structure().member("a", Type::I32).member("b", Type::F64);
        members.aligned(64).build().expect("scalars are members")
    }
}

extern "C" fn swap_aligned(first: Aligned, number: i32, second: Aligned) -> Aligned {
    let places = [&raw const first, &raw const second].map(<*const Aligned>::addr);
    let aligned = black_box(places).iter().all(|place| place % 64 == 0);
    Aligned { a: second.a + number, b: if aligned { first.b } else { f64::NAN } }
}

#[test]
fn aligned_structs_arrive_whole() {
    for engine in engines() {
        let parameters = vec![Aligned::c_type(), Type::I32, Aligned::c_type()];
        let function = with_engine(&engine, swap_aligned as *const c_void, Aligned::c_type(), parameters);
        let pair = |a, b| [Value::I32(a), Value::F64(b)];
        // SAFETY: that is the type of `swap_aligned`.
        let result = unsafe { function.call(&[Value::List(&pair(1, 1.5)), 10.into(), Value::List(&pair(2, 2.5))]) };
        let result = result.unwrap();
        let object = result.as_object().expect("an object");
        assert_eq!((object.field("a").unwrap(), object.field("b").unwrap()), (Value::I32(12), Value::F64(1.5)));

        let typed = function.typed::<(Aligned, i32, Aligned), Aligned>().unwrap();
        let (first, second) = (Aligned { a: 1, b: 1.5 }, Aligned { a: 2, b: 2.5 });
        // SAFETY: as above.
        assert_eq!(unsafe { typed.call((first, 10, second)) }, Aligned { a: 12, b: 1.5 });
    }
}
