//! Closure entries: how many there are, that freed ones are used again, and what calls of freed ones give.
//!
//! Entries belong to the process, so one test runs at a time.

mod tiers;

use std::collections::HashSet;
use std::ffi::c_void;
use std::sync::{Mutex, MutexGuard, PoisonError};

use jitcall::closure::{catch, take_failure};
use jitcall::{CallbackInterface, Closure, Engine, Error, Signature, Tier};
use tiers::engines;

/// How many there are on the tier without a JIT, at a time.
const LIMIT: usize = 1024;

/// Lets one test run at a time.
fn alone() -> MutexGuard<'static, ()> {
    static LOCK: Mutex<()> = Mutex::new(());
    LOCK.lock().unwrap_or_else(PoisonError::into_inner)
}

/// How many closures come and go: `JITCALL_CLOSURES`, or a million. A tenth of them are there at a time.
fn count() -> usize {
    let text = std::env::var("JITCALL_CLOSURES").unwrap_or_else(|_| "1000000".into());
    text.parse().expect("JITCALL_CLOSURES is a number")
}

fn of_tier(tier: Tier) -> Option<Engine> {
    engines().into_iter().find(|engine| engine.tier() == tier)
}

/// Interfaces whose closures are entered by a runner that finds the record in an argument register, and by one that
/// finds it in the scratch register.
fn interfaces(engine: &Engine) -> [CallbackInterface; 2] {
    ["long f(long)", "long f(long, long, long, long, long, long, long, long)"].map(|declaration| {
        let signature = Signature::parse(declaration).unwrap();
        engine.prepare_callback(&signature).unwrap()
    })
}

fn make(interface: &CallbackInterface, number: i64) -> Closure<'static> {
    // SAFETY: the first argument is a long, and so is the result.
    let made = interface.slots(move |arguments, result| unsafe { result.write(arguments.read::<i64>(0) ^ number) });
    made.unwrap()
}

/// Calls a closure with a number, and nothing behind it: handlers look no further.
fn call(pointer: *const c_void, number: i64) -> i64 {
    type Longs = extern "C" fn(i64, i64, i64, i64, i64, i64, i64, i64) -> i64;
    // SAFETY: it takes as many or fewer, which registers and memory that C's callers pass too much in do not show.
    let f = unsafe { std::mem::transmute::<*const c_void, Longs>(pointer) };
    f(number, 0, 0, 0, 0, 0, 0, 0)
}

#[test]
fn the_pool_of_the_tier_without_a_jit_has_an_end() {
    let _alone = alone();
    let engine = of_tier(Tier::Asm).expect("it is everywhere");
    let interfaces = interfaces(&engine);
    for round in 0..3 {
        let interface = |number: usize| &interfaces[number % 2];
        let mut closures: Vec<_> = (0..LIMIT).map(|number| make(interface(number), number as i64)).collect();
        for interface in &interfaces {
            let error = interface.values(|_| Err("none".into())).unwrap_err();
            assert!(matches!(error, Error::ClosureLimit { limit: LIMIT }));
            let expected = "there are 1024 closures, which is all that the tier without a JIT has entries for";
            assert_eq!(error.to_string(), expected);
        }
        let distinct: HashSet<_> = closures.iter().map(Closure::as_ptr).collect();
        assert_eq!(distinct.len(), LIMIT);
        for (number, closure) in closures.iter().enumerate() {
            assert_eq!(call(closure.as_ptr(), 0x55), 0x55 ^ number as i64, "round {round}");
        }
        // One that goes makes room for one.
        drop(closures.swap_remove(round));
        closures.push(make(interface(round), -5));
        assert_eq!(call(closures.last().unwrap().as_ptr(), 3), 3 ^ -5);
        assert!(interface(0).slots(|_, _| ()).is_err());
    }
    let statistics = engine.statistics();
    assert_eq!(statistics.code_bytes, 0, "{statistics:?}");
}

/// A handler that could not be made into a closure is dropped.
#[test]
fn handlers_that_get_no_entry_are_dropped() {
    let _alone = alone();
    let engine = of_tier(Tier::Asm).expect("it is everywhere");
    let [interface, _] = interfaces(&engine);
    let closures: Vec<_> = (0..LIMIT).map(|number| make(&interface, number as i64)).collect();
    let captured = std::rc::Rc::new(());
    let own = std::rc::Rc::clone(&captured);
    assert!(interface.slots(move |_, _| drop(std::rc::Rc::clone(&own))).is_err());
    assert_eq!(std::rc::Rc::strong_count(&captured), 1);
    drop(closures);
}

