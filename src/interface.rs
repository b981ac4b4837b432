//! Call interfaces: all that is needed to call functions of one signature, whatever their address.

use std::ffi::c_void;
use std::mem;
use std::sync::Arc;

use crate::Slot;
use crate::abi::{Carrier, Plan, Register};
use crate::engine::{Engine, StubFunction, Tier};
use crate::trampoline::call as trampoline;

/// A plan and a stub for one signature; what libffi calls a `cif`. Clones share it.
///
/// ```
/// use jitcall::{Engine, Signature, Slot};
/// extern "C" fn add(a: i32, b: i32) -> i32 {
///     a + b
/// }
/// let interface = Engine::global().prepare(&Signature::parse("int add(int, int)")?)?;
/// let slots = [Slot::from(40), Slot::from(2)];
/// let mut sum = 0i32;
/// // SAFETY: `add` has that signature, and the slots and the result are as it says.
/// unsafe { interface.call(add as *const _, slots.as_ptr(), (&raw mut sum).cast()) };
/// assert_eq!(sum, 42);
/// # Ok::<(), jitcall::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct CallInterface {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    plan: Plan,
    entry: Entry,
    carrier: Carrier,
    /// Keeps the stub alive.
    engine: Engine,
}

/// How a call gets to C.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Entry {
    /// Through a stub that was made for the plan; its context is the target.
    Stub(StubFunction),
    /// Through the trampoline; its context is a [`trampoline::Context`].
    Trampoline,
}

impl CallInterface {
    pub(crate) fn new(engine: Engine, plan: Plan, entry: Entry) -> CallInterface {
        let carrier = plan.result.carrier();
        CallInterface { inner: Arc::new(Inner { plan, entry, carrier, engine }) }
    }

    /// Each argument's distance from the start of the slots, in bytes.
    pub fn slot_offsets(&self) -> &[u32] {
        &self.inner.plan.slot_offsets
    }

    /// How many slots the arguments take.
    pub fn slots(&self) -> usize {
        self.inner.plan.slots
    }

    /// Where everything goes.
    pub fn plan(&self) -> &Plan {
        &self.inner.plan
    }

    /// The tier that calls go through.
    pub fn tier(&self) -> Tier {
        match self.inner.entry {
            Entry::Stub(_) => Tier::Jit,
            Entry::Trampoline => Tier::Asm,
        }
    }

    /// The engine that made it.
    pub fn engine(&self) -> &Engine {
        &self.inner.engine
    }

    /// The code that calls enter, and what it wants to be told of the target.
    pub(crate) fn bind(&self, target: *const c_void) -> Bound {
        match self.inner.entry {
            Entry::Stub(stub) => Bound { stub, context: target, trampoline: None },
            Entry::Trampoline => {
                let context = Box::new(trampoline::Context::new(target, &self.inner.plan));
                Bound { stub: trampoline::STUB, context: (&raw const *context).cast(), trampoline: Some(context) }
            }
        }
    }

    /// Calls a function. The result's bytes, and no more, are written to `result`.
    ///
    /// # Safety
    /// `target` is a function of this signature that may be called now. `arguments` points at [`CallInterface::slots`]
    /// slots that hold the arguments at [`CallInterface::slot_offsets`]; pointers among them are as the function wants
    /// them. `result` points at room for the result, aligned as its type is, or is null where there is none.
    #[inline]
    pub unsafe fn call(&self, target: *const c_void, arguments: *const Slot, result: *mut u8) {
        match self.inner.entry {
            // SAFETY: the caller keeps the promises that `invoke` asks for.
            Entry::Stub(stub) => unsafe { self.invoke(stub, target, arguments, result) },
            Entry::Trampoline => {
                let context = trampoline::Context::new(target, &self.inner.plan);
                // SAFETY: as above; the context lives until the call has returned.
                unsafe { self.invoke(trampoline::STUB, (&raw const context).cast(), arguments, result) }
            }
        }
    }

