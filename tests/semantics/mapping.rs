//! mmap(2): private mappings work, shared ones do not, and pages do not stay.

use crate::support::person::Person;
use crate::support::stage::{HOLD, Stage};
use crate::support::users::{OWNER, STRANGER};
use crate::support::wait;
use serde_json::Value;

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

/// One rule, by which `read/**` may be read but not mapped.
const NOT_MAPPED: &str = "[[rule]]\nname = \"read-not-mapped\"\nclients = [\"owner\"]\n\
    ops = [\"file.list\", \"file.read\"]\npath = [\"read/**\"]\ndecide = \"allow\"\nmapped = false\n";

#[test]
fn a_read_that_fills_pages_says_so_in_the_log_and_one_by_read_does_not() {
    let Some(stage) = Stage::set() else { return };
    let path = stage.secret("read/token", "s3cret");
    let mut person = Person::of(OWNER);
    person.must(&format!("file = os.open({path:?}, os.O_RDONLY)"));
    person.must("os.pread(file, 6, 0)");
    assert_eq!(stage.log_of("file.read", "read/token")[0]["mapped"], Value::Null);
    person.must(&format!("memory = {PRIVATE}"));
    assert_eq!(person.must("memory[0:6]"), "s3cret");
    let reads = stage.log_of("file.read", "read/token");
    assert!(reads.len() > 1 && reads[1..].iter().all(|read| read["mapped"] == true), "{reads:?}");
    // The page is taken back: what comes next is a read of its own, mapped or not.
    let before = reads.len();
    let is_read_anew = wait::until(|| {
        person.must("memory[0:1]");
        stage.log_of("file.read", "read/token").len() > before
    });
    assert!(is_read_anew);
    person.must("os.pread(file, 6, 0)");
    assert_eq!(stage.log_of("file.read", "read/token").pop().unwrap()["mapped"], Value::Null);
}

#[test]
fn sendfile_and_splice_fill_pages_and_are_recorded_or_refused_as_mappings_are() {
    let rules = NOT_MAPPED.replace("read/**", "unmapped/**");
    let Some(stage) = Stage::with(HOLD, &rules) else { return };
    let mut person = Person::of(OWNER);
    let calls = ["os.sendfile(said, file, 0, 6)", "os.splice(file, said, 6, offset_src=0)"];
    person.must("(asked, said) = os.pipe()");
    for name in ["read/token", "unmapped/token"] {
        let path = stage.secret(name, "s3cret");
        person.must(&format!("file = os.open({path:?}, os.O_RDONLY)"));
        for call in calls {
            if name == "unmapped/token" {
                assert_eq!(person.fails(call), "EACCES", "{call}");
                continue;
            }
            assert_eq!(person.must(call), 6);
            assert_eq!(person.must("os.read(asked, 9)"), "s3cret");
            let read = stage.log_of("file.read", name).pop().unwrap();
            assert_eq!(
                (&read["actor"]["pid"], &read["mapped"]),
                (&person.pid().into(), &true.into())
            );
        }
        assert_eq!(person.must("os.pread(file, 6, 0)"), "s3cret");
        let read = stage.log_of("file.read", name).pop().unwrap();
        assert_eq!(read["mapped"], Value::Null);
    }
    assert!(stage.log_of("refused", "unmapped/token").len() >= 2);
}

#[test]
fn a_rule_that_refuses_mapped_reads_gives_sigbus_to_who_maps_and_bytes_to_who_reads() {
    let Some(stage) = Stage::with(HOLD, NOT_MAPPED) else { return };
    let path = stage.secret("read/token", "s3cret");
    let mut person = Person::of(OWNER);
    person.must(&format!("file = os.open({path:?}, os.O_RDONLY)"));
    person.must(&format!("memory = {PRIVATE}"));
    assert_eq!(person.must("child('memory[0:1]')"), -7, "SIGBUS is expected");
    assert_eq!(person.must("os.pread(file, 6, 0)"), "s3cret");
    assert_eq!(person.must("child('memory[0:1]')"), -7, "SIGBUS is expected");
    let refusal = stage.log_of("refused", "read/token").pop().unwrap();
    assert!(refusal["reason"].as_str().unwrap().contains("mapped = false"), "{refusal}");
    let reads = stage.log_of("file.read", "read/token");
    assert!(reads.iter().all(|read| read["mapped"] == Value::Null), "{reads:?}");
}

#[test]
fn nothing_can_be_executed_from_a_mount_of_secrets() {
    let Some(stage) = Stage::set() else { return };
    let path = stage.secret("free/program", "#!/bin/sh\n");
    let mut person = Person::of(OWNER);
    person.must(&format!("os.chmod({path:?}, 0o700)"));
    assert_eq!(person.fails(&format!("run({path:?})")), "EACCES");
}
