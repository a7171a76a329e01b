//! I10: a program that is replaced or deleted while it runs.

use super::finds_nothing;
use crate::support::person::{PYTHON, Person};
use crate::support::stage::Stage;
use crate::support::users::OWNER;
use std::path::PathBuf;

/// A stage where a copy of Python, of root, is the one program that reads `copy/**`; it and the path of
/// a secret there.
fn set() -> Option<(Stage, PathBuf, String)> {
    let stage = Stage::set()?;
    let copy = stage.root().directory().join("copy");
    std::fs::copy(PYTHON, &copy).unwrap();
    let rules = format!(
        "[clients.copy]\nexe = [{copy:?}]\n[[rule]]\nname = \"copy-reads\"\nclients = [\"copy\"]\n\
         ops = [\"file.list\", \"file.read\"]\npath = [\"copy/**\"]\ndecide = \"allow\"\n\
         [[rule]]\nname = \"not-by-being-root\"\nclients = [\"admin\"]\nops = [\"file.read\"]\n\
         path = [\"other/**\"]\npriority = 1\ndecide = \"deny\"\n"
    );
    stage.change_rules("10s", &rules);
    let path = stage.secret("copy/token", "s3cret");
    Some((stage, copy, path))
}

/// Has a copy of the program, as the owner, do some steps and read the secret.
fn runs(copy: &PathBuf, before: &str, path: &str) -> String {
    let program = format!("import os; {before}; print(os.read(os.open({path:?}, 0), 9).decode())");
    format!("run({copy:?}, '-c', {program:?})")
}

#[test]
fn a_deleted_program_is_refused() {
    let Some((_stage, copy, path)) = set() else { return };
    assert_eq!(Person::of(OWNER).must(&runs(&copy, "0", &path))[1], "s3cret\n");
    let mut admin = Person::started_by(&[], None);
    finds_nothing(&admin.must(&runs(&copy, &format!("os.unlink({copy:?})"), &path)));
}

#[test]
fn a_program_replaced_while_it_runs_is_refused_at_its_first_access() {
    let Some((_stage, copy, path)) = set() else { return };
    let new = copy.with_file_name("new");
    std::fs::copy("/usr/bin/head", &new).unwrap();
    let mut admin = Person::started_by(&[], None);
    let replace = format!("os.rename({new:?}, {copy:?})");
    finds_nothing(&admin.must(&runs(&copy, &replace, &path)));
    // What has its name now is another file, and may read by its name.
    let ended = Person::of(OWNER).must(&format!("run({copy:?}, '-c9', {path:?})"));
    assert_eq!(ended[1], "s3cret");
}

#[test]
fn a_file_by_the_name_that_the_kernel_gives_deleted_programs_helps_nobody() {
    let Some((_stage, copy, path)) = set() else { return };
    let mut admin = Person::started_by(&[], None);
    let named = format!("{} (deleted)", copy.display());
    // The very file, whose path agrees then, and is not the path of the rule.
    let before = format!(
        "os.link({copy:?}, {named:?}); os.unlink({copy:?}); \
         os.setresuid({0}, {0}, {0})",
        crate::support::users::user(OWNER).uid
    );
    let ended = admin.must(&runs(&copy, &before, &path));
    assert!(ended[0] != 0 && ended[1] == "", "{ended}");
}

#[test]
fn a_lease_is_for_the_program_that_asked_and_not_for_what_replaces_it() {
    let Some((stage, copy, _)) = set() else { return };
    let path = stage.secret("ask/token", "s3cret");
    let mut person = Person::of(OWNER);
    let read = format!("import os; print(os.read(os.open({path:?}, os.O_NONBLOCK), 9).decode())");
    let step = format!("run({copy:?}, '-c', {read:?})");
    let is_asked =
        |ended: &serde_json::Value| ended[2].as_str().unwrap().contains("temporarily unavailable");
    assert!(is_asked(&person.must(&step)));
    let request = stage.pending()[0]["request"].as_str().unwrap().to_owned();
    assert_eq!(stage.approve(&request).status, Some(0));
    assert_eq!(person.must(&step)[1], "s3cret\n");
    let new = copy.with_file_name("new");
    std::fs::copy(PYTHON, &new).unwrap();
    Person::started_by(&[], None).must(&format!("open({new:?}, 'ab').write(b' ')"));
    std::fs::rename(&new, &copy).unwrap();
    assert!(is_asked(&person.must(&step)));
    assert_eq!(stage.pending().len(), 1);
}
