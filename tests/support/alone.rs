//! Tests that want a process to themselves.

#[path = "emulated.rs"]
mod emulated;

use std::env;

/// Set in the process that a test has to itself.
const VARIABLE: &str = "JITCALL_TEST_ALONE";

/// Does the work in a process that runs nothing but that test, which is the one that calls this.
///
/// Children that are forked want it, where they start threads or unwind. While another thread of their parent starts or
/// ends, the standard library has locked what it knows of threads; while one unwinds, libgcc 12 has locked the tables.
/// Beside other tests some thread always does.
pub(crate) fn alone(test: &str, work: impl FnOnce()) {
    if env::var_os(VARIABLE).is_some() {
        return work();
    }
    let mut again = emulated::command(env::current_exe().expect("the path of the test"));
    let output = again.args(["--exact", test, "--nocapture"]).env(VARIABLE, "1").output().expect("a test to run");
    let (told, complaint) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && told.contains(" 1 passed;"), "{}\n{told}\n{complaint}", output.status);
}
