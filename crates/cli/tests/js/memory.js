// What holds values in each of the ways that a script can, for a memory checker to look at: nothing is left behind.
import * as std from "std";
import * as os from "os";
import data from "./memory.json";

// Values in cycles, one of them through a file.
const file = std.tmpfile();
file.self = { file, data };
file.puts("text");
const map = new Map([[{}, file]]);
map.set("map", map);
console.log(map.size, [map], new Error("shown", { cause: map }).message);

// Functions that the event loop holds, some of them still when the script ends by itself.
const [reader, writer] = os.pipe();
os.setReadHandler(reader, () => {
  const memory = new ArrayBuffer(8);
  os.read(reader, memory, 0, 8);
  os.setReadHandler(reader, null);
  os.close(reader);
});
os.setWriteHandler(writer, () => {
  os.setWriteHandler(writer, null);
  os.write(writer, new Uint8Array([1, 2]).buffer, 0, 2);
  os.close(writer);
});
let ticks = 0;
const timer = setInterval((argument) => argument.ticks === ++ticks && clearInterval(timer), 1, { ticks: 3 });
clearTimeout(setTimeout(() => {}, 1000));

// Rejections, handled late.
const rejected = Promise.reject(new Error("handled"));
queueMicrotask(() => rejected.catch(() => {}));
await os.sleepAsync(5);
try {
  await import("./missing.js");
} catch (error) {
  std.printf("%s %d\n", error.name, std.sprintf("%5.1f|%s", 1.25, "text").length);
}
new Promise(() => setTimeout(() => std.evalScript("var left = {}; left.left = left"), 1));
