//! Where a calling convention puts it: a [`Plan`] says, for one signature, which register or stack slot holds what.
//!
//! One vocabulary serves every convention; each convention is a file that fills it in by the rules it cites
//! (`sysv64`, `win64`, `aapcs64`). Whoever moves values reads plans and knows no convention: the code emitter
//! ([`crate::emit`]), the trampolines that work without one, and `jitcall show`.
//!
//! Arguments come from *slots*: 8-byte units, `ceil(size / 8)` for an argument, starting at a multiple of 16 bytes
//! where the type's alignment is 16 or more. A value stands in the low bytes of its slots; what is above it is
//! ignored.

mod aapcs64;
mod sysv64;
mod win64;

use std::fmt;
use std::hash::Hasher;

use rustc_hash::FxHasher;

use crate::error::{Error, Result};
use crate::types::signature::Signature;
use crate::types::{Arch, Float, Type, layout};

/// The most bytes that the arguments of one call may take in memory.
pub const MAX_STACK: usize = 64 << 10;

/// The largest result, in bytes.
const MAX_RESULT: usize = 1 << 30;

/// The largest argument block that is moved word by word; larger ones are copied as a block.
const MAX_WORDWISE: usize = 64;

/// A calling convention.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Convention {
    /// System V AMD64: Linux and the BSDs on x86_64.
    SysV64,
    /// The procedure call standard of AArch64, as Linux uses it.
    Aapcs64,
    /// Windows on x86_64, with Linux's types: `__attribute__((ms_abi))`.
    Win64,
}

impl Convention {
    /// The convention of C on this machine.
    pub const HOST: Convention = Convention::of(Arch::HOST);

    /// The convention of C on Linux on that architecture.
    pub const fn of(arch: Arch) -> Convention {
        match arch {
            Arch::X86_64 => Convention::SysV64,
            Arch::Aarch64 => Convention::Aapcs64,
        }
    }

    /// The architecture it belongs to.
    pub const fn arch(self) -> Arch {
        match self {
            Convention::SysV64 | Convention::Win64 => Arch::X86_64,
            Convention::Aapcs64 => Arch::Aarch64,
        }
    }

    /// The convention by which functions of a signature are called on that architecture: the one that it names, else C's.
    ///
    /// # Errors
    /// [`Error::Unsupported`] where the architecture does not have it.
    pub fn of_signature(signature: &Signature, arch: Arch) -> Result<Convention> {
        match signature.convention() {
            None => Ok(Convention::of(arch)),
            Some(convention) if convention.arch() == arch => Ok(convention),
            Some(convention) => Err(Error::unsupported(format!("{signature}: {convention} on {arch}"))),
        }
    }

    /// The number that the n-th general argument register has among those of C's own convention on the architecture.
    ///
    /// Windows' are among System V's: rcx rdx r8 r9 of rdi rsi rdx rcx r8 r9.
    pub(crate) const fn general_number(self, number: u8) -> u8 {
        match self {
            Convention::SysV64 | Convention::Aapcs64 => number,
            Convention::Win64 => [3, 2, 4, 5][number as usize],
        }
    }

    /// What assemblers call a register that passes arguments.
    pub fn argument_register(self, register: Register) -> String {
        match self {
            Convention::SysV64 => sysv64::argument_register(register),
            Convention::Win64 => win64::argument_register(register),
            Convention::Aapcs64 => aapcs64::register(register),
        }
    }

    /// What assemblers call a register that returns results.
    pub fn result_register(self, register: Register) -> String {
        match self {
            Convention::SysV64 => sysv64::result_register(register),
            Convention::Win64 => win64::result_register(register),
            Convention::Aapcs64 => aapcs64::register(register),
        }
    }
}

impl fmt::Display for Convention {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Convention::SysV64 => "System V x86_64",
            Convention::Aapcs64 => "AAPCS64",
            Convention::Win64 => "Windows x86_64",
        })
    }
}

