//! What a server is told: where it listens, whom it lets in, what it allows.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

/// Where clients come in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Listen {
    /// A TCP port; 0 lets the system choose. Without an address it is every address of the machine, IPv4 and IPv6.
    Tcp {
        /// The address of one interface.
        addr: Option<IpAddr>,
        /// The port.
        port: u16,
    },
    /// A UNIX socket; a socket that is there already and that nobody listens on is replaced.
    Unix(PathBuf),
}

/// What a client meets that does not keep up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Slow {
    /// It is throttled: the server reads nothing from it until it has caught up. One that takes less than 512 KiB in 5 seconds
    /// then, or falls behind by [`MOST_BEHIND`](crate::MOST_BEHIND) bytes, is closed with code 1008.
    #[default]
    Drop,
    /// It stays, and the oldest messages that it has not got are left out and counted.
    DropOldest,
}

/// A certificate and its key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tls {
    /// PEM: the server's certificate, and those between it and the root.
    pub cert: PathBuf,
    /// PEM: its private key.
    pub key: PathBuf,
}

/// What a server is told. `Config::default()` is what the program `gwsocket` does without options, but for the pipes.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Config {
    /// Where clients come in: port 7890 of all interfaces.
    pub listen: Listen,
    /// TLS for TCP.
    pub tls: Option<Tls>,
    /// The only `Origin` that is let in.
    pub origin: Option<String>,
    /// The largest message either way, in bytes of payload: 1 MiB.
    pub max_frame_size: usize,
    /// Sends messages back to the client that they came from, and tells nobody of them.
    pub echo: bool,
    /// What a client meets that does not keep up.
    pub slow: Slow,
    /// How long a message may wait at most to be sent with others, which it does only where sending each by itself would take
    /// most of a processor's time: 20 ms. Zero: never.
    pub coalesce: Duration,
    /// How many threads serve clients: 1. One is enough to send some ten million messages a second to a thousand clients; more
    /// help where TLS encrypts for each of them.
    pub threads: usize,
    /// The file that a line is appended to for each client that comes, goes, or is refused.
    pub access_log: Option<PathBuf>,
    /// How many clients there may be at a time: 10,000.
    pub max_clients: usize,
    /// How long a client may take from connecting to the end of its handshake, TLS included: 10 s.
    pub handshake_timeout: Duration,
    /// A client that is silent for this long is pinged; one that stays silent as long again is dropped: 30 s.
    pub ping_interval: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: Listen::Tcp { addr: None, port: 7890 },
            tls: None,
            origin: None,
            max_frame_size: 1 << 20,
            echo: false,
            slow: Slow::Drop,
            coalesce: Duration::from_millis(20),
            threads: 1,
            access_log: None,
            max_clients: 10_000,
            handshake_timeout: Duration::from_secs(10),
            ping_interval: Duration::from_secs(30),
        }
    }
}
