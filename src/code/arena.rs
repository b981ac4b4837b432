//! The memory that machine code lives in: never writable and executable through one mapping, and never moved.
//!
//! Memory comes in chunks. Each is a file without a name (`memfd_create`) that is mapped twice: to write and to run.
//! Once a chunk is full, its writable view goes. The executable views stay as they are until the arena is dropped.
//!
//! Code with one kind of frame does not share a chunk with other code, so that one unwind table serves each: see
//! [`unwind`](super::unwind).

use std::ffi::CStr;
use std::io;
use std::mem::ManuallyDrop;
use std::ptr::{self, NonNull};

use memmap2::{Advice, Mmap, MmapMut, MmapOptions};
use region::Protection;

use super::fork::Generation;
use super::icache;
use super::memfd::{self, refused};
use super::unwind::{FrameKind, Registration};
use crate::error::{Error, Result};

/// What entries are aligned to, in bytes: what both architectures' optimisation guides ask of branch targets. Where there
/// are loops, these are laid out by lines of the instruction cache.
fn entry_align(kind: FrameKind) -> usize {
    match kind {
        FrameKind::Frameless | FrameKind::Framed => 16,
        FrameKind::Saving => 64,
    }
}

/// How large chunks grow, in bytes, starting from a page and doubling. Code of more than a quarter of that gets a chunk
/// of its own.
fn largest_chunk() -> usize {
    region::page::size().max(64 << 10)
}

/// What an entry takes, in bytes.
fn entry_size(code: &[u8], kind: FrameKind) -> usize {
    code.len().max(1).next_multiple_of(entry_align(kind))
}

/// What shows up in `/proc/self/maps`, as `/memfd:jitcall (deleted)`.
const NAME: &CStr = c"jitcall";

/// Machine code, written by one thread at a time: the holder of [`fork::lock`](super::fork::lock).
#[derive(Debug)]
pub(crate) struct Arena {
    limit: usize,
    used: usize,
    mapped: usize,
    /// One for each kind of code.
    pools: [Pool; FrameKind::COUNT],
    /// The views that code runs in, of all chunks.
    executable: Vec<ExecutableView>,
}

impl Arena {
    /// An arena that will map at most `limit` bytes to run code in. It maps nothing yet.
    pub(crate) fn new(limit: usize) -> Arena {
        Arena { limit, used: 0, mapped: 0, pools: std::array::from_fn(|_| Pool::new()), executable: Vec::new() }
    }

    /// Copies position-independent code in, and gives the address that it runs at. There it stays until the arena is
    /// dropped. Unwinders take its frames for what `kind` says.
    ///
    /// # Errors
    /// [`Error::CodeLimit`] at the arena's limit, [`Error::CodeMemory`] where the system refuses memory.
    pub(crate) fn add(&mut self, code: &[u8], kind: FrameKind) -> Result<NonNull<u8>> {
        let size = entry_size(code, kind);
        self.leave_to_other_processes();
        if size > largest_chunk() / 4 {
            return Ok(self.map(size, size, kind)?.write(code, size, &mut self.used));
        }
        let pool = kind as usize;
        let chunk = match &mut self.pools[pool].open {
            Some(chunk) if chunk.room() >= size => chunk,
            _ => {
                let chunk = self.map(size, self.pools[pool].next_chunk, kind)?;
                self.pools[pool].put(chunk)
            }
        };
        Ok(chunk.write(code, size, &mut self.used))
    }

    /// Makes sure that code can be had and runs: adds a function that returns a number, and calls it.
    ///
    /// # Errors
    /// As for [`Arena::add`].
    pub(crate) fn probe(&mut self) -> Result<()> {
        const ANSWER: u16 = 0x6a63;
        let entry = self.add(&probe_code(ANSWER), FrameKind::Frameless)?;
        // SAFETY: the code is that of a function of this type.
        let function: extern "C" fn() -> u32 = unsafe { std::mem::transmute(entry.as_ptr()) };
        let answer = function();
        if answer == u32::from(ANSWER) {
            return Ok(());
        }
        let what = format!("a function that returns {ANSWER} returned {answer}");
        Err(Error::CodeMemory { step: "running a function in it", source: io::Error::other(what) })
    }

    /// Bytes that entries take, with the traps that fill them up.
    pub(crate) fn used(&self) -> usize {
        self.used
    }

