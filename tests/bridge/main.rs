//! Bridge stubs: what becomes of a host's values on their way to C, and of C's results on their way back.
//!
//! The host has the values and the native functions of QuickJS: a payload and a tag in two registers, and a pointer to
//! the arguments. What the stubs do with it is compared with a reference that is written in plain Rust.
//! `atoms` has a host like q.

#[path = "../support/mod.rs"]
mod support;

mod atoms;

use std::cell::Cell;
use std::ffi::c_void;
use std::sync::atomic::Ordering;
use std::{mem, panic, ptr};

use jitcall::bridge::{Argument, Boxing, Bridge, Case, Operand, Payload, Place, Record, Spec, State, TagWidth, Tags};
use jitcall::{Arch, Engine, Errno, Error, Library, Signature, Tier, Type};
use quickcheck::{Arbitrary, Gen};
use support::compile::{Compiler, Folder};

#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Value {
    payload: u64,
    tag: i64,
}

const INT: i32 = 0;
const BOOL: i32 = 1;
const NULL: i32 = 2;
const UNDEFINED: i32 = 3;
const BIG: i32 = 7;
const DOUBLE: i32 = 8;
const BYTE: i32 = 9;
const SHORT: i32 = -5005;
const FLOAT: i32 = 5006;
const ADDRESS: i32 = -1;

const ENTRY: &str = "struct value { unsigned long payload; long tag; }; struct value native(void *context, \
                     struct value this, int count, struct value *arguments, int magic, struct value *data)";

type Native = unsafe extern "C-unwind" fn(*mut c_void, Value, i32, *const Value, i32, *const Value) -> Value;

/// What the stub is called with, beside its arguments.
const CONTEXT: *mut c_void = ptr::without_provenance_mut(0x1234_5678_9abc);
const THIS: Value = Value { payload: 0x1111_2222_3333_4444, tag: -1 };
const MAGIC: i32 = 77;

/// What the functions of the host return, so that it can be told which was called.
const FELL_BACK: Value = Value { payload: 1, tag: 1001 };
const FAILED: Value = Value { payload: 2, tag: 1002 };
const WIDE_TAG: i64 = 1003;
const FINISHED_TAG: i64 = 1004;
const FINISHED_DOUBLE_TAG: i64 = 1005;

/// What a native function is given, addresses as numbers.
type Parameters = (usize, Value, i32, usize, i32, usize);

thread_local! {
    /// What the callee was given, and what it returns.
    static SEEN: Cell<u64> = const { Cell::new(0) };
    static RESULT: Cell<u64> = const { Cell::new(0) };
    /// The parameters that the fallback was given.
    static FALLBACK: Cell<Option<Parameters>> = const { Cell::new(None) };
    static RECORD: Cell<usize> = const { Cell::new(0) };
}

extern "C-unwind" fn fallback(
    context: *mut c_void,
    this: Value,
    count: i32,
    arguments: *const Value,
    magic: i32,
    data: *const Value,
) -> Value {
    FALLBACK.set(Some((context.addr(), this, count, arguments.addr(), magic, data.addr())));
    FELL_BACK
}

extern "C-unwind" fn failed(context: *mut c_void, record: *const Record) -> Value {
    assert_eq!((context, record.addr()), (CONTEXT, RECORD.get()));
    FAILED
}

extern "C-unwind" fn wide(context: *mut c_void, record: *const Record, bits: u64) -> Value {
    assert_eq!((context, record.addr()), (CONTEXT, RECORD.get()));
    Value { payload: bits, tag: WIDE_TAG }
}

extern "C-unwind" fn finish(context: *mut c_void, record: *const Record, bits: u64) -> Value {
    assert_eq!((context, record.addr()), (CONTEXT, RECORD.get()));
    Value { payload: bits, tag: FINISHED_TAG }
}

extern "C-unwind" fn finish_double(context: *mut c_void, record: *const Record, number: f64) -> Value {
    assert_eq!((context, record.addr()), (CONTEXT, RECORD.get()));
    Value { payload: number.to_bits(), tag: FINISHED_DOUBLE_TAG }
}

fn tag(payload: Payload) -> i32 {
    match payload {
        Payload::Int32 => INT,
        Payload::Bool => BOOL,
        Payload::Null => NULL,
        Payload::Int64 => BIG,
        Payload::Double => DOUBLE,
        Payload::Byte => BYTE,
        Payload::Int16 => SHORT,
        Payload::Float => FLOAT,
        Payload::Address => ADDRESS,
    }
}

fn tags(null: Option<i32>) -> Boxing {
    let wide = wide as *const c_void;
    Boxing::Tagged(Tags { int: INT, double: DOUBLE, bool: BOOL, undefined: UNDEFINED, null, wide })
}

