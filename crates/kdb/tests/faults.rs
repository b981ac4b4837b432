//! The faults of the original ffikdb, one test for each: what this library does instead.

mod ffi;
mod support;

use std::cell::Cell;
use std::rc::Rc;

use ffi::*;
use support::*;

fn is_type_error(outcome: &Outcome, place: &str) -> bool {
    matches!(outcome, Err(text) if text.starts_with("type: ") && text.contains(place))
}

/// A callback that gives a value, whatever it is given.
fn giving(parameters: &str, result: char, value: impl Fn() -> Value + 'static) -> Value {
    callback(&lambda(1, move |_| Ok(value())), parameters, result)
}

#[test]
fn a_failing_callback_does_not_end_the_process() {
    ffi(|ffi| {
        let runs = Rc::new(Cell::new(0));
        let counted = runs.clone();
        let fails = lambda(1, move |_| {
            counted.set(counted.get() + 1);
            Err("length".to_owned())
        });
        let fails = callback(&fails, "i", 'i');
        let before = calls();
        assert_eq!(ffi.run("apply_twice", "ki", 'i', &[&fails, &int(1)]), error("length"));
        assert_eq!((calls() - before, runs.get()), (2, 1), "C is completed; the second callback is not run");
        ffi.q.exact(|_| assert_eq!(ffi.run("apply_twice", "ki", 'i', &[&fails, &int(1)]), error("length")));
    });
}

#[test]
fn results_of_callbacks_are_converted_or_refused() {
    ffi(|ffi| {
        let result = |value: fn() -> Value| {
            let function = giving("i", 'i', value);
            ffi.twice(|| ffi.run("apply_int", "ki", 'i', &[&function, &int(0)]))
        };
        assert_eq!(result(|| short(-1)), Ok(int(-1)));
        assert_eq!(result(|| float(2.0)), Ok(int(2)));
        assert_eq!(result(|| float(2.5)), error("type: callback: result (\"i\"): -9h 2.5"));
        assert_eq!(result(|| long(1 << 40)), error("type: callback: result (\"i\"): -7h 1099511627776"));
        assert_eq!(result(|| symbol("a")), error("type: callback: result (\"i\"): -11h"));
        assert_eq!(result(null), error("type: callback: result (\"i\"): 101h"));
    });
}

#[test]
fn arguments_are_converted_or_refused() {
    ffi(|ffi| {
        let sees = |name: &str, letter: &str, value: Value| {
            forget_seen();
            ffi.twice(|| ffi.run(name, letter, ' ', &[&value])).map(|_| seen(0))
        };
        assert_eq!(sees("see_long", "j", int(-1)), Ok(-1_i64 as u64));
        assert_eq!(sees("see_float", "f", long(3)), Ok(3_f64.to_bits()));
        assert_eq!(sees("see_int", "i", float(3.5)), Err("type: see_int: argument 1 (\"i\"): -9h 3.5".to_owned()));
        assert_eq!(
            sees("see_short", "h", long(40_000)),
            Err("type: see_short: argument 1 (\"h\"): -7h 40000".to_owned())
        );
        assert_eq!(sees("see_int", "i", long(i64::MIN)), Err("type: see_int: argument 1 (\"i\"): -7h null".to_owned()));
    });
}

#[test]
fn atoms_under_upper_case_letters_are_refused() {
    ffi(|ffi| {
        for letter in "BCXHIMDUVTJPNEFZLRGSK".chars() {
            let atoms =
                [boolean(true), byte(1), short(1), int(1), long(1), real(1.0), float(1.0), char(b'a'), guid([1; 16])];
            for atom in atoms {
                let outcome = ffi.twice(|| ffi.run("see_pointer", &letter.to_string(), ' ', &[&atom]));
                assert!(is_type_error(&outcome, "see_pointer: argument 1"), "{letter} {atom:?}: {outcome:?}");
            }
        }
    });
}

