//! Unwind tables for machine code made at run time: one for each chunk of memory, however many stubs are in it.
//!
//! A chunk holds functions of one [`FrameKind`], so that one rule tells of all of them where a frame's caller is, and
//! the table is made and registered when the chunk is mapped. Stubs cost nothing more.
//!
//! | kind | x86_64 | AArch64 | exact at |
//! |---|---|---|---|
//! | frameless | CFA = rsp + 8, return address at CFA - 8 | CFA = sp, return address in x30 | every instruction |
//! | framed | CFA = rbp + 16, rbp at CFA - 16, return address at CFA - 8 | CFA = x29 + 32, x29 at CFA - 32, x30 at CFA - 24 | every call |
//! | saving | as framed; rbx and r12 to r15 from CFA - 24 down | CFA = x29 + 96, x29 at CFA - 96, x30 at CFA - 88, x19 to x28 from CFA - 80 up | every call |
//!
//! (The CFA, the canonical frame address, is what the stack pointer was before the call that entered the frame, on
//! x86_64 before its return address was pushed: DWARF 5, 6.4.)
//!
//! Frames on the stack are at a call, so backtraces, exceptions and panics pass. A signal may interrupt a framed stub in
//! its first three instructions (one that saves registers, until it has saved them) or at its return, where the caller's frame pointer is not in its place yet or any more:
//! there, and only there, an unwinder that starts in the signal handler misses one frame or goes astray.

use std::ffi::c_void;
use std::io;
use std::ptr::NonNull;

use gimli::write::{
    Address, CallFrameInstruction, CommonInformationEntry, EhFrame, EndianVec, FrameDescriptionEntry, FrameTable,
};
use gimli::{Encoding, Format, LittleEndian, Register};

use super::fork;
use crate::abi::Plan;
use crate::error::{Error, Result};

/// What functions do with the stack pointer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FrameKind {
    /// They leave it and the frame pointer as they are, and end in a jump or a return.
    Frameless,
    /// They begin with a landing pad, open a frame as [`emit`](crate::emit) does, and close it to return.
    Framed,
    /// They do so too, and save all callee-saved general registers in the frame, as map stubs do.
    Saving,
}

impl FrameKind {
    /// How many kinds there are.
    pub(crate) const COUNT: usize = 3;

    /// That of the call stub for a plan.
    pub(crate) fn of(plan: &Plan) -> FrameKind {
        if plan.needs_frame() { FrameKind::Framed } else { FrameKind::Frameless }
    }
}

/// Where a function is, in bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Extent {
    pub(crate) start: u64,
    pub(crate) length: u32,
}

unsafe extern "C" {
    /// Makes a section `.eh_frame` known to the unwinder, which is libgcc's.
    fn __register_frame(section: *const c_void);
    /// Makes the unwinder forget it.
    fn __deregister_frame(section: *const c_void);
}

/// Code that the process's unwinder knows, until this is dropped.
///
/// The unwinder takes a lock of its own to change its list, and no child may inherit that locked: so the writers' lock is
/// held meanwhile, which `fork` waits for.
#[derive(Debug)]
pub(crate) struct Registration {
    /// The section, in words for its alignment. It ends in an entry of length zero.
    section: Box<[u64]>,
}

impl Registration {
    /// Tells the unwinder that all functions in some memory are of a kind.
    ///
    /// A child that was forked inherits the registration, as it inherits the code.
    ///
    /// # Errors
    /// [`Error::CodeMemory`] where no table can be written for that memory.
    ///
    /// # Safety
    /// What is or will be executed there, as long as the registration is not dropped, is of that kind.
    pub(crate) unsafe fn new(start: NonNull<u8>, length: usize, kind: FrameKind) -> Result<Registration> {
        let refused = |source| Error::CodeMemory { step: "unwind table", source };
        let length = u32::try_from(length).map_err(|error| refused(io::Error::other(error)))?;
        let extent = Extent { start: start.addr().get() as u64, length };
        let bytes = table(machine::at_calls(kind), [(extent, Vec::new())])
            .map_err(|error| refused(io::Error::other(error.to_string())))?;
        let words = bytes.chunks(8).map(|chunk| {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            u64::from_ne_bytes(word)
        });
        let section: Box<[u64]> = words.chain([0]).collect();
        let _no_fork = fork::lock_unless_held();
        // SAFETY: the section is well formed, ends as it should, and stays where it is until it is deregistered.
        unsafe { __register_frame(section.as_ptr().cast()) };
        Ok(Registration { section })
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        let _no_fork = fork::lock_unless_held();
        // SAFETY: this process, or the one that it was forked from, has registered the section.
        unsafe { __deregister_frame(self.section.as_ptr().cast()) };
    }
}

