//! A plain encrypted mount with one file, for attacks to succeed against: gocryptfs as its users run it.

use super::users::{self, OWNER, can_act_as_others, user};
use super::wait;
use nix::mount::{MntFlags, umount2};
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use tempfile::TempDir;

const PROGRAM: &str = "/usr/bin/gocryptfs";
/// What the file holds.
pub(crate) const VALUE: &str = "s3cret";

/// A mount of the first user of the tests, in which `token` is that user's, with mode 0600.
pub(crate) struct Gocryptfs {
    folder: TempDir,
    server: Child,
}

impl Gocryptfs {
    /// The mount; `None`, with a word why, where there can be none.
    pub(crate) fn set() -> Option<Self> {
        if !can_act_as_others() {
            return None;
        }
        if !Path::new(PROGRAM).exists() {
            eprintln!("skipped: {PROGRAM} is not there: apt-get install gocryptfs");
            return None;
        }
        let folder = users::folder(OWNER);
        let server = {
            let at = |name: &str| folder.path().join(name);
            super::stage::replace(&at("password"), "password");
            let done = gocryptfs(&["-init", "-scryptn", "10"], &folder).status().unwrap();
            assert!(done.success(), "gocryptfs -init: {done}");
            let server = gocryptfs(&["-fg"], &folder).arg(at("shown")).spawn().unwrap();
            assert!(wait::until(|| is_mounted(&at("shown"))), "gocryptfs does not mount");
            server
        };
        let plain = Self { folder, server };
        let mut writer = Command::new("/bin/sh");
        writer.args(["-c", &format!("umask 077; printf {VALUE} > {:?}", plain.path())]);
        assert!(as_owner(&mut writer).status().unwrap().success());
        Some(plain)
    }

    /// The path of the file, as text.
    pub(crate) fn path(&self) -> String {
        self.mountpoint().join("token").to_str().unwrap().to_owned()
    }

    /// Where it is mounted.
    pub(crate) fn mountpoint(&self) -> PathBuf {
        self.folder.path().join("shown")
    }

    /// Its process number.
    pub(crate) fn pid(&self) -> u32 {
        self.server.id()
    }
}

impl Drop for Gocryptfs {
    fn drop(&mut self) {
        // A test may have ended it.
        let _ended = umount2(&self.mountpoint(), MntFlags::MNT_FORCE | MntFlags::MNT_DETACH);
        let _killed = self.server.kill();
        let _status = self.server.wait();
    }
}

fn is_mounted(path: &Path) -> bool {
    let table = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
    table.lines().any(|line| line.split(' ').nth(4) == path.to_str())
}

/// `gocryptfs OPTIONS FOLDER/sealed`, run by the user.
fn gocryptfs(options: &[&str], folder: &TempDir) -> Command {
    let at = |name: &str| folder.path().join(name);
    for name in ["sealed", "shown"] {
        if std::fs::create_dir(at(name)).is_ok() {
            let mine = Some(user(OWNER).uid.as_raw());
            std::os::unix::fs::chown(at(name), mine, None).unwrap();
            std::fs::set_permissions(at(name), Permissions::from_mode(0o755)).unwrap();
        }
    }
    let mut command = Command::new(PROGRAM);
    command.args(options).args(["-quiet", "-passfile"]).arg(at("password")).arg(at("sealed"));
    as_owner(&mut command).stdout(Stdio::null());
    command
}

fn as_owner(command: &mut Command) -> &mut Command {
    let user = user(OWNER);
    command.uid(user.uid.as_raw()).gid(user.gid.as_raw()).env_clear();
    command.env("PATH", "/usr/bin:/bin").current_dir("/")
}
