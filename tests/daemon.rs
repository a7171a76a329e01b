//! How the daemon of a root starts and ends, and what it inherits.

use crate::support::root::Root;
use crate::support::users::{OWNER, can_act_as_others, user};
use crate::support::wait;
use crate::support::ward::{DAEMON, WARD};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Command, Stdio};

fn environment(pid: u32) -> Vec<u8> {
    std::fs::read(format!("/proc/{pid}/environ")).unwrap()
}

fn directory(pid: u32) -> PathBuf {
    std::fs::read_link(format!("/proc/{pid}/cwd")).unwrap()
}

/// The session that the process belongs to (`proc_pid_stat(5)`, field 6).
fn session(pid: u32) -> u32 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let (_, after_name) = stat.rsplit_once(") ").unwrap();
    after_name.split(' ').nth(3).unwrap().parse().unwrap()
}

fn end(pid: u32, signal: Signal) {
    kill(Pid::from_raw(i32::try_from(pid).unwrap()), signal).unwrap();
    assert!(wait::has_ended(pid), "{pid} did not end on {signal}");
}

#[test]
fn of_many_commands_that_start_the_daemon_at_once_all_reach_the_same_one() {
    let root = Root::private();
    let numbers: BTreeSet<u64> = std::thread::scope(|scope| {
        let commands: Vec<_> = (0..8)
            .map(|_| {
                scope.spawn(|| root.run(&["status", "--json"]).json()["result"]["pid"].as_u64())
            })
            .collect();
        commands.into_iter().map(|command| command.join().unwrap().unwrap()).collect()
    });
    assert_eq!(numbers.len(), 1, "{numbers:?}");
}

#[test]
fn on_a_kernel_that_cannot_tell_threads_apart_no_daemon_starts_and_it_says_which_one_can() {
    let root = Root::private();
    let mut strace = Command::new("/usr/bin/strace");
    strace.args(["-f", "-o", "/dev/null", "-e", "inject=pidfd_open:error=EINVAL", DAEMON]);
    let output = strace.arg("--root").arg(root.path()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && said.contains("older than Linux 6.9"), "{output:?}");
    assert!(!root.path().join("control.sock").exists());
}

#[test]
fn a_daemon_that_was_started_inherits_nothing() {
    let root = Root::private();
    let path = root.path().to_str().unwrap();
    let script = format!("exec 9</etc/passwd; '{WARD}' --root '{path}' daemon start");
    let mut shell = Command::new("/bin/sh");
    let output = shell.args(["-c", &script]).env("SECRET_OF_THE_SHELL", "x").output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let pid = root.running().unwrap();
    assert_eq!(environment(pid), b"");
    assert_eq!(directory(pid), PathBuf::from("/"));
    assert_eq!(session(pid), pid);
    let open = root.held(pid);
    assert!(!open.contains(&PathBuf::from("/etc/passwd")), "{open:?}");
}

#[test]
fn the_daemon_of_the_environment_is_never_started() {
    let root = Root::private();
    let evil = root.directory().join("ward-mountd");
    std::os::unix::fs::symlink("/bin/false", &evil).unwrap();
    root.ward(&["status"]).with("PATH", root.directory()).succeed();
    let program = std::fs::read_link(format!("/proc/{}/exe", root.running().unwrap()));
    assert_eq!(program.unwrap(), std::fs::canonicalize(DAEMON).unwrap());
}

#[test]
fn a_daemon_that_was_killed_is_followed_by_another() {
    let root = Root::private();
    root.ward(&["set", "a", "--value", "x"]).succeed();
    let first = root.running().unwrap();
    end(first, Signal::SIGKILL);
    assert_eq!(root.ward(&["get", "a", "--raw"]).succeed(), "x");
    assert_ne!(root.running().unwrap(), first);
}

#[test]
fn stop_comes_back_when_the_daemon_has_ended_so_that_the_next_one_starts() {
    let root = Root::private();
    for _ in 0..3 {
        root.ward(&["daemon", "start"]).succeed();
        let pid = root.running().unwrap();
        root.ward(&["daemon", "stop"]).succeed();
        assert!(!PathBuf::from(format!("/proc/{pid}/exe")).exists());
        assert_eq!(root.running(), None);
    }
}

