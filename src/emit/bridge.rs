//! The road from a host: its values to registers and stack, the call, the result to a value of the host.
//!
//! A [`Blueprint`] is all that a bridge stub depends on; its shape is what the stub is found by. The order of the code:
//!
//! ```text
//!   landing pad, frame         the record, the thread, the record's target; null goes to the fallback
//!   guards of floating arguments, which are loaded at once (the host's parameters are in general registers)
//!   guards of the others       the first case of each
//!   loads                      the others, from the host's values
//!   call                       errno before and after it; State::failed
//!   boxing, return
//!   further cases of floating arguments: each goes back behind its first case
//!   the slow lane              all cases of the other arguments, converted to words of the frame, which are loaded
//!   what the boxing does seldom
//!   failed, fallback
//! ```
//!
//! Until all guards have passed, only registers are written that pass none of the host's parameters, so that the fallback
//! gets them as they came.

use std::hash::{Hash, Hasher};

use dynasmrt::DynamicLabel;

use crate::abi::{Convention, Place, Plan, Register, Shape, Width};
use crate::bridge::{self, Boxing, Operand, Payload, Spec, TagWidth, Tags};
use crate::emit::{Assembler, Role};
use crate::error::{Error, Result};
use crate::types::signature::Signature;
use crate::types::{Arch, Float, Type};

/// Where the two words of a [`Record`](bridge::Record) lie, in bytes.
const RECORD_TARGET: u32 = 0;
const RECORD_STATE: u32 = 8;

/// Where the parts of a [`State`](bridge::State) lie.
const STATE_ERRNO: u32 = 0;
const STATE_FAILED: u32 = 4;
const STATE_HOME: u32 = 8;
const STATE_CALLS: u32 = 16;

/// The integer from which on doubles do not tell integers apart, and the bits of that double.
pub(super) const INTEGER_EXACT: u64 = 1 << 53;
pub(super) const DOUBLE_EXACT: u64 = (INTEGER_EXACT as f64).to_bits();

/// Places beyond this many bytes are refused: nearer ones are within an instruction's reach, or one more's.
const MAX_OFFSET: u32 = 1 << 20;

/// The most bytes of stack that a stub makes: all of them are within reach of a load.
const MAX_FRAME: u32 = 4000;

/// What a bridge stub keeps in its frame over the call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kept {
    /// The parameter that is handed on.
    Context,
    /// The address of the record.
    Record,
}

/// The steps that only bridge stubs take. Those that load or compare leave argument registers and [`Role::Target`] as they
/// are, unless they say otherwise.
pub(super) trait BridgeAssembler: Assembler {
    /// A vector register that passes no argument.
    const SCRATCH_VECTOR: u8;

    /// A place in the code that is not known yet.
    fn label(&mut self) -> DynamicLabel;
    /// Makes this the place.
    fn bind(&mut self, label: DynamicLabel);
    /// Jumps there.
    fn jump_to(&mut self, label: DynamicLabel);
    /// Fills a register with a constant.
    fn load_constant(&mut self, to: Role, value: u64);
    /// Puts two registers where [`load_kept`](BridgeAssembler::load_kept) finds them, right after the frame is opened.
    fn keep(&mut self, context: Role, record: Role);
    /// Fills a register with what was kept.
    fn load_kept(&mut self, to: Role, kept: Kept);
    /// Closes the frame, and does not return.
    fn leave_frame(&mut self);
    /// Fills a register with four bytes, `offset` bytes from the thread pointer.
    fn load_thread(&mut self, to: Role, offset: i32);
    /// Writes four bytes there.
    fn store_thread(&mut self, from: Role, offset: i32);
    /// Jumps where a register is not the thread pointer.
    fn branch_unless_thread(&mut self, register: Role, label: DynamicLabel);
    /// Writes four bytes of a register to memory.
    fn store_int(&mut self, from: Role, base: Role, offset: u32);
    /// Adds 1 or -1 to four bytes of memory.
    fn count(&mut self, base: Role, offset: u32, by: i8);
    /// Fills a register with two bytes ([`Width::S2`]) or four, sign-extended to eight.
    fn load_signed(&mut self, to: Role, base: Role, offset: u32, width: Width);
    /// Fills a register with the sum of another and an offset.
    fn load_address(&mut self, to: Role, base: Role, offset: u32);
    /// Jumps where memory of one byte ([`Width::S1`]) or four is not the value. May leave it in [`Role::Scratch`].
    fn branch_unless_equal(&mut self, base: Role, offset: u32, width: Width, value: i32, label: DynamicLabel);
    /// Jumps where an integer of that width in memory is negative; of one byte as [`Width::S1`].
    fn branch_if_negative(&mut self, base: Role, offset: u32, width: Width, label: DynamicLabel);
    /// Jumps where an integer of that width in memory is neither 0 nor 1; of one byte as [`Width::U1`].
    fn branch_if_above_one(&mut self, base: Role, offset: u32, width: Width, label: DynamicLabel);
    /// Jumps where a signed integer of two bytes ([`Width::S2`]), four or eight in memory does not fit one of so many bytes,
    /// signed or not. Overwrites [`Role::Scratch`].
    fn branch_unless_fits(&mut self, base: Role, offset: u32, from: Width, to: (u8, bool), label: DynamicLabel);
    /// Jumps where a register is 0.
    fn branch_if_zero(&mut self, register: Role, label: DynamicLabel);
    /// Fills [`Role::Scratch`] with the integer that a double in memory is. Jumps where it is none; if `bounded`, also
    /// where it is beyond 2^53; if not, some that no 32 bits hold are taken for others that they do not hold either. May
    /// overwrite [`Role::Slots`], which is not the base.
    fn load_integral(&mut self, base: Role, offset: u32, bounded: bool, label: DynamicLabel);
    /// Fills a vector register with a double in memory, rounded to a float.
    fn load_rounded(&mut self, to: u8, base: Role, offset: u32);
    /// Fills a vector register with a float in memory, converted to a double.
    fn load_widened(&mut self, to: u8, base: Role, offset: u32);
    /// Fills a vector register with the signed integer in the low four bytes of a register, converted to a float or double of
    /// that width.
    fn convert_int(&mut self, to: u8, from: Role, width: Width);
    /// Fills a vector register with an integer of eight bytes in memory, converted to a double; jumps where that is beyond
    /// 2^53 either way. Overwrites [`Role::Scratch`], and may overwrite [`Role::Slots`], even where that is the base.
    fn load_exact_long(&mut self, to: u8, base: Role, offset: u32, label: DynamicLabel);
    /// Fills a vector register with an integer of four bytes in memory, converted to a double.
    fn load_converted(&mut self, to: u8, base: Role, offset: u32);
    /// Fills a vector register with an integer of four bytes in memory, converted to a float; jumps where that would not
    /// be exact. Overwrites [`Role::Scratch`].
    fn load_exact(&mut self, to: u8, base: Role, offset: u32, label: DynamicLabel);
    /// Extends what a register holds of that width to four bytes, and makes the four above them zero.
    fn extend_int(&mut self, register: Role, width: Width);
    /// Fills a register with what another holds of that width, extended to eight bytes; of four bytes as `signed` says.
    fn extend_long(&mut self, to: Role, from: Role, width: Width, signed: bool);
    /// Jumps where an integer of eight bytes, signed or not, does not fit a signed one of four. Overwrites
    /// [`Role::Scratch`] or [`Role::Target`].
    fn branch_unless_int(&mut self, register: Role, signed: bool, label: DynamicLabel);
    /// Jumps where an integer is beyond 2^53, either way if it is signed. Overwrites [`Role::Slots`] and
    /// [`Role::Target`].
    fn branch_unless_exact(&mut self, register: Role, signed: bool, label: DynamicLabel);
    /// Turns a signed integer into the bits of a double. Overwrites vector register 0.
    fn integer_to_double(&mut self, register: Role);
    /// Turns the float in vector register 0 into a double.
    fn widen_vector(&mut self);
    /// Copies the double in vector register 0.
    fn vector_bits(&mut self, to: Role);
}

