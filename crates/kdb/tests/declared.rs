//! C declarations in q: `.ffi.def`, structs in memory, foreign objects, guarded calls.
//!
//! Each row of a table is a call and what it gives, as q writes it; errors as they are signalled.

#[path = "../../../tests/support/compile.rs"]
#[allow(dead_code, reason = "a part of it is used here")]
mod compile;
mod support;

use std::path::PathBuf;
use std::sync::OnceLock;

use compile::{Compiler, Folder};
use support::*;

/// The declarations of all that the tests call.
const DECLARATIONS: &str = r"
    struct point { double x, y; };
    typedef struct line { struct point ends[2]; char name[8]; int width; } line;
    union number { int i; double d; unsigned char bytes[8]; };
    struct tagged { int kind; union { int i; double d; struct { short lo, hi; }; }; };
    struct flags { unsigned a : 3, b : 5; int c : 4; _Bool on : 1; };
    struct node { int value; struct node *next; };
    struct big { long a[5]; };
    struct one { float f; };
    struct unknown;
    enum colour { RED, GREEN = 5, BLUE };
    enum wide { LOW = -1, HIGH = 1 };
    double norm1(struct point p);
    struct point scaled(struct point p, double by);
    struct line doubled(line l);
    union number as_number(double d);
    double of_number(union number n);
    int kind_of(struct tagged t);
    struct flags make_flags(unsigned a, unsigned b, int c, _Bool on);
    int sum_flags(struct flags f);
    int length(const struct node *node);
    struct big shifted(struct big b);
    struct one half(struct one o);
    unsigned char inc_uchar(unsigned char c);
    signed char neg_schar(signed char c);
    char next_char(char c);
    _Bool not_bool(_Bool b);
    unsigned short inc_ushort(unsigned short s);
    unsigned int inc_uint(unsigned int i);
    unsigned long inc_ulong(unsigned long l);
    long double half_ld(long double d);
    enum colour next_colour(enum colour c);
    enum wide same_wide(enum wide w);
    double _Complex turned(double _Complex z);
    __int128 squared(long x);
    void divide(int a, int b, int *quotient, int *remainder);
    int locate(int n, struct point *p);
    double total(const double *v, int n);
    void doubles_in_place(double *v, int n);
    long sum_uint(const unsigned *v, int n);
    void move(struct point *p, double by);
    double norm1_of(const struct point *p);
    const char *greeting(int which);
    int count_char(const char *text, char c);
    int fill(char *to, int n, char with);
    int apply_int(int (*f)(int, double), int a);
    int plus_one(int a, double d);
    int apply_unsigned(int (*f)(unsigned));
    void *no_address(void);
    int add_all(int count, ...);
    char *format(const char *pattern, ...);
    int none(void);
    long nine(long a, long b, long c, long d, long e, long f, long g, long h, unsigned i);
    extern int counter;
    extern struct point origin;
    extern const char *title;
    void *claim(long n);
    void release(void *p);
    int releases(void);
    int peek(const int *p);
    double peek_point(const struct point *p);
    int fails(int code);
";

/// The C library that they are in.
fn library() -> &'static str {
    static LIBRARY: OnceLock<(Folder, PathBuf)> = OnceLock::new();
    let (_, path) = LIBRARY.get_or_init(|| {
        let folder = Folder::new();
        let sources = [include_str!("declared/callees.c").to_owned()];
        let path = Compiler::from_env().compile(&folder, &sources).remove(0);
        (folder, path)
    });
    path.to_str().expect("a path")
}

/// `.ffi`, with what the declarations declare.
struct Ffi<'q> {
    q: &'q Q,
    functions: Value,
}

