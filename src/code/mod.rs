//! Where machine code lives: written once, found again by the shape of its plan.

pub(crate) mod arena;
pub(crate) mod entries;
pub(crate) mod fork;
pub(crate) mod icache;
mod memfd;
pub(crate) mod profile;
pub(crate) mod unwind;

use std::fmt::Display;
use std::ptr::NonNull;

use crate::abi::Shape;
use crate::cache::{Cache, Stub};
use crate::engine::Statistics;
use crate::error::Result;
use arena::Arena;
use fork::Guarded;
use profile::{Code, Profile};
use unwind::FrameKind;

/// An engine's machine code and the cache that finds it.
///
/// Threads look stubs up without a lock; those that add one take turns, over all stores of the process
/// ([`fork::lock`]). Dropping the store unmaps the code.
pub(crate) struct CodeStore {
    cache: Cache,
    writer: Guarded<Writer>,
}

/// What a new stub takes shape in.
struct Writer {
    arena: Arena,
    /// Holds one stub's code while that is emitted, and keeps its memory for the next.
    buffer: Vec<u8>,
    /// Tells tools of the code, where that was asked for.
    profile: Option<Box<Profile>>,
}

impl Writer {
    fn write(
        &mut self,
        frame: FrameKind,
        name: &dyn Display,
        emit: impl FnOnce(&mut Vec<u8>) -> Result<()>,
    ) -> Result<NonNull<u8>> {
        self.buffer.clear();
        emit(&mut self.buffer)?;
        let entry = self.arena.add(&self.buffer, frame)?;
        if let Some(profile) = &mut self.profile {
            profile.add(Code { name: &name.to_string(), entry, bytes: &self.buffer, frame });
        }
        Ok(entry)
    }
}

impl CodeStore {
    /// A store of at most `limit` bytes of machine code. It makes sure that code can be had and runs.
    ///
    /// # Errors
    /// [`Error::CodeMemory`](crate::Error::CodeMemory) where the system refuses executable memory,
    /// [`Error::CodeLimit`](crate::Error::CodeLimit) where `limit` is less than a page.
    pub(crate) fn new(limit: usize) -> Result<CodeStore> {
        let mut arena = Arena::new(limit);
        {
            let _guard = fork::lock();
            arena.probe()?;
        }
        let writer = Writer { arena, buffer: Vec::new(), profile: Profile::from_env() };
        Ok(CodeStore { cache: Cache::new(), writer: Guarded::new(writer) })
    }

    /// The stub of a shape. Where there is none yet, `emit` writes its position-independent code to the end of the
    /// empty vector that it gets, while it holds the writer's lock: it must not come back here. The code's frame is of
    /// the kind `frame`; where tools are told of it, it is called `name`.
    ///
    /// # Errors
    /// Those of `emit`; [`Error::CodeLimit`](crate::Error::CodeLimit) and
    /// [`Error::CodeMemory`](crate::Error::CodeMemory).
    pub(crate) fn stub(
        &self,
        shape: &Shape,
        frame: FrameKind,
        name: &dyn Display,
        emit: impl FnOnce(&mut Vec<u8>) -> Result<()>,
    ) -> Result<&Stub> {
        let stub = self.cache.find_or_add(shape, |guard| self.writer.get(guard).write(frame, name, emit))?;
        icache::synchronize();
        Ok(stub)
    }

    /// What the store holds and has done so far.
    pub(crate) fn statistics(&self) -> Statistics {
        let mut guard = fork::lock();
        let arena = &self.writer.get(&mut guard).arena;
        let (code_bytes, mapped_bytes, limit) = (arena.used(), arena.mapped(), arena.limit());
        let (hits, misses) = self.cache.lookups();
        let (stubs, cache_bytes) = self.cache.size(&mut guard);
        let entry_bytes = entries::mapped_bytes(&mut guard);
        Statistics { hits, misses, stubs, code_bytes, mapped_bytes, cache_bytes, entry_bytes, limit }
    }

