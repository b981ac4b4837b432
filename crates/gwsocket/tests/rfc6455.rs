//! RFC 6455 by raw frames: what a server has to take, and what it has to refuse, with which code.

mod support;

use std::io::Write;
use std::thread;
use std::time::{Duration, Instant};

use support::client::{BINARY, CLOSE, CONTINUATION, Client, Frame, PING, PONG, TEXT, request, tcp};
use support::{echo, event, serve};

const PROTOCOL_ERROR: u16 = 1002;
const INVALID_DATA: u16 = 1007;
const TOO_BIG: u16 = 1009;

#[test]
fn messages_of_all_lengths() {
    let server = echo();
    let mut client = Client::connect(server.port());
    for length in [0, 1, 125, 126, 127, 128, 0xffff, 0x10000, 70_000, 1 << 20] {
        for opcode in [TEXT, BINARY] {
            let payload: Vec<u8> = (0..length).map(|index| b'a' + (index % 26) as u8).collect();
            client.send(Frame::new(opcode, payload.clone()));
            client.expect(opcode, payload);
        }
    }
}

#[test]
fn a_byte_at_a_time() {
    let server = echo();
    let mut client = Client::connect(server.port());
    let message = [Frame::part(TEXT, "grü"), Frame::new(PING, "p"), Frame::new(CONTINUATION, "ße")];
    for byte in message.iter().flat_map(Frame::bytes) {
        client.send_bytes(&[byte]);
        thread::sleep(Duration::from_micros(200));
    }
    client.expect(PONG, "p");
    client.expect(TEXT, "grüße");
}

#[test]
fn many_frames_at_a_time() {
    let server = echo();
    let mut client = Client::connect(server.port());
    let frames = (0..1000).flat_map(|number| Frame::new(TEXT, number.to_string()).bytes()).collect::<Vec<u8>>();
    client.send_bytes(&frames);
    for number in 0..1000 {
        client.expect(TEXT, number.to_string());
    }
}

#[test]
fn a_message_behind_the_handshake_at_once() {
    let server = echo();
    let mut stream = tcp(server.port());
    let early = Frame { mask: Some([0; 4]), ..Frame::new(TEXT, "early") };
    stream.write_all(&[request("").into_bytes(), early.bytes()].concat()).expect("both are sent");
    let mut client = Client::shake(stream, "").unwrap_or_else(|answer| panic!("{answer}"));
    client.expect(TEXT, "early");
}

#[test]
fn fragments() {
    let server = echo();
    let mut client = Client::connect(server.port());
    // Parts and control frames in between; what comes back, in order.
    let text = "fünf Wörter, in vielen Teilen";
    for size in 1..text.len() {
        let mut parts = text.as_bytes().chunks(size).map(|part| Frame::part(CONTINUATION, part)).collect::<Vec<_>>();
        parts[0].opcode = TEXT;
        parts.push(Frame::new(CONTINUATION, ""));
        parts.insert(1, Frame::new(PING, "between"));
        parts.insert(1, Frame::part(CONTINUATION, ""));
        parts.insert(1, Frame::new(PONG, "nobody asked"));
        for part in parts {
            client.send(part);
        }
        client.expect(PONG, "between");
        client.expect(TEXT, text);
    }
    client.send(Frame::part(BINARY, vec![1; 300]));
    // Answered before the message is complete.
    client.send(Frame::new(PING, "still there?"));
    client.expect(PONG, "still there?");
    client.send(Frame::new(CONTINUATION, vec![2; 300]));
    client.expect(BINARY, [[1; 300], [2; 300]].concat());
}

#[test]
fn pings() {
    let server = echo();
    let mut client = Client::connect(server.port());
    for length in 0..=125 {
        let payload = vec![length; length.into()];
        client.send(Frame::new(PING, payload.clone()));
        client.expect(PONG, payload);
    }
    client.send(Frame::new(PONG, "nobody asked"));
    client.send(Frame::new(TEXT, "on"));
    client.expect(TEXT, "on");
}

