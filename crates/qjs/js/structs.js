// Structs and unions: classes whose instances are views of an ArrayBuffer.

// How the kinds of members that a DataView knows are read and written.
const viewed = {
  bool: "Uint8", i8: "Int8", u8: "Uint8", i16: "Int16", u16: "Uint16", i32: "Int32", u32: "Uint32", f32: "Float32",
  f64: "Float64",
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
  return value instanceof ArrayBuffer || (typeof SharedArrayBuffer === "function" && value instanceof SharedArrayBuffer);
}

// The class of a struct's instances: the one that struct() made, where the script has named the type by it.
function classOf(type) {
  if (typeof type === "function") return type;
  const handle = typeOf(type);
  const { name, size, members } = native.describe(handle);
  return makeClass(handle, name, size, members, type.members ?? {});
}

// `given` has the members' types as the script has named them: classes, and what says more than C's type does.
function makeClass(handle, title, size, members, given) {
  // An instance over new memory that an object fills, or over memory that is given.
  const Instance = function (from, offset = 0) {
    if (!new.target) return new Instance(from, offset);
    const isMemory = isBuffer(from) || ArrayBuffer.isView(from);
    const start = isMemory ? (from.byteOffset ?? 0) + offset : 0;
    const buffer = isMemory ? (from.buffer ?? from) : new ArrayBuffer(size);
    if (start < 0 || start + size > buffer.byteLength) {
      throw new RangeError(`${title}: ${size} bytes at ${start} are not within ${buffer.byteLength} bytes`);
    }
    this.buffer = buffer;
    this.byteOffset = start;
    this.view = new DataView(buffer, start, size);
    if (!isMemory && from !== undefined && from !== null) {
      this.assign(from instanceof Aggregate ? from.toJSON() : from);
    }
  };
  Instance.prototype = Object.create(Aggregate.prototype, {
    constructor: { value: Instance },
    byteLength: { value: size },
  });
  Object.defineProperties(Instance, {
    type: { value: handle },
    title: { value: title },
    size: { value: size },
    members: { value: Object.freeze(members.map((member) => member.name)) },
    // The instance in C's memory.
    at: { value: (pointer) => new Instance(native.view(pointer, 0, size)) },
  });
  for (const member of members) {
    const { get, set } = accessors(handle, member, given[member.name] ?? { type: member.type });
    const write = function (value) {
      try {
        set.call(this, value);
      } catch (error) {
        error.message = `${title}.${member.name}: ${error.message}`;
        throw error;
      }
    };
    Object.defineProperty(Instance.prototype, member.name, { enumerable: true, get, set: write });
  }
  native.setView(handle, Instance);
  return Instance;
}

// How a member is read and written. What is written goes through the module, which checks it.
function accessors(handle, { name, offset, bits }, type) {
  if (bits !== undefined) {
    return {
      get() { return native.readMember(handle, this, 0, name); },
      set(value) { native.writeMember(handle, this, 0, name, value); },
    };
  }
  const own = typeOf(type);
  const { kind, element, length } = native.describe(own);
  const set = function (value) { native.write(own, this, offset, value); };
  const view = viewed[kind];
  if (view !== undefined) {
    const read = DataView.prototype[`get${view}`];
    if (kind === "bool") return { get() { return read.call(this.view, offset, true) !== 0; }, set };
    return { get() { return read.call(this.view, offset, true); }, set };
  }
  if (kind === "struct" || kind === "union") {
    const Inner = classOf(type);
    return { get() { return new Inner(this.buffer, this.byteOffset + offset); }, set };
  }
  if (kind === "array") return { get: elements(type.element ?? { type: element }, length, offset), set };
  return { get() { return native.read(own, this, offset); }, set };
}

// An array of numbers is a typed array, one of structs an array of instances; both are views.
function elements(element, length, offset) {
  const own = typeOf(element);
  const { kind, size } = native.describe(own);
  const Numbers = typedArrays[kind];
  if (Numbers !== undefined) {
    return function () { return new Numbers(this.buffer, this.byteOffset + offset, length); };
  }
  if (kind === "struct" || kind === "union") {
    const Inner = classOf(element);
    const at = (instance, index) => new Inner(instance.buffer, instance.byteOffset + offset + index * size);
    return function () { return Array.from({ length }, (_, index) => at(this, index)); };
  }
  return function () {
    return Array.from({ length }, (_, index) => native.read(own, this, offset + index * size));
  };
}

// struct({ x: "f64", y: "f64" }) or struct("name", { .. }, { packed, align }); [type, bits] is a bit-field; or C:
// struct("struct point { double x, y; }").
function aggregate(kind, name, members, options) {
  if (typeof name === "string" && members === undefined) {
    const handle = native.type(name);
    if (native.describe(handle).kind !== kind) throw new TypeError(`${name} is no ${kind}`);
    return classOf({ type: handle });
  }
  if (typeof name !== "string") [name, members, options] = [undefined, name, members];
  if (members === null || typeof members !== "object") throw new TypeError(`${kind}: expected an object of members`);
  const names = Object.keys(members);
  const given = {};
  const bits = names.map((member) => {
    const type = members[member];
    given[member] = Array.isArray(type) ? type[0] : type;
    return Array.isArray(type) ? type[1] : undefined;
  });
  const { packed = false, align } = options ?? {};
  const types = names.map((member) => typeOf(given[member]));
  const handle = native.aggregate(kind, name, names, types, bits, packed, align);
  return classOf({ type: handle, members: given });
}

function struct(name, members, options) {
  return aggregate("struct", name, members, options);
}

function union(name, members, options) {
  return aggregate("union", name, members, options);
}

// Memory for one value, to be passed where C writes it.
class Out {
  constructor(type, initial) {
    const handle = typeOf(type);
    const { size, members } = native.describe(handle);
    if (size === undefined) throw new TypeError("out: void has no values");
    const hidden = (name, value) => Object.defineProperty(this, name, { value });
    hidden("type", handle);
    hidden("buffer", new ArrayBuffer(size));
    hidden("byteOffset", 0);
    hidden("byteLength", size);
    hidden("instance", members === undefined ? undefined : new (classOf(type))(this.buffer));
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
  return new Out(type, initial);
}
