//! Calls that block, off the caller's thread: a few threads, a queue with a limit, and outcomes to wait for.
//!
//! ```
//! use jitcall::{Library, Pool};
//!
//! let pool = Pool::builder().threads(2).build()?;
//! let usleep = Library::process().function("int usleep(unsigned)")?;
//! // SAFETY: that is how <unistd.h> declares it, and it may be called on any thread.
//! let pending = unsafe { pool.submit(&usleep, vec![1000u32.into()])? };
//! let completed = pending.wait()?;
//! assert_eq!(completed.value, 0.into());
//! # Ok::<(), jitcall::Error>(())
//! ```
//!
//! What it is for, and its limits, are described in `docs/async.md`. Arguments are checked and converted when a call is
//! submitted, on the caller's thread; the call owns them until it is done. A [`Pending`] can be waited for, awaited, or
//! left to a callback; [`Pool::completions_fd`] wakes event loops.

mod argument;
mod pending;

use std::collections::VecDeque;
use std::convert::Infallible;
use std::fmt;
use std::fs::File;
use std::io::Write;
use std::mem;
use std::os::fd::{AsFd, BorrowedFd};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;
use std::sync::atomic::{AtomicPtr, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError, mpsc};
use std::thread::{self, JoinHandle};

pub use argument::{OwnedBuffer, OwnedValue};
pub use pending::{Completed, Pending};

use crate::code::fork::{self, Generation};
use crate::errno::Errno;
use crate::error::panic_text;
use crate::error::{Error, Result};
use crate::function::Function;
use crate::notifier::eventfd;
use crate::value::{SlotBuffer, Value};
use pending::Completer;

/// How many threads a pool has where it is not told.
pub const DEFAULT_THREADS: usize = 4;

/// How many calls may wait for a thread where a pool is not told.
pub const DEFAULT_QUEUE: usize = 64;

/// The stack of each thread, in bytes: what C code is used to from main threads.
const STACK: usize = 8 << 20;

/// Threads that make calls.
///
/// Dropping it waits for the calls that run; those that have not begun are done with [`Error::PoolClosed`].
pub struct Pool {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
    /// The process that has the threads. In a child of it the mutex may be locked for ever.
    origin: Generation,
}

/// What a pool shares with its threads.
struct Shared {
    queue: Mutex<Queue>,
    work: Condvar,
    limit: usize,
    /// An eventfd that counts completed calls, once it was asked for.
    completions: OnceLock<File>,
}

struct Queue {
    jobs: VecDeque<Job>,
    /// Threads that have no call. A job that one of them has yet to take does not count as waiting.
    idle: usize,
    closed: bool,
}

/// A call with all that it needs.
struct Job {
    function: Function,
    /// The converted arguments. Addresses in them are those of what `arguments` own.
    slots: SlotBuffer,
    arguments: Vec<OwnedValue>,
    completer: Completer,
}

impl Pool {
    /// Starts a pool of one's own.
    pub fn builder() -> Builder {
        Builder { threads: DEFAULT_THREADS, queue: DEFAULT_QUEUE }
    }

