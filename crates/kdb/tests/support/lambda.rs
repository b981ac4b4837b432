//! Lambdas: Rust closures as q functions.

use std::cell::RefCell;
use std::ffi::{CString, c_longlong, c_void};
use std::mem::ManuallyDrop;
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::api::K;
use super::thread::keep_panic;
use super::value::Value;
use super::{api, result};

type Closure = Box<dyn Fn(&[&Value]) -> Result<Value, String>>;

/// A q function of so many arguments, 0 to 8. An error is signalled.
pub(crate) fn lambda(rank: usize, closure: impl Fn(&[&Value]) -> Result<Value, String> + 'static) -> Value {
    let context: *mut Closure = Box::into_raw(Box::new(Box::new(closure)));
    // SAFETY: the two functions take the context for what it is.
    result(unsafe { (api().host_lambda)(rank as i64, run, context.cast(), drop_closure) }).expect("a lambda")
}

/// # Safety
/// The context is a closure, and there are so many objects, which are borrowed.
unsafe extern "C" fn run(context: *mut c_void, arguments: *const K, count: c_longlong) -> K {
    // SAFETY: said by the caller; for no arguments the pointer is that of an empty slice.
    let (closure, objects) =
        unsafe { (&*context.cast::<Closure>(), std::slice::from_raw_parts(arguments, count as usize)) };
    // SAFETY: they are not dropped, so the references stay the caller's.
    let values: Vec<_> = objects.iter().map(|object| ManuallyDrop::new(unsafe { Value::from_raw(*object) })).collect();
    let borrowed: Vec<&Value> = values.iter().map(|value| &**value).collect();
    match catch_unwind(AssertUnwindSafe(|| closure(&borrowed))) {
        Ok(Ok(value)) => value.into_raw(),
        Ok(Err(text)) => signal(text),
        Err(panic) => {
            keep_panic(panic);
            signal("panic".to_owned())
        }
    }
}

/// # Safety
/// The context is a closure that is not used again.
unsafe extern "C" fn drop_closure(context: *mut c_void) {
    // SAFETY: said by the caller.
    drop(unsafe { Box::from_raw(context.cast::<Closure>()) });
}

/// Signals an error whose text stays until the next one.
fn signal(text: String) -> K {
    thread_local! {
        static TEXT: RefCell<CString> = RefCell::default();
    }
    TEXT.with_borrow_mut(|kept| {
        *kept = CString::new(text).expect("a text without NUL");
        // SAFETY: the text is a string of C's that stays.
        unsafe { (api().krr)(kept.as_ptr()) }
    })
}
