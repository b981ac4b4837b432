//! Bound functions: C functions as JavaScript calls them.
//!
//! A bound function is a native function of the host whose code is a bridge stub: emitted code that reads JavaScript's
//! values, calls C and makes a value of the result. What the stub does not read itself - strings, buffers, BigInts,
//! objects, whatever does not fit - it leaves to [`fallback`], which means the same by it. Without a JIT, and for
//! signatures that no stub is made for, the fallback is the function.
//!
//! Behind each is a [`Record`], which belongs to the function object: the host gives it to the code with every call.

pub(crate) mod bridge;
pub(crate) mod fallback;
mod variadic;

use std::cell::{Cell, RefCell};
use std::ffi::{c_int, c_void};
use std::rc::Rc;

use jitcall::abi::Convention;
use jitcall::{Engine, Function, Library, Signature};

use crate::error::{Failure, Result};
use crate::host::{JSCFunctionData, JSValue};
use crate::libraries::Bound;
use crate::scope::{Owned, Scope};
use crate::state::{Native, State};
use crate::types::ScriptType;

/// What a script says of a function.
pub(crate) struct Declaration {
    /// What errors call it.
    pub(crate) name: String,
    pub(crate) parameters: Vec<ScriptType>,
    pub(crate) result: ScriptType,
    /// The class of its result's instances, where that is a struct with one: a reference of the caller's.
    pub(crate) view: JSValue,
    /// Whether arguments follow whose types the call says.
    pub(crate) is_variadic: bool,
    /// Whether calls run on other threads and give promises.
    pub(crate) is_async: bool,
    /// Its convention, where that is not C's own.
    pub(crate) convention: Option<Convention>,
    pub(crate) manners: Manners,
}

/// How results that are nothing come back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Manners {
    /// `undefined` and `null`.
    Modern,
    /// 0, as qjs-ffi's `call` has it, whose results are all numbers.
    Numbers,
}

/// What a call of a bound function needs. Emitted code reads its beginning.
#[repr(C)]
pub(crate) struct Record {
    /// Where the function is, and the state's words. A target of null sends every call to the fallback.
    bridge: jitcall::bridge::Record,
    pub(crate) state: Rc<State>,
    pub(crate) declaration: Declaration,
    pub(crate) function: Function,
    /// Why it cannot be called any more.
    closed: RefCell<Option<String>>,
    /// The stub, kept for the code that is the function.
    stub: Option<jitcall::bridge::Bridge>,
    /// The last combination of types that followed the fixed arguments, and the function for it.
    tail: RefCell<Option<Rc<variadic::Tail>>>,
    /// The size of the result in bytes.
    result_size: usize,
    /// The object that owns the record; no reference is counted for it.
    owner: Cell<JSValue>,
    /// The functions of its library, among which it is.
    bound: Option<Rc<Bound>>,
}

/// What a function is bound to.
#[derive(Clone, Copy)]
pub(crate) struct Target<'a> {
    pub(crate) address: *const c_void,
    /// The library that holds the address, which the function keeps open.
    pub(crate) library: Option<&'a Library>,
    /// The functions that a script's closing of a library concerns.
    pub(crate) bound: Option<&'a Rc<Bound>>,
}

/// A native function with the values that the host hands to it.
pub(crate) struct Entry {
    pub(crate) code: JSCFunctionData,
    /// The address of the record in the bits of a double, and the object that owns the record.
    pub(crate) data: [JSValue; 2],
    pub(crate) parameters: usize,
}

impl Record {
    fn new(scope: Scope<'_>, declaration: Declaration, target: Target<'_>) -> Result<Box<Record>> {
        let types = declaration.parameters.iter().map(|parameter| parameter.ty.clone());
        let mut signature = Signature::new(declaration.result.ty.clone(), types)?.named(&declaration.name);
        if declaration.is_variadic {
            signature = signature.variadic();
        }
        if let Some(convention) = declaration.convention {
            signature = signature.with_convention(convention);
        }
        let function = match target.library {
            Some(library) => library.function_at(Engine::global(), target.address, signature)?,
            None => Function::new(target.address, signature)?,
        };
        let state = scope.state.handle();
        let stub = if declaration.is_variadic || declaration.is_async {
            None
        } else {
            bridge::stub(scope.host(), &declaration, function.signature())
        };
        let result_size = declaration.result.size()?;
        Ok(Box::new(Record {
            bridge: jitcall::bridge::Record { target: Cell::new(target.address), state: &raw const state.bridge },
            state,
            declaration,
            function,
            closed: RefCell::new(None),
            stub,
            tail: RefCell::new(None),
            result_size,
            owner: Cell::new(JSValue::UNDEFINED),
            bound: target.bound.cloned(),
        }))
    }

