// Beyond both interfaces: C declarations, structs and unions, variadic functions, out parameters, errno, variables.

import {
    alignof, array, dlopen, errno, offsetof, out, pointer, ptr, read, sizeof, strerror, struct, typed, union, write,
} from "./ffi.so";
import { assert, deepEqual, equal, finish, near, test, throws } from "./lib/assert.js";

const library = dlopen("./callees.so");
const process = dlopen(null);
const libm = dlopen("libm.so.6");

test("a C declaration", () => {
    const pow = libm.func("double pow(double, double)");
    equal(pow(2, 10), 1024);
    equal(pow.name, "pow");
    equal(pow.length, 2);
    throws(() => pow(2, "x"), TypeError, /^pow: argument 2 \(double\): expected a number, got a string$/);
});

test("several at once", () => {
    const { fabs, fmax } = libm.func("double fabs(double); double fmax(double a, double b);");
    equal(fabs(-1.5), 1.5);
    equal(fmax(1, 2), 2);
});

test("declarations when a library is opened", () => {
    const { symbols } = dlopen("./callees.so", "int read_counter(void); float id_f32(float);");
    equal(symbols.read_counter(), 42);
    equal(symbols.id_f32(0.5), 0.5);
});

test("a table may hold declarations", () => {
    const { symbols } = dlopen("./callees.so", { id_i32: "int id_i32(int)" });
    equal(symbols.id_i32(5), 5);
});

test("what is no declaration", () => {
    throws(() => libm.func("double pow(double,"), SyntaxError);
    throws(() => libm.func("int x"), TypeError, /function/);
    throws(() => libm.func("double no_such_function(double)"), Error, /no_such_function/);
});

const Point = struct("point", { x: "f64", y: "f64" });
const Line = struct("line", { from: Point, to: Point, color: "i32" });

test("sizes and offsets", () => {
    equal(sizeof(Point), 16);
    equal(sizeof(Line), 40);
    equal(offsetof(Line, "to"), 16);
    equal(offsetof(Line, "color"), 32);
    equal(alignof(Line), 8);
    equal(sizeof("int"), 4);
    equal(sizeof(array("i16", 5)), 10);
    equal(sizeof(pointer(Line)), 8);
    throws(() => offsetof(Line, "width"), TypeError, /width/);
});

test("a struct by value", () => {
    const { swap } = library.link({ swap: { args: [Point], returns: Point } }).symbols;
    const result = swap({ x: 1, y: 2 });
    assert(result instanceof Point);
    equal(result.x, 2);
    equal(result.y, 1);
    const again = swap(result);
    equal(again.x, 1);
    equal(swap([3, 4]).x, 4);
    throws(() => swap({ x: 1, z: 2 }), TypeError, /z/);
    throws(() => swap(5), TypeError, /^swap: argument 1/);
    throws(() => swap({ x: "1", y: 2 }), TypeError, /x/);
});

test("a struct by pointer", () => {
    const { move, length_squared } = library.link({
        move: { args: [pointer(Point), "f64", "f64"] },
        length_squared: { args: [pointer(Line)], returns: "f64" },
    }).symbols;
    const point = new Point({ x: 1, y: 2 });
    move(point, 0.5, -0.5);
    equal(point.x, 1.5);
    equal(point.y, 1.5);
    const line = new Line({ from: { x: 1, y: 1 }, to: { x: 4, y: 5 }, color: 7 });
    equal(length_squared(line), 25);
    line.to.x = 1;
    equal(length_squared(line), 16);
});

test("nested structs", () => {
    const { reverse } = library.link({ reverse: { args: [Line], returns: Line } }).symbols;
    const line = reverse({ from: { x: 1, y: 2 }, to: { x: 3, y: 4 }, color: 5 });
    equal(JSON.stringify(line), '{"from":{"x":3,"y":4},"to":{"x":1,"y":2},"color":6}');
    line.from = { x: 9, y: 8 };
    equal(line.from.y, 8);
    line.to = line.from;
    equal(line.to.x, 9);
});

test("small members", () => {
    const Small = struct("small", { a: "i8", b: "i16", c: "f32" });
    const { negate } = library.link({ negate: { args: [Small], returns: Small } }).symbols;
    const result = negate({ a: 1, b: 300, c: 0.5 });
    equal(JSON.stringify(result), '{"a":-1,"b":-300,"c":-0.5}');
    throws(() => negate({ a: 128, b: 0, c: 0 }), Error, /128/);
    throws(() => { result.a = 200; }, RangeError, /small\.a/);
});

test("unions", () => {
    const Number_ = union("number", { i: "i32", f: "f32", d: "f64" });
    equal(sizeof(Number_), 8);
    const { halve } = library.link({ halve: { args: [Number_], returns: Number_ } }).symbols;
    equal(halve({ d: 5 }).d, 2.5);
    const number = new Number_({ f: 1 });
    equal(number.i, 0x3f800000);
});

