//! A host's values straight into C: machine code that a *host* calls as one of its own native functions.
//!
//! A host is whatever runs programs over tagged values, such as an interpreter. Its native functions have one C
//! signature, the [`Spec::entry`]; their arguments are values in memory, each with a *tag* that says what it is and a
//! *payload*. A bridge stub has that signature. It compares the tags, loads payloads into the registers and stack words
//! where a C function wants its arguments, calls it, makes a host value of the result, and returns. Where an argument is
//! not of a kind that it knows, or does not fit the C type, it jumps to the [`Spec::fallback`] with all parameters as they
//! came.
//!
//! The engine knows no host: a [`Spec`] describes one. Tags and addresses are constants in the stub's code; the function
//! to be called is not. It is in a [`Record`], which the stub finds through one of its parameters. So functions of equal
//! parameters and result share a stub. Where native functions are told nothing of themselves, each needs code of its own:
//! then the record's address is a constant too ([`Operand::Constant`]).
//!
//! # Arguments
//!
//! Each argument has [`Case`]s: tags, and what the payload is then. The first is the likeliest; its way through the stub
//! has no jump that is taken. How a payload becomes an argument of which C type, and when it does not:
//!
//! | payload | `_Bool` | integers up to 32 bits | `long` | `unsigned long`, pointers | `float` | `double` |
//! |---|---|---|---|---|---|---|
//! | [`Int32`](Payload::Int32) | 0 and 1 | in range | all | from 0 up | where exact | all |
//! | [`Double`](Payload::Double) | 0 and 1 | integral, in range | integral, up to ±2^53 | integral, 0 to 2^53 | rounded | all |
//! | [`Bool`](Payload::Bool) | all | all | all | all, but no pointer | - | - |
//! | [`Null`](Payload::Null) | - | - | 0 | 0 | - | - |
//! | [`Int64`](Payload::Int64) | 0 and 1 | in range | all | all, as bits | - | up to ±2^53 |
//! | [`Byte`](Payload::Byte) | 0 and 1 | in range | all | all, but no pointer | all | all |
//! | [`Int16`](Payload::Int16) | 0 and 1 | in range | all | from 0 up, but no pointer | all | all |
//! | [`Float`](Payload::Float) | - | - | - | - | all | all |
//! | [`Address`](Payload::Address) | - | - | where it is | where it is | - | - |
//!
//! What is not so goes to the fallback, NaN for an integer included; -0.0 is 0. A case with a `-` is an error when the
//! stub is made. Enumerations are the integers that they are made of.
//!
//! # Results
//!
//! [`Boxing`] says how a host value is made of the result: in the stub, as a payload and a tag in two registers, or by a
//! function of the host, which knows context and record or is a plain constructor. The result may be `void`, `_Bool`, an
//! integer or an enumeration of up to 64 bits, a pointer, `float` or `double`; a function of the host can also be given what
//! else comes back in one register.
//!
//! # Example
//!
//! A host whose native functions are `value f(void *context, int count, value *arguments, record *self)`:
//!
//! ```
//! use std::cell::Cell;
//! use std::ffi::c_void;
//!
//! use jitcall::bridge::{Argument, Boxing, Case, Operand, Payload, Place, Record, Spec, State, TagWidth, Tags};
//! use jitcall::{Declarations, Engine, Signature, Tier};
//!
//! #[repr(C)]
//! #[derive(Clone, Copy, Debug, PartialEq)]
//! struct Value {
//!     payload: u64,
//!     tag: i64,
//! }
//! const INT: i32 = 0;
//! const DOUBLE: i32 = 7;
//! const UNDEFINED: i32 = 3;
//!
//! type Native = unsafe extern "C" fn(*mut c_void, i32, *const Value, *const Record) -> Value;
//! extern "C" fn fallback(_: *mut c_void, _: i32, _: *const Value, _: *const Record) -> Value {
//!     Value { payload: 0, tag: UNDEFINED.into() }
//! }
//! extern "C" fn failed(_: *mut c_void, _: *const Record) -> Value {
//!     Value { payload: 0, tag: UNDEFINED.into() }
//! }
//! extern "C" fn wide(_: *mut c_void, _: *const Record, bits: u64) -> Value {
//!     Value { payload: (bits as f64).to_bits(), tag: DOUBLE.into() }
//! }
//!
//! let spec = Spec {
//!     entry: Signature::parse(
//!         "struct value { unsigned long payload; long tag; };
//!          struct value native(void *context, int count, const struct value *arguments, void *self)",
//!     )?,
//!     guards: vec![],
//!     arguments: vec![Argument {
//!         tag: Place::new(2, 8),
//!         tag_width: TagWidth::Int,
//!         payload: Place::new(2, 0),
//!         cases: vec![
//!             Case { tag: INT, payload: Payload::Int32 },
//!             Case { tag: DOUBLE, payload: Payload::Double },
//!         ],
//!     }],
//!     // The parameter itself points at the record: no word in memory has to be read.
//!     record: Operand::Parameter(3),
//!     context: Some(0),
//!     errno: false,
//!     home: false,
//!     fallback: fallback as *const c_void,
//!     failed: failed as *const c_void,
//!     boxing: Boxing::Tagged(Tags {
//!         int: INT,
//!         double: DOUBLE,
//!         bool: 1,
//!         undefined: UNDEFINED,
//!         null: None,
//!         wide: wide as *const c_void,
//!     }),
//! };
//!
//! extern "C" fn negate(number: i32) -> i32 {
//!     -number
//! }
//! let engine = Engine::builder().tier(Tier::Jit).build()?;
//! let bridge = engine.bridge(&spec, &Signature::parse("int negate(int)")?)?;
//! // SAFETY: a bridge stub has the signature of the entry.
//! let native: Native = unsafe { std::mem::transmute(bridge.as_ptr()) };
//!
//! let state = State::default();
//! let record = Record { target: Cell::new(negate as *const c_void), state: &raw const state };
//! let call = |argument: Value| unsafe { native(std::ptr::null_mut(), 1, &raw const argument, &raw const record) };
//! let negated = Value { payload: u64::from((-42_i32) as u32), tag: INT.into() };
//! assert_eq!(call(Value { payload: 42, tag: INT.into() }), negated);
//! assert_eq!(call(Value { payload: 42.0_f64.to_bits(), tag: DOUBLE.into() }), negated);
//! let half = call(Value { payload: 0.5_f64.to_bits(), tag: DOUBLE.into() });
//! assert_eq!(half.tag, UNDEFINED.into(), "what the fallback returns");
//! # Ok::<(), jitcall::Error>(())
//! ```

