//! The ways to call, and the loop that they are measured in: one text for all of them.

use std::arch::asm;
use std::ffi::c_void;
use std::hint::black_box;
use std::mem::MaybeUninit;

use clap::ValueEnum;
use jitcall::{Engine, Function, Signature, SlotFunction, Tier, TypedFunction, Value};

use super::cases::{Case, Outcome};
use super::libffi::{Prepared, Rivals};
use crate::Failure;

/// A way to call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Way {
    /// A function pointer that Rust calls
    Direct,
    /// `Function::typed`
    Typed,
    /// `Function::slots`, through a stub
    Stub,
    /// `Function::call`, through a stub
    Values,
    /// A closure whose handler has Rust's types
    ClosureTyped,
    /// A closure whose handler reads slots
    ClosureRaw,
    /// A closure whose handler takes and gives values
    ClosureValues,
    /// `Function::slots`, and closures over slots, on the tier without a JIT
    Asm,
    /// `ffi_call`, and closures of libffi's
    Libffi,
    /// `ffi_call_plan_invoke`
    LibffiPlan,
    /// `ffi_call`, and closures, of this project's `libffi.so.8`
    DropIn,
}

impl Way {
    /// What it is called on the command line.
    pub(crate) fn name(self) -> String {
        self.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned())
    }
}

/// How many copies there are of each loop, at different distances from the start of a cache line.
pub(crate) const LAYOUTS: usize = 4;

/// Functions with stubs of 16 bytes, which move the stubs that are made after them.
const FILLERS: [&str; LAYOUTS - 1] = ["void f(signed char)", "void f(short)", "void f(float)"];

/// Makes that many calls.
pub(crate) type Turns = Box<dyn Fn(u64)>;

/// One way of calling one case's function.
pub(crate) struct Runner {
    pub(crate) way: Way,
    /// One for each layout.
    loops: Vec<Turns>,
}

impl Runner {
    /// `loops` has one for each layout.
    pub(crate) fn new(way: Way, loops: Vec<Turns>) -> Runner {
        Runner { way, loops }
    }

    /// Makes that many calls, in the loop with that layout.
    pub(crate) fn run(&self, layout: usize, calls: u64) {
        self.loops[layout](calls);
    }
}

/// Gets a case ready to be called in that way; `None` where there is no such way here.
pub(crate) fn prepare<C: Case>(way: Way, rivals: &Rivals) -> Result<Option<Runner>, Failure> {
    let mut loops = Vec::with_capacity(LAYOUTS);
    for layout in 0..LAYOUTS {
        let turns = prepare_layout::<C>(way, layout, rivals);
        match turns.map_err(|failure| format!("{} by {}: {failure}", C::NAME, way.name()))? {
            Some(turns) => loops.push(turns),
            None => return Ok(None),
        }
    }
    Ok(Some(Runner { way, loops }))
}

fn prepare_layout<C: Case>(way: Way, layout: usize, rivals: &Rivals) -> Result<Option<Turns>, Failure> {
    match way {
        Way::Direct => looped(Direct::<C>(black_box(C::function())), layout),
        Way::Typed => looped(Typed::<C>(function::<C>(Tier::Jit, 0)?.typed()?), layout),
        Way::Stub => looped(Slots::<C>(function::<C>(Tier::Jit, layout)?.slots()?), layout),
        Way::Values => looped::<C, _>(Values(function::<C>(Tier::Jit, layout)?), layout),
        Way::Asm => looped(Slots::<C>(function::<C>(Tier::Asm, 0)?.slots()?), layout),
        Way::ClosureTyped | Way::ClosureRaw | Way::ClosureValues => Ok(None),
        Way::Libffi | Way::LibffiPlan | Way::DropIn => {
            let signature = Signature::parse(C::DECLARATION)?;
            let prepared = match rivals.of(way) {
                Some(libffi) if way == Way::LibffiPlan => libffi.plans(&signature)?,
                Some(libffi) => Some(libffi.calls(&signature)?),
                None => None,
            };
            let offsets = Engine::global().prepare(&signature)?.slot_offsets().to_vec();
            match prepared {
                Some(prepared) => looped::<C, _>(Rival { prepared, target: C::address(), offsets }, layout),
                None => Ok(None),
            }
        }
    }
}

