//! Entries of closures: the few instructions that C enters, a page full of which is the same code again and again.
//!
//! An entry knows nothing but how far away its record is. It leaves the record's address in a register and goes on where
//! the record's first word says. The bytes are written here and not by an assembler: there are two forms of them.

use std::ffi::c_void;

use crate::types::Arch;

/// Bytes of an entry, and of a record.
pub const ENTRY_SIZE: usize = 16;

/// How far behind an entry its record is, where pages are not larger than that: within reach of AArch64's `adr`.
pub const RECORD_DISTANCE: usize = 64 << 10;

/// The register that an entry leaves its record's address in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RecordPlace {
    /// r11 or x16, which pass no argument: [`closure_entry`](super::closure_entry) finds it there.
    Scratch,
    /// The n-th general argument register: a function of Rust has it as a parameter behind those that C knows of.
    Argument(u8),
}

/// The bytes of an entry whose record is `distance` bytes behind it.
///
/// ```
/// use jitcall::Arch;
/// use jitcall::emit::{RECORD_DISTANCE, RecordPlace, page_entry};
/// let entry = page_entry(Arch::X86_64, RecordPlace::Argument(2), RECORD_DISTANCE);
/// assert!(entry.starts_with(&[0xf3, 0x0f, 0x1e, 0xfa]), "endbr64");
/// ```
///
/// # Panics
/// Where there is no argument register of that number, or the record is out of reach: less than 16 bytes or more than
/// 1 MiB away.
pub fn page_entry(arch: Arch, place: RecordPlace, distance: usize) -> [u8; ENTRY_SIZE] {
    assert!((ENTRY_SIZE..1 << 20).contains(&distance), "no entry reaches {distance} bytes");
    match arch {
        Arch::X86_64 => x86_64(place, distance as u32),
        Arch::Aarch64 => aarch64(place, distance as u32),
    }
}

fn x86_64(place: RecordPlace, distance: u32) -> [u8; ENTRY_SIZE] {
    /// rdi rsi rdx rcx r8 r9, as instructions number them.
    const ARGUMENTS: [u8; 6] = [7, 6, 2, 1, 8, 9];
    let register = match place {
        RecordPlace::Scratch => 11,
        RecordPlace::Argument(number) => ARGUMENTS[usize::from(number)],
    };
    let (low, high) = (register & 7, register >> 3);
    // endbr64; lea register, [rip + distance], counted from the next instruction, at 11; jmp [register]
    let mut code = [0xcc; ENTRY_SIZE];
    code[..7].copy_from_slice(&[0xf3, 0x0f, 0x1e, 0xfa, 0x48 | high << 2, 0x8d, 0x05 | low << 3]);
    code[7..11].copy_from_slice(&(distance - 11).to_le_bytes());
    code[11..14].copy_from_slice(&[0x40 | high, 0xff, 0x20 | low]);
    code
}

fn aarch64(place: RecordPlace, distance: u32) -> [u8; ENTRY_SIZE] {
    let register = match place {
        RecordPlace::Scratch => 16,
        RecordPlace::Argument(number) => {
            assert!(number < 8, "x{number} passes no argument");
            u32::from(number)
        }
    };
    // The two low bits of adr's immediate stand apart; it is counted from adr itself, at 4.
    let reach = distance - 4;
    let adr = 0x1000_0000 | (reach & 3) << 29 | (reach >> 2) << 5 | register;
    // bti c; adr register, distance; ldr x17, [register]; br x17
    let words = [0xd503_245f, adr, 0xf940_0011 | register << 5, 0xd61f_0220];
    let mut code = [0; ENTRY_SIZE];
    for (bytes, word) in code.chunks_exact_mut(4).zip(words) {
        bytes.copy_from_slice(&u32::to_le_bytes(word));
    }
    code
}

/// Bytes of an entry that stands in memory of the caller's own: what libffi reserves for one in its closures.
pub const IN_PLACE_SIZE: usize = if cfg!(target_arch = "x86_64") { 32 } else { 24 };

/// The bytes of an entry for memory that is executable and writable and belongs to whoever asks: nothing but its state
/// and the code that it leads to is anywhere else. It may be called through any address that it is mapped at.
///
/// The state, the words of [`StateIn::Place`](crate::pointers::StateIn::Place), stands right behind it.
pub fn in_place_entry(code: *const c_void) -> [u8; IN_PLACE_SIZE] {
    let mut bytes = [0; IN_PLACE_SIZE];
    let target = IN_PLACE_SIZE - 8;
    bytes[..in_place_code().len()].copy_from_slice(&in_place_code());
    bytes[target..].copy_from_slice(&(code.expose_provenance() as u64).to_le_bytes());
    bytes
}

/// endbr64; lea r11, [rip + 21], from 11 to 32; jmp [rip + 7], from 17 to 24
#[cfg(target_arch = "x86_64")]
const fn in_place_code() -> [u8; 17] {
    [0xf3, 0x0f, 0x1e, 0xfa, 0x4c, 0x8d, 0x1d, 21, 0, 0, 0, 0xff, 0x25, 7, 0, 0, 0]
}

/// bti c; adr x16, 20, from 4 to 24; ldr x17, 8, from 8 to 16; br x17
#[cfg(target_arch = "aarch64")]
fn in_place_code() -> [u8; 16] {
    let adr = 0x1000_0000 | (20 >> 2) << 5 | 16;
    let ldr = 0x5800_0000 | (8 >> 2) << 5 | 17;
    let mut code = [0; 16];
    for (bytes, word) in code.chunks_exact_mut(4).zip([0xd503_245f, adr, ldr, 0xd61f_0220]) {
        bytes.copy_from_slice(&u32::to_le_bytes(word));
    }
    code
}