/// A register, numbered in the order in which the convention passes arguments (or returns results) in them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Register {
    /// A general register. On AArch64 number 8 is x8, which points at a result in memory.
    Gpr(u8),
    /// A floating-point and vector register.
    Fpr(u8),
    /// A register of the x87 stack; only results stand there.
    X87(u8),
}

/// How much is read of a slot, and how a general register is filled from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Width {
    /// One byte, sign-extended to 32 bits.
    S1,
    /// One byte, zero-extended.
    U1,
    /// Two bytes, sign-extended to 32 bits.
    S2,
    /// Two bytes, zero-extended.
    U2,
    /// Four bytes.
    B4,
    /// Eight bytes.
    B8,
    /// Sixteen bytes: a vector register.
    B16,
    /// Thirty-two bytes: a vector register of x86_64 with AVX.
    B32,
}

impl Width {
    /// The width in bytes.
    pub const fn bytes(self) -> usize {
        match self {
            Width::S1 | Width::U1 => 1,
            Width::S2 | Width::U2 => 2,
            Width::B4 => 4,
            Width::B8 => 8,
            Width::B16 => 16,
            Width::B32 => 32,
        }
    }
}

/// Where a move takes its value from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Source {
    /// The slots, at that distance in bytes.
    Slot(u32),
    /// The address of a copy that the caller makes, at that distance in bytes in the area of copies.
    Copy(u32),
    /// The address of the result's buffer.
    Result,
}

/// Where a move puts it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Place {
    /// A register.
    Register(Register),
    /// The arguments' area of the stack, at that distance in bytes from the stack pointer at the call.
    Stack(u32),
}

/// One value of at most a register's size on its way to the callee.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Move {
    /// The argument it belongs to; `None` for the hidden pointer to the result.
    pub argument: Option<u16>,
    /// Where it comes from.
    pub source: Source,
    /// How wide it is.
    pub width: Width,
    /// Where it goes.
    pub place: Place,
}

/// Bytes that are copied as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Block {
    /// The argument they belong to.
    pub argument: u16,
    /// Their distance in the slots, in bytes.
    pub source: u32,
    /// How many, a multiple of 8.
    pub size: u32,
    /// Where they go.
    pub to: BlockPlace,
}

/// Where a block goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BlockPlace {
    /// The arguments' area, at that distance in bytes from the stack pointer at the call.
    Stack(u32),
    /// The area of copies that are passed by reference, at that distance in bytes from its start.
    Copy(u32),
}

/// One register's share of a result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Part {
    /// Distance from the start of the result in bytes.
    pub offset: u8,
    /// How many bytes the register holds of it: 1 to 32.
    pub size: u8,
    /// The register, in the order of result registers.
    pub register: Register,
}

/// How the result comes back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResultPlan {
    /// Its size in bytes; 0 for `void` and empty structs.
    pub size: usize,
    /// Whether the callee writes it through the hidden pointer.
    pub in_memory: bool,
    /// How its first part goes from memory to a register, where it is a callback's that returns it: narrow integers are
    /// extended, which clang's callers rely on.
    pub width: Width,
    parts: [Option<Part>; 4],
}

impl ResultPlan {
    /// The registers it comes back in, first part first.
    pub fn parts(&self) -> impl ExactSizeIterator<Item = Part> + '_ {
        let count = self.parts.iter().flatten().count();
        self.parts[..count].iter().map(|part| part.expect("parts fill the array from its start"))
    }

    /// Which registers the caller of a stub finds the result in.
    pub fn carrier(&self) -> Carrier {
        let mut gprs = 0;
        let mut fprs = 0;
        for part in self.parts() {
            match part.register {
                Register::X87(_) => return Carrier::Buffer,
                _ if part.size > 8 => return Carrier::Buffer,
                Register::Gpr(_) => gprs += 1,
                Register::Fpr(_) => fprs += 1,
            }
        }
        match (gprs, fprs) {
            (0, 0) if self.in_memory => Carrier::Buffer,
            (0, 0) => Carrier::None,
            (_, 0) => Carrier::Gprs,
            (0, _) => Carrier::Fprs,
            _ if matches!(self.parts[0], Some(Part { register: Register::Gpr(_), .. })) => Carrier::GprFpr,
            _ => Carrier::FprGpr,
        }
    }

    /// Whether the stub has to move the result from registers into the result buffer.
    pub fn is_stored(&self) -> bool {
        self.carrier() == Carrier::Buffer && !self.in_memory
    }
}

