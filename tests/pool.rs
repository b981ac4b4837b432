//! Calls on the threads of a pool: when they run, what comes back, and what happens where nobody waits.

#[path = "support/alone.rs"]
mod alone;
mod tiers;

use std::ffi::{CStr, c_void};
use std::future::Future;
use std::hint;
use std::mem;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, Condvar, Mutex, mpsc};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, ThreadId};
use std::time::{Duration, Instant};

use alone::alone;
use jitcall::{Engine, Errno, Error, Function, Object, OwnedValue, Pending, Pool, SubmitError, Type, Value};
use tiers::{bind, engines, leaves_out_threads_of_children};

/// What nothing that works takes.
const PATIENCE: Duration = Duration::from_secs(60);

/// Holds calls until it is opened.
#[derive(Default)]
struct Gate {
    open: Mutex<bool>,
    change: Condvar,
    arrivals: AtomicUsize,
}

impl Gate {
    fn open(&self) {
        *self.open.lock().unwrap() = true;
        self.change.notify_all();
    }

    /// Waits until that many calls have come to the gate.
    fn await_arrivals(&self, count: usize) {
        while self.arrivals.load(Ordering::SeqCst) < count {
            thread::sleep(Duration::from_millis(1));
        }
    }
}

/// Passes a gate, and gives the number back.
extern "C" fn pass(gate: *const Gate, number: i32) -> i32 {
    // SAFETY: the tests keep gates until all calls are done.
    let gate = unsafe { &*gate };
    gate.arrivals.fetch_add(1, Ordering::SeqCst);
    let _open = gate.change.wait_while(gate.open.lock().unwrap(), |open| !*open).unwrap();
    number
}

fn passing(engine: &Engine) -> Function {
    bind(engine, pass as *const c_void, "int pass(const void *gate, int number)")
}

fn pool(threads: usize, queue: usize) -> Pool {
    Pool::builder().threads(threads).queue(queue).build().unwrap()
}

/// Submits a call of a function whose declaration is right and which runs on any thread.
fn submit(pool: &Pool, function: &Function, arguments: Vec<OwnedValue>) -> Result<Pending, SubmitError> {
    // SAFETY: the tests declare their functions as they are.
    unsafe { pool.submit(function, arguments) }
}

fn submit_pass(pool: &Pool, function: &Function, gate: &Gate, number: i32) -> Result<Pending, SubmitError> {
    submit(pool, function, vec![(&raw const *gate).into(), number.into()])
}

fn value(pending: Pending) -> Value<'static> {
    pending.wait().unwrap().value
}

extern "C" fn meet(barrier: *const Barrier) -> bool {
    // SAFETY: the test keeps the barrier until all calls are done.
    unsafe { (*barrier).wait() };
    true
}

#[test]
fn calls_run_at_the_same_time() {
    for engine in engines() {
        let meet = bind(&engine, meet as *const c_void, "_Bool meet(void *barrier)");
        let (pool, barrier) = (pool(3, 0), Barrier::new(3));
        let pending: Vec<Pending> =
            (0..3).map(|_| submit(&pool, &meet, vec![(&raw const barrier).into()]).unwrap()).collect();
        assert!(pending.into_iter().all(|pending| value(pending) == Value::Bool(true)));
    }
}

extern "C" fn thread_name(to: *mut u8, size: usize) -> usize {
    let current = thread::current();
    let name = current.name().unwrap_or("").as_bytes();
    // SAFETY: the caller says how many bytes there are.
    unsafe { to.copy_from_nonoverlapping(name.as_ptr(), name.len().min(size)) };
    name.len()
}

#[test]
fn threads_have_names() {
    let function =
        bind(Engine::global(), thread_name as *const c_void, "size_t thread_name(unsigned char *to, size_t size)");
    let completed = submit(&pool(1, 0), &function, vec![vec![0u8; 32].into(), 32.into()]).unwrap().wait().unwrap();
    assert_eq!(completed.value, Value::U64(9));
    assert!(completed.into_buffers()[0].bytes().starts_with(b"jitcall-1\0"));
}

