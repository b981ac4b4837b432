//! Calls whose arguments are given one by one, by pointers, and callbacks that give them so: how libffi's interface
//! passes values, for those who offer that interface.
//!
//! A call has an array of the addresses of its arguments and the address of its result. An argument is read where its
//! pointer says, with its exact size. Integers narrower than a word come back as words, as libffi's `ffi_arg`; every
//! other result is written with its exact size.
//!
//! A callback's *handler* is a C function that gets the same: [`Handler`]. Who makes it keeps three words, where a
//! [`StateIn`] says: the handler, and what it is given back. On the way is machine code only, or, on the tier without a
//! JIT, the trampolines of `asm/`.
//!
//! ```
//! use std::ffi::c_void;
//! use jitcall::{Engine, Signature, pointers::Interface};
//! extern "C" fn add(a: i8, b: i8) -> i8 {
//!     a + b
//! }
//! let signature = Signature::parse("signed char add(signed char, signed char)")?;
//! let interface = Interface::new(Engine::global(), &signature)?;
//! let (mut a, mut b, mut sum) = (-3i8, 1i8, 0i64);
//! let arguments = [(&raw mut a).cast::<c_void>(), (&raw mut b).cast()];
//! // SAFETY: `add` has that signature, and the pointers are those of its arguments and of a word.
//! unsafe { interface.call(add as *const _, (&raw mut sum).cast(), arguments.as_ptr(), std::ptr::null()) };
//! assert_eq!(sum, -2);
//! # Ok::<(), jitcall::Error>(())
//! ```

pub mod memory;

use std::ffi::c_void;
use std::mem::ManuallyDrop;
use std::ptr::NonNull;

use crate::Slot;
use crate::abi::{Convention, Plan};
use crate::code::entries::{self, Pool};
use crate::code::profile::{EntryName, StubName};
use crate::code::unwind::FrameKind;
use crate::emit::pointers::Blueprint;
use crate::emit::{self, RecordPlace};
use crate::engine::{Engine, Tier};
use crate::error::{Error, Result};
use crate::interface::{CallInterface, Entry as CallEntry};
use crate::trampoline::{call as trampoline, entry::pointers_entry};
use crate::types::signature::Signature;
use crate::types::{Arch, Type, layout};
use crate::value::SlotBuffer;

pub use crate::emit::{IN_PLACE_SIZE, in_place_entry};

/// A call stub over pointers. `context` is not looked at; `chain` is what the static chain's register has in the call,
/// where the stub was made for one.
pub type CallFunction = unsafe extern "C-unwind" fn(
    context: *const c_void,
    target: *const c_void,
    result: *mut c_void,
    arguments: *const *mut c_void,
    chain: *const c_void,
);

/// What runs when C calls back: it writes the result, an integer as a word, any other with its own size.
pub type Handler = unsafe extern "C-unwind" fn(
    context: *const c_void,
    result: *mut c_void,
    arguments: *mut *mut c_void,
    user: *mut c_void,
);

/// Where the entry of a callback finds the words of its handler.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum StateIn {
    /// At the address that the [`Entry`] was told: context, handler, user.
    Record,
    /// Where [`in_place_entry`] says: context, handler, user.
    Place,
    /// At the address in the static chain's register, r10 or x18: a word that is not looked at, context, handler; the
    /// address itself is what the handler gets as user.
    Chain,
}

/// Where the context of a handler has the address of its [`Interface`], in bytes: on the tier without a JIT it is looked
/// for there. `ffi_cif` has eight bytes for its makers there.
pub const CONTEXT_INTERFACE: usize = 24;

/// All that is needed to call functions of one signature, and to be called as one, by pointers.
#[derive(Debug)]
pub struct Interface {
    /// By slots, which calls without a stub of their own go by.
    calls: CallInterface,
    /// The exact size of each argument in bytes.
    sizes: Box<[u32]>,
    /// Of an integer result that is written as a word: whether it is signed.
    word: Option<bool>,
    signature: Signature,
}

impl Interface {
    /// That of a signature. No code is made yet.
    ///
    /// # Errors
    /// As for [`Engine::prepare`].
    pub fn new(engine: &Engine, signature: &Signature) -> Result<Interface> {
        let plan = engine.plan(signature)?;
        let (sizes, word) = (sizes(signature, Arch::HOST)?, word(signature, Arch::HOST));
        let calls = CallInterface::new(engine.clone(), plan, CallEntry::Trampoline);
        Ok(Interface { calls, sizes, word, signature: signature.clone() })
    }

    /// Where everything goes.
    pub fn plan(&self) -> &Plan {
        self.calls.plan()
    }

    /// Bytes that a result takes which the caller makes room for: those of a word at least.
    pub fn result_room(&self) -> usize {
        self.plan().result.size.max(8)
    }

