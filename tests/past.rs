//! What was: versions of a secret, removed secrets, and changes that nobody synced.

use crate::support::root::Root;
use crate::support::stage::replace;
use crate::support::wait;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::path::PathBuf;

/// A private root whose vault is mounted.
fn mounted() -> (Root, PathBuf) {
    let root = Root::private().serving();
    let place = root.directory().join("mount");
    std::fs::create_dir(&place).unwrap();
    root.ward(&["vault", "mount", "default", place.to_str().unwrap()]).succeed();
    (root, place)
}

fn unmount(root: &Root) {
    root.ward(&["vault", "unmount", "default"]).succeed();
}

#[test]
fn a_removed_secret_has_a_history_and_comes_back_until_it_is_revoked() {
    let (root, place) = mounted();
    let path = place.join("password");
    for value in ["one", "two"] {
        replace(&path, value);
    }
    std::fs::remove_file(&path).unwrap();
    let history = root.run(&["--json", "history", "password"]).json();
    let versions = history["result"]["versions"].as_array().unwrap();
    assert_eq!((versions.len(), &history["result"]["is_removed"]), (2, &true.into()), "{history}");
    let first = versions[0]["version"].to_string();

    root.ward(&["restore", "password"]).succeed();
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "two");
    std::fs::remove_file(&path).unwrap();
    root.ward(&["restore", "password", "--version", &first]).succeed();
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "one");
    root.ward(&["revoke", "password"]).succeed();
    for command in ["history", "restore"] {
        assert_eq!(root.run(&[command, "password"]).status, Some(5), "{command}");
    }
    unmount(&root);
}

#[test]
fn a_restored_version_is_what_the_next_open_reads_and_the_restore_is_in_the_log() {
    let (root, place) = mounted();
    let path = place.join("password");
    for value in ["one", "two"] {
        replace(&path, value);
    }
    root.ward(&["restore", "password"]).succeed();
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "one");
    let log = root.ward(&["--json", "audit", "show", "--path", "password"]).succeed();
    assert!(log.contains("\"secret.restore\""), "{log}");
    unmount(&root);
}

#[test]
fn what_nobody_synced_is_durable_within_seconds_all_the_same() {
    let (root, place) = mounted();
    let head = || {
        let info = root.run(&["--json", "vault", "info", "default"]).json();
        info["result"]["head"].clone()
    };
    let before = head();
    // A folder is nobody's file: no close and no fsync is behind it.
    std::fs::create_dir(place.join("folder")).unwrap();
    assert_eq!(head(), before, "not yet durable");
    assert!(wait::until(|| head() != before), "never became durable");
    let daemon = root.running().unwrap();
    kill(Pid::from_raw(i32::try_from(daemon).unwrap()), Signal::SIGKILL).unwrap();
    assert!(wait::has_ended(daemon));
    assert!(wait::until(|| root.mounts().is_empty()), "the monitor ends the mount");
    root.ward(&["vault", "mount", "default", place.to_str().unwrap()]).succeed();
    assert!(place.join("folder").is_dir());
    unmount(&root);
}
