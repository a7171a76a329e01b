//! I4: a mount namespace in which the path of an allowed program is another program.

use super::{finds_nothing, succeeds_against_gocryptfs};
use crate::support::person::Person;
use crate::support::stage::Stage;
use crate::support::users::{OWNER, user};
use serde_json::Value;

/// Reads with another program that is mounted over cat, in namespaces of the attacker's own.
fn disguised(person: &mut Person, path: &str) -> Value {
    person.must(&format!(
        "run('unshare', '-Urm', 'sh', '-c', \
         'mount --bind /usr/bin/head /usr/bin/cat && /usr/bin/cat -c9 $0', {path:?})"
    ))
}

#[test]
fn a_program_bind_mounted_over_an_allowed_one_in_a_namespace_of_its_own_is_refused() {
    let Some(stage) = Stage::set() else { return };
    let path = stage.secret("cat/token", "s3cret");
    finds_nothing(&disguised(&mut Person::of(OWNER), &path));
}

#[test]
fn the_same_with_the_help_of_root_in_our_own_user_namespace_is_refused() {
    let Some(stage) = Stage::set() else { return };
    let path = stage.secret("cat/token", "s3cret");
    let mut admin = Person::started_by(&[], None);
    let mut runs = |script: &str| {
        let ids = format!("--reuid={0} --regid={0} --clear-groups", user(OWNER).uid);
        let script = script.replace("IDS", &ids);
        admin.must(&format!("run('unshare', '-m', 'sh', '-c', {script:?}, {path:?})"))
    };
    finds_nothing(&runs(
        "mount --bind /usr/bin/head /usr/bin/cat && exec setpriv IDS /usr/bin/cat -c9 $0",
    ));
    // A whole filesystem in the place of the folder, with a program of that name.
    finds_nothing(&runs(
        "mount -t tmpfs none /mnt && cp /usr/bin/setpriv /mnt && cp /usr/bin/head /mnt/cat && \
         mount --bind /mnt /usr/bin && exec /usr/bin/setpriv IDS /usr/bin/cat -c9 $0",
    ));
    let reads = runs("exec setpriv IDS /usr/bin/cat $0");
    assert_eq!(reads[1], "s3cret", "a namespace alone does no harm");
}

#[test]
fn against_gocryptfs_it_succeeds() {
    succeeds_against_gocryptfs(disguised);
}
