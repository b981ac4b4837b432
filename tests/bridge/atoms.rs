//! A host like q, whose native functions get a pointer to each value, and nothing that is their own: the record is a constant
//! of the stub, and results are made by constructors.

use std::cell::Cell;
use std::ffi::{CStr, c_char, c_void};
use std::sync::atomic::Ordering;
use std::{mem, ptr, thread};

use jitcall::bridge::{Argument, Boxing, Bridge, Case, Guard, Operand, Payload, Place, Record, Spec, State, TagWidth};
use jitcall::{Engine, Errno, Signature, Type};

use super::{
    Kind, PAYLOADS, RESULT, SEEN, TYPES, edges, engine, giver, is_defined, is_nan, kind, reference, results, seer,
};
use super::{tag, truncated};

/// A value of the host: an atom has its payload in `payload`, a vector its count there and then its data.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
struct Object {
    head: [u8; 2],
    tag: i8,
    flags: u8,
    count: i32,
    payload: u64,
    data: [u64; 4],
}

const PAYLOAD: u32 = mem::offset_of!(Object, payload) as u32;
const DATA: u32 = mem::offset_of!(Object, data) as u32;

/// As many pointers as a native function gets: with the last ones, both architectures have some on the stack.
const PARAMETERS: usize = 10;

/// What a native function is given: most tests use the first parameter, or the last, which is on the stack.
type Given = [usize; PARAMETERS];

type Native =
    unsafe extern "C-unwind" fn(usize, usize, usize, usize, usize, usize, usize, usize, usize, usize) -> usize;

const FELL_BACK: usize = 1001;
const FAILED: usize = 1002;
const MADE: usize = 1003;

thread_local! {
    /// What the fallback was given.
    static FALLBACK: Cell<Option<Given>> = const { Cell::new(None) };
    /// The context and record that `failed` was given.
    static FAILURE: Cell<(usize, usize)> = const { Cell::new((0, 0)) };
    /// What a constructor was given.
    static GIVEN: Cell<(Option<i32>, u64)> = const { Cell::new((None, 0)) };
}

extern "C-unwind" fn fallback(
    a: usize,
    b: usize,
    c: usize,
    d: usize,
    e: usize,
    f: usize,
    g: usize,
    h: usize,
    i: usize,
    j: usize,
) -> usize {
    FALLBACK.set(Some([a, b, c, d, e, f, g, h, i, j]));
    FELL_BACK
}

extern "C" fn failed(context: *const c_void, record: *const Record) -> usize {
    FAILURE.set((context.addr(), record.addr()));
    FAILED
}

fn made(leading: Option<i32>, bits: u64) -> usize {
    GIVEN.set((leading, bits));
    MADE
}

extern "C" fn make_nothing() -> usize {
    made(None, 0)
}

extern "C" fn make_nothing_of(leading: i32) -> usize {
    made(Some(leading), 0)
}

extern "C" fn make_long(bits: u64) -> usize {
    made(None, bits)
}

extern "C" fn make_long_of(leading: i32, bits: u64) -> usize {
    made(Some(leading), bits)
}

extern "C" fn make_double(number: f64) -> usize {
    made(None, number.to_bits())
}

extern "C" fn make_double_of(leading: i32, number: f64) -> usize {
    made(Some(leading), number.to_bits())
}

/// The constructor of results of a kind; without one, of `void`.
fn constructor(kind: Option<Kind>, leading: Option<i32>) -> Boxing {
    let function = match (kind, leading.is_some()) {
        (None, false) => make_nothing as *const c_void,
        (None, true) => make_nothing_of as *const c_void,
        (Some(Kind::Float | Kind::Double), false) => make_double as *const c_void,
        (Some(Kind::Float | Kind::Double), true) => make_double_of as *const c_void,
        (Some(_), false) => make_long as *const c_void,
        (Some(_), true) => make_long_of as *const c_void,
    };
    Boxing::Constructor { function, leading }
}

/// An argument: its parameter, its cases, and where the payload of all of them is.
type Passed<'a> = (usize, &'a [Case], u32);

