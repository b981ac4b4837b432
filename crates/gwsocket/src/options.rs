//! The options of the program, and of `gwsocket_open` in C.

use std::ffi::OsString;
use std::net::{IpAddr, ToSocketAddrs};
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, ValueEnum};

use crate::config::{Config, Listen, Slow, Tls};
use crate::error::{Error, Result};

/// What the program is told.
#[derive(Debug, Clone, Parser)]
#[command(
    name = "gwsocket",
    version,
    about = "A WebSocket server between a program and browsers",
    long_about = "A WebSocket server between a program and browsers: what is written to its input pipe goes to all clients, \
                  or to one, and what clients send is written to its output pipe. SIGTERM and SIGINT close all clients with \
                  code 1001 and end it.",
    max_term_width = 100
)]
pub struct Options {
    /// How clients are served.
    #[command(flatten)]
    pub server: ServerOptions,
    /// Where messages come from and go to.
    #[command(flatten)]
    pub pipes: PipeOptions,
    /// Print a line of counters to the standard error every so many seconds
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    pub stats: Option<Duration>,
}

/// What a server is told, in the program and within a process.
#[derive(Debug, Clone, Args)]
pub struct ServerOptions {
    /// The port to listen on; 0 lets the system choose, and the choice is printed
    #[arg(short, long, default_value_t = 7890)]
    port: u16,
    /// The address to listen on [default: all interfaces, IPv4 and IPv6]
    #[arg(long, value_name = "ADDR", value_parser = address)]
    addr: Option<IpAddr>,
    /// Listen on a UNIX socket instead of a port
    #[arg(long, value_name = "PATH", conflicts_with_all = ["addr", "ssl_cert"])]
    unix_socket: Option<PathBuf>,
    /// The only Origin to let in; other handshakes are refused with 403
    #[arg(long, value_name = "ORIGIN")]
    origin: Option<String>,
    /// The server's certificate, and those between it and the root, as PEM: serve wss
    #[arg(long, value_name = "FILE", requires = "ssl_key")]
    ssl_cert: Option<PathBuf>,
    /// The certificate's private key, as PEM
    #[arg(long, value_name = "FILE", requires = "ssl_cert")]
    ssl_key: Option<PathBuf>,
    /// The largest message either way, in bytes of payload, frames and pipe messages alike
    #[arg(long, value_name = "BYTES", default_value_t = 1 << 20, value_parser = size)]
    max_frame_size: usize,
    /// What becomes of a client that is more than 2 MiB behind
    #[arg(long, value_enum, value_name = "POLICY", default_value_t = SlowOption::Drop)]
    slow: SlowOption,
    /// How long a message may wait to be sent with others, under loads that would take most of a processor otherwise; 0: never
    #[arg(long, value_name = "MILLISECONDS", default_value = "20", value_parser = milliseconds)]
    coalesce: Duration,
    /// How many threads serve clients; more than one helps where TLS encrypts for many
    #[arg(long, value_name = "NUMBER", default_value = "1", value_parser = threads)]
    threads: usize,
    /// Send messages back to the client that they came from, and write them to no pipe
    #[arg(long)]
    echo_mode: bool,
    /// Append a line to this file for each client that comes, goes or is refused
    #[arg(long, value_name = "FILE")]
    access_log: Option<PathBuf>,
    /// How many clients there may be at a time
    #[arg(long, value_name = "NUMBER", default_value_t = 10_000)]
    max_clients: usize,
    /// How long a client may take from connecting to the end of its handshake
    #[arg(long, value_name = "SECONDS", default_value = "10", value_parser = seconds)]
    handshake_timeout: Duration,
    /// Ping a client that has been silent for so long; drop it when it stays silent as long again
    #[arg(long, value_name = "SECONDS", default_value = "30", value_parser = seconds)]
    ping_interval: Duration,
}

/// The policy for clients that do not keep up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum SlowOption {
    /// Throttle it, and close it with code 1008 when it takes next to nothing for 5 seconds or falls back by 16 MiB
    Drop,
    /// Keep it, leave out the oldest messages that it has not got, and count them
    DropOldest,
}

/// Where messages come from and go to.
#[derive(Debug, Clone, Args)]
pub struct PipeOptions {
    /// The named pipe to read from; it is made where it is not there
    #[arg(long, value_name = "FILE", default_value = "/tmp/wspipein.fifo", conflicts_with_all = ["stdin", "std"])]
    pub pipein: PathBuf,
    /// The named pipe to write to; it is made where it is not there
    #[arg(long, value_name = "FILE", default_value = "/tmp/wspipeout.fifo", conflicts_with_all = ["stdout", "std"])]
    pub pipeout: PathBuf,
    /// Read from the standard input and write to the standard output, instead of pipes
    #[arg(long)]
    pub std: bool,
    /// Read from the standard input
    #[arg(long)]
    pub stdin: bool,
    /// Write to the standard output
    #[arg(long)]
    pub stdout: bool,
    /// Messages have headers: client, type and length, each of 4 bytes, big-endian
    #[arg(long)]
    pub strict: bool,
}

