//! A mount that nobody uses ends; one in use never does for that.

use crate::support::desk::Desk;
use crate::support::person::Person;
use crate::support::stage::{HOLD, Stage};
use crate::support::users::OWNER;
use crate::support::wait;

/// Does `step` again and again for three windows of a second.
fn three_windows(mut step: impl FnMut()) {
    let begun = wait::seconds();
    assert!(wait::until(|| {
        step();
        wait::seconds() > begun + 3.0
    }));
}

fn idle_stage() -> Option<Stage> {
    let stage = Stage::served(HOLD, "")?;
    stage.root().ward(&["set", "read/token", "--value", "s3cret"]).succeed();
    stage.root().ward(&["set", "cat/token", "--value", "s3cret"]).succeed();
    stage.root().ward(&["set", "free/token", "--value", "old"]).succeed();
    stage.mount(&["--idle", "1s"]);
    Some(stage)
}

#[test]
fn a_mount_that_nobody_uses_ends_under_a_file_that_is_open() {
    let Some(stage) = idle_stage() else { return };
    let path = stage.path("read/token");
    let mut person = Person::of(OWNER);
    person.must(&format!("file = os.open({path:?}, os.O_RDONLY)"));
    assert!(wait::until(|| stage.root().mounts().is_empty()), "it is still mounted");
    let error = person.fails("os.pread(file, 9, 0)");
    assert!(["ESTALE", "ENOTCONN"].contains(&error.as_str()), "{error}");
    // The tree knows of it a moment before the daemon says so.
    let says_why = || {
        let said = stage.root().ward(&["vault", "status", "default"]).succeed();
        said.contains("nobody used it")
    };
    assert!(wait::until(says_why), "nobody is told why it ended");
    let ended = stage.log().into_iter().rfind(|entry| entry["eventType"] == "mount.ended");
    assert_eq!(ended.unwrap()["reason"], "nobody used it");
}

#[test]
fn what_is_refused_or_only_looked_at_is_no_use() {
    let Some(stage) = idle_stage() else { return };
    let (refused, listed) = (stage.path("cat/token"), stage.path("read"));
    let mut person = Person::of(OWNER);
    assert!(wait::until(|| {
        let _refused = person.reads(&refused);
        let _listed = person.does(&format!("os.listdir({listed:?})"));
        stage.root().mounts().is_empty()
    }));
}

#[test]
fn a_mount_that_is_read_does_not_end_and_neither_does_one_that_is_written() {
    let Some(stage) = idle_stage() else { return };
    let (read, written) = (stage.path("read/token"), stage.path("free/token"));
    let mut person = Person::of(OWNER);
    person.must(&format!("file = os.open({read:?}, os.O_RDONLY)"));
    three_windows(|| assert_eq!(person.must("os.pread(file, 9, 0)"), "s3cret"));
    person.must("os.close(file)");
    person.must(&format!("file = os.open({written:?}, os.O_RDWR)"));
    three_windows(|| assert_eq!(person.must("os.pwrite(file, b'new', 0)"), 3));
    person.must("os.close(file)");
    assert_eq!(stage.unmount().status, Some(0));
}

#[test]
fn a_workspace_whose_pages_are_read_from_the_kernel_does_not_end() {
    let Some(desk) = Desk::set() else { return };
    let stage = desk.stage();
    assert_eq!(stage.root().run(&["vault", "unmount", "work"]).status, Some(0));
    desk.mount(&["--idle", "1s"]);
    let path = desk.free("free", "file");
    let mut person = Person::of(OWNER);
    person.must(&format!("write({path:?}, 'content')"));
    person.must(&format!("file = os.open({path:?}, os.O_RDONLY)"));
    three_windows(|| assert_eq!(person.must("os.pread(file, 9, 0)"), "content"));
    person.must("pages = mmap.mmap(file, 7, prot=mmap.PROT_READ)");
    three_windows(|| assert_eq!(person.must("pages[0:7]"), "content"));
    assert!(wait::until(|| desk.stage().root().mounts().is_empty()), "it does not end any more");
}