    /// Bytes that are mapped to run code in.
    pub(crate) fn mapped(&self) -> usize {
        self.mapped
    }

    /// The most that may be mapped, in bytes.
    pub(crate) fn limit(&self) -> usize {
        self.limit
    }

    /// Asks the system how the arena is mapped, and compares that with what it should be.
    ///
    /// # Errors
    /// [`Error::CodeMemory`] with the first mapping that is other than it should be.
    pub(crate) fn audit(&self) -> Result<()> {
        for ExecutableView { map, .. } in &self.executable {
            check_protection(map.as_ptr(), map.len(), Protection::READ_EXECUTE)?;
        }
        for Chunk { view, .. } in self.pools.iter().flat_map(|pool| &pool.open) {
            if view.mapped_in.is_of_this_process() {
                check_protection(view.map.as_ptr(), view.map.len(), Protection::READ_WRITE)?;
            }
        }
        Ok(())
    }

    /// After a fork, shares no chunk that is still written to with the other process.
    fn leave_to_other_processes(&mut self) {
        for pool in &mut self.pools {
            if pool.open.as_ref().is_some_and(|chunk| chunk.view.mapped_in != Generation::now()) {
                *pool = Pool::new();
            }
        }
    }

    /// Maps a chunk with room for `size` bytes, and for `preferred` bytes where the limit allows.
    fn map(&mut self, size: usize, preferred: usize, kind: FrameKind) -> Result<Chunk> {
        let page = region::page::size();
        let room = (self.limit - self.mapped) / page * page;
        let length = size.max(preferred).next_multiple_of(page).min(room);
        if length < size {
            return Err(Error::CodeLimit { limit: self.limit, used: self.mapped, needed: size });
        }
        let (view, map) = map_twice(length)?;
        let start = NonNull::new(map.as_ptr().cast_mut()).expect("no mapping starts at address 0");
        // SAFETY: code of that kind alone is going to be in the chunk, whose view outlives the registration.
        let registration = unsafe { Registration::new(start, length, kind) }?;
        self.mapped += length;
        self.executable.push(ExecutableView { registration, map });
        Ok(Chunk { view, start, filled: 0 })
    }
}

/// Where code of one kind goes next.
#[derive(Debug)]
struct Pool {
    /// Bytes in the next chunk.
    next_chunk: usize,
    /// The chunk that has room left.
    open: Option<Chunk>,
}

impl Pool {
    fn new() -> Pool {
        Pool { next_chunk: region::page::size(), open: None }
    }

    /// Puts a chunk in place of the open one; the next will be twice as large.
    fn put(&mut self, chunk: Chunk) -> &mut Chunk {
        self.next_chunk = (2 * self.next_chunk).min(largest_chunk());
        self.open.insert(chunk)
    }
}

/// What code runs in.
#[derive(Debug)]
struct ExecutableView {
    /// How to unwind what runs there; it stands before the mapping, and so it is dropped before.
    #[expect(dead_code, reason = "kept for what its drop does")]
    registration: Registration,
    map: Mmap,
}

/// A chunk that has a writable view.
#[derive(Debug)]
struct Chunk {
    view: WritableView,
    /// Where the executable view starts.
    start: NonNull<u8>,
    /// Bytes that are taken.
    filled: usize,
}

// SAFETY: the address is that of memory which belongs to the arena that owns the chunk, not to a thread.
unsafe impl Send for Chunk {}

impl Chunk {
    fn room(&self) -> usize {
        self.view.map.len() - self.filled
    }

    /// Writes an entry that takes `size` bytes, for which there is room, and adds them to `used`.
    fn write(&mut self, code: &[u8], size: usize, used: &mut usize) -> NonNull<u8> {
        assert!(size <= self.room());
        // SAFETY: both views are mappings of the same memory, `filled + size` bytes of which there are. Nobody reads
        // what is above `filled`, since no address there was given to anyone.
        let entry = unsafe {
            let place = self.view.map.as_mut_ptr().add(self.filled);
            let entry = self.start.add(self.filled);
            ptr::copy_nonoverlapping(code.as_ptr(), place, code.len());
            icache::publish(place, entry.as_ptr(), code.len());
            entry
        };
        self.filled += size;
        *used += size;
        entry
    }
}

/// A writable view. A child does not inherit it.
#[derive(Debug)]
struct WritableView {
    map: ManuallyDrop<MmapMut>,
    mapped_in: Generation,
}

