//! Real `qjs` programs, built once from the QuickJS sources that crates ship.
//!
//! The package in `hosts/` names these crates; Cargo fetches them and tells where they are. Each program is the project's
//! own `qjs.c`, with its symbols exported and with its reports of leaks, which come as it frees its runtime.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use super::{compiler, crate_folder, kept_folder};

/// One version of QuickJS, and how its `qjs` is built.
#[derive(Debug)]
pub(crate) struct Host {
    pub(crate) name: &'static str,
    /// The crate that ships it, and the folder there.
    package: &'static str,
    folder: &'static str,
    sources: &'static [&'static str],
    defines: &'static [&'static str],
    /// Scripts whose byte code is a part of `qjs`. Their sources are not in every crate, and an empty one will do: only the
    /// interactive mode runs them.
    byte_code: &'static [&'static str],
    program: OnceLock<PathBuf>,
}

pub(crate) static NG_0_16_2: Host = Host {
    name: "ng-0.16.2",
    package: "rquickjs-sys",
    folder: "quickjs",
    sources: NG_SOURCES,
    defines: NG_DEFINES,
    byte_code: &[],
    program: OnceLock::new(),
};

pub(crate) static NG_0_13_0: Host = Host {
    name: "ng-0.13.0",
    package: "hirofa-quickjs-sys",
    folder: "quickjs-ng/quickjs",
    sources: NG_SOURCES,
    defines: NG_DEFINES,
    byte_code: &[],
    program: OnceLock::new(),
};

pub(crate) static BELLARD_2026_06_04: Host = Host {
    name: "bellard-2026-06-04",
    package: "hirofa-quickjs-sys",
    folder: "bellard/quickjs",
    sources: &["quickjs", "dtoa", "cutils", "libregexp", "libunicode", "quickjs-libc", "qjs"],
    defines: &["CONFIG_VERSION=\"2026-06-04\"", "HAVE_CLOSEFROM", "DUMP_LEAKS=1"],
    byte_code: &["repl"],
    program: OnceLock::new(),
};

pub(crate) static BELLARD_2021_03_27: Host = Host {
    name: "bellard-2021-03-27",
    package: "libquickjs-sys",
    folder: "embed/quickjs",
    sources: &["quickjs", "libbf", "cutils", "libregexp", "libunicode", "quickjs-libc", "qjs"],
    defines: &["CONFIG_VERSION=\"2021-03-27\"", "CONFIG_BIGNUM", "DUMP_LEAKS=1"],
    byte_code: &["repl", "qjscalc"],
    program: OnceLock::new(),
};

/// All hosts. Under emulation, where every script takes many times longer, the newest of either project.
pub(crate) static ALL: &[&Host] = if cfg!(target_arch = "x86_64") {
    &[&NG_0_16_2, &NG_0_13_0, &BELLARD_2026_06_04, &BELLARD_2021_03_27]
} else {
    &[&NG_0_16_2, &BELLARD_2026_06_04]
};

const NG_SOURCES: &[&str] =
    &["quickjs", "dtoa", "libregexp", "libunicode", "quickjs-libc", "qjs", "gen/repl", "gen/standalone"];
const NG_DEFINES: &[&str] = &["QUICKJS_NG_BUILD"];

/// As QuickJS's own build files have them. The projects differ in what `char` is, their code does not depend on it.
const FLAGS: &[&str] = &["-w", "-O2", "-fwrapv", "-D_GNU_SOURCE"];
const LIBRARIES: &[&str] = &["-lm", "-ldl", "-lpthread"];

/// The file that says what a kept program was built from.
const STAMP: &str = "stamp";

impl Host {
    /// Its `qjs`, built if there is none from these sources by this compiler yet.
    ///
    /// # Panics
    /// If it cannot be built.
    pub(crate) fn program(&self) -> &Path {
        self.program.get_or_init(|| {
            let (source, stamp) = (self.source(), self.stamp());
            let folder = kept_folder("qjs-hosts").join(self.name);
            let program = folder.join("qjs");
            if fs::read_to_string(folder.join(STAMP)).ok().as_ref() != Some(&stamp) {
                self.build(&source, &folder, &stamp);
            }
            program
        })
    }

    /// A command that runs a script as a module in this host, with its report of leaks. `JITCALL_HOST_RUNNER` is a command
    /// line that runs the host in its turn, such as valgrind's.
    pub(crate) fn command(&self, script: &str) -> Command {
        let outer = std::env::var("JITCALL_HOST_RUNNER").unwrap_or_default();
        let runner = outer.split_whitespace().chain(compiler::runner().iter().copied());
        let mut words = runner.map(PathBuf::from).chain([self.program().to_owned()]);
        let mut command = Command::new(words.next().expect("a program"));
        // quickjs-ng's flag for its report of leaks; Bellard's is compiled in.
        command.args(words).args(["-m", script]).env("QJS_DUMP_FLAGS", "4000");
        command
    }

