//! M2: a mount that is busy when its time is over.

use crate::support::gocryptfs::Gocryptfs;
use crate::support::person::Person;
use crate::support::stage::Stage;
use crate::support::users::{OWNER, STRANGER};
use crate::support::wait;
use nix::errno::Errno;
use nix::mount::{MntFlags, umount2};

/// Errors of a descriptor whose mount has ended.
const DEAD: [&str; 3] = ["ESTALE", "ENOTCONN", "ECONNABORTED"];

fn opened(stage: &Stage) -> Person {
    let path = stage.path("read/token");
    let mut person = Person::of(OWNER);
    person.must(&format!("file = os.open({path:?}, os.O_RDONLY)"));
    assert_eq!(person.must("os.pread(file, 9, 0)"), "s3cret");
    person
}

#[test]
fn at_the_deadline_open_descriptors_and_mappings_die_within_a_second_even_when_the_mount_is_busy() {
    let Some(stage) = Stage::set() else { return };
    stage.secret("read/token", "s3cret");
    stage.unmount();
    let begun = wait::seconds();
    stage.mount(&["--ttl", "2s"]);
    let mounted = wait::seconds();
    let mut reader = opened(&stage);
    reader.must("memory = mmap.mmap(file, 6, flags=mmap.MAP_PRIVATE, prot=mmap.PROT_READ)");
    assert_eq!(reader.must("memory[0:6]"), "s3cret");
    let mut busy = Person::of(STRANGER);
    busy.must(&format!("os.chdir({:?})", stage.mountpoint()));
    let death = reader.must("dies('os.pread(file, 9, 0)')");
    let (errno, died) = (death[0].as_str().unwrap(), death[1].as_f64().unwrap());
    assert!(DEAD.contains(&errno), "{errno}");
    assert!(died > begun + 2.0 && died < mounted + 3.0, "died {} s after", died - mounted - 2.0);
    let (least, most) = (died - mounted - 2.0, died - begun - 2.0);
    eprintln!("dead {:.0} to {:.0} ms after the deadline", least.max(0.0) * 1e3, most * 1e3);
    assert!(wait::until(|| stage.root().mounts().is_empty()));
    let took = wait::seconds() - mounted - 2.0;
    assert!(took < 1.0, "the mount stayed for {took} s");
    assert_eq!(reader.must("child('memory[0:1]')"), -7, "SIGBUS is expected");
    assert!(DEAD.contains(&reader.fails("os.pread(file, 9, 0)").as_str()));
    assert!(DEAD.contains(&busy.fails("os.listdir('.')").as_str()));
    assert!(wait::until(|| stage.log().iter().any(|entry| {
        entry["eventType"] == "mount.ended" && entry["reason"] == "its time was over"
    })));
}

#[test]
fn against_gocryptfs_it_succeeds() {
    let Some(plain) = Gocryptfs::set() else { return };
    let mut person = Person::of(OWNER);
    person.must(&format!("file = os.open({:?}, os.O_RDONLY)", plain.path()));
    let busy = umount2(&plain.mountpoint(), MntFlags::empty());
    assert_eq!(busy, Err(Errno::EBUSY));
    // Taken out of the tree all the same, it goes on for who has it open.
    umount2(&plain.mountpoint(), MntFlags::MNT_DETACH).unwrap();
    assert_eq!(person.must("os.pread(file, 9, 0)"), "s3cret");
}
