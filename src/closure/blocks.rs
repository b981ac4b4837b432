//! Memory for the states of small closures: a thread keeps some of what it has freed for the next ones it makes, since a
//! closure with a home is made and goes on one thread.

use std::alloc::{self, Layout};
use std::cell::Cell;
use std::ptr::NonNull;

/// Bytes of a block: a state, and a handler that has captured two words.
const SIZE: usize = 48;

/// The most blocks that a thread keeps.
const KEPT: usize = 64;

const BLOCK: Layout = match Layout::from_size_align(SIZE, 16) {
    Ok(layout) => layout,
    Err(_) => panic!("16 is a power of two"),
};

/// Free blocks, the last one that came first. Only one thread uses it.
#[derive(Default)]
pub(super) struct Blocks {
    first: Cell<Option<NonNull<Free>>>,
    kept: Cell<usize>,
}

/// What stands in a free block.
struct Free {
    next: Option<NonNull<Free>>,
}

impl Blocks {
    /// Whether values of a type have room in a block.
    pub(super) const fn fit<T>() -> bool {
        size_of::<T>() <= BLOCK.size() && align_of::<T>() <= BLOCK.align()
    }

    /// Memory for a value that fits. It goes back by [`Blocks::keep`].
    #[inline]
    pub(super) fn take(&self) -> NonNull<u8> {
        let Some(block) = self.first.get() else { return allocate(BLOCK) };
        // SAFETY: a block in the list is free, and has what `keep` wrote.
        self.first.set(unsafe { block.as_ref() }.next);
        self.kept.set(self.kept.get() - 1);
        block.cast()
    }

    /// Takes a block back.
    ///
    /// # Safety
    /// It is from [`Blocks::take`] of any thread, and nobody uses it any more.
    #[inline]
    pub(super) unsafe fn keep(&self, block: NonNull<u8>) {
        if self.kept.get() >= KEPT {
            // SAFETY: said by the caller; all blocks are allocated so.
            return unsafe { alloc::dealloc(block.as_ptr(), BLOCK) };
        }
        let block = block.cast::<Free>();
        // SAFETY: said by the caller; a block has room for that.
        unsafe { block.write(Free { next: self.first.get() }) };
        self.first.set(Some(block));
        self.kept.set(self.kept.get() + 1);
    }

    /// Frees all blocks, and keeps none from now on.
    pub(super) fn close(&self) {
        while let Some(block) = self.first.get() {
            // SAFETY: as in `take`; nobody has the block.
            unsafe {
                self.first.set(block.as_ref().next);
                alloc::dealloc(block.as_ptr().cast(), BLOCK);
            }
        }
        self.kept.set(KEPT);
    }
}

/// Memory from the program's allocator.
pub(super) fn allocate(layout: Layout) -> NonNull<u8> {
    // SAFETY: no layout here has size 0.
    let memory = unsafe { alloc::alloc(layout) };
    NonNull::new(memory).unwrap_or_else(|| alloc::handle_alloc_error(layout))
}
