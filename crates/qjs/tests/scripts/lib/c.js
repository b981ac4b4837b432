// The C library of the tests, and C functions by qjs-ffi's interface.

import { RTLD_DEFAULT, RTLD_NOW, call, define, dlerror, dlopen, dlsym, toString } from "../ffi.so";

/** Opens a library; fails with the loader's own words. */
export function open(path) {
    const handle = dlopen(path, RTLD_NOW);
    if (handle === null) {
        throw new Error(dlerror());
    }
    return handle;
}

/** A function of a library, as a function of the script. */
export function bind(handle, name, result, ...parameters) {
    const pointer = dlsym(handle, name);
    if (pointer === null) {
        throw new Error(dlerror());
    }
    if (define(name, pointer, null, result, ...parameters) !== true) {
        throw new Error(`define(${name}) is not true`);
    }
    return (...values) => call(name, ...values);
}

const getenv = bind(RTLD_DEFAULT, "getenv", "char *", "string");

/** A number that the environment says, or this one. */
export function setting(name, otherwise) {
    const pointer = getenv(name);
    return pointer ? Number(toString(pointer)) : otherwise;
}

/** Numbers below a limit, the same ones for the same seed. */
export function randomly(seed) {
    let state = seed >>> 0 || 1;
    return (limit) => {
        state ^= state << 13;
        state ^= state >>> 17;
        state ^= state << 5;
        return (state >>> 0) % limit;
    };
}

export const callees = open("./callees.so");