fn ffi<R: Send>(body: impl FnOnce(&Ffi<'_>) -> R + Send) -> R {
    q(|q| {
        let functions = q.apply(&q.load("ffi_def", 2), &[&symbol(library()), &string(DECLARATIONS)]);
        body(&Ffi { q, functions: functions.unwrap_or_else(|error| panic!("{error}")) })
    })
}

impl Ffi<'_> {
    /// A function or variable that is declared.
    fn named(&self, name: &str) -> Value {
        value_of(&self.functions, name)
    }

    /// What a declared function gives.
    fn call(&self, name: &str, arguments: &[&Value]) -> String {
        shown(self.q.apply(&self.named(name), arguments))
    }

    /// What one of the library's own functions gives.
    fn run(&self, name: &str, arguments: &[&Value]) -> Result<Value, String> {
        self.q.apply(&self.q.load(name, arguments.len()), arguments)
    }

    fn show(&self, name: &str, arguments: &[&Value]) -> String {
        shown(self.run(name, arguments))
    }

    fn define(&self, library: &Value, text: &str) -> Result<Value, String> {
        self.run("ffi_def", &[library, &string(text)])
    }
}

/// The value of a name in a dictionary of functions.
fn value_of(dictionary: &Value, name: &str) -> Value {
    let names = dictionary.item(0);
    let index = names.slice::<*const std::ffi::c_char>().iter().position(|own| *own == intern(name));
    dictionary.item(1).item(index.unwrap_or_else(|| panic!("no {name}")))
}

/// What q writes for a value, or the error that it signals.
fn shown(outcome: Result<Value, String>) -> String {
    match outcome {
        Ok(value) => format!("{value:?}"),
        Err(error) => format!("'{error}"),
    }
}

/// A dictionary from these names to a list, or a vector, of values.
fn named(names: &[&str], values: Value) -> Value {
    dict(symbols(names), values)
}

fn point(x: f64, y: f64) -> Value {
    named(&["x", "y"], floats(&[x, y]))
}

fn line() -> Value {
    let ends = table(vec![("x", floats(&[1.0, 3.0])), ("y", floats(&[2.0, 4.0]))]);
    named(&["ends", "name", "width"], list![ends, string("line"), int(7)])
}

/// Calls and what they give.
fn check(ffi: &Ffi<'_>, rows: &[(&str, &[Value], &str)]) {
    for (name, arguments, expected) in rows {
        let arguments: Vec<&Value> = arguments.iter().collect();
        // What is kept is made by the first call; the second leaves nothing behind.
        let first = ffi.call(name, &arguments);
        assert_eq!(first, *expected, "{name} of {arguments:?}");
        let function = ffi.named(name);
        ffi.q.exact(|q| drop(q.apply(&function, &arguments)));
    }
}

#[test]
fn scalars_are_converted_without_loss() {
    ffi(|ffi| {
        check(
            ffi,
            &[
                ("inc_uchar", &[byte(255)], "0x00"),
                ("inc_uchar", &[long(4)], "0x05"),
                ("inc_uchar", &[long(256)], "'type: inc_uchar: argument 1 (unsigned char): -7h 256"),
                ("neg_schar", &[long(-5)], "0x05"),
                ("neg_schar", &[byte(5)], "0xfb"),
                ("neg_schar", &[long(128)], "'type: neg_schar: argument 1 (signed char): -7h 128"),
                ("next_char", &[char(b'a')], "\"b\""),
                ("not_bool", &[boolean(true)], "0b"),
                ("not_bool", &[long(0)], "1b"),
                ("not_bool", &[long(2)], "'type: not_bool: argument 1 (_Bool): -7h 2"),
                ("inc_ushort", &[int(65534)], "65535i"),
                ("inc_ushort", &[short(-1)], "'type: inc_ushort: argument 1 (unsigned short): -5h -1"),
                ("inc_uint", &[long(4_294_967_294)], "4294967295"),
                ("inc_uint", &[int(1)], "2"),
                ("inc_uint", &[float(2.0)], "3"),
                ("inc_uint", &[long(-1)], "'type: inc_uint: argument 1 (unsigned int): -7h -1"),
                ("inc_uint", &[float(2.5)], "'type: inc_uint: argument 1 (unsigned int): -9h 2.5"),
                ("inc_uint", &[string("a")], "'type: inc_uint: argument 1 (unsigned int): 10h"),
                ("inc_ulong", &[long(-2)], "-1"),
                ("half_ld", &[float(5.0)], "2.5"),
                ("half_ld", &[int(5)], "2.5"),
                ("next_colour", &[symbol("RED")], "5i"),
                ("next_colour", &[long(5)], "6i"),
                ("next_colour", &[symbol("PINK")], "'type: next_colour: argument 1 (enum colour): no constant PINK"),
                ("same_wide", &[symbol("LOW")], "-1i"),
                ("turned", &[floats(&[1.0, 2.0])], "-2 1f"),
                (
                    "turned",
                    &[floats(&[1.0])],
                    "'length: turned: argument 1 (double _Complex): expected 2 elements, got 1",
                ),
                ("squared", &[long(1 << 40)], "0x00000000000000000000010000000000"),
                ("none", &[null()], "7i"),
                ("none", &[long(1)], "'rank: none: expected no arguments"),
                ("no_address", &[null()], "0"),
            ],
        );
    });
}

