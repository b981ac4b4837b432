//! The host: which QuickJS imported the module, and what differs between them.
//!
//! Bellard's QuickJS and quickjs-ng agree on much: the size of a value, most tags, most functions. What differs is found
//! out here, once, by asking for values and looking at them; versions are asked for only where nothing else tells.

mod api;
mod value;

use std::ffi::{CStr, c_uint, c_void};
use std::mem;
use std::sync::OnceLock;

use jitcall::bridge::{Case, Payload};

pub use api::{JSContext, JSModuleDef, JSRuntime};

pub(crate) use api::{JS_EVAL_TYPE_GLOBAL, JS_EVAL_TYPE_MODULE, JS_PROP_CONFIGURABLE, JSCFunctionData, JSClassDef};
pub(crate) use value::{JSValue, tag};

use api::Api;
use api::varying::{NewArrayBuffer, NewClassId, NewResizableArrayBuffer, NewRuntimeClassId};

static HOST: OnceLock<Host> = OnceLock::new();

/// The host of this process.
pub(crate) struct Host {
    pub(crate) api: Api,
    /// The tag of doubles.
    pub(crate) double: i32,
    /// The tags of integers without limit: on the heap, and in the payload where the host has such.
    big: i32,
    short_big: Option<ShortBig>,
    /// Where an object's count of references lies, in bytes from its address.
    count_at: isize,
    new_class_id: ClassIds,
    process_class_id: OnceLock<c_uint>,
    new_array_buffer: ArrayBuffers,
    /// Whether it is quickjs-ng.
    pub(crate) is_ng: bool,
}

/// A BigInt that is all in its payload.
#[derive(Clone, Copy)]
struct ShortBig {
    tag: i32,
    /// Whether just the low half of the payload counts.
    is_half: bool,
}

enum ClassIds {
    Process(NewClassId),
    Runtime(NewRuntimeClassId),
}

enum ArrayBuffers {
    Fixed(NewArrayBuffer),
    Resizable(NewResizableArrayBuffer),
}

/// Frees memory that an ArrayBuffer was made over.
pub(crate) type FreeBuffer = unsafe extern "C" fn(*mut JSRuntime, *mut c_void, *mut c_void);

impl Host {
    /// The host of this process, which the first call finds out.
    ///
    /// # Errors
    /// The name of a function that the process does not export.
    ///
    /// # Safety
    /// `ctx` is a context of the host.
    pub(crate) unsafe fn get(ctx: *mut JSContext) -> Result<&'static Host, &'static str> {
        if let Some(host) = HOST.get() {
            return Ok(host);
        }
        // SAFETY: said by the caller.
        let host = unsafe { Host::probe(ctx)? };
        Ok(HOST.get_or_init(|| host))
    }