    /// The pool that the process shares, made when it is first asked for. A child of `fork` gets one of its own.
    ///
    /// # Errors
    /// [`Error::Thread`] where the system refuses threads.
    pub fn global() -> Result<&'static Pool> {
        /// Pools that were stored here are never dropped.
        static GLOBAL: AtomicPtr<Pool> = AtomicPtr::new(ptr::null_mut());
        let found = GLOBAL.load(Ordering::Acquire);
        // SAFETY: the pointer is null or that of a pool, which lives for ever.
        if let Some(pool) = unsafe { found.as_ref() }
            && pool.origin.is_of_this_process()
        {
            return Ok(pool);
        }
        let made = Box::into_raw(Box::new(Pool::builder().build()?));
        match GLOBAL.compare_exchange(found, made, Ordering::AcqRel, Ordering::Acquire) {
            // SAFETY: as above, from now on.
            Ok(_) => Ok(unsafe { &*made }),
            Err(other) => {
                // SAFETY: the pool was made above and nobody else has seen it.
                drop(unsafe { Box::from_raw(made) });
                // SAFETY: another thread has stored its own pool meanwhile.
                Ok(unsafe { &*other })
            }
        }
    }

    /// Queues a call. The arguments are checked and converted now, as by [`Function::call`]; a function declared with
    /// `...` is called without variadic arguments (see [`Function::with_tail`]).
    ///
    /// # Errors
    /// [`SubmitError`] gives the arguments back, with the reason: those of [`Function::call`]; [`Error::QueueFull`];
    /// [`Error::PoolForked`] in a child of the process that made the pool.
    ///
    /// # Safety
    /// As for [`Function::call`], until the call is done: pointers among the arguments, other than those to what the
    /// call owns, stay what the function wants, whether or not anybody waits. The function may be called on another
    /// thread, at the same time as whatever else runs.
    pub unsafe fn submit(
        &self,
        function: &Function,
        mut arguments: Vec<OwnedValue>,
    ) -> std::result::Result<Pending, SubmitError> {
        let slots = match self.convert(function, &mut arguments) {
            Ok(slots) => slots,
            Err(error) => return Err(SubmitError { error, arguments }),
        };
        let mut queue = self.shared.lock();
        if queue.jobs.len() >= self.shared.limit.saturating_add(queue.idle) {
            return Err(SubmitError { error: Error::QueueFull { limit: self.shared.limit }, arguments });
        }
        let (pending, completer) = Pending::new();
        queue.jobs.push_back(Job { function: function.clone(), slots, arguments, completer });
        drop(queue);
        self.shared.work.notify_one();
        Ok(pending)
    }

    fn convert(&self, function: &Function, arguments: &mut [OwnedValue]) -> Result<SlotBuffer> {
        if !self.origin.is_of_this_process() {
            return Err(Error::PoolForked);
        }
        let values: Vec<Value<'_>> = arguments.iter_mut().map(OwnedValue::lend).collect();
        function.convert(&values)
    }

    /// A descriptor for event loops: readable when calls are done that it has not told of. Reading 8 bytes gives how
    /// many, as a number in the machine's byte order, and makes it unreadable again.
    ///
    /// It counts calls that are done after it was first asked for, however their outcomes are received. It never
    /// blocks, belongs to the pool, and is closed with it.
    ///
    /// # Errors
    /// [`Error::Notifier`] where the system has no descriptor left.
    pub fn completions_fd(&self) -> Result<BorrowedFd<'_>> {
        let completions = match self.shared.completions.get() {
            Some(completions) => completions,
            None => {
                let made = eventfd().map_err(|source| Error::Notifier { source })?;
                self.shared.completions.get_or_init(|| made)
            }
        };
        Ok(completions.as_fd())
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        if !self.origin.is_of_this_process() {
            // The handles are those of threads that this process does not have.
            mem::forget(mem::take(&mut self.threads));
            return;
        }
        let mut queue = self.shared.lock();
        queue.closed = true;
        let waiting = mem::take(&mut queue.jobs);
        drop(queue);
        self.shared.work.notify_all();
        drop(waiting);
        // A callback may drop the pool on a thread of the pool, which cannot wait for itself.
        let own = thread::current().id();
        for thread in self.threads.drain(..).filter(|thread| thread.thread().id() != own) {
            // Whatever a thread panicked of was reported by the panic hook.
            let _ = thread.join();
        }
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool").field("threads", &self.threads.len()).field("queue", &self.shared.limit).finish()
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        // Nothing that can panic runs while the queue is half changed.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What a thread of the pool does.
    fn work(&self) {
        while let Some(job) = self.next() {
            let (completer, outcome) = job.call();
            // Who learns that the call is done may count on the thread for the next one.
            self.lock().idle += 1;
            completer.complete(outcome);
            self.count_completion();
        }
    }

    /// Waits for a job; `None` once the pool is dropped.
    fn next(&self) -> Option<Job> {
        let idle = |queue: &mut Queue| queue.jobs.is_empty() && !queue.closed;
        let mut queue = self.work.wait_while(self.lock(), idle).unwrap_or_else(PoisonError::into_inner);
        let job = queue.jobs.pop_front()?;
        queue.idle -= 1;
        Some(job)
    }

    fn count_completion(&self) {
        if let Some(mut completions) = self.completions.get() {
            // Fails only where the counter is full, and then it is readable.
            let _ = completions.write(&1u64.to_ne_bytes());
        }
    }
}

impl Job {
    /// Makes the call. What it needed is gone or in the outcome when this returns.
    fn call(self) -> (Completer, Result<Completed>) {
        let Job { function, mut slots, arguments, completer } = self;
        let mut errno = Errno(0);
        let call = || {
            errno.set();
            // SAFETY: `submit` had the slots filled for this function, and its caller answers for the call. What the
            // slots point at is owned by `arguments`, which live on.
            unsafe { function.call_converted(&mut slots, || errno = Errno::get()) }
        };
        let outcome = match catch_unwind(AssertUnwindSafe(call)) {
            Ok(result) => result.map(|value| Completed { value, errno, arguments }),
            Err(panic) => Err(Error::CallPanicked {
                function: function.signature().title(),
                message: panic_text(&*panic).to_owned(),
            }),
        };
        (completer, outcome)
    }
}

