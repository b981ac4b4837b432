//! The code in front of [`Function::call`](super::Function::call): a bridge stub that reads the atoms of the types that a
//! function's letters stand for, and has q's own constructors make the result.
//!
//! The arguments are parameters of the stub, or items of a list that is one: then the stub looks first whether the list is as
//! long, and ends in `::`.
//!
//! What is not of those types goes to the function's closure, which converts it or says why not. So does everything on other
//! threads than q's main one: the stub keeps errno, and what callbacks have failed with, in words of that thread.

use std::cell::Cell;
use std::ffi::{c_int, c_void};
use std::ptr;

use jitcall::bridge::{Argument, Boxing, Bridge, Case, Guard, Operand, Payload, Place, Record, Spec, TagWidth};
use jitcall::{Engine, Signature, Type};

use super::Function;
use crate::convert::to_q;
use crate::host::api::Code;
use crate::host::object::{ELEMENTS_AT, PAYLOAD_AT, TYPE_AT};
use crate::host::{Object, api, kind};
use crate::letters::{Letter, Letters, Meaning, Scalar};
use crate::thread::{self, Thread};

/// A stub, and what its code reads.
pub(super) struct Stub {
    pub(super) bridge: Bridge,
    _record: Constant,
}

/// A record that code reads by its address: it stays where it is until this is dropped.
struct Constant(*mut Record);

// SAFETY: the record is written before there is code that reads it, and no more.
unsafe impl Send for Constant {}

// SAFETY: as above.
unsafe impl Sync for Constant {}

impl Drop for Constant {
    fn drop(&mut self) {
        // SAFETY: it was a box's, and there is no code that reads it, or none that can be called.
        drop(unsafe { Box::from_raw(self.0) });
    }
}

/// Where the arguments are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Passed {
    /// Each is a parameter.
    OneByOne,
    /// They are the items of a list, behind which comes `::`.
    Listed,
}

impl Passed {
    /// So far from where an argument begins.
    fn place(self, index: usize, offset: u32) -> Place {
        match self {
            Passed::OneByOne => Place::new(index, offset),
            Passed::Listed => Place::through(0, item_at(index), offset),
        }
    }

    /// What says that so many arguments are there.
    fn guards(self, count: usize) -> Vec<Guard> {
        let guard = |place, width, value| Guard { place, width, value };
        if self == Passed::OneByOne {
            return Vec::new();
        }
        let length = count as i32 + 1;
        vec![
            guard(Place::new(0, TYPE_AT), TagWidth::Byte, kind::LIST.into()),
            guard(Place::new(0, PAYLOAD_AT), TagWidth::Int, length),
            guard(Place::new(0, PAYLOAD_AT + 4), TagWidth::Int, 0),
            guard(self.place(count, TYPE_AT), TagWidth::Byte, kind::UNARY.into()),
            // q's other unary primitives have a number of their own.
            guard(self.place(count, PAYLOAD_AT), TagWidth::Byte, 0),
        ]
    }
}

/// Where the pointer to an item of a list is.
fn item_at(index: usize) -> u32 {
    ELEMENTS_AT + 8 * index as u32
}

/// The stub of a function, whose calls that it cannot make go to `fallback`; `None` where the engine makes none: without a
/// JIT, with callbacks or texts among the arguments.
pub(super) fn make(function: &Function, passed: Passed, fallback: Code) -> Option<Stub> {
    let thread = thread::main()?;
    let letters = &function.letters;
    let count = letters.parameters.len();
    let parameters = letters.parameters.iter().enumerate();
    let arguments: Option<Vec<Argument>> =
        parameters.map(|(index, letter)| argument(letters, passed, index, *letter)).collect();
    let target = Cell::new(function.function.target());
    let record = Constant(Box::into_raw(Box::new(Record { target, state: &raw const thread.bridge })));
    let spec = Spec {
        entry: Signature::new(Type::pointer(), vec![Type::pointer(); if passed == Passed::Listed { 1 } else { count }])
            .ok()?,
        guards: passed.guards(count),
        arguments: arguments?,
        record: Operand::Constant(record.0),
        context: None,
        errno: true,
        home: true,
        fallback,
        failed: failed as *const c_void,
        boxing: boxing(letters.result),
    };
    let bridge = Engine::global().bridge(&spec, function.function.signature()).ok()?;
    Some(Stub { bridge, _record: record })
}

/// What emitted code does with an argument; `None` where that is nothing.
fn argument(letters: &Letters, passed: Passed, index: usize, letter: Letter) -> Option<Argument> {
    let case = |t: i8, payload| Case { tag: t.into(), payload };
    let atom = |t: i8, payload| case(-t, payload);
    // Behind the fixed arguments C promotes: a float is a double there.
    let (at, cases) = match letter.meaning() {
        Meaning::Number(Scalar::Real, t) if index < letters.fixed => (PAYLOAD_AT, vec![atom(t, Payload::Float)]),
        Meaning::Number(scalar, t) => (PAYLOAD_AT, atoms(scalar, t)),
        // `::` shares its type with q's other unary primitives, which are no null: the fallback tells them apart.
        Meaning::Size | Meaning::Raw => (PAYLOAD_AT, vec![atom(kind::LONG, Payload::Int64)]),
        Meaning::Symbol => (PAYLOAD_AT, vec![atom(kind::SYMBOL, Payload::Int64)]),
        Meaning::Guid => (ELEMENTS_AT, vec![atom(kind::GUID, Payload::Address)]),
        Meaning::Pointer(to) => (ELEMENTS_AT, vectors(to)?.into_iter().map(|t| case(t, Payload::Address)).collect()),
        Meaning::Callback | Meaning::Void => return None,
    };
    let (tag, payload) = (passed.place(index, TYPE_AT), passed.place(index, at));
    Some(Argument { tag, tag_width: TagWidth::Byte, payload, cases })
}

