//! A WebSocket server that stands between a program and browsers: what the program gives it goes to all clients, or to one,
//! and what clients send comes back as events. RFC 6455, with TLS, on TCP or a UNIX socket.
//!
//! The road of a message to clients:
//!
//! 1. A pipe ([`pipes`]) or a caller of [`Server::broadcast`] gives its payload, which is checked: length, and UTF-8 for texts.
//! 2. Its frame is made once, and appended to the log that all clients read.
//! 3. The clients that sleep are woken. Each takes what it has not got from the log, with messages for it alone in between,
//!    and writes it with one system call, however many messages that is.
//!
//! So the cost of a broadcast is one copy and one write per client; where messages come faster than clients can be served, a
//! write carries more of them. What a client has not taken stays in the log, which is kept for the slowest client, within a
//! limit: see [`Slow`].
//!
//! Clients are tasks of one tokio runtime, whose threads belong to the server.

mod access_log;
mod client;
mod config;
mod error;
mod event;
mod frame;
mod handshake;
mod hub;
pub mod interface;
mod log;
pub mod options;
mod peer;
pub mod pipes;
mod rounds;
mod server;
mod socket;
mod stats;
mod tls;

pub use config::{Config, Listen, Slow, Tls};
pub use error::{Error, Result};
pub use event::{Event, EventKind};
pub use hub::{Kind, MOST_BEHIND, THROTTLED_BEHIND};
pub use server::{Server, allow_descriptors};
pub use stats::Stats;

/// The examples of the document.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/gwsocket.md")]
struct Document;
