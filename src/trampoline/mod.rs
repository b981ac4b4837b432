//! What the tier without a JIT goes through: the trampolines of `asm/`, which follow a plan, and their Rust halves.
//!
//! `call` is the way to C, `entry` the way back. Both keep an image of the registers in memory, which assembly loads and
//! stores and Rust reads and writes.

pub(crate) mod call;
pub(crate) mod entry;

use std::mem::MaybeUninit;

/// Eight bytes that need not all have been written.
pub(crate) type Word = MaybeUninit<u64>;

/// A vector register: a ymm register of x86_64, a v register of AArch64.
pub(crate) type Vector = [Word; if cfg!(target_arch = "x86_64") { 4 } else { 2 }];

/// An image of the registers that pass arguments or, after the call, return results.
#[repr(C)]
pub(crate) struct Registers {
    /// In the order of the convention's argument registers, or result registers; on AArch64 the ninth is x8. The last
    /// one pads the image to a multiple of 16 bytes.
    pub(crate) general: [Word; 10],
    pub(crate) vectors: [Vector; 8],
    /// st0 and st1, of 10 bytes each.
    pub(crate) x87: [[Word; 2]; 2],
}

const _: () = assert!(size_of::<Registers>().is_multiple_of(16), "the image keeps the stack pointer aligned");
