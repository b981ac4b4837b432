//! The program between pipes and clients: both modes, writers and readers that come and go, what is wrong on a pipe.

mod support;

use std::fs;
use std::io::{Read, Write};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use support::client::{BINARY, CLOSE, Client, Frame, TEXT, request, tcp};
use support::program::{Folder, Program, address, gwsocket, processor_time, read_record, record, write};
use support::{scaled, until};

/// A client of a program, and its number, by the events.
fn client_of(program: &Program, output: &mut impl Read) -> (Client, u32) {
    let client = Client::connect(program.port());
    let (id, kind, place) = read_record(output);
    assert_eq!((kind, place), (0x10, address("127.0.0.1")));
    (client, id)
}

#[test]
fn strict_mode_both_ways() {
    let program = Program::start(&["--strict", "--stats=0.1"]);
    let (mut input, mut output) = (program.input(), program.output());
    let (mut one, first) = client_of(&program, &mut output);
    let (mut other, second) = client_of(&program, &mut output);
    assert_eq!((first, second), (1, 2));
    write(&mut input, record(0, 1, "to all"));
    write(&mut input, record(second, 2, [0, 255]));
    write(&mut input, record(0, 2, ""));
    write(&mut input, record(first, 1, vec![b'x'; 100_000]));
    one.expect(TEXT, "to all");
    one.expect(BINARY, "");
    one.expect(TEXT, vec![b'x'; 100_000]);
    other.expect(TEXT, "to all");
    other.expect(BINARY, [0, 255]);
    other.expect(BINARY, "");
    one.send(Frame::new(TEXT, "grüße"));
    assert_eq!(read_record(&mut output), (1, 1, "grüße".into()));
    other.send(Frame::new(BINARY, vec![7; 500_000]));
    assert_eq!(read_record(&mut output), (2, 2, vec![7; 500_000]));
    // Closing: by default, and with a code and a reason.
    write(&mut input, record(first, 8, ""));
    one.expect(CLOSE, 1000u16.to_be_bytes());
    write(&mut input, record(second, 8, [&4002u16.to_be_bytes()[..], b"enough"].concat()));
    other.expect(CLOSE, [&4002u16.to_be_bytes()[..], b"enough"].concat());
    drop((one, other));
    let mut gone = [read_record(&mut output), read_record(&mut output)];
    gone.sort();
    assert_eq!(gone, [(1, 8, vec![]), (2, 8, vec![])]);
    // All at once, and messages for those who have gone.
    let (mut third, _) = client_of(&program, &mut output);
    write(&mut input, record(1, 1, "too late"));
    write(&mut input, record(0, 8, ""));
    third.expect(CLOSE, 1000u16.to_be_bytes());
    program.said(" no_client=1 ");
}

#[test]
fn plain_mode_both_ways() {
    let program = Program::start(&[]);
    let (mut input, mut output) = (program.input(), program.output());
    let mut client = Client::connect(program.port());
    let mut turn = |bytes: &[u8], messages: &[(u8, &[u8])]| {
        write(&mut input, bytes);
        for (opcode, message) in messages {
            client.expect(*opcode, message);
        }
    };
    turn(b"a line\n", &[(TEXT, b"a line\n")]);
    turn("grüße".as_bytes(), &[(TEXT, "grüße".as_bytes())]);
    turn(b"\xff\x00", &[(BINARY, b"\xff\x00")]);
    // One write of 4,096 bytes is one message; of more, several.
    let full = [b'x'; 4096];
    turn(&full, &[(TEXT, &full)]);
    let long: Vec<u8> = (0..10_000).map(|index| b'a' + (index % 26) as u8).collect();
    turn(&long, &[(TEXT, &long[..4096]), (TEXT, &long[4096..8192]), (TEXT, &long[8192..])]);
    // A character across the boundary goes with what follows.
    let text = [&full[..4095], "ü and more".as_bytes()].concat();
    turn(&text, &[(TEXT, &full[..4095]), (TEXT, "ü and more".as_bytes())]);
    // And does not move the boundaries of what is written after it.
    let whole = [&full[..4095], "ü".as_bytes()].concat();
    turn(&whole, &[(TEXT, &full[..4095]), (TEXT, "ü".as_bytes())]);
    turn(&full, &[(TEXT, &full)]);
    // What only looks like one is binary in the end.
    let bytes = [&full[..4095], b"\xc3\xff"].concat();
    turn(&bytes, &[(TEXT, &full[..4095]), (BINARY, b"\xc3\xff")]);
    client.send(Frame::new(TEXT, "one"));
    client.send(Frame::new(BINARY, "two"));
    let mut back = [0; 6];
    output.read_exact(&mut back).expect("what the client sent");
    assert_eq!(&back, b"onetwo");
}