#[test]
fn structs_are_passed_by_value() {
    ffi(|ffi| {
        let bytes_of = |x: f64, y: f64| bytes(&[x.to_le_bytes(), y.to_le_bytes()].concat());
        check(
            ffi,
            &[
                ("norm1", &[point(3.0, -4.0)], "7f"),
                ("norm1", &[floats(&[3.0, -4.0])], "7f"),
                ("norm1", &[list![int(3), float(-4.0)]], "7f"),
                ("norm1", &[named(&["y", "x"], longs(&[1, 2]))], "3f"),
                ("norm1", &[bytes_of(3.0, 5.0)], "8f"),
                ("norm1", &[bytes(&[0; 15])], "'length: norm1: argument 1 (struct point): expected 16 bytes, got 15"),
                ("norm1", &[floats(&[1.0])], "'length: norm1: argument 1 (struct point): expected 2 members, got 1"),
                ("norm1", &[float(1.0)], "'type: norm1: argument 1 (struct point): -9h 1"),
                (
                    "norm1",
                    &[named(&["x", "y"], list![float(1.0), symbols(&["a"])])],
                    "'type: norm1: argument 1 (struct point): member y: 11h",
                ),
                (
                    "norm1",
                    &[named(&["x"], floats(&[1.0]))],
                    "'type: norm1: argument 1 (struct point): no member y is given",
                ),
                (
                    "norm1",
                    &[named(&["x", "y", "z"], floats(&[1.0; 3]))],
                    "'type: norm1: argument 1 (struct point): struct point has no member z",
                ),
                ("scaled", &[point(1.0, 2.0), long(3)], "`x`y!3 6f"),
                ("doubled", &[line()], "`ends`name`width!(+`x`y!(2 6f;4 8f);\"Dine\";14i)"),
                (
                    "doubled",
                    &[list![list![floats(&[1.0, 2.0]), point(3.0, 4.0)], symbol("b"), long(1)]],
                    "`ends`name`width!(+`x`y!(2 6f;4 8f);,\"D\";2i)",
                ),
                (
                    "doubled",
                    &[list![list![floats(&[1.0, 2.0])], symbol("b"), long(1)]],
                    "'length: doubled: argument 1 (struct line): member ends: expected 2 elements, got 1",
                ),
                (
                    "doubled",
                    &[list![list![floats(&[1.0, 2.0]), floats(&[1.0, 2.0])], string("too long!"), long(1)]],
                    "'length: doubled: argument 1 (struct line): member name: expected at most 8 chars, got 9",
                ),
                ("as_number", &[float(1.0)], "0x000000000000f03f"),
                ("of_number", &[named(&["d"], floats(&[2.5]))], "2.5"),
                ("of_number", &[bytes(&1.5_f64.to_le_bytes())], "1.5"),
                (
                    "of_number",
                    &[named(&["d", "i"], list![float(2.5), int(1)])],
                    "'type: of_number: argument 1 (union number): member d: another alternative of the union is given",
                ),
                ("of_number", &[floats(&[1.0])], "'type: of_number: argument 1 (union number): 9h"),
                ("kind_of", &[named(&["kind", "i"], ints(&[1, 42]))], "42i"),
                ("kind_of", &[named(&["kind", "d"], floats(&[2.0, 42.5]))], "42i"),
                ("kind_of", &[named(&["kind", "lo", "hi"], longs(&[3, 4, 5]))], "4005i"),
                (
                    "kind_of",
                    &[named(&["kind", "lo"], longs(&[3, 4]))],
                    "'type: kind_of: argument 1 (struct tagged): no member hi is given",
                ),
                ("make_flags", &[long(5), long(17), long(-3), boolean(true)], "`a`b`c`on!(5;17;-3i;1b)"),
                ("sum_flags", &[list![long(5), long(17), long(-3), boolean(true)]], "6671i"),
                (
                    "sum_flags",
                    &[list![long(8), long(17), long(-3), boolean(true)]],
                    "'type: sum_flags: argument 1 (struct flags): member a: 8 does not fit 3 bits",
                ),
                ("shifted", &[named(&["a"], list![longs(&[1, 1, 1, 1, 1])])], ",`a!,1 2 3 4 5"),
                ("half", &[floats(&[3.0])], ",`f!,1.5e"),
            ],
        );
    });
}

