//! The program `gwsocket`: a server between pipes and browsers.

use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use gwsocket::options::Options;
use gwsocket::pipes::{self, Report};
use gwsocket::{Result, Server, allow_descriptors};
use tokio::signal::unix::{Signal, SignalKind, signal};

fn main() -> ExitCode {
    match run(Options::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("gwsocket: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: Options) -> Result<()> {
    allow_descriptors();
    // Signals end it from here on as they should, even while it starts.
    let waiting = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let entered = waiting.enter();
    let (terminate, interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    drop(entered);
    let server = Server::open(options.server.config())?;
    pipes::start(&server, &options.pipes, Report::new(|line| eprintln!("gwsocket: {line}")))?;
    eprintln!("gwsocket: listening on {}", server.address());
    waiting.block_on(until_told(&server, options.stats, terminate, interrupt));
    server.stop();
    Ok(())
}

/// Waits for the signal to end, and prints counters meanwhile.
async fn until_told(server: &Server, stats: Option<Duration>, mut terminate: Signal, mut interrupt: Signal) {
    let mut ticks = tokio::time::interval(stats.unwrap_or(Duration::from_secs(86400)));
    ticks.tick().await;
    loop {
        tokio::select! {
            _ = terminate.recv() => return,
            _ = interrupt.recv() => return,
            _ = ticks.tick() => if stats.is_some() {
                eprintln!("gwsocket: {}", server.stats());
            },
        }
    }
}
