//! The road of a call whose arguments are given one by one, by pointers, and of a callback that gives them so: what
//! libffi's interface asks for ([`crate::pointers`]).
//!
//! Nothing goes by way of slots on the way out: each argument is read where its pointer says, no byte before or behind
//! it, and each result is written as wide as the caller wants it. The frame of a call stub:
//!
//! ```text
//!   frame pointer
//!                   address of the result; the static chain, where there is one
//!                   padding
//!   sp              arguments in memory and copies: the plan's area
//! ```
//!
//! An entry gathers the arguments in slots, as [`entry`](super::entry) does, and their addresses in an array:
//!
//! ```text
//!   frame pointer   INCOMING bytes below the arguments in memory
//!   sp + chain_at   the static chain, where the state is found by it
//!   sp + table_at   the addresses of the arguments
//!   sp + slots_at   the arguments, in slots
//!   sp + kept_at    the address of a result in memory
//!   sp              the result, as the handler leaves it
//! ```

use super::call::{argument_register, general, pass_result_address};
use super::entry::{self, Frame};
use crate::abi::{Move, Part, Place, Plan, Register, Shape, Source, Width};
use crate::emit::{Assembler, RECORD_STATE, RESULT_IN, Role, TARGET_IN};
use crate::error::Result;
use crate::pointers::StateIn;

/// Where the stub's own parameters arrive that other stubs do not have.
const ARGUMENTS_IN: Role = Role::Argument(3);
const CHAIN_IN: Role = Role::Argument(4);

/// The least room for a result that an entry gives its handler, in bytes: handlers write whole words, and some write one
/// where there is no result.
const LEAST_RESULT: usize = 16;

/// The steps that only these stubs take.
pub(super) trait PointersAssembler: Assembler {
    /// Keeps the address of the result, and the static chain's value, in the frame that was just opened.
    fn keep(&mut self, result: Role, chain: Role);
    /// Fills the static chain's register from what [`keep`](PointersAssembler::keep) has kept.
    fn restore_chain(&mut self);
    /// Adds the bits of a register that is zero where the other one is not, shifted left.
    fn or_shifted(&mut self, to: Role, from: Role, shift: u8);
    /// Shifts a register right.
    fn shift_right(&mut self, register: Role, shift: u8);
    /// Extends the value of that width in a general result register to a whole word; `signed` counts for four bytes.
    fn extend(&mut self, register: Role, width: Width, signed: bool);
    /// Takes the address of the result, which [`keep`](PointersAssembler::keep) has kept, to where the writes below have
    /// it: no result register.
    fn take_result_address(&mut self);
    /// Writes the low bytes of a register, 1, 2, 4 or 8 of them, to the result.
    fn write_general(&mut self, from: Role, offset: u32, bytes: u8);
    /// Writes the low bytes of a vector result register, 4 to 32 of them, to the result.
    fn write_vector(&mut self, from: u8, offset: u32, bytes: u8);
    /// Writes the low 8 bytes of a vector result register and of the next one, in one go where that can be: a caller that
    /// reads both at once need not wait for two writes.
    fn write_vector_pair(&mut self, first: u8, offset: u32);
    /// Pops the top of the x87 stack to the result.
    fn write_x87(&mut self, offset: u32);
}

/// All that such a stub depends on.
pub(crate) struct Blueprint<'a> {
    pub(crate) plan: &'a Plan,
    /// The exact size of each argument in bytes.
    pub(crate) sizes: &'a [u32],
    /// Of an integer result that is written as a whole word: whether it is signed.
    pub(crate) word: Option<bool>,
}