fn spec(arguments: &[Vec<Payload>], boxing: Boxing) -> Spec {
    let argument = |(index, payloads): (usize, &Vec<Payload>)| Argument {
        tag: Place::new(3, 16 * index as u32 + 8),
        tag_width: TagWidth::Int,
        payload: Place::new(3, 16 * index as u32),
        cases: payloads.iter().map(|payload| Case { tag: tag(*payload), payload: *payload }).collect(),
    };
    Spec {
        entry: Signature::parse(ENTRY).unwrap(),
        guards: vec![],
        arguments: arguments.iter().enumerate().map(argument).collect(),
        record: Operand::Memory(Place::new(5, 0)),
        context: Some(0),
        errno: true,
        home: false,
        fallback: fallback as *const c_void,
        failed: failed as *const c_void,
        boxing,
    }
}

fn engine() -> Engine {
    Engine::builder().tier(Tier::Jit).build().unwrap()
}

/// A native function of the host, and what it calls.
struct Function {
    bridge: Bridge,
    state: State,
    target: *const c_void,
}

impl Function {
    fn new(engine: &Engine, spec: &Spec, callee: &Signature, target: *const c_void) -> Function {
        let bridge = engine.bridge(spec, callee).unwrap_or_else(|error| panic!("{callee}: {error}"));
        Function { bridge, state: State::default(), target }
    }

    /// Calls it; where it went to the fallback, that was given what the stub was given.
    fn call(&self, arguments: &[Value]) -> Value {
        let record = Record { target: Cell::new(self.target), state: &raw const self.state };
        RECORD.set((&raw const record).addr());
        let data = [Value { payload: (&raw const record).addr() as u64, tag: -99 }];
        FALLBACK.set(None);
        // SAFETY: the stub has this signature; its target takes what the tests say.
        let native: Native = unsafe { mem::transmute(self.bridge.as_ptr()) };
        let count = arguments.len() as i32;
        // SAFETY: as above.
        let value = unsafe { native(CONTEXT, THIS, count, arguments.as_ptr(), MAGIC, data.as_ptr()) };
        let given = (CONTEXT.addr(), THIS, count, arguments.as_ptr().addr(), MAGIC, data.as_ptr().addr());
        assert_eq!(FALLBACK.take(), (value == FELL_BACK).then_some(given));
        value
    }
}

/// The C types that can be passed, and how wide they are.
const TYPES: [&str; 16] = [
    "_Bool",
    "char",
    "signed char",
    "unsigned char",
    "short",
    "unsigned short",
    "int",
    "unsigned int",
    "long",
    "unsigned long",
    "long long",
    "unsigned long long",
    "void *",
    "float",
    "double",
    "enum { FIRST, SECOND }",
];

/// What the reference knows of a C type.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    Bool,
    /// Lowest and highest value.
    Integer(i128, i128),
    Pointer,
    Float,
    Double,
}

fn kind(ty: &Type) -> Kind {
    match ty {
        Type::Bool => Kind::Bool,
        Type::Pointer(_) => Kind::Pointer,
        Type::Float(float) if float.size() == 4 => Kind::Float,
        Type::Float(_) => Kind::Double,
        other => {
            let integer = other.as_integer().unwrap();
            let bits = 8 * integer.size();
            if integer.is_signed(Arch::HOST) {
                Kind::Integer(-(1 << (bits - 1)), (1 << (bits - 1)) - 1)
            } else {
                Kind::Integer(0, (1 << bits) - 1)
            }
        }
    }
}

fn is_defined(kind: Kind, payload: Payload) -> bool {
    match payload {
        Payload::Int32 | Payload::Double => true,
        Payload::Bool => matches!(kind, Kind::Bool | Kind::Integer(..)),
        Payload::Byte | Payload::Int16 => kind != Kind::Pointer,
        Payload::Null | Payload::Address => {
            kind == Kind::Pointer || matches!(kind, Kind::Integer(_, high) if high > u32::MAX.into())
        }
        Payload::Int64 => kind != Kind::Float,
        Payload::Float => matches!(kind, Kind::Float | Kind::Double),
    }
}