#[test]
fn pointers_lead_to_vectors_in_place() {
    ffi(|ffi| {
        check(
            ffi,
            &[
                ("total", &[floats(&[1.0, 2.0, 3.5]), long(3)], "6.5"),
                ("total", &[longs(&[1, 2]), long(2)], "'type: total: argument 1 (const double *): 7h"),
                ("sum_uint", &[ints(&[1, 2, -1]), long(3)], "4294967298"),
                ("sum_uint", &[longs(&[1, 2]), long(2)], "'type: sum_uint: argument 1 (const unsigned int *): 7h"),
                ("norm1_of", &[point(1.0, -2.0)], "3f"),
                ("norm1_of", &[bytes(&[0; 16])], "0f"),
                (
                    "norm1_of",
                    &[bytes(&[0; 12])],
                    "'length: norm1_of: argument 1 (const struct point *): expected at least 16 bytes, got 12",
                ),
                ("move", &[point(1.0, 2.0), float(1.0)], "'type: move: argument 1 (struct point *): 99h"),
                ("length", &[null()], "0i"),
                ("length", &[named(&["value", "next"], list![int(1), null()])], "1i"),
                ("length", &[named(&["value", "next"], longs(&[1, 0]))], "1i"),
                ("length", &[float(1.0)], "'type: length: argument 1 (const struct node *): -9h 1"),
                ("greeting", &[long(1)], "\"hello\""),
                ("greeting", &[long(0)], "\"\""),
                ("count_char", &[string("banana"), char(b'a')], "3i"),
                ("count_char", &[symbol("banana"), char(b'n')], "2i"),
                (
                    "nine",
                    &[list![long(1), long(1), long(1), long(1), long(1), long(1), long(1), long(1), long(1), null()]],
                    "45",
                ),
                ("nine", &[longs(&[1])], "'rank: nine: expected a list of 9 arguments: 7h"),
                ("nine", &[list![long(1), null()]], "'rank: nine: expected 9 arguments, got 2"),
            ],
        );
        let vector = floats(&[1.0, 2.0]);
        assert_eq!(ffi.call("doubles_in_place", &[&vector, &long(2)]), "::");
        assert_eq!(format!("{vector:?}"), "2 4f");
        let text = string("abc\0");
        assert_eq!(ffi.call("fill", &[&text, &long(2), &char(b'x')]), "2i");
        assert_eq!(format!("{text:?}"), "\"xxc\\000\"");
        let memory = bytes(&[0; 16]);
        assert_eq!(ffi.call("move", &[&memory, &float(1.5)]), "::");
        assert_eq!(ffi.show("ffi_unpack", &[&symbol("point"), &memory]), "`x`y!1.5 1.5");
        // As an address: of the same memory.
        let address = long(memory.items::<u8>().addr() as i64);
        assert_eq!(ffi.call("norm1_of", &[&address]), "3f");
    });
}

#[test]
fn out_parameters_come_with_the_result() {
    ffi(|ffi| {
        check(
            ffi,
            &[
                ("divide", &[long(17), long(5), symbol("out"), symbol("out")], "(::;3i;2i)"),
                ("divide", &[long(17), long(5), ints(&[0]), symbol("out")], "(::;2i)"),
                ("locate", &[long(4), symbol("out")], "(4i;`x`y!4 4.5)"),
                ("total", &[symbol("out"), long(1)], "'type: total: argument 1 (const double *): -11h `out"),
            ],
        );
    });
}

