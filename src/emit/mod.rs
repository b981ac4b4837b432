//! Machine code for a [`Plan`], for either architecture on any host.
//!
//! Stubs are written once, against the small `Assembler` of this module; `x86_64` and `aarch64` turn each of its
//! steps into a few instructions through dynasm. `call` is the road of a call, `entry` that of a callback, `page` what C
//! enters first, `bridge` the road from a host's own values, `map` that of many calls at a time, `pointers` the roads both ways of
//! libffi's interface; what comes out are bytes that run at any address.

mod aarch64;
pub(crate) mod bridge;
mod call;
pub(crate) mod entry;
pub(crate) mod map;
mod page;
pub(crate) mod pointers;
mod x86_64;

pub(crate) use entry::RECORD_STATE;
pub use map::Steps;
pub use page::{ENTRY_SIZE, IN_PLACE_SIZE, RECORD_DISTANCE, RecordPlace, in_place_entry, page_entry};

use crate::abi::{Convention, Part, Plan, Register, Width};
use crate::bridge::Spec;
use crate::error::{Error, Result};
use crate::pointers::StateIn;
use crate::types::Arch;
use crate::types::signature::Signature;

/// Emits the call stub for a plan: a function
///
/// ```c
/// result (*stub)(const slot *arguments, void *target, void *result);
/// ```
///
/// in C's own convention on that architecture, which calls `target` with the arguments in the slots. A result that
/// comes back in plain registers stays in them ([`Carrier`](crate::abi::Carrier)); any other is written to `result`.
/// Where nothing lies on the stack and no result has to be moved, the stub has no frame and jumps to its target.
///
/// ```
/// use jitcall::abi::{Convention, Plan};
/// use jitcall::{Signature, emit};
/// let pow = Signature::parse("double pow(double, double)")?;
/// let stub = emit::call_stub(&Plan::new(&pow, Convention::SysV64)?)?;
/// assert!(stub.starts_with(&[0xf3, 0x0f, 0x1e, 0xfa]), "endbr64");
/// # Ok::<(), jitcall::Error>(())
/// ```
///
/// # Errors
/// [`Error::Unsupported`] where the assembler cannot express the stub.
pub fn call_stub(plan: &Plan) -> Result<Vec<u8>> {
    let mut code = Vec::with_capacity(64);
    call_stub_into(plan, &mut code)?;
    Ok(code)
}

/// Emits a call stub at the end of `code`.
pub(crate) fn call_stub_into(plan: &Plan, code: &mut Vec<u8>) -> Result<()> {
    match plan.convention.arch() {
        Arch::X86_64 => call::emit(plan, x86_64::Emitter::new(code)),
        Arch::Aarch64 => call::emit(plan, aarch64::Emitter::new(code)),
    }
}

/// Emits the closure entry for a plan: what C enters when it calls a function of the plan's signature that is a closure.
/// It gathers the arguments in slots, has the closure's handler run, and returns the result as the convention wants it.
///
/// ```
/// use jitcall::abi::{Convention, Plan};
/// use jitcall::{Signature, emit};
/// let compare = Signature::parse("int compare(const void *, const void *)")?;
/// let entry = emit::closure_entry(&Plan::new(&compare, Convention::Aapcs64)?)?;
/// assert!(entry.starts_with(&[0x5f, 0x24, 0x03, 0xd5]), "bti c");
/// # Ok::<(), jitcall::Error>(())
/// ```
///
/// # Errors
/// [`Error::Unsupported`] where the assembler cannot express the entry.
pub fn closure_entry(plan: &Plan) -> Result<Vec<u8>> {
    let mut code = Vec::with_capacity(128);
    closure_entry_into(plan, &mut code)?;
    Ok(code)
}

/// Emits a closure entry at the end of `code`.
pub(crate) fn closure_entry_into(plan: &Plan, code: &mut Vec<u8>) -> Result<()> {
    match plan.convention.arch() {
        Arch::X86_64 => entry::emit(plan, x86_64::Emitter::new(code)),
        Arch::Aarch64 => entry::emit(plan, aarch64::Emitter::new(code)),
    }
}