/// The argument that a payload becomes, as 64 bits: integers extended, a float's bits in the lower half. `None` is the
/// fallback.
fn reference(payload: Payload, bits: u64, kind: Kind) -> Option<u64> {
    let (low, high) = match kind {
        Kind::Bool => (0, 1),
        Kind::Integer(low, high) => (low, high),
        Kind::Pointer => (0, u64::MAX.into()),
        Kind::Float | Kind::Double => (0, 0),
    };
    let in_range = |value: i128| (low <= value && value <= high).then_some(value as u64);
    let (int, double) = (bits as u32 as i32, f64::from_bits(bits));
    let (byte, short, long, float) = (bits as u8, bits as u16 as i16, bits as i64, f32::from_bits(bits as u32));
    match (payload, kind) {
        (Payload::Null, _) => Some(0),
        // The tests have it hold its own address.
        (Payload::Address, _) => Some(bits),
        (Payload::Byte, Kind::Double) => Some(f64::from(byte).to_bits()),
        (Payload::Byte, Kind::Float) => Some(f32::from(byte).to_bits().into()),
        (Payload::Byte, _) => in_range(byte.into()),
        (Payload::Int16, Kind::Double) => Some(f64::from(short).to_bits()),
        (Payload::Int16, Kind::Float) => Some(f32::from(short).to_bits().into()),
        (Payload::Int16, _) => in_range(short.into()),
        (Payload::Float, Kind::Double) => Some(f64::from(float).to_bits()),
        (Payload::Float, _) => Some(float.to_bits().into()),
        (Payload::Int64, Kind::Double) => (long.unsigned_abs() <= 1 << 53).then(|| (long as f64).to_bits()),
        (Payload::Double, Kind::Double) => Some(bits),
        (Payload::Double, Kind::Float) => Some((double as f32).to_bits().into()),
        (Payload::Int32, Kind::Double) => Some(f64::from(int).to_bits()),
        (Payload::Int32, Kind::Float) => (i64::from(int) == (int as f32) as i64).then(|| (int as f32).to_bits().into()),
        (Payload::Double, _) => {
            let exact = double.fract() == 0.0 && double.abs() <= 9_007_199_254_740_992.0;
            exact.then_some(double as i128).and_then(in_range)
        }
        (Payload::Int32 | Payload::Bool, _) => in_range(int.into()),
        // As bits where the type is as wide.
        (Payload::Int64, _) if high == u64::MAX.into() => Some(bits),
        (Payload::Int64, _) => in_range(long.into()),
    }
}

const PAYLOADS: [Payload; 9] = [
    Payload::Int32,
    Payload::Double,
    Payload::Bool,
    Payload::Null,
    Payload::Int64,
    Payload::Byte,
    Payload::Int16,
    Payload::Float,
    Payload::Address,
];

/// Payloads at the edges of what fits.
fn edges(payload: Payload) -> Vec<u64> {
    let powers = [7, 8, 15, 16, 24, 31, 32, 53, 54, 62, 63];
    let integers: Vec<i64> = powers
        .iter()
        .flat_map(|power| {
            let power = 1_i64.wrapping_shl(*power);
            [-1, 0, 1].into_iter().flat_map(move |by| [power.wrapping_add(by), power.wrapping_neg().wrapping_add(by)])
        })
        .chain([0, 1, 2, -1, -2, 100, 1_000_000_007])
        .collect();
    match payload {
        Payload::Bool => vec![0, 1],
        Payload::Null => vec![0, 5],
        Payload::Address => vec![0],
        Payload::Byte => (0..=255).map(|byte| byte | 0xdead_beef_dead_be00).collect(),
        Payload::Int16 => integers.iter().map(|integer| u64::from(*integer as u16) | 0xdead_beef_dead_0000).collect(),
        Payload::Float => {
            let others = [0.5, -0.0, 1e30, 1e-42, f32::NAN, f32::INFINITY, f32::NEG_INFINITY, f32::MIN_POSITIVE];
            let floats = integers.iter().map(|integer| *integer as f32).chain(others);
            floats.map(|float| u64::from(float.to_bits()) | 0xdead_beef << 32).collect()
        }
        Payload::Int64 => integers.iter().map(|integer| *integer as u64).collect(),
        // What is above the payload of an integer is nobody's.
        Payload::Int32 => integers.iter().map(|integer| u64::from(*integer as u32) | 0xdead_beef << 32).collect(),
        Payload::Double => {
            let fractions = [0.5, -0.5, -0.0, 1e300, -1e300, 1e-300, 0.1, 255.5, 18_446_744_073_709_551_616.0];
            let others = [f64::NAN, -f64::NAN, f64::INFINITY, f64::NEG_INFINITY, f64::MIN_POSITIVE, f64::MAX];
            let integers = integers.iter().map(|integer| *integer as f64);
            integers.chain(fractions).chain(others).map(f64::to_bits).collect()
        }
    }
}

extern "C" fn see_word(word: u64) -> u64 {
    SEEN.set(word);
    RESULT.get()
}

/// For types of up to four bytes: narrower ones are extended to as many.
extern "C" fn see_int(word: u32) -> u64 {
    SEEN.set(word.into());
    RESULT.get()
}

extern "C" fn see_float(number: f32) -> u64 {
    SEEN.set(number.to_bits().into());
    RESULT.get()
}

extern "C" fn see_double(number: f64) -> u64 {
    SEEN.set(number.to_bits());
    RESULT.get()
}

/// A function that sees an argument of that type, and what of it is compared.
fn seer(kind: Kind) -> (*const c_void, u64) {
    match kind {
        Kind::Float => (see_float as *const c_void, u64::MAX),
        Kind::Double => (see_double as *const c_void, u64::MAX),
        Kind::Pointer => (see_word as *const c_void, u64::MAX),
        Kind::Integer(_, high) if high > u32::MAX.into() => (see_word as *const c_void, u64::MAX),
        Kind::Bool | Kind::Integer(..) => (see_int as *const c_void, u32::MAX.into()),
    }
}

