//! A submitted call from both sides: the one who waits for it, and the one who completes it.

use std::fmt;
use std::future::Future;
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use super::argument::{OwnedBuffer, OwnedValue};
use crate::code::fork::Generation;
use crate::errno::Errno;
use crate::error::{Error, Result};
use crate::value::Value;

/// What a call that is done leaves.
#[derive(Debug)]
#[non_exhaustive]
pub struct Completed {
    /// The result.
    pub value: Value<'static>,
    /// The `errno` that the call left: it is 0 when the function is entered.
    pub errno: Errno,
    /// The arguments as they were submitted, with what C has written to their buffers.
    pub arguments: Vec<OwnedValue>,
}

impl Completed {
    /// The buffers among the arguments, in their order.
    pub fn into_buffers(self) -> Vec<OwnedBuffer> {
        self.arguments.into_iter().filter_map(OwnedValue::into_buffer).collect()
    }
}

/// A call that was submitted. Dropping it gives up the outcome, not the call: the arguments live until that is done.
///
/// The outcome can be waited for, asked for, awaited or received by a callback. It is there once. In a child that was
/// forked since the submission it is [`Error::PoolForked`], since the call goes on in the parent only.
pub struct Pending {
    meeting: Arc<Meeting>,
}

/// Where the two sides meet.
struct Meeting {
    stage: Mutex<Stage>,
    done: Condvar,
    /// The process in which the call runs. In a child of it the mutex may be locked for ever.
    origin: Generation,
}

enum Stage {
    /// Not done, and nobody has asked to be told.
    Open,
    /// Not done; a future was polled.
    Awaited(Waker),
    /// Not done; the callback is to have the outcome.
    Promised(Callback),
    Done(Result<Completed>),
    Taken,
}

type Callback = Box<dyn FnOnce(Result<Completed>) + Send>;

impl Meeting {
    fn lock(&self) -> MutexGuard<'_, Stage> {
        // Each change of the stage is a single assignment, so that a panic leaves nothing half done.
        self.stage.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Publishes the outcome, and tells whoever waits.
    fn finish(&self, outcome: Result<Completed>) {
        let mut stage = self.lock();
        match mem::replace(&mut *stage, Stage::Taken) {
            Stage::Promised(callback) => {
                drop(stage);
                contained(|| callback(outcome));
            }
            before => {
                *stage = Stage::Done(outcome);
                drop(stage);
                self.done.notify_all();
                if let Stage::Awaited(waker) = before {
                    contained(|| waker.wake());
                }
            }
        }
    }
}

/// Runs what the program gave, whose panics are its own: the panic hook has reported them, and they go no further.
fn contained(run: impl FnOnce()) {
    let _ = catch_unwind(AssertUnwindSafe(run));
}

impl Stage {
    fn is_open(&self) -> bool {
        !matches!(self, Stage::Done(_) | Stage::Taken)
    }

    /// The outcome, if it is there.
    fn take(&mut self) -> Option<Result<Completed>> {
        match mem::replace(self, Stage::Taken) {
            Stage::Done(outcome) => Some(outcome),
            Stage::Taken => panic!("the outcome of the call was taken before"),
            before => {
                *self = before;
                None
            }
        }
    }
}

/// The side that completes a call. Dropped without an outcome, it completes it with [`Error::PoolClosed`].
pub(super) struct Completer {
    meeting: Option<Arc<Meeting>>,
}

impl Completer {
    pub(super) fn complete(mut self, outcome: Result<Completed>) {
        if let Some(meeting) = self.meeting.take() {
            meeting.finish(outcome);
        }
    }
}

impl Drop for Completer {
    fn drop(&mut self) {
        if let Some(meeting) = self.meeting.take() {
            meeting.finish(Err(Error::PoolClosed));
        }
    }
}

impl Pending {
    /// Both sides of a call of this process.
    pub(super) fn new() -> (Pending, Completer) {
        let (stage, done, origin) = (Mutex::new(Stage::Open), Condvar::new(), Generation::now());
        let meeting = Arc::new(Meeting { stage, done, origin });
        (Pending { meeting: Arc::clone(&meeting) }, Completer { meeting: Some(meeting) })
    }

    /// Waits until the call is done.
    ///
    /// # Errors
    /// [`Error::PoolClosed`] where the pool was dropped before the call began, [`Error::CallPanicked`],
    /// [`Error::PoolForked`].
    ///
    /// # Panics
    /// Where the outcome was taken before, as a future.
    pub fn wait(self) -> Result<Completed> {
        self.check_process()?;
        let mut stage = self.meeting.lock();
        loop {
            if let Some(outcome) = stage.take() {
                return outcome;
            }
            stage = self.meeting.done.wait(stage).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Waits for as long as that; gives itself back where the call is not done by then.
    ///
    /// # Errors
    /// The call itself, as long as it is not done; the outcome has the errors of [`Pending::wait`].
    ///
    /// # Panics
    /// As for [`Pending::wait`].
    pub fn wait_timeout(self, timeout: Duration) -> Result<Result<Completed>, Pending> {
        if let Err(error) = self.check_process() {
            return Ok(Err(error));
        }
        let stage = self.meeting.lock();
        let (mut stage, _) = self
            .meeting
            .done
            .wait_timeout_while(stage, timeout, |stage| stage.is_open())
            .unwrap_or_else(PoisonError::into_inner);
        let outcome = stage.take();
        drop(stage);
        outcome.ok_or(self)
    }

    /// The outcome, if it is there; gives itself back where the call is not done.
    ///
    /// # Errors
    /// As for [`Pending::wait_timeout`].
    ///
    /// # Panics
    /// As for [`Pending::wait`].
    pub fn try_wait(self) -> Result<Result<Completed>, Pending> {
        self.wait_timeout(Duration::ZERO)
    }

    /// Whether there is an outcome.
    pub fn is_done(&self) -> bool {
        self.check_process().is_err() || !self.meeting.lock().is_open()
    }

    /// Has the outcome given to a callback: on the pool's thread, which it should not keep for long; where the call is
    /// already done, at once on this thread; and where the pool is dropped before the call begins, on the thread that
    /// drops it. A panic in the callback is reported by the panic hook and goes no further.
    ///
    /// # Panics
    /// As for [`Pending::wait`].
    pub fn on_done(self, callback: impl FnOnce(Result<Completed>) + Send + 'static) {
        let outcome = match self.check_process() {
            Err(error) => Err(error),
            Ok(()) => {
                let mut stage = self.meeting.lock();
                match stage.take() {
                    Some(outcome) => outcome,
                    None => {
                        *stage = Stage::Promised(Box::new(callback));
                        return;
                    }
                }
            }
        };
        contained(|| callback(outcome));
    }

    fn check_process(&self) -> Result<()> {
        if self.meeting.origin.is_of_this_process() { Ok(()) } else { Err(Error::PoolForked) }
    }
}

/// The outcome, for any executor: it needs nothing but a waker.
///
/// # Panics
/// Polling panics where the outcome was taken before.
impl Future for Pending {
    type Output = Result<Completed>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        if let Err(error) = self.check_process() {
            return Poll::Ready(Err(error));
        }
        let mut stage = self.meeting.lock();
        match stage.take() {
            Some(outcome) => Poll::Ready(outcome),
            None => {
                *stage = Stage::Awaited(context.waker().clone());
                Poll::Pending
            }
        }
    }
}

impl fmt::Debug for Pending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pending").field("done", &self.is_done()).finish()
    }
}
