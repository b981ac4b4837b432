//! Guarded calls on x86_64: the way in, and the registers of a thread that a signal interrupted.

use std::ffi::c_void;
use std::mem::offset_of;

use super::record::Record;
use crate::Slot;

/// The direction flag, which is clear at calls and returns (System V psABI 3.2.1), and those that trap each
/// instruction (TF) and misaligned accesses (AC).
const FLAGS: i64 = 1 << 10 | 1 << 8 | 1 << 18;

/// The guarded call, as a call stub: see `asm/x86_64/guard.s`.
///
/// # Safety
/// As for the call stub that the [`Record`] at `record` names.
#[unsafe(naked)]
pub(super) unsafe extern "C-unwind" fn call(slots: *const Slot, record: *const c_void, result: *mut u8) {
    std::arch::naked_asm!(
        include_str!("../../asm/x86_64/guard.s"),
        stub = const offset_of!(Record, stub),
        context = const offset_of!(Record, context),
        stack = const offset_of!(Record, stack),
        instruction = const offset_of!(Record, instruction),
    )
}

/// The address of the interrupted instruction.
pub(super) fn instruction(context: &libc::ucontext_t) -> usize {
    context.uc_mcontext.gregs[libc::REG_RIP as usize] as usize
}

/// Makes the thread go on elsewhere when the handler returns.
pub(super) fn resume(context: &mut libc::ucontext_t, stack: usize, instruction: usize) {
    let registers = &mut context.uc_mcontext.gregs;
    registers[libc::REG_RSP as usize] = stack as i64;
    registers[libc::REG_RIP as usize] = instruction as i64;
    registers[libc::REG_EFL as usize] &= !FLAGS;
}
