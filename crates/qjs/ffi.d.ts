/**
 * Declarations of the module `ffi.so`, for editors and the TypeScript compiler.
 *
 * Keep a copy as `ffi.d.so.ts` beside `ffi.so`, and set `"allowArbitraryExtensions": true`: that is how TypeScript gets
 * the declarations of `import { dlopen } from "./ffi.so"`. For scripts of `jitcall js`, which import from `"ffi"`, name
 * this file in `"paths"`: `{ "ffi": ["./ffi.d.ts"] }`. The library has to include ES2020.
 *
 * `docs/quickjs.md` is the reference.
 */

// Types of C, and what their values are in JavaScript.

/** The kind of values that each name of a type, and each number of `FFIType`, stands for. */
interface KindOf {
  void: "void"; 13: "void";
  bool: "bool"; _Bool: "bool"; 11: "bool";

  char: "char"; 0: "char";
  i8: "i8"; int8_t: "i8"; sint8: "i8"; schar: "i8"; "signed char": "i8"; 1: "i8";
  u8: "u8"; uint8_t: "u8"; uint8: "u8"; uchar: "u8"; "unsigned char": "u8"; 2: "u8";
  i16: "i16"; int16_t: "i16"; sint16: "i16"; sshort: "i16"; short: "i16"; 3: "i16";
  u16: "u16"; uint16_t: "u16"; uint16: "u16"; ushort: "u16"; "unsigned short": "u16"; 4: "u16";
  i32: "i32"; int32_t: "i32"; sint32: "i32"; sint: "i32"; c_int: "i32"; int: "i32"; 5: "i32";
  u32: "u32"; uint32_t: "u32"; uint32: "u32"; uint: "u32"; c_uint: "u32"; unsigned: "u32"; "unsigned int": "u32";
  6: "u32";

  i64: "i64"; int64_t: "i64"; isize: "i64"; 7: "i64";
  u64: "u64"; uint64_t: "u64"; usize: "u64"; 8: "u64";
  i64_fast: "long"; sint64: "long"; slong: "long"; long: "long"; "long long": "long"; ssize_t: "long";
  ptrdiff_t: "long"; intptr_t: "long"; 15: "long";
  u64_fast: "ulong"; uint64: "ulong"; ulong: "ulong"; "unsigned long": "ulong"; "unsigned long long": "ulong";
  size_t: "ulong"; uintptr_t: "ulong"; 16: "ulong";
  __int128: "long"; "unsigned __int128": "ulong";

  f64: "f64"; double: "f64"; 9: "f64";
  f32: "f32"; float: "f32"; 10: "f32";
  longdouble: "longdouble"; "long double": "longdouble";
  "float _Complex": "complex"; "double _Complex": "complex"; "long double _Complex": "complex";

  ptr: "pointer"; pointer: "pointer"; "void *": "pointer"; "void*": "pointer"; "char *": "pointer"; "char*": "pointer";
  string: "pointer"; function: "pointer"; callback: "pointer"; fn: "pointer"; 12: "pointer"; 17: "pointer";
  cstring: "cstring"; "const char *": "cstring"; "const char*": "cstring"; 14: "cstring";
  buffer: "buffer"; 20: "buffer";
}

