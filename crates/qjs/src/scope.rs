//! A context with the module's state: what a native function works in, and safe ways to the host's functions.

use std::ffi::{CStr, CString, c_int};
use std::ops::Deref;

use crate::convert::to_js::LARGEST_EXACT;
use crate::error::{Failure, Kind, Result};
use crate::host::{Host, JS_PROP_CONFIGURABLE, JSContext, JSValue, tag};
use crate::state::State;

/// A context and the module's state in it. Only made where the host calls the module, on the context's thread.
#[derive(Clone, Copy)]
pub(crate) struct Scope<'a> {
    pub(crate) ctx: *mut JSContext,
    pub(crate) state: &'a State,
}

/// A value whose reference is given back when it is dropped.
pub(crate) struct Owned<'a> {
    scope: Scope<'a>,
    value: JSValue,
}

impl Owned<'_> {
    /// Hands the reference on.
    pub(crate) fn into_raw(self) -> JSValue {
        let value = self.value;
        std::mem::forget(self);
        value
    }
}

impl Deref for Owned<'_> {
    type Target = JSValue;

    fn deref(&self) -> &JSValue {
        &self.value
    }
}

impl Drop for Owned<'_> {
    fn drop(&mut self) {
        // SAFETY: the reference is owned here.
        unsafe { self.scope.host().free(self.scope.ctx, self.value) };
    }
}

/// Where JavaScript's typed arrays, and what looks like them, lie in memory.
#[derive(Clone, Copy)]
pub(crate) struct Span {
    pub(crate) address: *mut u8,
    pub(crate) length: usize,
}

impl<'a> Scope<'a> {
    /// # Safety
    /// `ctx` is a context of the state's runtime, which this thread uses for as long as the scope lives.
    pub(crate) unsafe fn new(ctx: *mut JSContext, state: &'a State) -> Scope<'a> {
        Scope { ctx, state }
    }

    pub(crate) fn host(self) -> &'static Host {
        self.state.host
    }

