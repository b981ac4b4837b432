// qjs-ffi's interface as its documentation has it: the loader's functions, define and call, memory.

import * as ffi from "./ffi.so";
import { assert, deepEqual, equal, finish, test, throws } from "./lib/assert.js";
import { callees } from "./lib/c.js";

const { RTLD_DEFAULT, RTLD_NOW, call, define, dlclose, dlerror, dlopen, dlsym, errno, toArrayBuffer, toPointer } = ffi;

function defineFrom(handle, name, ...types) {
    const pointer = dlsym(handle, name);
    assert(pointer !== null, dlerror());
    equal(define(name, pointer, null, ...types), true, name);
}

test("a library that is not there gives null, and dlerror says which once", () => {
    equal(dlopen("libnone-of-that-name.so", RTLD_NOW), null);
    assert(/libnone-of-that-name\.so/.test(dlerror()));
    equal(dlerror(), null);
});

test("a library is opened, looked into and closed", () => {
    const libc = dlopen("libc.so.6", RTLD_NOW);
    assert(libc !== null, "libc.so.6 does not open");
    equal(typeof dlsym(libc, "malloc"), "number");
    equal(dlclose(libc), 0);
});

test("null opens the process itself", () => {
    const process = dlopen(null, RTLD_NOW);
    equal(dlsym(process, "malloc"), dlsym(RTLD_DEFAULT, "malloc"));
    equal(dlclose(process), 0);
});

test("a symbol that is not there gives null", () => {
    equal(dlsym(RTLD_DEFAULT, "no_symbol_of_that_name"), null);
    assert(/no_symbol_of_that_name/.test(dlerror()));
});

test("the loader's constants are there", () => {
    const names = "RTLD_LAZY RTLD_NOW RTLD_GLOBAL RTLD_LOCAL RTLD_NODELETE RTLD_NOLOAD RTLD_DEEPBIND RTLD_DEFAULT RTLD_NEXT";
    for (const name of names.split(" ")) {
        equal(typeof ffi[name], "number", name);
    }
    equal(ffi.RTLD_LAZY, 1);
    equal(ffi.RTLD_NOW, 2);
});

test("memory of malloc", () => {
    defineFrom(RTLD_DEFAULT, "malloc", "void *", "size_t");
    defineFrom(RTLD_DEFAULT, "free", "void", "void *");
    const pointer = call("malloc", 10);
    assert(typeof pointer === "number" && pointer > 0);
    call("free", pointer);
});

test("strings go to C and come back", () => {
    defineFrom(RTLD_DEFAULT, "strlen", "int", "char *");
    defineFrom(RTLD_DEFAULT, "strdup", "char *", "char *");
    equal(call("strlen", "hello"), 5);
    equal(call("strlen", ""), 0);
    equal(call("strlen", "\u00e4\u20ac"), 5);
    const copy = call("strdup", "dup this");
    equal(ffi.toString(copy), "dup this");
    equal(call("strlen", copy), 8);
    deepEqual(new Uint8Array(toArrayBuffer(copy, 4)), [100, 117, 112, 32]);
    call("free", copy);
});

test("C changes a buffer in place", () => {
    defineFrom(callees, "sum_and_reverse", "int", "void *", "int");
    const bytes = new Uint8Array([1, 2, 3, 0]);
    equal(call("sum_and_reverse", bytes.buffer, 3), 6);
    deepEqual(bytes, [3, 2, 1, 0]);
    equal(call("sum_and_reverse", bytes.subarray(1, 3), 2), 3);
    deepEqual(bytes, [3, 1, 2, 0]);
    equal(call("sum_and_reverse", new DataView(bytes.buffer, 2), 2), 2);
    deepEqual(bytes, [3, 1, 0, 2]);
});

