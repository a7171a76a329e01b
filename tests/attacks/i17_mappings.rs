//! I17: mmap(2): private mappings work, shared ones do not, and pages do not stay.

use super::joined;
use crate::support::gocryptfs::Gocryptfs;
use crate::support::person::Person;
use crate::support::stage::Stage;
use crate::support::users::OWNER;
use crate::support::wait;
use nix::mount::{MntFlags, umount2};

const PRIVATE: &str = "mmap.mmap(file, 6, flags=mmap.MAP_PRIVATE, prot=mmap.PROT_READ)";
const SHARED: &str = "mmap.mmap(file, 6, flags=mmap.MAP_SHARED, prot=mmap.PROT_READ)";
/// What ends a process that reaches for a page which is not given.
const SIGBUS: i32 = -7;

#[test]
fn a_private_mapping_shows_the_secret_and_its_faults_are_reads_in_the_log() {
    let Some(stage) = Stage::set() else { return };
    let path = stage.secret("read/token", "s3cret");
    let mut person = Person::of(OWNER);
    person.must(&format!("file = os.open({path:?}, os.O_RDONLY)"));
    person.must(&format!("memory = {PRIVATE}"));
    assert_eq!(person.must("memory[0:6]"), "s3cret");
    let reads = stage.log_of("file.read", "read/token");
    assert!(!reads.is_empty());
    assert!(reads.iter().all(|read| read["actor"]["pid"] == person.pid()));
}

#[test]
fn a_shared_mapping_is_refused_with_enodev() {
    let Some(stage) = Stage::set() else { return };
    let path = stage.secret("free/token", "s3cret");
    let mut person = Person::of(OWNER);
    person.must(&format!("file = os.open({path:?}, os.O_RDWR)"));
    assert_eq!(person.fails(SHARED), "ENODEV");
}

#[test]
fn a_mapping_of_a_passed_descriptor_yields_nothing() {
    let Some(stage) = Stage::set() else { return };
    let (mut owner, mut stranger) = joined(&stage);
    // By the C library: Python would look at the length first, which is shown as 0.
    stranger.must("libc.mmap.restype = ctypes.c_void_p");
    stranger.must("memory = libc.mmap(None, 4096, mmap.PROT_READ, mmap.MAP_PRIVATE, file, 0)");
    assert_eq!(stranger.must("child('ctypes.string_at(memory, 6)')"), SIGBUS);
    // The owner's own mapping of it is no help, nor is asking the kernel to fill the pages.
    owner.must(&format!("memory = {PRIVATE}"));
    assert_eq!(owner.must("memory[0:6]"), "s3cret");
    stranger.must("libc.madvise(ctypes.c_void_p(memory), 4096, 22)");
    // A page is there for the moment until it is taken back.
    assert!(wait::until(|| stranger.must("child('ctypes.string_at(memory, 6)')") == SIGBUS));
}

#[test]
fn a_mapped_secret_is_gone_after_the_end_of_the_mount() {
    let Some(stage) = Stage::set() else { return };
    let path = stage.secret("read/token", "s3cret");
    let mut person = Person::of(OWNER);
    person.must(&format!("file = os.open({path:?}, os.O_RDONLY)"));
    person.must(&format!("memory = {PRIVATE}"));
    assert_eq!(person.must("memory[0:6]"), "s3cret");
    assert_eq!(stage.unmount().status, Some(0));
    assert_eq!(person.must("child('memory[0:1]')"), SIGBUS);
}

#[test]
fn against_gocryptfs_it_succeeds() {
    let Some(plain) = Gocryptfs::set() else { return };
    let mut person = Person::of(OWNER);
    person.must(&format!("file = os.open({:?}, os.O_RDONLY)", plain.path()));
    person.must(&format!("memory = {SHARED}"));
    assert_eq!(person.must("memory[0:6]"), "s3cret");
    umount2(&plain.mountpoint(), MntFlags::MNT_DETACH).unwrap();
    assert_eq!(person.must("memory[0:6]"), "s3cret");
}
