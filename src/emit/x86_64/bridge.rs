//! x86_64: the steps of a bridge stub as instructions.
//!
//! Until all guards have passed, the argument registers are the host's; rax, r10, r11 and the vector registers are free.
//! Below the frame pointer of a bridge stub:
//!
//! ```text
//!   rbp - 8     context         unless neither is kept
//!   rbp - 16    record
//!               converted arguments
//!   rsp         arguments in memory: the plan's area
//! ```

use dynasmrt::{DynamicLabel, DynasmApi, DynasmLabelApi, dynasm};

use super::{Emitter, number};
use crate::abi::Width;
use crate::emit::Role;
use crate::emit::bridge::{BridgeAssembler, DOUBLE_EXACT, INTEGER_EXACT, Kept};

/// Moves between a general register and memory at a fixed distance from the thread pointer, at `fs:0` (psABI 3.4.2). dynasm
/// has no name for a displacement without a base: a SIB byte that names neither base nor index.
const FS: u8 = 0x64;
const NEITHER: u8 = 0x25;

impl Emitter<'_> {
    fn thread(&mut self, opcode: u8, register: Role, offset: i32) {
        let register = number(register);
        dynasm!(self.ops ; .arch x64 ; .bytes [FS]);
        if register >= 8 {
            dynasm!(self.ops ; .arch x64 ; .bytes [0x44]); // REX.R
        }
        dynasm!(self.ops ; .arch x64 ; .bytes [opcode, 0x04 | (register & 7) << 3, NEITHER] ; .i32 offset);
    }
}

