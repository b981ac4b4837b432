//! JavaScript values, each of which holds a reference until it is dropped.

use std::ffi::{CStr, c_char, c_int};
use std::mem::ManuallyDrop;
use std::ops::Range;
use std::ptr::{self, NonNull};
use std::slice;

use rquickjs_sys as qjs;

use super::function::Native;
use super::{Context, Exception, Outcome};

/// A value of a context.
pub(crate) struct Value<'js> {
    context: Context<'js>,
    raw: qjs::JSValue,
}

/// What a promise has come to.
pub(crate) enum PromiseState<'js> {
    NoPromise,
    Pending,
    Fulfilled(Value<'js>),
    Rejected(Value<'js>),
}

impl Drop for Value<'_> {
    fn drop(&mut self) {
        // SAFETY: the context is valid and the reference is this value's.
        unsafe { qjs::JS_FreeValue(self.context.raw(), self.raw) };
    }
}

impl Clone for Value<'_> {
    fn clone(&self) -> Self {
        // SAFETY: the context and the value are valid; the new reference is the clone's.
        unsafe { Self::from_raw(self.context, qjs::JS_DupValue(self.context.raw(), self.raw)) }
    }
}

impl<'js> Value<'js> {
    /// # Safety
    ///
    /// The value is of the context's runtime, no exception, and its reference the caller's to give.
    pub(crate) unsafe fn from_raw(context: Context<'js>, raw: qjs::JSValue) -> Self {
        Self { context, raw }
    }

    /// A value which stays its owner's.
    ///
    /// # Safety
    ///
    /// The value is of the context's runtime and valid.
    pub(crate) unsafe fn from_borrowed(context: Context<'js>, raw: qjs::JSValue) -> Self {
        // SAFETY: as the caller says; the new reference is ours.
        unsafe { Self::from_raw(context, qjs::JS_DupValue(context.raw(), raw)) }
    }

