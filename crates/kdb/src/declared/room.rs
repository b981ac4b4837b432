//! Memory for a value of C's: zero at first, and aligned as its type is.

use jitcall::types::layout::Layout;

/// What needs no memory on the heap.
const INLINE: Layout = Layout { size: 32, align: 16 };

/// The memory.
pub(super) struct Room {
    inline: Aligned,
    heap: Vec<u8>,
    /// Where the value begins in the memory on the heap.
    start: usize,
    size: usize,
}

#[repr(C, align(16))]
struct Aligned([u8; INLINE.size]);

impl Room {
    /// Room that is only where it is as long as this is not moved.
    pub(super) fn new(layout: Layout) -> Room {
        if layout.size <= INLINE.size && layout.align <= INLINE.align {
            return Room { inline: Aligned([0; INLINE.size]), heap: Vec::new(), start: 0, size: layout.size };
        }
        Room::fixed(layout)
    }

    /// Room that stays where it is when this is moved.
    pub(super) fn fixed(layout: Layout) -> Room {
        let heap = vec![0; layout.size + layout.align];
        let start = heap.as_ptr().align_offset(layout.align);
        Room { inline: Aligned([0; INLINE.size]), heap, start, size: layout.size }
    }

    /// Where it is.
    pub(super) fn as_mut_ptr(&mut self) -> *mut u8 {
        self.bytes_mut().as_mut_ptr()
    }

    pub(super) fn bytes(&self) -> &[u8] {
        if self.heap.is_empty() { &self.inline.0[..self.size] } else { &self.heap[self.start..][..self.size] }
    }

    pub(super) fn bytes_mut(&mut self) -> &mut [u8] {
        if self.heap.is_empty() { &mut self.inline.0[..self.size] } else { &mut self.heap[self.start..][..self.size] }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rooms_are_as_large_and_aligned_as_asked() {
        for (size, align) in [(0, 1), (1, 1), (32, 16), (32, 32), (33, 1), (64, 64), (4096, 4096), (7, 512)] {
            let layout = Layout { size, align };
            for make in [Room::new, Room::fixed] {
                let mut room = make(layout);
                assert_eq!(room.bytes().len(), size);
                assert!(room.bytes().iter().all(|byte| *byte == 0));
                assert_eq!(room.as_mut_ptr().addr() % align, 0, "{size} bytes, aligned to {align}");
            }
            let mut room = Room::fixed(layout);
            let before = room.as_mut_ptr();
            let mut moved = Box::new(room);
            assert_eq!(moved.as_mut_ptr(), before);
        }
    }
}
