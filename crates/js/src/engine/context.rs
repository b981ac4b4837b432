//! A JavaScript context: where values are made and code is run.

use std::ffi::{CStr, c_char, c_int};
use std::marker::PhantomData;

use rquickjs_sys as qjs;

use super::function::{Native, native};
use super::{Exception, Outcome, Value};

/// A context that is alive for `'js`.
#[derive(Clone, Copy)]
pub(crate) struct Context<'js> {
    raw: *mut qjs::JSContext,
    alive: PhantomData<&'js ()>,
}

/// How source text is taken.
#[derive(Clone, Copy)]
pub(crate) enum Evaluation {
    /// A script; gives its completion value.
    Script,
    /// A script in which `await` stands anywhere; gives a promise of `{ value }`.
    Awaiting,
    /// Only for its syntax: a script as by [`Evaluation::Awaiting`].
    Syntax,
    /// A module, compiled and not yet run.
    Module,
}

impl Evaluation {
    fn flags(self) -> c_int {
        let flags = match self {
            Self::Script => qjs::JS_EVAL_TYPE_GLOBAL,
            Self::Awaiting => qjs::JS_EVAL_TYPE_GLOBAL | qjs::JS_EVAL_FLAG_ASYNC,
            Self::Syntax => qjs::JS_EVAL_TYPE_GLOBAL | qjs::JS_EVAL_FLAG_ASYNC | qjs::JS_EVAL_FLAG_COMPILE_ONLY,
            Self::Module => qjs::JS_EVAL_TYPE_MODULE | qjs::JS_EVAL_FLAG_COMPILE_ONLY,
        };
        flags as c_int
    }
}

impl<'js> Context<'js> {
    /// # Safety
    ///
    /// The context is valid for `'js`, and used on this thread alone.
    pub(crate) unsafe fn from_raw(raw: *mut qjs::JSContext) -> Self {
        Self { raw, alive: PhantomData }
    }

    pub(crate) fn raw(self) -> *mut qjs::JSContext {
        self.raw
    }

    pub(crate) fn runtime(self) -> *mut qjs::JSRuntime {
        // SAFETY: the context is valid.
        unsafe { qjs::JS_GetRuntime(self.raw) }
    }