use std::cell::Cell;
use std::ffi::c_void;
use std::fmt;
use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::AtomicU32;

use crate::closure::thread_pointer;
use crate::emit;
use crate::emit::bridge::Blueprint;
use crate::engine::Engine;
use crate::types::signature::Signature;

/// What a bridge stub is made from: a host, and how it passes the arguments of one function.
#[derive(Clone, Debug)]
pub struct Spec {
    /// The host's C signature of native functions, which the stub has. No parameter may be passed in a floating-point
    /// register, and the result is one that comes back in registers.
    pub entry: Signature,
    /// What the stub looks at first.
    pub guards: Vec<Guard>,
    /// One for each parameter of the callee.
    pub arguments: Vec<Argument>,
    /// Where the stub finds the address of its [`Record`].
    pub record: Operand,
    /// The parameter of `entry` that is handed on to `failed` and to the functions in `boxing`; without it they are given
    /// null. A stub that has neither this nor a record to keep keeps nothing in its frame.
    pub context: Option<usize>,
    /// Whether the thread's `errno` is [`State::errno`] while the callee runs.
    pub errno: bool,
    /// Whether calls on other threads than [`State::home`] go to the fallback: then nothing of the state is read or written
    /// but there. Calls are counted in [`State::calls`] then.
    pub home: bool,
    /// A function of the entry's signature, for arguments that the stub does not know.
    pub fallback: *const c_void,
    /// `value failed(context, const Record *)`: returns for the stub where [`State::failed`] is not 0 after the call.
    pub failed: *const c_void,
    /// How the result becomes a host value.
    pub boxing: Boxing,
}