impl Blueprint<'_> {
    /// What the call stub is found by.
    pub(crate) fn call_shape(&self, chain: bool) -> Shape {
        self.shape(u64::from(chain) | self.word.map_or(0, |signed| 2 + u64::from(signed)) << 1)
    }

    /// What the entry is found by.
    pub(crate) fn entry_shape(&self, state: StateIn) -> Shape {
        self.shape(8 | state as u64)
    }

    fn shape(&self, kind: u64) -> Shape {
        let plan = self.plan.entry_shape();
        let mut words = vec![Shape::POINTERS, kind];
        words.extend_from_slice(plan.words());
        let arguments = self.plan.slot_offsets.iter().zip(self.sizes);
        words.extend(arguments.map(|(offset, size)| u64::from(*offset) | u64::from(*size) << 32));
        Shape::new(words)
    }

    /// Whether a call stub can be emitted: what is read and written through vector registers has a width that loads and
    /// stores have.
    pub(crate) fn has_call_stub(&self) -> bool {
        let exact = |value: &Move| match (value.place, value.source) {
            (Place::Register(Register::Fpr(_)), Source::Slot(offset)) => {
                value.width.bytes() >= 4 && self.within(value, offset).1 as usize >= value.width.bytes()
            }
            _ => true,
        };
        let written = |part: Part| !matches!(part.register, Register::Fpr(_)) || matches!(part.size, 4 | 8 | 16 | 32);
        self.plan.moves.iter().all(exact) && self.plan.result.parts().all(written)
    }

    /// How far into its argument a value lies, and how many bytes are left of the argument from there on.
    fn within(&self, value: &Move, slot: u32) -> (u32, u32) {
        let index = usize::from(value.argument.unwrap_or(0));
        let offset = slot - self.plan.slot_offsets[index];
        (offset, self.sizes[index] - offset)
    }
}

/// Emits the call stub; with `chain` it has a fifth parameter, which it puts in the static chain's register.
pub(super) fn emit_call<A: PointersAssembler>(blueprint: &Blueprint<'_>, chain: bool, mut assembler: A) -> Result<()> {
    let plan = blueprint.plan;
    assembler.landing_pad();
    assembler.open_frame(false);
    if chain || !blueprint.is_written_by_callee() {
        assembler.keep(RESULT_IN, if chain { CHAIN_IN } else { RESULT_IN });
    }
    let target = set_aside(plan, TARGET_IN, Role::Target, &mut assembler);
    let arguments = set_aside(plan, ARGUMENTS_IN, Role::Slots, &mut assembler);
    if plan.area() > 0 {
        assembler.reserve(plan.area(), plan.align);
        blueprint.copy_blocks(arguments, &mut assembler);
        blueprint.fill_stack(arguments, &mut assembler);
    }
    blueprint.fill_registers(arguments, &mut assembler);
    if let Some(count) = plan.vector_count {
        assembler.vector_count(count);
    }
    if chain {
        assembler.restore_chain();
    }
    assembler.call(target);
    blueprint.write_result(&mut assembler);
    assembler.close_frame();
    assembler.finish()
}

/// A parameter of the stub's leaves its register where that is filled, or used to copy blocks.
fn set_aside<A: Assembler>(plan: &Plan, from: Role, to: Role, assembler: &mut A) -> Role {
    let filled = plan.moves.iter().any(|value| argument_register(plan, value) == Some(from));
    if !filled && plan.blocks.is_empty() {
        return from;
    }
    assembler.copy(to, from);
    to
}

/// A register that is free until argument registers are filled, and that [`Role::Scratch`] is not: of the two that the
/// arguments' addresses may be found by, the other one.
fn spare(arguments: Role) -> Role {
    if arguments == ARGUMENTS_IN { Role::Slots } else { ARGUMENTS_IN }
}

