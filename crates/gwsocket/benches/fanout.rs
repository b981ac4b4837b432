//! Broadcasts to many clients: what a message costs the server, how long it takes from the pipe to a client, what an idle
//! client keeps. Beside npm's `ws` in Node, under the same load in the same run, where `GWSOCKET_NODE_MODULES` names a folder
//! with it.
//!
//! ```sh
//! npm install --prefix /tmp/peer ws
//! GWSOCKET_NODE_MODULES=/tmp/peer/node_modules cargo bench -p jitcall-gwsocket
//! ```
//!
//! Messages are written to the server's input pipe one by one, at even intervals, in strict mode. Their payload has a number
//! and the time of writing; clients check the numbers, and note times (of a thousand, every tenth). Processor time is what the system counted
//! for the server's process, in its kernel too. A number behind `--` runs one load alone;
//! `GWSOCKET_OPTIONS` has more options for the server.

#[path = "../tests/support/mod.rs"]
mod support;

use std::fs::{self, File, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use gwsocket::allow_descriptors;
use support::client::shaken;
use support::program::processor_time;
use tokio::io::AsyncReadExt;

/// Bytes of a message: a number, a time, and the rest of a tick.
const PAYLOAD: usize = 64;

struct Load {
    clients: usize,
    /// Messages per second, and for how long.
    rate: u32,
    seconds: u32,
    /// Whether there are two more clients: one that reads nothing, and one that vanishes.
    strangers: bool,
}

const LOADS: [Load; 7] = [
    Load { clients: 10, rate: 1_000, seconds: 5, strangers: false },
    Load { clients: 100, rate: 500, seconds: 5, strangers: false },
    Load { clients: 1_000, rate: 50, seconds: 5, strangers: false },
    Load { clients: 200, rate: 1_000, seconds: 5, strangers: false },
    Load { clients: 1_000, rate: 200, seconds: 5, strangers: false },
    Load { clients: 100, rate: 10_000, seconds: 5, strangers: false },
    Load { clients: 1_000, rate: 10_000, seconds: 30, strangers: true },
];

/// What `ws` can do at all: deliveries per second. It is left out of heavier loads, which it would only queue.
const MOST_OF_WS: u64 = 1_000_000;

struct Outcome {
    delivered: u64,
    processor: f64,
    /// Milliseconds, sorted.
    latencies: Vec<f64>,
    /// Bytes per idle client, and of the process at the end.
    memory: f64,
    all_memory: f64,
}

impl Outcome {
    fn per_second(&self) -> f64 {
        self.delivered as f64 / self.processor
    }

    fn latency(&self, share: f64) -> f64 {
        let last = self.latencies.len().saturating_sub(1);
        self.latencies.get((last as f64 * share) as usize).copied().unwrap_or(f64::NAN)
    }
}

/// A server's process, its pipe and its port.
struct Server {
    process: Child,
    pipe: File,
    port: u16,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn folder() -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("fanout-{}", std::process::id()));
    fs::create_dir_all(&folder).expect("the folder for pipes");
    folder
}

fn ours() -> Server {
    let (input, output) = (folder().join("in"), folder().join("out"));
    let mut process = Command::new(env!("CARGO_BIN_EXE_gwsocket"))
        .args(["--strict", "--port=0", "--addr=127.0.0.1", "--ping-interval=3600"])
        .arg(format!("--pipein={}", input.display()))
        .arg(format!("--pipeout={}", output.display()))
        .args(std::env::var("GWSOCKET_OPTIONS").unwrap_or_default().split_whitespace())
        .stderr(Stdio::piped())
        .spawn()
        .expect("gwsocket");
    let mut lines = BufReader::new(process.stderr.take().expect("its standard error")).lines();
    let line = lines.next().expect("a line").expect("a line");
    let port = line.rsplit(':').next().and_then(|port| port.parse().ok()).unwrap_or_else(|| panic!("{line}"));
    thread::spawn(move || lines.map_while(Result::ok).for_each(|line| eprintln!("{line}")));
    let pipe = OpenOptions::new().write(true).open(input).expect("the pipe");
    Server { process, pipe, port }
}

fn ws() -> Option<Server> {
    std::env::var_os("GWSOCKET_NODE_MODULES")?;
    let input = folder().join("ws");
    let _ = fs::remove_file(&input);
    assert!(Command::new("mkfifo").arg(&input).status().is_ok_and(|status| status.success()), "mkfifo");
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/ws.mjs");
    let mut process = Command::new("node").arg(script).arg(&input).stdout(Stdio::piped()).spawn().expect("node");
    let mut line = String::new();
    BufReader::new(process.stdout.take().expect("its output")).read_line(&mut line).expect("a line");
    let port = line.trim().parse().unwrap_or_else(|_| panic!("ws: {line}"));
    let pipe = OpenOptions::new().write(true).open(input).expect("the pipe");
    Some(Server { process, pipe, port })
}

impl Server {
    /// Seconds of processor time so far.
    fn processor(&self) -> f64 {
        processor_time(self.process.id())
    }

    fn memory(&self) -> f64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.process.id())).expect("its status");
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("its memory");
        line.split_whitespace().nth(1).and_then(|kib| kib.parse::<f64>().ok()).expect("a number") * 1024.0
    }
}

fn connect(port: u16) -> TcpStream {
    let stream = shaken(port);
    stream.set_nonblocking(true).expect("a stream that does not block");
    stream
}