    /// The folder of its sources, with `quickjs.h`.
    pub(crate) fn source(&self) -> PathBuf {
        package_folder(self.package).join(self.folder)
    }

    /// All that a program depends on. The path of a crate's source has its version.
    fn stamp(&self) -> String {
        format!("{}\n{}\n{}\n", self.source().display(), compiler::command().join(" "), self.flags().join(" "))
    }

    fn flags(&self) -> Vec<String> {
        let defines = self.defines.iter().map(|define| format!("-D{define}"));
        FLAGS.iter().map(|&flag| flag.to_owned()).chain(defines).collect()
    }

    /// Builds it beside the place where it is kept, so that no other process sees a half of it.
    fn build(&self, source: &Path, kept: &Path, stamp: &str) {
        let folder = kept.with_file_name(format!("{}.{}", self.name, std::process::id()));
        fs::create_dir_all(&folder).expect("a target folder that can be written");
        let mut objects: Vec<String> =
            self.sources.iter().map(|name| self.object(&folder, &source.join(format!("{name}.c")))).collect();
        objects.extend(self.byte_code_objects(source, &folder, &objects));
        link(&folder, "qjs", &objects);
        fs::write(folder.join(STAMP), stamp).expect("a target folder that can be written");
        let _ = fs::remove_dir_all(kept);
        // Another process may have been faster: its program is as good.
        if fs::rename(&folder, kept).is_err() {
            let _ = fs::remove_dir_all(&folder);
        }
    }

    /// Compiles one source to an object file, whose name is returned.
    fn object(&self, folder: &Path, source: &Path) -> String {
        let stem = source.file_stem().expect("a source's name").to_string_lossy();
        let object = format!("{stem}.o");
        let include = format!("-I{}", self.source().display());
        let mut arguments = self.flags();
        arguments.extend([include, "-c".into(), "-o".into(), object.clone(), source.display().to_string()]);
        compiler::compile(folder, &arguments);
        object
    }

    /// Builds the project's compiler to byte code, and compiles an empty script under each of the names.
    fn byte_code_objects(&self, source: &Path, folder: &Path, objects: &[String]) -> Vec<String> {
        if self.byte_code.is_empty() {
            return Vec::new();
        }
        let mut with_compiler: Vec<String> = objects.iter().filter(|name| *name != "qjs.o").cloned().collect();
        with_compiler.push(self.object(folder, &source.join("qjsc.c")));
        link(folder, "qjsc", &with_compiler);
        let compile = |name: &&str| {
            let (script, c) = (format!("{name}.js"), format!("{name}.c"));
            fs::write(folder.join(&script), "\n").expect("a target folder that can be written");
            let mut words = compiler::runner().to_vec();
            words.extend(["./qjsc", "-c", "-o", &c, "-m", &script]);
            let status = Command::new(words[0]).args(&words[1..]).current_dir(folder).status();
            assert!(status.is_ok_and(|status| status.success()), "{words:?} fails in {}", folder.display());
            self.object(folder, &folder.join(c))
        };
        self.byte_code.iter().map(compile).collect()
    }
}

/// Links a program that modules can take symbols from.
fn link(folder: &Path, program: &str, objects: &[String]) {
    let flags = ["-rdynamic", "-o", program].into_iter();
    let arguments: Vec<&str> =
        flags.chain(objects.iter().map(String::as_str)).chain(LIBRARIES.iter().copied()).collect();
    compiler::compile(folder, &arguments);
}

/// Where Cargo has the source of one of the crates in `hosts/Cargo.toml`.
fn package_folder(name: &str) -> PathBuf {
    static METADATA: OnceLock<serde_json::Value> = OnceLock::new();
    let metadata = METADATA.get_or_init(|| {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let manifest = crate_folder().join("hosts/Cargo.toml");
        let output = Command::new(cargo)
            .args(["metadata", "--locked", "--format-version", "1", "--manifest-path"])
            .arg(manifest)
            .output()
            .expect("cargo, which runs this test");
        assert!(output.status.success(), "cargo metadata: {}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).expect("JSON from cargo metadata")
    });
    let packages = metadata["packages"].as_array().expect("packages in what cargo metadata says");
    let package = packages.iter().find(|package| package["name"] == name).expect("a crate that hosts/Cargo.toml names");
    let manifest = package["manifest_path"].as_str().expect("a path of a manifest");
    Path::new(manifest).parent().expect("a manifest in a folder").to_owned()
}
