//! Functions and variables of real libraries: the C library, libm, zlib and SQLite.

mod tiers;

use std::ffi::{CStr, c_char, c_int, c_void};

use jitcall::value::LongDouble;
use jitcall::{Engine, Errno, Error, Function, Library, Object, Type, Value, c_struct};
use tiers::{engines, find, open};

fn libm() -> Library {
    // SAFETY: libm has no initialisers that could do harm.
    unsafe { Library::open("libm.so.6") }.unwrap()
}

/// Calls a function whose declaration is known to be right.
fn call(function: &Function, arguments: &[Value<'_>]) -> Value<'static> {
    // SAFETY: the tests declare functions as their headers do, and give them the memory they want.
    unsafe { function.call(arguments) }.unwrap_or_else(|error| panic!("{error}"))
}

/// Calls a variadic function likewise.
fn call_variadic(function: &Function, fixed: &[Value<'_>], tail: &[Value<'_>]) -> Value<'static> {
    // SAFETY: as in `call`; the formats fit the arguments.
    unsafe { function.call_variadic(fixed, tail) }.unwrap_or_else(|error| panic!("{error}"))
}

/// The text at a pointer that C returned.
fn text(value: &Value<'_>) -> String {
    let pointer = value.as_pointer().expect("a pointer").cast_const().cast::<c_char>();
    assert!(!pointer.is_null());
    // SAFETY: the tests call it with the strings of C functions.
    unsafe { CStr::from_ptr(pointer) }.to_str().unwrap().to_owned()
}

#[test]
fn scalars_of_libm() {
    let (half, quarter) = (LongDouble::from_f64(0.5), LongDouble::from_f64(0.25));
    let rows: &[(&str, &[Value<'_>], Value<'_>)] = &[
        ("double pow(double, double)", &[2.0.into(), 10.into()], 1024.0.into()),
        ("float powf(float x, float y)", &[2.0f32.into(), 0.5f32.into()], 2f32.sqrt().into()),
        ("float fmaf(float, float, float)", &[2f32.into(), 3f32.into(), 4f32.into()], 10f32.into()),
        ("double fma(double, double, double)", &[2.into(), 3.into(), 4.into()], 10.0.into()),
        ("double ldexp(double, int)", &[0.75.into(), 4.into()], 12.0.into()),
        ("long lround(double)", &[(-2.5).into()], Value::I64(-3)),
        ("int ilogb(double)", &[1024.0.into()], Value::I32(10)),
        ("long double sqrtl(long double)", &[quarter.into()], half.into()),
        ("long double sinl(long double)", &[0.into()], LongDouble::from_f64(0.0).into()),
        ("long double fabsl(long double)", &[(-0.5).into()], half.into()),
        ("long double ldexpl(long double, int)", &[0.25.into(), 1.into()], half.into()),
        ("double _Complex conj(double _Complex)", &[Value::Complex64(1.0, 2.0)], Value::Complex64(1.0, -2.0)),
        ("float _Complex conjf(float _Complex)", &[Value::Complex32(1.0, 2.0)], Value::Complex32(1.0, -2.0)),
        (
            "long double _Complex conjl(long double _Complex)",
            &[Value::ComplexLong(half, quarter)],
            Value::ComplexLong(half, LongDouble::from_f64(-0.25)),
        ),
        ("double cimag(double _Complex)", &[Value::List(&[1.into(), 2.into()])], 2.0.into()),
        ("long double creall(long double _Complex)", &[Value::Complex64(0.5, 2.0)], half.into()),
    ];
    let libm = libm();
    for engine in engines() {
        for (declaration, arguments, expected) in rows {
            let result = call(&find(&engine, &libm, declaration), arguments);
            assert_eq!(result, *expected, "{declaration} by {}", engine.tier());
        }
    }
}

#[test]
fn transcendental_functions_agree_with_rust() {
    let libm = libm();
    for engine in engines() {
        let sinl = find(&engine, &libm, "long double sinl(long double)");
        let cexp = find(&engine, &libm, "double _Complex cexp(double _Complex z)");
        for x in [0.0f64, 0.5, -1.25, 3.0, 1e6] {
            let Value::LongDouble(sine) = call(&sinl, &[x.into()]) else { panic!("no long double") };
            assert!((sine.to_f64() - x.sin()).abs() < 1e-15, "sinl({x}) = {sine}");
            let Value::Complex64(re, im) = call(&cexp, &[Value::Complex64(0.0, x)]) else { panic!("no complex") };
            assert!((re - x.cos()).abs() < 1e-15 && (im - x.sin()).abs() < 1e-15, "cexp({x}i) = {re}+{im}i");
        }
    }
}

#[test]
fn results_through_pointers() {
    let libm = libm();
    for engine in engines() {
        let frexp = find(&engine, &libm, "double frexp(double x, int *exponent)");
        let mut exponent = [0i32];
        assert_eq!(call(&frexp, &[48.0.into(), (&mut exponent).into()]), Value::F64(0.75));
        assert_eq!(exponent, [6]);

        let sincos = find(&engine, &libm, "void sincos(double x, double *sin, double *cos)");
        let (mut sine, mut cosine) = ([0.0], [0.0]);
        let nothing = call(&sincos, &[0.5.into(), (&mut sine).into(), (&mut cosine).into()]);
        assert_eq!(nothing, Value::Void);
        assert!((sine[0] - 0.5f64.sin()).abs() < 1e-15 && (cosine[0] - 0.5f64.cos()).abs() < 1e-15);

        let modf = find(&engine, &libm, "float modff(float x, float *whole)");
        let mut whole = [0f32];
        assert_eq!(call(&modf, &[(-3.25f32).into(), (&mut whole).into()]), Value::F32(-0.25));
        assert_eq!(whole, [-3.0]);
    }
}

c_struct! {
    /// `ldiv_t` of <stdlib.h>.
    #[derive(Debug, PartialEq)]
    struct LongDiv {
        quot: i64,
        rem: i64,
    }
}

#[test]
fn structs_as_results() {
    let rows = [
        ("struct div_t { int quot; int rem; }; struct div_t div(int, int)", 17, 5, (3, 2)),
        ("typedef struct { int quot, rem; } div_t; div_t div(int, int);", -17, 5, (-3, -2)),
        ("struct ldiv_t { long quot; long rem; }; struct ldiv_t ldiv(long, long)", -1i64 << 40, 3, (-366503875925, -1)),
        ("struct q { long long quot, rem; }; struct q lldiv(long long, long long)", 1i64 << 40, -3, (-366503875925, 1)),
    ];
    let libc = Library::process();
    for engine in engines() {
        for (declaration, dividend, divisor, (quotient, remainder)) in rows {
            let result = call(&find(&engine, &libc, declaration), &[dividend.into(), divisor.into()]);
            let object = result.as_object().expect("an object");
            assert_eq!(object.field("quot").unwrap().as_integer(), Some(quotient), "{declaration}");
            assert_eq!(object.field("rem").unwrap().as_integer(), Some(remainder), "{declaration}");
        }
        let ldiv = find(&engine, &libc, rows[2].0).typed::<(i64, i64), LongDiv>().unwrap();
        // SAFETY: that is how <stdlib.h> declares it.
        assert_eq!(unsafe { ldiv.call((-7, 2)) }, LongDiv { quot: -3, rem: -1 });
    }
}

#[test]
fn structs_as_arguments() {
    let libc = Library::process();
    let in_addr = "typedef uint32_t in_addr_t; struct in_addr { in_addr_t s_addr; }; ";
    for engine in engines() {
        let ntoa = find(&engine, &libc, &format!("{in_addr} char *inet_ntoa(struct in_addr address)"));
        let address = u32::from_ne_bytes([192, 0, 2, 33]);
        assert_eq!(text(&call(&ntoa, &[Value::List(&[address.into()])])), "192.0.2.33");
        assert_eq!(text(&call(&ntoa, &[Value::Fields(&[("s_addr", address.into())])])), "192.0.2.33");
        let object = Object::new(&ntoa.signature().parameters()[0].ty, &Value::List(&[address.into()])).unwrap();
        assert_eq!(text(&call(&ntoa, &[object.into()])), "192.0.2.33");

        let make =
            find(&engine, &libc, &format!("{in_addr} struct in_addr inet_makeaddr(in_addr_t net, in_addr_t host)"));
        let made = call(&make, &[10.into(), 7.into()]);
        assert_eq!(text(&call(&ntoa, &[made])), "10.0.0.7");
    }
}

#[test]
fn strings_and_numbers_of_the_c_library() {
    let libc = Library::process();
    for engine in engines() {
        let strlen = find(&engine, &libc, "size_t strlen(const char *s)");
        assert_eq!(call(&strlen, &[c"hello".into()]), Value::U64(5));
        assert_eq!(call(&strlen, &[b"hi\0there".as_slice().into()]), Value::U64(2));

        let getenv = find(&engine, &libc, "char *getenv(const char *name)");
        assert_eq!(call(&getenv, &[c"JITCALL_NO_SUCH_VARIABLE".into()]), Value::Pointer(std::ptr::null_mut()));
        let path = std::env::var("PATH").expect("cargo sets PATH");
        assert_eq!(text(&call(&getenv, &[c"PATH".into()])), path);

        let toupper = find(&engine, &libc, "int toupper(int c)");
        assert_eq!(call(&toupper, &[b'q'.into()]), Value::I32(b'Q'.into()));

        let strchr = find(&engine, &libc, "char *strchr(const char *s, int c)");
        let found = call(&strchr, &[c"key=value".into(), b'='.into()]);
        assert_eq!(text(&found), "=value");

        let memcmp = find(&engine, &libc, "int memcmp(const void *, const void *, size_t)");
        let order = call(&memcmp, &[b"abc".as_slice().into(), c"abd".into(), 3.into()]);
        assert!(order.as_integer().unwrap() < 0);

        let mut memory = *b"........";
        let memset = find(&engine, &libc, "void *memset(void *s, int c, size_t n)");
        let start = memory.as_mut_ptr();
        assert_eq!(call(&memset, &[(&mut memory).into(), b'x'.into(), 3.into()]), Value::from(start));
        assert_eq!(&memory, b"xxx.....");
    }
}

#[test]
fn variadic_arguments() {
    let long = |value: i64| Value::LongDouble(LongDouble::from_integer(value.into()).unwrap());
    let object = 7u8;
    let pointer = &raw const object;
    let address = format!("{pointer:p}");
    let rows: &[(&CStr, &[Value<'_>], &str)] = &[
        (c"nothing", &[], "nothing"),
        (c"%d %u", &[(-1).into(), u32::MAX.into()], "-1 4294967295"),
        (c"%d %d %d %d", &[i8::MIN.into(), 200u8.into(), i16::MIN.into(), true.into()], "-128 200 -32768 1"),
        (c"%ld %lu", &[i64::MIN.into(), u64::MAX.into()], "-9223372036854775808 18446744073709551615"),
        (c"%.2f %g", &[1.5.into(), 0.25f32.into()], "1.50 0.25"),
        (c"%.1Lf|%Lg", &[long(3), long(-1 << 40)], "3.0|-1.09951e+12"),
        (c"%s-%s", &[c"text".into(), b"bytes\0".as_slice().into()], "text-bytes"),
        (c"%p", &[pointer.into()], &address),
        (
            c"%d %g %s %Lg %d %g %d %g %d %g %Lg %d %g %d %g %d %g %g %g %g",
            &[
                1.into(),
                1.5.into(),
                c"s".into(),
                long(2),
                3.into(),
                3.5.into(),
                4.into(),
                4.5.into(),
                5.into(),
                5.5.into(),
                long(6),
                7.into(),
                7.5.into(),
                8.into(),
                8.5.into(),
                9.into(),
                9.5.into(),
                10.5.into(),
                11.5.into(),
                12.5.into(),
            ],
            "1 1.5 s 2 3 3.5 4 4.5 5 5.5 6 7 7.5 8 8.5 9 9.5 10.5 11.5 12.5",
        ),
    ];
    let libc = Library::process();
    for engine in engines() {
        let snprintf = find(&engine, &libc, "int snprintf(char *to, size_t size, const char *format, ...)");
        for (format, tail, expected) in rows {
            let mut to = [0xffu8; 128];
            let size = to.len();
            let written = call_variadic(&snprintf, &[(&mut to).into(), size.into(), (*format).into()], tail);
            assert_eq!(CStr::from_bytes_until_nul(&to).unwrap().to_str().unwrap(), *expected, "{}", engine.tier());
            assert_eq!(written, Value::I32(expected.len() as i32));
        }
    }
}

#[test]
fn a_prepared_variadic_tail_is_called_again() {
    let libc = Library::process();
    for engine in engines() {
        let sscanf = find(&engine, &libc, "int sscanf(const char *from, const char *format, ...)");
        let two = sscanf.with_tail([Type::pointer(), Type::pointer()]).unwrap();
        for (from, expected) in [(c"7 2.5", (7, 2.5, 2)), (c"-1 x", (-1, 0.0, 1)), (c"", (0, 0.0, -1))] {
            let (mut integer, mut float) = ([0i32], [0f64]);
            let read = call(&two, &[from.into(), c"%d %lf".into(), (&mut integer).into(), (&mut float).into()]);
            assert_eq!((integer[0], float[0], read), (expected.0, expected.1, Value::I32(expected.2)));
        }
    }
}

#[test]
fn errno_of_the_call() {
    let libc = Library::process();
    for engine in engines() {
        let strtol = find(&engine, &libc, "long strtol(const char *from, char **end, int base)");
        let null = Value::Pointer(std::ptr::null_mut());
        for (from, base, expected) in [
            (c"-1234", 10, (-1234, 0)),
            (c"7fffffffffffffff", 16, (i64::MAX, 0)),
            (c"99999999999999999999", 10, (i64::MAX, libc::ERANGE)),
            (c"-99999999999999999999", 10, (i64::MIN, libc::ERANGE)),
            (c"1", 99, (0, libc::EINVAL)),
        ] {
            Errno(libc::EPERM).set();
            // SAFETY: that is how <stdlib.h> declares it; a null `end` is allowed.
            let result = unsafe { strtol.call_with_errno(&[from.into(), null.clone(), base.into()]) };
            assert_eq!(result.unwrap(), (Value::I64(expected.0), Errno(expected.1)), "{from:?} by {}", engine.tier());
        }

        let open = find(&engine, &libc, "int open(const char *path, int flags, ...)");
        let path = c"/nonexistent/jitcall";
        // SAFETY: that is how <fcntl.h> declares it, and a mode is an unsigned integer.
        let result = unsafe { open.call_variadic_with_errno(&[path.into(), libc::O_RDONLY.into()], &[0u32.into()]) };
        assert_eq!(result.unwrap(), (Value::I32(-1), Errno(libc::ENOENT)));
    }
    assert_eq!(Errno(libc::ENOENT).to_string(), "No such file or directory (os error 2)");
}

extern "C" fn compare_ints(a: *const c_void, b: *const c_void) -> c_int {
    // SAFETY: the C library calls it with two elements of the array.
    let (a, b) = unsafe { (a.cast::<i32>().read(), b.cast::<i32>().read()) };
    a.cmp(&b) as c_int
}

#[test]
fn functions_as_arguments() {
    const COMPARE: &str = "typedef int (*compare)(const void *, const void *);";
    let libc = Library::process();
    let compare = Value::from(compare_ints as *const c_void);
    for engine in engines() {
        let declaration = format!("{COMPARE} void qsort(void *base, size_t members, size_t size, compare order)");
        let qsort = find(&engine, &libc, &declaration);
        let mut numbers = [5, -3, 9, 0, 12, -40, 7];
        let members = numbers.len();
        let nothing = call(&qsort, &[(&mut numbers).into(), members.into(), 4.into(), compare.clone()]);
        assert_eq!((nothing, numbers), (Value::Void, [-40, -3, 0, 5, 7, 9, 12]));

        let bsearch = find(
            &engine,
            &libc,
            &format!("{COMPARE} void *bsearch(const void *key, const void *base, size_t, size_t, compare order)"),
        );
        for (key, index) in [(7, Some(4)), (-40, Some(0)), (8, None)] {
            let found = call(
                &bsearch,
                &[[key].as_slice().into(), numbers.as_slice().into(), members.into(), 4.into(), compare.clone()],
            );
            let expected = index.map_or(std::ptr::null(), |index: usize| &raw const numbers[index]);
            assert_eq!(found, Value::from(expected), "{key}");
        }
    }
}

/// `struct tm` of <time.h>, as glibc lays it out.
const TM: &str = "struct tm { int tm_sec, tm_min, tm_hour, tm_mday, tm_mon, tm_year, tm_wday, tm_yday, tm_isdst; \
                  long tm_gmtoff; const char *tm_zone; };";

#[test]
fn structs_behind_pointers() {
    let libc = Library::process();
    let tm = Type::parse(&format!("{TM} struct tm")).unwrap();
    for engine in engines() {
        let gmtime = find(&engine, &libc, &format!("{TM} struct tm *gmtime_r(const time_t *time, struct tm *to)"));
        let mut words = [0u64; 7];
        let to = words.as_mut_ptr();
        let seconds = [1_000_000_000i64];
        assert_eq!(call(&gmtime, &[seconds.as_slice().into(), (&mut words).into()]), Value::from(to));
        let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_ne_bytes()).collect();
        let time = Object::from_bytes(&tm, &bytes).unwrap();
        for (field, expected) in
            [("tm_year", 101), ("tm_mon", 8), ("tm_mday", 9), ("tm_hour", 1), ("tm_min", 46), ("tm_sec", 40)]
        {
            assert_eq!(time.field(field).unwrap(), Value::I32(expected), "{field}");
        }
        let timegm = find(&engine, &libc, &format!("{TM} time_t timegm(struct tm *)"));
        assert_eq!(call(&timegm, &[(&mut words).into()]), Value::I64(seconds[0]));
    }
}

#[test]
fn zlib() {
    let Some(zlib) = open("libz.so.1") else { return };
    for engine in engines() {
        let find = |declaration| find(&engine, &zlib, declaration);
        let version = text(&call(&find("const char *zlibVersion(void)"), &[]));
        assert!(version.starts_with("1."), "{version}");

        let text = b"123456789".as_slice();
        let checksums = [
            ("unsigned long crc32(unsigned long crc, const unsigned char *from, unsigned length)", 0, 0xcbf4_3926),
            ("unsigned long adler32(unsigned long adler, const unsigned char *from, unsigned length)", 1, 0x091e_01de),
        ];
        for (declaration, start, expected) in checksums {
            let arguments = [start.into(), text.into(), text.len().into()];
            assert_eq!(call(&find(declaration), &arguments), Value::U64(expected), "{declaration}");
        }

        let compress = find("int compress(unsigned char *to, unsigned long *size, const unsigned char *from, long n)");
        let expand = find("int uncompress(unsigned char *to, unsigned long *size, const unsigned char *from, long n)");
        let plain = b"the same words again and again and again and again and again".repeat(40);
        let (mut packed, mut size) = (vec![0u8; plain.len()], [plain.len() as u64]);
        let arguments = [packed.as_mut_slice().into(), (&mut size).into(), plain.as_slice().into(), plain.len().into()];
        assert_eq!(call(&compress, &arguments), Value::I32(0));
        let packed = &packed[..size[0] as usize];
        assert!(packed.len() < plain.len() / 10, "{} bytes", packed.len());

        let (mut unpacked, mut size) = (vec![0u8; plain.len() + 10], [plain.len() as u64 + 10]);
        let arguments = [unpacked.as_mut_slice().into(), (&mut size).into(), packed.into(), packed.len().into()];
        assert_eq!(call(&expand, &arguments), Value::I32(0));
        assert_eq!(unpacked[..size[0] as usize], plain);

        const DATA_ERROR: i32 = -3;
        let arguments = [unpacked.as_mut_slice().into(), (&mut size).into(), plain.as_slice().into(), 9.into()];
        assert_eq!(call(&expand, &arguments), Value::I32(DATA_ERROR));
    }
}

#[test]
fn sqlite() {
    const OK: Value<'_> = Value::I32(0);
    const ROW: Value<'_> = Value::I32(100);
    const DONE: Value<'_> = Value::I32(101);
    let Some(sqlite) = open("libsqlite3.so.0") else { return };
    let null = || Value::Pointer(std::ptr::null_mut());
    for engine in engines() {
        let find = |declaration| find(&engine, &sqlite, declaration);
        let version = text(&call(&find("const char *sqlite3_libversion(void)"), &[]));
        assert!(version.starts_with("3."), "{version}");

        let mut handle = [0u64];
        let open = find("int sqlite3_open(const char *path, struct sqlite3 **database)");
        assert_eq!(call(&open, &[c":memory:".into(), (&mut handle).into()]), OK);
        let database = Value::Pointer(std::ptr::with_exposed_provenance_mut(handle[0] as usize));

        let exec = find(
            "int sqlite3_exec(struct sqlite3 *database, const char *sql, \
             int (*row)(void *, int, char **, char **), void *context, char **error)",
        );
        let sql = c"create table t (n integer, x real, s text); insert into t values (1, 0.5, 'one'), (2, 1.5, 'two')";
        assert_eq!(call(&exec, &[database.clone(), sql.into(), null(), null(), null()]), OK);

        let prepare = find(
            "int sqlite3_prepare_v2(struct sqlite3 *, const char *sql, int bytes, struct sqlite3_stmt **, \
             const char **)",
        );
        let mut handle = [0u64];
        let sql = c"select n, x, s from t where n > ? order by n";
        let arguments = [database.clone(), sql.into(), (-1).into(), (&mut handle).into(), null()];
        assert_eq!(call(&prepare, &arguments), OK);
        let statement = Value::Pointer(std::ptr::with_exposed_provenance_mut(handle[0] as usize));

        let bind = find("int sqlite3_bind_int64(struct sqlite3_stmt *, int, int64_t)");
        assert_eq!(call(&bind, &[statement.clone(), 1.into(), 0.into()]), OK);
        let step = find("int sqlite3_step(struct sqlite3_stmt *)");
        let int = find("int sqlite3_column_int(struct sqlite3_stmt *, int column)");
        let double = find("double sqlite3_column_double(struct sqlite3_stmt *, int column)");
        let column_text = find("const unsigned char *sqlite3_column_text(struct sqlite3_stmt *, int column)");
        for (n, x, s) in [(1, 0.5, "one"), (2, 1.5, "two")] {
            assert_eq!(call(&step, std::slice::from_ref(&statement)), ROW);
            assert_eq!(call(&int, &[statement.clone(), 0.into()]), Value::I32(n));
            assert_eq!(call(&double, &[statement.clone(), 1.into()]), Value::F64(x));
            assert_eq!(text(&call(&column_text, &[statement.clone(), 2.into()])), s);
        }
        assert_eq!(call(&step, std::slice::from_ref(&statement)), DONE);
        assert_eq!(call(&find("int sqlite3_finalize(struct sqlite3_stmt *)"), &[statement]), OK);
        assert_eq!(call(&find("int sqlite3_close(struct sqlite3 *)"), &[database]), OK);
    }
}

#[test]
fn variables() {
    let libc = Library::process();
    let optopt = libc.variable("extern int optopt;").unwrap();
    assert_eq!((optopt.name(), optopt.ty()), ("optopt", &Type::I32));
    // SAFETY: <unistd.h> declares it so, and nothing else in this program uses it.
    unsafe {
        assert_eq!(optopt.get().unwrap(), Value::I32(b'?'.into()), "what the C library starts with");
        optopt.set(&7.0.into()).unwrap();
        assert_eq!(optopt.get().unwrap(), Value::I32(7));
        assert_eq!(optopt.address().cast::<i32>().read(), 7);
        let error = optopt.set(&(1i64 << 40).into()).unwrap_err();
        assert_eq!(error.to_string(), "optopt: expected int, got 1099511627776 (long): out of range");
        assert_eq!(optopt.get().unwrap(), Value::I32(7));
    }

    let environ = libc.variable("char **environ").unwrap();
    // SAFETY: <unistd.h> declares it so, and no test changes the environment.
    let first = unsafe { environ.get() }.unwrap().as_pointer().unwrap().cast::<*const c_char>();
    // SAFETY: the list has an entry, as cargo sets variables.
    let first = unsafe { CStr::from_ptr(first.read()) };
    assert!(first.to_bytes().contains(&b'='), "{first:?}");

    let tzname = libc.variable("extern char *tzname[2]").unwrap();
    // SAFETY: <time.h> declares it so.
    let names = unsafe { tzname.get() }.unwrap();
    let names = names.as_object().expect("an object");
    assert_eq!(names.len(), 2);
    assert!(!text(&names.get(0).unwrap()).is_empty());

    // SAFETY: as above.
    let daylight = unsafe { libc.variable("int daylight").unwrap().get() }.unwrap();
    assert!(matches!(daylight, Value::I32(0 | 1)), "{daylight}");
}

#[test]
fn a_closed_library_is_not_searched() {
    for engine in engines() {
        let libm = libm();
        let clone = libm.clone();
        let trunc = find(&engine, &libm, "double trunc(double)");
        let signgam = libm.variable("int signgam").unwrap();
        libm.close();
        for error in [
            libm.symbol("trunc").unwrap_err(),
            clone.symbol("trunc").unwrap_err(),
            clone.function("double trunc(double)").unwrap_err(),
            libm.variable("int signgam").unwrap_err(),
        ] {
            assert!(matches!(error, Error::Closed { .. }), "{error:?}");
            assert_eq!(error.to_string(), "the library libm.so.6 is closed");
        }
        assert_eq!(call(&trunc, &[3.75.into()]), Value::F64(3.0));
        // SAFETY: <math.h> declares it so.
        assert!(matches!(unsafe { signgam.get() }.unwrap(), Value::I32(_)));
    }
}

/// Whether the process has a library mapped.
fn is_loaded(name: &str) -> bool {
    std::fs::read_to_string("/proc/self/maps").unwrap().contains(name)
}

#[test]
fn a_function_keeps_its_library_loaded() {
    // Small libraries of glibc that no other test uses; the one that this process has not loaded will do.
    let names = ["libBrokenLocale.so.1", "libanl.so.1", "libthread_db.so.1"];
    for engine in engines() {
        let Some(name) = names.into_iter().find(|name| !is_loaded(name) && open(name).is_some()) else {
            println!("left out: none of {names:?} is there to be loaded and unloaded");
            return;
        };
        assert!(!is_loaded(name), "{name} was closed again");
        let library = open(name).expect("it has just been opened");
        // The loader looks in the libraries that this one needs, too: any of them will do.
        let getpid = find(&engine, &library, "int getpid(void)");
        library.close();
        drop(library);
        assert!(is_loaded(name), "the function keeps it");
        assert_eq!(call(&getpid, &[]).as_integer(), Some(std::process::id().into()));
        let clone = getpid.clone();
        drop(getpid);
        assert!(is_loaded(name), "the clone keeps it");
        drop(clone);
        assert!(!is_loaded(name), "nothing keeps it");
    }
}

/// What the last of an error's sources says: the loader's own message.
fn innermost(error: &dyn std::error::Error) -> String {
    error.source().map_or_else(|| error.to_string(), innermost)
}

#[test]
fn what_is_not_there() {
    // SAFETY: there is no such library whose initialisers could run.
    let error = unsafe { Library::open("libjitcall-none.so.9") }.unwrap_err();
    assert_eq!(error.to_string(), "cannot open the library libjitcall-none.so.9");
    assert!(innermost(&error).contains("libjitcall-none.so.9"), "{}", innermost(&error));

    for (library, name) in [(Library::process(), "the process"), (libm(), "libm.so.6")] {
        assert_eq!(library.path().map_or("the process", |path| path.to_str().unwrap()), name);
        for error in [
            library.symbol("jitcall_none").unwrap_err(),
            library.function("int jitcall_none(void)").unwrap_err(),
            library.variable("int jitcall_none").unwrap_err(),
        ] {
            assert_eq!(error.to_string(), format!("no symbol jitcall_none in {name}"));
            assert!(innermost(&error).contains("undefined symbol: jitcall_none"), "{}", innermost(&error));
        }
        assert!(matches!(library.symbol("a\0b"), Err(Error::Symbol { .. })));
    }

    let libc = Library::process();
    let unnamed = libc.function("double (double)").unwrap_err();
    assert_eq!(unnamed.to_string(), "the function double (double) has no name");
    let no_variable = libc.variable("int getpid(void)").unwrap_err();
    assert_eq!(no_variable.to_string(), "the text declares no variable");
    let no_size = libc.variable("extern char *sys_list[]").unwrap_err();
    assert_eq!(no_size.to_string(), "char *[] has no known size");
    assert!(matches!(libc.function("int getpid(void").unwrap_err(), Error::Declaration(_)));
}

#[test]
fn clones_and_threads_share_a_function() {
    let pow = libm().function("double pow(double, double)").unwrap();
    assert_eq!(pow.library().and_then(Library::path).unwrap().to_str(), Some("libm.so.6"));
    assert_eq!(pow.target(), libm().symbol("pow").unwrap());
    assert_eq!(format!("{pow:?}"), format!("double pow(double, double) at {:p}", pow.target()));
    assert_eq!(pow.interface().tier(), Engine::global().tier());
    let threads: Vec<_> = (0..4)
        .map(|exponent: i32| {
            let pow = pow.clone();
            std::thread::spawn(move || call(&pow, &[2.into(), exponent.into()]).as_f64())
        })
        .collect();
    for (exponent, thread) in threads.into_iter().enumerate() {
        assert_eq!(thread.join().unwrap(), Some(2f64.powi(exponent as i32)));
    }
}
