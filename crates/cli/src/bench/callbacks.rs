//! The cases in which C calls back: a loop in C, and `qsort`.

use std::cell::Cell;
use std::ffi::c_void;
use std::hint::black_box;
use std::{mem, ptr};

use jitcall::closure::{Arguments, Outcome};
use jitcall::ctype::CType;
use jitcall::{CallbackInterface, Closure, Engine, Signature, Tier, Value};

use super::callees;
use super::engines::{LAYOUTS, Runner, Turns, Way};
use super::libffi::{Callback, Rivals};
use crate::Failure;

/// `int callback(int, int)`, called by a loop of a library: nanoseconds per turn.
pub(crate) const LOOP: &str = "callback";

/// A closure of `int callback(int, int)`, made and freed: nanoseconds for both. What is called direct is the allocation of
/// as many bytes, and their freeing.
pub(crate) const CLOSURE: &str = "closure";

/// `qsort` of 1,000 integers in random order: nanoseconds per sort.
pub(crate) const SORT: &str = "qsort";

/// How many integers are sorted.
const NUMBERS: usize = 1000;

/// A function that C calls, kept alive with whatever it needs.
struct Callee {
    address: *const c_void,
    /// Kept for its drop.
    _owner: Owner,
}

impl Callee {
    /// A method, so that Rust's closures capture the whole and not the address alone.
    fn address(&self) -> *const c_void {
        self.address
    }
}