#[test]
fn outcomes_come_in_any_order() {
    for engine in engines() {
        let (pool, pass) = (pool(2, 8), passing(&engine));
        let (closed, open) = (Gate::default(), Gate::default());
        open.open();
        let slow = submit_pass(&pool, &pass, &closed, 1).unwrap();
        for number in 2..6 {
            assert_eq!(value(submit_pass(&pool, &pass, &open, number).unwrap()), Value::I32(number));
        }
        assert!(!slow.is_done());
        let slow = slow.try_wait().unwrap_err();
        let slow = slow.wait_timeout(Duration::from_millis(5)).unwrap_err();
        closed.open();
        let slow = slow.wait_timeout(PATIENCE).unwrap();
        assert_eq!(slow.unwrap().value, Value::I32(1));
    }
}

extern "C" fn fail_with(barrier: *const Barrier, code: i32) -> i32 {
    // SAFETY: the test keeps the barrier until all calls are done.
    unsafe { (*barrier).wait() };
    Errno(code).set();
    -1
}

#[test]
fn each_call_has_its_own_errno() {
    for engine in engines() {
        let function = bind(&engine, fail_with as *const c_void, "int fail_with(const void *barrier, int code)");
        let abs = tiers::find(&engine, &jitcall::Library::process(), "int abs(int)");
        let (pool, barrier) = (pool(4, 4), Barrier::new(4));
        for round in 0..20 {
            let calls: Vec<(i32, Pending)> = (1..5)
                .map(|number| {
                    let code = 10 * number + round;
                    let arguments = vec![(&raw const barrier).into(), code.into()];
                    (code, submit(&pool, &function, arguments).unwrap())
                })
                .collect();
            for (code, pending) in calls {
                let completed = pending.wait().unwrap();
                assert_eq!((completed.value, completed.errno), (Value::I32(-1), Errno(code)));
            }
            let completed = submit(&pool, &abs, vec![(-3).into()]).unwrap().wait().unwrap();
            assert_eq!((completed.value, completed.errno), (Value::I32(3), Errno(0)), "nothing is left over");
        }
    }
}

extern "C" fn count_up(numbers: *mut u32, count: usize, text: *const libc::c_char, scale: *const f64) -> u64 {
    // SAFETY: the test passes as many numbers as it says, a C string and a double.
    let (numbers, text, scale) =
        unsafe { (std::slice::from_raw_parts_mut(numbers, count), CStr::from_ptr(text), *scale) };
    numbers.iter_mut().zip(0..).for_each(|(number, index)| *number += index);
    (text.count_bytes() as f64 * scale) as u64
}

#[test]
fn buffers_come_back_with_what_c_wrote() {
    let declaration = "uint64_t count_up(unsigned *numbers, size_t count, const char *text, const double *scale)";
    for engine in engines() {
        let function = bind(&engine, count_up as *const c_void, declaration);
        let numbers = vec![100u32; 5];
        let address = numbers.as_ptr();
        let arguments = vec![numbers.into(), 5.into(), c"four".to_owned().into(), vec![2.5f64].into()];
        let completed = submit(&pool(1, 0), &function, arguments).unwrap().wait().unwrap();
        assert_eq!(completed.value, Value::U64(10));
        assert_eq!(completed.arguments.len(), 4);
        let [numbers, scale] = <[_; 2]>::try_from(completed.into_buffers()).unwrap();
        assert_eq!(scale.as_slice::<f64>(), Some([2.5].as_slice()));
        assert_eq!(numbers.as_slice::<i32>(), None);
        let numbers = numbers.into_vec::<i32>().unwrap_err().into_vec::<u32>().unwrap();
        assert_eq!(numbers, [100, 101, 102, 103, 104]);
        assert_eq!(numbers.as_ptr(), address, "it is the vector itself");
    }
}

#[repr(C)]
struct Wide {
    words: [u64; 6],
}