    /// Checks with the system that no code memory is writable where it is executable.
    ///
    /// # Errors
    /// [`Error::CodeMemory`](crate::Error::CodeMemory) with the first mapping that is other than it should be.
    pub(crate) fn audit(&self) -> Result<()> {
        self.writer.get(&mut fork::lock()).arena.audit()
    }
}

impl Drop for CodeStore {
    fn drop(&mut self) {
        // Debuggers forget the code before it is unmapped.
        if let Some(profile) = self.writer.get_mut().profile.take() {
            let _guard = fork::lock();
            drop(profile);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::panic::{self, AssertUnwindSafe};
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::thread;

    use super::fork::testing::Child;
    use super::*;
    use crate::Signature;
    use crate::abi::{Convention, Plan};
    use crate::emit;
    use crate::error::Error;

    const LIMIT: usize = 16 << 20;

    /// Plans of distinct shapes, of up to six scalar parameters each.
    fn plans(count: usize) -> Vec<Plan> {
        const TYPES: [&str; 8] = ["signed char", "short", "int", "long", "float", "double", "bool", "unsigned short"];
        let plan = |number: usize| {
            let digits = (0..6).map(|place| number / TYPES.len().pow(place) % TYPES.len());
            let parameters: Vec<&str> = digits.map(|digit| TYPES[digit]).collect();
            let signature = Signature::parse(&format!("long f({})", parameters.join(", "))).unwrap();
            Plan::new(&signature, Convention::HOST).unwrap()
        };
        (0..count).map(plan).collect()
    }

    fn stub<'a>(store: &'a CodeStore, plan: &Plan) -> &'a Stub {
        store.stub(plan.shape(), FrameKind::of(plan), &"a stub", |code| emit::call_stub_into(plan, code)).unwrap()
    }

    /// Whether a stub has the code that is emitted for its plan.
    fn is_right(stub: &Stub, plan: &Plan) -> bool {
        let mut code = Vec::new();
        emit::call_stub_into(plan, &mut code).unwrap();
        // SAFETY: the stub's code is as long as that, and readable.
        let found = unsafe { std::slice::from_raw_parts(stub.entry().as_ptr(), code.len()) };
        found == code && stub.words() == plan.shape().words()
    }

    #[test]
    fn stubs_are_made_once_and_counted() {
        let store = CodeStore::new(LIMIT).unwrap();
        let plans = plans(600);
        let empty = store.statistics();
        assert_eq!((empty.hits, empty.misses, empty.stubs, empty.code_bytes), (0, 0, 0, 16));
        let entries: Vec<_> = plans.iter().map(|plan| stub(&store, plan).entry()).collect();
        for (plan, entry) in plans.iter().zip(entries) {
            let found =
                store.stub(plan.shape(), FrameKind::of(plan), &"a stub", |_| unreachable!("it is there")).unwrap();
            assert_eq!(found.entry(), entry);
            assert!(is_right(found, plan));
        }
        let statistics = store.statistics();
        assert_eq!((statistics.hits, statistics.misses, statistics.stubs), (600, 600, 600));
        assert!(statistics.mapped_bytes >= statistics.code_bytes && statistics.limit == LIMIT);
        store.audit().unwrap();
    }

    #[test]
    fn small_stubs_take_at_most_256_bytes_each() {
        let store = CodeStore::new(LIMIT).unwrap();
        for (count, plan) in (1..).zip(&plans(3000)) {
            stub(&store, plan);
            if count >= 100 && count % 50 == 0 {
                let statistics = store.statistics();
                let bytes = statistics.code_bytes + statistics.cache_bytes;
                assert!(bytes <= 256 * count, "{count} stubs: {statistics:?}");
            }
        }
    }

