//! Modules whose exports are made by Rust code.

use std::ffi::{CStr, c_int};
use std::ptr;

use rquickjs_sys as qjs;

use super::{Context, Exception, Outcome, Value};

impl<'js> Context<'js> {
    /// Declares a module that exports the properties of `exports`.
    pub(crate) fn declare_module(self, name: &CStr, exports: Value<'js>) -> Outcome<'js, *mut qjs::JSModuleDef> {
        // SAFETY: the context is valid; the module calls `export_properties` when it is first run.
        let module = unsafe { qjs::JS_NewCModule(self.raw(), name.as_ptr(), Some(export_properties)) };
        if module.is_null() {
            return Err(Exception);
        }
        for name in exports.own_names()? {
            let name = name.to_text()?;
            // SAFETY: the context and the module are valid.
            self.check(unsafe { qjs::JS_AddModuleExport(self.raw(), module, name.as_c_str().as_ptr()) })?;
        }
        // SAFETY: the context and the module are valid; the reference goes to the module.
        self.check(unsafe { qjs::JS_SetModulePrivateValue(self.raw(), module, exports.into_raw()) })?;
        Ok(module)
    }
}

/// Gives a module's exports the values of the properties of its private value.
unsafe extern "C" fn export_properties(context: *mut qjs::JSContext, module: *mut qjs::JSModuleDef) -> c_int {
    // SAFETY: QuickJS calls with a valid context, on the thread that runs it.
    let context = unsafe { Context::from_raw(context) };
    let export = || -> Outcome<'_, ()> {
        // SAFETY: the context and the module are valid, the new reference is ours.
        let exports = unsafe { context.own(qjs::JS_GetModulePrivateValue(context.raw(), module)) }?;
        for name in exports.own_names()? {
            let name = name.to_text()?;
            let value = exports.get(name.as_c_str())?.into_raw();
            // SAFETY: the context and the module are valid; the value's reference goes to the module.
            let status = unsafe { qjs::JS_SetModuleExport(context.raw(), module, name.as_c_str().as_ptr(), value) };
            context.check(status)?;
        }
        Ok(())
    };
    if export().is_ok() { 0 } else { -1 }
}

impl<'js> Value<'js> {
    /// The names of the object's own enumerable properties, symbols left out.
    pub(crate) fn own_names(&self) -> Outcome<'js, Vec<Value<'js>>> {
        let context = self.context();
        let mut names = ptr::null_mut();
        let mut count = 0;
        let flags = (qjs::JS_GPN_STRING_MASK | qjs::JS_GPN_ENUM_ONLY) as c_int;
        // SAFETY: the context and the value are valid.
        let status =
            unsafe { qjs::JS_GetOwnPropertyNames(context.raw(), &raw mut names, &raw mut count, self.raw(), flags) };
        context.check(status)?;
        let values = (0..count as usize)
            .map(|index| {
                // SAFETY: QuickJS gave `count` names; the string's reference is ours.
                unsafe { context.own(qjs::JS_AtomToString(context.raw(), (*names.add(index)).atom)) }
            })
            .collect();
        // SAFETY: the table is of QuickJS's making, and freed once.
        unsafe { qjs::JS_FreePropertyEnum(context.raw(), names, count) };
        values
    }
}