/// A section `.eh_frame`, without an entry of length zero at its end, that is exact for functions of a kind at every
/// instruction: as debuggers want it, which stop anywhere.
///
/// # Errors
/// Where a function has an address or a length that no table can hold.
pub(crate) fn exact(functions: impl IntoIterator<Item = (Extent, FrameKind)>) -> gimli::write::Result<Vec<u8>> {
    let rows = |(extent, kind): (Extent, FrameKind)| match kind {
        FrameKind::Frameless => (extent, Vec::new()),
        FrameKind::Framed => (extent, machine::rows_of_a_frame(extent.length)),
        FrameKind::Saving => (extent, machine::rows_of_a_saving_frame(extent.length)),
    };
    table(machine::at_calls(FrameKind::Frameless), functions.into_iter().map(rows))
}

/// From which offset on, in bytes, an instruction of a table holds.
type Row = (u32, CallFrameInstruction);

/// A table of functions that share the rules at their start.
fn table(
    initial: Vec<CallFrameInstruction>,
    functions: impl IntoIterator<Item = (Extent, Vec<Row>)>,
) -> gimli::write::Result<Vec<u8>> {
    let encoding = Encoding { format: Format::Dwarf32, version: 1, address_size: 8 };
    let (code_align, data_align) = (machine::CODE_ALIGN, -8);
    let mut common = CommonInformationEntry::new(encoding, code_align, data_align, machine::RETURN_ADDRESS);
    initial.into_iter().for_each(|instruction| common.add_instruction(instruction));
    let mut table = FrameTable::default();
    let common = table.add_cie(common);
    for (Extent { start, length }, rows) in functions {
        let mut entry = FrameDescriptionEntry::new(Address::Constant(start), length);
        rows.into_iter().for_each(|(offset, instruction)| entry.add_instruction(offset, instruction));
        table.add_fde(common, entry);
    }
    let mut section = EhFrame::from(EndianVec::new(LittleEndian));
    table.write_eh_frame(&mut section)?;
    Ok(section.0.into_vec())
}

#[cfg(target_arch = "x86_64")]
mod machine {
    use gimli::X86_64;

    use super::{CallFrameInstruction, FrameKind, Register, Row};

    pub(super) const CODE_ALIGN: u8 = 1;
    pub(super) const RETURN_ADDRESS: Register = X86_64::RA;

    /// Registers that a frame saves, by their distance from the CFA: `emit::x86_64::map`.
    const SAVED: [(Register, i32); 5] =
        [(X86_64::RBX, -24), (X86_64::R12, -32), (X86_64::R13, -40), (X86_64::R14, -48), (X86_64::R15, -56)];

    /// The rules that hold at every call; in frameless functions, everywhere.
    pub(super) fn at_calls(kind: FrameKind) -> Vec<CallFrameInstruction> {
        let return_address = CallFrameInstruction::Offset(X86_64::RA, -8);
        match kind {
            FrameKind::Frameless => vec![CallFrameInstruction::Cfa(X86_64::RSP, 8), return_address],
            FrameKind::Framed => vec![
                CallFrameInstruction::Cfa(X86_64::RBP, 16),
                CallFrameInstruction::Offset(X86_64::RBP, -16),
                return_address,
            ],
            FrameKind::Saving => [at_calls(FrameKind::Framed), saved().collect()].concat(),
        }
    }

    /// Where a frame that saves registers has them.
    fn saved() -> impl Iterator<Item = CallFrameInstruction> {
        SAVED.into_iter().map(|(register, offset)| CallFrameInstruction::Offset(register, offset))
    }

