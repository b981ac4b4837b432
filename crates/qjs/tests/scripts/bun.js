// Bun's interface: libraries by tables, callbacks, pointers, strings, single values.

import {
    CFunction, CString, FFIType, JSCallback, dlopen, linkSymbols, ptr, read, suffix, toArrayBuffer, toBuffer, viewSource,
} from "./ffi.so";
import { assert, deepEqual, equal, finish, near, test, throws } from "./lib/assert.js";

const path = `./callees.${suffix}`;

test("a table of functions", () => {
    const { symbols } = dlopen(path, {
        id_i8: { args: ["i8"], returns: "i8" },
        add3: { args: [FFIType.i32, FFIType.i32, FFIType.i32], returns: FFIType.i64 },
        id_f64: { args: ["double"], returns: "double" },
        read_counter: { returns: "int" },
    });
    equal(symbols.id_i8(-128), -128);
    equal(symbols.add3(2 ** 31 - 1, 2 ** 31 - 1, 1), 2n ** 32n - 1n);
    equal(symbols.id_f64(-0), -0);
    equal(symbols.read_counter(), 42);
    equal(symbols.id_i8.name, "id_i8");
    equal(symbols.add3.length, 3);
});

test("more arguments than parameters are left alone, fewer are an error", () => {
    const { symbols } = dlopen(path, { id_i32: { args: ["i32"], returns: "i32" } });
    equal(symbols.id_i32(1, 2, "three"), 1);
    throws(() => symbols.id_i32(), TypeError, /^id_i32: expected 1 argument, got 0$/);
    throws(() => symbols.id_i32("1"), TypeError, /^id_i32: argument 1 \(int\): expected an integer, got a string$/);
});

test("functions are values", () => {
    const { symbols } = dlopen(path, { id_i32: { args: ["i32"], returns: "i32" } });
    deepEqual([1, 2, 3].map((number) => symbols.id_i32(number)), [1, 2, 3]);
    equal(symbols.id_i32.call(null, 5), 5);
    equal(symbols.id_i32.apply({}, [6]), 6);
    equal(symbols.id_i32.bind(null, 7)(), 7);
    throws(() => new symbols.id_i32(1), TypeError);
});

test("what is not there", () => {
    throws(() => dlopen("./none-of-that-name.so", {}), Error, /none-of-that-name/);
    throws(() => dlopen(path, { no_function: { args: [], returns: "int" } }), Error, /no_function/);
    throws(() => dlopen(path, { id_i32: { args: ["integer"], returns: "int" } }), TypeError, /id_i32: argument 1: .*integer/);
    throws(() => dlopen(path, { id_i32: { args: "int", returns: "int" } }), TypeError, /id_i32: args/);
});

test("after close() no function of it can be called", () => {
    const library = dlopen(path, { id_i32: { args: ["i32"], returns: "i32" } });
    const { id_i32 } = library.symbols;
    equal(id_i32(1), 1);
    library.close();
    throws(() => id_i32(1), Error, /id_i32: .*closed/);
    library.close();
});

test("linkSymbols and CFunction take addresses", () => {
    const { symbols } = dlopen(path, { id_i32: { args: ["i32"], returns: "i32" } });
    const linked = linkSymbols({ mine: { ptr: symbols.id_i32.ptr, args: ["i32"], returns: "i32" } });
    equal(linked.symbols.mine(9), 9);
    const one = CFunction({ ptr: symbols.id_i32.ptr, args: ["i32"], returns: "i32" });
    equal(one(10), 10);
    const constructed = new CFunction({ ptr: symbols.id_i32.ptr, args: ["i32"], returns: "i32" });
    equal(constructed(11), 11);
    throws(() => CFunction({ args: [], returns: "int" }), TypeError, /ptr/);
});

test("integers of 64 bits are BigInts, fast ones numbers where these are exact", () => {
    const { symbols } = dlopen(path, { id_i64: { args: ["i64"], returns: "i64" }, id_u64: { args: ["u64"], returns: "u64" } });
    equal(symbols.id_i64(5), 5n);
    equal(symbols.id_i64(-(2n ** 63n)), -(2n ** 63n));
    equal(symbols.id_u64(2n ** 64n - 1n), 2n ** 64n - 1n);
    const fast = dlopen(path, {
        id_i64: { args: ["i64_fast"], returns: "i64_fast" },
        id_u64: { args: ["u64_fast"], returns: "u64_fast" },
    }).symbols;
    equal(fast.id_i64(-5n), -5);
    equal(fast.id_i64(2n ** 53n + 1n), 2n ** 53n + 1n);
    equal(fast.id_u64(2n ** 64n - 1n), 2n ** 64n - 1n);
});

test("bool, char, float", () => {
    const { symbols } = dlopen(path, {
        id_bool: { args: ["bool"], returns: "bool" },
        id_char: { args: ["char"], returns: "char" },
        id_f32: { args: ["f32"], returns: "f32" },
    });
    equal(symbols.id_bool(true), true);
    equal(symbols.id_bool(0), false);
    equal(symbols.id_char(65), 65);
    equal(symbols.id_f32(0.1), Math.fround(0.1));
});

