//! Mounting from the command line.

use crate::support::root::Root;
use crate::support::users::{self, OWNER};
use crate::support::wait;
use std::io::Read;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// A private root with one secret and a running daemon.
fn root() -> Root {
    let root = Root::private().serving();
    root.ward(&["set", "db/password", "--value", "hunter2"]).succeed();
    root
}

#[test]
fn a_mounted_vault_shows_its_secrets_as_files_until_it_is_unmounted() {
    let root = root();
    let place = root.directory().join("here");
    let said = root.ward(&["vault", "mount", "default", text(&place), "--ttl", "45m"]).succeed();
    assert_eq!(said, format!("default is at {} for 45m\n", text(&place)));
    assert_eq!(std::fs::read_to_string(place.join("db/password")).unwrap(), "hunter2");
    assert_eq!(root.mounts().len(), 1);
    root.ward(&["vault", "unmount", "default"]).succeed();
    assert_eq!(root.mounts().len(), 0);
    assert!(!place.exists(), "the directory that was made for the mount is still there");
}

#[test]
fn a_directory_that_was_there_before_the_mount_is_there_after_it() {
    let root = root();
    let place = root.directory().join("here");
    std::fs::create_dir(&place).unwrap();
    root.ward(&["vault", "mount", "default", text(&place)]).succeed();
    root.ward(&["vault", "unmount", "default"]).succeed();
    assert!(place.is_dir());
}

#[test]
fn a_relative_path_is_taken_from_the_directory_of_the_command() {
    let root = root();
    let answer = root.run(&["vault", "mount", "default", "here", "--json"]).json();
    let place = root.directory().canonicalize().unwrap().join("here");
    assert_eq!(answer["result"]["path"], text(&place));
    root.ward(&["vault", "unmount", "default"]).succeed();
}

#[test]
fn a_vault_is_mounted_at_one_place_only_and_nothing_is_left_at_the_other() {
    let root = root();
    root.ward(&["vault", "mount", "default", "one"]).succeed();
    let ended = root.run(&["vault", "mount", "default", "two"]);
    assert_eq!(ended.status, Some(6), "{ended:?}");
    assert!(!root.directory().join("two").exists());
    root.ward(&["vault", "unmount", "default"]).succeed();
}

#[test]
fn a_directory_with_something_in_it_is_no_place_for_a_mount() {
    let root = root();
    let ended = root.run(&["vault", "mount", "default", text(root.directory())]);
    assert_eq!(ended.status, Some(6), "{ended:?}");
    assert!(ended.stderr.contains("empty"), "{ended:?}");
}

#[test]
fn a_path_whose_parent_is_missing_is_refused_before_anything_is_made() {
    let root = root();
    let ended = root.run(&["vault", "mount", "default", "no/where"]);
    assert_eq!(ended.status, Some(7), "{ended:?}");
    assert!(!root.directory().join("no").exists());
}

#[test]
fn a_read_only_mount_refuses_changes() {
    let root = root();
    root.ward(&["vault", "mount", "default", "here", "--read-only"]).succeed();
    let secret = root.directory().join("here/db/password");
    let opened = std::fs::File::options().write(true).open(&secret);
    assert!(opened.is_err());
    assert_eq!(std::fs::read_to_string(&secret).unwrap(), "hunter2");
    root.ward(&["vault", "unmount", "default"]).succeed();
}

#[test]
fn a_mount_ends_by_itself_when_its_time_is_over() {
    let root = root();
    root.ward(&["vault", "mount", "default", "here", "--ttl", "1s"]).succeed();
    let begun = wait::seconds();
    assert!(wait::until(|| root.mounts().is_empty()));
    let lasted = wait::seconds() - begun;
    assert!(lasted < 2.0, "it lasted {lasted} s");
    assert!(wait::until(|| !root.directory().join("here").exists()));
}

#[test]
fn the_end_of_the_daemon_is_the_end_of_its_mounts() {
    let root = root();
    root.ward(&["vault", "mount", "default", "here"]).succeed();
    root.ward(&["daemon", "stop"]).succeed();
    assert_eq!(root.mounts().len(), 0);
}

#[test]
fn without_a_path_the_mount_is_in_the_runtime_directory_of_its_user() {
    if !users::can_act_as_others() {
        return;
    }
    let root = Root::system().serving();
    let user = users::user(OWNER);
    let runtime = root.directory().join("runtime");
    std::fs::create_dir(&runtime).unwrap();
    std::os::unix::fs::chown(&runtime, Some(user.uid.as_raw()), None).unwrap();
    let mount = root.ward(&["vault", "mount", "default", "--json"]);
    let answer = mount.by(OWNER).with("XDG_RUNTIME_DIR", &runtime).run().json();
    let place = PathBuf::from(answer["result"]["path"].as_str().unwrap_or_default());
    assert_eq!(place, runtime.canonicalize().unwrap().join("ward/default"), "{answer}");
    let folder = std::fs::metadata(runtime.join("ward")).unwrap();
    assert_eq!((folder.uid(), folder.permissions().mode() & 0o777), (user.uid.as_raw(), 0o700));
    root.ward(&["vault", "unmount", "default"]).by(OWNER).succeed();
}

#[test]
fn without_a_runtime_directory_the_mount_is_at_home_and_without_a_home_nowhere() {
    if !users::can_act_as_others() {
        return;
    }
    let root = Root::system().serving();
    let home = users::folder(OWNER);
    let mount = |home: &Path| {
        root.ward(&["vault", "mount", "default", "--json"]).by(OWNER).with("HOME", home).run()
    };
    let nowhere = mount(Path::new("/nowhere"));
    assert!(nowhere.stdout.contains("give a PATH"), "{nowhere:?}");
    let answer = mount(home.path()).json();
    let place = home.path().canonicalize().unwrap().join(".ward/default");
    assert_eq!(answer["result"]["path"], place.to_str().unwrap(), "{answer}");
    let folder = std::fs::metadata(home.path().join(".ward")).unwrap();
    assert_eq!(folder.permissions().mode() & 0o777, 0o700);
    root.ward(&["vault", "unmount", "default"]).by(OWNER).succeed();
    assert!(!place.exists(), "what was made for it goes again");
}

#[test]
fn a_directory_of_another_user_is_no_place_for_a_mount() {
    if !users::can_act_as_others() {
        return;
    }
    let root = Root::system().serving();
    let place = root.directory().join("roots");
    std::fs::create_dir(&place).unwrap();
    std::fs::set_permissions(&place, std::fs::Permissions::from_mode(0o755)).unwrap();
    let ended = root.ward(&["vault", "mount", "default", text(&place)]).by(OWNER).run();
    assert_eq!(ended.status, Some(6), "{ended:?}");
}

#[test]
fn while_files_are_read_no_processor_falls_so_deep_asleep_that_the_next_request_waits() {
    let device = Path::new("/dev/cpu_dma_latency");
    if !users::can_act_as_others() || !device.exists() {
        eprintln!("skipped: {} is not there, or not ours", device.display());
        return;
    }
    let root = root();
    root.ward(&["vault", "mount", "default", "here"]).succeed();
    let held = root.held(root.running().unwrap());
    assert!(held.contains(&device.to_owned()), "the core holds {held:?}");
    std::fs::read(root.directory().join("here/db/password")).unwrap();
    // What the kernel has to keep to now, in microseconds.
    let mut limit = [0; 4];
    std::fs::File::open(device).unwrap().read_exact(&mut limit).unwrap();
    assert!((0..=2).contains(&i32::from_ne_bytes(limit)), "{limit:?}");
    root.ward(&["vault", "unmount", "default"]).succeed();
}
