//! The examples for q in `docs/kdb.md` and `docs/gwsocket.md`: each line gives what the comment behind it says.
//!
//! The test plays their text, in sessions that have loaded `q/ffi.q`.

#[path = "examples/player.rs"]
mod player;
#[path = "examples/reader.rs"]
mod reader;
mod support;

use std::collections::HashSet;
use std::fs;
use std::io::Write;
use std::net::TcpStream;
use std::path::Path;
use std::time::{Duration, Instant};

use player::Player;
use support::{Library, built, q};

/// A block of the document: its lines with their numbers.
type Block = Vec<(usize, String)>;

fn read(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The blocks of a document in a language.
fn blocks(document: &str, language: &str) -> Vec<Block> {
    let document = read(&format!("../../{document}"));
    let mut lines = document.lines().map(str::to_owned).zip(1..).map(|(line, number)| (number, line));
    let mut blocks = Vec::new();
    while let Some((_, line)) = lines.next() {
        if line.strip_prefix("```") == Some(language) {
            blocks.push(lines.by_ref().take_while(|(_, line)| line != "```").collect());
        }
    }
    blocks
}

/// Plays a block, and says which of its lines give something else.
fn play(document: &str, block: &Block) -> Vec<String> {
    q(|q| {
        let player = Player::new(q);
        player.load(&read("q/ffi.q"));
        let failures = block.iter().filter_map(|(number, line)| {
            let failure = failure(&player, line).map(|shown| format!("{document}:{number}: {line}\n  gives {shown}"));
            // q is at its prompt again: its main loop calls what waits for descriptors.
            while q.turn(0) > 0 {}
            failure
        });
        failures.collect()
    })
}

/// What is wrong with a line: its last expression gives what the comment does not say, or fails where there is none.
fn failure(player: &Player<'_>, line: &str) -> Option<String> {
    let (expressions, comment) = reader::read(line);
    let last = expressions.iter().fold(None, |_, expression| Some(player.play(expression)))?;
    let shown = match &last {
        Ok(value) => format!("{value:?}"),
        Err(text) => format!("'{text}"),
    };
    let printed = player.take_printed().join("; ");
    let shown = if printed.is_empty() { shown } else { printed };
    let is_right = match comment {
        None => last.is_ok(),
        // The beginning will do.
        Some(comment) => comment.strip_suffix("..").map_or(comment == shown, |begin| shown.starts_with(begin)),
    };
    (!is_right).then_some(shown)
}

/// Plays all blocks of a document.
fn check(document: &str, least: usize) {
    let blocks = blocks(document, "q");
    assert!(blocks.len() >= least, "there are {} examples", blocks.len());
    let failures: Vec<String> = blocks.iter().flat_map(|block| play(document, block)).collect();
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn the_document_tells_the_truth() {
    check("docs/kdb.md", 10);
}

#[test]
fn q_has_websockets() {
    // The examples name the library alone.
    let _library = Library::open(&built("libgwsocket.so"), libc::RTLD_NOW);
    check("docs/gwsocket.md", 1);
}

/// What a client does reaches a q function, when q's main loop sees that the descriptor is readable.
#[test]
fn clients_of_websockets_reach_q() {
    let _library = Library::open(&built("libgwsocket.so"), libc::RTLD_NOW);
    let document = blocks("docs/gwsocket.md", "q").remove(0);
    // The document's lines, up to the one that calls for events that are not there.
    let lines = document.into_iter().map(|(_, line)| line).take_while(|line| !line.contains("[server;got;::;0] / 0i"));
    q(|q| {
        let player = Player::new(q);
        player.load(&read("q/ffi.q"));
        lines.for_each(|line| assert_eq!(failure(&player, &line), None, "{line}"));
        let (port, _) = reader::read("first gw[`gwsocket_port]server");
        let port = format!("{:?}", player.play(&port[0]).expect("a port"));
        let mut client = TcpStream::connect(format!("127.0.0.1:{}", port.trim_end_matches('i'))).expect("a connection");
        let request = "GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                       Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
        // A text, masked with zeros.
        client.write_all(&[request.as_bytes(), b"\x81\x82\0\0\0\0hi"].concat()).expect("it is sent");
        let start = Instant::now();
        while failure(&player, "events / 16 1i").is_some() {
            assert!(start.elapsed() < Duration::from_secs(20), "{:?}", failure(&player, "events / 16 1i"));
            q.turn(10);
        }
        let end = ["sd0x (gw[`gwsocket_fd]server;0)", "gw[`gwsocket_close]server / 0i", ".ffi.free got / 1b"];
        end.iter().for_each(|line| assert_eq!(failure(&player, line), None, "{line}"));
    });
}

/// Examples that want a library which is not everywhere are read at least.
#[test]
fn the_rest_can_be_read() {
    let [played, elsewhere] = ["q", "q elsewhere"].map(|language| blocks("docs/kdb.md", language));
    elsewhere.iter().flatten().for_each(|(_, line)| _ = reader::read(line));
    let fences = read("../../docs/kdb.md").lines().filter(|line| line.starts_with("```q")).count();
    assert_eq!((elsewhere.len(), played.len() + elsewhere.len()), (1, fences));
}

/// What `ffi.q` defines is in the document by its name.
#[test]
fn every_name_is_documented() {
    let document = read("../../docs/kdb.md");
    let script = read("q/ffi.q");
    let definitions = script.lines().filter(|line| line.starts_with(".ffi."));
    let names: Vec<&str> = definitions.filter_map(|line| line.split(':').next()).collect();
    assert!(names.len() > 30, "{names:?}");
    let words = document.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '.');
    let words: HashSet<&str> = words.map(|word| word.trim_end_matches('.')).collect();
    let missing: Vec<&&str> =
        names.iter().filter(|name| !words.contains(*name) && **name != ".ffi.deprecated").collect();
    assert!(missing.is_empty(), "docs/kdb.md says nothing of {missing:?}");
}