/// More arguments than registers, and than a call has slots without the heap.
extern "C" fn widen(wide: Wide, a: Wide, b: Wide, c: Wide, d: Wide, e: Wide, last: f32) -> Wide {
    let sum = |index: usize| [&wide, &a, &b, &c, &d, &e].iter().map(|wide| wide.words[index]).sum::<u64>();
    Wide { words: std::array::from_fn(|index| sum(index) + last as u64) }
}

#[test]
fn structs_are_passed_and_returned() {
    let declaration = "struct wide { uint64_t words[6]; };
        struct wide widen(struct wide, struct wide, struct wide, struct wide, struct wide, struct wide, float)";
    for engine in engines() {
        let function = bind(&engine, widen as *const c_void, declaration);
        let ty = function.signature().result().clone();
        let wide = |start: u64| {
            let mut object = Object::zeroed(&ty).unwrap();
            for (bytes, word) in object.bytes_mut().chunks_exact_mut(8).zip(start..) {
                bytes.copy_from_slice(&word.to_ne_bytes());
            }
            object
        };
        let mut arguments: Vec<OwnedValue> = (0..6).map(|number| wide(1 << (4 * number)).into()).collect();
        arguments.push(7.0.into());
        let result = value(submit(&pool(1, 0), &function, arguments).unwrap());
        let words: Vec<u64> = result.as_object().unwrap().bytes().chunks_exact(8).map(word).collect();
        assert_eq!(words, (0..6).map(|index| 0x11_1111 + 6 * index + 7).collect::<Vec<u64>>());
    }
}

fn word(bytes: &[u8]) -> u64 {
    u64::from_ne_bytes(bytes.try_into().unwrap())
}

#[test]
fn a_full_queue_gives_the_arguments_back() {
    for engine in engines() {
        let (gate, pass) = (Gate::default(), passing(&engine));
        for waiting in [0, 1, 3] {
            let pool = pool(2, waiting);
            let accepted: Vec<Pending> =
                (0..2 + waiting).map(|number| submit_pass(&pool, &pass, &gate, number as i32).unwrap()).collect();
            let refused = submit_pass(&pool, &pass, &gate, -5).unwrap_err();
            assert!(matches!(refused.error, Error::QueueFull { limit } if limit == waiting));
            let words = match waiting {
                1 => "the queue of the pool is full: 1 call waits for a thread".to_owned(),
                _ => format!("the queue of the pool is full: {waiting} calls wait for a thread"),
            };
            assert_eq!(refused.to_string(), words);
            gate.open();
            for (pending, number) in accepted.into_iter().zip(0..) {
                assert_eq!(value(pending), Value::I32(number));
            }
            assert_eq!(value(submit(&pool, &pass, refused.arguments).unwrap()), Value::I32(-5));
            *gate.open.lock().unwrap() = false;
        }
    }
}

#[test]
fn arguments_are_checked_at_submission() {
    for engine in engines() {
        let pool = pool(1, 0);
        let function =
            bind(&engine, count_up as *const c_void, "unsigned long f(unsigned *, size_t, char *, double *)");
        let refused = submit(&pool, &function, vec![vec![1u32].into()]).unwrap_err();
        assert_eq!(refused.to_string(), "f: expected 4 arguments, got 1");
        assert_eq!(refused.arguments.len(), 1);
        let arguments = vec![vec![1u32].into(), (-1).into(), Value::NULL.into(), Value::NULL.into()];
        let refused = submit(&pool, &function, arguments).unwrap_err();
        assert_eq!(refused.to_string(), "f: argument 2: expected unsigned long, got -1 (int): out of range");
        let text = vec![vec![1u32].into(), 1.into(), c"C may write here".to_owned().into(), Value::NULL.into()];
        let refused = Error::from(submit(&pool, &function, text).unwrap_err());
        assert!(matches!(refused, Error::Argument { .. }), "{refused}");
    }
}

#[test]
fn pools_need_threads() {
    assert!(matches!(Pool::builder().threads(0).build(), Err(Error::Unsupported { .. })));
}