/// All that a bridge stub depends on.
#[derive(Hash)]
pub(crate) struct Blueprint {
    /// The convention, and what the callee's plan says beyond `arguments`.
    convention: Convention,
    area: u32,
    vector_count: Option<u8>,
    record: Pointer,
    /// Absent where null is handed on.
    context: Option<Home>,
    errno: Option<i32>,
    home: bool,
    guards: Vec<Guard>,
    arguments: Vec<Argument>,
    result: Outcome,
    boxing: Boxing,
    fallback: u64,
    failed: u64,
}

/// Where the host's caller leaves a parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Home {
    /// In the general argument register of that number.
    Register(u8),
    /// In memory, that many bytes from where the caller's arguments start.
    Stack(u32),
}

/// A pointer of the host's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Via {
    parameter: Home,
    /// Where the pointer is that many bytes from where the parameter points, and not the parameter itself.
    through: Option<u32>,
}

/// A word in memory, by a pointer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct At {
    pointer: Via,
    offset: u32,
}

/// Where the address of the record is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Pointer {
    Memory(At),
    Parameter(Home),
    /// It is known.
    Constant(u64),
}

/// A C type, as far as conversions know it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Kind {
    Bool,
    Integer { bytes: u8, signed: bool },
    Pointer,
    Float,
    Double,
}

/// What the callee returns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Outcome {
    Void,
    Scalar(Kind),
    /// Something else in one general register, or one floating register.
    General,
    Vector,
}

/// What has to be in memory.
#[derive(Hash)]
struct Guard {
    at: At,
    width: TagWidth,
    value: i32,
}

/// A parameter of the callee, and what the host has for it.
#[derive(Hash)]
struct Argument {
    kind: Kind,
    to: Place,
    tag: At,
    tag_width: TagWidth,
    payload: At,
    cases: Vec<bridge::Case>,
}

// SAFETY: the addresses in it become constants of the code; nobody follows them here.
unsafe impl Send for Blueprint {}

// SAFETY: as above.
unsafe impl Sync for Blueprint {}

impl Blueprint {
    /// That of a stub for functions of the signature `callee`. The thread's `errno` is `errno` bytes from the thread
    /// pointer.
    ///
    /// # Errors
    /// [`Error::Unsupported`] where no stub can be made.
    pub(crate) fn new(spec: &Spec, callee: &Signature, convention: Convention, errno: i32) -> Result<Blueprint> {
        let plan = Plan::new(callee, convention)?;
        let host = Host::new(&spec.entry, convention)?;
        if spec.arguments.len() != callee.parameters().len() {
            return Err(Error::unsupported(format!(
                "a bridge stub of {} arguments for {callee}",
                spec.arguments.len()
            )));
        }
        let arch = convention.arch();
        let parameters = callee.parameters().iter().zip(&spec.arguments).enumerate();
        let arguments = parameters.map(|(index, (parameter, argument))| {
            let kind = Kind::of(&parameter.ty, arch).ok_or_else(|| refused(callee, index))?;
            let value = plan.moves.iter().find(|value| value.argument == Some(index as u16));
            let to = value.ok_or_else(|| refused(callee, index))?.place;
            host.argument(argument, kind, to).map_err(|reason| {
                Error::unsupported(format!("argument {} of a bridge stub for {callee}: {reason}", callee.place(index)))
            })
        });
        let guards = spec.guards.iter().map(|guard| {
            host.guard(guard)
                .map_err(|reason| Error::unsupported(format!("a guard of a bridge stub for {callee}: {reason}")))
        });
        let blueprint = Blueprint {
            convention,
            area: plan.area() as u32,
            vector_count: plan.vector_count,
            record: host.pointer(spec.record).map_err(Error::unsupported)?,
            context: spec.context.map(|context| host.home(context)).transpose().map_err(Error::unsupported)?,
            errno: spec.errno.then_some(errno),
            home: spec.home,
            guards: guards.collect::<Result<_>>()?,
            arguments: arguments.collect::<Result<_>>()?,
            result: Outcome::of(callee, &plan)?,
            boxing: spec.boxing,
            fallback: spec.fallback.addr() as u64,
            failed: spec.failed.addr() as u64,
        };
        blueprint.check(&host, callee)?;
        Ok(blueprint)
    }

