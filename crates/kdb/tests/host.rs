//! The host itself: what the tests of the library rely on. All of it holds for the objects of another library too,
//! except what is asked of the host's own only.

mod support;

use std::cell::Cell;
use std::ffi::{CStr, c_char, c_int, c_void};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr::null_mut;
use std::rc::Rc;

use support::api::{K, U};
use support::*;

/// An object that C gives.
fn given(object: K) -> Value {
    // SAFETY: what C gives is the caller's.
    unsafe { Value::from_raw(object) }
}

/// The error that is pending, as an object.
fn pending() -> Value {
    // SAFETY: null asks for it.
    given(unsafe { (api().ee)(null_mut()) })
}

/// Whether no error is pending.
fn is_calm() -> bool {
    let error = pending();
    // SAFETY: an error has a pointer.
    error.kind() == -128 && unsafe { *error.payload::<*const c_char>() }.is_null()
}

fn error(text: &str) -> Result<Value, String> {
    Err(text.to_owned())
}

#[test]
fn literals() {
    let days = 8365;
    let nanoseconds = 86_400_000_000_000 * i64::from(days) + 3_723_000_000_001;
    q(|q| {
        q.exact(|_| {
            let guid = *b"\x00\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\xff";
            let function = lambda(2, |_| Ok(null()));
            let expected = [
                (null(), "::"),
                (boolean(true), "1b"),
                (booleans(&[true, false]), "10b"),
                (self::guid(guid), "00010203-0405-0607-0809-0a0b0c0d0eff"),
                (guids(&[guid]), ",00010203-0405-0607-0809-0a0b0c0d0eff"),
                (byte(171), "0xab"),
                (bytes(&[1, 2]), "0x0102"),
                (short(-1), "-1h"),
                (shorts(&[1, i16::MIN, i16::MAX]), "1 0N 0Wh"),
                (int(1), "1i"),
                (ints(&[1, 2, -i32::MAX]), "1 2 -0Wi"),
                (ints(&[1]), ",1i"),
                (ints(&[]), "`int$()"),
                (long(1), "1"),
                (longs(&[i64::MIN, 3]), "0N 3"),
                (real(1.5), "1.5e"),
                (float(2.0), "2f"),
                (float(2.5), "2.5"),
                (floats(&[1.0, f64::NAN, f64::NEG_INFINITY]), "1 0n -0w"),
                (floats(&[1.0, 2.0]), "1 2f"),
                (float(1e20), "1e20"),
                (char(b'a'), "\"a\""),
                (string("a\"\n\0"), "\"a\\\"\\n\\000\""),
                (string("a"), ",\"a\""),
                (string(""), "\"\""),
                (symbol("a"), "`a"),
                (symbols(&["a", "b"]), "`a`b"),
                (symbols(&[]), "`symbol$()"),
                (timestamp(nanoseconds), "2022.11.26D01:02:03.000000001"),
                (month(-1), "1999.12m"),
                (dates(&[0, days, -1]), "2000.01.01 2022.11.26 1999.12.31"),
                (date(59), "2000.02.29"),
                (datetime(0.5), "2000.01.01T12:00:00.000"),
                (timespan(-1), "-0D00:00:00.000000001"),
                (minute(61), "01:01"),
                (second(3661), "01:01:01"),
                (time(3_661_001), "01:01:01.001"),
                (time(i32::MIN), "0Nt"),
                (list![], "()"),
                (list![int(1), list![null()]], "(1i;,::)"),
                (dict(symbols(&["a", "b"]), longs(&[1, 2])), "`a`b!1 2"),
                (table(vec![("a", longs(&[1, 2]))]), "+,`a!,1 2"),
                (projection(&function, &[&long(1)]), "{lambda}[1]"),
                (projection(&function, &[&hole(), &long(1)]), "{lambda}[;1]"),
            ];
            for (value, text) in &expected {
                assert_eq!(format!("{value:?}"), *text);
            }
        });
    });
}

#[test]
fn equality_is_deep() {
    q(|q| {
        q.exact(|_| {
            let values: [fn() -> Value; 12] = [
                null,
                hole,
                || long(1),
                || int(1),
                || longs(&[1]),
                || float(f64::NAN),
                || floats(&[0.0]),
                || floats(&[-0.0]),
                || guid([1; 16]),
                || list![long(1), symbol("a")],
                || dict(symbols(&["a"]), longs(&[1])),
                || table(vec![("a", longs(&[1]))]),
            ];
            for (one, first) in values.iter().enumerate() {
                for (other, second) in values.iter().enumerate() {
                    assert_eq!(first() == second(), one == other, "{:?} and {:?}", first(), second());
                }
            }
            let function = lambda(1, |_| Ok(null()));
            assert_eq!(function, function.clone());
            assert_ne!(function, lambda(1, |_| Ok(null())));
        });
    });
}