/// Writes to a buffer behind a gate.
extern "C" fn pass_and_write(gate: *const Gate, to: *mut u64, done: *const AtomicUsize) {
    pass(gate, 0);
    // SAFETY: the call owns the buffer, and the test keeps the rest.
    unsafe {
        assert_eq!(to.read(), 0x0123_4567_89ab_cdef, "the buffer is alive");
        to.write(1);
        (*done).fetch_add(1, Ordering::SeqCst);
    }
}

#[test]
fn a_call_that_nobody_waits_for_is_made() {
    let declaration = "void pass_and_write(const void *gate, uint64_t *to, void *done)";
    for engine in engines() {
        let function = bind(&engine, pass_and_write as *const c_void, declaration);
        let (pool, gate, done) = (pool(2, 8), Gate::default(), AtomicUsize::new(0));
        for _ in 0..6 {
            let buffer = vec![0x0123_4567_89ab_cdef_u64; 100];
            let arguments = vec![(&raw const gate).into(), buffer.into(), (&raw const done).into()];
            drop(submit(&pool, &function, arguments).unwrap());
        }
        drop(function);
        gate.open();
        gate.await_arrivals(6);
        drop(pool);
        assert_eq!(done.load(Ordering::SeqCst), 6);
    }
}

#[test]
fn dropping_a_pool_waits_for_what_runs_and_fails_what_does_not() {
    for engine in engines() {
        let (pool, pass, gate) = (pool(1, 8), passing(&engine), Gate::default());
        let running = submit_pass(&pool, &pass, &gate, 1).unwrap();
        gate.await_arrivals(1);
        let waiting = submit_pass(&pool, &pass, &gate, 2).unwrap();
        let (sender, receiver) = mpsc::channel();
        submit_pass(&pool, &pass, &gate, 3).unwrap().on_done(move |outcome| sender.send(outcome).unwrap());
        let dropping = thread::scope(|scope| {
            let dropping = scope.spawn(|| drop(pool));
            assert!(matches!(waiting.wait(), Err(Error::PoolClosed)));
            assert!(matches!(receiver.recv_timeout(PATIENCE).unwrap(), Err(Error::PoolClosed)));
            assert!(!dropping.is_finished() && !running.is_done());
            gate.open();
            dropping.join()
        });
        dropping.unwrap();
        assert!(running.is_done());
        assert_eq!(value(running), Value::I32(1));
    }
}

/// Counts how often it is woken, and wakes the thread that waits.
struct Alarm {
    rings: AtomicUsize,
    thread: thread::Thread,
}

impl Wake for Alarm {
    fn wake(self: Arc<Self>) {
        self.rings.fetch_add(1, Ordering::SeqCst);
        self.thread.unpark();
    }
}

fn alarm() -> (Arc<Alarm>, Waker) {
    let alarm = Arc::new(Alarm { rings: AtomicUsize::new(0), thread: thread::current() });
    (Arc::clone(&alarm), alarm.into())
}

/// The smallest executor there is.
fn block_on<F: Future>(future: F) -> F::Output {
    let (_, waker) = alarm();
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(output) => return output,
            Poll::Pending => thread::park_timeout(PATIENCE),
        }
    }
}

#[test]
fn a_pending_call_is_a_future() {
    for engine in engines() {
        let (pool, pass, gate) = (pool(1, 8), passing(&engine), Gate::default());
        let mut pending = pin!(submit_pass(&pool, &pass, &gate, 7).unwrap());
        let ((first, first_waker), (second, second_waker)) = (alarm(), alarm());
        assert!(pending.as_mut().poll(&mut Context::from_waker(&first_waker)).is_pending());
        assert!(pending.as_mut().poll(&mut Context::from_waker(&second_waker)).is_pending());
        gate.open();
        while second.rings.load(Ordering::SeqCst) == 0 {
            thread::park_timeout(PATIENCE);
        }
        assert_eq!(first.rings.load(Ordering::SeqCst), 0, "only the last waker counts");
        let Poll::Ready(outcome) = pending.as_mut().poll(&mut Context::from_waker(&second_waker)) else {
            panic!("it was woken")
        };
        assert_eq!(outcome.unwrap().value, Value::I32(7));
        let again = catch_unwind(AssertUnwindSafe(|| pending.as_mut().poll(&mut Context::from_waker(&second_waker))));
        assert!(again.is_err(), "the outcome is there once");

        let sum = block_on(async {
            let mut sum = 0;
            for number in 1..=4 {
                let completed = submit_pass(&pool, &pass, &gate, number)?.await?;
                sum += completed.value.as_integer().unwrap_or(0);
            }
            Ok::<i128, Error>(sum)
        });
        assert_eq!(sum.unwrap(), 10);
    }
}

