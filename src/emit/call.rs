//! The road of a call: slots to registers and stack, the call, the result.

use crate::abi::{Move, Place, Plan, Register, Source, Width};
use crate::emit::{Assembler, RESULT_IN, Role, SLOTS_IN, TARGET_IN};
use crate::error::Result;

/// Emits the stub for `plan`.
pub(super) fn emit<A: Assembler>(plan: &Plan, mut assembler: A) -> Result<()> {
    let keep_result = plan.result.is_stored();
    let framed = plan.needs_frame();
    assembler.landing_pad();
    if framed {
        assembler.open_frame(keep_result);
    }
    let target = set_target_aside(plan, &mut assembler);
    let slots = set_slots_aside(plan, &mut assembler);
    if plan.area() > 0 && !assembler.push_arguments(plan, slots) {
        fill_area(plan, &mut assembler, slots);
    }
    fill_registers(plan, &mut assembler, slots);
    if let Some(count) = plan.vector_count {
        assembler.vector_count(count);
    }
    if framed {
        assembler.call(target);
        if keep_result {
            assembler.store_result(&mut plan.result.parts());
        }
        assembler.close_frame();
    } else {
        assembler.jump(target);
    }
    assembler.finish()
}

/// The target's address leaves its argument register where that is filled, or where a jump could not go through it.
fn set_target_aside<A: Assembler>(plan: &Plan, assembler: &mut A) -> Role {
    let filled = plan.moves.iter().any(|value| argument_register(plan, value) == Some(TARGET_IN));
    let reachable = plan.needs_frame() || A::JUMPS_THROUGH_ANY;
    if !filled && plan.blocks.is_empty() && reachable {
        return TARGET_IN;
    }
    assembler.copy(Role::Target, TARGET_IN);
    Role::Target
}

/// The address of the slots stays in its argument register, which is filled last, unless something else needs that
/// register before.
fn set_slots_aside<A: Assembler>(plan: &Plan, assembler: &mut A) -> Role {
    let claimed =
        |value: &Move| argument_register(plan, value) == Some(SLOTS_IN) && !matches!(value.source, Source::Slot(_));
    if plan.blocks.is_empty() && !plan.moves.iter().any(claimed) {
        return SLOTS_IN;
    }
    assembler.copy(Role::Slots, SLOTS_IN);
    Role::Slots
}

/// The general register that a move fills.
pub(super) fn argument_register(plan: &Plan, value: &Move) -> Option<Role> {
    match value.place {
        Place::Register(Register::Gpr(number)) => Some(general(plan, number)),
        _ => None,
    }
}

/// The n-th general argument register of the plan's convention.
pub(super) fn general(plan: &Plan, number: u8) -> Role {
    Role::Argument(plan.convention.general_number(number))
}

/// Copies arguments to the stack.
fn fill_area<A: Assembler>(plan: &Plan, assembler: &mut A, slots: Role) {
    assembler.reserve(plan.area(), plan.align);
    for block in &plan.blocks {
        assembler.copy_block(slots, block.source, plan.block_at(block), block.size);
    }
    for value in &plan.moves {
        if let Place::Stack(at) = value.place {
            match value.source {
                Source::Slot(offset) => assembler.load(Role::Scratch, slots, offset, value.width),
                Source::Copy(offset) => assembler.address(Role::Scratch, plan.copy_at(offset)),
                Source::Result => assembler.copy(Role::Scratch, RESULT_IN),
            }
            assembler.store(Role::Scratch, at);
        }
    }
}

/// Fills argument registers: first the address of the result, whose own register may be filled later; last the
/// register that the address of the slots may still be in.
fn fill_registers<A: Assembler>(plan: &Plan, assembler: &mut A, slots: Role) {
    pass_result_address(plan, assembler);
    let mut last = None;
    let mut rest = &*plan.moves;
    while let [value, after @ ..] = rest {
        rest = after;
        let Place::Register(register) = value.place else { continue };
        match (register, value.source) {
            (_, Source::Slot(offset)) => {
                let paired = after.first().is_some_and(|next| is_next(value, next)) && A::pairs(offset, value.width);
                if paired {
                    rest = &after[1..];
                }
                let register = match register {
                    Register::Gpr(number) => Register::Gpr(plan.convention.general_number(number)),
                    other => other,
                };
                let load = Load { register, offset, width: value.width, paired };
                if load.overwrites(slots) {
                    last = Some(load);
                } else {
                    load.emit(assembler, slots);
                }
            }
            (Register::Gpr(number), Source::Copy(offset)) => {
                assembler.address(general(plan, number), plan.copy_at(offset));
            }
            _ => {}
        }
    }
    if let Some(load) = last {
        load.emit(assembler, slots);
    }
}

/// Fills the register that the address of a result in memory is passed in.
pub(super) fn pass_result_address<A: Assembler>(plan: &Plan, assembler: &mut A) {
    for value in plan.moves.iter().filter(|value| value.source == Source::Result) {
        if let Some(register) = argument_register(plan, value) {
            assembler.copy(register, RESULT_IN);
        }
    }
}

/// Whether a move fills the next register of a kind from the next memory, so that one instruction can do both.
fn is_next(first: &Move, second: &Move) -> bool {
    let (Source::Slot(from), Source::Slot(next)) = (first.source, second.source) else { return false };
    let registers = match (first.place, second.place) {
        (Place::Register(Register::Gpr(a)), Place::Register(Register::Gpr(b))) => a + 1 == b,
        (Place::Register(Register::Fpr(a)), Place::Register(Register::Fpr(b))) => a + 1 == b,
        _ => false,
    };
    registers && first.width == second.width && from as usize + first.width.bytes() == next as usize
}

/// A register, by its number in C's own convention, or that one and the next, filled from the slots.
struct Load {
    register: Register,
    offset: u32,
    width: Width,
    paired: bool,
}

impl Load {
    fn overwrites(&self, slots: Role) -> bool {
        match self.register {
            Register::Gpr(number) => {
                Role::Argument(number) == slots || (self.paired && Role::Argument(number + 1) == slots)
            }
            _ => false,
        }
    }

    fn emit<A: Assembler>(&self, assembler: &mut A, slots: Role) {
        match self.register {
            _ if self.paired => assembler.load_pair(self.register, slots, self.offset, self.width),
            Register::Fpr(number) => assembler.load_vector(number, slots, self.offset, self.width),
            Register::Gpr(number) => assembler.load(Role::Argument(number), slots, self.offset, self.width),
            Register::X87(_) => {} // no convention passes arguments there
        }
    }
}