#[test]
fn atoms_of_c() {
    q(|q| {
        q.exact(|_| {
            let api = api();
            // SAFETY: the text is a string of C's.
            let text = given(unsafe { (api.ks)(c"abc".as_ptr()) });
            let made = [
                (given((api.kb)(1)), boolean(true)),
                (given((api.ku)(U([7; 16]))), guid([7; 16])),
                (given((api.kg)(255)), byte(255)),
                (given((api.kh)(-2)), short(-2)),
                (given((api.ki)(-3)), int(-3)),
                (given((api.kj)(-4)), long(-4)),
                (given((api.ke)(1.5)), real(1.5)),
                (given((api.kf)(2.5)), float(2.5)),
                (given((api.kc)(97)), char(b'a')),
                (text, symbol("abc")),
                (given((api.kd)(5)), date(5)),
                (given((api.kz)(0.5)), datetime(0.5)),
                (given((api.kt)(6)), time(6)),
                (given((api.ktj)(-12, 7)), timestamp(7)),
                (given((api.ktj)(-16, 8)), timespan(8)),
                (given((api.ka)(-2)), guid([0; 16])),
            ];
            for (value, expected) in &made {
                assert_eq!(value, expected);
                assert_eq!(value.refcount(), 0);
            }
        });
    });
}

#[test]
fn vectors_of_c() {
    q(|q| {
        q.exact(|_| {
            let api = api();
            // SAFETY: the arguments are what the functions take.
            unsafe {
                assert_eq!(given((api.kp)(c"abc".as_ptr())), string("abc"));
                assert_eq!(given((api.kpn)(c"abc".as_ptr(), 2)), string("ab"));
                assert_eq!(given((api.knk)(0)), list![]);
                let three = given((api.knk)(3, long(1).into_raw(), int(2).into_raw(), null().into_raw()));
                assert_eq!(three, list![long(1), int(2), null()]);
                let [a, b, c, d, e, f, g, h] = std::array::from_fn(|index| long(index as i64).into_raw());
                let eight = given((api.knk)(8, a, b, c, d, e, f, g, h));
                assert_eq!(eight, list_of((0..8).map(long).collect()));
                let unfilled = given((api.ktn)(0, 2));
                assert!(unfilled.slice::<K>().iter().all(|item| item.is_null()));
            }
        });
    });
}

#[test]
fn vectors_grow() {
    q(|q| {
        q.exact(|_| {
            let api = api();
            let mut vector = longs(&[]).into_raw();
            let mut names = symbols(&["a"]).into_raw();
            let mut objects = list![].into_raw();
            // SAFETY: the vectors have no other reference, and the items are of their types.
            unsafe {
                for number in 0..100_i64 {
                    (api.ja)(&mut vector, (&raw const number).cast());
                    (api.jk)(&mut objects, long(number).into_raw());
                }
                (api.js)(&mut names, intern("b"));
                let more = longs(&[7, 8]);
                (api.jv)(&mut vector, more.raw());
                assert_eq!(more.refcount(), 0);
            }
            let expected: Vec<i64> = (0..100).chain([7, 8]).collect();
            assert_eq!(given(vector), longs(&expected));
            assert_eq!(given(names), symbols(&["a", "b"]));
            assert_eq!(given(objects), list_of((0..100).map(long).collect()));
        });
    });
}

#[test]
fn lists_of_atoms_collapse() {
    q(|q| {
        q.exact(|_| {
            // SAFETY: the reference is given away.
            let collapsed = |list: Value| given(unsafe { (api().vk)(list.into_raw()) });
            assert_eq!(collapsed(list![float(2.0), float(10.0)]), floats(&[2.0, 10.0]));
            assert_eq!(collapsed(list![guid([1; 16]), guid([2; 16])]), guids(&[[1; 16], [2; 16]]));
            assert_eq!(collapsed(list![symbol("a"), symbol("b")]), symbols(&["a", "b"]));
            assert_eq!(collapsed(list![float(2.0), null()]), list![float(2.0), null()]);
            assert_eq!(collapsed(list![long(1), int(1)]), list![long(1), int(1)]);
            assert_eq!(collapsed(list![]), list![]);
        });
    });
}

