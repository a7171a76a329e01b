//! I5: a user namespace of the attacker's own, in which it forges path, inode and hash together.

use super::{finds_nothing, succeeds_against_gocryptfs};
use crate::support::person::Person;
use crate::support::program::compiled;
use crate::support::stage::Stage;
use crate::support::users::{self, OWNER};
use serde_json::Value;

/// How the forger is built: it must not lean on anything that it takes away.
const OPTIONS: [&str; 7] = [
    "-O1",
    "-static",
    "-nostdlib",
    "-ffreestanding",
    "-fno-stack-protector",
    "-fcf-protection=none",
    "-fno-pie",
];

/// Has the kernel show cat as its own program, and reads.
fn forged(person: &mut Person, path: &str) -> Value {
    let folder = users::folder(OWNER);
    let forger = compiled(folder.path(), "forger", include_str!("forger.c"), &OPTIONS);
    let command = format!("{forger:?}, '/usr/bin/cat', {path:?}, '/proc/self/exe'");
    person.must(&format!("run('unshare', '-Ur', {command})"))
}

#[test]
fn a_program_that_has_the_kernel_show_another_one_for_itself_finds_nothing() {
    if cfg!(not(target_arch = "x86_64")) {
        eprintln!("skipped: the forger is written for x86-64");
        return;
    }
    let Some(stage) = Stage::set() else { return };
    let path = stage.secret("cat/token", "s3cret");
    let ended = forged(&mut Person::of(OWNER), &path);
    assert_eq!(ended[1], "/usr/bin/cat", "the link is not forged: {ended}");
    assert_eq!(ended[0], 2, "ENOENT is expected: {ended}");
}

#[test]
fn root_of_a_user_namespace_is_refused_even_with_the_allowed_program() {
    let Some(stage) = Stage::set() else { return };
    let path = stage.secret("cat/token", "s3cret");
    let mut person = Person::of(OWNER);
    for options in [["-U", "--keep-caps"], ["-U", "-r"]] {
        let [one, other] = options;
        let ended = person.must(&format!("run('unshare', '{one}', '{other}', 'cat', {path:?})"));
        finds_nothing(&ended);
    }
    // It does not matter who made the namespace.
    let mut admin = Person::started_by(&[], None);
    finds_nothing(&admin.must(&format!("run('unshare', '-U', 'cat', {path:?})")));
}

#[test]
fn against_gocryptfs_it_succeeds() {
    if cfg!(target_arch = "x86_64") {
        succeeds_against_gocryptfs(forged);
    }
}
