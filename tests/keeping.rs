//! What the daemon does by itself for vaults in use: pins, images, room given back, and the patrol.

use crate::support::person::Person;
use crate::support::root::Root;
use crate::support::stage::replace;
use crate::support::wait;
use crate::support::watch::Watch;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use rustix::fs::{Advice, fadvise};
use std::fs::File;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

/// How long a write goes unpinned at most (docs/semantics.md).
const PIN_AGE: Duration = Duration::from_secs(60);
/// A mebibyte.
const MIB: usize = 1 << 20;

/// A private root whose vault of that name and kind is mounted.
fn mounted(vault: &str, kind: &str) -> (Root, PathBuf) {
    let root = Root::private().serving();
    if vault != "default" {
        root.ward(&["vault", "init", vault, "--kind", kind]).succeed();
    }
    let place = root.directory().join("mount");
    root.ward(&["vault", "mount", vault, place.to_str().unwrap()]).succeed();
    (root, place)
}

fn unmount(root: &Root, vault: &str) {
    root.ward(&["vault", "unmount", vault]).succeed();
}

/// Kills the daemon, so that nothing is tidied up.
fn kill_daemon(root: &Root) {
    let daemon = root.running().unwrap();
    kill(Pid::from_raw(i32::try_from(daemon).unwrap()), Signal::SIGKILL).unwrap();
    assert!(wait::has_ended(daemon));
    assert!(wait::until(|| root.mounts().is_empty()), "the monitor ends the mount");
}

fn info(root: &Root, vault: &str) -> serde_json::Value {
    root.run(&["--json", "vault", "info", vault]).json()["result"].clone()
}

fn disk_bytes(root: &Root, vault: &str) -> usize {
    usize::try_from(info(root, vault)["disk_bytes"].as_u64().unwrap()).unwrap()
}

/// Reads a file again and again, each time from the vault, until it is told to stop.
struct Reader {
    is_over: Arc<AtomicBool>,
    rounds: Arc<AtomicU64>,
    thread: JoinHandle<()>,
}

impl Reader {
    fn begin(path: PathBuf, expected: Vec<u8>) -> Self {
        let (is_over, rounds) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let (over, count) = (Arc::clone(&is_over), Arc::clone(&rounds));
        let thread = std::thread::spawn(move || {
            while !over.load(Ordering::Relaxed) {
                let mut file = File::open(&path).unwrap();
                // The kernel keeps pages of a workspace.
                fadvise(&file, 0, None, Advice::DontNeed).unwrap();
                let mut bytes = Vec::new();
                file.read_to_end(&mut bytes).unwrap();
                assert!(bytes == expected, "{path:?} reads otherwise than it was written");
                count.fetch_add(1, Ordering::Relaxed);
            }
        });
        Self { is_over, rounds, thread }
    }

    /// How often it has read all of it; panics when one read was wrong.
    fn end(self) -> u64 {
        self.is_over.store(true, Ordering::Relaxed);
        self.thread.join().unwrap();
        self.rounds.load(Ordering::Relaxed)
    }
}

/// Bytes that no two calls have in common.
fn random(length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    File::open("/dev/urandom").unwrap().read_exact(&mut bytes).unwrap();
    bytes
}

fn write(path: &Path, bytes: &[u8]) {
    let mut file = File::create(path).unwrap();
    file.write_all(bytes).unwrap();
    file.sync_all().unwrap();
}

#[test]
fn what_is_written_to_a_mount_is_pinned_within_a_minute_and_an_older_copy_is_rolled_back() {
    let (root, place) = mounted("default", "secrets");
    // Compaction pins too, and has nothing left to do then.
    root.ward(&["vault", "compact", "default"]).succeed();
    let (vault, kept) = (root.path().join("vaults/default"), root.directory().join("kept"));
    let copied = Command::new("/bin/cp").arg("-a").arg(&vault).arg(&kept).status().unwrap();
    assert!(copied.success());
    let mut pins = Watch::of(&root.path().join("pins"));
    let before = std::fs::read(root.path().join("pins/default")).unwrap();
    replace(&place.join("a"), "new");
    assert!(pins.sees("default", PIN_AGE), "no pin was written");
    assert_ne!(std::fs::read(root.path().join("pins/default")).unwrap(), before);

    // Killed, so that only that pin remembers.
    kill_daemon(&root);
    std::fs::remove_dir_all(&vault).unwrap();
    std::fs::rename(&kept, &vault).unwrap();
    let refused = root.run(&["list"]);
    assert_eq!(refused.status, Some(10), "{refused:?}");
    assert!(refused.stderr.contains("was rolled back"), "{refused:?}");
}

#[test]
fn the_image_taken_at_an_unmount_is_what_the_next_unlock_begins_with() {
    let (root, place) = mounted("default", "secrets");
    replace(&place.join("a"), "x");
    assert_eq!(info(&root, "default")["image"], "none");
    unmount(&root, "default");
    let info = info(&root, "default");
    assert_eq!(info["image"], "newest", "{info}");
    assert!(info["image_bytes"].as_u64() > Some(0), "{info}");
}

