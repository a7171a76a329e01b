//! `ward vault exec`: a command with a vault mounted, and the mount's end, however the command ends.

use crate::support::root::Root;
use crate::support::wait;
use crate::support::ward::WARD;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};

/// A private root with one secret and a running daemon.
fn root() -> Root {
    let root = Root::private().serving();
    root.ward(&["set", "db/password", "--value", "hunter2"]).succeed();
    root
}

/// A `ward vault exec` under way, whose command says a line when it runs.
struct Running(Child);

impl Running {
    fn begin(root: &Root, script: &str) -> Self {
        let mut command = Command::new(WARD);
        command.args(["vault", "exec", "default", "here", "--", "sh", "-c", script]).env_clear();
        command.env("WARD_ROOT", root.path()).env("PATH", "/usr/bin:/bin");
        command.current_dir(root.directory()).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut said = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut said).unwrap();
        assert_eq!(said, "hunter2\n", "it does not run");
        Self(child)
    }

    fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(i32::try_from(self.0.id()).unwrap()), signal).unwrap();
    }

    fn tell(&mut self, line: &str) {
        self.0.stdin.as_mut().unwrap().write_all(line.as_bytes()).unwrap();
    }

    fn code(mut self) -> Option<i32> {
        drop(self.0.stdin.take());
        self.0.wait().unwrap().code()
    }
}

const READS: &str = "cat \"$WARD_MOUNT/db/password\"; echo; read line; exit 7";

#[test]
fn a_command_finds_the_mount_and_its_exit_code_is_kept_and_nothing_is_left() {
    let root = root();
    let script = "cat \"$WARD_MOUNT/db/password\"; exit 7";
    let ended = root.run(&["vault", "exec", "default", "here", "--", "/bin/sh", "-c", script]);
    assert_eq!((ended.status, ended.stdout.as_str()), (Some(7), "hunter2"), "{ended:?}");
    assert_eq!(root.mounts(), Vec::<String>::new());
    assert!(!root.directory().join("here").exists());
    let ended = root.run(&["vault", "exec", "default", "here", "--", "/no/such/program"]);
    assert_eq!(ended.status, Some(127), "{ended:?}");
    assert_eq!(root.mounts(), Vec::<String>::new());
    let ended = root.run(&["vault", "exec", "default", "here", "--", "sh", "-c", "kill -9 $$"]);
    assert_eq!(ended.status, Some(137), "{ended:?}");
}

#[test]
fn a_mount_that_is_there_serves_and_stays() {
    let root = root();
    root.ward(&["vault", "mount", "default", "there"]).succeed();
    let script = "cat \"$WARD_MOUNT/db/password\"; basename \"$WARD_MOUNT\"";
    let said = root.ward(&["vault", "exec", "default", "here", "--", "/bin/sh", "-c", script]);
    assert_eq!(said.succeed(), "hunter2there\n");
    assert_eq!(root.mounts().len(), 1);
    assert!(!root.directory().join("here").exists(), "the directory it did not need is left");
    root.ward(&["vault", "unmount", "default"]).succeed();
}

#[test]
fn a_mount_of_two_commands_ends_with_the_last_of_them() {
    let root = root();
    let mut first = Running::begin(&root, READS);
    let second =
        Running::begin(&root, "cat here/db/password; echo; read line; cat here/db/password");
    let status = root.ward(&["status"]).succeed();
    assert!(status.contains(", for 2 commands, "), "{status}");
    first.tell("go\n");
    assert_eq!(first.code(), Some(7));
    assert_eq!(root.mounts().len(), 1);
    assert_eq!(second.code(), Some(0), "it could not read any more");
    assert_eq!(root.mounts(), Vec::<String>::new());
}

#[test]
fn signals_reach_the_command_and_its_code_comes_back() {
    let root = root();
    let running = Running::begin(
        &root,
        "trap 'exit 9' TERM; cat here/db/password; echo; while :; do read line; done",
    );
    running.signal(Signal::SIGTERM);
    let mut running = running;
    assert_eq!(running.0.wait().unwrap().code(), Some(9));
    assert_eq!(root.mounts(), Vec::<String>::new());
}

#[test]
fn the_mount_ends_when_ward_itself_is_killed() {
    let root = root();
    let mut running = Running::begin(&root, READS);
    running.signal(Signal::SIGKILL);
    running.0.wait().unwrap();
    assert!(wait::until(|| root.mounts().is_empty()), "it is still mounted");
    // The tree knows of it a moment before the daemon says so.
    let says_why = || {
        let said = root.ward(&["vault", "status", "default"]).succeed();
        said.contains("the command that it was for ended")
    };
    assert!(wait::until(says_why), "nobody is told why it ended");
}