/** What a value of each kind may be on its way to C, what comes back, and what a member of a struct reads as. */
interface Values {
  void: { takes: void; gives: undefined; member: undefined; elements: never };
  bool: { takes: boolean | 0 | 1; gives: boolean; member: boolean; elements: boolean[] };
  char: { takes: Integer; gives: number; member: number; elements: Int8Array | Uint8Array };
  i8: { takes: Integer; gives: number; member: number; elements: Int8Array };
  u8: { takes: Integer; gives: number; member: number; elements: Uint8Array };
  i16: { takes: Integer; gives: number; member: number; elements: Int16Array };
  u16: { takes: Integer; gives: number; member: number; elements: Uint16Array };
  i32: { takes: Integer; gives: number; member: number; elements: Int32Array };
  u32: { takes: Integer; gives: number; member: number; elements: Uint32Array };
  i64: { takes: Integer; gives: bigint; member: bigint; elements: BigInt64Array };
  u64: { takes: Integer; gives: bigint; member: bigint; elements: BigUint64Array };
  long: { takes: Integer; gives: number | bigint; member: number | bigint; elements: BigInt64Array };
  ulong: { takes: Integer; gives: number | bigint; member: number | bigint; elements: BigUint64Array };
  f64: { takes: Float; gives: number; member: number; elements: Float64Array };
  f32: { takes: Float; gives: number; member: number; elements: Float32Array };
  longdouble: { takes: Float; gives: number; member: number; elements: number[] };
  complex: { takes: readonly [Float, Float]; gives: [number, number]; member: [number, number]; elements: unknown[] };
  pointer: { takes: PointerLike; gives: Pointer | null; member: Pointer | null; elements: (Pointer | null)[] };
  cstring: { takes: PointerLike; gives: CString | null; member: CString | null; elements: (CString | null)[] };
  buffer: { takes: Memory; gives: Pointer | null; member: Pointer | null; elements: (Pointer | null)[] };
}

/** A whole number in the range of the type. `true` is 1, `false` 0. */
type Integer = number | bigint | boolean;

/** A number, or a BigInt that a double holds exactly. */
type Float = number | bigint | boolean;

/** An address. One beyond 2 ** 53, as tagged pointers are, is a BigInt all the same. */
export type Pointer = number;

/** Memory of JavaScript's. Instances of structs and what `out()` gives are such views too. */
export type Memory = ArrayBufferLike | ArrayBufferView;

/** What an address can be taken from: an address, memory, what has a `ptr`; `null` for none. */
export type Address = number | bigint | Memory | { readonly ptr: number | bigint | null } | null;

/** What is passed where C wants a pointer. C gets a copy of a string, for the time of the call. */
export type PointerLike = Address | string;

/** A name of a type: those of qjs-ffi, of Bun, or C's. */
export type TypeName = Extract<keyof KindOf, string>;

/** A number of a type, as `FFIType` has it. */
export type TypeNumber = Extract<keyof KindOf, number>;

declare const values: unique symbol;

/** A type as an object: what `array()` and `pointer()` give, and the classes of structs and unions. */
export interface CType<Takes = any, Gives = any, Member = Gives> {
  readonly type: object;
  readonly [values]?: { takes: Takes; gives: Gives; member: Member };
}

/** A C type: a name, a number, any C type in C's words, or an object that stands for one. */
export type Type = TypeName | TypeNumber | CType | (string & {});

/** What a value of a type may be on its way to C. */
export type Takes<T> =
  T extends CType<infer V, any, any> ? V
  : T extends keyof KindOf ? Values[KindOf[T]]["takes"]
  : any;

/** What a value of C's becomes. */
export type Gives<T> =
  T extends CType<any, infer V, any> ? V
  : T extends keyof KindOf ? Values[KindOf[T]]["gives"]
  : any;

/** What a value of a type may be where C keeps it: strings are refused, for they are copied for calls only. */
export type Keeps<T> = T extends CType ? Takes<T> : Exclude<Takes<T>, string>;

type Member<T> =
  T extends CType<any, any, infer V> ? V
  : T extends keyof KindOf ? Values[KindOf[T]]["member"]
  : any;

type Elements<T> = T extends keyof KindOf ? Values[KindOf[T]]["elements"] : Member<T>[];

type Text<T> = T extends keyof KindOf ? (KindOf[T] extends "char" | "i8" | "u8" ? string : never) : never;

