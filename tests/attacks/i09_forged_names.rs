//! I9: names, arguments and variables that claim to be an allowed program.

use super::{is_refused, succeeds_against_gocryptfs};
use crate::support::person::Person;
use crate::support::stage::Stage;
use crate::support::users::{self, OWNER};
use serde_json::Value;
use tempfile::TempDir;

fn set() -> Option<(Stage, Person, String, TempDir)> {
    let stage = Stage::set()?;
    let path = stage.secret("cat/token", "s3cret");
    Some((stage, Person::of(OWNER), path, users::folder(OWNER)))
}

/// Runs another program under the name of an allowed one. argv[0] is only what the starter says.
fn under_a_name(person: &mut Person, path: &str) -> Value {
    person.must(&format!("run('/usr/bin/cat', '-c6', {path:?}, executable='/usr/bin/head')"))
}

#[test]
fn a_copy_of_an_allowed_program_is_another_program() {
    let Some((_stage, mut person, path, folder)) = set() else { return };
    let copy = folder.path().join("cat");
    person.must(&format!("run('cp', '/usr/bin/cat', {copy:?})"));
    is_refused(&person.must(&format!("run({copy:?}, {path:?})")));
}

#[test]
fn another_program_under_the_name_of_an_allowed_one_is_refused() {
    let Some((_stage, mut person, path, folder)) = set() else { return };
    let copy = folder.path().join("cat");
    person.must(&format!("run('cp', '/usr/bin/head', {copy:?})"));
    is_refused(&person.must(&format!("run({copy:?}, {path:?})")));
    is_refused(&under_a_name(&mut person, &path));
}

#[test]
fn a_link_to_an_allowed_program_gives_another_program_nothing() {
    let Some((_stage, mut person, path, folder)) = set() else { return };
    let at = |name: &str| folder.path().join(name);
    // The kernel resolves a symlink: this is cat itself, and it may read.
    person.must(&format!("os.symlink('/usr/bin/cat', {:?})", at("head")));
    assert_eq!(person.must(&format!("run({:?}, {path:?})", at("head")))[1], "s3cret");
    person.must(&format!("os.symlink('/usr/bin/head', {:?})", at("cat")));
    is_refused(&person.must(&format!("run({:?}, '-c9', {path:?})", at("cat"))));
    person.must(&format!("run('cp', '/usr/bin/head', {:?})", at("copy")));
    person.must(&format!("os.link({:?}, {:?})", at("copy"), at("hard")));
    is_refused(&person.must(&format!("run({:?}, '-c9', {path:?})", at("hard"))));
}

#[test]
fn environment_and_arguments_claim_nothing() {
    let Some((_stage, mut person, path, _folder)) = set() else { return };
    let claims = "{'_': '/usr/bin/cat', 'SUDO_UID': '0', 'USER': 'root', 'LOGNAME': 'root'}";
    is_refused(&person.must(&format!("run('head', '-c9', {path:?}, env={claims})")));
    person.must("open('/proc/self/comm', 'w').write('cat')");
    assert_eq!(person.reads(&path), Err("EACCES".to_owned()));
}

#[test]
fn a_name_like_fields_of_proc_changes_nothing() {
    let Some((stage, mut person, path, _folder)) = set() else { return };
    for name in ["cat) R 1 1 1", "Uid:\\t0\\t0", "x\\nUid:\\t0"] {
        person.must(&format!("call('prctl', 15, b'{name}')"));
        assert_eq!(person.reads(&path), Err("EACCES".to_owned()));
        let refusal = stage.log_of("refused", "cat/token").pop().unwrap();
        assert_eq!(refusal["actor"]["uid"], users::user(OWNER).uid.as_raw());
    }
}

#[test]
fn against_gocryptfs_it_succeeds() {
    succeeds_against_gocryptfs(under_a_name);
}