#[test]
fn vectors_of_another_width_are_refused() {
    ffi(|ffi| {
        let outcome = |letter: &str, value: Value| ffi.twice(|| ffi.run("see_pointer", letter, ' ', &[&value]));
        assert_eq!(outcome("I", longs(&[1])), error("type: see_pointer: argument 1 (\"I\"): 7h"));
        assert_eq!(outcome("I", reals(&[1.0])), error("type: see_pointer: argument 1 (\"I\"): 8h"));
        assert_eq!(outcome("F", longs(&[1])), error("type: see_pointer: argument 1 (\"F\"): 7h"));
        assert_eq!(outcome("H", bytes(&[1])), error("type: see_pointer: argument 1 (\"H\"): 4h"));
        for letter in "IMDUVT".chars() {
            let alike: [fn() -> Value; 6] =
                [|| ints(&[1]), || months(&[1]), || dates(&[1]), || minutes(&[1]), || seconds(&[1]), || times(&[1])];
            for vector in alike {
                assert_eq!(outcome(&letter.to_string(), vector()), Ok(null()), "{letter} {:?}", vector());
            }
        }
    });
}

#[test]
fn null_texts_and_texts_at_the_beginning_of_a_page() {
    ffi(|ffi| {
        pass(0, &[0; 8]);
        for function in [ffi.bound("give_pointer", "", 's'), ffi.own_rank("give_pointer", "", 's')] {
            assert_eq!(ffi.twice(|| ffi.q.apply(&function, &[&null()])), Ok(symbol("")));
        }
        assert_eq!(ffi.twice(|| ffi.run("give_pointer", "", 'C', &[&null()])), Ok(string("")));
        let page = ffi.run("page", "", 'r', &[&null()]).expect("an address");
        assert_eq!(page.atom::<i64>() & 0xfff, 0);
        pass(0, &page.atom::<i64>().to_ne_bytes());
        assert_eq!(ffi.twice(|| ffi.run("give_pointer", "", 's', &[&null()])), Ok(symbol("aligned")));
        assert_eq!(ffi.twice(|| ffi.run("give_pointer", "", 'C', &[&null()])), Ok(string("aligned")));
    });
}

#[test]
fn results_of_addresses_sizes_and_guids() {
    ffi(|ffi| {
        let all = 0x8765_4321_0fed_cba9_u64;
        pass(0, &all.to_ne_bytes());
        assert_eq!(ffi.twice(|| ffi.run("give_pointer", "", 'r', &[&null()])), Ok(long(all as i64)));
        assert_eq!(ffi.twice(|| ffi.run("give_long", "", 'l', &[&null()])), Ok(long(all as i64)));
        static SIXTEEN: [u8; 16] = *b"sixteen bytes ok";
        pass(0, &(SIXTEEN.as_ptr() as u64).to_ne_bytes());
        assert_eq!(ffi.twice(|| ffi.run("give_pointer", "", 'g', &[&null()])), Ok(guid(SIXTEEN)));
    });
}

#[test]
fn guids_are_passed_as_their_bytes() {
    ffi(|ffi| {
        // memcpy reads the 16 bytes from the address.
        let (to, from) = (bytes(&[0; 16]), guid(*b"0123456789abcdef"));
        ffi.twice(|| ffi.run("memcpy", "Xgl", 'r', &[&to, &from, &long(16)])).expect("an address");
        assert_eq!(to, bytes(b"0123456789abcdef"));
        for function in [ffi.bound("see_pointer", "g", ' '), ffi.bound("see_pointer", "r", ' ')] {
            ffi.twice(|| ffi.list_call(&function, &[&from])).expect("a result");
            assert_eq!(seen(0), from.items::<u8>() as u64);
        }
        ffi.twice(|| ffi.inferred("see_pointer", ' ', &[&from])).expect("a result");
        assert_eq!(seen(0), from.items::<u8>() as u64);
    });
}

