// Functions that are bound, and callbacks.

// What a declaration such as { args: ["f64", "f64"], returns: "f64" } says, in native terms.
function signatureOf(name, { args = [], returns = "void", variadic = false }) {
  if (!Array.isArray(args)) throw new TypeError(`${name}: args: expected an array of types`);
  const isVariadic = variadic || args[args.length - 1] === "...";
  const fixed = args[args.length - 1] === "..." ? args.slice(0, -1) : args;
  const type = (place, value) => {
    try {
      return typeOf(value);
    } catch (error) {
      error.message = `${name}: ${place}: ${error.message}`;
      throw error;
    }
  };
  return {
    args: fixed.map((value, index) => type(`argument ${index + 1}`, value)),
    returns: type("the result", returns),
    isVariadic,
  };
}

function bindDeclared(name, address, library, declaration) {
  const { args, returns, isVariadic } = signatureOf(name, declaration);
  const isAsync = Boolean(declaration.async ?? declaration.nonblocking ?? false);
  return native.bind(name, address, library, args, returns, isVariadic, isAsync);
}

// A function whose address is known.
function CFunction(declaration) {
  const address = declaration?.ptr;
  if (address === undefined || address === null) throw new TypeError("CFunction: expected a ptr");
  return bindDeclared(declaration.name ?? "CFunction", address, undefined, declaration);
}

const openCallbacks = new Set();

// A C function pointer that runs a JavaScript function.
class JSCallback {
  constructor(callback, { args = [], returns = "void", threadsafe = false } = {}) {
    const signature = signatureOf("JSCallback", { args, returns });
    const hidden = (name, value) => Object.defineProperty(this, name, { value });
    hidden("native", native.callback(callback, signature.args, signature.returns, Boolean(threadsafe)));
    hidden("threadsafe", Boolean(threadsafe));
    // Other threads do not hold what they call.
    if (this.threadsafe) openCallbacks.add(this);
  }

  get ptr() {
    return native.callbackPointer(this.native);
  }

  close() {
    openCallbacks.delete(this);
    native.closeCallback(this.native, this.threadsafe);
  }

  [Symbol.toPrimitive]() {
    return this.ptr;
  }
}

// The declarations and stubs of functions.
function viewSource(what) {
  if (typeof what === "function") return native.source(what.native);
  return Object.values(what?.symbols ?? what).map((bound) => native.source(bound.native));
}
