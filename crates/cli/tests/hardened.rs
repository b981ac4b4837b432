//! `jitcall` on hardened systems: it works, and the doctor says what is refused.
//!
//! A filter of all executable mappings cannot be tried from outside, since no program starts under it.

#[path = "../../../tests/hardening/mod.rs"]
mod hardening;
mod program;

use std::os::unix::process::CommandExt;

use hardening::Policy;

/// What the program prints under a policy; `None` where the system does not know the policy, which is
/// printed.
fn output(policy: Policy, arguments: &[&str]) -> Option<String> {
    if let Some(reason) = policy.left_out() {
        println!("{reason}");
        return None;
    }
    let mut command = program::jitcall();
    command.args(arguments).env_remove("JITCALL_TIER");
    // SAFETY: nothing is allocated there, and no lock is taken.
    let output = unsafe { command.pre_exec(move || policy.apply()) }.output().expect("the program starts");
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    Some(String::from_utf8(output.stdout).expect("UTF-8"))
}

/// Checks what the doctor says under a policy, fact by fact, and that calls work.
fn check(policy: impl Fn() -> Policy, facts: &[(&str, &str)]) {
    let Some(report) = output(policy(), &["doctor"]) else { return };
    for (name, expected) in facts {
        let line = report.lines().find_map(|line| line.strip_prefix("  ")?.strip_prefix(name)).map(str::trim);
        assert_eq!(line, Some(*expected), "{name} in {report}");
    }
    let power = output(policy(), &["call", "double pow(double, double)", "2", "10", "--library", "libm.so.6"]);
    assert_eq!(power.as_deref().map(str::trim), Some("1024"));
}

const REFUSED: &str = "refused: Permission denied (os error 13) (never used)";

#[test]
fn mdwe() {
    check(
        Policy::mdwe,
        &[
            ("tier", "jit (the system allows executable memory)"),
            ("calls go through", "machine code made for each shape of signature"),
            ("from memfd_create", "allowed"),
            ("rw-, then r-x", REFUSED),
            ("rwx", REFUSED),
            ("PR_GET_MDWE", "1: refuses to make memory executable, which the JIT does not do"),
            ("abs(-1)", "1"),
        ],
    );
}

#[test]
fn memory_deny_write_execute() {
    check(
        Policy::systemd,
        &[
            ("tier", "jit (the system allows executable memory)"),
            ("from memfd_create", "allowed"),
            ("anonymous, r-x", "allowed"),
            ("rw-, then r-x", "refused: Operation not permitted (os error 1) (never used)"),
            ("rwx", "refused: Operation not permitted (os error 1) (never used)"),
            ("abs(-1)", "1"),
        ],
    );
}

#[test]
fn shared_executable_mappings_refused() {
    let refusal = "(mmap to execute): Permission denied (os error 13)";
    check(
        Policy::no_shared_executable_mapping,
        &[
            ("tier", &format!("asm (the system refused executable memory {refusal})")),
            ("calls go through", "the trampolines, which are part of the program: slower, and otherwise the same"),
            ("from memfd_create", &format!("refused {refusal}")),
            ("abs(-1)", "1"),
        ],
    );
}

#[test]
fn memory_files_refused() {
    let refusal = "(memfd_create): Operation not permitted (os error 1)";
    check(
        Policy::no_memory_file,
        &[
            ("tier", &format!("asm (the system refused executable memory {refusal})")),
            ("from memfd_create", &format!("refused {refusal}")),
            ("anonymous, r-x", "allowed"),
            ("abs(-1)", "1"),
        ],
    );
}