#[test]
fn shapes_of_callbacks_are_checked() {
    ffi(|ffi| {
        let function = lambda(1, |_| Ok(int(7)));
        let shape = "a callback is (function; argument letters; result letter)";
        let outcome = |list: &Value| ffi.twice(|| ffi.run("apply_int", "ki", 'i', &[list, &int(1)]));
        let refused = |list: Value, text: &str| {
            assert_eq!(outcome(&list), error(&format!("type: apply_int: argument 1 (\"k\"): {text}")), "{list:?}");
        };
        refused(list![], &format!("{shape}: a list of 0"));
        refused(list![int(1)], &format!("{shape}: a list of 1"));
        refused(list![int(1), float(2.0)], &format!("{shape}: the function is -6h"));
        refused(list![null(), string("i"), char(b'i')], &format!("{shape}: the function is 101h"));
        refused(list![function.clone(), int(1), char(b'i')], "callback: argument letters are a string: -6h");
        refused(list![function.clone(), string("i"), int(1)], "callback: a result letter is a char: -6h");
        refused(list![function.clone(), string("i"), string("ii")], "callback: a result letter is a char: 10h");
        refused(list![function.clone(), string("i?"), char(b'i')], "callback: \"?\" is no type letter");
        refused(list![function.clone(), string("i"), char(b'?')], "callback: \"?\" is no type letter");
        refused(
            list![function.clone(), string("i"), char(b'i'), symbol("x")],
            "callback: the fourth element is `queued: -11h",
        );
        // Argument letters as a char atom, and none at all.
        assert_eq!(outcome(&list![function.clone(), char(b'i'), char(b'i')]), Ok(int(7)));
        let none = lambda(0, |_| Ok(float(7.5)));
        let empty = list![none, string(""), char(b'f')];
        assert_eq!(ffi.twice(|| ffi.run("ranks", "ki", 'f', &[&empty, &int(0)])), Ok(float(7.5)));
    });
}

#[test]
fn calls_with_callbacks_leak_no_closures() {
    ffi(|ffi| {
        let function = lambda(1, |_| Ok(int(1)));
        let call = || ffi.run("keep", "k", 'i', &[&callback(&function, "i", 'i')]);
        call().expect("a result");
        let references = function.refcount();
        ffi.q.exact(|_| {
            // More than there are entries without a JIT.
            for _ in 0..3000 {
                assert_eq!(call(), Ok(int(1)), "the same pointer");
            }
        });
        assert_eq!(function.refcount(), references);
    });
}

#[test]
fn errors_have_texts_of_their_thread() {
    ffi(|ffi| {
        // Each error says its own; an earlier one's text does not show in a later one.
        let unknown = |name: &str| ffi.q.apply(&ffi.bind, &[&symbol(name), &string("i"), &char(b'i')]);
        let first = unknown("no_such_function_with_a_long_name");
        let second = unknown("no_such");
        assert_eq!(first, error("os: bind: no_such_function_with_a_long_name: no such symbol in this process"));
        assert_eq!(second, error("os: bind: no_such: no such symbol in this process"));
        // On another thread, which has no functions of its own to bind, the text is that thread's.
        let (bind, arguments) = (ffi.q.symbol("bind") as usize, [symbol("abs"), string("i"), char(b'i')]);
        let raw = arguments.each_ref().map(|value| value.raw() as usize);
        let text = std::thread::spawn(move || {
            // SAFETY: `bind` takes three objects, which stay until the thread is joined.
            unsafe {
                let bind: unsafe extern "C" fn(usize, usize, usize) -> usize = std::mem::transmute(bind);
                assert_eq!(bind(raw[0], raw[1], raw[2]), 0);
                std::ffi::CStr::from_ptr((api().host_error)()).to_string_lossy().into_owned()
            }
        });
        assert_eq!(text.join().expect("no panic"), "os: abs: only q's main thread may do this");
    });
}