/// The case's function in an engine of its own, in which so many stubs were made before.
fn function<C: Case>(tier: Tier, fillers: usize) -> Result<Function, Failure> {
    let engine = Engine::builder().tier(tier).build()?;
    for filler in &FILLERS[..fillers] {
        engine.prepare(&Signature::parse(filler)?)?;
    }
    Ok(Function::with_engine(&engine, C::address(), Signature::parse(C::DECLARATION)?)?)
}

/// Calls a case's function in one way.
trait Caller<C: Case>: 'static {
    /// What a call needs room for.
    type Room;
    /// What a call gives.
    type Output;

    fn room(&self) -> Self::Room;

    /// Finishes the room in the place where it will stay.
    fn settle(&self, _room: *mut Self::Room) {}

    /// Calls with these arguments.
    ///
    /// # Safety
    /// `room` points at what [`Caller::room`] gave and [`Caller::settle`] has seen there.
    unsafe fn call(&self, arguments: &C::Arguments, room: *mut Self::Room) -> Self::Output;

    /// The function's result.
    fn result(output: Self::Output) -> Option<C::Result>;
}

struct Direct<C: Case>(C::Function);

impl<C: Case> Caller<C> for Direct<C> {
    type Room = ();
    type Output = C::Result;

    fn room(&self) {}

    #[inline(always)]
    unsafe fn call(&self, arguments: &C::Arguments, _room: *mut ()) -> C::Result {
        C::direct(self.0, arguments)
    }

    fn result(output: C::Result) -> Option<C::Result> {
        Some(output)
    }
}

struct Typed<C: Case>(TypedFunction<C::Arguments, C::Result>);

impl<C: Case> Caller<C> for Typed<C> {
    type Room = ();
    type Output = C::Result;

    fn room(&self) {}

    #[inline(always)]
    unsafe fn call(&self, arguments: &C::Arguments, _room: *mut ()) -> C::Result {
        // SAFETY: the declaration is the case's own.
        unsafe { self.0.call(*arguments) }
    }

    fn result(output: C::Result) -> Option<C::Result> {
        Some(output)
    }
}

struct Slots<C: Case>(SlotFunction<C::Result>);

struct SlotsRoom<C: Case> {
    slots: C::Slots,
    result: MaybeUninit<C::Result>,
}

impl<C: Case> Caller<C> for Slots<C> {
    type Room = SlotsRoom<C>;
    type Output = *const C::Result;

    fn room(&self) -> SlotsRoom<C> {
        SlotsRoom { slots: C::SLOTS, result: MaybeUninit::uninit() }
    }

    #[inline(always)]
    unsafe fn call(&self, arguments: &C::Arguments, room: *mut SlotsRoom<C>) -> *const C::Result {
        // SAFETY: the room has slots for this case, whose declaration is its own.
        unsafe {
            let slots = (&raw mut (*room).slots).cast();
            C::store(arguments, slots);
            let result = &mut (*room).result;
            self.0.call_into(slots, result);
            result.as_ptr()
        }
    }

    fn result(output: *const C::Result) -> Option<C::Result> {
        // SAFETY: the call has written the result, and the room is still there.
        Some(unsafe { output.read() })
    }
}

struct Values(Function);

impl<C: Case> Caller<C> for Values {
    type Room = C::Values;
    type Output = jitcall::Result<Value<'static>>;

    fn room(&self) -> C::Values {
        C::values(self.0.signature())
    }

    #[inline(always)]
    unsafe fn call(&self, arguments: &C::Arguments, room: *mut C::Values) -> Self::Output {
        // SAFETY: nothing else uses the room; the declaration is the case's own.
        unsafe {
            C::refresh(arguments, &mut *room);
            self.0.call((*room).as_ref())
        }
    }

    fn result(output: Self::Output) -> Option<C::Result> {
        C::Result::of(&output.ok()?)
    }
}