    /// The call stub, with a parameter for the static chain or without; `None` where calls go by [`Interface::call`]: on
    /// the tier without a JIT, and for types that no load or store has the size of.
    ///
    /// The stub lives as long as the engine. There is none, too, where there is no room or no memory for it.
    pub fn call_stub(&self, chain: bool) -> Option<CallFunction> {
        let blueprint = self.blueprint();
        if !blueprint.has_call_stub() {
            return None;
        }
        let (shape, name) = (blueprint.call_shape(chain), StubName(&self.signature));
        let emit = |code: &mut Vec<u8>| emit::pointers_call_into(&blueprint, chain, code);
        let entry = self.calls.engine().stub(&shape, FrameKind::Framed, &name, emit).ok()?;
        // SAFETY: that is the type of what was emitted.
        Some(unsafe { std::mem::transmute::<*const c_void, CallFunction>(entry) })
    }

    /// Calls a function without a stub: by a plan.
    ///
    /// # Safety
    /// `target` is a function of this signature that may be called now. `arguments` has the address of each argument, and
    /// `result` that of room for the result ([`Interface::result_room`]), which may be anything where there is none.
    pub unsafe fn call(
        &self,
        target: *const c_void,
        result: *mut c_void,
        arguments: *const *mut c_void,
        chain: *const c_void,
    ) {
        let plan = self.plan();
        let mut slots = SlotBuffer::new(plan.slots);
        for (index, (offset, size)) in plan.slot_offsets.iter().zip(&self.sizes).enumerate() {
            let (offset, size) = (*offset as usize, *size as usize);
            let place = slots.bytes_mut(offset, size);
            // SAFETY: the caller gives the addresses of as many bytes.
            unsafe { (*arguments.add(index)).cast::<u8>().copy_to_nonoverlapping(place.as_mut_ptr().cast(), size) };
        }
        let context = trampoline::Context::with_chain(target, plan, chain);
        let mut call = |result: *mut u8| {
            // SAFETY: the context is the trampoline's, and lives until the call has returned.
            unsafe { self.calls.invoke(trampoline::STUB, (&raw const context).cast(), slots.as_mut_ptr(), result) };
        };
        match self.word {
            Some(signed) => {
                let mut word = 0u64;
                call((&raw mut word).cast());
                // SAFETY: said by the caller.
                unsafe { result.cast::<u64>().write_unaligned(extended(word, plan.result.size, signed)) };
            }
            None => call(result.cast()),
        }
    }

    /// The entry of callbacks whose state is found so: code that C does not call itself, but by way of an [`Entry`], of
    /// [`in_place_entry`], or with the static chain set.
    ///
    /// It lives as long as the engine. Where no code can be made, callbacks go by a plan.
    pub fn entry(&self, state: StateIn) -> *const c_void {
        let blueprint = self.blueprint();
        let (shape, name) = (blueprint.entry_shape(state), EntryName(&self.signature));
        let emit = |code: &mut Vec<u8>| emit::pointers_entry_into(&blueprint, state, code);
        let entry = self.calls.engine().stub(&shape, FrameKind::Framed, &name, emit);
        entry.unwrap_or_else(|_| pointers_entry(state, self.plan()))
    }

    fn blueprint(&self) -> Blueprint<'_> {
        Blueprint { plan: self.plan(), sizes: &self.sizes, word: self.word }
    }

    /// Runs a handler for the trampolines: `slots` holds the arguments, `result` has room for the result.
    ///
    /// # Safety
    /// The words are those of a handler of this signature.
    pub(crate) unsafe fn run(&self, words: HandlerWords, slots: *mut Slot, result: *mut c_void) {
        let mut table = SlotBuffer::new(self.sizes.len());
        let arguments: *mut *mut c_void = table.as_mut_ptr().cast();
        for (index, offset) in self.plan().slot_offsets.iter().enumerate() {
            // SAFETY: the table has a slot for each argument, and the plan's offsets lie within the slots.
            unsafe { arguments.add(index).write(slots.byte_add(*offset as usize).cast()) };
        }
        // SAFETY: said by the caller.
        unsafe { (words.handler)(words.context, result, arguments, words.user) };
    }
}

/// The exact size of each argument in bytes.
fn sizes(signature: &Signature, arch: Arch) -> Result<Box<[u32]>> {
    let size = |ty: &Type| layout::of(ty, arch).map(|layout| layout.size as u32);
    signature.parameters().iter().map(|parameter| size(&parameter.ty)).collect()
}

/// Of an integer result that is written as a word: whether it is signed.
fn word(signature: &Signature, arch: Arch) -> Option<bool> {
    match signature.result() {
        Type::Bool => Some(false),
        ty => ty.as_integer().filter(|integer| integer.size() < 8).map(|integer| integer.is_signed(arch)),
    }
}

/// The machine code of the call stub of a signature in a convention, for either architecture on any host.
///
/// # Errors
/// [`Error::Unsupported`] where there is no stub.
pub fn call_stub_code(signature: &Signature, convention: Convention, chain: bool) -> Result<Vec<u8>> {
    code(signature, convention, |blueprint, code| match blueprint.has_call_stub() {
        true => emit::pointers_call_into(blueprint, chain, code),
        false => Err(Error::unsupported(format!("a stub over pointers for {signature}"))),
    })
}