    #[test]
    fn failures_and_panics_of_the_emitter_leave_nothing_behind() {
        let store = CodeStore::new(LIMIT).unwrap();
        let plan = &plans(1)[0];
        let failed = store.stub(plan.shape(), FrameKind::of(plan), &"a stub", |code| {
            code.extend([1, 2, 3]);
            Err(Error::unsupported("this once"))
        });
        assert!(matches!(failed, Err(Error::Unsupported { .. })));
        let panicked = panic::catch_unwind(AssertUnwindSafe(|| {
            let emit = |code: &mut Vec<u8>| -> Result<()> {
                code.extend([1, 2, 3]);
                panic::resume_unwind(Box::new("this once"))
            };
            store.stub(plan.shape(), FrameKind::of(plan), &"a stub", emit).map(drop)
        }));
        assert!(panicked.is_err());
        assert!(is_right(stub(&store, plan), plan));
        assert_eq!(store.statistics().stubs, 1);
    }

    #[test]
    fn limit_is_an_error_and_old_stubs_still_work() {
        // Other tests fork meanwhile, and each fork may cost this store a chunk.
        let store = CodeStore::new(64 << 10).unwrap();
        let plans = plans(3000);
        let refused = plans.iter().find_map(|plan| {
            let result =
                store.stub(plan.shape(), FrameKind::of(plan), &"a stub", |code| emit::call_stub_into(plan, code));
            result.err()
        });
        assert!(matches!(refused, Some(Error::CodeLimit { .. })));
        let made = store.statistics().stubs;
        assert!(plans[..made].iter().all(|plan| is_right(stub(&store, plan), plan)));
        assert!(CodeStore::new(0).is_err());
    }

    #[test]
    fn threads_share_stubs() {
        let store = CodeStore::new(LIMIT).unwrap();
        let plans = plans(500);
        thread::scope(|scope| {
            for thread in 0..6 {
                let (store, plans) = (&store, &plans);
                scope.spawn(move || {
                    let order = (0..plans.len()).map(|index| &plans[(index * (2 * thread + 1)) % plans.len()]);
                    order.for_each(|plan| assert!(is_right(stub(store, plan), plan)));
                });
            }
        });
        plans.iter().for_each(|plan| assert!(is_right(stub(&store, plan), plan)));
        assert_eq!(store.statistics().stubs, 500);
    }

    /// Tells writers to stop, whether or not the test fails before.
    struct Finish<'a>(&'a AtomicBool);

    impl Drop for Finish<'_> {
        fn drop(&mut self) {
            self.0.store(true, Ordering::Relaxed);
        }
    }

    #[test]
    fn children_forked_while_stubs_are_made_can_use_and_make_stubs() {
        let store = CodeStore::new(LIMIT).unwrap();
        let (first, second) = (plans(400), plans(420).split_off(400));
        let done = AtomicBool::new(false);
        thread::scope(|scope| {
            let finish = Finish(&done);
            let write = || {
                while !done.load(Ordering::Relaxed) {
                    first.iter().for_each(|plan| assert!(is_right(stub(&store, plan), plan)));
                    // A second store has its stubs made under the same lock.
                    let other = CodeStore::new(LIMIT).unwrap();
                    first.iter().for_each(|plan| assert!(is_right(stub(&other, plan), plan)));
                }
            };
            let writers = [scope.spawn(write), scope.spawn(write)];
            for round in 0..20 {
                let child = Child::fork(|| {
                    first.iter().chain(&second).for_each(|plan| assert!(is_right(stub(&store, plan), plan)));
                    store.audit().unwrap();
                });
                assert!(is_right(stub(&store, &second[round]), &second[round]));
                child.join();
            }
            drop(finish);
            writers.into_iter().for_each(|thread| thread.join().unwrap());
        });
        first.iter().for_each(|plan| assert!(is_right(stub(&store, plan), plan)));
        assert_eq!(store.statistics().stubs, 420);
        store.audit().unwrap();
    }
}