    /// Checks what concerns the stub as a whole.
    fn check(&self, host: &Host, callee: &Signature) -> Result<()> {
        let raw = matches!(self.result, Outcome::General | Outcome::Vector);
        match self.boxing {
            Boxing::Tagged(_) if !host.returns_two_words => {
                Err(Error::unsupported("a payload and a tag that are not returned in two general registers"))
            }
            Boxing::Tagged(_) if raw => Err(Error::unsupported(format!("a tagged result of {callee}"))),
            _ if self.area + self.words() > MAX_FRAME => {
                Err(Error::unsupported(format!("a bridge stub for {callee}: arguments of more than {MAX_FRAME} bytes")))
            }
            _ => Ok(()),
        }
    }

    pub(super) fn arch(&self) -> Arch {
        self.convention.arch()
    }

    /// What the stub is found by: all of it.
    pub(crate) fn shape(&self) -> Shape {
        let mut words = Words(vec![Shape::BRIDGE]);
        self.hash(&mut words);
        Shape::new(words.0)
    }

    /// Whether the state is read before the call.
    fn needs_state(&self) -> bool {
        self.errno.is_some() || self.home
    }

    fn general(&self) -> impl Iterator<Item = &Argument> {
        self.arguments.iter().filter(|argument| !argument.kind.is_vector())
    }

    fn vectors(&self) -> impl Iterator<Item = &Argument> {
        self.arguments.iter().filter(|argument| argument.kind.is_vector())
    }

    /// Whether some argument that is not floating has more than one case.
    fn has_slow_lane(&self) -> bool {
        self.general().any(|argument| argument.cases.len() > 1)
    }

    /// Whether even the likeliest case of some argument is converted to a word of the frame.
    fn converts_early(&self) -> bool {
        self.general().any(|argument| argument.cases[0].payload == Payload::Double)
    }

    /// Whether only the slow lane needs room on the stack.
    fn reserves_late(&self) -> bool {
        self.area == 0 && !self.converts_early()
    }

    /// The record's address, where nothing has to be kept for it to be known after the call.
    fn constant_record(&self) -> Option<u64> {
        match self.record {
            Pointer::Constant(record) => Some(record),
            Pointer::Memory(_) | Pointer::Parameter(_) => None,
        }
    }

    /// Whether context or record has to be kept over the call.
    fn keeps(&self) -> bool {
        self.context.is_some() || self.constant_record().is_none()
    }

    /// Bytes of the frame for arguments that were converted.
    fn words(&self) -> u32 {
        if self.has_slow_lane() || self.converts_early() { 8 * self.general().count() as u32 } else { 0 }
    }
}

/// Collects what is hashed, one word for each value.
struct Words(Vec<u64>);

impl Hasher for Words {
    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.0.push(u64::from_le_bytes(word));
        }
    }

    fn finish(&self) -> u64 {
        0 // the words are what is wanted
    }
}

fn refused(callee: &Signature, index: usize) -> Error {
    Error::unsupported(format!("argument {} of a bridge stub for {callee}", callee.place(index)))
}

/// The host's signature, planned.
struct Host {
    plan: Plan,
    parameters: usize,
    returns_two_words: bool,
}

impl Host {
    fn new(entry: &Signature, convention: Convention) -> Result<Host> {
        let plan = Plan::new(entry, convention)?;
        let floating = plan.moves.iter().any(|value| matches!(value.place, Place::Register(Register::Fpr(_))));
        if floating || plan.vector_count.is_some() {
            return Err(Error::unsupported(format!(
                "native functions like {entry}: all parameters go to general registers"
            )));
        }
        if plan.result.in_memory || plan.result.is_stored() {
            return Err(Error::unsupported(format!("native functions like {entry}: the result is in memory")));
        }
        let word = |number: u8| (Register::Gpr(number), 8 * number, 8);
        let parts = plan.result.parts().map(|part| (part.register, part.offset, part.size));
        let returns_two_words = parts.eq([word(0), word(1)]);
        Ok(Host { plan, parameters: entry.parameters().len(), returns_two_words })
    }

    /// Where a parameter is that takes a word.
    fn home(&self, parameter: usize) -> Result<Home, String> {
        let mut moves = self.plan.moves.iter().filter(|value| value.argument.map(usize::from) == Some(parameter));
        match (moves.next().map(|value| (value.place, value.width)), moves.next()) {
            (Some((Place::Register(Register::Gpr(number)), Width::B8)), None) => Ok(Home::Register(number)),
            (Some((Place::Stack(at), Width::B8)), None) => Ok(Home::Stack(at)),
            _ => Err(format!("parameter {parameter} of the {} of native functions is no pointer", self.parameters)),
        }
    }

    fn at(&self, place: bridge::Place, align: u32) -> Result<At, String> {
        if place.offset >= MAX_OFFSET || !place.offset.is_multiple_of(align) {
            return Err(format!("an offset of {} bytes", place.offset));
        }
        if let Some(through) = place.through.filter(|through| *through >= MAX_OFFSET || through % 8 != 0) {
            return Err(format!("a pointer at an offset of {through} bytes"));
        }
        let pointer = Via { parameter: self.home(place.parameter)?, through: place.through };
        Ok(At { pointer, offset: place.offset })
    }

