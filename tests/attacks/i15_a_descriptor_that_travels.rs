//! I15: an open file that reaches somebody else: passed over a socket, inherited, kept over exec.

use super::handed;
use crate::support::gocryptfs::Gocryptfs;
use crate::support::person::Person;
use crate::support::stage::Stage;
use crate::support::users::{OWNER, STRANGER};
use serde_json::json;

#[test]
fn a_descriptor_passed_to_another_user_yields_nothing_and_the_try_is_recorded() {
    let Some(stage) = Stage::set() else { return };
    let (mut owner, mut stranger) = super::joined(&stage);
    assert_eq!(stranger.fails("os.pread(file, 9, 0)"), "EACCES");
    assert_eq!(stranger.fails("os.read(file, 9)"), "EACCES");
    let refusal = stage.log_of("refused", "read/token").pop().unwrap();
    assert_eq!(refusal["actor"]["pid"], stranger.pid());
    assert_eq!(owner.must("os.pread(file, 9, 0)"), "s3cret");
}

#[test]
fn a_descriptor_inherited_by_another_program_takes_that_programs_own_right() {
    let Some(stage) = Stage::set() else { return };
    let (cat, read) = (stage.secret("cat/token", "s3cret"), stage.secret("read/token", "s3cret"));
    let mut person = Person::of(OWNER);
    // The shell may not open what cat alone may read.
    let ended = person.must(&format!("run('sh', '-c', 'cat < $0', {cat:?})"));
    assert_eq!((&ended[1], ended[0] == 0), (&json!(""), false), "{ended}");
    // Both may read this one.
    assert_eq!(person.must(&format!("run('sh', '-c', 'cat < $0', {read:?})"))[1], "s3cret");
    // Who may open hands it to a program that may not: od is no cat.
    let rules = "[[rule]]\nname = \"not-od\"\nclients = [\"od\"]\nops = [\"file.read\"]\n\
                 path = [\"read/**\"]\npriority = 1\ndecide = \"deny\"\n\
                 [clients.od]\nexe = [\"/usr/bin/od\"]\n";
    stage.change_rules("1s", rules);
    let ended = person.must(&format!("run('od', '-c', stdin=os.open({read:?}, os.O_RDONLY))"));
    assert!(ended[2].as_str().unwrap().contains("Permission denied"), "{ended}");
    let refusal = stage.log_of("refused", "read/token").pop().unwrap();
    assert_eq!(refusal["actor"]["exe"], "/usr/bin/od");
}

#[test]
fn an_approved_open_handed_to_another_session_yields_nothing_and_asks_nobody() {
    let Some(stage) = Stage::set() else { return };
    let path = stage.secret("ask/token", "s3cret");
    let mut person = Person::of(OWNER);
    person.begin(&format!("file = os.open({path:?}, os.O_RDONLY)"));
    let request = stage.held("ask/token");
    assert_eq!(stage.approve(&request).status, Some(0));
    person.end().unwrap();
    // A duplicate is the same open file in the same process.
    assert_eq!(person.must("os.pread(os.dup(file), 9, 0)"), "s3cret");
    assert_eq!(person.must("child('os.pread(file, 9, 0)')"), 0);
    assert_eq!(person.must("child('os.setsid(); os.pread(file, 9, 0)')"), 42);
    assert_eq!(stage.pending().len(), 0);
}

#[test]
fn a_program_that_becomes_another_one_loses_its_open_file() {
    let Some(stage) = Stage::set() else { return };
    let path = stage.secret("cat/token", "s3cret");
    let rules = "[[rule]]\nname = \"python-too\"\nclients = [\"python\"]\nops = [\"file.read\"]\n\
                 path = [\"cat/**\"]\ndecide = \"allow\"\n\
                 [clients.python]\nexe = [\"/usr/bin/python3*\"]\n";
    stage.change_rules("1s", rules);
    let mut person = Person::of(OWNER);
    let becomes = |program: &str| {
        format!(
            "run('python3', '-c', 'import os; file = os.open({path:?}, 0); os.dup2(file, 0); \
                 os.execv(\"/usr/bin/{program}\", [\"{program}\"])')"
        )
        .replace('\'', "'''")
    };
    assert_eq!(person.must(&becomes("cat"))[1], "s3cret");
    let ended = person.must(&becomes("od"));
    assert!(ended[2].as_str().unwrap().contains("Permission denied"), "{ended}");
}

#[test]
fn against_gocryptfs_it_succeeds() {
    let Some(plain) = Gocryptfs::set() else { return };
    let (mut owner, mut stranger) = (Person::of(OWNER), Person::of(STRANGER));
    assert!(stranger.reads(&plain.path()).is_err());
    owner.must(&format!("file = os.open({:?}, os.O_RDONLY)", plain.path()));
    handed(&mut owner, &mut stranger);
    assert_eq!(stranger.must("os.pread(file, 9, 0)"), "s3cret");
}
