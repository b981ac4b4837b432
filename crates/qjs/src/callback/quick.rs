//! Runs of callbacks whose arguments and results are numbers: nothing is allocated, and all that a run needs is in one
//! place, close together. What turns out to be other than a number goes the long way, which means the same.

use std::ffi::c_int;
use std::mem::MaybeUninit;
use std::rc::Rc;
use std::sync::atomic::{AtomicU32, Ordering};

use jitcall::closure::{Arguments, Outcome};

use super::Run;
use crate::convert::scalar::Scalar;
use crate::host::{Host, JSContext, JSValue, tag};
use crate::types::ScriptType;

/// The host's `JS_Call`.
type CallFunction = unsafe extern "C" fn(*mut JSContext, JSValue, JSValue, c_int, *mut JSValue) -> JSValue;

/// How many arguments are numbers at most.
const FEW: usize = 8;

/// What the closure of a callback has. A closure does not outlive its callback but for the run that ends that, during which
/// the state keeps the function.
pub(super) struct Quick {
    /// Whether a callback has failed: a word of the state.
    failed: *const AtomicU32,
    /// Where the home thread has its errno.
    errno: *mut c_int,
    ctx: *mut JSContext,
    js_call: CallFunction,
    function: JSValue,
    host: &'static Host,
    /// How many arguments there are; none of the quick ways is to be gone where that is `None`.
    count: Option<c_int>,
    /// `None` for `void`.
    result: Option<Scalar>,
    parameters: [Scalar; FEW],
    offsets: [u32; FEW],
    /// The long way.
    run: Rc<Run>,
}

impl Quick {
    pub(super) fn new(run: &Rc<Run>) -> Quick {
        let (state, host) = (&run.state, run.state.host);
        let mut quick = Quick {
            failed: &raw const state.bridge.failed,
            // SAFETY: it takes nothing. A callback runs on the thread that makes it.
            errno: unsafe { libc::__errno_location() },
            ctx: state.ctx,
            js_call: host.api.JS_Call,
            function: run.function.get(),
            host,
            count: None,
            result: None,
            parameters: [Scalar::I32; FEW],
            offsets: [0; FEW],
            run: Rc::clone(run),
        };
        quick.count = quick.describe(&run.parameters, &run.offsets, &run.result);
        quick
    }

    /// Writes down how arguments and result are converted; `None` where they are not all numbers, or too many.
    fn describe(&mut self, parameters: &[ScriptType], offsets: &[u32], result: &ScriptType) -> Option<c_int> {
        let count = parameters.len();
        for (scalar, ty) in self.parameters.get_mut(..count)?.iter_mut().zip(parameters) {
            *scalar = Scalar::of(ty)?;
        }
        self.offsets[..count].copy_from_slice(offsets);
        self.result = if result.ty.is_void() { None } else { Some(Scalar::of(result)?) };
        Some(count as c_int)
    }

    /// Runs the function, on the home thread.
    #[inline(always)]
    pub(super) fn call(&self, arguments: Arguments<'_>, mut outcome: Outcome<'_>) {
        // SAFETY: the state lives as long as the run does.
        if unsafe { (*self.failed).load(Ordering::Relaxed) } != 0 {
            // What comes after a failure follows from it, and who called into C has yet to learn of it.
            self.run.write_zero(&mut outcome);
            return;
        }
        // The function's own errno is not C's business, nor the other way round.
        // SAFETY: this is the thread on which the callback was made.
        let before = unsafe { *self.errno };
        let mut values = [const { MaybeUninit::uninit() }; FEW];
        match self.count {
            Some(count) if self.read(count, arguments, &mut values) => {
                self.run.state.run_callback(|| self.run(count, &mut values, outcome));
            }
            _ => self.run.call(arguments, outcome),
        }
        // SAFETY: as above.
        unsafe { *self.errno = before };
    }

    /// Reads the arguments; says whether all are numbers.
    #[inline(always)]
    fn read(&self, count: c_int, arguments: Arguments<'_>, values: &mut [MaybeUninit<JSValue>; FEW]) -> bool {
        let start = arguments.as_ptr().cast::<u8>();
        (0..(count as usize).min(FEW)).all(|index| {
            // SAFETY: an argument of that type is at that offset.
            unsafe {
                let at = start.add(self.offsets[index] as usize);
                self.parameters[index].read(self.host, at, &mut values[index])
            }
        })
    }

    /// Nothing here is an `Owned` or in a `Result`: values that are moved about in memory cost more than the rest.
    #[inline(always)]
    fn run(&self, count: c_int, values: &mut [MaybeUninit<JSValue>; FEW], mut outcome: Outcome<'_>) {
        // SAFETY: as many values were read; the result is held until it is written, for which the outcome has room.
        unsafe {
            let values = values.as_mut_ptr().cast();
            let result = (self.js_call)(self.ctx, self.function, JSValue::UNDEFINED, count, values);
            let is_written = !result.is(tag::EXCEPTION)
                && match self.result {
                    None => true,
                    Some(scalar) => scalar.write(self.host, result, outcome.as_mut_ptr()),
                };
            if !is_written {
                self.run.finish(result, &mut outcome);
            } else if result.counted().is_some() {
                self.host.free(self.ctx, result);
            }
        }
    }
}