    /// What changes from instruction to instruction of a framed function of `length` bytes.
    pub(super) fn rows_of_a_frame(length: u32) -> Vec<Row> {
        let (after_endbr64_and_push, after_mov, after_leave) = (4 + 1, 4 + 1 + 3, length - 1);
        vec![
            (after_endbr64_and_push, CallFrameInstruction::CfaOffset(16)),
            (after_endbr64_and_push, CallFrameInstruction::Offset(X86_64::RBP, -16)),
            (after_mov, CallFrameInstruction::CfaRegister(X86_64::RBP)),
            (after_leave, CallFrameInstruction::Cfa(X86_64::RSP, 8)),
            (after_leave, CallFrameInstruction::Restore(X86_64::RBP)),
        ]
    }

    /// The same for one that saves registers: the caller's are in their places until all are saved, and again once the
    /// frame is closed.
    pub(super) fn rows_of_a_saving_frame(length: u32) -> Vec<Row> {
        let (after_pushes, after_leave) = (4 + 1 + 3 + 1 + 4 * 2, length - 1);
        let mut rows = rows_of_a_frame(length);
        rows.extend(saved().map(|place| (after_pushes, place)));
        rows.extend(SAVED.map(|(register, _)| (after_leave, CallFrameInstruction::Restore(register))));
        rows.sort_by_key(|(offset, _)| *offset);
        rows
    }
}

#[cfg(target_arch = "aarch64")]
mod machine {
    use gimli::AArch64;

    use super::{CallFrameInstruction, FrameKind, Register, Row};

    pub(super) const CODE_ALIGN: u8 = 4;
    pub(super) const RETURN_ADDRESS: Register = AArch64::X30;

    /// Bytes of a frame, and of one that saves registers.
    const FRAME: i32 = 32;
    const SAVING_FRAME: i32 = 96;

    /// Registers that a frame saves, by their distance from the CFA: `emit::aarch64::map`.
    const SAVED: [(Register, i32); 10] = [
        (AArch64::X19, -80),
        (AArch64::X20, -72),
        (AArch64::X21, -64),
        (AArch64::X22, -56),
        (AArch64::X23, -48),
        (AArch64::X24, -40),
        (AArch64::X25, -32),
        (AArch64::X26, -24),
        (AArch64::X27, -16),
        (AArch64::X28, -8),
    ];

    /// The rules that hold at every call; in frameless functions, everywhere.
    pub(super) fn at_calls(kind: FrameKind) -> Vec<CallFrameInstruction> {
        match kind {
            FrameKind::Frameless => vec![CallFrameInstruction::Cfa(AArch64::SP, 0)],
            FrameKind::Framed => in_frame(FRAME),
            FrameKind::Saving => [in_frame(SAVING_FRAME), saved().collect()].concat(),
        }
    }

    /// The rules of a frame of so many bytes, with the frame record at its bottom.
    fn in_frame(bytes: i32) -> Vec<CallFrameInstruction> {
        vec![
            CallFrameInstruction::Cfa(AArch64::X29, bytes),
            CallFrameInstruction::Offset(AArch64::X29, -bytes),
            CallFrameInstruction::Offset(AArch64::X30, 8 - bytes),
        ]
    }

    /// Where a frame that saves registers has them.
    fn saved() -> impl Iterator<Item = CallFrameInstruction> {
        SAVED.into_iter().map(|(register, offset)| CallFrameInstruction::Offset(register, offset))
    }

    /// What changes from instruction to instruction of a framed function of `length` bytes.
    pub(super) fn rows_of_a_frame(length: u32) -> Vec<Row> {
        rows(FRAME, length)
    }

