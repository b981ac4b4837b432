//! Rust functions that JavaScript calls, and tables of them.

use std::ffi::{CStr, c_int};
use std::mem;
use std::ptr::NonNull;
use std::slice;

use rquickjs_sys as qjs;

use super::{Context, Outcome, Value};

/// A Rust function for JavaScript to call.
pub(crate) trait Native:
    for<'a, 'js> Fn(Context<'js>, Arguments<'a, 'js>) -> Outcome<'js> + Copy + 'static
{
}

impl<F> Native for F where F: for<'a, 'js> Fn(Context<'js>, Arguments<'a, 'js>) -> Outcome<'js> + Copy + 'static {}

/// What a function is called with.
#[derive(Clone, Copy)]
pub(crate) struct Arguments<'a, 'js> {
    context: Context<'js>,
    this: qjs::JSValue,
    values: &'a [qjs::JSValue],
}

impl<'js> Arguments<'_, 'js> {
    pub(crate) fn this(&self) -> Value<'js> {
        // SAFETY: the value is the caller's during the call.
        unsafe { Value::from_borrowed(self.context, self.this) }
    }

    /// The argument at `index`, `undefined` where it is left out.
    pub(crate) fn get(&self, index: usize) -> Value<'js> {
        match self.values.get(index) {
            // SAFETY: the value is the caller's during the call.
            Some(&value) => unsafe { Value::from_borrowed(self.context, value) },
            None => self.context.undefined(),
        }
    }

    /// The arguments from `index` on.
    pub(crate) fn from(&self, index: usize) -> impl Iterator<Item = Value<'js>> {
        (index..self.values.len()).map(|index| self.get(index))
    }
}

/// The C function through which QuickJS calls a Rust function.
///
/// The Rust function is a function item or a closure without captures; it is known by its type alone.
pub(super) const fn native<F: Native>(_: F) -> qjs::JSCFunction {
    Some(enter::<F>)
}

unsafe extern "C" fn enter<F: Native>(
    context: *mut qjs::JSContext,
    this: qjs::JSValue,
    count: c_int,
    values: *mut qjs::JSValue,
) -> qjs::JSValue {
    const { assert!(mem::size_of::<F>() == 0, "captures have no place in a C function") };
    // SAFETY: a value of no size is read from nowhere; `native` was given one of its type, and it may be copied.
    let function: F = unsafe { NonNull::dangling().read() };
    // SAFETY: QuickJS calls with a valid context, on the thread that runs it.
    let context = unsafe { Context::from_raw(context) };
    let values = match usize::try_from(count) {
        // SAFETY: QuickJS passes as many values as it says, valid during the call.
        Ok(count) if count > 0 => unsafe { slice::from_raw_parts(values, count) },
        _ => &[],
    };
    match function(context, Arguments { context, this, values }) {
        Ok(value) => value.into_raw(),
        Err(_) => qjs::JS_EXCEPTION,
    }
}

/// A named item of a native module or object.
pub(crate) struct Export {
    name: &'static CStr,
    item: Item,
}

enum Item {
    Function { length: c_int, function: qjs::JSCFunction },
    Integer(i32),
}

impl Export {
    pub(crate) const fn function<F: Native>(name: &'static CStr, length: c_int, function: F) -> Self {
        Self { name, item: Item::Function { length, function: native(function) } }
    }

    pub(crate) const fn integer(name: &'static CStr, value: i32) -> Self {
        Self { name, item: Item::Integer(value) }
    }
}

impl<'js> Context<'js> {
    /// An object with the items.
    pub(crate) fn object_of(self, exports: &[Export]) -> Outcome<'js> {
        let object = self.object()?;
        object.set_all(exports)?;
        Ok(object)
    }
}

impl<'js> Value<'js> {
    /// Gives the object the items.
    pub(crate) fn set_all(&self, exports: &[Export]) -> Outcome<'js, ()> {
        let context = self.context();
        for Export { name, item } in exports {
            let value = match *item {
                Item::Function { length, function } => context.raw_function(name, length, function)?,
                Item::Integer(value) => context.integer(value.into()),
            };
            self.set(name, value)?;
        }
        Ok(())
    }
}
