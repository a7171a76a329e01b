//! Directories that must not be mounted on: each has its own error, and nothing changes.

use crate::support::person::Person;
use crate::support::stage::Stage;
use crate::support::users::{OWNER, user};
use crate::support::ward::WARD;
use std::fs::Permissions;
use std::os::unix::fs::{PermissionsExt, chown, symlink};

/// Lets the owner mount, too, so that the directory alone decides.
const MOUNTING: &str = "[[rule]]\nname = \"owner-mounts\"\nclients = [\"owner\"]\n\
    ops = [\"vault.mount\"]\npath = [\"*\"]\ndecide = \"allow\"\n";

fn refuses(stage: &Stage, user: Option<&str>, path: &str, words: &str) {
    let before = stage.root().mounts();
    let ward = stage.root().ward(&["vault", "mount", "default", path]);
    let ended = match user {
        Some(user) => ward.by(user),
        None => ward,
    }
    .run();
    assert_ne!(ended.status, Some(0), "{path}");
    assert!(ended.stderr.contains(words), "{path}: {}", ended.stderr);
    assert!(ended.stderr.contains("next: "), "{path}: {}", ended.stderr);
    assert_eq!(stage.root().mounts(), before);
}

#[test]
fn a_directory_that_is_not_fit_is_refused_by_name_and_left_alone() {
    let Some(stage) = Stage::served("1s", MOUNTING) else { return };
    let below = stage.root().directory();
    let (full, own, file, link) =
        (below.join("full"), below.join("own"), below.join("file"), below.join("link"));
    std::fs::create_dir(&full).unwrap();
    std::fs::create_dir(&own).unwrap();
    std::fs::File::create(full.join("inside")).unwrap();
    std::fs::File::create(&file).unwrap();
    symlink(below.join("nowhere"), &link).unwrap();
    let owner = user(OWNER);
    chown(&own, Some(owner.uid.as_raw()), Some(owner.gid.as_raw())).unwrap();
    std::fs::set_permissions(&own, Permissions::from_mode(0o755)).unwrap();
    let text = |path: &std::path::Path| path.to_str().unwrap().to_owned();
    refuses(&stage, None, &text(&full), "is not empty");
    refuses(&stage, None, &text(&own), "not to you");
    refuses(&stage, Some(OWNER), stage.mountpoint(), "not to you");
    refuses(&stage, None, &text(&file), "Not a directory");
    refuses(&stage, None, &text(&link), "No such file");
    refuses(&stage, None, &text(&below.join("no/such/parent")), "No such file");
    refuses(&stage, None, "/", "top-level");
    refuses(&stage, None, "/srv", "top-level");
    assert!(full.join("inside").exists() && own.is_dir() && file.is_file());
}

#[test]
fn a_mount_within_a_mount_of_wardfs_is_refused() {
    let Some(stage) = Stage::set() else { return };
    stage.root().ward(&["vault", "init", "second"]).succeed();
    std::fs::create_dir(stage.path("folder")).unwrap();
    let path = stage.path("folder");
    let ended = stage.root().run(&["vault", "mount", "second", &path]);
    assert_eq!(ended.status, Some(6), "{ended:?}");
    assert!(ended.stderr.contains("lies in a mount of wardfs"), "{}", ended.stderr);
    let again = stage.root().run(&["vault", "mount", "default", "again"]);
    assert_eq!(again.status, Some(6), "{again:?}");
    assert!(again.stderr.contains(stage.mountpoint()), "{}", again.stderr);
    assert_eq!(stage.root().mounts().len(), 1);
    assert!(!stage.root().directory().join("again").exists());
}

#[test]
fn a_directory_of_another_mount_namespace_is_refused() {
    let Some(stage) = Stage::served("1s", "") else { return };
    let mut admin = Person::started_by(&["/usr/bin/unshare", "-m"], None);
    admin.must(&format!("run('mount', '-t', 'tmpfs', 'none', {:?})", stage.mountpoint()));
    let root = stage.root().path();
    let mount = format!(
        "run({WARD:?}, '--root', {root:?}, 'vault', 'mount', 'default', {:?})",
        stage.mountpoint()
    );
    let ended = admin.must(&mount);
    assert_ne!(ended[0], 0);
    assert!(ended[2].as_str().unwrap().contains("another mount namespace"), "{ended}");
    assert_eq!(stage.root().mounts(), Vec::<String>::new());
}

#[test]
fn a_link_put_in_place_of_the_mountpoint_changes_nothing() {
    let Some(stage) = Stage::served("1s", MOUNTING) else { return };
    // A link to a directory of ours is followed by the client, with the client's own rights.
    let link = stage.root().directory().join("link");
    symlink("/etc", &link).unwrap();
    refuses(&stage, Some(OWNER), link.to_str().unwrap(), "top-level");
}
