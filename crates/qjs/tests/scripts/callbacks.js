// JavaScript functions as C function pointers: results of every type, exceptions, closing, threads.

import { CFunction, JSCallback, dlopen, struct } from "./ffi.so";
import { assert, equal, finish, test, throws } from "./lib/assert.js";

const point = struct("point", { x: "f64", y: "f64" });
const library = dlopen("./callees.so");

library.link({
    repeat: { args: ["function", "i32"], returns: "i64_fast" },
    call_void: { args: ["function"] },
    call_text: { args: ["function", "cstring"], returns: "int" },
    keep: { args: ["function"] },
    call_kept: { args: ["i32"], returns: "i32" },
    call_on_thread: { args: ["function", "i32"], returns: "i32" },
});
const { repeat, call_void, call_text, keep, call_kept, call_on_thread } = library.symbols;

/** Makes a callback for as long as the body runs. */
function using(body, declaration, use) {
    const callback = new JSCallback(body, declaration);
    try {
        return use(callback);
    } finally {
        callback.close();
    }
}

const int = { args: ["i32"], returns: "i32" };

test("every type, as argument and as result", () => {
    const cases = {
        bool: ["bool", true, false],
        i8: ["i8", -128, 127],
        u8: ["u8", 0, 255],
        i16: ["i16", -32768, 32767],
        u16: ["u16", 0, 65535],
        i32: ["i32", -(2 ** 31), 2 ** 31 - 1],
        u32: ["u32", 0, 2 ** 32 - 1],
        i64: ["i64", -(2n ** 63n), 2n ** 63n - 1n],
        u64: ["u64", 0n, 2n ** 64n - 1n],
        f32: ["f32", 0.5, Infinity],
        f64: ["f64", 0.1, -0],
        pointer: ["ptr", null, 0x7fff12345678],
    };
    for (const [name, [type, ...values]] of Object.entries(cases)) {
        const through = library.func(`void through_${name}(void)`, { args: ["function", type], returns: type });
        for (const value of values) {
            const seen = [];
            const same = (argument) => {
                seen.push(argument);
                return argument;
            };
            using(same, { args: [type], returns: type }, (callback) => equal(through(callback, value), value, type));
            equal(seen.length, 1);
            equal(seen[0], value, type);
        }
    }
});

test("structs, as argument and as result", () => {
    const through = library.func("void through_point(void)", { args: ["function", point], returns: point });
    const mirror = ({ x, y }) => ({ x: -x, y: y + 1 });
    using(mirror, { args: [point], returns: point }, (callback) => {
        const result = through(callback, { x: 1.5, y: 2 });
        equal(result.x, -1.5);
        equal(result.y, 3);
    });
});

test("text", () => {
    const length = (text) => String(text).length;
    using(length, { args: ["cstring"], returns: "int" }, (callback) => equal(call_text(callback, "four"), 4));
});

test("nothing in, nothing out", () => {
    let calls = 0;
    using(() => { calls++; }, { args: [], returns: "void" }, (callback) => equal(call_void(callback), undefined));
    equal(calls, 1);
});

test("an exception is thrown by the call that led to it", () => {
    const thrown = new RangeError("from the callback");
    const failing = (number) => {
        if (number === 2) {
            throw thrown;
        }
        return number;
    };
    using(failing, int, (callback) => {
        equal(throws(() => repeat(callback, 5), RangeError, /from the callback/), thrown);
        equal(repeat(callback, 2), 1);
    });
});

test("what is thrown need not be an error", () => {
    const failing = () => {
        throw "just text";
    };
    using(failing, int, (callback) => {
        let caught;
        try {
            repeat(callback, 1);
        } catch (error) {
            caught = error;
        }
        equal(caught, "just text");
    });
});

test("the first of several exceptions is kept", () => {
    let calls = 0;
    const failing = (number) => {
        calls++;
        throw new Error(`number ${number}`);
    };
    using(failing, int, (callback) => throws(() => repeat(callback, 3), Error, /^number 0$/));
    assert(calls >= 1);
});

test("a result of the wrong type is an error", () => {
    using(() => "text", int, (callback) => throws(() => repeat(callback, 1), TypeError, /result.*expected an integer/));
    using(() => 2 ** 40, int, (callback) => throws(() => repeat(callback, 1), RangeError, /out of range/));
    using(() => undefined, int, (callback) => throws(() => repeat(callback, 1), TypeError, /undefined/));
});

test("callbacks in callbacks", () => {
    const depth = (number) => (number === 0 ? 0 : 1 + using(depth, int, (inner) => {
        keep(inner);
        return call_kept(number - 1);
    }));
    equal(depth(20), 20);
});

test("an exception goes up through several levels of C", () => {
    const fall = (number) => {
        if (number === 0) {
            throw new Error("at the bottom");
        }
        return using(fall, int, (inner) => {
            keep(inner);
            return call_kept(number - 1);
        });
    };
    throws(() => fall(5), Error, /^at the bottom$/);
    const caught = (number) => {
        try {
            return fall(number);
        } catch (error) {
            return -1;
        }
    };
    using(caught, int, (callback) => equal(repeat(callback, 3), -3));
});

test("a callback may close itself", () => {
    const callback = new JSCallback((number) => {
        callback.close();
        return number + 1;
    }, int);
    keep(callback);
    equal(call_kept(1), 2);
    throws(() => keep(callback), TypeError, /closed/);
});

test("many callbacks, closed and collected", () => {
    for (let round = 0; round < 2000; round++) {
        const callback = new JSCallback((number) => number + round, int);
        if (round % 100 === 0) {
            equal(repeat(callback, 1), round);
        }
        if (round % 2 === 0) {
            callback.close();
        }
    }
});

test("a function is passed where its C type is known", () => {
    const declared = library.func("int64_t repeat(int32_t (*function)(int32_t), int32_t count)");
    equal(Number(declared((number) => number * number, 4)), 14);
    throws(() => repeat((number) => number, 4), TypeError, /JSCallback/);
});

test("a cycle through a callback is collected", () => {
    for (let round = 0; round < 10; round++) {
        const owner = {};
        owner.callback = new JSCallback(() => (owner.callback ? 1 : 0), { args: [], returns: "int" });
    }
});

test("another thread is refused", () => {
    using((number) => number, int, (callback) => {
        throws(() => call_on_thread(callback, 5), Error, /thread/);
        equal(repeat(callback, 3), 3);
    });
});

test("a function as a result would not outlive the callback", () => {
    const function_type = "int (*)(int)";
    using(() => (number) => number, { args: [], returns: function_type }, (callback) => {
        const given = CFunction({ ptr: callback.ptr, args: [], returns: function_type });
        throws(given, TypeError, /outlives the callback, got a function/);
    });
    using((number) => number, int, (callback) => {
        using(() => callback, { args: [], returns: function_type }, (outer) => {
            equal(CFunction({ ptr: outer.ptr, args: [], returns: function_type })(), callback.ptr);
        });
    });
});

test("what is no function", () => {
    throws(() => new JSCallback(5, int), TypeError);
    throws(() => new JSCallback(undefined, int), TypeError);
    throws(() => new JSCallback(() => 0, { args: ["integer"], returns: "int" }), TypeError, /integer/);
});

finish();
