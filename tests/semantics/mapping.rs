//! Reads that fill pages: recorded as what they are, and refused where a rule says so.

use crate::support::person::Person;
use crate::support::stage::{HOLD, Stage};
use crate::support::users::OWNER;
use crate::support::wait;
use serde_json::Value;

const PRIVATE: &str = "mmap.mmap(file, 6, flags=mmap.MAP_PRIVATE, prot=mmap.PROT_READ)";

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
