//! Processes that fork while they prepare: parent and child both go on.

#[path = "support/alone.rs"]
mod alone;
mod tiers;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::{io, thread};

use alone::alone;
use jitcall::{Engine, Tier};
use tiers::{Print, engines, leaves_out_threads_of_children};

const FORKS: u64 = 25;

/// Shapes that are prepared before, and by each process after a fork.
const OLD: u64 = 30;
const NEW: u64 = 12;

/// A child that has not finished by then hangs, in seconds.
const PATIENCE: u32 = 60;

/// What children exit with.
const GOOD: i32 = 42;
const BAD: i32 = 1;
const PANICKED: i32 = 2;

/// Forks. The child does its work and exits, with [`GOOD`] where that was done well. The parent does its own meanwhile,
/// and gives the child's exit code, or its wait status where a signal ended it.
fn fork(child: impl FnOnce() -> bool, parent: impl FnOnce()) -> Result<i32, i32> {
    // SAFETY: the C library makes a child's heap usable, and the child runs no code but its own: it leaves by _exit.
    let id = unsafe { libc::fork() };
    if id == 0 {
        // SAFETY: a child that hangs is ended by the signal.
        unsafe { libc::alarm(PATIENCE) };
        let code = match catch_unwind(AssertUnwindSafe(child)) {
            Ok(true) => GOOD,
            Ok(false) => BAD,
            Err(_) => PANICKED,
        };
        // SAFETY: nothing of the parent's is to be cleaned up here.
        unsafe { libc::_exit(code) };
    }
    assert!(id > 0, "{}", io::Error::last_os_error());
    parent();
    let mut status = 0;
    // SAFETY: the child is this process's own, and nobody else waits for it.
    assert_eq!(unsafe { libc::waitpid(id, &raw mut status, 0) }, id, "{}", io::Error::last_os_error());
    if libc::WIFEXITED(status) { Ok(libc::WEXITSTATUS(status)) } else { Err(status) }
}

/// Whether all that was prepared before still works, and new shapes from `start` on do.
fn goes_on(engine: &Engine, print: &Print, start: u64) -> bool {
    let works = |shape| (0..2).all(|_| print.works(shape));
    let before = engine.statistics().stubs;
    let all = (start..start + NEW).all(works) && (0..OLD).all(works) && (start..start + NEW).all(works);
    let added = engine.statistics().stubs >= before + NEW as usize || engine.tier() == Tier::Asm;
    all && added && engine.audit().is_ok()
}

/// The first of shapes that no process of this family has prepared.
fn fresh() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(OLD);
    NEXT.fetch_add(NEW, Ordering::Relaxed)
}

fn prepared(engine: &Engine) -> Print {
    let print = Print::new(engine);
    assert!((0..OLD).all(|shape| print.works(shape)));
    print
}

/// Runs `work` while other threads prepare in that engine and in ones of their own. They have begun by then, and have
/// ended when this returns.
fn amid_preparation(engine: &Engine, work: impl FnOnce()) {
    let (begun, done) = (Barrier::new(4), AtomicBool::new(false));
    thread::scope(|scope| {
        let threads = [1, 2, 3].map(|number| {
            let (engine, begun, done) = (engine, &begun, &done);
            scope.spawn(move || {
                begun.wait();
                let mut shape = 1_000_000 * number;
                while !done.load(Ordering::Relaxed) {
                    let own = Engine::builder().tier(engine.tier()).build().unwrap();
                    for print in [Print::new(engine), Print::new(&own)] {
                        assert!(print.works(shape));
                    }
                    shape += 1;
                }
            })
        });
        begun.wait();
        // The threads have to be told even where the work fails.
        let outcome = catch_unwind(AssertUnwindSafe(work));
        done.store(true, Ordering::Relaxed);
        // The scope itself waits for what threads do, not for their ends.
        let threads = threads.map(|thread| thread.join());
        for result in [outcome].into_iter().chain(threads) {
            result.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        }
    });
}

#[test]
fn both_go_on_preparing_and_calling() {
    for engine in engines() {
        let print = prepared(&engine);
        amid_preparation(&engine, || {
            for round in 0..FORKS {
                let (for_child, for_parent) = (fresh(), fresh());
                let code = fork(
                    || goes_on(&engine, &print, for_child),
                    || {
                        assert!(
                            goes_on(&engine, &print, for_parent),
                            "the parent in round {round} by {}",
                            engine.tier()
                        )
                    },
                );
                assert_eq!(code, Ok(GOOD), "round {round} by {}", engine.tier());
                // What the child has prepared is not here, and can be prepared here too.
                assert!(goes_on(&engine, &print, for_child), "after round {round} by {}", engine.tier());
            }
        });
    }
}

#[test]
fn stubs_of_one_are_not_there_in_the_other() {
    for engine in engines().into_iter().filter(|engine| engine.tier() == Tier::Jit) {
        let print = prepared(&engine);
        let start = engine.statistics().stubs;
        let stubs = |count| engine.statistics().stubs == start + count;
        let code = fork(
            || stubs(0) && print.works(OLD) && print.works(OLD + 1) && stubs(2),
            || assert!(stubs(0) && print.works(OLD + 2) && stubs(1)),
        );
        assert_eq!(code, Ok(GOOD));
        assert!(stubs(1), "{:?}", engine.statistics());
    }
}

#[test]
fn children_of_children() {
    fn descend(engine: &Engine, print: &Print, depth: u64) -> bool {
        let start = OLD + 1000 * depth;
        if depth == 0 {
            return goes_on(engine, print, start);
        }
        let mut well = true;
        let code = fork(|| descend(engine, print, depth - 1), || well = goes_on(engine, print, start));
        well && code == Ok(GOOD) && goes_on(engine, print, start + 500)
    }
    for engine in engines() {
        let print = prepared(&engine);
        amid_preparation(&engine, || {
            for _ in 0..4 {
                assert_eq!(fork(|| descend(&engine, &print, 3), || ()), Ok(GOOD), "by {}", engine.tier());
            }
        });
        assert!(goes_on(&engine, &print, fresh()));
    }
}

#[test]
fn a_child_may_drop_engines_and_make_others() {
    for _ in 0..10 {
        let mut kept = engines();
        let mut prints: Vec<Print> = kept.iter().map(prepared).collect();
        let code = fork(
            || {
                // Functions hold their engines: with both gone, the child unmaps the code.
                drop((std::mem::take(&mut kept), std::mem::take(&mut prints)));
                engines().iter().all(|engine| goes_on(engine, &prepared(engine), OLD))
            },
            || (),
        );
        assert_eq!(code, Ok(GOOD));
        for (engine, print) in kept.iter().zip(&prints) {
            assert!(goes_on(engine, print, OLD), "the parent's are as before, by {}", engine.tier());
        }
    }
}

#[test]
fn a_child_may_start_threads() {
    if leaves_out_threads_of_children() {
        return;
    }
    alone("a_child_may_start_threads", || {
        for engine in engines() {
            let print = prepared(&engine);
            amid_preparation(&engine, || {
                let child = || {
                    let threads: Vec<_> = (0..3)
                        .map(|number| {
                            let (engine, print) = (engine.clone(), print.clone());
                            let start = 5000 + 100 * number;
                            thread::spawn(move || {
                                (start..start + NEW).all(|shape| print.works(shape)) && engine.audit().is_ok()
                            })
                        })
                        .collect();
                    threads.into_iter().all(|thread| thread.join().is_ok_and(|well| well))
                };
                for _ in 0..5 {
                    assert_eq!(fork(child, || ()), Ok(GOOD), "by {}", engine.tier());
                }
            });
        }
    });
}
