//! Attributes: modes, owners, times, room.

use crate::support::desk::Desk;
use crate::support::users::{OWNER, STRANGER, user};

#[test]
fn the_mount_checks_modes_and_owners() {
    let Some(desk) = Desk::set() else { return };
    let path = desk.free("free", "mine");
    let mut owner = desk.person_of(OWNER);
    owner.must(&format!("write({path:?}, 'x')"));
    let mut root = desk.person();
    assert_eq!(root.must(&format!("shown({path:?})[:3]")).to_string(), {
        let owner = user(OWNER);
        format!("[{},{},\"0o600\"]", owner.uid, owner.gid)
    });
    root.must("write('free/roots', 'x')");
    root.must("os.chmod('free/roots', 0o600)");
    assert_eq!(owner.fails("read('free/roots')"), "EACCES");
    assert_eq!(owner.fails("os.chmod('free/roots', 0o666)"), "EPERM");
    assert_eq!(owner.fails(&format!("os.chown({path:?}, 0, 0)")), "EPERM");
    let mut stranger = desk.person_of(STRANGER);
    assert_eq!(stranger.fails(&format!("read({path:?})")), "EACCES");
}

#[test]
fn privilege_goes_with_a_new_owner_and_with_a_write_of_somebody_else() {
    let Some(desk) = Desk::set() else { return };
    let path = desk.free("free", "program");
    let mut root = desk.person();
    let mode = format!("oct(os.stat({path:?}).st_mode & 0o7777)");
    let privileged = format!("os.chmod({path:?}, 0o6777)");
    root.must(&format!("write({path:?}, '#!/bin/sh')"));
    root.must(&privileged);
    assert_eq!(root.must(&mode), "0o6777");
    root.must(&format!("os.chown({path:?}, 1, 1)"));
    assert_eq!(root.must(&mode), "0o777");
    let mut owner = desk.person_of(OWNER);
    for step in ["write({path}, 'y', 0)", "os.truncate({path}, 3)", "write({path}, 'z')"] {
        root.must(&privileged);
        owner.must(&step.replace("{path}", &format!("{path:?}")));
        assert_eq!(root.must(&mode), "0o777", "{step}");
    }
    root.must(&privileged);
    root.must(&format!("write({path:?}, 'root', 0)"));
    assert_eq!(root.must(&mode), "0o6777");
}

#[test]
fn a_directory_hands_its_group_down_and_the_umask_counts() {
    let Some(desk) = Desk::set() else { return };
    let mut root = desk.person();
    root.must("os.mkdir('shared')");
    root.must("os.chown('shared', 0, 77)");
    root.must("os.chmod('shared', 0o2777)");
    root.must("os.umask(0o027)");
    root.must("os.mkdir('shared/below', 0o777)");
    root.must("os.close(os.open('shared/file', os.O_CREAT, 0o666))");
    root.must("os.mkfifo('shared/fifo', 0o666)");
    assert_eq!(root.must("shown('shared/below')[:3]").to_string(), r#"[0,77,"0o2750"]"#);
    assert_eq!(root.must("shown('shared/file')[:3]").to_string(), r#"[0,77,"0o640"]"#);
    assert_eq!(root.must("shown('shared/fifo')[:3]").to_string(), r#"[0,77,"0o640"]"#);
}

#[test]
fn times_are_kept_to_the_nanosecond_before_1970_too() {
    let Some(desk) = Desk::set() else { return };
    let mut person = desk.person();
    let times = "[os.stat('file').st_atime_ns, os.stat('file').st_mtime_ns]";
    person.must("write('file', 'x')");
    person.must("os.utime('file', ns=(1_000_000_000_123_456_789, 1_700_000_000_987_654_321))");
    assert_eq!(person.must(times).to_string(), "[1000000000123456789,1700000000987654321]");
    person.must("os.utime('file', ns=(-1_300_000_000, -1))");
    desk.unmount();
    desk.mount(&[]);
    let mut person = desk.person();
    assert_eq!(person.must(times).to_string(), "[-1300000000,-1]");
    // A read changes nothing, a write the time of the content.
    person.must("read('file')");
    person.must("before = time.time_ns()");
    person.must("write('file', 'y', 0)");
    assert_eq!(person.must("os.stat('file').st_atime_ns"), -1_300_000_000);
    assert_eq!(
        person.must("before - 10**7 <= os.stat('file').st_mtime_ns <= time.time_ns()"),
        true
    );
    person.must("os.utime('file')");
    assert_eq!(
        person.must("before - 10**7 <= os.stat('file').st_atime_ns <= time.time_ns()"),
        true
    );
}

#[test]
fn what_was_written_last_has_its_time_after_the_mount_too() {
    let Some(desk) = Desk::set() else { return };
    let mut person = desk.person();
    person.must("file = os.open('file', os.O_RDWR | os.O_CREAT)");
    person.must("os.write(file, b'x')");
    let written = person.must("os.fstat(file).st_mtime_ns");
    person.must("os.close(file)");
    let seen = person.must("[os.stat('file').st_mtime_ns, os.stat('file').st_ctime_ns]");
    desk.unmount();
    desk.mount(&[]);
    let mut person = desk.person();
    assert_eq!(person.must("os.stat('file').st_mtime_ns"), written);
    assert_eq!(person.must("[os.stat('file').st_mtime_ns, os.stat('file').st_ctime_ns]"), seen);
}

#[test]
fn changes_of_a_directory_change_its_times() {
    let Some(desk) = Desk::set() else { return };
    let mut person = desk.person();
    person.must("os.mkdir('folder')");
    for step in [
        "write('folder/a', '')",
        "os.rename('folder/a', 'folder/b')",
        "os.link('folder/b', 'folder/c')",
        "os.unlink('folder/b')",
        "os.mkdir('folder/d')",
        "os.rmdir('folder/d')",
    ] {
        person.must("os.utime('folder', ns=(5, 5))");
        person.must(step);
        assert_eq!(person.must("os.stat('folder').st_mtime_ns > 5"), true, "{step}");
    }
}

#[test]
fn the_room_is_that_of_the_disk_below() {
    let Some(desk) = Desk::set() else { return };
    let root = desk.stage().root().path();
    let mut person = desk.person();
    let room = "[os.statvfs(at).f_blocks * os.statvfs(at).f_frsize for at in ('.', below)]";
    person.must(&format!("below = {root:?}"));
    let room = person.must(room);
    assert_eq!(room[0], room[1]);
    person.must("write('file', 'x')");
    assert_eq!(person.must("os.statvfs('.').f_files - os.statvfs('.').f_ffree"), 2);
    assert_eq!(person.must("os.statvfs('.').f_namemax"), 255);
}
