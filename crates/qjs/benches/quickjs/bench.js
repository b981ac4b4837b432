// Measures calls by a hand-written module and by ffi.so in the same process, in turns. Prints a line per case:
// its name, and the nanoseconds of each way net of the loop around it.

import * as written from "./module.so";
import { JSCallback, RTLD_DEFAULT, RTLD_NOW, call, define, dlopen, dlsym, linkSymbols } from "./ffi.so";

const CALLS = 200000;
const ROUNDS = 15;

const callees = dlopen("./callees.so", RTLD_NOW);
const libm = dlopen("libm.so.6", RTLD_NOW);

const bound = linkSymbols({
    abs: { args: ["int"], returns: "int", ptr: dlsym(RTLD_DEFAULT, "abs") },
    add3: { args: ["int", "int", "int"], returns: "int", ptr: dlsym(callees, "add3") },
    fabs: { args: ["double"], returns: "double", ptr: dlsym(libm, "fabs") },
    pow: { args: ["double", "double"], returns: "double", ptr: dlsym(libm, "pow") },
    repeat: { args: ["ptr", "int"], returns: "int", ptr: dlsym(callees, "repeat") },
}).symbols;

define("abs", dlsym(RTLD_DEFAULT, "abs"), null, "int", "int");
define("add3", dlsym(callees, "add3"), null, "int", "int", "int", "int");
define("fabs", dlsym(libm, "fabs"), null, "double", "double");
define("pow", dlsym(libm, "pow"), null, "double", "double", "double");

define("clock_gettime", dlsym(RTLD_DEFAULT, "clock_gettime"), null, "int", "int", "buffer");
const CLOCK_MONOTONIC = 1;
const time = new BigInt64Array(2);

function now() {
    call("clock_gettime", CLOCK_MONOTONIC, time);
    return Number(time[0]) * 1e9 + Number(time[1]);
}

const increment = (x) => x + 1;
const callback = new JSCallback(increment, { args: ["int"], returns: "int" });

const empty = () => {
    for (let i = 0; i < CALLS; i++) {
    }
};

/** Each case: its name, and what runs it `CALLS` times by the module, by a bound function, by name. */
const cases = [
    ["abs", ({ abs }) => () => {
        for (let i = 0; i < CALLS; i++) {
            abs(-5);
        }
    }, () => {
        for (let i = 0; i < CALLS; i++) {
            call("abs", -5);
        }
    }],
    ["add3", ({ add3 }) => () => {
        for (let i = 0; i < CALLS; i++) {
            add3(1, 2, 3);
        }
    }, () => {
        for (let i = 0; i < CALLS; i++) {
            call("add3", 1, 2, 3);
        }
    }],
    ["fabs", ({ fabs }) => () => {
        for (let i = 0; i < CALLS; i++) {
            fabs(-0.5);
        }
    }, () => {
        for (let i = 0; i < CALLS; i++) {
            call("fabs", -0.5);
        }
    }],
    ["pow", ({ pow }) => () => {
        for (let i = 0; i < CALLS; i++) {
            pow(1.5, 2.5);
        }
    }, () => {
        for (let i = 0; i < CALLS; i++) {
            call("pow", 1.5, 2.5);
        }
    }],
];

const ways = [["empty", empty]];
for (const [name, loop, byName] of cases) {
    ways.push([`${name} module`, loop(written)], [`${name} bound`, loop(bound)], [`${name} call`, byName]);
}
ways.push(
    ["callback module", () => written.repeat(increment, CALLS)],
    ["callback bound", () => bound.repeat(callback.ptr, CALLS)],
);

const times = ways.map(() => []);
for (let round = 0; round < ROUNDS; round++) {
    ways.forEach(([, run], index) => {
        const start = now();
        run();
        times[index].push((now() - start) / CALLS);
    });
}

const median = (numbers) => numbers.sort((a, b) => a - b)[numbers.length >> 1];
const medians = {};
ways.forEach(([name], index) => {
    medians[name] = median(times[index]);
});

console.log(`empty ${medians.empty.toFixed(2)}`);
for (const [name] of cases) {
    const net = (way) => (medians[`${name} ${way}`] - medians.empty).toFixed(2);
    console.log(`${name} ${net("module")} ${net("bound")} ${net("call")}`);
}
// The loop around the callback is C's own.
console.log(`callback ${medians["callback module"].toFixed(2)} ${medians["callback bound"].toFixed(2)}`);

callback.close();
