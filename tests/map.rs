//! Maps against C functions, on every tier: all scalars, random signatures of them, structs, columns of every kind; what
//! errors, `errno` and failures of callbacks do.

mod support;
mod tiers;

use std::cell::Cell;
use std::ffi::{c_char, c_void};
use std::fmt::Write;
use std::ptr;

use jitcall::emit::Steps;
use jitcall::map::Column;
use jitcall::types::{Arch, layout};
use jitcall::{CType, Engine, Errno, Error, Function, Library, Object, Signature, Slot, Tier, Type, Value, c_struct};
use support::Run;
use support::compile::{Compiler, Folder};
use tiers::{engines, find};

/// A C library for a test.
struct Compiled {
    library: Library,
    _folder: Folder,
}

impl Compiled {
    fn new(source: &str) -> Compiled {
        let folder = Folder::new();
        let paths = Compiler::from_env().compile(&folder, &[source.to_owned()]);
        // SAFETY: the libraries have no initialisers.
        let library = unsafe { Library::open(&paths[0]) }.unwrap_or_else(|error| panic!("{error}"));
        Compiled { library, _folder: folder }
    }

    fn find(&self, engine: &Engine, declaration: &str) -> Function {
        find(engine, &self.library, declaration)
    }
}

/// Whether there is machine code for the function's maps where there can be.
fn assert_stub(function: &Function, engine: &Engine, expected: bool) {
    let map = function.mapper().unwrap();
    for steps in [Steps::Dense, Steps::Strided] {
        assert_eq!(map.stub(steps).is_some(), expected && engine.tier() == Tier::Jit, "{function:?}");
    }
}

/// C's scalars, and what C makes of a value `a` of each.
const SCALARS: &str = "
    #include <stddef.h>
    enum small { NONE, SOME = 7 };
    enum signed_enum { LOW = -5, HIGH = 5 };
    enum wide { WIDE = 0x100000000 };
    #define NEXT(name, type, expression) type name(type a) { return expression; }
    NEXT(next_bool, _Bool, !a)
    NEXT(next_char, char, a + 1)
    NEXT(next_schar, signed char, a + 1)
    NEXT(next_uchar, unsigned char, a + 1)
    NEXT(next_short, short, a + 1)
    NEXT(next_ushort, unsigned short, a + 1)
    NEXT(next_int, int, a + 1)
    NEXT(next_unsigned, unsigned, a + 1)
    NEXT(next_long, long, a + 1)
    NEXT(next_ulong, unsigned long, a + 1)
    NEXT(next_size, size_t, a + 1)
    NEXT(next_float, float, a + 1)
    NEXT(next_double, double, a + 1)
    NEXT(next_pointer, char *, a + 1)
    NEXT(next_small, enum small, a + 1)
    NEXT(next_signed, enum signed_enum, a + 1)
    NEXT(next_wide, enum wide, a + 1)
    // The value as it is in its register: a callee may count on narrow ones to be extended to int.
    #define WIDEN(name, type) long name(type a) { return a; }
    WIDEN(widen_bool, _Bool)
    WIDEN(widen_schar, signed char)
    WIDEN(widen_uchar, unsigned char)
    WIDEN(widen_short, short)
    WIDEN(widen_ushort, unsigned short)
    WIDEN(widen_int, int)
    WIDEN(widen_unsigned, unsigned)
";

/// Maps a function over values, and compares its results.
fn check<A: CType, R: CType + PartialEq + std::fmt::Debug>(
    compiled: &Compiled,
    declaration: &str,
    values: &[A],
    expected: &[R],
) {
    for engine in engines() {
        let function = compiled.find(&engine, declaration);
        assert_stub(&function, &engine, true);
        let mut results = expected.to_vec();
        results.reverse();
        // SAFETY: the functions take any value of their types.
        unsafe { function.map_into((values,), &mut results) }.unwrap_or_else(|error| panic!("{declaration}: {error}"));
        assert_eq!(results, expected, "{declaration} by {}", engine.tier());
    }
}

