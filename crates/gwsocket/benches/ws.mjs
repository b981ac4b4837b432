// The server that benches/fanout.rs compares with: npm's `ws`, which broadcasts what it reads from a pipe in strict mode.
//
// usage: node ws.mjs PIPE; it prints its port. NODE_PATH does not reach modules: GWSOCKET_NODE_MODULES names the folder.
import { createReadStream } from "node:fs";
import { createRequire } from "node:module";

const require = createRequire(process.env.GWSOCKET_NODE_MODULES + "/");
const { WebSocketServer } = require("ws");

const server = new WebSocketServer({ port: 0, host: "127.0.0.1", perMessageDeflate: false });
server.on("listening", () => console.log(server.address().port));

const HEADER = 12;
let rest = Buffer.alloc(0);
createReadStream(process.argv[2]).on("data", (part) => {
    const bytes = rest.length > 0 ? Buffer.concat([rest, part]) : part;
    let at = 0;
    while (bytes.length - at >= HEADER) {
        const end = at + HEADER + bytes.readUInt32BE(at + 8);
        if (end > bytes.length) break;
        const binary = bytes.readUInt32BE(at + 4) === 2;
        const payload = bytes.subarray(at + HEADER, end);
        for (const client of server.clients) client.send(payload, { binary });
        at = end;
    }
    rest = bytes.subarray(at);
});
