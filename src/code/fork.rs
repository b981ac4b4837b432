//! Machine code and `fork`: the process-wide writer's lock, and telling which memory is from before a fork.
//!
//! A child inherits the memory of the whole process, but of its threads only the one that called `fork`. What another
//! thread had locked would stay locked for ever, and what it was half through writing would stay half written. So all
//! who write machine code, in whichever engine, take one lock, and handlers of `pthread_atfork` hold that lock across
//! every `fork`.
//!
//! `clone(2)`, called without the C library, runs no handlers. A page that the kernel wipes in every child
//! (`MADV_WIPEONFORK`, Linux 4.14) tells such a child what it is; its parent learns nothing.

use std::cell::{Cell, UnsafeCell};
use std::sync::atomic::{AtomicPtr, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, Once, PoisonError};
use std::{io, ptr};

use memmap2::{MmapMut, MmapOptions};

static LOCK: Mutex<()> = Mutex::new(());

/// The writer's lock while its holder is `fork` itself.
static ACROSS_FORK: AcrossFork = AcrossFork(UnsafeCell::new(None));

struct AcrossFork(UnsafeCell<Option<MutexGuard<'static, ()>>>);

// SAFETY: the cell belongs to the thread that holds the lock. That thread also takes the guard out again, which no
// other might drop: the handlers of one `fork` run on one thread, or on its copy in the child.
unsafe impl Sync for AcrossFork {}

/// Forks that this process or its ancestors took part in, as far as they had handlers.
static FORKS: AtomicU64 = AtomicU64::new(0);

/// Of these, the forks in which the process that now runs was the child.
static BIRTHS: AtomicU64 = AtomicU64::new(0);

/// A word that reads 0 in a new child and 1 after that; null where the kernel does not wipe pages.
static WITNESS: AtomicPtr<AtomicU64> = AtomicPtr::new(ptr::null_mut());

thread_local! {
    /// Whether this thread holds the lock: it may be in `fork` by way of a signal handler.
    static HOLDING: Cell<bool> = const { Cell::new(false) };
}

/// The right to write machine code, and to enter it in a cache. At most one exists in the process.
pub(crate) struct CodeGuard {
    _lock: MutexGuard<'static, ()>,
}

impl Drop for CodeGuard {
    fn drop(&mut self) {
        HOLDING.set(false);
    }
}

/// Has every `fork` from now on wait for the lock. Where the first to take the lock has this done, a `fork` at that very
/// moment may be past its handlers.
pub(crate) fn prepare() {
    static INSTALL: Once = Once::new();
    INSTALL.call_once(install);
}

/// Waits for the right to write machine code. Not reentrant.
///
/// A writer that panicked has published nothing half done, so its panic does not stop the next one.
pub(crate) fn lock() -> CodeGuard {
    prepare();
    let lock = LOCK.lock().unwrap_or_else(PoisonError::into_inner);
    HOLDING.set(true);
    CodeGuard { _lock: lock }
}

/// Waits for the right to write machine code, unless this thread has it already.
pub(crate) fn lock_unless_held() -> Option<CodeGuard> {
    (!HOLDING.get()).then(lock)
}

/// Data that only the holder of the writer's lock may touch.
pub(crate) struct Guarded<T>(UnsafeCell<T>);

// SAFETY: access goes through the only `CodeGuard` there is, so threads take turns, as with `Mutex<T>`.
unsafe impl<T: Send> Sync for Guarded<T> {}

impl<T> Guarded<T> {
    pub(crate) const fn new(value: T) -> Guarded<T> {
        Guarded(UnsafeCell::new(value))
    }

    /// The data, for as long as the guard is borrowed.
    pub(crate) fn get<'a>(&'a self, _guard: &'a mut CodeGuard) -> &'a mut T {
        // SAFETY: there is one `CodeGuard` in the process, and it is borrowed exclusively for as long as the result.
        unsafe { &mut *self.0.get() }
    }

    /// The data of a cell that nobody else has.
    pub(crate) fn get_mut(&mut self) -> &mut T {
        self.0.get_mut()
    }
}

/// A point in the process's history of forks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Generation {
    forks: u64,
    births: u64,
}