    /// Calls through `stub`, and moves a result from registers to its buffer.
    ///
    /// # Safety
    /// As for [`CallInterface::call`]; `stub` and `context` are what [`CallInterface::bind`] gave for the target.
    #[inline]
    pub(crate) unsafe fn invoke(
        &self,
        stub: StubFunction,
        context: *const c_void,
        arguments: *const Slot,
        result: *mut u8,
    ) {
        // SAFETY: a stub returns in the registers that its plan's carrier names, and those are the ones that each of
        // these function types returns in; the caller answers for the rest.
        let registers = unsafe {
            match self.inner.carrier {
                Carrier::Buffer | Carrier::None => return stub(arguments, context, result),
                Carrier::Gprs => Registers::gprs(returning::<Gprs>(stub)(arguments, context, result)),
                Carrier::Fprs => Registers::fprs(returning::<Fprs>(stub)(arguments, context, result)),
                Carrier::GprFpr => {
                    let Mixed(gpr, fpr) = returning::<Mixed<u64, f64>>(stub)(arguments, context, result);
                    Registers::mixed(gpr, fpr)
                }
                Carrier::FprGpr => {
                    let Mixed(fpr, gpr) = returning::<Mixed<f64, u64>>(stub)(arguments, context, result);
                    Registers::mixed(gpr, fpr)
                }
            }
        };
        for part in self.inner.plan.result.parts() {
            let bits = registers.read(part.register).to_le_bytes();
            // SAFETY: the part lies within the result, for which the caller has made room.
            unsafe {
                let to = result.add(part.offset.into());
                if part.size == 8 {
                    to.cast::<[u8; 8]>().write_unaligned(bits);
                } else {
                    bits.as_ptr().copy_to_nonoverlapping(to, part.size.into());
                }
            }
        }
    }
}

/// The stub for a function, with what the stub needs to find it.
#[derive(Debug)]
pub(crate) struct Bound {
    pub(crate) stub: StubFunction,
    pub(crate) context: *const c_void,
    /// Owns what `context` points at, on the tier without a JIT.
    #[expect(dead_code, reason = "kept for its address")]
    pub(crate) trampoline: Option<Box<trampoline::Context>>,
}

/// General result registers 0 and 1: rax and rdx, or x0 and x1.
#[repr(C)]
#[derive(Clone, Copy)]
pub(crate) struct Gprs(pub(crate) u64, pub(crate) u64);

/// Vector result registers: xmm0 and xmm1.
#[cfg(target_arch = "x86_64")]
#[repr(C)]
#[derive(Clone, Copy)]
pub(crate) struct Fprs(pub(crate) f64, pub(crate) f64);

/// Vector result registers: v0 to v3.
#[cfg(target_arch = "aarch64")]
#[repr(C)]
#[derive(Clone, Copy)]
pub(crate) struct Fprs(pub(crate) f64, pub(crate) f64, pub(crate) f64, pub(crate) f64);

impl Fprs {
    /// The registers as bits, and zeros.
    #[inline(always)]
    pub(crate) fn to_words(self) -> [u64; 4] {
        Registers::fprs(self).fprs
    }
}

/// One register of each kind, in the order of the parts.
#[repr(C)]
#[derive(Clone, Copy)]
pub(crate) struct Mixed<A, B>(pub(crate) A, pub(crate) B);

/// The result registers after a call, as bits.
struct Registers {
    gprs: [u64; 2],
    fprs: [u64; 4],
}

impl Registers {
    fn gprs(Gprs(first, second): Gprs) -> Registers {
        Registers { gprs: [first, second], fprs: [0; 4] }
    }

    #[cfg(target_arch = "x86_64")]
    fn fprs(Fprs(first, second): Fprs) -> Registers {
        Registers { gprs: [0; 2], fprs: [first.to_bits(), second.to_bits(), 0, 0] }
    }

    #[cfg(target_arch = "aarch64")]
    fn fprs(Fprs(first, second, third, fourth): Fprs) -> Registers {
        Registers { gprs: [0; 2], fprs: [first, second, third, fourth].map(f64::to_bits) }
    }

    fn mixed(gpr: u64, fpr: f64) -> Registers {
        Registers { gprs: [gpr, 0], fprs: [fpr.to_bits(), 0, 0, 0] }
    }

    fn read(&self, register: Register) -> u64 {
        match register {
            Register::Gpr(number) => self.gprs[usize::from(number) % 2],
            Register::Fpr(number) => self.fprs[usize::from(number) % 4],
            // Results in x87 registers are stored by the stub.
            Register::X87(_) => 0,
        }
    }
}

/// The stub as a function that returns `R` in registers, as C returns a value of that type.
///
/// # Safety
/// The stub returns in just those registers.
#[inline(always)]
pub(crate) unsafe fn returning<R>(
    stub: StubFunction,
) -> unsafe extern "C-unwind" fn(*const Slot, *const c_void, *mut u8) -> R {
    // SAFETY: function pointers have one size; the caller vouches for the type.
    unsafe { mem::transmute(stub) }
}