/// Frames, and the code that they are answered with. What they begin with that is right is answered first.
fn refused(frames: &[Frame], expected: u16) {
    let bytes: Vec<u8> = frames.iter().flat_map(Frame::bytes).collect();
    refused_bytes(&bytes, expected, &format!("{:02x?}", &bytes[..bytes.len().min(40)]));
}

fn refused_bytes(bytes: &[u8], expected: u16, what: &str) {
    let server = echo();
    let mut client = Client::connect(server.port());
    client.send_bytes(bytes);
    assert_eq!(client.expect_close(), expected, "{what}");
}

#[test]
fn frames_that_break_the_protocol() {
    let unmasked = Frame { mask: None, ..Frame::new(TEXT, "bare") };
    refused(&[unmasked], PROTOCOL_ERROR);
    for bit in [1, 2, 4] {
        refused(&[Frame { reserved: bit, ..Frame::new(TEXT, "reserved") }], PROTOCOL_ERROR);
        refused(&[Frame { reserved: bit, ..Frame::new(PING, "reserved") }], PROTOCOL_ERROR);
    }
    for opcode in (3..=7).chain(11..=15) {
        refused(&[Frame::new(opcode, "")], PROTOCOL_ERROR);
        refused(&[Frame::new(opcode, "payload")], PROTOCOL_ERROR);
    }
    for opcode in [CLOSE, PING, PONG] {
        refused(&[Frame::part(opcode, "")], PROTOCOL_ERROR);
        refused(&[Frame::new(opcode, vec![b'x'; 126])], PROTOCOL_ERROR);
    }
    refused(&[Frame::new(CONTINUATION, "of what?")], PROTOCOL_ERROR);
    refused(&[Frame::part(CONTINUATION, "of what?")], PROTOCOL_ERROR);
    refused(&[Frame::part(TEXT, "a"), Frame::new(TEXT, "b")], PROTOCOL_ERROR);
    refused(&[Frame::part(TEXT, "a"), Frame::part(BINARY, "b")], PROTOCOL_ERROR);
}

#[test]
fn lengths_in_more_bytes_than_they_need() {
    let frame = Frame::new(TEXT, "short");
    let long = |length: &[u8]| frame.bytes_with_length(length);
    refused_bytes(&long(&[126, 0, 5]), PROTOCOL_ERROR, "5 in two bytes");
    refused_bytes(&long(&[127, 0, 0, 0, 0, 0, 0, 0, 5]), PROTOCOL_ERROR, "5 in eight bytes");
    let frame = Frame::new(BINARY, vec![0; 300]);
    refused_bytes(&frame.bytes_with_length(&[127, 0, 0, 0, 0, 0, 0, 1, 44]), PROTOCOL_ERROR, "300 in eight bytes");
}

#[test]
fn what_was_right_before_is_answered() {
    let server = echo();
    let mut client = Client::connect(server.port());
    let frames = [Frame::new(TEXT, "right"), Frame::new(CONTINUATION, "wrong")];
    client.send_bytes(&frames.iter().flat_map(Frame::bytes).collect::<Vec<u8>>());
    client.expect(TEXT, "right");
    assert_eq!(client.expect_close(), PROTOCOL_ERROR);
}