#[test]
fn keyed_tables_become_tables() {
    q(|q| {
        q.exact(|_| {
            let plain = || table(vec![("a", longs(&[1])), ("b", floats(&[2.0]))]);
            let keyed = dict(table(vec![("a", longs(&[1]))]), table(vec![("b", floats(&[2.0]))]));
            // SAFETY: the references are given away.
            unsafe {
                assert_eq!(given((api().ktd)(keyed.into_raw())), plain());
                assert_eq!(given((api().ktd)(plain().into_raw())), plain());
            }
        });
    });
}

#[test]
fn symbols_are_one_pointer() {
    let address = |text: &str| intern(text) as usize;
    let elsewhere = q(|_| {
        (api().setm)(1);
        address("one")
    });
    assert_eq!(address("one"), elsewhere);
    assert_ne!(address("other"), elsewhere);
    // SAFETY: three bytes can be read.
    assert_eq!(unsafe { (api().sn)(c"one more".as_ptr(), 3) } as usize, elsewhere);
    (api().m9)();
}

#[test]
fn the_calendar() {
    for (year, month, day, days) in
        [(2000, 1, 1, 0), (2000, 3, 1, 60), (1999, 12, 31, -1), (2022, 11, 26, 8365), (1900, 3, 1, -36_465)]
    {
        assert_eq!((api().ymd)(year, month, day), days);
        assert_eq!((api().dj)(days), year * 10_000 + month * 100 + day);
    }
    for days in -40_000..80_000 {
        let date = (api().dj)(days);
        assert_eq!((api().ymd)(date / 10_000, date / 100 % 100, date % 100), days);
    }
}

#[test]
fn references_are_counted() {
    q(|q| {
        q.exact(|q| {
            let inner = longs(&[1, 2]);
            assert_eq!(inner.refcount(), 0);
            let outer = [
                list![inner.clone(), inner.clone()],
                dict(symbols(&["a", "b"]), inner.clone()),
                table(vec![("a", inner.clone())]),
                projection(&lambda(2, |_| Ok(null())), &[&inner]),
            ];
            assert_eq!(inner.refcount(), 5);
            let again = outer[0].clone();
            drop(outer);
            assert_eq!(inner.refcount(), 2);
            drop(again);
            assert_eq!(inner.refcount(), 0);
            assert!(!q.is_own() || q.live() > 0);
        });
    });
}

#[test]
fn objects_are_counted() {
    q(|q| {
        let (live, made) = (q.live(), q.allocations());
        let value = list![long(1), longs(&[2])];
        let expected = if q.is_own() { 3 } else { 0 };
        assert_eq!((q.live() - live, q.allocations() - made), (expected, expected));
        drop(value);
        assert_eq!((q.live() - live, q.allocations() - made), (0, expected));
    });
}

#[test]
fn a_leak_is_found() {
    q(|q| {
        let leak = || q.exact(|_| long(1));
        // Nothing is counted with the objects of another library.
        assert_eq!(catch_unwind(AssertUnwindSafe(leak)).is_err(), q.is_own());
    });
}

#[test]
fn errors_are_kept_until_they_are_asked_for() {
    q(|q| {
        q.exact(|_| {
            assert!(is_calm());
            let text = c"some error";
            // SAFETY: the text is a string of C's.
            assert!(unsafe { (api().krr)(text.as_ptr()) }.is_null());
            let object = long(1);
            // SAFETY: an object is given as it is.
            assert_eq!(unsafe { (api().ee)(object.raw()) }, object.raw());
            let error = pending();
            assert_eq!((error.kind(), error.text().as_str()), (-128, "some error"));
            // SAFETY: an error has a pointer.
            assert_eq!(unsafe { *error.payload::<*const c_char>() }, text.as_ptr());
            assert!(is_calm());
        });
    });
}

#[test]
fn errors_are_a_threads_own() {
    q(|q| {
        // SAFETY: the text is a string of C's.
        unsafe { (api().krr)(c"here".as_ptr()) };
        std::thread::scope(|scope| {
            let other = scope.spawn(|| (api().host_error)().is_null());
            assert!(other.join().expect("no panic"));
        });
        assert_eq!(q.result(null_mut()), error("here"));
    });
}