enum Owner {
    Program,
    Closure { _closure: Closure<'static> },
    Libffi { _callback: Callback },
}

/// Gets the loop ready to call back in that way; `None` where there is no such way here.
pub(crate) fn prepare_loop(way: Way, rivals: &Rivals) -> Result<Option<Runner>, Failure> {
    extern "C" fn add(a: i32, b: i32) -> i32 {
        a.wrapping_add(b)
    }
    let signature = Signature::parse("int callback(int, int)")?;
    let callee = || {
        let handlers = Handlers {
            direct: add as *const c_void,
            typed: |interface: &CallbackInterface| interface.typed(|a: i32, b: i32| a.wrapping_add(b)),
            combine: |a: i32, b: i32| a.wrapping_add(b),
        };
        handlers.callee(way, &signature, rivals)
    };
    let mut loops: Vec<Turns> = Vec::new();
    for layout in 0..LAYOUTS {
        let Some(callee) = callee()? else { return Ok(None) };
        // SAFETY: that is the type of these functions.
        let run: extern "C" fn(*const c_void, u64) -> i64 =
            unsafe { mem::transmute(callees::address(&format!("loop{layout}"))) };
        if run(callee.address(), 10) != i64::from((0..10).sum::<i32>() + 10) {
            return Err(format!("{LOOP} by {}: the result is wrong", way.name()).into());
        }
        loops.push(Box::new(move |calls| {
            black_box(run(callee.address(), calls));
        }));
    }
    Ok(Some(Runner::new(way, loops)))
}

/// Gets closures ready to be made and freed in that way; `None` where there is no such way here.
pub(crate) fn prepare_closure(way: Way, rivals: &Rivals) -> Result<Option<Runner>, Failure> {
    let signature = Signature::parse("int callback(int, int)")?;
    let mut loops: Vec<Turns> = Vec::new();
    for _ in 0..LAYOUTS {
        let tier = if way == Way::Asm { Tier::Asm } else { Tier::Jit };
        let interface = || Engine::builder().tier(tier).build()?.prepare_callback(&signature);
        loops.push(match way {
            Way::Direct => Box::new(|closures| {
                for _ in 0..closures {
                    // SAFETY: what was allocated is freed.
                    unsafe { libc::free(black_box(libc::malloc(black_box(64)))) };
                }
            }),
            Way::ClosureTyped => {
                let interface = interface()?;
                Box::new(move |closures| {
                    for _ in 0..closures {
                        drop(black_box(interface.typed(|a: i32, b: i32| a.wrapping_add(b))));
                    }
                })
            }
            Way::ClosureRaw | Way::Asm => {
                let interface = interface()?;
                Box::new(move |closures| {
                    for _ in 0..closures {
                        // SAFETY: the signature has two of these parameters, in a slot each, and an `int` result.
                        let add = |arguments: Arguments<'_>, result: Outcome<'_>| unsafe {
                            result.write(arguments.read::<i32>(0).wrapping_add(arguments.read::<i32>(1)));
                        };
                        drop(black_box(interface.slots(add)));
                    }
                })
            }
            Way::Libffi | Way::DropIn => {
                let Some(libffi) = rivals.of(way) else { return Ok(None) };
                let made = libffi.closures(&signature)?;
                Box::new(move |closures| {
                    for _ in 0..closures {
                        // SAFETY: nobody calls it.
                        unsafe {
                            if let Some(closure) = made.make(ptr::null(), ptr::null()) {
                                made.free(black_box(closure));
                            }
                        }
                    }
                })
            }
            _ => return Ok(None),
        });
    }
    Ok(Some(Runner::new(way, loops)))
}

/// Gets a sort ready that compares in that way; `None` where there is no such way here.
pub(crate) fn prepare_sort(way: Way, rivals: &Rivals) -> Result<Option<Runner>, Failure> {
    /// # Safety
    /// Both point at integers.
    unsafe extern "C" fn compare(a: *const i32, b: *const i32) -> i32 {
        // SAFETY: said by the caller.
        unsafe { order(a, b) }
    }
    let signature = Signature::parse("int compare(const void *, const void *)")?;
    let handlers = Handlers {
        direct: compare as *const c_void,
        // SAFETY: qsort gives it the addresses of two elements.
        typed: |interface: &CallbackInterface| interface.typed(|a: *const i32, b: *const i32| unsafe { order(a, b) }),
        // SAFETY: as above.
        combine: |a: *const i32, b: *const i32| unsafe { order(a, b) },
    };
    let Some(callee) = handlers.callee(way, &signature, rivals)? else { return Ok(None) };
    // The multiplier is a primitive root of the prime 1009, so no number comes twice.
    let mut number = 1;
    let shuffled: Vec<i32> = std::iter::repeat_with(|| {
        number = number * 11 % 1009;
        number
    })
    .take(NUMBERS)
    .collect();
    let room = Cell::new(shuffled.clone());
    let sort = move |sorts: u64| {
        let mut numbers = room.take();
        for _ in 0..sorts {
            numbers.copy_from_slice(&shuffled);
            // SAFETY: the callee compares integers.
            unsafe {
                let compare = mem::transmute::<*const c_void, unsafe extern "C" fn(_, _) -> _>(callee.address());
                libc::qsort(numbers.as_mut_ptr().cast(), NUMBERS, size_of::<i32>(), Some(compare));
            }
            black_box(&numbers);
        }
        let sorted = numbers.is_sorted();
        room.set(numbers);
        sorted
    };
    if !sort(1) {
        return Err(format!("{SORT} by {}: the result is wrong", way.name()).into());
    }
    let sort: std::rc::Rc<dyn Fn(u64) -> bool> = std::rc::Rc::new(sort);
    let loops = (0..LAYOUTS).map(|_| {
        let sort = std::rc::Rc::clone(&sort);
        Box::new(move |sorts| {
            sort(sorts);
        }) as Turns
    });
    Ok(Some(Runner::new(way, loops.collect())))
}

/// # Safety
/// Both point at integers.
#[inline(always)]
unsafe fn order(a: *const i32, b: *const i32) -> i32 {
    // SAFETY: said by the caller.
    unsafe { (*a).cmp(&*b) as i32 }
}

/// Parameters of the cases' callbacks: as slots and values have them.
trait Argument: CType {
    fn from_value(value: &Value<'_>) -> Option<Self>;
}

impl Argument for i32 {
    fn from_value(value: &Value<'_>) -> Option<i32> {
        match value {
            Value::I32(value) => Some(*value),
            _ => None,
        }
    }
}

impl Argument for *const i32 {
    fn from_value(value: &Value<'_>) -> Option<*const i32> {
        Some(value.as_pointer()?.cast_const().cast())
    }
}

/// One function of two parameters, in all ways.
struct Handlers<T, C> {
    direct: *const c_void,
    typed: T,
    combine: C,
}

impl<T, C> Handlers<T, C> {
    fn callee<A: Argument>(self, way: Way, signature: &Signature, rivals: &Rivals) -> Result<Option<Callee>, Failure>
    where
        T: Fn(&CallbackInterface) -> jitcall::Result<Closure<'static>>,
        C: Fn(A, A) -> i32 + Copy + 'static,
    {
        let combine = self.combine;
        let interface = |tier| Engine::builder().tier(tier).build()?.prepare_callback(signature);
        let slots = |tier| {
            let handler = move |arguments: Arguments<'_>, result: Outcome<'_>| {
                // SAFETY: the signature has two of these parameters, in a slot each, and an `int` result.
                unsafe { result.write(combine(arguments.read::<A>(0), arguments.read::<A>(1))) };
            };
            interface(tier)?.slots(handler)
        };
        let closure = match way {
            Way::Direct => return Ok(Some(Callee { address: self.direct, _owner: Owner::Program })),
            Way::Typed | Way::Stub | Way::Values | Way::LibffiPlan => return Ok(None),
            Way::ClosureTyped => (self.typed)(&interface(Tier::Jit)?)?,
            Way::ClosureRaw => slots(Tier::Jit)?,
            Way::Asm => slots(Tier::Asm)?,
            Way::ClosureValues => interface(Tier::Jit)?.values(move |values| match values {
                [a, b] => match (A::from_value(a), A::from_value(b)) {
                    (Some(a), Some(b)) => Ok(Value::I32(combine(a, b))),
                    _ => Err("other types than the declared ones".into()),
                },
                _ => Err("another number of values than the declared one".into()),
            })?,
            Way::Libffi | Way::DropIn => {
                let Some(libffi) = rivals.of(way) else { return Ok(None) };
                let callback = libffi.callback(signature, combine)?;
                return Ok(Some(Callee { address: callback.address(), _owner: Owner::Libffi { _callback: callback } }));
            }
        };
        Ok(Some(Callee { address: closure.as_ptr(), _owner: Owner::Closure { _closure: closure } }))
    }
}