fn spec(record: Operand, arguments: &[Passed<'_>], boxing: Boxing) -> Spec {
    let argument = |(parameter, cases, offset): &Passed<'_>| Argument {
        tag: Place::new(*parameter, mem::offset_of!(Object, tag) as u32),
        tag_width: TagWidth::Byte,
        payload: Place::new(*parameter, *offset),
        cases: cases.to_vec(),
    };
    Spec {
        entry: Signature::new(Type::pointer(), vec![Type::pointer(); PARAMETERS]).unwrap(),
        guards: vec![],
        arguments: arguments.iter().map(argument).collect(),
        record,
        context: None,
        errno: false,
        home: false,
        fallback: fallback as *const c_void,
        failed: failed as *const c_void,
        boxing,
    }
}

/// What a stub reads of the function that it calls.
struct Owner {
    state: Box<State>,
    record: Box<Record>,
}

impl Owner {
    fn new(target: *const c_void, state: State) -> Owner {
        let state = Box::new(state);
        let record = Box::new(Record { target: Cell::new(target), state: &raw const *state });
        Owner { state, record }
    }

    fn constant(&self) -> Operand {
        Operand::Constant(&raw const *self.record)
    }
}

fn native(bridge: &Bridge) -> Native {
    // SAFETY: all stubs of these tests have this signature.
    unsafe { mem::transmute(bridge.as_ptr()) }
}

/// Calls a stub; where it went to the fallback, that was given what the stub was given.
fn call(native: Native, given: Given) -> usize {
    FALLBACK.set(None);
    let [a, b, c, d, e, f, g, h, i, j] = given;
    // SAFETY: the tests pass addresses of objects where the stub follows them.
    let value = unsafe { native(a, b, c, d, e, f, g, h, i, j) };
    assert_eq!(FALLBACK.take(), (value == FELL_BACK).then_some(given));
    value
}

/// All parameters but one are no addresses.
fn given(parameter: usize, object: &Object) -> Given {
    given_at(parameter, ptr::from_ref(object).expose_provenance())
}

/// The same with a list.
fn given_list(parameter: usize, list: &List) -> Given {
    given_at(parameter, ptr::from_ref(list).expose_provenance())
}

fn given_at(parameter: usize, address: usize) -> Given {
    let mut given = std::array::from_fn(|index| 0x7000 + index);
    given[parameter] = address;
    given
}

/// A list of the host's: as many words as it has items behind the count, each the address of one.
#[repr(C)]
struct List {
    head: [u8; 2],
    tag: i8,
    flags: u8,
    references: i32,
    count: i64,
    items: [usize; 8],
}

fn list_of(tag: i8, items: &[&Object]) -> List {
    let mut list = List { head: [9; 2], tag, flags: 7, references: -1, count: items.len() as i64, items: [0; 8] };
    for (word, item) in list.items.iter_mut().zip(items) {
        *word = ptr::from_ref(*item).expose_provenance();
    }
    list
}

fn case(payload: Payload) -> Case {
    Case { tag: tag(payload) % 100, payload }
}

/// An object with a payload; one that is taken for its address holds that.
fn object(payload: Payload, bits: u64) -> Box<Object> {
    let mut object = Box::new(Object { head: [99; 2], tag: case(payload).tag as i8, ..Object::default() });
    object.payload = if payload == Payload::Address { (&raw const object.payload).addr() as u64 } else { bits };
    object
}