/** Bun's numbers of types, under its names. */
export const FFIType: {
  readonly char: 0;
  readonly int8_t: 1; readonly i8: 1;
  readonly uint8_t: 2; readonly u8: 2;
  readonly int16_t: 3; readonly i16: 3;
  readonly uint16_t: 4; readonly u16: 4;
  readonly int32_t: 5; readonly i32: 5; readonly int: 5; readonly c_int: 5;
  readonly uint32_t: 6; readonly u32: 6; readonly c_uint: 6;
  readonly int64_t: 7; readonly i64: 7; readonly isize: 7;
  readonly uint64_t: 8; readonly u64: 8; readonly usize: 8;
  readonly double: 9; readonly f64: 9;
  readonly float: 10; readonly f32: 10;
  readonly bool: 11;
  readonly ptr: 12; readonly pointer: 12; readonly "void*": 12; readonly "char*": 12;
  readonly void: 13;
  readonly cstring: 14;
  readonly i64_fast: 15;
  readonly u64_fast: 16;
  readonly function: 17; readonly callback: 17; readonly fn: 17;
  readonly buffer: 20;
};

/** A pointer to a type. */
export function pointer(pointee: Type): CType<PointerLike, Pointer | null>;

/** An array of a type: as a member a view of its elements, elsewhere a plain array. One of bytes takes text. */
export function array<const T extends Type>(
  element: T,
  length: number,
): CType<readonly Keeps<T>[] | Memory | Text<T>, Gives<T>[], Elements<T>>;

/** The size of a type in bytes; 0 for `void`. */
export function sizeof(type: Type): number;

/** The alignment of a type in bytes. */
export function alignof(type: Type): number;

/** The offset of a member in bytes. */
export function offsetof(type: Type, member: string): number;

// Functions.

/** What is said of a function. */
export interface Declaration {
  /** The types of its parameters; none if not said. `"..."` at the end says that it is variadic. */
  readonly args?: readonly (Type | "...")[];
  /** The type of its result; `"void"` if not said. */
  readonly returns?: Type;
  /** Where it is, if not at the symbol of its name. */
  readonly ptr?: Address;
  /** Its symbol, if that is not the name that it is given. */
  readonly name?: string;
  /** Whether arguments follow whose types the calls say. */
  readonly variadic?: boolean;
  /** Whether calls run on other threads and give promises. */
  readonly async?: boolean;
  /** The same. */
  readonly nonblocking?: boolean;
}

/** A value with a type of its own, for a variadic function. */
export interface Typed {
  readonly type: object;
  readonly value: unknown;
}

/** What may follow the fixed arguments of a variadic function. */
export type VariadicArgument = number | bigint | boolean | PointerLike | Typed;

type Arguments<A> =
  A extends readonly [...infer Fixed, "..."] ? [...Arguments<Fixed>, ...VariadicArgument[]]
  : A extends readonly unknown[] ? { -readonly [I in keyof A]: Takes<A[I]> }
  : [];

type Parameters<D extends Declaration> =
  D extends { readonly variadic: true } ? [...Arguments<D["args"]>, ...VariadicArgument[]] : Arguments<D["args"]>;

type Result<D extends Declaration> =
  Extract<D["async"] | D["nonblocking"], true> extends never ? Returned<D["returns"]> : Promise<Returned<D["returns"]>>;

type Returned<R> = R extends Type ? Gives<R> : undefined;

/** What bound functions have beside their call. */
export interface Bound {
  readonly name: string;
  readonly length: number;
  /** The address of the C function. */
  readonly ptr: Pointer;
}

/** A function that a declaration has bound. */
export type BoundFunction<D extends Declaration> = ((...args: Parameters<D>) => Result<D>) & Bound;

/** A function that C's own declaration has bound, whose types TypeScript does not know. */
export type AnyFunction = ((...args: any[]) => any) & Bound;

/** A table of functions: declarations by name, or prototypes in C's words. */
export type Table = { readonly [name: string]: Declaration | string };

/** The functions of a table. */
export type Symbols<T extends Table> = {
  readonly [N in keyof T]: T[N] extends Declaration ? BoundFunction<T[N]> : AnyFunction;
};

/** How the functions of C's own declarations are to be bound. */
export type Options = Pick<Declaration, "ptr" | "name" | "async" | "nonblocking">;

