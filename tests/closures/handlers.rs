//! What handlers get and give: over values, over slots, and with Rust's types.

use std::sync::atomic::{AtomicU32, Ordering};

use jitcall::closure::catch;
use jitcall::value::LongDouble;
use jitcall::{Error, Function, Object, Value, c_struct};

use crate::kinds::{Any, of_int, typed};
use crate::tiers::{engines, find};
use crate::{c, failure_of, function, interface};

#[test]
fn every_kind_runs() {
    for engine in engines() {
        let call_back = find(&engine, c::library(), c::CALL_BACK);
        let runs = AtomicU32::new(0);
        let body = |x| {
            runs.fetch_add(1, Ordering::Relaxed);
            x * 2 + 1
        };
        for (kind, closure) in of_int(&interface(&engine, "int f(int)"), body) {
            // SAFETY: that is how it is declared.
            let result = unsafe { call_back.call(&[closure.value(), (-21).into()]) };
            assert_eq!(result.unwrap(), Value::I32(-41), "{kind} by {}", engine.tier());
        }
        assert_eq!(runs.into_inner(), 9);
    }
}

/// A closure of each kind gives back what it gets.
macro_rules! check_identity {
    ($($ty:ty = $declaration:literal: $($value:expr),+;)+) => { $(
        for engine in engines() {
            let interface = interface(&engine, $declaration);
            for value in [$($value),+] {
                let values = move |given: &[Value<'_>]| {
                    assert_eq!(given, [Value::from(value)]);
                    Ok(Value::from(value))
                };
                // SAFETY: that is the type of argument and result.
                let slots = |arguments: jitcall::closure::Arguments<'_>, outcome: jitcall::closure::Outcome<'_>| unsafe {
                    outcome.write(arguments.read::<$ty>(0));
                };
                let mut closures = vec![
                    ("values", Any::Home(interface.values(values).unwrap())),
                    ("values_mut", Any::Home(interface.values_mut(values).unwrap())),
                    ("values_shared", Any::Shared(interface.values_shared(values).unwrap())),
                    ("slots", Any::Home(interface.slots(slots).unwrap())),
                    ("slots_mut", Any::Home(interface.slots_mut(slots).unwrap())),
                    ("slots_shared", Any::Shared(interface.slots_shared(slots).unwrap())),
                ];
                closures.extend(typed(&interface, |x: $ty| -> $ty { x }));
                for (kind, closure) in closures {
                    // SAFETY: that is its type.
                    let f: extern "C" fn($ty) -> $ty = unsafe { function(closure.as_ptr()) };
                    let given = catch(|| f(value)).unwrap();
                    assert_eq!(given.to_ne_bytes(), value.to_ne_bytes(), "{}: {kind} by {}", $declaration, engine.tier());
                }
            }
        }
    )+ };
}

#[test]
fn scalars_of_all_widths() {
    check_identity! {
        i8 = "signed char f(signed char)": 0, 1, -1, i8::MIN, i8::MAX;
        u8 = "unsigned char f(unsigned char)": 0, 1, 0x80, u8::MAX;
        i16 = "short f(short)": 0, 1, -1, i16::MIN, i16::MAX;
        u16 = "unsigned short f(unsigned short)": 0, 1, 0x8000, u16::MAX;
        i32 = "int f(int)": 0, 1, -1, i32::MIN, i32::MAX;
        u32 = "unsigned f(unsigned)": 0, 1, 0x8000_0000, u32::MAX;
        i64 = "long f(long)": 0, 1, -1, i64::MIN, i64::MAX;
        u64 = "unsigned long f(unsigned long)": 0, 1, 1 << 63, u64::MAX;
        i128 = "__int128 f(__int128)": 0, -1, i128::MIN, i128::MAX, 1 << 64;
        u128 = "unsigned __int128 f(unsigned __int128)": 0, u128::MAX, 0x0123_4567_89ab_cdef_0011_2233_4455_6677;
        f32 = "float f(float)": 0.0, -1.5, f32::MAX, f32::INFINITY;
        f64 = "double f(double)": 0.0, -1.5, f64::MAX, f64::MIN_POSITIVE;
    }
}

