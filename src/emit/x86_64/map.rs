//! x86_64: the steps of a map stub as instructions.
//!
//! Callee-saved registers (psABI 3.2.1) in the order of their use: rbx, r12 .. r15. The frame of a map stub:
//!
//! ```text
//!   rbp + 8     return address
//!   rbp         caller's rbp
//!   rbp - 8     caller's rbx
//!   rbp - 16    caller's r12
//!   rbp - 24    caller's r13
//!   rbp - 32    caller's r14
//!   rbp - 40    caller's r15
//!   rbp - 48    padding
//!               words of the stub
//!   rsp         arguments in memory: the plan's area
//! ```

use dynasmrt::{DynamicLabel, DynasmApi, DynasmLabelApi, dynasm};

use super::{Emitter, RSP, number};
use crate::abi::{Register, Width};
use crate::emit::map::MapAssembler;
use crate::emit::{Assembler, Role};

/// One instruction with an element as its operand.
macro_rules! with_element {
    ($self:ident, [$($before:tt)*], $base:expr, $index:expr, $width:expr, [$($after:tt)*]) => {{
        let (base, index): (u8, u8) = (number($base), number($index));
        match $width.bytes() {
            1 => dynasm!($self.ops ; .arch x64 ; $($before)* [Rq(base) + Rq(index)] $($after)*),
            2 => dynasm!($self.ops ; .arch x64 ; $($before)* [Rq(base) + Rq(index) * 2] $($after)*),
            4 => dynasm!($self.ops ; .arch x64 ; $($before)* [Rq(base) + Rq(index) * 4] $($after)*),
            _ => dynasm!($self.ops ; .arch x64 ; $($before)* [Rq(base) + Rq(index) * 8] $($after)*),
        }
    }};
}

/// The bytes of a line of the instruction cache. A loop that lies across two takes a cycle more in each turn (measured on
/// Zen 3); most loops fit one.
const LINE: usize = 64;

/// The longest instruction that does nothing (Intel's manual, NOP).
const NOP: [u8; 9] = [0x66, 0x0f, 0x1f, 0x84, 0, 0, 0, 0, 0];

impl Emitter<'_> {
    /// Goes on at the start of a line: entries of map stubs are, too.
    fn fill_line(&mut self) {
        let rest = self.ops.offset().0.next_multiple_of(LINE) - self.ops.offset().0;
        for _ in 0..rest / NOP.len() {
            dynasm!(self.ops ; .arch x64 ; .bytes NOP);
        }
        dynasm!(self.ops ; .arch x64 ; .align LINE);
    }
}

impl MapAssembler for Emitter<'_> {
    const SAVED: u8 = 5;
    type Place = DynamicLabel;

    fn open_saving_frame(&mut self) {
        dynasm!(self.ops
            ; .arch x64
            ; push rbp
            ; mov rbp, rsp
            ; push rbx
            ; push r12
            ; push r13
            ; push r14
            ; push r15
            ; push rax // for the alignment
        );
    }

    fn negate(&mut self, to: Role, from: Role) {
        self.copy(to, from);
        dynasm!(self.ops ; .arch x64 ; neg Rq(number(to)));
    }

    fn add_elements(&mut self, to: Role, count: Role, width: Width) {
        with_element!(self, [lea Rq(number(to)),], to, count, width, []);
    }

    fn add_word(&mut self, to: Role, at: u32) {
        with_memory!(self, [add Rq(number(to)),], RSP, at as i32, []);
    }

    fn start_loop(&mut self) -> DynamicLabel {
        self.fill_line();
        let start = self.ops.new_dynamic_label();
        dynasm!(self.ops ; .arch x64 ; =>start);
        start
    }

    fn load_element(&mut self, to: Role, base: Role, index: Role, width: Width) {
        let to = number(to);
        match width {
            Width::S1 => with_element!(self, [movsx Rd(to), BYTE], base, index, width, []),
            Width::U1 => with_element!(self, [movzx Rd(to), BYTE], base, index, width, []),
            Width::S2 => with_element!(self, [movsx Rd(to), WORD], base, index, width, []),
            Width::U2 => with_element!(self, [movzx Rd(to), WORD], base, index, width, []),
            Width::B4 => with_element!(self, [mov Rd(to),], base, index, width, []),
            Width::B8 | Width::B16 | Width::B32 => with_element!(self, [mov Rq(to),], base, index, width, []),
        }
    }

    fn load_vector_element(&mut self, to: u8, base: Role, index: Role, width: Width) {
        match width {
            Width::B4 => with_element!(self, [movss Rx(to),], base, index, width, []),
            _ => with_element!(self, [movsd Rx(to),], base, index, width, []),
        }
    }

    fn store_element(&mut self, result: Register, base: Role, index: Role, width: Width) {
        match (result, width.bytes()) {
            (Register::Gpr(_), 1) => with_element!(self, [mov], base, index, width, [, al]),
            (Register::Gpr(_), 2) => with_element!(self, [mov], base, index, width, [, ax]),
            (Register::Gpr(_), 4) => with_element!(self, [mov], base, index, width, [, eax]),
            (Register::Gpr(_), _) => with_element!(self, [mov], base, index, width, [, rax]),
            (_, 4) => with_element!(self, [movss], base, index, width, [, xmm0]),
            (_, _) => with_element!(self, [movsd], base, index, width, [, xmm0]),
        }
    }

    fn repeat(&mut self, index: Role, start: DynamicLabel) {
        dynasm!(self.ops ; .arch x64 ; inc Rq(number(index)) ; jnz =>start);
    }

    fn close_saving_frame(&mut self) {
        dynasm!(self.ops
            ; .arch x64
            ; mov rbx, [rbp - 8]
            ; mov r12, [rbp - 16]
            ; mov r13, [rbp - 24]
            ; mov r14, [rbp - 32]
            ; mov r15, [rbp - 40]
            ; leave
            ; ret
        );
    }
}