#[test]
fn callbacks_get_the_outcome() {
    for engine in engines() {
        let (pool, pass, gate) = (pool(1, 8), passing(&engine), Gate::default());
        let (sender, receiver) = mpsc::channel::<(ThreadId, i32)>();
        let report = |sender: mpsc::Sender<_>| {
            move |outcome: jitcall::Result<jitcall::Completed>| {
                let number = outcome.unwrap().value.as_integer().unwrap() as i32;
                sender.send((thread::current().id(), number)).unwrap();
            }
        };
        let before = submit_pass(&pool, &pass, &gate, 1).unwrap();
        before.on_done(report(sender.clone()));
        submit_pass(&pool, &pass, &gate, 2).unwrap().on_done(|_| panic!("a callback that fails"));
        let late = submit_pass(&pool, &pass, &gate, 3).unwrap();
        gate.open();
        let (thread, number) = receiver.recv_timeout(PATIENCE).unwrap();
        assert!(number == 1 && thread != thread::current().id());
        while !late.is_done() {
            thread::yield_now();
        }
        late.on_done(report(sender));
        assert_eq!(receiver.try_recv(), Ok((thread::current().id(), 3)), "at once");
        assert_eq!(value(submit_pass(&pool, &pass, &gate, 4).unwrap()), Value::I32(4), "the pool goes on");
    }
}

#[test]
fn a_callback_may_drop_the_pool() {
    let (pass, gate) = (passing(Engine::global()), Gate::default());
    let pool = Arc::new(pool(2, 8));
    let (sender, receiver) = mpsc::channel();
    let pending = submit_pass(&pool, &pass, &gate, 1).unwrap();
    let (last, ready) = (Arc::clone(&pool), Arc::new(Barrier::new(2)));
    let callback_ready = Arc::clone(&ready);
    pending.on_done(move |_| {
        callback_ready.wait();
        drop(last);
        sender.send(()).unwrap();
    });
    drop(pool);
    gate.open();
    ready.wait();
    receiver.recv_timeout(PATIENCE).expect("the pool is dropped without waiting for its own thread");
}

extern "C-unwind" fn complain(number: i32) -> i32 {
    panic!("no {number}")
}

#[test]
fn a_panic_of_the_callee_is_an_error() {
    for engine in engines() {
        let (pool, gate) = (pool(1, 1), Gate::default());
        let complain = bind(&engine, complain as *const c_void, "int complain(int)");
        let error = submit(&pool, &complain, vec![9.into()]).unwrap().wait().unwrap_err();
        assert_eq!(error.to_string(), "complain: the call panicked: no 9");
        gate.open();
        assert_eq!(value(submit_pass(&pool, &passing(&engine), &gate, 1).unwrap()), Value::I32(1));
    }
}

/// How many calls a descriptor tells of; waits until it tells of any.
fn completions(descriptor: BorrowedFd<'_>) -> u64 {
    let mut entry = libc::pollfd { fd: descriptor.as_raw_fd(), events: libc::POLLIN, revents: 0 };
    let mut count = [0u8; 8];
    // SAFETY: there is one entry, and room for what is read.
    unsafe {
        assert_eq!(libc::poll(&raw mut entry, 1, PATIENCE.as_millis() as i32), 1, "readable in time");
        assert_eq!(libc::read(entry.fd, count.as_mut_ptr().cast(), 8), 8);
    }
    u64::from_ne_bytes(count)
}

