//! I19: the kernel itself, which reads on somebody's behalf: loop devices, overlays, `io_uring`.

use super::succeeds_against_gocryptfs;
use crate::support::person::Person;
use crate::support::program::compiled;
use crate::support::stage::Stage;
use crate::support::users::{self, OWNER, STRANGER, user};
use serde_json::Value;
use std::path::Path;

/// Reads by the requests of `io_uring`, by the caller's thread, a worker's, or one that polls.
fn by_ring(person: &mut Person, path: &str, manner: &str) -> Value {
    let folder = users::folder(OWNER);
    let program = compiled(folder.path(), "uring", include_str!("uring.c"), &[]);
    let ended = person.must(&format!("run({program:?}, {path:?}, {manner:?})"));
    assert_ne!(ended[0], 200, "there is no io_uring here");
    ended
}

fn has_io_uring() -> bool {
    let disabled = std::fs::read_to_string("/proc/sys/kernel/io_uring_disabled");
    let is_there = disabled.is_ok_and(|disabled| disabled.trim() == "0");
    if !is_there {
        eprintln!("skipped: this kernel has no io_uring, or not for users");
    }
    is_there
}

#[test]
fn requests_of_io_uring_are_decided_for_the_process_that_made_them() {
    if !has_io_uring() {
        return;
    }
    let Some(stage) = Stage::set() else { return };
    let (cat, read) = (stage.secret("cat/token", "s3cret"), stage.secret("read/token", "s3cret"));
    let mut person = Person::of(OWNER);
    for manner in ["plain", "worker", "polled"] {
        let ended = by_ring(&mut person, &cat, manner);
        assert_eq!(
            (&ended[0], &ended[1]),
            (&13.into(), &"".into()),
            "{manner}: EACCES is expected"
        );
        let ended = by_ring(&mut person, &read, manner);
        assert_eq!(ended[1], "s3cret", "{manner}");
        let reader = stage.log_of("file.read", "read/token").pop().unwrap();
        assert!(reader["actor"]["exe"].as_str().unwrap().ends_with("/uring"), "{reader}");
        assert_eq!(reader["actor"]["uid"], user(OWNER).uid.as_raw());
    }
}

#[test]
fn ids_that_another_user_lent_to_a_ring_make_nobody_that_user() {
    if !has_io_uring() {
        return;
    }
    let Some(stage) = Stage::set() else { return };
    let path = stage.secret("read/token", "s3cret");
    let folder = users::folder(OWNER);
    let program = compiled(folder.path(), "uring", include_str!("uring.c"), &[]);
    let mut admin = Person::started_by(&[], None);
    let (owner, stranger) = (user(OWNER).uid.to_string(), user(STRANGER).uid.to_string());
    let mut lent = |user: &str| {
        let words = format!("run({program:?}, {path:?}, 'plain', {owner:?}, {user:?})");
        admin.must(&words)
    };
    assert_eq!(lent(&owner)[1], "s3cret", "who lends to himself loses nothing");
    let ended = lent(&stranger);
    assert!(ended[0] != 0 && ended[1] == "", "{ended}");
}

#[test]
fn a_loop_device_on_a_secret_reads_nothing() {
    if !Path::new("/dev/loop-control").exists() {
        eprintln!("skipped: there are no loop devices here");
        return;
    }
    let Some(stage) = Stage::set() else { return };
    let path = stage.secret("read/image", &"s3cret".repeat(1024));
    let mut admin = Person::started_by(&[], None);
    assert_eq!(admin.must(&format!("read({path:?})[:6]")), "s3cret");
    let made = admin
        .must(&format!("run('/usr/sbin/losetup', '--find', '--show', '--read-only', {path:?})"));
    let device = made[1].as_str().unwrap().trim().to_owned();
    assert!(device.starts_with("/dev/loop"), "{made}");
    let read = admin.does(&format!("read({device:?})"));
    admin.must(&format!("run('/usr/sbin/losetup', '--detach', {device:?})"));
    assert_eq!(read, Err("EIO".to_owned()));
}

#[test]
fn an_overlay_of_root_over_a_vault_lends_nobody_the_rights_of_root() {
    let Some(stage) = Stage::set() else { return };
    stage.secret("hidden/token", "s3cret");
    let mut admin = Person::started_by(&["unshare", "--mount"], None);
    let lower = stage.mountpoint();
    admin.must(&format!(
        "run('mount', '-t', 'overlay', '-o', 'lowerdir={lower}:/var/empty', 'none', '/mnt')"
    ));
    admin.must(&format!("os.setgroups([]), os.setresuid({0}, {0}, {0})", user(STRANGER).uid));
    let got = admin.does("read('/mnt/hidden/token')");
    assert!(got.is_err(), "{got:?}");
}

#[test]
fn against_gocryptfs_it_succeeds() {
    if has_io_uring() {
        for manner in ["plain", "worker", "polled"] {
            succeeds_against_gocryptfs(|person, path| by_ring(person, path, manner));
        }
    }
}
