// Every kind of JavaScript value for every C type: exactly the right value comes back, or an error that names the place.

import { call, define, dlsym, toPointer } from "./ffi.so";
import { assert, equal, finish, show, test } from "./lib/assert.js";
import { bind, callees, randomly, setting } from "./lib/c.js";

const buffer = new ArrayBuffer(16);

/** Values, each at least once of its kind and at every edge of the types. */
const values = [
    undefined, null, true, false, "", "5", "text", Symbol("symbol"), {}, [], [1], Object.create(null), () => 1,
    class {}, new Date(0), /x/, new Map(), new Error("x"), Object(5), Object("text"),
    NaN, Infinity, -Infinity, 0, -0, 0.5, -0.5, 1e-320, 1.5e300, -1.5e300, 0.1, 16777217, 3.4028235677973366e38,
    buffer, new Uint8Array(buffer, 3), new Float64Array(buffer, 8), new DataView(buffer, 5), new BigInt64Array(buffer),
    2n ** 53n + 1n, 2n ** 100n + 1n, -(2n ** 100n), 2n ** 200n + 1n, -(2n ** 200n) - 1n,
    ...[7, 8, 15, 16, 31, 32, 53, 63, 64].flatMap((bits) => {
        const edge = 2n ** BigInt(bits);
        const around = [edge - 1n, edge, edge + 1n, -edge - 1n, -edge, -edge + 1n];
        return [...around, ...around.map(Number)];
    }),
    ...[-2, -1, 1, 2, 100].flatMap((number) => [number, BigInt(number)]),
];

class Refusal {
    constructor(type, message) {
        this.type = type;
        this.message = message;
    }
}

const refuse = (type, message) => {
    throw new Refusal(type, message);
};

/** The integer that a value is, as a BigInt. */
function whole(value) {
    switch (typeof value) {
        case "bigint":
            return value;
        case "boolean":
            return value ? 1n : 0n;
        case "number":
            return Number.isInteger(value) ? BigInt(value) : refuse(RangeError, /expected an integer, got/);
        default:
            return refuse(TypeError, /expected an integer, got/);
    }
}

/** As scripts get integers: numbers where these are exact. */
const fromC = (integer) => (integer >= -(2n ** 53n) && integer <= 2n ** 53n ? Number(integer) : integer);

function integer(bits, signed) {
    const [low, high] = signed ? [-(2n ** BigInt(bits - 1)), 2n ** BigInt(bits - 1)] : [0n, 2n ** BigInt(bits)];
    return (value) => {
        const number = whole(value);
        return number >= low && number < high ? fromC(number) : refuse(RangeError, /out of range/);
    };
}

function double(value) {
    switch (typeof value) {
        case "number":
            return value;
        case "boolean":
            return value ? 1 : 0;
        case "bigint":
            return BigInt(Number(value)) === value ? Number(value) : refuse(RangeError, /no number that a double holds/);
        default:
            return refuse(TypeError, /expected a number, got/);
    }
}

function boolean(value) {
    switch (typeof value) {
        case "boolean":
            return value;
        case "number":
            return value === 0 || value === 1 ? value === 1 : refuse(RangeError, /expected a boolean, got/);
        default:
            return refuse(TypeError, /expected a boolean, got/);
    }
}

function pointer(value) {
    if (value === null) {
        return 0;
    }
    if (value instanceof ArrayBuffer || ArrayBuffer.isView(value)) {
        return Number(toPointer(value));
    }
    if (typeof value === "number" || typeof value === "bigint") {
        const number = whole(value);
        return number >= 0n && number < 2n ** 64n ? fromC(number) : refuse(RangeError, /is no address|out of range/);
    }
    return refuse(TypeError, /expected a pointer, got/);
}

/** By the name of the C function: its type and what it gives for a value. */
const types = {
    id_bool: ["bool", boolean],
    id_i8: ["sint8", integer(8, true)],
    id_u8: ["uint8", integer(8, false)],
    id_i16: ["sint16", integer(16, true)],
    id_u16: ["uint16", integer(16, false)],
    id_i32: ["sint32", integer(32, true)],
    id_u32: ["uint32", integer(32, false)],
    id_i64: ["sint64", integer(64, true)],
    id_u64: ["uint64", integer(64, false)],
    id_f32: ["float", (value) => Math.fround(double(value))],
    id_f64: ["double", double],
    id_pointer: ["pointer", pointer],
};