    fn rows(bytes: i32, length: u32) -> Vec<Row> {
        let (after_bti_and_stp, after_mov, after_ldp) = (4 + 4, 4 + 4 + 4, length - 4);
        vec![
            (after_bti_and_stp, CallFrameInstruction::CfaOffset(bytes)),
            (after_bti_and_stp, CallFrameInstruction::Offset(AArch64::X29, -bytes)),
            (after_bti_and_stp, CallFrameInstruction::Offset(AArch64::X30, 8 - bytes)),
            (after_mov, CallFrameInstruction::CfaRegister(AArch64::X29)),
            (after_ldp, CallFrameInstruction::Cfa(AArch64::SP, 0)),
            (after_ldp, CallFrameInstruction::Restore(AArch64::X29)),
            (after_ldp, CallFrameInstruction::Restore(AArch64::X30)),
        ]
    }

    /// The same for one that saves registers: the caller's are in their places until all are saved, and again once the
    /// frame is closed.
    pub(super) fn rows_of_a_saving_frame(length: u32) -> Vec<Row> {
        let (after_stps, after_ldps) = (4 * (1 + 1 + 1 + 5), length - 4);
        let mut rows = rows(SAVING_FRAME, length);
        rows.extend(saved().map(|place| (after_stps, place)));
        rows.extend(SAVED.map(|(register, _)| (after_ldps, CallFrameInstruction::Restore(register))));
        rows.sort_by_key(|(offset, _)| *offset);
        rows
    }
}

/// What tests ask the unwinder.
#[cfg(test)]
pub(crate) mod testing {
    use super::*;

    unsafe extern "C" {
        fn _Unwind_Find_FDE(pc: *const c_void, bases: *mut [*const c_void; 3]) -> *const u32;
    }

    /// Where the registered memory starts that an address is in, and its length.
    pub(crate) fn registered(address: NonNull<u8>) -> Option<(u64, u64)> {
        let mut bases = [std::ptr::null(); 3];
        // SAFETY: the unwinder writes three pointers, and gives an entry with two absolute addresses behind its header.
        unsafe {
            let entry = _Unwind_Find_FDE(address.as_ptr().cast(), &mut bases);
            let fields = entry.as_ref().map(|entry| std::ptr::from_ref(entry).add(2).cast::<u64>());
            fields.map(|fields| (fields.read_unaligned(), fields.add(1).read_unaligned()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::testing::registered;
    use super::*;

    const KINDS: [FrameKind; FrameKind::COUNT] = [FrameKind::Frameless, FrameKind::Framed, FrameKind::Saving];

    #[test]
    fn unwinder_knows_what_is_registered() {
        // Room that nothing is executed in.
        let room = vec![0u8; 3 * 4096];
        let start = NonNull::from(&room[0]);
        let address = start.addr().get() as u64;
        let at = |offset| registered(start.map_addr(|address| address.saturating_add(offset)));
        for kind in KINDS {
            assert_eq!(at(0), None);
            // SAFETY: nothing is executed there.
            let first = unsafe { Registration::new(start, 4096, kind) }.unwrap();
            // SAFETY: as above; the room is large enough.
            let second = unsafe { Registration::new(start.add(8192), 4096, kind) }.unwrap();
            for offset in [0, 1, 2048, 4095] {
                assert_eq!(at(offset), Some((address, 4096)));
            }
            assert_eq!(at(4096), None);
            drop(first);
            assert_eq!(at(0), None);
            assert_eq!(at(8192), Some((address + 8192, 4096)));
            drop(second);
            assert_eq!(at(8192), None);
        }
    }

    #[test]
    fn memory_beyond_any_table_is_refused() {
        // SAFETY: nothing is registered.
        let refused = unsafe { Registration::new(NonNull::dangling(), 1 << 32, FrameKind::Framed) };
        assert!(matches!(refused, Err(Error::CodeMemory { step: "unwind table", .. })));
    }

    #[test]
    fn exact_tables_are_whole() {
        let functions = KINDS.map(|kind| (Extent { start: 4096, length: 64 }, kind));
        let section = exact(functions).unwrap();
        let mut rest = &section[..];
        let mut entries = 0;
        while let Some((length, after)) = rest.split_first_chunk::<4>() {
            rest = &after[u32::from_le_bytes(*length) as usize..];
            entries += 1;
        }
        assert_eq!((entries, rest.len()), (1 + KINDS.len(), 0), "what they have in common, and one each");
    }
}