/// C code of other compilers relies on the extension of narrow results to 32 bits.
macro_rules! check_extension {
    ($($ty:ty = $declaration:literal: $($value:literal),+;)+) => { $(
        for engine in engines() {
            let interface = interface(&engine, $declaration);
            for value in [$($value as $ty),+] {
                // SAFETY: that is the type of argument and result.
                let slots = interface.slots(|arguments, result| unsafe { result.write(arguments.read::<$ty>(0)) }).unwrap();
                let values = interface.values(move |given| {
                    assert_eq!(given, [Value::from(value)]);
                    Ok(Value::from(value))
                });
                for closure in [slots, values.unwrap()] {
                    // SAFETY: the bits above an argument are nobody's; the result is in the same register.
                    let f: extern "C" fn(u64) -> i32 = unsafe { function(closure.as_ptr()) };
                    let dirty = 0xa5a5_a5a5_a5a5_a5a5 << <$ty>::BITS | u64::from(value.cast_unsigned_bits());
                    assert_eq!(catch(|| f(dirty)).unwrap(), i32::from(value), "{} by {}", $declaration, engine.tier());
                }
            }
        }
    )+ };
}

/// The bits of a narrow integer, not extended.
trait Bits {
    type Unsigned;
    fn cast_unsigned_bits(self) -> Self::Unsigned;
}

macro_rules! bits {
    ($($ty:ty = $unsigned:ty;)+) => { $(
        impl Bits for $ty {
            type Unsigned = $unsigned;
            fn cast_unsigned_bits(self) -> $unsigned {
                self as $unsigned
            }
        }
    )+ };
}

bits! { i8 = u8; u8 = u8; i16 = u16; u16 = u16; }

#[test]
fn narrow_results_are_extended_and_narrow_arguments_cut() {
    check_extension! {
        i8 = "signed char f(signed char)": 0, 5, -1, -128, 127;
        u8 = "unsigned char f(unsigned char)": 0, 5, 128, 255;
        i16 = "short f(short)": 0, 5, -1, -32768, 32767;
        u16 = "unsigned short f(unsigned short)": 0, 5, 32768, 65535;
    }
}

#[test]
fn booleans_and_pointers() {
    for engine in engines() {
        let not = interface(&engine, "_Bool f(_Bool)");
        let by_values = not.values(|values| Ok(Value::Bool(values == [Value::Bool(false)]))).unwrap();
        for (kind, closure) in
            typed(&not, |x: bool| -> bool { !x }).into_iter().chain([("values", Any::Home(by_values))])
        {
            // SAFETY: that is its type.
            let f: extern "C" fn(bool) -> bool = unsafe { function(closure.as_ptr()) };
            assert_eq!((f(false), f(true)), (true, false), "{kind} by {}", engine.tier());
        }
        let next = interface(&engine, "int *f(int *)");
        let by_values = next.values(|values| match values {
            [Value::Pointer(at)] => Ok(Value::Pointer(at.wrapping_byte_add(4))),
            _ => unreachable!("the signature has a pointer"),
        });
        let numbers = [1, 2];
        let by_values = [("values", Any::Home(by_values.unwrap()))];
        for (kind, closure) in
            typed(&next, |x: *mut i32| -> *mut i32 { x.wrapping_add(1) }).into_iter().chain(by_values)
        {
            // SAFETY: that is its type.
            let f: extern "C" fn(*const i32) -> *const i32 = unsafe { function(closure.as_ptr()) };
            assert_eq!(f(&numbers[0]), &raw const numbers[1], "{kind} by {}", engine.tier());
        }
    }
}

