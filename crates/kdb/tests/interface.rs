//! The interface, name by name: its shapes, the ways to write arguments, the texts of its errors.

mod ffi;
mod support;

use ffi::*;
use support::*;

/// `.ffi.bind[f;parameters;result]` and a call with one list.
fn bound_call(ffi: &Ffi<'_>, function: &Value, list: &Value) -> Outcome {
    ffi.twice(|| ffi.q.apply(function, &[list]))
}

#[test]
fn every_name_is_exported_with_its_rank() {
    q(|q| {
        let names = [
            ("bind", 3),
            ("ffi_fn", 3),
            ("call_function", 2),
            ("cvar", 1),
            ("loadlib", 1),
            ("set_errno", 1),
            ("deref", 3),
            ("bind_K_function", 2),
            ("ffi_cif", 2),
            ("call", 3),
            ("ffi_callback", 1),
            ("ffi_free", 1),
            ("ffi_show", 1),
        ];
        for (name, rank) in names {
            q.exact(|q| assert_eq!(q.load(name, rank).kind(), 112, "{name}"));
        }
    });
}

#[test]
fn lists_of_arguments() {
    ffi(|ffi| {
        let pow = ffi.bound("pow", "ff", 'f');
        let (two, ten) = (float(2.0), float(10.0));
        let eight = Ok(float(1024.0));
        // `pow (2f;10f;::)`: the trailing `::` keeps the list general.
        assert_eq!(bound_call(ffi, &pow, &list![two.clone(), ten.clone(), null()]), eight);
        // A list that is general without it needs none: `pow (2f;10)`.
        assert_eq!(bound_call(ffi, &pow, &list![two.clone(), long(10)]), eight);
        // `pow (2f;10f)` collapses to a vector of floats.
        let rank = error("rank: pow: expected a list of 2 arguments that ends in (::): 9h");
        assert_eq!(bound_call(ffi, &pow, &floats(&[2.0, 10.0])), rank);
        let rank = error("rank: pow: expected a list of 2 arguments that ends in (::): 101h");
        assert_eq!(bound_call(ffi, &pow, &null()), rank);
        let rank = error("rank: pow: expected a list of 2 arguments that ends in (::): -9h");
        assert_eq!(bound_call(ffi, &pow, &two), rank);
        // Too few, too many.
        let count = |given: usize| error(&format!("rank: pow: expected 2 arguments, got {given}"));
        assert_eq!(bound_call(ffi, &pow, &list![]), count(0));
        assert_eq!(bound_call(ffi, &pow, &list![two.clone()]), count(1));
        assert_eq!(bound_call(ffi, &pow, &list![two.clone(), ten.clone(), two.clone()]), count(3));
        assert_eq!(bound_call(ffi, &pow, &list![two.clone(), ten.clone(), two.clone(), null()]), count(4));
        assert_eq!(bound_call(ffi, &pow, &list![two, ten, null(), null()]), count(4));
    });
}

#[test]
fn functions_without_arguments() {
    ffi(|ffi| {
        pass(0, &7_i32.to_ne_bytes());
        let function = ffi.bound("give_int", "", 'i');
        // `f enlist(::)`, `f (::;::)`, `f (::)` and `f ()`.
        for list in [list![null()], list![null(), null()], null(), list![]] {
            assert_eq!(bound_call(ffi, &function, &list), Ok(int(7)), "{list:?}");
        }
        let rank = error("rank: give_int: expected 0 arguments, got 1");
        assert_eq!(
            bound_call(ffi, &function, &list![int(1), null()]),
            error("rank: give_int: expected 0 arguments, got 2")
        );
        assert_eq!(bound_call(ffi, &function, &list![int(1)]), rank);
        let rank = error("rank: give_int: expected a list of 0 arguments that ends in (::): -6h");
        assert_eq!(bound_call(ffi, &function, &int(1)), rank);
        // With inference as well.
        for list in [list![null()], list![null(), null()], null(), list![]] {
            let function = list![letter('i'), symbol("give_int")];
            assert_eq!(ffi.twice(|| ffi.q.apply(&ffi.call_function, &[&function, &list])), Ok(int(7)), "{list:?}");
        }
        // A function of its own rank is called with `::`.
        let function = ffi.own_rank("give_int", "", 'i');
        assert_eq!(ffi.twice(|| ffi.q.apply(&function, &[&null()])), Ok(int(7)));
        let rank = error("rank: give_int: expected no arguments");
        assert_eq!(ffi.twice(|| ffi.q.apply(&function, &[&int(1)])), rank);
    });
}