#[test]
fn every_scalar_comes_and_goes() {
    let c = &Compiled::new(SCALARS);
    check(c, "_Bool next_bool(_Bool)", &[true, false, true, true], &[false, true, false, false]);
    check(c, "char next_char(char)", &[0 as c_char, 1, 126], &[1 as c_char, 2, 127]);
    check(c, "signed char next_schar(signed char)", &[-128i8, -1, 5], &[-127i8, 0, 6]);
    check(c, "unsigned char next_uchar(unsigned char)", &[0u8, 127, 255], &[1u8, 128, 0]);
    check(c, "short next_short(short)", &[i16::MIN, -1, 300], &[i16::MIN + 1, 0, 301]);
    check(c, "unsigned short next_ushort(unsigned short)", &[0u16, 65534, 65535], &[1u16, 65535, 0]);
    check(c, "int next_int(int)", &[i32::MIN, -1, 70000], &[i32::MIN + 1, 0, 70001]);
    check(c, "unsigned next_unsigned(unsigned)", &[0u32, u32::MAX - 1, u32::MAX], &[1u32, u32::MAX, 0]);
    check(c, "long next_long(long)", &[i64::MIN, -1, 1 << 40], &[i64::MIN + 1, 0, (1 << 40) + 1]);
    check(c, "unsigned long next_ulong(unsigned long)", &[0u64, u64::MAX - 1, u64::MAX], &[1u64, u64::MAX, 0]);
    check(c, "size_t next_size(size_t)", &[7usize, usize::MAX], &[8usize, 0]);
    check(c, "float next_float(float)", &[-1.5f32, 0.25, f32::INFINITY], &[-0.5f32, 1.25, f32::INFINITY]);
    check(c, "double next_double(double)", &[-1.5, 1e300, f64::NEG_INFINITY], &[-0.5, 1e300, f64::NEG_INFINITY]);
    let pointers: [*const u8; 2] = [ptr::without_provenance(41), ptr::without_provenance(1 << 47)];
    check(c, "char *next_pointer(char *)", &pointers, &pointers.map(|pointer| pointer.wrapping_add(1)));
    check(c, "enum small { NONE, SOME = 7 }; enum small next_small(enum small)", &[0u32, 7], &[1u32, 8]);
    let signed = "enum signed_enum { LOW = -5, HIGH = 5 }; enum signed_enum next_signed(enum signed_enum)";
    check(c, signed, &[-5, -1, 5], &[-4, 0, 6]);
    let wide = "enum wide { WIDE = 0x100000000 }; enum wide next_wide(enum wide)";
    check(c, wide, &[1u64 << 32, 5], &[(1u64 << 32) + 1, 6]);
}

#[test]
fn narrow_values_are_extended() {
    let c = &Compiled::new(SCALARS);
    check(c, "long widen_bool(_Bool)", &[true, false], &[1i64, 0]);
    check(c, "long widen_schar(signed char)", &[-128i8, -1, 127], &[-128i64, -1, 127]);
    check(c, "long widen_uchar(unsigned char)", &[0u8, 128, 255], &[0i64, 128, 255]);
    check(c, "long widen_short(short)", &[i16::MIN, -1, i16::MAX], &[-32768i64, -1, 32767]);
    check(c, "long widen_ushort(unsigned short)", &[0u16, 32768, 65535], &[0i64, 32768, 65535]);
    check(c, "long widen_int(int)", &[i32::MIN, -1], &[i64::from(i32::MIN), -1]);
    check(c, "long widen_unsigned(unsigned)", &[u32::MAX, 1], &[i64::from(u32::MAX), 1]);
}

/// A generator of random numbers: xorshift.
struct Random(u64);

impl Random {
    fn new(seed: u64) -> Random {
        Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as usize % limit
    }
}

const RANDOM: [&str; 13] = [
    "_Bool",
    "signed char",
    "unsigned char",
    "short",
    "unsigned short",
    "int",
    "unsigned",
    "long",
    "unsigned long",
    "void *",
    "float",
    "double",
    "enum color { RED = -1, GREEN = 1 }",
];

/// The same types where they have been defined before.
fn name(ty: usize) -> &'static str {
    if ty == RANDOM.len() - 1 { "enum color" } else { RANDOM[ty] }
}

/// A signature of scalars: its parameters, and its result, `void` where there is none.
struct Case {
    seed: u64,
    parameters: Vec<usize>,
    result: Option<usize>,
}

impl Case {
    /// Mostly few parameters; sometimes so many that there is no stub.
    fn new(seed: u64) -> Case {
        let mut random = Random::new(seed);
        let count = match random.below(12) {
            0 => random.below(300),
            1..=3 => random.below(40),
            _ => random.below(9),
        };
        let parameters = (0..count).map(|_| random.below(RANDOM.len())).collect();
        let result = random.below(RANDOM.len() + 1);
        Case { seed, parameters, result: (result < RANDOM.len()).then_some(result) }
    }

