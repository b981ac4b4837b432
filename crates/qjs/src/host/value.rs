//! JavaScript's values as 64-bit hosts hold them: a payload and a tag, in two registers.

use std::ffi::c_void;

/// A value. Who holds one owns a reference or has borrowed it, as quickjs.h says function by function.
#[repr(C)]
#[derive(Clone, Copy)]
pub(crate) struct JSValue {
    /// An integer's or a double's bits, or the address of an object.
    pub(crate) payload: u64,
    /// What it is. Only the low half counts.
    pub(crate) tag: i64,
}

/// Tags that are the same in every host.
pub(crate) mod tag {
    pub(crate) const SYMBOL: i32 = -8;
    pub(crate) const STRING: i32 = -7;
    /// A string made of parts that have yet to be joined, where the host has those.
    pub(crate) const STRING_ROPE: i32 = -6;
    pub(crate) const OBJECT: i32 = -1;
    pub(crate) const INT: i32 = 0;
    pub(crate) const BOOL: i32 = 1;
    pub(crate) const NULL: i32 = 2;
    pub(crate) const UNDEFINED: i32 = 3;
    pub(crate) const EXCEPTION: i32 = 6;
}

impl JSValue {
    pub(crate) const NULL: JSValue = JSValue::plain(tag::NULL, 0);
    pub(crate) const UNDEFINED: JSValue = JSValue::plain(tag::UNDEFINED, 0);
    pub(crate) const EXCEPTION: JSValue = JSValue::plain(tag::EXCEPTION, 0);

    /// A value that is all in its payload.
    pub(crate) const fn plain(tag: i32, payload: u64) -> JSValue {
        JSValue { payload, tag: tag as i64 }
    }

    pub(crate) const fn int(value: i32) -> JSValue {
        JSValue::plain(tag::INT, value as u32 as u64)
    }

    pub(crate) const fn bool(value: bool) -> JSValue {
        JSValue::plain(tag::BOOL, value as u64)
    }

    /// Its tag.
    pub(crate) const fn kind(self) -> i32 {
        self.tag as i32
    }

    pub(crate) const fn is(self, tag: i32) -> bool {
        self.kind() == tag
    }

    /// The integer of an [`tag::INT`] or a [`tag::BOOL`]: what lies above its low half is nobody's.
    pub(crate) const fn as_int(self) -> i32 {
        self.payload as i32
    }

    /// The address of what is counted behind it, where something is.
    pub(crate) fn counted(self) -> Option<*mut c_void> {
        (self.kind() < 0).then(|| std::ptr::with_exposed_provenance_mut(self.payload as usize))
    }

    pub(crate) const fn is_string(self) -> bool {
        matches!(self.kind(), tag::STRING | tag::STRING_ROPE)
    }
}
