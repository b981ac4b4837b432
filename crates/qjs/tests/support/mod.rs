//! What the tests on real QuickJS programs share: the programs, the module, the C library that scripts call, and a run
//! with a time limit. The tests of the command line run the same scripts in its own QuickJS.

// Each test binary uses a part of it.
#![allow(dead_code)]

pub(crate) mod compiler;
pub(crate) mod examples;
pub(crate) mod hosts;
pub(crate) mod process;
pub(crate) mod scripts;
pub(crate) mod stage;

use std::path::{Path, PathBuf};

/// The folder of the module's crate, whichever of the crates beside it is tested.
pub(crate) fn crate_folder() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../qjs"))
}

/// Where what takes long to build is kept from one run to the next: in Cargo's target folder, for this architecture.
pub(crate) fn kept_folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name(name)
}

/// The module as Cargo built it for this test.
pub(crate) fn module() -> PathBuf {
    built("libjitcall_qjs.so")
}

/// A library as Cargo built it for this test.
pub(crate) fn built(name: &str) -> PathBuf {
    let executable = std::env::current_exe().expect("the path of the test");
    // Cargo builds it for tests beside them; only `cargo build` links it one folder up.
    let found = executable.ancestors().skip(1).take(2).map(|folder| folder.join(name)).find(|path| path.exists());
    found.unwrap_or_else(|| panic!("no {name} beside {}", executable.display()))
}
