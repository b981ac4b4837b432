//! q functions as C function pointers.
//!
//! C may keep a function pointer for ever, so callbacks are kept for the process, or until `.ffi.free`; one for each
//! function and letters. They run on q's main thread alone.

mod run;

use std::cell::RefCell;
use std::collections::HashMap;
use std::ffi::c_void;

use jitcall::closure::Policy;
use jitcall::{Closure, Engine, Signature, Type};

use crate::error::{Fault, Result};
use crate::host::{K, Object, kind};
use crate::letters::{self, Letter, Meaning};
use crate::thread::{self, Thread};
use run::Run;

/// What tells callbacks apart: the address of the function's object, which the callback keeps alive, and how C calls it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Key {
    function: *mut Object,
    parameters: Vec<Letter>,
    result: Letter,
    queued: bool,
}

/// All callbacks that there are. A function pointer is gone when its closure is dropped.
#[derive(Default)]
pub(crate) struct Callbacks(RefCell<HashMap<Key, Closure<'static>>>);

/// What a list says of a callback.
pub(crate) struct Description<'a> {
    function: K<'a>,
    parameters: Vec<Letter>,
    result: Letter,
    queued: bool,
}

impl<'a> Description<'a> {
    /// Reads `(function; argument letters; result letter)`; without a result letter it is `void`, and a fourth element
    /// `` `queued `` has other threads wait for q's main loop.
    ///
    /// # Errors
    /// `'type` where the list is none of these.
    pub(crate) fn read(list: K<'a>) -> Result<Description<'a>> {
        let (function, parameters, rest) = match list.items() {
            [function, parameters, rest @ ..] if rest.len() <= 2 => (*function, *parameters, rest),
            items => return Err(Fault::of_type(format!("{SHAPE}: a list of {}", items.len()))),
        };
        // A function of `dl` may look like a foreign object.
        if function.t() < kind::LAMBDA || function.is_null() {
            return Err(Fault::of_type(format!("{SHAPE}: the function is {}h", function.t())));
        }
        let about = |fault: Fault| fault.at("callback");
        let (parameters, fixed) = letters::parameter_letters(parameters).map_err(about)?;
        if fixed != parameters.len() {
            return Err(Fault::of_type("callback: its arguments cannot be variadic"));
        }
        let result = rest.first().map_or(Ok(Letter::VOID), |letter| letters::result_letter(*letter).map_err(about))?;
        let queued = match rest.get(1) {
            None => false,
            Some(word) if word.t() == -kind::SYMBOL && word.symbol() == c"queued" => true,
            Some(word) => {
                return Err(Fault::of_type(format!("callback: the fourth element is `queued: {}h", word.t())));
            }
        };
        Ok(Description { function, parameters, result, queued })
    }

    fn key(&self) -> Key {
        let (parameters, result) = (self.parameters.clone(), self.result);
        Key { function: self.function.as_ptr(), parameters, result, queued: self.queued }
    }
}

/// How a callback is written.
const SHAPE: &str = "a callback is (function; argument letters; result letter)";

/// The function pointer for a list that describes a callback.
///
/// # Errors
/// `'type` where it does not, `'os` on another thread than q's main one, `'limit` where the engine has no entry left.
pub(crate) fn pointer(thread: &Thread, list: K<'_>) -> Result<u64> {
    let description = Description::read(list)?;
    let callbacks = &thread.main()?.callbacks;
    Ok(callbacks.get_or_make(&description)?.expose_provenance() as u64)
}

impl Callbacks {
    /// # Errors
    /// As for [`pointer`].
    pub(crate) fn get_or_make(&self, description: &Description<'_>) -> Result<*const c_void> {
        let key = description.key();
        if let Some(closure) = self.0.borrow().get(&key) {
            return Ok(closure.as_ptr());
        }
        let closure = make(description)?;
        let address = closure.as_ptr();
        self.0.borrow_mut().insert(key, closure);
        Ok(address)
    }

    /// Frees a callback: the one at an address. Says whether there was one.
    pub(crate) fn free_at(&self, address: *const c_void) -> bool {
        let key = self.0.borrow().iter().find(|(_, closure)| closure.as_ptr() == address).map(|(key, _)| key.clone());
        // The function may be freed with it, and run what comes here again: nothing is borrowed then.
        let freed = key.and_then(|key| self.0.borrow_mut().remove(&key));
        freed.is_some()
    }

    /// Frees the callback of a description. Says whether there was one.
    pub(crate) fn free(&self, description: &Description<'_>) -> bool {
        let freed = self.0.borrow_mut().remove(&description.key());
        freed.is_some()
    }
}

/// C's signature. A `void` function returns 0 all the same: q's own main loop, for one, takes what callbacks return for an
/// object.
fn signature(description: &Description<'_>) -> Result<Signature> {
    let result = match description.result.meaning() {
        Meaning::Void => Type::I64,
        _ => description.result.c_type(),
    };
    Ok(Signature::new(result, description.parameters.iter().map(|letter| letter.c_type()))?)
}

/// A callback: run by the main loop where other threads call it, or refused there.
fn make(description: &Description<'_>) -> Result<Closure<'static>> {
    let interface = Engine::global().prepare_callback(&signature(description)?)?;
    let interface = if description.queued {
        crate::queue::begin()?;
        interface.with_policy(Policy::HandOver)
    } else {
        interface.with_refusal(thread::refuse)
    };
    let run = Run::new(description.function, &description.parameters, description.result)?;
    Ok(interface.slots(move |arguments, outcome| run.call(arguments, outcome))?)
}