    pub(crate) fn context(&self) -> Context<'js> {
        self.context
    }

    /// The value itself, which stays this one's.
    pub(crate) fn raw(&self) -> qjs::JSValue {
        self.raw
    }

    /// The value itself with its reference.
    pub(crate) fn into_raw(self) -> qjs::JSValue {
        ManuallyDrop::new(self).raw
    }

    /// Keeps the value past the use of its context.
    pub(crate) fn keep(self) -> Kept {
        Kept { runtime: self.context.runtime(), raw: self.into_raw() }
    }

    pub(crate) fn is_undefined(&self) -> bool {
        // SAFETY: only the tag is looked at.
        unsafe { qjs::JS_IsUndefined(self.raw) }
    }

    pub(crate) fn is_null(&self) -> bool {
        // SAFETY: only the tag is looked at.
        unsafe { qjs::JS_IsNull(self.raw) }
    }

    pub(crate) fn is_string(&self) -> bool {
        // SAFETY: only the tag is looked at.
        unsafe { qjs::JS_IsString(self.raw) }
    }

    pub(crate) fn is_big_int(&self) -> bool {
        // SAFETY: only the tag is looked at.
        unsafe { qjs::JS_IsBigInt(self.raw) }
    }

    pub(crate) fn is_function(&self) -> bool {
        // SAFETY: the context and the value are valid.
        unsafe { qjs::JS_IsFunction(self.context.raw(), self.raw) }
    }

    pub(crate) fn is_error(&self) -> bool {
        // SAFETY: the value is valid.
        unsafe { qjs::JS_IsError(self.raw) }
    }

    pub(crate) fn is_same(&self, other: &Self) -> bool {
        // SAFETY: the context and the values are valid.
        unsafe { qjs::JS_IsSameValue(self.context.raw(), self.raw, other.raw) }
    }

    /// Its truth, as an `if` takes it.
    pub(crate) fn to_bool(&self) -> Outcome<'js, bool> {
        // SAFETY: the context and the value are valid.
        self.context.check(unsafe { qjs::JS_ToBool(self.context.raw(), self.raw) }).map(|truth| truth != 0)
    }

    pub(crate) fn to_i32(&self) -> Outcome<'js, i32> {
        let mut number = 0;
        // SAFETY: the context and the value are valid.
        self.context.check(unsafe { qjs::JS_ToInt32(self.context.raw(), &raw mut number, self.raw) })?;
        Ok(number)
    }

    /// An integer, of a number or a BigInt.
    pub(crate) fn to_i64(&self) -> Outcome<'js, i64> {
        let mut number = 0;
        // SAFETY: the context and the value are valid.
        self.context.check(unsafe { qjs::JS_ToInt64Ext(self.context.raw(), &raw mut number, self.raw) })?;
        Ok(number)
    }

    pub(crate) fn to_f64(&self) -> Outcome<'js, f64> {
        let mut number = 0.0;
        // SAFETY: the context and the value are valid.
        self.context.check(unsafe { qjs::JS_ToFloat64(self.context.raw(), &raw mut number, self.raw) })?;
        Ok(number)
    }

    /// A length or an offset; a RangeError where it can be neither.
    pub(crate) fn to_index(&self) -> Outcome<'js, usize> {
        let mut number = 0;
        // SAFETY: the context and the value are valid.
        self.context.check(unsafe { qjs::JS_ToIndex(self.context.raw(), &raw mut number, self.raw) })?;
        usize::try_from(number).map_err(|_| self.context.throw_range_error("invalid index"))
    }

    /// Its text, as `String(value)` gives it.
    pub(crate) fn to_text(&self) -> Outcome<'js, Text<'js>> {
        let mut length = 0;
        // SAFETY: the context and the value are valid.
        let text = unsafe { qjs::JS_ToCStringLen2(self.context.raw(), &raw mut length, self.raw, false) };
        if text.is_null() {
            return Err(Exception);
        }
        Ok(Text { context: self.context, text, length: length as usize })
    }

    pub(crate) fn get(&self, name: &CStr) -> Outcome<'js> {
        // SAFETY: the context and the value are valid, the new reference is ours.
        unsafe { self.context.own(qjs::JS_GetPropertyStr(self.context.raw(), self.raw, name.as_ptr())) }
    }

    pub(crate) fn set(&self, name: &CStr, value: Self) -> Outcome<'js, ()> {
        // SAFETY: the context and the values are valid; the value's reference goes to the object.
        let status = unsafe { qjs::JS_SetPropertyStr(self.context.raw(), self.raw, name.as_ptr(), value.into_raw()) };
        self.context.check(status).map(drop)
    }

    /// Gives the object a method, or the global object a function.
    pub(crate) fn set_function<F: Native>(&self, name: &CStr, length: c_int, function: F) -> Outcome<'js, ()> {
        self.set(name, self.context.function(name, length, function)?)
    }

    /// Gives the object its own property `name`, whatever its prototypes say to that name.
    pub(crate) fn define(&self, name: &Self, value: Self) -> Outcome<'js, ()> {
        let context = self.context.raw();
        let flags = qjs::JS_PROP_C_W_E as c_int;
        // SAFETY: the context and the values are valid; the value's reference goes to the object, the atom's is freed.
        let status = unsafe {
            let atom = qjs::JS_ValueToAtom(context, name.raw);
            let status = qjs::JS_DefinePropertyValue(context, self.raw, atom, value.into_raw(), flags);
            qjs::JS_FreeAtom(context, atom);
            status
        };
        self.context.check(status).map(drop)
    }

    pub(crate) fn call(&self, this: &Self, arguments: &[Self]) -> Outcome<'js> {
        let mut arguments: Vec<qjs::JSValue> = arguments.iter().map(Self::raw).collect();
        // A function has no more than 65535 arguments, and who calls from here gives a few.
        let count = arguments.len() as c_int;
        let context = self.context.raw();
        // SAFETY: the context and all values are valid during the call, the new reference is ours.
        unsafe { self.context.own(qjs::JS_Call(context, self.raw, this.raw, count, arguments.as_mut_ptr())) }
    }

    /// Runs a compiled module; gives the promise of its end.
    pub(crate) fn run_module(self) -> Outcome<'js> {
        let context = self.context;
        // SAFETY: the context and the value are valid; its reference goes to the call, the result's is ours.
        unsafe { context.own(qjs::JS_EvalFunction(context.raw(), self.into_raw())) }
    }

    pub(crate) fn promise_state(&self) -> PromiseState<'js> {
        // SAFETY: the context and the value are valid.
        let state = unsafe { qjs::JS_PromiseState(self.context.raw(), self.raw) };
        // SAFETY: the context and the value are valid, and the value is a promise where it is asked for its result.
        let result = || unsafe { Self::from_raw(self.context, qjs::JS_PromiseResult(self.context.raw(), self.raw)) };
        match state {
            qjs::JSPromiseStateEnum_JS_PROMISE_PENDING => PromiseState::Pending,
            qjs::JSPromiseStateEnum_JS_PROMISE_FULFILLED => PromiseState::Fulfilled(result()),
            qjs::JSPromiseStateEnum_JS_PROMISE_REJECTED => PromiseState::Rejected(result()),
            _ => PromiseState::NoPromise,
        }
    }

    /// The memory of an ArrayBuffer, or what a typed array shows of it; `None` for other values.
    ///
    /// The memory is JavaScript's: it is valid until JavaScript code runs again.
    pub(crate) fn bytes(&self) -> Outcome<'js, Option<*mut [u8]>> {
        // SAFETY: the value is valid.
        if unsafe { qjs::JS_IsArrayBuffer(self.raw) } {
            return self.buffer_part(|length| 0..length).map(Some);
        }
        // SAFETY: the value is valid.
        if unsafe { qjs::JS_GetTypedArrayType(self.raw) } < 0 {
            return Ok(None);
        }
        let (mut offset, mut length) = (0, 0);
        let (context, unused) = (self.context, ptr::null_mut());
        // SAFETY: the context is valid, the value a typed array; the buffer's reference is ours.
        let buffer = unsafe {
            context.own(qjs::JS_GetTypedArrayBuffer(context.raw(), self.raw, &raw mut offset, &raw mut length, unused))
        };
        buffer?.buffer_part(|_| offset as usize..(offset + length) as usize).map(Some)
    }

    /// A part of an ArrayBuffer's memory; a TypeError where the value is none, a RangeError where it is shorter.
    ///
    /// The memory is JavaScript's: it is valid until JavaScript code runs again.
    pub(crate) fn buffer_part(&self, part: impl FnOnce(usize) -> Range<usize>) -> Outcome<'js, *mut [u8]> {
        let mut length = 0;
        // SAFETY: the context and the value are valid.
        let start = unsafe { qjs::JS_GetArrayBuffer(self.context.raw(), &raw mut length, self.raw) };
        // SAFETY: the context is valid.
        if start.is_null() && unsafe { qjs::JS_HasException(self.context.raw()) } {
            return Err(Exception);
        }
        let length = length as usize;
        let Range { start: from, end } = part(length);
        if from > end || end > length {
            return Err(self.context.throw_range_error("read/write array buffer overflow"));
        }
        // An empty buffer has no memory, which is no place for a slice.
        let start = if start.is_null() { NonNull::dangling().as_ptr() } else { start };
        Ok(ptr::slice_from_raw_parts_mut(start.wrapping_add(from), end - from))
    }
}