/// A daemon that answers a stop and lives on: until the client leaves, which it must not, or for a
/// second.
const SLOW_DAEMON: &str = r#"
import select, socket, sys
listener = socket.socket(socket.AF_UNIX)
listener.bind("control.sock")
listener.listen()
print("ready", flush=True)
client, _ = listener.accept()
client.recv(65536)
client.sendall(b'{"version":1,"result":{}}\n')
left, _, _ = select.select([client], [], [], 1)
print("left early" if left else "waited", flush=True)
"#;

#[test]
fn stop_does_not_come_back_while_the_daemon_still_lives() {
    let root = Root::private();
    let mut daemon = Command::new("/usr/bin/python3");
    daemon.args(["-c", SLOW_DAEMON]).current_dir(root.path()).stdout(Stdio::piped());
    let mut daemon = daemon.spawn().unwrap();
    let mut said = BufReader::new(daemon.stdout.take().unwrap()).lines();
    assert_eq!(said.next().unwrap().unwrap(), "ready");
    root.ward(&["daemon", "stop"]).succeed();
    assert_eq!(said.next().unwrap().unwrap(), "waited");
    assert!(daemon.wait().unwrap().success());
    std::fs::remove_file(root.path().join("control.sock")).unwrap();
}

#[test]
fn a_daemon_that_is_told_to_stop_does_so_for_one_who_does_not_wait_for_the_answer() {
    let root = Root::private().serving();
    let daemon = root.running().unwrap();
    let mut control = UnixStream::connect(root.path().join("control.sock")).unwrap();
    control.write_all(b"{\"version\":1,\"command\":{\"name\":\"daemon-stop\"}}\n").unwrap();
    drop(control);
    assert!(wait::has_ended(daemon), "it lives on");
}

#[test]
fn commands_leave_no_descriptor_behind_in_the_daemon() {
    let root = Root::private().serving();
    for _ in 0..20 {
        root.ward(&["set", "a", "--generate", "--replace"]).succeed();
        root.ward(&["get", "a", "--raw"]).succeed();
        assert_eq!(root.run(&["get", "none", "--raw"]).status, Some(5));
    }
}

#[test]
fn without_a_log_nothing_is_served() {
    let root = Root::private().serving();
    root.ward(&["set", "a", "--value", "x"]).succeed();
    let segment = root.newest_segment();
    std::fs::rename(&segment, root.path().join("segment")).unwrap();
    let ended = root.run(&["get", "a", "--raw"]);
    assert_eq!((ended.status, ended.stdout.as_str()), (Some(12), ""), "{ended:?}");
}

#[test]
fn a_log_that_lost_its_segments_is_missing_and_one_that_was_changed_is_broken() {
    let root = Root::private();
    let segment = root.newest_segment();
    let mut log = std::fs::read(&segment).unwrap();
    log[20] ^= 1;
    std::fs::remove_file(&segment).unwrap();
    std::io::Write::write_all(&mut std::fs::File::create(&segment).unwrap(), &log).unwrap();
    let ended = root.run(&["audit", "verify"]);
    assert_eq!(ended.status, Some(4), "{ended:?}");
    std::fs::remove_dir_all(root.path().join("audit")).unwrap();
    let ended = root.run(&["audit", "verify"]);
    assert_eq!(ended.status, Some(5), "{ended:?}");
}

#[test]
fn a_log_with_half_a_line_at_its_end_is_torn() {
    let root = Root::private();
    let segment = root.newest_segment();
    let mut file = std::fs::File::options().append(true).open(segment).unwrap();
    std::io::Write::write_all(&mut file, b"{\"entry\":{").unwrap();
    let ended = root.run(&["audit", "verify"]);
    assert_eq!(ended.status, Some(3), "{ended:?}");
}

#[test]
fn a_root_that_lies_where_its_owner_may_not_go_is_refused_with_what_to_do() {
    if !can_act_as_others() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let owner = user(OWNER);
    std::os::unix::fs::chown(folder.path(), Some(owner.uid.as_raw()), None).unwrap();
    let closed = std::os::unix::fs::PermissionsExt::from_mode(0o700);
    std::fs::set_permissions(folder.path(), closed).unwrap();
    let root = Root::at(folder.path().join("root"));
    root.ward(&["init", "--for", OWNER]).succeed();
    let ended = root.run(&["daemon", "start"]);
    assert_ne!(ended.status, Some(0), "{ended:?}");
    assert!(ended.stderr.contains("cannot reach the root"), "{}", ended.stderr);
    assert!(ended.stderr.contains("such as /var/lib"), "{}", ended.stderr);
    assert!(!root.path().join("control.sock").exists());
}
