//! What the tests share: a client of raw frames, and the program with pipes.

// Each test binary uses a part of it.
#![allow(dead_code)]

pub(crate) mod client;
pub(crate) mod program;

use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use gwsocket::{Config, Event, Listen, Server, Slow};

/// How long to wait for what must come. The emulator is slow.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A big number, as far as the machine is fast enough for it.
pub(crate) fn scaled(number: usize) -> usize {
    if cfg!(target_arch = "aarch64") { number / 20 } else { number }
}

/// Waits until something is so.
///
/// # Panics
/// If it is not within [`PATIENCE`].
pub(crate) fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < PATIENCE, "not within {PATIENCE:?}: {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// A server in this process, on a port of 127.0.0.1 that the system chooses.
pub(crate) fn serve(change: impl FnOnce(&mut Config)) -> Server {
    let mut config = Config::default();
    config.listen = Listen::Tcp { addr: Some(Ipv4Addr::LOCALHOST.into()), port: 0 };
    change(&mut config);
    Server::open(config).expect("a server")
}

/// A server that echoes.
pub(crate) fn echo() -> Server {
    serve(|config| config.echo = true)
}

/// The next event of a server.
pub(crate) fn event(server: &Server) -> Event {
    server.wait(PATIENCE).expect("an event")
}

/// A server's configuration with a policy, for [`serve`].
pub(crate) fn slow(policy: Slow) -> impl FnOnce(&mut Config) {
    move |config| config.slow = policy
}