#[test]
fn booleans_are_0_or_1() {
    ffi(|ffi| {
        for (byte, expected) in [(0, false), (1, true), (2, true), (0x80, true), (0xff, true)] {
            // The bytes above it are no part of it.
            pass(0, &[byte, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]);
            for function in [ffi.bound("give_byte", "", 'b'), ffi.own_rank("give_byte", "", 'b')] {
                let result = ffi.twice(|| ffi.q.apply(&function, &[&null()])).expect("a result");
                // SAFETY: a boolean's payload is a byte.
                assert_eq!((result.kind(), unsafe { *result.payload::<u8>() }), (-1, expected.into()), "{byte}");
            }
        }
        // In vectors that functions of their own rank give, too.
        let mapped = ffi.own_rank("abs", "i", 'b');
        assert_eq!(ffi.twice(|| ffi.q.apply(&mapped, &[&ints(&[0, 2, -128])])), Ok(booleans(&[false, true, true])));
    });
}

#[test]
fn texts_end_in_a_zero_byte() {
    ffi(|ffi| {
        for size in [0, 1, 7, 8, 15, 16, 255, 256, 4000] {
            let text = string("x".repeat(size));
            let length = ffi.twice(|| ffi.run("strlen", "C", 'l', &[&text]));
            assert_eq!(length, Ok(long(size as i64)), "{size}");
        }
        // Without one it is copied, and C's writing to it changes nothing; with one it is the text itself.
        let (copied, in_place) = (string("copied"), string("place\0"));
        ffi.twice(|| ffi.run("write_to", "C", ' ', &[&copied])).expect("a result");
        ffi.twice(|| ffi.run("write_to", "C", ' ', &[&in_place])).expect("a result");
        assert_eq!((copied, in_place), (string("copied"), string("Wlace\0")));
        // Many of them in one call.
        let texts: Vec<Value> = (0..3).map(|_| string("y".repeat(200))).collect();
        let all: Vec<&Value> = texts.iter().collect();
        assert_eq!(ffi.twice(|| ffi.run("strcmp", "CC", 'i', &all[..2])), Ok(int(0)));
    });
}

#[test]
fn variadic_functions() {
    ffi(|ffi| {
        let room = string([b'?'; 63].into_iter().chain([0]).collect::<Vec<u8>>());
        let printed = |letters: &str, format: &str, arguments: &[&Value]| {
            let format = string(format);
            let size = long(64);
            let all: Vec<&Value> = [&room, &size, &format].into_iter().chain(arguments.iter().copied()).collect();
            let count = ffi.twice(|| ffi.run("snprintf", letters, 'i', &all)).expect("a count");
            String::from_utf8_lossy(&room.slice::<u8>()[..count.atom::<i32>() as usize]).into_owned()
        };
        assert_eq!(printed("ClCi", "%d", &[&int(-5)]), "-5");
        assert_eq!(printed("ClCf", "%.2f", &[&float(2.5)]), "2.50");
        assert_eq!(printed("ClCe", "%.2f", &[&real(1.5)]), "1.50", "a real is promoted");
        assert_eq!(printed("ClCh", "%d", &[&short(-3)]), "-3", "a short is promoted");
        assert_eq!(printed("ClCc", "%c", &[&char(b'q')]), "q");
        assert_eq!(printed("ClCs", "%s", &[&symbol("sym")]), "sym");
        assert_eq!(
            printed("ClCifjes", "%d %g %ld %g %s", &[&int(1), &float(2.5), &long(3), &real(4.5), &symbol("x")]),
            "1 2.5 3 4.5 x"
        );
        // More doubles than registers.
        let doubles: Vec<Value> = (0..12).map(|n| float(n.into())).collect();
        let twelve = int(12);
        let arguments: Vec<&Value> = std::iter::once(&twelve).chain(&doubles).collect();
        let letters = format!("i.{}", "f".repeat(12));
        assert_eq!(ffi.twice(|| ffi.run("sum_of", &letters, 'f', &arguments)), Ok(float(66.0)));
        let reals: Vec<Value> = (0..12).map(|n| real(n as f32)).collect();
        let arguments: Vec<&Value> = std::iter::once(&twelve).chain(&reals).collect();
        let letters = format!("i.{}", "e".repeat(12));
        assert_eq!(ffi.twice(|| ffi.run("sum_of", &letters, 'f', &arguments)), Ok(float(66.0)));
        // Inferred as well.
        let count = ffi.twice(|| ffi.inferred("snprintf", 'i', &[&room, &long(64), &string("%g"), &real(0.5)]));
        assert_eq!((count, &room.slice::<u8>()[..4]), (Ok(int(3)), &b"0.5\0"[..]));
    });
}