/** A library that is open. */
export interface Library<S = { readonly [name: string]: AnyFunction }> {
  /** The functions that were bound when it was opened. */
  readonly symbols: S;
  /** Binds the function of a C declaration. */
  func<F = AnyFunction>(declaration: string, options?: Options): F;
  /** The variable of a C declaration. */
  variable(declaration: string): Variable<any>;
  /** The variable of a name and type. */
  variable<const T extends Type>(name: string, type: T): Variable<T>;
  /** The address of a symbol. */
  symbol(name: string): Pointer;
  /** Binds functions into `symbols`. */
  link<const T extends Table>(table: T): Library<S & Symbols<T>>;
  /** Ends it: calls of its functions are errors from now on. */
  close(): void;
  [Symbol.toPrimitive](): string;
}

/** A variable of a library: its value is C's, each time it is read or written. */
export interface Variable<T> {
  get value(): Gives<T>;
  set value(value: Keeps<T>);
  readonly ptr: Pointer;
  readonly type: object;
}

/** Opens a library by qjs-ffi's interface: a handle, or `null`, of which `dlerror()` tells. */
export function dlopen(path: string | null, flags: number): number | null;
/** Opens a library and binds what one or several C declarations declare. */
export function dlopen(path: string | URLLike | null, declarations: string): Library;
/** Opens a library and binds a table of functions; `null` is the process itself. */
export function dlopen<const T extends Table = {}>(path: string | URLLike | null, table?: T): Library<Symbols<T>>;

/** What hosts that have the class `URL` give for files. */
export interface URLLike {
  readonly protocol: string;
  readonly pathname: string;
}

/** A table of functions with addresses of their own, or of the process. */
export function linkSymbols<const T extends Table>(table: T): Library<Symbols<T>>;

/** A function whose address is known; `new` makes no difference. */
export const CFunction: {
  <const D extends Declaration & { readonly ptr: Address }>(declaration: D): BoundFunction<D>;
  new <const D extends Declaration & { readonly ptr: Address }>(declaration: D): BoundFunction<D>;
};

/** The C declaration of a bound function, and the machine code of its stub. */
export function viewSource(bound: Bound): string;
/** The same of all functions of a library or a table. */
export function viewSource(library: Library<any> | { readonly [name: string]: Bound }): string[];

/** Gives a value a type, as an argument of a variadic function. */
export function typed<const T extends Type>(type: T, value: Takes<T>): Typed;

/** Memory for one value, to be passed where C writes it. */
export interface Out<T = any> {
  get value(): Gives<T>;
  set value(value: Keeps<T>);
  readonly type: object;
  readonly buffer: ArrayBuffer;
  readonly byteOffset: number;
  readonly byteLength: number;
}

/** Memory for one value of a type: zero, if no value is given. */
export function out<const T extends Type>(type: T, initial?: Keeps<T>): Out<T>;

// Callbacks.

/** What is said of a callback. */
export interface CallbackDeclaration {
  readonly args?: readonly Type[];
  readonly returns?: Type;
  /** Whether other threads may call it: the event loop runs it then, and goes on until it is closed. */
  readonly threadsafe?: boolean;
}

type Given<A> = A extends readonly unknown[] ? { -readonly [I in keyof A]: Gives<A[I]> } : [];

/** A C function pointer that runs a JavaScript function, until it is closed or collected. */
export interface JSCallback {
  /** The function pointer; `null` once it is closed. */
  readonly ptr: Pointer | null;
  readonly threadsafe: boolean;
  /** Frees the function pointer. */
  close(): void;
  [Symbol.toPrimitive](): Pointer | null;
}

export const JSCallback: {
  new <const D extends CallbackDeclaration = {}>(
    callback: (...args: Given<D["args"]>) => D["returns"] extends Type ? Keeps<D["returns"]> : unknown,
    declaration?: D,
  ): JSCallback;
  readonly prototype: JSCallback;
};

// Memory.

