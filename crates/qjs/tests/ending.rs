//! Programs that end by an error while a call on another thread waits for a callback: they end, and leave nothing.

mod support;

use std::fs;

use support::hosts::{self, Host};
use support::stage::Stage;
use support::{process, scripts};

/// The call waits for the event loop, which never runs.
const SCRIPT: &str = r#"
import { JSCallback, dlopen } from "./ffi.so";

const libc = dlopen("libc.so.6");
const usleep = libc.func("int usleep(unsigned)");
const qsort = libc.func("void qsort(void *, size_t, size_t, void *)", { async: true });
const compare = new JSCallback(() => 0, { args: ["ptr", "ptr"], returns: "int", threadsafe: true });
qsort(new Int32Array([3, 1, 2]), 3, 4, compare);
usleep(50000);
throw new Error("the end");
"#;

#[test]
fn ng_0_16_2() {
    ends(&hosts::NG_0_16_2);
}

#[test]
fn bellard_2026_06_04() {
    ends(&hosts::BELLARD_2026_06_04);
}

fn ends(host: &Host) {
    let stage = Stage::new("ending");
    fs::write(stage.path().join("ending.js"), SCRIPT).expect("a temporary folder");
    let outcome = process::run(host.command("ending.js").current_dir(stage.path()), scripts::limit());
    let leak = scripts::leak(&outcome);
    assert_eq!((outcome.status.and_then(|status| status.code()), leak), (Some(1), None), "{outcome:?}");
    assert!(outcome.stderr.contains("the end"), "{outcome:?}");
    stage.remove();
}
