//! Closure entries: the code that C is given the address of, one entry for each closure, and the records that tell an
//! entry what to do.
//!
//! All entries are one and the same piece of code, which finds its own record at a fixed distance. So a page of entries is
//! written once, in a file that is sealed then, and is mapped as often as entries are needed; making a closure writes two
//! words of data and no code.
//!
//! ```text
//!   block                      BLOCK bytes, to run        BLOCK bytes, to read and write
//!                              entry 0                    record 0: code, state
//!                              entry 1                    record 1
//!                              ...                        ...
//!
//!   entry (x86_64)             endbr64; lea r11, [rip + BLOCK - 11]; jmp [r11]
//!   entry (AArch64)            bti c; adr x16, BLOCK - 4; ldr x17, [x16]; br x17
//! ```
//!
//! The record's address is left in r11 or x16, where emitted code looks for it, or in a general argument register, as an
//! argument behind those that C has passed: then the entry can go on at a function of Rust. So there is a kind of block
//! for each of these registers.
//!
//! Blocks stay for as long as the process does. Records that are free again wait in a list, which is taken from and put
//! back to without a lock.

use std::ffi::c_void;
use std::fs::File;
use std::io::{self, Write};
use std::mem::ManuallyDrop;
use std::os::fd::AsRawFd;
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicPtr, AtomicU64, AtomicUsize, Ordering};

use crate::code::fork::{self, CodeGuard, Guarded};
use crate::code::memfd::{self, refused};
use crate::code::unwind::{FrameKind, Registration};
use crate::emit::{ENTRY_SIZE, RECORD_DISTANCE, RecordPlace, page_entry};
use crate::error::{Error, Result};
use crate::trampoline::entry as linked;
use crate::types::Arch;

/// What an entry reads: where to go on, and the closure's state. An entry without a closure goes to
/// [`linked::dead`](crate::trampoline::entry::dead).
#[repr(C, align(16))]
pub(crate) struct Record {
    code: AtomicPtr<c_void>,
    /// Of a free record, the next free one.
    state: AtomicPtr<c_void>,
}

const _: () = assert!(size_of::<Record>() == ENTRY_SIZE, "entry n and record n are equally far into their halves");

impl Record {
    /// Where the state lies in a record, in bytes.
    pub(crate) const STATE: usize = std::mem::offset_of!(Record, state);

    /// The state, as long as there is a closure.
    #[inline(always)]
    pub(crate) fn state(&self) -> *mut c_void {
        self.state.load(Ordering::Relaxed)
    }

    pub(crate) const fn new() -> Record {
        Record {
            code: AtomicPtr::new(linked::dead as *const c_void as *mut c_void),
            state: AtomicPtr::new(ptr::null_mut()),
        }
    }
}

/// Where entries come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pool {
    /// Pages that are mapped at run time, as many as are asked for.
    Mapped(RecordPlace),
    /// The program's own text, which has [`linked::POOL`] of them. They use r11 and x16.
    Linked,
}

/// How many kinds of blocks there are: one for each general argument register, and one more.
const KINDS: usize = if cfg!(target_arch = "x86_64") { 7 } else { 9 };

static MAPPED: [FreeList; KINDS] = [const { FreeList::new() }; KINDS];
static LINKED: FreeList = FreeList::new();

/// Which kind of block has entries with their record there.
fn kind(place: RecordPlace) -> usize {
    match place {
        RecordPlace::Scratch => 0,
        RecordPlace::Argument(number) => 1 + usize::from(number),
    }
}

impl Pool {
    /// An entry that nobody has, for calls to go on at `code` with that state.
    ///
    /// # Errors
    /// [`Error::CodeMemory`] where the system refuses memory, [`Error::ClosureLimit`] where a pool is used up.
    #[inline]
    pub(crate) fn take(self, code: *const c_void, state: *const c_void) -> Result<Entry> {
        let record = match self.free().pop() {
            Some(record) => record,
            None => self.fresh()?,
        };
        let entry = Entry { record, pool: self };
        entry.lead_to(code, state);
        Ok(entry)
    }

    /// An entry that nobody has and that leads to [`linked::dead`](crate::trampoline::entry::dead) as yet.
    ///
    /// # Errors
    /// As for [`Pool::take`].
    pub(crate) fn take_idle(self) -> Result<Entry> {
        self.take(linked::dead as *const c_void, ptr::null())
    }

    /// Makes sure that there is an entry to be taken.
    ///
    /// # Errors
    /// As for [`Pool::take`].
    pub(crate) fn reserve(self) -> Result<()> {
        let record = self.free().pop().map_or_else(|| self.fresh(), Ok)?;
        self.free().push(record);
        Ok(())
    }