impl Generation {
    /// Where the process is now.
    pub(crate) fn now() -> Generation {
        notice_birth();
        Generation { forks: FORKS.load(Ordering::Relaxed), births: BIRTHS.load(Ordering::Relaxed) }
    }

    /// Whether it was the process that now runs, not an ancestor, that was there.
    pub(crate) fn is_of_this_process(self) -> bool {
        self.births == Generation::now().births
    }
}

/// Looks whether this is a child that came to be without the handlers.
fn notice_birth() {
    // SAFETY: the page is initialised before its address is stored, and never unmapped.
    let Some(witness) = (unsafe { WITNESS.load(Ordering::Acquire).as_ref() }) else { return };
    if witness.load(Ordering::Relaxed) == 0 && witness.swap(1, Ordering::Relaxed) == 0 {
        BIRTHS.fetch_add(1, Ordering::Relaxed);
        FORKS.fetch_add(1, Ordering::Relaxed);
    }
}

unsafe extern "C" {
    fn pthread_atfork(
        prepare: Option<unsafe extern "C" fn()>,
        parent: Option<unsafe extern "C" fn()>,
        child: Option<unsafe extern "C" fn()>,
    ) -> libc::c_int;
}

fn install() {
    if let Ok(page) = witness_page() {
        // The page has no owner but the process: a child's copy of the engine reads it too.
        let page = std::mem::ManuallyDrop::new(page);
        WITNESS.store(page.as_ptr().cast_mut().cast(), Ordering::Release);
    }
    // SAFETY: the handlers have the right type. They live as long as the object file that they are in, and the C
    // library forgets them when that is unloaded.
    let error = unsafe { pthread_atfork(Some(before), Some(after_in_parent), Some(after_in_child)) };
    assert_eq!(error, 0, "pthread_atfork fails only for want of memory");
}

fn witness_page() -> io::Result<MmapMut> {
    let mut page = MmapOptions::new().len(region::page::size()).map_anon()?;
    let start = page.as_mut_ptr();
    // SAFETY: the advice changes what a child sees of these private pages, which are this function's own.
    if unsafe { libc::madvise(start.cast(), page.len(), libc::MADV_WIPEONFORK) } != 0 {
        return Err(io::Error::last_os_error());
    }
    page[..8].copy_from_slice(&1u64.to_ne_bytes());
    Ok(page)
}

unsafe extern "C" fn before() {
    if HOLDING.get() {
        return;
    }
    let lock = LOCK.lock().unwrap_or_else(PoisonError::into_inner);
    // SAFETY: the lock is held, and no `CodeGuard` exists then.
    unsafe { *ACROSS_FORK.0.get() = Some(lock) };
}

unsafe extern "C" fn after_in_parent() {
    FORKS.fetch_add(1, Ordering::Relaxed);
    release();
}

unsafe extern "C" fn after_in_child() {
    notice_birth_by_handler();
    release();
}

fn release() {
    if !HOLDING.get() {
        // SAFETY: `before` took the lock for this call of `fork`, on this thread.
        drop(unsafe { (*ACROSS_FORK.0.get()).take() });
    }
}

/// Counts the birth once, though the witness tells of it as well.
fn notice_birth_by_handler() {
    // SAFETY: as in `notice_birth`.
    if let Some(witness) = unsafe { WITNESS.load(Ordering::Acquire).as_ref() } {
        witness.store(1, Ordering::Relaxed);
    }
    BIRTHS.fetch_add(1, Ordering::Relaxed);
    FORKS.fetch_add(1, Ordering::Relaxed);
}

