//! Passphrases typed at a terminal.

use crate::support::root::Root;
use crate::support::terminal::Terminal;
use crate::support::ward::Ended;
use serde_json::Value;

const QUESTION: &str = "Passphrase of the vault default: ";

fn root_with_passphrase() -> Root {
    let root = Root::absent();
    let mut terminal = Terminal::begin(&root, &["init", "--slot", "passphrase"]);
    terminal.expect("New passphrase: ");
    terminal.type_in("correct horse\n");
    terminal.expect("The same again: ");
    terminal.type_in("correct horse\n");
    let (shown, status) = terminal.end();
    assert_eq!(status, Some(0), "{shown}");
    root.write_anywhere();
    root
}

#[test]
fn a_new_passphrase_is_asked_for_twice_and_never_shown() {
    let root = Root::absent();
    let mut terminal = Terminal::begin(&root, &["init", "--slot", "passphrase"]);
    terminal.expect("New passphrase: ");
    assert!(!terminal.has_echo());
    terminal.type_in("correct horse\n");
    terminal.expect("The same again: ");
    assert!(!terminal.has_echo());
    terminal.type_in("correct horse\n");
    let (shown, status) = terminal.end();
    assert_eq!(status, Some(0), "{shown}");
    assert!(!shown.contains("horse"), "{shown}");
    assert!(terminal.has_echo());
}

#[test]
fn two_passphrases_that_differ_change_nothing() {
    let root = Root::absent();
    let mut terminal = Terminal::begin(&root, &["init", "--slot", "passphrase"]);
    terminal.expect("New passphrase: ");
    terminal.type_in("correct horse\n");
    terminal.expect("The same again: ");
    terminal.type_in("correct house\n");
    let (shown, status) = terminal.end();
    assert_eq!(status, Some(7), "{shown}");
    assert!(!root.path().exists());
}

#[test]
fn a_command_that_meets_a_locked_vault_asks_unlocks_and_goes_on() {
    let root = root_with_passphrase();
    let mut terminal = Terminal::begin(&root, &["set", "a", "--value", "x"]);
    terminal.expect(QUESTION);
    terminal.type_in("correct horse\n");
    let (shown, status) = terminal.end();
    assert_eq!(status, Some(0), "{shown}");
    assert_eq!(root.ward(&["get", "a", "--raw"]).succeed(), "x");
}

#[test]
fn a_wrong_passphrase_at_the_terminal_opens_nothing() {
    let root = root_with_passphrase();
    let mut terminal = Terminal::begin(&root, &["list"]);
    terminal.expect(QUESTION);
    terminal.type_in("correct house\n");
    let (shown, status) = terminal.end();
    assert_eq!(status, Some(8), "{shown}");
}

/// What came of `ward --json` at a terminal where that was typed at the question.
fn answered(root: &Root, words: &[&str], typed: &str) -> Ended {
    let mut terminal = Terminal::begin(root, &[&["--json"], words].concat());
    terminal.expect(QUESTION);
    assert!(!terminal.has_echo());
    terminal.type_in(typed);
    let (shown, status) = terminal.end();
    assert!(!shown.contains(typed.trim()), "{shown}");
    // Behind the question is the answer of the protocol.
    let stdout = shown.trim_start_matches(QUESTION).trim().to_owned();
    Ended { status, stdout, stderr: String::new() }
}

fn code(ended: &Ended) -> Value {
    ended.json()["error"]["code"].clone()
}

/// A vault with a passphrase and nothing else, whose pin was lost: it counts as rolled back.
fn rolled_back_with_passphrase() -> Root {
    let root = root_with_passphrase();
    let made = answered(&root, &["set", "a", "--value", "x"], "correct horse\n");
    assert_eq!(made.status, Some(0), "{made:?}");
    root.ward(&["daemon", "stop"]).succeed();
    std::fs::remove_file(root.path().join("pins/default")).unwrap();
    root
}

