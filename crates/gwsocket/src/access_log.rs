//! The access log: a line for each client that comes, goes or is refused.
//!
//! ```text
//! 2026-11-26T17:00:00.123Z 127.0.0.1 1 open "/ticks" origin=http://localhost:8000
//! 2026-11-26T17:00:09.456Z 127.0.0.1 1 close 1000
//! 2026-11-26T17:00:10.789Z 127.0.0.1 - refused 403 the origin http://elsewhere is not let in
//! ```

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::sync::Mutex;
use std::time::SystemTime;

use crate::error::{Error, Result};
use crate::peer::Peer;

pub(crate) struct AccessLog(Option<Mutex<File>>);

impl AccessLog {
    pub(crate) fn open(path: Option<&Path>) -> Result<Self> {
        let Some(path) = path else { return Ok(Self(None)) };
        let file = OpenOptions::new().append(true).create(true).open(path);
        let failed = |source| Error::File { option: "--access-log", path: path.to_owned(), source };
        file.map(|file| Self(Some(Mutex::new(file)))).map_err(failed)
    }

    /// A line about a client.
    pub(crate) fn note(&self, peer: &Peer, what: &str) {
        self.write(&peer.address, &peer.id.to_string(), what);
    }

    /// A line about a connection that became no client.
    pub(crate) fn refused(&self, address: &str, why: &str) {
        self.write(address, "-", &format!("refused {why}"));
    }

    fn write(&self, address: &str, id: &str, what: &str) {
        let Some(file) = &self.0 else { return };
        let time = humantime::format_rfc3339_millis(SystemTime::now());
        // What clients have said stays on its line.
        let what = what.replace(|letter: char| letter.is_control(), "?");
        let line = format!("{time} {address} {id} {what}\n");
        let mut file = file.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        // A full disk is no reason to stop serving.
        let _ = file.write_all(line.as_bytes());
    }
}