    /// Takes charge of a reference, or of an exception.
    ///
    /// # Errors
    /// [`Failure::Pending`] for an exception.
    pub(crate) fn own(self, value: JSValue) -> Result<Owned<'a>> {
        if value.is(tag::EXCEPTION) { Err(Failure::Pending) } else { Ok(Owned { scope: self, value }) }
    }

    /// Another reference to a value.
    pub(crate) fn dup(self, value: JSValue) -> JSValue {
        // SAFETY: values in a scope are the host's.
        unsafe { self.host().dup(value) }
    }

    /// The value that the host is given for a result: a failure is thrown.
    pub(crate) fn finish(self, result: Result<JSValue>) -> JSValue {
        match result {
            Ok(value) => value,
            Err(failure) => self.throw(failure),
        }
    }

    /// Throws a failure, unless it is pending already.
    pub(crate) fn throw(self, failure: Failure) -> JSValue {
        if let Failure::New(kind, message) = failure
            && let Ok(error) = self.error(kind, &message)
        {
            // SAFETY: the error's reference is handed on.
            return unsafe { (self.host().api.JS_Throw)(self.ctx, error.into_raw()) };
        }
        JSValue::EXCEPTION
    }

    /// An error object.
    pub(crate) fn error(self, kind: Kind, message: &str) -> Result<Owned<'a>> {
        let message = self.string(message)?;
        self.construct(self.state.error_constructor(kind), &mut [*message])
    }

    /// The exception that is pending, which is so no more.
    pub(crate) fn take_exception(self) -> JSValue {
        // SAFETY: the context is one of the host's.
        unsafe { (self.host().api.JS_GetException)(self.ctx) }
    }

    /// Forgets the exception that is pending.
    pub(crate) fn clear_exception(self) {
        let exception = self.take_exception();
        // SAFETY: the reference is the caller's.
        unsafe { self.host().free(self.ctx, exception) };
    }

    pub(crate) fn string(self, text: &str) -> Result<Owned<'a>> {
        // SAFETY: that many bytes of text are there.
        self.own(unsafe { (self.host().api.JS_NewStringLen)(self.ctx, text.as_ptr().cast(), text.len()) })
    }

    /// A string of C's, whose bytes are UTF-8 or are replaced where they are not.
    pub(crate) fn string_of_bytes(self, bytes: &[u8]) -> Result<Owned<'a>> {
        self.string(&String::from_utf8_lossy(bytes))
    }

    /// A copy of a value's text.
    pub(crate) fn text(self, value: JSValue) -> Result<String> {
        self.bytes_of(value).map(|bytes| match String::from_utf8(bytes) {
            Ok(text) => text,
            Err(error) => String::from_utf8_lossy(error.as_bytes()).into_owned(),
        })
    }

    /// A copy of a value's text as bytes: UTF-8, but for surrogates that have no partner.
    pub(crate) fn bytes_of(self, value: JSValue) -> Result<Vec<u8>> {
        let api = &self.host().api;
        let mut length = 0;
        // SAFETY: the length is written; the text lives until it is freed.
        unsafe {
            let text = (api.JS_ToCStringLen2)(self.ctx, &mut length, value, 0);
            if text.is_null() {
                return Err(Failure::Pending);
            }
            let copy = std::slice::from_raw_parts(text.cast::<u8>(), length).to_vec();
            (api.JS_FreeCString)(self.ctx, text);
            Ok(copy)
        }
    }

    pub(crate) fn object(self) -> Result<Owned<'a>> {
        // SAFETY: the context is one of the host's.
        self.own(unsafe { (self.host().api.JS_NewObject)(self.ctx) })
    }

    pub(crate) fn array(self) -> Result<Owned<'a>> {
        // SAFETY: as above.
        self.own(unsafe { (self.host().api.JS_NewArray)(self.ctx) })
    }

    pub(crate) fn global(self) -> Result<Owned<'a>> {
        // SAFETY: as above.
        self.own(unsafe { (self.host().api.JS_GetGlobalObject)(self.ctx) })
    }

    pub(crate) fn get(self, object: JSValue, name: &CStr) -> Result<Owned<'a>> {
        // SAFETY: the value is the host's.
        self.own(unsafe { (self.host().api.JS_GetPropertyStr)(self.ctx, object, name.as_ptr()) })
    }

    pub(crate) fn get_text(self, object: JSValue, name: &str) -> Result<Owned<'a>> {
        let name = CString::new(name).map_err(|_| Failure::of_type("a name with a zero byte"))?;
        self.get(object, &name)
    }

    pub(crate) fn set(self, object: JSValue, name: &CStr, value: Owned<'_>) -> Result<()> {
        // SAFETY: the reference is handed on.
        check(unsafe { (self.host().api.JS_SetPropertyStr)(self.ctx, object, name.as_ptr(), value.into_raw()) })
    }

    pub(crate) fn set_text(self, object: JSValue, name: &str, value: Owned<'_>) -> Result<()> {
        let name = CString::new(name).map_err(|_| Failure::of_type("a name with a zero byte"))?;
        self.set(object, &name, value)
    }

    /// Gives an object a property that scripts see when they look for it, and do not change by accident.
    pub(crate) fn define(self, object: JSValue, name: &CStr, value: JSValue) -> Result<()> {
        let flags = JS_PROP_CONFIGURABLE;
        // SAFETY: the reference is handed on.
        check(unsafe { (self.host().api.JS_DefinePropertyValueStr)(self.ctx, object, name.as_ptr(), value, flags) })
    }

    pub(crate) fn element(self, array: JSValue, index: u32) -> Result<Owned<'a>> {
        // SAFETY: the value is the host's.
        self.own(unsafe { (self.host().api.JS_GetPropertyUint32)(self.ctx, array, index) })
    }

    pub(crate) fn set_element(self, array: JSValue, index: u32, value: Owned<'_>) -> Result<()> {
        // SAFETY: the reference is handed on.
        check(unsafe { (self.host().api.JS_SetPropertyUint32)(self.ctx, array, index, value.into_raw()) })
    }

    /// The elements of an array, or of what looks like one.
    pub(crate) fn elements(self, array: JSValue) -> Result<Vec<Owned<'a>>> {
        let length = self.get(array, c"length")?;
        let length = self.index(*length).ok_or_else(|| Failure::of_type("expected an array"))?;
        (0..length as u32).map(|index| self.element(array, index)).collect()
    }

    pub(crate) fn call(self, function: JSValue, this: JSValue, arguments: &mut [JSValue]) -> Result<Owned<'a>> {
        let (count, arguments) = (arguments.len() as c_int, arguments.as_mut_ptr());
        // SAFETY: the values are the host's, and borrowed.
        self.own(unsafe { (self.host().api.JS_Call)(self.ctx, function, this, count, arguments) })
    }

    pub(crate) fn construct(self, constructor: JSValue, arguments: &mut [JSValue]) -> Result<Owned<'a>> {
        let (count, arguments) = (arguments.len() as c_int, arguments.as_mut_ptr());
        // SAFETY: as above.
        self.own(unsafe { (self.host().api.JS_CallConstructor)(self.ctx, constructor, count, arguments) })
    }

    pub(crate) fn is_function(self, value: JSValue) -> bool {
        // SAFETY: the value is the host's.
        value.is(tag::OBJECT) && unsafe { (self.host().api.JS_IsFunction)(self.ctx, value) } & 1 != 0
    }

    pub(crate) fn is_array(self, value: JSValue) -> Result<bool> {
        let is_array = self.call(self.state.is_array_function(), JSValue::UNDEFINED, &mut [value])?;
        Ok(is_array.is(tag::BOOL) && is_array.as_int() != 0)
    }

    /// Evaluates program text.
    pub(crate) fn evaluate(self, text: &CStr, name: &CStr, flags: c_int) -> Result<Owned<'a>> {
        let length = text.to_bytes().len();
        // SAFETY: text and name are strings of C's; the text's zero byte is there, which the host wants.
        self.own(unsafe { (self.host().api.JS_Eval)(self.ctx, text.as_ptr(), length, name.as_ptr(), flags) })
    }

    pub(crate) fn big_int(self, value: i64) -> Result<Owned<'a>> {
        // SAFETY: the context is the host's.
        self.own(unsafe { (self.host().api.JS_NewBigInt64)(self.ctx, value) })
    }

    pub(crate) fn big_uint(self, value: u64) -> Result<Owned<'a>> {
        // SAFETY: as above.
        self.own(unsafe { (self.host().api.JS_NewBigUint64)(self.ctx, value) })
    }

    /// A BigInt of any size.
    pub(crate) fn wide_int(self, value: i128) -> Result<Owned<'a>> {
        let text = self.string(&value.to_string())?;
        self.call(self.state.big_int_function(), JSValue::UNDEFINED, &mut [*text])
    }

    /// The number in a value, where it is one (no BigInt).
    pub(crate) fn as_number(self, value: JSValue) -> Option<f64> {
        match value.kind() {
            tag::INT => Some(f64::from(value.as_int())),
            kind if kind == self.host().double => Some(f64::from_bits(value.payload)),
            _ => None,
        }
    }

    /// A number that is an index or a size.
    pub(crate) fn index(self, value: JSValue) -> Option<usize> {
        let number = self.as_number(value)?;
        ((0.0..=LARGEST_EXACT as f64).contains(&number) && number.fract() == 0.0).then_some(number as usize)
    }

    /// The integer in a BigInt; `None` beyond 128 bits.
    pub(crate) fn big(self, value: JSValue) -> Result<Option<i128>> {
        if let Some(short) = self.host().short_big(value) {
            return Ok(Some(short.into()));
        }
        Ok(self.text(value)?.parse().ok())
    }

    /// The memory of an ArrayBuffer.
    pub(crate) fn array_buffer(self, value: JSValue) -> Option<Span> {
        if !value.is(tag::OBJECT) {
            return None;
        }
        let mut length = 0;
        // SAFETY: the length is written.
        let address = unsafe { (self.host().api.JS_GetArrayBuffer)(self.ctx, &mut length, value) };
        if address.is_null() {
            // There is an exception where it is no ArrayBuffer, and none where it is empty in some hosts.
            self.clear_exception();
            return None;
        }
        Some(Span { address, length })
    }

    /// The memory of a typed array.
    fn typed_array(self, value: JSValue) -> Option<Span> {
        let (mut offset, mut length, mut element) = (0, 0, 0);
        // SAFETY: the numbers are written.
        let buffer = unsafe {
            (self.host().api.JS_GetTypedArrayBuffer)(self.ctx, value, &mut offset, &mut length, &mut element)
        };
        let Ok(buffer) = self.own(buffer) else {
            self.clear_exception();
            return None;
        };
        let whole = self.array_buffer(*buffer)?;
        // SAFETY: a typed array lies within its buffer.
        Some(Span { address: unsafe { whole.address.add(offset) }, length })
    }

    /// The memory of an ArrayBuffer, a typed array, a DataView or whatever else has a buffer.
    pub(crate) fn memory(self, value: JSValue) -> Result<Option<Span>> {
        if !value.is(tag::OBJECT) {
            return Ok(None);
        }
        match self.viewed_memory(value)? {
            Some(span) => Ok(Some(span)),
            None => Ok(self.array_buffer(value)),
        }
    }

    /// The memory of an object that has a buffer: a typed array, a DataView, an instance of a struct.
    ///
    /// What has a `buffer` is asked for it first: the host's own functions throw where they are given the other kind, and
    /// making an exception takes longer than the call that the memory is for.
    pub(crate) fn viewed_memory(self, value: JSValue) -> Result<Option<Span>> {
        let buffer = self.get(value, c"buffer")?;
        if !buffer.is(tag::OBJECT) {
            return Ok(None);
        }
        if let Some(span) = self.typed_array(value) {
            return Ok(Some(span));
        }
        let Some(whole) = self.array_buffer(*buffer) else { return Ok(None) };
        let offset = self.index(*self.get(value, c"byteOffset")?);
        let length = self.index(*self.get(value, c"byteLength")?);
        let (Some(offset), Some(length)) = (offset, length) else { return Ok(None) };
        if offset > whole.length || length > whole.length - offset {
            return Err(Failure::of_range("a view that is larger than its buffer"));
        }
        // SAFETY: that is within the buffer.
        Ok(Some(Span { address: unsafe { whole.address.add(offset) }, length }))
    }

    /// What errors call a value.
    pub(crate) fn describe(self, value: JSValue) -> String {
        match value.kind() {
            tag::NULL => "null".into(),
            tag::UNDEFINED => "undefined".into(),
            tag::BOOL => if value.as_int() != 0 { "true" } else { "false" }.into(),
            tag::SYMBOL => "a symbol".into(),
            tag::OBJECT if self.is_function(value) => "a function".into(),
            tag::OBJECT => "an object".into(),
            _ if value.is_string() => "a string".into(),
            _ if self.host().is_big(value) => {
                self.text(value).map_or_else(|_| "a BigInt".into(), |text| format!("{}n", shortened(text)))
            }
            _ => match self.as_number(value) {
                Some(number) => number_text(number),
                None => "a value of no known type".into(),
            },
        }
    }
}

/// The beginning of a long text.
fn shortened(mut text: String) -> String {
    const LONGEST: usize = 40;
    if text.len() > LONGEST {
        text.truncate(LONGEST);
        text.push_str("...");
    }
    text
}

/// A number as JavaScript writes it.
pub(crate) fn number_text(number: f64) -> String {
    if number == 0.0 && number.is_sign_negative() {
        "-0".into()
    } else if number.is_infinite() {
        if number > 0.0 { "Infinity".into() } else { "-Infinity".into() }
    } else {
        number.to_string()
    }
}

fn check(status: c_int) -> Result<()> {
    if status < 0 { Err(Failure::Pending) } else { Ok(()) }
}

/// Text for functions of C's.
pub(crate) fn c_text(text: &str) -> Result<CString> {
    CString::new(text).map_err(|_| Failure::of_type("a string with a zero byte in it"))
}
