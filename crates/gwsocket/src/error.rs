//! What can go wrong, for callers of the library.

use std::io;
use std::path::PathBuf;

/// The result of what may fail.
pub type Result<T> = std::result::Result<T, Error>;

/// An error, with its source where it has one.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The server cannot listen there.
    #[error("cannot listen on {place}: {source}")]
    Listen {
        /// The address and port, or the path.
        place: String,
        /// The system's reason.
        source: io::Error,
    },
    /// A file that an option names cannot be used.
    #[error("{option} {}: {source}", path.display())]
    File {
        /// The option.
        option: &'static str,
        /// What it named.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// Certificate and key do not serve for TLS.
    #[error("--ssl-cert, --ssl-key: {0}")]
    Tls(String),
    /// Something that every server needs was refused by the system.
    #[error("the server could not be started: {0}")]
    System(#[from] io::Error),
    /// A text is not UTF-8, so no client could take it.
    #[error("a text must be UTF-8, and this is none from byte {offset}")]
    NotUtf8 {
        /// Where it ceases to be UTF-8.
        offset: usize,
    },
    /// A message is larger than the limit.
    #[error("a message of {length} bytes is over the limit of {limit} (--max-frame-size)")]
    TooLong {
        /// Bytes of payload.
        length: usize,
        /// The most allowed.
        limit: usize,
    },
    /// No such client, or it has gone or is being closed.
    #[error("there is no client {0}")]
    NoClient(u32),
    /// A code that no server may close with.
    #[error("{0} is no code to close with: 1000 to 1003, 1007 to 1014, 3000 to 4999 are")]
    CloseCode(u16),
    /// An option is wrong; the text says which, and what was expected.
    #[error("{0}")]
    Option(String),
}