#[test]
fn functions_are_passed_as_pointers() {
    ffi(|ffi| {
        let add =
            lambda(2, |arguments| Ok(int(arguments[0].atom::<i32>() + (arguments[1].atom::<f64>() * 2.0) as i32)));
        let bad = lambda(2, |_| Err("bad".to_owned()));
        let described = list![add.clone(), string("if"), char(b'i')];
        let plus_one = ffi.named("plus_one");
        check(
            ffi,
            &[
                ("apply_int", &[add.clone(), long(41)], "42i"),
                ("apply_int", &[described, long(41)], "42i"),
                ("apply_int", &[plus_one, long(41)], "42i"),
                ("apply_int", &[bad, long(1)], "'bad"),
                ("apply_int", &[string("f"), long(1)], "'type: apply_int: argument 1 (int (*)(int, double)): 10h"),
                (
                    "apply_unsigned",
                    &[add],
                    "'type: apply_unsigned: argument 1 (int (*)(unsigned int)): \
                     unsigned int has no letter: give (function; argument letters; result letter)",
                ),
            ],
        );
    });
}

#[test]
fn variadic_functions_take_a_list_for_the_rest() {
    ffi(|ffi| {
        let mixed = list![int(1), float(2.5), string("text"), symbol("sym"), real(0.5), long(-3)];
        check(
            ffi,
            &[
                ("add_all", &[long(3), ints(&[1, 2, 3])], "6i"),
                ("add_all", &[long(2), list![short(1), byte(2)]], "3i"),
                ("add_all", &[long(1), int(5)], "5i"),
                ("add_all", &[long(0), list![]], "0i"),
                ("add_all", &[long(0), null()], "0i"),
                ("format", &[string("%d %g %s %s %g %ld"), mixed], "\"1 2.5 text sym 0.5 -3\""),
                ("format", &[string("%s"), string("one")], "\"one\""),
                ("format", &[string("%s!"), list![string("one"), null()]], "\"one!\""),
                ("format", &[string("%s %s"), symbols(&["a", "b"])], "\"a b\""),
                ("format", &[string("%g"), floats(&[1.5])], "\"1.5\""),
                ("format", &[string("x"), list![point(1.0, 2.0)]], "'type: format: argument 2: 99h has no C type"),
            ],
        );
    });
}

#[test]
fn definitions_are_kept() {
    ffi(|ffi| {
        let lib = symbol(library());
        let again = ffi.define(&lib, DECLARATIONS).unwrap();
        for name in ["norm1", "none", "counter", "format"] {
            assert_eq!(value_of(&again, name), ffi.named(name), "{name}");
        }
        // Types are known to later texts; what is not there is an error that names it.
        let later = ffi.define(&lib, "struct point scaled(struct point p, double by);").unwrap();
        assert_eq!(value_of(&later, "scaled"), ffi.named("scaled"));
        let process = ffi.define(&null(), "long labs(long); double pow(double, double)").unwrap();
        let labs = value_of(&process, "labs");
        assert_eq!(shown(ffi.q.apply(&labs, &[&long(-3)])), "3");
        assert_eq!(shown(ffi.q.apply(&labs, &[&longs(&[-3, 2])])), "3 2");
        let same = ffi.define(&symbol(""), "long labs(long)").unwrap();
        assert_eq!(value_of(&same, "labs"), labs);
        let error = |library: &Value, text: &str| shown(ffi.define(library, text));
        assert_eq!(error(&null(), "int not_there(void);"), "'os: def: not_there: no such symbol in this process");
        assert!(error(&lib, "int not_there(void);").starts_with("'os: def: not_there: no such symbol in "));
        assert!(error(&symbol("libnone.so"), "int f(void);").starts_with("'os: def: libnone.so"));
        assert_eq!(error(&long(1), ""), "'type: def: a library is a symbol: -7h");
        assert!(error(&null(), "int f(").starts_with("'type: def: line 1, column "));
        assert!(error(&null(), "struct point { float x, y; };").contains("struct point was defined otherwise before"));
        assert!(error(&null(), "enum { GREEN = 6 };").starts_with("'type: def: "));
        // A text that fails makes nothing known.
        assert!(error(&null(), "struct fresh { int a; }; int not_there(void);").starts_with("'os"));
        assert!(ffi.show("ffi_sizeof", &[&symbol("fresh")]).starts_with("'type: sizeof: "));
        assert_eq!(error(&null(), "struct fresh { int a; };"), "`symbol$()!()");
        assert_eq!(ffi.show("ffi_sizeof", &[&symbol("fresh")]), "4");
    });
}