    fn prototype(&self) -> String {
        let parameters: Vec<String> =
            self.parameters.iter().enumerate().map(|(index, ty)| format!("{} a{index}", name(*ty))).collect();
        let parameters = if parameters.is_empty() { "void".to_owned() } else { parameters.join(", ") };
        format!("{} f{}({parameters})", self.result.map_or("void", name), self.seed)
    }

    /// A function that mixes all bytes of its arguments, and adds what it gets to `total`.
    fn source(&self) -> String {
        let mut source = format!("{} {{ unsigned long h = {};\n", self.prototype(), self.seed % 1000);
        for index in 0..self.parameters.len() {
            writeln!(source, "h = mix(h, &a{index}, sizeof a{index});").unwrap();
        }
        source += "total += h;\n";
        match self.result.map(name) {
            None => source += "}\n",
            Some("_Bool") => source += "return h >> 9 & 1; }\n",
            Some("float" | "double") => source += "return (long) h >> 40; }\n",
            Some(ty) => writeln!(source, "return ({ty}) h; }}").unwrap(),
        }
        source
    }

    /// A signature, without its name's number.
    fn declaration(&self) -> String {
        format!("{}; {}", RANDOM[RANDOM.len() - 1], self.prototype())
    }
}

/// An argument's elements in memory, in some arrangement.
struct Elements {
    bytes: Vec<u8>,
    start: usize,
    stride: isize,
    size: usize,
}

impl Elements {
    /// `count` elements of a type: one behind the other if they are to be dense; otherwise apart, backwards, or one for
    /// all; aligned by chance.
    fn new(random: &mut Random, ty: usize, count: usize, dense: bool) -> Elements {
        let size = size_of_type(ty);
        let apart = (size + random.below(20)) as isize;
        let stride = match random.below(4) {
            _ if dense => size as isize,
            0 => 0,
            1 => -apart,
            2 => apart,
            _ => size as isize,
        };
        let length = stride.unsigned_abs() * (count - 1) + size;
        let before = random.below(9);
        let mut bytes: Vec<u8> = (0..before + length).map(|_| random.below(256) as u8).collect();
        if RANDOM[ty] == "_Bool" {
            bytes.iter_mut().for_each(|byte| *byte &= 1);
        }
        let start = if stride < 0 { before + length - size } else { before };
        Elements { bytes, start, stride, size }
    }

    fn column(&self) -> Column {
        Column { address: self.bytes[self.start..].as_ptr(), stride: self.stride }
    }

    /// An element in a slot, with nothing of its neighbours.
    fn slot(&self, index: usize) -> Slot {
        let at = (self.start as isize + self.stride * index as isize) as usize;
        let mut word = [0; 8];
        word[..self.size].copy_from_slice(&self.bytes[at..][..self.size]);
        Slot::from(u64::from_le_bytes(word))
    }
}

fn size_of_type(ty: usize) -> usize {
    layout::of(&Type::parse(RANDOM[ty]).unwrap(), Arch::HOST).unwrap().size
}

/// Bytes before and behind the results that have to stay as they are.
const MARGIN: usize = 24;

fn compare(case: &Case, function: &Function, compiled: &Compiled, random: &mut Random, what: &str) {
    let total = compiled.library.variable("unsigned long total").unwrap().address().cast::<u64>();
    let size = case.result.map_or(0, size_of_type);
    for dense in [true, false] {
        let count = 1 + random.below(6);
        let elements: Vec<Elements> =
            case.parameters.iter().map(|ty| Elements::new(random, *ty, count, dense)).collect();
        let columns: Vec<Column> = elements.iter().map(Elements::column).collect();
        let shift = random.below(8);
        let mut found = vec![0xa5u8; shift + size * count + 2 * MARGIN];
        let mut expected = found.clone();
        // SAFETY: the variable is the library's; the functions take any values, as many as there are elements; there is
        // room for as many results, and those of a scalar type need not be aligned.
        unsafe {
            total.write(0);
            function.map(count, &columns, found[shift + MARGIN..].as_mut_ptr()).unwrap();
            let sum = total.read();
            total.write(0);
            for index in 0..count {
                let slots: Vec<Slot> = elements.iter().map(|elements| elements.slot(index)).collect();
                let mut result = [0u64; 1];
                function.call_slots(slots.as_ptr(), result.as_mut_ptr().cast());
                let result = &result[0].to_le_bytes()[..size];
                expected[shift + MARGIN + index * size..][..size].copy_from_slice(result);
            }
            assert_eq!(sum, total.read(), "{what}, dense: {dense}");
        }
        assert_eq!(found, expected, "{what}, dense: {dense}");
    }
}

