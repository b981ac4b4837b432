//! The road of a map: elements of columns to registers and stack, the call, the result to its place, and again.
//!
//! A map stub is a function of [`Column`](crate::map::Column)s, target, results and count, which is not 0. The order of
//! the code:
//!
//! ```text
//!   landing pad, frame      all callee-saved registers, whichever are used: one unwind table tells of all map stubs
//!   the stub's parameters   to callee-saved registers and words of the frame
//!   the loop                an element of each column, to where the callee wants it; the call; the result
//!   close the frame, return
//! ```
//!
//! The frame, where the loop runs:
//!
//! ```text
//!   frame pointer
//!                   callee-saved registers, the caller's
//!   sp + area       words: of a column that no register is left for, its address; where columns have strides, those
//!   sp              arguments in memory: the plan's area
//! ```
//!
//! The index counts up from the negative count to 0, so that one instruction advances all there is and sets the flags of
//! the branch: results, and columns whose elements lie one behind the other, are read at their ends plus the scaled
//! index. Columns with strides are pointers that move.

use crate::abi::{Convention, Part, Place, Plan, Register, Shape, Width};
use crate::emit::{Assembler, Role};
use crate::error::Result;
use crate::types::signature::Signature;
use crate::types::{Arch, Float, Type};

/// The most bytes of stack that a stub makes: all of them are within reach of a load.
const MAX_FRAME: usize = 4000;

/// Where the two words of a [`Column`](crate::map::Column) lie, and the bytes of both.
const COLUMN_ADDRESS: u32 = 0;
const COLUMN_STRIDE: u32 = 8;
const COLUMN_SIZE: u32 = 16;

/// Where the stub's own parameters arrive.
const COLUMNS_IN: Role = Role::Argument(0);
const TARGET_IN: Role = Role::Argument(1);
const RESULTS_IN: Role = Role::Argument(2);
const COUNT_IN: Role = Role::Argument(3);

/// What the loop keeps over the calls.
const INDEX: Role = Role::Saved(0);
const TARGET: Role = Role::Saved(1);
const RESULTS: Role = Role::Saved(2);

/// How the elements of the columns lie that a map stub is made for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Steps {
    /// One behind the other in each column; strides are not looked at.
    Dense,
    /// As far apart as each column's stride says.
    Strided,
}

/// The steps that only map stubs take.
pub(super) trait MapAssembler: Assembler {
    /// How many registers there are in the role [`Role::Saved`].
    const SAVED: u8;
    /// A place in the code.
    type Place: Copy;

    /// Opens a frame that a frame-pointer walk understands, and saves all callee-saved general registers in it.
    fn open_saving_frame(&mut self);
    /// Has a register be the negative of another.
    fn negate(&mut self, to: Role, from: Role);
    /// Adds so many elements of that width to an address.
    fn add_elements(&mut self, to: Role, count: Role, width: Width);
    /// Adds the word of the frame at that distance from the stack pointer to a register; may overwrite
    /// [`Role::Scratch`].
    fn add_word(&mut self, to: Role, at: u32);
    /// Where the loop starts.
    fn start_loop(&mut self) -> Self::Place;
    /// Fills a general register with an element.
    fn load_element(&mut self, to: Role, base: Role, index: Role, width: Width);
    /// Fills the n-th vector argument register with an element of four or eight bytes.
    fn load_vector_element(&mut self, to: u8, base: Role, index: Role, width: Width);
    /// Writes the first result register of a kind to an element.
    fn store_element(&mut self, result: Register, base: Role, index: Role, width: Width);
    /// Adds one to the index, and goes on where the loop starts unless it is 0 now.
    fn repeat(&mut self, index: Role, start: Self::Place);
    /// Restores what [`open_saving_frame`](MapAssembler::open_saving_frame) has saved, and returns.
    fn close_saving_frame(&mut self);
}

/// All that a map stub depends on.
pub(crate) struct Blueprint<'a> {
    plan: &'a Plan,
    /// Where the result comes back and how wide its elements are; `None` for `void`.
    result: Option<(Register, Width)>,
    steps: Steps,
}