/// Every payload as an argument of every type, by a pointer in a register and by one on the stack, whether or not the stub
/// needs its record before the call.
#[test]
fn payloads_are_read_through_any_pointer() {
    let engine = engine();
    let mut passed = 0;
    for ty in TYPES.map(|ty| Type::parse(ty).unwrap()) {
        let (kind, callee) = (kind(&ty), Signature::new(Type::Void, [ty.clone()]).unwrap());
        let (target, mask) = seer(kind);
        let defined: Vec<Case> = PAYLOADS.into_iter().filter(|payload| is_defined(kind, *payload)).map(case).collect();
        let mut turned = defined.clone();
        turned.reverse();
        let rows = [
            (&defined, 0, true),
            (&turned, 0, true),
            (&defined, PARAMETERS - 1, true),
            (&turned, PARAMETERS - 1, false),
        ];
        for ((cases, parameter, errno), through) in rows.into_iter().flat_map(|row| [(row, None), (row, Some(16))]) {
            let owner = Owner::new(target, State::default());
            let mut spec = spec(owner.constant(), &[(parameter, cases, PAYLOAD)], constructor(None, None));
            (spec.arguments[0].tag.through, spec.arguments[0].payload.through) = (through, through);
            let native = native(&engine.bridge(&Spec { errno, ..spec }, &callee).unwrap());
            for payload in defined.iter().map(|case| case.payload) {
                for bits in edges(payload) {
                    let object = object(payload, bits);
                    let expected = reference(payload, object.payload, kind);
                    SEEN.set(0x5555_5555_5555_5555);
                    let value = match through {
                        None => call(native, given(parameter, &object)),
                        Some(_) => call(native, given_list(parameter, &list_of(0, &[&object]))),
                    };
                    let found = (value == MADE).then(|| SEEN.get());
                    let same = found == expected.map(|bits| bits & mask)
                        || found.zip(expected).is_some_and(|(a, b)| {
                            matches!(kind, Kind::Float | Kind::Double) && is_nan(kind, a) && is_nan(kind, b)
                        });
                    assert!(same, "{payload:?} {bits:#x} as {ty}: {found:x?}, expected {expected:x?}");
                    passed += usize::from(found.is_some());
                }
            }
            let other = Object { tag: 98, ..Object::default() };
            let given = match through {
                None => given(parameter, &other),
                Some(_) => given_list(parameter, &list_of(0, &[&other])),
            };
            assert_eq!(call(native, given), FELL_BACK);
        }
    }
    assert!(passed > 1000, "{passed}");
}

#[test]
fn tags_are_any_byte() {
    let engine = engine();
    let callee = Signature::parse("void see(unsigned long)").unwrap();
    let owner = Owner::new(seer(Kind::Pointer).0, State::default());
    for tag in -128..=127 {
        let cases = [Case { tag, payload: Payload::Address }];
        let spec = spec(owner.constant(), &[(0, &cases, DATA)], constructor(None, None));
        let native = native(&engine.bridge(&spec, &callee).unwrap());
        for other in -128..=127 {
            let object = Object { tag: other, ..Object::default() };
            let value = call(native, given(0, &object));
            assert_eq!(value, if i32::from(other) == tag { MADE } else { FELL_BACK }, "{other} where {tag} is known");
            assert!(value == FELL_BACK || SEEN.get() == (&raw const object.data).addr() as u64);
        }
    }
}

#[test]
fn constructors_make_values() {
    let engine = engine();
    for ty in TYPES.map(|ty| Type::parse(ty).unwrap()) {
        let kind = kind(&ty);
        let callee = Signature::new(ty.clone(), []).unwrap();
        let owner = Owner::new(giver(kind), State::default());
        for leading in [None, Some(7), Some(-12), Some(i32::MIN)] {
            let spec = spec(owner.constant(), &[], constructor(Some(kind), leading));
            let native = native(&engine.bridge(&spec, &callee).unwrap());
            for bits in results(kind) {
                RESULT.set(bits);
                let expected = match kind {
                    Kind::Bool => bits & 1,
                    Kind::Float => f64::from(f32::from_bits(bits as u32)).to_bits(),
                    Kind::Double | Kind::Pointer => bits,
                    Kind::Integer(low, high) => truncated(bits, low, high) as u64,
                };
                assert_eq!(call(native, [0; PARAMETERS]), MADE);
                assert_eq!(GIVEN.get(), (leading, expected), "{bits:#x} as {ty}");
            }
        }
    }
}