#[test]
fn random_signatures_map_as_they_are_called() {
    let cases: Vec<Case> = Run::from_env(120).seeds().map(Case::new).collect();
    let mut source = format!(
        "{};\nunsigned long total;
        static unsigned long mix(unsigned long h, const void *bytes, unsigned size) {{
            for (unsigned index = 0; index < size; index++)
                h = (h ^ ((const unsigned char *) bytes)[index]) * 0x100000001b3;
            return h;
        }}\n",
        RANDOM[RANDOM.len() - 1]
    );
    source.extend(cases.iter().map(Case::source));
    let compiled = Compiled::new(&source);
    for engine in engines() {
        for case in &cases {
            let function = compiled.find(&engine, &case.declaration());
            let what =
                format!("JITCALL_SEED={} JITCALL_SIGNATURES=1: {} by {}", case.seed, case.prototype(), engine.tier());
            if case.parameters.len() <= 150 {
                assert_stub(&function, &engine, true);
            }
            let mut random = Random::new(case.seed + 1);
            for _ in 0..4 {
                compare(case, &function, &compiled, &mut random, &what);
            }
        }
    }
}

#[test]
fn frames_that_would_be_large_are_done_without() {
    let parameters = vec!["long"; 300].join(", ");
    let terms: Vec<String> = (0..300).map(|index| format!("{index} * a{index}")).collect();
    let named: Vec<String> = (0..300).map(|index| format!("long a{index}")).collect();
    let source = format!("long sum({}) {{ return {}; }}", named.join(", "), terms.join(" + "));
    let compiled = Compiled::new(&source);
    for engine in engines() {
        let function = compiled.find(&engine, &format!("long sum({parameters})"));
        assert_stub(&function, &engine, false);
        let numbers: Vec<i64> = (0..302).collect();
        let columns: Vec<Column> = (0..300).map(|index| Column::of(&numbers[index..])).collect();
        let mut sums = [0i64; 3];
        // SAFETY: there are three numbers from each of the columns' starts on.
        unsafe { function.map(3, &columns, sums.as_mut_ptr().cast()) }.unwrap();
        let expected = [0, 1, 2].map(|call| (0..300).map(|index| index * (index + call)).sum::<i64>());
        assert_eq!(sums, expected);
    }
}

c_struct! {
    /// Two numbers, returned in vector registers.
    #[derive(Debug, PartialEq)]
    struct Point {
        x: f64,
        y: f64,
    }
}

c_struct! {
    /// Three, returned in memory on both architectures.
    #[derive(Debug, PartialEq)]
    struct Numbers {
        a: i64,
        b: f64,
        c: i64,
    }
}

