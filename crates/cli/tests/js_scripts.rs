//! The scripts and the examples of the module for QuickJS, by `jitcall js`.

mod program;
#[path = "../../qjs/tests/support/mod.rs"]
mod support;

use std::process::Command;

use support::{examples, scripts};

/// A test for each script.
macro_rules! scripts {
    ($($name:ident),* $(,)?) => {
        $(#[test]
        fn $name() {
            scripts::check("jitcall js", stringify!($name), js);
        })*

        #[test]
        fn all_scripts_have_tests() {
            let mut listed = vec![$(stringify!($name)),*];
            listed.sort();
            assert_eq!(scripts::names(), listed);
        }
    };
}

scripts! { asynchronous, beyond, bun, callbacks, faults, leaks, libraries, qjsffi, values }

#[test]
fn documented_examples() {
    examples::check(examples::OF_THE_MODULE, "jitcall js", js);
}

#[test]
fn documented_examples_of_websockets() {
    examples::check_websockets("jitcall js", js);
}

fn js(script: &str) -> Command {
    let mut command = program::jitcall();
    command.args(["js", script]);
    command
}