/// Every payload as an argument of every type: as the only case, and as each of all that are defined.
#[test]
fn payloads_become_arguments_or_go_to_the_fallback() {
    let engine = engine();
    let mut passed = 0;
    for ty in TYPES.map(|ty| Type::parse(ty).unwrap()) {
        let (kind, callee) = (kind(&ty), Signature::new(Type::Void, [ty.clone()]).unwrap());
        let (target, mask) = seer(kind);
        let defined: Vec<Payload> = PAYLOADS.into_iter().filter(|payload| is_defined(kind, *payload)).collect();
        let rotated = (0..defined.len()).map(|by| {
            let mut cases = defined.clone();
            cases.rotate_left(by);
            cases
        });
        let alone = defined.iter().map(|payload| vec![*payload]);
        for cases in rotated.chain(alone) {
            let function = Function::new(&engine, &spec(std::slice::from_ref(&cases), tags(None)), &callee, target);
            for payload in PAYLOADS {
                for bits in edges(payload) {
                    let mut values = [Value { payload: bits, tag: tag(payload).into() }];
                    let bits = point_at_themselves(&mut values)[0].payload;
                    let expected = if cases.contains(&payload) { reference(payload, bits, kind) } else { None };
                    SEEN.set(0x5555_5555_5555_5555);
                    let value = function.call(&values);
                    let found = (value != FELL_BACK).then(|| SEEN.get());
                    let same = match (found, expected) {
                        (Some(found), Some(expected)) if kind == Kind::Float || kind == Kind::Double => {
                            found == expected || is_nan(kind, found) && is_nan(kind, expected)
                        }
                        (found, expected) => found == expected.map(|bits| bits & mask),
                    };
                    assert!(same, "{payload:?} {bits:#x} of {cases:?} as {ty}: {found:x?}, expected {expected:x?}");
                    if expected.is_some() {
                        assert_eq!(value, Value { payload: 0, tag: UNDEFINED.into() });
                        passed += 1;
                    }
                }
            }
        }
    }
    assert!(passed > 1000, "{passed}");
}

/// Has payloads that are taken for their addresses hold them.
fn point_at_themselves(values: &mut [Value]) -> &[Value] {
    for value in values.iter_mut().filter(|value| value.tag == ADDRESS.into()) {
        value.payload = ptr::from_ref(value).addr() as u64;
    }
    values
}

fn is_nan(kind: Kind, bits: u64) -> bool {
    if kind == Kind::Float { f32::from_bits(bits as u32).is_nan() } else { f64::from_bits(bits).is_nan() }
}

#[test]
fn cases_that_make_no_sense_are_refused() {
    let engine = engine();
    for ty in TYPES.map(|ty| Type::parse(ty).unwrap()) {
        let callee = Signature::new(Type::Void, [ty.clone()]).unwrap();
        for payload in PAYLOADS {
            let made = engine.bridge(&spec(&[vec![payload]], tags(None)), &callee);
            assert_eq!(made.is_ok(), is_defined(kind(&ty), payload), "{payload:?} as {ty}");
            assert!(made.is_ok() || matches!(made, Err(Error::Unsupported { .. })));
        }
    }
}

/// What a result becomes: a pointer of 0 is null where there is such a tag.
fn boxed(kind: Kind, bits: u64, null: bool) -> Value {
    let int = |value: i128| Value { payload: u64::from(value as i32 as u32), tag: INT.into() };
    let double = |number: f64| Value { payload: number.to_bits(), tag: DOUBLE.into() };
    let integer = match kind {
        Kind::Bool => return Value { payload: bits & 1, tag: BOOL.into() },
        Kind::Float => return double(f32::from_bits(bits as u32).into()),
        Kind::Double => return double(f64::from_bits(bits)),
        Kind::Pointer if bits == 0 && null => return Value { payload: 0, tag: NULL.into() },
        Kind::Pointer => i128::from(bits),
        Kind::Integer(low, high) => truncated(bits, low, high),
    };
    if i32::try_from(integer).is_ok() {
        int(integer)
    } else if integer.unsigned_abs() <= 1 << 53 {
        double(integer as f64)
    } else {
        Value { payload: integer as u64, tag: WIDE_TAG }
    }
}

/// The value of the low bits that make an integer of a type.
fn truncated(bits: u64, low: i128, high: i128) -> i128 {
    let value = i128::from(bits) & (high - low);
    if value > high { value - (high - low + 1) } else { value }
}

extern "C" fn give_float() -> f32 {
    f32::from_bits(RESULT.get() as u32)
}

extern "C" fn give_double() -> f64 {
    f64::from_bits(RESULT.get())
}

/// Whatever is above a result in its register.
extern "C" fn give_word() -> u64 {
    RESULT.get()
}

fn giver(kind: Kind) -> *const c_void {
    match kind {
        Kind::Float => give_float as *const c_void,
        Kind::Double => give_double as *const c_void,
        _ => give_word as *const c_void,
    }
}

fn results(kind: Kind) -> Vec<u64> {
    match kind {
        // C's _Bool is 0 or 1 in its byte.
        Kind::Bool => [0, 1].iter().map(|bit| bit | 0xdead_beef_dead_be00).collect(),
        Kind::Float => [0.0, -1.5, 3.25e38].iter().map(|number: &f32| number.to_bits().into()).collect(),
        Kind::Double => [0.0, -1.5, 1e300, 2.0].iter().map(|number: &f64| number.to_bits()).collect(),
        _ => edges(Payload::Int64).into_iter().chain(edges(Payload::Int32)).collect(),
    }
}