#[test]
fn constructors_are_given_nothing_of_void_and_structs_as_they_are() {
    let engine = engine();
    let owner = Owner::new(giver(Kind::Pointer), State::default());
    let made = |declaration: &str, kind: Option<Kind>, leading: Option<i32>| {
        let spec = spec(owner.constant(), &[], constructor(kind, leading));
        let bridge = engine.bridge(&spec, &Signature::parse(declaration).unwrap()).unwrap();
        assert_eq!(call(native(&bridge), [0; PARAMETERS]), MADE);
        GIVEN.get()
    };
    RESULT.set(0x1234_5678_9abc_def0);
    assert_eq!(made("void f(void)", None, None), (None, 0));
    assert_eq!(made("void f(void)", None, Some(3)), (Some(3), 0));
    let pair = "struct pair { int a, b; }; struct pair f(void)";
    assert_eq!(made(pair, Some(Kind::Pointer), Some(3)), (Some(3), 0x1234_5678_9abc_def0));
    assert_eq!(made(pair, Some(Kind::Pointer), None), (None, 0x1234_5678_9abc_def0));
}

/// Sets [`State::failed`] of the state at that address.
extern "C" fn fail(state: *const State) {
    // SAFETY: the tests pass the address of a state that they keep.
    unsafe { &*state }.failed.store(1, Ordering::Relaxed);
}

/// Whatever is kept over the call: context, record, both, or neither.
#[test]
fn failures_have_context_and_record() {
    let engine = engine();
    let callee = Signature::parse("void fail(void *)").unwrap();
    let owner = Owner::new(fail as *const c_void, State::default());
    let holder = [(&raw const *owner.record).addr()];
    let cases = [case(Payload::Int64)];
    let object = object(Payload::Int64, (&raw const *owner.state).expose_provenance() as u64);
    let records = [owner.constant(), Operand::Parameter(1), Operand::Memory(Place::new(2, 0)), Operand::Parameter(9)];
    for record in records {
        for context in [None, Some(3), Some(8)] {
            let spec = spec(record, &[(0, &cases, PAYLOAD)], constructor(None, None));
            let native = native(&engine.bridge(&Spec { context, ..spec }, &callee).unwrap());
            let mut given = given(0, &object);
            (given[1], given[2], given[9]) = (holder[0], holder.as_ptr().expose_provenance(), holder[0]);
            FAILURE.set((1, 1));
            assert_eq!(call(native, given), FAILED);
            assert_eq!(
                FAILURE.get(),
                (context.map_or(0, |context| given[context]), holder[0]),
                "{record:?} {context:?}"
            );
            owner.state.failed.store(0, Ordering::Relaxed);
        }
    }
}

extern "C" fn swap_errno(errno: i32) -> i32 {
    let before = Errno::get().0;
    Errno(errno).set();
    before
}

/// A stub for [`swap_errno`] of atoms, which gives what `errno` was.
fn swapper(engine: &Engine, owner: &Owner, errno: bool, home: bool) -> Native {
    let cases = [case(Payload::Int32), case(Payload::Double), case(Payload::Byte)];
    let spec = spec(owner.constant(), &[(0, &cases, PAYLOAD)], constructor(Some(Kind::Pointer), None));
    let callee = Signature::parse("int swap(int)").unwrap();
    native(&engine.bridge(&Spec { errno, home, ..spec }, &callee).unwrap())
}

fn swap(native: Native, payload: Payload, bits: u64) -> Option<u64> {
    let value = call(native, given(0, &object(payload, bits)));
    (value == MADE).then(|| GIVEN.get().1)
}

#[test]
fn only_the_home_thread_calls_c() {
    let engine = engine();
    let owner = Owner::new(swap_errno as *const c_void, State::for_this_thread());
    owner.state.errno.set(7);
    let native = swapper(&engine, &owner, true, true);
    assert_eq!(swap(native, Payload::Int32, 22), Some(7));
    let elsewhere = thread::spawn(move || {
        Errno(5).set();
        (swap(native, Payload::Int32, 99), swap(native, Payload::Double, 0), Errno::get())
    });
    assert_eq!(elsewhere.join().unwrap(), (None, None, Errno(5)));
    assert_eq!(owner.state.errno.get(), 22);
    assert_eq!(swap(native, Payload::Byte, 33), Some(22));
    assert_eq!(swap(native, Payload::Double, 44.0_f64.to_bits()), Some(33));
    assert_eq!(owner.state.errno.get(), 44);
}