    fn free(self) -> &'static FreeList {
        match self {
            Pool::Mapped(place) => &MAPPED[kind(place)],
            Pool::Linked => &LINKED,
        }
    }

    /// A record that was never used.
    #[cold]
    fn fresh(self) -> Result<NonNull<Record>> {
        match self {
            Pool::Mapped(place) => BLOCKS.get(&mut fork::lock())[kind(place)].fresh(place),
            Pool::Linked => {
                static USED: AtomicUsize = AtomicUsize::new(0);
                let count = |used| (used < linked::POOL).then_some(used + 1);
                let used = USED.fetch_update(Ordering::Relaxed, Ordering::Relaxed, count);
                let index = used.map_err(|limit| Error::ClosureLimit { limit })?;
                Ok(NonNull::from(&linked::RECORDS[index]))
            }
        }
    }
}

/// An entry that belongs to a closure.
#[derive(Debug)]
pub(crate) struct Entry {
    record: NonNull<Record>,
    pool: Pool,
}

impl Entry {
    /// Where C enters.
    #[inline]
    pub(crate) fn address(&self) -> *const c_void {
        let record = self.record.as_ptr();
        let address = match self.pool {
            Pool::Mapped(_) => record.addr() - block_size(),
            Pool::Linked => {
                let index = (record.addr() - linked::RECORDS.as_ptr().addr()) / size_of::<Record>();
                linked::pool() + index * linked::ENTRY
            }
        };
        ptr::with_exposed_provenance(address)
    }

    /// Has calls go on at `code` with that state.
    #[inline]
    pub(crate) fn lead_to(&self, code: *const c_void, state: *const c_void) {
        // SAFETY: records live as long as the process.
        let words = unsafe { self.record.as_ref() };
        words.state.store(state.cast_mut(), Ordering::Relaxed);
        words.code.store(code.cast_mut(), Ordering::Release);
    }

    /// Where it comes from.
    pub(crate) fn pool(&self) -> Pool {
        self.pool
    }

    /// Gives the entry away as one word: its record's address.
    pub(crate) fn into_raw(self) -> NonNull<c_void> {
        ManuallyDrop::new(self).record.cast()
    }

    /// Takes it back.
    ///
    /// # Safety
    /// The word is from [`Entry::into_raw`] of an entry of the pool of [`RecordPlace::Scratch`], or of the linked one, and
    /// was not taken back before.
    pub(crate) unsafe fn from_raw(word: NonNull<c_void>) -> Entry {
        let record: NonNull<Record> = word.cast();
        let linked = linked::RECORDS.as_ptr_range().contains(&record.as_ptr().cast_const());
        Entry { record, pool: if linked { Pool::Linked } else { Pool::Mapped(RecordPlace::Scratch) } }
    }

    /// The entry at an address that C may have, if there is one: the linked ones have their place, the others are
    /// known by their code.
    ///
    /// # Safety
    /// There are [`ENTRY_SIZE`] bytes to be read. Where it is an entry, nobody else drops it.
    pub(crate) unsafe fn at(address: *const c_void) -> Option<ManuallyDrop<Entry>> {
        let index = address.addr().wrapping_sub(linked::pool()) / linked::ENTRY;
        if index < linked::POOL {
            return Some(ManuallyDrop::new(Entry {
                record: NonNull::from(&linked::RECORDS[index]),
                pool: Pool::Linked,
            }));
        }
        let place = RecordPlace::Scratch;
        // SAFETY: said by the caller.
        let code = unsafe { address.cast::<[u8; ENTRY_SIZE]>().read_unaligned() };
        let record = NonNull::new(address.cast_mut().wrapping_byte_add(block_size()).cast())?;
        (code == page_entry(Arch::HOST, place, block_size()))
            .then(|| ManuallyDrop::new(Entry { record, pool: Pool::Mapped(place) }))
    }

    /// Has calls that come from now on go to [`linked::dead`](crate::trampoline::entry::dead).
    #[inline]
    pub(crate) fn silence(&self) {
        // SAFETY: records live as long as the process.
        let record = unsafe { self.record.as_ref() };
        record.code.store(linked::dead as *const c_void as *mut c_void, Ordering::Relaxed);
    }
}

impl Drop for Entry {
    #[inline]
    fn drop(&mut self) {
        self.silence();
        self.pool.free().push(self.record);
    }
}

/// Free records, the last one that came first; or other memory that stays, for which a record stands.
///
/// The head is one word: the record's address, which is a multiple of 16 and less than 2^48, and above it a count of
/// changes, by which a thread that was overtaken notices so.
pub(crate) struct FreeList {
    head: AtomicU64,
}

const TAG_SHIFT: u32 = 44;

impl FreeList {
    pub(crate) const fn new() -> FreeList {
        FreeList { head: AtomicU64::new(0) }
    }

