//! Guarded calls on AArch64: the way in, and the registers of a thread that a signal interrupted.

use std::ffi::c_void;
use std::mem::offset_of;

use super::record::Record;
use crate::Slot;

/// The branch type: set by an indirect branch that did not reach a landing pad, it would make the next instruction
/// fault as well.
const FLAGS: u64 = 0b11 << 10;

/// The guarded call, as a call stub: see `asm/aarch64/guard.s`.
///
/// # Safety
/// As for the call stub that the [`Record`] at `record` names.
#[unsafe(naked)]
pub(super) unsafe extern "C-unwind" fn call(slots: *const Slot, record: *const c_void, result: *mut u8) {
    std::arch::naked_asm!(
        include_str!("../../asm/aarch64/guard.s"),
        stub = const offset_of!(Record, stub),
        context = const offset_of!(Record, context),
        stack = const offset_of!(Record, stack),
        instruction = const offset_of!(Record, instruction),
    )
}

/// The address of the interrupted instruction.
pub(super) fn instruction(context: &libc::ucontext_t) -> usize {
    context.uc_mcontext.pc as usize
}

/// Makes the thread go on elsewhere when the handler returns.
pub(super) fn resume(context: &mut libc::ucontext_t, stack: usize, instruction: usize) {
    let registers = &mut context.uc_mcontext;
    registers.sp = stack as u64;
    registers.pc = instruction as u64;
    registers.pstate &= !FLAGS;
}