#[test]
fn errors_of_the_system() {
    q(|q| {
        // SAFETY: the thread has its errno, and the text is a string of C's.
        unsafe {
            *libc::__errno_location() = libc::ENOENT;
            (api().orr)(c"file".as_ptr());
        }
        assert_eq!(q.result(null_mut()), error("file. OS reports: No such file or directory"));
    });
}

/// A foreign object's destructor: adds one to what the object refers to.
unsafe extern "C" fn count_down(object: K) -> K {
    // SAFETY: the object is one that the test has made, alive until this returns.
    unsafe {
        let foreign = std::mem::ManuallyDrop::new(Value::from_raw(object));
        assert_eq!((foreign.kind(), foreign.len(), foreign.refcount()), (112, 2, 0));
        **foreign.items::<*mut i32>().add(1) += 1;
    }
    null_mut()
}

#[test]
fn destructors_run_once() {
    q(|q| {
        q.exact(|q| {
            let mut runs = 0_i32;
            let destructor: unsafe extern "C" fn(K) -> K = count_down;
            // SAFETY: `knk` takes two pointers.
            let foreign = given(unsafe { (api().knk)(2, destructor as *const c_void, &raw mut runs) });
            // SAFETY: it is laid out as a list.
            unsafe { (*foreign.raw()).t = 112 };
            let holder = list![foreign.clone()];
            assert_eq!(q.apply(&foreign, &[&null()]), error("type"));
            drop(foreign);
            assert_eq!(runs, 0);
            drop(holder);
            assert_eq!(runs, 1);
        });
    });
}

extern "C" fn add(a: K, b: K) -> K {
    // SAFETY: arguments are borrowed.
    let [a, b] = [a, b].map(|object| std::mem::ManuallyDrop::new(unsafe { Value::from_raw(object) }));
    if a.kind() != -7 || b.kind() != -7 {
        // SAFETY: the text is a string of C's.
        return unsafe { (api().krr)(c"type: add".as_ptr()) };
    }
    long(a.atom::<i64>() + b.atom::<i64>()).into_raw()
}

extern "C" fn last_of_eight(_: K, _: K, _: K, _: K, _: K, _: K, _: K, last: K) -> K {
    // SAFETY: the argument is an object.
    unsafe { (api().r1)(last) }
}

extern "C" fn nothing(_: K) -> K {
    null_mut()
}

/// A function that breaks the rules.
extern "C" fn error_and_result(_: K) -> K {
    // SAFETY: the text is a string of C's.
    unsafe { (api().krr)(c"both".as_ptr()) };
    long(1).into_raw()
}

#[test]
fn functions_of_c() {
    q(|q| {
        q.exact(|q| {
            let add = q.function(add as *const c_void, 2).expect("a function");
            assert_eq!(add.kind(), 112);
            assert_eq!(q.apply(&add, &[&long(40), &long(2)]), Ok(long(42)));
            assert_eq!(q.apply_list(&add, &longs(&[40, 2])), Ok(long(42)));
            assert_eq!(q.apply(&add, &[&long(1), &int(2)]), error("type: add"));
            assert_eq!(q.apply(&add, &[&long(1), &long(2), &long(3)]), error("rank"));
            assert_eq!(q.apply(&add, &[]), error("rank"));
            assert_eq!(q.apply_list(&add, &long(1)), error("type"));
            assert_eq!(q.apply(&long(1), &[&long(1)]), error("type"));

            let eight = q.function(last_of_eight as *const c_void, 8).expect("a function");
            let arguments: Vec<Value> = (0..8).map(long).collect();
            let result = q.apply(&eight, &arguments.iter().collect::<Vec<_>>()).expect("a result");
            assert_eq!(result.raw(), arguments[7].raw());
            assert_eq!(result.refcount(), 1);

            let nothing_address = nothing as *const c_void;
            let nothing = q.function(nothing_address, 1).expect("a function");
            assert_eq!(q.apply(&nothing, &[&null()]), Ok(null()));
            assert_eq!(q.function(std::ptr::null(), 1), error("type"));
            for rank in [0, 9] {
                assert_eq!(q.function(nothing_address, rank), error("rank"));
            }
        });
    });
}

#[test]
fn a_result_beside_an_error_is_a_violation() {
    q(|q| {
        let live = q.live();
        let both = q.function(error_and_result as *const c_void, 1).expect("a function");
        assert_eq!(q.apply(&both, &[&null()]), error("both"));
        assert_eq!(q.violations(), 1);
        drop(both);
        assert_eq!(q.live(), live);
    });
}

