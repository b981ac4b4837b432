//! AArch64: the steps of a stub as instructions.
//!
//! | role | register |
//! |---|---|
//! | arguments | x0 .. x7, x8 (address of a result in memory), v0 .. v7 |
//! | slots, where they leave x0 | x17 |
//! | target; record of a closure | x16: with x17 the only ones whose jump `bti c` accepts |
//! | scratch | x9 |
//! | callee-saved, in map stubs | x19 .. x28 |
//! | addresses out of an instruction's reach; block copies | x9 .. x13 |
//!
//! The frame, where there is one:
//!
//! ```text
//!   x29 + 24    padding
//!   x29 + 16    address of the result, where the stub stores it
//!   x29 + 8     return address
//!   x29         caller's x29
//!               padding
//!   sp          arguments in memory and copies: the plan's area
//! ```

// What dynasm expands to converts register numbers that are `u8` already.
#![allow(clippy::useless_conversion)]

mod bridge;
mod map;
mod pointers;

use dynasmrt::aarch64::Aarch64Relocation;
use dynasmrt::{DynasmApi, DynasmLabelApi, VecAssembler, dynasm};

use crate::abi::{Part, Plan, Register, Width};
use crate::emit::{Assembler, Role};
use crate::error::{Error, Result};

/// Blocks of more bytes than this are copied by a loop.
const UNROLLED: u32 = 256;

/// The distance between two touches of the stack.
const PAGE: usize = 4096;

/// Loads and stores of register pairs reach this far.
const PAIR_REACH: u32 = 512;

/// The stack pointer's number, where an instruction means it and not the zero register.
const SP: u8 = 31;

/// Every unsigned immediate offset of every load and store reaches this far (one byte: 4095).
const REACH: u32 = 4080;

fn number(role: Role) -> u8 {
    match role {
        Role::Argument(number) => number,
        Role::Slots => 17,
        Role::Target => 16,
        Role::Scratch => 9,
        Role::Chain => 18,
        Role::Result(number) => number,
        Role::Saved(number) => 19 + number,
        Role::Frame => 29,
        Role::Stack => SP,
    }
}

pub(super) struct Emitter<'a> {
    code: &'a mut Vec<u8>,
    ops: VecAssembler<Aarch64Relocation>,
}

impl<'a> Emitter<'a> {
    pub(super) fn new(code: &'a mut Vec<u8>) -> Self {
        Emitter { code, ops: VecAssembler::new_with_capacity(0, 128, 0, 0, 0, 0, 0) }
    }

    /// Loads a constant of at most 32 bits.
    fn constant(&mut self, to: u8, value: u32) {
        dynasm!(self.ops ; .arch aarch64 ; movz X(to), value & 0xffff);
        if value > 0xffff {
            dynasm!(self.ops ; .arch aarch64 ; movk X(to), value >> 16, lsl 16);
        }
    }

    /// A base and offset that an instruction can reach, by way of x10 where it could not.
    fn within_reach(&mut self, base: u8, offset: u32) -> (u8, u32) {
        if offset <= REACH {
            return (base, offset);
        }
        self.constant(10, offset);
        dynasm!(self.ops ; .arch aarch64 ; add x10, X(base), x10);
        (10, 0)
    }

    /// A base and offset from which loads of register pairs reach `size` bytes, by way of `spare` where they could not.
    fn pairs_reach(&mut self, spare: u8, base: u8, offset: u32, size: u32) -> (u8, u32) {
        if offset + size <= PAIR_REACH {
            return (base, offset);
        }
        self.constant(spare, offset);
        dynasm!(self.ops ; .arch aarch64 ; add XSP(spare), XSP(base), X(spare), uxtx 0);
        (spare, 0)
    }

    /// Loads from a distance that is no multiple of the width: there the immediate has nine bits only.
    fn load_unaligned(&mut self, to: u8, base: u8, offset: u32, width: Width) {
        let (base, offset) = if offset < 256 {
            (base, offset as i32)
        } else {
            self.constant(10, offset);
            dynasm!(self.ops ; .arch aarch64 ; add x10, X(base), x10);
            (10, 0)
        };
        match width {
            Width::S1 | Width::U1 => unreachable!("every distance is a multiple of one byte"),
            Width::S2 => dynasm!(self.ops ; .arch aarch64 ; ldursh W(to), [X(base), offset]),
            Width::U2 => dynasm!(self.ops ; .arch aarch64 ; ldurh W(to), [X(base), offset]),
            Width::B4 => dynasm!(self.ops ; .arch aarch64 ; ldur W(to), [X(base), offset]),
            Width::B8 | Width::B16 | Width::B32 => dynasm!(self.ops ; .arch aarch64 ; ldur X(to), [X(base), offset]),
        }
    }

    fn copy_in_a_loop(&mut self, base: u8, offset: u32, at: u32, size: u32) {
        self.constant(11, offset);
        self.constant(12, at);
        self.constant(13, size / 8);
        dynasm!(self.ops
            ; .arch aarch64
            ; add x11, X(base), x11
            ; add XSP(12), sp, x12, uxtx 0
            ; copy:
            ; ldr x9, [x11], 8
            ; str x9, [x12], 8
            ; subs x13, x13, 1
            ; b.ne <copy
        );
    }
}