/// Emits the bridge stub of a host for functions of a signature: see [`crate::bridge`].
///
/// Where it keeps `errno`, that is `errno` bytes from the thread pointer.
///
/// # Errors
/// [`Error::Unsupported`] where the specification does not fit the signature, or there is no
/// conversion of a payload to the type of its argument.
pub fn bridge_stub(spec: &Spec, callee: &Signature, convention: Convention, errno: i32) -> Result<Vec<u8>> {
    let mut code = Vec::with_capacity(256);
    bridge_stub_into(&bridge::Blueprint::new(spec, callee, convention, errno)?, &mut code)?;
    Ok(code)
}

/// Emits a bridge stub at the end of `code`.
pub(crate) fn bridge_stub_into(blueprint: &bridge::Blueprint, code: &mut Vec<u8>) -> Result<()> {
    match blueprint.arch() {
        Arch::X86_64 => bridge::emit(blueprint, x86_64::Emitter::new(code)),
        Arch::Aarch64 => bridge::emit(blueprint, aarch64::Emitter::new(code)),
    }
}

/// Emits the map stub for functions of a signature: a function
///
/// ```c
/// void (*stub)(const struct { const void *address; ptrdiff_t stride; } *columns, void *target, void *results, size_t count);
/// ```
///
/// in C's own convention on that architecture, which calls `target` `count` times, at least once, with the next element
/// of each column: see [`Map`](crate::map::Map).
///
/// ```
/// use jitcall::abi::Convention;
/// use jitcall::emit::{Steps, map_stub};
/// let pow = jitcall::Signature::parse("double pow(double, double)")?;
/// let stub = map_stub(&pow, Convention::SysV64, Steps::Dense)?;
/// assert!(stub.starts_with(&[0xf3, 0x0f, 0x1e, 0xfa]), "endbr64");
/// # Ok::<(), jitcall::Error>(())
/// ```
///
/// # Errors
/// [`Error::Unsupported`] where there is no map stub: a parameter is no scalar of at most 8 bytes, the result is neither
/// that nor `void`, or there are too many parameters for the frame.
pub fn map_stub(signature: &Signature, convention: Convention, steps: Steps) -> Result<Vec<u8>> {
    let plan = Plan::new(signature, convention)?;
    let blueprint = map::Blueprint::new(signature, &plan, steps)
        .ok_or_else(|| Error::unsupported(format!("a map stub for {signature}")))?;
    let mut code = Vec::with_capacity(128);
    map_stub_into(&blueprint, &mut code)?;
    Ok(code)
}

/// Emits a map stub at the end of `code`.
pub(crate) fn map_stub_into(blueprint: &map::Blueprint<'_>, code: &mut Vec<u8>) -> Result<()> {
    match blueprint.arch() {
        Arch::X86_64 => map::emit(blueprint, x86_64::Emitter::new(code)),
        Arch::Aarch64 => map::emit(blueprint, aarch64::Emitter::new(code)),
    }
}

/// Emits the call stub of a signature whose arguments are given by pointers, at the end of `code`.
pub(crate) fn pointers_call_into(blueprint: &pointers::Blueprint<'_>, chain: bool, code: &mut Vec<u8>) -> Result<()> {
    match blueprint.plan.convention.arch() {
        Arch::X86_64 => pointers::emit_call(blueprint, chain, x86_64::Emitter::new(code)),
        Arch::Aarch64 => pointers::emit_call(blueprint, chain, aarch64::Emitter::new(code)),
    }
}

/// Emits the entry of a signature whose arguments are given to handlers by pointers, at the end of `code`.
pub(crate) fn pointers_entry_into(
    blueprint: &pointers::Blueprint<'_>,
    state: StateIn,
    code: &mut Vec<u8>,
) -> Result<()> {
    match blueprint.plan.convention.arch() {
        Arch::X86_64 => pointers::emit_entry(blueprint, state, x86_64::Emitter::new(code)),
        Arch::Aarch64 => pointers::emit_entry(blueprint, state, aarch64::Emitter::new(code)),
    }
}