    fn pointer(&self, record: Operand) -> Result<Pointer, String> {
        match record {
            Operand::Memory(place) => Ok(Pointer::Memory(self.at(place, 8)?)),
            Operand::Parameter(parameter) => Ok(Pointer::Parameter(self.home(parameter)?)),
            Operand::Constant(record) if record.is_null() => Err("a record at address 0".to_owned()),
            Operand::Constant(record) => Ok(Pointer::Constant(record.addr() as u64)),
        }
    }

    fn guard(&self, guard: &bridge::Guard) -> Result<Guard, String> {
        check_tag(guard.width, guard.value)?;
        Ok(Guard { at: self.at(guard.place, guard.width.align())?, width: guard.width, value: guard.value })
    }

    fn argument(&self, argument: &bridge::Argument, kind: Kind, to: Place) -> Result<Argument, String> {
        let cases = &argument.cases;
        let align = cases.iter().map(|case| case.payload.align()).max().ok_or("no case")?;
        for case in cases {
            check_tag(argument.tag_width, case.tag)?;
            if !kind.takes(case.payload) {
                return Err(format!("no conversion of {:?}", case.payload));
            }
        }
        let (tag, payload) = (self.at(argument.tag, argument.tag_width.align())?, self.at(argument.payload, align)?);
        Ok(Argument { kind, to, tag, tag_width: argument.tag_width, payload, cases: cases.clone() })
    }
}

fn check_tag(width: TagWidth, tag: i32) -> Result<(), String> {
    match width {
        TagWidth::Byte if i8::try_from(tag).is_err() => Err(format!("a tag of one byte cannot be {tag}")),
        _ => Ok(()),
    }
}

impl TagWidth {
    fn align(self) -> u32 {
        match self {
            TagWidth::Byte => 1,
            TagWidth::Int => 4,
        }
    }

    fn width(self) -> Width {
        match self {
            TagWidth::Byte => Width::S1,
            TagWidth::Int => Width::B4,
        }
    }
}

impl Payload {
    fn align(self) -> u32 {
        match self {
            Payload::Int16 => 2,
            Payload::Int32 | Payload::Bool | Payload::Float => 4,
            Payload::Double | Payload::Int64 => 8,
            Payload::Byte | Payload::Null | Payload::Address => 1,
        }
    }

    /// How wide an integer payload is, and how it is extended where it is narrower than four bytes.
    fn width(self) -> Width {
        match self {
            Payload::Byte => Width::U1,
            Payload::Int16 => Width::S2,
            Payload::Double | Payload::Int64 => Width::B8,
            Payload::Int32 | Payload::Bool | Payload::Float | Payload::Null | Payload::Address => Width::B4,
        }
    }
}

impl Kind {
    fn of(ty: &Type, arch: Arch) -> Option<Kind> {
        match ty {
            Type::Bool => Some(Kind::Bool),
            Type::Pointer(_) => Some(Kind::Pointer),
            Type::Float(Float::F32) => Some(Kind::Float),
            Type::Float(Float::F64) => Some(Kind::Double),
            other => {
                let integer = other.as_integer().filter(|integer| integer.size() <= 8)?;
                Some(Kind::Integer { bytes: integer.size() as u8, signed: integer.is_signed(arch) })
            }
        }
    }

    fn is_vector(self) -> bool {
        matches!(self, Kind::Float | Kind::Double)
    }

    /// Whether it takes eight bytes of a general register.
    fn is_long(self) -> bool {
        matches!(self, Kind::Pointer | Kind::Integer { bytes: 8, .. })
    }

    fn is_signed(self) -> bool {
        matches!(self, Kind::Integer { signed: true, .. })
    }

    /// How much of a general register it takes.
    fn width(self) -> Width {
        match self {
            Kind::Bool | Kind::Integer { bytes: 1, signed: false } => Width::U1,
            Kind::Integer { bytes: 1, signed: true } => Width::S1,
            Kind::Integer { bytes: 2, signed: false } => Width::U2,
            Kind::Integer { bytes: 2, signed: true } => Width::S2,
            Kind::Integer { bytes: 4, .. } | Kind::Float => Width::B4,
            Kind::Integer { .. } | Kind::Pointer | Kind::Double => Width::B8,
        }
    }

    /// Whether there is a conversion.
    fn takes(self, payload: Payload) -> bool {
        match payload {
            Payload::Int32 | Payload::Double => true,
            Payload::Bool => matches!(self, Kind::Bool | Kind::Integer { .. }),
            Payload::Byte | Payload::Int16 => self != Kind::Pointer,
            Payload::Null | Payload::Address => self.is_long(),
            Payload::Int64 => self != Kind::Float,
            Payload::Float => self.is_vector(),
        }
    }
}

impl Outcome {
    fn of(callee: &Signature, plan: &Plan) -> Result<Outcome> {
        let ty = callee.result();
        if ty.is_void() {
            return Ok(Outcome::Void);
        }
        if let Some(kind) = Kind::of(ty, plan.convention.arch()) {
            return Ok(Outcome::Scalar(kind));
        }
        let mut parts = plan.result.parts();
        match (parts.next().filter(|part| part.size <= 8).map(|part| part.register), parts.next()) {
            (Some(Register::Gpr(0)), None) => Ok(Outcome::General),
            (Some(Register::Fpr(0)), None) => Ok(Outcome::Vector),
            _ => Err(Error::unsupported(format!("the result of a bridge stub for {callee}"))),
        }
    }
}

/// Emits the stub.
pub(super) fn emit<A: BridgeAssembler>(blueprint: &Blueprint, mut assembler: A) -> Result<()> {
    let fallback = assembler.label();
    let lanes = Lanes {
        slow: blueprint.has_slow_lane().then(|| assembler.label()),
        ready: assembler.label(),
        failed: assembler.label(),
        fallback,
    };
    let mut writer = Writer { blueprint, assembler, lanes, has_record: true, later: Vec::new() };
    writer.enter();
    writer.fast_lane();
    writer.call();
    let seldom = writer.box_result();
    writer.further_cases();
    writer.slow_lane();
    writer.box_seldom(seldom);
    writer.leave();
    writer.assembler.finish()
}

