//! Pointers that belong to a foreign object: a C function frees what they lead to when q frees the object.

use std::cell::RefCell;
use std::collections::HashMap;
use std::ffi::c_void;

use jitcall::closure::{Arguments, Outcome};
use jitcall::{Engine, Signature, Type};

use crate::convert::to_q;
use crate::error::{Fault, Result};
use crate::host::api::Code;
use crate::host::{K, Object, Owned, kind};
use crate::letters::Scalar;
use crate::symbols;
use crate::thread::Main;

/// What frees a pointer.
type Free = unsafe extern "C-unwind" fn(*mut u8);

/// For each C function that frees pointers, the one that q calls with the object. They stay for the process.
#[derive(Default)]
pub(crate) struct Destructors(RefCell<HashMap<*mut c_void, Code>>);

impl Destructors {
    fn get_or_make(&self, address: *mut c_void) -> Result<Code> {
        if let Some(code) = self.0.borrow().get(&address) {
            return Ok(*code);
        }
        // SAFETY: who names a destructor answers for what it takes.
        let code = make(unsafe { std::mem::transmute::<*mut c_void, Free>(address) })?;
        self.0.borrow_mut().insert(address, code);
        Ok(code)
    }
}

/// Code that q calls with an object that it frees. It gives nothing.
fn make(free: Free) -> Result<Code> {
    let interface = Engine::global().prepare_callback(&Signature::new(Type::pointer(), [Type::pointer()])?)?;
    let closure = interface.slots_shared(move |arguments: Arguments<'_>, outcome: Outcome<'_>| {
        // SAFETY: q passes the object, whose second element is the pointer.
        let pointer = unsafe { K::new(arguments.as_ptr().cast::<*mut Object>().read()) }.foreign();
        if let Some(pointer) = pointer {
            // SAFETY: who gave the pointer to q named the function for it; q frees an object once.
            unsafe { free(pointer) };
        }
        // SAFETY: the result is a pointer.
        unsafe { outcome.write(std::ptr::null_mut::<c_void>()) };
    })?;
    Ok(closure.leak())
}

/// `.ffi.own`.
///
/// # Errors
/// `'type` where the pointer is none, or null; `'os` where there is no such destructor.
pub(crate) fn own(main: &Main, pointer: K<'_>, destructor: K<'_>) -> Result<*mut Object> {
    let address = match pointer.t() {
        t if t == -kind::LONG && pointer.long() != i64::MIN => pointer.long(),
        t => return Err(Fault::of_type(format!("a pointer is a long: {t}h"))),
    };
    if address == 0 {
        return Err(Fault::of_type("a null pointer is nobody's"));
    }
    let code = main.declared.destructors.get_or_make(symbols::find(destructor)?.address)?;
    Ok(Owned::foreign(code, std::ptr::with_exposed_provenance_mut(address as usize)).into_raw())
}

/// `.ffi.address`.
///
/// # Errors
/// `'type` where the object is no foreign one.
pub(crate) fn address(object: K<'_>) -> Result<*mut Object> {
    match object.foreign() {
        Some(pointer) => Ok(to_q::atom(Scalar::Long, kind::LONG, pointer.expose_provenance() as u64)),
        None => Err(Fault::of_type(format!("a foreign object: {}h", object.t()))),
    }
}
