// npm's `ws`, unmodified, against gwsocket: messages of all kinds both ways, fragments, pings, closing, many clients.
//
// usage: node check.mjs PATH-OF-GWSOCKET; GWSOCKET_NODE_MODULES names the folder with `ws`.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createRequire } from "node:module";
import { createInterface } from "node:readline";

const { WebSocket } = createRequire(process.env.GWSOCKET_NODE_MODULES + "/")("ws");

const HEADER = 12;

function record(client, type, payload = "") {
    const bytes = Buffer.from(payload);
    const header = Buffer.alloc(HEADER);
    header.writeUInt32BE(client, 0);
    header.writeUInt32BE(type, 4);
    header.writeUInt32BE(bytes.length, 8);
    return Buffer.concat([header, bytes]);
}

/** The program, with its standard input and output for pipes. */
async function serve(...options) {
    const program = spawn(process.argv[2], ["--port=0", "--addr=127.0.0.1", "--std", ...options]);
    const lines = createInterface({ input: program.stderr });
    const [line] = await once(lines, "line");
    let bytes = Buffer.alloc(0);
    let wake = () => {};
    program.stdout.on("data", (part) => {
        bytes = Buffer.concat([bytes, part]);
        wake();
    });
    return {
        url: `ws://127.0.0.1:${line.split(":").at(-1)}/`,
        write: (...words) => program.stdin.write(record(...words)),
        async read() {
            const length = () => (bytes.length < HEADER ? HEADER : HEADER + bytes.readUInt32BE(8));
            while (bytes.length < length()) await new Promise((resolve) => (wake = resolve));
            const end = length();
            const message = { client: bytes.readUInt32BE(0), type: bytes.readUInt32BE(4), payload: bytes.subarray(HEADER, end) };
            bytes = bytes.subarray(end);
            return message;
        },
        async stop() {
            program.kill("SIGTERM");
            const [status] = await once(program, "exit");
            assert.equal(status, 0, "SIGTERM ends it with status 0");
        },
    };
}

async function connect(url) {
    const client = new WebSocket(url);
    // Messages that come before somebody waits for them.
    const arrived = [];
    let wake = () => {};
    client.on("message", (data, binary) => {
        arrived.push(binary ? data : data.toString());
        wake();
    });
    client.next = async () => {
        while (arrived.length === 0) await new Promise((resolve) => (wake = resolve));
        return arrived.shift();
    };
    await once(client, "open");
    return client;
}

const checks = {
    async messages() {
        const server = await serve("--strict");
        const client = await connect(server.url);
        assert.equal((await server.read()).type, 0x10);
        for (const payload of ["", "tick", "grüße", "x".repeat(70000)]) {
            server.write(0, 1, payload);
            assert.equal(await client.next(), payload);
            client.send(payload);
            assert.equal((await server.read()).payload.toString(), payload);
        }
        const bytes = Buffer.from([...Array(256).keys()]);
        server.write(1, 2, bytes);
        assert.deepEqual(await client.next(), bytes);
        client.send(bytes);
        const { client: from, type, payload } = await server.read();
        assert.deepEqual([from, type, payload], [1, 2, bytes]);
        client.close(1000, "done");
        const [code] = await once(client, "close");
        assert.equal(code, 1000);
        assert.equal((await server.read()).type, 8);
        await server.stop();
    },
    async fragments_and_pings() {
        const server = await serve("--strict");
        const client = await connect(server.url);
        await server.read();
        client.send("one ", { fin: false });
        client.ping("between");
        client.send("two ", { fin: false });
        client.send("three", { fin: true });
        const [pong] = await once(client, "pong");
        assert.equal(pong.toString(), "between");
        assert.equal((await server.read()).payload.toString(), "one two three");
        client.terminate();
        assert.equal((await server.read()).type, 8);
        await server.stop();
    },
    async echo() {
        const server = await serve("--echo-mode", "--max-frame-size=20000000");
        const client = await connect(server.url);
        for (let size = 1; size < 20_000_000; size *= 9) {
            const payload = Buffer.alloc(size, size & 0xff);
            client.send(payload);
            assert.ok(payload.equals(await client.next()), `${size} bytes`);
        }
        client.send(Buffer.alloc(20_000_001));
        const [code] = await once(client, "close");
        assert.equal(code, 1009);
        await server.stop();
    },
    async closing() {
        const server = await serve("--strict");
        const clients = [await connect(server.url), await connect(server.url)];
        server.write(1, 8);
        assert.equal((await once(clients[0], "close"))[0], 1000);
        const closed = once(clients[1], "close");
        await server.stop();
        assert.equal((await closed)[0], 1001);
    },
    async order() {
        const server = await serve("--strict");
        const clients = await Promise.all(Array.from({ length: 20 }, () => connect(server.url)));
        for (let number = 0; number < 5000; number++) server.write(0, 1, `${number}`);
        for (const client of clients) {
            for (let number = 0; number < 5000; number++) assert.equal(await client.next(), `${number}`);
        }
        await server.stop();
    },
};

setTimeout(() => {
    console.error("ws: the checks take too long");
    process.exit(1);
}, 60_000).unref();
for (const [name, check] of Object.entries(checks)) {
    await check();
    console.log(`ws: ${name} ok`);
}
console.log(`ws: ${Object.keys(checks).length} checks passed`);