impl<'a> Blueprint<'a> {
    /// That of a stub for functions of a signature; `None` where no stub is made: the convention is not C's own,
    /// something is no scalar, or the frame would be large.
    pub(crate) fn new(signature: &Signature, plan: &'a Plan, steps: Steps) -> Option<Blueprint<'a>> {
        if plan.convention != Convention::of(plan.convention.arch()) {
            return None;
        }
        let scalars = signature.parameters().iter().all(|parameter| is_scalar(&parameter.ty));
        let returned = signature.result().is_void() || is_scalar(signature.result());
        let result = plan.result.parts().next().map(|Part { register, size, .. }| (register, unsigned_width(size)));
        let blueprint = Blueprint { plan, result, steps };
        (scalars && returned && blueprint.largest_frame() <= MAX_FRAME).then_some(blueprint)
    }

    /// The same for columns whose elements lie in the other way.
    pub(crate) fn with(&self, steps: Steps) -> Blueprint<'a> {
        Blueprint { plan: self.plan, result: self.result, steps }
    }

    /// What the stub is found by.
    pub(crate) fn shape(&self) -> Shape {
        let result = match self.result {
            None => 0,
            Some((Register::Gpr(_), width)) => 2 * width.bytes() as u64,
            Some((_, width)) => 2 * width.bytes() as u64 + 1,
        };
        let mut words = vec![Shape::MAP, self.steps as u64 | result << 1];
        words.extend(self.plan.shape().words());
        Shape::new(words)
    }

    pub(super) fn arch(&self) -> Arch {
        self.plan.convention.arch()
    }

    /// The bytes of the frame if no column were in a register.
    fn largest_frame(&self) -> usize {
        self.plan.area() + 16 * self.plan.moves.len()
    }
}

/// Whether a type is one that a single move of its own size takes to its register or its word of the stack.
fn is_scalar(ty: &Type) -> bool {
    match ty {
        Type::Bool | Type::Pointer(_) | Type::Float(Float::F32 | Float::F64) => true,
        other => other.as_integer().is_some_and(|integer| integer.size() <= 8),
    }
}

fn unsigned_width(size: u8) -> Width {
    match size {
        1 => Width::U1,
        2 => Width::U2,
        4 => Width::B4,
        _ => Width::B8,
    }
}

/// Emits the stub of a blueprint.
pub(super) fn emit<A: MapAssembler>(blueprint: &Blueprint<'_>, assembler: A) -> Result<()> {
    let frame = Frame::new::<A>(blueprint);
    let mut writer = Writer { blueprint, frame, assembler };
    writer.assembler.landing_pad();
    writer.assembler.open_saving_frame();
    writer.assembler.reserve(writer.frame.size, 16);
    writer.take_parameters();
    let start = writer.assembler.start_loop();
    writer.pass_arguments();
    writer.call();
    writer.assembler.repeat(INDEX, start);
    writer.assembler.close_saving_frame();
    writer.assembler.finish()
}

/// Where a column's address is while the loop runs, and its stride.
#[derive(Clone, Copy)]
struct Home {
    address: Address,
    /// The word that the stride is in, by its distance from the stack pointer.
    stride: Option<u32>,
}

#[derive(Clone, Copy)]
enum Address {
    Register(Role),
    /// A word of the frame, by its distance from the stack pointer.
    Word(u32),
}

/// Where everything is while the loop runs.
struct Frame {
    columns: Vec<Home>,
    size: usize,
}

impl Frame {
    /// Gives the first columns what registers there are.
    fn new<A: MapAssembler>(blueprint: &Blueprint<'_>) -> Frame {
        let mut end = blueprint.plan.area() as u32;
        let mut word = || {
            end += 8;
            end - 8
        };
        let mut registers = if blueprint.result.is_some() { 3..A::SAVED } else { 2..A::SAVED };
        let columns = blueprint.plan.moves.iter().map(|_| Home {
            address: registers.next().map_or_else(|| Address::Word(word()), |n| Address::Register(Role::Saved(n))),
            stride: (blueprint.steps == Steps::Strided).then(&mut word),
        });
        let columns = columns.collect();
        Frame { columns, size: (end as usize).next_multiple_of(16) }
    }
}