/// A register by its role in a stub; each architecture gives the roles to registers of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    /// The n-th integer argument register of C's own convention. The stub's own parameters arrive in the first three:
    /// slots, target, result. Those of another convention are among them ([`call::general`]).
    Argument(u8),
    /// Keeps the address of the slots while argument registers are filled.
    Slots,
    /// Keeps the target's address. Where indirect jumps are restricted, the register that may be jumped through. On the
    /// way into a closure entry, the address of the closure's record.
    Target,
    /// The n-th general result register.
    Result(u8),
    /// The n-th callee-saved register, of those that map stubs save.
    Saved(u8),
    /// The frame pointer.
    Frame,
    /// The stack pointer; only as a base, with offsets that every load reaches.
    Stack,
    /// Holds a value for a moment.
    Scratch,
    /// The static chain, by which Go and nested functions find their variables.
    Chain,
}

/// Where a stub's own parameters arrive.
const SLOTS_IN: Role = Role::Argument(0);
const TARGET_IN: Role = Role::Argument(1);
const RESULT_IN: Role = Role::Argument(2);

/// The steps that stubs are made of.
///
/// Between [`open_frame`](Assembler::open_frame) and the call, the stack pointer is the bottom of the plan's area.
trait Assembler {
    /// Whether a jump may go through any register and still reach a landing pad.
    const JUMPS_THROUGH_ANY: bool;
    /// How far above the frame pointer the caller's arguments in memory start, in bytes.
    const INCOMING: u32;
    /// Whether a function returns the address of its result in memory.
    const RETURNS_ADDRESS: bool;

    /// Marks an allowed target of an indirect call.
    fn landing_pad(&mut self);
    /// Copies a register.
    fn copy(&mut self, to: Role, from: Role);
    /// Fills a general register from memory.
    fn load(&mut self, to: Role, base: Role, offset: u32, width: Width);
    /// Fills the n-th vector argument register from memory.
    fn load_vector(&mut self, to: u8, base: Role, offset: u32, width: Width);
    /// Whether one instruction moves two registers of that width from or to memory at that offset.
    fn pairs(offset: u32, width: Width) -> bool;
    /// Fills an argument register, or a result register, and the next one of its kind from adjacent memory, where it can.
    fn load_pair(&mut self, first: Register, base: Role, offset: u32, width: Width);
    /// Opens a frame that a frame-pointer walk understands; keeps the address of the result if it is asked to.
    fn open_frame(&mut self, keep_result: bool);
    /// Makes the plan's area below the frame, aligned; touches each page of it on the way down.
    fn reserve(&mut self, area: usize, align: usize);
    /// Writes a register to the area.
    fn store(&mut self, from: Role, at: u32);
    /// Writes as much of the n-th vector argument register to the area as a value of that width takes.
    fn store_vector(&mut self, from: u8, at: u32, width: Width);
    /// Writes an argument register and the next one of its kind to adjacent places of the area, where it can.
    fn store_pair(&mut self, first: Register, at: u32, width: Width);
    /// Has code that knows nothing of 32-byte vectors run at its usual speed, now that they are in memory.
    fn leave_wide_vectors(&mut self);
    /// Saves registers in the area that a convention preserves which is not C's own.
    fn save_preserved(&mut self, at: u32);
    /// Restores them.
    fn restore_preserved(&mut self, at: u32);
    /// Pushes a value of the area, at that distance from the stack pointer, on the x87 stack.
    fn load_x87(&mut self, at: u32);
    /// Takes the address of a place in the area.
    fn address(&mut self, to: Role, at: u32);
    /// Copies `size` bytes, a multiple of 8, from memory to the area. Leaves alone the registers in the roles
    /// [`Role::Slots`] and [`Role::Target`], the third argument register, and no other argument register.
    fn copy_block(&mut self, base: Role, offset: u32, at: u32, size: u32);
    /// Makes the area and fills it in one go where that takes fewer instructions; says whether it did.
    fn push_arguments(&mut self, plan: &Plan, base: Role) -> bool;
    /// Tells a variadic function how many vector registers are used.
    fn vector_count(&mut self, count: u8);
    /// Calls through a register.
    fn call(&mut self, target: Role);
    /// Calls through memory, with the base still in its register.
    fn call_at(&mut self, base: Role, offset: u32);
    /// Jumps through a register.
    fn jump(&mut self, target: Role);
    /// Writes parts of the result to the address that [`open_frame`](Assembler::open_frame) kept.
    fn store_result(&mut self, parts: &mut dyn Iterator<Item = Part>);
    /// Closes the frame and returns.
    fn close_frame(&mut self);
    /// Resolves what is open.
    fn finish(self) -> Result<()>;
}