#[test]
fn what_is_no_scalar_is_mapped_by_single_calls() {
    let compiled = Compiled::new(
        "struct point { double x, y; };
         struct numbers { long a; double b; long c; };
         struct point turn(struct point p, int quarters) {
             for (; quarters > 0; quarters--) p = (struct point) { -p.y, p.x };
             return p;
         }
         struct numbers gather(struct numbers n, long a) { return (struct numbers) { n.c + a, n.b / 2, n.a }; }
         long double third(long double a) { return a / 3; }
         double _Complex squared(double _Complex a) { return a * a; }
         __int128 doubled(__int128 a) { return 2 * a; }",
    );
    for engine in engines() {
        let turn = compiled.find(&engine, "struct point { double x, y; }; struct point turn(struct point, int)");
        assert_stub(&turn, &engine, false);
        let points = [Point { x: 1.0, y: 2.0 }, Point { x: -3.0, y: 4.0 }];
        let mut turned = [Point { x: 0.0, y: 0.0 }; 2];
        // SAFETY: the declarations are the functions' own.
        unsafe { turn.map_into((&points[..], &[1, 2][..]), &mut turned) }.unwrap();
        assert_eq!(turned, [Point { x: -2.0, y: 1.0 }, Point { x: 3.0, y: -4.0 }]);

        let declaration = "struct numbers { long a; double b; long c; }; struct numbers gather(struct numbers, long)";
        let gather = compiled.find(&engine, declaration);
        let numbers = [1, 2, 3].map(|n| Numbers { a: n, b: n as f64, c: 10 * n });
        let mut gathered = [Numbers { a: 0, b: 0.0, c: 0 }; 3];
        // SAFETY: as above.
        unsafe { gather.map_into((&numbers[..], &[5i64, 6, 7][..]), &mut gathered) }.unwrap();
        assert_eq!(gathered, [(15, 0.5, 1), (26, 1.0, 2), (37, 1.5, 3)].map(|(a, b, c)| Numbers { a, b, c }));

        let doubled = compiled.find(&engine, "__int128 doubled(__int128)");
        let mut results = [0i128; 2];
        // SAFETY: as above.
        unsafe { doubled.map_into((&[1i128 << 100, -7][..],), &mut results) }.unwrap();
        assert_eq!(results, [1 << 101, -14]);

        // A long double is made of a double by a map, too: 16 bytes whose first are those of a number.
        let third = compiled.find(&engine, "long double third(long double)");
        let squared = compiled.find(&engine, "double _Complex squared(double _Complex)");
        let numbers: Vec<Object> = [3.0, -9.0].map(|n| boxed("struct { long double n; }", n)).into_iter().collect();
        let bytes: Vec<u8> = numbers.iter().flat_map(|number| number.bytes().to_vec()).collect();
        let mut results = Aligned([0; 32]);
        let columns = [Column { address: bytes.as_ptr(), stride: 16 }];
        // SAFETY: as above; the results are aligned as a long double is.
        unsafe { third.map(2, &columns, results.0.as_mut_ptr()) }.unwrap();
        for (index, expected) in [1.0, -3.0].into_iter().enumerate() {
            let bytes = boxed("struct { long double n; }", expected).bytes().to_vec();
            let significant = if cfg!(target_arch = "x86_64") { 10 } else { 16 };
            assert_eq!(results.0[16 * index..][..significant], bytes[..significant]);
        }
        let (numbers, mut results) = ([[1.0, 2.0], [0.0, -1.0]], [[0.0; 2]; 2]);
        // SAFETY: as above.
        unsafe { squared.map(2, &[Column::of(&numbers)], results.as_mut_ptr().cast()) }.unwrap();
        assert_eq!(results, [[-3.0, 4.0], [-1.0, 0.0]]);
    }
}

/// Room for two values of 16 bytes.
#[repr(C, align(16))]
struct Aligned([u8; 32]);

/// A number as the one member of a struct.
fn boxed(ty: &str, number: f64) -> Object {
    Object::new(&Type::parse(ty).unwrap(), &Value::List(&[number.into()])).unwrap()
}

#[test]
fn columns_lie_as_their_strides_say() {
    let compiled = Compiled::new("double scaled(int number, double by, short shift) { return number * by + shift; }");
    #[repr(C, packed)]
    struct Record {
        tag: u8,
        shift: i16,
        number: i32,
    }
    let records = [(1, 4), (-2, -5), (3, 6)].map(|(shift, number)| Record { tag: 0xff, shift, number });
    assert!(records.iter().all(|record| record.tag == 0xff));
    let stride = size_of::<Record>() as isize;
    for engine in engines() {
        let scaled = compiled.find(&engine, "double scaled(int, double, short)");
        assert_stub(&scaled, &engine, true);
        let (by, mut results) = (0.5, [0.0; 3]);
        let forward = [
            Column { address: (&raw const records[0].number).cast(), stride },
            Column::same(&by),
            Column { address: (&raw const records[0].shift).cast(), stride },
        ];
        // SAFETY: there are three records.
        unsafe { scaled.map(3, &forward, results.as_mut_ptr().cast()) }.unwrap();
        assert_eq!(results, [3.0, -4.5, 6.0]);
        let backwards = [
            Column { address: (&raw const records[2].number).cast(), stride: -stride },
            Column::same(&by),
            Column { address: (&raw const records[0].shift).cast(), stride },
        ];
        // SAFETY: as above.
        unsafe { scaled.map(3, &backwards, results.as_mut_ptr().cast()) }.unwrap();
        assert_eq!(results, [4.0, -4.5, 5.0]);
    }
}