#[test]
fn calls_at_home_are_counted() {
    thread_local! {
        static STATE: Cell<*const State> = const { Cell::new(ptr::null()) };
    }
    extern "C" fn calls(_: i32) -> i32 {
        // SAFETY: the test keeps the state.
        unsafe { (*STATE.get()).calls.get() as i32 }
    }
    let engine = engine();
    let owner = Owner::new(calls as *const c_void, State::for_this_thread());
    STATE.set(&raw const *owner.state);
    for errno in [false, true] {
        let native = swapper(&engine, &owner, errno, true);
        owner.state.calls.set(5);
        for (payload, bits) in [(Payload::Int32, 1), (Payload::Double, 0), (Payload::Byte, 1)] {
            assert_eq!(swap(native, payload, bits), Some(6));
            assert_eq!(owner.state.calls.get(), 5);
        }
        assert_eq!(swap(native, Payload::Double, 0.5_f64.to_bits()), None);
        assert_eq!(owner.state.calls.get(), 5);
        assert_eq!(swap(swapper(&engine, &owner, errno, false), Payload::Int32, 1), Some(5));
    }
}

#[test]
fn a_state_without_a_home_is_nobodys() {
    let engine = engine();
    let owner = Owner::new(swap_errno as *const c_void, State::default());
    let bound = swapper(&engine, &owner, false, true);
    let free = swapper(&engine, &owner, false, false);
    let both = move || (swap(bound, Payload::Int32, 1).is_some(), swap(free, Payload::Int32, 1).is_some());
    assert_eq!(both(), (false, true));
    assert_eq!(thread::spawn(both).join().unwrap(), (false, true));
    owner.state.home.set(State::for_this_thread().home.get());
    assert_eq!(both(), (true, true));
    assert_eq!(thread::spawn(both).join().unwrap(), (false, true));
}

#[test]
fn a_target_can_come_later() {
    let engine = engine();
    for home in [false, true] {
        let owner = Owner::new(ptr::null(), State::for_this_thread());
        let native = swapper(&engine, &owner, true, home);
        assert_eq!(swap(native, Payload::Int32, 1), None);
        owner.record.target.set(swap_errno as *const c_void);
        assert_eq!(swap(native, Payload::Int32, 1), Some(0));
        owner.record.target.set(ptr::null());
        assert_eq!(swap(native, Payload::Int32, 1), None);
    }
}

#[test]
fn each_record_has_a_stub() {
    let engine = engine();
    let owners = [(); 2].map(|()| Owner::new(swap_errno as *const c_void, State::default()));
    let [first, second] = &owners;
    let stub = swapper(&engine, first, false, false);
    assert!(ptr::fn_addr_eq(stub, swapper(&engine, first, false, false)));
    assert_eq!(engine.statistics().stubs, 1);
    swapper(&engine, second, false, false);
    swapper(&engine, first, true, false);
    swapper(&engine, first, false, true);
    assert_eq!(engine.statistics().stubs, 4);
    let constructors = [None, Some(1), Some(2)].map(|leading| constructor(Some(Kind::Pointer), leading));
    for boxing in constructors {
        engine.bridge(&spec(first.constant(), &[], boxing), &Signature::parse("int f(void)").unwrap()).unwrap();
    }
    assert_eq!(engine.statistics().stubs, 7);
}

unsafe extern "C" {
    fn snprintf(to: *mut c_char, size: usize, format: *const c_char, ...) -> i32;
}