/// Where a stub leaves the result.
///
/// A stub that jumps to its target cannot touch the result: it flows back to the stub's caller, who has to call it
/// as a function that returns in just these registers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Carrier {
    /// There is no result.
    None,
    /// General registers 0 and 1.
    Gprs,
    /// The low 8 bytes of vector registers 0 to 3.
    Fprs,
    /// First part in general register 0, second in vector register 0.
    GprFpr,
    /// First part in vector register 0, second in general register 0.
    FprGpr,
    /// The result buffer.
    Buffer,
}

/// Which register or stack slot holds what, for one signature in one convention.
///
/// The frame of a call, from the stack pointer at the call instruction upwards:
///
/// ```text
///   sp + 0             arguments in memory      `stack` bytes
///   sp + copies_at     copies of arguments that `copies` bytes
///                      are passed by reference
///   sp + area          end of what the caller makes; a multiple of `align`
/// ```
#[derive(Clone, Debug)]
pub struct Plan {
    /// The convention it follows.
    pub convention: Convention,
    /// Each argument's distance in the slots, in bytes.
    pub slot_offsets: Box<[u32]>,
    /// How many 8-byte slots the arguments take.
    pub slots: usize,
    /// Values on their way into registers and stack words.
    pub moves: Box<[Move]>,
    /// Larger pieces.
    pub blocks: Box<[Block]>,
    /// Bytes of arguments in memory.
    pub stack: usize,
    /// Bytes of copies that are passed by reference.
    pub copies: usize,
    /// What the stack pointer is aligned to at the call: 16, or more where an argument asks for it.
    pub align: usize,
    /// The number of vector registers used, which System V wants in AL for variadic functions.
    pub vector_count: Option<u8>,
    /// How the result comes back.
    pub result: ResultPlan,
    shape: Shape,
}

impl Plan {
    /// Plans a call of `signature` by the rules of `convention`.
    ///
    /// # Errors
    /// [`Error::Unsupported`] where the arguments take more than [`MAX_STACK`] bytes of stack.
    ///
    /// ```
    /// use jitcall::abi::{Convention, Place, Plan, Register};
    /// use jitcall::Signature;
    /// let pow = Signature::parse("double pow(double, double)")?;
    /// let plan = Plan::new(&pow, Convention::SysV64)?;
    /// assert_eq!(plan.moves[1].place, Place::Register(Register::Fpr(1)));
    /// # Ok::<(), jitcall::Error>(())
    /// ```
    pub fn new(signature: &Signature, convention: Convention) -> Result<Plan> {
        let mut planner = Planner::new(signature, convention);
        planner.result.width = scalar_width(signature.result(), convention.arch());
        match convention {
            Convention::SysV64 => sysv64::plan(signature, &mut planner)?,
            Convention::Win64 => win64::plan(signature, &mut planner)?,
            Convention::Aapcs64 => aapcs64::plan(signature, &mut planner)?,
        }
        planner.finish()
    }

    /// Where the area of copies starts, in bytes from the stack pointer at the call.
    pub fn copies_at(&self) -> usize {
        self.stack.next_multiple_of(self.align)
    }

    /// How far a copy that is passed by reference is from the stack pointer at the call, in bytes.
    pub(crate) fn copy_at(&self, at: u32) -> u32 {
        self.copies_at() as u32 + at
    }

    /// How far the place of a block is from the stack pointer at the call, in bytes.
    pub(crate) fn block_at(&self, block: &Block) -> u32 {
        match block.to {
            BlockPlace::Stack(at) => at,
            BlockPlace::Copy(at) => self.copy_at(at),
        }
    }