/// The machine code of the entry of a signature's callbacks; as for [`call_stub_code`].
///
/// # Errors
/// [`Error::Unsupported`] where the convention cannot pass a type.
pub fn entry_code(signature: &Signature, convention: Convention, state: StateIn) -> Result<Vec<u8>> {
    code(signature, convention, |blueprint, code| emit::pointers_entry_into(blueprint, state, code))
}

/// What is emitted by the blueprint of a signature.
fn code(
    signature: &Signature,
    convention: Convention,
    emit: impl FnOnce(&Blueprint<'_>, &mut Vec<u8>) -> Result<()>,
) -> Result<Vec<u8>> {
    let (plan, sizes) = (Plan::new(signature, convention)?, sizes(signature, convention.arch())?);
    let blueprint = Blueprint { plan: &plan, sizes: &sizes, word: word(signature, convention.arch()) };
    let mut code = Vec::with_capacity(128);
    emit(&blueprint, &mut code)?;
    Ok(code)
}

/// What an entry reads of the state.
#[derive(Clone, Copy)]
pub(crate) struct HandlerWords {
    pub(crate) context: *const c_void,
    pub(crate) handler: Handler,
    pub(crate) user: *mut c_void,
}

impl HandlerWords {
    /// Those at that address.
    ///
    /// # Safety
    /// There is such a state.
    pub(crate) unsafe fn read(state: *const c_void, place: StateIn) -> HandlerWords {
        let words = place.words();
        // SAFETY: said by the caller.
        unsafe {
            HandlerWords {
                context: state.byte_add(words.context as usize).cast::<*const c_void>().read(),
                handler: state.byte_add(words.function as usize).cast::<Handler>().read(),
                user: match words.user {
                    Some(user) => state.byte_add(user as usize).cast::<*mut c_void>().read(),
                    None => state.cast_mut(),
                },
            }
        }
    }

    /// The interface that the context names.
    ///
    /// # Safety
    /// It names one, as [`CONTEXT_INTERFACE`] says.
    pub(crate) unsafe fn interface(&self) -> &Interface {
        // SAFETY: said by the caller.
        unsafe { &*self.context.byte_add(CONTEXT_INTERFACE).cast::<*const Interface>().read() }
    }
}

/// The low bytes of a word, extended to all of it.
fn extended(word: u64, bytes: usize, signed: bool) -> u64 {
    let shift = 64 - 8 * bytes as u32;
    let high = word << shift;
    if signed { (high.cast_signed() >> shift).cast_unsigned() } else { high >> shift }
}

/// What C is given the address of as a function: an entry, which goes on where it is told to. Until then, and after it is
/// freed, a call is noted as a failure and gives zero.
#[derive(Debug)]
pub struct Entry {
    entry: entries::Entry,
}

impl Entry {
    /// One that nobody has.
    ///
    /// # Errors
    /// [`Error::CodeMemory`] where the system refuses memory, [`Error::ClosureLimit`] on the tier without a JIT, where
    /// there are 1,024 in a process.
    pub fn new(engine: &Engine) -> Result<Entry> {
        let linked = || Pool::Linked.take_idle();
        let entry = match engine.tier() {
            Tier::Asm => linked()?,
            Tier::Jit => match Pool::Mapped(RecordPlace::Scratch).take_idle() {
                Err(Error::CodeMemory { .. }) if engine.is_automatic() => linked()?,
                entry => entry?,
            },
        };
        Ok(Entry { entry })
    }

    /// What C calls.
    pub fn address(&self) -> *const c_void {
        self.entry.address()
    }

    /// Has calls go on at `code` with that state.
    ///
    /// # Safety
    /// `code` is from [`Interface::entry`] for [`StateIn::Record`], and the state's words are there as long as C calls.
    pub unsafe fn lead_to(&self, code: *const c_void, state: *const c_void) {
        self.entry.lead_to(code, state);
    }

    /// Gives the entry away as a word.
    pub fn into_raw(self) -> NonNull<c_void> {
        self.entry.into_raw()
    }

    /// Takes it back.
    ///
    /// # Safety
    /// The word is from [`Entry::into_raw`], and was not taken back before.
    pub unsafe fn from_raw(word: NonNull<c_void>) -> Entry {
        // SAFETY: said by the caller.
        Entry { entry: unsafe { entries::Entry::from_raw(word) } }
    }

    /// The entry that C was given that address of, if it is one; it stays its owner's.
    ///
    /// # Safety
    /// There are [`ENTRY_SIZE`](emit::ENTRY_SIZE) bytes to be read. Where it is an entry, that is not freed meanwhile.
    pub unsafe fn at(address: *const c_void) -> Option<ManuallyDrop<Entry>> {
        // SAFETY: said by the caller; what is taken over is not dropped.
        let entry = unsafe { entries::Entry::at(address) }?;
        Some(ManuallyDrop::new(Entry { entry: ManuallyDrop::into_inner(entry) }))
    }
}

/// Has instructions that were just written be seen where they are fetched.
///
/// # Safety
/// The memory is there, at both addresses.
pub unsafe fn publish_code(writable: *const u8, executable: *const u8, size: usize) {
    // SAFETY: said by the caller.
    unsafe { crate::code::icache::publish(writable, executable, size) };
}
