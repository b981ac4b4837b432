//! How many bytes are in use.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};

/// The system's allocator, which counts the bytes that are in use.
struct Counting;

/// It is changed without an atomic instruction, which would take as long as an allocation: only one thread runs.
static IN_USE: AtomicUsize = AtomicUsize::new(0);

/// The bytes that are in use.
pub(crate) fn in_use() -> usize {
    IN_USE.load(Ordering::Relaxed)
}

fn add(bytes: usize) {
    IN_USE.store(in_use().wrapping_add(bytes), Ordering::Relaxed);
}

// SAFETY: everything is left to the system's allocator; `realloc` falls back on these.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        add(layout.size());
        // SAFETY: the caller keeps the same promises.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        add(layout.size().wrapping_neg());
        // SAFETY: as above.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;