#[test]
fn results_become_values() {
    let engine = engine();
    for ty in TYPES.map(|ty| Type::parse(ty).unwrap()) {
        let kind = kind(&ty);
        let callee = Signature::new(ty.clone(), []).unwrap();
        for null in [None, Some(NULL)] {
            let function = Function::new(&engine, &spec(&[], tags(null)), &callee, giver(kind));
            for bits in results(kind) {
                RESULT.set(bits);
                assert_eq!(function.call(&[]), boxed(kind, bits, null.is_some()), "{bits:#x} as {ty}");
            }
        }
    }
}

#[test]
fn functions_of_the_host_make_values() {
    let engine = engine();
    for ty in TYPES.map(|ty| Type::parse(ty).unwrap()) {
        let kind = kind(&ty);
        let callee = Signature::new(ty.clone(), []).unwrap();
        let floating = matches!(kind, Kind::Float | Kind::Double);
        let finish = if floating { finish_double as *const c_void } else { finish as *const c_void };
        let function = Function::new(&engine, &spec(&[], Boxing::Call(finish)), &callee, giver(kind));
        for bits in results(kind) {
            RESULT.set(bits);
            let payload = match kind {
                Kind::Bool => bits & 1,
                Kind::Float => f64::from(f32::from_bits(bits as u32)).to_bits(),
                Kind::Double | Kind::Pointer => bits,
                Kind::Integer(low, high) => truncated(bits, low, high) as u64,
            };
            let tag = if floating { FINISHED_DOUBLE_TAG } else { FINISHED_TAG };
            assert_eq!(function.call(&[]), Value { payload, tag }, "{bits:#x} as {ty}");
        }
    }
    let nothing = Signature::parse("void nothing(void)").unwrap();
    let called =
        Function::new(&engine, &spec(&[], Boxing::Call(finish as *const c_void)), &nothing, giver(Kind::Pointer));
    assert_eq!(called.call(&[]), Value { payload: 0, tag: FINISHED_TAG });
    let pair = Signature::parse("struct pair { int a, b; }; struct pair pair(void)").unwrap();
    let called = Function::new(&engine, &spec(&[], Boxing::Call(finish as *const c_void)), &pair, giver(Kind::Pointer));
    RESULT.set(0x1234_5678_9abc_def0);
    assert_eq!(called.call(&[]), Value { payload: 0x1234_5678_9abc_def0, tag: FINISHED_TAG });
}

#[test]
fn errno_is_the_hosts_while_the_callee_runs() {
    extern "C" fn swap(errno: i32) -> i32 {
        let before = Errno::get().0;
        Errno(errno).set();
        before
    }
    let engine = engine();
    let callee = Signature::parse("int swap(int)").unwrap();
    let make = |errno| {
        let mut spec = spec(&[vec![Payload::Int32, Payload::Double]], tags(None));
        spec.errno = errno;
        Function::new(&engine, &spec, &callee, swap as *const c_void)
    };
    let function = make(true);
    function.state.errno.set(7);
    let int = |value: u64| Value { payload: value, tag: INT.into() };
    assert_eq!(function.call(&[int(22)]), int(7));
    assert_eq!(function.state.errno.get(), 22);
    let double = Value { payload: 33.0_f64.to_bits(), tag: DOUBLE.into() };
    assert_eq!(function.call(&[double]), int(22));
    assert_eq!(function.state.errno.get(), 33);
    // On other threads it is as far from the thread pointer.
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let function = make(true);
            assert_eq!(function.call(&[int(44)]), int(0));
            assert_eq!(function.state.errno.get(), 44);
        });
    });
    let function = make(false);
    Errno(5).set();
    assert_eq!(function.call(&[int(6)]), int(5));
    assert_eq!((function.state.errno.get(), Errno::get()), (0, Errno(6)));
}

#[test]
fn failures_below_the_call_are_the_hosts() {
    thread_local! {
        static STATE: Cell<*const State> = const { Cell::new(ptr::null()) };
    }
    extern "C" fn fail(failed: i32) -> i32 {
        // SAFETY: the test keeps the state.
        unsafe { (*STATE.get()).failed.store(failed as u32, Ordering::Relaxed) };
        1
    }
    let callee = Signature::parse("int fail(int)").unwrap();
    let spec = spec(&[vec![Payload::Int32]], tags(None));
    let function = Function::new(&engine(), &spec, &callee, fail as *const c_void);
    STATE.set(&raw const function.state);
    let int = |value: u64| Value { payload: value, tag: INT.into() };
    assert_eq!(function.call(&[int(0)]), int(1));
    assert_eq!(function.call(&[int(1 << 31)]), FAILED);
    assert_eq!(function.call(&[int(0)]), int(1));
}