    /// The record whose address the host hands to native functions in their first value.
    ///
    /// # Safety
    /// `data` is that of a bound function which is being called.
    pub(crate) unsafe fn of<'a>(data: *const JSValue) -> &'a Record {
        // SAFETY: said by the caller; the function's object owns the record.
        unsafe { &*std::ptr::with_exposed_provenance((*data).payload as usize) }
    }

    /// What errors call an argument: `pow: argument 2 (double)`.
    pub(crate) fn place(&self, index: usize) -> String {
        let ty = &self.declaration.parameters[index].ty;
        format!("{}: argument {} ({ty})", self.declaration.name, index + 1)
    }

    /// Refuses all further calls.
    pub(crate) fn close(&self, reason: &str) {
        *self.closed.borrow_mut() = Some(reason.to_owned());
        self.bridge.target.set(std::ptr::null());
    }

    /// # Errors
    /// Why it cannot be called any more.
    pub(crate) fn check_open(&self) -> Result<()> {
        match &*self.closed.borrow() {
            Some(reason) => Err(Failure::other(format!("{}: {reason}", self.declaration.name))),
            None => Ok(()),
        }
    }

    /// The machine code of its stub, where it has one.
    pub(crate) fn code(&self) -> Option<&[u8]> {
        self.stub.as_ref().map(jitcall::bridge::Bridge::code)
    }

    /// The object that owns the record.
    pub(crate) fn owner(&self) -> JSValue {
        self.owner.get()
    }

    /// The values that it owns.
    pub(crate) fn values(&self) -> [JSValue; 1] {
        [self.declaration.view]
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        if let Some(bound) = &self.bound {
            bound.remove(self);
        }
        // SAFETY: the reference is the record's.
        unsafe { self.state.host.free_rt(self.state.rt, self.declaration.view) };
    }
}

/// Binds a function. What comes back is not yet an object of JavaScript's, but all that makes one.
///
/// # Errors
/// Where the engine refuses the signature.
pub(crate) fn entry(scope: Scope<'_>, declaration: Declaration, target: Target<'_>) -> Result<Entry> {
    let record = Record::new(scope, declaration, target)?;
    let code = match &record.stub {
        Some(stub) => {
            // SAFETY: the stub was made to be just such a function.
            unsafe { std::mem::transmute::<*const c_void, JSCFunctionData>(stub.as_ptr()) }
        }
        None => fallback::call as JSCFunctionData,
    };
    let parameters = record.declaration.parameters.len();
    let record_at = &raw const *record;
    let address = record_at.expose_provenance() as u64;
    let owner = scope.state.wrap(scope, Native::Function(record))?;
    // SAFETY: the owner has the record, where it was.
    unsafe { (*record_at).owner.set(*owner) };
    if let Some(bound) = target.bound {
        bound.add(record_at);
    }
    let data = [JSValue::plain(scope.host().double, address), owner.into_raw()];
    Ok(Entry { code, data, parameters })
}

/// Binds a function as an object of JavaScript's.
///
/// # Errors
/// As for [`entry`].
pub(crate) fn bind<'a>(scope: Scope<'a>, declaration: Declaration, target: Target<'_>) -> Result<Owned<'a>> {
    let name = scope.string(&declaration.name)?;
    let Entry { code, mut data, parameters } = entry(scope, declaration, target)?;
    let owner = scope.own(data[1])?;
    // SAFETY: the host takes references of its own to the values.
    let function = scope.own(unsafe {
        (scope.host().api.JS_NewCFunctionData)(scope.ctx, code, parameters as c_int, 0, 2, data.as_mut_ptr())
    })?;
    scope.define(*function, c"name", name.into_raw())?;
    scope.define(*function, c"native", owner.into_raw())?;
    let address = crate::convert::to_js::integer_value(scope, target.address.expose_provenance() as i128)?;
    scope.define(*function, c"ptr", address.into_raw())?;
    Ok(function)
}