#[test]
fn declared_functions_are_shown() {
    ffi(|ffi| {
        let show = |name: &str| ffi.run("ffi_show", &[&ffi.named(name)]).map(|text| text.text()).unwrap();
        let prototype = "double norm1(struct point p);\nno machine code: each call is converted\n";
        assert_eq!(show("norm1"), format!("struct point {{ double x; double y; }};\n{prototype}"));
    });
}

#[test]
fn variables_are_read_and_written() {
    ffi(|ffi| {
        assert_eq!(ffi.call("counter", &[&null()]), "3i");
        assert_eq!(ffi.call("counter", &[&long(5)]), "::");
        assert_eq!(ffi.call("counter", &[&null()]), "5i");
        assert_eq!(ffi.call("counter", &[&float(0.5)]), "'type: counter (int): -9h 0.5");
        ffi.call("counter", &[&long(3)]);
        assert_eq!(ffi.call("origin", &[&null()]), "`x`y!1 2f");
        assert_eq!(ffi.call("title", &[&null()]), "\"a title\"");
    });
}

#[test]
fn types_have_sizes_and_offsets() {
    ffi(|ffi| {
        let rows = [
            (symbol("point"), "16"),
            (string("struct point"), "16"),
            (string("union number"), "8"),
            (symbol("line"), "48"),
            (string("int *"), "8"),
            (string("struct point[3]"), "48"),
            (symbol("size_t"), "8"),
            (symbol("colour"), "4"),
            (string("long double"), "16"),
        ];
        for (name, size) in &rows {
            assert_eq!(ffi.show("ffi_sizeof", &[name]), *size, "{name:?}");
        }
        assert_eq!(ffi.show("ffi_sizeof", &[&string("void")]), "'type: sizeof: void: void has no size");
        assert_eq!(ffi.show("ffi_sizeof", &[&long(1)]), "'type: sizeof: a symbol or a string: -7h");
        assert!(ffi.show("ffi_sizeof", &[&symbol("nothing")]).starts_with("'type: sizeof: "));
        let offset = |ty: &str, member: &str| ffi.show("ffi_offsetof", &[&symbol(ty), &symbol(member)]);
        assert_eq!(offset("point", "y"), "8");
        assert_eq!(offset("line", "ends.1.y"), "24");
        assert_eq!(offset("tagged", "hi"), "10");
        assert_eq!(offset("point", "z"), "'type: offsetof: struct point: struct point has no member z");
        assert_eq!(offset("flags", "b"), "'type: offsetof: struct flags: a bit-field has no offset in bytes");
    });
}