#[test]
fn an_image_taken_while_mounted_is_what_the_unlock_after_a_crash_begins_with() {
    let (root, place) = mounted("work", "workspace");
    let mut images = Watch::of(&root.path().join("vaults/work/images"));
    replace(&place.join("file"), "x");
    let mut person = Person::started_by(&[], None);
    // Attributes are metadata, of which a mebibyte makes an image due.
    let path = place.join("file").to_str().unwrap().to_owned();
    person.must(&format!(
        "for n in range(24): os.setxattr({path:?}, f'user.{{n}}', os.urandom(60000))"
    ));
    assert!(images.sees_any(wait::DEADLINE * 3), "no image was written");
    assert_eq!(info(&root, "work")["image"], "none", "this mount began without one");
    kill_daemon(&root);
    assert_eq!(info(&root, "work")["image"], "newest");
}

#[test]
fn the_room_of_removed_files_of_a_mounted_workspace_comes_back_while_others_are_read() {
    let (root, place) = mounted("work", "workspace");
    let kept = random(2 * MIB);
    write(&place.join("kept"), &kept);
    for name in ["one", "two"] {
        write(&place.join(name), &random(40 * MIB));
    }
    let before = disk_bytes(&root, "work");
    let reader = Reader::begin(place.join("kept"), kept);
    for name in ["one", "two"] {
        std::fs::remove_file(place.join(name)).unwrap();
    }
    // The first segment (64 MiB) is all but dead, and the second is still written to.
    let came_back = wait::patiently(|| disk_bytes(&root, "work") + 48 * MIB < before);
    let rounds = reader.end();
    assert!(came_back, "{before} bytes before, now {}", info(&root, "work"));
    assert!(rounds > 1, "nobody could read meanwhile");
    unmount(&root, "work");
}

#[test]
fn the_room_of_old_versions_and_revoked_secrets_comes_back_while_others_are_read() {
    let (root, place) = mounted("default", "secrets");
    let kept = random(MIB / 2);
    write(&place.join("kept"), &kept);
    let reader = Reader::begin(place.join("kept"), kept);
    // First, so that it is not in the segment that is written to next: that one stays.
    write(&place.join("secret"), &random(8 * MIB));
    for _ in 0..24 {
        write(&place.join("changing"), &random(MIB / 2));
    }
    root.ward(&["revoke", "secret"]).succeed();
    // Of more than 20 MiB the last ten versions and what is read live: 6, and 4 are written to next.
    let came_back = wait::patiently(|| disk_bytes(&root, "default") < 14 * MIB);
    let rounds = reader.end();
    assert!(came_back, "{}", info(&root, "default"));
    assert!(rounds > 1, "nobody could read meanwhile");
    let history = root.run(&["--json", "history", "changing"]).json();
    assert_eq!(history["result"]["versions"].as_array().unwrap().len(), 10, "{history}");
    unmount(&root, "default");
}

#[test]
fn damage_in_a_mounted_vault_is_in_the_log_and_the_status_before_anybody_reads_it() {
    let root = Root::private().serving();
    let value = "0123456789".repeat(2000);
    root.ward(&["set", "rarely/read", "--value", &value]).succeed();
    root.ward(&["set", "often", "--value", "x"]).succeed();
    let state = root.ward(&["vault", "status", "default"]).succeed();
    assert!(!state.contains("damaged"), "{state}");
    root.ward(&["daemon", "stop"]).succeed();
    let segments = std::fs::read_dir(root.path().join("vaults/default/segments")).unwrap();
    let paths = segments.map(|entry| entry.unwrap().path());
    let largest = paths.max_by_key(|path| path.metadata().unwrap().len()).unwrap();
    let mut bytes = std::fs::read(&largest).unwrap();
    let end = bytes.iter().rposition(|byte| *byte != 0).unwrap();
    bytes[end / 2] ^= 1;
    File::create(&largest).unwrap().write_all(&bytes).unwrap();

    let place = root.directory().join("mount");
    root.ward(&["vault", "mount", "default", place.to_str().unwrap()]).succeed();
    let is_told = || {
        let log = root.ward(&["audit", "show", "--event", "vault.damaged"]).succeed();
        log.contains("hurts rarely/read")
    };
    assert!(wait::until(is_told), "nothing in the log");
    let views =
        [(&["status"][..], 10), (&["vault", "status", "default"], 0), (&["vault", "list"], 0)];
    for (words, exit) in views {
        let ended = root.run(words);
        assert_eq!(ended.status, Some(exit), "{ended:?}");
        let shown = ended.stdout;
        assert!(shown.contains("1 damaged place"), "{words:?}: {shown}");
        assert!(!shown.contains("rarely"), "no name is shown: {shown}");
    }
    let status = root.run(&["--json", "status"]).json();
    let expected = serde_json::json!([{ "vault": "default", "places": 1 }]);
    assert_eq!(status["result"]["damage"], expected);
    assert_eq!(root.ward(&["get", "often", "--raw"]).succeed(), "x");
    let read = std::fs::read(place.join("rarely/read"));
    assert_eq!(read.unwrap_err().raw_os_error(), Some(nix::libc::EIO));
    unmount(&root, "default");
}
