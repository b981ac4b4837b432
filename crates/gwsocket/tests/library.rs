//! The C library, called as other languages call it: by the declarations in `gwsocket.h`, through jitcall.

mod support;

use std::cell::RefCell;
use std::collections::HashMap;
use std::ffi::{CStr, c_void};
use std::fs;
use std::path::Path;
use std::time::Duration;

use jitcall::{Arch, Closure, Declarations, Engine, Function, Library, Signature, Type, Value};
use support::client::{BINARY, CLOSE, Client, Frame, TEXT};

/// The types of events that are no frames'.
const GONE: u32 = 8;
const COME: u32 = 0x10;

/// Milliseconds to wait for what must come.
const PATIENCE: i32 = 20_000;

/// The functions that the header declares, of the library as Cargo built it for this test.
struct Api(HashMap<String, Function>);

impl Api {
    fn load() -> Api {
        let executable = std::env::current_exe().expect("the path of the test");
        let path = executable.with_file_name("libgwsocket.so");
        // SAFETY: its initialisers do no harm.
        let library = unsafe { Library::open(&path) }.expect("the library");
        let bind = |signature: &Signature| {
            let name = signature.name().expect("a name").to_owned();
            let function =
                library.function_with(Engine::global(), signature.clone()).expect("what the header declares");
            (name, function)
        };
        Api(header().functions().iter().map(bind).collect())
    }