/// Places in the code.
struct Lanes {
    /// Where an argument goes that is not of its first case; absent where there is no other.
    slow: Option<DynamicLabel>,
    /// All arguments are in place.
    ready: DynamicLabel,
    failed: DynamicLabel,
    fallback: DynamicLabel,
}

/// A floating argument whose other cases are still to be written, from where to where.
struct Later<'a> {
    argument: &'a Argument,
    start: DynamicLabel,
    join: DynamicLabel,
}

/// What the boxing does seldom, and is still to be written.
#[derive(Default)]
struct Seldom {
    null: Option<DynamicLabel>,
    /// An integer that does not fit four bytes, signed or not.
    large: Option<(DynamicLabel, bool)>,
}

/// How a general register is filled.
#[derive(Clone, Copy)]
enum Fill {
    Zero,
    Plain(Base, u32, Width),
    Signed(Base, u32, Width),
    Address(Base, u32),
}

/// What an address is relative to.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Base {
    Host(Via),
    Role(Role),
    /// A pointer that many bytes from where the register points.
    Through(Role, u32),
}

impl Fill {
    fn base(&mut self) -> Option<&mut Base> {
        match self {
            Fill::Zero => None,
            Fill::Plain(base, ..) | Fill::Signed(base, ..) | Fill::Address(base, _) => Some(base),
        }
    }

    /// Whether it needs that argument register.
    fn needs(mut self, register: u8) -> bool {
        let own = Home::Register(register);
        self.base().is_some_and(|base| matches!(base, Base::Host(Via { parameter, .. }) if *parameter == own))
    }
}

struct Writer<'a, A> {
    blueprint: &'a Blueprint,
    assembler: A,
    lanes: Lanes,
    /// Whether the record's address is still in [`Role::Slots`] at the end of the fast lane.
    has_record: bool,
    later: Vec<Later<'a>>,
}

impl<'a, A: BridgeAssembler> Writer<'a, A> {
    /// Opens the frame, and finds the record and the target, which stays in [`Role::Target`].
    fn enter(&mut self) {
        self.assembler.landing_pad();
        self.assembler.open_frame(false);
        match self.blueprint.record {
            Pointer::Memory(At { pointer, offset }) => {
                let base = self.via(pointer, Role::Slots);
                self.assembler.load(Role::Slots, base, offset, Width::B8);
            }
            Pointer::Parameter(home) => match self.parameter(home, Role::Slots) {
                Role::Slots => {}
                register => self.assembler.copy(Role::Slots, register),
            },
            Pointer::Constant(record) => self.assembler.load_constant(Role::Slots, record),
        }
        self.assembler.load(Role::Target, Role::Slots, RECORD_TARGET, Width::B8);
        if self.blueprint.keeps() {
            let context = self.blueprint.context.map_or(Role::Slots, |context| self.parameter(context, Role::Scratch));
            self.assembler.keep(context, Role::Slots);
        }
        if self.blueprint.home {
            self.assembler.load(Role::Scratch, Role::Slots, RECORD_STATE, Width::B8);
            self.assembler.load(Role::Scratch, Role::Scratch, STATE_HOME, Width::B8);
            self.assembler.branch_unless_thread(Role::Scratch, self.lanes.fallback);
        }
        self.assembler.branch_if_zero(Role::Target, self.lanes.fallback);
        if !self.blueprint.reserves_late() {
            self.reserve();
        }
    }

    fn reserve(&mut self) {
        self.assembler.reserve((self.blueprint.area + self.blueprint.words().next_multiple_of(16)) as usize, 16);
    }

    /// The register that a parameter is in; `spare` where it has to be loaded.
    fn parameter(&mut self, home: Home, spare: Role) -> Role {
        match home {
            Home::Register(number) => Role::Argument(number),
            Home::Stack(at) => {
                self.assembler.load(spare, Role::Frame, A::INCOMING + at, Width::B8);
                spare
            }
        }
    }

    /// The register that a pointer is in; `spare` where it has to be loaded.
    fn via(&mut self, Via { parameter, through }: Via, spare: Role) -> Role {
        let base = self.parameter(parameter, spare);
        let Some(offset) = through else { return base };
        self.assembler.load(spare, base, offset, Width::B8);
        spare
    }

    /// The register that the pointer to a host value is in.
    fn pointer(&mut self, via: Via) -> Role {
        self.has_record &= matches!(via, Via { parameter: Home::Register(_), through: None });
        self.via(via, Role::Slots)
    }

    fn fast_lane(&mut self) {
        let blueprint = self.blueprint;
        for Guard { at, width, value } in &blueprint.guards {
            let base = self.pointer(at.pointer);
            self.assembler.branch_unless_equal(base, at.offset, width.width(), *value, self.lanes.fallback);
        }
        for argument in blueprint.vectors() {
            self.guard_vector(argument);
        }
        let mismatch = self.lanes.slow.unwrap_or(self.lanes.fallback);
        let mut fills = Vec::new();
        for (index, argument) in blueprint.general().enumerate() {
            let case = argument.cases[0];
            self.branch_unless_tag(argument, case.tag, mismatch);
            self.guard_payload(argument, case.payload, index);
            fills.push((argument.to, self.fill(argument, case.payload, index)));
        }
        self.fill_all(fills);
        if blueprint.needs_state() && !self.has_record {
            self.load_record(Role::Slots);
        }
    }

    /// The record's address, after [`Role::Slots`] was overwritten.
    fn load_record(&mut self, to: Role) {
        match self.blueprint.constant_record() {
            Some(record) => self.assembler.load_constant(to, record),
            None => self.assembler.load_kept(to, Kept::Record),
        }
    }

    fn load_context(&mut self, to: Role) {
        match self.blueprint.context {
            Some(_) => self.assembler.load_kept(to, Kept::Context),
            None => self.assembler.load_constant(to, 0),
        }
    }