#[test]
fn structs_are_packed_and_unpacked() {
    ffi(|ffi| {
        ffi.q.exact(|_| {
            let packed = ffi.run("ffi_pack", &[&symbol("line"), &line()]).unwrap();
            assert_eq!(packed.len(), 48);
            let expected = "`ends`name`width!(+`x`y!(1 3f;2 4f);\"line\";7i)";
            assert_eq!(ffi.show("ffi_unpack", &[&symbol("line"), &packed]), expected);
            let address = long(packed.items::<u8>().addr() as i64);
            assert_eq!(ffi.show("ffi_unpack", &[&symbol("line"), &address]), expected);
            let get = |path: &str| ffi.show("ffi_get", &[&symbol("line"), &packed, &symbol(path)]);
            assert_eq!(get("width"), "7i");
            assert_eq!(get("ends.1.x"), "3f");
            assert_eq!(get("ends.0"), "`x`y!1 2f");
            assert_eq!(get("ends.2"), "'type: get: struct line: struct point[2] has no member 2");
            let set = |place: &Value, path: &str, value: &Value| {
                ffi.run("ffi_set", &[&symbol("line"), place, &symbol(path), value])
            };
            let changed = set(&packed, "ends.1.x", &long(9)).unwrap();
            assert_eq!(ffi.show("ffi_get", &[&symbol("line"), &changed, &symbol("ends.1.x")]), "9f");
            assert_eq!(get("ends.1.x"), "3f");
            let changed = set(&packed, "name", &string("x")).unwrap();
            assert_eq!(ffi.show("ffi_get", &[&symbol("line"), &changed, &symbol("name")]), ",\"x\"");
            assert_eq!(shown(set(&address, "width", &int(8))), "::");
            assert_eq!(get("width"), "8i");
            assert_eq!(shown(set(&packed, "width", &string("a"))), "'type: set: struct line: member width: 10h");
            let flags = ffi.run("ffi_pack", &[&symbol("flags"), &longs(&[1, 2, 3, 1])]).unwrap();
            let flags = ffi.run("ffi_set", &[&symbol("flags"), &flags, &symbol("c"), &long(-8)]).unwrap();
            assert_eq!(ffi.show("ffi_unpack", &[&symbol("flags"), &flags]), "`a`b`c`on!(1;2;-8i;1b)");
            assert_eq!(ffi.show("ffi_get", &[&symbol("flags"), &flags, &symbol("c")]), "-8i");
            assert_eq!(
                ffi.show("ffi_unpack", &[&symbol("point"), &bytes(&[1])]),
                "'length: unpack: struct point: expected 16 bytes, got 1"
            );
            assert_eq!(
                ffi.show("ffi_unpack", &[&symbol("point"), &long(0)]),
                "'type: unpack: struct point: bytes or an address, not null"
            );
            assert_eq!(ffi.show("ffi_pack", &[&string("int[3]"), &longs(&[1, 2, -1])]), "0x0100000002000000ffffffff");
            assert_eq!(ffi.show("ffi_unpack", &[&string("short[2]"), &bytes(&[1, 0, 255, 255])]), "1 -1h");
        });
    });
}

#[test]
fn tables_are_arrays_of_structs() {
    ffi(|ffi| {
        ffi.q.exact(|_| {
            let points = || table(vec![("x", floats(&[1.0, 3.0, 5.0])), ("y", longs(&[2, 4, 6]))]);
            let array = ffi.run("ffi_array", &[&symbol("point"), &points()]).unwrap();
            assert_eq!(array.len(), 48);
            let expected = "+`x`y!(1 3 5f;2 4 6f)";
            assert_eq!(ffi.show("ffi_table", &[&symbol("point"), &array]), expected);
            let address = array.items::<u8>().addr() as i64;
            assert_eq!(ffi.show("ffi_table", &[&symbol("point"), &longs(&[address, 3])]), expected);
            let mixed = list![long(address), int(1)];
            assert_eq!(ffi.show("ffi_table", &[&symbol("point"), &mixed]), "+`x`y!(,1f;,2f)");
            let rows = list![point(1.0, 2.0), floats(&[3.0, 4.0])];
            let array = ffi.run("ffi_array", &[&symbol("point"), &rows]).unwrap();
            assert_eq!(ffi.show("ffi_table", &[&symbol("point"), &array]), "+`x`y!(1 3f;2 4f)");
            assert_eq!(
                ffi.show("ffi_table", &[&symbol("point"), &bytes(&[0; 17])]),
                "'length: table: struct point: 17 bytes are no multiple of 16"
            );
            assert_eq!(
                ffi.show("ffi_array", &[&symbol("point"), &list![point(1.0, 2.0), floats(&[3.0])]]),
                "'length: array: struct point: element 1: expected 2 members, got 1"
            );
            // Nested structs, bit-fields and texts have columns as well.
            let lines = ffi.run("ffi_array", &[&symbol("line"), &list![line(), line()]]).unwrap();
            let back = ffi.run("ffi_table", &[&symbol("line"), &lines]).unwrap();
            let again = ffi.run("ffi_array", &[&symbol("line"), &back]).unwrap();
            assert_eq!(again, lines);
            let flags = table(vec![
                ("a", longs(&[1, 2])),
                ("b", longs(&[3, 4])),
                ("c", ints(&[-1, 5])),
                ("on", booleans(&[true, false])),
            ]);
            let array = ffi.run("ffi_array", &[&symbol("flags"), &flags]).unwrap();
            assert_eq!(ffi.run("ffi_table", &[&symbol("flags"), &array]).unwrap(), flags);
            assert_eq!(ffi.show("ffi_table", &[&string("int"), &bytes(&[1, 0, 0, 0, 2, 0, 0, 0])]), "1 2i");
        });
    });
}