#[test]
fn results_may_take_the_place_of_arguments() {
    let compiled = Compiled::new("double minus(double a, double b) { return a - b; }");
    for engine in engines() {
        let minus = compiled.find(&engine, "double minus(double, double)");
        let mut numbers = [1.0, 2.0, 3.0, 4.0];
        let place = numbers.as_mut_ptr();
        let column = Column { address: place.cast_const().cast(), stride: 8 };
        let next = Column { address: place.wrapping_add(1).cast_const().cast(), stride: 8 };
        // SAFETY: a result takes the place of an element that no later call reads.
        unsafe { minus.map(3, &[next, column], place.cast()) }.unwrap();
        assert_eq!(numbers, [1.0, 1.0, 1.0, 4.0]);
    }
}

#[test]
fn nothing_is_called_no_times() {
    extern "C" fn never(_: i32) -> i32 {
        std::process::abort()
    }
    for engine in engines() {
        let function = tiers::bind(&engine, never as *const c_void, "int never(int)");
        let column = Column { address: ptr::null(), stride: 4 };
        // SAFETY: nothing is read or called.
        unsafe { function.map(0, &[column], ptr::null_mut()) }.unwrap();
        // SAFETY: as above.
        unsafe { function.map_into((&[0i32; 0][..],), &mut [0i32; 0]) }.unwrap();
    }
}

#[test]
fn functions_without_results_or_parameters() {
    thread_local! {
        static SUM: Cell<i64> = const { Cell::new(0) };
    }
    extern "C" fn add(number: i64) {
        SUM.set(SUM.get() + number);
    }
    extern "C" fn count() -> i64 {
        SUM.set(SUM.get() + 1);
        SUM.get()
    }
    for engine in engines() {
        SUM.set(0);
        let add = tiers::bind(&engine, add as *const c_void, "void add(long)");
        assert_stub(&add, &engine, true);
        let numbers = [1i64, 20, 300];
        // SAFETY: that is the function's type; there is no result.
        unsafe { add.map(3, &[Column::of(&numbers)], ptr::null_mut()) }.unwrap();
        // SAFETY: as above.
        unsafe { add.map_into((&numbers[..],), &mut [(); 3]) }.unwrap();
        assert_eq!(SUM.get(), 642);
        let count = tiers::bind(&engine, count as *const c_void, "long count(void)");
        let mut counts = [0i64; 4];
        // SAFETY: as above.
        unsafe { count.map_into((), &mut counts) }.unwrap();
        assert_eq!(counts, [643, 644, 645, 646]);
    }
}

#[test]
fn variadic_functions_are_told_of_vector_registers() {
    let compiled = Compiled::new(
        "#include <stdarg.h>
         double sum(int count, ...) {
             va_list list;
             va_start(list, count);
             double sum = 0;
             for (; count > 0; count--) sum += va_arg(list, double);
             va_end(list);
             return sum;
         }",
    );
    for engine in engines() {
        let sum = compiled.find(&engine, "double sum(int, ...)");
        let mut sums = [1.0; 2];
        // SAFETY: no variadic argument is asked for.
        unsafe { sum.map_into((&[0, 0][..],), &mut sums) }.unwrap();
        assert_eq!(sums, [0.0; 2]);
        let sum = sum.with_tail([Type::F64, Type::F64]).unwrap();
        assert_stub(&sum, &engine, true);
        // SAFETY: there are two variadic arguments.
        unsafe { sum.map_into((&[2, 1][..], &[0.5, 1.5][..], &[4.0, 8.0][..]), &mut sums) }.unwrap();
        assert_eq!(sums, [4.5, 1.5]);
    }
}

#[test]
fn errno_is_left_alone() {
    let compiled = Compiled::new(
        "#include <errno.h>
         int change(int to) { int was = errno; errno = to; return was; }
         int keep(int number) { return number; }",
    );
    for engine in engines() {
        let change = compiled.find(&engine, "int change(int)");
        let keep = compiled.find(&engine, "int keep(int)");
        change.mapper().unwrap();
        keep.mapper().unwrap();
        let mut results = [0; 3];
        let columns = [Column::of(&[11, 22, 33])];
        Errno(5).set();
        // SAFETY: those are the functions' types; there are three numbers, and room for three.
        let errno = unsafe {
            change.map(3, &columns, results.as_mut_ptr().cast()).unwrap();
            keep.map(3, &columns, [0; 3].as_mut_ptr().cast()).unwrap();
            Errno::get()
        };
        assert_eq!((results, errno), ([5, 11, 22], Errno(33)));
    }
}