#[test]
fn one_argument() {
    ffi(|ffi| {
        let abs = ffi.bound("abs", "i", 'i');
        for list in [list![int(-3), null()], list![int(-3)], int(-3), long(-3)] {
            assert_eq!(bound_call(ffi, &abs, &list), Ok(int(3)), "{list:?}");
        }
        let strlen = ffi.bound("strlen", "C", 'j');
        for list in [list![string("four"), null()], list![string("four")], string("four"), symbol("four")] {
            assert_eq!(bound_call(ffi, &strlen, &list), Ok(long(4)), "{list:?}");
        }
        let rank = error("rank: abs: expected a list of 1 argument that ends in (::): 101h");
        assert_eq!(bound_call(ffi, &abs, &null()), rank);
        assert_eq!(
            bound_call(ffi, &abs, &list![int(1), int(2), null()]),
            error("rank: abs: expected 1 argument, got 3")
        );
        // Where one argument may be `::`, the list has two: `f (::;::)`.
        let see = ffi.bound("see_pointer", "r", ' ');
        assert_eq!(bound_call(ffi, &see, &list![null(), null()]), Ok(null()));
        assert_eq!(seen(0), 0);
    });
}

#[test]
fn more_arguments_than_q_passes() {
    ffi(|ffi| {
        let source = "double sum12(double a, double b, double c, double d, double e, double f, double g, double h, double i, \
                      int j, long k, int l) { return a + b + c + d + e + f + g + h + i + j + k + l; }";
        ffi.load(&compiled(source));
        let values: Vec<Value> = (0..9).map(|n| float(n.into())).chain([int(9), long(10), int(11)]).collect();
        let arguments: Vec<&Value> = values.iter().collect();
        let letters = "fffffffffiji";
        assert_eq!(ffi.twice(|| ffi.run("sum12", letters, 'f', &arguments)), Ok(float(66.0)));
        let function = ffi.own_rank("sum12", letters, 'f');
        assert_eq!(ffi.twice(|| ffi.q.apply(&function, &[&list_of(values.clone())])), Ok(float(66.0)));
        let rank = error("rank: sum12: expected a list of 12 arguments: -6h");
        assert_eq!(ffi.twice(|| ffi.q.apply(&function, &[&int(1)])), rank);
    });
}

#[test]
fn ways_to_name_functions() {
    ffi(|ffi| {
        let bind = |function: &Value| {
            let made = ffi.q.apply(&ffi.bind, &[function, &string("i"), &char(b'i')])?;
            ffi.twice(|| ffi.list_call(&made, &[&int(-2)]))
        };
        assert_eq!(bind(&symbol("abs")), Ok(int(2)));
        assert_eq!(bind(&symbols(&["libc.so.6", "abs"])), Ok(int(2)));
        assert_eq!(bind(&long(address::<u8>("abs") as i64)), Ok(int(2)));
        // Errors call one that was never named by its address.
        let address = address::<u8>("labs") as i64;
        let made = ffi.q.apply(&ffi.bind, &[&long(address), &string("j"), &char(b'j')]).expect("a function");
        let expected = format!("type: {address:#x}: argument 1 (\"j\"): -8h 0.5");
        assert_eq!(ffi.twice(|| ffi.list_call(&made, &[&real(0.5)])), error(&expected));
        // libm is there without being named.
        assert_eq!(ffi.run("hypot", "ff", 'f', &[&float(3.0), &float(4.0)]), Ok(float(5.0)));
        let unknown = bind(&symbols(&["no_such_library.so", "abs"])).expect_err("no library");
        assert!(unknown.starts_with("os: bind: no_such_library.so: "), "{unknown}");
        assert_eq!(bind(&symbols(&["libc.so.6", "no_such"])), error("os: bind: no_such: no such symbol in libc.so.6"));
        assert_eq!(bind(&symbol("no_such")), error("os: bind: no_such: no such symbol in this process"));
        for wrong in [long(0), int(1), string("abs"), symbols(&["abs"]), symbols(&["a", "b", "c"]), null(), list![]] {
            let expected = format!("type: bind: `name, `library`name or an address: {}h", wrong.kind());
            assert_eq!(bind(&wrong), error(&expected), "{wrong:?}");
        }
    });
}

