// The page in a real browser: ticks arrive, the charts move, and it comes back when the server does.
//
// usage: node check.mjs [PICTURE.png]
// JITCALL, GWSOCKET_LIBRARY, CHROMIUM: what to run; GWSOCKET_NODE_MODULES: a folder with npm's `ws`, to talk to the browser.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import { pathToFileURL } from "node:url";

const { WebSocket } = createRequire(process.env.GWSOCKET_NODE_MODULES + "/")("ws");
const here = import.meta.dirname ?? new URL(".", import.meta.url).pathname;
const picture = process.argv[2];

const processes = new Set();
function run(program, ...words) {
  const child = spawn(program, words, { stdio: ["ignore", "pipe", "pipe"] });
  processes.add(child);
  child.on("exit", () => processes.delete(child));
  return child;
}

/** The first line of a stream that matches. */
async function lineOf(stream, pattern) {
  for await (const line of createInterface({ input: stream })) {
    const found = pattern.exec(line);
    if (found) {
      stream.resume();
      return found[1];
    }
  }
  throw new Error(`it ended without ${pattern}`);
}

/** Starts the ticks, and gives the process and its port. */
async function startTicks(port) {
  const library = process.env.GWSOCKET_LIBRARY ? [`--library=${process.env.GWSOCKET_LIBRARY}`] : [];
  const ticks = run(process.env.JITCALL ?? "jitcall", "js", join(here, "ticks.js"), `--port=${port}`, ...library);
  ticks.stderr.pipe(process.stderr);
  return [ticks, await lineOf(ticks.stdout, /ws:\/\/localhost:(\d+)/)];
}

/** A page of a browser, by the protocol of its developer tools. */
async function openPage(url, profile) {
  const browser = run(
    process.env.CHROMIUM ?? "chromium", "--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars",
    "--disable-dev-shm-usage", "--window-size=1100,850", "--remote-debugging-port=0", `--user-data-dir=${profile}`, "about:blank",
  );
  const root = await lineOf(browser.stderr, /DevTools listening on ws:\/\/([^/]+)\//);
  const targets = await (await fetch(`http://${root}/json`)).json();
  const socket = new WebSocket(targets.find(({ type }) => type === "page").webSocketDebuggerUrl);
  await once(socket, "open");
  const answers = new Map();
  socket.on("message", (data) => {
    const { id, result, error } = JSON.parse(data);
    if (id) answers.get(id)(error ? Promise.reject(new Error(error.message)) : result);
  });
  let last = 0;
  const ask = (method, params = {}) => {
    socket.send(JSON.stringify({ id: ++last, method, params }));
    return new Promise((resolve) => answers.set(last, resolve));
  };
  await ask("Page.enable");
  await ask("Page.navigate", { url });
  return {
    ask,
    async evaluate(expression) {
      const { result, exceptionDetails } = await ask("Runtime.evaluate", { expression, returnByValue: true, awaitPromise: true });
      if (exceptionDetails) throw new Error(exceptionDetails.exception?.description ?? exceptionDetails.text);
      return result.value;
    },
    /** Waits until something is so. */
    async until(what, expression) {
      for (const end = Date.now() + 30_000; Date.now() < end; await sleep(100)) {
        if (await this.evaluate(expression)) return;
      }
      throw new Error(`not within 30 s: ${what}; ${JSON.stringify(await this.evaluate("window.ticks"))}`);
    },
  };
}

let passed = 0;
const check = (what, holds) => {
  assert.ok(holds, what);
  console.log(`ticks: ${what}`);
  passed++;
};

const CHART = "document.querySelector('#prices canvas').toDataURL()";
const profile = mkdtempSync(join(tmpdir(), "ticks-"));
const tooLong = globalThis.setTimeout(() => {
  console.error("ticks: it takes too long");
  end(1);
}, 150_000);


async function end(status) {
  clearTimeout(tooLong);
  const ended = [...processes].map((child) => once(child, "exit"));
  for (const child of processes) child.kill("SIGKILL");
  await Promise.all(ended);
  // The browser's own children may write a last file.
  for (let attempt = 0; attempt < 50; attempt++) {
    try {
      rmSync(profile, { recursive: true, force: true });
      break;
    } catch {
      await sleep(100);
    }
  }
  process.exit(status);
}

try {
  let [ticks, port] = await startTicks(0);
  const page = await openPage(`${pathToFileURL(join(here, "index.html"))}?server=ws://localhost:${port}`, profile);
  await page.until("a hundred ticks", "window.ticks?.received > 100");
  check("ticks arrive", true);
  const before = await page.evaluate(CHART);
  await sleep(1000);
  const after = await page.evaluate(CHART);
  check("the chart changes", before.length > 1000 && before !== after);
  await page.until("a latency", "window.ticks.median !== null");
  const { median, missed } = await page.evaluate("window.ticks");
  check(`latency is measured: ${median} ms`, median >= 0 && median < 1000);
  check("none is missed", missed === 0);
  await page.until("the server's counters", "document.getElementById('clients').textContent === '1'");
  check("the server's counters are shown", true);
  if (picture) {
    await sleep(25_000);
    const { data } = await page.ask("Page.captureScreenshot", { format: "png" });
    writeFileSync(picture, Buffer.from(data, "base64"));
  }
  ticks.kill("SIGKILL");
  await page.until("the page says that the server is gone", "window.ticks.state === 'lost'");
  check("the page says that the server is gone", true);
  const received = await page.evaluate("window.ticks.received");
  [ticks] = await startTicks(port);
  await page.until("ticks again", `window.ticks.state === 'live' && window.ticks.received > ${received + 50}`);
  check("it goes on when the server is there again", (await page.evaluate("window.ticks.missed")) === 0);
  console.log(`ticks: ${passed} checks passed`);
  await end(0);
} catch (error) {
  console.error(error);
  await end(1);
}
