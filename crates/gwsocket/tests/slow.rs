//! Clients that do not keep up, or vanish: the others lose nothing, memory is bounded, and what is lost is counted.

mod support;

use std::fs;
use std::net::TcpStream;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use gwsocket::{EventKind, Kind, Server, Slow};
use support::client::{BINARY, CLOSE, Client, Frame, TEXT, request, shaken, tcp};
use support::{event, scaled, serve, slow, until};

/// Bytes of a message.
const SIZE: usize = 1024;

/// How many messages the fast client may be behind in these tests.
const WINDOW: u64 = 512;

fn payload(number: u64) -> Vec<u8> {
    let mut payload = vec![b'.'; SIZE];
    payload[..8].copy_from_slice(&number.to_be_bytes());
    payload
}

fn number(payload: &[u8]) -> u64 {
    u64::from_be_bytes(payload[..8].try_into().expect("a number"))
}

/// Broadcasts messages, which one client reads all, in order, and as fast as they come.
fn broadcast(server: &Server, fast: &mut Client, numbers: std::ops::Range<u64>) {
    let (first, read) = (numbers.start, AtomicU64::new(numbers.start));
    thread::scope(|scope| {
        let (read, end) = (&read, numbers.end);
        scope.spawn(move || {
            for number in first..end {
                fast.expect(BINARY, payload(number));
                read.store(number + 1, Ordering::Relaxed);
            }
        });
        for number in numbers {
            while number - read.load(Ordering::Relaxed) > WINDOW {
                thread::sleep(Duration::from_micros(50));
            }
            server.broadcast(Kind::Binary, &payload(number)).expect("a message");
        }
    });
}

/// Broadcasts until a client that does not read is throttled, and no further: it has five seconds from then on, however slow
/// the machine is. Gives how many messages there were.
fn broadcast_until_throttled(server: &Server, fast: &mut Client) -> u64 {
    let mut count = 0;
    while server.stats().throttled == 0 {
        assert!(count < 12_000, "{count} messages did not throttle it");
        broadcast(server, fast, count..count + 100);
        count += 100;
    }
    count
}

/// KiB of memory that this process has.
fn memory() -> usize {
    let status = fs::read_to_string("/proc/self/status").expect("its status");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("its memory");
    line.trim().trim_end_matches(" kB").parse().expect("a number")
}

/// A client that has little room in the system for what it does not read.
fn idler(port: u16) -> Client {
    let stream = tcp(port);
    socket2::SockRef::from(&stream).set_recv_buffer_size(16 << 10).expect("a small buffer");
    Client::shake(stream, &request("")).unwrap_or_else(|answer| panic!("{answer}"))
}

#[test]
fn one_that_does_not_read_is_dropped() {
    let server = serve(slow(Slow::Drop));
    let (mut fast, mut idle) = (Client::connect(server.port()), idler(server.port()));
    let before = memory();
    let count = 40_000;
    broadcast(&server, &mut fast, 0..count);
    until("the other is dropped", || server.stats().dropped_clients == 1);
    let stats = server.stats();
    assert_eq!((stats.throttled, stats.dropped_messages), (1, 0));
    let grown = memory().saturating_sub(before);
    assert!(grown < 64 << 10, "{grown} KiB more");
    // What it gets in the end is whole messages from the first, and why it was dropped.
    let mut next = 0;
    let reason = loop {
        let (opcode, bytes) = idle.receive();
        if opcode == CLOSE {
            break bytes;
        }
        assert_eq!((opcode, number(&bytes)), (BINARY, next));
        next += 1;
    };
    assert!(next < count, "{next}");
    assert_eq!(reason[..2], 1008u16.to_be_bytes());
    let reason = String::from_utf8_lossy(&reason[2..]).into_owned();
    assert!(reason.starts_with("too slow: ") && reason.ends_with(" bytes behind"), "{reason}");
    // Its answer is heard, if it is in time.
    if server.stats().clients == 2 {
        idle.send(Frame::close(1008, b""));
        idle.expect_end();
    }
    broadcast(&server, &mut fast, count..count + 10);
}

