// Types: names and numbers, pointers, arrays, sizes.

// Bun's numbers, under its names and their aliases.
const FFIType = Object.freeze({
  char: 0,
  int8_t: 1, i8: 1,
  uint8_t: 2, u8: 2,
  int16_t: 3, i16: 3,
  uint16_t: 4, u16: 4,
  int32_t: 5, i32: 5, int: 5, c_int: 5,
  uint32_t: 6, u32: 6, c_uint: 6,
  int64_t: 7, i64: 7, isize: 7,
  uint64_t: 8, u64: 8, usize: 8,
  double: 9, f64: 9,
  float: 10, f32: 10,
  bool: 11,
  ptr: 12, pointer: 12, "void*": 12, "char*": 12,
  void: 13,
  cstring: 14,
  i64_fast: 15,
  u64_fast: 16,
  function: 17, callback: 17, fn: 17,
  buffer: 20,
});

// The native handle of a type: a name, a number, a class that struct() made, or what array() and pointer() give.
function typeOf(type) {
  if (type !== null && (typeof type === "function" || typeof type === "object") && type.type !== undefined) {
    return type.type;
  }
  return native.type(type);
}

function array(element, length) {
  return { type: native.arrayOf(typeOf(element), length), element };
}

function pointer(pointee) {
  return { type: native.pointerTo(typeOf(pointee)) };
}

function sizeof(type) {
  return native.describe(typeOf(type)).size ?? 0;
}

function alignof(type) {
  return native.describe(typeOf(type)).align ?? 1;
}

function offsetof(type, name) {
  const { members, name: title } = native.describe(typeOf(type));
  const member = (members ?? []).find((member) => member.name === name);
  if (member === undefined) throw new TypeError(`${title} has no member ${name}`);
  if (member.bits !== undefined) throw new TypeError(`${title}: ${name} is a bit-field and has no offset`);
  return member.offset;
}

// A value with a type of its own, for arguments that a declaration has none for.
function typed(type, value) {
  return { typed: typeOf(type), value };
}
