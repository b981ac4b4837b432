//! Memory for what the maker of a callback keeps of it, with an entry of its own: libffi's `ffi_closure_alloc`.
//!
//! Programs make and free closures again and again. Freed memory of the usual size waits for the next closure, with its
//! entry, in a list that is taken from and put back to without a lock; there is as much of it as there were closures at a
//! time.
//!
//! ```text
//!   memory - 16     the entry's word
//!   memory - 8      0 for the usual size, else the size of the whole; while it waits, the next that waits
//!   memory          the caller's
//! ```

use std::alloc::{self, Layout};
use std::ffi::c_void;
use std::ptr::NonNull;

use super::Entry;
use crate::code::entries::{FreeList, Pool, Record};
use crate::emit::RecordPlace;
use crate::engine::{Engine, Tier};
use crate::error::Result;

/// Bytes of the usual size, header included: room for libffi's largest closure.
const USUAL: usize = 96;

const HEADER: usize = size_of::<Record>();

/// What waits, for each kind of entry. A record stands for the header: its first word is the entry's.
static WAITING: [FreeList; 2] = [const { FreeList::new() }; 2];

/// Allocates memory of at least `size` bytes, aligned to 16.
///
/// # Errors
/// As for [`Entry::new`].
///
/// # Panics
/// Where the allocator has no memory, as Rust's collections do.
#[inline]
pub fn allocate(engine: &Engine, size: usize) -> Result<NonNull<c_void>> {
    if size <= USUAL - HEADER
        && let Some(header) = WAITING[engine.tier() as usize].pop()
    {
        // SAFETY: what waits is as large as that, and nobody has it now.
        unsafe {
            let header = header.cast::<Header>();
            (*header.as_ptr()).size = 0;
            return Ok(header.add(1).cast());
        }
    }
    allocate_anew(engine, size)
}

#[repr(C, align(16))]
struct Header {
    entry: NonNull<c_void>,
    size: usize,
}

const _: () = assert!(size_of::<Header>() == HEADER && align_of::<Header>() == align_of::<Record>());

#[cold]
fn allocate_anew(engine: &Engine, size: usize) -> Result<NonNull<c_void>> {
    let entry = Entry::new(engine)?;
    let usual = size <= USUAL - HEADER;
    let layout = layout(if usual { USUAL } else { size.saturating_add(HEADER) });
    // SAFETY: the size is not 0.
    let memory = unsafe { alloc::alloc(layout) };
    let Some(header) = NonNull::new(memory.cast::<Header>()) else { alloc::handle_alloc_error(layout) };
    let size = if usual { 0 } else { layout.size() };
    // SAFETY: the memory is large enough, and aligned.
    unsafe {
        header.write(Header { entry: entry.into_raw(), size });
        Ok(header.add(1).cast())
    }
}

fn layout(bytes: usize) -> Layout {
    Layout::from_size_align(bytes, align_of::<Header>()).unwrap_or_else(|_| panic!("{bytes} bytes for a closure"))
}

/// What C is to call: the address of the memory's entry.
///
/// # Safety
/// The memory is from [`allocate`].
#[inline]
pub unsafe fn entry_address(memory: NonNull<c_void>) -> *const c_void {
    // SAFETY: said by the caller; the entry stays the memory's.
    let entry = unsafe { std::mem::ManuallyDrop::new(Entry::from_raw(header(memory).as_ref().entry)) };
    entry.address()
}

/// Frees memory. Its entry leads nowhere from now on.
///
/// # Safety
/// It is from [`allocate`], and nobody uses it any more.
#[inline]
pub unsafe fn free(memory: NonNull<c_void>) {
    // SAFETY: said by the caller.
    unsafe {
        let header = header(memory);
        let Header { entry, size } = header.read();
        if size != 0 {
            drop(Entry::from_raw(entry));
            alloc::dealloc(header.as_ptr().cast(), layout(size));
            return;
        }
        let entry = std::mem::ManuallyDrop::new(Entry::from_raw(entry));
        entry.entry.silence();
        let tier = match entry.entry.pool() {
            Pool::Mapped(RecordPlace::Scratch) => Tier::Jit,
            _ => Tier::Asm,
        };
        WAITING[tier as usize].push(header.cast());
    }
}

/// # Safety
/// As for [`free`].
unsafe fn header(memory: NonNull<c_void>) -> NonNull<Header> {
    // SAFETY: said by the caller.
    unsafe { memory.cast::<Header>().sub(1) }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn memory_has_entries_of_its_own_and_comes_back() {
        for tier in [Tier::Jit, Tier::Asm] {
            let engine = Engine::builder().tier(tier).build().unwrap();
            let sizes = [1, 56, 80, 81, 4096];
            for _ in 0..3 {
                let all: Vec<_> = sizes.iter().cycle().take(50).map(|size| allocate(&engine, *size).unwrap()).collect();
                // SAFETY: the memory is from `allocate`.
                let entries: HashSet<_> = all.iter().map(|memory| unsafe { entry_address(*memory) }).collect();
                assert_eq!(entries.len(), all.len());
                for (memory, size) in all.iter().zip(sizes.iter().cycle()) {
                    assert!(memory.addr().get().is_multiple_of(16));
                    // SAFETY: there are so many bytes.
                    unsafe { std::ptr::write_bytes(memory.as_ptr().cast::<u8>(), 0xa5, *size) };
                }
                // SAFETY: nobody uses it any more.
                all.into_iter().for_each(|memory| unsafe { free(memory) });
            }
        }
    }
}