#[test]
fn loaded_libraries_are_found_by_bare_names() {
    let library = compiled("int only_in_this_library(int x) { return x + 1; }\nint only_here = 3;");
    ffi(|ffi| {
        let bind = || ffi.q.apply(&ffi.bind, &[&symbol("only_in_this_library"), &string("i"), &char(b'i')]);
        assert_eq!(bind(), error("os: bind: only_in_this_library: no such symbol in this process"));
        ffi.load(&library);
        assert!(bind().is_ok());
        assert_eq!(ffi.run("only_in_this_library", "i", 'i', &[&int(41)]), Ok(int(42)));
        assert_eq!(ffi.inferred("only_in_this_library", 'i', &[&int(1)]), Ok(int(2)));
        assert_eq!(ffi.q.apply(&ffi.cvar, &[&symbol("only_here")]), Ok(int(3)));
    });
}

#[test]
fn errno_is_kept_from_right_after_the_call() {
    ffi(|ffi| {
        let read = || ffi.q.apply(&ffi.set_errno, &[&null()]);
        for function in [ffi.bound("set_it", "i", 'i'), ffi.own_rank("set_it", "i", 'i')] {
            let argument =
                if function.raw() == ffi.own_rank("set_it", "i", 'i').raw() { int(17) } else { ended(&[&int(17)]) };
            ffi.q.apply(&ffi.set_errno, &[&int(0)]).expect("a number");
            ffi.q.apply(&function, &[&argument]).expect("a result");
            // SAFETY: the thread has its errno, which q's own calls overwrite.
            unsafe { *libc::__errno_location() = 99 };
            assert_eq!(read(), Ok(int(17)));
            assert_eq!(read(), Ok(int(17)), "reading leaves it");
        }
        let path = string("/no/such/file");
        assert_eq!(ffi.run("open", "Ci", 'i', &[&path, &int(0)]), Ok(int(-1)));
        assert_eq!(read(), Ok(int(libc::ENOENT)));
    });
}

#[test]
fn errno_is_set_for_c() {
    ffi(|ffi| {
        let set = |value: Value| ffi.twice(|| ffi.q.apply(&ffi.set_errno, &[&value]).map(|_| null()));
        for value in [long(55), int(55), short(55)] {
            let context = format!("{value:?}");
            assert_eq!(set(value), Ok(null()));
            assert_eq!(ffi.run("get_it", "", 'i', &[&null()]), Ok(int(55)), "{context}");
            // Calls that leave it alone leave it.
            assert_eq!(ffi.run("abs", "i", 'i', &[&int(-1)]), Ok(int(1)));
            assert_eq!(ffi.run("get_it", "", 'i', &[&null()]), Ok(int(55)));
            assert_eq!(ffi.q.apply(&ffi.set_errno, &[&int(0)]), Ok(int(55)));
        }
        let too_large = ffi.q.apply(&ffi.set_errno, &[&long(1 << 33)]);
        assert_eq!(too_large, error("type: setErrno: 8589934592 is no int"));
    });
}

#[test]
fn a_space_is_no_argument_letter() {
    ffi(|ffi| {
        for parameters in [" ", "i ", " i"] {
            for made_by in [&ffi.bind, &ffi.function] {
                let outcome = ffi.q.apply(made_by, &[&symbol("abs"), &string(parameters), &char(b'i')]);
                assert!(is_type_error(&outcome, "abs: "), "{parameters:?}: {outcome:?}");
            }
            let outcome = ffi.q.apply(&ffi.cif, &[&string(parameters), &char(b'i')]);
            assert!(is_type_error(&outcome, "cif: "), "{outcome:?}");
        }
        let outcome = ffi.q.apply(&ffi.bind, &[&symbol("abs"), &char(b' '), &char(b'i')]);
        assert!(is_type_error(&outcome, "abs: "), "{outcome:?}");
    });
}

