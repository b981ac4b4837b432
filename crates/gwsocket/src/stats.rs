//! Counters: what the server has done since it started.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

/// Declares the counters once: as atomics for the server, as numbers for those who ask, as a line.
macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident),* $(,)?) => {
        /// What the server counts as it runs.
        #[derive(Default)]
        pub(crate) struct Counters {
            $(pub(crate) $name: AtomicU64,)*
        }

        /// What a server has done since it started.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
        #[non_exhaustive]
        pub struct Stats {
            /// Clients at the moment.
            pub clients: u64,
            $($(#[$doc])* pub $name: u64,)*
        }

        impl Stats {
            /// All counts, in this order, which is that of `gwsocket_stats` in the header.
            pub(crate) fn counts(&self) -> [u64; 1 + [$(stringify!($name)),*].len()] {
                [self.clients, $(self.$name),*]
            }
        }

        impl fmt::Display for Stats {
            /// The line of `--stats`.
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "clients={}", self.clients)?;
                $(write!(f, concat!(" ", stringify!($name), "={}"), self.$name)?;)*
                Ok(())
            }
        }

        impl Counters {
            pub(crate) fn read(&self, clients: usize) -> Stats {
                Stats { clients: clients as u64, $($name: self.$name.load(Ordering::Relaxed),)* }
            }
        }
    };
}

counters! {
    /// Clients that have come.
    opened,
    /// Clients that have gone.
    closed,
    /// Connections that never became clients: bad handshakes, other origins, too many.
    refused,
    /// Messages given to the server for clients.
    messages_in,
    /// Bytes of their payload.
    bytes_in,
    /// Messages that clients have sent.
    messages_received,
    /// Bytes of their payload.
    bytes_received,
    /// Bytes written to clients, with their frames' headers.
    bytes_sent,
    /// Times that a client fell so far behind that it was throttled.
    throttled,
    /// Clients that were dropped, as they did not keep up.
    dropped_clients,
    /// Messages that were left out for clients that did not keep up (`--slow=drop-oldest`).
    dropped_messages,
    /// What clients did that nobody has read, and for which there was no room.
    dropped_events,
    /// Messages for clients that are not there.
    no_client,
    /// Messages on the input that could not be sent: too long, no UTF-8, of an unknown type.
    bad_input,
}

impl Counters {
    pub(crate) fn add(counter: &AtomicU64, count: u64) {
        counter.fetch_add(count, Ordering::Relaxed);
    }
}