#[test]
fn writers_come_and_go() {
    for options in [&["--strict"][..], &[]] {
        let program = Program::start(options);
        let mut client = Client::connect(program.port());
        for number in 0..50 {
            let text = format!("writer {number}");
            let bytes = if options.is_empty() { text.clone().into_bytes() } else { record(0, 1, &text) };
            write(&mut program.input(), bytes);
            client.expect(TEXT, text);
        }
        // Two at a time.
        let (mut one, mut other) = (program.input(), program.input());
        let bytes = |text: &str| if options.is_empty() { text.into() } else { record(0, 1, text) };
        write(&mut one, bytes("one"));
        client.expect(TEXT, "one");
        drop(one);
        write(&mut other, bytes("other"));
        client.expect(TEXT, "other");
    }
}

#[test]
fn headers_in_portions() {
    let program = Program::start(&["--strict"]);
    let mut client = Client::connect(program.port());
    let mut input = program.input();
    for byte in record(0, 1, "byte by byte") {
        write(&mut input, [byte]);
        thread::sleep(Duration::from_millis(1));
    }
    client.expect(TEXT, "byte by byte");
    // A writer that goes within a header, and within a payload.
    for portion in [5, 12, 15] {
        write(&mut input, &record(0, 1, "never")[..portion]);
        drop(input);
        program.said(&format!("after {portion} of {} bytes of a message", if portion < 12 { 12 } else { 17 }));
        input = program.input();
        write(&mut input, record(0, 1, "whole"));
        client.expect(TEXT, "whole");
    }
}

#[test]
fn what_is_wrong_is_reported_with_its_offset_and_left_out() {
    let program = Program::start(&["--strict", "--max-frame-size=1000"]);
    let mut client = Client::connect(program.port());
    let mut input = program.input();
    let mut offset = 0;
    let mut wrong = |bytes: &[u8], said: &str| {
        write(&mut input, bytes);
        program.said(&format!("in, byte {offset}: {said}"));
        let good = record(0, 1, format!("after {said}"));
        write(&mut input, &good);
        client.expect(TEXT, format!("after {said}"));
        offset += bytes.len() + good.len();
    };
    wrong(&record(0, 1, b"bad: \xff"), "a text must be UTF-8, and this is none from byte 5");
    wrong(&record(0, 3, "of which type?"), "there is no type 3: expected 1 (text), 2 (binary) or 8 (close)");
    wrong(&record(0, 2, vec![0; 1001]), "a message of 1001 bytes is over the limit of 1000 (--max-frame-size)");
    wrong(&record(1, 8, [3]), "a payload of one byte is no close code");
    wrong(&record(1, 8, 1005u16.to_be_bytes()), "1005 is no code to close with");
    wrong(&record(1, 8, [&1000u16.to_be_bytes()[..], b"\xff"].concat()), "a text must be UTF-8");
    // Out of step: nothing is believed until the writer has closed the pipe.
    write(&mut input, "this is no header, and what follows is not read");
    program.said(&format!("in, byte {offset}: this is no header"));
    write(&mut input, record(0, 1, "not read"));
    drop(input);
    program.said(&format!("in, byte {offset}: the writers have gone: 67 bytes were dropped"));
    write(&mut program.input(), record(0, 1, "in step"));
    client.expect(TEXT, "in step");
}