/** The address of memory. */
export function ptr(memory: Address, byteOffset?: number): Pointer;

/** An address as people read it: `0x7f30c4a01000`. */
export function toPointer(memory: Address, byteOffset?: number): string;

/** A copy of a C string: up to its zero byte, or that many bytes. */
export function toString(pointer: Address, byteLength?: number): string;

/** The memory of a C string, without the zero byte that ends it. */
export function toArrayBuffer(pointer: Address): ArrayBuffer;
/** A copy of memory; with `false` as third argument the memory itself. */
export function toArrayBuffer(pointer: Address, byteLength: number, isCopy?: boolean): ArrayBuffer;
/** Memory itself. Once the buffer is collected, `void deallocator(void *memory, void *context)` is called. */
export function toArrayBuffer(
  pointer: Address,
  byteOffset: number | undefined,
  byteLength: number | undefined,
  context?: Address,
  deallocator?: Address,
): ArrayBuffer;

/** Memory itself, as a `Buffer` where the host has that class. */
export function toBuffer(
  pointer: Address,
  byteOffset?: number,
  byteLength?: number,
  context?: Address,
  deallocator?: Address,
): Uint8Array;

/** A copy of a C string that remembers where it came from. */
export class CString extends String {
  constructor(pointer: Address, byteOffset?: number, byteLength?: number);
  /** Where it came from; `null` for no string. */
  readonly ptr: Pointer | null;
  readonly byteOffset: number;
  /** The length that was asked for. */
  readonly byteLength: number | undefined;
  /** The bytes themselves, without the zero byte that ends them. */
  get arrayBuffer(): ArrayBuffer;
}

type Reader<V> = (pointer: Address, byteOffset?: number) => V;
type Writer<V> = (pointer: Address, value: V, byteOffset?: number) => void;

/** Reads single values in memory. */
export const read: {
  readonly u8: Reader<number>;
  readonly i8: Reader<number>;
  readonly u16: Reader<number>;
  readonly i16: Reader<number>;
  readonly u32: Reader<number>;
  readonly i32: Reader<number>;
  readonly u64: Reader<bigint>;
  readonly i64: Reader<bigint>;
  readonly f32: Reader<number>;
  readonly f64: Reader<number>;
  readonly ptr: Reader<number | bigint>;
  readonly intptr: Reader<number | bigint>;
  readonly cstring: Reader<CString | null>;
};

/** Writes single values in memory. */
export const write: {
  readonly u8: Writer<Integer>;
  readonly i8: Writer<Integer>;
  readonly u16: Writer<Integer>;
  readonly i16: Writer<Integer>;
  readonly u32: Writer<Integer>;
  readonly i32: Writer<Integer>;
  readonly u64: Writer<Integer>;
  readonly i64: Writer<Integer>;
  readonly f32: Writer<Float>;
  readonly f64: Writer<Float>;
  readonly ptr: Writer<Integer>;
  readonly intptr: Writer<Integer>;
};

// Structs and unions.

/**
 * The members of a struct: their types by name, in order. A bit-field is `[type, bits]`.
 *
 * Members read as what TypeScript takes them for; `assign` takes all that a member takes.
 */
export type Members = { readonly [name: string]: Type | readonly [Type, number] };

type MemberType<M> = M extends readonly [infer T, number] ? T : M;

type Instance<M extends Members> = { -readonly [N in keyof M]: Member<MemberType<M[N]>> };

type Initial<M extends Members> = { readonly [N in keyof M]?: Keeps<MemberType<M[N]>> };

/** What instances of structs and unions have beside their members. */
export interface Aggregate<Initial = any> {
  readonly buffer: ArrayBufferLike;
  readonly byteOffset: number;
  readonly byteLength: number;
  /** The members as an object of their own. */
  toJSON(): any;
  /** Writes the members that an object has. */
  assign(values: Initial): this;
}

