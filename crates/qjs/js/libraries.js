// Libraries: what dlopen() and linkSymbols() give.

class Variable {
  constructor(type, address) {
    const hidden = (name, value) => Object.defineProperty(this, name, { value });
    hidden("type", type);
    hidden("ptr", address);
  }

  get value() {
    return native.read(this.type, this.ptr, 0);
  }

  set value(value) {
    native.write(this.type, this.ptr, 0, value);
  }
}

class Library {
  #native;
  #path;
  #isClosed = false;

  constructor(path, library) {
    this.#path = path;
    this.#native = library;
    this.symbols = {};
  }

  #open() {
    if (this.#isClosed) throw new Error(`the library ${this.#path} is closed`);
    return this.#native;
  }

  // The address of a symbol.
  symbol(name) {
    return native.symbol(this.#open(), name);
  }

  // Binds the functions of C declarations: one is given as it is, several as an object.
  func(text, options = {}) {
    const { functions } = native.declarations(text);
    if (functions.length === 0) throw new TypeError("func: expected the declaration of a function");
    const bound = {};
    for (const { name, args, returns, variadic } of functions) {
      if (name === undefined) throw new TypeError("func: the declaration has no name");
      bound[name] = this.#bind(name, { args, returns, variadic, ...options });
    }
    return functions.length === 1 ? bound[functions[0].name] : bound;
  }

  // A variable: of a C declaration, or a name and a type.
  variable(text, type) {
    let name = text;
    if (type === undefined) {
      const { variables } = native.declarations(text);
      if (variables.length !== 1) throw new TypeError("variable: expected the declaration of one variable");
      [{ name, type }] = variables;
    }
    return new Variable(typeOf(type), this.symbol(name));
  }

  // Binds functions by a table, as properties of `symbols`.
  link(table) {
    for (const [name, declaration] of Object.entries(table)) {
      this.symbols[name] =
        typeof declaration === "string" ? this.func(declaration) : this.#bind(name, declaration);
    }
    return this;
  }

  #bind(name, declaration) {
    const address = declaration.ptr ?? this.symbol(declaration.name ?? name);
    return bindDeclared(name, address, this.#open(), declaration);
  }

  // From now on, calls of the library's functions are errors.
  close() {
    if (this.#isClosed) return;
    this.#isClosed = true;
    native.closeLibrary(this.#native, `the library ${this.#path} is closed`);
  }

  [Symbol.toPrimitive]() {
    return `[library ${this.#path}]`;
  }
}

// qjs-ffi's with flags, Bun's with a table. Prototypes may stand in a table's place.
function dlopen(path, what) {
  if (typeof what === "number") return native.dlopen(path, what);
  if (path !== null && typeof path === "object" && path.protocol === "file:") path = path.pathname;
  const library = new Library(path === null ? "of the process" : path, native.openLibrary(path));
  if (typeof what === "string") {
    const bound = library.func(what);
    if (typeof bound === "function") library.symbols[bound.name] = bound;
    else Object.assign(library.symbols, bound);
    return library;
  }
  if (what !== undefined && (what === null || typeof what !== "object")) {
    throw new TypeError("dlopen: expected flags, a table of functions or declarations");
  }
  return library.link(what ?? {});
}

// A table of functions whose addresses are given, or are looked up in the process.
function linkSymbols(table) {
  return new Library("of the process", native.openLibrary(null)).link(table);
}
