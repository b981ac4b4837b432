//! `ffi.so`: the native module that lets QuickJS call C.
