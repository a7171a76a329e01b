//! The log of a root: heads that are kept elsewhere, and proofs of entries.

use crate::support::root::Root;
use crate::support::terminal::Terminal;
use crate::support::wait;
use std::io::Write as _;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::Path;

fn write(path: &Path, text: &[u8]) {
    std::fs::File::create(path).unwrap().write_all(text).unwrap();
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn a_log_that_was_cut_is_told_by_a_head_that_was_kept_elsewhere() {
    let root = Root::private();
    root.ward(&["set", "a", "--value", "x"]).succeed();
    root.ward(&["daemon", "stop"]).succeed();
    let head = root.directory().join("head");
    write(&head, root.ward(&["audit", "head"]).succeed().as_bytes());
    let verify = || root.run(&["audit", "verify", "--head", text(&head)]);
    assert_eq!(verify().status, Some(0));

    let segment = root.newest_segment();
    let whole = std::fs::read_to_string(&segment).unwrap();
    let lines: Vec<&str> = whole.split_inclusive('\n').collect();
    write(&segment, lines[..lines.len() - 3].concat().as_bytes());
    assert_eq!(root.run(&["audit", "verify"]).status, Some(0));
    let ended = verify();
    assert_eq!(ended.status, Some(5), "{ended:?}");
    assert!(ended.stdout.starts_with("2 entries missing after seq "), "{}", ended.stdout);

    write(&segment, whole.as_bytes());
    let other = Root::private();
    write(&head, other.ward(&["audit", "head"]).succeed().as_bytes());
    assert_eq!(verify().status, Some(4));
    write(&head, b"no head");
    assert_eq!(verify().status, Some(7));
}

#[test]
fn an_entry_is_proved_while_the_daemon_runs_and_checked_where_there_is_no_log() {
    let root = Root::private();
    root.ward(&["set", "a", "--value", "x"]).succeed();
    let key = root.ward(&["audit", "head", "--key"]).succeed();
    let newest = root.run(&["--json", "audit", "show", "--limit", "1"]).json();
    let seq = newest["result"]["entries"][0]["entry"]["seq"].as_str().unwrap().to_owned();
    // Signed and synced a moment after it was written.
    let mut proof = None;
    assert!(wait::until(|| {
        let ended = root.run(&["audit", "prove", &seq]);
        proof = (ended.status == Some(0)).then_some(ended.stdout);
        proof.is_some()
    }));
    let proof = proof.unwrap();
    let file = root.directory().join("proof");
    write(&file, proof.as_bytes());
    let elsewhere = Root::at(root.directory().join("nothing"));
    let check = || elsewhere.run(&["audit", "check-proof", text(&file), "--key", key.trim()]);
    let ended = check();
    assert_eq!(ended.status, Some(0), "{ended:?}");
    assert!(ended.stdout.contains(&format!("\"seq\":\"{seq}\"")), "{}", ended.stdout);
    write(&file, proof.replacen("index ", "index 1", 1).as_bytes());
    assert_eq!(check().status, Some(4));
    assert_eq!(root.run(&["audit", "prove", "999999"]).status, Some(5));
    root.ward(&["daemon", "stop"]).succeed();
}

#[test]
fn a_proof_is_none_for_the_next_log_of_the_same_root() {
    let root = Root::private();
    root.ward(&["daemon", "start"]).succeed();
    root.ward(&["daemon", "stop"]).succeed();
    let file = root.directory().join("proof");
    write(&file, root.ward(&["audit", "prove", "2"]).succeed().as_bytes());
    let check = || root.run(&["audit", "check-proof", text(&file)]);
    assert_eq!(check().status, Some(0));
    // Its owner begins another log, with the keys that are in the root.
    let folder = root.path().join("audit");
    std::fs::rename(&folder, root.directory().join("lost")).unwrap();
    std::fs::DirBuilder::new().mode(0o700).create(&folder).unwrap();
    root.ward(&["daemon", "start"]).succeed();
    root.ward(&["daemon", "stop"]).succeed();
    let checked = check();
    assert_eq!(checked.status, Some(4), "{checked:?}");
    assert!(checked.stdout.contains("not signed by the key of this log"), "{}", checked.stdout);
}

#[test]
fn a_segment_that_has_ended_is_compressed_by_the_next_daemon() {
    let root = Root::private();
    let first = root.path().join("audit/0000000001.jsonl");
    let compressed = root.path().join("audit/0000000001.jsonl.zst");
    assert!(first.exists());
    root.ward(&["daemon", "start"]).succeed();
    assert!(wait::until(|| compressed.exists() && !first.exists()));
    assert_eq!(root.run(&["audit", "verify"]).status, Some(0));
    root.ward(&["daemon", "stop"]).succeed();
    assert_eq!(root.run(&["audit", "verify"]).status, Some(0));
}

#[test]
fn damage_in_a_segment_that_has_ended_is_recorded_by_the_daemon() {
    let root = Root::private();
    let first = root.path().join("audit/0000000001.jsonl");
    root.ward(&["daemon", "start"]).succeed();
    root.ward(&["daemon", "stop"]).succeed();
    let compressed = root.path().join("audit/0000000001.jsonl.zst");
    if !compressed.exists() {
        root.ward(&["daemon", "start"]).succeed();
        assert!(wait::until(|| compressed.exists() && !first.exists()));
        root.ward(&["daemon", "stop"]).succeed();
    }
    let mut bytes = std::fs::read(&compressed).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    write(&compressed, &bytes);
    root.ward(&["daemon", "start"]).succeed();
    assert!(wait::until(|| {
        let newest = std::fs::read_to_string(root.newest_segment()).unwrap();
        newest.lines().any(|line| line.contains("log.damaged") && line.contains("0000000001.jsonl"))
    }));
    root.ward(&["daemon", "stop"]).succeed();
    assert_eq!(root.run(&["audit", "verify"]).status, Some(4));
}

#[test]
fn a_broken_log_is_gone_on_from_once_its_owner_accepts_it() {
    let root = Root::private();
    root.ward(&["set", "a", "--value", "x"]).succeed();
    root.ward(&["daemon", "stop"]).succeed();
    let file = root.newest_segment();
    let mut bytes = std::fs::read(&file).unwrap();
    let at = bytes.windows(10).rposition(|it| it == b"secret.set").unwrap();
    bytes[at] ^= 1;
    write(&file, &bytes);
    let verified = root.run(&["audit", "verify"]);
    assert_eq!(verified.status, Some(4), "{verified:?}");
    let (_, rest) = verified.stdout.split_once("after entry ").unwrap();
    let after = rest.split(':').next().unwrap().to_owned();
    assert_ne!(root.run(&["status"]).status, Some(0));
    let wrong = root.run(&["audit", "accept-break", "--after", "1", "--reason", "x"]);
    assert_eq!(wrong.status, Some(7), "{wrong:?}");
    let reason = "the disk was replaced";
    root.ward(&["audit", "accept-break", "--after", &after, "--reason", reason]).succeed();
    root.ward(&["get", "a", "--raw"]).succeed();
    let running = root.run(&["audit", "accept-break", "--after", &after, "--reason", reason]);
    assert!(running.stderr.contains("stop it first"), "{running:?}");
    let verified = root.run(&["audit", "verify"]);
    assert_eq!(verified.status, Some(0), "{verified:?}");
    assert!(verified.stdout.contains("damaged or lost behind entry"), "{}", verified.stdout);
    let shown = root.ward(&["audit", "show", "--event", "log.gap"]).succeed();
    assert!(shown.contains(reason), "{shown}");
    let shown = root.ward(&["audit", "show"]).succeed();
    assert!(shown.contains("is damaged at line"), "{shown}");
}

#[test]
fn the_log_on_a_terminal_says_how_long_ago_and_elsewhere_exactly_when() {
    let root = Root::private();
    root.ward(&["set", "a", "--value", "x"]).succeed();
    let mut terminal = Terminal::begin(&root, &["audit", "show", "--event", "secret.set"]);
    let (shown, status) = terminal.end();
    assert_eq!(status, Some(0));
    assert!(shown.contains("s ago  secret.set  permitted"), "{shown}");
    let plain = root.ward(&["audit", "show", "--event", "secret.set"]).succeed();
    assert!(!plain.contains("ago") && plain.contains("Z  secret.set  permitted"), "{plain}");
}