#[test]
fn what_is_bound_again_is_shared() {
    ffi(|ffi| {
        let first = ffi.bound("abs", "i", 'i');
        let references = first.refcount();
        ffi.q.exact(|_| {
            // More than there are entries without a JIT.
            for _ in 0..3000 {
                assert_eq!(ffi.bound("abs", "i", 'i').raw(), first.raw());
                let again = ffi.q.apply(&ffi.bind, &[&symbols(&["libc.so.6", "abs"]), &char(b'i'), &string("i")]);
                assert_eq!(again.expect("a function").raw(), first.raw());
            }
        });
        assert_eq!(first.refcount(), references);
        assert_ne!(ffi.bound("abs", "j", 'i').raw(), first.raw());
        assert_ne!(ffi.own_rank("abs", "i", 'i').raw(), first.raw());
    });
}

#[test]
fn callbacks_off_qs_thread_are_refused() {
    ffi(|ffi| {
        let function = giving("i", 'i', || int(5));
        let refused = error("os: a callback was called on another thread than q's main one");
        forget_seen();
        assert_eq!(ffi.twice(|| ffi.run("other_thread", "k", 'i', &[&function])), refused);
        assert_eq!(seen(0) as u32, 0);
        assert_eq!(ffi.run("apply_int", "ki", 'i', &[&function, &int(1)]), Ok(int(5)));
    });
}

#[test]
fn vectors_that_c_writes_to_change_for_all_who_share_them() {
    ffi(|ffi| {
        let vector = ints(&[1, 2, 3]);
        let alias = vector.clone();
        ffi.twice(|| ffi.run("memset", "Iil", 'r', &[&vector, &int(0), &long(8)])).expect("an address");
        assert_eq!(alias, ints(&[0, 0, 3]));
    });
}

#[test]
fn conversions_are_exact_or_refused() {
    ffi(|ffi| {
        let sees = |name: &str, letter: &str, value: &Value| {
            ffi.twice(|| ffi.run(name, letter, ' ', &[value])).map(|_| seen(0)).ok()
        };
        let most = 1_i64 << 53;
        assert_eq!(sees("see_float", "f", &long(most)), Some((most as f64).to_bits()));
        assert_eq!(sees("see_float", "f", &long(most + 1)), None);
        assert_eq!(sees("see_float", "f", &long(-most - 1)), None);
        assert_eq!(sees("see_long", "j", &float(most as f64)), Some(most as u64));
        assert_eq!(sees("see_long", "j", &float(9.3e18)), None);
        assert_eq!(sees("see_real", "e", &float(0.1)), Some(0.1_f32.to_bits().into()), "rounded to the nearest");
        assert_eq!(sees("see_real", "e", &float(1e39)), None);
        assert_eq!(sees("see_int", "i", &int(i32::MIN)), Some(0x8000_0000), "a null within its own width");
        for null in [short(i16::MIN), long(i64::MIN), real(f32::NAN), float(f64::NAN)] {
            assert_eq!(sees("see_int", "i", &null), None, "{null:?}");
        }
    });
}

#[test]
fn warm_calls_and_callbacks_make_no_objects_but_results() {
    ffi(|ffi| {
        let function = callback(&lambda(1, |arguments| Ok(arguments[0].clone())), "i", 'i');
        let bound = ffi.bound("apply_int", "ki", 'i');
        let arguments = list![list![function, int(4), null()]];
        let call = || ffi.q.apply_list(&bound, &arguments).expect("a result");
        drop(call());
        let before = ffi.q.allocations();
        let result = call();
        let made = ffi.q.allocations() - before;
        assert_eq!(result, int(4));
        assert!(made == 1 || !ffi.q.is_own(), "{made} objects instead of the result alone");
    });
}