impl Blueprint<'_> {
    /// Copies larger arguments to the stack, the last bytes of one that is no whole number of words by themselves.
    fn copy_blocks<A: PointersAssembler>(&self, arguments: Role, assembler: &mut A) {
        let spare = spare(arguments);
        for block in &self.plan.blocks {
            let at = self.plan.block_at(block);
            let index = usize::from(block.argument);
            let whole = self.sizes[index] / 8 * 8;
            if whole > 0 {
                load_pointer(assembler, spare, arguments, index);
                assembler.copy_block(spare, 0, at, whole);
            }
            let rest = self.sizes[index] - whole;
            if rest > 0 {
                load_pointer(assembler, Role::Scratch, arguments, index);
                load_exactly(assembler, spare, whole, rest, Width::B8);
                assembler.store(spare, at + whole);
            }
        }
    }

    /// Writes arguments in memory.
    fn fill_stack<A: PointersAssembler>(&self, arguments: Role, assembler: &mut A) {
        let spare = spare(arguments);
        let mut pointer = Pointer(None);
        for value in &self.plan.moves {
            let Place::Stack(at) = value.place else { continue };
            match value.source {
                Source::Slot(slot) => {
                    let (offset, left) = self.within(value, slot);
                    pointer.load(value, arguments, assembler);
                    if !load_exactly(assembler, spare, offset, left, value.width) {
                        pointer = Pointer(None);
                    }
                }
                Source::Copy(offset) => assembler.address(spare, self.plan.copy_at(offset)),
                Source::Result => assembler.copy(spare, RESULT_IN),
            }
            assembler.store(spare, at);
        }
    }

    /// Fills argument registers: first the address of the result, whose own register may be filled later.
    fn fill_registers<A: PointersAssembler>(&self, arguments: Role, assembler: &mut A) {
        pass_result_address(self.plan, assembler);
        let mut pointer = Pointer(None);
        for value in &self.plan.moves {
            let Place::Register(register) = value.place else { continue };
            match value.source {
                Source::Slot(slot) => {
                    let (offset, left) = self.within(value, slot);
                    pointer.load(value, arguments, assembler);
                    match register {
                        Register::Gpr(number) => {
                            let to = general(self.plan, number);
                            if !load_exactly(assembler, to, offset, left, value.width) {
                                pointer = Pointer(None);
                            }
                        }
                        Register::Fpr(number) => assembler.load_vector(number, Role::Scratch, offset, value.width),
                        Register::X87(_) => {} // no convention passes arguments there
                    }
                }
                Source::Copy(offset) => {
                    if let Some(register) = argument_register(self.plan, value) {
                        assembler.address(register, self.plan.copy_at(offset));
                    }
                }
                Source::Result => {}
            }
        }
    }

    /// Whether there is nothing left to write after the call.
    fn is_written_by_callee(&self) -> bool {
        self.plan.result.in_memory || self.plan.result.parts().len() == 0
    }

    /// Writes a result in registers: an integer as a word where it is asked for, all else with its own size.
    fn write_result<A: PointersAssembler>(&self, assembler: &mut A) {
        let result = &self.plan.result;
        if self.is_written_by_callee() {
            return;
        }
        assembler.take_result_address();
        let mut parts = result.parts().peekable();
        while let Some(part) = parts.next() {
            let offset = part.offset.into();
            match part.register {
                Register::Fpr(number) if parts.next_if(|next| is_pair(&part, next)).is_some() => {
                    assembler.write_vector_pair(number, offset);
                }
                Register::Gpr(number) => {
                    let from = Role::Result(number);
                    match self.word {
                        Some(signed) => {
                            assembler.extend(from, result.width, signed);
                            assembler.write_general(from, offset, 8);
                        }
                        None => write_exactly(assembler, from, offset, part.size),
                    }
                }
                Register::Fpr(number) => assembler.write_vector(number, offset, part.size),
                Register::X87(_) => assembler.write_x87(offset),
            }
        }
    }
}

/// Whether two parts of a result are 8 bytes each, in two registers of a kind.
fn is_pair(first: &Part, second: &Part) -> bool {
    entry::is_next(first, second) && first.size == 8 && second.size == 8
}

/// The argument whose address is in the scratch register, if one's is.
struct Pointer(Option<u16>);

impl Pointer {
    /// Loads the address of a value's argument, unless it is there.
    fn load<A: Assembler>(&mut self, value: &Move, arguments: Role, assembler: &mut A) {
        if self.0.is_none() || self.0 != value.argument {
            load_pointer(assembler, Role::Scratch, arguments, value.argument.unwrap_or(0).into());
            self.0 = value.argument;
        }
    }
}

/// Loads the address of an argument.
fn load_pointer<A: Assembler>(assembler: &mut A, to: Role, arguments: Role, argument: usize) {
    assembler.load(to, arguments, 8 * argument as u32, Width::B8);
}