    #[inline]
    pub(crate) fn pop(&self) -> Option<NonNull<Record>> {
        let mut head = self.head.load(Ordering::Acquire);
        loop {
            let record = unpack(head)?;
            // SAFETY: records live as long as the process. The word may be of a closure by now: then the head has
            // changed.
            let next = unsafe { record.as_ref() }.state.load(Ordering::Relaxed);
            match self.head.compare_exchange_weak(head, pack(next, head), Ordering::Acquire, Ordering::Acquire) {
                Ok(_) => return Some(record),
                Err(now) => head = now,
            }
        }
    }

    #[inline]
    pub(crate) fn push(&self, record: NonNull<Record>) {
        let mut head = self.head.load(Ordering::Relaxed);
        loop {
            let next = unpack(head).map_or(ptr::null_mut(), NonNull::as_ptr);
            // SAFETY: records live as long as the process.
            unsafe { record.as_ref() }.state.store(next.cast(), Ordering::Relaxed);
            let new = pack(record.as_ptr().cast(), head);
            match self.head.compare_exchange_weak(head, new, Ordering::Release, Ordering::Relaxed) {
                Ok(_) => return,
                Err(now) => head = now,
            }
        }
    }
}

/// The head with another record, one change later.
#[inline(always)]
fn pack(record: *mut c_void, before: u64) -> u64 {
    let tag = (before >> TAG_SHIFT).wrapping_add(1);
    tag << TAG_SHIFT | (record.expose_provenance() as u64 >> 4) & ((1 << TAG_SHIFT) - 1)
}

#[inline(always)]
fn unpack(head: u64) -> Option<NonNull<Record>> {
    let address = (head & ((1 << TAG_SHIFT) - 1)) << 4;
    NonNull::new(ptr::with_exposed_provenance_mut(address as usize))
}

/// Bytes of entries in a block, and of records.
fn block_size() -> usize {
    if cfg!(target_arch = "x86_64") { RECORD_DISTANCE } else { region::page::size().max(RECORD_DISTANCE) }
}

static BLOCKS: Guarded<[Blocks; KINDS]> =
    Guarded::new([const { Blocks { code: None, records: ptr::null_mut(), left: 0, mapped: 0 } }; KINDS]);

/// What new records of a kind are taken from.
struct Blocks {
    /// A block of entries, as all are.
    code: Option<File>,
    /// The next records of the last block that were never used.
    records: *mut Record,
    left: usize,
    /// Bytes mapped so far.
    mapped: usize,
}

// SAFETY: the pointer is into memory of the process, of which this is the only owner.
unsafe impl Send for Blocks {}

impl Blocks {
    fn fresh(&mut self, place: RecordPlace) -> Result<NonNull<Record>> {
        if self.left == 0 {
            self.records = self.map(place)?;
            self.left = block_size() / size_of::<Record>();
        }
        let record = self.records;
        // SAFETY: there are `left` records from there on, which nobody else has.
        unsafe {
            record.write(Record::new());
            self.records = record.add(1);
        }
        self.left -= 1;
        Ok(NonNull::new(record).expect("no mapping starts at address 0"))
    }

    /// Maps a block, and gives its records.
    fn map(&mut self, place: RecordPlace) -> Result<*mut Record> {
        let size = block_size();
        let code = match &self.code {
            Some(code) => code,
            None => self.code.insert(sealed_code(size, place)?),
        };
        let refused = |step| move || Error::CodeMemory { step, source: io::Error::last_os_error() };
        let access = libc::PROT_READ | libc::PROT_WRITE;
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
        let wish = ptr::without_provenance_mut(near_the_engine());
        // SAFETY: new memory, of nobody's: where the wish cannot be granted, the system chooses.
        let start = unsafe { libc::mmap(wish, 2 * size, access, flags, -1, 0) };
        let start = mapped(start).ok_or_else(refused("mmap of closure records"))?;
        let (access, flags) = (libc::PROT_READ | libc::PROT_EXEC, libc::MAP_PRIVATE | libc::MAP_FIXED);
        // SAFETY: replaces the first half of what was just mapped.
        let entries = unsafe { libc::mmap(start, size, access, flags, code.as_raw_fd(), 0) };
        if mapped(entries).is_none() {
            let error = refused("mmap of closure entries")();
            // SAFETY: nobody has seen the memory.
            unsafe { libc::munmap(start, 2 * size) };
            return Err(error);
        }
        let code = NonNull::new(start.cast()).expect("no mapping starts at address 0");
        // SAFETY: entries jump, and touch neither stack pointer nor frame pointer.
        let registration = unsafe { Registration::new(code, size, FrameKind::Frameless)? };
        // The block stays for as long as the process does.
        std::mem::forget(registration);
        self.mapped += 2 * size;
        // SAFETY: the second half of the mapping.
        Ok(unsafe { start.byte_add(size) }.cast())
    }
}

