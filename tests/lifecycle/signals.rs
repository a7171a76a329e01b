//! Signals to the daemon.

use crate::support::person::Person;
use crate::support::root::Root;
use crate::support::stage::{HOLD, Stage};
use crate::support::users::{OWNER, can_act_as_others, user};
use crate::support::wait;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::os::unix::fs::chown;

fn signal(pid: u32, signal: Signal) {
    kill(Pid::from_raw(i32::try_from(pid).unwrap()), signal).unwrap();
}

/// Two mounts, one of which somebody has a file open in.
fn busy() -> Option<(Stage, Person)> {
    let stage = Stage::served(HOLD, "")?;
    let root = stage.root();
    stage.mount(&[]);
    let path = stage.secret("read/token", "s3cret");
    root.ward(&["vault", "init", "work", "--kind", "workspace", "--owner", "agent"]).succeed();
    let other = root.directory().join("other");
    root.ward(&["vault", "mount", "work", other.to_str().unwrap()]).succeed();
    let mut person = Person::of(OWNER);
    person.must(&format!("file = os.open({path:?}, os.O_RDONLY)"));
    Some((stage, person))
}

#[test]
fn sigterm_ends_every_mount_in_order_and_the_log_says_so() {
    let Some((stage, mut person)) = busy() else { return };
    let daemon = stage.root().running().unwrap();
    signal(daemon, Signal::SIGTERM);
    assert!(wait::has_ended(daemon));
    assert_eq!(stage.root().mounts(), Vec::<String>::new());
    let error = person.fails("os.pread(file, 9, 0)");
    assert!(["ESTALE", "ENOTCONN"].contains(&error.as_str()), "{error}");
    let log = stage.log();
    let of = |event: &str| {
        let found = log.iter().enumerate().filter(|(_, entry)| entry["eventType"] == event);
        found.map(|(place, entry)| (place, entry["reason"].clone())).collect::<Vec<_>>()
    };
    let (ended, stopped) = (of("mount.ended"), of("daemon.stopped"));
    assert_eq!((ended.len(), stopped.len()), (2, 1), "{log:?}");
    for (place, reason) in ended {
        assert!(place < stopped[0].0 && reason == "the daemon stopped", "{place} {reason}");
    }
}

#[test]
fn a_second_sigterm_ends_it_as_well_and_leaves_nothing() {
    let Some((stage, _person)) = busy() else { return };
    let daemon = stage.root().running().unwrap();
    signal(daemon, Signal::SIGTERM);
    signal(daemon, Signal::SIGTERM);
    assert!(wait::has_ended(daemon));
    assert_eq!(stage.root().mounts(), Vec::<String>::new());
    stage.root().ward(&["audit", "verify"]).succeed();
}

#[test]
fn a_second_sigterm_waits_for_nobody_whose_files_keep_a_connection() {
    let has_fusectl = std::fs::read_dir("/sys/fs/fuse/connections").is_ok_and(|it| it.count() > 0);
    if !can_act_as_others() || has_fusectl {
        eprintln!("skipped: where connections can be aborted nobody is waited for");
        return;
    }
    let root = Root::absent();
    let owner = user(OWNER);
    chown(root.directory(), Some(owner.uid.as_raw()), Some(owner.gid.as_raw())).unwrap();
    let ward = |words: &[&str]| root.ward(words).by(OWNER).succeed();
    ward(&["init"]);
    let mut person = Person::of(OWNER);
    let vaults = ["one", "two", "three", "four", "five"];
    for vault in vaults {
        ward(&["vault", "init", vault]);
        ward(&["set", &format!("{vault}:token"), "--value", "s3cret"]);
        let path = root.directory().join(vault);
        ward(&["vault", "mount", vault, path.to_str().unwrap()]);
        person.must(&format!("{vault} = os.open({:?}, os.O_RDONLY)", path.join("token")));
    }
    let daemon: u32 =
        std::fs::read_to_string(root.path().join("daemon.lock")).unwrap().parse().unwrap();
    signal(daemon, Signal::SIGTERM);
    let begun = wait::seconds();
    // It is on its way: the first of them is out of the tree.
    assert!(wait::until(|| root.mounts().len() < vaults.len()));
    signal(daemon, Signal::SIGTERM);
    assert!(wait::has_ended(daemon));
    // Each holds up an end that waits for a second.
    let took = wait::seconds() - begun;
    assert!(took < 4.0, "it took {took} s");
    assert_eq!(root.mounts(), Vec::<String>::new());
}

#[test]
fn sighup_takes_policy_and_settings() {
    let Some(stage) = Stage::set() else { return };
    let root = stage.root();
    root.configure("[mount]\nttl = \"7m\"\n");
    signal(root.running().unwrap(), Signal::SIGHUP);
    let taken = || {
        let log = stage.log();
        let said = log.iter().filter(|entry| entry["eventType"] == "policy.loaded");
        said.filter_map(|entry| entry["reason"].as_str())
            .any(|reason| reason.contains("setting mount.ttl changed"))
    };
    assert!(wait::until(taken), "the log does not say so");
    assert_eq!(stage.unmount().status, Some(0));
    let said = root.ward(&["vault", "mount", "default", stage.mountpoint()]).succeed();
    assert!(said.ends_with(" for 7m\n"), "{said}");
}
