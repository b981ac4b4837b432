//! Home threads: the thread that made a closure, as other threads know it. They park failures there, and hand over
//! callbacks that have to run there.

use std::cell::UnsafeCell;
use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicPtr, AtomicU32, AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use crate::closure::State;
use crate::closure::blocks::Blocks;
use crate::closure::failure::{Failure, count_parked, count_taken};
use crate::error::{Error, Result};
use crate::notifier::eventfd;

/// What others know of a thread.
///
/// Callbacks read the first three fields, and nothing more as long as all is well.
pub(crate) struct Home {
    /// The thread pointer of the thread, where callbacks may just run on it; 0 where they have to look closer: for a
    /// failure, or a guarded call. Changed under the lock of `failure`.
    gate: AtomicUsize,
    /// Whether a callback runs: 1 or 0. Only the thread itself uses it.
    active: AtomicU32,
    /// Whether there are states in `retired`: 1 or 0. Only the thread itself uses it.
    waiting: AtomicU32,
    /// States whose closures went while a callback ran. Only the thread itself uses it.
    retired: UnsafeCell<Vec<Retired>>,
    /// Memory for the thread's next states. Only the thread itself uses it.
    blocks: Blocks,
    /// The thread pointer, which tells running threads apart.
    thread: usize,
    /// Closures that refer to this, counted by the thread itself alone.
    closures: AtomicUsize,
    /// Guarded calls under way on the thread.
    guards: AtomicUsize,
    failure: Mutex<Option<Failure>>,
    /// A word that is to be 1 once a failure is parked; null where nobody asked. Changed under the lock of `failure`.
    signal: AtomicPtr<AtomicU32>,
    inbox: Mutex<Inbox>,
    arrival: Condvar,
    notifier: OnceLock<File>,
}

/// A state to be freed, and how.
pub(super) type Retired = (NonNull<State>, unsafe fn(NonNull<State>));

// SAFETY: what is not for all threads is used by the home's own thread alone, which each of its users makes sure of.
unsafe impl Sync for Home {}

#[derive(Default)]
struct Inbox {
    requests: VecDeque<NonNull<Request>>,
    ended: bool,
}

// SAFETY: a request is on the stack of a thread that waits until it is done.
unsafe impl Send for Inbox {}

