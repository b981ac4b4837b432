//! The road of a callback: registers and stack to slots, the handler, its result to registers.
//!
//! C has jumped through an entry of `code::entries`, which left the address of the closure's record in
//! [`Role::Target`]. The frame of a closure entry:
//!
//! ```text
//!   frame pointer   INCOMING bytes below the arguments in memory
//!                   registers that only C's caller's convention preserves
//!   sp + slots_at   the arguments, in slots
//!   sp + kept_at    the address of a result in memory
//!   sp              the result, as the handler leaves it
//! ```

use crate::abi::{BlockPlace, Convention, Move, Part, Place, Plan, Register, Source, Width};
use crate::emit::call::{argument_register, general};
use crate::emit::{Assembler, RESULT_IN, Role};
use crate::error::Result;

/// Where the two words of a record lie, in bytes: what the entry jumps to, and the closure's state.
pub(crate) const RECORD_STATE: u32 = 8;

/// Where the function that runs the handler lies in the closure's state, in bytes:
/// `void run(state, const slot *arguments, void *result)`.
pub(crate) const STATE_RUN: u32 = 0;

/// Emits the entry for `plan`.
pub(super) fn emit<A: Assembler>(plan: &Plan, mut assembler: A) -> Result<()> {
    let frame = Frame::with_room(plan, 0);
    open(plan, &frame, &mut assembler);
    gather_memory(plan, &frame, &mut assembler);
    run_handler(plan, &frame, &mut assembler);
    close(plan, &frame, assembler)
}

/// Makes the frame; saves what C expects to find again and the handler, which is of C's own convention, need not preserve;
/// stores the arguments in registers. The record's register and the static chain's are as they were.
pub(super) fn open<A: Assembler>(plan: &Plan, frame: &Frame, assembler: &mut A) {
    assembler.landing_pad();
    assembler.open_frame(false);
    assembler.reserve(frame.size, 16);
    if let Some(at) = frame.preserved_at {
        assembler.save_preserved(at);
    }
    spill_registers(plan, frame, assembler);
}

/// Loads the result, restores what was saved, and returns.
pub(super) fn close<A: Assembler>(plan: &Plan, frame: &Frame, mut assembler: A) -> Result<()> {
    take_result(plan, frame, &mut assembler);
    if let Some(at) = frame.preserved_at {
        assembler.restore_preserved(at);
    }
    assembler.close_frame();
    assembler.finish()
}

/// Bytes of what [`Assembler::save_preserved`] saves: on x86_64 rdi, rsi and ten vector registers.
const PRESERVED: usize = 2 * 8 + 10 * 16;

/// What lies where below the frame pointer, in bytes from the stack pointer.
pub(super) struct Frame {
    pub(super) kept_at: u32,
    slots_at: u32,
    /// Where registers are saved that only C's caller's convention preserves.
    preserved_at: Option<u32>,
    size: usize,
}

impl Frame {
    /// With room for a result in registers of at least so many bytes.
    pub(super) fn with_room(plan: &Plan, least: usize) -> Frame {
        // Registers are loaded whole, so the last part may be read beyond its end.
        let result = if plan.result.in_memory { 0 } else { plan.result.size.next_multiple_of(8).max(least) };
        let kept_at = result.next_multiple_of(16);
        let slots_at = kept_at + if plan.result.in_memory { 16 } else { 0 };
        let size = slots_at + (8 * plan.slots).next_multiple_of(16);
        let mut frame = Frame { kept_at: kept_at as u32, slots_at: slots_at as u32, preserved_at: None, size };
        if plan.convention != Convention::of(plan.convention.arch()) {
            frame.preserved_at = Some(frame.push(PRESERVED));
        }
        frame
    }

    /// Makes room for so many bytes more, and says where.
    pub(super) fn push(&mut self, bytes: usize) -> u32 {
        let at = self.size;
        self.size += bytes.next_multiple_of(16);
        at as u32
    }

    /// Where the slots from that many bytes on are.
    pub(super) fn slot(&self, offset: u32) -> u32 {
        self.slots_at + offset
    }
}

/// Stores the argument registers in their slots, whole: what is above a value in its slot is nobody's.
fn spill_registers<A: Assembler>(plan: &Plan, frame: &Frame, assembler: &mut A) {
    let mut rest = &*plan.moves;
    while let [value, after @ ..] = rest {
        rest = after;
        if let Some(spill) = Spill::of(value) {
            let at = frame.slot(spill.offset);
            let next = after.first().and_then(Spill::of);
            if next.is_some_and(|next| spill.precedes(&next)) && A::pairs(at, spill.width) {
                assembler.store_pair(spill.register, at, spill.width);
                rest = &after[1..];
            } else {
                spill.emit(plan, assembler, at);
            }
        } else if value.source == Source::Result
            && let Some(register) = argument_register(plan, value)
        {
            assembler.store(register, frame.kept_at);
        }
    }
    if plan.moves.iter().any(|value| Spill::of(value).is_some_and(|spill| spill.width == Width::B32)) {
        assembler.leave_wide_vectors();
    }
}

/// An argument register, and where in the slots it goes.
struct Spill {
    register: Register,
    offset: u32,
    width: Width,
}