/// What tests of forking share.
#[cfg(test)]
pub(crate) mod testing {
    use std::fs;
    use std::io;
    use std::panic::{self, AssertUnwindSafe};
    use std::sync::Once;
    use std::sync::atomic::{AtomicBool, Ordering};

    use memmap2::MmapOptions;

    /// How long a child may take, in seconds.
    const PATIENCE: u32 = 60;

    static IN_CHILD: AtomicBool = AtomicBool::new(false);

    /// Has panics of children reported without a lock, which a thread of the parent may have held when it forked.
    fn report_panics_of_children() {
        static INSTALL: Once = Once::new();
        INSTALL.call_once(|| {
            let usual = panic::take_hook();
            panic::set_hook(Box::new(move |info| {
                if !IN_CHILD.load(Ordering::Relaxed) {
                    return usual(info);
                }
                let text = format!("in a child: {info}\n");
                // SAFETY: the buffer is as long as it says.
                unsafe { libc::write(2, text.as_ptr().cast(), text.len()) };
            }));
        });
    }

    /// A child, which runs a function and exits.
    pub(crate) struct Child(libc::pid_t);

    impl Child {
        /// Forks by the C library, which calls the handlers.
        pub(crate) fn fork(run: impl FnOnce()) -> Child {
            report_panics_of_children();
            // SAFETY: the child's one thread runs `run` and exits. It may use the allocator, which glibc takes over a
            // fork in working order.
            Child::start(unsafe { libc::fork() }, run)
        }

        /// Forks by the system call, which calls no handlers.
        ///
        /// # Safety
        /// The process has one thread, or `run` takes no lock that another thread may hold.
        pub(crate) unsafe fn clone(run: impl FnOnce()) -> Child {
            report_panics_of_children();
            // SAFETY: without flags but the signal, and without a stack, this is a plain fork.
            let pid = unsafe { libc::syscall(libc::SYS_clone, libc::SIGCHLD, 0, 0, 0, 0) };
            Child::start(pid as libc::pid_t, run)
        }

        fn start(pid: libc::pid_t, run: impl FnOnce()) -> Child {
            assert!(pid >= 0, "{}", io::Error::last_os_error());
            if pid > 0 {
                return Child(pid);
            }
            // SAFETY: a function without preconditions.
            unsafe { libc::alarm(PATIENCE) };
            IN_CHILD.store(true, Ordering::Relaxed);
            let outcome = panic::catch_unwind(AssertUnwindSafe(run));
            // SAFETY: exits at once.
            unsafe { libc::_exit(if outcome.is_ok() { 0 } else { 1 }) }
        }

        /// Waits until the child exits, and checks that nothing failed in it.
        pub(crate) fn join(self) {
            let mut status = 0;
            // SAFETY: the child is this process's, and is waited for once.
            let pid = unsafe { libc::waitpid(self.0, &mut status, 0) };
            assert_eq!(pid, self.0, "{}", io::Error::last_os_error());
            assert_eq!(status, 0, "the child's wait status");
        }
    }

    /// Whether `MADV_DONTFORK` does what it says. qemu-user takes the advice and ignores it.
    pub(crate) fn system_leaves_out_mappings() -> bool {
        // SAFETY: `msync` fails where nothing is mapped, and does nothing to private pages.
        system_honours(libc::MADV_DONTFORK, |page, size| unsafe { libc::msync(page.cast(), size, libc::MS_ASYNC) != 0 })
    }

    /// Whether `MADV_WIPEONFORK` does what it says; as above.
    pub(crate) fn system_wipes_mappings() -> bool {
        // SAFETY: the page is mapped.
        system_honours(libc::MADV_WIPEONFORK, |page, _| unsafe { page.read() == 0 })
    }

