//! Passphrases typed at a terminal.

use crate::support::root::Root;
use crate::support::terminal::Terminal;

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