#[test]
fn lambdas() {
    q(|q| {
        q.exact(|q| {
            let alive = Rc::new(Cell::new(0));
            let kept = alive.clone();
            let difference = lambda(2, move |arguments| {
                kept.set(kept.get() + 1);
                let [a, b] = arguments else { return Err("rank of the closure".to_owned()) };
                if a.kind() != b.kind() { error("type") } else { Ok(long(a.atom::<i64>() - b.atom::<i64>())) }
            });
            assert_eq!(difference.kind(), 100);
            assert_eq!(q.apply(&difference, &[&long(5), &long(3)]), Ok(long(2)));
            assert_eq!(q.apply(&difference, &[&long(5), &int(3)]), error("type"));
            assert_eq!(alive.get(), 2);
            assert_eq!(Rc::strong_count(&alive), 2);
            drop(difference);
            assert_eq!(Rc::strong_count(&alive), 1);

            let count = lambda(0, |arguments| Ok(long(arguments.len() as i64)));
            assert_eq!(q.apply(&count, &[]), Ok(long(0)));
            assert_eq!(q.apply(&count, &[&null()]), Ok(long(0)));
            assert_eq!(q.apply(&count, &[&long(1)]), error("rank"));

            let identity = lambda(1, |arguments| Ok(arguments[0].clone()));
            let argument = longs(&[1]);
            let result = q.apply(&identity, &[&argument]).expect("a result");
            assert_eq!((result.raw(), result.refcount()), (argument.raw(), 1));
            assert_eq!(q.apply(&identity, &[&null()]), Ok(null()));
            assert_eq!(q.apply(&identity, &[]), error("rank"));
        });
    });
}

#[test]
#[should_panic = "from inside"]
fn panics_of_lambdas_arrive() {
    q(|q| {
        let function = lambda(1, |_| panic!("from inside"));
        assert_eq!(q.apply(&function, &[&null()]), error("panic"));
    });
}

#[test]
fn projections() {
    q(|q| {
        q.exact(|q| {
            let digits = lambda(3, |arguments| {
                Ok(long(arguments.iter().fold(0, |number, digit| number * 10 + digit.atom::<i64>())))
            });
            let [one, two, three] = [1, 2, 3].map(long);
            let apply = |function: &Value, arguments: &[&Value]| q.apply(function, arguments).expect("a result");
            let first = apply(&digits, &[&one]);
            assert_eq!(first, projection(&digits, &[&one]));
            let holes = apply(&digits, &[&hole(), &hole(), &three]);
            let ends = [
                apply(&first, &[&two, &three]),
                apply(&apply(&first, &[&two]), &[&three]),
                apply(&apply(&first, &[&hole(), &three]), &[&two]),
                apply(&holes, &[&one, &two]),
                apply(&apply(&holes, &[&hole(), &two]), &[&one]),
            ];
            assert!(ends.iter().all(|end| *end == long(123)), "{ends:?}");
            assert_eq!(q.apply(&first, &[&one, &two, &three]), error("rank"));
            assert_eq!(q.apply(&first, &[]), error("rank"));
        });
    });
}

#[test]
fn dot_borrows_and_catches() {
    q(|q| {
        q.exact(|_| {
            let check = lambda(1, |arguments| if arguments[0].is_null() { error("null") } else { Ok(long(7)) });
            let dot = |arguments: &Value| {
                // SAFETY: both are objects.
                unsafe { (api().dot)(check.raw(), arguments.raw()) }
            };
            let (good, bad) = (list![symbol("a")], list![null()]);
            assert_eq!(given(dot(&good)), long(7));
            assert!(dot(&bad).is_null());
            assert_eq!(pending().text(), "null");
            assert!(is_calm());
            assert_eq!((check.refcount(), good.refcount(), bad.refcount()), (0, 0, 0));
        });
    });
}

#[test]
fn calls_on_other_threads_are_refused() {
    q(|q| {
        let function = lambda(1, |_| Ok(null()));
        let arguments = list![null()];
        let addresses = [function.raw() as usize, arguments.raw() as usize];
        std::thread::scope(|scope| {
            // SAFETY: both are objects, and nobody else uses them meanwhile.
            let refused = || unsafe { (api().dot)(addresses[0] as K, addresses[1] as K) }.is_null();
            assert!(scope.spawn(refused).join().expect("no panic"));
        });
        assert_eq!(q.violations(), 1);
    });
}