    /// Takes a value that this context owns one reference to, as most of QuickJS's functions give it.
    ///
    /// # Safety
    ///
    /// The reference is the caller's to give.
    pub(super) unsafe fn own(self, raw: qjs::JSValue) -> Outcome<'js> {
        // SAFETY: only the tag is looked at.
        if unsafe { qjs::JS_IsException(raw) } {
            return Err(Exception);
        }
        // SAFETY: as the caller says.
        Ok(unsafe { Value::from_raw(self, raw) })
    }

    /// `Err` where a function of QuickJS said so by a negative number.
    pub(super) fn check(self, status: c_int) -> Outcome<'js, c_int> {
        if status < 0 { Err(Exception) } else { Ok(status) }
    }

    pub(crate) fn undefined(self) -> Value<'js> {
        // SAFETY: the value has no reference count.
        unsafe { Value::from_raw(self, qjs::JS_UNDEFINED) }
    }

    pub(crate) fn null(self) -> Value<'js> {
        // SAFETY: the value has no reference count.
        unsafe { Value::from_raw(self, qjs::JS_NULL) }
    }

    pub(crate) fn boolean(self, value: bool) -> Value<'js> {
        // SAFETY: the value has no reference count.
        unsafe { Value::from_raw(self, if value { qjs::JS_TRUE } else { qjs::JS_FALSE }) }
    }

    /// A number; integers past 2^53 are rounded, as JavaScript's are.
    pub(crate) fn integer(self, value: i64) -> Value<'js> {
        match i32::try_from(value) {
            // SAFETY: the value has no reference count.
            Ok(small) => unsafe { Value::from_raw(self, qjs::JS_MKVAL(qjs::JS_TAG_INT, small)) },
            Err(_) => self.number(value as f64),
        }
    }

    pub(crate) fn number(self, value: f64) -> Value<'js> {
        // SAFETY: the value has no reference count.
        unsafe { Value::from_raw(self, qjs::JS_NewFloat64(value)) }
    }

    pub(crate) fn big_int(self, value: i64) -> Outcome<'js> {
        // SAFETY: the context is valid, the new value is ours.
        unsafe { self.own(qjs::JS_NewBigInt64(self.raw, value)) }
    }

    /// A string of UTF-8; what is none of it becomes U+FFFD.
    pub(crate) fn string(self, text: impl AsRef<[u8]>) -> Outcome<'js> {
        let text = text.as_ref();
        // SAFETY: the context is valid, the text is as long as said, the new value is ours.
        unsafe { self.own(qjs::JS_NewStringLen(self.raw, text.as_ptr().cast(), text.len() as qjs::size_t)) }
    }

    pub(crate) fn object(self) -> Outcome<'js> {
        // SAFETY: the context is valid, the new value is ours.
        unsafe { self.own(qjs::JS_NewObject(self.raw)) }
    }

    pub(crate) fn array(self, elements: impl IntoIterator<Item = Value<'js>>) -> Outcome<'js> {
        // SAFETY: the context is valid, the new value is ours.
        let array = unsafe { self.own(qjs::JS_NewArray(self.raw)) }?;
        for (index, element) in (0..).zip(elements) {
            // SAFETY: the context is valid; the element's reference goes to the array.
            self.check(unsafe { qjs::JS_SetPropertyUint32(self.raw, array.raw(), index, element.into_raw()) })?;
        }
        Ok(array)
    }

    pub(crate) fn array_buffer(self, content: &[u8]) -> Outcome<'js> {
        // SAFETY: the context is valid, the content is copied, the new value is ours.
        unsafe { self.own(qjs::JS_NewArrayBufferCopy(self.raw, content.as_ptr(), content.len() as qjs::size_t)) }
    }

    pub(crate) fn uint8_array(self, content: &[u8]) -> Outcome<'js> {
        // SAFETY: the context is valid, the content is copied, the new value is ours.
        unsafe { self.own(qjs::JS_NewUint8ArrayCopy(self.raw, content.as_ptr(), content.len() as qjs::size_t)) }
    }

    pub(crate) fn function<F: Native>(self, name: &CStr, length: c_int, function: F) -> Outcome<'js> {
        self.raw_function(name, length, native(function))
    }

    pub(super) fn raw_function(self, name: &CStr, length: c_int, function: qjs::JSCFunction) -> Outcome<'js> {
        let kind = qjs::JSCFunctionEnum_JS_CFUNC_generic;
        // SAFETY: the context is valid, the function has the signature of its kind, the new value is ours.
        unsafe { self.own(qjs::JS_NewCFunction2(self.raw, function, name.as_ptr(), length, kind, 0)) }
    }

    pub(crate) fn global(self) -> Value<'js> {
        // SAFETY: the context is valid, the reference is ours.
        unsafe { Value::from_raw(self, qjs::JS_GetGlobalObject(self.raw)) }
    }

    /// Compiles and, as `how` says, runs source text; `name` stands in its stack traces.
    pub(crate) fn evaluate(self, source: &str, name: &CStr, how: Evaluation) -> Outcome<'js> {
        // The parser reads up to a NUL, which it wants behind the text.
        let mut text = Vec::with_capacity(source.len() + 1);
        text.extend_from_slice(source.as_bytes());
        text.push(0);
        let length = source.len() as qjs::size_t;
        // SAFETY: the context is valid, the text is as long as said with a NUL behind it, the new value is ours.
        unsafe { self.own(qjs::JS_Eval(self.raw, text.as_ptr().cast(), length, name.as_ptr(), how.flags())) }
    }

    /// The value of JSON text; `name` stands in its errors.
    pub(crate) fn parse_json(self, source: &str, name: &CStr) -> Outcome<'js> {
        let mut text = Vec::with_capacity(source.len() + 1);
        text.extend_from_slice(source.as_bytes());
        text.push(0);
        let length = source.len() as qjs::size_t;
        // SAFETY: the context is valid, the text is as long as said with a NUL behind it, the new value is ours.
        unsafe { self.own(qjs::JS_ParseJSON(self.raw, text.as_ptr().cast(), length, name.as_ptr())) }
    }

    /// The pending exception, which is pending no more.
    pub(crate) fn take_exception(self) -> Value<'js> {
        // SAFETY: the context is valid, the reference is ours.
        unsafe { Value::from_raw(self, qjs::JS_GetException(self.raw)) }
    }

    pub(crate) fn throw_type_error(self, message: &str) -> Exception {
        self.throw_by(qjs::JS_ThrowTypeError, message)
    }

    pub(crate) fn throw_range_error(self, message: &str) -> Exception {
        self.throw_by(qjs::JS_ThrowRangeError, message)
    }

    pub(crate) fn throw_reference_error(self, message: &str) -> Exception {
        self.throw_by(qjs::JS_ThrowReferenceError, message)
    }

    fn throw_by(
        self,
        throw: unsafe extern "C" fn(*mut qjs::JSContext, *const c_char, ...) -> qjs::JSValue,
        message: &str,
    ) -> Exception {
        let length = c_int::try_from(message.len()).unwrap_or(c_int::MAX);
        // SAFETY: the context is valid; the format reads `length` bytes of the message.
        unsafe { throw(self.raw, c"%.*s".as_ptr(), length, message.as_ptr()) };
        Exception
    }

    /// Runs one pending job: `Ok(false)` where there is none.
    pub(crate) fn run_job(self) -> Outcome<'js, bool> {
        let mut context = self.raw;
        // SAFETY: the runtime is valid.
        self.check(unsafe { qjs::JS_ExecutePendingJob(self.runtime(), &raw mut context) }).map(|ran| ran > 0)
    }

    /// Frees what only cycles hold.
    pub(crate) fn collect_garbage(self) {
        // SAFETY: the runtime is valid.
        unsafe { qjs::JS_RunGC(self.runtime()) };
    }

    /// A promise and the function that fulfils it.
    pub(crate) fn promise(self) -> Outcome<'js, (Value<'js>, Value<'js>)> {
        let mut settle = [qjs::JS_UNDEFINED; 2];
        // SAFETY: the context is valid, and there is place for both functions.
        let promise = unsafe { self.own(qjs::JS_NewPromiseCapability(self.raw, settle.as_mut_ptr())) }?;
        // SAFETY: the references to both functions are ours.
        let [fulfil, _] = settle.map(|function| unsafe { Value::from_raw(self, function) });
        Ok((promise, fulfil))
    }
}
