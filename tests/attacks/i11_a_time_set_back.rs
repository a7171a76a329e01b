//! I11: a program that is changed under its path, size and times, so that a known hash is taken for its own.

use crate::support::person::{PYTHON, Person};
use crate::support::stage::Stage;
use crate::support::users::{self, OWNER};
use crate::support::wait;

/// For longer than this the hash of a file that does not change is not taken anew, in seconds.
const SETTLED: f64 = 3.0;

/// Changes the last byte of a program, which nothing of it needs, and sets its times back.
const CHANGE: &str = "
before = os.stat(tool)
with open(tool, 'r+b') as file:
    file.seek(-1, os.SEEK_END)
    last = file.read(1)[0]
    file.seek(-1, os.SEEK_END)
    file.write(bytes([last ^ 1]))
os.utime(tool, ns=(before.st_atime_ns, before.st_mtime_ns))
after = os.stat(tool)
assert (after.st_size, after.st_mtime_ns) == (before.st_size, before.st_mtime_ns)
assert after.st_ino == before.st_ino
";

#[test]
fn a_changed_program_is_not_taken_for_the_one_whose_hash_was_known() {
    if !users::can_act_as_others() {
        return;
    }
    let folder = users::folder(OWNER);
    let tool = folder.path().join("tool");
    let mut person = Person::of(OWNER);
    person.must(&format!("tool = {tool:?}; run('cp', '/usr/bin/head', tool)"));
    let made = wait::seconds();
    let hash = person.must("run('sha256sum', tool)[1][:64]");
    let rules = format!(
        "[clients.pinned]\nsha256 = [{hash}]\n[[rule]]\nname = \"pinned-reads\"\n\
         clients = [\"pinned\"]\nops = [\"file.list\", \"file.read\"]\npath = [\"pinned/**\"]\n\
         decide = \"allow\"\n"
    );
    let Some(stage) = Stage::with("1s", &rules) else { return };
    let path = stage.secret("pinned/token", "s3cret");
    let step = format!("run(tool, '-c9', {path:?})");
    // Only a hash that is old enough is remembered.
    assert!(wait::until(|| wait::seconds() > made + SETTLED));
    for _ in 0..2 {
        assert_eq!(person.must(&step)[1], "s3cret");
    }
    person.must(CHANGE);
    let ended = person.must(&step);
    assert!(ended[0] != 0 && ended[1] == "", "{ended}");
    // The same bytes again are the same program.
    person.must(CHANGE);
    assert_eq!(person.must(&step)[1], "s3cret");
}

#[test]
fn a_program_that_changes_between_two_looks_is_never_taken_for_what_it_was() {
    let Some(stage) = Stage::set() else { return };
    let path = stage.secret("ask/token", "s3cret");
    let tool = stage.root().directory().join("tool");
    std::fs::copy(PYTHON, &tool).unwrap();
    let mut person = Person::of(OWNER);
    let read = format!("import os; print(os.read(os.open({path:?}, os.O_NONBLOCK), 9))");
    let step = format!("run({tool:?}, '-c', {read:?})");
    assert!(person.must(&step)[2].as_str().unwrap().contains("temporarily unavailable"));
    let request = stage.pending()[0]["request"].as_str().unwrap().to_owned();
    assert_eq!(stage.approve(&request).status, Some(0));
    assert_eq!(person.must(&step)[1], "b's3cret'\n");
    // Within the second of the look before.
    let mut admin = Person::started_by(&[], None);
    admin.must(&format!("tool = {tool:?}"));
    admin.must(CHANGE);
    assert!(person.must(&step)[2].as_str().unwrap().contains("temporarily unavailable"));
}