#[test]
fn a_failing_callback_is_reported_after_the_last_call() {
    let compiled = Compiled::new(
        "int calls;
         int through(int (*callback)(int), int number) { calls++; return callback(number) + 1; }",
    );
    let calls = compiled.library.variable("int calls").unwrap().address().cast::<i32>();
    for engine in engines() {
        let runs = Cell::new(0);
        let signature = Signature::parse("int callback(int)").unwrap();
        let interface = engine.prepare_callback(&signature).unwrap();
        let closure = interface.values(|arguments| {
            runs.set(runs.get() + 1);
            match arguments {
                [Value::I32(30)] => Err("no thirty".into()),
                [Value::I32(number)] => Ok(Value::I32(2 * number)),
                _ => Err("not a number".into()),
            }
        });
        let closure = closure.unwrap();
        let through = compiled.find(&engine, "int through(int (*)(int), int)");
        assert_stub(&through, &engine, true);
        let (pointer, numbers, mut results) = (closure.as_ptr(), [10, 20, 30, 40, 50], [0; 5]);
        let columns = [Column::same(&pointer), Column::of(&numbers)];
        // SAFETY: that is the function's type; the variable is the library's.
        let error = unsafe {
            calls.write(0);
            through.map(5, &columns, results.as_mut_ptr().cast()).unwrap_err()
        };
        assert!(matches!(error, Error::Callback { .. }), "{error}");
        assert_eq!(error.to_string(), "through: callback callback: no thirty");
        // SAFETY: as above.
        assert_eq!((unsafe { calls.read() }, runs.get()), (5, 3));
        assert_eq!(results, [21, 41, 1, 1, 1]);
        // The failure has been taken: the next map is one like any other.
        // SAFETY: as above.
        unsafe { through.map(2, &columns, results.as_mut_ptr().cast()) }.unwrap();
        assert_eq!(results, [21, 41, 1, 1, 1]);
    }
}

#[test]
fn what_does_not_fit_is_refused_before_any_call() {
    extern "C" fn never(_: i32, _: f64) -> i32 {
        std::process::abort()
    }
    let function = tiers::bind(Engine::global(), never as *const c_void, "int never(int n, double x)");
    let mut results = [0; 2];
    let message = |result: jitcall::Result<()>| result.unwrap_err().to_string();
    let column = Column::same(&0);
    // SAFETY: nothing is called.
    unsafe {
        let map = function.map(2, &[column], results.as_mut_ptr().cast());
        assert_eq!(message(map), "never: expected 2 arguments, got 1");
        let map = function.map(0, &[column; 3], results.as_mut_ptr().cast());
        assert_eq!(message(map), "never: expected 2 arguments, got 3");
        let map = function.map_into((&[1, 2][..], &[1.0][..]), &mut results);
        assert_eq!(message(map), "never: argument 2 (x): expected 2 elements, got 1: there is one for each result");
        let map = function.map_into((&[1, 2][..], &[1.0f32, 2.0][..]), &mut results);
        assert_eq!(message(map), "never: argument 2 (x) is declared double, which Rust's f32 is not");
        let map = function.map_into((&[1, 2][..], &[1.0, 2.0][..]), &mut [0u8; 2]);
        assert_eq!(message(map), "never: the result is declared int, which Rust's u8 is not");
        assert!(matches!(function.map_into((&[1, 2][..],), &mut results), Err(Error::Typed { .. })));
    }
}

#[test]
fn maps_of_one_shape_share_their_stubs() {
    for engine in engines().into_iter().filter(|engine| engine.tier() == Tier::Jit) {
        let prepare = |declaration| engine.prepare_map(&Signature::parse(declaration).unwrap()).unwrap();
        let of = |declaration| {
            let map = prepare(declaration);
            [Steps::Dense, Steps::Strided].map(|steps| map.stub(steps).unwrap())
        };
        let [dense, strided] = of("long f(int, void *)");
        assert_ne!(dense, strided);
        let before = engine.statistics().stubs;
        assert_eq!(of("void *g(unsigned, long)"), [dense, strided]);
        assert_eq!(engine.statistics().stubs, before);
        for other in ["int f(int, void *)", "double f(int, void *)", "void f(int, void *)", "long f(short, void *)"] {
            assert!(!of(other).contains(&dense), "{other}");
        }
        engine.audit().unwrap();
    }
}