#[test]
fn a_message_of_100_mib_is_refused() {
    let program = Program::start(&["--strict"]);
    let mut client = Client::connect(program.port());
    let mut input = program.input();
    let length = scaled(100) << 20;
    let mut header = record(0, 1, "");
    header[8..].copy_from_slice(&(length as u32).to_be_bytes());
    write(&mut input, header);
    for _ in 0..length >> 20 {
        write(&mut input, vec![b'x'; 1 << 20]);
    }
    write(&mut input, record(0, 1, "next"));
    client.expect(TEXT, "next");
    program.said(&format!("byte 0: a message of {length} bytes is over the limit of 1048576"));
    let memory = fs::read_to_string(format!("/proc/{}/status", program.process.id())).expect("its status");
    let peak = memory.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("its peak");
    let peak: usize = peak.trim().trim_end_matches(" kB").parse().expect("a number");
    assert!(peak < 200 << 10, "nothing of it is kept: {peak} KiB");
}

#[test]
fn a_million_small_messages_in_order() {
    let count = scaled(1_000_000);
    let program = Program::start(&["--strict"]);
    let mut client = Client::connect(program.port());
    let mut input = program.input();
    let writer = thread::spawn(move || {
        let mut numbers = 0..count;
        loop {
            let some: Vec<u8> = numbers.by_ref().take(1000).flat_map(|n| record(0, 1, n.to_string())).collect();
            if some.is_empty() {
                return;
            }
            write(&mut input, some);
        }
    });
    for number in 0..count {
        client.expect(TEXT, number.to_string());
    }
    writer.join().expect("the writer");
}

#[test]
fn readers_come_and_go() {
    let program = Program::start(&["--strict"]);
    let mut output = program.output();
    let (mut client, _) = client_of(&program, &mut output);
    let payload = |number: usize| [number.to_string().into_bytes(), vec![b'.'; 1000]].concat();
    for number in 0..100 {
        client.send(Frame::new(TEXT, payload(number)));
    }
    // This reader takes three, and goes in the middle of the fourth.
    for number in 0..3 {
        assert_eq!(read_record(&mut output), (1, 1, payload(number)));
    }
    output.read_exact(&mut [0; 500]).expect("half a message");
    drop(output);
    thread::sleep(Duration::from_millis(500));
    // The next one begins with the fourth, whole.
    let mut output = program.output();
    for number in 3..100 {
        assert_eq!(read_record(&mut output), (1, 1, payload(number)), "{number}");
    }
}

#[test]
fn without_a_reader_nothing_waits() {
    let program = Program::start(&["--strict", "--stats=0.2"]);
    let mut client = Client::connect(program.port());
    let mut input = program.input();
    // More than is kept for a reader; all the while clients are served.
    for number in 0..10 {
        client.send(Frame::new(BINARY, vec![1; 1_000_000]));
        write(&mut input, record(0, 1, number.to_string()));
        client.expect(TEXT, number.to_string());
    }
    program.said("messages_received=10 ");
    let line = program.said("bytes_received=10000000 ");
    // The kept ones, and the client's coming, are for the first reader.
    let mut output = program.output();
    assert_eq!(read_record(&mut output), (1, 0x10, address("127.0.0.1")));
    for _ in 0..4 {
        assert_eq!(read_record(&mut output), (1, 2, vec![1; 1_000_000]));
    }
    client.send(Frame::new(TEXT, "now"));
    assert_eq!(read_record(&mut output), (1, 1, b"now".to_vec()));
    assert!(line.contains("dropped_events=6 "), "{line}");
}

