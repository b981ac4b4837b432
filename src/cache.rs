//! The cache of stubs: from the shape of a plan to the machine code for it, read without a lock.
//!
//! An open-addressing table of pointers to stubs. The one writer publishes a stub by a releasing store of its pointer;
//! readers acquire it. A table that gets full is replaced by one of twice its size; readers that are still in the old
//! one miss at most the newest stubs, and a miss is repeated under the writer's lock. Old tables stay until the cache
//! is dropped: together they are smaller than the current one.

use std::alloc::{self, Layout};
use std::mem;
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicPtr, AtomicU64, Ordering};

use crate::abi::Shape;
use crate::code::fork::{self, CodeGuard, Guarded};
use crate::engine::StubFunction;
use crate::error::Result;

/// Slots in the first table: a power of two.
const FIRST_TABLE: usize = 64;

/// Words in the first block of stubs, and in the largest, 8 bytes each.
const FIRST_BLOCK: usize = 256;
const LARGEST_BLOCK: usize = 4096;

/// Machine code for a shape.
#[derive(Debug)]
pub(crate) struct Stub {
    hash: u64,
    entry: NonNull<u8>,
    /// The shape's words lie behind the stub.
    words: NonNull<u64>,
    length: usize,
}

// SAFETY: a stub is never changed, and what it points to neither.
unsafe impl Send for Stub {}

// SAFETY: as above.
unsafe impl Sync for Stub {}

impl Stub {
    /// The code, as a function.
    ///
    /// # Safety
    /// It is a call stub's, and the cache outlives the use of the function.
    pub(crate) unsafe fn function(&self) -> StubFunction {
        // SAFETY: the caller vouches for the type.
        unsafe { mem::transmute(self.entry.as_ptr()) }
    }

    /// Where its code starts.
    pub(crate) fn entry(&self) -> NonNull<u8> {
        self.entry
    }

    /// The words of its shape.
    pub(crate) fn words(&self) -> &[u64] {
        // SAFETY: `Blocks::store` has put that many words there, which live as long as the stub.
        unsafe { std::slice::from_raw_parts(self.words.as_ptr(), self.length) }
    }
}

/// What stubs are found by: a shape, taken apart.
#[derive(Clone, Copy)]
struct Key<'a> {
    hash: u64,
    words: &'a [u64],
}

impl<'a> From<&'a Shape> for Key<'a> {
    fn from(shape: &'a Shape) -> Key<'a> {
        Key { hash: shape.hash(), words: shape.words() }
    }
}

impl Key<'_> {
    fn is_of(self, stub: &Stub) -> bool {
        self.hash == stub.hash && self.words == stub.words()
    }
}

/// Stubs by shape.
pub(crate) struct Cache {
    table: AtomicPtr<Table>,
    owned: Guarded<Owned>,
    hits: Counter,
    misses: Counter,
}

/// A count on a cache line of its own: what is read beside it is not disturbed by the counting.
#[repr(align(128))]
#[derive(Default)]
struct Counter(AtomicU64);

/// What the writer keeps, to be freed with the cache.
struct Owned {
    /// All tables, the current one last.
    tables: Vec<NonNull<Table>>,
    blocks: Blocks,
    stubs: usize,
}

// SAFETY: the pointers own what they point to.
unsafe impl Send for Owned {}

impl Cache {
    pub(crate) fn new() -> Cache {
        let table = Table::new(FIRST_TABLE);
        let owned = Owned { tables: vec![table], blocks: Blocks::default(), stubs: 0 };
        Cache {
            table: AtomicPtr::new(table.as_ptr()),
            owned: Guarded::new(owned),
            hits: Counter::default(),
            misses: Counter::default(),
        }
    }

    /// The stub of a shape, made by `make` where there is none yet: its entry. Threads that ask
    /// for one shape at a time all get the same stub.
    ///
    /// # Errors
    /// Those of `make`.
    pub(crate) fn find_or_add(
        &self,
        shape: &Shape,
        make: impl FnOnce(&mut CodeGuard) -> Result<NonNull<u8>>,
    ) -> Result<&Stub> {
        self.find_or_add_key(shape.into(), make)
    }

    /// Look-ups that found a stub, and those that did not.
    pub(crate) fn lookups(&self) -> (u64, u64) {
        (self.hits.0.load(Ordering::Relaxed), self.misses.0.load(Ordering::Relaxed))
    }

