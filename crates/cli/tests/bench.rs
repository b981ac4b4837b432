//! `jitcall bench` from outside: what it prints, and what it refuses.

mod program;

use std::process::Output;

use serde_json::Value;

fn bench(arguments: &[&str]) -> Output {
    program::jitcall().arg("bench").args(arguments).output().expect("the program starts")
}

fn succeed(arguments: &[&str]) -> String {
    let output = bench(arguments);
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("the output is text")
}

fn rows(arguments: &[&str]) -> Vec<Value> {
    serde_json::from_str(&succeed(arguments)).expect("the output is JSON")
}

#[test]
fn measures_every_engine_against_direct_calls() {
    let rows = rows(&["--quick", "--json", "--case", "point", "--case", "add2"]);
    for case in ["add2", "point"] {
        let ratio = |engine: &str| {
            let row = rows.iter().find(|row| row["case"] == case && row["engine"] == engine);
            let row = row.unwrap_or_else(|| panic!("no row for {case} by {engine}"));
            assert!(row["ns"].as_f64() > Some(0.0), "{row}");
            row["ratio"].as_f64().expect("the ratio is a number")
        };
        assert_eq!(ratio("direct"), 1.0);
        for engine in ["typed", "stub", "values", "asm"] {
            assert!(ratio(engine) > 0.0, "{case} by {engine}");
        }
    }
    let members = |row: &Value| row.as_object().map(|row| row.keys().cloned().collect::<Vec<_>>());
    assert!(rows.iter().all(|row| members(row).is_some_and(|keys| keys == ["case", "engine", "ns", "ratio"])));
}

#[test]
fn prints_a_table_with_a_word_on_libffi() {
    let table = succeed(&["--quick", "--case", "noop"]);
    for part in ["direct", "stub", "values", "\nnoop ", "(1.00)", "libjitcall_callees.so\nlibffi: "] {
        assert!(table.contains(part), "{part:?} is missing in\n{table}");
    }
}

/// Every case is called by every engine, each of which compares a result with that of a direct call.
#[test]
fn calls_without_measuring() {
    for case in ["noop", "add2", "fma3", "mix8", "mix16", "point", "big24", "intfloat"] {
        for engine in ["direct", "typed", "stub", "values", "asm"] {
            assert_eq!(succeed(&["--instructions", case, engine, "10"]), "", "{case} by {engine}");
        }
    }
}

#[test]
fn refuses_what_it_does_not_know() {
    for (arguments, reason) in [
        (["--case", "fma4", "--quick", "--json"].as_slice(), "invalid value 'fma4'"),
        (&["--instructions", "add2", "luck", "10"], "luck"),
        (&["--instructions", "add2", "stub", "many"], "invalid digit"),
        (&["--instructions", "add2", "stub"], "3 values required"),
        (&["--libffi", "/nowhere/libffi.so", "--quick"], "/nowhere/libffi.so"),
        (&["--libffi", "libm.so.6", "--quick"], "ffi_prep_cif"),
    ] {
        let output = bench(arguments);
        let message = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success(), "{arguments:?} is no error");
        assert!(message.contains(reason), "{arguments:?}: {message}");
    }
}