#[test]
fn a_slow_reader_loses_nothing() {
    let program = Program::start(&["--strict"]);
    let mut output = program.output();
    let (mut client, _) = client_of(&program, &mut output);
    let count = scaled(400);
    let sender = thread::spawn(move || {
        for number in 0..count {
            client.send(Frame::new(BINARY, vec![number as u8; 50_000]));
        }
        client
    });
    for number in 0..count {
        if number % 40 == 0 {
            thread::sleep(Duration::from_millis(20));
        }
        assert_eq!(read_record(&mut output), (1, 2, vec![number as u8; 50_000]));
    }
    sender.join().expect("the sender");
}

#[test]
fn idle_it_does_nothing() {
    let program = Program::start(&["--strict"]);
    let mut clients: Vec<Client> = (0..20).map(|_| Client::connect(program.port())).collect();
    // After a writer and a reader have been there and gone.
    write(&mut program.input(), record(0, 1, "a tick"));
    clients.iter_mut().for_each(|client| client.expect(TEXT, "a tick"));
    drop(program.output());
    thread::sleep(Duration::from_millis(300));
    let before = processor_time(program.process.id());
    thread::sleep(Duration::from_secs(1));
    let spent = processor_time(program.process.id()) - before;
    assert!(spent < 0.2, "{spent} s of processor time in a second without anything to do");
}

