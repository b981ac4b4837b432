//! Where a script runs: a temporary folder with the module.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use super::module;

/// A temporary folder that has the module as `ffi.so`.
pub(crate) struct Stage {
    path: PathBuf,
}

impl Stage {
    pub(crate) fn new(name: &str) -> Stage {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("jitcall-qjs-{}-{count}-{name}", std::process::id()));
        fs::create_dir_all(&path).expect("a temporary folder");
        symlink(module(), path.join("ffi.so")).expect("a temporary folder");
        Stage { path }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Not when it is dropped: after a failure it stays to be looked at.
    pub(crate) fn remove(self) {
        let _ = fs::remove_dir_all(&self.path);
    }
}