/** What a call gives or refuses. */
function outcome(body) {
    try {
        return { value: body() };
    } catch (error) {
        return { error };
    }
}

function check(name, index, actual, expected) {
    if (expected.error === undefined) {
        assert(actual.error === undefined, `${actual.error}`);
        equal(actual.value, expected.value);
        return;
    }
    const { type, message } = expected.error;
    assert(actual.error !== undefined, `${show(actual.value)} instead of a ${type.name}`);
    assert(actual.error instanceof type, `${actual.error} is no ${type.name}`);
    assert(message.test(actual.error.message), `${actual.error.message} does not say ${message}`);
    const place = `${name}: argument ${index + 1} (`;
    assert(actual.error.message.startsWith(place), `${actual.error.message} does not begin with ${place}`);
}

const label = (value) => {
    const text = typeof value === "symbol" ? value.toString() : show(value);
    return `${typeof value} ${text}`;
};

for (const [name, [type, model]] of Object.entries(types)) {
    define(name, dlsym(callees, name), null, type, type);
    for (const value of values) {
        if (name === "id_pointer" && typeof value === "string") {
            test(`a copy of ${show(value)}`, () => assert(call(name, value) > 0));
            continue;
        }
        test(`${name} of ${label(value)}`, () => {
            check(name, 0, outcome(() => call(name, value)), outcome(() => model(value)));
        });
    }
}

test("an integer -0 is 0", () => {
    equal(call("id_i32", -0), 0);
    equal(call("id_f64", -0), -0);
});

/** Functions of several arguments: their types, and the weight of each. */
const weights = [1, 2, 3, 5, 7, 11, 13, 17, 19, 23];
const mixtures = {
    mix_registers: ["id_i8", "id_f64", "id_u32", "id_f32", "id_i64", "id_u16"],
    mix_stack: [...new Array(9).fill("id_i32"), "id_i8"],
    mix_floats: ["id_f64", "id_f32", "id_f64", "id_f32", "id_f64", "id_f32", "id_f64", "id_f32", "id_f64", "id_f32"],
};

for (const [name, parameters] of Object.entries(mixtures)) {
    define(name, dlsym(callees, name), null, "double", ...parameters.map((id) => types[id][0]));
}

/** The first argument that is refused decides, else the weighted sum in the same order as in C. */
function mixed(parameters, given) {
    const converted = [];
    for (let index = 0; index < parameters.length; index++) {
        const result = outcome(() => types[parameters[index]][1](given[index]));
        if (result.error !== undefined) {
            return { index, expected: result };
        }
        converted.push(Number(result.value));
    }
    const value = converted.map((number, index) => weights[index] * number).reduce((sum, term) => sum + term);
    return { index: 0, expected: { value } };
}

/** Mostly values that fit, so that most calls happen. */
function pick(random, parameter) {
    if (random(20) === 0) {
        return values[random(values.length)];
    }
    const small = random(200) - 100;
    const unsigned = /_u/.test(parameter);
    const number = unsigned ? Math.abs(small) : small;
    if (/_f/.test(parameter) && random(2) === 0) {
        return number / 4;
    }
    return random(8) === 0 ? BigInt(number) : number;
}

const seed = setting("JITCALL_SEED", 1);
for (let program = 0; program < 10; program++) {
    const random = randomly(seed + program);
    const names = Object.keys(mixtures);
    for (let round = 0; round < 200; round++) {
        const name = names[random(names.length)];
        const parameters = mixtures[name];
        const given = parameters.map((parameter) => pick(random, parameter));
        test(`seed ${seed + program}, round ${round}: ${name}(${given.map(label).join(", ")})`, () => {
            const { index, expected } = mixed(parameters, given);
            check(name, index, outcome(() => call(name, ...given)), expected);
        });
    }
}

finish();