#[test]
fn values_of_types_that_rust_does_not_have() {
    let half = LongDouble::from_f64(0.5);
    let complex = Value::ComplexLong(half, LongDouble::from_f64(-3.25));
    let rows: &[(&str, Value<'_>)] = &[
        ("long double f(long double)", half.into()),
        ("long double _Complex f(long double _Complex)", complex),
        ("double _Complex f(double _Complex)", Value::Complex64(1.5, -2.5)),
        ("float _Complex f(float _Complex)", Value::Complex32(1.5, -2.5)),
        ("typedef float v __attribute__((vector_size(8))); v f(v)", Value::List(&[Value::F32(1.5), Value::F32(-2.0)])),
        ("typedef long v __attribute__((vector_size(16))); v f(v)", Value::List(&[Value::I64(1), Value::I64(-2)])),
        (
            "typedef double v __attribute__((vector_size(32))); v f(v)",
            Value::List(&[Value::F64(1.0), Value::F64(2.0), Value::F64(3.0), Value::F64(-4.0)]),
        ),
    ];
    for engine in engines() {
        for (declaration, value) in rows {
            let signature = jitcall::Signature::parse(declaration).unwrap();
            let interface = match engine.prepare_callback(&signature) {
                Err(Error::Unsupported { message }) => {
                    println!("left out on this machine: {message}");
                    continue;
                }
                interface => interface.unwrap(),
            };
            let ty = signature.result().clone();
            let expected = match value {
                Value::List(_) => Value::Object(Object::new(&ty, value).unwrap()),
                value => value.clone(),
            };
            let shown = format!("{expected:?}");
            let result = Object::new(&ty, value).ok();
            let scalar = owned(value);
            let closure = interface.values(|values| {
                assert_eq!(format!("{:?}", values[0]), shown);
                Ok(result.clone().filter(|_| scalar.is_none()).map(Value::Object).or(scalar.clone()).unwrap())
            });
            let closure = closure.unwrap();
            let f = Function::with_engine(&engine, closure.as_ptr(), signature.clone()).unwrap();
            // SAFETY: that is its signature.
            let given = unsafe { f.call(std::slice::from_ref(value)) }.unwrap();
            assert_eq!(format!("{given:?}"), shown, "{declaration} by {}", engine.tier());
        }
    }
}

/// A scalar that borrows nothing.
fn owned(value: &Value<'_>) -> Option<Value<'static>> {
    Some(match *value {
        Value::LongDouble(x) => Value::LongDouble(x),
        Value::ComplexLong(re, im) => Value::ComplexLong(re, im),
        Value::Complex64(re, im) => Value::Complex64(re, im),
        Value::Complex32(re, im) => Value::Complex32(re, im),
        _ => return None,
    })
}

c_struct! {
    #[derive(Debug, PartialEq)]
    struct Pair { a: i64, b: f64 }
}

c_struct! {
    #[derive(Debug, PartialEq)]
    struct Four { a: f32, b: f32, c: f32, d: f32 }
}

c_struct! {
    #[derive(Debug, PartialEq)]
    struct Small { a: u8, b: u16 }
}

c_struct! {
    #[derive(Debug, PartialEq)]
    struct Five { a: i64, b: i64, c: i64, d: i64, e: i64 }
}

/// Closures of each kind that change a struct, which goes in and out as one.
macro_rules! check_struct {
    ($ty:ty, $declaration:literal, $value:expr, $change:expr) => {
        for engine in engines() {
            let interface = interface(&engine, $declaration);
            let change: fn($ty) -> $ty = $change;
            let size = size_of::<$ty>();
            let ty = interface.signature().result().clone();
            let values = move |given: &[Value<'_>]| {
                let object = given[0].as_object().expect("a struct");
                // SAFETY: the object has the struct's bytes, which any values are.
                let value = change(unsafe { object.bytes().as_ptr().cast::<$ty>().read_unaligned() });
                let mut object = Object::zeroed(&ty)?;
                // SAFETY: as above.
                unsafe { object.bytes_mut().as_mut_ptr().cast::<$ty>().write_unaligned(value) };
                Ok(Value::Object(object))
            };
            // SAFETY: that is the type of argument and result.
            let slots = interface.slots(move |arguments, result| unsafe { result.write(change(arguments.read(0))) });
            let mut closures =
                vec![("values", Any::Home(interface.values(values).unwrap())), ("slots", Any::Home(slots.unwrap()))];
            closures.extend(typed(&interface, move |x: $ty| -> $ty { change(x) }));
            for (kind, closure) in closures {
                // SAFETY: that is its type.
                let f: extern "C" fn($ty) -> $ty = unsafe { function(closure.as_ptr()) };
                assert_eq!(catch(|| f($value)).unwrap(), change($value), "{size} bytes, {kind} by {}", engine.tier());
            }
        }
    };
}

#[test]
fn structs_in_and_out() {
    check_struct!(Pair, "struct pair { long a; double b; }; struct pair f(struct pair)", Pair { a: 7, b: 1.5 }, |x| {
        Pair { a: x.a + 1, b: -x.b }
    });
    check_struct!(
        Four,
        "struct four { float a, b, c, d; }; struct four f(struct four)",
        Four { a: 1.0, b: 2.0, c: 3.0, d: 4.0 },
        |x| Four { a: x.d, b: x.c, c: x.b, d: x.a }
    );
    check_struct!(
        Small,
        "struct small { unsigned char a; unsigned short b; }; struct small f(struct small)",
        Small { a: 200, b: 40000 },
        |x| Small { a: x.a + 1, b: x.b + 1 }
    );
    check_struct!(
        Five,
        "struct five { long a, b, c, d, e; }; struct five f(struct five)",
        Five { a: 1, b: 2, c: 3, d: 4, e: 5 },
        |x| Five { a: x.e, b: x.d, c: x.c, d: x.b, e: -x.a }
    );
}

/// The same from C code, which uses the address of a result in memory once more.
#[test]
fn structs_from_c() {
    for engine in engines() {
        let pair = "struct pair { long a; double b; };
            struct pair next_pair(struct pair (*f)(struct pair), struct pair x)";
        let next_pair = find(&engine, c::library(), pair).typed::<(*const u8, Pair), Pair>().unwrap();
        let interface_of_pair = interface(&engine, "struct pair { long a; double b; }; struct pair f(struct pair)");
        for (kind, closure) in typed(&interface_of_pair, |x: Pair| -> Pair { Pair { a: x.a + 1, b: x.b * 2.0 } }) {
            // SAFETY: that is how it is declared.
            let given = unsafe { next_pair.call((closure.as_ptr().cast(), Pair { a: 1, b: 1.5 })) };
            assert_eq!(given, Pair { a: 3, b: 6.0 }, "{kind} by {}", engine.tier());
        }
        let big = "struct big { long a[5]; }; struct big next_big(struct big (*f)(struct big), struct big x)";
        let next_big = find(&engine, c::library(), big);
        let interface = interface(&engine, "struct big { long a[5]; }; struct big f(struct big)");
        let closure = interface.slots(|arguments, result| {
            // SAFETY: a struct of five longs is alike.
            unsafe {
                let Five { a, b, c, d, e } = arguments.read(0);
                result.write(Five { a: b, b: c, c: d, d: e, e: a });
            }
        });
        let closure = closure.unwrap();
        let list = [1, 2, 3, 4, 5].map(Value::I64);
        // SAFETY: that is how it is declared.
        let given = unsafe { next_big.call(&[closure.value(), Value::Fields(&[("a", Value::List(&list))])]) }.unwrap();
        let words: Vec<u8> = [3i64, 4, 5, 1, 2].iter().flat_map(|word| word.to_ne_bytes()).collect();
        assert_eq!(given.as_object().unwrap().bytes(), words, "by {}", engine.tier());
    }
}

/// Twelve parameters; with a general register left for the record, and without, so that arguments go by slots.
#[test]
fn twelve_typed_parameters() {
    for engine in engines() {
        let roomy =
            "double f(int, double, long, float, short, double, float, double, unsigned char, float, double, double)";
        let handler =
            |a: i32, b: f64, c: i64, d: f32, e: i16, g: f64, h: f32, i: f64, j: u8, k: f32, l: f64, m: f64| -> f64 {
                f64::from(a)
                    + 2.0 * b
                    + 3.0 * c as f64
                    + 4.0 * f64::from(d)
                    + 5.0 * f64::from(e)
                    + 6.0 * g
                    + 7.0 * f64::from(h)
                    + 8.0 * i
                    + 9.0 * f64::from(j)
                    + 10.0 * f64::from(k)
                    + 11.0 * l
                    + 12.0 * m
            };
        for (kind, closure) in typed(&interface(&engine, roomy), handler) {
            type F = extern "C" fn(i32, f64, i64, f32, i16, f64, f32, f64, u8, f32, f64, f64) -> f64;
            // SAFETY: that is its type.
            let f: F = unsafe { function(closure.as_ptr()) };
            let given = f(-1, 2.5, -3, 4.5, -5, 6.5, 7.5, -8.5, 9, 10.5, 11.5, 12.5);
            let expected = handler(-1, 2.5, -3, 4.5, -5, 6.5, 7.5, -8.5, 9, 10.5, 11.5, 12.5);
            assert_eq!(given, expected, "{kind} by {}", engine.tier());
        }

        let full = "long f(long, int, long, short, long, signed char, long, long, unsigned, long, long, long)";
        let handler =
            |a: i64, b: i32, c: i64, d: i16, e: i64, g: i8, h: i64, i: i64, j: u32, k: i64, l: i64, m: i64| -> i64 {
                a + 2 * i64::from(b)
                    + 3 * c
                    + 4 * i64::from(d)
                    + 5 * e
                    + 6 * i64::from(g)
                    + 7 * h
                    + 8 * i
                    + 9 * i64::from(j)
                    + 10 * k
                    + 11 * l
                    + 12 * m
            };
        for (kind, closure) in typed(&interface(&engine, full), handler) {
            type F = extern "C" fn(i64, i32, i64, i16, i64, i8, i64, i64, u32, i64, i64, i64) -> i64;
            // SAFETY: that is its type.
            let f: F = unsafe { function(closure.as_ptr()) };
            let given = f(1, -2, 3, -4, 5, -6, 7, 8, u32::MAX, -10, 11, 12);
            let expected = handler(1, -2, 3, -4, 5, -6, 7, 8, u32::MAX, -10, 11, 12);
            assert_eq!(given, expected, "{kind} by {}", engine.tier());
        }
    }
}

#[test]
fn nothing_in_nothing_out() {
    for engine in engines() {
        let runs = AtomicU32::new(0);
        let interface = interface(&engine, "void f(void)");
        let run = || {
            runs.fetch_add(1, Ordering::Relaxed);
        };
        let mut closures = typed(&interface, run).map(|(_, closure)| closure).into_iter().collect::<Vec<_>>();
        closures.push(Any::Home(interface.slots(|_, _| run()).unwrap()));
        let values = interface.values(|values| {
            assert!(values.is_empty());
            run();
            Ok(Value::Void)
        });
        closures.push(Any::Home(values.unwrap()));
        for closure in closures {
            // SAFETY: that is its type.
            let f: extern "C" fn() = unsafe { function(closure.as_ptr()) };
            catch(|| f()).unwrap();
        }
        assert_eq!(runs.into_inner(), 5);
    }
}

/// Handlers change their variables, and borrow.
#[test]
fn exclusive_handlers_change_their_variables() {
    for engine in engines() {
        let each = find(&engine, c::library(), c::EACH);
        let (mut seen, mut results) = (Vec::new(), [0; 4]);
        let interface = interface(&engine, "int f(int)");
        let closure = interface.typed_mut(|x: i32| -> i32 {
            seen.push(x);
            seen.iter().sum()
        });
        let closure = closure.unwrap();
        // SAFETY: that is how it is declared.
        unsafe { each.call(&[closure.value(), 4.into(), (&mut results).into()]) }.unwrap();
        drop(closure);
        assert_eq!((seen.as_slice(), results), ([0, 1, 2, 3].as_slice(), [0, 1, 3, 6]));
    }
}

#[test]
fn types_that_are_not_the_declared_ones_are_refused() {
    for engine in engines() {
        let scale = interface(&engine, "double scale(double x, int by)");
        let check = |made: jitcall::Result<jitcall::Closure<'_>>, expected: &str| {
            let error = made.unwrap_err();
            assert!(matches!(error, Error::Typed { .. }));
            assert_eq!(error.to_string(), expected);
        };
        check(
            scale.typed(|_: f64, _: i64| -> f64 { 0.0 }),
            "scale: argument 2 (by) is declared int, which Rust's i64 is not",
        );
        check(
            scale.typed(|_: f64, _: i32| -> f32 { 0.0 }),
            "scale: the result is declared double, which Rust's f32 is not",
        );
        check(scale.typed_mut(|_: f64, _: i32| ()), "scale: the result is declared double, which Rust's () is not");
        check(
            scale.typed(|_: f64| -> f64 { 0.0 }),
            "scale: the parameter list is declared double scale(double x, int by), which Rust's (f64,) is not",
        );
        let shared = scale.typed_shared(|_: f32, _: i32| -> f64 { 0.0 }).unwrap_err();
        assert_eq!(shared.to_string(), "scale: argument 1 (x) is declared double, which Rust's f32 is not");
    }
}

#[test]
fn variadic_signatures_are_refused() {
    let signature = jitcall::Signature::parse("int log(const char *format, ...)").unwrap();
    for engine in engines() {
        let error = engine.prepare_callback(&signature).unwrap_err();
        let expected = "not supported: int log(const char *format, ...) as a callback: what follows the named arguments \
            cannot be known";
        assert_eq!(error.to_string(), expected);
    }
}

#[test]
fn results_that_do_not_fit_are_failures() {
    let rows: &[(&str, Value<'static>, &str)] = &[
        (
            "int f(int)",
            Value::F64(1.5),
            "callback f: the result: expected int, got 1.5 (double): not an integer in range",
        ),
        (
            "int f(int)",
            Value::I64(1 << 40),
            "callback f: the result: expected int, got 1099511627776 (long): out of range",
        ),
        ("int f(int)", Value::Void, "callback f: the result: expected int, got no value: not a number"),
        ("void f(int)", Value::I32(1), "callback f: the result: expected void, got 1 (int): there is no void value"),
        (
            "struct s { int x; }; struct s f(int)",
            Value::I32(1),
            "callback f: the result: expected struct s, got 1 (int): expected a list or fields",
        ),
        (
            "struct s { int x; short y; }; struct s f(int)",
            Value::Fields(&[("y", Value::I32(1 << 20))]),
            "callback f: the result.y: expected short, got 1048576 (int): out of range",
        ),
    ];
    for engine in engines() {
        for (declaration, value, expected) in rows {
            let interface = interface(&engine, declaration);
            let closure = interface.values(|_| Ok(value.clone())).unwrap();
            // SAFETY: its result is in registers, or void.
            let f: extern "C" fn(i32) -> i32 = unsafe { function(closure.as_ptr()) };
            assert_eq!(failure_of(|| f(1)), *expected, "by {}", engine.tier());
        }
    }
}

#[test]
fn values_are_converted_to_the_result() {
    for engine in engines() {
        let closure = interface(&engine, "double f(int)").values(|_| Ok(Value::I8(-3))).unwrap();
        // SAFETY: that is its type.
        let f: extern "C" fn(i32) -> f64 = unsafe { function(closure.as_ptr()) };
        assert_eq!(catch(|| f(1)).unwrap(), -3.0);
    }
}

#[test]
fn the_default_is_what_was_asked_for() {
    for engine in engines() {
        let zero = interface(&engine, "int f(int)");
        let other = zero.with_default(&(-7).into()).unwrap();
        for (interface, expected) in [(&zero, 0), (&other, -7), (&other.with_policy(Default::default()), -7)] {
            for (kind, closure) in of_int(interface, |_| std::panic::resume_unwind(Box::new("no"))) {
                // SAFETY: that is its type.
                let f: extern "C" fn(i32) -> i32 = unsafe { function(closure.as_ptr()) };
                let mut given = 0x5555;
                assert_eq!(failure_of(|| given = f(1)), "callback f: panicked: no", "{kind}");
                assert_eq!(given, expected, "{kind} by {}", engine.tier());
            }
        }
        let error = zero.with_default(&1.5.into()).unwrap_err();
        assert_eq!(error.to_string(), "expected int, got 1.5 (double): not an integer in range");
    }
}

#[test]
fn defaults_of_structs() {
    for engine in engines() {
        let numbers = [1, 2, 3, 4, 5].map(Value::I64);
        let five = interface(&engine, "struct five { long a, b, c, d, e; }; struct five f(int)");
        let five = five.with_default(&Value::List(&numbers)).unwrap();
        for (kind, closure) in typed(&five, |_: i32| -> Five { std::panic::resume_unwind(Box::new("no")) }) {
            // SAFETY: that is its type.
            let f: extern "C" fn(i32) -> Five = unsafe { function(closure.as_ptr()) };
            let mut given = None;
            failure_of(|| given = Some(f(1)));
            assert_eq!(given, Some(Five { a: 1, b: 2, c: 3, d: 4, e: 5 }), "{kind} by {}", engine.tier());
        }
        let values = five.values(|_| Err("no".into())).unwrap();
        // SAFETY: that is its type.
        let f: extern "C" fn(i32) -> Five = unsafe { function(values.as_ptr()) };
        let mut given = None;
        assert_eq!(failure_of(|| given = Some(f(1))), "callback f: no");
        assert_eq!(given, Some(Five { a: 1, b: 2, c: 3, d: 4, e: 5 }), "values by {}", engine.tier());
    }
}
