// Calls of every kind, many times: memory stays what it is. (That no object of JavaScript's is left, the host reports.)

import { CString, JSCallback, RTLD_DEFAULT, call, define, dlopen, dlsym, out, ptr, struct, toArrayBuffer, toString } from "./ffi.so";
import { assert, equal, finish, test, throws } from "./lib/assert.js";
import { setting } from "./lib/c.js";

const CALLS = setting("JITCALL_SCRIPT_CALLS", 20000);
/** What an allocator may keep of its own: much less than a few bytes per call. */
const SLACK = 1024 * 1024;

const process = dlopen(null);
const statm = new Uint8Array(128);
const libc = process.link({
    open: { args: ["cstring", "int"], returns: "int" },
    read: { args: ["int", "buffer", "usize"], returns: "i64_fast" },
    close: { args: ["int"], returns: "int" },
    abs: { args: ["int"], returns: "int" },
    strlen: { args: ["cstring"], returns: "u64_fast" },
    getenv: { args: ["cstring"], returns: "cstring" },
    malloc_trim: { args: ["usize"], returns: "int" },
}).symbols;

/** Bytes that the process has in memory. */
function resident() {
    libc.malloc_trim(0);
    const file = libc.open("/proc/self/statm", 0);
    const length = libc.read(file, statm, statm.length);
    libc.close(file);
    const text = String.fromCharCode(...statm.subarray(0, length));
    return Number(text.split(" ")[1]) * 4096;
}

/** Runs it often, and once more as often while memory is watched. */
function flat(name, body) {
    test(name, () => {
        for (let i = 0; i < CALLS; i++) {
            body(i);
        }
        const before = resident();
        for (let i = 0; i < CALLS; i++) {
            body(i);
        }
        const growth = resident() - before;
        assert(growth < SLACK, `${CALLS} calls leave ${growth} bytes behind`);
    });
}

define("abs", dlsym(RTLD_DEFAULT, "abs"), null, "int", "int");
define("strlen", dlsym(RTLD_DEFAULT, "strlen"), null, "int", "char *");

const callees = dlopen("./callees.so");
const point = struct("point", { x: "f64", y: "f64" });
const { swap, id_u64, repeat } = callees.link({
    swap: { args: [point], returns: point },
    id_u64: { args: ["u64"], returns: "u64" },
    repeat: { args: ["function", "i32"], returns: "i64_fast" },
}).symbols;
const divide = callees.func("void divide(int, int, int *, int *)");
const snprintf = process.func("int snprintf(char *, size_t, const char *, ...)");
const text = new Uint8Array(32);

flat("integers", (i) => libc.abs(-i));
flat("by name", (i) => call("abs", -i));
flat("by names that are made", (i) => call(`${i % 2 ? "abs" : "a" + "bs"}`, -i));
flat("strings", (i) => libc.strlen(`number ${i}`));
flat("strings by name", (i) => call("strlen", `number ${i}`));
flat("text that comes back", () => libc.getenv("PATH"));
flat("BigInts", (i) => id_u64(2n ** 63n + BigInt(i)));
flat("wrong arguments", () => throws(() => libc.abs("5"), TypeError));
flat("missing arguments", () => throws(() => libc.abs(), TypeError));
flat("structs", (i) => swap({ x: i, y: 1 }));
flat("variadic calls", (i) => snprintf(text, text.length, "%d", i));
flat("memory", () => toArrayBuffer(ptr(text), 32));
flat("text in memory", () => toString(ptr(text)));
flat("C strings", () => new CString(ptr(text)));
flat("definitions", (i) => i % 50 || define(`again${i % 100}`, dlsym(RTLD_DEFAULT, "abs"), null, "int", "int"));
// A library knows what is bound of it, to refuse calls when it is closed.
flat("bound functions", (i) => i % 50 || dlopen(null).link({ labs: { args: ["i64"], returns: "i64" } }));

flat("out parameters", () => {
    const [quotient, remainder] = [out("int"), out("int")];
    divide(17, 5, quotient, remainder);
    equal(quotient.value, 3);
});

const callback = new JSCallback((number) => number, { args: ["i32"], returns: "i32" });
flat("callbacks", () => repeat(callback, 1));
callback.close();

flat("callbacks that are made", () => {
    const passing = new JSCallback((number) => number, { args: ["i32"], returns: "i32" });
    repeat(passing, 1);
    passing.close();
});

const failing = new JSCallback(() => {
    throw new Error("again");
}, { args: ["i32"], returns: "i32" });
flat("exceptions", () => throws(() => repeat(failing, 1), Error, /again/));
failing.close();

finish();
