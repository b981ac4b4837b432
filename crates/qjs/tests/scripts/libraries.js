// Real libraries: SQLite, zlib, the C library.

import { CString, JSCallback, array, dlopen, out, pointer, ptr, read, struct, toArrayBuffer } from "./ffi.so";
import { assert, deepEqual, equal, finish, test, throws } from "./lib/assert.js";
import { setting } from "./lib/c.js";

const libc = dlopen(null);

/** Opens a library that the tests need. Only under emulation, whose system has few, it may be missing. */
function needed(path, use) {
    let library;
    try {
        library = dlopen(path);
    } catch (error) {
        if (setting("JITCALL_MAY_LACK_LIBRARIES", 0) === 0) {
            throw error;
        }
        console.log(`left out: ${error.message}`);
        return;
    }
    use(library);
}

test("SQLite", () => needed("libsqlite3.so.0", (sqlite) => {
    const [OK, ROW, DONE] = [0, 100, 101];
    const { symbols } = sqlite.link({
        sqlite3_open: { args: ["cstring", "ptr"], returns: "int" },
        sqlite3_close: { args: ["ptr"], returns: "int" },
        sqlite3_exec: { args: ["ptr", "cstring", "function", "ptr", "ptr"], returns: "int" },
        sqlite3_errmsg: { args: ["ptr"], returns: "cstring" },
        sqlite3_prepare_v2: { args: ["ptr", "cstring", "int", "ptr", "ptr"], returns: "int" },
        sqlite3_bind_int64: { args: ["ptr", "int", "i64"], returns: "int" },
        sqlite3_step: { args: ["ptr"], returns: "int" },
        sqlite3_column_int: { args: ["ptr", "int"], returns: "int" },
        sqlite3_column_double: { args: ["ptr", "int"], returns: "double" },
        sqlite3_column_text: { args: ["ptr", "int"], returns: "cstring" },
        sqlite3_column_blob: { args: ["ptr", "int"], returns: "ptr" },
        sqlite3_column_bytes: { args: ["ptr", "int"], returns: "int" },
        sqlite3_finalize: { args: ["ptr"], returns: "int" },
    });

    const handle = out("ptr");
    equal(symbols.sqlite3_open(":memory:", handle), OK);
    const database = handle.value;
    const execute = (sql, callback = null) => symbols.sqlite3_exec(database, sql, callback, null, null);

    equal(execute("create table t (n integer, x real, s text, b blob)"), OK);
    equal(execute("insert into t values (1, 0.5, 'one', x'0102'), (2, 1.5, 'zw\u00f6lf', x'ff00ff')"), OK);
    equal(execute("select nonsense"), 1);
    assert(/nonsense/.test(String(symbols.sqlite3_errmsg(database))));

    equal(symbols.sqlite3_prepare_v2(database, "select * from t where n > ? order by n", -1, handle, null), OK);
    const statement = handle.value;
    equal(symbols.sqlite3_bind_int64(statement, 1, 0), OK);
    for (const [n, x, s, b] of [[1, 0.5, "one", [1, 2]], [2, 1.5, "zw\u00f6lf", [255, 0, 255]]]) {
        equal(symbols.sqlite3_step(statement), ROW);
        equal(symbols.sqlite3_column_int(statement, 0), n);
        equal(symbols.sqlite3_column_double(statement, 1), x);
        equal(String(symbols.sqlite3_column_text(statement, 2)), s);
        const size = symbols.sqlite3_column_bytes(statement, 3);
        deepEqual(new Uint8Array(toArrayBuffer(symbols.sqlite3_column_blob(statement, 3), size)), b);
    }
    equal(symbols.sqlite3_step(statement), DONE);
    equal(symbols.sqlite3_finalize(statement), OK);

    const rows = [];
    const row = new JSCallback((_, count, values) => {
        const columns = Array.from({ length: count }, (_, index) => String(new CString(read.ptr(values, 8 * index))));
        rows.push(columns.join("|"));
        return 0;
    }, { args: ["ptr", "int", "ptr", "ptr"], returns: "int" });
    equal(execute("select n, s from t order by n desc", row), OK);
    deepEqual(rows, ["2|zw\u00f6lf", "1|one"]);
    row.close();

    const failing = new JSCallback(() => {
        throw new RangeError("enough");
    }, { args: ["ptr", "int", "ptr", "ptr"], returns: "int" });
    throws(() => execute("select n from t", failing), RangeError, /^enough$/);
    failing.close();
    equal(symbols.sqlite3_close(database), OK);
}));