/// Words in memory: `offset` bytes from where a pointer points. That is a parameter of the entry's signature, or lies in
/// memory itself, `through` bytes from where the parameter points. Offsets are multiples of what is read there, and less
/// than 1 MiB.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Place {
    /// The parameter's number, from 0.
    pub parameter: usize,
    /// In bytes; `None` where the parameter is the pointer.
    pub through: Option<u32>,
    /// In bytes.
    pub offset: u32,
}

impl Place {
    /// What is so far from where a parameter points.
    pub const fn new(parameter: usize, offset: u32) -> Place {
        Place { parameter, through: None, offset }
    }

    /// What is so far from where a pointer points that lies `through` bytes from where a parameter points.
    pub const fn through(parameter: usize, through: u32, offset: u32) -> Place {
        Place { parameter, through: Some(through), offset }
    }
}

/// What has to be in memory for a stub to go on; else the call goes to the fallback, before anything else is read.
///
/// A host that passes several values in a list of its own has its kind and length looked at this way. Guards are followed
/// in their order, so one can see to it that the next may read what it reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Guard {
    /// Where.
    pub place: Place,
    /// How much of it is compared.
    pub width: TagWidth,
    /// With what.
    pub value: i32,
}

/// Where a stub finds a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Operand {
    /// In memory.
    Memory(Place),
    /// A parameter of the entry's signature is the word.
    Parameter(usize),
    /// The word is known: the record's address becomes a part of the code, and of what the stub is shared by.
    ///
    /// Whoever calls the stub owes that the record is still there: it lives as long as the host can call the stub. The stub
    /// itself is not freed before its engine is; a specification with a later record at the same address has it again.
    Constant(*const Record),
}

/// How much of a tag is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TagWidth {
    /// One byte; tags are from -128 to 127.
    Byte,
    /// Four bytes.
    Int,
}

/// Where a host value lies, and what it may be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Argument {
    /// Where its tag is.
    pub tag: Place,
    /// How wide that is.
    pub tag_width: TagWidth,
    /// Where its payload is.
    pub payload: Place,
    /// What it may be, the likeliest first; at least one.
    pub cases: Vec<Case>,
}

/// A kind of host value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Case {
    /// What the tag is.
    pub tag: i32,
    /// And what the payload is then.
    pub payload: Payload,
}

/// What a payload is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Payload {
    /// Four bytes: a signed integer.
    Int32,
    /// Eight bytes: a double.
    Double,
    /// Four bytes: 0 or 1.
    Bool,
    /// Nothing is read: a null pointer.
    Null,
    /// Eight bytes: an integer, signed or unsigned as the parameter is; for a floating parameter, signed.
    Int64,
    /// One byte: an unsigned integer.
    Byte,
    /// Two bytes: a signed integer.
    Int16,
    /// Four bytes: a float.
    Float,
    /// Nothing is read: the argument is the payload's own address.
    Address,
}

/// How the result becomes a host value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Boxing {
    /// A payload and a tag, which the entry's signature returns in the two general result registers, in that order.
    Tagged(Tags),
    /// What a function of the host returns: `value finish(context, const Record *, unsigned long bits)`, where `bits` is
    /// the result, extended as its type says (0 for `void`); for floating results
    /// `value finish(context, const Record *, double)`. A struct that comes back in one register is given as it is there.
    Call(*const c_void),
    /// What a function of the host returns that knows nothing but the result: `value function(result)`, or
    /// `value function(int, result)`, whose first argument is `leading`. The result is extended to `long` or
    /// `unsigned long` as its type says, or is a `double`; of `void` there is none. A struct that comes back in one register
    /// is given as it is there.
    Constructor {
        /// The function, which returns for the stub.
        function: *const c_void,
        /// A number that it is given first, such as the type of value that it is to make.
        leading: Option<i32>,
    },
}