#[test]
fn without_a_target_all_calls_go_to_the_fallback() {
    let callee = Signature::parse("int f(int)").unwrap();
    let function = Function::new(&engine(), &spec(&[vec![Payload::Int32]], tags(None)), &callee, ptr::null());
    assert_eq!(function.call(&[Value { payload: 1, tag: INT.into() }]), FELL_BACK);
}

#[test]
fn panics_pass_through_stubs() {
    extern "C-unwind" fn throw(number: i32) -> i32 {
        panic::resume_unwind(Box::new(number))
    }
    let callee = Signature::parse("int throw(int)").unwrap();
    let function =
        Function::new(&engine(), &spec(&[vec![Payload::Int32]], tags(None)), &callee, throw as *const c_void);
    let caught = panic::catch_unwind(panic::AssertUnwindSafe(|| {
        function.call(&[Value { payload: 42, tag: INT.into() }]);
    }));
    assert_eq!(caught.unwrap_err().downcast_ref(), Some(&42));
}

#[test]
fn stubs_are_shared_by_shape() {
    let engine = engine();
    let make = |declaration: &str, payload| {
        let callee = Signature::parse(declaration).unwrap();
        engine.bridge(&spec(&[vec![payload]], tags(None)), &callee).unwrap().as_ptr()
    };
    let abs = make("int abs(int)", Payload::Int32);
    assert_eq!(abs, make("int other(int)", Payload::Int32));
    for (declaration, payload) in [
        ("int abs(unsigned)", Payload::Int32),
        ("unsigned abs(int)", Payload::Int32),
        ("int abs(int)", Payload::Double),
        ("int abs(long)", Payload::Int32),
    ] {
        assert_ne!(abs, make(declaration, payload), "{declaration}");
    }
    assert_eq!(make("void *id(void *)", Payload::Null), make("char *id(const int *)", Payload::Null));
    assert_eq!(engine.statistics().stubs, 6);
}

#[test]
fn code_is_what_runs() {
    let callee = Signature::parse("int abs(int)").unwrap();
    let bridge = engine().bridge(&spec(&[vec![Payload::Int32]], tags(None)), &callee).unwrap();
    assert!((32..400).contains(&bridge.code().len()));
    let pad: &[u8] = if cfg!(target_arch = "x86_64") { &[0xf3, 0x0f, 0x1e, 0xfa] } else { &[0x5f, 0x24, 0x03, 0xd5] };
    assert!(bridge.code().starts_with(pad));
}

#[test]
fn what_no_stub_can_be_made_of_is_an_error() {
    let engine = engine();
    let refused = |spec: &Spec, declaration: &str| {
        let made = engine.bridge(spec, &Signature::parse(declaration).unwrap());
        let Err(Error::Unsupported { message }) = made else { panic!("{declaration}: {made:?}") };
        message
    };
    let one = spec(&[vec![Payload::Int32]], tags(None));
    for declaration in [
        "int f(void)",
        "int f(int, int)",
        "int f(long double)",
        "int f(__int128)",
        "int f(struct s { int a; })",
        "__int128 f(int)",
        "long double f(int)",
        "double _Complex f(int)",
        "struct pair { int a, b; }; struct pair f(int)",
    ] {
        refused(&one, declaration);
    }
    let with = |change: &dyn Fn(&mut Spec)| {
        let mut changed = one.clone();
        change(&mut changed);
        refused(&changed, "int f(int)")
    };
    with(&|spec| spec.entry = Signature::parse("double f(void *, long, int, void *, int, void *)").unwrap());
    with(&|spec| spec.entry = Signature::parse("long f(double, long, int, void *, int, void *)").unwrap());
    with(&|spec| spec.entry = Signature::parse("long f(void *, long, int, void *, int, void *)").unwrap());
    with(&|spec| spec.record = Operand::Parameter(2));
    with(&|spec| spec.record = Operand::Memory(Place::new(5, 4)));
    with(&|spec| spec.context = Some(6));
    with(&|spec| spec.context = Some(1));
    with(&|spec| spec.arguments[0].cases.clear());
    with(&|spec| spec.arguments[0].tag.offset = 9);
    with(&|spec| spec.arguments[0].payload.offset = 1 << 20);
    with(&|spec| {
        spec.arguments[0].tag_width = TagWidth::Byte;
        spec.arguments[0].cases[0].tag = 128;
    });
    let asm = Engine::builder().tier(Tier::Asm).build().unwrap();
    assert!(matches!(asm.bridge(&one, &Signature::parse("int f(int)").unwrap()), Err(Error::Unsupported { .. })));
}

/// A function of scalars, by the indices of its types.
#[derive(Clone, Debug)]
struct Scalars {
    parameters: Vec<usize>,
    result: usize,
}

impl Arbitrary for Scalars {
    fn arbitrary(random: &mut Gen) -> Scalars {
        let count = usize::arbitrary(random) % 20;
        let ty = |random: &mut Gen| usize::arbitrary(random) % (TYPES.len() - 1);
        Scalars { parameters: (0..count).map(|_| ty(random)).collect(), result: ty(random) }
    }
}