test("zlib", () => needed("libz.so.1", (zlib) => {
    const { crc32, compress, uncompress, compressBound } = zlib.func(`
        unsigned long crc32(unsigned long crc, const unsigned char *bytes, unsigned int length);
        int compress(unsigned char *to, unsigned long *size, const unsigned char *from, unsigned long length);
        int uncompress(unsigned char *to, unsigned long *size, const unsigned char *from, unsigned long length);
        unsigned long compressBound(unsigned long length);
    `);
    equal(crc32(0, "123456789", 9), 0xcbf43926);

    const from = new Uint8Array(10000).map((_, index) => index % 7);
    const size = out("unsigned long", compressBound(from.length));
    const packed = new ArrayBuffer(Number(size.value));
    equal(compress(packed, size, from.buffer, from.length), 0);
    const length = Number(size.value);
    assert(length < 200, `${length} bytes`);
    const back = new Uint8Array(from.length);
    size.value = back.length;
    equal(uncompress(back, size, packed, length), 0);
    equal(Number(size.value), from.length);
    assert(back.every((byte, index) => byte === from[index]));
}));

test("qsort with a function of the script", () => {
    const qsort = libc.func(`
        void qsort(void *base, size_t count, size_t size, int (*compare)(const void *, const void *))
    `);
    const numbers = Int32Array.from({ length: 500 }, (_, index) => (index * 7919) % 1009 - 500);
    const sorted = Array.from(numbers).sort((a, b) => a - b);
    qsort(numbers, numbers.length, 4, (a, b) => read.i32(a, 0) - read.i32(b, 0));
    deepEqual(Array.from(numbers), sorted);
    throws(() => qsort(numbers, 2, 4, () => { throw new Error("no order"); }), Error, /^no order$/);
});

test("dates", () => {
    const names = "tm_sec tm_min tm_hour tm_mday tm_mon tm_year tm_wday tm_yday tm_isdst".split(" ");
    const members = Object.fromEntries(names.map((name) => [name, "int"]));
    const Tm = struct("tm", { ...members, tm_gmtoff: "long", tm_zone: "ptr" });
    const { gmtime_r, timegm, strftime } = libc.link({
        gmtime_r: { args: [pointer("long"), pointer(Tm)], returns: "ptr" },
        timegm: { args: [pointer(Tm)], returns: "i64_fast" },
        strftime: { args: ["ptr", "usize", "cstring", pointer(Tm)], returns: "u64_fast" },
    }).symbols;
    const time = out("long", 951782400);
    const date = new Tm();
    assert(gmtime_r(time, date) !== null);
    equal(date.tm_year + 1900, 2000);
    equal(date.tm_mon, 1);
    equal(date.tm_mday, 29);
    const text = new Uint8Array(64);
    const length = strftime(text, text.length, "%Y-%m-%d %H:%M:%S", date);
    equal(String.fromCharCode(...text.subarray(0, length)), "2000-02-29 00:00:00");
    date.tm_mday += 1;
    equal(timegm(date), 951782400 + 86400);
    equal(date.tm_mon, 2);
});

test("div by value", () => {
    const Div = struct("div_t", { quot: "int", rem: "int" });
    const { div } = libc.link({ div: { args: ["int", "int"], returns: Div } }).symbols;
    const result = div(-17, 5);
    equal(result.quot, -3);
    equal(result.rem, -2);
});

test("an array of pointers to text", () => {
    const words = ["alpha", "beta"].map((word) => Uint8Array.from([...word, "\0"], (letter) => letter.charCodeAt(0)));
    const list = new BigUint64Array([...words.map((word) => BigInt(ptr(word))), 0n]);
    const Table = struct({ entries: array("ptr", 3) });
    const table = new Table(list);
    equal(String(new CString(table.entries[1])), "beta");
    equal(Number(table.entries[2] || 0), 0);
});

finish();
