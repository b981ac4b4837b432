//! `jitcall js` from outside: what scripts print, how they fail, the prompt.
//!
//! A script that ends well has had all its memory freed: QuickJS aborts the program where a value is left.

#[allow(dead_code, reason = "C++ and many files at a time are for other tests")]
#[path = "../../../tests/support/compile.rs"]
mod compile;
mod program;
#[path = "js/terminal.rs"]
mod terminal;

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{Output, Stdio};

use compile::{Compiler, Folder};
use terminal::Terminal;

/// Runs `jitcall js` with arguments and an input, in a folder.
fn run_in(folder: &Path, arguments: &[&str], input: &str) -> Output {
    let mut command = program::jitcall();
    command.arg("js").args(arguments).current_dir(folder).env("LC_ALL", "C").env("JITCALL_SAMPLE", "a sample");
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("the program starts");
    // The program may end without having read it.
    let _ = child.stdin.take().expect("an input").write_all(input.as_bytes());
    child.wait_with_output().expect("the program ends")
}

fn run(arguments: &[&str], input: &str) -> Output {
    run_in(&std::env::temp_dir(), arguments, input)
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// What a run prints that ends well.
fn printed(output: &Output) -> String {
    assert_eq!(text(&output.stderr), "", "printed: {}", text(&output.stdout));
    assert_eq!(output.status.code(), Some(0));
    text(&output.stdout)
}

/// What a run says that fails.
fn failure(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(1), "{}{}", text(&output.stdout), text(&output.stderr));
    text(&output.stderr)
}

fn evaluated(source: &str) -> String {
    printed(&run(&["-e", source], ""))
}

fn assert_prints(cases: &[(&str, &str)]) {
    for (source, expected) in cases {
        assert_eq!(evaluated(source), *expected, "{source}");
    }
}

/// A folder with files.
fn folder(files: &[(&str, &str)]) -> Folder {
    let folder = Folder::new();
    for (name, content) in files {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().expect("a file in a folder")).expect("a folder");
        fs::write(path, content).expect("a file");
    }
    folder
}

#[test]
fn the_console_shows_values() {
    assert_prints(&[
        ("console.log()", "\n"),
        ("console.log('a', \"b\", 1, -0, 5n, true, null, undefined)", "a b 1 -0 5n true null undefined\n"),
        (
            "console.log(['a', [1, , 3]], { b: { 'c-d': \"e\\n\" } })",
            "[ \"a\", [ 1, <empty>, 3 ] ] { b: { \"c-d\": \"e\\n\" } }\n",
        ),
        ("console.log([], {}, [[]])", "[] {} [ [] ]\n"),
        (
            "console.log(Symbol('s'), /x/g, new Date(0), new Date(NaN))",
            "Symbol(s) /x/g 1970-01-01T00:00:00.000Z Invalid Date\n",
        ),
        ("console.log(function f() {}, () => {}, class A {})", "[function f] [function] [class A]\n"),
        ("console.log(new Map([['k', { v: 1 }]]), new Set(['m']))", "Map(1) { \"k\" => { v: 1 } } Set(1) { \"m\" }\n"),
        (
            "console.log(new Uint8Array([1, 2]), new Uint8Array([171, 9]).buffer)",
            "Uint8Array(2) [ 1, 2 ] ArrayBuffer(2) { ab 09 }\n",
        ),
        ("class P { x = 1 }; console.log(new P(), Object.create(null))", "P { x: 1 } [null prototype] {}\n"),
        ("console.log({ get a() { return 1 }, set b(v) {} })", "{ a: [getter], b: [setter] }\n"),
        ("const a = { b: [] }; a.b.push(a); console.log(a)", "{ b: [ [circular] ] }\n"),
        ("const a = {}; console.log([a, a])", "[ {}, {} ]\n"),
        ("console.log(new Number(1), Promise.resolve())", "[Number: 1] Promise {}\n"),
        ("console.log(new Proxy({}, { ownKeys() { throw 1 } }))", "[an object that cannot be looked at]\n"),
        (
            "console.log('%s|%d|%i|%f|%j|%o|%%|%s', 'a', '4', 4.7, 0.5, { b: 1 }, [1])",
            "a|4|4|0.5|{\"b\":1}|[ 1 ]|%|%s\n",
        ),
        ("console.log('%d left', 2, 'over')", "2 left over\n"),
        (
            "console.log({ a: 'x'.repeat(40), b: ['y'.repeat(40)] })",
            concat!(
                "{\n  a: \"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\",\n",
                "  b: [ \"yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy\" ]\n}\n"
            ),
        ),
        ("let a = 1; for (let i = 0; i < 9; i++) a = [a]; console.log(a)", "[ [ [ [ [ [ [ [ [array] ] ] ] ] ] ] ] ]\n"),
        (
            "console.group('g'); console.log('a\\nb'); console.groupEnd(); console.count(); console.count()",
            "g\n  a\n  b\ndefault: 1\ndefault: 2\n",
        ),
        ("print('a', { }, 1)", "a [object Object] 1\n"),
    ]);
    let long = evaluated("console.log(Array.from({ length: 103 }, () => 7))");
    assert!(long.ends_with("  7,\n  ... 3 more\n]\n"), "{long}");
}