test("pointers", () => {
    const { symbols } = dlopen(path, {
        id_pointer: { args: ["ptr"], returns: "ptr" },
        sum_and_reverse: { args: ["buffer", "int"], returns: "int" },
    });
    const bytes = new Uint8Array([1, 2, 3]);
    equal(symbols.id_pointer(bytes), ptr(bytes));
    equal(ptr(bytes, 1), ptr(bytes) + 1);
    equal(symbols.id_pointer(null), null);
    equal(symbols.id_pointer(0x1234), 0x1234);
    throws(() => ptr(bytes, 4), RangeError);
    equal(symbols.sum_and_reverse(bytes, 3), 6);
    deepEqual(bytes, [3, 2, 1]);
    throws(() => symbols.sum_and_reverse(ptr(bytes), 3), TypeError, /buffer/);
    throws(() => symbols.sum_and_reverse(null, 3), TypeError, /buffer/);
});

test("toArrayBuffer and toBuffer are the memory itself", () => {
    const bytes = new Uint8Array([1, 2, 3, 4]);
    const whole = new Uint8Array(toArrayBuffer(ptr(bytes), 0, 4));
    const part = toBuffer(ptr(bytes), 1, 2);
    bytes[1] = 9;
    deepEqual(whole, [1, 9, 3, 4]);
    deepEqual(Array.from(part), [9, 3]);
    part[0] = 7;
    equal(bytes[1], 7);
    const text = new Uint8Array([104, 105, 0, 1]);
    equal(toArrayBuffer(ptr(text)).byteLength, 2);
});

test("C strings", () => {
    const { symbols } = dlopen(null, { strdup: { args: ["cstring"], returns: "cstring" }, free: { args: ["ptr"] } });
    const copy = symbols.strdup("gr\u00fc\u00dfe");
    assert(copy instanceof CString && copy instanceof String);
    equal(String(copy), "gr\u00fc\u00dfe");
    equal(`${copy}!`, "gr\u00fc\u00dfe!");
    equal(String(new CString(copy.ptr)), "gr\u00fc\u00dfe");
    equal(String(new CString(copy.ptr, 4, 2)), "\u00df");
    equal(copy.arrayBuffer.byteLength, 7);
    equal(symbols.free(copy.ptr), undefined);
    equal(String(new CString(0)), "");
    equal(symbols.strdup.length, 1);
});

test("single values", () => {
    const memory = new ArrayBuffer(32);
    const view = new DataView(memory);
    const at = ptr(memory);
    const little = true;
    view.setInt8(0, -2);
    equal(read.i8(at, 0), -2);
    equal(read.u8(at, 0), 254);
    view.setInt16(2, -300, little);
    equal(read.i16(at, 2), -300);
    equal(read.u16(at, 2), 65236);
    view.setInt32(4, -70000, little);
    equal(read.i32(at, 4), -70000);
    equal(read.u32(at + 4), 2 ** 32 - 70000);
    view.setBigInt64(8, -5n, little);
    equal(read.i64(at, 8), -5n);
    equal(read.u64(at, 8), 2n ** 64n - 5n);
    equal(read.intptr(at, 8), -5);
    view.setFloat32(16, 0.5, little);
    equal(read.f32(at, 16), 0.5);
    view.setFloat64(24, 0.1, little);
    equal(read.f64(at, 24), 0.1);
    view.setBigUint64(8, 4096n, little);
    equal(read.ptr(at, 8), 4096);
    throws(() => read.u8(null), TypeError, /null/);
});

test("the names and numbers of types", () => {
    const numbers = {
        char: 0, i8: 1, u8: 2, i16: 3, u16: 4, i32: 5, u32: 6, i64: 7, u64: 8, f64: 9, f32: 10, bool: 11, ptr: 12, void: 13,
        cstring: 14, i64_fast: 15, u64_fast: 16, function: 17,
    };
    for (const [name, number] of Object.entries(numbers)) {
        equal(FFIType[name], number, name);
    }
    const aliases = { int8_t: "i8", uint64_t: "u64", int: "i32", double: "f64", float: "f32", pointer: "ptr", callback: "function" };
    for (const [alias, name] of Object.entries(aliases)) {
        equal(FFIType[alias], FFIType[name], alias);
    }
});

test("callbacks", () => {
    const { symbols } = dlopen(path, { repeat: { args: ["function", "i32"], returns: "i64_fast" } });
    const callback = new JSCallback((number) => number * 2, { args: ["i32"], returns: "i32" });
    assert(typeof callback.ptr === "number" && callback.ptr > 0);
    equal(symbols.repeat(callback, 4), 12);
    equal(symbols.repeat(callback.ptr, 4), 12);
    equal(callback.threadsafe, false);
    callback.close();
    throws(() => symbols.repeat(callback, 4), TypeError, /closed/);
});

test("a library of the system", () => {
    const pow = dlopen("libm.so.6", { pow: { args: ["f64", "f64"], returns: "f64" } }).symbols.pow;
    near(pow(2, 0.5), Math.SQRT2);
});

test("the source of a function", () => {
    const library = dlopen(path, { id_i32: { args: ["i32"], returns: "i32" } });
    assert(/id_i32/.test(viewSource(library.symbols.id_i32)));
    const sources = viewSource(library);
    assert(Array.isArray(sources) && sources.length === 1 && /id_i32/.test(sources[0]));
});

finish();
