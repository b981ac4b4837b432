//! Making fresh machine code visible to instruction fetch.
//!
//! **x86_64**: nothing to do. The instruction caches are kept coherent with stores by physical address (Intel SDM
//! vol. 3, "Self-Modifying Code"; AMD APM vol. 2, "Cross-Modifying Code"), so it does not matter that code is written
//! through another address than it runs at. The SDM asks for a serializing instruction where instructions that may have
//! been prefetched are modified through another linear address. An entry is not among those: no branch went to its
//! address before that was published, after the entry was complete; and what was prefetched beyond the end of earlier
//! code is thrown away by the branch that does lead to the entry.
//!
//! **AArch64**: data and instruction caches need not be coherent. The Arm ARM (DDI 0487, part B2, "Concurrent
//! modification and execution of instructions", and "Synchronization and coherency issues between data and instruction
//! accesses") asks for three things:
//!
//! 1. No core executes an instruction while another modifies it. Entries are written once, at addresses that have not
//!    been given to anyone yet.
//! 2. The writer cleans the data cache to the point of unification, waits, invalidates the instruction cache, waits:
//!    `dc cvau`, `dsb ish`, `ic ivau`, `dsb ish`. Cleaning works by physical address, so the writable address serves;
//!    invalidation need not reach aliases, so it names the executable one. `ic ivau` is broadcast to the Inner
//!    Shareable domain, which holds every core that Linux runs a process on: after the second `dsb`, no core has the
//!    old line.
//! 3. Each core that is going to execute the new instructions passes a context synchronization event, such as `isb`,
//!    first, for it may already hold instructions that it fetched from there. The writer's own `isb` is at the end of
//!    [`publish`]. A thread that gets an entry from the cache executes one in [`synchronize`], after the acquiring load
//!    that gave it the entry's address.
//!
//! That leaves threads to which a bound function is handed by another thread, which look nothing up. The engine sends
//! no interrupt to every core (`membarrier` with `SYNC_CORE`) for each of its stubs on their behalf. Such a thread
//! learns the address by a load that is ordered after 2. To execute anything old, its core must have fetched the entry
//! before that load, along a predicted path, and have kept it in its pipeline through 2. But predicted targets are
//! those of earlier branches, and no branch has gone to an entry before it is published: its address is fresh, and
//! entries are never replaced. A thread that waited in the kernel for the function has been through an exception
//! return, which is a context synchronization event, besides. Before an entry is written, its place holds `udf`, so
//! were this reasoning to fail, the failure would be a clean SIGILL and not a wrong instruction.

#[cfg(target_arch = "x86_64")]
mod machine {
    /// The bytes between entries: `int3`.
    pub(crate) const TRAP: u8 = 0xcc;

    /// Nothing; see the top of the file.
    ///
    /// # Safety
    /// None on this architecture.
    pub(crate) unsafe fn publish(_writable: *const u8, _executable: *const u8, _size: usize) {}

    /// Nothing; see the top of the file.
    pub(crate) fn synchronize() {}
}

#[cfg(target_arch = "aarch64")]
mod machine {
    use std::arch::asm;
    use std::sync::atomic::{AtomicU64, Ordering};

    /// The bytes between entries: `udf #0`.
    pub(crate) const TRAP: u8 = 0;

    /// CTR_EL0.IDC: instruction fetch sees what was stored without a clean of the data cache.
    const IDC: u64 = 1 << 28;

    /// CTR_EL0.DIC: instruction fetch needs no invalidation of the instruction cache.
    const DIC: u64 = 1 << 29;

    /// Makes `size` bytes, written at `writable`, what is fetched at `executable`.
    ///
    /// # Safety
    /// Both are mappings of the same memory, of at least `size` bytes, and readable.
    pub(crate) unsafe fn publish(writable: *const u8, executable: *const u8, size: usize) {
        let ctr = cache_type();
        if ctr & IDC == 0 {
            for line in lines(writable, size, ctr >> 16) {
                // SAFETY: cleaning a cache line has no effect on what memory holds; the address is mapped.
                unsafe { asm!("dc cvau, {}", in(reg) line, options(nostack, preserves_flags)) };
            }
        }
        // SAFETY: barriers.
        unsafe { asm!("dsb ish", options(nostack, preserves_flags)) };
        if ctr & DIC == 0 {
            for line in lines(executable, size, ctr) {
                // SAFETY: invalidating a line of the instruction cache has no effect on what memory holds; the address
                // is mapped.
                unsafe { asm!("ic ivau, {}", in(reg) line, options(nostack, preserves_flags)) };
            }
            // SAFETY: barriers.
            unsafe { asm!("dsb ish", options(nostack, preserves_flags)) };
        }
        synchronize();
    }

    /// Drops what this core may have fetched ahead.
    pub(crate) fn synchronize() {
        // SAFETY: a barrier.
        unsafe { asm!("isb", options(nostack, preserves_flags)) };
    }

    /// CTR_EL0, read once: where cores differ, Linux traps the read and answers for all of them.
    fn cache_type() -> u64 {
        static CTR: AtomicU64 = AtomicU64::new(0);
        let known = CTR.load(Ordering::Relaxed);
        if known != 0 {
            return known;
        }
        let ctr: u64;
        // SAFETY: Linux lets user space read this register, or emulates it. Bit 31 is always 1.
        unsafe { asm!("mrs {}, ctr_el0", out(reg) ctr, options(nomem, nostack, preserves_flags)) };
        CTR.store(ctr, Ordering::Relaxed);
        ctr
    }

    /// The first address in each cache line of a range; the line's size is in the low four bits of `field`, as the
    /// binary logarithm of its number of 4-byte words.
    fn lines(start: *const u8, size: usize, field: u64) -> impl Iterator<Item = usize> {
        let line = 4usize << (field & 15);
        let start = start.addr();
        (start & !(line - 1)..start + size).step_by(line)
    }
}

pub(crate) use machine::{TRAP, publish, synchronize};