#[test]
fn owned_pointers_are_freed_once() {
    ffi(|ffi| {
        let free = symbols(&[library(), "release"]);
        let releases = || ffi.call("releases", &[&null()]);
        let claim = || ffi.q.apply(&ffi.named("claim"), &[&long(16)]).unwrap();
        drop(ffi.run("ffi_own", &[&claim(), &free]).unwrap());
        assert_eq!(releases(), "1i");
        let address = claim();
        let owned = ffi.run("ffi_own", &[&address, &free]).unwrap();
        assert_eq!(owned.kind(), 112);
        assert_eq!(ffi.run("ffi_address", &[&owned]).unwrap(), address);
        ffi.run("ffi_set", &[&symbol("point"), &owned, &null(), &point(1.0, -2.0)]).unwrap();
        assert_eq!(ffi.call("norm1_of", &[&owned]), "3f");
        assert_eq!(ffi.show("ffi_get", &[&symbol("point"), &owned, &symbol("y")]), "-2f");
        let other = owned.clone();
        drop(owned);
        assert_eq!(releases(), "1i");
        drop(other);
        assert_eq!(releases(), "2i");
        assert_eq!(ffi.show("ffi_own", &[&long(0), &free]), "'type: own: a null pointer is nobody's");
        assert_eq!(ffi.show("ffi_own", &[&float(1.0), &free]), "'type: own: a pointer is a long: -9h");
        assert!(ffi.show("ffi_own", &[&long(1), &symbol("not_there")]).starts_with("'os: own: not_there: "));
        assert_eq!(ffi.show("ffi_address", &[&long(1)]), "'type: address: a foreign object: -7h");
        ffi.q.exact(|_| drop(ffi.run("ffi_own", &[&claim(), &free]).unwrap()));
    });
}

#[test]
fn faults_in_guarded_functions_are_errors() {
    ffi(|ffi| {
        let guard = |function: &Value| ffi.run("ffi_guard", &[function]).unwrap();
        let lettered = ffi.run("ffi_fn", &[&symbols(&[library(), "peek"]), &char(b'r'), &char(b'i')]).unwrap();
        let bound = ffi.run("bind", &[&symbols(&[library(), "peek"]), &char(b'r'), &char(b'i')]).unwrap();
        let memory = ints(&[42]);
        let address = memory.items::<u8>().addr() as i64;
        for (function, is_listed) in [(ffi.named("peek"), false), (lettered, false), (bound, true)] {
            let argument = |value| if is_listed { list![value, null()] } else { value };
            let guarded = guard(&function);
            assert_eq!(guard(&function), guarded);
            assert_eq!(guard(&guarded), guarded);
            let error = shown(ffi.q.apply(&guarded, &[&argument(long(8))]));
            assert!(error.starts_with("'os: peek: SIGSEGV (address not mapped) at 0x8, in peek+0x"), "{error}");
            assert_eq!(shown(ffi.q.apply(&guarded, &[&argument(long(address))])), "42i");
        }
        let labs = ffi.run("ffi_fn", &[&symbol("labs"), &char(b'j'), &char(b'j')]).unwrap();
        let guarded = guard(&labs);
        assert_eq!(shown(ffi.q.apply(&guarded, &[&longs(&[-1, 2])])), "1 2");
        assert_eq!(shown(ffi.q.apply(&guard(&ffi.named("fails")), &[&long(7)])), "-1i");
        assert_eq!(ffi.show("set_errno", &[&null()]), "7i");
        assert_eq!(
            ffi.show("ffi_guard", &[&long(1)]),
            "'type: guard: a function of .ffi.fn, .ffi.bind or .ffi.def: -7h"
        );
    });
}