    /// Bytes of stack that the caller makes for the call: a multiple of `align`.
    pub fn area(&self) -> usize {
        (self.copies_at() + self.copies).next_multiple_of(self.align)
    }

    /// Whether a stub needs a frame: something lies on the stack, or the result has to be moved after the call.
    pub fn needs_frame(&self) -> bool {
        self.area() > 0 || self.result.is_stored()
    }

    /// What a call stub for this plan depends on.
    pub fn shape(&self) -> &Shape {
        &self.shape
    }

    /// What a closure entry for this plan depends on: where values arrive, as for a call stub, and the whole result.
    pub fn entry_shape(&self) -> Shape {
        let mut words = encode_arguments(self);
        words[0] |= ENTRY;
        words.push(self.result.size as u64 | u64::from(self.result.in_memory) << 62);
        words.push(self.result.width as u64 | (self.slots as u64) << 8);
        words.extend(self.result.parts().map(encode_part));
        Shape::new(words)
    }
}

/// All that a call stub depends on, and its hash: plans of equal shape share one stub.
///
/// `int` and `unsigned` arguments do not differ here, nor do pointers and `long`; nor do results that come back in
/// registers, whichever they are.
#[derive(Clone, Debug)]
pub struct Shape {
    words: Box<[u64]>,
    hash: u64,
}

impl Shape {
    /// The first word of a bridge stub's shape, which no other shape begins with: no stub has so many moves.
    pub(crate) const BRIDGE: u64 = u64::MAX;

    /// The first word of a map stub's shape; as for bridge stubs.
    pub(crate) const MAP: u64 = u64::MAX - 1;

    /// The first word of the shape of stubs over pointers; as for bridge stubs.
    pub(crate) const POINTERS: u64 = u64::MAX - 2;

    pub(crate) fn new(words: Vec<u64>) -> Shape {
        let mut hasher = FxHasher::default();
        for word in &words {
            hasher.write_u64(*word);
        }
        Shape { words: words.into_boxed_slice(), hash: hasher.finish() }
    }

    /// A hash of the whole.
    pub fn hash(&self) -> u64 {
        self.hash
    }

    /// The encoded plan.
    pub fn words(&self) -> &[u64] {
        &self.words
    }
}

impl PartialEq for Shape {
    fn eq(&self, other: &Shape) -> bool {
        self.hash == other.hash && self.words == other.words
    }
}

impl Eq for Shape {}

/// How a value of scalar type is read from its slot into a general register or a vector register.
///
/// Both psABIs leave the bits above the value unspecified; integers narrower than `int` are extended all the same,
/// because clang's code relies on it (on x86_64).
fn scalar_width(ty: &Type, arch: Arch) -> Width {
    match ty {
        Type::Bool => Width::U1,
        Type::Float(Float::F16) => Width::U2,
        Type::Float(Float::F32) => Width::B4,
        Type::Float(Float::LongDouble) => Width::B16,
        Type::Vector(vector) if vector.size() == 32 => Width::B32,
        Type::Vector(vector) if vector.size() == 16 => Width::B16,
        _ => match ty.as_integer() {
            Some(integer) => match (integer.size(), integer.is_signed(arch)) {
                (1, true) => Width::S1,
                (1, false) => Width::U1,
                (2, true) => Width::S2,
                (2, false) => Width::U2,
                (4, _) => Width::B4,
                _ => Width::B8,
            },
            None => Width::B8,
        },
    }
}

/// What a convention fills in while it goes through the parameters.
struct Planner {
    convention: Convention,
    slot_offsets: Vec<u32>,
    slots: usize,
    moves: Vec<Move>,
    blocks: Vec<Block>,
    stack: usize,
    copies: usize,
    align: usize,
    vector_count: Option<u8>,
    result: ResultPlan,
}

impl Planner {
    fn new(signature: &Signature, convention: Convention) -> Planner {
        let parameters = signature.parameters().len();
        Planner {
            convention,
            slot_offsets: Vec::with_capacity(parameters),
            slots: 0,
            moves: Vec::with_capacity(parameters),
            blocks: Vec::new(),
            stack: 0,
            copies: 0,
            align: 16,
            vector_count: None,
            result: ResultPlan { size: 0, in_memory: false, width: Width::B8, parts: [None; 4] },
        }
    }

