//! x86_64: the steps of a stub as instructions.
//!
//! | role | register |
//! |---|---|
//! | arguments | rdi rsi rdx rcx r8 r9, xmm0 .. xmm7 |
//! | slots, where they leave rdi | r10 |
//! | target, where it leaves rsi; record of a closure | r11 |
//! | scratch; AL for variadic functions | rax |
//! | callee-saved, in map stubs | rbx r12 r13 r14 r15 |
//!
//! The frame, where there is one:
//!
//! ```text
//!   rbp + 8     return address
//!   rbp         caller's rbp
//!   rbp - 8     address of the result, where the stub stores it, and
//!   rbp - 16    once more
//!               padding
//!   rsp         arguments in memory and copies: the plan's area
//! ```

// What dynasm expands to converts register numbers that are `u8` already.
#![allow(clippy::useless_conversion)]

use dynasmrt::x64::X64Relocation;
use dynasmrt::{DynasmApi, VecAssembler, dynasm};

use crate::abi::{Part, Place, Plan, Register, Source, Width};
use crate::emit::{Assembler, Role};
use crate::error::{Error, Result};

/// Argument registers by their numbers in instructions: rdi rsi rdx rcx r8 r9.
const ARGUMENTS: [u8; 6] = [7, 6, 2, 1, 8, 9];

/// Callee-saved registers: rbx r12 r13 r14 r15.
const SAVED: [u8; 5] = [3, 12, 13, 14, 15];

/// General result registers: rax rdx.
const RESULTS: [u8; 2] = [0, 2];

/// Blocks of more bytes than this are copied by `rep movsq`, whose start costs about as much as 16 copies.
const UNROLLED: u32 = 256;

/// Areas of more words than this are filled by stores; below, by pushes, one instruction a word.
const PUSHED: usize = 32;

/// The distance between two touches of the stack: a guard page is at least that large.
const PAGE: usize = 4096;

/// One instruction with a memory operand, its displacement in as few bytes as hold it.
macro_rules! with_memory {
    ($self:ident, [$($before:tt)*], $base:expr, $offset:expr, [$($after:tt)*]) => {{
        let (base, offset): (u8, i32) = ($base, $offset);
        match i8::try_from(offset) {
            Ok(0) => dynasm!($self.ops ; .arch x64 ; $($before)* [Rq(base)] $($after)*),
            Ok(short) => dynasm!($self.ops ; .arch x64 ; $($before)* [BYTE Rq(base) + short] $($after)*),
            Err(_) => dynasm!($self.ops ; .arch x64 ; $($before)* [DWORD Rq(base) + offset] $($after)*),
        }
    }};
}

mod bridge;
mod map;
mod pointers;

/// Numbers of the registers that have no role: rcx, free after the call, and the stack pointer.
const RCX: u8 = 1;
const RSP: u8 = 4;

fn number(role: Role) -> u8 {
    match role {
        Role::Argument(number) => ARGUMENTS[usize::from(number)],
        Role::Slots => 10,
        Role::Target => 11,
        Role::Scratch => 0,
        Role::Chain => 10,
        Role::Result(number) => RESULTS[usize::from(number)],
        Role::Saved(number) => SAVED[usize::from(number)],
        Role::Frame => 5,
        Role::Stack => RSP,
    }
}

pub(super) struct Emitter<'a> {
    code: &'a mut Vec<u8>,
    ops: VecAssembler<X64Relocation>,
}

impl<'a> Emitter<'a> {
    pub(super) fn new(code: &'a mut Vec<u8>) -> Self {
        Emitter { code, ops: VecAssembler::new_with_capacity(0, 128, 0, 0, 0, 0, 0) }
    }

    fn lower_stack(&mut self, bytes: i32) {
        match bytes {
            0 => {}
            1..128 => dynasm!(self.ops ; .arch x64 ; sub rsp, BYTE bytes as i8),
            _ => dynasm!(self.ops ; .arch x64 ; sub rsp, DWORD bytes),
        }
    }
}

