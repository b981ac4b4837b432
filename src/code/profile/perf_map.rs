//! `/tmp/perf-PID.map`: lines of address, size (both hexadecimal, without a prefix) and name, which `perf report` looks
//! up for samples in memory that no file on disk is mapped to.
//!
//! The format is that of `tools/perf/Documentation/jit-interface.txt` in Linux. It has no times: where memory has been
//! another engine's before, the later line counts.

use std::io::{self, Write};
use std::path::PathBuf;
use std::process;

use super::Code;
use super::files::{Batch, Log};

pub(super) struct PerfMap(Batch);

impl Log for PerfMap {
    fn create() -> io::Result<PerfMap> {
        // The folder is perf's choice, whatever TMPDIR says.
        Batch::create(&PathBuf::from(format!("/tmp/perf-{}.map", process::id()))).map(PerfMap)
    }

    fn add(&mut self, code: &Code<'_>) -> io::Result<()> {
        writeln!(self.0.pending(), "{:x} {:x} {}", code.address(), code.bytes.len(), code.name)?;
        self.0.flush_if_full()
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}