impl Assembler for Emitter<'_> {
    const JUMPS_THROUGH_ANY: bool = false;
    const INCOMING: u32 = 32; // the frame record, and its padding
    const RETURNS_ADDRESS: bool = false; // AAPCS64 6.9: x8 need not be preserved

    fn landing_pad(&mut self) {
        dynasm!(self.ops ; .arch aarch64 ; hint 34); // bti c
    }

    fn copy(&mut self, to: Role, from: Role) {
        dynasm!(self.ops ; .arch aarch64 ; mov X(number(to)), X(number(from)));
    }

    fn load(&mut self, to: Role, base: Role, offset: u32, width: Width) {
        let to = number(to);
        if !(offset as usize).is_multiple_of(width.bytes().min(8)) {
            return self.load_unaligned(to, number(base), offset, width);
        }
        let (base, offset) = self.within_reach(number(base), offset);
        match width {
            Width::S1 => dynasm!(self.ops ; .arch aarch64 ; ldrsb W(to), [X(base), offset]),
            Width::U1 => dynasm!(self.ops ; .arch aarch64 ; ldrb W(to), [X(base), offset]),
            Width::S2 => dynasm!(self.ops ; .arch aarch64 ; ldrsh W(to), [X(base), offset]),
            Width::U2 => dynasm!(self.ops ; .arch aarch64 ; ldrh W(to), [X(base), offset]),
            Width::B4 => dynasm!(self.ops ; .arch aarch64 ; ldr W(to), [X(base), offset]),
            Width::B8 | Width::B16 | Width::B32 => {
                dynasm!(self.ops ; .arch aarch64 ; ldr X(to), [X(base), offset]);
            }
        }
    }

    fn load_vector(&mut self, to: u8, base: Role, offset: u32, width: Width) {
        let (base, offset) = self.within_reach(number(base), offset);
        match width {
            // The vectors of a packed aggregate may be aligned to a slot only.
            Width::B16 | Width::B32 if !offset.is_multiple_of(16) => {
                dynasm!(self.ops ; .arch aarch64 ; add XSP(10), XSP(base), offset ; ldr Q(to), [x10]);
            }
            Width::B16 | Width::B32 => dynasm!(self.ops ; .arch aarch64 ; ldr Q(to), [X(base), offset]),
            Width::B8 => dynasm!(self.ops ; .arch aarch64 ; ldr D(to), [X(base), offset]),
            Width::B4 => dynasm!(self.ops ; .arch aarch64 ; ldr S(to), [X(base), offset]),
            _ => dynasm!(self.ops ; .arch aarch64 ; ldr H(to), [X(base), offset]),
        }
    }

    fn pairs(offset: u32, width: Width) -> bool {
        // Seven bits of signed immediate, in units of the width.
        let bytes = width.bytes() as u32;
        matches!(bytes, 4 | 8 | 16) && offset.is_multiple_of(bytes) && offset / bytes < 64
    }

    fn load_pair(&mut self, first: Register, base: Role, offset: u32, width: Width) {
        let (base, offset) = (number(base), offset as i32);
        match (first, width) {
            (Register::Gpr(n), Width::B4) => {
                dynasm!(self.ops ; .arch aarch64 ; ldp W(n), W(n + 1), [XSP(base), offset]);
            }
            (Register::Gpr(n), _) => dynasm!(self.ops ; .arch aarch64 ; ldp X(n), X(n + 1), [XSP(base), offset]),
            (Register::Fpr(n), Width::B4) => {
                dynasm!(self.ops ; .arch aarch64 ; ldp S(n), S(n + 1), [XSP(base), offset])
            }
            (Register::Fpr(n), Width::B8) => {
                dynasm!(self.ops ; .arch aarch64 ; ldp D(n), D(n + 1), [XSP(base), offset])
            }
            (Register::Fpr(n), _) => dynasm!(self.ops ; .arch aarch64 ; ldp Q(n), Q(n + 1), [XSP(base), offset]),
            (Register::X87(_), _) => {} // not on this machine
        }
    }

    fn open_frame(&mut self, keep_result: bool) {
        dynasm!(self.ops ; .arch aarch64 ; stp x29, x30, [sp, -32]! ; mov x29, sp);
        if keep_result {
            dynasm!(self.ops ; .arch aarch64 ; str x2, [sp, 16]);
        }
    }

    fn reserve(&mut self, area: usize, align: usize) {
        for _ in 0..area / PAGE {
            dynasm!(self.ops ; .arch aarch64 ; sub sp, sp, 1, lsl 12 ; str xzr, [sp]);
        }
        let rest = (area % PAGE) as u32;
        if rest > 0 {
            dynasm!(self.ops ; .arch aarch64 ; sub sp, sp, rest);
        }
        if align > 16 {
            dynasm!(self.ops ; .arch aarch64 ; mov x10, sp ; and sp, x10, !(align as u64 - 1));
        }
    }

    fn store(&mut self, from: Role, at: u32) {
        let from = number(from);
        if at <= REACH {
            dynasm!(self.ops ; .arch aarch64 ; str X(from), [sp, at]);
        } else {
            self.constant(10, at);
            dynasm!(self.ops ; .arch aarch64 ; add XSP(10), sp, x10, uxtx 0 ; str X(from), [x10]);
        }
    }

    fn store_vector(&mut self, from: u8, at: u32, width: Width) {
        let (base, at) = if at <= REACH && (at as usize).is_multiple_of(width.bytes()) {
            (SP, at)
        } else {
            self.constant(10, at);
            dynasm!(self.ops ; .arch aarch64 ; add XSP(10), sp, x10, uxtx 0);
            (10, 0)
        };
        match width {
            Width::B16 | Width::B32 => dynasm!(self.ops ; .arch aarch64 ; str Q(from), [XSP(base), at]),
            Width::B8 => dynasm!(self.ops ; .arch aarch64 ; str D(from), [XSP(base), at]),
            Width::B4 => dynasm!(self.ops ; .arch aarch64 ; str S(from), [XSP(base), at]),
            _ => dynasm!(self.ops ; .arch aarch64 ; str H(from), [XSP(base), at]),
        }
    }

    fn store_pair(&mut self, first: Register, at: u32, width: Width) {
        let at = at as i32;
        match (first, width) {
            (Register::Gpr(n), _) => dynasm!(self.ops ; .arch aarch64 ; stp X(n), X(n + 1), [sp, at]),
            (Register::Fpr(n), Width::B4) => dynasm!(self.ops ; .arch aarch64 ; stp S(n), S(n + 1), [sp, at]),
            (Register::Fpr(n), Width::B8) => dynasm!(self.ops ; .arch aarch64 ; stp D(n), D(n + 1), [sp, at]),
            (Register::Fpr(n), _) => dynasm!(self.ops ; .arch aarch64 ; stp Q(n), Q(n + 1), [sp, at]),
            (Register::X87(_), _) => {} // not on this machine
        }
    }

    fn leave_wide_vectors(&mut self) {
        // No register is wider than what all code uses.
    }

    fn save_preserved(&mut self, _at: u32) {
        // There is no other convention.
    }

    fn restore_preserved(&mut self, _at: u32) {
        // There is no other convention.
    }

    fn load_x87(&mut self, _at: u32) {
        // There is no such register: no plan names one.
    }

    fn address(&mut self, to: Role, at: u32) {
        let to = number(to);
        if at <= REACH {
            dynasm!(self.ops ; .arch aarch64 ; add XSP(to), sp, at);
        } else {
            self.constant(10, at);
            dynasm!(self.ops ; .arch aarch64 ; add XSP(to), sp, x10, uxtx 0);
        }
    }

    fn copy_block(&mut self, base: Role, offset: u32, at: u32, size: u32) {
        let base = number(base);
        if size > UNROLLED {
            self.copy_in_a_loop(base, offset, at, size);
            return;
        }
        let (base, offset) = self.pairs_reach(11, base, offset, size);
        let (stack, at) = self.pairs_reach(12, SP, at, size);
        for step in (0..size / 16 * 16).step_by(16) {
            let (from, to) = ((offset + step) as i32, (at + step) as i32);
            dynasm!(self.ops ; .arch aarch64 ; ldp x9, x10, [XSP(base), from] ; stp x9, x10, [XSP(stack), to]);
        }
        if !size.is_multiple_of(16) {
            let (from, to) = (offset + size - 8, at + size - 8);
            dynasm!(self.ops ; .arch aarch64 ; ldr x9, [XSP(base), from] ; str x9, [XSP(stack), to]);
        }
    }

    fn push_arguments(&mut self, _plan: &Plan, _base: Role) -> bool {
        false // there is no push
    }

    fn vector_count(&mut self, _count: u8) {
        // AAPCS64's variadic functions need no count.
    }

    fn call(&mut self, target: Role) {
        dynasm!(self.ops ; .arch aarch64 ; blr X(number(target)));
    }

    fn call_at(&mut self, base: Role, offset: u32) {
        self.load(Role::Target, base, offset, Width::B8);
        self.call(Role::Target);
    }

    fn jump(&mut self, target: Role) {
        dynasm!(self.ops ; .arch aarch64 ; br X(number(target)));
    }

    fn store_result(&mut self, parts: &mut dyn Iterator<Item = Part>) {
        dynasm!(self.ops ; .arch aarch64 ; ldr x9, [x29, 16]);
        for Part { offset, size, register } in parts {
            match (register, size) {
                (Register::Fpr(number), 16) => {
                    dynasm!(self.ops ; .arch aarch64 ; str Q(number), [x9, u32::from(offset)]);
                }
                other => unreachable!("only whole vectors are stored, not {other:?}"),
            }
        }
    }

    fn close_frame(&mut self) {
        dynasm!(self.ops ; .arch aarch64 ; mov sp, x29 ; ldp x29, x30, [sp], 32 ; ret);
    }

    fn finish(mut self) -> Result<()> {
        let code = self.ops.drain().map_err(|error| Error::unsupported(error.to_string()))?;
        self.code.extend(code);
        Ok(())
    }
}