/// Loads a value of at most a word, of which `left` bytes are there, at a distance from the address in the scratch
/// register: from several pieces where no load has that size. Says whether the scratch register still has the address.
fn load_exactly<A: PointersAssembler>(assembler: &mut A, to: Role, offset: u32, left: u32, width: Width) -> bool {
    let piece = |bytes| match bytes {
        1 => Width::U1,
        2 => Width::U2,
        4 => Width::B4,
        _ => Width::B8,
    };
    if width.bytes() < 8 || left >= 8 || left.is_power_of_two() {
        let width = if width.bytes() < 8 { width } else { piece(left.min(8)) };
        assembler.load(to, Role::Scratch, offset, width);
        return true;
    }
    // The second piece may begin within the first: what they share is the same in both.
    let (first, second) = match left {
        3 => (2, 1),
        5 => (4, 1),
        6 => (4, 2),
        _ => (4, 4),
    };
    assembler.load(to, Role::Scratch, offset, piece(first));
    assembler.load(Role::Scratch, Role::Scratch, offset + left - second, piece(second));
    assembler.or_shifted(to, Role::Scratch, 8 * (left - second) as u8);
    false
}

/// Writes the low bytes of a register: in several pieces where no store has that size.
fn write_exactly<A: PointersAssembler>(assembler: &mut A, from: Role, offset: u32, bytes: u8) {
    let (mut offset, mut left) = (offset, bytes);
    while left > 0 {
        let piece = 1 << left.ilog2();
        assembler.write_general(from, offset, piece);
        offset += u32::from(piece);
        left -= piece;
        if left > 0 {
            assembler.shift_right(from, 8 * piece);
        }
    }
}

/// Where the words of a handler lie from where the state is found, in bytes.
#[derive(Clone, Copy)]
pub(crate) struct Words {
    pub(crate) context: u32,
    pub(crate) function: u32,
    /// `None` where the state's own address is handed on.
    pub(crate) user: Option<u32>,
}

impl StateIn {
    /// Where the words lie.
    pub(crate) const fn words(self) -> Words {
        match self {
            StateIn::Record | StateIn::Place => Words { context: 0, function: 8, user: Some(16) },
            StateIn::Chain => Words { context: 8, function: 16, user: None },
        }
    }
}

/// Emits the entry of closures whose state is found so.
pub(super) fn emit_entry<A: PointersAssembler>(
    blueprint: &Blueprint<'_>,
    state: StateIn,
    mut assembler: A,
) -> Result<()> {
    let plan = blueprint.plan;
    let mut frame = Frame::with_room(plan, LEAST_RESULT);
    let table_at = frame.push(8 * plan.slot_offsets.len());
    let chain_at = frame.push(if state == StateIn::Chain { 8 } else { 0 });
    entry::open(plan, &frame, &mut assembler);
    if state == StateIn::Chain {
        assembler.store(Role::Chain, chain_at);
    }
    entry::gather_memory(plan, &frame, &mut assembler);
    for (index, offset) in plan.slot_offsets.iter().enumerate() {
        assembler.address(Role::Scratch, frame.slot(*offset));
        assembler.store(Role::Scratch, table_at + 8 * index as u32);
    }
    match state {
        StateIn::Record => assembler.load(Role::Scratch, Role::Target, RECORD_STATE, Width::B8),
        StateIn::Place => assembler.copy(Role::Scratch, Role::Target),
        StateIn::Chain => assembler.load(Role::Scratch, Role::Stack, chain_at, Width::B8),
    }
    run_handler(plan, &frame, table_at, state.words(), &mut assembler);
    entry::close(plan, &frame, assembler)
}

/// Calls `function(context, result, arguments, user)`; the state's address is in the scratch register.
fn run_handler<A: Assembler>(plan: &Plan, frame: &Frame, table_at: u32, words: Words, assembler: &mut A) {
    if plan.result.in_memory {
        assembler.load(Role::Argument(1), Role::Stack, frame.kept_at, Width::B8);
    } else {
        assembler.address(Role::Argument(1), 0);
    }
    assembler.address(Role::Argument(2), table_at);
    assembler.load(Role::Argument(0), Role::Scratch, words.context, Width::B8);
    match words.user {
        Some(user) => assembler.load(Role::Argument(3), Role::Scratch, user, Width::B8),
        None => assembler.copy(Role::Argument(3), Role::Scratch),
    }
    assembler.load(Role::Target, Role::Scratch, words.function, Width::B8);
    assembler.call(Role::Target);
}