/// Reads all messages, which must be numbered from 0, and notes how long they took if it is told to.
async fn read(stream: TcpStream, messages: u64, start: Instant, delivered: Arc<AtomicU64>, note: bool) -> Vec<f64> {
    let mut stream = tokio::net::TcpStream::from_std(stream).expect("a stream");
    let (mut buffer, mut filled, mut next) = (vec![0; 64 * 1024], 0, 0);
    let mut latencies = Vec::new();
    // Two bytes of header stand before a payload that is shorter than 126.
    const FRAME: usize = 2 + PAYLOAD;
    while next < messages {
        let n = stream.read(&mut buffer[filled..]).await.expect("frames");
        assert!(n > 0, "the server closed a connection after {next} messages");
        let now = start.elapsed().as_nanos() as u64;
        filled += n;
        let mut at = 0;
        let before = next;
        while filled - at >= FRAME {
            let word = |offset: usize| u64::from_be_bytes(buffer[at + offset..][..8].try_into().expect("8 bytes"));
            assert_eq!(word(2), next, "a message is lost, or out of order");
            if note {
                latencies.push((now - word(10)) as f64 / 1e6);
            }
            next += 1;
            at += FRAME;
        }
        buffer.copy_within(at..filled, 0);
        filled -= at;
        delivered.fetch_add(next - before, Ordering::Relaxed);
    }
    latencies
}

fn run(mut server: Server, load: &Load) -> Outcome {
    let idle = server.memory();
    let clients: Vec<_> = (0..load.clients).map(|_| connect(server.port)).collect();
    thread::sleep(Duration::from_millis(300));
    let memory = (server.memory() - idle) / load.clients as f64;

    // One that never reads, and one that resets its connection after a second.
    let _idler = load.strangers.then(|| connect(server.port));
    let vanishing = load.strangers.then(|| connect(server.port));
    let vanishing = thread::spawn(move || {
        if let Some(stream) = vanishing {
            thread::sleep(Duration::from_secs(1));
            let _ = socket2::SockRef::from(&stream).set_linger(Some(Duration::ZERO));
        }
    });

    let messages = u64::from(load.rate) * u64::from(load.seconds);
    let (start, delivered) = (Instant::now(), Arc::new(AtomicU64::new(0)));
    let reading = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let entered = reading.enter();
    let readers: Vec<_> = clients
        .into_iter()
        .enumerate()
        .map(|(index, stream)| {
            reading.spawn(read(stream, messages, start, Arc::clone(&delivered), load.clients <= 100 || index % 10 == 5))
        })
        .collect();
    drop(entered);
    let before = server.processor();
    let mut pipe = server.pipe.try_clone().expect("the pipe");
    let interval = Duration::from_secs(1) / load.rate;
    let writer = thread::spawn(move || {
        let mut record = [0; 12 + PAYLOAD];
        record[4..8].copy_from_slice(&2u32.to_be_bytes());
        record[8..12].copy_from_slice(&(PAYLOAD as u32).to_be_bytes());
        for number in 0..messages {
            let due = interval * number as u32;
            if let Some(early) = due.checked_sub(start.elapsed()) {
                thread::sleep(early);
            }
            record[12..20].copy_from_slice(&number.to_be_bytes());
            record[20..28].copy_from_slice(&(start.elapsed().as_nanos() as u64).to_be_bytes());
            pipe.write_all(&record).expect("the pipe takes a message");
        }
    });
    let mut latencies = Vec::new();
    reading.block_on(async {
        for reader in readers {
            latencies.extend(reader.await.expect("all messages"));
        }
    });
    writer.join().expect("the writer");
    vanishing.join().expect("the one that vanishes");
    let (processor, all_memory) = (server.processor() - before, server.memory());
    latencies.sort_by(f64::total_cmp);
    let _ = server.pipe.flush();
    Outcome { delivered: delivered.load(Ordering::Relaxed), processor, latencies, memory, all_memory }
}

fn main() {
    allow_descriptors();
    let row = |name: &str, outcome: &Outcome| {
        println!(
            "    {name:<9} {:>10} delivered, {:>9.0} per processor second, latency {:>6.2} ms (99%: {:>6.2}), {:>5.1} KiB per idle client, {:.0} MiB at the end",
            outcome.delivered,
            outcome.per_second(),
            outcome.latency(0.5),
            outcome.latency(0.99),
            outcome.memory / 1024.0,
            outcome.all_memory / f64::from(1 << 20),
        );
    };
    let only = std::env::args().nth(1).and_then(|index| index.parse::<usize>().ok());
    for (index, load) in LOADS.iter().enumerate() {
        if only.is_some_and(|only| only != index) {
            continue;
        }
        let more = if load.strangers { ", beside one that reads nothing and one that vanishes" } else { "" };
        let Load { clients, rate, seconds, .. } = load;
        println!("{clients} clients, {rate} messages of {PAYLOAD} bytes a second for {seconds} s{more}");
        let ours = run(ours(), load);
        row("gwsocket", &ours);
        if load.clients as u64 * u64::from(load.rate) > MOST_OF_WS {
            println!("    ws        left out: more than it can deliver");
            continue;
        }
        match ws() {
            Some(server) => {
                let ws = run(server, load);
                row("ws", &ws);
                println!(
                    "    gwsocket / ws: {:.1} times the messages per processor second",
                    ours.per_second() / ws.per_second()
                );
            }
            None => println!("    ws        left out: GWSOCKET_NODE_MODULES does not name a folder with it"),
        }
    }
    let _ = fs::remove_dir_all(folder());
}
