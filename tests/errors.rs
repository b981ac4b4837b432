//! What is refused, and in which words.

mod tiers;

use std::ffi::c_void;
use std::sync::atomic::{AtomicU32, Ordering};

use jitcall::value::{F16, LongDouble};
use jitcall::{CType, Engine, Error, Function, Object, Signature, Slot, Tier, Type, Value, c_struct};
use tiers::{bind, engines, engines_with};

static CALLS: AtomicU32 = AtomicU32::new(0);

/// What the refused calls would call.
extern "C" fn target() {
    CALLS.fetch_add(1, Ordering::Relaxed);
}

/// Binds the declaration to a function that must not be called with it.
fn refusing(engine: &Engine, declaration: &str) -> Function {
    bind(engine, target as *const c_void, declaration)
}

/// Checks that both tiers refuse a call in these words, and call nothing.
fn check(declaration: &str, arguments: &[Value<'_>], expected: &str) {
    for engine in engines() {
        let function = refusing(&engine, declaration);
        for error in [
            // SAFETY: the arguments are refused before anything is called.
            unsafe { function.call(arguments) }.unwrap_err(),
            // SAFETY: as above.
            unsafe { function.call_with_errno(arguments) }.unwrap_err(),
        ] {
            assert_eq!(error.to_string(), expected, "{declaration} by {}", engine.tier());
        }
    }
    assert_eq!(CALLS.load(Ordering::Relaxed), 0, "nothing was called");
}

/// The same for functions with one unnamed parameter: its type, after the definitions that it needs; the argument; and
/// what the error says of it.
fn check_one(rows: &[(&str, Value<'_>, &str)]) {
    for (parameter, argument, expected) in rows {
        let (definitions, ty) = parameter.rsplit_once("; ").unwrap_or(("", parameter));
        let declaration = format!("{definitions}; void f({ty})");
        check(&declaration, std::slice::from_ref(argument), &format!("f: argument 1{expected}"));
    }
}

#[test]
fn counts() {
    let rows: &[(&str, &[Value<'_>], &str)] = &[
        ("int f(void)", &[1.into()], "f: expected 0 arguments, got 1"),
        ("int f(int)", &[], "f: expected 1 argument, got 0"),
        ("int f(int, int)", &[1.into(), 2.into(), 3.into()], "f: expected 2 arguments, got 3"),
        ("int (int, int)", &[1.into()], "int (int, int): expected 2 arguments, got 1"),
        ("int f(const char *, ...)", &[], "f: expected at least 1 argument, got 0"),
    ];
    for (declaration, arguments, expected) in rows {
        check(declaration, arguments, expected);
    }
}

#[test]
fn integers_out_of_range() {
    check_one(&[
        ("signed char", 128.into(), ": expected signed char, got 128 (int): out of range"),
        ("int8_t", (-129).into(), ": expected signed char, got -129 (int): out of range"),
        ("unsigned char", 256.into(), ": expected unsigned char, got 256 (int): out of range"),
        ("uint8_t", (-1i8).into(), ": expected unsigned char, got -1 (signed char): out of range"),
        ("short", 32768.into(), ": expected short, got 32768 (int): out of range"),
        ("short", (-32769).into(), ": expected short, got -32769 (int): out of range"),
        ("unsigned short", 65536.into(), ": expected unsigned short, got 65536 (int): out of range"),
        ("unsigned short", (-1i16).into(), ": expected unsigned short, got -1 (short): out of range"),
        ("int", (1i64 << 31).into(), ": expected int, got 2147483648 (long): out of range"),
        ("int", u32::MAX.into(), ": expected int, got 4294967295 (unsigned int): out of range"),
        ("unsigned", (-1).into(), ": expected unsigned int, got -1 (int): out of range"),
        ("unsigned", (1u64 << 32).into(), ": expected unsigned int, got 4294967296 (unsigned long): out of range"),
        ("long", (1u64 << 63).into(), ": expected long, got 9223372036854775808 (unsigned long): out of range"),
        ("size_t", (-1i64).into(), ": expected unsigned long, got -1 (long): out of range"),
        ("long long", (1i128 << 63).into(), ": expected long long, got 9223372036854775808 (__int128): out of range"),
        (
            "unsigned long long",
            (1i128 << 64).into(),
            ": expected unsigned long long, got 18446744073709551616 (__int128): out of range",
        ),
        (
            "__int128",
            (1u128 << 127).into(),
            ": expected __int128, got 170141183460469231731687303715884105728 (unsigned __int128): out of range",
        ),
        ("unsigned __int128", (-1).into(), ": expected unsigned __int128, got -1 (int): out of range"),
        ("_Bool", 2.into(), ": expected _Bool, got 2 (int): out of range"),
        ("_Bool", (-1).into(), ": expected _Bool, got -1 (int): out of range"),
        ("enum e { A, B = 7 }; enum e", (-1).into(), ": expected enum e, got -1 (int): out of range"),
        (
            "enum e { A = -1 }; enum e",
            u32::MAX.into(),
            ": expected enum e, got 4294967295 (unsigned int): out of range",
        ),
    ]);
}

#[test]
fn numbers_that_would_change() {
    let long = |value: i128| Value::LongDouble(LongDouble::from_integer(value).unwrap());
    check_one(&[
        ("int", 1.5.into(), ": expected int, got 1.5 (double): not an integer in range"),
        ("int", f32::NAN.into(), ": expected int, got nan (float): not an integer in range"),
        ("int", 1e300.into(), ": expected int, got 1e300 (double): not an integer in range"),
        ("int", 1e10.into(), ": expected int, got 10000000000 (double): out of range"),
        ("int", F16(0x3800).into(), ": expected int, got 0.5 (_Float16): not an integer in range"),
        ("int", long(1 << 31), ": expected int, got 2147483648 (long double): out of range"),
        ("_Bool", 0.5.into(), ": expected _Bool, got 0.5 (double): not a truth value"),
        ("float", ((1 << 24) + 1).into(), ": expected float, got 16777217 (int): not represented exactly"),
        (
            "double",
            ((1i64 << 53) + 1).into(),
            ": expected double, got 9007199254740993 (long): not represented exactly",
        ),
        ("_Float16", 2049.into(), ": expected _Float16, got 2049 (int): not represented exactly"),
        ("_Float16", 100_000.into(), ": expected _Float16, got 100000 (int): not represented exactly"),
        (
            "long double",
            i128::MAX.into(),
            ": expected long double, got 170141183460469231731687303715884105727 (__int128): not represented exactly",
        ),
        (
            "double",
            (u128::MAX - 1).into(),
            ": expected double, got 340282366920938463463374607431768211454 (unsigned __int128): \
             not represented exactly",
        ),
        ("float", 1e39.into(), ": expected float, got 1e39 (double): out of range"),
        ("_Float16", 1e5f32.into(), ": expected _Float16, got 100000 (float): out of range"),
        (
            "float _Complex",
            Value::Complex64(1.0, 1e39),
            ": expected float _Complex, got 1+1e39i (double _Complex): out of range",
        ),
        (
            "float _Complex",
            Value::List(&[1.into(), 1e39.into()]),
            ".im: expected float, got 1e39 (double): out of range",
        ),
        (
            "float _Complex",
            Value::List(&[1.into()]),
            ": expected float _Complex, got a list of 1: expected a real and an imaginary part",
        ),
        ("double", Value::Complex64(1.0, 0.0), ": expected double, got 1+0i (double _Complex): not a number"),
    ]);
}

#[test]
fn kinds_that_do_not_mix() {
    let null = || Value::Pointer(std::ptr::null_mut());
    let pair = Object::new(&Type::parse("struct pair { int a, b; }").unwrap(), &Value::Fields(&[])).unwrap();
    check_one(&[
        ("int", c"5".into(), ": expected int, got the text \"5\": not a number"),
        ("int", null(), ": expected int, got the pointer null: an address is not a number"),
        ("int", Value::Void, ": expected int, got no value: not a number"),
        ("int", Value::List(&[]), ": expected int, got a list of 0: not a number"),
        ("int", Value::Fields(&[("a", 1.into())]), ": expected int, got {a: 1}: not a number"),
        ("int", pair.clone().into(), ": expected int, got an object of type struct pair: not a number"),
        ("double", null(), ": expected double, got the pointer null: not a number"),
        ("_Bool", null(), ": expected _Bool, got the pointer null: not a truth value"),
        ("struct s { int a; }; struct s", 1.into(), ": expected struct s, got 1 (int): expected a list or fields"),
        (
            "struct s { int a, b; }; struct s",
            pair.into(),
            ": expected struct s, got an object of type struct pair: another type",
        ),
        (
            "int __attribute__((vector_size(8)))",
            true.into(),
            ": expected int __attribute__((vector_size(8))), got true: expected a list",
        ),
    ]);
}

#[test]
fn pointers() {
    let shared = [1u8, 2, 3].as_slice();
    let mut words = [0u32; 4];
    let start = usize::from(words.as_ptr().addr() % 8 == 0);
    let misaligned = Value::from(&mut words[start..][..2]);
    let mut data = [0u8; 5];
    check_one(&[
        ("void *", 5.into(), ": expected void *, got 5 (int): a number is not an address: give a pointer"),
        ("void *", 0.into(), ": expected void *, got 0 (int): a number is not an address: give a pointer"),
        (
            "void *",
            (1u128 << 127).into(),
            ": expected void *, got 170141183460469231731687303715884105728 (unsigned __int128): \
             a number is not an address: give a pointer",
        ),
        ("void *", 1.5.into(), ": expected void *, got 1.5 (double): not a pointer"),
        ("int *", Value::List(&[1.into()]), ": expected int *, got a list of 1: not a pointer"),
        ("char *", c"to".into(), ": expected char *, got the text \"to\": C may write through it: give a buffer"),
        ("void *", c"to".into(), ": expected void *, got the text \"to\": C may write through it: give a buffer"),
        (
            "unsigned char *",
            shared.into(),
            ": expected unsigned char *, got 3 shared bytes: C may write through it: give a buffer",
        ),
        ("const int *", c"to".into(), ": expected const int *, got the text \"to\": it does not point at characters"),
        (
            "const struct s *",
            c"to".into(),
            ": expected const struct s *, got the text \"to\": it does not point at characters",
        ),
        ("int (*)(int)", c"to".into(), ": expected int (*)(int), got the text \"to\": data is not a function"),
        ("int (*)(int)", shared.into(), ": expected int (*)(int), got 3 shared bytes: data is not a function"),
        (
            "void (*)()",
            (&mut data).into(),
            ": expected void (*)(void), got a buffer of 5 bytes: data is not a function",
        ),
        ("double *", misaligned, ": expected double *, got a buffer of 8 bytes: the memory is not aligned to 8 bytes"),
    ]);
}

#[test]
fn members_and_elements() {
    const POINT: &str = "struct point { double x[4]; short y; }; struct point";
    const BITS: &str = "struct bits { unsigned low: 3; int : 2; int high: 4; _Bool flag: 1; }; struct bits";
    const MIXED: &str = "struct mixed { int tag; union { long whole; struct { int a, b; }; }; }; struct mixed";
    const UNION: &str = "union u { int i; float f; }; union u";
    let list = |text: &'static [Value<'static>]| Value::List(text);
    check_one(&[
        (POINT, list(&[Value::I32(1)]), ": expected struct point, got a list of 1: expected 2 members"),
        (
            POINT,
            list(&[Value::List(&[Value::I32(1)]), Value::I32(1)]),
            ".x: expected double[4], got a list of 1: expected 4 elements",
        ),
        (
            POINT,
            list(&[
                Value::List(&[Value::I32(1), Value::I32(2), Value::I32(3), Value::Bool(false)]),
                Value::I32(1 << 15),
            ]),
            ".y: expected short, got 32768 (int): out of range",
        ),
        (
            POINT,
            Value::Fields(&[("x", Value::List(&[1.into(), 2.into(), 3.into(), c"4".into()]))]),
            ".x[3]: expected double, got the text \"4\": not a number",
        ),
        (POINT, Value::Fields(&[("z", 1.into())]), ": expected struct point, got {z: 1}: there is no member z"),
        (
            POINT,
            Value::Fields(&[("y", 1.into()), ("y", 2.into())]),
            ": expected struct point, got {y: 1, y: 2}: y is given twice",
        ),
        (
            POINT,
            Value::Fields(&[("x", c"1234".into())]),
            ".x: expected double[4], got the text \"1234\": expected a list",
        ),
        (BITS, Value::Fields(&[("low", 8.into())]), ".low: expected unsigned int, got 8 (int): out of range of 3 bits"),
        (BITS, Value::Fields(&[("low", (-1).into())]), ".low: expected unsigned int, got -1 (int): out of range"),
        (BITS, Value::Fields(&[("high", 8.into())]), ".high: expected int, got 8 (int): out of range of 4 bits"),
        (BITS, Value::Fields(&[("high", (-9).into())]), ".high: expected int, got -9 (int): out of range of 4 bits"),
        (BITS, Value::Fields(&[("flag", 2.into())]), ".flag: expected _Bool, got 2 (int): out of range"),
        (
            BITS,
            list(&[Value::I32(1), Value::I32(0), Value::I32(1), Value::I32(1)]),
            ": expected struct bits, got a list of 4: expected 3 members",
        ),
        (UNION, list(&[Value::I32(1)]), ": expected union u, got a list of 1: a union takes one member by name"),
        (UNION, Value::Fields(&[]), ": expected union u, got {}: a union takes one member"),
        (
            UNION,
            Value::Fields(&[("i", 1.into()), ("f", 2.into())]),
            ": expected union u, got {i: 1, f: 2}: a union takes one member: i or f",
        ),
        (
            MIXED,
            Value::Fields(&[("a", 1.into()), ("tag", 2.into()), ("whole", 3.into())]),
            ": expected struct mixed, got {a: 1, tag: 2, whole: 3}: a union takes one member: a or whole",
        ),
        (
            MIXED,
            list(&[Value::I32(1), Value::I32(2)]),
            "[1]: expected union { long whole; struct { int a; int b; }; }, got 2 (int): expected a list or fields",
        ),
        (
            "struct name { char c[3]; }; struct name",
            Value::List(&[c"four".into()]),
            ".c: expected char[3], got the text \"four\": more than 3 bytes",
        ),
        (
            "int __attribute__((vector_size(16)))",
            Value::List(&[1.into(), 2.into(), (1i64 << 31).into(), 4.into()]),
            "[2]: expected int, got 2147483648 (long): out of range",
        ),
    ]);
}

#[test]
fn places_name_parameters() {
    check(
        "struct s { int x[4]; }; void f(int first, struct s p)",
        &[1.into(), Value::Fields(&[("x", Value::List(&[1.into(), 2.into(), 3.into(), 4.5.into()]))])],
        "f: argument 2 (p).x[3]: expected int, got 4.5 (double): not an integer in range",
    );
    check(
        "struct s { struct { struct { char c; } *no; union { short y; } u[2]; } in; }; void (int, struct s)",
        &[
            1.into(),
            Value::Fields(&[(
                "in",
                Value::Fields(&[(
                    "u",
                    Value::List(&[Value::Fields(&[("y", 1.into())]), Value::Fields(&[("y", 1e6.into())])]),
                )]),
            )]),
        ],
        "void (int, struct s): argument 2.in.u[1].y: expected short, got 1000000 (double): out of range",
    );
    let ty = Type::parse("struct s { unsigned char x[2]; }").unwrap();
    let alone = Object::new(&ty, &Value::List(&[Value::List(&[1.into(), 256.into()])])).unwrap_err();
    assert_eq!(alone.to_string(), ".x[1]: expected unsigned char, got 256 (int): out of range");
}

#[test]
fn a_member_of_an_anonymous_struct_does_not_exclude_its_neighbour() {
    let ty = Type::parse("struct { union { long whole; struct { int a, b; }; }; }").unwrap();
    let object = Object::new(&ty, &Value::Fields(&[("a", 1.into()), ("b", 2.into())])).unwrap();
    assert_eq!(object.field("whole").unwrap(), Value::I64(2 << 32 | 1));
}

c_struct! {
    struct Pair {
        a: i32,
        b: u32,
    }
}

c_struct! {
    struct Single {
        a: f64,
    }
}

/// Asks for Rust types that a function has not, and gives the error.
type Refusal = fn(&Function) -> Error;

#[test]
fn rust_types_that_are_not_the_declared_ones() {
    const PAIR: &str = "struct pair { int a; unsigned b; };";
    let refusals: &[(&str, Refusal, &str)] = &[
        ("int f(int x)", typed::<(u32,), i32>, "f: argument 1 (x) is declared int, which Rust's u32 is not"),
        ("int f(int, long y)", typed::<(i32, i32), i32>, "f: argument 2 (y) is declared long, which Rust's i32 is not"),
        ("int f(double)", typed::<(f32,), i32>, "f: argument 1 is declared double, which Rust's f32 is not"),
        ("int f(int)", typed::<(bool,), i32>, "f: argument 1 is declared int, which Rust's bool is not"),
        ("int f(void *)", typed::<(usize,), i32>, "f: argument 1 is declared void *, which Rust's usize is not"),
        ("int f(long)", typed::<(*const u8,), i32>, "f: argument 1 is declared long, which Rust's *const u8 is not"),
        ("int f(long double)", typed::<(f64,), i32>, "f: argument 1 is declared long double, which Rust's f64 is not"),
        ("int f(int)", typed::<(i32,), ()>, "f: the result is declared int, which Rust's () is not"),
        ("void f(int)", typed::<(i32,), i32>, "f: the result is declared void, which Rust's i32 is not"),
        ("long f(int)", typed::<(i32,), u64>, "f: the result is declared long, which Rust's u64 is not"),
        ("int f(int)", typed::<(), i32>, "f: the parameter list is declared int f(int), which Rust's () is not"),
        (
            "int f(int)",
            typed::<(i32, i32), i32>,
            "f: the parameter list is declared int f(int), which Rust's (i32, i32) is not",
        ),
        (
            "int f(int, ...)",
            typed::<(i32,), i32>,
            "f: the parameter list is declared int f(int, ...), which Rust's (i32,) is not",
        ),
        (
            "struct pair { int a, b; }; int f(struct pair)",
            typed::<(Pair,), i32>,
            "f: argument 1 is declared struct pair, which Rust's errors::Pair is not",
        ),
        (
            "union pair { int a; unsigned b; }; int f(union pair)",
            typed::<(Pair,), i32>,
            "f: argument 1 is declared union pair, which Rust's errors::Pair is not",
        ),
        (
            "struct s { double a; }; int f(double)",
            typed::<(Single,), i32>,
            "f: argument 1 is declared double, which Rust's errors::Single is not",
        ),
        (
            "struct s { long a; }; struct s f(void)",
            typed::<(), Single>,
            "f: the result is declared struct s, which Rust's errors::Single is not",
        ),
        ("int f(int)", slots::<u32>, "f: the result is declared int, which Rust's u32 is not"),
        ("int f(int)", slots::<()>, "f: the result is declared int, which Rust's () is not"),
        ("int *f(int)", slots::<u64>, "f: the result is declared int *, which Rust's u64 is not"),
    ];
    for engine in engines() {
        for (declaration, refuse, expected) in refusals {
            let error = refuse(&refusing(&engine, declaration));
            assert!(matches!(error, Error::Typed { .. }), "{error:?}");
            assert_eq!(error.to_string(), *expected, "{declaration}");
        }
        let pair = refusing(&engine, &format!("{PAIR} struct pair f(const struct pair *, struct pair, char, char)"));
        assert!(pair.typed::<(*mut u8, Pair, i8, u8), Pair>().is_ok(), "tags and what pointers point at do not count");
        assert!(refusing(&engine, "enum { A } f(size_t)").typed::<(usize,), u32>().is_ok());
    }
}

fn typed<A: jitcall::ctype::CArguments, R: CType>(function: &Function) -> Error {
    function.typed::<A, R>().err().expect("a mismatch")
}

fn slots<R: CType>(function: &Function) -> Error {
    function.slots::<R>().err().expect("a mismatch")
}

#[test]
fn variadic_misuse() {
    for engine in engines() {
        let format = || Value::Str(c"");
        let printf = refusing(&engine, "int printf(const char *format, ...)");
        let plain = refusing(&engine, "int f(int)");
        let rows: &[(&Function, &[Value<'_>], &[Value<'_>], &str)] = &[
            (&plain, &[1.into()], &[2.into()], "int f(int) takes no variadic arguments"),
            (
                &printf,
                &[format()],
                &[1.into(), Value::List(&[])],
                "printf: argument 3: expected a value with a C type of its own, got a list of 0: \
                 a variadic argument has no declared type",
            ),
            (
                &printf,
                &[format()],
                &[Value::Void],
                "printf: argument 2: expected a value with a C type of its own, got no value: \
                 a variadic argument has no declared type",
            ),
            (
                &printf,
                &[1.into()],
                &[2.into()],
                "printf: argument 1 (format): expected const char *, got 1 (int): \
                 a number is not an address: give a pointer",
            ),
            (&printf, &[], &[format()], "printf: expected at least 1 argument, got 0"),
        ];
        for (function, fixed, tail, expected) in rows {
            for error in [
                // SAFETY: the arguments are refused before anything is called.
                unsafe { function.call_variadic(fixed, tail) }.unwrap_err(),
                // SAFETY: as above.
                unsafe { function.call_variadic_with_errno(fixed, tail) }.unwrap_err(),
            ] {
                assert_eq!(error.to_string(), *expected);
            }
        }
        // SAFETY: refused before anything is called.
        let more = unsafe { printf.call(&[format(), 1.into()]) }.unwrap_err();
        assert_eq!(more.to_string(), "printf: expected 1 argument, got 2");
        let two = printf.with_tail([Type::I8, Type::F32]).unwrap();
        assert_eq!(two.signature().parameters()[1].ty, Type::I32, "promoted");
        // SAFETY: refused before anything is called.
        let fewer = unsafe { two.call(&[format(), 1.into()]) }.unwrap_err();
        assert_eq!(fewer.to_string(), "printf: expected 3 arguments, got 2");
        assert_eq!(printf.with_tail([Type::Void]).unwrap_err().to_string(), "void cannot be passed");
    }
    assert_eq!(CALLS.load(Ordering::Relaxed), 0);
}

#[test]
fn arguments_that_no_stack_should_hold() {
    let refused = "not supported: argument 1 of 65544 bytes: the arguments of a call may take 65536 bytes of stack";
    for engine in engines() {
        let prepare = |text: &str| engine.prepare(&Signature::parse(text).unwrap());
        let error = prepare("struct s { long a[8193]; }; void f(struct s)").unwrap_err();
        assert!(matches!(error, Error::Unsupported { .. }), "{error:?}");
        assert_eq!(error.to_string(), refused);
        assert!(prepare("struct s { long a[8192]; }; void f(struct s)").is_ok(), "just the limit");
        let error = prepare("struct s { long a[4096]; }; void f(int, struct s, int, struct s, struct s)").unwrap_err();
        assert_eq!(
            error.to_string(),
            "not supported: argument 5 of 32768 bytes: the arguments of a call may take 65536 bytes of stack"
        );
        let huge = prepare("struct s { char a[1073741825]; }; struct s f(void)").unwrap_err();
        assert_eq!(huge.to_string(), "not supported: a result of 1073741825 bytes");
        assert!(matches!(Signature::new(Type::F64, vec![Type::I32; 1025]), Err(Error::Type { .. })));
        assert!(engine.prepare(&Signature::new(Type::F64, vec![Type::I32; 1024]).unwrap()).is_ok());
    }
}

extern "C" fn last_of_two(_: i32, last: i32) -> i32 {
    last
}

#[test]
fn the_limit_on_code() {
    const LIMIT: usize = 1 << 15;
    for engine in engines_with(|builder| builder.code_limit(LIMIT)) {
        let add = bind(&engine, last_of_two as *const c_void, "int f(int, int)");
        // Every number of doubles among the stack's arguments has a stub of its own.
        let signature = |n| Signature::new(Type::Void, vec![Type::F64; n]).unwrap();
        let refused = (0..400).find_map(|n| engine.prepare(&signature(n)).err());
        let text = refused.as_ref().map(Error::to_string);
        match (engine.tier(), refused) {
            (Tier::Asm, None) => {}
            (Tier::Jit, Some(Error::CodeLimit { limit, used, needed })) => {
                assert!(limit == LIMIT && used <= LIMIT && used + needed > LIMIT, "{limit} {used} {needed}");
                let expected = format!(
                    "machine code would take {needed} bytes more than the limit of {LIMIT} bytes, \
                     of which {used} are used"
                );
                assert_eq!(text, Some(expected));
            }
            (tier, other) => panic!("{tier}: {other:?}"),
        }
        let statistics = engine.statistics();
        assert!(statistics.mapped_bytes <= LIMIT && statistics.limit == LIMIT, "{statistics:?}");
        // SAFETY: it has two such parameters.
        assert_eq!(unsafe { add.call(&[1.into(), 2.into()]) }.unwrap(), Value::I32(2), "what is there goes on working");
        let again = bind(&engine, last_of_two as *const c_void, "unsigned g(unsigned, unsigned)");
        let slots = [Slot::from(3u32), Slot::from(4u32)];
        // SAFETY: as above; signs do not matter here.
        assert_eq!(unsafe { again.slots::<u32>().unwrap().call(slots.as_ptr()) }, 4, "stubs that are there are found");
    }
}

#[test]
fn no_room_for_any_code() {
    let refused = Engine::builder().tier(Tier::Jit).code_limit(0).build().unwrap_err();
    assert!(matches!(refused, Error::CodeLimit { limit: 0, used: 0, .. }), "{refused:?}");
    assert_eq!(Engine::builder().tier(Tier::Asm).code_limit(0).build().unwrap().tier(), Tier::Asm);
    let fallen_back = Engine::builder().code_limit(0).build().unwrap();
    assert_eq!(fallen_back.tier(), Tier::Asm, "{}", fallen_back.reason());
}