    fn branch_unless_tag(&mut self, argument: &Argument, tag: i32, label: DynamicLabel) {
        let base = self.pointer(argument.tag.pointer);
        self.assembler.branch_unless_equal(base, argument.tag.offset, argument.tag_width.width(), tag, label);
    }

    /// Loads a floating argument of its first case.
    fn guard_vector(&mut self, argument: &'a Argument) {
        let (first, further) = (argument.cases[0], argument.cases.len() > 1);
        let (start, join) =
            if further { (self.assembler.label(), Some(self.assembler.label())) } else { (self.lanes.fallback, None) };
        self.branch_unless_tag(argument, first.tag, start);
        self.has_record &= first.payload != Payload::Int64;
        self.load_vector(argument, first.payload);
        if let Some(join) = join {
            self.assembler.bind(join);
            self.later.push(Later { argument, start, join });
        }
    }

    /// Loads a floating argument, or puts it on the stack.
    fn load_vector(&mut self, argument: &Argument, payload: Payload) {
        let (base, offset) = (self.pointer(argument.payload.pointer), argument.payload.offset);
        let (to, stack) = match argument.to {
            Place::Register(Register::Fpr(number)) => (number, None),
            Place::Stack(at) => (A::SCRATCH_VECTOR, Some(at)),
            Place::Register(other) => unreachable!("a floating argument in {other:?}"),
        };
        let assembler = &mut self.assembler;
        match (payload, argument.kind) {
            (Payload::Double, Kind::Double) => assembler.load_vector(to, base, offset, Width::B8),
            (Payload::Double, _) => assembler.load_rounded(to, base, offset),
            (Payload::Float, Kind::Double) => assembler.load_widened(to, base, offset),
            (Payload::Float, _) => assembler.load_vector(to, base, offset, Width::B4),
            (Payload::Byte | Payload::Int16, kind) => {
                assembler.load(Role::Scratch, base, offset, payload.width());
                assembler.convert_int(to, Role::Scratch, kind.width());
            }
            (Payload::Int64, _) => assembler.load_exact_long(to, base, offset, self.lanes.fallback),
            (_, Kind::Double) => assembler.load_converted(to, base, offset),
            _ => assembler.load_exact(to, base, offset, self.lanes.fallback),
        }
        if let Some(at) = stack {
            assembler.store_vector(to, at, argument.kind.width());
        }
    }

    /// Sends a payload that does not fit the type to the fallback. One that has to be converted is left in the frame's word
    /// of that number.
    fn guard_payload(&mut self, argument: &Argument, payload: Payload, word: usize) {
        let fallback = self.lanes.fallback;
        match payload {
            Payload::Null | Payload::Bool | Payload::Address | Payload::Float => {}
            Payload::Byte | Payload::Int16 | Payload::Int32 | Payload::Int64 => {
                let base = self.pointer(argument.payload.pointer);
                self.guard_range(base, argument.payload.offset, payload, argument.kind);
            }
            Payload::Double => {
                self.has_record = false;
                let word = self.word(word);
                let (base, offset) = match (self.pointer(argument.payload.pointer), argument.payload.offset) {
                    (Role::Slots, offset) => {
                        self.assembler.load(Role::Scratch, Role::Slots, offset, Width::B8);
                        self.assembler.store(Role::Scratch, word);
                        (Role::Stack, word)
                    }
                    there => there,
                };
                self.assembler.load_integral(base, offset, argument.kind.is_long(), fallback);
                self.assembler.store(Role::Scratch, word);
                self.guard_range(Role::Stack, word, payload, argument.kind);
            }
        }
    }

    /// Sends an integer in memory that does not fit the type to the fallback.
    fn guard_range(&mut self, base: Role, offset: u32, payload: Payload, kind: Kind) {
        let (fallback, width) = (self.lanes.fallback, payload.width());
        let assembler = &mut self.assembler;
        match (kind, payload) {
            (Kind::Bool, _) => assembler.branch_if_above_one(base, offset, width, fallback),
            (Kind::Integer { bytes: 1, signed: true }, Payload::Byte) => {
                assembler.branch_if_negative(base, offset, Width::S1, fallback);
            }
            (_, Payload::Byte) | (Kind::Integer { bytes: 2.., signed: true }, Payload::Int16) => {}
            (Kind::Integer { bytes: 2.., .. }, Payload::Int16) => {
                assembler.branch_if_negative(base, offset, width, fallback);
            }
            (Kind::Integer { bytes: 4, signed: true }, Payload::Int32) => {}
            (Kind::Integer { bytes: 4, signed: false }, Payload::Int32) => {
                assembler.branch_if_negative(base, offset, width, fallback);
            }
            (Kind::Integer { bytes: 1..=4, .. }, _) => {
                let Kind::Integer { bytes, signed } = kind else { return };
                assembler.branch_unless_fits(base, offset, width, (bytes, signed), fallback);
            }
            (Kind::Integer { signed: true, .. }, _) | (_, Payload::Int64) => {}
            _ => assembler.branch_if_negative(base, offset, width, fallback),
        }
    }

    /// Where the frame's word of that number is.
    fn word(&self, word: usize) -> u32 {
        self.blueprint.area + 8 * word as u32
    }

    /// How an argument is loaded whose guards have passed.
    fn fill(&self, argument: &Argument, payload: Payload, word: usize) -> Fill {
        let At { pointer, offset } = argument.payload;
        let base = Base::Host(pointer);
        match payload {
            Payload::Null => Fill::Zero,
            Payload::Address => Fill::Address(base, offset),
            Payload::Double => self.fill_from_word(argument, word),
            Payload::Int16 | Payload::Int32 if argument.kind.is_long() && argument.kind.is_signed() => {
                Fill::Signed(base, offset, payload.width())
            }
            Payload::Int64 if !argument.kind.is_long() => Fill::Plain(base, offset, Width::B4),
            _ => Fill::Plain(base, offset, payload.width()),
        }
    }