    /// Whether a private page, which holds a 1, is found changed in a child after the advice.
    fn system_honours(advice: libc::c_int, is_changed: fn(*mut u8, usize) -> bool) -> bool {
        let mut map = MmapOptions::new().len(region::page::size()).map_anon().unwrap();
        map[0] = 1;
        let (page, size) = (map.as_mut_ptr(), map.len());
        let mut status = 0;
        // SAFETY: the pages are this function's; the child does no more than look at them, and exit.
        unsafe {
            if libc::madvise(page.cast(), size, advice) != 0 {
                return false;
            }
            let pid = libc::fork();
            if pid == 0 {
                libc::_exit(is_changed(page, size).into());
            }
            libc::waitpid(pid, &mut status, 0);
        }
        libc::WIFEXITED(status) && libc::WEXITSTATUS(status) == 1
    }

    /// Where code memory is mapped with those permissions (`rw-s`, `r-xs`), from the process's own list.
    pub(crate) fn code_mappings(permissions: &str) -> Vec<usize> {
        let maps = fs::read_to_string("/proc/self/maps").unwrap();
        let ours = maps.lines().filter(|line| line.contains("/memfd:jitcall"));
        let chosen = ours.filter(|line| line.split(' ').nth(1) == Some(permissions));
        chosen.map(|line| usize::from_str_radix(line.split('-').next().unwrap(), 16).unwrap()).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::panic;
    use std::thread;

    use super::testing::{Child, system_wipes_mappings};
    use super::*;

    #[test]
    fn fork_counts_on_both_sides() {
        let before = Generation::now();
        let child = Child::fork(move || {
            let now = Generation::now();
            assert_eq!(now.births, before.births + 1);
            assert!(now.forks > before.forks);
            assert!(!before.is_of_this_process());
            assert!(now.is_of_this_process());
        });
        child.join();
        assert_ne!(Generation::now(), before);
        assert!(before.is_of_this_process());
    }

    #[test]
    fn lock_can_be_taken_in_children_of_busy_processes() {
        let busy = Guarded::new(0u64);
        thread::scope(|scope| {
            let busy = &busy;
            let count = || (0..20_000).for_each(|_| *busy.get(&mut lock()) += 1);
            let threads = [scope.spawn(count), scope.spawn(count)];
            for _ in 0..20 {
                Child::fork(|| *busy.get(&mut lock()) += 1).join();
            }
            threads.into_iter().for_each(|thread| thread.join().unwrap());
        });
        assert_eq!(*busy.get(&mut lock()), 40_000);
    }

    #[test]
    fn holder_of_the_lock_may_fork() {
        let guard = lock();
        let child = Child::fork(|| {
            // SAFETY: the guard is forgotten by the parent's code, which this child never returns to.
            drop(unsafe { ptr::read(&guard) });
            drop(lock());
            Child::fork(|| drop(lock())).join();
        });
        child.join();
        drop(guard);
        drop(lock());
    }

    #[test]
    fn panic_of_a_holder_stops_nobody() {
        let holder = thread::spawn(|| {
            let _guard = lock();
            panic::resume_unwind(Box::new("while holding the lock"));
        });
        assert!(holder.join().is_err());
        drop(lock());
        Child::fork(|| drop(lock())).join();
    }

    #[test]
    fn witness_tells_of_births_without_handlers() {
        if !system_wipes_mappings() {
            eprintln!("not checked: MADV_WIPEONFORK has no effect here, so such children are not told apart");
            return;
        }
        drop(lock());
        // The first child has one thread, so that its own child may do as it likes.
        let child = Child::fork(|| {
            let before = Generation::now();
            // SAFETY: this process has one thread.
            let grandchild = unsafe {
                Child::clone(move || {
                    assert!(!before.is_of_this_process());
                    let now = Generation::now();
                    assert_eq!((now.forks, now.births), (before.forks + 1, before.births + 1));
                    assert_eq!(Generation::now(), now);
                })
            };
            grandchild.join();
            assert_eq!(Generation::now(), before);
        });
        child.join();
    }
}