/// The options of `gwsocket_open`.
#[derive(Parser)]
#[command(name = "gwsocket_open", no_binary_name = true, disable_help_flag = true)]
struct InProcess {
    #[command(flatten)]
    server: ServerOptions,
}

impl ServerOptions {
    /// What the options mean.
    pub fn config(self) -> Config {
        let listen = match self.unix_socket {
            Some(path) => Listen::Unix(path),
            None => Listen::Tcp { addr: self.addr, port: self.port },
        };
        Config {
            listen,
            tls: self.ssl_cert.zip(self.ssl_key).map(|(cert, key)| Tls { cert, key }),
            origin: self.origin,
            max_frame_size: self.max_frame_size,
            echo: self.echo_mode,
            slow: match self.slow {
                SlowOption::Drop => Slow::Drop,
                SlowOption::DropOldest => Slow::DropOldest,
            },
            coalesce: self.coalesce,
            threads: self.threads,
            access_log: self.access_log,
            max_clients: self.max_clients,
            handshake_timeout: self.handshake_timeout,
            ping_interval: self.ping_interval,
        }
    }
}

impl Config {
    /// Reads the options of a server from one text, as they would be written in a shell: `--port=0 --addr=127.0.0.1`.
    ///
    /// # Errors
    ///
    /// [`Error::Option`] names the option, and says what is expected.
    pub fn from_options(text: &str) -> Result<Self> {
        let words = shlex::split(text).ok_or_else(|| Error::Option(format!("a quote is not closed: {text}")))?;
        let parsed = InProcess::try_parse_from(words.into_iter().map(OsString::from));
        parsed.map(|options| options.server.config()).map_err(|error| {
            let text = error.to_string();
            let text = text.split("\n\nUsage").next().unwrap_or(&text);
            Error::Option(text.trim_start_matches("error: ").trim_end().to_owned())
        })
    }
}

fn address(text: &str) -> std::result::Result<IpAddr, String> {
    if let Ok(address) = text.parse() {
        return Ok(address);
    }
    let mut found = (text, 0).to_socket_addrs().map_err(|error| error.to_string())?;
    found.next().map(|address| address.ip()).ok_or_else(|| "the name has no address".to_owned())
}

fn seconds(text: &str) -> std::result::Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| "expected a number of seconds".to_owned())?;
    let duration = Duration::try_from_secs_f64(seconds).map_err(|error| error.to_string())?;
    if duration < Duration::from_millis(1) { Err("expected more than no time".to_owned()) } else { Ok(duration) }
}

fn milliseconds(text: &str) -> std::result::Result<Duration, String> {
    match text.parse() {
        Ok(milliseconds @ 0..=1000) => Ok(Duration::from_millis(milliseconds)),
        _ => Err("expected a number of milliseconds, from 0 to 1000".to_owned()),
    }
}

fn threads(text: &str) -> std::result::Result<usize, String> {
    match text.parse() {
        Ok(threads @ 1..=256) => Ok(threads),
        _ => Err("expected a number of threads, from 1 to 256".to_owned()),
    }
}

fn size(text: &str) -> std::result::Result<usize, String> {
    // A pipe's headers have four bytes for it.
    match text.parse() {
        Ok(size @ 1..=0xffff_ffff) => Ok(size),
        _ => Err("expected a number of bytes, from 1 to 4294967295".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn options_hold_together() {
        Options::command().debug_assert();
        InProcess::command().debug_assert();
    }

    #[test]
    fn without_options_it_is_the_default() {
        assert_eq!(Config::from_options("").unwrap(), Config::default());
    }

    #[test]
    fn options_in_one_text() {
        let config = Config::from_options("--port=0 --addr=::1 --origin='https://a b' --slow=drop-oldest -V").err();
        assert!(config.is_some(), "a version is no option of a server");
        let config = Config::from_options("-p 0 --addr ::1 --origin='https://a b' --slow=drop-oldest").unwrap();
        assert_eq!(config.listen, Listen::Tcp { addr: Some("::1".parse().unwrap()), port: 0 });
        assert_eq!(config.origin.as_deref(), Some("https://a b"));
        assert_eq!(config.slow, Slow::DropOldest);
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (text, expected) in [
            ("--port=70000", "invalid value '70000' for '--port <PORT>'"),
            ("--prot=1", "unexpected argument '--prot'"),
            ("--max-frame-size=0", "expected a number of bytes"),
            ("--ping-interval=soon", "expected a number of seconds"),
            ("--ssl-cert=a.pem", "--ssl-key <FILE>"),
            ("--origin='a", "a quote is not closed"),
            ("--strict", "unexpected argument '--strict'"),
        ] {
            let error = Config::from_options(text).unwrap_err().to_string();
            assert!(error.contains(expected), "{text}: {error}");
        }
    }
}
