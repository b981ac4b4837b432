//! What a prepared `ffi_cif` refers to: one object for each signature that the process has prepared, which stays for as
//! long as the process does.
//!
//! Objects are found by what describes their signature, without a lock and without an allocation: some clients prepare a
//! signature anew for each call. They stand in lists that only grow, so a reader sees whole objects, and a child that was
//! forked at any moment finds them as they are.

use std::ffi::c_void;
use std::hash::Hasher;
use std::ptr;
use std::sync::atomic::{AtomicPtr, Ordering};

use jitcall::pointers::{CallFunction, Interface, StateIn};
use jitcall::{Engine, Signature};
use rustc_hash::FxHasher;

use crate::{FFI_BAD_TYPEDEF, Result};

/// All that calls and closures of a signature need.
#[derive(Debug)]
#[repr(C)]
pub struct Prepared {
    /// First: the engine finds it by the address of the whole.
    pub(crate) interface: Interface,
    /// What `ffi_call` jumps to, and `ffi_call_go`: at first, what makes it.
    calls: [AtomicPtr<c_void>; 2],
    /// The entries of closures, by the place of their state; null until they are asked for.
    entries: [AtomicPtr<c_void>; 3],
    key: Box<[u64]>,
    hash: u64,
    next: *const Prepared,
}

// SAFETY: the pointers are to code and to other such objects, all of which stay; what changes is atomic.
unsafe impl Sync for Prepared {}

/// How many lists there are.
const LISTS: usize = 1024;

static PREPARED: [AtomicPtr<Prepared>; LISTS] = [const { AtomicPtr::new(ptr::null_mut()) }; LISTS];

impl Prepared {
    /// That of the signature that `key` describes; `signature` tells it where it is new.
    ///
    /// # Errors
    /// Those of `signature`; [`FFI_BAD_TYPEDEF`] where it cannot be called on this machine.
    pub(crate) fn find_or_make(key: &Key, signature: impl FnOnce() -> Result<Signature>) -> Result<&'static Prepared> {
        let hash = key.hash();
        let list = &PREPARED[(hash % LISTS as u64) as usize];
        let first = list.load(Ordering::Acquire);
        if let Some(found) = Prepared::find(first, key, hash) {
            return Ok(found);
        }
        let interface = Interface::new(Engine::global(), &signature()?).map_err(|_| FFI_BAD_TYPEDEF)?;
        let new = Box::leak(Box::new(Prepared {
            interface,
            calls: [first_call::<false>, first_call::<true>]
                .map(|first: CallFunction| AtomicPtr::new(first as *mut c_void)),
            entries: [const { AtomicPtr::new(ptr::null_mut()) }; 3],
            key: key.words().into(),
            hash,
            next: first,
        }));
        // Another thread may have come first, with the same or another one.
        while let Err(now) = list.compare_exchange(new.next.cast_mut(), new, Ordering::Release, Ordering::Acquire) {
            if let Some(found) = Prepared::find(now, key, hash) {
                // SAFETY: nobody has seen it.
                drop(unsafe { Box::from_raw(new) });
                return Ok(found);
            }
            new.next = now;
        }
        Ok(new)
    }

    fn find(first: *const Prepared, key: &Key, hash: u64) -> Option<&'static Prepared> {
        let mut at = first;
        // SAFETY: objects in a list stay, and were whole when they were put there.
        while let Some(prepared) = unsafe { at.as_ref() } {
            if prepared.hash == hash && *prepared.key == *key.words() {
                return Some(prepared);
            }
            at = prepared.next;
        }
        None
    }

    /// What calls go through, with a static chain or without: a function of this object, target, result and arguments.
    #[inline(always)]
    pub(crate) fn call<const CHAIN: bool>(&self) -> CallFunction {
        let call = self.calls[usize::from(CHAIN)].load(Ordering::Relaxed);
        // SAFETY: what is stored there are such functions.
        unsafe { std::mem::transmute::<*mut c_void, CallFunction>(call) }
    }

    /// Bytes that it takes, with what describes the signature.
    pub(crate) fn bytes(&self) -> usize {
        size_of::<Prepared>() + size_of_val(&*self.key)
    }

    /// The entry of closures whose state is found so.
    pub(crate) fn entry(&self, state: StateIn) -> *const c_void {
        let place = &self.entries[state as usize];
        let known = place.load(Ordering::Acquire);
        if !known.is_null() {
            return known;
        }
        let entry = self.interface.entry(state);
        place.store(entry.cast_mut(), Ordering::Release);
        entry
    }
}

/// Makes the stub of a signature, keeps it, and calls through it; where there can be none, calls go by a plan.
///
/// # Safety
/// As for [`CallFunction`]; `context` is the address of a [`Prepared`].
unsafe extern "C-unwind" fn first_call<const CHAIN: bool>(
    context: *const c_void,
    target: *const c_void,
    result: *mut c_void,
    arguments: *const *mut c_void,
    chain: *const c_void,
) {
    // SAFETY: said by the caller; such objects stay.
    let prepared: &'static Prepared = unsafe { &*context.cast() };
    let call = prepared.interface.call_stub(CHAIN).unwrap_or(call_by_plan);
    prepared.calls[usize::from(CHAIN)].store(call as *mut c_void, Ordering::Release);
    // SAFETY: said by the caller.
    unsafe { call(context, target, result, arguments, chain) };
}

/// Calls without a stub.
///
/// # Safety
/// As for [`first_call`].
unsafe extern "C-unwind" fn call_by_plan(
    context: *const c_void,
    target: *const c_void,
    result: *mut c_void,
    arguments: *const *mut c_void,
    chain: *const c_void,
) {
    // SAFETY: said by the caller.
    unsafe { (*context.cast::<Prepared>()).interface.call(target, result, arguments, chain) };
}

/// What describes a signature: words, on the stack for all but long ones.
#[derive(Debug)]
pub(crate) struct Key {
    inline: [u64; Key::INLINE],
    length: usize,
    heap: Vec<u64>,
}

impl Key {
    const INLINE: usize = 48;

    pub(crate) fn new() -> Key {
        Key { inline: [0; Key::INLINE], length: 0, heap: Vec::new() }
    }

    /// Adds a word.
    pub(crate) fn push(&mut self, word: u64) {
        if self.length < Key::INLINE {
            self.inline[self.length] = word;
        } else {
            if self.heap.is_empty() {
                self.heap.extend_from_slice(&self.inline);
            }
            self.heap.push(word);
        }
        self.length += 1;
    }

    fn words(&self) -> &[u64] {
        if self.length <= Key::INLINE { &self.inline[..self.length] } else { &self.heap }
    }

    fn hash(&self) -> u64 {
        let mut hasher = FxHasher::default();
        self.words().iter().for_each(|word| hasher.write_u64(*word));
        hasher.finish()
    }
}
