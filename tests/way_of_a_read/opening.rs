//! Who may open and read.

use crate::support::person::Person;
use crate::support::stage::Stage;
use crate::support::users::{OWNER, STRANGER};

#[test]
fn a_program_that_the_policy_names_reads_the_secret_as_an_ordinary_file() {
    let Some(stage) = Stage::set() else { return };
    let path = stage.secret("cat/token", "s3cret");
    let ended = Person::of(OWNER).must(&format!("run('cat', {path:?})"));
    assert_eq!(ended, serde_json::json!([0, "s3cret", ""]));
}

#[test]
fn another_program_of_the_same_user_gets_eacces() {
    let Some(stage) = Stage::set() else { return };
    let path = stage.secret("cat/token", "s3cret");
    let mut person = Person::of(OWNER);
    assert_eq!(person.reads(&path), Err("EACCES".to_owned()));
    let ended = person.must(&format!("run('head', '-c9', {path:?})"));
    assert_eq!(ended[0], 1);
    assert!(ended[2].as_str().unwrap().ends_with("Permission denied\n"), "{ended}");
}

#[test]
fn another_user_gets_eacces_even_with_the_same_program() {
    let Some(stage) = Stage::set() else { return };
    let path = stage.secret("read/token", "s3cret");
    assert_eq!(Person::of(OWNER).reads(&path), Ok("s3cret".to_owned()));
    assert_eq!(Person::of(STRANGER).reads(&path), Err("EACCES".to_owned()));
    let ended = Person::of(STRANGER).must(&format!("run('cat', {path:?})"));
    assert_eq!(ended[1], "");
}

#[test]
fn root_is_a_user_like_any_other() {
    let rules = "[[rule]]\nname = \"not-root\"\nclients = [\"admin\"]\nops = [\"file.read\"]\n\
                 path = [\"free/**\"]\npriority = 1\ndecide = \"deny\"\n";
    let Some(stage) = Stage::with("1s", rules) else { return };
    let path = stage.secret("free/token", "s3cret");
    let error = std::fs::read(&path).unwrap_err();
    assert_eq!(error.raw_os_error(), Some(libc::EACCES));
    assert_eq!(Person::of(OWNER).reads(&path), Ok("s3cret".to_owned()));
}

#[test]
fn a_descriptor_for_writing_alone_yields_no_bytes() {
    let Some(stage) = Stage::set() else { return };
    let path = stage.secret("free/token", "s3cret");
    let mut person = Person::of(OWNER);
    person.must(&format!("writer = os.open({path:?}, os.O_WRONLY)"));
    assert_eq!(person.fails("os.read(writer, 10)"), "EBADF");
}

#[test]
fn reading_and_writing_takes_both_rights() {
    let Some(stage) = Stage::set() else { return };
    let path = stage.secret("read/token", "s3cret");
    let mut person = Person::of(OWNER);
    for flags in
        ["os.O_RDWR", "os.O_WRONLY", "os.O_WRONLY | os.O_APPEND", "os.O_RDONLY | os.O_TRUNC"]
    {
        assert_eq!(person.fails(&format!("os.open({path:?}, {flags})")), "EACCES", "{flags}");
    }
    assert_eq!(person.reads(&path), Ok("s3cret".to_owned()));
}

#[test]
fn a_secret_can_be_read_from_any_offset_and_in_pieces() {
    let Some(stage) = Stage::set() else { return };
    let value: String =
        (0..300_000_u32).map(|number| char::from(b'a' + (number % 23) as u8)).collect();
    let path = stage.secret("read/large", &value);
    let mut person = Person::of(OWNER);
    person.must(&format!("file = os.open({path:?}, os.O_RDONLY)"));
    assert_eq!(person.must("os.pread(file, 5, 131070)"), value[131_070..131_075]);
    assert_eq!(person.must("len(os.pread(file, 1 << 20, 299990))"), 10);
    assert_eq!(person.must("os.pread(file, 10, 300000)"), "");
    assert_eq!(person.must("os.pread(file, 10, 1 << 62)"), "");
    let whole = person.must(&format!("run('cat', {path:?})"));
    assert_eq!(whole[1], value);
}

#[test]
fn a_path_only_descriptor_is_decided_when_it_is_opened_again() {
    let Some(stage) = Stage::set() else { return };
    let path = stage.secret("cat/token", "s3cret");
    let mut person = Person::of(OWNER);
    person.must(&format!("place = os.open({path:?}, os.O_PATH)"));
    assert_eq!(person.fails("os.open(f'/proc/self/fd/{place}', os.O_RDONLY)"), "EACCES");
}

#[test]
fn a_program_cannot_be_run_from_a_mount() {
    let Some(stage) = Stage::set() else { return };
    let path = stage.secret("free/script", "#!/bin/sh\necho ran\n");
    assert_eq!(Person::of(OWNER).fails(&format!("os.execv({path:?}, ['script'])")), "EACCES");
}