    fn fill_from_word(&self, argument: &Argument, word: usize) -> Fill {
        let width = if argument.kind.is_long() { Width::B8 } else { Width::B4 };
        Fill::Plain(Base::Role(Role::Stack), self.word(word), width)
    }

    /// Puts arguments in place: first those on the stack, while the host's pointers are still in their registers; then each
    /// in its register as soon as nothing has to be read through that any more.
    fn fill_all(&mut self, fills: Vec<(Place, Fill)>) {
        let mut waiting = Vec::new();
        for (place, fill) in fills {
            match place {
                Place::Stack(at) => {
                    self.load(Role::Scratch, fill);
                    self.assembler.store(Role::Scratch, at);
                }
                Place::Register(Register::Gpr(number)) => waiting.push((number, fill)),
                Place::Register(other) => unreachable!("an integer argument in {other:?}"),
            }
        }
        while !waiting.is_empty() {
            let free =
                |(number, _): &(u8, Fill)| waiting.iter().all(|(other, fill)| other == number || !fill.needs(*number));
            let next = waiting.iter().position(free).unwrap_or(0);
            let (number, fill) = waiting.remove(next);
            if waiting.iter().any(|(_, fill)| fill.needs(number)) {
                self.set_aside(number, &mut waiting);
            }
            self.load(Role::Argument(number), fill);
        }
    }

    /// Breaks a circle of registers that each wait for another: each fill reads through one register only, so there is
    /// never more than one to be set aside.
    fn set_aside(&mut self, number: u8, waiting: &mut [(u8, Fill)]) {
        self.has_record = false;
        self.assembler.copy(Role::Slots, Role::Argument(number));
        for base in waiting.iter_mut().filter(|(_, fill)| fill.needs(number)).filter_map(|(_, fill)| fill.base()) {
            *base = match base {
                Base::Host(Via { through: Some(offset), .. }) => Base::Through(Role::Slots, *offset),
                _ => Base::Role(Role::Slots),
            };
        }
    }

    fn load(&mut self, to: Role, fill: Fill) {
        match fill {
            Fill::Zero => self.assembler.load_constant(to, 0),
            Fill::Plain(base, offset, width) => {
                let base = self.base(base, to);
                self.assembler.load(to, base, offset, width);
            }
            Fill::Signed(base, offset, width) => {
                let base = self.base(base, to);
                self.assembler.load_signed(to, base, offset, width);
            }
            Fill::Address(base, offset) => {
                let base = self.base(base, to);
                self.assembler.load_address(to, base, offset);
            }
        }
    }

    fn base(&mut self, base: Base, spare: Role) -> Role {
        match base {
            Base::Host(via) => self.via(via, spare),
            Base::Role(role) => role,
            Base::Through(role, offset) => {
                self.assembler.load(spare, role, offset, Width::B8);
                spare
            }
        }
    }

    /// The call, with all arguments in place; what is kept about it, before and after.
    fn call(&mut self) {
        let (ready, failed) = (self.lanes.ready, self.lanes.failed);
        let assembler = &mut self.assembler;
        assembler.bind(ready);
        if self.blueprint.needs_state() {
            assembler.load(Role::Slots, Role::Slots, RECORD_STATE, Width::B8);
        }
        if self.blueprint.home {
            assembler.count(Role::Slots, STATE_CALLS, 1);
        }
        if let Some(errno) = self.blueprint.errno {
            assembler.load(Role::Scratch, Role::Slots, STATE_ERRNO, Width::B4);
            assembler.store_thread(Role::Scratch, errno);
        }
        if let Some(count) = self.blueprint.vector_count {
            assembler.vector_count(count);
        }
        assembler.call(Role::Target);
        self.load_record(Role::Slots);
        let assembler = &mut self.assembler;
        assembler.load(Role::Slots, Role::Slots, RECORD_STATE, Width::B8);
        if let Some(errno) = self.blueprint.errno {
            assembler.load_thread(Role::Target, errno);
            assembler.store_int(Role::Target, Role::Slots, STATE_ERRNO);
        }
        if self.blueprint.home {
            assembler.count(Role::Slots, STATE_CALLS, -1);
        }
        assembler.branch_unless_equal(Role::Slots, STATE_FAILED, Width::B4, 0, failed);
    }

    /// Makes a host value of the result, and returns.
    fn box_result(&mut self) -> Seldom {
        let mut seldom = Seldom::default();
        match self.blueprint.boxing {
            Boxing::Tagged(tags) => {
                let tag = self.box_tagged(&tags, &mut seldom);
                self.return_tagged(tag);
            }
            Boxing::Call(finish) => self.finish(finish.addr() as u64),
            Boxing::Constructor { function, leading } => self.construct(function.addr() as u64, leading),
        }
        seldom
    }

    /// Leaves the payload in its register; gives the tag.
    fn box_tagged(&mut self, tags: &Tags, seldom: &mut Seldom) -> i32 {
        const RESULT: Role = Role::Result(0);
        let assembler = &mut self.assembler;
        match self.blueprint.result {
            Outcome::Void => {
                assembler.load_constant(RESULT, 0);
                tags.undefined
            }
            Outcome::Scalar(Kind::Float) => {
                assembler.widen_vector();
                assembler.vector_bits(RESULT);
                tags.double
            }
            Outcome::Scalar(Kind::Double) | Outcome::Vector => {
                assembler.vector_bits(RESULT);
                tags.double
            }
            Outcome::Scalar(kind @ (Kind::Bool | Kind::Integer { bytes: 1..=4, .. })) => {
                assembler.extend_int(RESULT, kind.width());
                if kind == (Kind::Integer { bytes: 4, signed: false }) {
                    let large = assembler.label();
                    assembler.branch_unless_int(RESULT, false, large);
                    seldom.large = Some((large, false));
                }
                if kind == Kind::Bool { tags.bool } else { tags.int }
            }
            Outcome::Scalar(kind) => {
                if kind == Kind::Pointer && tags.null.is_some() {
                    let null = assembler.label();
                    assembler.branch_if_zero(RESULT, null);
                    seldom.null = Some(null);
                }
                let (large, signed) = (assembler.label(), kind.is_signed());
                assembler.branch_unless_int(RESULT, signed, large);
                seldom.large = Some((large, signed));
                assembler.extend_int(RESULT, Width::B4);
                tags.int
            }
            Outcome::General => unreachable!("a struct has no tag"),
        }
    }