impl Scalars {
    fn signature(&self) -> Signature {
        let ty = |index: usize| Type::parse(TYPES[index]).unwrap();
        Signature::new(ty(self.result), self.parameters.iter().map(|index| ty(*index))).unwrap()
    }

    /// A C function that writes down its arguments, as the reference gives them, and returns what it is told.
    fn source(&self, number: usize) -> String {
        let parameters: Vec<String> =
            self.parameters.iter().enumerate().map(|(index, ty)| format!("{} p{index}", TYPES[*ty])).collect();
        let parameters = if parameters.is_empty() { "void".to_owned() } else { parameters.join(", ") };
        let see = |(index, ty): (usize, &usize)| match TYPES[*ty] {
            "float" | "double" => format!("seen[{index}] = 0; memcpy(&seen[{index}], &p{index}, sizeof p{index});"),
            _ => format!("seen[{index}] = (unsigned long)p{index};"),
        };
        let seen: Vec<String> = self.parameters.iter().enumerate().map(see).collect();
        let result = TYPES[self.result];
        format!(
            "{result} f{number}({parameters}) {{ {} {result} r; memcpy(&r, &result, sizeof r); return r; }}\n",
            seen.join(" ")
        )
    }
}

/// Host values, some of which fit, and what becomes of all of them.
fn some_values(random: &mut Gen, kinds: &[Kind], cases: &[Vec<Payload>]) -> (Vec<Value>, Option<Vec<u64>>) {
    let mut arguments = Vec::new();
    let mut expected = Some(Vec::new());
    for (kind, cases) in kinds.iter().zip(cases) {
        // Most fit: with many arguments, nearly all calls would go to the fallback.
        let tries = if usize::arbitrary(random) % 50 == 0 { 1 } else { 20 };
        let mut tried = None;
        for _ in 0..tries {
            let payload = *random.choose(cases).unwrap();
            let bits = *random.choose(&edges(payload)).unwrap();
            let fits = reference(payload, bits, *kind);
            let stands = fits.is_some();
            tried = Some((payload, bits, fits));
            if stands {
                break;
            }
        }
        let (payload, bits, fits) = tried.unwrap();
        arguments.push(Value { payload: bits, tag: tag(payload).into() });
        expected = expected.zip(fits).map(|(mut all, fits)| {
            all.push(fits);
            all
        });
    }
    point_at_themselves(&mut arguments);
    for (argument, expected) in arguments.iter().zip(expected.iter_mut().flatten()) {
        if argument.tag == ADDRESS.into() {
            *expected = argument.payload;
        }
    }
    (arguments, expected)
}

#[test]
fn random_functions_of_c_get_what_the_host_passes() {
    const FUNCTIONS: usize = 200;
    let mut random = Gen::new(100);
    let functions: Vec<Scalars> = (0..FUNCTIONS).map(|_| Scalars::arbitrary(&mut random)).collect();
    let mut source = "#include <string.h>\nunsigned long seen[32], result;\n".to_owned();
    source.extend(functions.iter().enumerate().map(|(number, function)| function.source(number)));
    let (compiler, folder) = (Compiler::from_env(), Folder::new());
    let path = compiler.compile(&folder, &[source]).remove(0);
    // SAFETY: the library has no initialisers.
    let library = unsafe { Library::open(&path) }.unwrap();
    let address = |name: &str| library.symbol(name).unwrap();
    let (seen, result) = (address("seen").cast::<u64>(), address("result").cast::<u64>().cast_mut());
    let (engine, mut passed, mut fell_back) = (engine(), 0, 0);
    for (number, function) in functions.iter().enumerate() {
        let signature = function.signature();
        let kinds: Vec<Kind> = signature.parameters().iter().map(|parameter| kind(&parameter.ty)).collect();
        let cases: Vec<Vec<Payload>> = kinds.iter().map(|kind| some_cases(&mut random, *kind)).collect();
        let result_kind = kind(signature.result());
        let target = address(&format!("f{number}"));
        let function = Function::new(&engine, &spec(&cases, tags(Some(NULL))), &signature, target.cast());
        for _ in 0..30 {
            let (arguments, expected) = some_values(&mut random, &kinds, &cases);
            let bits = *random.choose(&results(result_kind)).unwrap();
            // SAFETY: the library's variables are as the source has them.
            unsafe { result.write(bits) };
            let value = function.call(&arguments);
            let Some(expected) = expected else {
                assert_eq!(value, FELL_BACK, "{signature} of {arguments:x?}");
                fell_back += 1;
                continue;
            };
            // SAFETY: as above.
            let found = unsafe { std::slice::from_raw_parts(seen, expected.len()) };
            let same = |(index, kind): (usize, &Kind)| {
                let floating = matches!(kind, Kind::Float | Kind::Double);
                found[index] == expected[index]
                    || floating && is_nan(*kind, found[index]) && is_nan(*kind, expected[index])
            };
            assert!(
                kinds.iter().enumerate().all(same),
                "{signature} of {arguments:x?}:\n{found:x?}, expected\n{expected:x?}"
            );
            assert_eq!(value, boxed(result_kind, bits, true), "{signature} gives {bits:#x}");
            passed += 1;
        }
    }
    assert!(passed > 1000 && fell_back > 100, "{passed} passed, {fell_back} fell back");
}

