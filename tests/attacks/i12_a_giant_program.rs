//! I12: a program so large that to hash it would keep everybody waiting.

use super::is_refused;
use crate::support::person::Person;
use crate::support::stage::Stage;
use crate::support::users::{self, OWNER};
use crate::support::wait;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

const GIB: u64 = 1 << 30;

/// How long anybody else may wait for an open meanwhile, in seconds: far less than a hash takes.
const UNDELAYED: f64 = 0.5;

/// A copy of head, lengthened by a hole.
fn giant(folder: &TempDir, size: u64) -> PathBuf {
    let tool = folder.path().join("giant");
    std::fs::copy("/usr/bin/head", &tool).unwrap();
    std::fs::File::options().write(true).open(&tool).unwrap().set_len(size).unwrap();
    tool
}

/// Policy that knows a program by its hash alone.
fn pinned(hash: &str) -> String {
    format!(
        "[clients.pinned]\nsha256 = [\"{hash}\"]\n[[rule]]\nname = \"pinned-reads\"\n\
         clients = [\"pinned\"]\nops = [\"file.list\", \"file.read\"]\npath = [\"pinned/**\"]\n\
         decide = \"allow\"\n"
    )
}

fn hash_of(program: &Path) -> String {
    let output = std::process::Command::new("sha256sum").arg(program).output().unwrap();
    String::from_utf8(output.stdout).unwrap()[..64].to_owned()
}

#[test]
fn a_program_of_four_gigabytes_has_no_hash_and_what_wants_one_refuses_it() {
    let Some(stage) = Stage::with("10s", &pinned(&hash_of(Path::new("/usr/bin/head")))) else {
        return;
    };
    let (pinned, ask) = (stage.secret("pinned/token", "s3cret"), stage.secret("ask/token", "x"));
    let folder = users::folder(OWNER);
    let tool = giant(&folder, 4 * GIB);
    let mut person = Person::of(OWNER);
    assert_eq!(person.must(&format!("run('head', '-c9', {pinned:?})"))[1], "s3cret");
    let begun = wait::seconds();
    let ended = person.must(&format!("run({tool:?}, '-c9', {pinned:?})"));
    assert!(ended[0] != 0 && ended[1] == "", "{ended}");
    // No human is asked to say yes to a program that cannot be known again.
    is_refused(&person.must(&format!("run({tool:?}, '-c9', {ask:?})")));
    let took = wait::seconds() - begun;
    assert!(took < 1.0, "it was hashed: {took} s");
    assert_eq!(stage.pending().len(), 0);
    let refusal = stage.log_of("refused", "ask/token").pop().unwrap();
    assert_eq!(refusal["actor"]["exe"], tool.to_str().unwrap());
}

#[test]
fn while_a_giant_program_is_hashed_nobody_else_waits() {
    let Some(stage) = Stage::set() else { return };
    let path = stage.secret("read/token", "s3cret");
    let folder = users::folder(OWNER);
    let tool = giant(&folder, GIB);
    let (mut attacker, mut other) = (Person::of(OWNER), Person::of(OWNER));
    assert_eq!(other.reads(&path), Ok("s3cret".to_owned()));
    let begun = wait::seconds();
    let attack = format!(
        "it = [subprocess.Popen([{tool:?}, '-c9', {path:?}], stdout=subprocess.PIPE) \
         for _ in range(4)]; [one.wait() for one in it]"
    );
    attacker.begin(&attack);
    let (mut known, mut new) = (0.0_f64, 0.0_f64);
    let is_over = format!(
        "(begun := time.monotonic(), read({path:?}), now := time.monotonic(), child('read({path:?})'), \
         now - begun, time.monotonic() - now)[4:]"
    );
    for _ in 0..40 {
        let took: Vec<f64> = serde_json::from_value(other.must(&is_over)).unwrap();
        (known, new) = (known.max(took[0]), new.max(took[1]));
    }
    attacker.end().unwrap();
    let attack = wait::seconds() - begun;
    eprintln!("{known} s for one who is known, {new} s for a new process, in {attack} s");
    assert!(known < UNDELAYED && new < UNDELAYED, "{known} s, {new} s");
}