/// Below the engine's own code, where entries jump to: some processors take longer for jumps that go far.
fn near_the_engine() -> usize {
    const AWAY: usize = 32 << 20;
    let engine = (linked::dead as *const c_void).addr();
    engine.saturating_sub(AWAY) & !(block_size() - 1)
}

fn mapped(start: *mut c_void) -> Option<*mut c_void> {
    (start != libc::MAP_FAILED).then_some(start)
}

/// Bytes that are mapped for entries and their records.
pub(crate) fn mapped_bytes(guard: &mut CodeGuard) -> usize {
    BLOCKS.get(guard).iter().map(|blocks| blocks.mapped).sum()
}

/// A file of entries that nobody can change any more.
fn sealed_code(size: usize, place: RecordPlace) -> Result<File> {
    let mut file = memfd::executable(c"jitcall-closures", libc::MFD_ALLOW_SEALING)
        .map_err(refused("memfd_create for closure entries"))?;
    file.write_all(&page_entry(Arch::HOST, place, size).repeat(size / ENTRY_SIZE))
        .map_err(refused("write of closure entries"))?;
    let seals = libc::F_SEAL_WRITE | libc::F_SEAL_SHRINK | libc::F_SEAL_GROW | libc::F_SEAL_SEAL;
    // SAFETY: a plain call on a descriptor of ours.
    match unsafe { libc::fcntl(file.as_raw_fd(), libc::F_ADD_SEALS, seals) } {
        0 => Ok(file),
        _ => Err(refused("sealing of closure entries")(io::Error::last_os_error())),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::thread;

    use super::*;

    /// A place to go on at, which is never entered here.
    fn code(number: usize) -> *const c_void {
        ptr::without_provenance(16 * number + 16)
    }

    fn take(number: usize) -> Entry {
        Pool::Mapped(RecordPlace::Scratch).take(code(number), ptr::without_provenance(number)).unwrap()
    }

    #[test]
    fn entries_are_distinct_and_know_their_records() {
        let entries: Vec<Entry> = (0..10_000).map(take).collect();
        let addresses: HashSet<usize> = entries.iter().map(|entry| entry.address().addr()).collect();
        assert_eq!(addresses.len(), entries.len());
        for (number, entry) in entries.iter().enumerate() {
            // SAFETY: entries can be read, and records live as long as the process.
            let (found, record) =
                unsafe { (entry.address().cast::<[u8; size_of::<Record>()]>().read(), entry.record.as_ref()) };
            assert_eq!(found, page_entry(Arch::HOST, RecordPlace::Scratch, block_size()));
            assert_eq!(record.code.load(Ordering::Relaxed).cast_const(), code(number));
            assert_eq!(record.state.load(Ordering::Relaxed).addr(), number);
        }
    }

    /// That they can be run is what every closure shows.
    #[test]
    fn entries_cannot_be_written_and_records_can() {
        let entry = take(0);
        assert!(!is_writable(entry.address().cast_mut().cast()));
        assert!(is_writable(entry.record.as_ptr().cast()));
    }

    /// Whether the system writes a byte there when asked to: the one that is there.
    fn is_writable(address: *mut u8) -> bool {
        let (reader, mut writer) = io::pipe().unwrap();
        // SAFETY: entries and records can be read, and this test's are nobody else's.
        writer.write_all(&[unsafe { address.read() }]).unwrap();
        // SAFETY: the system checks the address, and the byte stays what it is.
        let written = unsafe { libc::read(reader.as_raw_fd(), address.cast(), 1) };
        assert!(written == 1 || io::Error::last_os_error().raw_os_error() == Some(libc::EFAULT));
        written == 1
    }

    #[test]
    fn free_entries_are_used_again() {
        let first: HashSet<usize> =
            (0..5000).map(take).collect::<Vec<_>>().iter().map(|e| e.address().addr()).collect();
        let mut before = 0;
        for round in 0..20 {
            drop((0..5000).map(take).collect::<Vec<Entry>>());
            let now = mapped_bytes(&mut fork::lock());
            // Other tests take entries meanwhile.
            assert!(round == 0 || now - before <= 8 * block_size(), "{before} {now} {}", first.len());
            before = before.max(now);
        }
    }

    #[test]
    fn threads_never_share_an_entry() {
        thread::scope(|scope| {
            for thread in 0..8 {
                scope.spawn(move || {
                    for round in 0..2000 {
                        let mine: Vec<Entry> = (0..round % 13).map(|index| take(thread << 20 | index)).collect();
                        for (index, entry) in mine.iter().enumerate() {
                            // SAFETY: records live as long as the process.
                            let record = unsafe { entry.record.as_ref() };
                            assert_eq!(record.state.load(Ordering::Relaxed).addr(), thread << 20 | index);
                        }
                    }
                });
            }
        });
    }
}
