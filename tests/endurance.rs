//! What goes wrong around the program: a full disk, a machine without FUSE, a vault from the future,
//! and a daemon killed at any moment.

use crate::support::root::Root;
use crate::support::ward::WARD;
use crate::support::{users, wait};
use nix::mount::{MsFlags, umount};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use rustix::fs::{FallocateFlags, Mode, OFlags};
use std::fs::File;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A disk of a few megabytes, unmounted when dropped.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn at(path: PathBuf, size: &str) -> Self {
        std::fs::create_dir(&path).unwrap();
        let options = Some(format!("size={size}"));
        let none: Option<&str> = None;
        let options = options.as_deref();
        nix::mount::mount(none, &path, Some("tmpfs"), MsFlags::empty(), options).unwrap();
        Self(path)
    }

    /// Takes all room that is left; gives it back when the file is removed.
    fn fill(&self) -> PathBuf {
        let path = self.0.join("filler");
        let flags = OFlags::WRONLY | OFlags::CREATE;
        let file = rustix::fs::open(&path, flags, Mode::RUSR).unwrap();
        let mut size = 0;
        for step in [1 << 20, 64 << 10, 4 << 10] {
            while rustix::fs::fallocate(&file, FallocateFlags::empty(), size, step).is_ok() {
                size += step;
            }
        }
        path
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let is_gone = wait::until(|| umount(&self.0).is_ok());
        assert!(is_gone || std::thread::panicking(), "the small disk is still in use");
    }
}

fn end(pid: u32, signal: Signal) {
    kill(Pid::from_raw(i32::try_from(pid).unwrap()), signal).unwrap();
    assert!(wait::has_ended(pid), "{pid} did not end on {signal}");
}

#[test]
fn on_a_full_disk_nothing_is_half_done_and_with_room_again_all_goes_on() {
    if !users::can_act_as_others() {
        return;
    }
    let place = Root::absent();
    let disk = SmallDisk::at(place.directory().join("disk"), "24m");
    let root = Root::at(disk.0.join("root"));
    root.ward(&["init"]).succeed();
    root.write_anywhere();
    root.ward(&["set", "before", "--stdin"]).given(b"kept").succeed();
    let filler = disk.fill();
    let mut refused = 0;
    // What was preallocated may still take some: then the refusal comes, and says why.
    for round in 0..5000 {
        let value = vec![b'x'; 100_000];
        let ended = root.ward(&["set", &format!("full/{round}"), "--stdin"]).given(&value).run();
        if ended.status == Some(0) {
            continue;
        }
        assert!(ended.stderr.contains("room"), "{ended:?}");
        assert!(ended.stderr.contains("next:"), "{ended:?}");
        refused += 1;
        if refused == 3 {
            break;
        }
    }
    assert_eq!(refused, 3, "the disk never got full");
    std::fs::remove_file(filler).unwrap();
    root.ward(&["set", "after", "--stdin"]).given(b"goes on").succeed();
    assert_eq!(root.ward(&["get", "before", "--raw"]).succeed(), "kept");
    assert_eq!(root.ward(&["get", "after", "--raw"]).succeed(), "goes on");
    root.ward(&["daemon", "stop"]).succeed();
    assert!(root.ward(&["audit", "verify"]).succeed().contains("whole"));
    assert!(root.ward(&["vault", "fsck", "default"]).succeed().contains("whole"));
}

#[test]
fn without_dev_fuse_a_mount_is_refused_by_name_and_nothing_is_left() {
    if !users::can_act_as_others() {
        return;
    }
    let root = Root::private();
    let mountpoint = root.directory().join("secrets");
    // The daemon starts in a mount namespace of its own, where /dev/fuse is another thing.
    let script = format!(
        "mount --bind /dev/null /dev/fuse; export WARD_ROOT={}; {} vault mount default {}; \
         code=$?; {} daemon stop >&2; exit $code",
        root.path().display(),
        WARD,
        mountpoint.display(),
        WARD,
    );
    let output = Command::new("/usr/bin/unshare")
        .args(["--mount", "/bin/sh", "-c", &script])
        .env_clear()
        .env("PATH", "/usr/bin:/bin")
        .output()
        .unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(11), "{stderr}");
    assert!(stderr.contains("/dev/fuse") && stderr.contains("next:"), "{stderr}");
    assert!(!mountpoint.exists());
}

#[test]
fn a_vault_of_a_newer_format_is_refused_by_both_versions() {
    let root = Root::private();
    for copy in ["header", "header.2"] {
        let path = root.path().join("vaults/default").join(copy);
        let mut bytes = std::fs::read(&path).unwrap();
        bytes[8] = 9;
        File::create(&path).unwrap().write_all(&bytes).unwrap();
    }
    let ended = root.run(&["list"]);
    assert_eq!(ended.status, Some(10), "{ended:?}");
    assert!(ended.stderr.contains("format 9") && ended.stderr.contains("up to 1"), "{ended:?}");
    assert!(ended.stderr.contains("next:"), "{ended:?}");
}

#[test]
fn what_was_acknowledged_is_there_whenever_the_daemon_is_killed() {
    let root = Root::private();
    let mut acknowledged = Vec::new();
    for round in 0..20_u64 {
        root.ward(&["daemon", "start"]).succeed();
        let pid = root.running().unwrap();
        let name = format!("round/{round}");
        // The kill meets a set at another instant in each round.
        let killer = std::thread::spawn(move || {
            let until = wait::seconds() + 0.0007 * f64::from(u32::try_from(round).unwrap());
            while wait::seconds() < until {
                std::thread::yield_now();
            }
            end(pid, Signal::SIGKILL);
        });
        let ended = root.ward(&["set", &name, "--stdin"]).given(name.as_bytes()).run();
        killer.join().unwrap();
        if ended.status == Some(0) {
            acknowledged.push(name);
        }
    }
    for name in &acknowledged {
        assert_eq!(root.ward(&["get", name, "--raw"]).succeed(), *name);
    }
    root.ward(&["daemon", "stop"]).succeed();
    assert!(root.ward(&["audit", "verify"]).succeed().contains("whole"));
    assert!(root.ward(&["vault", "fsck", "default"]).succeed().contains("whole"));
}

#[test]
fn a_daemon_killed_between_any_two_commands_of_a_client_is_no_trouble_to_it() {
    let root = Root::private();
    let commands: [&[&str]; 7] = [
        &["set", "db/password", "--value", "first"],
        &["list"],
        &["get", "db/password", "--raw"],
        &["status"],
        &["audit", "show"],
        &["vault", "list"],
        &["revoke", "db/password"],
    ];
    for command in commands {
        let said = root.ward(command).succeed();
        if command.first() == Some(&"get") {
            assert_eq!(said, "first");
        }
        end(root.running().unwrap(), Signal::SIGKILL);
    }
    assert!(!root.ward(&["list"]).succeed().contains("password"));
}

#[test]
fn a_connection_whose_daemon_is_killed_ends_and_does_not_hang() {
    let root = Root::private();
    root.ward(&["daemon", "start"]).succeed();
    let mut stream = UnixStream::connect(socket(root.path())).unwrap();
    let status = b"{\"version\":1,\"command\":{\"name\":\"status\"}}\n";
    stream.write_all(status).unwrap();
    let mut answer = [0; 4096];
    assert!(stream.read(&mut answer).unwrap() > 0);
    end(root.running().unwrap(), Signal::SIGKILL);
    let _may_be_refused = stream.write_all(status);
    assert!(matches!(stream.read(&mut answer), Ok(0) | Err(_)));
}

fn socket(root: &Path) -> PathBuf {
    root.join("control.sock")
}