#[test]
fn a_descriptor_tells_event_loops() {
    let (pool, pass, gate) = (pool(2, 8), passing(Engine::global()), Gate::default());
    let descriptor = pool.completions_fd().unwrap();
    assert_eq!(descriptor.as_raw_fd(), pool.completions_fd().unwrap().as_raw_fd());
    let mut pending: Vec<Pending> = (0..5).map(|number| submit_pass(&pool, &pass, &gate, number).unwrap()).collect();
    gate.open();
    let mut told = 0;
    while told < 5 {
        told += completions(descriptor);
        assert!(pending.iter().filter(|pending| pending.is_done()).count() as u64 >= told, "done before it is told of");
    }
    assert!(pending.drain(..).zip(0..).all(|(pending, number)| value(pending) == Value::I32(number)));
}

#[test]
fn variadic_functions_are_called_with_a_tail() {
    for engine in engines() {
        let declaration = "int snprintf(char *to, size_t size, const char *format, ...)";
        let print = tiers::find(&engine, &jitcall::Library::process(), declaration);
        let print = print.with_tail([Type::I32, Type::F64]).unwrap();
        let format = c"%d %.1f".to_owned();
        let arguments = vec![vec![0u8; 16].into(), 16.into(), format.into(), 5.into(), 2.5.into()];
        let completed = submit(&pool(1, 0), &print, arguments).unwrap().wait().unwrap();
        assert_eq!(completed.value, Value::I32(5));
        assert!(completed.into_buffers()[0].bytes().starts_with(b"5 2.5\0"));
    }
}

/// Runs `child` in a forked process; whether it said yes, or how the process ended otherwise.
///
/// A child that takes too long is killed from here: under qemu, one may hang in the emulator itself, which then does not
/// deliver it an alarm either.
fn in_child(patience: Duration, child: impl FnOnce() -> bool) -> Result<bool, i32> {
    // SAFETY: the C library makes a child's heap usable, and the child runs no code but its own: it leaves by _exit.
    let id = unsafe { libc::fork() };
    if id == 0 {
        // SAFETY: nothing of the parent's is to be cleaned up.
        unsafe { libc::_exit(i32::from(!catch_unwind(AssertUnwindSafe(child)).unwrap_or(false))) }
    }
    let (start, mut status) = (Instant::now(), 0);
    // SAFETY: the child is this process's own, and nobody else waits for it.
    while unsafe { libc::waitpid(id, &raw mut status, libc::WNOHANG) } == 0 {
        thread::sleep(Duration::from_millis(1));
        if start.elapsed() > patience {
            // SAFETY: the child has not been waited for, so the number is still its own.
            unsafe { libc::kill(id, libc::SIGKILL) };
        }
    }
    if libc::WIFEXITED(status) { Ok(libc::WEXITSTATUS(status) == 0) } else { Err(status) }
}

fn is_forked(outcome: Result<jitcall::Completed, Error>) -> bool {
    matches!(outcome, Err(Error::PoolForked))
}

#[test]
fn children_have_no_part_in_the_parents_pools() {
    for engine in engines() {
        let (pass, gate) = (passing(&engine), Gate::default());
        let mut pool = Some(pool(1, 8));
        let submit_one = |pool: &Option<Pool>| submit_pass(pool.as_ref().unwrap(), &pass, &gate, 1);
        let mut pending: Option<Vec<Pending>> = Some((0..4).map(|_| submit_one(&pool).unwrap()).collect());
        let refused = in_child(PATIENCE, || {
            let [first, second, third, _] = <[Pending; 4]>::try_from(pending.take().unwrap()).unwrap();
            let (sender, receiver) = mpsc::channel();
            third.on_done(move |outcome| sender.send(is_forked(outcome)).unwrap());
            let error = submit_one(&pool).unwrap_err();
            let refused = matches!(error.error, Error::PoolForked) && error.arguments.len() == 2;
            drop(pool.take());
            refused && is_forked(first.wait()) && is_forked(block_on(second)) && receiver.try_recv() == Ok(true)
        });
        assert_eq!(refused, Ok(true), "by {}", engine.tier());
        gate.open();
        assert!(pending.unwrap().into_iter().all(|pending| value(pending) == Value::I32(1)), "the parent goes on");
    }
}