#[test]
fn texts_that_are_no_utf8() {
    let whole: [&[u8]; 8] = [
        b"\xff",
        b"a\x80",
        // Cut, overlong, a surrogate, beyond the last character.
        b"gr\xc3",
        b"\xc0\xaf",
        b"\xe0\x80\xaf",
        b"\xed\xa0\x80",
        b"\xf4\x90\x80\x80",
        b"\xf8\x88\x80\x80\x80",
    ];
    for text in whole {
        refused(&[Frame::new(TEXT, text)], INVALID_DATA);
        refused(&[Frame::part(TEXT, "before "), Frame::new(CONTINUATION, text)], INVALID_DATA);
        refused(&[Frame::part(TEXT, text), Frame::new(CONTINUATION, "")], INVALID_DATA);
    }
    // As soon as it is certain: with more fragments to come, and even within a frame.
    refused(&[Frame::part(TEXT, b"wrong: \xff")], INVALID_DATA);
    let bytes = Frame::new(TEXT, [&b"wrong: \xff"[..], &[b'x'; 100]].concat()).bytes();
    refused_bytes(&bytes[..20], INVALID_DATA, "the beginning of a frame");
    // All of these are right.
    let server = echo();
    let mut client = Client::connect(server.port());
    for text in ["\u{0}", "\u{7f}\u{80}", "\u{7ff}\u{800}", "\u{ffff}\u{10000}", "\u{10ffff}"] {
        client.send(Frame::new(TEXT, text));
        client.expect(TEXT, text);
    }
    client.send(Frame::new(BINARY, [0xff, 0xc0]));
    client.expect(BINARY, [0xff, 0xc0]);
}

#[test]
fn close_codes() {
    let valid = [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999];
    for code in valid {
        refused(&[Frame::close(code, b"")], code);
        refused(&[Frame::close(code, "gründlich".as_bytes())], code);
    }
    for code in [0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535] {
        refused(&[Frame::close(code, b"")], PROTOCOL_ERROR);
    }
    refused(&[Frame::new(CLOSE, "")], 0);
    refused(&[Frame::new(CLOSE, [3])], PROTOCOL_ERROR);
    refused(&[Frame::close(1000, b"\xff")], INVALID_DATA);
    refused(&[Frame::close(1000, &[b'x'; 123])], 1000);
    refused(&[Frame::close(1000, &[b'x'; 124])], PROTOCOL_ERROR);
    // Within a message; and what follows a close frame is nobody's.
    refused(&[Frame::part(TEXT, "unfinished"), Frame::close(1001, b"")], 1001);
    refused(&[Frame::close(1000, b""), Frame::new(TEXT, "late"), Frame::new(PING, "late")], 1000);
}

#[test]
fn messages_over_the_limit() {
    let server = serve(|config| {
        config.echo = true;
        config.max_frame_size = 1000;
    });
    for (parts, expected) in [
        (vec![1000], None),
        (vec![1001], Some(TOO_BIG)),
        (vec![600, 400], None),
        (vec![600, 401], Some(TOO_BIG)),
        (vec![1; 1000], None),
        (vec![1; 1001], Some(TOO_BIG)),
    ] {
        let mut client = Client::connect(server.port());
        let mut frames: Vec<Frame> = parts.iter().map(|size| Frame::part(CONTINUATION, vec![7; *size])).collect();
        frames[0].opcode = BINARY;
        frames.last_mut().expect("a frame").fin = true;
        client.send_bytes(&frames.iter().flat_map(Frame::bytes).collect::<Vec<u8>>());
        match expected {
            None => client.expect(BINARY, vec![7; parts.iter().sum()]),
            Some(code) => assert_eq!(client.expect_close(), code, "{} parts of {}", parts.len(), parts[0]),
        }
    }
    // The length alone is enough; nothing of what it promises is waited for.
    let mut client = Client::connect(server.port());
    client.send_bytes(&Frame::new(BINARY, "").bytes_with_length(&[127, 0, 0, 0, 0xff, 0, 0, 0, 0]));
    assert_eq!(client.expect_close(), TOO_BIG);
}

#[test]
fn the_server_closes() {
    let server = serve(|_| {});
    let mut client = Client::connect(server.port());
    let id = event(&server).client;
    server.send(id, gwsocket::Kind::Text, b"before").expect("a client");
    server.close(id, 4001, "enough").expect("a client");
    assert!(server.send(id, gwsocket::Kind::Text, b"after").is_err(), "nothing follows a close frame");
    client.expect(TEXT, "before");
    client.expect(CLOSE, [&4001u16.to_be_bytes()[..], b"enough"].concat());
    // What the client has still to say arrives; its close frame is the end, and not answered once more.
    client.send(Frame::new(TEXT, "wait"));
    assert_eq!(event(&server).data, "wait");
    client.send(Frame::close(4001, b""));
    client.expect_end();
    assert_eq!(event(&server).kind, gwsocket::EventKind::Close);
}