#[test]
fn letters_are_checked() {
    ffi(|ffi| {
        for (made_by, name) in [(&ffi.bind, "abs"), (&ffi.function, "abs")] {
            let bind = |parameters: Value, result: Value| {
                ffi.twice(|| ffi.q.apply(made_by, &[&symbol(name), &parameters, &result]))
            };
            assert_eq!(bind(string("?"), char(b'i')), error("type: abs: \"?\" is no type letter"));
            assert_eq!(bind(string("i"), char(b'?')), error("type: abs: \"?\" is no type letter"));
            assert_eq!(bind(string("i"), string("ii")), error("type: abs: a result letter is a char: 10h"));
            assert_eq!(bind(string("i"), int(1)), error("type: abs: a result letter is a char: -6h"));
            assert_eq!(bind(int(1), char(b'i')), error("type: abs: argument letters are a string: -6h"));
            // One letter may be a char or a string of one.
            for parameters in [char(b'i'), string("i")] {
                for result in [char(b'i'), string("i")] {
                    assert_eq!(bind(parameters.clone(), result).map(|function| function.kind()), Ok(112));
                }
            }
            // No letters: a general empty list as q has it, or an empty string.
            assert_eq!(bind(string(""), char(b'i')).map(|function| function.kind()), Ok(112));
        }
    });
}

#[test]
fn inference() {
    ffi(|ffi| {
        let call = |function: Value, list: Value| ffi.twice(|| ffi.q.apply(&ffi.call_function, &[&function, &list]));
        // The result is an int unless a letter says otherwise.
        assert_eq!(call(symbol("abs"), list![int(-4), null()]), Ok(int(4)));
        assert_eq!(call(symbol("abs"), int(-4)), Ok(int(4)));
        assert_eq!(call(list![char(b'f'), symbol("pow")], list![float(2.0), float(3.0), null()]), Ok(float(8.0)));
        assert_eq!(
            call(list![string("f"), symbols(&["libm.so.6", "pow"])], list![float(2.0), float(3.0), null()]),
            Ok(float(8.0))
        );
        assert_eq!(call(list![char(b'j'), symbol("strlen")], list![symbol("abc"), null()]), Ok(long(3)));
        assert_eq!(call(list![char(b'j'), symbol("labs")], list![long(-5), null()]), Ok(long(5)));
        assert_eq!(
            call(list![char(b'f'), symbol("pow")], floats(&[2.0, 3.0])),
            error("type: pow: expected a list of arguments that ends in (::): 9h")
        );
        assert_eq!(
            call(list![symbol("abs")], list![int(1), null()]),
            error("type: callFunction: `name or (letter; `name): a list of 1")
        );
        assert_eq!(
            call(list![int(1), symbol("abs")], list![int(1), null()]),
            error("type: callFunction: a result letter is a char: -6h")
        );
        assert_eq!(
            call(symbol("no_such"), list![null()]),
            error("os: callFunction: no_such: no such symbol in this process")
        );
        assert_eq!(
            call(symbol("abs"), list![dict(symbols(&["a"]), longs(&[1])), null()]),
            error("type: abs: argument 1: 99h has no C type")
        );
        // A callback as an argument.
        let triple = callback(&lambda(1, |arguments| Ok(int(3 * arguments[0].atom::<i32>()))), "i", 'i');
        assert_eq!(call(symbol("apply_int"), list![triple, int(5), null()]), Ok(int(15)));
    });
}

#[test]
fn qsort_with_a_callback() {
    ffi(|ffi| {
        let compare = lambda(2, |arguments| {
            let [a, b] = [arguments[0].atom::<i64>(), arguments[1].atom::<i64>()];
            Ok(int(a.cmp(&b) as i32))
        });
        let vector = longs(&[5, -3, 9, 0, 7]);
        let arguments = [&vector, &long(5), &long(8), &callback(&compare, "JJ", 'i')];
        assert_eq!(ffi.twice(|| ffi.run("qsort", "Jllk", ' ', &arguments)), Ok(null()));
        assert_eq!(vector, longs(&[-3, 0, 5, 7, 9]));
        // `r` and `j` take any vector.
        let vector = longs(&[2, 1]);
        let arguments = [&vector, &long(2), &long(8), &callback(&compare, "JJ", 'i')];
        assert_eq!(ffi.twice(|| ffi.run("qsort", "rjjk", ' ', &arguments)), Ok(null()));
        assert_eq!(vector, longs(&[1, 2]));
    });
}

