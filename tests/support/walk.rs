//! Frames as the unwinder sees them: the functions' start, from the innermost out.

use std::ffi::{c_int, c_void};

type Visitor = extern "C" fn(*mut c_void, *mut c_void) -> c_int;

unsafe extern "C" {
    fn _Unwind_Backtrace(visit: Visitor, frames: *mut c_void) -> c_int;
    fn _Unwind_GetIP(frame: *mut c_void) -> usize;
    fn _Unwind_GetCFA(frame: *mut c_void) -> usize;
    fn _Unwind_FindEnclosingFunction(address: *mut c_void) -> *mut c_void;
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Frame {
    pub(crate) function: usize,
    pub(crate) address: usize,
    pub(crate) cfa: usize,
}

/// How walks end that reach the outermost frame: `_URC_END_OF_STACK`.
const END_OF_STACK: c_int = 5;

extern "C" fn visit(frame: *mut c_void, frames: *mut c_void) -> c_int {
    // SAFETY: the frame is the unwinder's, and `frames` what `frames` passes.
    unsafe {
        let address = _Unwind_GetIP(frame);
        let function = _Unwind_FindEnclosingFunction(address.wrapping_sub(1) as *mut c_void).addr();
        (*frames.cast::<Vec<Frame>>()).push(Frame { function, address, cfa: _Unwind_GetCFA(frame) });
    }
    0
}

/// All frames up to the outermost.
#[inline(never)]
pub(crate) fn frames() -> Vec<Frame> {
    let mut frames = Vec::<Frame>::new();
    // SAFETY: the visitor takes what it is given.
    let end = unsafe { _Unwind_Backtrace(visit, (&raw mut frames).cast()) };
    assert_eq!(end, END_OF_STACK, "{frames:x?}");
    frames
}