fn call_async(function: &Function, gate: &Gate, number: i32) -> Pending {
    // SAFETY: the tests declare their functions as they are.
    unsafe { function.call_async(vec![(&raw const *gate).into(), number.into()]).unwrap() }
}

#[test]
fn children_get_a_shared_pool_of_their_own() {
    if leaves_out_threads_of_children() {
        return;
    }
    alone("children_get_a_shared_pool_of_their_own", || {
        // Of two gates, since a thread may hold the lock of its own when the process forks.
        let (pass, closed, gate) = (passing(Engine::global()), Gate::default(), Gate::default());
        gate.open();
        let busy = call_async(&pass, &closed, 1);
        for _ in 0..5 {
            let child = in_child(PATIENCE, || {
                let grandchild =
                    || in_child(PATIENCE, || value(call_async(&pass, &gate, 3)) == Value::I32(3)) == Ok(true);
                value(call_async(&pass, &gate, 2)) == Value::I32(2) && grandchild()
            });
            assert_eq!(child, Ok(true));
        }
        closed.open();
        assert_eq!(value(busy), Value::I32(1));
    });
}

#[test]
fn a_child_forked_while_pools_are_made_makes_its_own() {
    const ROUNDS: usize = 200;
    if leaves_out_threads_of_children() {
        return;
    }
    alone("a_child_forked_while_pools_are_made_makes_its_own", || {
        let (pass, gate) = (passing(Engine::global()), Gate::default());
        gate.open();
        let round = Barrier::new(2);
        let outcomes: Vec<_> = thread::scope(|scope| {
            scope.spawn(|| {
                for _ in 0..ROUNDS {
                    round.wait();
                    // They are kept, since their threads may also not end while the process forks.
                    (0..4).for_each(|_| mem::forget(pool(2, 1)));
                }
            });
            let outcome = |number: usize| {
                round.wait();
                // At another moment each time.
                let start = Instant::now();
                while start.elapsed() < Duration::from_micros(number as u64 % 50 * 5) {
                    hint::spin_loop();
                }
                in_child(PATIENCE, || value(call_async(&pass, &gate, 2)) == Value::I32(2))
            };
            (0..ROUNDS).map(outcome).collect()
        });
        assert!(outcomes.iter().all(|outcome| *outcome == Ok(true)), "{outcomes:?}");
    });
}

#[test]
fn a_child_forked_amid_submissions_does_not_hang() {
    let (pass, gate) = (passing(Engine::global()), Gate::default());
    gate.open();
    let pool = pool(2, 1000);
    let stop = AtomicUsize::new(0);
    thread::scope(|scope| {
        scope.spawn(|| {
            while stop.load(Ordering::SeqCst) == 0 {
                let pending: Vec<_> = (0..100).map(|number| submit_pass(&pool, &pass, &gate, number)).collect();
                pending.into_iter().for_each(|pending| drop(value(pending.unwrap())));
            }
        });
        let outcomes: Vec<_> = (0..20)
            .map(|_| {
                in_child(PATIENCE, || {
                    submit_pass(&pool, &pass, &gate, 1).is_err_and(|refused| refused.arguments.len() == 2)
                })
            })
            .collect();
        stop.store(1, Ordering::SeqCst);
        assert!(outcomes.iter().all(|outcome| *outcome == Ok(true)), "{outcomes:?}");
    });
}

/// Compiles only where these can go from thread to thread.
const _: () = {
    const fn is_sent<T: Send>() {}
    is_sent::<(Pool, Pending, jitcall::Completed, SubmitError)>();
};
