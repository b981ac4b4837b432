//! The examples for JavaScript in documents: each prints what its comments behind `console.log` say, and nothing else.

use std::fs;
use std::process::Command;

use super::crate_folder;
use super::process::{self, Outcome};
use super::scripts::limit;
use super::stage::Stage;

/// An example: its place in the document, its text, and the lines that it promises.
struct Example {
    line: usize,
    text: String,
    expected: Vec<String>,
}

/// The document of the module.
pub(crate) const OF_THE_MODULE: &str = "docs/quickjs.md";

/// Runs the examples of the WebSocket server's document, whose C library they load by its name.
///
/// # Panics
/// As [`check`] does.
pub(crate) fn check_websockets(label: &str, command: impl Fn(&str) -> Command) {
    let library = super::built("libgwsocket.so");
    check("docs/gwsocket.md", label, |script| {
        let mut command = command(script);
        command.env("LD_LIBRARY_PATH", library.parent().expect("its folder"));
        command
    });
}

/// Runs all examples of a document by the commands made for their paths.
///
/// # Panics
/// If one prints something else, or fails; after all have run, with the words of each that does.
pub(crate) fn check(document: &str, label: &str, command: impl Fn(&str) -> Command) {
    let stage = Stage::new("examples");
    let examples = examples(document);
    assert!(!examples.is_empty(), "there are no examples");
    let failures: Vec<String> =
        examples.iter().filter_map(|example| failure(document, example, &stage, &command)).collect();
    assert!(failures.is_empty(), "on {label}, in {}:\n{}", stage.path().display(), failures.join("\n"));
    stage.remove();
}

/// Runs an example; says what is wrong with it.
fn failure(document: &str, example: &Example, stage: &Stage, command: impl Fn(&str) -> Command) -> Option<String> {
    let script = format!("line{}.js", example.line);
    fs::write(stage.path().join(&script), &example.text).expect("a temporary folder");
    let outcome = process::run(command(&script).current_dir(stage.path()), limit());
    if is_as_expected(example, &outcome) {
        return None;
    }
    let status =
        outcome.status.map_or_else(|| "stopped, for it takes too long".to_owned(), |status| status.to_string());
    Some(format!(
        "{document}:{}: {status}\n--- expected\n{}\n--- stdout\n{}\n--- stderr\n{}",
        example.line,
        example.expected.join("\n"),
        outcome.stdout,
        outcome.stderr
    ))
}

fn is_as_expected(example: &Example, outcome: &Outcome) -> bool {
    let is_success = outcome.status.is_some_and(|status| status.success());
    is_success && outcome.stderr.is_empty() && outcome.stdout.lines().eq(&example.expected)
}

fn examples(document: &str) -> Vec<Example> {
    let path = crate_folder().join("../..").join(document);
    let document = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let mut examples = Vec::new();
    let mut lines = document.lines().zip(1..);
    while let Some((line, number)) = lines.next() {
        if line == "```js" {
            let text: Vec<&str> = lines.by_ref().map(|(line, _)| line).take_while(|line| *line != "```").collect();
            let expected = text.iter().filter(|line| line.contains("console.log(")).map(|line| promise(line)).collect();
            examples.push(Example { line: number, text: text.join("\n"), expected });
        }
    }
    examples
}

/// What a line with `console.log` prints.
fn promise(line: &str) -> String {
    let (_, comment) = line.rsplit_once(" // ").unwrap_or_else(|| panic!("no comment says what is printed: {line}"));
    comment.to_owned()
}