#[test]
fn one_that_does_not_read_gets_the_newest() {
    let server = serve(slow(Slow::DropOldest));
    let (mut fast, mut idle) = (Client::connect(server.port()), idler(server.port()));
    let before = memory();
    let count = 40_000;
    broadcast(&server, &mut fast, 0..count);
    let grown = memory().saturating_sub(before);
    assert!(grown < 64 << 10, "{grown} KiB more");
    // It gets on reading what is left, in order; nothing but what was counted is missing.
    let (mut seen, mut next) = (0, 0);
    while next < count {
        let (opcode, bytes) = idle.receive();
        assert_eq!(opcode, BINARY);
        assert!(number(&bytes) >= next, "{} after {next}", number(&bytes));
        (seen, next) = (seen + 1, number(&bytes) + 1);
    }
    let stats = server.stats();
    assert_eq!(stats.dropped_messages, count - seen);
    assert!(stats.dropped_messages > 0 && seen * SIZE as u64 > 1 << 20, "{seen} of {count}");
    assert_eq!((stats.dropped_clients, stats.clients), (0, 2));
    // And it is a client like others from then on.
    server.broadcast(Kind::Text, b"on").expect("a message");
    idle.expect(TEXT, "on");
    fast.expect(TEXT, "on");
}

#[test]
fn one_that_goes_on_reading_is_kept() {
    let server = serve(slow(Slow::Drop));
    let (mut fast, mut reading) = (Client::connect(server.port()), Client::connect(server.port()));
    let idle = idler(server.port());
    let count = 14_000;
    // A megabyte a second, or less until it is throttled, is slow, but not too slow.
    let start = Instant::now();
    thread::scope(|scope| {
        scope.spawn(|| {
            for number in 0..count {
                if number % 100 == 0 && server.stats().throttled < 2 {
                    thread::sleep(Duration::from_millis(500));
                } else if number % 100 == 0 && start.elapsed() < Duration::from_secs(7) {
                    thread::sleep(Duration::from_millis(100));
                }
                reading.expect(BINARY, payload(number));
            }
        });
        broadcast(&server, &mut fast, 0..count);
        until("both are throttled", || server.stats().throttled == 2);
    });
    until("one is dropped", || server.stats().dropped_clients == 1);
    assert!(start.elapsed() > Duration::from_secs(5));
    server.broadcast(Kind::Text, b"on").expect("a message");
    reading.expect(TEXT, "on");
    drop(idle);
}

#[test]
fn one_that_is_throttled_can_be_closed() {
    let server = serve(slow(Slow::Drop));
    let (mut fast, mut late) = (Client::connect(server.port()), idler(server.port()));
    let id = event(&server).client + 1;
    let count = broadcast_until_throttled(&server, &mut fast);
    server.close(id, 4000, "").expect("a client");
    for number in 0..count {
        late.expect(BINARY, payload(number));
    }
    assert_eq!(late.expect_close_first(), 4000);
    late.send(Frame::close(4000, b""));
    let start = Instant::now();
    late.expect_end();
    assert!(start.elapsed() < Duration::from_secs(3), "its answer is heard at once, not after {:?}", start.elapsed());
}

#[test]
fn messages_for_one_alone_are_bounded_too() {
    let server = serve(slow(Slow::DropOldest));
    let mut idle = idler(server.port());
    let id = event(&server).client;
    let count = 8_000;
    for number in 0..count {
        server.send(id, Kind::Binary, &payload(number)).expect("a client");
    }
    until("some are left out", || server.stats().dropped_messages > 0);
    let (mut seen, mut next) = (0, 0);
    while next < count {
        let (_, bytes) = idle.receive();
        assert!(number(&bytes) >= next);
        (seen, next) = (seen + 1, number(&bytes) + 1);
    }
    assert_eq!(server.stats().dropped_messages, count - seen);
}

