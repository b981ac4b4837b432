//! q's thread: one for the process, on which tests run one after the other.

use std::any::Any;
use std::cell::{OnceCell, RefCell};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Mutex, OnceLock, PoisonError};

use super::{Q, api};

type Body = Box<dyn FnOnce(&Q) + Send>;

thread_local! {
    /// What a lambda has panicked with: it cannot unwind through C.
    static PANIC: RefCell<Option<Box<dyn Any + Send>>> = RefCell::default();
}

/// Runs something on q's thread, and gives what it gives.
///
/// # Panics
/// If it panics, or if a lambda that it makes does.
pub(crate) fn q<R: Send>(body: impl FnOnce(&Q) -> R + Send) -> R {
    let (sender, receiver) = channel();
    let body = move |q: &Q| _ = sender.send(catch_unwind(AssertUnwindSafe(|| run(body, q))));
    let body: Box<dyn FnOnce(&Q) + Send + '_> = Box::new(body);
    // SAFETY: what the body borrows outlives it: this thread waits until it has run.
    let body: Body = unsafe { std::mem::transmute(body) };
    main().lock().unwrap_or_else(PoisonError::into_inner).send(body).expect("q's thread");
    receiver.recv().expect("q's thread").unwrap_or_else(|panic| resume_unwind(panic))
}

/// Keeps what a lambda has panicked with for the end of the body.
pub(super) fn keep_panic(panic: Box<dyn Any + Send>) {
    PANIC.with_borrow_mut(|kept| _ = kept.get_or_insert(panic));
}

fn run<R>(body: impl FnOnce(&Q) -> R, q: &Q) -> R {
    // What an earlier test has left behind when it failed.
    (api().host_error)();
    q.violations();
    PANIC.take();
    let result = body(q);
    if let Some(panic) = PANIC.take() {
        resume_unwind(panic);
    }
    result
}

fn main() -> &'static Mutex<Sender<Body>> {
    static MAIN: OnceLock<Mutex<Sender<Body>>> = OnceLock::new();
    MAIN.get_or_init(|| {
        let (sender, receiver) = channel::<Body>();
        std::thread::spawn(move || {
            (api().host_main_thread)();
            let q = Q { library: OnceCell::new() };
            receiver.into_iter().for_each(|body| body(&q));
        });
        Mutex::new(sender)
    })
}
