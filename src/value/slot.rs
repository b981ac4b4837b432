//! Slots: the 8-byte units in which arguments wait for a stub.

use std::mem::MaybeUninit;

/// Eight bytes of an argument on its way to C.
///
/// A value stands in the low bytes; what is above it is ignored and need not be initialised. A value of more than 8
/// bytes goes on in the next slots ([`crate::abi`] says which).
#[derive(Clone, Copy, Debug)]
#[repr(transparent)]
pub struct Slot(MaybeUninit<u64>);

impl Slot {
    /// A slot with nothing in it.
    pub const EMPTY: Slot = Slot(MaybeUninit::uninit());
}

macro_rules! slot_from {
    ($($ty:ty, $value:ident => $bits:expr;)*) => { $(
        impl From<$ty> for Slot {
            #[inline(always)]
            fn from($value: $ty) -> Slot {
                Slot(MaybeUninit::new($bits))
            }
        }
    )* };
}

slot_from! {
    bool, value => value.into();
    i8, value => value as u64;
    u8, value => value.into();
    i16, value => value as u64;
    u16, value => value.into();
    i32, value => value as u64;
    u32, value => value.into();
    i64, value => value as u64;
    u64, value => value;
    isize, value => value as u64;
    usize, value => value as u64;
    f32, value => value.to_bits().into();
    f64, value => value.to_bits();
}

impl<T> From<*const T> for Slot {
    fn from(value: *const T) -> Slot {
        Slot(MaybeUninit::new(value.expose_provenance() as u64))
    }
}

impl<T> From<*mut T> for Slot {
    fn from(value: *mut T) -> Slot {
        Slot(MaybeUninit::new(value.expose_provenance() as u64))
    }
}

/// Slots for one call: on the stack for calls of at most [`SlotBuffer::INLINE`] slots, else on the heap.
pub struct SlotBuffer {
    inline: Inline,
    heap: Vec<Slot>,
    slots: usize,
}

#[repr(C, align(16))]
struct Inline([Slot; SlotBuffer::INLINE]);

impl SlotBuffer {
    /// How many slots need no allocation.
    pub const INLINE: usize = 32;

    /// A buffer with that many slots, all empty.
    #[inline(always)]
    pub fn new(slots: usize) -> SlotBuffer {
        let heap = if slots > SlotBuffer::INLINE { vec![Slot::EMPTY; slots] } else { Vec::new() };
        SlotBuffer { inline: Inline([Slot::EMPTY; SlotBuffer::INLINE]), heap, slots }
    }

    /// The first slot.
    #[inline(always)]
    pub fn as_mut_ptr(&mut self) -> *mut Slot {
        if self.slots > SlotBuffer::INLINE { self.heap.as_mut_ptr() } else { self.inline.0.as_mut_ptr() }
    }

    /// The slots from `offset` bytes on, as bytes.
    ///
    /// # Panics
    /// Where they are not all within the buffer.
    pub fn bytes_mut(&mut self, offset: usize, size: usize) -> &mut [MaybeUninit<u8>] {
        assert!(offset + size <= 8 * self.slots, "{size} bytes at {offset} of {} slots", self.slots);
        // SAFETY: the bytes lie within the buffer, which is borrowed as long as they are, and need no value.
        unsafe { std::slice::from_raw_parts_mut(self.as_mut_ptr().cast::<MaybeUninit<u8>>().add(offset), size) }
    }

    /// Writes bytes from `offset` bytes on.
    ///
    /// # Panics
    /// As for [`SlotBuffer::bytes_mut`].
    #[inline]
    pub fn write_bytes(&mut self, offset: usize, bytes: &[u8]) {
        let place = self.bytes_mut(offset, bytes.len());
        // SAFETY: there are as many bytes on either side, and the buffer is nobody else's.
        unsafe { place.as_mut_ptr().cast::<u8>().copy_from_nonoverlapping(bytes.as_ptr(), bytes.len()) };
    }
}
