//! `jit-PID.dump`: a file of addresses, names, times and code, for `perf inject --jit`, which makes of each record an
//! object file that `perf annotate` can disassemble.
//!
//! The format is that of `tools/perf/Documentation/jitdump-specification.txt` in Linux. perf learns of the file by a
//! page of it that is mapped to execute: such mappings are among the events that it records. Times are those of
//! `CLOCK_MONOTONIC`, so the recording has to use that clock too (`perf record -k mono`).

use std::io;
use std::path::PathBuf;
use std::{env, process};

use memmap2::{Mmap, MmapOptions};

use super::Code;
use super::files::{Batch, Log};

/// Says in which folder the file goes, as with other programs that write one; without it, the current one.
const FOLDER_VARIABLE: &str = "JITDUMPDIR";

const MAGIC: u32 = 0x4a69_5444; // "JiTD"
const VERSION: u32 = 1;
const HEADER: u32 = 40;

/// The machine, as ELF numbers it: `EM_X86_64`, `EM_AARCH64`.
pub(super) const MACHINE: u16 = if cfg!(target_arch = "x86_64") { 62 } else { 183 };

/// `JIT_CODE_LOAD`: there is new code.
const CODE_LOAD: u32 = 0;
/// What such a record has before the name, in bytes.
const CODE_LOAD_SIZE: usize = 56;

pub(super) struct Jitdump {
    batch: Batch,
    /// How many records there are.
    records: u64,
    /// By this page perf finds the file.
    #[expect(dead_code, reason = "kept mapped")]
    marker: Mmap,
}

impl Log for Jitdump {
    fn create() -> io::Result<Jitdump> {
        let folder = env::var_os(FOLDER_VARIABLE).map_or_else(|| PathBuf::from("."), PathBuf::from);
        let mut batch = Batch::create(&folder.join(format!("jit-{}.dump", process::id())))?;
        header(batch.pending());
        batch.flush()?;
        // SAFETY: the page is neither read nor executed.
        let marker = unsafe { MmapOptions::new().len(region::page::size()).map_exec(batch.file()) }?;
        Ok(Jitdump { batch, records: 0, marker })
    }

    fn add(&mut self, code: &Code<'_>) -> io::Result<()> {
        let pending = self.batch.pending();
        let size = CODE_LOAD_SIZE + code.name.len() + 1 + code.bytes.len();
        // SAFETY: a call without preconditions.
        let thread = unsafe { libc::gettid() };
        pending.extend(CODE_LOAD.to_ne_bytes());
        pending.extend(u32::try_from(size).map_err(io::Error::other)?.to_ne_bytes());
        pending.extend(now().to_ne_bytes());
        pending.extend(process::id().to_ne_bytes());
        pending.extend(thread.to_ne_bytes());
        pending.extend(code.address().to_ne_bytes()); // where it was linked to
        pending.extend(code.address().to_ne_bytes()); // where it runs
        pending.extend((code.bytes.len() as u64).to_ne_bytes());
        pending.extend(self.records.to_ne_bytes());
        pending.extend(code.name.as_bytes());
        pending.push(0);
        pending.extend(code.bytes);
        self.records += 1;
        self.batch.flush_if_full()
    }

    fn flush(&mut self) -> io::Result<()> {
        self.batch.flush()
    }
}

fn header(to: &mut Vec<u8>) {
    let (padding, flags) = (0u32, 0u64);
    to.extend(MAGIC.to_ne_bytes());
    to.extend(VERSION.to_ne_bytes());
    to.extend(HEADER.to_ne_bytes());
    to.extend(u32::from(MACHINE).to_ne_bytes());
    to.extend(padding.to_ne_bytes());
    to.extend(process::id().to_ne_bytes());
    to.extend(now().to_ne_bytes());
    to.extend(flags.to_ne_bytes());
}

/// Nanoseconds of the clock that the recording uses.
fn now() -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the clock is there, and the time is written to.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &mut time) };
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}