/// Work that another thread waits for.
struct Request {
    work: *mut dyn FnMut(),
    state: Mutex<Progress>,
    done: Condvar,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Progress {
    Waiting,
    Done,
    /// Its home thread ended before.
    Abandoned,
}

impl Request {
    fn finish(&self, progress: Progress) {
        let mut state = locked(&self.state);
        *state = progress;
        // While the lock is held, the waiting thread cannot take the request away.
        self.done.notify_one();
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What tells the running thread from all others that run.
#[inline(always)]
pub(crate) fn thread_pointer() -> usize {
    let pointer: usize;
    // SAFETY: reads the thread control block's address: System V psABI 3.4.2 has it at fs:0.
    #[cfg(target_arch = "x86_64")]
    unsafe {
        std::arch::asm!("mov {}, fs:0", out(reg) pointer, options(pure, readonly, nostack, preserves_flags));
    }
    // SAFETY: reads the register that the Arm ABI (addenda32 and sysvabi64) keeps it in.
    #[cfg(target_arch = "aarch64")]
    unsafe {
        std::arch::asm!("mrs {}, tpidr_el0", out(reg) pointer, options(pure, nomem, nostack, preserves_flags));
    }
    pointer
}

thread_local! {
    static OWN: Own = Own(NonNull::from(Box::leak(Box::new(Home::new()))));
}

/// The thread's own hold of its home.
struct Own(NonNull<Home>);

impl Drop for Own {
    fn drop(&mut self) {
        // SAFETY: a home lives at least as long as its thread.
        if unsafe { self.0.as_ref() }.end() {
            // SAFETY: from `Box::leak`; no closure refers to it, so nobody else knows it.
            drop(unsafe { Box::from_raw(self.0.as_ptr()) });
        }
    }
}

/// Runs `f` with the home of this thread; not where the thread is about to end and has dropped it.
pub(super) fn with_current<R>(f: impl FnOnce(&Home) -> R) -> Option<R> {
    // SAFETY: a home lives at least as long as its thread.
    OWN.try_with(|own| f(unsafe { own.0.as_ref() })).ok()
}

impl Home {
    fn new() -> Home {
        let thread = thread_pointer();
        Home {
            gate: AtomicUsize::new(thread),
            active: AtomicU32::new(0),
            waiting: AtomicU32::new(0),
            retired: UnsafeCell::default(),
            blocks: Blocks::default(),
            thread,
            closures: AtomicUsize::new(0),
            guards: AtomicUsize::new(0),
            failure: Mutex::default(),
            signal: AtomicPtr::default(),
            inbox: Mutex::default(),
            arrival: Condvar::new(),
            notifier: OnceLock::new(),
        }
    }

    /// The home of this thread, for a closure, which gives it back by [`Home::leave`] on the same thread.
    ///
    /// # Errors
    /// [`Error::Unsupported`] where the thread is about to end.
    #[inline]
    pub(super) fn join() -> Result<NonNull<Home>> {
        with_current(|home| {
            home.count(1);
            NonNull::from(home)
        })
        .ok_or_else(|| Error::unsupported("a closure of a thread that is ending"))
    }

    /// A closure goes.
    #[inline]
    pub(super) fn leave(&self) {
        self.count(usize::MAX);
    }

    /// Only the thread itself counts, so no atomic addition is needed.
    fn count(&self, by: usize) {
        self.closures.store(self.closures.load(Ordering::Relaxed).wrapping_add(by), Ordering::Relaxed);
    }

    /// Whether this is the running thread's, and callbacks may just run.
    #[inline(always)]
    pub(super) fn is_open(&self) -> bool {
        self.gate.load(Ordering::Relaxed) == thread_pointer()
    }

    /// Whether this is the running thread's.
    pub(super) fn is_here(&self) -> bool {
        self.thread == thread_pointer() && !locked(&self.inbox).ended
    }

    /// A callback starts to run on this thread. Gives what [`Home::step_out`] wants.
    #[inline(always)]
    pub(super) fn step_in(&self) -> u32 {
        let before = self.active.load(Ordering::Relaxed);
        self.active.store(1, Ordering::Relaxed);
        before
    }

    /// A callback has run. The outermost one frees what was retired meanwhile.
    #[inline(always)]
    pub(super) fn step_out(&self, before: u32) {
        self.active.store(before, Ordering::Relaxed);
        if self.waiting.load(Ordering::Relaxed) != 0 {
            self.free_retired();
        }
    }

    /// Memory for states of closures that are made and go on this thread, whose home it is.
    #[inline]
    pub(super) fn blocks(&self) -> &Blocks {
        &self.blocks
    }

    /// Has a state freed when no callback runs on this thread, whose home it is: at once, if that is so now.
    #[inline]
    pub(super) fn retire(&self, (state, free): Retired) {
        if self.active.load(Ordering::Relaxed) != 0 {
            // SAFETY: this is the home's own thread, and nothing that is called here comes back to the list.
            unsafe { (*self.retired.get()).push((state, free)) };
            self.waiting.store(1, Ordering::Relaxed);
        } else {
            // SAFETY: the closure is gone, and no handler runs.
            unsafe { free(state) };
        }
    }

    #[cold]
    fn free_retired(&self) {
        if self.active.load(Ordering::Relaxed) != 0 {
            return;
        }
        self.waiting.store(0, Ordering::Relaxed);
        // SAFETY: this is the home's own thread. What is freed may retire more, so the list is left empty for that.
        for (state, free) in std::mem::take(unsafe { &mut *self.retired.get() }) {
            // SAFETY: the closure is gone, and no handler runs.
            unsafe { free(state) };
        }
    }

    /// Parks a failure, unless there is one: what comes after the first follows from it.
    pub(super) fn park(&self, failure: Failure) {
        let mut place = locked(&self.failure);
        if place.is_none() {
            *place = Some(failure);
            count_parked();
            self.set_gate(&place);
            // SAFETY: who asked for it keeps the word until it takes it back, under this lock.
            if let Some(signal) = unsafe { self.signal.load(Ordering::Relaxed).as_ref() } {
                signal.store(1, Ordering::Release);
            }
        }
    }

    /// Parks a failure that another thread has met with; not where this one has ended, so that nobody would ever take it.
    /// Says whether it has not.
    pub(super) fn tell(&self, failure: Failure) -> bool {
        let inbox = locked(&self.inbox);
        if !inbox.ended {
            self.park(failure);
        }
        !inbox.ended
    }

    /// Has a word set when a failure is parked here; gives the one before.
    fn set_signal(&self, word: *const AtomicU32) -> *const AtomicU32 {
        let _place = locked(&self.failure);
        self.signal.swap(word.cast_mut(), Ordering::Relaxed)
    }

    /// Takes the failure that is parked here.
    pub(super) fn take_failure(&self) -> Option<Failure> {
        let mut place = locked(&self.failure);
        let failure = place.take();
        if failure.is_some() {
            count_taken();
            self.set_gate(&place);
        }
        failure
    }

    fn set_gate(&self, failure: &Option<Failure>) {
        let open = failure.is_none() && self.guards.load(Ordering::Relaxed) == 0;
        self.gate.store(if open { self.thread } else { 0 }, Ordering::Relaxed);
    }

    /// Whether a failure is parked here.
    pub(super) fn has_failure(&self) -> bool {
        locked(&self.failure).is_some()
    }

    /// The thread ends: nobody finds it any more. Says whether nobody refers to this.
    fn end(&self) -> bool {
        let mut inbox = locked(&self.inbox);
        inbox.ended = true;
        for request in inbox.requests.drain(..) {
            // SAFETY: who sent it waits.
            unsafe { request.as_ref() }.finish(Progress::Abandoned);
        }
        drop(inbox);
        if let Some(failure) = self.take_failure() {
            eprintln!("jitcall: a thread ended, and no call on it reported this: {failure}");
        }
        // Another thread may have the same thread pointer one day.
        self.gate.store(0, Ordering::Relaxed);
        self.blocks.close();
        self.closures.load(Ordering::Relaxed) == 0
    }

    /// Has the thread do some work, and waits for it; says whether it was done.
    pub(super) fn hand_over(&self, work: &mut dyn FnMut()) -> bool {
        // SAFETY: only the lifetime changes, and the work is done or given up before this returns.
        let work = unsafe { std::mem::transmute::<*mut (dyn FnMut() + '_), *mut (dyn FnMut() + 'static)>(work) };
        let request = Request { work, state: Mutex::new(Progress::Waiting), done: Condvar::new() };
        let mut inbox = locked(&self.inbox);
        if inbox.ended {
            return false;
        }
        inbox.requests.push_back(NonNull::from(&request));
        self.arrival.notify_all();
        if let Some(mut notifier) = self.notifier.get() {
            // The count only has to be other than 0. It cannot overflow, and a failure would leave the poller waiting.
            let _ = notifier.write(&1u64.to_ne_bytes());
        }
        drop(inbox);
        let mut state = locked(&request.state);
        while *state == Progress::Waiting {
            state = request.done.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        *state == Progress::Done
    }

    /// Does what has been handed over; says how much that was.
    fn serve(&self) -> usize {
        let mut served = 0;
        if let Some(mut notifier) = self.notifier.get() {
            // Nothing to read is as good.
            let _ = notifier.read(&mut [0; 8]);
        }
        loop {
            let Some(request) = locked(&self.inbox).requests.pop_front() else { return served };
            // SAFETY: who sent it waits until it is finished; the work is theirs for this thread to do.
            unsafe {
                (*request.as_ref().work)();
                request.as_ref().finish(Progress::Done);
            }
            served += 1;
        }
    }

    /// Waits until something has been handed over, or the time has passed.
    fn wait(&self, until: Instant) {
        let inbox = locked(&self.inbox);
        if inbox.requests.is_empty() {
            let left = until.saturating_duration_since(Instant::now());
            drop(self.arrival.wait_timeout(inbox, left).unwrap_or_else(PoisonError::into_inner));
        }
    }

    fn notifier(&self) -> io::Result<&File> {
        if let Some(file) = self.notifier.get() {
            return Ok(file);
        }
        let file = eventfd()?;
        Ok(self.notifier.get_or_init(|| file))
    }
}

/// A guarded call on this thread, during which callbacks look closer.
pub(crate) struct Guarded(());

impl Guarded {
    pub(crate) fn begin() -> Guarded {
        Guarded::count(1);
        Guarded(())
    }

    fn count(by: usize) {
        with_current(|home| {
            let failure = locked(&home.failure);
            home.guards.store(home.guards.load(Ordering::Relaxed).wrapping_add(by), Ordering::Relaxed);
            home.set_gate(&failure);
        });
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        Guarded::count(usize::MAX);
    }
}

/// Runs the callbacks that other threads have handed over to this one; says how many there were.
///
/// Closures with [`Policy::HandOver`](crate::closure::Policy::HandOver) run only when their home thread calls this, or
/// [`serve_for`].
pub fn serve() -> usize {
    with_current(Home::serve).unwrap_or(0)
}

/// As [`serve`], and waits for more until that time has passed.
pub fn serve_for(time: Duration) -> usize {
    let until = Instant::now() + time;
    let serve = |home: &Home| {
        let mut served = home.serve();
        while Instant::now() < until {
            home.wait(until);
            served += home.serve();
        }
        served
    };
    with_current(serve).unwrap_or(0)
}

/// Has a word made 1 whenever a failure is parked on this thread, by whichever thread: for emitted code that looks at it
/// after calls ([`bridge::State`](crate::bridge::State)), where [`take_failure`](super::take_failure) would take too long.
/// Nothing makes it 0 again but who looks. Gives the word that was set before; null is none.
///
/// # Safety
/// The word lives until another is set on the same thread, or that thread has ended.
pub unsafe fn signal_failures(word: *const AtomicU32) -> *const AtomicU32 {
    with_current(|home| home.set_signal(word)).unwrap_or(ptr::null())
}

/// A descriptor that can be read while callbacks wait to be run on this thread, for event loops: call [`serve`] then. It
/// is open as long as the thread runs.
///
/// # Errors
/// What the system says where there are no more descriptors.
pub fn notifier() -> io::Result<BorrowedFd<'static>> {
    let file = with_current(|home| home.notifier().map(ptr::from_ref));
    let file = file.unwrap_or_else(|| Err(io::Error::other("the thread is ending")))?;
    // SAFETY: the home, and the file with it, lives as long as the thread, as documented.
    Ok(unsafe { &*file }.as_fd())
}