#[test]
fn variables() {
    ffi(|ffi| {
        let read = |variable: Value| ffi.twice(|| ffi.q.apply(&ffi.cvar, &[&variable]));
        assert_eq!(read(symbol("v_int")), Ok(int(42)));
        assert_eq!(read(list![char(b'f'), symbol("v_float")]), Ok(float(2.5)));
        assert_eq!(read(list![string("s"), symbol("v_text")]), Ok(symbol("variable")));
        let library = callees().to_str().expect("a path");
        assert_eq!(read(symbols(&[library, "v_int"])), Ok(int(42)));
        assert_eq!(read(list![char(b'h'), symbols(&[library, "v_short"])]), Ok(short(-2)));
        assert_eq!(read(long(address::<i32>("v_int") as i64)), Ok(int(42)));
        assert_eq!(read(symbol("no_such")), error("os: cvar: no_such: no such symbol in this process"));
        assert_eq!(read(list![char(b' '), symbol("v_int")]), error("type: cvar: v_int: a variable is not void"));
        assert_eq!(read(list![]), error("type: cvar: `name or (letter; `name): a list of 0"));
        assert_eq!(read(int(1)), error("type: cvar: `name, `library`name or an address: -6h"));
    });
}

#[test]
fn members_of_structs() {
    ffi(|ffi| {
        let start = long(address::<u8>("v_struct") as i64);
        let follow = |address: &Value, letters: Value, index: Value| {
            ffi.twice(|| ffi.q.apply(&ffi.deref, &[address, &letters, &index]))
        };
        let first = list![short(1), float(1.5), symbol("one"), int(10)];
        let second = list![short(2), float(2.5), string("two"), int(20)];
        assert_eq!(follow(&start, string("hfsi"), long(0)), Ok(first));
        assert_eq!(follow(&start, string("hfCi"), int(1)), Ok(second));
        assert_eq!(follow(&start, char(b'h'), long(0)), Ok(list![short(1)]));
        // A vector of one address, as `,p` is.
        assert_eq!(follow(&longs(&[start.atom()]), string("h"), long(0)), Ok(list![short(1)]));
        assert_eq!(follow(&long(0), string("h"), long(0)), error("type: deref: an address: -7h"));
        assert_eq!(follow(&int(1), string("h"), long(0)), error("type: deref: an address: -6h"));
        assert_eq!(follow(&start, string("h"), float(0.0)), error("type: deref: an index: -9h"));
        assert_eq!(follow(&start, string("?"), long(0)), error("type: deref: \"?\" is no type letter"));
        assert_eq!(follow(&start, string(""), long(0)), Ok(list![]));
    });
}

#[test]
fn errno() {
    ffi(|ffi| {
        let set = |value: Value| ffi.twice(|| ffi.q.apply(&ffi.set_errno, &[&value]));
        ffi.q.apply(&ffi.set_errno, &[&int(3)]).expect("a number");
        // `::` and nulls read it.
        for reads in [null(), int(i32::MIN), long(i64::MIN), list![]] {
            assert_eq!(set(reads), Ok(int(3)));
        }
        assert_eq!(ffi.q.apply(&ffi.set_errno, &[&int(0)]), Ok(int(3)));
    });
}

#[test]
fn functions_of_qs_own_objects() {
    ffi(|ffi| {
        let source = "void *r1(void *); void *krr(const char *);\n\
                      void *second(void *a, void *b) { return r1(b); }\nvoid *refuse(void *a) { return krr(\"refused\"); }";
        ffi.load(&compiled(source));
        let second = ffi.q.apply(&ffi.as_q_function, &[&symbol("second"), &long(2)]).expect("a function");
        let (a, b) = (longs(&[1, 2]), symbol("b"));
        assert_eq!(ffi.twice(|| ffi.q.apply(&second, &[&a, &b])), Ok(symbol("b")));
        assert_eq!((a.refcount(), b.refcount()), (0, 0));
        let refuse = ffi.q.apply(&ffi.as_q_function, &[&symbol("refuse"), &int(1)]).expect("a function");
        assert_eq!(ffi.twice(|| ffi.q.apply(&refuse, &[&a])), error("refused"));
        for count in [0, 9, -1] {
            let outcome = ffi.twice(|| ffi.q.apply(&ffi.as_q_function, &[&symbol("second"), &long(count)]));
            assert!(
                matches!(&outcome, Err(text) if text.starts_with("rank: ") && text.contains("1 to 8 arguments")),
                "{outcome:?}"
            );
        }
        let outcome = ffi.twice(|| ffi.q.apply(&ffi.as_q_function, &[&symbol("second"), &float(2.0)]));
        assert!(matches!(&outcome, Err(text) if text.starts_with("type: ") && text.ends_with(": -9h")), "{outcome:?}");
        let outcome = ffi.twice(|| ffi.q.apply(&ffi.as_q_function, &[&symbol("no_such"), &long(2)]));
        assert!(matches!(&outcome, Err(text) if text.starts_with("os: ")), "{outcome:?}");
    });
}