#[test]
fn one_that_is_behind_for_a_moment_gets_all() {
    let server = serve(slow(Slow::Drop));
    let (mut fast, mut late) = (Client::connect(server.port()), idler(server.port()));
    let count = broadcast_until_throttled(&server, &mut fast);
    for number in 0..count {
        late.expect(BINARY, payload(number));
    }
    // What it says is read again.
    late.send(Frame::new(TEXT, "here I am"));
    until("it is heard", || server.stats().messages_received == 1);
    assert_eq!(server.stats().dropped_clients, 0);
}

#[test]
fn those_who_vanish_do_no_harm() {
    let server = serve(slow(Slow::Drop));
    let mut fast = Client::connect(server.port());
    for round in 0..10 {
        let vanishing: Vec<TcpStream> = (0..5)
            .map(|_| {
                let stream = shaken(server.port());
                // A reset instead of an end.
                socket2::SockRef::from(&stream).set_linger(Some(Duration::ZERO)).expect("no lingering");
                stream
            })
            .collect();
        let numbers = |half: u64| (round * 200 + half * 100)..(round * 200 + half * 100 + 100);
        broadcast(&server, &mut fast, numbers(0));
        drop(vanishing);
        broadcast(&server, &mut fast, numbers(1));
    }
    until("one is left", || server.stats().clients == 1);
    let stats = server.stats();
    assert_eq!((stats.opened, stats.closed), (51, 50));
    let mut kinds = std::iter::from_fn(|| server.poll()).map(|event| event.kind).collect::<Vec<_>>();
    kinds.sort_by_key(|kind| kind.code());
    assert_eq!(kinds, [vec![EventKind::Close; 50], vec![EventKind::Open; 51]].concat());
}

#[test]
fn one_order_for_all() {
    let server = serve(|_| {});
    let mut clients: Vec<Client> = (0..4).map(|_| Client::connect(server.port())).collect();
    let ids: Vec<u32> = clients.iter().map(|_| event(&server).client).collect();
    let (threads, each) = (4, scaled(4_000) as u64);
    thread::scope(|scope| {
        for thread in 0..threads {
            let (server, ids) = (&server, &ids);
            scope.spawn(move || {
                for number in 0..each {
                    let text = format!("{thread} {number}");
                    server.broadcast(Kind::Text, text.as_bytes()).expect("a message");
                    if number % 10 == 0 {
                        // For one alone, between what this thread broadcasts.
                        server.send(ids[thread], Kind::Binary, text.as_bytes()).expect("a client");
                    }
                }
            });
        }
    });
    let mut orders = Vec::new();
    for (index, client) in clients.iter_mut().enumerate() {
        let mut order = Vec::new();
        let mut alone = 0;
        while order.len() < threads * each as usize || alone < each.div_ceil(10) {
            let (opcode, text) = client.receive();
            let text = String::from_utf8(text).expect("a text");
            if opcode == BINARY {
                // Behind its broadcast, and before the next one of that thread.
                let own = |text: &&String| text.starts_with(&format!("{index} "));
                assert_eq!(order.iter().rev().find(own), Some(&text));
                alone += 1;
            } else {
                order.push(text);
            }
        }
        orders.push(order);
    }
    assert!(orders.iter().all(|order| *order == orders[0]), "all clients get the same order");
    for thread in 0..threads {
        let own = orders[0].iter().filter(|text| text.starts_with(&format!("{thread} ")));
        assert!(own.enumerate().all(|(number, text)| *text == format!("{thread} {number}")));
    }
}

#[test]
fn rounds_lose_nothing() {
    // So many clients and messages that clients are woken in rounds.
    let server = serve(|config| config.coalesce = Duration::from_millis(5));
    let mut clients: Vec<Client> = (0..50).map(|_| Client::connect(server.port())).collect();
    let count = scaled(4_000) as u64;
    thread::scope(|scope| {
        scope.spawn(|| {
            for number in 0..count {
                server.broadcast(Kind::Binary, &number.to_be_bytes()).expect("a message");
                thread::sleep(Duration::from_micros(100));
            }
        });
        for client in &mut clients {
            scope.spawn(move || {
                for number in 0..count {
                    client.expect(BINARY, number.to_be_bytes());
                }
            });
        }
    });
}
