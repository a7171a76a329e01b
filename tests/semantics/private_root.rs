//! A private root: the same way of a read for one user without privileges, by fusermount3.

use crate::support::person::Person;
use crate::support::process::child_of;
use crate::support::root::Root;
use crate::support::users::{OWNER, STRANGER, can_act_as_others, user};
use crate::support::wait;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::os::unix::fs::chown;

/// A private root of the owner with one secret, mounted at the path that is given with it.
fn mounted(ttl: &str) -> Option<(Root, String)> {
    if !can_act_as_others() {
        return None;
    }
    let root = Root::absent();
    let owner = user(OWNER);
    chown(root.directory(), Some(owner.uid.as_raw()), Some(owner.gid.as_raw())).unwrap();
    let path = root.directory().join("mount").to_str().unwrap().to_owned();
    let ward = |words: &[&str]| root.ward(words).by(OWNER).succeed();
    ward(&["init"]);
    ward(&["set", "token", "--value", "s3cret"]);
    ward(&["vault", "mount", "default", &path, "--ttl", ttl]);
    Some((root, path))
}

#[test]
fn its_owner_reads_and_writes_and_nobody_else_does() {
    let Some((root, path)) = mounted("10m") else { return };
    let token = path.clone() + "/token";
    let mut owner = Person::of(OWNER);
    assert_eq!(owner.reads(&token), Ok("s3cret".to_owned()));
    owner.must(&format!("write({token:?}, 'new')"));
    assert_eq!(owner.reads(&token), Ok("new".to_owned()));
    assert_eq!(Person::of(STRANGER).reads(&token), Err("EACCES".to_owned()));
    assert!(std::fs::read(&token).is_err(), "root reads it");
    root.ward(&["vault", "unmount", "default"]).by(OWNER).succeed();
    assert_eq!(root.mounts(), Vec::<String>::new());
    assert!(!std::path::Path::new(&path).exists());
}

#[test]
fn its_mount_ends_under_an_open_descriptor_and_a_busy_user() {
    let Some((root, path)) = mounted("1s") else { return };
    let begun = wait::seconds();
    let mut owner = Person::of(OWNER);
    owner.must(&format!("os.chdir({path:?}); file = os.open('token', os.O_RDONLY)"));
    let death = owner.must("dies('os.pread(file, 9, 0)')");
    let took = death[1].as_f64().unwrap() - begun;
    assert!(took < 2.0, "the descriptor lived for {took} s");
    assert!(wait::until(|| root.mounts().is_empty()));
    assert!(wait::seconds() - begun < 2.5);
    assert!(["ESTALE", "ENOTCONN"].contains(&owner.fails("os.pread(file, 9, 0)").as_str()));
}

#[test]
fn a_vault_whose_last_mount_cannot_be_cut_says_so_and_opens_when_its_files_are_closed() {
    let has_fusectl = std::fs::read_dir("/sys/fs/fuse/connections").is_ok_and(|it| it.count() > 0);
    if has_fusectl {
        eprintln!("skipped: where connections can be aborted no vault waits for its files");
        return;
    }
    let Some((root, path)) = mounted("10m") else { return };
    let mut owner = Person::of(OWNER);
    owner.must(&format!("file = os.open({path:?} + '/token', os.O_RDONLY)"));
    root.ward(&["vault", "unmount", "default"]).by(OWNER).succeed();
    let again = || root.ward(&["vault", "mount", "default", &path]).by(OWNER).run();
    let refused = again();
    assert_eq!(refused.status, Some(6), "{refused:?}");
    assert!(refused.stderr.contains("files of it are still open"), "{refused:?}");
    assert!(refused.stderr.contains("ward daemon stop"), "{refused:?}");
    // It is closed, whether or not the kernel says so.
    let _closed = owner.does("os.close(file)");
    assert!(wait::until(|| again().status == Some(0)), "the vault does not open again");
    root.ward(&["vault", "unmount", "default"]).by(OWNER).succeed();
}

#[test]
fn its_mount_ends_where_it_is_after_a_folder_above_got_another_name() {
    let Some((root, path)) = mounted("10m") else { return };
    root.ward(&["vault", "unmount", "default"]).by(OWNER).succeed();
    let (above, renamed) = (root.directory().join("above"), root.directory().join("renamed"));
    std::fs::create_dir(&above).unwrap();
    chown(&above, Some(user(OWNER).uid.as_raw()), None).unwrap();
    let below = above.join("mount");
    root.ward(&["vault", "mount", "default", below.to_str().unwrap()]).by(OWNER).succeed();
    std::fs::rename(&above, &renamed).unwrap();
    root.ward(&["vault", "unmount", "default"]).by(OWNER).succeed();
    assert_eq!(root.mounts(), Vec::<String>::new());
    assert!(!renamed.join("mount").exists());
    root.ward(&["vault", "mount", "default", &path]).by(OWNER).succeed();
    root.ward(&["vault", "unmount", "default"]).by(OWNER).succeed();
}

#[test]
fn a_path_that_fusermount3_could_not_unmount_is_refused() {
    let Some((root, _)) = mounted("10m") else { return };
    root.ward(&["vault", "unmount", "default"]).by(OWNER).succeed();
    let folder = vec!["d".repeat(250); 16].join("/");
    let deep = root.directory().join(folder);
    std::fs::create_dir_all(&deep).unwrap();
    chown(&deep, Some(user(OWNER).uid.as_raw()), None).unwrap();
    let refused = root.ward(&["vault", "mount", "default", deep.to_str().unwrap()]).by(OWNER).run();
    assert_eq!(refused.status, Some(6), "{refused:?}");
    assert!(refused.stderr.contains("too long for fusermount3"), "{refused:?}");
    assert_eq!(root.mounts(), Vec::<String>::new());
}

#[test]
fn either_half_killed_leaves_no_mount_and_the_next_daemon_serves() {
    let Some((root, path)) = mounted("10m") else { return };
    for kills_core in [true, false] {
        let core = root.running().unwrap();
        let monitor = child_of(core);
        let killed = if kills_core { core } else { monitor };
        kill(Pid::from_raw(i32::try_from(killed).unwrap()), Signal::SIGKILL).unwrap();
        assert!([core, monitor].into_iter().all(wait::has_ended));
        assert!(wait::until(|| root.mounts().is_empty()), "a mount is left");
        let again = root.ward(&["vault", "mount", "default", &path]).by(OWNER).run();
        assert_eq!(again.status, Some(0), "{again:?}");
        assert_eq!(Person::of(OWNER).reads(&(path.clone() + "/token")), Ok("s3cret".to_owned()));
    }
}