    fn call(&self, name: &str, arguments: &[Value<'_>]) -> Value<'static> {
        // SAFETY: the header is the library's own, and pointers are of what it wants.
        unsafe { self.0[name].call(arguments) }.unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    /// Calls what gives an `int` or a `long`.
    fn number(&self, name: &str, arguments: &[Value<'_>]) -> i64 {
        match self.call(name, arguments) {
            Value::I32(number) => number.into(),
            Value::I64(number) => number,
            other => panic!("{name} gives {other:?}"),
        }
    }

    /// The text of the last error.
    fn error(&self) -> String {
        let Value::Pointer(text) = self.call("gwsocket_error", &[]) else { panic!("an error is a text") };
        // SAFETY: the library gives a string.
        unsafe { CStr::from_ptr(text.cast()) }.to_string_lossy().into_owned()
    }

    fn open(&self) -> i32 {
        let server = self.number("gwsocket_open", &[c"--port=0 --addr=127.0.0.1".into()]);
        assert!(server > 0, "{}", self.error());
        server as i32
    }
}

/// The header, without what is the preprocessor's.
fn header() -> Declarations {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("include/gwsocket.h");
    let text = fs::read_to_string(path).expect("the header");
    let mut lines = text.lines();
    let mut kept = String::new();
    while let Some(line) = lines.next() {
        match line {
            // For C++.
            "#ifdef __cplusplus" => _ = lines.by_ref().find(|line| *line == "#endif"),
            _ if line.starts_with('#') => {}
            _ => kept.extend([line, "\n"]),
        }
    }
    Declarations::parse(&kept).unwrap_or_else(|error| panic!("{error}"))
}

/// `gwsocket_event`, as the header has it on these machines.
#[derive(Debug)]
#[repr(C)]
struct Event {
    client: u32,
    kind: u32,
    data: *const u8,
    length: usize,
}

/// The next event: client, type, data.
fn next(api: &Api, server: i32) -> (u32, u32, Vec<u8>) {
    let mut event = Event { client: 0, kind: 0, data: std::ptr::null(), length: 0 };
    let given = api.number("gwsocket_next", &[server.into(), (&raw mut event).into(), PATIENCE.into()]);
    assert_eq!(given, 1, "an event within {PATIENCE} ms; {}", api.error());
    // SAFETY: the library gives so many bytes, which stay until the next call.
    let data = unsafe { std::slice::from_raw_parts(event.data, event.length) }.to_vec();
    (event.client, event.kind, data)
}

#[test]
fn the_header_declares_what_the_library_has() {
    let header = header();
    assert_eq!(header.functions().len(), 13);
    let size = |name| match header.ty(name) {
        Some(Type::Aggregate(aggregate)) => Some(aggregate.layout(Arch::HOST).size),
        _ => None,
    };
    assert_eq!(size("gwsocket_stats"), Some(15 * 8));
    assert_eq!(size("gwsocket_event"), Some(size_of::<Event>()));
    Api::load();
}

#[test]
fn messages_both_ways() {
    let api = Api::load();
    let server = api.open();
    let port = api.number("gwsocket_port", &[server.into()]);
    let mut client = Client::connect(port as u16);
    assert_eq!(next(&api, server), (1, COME, b"127.0.0.1".to_vec()));
    let broadcast = |data: &[u8]| {
        let arguments = [server.into(), 2.into(), data.as_ptr().into(), data.len().into()];
        api.number("gwsocket_broadcast", &arguments)
    };
    assert_eq!(broadcast(b"to all"), 1);
    assert_eq!(broadcast(b""), 1);
    assert_eq!(api.number("gwsocket_broadcast_text", &[server.into(), c"a text".into()]), 1);
    let one = b"to one";
    let arguments = [server.into(), 1.into(), 1.into(), one.as_ptr().into(), one.len().into()];
    assert_eq!(api.number("gwsocket_send", &arguments), 0);
    for (opcode, expected) in [(BINARY, "to all"), (BINARY, ""), (TEXT, "a text"), (TEXT, "to one")] {
        client.expect(opcode, expected);
    }
    client.send(Frame::new(TEXT, "grüße"));
    client.send(Frame::new(BINARY, [0, 255]));
    assert_eq!(next(&api, server), (1, 1, "grüße".into()));
    assert_eq!(next(&api, server), (1, 2, vec![0, 255]));
    let arguments = [server.into(), 1.into(), 4000.into(), c"enough".into()];
    assert_eq!(api.number("gwsocket_close_client", &arguments), 0);
    client.expect(CLOSE, [&4000u16.to_be_bytes()[..], b"enough"].concat());
    client.send(Frame::close(4000, b""));
    assert_eq!(next(&api, server), (1, GONE, vec![]));
    let mut stats = [0u64; 15];
    assert_eq!(api.number("gwsocket_get_stats", &[server.into(), (&raw mut stats).into()]), 0);
    // Clients, opened, closed, refused, messages and bytes in, messages and bytes received.
    assert_eq!(stats[..8], [0, 1, 1, 0, 4, 18, 2, 9]);
    assert_eq!(api.number("gwsocket_close", &[server.into()]), 0);
}

#[test]
fn events_by_a_callback_when_the_descriptor_is_readable() {
    let api = Api::load();
    let server = api.open();
    let fd = api.number("gwsocket_fd", &[server.into()]) as i32;
    let is_readable = |patience| {
        let mut poll = libc::pollfd { fd, events: libc::POLLIN, revents: 0 };
        // SAFETY: one entry is passed.
        unsafe { libc::poll(&raw mut poll, 1, patience) == 1 }
    };
    let seen = RefCell::new(Vec::new());
    let signature = Signature::parse("void got(unsigned client, unsigned type, const void *, size_t, void *context)");
    let got = |client: u32, kind: u32, data: *const u8, length: usize, context: *const c_void| {
        // SAFETY: the library gives so many bytes.
        let data = unsafe { std::slice::from_raw_parts(data, length) }.to_vec();
        seen.borrow_mut().push((client, kind, data, context as usize));
    };
    let got = Closure::typed(&signature.expect("a signature"), got).expect("a closure");
    let dispatch = |timeout: i32| {
        let arguments = [server.into(), got.value(), (7 as *const c_void).into(), timeout.into()];
        api.number("gwsocket_dispatch", &arguments)
    };
    assert!(!is_readable(0));
    assert_eq!(dispatch(0), 0);
    assert_eq!(dispatch(10), 0);
    let port = api.number("gwsocket_port", &[server.into()]);
    let mut client = Client::connect(port as u16);
    assert!(is_readable(PATIENCE));
    assert_eq!(dispatch(0), 1);
    assert!(!is_readable(0));
    for _ in 0..3 {
        client.send(Frame::new(TEXT, "hello"));
    }
    let mut calls = 0;
    while calls < 3 {
        calls += dispatch(PATIENCE);
    }
    let hello = (1, 1, b"hello".to_vec(), 7);
    let expected = [(1, COME, b"127.0.0.1".to_vec(), 7), hello.clone(), hello.clone(), hello];
    assert_eq!(*seen.borrow(), expected);
    assert_eq!(api.number("gwsocket_close", &[server.into()]), 0);
    // It was told to go, and nobody answered: the connection ends all the same.
    assert_eq!(client.expect_close(), 1001);
}

#[test]
fn what_is_wrong_is_an_error_that_says_so() {
    let api = Api::load();
    let server = api.open();
    let closed = api.open();
    assert_eq!(api.number("gwsocket_close", &[closed.into()]), 0);
    let null = || Value::NULL;
    let long = vec![0u8; (1 << 20) + 1];
    let broadcast = |kind: i32, data: &[u8]| vec![server.into(), kind.into(), data.as_ptr().into(), data.len().into()];
    for (name, arguments, expected) in [
        ("gwsocket_open", vec![c"--port=x".into()], "invalid value 'x' for '--port <PORT>'"),
        ("gwsocket_open", vec![c"--strict".into()], "unexpected argument '--strict'"),
        (
            "gwsocket_open",
            vec![c"--unix-socket=/nowhere/at/all".into()],
            "cannot listen on /nowhere/at/all: No such file",
        ),
        ("gwsocket_open", vec![c"--access-log=/nowhere/log".into()], "--access-log /nowhere/log: No such file"),
        (
            "gwsocket_open",
            vec![c"--port=0 --ssl-cert=/no.pem --ssl-key=/no.pem".into()],
            "--ssl-cert /no.pem: No such file",
        ),
        ("gwsocket_close", vec![closed.into()], "is no open server"),
        ("gwsocket_close", vec![0.into()], "server: 0 is no open server"),
        ("gwsocket_port", vec![(-1).into()], "server: -1 is no open server"),
        ("gwsocket_broadcast_text", vec![closed.into(), c"x".into()], "is no open server"),
        ("gwsocket_broadcast_text", vec![server.into(), c"\xff".into()], "text: it is not UTF-8"),
        ("gwsocket_broadcast", broadcast(3, b"x"), "type: expected 1 (GWSOCKET_TEXT) or 2 (GWSOCKET_BINARY), got 3"),
        ("gwsocket_broadcast", broadcast(1, b"abc\xff"), "this is none from byte 3"),
        ("gwsocket_broadcast", broadcast(2, &long), "a message of 1048577 bytes is over the limit of 1048576"),
        ("gwsocket_broadcast", vec![server.into(), 1.into(), null(), 5.into()], "data: null, with a length of 5"),
        ("gwsocket_send", vec![server.into(), 9.into(), 1.into(), null(), 0.into()], "there is no client 9"),
        ("gwsocket_close_client", vec![server.into(), 9.into(), 1000.into(), null()], "there is no client 9"),
        ("gwsocket_close_client", vec![server.into(), 0.into(), 1005.into(), null()], "1005 is no code to close with"),
        ("gwsocket_close_client", vec![server.into(), 0.into(), (-5).into(), null()], "code: -5 is no close code"),
        ("gwsocket_next", vec![server.into(), null(), 0.into()], "event: null"),
        ("gwsocket_dispatch", vec![server.into(), null(), null(), 0.into()], "callback: null"),
        ("gwsocket_get_stats", vec![server.into(), null()], "stats: null"),
    ] {
        assert_eq!(api.number(name, &arguments), -1, "{name}{arguments:?}");
        assert!(api.error().contains(expected), "{name}{arguments:?}: {}", api.error());
    }
    assert_eq!(api.number("gwsocket_close", &[server.into()]), 0);
}

#[test]
fn servers_are_closed_while_threads_use_them() {
    let api = Api::load();
    let server = api.open();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let api = Api::load();
                while api.number("gwsocket_broadcast_text", &[server.into(), c"tick".into()]) >= 0 {}
                assert!(api.error().contains("is no open server"), "{}", api.error());
            });
        }
        // One that waits without end.
        scope.spawn(|| {
            let api = Api::load();
            let mut event = Event { client: 0, kind: 0, data: std::ptr::null(), length: 0 };
            let arguments = [server.into(), (&raw mut event).into(), (-1).into()];
            assert_eq!(api.number("gwsocket_next", &arguments), -1);
            assert!(api.error().starts_with("server: "), "{}", api.error());
        });
        std::thread::sleep(Duration::from_millis(50));
        assert_eq!(api.number("gwsocket_close", &[server.into()]), 0);
    });
}