impl Drop for WritableView {
    fn drop(&mut self) {
        // In a child there is nothing to unmap, and by now those addresses may be somebody else's.
        if self.mapped_in.is_of_this_process() {
            // SAFETY: nothing uses the field afterwards.
            unsafe { ManuallyDrop::drop(&mut self.map) };
        }
    }
}

/// Gets memory that is filled with traps, mapped to write and to run.
fn map_twice(length: usize) -> Result<(WritableView, Mmap)> {
    let file = memfd::executable(NAME, 0).map_err(refused("memfd_create"))?;
    file.set_len(length as u64).map_err(refused("ftruncate"))?;
    // SAFETY: nobody else knows the file, so nobody changes or truncates it.
    let executable = unsafe { MmapOptions::new().len(length).map_exec(&file) }.map_err(refused("mmap to execute"))?;
    let mapped_in = Generation::now();
    // SAFETY: as before. Instructions that are read while the writer writes are above what was given to anyone.
    let map = unsafe { MmapOptions::new().len(length).map_mut(&file) }.map_err(refused("mmap to write"))?;
    let mut view = WritableView { map: ManuallyDrop::new(map), mapped_in };
    view.map.advise(Advice::DontFork).map_err(refused("madvise MADV_DONTFORK"))?;
    if icache::TRAP != 0 {
        view.map.fill(icache::TRAP);
    }
    Ok((view, executable))
}

fn check_protection(start: *const u8, length: usize, expected: Protection) -> Result<()> {
    let wrong = |what: String| Error::CodeMemory { step: "audit", source: io::Error::other(what) };
    let regions = region::query_range(start, length).map_err(|error| wrong(error.to_string()))?;
    for region in regions {
        let region = region.map_err(|error| wrong(error.to_string()))?;
        if region.protection() != expected || !region.is_shared() {
            let (range, found) = (region.as_range(), region.protection());
            return Err(wrong(format!("{range:x?} is mapped {found:?}, not {expected:?}")));
        }
    }
    Ok(())
}

/// `uint32_t f(void) { return answer; }`
#[cfg(target_arch = "x86_64")]
fn probe_code(answer: u16) -> [u8; 10] {
    let [low, high] = answer.to_le_bytes();
    // endbr64; mov eax, answer; ret
    [0xf3, 0x0f, 0x1e, 0xfa, 0xb8, low, high, 0, 0, 0xc3]
}

