//! Writing: drafts, and when they become versions.

use crate::support::person::Person;
use crate::support::stage::Stage;
use crate::support::users::{OWNER, user};

/// A person, and a secret that this person may read and write.
fn set() -> Option<(Stage, Person, String)> {
    let stage = Stage::set()?;
    let path = stage.secret("free/token", "0123456789");
    Some((stage, Person::of(OWNER), path))
}

#[test]
fn a_shell_replaces_and_appends() {
    let Some((stage, mut person, path)) = set() else { return };
    let shell = |command: &str| format!("run('sh', '-c', '{command}', {path:?})");
    assert_eq!(person.must(&shell("echo one > $0"))[0], 0);
    assert_eq!(person.must(&shell("echo two >> $0"))[0], 0);
    assert_eq!(person.reads(&path), Ok("one\ntwo\n".to_owned()));
    assert_eq!(person.must(&shell("cat > $0 <<end\nthree\nend\n").replace('\n', "\\n"))[0], 0);
    assert_eq!(person.reads(&path), Ok("three\n".to_owned()));
    assert_eq!(person.must(&shell(": > $0"))[0], 0);
    assert_eq!(person.reads(&path), Ok(String::new()));
    drop(stage);
}

#[test]
fn a_new_file_under_the_name_of_a_removed_one_holds_nothing_of_it() {
    let Some((stage, mut person, path)) = set() else { return };
    person.must(&format!("os.unlink({path:?})"));
    assert_eq!(person.must(&format!("run('touch', {path:?})"))[0], 0);
    assert_eq!(person.reads(&path), Ok(String::new()));
    person.must(&format!("os.unlink({path:?})"));
    assert_eq!(person.must(&format!("run('sh', '-c', 'echo x > $0', {path:?})"))[0], 0);
    assert_eq!(person.reads(&path), Ok("x\n".to_owned()));
    drop(stage);
}

#[test]
fn a_program_writes_to_a_descriptor_it_inherited_when_it_may_write_the_file_itself() {
    let rules = "[clients.dash]\nuid = [1002]\nexe = [\"/usr/bin/dash\"]\n\
                 [[rule]]\nname = \"dash-writes\"\nclients = [\"dash\"]\nops = [\"file.*\"]\n\
                 path = [\"dash/**\"]\ndecide = \"allow\"\n";
    let rules = rules.replace("1002", &user(OWNER).uid.to_string());
    let Some(stage) = Stage::with("1s", &rules) else { return };
    let (free, dash) = (stage.secret("free/token", "old"), stage.secret("dash/token", "old"));
    let mut person = Person::of(OWNER);
    let shell = |path: &str| format!("run('dash', '-c', '/bin/echo new > $0', {path:?})");
    assert_eq!(person.must(&shell(&free))[0], 0);
    assert_eq!(person.reads(&free), Ok("new\n".to_owned()));
    let refused = person.must(&shell(&dash));
    assert!(refused[2].as_str().unwrap().contains("Permission denied"), "{refused}");
    assert_eq!(std::fs::read_to_string(&dash).unwrap(), "");
    assert_eq!(stage.log_of("refused", "dash/token").len(), 1);
}

#[test]
fn a_part_can_be_overwritten_and_read_back_through_the_same_descriptor() {
    let Some((stage, mut person, path)) = set() else { return };
    person.must(&format!("file = os.open({path:?}, os.O_RDWR)"));
    person.must("os.pwrite(file, b'ab', 4)");
    assert_eq!(person.must("os.pread(file, 20, 0)"), "0123ab6789");
    person.must("os.pwrite(file, b'!', 12)");
    assert_eq!(person.must("os.pread(file, 20, 0)"), "0123ab6789\0\0!");
    person.must("os.close(file)");
    assert_eq!(person.reads(&path), Ok("0123ab6789\0\0!".to_owned()));
    drop(stage);
}

#[test]
fn appending_goes_to_the_end_wherever_that_is_by_now() {
    let Some((stage, mut person, path)) = set() else { return };
    let mut other = Person::of(OWNER);
    for each in [&mut person, &mut other] {
        each.must(&format!("file = os.open({path:?}, os.O_WRONLY | os.O_APPEND)"));
    }
    person.must("os.write(file, b'-a')");
    other.must("os.write(file, b'-b')");
    person.must("os.write(file, b'-c')");
    person.must("os.close(file)");
    other.must("os.close(file)");
    assert_eq!(person.reads(&path), Ok("0123456789-a-b-c".to_owned()));
    drop(stage);
}

