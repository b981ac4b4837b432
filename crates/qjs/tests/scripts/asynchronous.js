// Calls on other threads give promises; callbacks from other threads wait for the event loop.

import { JSCallback, dlopen } from "./ffi.so";
import { assert, equal, finish, testAsync } from "./lib/assert.js";

const { usleep, strlen, abs } = dlopen(null, {
    usleep: { args: ["u32"], returns: "int", async: true },
    strlen: { args: ["cstring"], returns: "u64_fast", async: true },
    abs: { args: ["int"], returns: "int", async: true },
}).symbols;
const { start_thread, join_thread, fail_with } = dlopen("./callees.so", {
    start_thread: { args: ["function", "i32"], returns: "int" },
    join_thread: { returns: "i32", async: true },
    fail_with: { args: ["int"], returns: "int", async: true },
}).symbols;

async function rejects(promise, type, message) {
    let result;
    try {
        result = await promise;
    } catch (error) {
        assert(error instanceof type && message.test(error.message), `${error}`);
        return;
    }
    throw new Error(`resolved to ${result}`);
}

async function main() {
    await testAsync("a call gives a promise of its result", async () => {
        const promise = abs(-5);
        assert(promise instanceof Promise);
        equal(await promise, 5);
        equal(await strlen("four"), 4);
    });

    await testAsync("calls run side by side, while jobs go on", async () => {
        const order = [];
        const slow = usleep(100000).then(() => order.push("slow"));
        const fast = usleep(1000).then(() => order.push("fast"));
        await Promise.resolve();
        order.push("job");
        await Promise.all([slow, fast]);
        equal(order.join(" "), "job fast slow");
    });

    await testAsync("many calls", async () => {
        const numbers = Array.from({ length: 200 }, (_, index) => -index);
        const results = await Promise.all(numbers.map((number) => abs(number)));
        equal(results.join(" "), numbers.map(Math.abs).join(" "));
    });

    await testAsync("wrong arguments", async () => {
        await rejects((async () => abs("5"))(), TypeError, /^abs: argument 1 \(int\)/);
        await rejects((async () => abs())(), TypeError, /expected 1 argument/);
    });

    await testAsync("errno comes with the result", async () => {
        equal(await fail_with(2), -1);
    });

    await testAsync("a callback that may be called from anywhere waits for the loop", async () => {
        let seen;
        const callback = new JSCallback((number) => {
            seen = number;
            return number + 1;
        }, { args: ["i32"], returns: "i32", threadsafe: true });
        equal(callback.threadsafe, true);
        equal(start_thread(callback, 41), 0);
        equal(await join_thread(), 42);
        equal(seen, 41);
        callback.close();
    });

    finish();
}

main();
