//! What profilers and debuggers are told of machine code, where [`PROFILE_VARIABLE`] asks for it.
//!
//! | word | who reads it | what it is |
//! |---|---|---|
//! | `perf-map` | `perf report` | `perf_map`: a text file of addresses and names |
//! | `jitdump` | `perf inject --jit` | `jitdump`: a file of addresses, names, times and code |
//! | `gdb` | gdb, lldb | `gdb`: object files in memory, in a list that debuggers look for |
//!
//! An engine reads the variable once, when it is made; one that is asked for nothing has no [`Profile`], and spends a
//! null check for each new stub. The files belong to the process, so all its engines share them; they are written in
//! batches, and when an engine is dropped or the process exits.

mod elf;
mod files;
mod gdb;
mod jitdump;
mod perf_map;

use std::env;
use std::fmt::{self, Display};
use std::ptr::NonNull;

use super::unwind::FrameKind;
use crate::engine::PROFILE_VARIABLE;
use crate::types::signature::Signature;

/// Machine code, as tools are told of it.
#[derive(Clone, Copy)]
pub(crate) struct Code<'a> {
    pub(crate) name: &'a str,
    pub(crate) entry: NonNull<u8>,
    pub(crate) bytes: &'a [u8],
    pub(crate) frame: FrameKind,
}

impl Code<'_> {
    /// Where it runs.
    fn address(&self) -> u64 {
        self.entry.addr().get() as u64
    }
}

/// The name of a call stub: `jitcall stub double (double, double)`, after the signature that it was made for first.
pub(crate) struct StubName<'a>(pub(crate) &'a Signature);

impl Display for StubName<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "jitcall stub {}", self.0.clone().named(""))
    }
}

/// What tools are told that a closure entry is called.
pub(crate) struct EntryName<'a>(pub(crate) &'a Signature);

impl Display for EntryName<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "jitcall closure entry {}", self.0.clone().named(""))
    }
}

/// What tools are told that a bridge stub is called.
pub(crate) struct BridgeName<'a>(pub(crate) &'a Signature);

impl Display for BridgeName<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "jitcall bridge stub {}", self.0.clone().named(""))
    }
}

/// What tools are told that a map stub is called.
pub(crate) struct MapName<'a>(pub(crate) &'a Signature);

impl Display for MapName<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "jitcall map stub {}", self.0.clone().named(""))
    }
}

/// Which tools are to know of an engine's code.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Tools {
    perf_map: bool,
    jitdump: bool,
    gdb: bool,
}

impl Tools {
    /// Reads a list of words with commas between them; an error is the first word that is unknown.
    fn parse(list: &str) -> Result<Tools, &str> {
        let mut tools = Tools::default();
        for word in list.split(',').map(str::trim) {
            match word {
                "perf-map" => tools.perf_map = true,
                "jitdump" => tools.jitdump = true,
                "gdb" => tools.gdb = true,
                "" => {}
                unknown => return Err(unknown),
            }
        }
        Ok(tools)
    }
}

/// What an engine tells tools of its code. All of it is used by the holder of the writers' lock only.
pub(crate) struct Profile {
    tools: Tools,
    debugger: Option<gdb::Entries>,
}

impl Profile {
    /// As [`PROFILE_VARIABLE`] asks; nothing where it is not set.
    pub(crate) fn from_env() -> Option<Box<Profile>> {
        let list = env::var_os(PROFILE_VARIABLE)?;
        let tools = match Tools::parse(&list.to_string_lossy()) {
            Ok(tools) => tools,
            Err(word) => {
                report(&format!("{PROFILE_VARIABLE} names {word}, which is none of perf-map, jitdump and gdb"));
                return None;
            }
        };
        let debugger = tools.gdb.then(gdb::Entries::default);
        (tools != Tools::default()).then(|| Box::new(Profile { tools, debugger }))
    }

    /// Tells of new code.
    pub(crate) fn add(&mut self, code: Code<'_>) {
        files::add(self.tools, &code);
        if let Some(debugger) = &mut self.debugger {
            debugger.add(&code);
        }
    }
}

impl Drop for Profile {
    fn drop(&mut self) {
        files::flush();
    }
}

/// Says on standard error that something which was asked for cannot be had: by a variable of the environment, so there
/// is no caller to return an error to.
fn report(what: &dyn Display) {
    eprintln!("jitcall: {what}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_tools() {
        let none = Tools::default();
        assert_eq!(Tools::parse(""), Ok(none));
        assert_eq!(Tools::parse("perf-map"), Ok(Tools { perf_map: true, ..none }));
        assert_eq!(Tools::parse("gdb, jitdump,"), Ok(Tools { gdb: true, jitdump: true, ..none }));
        assert_eq!(Tools::parse("gdb,oprofile,vtune"), Err("oprofile"));
    }

    #[test]
    fn names_of_stubs() {
        let name = |declaration| StubName(&Signature::parse(declaration).unwrap()).to_string();
        assert_eq!(name("double pow(double x, double y)"), "jitcall stub double (double x, double y)");
        assert_eq!(name("void (int)"), "jitcall stub void (int)");
        let signature = Signature::parse("int abs(int)").unwrap();
        assert_eq!(MapName(&signature).to_string(), "jitcall map stub int (int)");
    }
}