/// The text of a value, in UTF-8 with lone surrogates in three bytes each.
pub(crate) struct Text<'js> {
    context: Context<'js>,
    text: *const c_char,
    length: usize,
}

impl Text<'_> {
    pub(crate) fn as_bytes(&self) -> &[u8] {
        // SAFETY: QuickJS gave the text with its length; it is not changed.
        unsafe { slice::from_raw_parts(self.text.cast(), self.length) }
    }

    /// The text as C sees it: up to its first NUL.
    pub(crate) fn as_c_str(&self) -> &CStr {
        // SAFETY: QuickJS writes a NUL behind the text.
        unsafe { CStr::from_ptr(self.text) }
    }

    /// The text with U+FFFD for each lone surrogate's byte.
    pub(crate) fn to_string_lossy(&self) -> String {
        String::from_utf8_lossy(self.as_bytes()).into_owned()
    }
}

impl Drop for Text<'_> {
    fn drop(&mut self) {
        // SAFETY: the context is valid and the text is of its making.
        unsafe { qjs::JS_FreeCString(self.context.raw(), self.text) };
    }
}

/// A value that the host keeps, for a later turn of the event loop.
///
/// It is of the event loop's state, which is emptied before its runtime is freed.
pub(crate) struct Kept {
    runtime: *mut qjs::JSRuntime,
    raw: qjs::JSValue,
}

impl Kept {
    /// The value, in the context that it is used in now.
    pub(crate) fn get<'js>(&self, context: Context<'js>) -> Value<'js> {
        debug_assert_eq!(self.runtime, context.runtime());
        // SAFETY: the value is valid and of the context's runtime.
        unsafe { Value::from_borrowed(context, self.raw) }
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        // SAFETY: the runtime is alive, as the type says, and the reference is ours.
        unsafe { qjs::JS_FreeValueRT(self.runtime, self.raw) };
    }
}