#[test]
fn the_server_stops() {
    let server = serve(|_| {});
    let mut clients: Vec<Client> = (0..5).map(|_| Client::connect(server.port())).collect();
    let (start, stopping) = (Instant::now(), thread::spawn(move || server.stop()));
    for client in &mut clients {
        let (opcode, payload) = client.receive();
        assert_eq!((opcode, &payload[..2]), (CLOSE, &1001u16.to_be_bytes()[..]));
        client.send(Frame::close(1001, b""));
        client.expect_end();
    }
    stopping.join().expect("it stops");
    assert!(start.elapsed() < Duration::from_secs(3), "all have answered, so nobody is waited for");
}

#[test]
fn handshakes_that_are_refused() {
    let server = serve(|config| {
        config.origin = Some("https://ticks.example".to_owned());
        config.max_clients = 1;
    });
    let status = |request: &str| match Client::shake(tcp(server.port()), request) {
        Ok(_) => 101,
        Err(answer) => {
            assert!(answer.ends_with('\n') && answer.contains("Connection: close"), "{answer}");
            answer.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or_else(|| panic!("{answer}"))
        }
    };
    let origin = "Origin: https://ticks.example\r\n";
    assert_eq!(status(&request("")), 403);
    assert_eq!(status(&request("Origin: https://elsewhere.example\r\n")), 403);
    assert_eq!(status("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"), 426);
    assert_eq!(status(&request(origin).replace("Version: 13", "Version: 7")), 426);
    assert_eq!(status(&request(origin).replace("GET", "POST")), 405);
    assert_eq!(status("nonsense\r\n\r\n"), 400);
    assert_eq!(status(&request(&format!("X: {}\r\n", "x".repeat(20_000)))), 431);
    assert_eq!(status(&request(&"X: x\r\n".repeat(100))), 431);
    let client = Client::shake(tcp(server.port()), &request(origin)).unwrap_or_else(|answer| panic!("{answer}"));
    assert_eq!(status(&request(origin)), 503);
    // One that connects while there is room, and asks when there is none; and the other way round.
    let early = tcp(server.port());
    drop(client);
    support::until("the first has gone", || server.stats().clients == 0);
    let waiting = tcp(server.port());
    let client = Client::shake(early, &request(origin)).unwrap_or_else(|answer| panic!("{answer}"));
    let refused = Client::shake(waiting, &request(origin)).err().expect("there is no room");
    assert!(refused.starts_with("HTTP/1.1 503 "), "{refused}");
    drop(client);
    assert_eq!(server.stats().refused, 10);
}

#[test]
fn handshakes_that_take_too_long() {
    let server = serve(|config| config.handshake_timeout = Duration::from_millis(300));
    for begin in ["", "GET / HTTP/1.1\r\nHost: local"] {
        let start = Instant::now();
        let answer = Client::shake(tcp(server.port()), begin).err().expect("no client");
        assert_eq!(answer, "", "it is dropped without an answer");
        assert!(start.elapsed() < Duration::from_secs(20), "{:?}", start.elapsed());
    }
    support::until("both are counted", || server.stats().refused == 2);
}

#[test]
fn clients_that_are_silent() {
    let server = serve(|config| config.ping_interval = Duration::from_secs(1));
    let (mut silent, mut answering) = (Client::connect(server.port()), Client::connect(server.port()));
    for _ in 0..3 {
        let (opcode, payload) = answering.receive();
        assert_eq!(opcode, PING);
        answering.send(Frame::new(PONG, payload));
    }
    silent.expect(PING, "");
    silent.expect_end();
    assert_eq!(server.stats().clients, 1);
}
