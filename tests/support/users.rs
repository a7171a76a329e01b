//! Users for tests: made once, kept.

use nix::unistd::{Uid, User};
use std::fs::Permissions;
use std::os::unix::fs::{PermissionsExt, chown};
use std::process::Command;
use tempfile::TempDir;

/// Users that the tests run commands as.
pub(crate) const OWNER: &str = "wardtest1";
/// Another one.
pub(crate) const STRANGER: &str = "wardtest2";

/// Whether this machine lets the tests act as other users; says so when not.
pub(crate) fn can_act_as_others() -> bool {
    let is_root = Uid::effective().is_root();
    if !is_root {
        eprintln!("skipped: acting as other users takes root's rights");
    }
    is_root
}

/// The user of that name, made if absent. Two tests may make it at once: one of them does.
pub(crate) fn user(name: &str) -> User {
    let known = || User::from_name(name).unwrap();
    known().unwrap_or_else(|| {
        let mut useradd = Command::new("/usr/sbin/useradd");
        useradd.args(["--no-create-home", "--shell", "/usr/sbin/nologin", name]);
        let output = useradd.output().unwrap();
        let found = super::wait::until(|| known().is_some());
        assert!(found, "useradd {name}: {}", String::from_utf8_lossy(&output.stderr));
        known().unwrap()
    })
}

/// A directory of that user's own, which others can enter.
pub(crate) fn folder(name: &str) -> TempDir {
    let (folder, user) = (tempfile::tempdir().unwrap(), user(name));
    std::fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).unwrap();
    chown(folder.path(), Some(user.uid.as_raw()), Some(user.gid.as_raw())).unwrap();
    folder
}
