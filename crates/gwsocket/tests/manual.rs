//! The manual page, `man/gwsocket.1`, says what the options are. `JITCALL_BLESS=1` writes it anew.

use std::fs;
use std::path::Path;

use clap::CommandFactory;
use gwsocket::options::Options;

#[test]
fn the_manual_page_is_of_these_options() {
    let mut page = Vec::new();
    let manual = clap_mangen::Man::new(Options::command().next_line_help(false)).date("");
    manual.render(&mut page).expect("the page");
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("man/gwsocket.1");
    if std::env::var_os("JITCALL_BLESS").is_some() {
        fs::write(&path, &page).expect("the page is written");
    }
    let kept = fs::read(&path).unwrap_or_default();
    assert!(kept == page, "{} is of other options: write it anew with JITCALL_BLESS=1", path.display());
}

#[test]
fn every_option_is_documented() {
    let document = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/gwsocket.md");
    let document = fs::read_to_string(&document).expect("docs/gwsocket.md");
    let command = Options::command();
    let names = command.get_arguments().filter_map(|option| option.get_long());
    let missing: Vec<&str> = names.filter(|name| !document.contains(&format!("`--{name}"))).collect();
    assert!(missing.is_empty(), "docs/gwsocket.md says nothing of {missing:?}");
}
