// What qjs-ffi gets wrong: each is the right answer here, or an error that says what is the matter.

import { JSContext, RTLD_DEFAULT, call, define, dlsym, toArrayBuffer, toPointer, toString } from "./ffi.so";
import { assert, deepEqual, equal, finish, test, throws } from "./lib/assert.js";
import { bind, callees } from "./lib/c.js";

const id = {
    i32: bind(callees, "id_i32", "int", "int"),
    i64: bind(callees, "id_i64", "int64_t", "int64_t"),
    u64: bind(callees, "id_u64", "uint64", "uint64"),
    f64: bind(callees, "id_f64", "double", "double"),
    pointer: bind(callees, "id_pointer", "pointer", "pointer"),
};
const strlen = bind(RTLD_DEFAULT, "strlen", "size_t", "const char *");

test("results of 64 bits are exact", () => {
    equal(id.u64(2n ** 64n - 1n), 2n ** 64n - 1n);
    equal(id.u64(2n ** 53n + 1n), 2n ** 53n + 1n);
    equal(id.i64(-(2n ** 63n)), -(2n ** 63n));
});

test("BigInts are arguments", () => {
    equal(id.i32(-7n), -7);
    equal(id.f64(2n ** 60n), 2 ** 60);
    throws(() => id.i32(2n ** 31n), RangeError, /^id_i32: argument 1 \(int\): 2147483648n is out of range$/);
});

test("size_t has 64 bits", () => {
    define("id_size", dlsym(callees, "id_u64"), null, "size_t", "size_t");
    equal(call("id_size", 2 ** 32 + 1), 2 ** 32 + 1);
});

test("a name that is defined again is the new function", () => {
    const [abs, labs] = [dlsym(RTLD_DEFAULT, "abs"), dlsym(callees, "id_i32")];
    const twice = () => call("redefined", -5);
    define("redefined", abs, null, "int", "int");
    equal(twice(), 5);
    equal(twice(), 5);
    equal(define("redefined", labs, null, "int", "int"), true);
    equal(twice(), -5);
    equal(call("re" + "defined", -5), -5);
});

test("a name that is not defined", () => {
    throws(() => call("undefined_name"), ReferenceError, /undefined_name is not defined/);
    throws(() => call(), TypeError, /name/);
    throws(() => call(5), TypeError, /name/);
});

test("missing arguments are counted", () => {
    throws(() => strlen(), TypeError, /^strlen: expected 1 argument, got 0$/);
    define("missing", dlsym(callees, "add3"), null, "sint64", "int", "int", "int");
    throws(() => call("missing", 1, 2), TypeError, /^missing: expected 3 arguments, got 2$/);
    equal(call("missing", 1, 2, 3), 6);
});

test("more than 30 parameters", () => {
    const types = new Array(32).fill("int");
    define("sum_many", dlsym(callees, "sum_many"), null, "sint64", ...types);
    equal(call("sum_many", ...types.map((_, index) => index)), 29 * 30 / 2 + 2 * 30 + 3 * 31);
});

test("memory at null is not read", () => {
    throws(() => toString(null), TypeError, /null/);
    throws(() => toString(0), TypeError, /null/);
    throws(() => toArrayBuffer(null, 4), TypeError, /null/);
});

test("typed arrays and views are memory", () => {
    const floats = new Float32Array([1, 2]);
    equal(id.pointer(floats), Number(toPointer(floats)));
    equal(id.pointer(new Uint8Array(floats.buffer, 4)), Number(toPointer(floats.buffer, 4)));
    equal(id.pointer(new DataView(floats.buffer, 1)), Number(toPointer(floats.buffer)) + 1);
});

test("offsets stay in their buffer", () => {
    const buffer = new ArrayBuffer(4);
    throws(() => toPointer(buffer, 5), RangeError, /4 bytes/);
    throws(() => toPointer(buffer, -1), RangeError, /4 bytes/);
    equal(Number(toPointer(buffer, 4)), Number(toPointer(buffer)) + 4);
});

test("lengths are lengths", () => {
    const pointer = Number(toPointer(new ArrayBuffer(4)));
    throws(() => toArrayBuffer(pointer, -1), RangeError, /-1/);
    throws(() => toArrayBuffer(pointer, 0.5), TypeError, /0\.5/);
    throws(() => toArrayBuffer(pointer, "4"), TypeError, /string/);
});

test("a string is no number", () => {
    throws(() => id.i32("5"), TypeError, /^id_i32: argument 1 \(int\): expected an integer, got a string$/);
    throws(() => id.f64("5"), TypeError, /^id_f64: argument 1 \(double\): expected a number, got a string$/);
});

test("no integer comes of what is none", () => {
    throws(() => id.i32(NaN), RangeError, /NaN/);
    throws(() => id.i32(0.5), RangeError, /0\.5/);
    throws(() => id.i32(Infinity), RangeError, /Infinity/);
    throws(() => id.i32(2 ** 31), RangeError, /2147483648 is out of range/);
    throws(() => id.i32(undefined), TypeError, /undefined/);
    throws(() => id.i32(null), TypeError, /null/);
});

test("unknown conventions are refused", () => {
    throws(() => define("abs", dlsym(RTLD_DEFAULT, "abs"), "pascal", "int", "int"), TypeError, /pascal/);
});

test("unknown types define nothing", () => {
    equal(define("unknown_type", dlsym(RTLD_DEFAULT, "abs"), null, "int", "integer"), false);
    throws(() => call("unknown_type", 1), ReferenceError, /unknown_type/);
});

test("C's names of types", () => {
    define("id_bool", dlsym(callees, "id_bool"), null, "bool", "bool");
    equal(call("id_bool", true), true);
    define("id_i32_t", dlsym(callees, "id_i32"), null, "int32_t", "int32_t");
    equal(call("id_i32_t", -1), -1);
    define("id_long_long", dlsym(callees, "id_i64"), null, "long long", "long long");
    equal(call("id_long_long", -(2 ** 40)), -(2 ** 40));
    define("id_unsigned_short", dlsym(callees, "id_u16"), null, "unsigned short", "unsigned short");
    equal(call("id_unsigned_short", 65535), 65535);
    throws(() => call("id_unsigned_short", 65536), RangeError, /65536/);
    define("strlen_const", dlsym(RTLD_DEFAULT, "strlen"), null, "size_t", "const char *");
    equal(call("strlen_const", "const"), 5);
});

test("C writes to a copy of a string", () => {
    define("shout", dlsym(callees, "shout"), null, "void", "char *");
    const text = "quiet";
    const object = { quiet: 1 };
    call("shout", text);
    call("shout", "quiet");
    equal(text, "quiet");
    equal("qui" + "et", "quiet");
    deepEqual(Object.keys(object), ["quiet"]);
});

test("a string ends where C says", () => {
    throws(() => strlen("a\0b"), TypeError, /zero byte/);
});

test("a name is a string", () => {
    throws(() => define(Symbol("name"), 0, null, "int"), TypeError, /symbol/);
    throws(() => define("no_types"), TypeError, /argument/);
});

test("void is no parameter", () => {
    throws(() => define("takes_void", dlsym(RTLD_DEFAULT, "abs"), null, "int", "void"), TypeError, /void/);
});

test("the context stays what it is", () => {
    assert(JSContext() === JSContext());
});

finish();