    fn arch(&self) -> Arch {
        self.convention.arch()
    }

    /// Gives the next argument its slots.
    fn argument(&mut self, ty: &Type) -> Result<Argument> {
        let layout = layout::of(ty, self.arch())?;
        if layout.align >= 16 {
            self.slots = self.slots.next_multiple_of(2);
        }
        let slot = 8 * self.slots;
        let words = layout.size.div_ceil(8);
        if words > MAX_STACK / 8 || self.slots + words > usize::from(u16::MAX) * 8 {
            return Err(too_large(self.slot_offsets.len() + 1, layout.size));
        }
        let index = self.slot_offsets.len() as u16;
        self.slots += words;
        self.slot_offsets.push(slot as u32);
        Ok(Argument { index, slot: slot as u32, size: layout.size, align: layout.align })
    }

    /// Moves `width` bytes of an argument, from `offset` bytes into it, to a register.
    fn pass_in_register(&mut self, argument: &Argument, offset: usize, width: Width, register: Register) {
        self.moves.push(Move {
            argument: Some(argument.index),
            source: Source::Slot(argument.slot + offset as u32),
            width,
            place: Place::Register(register),
        });
    }

    /// Moves a whole argument to the stack, at the next multiple of `align` bytes.
    fn pass_on_stack(&mut self, argument: &Argument, align: usize, width: Width) -> Result<()> {
        let align = align.max(8);
        let at = self.stack.next_multiple_of(align);
        let size = argument.size.next_multiple_of(8);
        self.stack = at + size;
        self.align = self.align.max(align);
        self.check_area(argument)?;
        let (slot, at) = (argument.slot, at as u32);
        if size > MAX_WORDWISE {
            let to = BlockPlace::Stack(at);
            self.blocks.push(Block { argument: argument.index, source: slot, size: size as u32, to });
            return Ok(());
        }
        for offset in (0..size as u32).step_by(8) {
            self.moves.push(Move {
                argument: Some(argument.index),
                source: Source::Slot(slot + offset),
                width: if width.bytes() < 8 { width } else { Width::B8 },
                place: Place::Stack(at + offset),
            });
        }
        Ok(())
    }

    /// Has the caller copy an argument, and gives the source of the copy's address.
    fn copy(&mut self, argument: &Argument) -> Result<Source> {
        let align = argument.align.max(16);
        let at = self.copies.next_multiple_of(align);
        let size = argument.size.next_multiple_of(8);
        // Each copy has an address of its own.
        self.copies = at + size.max(8);
        self.align = self.align.max(align);
        self.check_area(argument)?;
        let to = BlockPlace::Copy(at as u32);
        self.blocks.push(Block { argument: argument.index, source: argument.slot, size: size as u32, to });
        Ok(Source::Copy(at as u32))
    }

    /// Sends the address of a copy to the stack.
    fn pass_address_on_stack(&mut self, argument: &Argument, source: Source) -> Result<()> {
        let at = self.stack.next_multiple_of(8);
        self.stack = at + 8;
        self.check_area(argument)?;
        let place = Place::Stack(at as u32);
        self.moves.push(Move { argument: Some(argument.index), source, width: Width::B8, place });
        Ok(())
    }

    /// Sends the address of a copy to a register.
    fn pass_address_in_register(&mut self, argument: &Argument, source: Source, register: Register) {
        let place = Place::Register(register);
        self.moves.push(Move { argument: Some(argument.index), source, width: Width::B8, place });
    }

    /// The result is written by the callee, through a pointer in that register.
    fn result_in_memory(&mut self, size: usize, pointer: Register) {
        self.result.size = size;
        self.result.in_memory = true;
        let place = Place::Register(pointer);
        self.moves.push(Move { argument: None, source: Source::Result, width: Width::B8, place });
    }

