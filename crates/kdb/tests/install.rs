//! `install.sh`: what it puts where, what it keeps, what it refuses.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A folder that plays QHOME, and is removed in the end.
struct Home(PathBuf);

impl Home {
    fn new(name: &str) -> Home {
        let path = std::env::temp_dir().join(format!("ffikdb {name} {}", std::process::id()));
        fs::create_dir_all(&path).expect("a temporary folder");
        Home(path)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).expect("a file");
    }

    fn read(&self, name: &str) -> Option<String> {
        fs::read_to_string(self.path(name)).ok()
    }

    /// Installs a library into it: the file that this has by the name `built.so`.
    fn install(&self) -> Outcome {
        run(&["--library", &text(&self.path("built.so")), &text(&self.0)])
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        // The system cleans its temporary folders itself where this fails.
        _ = fs::remove_dir_all(&self.0);
    }
}

/// What the script has come to.
struct Outcome {
    is_success: bool,
    output: String,
    errors: String,
}

fn text(path: &Path) -> String {
    path.to_str().expect("a path").to_owned()
}

fn output(command: &mut Command) -> Outcome {
    let output = command.output().expect("a program");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Outcome { is_success: output.status.success(), output: text(&output.stdout), errors: text(&output.stderr) }
}

fn run(arguments: &[&str]) -> Outcome {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("install.sh");
    output(Command::new("sh").arg(script).args(arguments))
}

/// Where q of this machine looks for libraries. The script is the system's to run, also where this test is emulated.
fn folder() -> &'static str {
    if output(Command::new("uname").arg("-m")).output.trim() == "aarch64" { "l64arm" } else { "l64" }
}

fn ours() -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("q/ffi.q")).expect("the script")
}

#[test]
fn library_and_script_are_installed() {
    let home = Home::new("fresh");
    home.write("built.so", "library 1");
    let outcome = home.install();
    assert!(outcome.is_success, "{}", outcome.errors);
    let library = format!("{}/ffikdb.so", folder());
    assert_eq!(home.read(&library).as_deref(), Some("library 1"));
    assert_eq!(home.read("ffi.q"), Some(ours()));
    let said = [home.path(&library), home.path("ffi.q")].map(|path| format!("installed {}\n", path.display()));
    assert_eq!(outcome.output, said.concat());
}

#[test]
fn a_later_version_takes_the_place_of_an_earlier_one() {
    let home = Home::new("again");
    home.write("built.so", "library 1");
    assert!(home.install().is_success);
    let script = home.read("ffi.q").expect("a script");
    home.write("ffi.q", &format!("{script}/ of an earlier version\n"));
    home.write("built.so", "library 2");
    assert!(home.install().is_success);
    assert_eq!(home.read(&format!("{}/ffikdb.so", folder())).as_deref(), Some("library 2"));
    assert_eq!(home.read("ffi.q"), Some(ours()));
    assert_eq!(home.read("ffi.q.bak"), None);
}

#[test]
fn the_script_of_another_project_is_kept() {
    let home = Home::new("foreign");
    home.write("built.so", "library");
    home.write("ffi.q", "/ another project's\n");
    let outcome = home.install();
    assert!(outcome.is_success, "{}", outcome.errors);
    assert_eq!(home.read("ffi.q.bak").as_deref(), Some("/ another project's\n"));
    assert_eq!(home.read("ffi.q"), Some(ours()));
    assert!(outcome.output.contains("kept the ffi.q that was there as"), "{}", outcome.output);

    home.write("ffi.q", "/ one more\n");
    let outcome = home.install();
    assert!(!outcome.is_success);
    assert!(outcome.errors.contains("move one of them away"), "{}", outcome.errors);
    assert_eq!(home.read("ffi.q").as_deref(), Some("/ one more\n"));
    assert_eq!(home.read("ffi.q.bak").as_deref(), Some("/ another project's\n"));
}

#[test]
fn what_is_wrong_is_said() {
    let home = Home::new("errors");
    let (there, missing) = (text(&home.0), text(&home.path("missing")));
    let cases: [(&[&str], &str); 6] = [
        (&[], "which QHOME?"),
        (&[&missing], "missing is no folder"),
        (&["--library", &missing, &there], "there is no file"),
        (&["--library"], "--library wants a file"),
        (&["--force", &there], "there is no option --force"),
        (&[&there, &missing], "one QHOME, not both"),
    ];
    for (arguments, message) in cases {
        let outcome = run(arguments);
        assert!(!outcome.is_success && outcome.errors.contains(message), "{arguments:?}: {}", outcome.errors);
        assert_eq!(outcome.output, "");
    }
    assert_eq!(fs::read_dir(&home.0).expect("a folder").count(), 0, "nothing is installed");
}
