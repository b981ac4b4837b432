//! AArch64: the steps of stubs over pointers as instructions.
//!
//! The static chain is x18, as gcc has it on Linux for Go. The frame of a call stub:
//!
//! ```text
//!   x29 + 24    static chain
//!   x29 + 16    address of the result
//!   x29 + 8     return address
//!   x29         caller's x29
//!               padding
//!   sp          arguments in memory and copies: the plan's area
//! ```

use dynasmrt::{DynasmApi, dynasm};

use super::{Emitter, number};
use crate::abi::Width;
use crate::emit::Role;
use crate::emit::pointers::PointersAssembler;

impl PointersAssembler for Emitter<'_> {
    fn keep(&mut self, result: Role, chain: Role) {
        dynasm!(self.ops ; .arch aarch64 ; stp X(number(result)), X(number(chain)), [sp, 16]);
    }

    fn restore_chain(&mut self) {
        dynasm!(self.ops ; .arch aarch64 ; ldr X(number(Role::Chain)), [x29, 24]);
    }

    fn or_shifted(&mut self, to: Role, from: Role, shift: u8) {
        let (to, from) = (number(to), number(from));
        dynasm!(self.ops ; .arch aarch64 ; orr X(to), X(to), X(from), lsl u32::from(shift));
    }

    fn shift_right(&mut self, register: Role, shift: u8) {
        let register = number(register);
        dynasm!(self.ops ; .arch aarch64 ; lsr X(register), X(register), u32::from(shift));
    }

    fn extend(&mut self, register: Role, width: Width, signed: bool) {
        let register = number(register);
        match width {
            Width::S1 => dynasm!(self.ops ; .arch aarch64 ; sxtb X(register), W(register)),
            Width::U1 => dynasm!(self.ops ; .arch aarch64 ; uxtb W(register), W(register)),
            Width::S2 => dynasm!(self.ops ; .arch aarch64 ; sxth X(register), W(register)),
            Width::U2 => dynasm!(self.ops ; .arch aarch64 ; uxth W(register), W(register)),
            Width::B4 if signed => dynasm!(self.ops ; .arch aarch64 ; sxtw X(register), W(register)),
            Width::B4 => dynasm!(self.ops ; .arch aarch64 ; mov W(register), W(register)),
            Width::B8 | Width::B16 | Width::B32 => {}
        }
    }

    fn take_result_address(&mut self) {
        dynasm!(self.ops ; .arch aarch64 ; ldr x9, [x29, 16]);
    }

    fn write_general(&mut self, from: Role, offset: u32, bytes: u8) {
        let from = number(from);
        match bytes {
            1 => dynasm!(self.ops ; .arch aarch64 ; sturb W(from), [x9, offset as i32]),
            2 => dynasm!(self.ops ; .arch aarch64 ; sturh W(from), [x9, offset as i32]),
            4 => dynasm!(self.ops ; .arch aarch64 ; stur W(from), [x9, offset as i32]),
            _ => dynasm!(self.ops ; .arch aarch64 ; stur X(from), [x9, offset as i32]),
        }
    }

    fn write_vector(&mut self, from: u8, offset: u32, bytes: u8) {
        match bytes {
            4 => dynasm!(self.ops ; .arch aarch64 ; stur S(from), [x9, offset as i32]),
            8 => dynasm!(self.ops ; .arch aarch64 ; stur D(from), [x9, offset as i32]),
            _ => dynasm!(self.ops ; .arch aarch64 ; stur Q(from), [x9, offset as i32]),
        }
    }

    fn write_vector_pair(&mut self, first: u8, offset: u32) {
        dynasm!(self.ops ; .arch aarch64 ; stp D(first), D(first + 1), [x9, offset as i32]);
    }

    fn write_x87(&mut self, _offset: u32) {
        // There is no such register: no plan names one.
    }
}
