//! AArch64: the steps of a map stub as instructions.
//!
//! Callee-saved registers (AAPCS64 6.1.1) in the order of their use: x19 .. x28. The frame of a map stub:
//!
//! ```text
//!   x29 + 16    caller's x19 .. x28, each 8 bytes above the one before
//!   x29 + 8     return address
//!   x29         caller's x29
//!               words of the stub
//!   sp          arguments in memory: the plan's area
//! ```

use dynasmrt::{DynamicLabel, DynasmApi, DynasmLabelApi, dynasm};

use super::{Emitter, number};
use crate::abi::{Register, Width};
use crate::emit::map::MapAssembler;
use crate::emit::{Assembler, Role};

/// What Arm's optimisation guides would have targets of branches aligned to, in bytes; entries of map stubs are aligned to
/// more.
const LOOP_ALIGN: usize = 32;

impl MapAssembler for Emitter<'_> {
    const SAVED: u8 = 10;
    type Place = DynamicLabel;

    fn open_saving_frame(&mut self) {
        dynasm!(self.ops
            ; .arch aarch64
            ; stp x29, x30, [sp, -96]!
            ; mov x29, sp
            ; stp x19, x20, [sp, 16]
            ; stp x21, x22, [sp, 32]
            ; stp x23, x24, [sp, 48]
            ; stp x25, x26, [sp, 64]
            ; stp x27, x28, [sp, 80]
        );
    }

    fn negate(&mut self, to: Role, from: Role) {
        dynasm!(self.ops ; .arch aarch64 ; neg X(number(to)), X(number(from)));
    }

    fn add_elements(&mut self, to: Role, count: Role, width: Width) {
        let (to, count) = (number(to), number(count));
        let shift = width.bytes().trailing_zeros();
        dynasm!(self.ops ; .arch aarch64 ; add X(to), X(to), X(count), lsl shift);
    }

    fn add_word(&mut self, to: Role, at: u32) {
        self.load(Role::Scratch, Role::Stack, at, Width::B8);
        dynasm!(self.ops ; .arch aarch64 ; add X(number(to)), X(number(to)), x9);
    }

    fn start_loop(&mut self) -> DynamicLabel {
        while !self.ops.offset().0.is_multiple_of(LOOP_ALIGN) {
            dynasm!(self.ops ; .arch aarch64 ; nop);
        }
        let start = self.ops.new_dynamic_label();
        dynasm!(self.ops ; .arch aarch64 ; =>start);
        start
    }

    fn load_element(&mut self, to: Role, base: Role, index: Role, width: Width) {
        let (to, base, index) = (number(to), number(base), number(index));
        match width {
            Width::S1 => dynasm!(self.ops ; .arch aarch64 ; ldrsb W(to), [X(base), X(index)]),
            Width::U1 => dynasm!(self.ops ; .arch aarch64 ; ldrb W(to), [X(base), X(index)]),
            Width::S2 => dynasm!(self.ops ; .arch aarch64 ; ldrsh W(to), [X(base), X(index), lsl 1]),
            Width::U2 => dynasm!(self.ops ; .arch aarch64 ; ldrh W(to), [X(base), X(index), lsl 1]),
            Width::B4 => dynasm!(self.ops ; .arch aarch64 ; ldr W(to), [X(base), X(index), lsl 2]),
            Width::B8 | Width::B16 | Width::B32 => {
                dynasm!(self.ops ; .arch aarch64 ; ldr X(to), [X(base), X(index), lsl 3]);
            }
        }
    }

    fn load_vector_element(&mut self, to: u8, base: Role, index: Role, width: Width) {
        let (base, index) = (number(base), number(index));
        match width {
            Width::B4 => dynasm!(self.ops ; .arch aarch64 ; ldr S(to), [X(base), X(index), lsl 2]),
            _ => dynasm!(self.ops ; .arch aarch64 ; ldr D(to), [X(base), X(index), lsl 3]),
        }
    }

    fn store_element(&mut self, result: Register, base: Role, index: Role, width: Width) {
        let (base, index) = (number(base), number(index));
        match (result, width.bytes()) {
            (Register::Gpr(_), 1) => dynasm!(self.ops ; .arch aarch64 ; strb w0, [X(base), X(index)]),
            (Register::Gpr(_), 2) => dynasm!(self.ops ; .arch aarch64 ; strh w0, [X(base), X(index), lsl 1]),
            (Register::Gpr(_), 4) => dynasm!(self.ops ; .arch aarch64 ; str w0, [X(base), X(index), lsl 2]),
            (Register::Gpr(_), _) => dynasm!(self.ops ; .arch aarch64 ; str x0, [X(base), X(index), lsl 3]),
            (_, 4) => dynasm!(self.ops ; .arch aarch64 ; str s0, [X(base), X(index), lsl 2]),
            (_, _) => dynasm!(self.ops ; .arch aarch64 ; str d0, [X(base), X(index), lsl 3]),
        }
    }

    fn repeat(&mut self, index: Role, start: DynamicLabel) {
        let index = number(index);
        dynasm!(self.ops ; .arch aarch64 ; add XSP(index), XSP(index), 1 ; cbnz X(index), =>start);
    }

    fn close_saving_frame(&mut self) {
        dynasm!(self.ops
            ; .arch aarch64
            ; mov sp, x29
            ; ldp x19, x20, [sp, 16]
            ; ldp x21, x22, [sp, 32]
            ; ldp x23, x24, [sp, 48]
            ; ldp x25, x26, [sp, 64]
            ; ldp x27, x28, [sp, 80]
            ; ldp x29, x30, [sp], 96
            ; ret
        );
    }
}
