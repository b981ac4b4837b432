//! AArch64: the steps of a bridge stub as instructions.
//!
//! Until all guards have passed, the argument registers are the host's; x9 to x17 and the vector registers are free.
//! The frame of a bridge stub:
//!
//! ```text
//!   x29 + 24    record          unless neither is kept
//!   x29 + 16    context
//!   x29 + 8     return address
//!   x29         caller's x29
//!               converted arguments
//!   sp          arguments in memory: the plan's area
//! ```

use dynasmrt::{DynamicLabel, DynasmApi, DynasmLabelApi, dynasm};

use super::{Emitter, number};
use crate::abi::Width;
use crate::emit::bridge::{BridgeAssembler, DOUBLE_EXACT, INTEGER_EXACT, Kept};
use crate::emit::{Assembler, Role};

/// The system register that the thread pointer is in (sysvabi64, "Thread-local storage"), TPIDR_EL0: op0 less 2, op1, CRn,
/// CRm and op2 are 1, 3, 13, 0 and 2.
const TPIDR_EL0: u32 = 1 << 14 | 3 << 11 | 13 << 7 | 2;

/// Unsigned immediate offsets of four bytes reach this far.
const INT_REACH: i32 = 16380;

impl Emitter<'_> {
    /// Has x10 point `offset` bytes from the thread pointer, less what it returns.
    fn thread(&mut self, offset: i32) -> u32 {
        dynasm!(self.ops ; .arch aarch64 ; mrs x10, TPIDR_EL0);
        if (0..=INT_REACH).contains(&offset) && offset % 4 == 0 {
            return offset as u32;
        }
        self.load_constant(Role::Scratch, i64::from(offset) as u64);
        dynasm!(self.ops ; .arch aarch64 ; add x10, x10, x9);
        0
    }

    /// Loads what a branch compares into x11: fewer than four bytes extended to as many, four zero-extended, or eight.
    fn load_compared(&mut self, base: Role, offset: u32, width: Width) {
        let (base, offset) = self.within_reach(number(base), offset);
        match width {
            Width::S1 => dynasm!(self.ops ; .arch aarch64 ; ldrsb w11, [X(base), offset]),
            Width::U1 => dynasm!(self.ops ; .arch aarch64 ; ldrb w11, [X(base), offset]),
            Width::S2 => dynasm!(self.ops ; .arch aarch64 ; ldrsh w11, [X(base), offset]),
            Width::B4 => dynasm!(self.ops ; .arch aarch64 ; ldr w11, [X(base), offset]),
            _ => dynasm!(self.ops ; .arch aarch64 ; ldr x11, [X(base), offset]),
        }
    }
}

