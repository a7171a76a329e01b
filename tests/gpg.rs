//! `ward gpg`: the key that `pass init` takes, and the human who is asked for its passphrase.

use crate::support::root::Root;
use crate::support::screen::Screen;
use crate::support::wait;
use crate::support::ward::Ended;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// What these tests take: Debian's `gnupg` brings both.
const PROGRAMS: [&str; 2] = ["/usr/bin/gpg", "/usr/bin/pinentry-curses"];
const PASSPHRASE: &str = "correct horse 7 staple";

/// A place where no root is needed, and a home for `GnuPG`; `None`, with a word why, where there is no
/// `gpg`.
fn place() -> Option<(Root, PathBuf)> {
    if let Some(missing) = PROGRAMS.into_iter().find(|it| !Path::new(it).exists()) {
        eprintln!("skipped: {missing} is not there: apt-get install gnupg");
        return None;
    }
    let root = Root::absent();
    let home = root.directory().join("gnupg");
    Some((root, home))
}

fn gpg(root: &Root, home: &Path, words: &[&str]) -> Ended {
    let words = [&["gpg"], words, &["--home", home.to_str().unwrap()]].concat();
    root.ward(&words).with("PATH", "/usr/bin:/bin").run()
}

fn tool(home: &Path, program: &str, words: &[&str], input: &str) -> Output {
    let mut command = Command::new(program);
    command.arg("--homedir").arg(home).args(words).stdin(Stdio::piped());
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // A program that does not read its stdin closes it: that is no fault.
    let _ignored = child.stdin.take().unwrap().write_all(input.as_bytes());
    child.wait_with_output().unwrap()
}

/// Whether the key signs for who gives that passphrase.
fn signs(home: &Path, passphrase: &str) -> bool {
    let how = ["--batch", "--quiet", "--pinentry-mode", "loopback", "--passphrase", passphrase];
    let signed = tool(home, "gpg", &[&how[..], &["--clearsign"]].concat(), "text");
    tool(home, "gpgconf", &["--kill", "gpg-agent"], "");
    signed.status.success()
}

fn has_agent(home: &Path) -> bool {
    let ask = ["--no-autostart", "GETINFO pid", "/bye"];
    tool(home, "gpg-connect-agent", &ask, "").stdout.starts_with(b"D ")
}

#[test]
fn a_human_types_the_passphrase_and_the_key_opens_with_no_other() {
    let Some((root, home)) = place() else { return };
    let screen = Screen::begin(&root, &["gpg", "create", "ann", "--home", home.to_str().unwrap()]);
    for question in ["Please enter the passphrase", "Please re-enter this passphrase"] {
        let rows = screen.expect(question);
        assert!(rows.iter().any(|row| row.contains("Passphrase: ____")), "{rows:?}");
        screen.press(&["-l", PASSPHRASE]);
        screen.press(&["Enter"]);
    }
    let rows = screen.expect("ended with 0");
    assert!(!rows.iter().any(|row| row.contains("horse")), "{rows:?}");
    let shown = gpg(&root, &home, &["fingerprint", "ann"]).stdout;
    assert!(shown.starts_with("ann ") && shown.trim().len() == "ann ".len() + 40, "{shown}");
    assert!(rows.iter().any(|row| *row == format!("made {}", shown.trim())), "{rows:?}");
    assert!(wait::until(|| !has_agent(&home)), "the agent of the home was left");
    assert!(!signs(&home, "another"));
    assert!(signs(&home, PASSPHRASE));
}

#[test]
fn who_cancels_has_no_key() {
    let Some((root, home)) = place() else { return };
    let screen = Screen::begin(&root, &["gpg", "create", "ann", "--home", home.to_str().unwrap()]);
    screen.expect("<Cancel>");
    screen.press(&["Tab", "Tab", "Enter"]);
    let rows = screen.expect("ended with 1");
    assert!(rows.iter().any(|row| row.contains("gpg made no key")), "{rows:?}");
    assert!(rows.iter().any(|row| row.contains("[E400]")), "{rows:?}");
    let none = gpg(&root, &home, &["fingerprint", "ann"]);
    assert!(none.status == Some(5) && none.stderr.contains("[E300]"), "{none:?}");
}

#[test]
fn without_a_terminal_it_takes_a_word_and_a_key_is_made_once_for_each_name() {
    let Some((root, home)) = place() else { return };
    let refused = gpg(&root, &home, &["create", "ann"]);
    assert_eq!(refused.status, Some(7), "{refused:?}");
    assert!(refused.stderr.contains("or say --no-passphrase"), "{refused:?}");
    let made = gpg(&root, &home, &["create", "ann", "--no-passphrase"]).stdout;
    assert!(made.starts_with("made ann "), "{made}");
    // Whoever one acts as has a key of its own.
    let ops = ["--agent", "human-ops"];
    let other = gpg(&root, &home, &[&["create", "--no-passphrase"], &ops[..]].concat()).stdout;
    assert!(other.starts_with("made human-ops "), "{other}");
    let again = gpg(&root, &home, &["create", "ann"]).stdout;
    assert_eq!(format!("made {again}"), made);
    assert_eq!(gpg(&root, &home, &["fingerprint", "ann"]).stdout, again);
    let shown = gpg(&root, &home, &[&["fingerprint"], &ops[..]].concat()).stdout;
    assert_eq!(format!("made {shown}"), other);
    assert!(wait::until(|| !has_agent(&home)), "the agent of the home was left");
}