#[test]
fn what_goes_to_standard_error() {
    let output = run(&["-e", "console.log(1); console.error('e', [2]); console.warn('w'); console.assert(0, 'a')"], "");
    assert_eq!(text(&output.stdout), "1\n");
    assert_eq!(text(&output.stderr), "e [ 2 ]\nw\nassertion failed a\n");
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn jobs_timers_and_descriptors_take_turns() {
    assert_prints(&[
        (
            "setTimeout(() => print(4), 200); setTimeout(() => { print(3); Promise.resolve().then(() => print('job')) });
             queueMicrotask(() => print(2)); print(1)",
            "1\n2\n3\njob\n4\n",
        ),
        ("setTimeout((...all) => print(all), 1, 'a', 'b')", "a,b\n"),
        ("const id = setTimeout(() => print('never'), 60_000); setTimeout(() => clearTimeout(id), 1)", ""),
        ("let n = 0; const id = setInterval(() => { print(++n); if (n === 3) clearInterval(id) }, 1)", "1\n2\n3\n"),
        ("clearTimeout(undefined); clearTimeout(null); clearInterval(99); print(typeof setTimeout(() => {}))", "number\n"),
        // Two timers that are due at once: the first takes the second back.
        ("let b; setTimeout(() => clearTimeout(b), 1); b = setTimeout(() => print('never'), 1); os.sleep(5)", ""),
        ("const from = performance.now(); await os.sleepAsync(20); print(performance.now() - from >= 20)", "true\n"),
        (
            "const [r, w] = os.pipe(); const memory = new ArrayBuffer(4);
             os.setReadHandler(r, () => {
                 const count = os.read(r, memory, 0, 4);
                 print('read', count);
                 if (count === 0) { os.setReadHandler(r, null); os.close(r) }
             });
             os.setWriteHandler(w, () => { os.setWriteHandler(w, null); print(os.write(w, memory, 0, 3)); os.close(w) })",
            "3\nread 3\nread 0\n",
        ),
        // A timer that takes longer than its interval leaves descriptors their turn.
        (
            "const [r, w] = os.pipe(); const id = setInterval(() => os.sleep(3), 1); os.write(w, new ArrayBuffer(1), 0, 1);
             os.setReadHandler(r, () => { print('read'); os.setReadHandler(r, null); clearInterval(id) })",
            "read\n",
        ),
        ("os.setTimeout(() => print('os'), 1); os.setReadHandler(0, () => {}); os.setReadHandler(0, null)", "os\n"),
    ]);
    assert!(failure(&run(&["-e", "setTimeout('text')"], "")).starts_with("error: TypeError: not a function\n"));
    assert!(failure(&run(&["-e", "os.setReadHandler(0, 1)"], "")).starts_with("error: TypeError: not a function\n"));
}

#[test]
fn signals_run_functions() {
    assert_prints(&[
        // One that has come is handled before the end, though nothing is left to wait for.
        (
            "os.signal(os.SIGUSR1, () => print('first')); os.signal(os.SIGUSR1, () => print('handled'));
             os.kill(os.getpid(), os.SIGUSR1); print('later')",
            "later\nhandled\n",
        ),
        // A timer that is not due is interrupted, and goes on.
        (
            "os.signal(os.SIGALRM, () => { print('alarm'); clearTimeout(id) });
             const id = setTimeout(() => print('never'), 60_000); ffi.dlopen(null).func('unsigned alarm(unsigned)')(1)",
            "alarm\n",
        ),
        ("os.signal(os.SIGTERM, undefined); os.kill(os.getpid(), os.SIGTERM); print('ignored')", "ignored\n"),
        // Functions that wait for a signal do not keep the program.
        ("os.signal(os.SIGINT, () => {}); os.signal(os.SIGINT, () => print('never'))", ""),
    ]);
    let output =
        run(&["-e", "os.signal(os.SIGTERM, print); os.signal(os.SIGTERM, null); os.kill(os.getpid(), os.SIGTERM)"], "");
    assert_eq!(output.status.signal(), Some(libc::SIGTERM));
    for (source, expected) in [
        ("os.signal(os.SIGSEGV, print)", "error: RangeError: signal 11 cannot be set: "),
        ("os.signal(9, print)", "error: RangeError: signal 9 cannot be set: "),
        ("os.signal(0, null)", "error: RangeError: signal 0 cannot be set: "),
        ("os.signal(os.SIGINT, 1)", "error: TypeError: not a function\n"),
    ] {
        let failure = failure(&run(&["-e", source], ""));
        assert!(failure.starts_with(expected), "{source}: {failure}");
    }
}

#[test]
fn what_is_printed_is_to_be_had_while_a_script_waits() {
    let mut child = program::jitcall()
        .args([
            "js",
            "-e",
            "print('ready'); os.signal(os.SIGTERM, () => clearInterval(id)); const id = setInterval(() => {}, 60_000)",
        ])
        .stdout(Stdio::piped())
        .spawn()
        .expect("the program starts");
    let mut line = String::new();
    BufReader::new(child.stdout.as_mut().expect("an output")).read_line(&mut line).expect("a line");
    assert_eq!(line, "ready\n");
    // SAFETY: the child has not been waited for.
    unsafe { libc::kill(child.id() as libc::pid_t, libc::SIGTERM) };
    assert!(child.wait().expect("it ends").success());
}

#[test]
fn what_nothing_catches_ends_the_program() {
    let cases = [
        (
            "function f() { throw new TypeError('bad') }\nf()",
            "error: TypeError: bad\n    at f (<cmdline>:1:26)\n    at",
        ),
        ("throw 'text'", "error: text\n"),
        ("throw new Error('outer', { cause: new RangeError('inner') })", "caused by: RangeError: inner\n"),
        ("let = 1; await 1", "error: SyntaxError: "),
        ("await 1; throw new Error('later')", "error: Error: later\n    at"),
        (
            "Promise.reject(new Error('r')); setTimeout(() => print('never'), 5)",
            "error: unhandled promise rejection: Error: r\n",
        ),
        ("setTimeout(() => { throw new Error('t') }); setTimeout(() => print('never'), 50)", "error: Error: t\n"),
        ("queueMicrotask(() => { throw new Error('m') })", "error: Error: m\n"),
        ("await new Promise(() => {})", "error: the program awaits a promise that nothing is left to settle\n"),
        (
            "import './no/such.js'",
            "error: ReferenceError: cannot load the module 'no/such.js': No such file or directory",
        ),
        ("import { nothing } from 'std'", "error: SyntaxError: Could not find export 'nothing' in module 'qjs:std'\n"),
        ("throw { toString() { throw 1 } }", "error: a value that has no text was thrown\n"),
        ("(function f() { f() })()", "error: RangeError: "),
    ];
    for (source, expected) in cases {
        let output = run(&["-e", source], "");
        assert!(failure(&output).contains(expected), "{source}: {}", text(&output.stderr));
        assert_eq!(text(&output.stdout), "", "{source}");
    }
    // A rejection that something handles before the next turn is none.
    assert_eq!(evaluated("const p = Promise.reject(1); queueMicrotask(() => p.catch(print))"), "1\n");
    assert_eq!(evaluated("try { await Promise.reject(2) } catch (e) { print(e) }"), "2\n");
    let missing = failure(&run(&["no-such.js"], ""));
    assert_eq!(missing, "error: cannot read no-such.js: No such file or directory (os error 2)\n");
}

#[test]
fn programs_come_from_files_arguments_and_the_input() {
    let folder = folder(&[("script.js", "print(scriptArgs.join('|'))"), ("m.mjs", "print(this)")]);
    assert_eq!(printed(&run_in(folder.path(), &["script.js", "-a", "--eval", "b"], "")), "script.js|-a|--eval|b\n");
    assert_eq!(printed(&run_in(folder.path(), &["m.mjs"], "")), "undefined\n");
    assert_eq!(printed(&run(&["-e", "print(scriptArgs.join('|'))", "one", "two"], "")), "one|two\n");
    assert_eq!(printed(&run(&[], "print(scriptArgs.length)")), "0\n");
    // What only a script can be is one.
    assert_eq!(printed(&run(&[], "with ({ a: 1 }) print(a, this === globalThis)")), "1 true\n");
    assert_eq!(printed(&run(&[], "import * as std from 'std'; std.puts(import.meta.url)")), "<stdin>");
    assert_eq!(run(&["--no-such-option"], "").status.code(), Some(2));
    let exit = run(&["-e", "std.puts('kept'); setTimeout(() => print('never')); std.exit(7)"], "");
    assert_eq!((exit.status.code(), text(&exit.stdout)), (Some(7), "kept".to_owned()));
}

#[test]
fn modules_are_found_from_where_they_are_imported() {
    let folder = folder(&[
        (
            "main.js",
            "import { name } from './lib/a.js'; import data from './data.json'; import * as b from './lib/b.js';
             import raw from './data.json' with { type: 'text' }; import bytes from './data.json' with { type: 'bytes' };
             console.log(name, data, raw, bytes, b.default, import.meta.main);
             print(import.meta.url.startsWith('file:///') && import.meta.url.endsWith('/main.js'));
             print((await import('./lib/b.js')) === b)",
        ),
        ("lib/a.js", "import b from '../lib/./b.js'; export const name = 'a with ' + b"),
        ("lib/b.js", "export default `b ${import.meta.main}`"),
        ("data.json", "[1]"),
        ("attribute.js", "import './lib/b.js' with { integrity: 'x' }"),
        ("type.js", "import './lib/b.js' with { type: 'css' }"),
        ("names.js", "import * as a from 'std'; import * as b from 'qjs:std'; import * as c from 'os'; import * as d from 'qjs:os'; print(a === b, c === d)"),
    ]);
    let expected = "a with b false [ 1 ] [1] Uint8Array(3) [ 91, 49, 93 ] b false true\ntrue\ntrue\n";
    assert_eq!(printed(&run_in(folder.path(), &["main.js"], "")), expected);
    let path = folder.path().join("main.js");
    assert_eq!(printed(&run(&[path.to_str().expect("UTF-8")], "")), expected);
    assert_eq!(printed(&run_in(folder.path(), &["names.js"], "")), "true true\n");
    let refused = failure(&run_in(folder.path(), &["attribute.js"], ""));
    assert!(refused.starts_with("error: TypeError: import attribute 'integrity' is not supported\n"), "{refused}");
    let refused = failure(&run_in(folder.path(), &["type.js"], ""));
    assert!(refused.starts_with("error: TypeError: modules cannot be of type 'css'\n"), "{refused}");
}

/// A native module as its authors write it, but for QuickJS's header.
const NATIVE: &str = r#"
#include <stdint.h>
typedef struct { int64_t payload, tag; } JSValue;
typedef struct JSContext JSContext;
typedef struct JSModuleDef JSModuleDef;
JSModuleDef *JS_NewCModule(JSContext *, const char *, int (*)(JSContext *, JSModuleDef *));
int JS_AddModuleExport(JSContext *, JSModuleDef *, const char *);
int JS_SetModuleExport(JSContext *, JSModuleDef *, const char *, JSValue);
JSValue JS_NewStringLen(JSContext *, const char *, uint64_t);
static int init(JSContext *context, JSModuleDef *module) {
    return JS_SetModuleExport(context, module, "greeting", JS_NewStringLen(context, "from C", 6));
}
JSModuleDef *js_init_module(JSContext *context, const char *name) {
    JSModuleDef *module = JS_NewCModule(context, name, init);
    if (module) JS_AddModuleExport(context, module, "greeting");
    return module;
}
"#;

#[test]
fn native_modules_are_loaded_from_shared_libraries() {
    let folder = Folder::new();
    let sources = [NATIVE.to_owned(), "int nothing;".to_owned()];
    let libraries = Compiler::from_env().compile(&folder, &sources);
    for (library, name) in libraries.iter().zip(["native.so", "other.so"]) {
        fs::rename(library, folder.path().join(name)).expect("the library");
    }
    let source =
        "import { greeting } from './native.so'; import * as again from 'native.so'; print(greeting, again.greeting)";
    assert_eq!(printed(&run_in(folder.path(), &["-e", source], "")), "from C from C\n");
    let other = failure(&run_in(folder.path(), &["-e", "import './other.so'"], ""));
    assert!(
        other.starts_with("error: ReferenceError: cannot load the module 'other.so': it has no js_init_module\n"),
        "{other}"
    );
    let missing = failure(&run_in(folder.path(), &["-e", "import './missing.so'"], ""));
    assert!(missing.starts_with("error: ReferenceError: cannot load the module 'missing.so': "), "{missing}");
}

#[test]
fn the_module_ffi_is_built_in() {
    let folder = folder(&[(
        "deep/script.js",
        "import { dlopen } from 'ffi'; import * as there from './ffi.so'; import * as above from '../ffi.so';
         const lib = dlopen('libm.so.6', { pow: { args: ['double', 'double'], returns: 'double' } });
         print(lib.symbols.pow(2, 10), there === above, there.dlopen === dlopen); lib.close()",
    )]);
    assert_eq!(printed(&run_in(folder.path(), &["deep/script.js"], "")), "1024 true true\n");
    assert_eq!(evaluated("print(typeof dlopen, ffi.dlopen === dlopen)"), "function true\n");
}

#[test]
fn std_is_as_in_quickjs() {
    assert_prints(&[
        (
            "std.printf('%5d|%-4s|%.2f|%x|%c|%c|%%|%ld|%+03d\\n', 42, 'ab', 1.005, 255, 'é', 65, 2n ** 40n, 5)",
            "   42|ab  |1.00|ff|é|A|%|1099511627776|+05\n",
        ),
        ("print(std.sprintf('%*d|%.*f|%s', 4, 7, 1, 2.25, [1, 2]), std.sprintf())", "   7|2.2|1,2 \n"),
        (
            "try { std.sprintf('%d') } catch (e) { print(e) }",
            "ReferenceError: missing argument for conversion specifier\n",
        ),
        (
            "try { std.sprintf('%y', 1) } catch (e) { print(e) }",
            "TypeError: invalid conversion specifier in format string\n",
        ),
        (
            "print(std.getenv('JITCALL_SAMPLE'), std.getenv('JITCALL_NONE'), std.getenviron().JITCALL_SAMPLE)",
            "a sample undefined a sample\n",
        ),
        ("std.setenv('A', 'b'); print(std.getenv('A')); std.unsetenv('A'); print(std.getenv('A'))", "b\nundefined\n"),
        ("print(std.strerror(std.Error.ENOENT), std.Error.EINVAL)", "No such file or directory 22\n"),
        (
            "print(std.evalScript('var x = 5; x * 2'), x, typeof std.evalScript('await 1', { async: true }))",
            "10 5 object\n",
        ),
        ("print(std.open('/no/such', 'r'), std.open('/no/such', 'r', globalThis), errno)", "null null 2\n"),
        ("try { std.open('/', 'q') } catch (e) { print(e) }", "TypeError: invalid file mode\n"),
        ("print(std.loadFile('/no/such'))", "null\n"),
        (
            "try { std.loadScript('/no/such') } catch (e) { print(e) }",
            "ReferenceError: cannot load '/no/such': No such file or directory (os error 2)\n",
        ),
        ("try { std.out.close() } catch (e) { print(e) }", "TypeError: cannot close stdio\n"),
        (
            "std.out.puts('a', 1); std.puts('b\\n'); std.out.printf('%d\\n', 3); print(std.out.fileno(), std.err.fileno())",
            "a1b\n3\n1 2\n",
        ),
        ("const p = std.popen('echo command', 'r'); print(p.readAsString().trim(), p.close())", "command 0\n"),
        ("std.gc(); print(std.SEEK_END)", "2\n"),
    ]);
    assert_eq!(
        printed(&run(&[], "import * as std from 'std'; print(std.in.getline())")),
        "null\n",
        "the input was the script"
    );
    let lines = printed(&run(&["-e", "let l; while ((l = std.in.getline()) !== null) print('<' + l + '>')"], "a\n\nb"));
    assert_eq!(lines, "<a>\n<>\n<b>\n");
}

#[test]
fn files_are_read_and_written() {
    let folder = Folder::new();
    let source = "
        const f = std.open('f', 'w+');
        f.puts('line\\n', 'ö'); f.putByte(10); f.write('tail', 1, 2); f.write(new Uint8Array([33]).buffer);
        print(f.tell(), f.tello(), f.seek(0, std.SEEK_SET), f.seek(-1, std.SEEK_SET) === -std.Error.EINVAL);
        print(f.getline(), f.getByte(), f.eof(), f.readAsString(2).length, f.readAsString(), f.eof(), f.getByte(), f.getline());
        f.clearerr(); print(f.eof(), f.error()); f.seek(0, std.SEEK_SET);
        const memory = new ArrayBuffer(6); print(f.read(memory, 2, 3), new Uint8Array(memory));
        f.seek(-3, std.SEEK_END); console.log(f.readAsArrayBuffer()); f.flush(); print(f.close());
        try { f.getline() } catch (e) { print(e) }
        try { std.out.getline.call({}) } catch (e) { print(e instanceof TypeError) }
        std.writeFile('g', 'text'); print(std.loadFile('g')); std.writeFile('g', new Uint8Array([7, 8, 9]).subarray(1));
        console.log(std.loadFile('g', { binary: true }));
        const t = std.tmpfile(); t.puts('x'); t.seek(0, std.SEEK_SET); print(t.readAsString());
        const fd = os.open('h', os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600); const s = std.fdopen(fd, 'w'); s.puts('h'); s.close();
        std.loadScript('g.js')";
    fs::write(folder.path().join("g.js"), "print('loaded', std.loadFile('h'))").expect("a file");
    let expected = "11 11 0 true\n\
        line 195 false 2 ai! true -1 null\n\
        false false\n\
        3 0,0,108,105,110,0\n\
        ArrayBuffer(3) { 61 69 21 }\n\
        0\n\
        TypeError: invalid file handle\n\
        true\n\
        text\n\
        Uint8Array(2) [ 8, 9 ]\n\
        x\n\
        loaded h\n";
    assert_eq!(printed(&run_in(folder.path(), &["-e", source], "")), expected);
}

#[test]
fn os_is_as_in_quickjs() {
    let folder = folder(&[("f", "0123456789")]);
    let source = "
        print(os.open('none', os.O_RDONLY), os.close(99), os.remove('none'), os.rename('none', 'x'), os.chdir('none'));
        const fd = os.open('f', os.O_RDWR); const memory = new ArrayBuffer(4);
        print(os.seek(fd, 2, std.SEEK_SET), typeof os.seek(fd, 2n, std.SEEK_SET), os.read(fd, memory, 1, 3), os.write(fd, memory, 0, 1));
        try { os.read(fd, memory, 2, 3) } catch (e) { print(e) }
        print(new Uint8Array(memory), os.isatty(fd), os.close(fd));
        print(os.mkdir('d'), os.mkdir('d'), os.rename('f', 'd/g'), os.symlink('g', 'd/l'), os.readlink('d/l'));
        const [names, code] = os.readdir('d'); print(names.sort(), code, os.readdir('none'));
        const [stat, error] = os.stat('d/g'); print(stat.size, (stat.mode & os.S_IFMT) === os.S_IFREG, error, stat.mtime > 1e12, os.stat('none'));
        print((os.lstat('d/l')[0].mode & os.S_IFMT) === os.S_IFLNK, os.realpath('d/../d/l')[0] === os.getcwd()[0] + '/d/g', os.realpath('none'));
        print(os.chdir('d'), os.getcwd()[0].endsWith('/d'), os.remove('l'), os.remove('g'), os.chdir('..'), os.remove('d'));
        print(os.platform, os.getpid() > 0, os.sleep(1), os.now() > 0, os.cputime() >= 0, os.kill(os.getpid(), 0), os.waitpid(-1, os.WNOHANG));
        const copy = os.dup(1); print(copy > 2, os.dup2(1, copy) === copy, os.close(copy))";
    let expected = "-2 -9 -2 -2 -2\n\
        2 bigint 3 1\n\
        RangeError: read/write array buffer overflow\n\
        0,50,51,52 false 0\n\
        0 -17 0 0 g,0\n\
        .,..,g,l 0 ,2\n\
        10 true 0 true ,2\n\
        true true ,2\n\
        0 true 0 0 0 0\n\
        linux true 0 true true 0 -10,0\n\
        true true 0\n";
    assert_eq!(printed(&run_in(folder.path(), &["-e", source], "")), expected);
}

/// The prompts behind what clears their line: keys typed before would be the terminal's own to handle.
const PROMPT: &str = "\x1b[K> ";
const CONTINUATION: &str = "\x1b[K... ";

#[test]
fn the_prompt_runs_what_is_typed() {
    let state = Folder::new();
    let mut terminal =
        Terminal::start(program::jitcall().arg("js").env("XDG_STATE_HOME", state.path()).env("TERM", "xterm"));
    terminal.expect(&[PROMPT]);
    for (line, shown, prompt) in [
        ("6 * 7", "\r\n42\r\n", PROMPT),
        ("function twice(n) {", "", CONTINUATION),
        ("return `${n}${n}` }", "", PROMPT),
        ("twice(21)", "\r\n\"2121\"\r\n", PROMPT),
        ("{ a: [1] }", "\r\n{ a: [ 1 ] }\r\n", PROMPT),
        ("let kept = await Promise.resolve(5)", "", PROMPT),
        ("kept + 1", "\r\n6\r\n", PROMPT),
        ("undefined; missing.x", "\r\nReferenceError: missing is not defined\r\n", PROMPT),
        (")", "\r\nSyntaxError: ", PROMPT),
        ("Promise.reject(new Error('no'))", "unhandled promise rejection: Error: no", PROMPT),
        ("typeof dlopen + typeof os.getpid + typeof std.puts", "\r\n\"functionfunctionfunction\"\r\n", PROMPT),
        // Timers run while the prompt waits.
        ("void setTimeout(() => print('la' + 'ter'), 20)", "later\r\n", PROMPT),
        ("[1,", "", CONTINUATION),
    ] {
        terminal.enter(line);
        terminal.expect(&[shown, prompt]);
    }
    // Ctrl-C gives up what is begun.
    terminal.send("\x03");
    terminal.expect(&[PROMPT]);
    terminal.enter("kept");
    terminal.expect(&["\r\n5\r\n", PROMPT]);
    terminal.send("\x04");
    assert_eq!(terminal.status(), Some(0));
    let history = fs::read_to_string(state.path().join("jitcall/js_history")).expect("a history");
    assert!(history.contains("twice(21)") && history.contains("kept + 1"), "{history}");
}

#[test]
fn the_prompt_goes_without_a_history() {
    let mut terminal = Terminal::start(
        program::jitcall().arg("js").env("XDG_STATE_HOME", "/proc/none").env("HOME", "/proc/none").env("TERM", "dumb"),
    );
    terminal.expect(&["> "]);
    terminal.enter("1 + 1");
    terminal.expect(&["2\r\n"]);
    terminal.enter("std.exit(3)");
    assert_eq!(terminal.status(), Some(3));
}
