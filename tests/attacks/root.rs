//! The root and its processes, seen by an unprivileged user; and a root that was tampered with.

use crate::support::person::Person;
use crate::support::root::Root;
use crate::support::stage::Stage;
use crate::support::users::{OWNER, STRANGER, can_act_as_others, user};
use std::fs::Permissions;
use std::os::unix::fs::{PermissionsExt, chown, symlink};

#[test]
fn nothing_in_a_system_root_can_be_read_or_changed_but_its_socket() {
    let Some(stage) = Stage::set() else { return };
    let root = stage.root().path();
    for name in [OWNER, STRANGER] {
        let mut person = Person::of(name);
        assert_eq!(person.fails(&format!("os.listdir({root:?})")), "EACCES");
        for file in ["policy.toml", "ward.toml", "daemon.lock", "audit", "vaults", "keys"] {
            let path = root.join(file);
            assert_eq!(
                person.fails(&format!("os.open({path:?}, os.O_RDONLY)")),
                "EACCES",
                "{file}"
            );
            assert_eq!(person.fails(&format!("os.rename({path:?}, {path:?} + 'x')")), "EACCES");
            assert_eq!(person.fails(&format!("os.chmod({path:?}, 0o777)")), "EPERM");
        }
        assert_eq!(person.fails(&format!("os.unlink({:?})", root.join("control.sock"))), "EACCES");
        assert_eq!(person.fails(&format!("write({:?}, 'x')", root.join("new"))), "EACCES");
    }
    let open_to_others = |path: &std::path::Path| {
        std::fs::symlink_metadata(path).unwrap().permissions().mode() & 0o077 != 0
    };
    for entry in std::fs::read_dir(root).unwrap() {
        let path = entry.unwrap().path();
        assert_eq!(open_to_others(&path), path.ends_with("control.sock"), "{path:?}");
    }
}

#[test]
fn memory_environment_and_descriptors_of_the_daemon_are_closed_to_others() {
    let Some(stage) = Stage::set() else { return };
    let daemon = stage.root().running().unwrap();
    let mut person = Person::of(OWNER);
    for name in ["mem", "environ", "maps", "auxv", "stack"] {
        let errno = person.fails(&format!("read('/proc/{daemon}/{name}')"));
        assert!(["EACCES", "EPERM"].contains(&errno.as_str()), "{name}: {errno}");
    }
    assert_eq!(person.fails(&format!("os.listdir('/proc/{daemon}/fd')")), "EACCES");
    assert_eq!(person.fails(&format!("call('ptrace', 0x4206, {daemon}, 0, 0)")), "EPERM");
    assert_eq!(person.fails(&format!("os.kill({daemon}, signal.SIGKILL)")), "EPERM");
}

#[test]
fn the_daemon_of_a_private_root_cannot_be_dumped_or_read_by_its_own_user() {
    if !can_act_as_others() {
        return;
    }
    let root = Root::absent();
    let owner = user(OWNER);
    chown(root.directory(), Some(owner.uid.as_raw()), Some(owner.gid.as_raw())).unwrap();
    root.ward(&["init"]).by(OWNER).succeed();
    root.ward(&["set", "token", "--value", "s3cret"]).by(OWNER).succeed();
    let daemon = root.running().unwrap();
    let mut person = Person::of(OWNER);
    assert_eq!(person.fails(&format!("read('/proc/{daemon}/mem')")), "EACCES");
    assert_eq!(person.fails(&format!("read('/proc/{daemon}/environ')")), "EACCES");
    assert_eq!(person.fails(&format!("call('ptrace', 0x4206, {daemon}, 0, 0)")), "EPERM");
    let limits = std::fs::read_to_string(format!("/proc/{daemon}/limits")).unwrap();
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
    assert_eq!(core.split_whitespace().nth(4), Some("0"), "{core}");
}

#[test]
fn a_policy_that_another_user_owns_or_can_write_stops_the_start_and_the_way_to_mend_it_is_told() {
    if !can_act_as_others() {
        return;
    }
    let root = Root::system();
    let policy = root.path().join("policy.toml");
    let refuses = |mend: &str| {
        let ended = root.run(&["daemon", "start"]);
        assert_ne!(ended.status, Some(0), "{ended:?}");
        assert!(ended.stderr.contains(&format!("{mend} {}", policy.display())), "{}", ended.stderr);
        assert_eq!(root.running(), None);
    };
    std::fs::set_permissions(&policy, Permissions::from_mode(0o620)).unwrap();
    refuses("chmod go-w");
    std::fs::set_permissions(&policy, Permissions::from_mode(0o602)).unwrap();
    refuses("chmod go-w");
    std::fs::set_permissions(&policy, Permissions::from_mode(0o600)).unwrap();
    chown(&policy, Some(user(OWNER).uid.as_raw()), None).unwrap();
    refuses("chown 0");
    chown(&policy, Some(0), None).unwrap();
    root.ward(&["daemon", "start"]).succeed();
}

#[test]
fn a_policy_that_is_a_link_is_not_followed() {
    if !can_act_as_others() {
        return;
    }
    let root = Root::system();
    let policy = root.path().join("policy.toml");
    let elsewhere = root.directory().join("elsewhere.toml");
    std::fs::rename(&policy, &elsewhere).unwrap();
    symlink(&elsewhere, &policy).unwrap();
    let ended = root.run(&["daemon", "start"]);
    assert_ne!(ended.status, Some(0), "{ended:?}");
    assert!(ended.stderr.contains("the policy is not taken: cannot read"), "{}", ended.stderr);
}

#[test]
fn the_daemon_does_not_wait_for_itself_on_its_own_mount() {
    let Some(stage) = Stage::set() else { return };
    // A policy reload reads the root alone; a mount over the root's parent cannot be made at all.
    let path = stage.root().directory().join("root/audit");
    let ended = stage.root().run(&["vault", "mount", "default", path.to_str().unwrap()]);
    assert_ne!(ended.status, Some(0), "{ended:?}");
}