/// `snprintf` reads its floating arguments only where it is told that there are some.
#[test]
fn variadic_functions_are_told_of_vectors() {
    let engine = engine();
    let tail = Signature::parse("int snprintf(char *, unsigned long, const char *, ...)").unwrap();
    let parameters = [Type::pointer(), Type::U64, Type::pointer(), Type::F64, Type::I32, Type::F64];
    let fixed = Signature::new(Type::I32, parameters).unwrap().variadic();
    let vector = [Case { tag: 10, payload: Payload::Address }];
    let (number, long, int) =
        ([case(Payload::Double), case(Payload::Float)], [case(Payload::Int64)], [case(Payload::Int16)]);
    let arguments: [Passed<'_>; 6] = [
        (0, &vector, DATA),
        (1, &long, PAYLOAD),
        (9, &vector, DATA),
        (3, &number, PAYLOAD),
        (4, &int, PAYLOAD),
        (8, &number, PAYLOAD),
    ];
    for callee in [tail.with_tail([Type::F64, Type::I32, Type::F64]).unwrap(), fixed] {
        let owner = Owner::new(snprintf as *const c_void, State::default());
        let spec = spec(owner.constant(), &arguments, constructor(Some(Kind::Pointer), None));
        let native = native(&engine.bridge(&spec, &callee).unwrap());
        let mut text = Object { tag: 10, ..Object::default() };
        let mut format = text;
        for (word, bytes) in format.data.iter_mut().zip(b"%.2f %d %.1e\0\0\0\0".chunks(8)) {
            *word = u64::from_ne_bytes(bytes.try_into().unwrap());
        }
        let others = [
            object(Payload::Int64, mem::size_of_val(&text.data) as u64),
            object(Payload::Double, 3.25_f64.to_bits()),
            object(Payload::Int16, u64::from((-300_i16) as u16)),
            object(Payload::Float, 1.5e9_f32.to_bits().into()),
        ];
        let [size, first, second, third] = others.each_ref().map(|object| ptr::from_ref(&**object).expose_provenance());
        let (to, format) = (&raw mut text, ptr::from_ref(&format).expose_provenance());
        let given = [to.expose_provenance(), size, 0, first, second, 0, 0, 0, third, format];
        assert_eq!(call(native, given), MADE);
        // SAFETY: `snprintf` has written a text there.
        let written = unsafe { CStr::from_ptr((&raw const (*to).data).cast()) };
        assert_eq!(written.to_str().unwrap(), "3.25 -300 1.5e+09");
        assert_eq!(GIVEN.get(), (None, 17));
    }
}