impl BridgeAssembler for Emitter<'_> {
    const SCRATCH_VECTOR: u8 = 16;

    fn label(&mut self) -> DynamicLabel {
        self.ops.new_dynamic_label()
    }

    fn bind(&mut self, label: DynamicLabel) {
        dynasm!(self.ops ; .arch aarch64 ; =>label);
    }

    fn jump_to(&mut self, label: DynamicLabel) {
        dynasm!(self.ops ; .arch aarch64 ; b =>label);
    }

    fn load_constant(&mut self, to: Role, value: u64) {
        let to = number(to);
        let part = |index: u32| (value >> (16 * index)) as u32 & 0xffff;
        if value == 0 {
            dynasm!(self.ops ; .arch aarch64 ; mov X(to), xzr);
        } else if !value <= 0xffff {
            dynasm!(self.ops ; .arch aarch64 ; movn X(to), !value as u32);
        } else {
            let first = value.trailing_zeros() / 16;
            dynasm!(self.ops ; .arch aarch64 ; movz X(to), part(first), lsl 16 * first);
            for index in (first + 1..4).filter(|index| part(*index) != 0) {
                dynasm!(self.ops ; .arch aarch64 ; movk X(to), part(index), lsl 16 * index);
            }
        }
    }

    fn keep(&mut self, context: Role, record: Role) {
        dynasm!(self.ops ; .arch aarch64 ; stp X(number(context)), X(number(record)), [sp, 16]);
    }

    fn load_kept(&mut self, to: Role, kept: Kept) {
        let offset = match kept {
            Kept::Context => 16,
            Kept::Record => 24,
        };
        dynasm!(self.ops ; .arch aarch64 ; ldr X(number(to)), [x29, offset]);
    }

    fn leave_frame(&mut self) {
        dynasm!(self.ops ; .arch aarch64 ; mov sp, x29 ; ldp x29, x30, [sp], 32);
    }

    fn load_thread(&mut self, to: Role, offset: i32) {
        let offset = self.thread(offset);
        dynasm!(self.ops ; .arch aarch64 ; ldr W(number(to)), [x10, offset]);
    }

    fn store_thread(&mut self, from: Role, offset: i32) {
        let offset = self.thread(offset);
        dynasm!(self.ops ; .arch aarch64 ; str W(number(from)), [x10, offset]);
    }

    fn branch_unless_thread(&mut self, register: Role, label: DynamicLabel) {
        dynasm!(self.ops ; .arch aarch64 ; mrs x10, TPIDR_EL0 ; cmp X(number(register)), x10 ; b.ne =>label);
    }

    fn store_int(&mut self, from: Role, base: Role, offset: u32) {
        dynasm!(self.ops ; .arch aarch64 ; str W(number(from)), [X(number(base)), offset]);
    }

    fn count(&mut self, base: Role, offset: u32, by: i8) {
        let base = number(base);
        dynasm!(self.ops ; .arch aarch64 ; ldr w10, [X(base), offset]);
        match by {
            1 => dynasm!(self.ops ; .arch aarch64 ; add w10, w10, 1),
            _ => dynasm!(self.ops ; .arch aarch64 ; sub w10, w10, 1),
        }
        dynasm!(self.ops ; .arch aarch64 ; str w10, [X(base), offset]);
    }

    fn load_signed(&mut self, to: Role, base: Role, offset: u32, width: Width) {
        let (base, offset) = self.within_reach(number(base), offset);
        match width {
            Width::S2 => dynasm!(self.ops ; .arch aarch64 ; ldrsh X(number(to)), [X(base), offset]),
            _ => dynasm!(self.ops ; .arch aarch64 ; ldrsw X(number(to)), [X(base), offset]),
        }
    }

    fn load_address(&mut self, to: Role, base: Role, offset: u32) {
        let (base, offset) = self.within_reach(number(base), offset);
        dynasm!(self.ops ; .arch aarch64 ; add XSP(number(to)), XSP(base), offset);
    }

    fn branch_unless_equal(&mut self, base: Role, offset: u32, width: Width, value: i32, label: DynamicLabel) {
        self.load_compared(base, offset, width);
        match value {
            0 => {
                dynasm!(self.ops ; .arch aarch64 ; cbnz w11, =>label);
                return;
            }
            1..=4095 => dynasm!(self.ops ; .arch aarch64 ; cmp w11, value as u32),
            -4095..0 => dynasm!(self.ops ; .arch aarch64 ; cmn w11, value.unsigned_abs()),
            _ => {
                self.load_constant(Role::Scratch, u64::from(value as u32));
                dynasm!(self.ops ; .arch aarch64 ; cmp w11, w9);
            }
        }
        dynasm!(self.ops ; .arch aarch64 ; b.ne =>label);
    }

    fn branch_if_negative(&mut self, base: Role, offset: u32, width: Width, label: DynamicLabel) {
        self.load_compared(base, offset, width);
        match width {
            Width::S1 | Width::S2 | Width::B4 => dynasm!(self.ops ; .arch aarch64 ; tbnz w11, 31, =>label),
            _ => dynasm!(self.ops ; .arch aarch64 ; tbnz x11, 63, =>label),
        }
    }

    fn branch_if_above_one(&mut self, base: Role, offset: u32, width: Width, label: DynamicLabel) {
        self.load_compared(base, offset, width);
        dynasm!(self.ops ; .arch aarch64 ; cmp x11, 1 ; b.hi =>label);
    }

    fn branch_unless_fits(
        &mut self,
        base: Role,
        offset: u32,
        from: Width,
        (bytes, signed): (u8, bool),
        label: DynamicLabel,
    ) {
        self.load_compared(base, offset, from);
        match (bytes, signed) {
            (1, true) => dynasm!(self.ops ; .arch aarch64 ; sxtb x9, w11),
            (1, false) => dynasm!(self.ops ; .arch aarch64 ; and x9, x11, 0xff),
            (2, true) => dynasm!(self.ops ; .arch aarch64 ; sxth x9, w11),
            (2, false) => dynasm!(self.ops ; .arch aarch64 ; and x9, x11, 0xffff),
            (_, true) => dynasm!(self.ops ; .arch aarch64 ; sxtw x9, w11),
            (_, false) => dynasm!(self.ops ; .arch aarch64 ; mov w9, w11),
        }
        match from {
            Width::S2 | Width::B4 => dynasm!(self.ops ; .arch aarch64 ; cmp w9, w11),
            _ => dynasm!(self.ops ; .arch aarch64 ; cmp x9, x11),
        }
        dynasm!(self.ops ; .arch aarch64 ; b.ne =>label);
    }

    fn branch_if_zero(&mut self, register: Role, label: DynamicLabel) {
        dynasm!(self.ops ; .arch aarch64 ; cbz X(number(register)), =>label);
    }

    fn load_integral(&mut self, base: Role, offset: u32, bounded: bool, label: DynamicLabel) {
        self.load_vector(Self::SCRATCH_VECTOR, base, offset, Width::B8);
        if bounded {
            // Without their signs, doubles are in the order of their bits; infinities and NaNs are above all others.
            self.load_constant(Role::Scratch, DOUBLE_EXACT);
            dynasm!(self.ops ; .arch aarch64 ; fabs d17, d16 ; fmov x11, d17 ; cmp x11, x9 ; b.hi =>label);
        }
        // What is out of range becomes the nearest that is in it, which no narrower type has; NaN becomes 0, and is unequal.
        dynasm!(self.ops
            ; .arch aarch64
            ; fcvtzs x9, d16
            ; scvtf d17, x9
            ; fcmp d17, d16
            ; b.ne =>label
        );
    }

    fn load_rounded(&mut self, to: u8, base: Role, offset: u32) {
        self.load_vector(to, base, offset, Width::B8);
        dynasm!(self.ops ; .arch aarch64 ; fcvt S(to), D(to));
    }

    fn load_widened(&mut self, to: u8, base: Role, offset: u32) {
        self.load_vector(to, base, offset, Width::B4);
        dynasm!(self.ops ; .arch aarch64 ; fcvt D(to), S(to));
    }

    fn convert_int(&mut self, to: u8, from: Role, width: Width) {
        let from = number(from);
        match width {
            Width::B4 => dynasm!(self.ops ; .arch aarch64 ; scvtf S(to), W(from)),
            _ => dynasm!(self.ops ; .arch aarch64 ; scvtf D(to), W(from)),
        }
    }

    fn load_exact_long(&mut self, to: u8, base: Role, offset: u32, label: DynamicLabel) {
        self.load_compared(base, offset, Width::B8);
        self.load_constant(Role::Scratch, INTEGER_EXACT);
        // -2^53 to 2^53, moved to 0 to 2^54.
        dynasm!(self.ops
            ; .arch aarch64
            ; scvtf D(to), x11
            ; add x11, x11, x9
            ; cmp x11, x9, lsl 1
            ; b.hi =>label
        );
    }

    fn load_converted(&mut self, to: u8, base: Role, offset: u32) {
        self.load_compared(base, offset, Width::B4);
        dynasm!(self.ops ; .arch aarch64 ; scvtf D(to), w11);
    }

    fn load_exact(&mut self, to: u8, base: Role, offset: u32, label: DynamicLabel) {
        // Eight bytes wide, so that 2^31 is not what 2^31 - 1 was.
        self.load_signed(Role::Scratch, base, offset, Width::B4);
        dynasm!(self.ops
            ; .arch aarch64
            ; scvtf S(to), x9
            ; fcvtzs x11, S(to)
            ; cmp x9, x11
            ; b.ne =>label
        );
    }

    fn extend_int(&mut self, register: Role, width: Width) {
        let register = number(register);
        match width {
            Width::S1 => dynasm!(self.ops ; .arch aarch64 ; sxtb W(register), W(register)),
            Width::U1 => dynasm!(self.ops ; .arch aarch64 ; uxtb W(register), W(register)),
            Width::S2 => dynasm!(self.ops ; .arch aarch64 ; sxth W(register), W(register)),
            Width::U2 => dynasm!(self.ops ; .arch aarch64 ; uxth W(register), W(register)),
            Width::B4 => dynasm!(self.ops ; .arch aarch64 ; mov W(register), W(register)),
            Width::B8 | Width::B16 | Width::B32 => {}
        }
    }

    fn extend_long(&mut self, to: Role, from: Role, width: Width, signed: bool) {
        let (to, from) = (number(to), number(from));
        match width {
            Width::S1 => dynasm!(self.ops ; .arch aarch64 ; sxtb X(to), W(from)),
            Width::U1 => dynasm!(self.ops ; .arch aarch64 ; uxtb W(to), W(from)),
            Width::S2 => dynasm!(self.ops ; .arch aarch64 ; sxth X(to), W(from)),
            Width::U2 => dynasm!(self.ops ; .arch aarch64 ; uxth W(to), W(from)),
            Width::B4 if signed => dynasm!(self.ops ; .arch aarch64 ; sxtw X(to), W(from)),
            Width::B4 => dynasm!(self.ops ; .arch aarch64 ; mov W(to), W(from)),
            _ if to == from => {}
            _ => dynasm!(self.ops ; .arch aarch64 ; mov X(to), X(from)),
        }
    }

    fn branch_unless_int(&mut self, register: Role, signed: bool, label: DynamicLabel) {
        let register = number(register);
        if signed {
            dynasm!(self.ops ; .arch aarch64 ; sxtw x9, W(register) ; cmp x9, X(register) ; b.ne =>label);
        } else {
            dynasm!(self.ops ; .arch aarch64 ; lsr x9, X(register), 31 ; cbnz x9, =>label);
        }
    }

    fn branch_unless_exact(&mut self, register: Role, signed: bool, label: DynamicLabel) {
        let register = number(register);
        if signed {
            // -2^53 to 2^53, moved to 0 to 2^54.
            self.load_constant(Role::Target, INTEGER_EXACT);
            self.load_constant(Role::Slots, 2 * INTEGER_EXACT);
            dynasm!(self.ops ; .arch aarch64 ; add x16, x16, X(register) ; cmp x16, x17 ; b.hi =>label);
        } else {
            self.load_constant(Role::Target, INTEGER_EXACT);
            dynasm!(self.ops ; .arch aarch64 ; cmp X(register), x16 ; b.hi =>label);
        }
    }

    fn integer_to_double(&mut self, register: Role) {
        let register = number(register);
        dynasm!(self.ops ; .arch aarch64 ; scvtf d0, X(register) ; fmov X(register), d0);
    }

    fn widen_vector(&mut self) {
        dynasm!(self.ops ; .arch aarch64 ; fcvt d0, s0);
    }

    fn vector_bits(&mut self, to: Role) {
        dynasm!(self.ops ; .arch aarch64 ; fmov X(number(to)), d0);
    }
}