#[test]
fn misuse_of_objects_is_noticed() {
    q(|q| {
        if !q.is_own() {
            return;
        }
        let address = long(1).into_raw() as usize;
        std::thread::scope(|scope| {
            // SAFETY: the reference is given away.
            scope.spawn(|| unsafe { (api().r0)(address as K) }).join().expect("no panic");
        });
        assert_eq!(q.violations(), 1);
        // SAFETY: the host's own looks at the pointer first.
        unsafe {
            (api().r0)(null_mut());
            (api().r1)(null_mut());
        }
        assert_eq!(q.violations(), 2);
    });
}

#[test]
fn functions_by_name() {
    q(|q| {
        if !q.is_own() {
            // KX's library has a `k` of its own, which only talks to other processes.
            return;
        }
        q.exact(|q| {
            q.define("negate", lambda(1, |arguments| Ok(long(-arguments[0].atom::<i64>()))));
            q.define("refuse", lambda(1, |_| error("refused")));
            q.define("value", symbol("v"));
            let end: K = null_mut();
            let ask = |handle: c_int, name: &CStr, argument: K| {
                // SAFETY: a null pointer is behind the arguments, or is the only one.
                given(unsafe { (api().k)(handle, name.as_ptr(), argument, end) })
            };
            assert_eq!(ask(0, c"negate", long(3).into_raw()), long(-3));
            assert_eq!(ask(0, c"value", end), symbol("v"));
            let failures = [
                (ask(0, c"refuse", null().into_raw()), "refused"),
                (ask(0, c"unknown", end), "undefined"),
                (ask(1, c"value", end), "nyi"),
            ];
            for (failure, text) in &failures {
                assert_eq!((failure.kind(), failure.text().as_str()), (-128, *text));
            }
            assert!(is_calm());
            ["negate", "refuse", "value"].iter().for_each(|name| q.forget(name));
        });
    });
}

thread_local! {
    static READ: Cell<i32> = const { Cell::new(0) };
}

/// Reads a byte, and keeps the sum. A zero is an error.
extern "C" fn read_byte(descriptor: c_int) -> K {
    let mut byte = 0_u8;
    // SAFETY: one byte can be written there.
    let count = unsafe { libc::read(descriptor, (&raw mut byte).cast(), 1) };
    READ.set(READ.get() + i32::from(byte));
    match (count, byte) {
        // SAFETY: the text is a string of C's.
        (1, 0) => unsafe { (api().krr)(c"zero".as_ptr()) },
        (1, 1) => null_mut(),
        _ => long(byte.into()).into_raw(),
    }
}

#[test]
fn descriptors() {
    q(|q| {
        q.exact(|q| {
            let mut ends = [0; 2];
            // SAFETY: there is room for two.
            assert_eq!(unsafe { libc::pipe(ends.as_mut_ptr()) }, 0);
            let [output, input] = ends;
            // SAFETY: the byte can be read.
            let write = |byte: u8| assert_eq!(unsafe { libc::write(input, (&raw const byte).cast(), 1) }, 1);
            READ.set(0);
            assert_eq!(q.result((api().sd1)(-output, read_byte)), Ok(int(output)));
            // SAFETY: there is no rule to keep.
            assert_ne!(unsafe { libc::fcntl(output, libc::F_GETFL) } & libc::O_NONBLOCK, 0);
            assert_eq!(q.turn(0), 0);
            for byte in [5, 0, 1, 6] {
                write(byte);
                assert_eq!(q.turn(1000), 1);
            }
            assert_eq!((READ.get(), q.turn(0), q.descriptors()), (12, 0, 1));
            assert!(is_calm());

            write(7);
            (api().sd0x)(output, 0);
            assert_eq!((q.turn(0), q.descriptors()), (0, 0));
            q.result((api().sd1)(output, read_byte)).expect("a descriptor");
            assert_eq!((q.turn(0), READ.get()), (1, 19));
            (api().sd0)(output);
            // SAFETY: there is no rule to keep.
            unsafe {
                assert_eq!(libc::fcntl(output, libc::F_GETFL), -1, "sd0 closes");
                libc::close(input);
            }
            assert_eq!(q.result((api().sd1)(output, read_byte)), error("sd1"));
        });
    });
}
