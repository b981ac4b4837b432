// Draws what ticks.js broadcasts. index.html?server=ws://host:port says from where.
"use strict";

const SERVER = new URLSearchParams(location.search).get("server") ?? "ws://localhost:7890";

/** Seconds that the charts show, and those over which latencies are judged. */
const SHOWN = 30;
const JUDGED = 10;

// Of Okabe and Ito's palette, which most colour-blind people tell apart; on dark paper the blue is lighter.
const dark = matchMedia("(prefers-color-scheme: dark)");
const colour = (index) => [dark.matches ? "#56b4e9" : "#0072b2", "#e69f00", "#009e73", "#cc79a7"][index % 4];

/** What has come, for those who look at it from outside. */
const ticks = { received: 0, missed: 0, state: "connecting", median: null, tail: null, reconnects: 0 };
window.ticks = ticks;

/** Times, in seconds, and a column of prices per symbol; a tick fills one of them. */
let times = [];
let latencies = [];
const columns = new Map();
let last = null;
/** How far the server's clock is ahead of this one, in milliseconds, by the fastest round trip. */
let clock = { trip: Infinity, ahead: 0 };

const show = (id, text) => (document.getElementById(id).textContent = text);

function setState(state, text) {
  ticks.state = state;
  const element = document.getElementById("state");
  element.dataset.state = state;
  element.textContent = text;
}

function take({ n, t, sym, price }) {
  if (last !== null && n > last + 1) ticks.missed += n - last - 1;
  last = n;
  ticks.received++;
  if (!columns.has(sym)) {
    columns.set(sym, new Array(times.length).fill(null));
    charts = null;
  }
  times.push(Date.now() / 1000);
  // Clocks are read in whole milliseconds, and compared by the first round trip.
  latencies.push(Number.isFinite(clock.trip) ? Math.max(0, Date.now() + clock.ahead - t) : null);
  for (const [name, prices] of columns) prices.push(name === sym ? price : null);
  // Where nobody looks, nothing is drawn, but ticks come all the same.
  if (times.length % 1000 === 0) forget(Date.now() / 1000);
}

/** Forgets what is shown no more, now and then. */
function forget(now) {
  const old = times.findIndex((time) => time > now - SHOWN - 1);
  if (old < 500) return;
  times = times.slice(old);
  latencies = latencies.slice(old);
  for (const [name, prices] of columns) columns.set(name, prices.slice(old));
}

let charts = null;

function makeCharts() {
  const ink = getComputedStyle(document.documentElement).getPropertyValue("--faint");
  const line = getComputedStyle(document.documentElement).getPropertyValue("--line");
  const axis = (more) => ({ stroke: ink, grid: { stroke: line, width: 1 }, ticks: { stroke: line }, ...more });
  const make = (id, height, series, more) => {
    const place = document.getElementById(id);
    place.replaceChildren();
    const options = {
      width: place.clientWidth,
      height,
      cursor: { drag: { setScale: false } },
      legend: { show: series.length > 1, live: false },
      scales: { x: { range: () => [Date.now() / 1000 - SHOWN, Date.now() / 1000] }, ...more },
      axes: [axis({ space: 80 }), axis({ size: 52 })],
      series: [{}, ...series],
    };
    return new uPlot(options, [[]], place);
  };
  const style = { width: 2, spanGaps: true, points: { show: false } };
  const prices = [...columns.keys()].map((label, index) => ({ label, stroke: colour(index), ...style }));
  const latency = { label: "latency", stroke: colour(0), fill: colour(0) + "22", ...style, width: 1 };
  charts = {
    prices: make("prices", 300, prices),
    latency: make("latency", 110, [latency], { y: { range: (_, least, most) => [0, Math.max(5, most)] } }),
  };
}

function draw() {
  requestAnimationFrame(draw);
  if (columns.size === 0) return;
  if (charts === null) makeCharts();
  // Where nothing comes, the last picture stays.
  if (ticks.state !== "live") return;
  forget(Date.now() / 1000);
  charts.prices.setData([times, ...columns.values()]);
  charts.latency.setData([times, latencies]);
}

function tell() {
  const now = Date.now() / 1000;
  const from = (seconds) => {
    const index = times.findIndex((time) => time > now - seconds);
    return index < 0 ? times.length : index;
  };
  const judged = latencies.slice(from(JUDGED)).filter((latency) => latency !== null).sort((a, b) => a - b);
  const at = (share) => (judged.length > 0 ? judged[Math.floor((judged.length - 1) * share)] : null);
  [ticks.median, ticks.tail] = [at(0.5), at(0.99)];
  const milliseconds = (value) => (value === null ? "–" : `${value.toFixed(value < 10 ? 1 : 0)} ms`);
  show("received", ticks.received.toLocaleString("en"));
  show("missed", ticks.missed.toLocaleString("en"));
  show("rate", ((times.length - from(5)) / 5).toFixed(0));
  show("median", milliseconds(ticks.median));
  show("tail", milliseconds(ticks.tail));
  show("trip", milliseconds(Number.isFinite(clock.trip) ? clock.trip : null));
}

/** Connects, and again when the connection is lost: after half a second, then later and later. */
function connect(wait = 500) {
  const socket = new WebSocket(SERVER);
  let ping = null;
  socket.onopen = () => {
    wait = 500;
    last = null;
    setState("live", `live from ${SERVER}`);
    const send = () => socket.send(`{"ping":${performance.now().toFixed(3)}}`);
    send();
    ping = setInterval(send, 1000);
  };
  socket.onmessage = ({ data }) => {
    const message = JSON.parse(data);
    if ("price" in message) {
      take(message);
    } else if ("pong" in message) {
      const trip = performance.now() - message.pong;
      if (trip < clock.trip) clock = { trip, ahead: message.now - (Date.now() - trip / 2) };
    } else if ("stats" in message) {
      const { clients, dropped_clients, dropped_messages } = message.stats;
      show("clients", clients);
      show("dropped", `${dropped_clients + dropped_messages}`);
    }
  };
  socket.onclose = ({ code }) => {
    clearInterval(ping);
    const why = code === 1001 ? "the server has stopped" : "no connection";
    setState("lost", `${why}; trying again`);
    ticks.reconnects++;
    setTimeout(() => connect(Math.min(wait * 2, 8000)), wait);
  };
}

addEventListener("resize", () => (charts = null));
dark.addEventListener("change", () => (charts = null));
setInterval(tell, 500);
requestAnimationFrame(draw);
connect();
