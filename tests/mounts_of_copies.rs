//! The mounts that an export or import goes through: its own, which ends with it, or the one there is.

use crate::support::root::Root;
use crate::support::stage::{Stage, replace};
use crate::support::users::{OWNER, user};
use crate::support::wait;
use crate::support::ward::WARD;
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, waitpid};
use nix::unistd::Pid;
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// An import that stands still with its mount there, until it is told to go on or is killed.
struct StandingImport {
    command: Child,
    pid: Pid,
    mount: PathBuf,
}

impl StandingImport {
    /// Imports so many files that it can be stopped once the vault is mounted.
    fn begin(root: &Root, vault: &str, files: u32) -> Self {
        let source = root.directory().join("many");
        std::fs::create_dir(&source).unwrap();
        (0..files).for_each(|number| replace(&source.join(number.to_string()), "x"));
        let mut command = Command::new(WARD);
        command.args(["vault", "import", vault, "many"]).env_clear();
        command.env("WARD_ROOT", root.path()).current_dir(root.directory());
        let command = command.stdin(Stdio::null()).stdout(Stdio::null()).spawn().unwrap();
        let pid = Pid::from_raw(i32::try_from(command.id()).unwrap());
        let mut place = None;
        let is_mounted = || {
            place = mount_of(root, vault);
            place.is_some()
        };
        assert!(wait::until(is_mounted), "it never mounted the vault");
        kill(pid, Signal::SIGSTOP).unwrap();
        let _stopped = waitpid(pid, Some(WaitPidFlag::WUNTRACED)).unwrap();
        let mount = place.unwrap();
        assert_eq!(mount_of(root, vault).as_ref(), Some(&mount), "it was too quick to be stopped");
        Self { command, pid, mount }
    }

    fn go_on(mut self) {
        kill(self.pid, Signal::SIGCONT).unwrap();
        assert!(self.command.wait().unwrap().success());
    }

    fn die(mut self) -> PathBuf {
        self.command.kill().unwrap();
        let _killed = self.command.wait().unwrap();
        self.mount
    }
}

fn mount_of(root: &Root, vault: &str) -> Option<PathBuf> {
    let state = root.run(&["--json", "vault", "status", vault]).json();
    state["result"]["mount"]["path"].as_str().map(PathBuf::from)
}

fn text(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap()
}

#[test]
fn the_mount_of_a_copy_that_is_killed_ends_with_it() {
    for (kind, files) in [("secrets", 100), ("workspace", 1000)] {
        let root = Root::private().serving();
        root.ward(&["vault", "init", "work", "--kind", kind]).succeed();
        let import = StandingImport::begin(&root, "work", files);
        let status = root.ward(&["status"]).succeed();
        assert!(status.contains(", for an export or import, "), "{status}");
        let place = import.die();
        assert!(wait::until(|| mount_of(&root, "work").is_none()), "{kind}: it is still mounted");
        assert!(wait::until(|| !place.exists()), "{kind}: its directory is still there");
        let log = root.ward(&["--json", "audit", "show", "--event", "mount.ended"]).succeed();
        assert!(log.contains("the command that copied ended"), "{log}");
        root.ward(&["vault", "mount", "work", "mount"]).succeed();
        root.ward(&["vault", "unmount", "work"]).succeed();
    }
}

#[test]
fn a_copy_goes_on_when_another_is_refused_meanwhile() {
    let root = Root::private().serving();
    let import = StandingImport::begin(&root, "default", 100);
    let refused = root.run(&["vault", "export", "default", "out"]);
    assert_eq!(refused.status, Some(6), "{refused:?}");
    assert!(refused.stderr.contains("another command exports or imports"), "{refused:?}");
    assert!(refused.stderr.contains("try again when it has ended"), "{refused:?}");
    import.go_on();
    let told = root.ward(&["vault", "export", "default", "out"]).succeed();
    assert!(told.starts_with("exported 100 files"), "{told}");
}

