//! Closures of every kind with one and the same body.

use std::ffi::c_void;

use jitcall::closure::{CallbackArguments, Exclusive, Reentrant, Shared, TypedHandler};
use jitcall::{CType, CallbackInterface, Closure, SharedClosure, Value};

/// A closure of either type.
#[derive(Debug)]
pub(crate) enum Any<'a> {
    Home(Closure<'a>),
    Shared(SharedClosure<'a>),
}

impl Any<'_> {
    pub(crate) fn as_ptr(&self) -> *const c_void {
        match self {
            Any::Home(closure) => closure.as_ptr(),
            Any::Shared(closure) => closure.as_ptr(),
        }
    }

    pub(crate) fn value(&self) -> Value<'_> {
        match self {
            Any::Home(closure) => closure.value(),
            Any::Shared(closure) => closure.value(),
        }
    }
}

/// A closure of each kind, and its name. The body takes what an `int f(int)` does.
pub(crate) fn of_int<'a, F>(interface: &CallbackInterface, body: F) -> Vec<(&'static str, Any<'a>)>
where
    F: Fn(i32) -> i32 + Copy + Send + Sync + 'a,
{
    let values = move |values: &[Value<'_>]| match values {
        [Value::I32(x)] => Ok(Value::I32(body(*x))),
        _ => unreachable!("the signature has an int"),
    };
    // SAFETY: the signature has an `int`, and so is its result.
    let slots = move |arguments: jitcall::closure::Arguments<'_>, outcome: jitcall::closure::Outcome<'_>| unsafe {
        outcome.write(body(arguments.read::<i32>(0)));
    };
    let mut kinds = vec![
        ("values", Any::Home(interface.values(values).unwrap())),
        ("values_mut", Any::Home(interface.values_mut(values).unwrap())),
        ("values_shared", Any::Shared(interface.values_shared(values).unwrap())),
        ("slots", Any::Home(interface.slots(slots).unwrap())),
        ("slots_mut", Any::Home(interface.slots_mut(slots).unwrap())),
        ("slots_shared", Any::Shared(interface.slots_shared(slots).unwrap())),
    ];
    kinds.extend(typed(interface, move |x: i32| -> i32 { body(x) }));
    kinds
}

/// A typed closure of each kind, and its name.
pub(crate) fn typed<'a, F, A, R>(interface: &CallbackInterface, handler: F) -> [(&'static str, Any<'a>); 3]
where
    F: Copy + Send + Sync + 'a,
    A: CallbackArguments,
    R: CType,
    Reentrant<F>: TypedHandler<A, R>,
    Exclusive<F>: TypedHandler<A, R>,
    Shared<F>: TypedHandler<A, R>,
{
    [
        ("typed", Any::Home(interface.typed(handler).unwrap())),
        ("typed_mut", Any::Home(interface.typed_mut(handler).unwrap())),
        ("typed_shared", Any::Shared(interface.typed_shared(handler).unwrap())),
    ]
}