/// The process's resident memory, in bytes.
fn resident() -> usize {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap();
    let pages: usize = text.split_whitespace().nth(1).expect("the resident pages").parse().unwrap();
    // SAFETY: a plain question.
    pages * unsafe { libc::sysconf(libc::_SC_PAGESIZE) } as usize
}

/// Closures that come and go take no more memory than there are at a time.
#[test]
fn closures_that_come_and_go_take_no_memory() {
    /// What else the process may take meanwhile; a leak of 8 bytes for each of a million closures would be more.
    const ELSE: usize = 4 << 20;
    let _alone = alone();
    for engine in engines() {
        let interfaces = interfaces(&engine);
        let come_and_go = |count: usize| {
            for number in 0..count {
                let closure = make(&interfaces[number % 2], number as i64);
                assert_eq!(call(closure.as_ptr(), 1), 1 ^ number as i64);
            }
        };
        come_and_go(1000);
        let (entries, memory) = (engine.statistics().entry_bytes, resident());
        come_and_go(count());
        assert_eq!(engine.statistics().entry_bytes, entries, "by {}", engine.tier());
        let more = resident().saturating_sub(memory);
        assert!(more <= ELSE, "{more} bytes more for {} closures by {}", count(), engine.tier());
    }
}

#[test]
fn many_are_there_at_a_time() {
    let _alone = alone();
    let Some(engine) = of_tier(Tier::Jit) else { return };
    for interface in interfaces(&engine) {
        let before = engine.statistics().entry_bytes;
        let mut after_first = None;
        for _ in 0..2 {
            let closures: Vec<_> = (0..count() / 10).map(|number| make(&interface, number as i64)).collect();
            let distinct: HashSet<_> = closures.iter().map(Closure::as_ptr).collect();
            assert_eq!(distinct.len(), closures.len());
            for (number, closure) in closures.iter().enumerate() {
                assert_eq!(call(closure.as_ptr(), 7), 7 ^ number as i64);
            }
            let now = engine.statistics().entry_bytes;
            // 16 bytes of code and 16 of data for each, in blocks.
            assert!(now - before <= 32 * closures.len() + (1 << 20), "{before}, {now}");
            assert_eq!(*after_first.get_or_insert(now), now, "freed ones are used again");
        }
        engine.audit().unwrap();
    }
}

/// The one that was freed last is the next to be used.
#[test]
fn freed_entries_are_used_again() {
    let _alone = alone();
    for engine in engines() {
        for interface in interfaces(&engine) {
            let first = make(&interface, 1);
            let pointer = first.as_ptr();
            drop(first);
            let second = make(&interface, 2);
            assert_eq!(second.as_ptr(), pointer, "by {}", engine.tier());
            assert_eq!(call(pointer, 0), 2);
        }
    }
}

#[test]
fn calls_of_freed_closures_give_zero_and_are_reported() {
    let _alone = alone();
    for engine in engines() {
        for interface in interfaces(&engine) {
            let closure = make(&interface, 5);
            let pointer = closure.as_ptr();
            assert_eq!(call(pointer, 0), 5);
            drop(closure);
            let mut given = -1;
            let failure = catch(|| given = call(pointer, 99)).unwrap_err();
            assert_eq!(failure.to_string(), "callback (freed): called after it was freed", "by {}", engine.tier());
            assert_eq!((failure.closure(), failure.is_panic(), given), ("(freed)", false, 0));
            assert!(take_failure().is_none());
        }
        let double = Signature::parse("double f(double)").unwrap();
        let closure = engine.prepare_callback(&double).unwrap().typed(|x: f64| -> f64 { x }).unwrap();
        // SAFETY: that is its type.
        let f = unsafe { std::mem::transmute::<*const c_void, extern "C" fn(f64) -> f64>(closure.as_ptr()) };
        drop(closure);
        let mut given = 1.0;
        assert!(catch(|| given = f(2.5)).is_err());
        assert_eq!(given, 0.0, "by {}", engine.tier());
    }
}