/// A function of six integers, three doubles, and an address, all in one list, which is looked at first.
#[test]
fn lists_are_taken_apart() {
    thread_local! {
        static GOT: Cell<(i64, [i32; 3], [f64; 3])> = const { Cell::new((0, [0; 3], [0.0; 3])) };
    }
    extern "C" fn callee(a: i64, x: f64, b: i32, y: f64, c: i32, d: i32, z: f64) -> i32 {
        GOT.set((a, [b, c, d], [x, y, z]));
        77
    }
    let engine = engine();
    let long = [case(Payload::Int64)];
    let int = [case(Payload::Int32), case(Payload::Int64)];
    let double = [case(Payload::Double), case(Payload::Int64)];
    let cases: [&[Case]; 7] = [&long, &double, &int, &double, &int, &int, &double];
    let callee_type = Signature::parse("int callee(long, double, int, double, int, int, double)").unwrap();
    for (parameter, errno, home) in [(0, false, false), (PARAMETERS - 1, true, true), (1, true, false)] {
        let owner = Owner::new(callee as *const c_void, State::for_this_thread());
        let passed: Vec<Passed<'_>> = cases.iter().map(|cases| (parameter, *cases, PAYLOAD)).collect();
        let mut spec = spec(owner.constant(), &passed, constructor(Some(Kind::Pointer), None));
        (spec.errno, spec.home) = (errno, home);
        for (index, argument) in spec.arguments.iter_mut().enumerate() {
            let through = Some(16 + 8 * index as u32);
            (argument.tag.through, argument.payload.through) = (through, through);
        }
        let guard = |place, width, value| Guard { place, width, value };
        spec.guards = vec![
            guard(Place::new(parameter, 2), TagWidth::Byte, 0),
            guard(Place::new(parameter, 8), TagWidth::Int, 8),
            guard(Place::new(parameter, 12), TagWidth::Int, 0),
            guard(Place::through(parameter, 16 + 8 * 7, 2), TagWidth::Byte, 101),
        ];
        let native = native(&engine.bridge(&spec, &callee_type).unwrap());
        let end = Object { tag: 101, ..Object::default() };
        for longs in [false, true] {
            let number = |value: i32| match longs {
                true => object(Payload::Int64, value as u64),
                false => object(Payload::Int32, u64::from(value as u32)),
            };
            let real = |value: f64| match longs {
                true => object(Payload::Int64, value as i64 as u64),
                false => object(Payload::Double, value.to_bits()),
            };
            let items = [
                object(Payload::Int64, -5_i64 as u64),
                real(2.0),
                number(3),
                real(-4.0),
                number(-6),
                number(7),
                real(8.0),
            ];
            let mut all: Vec<&Object> = items.iter().map(|item| &**item).collect();
            all.push(&end);
            let list = list_of(0, &all);
            assert_eq!(call(native, given_list(parameter, &list)), MADE);
            assert_eq!(GOT.take(), (-5, [3, -6, 7], [2.0, -4.0, 8.0]));
            assert_eq!(GIVEN.get(), (None, 77));
            // Any of what the guards look at, and any of the items.
            let refused = |list: &List| assert_eq!(call(native, given_list(parameter, list)), FELL_BACK);
            refused(&list_of(1, &all));
            refused(&List { count: 7, ..list_of(0, &all) });
            refused(&List { count: 8 + (1 << 32), ..list_of(0, &all) });
            let other = Object { tag: 98, ..Object::default() };
            for index in 0..all.len() {
                let mut changed = all.clone();
                changed[index] = &other;
                refused(&list_of(0, &changed));
            }
        }
    }
}

#[test]
fn what_no_stub_can_be_made_of_is_an_error() {
    let engine = engine();
    let owner = Owner::new(ptr::null(), State::default());
    let refused = |payload: Payload, offset: u32| {
        let cases = [case(payload)];
        let spec = spec(owner.constant(), &[(0, &cases, offset)], constructor(None, None));
        let ty = if payload == Payload::Float { Type::F64 } else { Type::I64 };
        engine.bridge(&spec, &Signature::new(Type::Void, [ty]).unwrap()).is_err()
    };
    let aligned = [(Payload::Byte, 1), (Payload::Int16, 2), (Payload::Float, 4), (Payload::Address, 1)];
    for (payload, align) in aligned {
        for offset in 1..=8 {
            assert_eq!(refused(payload, offset), offset % align != 0, "{payload:?} at {offset}");
        }
    }
    let nowhere = spec(Operand::Constant(ptr::null()), &[], constructor(None, None));
    assert!(engine.bridge(&nowhere, &Signature::parse("void f(void)").unwrap()).is_err(), "there is no such record");
    let guarded = |place, width, value| {
        let spec = Spec {
            guards: vec![Guard { place, width, value }],
            ..spec(owner.constant(), &[], constructor(None, None))
        };
        engine.bridge(&spec, &Signature::parse("void f(void)").unwrap()).is_ok()
    };
    assert!(guarded(Place::through(0, 16, 1), TagWidth::Byte, -1));
    assert!(!guarded(Place::through(0, 20, 1), TagWidth::Byte, -1), "pointers are aligned");
    assert!(!guarded(Place::through(0, 1 << 20, 1), TagWidth::Byte, -1), "out of reach");
    assert!(!guarded(Place::new(0, 2), TagWidth::Int, 0), "not aligned");
    assert!(!guarded(Place::new(0, 2), TagWidth::Byte, 128), "no byte");
    assert!(!guarded(Place::new(PARAMETERS, 0), TagWidth::Int, 0), "no such parameter");
    let tagged = spec(owner.constant(), &[], super::tags(None));
    assert!(engine.bridge(&tagged, &Signature::parse("int f(void)").unwrap()).is_err(), "one word is no tagged value");
}
