//! The end is the end: by its time or by command, under open descriptors, mappings and busy users.

use crate::support::person::Person;
use crate::support::stage::Stage;
use crate::support::users::OWNER;
use crate::support::wait;

/// Errors of a descriptor whose mount has ended: by us first, by the kernel from the abort on, and of a
/// call that the abort meets on its way.
const DEAD: [&str; 3] = ["ESTALE", "ENOTCONN", "ECONNABORTED"];

fn opened(stage: &Stage) -> Person {
    let path = stage.path("read/token");
    let mut person = Person::of(OWNER);
    person.must(&format!("file = os.open({path:?}, os.O_RDONLY)"));
    assert_eq!(person.must("os.pread(file, 9, 0)"), "s3cret");
    person
}

#[test]
fn an_unmount_kills_open_descriptors_of_readers_and_writers() {
    let Some(stage) = Stage::set() else { return };
    stage.secret("read/token", "s3cret");
    let path = stage.secret("free/token", "old");
    let (mut reader, mut writer) = (opened(&stage), Person::of(OWNER));
    writer.must(&format!("file = os.open({path:?}, os.O_RDWR)"));
    writer.must("os.pwrite(file, b'new', 0)");
    assert_eq!(stage.unmount().status, Some(0));
    assert_eq!(stage.root().mounts(), Vec::<String>::new());
    assert!(DEAD.contains(&reader.fails("os.pread(file, 9, 0)").as_str()));
    assert!(DEAD.contains(&writer.fails("os.pwrite(file, b'new', 0)").as_str()));
    assert!(DEAD.contains(&writer.fails("os.close(file)").as_str()));
    // What no close or fsync had made a version of is lost, and nothing half of it is kept.
    stage.mount(&[]);
    assert_eq!(Person::of(OWNER).reads(&path), Ok("old".to_owned()));
    assert!(DEAD.contains(&reader.fails("os.pread(file, 9, 0)").as_str()));
}

#[test]
fn each_mount_has_a_time_of_its_own() {
    let Some(stage) = Stage::set() else { return };
    stage.secret("read/token", "s3cret");
    let other = stage.root().directory().join("other");
    stage.root().ward(&["vault", "init", "second"]).succeed();
    let words = ["vault", "mount", "second", other.to_str().unwrap(), "--ttl", "1s"];
    stage.root().ward(&words).succeed();
    assert_eq!(stage.root().mounts().len(), 2);
    let mut reader = opened(&stage);
    assert!(wait::until(|| stage.root().mounts().len() == 1));
    assert_eq!(reader.must("os.pread(file, 9, 0)"), "s3cret");
    // The directory that was made for it is gone with it.
    assert!(wait::until(|| !other.exists()));
}

#[test]
fn a_mount_keeps_nothing_in_its_directory() {
    let Some(stage) = Stage::set() else { return };
    let path = stage.secret("read/token", "s3cret");
    assert_eq!(stage.unmount().status, Some(0));
    assert_eq!(std::fs::read_dir(stage.mountpoint()).unwrap().count(), 0);
    assert_eq!(Person::of(OWNER).reads(&path), Err("ENOENT".to_owned()));
}

#[test]
fn only_who_may_ends_a_mount() {
    let Some(stage) = Stage::set() else { return };
    let ended = stage.root().ward(&["vault", "unmount", "default"]).by(OWNER).run();
    assert_eq!(ended.status, Some(3), "{ended:?}");
    assert_eq!(stage.root().mounts().len(), 1);
}