    /// The next part of the result, of at most `width` bytes, comes back in that register.
    fn result_part(&mut self, size: usize, offset: usize, width: usize, register: Register) {
        self.result.size = size;
        let part = Part { offset: offset as u8, size: width.min(size - offset) as u8, register };
        let free = self.result.parts.iter_mut().find(|part| part.is_none());
        *free.expect("no convention returns a value in more than four registers") = Some(part);
    }

    fn check_area(&self, argument: &Argument) -> Result<()> {
        let number = usize::from(argument.index) + 1;
        if self.stack + self.copies > MAX_STACK { Err(too_large(number, argument.size)) } else { Ok(()) }
    }

    fn finish(self) -> Result<Plan> {
        if self.result.size > MAX_RESULT {
            return Err(Error::unsupported(format!("a result of {} bytes", self.result.size)));
        }
        let mut plan = Plan {
            convention: self.convention,
            slot_offsets: self.slot_offsets.into_boxed_slice(),
            slots: self.slots,
            moves: self.moves.into_boxed_slice(),
            blocks: self.blocks.into_boxed_slice(),
            stack: self.stack,
            copies: self.copies,
            align: self.align,
            vector_count: self.vector_count,
            result: self.result,
            shape: Shape { words: Box::default(), hash: 0 },
        };
        plan.shape = Shape::new(encode(&plan));
        Ok(plan)
    }
}

fn too_large(number: usize, size: usize) -> Error {
    Error::unsupported(format!(
        "argument {number} of {size} bytes: the arguments of a call may take {MAX_STACK} bytes of stack"
    ))
}

/// An argument while it is being placed.
struct Argument {
    index: u16,
    /// Distance of its first slot in bytes.
    slot: u32,
    size: usize,
    align: usize,
}

/// What tells the first word of an entry's shape from that of a call stub.
const ENTRY: u64 = 1 << 39;

/// Writes down what a call stub depends on: the arguments, and the parts of a result that the stub has to store.
fn encode(plan: &Plan) -> Vec<u64> {
    let mut words = encode_arguments(plan);
    if plan.result.is_stored() {
        words.extend(plan.result.parts().map(encode_part));
    }
    words
}

/// One word for the frame, one for each move, two for each block.
fn encode_arguments(plan: &Plan) -> Vec<u64> {
    let mut words = Vec::with_capacity(1 + plan.moves.len() + 2 * plan.blocks.len());
    words.push(
        plan.convention as u64
            | (plan.moves.len() as u64) << 4
            | (plan.align.trailing_zeros() as u64) << 20
            | plan.vector_count.map_or(0, |count| 1 | u64::from(count) << 1) << 28
            | (plan.stack as u64) << 40,
    );
    words.extend(plan.moves.iter().map(encode_move));
    for block in &plan.blocks {
        let (kind, at) = match block.to {
            BlockPlace::Stack(at) => (0, at),
            BlockPlace::Copy(at) => (1, at),
        };
        words.push(kind | u64::from(block.source) << 1);
        words.push(u64::from(block.size) | u64::from(at) << 32);
    }
    words
}

fn encode_part(part: Part) -> u64 {
    let (kind, number) = encode_register(part.register);
    kind | number << 2 | u64::from(part.size) << 8 | u64::from(part.offset) << 16 | 1 << 63
}

/// Source offset in the high half; kinds, width, and register number or stack offset in the low one.
fn encode_move(value: &Move) -> u64 {
    let (source, offset) = match value.source {
        Source::Slot(offset) => (0, offset),
        Source::Copy(offset) => (1, offset),
        Source::Result => (2, 0),
    };
    let (place, number) = match value.place {
        Place::Register(register) => encode_register(register),
        Place::Stack(at) => (3, u64::from(at)),
    };
    u64::from(offset) << 32 | number << 8 | source << 6 | (value.width as u64) << 2 | place
}

fn encode_register(register: Register) -> (u64, u64) {
    match register {
        Register::Gpr(number) => (0, number.into()),
        Register::Fpr(number) => (1, number.into()),
        Register::X87(number) => (2, number.into()),
    }
}