    /// The number of stubs, and the bytes that they and the tables take.
    pub(crate) fn size(&self, guard: &mut CodeGuard) -> (usize, usize) {
        let owned = self.owned.get(guard);
        // SAFETY: tables live as long as the cache.
        let slots: usize = owned.tables.iter().map(|table| unsafe { table.as_ref() }.slots.len()).sum();
        (owned.stubs, slots * size_of::<AtomicPtr<Stub>>() + owned.blocks.bytes())
    }

    fn find(&self, key: Key<'_>) -> Option<&Stub> {
        let found = self.table().find(key).ok();
        let count = if found.is_some() { &self.hits } else { &self.misses };
        count.0.fetch_add(1, Ordering::Relaxed);
        found
    }

    fn find_or_add_key(&self, key: Key<'_>, make: impl FnOnce(&mut CodeGuard) -> Result<NonNull<u8>>) -> Result<&Stub> {
        if let Some(stub) = self.find(key) {
            return Ok(stub);
        }
        let mut guard = fork::lock();
        self.make_room(&mut guard);
        match self.table().find(key) {
            Ok(stub) => Ok(stub),
            Err(free) => {
                let entry = make(&mut guard)?;
                Ok(self.insert(&mut guard, free, key, entry))
            }
        }
    }

    /// Enters a stub in the slot that it should have, which is free.
    fn insert(&self, guard: &mut CodeGuard, free: &AtomicPtr<Stub>, key: Key<'_>, entry: NonNull<u8>) -> &Stub {
        let owned = self.owned.get(guard);
        let stub = owned.blocks.store(key, entry);
        owned.stubs += 1;
        free.store(stub.as_ptr(), Ordering::Release);
        // SAFETY: the stub is complete, and lives as long as the cache.
        unsafe { stub.as_ref() }
    }

    /// Replaces a table that is three quarters full.
    fn make_room(&self, guard: &mut CodeGuard) {
        let (owned, table) = (self.owned.get(guard), self.table());
        if owned.stubs < table.slots.len() / 4 * 3 {
            return;
        }
        let larger = Table::new(2 * table.slots.len());
        // SAFETY: the table is new, and lives as long as the cache.
        let slots = unsafe { larger.as_ref() };
        for slot in &table.slots {
            slots.enter(slot.load(Ordering::Relaxed));
        }
        owned.tables.push(larger);
        self.table.store(larger.as_ptr(), Ordering::Release);
    }

    fn table(&self) -> &Table {
        // SAFETY: tables live as long as the cache.
        unsafe { &*self.table.load(Ordering::Acquire) }
    }
}

impl Drop for Cache {
    fn drop(&mut self) {
        for table in self.owned.get_mut().tables.drain(..) {
            // SAFETY: the table is from `Table::new`, and nobody reads the cache any more.
            drop(unsafe { Box::from_raw(table.as_ptr()) });
        }
    }
}

/// Stubs by hash: null where there is none. At least a quarter of the slots is free.
struct Table {
    /// What takes a hash to a slot: 64 less the binary logarithm of their number.
    shift: u32,
    slots: Box<[AtomicPtr<Stub>]>,
}

impl Table {
    fn new(slots: usize) -> NonNull<Table> {
        let shift = 64 - slots.trailing_zeros();
        let slots = (0..slots).map(|_| AtomicPtr::new(ptr::null_mut())).collect();
        NonNull::from(Box::leak(Box::new(Table { shift, slots })))
    }

    /// The stub of that key, or the slot that it should have.
    fn find(&self, key: Key<'_>) -> Result<&Stub, &AtomicPtr<Stub>> {
        for slot in self.probe(key.hash) {
            // SAFETY: a slot's pointer is null or that of a stub that was complete when it was stored. It lives as
            // long as the cache.
            match unsafe { slot.load(Ordering::Acquire).as_ref() } {
                None => return Err(slot),
                Some(stub) if key.is_of(stub) => return Ok(stub),
                Some(_) => {}
            }
        }
        unreachable!("a quarter of the slots is free")
    }

    /// Enters a stub that is in no table of this size yet, while the table has no readers.
    fn enter(&self, pointer: *mut Stub) {
        // SAFETY: null, or from a slot; see `find`.
        let Some(stub) = (unsafe { pointer.as_ref() }) else { return };
        let free = self.probe(stub.hash).find(|slot| slot.load(Ordering::Relaxed).is_null());
        free.expect("a quarter of the slots is free").store(pointer, Ordering::Relaxed);
    }

