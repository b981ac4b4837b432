//! Closures that go while handlers run: what a handler has captured lives until it returns.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Barrier, Mutex};
use std::thread;

use jitcall::closure::catch;
use jitcall::{Closure, SharedClosure};

use crate::tiers::{engines, find};
use crate::{c, failure_of, function, interface};

type IntFunction = extern "C" fn(i32) -> i32;

/// Notes its name when it is dropped.
struct Noted<'a>(&'static str, &'a RefCell<Vec<&'static str>>);

impl Noted<'_> {
    /// The length of its name. Closures that use a method capture the whole, and not a member alone.
    fn length(&self) -> i32 {
        self.0.len() as i32
    }
}

impl Drop for Noted<'_> {
    fn drop(&mut self) {
        self.1.borrow_mut().push(self.0);
    }
}

/// Counts its drops, on whatever thread.
struct Counted(Arc<AtomicU32>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

#[test]
fn a_closure_that_is_dropped_drops_its_handler() {
    for engine in engines() {
        let drops = Arc::new(AtomicU32::new(0));
        let interface = interface(&engine, "int f(int)");
        let [a, b, c] = [(); 3].map(|()| Counted(Arc::clone(&drops)));
        let closures = (
            interface.typed(move |x: i32| -> i32 { x + a.0.load(Ordering::Relaxed) as i32 }).unwrap(),
            interface.typed_mut(move |x: i32| -> i32 { x + b.0.load(Ordering::Relaxed) as i32 }).unwrap(),
            interface.typed_shared(move |x: i32| -> i32 { x + c.0.load(Ordering::Relaxed) as i32 }).unwrap(),
        );
        assert_eq!(drops.load(Ordering::SeqCst), 0);
        drop(closures.0);
        assert_eq!(drops.load(Ordering::SeqCst), 1);
        drop((closures.1, closures.2));
        assert_eq!(drops.load(Ordering::SeqCst), 3, "by {}", engine.tier());
    }
}

/// A handler that drops its own closure, and uses what it has captured after that.
macro_rules! check_from_inside {
    ($made:ident, $closure:ident) => {
        for engine in engines() {
            let call_back = find(&engine, c::library(), c::CALL_BACK);
            let call_back = call_back.typed::<(*const std::ffi::c_void, i32), i32>().unwrap();
            let drops = Arc::new(AtomicU32::new(0));
            let place: Arc<Mutex<Option<$closure<'static>>>> = Arc::default();
            let (captured, own) = (Counted(Arc::clone(&drops)), Arc::downgrade(&place));
            let text = String::from("captured");
            let handler = move |x: i32| -> i32 {
                let closure = own.upgrade().and_then(|place| place.lock().unwrap().take());
                assert!(closure.is_some());
                drop(closure);
                assert_eq!((captured.0.load(Ordering::SeqCst), text.as_str()), (0, "captured"));
                x + text.len() as i32
            };
            let closure = interface(&engine, "int f(int)").$made(handler).unwrap();
            let pointer = closure.as_ptr();
            *place.lock().unwrap() = Some(closure);
            // SAFETY: that is how it is declared.
            let given = catch(|| unsafe { call_back.call((pointer, 1)) });
            let case = format!("{} by {}", stringify!($made), engine.tier());
            assert_eq!((given.unwrap(), drops.load(Ordering::SeqCst)), (9, 1), "{case}");
        }
    };
}

#[test]
fn from_inside_itself() {
    check_from_inside!(typed_shared, SharedClosure);
}

/// Closures that belong to a thread are dropped by way of a cell, which their handlers may share.
#[test]
fn from_inside_itself_at_home() {
    for engine in engines() {
        for exclusive in [false, true] {
            let place: Rc<RefCell<Option<Closure<'static>>>> = Rc::default();
            let drops = Arc::new(AtomicU32::new(0));
            let (captured, own) = (Counted(Arc::clone(&drops)), Rc::clone(&place));
            let text = String::from("captured");
            let handler = move |x: i32| -> i32 {
                drop(own.borrow_mut().take().expect("the closure is there"));
                assert_eq!((captured.0.load(Ordering::SeqCst), text.as_str()), (0, "captured"));
                x + text.len() as i32
            };
            let interface = interface(&engine, "int f(int)");
            let closure = if exclusive { interface.typed_mut(handler) } else { interface.typed(handler) }.unwrap();
            // SAFETY: that is its type.
            let f: IntFunction = unsafe { function(closure.as_ptr()) };
            *place.borrow_mut() = Some(closure);
            let case = format!("exclusive: {exclusive}, by {}", engine.tier());
            assert_eq!(catch(|| f(1)).unwrap(), 9, "{case}");
            assert_eq!((drops.load(Ordering::SeqCst), Rc::strong_count(&place)), (1, 1), "{case}");
        }
    }
}

/// What goes while a callback runs is freed when the outermost one has returned, in the order in which it went.
#[test]
fn from_inside_another_callback() {
    for engine in engines() {
        let order = RefCell::new(Vec::new());
        let interface = interface(&engine, "int f(int)");
        let make = |name| {
            let noted = Noted(name, &order);
            interface.typed(move |x: i32| -> i32 { x + noted.length() }).unwrap()
        };
        let others = Cell::new(Some([make("first"), make("second"), make("third")]));
        let outer = interface.typed(|x: i32| -> i32 {
            let [first, second, third] = others.take().expect("it runs once");
            drop(second);
            drop(first);
            let inner = interface.typed(|x: i32| -> i32 { x + 1 }).unwrap();
            // SAFETY: that is its type.
            let given = unsafe { function::<IntFunction>(inner.as_ptr()) }(x);
            drop((inner, third));
            assert!(order.borrow().is_empty());
            given
        });
        let outer = outer.unwrap();
        // SAFETY: that is its type.
        let f: IntFunction = unsafe { function(outer.as_ptr()) };
        assert_eq!(catch(|| f(1)).unwrap(), 2);
        assert_eq!(*order.borrow(), ["second", "first", "third"], "by {}", engine.tier());
    }
}

/// The inner of two handlers drops both closures, and the outer one goes on with what it has captured.
#[test]
fn the_outer_one_from_the_inner_one() {
    for engine in engines() {
        let order = RefCell::new(Vec::new());
        let interface = interface(&engine, "int f(int)");
        let closures: RefCell<Vec<Closure<'_>>> = RefCell::default();
        let (outer_noted, inner_noted) = (Noted("outer", &order), Noted("inner", &order));
        let (call_inner, all) = (Cell::new(None::<IntFunction>), &closures);
        let (order, call_inner) = (&order, &call_inner);
        let outer = interface.typed(move |x: i32| -> i32 {
            let below = call_inner.get().expect("it is made")(x);
            assert!(order.borrow().is_empty());
            below + outer_noted.length()
        });
        let inner = interface.typed(move |x: i32| -> i32 {
            // In the order in which they are in the list.
            drop(std::mem::take(&mut *all.borrow_mut()));
            assert!(order.borrow().is_empty());
            x + inner_noted.length()
        });
        let (outer, inner) = (outer.unwrap(), inner.unwrap());
        // SAFETY: that is their type.
        let f: IntFunction = unsafe { function(outer.as_ptr()) };
        // SAFETY: as above.
        call_inner.set(Some(unsafe { function(inner.as_ptr()) }));
        closures.borrow_mut().extend([outer, inner]);
        assert_eq!(catch(|| f(1)).unwrap(), 11);
        assert_eq!(*order.borrow(), ["outer", "inner"], "by {}", engine.tier());
    }
}

/// Closures that own closures go with them, from inside a callback too.
#[test]
fn closures_that_own_closures() {
    for engine in engines() {
        let drops = Arc::new(AtomicU32::new(0));
        let interface = interface(&engine, "int f(int)");
        let mut chain = None;
        for _ in 0..20 {
            let (captured, inner) = (Counted(Arc::clone(&drops)), chain.take());
            let handler = move |x: i32| -> i32 {
                let _ = &captured;
                // SAFETY: that is its type.
                inner
                    .as_ref()
                    .map_or(x, |inner: &Closure<'_>| unsafe { function::<IntFunction>(inner.as_ptr()) }(x + 1))
            };
            chain = Some(interface.typed(handler).unwrap());
        }
        let chain = Cell::new(chain);
        let outer = interface.typed(|x: i32| -> i32 {
            let inner = chain.take().expect("it runs once");
            // SAFETY: that is its type.
            let given = unsafe { function::<IntFunction>(inner.as_ptr()) }(x);
            drop(inner);
            assert_eq!(drops.load(Ordering::SeqCst), 0);
            given
        });
        let outer = outer.unwrap();
        // SAFETY: that is its type.
        let f: IntFunction = unsafe { function(outer.as_ptr()) };
        assert_eq!(catch(|| f(1)).unwrap(), 20);
        assert_eq!(drops.load(Ordering::SeqCst), 20, "by {}", engine.tier());
    }
}

/// A handler that fails is freed like any other.
#[test]
fn handlers_that_fail_from_inside_themselves() {
    for engine in engines() {
        let place: Rc<RefCell<Option<Closure<'static>>>> = Rc::default();
        let drops = Arc::new(AtomicU32::new(0));
        let (captured, own) = (Counted(Arc::clone(&drops)), Rc::clone(&place));
        let closure = interface(&engine, "int f(int)").typed(move |_: i32| -> i32 {
            drop(own.borrow_mut().take());
            std::panic::resume_unwind(Box::new(format!("{} drops", captured.0.load(Ordering::SeqCst))))
        });
        let closure = closure.unwrap();
        // SAFETY: that is its type.
        let f: IntFunction = unsafe { function(closure.as_ptr()) };
        *place.borrow_mut() = Some(closure);
        assert_eq!(failure_of(|| f(1)), "callback f: panicked: 0 drops");
        assert_eq!(drops.load(Ordering::SeqCst), 1, "by {}", engine.tier());
    }
}

/// A thread drops a shared closure while another one, or two, are in its handler.
#[test]
fn by_another_thread_while_it_runs() {
    for engine in engines() {
        for inside in [1, 2] {
            let drops = Arc::new(AtomicU32::new(0));
            let (entered, dropped) = (Barrier::new(inside + 1), Barrier::new(inside + 1));
            let captured = Counted(Arc::clone(&drops));
            let (entered, dropped) = (&entered, &dropped);
            let closure = interface(&engine, "int f(int)").typed_shared(move |x: i32| -> i32 {
                entered.wait();
                dropped.wait();
                x + captured.0.load(Ordering::SeqCst) as i32
            });
            let closure = closure.unwrap();
            // SAFETY: that is its type.
            let f: IntFunction = unsafe { function(closure.as_ptr()) };
            thread::scope(|scope| {
                let callers: Vec<_> = (0..inside).map(|_| scope.spawn(move || catch(|| f(5)).unwrap())).collect();
                entered.wait();
                drop(closure);
                assert_eq!(drops.load(Ordering::SeqCst), 0);
                dropped.wait();
                for caller in callers {
                    assert_eq!(caller.join().unwrap(), 5, "by {}", engine.tier());
                }
            });
            assert_eq!(drops.load(Ordering::SeqCst), 1, "by {}", engine.tier());
        }
    }
}

/// Closures keep their interface and its engine.
#[test]
fn closures_outlive_what_they_were_made_by() {
    for engine in engines() {
        let closure = interface(&engine, "short f(short)").typed(|x: i16| -> i16 { x + 1 }).unwrap();
        drop(engine);
        // SAFETY: that is its type.
        let f: extern "C" fn(i16) -> i16 = unsafe { function(closure.as_ptr()) };
        assert_eq!(f(41), 42);
        assert_eq!(format!("{closure:?}"), format!("short f(short) at {:p}", closure.as_ptr()));
    }
}