#[test]
fn call_interfaces() {
    ffi(|ffi| {
        let cif = ffi.q.apply(&ffi.cif, &[&string("ff"), &char(b'f')]).expect("a call interface");
        let call = |function: Value, list: Value| ffi.twice(|| ffi.q.apply(&ffi.call, &[&cif, &function, &list]));
        assert_eq!(call(symbol("pow"), list![float(2.0), float(5.0), null()]), Ok(float(32.0)));
        assert_eq!(call(symbols(&["libm.so.6", "fmax"]), list![float(2.0), float(5.0), null()]), Ok(float(5.0)));
        assert_eq!(call(symbol("pow"), list![float(2.0)]), error("rank: pow: expected 2 arguments, got 1"));
        assert_eq!(
            call(symbol("pow"), list![float(2.0), symbol("x"), null()]),
            error("type: pow: argument 2 (\"f\"): -11h")
        );
        assert_eq!(
            ffi.twice(|| ffi.q.apply(&ffi.cif, &[&string("?"), &char(b'f')])),
            error("type: cif: \"?\" is no type letter")
        );
        for wrong in [int(1), list![], longs(&[1, 2, 3, 4])] {
            let outcome = ffi.twice(|| ffi.q.apply(&ffi.call, &[&wrong, &symbol("pow"), &list![null()]]));
            assert_eq!(outcome, error(&format!("type: call: what .ffi.cif gives: {}h", wrong.kind())));
        }
    });
}

#[test]
fn functions_of_their_own_rank() {
    ffi(|ffi| {
        let pow = ffi.own_rank("pow", "ff", 'f');
        let call = |arguments: &[&Value]| ffi.twice(|| ffi.q.apply(&pow, arguments));
        assert_eq!(call(&[&float(2.0), &float(10.0)]), Ok(float(1024.0)));
        assert_eq!(call(&[&long(2), &int(10)]), Ok(float(1024.0)));
        let three = float(3.0);
        assert_eq!(call(&[&three, &three, &three]), error("rank"));
        // q projects it, and the projection is called.
        let cube = ffi.q.apply(&pow, &[&hole(), &three]).expect("a projection");
        assert_eq!(ffi.twice(|| ffi.q.apply(&cube, &[&float(2.0)])), Ok(float(8.0)));
        assert_eq!(call(&[&floats(&[1.0, 2.0, 3.0]), &float(2.0)]), Ok(floats(&[1.0, 4.0, 9.0])));
        assert_eq!(call(&[&symbol("a"), &float(2.0)]), error("type: pow: argument 1 (\"f\"): -11h"));
        assert_eq!(
            call(&[&floats(&[1.0, 2.0]), &floats(&[1.0, 2.0, 3.0])]),
            error("length: pow: arguments 1 and 2: 2 and 3 elements")
        );
    });
}

#[test]
fn what_functions_show() {
    ffi(|ffi| {
        let show = |function: &Value| ffi.twice(|| ffi.q.apply(&ffi.show, &[function])).map(|text| text.text());
        for function in [ffi.own_rank("abs", "i", 'i'), ffi.bound("abs", "i", 'i')] {
            let text = show(&function).expect("a text");
            assert!(text.starts_with("int abs(int);\n"), "{text}");
            let is_emitted = text.contains("endbr64") || text.contains("bti");
            assert!(is_emitted || text.contains("no machine code"), "{text}");
        }
        assert_eq!(show(&int(1)), Err("type: show: a function of .ffi.fn, .ffi.bind or .ffi.def".to_owned()));
    });
}

#[test]
fn libraries() {
    ffi(|ffi| {
        let load = |library: Value| ffi.twice(|| ffi.q.apply(&ffi.loadlib, &[&library]));
        assert_eq!(load(symbol("libc.so.6")), Ok(null()));
        assert_eq!(load(string("libm.so.6")), Ok(null()));
        let missing = load(symbol("no_such.so")).expect_err("no library");
        assert!(missing.starts_with("os: loadlib: no_such.so: "), "{missing}");
        assert_eq!(load(int(1)), error("type: loadlib: a symbol or a string: -6h"));
        assert_eq!(load(string("a\0b")), error("type: loadlib: a zero byte in a text"));
    });
}