/** The class of a struct's or union's instances, which is its type as well. */
export interface AggregateClass<Members, Initial>
  extends CType<Initial | Memory | readonly unknown[], Members & Aggregate<Initial>> {
  /** An instance over new memory, which an object fills. */
  new (values?: Initial | null): Members & Aggregate<Initial>;
  /** An instance over memory that is there. */
  new (memory: Memory, byteOffset?: number): Members & Aggregate<Initial>;
  (values?: Initial | null): Members & Aggregate<Initial>;
  (memory: Memory, byteOffset?: number): Members & Aggregate<Initial>;
  /** An instance over memory of C's. */
  at(pointer: Address): Members & Aggregate<Initial>;
  /** Its name in C. */
  readonly title: string;
  /** Its size in bytes. */
  readonly size: number;
  /** The names of its members. */
  readonly members: readonly string[];
}

/** How a struct lies in memory, where that is not as usual. */
export interface Layout {
  /** Without padding. */
  readonly packed?: boolean;
  /** An alignment in bytes, if it is to be larger. */
  readonly align?: number;
}

/** A struct of C's own declaration. */
export function struct(declaration: string): AggregateClass<any, any>;
/** A struct of these members. */
export function struct<const M extends Members>(members: M, layout?: Layout): AggregateClass<Instance<M>, Initial<M>>;
/** The same with a tag. */
export function struct<const M extends Members>(
  tag: string,
  members: M,
  layout?: Layout,
): AggregateClass<Instance<M>, Initial<M>>;

/** A union of C's own declaration. */
export function union(declaration: string): AggregateClass<any, any>;
/** A union of these members. */
export function union<const M extends Members>(members: M, layout?: Layout): AggregateClass<Instance<M>, Initial<M>>;
/** The same with a tag. */
export function union<const M extends Members>(
  tag: string,
  members: M,
  layout?: Layout,
): AggregateClass<Instance<M>, Initial<M>>;

// errno.

/** The `errno` that calls leave and find; with a number, sets it and gives the one before. */
export function errno(value?: number): number;

/** The text of an `errno`. */
export function strerror(errno: number): string;

// qjs-ffi's functions by name.

/** Names a convention that is C's own on this machine. */
export type ABI = "default" | "sysv" | "unix64" | "stdcall" | "thiscall" | "fastcall" | "ms_cdecl";

/** Defines a function for `call`: `true`, or `false` for a type that there is not. */
export function define(
  name: string,
  pointer: Address,
  abi: ABI | null | undefined,
  result: TypeName | (string & {}) | null,
  ...parameters: (TypeName | (string & {}))[]
): boolean;

/** Calls a function by its name. Results that are nothing are 0. */
export function call(name: string, ...args: any[]): any;

/** The address of the context, for functions of QuickJS's own C interface. */
export function JSContext(): Pointer;

/** Does nothing but call the C function `js_debug`, for debuggers to stop at. */
export function debug(): null;

/** The address of a symbol, or `null`, of which `dlerror()` tells. */
export function dlsym(handle: number, name: string): number | null;

/** Closes a handle: 0 where that went well. */
export function dlclose(handle: number): number;

/** What went wrong in the last of these, once; `null` where nothing did. */
export function dlerror(): string | null;

export const RTLD_LAZY: number;
export const RTLD_NOW: number;
export const RTLD_GLOBAL: number;
export const RTLD_LOCAL: number;
export const RTLD_NODELETE: number;
export const RTLD_NOLOAD: number;
export const RTLD_DEEPBIND: number;
export const RTLD_DEFAULT: number;
export const RTLD_NEXT: number;

/** The size of a pointer in bytes. */
export const pointerSize: 8;

/** How the names of shared libraries end. */
export const suffix: "so";

/** `define`, by the name of qjs-ffi's first generation. */
export const ffidefine: typeof define;
/** `call`, by that name. */
export const fficall: typeof call;
/** `toString`, by that name. */
export const ffitostring: typeof toString;
/** A copy of memory. */
export function ffitoarraybuffer(pointer: Address, byteLength: number): ArrayBuffer;
