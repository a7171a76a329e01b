//! Raw bytes are for terminals.

use super::{entries, root};
use crate::support::root::Root;
use crate::support::terminal::Terminal;
use std::fs::File;
use std::io::Write;

#[test]
fn no_spelling_of_get_gets_around_the_guard_of_raw_output() {
    let root = root("");
    for words in [
        &["get", "token"][..],
        &["get", "token", "--raw"],
        &["get", "token", "--json"],
        &["--json", "get", "--raw", "token"],
        &["get", "default:token", "--raw"],
    ] {
        let ended = root.run(words);
        assert_eq!(ended.status, Some(7), "{words:?}: {ended:?}");
        let said = format!("{}{}", ended.stdout, ended.stderr);
        assert!(said.contains("refusing to write secret bytes to non-tty stdout"), "{said}");
        assert!(said.contains("use --pipe-to"), "the next step: {said}");
        assert!(!said.contains("hunter2") && !said.contains("aHVudGVyMg"), "{said}");
    }
    assert!(entries(&root, "file.open").is_empty(), "nothing was read");
    let refused = entries(&root, "refused");
    assert_eq!(refused.len(), 4, "what reached the daemon is in the log: {refused:?}");
    assert_eq!(refused[0]["path"], "token");
}

#[test]
fn the_owner_of_a_root_lets_raw_bytes_go_anywhere_and_takes_it_back_while_the_daemon_runs() {
    let root = Root::private();
    root.ward(&["set", "token", "--value", "hunter2"]).succeed();
    assert_eq!(root.ward(&["get", "token", "--raw"]).succeed(), "hunter2");
    let json = root.run(&["--json", "get", "token"]).json();
    assert_eq!(json["result"]["value"], "aHVudGVyMg==");
    let file = root.path().join("ward.toml");
    let text = std::fs::read_to_string(&file).unwrap().replace("anywhere", "terminal");
    File::create(&file).unwrap().write_all(text.as_bytes()).unwrap();
    let shown = root.ward(&["config", "show"]).succeed();
    assert!(shown.contains("pipe.raw"), "{shown}");
    let changed = root.run(&["--json", "policy", "reload"]).json();
    assert_eq!(changed["result"]["settings_changed"][0], "pipe.raw", "{changed}");
    assert_eq!(root.run(&["get", "token", "--raw"]).status, Some(7));
}

#[test]
fn raw_bytes_on_a_terminal_come_with_a_warning() {
    let root = root("");
    let (shown, status) = Terminal::begin(&root, &["get", "token", "--raw"]).end();
    assert_eq!(status, Some(0), "{shown}");
    assert!(
        shown.contains("raw secret output on a terminal") && shown.ends_with("hunter2"),
        "{shown}"
    );
    let (shown, status) = Terminal::begin(&root, &["get", "token"]).end();
    assert_eq!((shown.as_str(), status), ("hunter2\r\n", Some(0)));
}
