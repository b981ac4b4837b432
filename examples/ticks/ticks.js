// Makes ticks and broadcasts them to browsers, by calls into libgwsocket.
//
//     jitcall js examples/ticks/ticks.js [--port=7890] [--rate=50] [--seconds=FOR EVER] [--library=libgwsocket.so]
//
// Each tick is a text {"n": number, "t": time of making, "sym": symbol, "price": price}; once a second there is
// {"stats": {..}} between them. A client that sends {"ping": t} gets {"pong": t, "now": time} back.
import { dlopen, struct, toArrayBuffer } from "ffi";
import * as os from "os";
import * as std from "std";

const options = { port: 7890, rate: 50, seconds: Infinity, library: "" };
for (const argument of scriptArgs.slice(1)) {
  const [, name, value] = /^--(\w+)=(.*)$/.exec(argument) ?? [];
  if (!(name in options)) {
    std.err.puts(`ticks.js: there is no option ${argument}: expected ${Object.keys(options).map((name) => `--${name}=..`).join(", ")}\n`);
    std.exit(2);
  }
  options[name] = name === "library" ? value : Number(value);
}

/** The library that was named, or as cargo builds it, or as the system finds it. */
function library() {
  if (options.library) return options.library;
  const folder = scriptArgs[0].replace(/[^/]*$/, "");
  const built = ["release", "debug"].map((profile) => `${folder}../../target/${profile}/libgwsocket.so`);
  return built.find((path) => os.stat(path)[1] === 0) ?? "libgwsocket.so";
}

// What follows is gwsocket.h's, as far as it is needed.
const Event = struct("struct gwsocket_event { uint32_t client, type; const void *data; size_t length; }");
const Stats = struct(`struct gwsocket_stats {
  uint64_t clients, opened, closed, refused, messages_in, bytes_in, messages_received, bytes_received, bytes_sent;
  uint64_t throttled, dropped_clients, dropped_messages, dropped_events, no_client, bad_input;
}`);
const TEXT = 1;
const gw = dlopen(library()).func(`
  int gwsocket_open(const char *options);
  int gwsocket_close(int server);
  const char *gwsocket_error(void);
  int gwsocket_port(int server);
  int gwsocket_fd(int server);
  long gwsocket_broadcast_text(int server, const char *text);
  int gwsocket_send(int server, uint32_t client, int type, const void *data, size_t length);
  int gwsocket_next(int server, void *event, int timeout);
  int gwsocket_get_stats(int server, void *stats);
`);

const server = gw.gwsocket_open(`--port=${options.port}`);
if (server < 0) {
  std.err.puts(`ticks.js: ${gw.gwsocket_error()}\n`);
  std.exit(1);
}
console.log(`ticks on ws://localhost:${gw.gwsocket_port(server)}; open examples/ticks/index.html`);
std.out.flush();

const broadcast = (message) => gw.gwsocket_broadcast_text(server, JSON.stringify(message));

// Clients' messages: the descriptor is readable while there are any, so nothing has to ask for them.
const event = new Event();
os.setReadHandler(gw.gwsocket_fd(server), () => {
  while (gw.gwsocket_next(server, event, 0) === 1) {
    if (event.type !== TEXT) continue;
    // The data is the library's until the next event, so it is copied.
    const length = Number(event.length);
    const bytes = new Uint8Array(toArrayBuffer(event.data, 0, length)).slice();
    const text = String.fromCharCode(...bytes);
    const ping = /^\{"ping":([0-9.]+)\}$/.exec(text);
    if (ping) {
      const answer = `{"pong":${ping[1]},"now":${Date.now()}}`;
      gw.gwsocket_send(server, event.client, TEXT, answer, answer.length);
    }
  }
});

// Prices walk at random, and a little back to where they came from.
const symbols = [
  { sym: "ALPHA", start: 104, price: 104 },
  { sym: "BRAVO", start: 101, price: 101 },
  { sym: "CIRRUS", start: 98, price: 98 },
  { sym: "DELTA", start: 95, price: 95 },
];
let number = 0;
function tick() {
  const symbol = symbols[number % symbols.length];
  symbol.price += (Math.random() - 0.5) * 0.4 + (symbol.start - symbol.price) * 0.01;
  broadcast({ n: number++, t: Date.now(), sym: symbol.sym, price: Number(symbol.price.toFixed(3)) });
}

const stats = new Stats();
function tell() {
  gw.gwsocket_get_stats(server, stats);
  const { clients, messages_in, bytes_sent, throttled, dropped_clients, dropped_messages } = stats;
  const counters = { clients, messages_in, bytes_sent, throttled, dropped_clients, dropped_messages };
  broadcast({ stats: Object.fromEntries(Object.entries(counters).map(([name, count]) => [name, Number(count)])) });
}

// Timers are late now and then: what is due is made when they come, but not what a suspended machine has missed.
let due = Date.now();
const ticking = setInterval(() => {
  if (Date.now() - due > 1000) due = Date.now();
  for (; due <= Date.now(); due += 1000 / options.rate) tick();
}, Math.max(1, 1000 / options.rate));
const telling = setInterval(tell, 1000);

// Clients are told when the server goes away.
function stop() {
  clearInterval(ticking);
  clearInterval(telling);
  clearTimeout(ending);
  os.setReadHandler(gw.gwsocket_fd(server), null);
  gw.gwsocket_close(server);
}
let ending;
if (options.seconds < Infinity) ending = setTimeout(stop, options.seconds * 1000);
for (const signal of [os.SIGINT, os.SIGTERM]) os.signal(signal, stop);