/// `uint32_t f(void) { return answer; }`
#[cfg(target_arch = "aarch64")]
fn probe_code(answer: u16) -> [u8; 12] {
    // bti c; mov w0, answer; ret
    let words = [0xd503_245f_u32, 0x5280_0000 | u32::from(answer) << 5, 0xd65f_03c0];
    let mut code = [0; 12];
    for (bytes, word) in code.chunks_exact_mut(4).zip(words) {
        bytes.copy_from_slice(&word.to_le_bytes());
    }
    code
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};

    use super::*;
    use crate::code::fork::testing::{Child, code_mappings, system_leaves_out_mappings, system_wipes_mappings};
    use crate::code::{fork, unwind};

    const LIMIT: usize = 1 << 20;

    use FrameKind::{Framed, Frameless};

    /// Code of `length` bytes that tells which it is.
    fn code(length: usize, seed: usize) -> Vec<u8> {
        (0..length).map(|index| (31 * seed + 7 * index + 1) as u8 | 1).collect()
    }

    /// Bytes of code memory.
    fn bytes<'a>(start: NonNull<u8>, length: usize) -> &'a [u8] {
        // SAFETY: the tests ask for what lies in a chunk of an arena that still lives, and drop the slice before they
        // write there.
        unsafe { std::slice::from_raw_parts(start.as_ptr(), length) }
    }

    fn writable_view(arena: &Arena) -> usize {
        arena.pools[Frameless as usize].open.as_ref().unwrap().view.map.as_ptr().addr()
    }

    #[test]
    fn entries_stay_where_and_as_they_are() {
        let guard = fork::lock();
        let mut arena = Arena::new(LIMIT);
        let mut entries = Vec::new();
        let lengths = [1, 15, 16, 17, 31, 100, 1000, 3, 20_000, 64, 4096, 70_000, 5, 0];
        for (index, length) in lengths.into_iter().cycle().take(70).enumerate() {
            let code = code(length, index);
            entries.push((arena.add(&code, Frameless).unwrap(), code));
        }
        let mut used = 0;
        for (entry, code) in &entries {
            let size = code.len().max(1).next_multiple_of(16);
            assert!(entry.addr().get().is_multiple_of(16));
            assert_eq!(bytes(*entry, code.len()), code);
            assert!(bytes(*entry, size)[code.len()..].iter().all(|byte| *byte == icache::TRAP));
            used += size;
        }
        assert_eq!(arena.used(), used);
        assert!(arena.mapped() >= used && arena.mapped().is_multiple_of(region::page::size()));
        arena.audit().unwrap();
        drop(guard);
    }

    #[test]
    fn no_view_is_writable_and_executable() {
        let guard = fork::lock();
        let mut arena = Arena::new(LIMIT);
        let mut writable_before = None;
        for chunks in 1..=7 {
            while arena.executable.len() < chunks {
                arena.add(&code(256, chunks), Frameless).unwrap();
            }
            let writable = writable_view(&arena);
            assert_eq!(region::query(writable as *const u8).unwrap().protection(), Protection::READ_WRITE);
            for view in &arena.executable {
                assert_eq!(region::query(view.map.as_ptr()).unwrap().protection(), Protection::READ_EXECUTE);
            }
            arena.audit().unwrap();
            // While the lock is held, nobody else maps code memory; what is mapped may go.
            let mapped = code_mappings("rw-s");
            assert!(mapped.contains(&writable));
            assert!(writable_before.is_none_or(|view| view == writable || !mapped.contains(&view)));
            for permissions in ["rwxs", "-wxs", "rwxp", "rw-p", "r-xp"] {
                assert_eq!(code_mappings(permissions), [0; 0], "{permissions}");
            }
            writable_before = Some(writable);
        }
        let executable: Vec<usize> = arena.executable.iter().map(|view| view.map.as_ptr().addr()).collect();
        let mapped = code_mappings("r-xs");
        assert!(executable.iter().all(|view| mapped.contains(view)));
        drop(arena);
        let mapped = code_mappings("r-xs");
        assert!(executable.iter().all(|view| !mapped.contains(view)));
        assert!(writable_before.is_some_and(|view| !code_mappings("rw-s").contains(&view)));
        drop(guard);
    }

    #[test]
    fn unwinder_knows_every_chunk_by_its_kind() {
        let guard = fork::lock();
        let mut arena = Arena::new(LIMIT);
        let mut entries = Vec::new();
        for (index, length) in [48, 48, 48, 5000, 40_000, 40_000, 100].into_iter().enumerate() {
            let kind = if index % 2 == 0 { Frameless } else { Framed };
            entries.push((arena.add(&code(length, index), kind).unwrap(), length, kind));
        }
        for &(entry, length, kind) in &entries {
            let known = unwind::testing::registered(entry).expect("it is registered");
            let view =
                arena.executable.iter().find(|view| view.map.as_ptr_range().contains(&(entry.as_ptr().cast_const())));
            assert_eq!(known, (view.unwrap().map.as_ptr().addr() as u64, view.unwrap().map.len() as u64));
            assert_eq!(
                unwind::testing::registered(entry.map_addr(|address| address.saturating_add(length - 1))),
                Some(known)
            );
            let shares = |(other, _, of): &(NonNull<u8>, usize, FrameKind)| {
                *of != kind && unwind::testing::registered(*other) == Some(known)
            };
            assert!(!entries.iter().any(shares), "no chunk has code of both kinds");
        }
        let child = Child::fork(|| {
            assert!(entries.iter().all(|(entry, ..)| unwind::testing::registered(*entry).is_some()));
            let new = arena.add(&code(48, 9), Framed).unwrap();
            assert!(unwind::testing::registered(new).is_some());
            drop(arena);
            assert!(entries.iter().all(|(entry, ..)| unwind::testing::registered(*entry).is_none()));
        });
        child.join();
        drop(guard);
    }

    #[test]
    fn audit_finds_a_view_of_other_protection() {
        let guard = fork::lock();
        let mut arena = Arena::new(LIMIT);
        arena.add(&[1], Frameless).unwrap();
        let (start, length) = (arena.executable[0].map.as_ptr(), arena.executable[0].map.len());
        // SAFETY: the only code in there is not run.
        unsafe { region::protect(start, length, Protection::READ) }.unwrap();
        assert!(matches!(arena.audit(), Err(Error::CodeMemory { step: "audit", .. })));
        drop(guard);
    }

    #[test]
    fn chunks_double_and_large_code_has_its_own() {
        let guard = fork::lock();
        let page = region::page::size();
        let mut arena = Arena::new(64 << 20);
        let mut expected = page;
        let mut mapped = 0;
        for _ in 0..8 {
            while arena.mapped() == mapped {
                arena.add(&code(64, 0), Frameless).unwrap();
            }
            assert_eq!(arena.mapped() - mapped, expected);
            mapped = arena.mapped();
            expected = (2 * expected).min(largest_chunk());
        }
        let (view, large) = (writable_view(&arena), largest_chunk() / 4 + 1);
        arena.add(&code(large, 1), Frameless).unwrap();
        assert_eq!(arena.mapped() - mapped, large.next_multiple_of(page));
        assert_eq!(writable_view(&arena), view, "small code still goes to the chunk that was open");
        drop(guard);
    }

    #[test]
    fn limit_is_kept_and_used_up() {
        let guard = fork::lock();
        let page = region::page::size();
        for limit in [0, 1, page - 1, page, page + 1, 3 * page, 6 * page - 1, 40 * page] {
            let mut arena = Arena::new(limit);
            let error = loop {
                if let Err(error) = arena.add(&code(48, 0), Frameless) {
                    break error;
                }
            };
            let room = limit / page * page;
            assert_eq!((arena.mapped(), arena.limit()), (room, limit));
            assert!(arena.used() + 48 * arena.executable.len() >= room);
            let Error::CodeLimit { limit: at, used, needed } = error else { panic!("{error}") };
            assert_eq!((at, used, needed), (limit, room, 48));
        }
        let mut arena = Arena::new(2 * page);
        arena.add(&code(16, 0), Frameless).unwrap();
        assert!(matches!(arena.add(&code(page + largest_chunk() / 4 + 1, 0), Frameless), Err(Error::CodeLimit { .. })));
        arena.add(&code(16, 0), Frameless).expect("what fits still gets in");
        drop(guard);
    }

    #[test]
    fn probe_runs_code() {
        let guard = fork::lock();
        let mut arena = Arena::new(LIMIT);
        arena.probe().unwrap();
        assert_eq!(arena.used(), 16);
        assert!(matches!(Arena::new(region::page::size() - 1).probe(), Err(Error::CodeLimit { .. })));
        drop(guard);
    }

    #[test]
    fn refusals_are_reported() {
        let child = Child::fork(|| {
            let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
            // SAFETY: plain calls; descriptors that are open stay open.
            unsafe {
                assert_eq!(libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit), 0);
                limit.rlim_cur = 0;
                assert_eq!(libc::setrlimit(libc::RLIMIT_NOFILE, &limit), 0);
            }
            let Err(Error::CodeMemory { step, source }) = Arena::new(LIMIT).probe() else {
                panic!("no descriptor is left")
            };
            assert_eq!((step, source.raw_os_error()), ("memfd_create", Some(libc::EMFILE)));
        });
        child.join();
    }

    #[test]
    fn refusal_of_new_executable_memory_by_prctl_is_no_obstacle() {
        // Linux 6.3; libc has no names for these yet.
        const PR_SET_MDWE: libc::c_int = 65;
        const PR_MDWE_REFUSE_EXEC_GAIN: libc::c_ulong = 1;
        let child = Child::fork(|| {
            // SAFETY: only this child loses the right to make memory executable.
            if unsafe { libc::prctl(PR_SET_MDWE, PR_MDWE_REFUSE_EXEC_GAIN, 0, 0, 0) } != 0 {
                eprintln!("not checked: the system does not know PR_SET_MDWE");
                return;
            }
            Arena::new(LIMIT).probe().expect("no mapping gains the right to execute");
        });
        child.join();
    }

    #[test]
    fn neither_side_of_a_fork_sees_the_other_sides_code() {
        const OLD: usize = 160;
        let guard = fork::lock();
        let mut arena = Arena::new(LIMIT);
        let old = arena.add(&code(OLD, 0), Frameless).unwrap();
        let open = arena.executable[0].map.len();
        let untouched = |arena: &Arena| {
            assert_eq!(bytes(old, OLD), code(OLD, 0));
            assert!(bytes(old, open)[OLD..].iter().all(|byte| *byte == icache::TRAP));
            arena.audit().unwrap();
        };
        let (mut parent_end, mut child_end) = std::os::unix::net::UnixStream::pair().unwrap();
        let child = Child::fork(|| {
            let new = arena.add(&code(300, 1), Frameless).unwrap();
            arena.add(&code(300, 2), Frameless).unwrap();
            assert_eq!(arena.executable.len(), 2);
            child_end.write_all(b"c").unwrap();
            child_end.read_exact(&mut [0]).unwrap();
            assert_eq!(bytes(new, 300), code(300, 1));
            untouched(&arena);
        });
        parent_end.read_exact(&mut [0]).unwrap();
        assert_eq!(arena.executable.len(), 1, "a fork alone maps nothing");
        let new = arena.add(&code(300, 3), Frameless).unwrap();
        arena.add(&code(300, 4), Frameless).unwrap();
        assert_eq!(arena.executable.len(), 2);
        parent_end.write_all(b"p").unwrap();
        child.join();
        assert_eq!(bytes(new, 300), code(300, 3));
        untouched(&arena);
        drop(guard);
    }

    #[test]
    fn child_has_no_writable_view_of_its_parents() {
        let honoured = system_leaves_out_mappings();
        let guard = fork::lock();
        let mut arena = Arena::new(LIMIT);
        let old = arena.add(&code(64, 0), Frameless).unwrap();
        let view = writable_view(&arena);
        let child = Child::fork(|| {
            if honoured {
                assert_eq!(code_mappings("rw-s"), [0; 0]);
            }
            let new = arena.add(&code(64, 1), Frameless).unwrap();
            if !honoured {
                eprintln!("MADV_DONTFORK has no effect here: checked instead that the child writes to its own chunk");
                assert_ne!(writable_view(&arena), view);
            }
            assert_eq!(arena.executable.len(), 2);
            assert!(bytes(old, region::page::size())[64..].iter().all(|byte| *byte == icache::TRAP));
            assert_eq!(bytes(new, 64), code(64, 1));
        });
        child.join();
        arena.audit().unwrap();
        drop(guard);
    }

    #[test]
    fn child_leaves_alone_what_took_the_place_of_an_inherited_view() {
        if !system_leaves_out_mappings() {
            eprintln!("not checked: MADV_DONTFORK has no effect here, so nothing can take that place");
            return;
        }
        let guard = fork::lock();
        let mut arena = Arena::new(LIMIT);
        arena.add(&[1], Frameless).unwrap();
        let (view, length) = (writable_view(&arena), arena.mapped());
        let child = Child::fork(move || {
            let protection = libc::PROT_READ | libc::PROT_WRITE;
            let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_FIXED_NOREPLACE;
            // SAFETY: replaces no mapping.
            let taken = unsafe { libc::mmap(view as *mut libc::c_void, length, protection, flags, -1, 0) };
            if taken.addr() != view {
                eprintln!("not checked: the place of the inherited view is not given to others here");
                return;
            }
            arena.add(&[2], Frameless).unwrap();
            drop(arena);
            assert_eq!(region::query(view as *const u8).unwrap().protection(), Protection::READ_WRITE);
        });
        child.join();
        drop(guard);
    }

    #[test]
    fn child_without_handlers_writes_to_its_own_chunk() {
        if !system_wipes_mappings() {
            eprintln!("not checked: MADV_WIPEONFORK has no effect here, so such children are not told apart");
            return;
        }
        // The first child has one thread, so that its own child may allocate.
        let child = Child::fork(|| {
            let mut arena = Arena::new(LIMIT);
            let guard = fork::lock();
            let old = arena.add(&code(64, 0), Frameless).unwrap();
            drop(guard);
            // SAFETY: this process has one thread.
            let grandchild = unsafe {
                Child::clone(|| {
                    let new = arena.add(&code(64, 1), Frameless).unwrap();
                    assert_eq!(bytes(new, 64), code(64, 1));
                    assert_eq!(arena.executable.len(), 2);
                })
            };
            grandchild.join();
            assert!(bytes(old, region::page::size())[64..].iter().all(|byte| *byte == icache::TRAP));
            arena.add(&code(64, 2), Frameless).unwrap();
            assert_eq!(arena.executable.len(), 1);
        });
        child.join();
    }
}