impl BridgeAssembler for Emitter<'_> {
    const SCRATCH_VECTOR: u8 = 15;

    fn label(&mut self) -> DynamicLabel {
        self.ops.new_dynamic_label()
    }

    fn bind(&mut self, label: DynamicLabel) {
        dynasm!(self.ops ; .arch x64 ; =>label);
    }

    fn jump_to(&mut self, label: DynamicLabel) {
        dynasm!(self.ops ; .arch x64 ; jmp =>label);
    }

    fn load_constant(&mut self, to: Role, value: u64) {
        let to = number(to);
        match (u32::try_from(value), i32::try_from(value as i64)) {
            (Ok(0), _) => dynasm!(self.ops ; .arch x64 ; xor Rd(to), Rd(to)),
            (Ok(value), _) => dynasm!(self.ops ; .arch x64 ; mov Rd(to), DWORD value as i32),
            (_, Ok(value)) => dynasm!(self.ops ; .arch x64 ; mov Rq(to), DWORD value),
            _ => dynasm!(self.ops ; .arch x64 ; mov Rq(to), QWORD value as i64),
        }
    }

    fn keep(&mut self, context: Role, record: Role) {
        dynasm!(self.ops ; .arch x64 ; push Rq(number(context)) ; push Rq(number(record)));
    }

    fn load_kept(&mut self, to: Role, kept: Kept) {
        let offset = match kept {
            Kept::Context => -8,
            Kept::Record => -16,
        };
        with_memory!(self, [mov Rq(number(to)),], number(Role::Frame), offset, []);
    }

    fn leave_frame(&mut self) {
        dynasm!(self.ops ; .arch x64 ; leave);
    }

    fn load_thread(&mut self, to: Role, offset: i32) {
        self.thread(0x8b, to, offset);
    }

    fn store_thread(&mut self, from: Role, offset: i32) {
        self.thread(0x89, from, offset);
    }

    fn branch_unless_thread(&mut self, register: Role, label: DynamicLabel) {
        // The word at fs:0 is the thread pointer itself (psABI 3.4.2).
        let register = number(register);
        let (rex, modrm) = (0x48 | (register >> 3) << 2, 0x04 | (register & 7) << 3);
        dynasm!(self.ops ; .arch x64 ; .bytes [FS, rex, 0x3b, modrm, NEITHER] ; .i32 0 ; jne =>label);
    }

    fn store_int(&mut self, from: Role, base: Role, offset: u32) {
        with_memory!(self, [mov], number(base), offset as i32, [, Rd(number(from))]);
    }

    fn count(&mut self, base: Role, offset: u32, by: i8) {
        with_memory!(self, [add DWORD], number(base), offset as i32, [, by.into()]);
    }

    fn load_signed(&mut self, to: Role, base: Role, offset: u32, width: Width) {
        let (to, base, offset) = (number(to), number(base), offset as i32);
        match width {
            Width::S2 => with_memory!(self, [movsx Rq(to), WORD], base, offset, []),
            _ => with_memory!(self, [movsxd Rq(to), DWORD], base, offset, []),
        }
    }

    fn load_address(&mut self, to: Role, base: Role, offset: u32) {
        with_memory!(self, [lea Rq(number(to)),], number(base), offset as i32, []);
    }

    fn branch_unless_equal(&mut self, base: Role, offset: u32, width: Width, value: i32, label: DynamicLabel) {
        let (base, offset) = (number(base), offset as i32);
        match width {
            Width::S1 => with_memory!(self, [cmp BYTE], base, offset, [, value as i8]),
            _ => with_memory!(self, [cmp DWORD], base, offset, [, value]),
        }
        dynasm!(self.ops ; .arch x64 ; jne =>label);
    }

    fn branch_if_negative(&mut self, base: Role, offset: u32, width: Width, label: DynamicLabel) {
        let (base, offset) = (number(base), offset as i32);
        match width {
            Width::S1 => with_memory!(self, [cmp BYTE], base, offset, [, 0]),
            Width::S2 => with_memory!(self, [cmp WORD], base, offset, [, 0]),
            Width::B4 => with_memory!(self, [cmp DWORD], base, offset, [, 0]),
            _ => with_memory!(self, [cmp QWORD], base, offset, [, 0]),
        }
        dynasm!(self.ops ; .arch x64 ; jl =>label);
    }

    fn branch_if_above_one(&mut self, base: Role, offset: u32, width: Width, label: DynamicLabel) {
        let (base, offset) = (number(base), offset as i32);
        match width {
            Width::U1 => with_memory!(self, [cmp BYTE], base, offset, [, 1]),
            Width::S2 => with_memory!(self, [cmp WORD], base, offset, [, 1]),
            Width::B4 => with_memory!(self, [cmp DWORD], base, offset, [, 1]),
            _ => with_memory!(self, [cmp QWORD], base, offset, [, 1]),
        }
        dynasm!(self.ops ; .arch x64 ; ja =>label);
    }

    fn branch_unless_fits(
        &mut self,
        base: Role,
        offset: u32,
        from: Width,
        (bytes, signed): (u8, bool),
        label: DynamicLabel,
    ) {
        let (base, offset) = (number(base), offset as i32);
        match (bytes, signed) {
            (1, true) => with_memory!(self, [movsx rax, BYTE], base, offset, []),
            (1, false) => with_memory!(self, [movzx eax, BYTE], base, offset, []),
            (2, true) => with_memory!(self, [movsx rax, WORD], base, offset, []),
            (2, false) => with_memory!(self, [movzx eax, WORD], base, offset, []),
            (_, true) => with_memory!(self, [movsxd rax, DWORD], base, offset, []),
            (_, false) => with_memory!(self, [mov eax,], base, offset, []),
        }
        match from {
            Width::S2 => with_memory!(self, [cmp ax,], base, offset, []),
            Width::B4 => with_memory!(self, [cmp eax,], base, offset, []),
            _ => with_memory!(self, [cmp rax,], base, offset, []),
        }
        dynasm!(self.ops ; .arch x64 ; jne =>label);
    }

    fn branch_if_zero(&mut self, register: Role, label: DynamicLabel) {
        let register = number(register);
        dynasm!(self.ops ; .arch x64 ; test Rq(register), Rq(register) ; jz =>label);
    }

    fn load_integral(&mut self, base: Role, offset: u32, bounded: bool, label: DynamicLabel) {
        let (base, offset) = (number(base), offset as i32);
        if bounded {
            // Without their signs, doubles are in the order of their bits; infinities and NaNs are above all others.
            with_memory!(self, [mov rax,], base, offset, []);
            dynasm!(self.ops ; .arch x64 ; add rax, rax ; mov r10, QWORD (DOUBLE_EXACT << 1) as i64 ; cmp rax, r10 ; ja =>label);
        }
        // What is out of range becomes -2^63, which no narrower type has.
        with_memory!(self, [cvttsd2si rax, QWORD], base, offset, []);
        dynasm!(self.ops ; .arch x64 ; xorps xmm15, xmm15 ; cvtsi2sd xmm15, rax);
        with_memory!(self, [ucomisd xmm15, QWORD], base, offset, []);
        dynasm!(self.ops ; .arch x64 ; jne =>label);
    }

    fn load_rounded(&mut self, to: u8, base: Role, offset: u32) {
        // Both instructions leave the rest of the register as it was: they need not wait for it where it is zeroed before.
        dynasm!(self.ops ; .arch x64 ; xorps Rx(to), Rx(to));
        with_memory!(self, [cvtsd2ss Rx(to), QWORD], number(base), offset as i32, []);
    }

    fn load_widened(&mut self, to: u8, base: Role, offset: u32) {
        dynasm!(self.ops ; .arch x64 ; xorps Rx(to), Rx(to));
        with_memory!(self, [cvtss2sd Rx(to), DWORD], number(base), offset as i32, []);
    }

    fn convert_int(&mut self, to: u8, from: Role, width: Width) {
        let from = number(from);
        dynasm!(self.ops ; .arch x64 ; xorps Rx(to), Rx(to));
        match width {
            Width::B4 => dynasm!(self.ops ; .arch x64 ; cvtsi2ss Rx(to), Rd(from)),
            _ => dynasm!(self.ops ; .arch x64 ; cvtsi2sd Rx(to), Rd(from)),
        }
    }

    fn load_exact_long(&mut self, to: u8, base: Role, offset: u32, label: DynamicLabel) {
        with_memory!(self, [mov rax,], number(base), offset as i32, []);
        // -2^53 to 2^53, moved to 0 to 2^54.
        dynasm!(self.ops
            ; .arch x64
            ; xorps Rx(to), Rx(to)
            ; cvtsi2sd Rx(to), rax
            ; mov r10, QWORD INTEGER_EXACT as i64
            ; add rax, r10
            ; add r10, r10
            ; cmp rax, r10
            ; ja =>label
        );
    }

    fn load_converted(&mut self, to: u8, base: Role, offset: u32) {
        dynasm!(self.ops ; .arch x64 ; xorps Rx(to), Rx(to));
        with_memory!(self, [cvtsi2sd Rx(to), DWORD], number(base), offset as i32, []);
    }

    fn load_exact(&mut self, to: u8, base: Role, offset: u32, label: DynamicLabel) {
        let (base, offset) = (number(base), offset as i32);
        dynasm!(self.ops ; .arch x64 ; xorps Rx(to), Rx(to));
        with_memory!(self, [cvtsi2ss Rx(to), DWORD], base, offset, []);
        // 2^31 becomes -2^31, which no integer was that is rounded to it.
        dynasm!(self.ops ; .arch x64 ; cvttss2si eax, Rx(to));
        with_memory!(self, [cmp eax,], base, offset, []);
        dynasm!(self.ops ; .arch x64 ; jne =>label);
    }

    fn extend_int(&mut self, register: Role, width: Width) {
        let register = number(register);
        match width {
            Width::S1 => dynasm!(self.ops ; .arch x64 ; movsx Rd(register), Rb(register)),
            Width::U1 => dynasm!(self.ops ; .arch x64 ; movzx Rd(register), Rb(register)),
            Width::S2 => dynasm!(self.ops ; .arch x64 ; movsx Rd(register), Rw(register)),
            Width::U2 => dynasm!(self.ops ; .arch x64 ; movzx Rd(register), Rw(register)),
            Width::B4 => dynasm!(self.ops ; .arch x64 ; mov Rd(register), Rd(register)),
            Width::B8 | Width::B16 | Width::B32 => {}
        }
    }

    fn extend_long(&mut self, to: Role, from: Role, width: Width, signed: bool) {
        let (to, from) = (number(to), number(from));
        match width {
            Width::S1 => dynasm!(self.ops ; .arch x64 ; movsx Rq(to), Rb(from)),
            Width::U1 => dynasm!(self.ops ; .arch x64 ; movzx Rd(to), Rb(from)),
            Width::S2 => dynasm!(self.ops ; .arch x64 ; movsx Rq(to), Rw(from)),
            Width::U2 => dynasm!(self.ops ; .arch x64 ; movzx Rd(to), Rw(from)),
            Width::B4 if signed => dynasm!(self.ops ; .arch x64 ; movsxd Rq(to), Rd(from)),
            Width::B4 => dynasm!(self.ops ; .arch x64 ; mov Rd(to), Rd(from)),
            Width::B8 | Width::B16 | Width::B32 => dynasm!(self.ops ; .arch x64 ; mov Rq(to), Rq(from)),
        }
    }

    fn branch_unless_int(&mut self, register: Role, signed: bool, label: DynamicLabel) {
        let register = number(register);
        if signed {
            dynasm!(self.ops ; .arch x64 ; movsxd r11, Rd(register) ; cmp r11, Rq(register) ; jne =>label);
        } else {
            dynasm!(self.ops ; .arch x64 ; mov r11, Rq(register) ; shr r11, 31 ; jnz =>label);
        }
    }

    fn branch_unless_exact(&mut self, register: Role, signed: bool, label: DynamicLabel) {
        let register = number(register);
        if signed {
            // -2^53 to 2^53, moved to 0 to 2^54.
            self.load_constant(Role::Target, INTEGER_EXACT);
            self.load_constant(Role::Slots, 2 * INTEGER_EXACT);
            dynasm!(self.ops ; .arch x64 ; add r11, Rq(register) ; cmp r11, r10 ; ja =>label);
        } else {
            self.load_constant(Role::Target, INTEGER_EXACT);
            dynasm!(self.ops ; .arch x64 ; cmp Rq(register), r11 ; ja =>label);
        }
    }

    fn integer_to_double(&mut self, register: Role) {
        let register = number(register);
        dynasm!(self.ops
            ; .arch x64
            ; xorps xmm0, xmm0
            ; cvtsi2sd xmm0, Rq(register)
            ; movq Rq(register), xmm0
        );
    }

    fn widen_vector(&mut self) {
        dynasm!(self.ops ; .arch x64 ; cvtss2sd xmm0, xmm0);
    }

    fn vector_bits(&mut self, to: Role) {
        dynasm!(self.ops ; .arch x64 ; movq Rq(number(to)), xmm0);
    }
}
