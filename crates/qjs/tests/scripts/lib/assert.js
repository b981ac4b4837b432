// Tests in scripts: each has a name, all run, and the last line says `ok` if none failed.

const failures = [];
let current = "";

/** Runs one test now; a failure is kept for `finish`. */
export function test(name, body) {
    current = name;
    try {
        body();
    } catch (error) {
        failures.push(`${name}: ${describe(error)}`);
    }
}

/** The same for a test that goes on after it has returned. */
export async function testAsync(name, body) {
    current = name;
    try {
        await body();
    } catch (error) {
        failures.push(`${name}: ${describe(error)}`);
    }
}

/** Says `ok`, or throws what has failed. */
export function finish() {
    if (failures.length > 0) {
        throw new Error(`${failures.length} failed:\n${failures.join("\n")}`);
    }
    console.log("ok");
}

/** Fails unless the condition holds. */
export function assert(condition, what = "a condition does not hold") {
    if (!condition) {
        throw new Error(what);
    }
}

/** Fails unless both are the same value: -0 is not 0, NaN is NaN, a BigInt is no number. */
export function equal(actual, expected, what = "") {
    if (!Object.is(actual, expected)) {
        throw new Error(`${what && what + ": "}${show(actual)} is not ${show(expected)}`);
    }
}

/** Fails unless arrays, typed arrays and plain objects have the same members in the same order. */
export function deepEqual(actual, expected, what = "") {
    equal(show(actual), show(expected), what);
}

/** Fails unless the numbers are that near. */
export function near(actual, expected, distance = 1e-12) {
    assert(Math.abs(actual - expected) <= distance, `${show(actual)} is not near ${show(expected)}`);
}

/** Fails unless the call throws such an error with such a message; returns the error. */
export function throws(body, type, message) {
    let result;
    try {
        result = body();
    } catch (error) {
        assert(error instanceof type, `${describe(error)} is no ${type.name}`);
        assert(message === undefined || message.test(error.message), `${describe(error)} does not say ${message}`);
        return error;
    }
    throw new Error(`returned ${show(result)} instead of throwing a ${type.name}`);
}

/** A value as text that tells types apart. */
export function show(value) {
    if (typeof value === "string") {
        return JSON.stringify(value);
    }
    if (typeof value === "bigint") {
        return `${value}n`;
    }
    if (Object.is(value, -0)) {
        return "-0";
    }
    if (typeof value === "function") {
        return `function ${value.name}`;
    }
    if (typeof value !== "object" || value === null) {
        return String(value);
    }
    if (value instanceof ArrayBuffer) {
        return `ArrayBuffer [${new Uint8Array(value).join(", ")}]`;
    }
    if (Array.isArray(value) || ArrayBuffer.isView(value) && !(value instanceof DataView)) {
        return `[${Array.prototype.map.call(value, show).join(", ")}]`;
    }
    return `{${Object.keys(value).map((key) => `${key}: ${show(value[key])}`).join(", ")}}`;
}

function describe(error) {
    if (error instanceof Error) {
        return `${error.name}: ${error.message}\n${error.stack || ""}`;
    }
    return `threw ${show(error)} in ${current}`;
}