    /// The slots that a stub of that hash may be in. The first is given by the high bits of a product with 2^64 divided
    /// by the golden ratio, in which all bits of the hash count.
    fn probe(&self, hash: u64) -> impl Iterator<Item = &AtomicPtr<Stub>> {
        let first = (hash.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> self.shift) as usize;
        let (before, after) = self.slots.split_at(first);
        after.iter().chain(before)
    }
}

/// Memory for stubs, one behind the other in blocks, so that each takes no more than its size.
#[derive(Default)]
struct Blocks {
    blocks: Vec<(NonNull<u64>, Layout)>,
    /// Words in the last block, and how many of them are taken.
    words: usize,
    taken: usize,
}

impl Blocks {
    /// Puts a stub down, with the words of its shape behind it.
    fn store(&mut self, key: Key<'_>, entry: NonNull<u8>) -> NonNull<Stub> {
        const HEADER: usize = size_of::<Stub>() / 8;
        let (hash, length) = (key.hash, key.words.len());
        let place = self.take(HEADER + length);
        // SAFETY: `take` gave as many words as are written, aligned to 8 bytes, as a stub is.
        unsafe {
            let words = place.add(HEADER);
            ptr::copy_nonoverlapping(key.words.as_ptr(), words.as_ptr(), length);
            let stub = place.cast::<Stub>();
            stub.write(Stub { hash, entry, words, length });
            stub
        }
    }

    fn take(&mut self, words: usize) -> NonNull<u64> {
        if self.words - self.taken < words {
            self.grow(words);
        }
        let (block, _) = self.blocks[self.blocks.len() - 1];
        // SAFETY: the block has room for `words` more than are taken.
        let place = unsafe { block.add(self.taken) };
        self.taken += words;
        place
    }

    fn grow(&mut self, words: usize) {
        let size = (2 * self.words).clamp(FIRST_BLOCK, LARGEST_BLOCK).max(words);
        let layout = Layout::array::<u64>(size).expect("a shape fits in memory");
        // SAFETY: the layout's size is not 0.
        let block = NonNull::new(unsafe { alloc::alloc(layout) }.cast());
        let block = block.unwrap_or_else(|| alloc::handle_alloc_error(layout));
        self.blocks.push((block, layout));
        (self.words, self.taken) = (size, 0);
    }

    fn bytes(&self) -> usize {
        self.blocks.iter().map(|(_, layout)| layout.size()).sum()
    }
}