test("arrays in structs", () => {
    const Grid = struct("grid", { cells: array(array("i32", 3), 2), tail: "u8" });
    equal(sizeof(Grid), 28);
    const { sum_grid } = library.link({ sum_grid: { args: [Grid], returns: "int" } }).symbols;
    equal(sum_grid({ cells: [[1, 2, 3], [4, 5, 6]], tail: 9 }), 91 + 9);
    const Bytes = struct({ bytes: array("u8", 4) });
    const instance = new Bytes({ bytes: [1, 2, 3, 4] });
    instance.bytes[0] = 255;
    deepEqual(Array.from(instance.bytes), [255, 2, 3, 4]);
});

test("a struct by its C declaration", () => {
    const Pair = struct("struct pair { int first; char second; }");
    equal(sizeof(Pair), 8);
    equal(offsetof(Pair, "second"), 4);
    equal(new Pair({ first: -1, second: 65 }).first, -1);
});

test("bit-fields and packing", () => {
    const Flags = struct({ low: ["u32", 3], high: ["u32", 5] });
    equal(sizeof(Flags), 4);
    const flags = new Flags({ low: 5, high: 17 });
    equal(flags.low, 5);
    equal(flags.high, 17);
    throws(() => offsetof(Flags, "high"), TypeError, /bit-field/);
    equal(sizeof(struct("packed", { a: "u8", b: "u32" }, { packed: true })), 5);
});

test("a view of memory of C's", () => {
    const point = new Point({ x: 1, y: 2 });
    const same = Point.at(ptr(point.buffer));
    same.x = 5;
    equal(point.x, 5);
});

test("variadic functions", () => {
    const snprintf = process.func("int snprintf(char *to, size_t size, const char *format, ...)");
    const to = new Uint8Array(64);
    const print = (...rest) => {
        const length = snprintf(to, to.length, ...rest);
        return String.fromCharCode(...to.subarray(0, length));
    };
    equal(print("plain"), "plain");
    equal(print("%d %s %.2f", -5, "text", 0.25), "-5 text 0.25");
    equal(print("%lld", 2n ** 62n), String(2n ** 62n));
    equal(print("%.1f %.1f", typed("f64", 1), 2.5), "1.0 2.5");
    equal(print("%ld", typed("long", -1)), "-1");
    equal(print("%d", true), "1");
    throws(() => print("%d", undefined), TypeError, /argument 4/);
    const { sum_int } = library.link({ sum_int: { args: ["int", "..."], returns: "int" } }).symbols;
    equal(sum_int(0), 0);
    equal(sum_int(10, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10), 55);
});

test("out parameters", () => {
    const divide = library.func("void divide(int dividend, int divisor, int *quotient, int *remainder)");
    const [quotient, remainder] = [out("int"), out("int", -1)];
    equal(remainder.value, -1);
    divide(17, 5, quotient, remainder);
    equal(quotient.value, 3);
    equal(remainder.value, 2);
    const frexp = libm.func("double frexp(double, int *)");
    equal(frexp(48, quotient), 0.75);
    equal(quotient.value, 6);
});

test("errno", () => {
    const fail_with = library.func("int fail_with(int)");
    equal(fail_with(2), -1);
    equal(errno(), 2);
    assert(/No such file/.test(strerror(2)), strerror(2));
    errno(0);
    equal(errno(), 0);
    fail_with(34);
    equal(errno(), 34);
});

test("variables", () => {
    const counter = library.variable("int counter");
    equal(counter.value, 42);
    counter.value = 43;
    equal(library.func("int read_counter(void)")(), 43);
    counter.value = 42;
    equal(library.variable("ratio", "f64").value, 0.5);
    equal(String(library.variable("const char *greeting").value), "hello");
    throws(() => library.variable("int no_such_variable"), Error, /no_such_variable/);
    throws(() => { counter.value = "text"; }, TypeError);
});

test("single values are written", () => {
    const memory = new ArrayBuffer(16);
    const at = ptr(memory);
    write.i32(at, -5, 4);
    equal(read.i32(at, 4), -5);
    write.f64(at, 0.1, 8);
    equal(read.f64(at, 8), 0.1);
    throws(() => write.u8(at, 256), RangeError, /256/);
});

test("long double and complex numbers", () => {
    const sqrtl = libm.func("long double sqrtl(long double)");
    near(sqrtl(2), Math.SQRT2);
    const cabs = libm.func("double cabs(double _Complex)");
    equal(cabs([3, 4]), 5);
    const conj = libm.func("double _Complex conj(double _Complex)");
    deepEqual(conj([1, 2]), [1, -2]);
});

test("enums", () => {
    const id = library.func("enum color { RED, GREEN = 5 } id_i32(enum color)");
    equal(id(5), 5);
});

finish();
