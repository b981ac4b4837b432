//! What the interpreter keeps beside QuickJS's runtime.

use std::cell::OnceCell;
use std::ffi::c_void;
use std::ptr;

use rquickjs_sys as qjs;

use crate::NativeModule;
use crate::engine::{Context, Kept};
use crate::event_loop;

/// The host of a runtime.
pub(crate) struct Host {
    events: event_loop::State,
    modules: &'static [NativeModule],
    /// The class of `std`'s files.
    pub(crate) file_class: OnceCell<qjs::JSClassID>,
    /// The function that gives a value's text as the console shows it.
    pub(crate) inspect: OnceCell<Kept>,
}

impl Host {
    pub(crate) fn new(modules: &'static [NativeModule]) -> Self {
        Self { events: event_loop::State::default(), modules, file_class: OnceCell::new(), inspect: OnceCell::new() }
    }

    /// Makes this the host of a runtime.
    ///
    /// # Safety
    ///
    /// The runtime is valid, and the host stays where it is until the runtime is freed.
    pub(crate) unsafe fn install(&self, runtime: *mut qjs::JSRuntime) {
        // SAFETY: as the caller says.
        unsafe { qjs::JS_SetRuntimeOpaque(runtime, ptr::from_ref(self).cast_mut().cast::<c_void>()) };
    }

    /// The host of the context's runtime.
    pub(crate) fn of<'js>(context: Context<'js>) -> &'js Self {
        // SAFETY: every runtime here was given its host by `install`, which outlives it and is only shared.
        unsafe { &*qjs::JS_GetRuntimeOpaque(context.runtime()).cast::<Self>() }
    }

    pub(crate) fn events(&self) -> &event_loop::State {
        &self.events
    }

    pub(crate) fn modules(&self) -> &'static [NativeModule] {
        self.modules
    }

    /// Lets go of all values, before the runtime is freed.
    pub(crate) fn clear(&mut self) {
        self.events.clear();
        drop(self.inspect.take());
    }
}
