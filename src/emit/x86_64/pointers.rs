//! x86_64: the steps of stubs over pointers as instructions.
//!
//! The static chain is r10 (psABI 3.2.1). The frame of a call stub:
//!
//! ```text
//!   rbp + 8     return address
//!   rbp         caller's rbp
//!   rbp - 8     address of the result
//!   rbp - 16    static chain
//!               padding
//!   rsp         arguments in memory and copies: the plan's area
//! ```

use dynasmrt::{DynasmApi, dynasm};

use super::{Emitter, RCX, number};
use crate::abi::Width;
use crate::emit::Role;
use crate::emit::pointers::PointersAssembler;

impl PointersAssembler for Emitter<'_> {
    fn keep(&mut self, result: Role, chain: Role) {
        dynasm!(self.ops ; .arch x64 ; push Rq(number(result)) ; push Rq(number(chain)));
    }

    fn restore_chain(&mut self) {
        dynasm!(self.ops ; .arch x64 ; mov Rq(number(Role::Chain)), [rbp - 16]);
    }

    fn or_shifted(&mut self, to: Role, from: Role, shift: u8) {
        let (to, from) = (number(to), number(from));
        dynasm!(self.ops ; .arch x64 ; shl Rq(from), BYTE shift as i8 ; or Rq(to), Rq(from));
    }

    fn shift_right(&mut self, register: Role, shift: u8) {
        dynasm!(self.ops ; .arch x64 ; shr Rq(number(register)), BYTE shift as i8);
    }

    fn extend(&mut self, register: Role, width: Width, signed: bool) {
        let register = number(register);
        match width {
            Width::S1 => dynasm!(self.ops ; .arch x64 ; movsx Rq(register), Rb(register)),
            Width::U1 => dynasm!(self.ops ; .arch x64 ; movzx Rd(register), Rb(register)),
            Width::S2 => dynasm!(self.ops ; .arch x64 ; movsx Rq(register), Rw(register)),
            Width::U2 => dynasm!(self.ops ; .arch x64 ; movzx Rd(register), Rw(register)),
            Width::B4 if signed => dynasm!(self.ops ; .arch x64 ; movsxd Rq(register), Rd(register)),
            Width::B4 => dynasm!(self.ops ; .arch x64 ; mov Rd(register), Rd(register)),
            Width::B8 | Width::B16 | Width::B32 => {}
        }
    }

    fn take_result_address(&mut self) {
        dynasm!(self.ops ; .arch x64 ; mov Rq(RCX), [rbp - 8]);
    }

    fn write_general(&mut self, from: Role, offset: u32, bytes: u8) {
        let (from, offset) = (number(from), offset as i32);
        match bytes {
            1 => with_memory!(self, [mov], RCX, offset, [, Rb(from)]),
            2 => with_memory!(self, [mov], RCX, offset, [, Rw(from)]),
            4 => with_memory!(self, [mov], RCX, offset, [, Rd(from)]),
            _ => with_memory!(self, [mov], RCX, offset, [, Rq(from)]),
        }
    }

    fn write_vector(&mut self, from: u8, offset: u32, bytes: u8) {
        let offset = offset as i32;
        match bytes {
            4 => with_memory!(self, [movss], RCX, offset, [, Rx(from)]),
            8 => with_memory!(self, [movsd], RCX, offset, [, Rx(from)]),
            16 => with_memory!(self, [movups], RCX, offset, [, Rx(from)]),
            _ => {
                with_memory!(self, [vmovups], RCX, offset, [, Ry(from)]);
                dynasm!(self.ops ; .arch x64 ; vzeroupper);
            }
        }
    }

    fn write_vector_pair(&mut self, first: u8, offset: u32) {
        dynasm!(self.ops ; .arch x64 ; unpcklpd Rx(first), Rx(first + 1));
        with_memory!(self, [movups], RCX, offset as i32, [, Rx(first)]);
    }

    fn write_x87(&mut self, offset: u32) {
        with_memory!(self, [fstp TWORD], RCX, offset as i32, []);
    }
}
