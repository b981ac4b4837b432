// The console and its texts: `{ console, inspect }`, made of what writes to standard output and standard error.
//
// An object's kind is told by the built-in functions that work on that kind alone, taken before a program can replace
// them: what the object says of itself may be anything.
(function (native) {
  "use strict";

  const { writeOut, writeError } = native;

  const WIDTH = 76;      // of a line, past which a value is broken into several
  const DEPTH = 8;       // of objects in objects that are shown
  const ELEMENTS = 100;  // of an array, a set or a map that are shown
  const BYTES = 64;      // of a buffer that are shown

  const { getOwnPropertyDescriptor, getPrototypeOf } = Object;
  const { ownKeys, apply } = Reflect;
  const getter = (prototype, key) => getOwnPropertyDescriptor(prototype, key).get;
  const method = (f) => (self, ...given) => apply(f, self, given);
  const typeOfArray = method(getter(getPrototypeOf(Uint8Array.prototype), Symbol.toStringTag));
  const sizeOfMap = method(getter(Map.prototype, "size"));
  const sizeOfSet = method(getter(Set.prototype, "size"));
  const lengthOfBuffer = method(getter(ArrayBuffer.prototype, "byteLength"));
  const lengthOfShared = method(getter(SharedArrayBuffer.prototype, "byteLength"));
  const eachOfMap = method(Map.prototype.forEach);
  const eachOfSet = method(Set.prototype.forEach);
  const timeOfDate = method(Date.prototype.getTime);
  const dateText = method(Date.prototype.toISOString);
  const regExpText = method(RegExp.prototype.toString);
  const functionText = method(Function.prototype.toString);
  const symbolText = method(Symbol.prototype.toString);
  const valueOfNumber = method(Number.prototype.valueOf);
  const valueOfString = method(String.prototype.valueOf);
  const valueOfBoolean = method(Boolean.prototype.valueOf);
  const quote = JSON.stringify;
  const bytes = Uint8Array;
  const isArray = Array.isArray;
  const isError = (value) => value instanceof Error;
  const identifier = /^[\p{ID_Start}$_][\p{ID_Continue}$_]*$/u;

  // What a getter of a built-in prototype gives for an object, or undefined where the object is of another kind.
  const attempt = (f, value) => {
    try { return f(value); } catch { return undefined; }
  };

  const primitive = (value) => {
    switch (typeof value) {
      case "string": return quote(value);
      case "bigint": return `${value}n`;
      case "symbol": return symbolText(value);
      case "number": return Object.is(value, -0) ? "-0" : `${value}`;
      default: return `${value}`;
    }
  };

  const key = (name) => {
    if (typeof name === "symbol") return `[${symbolText(name)}]`;
    return identifier.test(name) ? name : quote(name);
  };

  const className = (value) => {
    for (let object = value; object !== null; object = getPrototypeOf(object)) {
      const constructor = getOwnPropertyDescriptor(object, "constructor")?.value;
      if (typeof constructor === "function" && typeof constructor.name === "string") return constructor.name;
    }
    return "";
  };

  const functionName = (value) => {
    const kind = /^class\b/.test(functionText(value)) ? "class" : "function";
    const name = getOwnPropertyDescriptor(value, "name")?.value;
    return typeof name === "string" && name !== "" ? `[${kind} ${name}]` : `[${kind}]`;
  };

  const errorText = (error) => {
    const text = `${error}`;
    const stack = error.stack;
    return typeof stack === "string" && stack !== "" ? `${text}\n${stack.trimEnd()}` : text;
  };

  // `open` and `close` with the parts between them: in one line where they fit, else each in its own.
  const group = (open, parts, close, indent) => {
    if (parts.length === 0) return `${open}${close}`;
    const line = `${open} ${parts.join(", ")} ${close}`;
    if (line.length + indent.length <= WIDTH && !line.includes("\n")) return line;
    const next = `\n${indent}  `;
    return `${open}${next}${parts.join(`,${next}`)}\n${indent}${close}`;
  };

  const more = (count) => (count > 0 ? [`... ${count} more`] : []);

  // The own properties of an object that `isShown` leaves, as `name: value`.
  const properties = (object, show, isShown = () => true) => {
    const parts = [];
    for (const name of ownKeys(object)) {
      const property = getOwnPropertyDescriptor(object, name);
      if (!property?.enumerable || !isShown(name)) continue;
      const { get, set } = property;
      const text = get && set ? "[getter and setter]" : get ? "[getter]" : set ? "[setter]" : show(property.value);
      parts.push(`${key(name)}: ${text}`);
    }
    return parts;
  };

  const isIndex = (name) => typeof name === "string" && /^(0|[1-9]\d*)$/.test(name);

  const elements = (array, show) => {
    const parts = [];
    const shown = Math.min(array.length, ELEMENTS);
    for (let index = 0; index < shown; index++) {
      parts.push(index in array ? show(array[index]) : "<empty>");
    }
    return [...parts, ...more(array.length - shown)];
  };

  const bufferText = (buffer, length) => {
    const shown = new bytes(buffer, 0, Math.min(length, BYTES));
    let text = "";
    for (let index = 0; index < shown.length; index++) {
      text += `${index > 0 ? " " : ""}${shown[index] < 16 ? "0" : ""}${shown[index].toString(16)}`;
    }
    return length > BYTES ? [`${text} ... ${length - BYTES} more`] : length > 0 ? [text] : [];
  };

  const collection = (each, size, value, show) => {
    const parts = [];
    each(value, (element, name) => {
      if (parts.length < ELEMENTS) parts.push(show(element, name));
    });
    return [...parts, ...more(size - parts.length)];
  };

  // An object's text by its kind. `show` gives that of a value in it.
  const objectText = (value, show, indent) => {
    const name = className(value);
    if (isArray(value)) {
      const prefix = name === "Array" ? "" : `${name}(${value.length}) `;
      const rest = properties(value, show, (name) => !isIndex(name));
      return group(`${prefix}[`, [...elements(value, show), ...rest], "]", indent);
    }
    const arrayType = typeOfArray(value);
    if (arrayType !== undefined) {
      const rest = properties(value, show, (name) => !isIndex(name));
      return group(`${name || arrayType}(${value.length}) [`, [...elements(value, show), ...rest], "]", indent);
    }
    const length = attempt(lengthOfBuffer, value) ?? attempt(lengthOfShared, value);
    if (length !== undefined) return group(`${name}(${length}) {`, bufferText(value, length), "}", indent);
    const entries = attempt(sizeOfMap, value);
    if (entries !== undefined) {
      const entry = (element, name) => `${show(name)} => ${show(element)}`;
      return group(`${name}(${entries}) {`, collection(eachOfMap, entries, value, entry), "}", indent);
    }
    const members = attempt(sizeOfSet, value);
    if (members !== undefined) {
      return group(`${name}(${members}) {`, collection(eachOfSet, members, value, (member) => show(member)), "}", indent);
    }

    let text;
    if (isError(value)) text = errorText(value);
    else if (typeof value === "function") text = functionName(value);
    else if (attempt(timeOfDate, value) !== undefined) text = attempt(dateText, value) ?? "Invalid Date";
    else if (value instanceof RegExp) text = attempt(regExpText, value);
    if (text === undefined) {
      const boxed = attempt(valueOfNumber, value) ?? attempt(valueOfString, value) ?? attempt(valueOfBoolean, value);
      if (boxed !== undefined) return `[${name}: ${primitive(boxed)}]`;
    }
    // An error's own message and cause are not enumerable, unless the program made them so.
    const parts = properties(value, show);
    if (isError(value) && getOwnPropertyDescriptor(value, "cause") !== undefined) {
      parts.push(`[cause]: ${show(value.cause)}`);
    }
    if (text !== undefined) return parts.length === 0 ? text : group(`${text} {`, parts, "}", indent);
    const isModule = getOwnPropertyDescriptor(value, Symbol.toStringTag)?.value === "Module";
    const kind = isModule ? "[module]" : getPrototypeOf(value) === null ? "[null prototype]" : name === "Object" ? "" : name;
    const prefix = kind === "" ? "" : `${kind} `;
    return group(`${prefix}{`, parts, "}", indent);
  };

  // The text of a value; `outer` are the objects that it stands in.
  const show = (value, outer, indent) => {
    if (value === null || (typeof value !== "object" && typeof value !== "function")) return primitive(value);
    if (outer.includes(value)) return "[circular]";
    if (outer.length >= DEPTH) return isArray(value) ? "[array]" : "[object]";
    const within = [...outer, value];
    try {
      return objectText(value, (inner) => show(inner, within, `${indent}  `), indent);
    } catch (error) {
      // Only a proxy's traps and an error's own getters come to this.
      return "[an object that cannot be looked at]";
    }
  };

  const inspect = (value) => show(value, [], "");
  const text = (value) => (typeof value === "string" ? value : inspect(value));

  const substitutes = {
    s: (value) => (typeof value === "object" && value !== null ? inspect(value) : typeof value === "symbol" ? symbolText(value) : `${value}`),
    d: (value) => (typeof value === "bigint" ? `${value}n` : typeof value === "symbol" ? "NaN" : `${Number(value)}`),
    i: (value) => (typeof value === "bigint" ? `${value}n` : typeof value === "symbol" ? "NaN" : `${parseInt(value)}`),
    f: (value) => (typeof value === "symbol" ? "NaN" : `${parseFloat(value)}`),
    j: (value) => attempt(quote, value) ?? "undefined",
    o: inspect,
    O: inspect,
    c: () => "",
  };

  // The arguments as one line: those that a format in the first asks for in their places, the others behind it.
  const line = (values) => {
    let rest = values;
    const parts = [];
    if (values.length > 1 && typeof values[0] === "string") {
      let next = 1;
      parts.push(values[0].replace(/%([sdifjoOc%])/g, (whole, kind) => {
        if (kind === "%") return "%";
        return next < values.length ? substitutes[kind](values[next++]) : whole;
      }));
      rest = values.slice(next);
    }
    return [...parts, ...rest.map(text)].join(" ");
  };

  let groups = "";
  const counts = new Map();
  const timers = new Map();
  const indented = (text) => `${groups}${groups === "" ? text : text.replaceAll("\n", `\n${groups}`)}\n`;
  const out = (...values) => writeOut(indented(line(values)));
  const error = (...values) => writeError(indented(line(values)));
  const elapsed = (label) => `${label}: ${(performance.now() - timers.get(label)).toFixed(3)} ms`;

  const console = {
    log: (...values) => out(...values),
    info: (...values) => out(...values),
    debug: (...values) => out(...values),
    error: (...values) => error(...values),
    warn: (...values) => error(...values),
    dir: (value) => out(inspect(value)),
    trace: (...values) => error(...values, `\n${new Error().stack.split("\n").slice(1).join("\n").trimEnd()}`),
    assert: (condition, ...values) => {
      if (!condition) error("assertion failed", ...values);
    },
    count: (label = "default") => {
      counts.set(label, (counts.get(label) ?? 0) + 1);
      out(`${label}: ${counts.get(label)}`);
    },
    countReset: (label = "default") => void counts.delete(label),
    group: (...values) => {
      if (values.length > 0) out(...values);
      groups += "  ";
    },
    groupEnd: () => void (groups = groups.slice(2)),
    time: (label = "default") => void timers.set(label, performance.now()),
    timeLog: (label = "default", ...values) => {
      if (timers.has(label)) out(elapsed(label), ...values);
    },
    timeEnd: (label = "default") => {
      if (timers.has(label)) out(elapsed(label));
      timers.delete(label);
    },
  };
  return { console, inspect };
})