/// The tags of a host that has a payload and a tag in two registers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Tags {
    /// Of integers that fit 32 bits, signed; the payload's upper half is 0.
    pub int: i32,
    /// Of doubles: `float` and `double`, and integers and addresses that do not fit `int`, up to 2^53 either way.
    pub double: i32,
    /// Of `_Bool`, whose payload is 0 or 1.
    pub bool: i32,
    /// Of what `void` functions return, with a payload of 0.
    pub undefined: i32,
    /// Of null pointers, with a payload of 0; without it they are integers.
    pub null: Option<i32>,
    /// `value wide(context, const Record *, unsigned long bits)` makes the host value of an integer or address beyond 2^53.
    pub wide: *const c_void,
}

/// What a bridge stub reads of the function that it calls.
///
/// It stays where it is as long as the host can call the stub with it.
#[repr(C)]
#[derive(Debug)]
pub struct Record {
    /// The C function. While it is null, all calls go to the fallback.
    pub target: Cell<*const c_void>,
    /// What the functions of a host share.
    pub state: *const State,
}

/// What the functions of a host share.
#[repr(C)]
#[derive(Debug, Default)]
pub struct State {
    /// `errno` as the callee finds it and leaves it, where [`Spec::errno`] asks for that.
    pub errno: Cell<i32>,
    /// Not 0 where a callback that ran below the call has failed: then the result is not looked at, and
    /// [`Spec::failed`] returns for the stub.
    ///
    /// [`signal_failures`](crate::closure::signal_failures) has the engine set it.
    pub failed: AtomicU32,
    /// The thread pointer of the only thread that calls C through stubs with [`Spec::home`]; 0 is that of none.
    pub home: Cell<usize>,
    /// How many calls of stubs with [`Spec::home`] are on their way: a callback can tell by it whether anything is there
    /// to report its failure. What unwinds through a stub leaves its call counted.
    pub calls: Cell<u32>,
}

impl State {
    /// A state whose home is the thread that runs. A thread that is started after this one has ended may have its thread
    /// pointer, and is then taken for it.
    pub fn for_this_thread() -> State {
        State { home: Cell::new(thread_pointer()), ..State::default() }
    }
}

/// A bridge stub. It can be called as long as this lives, or anything else of its engine.
#[derive(Clone)]
pub struct Bridge {
    entry: NonNull<u8>,
    blueprint: Arc<Blueprint>,
    /// Keeps the stub alive.
    engine: Engine,
}

// SAFETY: machine code is never changed, and the engine is shared anyway.
unsafe impl Send for Bridge {}

// SAFETY: as above.
unsafe impl Sync for Bridge {}

impl Bridge {
    /// The stub of a blueprint, at its entry in the engine's memory.
    pub(crate) fn new(engine: Engine, entry: NonNull<u8>, blueprint: Blueprint) -> Bridge {
        Bridge { entry, blueprint: Arc::new(blueprint), engine }
    }

    /// The stub: a C function of the entry's signature, to be given to the host. It may be called with arguments as the
    /// specification says, a [`Record`] whose target has the callee's signature and may be called with them, and a context
    /// that the host's functions accept.
    pub fn as_ptr(&self) -> *const c_void {
        self.entry.as_ptr().cast()
    }

    /// Its machine code, to be looked at: how long it is is found out by making it once more.
    pub fn code(&self) -> &[u8] {
        let mut again = Vec::new();
        let length = emit::bridge_stub_into(&self.blueprint, &mut again).map_or(0, |()| again.len());
        // SAFETY: the same blueprint makes the same code, so that many bytes are there; nothing changes them while the
        // engine lives.
        unsafe { std::slice::from_raw_parts(self.entry.as_ptr(), length) }
    }

    /// The engine that made it.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }
}

impl fmt::Debug for Bridge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bridge").field("entry", &self.as_ptr()).finish_non_exhaustive()
    }
}
