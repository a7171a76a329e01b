//! The end of a mount: what was written is there, and nothing can be had through what stayed open.

use crate::support::desk::Desk;
use crate::support::users::OWNER;
use crate::support::wait;

/// Errors of a descriptor whose mount has ended: by us first, by the kernel from the abort on, and of a
/// call that the abort meets on its way.
const DEAD: [&str; 3] = ["ESTALE", "ENOTCONN", "ECONNABORTED"];
/// A process that touches a page that is not there any more is ended by this signal.
const SIGBUS: i32 = -7;

#[test]
fn at_the_end_nothing_that_was_written_is_lost_and_nothing_can_be_read_any_more() {
    let Some(desk) = Desk::set() else { return };
    let path = desk.free("free", "file");
    let mut owner = desk.person_of(OWNER);
    owner.must(&format!("file = os.open({path:?}, os.O_RDWR | os.O_CREAT)"));
    owner.must("os.ftruncate(file, 1 << 20)");
    owner.must("memory = mmap.mmap(file, 1 << 20)");
    // Neither closed nor synced: the kernel alone has it.
    owner.must("os.pwrite(file, b'w' * (2 << 20), 4096)");
    owner.must("memory[0:6] = b'mapped'");
    owner.must("os.mkdir('free/folder')");
    owner.must("gone = os.open('free/gone', os.O_RDWR | os.O_CREAT)");
    owner.must("os.write(gone, b'no name'); os.unlink('free/gone')");
    assert_eq!(desk.unmount().status, Some(0));
    assert_eq!(desk.stage().root().mounts(), Vec::<String>::new());
    for step in
        ["os.pread(file, 1, 0)", "os.pread(gone, 1, 0)", "os.fsync(file)", "os.listdir('.')"]
    {
        let errno = owner.fails(step);
        assert!(DEAD.contains(&errno.as_str()), "{step}: {errno}");
    }
    assert_eq!(owner.must("child('memory[0]')"), SIGBUS);
    desk.mount(&[]);
    let text = std::fs::read(&path).unwrap();
    assert_eq!(text.len(), (2 << 20) + 4096);
    assert_eq!(&text[..6], b"mapped");
    assert!(text[4096..].iter().all(|byte| *byte == b'w'));
    assert_eq!(owner.must("child('memory[0]')"), SIGBUS);
    let log = desk.stage().log();
    let ended = log.iter().find(|entry| entry["eventType"] == "mount.ended").unwrap();
    assert_eq!(ended["reason"], "unmount was asked for");
}

#[test]
fn a_deadline_ends_a_busy_workspace_within_a_second_and_loses_nothing() {
    let Some(desk) = Desk::set() else { return };
    let path = desk.free("free", "file");
    assert_eq!(desk.unmount().status, Some(0));
    let begun = wait::seconds();
    desk.mount(&["--ttl", "2s"]);
    let mounted = wait::seconds();
    let (mut reader, mut writer) = (desk.person_of(OWNER), desk.person_of(OWNER));
    writer.must(&format!("file = os.open({path:?}, os.O_RDWR | os.O_CREAT | os.O_APPEND)"));
    writer.must("os.write(file, b'kept')");
    reader.must(&format!("file = os.open({path:?}, os.O_RDONLY)"));
    reader.must("memory = mmap.mmap(file, 4, prot=mmap.PROT_READ)");
    assert_eq!(reader.must("memory[0:4]"), "kept");
    let death = reader.must("dies('os.pread(file, 9, 0)')");
    assert!(DEAD.contains(&death[0].as_str().unwrap()), "{death}");
    let died = death[1].as_f64().unwrap();
    assert!(died > begun + 2.0 && died < mounted + 3.0, "died {} s after", died - mounted - 2.0);
    assert!(wait::until(|| desk.stage().root().mounts().is_empty()));
    assert_eq!(reader.must("child('memory[0]')"), SIGBUS);
    desk.mount(&[]);
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "kept");
}

#[test]
fn from_the_end_on_nothing_is_opened() {
    let Some(desk) = Desk::set() else { return };
    let path = desk.free("ask", "file");
    let mut root = desk.person();
    root.must(&format!("write({path:?}, 'x')"));
    root.must(&format!("os.chmod({path:?}, 0o666)"));
    let mut owner = desk.person_of(OWNER);
    owner.begin(&format!("read({path:?})"));
    desk.stage().held("ask/file");
    assert_eq!(desk.unmount().status, Some(0));
    assert_eq!(owner.end(), Err("EACCES".to_owned()));
}