#[test]
fn standard_input_and_output() {
    let mut command = gwsocket();
    command.args(["--port=0", "--addr=127.0.0.1", "--strict", "--std"]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut program = Program::run(command, Folder::new());
    let mut output = program.process.stdout.take().expect("its output");
    let mut input = program.process.stdin.take().expect("its input");
    let (mut client, _) = client_of(&program, &mut output);
    write(&mut input, record(0, 1, "a tick"));
    client.expect(TEXT, "a tick");
    client.send(Frame::new(TEXT, "an answer"));
    assert_eq!(read_record(&mut output), (1, 1, b"an answer".to_vec()));
    // At its end clients are served on.
    write(&mut input, &record(0, 1, "cut")[..13]);
    drop(input);
    program.said("standard input, byte 18: the writers have gone after 13 of 15 bytes");
    program.said("standard input has ended; clients are served on");
    client.send(Frame::new(TEXT, "still there"));
    assert_eq!(read_record(&mut output), (1, 1, b"still there".to_vec()));
    program.signal(libc::SIGTERM);
    assert_eq!(client.expect_close_first(), 1001);
    assert!(program.ended().success());
}

#[test]
fn one_end_standard_and_one_a_pipe() {
    let folder = Folder::new();
    let option = format!("--pipeout={}", folder.path("out").display());
    let mut command = gwsocket();
    command.args(["--port=0", "--addr=127.0.0.1", "--stdin", &option]).stdin(Stdio::piped());
    let mut program = Program::run(command, folder);
    let (mut client, mut output) = (Client::connect(program.port()), program.output());
    write(program.process.stdin.as_mut().expect("its input"), "a tick");
    client.expect(TEXT, "a tick");
    client.send(Frame::new(TEXT, "an answer"));
    let mut answer = [0; 9];
    output.read_exact(&mut answer).expect("what the client sent");
    let folder = Folder::new();
    let option = format!("--pipein={}", folder.path("in").display());
    let mut command = gwsocket();
    command.args(["--port=0", "--addr=127.0.0.1", "--stdout", &option]).stdout(Stdio::piped());
    let mut program = Program::run(command, folder);
    let mut client = Client::connect(program.port());
    write(&mut program.input(), "a tick");
    client.expect(TEXT, "a tick");
    client.send(Frame::new(TEXT, "an answer"));
    program.process.stdout.as_mut().expect("its output").read_exact(&mut answer).expect("what the client sent");
    assert_eq!(&answer, b"an answer");
}

#[test]
fn standard_input_from_a_file() {
    let folder = Folder::new();
    fs::write(folder.path("records"), record(0, 1, "nobody is there yet")).expect("a file");
    let mut command = gwsocket();
    command.args(["--port=0", "--addr=127.0.0.1", "--strict", "--std"]).stdout(Stdio::null());
    command.stdin(fs::File::open(folder.path("records")).expect("the file"));
    let program = Program::run(command, folder);
    program.said("standard input has ended; clients are served on");
    Client::connect(program.port());
}

#[test]
fn signals_end_it_well() {
    for signal in [libc::SIGTERM, libc::SIGINT] {
        let mut program = Program::start(&["--strict"]);
        let mut clients: Vec<Client> = (0..3).map(|_| Client::connect(program.port())).collect();
        let mut input = program.input();
        write(&mut input, record(0, 1, "last words"));
        clients[0].expect(TEXT, "last words");
        program.signal(signal);
        for (index, client) in clients.iter_mut().enumerate() {
            if index > 0 {
                client.expect(TEXT, "last words");
            }
            assert_eq!(client.expect_close_first(), 1001);
        }
        assert!(program.ended().success());
    }
}

#[test]
fn what_it_cannot_start_with() {
    let folder = Folder::new();
    fs::write(folder.path("file"), "no pipe").expect("a file");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = format!("--port={}", taken.local_addr().expect("its address").port());
    let file = folder.path("file");
    let (pipein, pipeout) = (format!("--pipein={}", file.display()), format!("--pipeout={}", file.display()));
    let (socket, cert) = (format!("--unix-socket={}", file.display()), format!("--ssl-cert={}", file.display()));
    let key = format!("--ssl-key={}", file.display());
    let (nowhere, pipein_named) =
        ("--pipein=/nowhere/in", format!("--pipein {}: it is there already, and no named pipe", file.display()));
    for (options, status, expected) in [
        (vec!["--port=0", &pipein], 1, pipein_named.as_str()),
        (vec!["--port=0", &pipeout, "--stdin"], 1, "--pipeout"),
        (vec!["--port=0", nowhere], 1, "--pipein /nowhere/in: No such file or directory"),
        (vec!["--addr=127.0.0.1", &port, "--std"], 1, "cannot listen on 127.0.0.1, port"),
        (vec![&socket, "--std"], 1, "Address already in use"),
        (vec!["--port=0", "--std", &cert, &key], 1, "there is no certificate in"),
        (vec!["--std", "--stdin=x"], 2, "unexpected value"),
        (vec!["--std", &pipein], 2, "cannot be used with"),
        (vec!["--slow=never"], 2, "possible values: drop, drop-oldest"),
        (vec!["--bogus"], 2, "unexpected argument '--bogus'"),
    ] {
        let run = gwsocket().args(&options).stdin(Stdio::null()).output().expect("it runs");
        let text = String::from_utf8_lossy(&run.stderr);
        assert!(text.contains(expected), "{options:?}: {text}");
        assert_eq!(run.status.code(), Some(status), "{options:?}: {text}");
    }
}

#[test]
fn a_unix_socket() {
    let folder = Folder::new();
    let path = folder.path("socket");
    let option = format!("--unix-socket={}", path.display());
    let start = || {
        let mut command = gwsocket();
        command.args([&option, "--strict", "--std"]).stdin(Stdio::piped()).stdout(Stdio::piped());
        Program::run(command, Folder::new())
    };
    let mut program = start();
    let mut output = program.process.stdout.take().expect("its output");
    let mut client = Client::connect_unix(&path);
    assert_eq!(read_record(&mut output), (1, 0x10, address("unix")));
    write(program.process.stdin.as_mut().expect("its input"), record(0, 1, "a tick"));
    client.expect(TEXT, "a tick");
    // What one that was killed has left behind is no obstacle.
    program.process.kill().expect("it is killed");
    program.ended();
    assert!(path.exists());
    let mut program = start();
    drop(Client::connect_unix(&path));
    program.signal(libc::SIGTERM);
    assert!(program.ended().success());
    assert!(!path.exists(), "it removes its socket");
}

#[test]
fn the_access_log_and_counters() {
    let log = Folder::new();
    let path = log.path("access");
    let option = format!("--access-log={}", path.display());
    let program = Program::start(&["--strict", &option, "--stats=0.1", "--origin=https://ticks.example"]);
    let answer = Client::shake(tcp(program.port()), &request("Origin: https://else\u{1b}where\r\n"));
    assert!(answer.err().is_some_and(|answer| answer.starts_with("HTTP/1.1 4")));
    let ticks = request("Origin: https://ticks.example\r\n").replace("GET /", "GET /ticks?a=b");
    let mut client = Client::shake(tcp(program.port()), &ticks).unwrap_or_else(|answer| panic!("{answer}"));
    client.send(Frame::close(1000, b"done"));
    assert_eq!(client.expect_close(), 1000);
    let lines = || fs::read_to_string(&path).expect("the log").lines().map(str::to_owned).collect::<Vec<_>>();
    until("three lines", || lines().len() == 3);
    let lines = lines();
    let said = |line: &str| line.split_once(' ').map(|(time, rest)| (time.len(), rest.to_owned())).expect("a time");
    assert!(said(&lines[0]).1.starts_with("127.0.0.1 - refused 4"), "{}", lines[0]);
    assert!(lines[0].chars().all(|letter| !letter.is_control()), "{}", lines[0]);
    let opened = "127.0.0.1 1 open \"/ticks?a=b\" origin=https://ticks.example";
    assert_eq!(said(&lines[1]), (24, opened.to_owned()));
    assert_eq!(said(&lines[2]), (24, "127.0.0.1 1 close 1000 done".to_owned()));
    program.said("clients=0 opened=1 closed=1 refused=1 messages_in=0 ");
    until("another line", || program.times_said("clients=0 opened=1") > 2);
}

#[test]
fn tls() {
    let folder = Folder::new();
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
    let (cert, key) = (folder.path("cert.pem"), folder.path("key.pem"));
    fs::write(&cert, made.cert.pem()).expect("the certificate");
    fs::write(&key, made.signing_key.serialize_pem()).expect("the key");
    let options = [format!("--ssl-cert={}", cert.display()), format!("--ssl-key={}", key.display())];
    let program = Program::start(&["--strict", &options[0], &options[1]]);
    let (mut input, mut output) = (program.input(), program.output());
    let mut client = Client::shake(encrypted(program.port(), made.cert.der()), &request("")).expect("a client");
    assert_eq!(read_record(&mut output).1, 0x10);
    for length in [0, 1, 1000, 1 << 20] {
        let writer = record(0, 2, vec![3; length]);
        thread::scope(|scope| {
            scope.spawn(|| write(&mut input, &writer));
            client.expect(BINARY, vec![3; length]);
        });
        client.send(Frame::new(BINARY, vec![4; length]));
        assert_eq!(read_record(&mut output), (1, 2, vec![4; length]));
    }
    // One that does not speak TLS is no client.
    assert!(Client::shake(tcp(program.port()), &request("")).is_err());
    client.send(Frame::close(1000, b""));
    assert_eq!(client.expect_close_first(), 1000);
}

/// A connection by TLS that believes in one certificate.
fn encrypted(port: u16, certificate: &[u8]) -> impl Read + Write + Send + use<> {
    use tokio_rustls::rustls::pki_types::CertificateDer;
    use tokio_rustls::rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned, crypto::ring};
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from(certificate.to_vec())).expect("a certificate");
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = "localhost".try_into().expect("a name");
    StreamOwned::new(ClientConnection::new(Arc::new(config), name).expect("a client"), tcp(port))
}

#[test]
fn help_and_version() {
    let run = |option: &str| {
        let run = Command::output(gwsocket().arg(option)).expect("it runs");
        assert!(run.status.success());
        String::from_utf8(run.stdout).expect("text")
    };
    assert_eq!(run("--version"), run("-V"));
    assert!(run("-V").starts_with("gwsocket "));
    for option in ["--access-log", "--addr", "--echo-mode", "--pipein", "--pipeout", "--ssl-cert", "--unix-socket"] {
        assert!(run("-h").contains(option) && run("--help").contains(option), "{option}");
    }
}
