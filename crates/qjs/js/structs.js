// Structs and unions: classes whose instances are views of an ArrayBuffer.

// How the kinds of members that a DataView knows are read and written.
const viewed = {
  bool: ["Uint8"], i8: ["Int8"], u8: ["Uint8"], i16: ["Int16"], u16: ["Uint16"], i32: ["Int32"], u32: ["Uint32"],
  f32: ["Float32"], f64: ["Float64"],
};
const typedArrays = {
  i8: Int8Array, u8: Uint8Array, i16: Int16Array, u16: Uint16Array, i32: Int32Array, u32: Uint32Array,
  i64: BigInt64Array, u64: BigUint64Array, f32: Float32Array, f64: Float64Array,
};

// What instances have in common.
class Aggregate {
  // The members as an object of their own.
  toJSON() {
    const object = {};
    for (const name of this.constructor.members) {
      const value = this[name];
      if (value instanceof Aggregate) object[name] = value.toJSON();
      else if (ArrayBuffer.isView(value)) object[name] = Array.from(value);
      else if (Array.isArray(value)) object[name] = value.map((item) => (item instanceof Aggregate ? item.toJSON() : item));
      else object[name] = value instanceof CString ? String(value) : value;
    }
    return object;
  }

  // Writes the members that an object has.
  assign(values) {
    for (const name of Object.keys(values)) {
      if (!this.constructor.members.includes(name)) {
        throw new TypeError(`${this.constructor.title} has no member ${name}`);
      }
      this[name] = values[name];
    }
    return this;
  }
}

function isBuffer(value) {
  const kind = Object.prototype.toString.call(value);
  return kind === "[object ArrayBuffer]" || kind === "[object SharedArrayBuffer]";
}

// The class of a struct's instances, made when it is first needed.
const classes = new Map();
function classOf(handle) {
  const { name, size, members } = native.describe(handle);
  let known = classes.get(name);
  if (known === undefined) {
    known = makeClass(handle, name, size, members);
    classes.set(name, known);
  }
  return known;
}

function makeClass(handle, title, size, members) {
  // An instance over new memory that an object fills, or over memory that is given.
  const Instance = function (from, offset = 0) {
    if (!new.target) return new Instance(from, offset);
    const isMemory = isBuffer(from) || ArrayBuffer.isView(from);
    const start = (isMemory ? (from.byteOffset ?? 0) : 0) + (isMemory ? offset : 0);
    const buffer = isMemory ? (from.buffer ?? from) : new ArrayBuffer(size);
    if (start < 0 || start + size > buffer.byteLength) {
      throw new RangeError(`${title}: ${size} bytes at ${start} are not within ${buffer.byteLength} bytes`);
    }
    const hidden = (name, value) => Object.defineProperty(this, name, { value });
    hidden("buffer", buffer);
    hidden("byteOffset", start);
    hidden("byteLength", size);
    hidden("view", new DataView(buffer, start, size));
    if (!isMemory && from !== undefined && from !== null) {
      this.assign(from instanceof Aggregate ? from.toJSON() : from);
    }
  };
  Instance.prototype = Object.create(Aggregate.prototype, { constructor: { value: Instance } });
  Object.defineProperties(Instance, {
    type: { value: handle },
    title: { value: title },
    size: { value: size },
    members: { value: Object.freeze(members.map((member) => member.name)) },
    // The instance in C's memory.
    at: { value: (pointer) => new Instance(native.view(pointer, 0, size)) },
  });
  for (const member of members) {
    Object.defineProperty(Instance.prototype, member.name, { enumerable: true, ...accessors(handle, member) });
  }
  native.setView(handle, Instance);
  return Instance;
}