#[test]
fn a_restored_vault_with_a_passphrase_is_accepted_at_a_terminal_and_by_nobody_without_it() {
    let root = rolled_back_with_passphrase();
    let words = ["vault", "accept-restore", "default"];
    let wrong = answered(&root, &words, "correct house\n");
    assert_eq!((wrong.status, code(&wrong)), (Some(8), "wrong-key".into()), "{wrong:?}");
    let shown = root.ward(&["list", "--pending"]).succeed();
    assert!(!shown.contains("accept-restore"), "nobody is asked for one without it: {shown}");
    let unasked = root.run(&words);
    assert_eq!(unasked.status, Some(8), "without a terminal: {unasked:?}");

    // Both times in one session, as at one terminal: a yes is for the session that asked.
    let script = "\"$0\" --json vault accept-restore default; read go; \
                  \"$0\" --json vault accept-restore default";
    let mut terminal = Terminal::begin_shell(&root, script);
    terminal.expect(QUESTION);
    terminal.type_in("correct horse\n");
    terminal.expect("\"request\":\"");
    terminal.expect("}\r\n");
    let (_, rest) = terminal.shown().rsplit_once("\"request\":\"").unwrap();
    let request = rest.split('"').next().unwrap().to_owned();
    root.ward(&["approve", &request]).succeed();
    terminal.type_in("go\n");
    terminal.expect(&format!("go\r\n{QUESTION}"));
    terminal.type_in("correct horse\n");
    let (shown, status) = terminal.end();
    assert_eq!(status, Some(0), "{shown}");
    assert!(shown.contains("\"result\":{\"vault\":\"default\""), "{shown}");
    assert_eq!(root.ward(&["get", "a", "--raw"]).succeed(), "x");
}

#[test]
fn a_copy_of_the_header_is_put_back_at_a_terminal_by_who_knows_its_passphrase() {
    let root = root_with_passphrase();
    let made = answered(&root, &["set", "a", "--value", "x"], "correct horse\n");
    assert_eq!(made.status, Some(0), "{made:?}");
    root.ward(&["vault", "header", "backup", "copy"]).succeed();
    root.ward(&["daemon", "stop"]).succeed();
    // The day both headers are lost.
    for header in ["header", "header.2"] {
        let path = root.path().join("vaults/default").join(header);
        std::fs::File::create(path).unwrap();
    }
    let words = ["vault", "header", "restore", "copy"];
    let wrong = answered(&root, &words, "correct house\n");
    assert_eq!((wrong.status, code(&wrong)), (Some(8), "wrong-key".into()), "{wrong:?}");
    let header = root.path().join("vaults/default/header");
    assert_eq!(header.metadata().unwrap().len(), 0, "nothing was written");
    let put_back = answered(&root, &words, "correct horse\n");
    assert_eq!(put_back.status, Some(0), "{put_back:?}");
    let got = answered(&root, &["get", "a"], "correct horse\n");
    assert_eq!((got.status, &got.json()["result"]["value"]), (Some(0), &"eA==".into()), "{got:?}");
}

#[test]
fn an_interrupt_at_the_question_ends_the_command_and_brings_the_echo_back() {
    let root = root_with_passphrase();
    let mut terminal = Terminal::begin(&root, &["list"]);
    terminal.expect(QUESTION);
    assert!(!terminal.has_echo());
    terminal.type_in("half\x03");
    let (shown, status) = terminal.end();
    assert_ne!(status, Some(0), "{shown}");
    assert!(terminal.has_echo());
}

#[test]
fn a_value_on_a_terminal_is_shown_without_what_the_terminal_would_obey() {
    let root = Root::private();
    root.ward(&["set", "a", "--stdin"]).given(b"one\x1b[2J").succeed();
    let (shown, status) = Terminal::begin(&root, &["get", "a"]).end();
    assert_eq!((shown.as_str(), status), ("one\\u{1b}[2J\r\n", Some(0)));
}