#[test]
fn a_vault_that_is_mounted_is_copied_through_that_mount_and_stays_mounted() {
    for kind in ["secrets", "workspace"] {
        let root = Root::private().serving();
        root.ward(&["vault", "init", "work", "--kind", kind]).succeed();
        let place = root.directory().join("mount");
        root.ward(&["vault", "mount", "work", place.to_str().unwrap()]).succeed();
        // Of a workspace the kernel may not have handed it over yet.
        replace(&place.join("a"), "in the mount");
        let told = root.ward(&["vault", "export", "work", "out"]).succeed();
        assert_eq!(told, "exported 1 file (12 bytes), 0 directories, 0 others\n");
        assert_eq!(text(&root.directory().join("out/a")), "in the mount");
        std::fs::rename(root.directory().join("out/a"), root.directory().join("out/b")).unwrap();
        root.ward(&["vault", "import", "work", "out"]).succeed();
        assert_eq!(text(&place.join("b")), "in the mount");
        assert_eq!(mount_of(&root, "work").as_ref(), Some(&place));
        root.ward(&["vault", "unmount", "work"]).succeed();

        let words = ["vault", "mount", "work", place.to_str().unwrap(), "--read-only"];
        root.ward(&words).succeed();
        let refused = root.run(&["vault", "import", "work", "out"]);
        assert_eq!(refused.status, Some(6), "{refused:?}");
        assert!(refused.stderr.contains("mounted read-only, at"), "{refused:?}");
        assert!(refused.stderr.contains("ward vault unmount work; then try again"), "{refused:?}");
        root.ward(&["vault", "export", "work", "again"]).succeed();
        assert_eq!(text(&root.directory().join("again/b")), "in the mount");
        root.ward(&["vault", "unmount", "work"]).succeed();
    }
}

#[test]
fn through_the_mount_of_another_user_a_copy_holds_what_the_caller_may_read() {
    let rules = "[[rule]]\nname = \"export\"\nclients = [\"owner\"]\n\
                 ops = [\"vault.export\", \"vault.status\"]\npath = [\"*\"]\ndecide = \"allow\"\n";
    let Some(stage) = Stage::with("1s", rules) else { return };
    let root = stage.root();
    stage.secret("read/mine", "mine");
    stage.secret("other/hidden", "hidden");
    let target = root.directory().join("out");
    std::fs::create_dir(&target).unwrap();
    let owner = user(OWNER);
    nix::unistd::chown(&target, Some(owner.uid), Some(owner.gid)).unwrap();
    let told = root.ward(&["vault", "export", "default", "out"]).by(OWNER).succeed();
    assert!(told.starts_with("exported 1 file (4 bytes)"), "{told}");
    assert_eq!(text(&target.join("read/mine")), "mine");
    assert!(!target.join("other").exists());
    assert_eq!(stage.unmount().status, Some(0));
}

#[test]
fn a_mount_that_the_caller_cannot_enter_or_see_is_told_with_what_to_do() {
    let rules = "[[rule]]\nname = \"export\"\nclients = [\"owner\"]\n\
                 ops = [\"vault.export\", \"vault.status\"]\npath = [\"*\"]\ndecide = \"allow\"\n";
    let Some(stage) = Stage::served("1s", rules) else { return };
    let root = stage.root();
    let (closed, target) = (root.directory().join("closed"), root.directory().join("out"));
    for directory in [&closed, &target] {
        std::fs::create_dir(directory).unwrap();
    }
    std::fs::set_permissions(&closed, Permissions::from_mode(0o700)).unwrap();
    let owner = user(OWNER);
    nix::unistd::chown(&target, Some(owner.uid), Some(owner.gid)).unwrap();
    let place = closed.join("mount").to_str().unwrap().to_owned();
    root.ward(&["vault", "mount", "default", &place]).succeed();
    let refused = root.ward(&["vault", "export", "default", "out"]).by(OWNER).run();
    assert_eq!(refused.status, Some(6), "{refused:?}");
    assert!(refused.stderr.contains(", and you cannot enter it there: "), "{refused:?}");
    assert!(refused.stderr.contains("ward vault unmount default; then try again"), "{refused:?}");

    // In another mount namespace something else is at its path.
    let script = format!("umount {place}; exec {WARD} vault export default out");
    let unseen = Command::new("/usr/bin/unshare")
        .args(["--mount", "/bin/sh", "-c", &script])
        .env_clear()
        .env("PATH", "/usr/bin:/bin")
        .env("WARD_ROOT", root.path())
        .current_dir(root.directory())
        .output()
        .unwrap();
    let stderr = String::from_utf8_lossy(&unseen.stderr);
    assert_eq!(unseen.status.code(), Some(6), "{stderr}");
    assert!(stderr.contains("you do not see it there"), "{stderr}");
    assert_eq!(stage.unmount().status, Some(0));
}