struct Writer<'a, A> {
    blueprint: &'a Blueprint<'a>,
    frame: Frame,
    assembler: A,
}

impl<A: MapAssembler> Writer<'_, A> {
    /// Takes the stub's own parameters to where the loop wants them.
    fn take_parameters(&mut self) {
        self.assembler.copy(TARGET, TARGET_IN);
        if let Some((_, width)) = self.blueprint.result {
            self.assembler.copy(RESULTS, RESULTS_IN);
            self.assembler.add_elements(RESULTS, COUNT_IN, width);
        }
        for column in 0..self.frame.columns.len() {
            self.take_column(column);
        }
        self.assembler.negate(INDEX, COUNT_IN);
    }

    fn take_column(&mut self, column: usize) {
        let Home { address, stride } = self.frame.columns[column];
        let (at, width) = (COLUMN_SIZE * column as u32, self.blueprint.plan.moves[column].width);
        let assembler = &mut self.assembler;
        let to = match address {
            Address::Register(role) => role,
            Address::Word(_) => Role::Scratch,
        };
        assembler.load(to, COLUMNS_IN, at + COLUMN_ADDRESS, Width::B8);
        if self.blueprint.steps == Steps::Dense {
            assembler.add_elements(to, COUNT_IN, width);
        }
        if let Address::Word(word) = address {
            assembler.store(Role::Scratch, word);
        }
        if let Some(word) = stride {
            assembler.load(Role::Scratch, COLUMNS_IN, at + COLUMN_STRIDE, Width::B8);
            assembler.store(Role::Scratch, word);
        }
    }

    /// Puts an element of each column where the callee wants it. Words of the stack are the callee's once it is called,
    /// and are written anew each time.
    fn pass_arguments(&mut self) {
        for (column, value) in self.blueprint.plan.moves.iter().enumerate() {
            let home = self.frame.columns[column];
            let base = self.address(home);
            match value.place {
                Place::Register(Register::Gpr(number)) => self.load(Role::Argument(number), base, value.width),
                Place::Register(Register::Fpr(number)) => self.load_vector(number, base, value.width),
                Place::Stack(at) => {
                    self.load(Role::Scratch, base, value.width);
                    self.assembler.store(Role::Scratch, at);
                }
                Place::Register(other) => unreachable!("no convention passes arguments in {other:?}"),
            }
            self.advance(home, base);
        }
    }

    /// The register that has a column's address.
    fn address(&mut self, home: Home) -> Role {
        match home.address {
            Address::Register(role) => role,
            Address::Word(word) => {
                self.assembler.load(Role::Slots, Role::Stack, word, Width::B8);
                Role::Slots
            }
        }
    }

    fn load(&mut self, to: Role, base: Role, width: Width) {
        match self.blueprint.steps {
            Steps::Dense => self.assembler.load_element(to, base, INDEX, width),
            Steps::Strided => self.assembler.load(to, base, 0, width),
        }
    }

    fn load_vector(&mut self, to: u8, base: Role, width: Width) {
        match self.blueprint.steps {
            Steps::Dense => self.assembler.load_vector_element(to, base, INDEX, width),
            Steps::Strided => self.assembler.load_vector(to, base, 0, width),
        }
    }

    /// Has a column with a stride point at its next element.
    fn advance(&mut self, home: Home, base: Role) {
        let Some(stride) = home.stride else { return };
        self.assembler.add_word(base, stride);
        if let Address::Word(word) = home.address {
            self.assembler.store(base, word);
        }
    }

    fn call(&mut self) {
        if let Some(count) = self.blueprint.plan.vector_count {
            self.assembler.vector_count(count);
        }
        self.assembler.call(TARGET);
        if let Some((register, width)) = self.blueprint.result {
            self.assembler.store_element(register, RESULTS, INDEX, width);
        }
    }
}