/// Some of the cases that are defined, in some order.
fn some_cases(random: &mut Gen, kind: Kind) -> Vec<Payload> {
    let mut cases: Vec<Payload> = PAYLOADS.into_iter().filter(|payload| is_defined(kind, *payload)).collect();
    for index in (1..cases.len()).rev() {
        cases.swap(index, usize::arbitrary(random) % (index + 1));
    }
    cases.truncate(1 + usize::arbitrary(random) % cases.len());
    cases
}

/// A host whose native functions get a pointer for each argument: they are loaded through registers that others of them go
/// to, in circles too.
#[test]
fn arguments_change_places() {
    #[repr(C)]
    struct Atom {
        pad: [u8; 2],
        tag: i8,
        payload: i64,
        /// The atom's own address, for stubs that find it through memory.
        own: Cell<*const Atom>,
    }
    const COUNT: usize = 9;
    const LONG: i8 = -7;
    type Native = unsafe extern "C" fn(
        *const Record,
        *const Atom,
        *const Atom,
        *const Atom,
        *const Atom,
        *const Atom,
        *const Atom,
        *const Atom,
        *const Atom,
        *const Atom,
    ) -> u64;
    thread_local! {
        static GOT: Cell<[i64; COUNT]> = const { Cell::new([0; COUNT]) };
    }
    extern "C" fn callee(a: i64, b: i64, c: i64, d: i64, e: i64, f: i64, g: i64, h: i64, i: i64) -> i64 {
        GOT.set([a, b, c, d, e, f, g, h, i]);
        1
    }
    extern "C" fn give_bits(context: *const c_void, record: *const Record, bits: u64) -> u64 {
        assert_eq!(context, record.cast());
        bits + 1
    }
    extern "C" fn give_nothing() -> u64 {
        0
    }
    let engine = engine();
    let atoms = |tag: i8| -> Vec<Atom> {
        let atom = |index: i64| Atom { pad: [9; 2], tag, payload: 1000 + index, own: Cell::new(ptr::null()) };
        let atoms: Vec<Atom> = (0..COUNT as i64).map(atom).collect();
        atoms.iter().for_each(|atom| atom.own.set(atom));
        atoms
    };
    let (atoms, others) = (atoms(LONG), atoms(LONG - 1));
    let signature = Signature::new(Type::I64, [const { Type::I64 }; COUNT]).unwrap();
    let mut random = Gen::new(100);
    for _ in 0..300 {
        let any = |random: &mut Gen| {
            let through = bool::arbitrary(random).then_some(mem::offset_of!(Atom, own) as u32);
            (usize::arbitrary(random) % COUNT, bool::arbitrary(random), through)
        };
        let from: Vec<(usize, bool, Option<u32>)> = (0..COUNT).map(|_| any(&mut random)).collect();
        let argument = |(index, address, through): &(usize, bool, Option<u32>)| Argument {
            tag: Place { through: *through, ..Place::new(index + 1, mem::offset_of!(Atom, tag) as u32) },
            tag_width: TagWidth::Byte,
            payload: Place { through: *through, ..Place::new(index + 1, mem::offset_of!(Atom, payload) as u32) },
            cases: vec![Case { tag: LONG.into(), payload: if *address { Payload::Address } else { Payload::Int64 } }],
        };
        let spec = Spec {
            entry: Signature::new(Type::pointer(), vec![Type::pointer(); COUNT + 1]).unwrap(),
            guards: vec![],
            arguments: from.iter().map(argument).collect(),
            record: Operand::Parameter(0),
            context: Some(0),
            errno: bool::arbitrary(&mut random),
            home: false,
            fallback: give_nothing as *const c_void,
            failed: give_nothing as *const c_void,
            boxing: Boxing::Call(give_bits as *const c_void),
        };
        let bridge = engine.bridge(&spec, &signature).unwrap();
        let state = State::default();
        let record = Record { target: Cell::new(callee as *const c_void), state: &raw const state };
        // SAFETY: the stub has this signature.
        let native: Native = unsafe { mem::transmute(bridge.as_ptr()) };
        let call = |atoms: &[Atom]| {
            let [a, b, c, d, e, f, g, h, i] = atoms else { unreachable!("there are nine") };
            // SAFETY: the stub has this signature, and its callee takes such arguments.
            unsafe { native(&raw const record, a, b, c, d, e, f, g, h, i) }
        };
        assert_eq!(call(&atoms), 2, "{from:?}");
        let expected: Vec<i64> = from
            .iter()
            .map(|(index, address, _)| {
                let payload = &atoms[*index].payload;
                if *address { ptr::from_ref(payload).addr() as i64 } else { *payload }
            })
            .collect();
        assert_eq!(GOT.get().as_slice(), expected);
        assert_eq!(call(&others), 0);
    }
}