    fn return_tagged(&mut self, tag: i32) {
        self.assembler.load_constant(Role::Result(1), i64::from(tag) as u64);
        self.assembler.close_frame();
    }

    /// Has a function of the host make the value, which knows the stub's context and record.
    fn finish(&mut self, finish: u64) {
        if self.blueprint.result == Outcome::Void {
            self.assembler.load_constant(Role::Argument(2), 0);
        }
        self.pass_result(2);
        self.hand_over(finish);
    }

    /// Has a function of the host make the value, which knows the result only.
    fn construct(&mut self, function: u64, leading: Option<i32>) {
        self.pass_result(u8::from(leading.is_some()));
        if let Some(leading) = leading {
            self.assembler.load_constant(Role::Argument(0), i64::from(leading) as u64);
        }
        self.jump_out(function);
    }

    /// Makes an argument of the result: in the general argument register of that number, extended, or in the first vector
    /// register, as a double.
    fn pass_result(&mut self, number: u8) {
        let (assembler, to, from) = (&mut self.assembler, Role::Argument(number), Role::Result(0));
        match self.blueprint.result {
            Outcome::Void | Outcome::Scalar(Kind::Double) | Outcome::Vector => {}
            Outcome::Scalar(Kind::Float) => assembler.widen_vector(),
            Outcome::Scalar(kind) => assembler.extend_long(to, from, kind.width(), kind.is_signed()),
            Outcome::General => assembler.extend_long(to, from, Width::B8, false),
        }
    }

    /// Jumps to a function of the context and the record, which returns for the stub.
    fn hand_over(&mut self, function: u64) {
        self.load_context(Role::Argument(0));
        self.load_record(Role::Argument(1));
        self.jump_out(function);
    }

    fn jump_out(&mut self, function: u64) {
        self.assembler.leave_frame();
        self.assembler.load_constant(Role::Target, function);
        self.assembler.jump(Role::Target);
    }

    /// The other cases of floating arguments.
    fn further_cases(&mut self) {
        for Later { argument, start, join } in std::mem::take(&mut self.later) {
            self.assembler.bind(start);
            let mut cases = argument.cases[1..].iter().peekable();
            while let Some(case) = cases.next() {
                let next = if cases.peek().is_some() { self.assembler.label() } else { self.lanes.fallback };
                self.branch_unless_tag(argument, case.tag, next);
                self.load_vector(argument, case.payload);
                if case.payload == Payload::Int64 && self.blueprint.needs_state() && self.has_record {
                    self.load_record(Role::Slots);
                }
                self.assembler.jump_to(join);
                if cases.peek().is_some() {
                    self.assembler.bind(next);
                }
            }
        }
    }

    /// All cases of the other arguments.
    fn slow_lane(&mut self) {
        let Some(start) = self.lanes.slow else { return };
        let blueprint = self.blueprint;
        self.assembler.bind(start);
        if blueprint.reserves_late() {
            self.reserve();
        }
        for (word, argument) in blueprint.general().enumerate() {
            let done = self.assembler.label();
            let mut cases = argument.cases.iter().peekable();
            while let Some(case) = cases.next() {
                let next = if cases.peek().is_some() { self.assembler.label() } else { self.lanes.fallback };
                self.branch_unless_tag(argument, case.tag, next);
                self.convert(argument, case.payload, word);
                if cases.peek().is_some() {
                    self.assembler.jump_to(done);
                    self.assembler.bind(next);
                }
            }
            self.assembler.bind(done);
        }
        let words = blueprint.general().enumerate();
        let fills = words.map(|(word, argument)| (argument.to, self.fill_from_word(argument, word))).collect();
        self.fill_all(fills);
        if blueprint.needs_state() {
            self.load_record(Role::Slots);
        }
        self.assembler.jump_to(self.lanes.ready);
    }

    /// Leaves an argument in its word of the frame.
    fn convert(&mut self, argument: &Argument, payload: Payload, word: usize) {
        self.guard_payload(argument, payload, word);
        if payload != Payload::Double {
            self.load(Role::Scratch, self.fill(argument, payload, word));
            self.assembler.store(Role::Scratch, self.word(word));
        }
    }

    /// Null pointers, and integers that do not fit four bytes.
    fn box_seldom(&mut self, seldom: Seldom) {
        let Boxing::Tagged(tags) = self.blueprint.boxing else { return };
        if let (Some(label), Some(null)) = (seldom.null, tags.null) {
            self.assembler.bind(label);
            self.return_tagged(null);
        }
        let Some((large, signed)) = seldom.large else { return };
        self.assembler.bind(large);
        let wide = matches!(self.blueprint.result, Outcome::Scalar(kind) if kind.is_long());
        let wide = wide.then(|| self.assembler.label());
        if let Some(wide) = wide {
            self.assembler.branch_unless_exact(Role::Result(0), signed, wide);
        }
        self.assembler.integer_to_double(Role::Result(0));
        self.return_tagged(tags.double);
        if let Some(wide) = wide {
            self.assembler.bind(wide);
            self.assembler.copy(Role::Argument(2), Role::Result(0));
            self.hand_over(tags.wide.addr() as u64);
        }
    }

    /// The ways out that are no return.
    fn leave(&mut self) {
        self.assembler.bind(self.lanes.failed);
        self.hand_over(self.blueprint.failed);
        self.assembler.bind(self.lanes.fallback);
        self.jump_out(self.blueprint.fallback);
    }
}
