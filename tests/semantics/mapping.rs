//! mmap(2): private mappings work, shared ones do not, and pages do not stay.

use crate::support::person::Person;
use crate::support::stage::Stage;
use crate::support::users::{OWNER, STRANGER};
use crate::support::wait;

const PRIVATE: &str = "mmap.mmap(file, 6, flags=mmap.MAP_PRIVATE, prot=mmap.PROT_READ)";

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
    let shared = "mmap.mmap(file, 6, flags=mmap.MAP_SHARED, prot=mmap.PROT_READ)";
    assert_eq!(person.fails(shared), "ENODEV");
}

#[test]
fn pages_that_one_caller_mapped_are_not_there_for_another() {
    let Some(stage) = Stage::set() else { return };
    let path = stage.secret("both/token", "s3cret");
    let (mut first, mut second) = (Person::of(OWNER), Person::of(STRANGER));
    for person in [&mut first, &mut second] {
        person.must(&format!("file = os.open({path:?}, os.O_RDONLY)"));
        person.must(&format!("memory = {PRIVATE}"));
    }
    let reads_of = |person: &Person| {
        let reads = stage.log_of("file.read", "both/token");
        reads.iter().filter(|read| read["actor"]["pid"] == person.pid()).count()
    };
    assert_eq!(first.must("memory[0:6]"), "s3cret");
    // The page is taken back soon after: then a second reader's access is a read of its own.
    let is_read_anew = wait::until(|| {
        second.must(&format!("memory = {PRIVATE}"));
        second.must("memory[0:1]") == "s" && reads_of(&second) > 0
    });
    assert!(is_read_anew && reads_of(&first) > 0);
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
    assert_eq!(person.must("child('memory[0:1]')"), -7, "SIGBUS is expected");
}