#[test]
fn truncate_and_ftruncate_cut_and_lengthen() {
    let Some((stage, mut person, path)) = set() else { return };
    person.must(&format!("os.truncate({path:?}, 4)"));
    assert_eq!(person.reads(&path), Ok("0123".to_owned()));
    person.must(&format!("file = os.open({path:?}, os.O_RDWR)"));
    person.must("os.ftruncate(file, 6)");
    assert_eq!(person.must("os.fstat(file).st_size"), 6);
    assert_eq!(person.must("os.pread(file, 20, 0)"), "0123\0\0");
    person.must("os.ftruncate(file, 1)");
    person.must("os.close(file)");
    assert_eq!(person.reads(&path), Ok("0".to_owned()));
    person.must(&format!("os.truncate({path:?}, 0)"));
    assert_eq!(person.reads(&path), Ok(String::new()));
    drop(stage);
}

#[test]
fn two_writers_share_the_file_and_readers_see_whole_versions() {
    let Some((stage, mut first, path)) = set() else { return };
    let mut second = Person::of(OWNER);
    for each in [&mut first, &mut second] {
        each.must(&format!("file = os.open({path:?}, os.O_RDWR)"));
    }
    first.must("os.pwrite(file, b'AA', 0)");
    second.must("os.pwrite(file, b'BB', 8)");
    assert_eq!(second.must("os.pread(file, 20, 0)"), "AA234567BB");
    assert_eq!(Person::of(OWNER).reads(&path), Ok("0123456789".to_owned()));
    first.must("os.close(file)");
    assert_eq!(Person::of(OWNER).reads(&path), Ok("AA234567BB".to_owned()));
    second.must("os.close(file)");
    drop(stage);
}

#[test]
fn a_reader_keeps_the_version_that_it_opened() {
    let Some((stage, mut reader, path)) = set() else { return };
    reader.must(&format!("file = os.open({path:?}, os.O_RDONLY)"));
    Person::of(OWNER).must(&format!("write({path:?}, 'new')"));
    assert_eq!(reader.must("os.pread(file, 20, 0)"), "0123456789");
    assert_eq!(reader.reads(&path), Ok("new".to_owned()));
    drop(stage);
}

#[test]
fn emptying_at_open_makes_no_version_before_the_last_close() {
    let Some((stage, mut writer, path)) = set() else { return };
    writer.must(&format!("file = os.open({path:?}, os.O_WRONLY | os.O_TRUNC)"));
    writer.must("os.close(os.dup(file))");
    assert_eq!(Person::of(OWNER).reads(&path), Ok("0123456789".to_owned()));
    writer.must("os.write(file, b'new')");
    assert_eq!(Person::of(OWNER).reads(&path), Ok("0123456789".to_owned()));
    writer.must("os.fsync(file)");
    assert_eq!(Person::of(OWNER).reads(&path), Ok("new".to_owned()));
    drop(stage);
}

#[test]
fn what_was_written_is_a_version_after_close_and_after_fsync() {
    let Some((stage, mut writer, path)) = set() else { return };
    let versions = || stage.log_of("file.write", "free/token").len();
    let before = versions();
    writer.must(&format!("file = os.open({path:?}, os.O_WRONLY)"));
    writer.must("os.write(file, b'a'), os.write(file, b'b')");
    assert_eq!(versions(), before);
    writer.must("os.fsync(file)");
    assert_eq!(versions(), before + 1);
    writer.must("os.fsync(file), os.close(file)");
    assert_eq!(versions(), before + 1, "an unchanged file is no new version");
}

#[test]
fn a_read_only_mount_refuses_every_change() {
    let Some((stage, mut person, path)) = set() else { return };
    assert_eq!(stage.unmount().status, Some(0));
    stage.mount(&["--read-only"]);
    let (new, folder) = (stage.path("free/new"), stage.path("free/folder"));
    for step in [
        format!("os.open({path:?}, os.O_WRONLY)"),
        format!("os.open({path:?}, os.O_RDONLY | os.O_TRUNC)"),
        format!("os.open({new:?}, os.O_CREAT | os.O_WRONLY)"),
        format!("os.truncate({path:?}, 0)"),
        format!("os.mkdir({folder:?})"),
        format!("os.unlink({path:?})"),
        format!("os.rename({path:?}, {new:?})"),
        format!("os.utime({path:?})"),
    ] {
        assert_eq!(person.fails(&step), "EROFS", "{step}");
    }
    assert_eq!(person.reads(&path), Ok("0123456789".to_owned()));
}