impl Assembler for Emitter<'_> {
    const JUMPS_THROUGH_ANY: bool = true;
    const INCOMING: u32 = 16; // the caller's rbp, the return address
    const RETURNS_ADDRESS: bool = true; // psABI 3.2.3, "Returning" 2: in rax

    fn landing_pad(&mut self) {
        // endbr64, which dynasm has no name for.
        dynasm!(self.ops ; .arch x64 ; .bytes [0xf3, 0x0f, 0x1e, 0xfa]);
    }

    fn copy(&mut self, to: Role, from: Role) {
        dynasm!(self.ops ; .arch x64 ; mov Rq(number(to)), Rq(number(from)));
    }

    fn load(&mut self, to: Role, base: Role, offset: u32, width: Width) {
        let (to, base, offset) = (number(to), number(base), offset as i32);
        match width {
            Width::S1 => with_memory!(self, [movsx Rd(to), BYTE], base, offset, []),
            Width::U1 => with_memory!(self, [movzx Rd(to), BYTE], base, offset, []),
            Width::S2 => with_memory!(self, [movsx Rd(to), WORD], base, offset, []),
            Width::U2 => with_memory!(self, [movzx Rd(to), WORD], base, offset, []),
            Width::B4 => with_memory!(self, [mov Rd(to),], base, offset, []),
            Width::B8 | Width::B16 | Width::B32 => {
                with_memory!(self, [mov Rq(to),], base, offset, []);
            }
        }
    }

    fn load_vector(&mut self, to: u8, base: Role, offset: u32, width: Width) {
        let (base, offset) = (number(base), offset as i32);
        match width {
            Width::B32 => with_memory!(self, [vmovups Ry(to),], base, offset, []),
            Width::B16 => with_memory!(self, [movups Rx(to),], base, offset, []),
            Width::B8 => with_memory!(self, [movsd Rx(to),], base, offset, []),
            _ => with_memory!(self, [movss Rx(to),], base, offset, []),
        }
    }

    fn pairs(_offset: u32, _width: Width) -> bool {
        false
    }

    fn load_pair(&mut self, _first: Register, _base: Role, _offset: u32, _width: Width) {
        // There is no such instruction, as `pairs` says.
    }

    fn open_frame(&mut self, keep_result: bool) {
        dynasm!(self.ops ; .arch x64 ; push rbp ; mov rbp, rsp);
        if keep_result {
            // Twice, so that the stack stays aligned.
            dynasm!(self.ops ; .arch x64 ; push rdx ; push rdx);
        }
    }

    fn reserve(&mut self, area: usize, align: usize) {
        for _ in 0..area / PAGE {
            dynasm!(self.ops ; .arch x64 ; sub rsp, PAGE as i32 ; test [rsp], rsp);
        }
        self.lower_stack((area % PAGE) as i32);
        match -(align as i32) {
            -16 => {} // as it is
            mask @ -128..=-1 => dynasm!(self.ops ; .arch x64 ; and rsp, BYTE mask as i8),
            mask => dynasm!(self.ops ; .arch x64 ; and rsp, DWORD mask),
        }
    }

    fn store(&mut self, from: Role, at: u32) {
        with_memory!(self, [mov], RSP, at as i32, [, Rq(number(from))]);
    }

    fn store_vector(&mut self, from: u8, at: u32, width: Width) {
        let at = at as i32;
        match width {
            Width::B32 => with_memory!(self, [vmovups], RSP, at, [, Ry(from)]),
            Width::B16 => with_memory!(self, [movups], RSP, at, [, Rx(from)]),
            _ => with_memory!(self, [movsd], RSP, at, [, Rx(from)]),
        }
    }

    fn store_pair(&mut self, _first: Register, _at: u32, _width: Width) {
        // There is no such instruction, as `pairs` says.
    }

    fn leave_wide_vectors(&mut self) {
        dynasm!(self.ops ; .arch x64 ; vzeroupper);
    }

    fn save_preserved(&mut self, at: u32) {
        let at = at as i32;
        with_memory!(self, [mov], RSP, at, [, rdi]);
        with_memory!(self, [mov], RSP, at + 8, [, rsi]);
        for (place, register) in (6..16).enumerate() {
            with_memory!(self, [movaps], RSP, at + 16 * (1 + place as i32), [, Rx(register)]);
        }
    }

    fn restore_preserved(&mut self, at: u32) {
        let at = at as i32;
        with_memory!(self, [mov rdi,], RSP, at, []);
        with_memory!(self, [mov rsi,], RSP, at + 8, []);
        for (place, register) in (6..16).enumerate() {
            with_memory!(self, [movaps Rx(register),], RSP, at + 16 * (1 + place as i32), []);
        }
    }

    fn load_x87(&mut self, at: u32) {
        with_memory!(self, [fld TWORD], RSP, at as i32, []);
    }

    fn address(&mut self, to: Role, at: u32) {
        match at {
            0 => dynasm!(self.ops ; .arch x64 ; mov Rq(number(to)), rsp),
            at => with_memory!(self, [lea Rq(number(to)),], RSP, at as i32, []),
        }
    }

    fn copy_block(&mut self, base: Role, offset: u32, at: u32, size: u32) {
        let base = number(base);
        if size > UNROLLED {
            dynasm!(self.ops
                ; .arch x64
                ; lea rsi, [Rq(base) + offset as i32]
                ; lea rdi, [rsp + at as i32]
                ; mov ecx, (size / 8) as i32
                ; rep movsq
            );
            return;
        }
        let pairs = size / 16;
        for pair in 0..pairs {
            let (from, to) = ((offset + 16 * pair) as i32, (at + 16 * pair) as i32);
            with_memory!(self, [movups xmm0,], base, from, []);
            with_memory!(self, [movups], RSP, to, [, xmm0]);
        }
        if !size.is_multiple_of(16) {
            let (from, to) = ((offset + 16 * pairs) as i32, (at + 16 * pairs) as i32);
            with_memory!(self, [mov rax,], base, from, []);
            with_memory!(self, [mov], RSP, to, [, rax]);
        }
    }

    fn push_arguments(&mut self, plan: &Plan, base: Role) -> bool {
        let words = plan.area() / 8;
        if words > PUSHED || plan.align > 16 || !plan.blocks.is_empty() || plan.copies > 0 {
            return false;
        }
        let mut filled = words; // words from here up are pushed
        for value in plan.moves.iter().rev() {
            let (Place::Stack(at), Source::Slot(offset)) = (value.place, value.source) else { continue };
            let gap = filled - (at as usize / 8 + 1);
            self.lower_stack(8 * gap as i32);
            if value.width.bytes() < 4 {
                self.load(Role::Scratch, base, offset, value.width);
                dynasm!(self.ops ; .arch x64 ; push rax);
            } else {
                with_memory!(self, [push QWORD], number(base), offset as i32, []);
            }
            filled = at as usize / 8;
        }
        // What is below the first of them: the shadow space of Windows' convention.
        self.lower_stack(8 * filled as i32);
        true
    }

    fn vector_count(&mut self, count: u8) {
        dynasm!(self.ops ; .arch x64 ; mov eax, i32::from(count));
    }

    fn call(&mut self, target: Role) {
        dynasm!(self.ops ; .arch x64 ; call Rq(number(target)));
    }

    fn call_at(&mut self, base: Role, offset: u32) {
        with_memory!(self, [call QWORD], number(base), offset as i32, []);
    }

    fn jump(&mut self, target: Role) {
        dynasm!(self.ops ; .arch x64 ; jmp Rq(number(target)));
    }

    fn store_result(&mut self, parts: &mut dyn Iterator<Item = Part>) {
        dynasm!(self.ops ; .arch x64 ; mov rcx, [rbp - 8]);
        for Part { offset, size, register } in parts {
            let offset = i32::from(offset);
            match (register, size) {
                (Register::X87(_), _) => with_memory!(self, [fstp TWORD], RCX, offset, []),
                (Register::Fpr(number), 32) => {
                    with_memory!(self, [vmovups], RCX, offset, [, Ry(number)]);
                    dynasm!(self.ops ; .arch x64 ; vzeroupper);
                }
                (Register::Fpr(number), 16) => with_memory!(self, [movups], RCX, offset, [, Rx(number)]),
                other => unreachable!("only whole vectors and x87 values are stored, not {other:?}"),
            }
        }
    }

    fn close_frame(&mut self) {
        dynasm!(self.ops ; .arch x64 ; leave ; ret);
    }

    fn finish(mut self) -> Result<()> {
        let code = self.ops.drain().map_err(|error| Error::unsupported(error.to_string()))?;
        self.code.extend(code);
        Ok(())
    }
}