/// Calls through libffi: the arguments are stored as they are in slots, and their addresses once before.
struct Rival {
    prepared: Prepared,
    target: *const c_void,
    offsets: Vec<u32>,
}

struct RivalRoom<C: Case> {
    slots: C::Slots,
    pointers: C::Pointers,
    /// As much as the largest result takes, and no less than a register.
    result: MaybeUninit<[u64; 4]>,
}

impl<C: Case> Caller<C> for Rival {
    type Room = RivalRoom<C>;
    type Output = C::Result;

    fn room(&self) -> RivalRoom<C> {
        RivalRoom { slots: C::SLOTS, pointers: C::POINTERS, result: MaybeUninit::uninit() }
    }

    fn settle(&self, room: *mut RivalRoom<C>) {
        // SAFETY: the room has as many slots as the offsets were computed for.
        unsafe {
            let slots: *mut u8 = (&raw mut (*room).slots).cast();
            let pointers = &mut (*room).pointers;
            for (pointer, offset) in pointers.as_mut().iter_mut().zip(&self.offsets) {
                *pointer = slots.add(*offset as usize).cast();
            }
        }
    }

    #[inline(always)]
    unsafe fn call(&self, arguments: &C::Arguments, room: *mut RivalRoom<C>) -> C::Result {
        // SAFETY: the room is for this case, whose declaration is its own, and `settle` has made the addresses those
        // of its slots. A result of less than 8 bytes is widened, its low bytes first on both architectures.
        unsafe {
            C::store(arguments, (&raw mut (*room).slots).cast());
            let result = &raw mut (*room).result;
            (self.prepared.invoke)(
                self.prepared.handle,
                self.target,
                result.cast(),
                (&raw mut (*room).pointers).cast(),
            );
            result.cast::<C::Result>().read()
        }
    }

    fn result(output: C::Result) -> Option<C::Result> {
        Some(output)
    }
}

/// The loop around a caller with that layout, after a look at what the caller gives.
fn looped<C: Case, E: Caller<C>>(caller: E, layout: usize) -> Result<Option<Turns>, Failure> {
    let mut room = caller.room();
    caller.settle(&raw mut room);
    // SAFETY: the room was made by the caller and has settled.
    let output = unsafe { caller.call(&C::ARGUMENTS, &raw mut room) };
    if E::result(output) != Some(C::direct(C::function(), &C::ARGUMENTS)) {
        return Err("the result is wrong".into());
    }
    let turns = [turns::<C, E, 0>, turns::<C, E, 1>, turns::<C, E, 2>, turns::<C, E, 3>][layout];
    Ok(Some(Box::new(move |calls| turns(&caller, calls))))
}

/// Makes that many calls. `LAYOUT` moves the loop by quarters of a cache line, and the stack as well.
#[inline(never)]
fn turns<C: Case, E: Caller<C>, const LAYOUT: usize>(caller: &E, calls: u64) {
    black_box([0u128; LAYOUT]);
    let mut room = caller.room();
    let room = &raw mut room;
    caller.settle(room);
    let arguments = C::ARGUMENTS;
    let mut arguments = &raw const arguments;
    // SAFETY: nothing is executed but instructions that do nothing.
    unsafe { asm!(".p2align 6", ".rept {}", "nop", ".endr", const LAYOUT * NOPS, options(nostack, preserves_flags)) };
    for _ in 0..calls {
        // SAFETY: no instruction touches the pointer, which the compiler no longer knows afterwards. The room was
        // made by the caller and has settled.
        unsafe {
            asm!("/* {0} */", inout(reg) arguments, options(nostack, preserves_flags));
            consume(&caller.call(&*arguments, room));
        }
    }
}

/// Has the compiler believe that the value is read. A move, as of a `black_box`, would be part of no call.
#[inline(always)]
fn consume<T>(value: &T) {
    // SAFETY: no instruction is executed.
    unsafe { asm!("/* {0} */", in(reg) value, options(nostack, preserves_flags)) };
}

/// Instructions in a quarter of a cache line.
const NOPS: usize = if cfg!(target_arch = "x86_64") { 16 } else { 4 };