// How a member is read and written.
function accessors(handle, { name, offset, type, bits }) {
  const { kind, element, length } = native.describe(type);
  if (bits === undefined && viewed[kind] !== undefined) return numeric(kind, name, offset, type);
  if (bits === undefined && (kind === "struct" || kind === "union")) {
    const Inner = classOf(type);
    return {
      get() { return new Inner(this.buffer, this.byteOffset + offset); },
      set(value) {
        if (value instanceof Inner) {
          const bytes = (view) => new Uint8Array(view.buffer, view.byteOffset, view.byteLength);
          bytes(new Inner(this.buffer, this.byteOffset + offset)).set(bytes(value));
        } else {
          native.writeMember(handle, this, 0, name, value);
        }
      },
    };
  }
  const setter = { set(value) { native.writeMember(handle, this, 0, name, value); } };
  if (kind === "array") return { ...elements(element, length, offset), ...setter };
  return { get() { return native.readMember(handle, this, 0, name); }, ...setter };
}

// Numbers are read by a DataView; they are written by the module, which checks them.
function numeric(kind, name, offset, type) {
  const get = DataView.prototype[`get${viewed[kind][0]}`];
  return {
    get: kind === "bool"
      ? function () { return get.call(this.view, offset, true) !== 0; }
      : function () { return get.call(this.view, offset, true); },
    set(value) {
      try {
        native.write(type, this, offset, value);
      } catch (error) {
        error.message = `${this.constructor.title}.${name}: ${error.message}`;
        throw error;
      }
    },
  };
}

// An array of numbers is a typed array, one of structs an array of instances; both are views.
function elements(element, length, offset) {
  const { kind, size } = native.describe(element);
  const Numbers = typedArrays[kind];
  if (Numbers !== undefined) {
    return { get() { return new Numbers(this.buffer, this.byteOffset + offset, length); } };
  }
  if (kind === "struct" || kind === "union") {
    const Inner = classOf(element);
    const at = (view, index) => new Inner(view.buffer, view.byteOffset + offset + index * size);
    return { get() { return Array.from({ length }, (_, index) => at(this, index)); } };
  }
  return {
    get() { return Array.from({ length }, (_, index) => native.read(element, this, offset + index * size)); },
  };
}

// struct({ x: "f64", y: "f64" }) or struct("name", { .. }, { packed, align }); [type, bits] is a bit-field; or C:
// struct("struct point { double x, y; }").
function aggregate(kind, name, members, options) {
  if (typeof name === "string" && members === undefined) {
    const handle = native.type(name);
    if (native.describe(handle).members === undefined) throw new TypeError(`${name} is no ${kind}`);
    return classOf(handle);
  }
  if (typeof name !== "string") [name, members, options] = [undefined, name, members];
  if (members === null || typeof members !== "object") throw new TypeError(`${kind}: expected an object of members`);
  const names = Object.keys(members);
  const isBits = (type) => Array.isArray(type);
  const types = names.map((member) => typeOf(isBits(members[member]) ? members[member][0] : members[member]));
  const bits = names.map((member) => (isBits(members[member]) ? members[member][1] : undefined));
  const { packed = false, align } = options ?? {};
  return classOf(native.aggregate(kind, name, names, types, bits, packed, align));
}

function struct(name, members, options) {
  return aggregate("struct", name, members, options);
}

function union(name, members, options) {
  return aggregate("union", name, members, options);
}

// Memory for one value, to be passed where C writes it.
class Out {
  constructor(handle, initial) {
    const { size, members } = native.describe(handle);
    const hidden = (name, value) => Object.defineProperty(this, name, { value });
    hidden("type", handle);
    hidden("buffer", new ArrayBuffer(size));
    hidden("byteOffset", 0);
    hidden("byteLength", size);
    hidden("instance", members === undefined ? undefined : new (classOf(handle))(this.buffer));
    if (initial !== undefined) this.value = initial;
  }

  get value() {
    return this.instance ?? native.read(this.type, this.buffer, 0);
  }

  set value(value) {
    native.write(this.type, this.buffer, 0, value);
  }
}

function out(type, initial) {
  return new Out(typeOf(type), initial);
}