impl Drop for Blocks {
    fn drop(&mut self) {
        for (block, layout) in self.blocks.drain(..) {
            // SAFETY: the block is from `grow`, and nobody reads the cache any more.
            unsafe { alloc::dealloc(block.as_ptr().cast(), layout) };
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;
    use std::sync::atomic::{AtomicBool, AtomicUsize};
    use std::thread;

    use super::*;
    use crate::error::Error;

    /// An entry that is never run.
    fn entry(number: usize) -> NonNull<u8> {
        NonNull::without_provenance(std::num::NonZero::new(16 * number + 16).unwrap())
    }

    /// The words of a shape, told apart by a number.
    fn words(number: usize) -> Vec<u64> {
        (0..1 + number % 9).map(|index| (number * 64 + index) as u64).collect()
    }

    fn key(words: &[u64], hash: impl Fn(u64) -> u64) -> Key<'_> {
        Key { hash: hash(words[0]), words }
    }

    /// Ways to hash: well, and so badly that most or all shapes collide.
    const HASHES: [fn(u64) -> u64; 4] =
        [|word| word.wrapping_mul(0xf135_7aea_2e62_a9c5).rotate_left(26), |word| word, |word| word % 3, |_| 7];

    #[test]
    fn finds_what_was_entered_whatever_the_hash() {
        for (hash, count) in HASHES.into_iter().zip([5000, 5000, 600, 600]) {
            let cache = Cache::new();
            let all: Vec<Vec<u64>> = (0..count).map(words).collect();
            for (number, words) in all.iter().enumerate() {
                assert!(cache.find(key(words, hash)).is_none());
                let stub = cache.find_or_add_key(key(words, hash), |_| Ok(entry(number))).unwrap();
                assert_eq!((stub.entry, stub.words()), (entry(number), &words[..]));
            }
            for (number, words) in all.iter().enumerate() {
                let stub = cache.find_or_add_key(key(words, hash), |_| unreachable!("it is there")).unwrap();
                assert_eq!((stub.entry, stub.words()), (entry(number), &words[..]));
            }
            let (count, looked_up) = (count as u64, cache.lookups());
            assert_eq!(looked_up, (count, 2 * count));
            assert_eq!(cache.size(&mut fork::lock()).0 as u64, count);
        }
    }

    #[test]
    fn shapes_with_a_common_start_differ() {
        let cache = Cache::new();
        let longest: Vec<u64> = (0..20).collect();
        for length in 0..=20 {
            let key = Key { hash: 1, words: &longest[..length] };
            assert_eq!(cache.find_or_add_key(key, |_| Ok(entry(length))).unwrap().entry, entry(length));
        }
        assert_eq!(cache.size(&mut fork::lock()).0, 21);
    }

    #[test]
    fn threads_that_ask_for_one_shape_get_one_stub() {
        const THREADS: usize = 8;
        const SHAPES: usize = 400;
        for hash in HASHES {
            let (cache, made, start) = (Cache::new(), AtomicUsize::new(0), Barrier::new(THREADS));
            let ask = || {
                start.wait();
                let make = |_: &mut CodeGuard| Ok(entry(made.fetch_add(1, Ordering::Relaxed)));
                let get =
                    |number| ptr::from_ref(cache.find_or_add_key(key(&words(number), hash), make).unwrap()).addr();
                (0..SHAPES).map(get).collect::<Vec<usize>>()
            };
            let answers: Vec<Vec<usize>> = thread::scope(|scope| {
                let threads: Vec<_> = (0..THREADS).map(|_| scope.spawn(ask)).collect();
                threads.into_iter().map(|thread| thread.join().unwrap()).collect()
            });
            assert!(answers.iter().all(|answer| *answer == answers[0]));
            assert_eq!(made.into_inner(), SHAPES);
        }
    }

    #[test]
    fn readers_see_whole_stubs_while_tables_grow() {
        const WRITERS: usize = 3;
        const SHAPES: usize = 4000;
        for hash in &HASHES[..2] {
            let (cache, done) = (Cache::new(), AtomicBool::new(false));
            let write = |writer| {
                for number in (writer..SHAPES).step_by(WRITERS) {
                    cache.find_or_add_key(key(&words(number), hash), |_| Ok(entry(number))).unwrap();
                    let stub = cache.find(key(&words(number), hash)).expect("a thread sees its own stubs");
                    assert_eq!(stub.entry, entry(number));
                }
            };
            let read = || {
                let mut seen = vec![false; SHAPES];
                while !done.load(Ordering::Relaxed) {
                    for (number, seen) in seen.iter_mut().enumerate() {
                        match cache.find(key(&words(number), hash)) {
                            Some(stub) => {
                                assert_eq!((stub.entry, stub.words()), (entry(number), &words(number)[..]));
                                *seen = true;
                            }
                            None => assert!(!*seen, "what was there stays there"),
                        }
                    }
                }
            };
            thread::scope(|scope| {
                let readers = [scope.spawn(read), scope.spawn(read)];
                let writers: Vec<_> = (0..WRITERS).map(|writer| scope.spawn(move || write(writer))).collect();
                writers.into_iter().for_each(|thread| thread.join().unwrap());
                done.store(true, Ordering::Relaxed);
                readers.into_iter().for_each(|thread| thread.join().unwrap());
            });
            assert!((0..SHAPES).all(|number| cache.find(key(&words(number), hash)).is_some()));
        }
    }

    #[test]
    fn failures_leave_nothing_behind() {
        let cache = Cache::new();
        let words = words(3);
        let key = key(&words, HASHES[0]);
        let failed = cache.find_or_add_key(key, |_| Err(Error::unsupported("this once")));
        assert!(matches!(failed, Err(Error::Unsupported { .. })));
        assert_eq!(cache.size(&mut fork::lock()).0, 0);
        assert_eq!(cache.find_or_add_key(key, |_| Ok(entry(1))).unwrap().entry, entry(1));
    }

    #[test]
    fn old_tables_take_less_than_the_current_one() {
        let cache = Cache::new();
        for number in 0..10_000 {
            cache.find_or_add_key(key(&words(number), HASHES[0]), |_| Ok(entry(number))).unwrap();
            let mut guard = fork::lock();
            let owned = cache.owned.get(&mut guard);
            // SAFETY: tables live as long as the cache.
            let slots = |table: &NonNull<Table>| unsafe { table.as_ref() }.slots.len();
            let old: usize = owned.tables.iter().rev().skip(1).map(slots).sum();
            assert!(old < cache.table().slots.len());
            assert!(owned.stubs <= cache.table().slots.len() / 4 * 3);
        }
    }
}