test("memset and memcpy", () => {
    defineFrom(RTLD_DEFAULT, "memset", "void *", "buffer", "int", "size_t");
    defineFrom(RTLD_DEFAULT, "memcpy", "void *", "buffer", "pointer", "size_t");
    const [from, to] = [new Uint16Array(4), new Uint16Array(4)];
    call("memset", from.buffer, 0xab, 6);
    deepEqual(from, [0xabab, 0xabab, 0xabab, 0]);
    call("memcpy", to, from, 4);
    deepEqual(to, [0xabab, 0xabab, 0, 0]);
    call("memcpy", to.buffer, "text", 4);
    deepEqual(new Uint8Array(to.buffer, 0, 4), [116, 101, 120, 116]);
});

test("a buffer's address at an offset", () => {
    const bytes = new Uint8Array([104, 105, 0, 0]);
    const [start, second] = [toPointer(bytes.buffer), toPointer(bytes.buffer, 1)];
    assert(/^0x[0-9a-f]+$/.test(start), start);
    equal(Number(second) - Number(start), 1);
    equal(toPointer(bytes.subarray(1)), second);
    equal(ffi.toString(Number(start)), "hi");
    equal(ffi.toString(Number(second)), "i");
});

test("toArrayBuffer copies", () => {
    const bytes = new Uint8Array([1, 2, 3]);
    const copy = new Uint8Array(toArrayBuffer(Number(toPointer(bytes)), 3));
    bytes[0] = 9;
    deepEqual(copy, [1, 2, 3]);
});

test("errno is the last call's", () => {
    defineFrom(RTLD_DEFAULT, "strtoul", "ulong", "string", "string", "int");
    equal(call("strtoul", "1234", null, 0), 1234);
    call("strtoul", "1".repeat(40), null, 0);
    equal(errno(), 34);
});

test("booleans and null are numbers to C", () => {
    defineFrom(callees, "id_i32", "int", "int");
    defineFrom(callees, "id_pointer", "pointer", "pointer");
    equal(call("id_i32", true), 1);
    equal(call("id_i32", false), 0);
    equal(call("id_pointer", null), 0);
});

test("the names of conventions", () => {
    const abs = dlsym(RTLD_DEFAULT, "abs");
    for (const abi of [null, undefined, "default", "sysv", "unix64"]) {
        equal(define("abs", abs, abi, "int", "int"), true, abi);
        equal(call("abs", -5), 5, abi);
    }
});

test("Windows' convention", () => {
    const address = dlsym(callees, "windows_mixed");
    const define5 = () => define("mixed", address, "win64", "double", "int", "double", "int", "double", "int");
    if (address === null) {
        throws(define5, TypeError, /win64/);
        return;
    }
    equal(define5(), true);
    equal(call("mixed", 1, 2, 3, 4, 5), 54321);
});

test("every name of a type", () => {
    const names = [
        "void", "sint8", "sint16", "sint32", "sint64", "uint8", "uint16", "uint32", "uint64", "float", "double", "schar",
        "uchar", "sshort", "ushort", "sint", "uint", "slong", "ulong", "longdouble", "pointer", "int", "long", "short",
        "char", "size_t", "unsigned char", "unsigned int", "unsigned long", "void *", "char *", "string", "buffer",
    ];
    for (const name of names) {
        const parameters = name === "void" ? [] : [name];
        equal(define("typed", dlsym(callees, "id_i32"), null, name, ...parameters), true, name);
    }
});

test("a function that is not defined cannot be called", () => {
    throws(() => call("never_defined", 1), ReferenceError, /never_defined/);
});

test("no pointer defines the function that says what it is", () => {
    equal(define("dummy", null, null, "int"), true);
    equal(call("dummy"), 0);
});

test("the context is an address, and debug returns", () => {
    const context = ffi.JSContext();
    assert(typeof context === "number" && context > 0);
    ffi.debug();
});

test("the old names", () => {
    const { ffidefine, fficall, ffitostring, ffitoarraybuffer } = ffi;
    equal(ffidefine("old_strdup", dlsym(RTLD_DEFAULT, "strdup"), null, "char *", "string"), true);
    const copy = fficall("old_strdup", "old");
    equal(ffitostring(copy), "old");
    deepEqual(new Uint8Array(ffitoarraybuffer(copy, 4)), [111, 108, 100, 0]);
    call("free", copy);
});

finish();