    /// The host, once it was found out.
    pub(crate) fn known() -> Option<&'static Host> {
        HOST.get()
    }

    /// # Safety
    /// As for [`Host::get`].
    unsafe fn probe(ctx: *mut JSContext) -> Result<Host, &'static str> {
        let api = Api::load()?;
        let class_ids = api::find("JS_NewClassID\0").ok_or("JS_NewClassID")?;
        let array_buffers = api::find("JS_NewArrayBuffer\0").ok_or("JS_NewArrayBuffer")?;
        if api.JS_FreeValue.is_none() && api.__JS_FreeValue.is_none() {
            return Err("JS_FreeValue");
        }
        if api.JS_FreeValueRT.is_none() && api.__JS_FreeValueRT.is_none() {
            return Err("JS_FreeValueRT");
        }
        if api.JS_GetVersion.is_some() && api.JS_GetAnyOpaque.is_none() {
            return Err("JS_GetAnyOpaque");
        }
        // SAFETY: it takes nothing and gives a string of C's.
        let version = api.JS_GetVersion.map(|version| unsafe { CStr::from_ptr(version()) });
        // SAFETY: the signatures are those of the versions.
        let (new_class_id, new_array_buffer) = unsafe {
            (
                match version {
                    None => ClassIds::Process(mem::transmute::<*mut c_void, NewClassId>(class_ids)),
                    Some(_) => ClassIds::Runtime(mem::transmute::<*mut c_void, NewRuntimeClassId>(class_ids)),
                },
                match version {
                    Some(version) if is_at_least(version, 0, 16) => {
                        ArrayBuffers::Resizable(mem::transmute::<*mut c_void, NewResizableArrayBuffer>(array_buffers))
                    }
                    _ => ArrayBuffers::Fixed(mem::transmute::<*mut c_void, NewArrayBuffer>(array_buffers)),
                },
            )
        };
        let mut host = Host {
            api,
            double: 0,
            big: 0,
            short_big: None,
            count_at: 0,
            new_class_id,
            process_class_id: OnceLock::new(),
            new_array_buffer,
            is_ng: version.is_some(),
        };
        // SAFETY: said by the caller.
        unsafe { host.look_at_values(ctx) };
        Ok(host)
    }

    /// Makes values and looks at them.
    ///
    /// # Safety
    /// As for [`Host::get`].
    unsafe fn look_at_values(&mut self, ctx: *mut JSContext) {
        let api = &self.api;
        // SAFETY: the arguments are as quickjs.h wants them; text ends in a zero byte.
        let (fraction, one, all, global) = unsafe {
            (
                (api.JS_ParseJSON)(ctx, c"1.5".as_ptr(), 3, c"".as_ptr()),
                (api.JS_NewBigInt64)(ctx, 1),
                (api.JS_NewBigUint64)(ctx, u64::MAX),
                (api.JS_GetGlobalObject)(ctx),
            )
        };
        self.double = fraction.kind();
        self.big = all.kind();
        if one.kind() >= 0 {
            // quickjs-ng keeps 32 bits in a payload, Bellard's keeps 64.
            self.short_big = Some(ShortBig { tag: one.kind(), is_half: self.is_ng });
        }
        // SAFETY: the words before and at an object's address are its header's; the values are owned here.
        unsafe {
            self.count_at = self.find_count(ctx, global);
            self.free(ctx, one);
            self.free(ctx, all);
            self.free(ctx, global);
        }
    }

    /// Where the count of references lies: the word that rises when another reference is taken.
    ///
    /// # Safety
    /// As for [`Host::get`]; `object` is one.
    unsafe fn find_count(&self, ctx: *mut JSContext, object: JSValue) -> isize {
        let Some(address) = object.counted() else { return 0 };
        let places = [-4isize, 0];
        // SAFETY: both words are in the object's allocation: the count is one of them, and the other is before or
        // behind it in the same header.
        let read = || places.map(|at| unsafe { address.byte_offset(at).cast::<i32>().read() });
        let before = read();
        // SAFETY: said by the caller.
        let again = unsafe { (self.api.JS_GetGlobalObject)(ctx) };
        let after = read();
        let rose = (0..places.len()).find(|&place| after[place] == before[place] + 1);
        let at = rose.map_or(0, |place| places[place]);
        // SAFETY: that is the count, which was raised for `again`.
        unsafe { address.byte_offset(at).cast::<i32>().write(before[rose.unwrap_or(1)]) };
        debug_assert_eq!(again.payload, object.payload);
        at
    }

    pub(crate) fn is_big(&self, value: JSValue) -> bool {
        value.is(self.big) || self.short_big.is_some_and(|short| value.is(short.tag))
    }

    /// The number in a BigInt that is all in its payload.
    pub(crate) fn short_big(&self, value: JSValue) -> Option<i64> {
        let short = self.short_big.filter(|short| value.is(short.tag))?;
        Some(if short.is_half { i64::from(value.payload as i32) } else { value.payload as i64 })
    }

    /// How emitted code reads the numbers of [`Host::short_big`].
    pub(crate) fn short_big_case(&self) -> Option<Case> {
        let ShortBig { tag, is_half } = self.short_big?;
        Some(Case { tag, payload: if is_half { Payload::Int32 } else { Payload::Int64 } })
    }

    pub(crate) fn number(&self, value: f64) -> JSValue {
        JSValue::plain(self.double, value.to_bits())
    }

    /// The value of a number; an integer in it where it is one, as programs write them.
    #[inline]
    pub(crate) fn tidy(&self, value: f64) -> JSValue {
        let int = value as i32;
        // Comparing the bits tells 0 and -0 apart.
        if f64::from(int).to_bits() == value.to_bits() { JSValue::int(int) } else { self.number(value) }
    }

    /// Takes another reference.
    ///
    /// # Safety
    /// The value is one of this host's.
    #[inline(always)]
    pub(crate) unsafe fn dup(&self, value: JSValue) -> JSValue {
        if let Some(address) = value.counted() {
            // SAFETY: that is where the count lies; one thread uses a runtime at a time.
            unsafe { *address.byte_offset(self.count_at).cast::<i32>() += 1 };
        }
        value
    }

    /// Gives a reference back.
    ///
    /// # Safety
    /// The value is one of this host's, and the reference the caller's to give.
    #[inline(always)]
    pub(crate) unsafe fn free(&self, ctx: *mut JSContext, value: JSValue) {
        // SAFETY: said by the caller.
        unsafe {
            if self.is_last(value) {
                self.free_last(ctx, value);
            }
        }
    }

    /// Gives a reference back, unless it is the last one: then the host has to free the value.
    ///
    /// # Safety
    /// As for [`Host::free`].
    #[inline(always)]
    unsafe fn is_last(&self, value: JSValue) -> bool {
        let Some(address) = value.counted() else { return false };
        // SAFETY: that is where the count lies; one thread uses a runtime at a time.
        let count = unsafe { &mut *address.byte_offset(self.count_at).cast::<i32>() };
        if *count > 1 {
            *count -= 1;
            return false;
        }
        true
    }

    /// Has the host free a value.
    ///
    /// # Safety
    /// As for [`Host::free`], and the reference is the last one.
    #[cold]
    unsafe fn free_last(&self, ctx: *mut JSContext, value: JSValue) {
        // SAFETY: said by the caller. Bellard's function wants the count to be 0, quickjs-ng's takes the reference back
        // itself.
        unsafe {
            if let Some(free) = self.api.JS_FreeValue {
                free(ctx, value);
            } else if let (Some(free), Some(address)) = (self.api.__JS_FreeValue, value.counted()) {
                *address.byte_offset(self.count_at).cast::<i32>() = 0;
                free(ctx, value);
            }
        }
    }

    /// [`Host::free`] where no context is at hand.
    ///
    /// # Safety
    /// As for [`Host::free`].
    pub(crate) unsafe fn free_rt(&self, rt: *mut JSRuntime, value: JSValue) {
        // SAFETY: as for `free` and `free_last`.
        unsafe {
            if !self.is_last(value) {
                return;
            }
            if let Some(free) = self.api.JS_FreeValueRT {
                free(rt, value);
            } else if let (Some(free), Some(address)) = (self.api.__JS_FreeValueRT, value.counted()) {
                *address.byte_offset(self.count_at).cast::<i32>() = 0;
                free(rt, value);
            }
        }
    }

    /// The identifier of the module's class: a new one for each context where the host counts them by runtime.
    ///
    /// # Safety
    /// `rt` is a runtime of the host.
    pub(crate) unsafe fn new_class_id(&self, rt: *mut JSRuntime) -> c_uint {
        match self.new_class_id {
            ClassIds::Process(new) => *self.process_class_id.get_or_init(|| {
                let mut id = 0;
                // SAFETY: the identifier is written.
                unsafe { new(&mut id) }
            }),
            ClassIds::Runtime(new) => {
                let mut id = 0;
                // SAFETY: said by the caller; the identifier is written.
                unsafe { new(rt, &mut id) }
            }
        }
    }

    /// The identifier of the module's class, where all runtimes share it.
    pub(crate) fn process_class_id(&self) -> Option<c_uint> {
        self.process_class_id.get().copied()
    }

    /// An ArrayBuffer over memory that the host does not manage. `free` runs when it is collected.
    ///
    /// # Safety
    /// `ctx` is a context of the host; there are `length` bytes at `memory` for as long as the buffer is used.
    pub(crate) unsafe fn array_buffer_over(
        &self,
        ctx: *mut JSContext,
        memory: *mut u8,
        length: usize,
        free: Option<(FreeBuffer, *mut c_void)>,
    ) -> JSValue {
        // SAFETY: said by the caller. The function that moves memory, in hosts that have one, is called with one more
        // argument than the one that frees it, and with the size 0 where it is to be freed: it is never resized.
        unsafe {
            let (function, opaque) = match free {
                Some((function, opaque)) => (function as *const c_void, opaque),
                None => (std::ptr::null(), std::ptr::null_mut()),
            };
            match self.new_array_buffer {
                ArrayBuffers::Fixed(new) => {
                    let keep: FreeBuffer = keep_memory;
                    let function = if function.is_null() { keep as *const c_void } else { function };
                    new(ctx, memory, length, function, opaque, 0)
                }
                ArrayBuffers::Resizable(new) => new(ctx, memory, length, 0, function, opaque, false),
            }
        }
    }
}

/// Frees nothing: the memory is C's.
unsafe extern "C" fn keep_memory(_: *mut JSRuntime, _: *mut c_void, _: *mut c_void) {}

/// Whether a version such as `0.16.2` is that or newer.
fn is_at_least(version: &CStr, major: u32, minor: u32) -> bool {
    let text = version.to_string_lossy();
    let mut numbers = text.split(['.', '-']).map(|number| number.parse::<u32>().unwrap_or(0));
    let found = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    found >= (major, minor)
}

#[cfg(test)]
mod tests {
    use super::is_at_least;

    #[test]
    fn versions_are_compared_by_number() {
        assert!(is_at_least(c"0.16.2", 0, 16));
        assert!(is_at_least(c"1.0.0", 0, 16));
        assert!(is_at_least(c"0.16-dev", 0, 16));
        assert!(!is_at_least(c"0.9.0", 0, 16));
    }
}