/// Sets up a [`Pool`].
#[derive(Clone, Debug)]
pub struct Builder {
    threads: usize,
    queue: usize,
}

impl Builder {
    /// How many calls can run at a time; [`DEFAULT_THREADS`] if not set.
    #[must_use]
    pub fn threads(mut self, threads: usize) -> Self {
        self.threads = threads;
        self
    }

    /// How many more calls may wait for a thread; [`DEFAULT_QUEUE`] if not set. With 0, a call is queued only where a
    /// thread is free.
    #[must_use]
    pub fn queue(mut self, calls: usize) -> Self {
        self.queue = calls;
        self
    }

    /// Starts the threads, `jitcall-1` and so on.
    ///
    /// # Errors
    /// [`Error::Thread`] where the system refuses a thread, [`Error::Unsupported`] where none was asked for.
    pub fn build(self) -> Result<Pool> {
        if self.threads == 0 {
            return Err(Error::unsupported("a pool without threads"));
        }
        let queue = Queue { jobs: VecDeque::new(), idle: self.threads, closed: false };
        let (queue, work, completions) = (Mutex::new(queue), Condvar::new(), OnceLock::new());
        let shared = Arc::new(Shared { queue, work, limit: self.queue, completions });
        // No fork until the threads have begun: the standard library locks what it knows of threads while one starts,
        // and a child with that locked could start none. It is also by this lock's handlers that a child knows itself.
        let no_fork = fork::lock();
        let mut pool = Pool { shared, threads: Vec::new(), origin: Generation::now() };
        let (begun, all_have_begun) = mpsc::channel::<Infallible>();
        let started = (1..=self.threads).try_for_each(|number| {
            let (shared, begun) = (Arc::clone(&pool.shared), begun.clone());
            let thread = thread::Builder::new().name(format!("jitcall-{number}")).stack_size(STACK);
            let work = move || {
                drop(begun);
                shared.work();
            };
            thread.spawn(work).map(|thread| pool.threads.push(thread)).map_err(|source| Error::Thread { source })
        });
        drop(begun);
        // Nothing is sent: the channel is closed once each thread has dropped its end.
        let _ = all_have_begun.recv();
        drop(no_fork);
        started?;
        Ok(pool)
    }
}

/// Why a call was not queued, with its arguments.
#[derive(Debug)]
#[non_exhaustive]
pub struct SubmitError {
    /// The reason.
    pub error: Error,
    /// The arguments as they were given.
    pub arguments: Vec<OwnedValue>,
}

impl fmt::Display for SubmitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

impl std::error::Error for SubmitError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.error.source()
    }
}

impl From<SubmitError> for Error {
    fn from(refused: SubmitError) -> Error {
        refused.error
    }
}

impl Function {
    /// Queues a call of it in [`Pool::global`].
    ///
    /// ```
    /// use jitcall::{Library, Value};
    /// let read = Library::process().function("ssize_t read(int, void *, size_t)")?;
    /// let zeros = std::fs::File::open("/dev/zero").unwrap();
    /// let descriptor = std::os::fd::AsRawFd::as_raw_fd(&zeros);
    /// // SAFETY: that is how <unistd.h> declares it; the buffer has 4 bytes.
    /// let pending = unsafe { read.call_async(vec![descriptor.into(), vec![1u8; 4].into(), 4.into()])? };
    /// let completed = pending.wait()?;
    /// assert_eq!(completed.value, Value::I64(4));
    /// assert_eq!(completed.into_buffers()[0].bytes(), [0; 4]);
    /// # Ok::<(), jitcall::Error>(())
    /// ```
    ///
    /// # Errors
    /// As for [`Pool::submit`]; [`Error::Thread`] where the pool could not be made.
    ///
    /// # Safety
    /// As for [`Pool::submit`].
    pub unsafe fn call_async(&self, arguments: Vec<OwnedValue>) -> std::result::Result<Pending, SubmitError> {
        match Pool::global() {
            // SAFETY: the caller keeps the same promises.
            Ok(pool) => unsafe { pool.submit(self, arguments) },
            Err(error) => Err(SubmitError { error, arguments }),
        }
    }
}