/// The atoms that a number may be: its own type, q's plain number of the same C type, and longs, which q's literals are,
/// where they fit.
fn atoms(scalar: Scalar, own: i8) -> Vec<Case> {
    let (plain, payload) = match scalar {
        Scalar::Byte => (kind::BYTE, Payload::Byte),
        Scalar::Short => (kind::SHORT, Payload::Int16),
        Scalar::Int => (kind::INT, Payload::Int32),
        Scalar::Long => (kind::LONG, Payload::Int64),
        Scalar::Real => (kind::REAL, Payload::Float),
        Scalar::Float => (kind::FLOAT, Payload::Double),
    };
    let mut cases = vec![Case { tag: (-own).into(), payload }];
    if plain != own {
        cases.push(Case { tag: (-plain).into(), payload });
    }
    if matches!(scalar, Scalar::Int | Scalar::Float) {
        cases.push(Case { tag: (-kind::LONG).into(), payload: Payload::Int64 });
    }
    cases
}

/// The vectors whose elements are of a letter's type; `None` of texts, whose ends are looked at.
fn vectors(to: Letter) -> Option<Vec<i8>> {
    Some(match to.meaning() {
        Meaning::Number(Scalar::Byte, kind::CHAR) | Meaning::Void | Meaning::Pointer(_) => return None,
        Meaning::Number(scalar, own) => {
            let others = (kind::BOOLEAN..=kind::TIME).filter(|t| *t != own && Scalar::of_type(*t) == Some(scalar));
            std::iter::once(own).chain(others).collect()
        }
        Meaning::Size | Meaning::Raw => vec![kind::LONG, kind::TIMESTAMP, kind::TIMESPAN],
        Meaning::Guid => vec![kind::GUID],
        Meaning::Symbol => vec![kind::SYMBOL],
        Meaning::Callback => vec![kind::LIST],
    })
}

/// Which function makes the result: one of q's own where it has one for the type.
fn boxing(letter: Letter) -> Boxing {
    let api = api();
    let constructor = |function: *const c_void| Boxing::Constructor { function, leading: None };
    let function = match letter.meaning() {
        Meaning::Void => nothing as *const c_void,
        Meaning::Number(Scalar::Byte, kind::BOOLEAN) => boolean as *const c_void,
        Meaning::Number(Scalar::Byte, kind::CHAR) => api.kc as *const c_void,
        Meaning::Number(Scalar::Byte, _) => api.kg as *const c_void,
        Meaning::Number(Scalar::Short, _) => api.kh as *const c_void,
        Meaning::Number(Scalar::Int, kind::INT) => api.ki as *const c_void,
        Meaning::Number(Scalar::Int, kind::DATE) => api.kd as *const c_void,
        Meaning::Number(Scalar::Int, kind::TIME) => api.kt as *const c_void,
        Meaning::Number(Scalar::Int, t) | Meaning::Number(Scalar::Long, t @ (kind::TIMESTAMP | kind::TIMESPAN)) => {
            return Boxing::Constructor { function: temporal as *const c_void, leading: Some(t.into()) };
        }
        Meaning::Number(Scalar::Long, _) | Meaning::Size | Meaning::Raw => api.kj as *const c_void,
        Meaning::Number(Scalar::Real, _) => api.ke as *const c_void,
        Meaning::Number(Scalar::Float, kind::DATETIME) => api.kz as *const c_void,
        Meaning::Number(Scalar::Float, _) => api.kf as *const c_void,
        Meaning::Guid => guid as *const c_void,
        Meaning::Symbol => symbol as *const c_void,
        Meaning::Callback => given as *const c_void,
        Meaning::Pointer(to) => {
            let leading = Some(to.letter().into());
            return Boxing::Constructor { function: pointed as *const c_void, leading };
        }
    };
    constructor(function)
}

extern "C-unwind" fn nothing() -> *mut Object {
    ptr::null_mut()
}

extern "C-unwind" fn boolean(bits: u64) -> *mut Object {
    to_q::atom(Scalar::Byte, kind::BOOLEAN, bits)
}

/// A temporal value for which not every host has a function of its own.
extern "C-unwind" fn temporal(t: c_int, bits: u64) -> *mut Object {
    let t = t as i8;
    Scalar::of_type(t).map_or(ptr::null_mut(), |scalar| to_q::atom(scalar, t, bits))
}

/// # Safety
/// Called by a stub with a result of C's; the same holds for those below.
unsafe extern "C-unwind" fn guid(bytes: *const u8) -> *mut Object {
    // SAFETY: who declared the function answers for it.
    unsafe { to_q::guid(bytes) }
}

/// # Safety
/// As for [`guid`].
unsafe extern "C-unwind" fn symbol(text: *const u8) -> *mut Object {
    // SAFETY: as above.
    unsafe { to_q::symbol(text) }
}

extern "C-unwind" fn given(value: *mut Object) -> *mut Object {
    value
}

/// # Safety
/// As for [`guid`].
unsafe extern "C-unwind" fn pointed(letter: c_int, address: *const u8) -> *mut Object {
    let letter = Letter::new(letter as u8);
    // SAFETY: as above.
    let value = letter.and_then(|letter| unsafe { to_q::pointed(letter, address) });
    value.unwrap_or_else(|fault| fault.signal())
}

/// Signals what a callback below the call has failed with.
extern "C-unwind" fn failed(_: *const c_void, _: *const Record) -> *mut Object {
    thread::with(Thread::take_failure).map_or(ptr::null_mut(), |fault| fault.signal())
}
