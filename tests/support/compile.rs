//! The C compiler that the engine is compared with, and the C++ compiler whose exceptions pass through it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

/// How many compilers run at a time.
const PROCESSES: usize = 2;

/// Where the compilers part ways, tests follow gcc and leave the place out for the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dialect {
    Gcc,
    Clang,
}

/// A compiler for the machine that the test was built for.
#[derive(Clone, Debug)]
pub(crate) struct Compiler {
    command: Vec<String>,
    /// How the names of its sources end.
    extension: &'static str,
    pub(crate) dialect: Dialect,
}

impl Compiler {
    /// `JITCALL_CC`, a command line; without it gcc.
    pub(crate) fn from_env() -> Compiler {
        let line = std::env::var("JITCALL_CC").unwrap_or_else(|_| default_command("gcc", "cc"));
        let mut command: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        assert!(!command.is_empty(), "JITCALL_CC is empty");
        let clang = command.iter().any(|word| word.contains("clang") || word.contains("zig"));
        let dialect = if clang { Dialect::Clang } else { Dialect::Gcc };
        command.extend(["-std=gnu11", "-O1", "-w", "-Wno-psabi", "-shared", "-fPIC"].map(str::to_owned));
        if cfg!(target_arch = "x86_64") {
            command.push("-mavx".into());
        }
        if line.contains("zig") {
            command.push("-fno-sanitize=undefined".into());
        }
        Compiler { command, extension: "c", dialect }
    }

    /// A C++ compiler: `JITCALL_CXX`, a command line; without it g++.
    pub(crate) fn cxx_from_env() -> Compiler {
        let line = std::env::var("JITCALL_CXX").unwrap_or_else(|_| default_command("g++", "c++"));
        let words = line.split_whitespace().chain(["-std=gnu++17", "-O1", "-shared", "-fPIC"]);
        Compiler { command: words.map(str::to_owned).collect(), extension: "cpp", dialect: Dialect::Gcc }
    }

    /// The command line up to the file names.
    pub(crate) fn line(&self) -> String {
        self.command.join(" ")
    }

    /// Compiles each source to a shared library of its own.
    pub(crate) fn compile(&self, folder: &Folder, sources: &[String]) -> Vec<PathBuf> {
        let next = AtomicUsize::new(0);
        let worker = || {
            let mut done = Vec::new();
            loop {
                let index = next.fetch_add(1, Ordering::Relaxed);
                let Some(source) = sources.get(index) else { return done };
                done.push((index, self.compile_one(folder, source)));
            }
        };
        let mut libraries: Vec<(usize, PathBuf)> = thread::scope(|scope| {
            let workers: Vec<_> = (0..PROCESSES).map(|_| scope.spawn(worker)).collect();
            workers.into_iter().flat_map(|worker| worker.join().expect("a file that compiles")).collect()
        });
        libraries.sort();
        libraries.into_iter().map(|(_, library)| library).collect()
    }

    fn compile_one(&self, folder: &Folder, source: &str) -> PathBuf {
        let file = folder.file(self.extension);
        let library = file.with_extension("so");
        fs::write(&file, source).expect("a temporary folder that can be written");
        let output = Command::new(&self.command[0])
            .args(&self.command[1..])
            .arg("-o")
            .args([&library, &file])
            .output()
            .unwrap_or_else(|error| panic!("cannot run {}: {error}", self.command[0]));
        assert!(
            output.status.success(),
            "{} refuses {}:\n{}",
            self.line(),
            file.display(),
            String::from_utf8_lossy(&output.stderr)
        );
        library
    }
}

/// On AArch64 under qemu the host's cross compiler can be run like any program; a real AArch64 machine has its own.
fn default_command(gnu: &str, own: &str) -> String {
    let cross = format!("aarch64-linux-gnu-{gnu}");
    let paths = std::env::var_os("PATH").unwrap_or_default();
    let has_cross = || std::env::split_paths(&paths).any(|path| path.join(&cross).exists());
    if cfg!(target_arch = "aarch64") && has_cross() { cross } else { own.to_owned() }
}

/// A temporary folder, removed in the end unless the test fails.
pub(crate) struct Folder {
    path: PathBuf,
    files: AtomicUsize,
}

impl Folder {
    pub(crate) fn new() -> Folder {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("jitcall-{}-{count}", std::process::id()));
        fs::create_dir_all(&path).expect("a temporary folder");
        Folder { path, files: AtomicUsize::new(0) }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    fn file(&self, extension: &str) -> PathBuf {
        let count = self.files.fetch_add(1, Ordering::Relaxed);
        self.path.join(format!("{count}.{extension}"))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if thread::panicking() {
            println!("what was compiled is in {}", self.path.display());
        } else {
            let _ = fs::remove_dir_all(&self.path);
        }
    }
}