impl Spill {
    fn of(value: &Move) -> Option<Spill> {
        let (Place::Register(register), Source::Slot(offset)) = (value.place, value.source) else { return None };
        let width = match register {
            Register::Gpr(_) => Width::B8,
            Register::Fpr(_) | Register::X87(_) => value.width,
        };
        Some(Spill { register, offset, width })
    }

    /// Whether another one is of the next register and goes to the next place.
    fn precedes(&self, next: &Spill) -> bool {
        let registers = match (self.register, next.register) {
            (Register::Gpr(a), Register::Gpr(b)) | (Register::Fpr(a), Register::Fpr(b)) => a + 1 == b,
            _ => false,
        };
        registers && self.width == next.width && self.offset as usize + self.width.bytes() == next.offset as usize
    }

    fn emit<A: Assembler>(&self, plan: &Plan, assembler: &mut A, at: u32) {
        match self.register {
            Register::Gpr(number) => assembler.store(general(plan, number), at),
            Register::Fpr(number) => assembler.store_vector(number, at, self.width),
            Register::X87(_) => {} // no convention passes arguments there
        }
    }
}

/// Copies arguments in memory, and what is passed by reference, to their slots. Argument registers still hold the
/// addresses of the latter.
pub(super) fn gather_memory<A: Assembler>(plan: &Plan, frame: &Frame, assembler: &mut A) {
    for value in &plan.moves {
        if let (Place::Stack(at), Source::Slot(offset)) = (value.place, value.source) {
            assembler.load(Role::Scratch, Role::Frame, A::INCOMING + at, Width::B8);
            assembler.store(Role::Scratch, frame.slot(offset));
        }
    }
    for block in &plan.blocks {
        let to = frame.slot(block.source);
        match block.to {
            BlockPlace::Stack(at) => assembler.copy_block(Role::Frame, A::INCOMING + at, to, block.size),
            BlockPlace::Copy(copy) => {
                let address = load_address(plan, copy, assembler);
                assembler.copy_block(address, 0, to, block.size);
            }
        }
    }
}

/// The register that has the address of an argument passed by reference.
fn load_address<A: Assembler>(plan: &Plan, copy: u32, assembler: &mut A) -> Role {
    let value = plan.moves.iter().find(|value| value.source == Source::Copy(copy));
    match value.map(|value| value.place) {
        Some(Place::Register(Register::Gpr(number))) => general(plan, number),
        Some(Place::Stack(at)) => {
            assembler.load(Role::Slots, Role::Frame, A::INCOMING + at, Width::B8);
            Role::Slots
        }
        _ => unreachable!("a copy's address is passed in a general register or in memory"),
    }
}

/// Calls `run(state, arguments, result)`.
fn run_handler<A: Assembler>(plan: &Plan, frame: &Frame, assembler: &mut A) {
    if plan.result.in_memory {
        assembler.load(RESULT_IN, Role::Stack, frame.kept_at, Width::B8);
    } else {
        assembler.address(RESULT_IN, 0);
    }
    assembler.load(Role::Argument(0), Role::Target, RECORD_STATE, Width::B8);
    assembler.address(Role::Argument(1), frame.slots_at);
    assembler.call_at(Role::Argument(0), STATE_RUN);
}

/// Loads the result registers.
fn take_result<A: Assembler>(plan: &Plan, frame: &Frame, assembler: &mut A) {
    if plan.result.in_memory {
        if A::RETURNS_ADDRESS {
            assembler.load(Role::Result(0), Role::Stack, frame.kept_at, Width::B8);
        }
        return;
    }
    // The x87 stack grows downwards: what is loaded last is st0.
    let parts: Vec<Part> = plan.result.parts().collect();
    let mut rest = &*parts;
    while let [before @ .., part] = rest {
        rest = before;
        let width = part_width(plan, *part);
        if let [others @ .., first] = before
            && A::pairs(first.offset.into(), width)
            && is_next(first, part)
            && part_width(plan, *first) == width
        {
            assembler.load_pair(first.register, Role::Stack, first.offset.into(), width);
            rest = others;
            continue;
        }
        match part.register {
            Register::Gpr(number) => assembler.load(Role::Result(number), Role::Stack, part.offset.into(), width),
            Register::Fpr(number) => assembler.load_vector(number, Role::Stack, part.offset.into(), width),
            Register::X87(_) => assembler.load_x87(part.offset.into()),
        }
    }
}

/// Whether a part is in the next register of a kind, and in the next memory.
pub(super) fn is_next(first: &Part, second: &Part) -> bool {
    let registers = match (first.register, second.register) {
        (Register::Gpr(a), Register::Gpr(b)) | (Register::Fpr(a), Register::Fpr(b)) => a + 1 == b,
        _ => false,
    };
    registers && first.offset + first.size == second.offset
}

/// How a part of the result is loaded.
pub(crate) fn part_width(plan: &Plan, part: Part) -> Width {
    match (part.register, part.size) {
        (Register::Fpr(_), 0..=2) => Width::U2,
        (Register::Fpr(_), 3..=4) => Width::B4,
        (Register::Fpr(_), 5..=8) => Width::B8,
        (_, 9..=16) => Width::B16,
        (_, 17..) => Width::B32,
        (_, 0..=8) if part.offset == 0 => plan.result.width,
        _ => Width::B8,
    }
}
