// Memory: strings, buffers, single values.

// A copy of a C string, which remembers where it came from.
class CString extends String {
  constructor(pointer, byteOffset, byteLength) {
    const isNull = pointer === null || pointer === 0 || pointer === 0n;
    super(isNull ? "" : native.stringAt(pointer, byteOffset, byteLength));
    this.ptr = isNull ? null : Number(pointer);
    this.byteOffset = byteOffset ?? 0;
    this.byteLength = byteLength;
  }

  // The bytes themselves, without the zero that ends them.
  get arrayBuffer() {
    return this.ptr === null ? new ArrayBuffer(0) : native.view(this.ptr, this.byteOffset, this.byteLength);
  }
}
native.setCString(CString);

// qjs-ffi's is (pointer, length), a copy, or with `false` as third argument no copy; Bun's is (pointer, offset, length),
// over the memory itself.
function toArrayBuffer(pointer, offset, length, context, deallocator) {
  if (arguments.length === 2) return native.copy(pointer, offset);
  if (length === true) return native.copy(pointer, offset);
  if (length === false) return native.view(pointer, 0, offset);
  return native.view(pointer, offset, length, context, deallocator);
}

// A Buffer where the host has that class, else what it is a kind of.
function toBuffer(pointer, offset, length, context, deallocator) {
  const memory = native.view(pointer, offset, length, context, deallocator);
  return typeof globalThis.Buffer === "function" ? globalThis.Buffer.from(memory) : new Uint8Array(memory);
}

const accessed = {
  u8: "u8", i8: "i8", u16: "u16", i16: "i16", u32: "u32", i32: "i32", u64: "u64", i64: "i64", f32: "f32", f64: "f64",
  ptr: "u64_fast", intptr: "i64_fast",
};

const read = {};
const write = {};
for (const [name, typeName] of Object.entries(accessed)) {
  const type = native.type(typeName);
  read[name] = (pointer, offset) => native.read(type, pointer, offset);
  write[name] = (pointer, value, offset) => native.write(type, pointer, offset, value);
}
const text = native.type("cstring");
read.cstring = (pointer, offset) => native.read(text, pointer, offset);
Object.freeze(read);
Object.freeze(write);
